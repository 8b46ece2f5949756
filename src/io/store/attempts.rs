//! Rows of the attempts to reach somebody: what became of each.

use super::error::Result;
use super::text::{Id, Ms, Named, mono, ms, name};
use super::{acknowledgements, calls, recordings};
use crate::duty::escalation::Place;
use crate::duty::ids::{AttemptId, CallId, EntryId, EscalationId};
use crate::duty::journal::{AttemptResult, Made, Urgency};
use crate::io::status::Live;
use crate::protocol::now::{Mono, Now};
use rusqlite::{Connection, OptionalExtension, Row, params};
use serde::{Deserialize, Serialize};

/// A call to somebody as its row has it, and the matter that it is about.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(super) struct Ordered {
    pub at: Now,
    pub made: Made,
    pub matter: Raised,
}

/// An escalation as it was raised, and how far its ladder has come.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(super) struct Raised {
    pub id: EscalationId,
    pub urgency: Urgency,
    pub by: String,
    pub ms: i64,
    pub mono: Option<i64>,
    pub round: u32,
    pub round_ms: i64,
    pub round_mono: Option<i64>,
    pub siren_ms: Option<i64>,
    pub again_of: Option<EscalationId>,
}

/// A call that was ordered while the log could not be written; once.
pub(super) fn made(sql: &Connection, made: &Made, now: Now) -> Result<Option<Live>> {
    let escalation: Option<Id<EscalationId>> = sql
        .prepare_cached(
            "SELECT id FROM escalation WHERE entry = ?1 ORDER BY raised_ms DESC, id DESC LIMIT 1",
        )?
        .query_row([Id(made.entry)], |row| row.get(0))
        .optional()?;
    let Some(Id(escalation)) = escalation else { return Ok(None) };
    if is_known(sql, made.attempt)? {
        return Ok(None);
    }
    enter(sql, made, escalation, now)?;
    changed(sql, made.attempt)
}

pub(super) fn is_known(sql: &Connection, attempt: AttemptId) -> Result<bool> {
    Ok(sql.prepare_cached("SELECT 1 FROM attempt WHERE id = ?1")?.exists([Id(attempt)])?)
}

/// It was made then, in this matter.
pub(super) fn enter(
    sql: &Connection,
    made: &Made,
    escalation: EscalationId,
    now: Now,
) -> Result<()> {
    let column = |part: usize| i64::try_from(part).unwrap_or(i64::MAX);
    calls::placed(sql, made.attempt.into(), made.entry, &made.number, now)?;
    sql.prepare_cached(
        "INSERT INTO attempt (id, escalation, seq, round, tier, call_of_tier, role, person,
           target, why, started_ms, started_mono, errand, joined)
         SELECT ?1, ?2, coalesce(max(seq), 0) + 1, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12, ?13
           FROM attempt WHERE escalation = ?2",
    )?
    .execute(params![
        Id(made.attempt),
        Id(escalation),
        made.round,
        made.place.map(|place| column(place.tier)),
        made.place.map(|place| column(place.call)),
        name(made.role),
        made.person,
        made.number,
        made.why,
        ms(now.wall),
        mono(now),
        name(made.errand),
        made.joins.map(Id),
    ])?;
    Ok(())
}

/// As its rows have it; none of an exercise.
pub(super) fn ordered(sql: &Connection, attempt: AttemptId) -> Result<Option<Ordered>> {
    Ok(sql
        .prepare_cached(
            "SELECT a.id, e.entry, a.round, a.tier, a.call_of_tier, a.role, a.person, a.target,
               a.errand, a.why, a.joined, a.started_ms, a.started_mono, e.id, e.urgency,
               e.raised_by, e.raised_ms, e.raised_mono, e.round, e.round_ms, e.round_mono,
               e.siren_ms, e.again_of
             FROM attempt a JOIN escalation e ON e.id = a.escalation
             WHERE a.id = ?1 AND NOT EXISTS (SELECT 1 FROM exercise x WHERE x.entry = e.entry)",
        )?
        .query_row([Id(attempt)], order)
        .optional()?)
}

