//! What a page answers when it cannot do what was asked: generic words for the visitor, the reason
//! once in the log.

use super::messages::{EN, Messages, ZH};
use super::page::{Page, in_query};
use crate::io::store::StoreError;
use askama::Template;
use axum::http::StatusCode;
use axum::response::{Html, IntoResponse, Redirect, Response};

#[derive(Debug)]
pub enum Failure {
    /// A page was asked for without a session: to the login page, and back afterwards.
    SignIn(String),
    /// A script asked without a session.
    NoSession,
    /// A form was sent without a session, from the page with this path.
    Expired(Box<Page>, String),
    NotFound,
    /// Words for the person, already in his language.
    Refused(StatusCode, String),
    /// As [`Failure::Refused`], on a page of its own.
    Notice(Box<Page>, StatusCode, String),
    /// Too many at once; may pass.
    Unavailable,
    Store(StoreError),
    Broken(String),
}

impl From<StoreError> for Failure {
    fn from(error: StoreError) -> Self {
        Self::Store(error)
    }
}

impl From<askama::Error> for Failure {
    fn from(error: askama::Error) -> Self {
        Self::Broken(error.to_string())
    }
}

impl IntoResponse for Failure {
    fn into_response(self) -> Response {
        match self {
            Self::SignIn(next) => {
                Redirect::to(&format!("/login?next={}", in_query(&next))).into_response()
            }
            Self::NoSession => StatusCode::UNAUTHORIZED.into_response(),
            Self::Expired(page, from) => expired(&page, &from),
            Self::NotFound => both(StatusCode::NOT_FOUND, |t| t.not_found),
            Self::Refused(status, words) => plain(status, &words),
            Self::Notice(page, status, words) => notice(&page, status, &words),
            Self::Unavailable => both(StatusCode::SERVICE_UNAVAILABLE, |t| t.busy),
            Self::Store(error) => {
                tracing::error!(%error, "the page could not use the log");
                let (zh, en) = error.remedy();
                plain(StatusCode::SERVICE_UNAVAILABLE, &format!("{zh} · {en}"))
            }
            Self::Broken(why) => {
                tracing::error!(why, "a page failed");
                both(StatusCode::INTERNAL_SERVER_ERROR, |t| t.broken)
            }
        }
    }
}

/// For answers that do not know who asks.
pub fn both(status: StatusCode, words: impl Fn(&'static Messages) -> &'static str) -> Response {
    plain(status, &format!("{} · {}", words(&ZH), words(&EN)))
}

fn plain(status: StatusCode, words: &str) -> Response {
    (status, words.to_owned()).into_response()
}

#[derive(Template)]
#[template(path = "notice.html")]
struct Notice<'a> {
    page: &'a Page,
    text: &'a str,
}

/// A page of its own that says one sentence.
pub fn notice(page: &Page, status: StatusCode, text: &str) -> Response {
    match (Notice { page, text }).render() {
        Ok(html) => (status, Html(html)).into_response(),
        Err(error) => Failure::from(error).into_response(),
    }
}

#[derive(Template)]
#[template(path = "expired.html")]
struct Expired<'a> {
    page: &'a Page,
    next: String,
}

fn expired(page: &Page, from: &str) -> Response {
    match (Expired { page, next: in_query(from) }).render() {
        Ok(html) => (StatusCode::UNAUTHORIZED, Html(html)).into_response(),
        Err(error) => Failure::from(error).into_response(),
    }
}
