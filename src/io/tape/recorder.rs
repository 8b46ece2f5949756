//! The thread that seals and renders finished calls, and first of all those an earlier run left.

use super::earlier::Earlier;
use super::faults::{Faults, Matter, remedy};
use super::record::Place;
use super::recover::{self, Left};
use super::seal::{seal, trace};
use super::{Event, Sealed, TapePlan};
use crate::io::clock;
use crate::protocol::now::Mono;
use std::collections::VecDeque;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::mpsc::{Receiver, RecvTimeoutError, Sender};
use std::time::Duration;
use uuid::Uuid;

/// How long to wait before what failed is tried again.
const AGAIN: Duration = Duration::from_millis(if cfg!(test) { 30 } else { 10_000 });

/// A call that is finished, by its last record.
#[derive(Debug, Clone, Copy)]
pub struct Finished {
    pub call: Uuid,
    pub last: Place,
}

pub struct Recorder {
    pub folder: PathBuf,
    pub recordings: PathBuf,
    pub left: Left,
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
    /// The folder of the running tape.
    pub fn folder(plan: &TapePlan) -> PathBuf {
        plan.data.join("tape")
    }

    /// Until nobody can finish a call any more and each was tried.
    pub fn run(mut self) {
        self.begin(clock::mono());
        loop {
            let now = clock::mono();
            let patience = self.failed.front().map_or(AGAIN, |(due, _)| due.since(now));
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
        self.name_foreign();
        self.attempt(Work::Recover, now);
    }

    /// Does what is due.
    pub fn turn(&mut self, now: Mono) {
        while let Ok(finished) = self.finished.try_recv() {
            self.attempt(Work::Seal(finished), now);
        }
        self.try_again(now);
    }

    fn leave(mut self) {
        for (_, work) in std::mem::take(&mut self.failed) {
            self.attempt(work, clock::mono());
        }
        self.earlier.put_away(&self.folder, Mono(u64::MAX));
        if !self.failed.is_empty() {
            tracing::error!(
                calls = self.failed.len(),
                "calls are not sealed; the next start does it from the tape"
            );
        }
    }

    fn try_again(&mut self, now: Mono) {
        self.earlier.put_away(&self.folder, now);
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
        if self.earlier.is_open(call) && !self.left.segments.is_empty() {
            return false;
        }
        let sealed = trace(&self.folder, last).and_then(|spots| {
            let spots = self.earlier.spots(call).iter().copied().chain(spots);
            let spots: Vec<_> = spots.collect();
            seal(&self.folder, &self.recordings, call, &spots)
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
                self.faults
                    .failed(matter, remedy("cannot seal a recording in", &self.recordings, &fault));
                false
            }
        }
    }

    fn name_foreign(&self) {
        for path in &self.left.foreign {
            tracing::warn!(path = %path.display(), "a file in the tape's folder is not of the tape; it is left alone");
        }
    }

    /// Every call of the earlier run is sealed, then its segments go.
    fn recover(&mut self) -> bool {
        if self.left.segments.is_empty() {
            return true;
        }
        match self.recover_all() {
            Ok(damaged) => {
                self.left.segments.clear();
                for path in damaged {
                    let why = format!(
                        "{} is damaged: what could be read of it is sealed; the file is kept for examination. Check the disk",
                        path.display()
                    );
                    self.faults.failed(Matter::Recovery, why);
                }
                self.faults.mended(Matter::Recovery);
                true
            }
            Err((path, fault)) => {
                self.faults.failed(
                    Matter::Recovery,
                    remedy("cannot recover recordings in", &path, &fault),
                );
                false
            }
        }
    }

    fn recover_all(&mut self) -> Result<Vec<PathBuf>, (PathBuf, io::Error)> {
        let folder = self.folder.clone();
        let in_tape = |fault| (folder.clone(), fault);
        let found = recover::read(&self.folder, &self.left.segments).map_err(in_tape)?;
        self.earlier.take(&found);
        for (call, spots) in &found.calls {
            if self.earlier.is_open(*call) {
                continue;
            }
            let sealed = seal(&self.folder, &self.recordings, *call, spots)
                .map_err(|fault| (self.recordings.clone(), fault))?;
            self.faults.tell(Event::Sealed(Box::new(sealed)));
        }
        let mut kept = Vec::new();
        for segment in &self.left.segments {
            let damaged = found.damaged.contains(segment);
            if self.earlier.needs(*segment) {
                continue;
            }
            recover::put_away(&self.folder, *segment, damaged).map_err(in_tape)?;
            if damaged {
                kept.push(damaged_name(&self.folder, *segment));
            }
        }
        Ok(kept)
    }
}

fn damaged_name(folder: &Path, segment: u32) -> PathBuf {
    super::segments::path(folder, segment).with_extension("tape.damaged")
}
