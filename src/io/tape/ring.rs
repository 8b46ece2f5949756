//! From the media thread to the tape thread: a ring of bytes that never makes the media thread wait.

use super::record::{HEAD, Head, RECORD_MAX};
use rtrb::{Consumer, Producer, RingBuffer};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

/// A third of a second with every channel in use; the ring is emptied every 20 ms.
const BYTES_PER_CHANNEL: usize = 4 * 1024;
const BYTES_MIN: usize = 64 * 1024;

/// The media thread's end.
pub struct TapeHead {
    ring: Producer<u8>,
    lost: Arc<AtomicU64>,
    frame: Box<[u8; RECORD_MAX]>,
}

/// The end that is emptied beside the media thread.
pub struct TapeFeed {
    ring: Consumer<u8>,
    lost: Arc<AtomicU64>,
    channels: u16,
}

pub fn ring(channels: u16) -> (TapeHead, TapeFeed) {
    with_capacity(channels, BYTES_MIN.max(usize::from(channels) * BYTES_PER_CHANNEL))
}

fn with_capacity(channels: u16, bytes: usize) -> (TapeHead, TapeFeed) {
    let (producer, consumer) = RingBuffer::new(bytes);
    let lost = Arc::<AtomicU64>::default();
    (
        TapeHead { ring: producer, lost: Arc::clone(&lost), frame: Box::new([0; RECORD_MAX]) },
        TapeFeed { ring: consumer, lost, channels },
    )
}

impl TapeHead {
    /// False when there is no room, or the packet is longer than any we take.
    pub fn push(&mut self, head: &Head, packet: &[u8]) -> bool {
        let frame = &mut *self.frame;
        let length = HEAD + packet.len();
        let Some(body) = frame.get_mut(HEAD..length) else { return false };
        body.copy_from_slice(packet);
        frame[..HEAD].copy_from_slice(&head.to_bytes());
        self.ring.push_entire_slice(&frame[..length]).is_ok()
    }

    /// A packet that there was no room for is given up: whoever empties the ring learns of it.
    pub fn lose(&self) {
        self.lost.fetch_add(1, Ordering::Relaxed);
    }
}

impl TapeFeed {
    /// Everything that is in the ring: whole frames, since each is pushed at once.
    pub fn take(&mut self) -> Option<Vec<u8>> {
        let length = self.ring.slots();
        let mut frames = vec![0; length];
        (length > 0).then_some(())?;
        self.ring.pop_entire_slice(&mut frames).ok()?;
        Some(frames)
    }

    /// The media thread is gone and everything it left was taken.
    pub fn ended(&self) -> bool {
        self.ring.is_abandoned() && self.ring.is_empty()
    }

    /// Packets that were given up so far.
    pub fn lost(&self) -> u64 {
        self.lost.load(Ordering::Relaxed)
    }

    /// Channels whose packets come this way.
    pub fn channels(&self) -> u16 {
        self.channels
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::protocol::now::Mono;
    use uuid::Uuid;

    #[test]
    fn whole_frames_are_taken_also_around_the_end_of_the_ring() {
        let (mut tape, mut feed) = with_capacity(2, 1000);
        for n in 0..500u64 {
            let sent = vec![n as u8; (n % 300) as usize];
            let head =
                Head { length: sent.len() as u16, ..Head::finished(Uuid::from_u128(7), Mono(n)) };
            assert!(tape.push(&head, &sent));
            let frame = feed.take().expect("a frame");
            assert_eq!(Head::from_bytes(&frame), Some(head));
            assert_eq!(frame[HEAD..], sent);
            assert_eq!(feed.take(), None);
        }
        drop(tape);
        assert!(feed.ended());
    }

    #[test]
    fn a_full_ring_refuses_and_goes_on() {
        let (mut tape, mut feed) = with_capacity(2, HEAD * 3 + 10);
        let head = Head::finished(Uuid::from_u128(7), Mono(1));
        let taken = (0..10).filter(|_| tape.push(&head, &[])).count();
        assert_eq!(taken, 3);
        assert_eq!(feed.take().map(|frames| frames.len()), Some(3 * HEAD));
        assert!(tape.push(&head, &[]));
        assert!(!tape.push(&Head { length: 1600, ..head }, &[0; 1600]), "too long for any record");
        drop(tape);
        assert!(!feed.ended(), "one is left");
    }
}
