//! `/roll-call`: 点名, numbers proved by a call, drills.

use super::Shared;
use super::auth::{Officer, Staff};
use super::failure::Failure;
use super::messages::{Messages, fill};
use super::page::Page;
use super::times;
use super::view::{self, Chip, Mark};
use crate::duty::escalation::ExerciseKind;
use crate::duty::journal::Urgency;
use crate::duty::rehearsal::FRESH;
use crate::duty::roster::{Person, Role};
use crate::io::store::{Called, ExerciseRow, GAVE_WAY, Store, TOO_LATE, Try};
use crate::io::{clock, reach, roll_call};
use crate::protocol::now::Now;
use askama::Template;
use axum::extract::{Form, State};
use axum::response::{Html, IntoResponse, Redirect, Response};
use chrono::{DateTime, TimeDelta, Utc};
use serde::Deserialize;

/// A roll-call that is older is no longer of this shift.
const SHIFT: TimeDelta = TimeDelta::hours(26);
/// Roll-calls, and other exercises, that are shown.
const ROLL_CALLS: u32 = 5;
const OTHERS: u32 = 20;

#[derive(Template)]
#[template(path = "roll_call.html")]
struct RollCallPage<'a> {
    page: &'a Page,
    /// He may have somebody called.
    works: bool,
    problem: &'static str,
    schedule: String,
    runs: Vec<Run>,
    numbers: Vec<Number>,
    others: Vec<Tried>,
}

/// One roll-call.
struct Run {
    time: String,
    full_time: String,
    asked_by: String,
    tried: Vec<Tried>,
}

/// One person of it, or one number, or a drill.
struct Tried {
    entry: String,
    time: String,
    kind: Mark,
    who: String,
    mark: Mark,
    /// When, and by whom; or why not.
    detail: String,
}

struct Number {
    person: String,
    role: &'static str,
    kind: &'static str,
    number: String,
    shown: String,
    mark: Mark,
    text: String,
}

pub async fn get(
    State(shared): State<Shared>,
    officer: Officer,
    page: Page,
) -> Result<Response, Failure> {
    show(&shared, &officer, &page, "").await
}

async fn show(
    shared: &Shared,
    officer: &Officer,
    page: &Page,
    problem: &'static str,
) -> Result<Response, Failure> {
    let (t, now) = (page.t, clock::now().wall);
    let store = &shared.web.store;
    let at: Vec<String> =
        shared.web.roll_call.at.iter().map(|at| at.format("%H:%M").to_string()).collect();
    let body = RollCallPage {
        page,
        works: officer.works(),
        problem,
        schedule: if at.is_empty() { String::new() } else { fill(t.roll_call_at, at.join(" · ")) },
        runs: runs(store.roll_calls(ROLL_CALLS).await?, t, now),
        numbers: numbers(shared, t, now).await?,
        others: store.tried(OTHERS).await?.iter().map(|row| tried(row, t, now)).collect(),
    };
    Ok(Html(body.render()?).into_response())
}

fn runs(rows: Vec<ExerciseRow>, t: &'static Messages, now: DateTime<Utc>) -> Vec<Run> {
    let mut runs: Vec<(String, Run)> = vec![];
    for row in rows {
        let one = tried(&row, t, now);
        match runs.iter_mut().find(|(run, _)| *run == row.run) {
            Some((_, run)) => run.tried.push(one),
            None => {
                let asked_by = match row.asked_by.as_str() {
                    "" => t.roll_call_by_schedule.to_owned(),
                    by => by.to_owned(),
                };
                let (time, full_time) = (times::short(row.at, now), times::full(row.at));
                runs.push((row.run.clone(), Run { time, full_time, asked_by, tried: vec![one] }));
            }
        }
    }
    runs.into_iter().map(|(_, run)| run).collect()
}

