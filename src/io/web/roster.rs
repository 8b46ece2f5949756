//! `/roster`: who is on duty and who stands in for whom, over the list of the configuration.

use super::Shared;
use super::auth::{Officer, Staff};
use super::failure::Failure;
use super::findings::{Found, found};
use super::messages::Messages;
use super::page::Page;
use super::policy::ROLES;
use super::refused::Refused;
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
use std::collections::BTreeSet;

/// Characters of a reason.
const REASON: usize = 200;

#[derive(Template)]
#[template(path = "roster.html")]
struct RosterPage<'a> {
    page: &'a Page,
    refused: &'a Refused,
    /// He may change it.
    works: bool,
    found: Vec<Found>,
    holders: Vec<Holder>,
    entered: Vec<Row>,
    people: Vec<String>,
    /// Who may approve.
    heads: Vec<String>,
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
    officer: Officer,
    page: Page,
) -> Result<Response, Failure> {
    show(&shared, &officer, &page, &Refused::nothing()).await
}

async fn show(
    shared: &Shared,
    officer: &Officer,
    page: &Page,
    refused: &Refused,
) -> Result<Response, Failure> {
    let (t, now) = (page.t, clock::now());
    let list = &shared.web.dialler.roster;
    let in_force = shared.web.store.roster_now(list, now).await?;
    let (duties, substitutions) = shared.web.store.duties(now).await?;
    let shown = |at: DateTime<Utc>| times::full(at)[..16].to_owned();
    let holders = ROLES.into_iter().filter_map(|(role, _)| {
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
    let entered = |by: &str| format!("{} {by}", t.roster_entered_by);
    let duties = duties.into_iter().map(|row| Row {
        id: row.id,
        kind: "duty",
        what: format!("{} {}", view::role(row.role, t), row.person),
        from: shown(row.from),
        to: row.to.map_or_else(|| t.until_changed.to_owned(), shown),
        detail: entered(&row.entered_by),
    });
    let substitutions = substitutions.into_iter().map(|row| Row {
        id: row.id,
        kind: "substitution",
        what: format!("{} → {}", row.given.absent, row.given.stands_in),
        from: shown(row.given.from),
        to: shown(row.given.to),
        detail: match row.given.approved_by.as_str() {
            "" => [row.given.reason, entered(&row.entered_by)].join(" · "),
            by => {
                let approved = format!("{} {by}", t.roster_approved);
                [row.given.reason, approved, entered(&row.entered_by)].join(" · ")
            }
        },
    });
    let mut people: Vec<String> = leaders(list).map(|person| person.name.clone()).collect();
    let mut listed = BTreeSet::new();
    people.retain(|name| listed.insert(name.clone()));
    let heads = list.people.iter().filter(|person| person.role == Role::Head);
    let policy = shared.web.policy.policies.now().in_force(now.wall).figures.clone();
    let reached = reach::look(&shared.web.store, &policy, list, now).await?;
    let body = RosterPage {
        page,
        refused,
        works: officer.works(),
        found: reached.into_iter().map(|one| found(one, list, page)).collect(),
        holders: holders.collect(),
        entered: substitutions.chain(duties).collect(),
        people,
        heads: heads.map(|person| person.name.clone()).collect(),
        roles: ROLES.map(|(role, name)| (name, view::role(role, t))).into(),
    };
    Ok(Html(body.render()?).into_response())
}

/// The field at fault, and the remedy.
type Fault = (&'static str, &'static str);

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct NewDuty {
    role: String,
    person: String,
    from: String,
    #[serde(default)]
    to: String,
}

impl NewDuty {
    fn judge(&self, list: &Roster, t: &'static Messages) -> Result<OnDuty, Fault> {
        let role = ROLES.iter().find(|(_, name)| *name == self.role);
        let (role, _) = role.ok_or(("role", t.roster_role_unknown))?;
        let person = named(list, &self.person).ok_or(("person", t.roster_unknown))?;
        if !has_number(person) {
            return Err(("person", t.roster_no_number));
        }
        if *role == Role::Leader && is_lower(list, person) {
            return Err(("person", t.roster_lower));
        }
        let from = times::of_field(&self.from).ok_or(("from", t.roster_when_from))?;
        let to = match self.to.as_str() {
            "" => None,
            to => Some(times::of_field(to).filter(|to| *to > from).ok_or(("to", t.roster_when))?),
        };
        Ok(OnDuty { role: *role, person: person.name.clone(), from, to })
    }
}

/// `POST /roster/duty`
pub async fn put_on_duty(
    State(shared): State<Shared>,
    Staff(officer): Staff,
    page: Page,
    Form(new): Form<NewDuty>,
) -> Result<Response, Failure> {
    match new.judge(&shared.web.dialler.roster, page.t) {
        Ok(on_duty) => {
            shared.web.store.put_on_duty(&officer.who, on_duty, clock::now()).await?;
            shared.web.wake.notify_one();
            Ok(Redirect::to("/roster").into_response())
        }
        Err((field, text)) => {
            let NewDuty { role, person, from, to } = &new;
            let typed = [("role", &**role), ("person", person), ("from", from), ("to", to)];
            show(&shared, &officer, &page, &Refused::typed("duty", &typed).at(field, text)).await
        }
    }
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

impl NewSubstitution {
    /// Of a lower rank only where a head allows it (esc_73).
    fn judge(
        &self,
        list: &Roster,
        now: DateTime<Utc>,
        t: &'static Messages,
    ) -> Result<Given, Fault> {
        let absent = named(list, &self.absent).ok_or(("absent", t.roster_unknown))?;
        let stands_in = named(list, &self.stands_in).ok_or(("stands_in", t.roster_unknown))?;
        if absent.name == stands_in.name {
            return Err(("stands_in", t.roster_same));
        }
        if !has_number(stands_in) {
            return Err(("stands_in", t.roster_no_number));
        }
        let from = match self.from.as_str() {
            "" => now,
            from => times::of_field(from).ok_or(("from", t.roster_when_from))?,
        };
        let ends = |to: &DateTime<Utc>| *to > from && *to > now;
        let to = times::of_field(&self.to).filter(ends).ok_or(("to", t.roster_when))?;
        let printed = self.reason.trim().chars().filter(|c| !c.is_control());
        let reason: String = printed.take(REASON).collect();
        if reason.is_empty() {
            return Err(("reason", t.reason_needed));
        }
        let approved = is_head(list, &self.approved_by);
        if stands_in.rank > absent.rank && !approved {
            return Err(("approved_by", t.roster_rank));
        }
        if !approved && !self.approved_by.is_empty() {
            return Err(("approved_by", t.roster_not_head));
        }
        let (absent, stands_in) = (absent.name.clone(), stands_in.name.clone());
        Ok(Given { absent, stands_in, from, to, reason, approved_by: self.approved_by.clone() })
    }
}

/// `POST /roster/substitution`
pub async fn substitute(
    State(shared): State<Shared>,
    Staff(officer): Staff,
    page: Page,
    Form(new): Form<NewSubstitution>,
) -> Result<Response, Failure> {
    let now = clock::now();
    match new.judge(&shared.web.dialler.roster, now.wall, page.t) {
        Ok(given) => {
            shared.web.store.substitute(&officer.who, given, now).await?;
            shared.web.wake.notify_one();
            Ok(Redirect::to("/roster").into_response())
        }
        Err((field, text)) => {
            let typed = [
                ("absent", &*new.absent),
                ("stands_in", &new.stands_in),
                ("from", &new.from),
                ("to", &new.to),
                ("reason", &new.reason),
                ("approved_by", &new.approved_by),
            ];
            show(&shared, &officer, &page, &Refused::typed("substitution", &typed).at(field, text))
                .await
        }
    }
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
    list.people.iter().filter(|person| ROLES.iter().any(|(role, _)| *role == person.role))
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
