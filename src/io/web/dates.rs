//! `/keeping/dates`: 日期存疑. What is old by its clock alone, to be heard; a leader says when it was made, another one agrees.

use super::Shared;
use super::auth::Staff;
use super::failure::Failure;
use super::keeping::{Asked, From, LISTS, Which, about_reason, not_agreed, said, tidy};
use super::messages::keeping::{EN, Messages, ZH};
use super::messages::{fill, fill_two};
use super::page::{Page, in_query};
use super::refused::Refused;
use super::times;
use crate::duty::entry::{beijing, day};
use crate::duty::ids::CallId;
use crate::duty::keeping::Doubt;
use crate::io::clock;
use crate::io::store::{Account, DateRow, DatedRow, DoubtfulRow};
use askama::Template;
use axum::extract::{Form, Path, Query, State};
use axum::http::StatusCode;
use axum::response::{Html, IntoResponse, Redirect, Response};
use chrono::{DateTime, NaiveDate, NaiveTime, Utc};

#[derive(Template)]
#[template(path = "keeping_dates.html")]
struct Shown<'a> {
    page: &'a Page,
    t: &'static Messages,
    refused: &'a Refused,
    now: String,
    today: NaiveDate,
    doubtful: Vec<Item>,
    /// Where this page of them begins, and the next one.
    after: &'a str,
    next: Option<String>,
    /// There are pages before it or after it.
    part: bool,
    said: Vec<Date>,
    may: bool,
}

#[derive(Template)]
#[template(path = "keeping_date.html")]
struct ShownDate<'a> {
    page: &'a Page,
    t: &'static Messages,
    refused: &'a Refused,
    now: String,
    date: Date,
    items: Vec<Item>,
    may: bool,
}

struct Item {
    call: String,
    number: String,
    sealed: String,
    why: String,
    /// Somebody has said when it was made.
    asked: bool,
    /// Where it is heard.
    play: String,
}

struct Date {
    id: i64,
    said: String,
    what: String,
    waits: bool,
    agreed: Option<String>,
    refused: Option<String>,
}

fn date(row: &DateRow, t: &'static Messages) -> Date {
    Date {
        id: row.said.id,
        said: said(&row.said),
        what: fill_two(t.date_what, &row.recordings.to_string(), &times::full(row.made)),
        waits: row.agreed.is_none() && row.refused.is_none(),
        agreed: row.agreed.as_ref().map(said),
        refused: row.refused.as_ref().map(said),
    }
}

/// Each listen says why, as everywhere.
fn play(call: CallId, t: &'static Messages) -> String {
    format!("/recordings/{call}?why={}", in_query(t.date_listen))
}

fn doubtful(found: &DoubtfulRow, now: DateTime<Utc>, t: &'static Messages) -> Item {
    let DoubtfulRow { row, doubt, seen, asked } = found;
    let by_clock = (now - row.sealed).num_days().to_string();
    Item {
        call: row.call.to_string(),
        number: row.number.clone(),
        sealed: times::full(row.sealed),
        why: match doubt {
            Doubt::Ahead => t.doubt_ahead.to_owned(),
            Doubt::Unseen => fill_two(t.doubt_unseen, &by_clock, &seen.num_days().to_string()),
        },
        asked: *asked,
        play: play(row.call, t),
    }
}

fn dated(row: &DatedRow, t: &'static Messages) -> Item {
    Item {
        call: row.call.to_string(),
        number: row.number.clone(),
        sealed: times::full(row.sealed),
        why: times::clock(row.duration_ms / 1000),
        asked: true,
        play: play(row.call, t),
    }
}

/// Whoever says when a recording was made may hear it, and leads.
fn only_leaders(officer: &Staff, page: &Page) -> Result<&'static Messages, Failure> {
    let t = page.pick((&ZH, &EN));
    let refused = || Failure::Refused(StatusCode::FORBIDDEN, t.leaders_only.to_owned());
    may(officer).then_some(t).ok_or_else(refused)
}

fn may(Staff(officer): &Staff) -> bool {
    officer.who.account == Account::Leader
}

pub async fn get(
    State(shared): State<Shared>,
    officer: Staff,
    page: Page,
    Query(from): Query<From>,
) -> Result<Response, Failure> {
    show(&shared, &officer, &page, &from, &Refused::nothing()).await
}

async fn show(
    shared: &Shared,
    officer: &Staff,
    page: &Page,
    from: &From,
    refused: &Refused,
) -> Result<Response, Failure> {
    let (t, store, now) = (page.pick((&ZH, &EN)), &shared.web.store, clock::now());
    let after = from.after.parse().ok();
    let due = store.due(shared.web.keeping, after, now).await?;
    let shown = Shown {
        now: fill(t.date_now, times::full(now.wall)),
        today: day(now.wall),
        doubtful: due.doubtful.iter().map(|row| doubtful(row, now.wall, t)).collect(),
        part: after.is_some() || due.next.is_some(),
        after: &from.after,
        next: due.next.map(|next| next.to_string()),
        said: store.dates(LISTS).await?.iter().map(|row| date(row, t)).collect(),
        may: may(officer),
        refused,
        page,
        t,
    };
    Ok(Html(shown.render()?).into_response())
}

