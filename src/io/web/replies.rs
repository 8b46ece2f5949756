//! `/channels/{channel}/replies`: what an SMS gateway hands on. Whoever signs it is known; nobody is signed in.

use super::Shared;
use crate::io::channels::{Heard, Signed};
use axum::body::Bytes;
use axum::extract::{Path, State};
use axum::http::{HeaderMap, StatusCode};

pub async fn take(
    State(shared): State<Shared>,
    Path(channel): Path<String>,
    headers: HeaderMap,
    body: Bytes,
) -> StatusCode {
    let Some(replies) = &shared.web.replies else { return StatusCode::NOT_FOUND };
    let header = |name: &str| headers.get(name).and_then(|value| value.to_str().ok());
    let signed = Signed {
        id: header("webhook-id").unwrap_or_default(),
        at: header("webhook-timestamp").unwrap_or_default(),
        signature: header("webhook-signature").unwrap_or_default(),
    };
    match replies.take(&channel, signed, &body).await {
        Heard::Taken => StatusCode::NO_CONTENT,
        Heard::NoSuchChannel => StatusCode::NOT_FOUND,
        Heard::Unsigned => StatusCode::UNAUTHORIZED,
        Heard::NoText | Heard::NoTime => StatusCode::UNPROCESSABLE_ENTITY,
        Heard::NotNow => StatusCode::SERVICE_UNAVAILABLE,
    }
}
