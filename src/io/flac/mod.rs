//! FLAC for what is older than so many days.
//!
//! The log vouches for two files of a recording: the tape, which is the original, and the WAV rendered from it. The tape
//! stays as it is: it holds packets with their arrivals, not samples, and whatever is made of it would be another
//! original. The WAV is a head that follows from its length, and samples; FLAC keeps those without loss, so that the
//! very bytes whose hash is chained can be had again. What is re-encoded is therefore the WAV alone, nothing in the log is
//! changed, and the hash of before remains the one that all is compared with: by the player, `verify`, an export, a
//! redaction. The FLAC's own hash is chained beside it.
//!
//! | step | killed after it |
//! |---|---|
//! | `.part` beside the WAV, synced | the next try begins anew |
//! | decoded from the disk, compared, given its name | the next try compares it and goes on |
//! | copied to the second disk, read back | the same |
//! | noted in the log | both disks have both forms |
//! | WAV removed, from the second disk first | the next turn removes what is left |
//! | noted in the log | done |

pub mod codec;
pub mod file;
pub mod sound;

use crate::duty::ids::CallId;
use crate::io::copies::file::{Sight, below};
use crate::io::copies::place::{self, Place};
use crate::io::copies::{Turns, patience};
use crate::io::status::{Alarm, Board};
use crate::io::store::{FlacRow, Store, StoreError, ToFlac};
use crate::io::{clock, priority};
use chrono::TimeDelta;
use file::Fault;
use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;
use tokio_util::sync::CancellationToken;
use tracing::{error, info, warn};

/// After a start, which has other things to do.
const FIRST: Duration = Duration::from_secs(30);
const EVERY: Duration = Duration::from_secs(3600);
/// After a disk that did not do it.
const AGAIN: Duration = Duration::from_secs(300);
/// With more calls than this it waits.
const QUIET: usize = 2;
/// Between two recordings at most.
const REST: Duration = Duration::from_secs(10);
const PAGE: u32 = 200;

#[derive(Debug, Clone)]
pub struct Plan {
    pub recordings: PathBuf,
    pub copies: Option<Place>,
    /// With whoever compares or removes recordings.
    pub turns: Turns,
    /// Of recordings that were sealed so long ago.
    pub after: TimeDelta,
}

impl Plan {
    /// Both disks are there, and are those that the copies were counted on: what is written into the folder of a lost mount
    /// is no second copy.
    fn is_whole(&self, newest: Option<&Path>) -> Result<(), Fault> {
        let Some(copies) = &self.copies else { return Ok(()) };
        match copies.look(&self.recordings, newest) {
            Ok(Sight::Whole) => Ok(()),
            Ok(Sight::Lacking) => {
                Err(Fault::Disk(format!("{copies}: 缺第二份 · a copy is missing")))
            }
            Err(lost) => Err(Fault::Disk(lost.why())),
        }
    }
}

/// Until the daemon stops.
pub async fn keep(plan: Plan, store: Store, board: Board, stopping: CancellationToken) {
    let keeper = Keeper { plan: Arc::new(plan), store, board, stays: BTreeSet::new() };
    tokio::select! {
        () = keeper.keep() => {}
        () = stopping.cancelled() => {}
    }
}

struct Keeper {
    plan: Arc<Plan>,
    store: Store,
    board: Board,
    /// What cannot be kept so, as this run has seen: it is not tried each hour.
    stays: BTreeSet<CallId>,
}

/// No more work once this is dropped.
struct Leave(Arc<AtomicBool>);

impl Drop for Leave {
    fn drop(&mut self) {
        self.0.store(true, Ordering::SeqCst);
    }
}

impl Keeper {
    async fn keep(mut self) {
        let mut wait = FIRST;
        loop {
            tokio::time::sleep(wait).await;
            wait = match self.turn().await {
                Ok(true) => EVERY,
                Ok(false) => AGAIN,
                Err(error) => {
                    warn!(%error, "which recordings are to be kept as FLAC cannot be read");
                    AGAIN
                }
            };
        }
    }

    /// False where a disk kept it from something.
    async fn turn(&mut self) -> Result<bool, StoreError> {
        let mut done = 0;
        // What is wrong with one of them keeps no other from it.
        let mut well = self.finish(&mut done).await?;
        well &= self.encode().await?;
        well &= self.finish(&mut done).await?;
        if done > 0 {
            info!(recordings = done, "kept as FLAC from now on");
        }
        if well {
            self.board.update(|status| drop(status.alarms.remove("flac")));
        }
        Ok(well)
    }

    async fn encode(&mut self) -> Result<bool, StoreError> {
        let before = clock::now().wall - self.plan.after;
        let (mut after, mut left) = (None, None);
        loop {
            let copied = self.plan.copies.is_some();
            let page = self.store.to_flac(before, after, copied, PAGE).await?;
            let Some(last) = page.last() else { return Ok(self.comes_to(left)) };
            after = Some(last.call);
            for sealed in page {
                let begin = tokio::time::Instant::now();
                let call = sealed.call;
                if self.stays.contains(&call) {
                    continue;
                }
                match self.encode_one(sealed).await? {
                    Ok(()) => {}
                    Err(Fault::Later) => return Ok(false),
                    Err(Fault::Disk(why)) => {
                        self.fails(&why);
                        return Ok(false);
                    }
                    Err(Fault::Unread(why)) => {
                        warn!(%call, %why, "a recording cannot be read, and is not kept as FLAC");
                        left.get_or_insert(why);
                    }
                    Err(Fault::Other(why)) => {
                        error!(%call, %why, "a recording stays as it is, and is not kept as FLAC");
                        self.stays.insert(call);
                    }
                }
                // Others want the disks and the processor too.
                tokio::time::sleep(begin.elapsed().min(REST)).await;
            }
        }
    }

