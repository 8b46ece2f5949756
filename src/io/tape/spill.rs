//! Between the ring and the tape thread: memory for what a disk that does not answer keeps waiting.

use super::alive::Alive;
use super::faults::{Faults, Matter};
use super::record::{HEAD, Head};
use super::ring::TapeFeed;
use super::taps::Taps;
use crate::io::clock;
use crate::io::stopped::Stops;
use crate::protocol::now::Mono;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::mpsc::{Receiver, Sender, channel};
use std::thread;
use std::time::Duration;

const TURN: Duration = Duration::from_millis(20);
/// 2 MiB a call, which has two channels: a minute and a half of a disk that does not answer.
const BYTES_PER_CHANNEL: usize = 1024 * 1024;

/// The tape comes round ten times a second; a disk that keeps it for so long is a matter for the officer.
const HUNG: Duration = Duration::from_millis(1800);

/// So long after the last packet that the ring had no room for it is well again.
const LOST_LATELY: Duration = Duration::from_secs(60);
const OVERFLOWS: &str = "主机太忙，有几句话没有录下，通话不受影响：请凭记忆补记，并停掉主机上的其他程序 · the host is too busy: packets are lost to the recording, not to the call; stop what else runs on it";

/// Empties the ring on a thread of its own, and sees from there whether the disk answers.
pub struct Spill {
    feed: TapeFeed,
    faults: Faults,
    tape: Alive,
    chunks: Sender<Chunk>,
    /// Bytes that wait. Each end sees by its count whether the other is still there.
    waiting: Arc<AtomicUsize>,
    most: usize,
    taps: Taps,
    /// Packets that the ring had no room for, as far as they are told, and since when no more came.
    lost: u64,
    lost_at: Option<Mono>,
    looked: Option<Mono>,
    stops: Stops,
    /// Taken from the ring and not handed on yet.
    held: Option<Chunk>,
    /// Hears of it.
    pub watch: Watch,
}

/// Hears of frames that were taken from the ring.
type Watch = Box<dyn FnMut(&[u8]) + Send>;

/// What was taken from the ring and waits for the disk.
pub struct Frames {
    chunks: Receiver<Chunk>,
    waiting: Arc<AtomicUsize>,
}

/// Frames that were taken from the ring at once, each whole.
#[derive(Debug)]
pub struct Chunk(Vec<u8>);

pub fn spill(feed: TapeFeed, faults: Faults, tape: Alive, taps: Taps) -> (Spill, Frames) {
    let most = usize::from(feed.channels()) * BYTES_PER_CHANNEL;
    let (sender, chunks) = channel();
    let waiting = Arc::new(AtomicUsize::new(0));
    let frames = Frames { chunks, waiting: Arc::clone(&waiting) };
    let spill = Spill {
        feed,
        faults,
        tape,
        chunks: sender,
        waiting,
        most,
        taps,
        lost: 0,
        lost_at: None,
        looked: None,
        stops: Stops::default(),
        held: None,
        watch: Box::new(|_| {}),
    };
    (spill, frames)
}

impl Spill {
    /// Until the media thread is gone and the ring is empty, or nobody reads.
    pub fn run(mut self) {
        while self.alone(Self::turn).unwrap_or(true) {
            self.alone(|own| own.look(clock::mono()));
            thread::sleep(TURN);
        }
    }

    /// A fault of the program costs nothing that was taken from the ring; the tape says when it goes on.
    fn alone<T>(&mut self, work: impl FnOnce(&mut Self) -> T) -> Option<T> {
        let done = catch_unwind(AssertUnwindSafe(|| work(self)));
        if done.is_err() {
            let why = "the spill thread has panicked and goes on: report it".to_owned();
            self.faults.failed(Matter::Panicked, why);
        }
        done.ok()
    }

    /// Whether the disk answers, and memory has room for what it does not take; whether the ring had room.
    pub fn look(&mut self, now: Mono) {
        let lost = self.feed.lost();
        if lost != self.lost {
            (self.lost, self.lost_at) = (lost, Some(now));
        }
        let is = |matter, wrong: bool, why: &str| match wrong {
            true => self.faults.failed(matter, why.to_owned()),
            false => self.faults.mended(matter),
        };
        let before = self.looked.replace(now).unwrap_or(now);
        self.stops.wakes(before, before + TURN, now);
        let hung = self.tape.last().is_some_and(|last| now.since(self.stops.since(last)) >= HUNG);
        let why = "磁盘没有响应，语音先存在内存里，只够一分半钟：请检查磁盘和线缆 · the disk does not answer: what is said is kept in memory for a minute and a half; check the disk and its cables";
        is(Matter::Hung, hung, why);
        let full = self.waiting.load(Ordering::Acquire) >= self.most;
        let why = "磁盘太久写不进去，内存已满，语音不再录下，通话不受影响：请更换磁盘 · the disk has not taken anything for too long and memory is full: packets are lost to the recording, not to the call; replace the disk";
        is(Matter::Full, full, why);
        let lately = self.lost_at.is_some_and(|at| now.since(at) < LOST_LATELY);
        is(Matter::Overflow, lately, OVERFLOWS);
    }

