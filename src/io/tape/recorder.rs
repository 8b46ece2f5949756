//! The thread that seals and renders finished calls, and first of all those an earlier run left.

use super::earlier::Earlier;
use super::faults::{Faults, Matter, remedy};
use super::folders::Folders;
use super::mount::Mount;
use super::record::Place;
use super::recover::{self, Began, Left};
use super::seal::{seal, trace};
use super::{Event, Sealed};
use crate::io::{clock, owner};
use crate::protocol::now::Mono;
use std::collections::{BTreeSet, VecDeque};
use std::io;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::PathBuf;
use std::sync::mpsc::{Receiver, RecvTimeoutError, Sender};
use std::time::Duration;
use uuid::Uuid;

/// How long to wait before what failed is tried again.
const AGAIN: Duration = Duration::from_millis(if cfg!(test) { 30 } else { 10_000 });

/// How often the folder of recordings is looked at.
const LOOK: Duration = Duration::from_millis(if cfg!(test) { 30 } else { 1000 });

/// What cannot be done with a folder of the tape.
pub const UNLISTED: (&str, &str) = ("读不了文件夹", "cannot look into");
const RECOVERING: (&str, &str) = ("上次留下的录音恢复不了", "cannot recover recordings in");

/// A call that is finished, by its last record.
#[derive(Debug, Clone, Copy)]
pub struct Finished {
    pub call: Uuid,
    pub last: Place,
}

pub struct Recorder {
    pub folders: Folders,
    pub recordings: PathBuf,
    pub mount: Mount,
    pub left: Left,
    pub began: Began,
    pub earlier: Earlier,
    pub finished: Receiver<Finished>,
    /// Tells the tape which calls it may forget.
    pub sealed: Sender<Uuid>,
    pub faults: Faults,
    /// What did not work, and when it is tried again.
    pub failed: VecDeque<(Mono, Work)>,
}

#[derive(Debug, Clone, Copy)]
pub enum Work {
    Recover,
    Seal(Finished),
}

impl Recorder {
    /// Until nobody can finish a call any more and each was tried.
    pub fn run(mut self) {
        self.begin(clock::mono());
        loop {
            let now = clock::mono();
            let due = self.failed.front().map_or(LOOK, |(due, _)| due.since(now));
            let patience = due.min(LOOK);
            match self.finished.recv_timeout(patience) {
                Ok(finished) => self.attempt(Work::Seal(finished), clock::mono()),
                Err(RecvTimeoutError::Timeout) => {}
                Err(RecvTimeoutError::Disconnected) => break,
            }
            self.turn(clock::mono());
        }
        self.leave();
    }

    /// First of all what an earlier run left.
    pub fn begin(&mut self, now: Mono) {
        self.look_at_the_folder();
        self.name_foreign();
        self.attempt(Work::Recover, now);
    }

    /// Does what is due.
    pub fn turn(&mut self, now: Mono) {
        while let Ok(finished) = self.finished.try_recv() {
            self.attempt(Work::Seal(finished), now);
        }
        self.look_at_the_folder();
        self.try_again(now);
    }

    /// That nothing can be kept there is told before the first call, not after it.
    fn look_at_the_folder(&mut self) {
        match self.mount.look().and_then(|()| owner::may_write(&self.recordings)) {
            Ok(()) => self.faults.mended(Matter::Folder),
            Err(fault) => {
                let why =
                    remedy(("录音文件夹写不进去", "cannot write into"), &self.recordings, &fault);
                self.faults.failed(Matter::Folder, why);
            }
        }
    }

    fn leave(mut self) {
        for (_, work) in std::mem::take(&mut self.failed) {
            self.attempt(work, clock::mono());
        }
        self.earlier.put_away(&self.folders, Mono(u64::MAX));
        if !self.failed.is_empty() {
            tracing::error!(
                calls = self.failed.len(),
                "calls are not sealed; the next start does it from the tape"
            );
        }
    }

    fn try_again(&mut self, now: Mono) {
        self.earlier.put_away(&self.folders, now);
        while let Some((_, work)) = self.failed.pop_front_if(|(due, _)| *due <= now) {
            self.attempt(work, now);
        }
    }

    fn attempt(&mut self, work: Work, now: Mono) {
        let done = match work {
            Work::Recover => self.recover(),
            Work::Seal(finished) => self.seal(finished),
        };
        if !done {
            self.failed.push_back((now + AGAIN, work));
        }
    }

    fn seal(&mut self, Finished { call, last }: Finished) -> bool {
        if self.earlier.is_open(call) && !self.left.read {
            return false;
        }
        let sealed = self.mount.look().and_then(|()| {
            alone(|| {
                let spots = trace(&self.folders, last)?;
                let spots = self.earlier.spots(call).iter().copied().chain(spots);
                let spots: Vec<_> = spots.collect();
                seal(&self.folders, &self.recordings, call, &spots)
            })
        });
        let matter = Matter::Sealing(call);
        match sealed {
            Ok(sealed) => {
                let resumed = self.earlier.sealed(call, clock::mono());
                let sealed = Sealed { resumed, ..sealed };
                self.faults.tell(Event::Sealed(Box::new(sealed)));
                self.faults.mended(matter);
                // The tape is gone only when this thread is about to end too.
                let _ = self.sealed.send(call);
                true
            }
            Err(fault) => {
                self.faults.failed(
                    matter,
                    remedy(
                        ("录音存不进去", "cannot seal a recording in"),
                        &self.recordings,
                        &fault,
                    ),
                );
                false
            }
        }
    }

