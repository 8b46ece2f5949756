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
use axum::http::StatusCode;
use axum::response::{Html, IntoResponse, Response};
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
    let works = officer.who.account != Account::Admin;
    let opened = match entry.filter(|_| works) {
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
        officer: &officer.who.name,
    };
    Ok(Html(desk.render()?).into_response())
}

/// A path that is none of ours.
pub async fn lost(page: Page) -> Response {
    failure::notice(&page, StatusCode::NOT_FOUND, page.t.not_found)
}
