//! `GET /`: 值班台, the duty desk.

use super::auth::Officer;
use super::failure::{self, Failure};
use super::page::Page;
use super::rows::{self, List};
use super::strip::{self, Strip};
use super::{Shared, entry_page};
use crate::duty::ids::EntryId;
use crate::io::store::Account;
use askama::Template;
use axum::extract::{Query, State};
use axum::http::{Method, StatusCode, Uri};
use axum::response::{Html, IntoResponse, Redirect, Response};
use serde::Deserialize;

#[derive(Template)]
#[template(path = "desk.html")]
struct Desk<'a> {
    page: &'a Page,
    strip: Strip,
    list: List,
    opened: Option<String>,
    /// Officers' phones, of which one is rung first when he calls somebody.
    phones: &'a [String],
    /// Whether the daemon can call itself.
    self_test: bool,
    account: &'a str,
    /// Leaders acknowledge, officers do not.
    leads: bool,
    /// A system administrator calls nobody and reads no entry.
    works: bool,
    officer: &'a str,
}

#[derive(Debug, Deserialize)]
pub struct Asked {
    /// Which entry is open beside the list. Not understood: none.
    entry: Option<String>,
    most: Option<u32>,
}

pub async fn get(
    State(shared): State<Shared>,
    officer: Officer,
    page: Page,
    Query(asked): Query<Asked>,
) -> Result<Response, Failure> {
    let entry = asked.entry.and_then(|entry| entry.parse().ok());
    show(&shared, &officer, &page, entry, asked.most).await
}

pub async fn show(
    shared: &Shared,
    officer: &Officer,
    page: &Page,
    entry: Option<EntryId>,
    most: Option<u32>,
) -> Result<Response, Failure> {
    let opened = match entry.filter(|_| officer.works()) {
        Some(entry) => entry_page::article(shared, page, entry).await?,
        None => None,
    };
    let desk = Desk {
        page,
        strip: strip::strip(shared, page).await,
        list: rows::list(shared, officer, page, most).await,
        opened,
        phones: &shared.web.dialler.phones,
        self_test: shared.web.self_test.is_some(),
        account: &officer.who.login,
        leads: officer.who.account == Account::Leader,
        works: officer.works(),
        officer: &officer.who.name,
    };
    Ok(Html(desk.render()?).into_response())
}

/// A path that is none of ours.
pub async fn lost(page: Page) -> Response {
    failure::notice(&page, StatusCode::NOT_FOUND, page.t.not_found)
}

/// Pages whose forms, where they are refused, are drawn again under the address that they were sent to.
const SHEETS: [&str; 3] = ["/roster", "/roll-call", "/keeping"];

/// Such an address asked for as a page, as the browser's line has it or after signing in again: the page itself.
pub async fn no_page(method: Method, uri: Uri) -> Response {
    let rest = |sheet: &str| uri.path().strip_prefix(sheet)?.strip_prefix('/');
    match SHEETS.into_iter().find(|sheet| rest(sheet).is_some()) {
        Some(sheet) if method == Method::GET => Redirect::to(sheet).into_response(),
        _ if method == Method::GET && uri.path() == "/drill" => {
            Redirect::to("/roll-call").into_response()
        }
        _ => StatusCode::METHOD_NOT_ALLOWED.into_response(),
    }
}
