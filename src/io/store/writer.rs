//! The one connection that writes: whoever waits together shares one commit, each in a savepoint
//! of his own.

use super::error::{Result, StoreError};
use crate::protocol::random::Random;
use rusqlite::Connection;
use std::collections::VecDeque;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Mutex;
use tokio::sync::{mpsc, oneshot};

/// Writes that may wait; more are refused at once.
const QUEUE: usize = 4096;
/// Writes that share one commit.
const BATCH: usize = 256;

/// What a write may use.
pub(super) struct Tx<'a> {
    pub sql: &'a Connection,
    pub random: &'a mut Random,
}

/// A write and whoever waits for its answer.
pub(super) trait Work: Send {
    fn run(&mut self, tx: &mut Tx<'_>) -> Result<()>;
    /// Called once, after the commit or after it failed.
    fn finish(&mut self, committed: Result<()>);
}

struct Task<T, F> {
    work: Option<F>,
    done: Option<T>,
    reply: Option<oneshot::Sender<Result<T>>>,
}

impl<T: Send, F: FnOnce(&mut Tx<'_>) -> Result<T> + Send> Work for Task<T, F> {
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
    Thread(mpsc::Sender<Box<dyn Work>>),
    /// Runs where it is called: for virtual time.
    Inline(Mutex<(Connection, Random)>),
}

impl Writer {
    pub fn inline(connection: Connection, random: Random) -> Self {
        Self::Inline(Mutex::new((connection, random)))
    }

    pub fn thread(mut connection: Connection, mut random: Random) -> Result<Self> {
        let (queue, mut waiting) = mpsc::channel::<Box<dyn Work>>(QUEUE);
        std::thread::Builder::new()
            .name("store".to_owned())
            .spawn(move || {
                while let Some(first) = waiting.blocking_recv() {
                    let mut batch = VecDeque::from([first]);
                    while batch.len() < BATCH
                        && let Ok(next) = waiting.try_recv()
                    {
                        batch.push_back(next);
                    }
                    commit(&mut connection, &mut random, batch);
                }
            })
            .map_err(|error| StoreError::Unreadable(error.to_string()))?;
        Ok(Self::Thread(queue))
    }

    /// Puts a write in the queue at once; the answer comes after its commit. Writes are carried
    /// out in the order in which this is called.
    pub fn submit<T: Send + 'static>(
        &self,
        work: impl FnOnce(&mut Tx<'_>) -> Result<T> + Send + 'static,
    ) -> oneshot::Receiver<Result<T>> {
        let (reply, answer) = oneshot::channel();
        let mut task: Box<dyn Work> =
            Box::new(Task { work: Some(work), done: None, reply: Some(reply) });
        match self {
            Self::Inline(writer) => {
                let mut writer = writer.lock().unwrap_or_else(|poisoned| poisoned.into_inner());
                let (connection, random) = &mut *writer;
                commit(connection, random, VecDeque::from([task]));
            }
            Self::Thread(queue) => match queue.try_send(task) {
                Ok(()) => {}
                Err(mpsc::error::TrySendError::Full(back)) => {
                    task = back;
                    task.finish(Err(StoreError::Overloaded));
                }
                Err(mpsc::error::TrySendError::Closed(back)) => {
                    task = back;
                    task.finish(Err(StoreError::Closed));
                }
            },
        }
        answer
    }
}

/// Runs what waits together in as few transactions as possible: one, unless SQLite itself gives a
/// whole transaction up (disk full, I/O error).
fn commit(connection: &mut Connection, random: &mut Random, mut waiting: VecDeque<Box<dyn Work>>) {
    while !waiting.is_empty() {
        if let Err(error) = connection.execute_batch("BEGIN IMMEDIATE") {
            give_up(&mut waiting, &error.into());
            return;
        }
        let mut done = VecDeque::new();
        while let Some(mut work) = waiting.pop_front() {
            match in_savepoint(connection, random, work.as_mut()) {
                Ok(()) => done.push_back(work),
                Err(error) => {
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
        match connection.execute_batch("COMMIT") {
            Ok(()) => done.iter_mut().for_each(|work| work.finish(Ok(()))),
            Err(error) => {
                if !connection.is_autocommit() {
                    let _ = connection.execute_batch("ROLLBACK");
                }
                give_up(&mut done, &error.into());
            }
        }
    }
}

fn give_up(waiting: &mut VecDeque<Box<dyn Work>>, error: &StoreError) {
    for mut work in waiting.drain(..) {
        work.finish(Err(error.clone()));
    }
}

fn in_savepoint(
    connection: &Connection,
    random: &mut Random,
    work: &mut (dyn Work + 'static),
) -> Result<()> {
    connection.execute_batch("SAVEPOINT work")?;
    let mut tx = Tx { sql: connection, random };
    let outcome = catch_unwind(AssertUnwindSafe(|| work.run(&mut tx)))
        .unwrap_or_else(|_| Err(StoreError::Bug("a write panicked".to_owned())));
    if connection.is_autocommit() {
        return outcome.and(Err(StoreError::Bug("a write ended its transaction".to_owned())));
    }
    let close = if outcome.is_ok() { "RELEASE work" } else { "ROLLBACK TO work; RELEASE work" };
    if let Err(error) = connection.execute_batch(close) {
        // What cannot be taken back alone is taken back with everything around it.
        let _ = connection.execute_batch("ROLLBACK");
        return outcome.and(Err(error.into()));
    }
    outcome
}
