//! The one connection that writes: whoever waits together shares one commit, each in a savepoint
//! of his own.

use super::aside;
use super::chain::{self, Chain};
use super::error::{Result, StoreError};
use super::index::{self, Follower};
use crate::protocol::random::Random;
use rusqlite::Connection;
use std::collections::VecDeque;
use std::iter;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::Path;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, RwLock, mpsc};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};
use tokio::sync::{oneshot, watch};

/// Writes that may wait; more are refused at once.
const QUEUE: usize = 4096;
/// Writes that share one commit.
const BATCH: usize = 256;
/// How long what was written waits to be indexed, so that an entry that changes several times is indexed once.
const GATHER: Duration = Duration::from_millis(500);
/// Of the index before a search, a few milliseconds each.
const TURNS: u32 = 10;

/// What a write may use.
pub(super) struct Tx<'a> {
    pub sql: &'a Connection,
    pub random: &'a mut Random,
}

/// A write and whoever waits for its answer.
pub(super) trait Work: Send {
    /// Whether all that was written before must be indexed first.
    fn wants_index(&self) -> bool;
    fn run(&mut self, tx: &mut Tx<'_>) -> Result<()>;
    /// Called once, after the commit or after it failed.
    fn finish(&mut self, committed: Result<()>);
}

struct Task<T, F> {
    wants_index: bool,
    work: Option<F>,
    done: Option<T>,
    reply: Option<oneshot::Sender<Result<T>>>,
}

impl<T: Send, F: FnOnce(&mut Tx<'_>) -> Result<T> + Send> Work for Task<T, F> {
    fn wants_index(&self) -> bool {
        self.wants_index
    }

    fn run(&mut self, tx: &mut Tx<'_>) -> Result<()> {
        let work = self.work.take().expect("a write runs once");
        self.done = Some(work(tx)?);
        Ok(())
    }

    fn finish(&mut self, committed: Result<()>) {
        let done = self.done.take();
        let answer = committed.and_then(|()| done.ok_or(StoreError::Closed));
        if let Some(reply) = self.reply.take() {
            // Nobody waits any more: the write stands all the same.
            let _ = reply.send(answer);
        }
    }
}

pub(super) enum Writer {
    /// Runs where it is called: for virtual time.
    Inline(Box<Mutex<Desk>>),
    File(Box<File>),
}

/// A thread that writes, while there is a database that is of use.
pub(super) struct File {
    thread: RwLock<Result<Thread>>,
    /// Of every thread, one after the other.
    unproved: watch::Sender<Option<String>>,
    ails: Ails,
    /// Which files the last one was, and how it was left.
    last: Mutex<aside::Opened>,
}

/// Why the log itself took nothing when it was written to last.
type Ails = Arc<Mutex<Option<StoreError>>>;

/// All that writing takes.
pub(super) struct Desk {
    sql: Connection,
    chain: Chain,
    random: Random,
    follower: Follower,
    /// Why what was written is not proved yet.
    unproved: watch::Sender<Option<String>>,
    ails: Ails,
    opened: aside::Opened,
}

impl Desk {
    fn new(sql: Connection, mut random: Random) -> Result<Self> {
        let (unproved, ails) = (watch::Sender::new(None), Ails::default());
        let chain = Chain::open(&sql, &mut random)?;
        index::watch(&sql)?;
        let follower = Follower::new(&sql);
        let opened = aside::Opened::by(&sql);
        Ok(Self { sql, chain, random, follower, unproved, ails, opened })
    }
}

pub(super) struct Thread {
    /// `None` once it is to end.
    queue: Option<mpsc::SyncSender<Box<dyn Work>>>,
    /// Returns what is left where it is to be left as it is.
    running: Option<JoinHandle<Option<aside::Opened>>>,
    behind: Arc<AtomicBool>,
    /// It ends because the database is of no use: that is left as it is.
    aside: Arc<AtomicBool>,
}

impl Thread {
    fn start(mut desk: Desk) -> Result<Self> {
        let (behind, aside) = (desk.follower.behind(), Arc::new(AtomicBool::new(false)));
        let leaves = Arc::clone(&aside);
        let (queue, waiting) = mpsc::sync_channel::<Box<dyn Work>>(QUEUE);
        let running = std::thread::Builder::new()
            .name("store".to_owned())
            .spawn(move || {
                run_thread(&mut desk, &waiting, &leaves);
                leaves.load(Ordering::Acquire).then(|| {
                    desk.follower.leave();
                    aside::leave(desk.sql, desk.opened)
                })
            })
            .map_err(|error| StoreError::Unreadable(error.to_string()))?;
        Ok(Self { queue: Some(queue), running: Some(running), behind, aside })
    }

