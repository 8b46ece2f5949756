//! Key 1: exactly one acknowledgement counts, every later one is kept beside it.

use super::audit::{self, Actor};
use super::error::Result;
use super::text::{Id, Named, mono, ms, name};
use super::{duty, instructions};
use crate::duty::ids::{AttemptId, EntryId, EscalationId};
use crate::duty::journal::{AttemptResult, Disposition};
use crate::duty::roster::Role;
use crate::duty::switchboard::{AckOutcome, Errand};
use crate::protocol::now::Now;
use rusqlite::{Connection, OptionalExtension, params};

const NOT_KNOWN: &str = "不详（数据库恢复前所呼）";

struct Attempt {
    escalation: EscalationId,
    person: String,
    role: Role,
    errand: Errand,
}

pub(super) fn acknowledge(
    sql: &Connection,
    attempt: AttemptId,
    entry: EntryId,
    now: Now,
) -> Result<AckOutcome> {
    if let Some(outcome) = known(sql, attempt)? {
        return Ok(outcome);
    }
    let Some(called) = called(sql, attempt)? else {
        return of_no_call(sql, attempt, entry, now);
    };
    let id = called.escalation;
    if called.errand == Errand::Confirm {
        instructions::confirm(sql, id, &Actor::phone(&called.person), now)?;
        return Ok(AckOutcome::First);
    }
    let won = win(sql, id, (&called.person, Some(called.role)), ("phone_key", ""), now)?;
    let outcome = if won {
        AckOutcome::First
    } else if is_withdrawn(sql, id)? {
        AckOutcome::Withdrawn
    } else {
        AckOutcome::Late
    };
    // Whoever led when he was called may not lead any more: then the one who does is told too.
    let leads = called.role == Role::Leader && duty::leads(sql, &called.person, now)?;
    if leads && outcome != AckOutcome::Withdrawn {
        leader_reached(sql, id, now)?;
    }
    sql.prepare_cached(
        "INSERT INTO acknowledgement (attempt, escalation, person, role, channel, at_ms, outcome)
         SELECT id, escalation, person, role, 'phone_key', ?2, ?3 FROM attempt WHERE id = ?1",
    )?
    .execute(params![Id(attempt), ms(now.wall), outcome_name(outcome)])?;
    let actor = Actor { person: None, name: called.person, terminal: "phone".to_owned() };
    let outcome_name = outcome_name(outcome);
    audit::append(sql, now, &actor, "escalation.acknowledge", &id.to_string(), outcome_name)?;
    Ok(outcome)
}

/// Who was called in it the log does not know, for it was put back from a backup; that somebody knows is so all the same.
fn of_no_call(
    sql: &Connection,
    attempt: AttemptId,
    entry: EntryId,
    now: Now,
) -> Result<AckOutcome> {
    tracing::error!(%attempt, %entry, "a key was pressed in a call that the log does not know");
    let actor = Actor::system("open-matters");
    let (subject, detail) = (entry.to_string(), attempt.to_string());
    audit::append_once(sql, now, &actor, "escalation.acknowledge", &subject, &detail)?;
    let open: Option<Id<EscalationId>> = sql
        .prepare_cached("SELECT id FROM escalation WHERE entry = ?1 AND state = 'open'")?
        .query_row([Id(entry)], |row| row.get(0))
        .optional()?;
    let Some(Id(open)) = open else { return Ok(AckOutcome::Late) };
    // The duty leader is called until it is known that it was he.
    win(sql, open, (NOT_KNOWN, None), ("phone_key", ""), now)?;
    Ok(AckOutcome::First)
}

pub(super) fn leader_reached(sql: &Connection, id: EscalationId, now: Now) -> Result<()> {
    sql.prepare_cached(
        "UPDATE escalation SET leader_reached_ms = ?2
         WHERE id = ?1 AND leader_reached_ms IS NULL",
    )?
    .execute(params![Id(id), ms(now.wall)])?;
    Ok(())
}

/// Whether this is the first acknowledgement of an open escalation. `role`: the capacity, where he has one.
pub(super) fn win(
    sql: &Connection,
    id: EscalationId,
    (person, role): (&str, Option<Role>),
    (channel, how): (&str, &str),
    now: Now,
) -> Result<bool> {
    let (at, role) = (ms(now.wall), role.map(name));
    let won = sql
        .prepare_cached(
            "UPDATE escalation SET state = 'acknowledged', acked_ms = ?2, acked_mono = ?3,
               acked_by = ?4, acked_role = ?5, acked_channel = ?6, acked_how = ?7
             WHERE id = ?1 AND state = 'open'",
        )?
        .execute(params![Id(id), at, mono(now), person, role, channel, how])?;
    Ok(won > 0)
}

fn known(sql: &Connection, attempt: AttemptId) -> Result<Option<AckOutcome>> {
    let outcome: Option<String> = sql
        .prepare_cached("SELECT outcome FROM acknowledgement WHERE attempt = ?1")?
        .query_row([Id(attempt)], |row| row.get(0))
        .optional()?;
    Ok(outcome.map(|outcome| match outcome.as_str() {
        "first" => AckOutcome::First,
        "late" => AckOutcome::Late,
        _ => AckOutcome::Withdrawn,
    }))
}

fn called(sql: &Connection, attempt: AttemptId) -> Result<Option<Attempt>> {
    Ok(sql
        .prepare_cached("SELECT escalation, person, role, errand FROM attempt WHERE id = ?1")?
        .query_row([Id(attempt)], |row| {
            Ok(Attempt {
                escalation: row.get::<_, Id<EscalationId>>(0)?.0,
                person: row.get(1)?,
                role: row.get::<_, Named<Role>>(2)?.0,
                errand: row.get::<_, Named<Errand>>(3)?.0,
            })
        })
        .optional()?)
}

pub(super) fn is_withdrawn(sql: &Connection, id: EscalationId) -> Result<bool> {
    Ok(sql
        .prepare_cached("SELECT 1 FROM escalation WHERE id = ?1 AND state = 'withdrawn'")?
        .exists([Id(id)])?)
}

pub(super) fn outcome_name(outcome: AckOutcome) -> &'static str {
    match outcome {
        AckOutcome::First => "first",
        AckOutcome::Late => "late",
        AckOutcome::Withdrawn
        | AckOutcome::HandedOn
        | AckOutcome::PassedOn
        | AckOutcome::Instructed => "withdrawn",
    }
}

/// How the call of an attempt ended, told by what became of the attempt.
pub(super) fn disposition(result: AttemptResult) -> Disposition {
    match result {
        AttemptResult::Acknowledged
        | AttemptResult::AnsweredNoKey
        | AttemptResult::HandedOn
        | AttemptResult::WrongPin => Disposition::Answered,
        AttemptResult::Busy => Disposition::BusyMissed,
        AttemptResult::Declined => Disposition::Declined,
        AttemptResult::NoAnswer | AttemptResult::Cancelled => Disposition::Missed,
        AttemptResult::Unreachable | AttemptResult::ChannelFailed => Disposition::Failed,
        AttemptResult::Interrupted => Disposition::Interrupted,
    }
}
