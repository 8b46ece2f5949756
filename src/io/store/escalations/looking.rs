//! A look at all that is open: what is due is decided and claimed, some matters in each commit, so that whoever else
//! writes waits for these alone, and the first are called before the last are looked at.

use super::handover;
use super::loading::{self, Guesses, load};
use crate::duty::escalation::{
    Attempt, Decision, Elsewhere, Escalation, Policy, State, Target, Timetable, UnderWay, decide,
    expired, unwanted,
};
use crate::duty::ids::{AttemptId, CallId, EntryId, EscalationId};
use crate::duty::journal::AttemptResult;
use crate::duty::roster::{Person, Role, Roster};
use crate::duty::switchboard::{Errand, Input, LeaderCall, Unwanted};
use crate::io::status::Live;
use crate::io::store::audit::{self, Actor};
use crate::io::store::error::Result;
use crate::io::store::policies::{self, Rules};
use crate::io::store::text::{Id, mono, mono_of, ms, name};
use crate::io::store::writer::Tx;
use crate::io::store::{Store, attempts, calls, duty, exercises, following};
use crate::protocol::now::{Deadline, Now, earlier};
use chrono::{DateTime, Utc};
use rusqlite::{Connection, params};
use std::pin::Pin;
use std::sync::Arc;
use std::time::Duration;
use tokio_util::sync::CancellationToken;

/// Matters that one commit decides on.
pub(super) const TOGETHER: usize = 128;
/// Decisions in one look about one escalation before the rest waits for the next look.
const DECISIONS: usize = 8;

/// What a look at escalations came to. It is committed: tell it, then look at the rest, then wait.
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
    /// Sirens and dead numbers are those of all when this is empty.
    pub rest: Rest,
}

/// What a look has not come to yet, whoever has waited longest first.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Rest(Vec<EscalationId>);

impl Rest {
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }
}

impl Cycle {
    /// With what the look came to afterwards.
    pub fn and(mut self, next: Self) -> Self {
        self.inputs.extend(next.inputs);
        self.live.extend(next.live);
        self.known.extend(next.known);
        Self {
            until: earlier(self.until, next.until),
            withheld: self.withheld || next.withheld,
            inputs: self.inputs,
            live: self.live,
            known: self.known,
            ..next
        }
    }
}

/// What a look is at, and whether leaders may be called in it.
#[derive(Debug, Clone, Default)]
pub struct Bounds {
    /// What a look has not come to; `None`: whatever is open.
    pub rest: Option<Rest>,
    /// Once it is cancelled nobody is called any more, not by a look that waits for its commit either: what is not
    /// wanted is stopped.
    pub finishing: CancellationToken,
}

/// A look that is under way.
pub type Deciding = Pin<Box<dyn Future<Output = Result<Cycle>> + Send>>;

impl Store {
    /// Decides what open escalations need now, and writes each attempt down before it is made.
    pub fn next_calls(
        &self,
        now: Now,
        versions: impl Into<Timetable>,
        roster: &Roster,
    ) -> Deciding {
        self.next_calls_in(Bounds::default(), now, versions, roster)
    }

    /// As [`Store::next_calls`], no further than this.
    pub fn next_calls_in(
        &self,
        bounds: Bounds,
        now: Now,
        versions: impl Into<Timetable>,
        roster: &Roster,
    ) -> Deciding {
        let (versions, roster) = (versions.into(), roster.clone());
        Box::pin(self.write_of_run(move |tx| look(tx, bounds, now, (&versions, &roster))))
    }

    /// A whole look, for a thread that may wait.
    pub fn escalate(
        &self,
        now: Now,
        versions: impl Into<Timetable>,
        roster: &Roster,
    ) -> Result<Cycle> {
        let versions = versions.into();
        let mut whole = crate::io::store::wait(self.next_calls(now, &versions, roster))?;
        while !whole.rest.is_empty() {
            let rest = Some(std::mem::take(&mut whole.rest));
            let bounds = Bounds { rest, ..Bounds::default() };
            let next = self.next_calls_in(bounds, now, &versions, roster);
            whole = whole.and(crate::io::store::wait(next)?);
        }
        Ok(whole)
    }
}

/// Costs as much as there is unfinished, however much is finished.
pub(super) const UNFINISHED: &str = "
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
pub(in crate::io::store) fn neglected(sql: &Connection, most: u32) -> Result<Vec<EscalationId>> {
    let mut rows = sql.prepare_cached(&format!("{UNFINISHED} LIMIT ?1"))?;
    let ids = rows.query_map([most], |row| row.get::<_, Id<EscalationId>>(0))?;
    ids.map(|id| Ok(id?.0)).collect()
}

