//! The index of what can be searched, in step with the log: entries that a write touches are indexed anew before its
//! commit.
//!
//! Triggers of the writing connection alone (TEMP) note which entries those are. Only what every officer reads on the
//! entry's page is indexed: no number of a leader, no PIN, nothing of the SIP messages.

use super::Store;
use super::error::Result;
use super::revisions::Change;
use super::text::from_json;
use crate::duty::entry::{Category, Field};
use crate::duty::words;
use rusqlite::{Connection, OptionalExtension, Row, params};
use std::sync::atomic::Ordering;
use std::time::Duration;
use tokio_util::sync::CancellationToken;

/// Places in the index for each millisecond.
pub(super) const PLACES: i64 = 16;
/// Older entries that are indexed by one write: a few milliseconds.
const AT_ONCE: u32 = 50;
/// After a write that failed.
const AGAIN: Duration = Duration::from_secs(30);
/// Revisions whose texts of before can be found, the newest; who types on makes one with each pause.
const REVISIONS: u32 = 500;
/// The property of an entry without a recording.
pub(super) const NO_RECORDING: &str = "none";

/// Makes the connection note what it touches.
pub(super) fn watch(sql: &Connection) -> Result<()> {
    let fields = Field::ALL.map(|field| format!("\"{}\"", field.name())).join(", ");
    let note = |row: &str| format!("BEGIN INSERT INTO stale (entry) VALUES ({row}); END");
    sql.execute_batch(&format!(
        "CREATE TEMP TABLE IF NOT EXISTS stale (entry TEXT NOT NULL);
         CREATE TEMP TRIGGER IF NOT EXISTS entry_to_index AFTER INSERT ON main.entry {entry};
         CREATE TEMP TRIGGER IF NOT EXISTS entry_to_index_anew
           AFTER UPDATE OF urgency, {fields} ON main.entry {entry};
         CREATE TEMP TRIGGER IF NOT EXISTS call_to_index AFTER INSERT ON main.call
           WHEN new.id = new.entry {own};
         CREATE TEMP TRIGGER IF NOT EXISTS call_to_index_anew AFTER UPDATE OF disposition ON main.call
           WHEN new.id = new.entry AND new.disposition IS NOT old.disposition {own};
         CREATE TEMP TRIGGER IF NOT EXISTS recording_to_index AFTER INSERT ON main.recording {of_call};
         CREATE TEMP TRIGGER IF NOT EXISTS recording_to_index_anew AFTER UPDATE OF state
           ON main.recording WHEN new.state <> old.state {of_call};
         CREATE TEMP TRIGGER IF NOT EXISTS bookmark_to_index AFTER INSERT ON main.bookmark {of_call};
         CREATE TEMP TRIGGER IF NOT EXISTS bookmark_to_index_anew AFTER UPDATE ON main.bookmark
           {of_call};",
        entry = note("new.id"),
        own = note("new.entry"),
        of_call = note("new.call"),
    ))?;
    Ok(())
}

/// Nothing was touched since the last time.
pub(super) fn is_idle(sql: &Connection) -> Result<bool> {
    Ok(!sql.prepare_cached("SELECT 1 FROM stale")?.exists([])?)
}

/// Entries that may wait to be indexed; where that fails for so long, the first are given up.
const WAITING: i64 = 100_000;

/// Keeps what waits within bounds.
pub(super) fn shorten(sql: &Connection) -> Result<()> {
    sql.prepare_cached("DELETE FROM stale WHERE rowid <= (SELECT max(rowid) FROM stale) - ?1")?
        .execute([WAITING])?;
    Ok(())
}

/// Indexes what was touched since the last time; before each commit.
pub(super) fn follow(sql: &Connection) -> Result<()> {
    let stale = {
        let mut rows = sql.prepare_cached("SELECT DISTINCT entry FROM stale")?;
        let rows = rows.query_map([], |row| row.get(0))?;
        rows.collect::<rusqlite::Result<Vec<String>>>()?
    };
    stale.iter().try_for_each(|entry| index(sql, entry))?;
    sql.prepare_cached("DELETE FROM stale")?.execute([])?;
    Ok(())
}

/// An entry as it is now; what is no entry's own call is passed over.
fn index(sql: &Connection, entry: &str) -> Result<()> {
    let Some((occurred, mut texts, marks)) = found(sql, entry)? else { return Ok(()) };
    texts.extend(before(sql, entry)?);
    texts.extend(marked(sql, entry)?);
    let mut indexed = words::indexed(texts.iter().map(String::as_str));
    indexed.push_str(&marks.join(" "));
    let place = place(sql, entry, occurred)?;
    sql.prepare_cached("INSERT OR REPLACE INTO search (rowid, words) VALUES (?1, ?2)")?
        .execute(params![place, indexed])?;
    Ok(())
}

type Found = (i64, Vec<String>, Vec<String>);

