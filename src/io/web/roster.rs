//! `/roster`: who is on duty and who stands in for whom, over the list of the configuration.

use super::Shared;
use super::auth::{Officer, Staff};
use super::failure::Failure;
use super::findings::{Found, found};
use super::page::Page;
use super::times;
use super::view;
use crate::duty::roster::{Person, Role, Roster};
use crate::io::store::{DutyKind, Given, OnDuty};
use crate::io::{clock, reach};
use askama::Template;
use axum::extract::{Form, State};
use axum::response::{Html, IntoResponse, Redirect, Response};
use chrono::{DateTime, Utc};
use serde::Deserialize;

/// The roles that are held by turns.
const ROLES: [Role; 4] = [Role::Leader, Role::Substitute, Role::OfficeDirector, Role::Head];
/// Characters of a reason.
const REASON: usize = 200;

#[derive(Template)]
#[template(path = "roster.html")]
struct RosterPage<'a> {
    page: &'a Page,
    problem: String,
    found: Vec<Found>,
    holders: Vec<Holder>,
    entered: Vec<Row>,
    people: Vec<String>,
    roles: Vec<(&'static str, &'static str)>,
}

struct Holder {
    role: &'static str,
    name: String,
    numbers: String,
    /// For whom he stands in.
    instead_of: String,
}

struct Row {
    id: i64,
    kind: &'static str,
    what: String,
    from: String,
    to: String,
    detail: String,
}

pub async fn get(
    State(shared): State<Shared>,
    _: Officer,
    page: Page,
) -> Result<Response, Failure> {
    show(&shared, &page, String::new()).await
}