fn look(
    tx: &mut Tx<'_>,
    Bounds { rest, finishing }: Bounds,
    now: Now,
    (versions, roster): (&Timetable, &Roster),
) -> Result<Cycle> {
    let mut these = match rest {
        Some(Rest(rest)) => rest,
        None => unfinished(tx.sql)?,
    };
    let in_force = duty::in_force(tx.sql, roster, now)?;
    let today = policies::keep_up(tx.sql, versions, roster, now)?;
    let change = versions.next_change(now.wall).map(|at| now.mono + until(at, now));
    let change = change.map(|at| (at, "another policy comes into force"));
    let mut cycle = Cycle { until: change, roster: in_force, ..Cycle::default() };
    if these.is_empty() {
        return Ok(cycle);
    }
    let change = duty::next_change(tx.sql, now)?.map(|at| now.mono + until(at, now));
    cycle.until = earlier(cycle.until, change.map(|at| (at, "somebody else is on duty")));
    cycle.rest = Rest(these.split_off(these.len().min(TOGETHER)));
    let roster = cycle.roster.clone();
    let rules = Rules::new(tx.sql, today, versions.in_force(now.wall));
    let under_way = loading::under_way(tx.sql)?;
    let mut part =
        Part { now, roster: &roster, rules, under_way, guesses: Guesses::default(), cycle };
    these.into_iter().try_for_each(|id| part.turns_to(tx, id, !finishing.is_cancelled()))?;
    let mut cycle = part.cycle;
    if cycle.rest.is_empty() {
        (cycle.sirens, cycle.dead) = (sirens(tx.sql)?, dead(tx.sql)?);
    }
    Ok(cycle)
}

fn until(at: DateTime<Utc>, now: Now) -> Duration {
    (at - now.wall).to_std().unwrap_or_default().max(Duration::from_millis(1))
}

fn sirens(sql: &Connection) -> Result<u32> {
    Ok(sql
        .prepare_cached(
            "SELECT count(*) FROM escalation WHERE state = 'open' AND siren_ms IS NOT NULL",
        )?
        .query_row([], |row| row.get(0))?)
}

fn dead(sql: &Connection) -> Result<Vec<String>> {
    let mut dead = sql.prepare_cached(
        "SELECT DISTINCT a.person FROM escalation e JOIN attempt a ON a.escalation = e.id
         WHERE e.state = 'open' AND a.result = 'unreachable' ORDER BY a.person",
    )?;
    Ok(dead.query_map([], |row| row.get(0))?.collect::<Result<_, _>>()?)
}

/// What one commit decides on, and what is the same for all of it.
struct Part<'a> {
    now: Now,
    roster: &'a Roster,
    rules: Rules<'a>,
    under_way: UnderWay,
    guesses: Guesses,
    cycle: Cycle,
}

