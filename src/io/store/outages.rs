//! Outages (中断, domain §4.3.4): when the line, the log or the recorder did not work.

use super::Store;
use super::audit::{self, Actor};
use super::error::{Result, StoreError};
use super::text::{Ms, Named, instant, ms, name};
use crate::duty::gaps::{Stretch, error_after};
use crate::duty::journal::Fact;
use crate::protocol::now::{Mono, Now};
use chrono::{DateTime, Utc};
use rusqlite::{Connection, OptionalExtension, Row, params};
use std::time::Duration;

pub use crate::duty::gaps::OutageKind;

/// From when to when something did not work, and why.
#[derive(Debug, Clone, PartialEq)]
pub struct OutageRow {
    pub kind: OutageKind,
    /// A duty number beside the line's own that was down.
    pub number: Option<String>,
    pub from: DateTime<Utc>,
    /// None while it lasts.
    pub to: Option<DateTime<Utc>>,
    /// The SIP status, for the line: 408 for no answer.
    pub status: Option<u16>,
    pub why: String,
    /// By how much the clock was set, in milliseconds; `from` and `to` are then what it would have
    /// said and what it said.
    pub step_ms: Option<i64>,
    /// The log was put back from a backup, which lacks what happened then.
    pub unlogged: bool,
}

impl OutageRow {
    pub fn stretch(&self) -> Stretch {
        let (stepped, unlogged) = (self.step_ms.is_some(), self.unlogged);
        Stretch { kind: self.kind, stepped, unlogged, from: self.from, to: self.to }
    }
}

const ROW: &str = "SELECT kind, from_ms, to_ms, status, why, step_ms, number, unlogged FROM outage";
/// Of the two ends of a step of the clock either may be the earlier.
pub(super) const BETWEEN: &str = "min(from_ms, coalesce(to_ms, from_ms)) < ?2
  AND max(from_ms, coalesce(to_ms, ?2)) > ?1";

fn one(row: &Row<'_>) -> rusqlite::Result<OutageRow> {
    Ok(OutageRow {
        kind: row.get::<_, Named<OutageKind>>(0)?.0,
        from: row.get::<_, Ms>(1)?.0,
        to: instant(row, 2)?,
        status: row.get(3)?,
        why: row.get(4)?,
        step_ms: row.get(5)?,
        number: row.get(6)?,
        unlogged: row.get(7)?,
    })
}

/// By how much the clock may have been out at that moment, where nobody corrected it (rec_k3).
pub(super) fn clock_error(sql: &Connection, at: DateTime<Utc>) -> Result<Option<Duration>> {
    let alone: Option<(Ms, i64)> = sql
        .prepare_cached(
            "SELECT from_ms, off_ms FROM outage WHERE kind = 'clock' AND step_ms IS NULL
               AND from_ms <= ?1 AND (to_ms IS NULL OR to_ms > ?1) ORDER BY from_ms LIMIT 1",
        )?
        .query_row([ms(at)], |row| Ok((row.get(0)?, row.get(1)?)))
        .optional()?;
    Ok(alone.map(|(since, off)| {
        let drift = error_after((at - since.0).to_std().unwrap_or_default());
        drift + Duration::from_millis(off.unsigned_abs())
    }))
}

/// Told twice, each changes nothing.
pub(super) fn apply(sql: &Connection, fact: &Fact, now: Now) -> Result<()> {
    match fact {
        Fact::LineDown { status, why, since } => {
            let from = Now { wall: since.unwrap_or(now.wall), ..now };
            begin(sql, OutageKind::Line, Some(*status), why, from)
        }
        Fact::NumberDown { number, status, why, since } => {
            let from = Now { wall: since.unwrap_or(now.wall), ..now };
            begin_of(sql, (OutageKind::Line, Some(number)), Some(*status), why, from)
        }
        Fact::LineUp => end(sql, OutageKind::Line, now),
        Fact::NumberUp { number } => end_of(sql, (OutageKind::Line, Some(number)), now),
        Fact::OutageBegan { kind: OutageKind::Clock, since, why } => alone_began(sql, why, *since),
        Fact::OutageBegan { kind, since, why } => {
            begin(sql, *kind, None, why, Now { wall: *since, ..now })
        }
        Fact::OutageOver { kind } => end(sql, *kind, now),
        Fact::Away { since, why } => away(sql, *since, why, now),
        Fact::ClockStepped { from, to } => stepped(sql, *from, *to, now),
        _ => Err(StoreError::Bug("this fact is another one's".to_owned())),
    }
}

