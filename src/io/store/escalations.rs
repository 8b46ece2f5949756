//! Escalations and their attempts: raised with the flag, in its transaction; decided and claimed in another one.

mod handover;
mod loading;
mod looking;

pub(super) use loading::{load, under_way};
pub(super) use looking::neglected;
pub use looking::{Bounds, Cycle, Deciding, Rest};

use super::audit::{self, Actor};
use super::entries::Withdrawn;
use super::error::Result;
use super::text::{Id, Named, mono, ms, name};
use super::writer::Tx;
use super::{duty, exercises, following, notices};
use crate::duty::ids::{EntryId, EscalationId};
use crate::duty::journal::Urgency;
use crate::protocol::now::Now;
use rusqlite::{OptionalExtension, params};

pub(super) enum Raised {
    New(EscalationId),
    Upgraded(EscalationId),
    Already(EscalationId),
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
    following::superseded(tx.sql, entry, now)?;
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

#[cfg(test)]
mod tests;
