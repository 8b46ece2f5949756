//! What every page knows: language, room, whether this is the demo.

use super::Shared;
use super::messages::{Language, Messages};
use super::typed;
use axum::extract::{Form, FromRequestParts};
use axum::http::header::{ACCEPT_LANGUAGE, REFERER};
use axum::http::request::Parts;
use axum::http::{HeaderMap, Uri};
use axum::response::{IntoResponse, Redirect, Response};
use axum_extra::extract::CookieJar;
use axum_extra::extract::cookie::{Cookie, SameSite};
use serde::Deserialize;
use std::convert::Infallible;
use std::time::Duration;

#[derive(Debug, Clone)]
pub struct Page {
    pub language: Language,
    pub t: &'static Messages,
    pub lang: &'static str,
    pub room: String,
    pub demo: bool,
    /// Why somebody listens is asked first.
    pub asks: bool,
    /// An urgent matter is reported upwards within this.
    pub report: Duration,
}

impl Page {
    /// Why somebody may listen.
    pub fn reasons(&self) -> [&'static str; 6] {
        typed::reasons(self.t)
    }

    /// Of what was written down in Chinese and English, one after the other, the one to show.
    pub fn said<'a>(&self, both: &'a str) -> &'a str {
        match both.rsplit_once("· ") {
            Some((zh, en)) if en.is_ascii() && !zh.is_ascii() => self.pick((zh.trim_end(), en)),
            Some(_) | None => both,
        }
    }

    /// Of a Chinese and an English text the one to show.
    pub fn pick<T>(&self, (zh, en): (T, T)) -> T {
        match self.language {
            Language::Chinese => zh,
            Language::English => en,
        }
    }
}

impl FromRequestParts<Shared> for Page {
    type Rejection = Infallible;

    async fn from_request_parts(parts: &mut Parts, shared: &Shared) -> Result<Self, Infallible> {
        let language = language(&parts.headers);
        Ok(Self {
            language,
            t: language.messages(),
            lang: language.tag(),
            room: shared.web.room.clone(),
            demo: shared.web.demo.is_some(),
            asks: shared.web.listen_reason,
            report: shared.web.report,
        })
    }
}

fn language(headers: &HeaderMap) -> Language {
    let cookies = CookieJar::from_headers(headers);
    let cookie = cookies.get(Language::COOKIE).map(Cookie::value);
    let accept = headers.get(ACCEPT_LANGUAGE).and_then(|value| value.to_str().ok());
    Language::choose(cookie, accept)
}

#[derive(Debug, Deserialize)]
pub struct Choice {
    to: String,
}

/// `POST /language`
pub async fn set_language(headers: HeaderMap, Form(choice): Form<Choice>) -> Response {
    let tag = if choice.to == "en" { "en" } else { "zh" };
    let cookie = Cookie::build((Language::COOKIE, tag))
        .path("/")
        .http_only(true)
        .same_site(SameSite::Strict)
        .permanent()
        .build();
    (CookieJar::new().add(cookie), Redirect::to(&came_from(&headers))).into_response()
}

/// The path of the page on which something was asked, or the desk.
pub fn came_from(headers: &HeaderMap) -> String {
    let from = headers.get(REFERER).and_then(|from| from.to_str().ok());
    let from = from.and_then(|from| from.parse::<Uri>().ok());
    let path = from.as_ref().and_then(Uri::path_and_query).map_or("/", |path| path.as_str());
    local(path).to_owned()
}

/// A path of ours to go to, or the desk: never another site.
pub fn local(path: &str) -> &str {
    let ours = path.starts_with('/')
        && !path.starts_with("//")
        && path.bytes().all(|byte| byte.is_ascii_graphic() && byte != b'\\');
    if ours { path } else { "/" }
}

/// A text as the value of a query.
pub fn in_query(text: &str) -> String {
    let plain = |byte: u8| byte.is_ascii_alphanumeric() || b"-._~/".contains(&byte);
    text.bytes()
        .map(|byte| if plain(byte) { char::from(byte).to_string() } else { format!("%{byte:02X}") })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nobody_is_sent_to_another_site() {
        for (path, to) in [
            ("/?entry=1", "/?entry=1"),
            ("//evil.example", "/"),
            ("/\\evil.example", "/"),
            ("https://evil.example", "/"),
            ("", "/"),
            ("/a\r\nSet-Cookie: x", "/"),
        ] {
            assert_eq!(local(path), to, "{path}");
        }
    }

    #[test]
    fn a_query_is_escaped() {
        assert_eq!(in_query("/?entry=a&b"), "/%3Fentry%3Da%26b");
        assert_eq!(in_query("值"), "%E5%80%BC");
    }
}
