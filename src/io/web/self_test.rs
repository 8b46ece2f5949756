//! 录音自检: asked for by an officer, and its last result in sight.

use super::Shared;
use super::auth::Officer;
use super::failure::Failure;
use super::page::Page;
use super::times;
use super::view::{Chip, Mark};
use crate::io::clock;
use axum::extract::State;
use axum::http::StatusCode;
use chrono::{DateTime, TimeDelta, Utc};

/// An older result is no longer of this shift.
const SHIFT: TimeDelta = TimeDelta::hours(26);

/// `POST /self-test`: 202; the result is shown at the top. 404 where no extension is configured for it.
pub async fn ask(State(shared): State<Shared>, officer: Officer) -> Result<StatusCode, Failure> {
    let Some(wanted) = &shared.web.self_test else { return Ok(StatusCode::NOT_FOUND) };
    shared.web.store.self_test_wanted(&officer.who, clock::now()).await?;
    // One that waits already is the one that was asked for.
    let _ = wanted.try_send(officer.who.name);
    Ok(StatusCode::ACCEPTED)
}

/// The last result; none where no extension is configured for it.
pub async fn chip(shared: &Shared, page: &Page, now: DateTime<Utc>) -> Option<Chip> {
    let t = page.t;
    shared.web.self_test.as_ref()?;
    let last = shared.web.store.last_self_test().await.unwrap_or_else(|error| {
        tracing::error!(%error, "the self-tests cannot be read");
        None
    });
    let label = t.self_test.to_owned();
    let Some(last) = last else {
        let mark = Mark::new("▲", "warn", "");
        let (text, note, title) = (t.self_test_never.to_owned(), String::new(), String::new());
        return Some(Chip { label, text, note, title, mark });
    };
    let note = times::short(last.at, now);
    Some(match last.failing {
        Some(failing) => {
            let title = page.pick(failing.remedy()).to_owned();
            let mark = Mark::new("■", "bad", "");
            Chip { label, text: t.self_test_bad.to_owned(), note, title, mark }
        }
        None => {
            let old = now - last.at > SHIFT;
            let mark = if old { Mark::new("▲", "warn", "") } else { Mark::new("●", "ok", "") };
            let off = last.measured.off_ms.map_or(String::new(), |off| format!("{off:+} ms"));
            Chip { label, text: t.self_test_good.to_owned(), note, title: off, mark }
        }
    })
}
