//! The tape thread: from the spill to the running tape, every 100 ms, with one `fdatasync` in 800 ms, three where many speak.

use super::alive::Alive;
use super::ears::Ears;
use super::faults::{Faults, Matter, remedy};
use super::folders::{Choice, Folders};
use super::recall::Recall;
use super::record::{Head, Place};
use super::recorder::Finished;
use super::segments::Segments;
use super::spill::{Chunk, Frames};
use super::{Backlog, Elsewhere, Event};
use crate::io::clock;
use crate::protocol::now::Mono;
use std::collections::VecDeque;
use std::io;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::atomic::Ordering;
use std::sync::mpsc::{Receiver, RecvTimeoutError, Sender};
use std::thread;
use std::time::Duration;
use uuid::Uuid;

/// What a killed daemon loses at most, of the second that recording.md allows; what a call said meanwhile stands
/// together on the tape.
const TURN: Duration = Duration::from_millis(100);
/// With a turn, and what a disk takes for it, below the second that a power cut may cost.
const SYNC: Duration = Duration::from_millis(if cfg!(test) { 100 } else { 800 });
/// So many bytes that are not safe yet wait for a third of that: they are kept in memory too.
const MUCH: usize = 512 * 1024;
/// After a write that failed memory keeps what comes, up to its measure.
const AGAIN: Duration = Duration::from_millis(if cfg!(test) { 30 } else { 1000 });
/// How long a stopping daemon waits for a disk that does not take the rest.
const LAST_TRIES: Duration = Duration::from_secs(5);
/// How long a sealed call stays on the tape: if the daemon dies before the log knows of it, the next start tells again.
const KEEP: Duration = Duration::from_secs(60);
/// Bytes written at once, and written before they are made safe.
const BATCH: usize = 512 * 1024;
const UNSYNCED: usize = 8 * BATCH;

pub struct Writer {
    pub feed: Frames,
    pub backlog: Backlog,
    pub segments: Segments,
    pub finished: Sender<Finished>,
    pub sealed: Receiver<Uuid>,
    pub faults: Faults,
    pub ears: Ears,
    pub recall: Recall,
    pub folders: Folders,
    pub choice: Choice,
    /// What is taken from the feed and not written yet.
    pub frames: Vec<Chunk>,
    /// What is written and not safe yet: a disk that fails may have lost it, and is not asked again.
    pub unsynced: Vec<Chunk>,
    /// Calls whose end is among those.
    pub ended: Vec<Finished>,
    /// Sealed calls, and when the tape may forget each.
    pub kept: VecDeque<(Mono, Uuid)>,
    pub times: Times,
    pub alive: Alive,
    /// What its own disk said last.
    pub refused: String,
    /// Since something was kept.
    pub panics: u32,
}

/// When the tape was synced, may be written again, and had nobody left who speaks.
#[derive(Debug, Default)]
pub struct Times {
    synced: Option<Mono>,
    again: Option<Mono>,
    deserted: Option<Mono>,
}

impl Writer {
    /// Until the media thread is gone and every finished call is sealed.
    pub fn run(mut self) {
        while self.turn(clock::mono()) {
            self.wait();
        }
        self.leave();
    }

    /// Does what is due. False when nothing can come any more. A panic costs nothing that memory still has.
    pub fn turn(&mut self, now: Mono) -> bool {
        catch_unwind(AssertUnwindSafe(|| self.work(now))).unwrap_or_else(|_| {
            self.go_on_after_a_panic();
            true
        })
    }

    fn work(&mut self, now: Mono) -> bool {
        self.alive.is(now);
        self.backlog.0.store(self.feed.waiting(), Ordering::Relaxed);
        if self.choice.own_is_due(now) && self.sync(now) {
            self.choice.try_own();
            self.segments.go_to(self.choice.at());
        }
        if self.times.again.is_none_or(|again| now >= again) {
            self.times.again = (!self.drain(now)).then_some(now + AGAIN);
        }
        let patience = if bytes_of(&self.unsynced) >= MUCH { SYNC / 3 } else { SYNC };
        if self.times.synced.is_none_or(|synced| now.since(synced) >= patience) {
            self.times.synced = Some(now);
            self.sync(now);
        }
        if let Some(progress) = self.ears.turn(now) {
            self.faults.tell(Event::Progress(progress));
        }
        self.hear_of_sealed(now);
        while self.is_at_home()
            && let Some((_, call)) = self.kept.pop_front_if(|(due, _)| *due <= now)
        {
            self.segments.forget(call);
        }
        if !self.feed.ended() {
            return true;
        }
        let since = *self.times.deserted.get_or_insert(now);
        let empty = self.frames.is_empty() && self.feed.is_empty();
        !empty && now.since(since) <= LAST_TRIES
    }

    pub fn leave(mut self) {
        if !self.frames.is_empty() {
            tracing::error!("the tape stops with packets that the disk did not take");
        }
        self.sync(clock::mono());
        let forgets = self.is_at_home();
        drop(self.finished);
        for call in self.kept.into_iter().map(|(_, call)| call).chain(&self.sealed) {
            if forgets {
                self.segments.forget(call);
            }
        }
        self.segments.close();
    }

