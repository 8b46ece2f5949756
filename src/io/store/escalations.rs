//! Escalations and their attempts: raised with the flag, decided and claimed in one transaction.

mod handover;
mod loading;

pub(super) use loading::load;

use super::audit::{self, Actor};
use super::calls;
use super::entries::Withdrawn;
use super::error::Result;
use super::policies::Rules;
use super::text::{Id, Named, mono, mono_of, ms, name};
use super::writer::Tx;
use super::{Store, attempts, duty, exercises, following, notices, policies};
use crate::duty::escalation::{
    Attempt, Decision, Escalation, Policy, State, Target, Timetable, decide, expired, unwanted,
};
use crate::duty::ids::{AttemptId, CallId, EntryId, EscalationId};
use crate::duty::journal::{AttemptResult, Urgency};
use crate::duty::roster::{Person, Roster};
use crate::duty::switchboard::{Errand, Input, LeaderCall, Unwanted};
use crate::io::status::Live;
use crate::protocol::now::{Deadline, Now, earlier};
use chrono::{DateTime, Utc};
use rusqlite::{Connection, OptionalExtension, params};
use std::pin::Pin;
use std::sync::Arc;
use std::time::Duration;

/// Decisions in one cycle about one escalation before the rest waits for the next cycle.
const DECISIONS: usize = 8;

/// What one look at all escalations came to. It is committed: tell it, then wait.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Cycle {
    /// To the switchboard: calls to place and calls to stop.
    pub inputs: Vec<Input>,
    /// To the pages.
    pub live: Vec<Live>,
    /// When to look again, unless woken earlier; `None`: nothing is open.
    pub until: Option<Deadline>,
    /// Open escalations whose siren sounds.
    pub sirens: u32,
    /// Somebody is due for an open one, and is not called.
    pub withheld: bool,
    /// People one of whose numbers turned out dead in an open escalation.
    pub dead: Vec<String>,
    /// What is open, and who holds each role: gone by while the log cannot be read.
    pub known: Vec<Escalation>,
    pub roster: Roster,
}

impl Cycle {
    fn knows(&mut self, escalation: Escalation, policy: &Arc<Policy>) -> EntryId {
        let (entry, figures) = (escalation.entry, Some(Arc::clone(policy)));
        self.known.push(Escalation { figures, ..escalation });
        entry
    }
}

/// A look that is under way.
pub type Deciding = Pin<Box<dyn Future<Output = Result<Cycle>> + Send>>;

pub(super) enum Raised {
    New(EscalationId),
    Upgraded(EscalationId),
    Already(EscalationId),
}

impl Store {
    /// Decides what every open escalation needs now, and writes each attempt down before it is
    /// made.
    pub fn next_calls(
        &self,
        now: Now,
        versions: impl Into<Timetable>,
        roster: &Roster,
    ) -> Deciding {
        Box::pin(self.cycle(now, versions.into(), roster, true))
    }

    /// As [`Store::next_calls`], but that nobody is called any more: what is not wanted is stopped.
    pub fn last_stops(
        &self,
        now: Now,
        versions: impl Into<Timetable>,
        roster: &Roster,
    ) -> Deciding {
        Box::pin(self.cycle(now, versions.into(), roster, false))
    }

    fn cycle(
        &self,
        now: Now,
        versions: Timetable,
        roster: &Roster,
        calls: bool,
    ) -> impl Future<Output = Result<Cycle>> + Send + use<> {
        let roster = roster.clone();
        self.write_of_run(move |tx| cycle(tx, now, (&versions, &roster), calls))
    }

    /// As [`Store::next_calls`], for a thread that may wait.
    pub fn escalate(
        &self,
        now: Now,
        versions: impl Into<Timetable>,
        roster: &Roster,
    ) -> Result<Cycle> {
        super::wait(self.next_calls(now, versions, roster))
    }
}

