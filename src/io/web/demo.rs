//! The demo's button: makes a call come in.

use super::auth::Officer;
use super::failure::Failure;
use super::{DemoCommand, Shared};
use axum::extract::State;
use axum::http::StatusCode;

/// `POST /demo/call`: 404 outside the demo, 503 while it is busy.
pub async fn call(State(shared): State<Shared>, _officer: Officer) -> Result<StatusCode, Failure> {
    let demo = shared.web.demo.as_ref().ok_or(Failure::NotFound)?;
    demo.try_send(DemoCommand::Call).map_err(|_| Failure::Unavailable)?;
    Ok(StatusCode::ACCEPTED)
}
