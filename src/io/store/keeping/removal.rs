//! What two people have given up and is not gone: what is to be done with its files, asked before each is touched.

use super::held;
use crate::duty::ids::CallId;
use crate::io::store::Store;
use crate::io::store::audit::{self, Actor};
use crate::io::store::error::Result;
use crate::io::store::recordings::KeptFiles;
use crate::io::store::text::{Id, ms};
use crate::protocol::now::Now;
use rusqlite::{OptionalExtension, Row, params};
use std::path::PathBuf;

/// What was begun is gone on with, and settled where somebody has held it since: by the newest list that gave it up.
pub(super) fn to_remove(and: &str) -> String {
    let held = held("d.call");
    format!(
        "SELECT * FROM (
           SELECT r.call AS call, coalesce(f.path, r.wav), r.tape, d.list AS list,
             b.call IS NOT NULL OR EXISTS (SELECT 1 FROM halted a WHERE a.call = d.call) AS begun,
             coalesce(h.hold, {held}) AS held, coalesce(b.noted, 1),
             EXISTS (SELECT 1 FROM counted_copy k WHERE k.call = d.call)
           FROM given_up d CROSS JOIN recording r ON r.call = d.call
             LEFT JOIN flac f ON f.call = d.call
             LEFT JOIN gone g ON g.call = d.call
             LEFT JOIN going b ON b.call = d.call AND b.list = d.list
             LEFT JOIN halted h ON h.call = d.call AND h.list = d.list
           WHERE g.call IS NULL
             AND d.list = (SELECT max(x.list) FROM given_up x WHERE x.call = d.call) {and})
         WHERE begun OR held IS NULL"
    )
}

/// A recording that is given up and not gone.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Doomed {
    pub files: KeptFiles,
    list: i64,
    /// Its removal was begun, or may have been: of its files some may be gone.
    pub begun: bool,
    /// Nobody knows whether it was: that was not noted yet.
    pub unnoted: bool,
    /// Somebody holds it since then, or has.
    pub held: bool,
    /// Its copies count: they are on the place of now.
    pub copied: bool,
}

/// What is to be done with a recording, asked anew.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Fate {
    Remove,
    /// It was held after its removal had begun.
    Settle,
    /// It is held, or gone.
    Leave,
}

fn doomed(row: &Row<'_>) -> rusqlite::Result<Doomed> {
    let path = |column| {
        let path = row.get::<_, Option<String>>(column)?;
        Ok::<_, rusqlite::Error>(path.filter(|path| !path.is_empty()).map(PathBuf::from))
    };
    Ok(Doomed {
        files: KeptFiles { call: row.get::<_, Id<CallId>>(0)?.0, wav: path(1)?, tape: path(2)? },
        list: row.get(3)?,
        begun: row.get(4)?,
        held: row.get::<_, Option<i64>>(5)?.is_some(),
        unnoted: !row.get::<_, bool>(6)?,
        copied: row.get(7)?,
    })
}

impl Store {
    /// Recordings after this one that are given up and not gone: held by nobody, or their removal was begun.
    pub async fn doomed(&self, after: Option<CallId>, most: u32) -> Result<Vec<Doomed>> {
        let after = after.map_or_else(String::new, |call| call.to_string());
        self.read(move |sql| {
            let query = format!("{} ORDER BY call LIMIT ?2", to_remove("AND d.call > ?1"));
            let mut rows = sql.prepare_cached(&query)?;
            let rows = rows.query_map(params![after, most], doomed)?;
            Ok(rows.collect::<rusqlite::Result<_>>()?)
        })
        .await
    }

    /// Asked before the files of each are removed, and noted: who holds it from then on is told that it is too late. It
    /// waits for all that was written before.
    pub async fn begin_removal(&self, call: CallId, now: Now) -> Result<Fate> {
        self.write(move |tx| {
            let query = to_remove("AND d.call = ?1");
            let found = tx.sql.prepare_cached(&query)?.query_row([Id(call)], doomed).optional()?;
            let Some(found) = found else { return Ok(Fate::Leave) };
            if found.held {
                return Ok(Fate::Settle);
            }
            tx.sql.execute(
                "INSERT OR IGNORE INTO going (call, list, at_ms) VALUES (?1, ?2, ?3)",
                params![Id(call), found.list, ms(now.wall)],
            )?;
            Ok(Fate::Remove)
        })
        .await
    }

    /// All of it is there still, though its removal had begun when it was held: it stays.
    pub async fn is_spared(&self, call: CallId, now: Now) -> Result<()> {
        self.write(move |tx| {
            let query = format!(
                "INSERT INTO spared (call, list, hold, at_ms)
                 SELECT call, list, held, ?2 FROM ({}) WHERE held IS NOT NULL",
                to_remove("AND d.call = ?1")
            );
            let spared = tx.sql.execute(&query, params![Id(call), ms(now.wall)])?;
            if spared > 0 {
                let actor = Actor::system("I-3");
                audit::append(tx.sql, now, &actor, "keeping.spared", &call.to_string(), "")?;
            }
            Ok(())
        })
        .await
    }

    /// Some of it is gone, and it was held meanwhile: this list removes no more of it.
    pub async fn is_halted(&self, call: CallId, now: Now) -> Result<()> {
        self.write(move |tx| {
            let query = format!(
                "INSERT OR IGNORE INTO halted (call, list, hold, at_ms)
                 SELECT call, list, held, ?2 FROM ({}) WHERE held IS NOT NULL",
                to_remove("AND d.call = ?1")
            );
            tx.sql.execute(&query, params![Id(call), ms(now.wall)])?;
            Ok(())
        })
        .await
    }
}
