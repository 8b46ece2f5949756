//! `/first/{token}`: the link that works once. It makes the first account, or signs somebody in.

use super::Shared;
use super::auth;
use super::failure::Failure;
use super::page::Page;
use super::refused::Refused;
use super::visitor::Visitor;
use crate::io::clock;
use crate::io::store::{Account, Added, LinkUse, Login, NewPerson};
use askama::Template;
use axum::extract::{Form, Path, State};
use axum::http::StatusCode;
use axum::response::{Html, IntoResponse, Redirect, Response};
use axum_extra::extract::CookieJar;
use serde::Deserialize;

#[derive(Template)]
#[template(path = "first.html")]
struct FirstPage<'a> {
    page: &'a Page,
    usable: bool,
    log_in: bool,
    refused: &'a Refused,
}

#[derive(Default, Deserialize)]
#[serde(default)]
pub struct NewAccount {
    name: String,
    account: String,
    password: String,
    again: String,
}

/// Looking at the link uses nothing up: a preview of it must not either.
pub async fn form(
    State(shared): State<Shared>,
    page: Page,
    Path(token): Path<String>,
) -> Result<Response, Failure> {
    let link = shared.web.store.login_link(&token, clock::now()).await?;
    show(&page, &link, &Refused::nothing())
}

pub async fn submit(
    State(shared): State<Shared>,
    page: Page,
    visitor: Visitor,
    cookies: CookieJar,
    Path(token): Path<String>,
    Form(new): Form<NewAccount>,
) -> Result<Response, Failure> {
    let now = clock::now();
    let store = &shared.web.store;
    let link = store.login_link(&token, now).await?;
    let terminal = visitor.to_string();
    let typed = Refused::typed("first", &[("name", &new.name), ("account", &new.account)]);
    let login = match link {
        LinkUse::Nothing => Login::Refused,
        LinkUse::LogIn(_) => store.log_in_by_link(&token, &terminal, now).await?,
        LinkUse::FirstAccount if new.password != new.again => {
            return show(&page, &link, &typed.at("password", page.t.password_differs));
        }
        LinkUse::FirstAccount => {
            let _turn = shared.hashing.acquire().await.map_err(|_| Failure::Unavailable)?;
            let person = NewPerson {
                login: new.account.clone(),
                name: new.name.clone(),
                account: Account::Officer,
                password: new.password.clone(),
            };
            match store.make_first_account(&token, person, &terminal, now).await? {
                Ok(login) => login,
                Err(Added::Refused { field, zh, en }) => {
                    return show(&page, &link, &typed.at(field, page.pick((zh, en))));
                }
                Err(Added::Taken | Added::Added(_)) => {
                    return show(&page, &link, &typed.at("account", page.t.name_taken));
                }
            }
        }
    };
    match login {
        Login::Welcome { token, .. } => {
            Ok((cookies.add(auth::cookie(token, visitor)), Redirect::to("/")).into_response())
        }
        Login::Refused => show(&page, &LinkUse::Nothing, &Refused::nothing()),
    }
}

fn show(page: &Page, link: &LinkUse, refused: &Refused) -> Result<Response, Failure> {
    let usable = *link == LinkUse::FirstAccount;
    let log_in = matches!(link, LinkUse::LogIn(_));
    let shown = FirstPage { page, usable, log_in, refused };
    let status = match link {
        LinkUse::Nothing => StatusCode::GONE,
        LinkUse::FirstAccount | LinkUse::LogIn(_) if refused.is_nothing() => StatusCode::OK,
        LinkUse::FirstAccount | LinkUse::LogIn(_) => StatusCode::UNPROCESSABLE_ENTITY,
    };
    Ok((status, Html(shown.render()?)).into_response())
}
