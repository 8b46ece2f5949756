//! The second copy of every recording, on another disk or in a store of objects: made soon after it is sealed, counted
//! when it is read back, and compared with the log once a day, as is the first. Nothing here ever removes a recording:
//! `keeping` does.

pub mod bucket;
mod checking;
mod compare;
pub mod file;
pub mod patience;
pub mod place;

use crate::duty::ids::CallId;
use crate::io::clock;
use crate::io::status::{Alarm, Board, CopyState};
use crate::io::store::{FileKind, SealedFile, Store, StoreError};
use checking::keep_checking;
use chrono::{DateTime, TimeDelta, Utc};
use file::{Fault, Sight};
use place::Place;
use std::collections::BTreeMap;
use std::io;
use std::path::PathBuf;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;
use tokio::sync::Notify;
use tokio_util::sync::CancellationToken;
use tracing::{error, warn};

const LOOK_EVERY: Duration = Duration::from_secs(3);
/// After what went wrong.
const AGAIN: Duration = Duration::from_secs(10);
/// Everything is looked through as often; in between, what was sealed since.
const ALL_EVERY: TimeDelta = TimeDelta::hours(1);
const RECENT: TimeDelta = TimeDelta::minutes(90);
const PAGE: u32 = 200;
/// A disk that does not answer for this time is told of.
const PATIENCE: Duration = Duration::from_secs(60);
/// So long may a store take for one file that moves: longer than any recording does on a slow line.
const FAR_PATIENCE: Duration = Duration::from_secs(2 * 3600);
/// Shorter than the hour, so that the hourly look tries anew what was found bad in the one before.
const KNOWN_FOR: TimeDelta = TimeDelta::minutes(50);

/// From where to where.
#[derive(Debug, Clone)]
pub struct Plan {
    pub recordings: PathBuf,
    pub copies: Place,
    /// Whoever removes a recording and whoever compares it take turns.
    pub turns: Turns,
}

pub type Turns = Arc<tokio::sync::Mutex<()>>;

/// Until the daemon stops.
pub async fn keep(plan: Plan, store: Store, board: Board, stopping: CancellationToken) {
    let copier = Copier::new(plan, store, board);
    tokio::select! {
        () = keep_copying(copier.clone()) => {}
        () = keep_checking(copier) => {}
        () = stopping.cancelled() => {}
    }
}

/// What is sealed is copied, also while everything is compared.
async fn keep_copying(copier: Copier) {
    copier.begin().await;
    let mut all: Option<DateTime<Utc>> = None;
    let mut wait = Duration::ZERO;
    loop {
        tokio::time::sleep(wait).await;
        let now = clock::now().wall;
        let everything = all.is_none_or(|last| now - last >= ALL_EVERY || now < last);
        let since = if everything { DateTime::UNIX_EPOCH } else { now - RECENT };
        let turn = copier.turn(since).await;
        wait = if matches!(turn, Ok(Turn::Well)) { LOOK_EVERY } else { AGAIN };
        match turn {
            Ok(Turn::Well | Turn::Faulty) => all = if everything { Some(now) } else { all },
            Ok(Turn::Stopped) => {}
            Err(error) => warn!(%error, "what has no second copy cannot be read"),
        }
    }
}

#[derive(Clone)]
struct Copier {
    plan: Arc<Plan>,
    store: Store,
    board: Board,
    known: Arc<Mutex<Known>>,
    check_now: Arc<Notify>,
    patience: Duration,
    /// Between two tries at a store.
    again: Duration,
}

/// What this run has found out.
#[derive(Default)]
struct Known {
    /// Recordings without a second copy that are not what the log says: since when, and how.
    bad: BTreeMap<(CallId, FileKind), (DateTime<Utc>, String)>,
    /// The newest counted copy, where it is gone: a check was asked for.
    lacking: Option<PathBuf>,
    /// When all was seen to be there.
    whole: Option<tokio::time::Instant>,
    /// The store was away when everything was compared last, for some file at least.
    away: bool,
    /// Threads whose disk does not answer.
    hanging: usize,
}

/// What became of a look at what has no second copy.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Turn {
    Well,
    /// All was looked at, and something is wrong.
    Faulty,
    /// By the disk.
    Stopped,
}

impl Copier {
    fn new(plan: Plan, store: Store, board: Board) -> Self {
        let patience = if plan.copies.is_far() { FAR_PATIENCE } else { PATIENCE };
        Self {
            plan: Arc::new(plan),
            store,
            board,
            known: Arc::default(),
            check_now: Arc::default(),
            patience,
            again: AGAIN,
        }
    }

    /// What the run before found, and what is no other disk.
    async fn begin(&self) {
        match self.store.last_copy_check().await {
            Ok(last) => last.iter().for_each(|row| self.compared(row)),
            Err(error) => warn!(%error, "the last comparison cannot be read"),
        }
        let one = self.at_the_disk(|plan| plan.copies.is_on_the_disk_of(&plan.recordings)).await;
        if one.unwrap_or(false) {
            let copies = &self.plan.copies;
            warn!(%copies, "the second copies are on the disk of the first: both are lost with it");
        }
    }

