//! Callers who were not spoken to and are to be called back (待回拨, domain §4.3.1).

use super::audit::{self, Actor};
use super::error::Result;
use super::text::{Id, instant, ms};
use super::{Store, Who};
use crate::duty::ids::{CallId, EntryId};
use crate::protocol::now::Now;
use chrono::{DateTime, Utc};
use rusqlite::{Connection, OptionalExtension, params};
use serde::{Deserialize, Serialize};

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum CallbackState {
    /// 待回拨
    Open,
    /// 已回拨
    CalledBack,
    /// 无法回拨
    Impossible,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct CallbackRow {
    pub state: CallbackState,
    pub settled: Option<DateTime<Utc>>,
    pub settled_by: Option<String>,
    pub reason: String,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Settled {
    Settled,
    /// Somebody had done so before.
    Already,
    /// 无法回拨 needs one.
    NoReason,
    /// There is nothing to call back.
    NotFound,
}

pub(super) fn make(sql: &Connection, call: CallId, now: Now) -> Result<()> {
    sql.prepare_cached(
        "INSERT OR IGNORE INTO callback (call, state, made_ms)
         SELECT id, 'open', ?2 FROM call WHERE id = ?1 AND direction = 'in'",
    )?
    .execute(params![Id(call), ms(now.wall)])?;
    Ok(())
}

pub(super) fn row(sql: &Connection, call: CallId) -> Result<Option<CallbackRow>> {
    Ok(sql
        .prepare_cached(
            "SELECT state, settled_ms, settled_by, reason FROM callback WHERE call = ?1",
        )?
        .query_row([Id(call)], |row| {
            Ok(CallbackRow {
                state: row.get::<_, super::text::Named<CallbackState>>(0)?.0,
                settled: instant(row, 1)?,
                settled_by: row.get(2)?,
                reason: row.get(3)?,
            })
        })
        .optional()?)
}

pub(super) fn settle(
    sql: &Connection,
    actor: &Actor,
    entry: EntryId,
    reason: Option<&str>,
    now: Now,
) -> Result<Settled> {
    let Some(found) = row(sql, CallId(entry.0))? else { return Ok(Settled::NotFound) };
    if found.state != CallbackState::Open {
        return Ok(Settled::Already);
    }
    if reason.is_some_and(|reason| reason.trim().is_empty()) {
        return Ok(Settled::NoReason);
    }
    let state = if reason.is_some() { "impossible" } else { "called_back" };
    let reason = reason.unwrap_or_default();
    sql.prepare_cached(
        "UPDATE callback SET state = ?2, settled_ms = ?3, settled_by = ?4, reason = ?5
         WHERE call = ?1",
    )?
    .execute(params![Id(entry), state, ms(now.wall), actor.name, reason])?;
    audit::append(sql, now, actor, &format!("callback.{state}"), &entry.to_string(), reason)?;
    Ok(Settled::Settled)
}

impl Store {
    /// 已回拨, or 无法回拨 for this `reason`.
    pub async fn settle_callback(
        &self,
        who: &Who,
        entry: EntryId,
        reason: Option<&str>,
        now: Now,
    ) -> Result<Settled> {
        let (actor, reason) = (Actor::from(who), reason.map(str::to_owned));
        self.write(move |tx| settle(tx.sql, &actor, entry, reason.as_deref(), now)).await
    }
}