async fn show(shared: &Shared, page: &Page, problem: String) -> Result<Response, Failure> {
    let (t, now) = (page.t, clock::now());
    let list = &shared.web.dialler.roster;
    let in_force = shared.web.store.roster_now(list, now).await?;
    let (duties, substitutions) = shared.web.store.duties(now).await?;
    let shown = |at: DateTime<Utc>| times::full(at)[..16].to_owned();
    let holders = ROLES.into_iter().filter_map(|role| {
        let person = in_force.holder(role)?;
        let numbers = [&person.mobile, &person.office].into_iter().flatten();
        let numbers: Vec<String> = numbers.map(|number| view::masked(number)).collect();
        let absent = person.stands_in.as_ref().map(|held| held.absent.clone());
        Some(Holder {
            role: view::role(role, t),
            name: person.name.clone(),
            numbers: numbers.join(" · "),
            instead_of: absent.unwrap_or_default(),
        })
    });
    let duties = duties.into_iter().map(|row| Row {
        id: row.id,
        kind: "duty",
        what: format!("{} {}", view::role(row.role, t), row.person),
        from: shown(row.from),
        to: row.to.map_or_else(|| t.until_changed.to_owned(), shown),
        detail: row.entered_by,
    });
    let substitutions = substitutions.into_iter().map(|row| Row {
        id: row.id,
        kind: "substitution",
        what: format!("{} → {}", row.given.absent, row.given.stands_in),
        from: shown(row.given.from),
        to: shown(row.given.to),
        detail: [row.given.reason, row.given.approved_by, row.entered_by].join(" · "),
    });
    let mut people: Vec<String> = leaders(list).map(|person| person.name.clone()).collect();
    people.dedup();
    let policy = shared.web.policy.policies.now().in_force(now.wall).figures.clone();
    let reached = reach::look(&shared.web.store, &policy, list, now).await?;
    let body = RosterPage {
        page,
        problem,
        found: reached.into_iter().map(|one| found(one, list, page)).collect(),
        holders: holders.collect(),
        entered: substitutions.chain(duties).collect(),
        people,
        roles: vec![
            ("leader", t.leader),
            ("substitute", t.substitute),
            ("office_director", t.office_director),
            ("head", t.head),
        ],
    };
    Ok(Html(body.render()?).into_response())
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct NewDuty {
    role: Role,
    person: String,
    from: String,
    #[serde(default)]
    to: String,
}

/// `POST /roster/duty`
pub async fn put_on_duty(
    State(shared): State<Shared>,
    Staff(officer): Staff,
    page: Page,
    Form(new): Form<NewDuty>,
) -> Result<Response, Failure> {
    let t = page.t;
    let list = &shared.web.dialler.roster;
    let (from, to) = (times::of_field(&new.from), times::of_field(&new.to));
    let problem = match (named(list, &new.person), from, &to) {
        _ if !ROLES.contains(&new.role) => t.roster_role_unknown,
        (None, ..) => t.roster_unknown,
        (_, None, _) => t.roster_when,
        (_, Some(from), Some(to)) if *to <= from => t.roster_when,
        (Some(person), ..) if !has_number(person) => t.roster_no_number,
        (Some(person), ..) if new.role == Role::Leader && is_lower(list, person) => t.roster_lower,
        (Some(_), Some(from), _) => {
            let on_duty = OnDuty { role: new.role, person: new.person, from, to };
            shared.web.store.put_on_duty(&officer.who, on_duty, clock::now()).await?;
            shared.web.wake.notify_one();
            return Ok(Redirect::to("/roster").into_response());
        }
    };
    show(&shared, &page, problem.to_owned()).await
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct NewSubstitution {
    absent: String,
    stands_in: String,
    from: String,
    to: String,
    reason: String,
    #[serde(default)]
    approved_by: String,
}

/// `POST /roster/substitution`: of a lower rank only where the head allows it (esc_73).
pub async fn substitute(
    State(shared): State<Shared>,
    Staff(officer): Staff,
    page: Page,
    Form(new): Form<NewSubstitution>,
) -> Result<Response, Failure> {
    let t = page.t;
    let list = &shared.web.dialler.roster;
    let tidy = |text: &str| -> String {
        text.trim().chars().filter(|c| !c.is_control()).take(REASON).collect()
    };
    let (reason, approved_by) = (tidy(&new.reason), tidy(&new.approved_by));
    let now = clock::now();
    let from = if new.from.is_empty() { Some(now.wall) } else { times::of_field(&new.from) };
    let people = named(list, &new.absent).zip(named(list, &new.stands_in));
    let problem = match (people, from, times::of_field(&new.to)) {
        (None, ..) => t.roster_unknown,
        (Some((absent, stands_in)), ..) if absent.name == stands_in.name => t.roster_unknown,
        (Some((_, stands_in)), ..) if !has_number(stands_in) => t.roster_no_number,
        (Some(_), Some(from), Some(to)) if to <= from || to <= now.wall => t.roster_when,
        (Some(_), None, _) | (Some(_), _, None) => t.roster_when,
        _ if reason.is_empty() => t.reason_needed,
        (Some((absent, stands_in)), ..)
            if stands_in.rank > absent.rank && !is_head(list, &approved_by) =>
        {
            t.roster_rank
        }
        (Some(_), Some(from), Some(to)) => {
            let (absent, stands_in) = (new.absent, new.stands_in);
            let given = Given { absent, stands_in, from, to, reason, approved_by };
            shared.web.store.substitute(&officer.who, given, now).await?;
            shared.web.wake.notify_one();
            return Ok(Redirect::to("/roster").into_response());
        }
    };
    show(&shared, &page, problem.to_owned()).await
}

#[derive(Debug, Deserialize)]
pub struct Withdrawn {
    kind: String,
    id: i64,
}

/// `POST /roster/withdraw`: what was entered counts no more.
pub async fn withdraw(
    State(shared): State<Shared>,
    Staff(officer): Staff,
    Form(what): Form<Withdrawn>,
) -> Result<Response, Failure> {
    let kind = match what.kind.as_str() {
        "duty" => DutyKind::Duty,
        _ => DutyKind::Substitution,
    };
    shared.web.store.withdraw_duty(&officer.who, kind, what.id, clock::now()).await?;
    shared.web.wake.notify_one();
    Ok(Redirect::to("/roster").into_response())
}

/// Without the desk, which takes no turns.
fn leaders(list: &Roster) -> impl Iterator<Item = &Person> {
    list.people.iter().filter(|person| ROLES.contains(&person.role))
}

fn named<'a>(list: &'a Roster, name: &str) -> Option<&'a Person> {
    leaders(list).find(|person| person.name == name)
}

/// He leads only as a substitute, with the reason and the approval that this needs.
fn is_lower(list: &Roster, person: &Person) -> bool {
    let listed = list.holder(Role::Leader).map_or(0, |leader| leader.rank);
    person.rank > listed.max(Role::Leader.rank())
}

fn has_number(person: &Person) -> bool {
    person.mobile.is_some() || person.office.is_some()
}

fn is_head(list: &Roster, name: &str) -> bool {
    list.people.iter().any(|person| person.role == Role::Head && person.name == name)
}