    fn end(&mut self) -> Option<aside::Opened> {
        drop(self.queue.take());
        self.running.take()?.join().ok()?
    }

    fn put(&self, mut task: Box<dyn Work>) {
        let Some(queue) = &self.queue else { return task.finish(Err(StoreError::Closed)) };
        match queue.try_send(task) {
            Ok(()) => {}
            Err(mpsc::TrySendError::Full(mut task)) => task.finish(Err(StoreError::Overloaded)),
            Err(mpsc::TrySendError::Disconnected(mut task)) => {
                task.finish(Err(StoreError::Closed));
            }
        }
    }
}

impl Drop for Thread {
    /// What waits is written before the folder is given up.
    fn drop(&mut self) {
        self.end();
    }
}

impl Writer {
    pub fn inline(connection: Connection, random: Random) -> Result<Self> {
        Ok(Self::Inline(Box::new(Mutex::new(Desk::new(connection, random)?))))
    }

    pub fn thread(connection: Connection, random: Random) -> Result<Self> {
        let writer = Self::late(StoreError::Closed);
        writer.open(connection, random)?;
        Ok(writer)
    }

    /// There is no database to write to, until one is opened.
    pub fn late(why: StoreError) -> Self {
        let (unproved, ails) = (watch::Sender::new(None), Ails::default());
        let last = Mutex::default();
        Self::File(Box::new(File { thread: RwLock::new(Err(why)), unproved, ails, last }))
    }

    /// Whether it has no database.
    pub fn waits_for_one(&self) -> bool {
        self.of_thread(|_| ()).is_none() && matches!(self, Self::File(_))
    }

    /// Before the database that has the name is opened: nothing of the last one is taken for its own. **Whoever reads has
    /// neither open.**
    pub fn meets(&self, path: &Path) -> Result<()> {
        let Self::File(file) = self else { return Ok(()) };
        lock(&file.last).gives_way(path)
    }

    /// Whether it is still as it was met.
    pub fn has_met(&self, path: &Path) -> Result<()> {
        let Self::File(file) = self else { return Ok(()) };
        lock(&file.last).is_untouched(path)
    }

    /// The database that it has waited for.
    pub fn open(&self, connection: Connection, random: Random) -> Result<()> {
        let Self::File(file) = self else { return Ok(()) };
        let (unproved, ails) = (file.unproved.clone(), Arc::clone(&file.ails));
        let desk = Desk { unproved, ails, ..Desk::new(connection, random)? };
        let mut thread = file.thread.write().unwrap_or_else(|poisoned| poisoned.into_inner());
        if thread.is_err() {
            *lock(&file.ails) = None;
            *lock(&file.last) = desk.opened.clone();
            *thread = Ok(Thread::start(desk)?);
        }
        Ok(())
    }

    /// The database is of no use any more: what waits is tried, and then it is left as it is. Waits for the disk.
    pub fn put_aside(&self, why: StoreError) {
        let Self::File(file) = self else { return };
        let mut thread = file.thread.write().unwrap_or_else(|poisoned| poisoned.into_inner());
        let before = std::mem::replace(&mut *thread, Err(why));
        drop(thread);
        if let Ok(mut before) = before {
            before.aside.store(true, Ordering::Release);
            if let Some(left) = before.end() {
                *lock(&file.last) = left;
            }
        }
    }

    /// Why the log itself took nothing when it was written to last.
    pub fn ails(&self) -> Option<StoreError> {
        match self {
            Self::File(file) => lock(&file.ails).clone(),
            Self::Inline(_) => None,
        }
    }

    fn of_thread<T>(&self, ask: impl FnOnce(&Thread) -> T) -> Option<T> {
        let Self::File(file) = self else { return None };
        let thread = file.thread.read().unwrap_or_else(|poisoned| poisoned.into_inner());
        thread.as_ref().ok().map(ask)
    }

    /// Whether what was written last cannot be searched.
    pub fn is_behind(&self) -> bool {
        self.of_thread(|thread| thread.behind.load(Ordering::Relaxed)).unwrap_or_default()
    }

