//! The index of what can be searched, in step with the log: an entry that a write touches is noted in its transaction, and
//! indexed anew half a second after that, however often it changes meanwhile.
//!
//! Triggers of the writing connection alone (TEMP) do the noting. Only what every officer reads on the
//! entry's page is indexed: no number of a leader, no PIN, nothing of the SIP messages.

use super::error::{Result, StoreError};
use super::revisions::Change;
use super::schema;
use super::text::from_json;
use super::{Store, aside};
use crate::duty::entry::{Category, Field};
use crate::duty::words;
use rusqlite::{Connection, OptionalExtension, Row, Transaction, TransactionBehavior, params};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};
use tokio_util::sync::CancellationToken;

/// Places in the index for each millisecond.
pub(super) const PLACES: i64 = 16;
/// Older entries that are indexed by one write: a few milliseconds.
pub(super) const AT_ONCE: u32 = 50;
/// After a write that failed.
const AGAIN: Duration = Duration::from_secs(30);
/// Revisions whose texts of before can be found, the newest; who types on makes one with each pause.
const REVISIONS: u32 = 500;
/// Bytes of revisions that are read for it, the newest: an officer who types on makes many of a long text.
const READ_MOST: usize = 256 * 1024;
/// After a fault of the index that may pass.
const REST: Duration = Duration::from_secs(10);
/// Characters around what was taken out, and bytes of all that was, that can be found.
const AROUND: usize = 32;
const REMOVED: usize = 60_000;
/// Why an entry is not indexed, as `to_index.failed` has it.
const ENTRY_AT_FAULT: u8 = 1;
pub(super) const INDEX_AT_FAULT: u8 = 2;
/// The property of an entry without a recording.
pub(super) const NO_RECORDING: &str = "none";

/// Makes the connection note what it touches, in the transaction that does.
pub(super) fn watch(sql: &Connection) -> Result<()> {
    let fields = Field::ALL.map(|field| format!("\"{}\"", field.name())).join(", ");
    let note = |row: &str| {
        format!(
            "BEGIN INSERT INTO to_index (entry) SELECT {row}
               WHERE NOT EXISTS (SELECT 1 FROM to_index WHERE entry = {row}); END"
        )
    };
    sql.execute_batch(&format!(
        "CREATE TEMP TRIGGER IF NOT EXISTS entry_to_index AFTER INSERT ON main.entry {entry};
         CREATE TEMP TRIGGER IF NOT EXISTS entry_to_index_anew
           AFTER UPDATE OF urgency, {fields} ON main.entry {entry};
         CREATE TEMP TRIGGER IF NOT EXISTS call_to_index AFTER INSERT ON main.call
           WHEN new.id = new.entry {own};
         CREATE TEMP TRIGGER IF NOT EXISTS call_to_index_anew AFTER UPDATE OF disposition, caller_plain
           ON main.call WHEN new.id = new.entry AND (new.disposition IS NOT old.disposition
             OR new.caller_plain IS NOT old.caller_plain) {own};
         CREATE TEMP TRIGGER IF NOT EXISTS recording_to_index AFTER INSERT ON main.recording {of_call};
         CREATE TEMP TRIGGER IF NOT EXISTS recording_to_index_anew AFTER UPDATE OF state
           ON main.recording WHEN new.state <> old.state {of_call};
         CREATE TEMP TRIGGER IF NOT EXISTS bookmark_to_index AFTER INSERT ON main.bookmark {of_call};
         CREATE TEMP TRIGGER IF NOT EXISTS bookmark_to_index_anew AFTER UPDATE ON main.bookmark
           {of_call};
         CREATE TEMP TRIGGER IF NOT EXISTS destroyed_to_index AFTER INSERT ON main.destroyed {of_call};
         CREATE TEMP TRIGGER IF NOT EXISTS spared_to_index AFTER INSERT ON main.spared {of_call};
         CREATE TEMP TRIGGER IF NOT EXISTS gone_to_index AFTER INSERT ON main.gone {of_call};",
        entry = note("new.id"),
        own = note("new.entry"),
        of_call = note("new.call"),
    ))?;
    Ok(())
}

/// Who indexes what was noted: apart from the commit and its answers, on a connection of his own. A fault of the index is none
/// of the log's.
pub(super) struct Follower {
    place: Place,
    /// After a fault that may pass.
    rests_until: Option<Instant>,
    /// The last time it could not.
    behind: Arc<AtomicBool>,
}

enum Place {
    Own(Box<Connection>),
    /// The log has one connection in all (in memory).
    Logs,
    /// No second connection could be had: nothing is indexed until the next start.
    Nowhere,
}

impl Follower {
    pub fn new(log: &Connection) -> Self {
        let place = match log.path().filter(|path| !path.is_empty()).map(beside) {
            None => Place::Logs,
            Some(Ok(own)) => Place::Own(Box::new(own)),
            Some(Err(error)) => {
                tracing::error!(%error, "what is written cannot be searched until the next start");
                Place::Nowhere
            }
        };
        let behind = Arc::new(AtomicBool::new(matches!(place, Place::Nowhere)));
        Self { place, rests_until: None, behind }
    }

