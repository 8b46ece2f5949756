//! Carries out what two people have agreed to destroy: the files go from both places, their rows and hashes stay. Nothing
//! else in the daemon removes a recording. What cannot be removed, or not be seen to be removed, is not gone: it is told
//! and tried again.

mod files;

use crate::duty::ids::CallId;
use crate::io::clock;
use crate::io::copies::file::Sight;
use crate::io::copies::place::{self, Place};
use crate::io::copies::{Turns, patience};
use crate::io::status::{Alarm, Board};
use crate::io::store::{Doomed, Fate, Store, StoreError};
use files::{Left, Places, is_reached, is_there, lacks};
use std::io;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;
use tokio_util::sync::CancellationToken;
use tracing::{info, warn};

/// After a start.
const FIRST: Duration = Duration::from_secs(10);
/// Whoever agrees to a list wakes it.
const EVERY: Duration = Duration::from_secs(3600);
/// Between two recordings at most.
const REST: Duration = Duration::from_secs(10);
/// After a disk that did not let go of it.
const AGAIN: Duration = Duration::from_secs(300);
/// Recordings at once.
const PAGE: u32 = 500;
/// A disk that does not answer for this time is told of.
const PATIENCE: Duration = Duration::from_secs(60);
/// Longer than a store that does not answer is waited for, twice: it says itself what is wrong.
const FAR_PATIENCE: Duration = Duration::from_secs(150);

/// Where the files are.
#[derive(Debug, Clone)]
pub struct Plan {
    pub recordings: PathBuf,
    pub copies: Option<Place>,
    /// With whoever compares the copies.
    pub turns: Turns,
}

/// Until the daemon stops. A disk that hangs keeps it from nothing.
pub async fn keep(plan: Plan, store: Store, board: Board, stopping: CancellationToken) {
    let far = plan.copies.as_ref().is_some_and(Place::is_far);
    let patience = if far { FAR_PATIENCE } else { PATIENCE };
    let keeper = Keeper { plan: Arc::new(plan), store, board, patience };
    tokio::select! {
        () = keeper.keep() => {}
        () = stopping.cancelled() => {}
    }
}

struct Keeper {
    plan: Arc<Plan>,
    store: Store,
    board: Board,
    patience: Duration,
}

/// What came of one.
enum Came {
    Gone,
    Stays,
    /// These are left of one that somebody holds.
    Part(Vec<PathBuf>),
}

/// Nothing more is removed once this is dropped.
struct Leave(Arc<AtomicBool>);

impl Drop for Leave {
    fn drop(&mut self) {
        self.0.store(true, Ordering::SeqCst);
    }
}

impl Keeper {
    async fn keep(&self) {
        let mut wait = FIRST;
        loop {
            tokio::select! {
                () = tokio::time::sleep(wait) => {}
                () = self.store.gives_up() => {}
            }
            if let Err(error) = self.store.is_seen_running(clock::now()).await {
                warn!(%error, "that the daemon runs could not be noted: recordings come of age later");
            }
            wait = match self.turn().await {
                Ok(true) => EVERY,
                Ok(false) => AGAIN,
                Err(error) => {
                    warn!(%error, "what is to be destroyed cannot be read");
                    AGAIN
                }
            };
        }
    }

    /// False where a disk keeps some of it.
    async fn turn(&self) -> Result<bool, StoreError> {
        let (mut gone, mut left, mut parts) = (0, None, vec![]);
        let mut after = None;
        loop {
            let page = self.store.doomed(after, PAGE).await?;
            let Some(last) = page.last().map(|last| last.files.call) else { break };
            after = Some(last);
            let sure = match self.look(page.iter().any(|doomed| doomed.copied)).await? {
                Ok(sure) => sure,
                Err(why) => {
                    self.fails(&why);
                    return Ok(false);
                }
            };
            for doomed in page {
                let (call, begin) = (doomed.files.call, tokio::time::Instant::now());
                match self.let_go(doomed, sure).await? {
                    Ok(Came::Gone) => gone += 1,
                    Ok(Came::Stays) => {}
                    Ok(Came::Part(files)) => parts.extend(files),
                    Err(fault) => {
                        warn!(%call, %fault, "a recording that is given up is still there");
                        left.get_or_insert(fault.to_string());
                    }
                }
                // Others want the disks too.
                tokio::time::sleep(begin.elapsed().min(REST)).await;
            }
        }
        if gone > 0 {
            info!(recordings = gone, "recordings past their keeping are gone");
        }
        self.tell_parts(&parts);
        match &left {
            None => self.works(),
            Some(why) => self.fails(why),
        }
        Ok(left.is_none() && parts.is_empty())
    }

