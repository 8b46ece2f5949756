//! Who asks: the session behind the cookie.

use super::Shared;
use super::failure::Failure;
use super::page::{Page, came_from};
use super::visitor::Visitor;
use crate::io::clock;
use crate::io::store::{Account, Who};
use axum::extract::FromRequestParts;
use axum::http::request::Parts;
use axum::http::{Method, StatusCode};
use axum_extra::extract::CookieJar;
use axum_extra::extract::cookie::{Cookie, SameSite};

const COOKIE: &str = "dutyline_session";
/// By TLS the browser takes it from this host alone, and gives it to no other path or port without TLS.
const SECURE_COOKIE: &str = "__Host-dutyline_session";

/// Somebody who has signed in. A handler that takes this is closed to everybody else.
#[derive(Debug, Clone)]
pub struct Officer {
    pub who: Who,
    pub token: String,
}

impl Officer {
    /// Whether the room's work is his ([`Staff`]).
    pub fn works(&self) -> bool {
        self.who.account != Account::Admin
    }
}

impl FromRequestParts<Shared> for Officer {
    type Rejection = Failure;

    async fn from_request_parts(parts: &mut Parts, shared: &Shared) -> Result<Self, Failure> {
        let cookies = CookieJar::from_headers(&parts.headers);
        let Ok(visitor) = Visitor::from_request_parts(parts, shared).await;
        let terminal = visitor.to_string();
        if let Some(token) = cookies.get(name(visitor)).map(|cookie| cookie.value().to_owned()) {
            let session = shared.web.store.session(&token, &terminal, clock::now());
            if let Some(who) = session.await? {
                return Ok(Self { who, token });
            }
        }
        let by_script = by_script(parts);
        if parts.method == Method::GET && !by_script {
            let asked = parts.uri.path_and_query().map_or("/", |path| path.as_str());
            return Err(Failure::SignIn(asked.to_owned()));
        }
        // A browser that says nothing of a script may be sending a form: both read the status, a person the words.
        if !by_script {
            let Ok(page) = Page::from_request_parts(parts, shared).await;
            return Err(Failure::Expired(Box::new(page), came_from(&parts.headers)));
        }
        Err(Failure::NoSession)
    }
}

/// Who does the room's work: a system administrator keeps the machine, not what is said and written on it (domain §4.5, A-16).
#[derive(Debug, Clone)]
pub struct Staff(pub Officer);

impl FromRequestParts<Shared> for Staff {
    type Rejection = Failure;

    async fn from_request_parts(parts: &mut Parts, shared: &Shared) -> Result<Self, Failure> {
        let officer = Officer::from_request_parts(parts, shared).await?;
        if officer.works() {
            return Ok(Self(officer));
        }
        let Ok(page) = Page::from_request_parts(parts, shared).await;
        shared.web.store.access_refused(&officer.who, parts.uri.path(), clock::now()).await?;
        let (status, words) = (StatusCode::FORBIDDEN, page.t.not_for_admin.to_owned());
        if parts.method == Method::GET && !by_script(parts) {
            return Err(Failure::Notice(Box::new(page), status, words));
        }
        Err(Failure::Refused(status, words))
    }
}

fn by_script(parts: &Parts) -> bool {
    parts.headers.contains_key("hx-request")
        || parts.headers.get("sec-fetch-dest").is_some_and(|what| what != "document")
}

fn name(visitor: Visitor) -> &'static str {
    if visitor.secure { SECURE_COOKIE } else { COOKIE }
}

/// The cookie of a new session; the store ends the session. `Secure` where a proxy has TLS before us; the page itself is plain
/// HTTP.
pub fn cookie(token: String, visitor: Visitor) -> Cookie<'static> {
    Cookie::build((name(visitor), token))
        .path("/")
        .http_only(true)
        .secure(visitor.secure)
        .same_site(SameSite::Strict)
        .build()
}

/// Makes the browser forget the session.
pub fn gone(visitor: Visitor) -> Cookie<'static> {
    Cookie::build((name(visitor), "")).path("/").secure(visitor.secure).build()
}