    async fn encode_one(&self, sealed: ToFlac) -> Result<Result<(), Fault>, StoreError> {
        self.is_quiet().await;
        let _turn = self.plan.turns.lock().await;
        let call = sealed.call;
        if !self.store.is_kept(call).await? {
            return Ok(Ok(()));
        }
        let newest = self.newest_copy().await?;
        let made = self.at_the_disks(move |plan, goes_on| {
            plan.is_whole(newest.as_deref())?;
            let made = file::make(&plan.recordings, &sealed, goes_on)?;
            if let Some(copies) = &plan.copies {
                // That took a while.
                plan.is_whole(newest.as_deref())?;
                copies
                    .copy(&plan.recordings, &made.path, &made.sha256)
                    .map_err(|lost| Fault::Disk(lost.why()))?;
            }
            Ok(made)
        });
        match made.await {
            Ok(made) => {
                self.store.is_flac(call, made, clock::now()).await?;
                Ok(Ok(()))
            }
            Err(fault) => Ok(Err(fault)),
        }
    }

    /// Removes each WAV whose FLAC is noted.
    async fn finish(&mut self, done: &mut u64) -> Result<bool, StoreError> {
        let (mut after, mut left) = (None, None);
        loop {
            let page = self.store.flac_and_wav(after, PAGE).await?;
            let Some(last) = page.last() else { return Ok(self.comes_to(left)) };
            after = Some(last.call);
            for row in page {
                let call = row.call;
                match self.remove(row).await? {
                    Ok(()) => *done += 1,
                    Err(Fault::Later) => return Ok(false),
                    Err(Fault::Disk(why)) => {
                        self.fails(&why);
                        return Ok(false);
                    }
                    Err(Fault::Unread(why) | Fault::Other(why)) => {
                        warn!(%call, %why, "a WAV whose FLAC is kept stays for now");
                        left.get_or_insert(why);
                    }
                }
            }
        }
    }

    async fn remove(&self, row: FlacRow) -> Result<Result<(), Fault>, StoreError> {
        self.is_quiet().await;
        let _turn = self.plan.turns.lock().await;
        let (call, row) = (row.call, Arc::new(row));
        if !self.store.wav_may_go(call).await? {
            return Ok(Ok(()));
        }
        let newest = self.newest_copy().await?;
        let noted = Arc::clone(&row);
        let compared = self.at_the_disks(move |plan, goes_on| {
            plan.is_whole(newest.as_deref())?;
            let own = below(&plan.recordings, &noted.flac.path).map_err(Fault::Other)?;
            file::gives(&own, &noted.sha256, goes_on).map_err(|fault| match fault {
                Fault::Disk(why) => Fault::Unread(why),
                other => other,
            })
        });
        if let Err(fault) = compared.await {
            return Ok(Err(fault));
        }
        // That took a while, in which somebody may have held it.
        if !self.store.wav_may_go(call).await? {
            return Ok(Ok(()));
        }
        let removed = self.at_the_disks(move |plan, _| {
            let own = Place::Folder(plan.recordings.clone());
            let mut both = plan.copies.iter().chain([&own]);
            both.try_for_each(|place| file::remove_wav(place, &row.wav, &row.flac))
        });
        let removed = removed.await;
        if removed.is_ok() {
            self.store.wav_is_removed(call, clock::now()).await?;
        }
        Ok(removed)
    }

    async fn newest_copy(&self) -> Result<Option<PathBuf>, StoreError> {
        Ok(self.store.newest_copy().await?.map(|file| file.path))
    }

    /// Waits while there are many calls.
    async fn is_quiet(&self) {
        let mut changes = self.board.changes();
        // The board lives as long as its keeper.
        let _ = changes.wait_for(|status| status.calls <= QUIET).await;
    }

    /// On a thread of its own, after everybody else; what has begun ends when calls come or the daemon stops.
    async fn at_the_disks<T: Send + 'static>(
        &self,
        work: impl FnOnce(&Plan, &dyn Fn() -> bool) -> Result<T, Fault> + Send + 'static,
    ) -> Result<T, Fault> {
        let leave = Leave(Arc::default());
        let (late, plan, board) =
            (Arc::clone(&leave.0), Arc::clone(&self.plan), self.board.clone());
        let working = move || {
            priority::last();
            work(&plan, &|| !late.load(Ordering::SeqCst) && board.status().calls <= QUIET)
        };
        let done = patience::wait(Duration::MAX, working, || {}).await;
        done.unwrap_or_else(|fault| Err(Fault::Disk(fault.to_string())))
    }

    /// All were looked at; this is the first of what is left. Whether that is nothing.
    fn comes_to(&self, left: Option<String>) -> bool {
        left.iter().for_each(|why| self.fails(why));
        left.is_none()
    }

    fn fails(&self, why: &str) {
        warn!(%why, "older recordings are not kept as FLAC");
        self.board.update(|status| {
            let now = clock::now().wall;
            let since = status.alarms.get("flac").map_or(now, |before| before.since);
            let (zh, en) = place::remedy_of_both(self.plan.copies.as_ref());
            let zh = format!("旧录音未能转存为 FLAC，原录音都在；{zh}（{why}）");
            let en = format!(
                "Older recordings are not kept as FLAC, all of them are there as they were: {en} ({why})"
            );
            status.alarms.insert("flac", Alarm { since, zh, en });
        });
    }
}

#[cfg(test)]
mod tests;
