//! The index made anew from the log: at a start that finds it damaged or missing, and when somebody asks for it. Nothing is
//! known in it alone, so it is never mended, but given up and made again.

use super::audit::{self, Actor};
use super::error::{Result, StoreError};
use super::index::{self, AT_ONCE, INDEX_AT_FAULT};
use super::text::Whole;
use super::{Store, schema};
use crate::duty::words;
use crate::protocol::now::Now;
use rusqlite::{Connection, Transaction, TransactionBehavior, params_from_iter};
use std::path::Path;
use std::time::{Duration, Instant};

/// The tables of the index, and nothing else.
const TABLES: &str = include_str!("migrations/0021_search.sql");
/// For the daemon that writes at the same time: between two turns at least, else as long as the last one took, so that half
/// of the time is its own; and after one in which it was in the way.
const BREATH: Duration = Duration::from_millis(2);
const AGAIN: Duration = Duration::from_millis(200);
/// How long it may be in the way, without a pause, before that is the end.
const PATIENCE: u32 = 300;

/// The newest entries, as a search finds them and as they stand beside it.
const FOUND: &str = "SELECT rowid FROM search WHERE search MATCH ?1 ORDER BY rowid DESC LIMIT 1000";
const KNOWN: &str = "SELECT id FROM searchable ORDER BY id DESC LIMIT 1000";

/// What came of it.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Reindexed {
    /// What was wrong with the index that was there.
    pub fault: Option<String>,
    pub entries: u64,
    /// Entries that could not be indexed.
    pub failed: u64,
    /// It was begun before and goes on from there.
    pub went_on: bool,
    /// It was told to stop before its end.
    pub stopped: bool,
}

/// For the one daemon of the folder, before it writes: an index that is damaged or not there is given up, to be made anew
/// bit by bit; entries that were not taken are tried again. Whether it was given up.
pub(super) fn mend(path: &Path) -> Result<bool> {
    let sql = &open(path)?;
    if let Some(fault) = look_alone(sql)? {
        tracing::error!(
            fault,
            "the index of the search is at fault: it is made anew, and older entries are found later"
        );
        forget(sql)?;
        return Ok(true);
    }
    sql.execute("UPDATE to_index SET failed = 0 WHERE failed <> 0", [])?;
    Ok(false)
}

fn open(path: &Path) -> Result<Connection> {
    let sql = Connection::open(path)?;
    schema::prepare(&sql)?;
    Ok(sql)
}

/// As [`look`], at one moment of the log: whoever writes meanwhile makes nothing differ.
fn look_alone(sql: &Connection) -> Result<Option<String>> {
    look(&*Transaction::new_unchecked(sql, TransactionBehavior::Deferred)?)
}

/// What is wrong with the index, as far as can be seen without reading all of it.
///
/// # Errors
/// Where it could not be looked at, and may be sound.
fn look(sql: &Connection) -> Result<Option<String>> {
    let looked = (|| -> Result<Option<String>> {
        if sql.prepare("SELECT 1 FROM to_index WHERE failed = ?1")?.exists([INDEX_AT_FAULT])? {
            return Ok(Some("it did not take an entry".to_owned()));
        }
        // Each entry has one of these words.
        let marks = ["routine", "urgent", "critical"].map(|how| words::mark("u", how));
        let asked = marks.map(|mark| format!("\"{mark}\"")).join(" OR ");
        let newest = |query: &str, values: &[&str]| -> Result<Vec<i64>> {
            let mut rows = sql.prepare(query)?;
            let rows = rows.query_map(params_from_iter(values), |row| row.get(0))?;
            Ok(rows.collect::<rusqlite::Result<_>>()?)
        };
        let found = newest(FOUND, &[&asked])?;
        if found != newest(KNOWN, &[])? {
            return Ok(Some("of its newest entries not all are found".to_owned()));
        }
        let count = |table: &str| -> Result<u64> {
            let query = format!("SELECT count(*) FROM {table}");
            Ok(sql.query_row(&query, [], |row| row.get::<_, Whole>(0))?.0)
        };
        let (places, texts) = (count("searchable")?, count("search_docsize")?);
        let differs = format!("it has {texts} texts for {places} entries");
        Ok((places != texts).then_some(differs))
    })();
    match looked {
        Err(error) if !error.may_pass() => Ok(Some(error.to_string())),
        looked => looked,
    }
}