impl Part<'_> {
    fn turns_to(&mut self, tx: &mut Tx<'_>, id: EscalationId, calls: bool) -> Result<()> {
        let leader = self.roster.holder(Role::Leader).map(|person| &person.name);
        if let Some(leader) = leader
            && let Some(entry) = handover::keep_up(tx, id, leader, self.now)?
        {
            self.cycle.live.push(Live::Escalation { entry });
        }
        let before = self.cycle.inputs.len();
        let policy = self.rules.of(id, self.now)?;
        let escalation = self.stops(tx, id, &policy)?;
        let entry = match calls {
            true => self.advance(tx, escalation, &policy)?,
            false => self.withhold(escalation, &policy),
        };
        if self.cycle.inputs.len() > before {
            self.cycle.live.push(Live::Escalation { entry });
        }
        Ok(())
    }

    fn load(&self, sql: &Connection, id: EscalationId) -> Result<Escalation> {
        Ok(Escalation { occupied: self.under_way.elsewhere(), ..load(sql, id)? })
    }

    /// Calls that nothing was heard of, and calls that are not wanted any more.
    fn stops(&mut self, tx: &mut Tx<'_>, id: EscalationId, policy: &Policy) -> Result<Escalation> {
        let (now, escalation) = (self.now, self.load(tx.sql, id)?);
        let of = |attempt: AttemptId| escalation.attempts.iter().find(move |one| one.id == attempt);
        let lost = expired(&escalation, policy, now);
        for &attempt in &lost {
            tracing::error!(%attempt, "nothing was heard of a call to a leader: making it again");
            attempts::ended(tx.sql, attempt, AttemptResult::Interrupted, 0, now)?;
            if let Some(one) = of(attempt) {
                self.under_way.ends(one.call());
            }
            self.cycle.inputs.push(Input::StopNotifying { attempt, why: Unwanted::Lost });
        }
        let put_off = escalation.exercise.as_ref().is_some_and(|one| one.put_off);
        for attempt in unwanted(&escalation, self.roster) {
            // Whoever was let stay in an exercise's call may not when a real matter begins: he is asked until he has gone.
            if stop(tx.sql, attempt, now)? || put_off {
                let why = match (escalation.state, of(attempt).map(|one: &Attempt| one.errand)) {
                    _ if put_off => Unwanted::Lost,
                    (_, Some(Errand::Remind | Errand::Confirm)) => Unwanted::Settled,
                    (State::Withdrawn, _) => Unwanted::Withdrawn,
                    (State::Open | State::Acknowledged, _) => Unwanted::Acknowledged,
                };
                self.cycle.inputs.push(Input::StopNotifying { attempt, why });
            }
        }
        if lost.is_empty() { Ok(escalation) } else { self.load(tx.sql, id) }
    }

    /// Told to stop: what is due is left to the next run.
    fn withhold(&mut self, escalation: Escalation, policy: &Arc<Policy>) -> EntryId {
        match decide(&escalation, policy, self.roster, self.now) {
            Decision::Wait { until, why } => self.looks_again((until, why)),
            Decision::Done => return escalation.entry,
            // An exercise waits for nobody.
            _ if escalation.exercise.is_some() => {}
            Decision::Missed => {}
            Decision::Notify(_)
            | Decision::Siren
            | Decision::Repeat { .. }
            | Decision::RaiseAgain(_) => {
                self.cycle.withheld |= escalation.state == State::Open;
            }
        }
        self.knows(escalation, policy)
    }

    fn advance(
        &mut self,
        tx: &mut Tx<'_>,
        mut escalation: Escalation,
        policy: &Arc<Policy>,
    ) -> Result<EntryId> {
        let (id, entry, now) = (escalation.id, escalation.entry, self.now);
        for _ in 0..DECISIONS {
            match decide(&escalation, policy, self.roster, now) {
                Decision::Notify(targets) => {
                    for target in targets {
                        self.claims(tx, &escalation, target)?;
                    }
                }
                Decision::Siren => {
                    tx.sql
                        .prepare_cached("UPDATE escalation SET siren_ms = ?2 WHERE id = ?1")?
                        .execute(params![Id(id), ms(now.wall)])?;
                    let (actor, exhausted) = (Actor::system("I-6"), "escalation.exhausted");
                    audit::append(tx.sql, now, &actor, exhausted, &id.to_string(), "")?;
                    self.cycle.live.push(Live::Escalation { entry });
                }
                Decision::Repeat { began } => {
                    tx.sql
                        .prepare_cached(
                            "UPDATE escalation SET round = round + 1, round_ms = ?2, round_mono = ?3
                             WHERE id = ?1",
                        )?
                        .execute(params![Id(id), ms(began.wall), began.mono.map(mono_of)])?;
                    let (actor, again) = (Actor::system("I-6"), "escalation.repeat");
                    let round = (escalation.round + 1).to_string();
                    audit::append(tx.sql, now, &actor, again, &id.to_string(), &round)?;
                }
                Decision::Wait { until, why } => {
                    self.looks_again((until, why));
                    return Ok(self.knows(escalation, policy));
                }
                Decision::RaiseAgain(why) => {
                    following::raise_again(tx, &escalation, why, now)?;
                    self.looks_again((now.mono, "raised again"));
                    self.cycle.live.push(Live::Escalation { entry });
                    return Ok(self.knows(escalation, policy));
                }
                Decision::Missed => {
                    exercises::missed(tx, &escalation, now)?;
                    self.cycle.live.push(Live::Escalation { entry });
                }
                Decision::Done => {
                    exercises::reached(tx.sql, &escalation, now)?;
                    following::close(tx.sql, &escalation, now)?;
                    return Ok(entry);
                }
            }
            escalation = self.load(tx.sql, id)?;
        }
        self.looks_again((now.mono, "more is to be decided"));
        Ok(entry)
    }

    fn looks_again(&mut self, at: Deadline) {
        self.cycle.until = earlier(self.cycle.until, Some(at));
    }

    fn knows(&mut self, escalation: Escalation, policy: &Arc<Policy>) -> EntryId {
        let (entry, figures) = (escalation.entry, Some(Arc::clone(policy)));
        self.cycle.known.push(Escalation { figures, ..escalation });
        entry
    }

    /// The attempt's row comes before its call: a crash in between makes the call again, never
    /// forgets it.
    fn claims(&mut self, tx: &mut Tx<'_>, escalation: &Escalation, target: Target) -> Result<()> {
        let (now, roster) = (self.now, self.roster);
        let holds = |one: &&Person| one.role == target.role && one.name == target.person;
        let person = roster.people.iter().find(holds).or_else(|| roster.named(&target.person));
        let record = person.and_then(|person| person.stands_in.as_ref()).map(|held| held.record);
        let pin = match person.filter(|person| person.pin.is_some()) {
            Some(person) => {
                let elsewhere = self.guesses.elsewhere(tx.sql, escalation.id, &person.name)?;
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
        let joinable = target.errand != Errand::Confirm && escalation.exercise.is_none();
        let (person, number) = (target.person.clone(), target.number.clone());
        let call = target.joins.unwrap_or(attempt);
        self.under_way.begins(Elsewhere { call, person, number, joinable });
        self.cycle.inputs.push(Input::Notify(LeaderCall {
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
        }));
        Ok(())
    }
}

fn stop(sql: &Connection, attempt: AttemptId, now: Now) -> Result<bool> {
    let stopped = sql
        .prepare_cached("UPDATE attempt SET stopped_ms = ?2 WHERE id = ?1 AND stopped_ms IS NULL")?
        .execute(params![Id(attempt), ms(now.wall)])?;
    Ok(stopped > 0)
}
