//! From the media thread to the tape thread: a ring of bytes that never makes the media thread wait.

use super::record::{HEAD, Head, RECORD_MAX};
use rtrb::{Consumer, Producer, RingBuffer};

/// Two seconds of a disk that does not answer, with every channel in use.
const BYTES_PER_CHANNEL: usize = 24 * 1024;
const BYTES_MIN: usize = 4 * 1024 * 1024;

/// The media thread's end.
pub struct TapeHead {
    ring: Producer<u8>,
}

/// The tape thread's end.
pub struct TapeFeed {
    ring: Consumer<u8>,
    head: Option<Head>,
}

pub fn ring(channels: u16) -> (TapeHead, TapeFeed) {
    with_capacity(BYTES_MIN.max(usize::from(channels) * BYTES_PER_CHANNEL))
}

fn with_capacity(bytes: usize) -> (TapeHead, TapeFeed) {
    let (producer, consumer) = RingBuffer::new(bytes);
    (TapeHead { ring: producer }, TapeFeed { ring: consumer, head: None })
}

impl TapeHead {
    /// False when there is no room, or the packet is longer than any we take.
    pub fn push(&mut self, head: &Head, packet: &[u8]) -> bool {
        let mut frame = [0; RECORD_MAX];
        let length = HEAD + packet.len();
        let Some(body) = frame.get_mut(HEAD..length) else { return false };
        body.copy_from_slice(packet);
        frame[..HEAD].copy_from_slice(&head.to_bytes());
        self.ring.push_entire_slice(&frame[..length]).is_ok()
    }
}

impl TapeFeed {
    /// The next frame; its packet is put into `packet`.
    pub fn pop(&mut self, packet: &mut Vec<u8>) -> Option<Head> {
        if self.head.is_none() {
            let mut bytes = [0; HEAD];
            self.ring.pop_entire_slice(&mut bytes).ok()?;
            self.head = Head::from_bytes(&bytes);
        }
        let head = self.head?;
        packet.clear();
        packet.resize(usize::from(head.length), 0);
        self.ring.pop_entire_slice(packet).ok()?;
        self.head = None;
        Some(head)
    }

    /// The media thread is gone and everything it left was popped.
    pub fn ended(&self) -> bool {
        self.ring.is_abandoned() && self.ring.is_empty()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::protocol::now::Mono;
    use uuid::Uuid;

    #[test]
    fn frames_come_out_as_they_went_in_also_around_the_end_of_the_ring() {
        let (mut tape, mut feed) = with_capacity(1000);
        let mut packet = Vec::new();
        for n in 0..500u64 {
            let sent = vec![n as u8; (n % 300) as usize];
            let head =
                Head { length: sent.len() as u16, ..Head::finished(Uuid::from_u128(7), Mono(n)) };
            assert!(tape.push(&head, &sent));
            assert_eq!(feed.pop(&mut packet), Some(head));
            assert_eq!(packet, sent);
            assert_eq!(feed.pop(&mut packet), None);
        }
        drop(tape);
        assert!(feed.ended());
    }

    #[test]
    fn a_full_ring_refuses_and_goes_on() {
        let (mut tape, mut feed) = with_capacity(HEAD * 3 + 10);
        let head = Head::finished(Uuid::from_u128(7), Mono(1));
        let taken = (0..10).filter(|_| tape.push(&head, &[])).count();
        assert_eq!(taken, 3);
        let mut packet = Vec::new();
        assert!(feed.pop(&mut packet).is_some());
        assert!(tape.push(&head, &[]));
        assert!(!tape.push(&Head { length: 1600, ..head }, &[0; 1600]), "too long for any record");
        drop(tape);
        assert!(!feed.ended(), "three are left");
    }
}