/// What an earlier run left open is over when that run was; the line's goes on until it is up, and the clock's until a time
/// server is heard.
fn away(sql: &Connection, since: DateTime<Utc>, why: &str, now: Now) -> Result<()> {
    let kind = OutageKind::Service;
    let known = sql
        .prepare_cached("SELECT 1 FROM outage WHERE kind = ?1 AND from_ms = ?2")?
        .exists(params![name(kind), ms(since)])?;
    if known {
        return Ok(());
    }
    sql.prepare_cached(
        "UPDATE outage SET to_ms = max(from_ms, ?1) WHERE to_ms IS NULL
           AND kind NOT IN ('line', 'clock')",
    )?
    .execute([ms(since)])?;
    begin(sql, kind, None, why, Now { wall: since, ..now })?;
    end(sql, kind, now)
}

fn stepped(sql: &Connection, from: DateTime<Utc>, to: DateTime<Utc>, now: Now) -> Result<()> {
    let step = ms(to) - ms(from);
    let why = format!("时钟被调整 {:+.1} 秒 · the clock was set", step as f64 / 1000.0);
    let fresh = sql
        .prepare_cached(
            "INSERT INTO outage (kind, from_ms, to_ms, why, step_ms) SELECT ?1, ?2, ?3, ?4, ?5
             WHERE NOT EXISTS (SELECT 1 FROM outage WHERE kind = ?1 AND from_ms = ?2
               AND to_ms = ?3 AND step_ms = ?5)",
        )?
        .execute(params![name(OutageKind::Clock), ms(from), ms(to), why, step])?;
    if fresh == 0 {
        return Ok(());
    }
    goes_on_alone(sql, (from, to), step)?;
    audit::append(sql, now, &Actor::system("clock"), "clock.step", "clock", &step.to_string())
}

/// A clock that nobody corrects is out by what it was set by, too, until it is set back.
fn goes_on_alone(
    sql: &Connection,
    (from, to): (DateTime<Utc>, DateTime<Utc>),
    step: i64,
) -> Result<()> {
    let alone: Option<(i64, String)> = sql
        .prepare_cached(
            "UPDATE outage SET to_ms = max(from_ms, ?1)
             WHERE kind = 'clock' AND to_ms IS NULL RETURNING off_ms, why",
        )?
        .query_row([ms(from)], |row| Ok((row.get(0)?, row.get(1)?)))
        .optional()?;
    let Some((off, why)) = alone else { return Ok(()) };
    sql.prepare_cached(
        "INSERT INTO outage (kind, from_ms, why, off_ms) VALUES ('clock', ?1, ?2, ?3)",
    )?
    .execute(params![ms(to), why, off + step])?;
    Ok(())
}

/// Who sets a clock may take it from its time server: the kernel says so a moment later.
const JUST_SET_MS: i64 = 60_000;

fn alone_began(sql: &Connection, why: &str, since: DateTime<Utc>) -> Result<()> {
    begin(sql, OutageKind::Clock, None, why, Now { wall: since, mono: Mono(0) })?;
    sql.prepare_cached(
        "UPDATE outage SET off_ms = coalesce((SELECT step_ms FROM outage s
           WHERE s.id = (SELECT max(id) FROM outage l WHERE l.kind = 'clock' AND l.id < outage.id)
             AND s.step_ms IS NOT NULL AND ?1 - s.to_ms BETWEEN 0 AND ?2), 0)
         WHERE kind = 'clock' AND step_ms IS NULL AND to_ms IS NULL AND from_ms = ?1 AND off_ms = 0",
    )?
    .execute([ms(since), JUST_SET_MS])?;
    Ok(())
}

