//! Outages (中断, domain §4.3.4): when the line, the log or the recorder did not work.

use super::Store;
use super::error::Result;
use super::text::{Ms, Named, instant, ms, name};
use crate::protocol::now::Now;
use chrono::{DateTime, Utc};
use rusqlite::{Connection, params};
use serde::{Deserialize, Serialize};

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum OutageKind {
    /// 注册丢失
    Line,
    /// The log could not be written.
    Log,
    /// The tape could not be written.
    Recorder,
    /// 存储满
    Storage,
    /// 服务重启
    Service,
}

/// From when to when something did not work, and why.
#[derive(Debug, Clone, PartialEq)]
pub struct OutageRow {
    pub kind: OutageKind,
    pub from: DateTime<Utc>,
    /// None while it lasts.
    pub to: Option<DateTime<Utc>>,
    /// The SIP status, for the line: 408 for no answer.
    pub status: Option<u16>,
    pub why: String,
}

/// Notes the beginning; an outage that is going on stays as it is.
pub(super) fn begin(
    sql: &Connection,
    kind: OutageKind,
    status: Option<u16>,
    why: &str,
    now: Now,
) -> Result<()> {
    sql.prepare_cached(
        "INSERT INTO outage (kind, from_ms, status, why) SELECT ?1, ?2, ?3, ?4
         WHERE NOT EXISTS (SELECT 1 FROM outage WHERE kind = ?1 AND from_ms = ?2)
         ON CONFLICT DO NOTHING",
    )?
    .execute(params![name(kind), ms(now.wall), status, why])?;
    Ok(())
}

pub(super) fn end(sql: &Connection, kind: OutageKind, now: Now) -> Result<()> {
    sql.prepare_cached("UPDATE outage SET to_ms = ?2 WHERE kind = ?1 AND to_ms IS NULL")?
        .execute(params![name(kind), ms(now.wall)])?;
    Ok(())
}

impl Store {
    /// The newest outages, newest first.
    pub async fn outages(&self, most: u32) -> Result<Vec<OutageRow>> {
        self.read(move |sql| {
            let mut rows = sql.prepare_cached(
                "SELECT kind, from_ms, to_ms, status, why FROM outage
                 ORDER BY from_ms DESC, id DESC LIMIT ?1",
            )?;
            let rows = rows.query_map([most], |row| {
                Ok(OutageRow {
                    kind: row.get::<_, Named<OutageKind>>(0)?.0,
                    from: row.get::<_, Ms>(1)?.0,
                    to: instant(row, 2)?,
                    status: row.get(3)?,
                    why: row.get(4)?,
                })
            })?;
            Ok(rows.collect::<Result<_, _>>()?)
        })
        .await
    }

    pub async fn outage_began(&self, kind: OutageKind, why: &str, now: Now) -> Result<()> {
        let why = why.to_owned();
        self.write(move |tx| begin(tx.sql, kind, None, &why, now)).await
    }

    /// Notes one that is over: from `since` to `now`.
    pub async fn outage_was(
        &self,
        kind: OutageKind,
        since: DateTime<Utc>,
        why: &str,
        now: Now,
    ) -> Result<()> {
        let why = why.to_owned();
        self.write(move |tx| {
            begin(tx.sql, kind, None, &why, Now { wall: since, ..now })?;
            end(tx.sql, kind, now)
        })
        .await
    }

    pub async fn outage_ended(&self, kind: OutageKind, now: Now) -> Result<()> {
        self.write(move |tx| end(tx.sql, kind, now)).await
    }
}