    /// Whether both disks are there, and are the ones that the copies were counted on; true where a recording that is kept
    /// was seen on both. The second is not asked for where no copy on it counts.
    async fn look(&self, copied: bool) -> Result<Result<bool, String>, StoreError> {
        let copies = self.plan.copies.clone().filter(|_| copied);
        if copied && copies.is_none() {
            return Ok(Err("storage.copies、[storage.s3] 都未设置，第二份仍在 · neither is set, the second copies are still there".to_owned()));
        }
        let newest = self.store.newest_copy().await?.map(|file| file.path);
        let recordings = self.plan.recordings.clone();
        let seen = self.at_the_disks(move |_| {
            let Some(copies) = copies else { return is_reached(&recordings).map(|()| false) };
            match copies.look(&recordings, newest.as_deref()) {
                Ok(Sight::Whole) => {}
                Ok(Sight::Lacking) => {
                    let why = format!("{copies}: 缺第二份 · a copy is missing");
                    return Err(io::Error::other(why));
                }
                Err(fault) => return Err(io::Error::other(fault.why())),
            }
            match newest.map(|newest| recordings.join(newest)) {
                Some(newest) if !is_there(&newest)? => Err(lacks(newest.display())),
                newest => Ok(newest.is_some()),
            }
        });
        Ok(seen.await.map_err(|fault| fault.to_string()))
    }

    /// Removes the files of one recording, unless somebody holds it by now. `sure`: the disks are those of before.
    async fn let_go(&self, doomed: Doomed, sure: bool) -> Result<io::Result<Came>, StoreError> {
        let _turn = self.plan.turns.lock().await;
        let (call, plan) = (doomed.files.call, Arc::clone(&self.plan));
        let places = match Places::of(&plan, &doomed) {
            Ok(places) => Arc::new(places),
            Err(fault) => return Ok(Err(fault)),
        };
        // What was never there to be removed is no removal: a disk is away, or is another one.
        let there = Arc::clone(&places);
        if (!doomed.begun || doomed.unnoted && !sure)
            && let Err(fault) = self.at_the_disks(move |_| there.are_seen()).await
        {
            return Ok(Err(fault));
        }
        match self.store.begin_removal(call, clock::now()).await? {
            Fate::Leave => Ok(Ok(Came::Stays)),
            Fate::Settle => self.settle(call, places).await,
            Fate::Remove => {
                let removed = self.at_the_disks(move |late| places.remove(call, late)).await;
                if removed.is_ok() {
                    self.store.is_gone(call, clock::now()).await?;
                }
                Ok(removed.map(|()| Came::Gone))
            }
        }
    }

    /// It was held when its removal had begun: what is whole stays, what is gone is gone, and what is left of one is told.
    async fn settle(
        &self,
        call: CallId,
        places: Arc<Places>,
    ) -> Result<io::Result<Came>, StoreError> {
        match self.at_the_disks(move |_| places.left(call)).await {
            Ok(Left::Whole) => self.store.is_spared(call, clock::now()).await?,
            Ok(Left::None) => {
                self.store.is_gone(call, clock::now()).await?;
                return Ok(Ok(Came::Gone));
            }
            Ok(Left::Part(files)) => {
                self.store.is_halted(call, clock::now()).await?;
                return Ok(Ok(Came::Part(files)));
            }
            Err(fault) => return Ok(Err(fault)),
        }
        Ok(Ok(Came::Stays))
    }

    /// What comes back after `patience`, or when nobody waits any more, removes nothing more: it is asked anew.
    async fn at_the_disks<T: Send + 'static>(
        &self,
        work: impl FnOnce(&AtomicBool) -> io::Result<T> + Send + 'static,
    ) -> io::Result<T> {
        let leave = Leave(Arc::default());
        let late = Arc::clone(&leave.0);
        let hangs = || {
            leave.0.store(true, Ordering::SeqCst);
            self.fails("无应答 · no answer");
        };
        patience::wait(self.patience, move || work(&late), hangs).await?
    }

    fn tell_parts(&self, left: &[PathBuf]) {
        self.board.update(|status| {
            let before = status.alarms.remove("keeping_part");
            let Some(first) = left.first() else { return };
            let since = before.map_or_else(|| clock::now().wall, |before| before.since);
            let (files, first) = (left.len(), first.display());
            let zh = format!(
                "封存时清除已经开始，录音只剩一部分：尚存 {files} 个文件（如 {first}），不再清除；请立即另存，并从备份找回其余"
            );
            let en = format!(
                "Held when its removal had begun: {files} files are left (such as {first}) and stay; save them, and look for the others in a backup"
            );
            status.alarms.insert("keeping_part", Alarm { since, zh, en });
        });
    }

    fn works(&self) {
        self.board.update(|status| drop(status.alarms.remove("keeping")));
    }

    fn fails(&self, why: &str) {
        warn!(%why, "what two people have agreed to destroy is still there");
        self.board.update(|status| {
            let now = clock::now().wall;
            let since = status.alarms.get("keeping").map_or(now, |before| before.since);
            let (zh, en) = place::remedy_of_both(self.plan.copies.as_ref());
            let zh = format!("已同意销毁的录音尚未清除，{zh}（{why}）；清除前仍在");
            let en = format!(
                "Recordings that two people agreed to destroy are still there: {en} ({why})"
            );
            status.alarms.insert("keeping", Alarm { since, zh, en });
        });
    }
}

#[cfg(test)]
mod tests;
