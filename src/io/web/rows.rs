//! `GET /rows`: the list of entries, newest first, and the calls that ring.

use super::Shared;
use super::auth::Officer;
use super::caller_view;
use super::failure::Failure;
use super::messages::{Messages, fill};
use super::outcome;
use super::page::Page;
use super::times;
use super::view::{self, Mark};
use crate::duty::journal::Disposition;
use crate::io::clock;
use crate::io::store::{
    CallRow, CallState, CallbackState, EntryRow, EscalationRow, EscalationState,
};
use askama::Template;
use axum::extract::{Query, State};
use axum::response::Html;
use chrono::{DateTime, Utc};
use serde::Deserialize;

/// Entries shown at first, and how many more each time.
const STEP: u32 = 100;
const MOST: u32 = 2000;

pub struct List {
    pub rows: Vec<Row>,
    pub ringing: Vec<Ringing>,
    pub failed: bool,
    /// To whoever asks.
    pub closed: bool,
    pub most: u32,
    pub more: Option<u32>,
}

pub struct Ringing {
    pub id: String,
    pub caller: String,
    pub name: String,
    pub vouched: bool,
    /// The duty number that was called; empty for the line's own.
    pub called: String,
    /// Parted by 、, as the pop-up shows it.
    pub diverted: String,
    /// Milliseconds since 1970.
    pub at: i64,
}

pub struct Row {
    pub id: String,
    pub time: String,
    pub full_time: String,
    pub caller: String,
    pub name: String,
    pub urgency: Mark,
    pub call: Mark,
    /// 演练, 点名, 号码核实
    pub exercise: Option<Mark>,
    /// 呼出
    pub placed: Option<Mark>,
    /// Only where the number cannot be believed.
    pub unverified: Option<Mark>,
    pub state: Mark,
    pub escalation: Option<Mark>,
    pub recording: Option<Mark>,
    pub callback: Option<Mark>,
    /// 待回拨
    pub to_call_back: bool,
}

#[derive(Debug, Default, Deserialize)]
pub struct Asked {
    most: Option<u32>,
}

#[derive(Template)]
#[template(path = "rows.html")]
struct Fragment {
    page: Page,
    list: List,
}

pub async fn get(
    State(shared): State<Shared>,
    officer: Officer,
    page: Page,
    Query(asked): Query<Asked>,
) -> Result<Html<String>, Failure> {
    let list = list(&shared, &officer, &page, asked.most).await;
    Ok(Html(Fragment { page, list }.render()?))
}

/// The list. A log that cannot be read leaves the desk usable: strip and pop-up do not need it. A system administrator sees
/// what rings, to know that it does, and no entry.
pub async fn list(shared: &Shared, officer: &Officer, page: &Page, most: Option<u32>) -> List {
    let most = most.unwrap_or(STEP).clamp(STEP, MOST);
    let now = clock::now().wall;
    let (found, failed) = match shared.web.store.recent_entries(most).await {
        Ok(found) => (found, false),
        Err(error) => {
            tracing::error!(%error, "the list of entries cannot be read");
            (vec![], true)
        }
    };
    let closed = !officer.works();
    let full = u32::try_from(found.len()).is_ok_and(|there| there >= most);
    List {
        ringing: found.iter().filter_map(|row| ringing(row, page.t)).collect(),
        rows: found.iter().filter(|_| !closed).map(|found| row(found, page, now)).collect(),
        failed,
        closed,
        most,
        more: (full && most < MOST && !closed).then_some(most + STEP),
    }
}

fn ringing(row: &EntryRow, t: &Messages) -> Option<Ringing> {
    let call = row.call.as_ref()?;
    if call.placed || call.state != CallState::Ringing {
        return None;
    }
    Some(Ringing {
        id: row.id.to_string(),
        caller: number(call, t),
        name: name(call, t),
        vouched: call.vouched,
        called: call.called.clone(),
        diverted: caller_view::chain(call, t),
        at: call.arrived.timestamp_millis(),
    })
}

