//! Second copies of recordings: what has none yet, what has, and the daily comparison of both.

use super::Store;
use super::error::Result;
use super::text::{Id, Ms, Named, count, ms, name};
use crate::duty::ids::CallId;
use crate::protocol::now::Now;
use chrono::{DateTime, Utc};
use rusqlite::backup::Backup;
use rusqlite::{Connection, OptionalExtension, params};
use serde::{Deserialize, Serialize};
use std::path::PathBuf;

#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum FileKind {
    Wav,
    Tape,
}

/// A sealed file, and whether a second copy of it was read back.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SealedFile {
    pub call: CallId,
    pub kind: FileKind,
    /// Below the recordings' folder, and below the copies'.
    pub path: PathBuf,
    /// In hexadecimal.
    pub sha256: String,
    pub copied: bool,
}

/// One comparison of everything.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct CheckRow {
    pub from: DateTime<Utc>,
    pub to: DateTime<Utc>,
    pub own: u64,
    pub copies: u64,
    pub faults: u64,
    pub named: String,
}

const FILES: &str = "
  SELECT f.call, f.kind, f.path, f.digest, c.call IS NOT NULL FROM (
    SELECT call, 'wav' AS kind, wav AS path, digest, sealed_ms FROM recording
    WHERE digest IS NOT NULL AND wav <> ''
    UNION ALL
    SELECT call, 'tape', tape, tape_digest, sealed_ms FROM recording
    WHERE digest IS NOT NULL AND tape_digest IS NOT NULL AND tape IS NOT NULL
  ) AS f LEFT JOIN copy c ON c.call = f.call AND c.kind = f.kind";

impl Store {
    /// Files sealed since then that have no second copy, the oldest first.
    pub async fn uncopied(&self, since: DateTime<Utc>, most: u32) -> Result<Vec<SealedFile>> {
        let query = format!(
            "{FILES} WHERE f.sealed_ms >= ?1 AND c.call IS NULL ORDER BY f.call, f.kind LIMIT ?2"
        );
        self.files(query, (ms(since), most)).await
    }

    /// The sealed files of so many calls after this one, in their order.
    pub async fn sealed_files(&self, after: Option<CallId>, most: u32) -> Result<Vec<SealedFile>> {
        let after = after.map_or_else(String::new, |call| call.to_string());
        let query = format!(
            "{FILES} WHERE f.call IN (SELECT call FROM recording
               WHERE call > ?1 AND digest IS NOT NULL ORDER BY call LIMIT ?2)
             ORDER BY f.call, f.kind"
        );
        self.files(query, (after, most)).await
    }

    async fn files(
        &self,
        query: String,
        values: impl rusqlite::Params + Send + 'static,
    ) -> Result<Vec<SealedFile>> {
        self.read(move |sql| {
            let mut rows = sql.prepare_cached(&query)?;
            let rows = rows.query_map(values, |row| {
                Ok(SealedFile {
                    call: row.get::<_, Id<CallId>>(0)?.0,
                    kind: row.get::<_, Named<FileKind>>(1)?.0,
                    path: PathBuf::from(row.get::<_, String>(2)?),
                    sha256: row.get(3)?,
                    copied: row.get(4)?,
                })
            })?;
            Ok(rows.collect::<rusqlite::Result<_>>()?)
        })
        .await
    }

    /// The whole log as it is now, into a new file; nobody waits for it.
    pub async fn back_up_to(&self, path: PathBuf) -> Result<()> {
        self.read(move |sql| {
            let mut to = Connection::open(&path)?;
            Backup::new(sql, &mut to)?.step(-1)?;
            Ok(())
        })
        .await
    }

    /// It was read back, and is the same.
    pub async fn copied(&self, call: CallId, kind: FileKind, now: Now) -> Result<()> {
        self.write(move |tx| {
            tx.sql.execute(
                "INSERT OR IGNORE INTO copy (call, kind, copied_ms) VALUES (?1, ?2, ?3)",
                params![Id(call), name(kind), ms(now.wall)],
            )?;
            Ok(())
        })
        .await
    }

    pub async fn copies_checked(&self, row: CheckRow) -> Result<()> {
        self.write(move |tx| {
            tx.sql.execute(
                "INSERT INTO copy_check (from_ms, to_ms, own, copies, faults, named)
                 VALUES (?1, ?2, ?3, ?4, ?5, ?6)",
                params![
                    ms(row.from),
                    ms(row.to),
                    count(row.own),
                    count(row.copies),
                    count(row.faults),
                    row.named,
                ],
            )?;
            Ok(())
        })
        .await
    }

    /// When everything was compared last.
    pub async fn last_copy_check(&self) -> Result<Option<DateTime<Utc>>> {
        self.read(|sql| {
            let mut row =
                sql.prepare_cached("SELECT to_ms FROM copy_check ORDER BY id DESC LIMIT 1")?;
            Ok(row.query_row([], |row| row.get::<_, Ms>(0)).optional()?.map(|at| at.0))
        })
        .await
    }
}