    /// Closes its own hand on a log that is left as it is.
    pub fn leave(self) {
        if let Place::Own(own) = self.place {
            drop(aside::without_checkpoint(*own));
        }
    }

    /// Whether what was written last cannot be found.
    pub fn behind(&self) -> Arc<AtomicBool> {
        Arc::clone(&self.behind)
    }

    fn connection<'a>(&'a self, log: &'a Connection) -> Option<&'a Connection> {
        match &self.place {
            Place::Own(own) => Some(own),
            Place::Logs => Some(log),
            Place::Nowhere => None,
        }
    }

    /// Indexes of what was noted the newest; whether more waits.
    pub fn follow(&mut self, log: &Connection) -> bool {
        if self.rests_until.is_some_and(|until| Instant::now() < until) {
            return false;
        }
        let Some(sql) = self.connection(log) else { return false };
        let done = catch_unwind(AssertUnwindSafe(|| turn(sql)))
            .unwrap_or_else(|_| Err(StoreError::Bug("the index panicked".to_owned())));
        self.behind.store(done.is_err(), Ordering::Relaxed);
        self.rests_until = done.as_ref().err().map(|error| {
            tracing::error!(%error, "what was written cannot be searched yet");
            Instant::now() + REST
        });
        done.unwrap_or(false)
    }
}

/// It waits for nobody, and for no disk: what a power cut takes from it is noted still.
fn beside(path: &str) -> Result<Connection> {
    let own = Connection::open(path)?;
    schema::prepare(&own)?;
    own.busy_timeout(Duration::ZERO)?;
    own.pragma_update(None, "synchronous", "normal")?;
    Ok(own)
}

/// The newest that wait, and whether there may be more. Whom the index does not take alone is left out, and known to be.
pub(super) fn turn(sql: &Connection) -> Result<bool> {
    let waiting = {
        let mut rows = sql.prepare_cached(
            "SELECT entry FROM to_index WHERE failed = 0 ORDER BY entry DESC LIMIT ?1",
        )?;
        let rows = rows.query_map([AT_ONCE], |row| row.get(0))?;
        rows.collect::<rusqlite::Result<Vec<String>>>()?
    };
    if waiting.is_empty() {
        return Ok(false);
    }
    let more = waiting.len() == AT_ONCE as usize;
    let Err(fault) = together(sql, &waiting) else { return Ok(more) };
    if fault.may_pass() {
        return Err(fault);
    }
    for entry in &waiting {
        match together(sql, std::slice::from_ref(entry)) {
            Ok(()) => {}
            Err(error) if error.may_pass() => return Err(error),
            Err(error) => {
                tracing::error!(%error, entry, "an entry cannot be searched");
                // What cannot even be read is no fault of the index.
                let readable = texts(sql, entry).is_ok();
                let whose = if readable { INDEX_AT_FAULT } else { ENTRY_AT_FAULT };
                sql.execute(
                    "UPDATE to_index SET failed = ?2 WHERE entry = ?1",
                    params![entry, whose],
                )?;
            }
        }
    }
    Ok(more)
}

fn together(sql: &Connection, entries: &[String]) -> Result<()> {
    let change = Transaction::new_unchecked(sql, TransactionBehavior::Immediate)?;
    for entry in entries {
        index(&change, entry)?;
        change.prepare_cached("DELETE FROM to_index WHERE entry = ?1")?.execute([entry])?;
    }
    Ok(change.commit()?)
}

/// An entry as it is now; what is no entry's own call is passed over.
fn index(sql: &Connection, entry: &str) -> Result<()> {
    let Some((occurred, texts, marks)) = texts(sql, entry)? else { return Ok(()) };
    let mut indexed = words::indexed(texts.iter().map(String::as_str));
    indexed.push_str(&marks.join(" "));
    let place = place(sql, entry, occurred)?;
    sql.prepare_cached("INSERT OR REPLACE INTO search (rowid, words) VALUES (?1, ?2)")?
        .execute(params![place, indexed])?;
    Ok(())
}

/// As [`found`], with what stood there before and what is marked.
fn texts(sql: &Connection, entry: &str) -> Result<Option<Found>> {
    let Some((occurred, mut texts, marks)) = found(sql, entry)? else { return Ok(None) };
    texts.extend(before(sql, entry)?);
    texts.extend(marked(sql, entry)?);
    Ok(Some((occurred, texts, marks)))
}

type Found = (i64, Vec<String>, Vec<String>);