/// One escalation for an entry: flagged again it stays one; flagged higher, the higher ladder
/// begins at once.
pub(super) fn raise(
    tx: &mut Tx<'_>,
    actor: &Actor,
    entry: EntryId,
    urgency: Urgency,
    now: Now,
) -> Result<Raised> {
    let latest: Option<(Id<EscalationId>, Named<Urgency>, String)> = tx
        .sql
        .prepare_cached(
            "SELECT id, urgency, state FROM escalation WHERE entry = ?1 AND state <> 'withdrawn'
             ORDER BY raised_ms DESC, id DESC LIMIT 1",
        )?
        .query_row([Id(entry)], |row| Ok((row.get(0)?, row.get(1)?, row.get(2)?)))
        .optional()?;
    if let Some((Id(id), Named(before), state)) = latest {
        if urgency <= before {
            return Ok(Raised::Already(id));
        }
        if state == "open" {
            tx.sql
                .prepare_cached(
                    "UPDATE escalation SET urgency = ?2, round = round + 1, round_ms = ?3,
                       round_mono = ?4, siren_ms = NULL WHERE id = ?1",
                )?
                .execute(params![Id(id), name(urgency), ms(now.wall), mono(now)])?;
            audit::append(tx.sql, now, actor, "escalation.upgrade", &id.to_string(), "")?;
            notices::raised(tx, id, urgency, now)?;
            return Ok(Raised::Upgraded(id));
        }
    }
    let id = EscalationId::new(now, tx.random);
    tx.sql
        .prepare_cached(
            "INSERT INTO escalation (id, entry, urgency, state, raised_by, raised_ms, raised_mono,
               round_ms, round_mono, led_by)
             VALUES (?1, ?2, ?3, 'open', ?4, ?5, ?6, ?5, ?6, ?7)",
        )?
        .execute(params![
            Id(id),
            Id(entry),
            name(urgency),
            actor.name,
            ms(now.wall),
            mono(now),
            duty::leading(tx.sql, now)?,
        ])?;
    audit::append(tx.sql, now, actor, "escalation.raise", &id.to_string(), &name(urgency))?;
    if !exercises::is_quiet(tx.sql, id)? {
        notices::raised(tx, id, urgency, now)?;
    }
    Ok(Raised::New(id))
}

pub(super) fn withdraw(
    tx: &mut Tx<'_>,
    actor: &Actor,
    entry: EntryId,
    reason: &str,
    now: Now,
) -> Result<Withdrawn> {
    let sql = tx.sql;
    let withdrawn: Option<Id<EscalationId>> = sql
        .prepare_cached(
            "UPDATE escalation SET state = 'withdrawn', withdrawn_ms = ?2, withdrawn_by = ?3,
               reason = ?4 WHERE entry = ?1 AND state = 'open' RETURNING id",
        )?
        .query_row(params![Id(entry), ms(now.wall), actor.name, reason], |row| row.get(0))
        .optional()?;
    if let Some(Id(id)) = withdrawn {
        audit::append(sql, now, actor, "escalation.withdraw", &id.to_string(), reason)?;
        notices::withdrawn(tx, id, now)?;
        return Ok(Withdrawn::Withdrawn(id));
    }
    let acknowledged: Option<Id<EscalationId>> = sql
        .prepare_cached(
            "SELECT id FROM escalation WHERE entry = ?1 AND state = 'acknowledged'
             ORDER BY raised_ms DESC LIMIT 1",
        )?
        .query_row([Id(entry)], |row| row.get(0))
        .optional()?;
    Ok(acknowledged.map_or(Withdrawn::NothingOpen, |id| Withdrawn::Acknowledged(id.0)))
}

fn cycle(
    tx: &mut Tx<'_>,
    now: Now,
    (versions, roster): (&Timetable, &Roster),
    calls: bool,
) -> Result<Cycle> {
    let mut cycle = Cycle::default();
    let unfinished = unfinished(tx.sql)?;
    cycle.roster = duty::in_force(tx.sql, roster, now)?;
    let today = policies::keep_up(tx.sql, versions, roster, now)?;
    let change = versions.next_change(now.wall).map(|at| now.mono + until(at, now));
    cycle.until = change.map(|at| (at, "another policy comes into force"));
    if unfinished.is_empty() {
        return Ok(cycle);
    }
    let roster = &cycle.roster.clone();
    let change = duty::next_change(tx.sql, now)?.map(|at| now.mono + until(at, now));
    cycle.until = earlier(cycle.until, change.map(|at| (at, "somebody else is on duty")));
    let told = handover::keep_up(tx, roster, now)?;
    cycle.live.extend(told.into_iter().map(|entry| Live::Escalation { entry }));
    let mut rules = Rules::new(tx.sql, today, versions.in_force(now.wall));
    for id in unfinished {
        let before = cycle.inputs.len();
        let policy = &rules.of(id, now)?;
        let entry = match calls {
            true => advance(tx, id, now, (policy, roster), &mut cycle)?,
            false => withhold(tx, id, now, (policy, roster), &mut cycle)?,
        };
        if cycle.inputs.len() > before {
            cycle.live.push(Live::Escalation { entry });
        }
    }
    cycle.sirens = tx
        .sql
        .prepare_cached(
            "SELECT count(*) FROM escalation WHERE state = 'open' AND siren_ms IS NOT NULL",
        )?
        .query_row([], |row| row.get(0))?;
    let mut dead = tx.sql.prepare_cached(
        "SELECT DISTINCT a.person FROM escalation e JOIN attempt a ON a.escalation = e.id
         WHERE e.state = 'open' AND a.result = 'unreachable' ORDER BY a.person",
    )?;
    cycle.dead = dead.query_map([], |row| row.get(0))?.collect::<Result<_, _>>()?;
    Ok(cycle)
}