fn tried(row: &ExerciseRow, t: &'static Messages, now: DateTime<Utc>) -> Tried {
    let role = view::role(row.role, t);
    let who = match row.kind {
        ExerciseKind::Drill => row.asked_by.clone(),
        ExerciseKind::RollCall => format!("{role} {}", row.person),
        ExerciseKind::Number => format!("{role} {} {}", row.person, view::masked(&row.number)),
    };
    let last = || row.last.map(|result| view::attempt_result(result, t).text.to_owned());
    let (mark, detail) = match &row.reached {
        Some((at, by)) => {
            let took = times::span(row.at, *at);
            let detail = format!("{by} {}（{took}）", times::short(*at, now));
            (Mark::new("●", "ok", t.exercise_reached), detail)
        }
        None if row.reason == GAVE_WAY => {
            (Mark::new("▲", "warn", t.exercise_gave_way), String::new())
        }
        None if row.reason == TOO_LATE => {
            (Mark::new("▲", "warn", t.exercise_too_late), last().unwrap_or_default())
        }
        None if row.over => (Mark::new("■", "bad", t.exercise_missed), last().unwrap_or_default()),
        None => (Mark::new("◆", "calling", t.exercise_calling), last().unwrap_or_default()),
    };
    let kind = view::exercise(row.kind, t);
    let (entry, time) = (row.entry.to_string(), times::short(row.at, now));
    Tried { entry, time, kind, who, mark, detail }
}

/// Whoever may be called in a matter.
fn people(shared: &Shared) -> impl Iterator<Item = &Person> {
    shared.web.dialler.roster.people.iter().filter(|person| person.role != Role::Officer)
}

async fn numbers(
    shared: &Shared,
    t: &'static Messages,
    now: DateTime<Utc>,
) -> Result<Vec<Number>, Failure> {
    let mut numbers = vec![];
    for person in people(shared) {
        for (kind, number) in [(t.by_mobile, &person.mobile), (t.by_office_phone, &person.office)] {
            let Some(number) = number else { continue };
            let verified = shared.web.store.number_verified(&person.name, number).await?;
            let (mark, text) = match verified {
                Some(at) if now - at <= FRESH => {
                    let text = fill(t.number_verified, times::short(at, now));
                    (Mark::new("●", "ok", ""), text)
                }
                Some(at) => {
                    let text = fill(t.number_old, times::short(at, now));
                    (Mark::new("▲", "warn", ""), text)
                }
                None => (Mark::new("▲", "warn", ""), t.number_unverified.to_owned()),
            };
            numbers.push(Number {
                person: person.name.clone(),
                role: view::role(person.role, t),
                kind,
                number: number.clone(),
                shown: view::masked(number),
                mark,
                text,
            });
        }
    }
    Ok(numbers)
}

