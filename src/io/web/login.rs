//! Signing in and out.

use super::Shared;
use super::auth::{self, Officer};
use super::failure::Failure;
use super::messages::fill;
use super::page::{Page, local};
use super::visitor::Visitor;
use crate::io::clock;
use crate::io::store::Login;
use askama::Template;
use axum::extract::{Form, Query, State};
use axum::http::StatusCode;
use axum::http::header::RETRY_AFTER;
use axum::response::{Html, IntoResponse, Redirect, Response};
use axum_extra::extract::CookieJar;
use serde::Deserialize;

#[derive(Template)]
#[template(path = "login.html")]
struct LoginPage<'a> {
    page: Page,
    problem: String,
    account: &'a str,
    next: &'a str,
}

#[derive(Debug, Deserialize)]
pub struct Asked {
    #[serde(default)]
    next: String,
}

#[derive(Deserialize)]
pub struct Attempt {
    account: String,
    password: String,
    #[serde(default)]
    next: String,
}

/// `GET /login`
pub async fn form(page: Page, Query(asked): Query<Asked>) -> Result<Html<String>, Failure> {
    let next = local(&asked.next);
    let shown = LoginPage { page, problem: String::new(), account: "", next };
    Ok(Html(shown.render()?))
}

/// `POST /login`
pub async fn submit(
    State(shared): State<Shared>,
    page: Page,
    visitor: Visitor,
    cookies: CookieJar,
    Form(attempt): Form<Attempt>,
) -> Result<Response, Failure> {
    let now = clock::now();
    let next = local(&attempt.next);
    let again = |status: StatusCode, problem: String| {
        let shown = LoginPage { page: page.clone(), problem, account: &attempt.account, next };
        Ok::<_, Failure>((status, Html(shown.render()?)))
    };
    let wait = shared.backoff.wait(visitor.address, &attempt.account, now.mono);
    if !wait.is_zero() {
        let seconds = wait.as_secs() + 1;
        let answer = again(StatusCode::TOO_MANY_REQUESTS, fill(page.t.slow_down, seconds))?;
        return Ok(([(RETRY_AFTER, seconds.to_string())], answer).into_response());
    }
    // Counted before the slow check, so that guesses sent side by side are counted too.
    shared.backoff.failed(visitor.address, &attempt.account, now.mono);
    let _turn = shared.hashing.acquire().await.map_err(|_| Failure::Unavailable)?;
    let store = &shared.web.store;
    let place = visitor.to_string();
    match store.log_in(&attempt.account, &attempt.password, &place, now).await? {
        Login::Welcome { token, .. } => {
            shared.backoff.succeeded(visitor.address, &attempt.account);
            Ok((cookies.add(auth::cookie(token, visitor)), Redirect::to(next)).into_response())
        }
        Login::Refused => {
            Ok(again(StatusCode::UNAUTHORIZED, page.t.bad_login.to_owned())?.into_response())
        }
    }
}

/// `POST /logout`
pub async fn out(
    State(shared): State<Shared>,
    officer: Officer,
    visitor: Visitor,
    cookies: CookieJar,
) -> Result<Response, Failure> {
    shared.web.store.log_out(&officer.token, &officer.who, clock::now()).await?;
    Ok((cookies.remove(auth::gone(visitor)), Redirect::to("/login")).into_response())
}
