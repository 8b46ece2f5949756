//! The tape thread: from the spill to the running tape, every 100 ms, with one `fdatasync` a second.

use super::ears::Ears;
use super::faults::{Faults, Matter, remedy};
use super::record::Head;
use super::recorder::Finished;
use super::segments::Segments;
use super::spill::Frames;
use super::{Backlog, Event};
use crate::io::clock;
use crate::protocol::now::Mono;
use std::collections::VecDeque;
use std::io;
use std::path::PathBuf;
use std::sync::atomic::Ordering;
use std::sync::mpsc::{Receiver, RecvTimeoutError, Sender};
use std::thread;
use std::time::Duration;
use uuid::Uuid;

/// What a killed daemon loses at most, of the second that recording.md allows; what a call said meanwhile stands
/// together on the tape.
const TURN: Duration = Duration::from_millis(100);
const SYNC: Duration = Duration::from_secs(1);
/// After a write that failed memory keeps what comes, up to its measure.
const AGAIN: Duration = Duration::from_millis(if cfg!(test) { 30 } else { 1000 });
/// How long a stopping daemon waits for a disk that does not take the rest.
const LAST_TRIES: Duration = Duration::from_secs(5);
/// How long a sealed call stays on the tape: if the daemon dies before the log knows of it, the next start tells again.
const KEEP: Duration = Duration::from_secs(60);
/// Frames written at once.
const BATCH: usize = 2048;

pub struct Writer {
    pub feed: Frames,
    pub backlog: Backlog,
    pub segments: Segments,
    pub finished: Sender<Finished>,
    pub sealed: Receiver<Uuid>,
    pub faults: Faults,
    pub ears: Ears,
    pub folder: PathBuf,
    /// What is taken from the feed and not written yet.
    pub frames: Vec<(Head, Vec<u8>)>,
    pub spare: Vec<Vec<u8>>,
    /// Sealed calls, and when the tape may forget each.
    pub kept: VecDeque<(Mono, Uuid)>,
}

impl Writer {
    /// Until the media thread is gone and every finished call is sealed.
    pub fn run(mut self) {
        let mut synced = clock::mono();
        let mut again = synced;
        let mut ended: Option<Mono> = None;
        loop {
            let now = clock::mono();
            self.backlog.0.store(self.feed.waiting(), Ordering::Relaxed);
            if now >= again && !self.drain() {
                again = now + AGAIN;
            }
            if now.since(synced) >= SYNC {
                synced = now;
                self.sync();
            }
            if let Some(progress) = self.ears.turn(now) {
                self.faults.tell(Event::Progress(progress));
            }
            while let Some((_, call)) = self.kept.pop_front_if(|(due, _)| *due <= now) {
                self.segments.forget(call);
            }
            if self.feed.ended() {
                let since = *ended.get_or_insert(now);
                if self.frames.is_empty() && self.feed.is_empty() || now.since(since) > LAST_TRIES {
                    break;
                }
            }
            self.wait();
        }
        if !self.frames.is_empty() {
            tracing::error!("the tape stops with packets that the disk did not take");
        }
        self.sync();
        drop(self.finished);
        for call in self.kept.into_iter().map(|(_, call)| call).chain(&self.sealed) {
            self.segments.forget(call);
        }
        self.segments.close();
    }

    /// False when the disk does not take it.
    fn drain(&mut self) -> bool {
        loop {
            while self.frames.len() < BATCH {
                let mut packet = self.spare.pop().unwrap_or_default();
                match self.feed.pop(&mut packet) {
                    Some(head) => self.frames.push((head, packet)),
                    None => {
                        self.spare.push(packet);
                        break;
                    }
                }
            }
            if self.frames.is_empty() {
                return true;
            }
            match self.segments.append(&self.frames) {
                Ok(finished) => {
                    self.faults.mended(Matter::Tape);
                    self.ears.hear(&self.frames);
                    self.spare.extend(self.frames.drain(..).map(|(_, packet)| packet));
                    for (call, last) in finished {
                        // The recorder is gone only when it panicked; the next start recovers the call.
                        let _ = self.finished.send(Finished { call, last });
                    }
                }
                Err(fault) => {
                    self.fail(&fault);
                    return false;
                }
            }
        }
    }

    fn sync(&mut self) {
        match self.segments.sync() {
            Ok(()) => self.ears.synced(),
            Err(fault) => self.fail(&fault),
        }
    }

    fn fail(&self, fault: &io::Error) {
        self.faults.failed(Matter::Tape, remedy("cannot write the tape in", &self.folder, fault));
    }

    fn wait(&mut self) {
        match self.sealed.recv_timeout(TURN) {
            Ok(call) => self.kept.push_back((clock::mono() + KEEP, call)),
            Err(RecvTimeoutError::Timeout) => {}
            Err(RecvTimeoutError::Disconnected) => thread::sleep(TURN),
        }
    }
}