pub fn row(row: &EntryRow, page: &Page, now: DateTime<Utc>) -> Row {
    let t = page.t;
    let (caller, who) = match &row.call {
        Some(call) => (number(call, t), name_and_way(call, t)),
        None => (row.caller_phone.clone(), format!("{} {}", row.caller_unit, row.caller_name)),
    };
    // Of an entry without a number the first line is who it is about, or else what.
    let mut parts =
        [caller.as_str(), who.trim(), &row.subject].into_iter().filter(|s| !s.is_empty());
    let (caller, name) =
        (parts.next().unwrap_or_default().to_owned(), parts.collect::<Vec<_>>().join(" · "));
    Row {
        id: row.id.to_string(),
        time: times::short(row.occurred, now),
        full_time: format!("{} {}", row.number, times::full(row.occurred)),
        caller,
        name,
        urgency: view::urgency(row.urgency, t),
        call: row.call.as_ref().map_or(Mark::new("○", "idle", ""), |call| call_mark(call, t)),
        exercise: row.exercise.map(|kind| view::exercise(kind, t)),
        placed: row
            .call
            .as_ref()
            .filter(|call| call.placed)
            .map(|_| Mark::new("↗", "placed", t.call_out)),
        unverified: row
            .call
            .as_ref()
            .map(|call| view::vouched(call, t))
            .filter(|m| m.class != "ok"),
        state: view::entry_state(row.state, t),
        escalation: row.escalation.as_ref().map(|escalation| escalation_mark(escalation, t)),
        recording: row.recording.map(|state| view::recording(state, t)),
        callback: row.callback.map(|state| view::callback(state, t)),
        to_call_back: row.callback == Some(CallbackState::Open),
    }
}

pub fn number(call: &CallRow, t: &Messages) -> String {
    if call.caller.is_empty() { t.no_number.to_owned() } else { call.caller.clone() }
}

/// Whom the directory knows under the number, else what the caller says he is.
pub fn name(call: &CallRow, t: &Messages) -> String {
    let known = [&call.contact_unit, &call.contact_name, &call.contact_duty];
    let known: Vec<&str> =
        known.into_iter().filter(|part| !part.is_empty()).map(String::as_str).collect();
    if !known.is_empty() {
        known.join(" ")
    } else if call.display.is_empty() || call.display == call.caller {
        [t.unknown_contact, &call.town].join(" ").trim_end().to_owned()
    } else {
        [&call.town, t.claims_to_be, &call.display].join(" ").trim_start().to_owned()
    }
}

fn name_and_way(call: &CallRow, t: &Messages) -> String {
    let by = (!call.diverted.is_empty()).then(|| fill(t.diverted_by, caller_view::chain(call, t)));
    let called = Some(caller_view::called(call, t)).filter(|called| !called.is_empty());
    let parts = [Some(name(call, t)), called, by].into_iter().flatten();
    parts.collect::<Vec<_>>().join(" · ")
}

pub fn call_mark(call: &CallRow, t: &'static Messages) -> Mark {
    match (call.state, call.disposition) {
        (CallState::Ringing, _) if call.placed => Mark::new("◇", "dialling", t.dialling),
        (CallState::Ringing, _) => Mark::new("◆", "ringing", t.ringing),
        (CallState::Queued, _) => Mark::new("◆", "queued", t.queued),
        (CallState::Message, _) => Mark::new("◇", "message", t.leaving_message),
        (CallState::InCall, _) => Mark::new("●", "in-call", t.in_call),
        (CallState::Held, _) => Mark::new("◐", "held", t.held),
        (CallState::Ended, Some(Disposition::Answered) | None) => Mark::new("●", "ended", t.ended),
        (CallState::Ended, Some(how)) if call.placed => outcome::disposition(how, t),
        (CallState::Ended, Some(how)) => view::disposition(how, t),
    }
}

pub fn escalation_mark(escalation: &EscalationRow, t: &'static Messages) -> Mark {
    match escalation.state {
        EscalationState::Open if escalation.siren.is_some() => {
            Mark::new("■", "exhausted", t.escalation_exhausted_short)
        }
        EscalationState::Open => Mark::new("▲", "notifying", t.escalation_notifying),
        EscalationState::Acknowledged => Mark::new("●", "acknowledged", t.escalation_acknowledged),
        EscalationState::Withdrawn => Mark::new("○", "withdrawn", t.escalation_withdrawn),
    }
}