    fn name_foreign(&self) {
        for path in &self.left.foreign {
            tracing::warn!(path = %path.display(), "a file in the tape's folder is not of the tape; it is left alone");
        }
    }

    /// Every call of the earlier run is sealed, then its segments go. False while something is left to do.
    fn recover(&mut self) -> bool {
        let unlisted = self.look_again();
        let refused = match self.left.segments.is_empty() {
            true => None,
            false => self.recover_what_is_left(),
        };
        self.left.read |= self.left.segments.is_empty() && unlisted.is_none();
        let refused = refused.map(|(path, fault)| remedy(RECOVERING, &path, &fault));
        let refused = refused.or(unlisted);
        let is_done = refused.is_none();
        match refused {
            Some(why) => self.faults.failed(Matter::Recovery, why),
            None => self.faults.mended(Matter::Recovery),
        }
        self.put_away() && is_done
    }

    /// Why one of the tape's folders cannot be looked into.
    fn look_again(&mut self) -> Option<String> {
        if self.left.unlisted.is_empty() {
            return None;
        }
        let unread = self.left.look_again(&self.folders, self.began);
        if unread.is_empty() {
            self.name_foreign();
        }
        let (folder, fault) = unread.first()?;
        Some(remedy(UNLISTED, folder, fault))
    }

    /// What the disk refused.
    fn recover_what_is_left(&mut self) -> Option<(PathBuf, io::Error)> {
        let mut found = recover::read(&self.folders, &self.left.segments);
        let mut refused = None;
        self.left.read = found.unread.is_empty() && self.left.unlisted.is_empty();
        if self.left.read {
            self.earlier.take(&found);
        }
        let mut needed: BTreeSet<u32> = found.unread.keys().copied().collect();
        for (call, spots) in &found.calls {
            if self.left.sealed.contains(call) || self.left.read && self.earlier.is_open(*call) {
                continue;
            }
            let waits = self.earlier.is_open(*call)
                || found.may_lack(*call, spots)
                || found.torn.contains(call) && !self.left.unlisted.is_empty();
            let seal = || seal(&self.folders, &self.recordings, *call, spots);
            match (!waits).then(|| self.mount.look().and_then(|()| alone(seal))) {
                Some(Ok(sealed)) => {
                    let interrupted = sealed.interrupted || found.torn.contains(call);
                    let sealed = Sealed { interrupted, ..sealed };
                    self.faults.tell(Event::Sealed(Box::new(sealed)));
                    self.left.sealed.insert(*call);
                    continue;
                }
                Some(Err(fault)) => refused = Some((self.recordings.clone(), fault)),
                None => {}
            }
            needed.extend(spots.iter().map(|spot| spot.place.segment));
        }
        let over = std::mem::take(&mut self.left.segments);
        let (left, over) = over.into_iter().partition(|segment| needed.contains(segment));
        self.left.segments = left;
        for segment in over {
            if !self.earlier.needs(segment) {
                self.left.over.push_back((segment, found.damaged.contains(&segment)));
            }
        }
        let unread = found.unread.pop_first();
        refused.or(unread.map(|(segment, fault)| (self.folders.segment(segment), fault)))
    }

    /// Segments whose calls are all sealed, the oldest first.
    fn put_away(&mut self) -> bool {
        while let Some(&(segment, damaged)) = self.left.over.front() {
            let path = self.folders.segment(segment);
            if let Err(fault) = recover::put_away(&self.folders, segment, damaged) {
                tracing::warn!(path = %path.display(), %fault, "cannot put away a segment of the tape whose calls are sealed");
                // Nor those after it: of a call that is on both, one alone would be taken for all of it.
                return false;
            }
            if damaged {
                let why = format!(
                    "{damaged} 已损坏，能读出的录音已保存，原文件留待检查；请检查磁盘 · {damaged} is damaged: what could be read of it is sealed; the file is kept for examination. Check the disk",
                    damaged = path.with_extension("tape.damaged").display()
                );
                self.faults.failed(Matter::Recovery, why);
                self.faults.mended(Matter::Recovery);
            }
            self.left.over.pop_front();
        }
        true
    }
}

/// A panic is the matter of this call alone.
fn alone<T>(work: impl FnOnce() -> io::Result<T>) -> io::Result<T> {
    catch_unwind(AssertUnwindSafe(work)).unwrap_or_else(|_| {
        Err(io::Error::other("a fault of the program keeps the call from being sealed: report it"))
    })
}
