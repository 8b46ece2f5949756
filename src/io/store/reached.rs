//! How far the log had come, and which numbers it had given, kept beside it: one that is put back from a backup is known by
//! it, and gives none of them again. Written after each commit, by whoever writes the log.
//!
//! ```text
//!  magic 8 "DUTYTIP1" · newest item 8 · its leaf 64 · crc 4 · then slots: kind 4 · day 4 · last 4 · crc 4
//! ```
//! Little-endian, CRC-32C. Never synced: what a power cut takes of it makes it older than the log, which says nothing.

use super::error::Result;
use super::numbers::{self, Given};
use super::text::{Ms, count};
use super::{Store, audit, chain, outages};
use crate::duty::proof::Digests;
use crate::io::durable;
use crate::protocol::now::Now;
use chrono::{DateTime, Utc};
use rusqlite::{Connection, OptionalExtension};
use std::fs::{File, OpenOptions};
use std::io;
use std::os::unix::fs::{FileExt, MetadataExt, OpenOptionsExt};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use tokio::sync::watch;

const MAGIC: &[u8; 8] = b"DUTYTIP1";
const HEAD: usize = 84;
const SLOT: usize = 16;
/// Days are kept for more than a year.
const SLOTS: usize = 1024;

/// Shared by whoever writes and whoever takes the log up.
#[derive(Clone)]
pub(super) struct Reached {
    kept: Arc<Mutex<Kept>>,
    /// Why it is not kept.
    failing: watch::Sender<Option<String>>,
}

struct Kept {
    path: PathBuf,
    file: Option<File>,
    /// The newest item: its number and its leaf.
    tip: Option<(u64, Digests)>,
    given: Vec<Given>,
    /// What is kept is not of the log that is open, as long as nobody has compared them.
    settled: bool,
    failing: bool,
}

/// As [`Reached`] says it.
struct Before {
    tip: Option<(u64, Digests)>,
    given: Vec<Given>,
}

impl Reached {
    /// As the last run left it.
    pub fn beside(database: &Path) -> Self {
        let path = database.with_extension("db.reached");
        let (tip, given) = read(&std::fs::read(&path).unwrap_or_default());
        let kept = Kept { path, file: None, tip, given, settled: false, failing: false };
        Self { kept: Arc::new(Mutex::new(kept)), failing: watch::Sender::new(None) }
    }

    fn kept(&self) -> MutexGuard<'_, Kept> {
        self.kept.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Another log may be open from now on.
    pub fn doubts(&self) {
        self.kept().settled = false;
    }

    /// After a commit.
    pub fn follow(&self, sql: &Connection) {
        let mut kept = self.kept();
        if !kept.settled {
            return;
        }
        let followed = kept.follow(sql);
        let why = followed.err().map(|fault| format!("{}: {fault:#}", kept.path.display()));
        kept.failing = why.is_some();
        self.failing.send_if_modified(|shown| std::mem::replace(shown, why.clone()) != why);
    }

    fn before(&self) -> Option<Before> {
        let kept = self.kept();
        (!kept.settled).then(|| Before { tip: kept.tip, given: kept.given.clone() })
    }
}

impl Kept {
    fn follow(&mut self, sql: &Connection) -> anyhow::Result<()> {
        let (tip, fresh) = (chain::last(sql)?, numbers::given_now(sql)?);
        if tip == self.tip && fresh.is_empty() && !self.failing {
            return Ok(());
        }
        let mut slots: Vec<usize> = fresh.into_iter().map(|given| self.put(given)).collect();
        self.tip = tip;
        if self.failing {
            slots = (0..self.given.len()).collect();
        }
        self.write(&slots)?;
        Ok(numbers::forget_now(sql)?)
    }

    /// In which slot it is.
    fn put(&mut self, given: Given) -> usize {
        let same = |one: &Given| (one.kind, one.day) == (given.kind, given.day);
        if let Some(slot) = self.given.iter().position(same) {
            self.given[slot].last = self.given[slot].last.max(given.last);
            return slot;
        }
        if self.given.len() < SLOTS {
            self.given.push(given);
            return self.given.len() - 1;
        }
        let oldest = self.given.iter().enumerate().min_by_key(|(_, one)| one.day);
        let slot = oldest.map_or(0, |(slot, _)| slot);
        self.given[slot] = given;
        slot
    }

    fn write(&mut self, slots: &[usize]) -> io::Result<()> {
        // Somebody may have tidied up.
        let is_there = |file: &File| file.metadata().is_ok_and(|file| file.nlink() > 0);
        let fresh = !self.file.as_ref().is_some_and(is_there);
        let all: Vec<usize> = (0..self.given.len()).collect();
        let slots = if fresh { &all } else { slots };
        if fresh {
            let mut how = OpenOptions::new();
            how.write(true).create(true).truncate(false).mode(0o600);
            self.file = Some(how.open(&self.path)?);
        }
        let Some(file) = &self.file else { return Ok(()) };
        file.write_all_at(&head(self.tip), 0)?;
        for slot in slots {
            file.write_all_at(&slot_of(&self.given[*slot]), (HEAD + SLOT * slot) as u64)?;
        }
        match self.path.parent().filter(|_| fresh) {
            Some(folder) => durable::sync_folder(folder),
            None => Ok(()),
        }
    }
}

