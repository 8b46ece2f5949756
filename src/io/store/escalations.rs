//! Escalations and their attempts: raised with the flag, decided and claimed in one transaction.

use super::audit::{self, Actor};
use super::calls;
use super::entries::Withdrawn;
use super::error::Result;
use super::text::{Id, Ms, Named, moment, mono, mono_of, ms, name};
use super::writer::Tx;
use super::{Store, Who, acknowledgements};
use crate::duty::escalation::{
    Attempt, Decision, Escalation, Place, Policy, State, Target, decide, expired, unwanted,
};
use crate::duty::ids::{AttemptId, CallId, EntryId, EscalationId};
use crate::duty::journal::{AttemptResult, Urgency};
use crate::duty::roster::{Role, Roster};
use crate::duty::switchboard::{Input, LeaderCall, Unwanted};
use crate::io::status::Live;
use crate::protocol::now::{Deadline, Now, earlier};
use rusqlite::{Connection, OptionalExtension, Row, params};

/// Decisions in one cycle about one escalation before the rest waits for the next cycle.
const DECISIONS: usize = 8;
/// Attempts read beside those that always count: more than the fullest round has.
const RECENT: i64 = 400;

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
    /// People one of whose numbers turned out dead in an open escalation.
    pub dead: Vec<String>,
}

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
        policy: &Policy,
        roster: &Roster,
    ) -> impl Future<Output = Result<Cycle>> + Send + use<> {
        let (policy, roster) = (policy.clone(), roster.clone());
        self.write(move |tx| cycle(tx, now, &policy, &roster))
    }

    /// The officer has spoken to the duty leader by another way, after somebody else had
    /// acknowledged: his redial ends. `how` is mandatory; wake the escalator. `false`: there is no
    /// such redial.
    pub async fn leader_spoken_to(
        &self,
        who: &Who,
        entry: EntryId,
        how: &str,
        now: Now,
    ) -> Result<bool> {
        let (actor, how) = (Actor::from(who), how.trim().to_owned());
        if how.is_empty() {
            return Ok(false);
        }
        self.write(move |tx| reached(tx.sql, &actor, entry, &how, now)).await
    }

    /// As [`Store::next_calls`], for a thread that may wait.
    pub fn escalate(&self, now: Now, policy: &Policy, roster: &Roster) -> Result<Cycle> {
        super::wait(self.next_calls(now, policy, roster))
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
            return Ok(Raised::Upgraded(id));
        }
    }
    let id = EscalationId::new(now, tx.random);
    tx.sql
        .prepare_cached(
            "INSERT INTO escalation (id, entry, urgency, state, raised_by, raised_ms, raised_mono,
               round_ms, round_mono) VALUES (?1, ?2, ?3, 'open', ?4, ?5, ?6, ?5, ?6)",
        )?
        .execute(params![Id(id), Id(entry), name(urgency), actor.name, ms(now.wall), mono(now)])?;
    audit::append(tx.sql, now, actor, "escalation.raise", &id.to_string(), &name(urgency))?;
    Ok(Raised::New(id))
}