fn order(row: &Row<'_>) -> rusqlite::Result<Ordered> {
    let place = match (row.get::<_, Option<u16>>(3)?, row.get::<_, Option<u16>>(4)?) {
        (Some(tier), Some(call)) => Some(Place { tier: tier.into(), call: call.into() }),
        (None, _) | (_, None) => None,
    };
    let made = Made {
        attempt: row.get::<_, Id<_>>(0)?.0,
        entry: row.get::<_, Id<_>>(1)?.0,
        round: row.get(2)?,
        place,
        role: row.get::<_, Named<_>>(5)?.0,
        person: row.get(6)?,
        number: row.get(7)?,
        errand: row.get::<_, Named<_>>(8)?.0,
        why: row.get(9)?,
        joins: row.get::<_, Option<Id<_>>>(10)?.map(|joins| joins.0),
    };
    let mono = row.get::<_, Option<i64>>(12)?.unwrap_or_default().unsigned_abs();
    let at = Now { mono: Mono(mono), wall: row.get::<_, Ms>(11)?.0 };
    let matter = Raised {
        id: row.get::<_, Id<_>>(13)?.0,
        urgency: row.get::<_, Named<_>>(14)?.0,
        by: row.get(15)?,
        ms: row.get(16)?,
        mono: row.get(17)?,
        round: row.get(18)?,
        round_ms: row.get(19)?,
        round_mono: row.get(20)?,
        siren_ms: row.get(21)?,
        again_of: row.get::<_, Option<Id<_>>>(22)?.map(|before| before.0),
    };
    Ok(Ordered { at, made, matter })
}

/// It is told of in the call of another attempt from now on, or in its own.
pub(super) fn moved(
    sql: &Connection,
    attempt: AttemptId,
    into: Option<AttemptId>,
    now: Now,
) -> Result<Option<Live>> {
    let before = host(sql, attempt)?;
    sql.prepare_cached(
        "UPDATE attempt SET joined = ?2, moved_ms = ?3, moved_mono = ?4
         WHERE id = ?1 AND ended_ms IS NULL",
    )?
    .execute(params![Id(attempt), into.map(Id), ms(now.wall), mono(now)])?;
    if before != attempt {
        left(sql, before, now)?;
    }
    changed(sql, attempt)
}

/// A call in which something was to be told of, and is not: where it is over, nobody else says so.
fn left(sql: &Connection, host: AttemptId, now: Now) -> Result<()> {
    let ended: Option<(Named<AttemptResult>, u16)> = sql
        .prepare_cached(
            "SELECT result, status FROM attempt WHERE id = ?1 AND ended_ms IS NOT NULL",
        )?
        .query_row([Id(host)], |row| Ok((row.get(0)?, row.get(1)?)))
        .optional()?;
    if let Some((Named(result), status)) = ended {
        hung_up(sql, host, result, status, now)?;
    }
    Ok(())
}

/// The attempt that the call has its name from, and its recording.
pub(super) fn host(sql: &Connection, attempt: AttemptId) -> Result<AttemptId> {
    let host: Option<Id<AttemptId>> = sql
        .prepare_cached("SELECT coalesce(joined, id) FROM attempt WHERE id = ?1")?
        .query_row([Id(attempt)], |row| row.get(0))
        .optional()?;
    Ok(host.map_or(attempt, |host| host.0))
}

/// Whether it is told of in the call of another, where it would be recorded too.
pub(super) fn is_joined(sql: &Connection, attempt: AttemptId) -> Result<bool> {
    Ok(sql
        .prepare_cached("SELECT 1 FROM attempt WHERE id = ?1 AND joined IS NOT NULL")?
        .exists([Id(attempt)])?)
}

/// The call of an attempt that is over, where nothing else is told of in it any more.
pub(super) fn over(sql: &Connection, attempt: AttemptId) -> Result<Option<CallId>> {
    let host = host(sql, attempt)?;
    let goes_on = sql
        .prepare_cached(
            "SELECT 1 FROM attempt WHERE (id = ?1 OR joined = ?1) AND ended_ms IS NULL",
        )?
        .exists([Id(host)])?;
    Ok((!goes_on).then(|| host.into()))
}

/// What was told of last in a call: the one that counts for whatever follows in it.
pub(super) fn latest(sql: &Connection, call: CallId) -> Result<AttemptId> {
    let latest: Option<Id<AttemptId>> = sql
        .prepare_cached(
            "SELECT id FROM attempt WHERE id = ?1 OR joined = ?1
             ORDER BY result = 'acknowledged' DESC, ended_ms DESC LIMIT 1",
        )?
        .query_row([Id(call)], |row| row.get(0))
        .optional()?;
    Ok(latest.map_or(AttemptId(call.0), |latest| latest.0))
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
    let own = is_joined(sql, attempt)?.then(|| CallId::from(attempt));
    for call in own.into_iter().chain(over(sql, attempt)?) {
        calls::ended(sql, call, disposition, None, status, &name(result), now)?;
    }
    changed(sql, attempt)
}

/// As the switchboard tells it: the recording of its call is finished then, too.
pub(super) fn hung_up(
    sql: &Connection,
    attempt: AttemptId,
    result: AttemptResult,
    status: u16,
    now: Now,
) -> Result<Option<Live>> {
    let live = ended(sql, attempt, result, status, now)?;
    if let Some(call) = over(sql, attempt)? {
        recordings::finalize(sql, call)?;
    }
    Ok(live)
}