    /// Why what was written is not proved yet; `None` where it is.
    pub fn unproved(&self) -> watch::Receiver<Option<String>> {
        match self {
            Self::Inline(writer) => lock(writer).unproved.subscribe(),
            Self::File(file) => file.unproved.subscribe(),
        }
    }

    /// Puts a write in the queue at once; the answer comes after its commit. Writes are carried
    /// out in the order in which this is called.
    pub fn submit<T: Send + 'static>(
        &self,
        work: impl FnOnce(&mut Tx<'_>) -> Result<T> + Send + 'static,
    ) -> oneshot::Receiver<Result<T>> {
        self.put(false, work)
    }

    /// As [`Writer::submit`], when all that was written before is indexed.
    pub fn submit_indexed<T: Send + 'static>(
        &self,
        work: impl FnOnce(&mut Tx<'_>) -> Result<T> + Send + 'static,
    ) -> oneshot::Receiver<Result<T>> {
        self.put(true, work)
    }

    fn put<T: Send + 'static>(
        &self,
        wants_index: bool,
        work: impl FnOnce(&mut Tx<'_>) -> Result<T> + Send + 'static,
    ) -> oneshot::Receiver<Result<T>> {
        let (reply, answer) = oneshot::channel();
        let (work, reply) = (Some(work), Some(reply));
        let mut task: Box<dyn Work> = Box::new(Task { wants_index, work, done: None, reply });
        match self {
            Self::Inline(writer) => {
                let mut writer = lock(writer);
                write(&mut writer, VecDeque::from([task]));
                index(&mut writer, u32::MAX);
            }
            Self::File(file) => {
                let thread = file.thread.read().unwrap_or_else(|poisoned| poisoned.into_inner());
                match &*thread {
                    Ok(thread) => thread.put(task),
                    Err(why) => task.finish(Err(why.clone())),
                }
            }
        }
        answer
    }
}

/// Writes what comes until nothing can come any more. What was written is indexed after `GATHER`, when somebody
/// searches, and at the end.
fn run_thread(desk: &mut Desk, waiting: &mpsc::Receiver<Box<dyn Work>>, leaves: &AtomicBool) {
    let mut due: Option<Instant> = None;
    loop {
        let first = match due {
            None => waiting.recv().map_err(|_| mpsc::RecvTimeoutError::Disconnected),
            Some(due) => waiting.recv_timeout(due.saturating_duration_since(Instant::now())),
        };
        let ends = matches!(first, Err(mpsc::RecvTimeoutError::Disconnected));
        if let Ok(first) = first {
            let batch: VecDeque<_> =
                iter::once(first).chain(waiting.try_iter().take(BATCH - 1)).collect();
            if due.is_some() && batch.iter().any(|work| work.wants_index()) {
                index(desk, TURNS);
            }
            write(desk, batch);
            due.get_or_insert_with(|| Instant::now() + GATHER);
        }
        if ends && leaves.load(Ordering::Acquire) {
            return;
        }
        if due.is_some_and(|due| ends || due <= Instant::now()) {
            // What else waits has its turn when nobody writes, or after the next write.
            due = index(desk, 1).then(Instant::now);
        }
        if ends {
            return;
        }
    }
}

fn lock<T>(of: &Mutex<T>) -> MutexGuard<'_, T> {
    of.lock().unwrap_or_else(|poisoned| poisoned.into_inner())
}

fn index(desk: &mut Desk, turns: u32) -> bool {
    desk.follower.follow(&desk.sql, turns)
}

/// Runs what waits together in as few transactions as possible: one, unless SQLite itself gives a
/// whole transaction up (disk full, I/O error).
fn write(desk: &mut Desk, mut waiting: VecDeque<Box<dyn Work>>) {
    let Desk { sql: connection, chain, random, unproved, ails, .. } = desk;
    while !waiting.is_empty() {
        if let Err(error) = step(connection, "BEGIN IMMEDIATE") {
            let error = error.into();
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
        match step(connection, "COMMIT") {
            Ok(()) => {
                if !done.is_empty() {
                    lock(ails).take_if(|before| !matches!(before, StoreError::Corrupt(_)));
                }
                done.iter_mut().for_each(|work| work.finish(Ok(())));
            }
            Err(error) => {
                let error = error.into();
                note(ails, &error);
                if !connection.is_autocommit() {
                    let _ = connection.execute_batch("ROLLBACK");
                }
                give_up(&mut done, &error);
            }
        }
    }
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

#[cfg(test)]
mod tests;
