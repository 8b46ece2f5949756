//! `/policy`: 呼叫顺序, the ladders as they are in force, what of them cannot work, and a rehearsal
//! drawn as a time line. It changes nothing.

mod asked;
mod ladders;
mod time_line;
mod versions;

use super::Shared;
use super::auth::Officer;
use super::failure::Failure;
use super::findings::{Found, found};
use super::messages::policy::{EN, Messages, ZH};
use super::messages::{fill, fill_two};
use super::page::Page;
use super::times;
use super::view;
use crate::duty::escalation::{Policy, Timetable};
use crate::duty::journal::Urgency;
use crate::duty::notices::Channel;
use crate::duty::rehearsal::{Event, Finding, Plan, findings_but_gaps, simulate};
use crate::duty::roster::{Role, Roster};
use crate::io::clock;
use crate::io::policies::Policies;
use crate::io::reach;
use crate::io::rehearsal::{MANNERS, next_at};
use crate::io::store::PolicyRow;
use crate::protocol::now::Now;
use askama::Template;
pub use asked::ROLES;
use asked::{Asked, Fault};
use axum::extract::rejection::QueryRejection;
use axum::extract::{Query, State};
use axum::http::StatusCode;
use axum::response::{Html, IntoResponse, Response};
use ladders::{ChannelView, LadderView};
use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;
use time_line::{Drawn, TimeLine};
use tokio::task::spawn_blocking;
use versions::{Chosen, VersionView};

/// Rehearsals side by side; each may take a processor for a moment.
pub const AT_ONCE: usize = 2;
/// Lengths that are offered.
const MINUTES: [u64; 4] = [5, 15, 30, 60];

/// The policy that this run goes by.
#[derive(Debug, Clone, Default)]
pub struct InForce {
    pub policies: Policies,
    pub channels: Vec<Channel>,
}

#[derive(Template)]
#[template(path = "policy.html")]
struct PolicyPage<'a> {
    page: &'a Page,
    t: &'static Messages,
    problem: String,
    found: Vec<Found>,
    versions: Vec<VersionView>,
    /// Which version is looked at, and its words; `None`: the one in force.
    chosen: Option<(String, String)>,
    version: String,
    ladders: Vec<LadderView>,
    rules: Vec<(&'static str, String)>,
    channels: Vec<ChannelView>,
    at: String,
    urgencies: Vec<Choice>,
    minutes: Vec<Choice>,
    telephones: Vec<Field>,
    line: Option<TimeLine>,
    /// By whose roster and which version.
    rehearsed: String,
}

struct Choice {
    value: String,
    text: String,
    chosen: bool,
}

/// Of one telephone.
struct Field {
    name: String,
    label: String,
    choices: Vec<Choice>,
}

/// What was computed beside the page's thread.
struct Tried {
    found: Vec<Finding>,
    events: Vec<Event>,
}

pub async fn get(
    State(shared): State<Shared>,
    _: Officer,
    page: Page,
    query: Result<Query<BTreeMap<String, String>>, QueryRejection>,
) -> Result<Response, Failure> {
    let t = page.pick((&ZH, &EN));
    let now = clock::now();
    let roster = leaders(&shared, now).await?;
    let rows = shared.web.store.policies().await?;
    let (mut given, unreadable) = match query {
        Ok(Query(given)) => (given, None),
        Err(_) => (BTreeMap::new(), Some(Fault::Unreadable)),
    };
    let version = given.remove("version").filter(|version| !version.is_empty());
    let (chosen, no_version) = chosen(&shared, &rows, version.as_deref()).await?;
    let start = Now { wall: next_at(Asked::at_of(&given), now.wall), ..now };
    let then = leaders(&shared, start).await?;
    let (asked, fault) = Asked::of(&given, &then);
    let fault = unreadable.or(no_version).or(fault);
    let versions = shared.web.policy.policies.now();
    let at = |at| chosen.as_ref().map_or_else(|| figures(&versions, at), Chosen::named);
    let ((_, policy), (name, rehearsed)) = (at(now), at(start));
    let turn = Arc::clone(&shared.rehearsals).acquire_owned().await;
    let turn = turn.map_err(|error| Failure::Broken(error.to_string()))?;
    let channels = Arc::clone(&shared.web.policy);
    let (shown, of, whom) = (policy.clone(), asked.clone(), roster.clone());
    let tried = spawn_blocking(move || {
        let _turn = turn;
        Tried {
            found: findings_but_gaps(&shown, &whom, &channels.channels),
            events: rehearse(&rehearsed, &then, &of, start),
        }
    });
    let mut tried = tried.await.map_err(|error| Failure::Broken(error.to_string()))?;
    let list = &shared.web.dialler.roster;
    tried.found.extend(reach::look(&shared.web.store, &policy, list, now).await?);
    let drawn = Drawn { asked: &asked, events: &tried.events, start: start.wall, t, words: page.t };
    let draws = fault.is_none() && !asked.telephones.is_empty();
    let body = PolicyPage {
        t,
        line: draws.then(|| drawn.time_line()),
        rehearsed: rehearsed_by(&name, start, t),
        found: tried.found.into_iter().map(|one| found(one, &roster, &page)).collect(),
        versions: versions::views(&rows, &versions, chosen.as_ref(), now.wall, t),
        version: chosen.as_ref().map_or_else(String::new, |one| one.row.id.to_string()),
        chosen: chosen.map(|one| versions::looked_at(one.row, t)),
        ladders: ladders::views(&policy, &roster, t, page.t),
        rules: ladders::rules(&policy, t),
        channels: ladders::channels(&shared.web.policy.channels, t, page.t),
        at: asked.at.format("%H:%M").to_string(),
        urgencies: urgencies(&asked, &page),
        minutes: minutes(&asked),
        telephones: fields(&asked, &page, t),
        problem: fault.as_ref().map_or_else(String::new, |fault| fault.said(t)),
        page: &page,
    };
    let status = if fault.is_some() { StatusCode::UNPROCESSABLE_ENTITY } else { StatusCode::OK };
    Ok((status, Html(body.render()?)).into_response())
}

