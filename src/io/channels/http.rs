//! HTTP to providers and to a store of copies: the only door to reqwest. No redirect is followed, no proxy is asked,
//! little is read of a provider, and everything has a limit.

use super::guard::{Guard, Stopped};
use crate::duty::notices::Verdict;
use crate::io::clock;
use crate::io::tls;
use chrono::DateTime;
pub use reqwest::Body;
use reqwest::dns::{Addrs, Name, Resolve, Resolving};
use reqwest::redirect::Policy;
use reqwest::{Client, Method, Response, Url};
use std::error::Error;
use std::net::IpAddr;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

const CONNECT_WITHIN: Duration = Duration::from_secs(3);
/// What is read of an answer, however long it is.
pub const READ_AT_MOST: usize = 64 * 1024;

/// One provider's client.
#[derive(Debug, Clone)]
pub struct Http {
    client: Client,
    guard: Guard,
}

#[derive(Debug, Clone, Default)]
pub struct Request {
    pub url: String,
    /// Encoded here, once.
    pub query: Vec<(&'static str, String)>,
    pub headers: Vec<(String, String)>,
    /// Its type and its bytes; `None`: a GET.
    pub body: Option<(String, Vec<u8>)>,
}

#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Answer {
    pub status: u16,
    pub retry_after: Option<Duration>,
    /// At most [`READ_AT_MOST`] bytes of it.
    pub body: Vec<u8>,
    /// It ended before its end, or was longer.
    pub cut: bool,
}

