//! Recordings whose sound is kept as FLAC: which may be, which are, and of which the WAV is still there too.

use super::Store;
use super::error::Result;
use super::keeping::held;
use super::text::{Id, count, ms};
use crate::duty::ids::CallId;
use crate::protocol::now::Now;
use chrono::{DateTime, Utc};
use rusqlite::{Connection, Row, params};
use std::path::PathBuf;

/// A recording that may be kept as FLAC.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ToFlac {
    pub call: CallId,
    /// Below the recordings' folder.
    pub wav: PathBuf,
    /// Of the WAV, in hexadecimal.
    pub sha256: String,
}

/// A FLAC that is safe on the disk.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AsFlac {
    /// Below the recordings' folder, and below the copies'.
    pub path: PathBuf,
    /// In hexadecimal.
    pub sha256: String,
    pub bytes: u64,
}

/// A recording that is kept as FLAC, and whose WAV is to be removed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FlacRow {
    pub call: CallId,
    pub wav: PathBuf,
    /// Of the WAV, in hexadecimal.
    pub sha256: String,
    pub flac: AsFlac,
}

impl Store {
    /// Recordings after this one that were sealed before then, are not kept as FLAC and not held; `copied`: whether their
    /// WAV was counted on the second disk.
    pub async fn to_flac(
        &self,
        before: DateTime<Utc>,
        after: Option<CallId>,
        copied: bool,
        most: u32,
    ) -> Result<Vec<ToFlac>> {
        let after = after.map_or_else(String::new, |call| call.to_string());
        self.read(move |sql| {
            let query = format!(
                "SELECT r.call, r.wav, r.digest FROM kept_recording r
                 WHERE r.call > ?1 AND r.sealed_ms <= ?2 AND r.digest IS NOT NULL
                   AND r.wav LIKE '%.wav' AND NOT EXISTS (SELECT 1 FROM flac f WHERE f.call = r.call)
                   AND EXISTS (SELECT 1 FROM counted_copy k WHERE k.call = r.call AND k.kind = 'wav') = ?3
                   AND {held} IS NULL
                 ORDER BY r.call LIMIT ?4",
                held = held("r.call"),
            );
            let mut rows = sql.prepare_cached(&query)?;
            let rows = rows.query_map(params![after, ms(before), copied, most], |row| {
                Ok(ToFlac { call: row.get::<_, Id<CallId>>(0)?.0, wav: path(row, 1)?, sha256: row.get(2)? })
            })?;
            Ok(rows.collect::<rusqlite::Result<_>>()?)
        })
        .await
    }

    /// From now on this is what is kept; false where it is held or given up by now, or was noted before.
    pub async fn is_flac(&self, call: CallId, made: AsFlac, now: Now) -> Result<bool> {
        let unheld = format!("{} IS NULL", held("r.call"));
        self.write(move |tx| note(tx.sql, call, &made, &unheld, now)).await
    }

    /// Recordings after this one that are kept as FLAC, whose WAV is there too, and which nobody holds.
    pub async fn flac_and_wav(&self, after: Option<CallId>, most: u32) -> Result<Vec<FlacRow>> {
        let after = after.map_or_else(String::new, |call| call.to_string());
        self.read(move |sql| {
            let query = format!(
                "SELECT f.call, r.wav, r.digest, f.path, f.digest, f.bytes
                 FROM flac f JOIN kept_recording r ON r.call = f.call
                 WHERE f.call > ?1 AND NOT EXISTS (SELECT 1 FROM wav_removed w WHERE w.call = f.call)
                   AND {held} IS NULL
                 ORDER BY f.call LIMIT ?2",
                held = held("f.call"),
            );
            let mut rows = sql.prepare_cached(&query)?;
            let rows = rows.query_map(params![after, most], |row| {
                let bytes = row.get::<_, i64>(5)?.unsigned_abs();
                let flac = AsFlac { path: path(row, 3)?, sha256: row.get(4)?, bytes };
                let call = row.get::<_, Id<CallId>>(0)?.0;
                Ok(FlacRow { call, wav: path(row, 1)?, sha256: row.get(2)?, flac })
            })?;
            Ok(rows.collect::<rusqlite::Result<_>>()?)
        })
        .await
    }

    /// Its WAV may go: it is kept, as FLAC, and held by nobody.
    pub async fn wav_may_go(&self, call: CallId) -> Result<bool> {
        self.read(move |sql| {
            let query = format!(
                "SELECT 1 FROM flac f JOIN kept_recording r ON r.call = f.call
                 WHERE f.call = ?1 AND {held} IS NULL",
                held = held("f.call"),
            );
            Ok(sql.prepare_cached(&query)?.exists([Id(call)])?)
        })
        .await
    }

    pub async fn wav_is_removed(&self, call: CallId, now: Now) -> Result<()> {
        self.write(move |tx| {
            tx.sql.execute(
                "INSERT INTO wav_removed (call, at_ms) VALUES (?1, ?2) ON CONFLICT (call) DO NOTHING",
                params![Id(call), ms(now.wall)],
            )?;
            Ok(())
        })
        .await
    }
}

/// Whether it was noted, of a recording that is `so` and was not noted before.
pub(super) fn note(
    sql: &Connection,
    call: CallId,
    made: &AsFlac,
    so: &str,
    now: Now,
) -> Result<bool> {
    let query = format!(
        "INSERT INTO flac (call, path, digest, bytes, at_ms)
         SELECT r.call, ?2, ?3, ?4, ?5 FROM kept_recording r
         WHERE r.call = ?1 AND r.digest IS NOT NULL AND {so} ON CONFLICT (call) DO NOTHING"
    );
    let path = made.path.to_string_lossy();
    let values = params![Id(call), path, made.sha256, count(made.bytes), ms(now.wall)];
    Ok(sql.execute(&query, values)? > 0)
}

fn path(row: &Row<'_>, column: usize) -> rusqlite::Result<PathBuf> {
    row.get::<_, String>(column).map(PathBuf::from)
}