fn until(at: DateTime<Utc>, now: Now) -> Duration {
    (at - now.wall).to_std().unwrap_or_default().max(Duration::from_millis(1))
}

/// Costs as much as there is unfinished, however much is finished.
const UNFINISHED: &str = "
  SELECT e.id FROM escalation e WHERE e.id IN (
    SELECT id FROM escalation INDEXED BY escalation_unfinished
      WHERE state = 'open' OR (state = 'acknowledged' AND closed_ms IS NULL)
    UNION SELECT escalation FROM attempt WHERE ended_ms IS NULL)
  ORDER BY coalesce((SELECT max(a.started_ms) FROM attempt a WHERE a.escalation = e.id), 0),
    e.urgency, e.raised_ms";

/// Escalations that still need a decision. Whose calls lie back furthest comes first, so that two
/// matters take turns with one leader.
fn unfinished(sql: &Connection) -> Result<Vec<EscalationId>> {
    neglected(sql, u32::MAX)
}

/// The first of them.
pub(super) fn neglected(sql: &Connection, most: u32) -> Result<Vec<EscalationId>> {
    let mut rows = sql.prepare_cached(&format!("{UNFINISHED} LIMIT ?1"))?;
    let ids = rows.query_map([most], |row| row.get::<_, Id<EscalationId>>(0))?;
    ids.map(|id| Ok(id?.0)).collect()
}

/// Calls that nothing was heard of, and calls that are not wanted any more.
fn stops(
    tx: &mut Tx<'_>,
    id: EscalationId,
    now: Now,
    (policy, roster): (&Arc<Policy>, &Roster),
    cycle: &mut Cycle,
) -> Result<Escalation> {
    let escalation = load(tx.sql, id)?;
    for attempt in expired(&escalation, policy, now) {
        tracing::error!(%attempt, "nothing was heard of a call to a leader: making it again");
        attempts::ended(tx.sql, attempt, AttemptResult::Interrupted, 0, now)?;
        cycle.inputs.push(Input::StopNotifying { attempt, why: Unwanted::Lost });
    }
    let put_off = escalation.exercise.as_ref().is_some_and(|one| one.put_off);
    for attempt in unwanted(&escalation, roster) {
        // Whoever was let stay in an exercise's call may not when a real matter begins: he is asked until he has gone.
        if stop(tx.sql, attempt, now)? || put_off {
            let of = |one: &&Attempt| one.id == attempt;
            let errand = escalation.attempts.iter().find(of).map(|one| one.errand);
            let why = match (escalation.state, errand) {
                _ if put_off => Unwanted::Lost,
                (_, Some(Errand::Remind | Errand::Confirm)) => Unwanted::Settled,
                (State::Withdrawn, _) => Unwanted::Withdrawn,
                (State::Open | State::Acknowledged, _) => Unwanted::Acknowledged,
            };
            cycle.inputs.push(Input::StopNotifying { attempt, why });
        }
    }
    Ok(escalation)
}

/// Told to stop: what is due is left to the next run.
fn withhold(
    tx: &mut Tx<'_>,
    id: EscalationId,
    now: Now,
    (policy, roster): (&Arc<Policy>, &Roster),
    cycle: &mut Cycle,
) -> Result<EntryId> {
    stops(tx, id, now, (policy, roster), cycle)?;
    let escalation = load(tx.sql, id)?;
    match decide(&escalation, policy, roster, now) {
        Decision::Wait { until, why } => cycle.until = earlier(cycle.until, Some((until, why))),
        Decision::Done => return Ok(escalation.entry),
        // An exercise waits for nobody.
        _ if escalation.exercise.is_some() => {}
        Decision::Missed => {}
        Decision::Notify(_)
        | Decision::Siren
        | Decision::Repeat { .. }
        | Decision::RaiseAgain(_) => {
            cycle.withheld |= escalation.state == State::Open;
        }
    }
    Ok(cycle.knows(escalation, policy))
}

