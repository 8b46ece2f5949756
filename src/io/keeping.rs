//! Carries out what two people have agreed to destroy: the files go from both disks, their rows and hashes stay. Nothing
//! else in the daemon removes a recording. What cannot be removed, or not be seen to be removed, is not gone: it is told
//! and tried again.

use crate::duty::ids::CallId;
use crate::io::clock;
use crate::io::copies::file::{self, Fault, Sight};
use crate::io::copies::{Turns, patience};
use crate::io::durable;
use crate::io::status::{Alarm, Board};
use crate::io::store::{KeptFiles, Store, StoreError};
use std::collections::BTreeSet;
use std::ffi::OsString;
use std::fs;
use std::io;
use std::path::{Component, Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;
use tokio_util::sync::CancellationToken;
use tracing::{info, warn};

const EVERY: Duration = Duration::from_secs(10);
/// After a disk that did not let go of it.
const AGAIN: Duration = Duration::from_secs(300);
/// Recordings at once.
const PAGE: u32 = 500;
/// A disk that does not answer for this time is told of.
const PATIENCE: Duration = Duration::from_secs(60);

/// Where the files are.
#[derive(Debug, Clone)]
pub struct Plan {
    pub recordings: PathBuf,
    pub copies: Option<PathBuf>,
    /// With whoever compares the copies.
    pub turns: Turns,
}

/// Until the daemon stops. A disk that hangs keeps it from nothing.
pub async fn keep(plan: Plan, store: Store, board: Board, stopping: CancellationToken) {
    let keeper = Keeper { plan: Arc::new(plan), store, board, patience: PATIENCE };
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

/// Nothing more is removed once this is dropped.
struct Leave(Arc<AtomicBool>);

impl Drop for Leave {
    fn drop(&mut self) {
        self.0.store(true, Ordering::SeqCst);
    }
}

impl Keeper {
    async fn keep(&self) {
        let mut wait = EVERY;
        loop {
            tokio::time::sleep(wait).await;
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
        let doomed = self.store.doomed(PAGE).await?;
        if doomed.is_empty() {
            self.works();
            return Ok(true);
        }
        if let Err(why) = self.look().await? {
            self.fails(&why);
            return Ok(false);
        }
        let (mut gone, mut left) = (0, None);
        for files in doomed {
            let begin = tokio::time::Instant::now();
            match self.let_go(files.call).await? {
                Ok(removed) => gone += u32::from(removed),
                Err(fault) => {
                    warn!(call = %files.call, %fault, "a recording that is given up is still there");
                    left.get_or_insert(fault.to_string());
                }
            }
            // Others want the disks too.
            tokio::time::sleep(begin.elapsed().min(EVERY)).await;
        }
        if gone > 0 {
            info!(recordings = gone, "recordings past their keeping are gone");
        }
        match &left {
            None => self.works(),
            Some(why) => self.fails(why),
        }
        Ok(left.is_none())
    }

    /// Whether both disks are there, and are the ones that the copies were counted on.
    async fn look(&self) -> Result<Result<(), String>, StoreError> {
        let Some(copies) = self.plan.copies.clone() else {
            return Ok(Err("storage.copies: 未设置，第二份仍在 · is not set, the second copies are still there".to_owned()));
        };
        let newest = self.store.newest_copy().await?.map(|file| file.path);
        let recordings = self.plan.recordings.clone();
        let seen =
            self.at_the_disks(move |_| match file::look(&recordings, &copies, newest.as_deref()) {
                Ok(Sight::Whole) => Ok(()),
                Ok(Sight::Lacking) => Err(io::Error::other(format!(
                    "{}: 缺第二份 · a copy is missing",
                    copies.display()
                ))),
                Err(Fault::Own(why) | Fault::Copy(why)) => Err(io::Error::other(why)),
            });
        Ok(seen.await.map_err(|fault| fault.to_string()))
    }

    /// Removes the files of one recording, unless somebody holds it by now.
    async fn let_go(&self, call: CallId) -> Result<io::Result<bool>, StoreError> {
        let _turn = self.plan.turns.lock().await;
        let Some(files) = self.store.is_doomed(call).await? else { return Ok(Ok(false)) };
        let plan = Arc::clone(&self.plan);
        let removed = self.at_the_disks(move |late| remove(&plan, &files, late)).await;
        if removed.is_ok() {
            self.store.is_gone(call, clock::now()).await?;
        }
        Ok(removed.map(|()| true))
    }

    /// What comes back after `patience`, or when nobody waits any more, removes nothing more: it is asked anew.
    async fn at_the_disks(
        &self,
        work: impl FnOnce(&AtomicBool) -> io::Result<()> + Send + 'static,
    ) -> io::Result<()> {
        let leave = Leave(Arc::default());
        let late = Arc::clone(&leave.0);
        let hangs = || {
            leave.0.store(true, Ordering::SeqCst);
            self.fails("磁盘无应答 · a disk does not answer");
        };
        patience::wait(self.patience, move || work(&late), hangs).await?
    }

    fn works(&self) {
        self.board.update(|status| drop(status.alarms.remove("keeping")));
    }

    fn fails(&self, why: &str) {
        warn!(%why, "what two people have agreed to destroy is still there");
        self.board.update(|status| {
            let now = clock::now().wall;
            let since = status.alarms.get("keeping").map_or(now, |before| before.since);
            let zh = format!(
                "已同意销毁的录音尚未清除，请检查录音磁盘与第二份磁盘（{why}）；清除前仍在盘上"
            );
            let en = format!(
                "Recordings that two people agreed to destroy are still there: look at both disks ({why})"
            );
            status.alarms.insert("keeping", Alarm { since, zh, en });
        });
    }
}

/// From the second disk first: what is held in between can be played still.
fn remove(plan: &Plan, files: &KeptFiles, late: &AtomicBool) -> io::Result<()> {
    let copies = plan.copies.as_ref().ok_or(io::ErrorKind::NotFound)?;
    let mut wanted = BTreeSet::new();
    for root in [copies, &plan.recordings] {
        for path in [&files.wav, &files.tape].into_iter().flatten() {
            let (folder, name) = inside(root, path)?;
            wanted.insert((root != copies, folder, name));
        }
    }
    // A disk that is away has them still. Both are looked at before either is touched.
    let folders: BTreeSet<_> = wanted.iter().map(|(own, folder, _)| (*own, folder)).collect();
    for (_, folder) in &folders {
        fs::metadata(folder).map_err(|fault| {
            io::Error::new(fault.kind(), format!("{}: {fault}", folder.display()))
        })?;
    }
    for (_, folder) in folders {
        let named = wanted.iter().filter(|(_, of, _)| of == folder).map(|(.., name)| name);
        remove_all(folder, files.call, &named.collect(), late)?;
    }
    Ok(())
}

/// All that begins with the call's name, such as what was put aside as damaged or never finished.
fn remove_all(
    folder: &Path,
    call: CallId,
    named: &BTreeSet<&OsString>,
    late: &AtomicBool,
) -> io::Result<()> {
    let call = call.to_string();
    let mut doomed = vec![];
    for file in fs::read_dir(folder)? {
        let file = file?;
        let name = file.file_name();
        let bytes = name.as_encoded_bytes();
        let bytes = bytes.strip_prefix(b".").unwrap_or(bytes);
        if !bytes.starts_with(call.as_bytes()) && !named.contains(&name) {
            continue;
        }
        let path = file.path();
        if !file.file_type()?.is_file() {
            return Err(io::Error::other(format!("{}: 不是普通文件 · is no file", path.display())));
        }
        doomed.push(path);
    }
    for path in doomed {
        if late.load(Ordering::SeqCst) {
            return Err(io::ErrorKind::TimedOut.into());
        }
        durable::remove(&path)?;
    }
    durable::sync_folder(folder)
}

/// The folder and the name in it. Neither a row nor a link leads out of the root.
fn inside(root: &Path, path: &Path) -> io::Result<(PathBuf, OsString)> {
    let outside = || io::Error::other(format!("{}: 不在其中 · is not inside", path.display()));
    let mut folder = root.to_owned();
    let mut parts = path.components().peekable();
    while let Some(part) = parts.next() {
        let Component::Normal(name) = part else { break };
        if parts.peek().is_none() {
            return Ok((folder, name.to_owned()));
        }
        folder.push(name);
        if folder.symlink_metadata().is_ok_and(|it| it.is_symlink()) {
            break;
        }
    }
    Err(outside())
}

#[cfg(test)]
mod tests;
