//! The second copy of every recording, on another disk: made soon after it is sealed, counted when it is read back, and
//! compared with the log once a day, as is the first. Nothing here ever removes a recording.

mod file;

use crate::duty::ids::CallId;
use crate::io::clock;
use crate::io::status::{Alarm, Board, CopyState};
use crate::io::store::{CheckRow, SealedFile, Store, StoreError};
use chrono::{DateTime, TimeDelta, Utc};
use file::Fault;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;
use tokio_util::sync::CancellationToken;
use tracing::{error, info, warn};

const LOOK_EVERY: Duration = Duration::from_secs(3);
/// After what went wrong.
const AGAIN: Duration = Duration::from_secs(10);
/// Everything is looked through as often; in between, what was sealed since.
const ALL_EVERY: TimeDelta = TimeDelta::hours(1);
const RECENT: TimeDelta = TimeDelta::minutes(90);
const CHECK_EVERY: TimeDelta = TimeDelta::hours(24);
const CHECK_LOOK: Duration = Duration::from_secs(300);
const PAGE: u32 = 200;

/// From where to where.
#[derive(Debug, Clone)]
pub struct Plan {
    pub recordings: PathBuf,
    /// Not made where it is missing, so that a lost mount is seen.
    pub copies: PathBuf,
}

/// Until the daemon stops.
pub async fn keep(plan: Plan, store: Store, board: Board, stopping: CancellationToken) {
    let copier = Copier { plan: Arc::new(plan), store, board };
    tokio::select! {
        () = keep_copying(copier.clone()) => {}
        () = keep_checking(copier) => {}
        () = stopping.cancelled() => {}
    }
}

/// What is sealed is copied, also while everything is compared.
async fn keep_copying(copier: Copier) {
    let mut all: Option<DateTime<Utc>> = None;
    let mut wait = Duration::ZERO;
    loop {
        tokio::time::sleep(wait).await;
        let now = clock::now().wall;
        let everything = all.is_none_or(|last| now - last >= ALL_EVERY || now < last);
        let since = if everything { DateTime::UNIX_EPOCH } else { now - RECENT };
        wait = match copier.turn(since).await {
            Ok(true) => {
                all = if everything { Some(now) } else { all };
                LOOK_EVERY
            }
            Ok(false) => AGAIN,
            Err(error) => {
                warn!(%error, "what has no second copy cannot be read");
                AGAIN
            }
        };
    }
}

/// Once a day, since whenever it was done last.
async fn keep_checking(copier: Copier) {
    loop {
        tokio::time::sleep(CHECK_LOOK).await;
        let due = match copier.store.last_copy_check().await {
            Ok(last) => last.is_none_or(|last| clock::now().wall - last >= CHECK_EVERY),
            Err(_) => false,
        };
        if due && let Err(error) = copier.check().await {
            warn!(%error, "the two copies could not be compared");
        }
    }
}

/// Copies one sealed file and reads it back.
///
/// # Errors
/// What is wrong, and where.
pub fn copy_file(own: &Path, other: &Path, path: &Path, sha256: &str) -> Result<(), String> {
    file::copy(own, other, path, sha256).map_err(|fault| match fault {
        Fault::Own(why) | Fault::Copy(why) => why,
    })
}

#[derive(Clone)]
struct Copier {
    plan: Arc<Plan>,
    store: Store,
    board: Board,
}

impl Copier {
    /// Copies what has no second copy. Whether nothing went wrong.
    async fn turn(&self, since: DateTime<Utc>) -> Result<bool, StoreError> {
        loop {
            let files = self.store.uncopied(since, PAGE).await?;
            if files.is_empty() {
                break;
            }
            self.show(files.len());
            let mut fault = None;
            for file in files {
                match self.copy(&file).await {
                    Ok(()) => self.store.copied(file.call, file.kind, clock::now()).await?,
                    Err(Fault::Copy(why)) => {
                        // The disk is the same for the others.
                        fault = Some(why);
                        break;
                    }
                    Err(Fault::Own(why)) => fault = Some(why),
                }
            }
            if let Some(why) = fault {
                self.fails(&why);
                return Ok(false);
            }
        }
        self.show(0);
        self.works();
        Ok(true)
    }