/// `POST /roll-call`: whoever leads and stands in now is called.
pub async fn begin(
    State(shared): State<Shared>,
    Staff(officer): Staff,
    page: Page,
) -> Result<Response, Failure> {
    let (web, now) = (&shared.web, clock::now());
    let people = roll_call::people(&web.roll_call, &web.store, &web.dialler.roster, now).await?;
    let run = now.wall.timestamp_millis().to_string();
    match web.store.roll_call(Some(&officer.who), &run, people, now).await? {
        Called::Begun => {}
        Called::Nobody => return show(&shared, &officer, &page, page.t.roll_call_nobody).await,
        Called::Already | Called::Going => {
            return show(&shared, &officer, &page, page.t.roll_call_going).await;
        }
    }
    web.wake.notify_one();
    Ok(Redirect::to("/roll-call").into_response())
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct OneNumber {
    person: String,
    number: String,
}

/// `POST /roll-call/number`: only what the roster has is called.
pub async fn check_number(
    State(shared): State<Shared>,
    Staff(officer): Staff,
    page: Page,
    Form(one): Form<OneNumber>,
) -> Result<Response, Failure> {
    let his = |person: &&Person| {
        let numbers = [&person.mobile, &person.office];
        person.name == one.person && numbers.into_iter().flatten().any(|his| *his == one.number)
    };
    let Some(role) = people(&shared).find(his).map(|person| person.role) else {
        return show(&shared, &officer, &page, page.t.number_unknown).await;
    };
    let wanted = Try { person: one.person, role, number: one.number };
    let store: &Store = &shared.web.store;
    if store.check_number(&officer.who, wanted, clock::now()).await?.is_none() {
        return show(&shared, &officer, &page, page.t.number_going).await;
    }
    shared.web.wake.notify_one();
    Ok(Redirect::to("/roll-call").into_response())
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Drilled {
    urgency: Urgency,
}

/// `POST /drill`: the whole ladder, once; its entry is shown.
pub async fn drill(
    State(shared): State<Shared>,
    Staff(officer): Staff,
    page: Page,
    Form(wanted): Form<Drilled>,
) -> Result<Response, Failure> {
    let urgency = wanted.urgency.max(Urgency::Urgent);
    let Some(entry) = shared.web.store.drill(&officer.who, urgency, clock::now()).await? else {
        return show(&shared, &officer, &page, page.t.drill_going).await;
    };
    shared.web.wake.notify_one();
    Ok(Redirect::to(&format!("/?entry={entry}")).into_response())
}

/// The last roll-call; none where there was none and none is planned.
pub async fn chip(shared: &Shared, page: &Page, now: DateTime<Utc>) -> Option<Chip> {
    let t = page.t;
    let rows = shared.web.store.roll_calls(1).await.unwrap_or_else(|error| {
        tracing::error!(%error, "the roll-calls cannot be read");
        vec![]
    });
    let label = t.roll_call.to_owned();
    let Some(first) = rows.first() else {
        if shared.web.roll_call.at.is_empty() {
            return None;
        }
        let (text, note, title) = (t.self_test_never.to_owned(), String::new(), String::new());
        return Some(Chip { label, text, note, title, mark: Mark::new("▲", "warn", "") });
    };
    let reached = rows.iter().filter(|row| row.reached.is_some()).count();
    let going = rows.iter().any(|row| !row.over);
    let missed = rows.iter().filter(|row| row.over && row.reached.is_none());
    let missed: Vec<&str> = missed.map(|row| row.person.as_str()).collect();
    let mark = match (missed.is_empty(), going, now - first.at > SHIFT) {
        (false, ..) => Mark::new("■", "bad", ""),
        (true, true, _) => Mark::new("◆", "calling", ""),
        (true, false, true) => Mark::new("▲", "warn", ""),
        (true, false, false) => Mark::new("●", "ok", ""),
    };
    let title = match missed.is_empty() {
        true => String::new(),
        false => format!("{}：{}", t.exercise_missed, missed.join("、")),
    };
    let text = format!("{reached}/{}", rows.len());
    Some(Chip { label, text, note: times::short(first.at, now), title, mark })
}

/// Numbers that nobody has proved lately; red where somebody on duty has none that ever was (esc_74).
pub async fn numbers_chip(shared: &Shared, page: &Page, now: Now) -> Option<Chip> {
    let (t, list) = (page.t, &shared.web.dialler.roster);
    let numbers = numbers(shared, t, now.wall).await.ok()?;
    let left: Vec<&Number> = numbers.iter().filter(|one| one.mark.class != "ok").collect();
    if left.is_empty() {
        return None;
    }
    let policy = shared.web.policy.policies.now().in_force(now.wall).figures.clone();
    let found = reach::look(&shared.web.store, &policy, list, now).await.ok()?;
    let red = found.into_iter().filter(|one| one.refused);
    let mut whose: Vec<String> = red.map(|one| page.pick((one.zh, one.en))).collect();
    let (shape, class) = if whose.is_empty() { ("▲", "warn") } else { ("■", "bad") };
    whose.extend(left.iter().map(|one| format!("{} {} {}", one.person, one.kind, one.text)));
    Some(Chip {
        label: t.numbers.to_owned(),
        text: fill(t.numbers_left, left.len()),
        note: String::new(),
        title: whose.join("\n"),
        mark: Mark::new(shape, class, ""),
    })
}
