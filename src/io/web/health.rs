//! `/healthz` and `/readyz`: for the supervisor and for monitoring, without a session.

use super::Shared;
use crate::io::status::{LineState, PartState};
use axum::Json;
use axum::extract::State;
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use serde_json::json;

/// 200 while the control task turns, 503 when it is wedged.
pub async fn healthz(State(shared): State<Shared>) -> Response {
    if (shared.web.alive)() {
        (StatusCode::OK, "ok").into_response()
    } else {
        (StatusCode::SERVICE_UNAVAILABLE, "the control task does not turn").into_response()
    }
}

/// 200 while calls can be taken, written down and recorded, and what was written is known beside the log; what is missing
/// otherwise.
pub async fn readyz(State(shared): State<Shared>) -> Response {
    let status = shared.web.board.status();
    let ok = |part: &PartState| *part == PartState::Ok;
    let checks = json!({
        "control": (shared.web.alive)(),
        "line": matches!(status.line, LineState::Registered { .. }),
        "numbers": status.numbers.values().all(|one| matches!(one, LineState::Registered { .. })),
        "recorder": ok(&status.recorder),
        "log": ok(&status.log) && shared.web.store.writable().await.is_ok(),
        "disk": !status.alarms.contains_key("disk"),
        "parts": !status.alarms.contains_key("part"),
        "log_mark": !status.alarms.contains_key("log_mark"),
    });
    let ready = checks.as_object().is_some_and(|all| all.values().all(|ok| ok == true));
    let code = if ready { StatusCode::OK } else { StatusCode::SERVICE_UNAVAILABLE };
    (code, Json(checks)).into_response()
}
