//! Second copies of recordings: what has none yet, what has, and the daily comparison of both.

use super::Store;
use super::audit::{self, Actor};
use super::error::{Result, StoreError};
use super::text::{Id, Ms, Named, count, ms, name};
use crate::duty::ids::CallId;
use crate::protocol::now::Now;
use chrono::{DateTime, Utc};
use rusqlite::backup::{Backup, StepResult};
use rusqlite::{Connection, OptionalExtension, params};
use serde::{Deserialize, Serialize};
use std::path::PathBuf;

#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum FileKind {
    /// Or the FLAC that is kept in its stead.
    Wav,
    Tape,
}

/// A file as it is kept, and whether a second copy of it was read back.
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
    SELECT k.call, 'wav' AS kind, coalesce(a.path, k.wav) AS path,
      coalesce(a.digest, k.digest) AS digest, k.sealed_ms
    FROM kept_recording k LEFT JOIN flac a ON a.call = k.call
    WHERE k.digest IS NOT NULL AND k.wav <> ''
    UNION ALL
    SELECT call, 'tape', tape, tape_digest, sealed_ms FROM kept_recording
    WHERE digest IS NOT NULL AND tape_digest IS NOT NULL AND tape IS NOT NULL
  ) AS f LEFT JOIN copy c ON c.call = f.call AND c.kind = f.kind
    AND c.loss = (SELECT coalesce(max(loss), 0) FROM copies_loss_agreement)";

impl Store {
    /// Files sealed since then that have no second copy and come after this one, the oldest first.
    pub async fn uncopied(
        &self,
        since: DateTime<Utc>,
        after: Option<(CallId, FileKind)>,
        most: u32,
    ) -> Result<Vec<SealedFile>> {
        let query = format!(
            "{FILES} WHERE f.sealed_ms >= ?1 AND c.call IS NULL AND (f.call, f.kind) > (?3, ?4)
             ORDER BY f.call, f.kind LIMIT ?2"
        );
        let (call, kind) =
            after.map_or_else(Default::default, |(call, kind)| (call.to_string(), name(kind)));
        self.files(query, (ms(since), most, call, kind)).await
    }

    /// Of the newest call of which a second copy was counted.
    pub async fn newest_copy(&self) -> Result<Option<SealedFile>> {
        let newest = "SELECT call FROM counted_copy c WHERE EXISTS
             (SELECT 1 FROM kept_recording k WHERE k.call = c.call) ORDER BY call DESC LIMIT 1";
        let newest: Option<String> = self
            .read(move |sql| Ok(sql.query_row(newest, [], |row| row.get(0)).optional()?))
            .await?;
        let Some(call) = newest else { return Ok(None) };
        let query = format!("{FILES} WHERE f.call = ?1 AND c.call IS NOT NULL LIMIT 1");
        Ok(self.files(query, [call]).await?.pop())
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

    /// This file of the call as it is to be there now; none where it was given up.
    pub async fn sealed_file(&self, call: CallId, kind: FileKind) -> Result<Option<SealedFile>> {
        let query = format!("{FILES} WHERE f.call = ?1 AND f.kind = ?2");
        Ok(self.files(query, (call.to_string(), name(kind))).await?.pop())
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

    /// The whole log as it is now, into a new file; nobody waits for it. It says that nothing is written beside it: what lies
    /// beside the name under which it is put back is another's.
    pub async fn back_up_to(&self, path: PathBuf) -> Result<()> {
        self.read(move |sql| {
            let mut to = Connection::open(&path)?;
            // Where it is kept from the locks it needs, nothing is copied, and that is no error of its own.
            let done = Backup::new(sql, &mut to)?.step(-1)?;
            match done {
                StepResult::Done => {
                    Ok(to.pragma_update_and_check(None, "journal_mode", "delete", |_| Ok(()))?)
                }
                _ => Err(StoreError::Locked),
            }
        })
        .await
    }

    /// What was copied to where.
    pub async fn backed_up(&self, into: String, detail: String, now: Now) -> Result<()> {
        let actor = Actor::system("backup");
        self.write(move |tx| audit::append(tx.sql, now, &actor, "backup", &into, &detail)).await
    }

    /// It was read back, and is the same.
    pub async fn copied(&self, call: CallId, kind: FileKind, now: Now) -> Result<()> {
        self.write(move |tx| {
            tx.sql.execute(
                "INSERT INTO copy (call, kind, copied_ms, loss)
                 VALUES (?1, ?2, ?3, (SELECT coalesce(max(loss), 0) FROM copies_loss_agreement))
                 ON CONFLICT (call, kind) DO UPDATE
                   SET copied_ms = excluded.copied_ms, loss = excluded.loss
                   WHERE copy.loss < excluded.loss",
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

    /// How everything was compared last.
    pub async fn last_copy_check(&self) -> Result<Option<CheckRow>> {
        self.read(|sql| {
            let mut row = sql.prepare_cached(
                "SELECT from_ms, to_ms, own, copies, faults, named FROM copy_check
                 ORDER BY id DESC LIMIT 1",
            )?;
            let one = |row: &rusqlite::Row<'_>| {
                let count = |column| row.get::<_, i64>(column).map(i64::unsigned_abs);
                Ok(CheckRow {
                    from: row.get::<_, Ms>(0)?.0,
                    to: row.get::<_, Ms>(1)?.0,
                    own: count(2)?,
                    copies: count(3)?,
                    faults: count(4)?,
                    named: row.get(5)?,
                })
            };
            Ok(row.query_row([], one).optional()?)
        })
        .await
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::io::store::tests::{at, locked, one, random};
    use crate::io::store::wait;

    #[test]
    fn rel_36_a_log_that_could_not_be_copied_is_no_backup() {
        let folder = tempfile::tempdir().unwrap();
        let store = Store::open(&folder.path().join("a.db"), random()).unwrap();
        let to = folder.path().join("b.db");
        let other = locked(&to);
        assert_eq!(wait(store.back_up_to(to.clone())), Err(StoreError::Locked));
        drop(other);
        wait(store.back_up_to(to.clone())).unwrap();
        wait(store.backed_up("b".to_owned(), "2 files, 0 faults".to_owned(), at(0.0))).unwrap();
        let row = "SELECT action || ' ' || object || ' ' || detail FROM audit ORDER BY id DESC";
        assert_eq!(one::<String>(&store, row), "backup b 2 files, 0 faults");
        wait(store.verify_audit()).unwrap();
    }
}