    async fn copy(&self, sealed: &SealedFile) -> Result<(), Fault> {
        let (plan, sealed) = (Arc::clone(&self.plan), sealed.clone());
        let copying = tokio::task::spawn_blocking(move || {
            file::copy(&plan.recordings, &plan.copies, &sealed.path, &sealed.sha256)
        });
        copying.await.unwrap_or_else(|error| Err(Fault::Copy(error.to_string())))
    }

    /// Reads both copies of everything and compares them with the log. A copy that is no longer one is put aside and
    /// made anew.
    async fn check(&self) -> Result<CheckRow, StoreError> {
        let mut row = CheckRow { from: clock::now().wall, ..CheckRow::default() };
        let mut after: Option<CallId> = None;
        loop {
            let files = self.store.sealed_files(after, PAGE).await?;
            let Some(last) = files.last().map(|file| file.call) else { break };
            after = Some(last);
            for sealed in files {
                let plan = Arc::clone(&self.plan);
                let begin = tokio::time::Instant::now();
                let looked = tokio::task::spawn_blocking(move || compare(&plan, &sealed)).await;
                let (own, copies, faults) = looked.unwrap_or_default();
                row.own += own;
                row.copies += copies;
                for fault in faults {
                    error!(%fault, "a recording is not what the log says");
                    row.faults += 1;
                    if row.named.is_empty() {
                        row.named = fault;
                    }
                }
                // Others want the disks too.
                tokio::time::sleep(begin.elapsed().min(AGAIN)).await;
            }
        }
        row.to = clock::now().wall;
        info!(own = row.own, copies = row.copies, faults = row.faults, "both copies compared");
        self.store.copies_checked(row.clone()).await?;
        self.board.update(|status| match row.faults {
            0 => drop(status.alarms.remove("copies_differ")),
            faults => {
                let named = &row.named;
                let alarm = Alarm {
                    since: row.to,
                    zh: format!(
                        "录音核对：{faults} 个文件与记录不符（{named}），请管理员用另一份恢复，勿删除任何文件"
                    ),
                    en: format!(
                        "{faults} files are not what the log says ({named}): restore them from the other copy and delete nothing"
                    ),
                };
                status.alarms.insert("copies_differ", alarm);
            }
        });
        Ok(row)
    }

    fn show(&self, left: usize) {
        let left = u64::try_from(left).unwrap_or(u64::MAX);
        self.board.update(|status| status.copies = Some(CopyState { left }));
    }

    fn works(&self) {
        self.board.update(|status| drop(status.alarms.remove("copies")));
    }

    fn fails(&self, why: &str) {
        warn!(%why, "no second copy is made");
        let alarm = Alarm {
            since: clock::now().wall,
            zh: format!(
                "第二份录音没有存上，本机的一份仍在；请检查第二份的磁盘或网络挂载（{why}）"
            ),
            en: format!(
                "No second copy of recordings is made, the first is kept: look at the other disk or mount ({why})"
            ),
        };
        self.board.update(|status| {
            let since = status.alarms.get("copies").map_or(alarm.since, |before| before.since);
            status.alarms.insert("copies", Alarm { since, ..alarm });
        });
    }
}

/// How many files were read on each disk, and what is wrong.
fn compare(plan: &Plan, sealed: &SealedFile) -> (u64, u64, Vec<String>) {
    let look = |folder: &Path| -> Option<String> {
        let path = match file::below(folder, &sealed.path) {
            Ok(path) => path,
            Err(why) => return Some(why),
        };
        match file::digest(&path) {
            Ok(digest) if digest == sealed.sha256 => None,
            Ok(_) => Some(format!("{}: another content", path.display())),
            Err(fault) => Some(format!("{}: {fault}", path.display())),
        }
    };
    let own = look(&plan.recordings);
    let own_is_good = own.is_none();
    let mut faults: Vec<String> = own.into_iter().collect();
    if !sealed.copied {
        return (1, 0, faults);
    }
    let copy = look(&plan.copies);
    if let Some(why) = copy {
        let again = own_is_good
            .then(|| file::copy(&plan.recordings, &plan.copies, &sealed.path, &sealed.sha256));
        let mended = matches!(again, Some(Ok(())));
        faults.push(if mended { format!("{why} (copied again)") } else { why });
    }
    (1, 1, faults)
}

#[cfg(test)]
mod tests;