    /// Empties the ring once. False when nothing will come any more. Where too much waits, the ring keeps what it has
    /// room for; beyond that the media thread counts.
    pub fn turn(&mut self) -> bool {
        if self.held.is_none()
            && self.waiting.load(Ordering::Acquire) < self.most
            && let Some(frames) = self.feed.take()
        {
            self.waiting.fetch_add(frames.len(), Ordering::AcqRel);
            let chunk = self.held.insert(Chunk(frames));
            let hear = AssertUnwindSafe(|| self.taps.hear(chunk.frames()));
            if catch_unwind(hear).is_err() {
                tracing::error!("whoever listens has missed something; it is recorded");
            }
            (self.watch)(&chunk.0);
        }
        if let Some(chunk) = self.held.take()
            && self.chunks.send(chunk).is_err()
        {
            return false;
        }
        !self.feed.ended() && Arc::strong_count(&self.waiting) > 1
    }
}

impl Chunk {
    pub fn bytes(&self) -> usize {
        self.0.len()
    }

    pub fn frames(&self) -> impl Iterator<Item = (Head, &[u8])> {
        let mut rest = &self.0[..];
        std::iter::from_fn(move || {
            let head = Head::from_bytes(rest)?;
            let (frame, after) = rest.split_at_checked(HEAD + usize::from(head.length))?;
            rest = after;
            Some((head, &frame[HEAD..]))
        })
    }
}

impl Frames {
    pub fn pop(&mut self) -> Option<Chunk> {
        let chunk = self.chunks.try_recv().ok()?;
        self.waiting.fetch_sub(chunk.bytes(), Ordering::AcqRel);
        Some(chunk)
    }

    pub fn is_empty(&self) -> bool {
        self.waiting() == 0
    }

    /// Bytes that wait for the disk.
    pub fn waiting(&self) -> usize {
        self.waiting.load(Ordering::Acquire)
    }

    /// The media thread is gone, and what it left is here.
    pub fn ended(&self) -> bool {
        Arc::strong_count(&self.waiting) == 1
    }
}

#[cfg(test)]
mod tests {
    use super::super::ring::ring;
    use super::super::tests::spilled;
    use super::*;
    use uuid::Uuid;

    fn head(length: usize) -> Head {
        Head { length: length as u16, ..Head::finished(Uuid::from_u128(7), Mono(1)) }
    }

    #[test]
    fn frames_come_out_as_they_went_in() {
        let (mut tape, feed) = ring(2);
        let (mut spill, mut frames) = spilled(feed);
        for round in 0..20u8 {
            for n in 0..100 {
                assert!(tape.push(&head(n), &vec![round; n]));
            }
            assert!(spill.turn() && !frames.is_empty());
            let chunk = frames.pop().unwrap();
            let sent: Vec<_> = (0..100).map(|n| (head(n), vec![round; n])).collect();
            let came: Vec<_> = chunk.frames().map(|(head, body)| (head, body.to_vec())).collect();
            assert_eq!(came, sent);
            assert!(frames.is_empty() && frames.pop().is_none());
        }
        tape.push(&head(3), &[1, 2, 3]);
        drop(tape);
        assert!(!spill.turn(), "that was the last");
        assert!(!frames.ended());
        drop(spill);
        assert!(frames.ended() && !frames.is_empty());
        let last = frames.pop().unwrap();
        assert_eq!(last.frames().collect::<Vec<_>>(), [(head(3), &[1, 2, 3][..])]);
        assert!(frames.is_empty());
    }

    #[test]
    fn a_disk_that_does_not_answer_keeps_90_seconds_of_every_call_and_then_the_ring_is_full() {
        let (mut tape, feed) = ring(2);
        let (mut spill, mut frames) = spilled(feed);
        let voice = [0xd5; 172];
        let mut taken = 0;
        while tape.push(&head(172), &voice) {
            taken += 1;
            spill.turn();
        }
        assert!(taken > 2 * 50 * 90, "{taken} packets of two parties");
        let waits = frames.waiting();
        assert!((1_900_000..=(2 << 20) + HEAD + 172).contains(&waits), "2 MiB a call: {waits}");
        while frames.pop().is_some() {}
        spill.turn();
        assert!(tape.push(&head(172), &voice), "there is room again");
        drop(frames);
        assert!(!spill.turn(), "nobody reads");
    }
}
