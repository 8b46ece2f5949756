//! A batch of writes: each in a savepoint of its own, all in one commit, and proved with it.

use crate::io::store::aside;
use crate::io::store::chain::{self, Chain};
use crate::io::store::error::{Result, StoreError};
use crate::io::store::index::{self, Follower};
use crate::io::store::numbers;
use crate::io::store::reached::Reached;
use crate::protocol::random::Random;
use rusqlite::Connection;
use std::collections::VecDeque;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::PathBuf;
use std::sync::{Arc, Mutex, MutexGuard};
use tokio::sync::watch;

/// What a write may use.
pub(in crate::io::store) struct Tx<'a> {
    pub sql: &'a Connection,
    pub random: &'a mut Random,
}

/// A write and whoever waits for its answer.
pub(in crate::io::store) trait Work: Send {
    /// Whether all that was written before must be indexed first.
    fn wants_index(&self) -> bool;
    fn run(&mut self, tx: &mut Tx<'_>) -> Result<()>;
    /// Called once, after the commit or after it failed.
    fn finish(&mut self, committed: Result<()>);
}

/// Why the log itself took nothing when it was written to last.
pub(super) type Ails = Arc<Mutex<Option<StoreError>>>;

/// All that writing takes.
pub(in crate::io::store) struct Desk {
    pub(super) sql: Connection,
    chain: Chain,
    random: Random,
    pub(super) follower: Follower,
    /// Why what was written is not proved yet.
    pub(super) unproved: watch::Sender<Option<String>>,
    pub(super) ails: Ails,
    pub(super) opened: aside::Opened,
    pub(super) reached: Option<Reached>,
}

impl Desk {
    pub(super) fn new(sql: Connection, random: Random) -> Result<Self> {
        let desk = Self::beside(sql, random)?;
        let path = path(&desk.sql);
        // What is done to it by others than SQLite is noticed before anything more is written there.
        Ok(Self { opened: desk.opened.looked_after(&path), ..desk })
    }

    /// Of a log that another program may have open, which writes it as well.
    pub(super) fn beside(sql: Connection, mut random: Random) -> Result<Self> {
        let (unproved, ails) = (watch::Sender::new(None), Ails::default());
        let chain = Chain::open(&sql, &mut random)?;
        index::watch(&sql)?;
        numbers::watch(&sql)?;
        let follower = Follower::new(&sql);
        let opened = aside::Opened::by(&sql);
        Ok(Self { sql, chain, random, follower, unproved, ails, opened, reached: None })
    }

    /// Whether it is still the one that was opened.
    pub(super) fn look(&mut self) {
        if let Err(error) = self.opened.is_in_use(&path(&self.sql)) {
            note(&self.ails, &error);
        }
    }

    /// Whether more waits to be indexed.
    pub(super) fn index(&mut self, turns: u32) -> bool {
        let path = path(&self.sql);
        (0..turns).all(|_| {
            let more = self.opened.is_in_use(&path).is_ok() && self.follower.follow(&self.sql);
            self.opened.was_written(&path);
            more
        })
    }

    /// Runs what waits together in as few transactions as possible: one, unless SQLite itself gives a
    /// whole transaction up (disk full, I/O error).
    pub(super) fn write(&mut self, mut waiting: VecDeque<Box<dyn Work>>) {
        let Self { sql: connection, chain, random, unproved, ails, opened, reached, .. } = self;
        let path = path(connection);
        while !waiting.is_empty() {
            let begun = opened.is_in_use(&path);
            let begun = begun.and_then(|()| Ok(step(connection, "BEGIN IMMEDIATE")?));
            if let Err(error) = begun {
                note(ails, &error);
                give_up(&mut waiting, &error);
                return;
            }
            let mut done = VecDeque::new();
            // Whoever is alone is taken back with the whole.
            let alone = waiting.len() == 1;
            while let Some(mut work) = waiting.pop_front() {
                let outcome = match alone {
                    true => by_itself(connection, random, work.as_mut()),
                    false => in_savepoint(connection, random, work.as_mut()),
                };
                match outcome {
                    Ok(()) => done.push_back(work),
                    Err(error) => {
                        note(ails, &error);
                        work.finish(Err(error.clone()));
                        if connection.is_autocommit() {
                            give_up(&mut done, &error);
                            break;
                        }
                    }
                }
            }
            if connection.is_autocommit() {
                continue;
            }
            prove(connection, chain, unproved);
            // With it SQLite may write into the file itself.
            let kept = opened.is_in_use(&path);
            let kept = kept.and_then(|()| Ok(step(connection, "COMMIT")?));
            opened.was_written(&path);
            match kept {
                Ok(()) => {
                    if !done.is_empty() {
                        lock(ails).take_if(|before| !matches!(before, StoreError::Corrupt(_)));
                    }
                    done.iter_mut().for_each(|work| work.finish(Ok(())));
                    if let Some(reached) = reached {
                        reached.follow(connection);
                    }
                }
                Err(error) => {
                    note(ails, &error);
                    if !connection.is_autocommit() {
                        let _ = connection.execute_batch("ROLLBACK");
                    }
                    give_up(&mut done, &error);
                }
            }
        }
    }
}

/// Empty where it has no file.
fn path(connection: &Connection) -> PathBuf {
    PathBuf::from(connection.path().unwrap_or_default())
}

pub(super) fn lock<T>(of: &Mutex<T>) -> MutexGuard<'_, T> {
    of.lock().unwrap_or_else(|poisoned| poisoned.into_inner())
}

