//! Stretches of a call that its entry shows with their times (保持, 排队, 留言, 接听前).

use super::error::Result;
use super::text::{Id, Ms, Named, instant, mono, ms};
use super::{calls, recordings};
use crate::duty::ids::CallId;
use crate::duty::journal::Stretch;
use crate::io::status::Live;
use crate::protocol::now::Now;
use chrono::{DateTime, Utc};
use rusqlite::{Connection, params};
use serde::{Deserialize, Serialize};

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum StretchKind {
    Early,
    Queued,
    Message,
    Hold,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct StretchRow {
    pub kind: StretchKind,
    /// Who holds, as `carried` names parties; empty for the other kinds.
    pub party: String,
    pub from: DateTime<Utc>,
    pub to: Option<DateTime<Utc>>,
    /// Measured on the monotonic clock, in milliseconds; `None` while it goes on.
    pub lasts_ms: Option<i64>,
}

fn columns(stretch: Stretch) -> (&'static str, &'static str) {
    match stretch {
        Stretch::Early => ("early", ""),
        Stretch::Queued => ("queued", ""),
        Stretch::Message => ("message", ""),
        Stretch::Hold(party) => ("hold", calls::party_name(party)),
    }
}

/// What is said or heard in it is recorded.
pub(super) fn begin(
    sql: &Connection,
    call: CallId,
    stretch: Stretch,
    now: Now,
) -> Result<Option<Live>> {
    let (kind, party) = columns(stretch);
    // What the caller waits for is over when he is asked for a message.
    if stretch == Stretch::Message {
        end_all(sql, call, false, now)?;
    }
    sql.prepare_cached(
        "INSERT OR IGNORE INTO stretch (call, kind, party, from_ms, from_mono)
         SELECT id, ?2, ?3, ?4, ?5 FROM call WHERE id = ?1 AND state <> 'ended'",
    )?
    .execute(params![Id(call), kind, party, ms(now.wall), mono(now)])?;
    recordings::begin(sql, call, now)?;
    calls::changed(sql, call)
}

pub(super) fn end(
    sql: &Connection,
    call: CallId,
    stretch: Stretch,
    now: Now,
) -> Result<Option<Live>> {
    let (kind, party) = columns(stretch);
    sql.prepare_cached(
        "UPDATE stretch SET to_ms = ?4, to_mono = ?5
         WHERE call = ?1 AND kind = ?2 AND party = ?3 AND to_ms IS NULL",
    )?
    .execute(params![Id(call), kind, party, ms(now.wall), mono(now)])?;
    calls::changed(sql, call)
}

/// Every open one; `holds`: those too.
pub(super) fn end_all(sql: &Connection, call: CallId, holds: bool, now: Now) -> Result<()> {
    sql.prepare_cached(
        "UPDATE stretch SET to_ms = ?2, to_mono = ?3
         WHERE call = ?1 AND to_ms IS NULL AND (kind <> 'hold' OR ?4)",
    )?
    .execute(params![Id(call), ms(now.wall), mono(now), holds])?;
    Ok(())
}

pub(super) fn rows(sql: &Connection, call: CallId) -> Result<Vec<StretchRow>> {
    let mut rows = sql.prepare_cached(
        "SELECT kind, party, from_ms, to_ms, from_mono, to_mono FROM stretch
         WHERE call = ?1 ORDER BY from_mono",
    )?;
    let rows = rows.query_map([Id(call)], |row| {
        let (from, to): (i64, Option<i64>) = (row.get(4)?, row.get(5)?);
        Ok(StretchRow {
            kind: row.get::<_, Named<StretchKind>>(0)?.0,
            party: row.get(1)?,
            from: row.get::<_, Ms>(2)?.0,
            to: instant(row, 3)?,
            lasts_ms: to.map(|to| (to - from).max(0) / 1_000_000),
        })
    })?;
    Ok(rows.collect::<Result<_, _>>()?)
}
