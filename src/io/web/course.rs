//! What happened in the course of a call (排队, 保持, 留言, 接听前), and calling its caller back.

use super::Shared;
use super::auth::Staff;
use super::entry_page::{Reason, gone, refused, shown};
use super::failure::Failure;
use super::messages::Messages;
use super::page::Page;
use super::times;
use super::view::{self, Mark};
use crate::duty::ids::EntryId;
use crate::duty::journal::Joining;
use crate::io::clock;
use crate::io::status::Live;
use crate::io::store::{CallbackRow, CallbackState, LegRow, Settled, StretchKind, StretchRow};
use axum::extract::{Form, Path, State};
use axum::response::Response;
use chrono::{DateTime, Utc};
use serde::Deserialize;

pub struct StretchView {
    pub time: String,
    pub full_time: String,
    pub text: &'static str,
    pub lasts: String,
    /// While it goes on: since when, in milliseconds since 1970.
    pub since: Option<i64>,
}

pub struct LegView {
    pub time: String,
    pub full_time: String,
    pub phone: String,
    pub text: &'static str,
    pub lasts: String,
    /// It goes on since then, in milliseconds.
    pub since: Option<i64>,
}

pub struct CallbackView {
    pub mark: Mark,
    pub open: bool,
    /// By whom, when, why not.
    pub settled: String,
}

/// `placed`: the officer has called.
pub fn stretch(
    row: &StretchRow,
    placed: bool,
    t: &'static Messages,
    now: DateTime<Utc>,
) -> StretchView {
    let text = match (row.kind, row.party.as_str()) {
        (StretchKind::Early, _) => t.stretch_early,
        (StretchKind::Queued, _) => t.stretch_queued,
        (StretchKind::Message, _) => t.stretch_message,
        (StretchKind::Hold, "caller") if placed => t.stretch_hold_called,
        (StretchKind::Hold, "caller") => t.stretch_hold_caller,
        (StretchKind::Hold, _) => t.stretch_hold_officer,
    };
    StretchView {
        time: times::short(row.from, now),
        full_time: times::full(row.from),
        text,
        lasts: match row.lasts_ms {
            Some(ms) => times::clock(ms / 1000),
            None => times::span(row.from, now),
        },
        since: row.to.is_none().then_some(row.from.timestamp_millis()),
    }
}

/// Who spoke with the caller from when to when, where that was more than one phone, or was to be.
pub fn legs(rows: &[LegRow], t: &'static Messages, now: DateTime<Utc>) -> Vec<LegView> {
    if rows.iter().all(|row| row.how == Joining::Rung) {
        return vec![];
    }
    let shown = rows.iter().filter(|row| row.taken.is_some() || row.how != Joining::Rung);
    let view = |row: &LegRow| {
        let from = row.taken.unwrap_or(row.rung);
        let failed = row.taken.is_none() && row.ended.is_some();
        LegView {
            time: times::short(from, now),
            full_time: times::full(from),
            phone: row.phone.clone(),
            text: match row.how {
                Joining::Rung => t.leg_rung,
                Joining::Transfer => t.leg_transfer,
                Joining::Pickup => t.leg_pickup,
                Joining::Conference => t.leg_conference,
                Joining::Out => t.leg_out,
            },
            since: (row.taken.is_some() && row.ended.is_none()).then_some(from.timestamp_millis()),
            lasts: match failed {
                true => t.leg_failed.to_owned(),
                false => times::span(from, row.ended.unwrap_or(now)),
            },
        }
    };
    shown.map(view).collect()
}

pub fn callback(row: &CallbackRow, t: &'static Messages, now: DateTime<Utc>) -> CallbackView {
    let at = row.settled.map(|at| times::short(at, now));
    let by = row.settled_by.clone();
    let why = (!row.reason.is_empty()).then(|| row.reason.clone());
    let settled: Vec<String> = [at, by, why].into_iter().flatten().collect();
    CallbackView {
        mark: view::callback(row.state, t),
        open: row.state == CallbackState::Open,
        settled: settled.join(" · "),
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Outcome {
    CalledBack,
    Impossible,
}

#[derive(Debug, Deserialize)]
pub struct Settlement {
    outcome: Outcome,
    #[serde(default)]
    reason: String,
}

/// `POST /entries/{entry}/callback`: 已回拨, or 无法回拨 with the reason.
pub async fn settle(
    State(shared): State<Shared>,
    Staff(officer): Staff,
    page: Page,
    Path(entry): Path<EntryId>,
    Form(given): Form<Settlement>,
) -> Result<Response, Failure> {
    let reason = Reason::from(given.reason).tidy();
    let reason = (given.outcome == Outcome::Impossible).then_some(reason.as_str());
    let store = &shared.web.store;
    match store.settle_callback(&officer.who, entry, reason, clock::now()).await? {
        Settled::Settled => shared.web.board.tell(Live::Entry { entry }),
        Settled::Already => return Err(refused(page.t.callback_settled.to_owned())),
        Settled::NoReason => return Err(refused(page.t.reason_needed.to_owned())),
        Settled::NotFound if store.entry_row(entry).await?.is_none() => return Err(gone(&page)),
        Settled::NotFound => return Err(refused(page.t.callback_none.to_owned())),
    }
    shown(&shared, &page, entry).await
}