/// `GET /keeping/dates/{date}`
pub async fn get_one(
    State(shared): State<Shared>,
    officer: Staff,
    page: Page,
    Path(which): Path<i64>,
) -> Result<Response, Failure> {
    show_one(&shared, &officer, &page, which, &Refused::nothing()).await
}

async fn show_one(
    shared: &Shared,
    officer: &Staff,
    page: &Page,
    which: i64,
    refused: &Refused,
) -> Result<Response, Failure> {
    let t = page.pick((&ZH, &EN));
    let missing = || Failure::Refused(StatusCode::NOT_FOUND, t.no_such_date.to_owned());
    let (row, items) = shared.web.store.dated(which).await?.ok_or_else(missing)?;
    let shown = ShownDate {
        now: fill(t.date_now, times::full(clock::now().wall)),
        date: date(&row, t),
        items: items.iter().map(|row| dated(row, t)).collect(),
        may: may(officer),
        refused,
        page,
        t,
    };
    Ok(Html(shown.render()?).into_response())
}

fn to_one(which: i64) -> Response {
    Redirect::to(&format!("/keeping/dates/{which}")).into_response()
}

/// The end of a day in Beijing, or now where that is earlier.
fn end_of(day: NaiveDate, now: DateTime<Utc>) -> Option<DateTime<Utc>> {
    let next = day.succ_opt()?.and_time(NaiveTime::MIN).and_local_timezone(beijing());
    let end = next.single()?.to_utc();
    Some(if self::day(now) == day { now } else { end })
}

/// `POST /keeping/dates`: the first of two, of those that he has ticked. Fields: `call` for each, `made` (a day in Beijing)
/// and `reason`.
pub async fn say(
    State(shared): State<Shared>,
    officer: Staff,
    page: Page,
    Form(fields): Form<Vec<(String, String)>>,
) -> Result<Response, Failure> {
    let t = only_leaders(&officer, &page)?;
    let of = |name: &str| {
        let field = fields.iter().find(|(field, _)| field == name);
        field.map_or_else(String::new, |(_, value)| tidy(value))
    };
    let (now, reason) = (clock::now(), of("reason"));
    let calls = fields.iter().filter(|(field, _)| field == "call");
    let calls: Vec<CallId> = calls.filter_map(|(_, call)| call.parse().ok()).collect();
    let made = of("made").parse().ok().and_then(|day| end_of(day, now.wall));
    let (field, text) = match made {
        _ if reason.is_empty() => ("reason", t.reason_needed),
        _ if calls.is_empty() => ("", t.date_nothing_ticked),
        None => ("made", t.date_wrong),
        Some(made) if made > now.wall => ("made", t.date_wrong),
        Some(made) => {
            let (store, rules) = (&shared.web.store, shared.web.keeping);
            match store.date(&officer.0.who, calls, made, rules, &reason, now).await? {
                Some(which) => return Ok(to_one(which)),
                None => ("", t.nothing_to_agree),
            }
        }
    };
    let typed: Vec<(&str, &str)> = fields.iter().map(|(name, text)| (&**name, &**text)).collect();
    let refused = Refused::typed("dates", &typed).at(field, text);
    show(&shared, &officer, &page, &From { after: of("after") }, &refused).await
}

/// `POST /keeping/dates/agree`: the second.
pub async fn agree(
    State(shared): State<Shared>,
    officer: Staff,
    page: Page,
    Form(which): Form<Which>,
) -> Result<Response, Failure> {
    let t = only_leaders(&officer, &page)?;
    let agreed = shared.web.store.agree_to_date(&officer.0.who, which.id, clock::now()).await?;
    match not_agreed(agreed, t) {
        None => Ok(to_one(which.id)),
        Some(problem) => {
            show_one(&shared, &officer, &page, which.id, &Refused::words(problem)).await
        }
    }
}

/// `POST /keeping/dates/refuse`: they are as doubtful as before.
pub async fn refuse(
    State(shared): State<Shared>,
    officer: Staff,
    page: Page,
    Form(asked): Form<Asked>,
) -> Result<Response, Failure> {
    let t = only_leaders(&officer, &page)?;
    let (store, reason) = (&shared.web.store, tidy(&asked.reason));
    if store.refuse_date(&officer.0.who, asked.id, &reason, clock::now()).await? {
        return Ok(to_one(asked.id));
    }
    let (field, text) = about_reason(&reason, t.nothing_to_agree, t);
    let refused = Refused::typed("dates/refuse", &[("reason", &asked.reason)]).at(field, text);
    show_one(&shared, &officer, &page, asked.id, &refused).await
}