/// The version that is to be looked at; `None`: the one in force.
async fn chosen(
    shared: &Shared,
    rows: &[PolicyRow],
    wanted: Option<&str>,
) -> Result<(Option<Chosen>, Option<Fault>), Failure> {
    let Some(wanted) = wanted else { return Ok((None, None)) };
    let row = rows.iter().find(|row| row.id.to_string() == wanted);
    let figures = match row {
        Some(row) => shared.web.store.policy_of(row.id).await?,
        None => None,
    };
    Ok(match (row.cloned(), figures) {
        (Some(row), Some(figures)) => (Some(Chosen { row, figures }), None),
        (None, _) | (_, None) => (None, Some(Fault::no_such_version(wanted))),
    })
}

/// Whoever may be called at this moment.
async fn leaders(shared: &Shared, at: Now) -> Result<Roster, Failure> {
    let mut roster = shared.web.store.roster_now(&shared.web.dialler.roster, at).await?;
    roster.people.retain(|person| person.role != Role::Officer);
    Ok(roster)
}

/// Of the version that is in force then, and its name.
fn figures(versions: &Timetable, at: Now) -> (String, Policy) {
    let version = versions.in_force(at.wall);
    (version.name.clone(), version.figures.clone())
}

fn rehearsed_by(name: &str, start: Now, t: &Messages) -> String {
    let when = &times::full(start.wall)[..16];
    match name {
        "" => fill(t.rehearsed_by, when),
        name => fill_two(t.rehearsed_by_version, when, name),
    }
}

fn rehearse(policy: &Policy, roster: &Roster, asked: &Asked, start: Now) -> Vec<Event> {
    let phones = asked.phones();
    let lasts = Duration::from_secs(60 * asked.minutes);
    let urgency = asked.urgency;
    simulate(&Plan { policy, roster, urgency, phones: &phones, start, lasts })
}

fn urgencies(asked: &Asked, page: &Page) -> Vec<Choice> {
    let choices = [("critical", Urgency::Critical), ("urgent", Urgency::Urgent)];
    let choices = choices.map(|(value, urgency)| Choice {
        value: value.to_owned(),
        text: view::urgency(urgency, page.t).text.to_owned(),
        chosen: urgency == asked.urgency,
    });
    choices.into()
}

fn minutes(asked: &Asked) -> Vec<Choice> {
    let mut offered = MINUTES.to_vec();
    offered.push(asked.minutes);
    offered.sort_unstable();
    offered.dedup();
    let choice = |minutes: u64| {
        let (text, chosen) = (minutes.to_string(), minutes == asked.minutes);
        Choice { value: text.clone(), text, chosen }
    };
    offered.into_iter().map(choice).collect()
}

fn fields(asked: &Asked, page: &Page, t: &'static Messages) -> Vec<Field> {
    let field = |one: &asked::Telephone| Field {
        name: one.field.clone(),
        label: format!(
            "{} {} {}",
            view::role(one.role, page.t),
            one.person,
            time_line::line(one, page.t)
        ),
        choices: MANNERS
            .iter()
            .map(|(value, phone)| Choice {
                value: (*value).to_owned(),
                text: time_line::manner(*phone, t).to_owned(),
                chosen: *phone == one.phone,
            })
            .collect(),
    };
    asked.telephones.iter().map(field).collect()
}
