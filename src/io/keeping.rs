//! Carries out what two people have agreed to destroy: the files go from both disks, their rows and hashes stay. Nothing
//! else in the daemon removes a recording. What cannot be removed, or not be seen to be removed, is not gone: it is told
//! and tried again.

use crate::duty::ids::CallId;
use crate::io::clock;
use crate::io::copies::file::{self, Fault, Sight};
use crate::io::copies::{Turns, patience};
use crate::io::durable;
use crate::io::status::{Alarm, Board};
use crate::io::store::{Doomed, Fate, KeptFiles, Store, StoreError};
use std::collections::{BTreeMap, BTreeSet};
use std::ffi::OsString;
use std::fs;
use std::io;
use std::path::{Component, Path, PathBuf};
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
            if after.replace(last).is_none()
                && let Err(why) = self.look().await?
            {
                self.fails(&why);
                return Ok(false);
            }
            for doomed in page {
                let (call, begin) = (doomed.files.call, tokio::time::Instant::now());
                match self.let_go(doomed).await? {
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

    /// Whether both disks are there, and are the ones that the copies were counted on.
    async fn look(&self) -> Result<Result<(), String>, StoreError> {
        let Some(copies) = self.plan.copies.clone() else {
            return Ok(Err("storage.copies: 未设置，第二份仍在 · is not set, the second copies are still there".to_owned()));
        };
        let newest = self.store.newest_copy().await?.map(|file| file.path);
        let recordings = self.plan.recordings.clone();
        let seen = self.at_the_disks(move |_| {
            match file::look(&recordings, &copies, newest.as_deref()) {
                Ok(Sight::Whole) => {}
                Ok(Sight::Lacking) => {
                    let why = format!("{}: 缺第二份 · a copy is missing", copies.display());
                    return Err(io::Error::other(why));
                }
                Err(Fault::Own(why) | Fault::Copy(why)) => return Err(io::Error::other(why)),
            }
            match newest.map(|newest| recordings.join(newest)) {
                Some(newest) if !is_there(&newest)? => Err(lacks(&newest)),
                _ => Ok(()),
            }
        });
        Ok(seen.await.map_err(|fault| fault.to_string()))
    }

    /// Removes the files of one recording, unless somebody holds it by now.
    async fn let_go(&self, doomed: Doomed) -> Result<io::Result<Came>, StoreError> {
        let _turn = self.plan.turns.lock().await;
        let (call, plan) = (doomed.files.call, Arc::clone(&self.plan));
        let places = match Places::of(&plan, &doomed.files) {
            Ok(places) => Arc::new(places),
            Err(fault) => return Ok(Err(fault)),
        };
        // What was never there to be removed is no removal: a disk is away, or is another one.
        let there = Arc::clone(&places);
        if !doomed.begun
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
            Ok(Left::Part(files)) => return Ok(Ok(Came::Part(files))),
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
            self.fails("磁盘无应答 · a disk does not answer");
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

/// Where the files of one recording are, on both disks.
struct Places {
    own: Place,
    copy: Place,
}

/// What there is of a recording whose removal had begun.
enum Left {
    /// On the recordings' own disk; what is gone of its copy is made anew.
    Whole,
    Part(Vec<PathBuf>),
    None,
}

impl Places {
    fn of(plan: &Plan, files: &KeptFiles) -> io::Result<Self> {
        let copies = plan.copies.as_ref().ok_or(io::ErrorKind::NotFound)?;
        Ok(Self { own: Place::of(&plan.recordings, files)?, copy: Place::of(copies, files)? })
    }

    /// Each disk shows some of it.
    fn are_seen(&self) -> io::Result<()> {
        for place in [&self.own, &self.copy] {
            let mut there = false;
            for path in place.named() {
                there |= is_there(&path)?;
            }
            if !there {
                return Err(lacks(&place.named().next().unwrap_or_default()));
            }
        }
        Ok(())
    }

    fn left(&self, call: CallId) -> io::Result<Left> {
        self.folders_are_there()?;
        let mut whole = true;
        for path in self.own.named() {
            whole &= is_there(&path)?;
        }
        if whole {
            return Ok(Left::Whole);
        }
        let mut left = vec![];
        for (folder, names) in self.own.0.iter().chain(&self.copy.0) {
            left.extend(found(folder, call, names)?);
        }
        Ok(if left.is_empty() { Left::None } else { Left::Part(left) })
    }

    /// From the second disk first: what is held in between can be played still.
    fn remove(&self, call: CallId, late: &AtomicBool) -> io::Result<()> {
        self.folders_are_there()?;
        for (folder, names) in self.copy.0.iter().chain(&self.own.0) {
            remove_all(folder, call, names, late)?;
        }
        Ok(())
    }

    /// A disk that is away has them still. Both are looked at before either is touched.
    fn folders_are_there(&self) -> io::Result<()> {
        for folder in self.own.0.keys().chain(self.copy.0.keys()) {
            fs::metadata(folder).map_err(|fault| at(folder, &fault))?;
        }
        Ok(())
    }
}

/// Folders, and the names in each.
struct Place(BTreeMap<PathBuf, BTreeSet<OsString>>);

impl Place {
    fn of(root: &Path, files: &KeptFiles) -> io::Result<Self> {
        let mut place = BTreeMap::<_, BTreeSet<_>>::new();
        for path in [&files.wav, &files.tape].into_iter().flatten() {
            let (folder, name) = inside(root, path)?;
            place.entry(folder).or_default().insert(name);
        }
        Ok(Self(place))
    }

    fn named(&self) -> impl Iterator<Item = PathBuf> {
        self.0.iter().flat_map(|(folder, names)| names.iter().map(|name| folder.join(name)))
    }
}

fn at(path: &Path, fault: &io::Error) -> io::Error {
    io::Error::new(fault.kind(), format!("{}: {fault}", path.display()))
}

fn lacks(path: &Path) -> io::Error {
    let why = "不在：磁盘未挂载，或已更换 · is missing: the disk is not mounted, or is another one";
    io::Error::other(format!("{}: {why}", path.display()))
}

fn is_there(path: &Path) -> io::Result<bool> {
    match fs::symlink_metadata(path) {
        Ok(_) => Ok(true),
        Err(fault) if fault.kind() == io::ErrorKind::NotFound => Ok(false),
        Err(fault) => Err(at(path, &fault)),
    }
}

/// All that begins with the call's name, such as what was put aside as damaged or never finished.
fn found(folder: &Path, call: CallId, named: &BTreeSet<OsString>) -> io::Result<Vec<PathBuf>> {
    let call = call.to_string();
    let mut found = vec![];
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
        found.push(path);
    }
    Ok(found)
}

fn remove_all(
    folder: &Path,
    call: CallId,
    named: &BTreeSet<OsString>,
    late: &AtomicBool,
) -> io::Result<()> {
    for path in found(folder, call, named)? {
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