/// Why there is no answer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Fault {
    /// The address is one that may not be used, or none at all.
    Refused(&'static str),
    /// Nothing was sent.
    NotSent(&'static str),
    /// It may have been received.
    NoAnswer(&'static str),
}

impl Http {
    /// # Errors
    /// Why the authority's file cannot be used.
    pub fn new(guard: Guard, ca: Option<&Path>) -> Result<Self, String> {
        let resolver = Arc::new(Guarded(guard.clone()));
        let client = Client::builder()
            .tls_backend_preconfigured(tls::for_providers(ca)?)
            .redirect(Policy::none())
            .no_proxy()
            .referer(false)
            .connect_timeout(CONNECT_WITHIN)
            // A connection that the provider has closed meanwhile would cost a try.
            .pool_max_idle_per_host(0)
            .dns_resolver(resolver)
            .user_agent(concat!("dutyline/", env!("CARGO_PKG_VERSION")))
            .build()
            .map_err(|error| error.without_url().to_string())?;
        Ok(Self { client, guard })
    }

    pub fn guard(&self) -> &Guard {
        &self.guard
    }

    /// # Errors
    /// Where there is no status line within `limit`.
    pub async fn send(&self, request: Request, limit: Duration) -> Result<Answer, Fault> {
        let mut url = Url::parse(&request.url).map_err(|_| Fault::Refused("no URL"))?;
        if !request.query.is_empty() {
            url.query_pairs_mut().extend_pairs(&request.query);
        }
        self.permits(&url)?;
        let method = if request.body.is_some() { Method::POST } else { Method::GET };
        let mut call = self.client.request(method, url);
        for (name, value) in request.headers {
            call = call.header(name, value);
        }
        if let Some((kind, bytes)) = request.body {
            call = call.header("content-type", kind).body(bytes);
        }
        let answered = async {
            let answer = call.send().await.map_err(|error| classify(&error))?;
            Ok(read(answer))
        };
        let until = tokio::time::Instant::now() + limit;
        let reading = match tokio::time::timeout_at(until, answered).await {
            Ok(reading) => reading?,
            Err(_) => return Err(Fault::NoAnswer("timeout")),
        };
        Ok(reading.within(until).await)
    }

    /// The answer to a request of any kind, as soon as its head is there; how long that may take is up to whoever asks.
    ///
    /// # Errors
    /// Where there is no status line.
    pub async fn exchange(
        &self,
        request: http::Request<Body>,
    ) -> Result<http::Response<Body>, Fault> {
        let request =
            reqwest::Request::try_from(request).map_err(|_| Fault::Refused("no request"))?;
        self.permits(request.url())?;
        let answer = self.client.execute(request).await.map_err(|error| classify(&error))?;
        Ok(answer.into())
    }

    /// A resolver is not asked about an address.
    fn permits(&self, url: &Url) -> Result<(), Fault> {
        let host = url.host_str().unwrap_or_default();
        let host = host.trim_start_matches('[').trim_end_matches(']');
        match host.parse::<IpAddr>().is_ok_and(|ip| !self.guard.permits(ip)) {
            true => Err(Fault::Refused("address not allowed")),
            false => Ok(()),
        }
    }
}

/// An answer whose status is there.
struct Reading {
    response: Response,
    answer: Answer,
}

fn read(response: Response) -> Reading {
    let header = response.headers().get("retry-after");
    let retry_after = header.and_then(|value| value.to_str().ok()).and_then(retry_after);
    let status = response.status().as_u16();
    Reading { response, answer: Answer { status, retry_after, ..Answer::default() } }
}

impl Reading {
    /// What came of the body by then: the status stands whatever becomes of it.
    async fn within(mut self, until: tokio::time::Instant) -> Answer {
        loop {
            match tokio::time::timeout_at(until, self.response.chunk()).await {
                Ok(Ok(Some(bytes))) => {
                    let room = READ_AT_MOST - self.answer.body.len();
                    self.answer.body.extend_from_slice(&bytes[..bytes.len().min(room)]);
                    if bytes.len() > room {
                        self.answer.cut = true;
                        return self.answer;
                    }
                }
                Ok(Ok(None)) => return self.answer,
                Ok(Err(_)) | Err(_) => {
                    self.answer.cut = true;
                    return self.answer;
                }
            }
        }
    }
}

/// Seconds, or a date (RFC 9110 §10.2.3).
fn retry_after(text: &str) -> Option<Duration> {
    if let Ok(seconds) = text.trim().parse::<u32>() {
        return Some(Duration::from_secs(seconds.into()));
    }
    let at = DateTime::parse_from_rfc2822(text.trim()).ok()?;
    (at.to_utc() - clock::now().wall).to_std().ok()
}

fn classify(error: &reqwest::Error) -> Fault {
    if tls::is_certificate_fault(error) {
        return Fault::NotSent("certificate refused");
    }
    let mut source: Option<&(dyn Error + 'static)> = error.source();
    while let Some(inner) = source {
        match inner.downcast_ref::<Stopped>() {
            Some(Stopped::Forbidden) => return Fault::Refused("address not allowed"),
            Some(Stopped::Unknown) => return Fault::NotSent("name unknown"),
            None => {}
        }
        source = inner.source();
    }
    if error.is_builder() {
        return Fault::Refused("no request");
    }
    match (error.is_connect(), error.is_timeout()) {
        (true, true) => Fault::NotSent("no connection in time"),
        (true, false) => Fault::NotSent("no connection"),
        (false, true) => Fault::NoAnswer("timeout"),
        (false, false) => Fault::NoAnswer("connection lost"),
    }
}

/// A name's addresses, after they were judged.
struct Guarded(Guard);

impl Resolve for Guarded {
    fn resolve(&self, name: Name) -> Resolving {
        let guard = self.0.clone();
        Box::pin(async move {
            let found = guard.look_up(name.as_str(), 0).await?;
            let found: Addrs = Box::new(found.into_iter());
            Ok(found)
        })
    }
}

impl Fault {
    pub fn verdict(self) -> Verdict {
        match self {
            Self::Refused(why) => Verdict::Permanent { why: why.to_owned() },
            Self::NotSent(why) => Verdict::Retry { after: None, why: why.to_owned() },
            Self::NoAnswer(why) => Verdict::Unknown { why: why.to_owned() },
        }
    }
}

impl Answer {
    /// What the status alone says; `None`: it was taken, as far as HTTP goes.
    pub fn fault(&self) -> Option<Verdict> {
        let why = format!("http {}", self.status);
        match self.status {
            200..=299 => None,
            410 => Some(Verdict::Gone { why }),
            // Whoever answers so may have passed it on.
            408 | 500 | 502 | 504 => Some(Verdict::Unknown { why }),
            425 | 429 | 500..=599 => Some(Verdict::Retry { after: self.retry_after, why }),
            _ => Some(Verdict::Permanent { why }),
        }
    }

    /// The body, where it is a JSON object that is whole.
    pub fn json(&self) -> Option<serde_json::Value> {
        let value: serde_json::Value = serde_json::from_slice(&self.body).ok()?;
        (!self.cut && value.is_object()).then_some(value)
    }
}
