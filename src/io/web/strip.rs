//! The strip at the top: line, recorder, log, storage and what is wrong now, always in sight.

use super::Shared;
use super::auth::Officer;
use super::escalation_view::Reporting;
use super::failure::Failure;
use super::messages::{Messages, fill};
use super::page::Page;
use super::roll_call;
use super::rows;
use super::self_test;
use super::times;
use super::view::{Chip, Mark};
use crate::duty::entry::urgency_label;
use crate::io::clock;
use crate::io::status::{LineState, PartState, Status};
use crate::io::store::{OutageKind, OutageRow};
use askama::Template;
use axum::extract::State;
use axum::response::Html;
use chrono::{DateTime, TimeDelta, Utc};

/// Less storage than this is shown as a warning (W-DISK).
const FEW_DAYS: u64 = 14;
/// The escalator's alarm when nobody has answered.
const SIREN: &str = "siren";
/// Outages that are looked through for the line's last.
const OUTAGES: u32 = 20;
/// How long an outage that is over stays in sight.
const SHIFT: TimeDelta = TimeDelta::hours(12);
/// More days than this are not worth counting.
const MANY_DAYS: u64 = 3650;

pub struct Strip {
    pub chips: Vec<Chip>,
    pub open: Vec<Open>,
    pub alarms: Vec<Alarm>,
}

/// An escalation that nobody has acknowledged.
pub struct Open {
    pub entry: String,
    pub caller: String,
    pub mark: Mark,
    /// 演练
    pub drill: &'static str,
    pub urgency: &'static str,
    pub text: &'static str,
    pub since: String,
    pub reporting: Option<Reporting>,
    pub siren: bool,
}

pub struct Alarm {
    pub text: String,
    pub since: String,
    /// The desk sounds.
    pub siren: bool,
}

#[derive(Template)]
#[template(path = "strip.html")]
struct Fragment {
    page: Page,
    strip: Strip,
}

/// `GET /strip`
pub async fn get(
    State(shared): State<Shared>,
    _officer: Officer,
    page: Page,
) -> Result<Html<String>, Failure> {
    let strip = strip(&shared, &page).await;
    Ok(Html(Fragment { page, strip }.render()?))
}

pub async fn strip(shared: &Shared, page: &Page) -> Strip {
    let status = shared.web.board.status();
    let moment = clock::now();
    let now = moment.wall;
    let t = page.t;
    let open = open(shared, page, now).await;
    let mut line = line_chip(&status.line, &shared.web.line, t);
    if let Some(last) = last_outage(shared, now).await {
        note_outage(&mut line, &last, t, now);
    }
    let mut recorder = part_chip(t.recorder, &status.recorder, t);
    if let Ok(Some(at)) = shared.web.store.last_good_recording().await {
        recorder.note = fill(t.last_good, times::short(at, now));
    }
    let numbers = status.numbers.iter().map(|(number, state)| line_chip(state, number, t));
    let mut chips: Vec<Chip> = [line].into_iter().chain(numbers).collect();
    chips.extend([recorder, part_chip(t.log, &status.log, t), disk_chip(&status, t)]);
    chips.extend(copy_chip(&status, t));
    chips.extend(self_test::chip(shared, page, now).await);
    chips.extend(roll_call::chip(shared, page, now).await);
    chips.extend(roll_call::numbers_chip(shared, page, moment).await);
    let mut alarms = alarms(&status, &open, page, now);
    alarms.extend(restored(shared, page, now).await);
    Strip { chips, alarms, open }
}

/// For a day after a backup was put back that lacks something.
async fn restored(shared: &Shared, page: &Page, now: DateTime<Utc>) -> Option<Alarm> {
    let row = shared.web.store.restored_since(now - TimeDelta::days(1)).await.ok()??;
    let to = row.to.unwrap_or(now);
    let what = format!("{} — {}", times::full(row.from), times::full(to));
    let (text, since) =
        (fill(page.t.log_restored, what), fill(page.t.since, times::short(to, now)));
    Some(Alarm { text, since, siren: false })
}

/// Leaders are being called: in sight until somebody acknowledges, whichever entry is open.
async fn open(shared: &Shared, page: &Page, now: DateTime<Utc>) -> Vec<Open> {
    let found = shared.web.store.open_escalations().await.unwrap_or_else(|error| {
        tracing::error!(%error, "the open escalations cannot be read");
        vec![]
    });
    let mut shown = vec![];
    for row in &found {
        // Whose matter it is, is worth a look-up: seldom is more than one open.
        let entry = shared.web.store.entry_row(row.entry).await.ok().flatten();
        let call = entry.as_ref().and_then(|entry| entry.call.as_ref());
        let caller = |call| format!("{} {}", rows::number(call, page.t), rows::name(call, page.t));
        shown.push(Open {
            entry: row.entry.to_string(),
            caller: call.map_or_else(String::new, caller),
            mark: rows::escalation_mark(row, page.t),
            drill: if row.exercise.is_some() { page.t.drill } else { "" },
            urgency: page.pick(urgency_label(row.urgency)),
            text: if row.siren.is_some() {
                page.t.escalation_exhausted
            } else {
                page.t.escalation_notifying
            },
            since: fill(page.t.since, times::short(row.raised, now)),
            reporting: row.exercise.is_none().then(|| Reporting::of(row.raised, page, now)),
            siren: row.siren.is_some(),
        });
    }
    shown
}