fn note(ails: &Ails, error: &StoreError) {
    let mut ails = lock(ails);
    // One bad page does not keep the others from being written.
    if error.is_of_the_log() && !matches!(*ails, Some(StoreError::Corrupt(_))) {
        *ails = Some(error.clone());
    }
}

/// What is written is proved with it. Where that fails it is written all the same, and proved with
/// the next commit.
fn prove(connection: &Connection, chain: &Chain, unproved: &watch::Sender<Option<String>>) {
    let proved = (|| {
        if chain.is_idle(connection)? {
            return Ok(());
        }
        step(connection, "SAVEPOINT proof")?;
        let appended = chain.append(connection);
        if appended.is_err() {
            step(connection, "ROLLBACK TO proof")?;
        }
        step(connection, "RELEASE proof")?;
        appended
    })();
    let why = proved.err().map(|error| error.to_string());
    if let Some(error) = &why {
        tracing::error!(error, "what was written could not be proved yet");
        if let Err(error) = chain::shorten(connection) {
            tracing::error!(%error, "what waits to be proved could not be cut");
        }
    }
    unproved.send_if_modified(|shown| {
        let other = *shown != why;
        *shown = why;
        other
    });
}

/// A statement of the transaction itself, prepared once.
fn step(connection: &Connection, statement: &str) -> rusqlite::Result<()> {
    connection.prepare_cached(statement)?.execute([]).map(drop)
}

fn give_up(waiting: &mut VecDeque<Box<dyn Work>>, error: &StoreError) {
    for mut work in waiting.drain(..) {
        work.finish(Err(error.clone()));
    }
}

/// The transaction is its own, and gone where it fails.
fn by_itself(
    connection: &Connection,
    random: &mut Random,
    work: &mut (dyn Work + 'static),
) -> Result<()> {
    let outcome = run(connection, random, work);
    if connection.is_autocommit() {
        return outcome.and(Err(StoreError::Bug("a write ended its transaction".to_owned())));
    }
    if outcome.is_err() {
        step(connection, "ROLLBACK")?;
    }
    outcome
}

fn run(
    connection: &Connection,
    random: &mut Random,
    work: &mut (dyn Work + 'static),
) -> Result<()> {
    let mut tx = Tx { sql: connection, random };
    catch_unwind(AssertUnwindSafe(|| work.run(&mut tx)))
        .unwrap_or_else(|_| Err(StoreError::Bug("a write panicked".to_owned())))
}

fn in_savepoint(
    connection: &Connection,
    random: &mut Random,
    work: &mut (dyn Work + 'static),
) -> Result<()> {
    step(connection, "SAVEPOINT work")?;
    let outcome = run(connection, random, work);
    if connection.is_autocommit() {
        return outcome.and(Err(StoreError::Bug("a write ended its transaction".to_owned())));
    }
    let taken_back = if outcome.is_ok() { Ok(()) } else { step(connection, "ROLLBACK TO work") };
    if let Err(error) = taken_back.and_then(|()| step(connection, "RELEASE work")) {
        // What cannot be taken back alone is taken back with everything around it.
        let _ = connection.execute_batch("ROLLBACK");
        return outcome.and(Err(error.into()));
    }
    outcome
}
