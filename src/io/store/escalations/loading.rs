//! An escalation as its rows have it, with what others under way mean for it.

use crate::duty::escalation::{
    Acked, Attempt, Elsewhere, Escalation, Guessed, Place, State, UnderWay,
};
use crate::duty::ids::{AttemptId, EntryId, EscalationId};
use crate::duty::journal::{AttemptResult, Urgency};
use crate::duty::pin;
use crate::duty::roster::Role;
use crate::duty::switchboard::Errand;
use crate::io::store::error::Result;
use crate::io::store::text::{Id, Ms, Named, moment};
use crate::io::store::{exercises, instructions};
use rusqlite::{Connection, Row, params};
use std::collections::BTreeMap;

/// Attempts read beside those that always count: more than the fullest round has.
const RECENT: i64 = 400;

/// As its own rows have it: of others nothing is known, see [`under_way`].
pub(in crate::io::store) fn load(sql: &Connection, id: EscalationId) -> Result<Escalation> {
    let mut escalation = sql
        .prepare_cached(
            "SELECT entry, urgency, state, round, round_ms, round_mono, siren_ms IS NOT NULL,
               leader_reached_ms IS NOT NULL, acked_ms, acked_mono, read_ms IS NOT NULL,
               closed_ms IS NOT NULL, acked_by, raised_ms FROM escalation WHERE id = ?1",
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
                raised: row.get::<_, Ms>(13)?.0,
                round: row.get(3)?,
                round_began: moment(row.get(4)?, row.get(5)?),
                siren: row.get(6)?,
                leader_reached: row.get(7)?,
                acked: match (row.get::<_, Option<Ms>>(8)?, row.get::<_, Option<String>>(12)?) {
                    (Some(at), Some(person)) => Some(Acked { at: moment(at, row.get(9)?), person }),
                    (None, _) | (_, None) => None,
                },
                read: row.get(10)?,
                closed: row.get(11)?,
                unconfirmed: None,
                attempts: vec![],
                occupied: vec![],
                exercise: None,
                left_out: vec![],
                figures: None,
            })
        })?;
    escalation.unconfirmed = instructions::unconfirmed(sql, id)?;
    escalation.exercise = exercises::of(sql, escalation.entry)?;
    escalation.left_out = left_out(sql, id)?;
    let mut rows = sql.prepare_cached(
        "SELECT a.id, a.round, a.tier, a.call_of_tier, a.role, a.person, a.target, a.started_ms,
           a.started_mono, a.ended_ms, a.ended_mono, a.result,
           EXISTS (SELECT 1 FROM acknowledgement k WHERE k.attempt = a.id),
           a.result = 'channel_failed' AND EXISTS (SELECT 1 FROM outage o
             WHERE o.kind = 'line' AND o.to_ms >= a.ended_ms),
           a.errand, h.at_ms, h.at_mono,
           EXISTS (SELECT 1 FROM attempt_key k WHERE k.attempt = a.id AND k.key IN ('2', '9')),
           (SELECT count(*) FROM attempt_key k WHERE k.attempt = a.id AND k.key = ?3), a.joined,
           a.moved_ms, a.moved_mono
         FROM attempt a LEFT JOIN handing h ON h.attempt = a.id WHERE a.escalation = ?1 AND (a.ended_ms IS NULL
           OR a.result = 'unreachable' OR h.at_ms IS NOT NULL
           OR a.seq > (SELECT max(seq) FROM attempt WHERE escalation = ?1) - ?2)
         ORDER BY a.seq",
    )?;
    let wrong = pin::WRONG.to_string();
    let attempts = rows.query_map(params![Id(id), RECENT, wrong], attempt)?;
    escalation.attempts = attempts.collect::<Result<_, _>>()?;
    Ok(escalation)
}

fn left_out(sql: &Connection, id: EscalationId) -> Result<Vec<String>> {
    let mut rows = sql.prepare_cached(
        "SELECT DISTINCT h.person FROM escalation e JOIN handing h ON h.escalation = e.again_of
         JOIN attempt a ON a.id = h.attempt WHERE e.id = ?1 AND a.errand = 'remind'",
    )?;
    let rows = rows.query_map([Id(id)], |row| row.get(0))?;
    Ok(rows.collect::<Result<_, _>>()?)
}

