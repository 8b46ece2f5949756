//! A period: which calls there were, when something did not work, and whether the log can say that
//! nobody called.

pub mod asked;

use self::asked::Asked;
use super::Shared;
use super::auth::Staff;
use super::failure::Failure;
use super::messages::{Messages, fill};
use super::page::Page;
use super::refused::Refused;
use super::view::Mark;
use super::{export, rows, times, view};
use crate::duty::gaps::{self, OutageKind, Verdict};
use crate::io::clock;
use crate::io::store::{EntryRow, HeadRow, OutageRow};
use askama::Template;
use axum::extract::{Query, State};
use axum::response::Html;
use chrono::TimeDelta;

/// A line that is up was heard not longer ago.
const LATELY: TimeDelta = TimeDelta::minutes(1);
/// Calls of one period that are shown.
const MOST: u32 = 2000;

#[derive(Template)]
#[template(path = "period.html")]
struct Shown<'a> {
    page: &'a Page,
    refused: Refused,
    from: String,
    to: String,
    from_full: String,
    to_full: String,
    verdict: Words,
    calls: Vec<Call>,
    /// There are more than are shown.
    more: Option<String>,
    /// Whoever called: no exercises, tests, calls of our own or entries without a call.
    came: u64,
    outages: Vec<Outage>,
    signed: String,
    /// Link and words of what was asked for here.
    exports: Vec<(String, String)>,
}

struct Words {
    class: &'static str,
    shape: &'static str,
    text: String,
}

struct Call {
    link: String,
    number: String,
    time: String,
    caller: String,
    subject: String,
    /// How the call went, and where its entry stands.
    mark: Option<Mark>,
    state: Mark,
}

struct Outage {
    from: String,
    to: String,
    what: String,
    why: String,
}

/// `GET /period`
pub async fn get(
    State(shared): State<Shared>,
    Staff(officer): Staff,
    page: Page,
    Query(asked): Query<Asked>,
) -> Result<Html<String>, Failure> {
    let now = clock::now();
    let heard = shared.web.board.figures().heard;
    let proved = heard.map_or(now.wall, |heard| now.back_to(heard).wall);
    // Of a line that is up nobody asks for its last seconds.
    let (from, to) = asked.period(if now.wall - proved < LATELY { proved } else { now.wall });
    let store = &shared.web.store;
    let mut calls = store.entries_between(from, to, MOST + 1).await?;
    let more = calls.len() > MOST as usize;
    calls.truncate(MOST as usize);
    let came = store.came_between(from, to).await?;
    let outages = store.outages_between(from, to).await?;
    let head = store.head_of_period(from, to).await?;
    let stretches: Vec<_> = outages.iter().map(OutageRow::stretch).collect();
    let known = store.known_since().await?;
    let verdict = gaps::judge((from, to), came, &stretches, known, proved);
    let shown = Shown {
        from: times::field(from),
        to: times::field(to),
        from_full: times::full(from),
        to_full: times::full(to),
        verdict: words(&verdict, page.t),
        calls: calls.iter().map(|row| call(row, &page)).collect(),
        more: more.then(|| fill(page.t.period_more, MOST)),
        came,
        outages: outages.iter().map(|row| outage(row, &page)).collect(),
        signed: signed(head.as_ref(), page.t),
        exports: export::all_of(&shared, officer.who.id, page.t),
        refused: asked.wrong().map_or(Refused::nothing(), |(from, to)| {
            Refused::typed("period", &[("from", from), ("to", to)]).at("to", page.t.period_wrong)
        }),
        page: &page,
    };
    Ok(Html(shown.render()?))
}

fn words(verdict: &Verdict, t: &Messages) -> Words {
    match verdict {
        Verdict::Quiet => Words { class: "ok", shape: "●", text: t.period_quiet.to_owned() },
        Verdict::Calls(count) => {
            Words { class: "ok", shape: "●", text: fill(t.period_calls, count) }
        }
        Verdict::Doubt { calls, seconds } => {
            let text = fill(&fill(t.period_doubt, calls), times::clock(*seconds));
            Words { class: "warn", shape: "▲", text }
        }
    }
}

fn call(row: &EntryRow, page: &Page) -> Call {
    let who = [row.caller_unit.as_str(), &row.caller_name, &row.caller_phone];
    let who: Vec<&str> = who.into_iter().filter(|part| !part.is_empty()).collect();
    Call {
        link: format!("/?entry={}", row.id),
        number: row.number.clone(),
        time: times::full(row.occurred),
        caller: if who.is_empty() { page.t.no_number.to_owned() } else { who.join(" ") },
        subject: row.subject.clone(),
        state: view::entry_state(row.state, page.t),
        mark: match row.exercise {
            Some(kind) => Some(view::exercise(kind, page.t)),
            None => row.call.as_ref().map(|call| rows::call_mark(call, page.t)),
        },
    }
}

fn outage(row: &OutageRow, page: &Page) -> Outage {
    let t = page.t;
    let what = match row.kind {
        OutageKind::Line => t.outage_line,
        OutageKind::Media => t.outage_media,
        OutageKind::Log => t.outage_log,
        OutageKind::Recorder => t.outage_recorder,
        OutageKind::Storage => t.outage_storage,
        OutageKind::Clock => t.outage_clock,
        OutageKind::Service => t.outage_service,
    };
    Outage {
        from: times::full(row.from),
        to: row.to.map_or_else(|| t.outage_lasts.to_owned(), times::full),
        what: match &row.number {
            Some(number) => format!("{what} {number}"),
            None => what.to_owned(),
        },
        why: page.said(&row.why).to_owned(),
    }
}

fn signed(head: Option<&HeadRow>, t: &Messages) -> String {
    match head {
        Some(head) => fill(&fill(t.period_signed, head.number), times::full(head.at)),
        None => t.period_unsigned.to_owned(),
    }
}