fn advance(
    tx: &mut Tx<'_>,
    id: EscalationId,
    now: Now,
    (policy, roster): (&Arc<Policy>, &Roster),
    cycle: &mut Cycle,
) -> Result<EntryId> {
    let escalation = stops(tx, id, now, (policy, roster), cycle)?;
    for _ in 0..DECISIONS {
        let escalation = load(tx.sql, id)?;
        match decide(&escalation, policy, roster, now) {
            Decision::Notify(targets) => {
                for target in targets {
                    cycle.inputs.push(claim(tx, &escalation, target, roster, now)?);
                }
            }
            Decision::Siren => {
                tx.sql
                    .prepare_cached("UPDATE escalation SET siren_ms = ?2 WHERE id = ?1")?
                    .execute(params![Id(id), ms(now.wall)])?;
                let actor = Actor::system("I-6");
                audit::append(tx.sql, now, &actor, "escalation.exhausted", &id.to_string(), "")?;
                cycle.live.push(Live::Escalation { entry: escalation.entry });
            }
            Decision::Repeat { began } => {
                tx.sql
                    .prepare_cached(
                        "UPDATE escalation SET round = round + 1, round_ms = ?2, round_mono = ?3
                         WHERE id = ?1",
                    )?
                    .execute(params![Id(id), ms(began.wall), began.mono.map(mono_of)])?;
            }
            Decision::Wait { until, why } => {
                cycle.until = earlier(cycle.until, Some((until, why)));
                return Ok(cycle.knows(escalation, policy));
            }
            Decision::RaiseAgain(why) => {
                following::raise_again(tx, &escalation, why, now)?;
                cycle.until = earlier(cycle.until, Some((now.mono, "raised again")));
                cycle.live.push(Live::Escalation { entry: escalation.entry });
                return Ok(cycle.knows(escalation, policy));
            }
            Decision::Missed => {
                exercises::missed(tx, &escalation, now)?;
                cycle.live.push(Live::Escalation { entry: escalation.entry });
            }
            Decision::Done => {
                exercises::reached(tx.sql, &escalation, now)?;
                following::close(tx.sql, &escalation, now)?;
                return Ok(escalation.entry);
            }
        }
    }
    cycle.until = earlier(cycle.until, Some((now.mono, "more is to be decided")));
    Ok(escalation.entry)
}

/// The attempt's row comes before its call: a crash in between makes the call again, never
/// forgets it.
fn claim(
    tx: &mut Tx<'_>,
    escalation: &Escalation,
    target: Target,
    roster: &Roster,
    now: Now,
) -> Result<Input> {
    let holds = |one: &&Person| one.role == target.role && one.name == target.person;
    let person = roster.people.iter().find(holds).or_else(|| roster.named(&target.person));
    let record = person.and_then(|person| person.stands_in.as_ref()).map(|held| held.record);
    let pin = match person.filter(|person| person.pin.is_some()) {
        Some(person) => {
            let elsewhere = loading::guessed(tx.sql, escalation.id, &person.name)?;
            escalation.pin_of(person, elsewhere)
        }
        None => None,
    };
    let attempt = AttemptId::new(now, tx.random);
    calls::placed(tx.sql, CallId::from(attempt), escalation.entry, &target.number, now)?;
    let column = |part: usize| i64::try_from(part).unwrap_or(i64::MAX);
    tx.sql
        .prepare_cached(
            "INSERT INTO attempt (id, escalation, seq, round, tier, call_of_tier, role, person,
               target, why, started_ms, started_mono, errand, substitution, joined)
             SELECT ?1, ?2, coalesce(max(seq), 0) + 1, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12,
               ?13, ?14 FROM attempt WHERE escalation = ?2",
        )?
        .execute(params![
            Id(attempt),
            Id(escalation.id),
            escalation.round,
            target.place.map(|place| column(place.tier)),
            target.place.map(|place| column(place.call)),
            name(target.role),
            target.person,
            target.number,
            target.why,
            ms(now.wall),
            mono(now),
            name(target.errand),
            record,
            target.joins.map(Id),
        ])?;
    Ok(Input::Notify(LeaderCall {
        attempt,
        entry: escalation.entry,
        person: target.person,
        target: target.number,
        urgency: escalation.urgency,
        ring: target.ring,
        errand: escalation.exercise.as_ref().map_or(target.errand, |one| one.kind.errand()),
        after_cut: target.after_cut,
        pin,
        joins: target.joins,
    }))
}

fn stop(sql: &Connection, attempt: AttemptId, now: Now) -> Result<bool> {
    let stopped = sql
        .prepare_cached("UPDATE attempt SET stopped_ms = ?2 WHERE id = ?1 AND stopped_ms IS NULL")?
        .execute(params![Id(attempt), ms(now.wall)])?;
    Ok(stopped > 0)
}

#[cfg(test)]
mod tests;