    /// Copies what has no second copy.
    async fn turn(&self, since: DateTime<Utc>) -> Result<Turn, StoreError> {
        let lacking = match self.look().await? {
            Ok(lacking) => lacking,
            Err(Fault::Copy(why)) => {
                self.fails(&why);
                return Ok(Turn::Stopped);
            }
            Err(Fault::Own(why)) => {
                // Whoever looks after that disk tells of it.
                warn!(%why, "the recordings are away");
                return Ok(Turn::Stopped);
            }
        };
        let mut after = None;
        loop {
            let mut files = self.store.uncopied(since, after, PAGE).await?;
            let Some(last) = files.last() else { break };
            after = Some((last.call, last.kind));
            files.retain(|file| !self.is_bad(file));
            self.show(files.len() + self.known().bad.len());
            for file in files {
                match self.copy(&file).await {
                    Ok(()) => {
                        self.store.copied(file.call, file.kind, clock::now()).await?;
                        self.known().bad.remove(&(file.call, file.kind));
                    }
                    Err(Fault::Copy(why)) => {
                        // The disk is the same for the others.
                        self.fails(&why);
                        return Ok(Turn::Stopped);
                    }
                    Err(Fault::Own(why)) => self.is_spoiled(&file, why),
                }
            }
        }
        let bad = self.known().bad.len();
        self.show(bad);
        self.tell_bad();
        match &lacking {
            Some(path) => {
                self.fails(&format!("{}: 不见了 · is gone", self.plan.copies.at(path)));
            }
            None => self.works(),
        }
        Ok(if bad == 0 && lacking.is_none() { Turn::Well } else { Turn::Faulty })
    }

    /// The newest copy that was counted, where it is not there. A check is asked for then, once.
    async fn look(&self) -> Result<Result<Option<PathBuf>, Fault>, StoreError> {
        let every = self.plan.copies.look_every();
        if self.known().whole.is_some_and(|seen| seen.elapsed() < every) {
            return Ok(Ok(None));
        }
        let newest = self.store.newest_copy().await?.map(|file| file.path);
        let path = newest.clone();
        let looking = move |plan: &Plan| plan.copies.look(&plan.recordings, path.as_deref());
        let seen = self.at_the_disk(looking).await;
        let lacking = match seen.unwrap_or_else(|error| Err(Fault::Copy(error.to_string()))) {
            Ok(Sight::Whole) => Ok(None),
            Ok(Sight::Lacking) => Ok(newest),
            Err(fault) => Err(fault),
        };
        let now = lacking.as_ref().ok().cloned().flatten();
        let before = {
            let mut known = self.known();
            known.whole = matches!(lacking, Ok(None)).then(tokio::time::Instant::now);
            std::mem::replace(&mut known.lacking, now.clone())
        };
        if now.is_some() && now != before {
            self.check_now.notify_one();
        }
        Ok(lacking)
    }

    async fn copy(&self, sealed: &SealedFile) -> Result<(), Fault> {
        let sealed = sealed.clone();
        let copying = self.at_the_disk(move |plan| {
            plan.copies.copy(&plan.recordings, &sealed.path, &sealed.sha256)
        });
        copying.await.unwrap_or_else(|error| Err(Fault::Copy(error.to_string())))
    }

    async fn at_the_disk<T: Send + 'static>(
        &self,
        work: impl FnOnce(&Plan) -> T + Send + 'static,
    ) -> io::Result<T> {
        let plan = Arc::clone(&self.plan);
        let mut hung = false;
        let hangs = || {
            hung = true;
            self.known().hanging += 1;
            self.fails(&format!("{}: 无应答 · no answer", self.plan.copies));
        };
        let done = patience::wait(self.patience, move || work(&plan), hangs).await;
        if hung {
            self.known().hanging -= 1;
        }
        done
    }

    fn known(&self) -> MutexGuard<'_, Known> {
        self.known.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn is_bad(&self, file: &SealedFile) -> bool {
        let now = clock::now().wall;
        let known = self.known();
        let seen = known.bad.get(&(file.call, file.kind));
        seen.is_some_and(|(at, _)| now - *at < KNOWN_FOR && now >= *at)
    }

    fn is_spoiled(&self, file: &SealedFile, why: String) {
        error!(%why, "a recording without a second copy is not what the log says");
        self.known().bad.insert((file.call, file.kind), (clock::now().wall, why));
        self.tell_bad();
    }

    fn tell_bad(&self) {
        let (count, first) = {
            let known = self.known();
            (known.bad.len(), known.bad.values().next().cloned())
        };
        self.board.update(|status| {
            let Some((since, why)) = first else {
                return drop(status.alarms.remove("copies_own"));
            };
            let since = status.alarms.get("copies_own").map_or(since, |before| before.since);
            let alarm = Alarm {
                since,
                zh: format!(
                    "本机录音缺失或与记录不符，且没有第二份：{count} 个文件（{why}），请勿删除任何文件"
                ),
                en: format!(
                    "{count} recordings are missing or not what the log says, and have no second copy ({why}): delete nothing"
                ),
            };
            status.alarms.insert("copies_own", alarm);
        });
    }

    fn show(&self, left: usize) {
        let left = u64::try_from(left).unwrap_or(u64::MAX);
        self.board.update(|status| status.copies = Some(CopyState { left }));
    }

    fn works(&self) {
        // Whoever waits for the disk tells of it.
        if self.known().hanging > 0 {
            return;
        }
        self.board.update(|status| drop(status.alarms.remove("copies")));
    }

    fn fails(&self, why: &str) {
        self.known().whole = None;
        warn!(%why, "no second copy is made");
        let (zh, en) = self.plan.copies.remedy();
        let alarm = Alarm {
            since: clock::now().wall,
            zh: format!("第二份录音没有存上，本机的一份仍在；{zh}（{why}）"),
            en: format!("No second copy of recordings is made, the first is kept: {en} ({why})"),
        };
        self.board.update(|status| {
            let since = status.alarms.get("copies").map_or(alarm.since, |before| before.since);
            status.alarms.insert("copies", Alarm { since, ..alarm });
        });
    }
}

#[cfg(test)]
mod tests;
