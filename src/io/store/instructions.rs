//! What a leader has instructed, and whether the officer has confirmed it.

use super::audit::{self, Actor};
use super::error::Result;
use super::text::{Id, Ms, moment, ms};
use crate::duty::escalation::Moment;
use crate::duty::ids::EscalationId;
use crate::protocol::now::Now;
use rusqlite::{Connection, OptionalExtension, params};

/// The oldest instruction that nobody has confirmed.
pub(super) fn unconfirmed(sql: &Connection, id: EscalationId) -> Result<Option<Moment>> {
    Ok(sql
        .prepare_cached(
            "SELECT at_ms, at_mono FROM instruction WHERE escalation = ?1
               AND confirmed_ms IS NULL ORDER BY at_ms LIMIT 1",
        )?
        .query_row([Id(id)], |row| Ok(moment(row.get::<_, Ms>(0)?, row.get(1)?)))
        .optional()?)
}

/// 回执: every instruction so far is confirmed.
pub(super) fn confirm(sql: &Connection, id: EscalationId, actor: &Actor, now: Now) -> Result<bool> {
    let confirmed = sql
        .prepare_cached(
            "UPDATE instruction SET confirmed_ms = ?2, confirmed_by = ?3
             WHERE escalation = ?1 AND confirmed_ms IS NULL",
        )?
        .execute(params![Id(id), ms(now.wall), actor.name])?;
    if confirmed > 0 {
        audit::append(sql, now, actor, "escalation.confirm", &id.to_string(), "")?;
    }
    Ok(confirmed > 0)
}
