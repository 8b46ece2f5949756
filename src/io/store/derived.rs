//! 脱敏件: copies of a recording in which a stretch is silent, each with its original's hash and the reason. The original
//! is never touched.

use super::audit::{self, Actor};
use super::error::Result;
use super::recordings::RecordingFile;
use super::text::{Id, Ms, Named, count, ms, name};
use super::{Store, Who};
use crate::duty::ids::CallId;
use crate::protocol::now::Now;
use chrono::{DateTime, Utc};
use rusqlite::{Connection, OptionalExtension, params};
use serde::{Deserialize, Serialize};
use std::path::PathBuf;

/// Which side of a recording.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Side {
    Both,
    /// The other side of the call.
    Left,
    /// Ours.
    Right,
}

/// What is silent in it, in milliseconds from its begin.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
pub struct Cut {
    pub from_ms: u32,
    pub to_ms: u32,
    pub side: Side,
}

/// A copy that is safe on the disk.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Derived {
    pub call: CallId,
    pub cut: Cut,
    /// SHA-256 in hex: of the original as it was read, and of the copy.
    pub original: String,
    pub sha256: String,
    /// Below the recordings' folder.
    pub wav: PathBuf,
    pub bytes: u64,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct DerivedRow {
    pub id: i64,
    pub cut: Cut,
    pub sha256: String,
    pub reason: String,
    pub by: String,
    pub made: DateTime<Utc>,
}

impl Store {
    /// Binds a copy to its original. `None`: the original is another by now, or is gone, or there is no reason.
    pub async fn derive(
        &self,
        who: &Who,
        made: Derived,
        reason: &str,
        now: Now,
    ) -> Result<Option<i64>> {
        let (actor, reason) = (Actor::from(who), reason.trim().to_owned());
        self.write(move |tx| {
            let bound = tx.sql.execute(
                "INSERT INTO derived (call, original, wav, digest, bytes, from_ms, to_ms, side,
                   reason, person, actor, at_ms)
                 SELECT call, digest, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12
                 FROM kept_recording WHERE call = ?1 AND digest = ?2 AND ?9 <> ''",
                params![
                    Id(made.call),
                    made.original,
                    made.wav.to_string_lossy(),
                    made.sha256,
                    count(made.bytes),
                    made.cut.from_ms,
                    made.cut.to_ms,
                    name(made.cut.side),
                    reason,
                    actor.person.map(|person| person.0),
                    actor.name,
                    ms(now.wall),
                ],
            )?;
            if bound == 0 {
                return Ok(None);
            }
            let id = tx.sql.last_insert_rowid();
            let Cut { from_ms, to_ms, side } = made.cut;
            let detail = format!("{id} · {from_ms}–{to_ms} ms {} · {reason}", name(side));
            audit::append(
                tx.sql,
                now,
                &actor,
                "recording.derive",
                &made.call.to_string(),
                &detail,
            )?;
            Ok(Some(id))
        })
        .await
    }

    /// What was made of a recording.
    pub async fn derived(&self, call: CallId) -> Result<Vec<DerivedRow>> {
        self.read(move |sql| rows(sql, call)).await
    }

    /// A copy for the player, while there is one.
    pub async fn derived_file(&self, call: CallId, id: i64) -> Result<Option<RecordingFile>> {
        self.read(move |sql| {
            let query = "SELECT d.wav, d.digest, d.at_ms FROM derived d
                 JOIN kept_recording r ON r.call = d.call WHERE d.call = ?1 AND d.id = ?2";
            let file = |row: &rusqlite::Row<'_>| {
                Ok(RecordingFile {
                    wav: PathBuf::from(row.get::<_, String>(0)?),
                    sha256: row.get(1)?,
                    sealed: row.get::<_, Ms>(2)?.0,
                })
            };
            Ok(sql.prepare_cached(query)?.query_row(params![Id(call), id], file).optional()?)
        })
        .await
    }
}

/// Of a recording whose files there are, in their order.
pub(super) fn rows(sql: &Connection, call: CallId) -> Result<Vec<DerivedRow>> {
    let mut rows = sql.prepare_cached(
        "SELECT d.id, d.from_ms, d.to_ms, d.side, d.digest, d.reason, d.actor, d.at_ms
         FROM derived d WHERE d.call = ?1
           AND EXISTS (SELECT 1 FROM kept_recording r WHERE r.call = d.call) ORDER BY d.id",
    )?;
    let rows = rows.query_map([Id(call)], |row| {
        let cut =
            Cut { from_ms: row.get(1)?, to_ms: row.get(2)?, side: row.get::<_, Named<Side>>(3)?.0 };
        Ok(DerivedRow {
            id: row.get(0)?,
            cut,
            sha256: row.get(4)?,
            reason: row.get(5)?,
            by: row.get(6)?,
            made: row.get::<_, Ms>(7)?.0,
        })
    })?;
    Ok(rows.collect::<rusqlite::Result<_>>()?)
}
