//! Requests to the store, over the HTTP client that all else uses: no redirect, no proxy, the guard's addresses, and a
//! limit. Any answer but 2xx is a [`Refusal`], and so is a deletion that only hides.

use crate::config::copies::Bucket;
use crate::io::channels::http::{Body, Fault, Http};
use async_trait::async_trait;
use http::{HeaderMap, HeaderValue, Method, Request, Response};
use http_body_util::{BodyExt, Limited};
use object_store::ClientOptions;
use object_store::aws::{AmazonS3, AmazonS3Builder};
use object_store::client::{
    HttpClient, HttpConnector, HttpError, HttpErrorKind, HttpRequest, HttpResponse,
    HttpResponseBody, HttpService,
};
use std::error::Error;
use std::future::Future;
use std::io;
use std::path::PathBuf;
use std::pin::pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;
use tokio::fs::File;
use tokio_stream::StreamExt;
use tokio_util::io::ReaderStream;
use tower::BoxError;
use tower_http::timeout::{TimeoutBody, TimeoutError};

/// What is read of an answer that says no.
const READ_AT_MOST: usize = 64 * 1024;
const PIECE: usize = 256 * 1024;

/// Why a request came to nothing.
#[derive(Debug, thiserror::Error)]
pub enum Refusal {
    #[error("{0:?}")]
    Lost(Fault),
    /// The answer stopped before its end.
    #[error("the answer is cut")]
    Cut,
    #[error("http {status}{gap}{code}", gap = if code.is_empty() { "" } else { " " })]
    Answer {
        status: u16,
        /// S3's word for it, such as `NoSuchBucket`; empty where there is none.
        code: String,
        /// The store has it still, and only shows it no more.
        hidden: bool,
    },
    /// What is to be sent cannot be read.
    #[error("{0}")]
    Source(io::Error),
}

/// The body of a PUT: a file, which is sent as it is read.
#[derive(Debug, Clone)]
pub struct Upload(pub PathBuf);

/// The store as it is configured. What does not move for so long is given up.
///
/// # Errors
/// Why it cannot be spoken to.
pub fn connect(plan: &Bucket, http: Http, within: Duration) -> Result<AmazonS3, String> {
    let wire = Wire { http, within };
    let endpoint = match (plan.path_style, plan.endpoint.split_once("://")) {
        (false, Some((scheme, host))) => format!("{scheme}://{}.{host}", plan.name),
        _ => plan.endpoint.clone(),
    };
    let retry = object_store::RetryConfig { max_retries: 0, ..Default::default() };
    AmazonS3Builder::new()
        .with_endpoint(endpoint)
        .with_bucket_name(&plan.name)
        .with_region(&plan.region)
        .with_virtual_hosted_style_request(!plan.path_style)
        .with_access_key_id(plan.access_key.expose())
        .with_secret_access_key(plan.secret_key.expose())
        // A body that is sent as it is read; it is read back in any case.
        .with_unsigned_payload(true)
        .with_disable_bulk_delete(true)
        .with_allow_http(plan.endpoint.starts_with("http://"))
        .with_retry(retry)
        .with_http_connector(wire)
        .build()
        .map_err(|error| error.to_string())
}

/// The refusal within an error of the library, however deep.
pub fn refusal<'a>(error: &'a (dyn Error + 'static)) -> Option<&'a Refusal> {
    let mut next = Some(error);
    while let Some(one) = next {
        if let Some(refusal) = one.downcast_ref() {
            return Some(refusal);
        }
        next = one.source();
    }
    None
}

#[derive(Debug, Clone)]
struct Wire {
    http: Http,
    within: Duration,
}

impl HttpConnector for Wire {
    fn connect(&self, _: &ClientOptions) -> object_store::Result<HttpClient> {
        Ok(HttpClient::new(self.clone()))
    }
}

#[async_trait]
impl HttpService for Wire {
    async fn call(&self, request: HttpRequest) -> Result<HttpResponse, HttpError> {
        self.exchange(request).await.map_err(|why| HttpError::new(HttpErrorKind::Unknown, why))
    }
}

impl Wire {
    async fn exchange(&self, mut request: HttpRequest) -> Result<HttpResponse, Refusal> {
        let sent = Arc::<AtomicU64>::default();
        let deletes = request.method() == Method::DELETE;
        let request = match request.extensions_mut().remove::<Upload>() {
            Some(Upload(path)) => {
                with_file(request, path, sent.clone()).await.map_err(Refusal::Source)?
            }
            None => request.map(Body::wrap),
        };
        let answer = self.moving(self.http.exchange(request), &sent).await?;
        if !answer.status().is_success() || deletes && is_hidden(answer.headers()) {
            return Err(self.no(answer).await);
        }
        let why = |fault: BoxError| {
            let why = match fault.is::<TimeoutError>() {
                true => Refusal::Lost(Fault::NoAnswer("timeout")),
                false => Refusal::Cut,
            };
            HttpError::new(HttpErrorKind::Interrupted, why)
        };
        // Between two pieces, however many there are.
        let within = self.within;
        let steady = |body| TimeoutBody::new(within, body).map_err(why);
        Ok(answer.map(|body| HttpResponseBody::new(steady(body))))
    }

    /// However long it takes, as long as more is taken.
    async fn moving<T>(
        &self,
        answer: impl Future<Output = Result<T, Fault>>,
        sent: &AtomicU64,
    ) -> Result<T, Refusal> {
        let mut answer = pin!(answer);
        loop {
            let before = sent.load(Ordering::Relaxed);
            match tokio::time::timeout(self.within, &mut answer).await {
                Ok(answer) => return answer.map_err(Refusal::Lost),
                Err(_) if sent.load(Ordering::Relaxed) != before => {}
                Err(_) => return Err(Refusal::Lost(Fault::NoAnswer("timeout"))),
            }
        }
    }

    async fn no(&self, answer: Response<Body>) -> Refusal {
        let (head, body) = answer.into_parts();
        let body = Limited::new(body, READ_AT_MOST).collect();
        let body = tokio::time::timeout(self.within, body).await;
        let body = body.ok().and_then(Result::ok).map(|body| body.to_bytes()).unwrap_or_default();
        Refusal::Answer {
            status: head.status.as_u16(),
            code: code(&String::from_utf8_lossy(&body)),
            hidden: is_hidden(&head.headers),
        }
    }
}

/// The length is none of what is signed.
async fn with_file(
    request: HttpRequest,
    path: PathBuf,
    sent: Arc<AtomicU64>,
) -> io::Result<Request<Body>> {
    let file = File::open(path).await?;
    let (mut head, _) = request.into_parts();
    let length = HeaderValue::from(file.metadata().await?.len());
    head.headers.insert(http::header::CONTENT_LENGTH, length);
    let pieces = ReaderStream::with_capacity(file, PIECE).map(move |piece| {
        sent.fetch_add(1, Ordering::Relaxed);
        piece
    });
    Ok(Request::from_parts(head, Body::wrap_stream(pieces)))
}

/// The store says that a version is left behind what is deleted.
fn is_hidden(headers: &HeaderMap) -> bool {
    headers.get("x-amz-delete-marker").is_some_and(|marker| marker == "true")
}

/// What stands in `<Code>`, where it can be shown to people.
fn code(body: &str) -> String {
    let inside = body.split_once("<Code>").and_then(|(_, rest)| rest.split_once("</Code>"));
    let code = inside.map_or("", |(code, _)| code);
    let fits = code.len() <= 64 && code.bytes().all(|byte| byte.is_ascii_alphanumeric());
    if fits { code.to_owned() } else { String::new() }
}