    /// Elsewhere nothing is forgotten: the log is on the same disk as the tape at home, and may not take what is sealed.
    fn is_at_home(&self) -> bool {
        self.choice.at() == 0
    }

    /// False when the disk does not take it.
    fn drain(&mut self, now: Mono) -> bool {
        loop {
            if self.segments.is_full() {
                if !self.sync(now) {
                    return false;
                }
                self.segments.close();
            }
            while bytes_of(&self.frames) < BATCH
                && let Some(chunk) = self.feed.pop()
            {
                self.frames.push(chunk);
            }
            if self.frames.is_empty() {
                return true;
            }
            let frames: Vec<_> = self.frames.iter().flat_map(Chunk::frames).collect();
            let appended = match self.panics {
                0 | 1 => self.segments.append(&frames),
                _ => one_by_one(&mut self.segments, &frames),
            };
            match appended {
                Ok(finished) => {
                    self.recall.set(self.segments.last());
                    self.ears.hear(&frames);
                    self.unsynced.append(&mut self.frames);
                    let finished = finished.into_iter();
                    self.ended.extend(finished.map(|(call, last)| Finished { call, last }));
                }
                Err(fault) => {
                    if !self.fail(&fault, now) {
                        return false;
                    }
                }
            }
            if bytes_of(&self.unsynced) >= UNSYNCED && !self.sync(now) {
                return false;
            }
        }
    }

    /// Makes safe what is written; what is finished may be sealed then. False when the disk does not do it.
    fn sync(&mut self, now: Mono) -> bool {
        match self.segments.sync() {
            Err(fault) => {
                self.fail(&fault, now);
                return false;
            }
            Ok(false) => {}
            Ok(true) => self.has_kept(),
        }
        self.unsynced.clear();
        if self.frames.is_empty() {
            self.ears.synced();
            self.faults.mended(Matter::Tape);
        }
        for finished in self.ended.drain(..) {
            // The recorder is gone only when it panicked; the next start recovers the call.
            let _ = self.finished.send(finished);
        }
        true
    }

    fn has_kept(&mut self) {
        self.panics = 0;
        self.faults.mended(Matter::Panicked);
        if let Some(place) = self.choice.kept() {
            let elsewhere = (place != 0).then(|| Elsewhere {
                folder: self.folders.at(place).to_owned(),
                why: self.refused.clone(),
            });
            self.faults.tell(Event::Elsewhere(elsewhere));
        }
    }

    /// What is not safe goes to another file, from memory. True where another disk is to be asked for it at once.
    fn fail(&mut self, fault: &io::Error, now: Mono) -> bool {
        let was = self.choice.at();
        let why = remedy(("录音写不进去", "cannot write the tape in"), self.folders.at(was), fault);
        let elsewhere = self.choice.refused(&self.folders, now);
        self.write_again();
        if was == 0 {
            self.refused.clone_from(&why);
        }
        if !elsewhere {
            self.faults.failed(Matter::Tape, why);
        }
        elsewhere
    }

    /// From where everything was safe.
    fn write_again(&mut self) {
        self.segments.go_back();
        self.segments.go_to(self.choice.at());
        self.ended.clear();
        self.unsynced.append(&mut self.frames);
        std::mem::swap(&mut self.unsynced, &mut self.frames);
    }

    fn go_on_after_a_panic(&mut self) {
        self.panics += 1;
        self.ears = Ears::default();
        self.write_again();
        let why = "程序出错，正在从内存续录，请报告 · the tape thread has panicked and goes on from memory: report it".to_owned();
        self.faults.failed(Matter::Panicked, why);
    }

    fn hear_of_sealed(&mut self, now: Mono) {
        while let Ok(call) = self.sealed.try_recv() {
            self.kept.push_back((now + KEEP, call));
        }
    }

    fn wait(&mut self) {
        match self.sealed.recv_timeout(TURN) {
            Ok(call) => self.kept.push_back((clock::mono() + KEEP, call)),
            Err(RecvTimeoutError::Timeout) => {}
            Err(RecvTimeoutError::Disconnected) => thread::sleep(TURN),
        }
    }
}

/// What nothing but a fault of the program keeps from the tape is left out, so that the rest is on it.
fn one_by_one(segments: &mut Segments, frames: &[(Head, &[u8])]) -> io::Result<Vec<(Uuid, Place)>> {
    let mut finished = vec![];
    for frame in frames {
        let one = AssertUnwindSafe(|| segments.append(std::slice::from_ref(frame)));
        match catch_unwind(one) {
            Ok(ended) => finished.extend(ended?),
            Err(_) => tracing::error!(call = %frame.0.call, "a packet is left out of the tape"),
        }
    }
    Ok(finished)
}

fn bytes_of(chunks: &[Chunk]) -> usize {
    chunks.iter().map(Chunk::bytes).sum()
}
