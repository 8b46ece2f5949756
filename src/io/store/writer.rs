//! The one connection that writes: whoever waits together shares one commit, each in a savepoint
//! of his own.

mod desk;

pub(super) use desk::Tx;

use self::desk::{Ails, Desk, Work, lock};
use super::aside;
use super::error::{Result, StoreError};
use super::reached::Reached;
use crate::protocol::random::Random;
use rusqlite::Connection;
use std::collections::VecDeque;
use std::iter;
use std::path::Path;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, RwLock, mpsc};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};
use tokio::sync::{oneshot, watch};

/// Writes that may wait; more are refused at once.
const QUEUE: usize = 4096;
/// Writes that share one commit.
const BATCH: usize = 256;
/// How long what was written waits to be indexed, so that an entry that changes several times is indexed once.
const GATHER: Duration = Duration::from_millis(500);
/// While nobody writes, what was done to the file by others is looked for this often.
const IDLE: Duration = Duration::from_secs(1);
/// Of the index before a search, a few milliseconds each.
const TURNS: u32 = 10;

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
    /// `None`: another process keeps it.
    reached: Option<Reached>,
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

    /// With the mark beside its file of how far it has come, where it is a daemon's own.
    pub fn thread(
        connection: Connection,
        random: Random,
        reached: Option<Reached>,
    ) -> Result<Self> {
        Self::starts(Desk::new(connection, random)?, reached)
    }

    /// Beside a daemon that may be running: the log is that one's.
    pub fn beside(connection: Connection, random: Random) -> Result<Self> {
        Self::starts(Desk::beside(connection, random)?, None)
    }

    fn starts(desk: Desk, reached: Option<Reached>) -> Result<Self> {
        let writer = Self::late(StoreError::Closed, reached);
        writer.takes(desk)?;
        Ok(writer)
    }

    /// There is no database to write to, until one is opened.
    pub fn late(why: StoreError, reached: Option<Reached>) -> Self {
        let (unproved, ails) = (watch::Sender::new(None), Ails::default());
        let last = Mutex::default();
        Self::File(Box::new(File { thread: RwLock::new(Err(why)), unproved, ails, last, reached }))
    }

    pub fn reached(&self) -> Option<Reached> {
        match self {
            Self::File(file) => file.reached.clone(),
            Self::Inline(_) => None,
        }
    }

    /// Whether it has no database.
    pub fn waits_for_one(&self) -> bool {
        self.of_thread(|_| ()).is_none() && matches!(self, Self::File(_))
    }

    /// Why it has none, where what has the name is not to be read, either.
    pub fn cannot_be_read(&self) -> Option<StoreError> {
        let Self::File(file) = self else { return None };
        let thread = file.thread.read().unwrap_or_else(|poisoned| poisoned.into_inner());
        thread.as_ref().err().filter(|why| why.keeps_from_reading()).cloned()
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
        self.takes(Desk::new(connection, random)?)
    }

    fn takes(&self, mut desk: Desk) -> Result<()> {
        let Self::File(file) = self else { return Ok(()) };
        (desk.unproved, desk.ails) = (file.unproved.clone(), Arc::clone(&file.ails));
        if let Some(reached) = &file.reached {
            reached.doubts();
            desk.reached = Some(reached.clone());
        }
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
                writer.write(VecDeque::from([task]));
                writer.index(u32::MAX);
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
        let until = due.map_or(IDLE, |due| due.saturating_duration_since(Instant::now()));
        let first = waiting.recv_timeout(until);
        let ends = matches!(first, Err(mpsc::RecvTimeoutError::Disconnected));
        if let Ok(first) = first {
            let batch: VecDeque<_> =
                iter::once(first).chain(waiting.try_iter().take(BATCH - 1)).collect();
            if due.is_some() && batch.iter().any(|work| work.wants_index()) {
                desk.index(TURNS);
            }
            desk.write(batch);
            due.get_or_insert_with(|| Instant::now() + GATHER);
        } else if due.is_none() {
            desk.look();
        }
        if ends && leaves.load(Ordering::Acquire) {
            return;
        }
        if due.is_some_and(|due| ends || due <= Instant::now()) {
            // What else waits has its turn when nobody writes, or after the next write.
            due = desk.index(1).then(Instant::now);
        }
        if ends {
            return;
        }
    }
}

#[cfg(test)]
mod tests;