/// Who is being called, whatever for.
pub(in crate::io::store) fn under_way(sql: &Connection) -> Result<UnderWay> {
    let mut under_way = UnderWay::default();
    let mut rows = sql.prepare_cached(
        "SELECT coalesce(a.joined, a.id), a.person, a.target, a.errand <> 'confirm'
           AND NOT EXISTS (SELECT 1 FROM exercise x WHERE x.entry = e.entry)
         FROM attempt a JOIN escalation e ON e.id = a.escalation
         WHERE a.ended_ms IS NULL ORDER BY a.started_ms",
    )?;
    let rows = rows.query_map([], |row| {
        let call = row.get::<_, Id<AttemptId>>(0)?.0;
        let (person, number, joinable) = (row.get(1)?, row.get(2)?, row.get(3)?);
        Ok(Elsewhere { call, person, number, joinable })
    })?;
    for one in rows {
        under_way.begins(one?);
    }
    Ok(under_way)
}

/// By what is unfinished first, however long the log: hence the CROSS JOIN.
pub(super) const GUESSES: &str =
    "SELECT coalesce(a.joined, a.id), a.person, a.result = 'wrong_pin',
       (SELECT count(*) FROM attempt_key k WHERE k.attempt = a.id AND k.key = ?1) AS guesses, e.id
     FROM escalation e INDEXED BY escalation_unfinished CROSS JOIN attempt a ON a.escalation = e.id
     WHERE (e.state = 'open' OR (e.state = 'acknowledged' AND e.closed_ms IS NULL))
       AND NOT EXISTS (SELECT 1 FROM exercise x WHERE x.entry = e.entry)
       AND a.person = ?2 AND (a.result = 'wrong_pin'
         OR EXISTS (SELECT 1 FROM attempt_key k WHERE k.attempt = a.id AND k.key = ?1))";

/// Wrong PINs in matters that are not closed: everybody's is looked up once.
#[derive(Default)]
pub(super) struct Guesses(BTreeMap<String, Vec<(EscalationId, Guessed)>>);

impl Guesses {
    /// Somebody's in other matters than this one.
    pub fn elsewhere(
        &mut self,
        sql: &Connection,
        id: EscalationId,
        person: &str,
    ) -> Result<Vec<Guessed>> {
        if !self.0.contains_key(person) {
            self.0.insert(person.to_owned(), guessed(sql, person)?);
        }
        let all = self.0.get(person).into_iter().flatten();
        Ok(all.filter(|(of, _)| *of != id).map(|(_, guessed)| guessed.clone()).collect())
    }
}

fn guessed(sql: &Connection, person: &str) -> Result<Vec<(EscalationId, Guessed)>> {
    let mut rows = sql.prepare_cached(GUESSES)?;
    let rows = rows.query_map(params![pin::WRONG.to_string(), person], |row| {
        let call = row.get::<_, Id<AttemptId>>(0)?.0;
        let refused = row.get::<_, Option<bool>>(2)?.unwrap_or(false);
        let guessed = Guessed { call, person: row.get(1)?, guesses: row.get(3)?, refused };
        Ok((row.get::<_, Id<EscalationId>>(4)?.0, guessed))
    })?;
    Ok(rows.collect::<Result<_, _>>()?)
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
        errand: row.get::<_, Named<Errand>>(14)?.0,
        acknowledged: row.get(12)?,
        handed_on: match row.get::<_, Option<Ms>>(15)? {
            Some(at) => Some(moment(at, row.get(16)?)),
            None => None,
        },
        engaged: row.get(17)?,
        line_is_back: row.get::<_, Option<bool>>(13)?.unwrap_or(false),
        guesses: row.get(18)?,
        joined: row.get::<_, Option<Id<AttemptId>>>(19)?.map(|joined| joined.0),
        moved: match row.get::<_, Option<Ms>>(20)? {
            Some(at) => Some(moment(at, row.get(21)?)),
            None => None,
        },
    })
}