/// The line's last outage of this shift, while it lasts or after it.
async fn last_outage(shared: &Shared, now: DateTime<Utc>) -> Option<OutageRow> {
    let found = shared.web.store.outages(OUTAGES).await.unwrap_or_else(|error| {
        tracing::error!(%error, "the outages cannot be read");
        vec![]
    });
    let recent = |row: &OutageRow| now - row.to.unwrap_or(now) <= SHIFT;
    found
        .into_iter()
        .find(|row| row.kind == OutageKind::Line && row.number.is_none() && recent(row))
}

fn note_outage(chip: &mut Chip, last: &OutageRow, t: &Messages, now: DateTime<Utc>) {
    let from = times::short(last.from, now);
    let shown = match last.to {
        Some(to) => format!("{from}–{}", times::short(to, now)),
        None => format!("{from}–"),
    };
    chip.note = fill(t.outage, shown);
    let lasted = times::span(last.from, last.to.unwrap_or(now));
    let status = last.status.map_or_else(String::new, |status| status.to_string());
    chip.title = format!("{} ({lasted}, {status} {})", chip.note, last.why);
}

fn line_chip(line: &LineState, number: &str, t: &Messages) -> Chip {
    let (text, mark, title) = match line {
        LineState::Starting => (t.line_starting, Mark::new("▲", "warn", ""), String::new()),
        LineState::Registered { since } => {
            (t.line_up, Mark::new("●", "ok", ""), fill(t.since, times::full(*since)))
        }
        LineState::Lost { since, .. } => {
            (t.line_lost, Mark::new("■", "bad", ""), fill(t.since, times::full(*since)))
        }
    };
    let label = format!("{} {number}", t.line);
    Chip { label, text: text.to_owned(), note: String::new(), title, mark }
}

fn part_chip(label: &str, part: &PartState, t: &Messages) -> Chip {
    let (text, title, mark) = match part {
        PartState::Ok => (t.part_ok, String::new(), Mark::new("●", "ok", "")),
        PartState::Failed { why, .. } => (t.part_failed, why.clone(), Mark::new("■", "bad", "")),
    };
    Chip { label: label.to_owned(), text: text.to_owned(), note: String::new(), title, mark }
}

fn disk_chip(status: &Status, t: &Messages) -> Chip {
    let days = status.disk.days;
    // Nothing measured yet is neither good nor bad.
    let mark = match days {
        0 if status.disk.free == 0 => Mark::new("○", "idle", ""),
        0..FEW_DAYS => Mark::new("▲", "warn", ""),
        _ => Mark::new("●", "ok", ""),
    };
    let text = match days {
        0 if status.disk.free == 0 => "–".to_owned(),
        0..=MANY_DAYS => fill(t.days_left, days),
        _ => t.days_plenty.to_owned(),
    };
    let title = format!("{} MiB", status.disk.free / (1024 * 1024));
    Chip { label: t.storage.to_owned(), text, note: String::new(), title, mark }
}

/// None where there is no second copy.
fn copy_chip(status: &Status, t: &Messages) -> Option<Chip> {
    let left = status.copies?.left;
    let failed =
        ["copies", "copies_differ", "copies_own"].iter().any(|key| status.alarms.contains_key(key));
    let mark = match left {
        _ if failed => Mark::new("■", "bad", ""),
        0 => Mark::new("●", "ok", ""),
        _ => Mark::new("▲", "warn", ""),
    };
    let text = match left {
        0 if failed => t.part_failed.to_owned(),
        0 => t.copies_whole.to_owned(),
        _ => fill(t.copies_left, left),
    };
    let (note, title) = (String::new(), String::new());
    Some(Chip { label: t.copies.to_owned(), text, note, title, mark })
}

fn alarms(status: &Status, open: &[Open], page: &Page, now: DateTime<Utc>) -> Vec<Alarm> {
    let t = page.t;
    let mut alarms = vec![];
    for (key, alarm) in &status.alarms {
        let siren = *key == SIREN;
        // The escalation's own line says whose matter it is.
        if siren && open.iter().any(|one| one.siren) {
            continue;
        }
        let since = fill(t.since, times::short(alarm.since, now));
        alarms.push(Alarm { text: page.pick((&alarm.zh, &alarm.en)).clone(), since, siren });
    }
    let mut add = |text: String, since: &DateTime<Utc>| {
        let since = fill(t.since, times::short(*since, now));
        alarms.push(Alarm { text, since, siren: false });
    };
    // A part that failed is told even where nobody has put up an alarm of his own for it.
    let untold = |key: &str| !status.alarms.contains_key(key);
    match &status.line {
        LineState::Lost { since, why, status } if untold("line") => {
            add(format!("{} ({status} {why})", t.line_lost_alarm), since);
        }
        LineState::Starting | LineState::Registered { .. } | LineState::Lost { .. } => {}
    }
    for (key, part, text) in
        [("recorder", &status.recorder, t.recorder_alarm), ("log", &status.log, t.log_alarm)]
    {
        match part {
            PartState::Failed { since, why } if untold(key) => add(fill(text, why), since),
            PartState::Ok | PartState::Failed { .. } => {}
        }
    }
    alarms
}