fn head(tip: Option<(u64, Digests)>) -> Vec<u8> {
    let mut bytes = MAGIC.to_vec();
    let (item, leaf) = tip.unwrap_or((u64::MAX, Digests::NONE));
    bytes.extend(item.to_le_bytes());
    bytes.extend(leaf.to_bytes());
    bytes.extend(crc32c::crc32c(&bytes).to_le_bytes());
    bytes
}

fn slot_of(given: &Given) -> Vec<u8> {
    let mut bytes = vec![];
    for number in [given.kind, given.day, given.last] {
        bytes.extend(number.to_le_bytes());
    }
    bytes.extend(crc32c::crc32c(&bytes).to_le_bytes());
    bytes
}

/// What is damaged is not there.
fn whole(bytes: &[u8]) -> Option<&[u8]> {
    let (said, crc) = bytes.split_last_chunk::<4>()?;
    (crc32c::crc32c(said) == u32::from_le_bytes(*crc)).then_some(said)
}

fn read(bytes: &[u8]) -> (Option<(u64, Digests)>, Vec<Given>) {
    let (head, slots) = bytes.split_at(bytes.len().min(HEAD));
    let tip = whole(head).and_then(|head| {
        let rest = head.strip_prefix(MAGIC)?;
        let (item, leaf) = rest.split_first_chunk()?;
        Some((u64::from_le_bytes(*item), Digests::from_bytes(leaf)?))
    });
    let given = slots.chunks_exact(SLOT).take(SLOTS).filter_map(|slot| {
        let said = whole(slot)?;
        let number = |at: usize| said[at..].first_chunk().map(|four| u32::from_le_bytes(*four));
        Some(Given { kind: number(0)?, day: number(4)?, last: number(8)? })
    });
    (tip.filter(|(item, _)| *item != u64::MAX), given.collect())
}

impl Store {
    /// Why it is not kept how far the log has come, nor which numbers it has given; `None` where it is.
    pub fn unmarked(&self) -> watch::Receiver<Option<String>> {
        let reached = self.inner.writer.reached();
        reached.map_or_else(|| watch::channel(None).1, |reached| reached.failing.subscribe())
    }

    /// Before a run writes anything else into a log that may be another one than the last it wrote into: no number that was
    /// given is given again, and where it lacks what was in that one, this is an outage until `now`. Since when it lacks
    /// something. `alone`: nothing beside it tells of a run before.
    ///
    /// # Errors
    /// The log's.
    pub async fn is_taken_up(&self, alone: bool, now: Now) -> Result<Option<DateTime<Utc>>> {
        let Some(reached) = self.inner.writer.reached() else { return Ok(None) };
        let Some(before) = reached.before() else { return Ok(None) };
        let since = self.write(move |tx| take_up(tx.sql, &before, alone, now)).await?;
        reached.kept().settled = true;
        Ok(since)
    }
}

fn take_up(
    sql: &Connection,
    before: &Before,
    alone: bool,
    now: Now,
) -> Result<Option<DateTime<Utc>>> {
    before.given.iter().try_for_each(|given| numbers::are_given(sql, *given))?;
    let is_older = match before.tip {
        Some(tip) => !has(sql, tip)?,
        // Signed by a daemon, of which nothing else is left.
        None => alone && sql.prepare_cached("SELECT 1 FROM head")?.exists([])?,
    };
    if !is_older {
        return Ok(None);
    }
    let since = last_sign(sql)?.unwrap_or(now.wall).min(now.wall);
    outages::unlogged(sql, since, now)?;
    let (actor, detail) = (audit::Actor::system("log"), since.to_rfc3339());
    audit::append(sql, now, &actor, "log.restore", "log", &detail)?;
    Ok(Some(since))
}

fn has(sql: &Connection, (item, leaf): (u64, Digests)) -> Result<bool> {
    let there: Option<Vec<u8>> = sql
        .prepare_cached("SELECT leaf FROM item WHERE seq = ?1")?
        .query_row([count(item)], |row| row.get(0))
        .optional()?;
    Ok(there.is_some_and(|there| there == leaf.to_bytes()))
}

/// The moment of what was written last, by several tables.
fn last_sign(sql: &Connection) -> Result<Option<DateTime<Utc>>> {
    let last = "SELECT max(at) FROM (
      SELECT * FROM (SELECT at_ms AS at FROM audit ORDER BY id DESC LIMIT 1)
      UNION ALL SELECT * FROM (SELECT at_ms FROM head ORDER BY number DESC LIMIT 1)
      UNION ALL SELECT * FROM (SELECT recorded_ms FROM entry ORDER BY rowid DESC LIMIT 1)
      UNION ALL SELECT * FROM (SELECT coalesce(ended_ms, answered_ms, arrived_ms) FROM call
        ORDER BY rowid DESC LIMIT 1))";
    let last: Option<Ms> = sql.query_row(last, [], |row| row.get(0))?;
    Ok(last.map(|at| at.0))
}

#[cfg(test)]
mod tests;