/// When it occurred, its texts, and its properties.
fn found(sql: &Connection, entry: &str) -> Result<Option<Found>> {
    let fields = Field::ALL.map(|field| format!("e.{}", field.name())).join(", ");
    let query = format!(
        "SELECT e.occurred_ms, e.urgency, c.disposition, r.state, {fields}, e.number, c.number, c.caller,
           c.caller_plain, c.display, c.contact_unit, c.contact_name, c.contact_duty, c.town
         FROM entry e LEFT JOIN call c ON c.id = e.id LEFT JOIN recording r ON r.call = e.id
         WHERE e.id = ?1"
    );
    let read = |row: &Row<'_>| {
        let name = |column| row.get::<_, Option<String>>(column);
        let mut marks = vec![words::mark("u", &name(1)?.unwrap_or_default())];
        marks.extend(name(2)?.map(|name| words::mark("d", &name)));
        marks.push(words::mark("r", name(3)?.as_deref().unwrap_or(NO_RECORDING)));
        let mut texts: Vec<String> = vec![];
        for column in 4..Field::ALL.len() + 13 {
            let text = name(column)?.unwrap_or_default();
            let known = (column == 4).then(|| Category::from_name(&text)).flatten();
            let text = known.map_or(text, |category| category.label().0.to_owned());
            // A call says again what its entry says.
            if !text.is_empty() && !texts.contains(&text) {
                texts.push(text);
            }
        }
        Ok((row.get(0)?, texts, marks))
    };
    Ok(sql.prepare_cached(&query)?.query_row([entry], read).optional()?)
}

/// What stood in the form once and was taken out again; what was only typed on stands there still.
pub(super) fn before(sql: &Connection, entry: &str) -> Result<Vec<String>> {
    let mut rows = sql.prepare_cached(
        "SELECT changes FROM revision WHERE entry = ?1 AND kind <> 'state' ORDER BY no DESC LIMIT ?2",
    )?;
    let mut rows = rows.query(params![entry, REVISIONS])?;
    let mut texts: Vec<String> = vec![];
    while let Some(row) = rows.next()? {
        for change in
            from_json::<Vec<Change>>(row.get_ref(0)?.as_str().map_err(rusqlite::Error::from)?)?
        {
            let a_text =
                change.field != Field::Category.name() && Field::from_name(&change.field).is_some();
            let gone = a_text && !change.old.is_empty() && !change.new.contains(&change.old);
            if gone && !texts.contains(&change.old) {
                texts.push(change.old);
            }
        }
    }
    Ok(texts)
}

/// What is written to places of its recording.
fn marked(sql: &Connection, entry: &str) -> Result<Vec<String>> {
    let mut rows = sql.prepare_cached(
        "SELECT text FROM bookmark WHERE call = ?1 AND text <> '' AND taken_back_ms IS NULL",
    )?;
    let rows = rows.query_map([entry], |row| row.get(0))?;
    Ok(rows.collect::<rusqlite::Result<_>>()?)
}

/// The entry's own place, or the next that is free.
fn place(sql: &Connection, entry: &str, occurred: i64) -> Result<i64> {
    let known = sql
        .prepare_cached("SELECT id FROM searchable WHERE entry = ?1")?
        .query_row([entry], |row| row.get(0))
        .optional()?;
    if let Some(known) = known {
        return Ok(known);
    }
    let mut place = occurred.saturating_mul(PLACES);
    while sql.prepare_cached("SELECT 1 FROM searchable WHERE id = ?1")?.exists([place])? {
        place += 1;
    }
    sql.prepare_cached("INSERT INTO searchable (id, entry) VALUES (?1, ?2)")?
        .execute(params![place, entry])?;
    Ok(place)
}

/// The newest of those that are not indexed and occurred no later, each with when it did.
fn left(sql: &Connection, until: i64, most: u32) -> Result<Vec<(String, i64)>> {
    let mut rows = sql.prepare_cached(
        "SELECT e.id, e.occurred_ms FROM entry e
         WHERE e.occurred_ms <= ?1 AND NOT EXISTS (SELECT 1 FROM searchable s WHERE s.entry = e.id)
         ORDER BY e.occurred_ms DESC LIMIT ?2",
    )?;
    let rows = rows.query_map(params![until, most], |row| Ok((row.get(0)?, row.get(1)?)))?;
    Ok(rows.collect::<rusqlite::Result<_>>()?)
}

impl Store {
    /// Indexes some of the entries that an earlier program wrote, the newest first, from `until` on; from where to go on,
    /// none when all are.
    pub async fn index_older(&self, until: Option<i64>, most: u32) -> Result<Option<i64>> {
        let until = until.unwrap_or(i64::MAX);
        // Looked for beside the writer: in a large log that takes its time.
        let left = self.read(move |sql| left(sql, until, most)).await?;
        let next = left.last().map(|(_, occurred)| *occurred);
        if next.is_some() {
            self.write(move |tx| left.iter().try_for_each(|(entry, _)| index(tx.sql, entry)))
                .await?;
        }
        self.inner.indexing.store(next.is_some(), Ordering::Relaxed);
        Ok(next)
    }

    /// As [`Store::index_older`], bit by bit until all are indexed: what happens now comes first.
    pub async fn index_all(self, stopping: CancellationToken) {
        let mut until = None;
        while !stopping.is_cancelled() {
            match self.index_older(until, AT_ONCE).await {
                Ok(None) => return,
                Ok(next) => until = next,
                Err(error) => {
                    tracing::error!(%error, "older entries cannot be searched yet");
                    tokio::select! {
                        () = tokio::time::sleep(AGAIN) => {}
                        () = stopping.cancelled() => return,
                    }
                }
            }
        }
    }

    /// Older entries are not found yet.
    pub fn is_indexing(&self) -> bool {
        self.inner.indexing.load(Ordering::Relaxed)
    }
}