pub(super) fn withdraw(
    sql: &Connection,
    actor: &Actor,
    entry: EntryId,
    reason: &str,
    now: Now,
) -> Result<Withdrawn> {
    let withdrawn: Option<Id<EscalationId>> = sql
        .prepare_cached(
            "UPDATE escalation SET state = 'withdrawn', withdrawn_ms = ?2, withdrawn_by = ?3,
               reason = ?4 WHERE entry = ?1 AND state = 'open' RETURNING id",
        )?
        .query_row(params![Id(entry), ms(now.wall), actor.name, reason], |row| row.get(0))
        .optional()?;
    if let Some(Id(id)) = withdrawn {
        audit::append(sql, now, actor, "escalation.withdraw", &id.to_string(), reason)?;
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

fn reached(sql: &Connection, actor: &Actor, entry: EntryId, how: &str, now: Now) -> Result<bool> {
    let reached: Option<Id<EscalationId>> = sql
        .prepare_cached(
            "UPDATE escalation SET leader_reached_ms = ?2 WHERE entry = ?1
               AND state = 'acknowledged' AND leader_reached_ms IS NULL RETURNING id",
        )?
        .query_row(params![Id(entry), ms(now.wall)], |row| row.get(0))
        .optional()?;
    if let Some(Id(id)) = &reached {
        audit::append(sql, now, actor, "escalation.leader_reached", &id.to_string(), how)?;
    }
    Ok(reached.is_some())
}

fn cycle(tx: &mut Tx<'_>, now: Now, policy: &Policy, roster: &Roster) -> Result<Cycle> {
    let mut cycle = Cycle::default();
    for id in unfinished(tx.sql)? {
        let before = cycle.inputs.len();
        let entry = advance(tx, id, now, policy, roster, &mut cycle)?;
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

/// Costs as much as there is unfinished, however much is finished.
const UNFINISHED: &str = "
  SELECT e.id FROM escalation e WHERE e.id IN (
    SELECT id FROM escalation
      WHERE state = 'open' OR (state = 'acknowledged' AND leader_reached_ms IS NULL)
    UNION SELECT escalation FROM attempt WHERE ended_ms IS NULL)
  ORDER BY coalesce((SELECT max(a.started_ms) FROM attempt a WHERE a.escalation = e.id), 0),
    e.urgency, e.raised_ms";

/// Escalations that still need a decision. Whose calls lie back furthest comes first, so that two
/// matters take turns with one leader.
fn unfinished(sql: &Connection) -> Result<Vec<EscalationId>> {
    let mut rows = sql.prepare_cached(UNFINISHED)?;
    let ids = rows.query_map([], |row| row.get::<_, Id<EscalationId>>(0))?;
    ids.map(|id| Ok(id?.0)).collect()
}

fn advance(
    tx: &mut Tx<'_>,
    id: EscalationId,
    now: Now,
    policy: &Policy,
    roster: &Roster,
    cycle: &mut Cycle,
) -> Result<EntryId> {
    let escalation = load(tx.sql, id)?;
    for attempt in expired(&escalation, policy, now) {
        tracing::error!(%attempt, "nothing was heard of a call to a leader: making it again");
        ended(tx.sql, attempt, AttemptResult::Interrupted, 0, now)?;
        cycle.inputs.push(Input::StopNotifying { attempt, why: Unwanted::Lost });
    }
    for attempt in unwanted(&escalation, roster) {
        if stop(tx.sql, attempt, now)? {
            let why = match escalation.state {
                State::Withdrawn => Unwanted::Withdrawn,
                State::Open | State::Acknowledged => Unwanted::Acknowledged,
            };
            cycle.inputs.push(Input::StopNotifying { attempt, why });
        }
    }
    for _ in 0..DECISIONS {
        let escalation = load(tx.sql, id)?;
        match decide(&escalation, policy, roster, now) {
            Decision::Notify(targets) => {
                for target in targets {
                    cycle.inputs.push(claim(tx, &escalation, target, now)?);
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
                return Ok(escalation.entry);
            }
            Decision::Done => return Ok(escalation.entry),
        }
    }
    cycle.until = earlier(cycle.until, Some((now.mono, "more is to be decided")));
    Ok(escalation.entry)
}

/// The attempt's row comes before its call: a crash in between makes the call again, never
/// forgets it.
fn claim(tx: &mut Tx<'_>, escalation: &Escalation, target: Target, now: Now) -> Result<Input> {
    let attempt = AttemptId::new(now, tx.random);
    calls::placed(tx.sql, CallId::from(attempt), escalation.entry, &target.number, now)?;
    let column = |part: usize| i64::try_from(part).unwrap_or(i64::MAX);
    tx.sql
        .prepare_cached(
            "INSERT INTO attempt (id, escalation, seq, round, tier, call_of_tier, role, person,
               target, why, started_ms, started_mono)
             SELECT ?1, ?2, coalesce(max(seq), 0) + 1, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11
             FROM attempt WHERE escalation = ?2",
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
        ])?;
    Ok(Input::Notify(LeaderCall {
        attempt,
        entry: escalation.entry,
        person: target.person,
        target: target.number,
        urgency: escalation.urgency,
        ring: target.ring,
    }))
}

fn stop(sql: &Connection, attempt: AttemptId, now: Now) -> Result<bool> {
    let stopped = sql
        .prepare_cached("UPDATE attempt SET stopped_ms = ?2 WHERE id = ?1 AND stopped_ms IS NULL")?
        .execute(params![Id(attempt), ms(now.wall)])?;
    Ok(stopped > 0)
}

pub(super) fn load(sql: &Connection, id: EscalationId) -> Result<Escalation> {
    let mut escalation = sql
        .prepare_cached(
            "SELECT entry, urgency, state, round, round_ms, round_mono, siren_ms IS NOT NULL,
               leader_reached_ms IS NOT NULL FROM escalation WHERE id = ?1",
        )?
        .query_row([Id(id)], |row| {
            Ok(Escalation {
                id,
                entry: row.get::<_, Id<EntryId>>(0)?.0,
                urgency: row.get::<_, Named<Urgency>>(1)?.0,
                state: match row.get_ref(2)?.as_str()? {
                    "open" => State::Open,
                    "acknowledged" => State::Acknowledged,
                    _ => State::Withdrawn,
                },
                round: row.get(3)?,
                round_began: moment(row.get(4)?, row.get(5)?),
                siren: row.get(6)?,
                leader_reached: row.get(7)?,
                attempts: vec![],
                occupied: vec![],
            })
        })?;
    let mut rows = sql.prepare_cached(
        "SELECT a.id, a.round, a.tier, a.call_of_tier, a.role, a.person, a.target, a.started_ms,
           a.started_mono, a.ended_ms, a.ended_mono, a.result,
           EXISTS (SELECT 1 FROM acknowledgement k WHERE k.attempt = a.id),
           a.result = 'channel_failed' AND EXISTS (SELECT 1 FROM outage o
             WHERE o.kind = 'line' AND o.to_ms >= a.ended_ms)
         FROM attempt a WHERE a.escalation = ?1 AND (a.ended_ms IS NULL OR a.result = 'unreachable'
           OR a.seq > (SELECT max(seq) FROM attempt WHERE escalation = ?1) - ?2)
         ORDER BY a.seq",
    )?;
    let attempts = rows.query_map(params![Id(id), RECENT], attempt)?;
    escalation.attempts = attempts.collect::<Result<_, _>>()?;
    let mut rows = sql.prepare_cached(
        "SELECT person, target FROM attempt WHERE ended_ms IS NULL AND escalation <> ?1",
    )?;
    let mut rows = rows.query([Id(id)])?;
    while let Some(row) = rows.next()? {
        escalation.occupied.extend([row.get(0)?, row.get(1)?]);
    }
    Ok(escalation)
}

fn attempt(row: &Row<'_>) -> rusqlite::Result<Attempt> {
    let place = match (row.get::<_, Option<u16>>(2)?, row.get::<_, Option<u16>>(3)?) {
        (Some(tier), Some(call)) => Some(Place { tier: tier.into(), call: call.into() }),
        (None, _) | (_, None) => None,
    };
    let ended = match row.get::<_, Option<Ms>>(9)? {
        Some(at) => Some((moment(at, row.get(10)?), row.get::<_, Named<AttemptResult>>(11)?.0)),
        None => None,
    };
    Ok(Attempt {
        id: row.get::<_, Id<AttemptId>>(0)?.0,
        round: row.get(1)?,
        place,
        role: row.get::<_, Named<Role>>(4)?.0,
        person: row.get(5)?,
        number: row.get(6)?,
        started: moment(row.get(7)?, row.get(8)?),
        ended,
        acknowledged: row.get(12)?,
        line_is_back: row.get::<_, Option<bool>>(13)?.unwrap_or(false),
    })
}

pub(super) fn changed(sql: &Connection, attempt: AttemptId) -> Result<Option<Live>> {
    let entry: Option<Id<EntryId>> = sql
        .prepare_cached(
            "SELECT e.entry FROM attempt a JOIN escalation e ON e.id = a.escalation
             WHERE a.id = ?1",
        )?
        .query_row([Id(attempt)], |row| row.get(0))
        .optional()?;
    Ok(entry.map(|entry| Live::Escalation { entry: entry.0 }))
}

pub(super) fn ringing(sql: &Connection, attempt: AttemptId, now: Now) -> Result<Option<Live>> {
    sql.prepare_cached("UPDATE attempt SET ringing_ms = ?2 WHERE id = ?1 AND ringing_ms IS NULL")?
        .execute(params![Id(attempt), ms(now.wall)])?;
    changed(sql, attempt)
}

pub(super) fn answered(sql: &Connection, attempt: AttemptId, now: Now) -> Result<Option<Live>> {
    sql.prepare_cached(
        "UPDATE attempt SET answered_ms = ?2 WHERE id = ?1 AND answered_ms IS NULL",
    )?
    .execute(params![Id(attempt), ms(now.wall)])?;
    let person: Option<String> = sql
        .prepare_cached("SELECT person FROM attempt WHERE id = ?1")?
        .query_row([Id(attempt)], |row| row.get(0))
        .optional()?;
    calls::answered(sql, attempt.into(), &person.unwrap_or_default(), now)?;
    changed(sql, attempt)
}

pub(super) fn key(
    sql: &Connection,
    attempt: AttemptId,
    key: char,
    now: Now,
) -> Result<Option<Live>> {
    let live = changed(sql, attempt)?;
    if live.is_some() {
        sql.prepare_cached(
            "INSERT OR IGNORE INTO attempt_key (attempt, at_ms, at_mono, key)
             VALUES (?1, ?2, ?3, ?4)",
        )?
        .execute(params![Id(attempt), ms(now.wall), mono(now), key.to_string()])?;
    }
    Ok(live)
}

pub(super) fn ended(
    sql: &Connection,
    attempt: AttemptId,
    result: AttemptResult,
    status: u16,
    now: Now,
) -> Result<Option<Live>> {
    sql.prepare_cached(
        "UPDATE attempt SET ended_ms = ?2, ended_mono = ?3, result = ?4, status = ?5
         WHERE id = ?1 AND ended_ms IS NULL",
    )?
    .execute(params![Id(attempt), ms(now.wall), mono(now), name(result), status])?;
    let disposition = acknowledgements::disposition(result);
    calls::ended(sql, attempt.into(), disposition, None, status, &name(result), now)?;
    changed(sql, attempt)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::duty::journal::{Fact, Noted};
    use crate::duty::switchboard::AckOutcome;
    use crate::io::store::entries::Flagged;
    use crate::io::store::tests::{at, entry, note, officer, one, roster, store};
    use crate::io::store::wait;

    fn flag(store: &Store, entry: EntryId, urgency: Urgency, seconds: f64) -> Flagged {
        wait(store.flag(&officer(), entry, urgency, at(seconds))).unwrap()
    }

    /// Calls that are placed, and attempts that are stopped, at a moment.
    fn cycle(store: &Store, seconds: f64) -> (Vec<LeaderCall>, Vec<AttemptId>) {
        let cycle = store.escalate(at(seconds), &Policy::default(), &roster()).unwrap();
        let (mut calls, mut stops) = (vec![], vec![]);
        for input in cycle.inputs {
            match input {
                Input::Notify(call) => calls.push(call),
                Input::StopNotifying { attempt, .. } => stops.push(attempt),
                other => panic!("{other:?}"),
            }
        }
        (calls, stops)
    }

    fn acknowledge(store: &Store, call: &LeaderCall, seconds: f64) -> AckOutcome {
        let fact = Fact::Acknowledged { attempt: call.attempt, entry: call.entry };
        match note(store, seconds, fact).input {
            Some(Input::AckStored { attempt, outcome }) if attempt == call.attempt => outcome,
            other => panic!("{other:?}"),
        }
    }

    fn end(store: &Store, call: &LeaderCall, result: AttemptResult, seconds: f64) {
        let attempt = call.attempt;
        note(store, seconds, Fact::AttemptEnded { attempt, result, status: 487 });
    }

    #[test]
    fn i_5_flagging_an_empty_entry_raises_in_the_same_transaction_and_calls_at_once() {
        let store = store();
        let entry = entry(&store, 1, 0.0);
        assert!(matches!(flag(&store, entry, Urgency::Critical, 5.0), Flagged::Raised(_)));
        let (calls, _) = cycle(&store, 5.0);
        assert_eq!(calls.len(), 1);
        assert_eq!((calls[0].target.as_str(), calls[0].entry), ("1001", entry));
        assert_eq!(cycle(&store, 5.1).0, [], "the claim is kept");
        let view = wait(store.entry(entry)).unwrap().unwrap();
        assert_eq!(view.row.urgency, Urgency::Critical);
        assert_eq!(view.escalations[0].attempts.len(), 1);
        assert_eq!(view.revisions.len(), 2);
    }

    #[test]
    fn esc_85_what_is_finished_is_not_looked_at() {
        let store = store();
        let plan = store.write_now(|tx| {
            let mut rows = tx.sql.prepare(&format!("EXPLAIN QUERY PLAN {UNFINISHED}"))?;
            let lines = rows.query_map([], |row| row.get::<_, String>(3))?;
            Ok(lines.collect::<Result<Vec<_>, _>>()?)
        });
        for line in plan.unwrap().iter().filter(|line| line.starts_with("SCAN")) {
            assert!(line.contains("USING") && line.contains("INDEX"), "{line}");
        }
    }

    #[test]
    fn esc_29_flagged_ten_times_it_is_one_escalation() {
        let store = store();
        let entry = entry(&store, 1, 0.0);
        let Flagged::Raised(id) = flag(&store, entry, Urgency::Urgent, 1.0) else { panic!() };
        for _ in 0..10 {
            assert_eq!(flag(&store, entry, Urgency::Urgent, 2.0), Flagged::Already(id));
            let phone = "值班台话机".to_owned();
            note(&store, 2.0, Fact::Flagged { entry, urgency: Urgency::Urgent, phone });
        }
        assert_eq!(one::<i64>(&store, "SELECT count(*) FROM escalation"), 1);
        assert_eq!(cycle(&store, 3.0).0.len(), 1);
        assert_eq!(flag(&store, entry, Urgency::Routine, 3.0), Flagged::NotUrgent);
    }

    #[test]
    fn flagged_higher_the_higher_ladder_begins_at_once() {
        let store = store();
        let entry = entry(&store, 1, 0.0);
        let Flagged::Raised(id) = flag(&store, entry, Urgency::Urgent, 0.0) else { panic!() };
        let (calls, _) = cycle(&store, 0.0);
        end(&store, &calls[0], AttemptResult::NoAnswer, 35.0);
        assert_eq!(flag(&store, entry, Urgency::Critical, 40.0), Flagged::Upgraded(id));
        let (calls, _) = cycle(&store, 40.0);
        assert_eq!((calls.len(), calls[0].urgency), (1, Urgency::Critical));
        assert_eq!(flag(&store, entry, Urgency::Urgent, 41.0), Flagged::Already(id));
    }

    #[test]
    fn esc_34_of_withdrawal_and_key_exactly_one_wins() {
        for key_first in [true, false] {
            let store = store();
            let entry = entry(&store, 1, 0.0);
            flag(&store, entry, Urgency::Urgent, 0.0);
            let (calls, _) = cycle(&store, 0.0);
            let withdraw = || wait(store.withdraw(&officer(), entry, "误报", at(9.0))).unwrap();
            if key_first {
                assert_eq!(acknowledge(&store, &calls[0], 9.0), AckOutcome::First);
                assert!(matches!(withdraw(), Withdrawn::Acknowledged(_)));
            } else {
                assert!(matches!(withdraw(), Withdrawn::Withdrawn(_)));
                assert_eq!(acknowledge(&store, &calls[0], 9.0), AckOutcome::Withdrawn);
            }
            let firsts = "SELECT count(*) FROM acknowledgement WHERE outcome = 'first'";
            assert_eq!(one::<i64>(&store, firsts), i64::from(key_first));
        }
    }

    #[test]
    fn esc_35_of_two_keys_one_is_first_and_one_is_late() {
        let store = store();
        let entry = entry(&store, 1, 0.0);
        flag(&store, entry, Urgency::Urgent, 0.0);
        let (leader, _) = cycle(&store, 0.0);
        let (both, _) = cycle(&store, 180.0);
        let substitute = both.iter().find(|call| call.target == "1002").unwrap();
        assert_eq!(acknowledge(&store, substitute, 190.0), AckOutcome::First);
        assert_eq!(acknowledge(&store, &leader[0], 190.02), AckOutcome::Late);
        assert_eq!(acknowledge(&store, &leader[0], 190.02), AckOutcome::Late, "said twice");
        assert_eq!(acknowledge(&store, substitute, 191.0), AckOutcome::First, "said twice");
        let view = wait(store.entry(entry)).unwrap().unwrap();
        let escalation = &view.escalations[0];
        assert_eq!(escalation.row.acknowledged.as_ref().unwrap().person, "S");
        assert_eq!(escalation.acknowledgements.len(), 2);
        assert!(escalation.row.leader_reached.is_some());
    }

    #[test]
    fn esc_36_nothing_is_sent_after_the_key() {
        let store = store();
        let entry = entry(&store, 1, 0.0);
        flag(&store, entry, Urgency::Urgent, 0.0);
        let (leader, _) = cycle(&store, 0.0);
        assert_eq!(acknowledge(&store, &leader[0], 12.0), AckOutcome::First);
        end(&store, &leader[0], AttemptResult::Acknowledged, 16.0);
        for seconds in [12.0, 60.0, 180.0, 360.0, 600.0, 90_000.0] {
            assert_eq!(cycle(&store, seconds), (vec![], vec![]));
        }
    }

    #[test]
    fn i_7_another_ones_key_stops_the_others_but_not_the_leaders_redial() {
        let store = store();
        let entry = entry(&store, 1, 0.0);
        flag(&store, entry, Urgency::Critical, 0.0);
        let (calls, _) = cycle(&store, 0.0);
        end(&store, &calls[0], AttemptResult::NoAnswer, 35.0);
        let (calls, _) = cycle(&store, 110.0);
        let of = |target: &str| calls.iter().find(|call| call.target == target).unwrap();
        let (leader, substitute) = (calls.iter().find(|c| c.target != "1002").unwrap(), of("1002"));
        let (director, _) = cycle(&store, 145.0);
        assert_eq!(director[0].target, "1003");
        assert_eq!(acknowledge(&store, substitute, 150.0), AckOutcome::First);
        let (calls, stops) = cycle(&store, 150.1);
        assert_eq!((calls, stops), (vec![], vec![director[0].attempt]));
        assert_eq!(cycle(&store, 150.2).1, [], "stopped once");
        end(&store, leader, AttemptResult::NoAnswer, 151.0);
        end(&store, &director[0], AttemptResult::Cancelled, 151.0);
        end(&store, substitute, AttemptResult::Acknowledged, 155.0);
        let (redial, _) = cycle(&store, 170.0);
        assert_eq!(redial.len(), 1, "60 s after his last call began");
        assert!(["1001", "2001"].contains(&redial[0].target.as_str()));
        let spoken =
            |how: &str| wait(store.leader_spoken_to(&officer(), entry, how, at(174.0))).unwrap();
        assert!(!spoken(" "));
        assert_eq!(acknowledge(&store, &redial[0], 175.0), AckOutcome::Late);
        assert!(!spoken("当面"), "he has pressed the key himself");
        end(&store, &redial[0], AttemptResult::Acknowledged, 180.0);
        let last = store.escalate(at(9000.0), &Policy::default(), &roster()).unwrap();
        assert_eq!(last, Cycle::default());
    }

    #[test]
    fn the_leaders_redial_ends_when_the_officer_has_spoken_to_him() {
        let store = store();
        let entry = entry(&store, 1, 0.0);
        flag(&store, entry, Urgency::Urgent, 0.0);
        let spoken = || wait(store.leader_spoken_to(&officer(), entry, "当面", at(200.0))).unwrap();
        assert!(!spoken(), "nobody has acknowledged yet");
        let (leader, _) = cycle(&store, 0.0);
        end(&store, &leader[0], AttemptResult::NoAnswer, 35.0);
        let (calls, _) = cycle(&store, 180.0);
        let substitute = calls.iter().find(|call| call.target == "1002").unwrap();
        let redial = calls.iter().find(|call| call.target != "1002").unwrap();
        assert_eq!(acknowledge(&store, substitute, 190.0), AckOutcome::First);
        assert_eq!(cycle(&store, 191.0).1, []);
        assert!(spoken());
        assert_eq!(cycle(&store, 200.0).1, [redial.attempt]);
        end(&store, redial, AttemptResult::Cancelled, 200.0);
        end(&store, substitute, AttemptResult::Acknowledged, 200.0);
        assert_eq!(cycle(&store, 9000.0), (vec![], vec![]));
    }

    #[test]
    fn a_withdrawal_needs_a_reason_stops_the_calls_and_allows_a_new_flag() {
        let store = store();
        let entry = entry(&store, 1, 0.0);
        flag(&store, entry, Urgency::Urgent, 0.0);
        let (calls, _) = cycle(&store, 0.0);
        let withdraw =
            |reason: &str| wait(store.withdraw(&officer(), entry, reason, at(3.0))).unwrap();
        assert_eq!(withdraw(" \n"), Withdrawn::NoReason);
        assert!(matches!(withdraw("误报"), Withdrawn::Withdrawn(_)));
        assert_eq!(cycle(&store, 3.1), (vec![], vec![calls[0].attempt]));
        assert_eq!(withdraw("再撤"), Withdrawn::NothingOpen);
        assert!(matches!(flag(&store, entry, Urgency::Urgent, 10.0), Flagged::Raised(_)));
        let raised = wait(store.open_escalations()).unwrap();
        assert_eq!(raised.len(), 1);
    }

    #[test]
    fn esc_27_two_matters_take_turns_with_one_leader() {
        let store = store();
        let (first, second) = (entry(&store, 1, 0.0), entry(&store, 2, 1.0));
        flag(&store, first, Urgency::Urgent, 0.0);
        flag(&store, second, Urgency::Urgent, 5.0);
        let (calls, _) = cycle(&store, 5.0);
        assert_eq!(calls.len(), 1, "never two calls to him at once");
        let mut for_second = None;
        let mut flying = calls;
        for tenth in 51..700 {
            let seconds = f64::from(tenth) / 10.0;
            if tenth % 350 == 0 {
                flying
                    .drain(..)
                    .for_each(|call| end(&store, &call, AttemptResult::NoAnswer, seconds));
            }
            flying.extend(cycle(&store, seconds).0);
            assert!(flying.len() <= 1);
            let second = flying.iter().any(|call| call.entry == second);
            for_second = for_second.or(second.then_some(seconds));
        }
        assert!(for_second.unwrap() < 65.0);
        assert_eq!(acknowledge(&store, &flying[0], 70.0), AckOutcome::First);
        assert_eq!(wait(store.open_escalations()).unwrap().len(), 1, "the other still fires");
    }

    #[test]
    fn esc_42_an_attempt_cut_by_a_crash_is_made_again_at_once() {
        let store = store();
        let entry = entry(&store, 1, 0.0);
        flag(&store, entry, Urgency::Urgent, 0.0);
        let (before, _) = cycle(&store, 0.0);
        note(&store, 4.0, Fact::AttemptRinging { attempt: before[0].attempt });
        let cut = wait(store.interrupted_calls([].into(), at(10.0))).unwrap();
        assert_eq!(cut.len(), 1, "the caller's call; the leader's has its attempt");
        let (after, _) = cycle(&store, 10.0);
        assert_eq!(after.len(), 1);
        assert_eq!(after[0].target, before[0].target);
        assert_ne!(after[0].attempt, before[0].attempt);
        let view = wait(store.entry(entry)).unwrap().unwrap();
        let results: Vec<_> =
            view.escalations[0].attempts.iter().map(|attempt| attempt.result).collect();
        assert_eq!(results, [Some(AttemptResult::Interrupted), None]);
        assert_eq!(wait(store.interrupted_calls([].into(), at(11.0))).unwrap(), []);
    }

    #[test]
    fn an_attempt_that_is_lost_is_stopped_and_made_again() {
        let store = store();
        let entry = entry(&store, 1, 0.0);
        flag(&store, entry, Urgency::Urgent, 0.0);
        let (lost, _) = cycle(&store, 0.0);
        let (calls, stops) = cycle(&store, 181.0);
        assert_eq!(stops, [lost[0].attempt]);
        assert!(calls.iter().any(|call| call.target == "1001"));
        end(&store, &lost[0], AttemptResult::Busy, 182.0);
        let interrupted = "SELECT result FROM attempt ORDER BY seq LIMIT 1";
        assert_eq!(one::<String>(&store, interrupted), "interrupted", "a late report");
    }

    #[test]
    fn exhausted_it_sounds_until_somebody_acknowledges() {
        let store = store();
        let entry = entry(&store, 1, 0.0);
        flag(&store, entry, Urgency::Urgent, 0.0);
        let nobody = Roster { people: roster().people.into_iter().take(1).collect() };
        let cycle = store.escalate(at(0.0), &Policy::default(), &nobody).unwrap();
        assert_eq!(cycle.sirens, 0);
        let Input::Notify(call) = &cycle.inputs[0] else { panic!() };
        end(&store, call, AttemptResult::Unreachable, 0.5);
        let cycle = store.escalate(at(0.5), &Policy::default(), &nobody).unwrap();
        let Input::Notify(office) = &cycle.inputs[0] else { panic!() };
        assert_eq!(
            (office.target.as_str(), cycle.dead.as_slice()),
            ("2001", &["L".to_owned()][..])
        );
        let cycle = store.escalate(at(181.0), &Policy::default(), &nobody).unwrap();
        assert_eq!(cycle.sirens, 1);
        let row = wait(store.entry_row(entry)).unwrap().unwrap().escalation.unwrap();
        assert_eq!(row.siren, Some(at(181.0).wall));
        let redial = cycle.inputs.iter().find_map(|input| match input {
            Input::Notify(call) => Some(call.clone()),
            _ => None,
        });
        assert_eq!(acknowledge(&store, &redial.unwrap(), 190.0), AckOutcome::First);
        assert_eq!(wait(store.entry_row(entry)).unwrap().unwrap().escalation.unwrap().siren, None);
    }

    #[test]
    fn facts_of_attempts_are_kept_in_full() {
        let store = store();
        let entry = entry(&store, 1, 0.0);
        flag(&store, entry, Urgency::Urgent, 0.0);
        let (calls, _) = cycle(&store, 0.0);
        let attempt = calls[0].attempt;
        note(&store, 3.0, Fact::AttemptRinging { attempt });
        note(&store, 9.0, Fact::AttemptAnswered { attempt });
        for (seconds, key) in [(15.0, '7'), (16.0, '8')] {
            store
                .apply(&Noted { at: at(seconds), fact: Fact::AttemptKey { attempt, key } })
                .unwrap();
        }
        end(&store, &calls[0], AttemptResult::AnsweredNoKey, 60.0);
        let view = wait(store.entry(entry)).unwrap().unwrap();
        let row = &view.escalations[0].attempts[0];
        assert_eq!((row.ringing, row.answered), (Some(at(3.0).wall), Some(at(9.0).wall)));
        assert_eq!((row.keys.as_str(), row.result), ("78", Some(AttemptResult::AnsweredNoKey)));
        assert!(row.recording.is_some(), "calls to leaders are recorded too");
    }
}