/// A backup was put back: what happened from then until now is not in it.
pub(super) fn unlogged(sql: &Connection, since: DateTime<Utc>, now: Now) -> Result<()> {
    let why = "值班记录从备份恢复，这段时间的来电和填写可能不在其中 · a backup of the log was put back: what happened until then is not in it";
    sql.prepare_cached(
        "INSERT INTO outage (kind, from_ms, to_ms, why, unlogged) VALUES ('log', ?1, ?2, ?3, 1)",
    )?
    .execute(params![ms(since), ms(now.wall), why])?;
    Ok(())
}

/// Notes the beginning; an outage that is going on stays as it is.
pub(super) fn begin(
    sql: &Connection,
    kind: OutageKind,
    status: Option<u16>,
    why: &str,
    now: Now,
) -> Result<()> {
    begin_of(sql, (kind, None), status, why, now)
}

pub(super) fn end(sql: &Connection, kind: OutageKind, now: Now) -> Result<()> {
    end_of(sql, (kind, None), now)
}

fn begin_of(
    sql: &Connection,
    (kind, number): (OutageKind, Option<&str>),
    status: Option<u16>,
    why: &str,
    now: Now,
) -> Result<()> {
    sql.prepare_cached(
        "INSERT INTO outage (kind, number, from_ms, status, why) SELECT ?1, ?5, ?2, ?3, ?4
         WHERE NOT EXISTS (SELECT 1 FROM outage WHERE kind = ?1 AND number IS ?5 AND from_ms = ?2)
         ON CONFLICT DO NOTHING",
    )?
    .execute(params![name(kind), ms(now.wall), status, why, number])?;
    Ok(())
}

fn end_of(sql: &Connection, (kind, number): (OutageKind, Option<&str>), now: Now) -> Result<()> {
    // One that was over then has this end already: what is open began later.
    sql.prepare_cached(
        "UPDATE outage SET to_ms = ?2 WHERE kind = ?1 AND number IS ?3 AND to_ms IS NULL
           AND NOT EXISTS (SELECT 1 FROM outage WHERE kind = ?1 AND number IS ?3 AND to_ms = ?2)",
    )?
    .execute(params![name(kind), ms(now.wall), number])?;
    Ok(())
}

impl Store {
    /// The newest outages, newest first.
    pub async fn outages(&self, most: u32) -> Result<Vec<OutageRow>> {
        self.read(move |sql| {
            let mut rows =
                sql.prepare_cached(&format!("{ROW} ORDER BY from_ms DESC, id DESC LIMIT ?1"))?;
            Ok(rows.query_map([most], one)?.collect::<Result<_, _>>()?)
        })
        .await
    }

    /// The last time since then that a backup was put back, which lacks something.
    pub async fn restored_since(&self, since: DateTime<Utc>) -> Result<Option<OutageRow>> {
        self.read(move |sql| {
            let query = format!("{ROW} WHERE unlogged AND to_ms >= ?1 ORDER BY to_ms DESC LIMIT 1");
            Ok(sql.prepare_cached(&query)?.query_row([ms(since)], one).optional()?)
        })
        .await
    }

    /// Those that touch a period, in their order.
    pub async fn outages_between(
        &self,
        from: DateTime<Utc>,
        to: DateTime<Utc>,
    ) -> Result<Vec<OutageRow>> {
        self.read(move |sql| {
            let query = format!("{ROW} WHERE {BETWEEN} ORDER BY from_ms, id");
            let mut rows = sql.prepare_cached(&query)?;
            Ok(rows.query_map([ms(from), ms(to)], one)?.collect::<Result<_, _>>()?)
        })
        .await
    }
}

#[cfg(test)]
mod tests;