/// When it occurred, its texts, and its properties.
fn found(sql: &Connection, entry: &str) -> Result<Option<Found>> {
    let fields = Field::ALL.map(|field| format!("e.{}", field.name())).join(", ");
    let query = format!(
        "SELECT e.occurred_ms, e.urgency, c.disposition, r.state, {fields}, e.number, c.number, c.caller,
           c.caller_plain, c.display, c.contact_unit, c.contact_name, c.contact_duty, c.town
         FROM entry e LEFT JOIN call c ON c.id = e.id LEFT JOIN recording_state r ON r.call = e.id
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
            let plain = words::number(&text).filter(|plain| *plain != text);
            texts.extend(plain.filter(|plain| !texts.contains(plain)));
            // A call says again what its entry says.
            if !text.is_empty() && !texts.contains(&text) {
                texts.push(text);
            }
        }
        Ok((row.get(0)?, texts, marks))
    };
    Ok(sql.prepare_cached(&query)?.query_row([entry], read).optional()?)
}

/// What stood in the form once and was taken out again, with what stood around it; the newest first, within bounds.
pub(super) fn before(sql: &Connection, entry: &str) -> Result<Vec<String>> {
    let mut rows = sql.prepare_cached(
        "SELECT changes FROM revision WHERE entry = ?1 AND kind <> 'state' ORDER BY no DESC LIMIT ?2",
    )?;
    let mut rows = rows.query(params![entry, REVISIONS])?;
    let (mut texts, mut length, mut read): (Vec<String>, usize, usize) = (vec![], 0, 0);
    while let Some(row) = rows.next()? {
        let changes = row.get_ref(0)?.as_str().map_err(rusqlite::Error::from)?;
        read += changes.len();
        if read > READ_MOST {
            return Ok(texts);
        }
        for change in from_json::<Vec<Change>>(changes)? {
            let a_text =
                change.field != Field::Category.name() && Field::from_name(&change.field).is_some();
            if !a_text || change.old.is_empty() || change.new.contains(&change.old) {
                continue;
            }
            let gone = removed(&change.old, &change.new);
            length += gone.len();
            if length > REMOVED {
                return Ok(texts);
            }
            if !texts.contains(&gone) {
                texts.push(gone);
            }
        }
    }
    Ok(texts)
}

/// What of a text is not in the one that came after it.
fn removed(old: &str, new: &str) -> String {
    let (old, new): (Vec<char>, Vec<char>) = (old.chars().collect(), new.chars().collect());
    let same = |a: &(&char, &char)| a.0 == a.1;
    let begin = old.iter().zip(&new).take_while(same).count();
    let rest = old.len().min(new.len()) - begin;
    let end = old.iter().rev().zip(new.iter().rev()).take(rest).take_while(same).count();
    let from = begin.saturating_sub(AROUND);
    let to = (old.len() - end + AROUND).min(old.len());
    old[from..to].iter().collect()
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
pub(super) fn left(sql: &Connection, until: i64, most: u32) -> Result<Vec<(String, i64)>> {
    let mut rows = sql.prepare_cached(
        "SELECT e.id, e.occurred_ms FROM entry e
         WHERE e.occurred_ms <= ?1 AND NOT EXISTS (SELECT 1 FROM searchable s WHERE s.entry = e.id)
           AND NOT EXISTS (SELECT 1 FROM to_index t WHERE t.entry = e.id)
         ORDER BY e.occurred_ms DESC LIMIT ?2",
    )?;
    let rows = rows.query_map(params![until, most], |row| Ok((row.get(0)?, row.get(1)?)))?;
    Ok(rows.collect::<rusqlite::Result<_>>()?)
}

pub(super) fn note(sql: &Connection, entry: &str) -> Result<()> {
    sql.prepare_cached("INSERT INTO to_index (entry) VALUES (?1) ON CONFLICT (entry) DO NOTHING")?
        .execute([entry])?;
    Ok(())
}

impl Store {
    /// The index does not take what is written, or did not take some entries: not all is found.
    pub async fn index_is_incomplete(&self) -> Result<bool> {
        let failed = self.read(|sql| {
            Ok(sql.prepare_cached("SELECT 1 FROM to_index WHERE failed <> 0")?.exists([])?)
        });
        Ok(self.inner.writer.is_behind() || failed.await?)
    }

    /// Indexes some of the entries that an earlier program wrote, the newest first, from `until` on; from where to go on,
    /// none when all are.
    pub async fn index_older(&self, until: Option<i64>, most: u32) -> Result<Option<i64>> {
        let until = until.unwrap_or(i64::MAX);
        // Looked for beside the writer: in a large log that takes its time.
        let left = self.read(move |sql| left(sql, until, most)).await?;
        let next = left.last().map(|(_, occurred)| *occurred);
        if next.is_some() {
            self.write(move |tx| left.iter().try_for_each(|(entry, _)| note(tx.sql, entry)))
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
    pub async fn is_indexing(&self) -> Result<bool> {
        let many = self.read(|sql| {
            let waiting = "SELECT 1 FROM to_index WHERE failed = 0 LIMIT 1 OFFSET ?1";
            Ok(sql.prepare_cached(waiting)?.exists([AT_ONCE])?)
        });
        Ok(self.inner.indexing.load(Ordering::Relaxed) || many.await?)
    }
}