/// The newest entries are found again first.
fn forget(sql: &Connection) -> Result<()> {
    let emptied = (|| {
        let change = Transaction::new_unchecked(sql, TransactionBehavior::Immediate)?;
        change.execute_batch(
            "INSERT INTO search (search) VALUES ('delete-all');
             DELETE FROM searchable;
             DELETE FROM to_index;",
        )?;
        // What is damaged may be emptied only in part.
        match look(&change)? {
            None => Ok(change.commit()?),
            Some(fault) => Err(StoreError::Damaged(fault)),
        }
    })();
    match emptied {
        Ok(()) => Ok(()),
        Err(error) if error.may_pass() => Err(error),
        Err(_) => {
            let change = Transaction::new_unchecked(sql, TransactionBehavior::Immediate)?;
            change.execute_batch(
                "DROP TABLE IF EXISTS search; DROP TABLE IF EXISTS searchable;
                 DROP TABLE IF EXISTS to_index;",
            )?;
            change.execute_batch(TABLES)?;
            Ok(change.commit()?)
        }
    }
}

/// Makes the whole index anew beside whoever writes, or goes on with that. `told` hears how many of how many entries are
/// indexed, and stops it by saying no.
///
/// # Errors
/// When the log cannot be read, or is locked for a minute.
pub fn reindex(
    path: &Path,
    goes_on: bool,
    told: &mut dyn FnMut(u64, u64) -> bool,
) -> Result<Reindexed> {
    let sql = &open(path)?;
    let mut found = Reindexed { fault: patiently(|| look_alone(sql))?, ..Reindexed::default() };
    found.went_on = goes_on && found.fault.is_none();
    if !found.went_on {
        patiently(|| forget(sql))?;
    }
    let count = |query: &str| -> Result<u64> {
        Ok(sql.query_row(query, [], |row| row.get::<_, Whole>(0))?.0)
    };
    let mut until = i64::MAX;
    loop {
        found.entries = count("SELECT count(*) FROM searchable")?;
        if !told(found.entries, count("SELECT count(*) FROM entry")?) {
            found.stopped = true;
            break;
        }
        let left = index::left(sql, until, AT_ONCE)?;
        let waits = count("SELECT count(*) FROM to_index WHERE failed = 0")?;
        match left.last() {
            Some((_, occurred)) => until = *occurred,
            None if waits == 0 && until == i64::MAX => break,
            // Entries of one moment may be more than are looked at together.
            None => until = i64::MAX,
        }
        patiently(|| {
            let change = Transaction::new_unchecked(sql, TransactionBehavior::Immediate)?;
            left.iter().try_for_each(|(entry, _)| index::note(&change, entry))?;
            Ok(change.commit()?)
        })?;
        while patiently(|| index::turn(sql))? {}
    }
    found.failed = count("SELECT count(*) FROM to_index WHERE failed <> 0")?;
    Ok(found)
}

/// Again while somebody else writes, whose turn it is after that.
fn patiently<T>(mut work: impl FnMut() -> Result<T>) -> Result<T> {
    let mut left = PATIENCE;
    loop {
        let begin = Instant::now();
        match work() {
            Err(error) if error.may_pass() && left > 0 => {
                left -= 1;
                std::thread::sleep(AGAIN);
            }
            done => {
                std::thread::sleep(begin.elapsed().max(BREATH));
                return done;
            }
        }
    }
}

impl Store {
    /// What was made anew.
    pub async fn reindexed(&self, detail: String, now: Now) -> Result<()> {
        let actor = Actor::system("reindex");
        self.write(move |tx| audit::append(tx.sql, now, &actor, "reindex", "search", &detail)).await
    }
}

#[cfg(test)]
mod tests;
