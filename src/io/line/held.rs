//! An INVITE of ours waits until what a next run must know of it is written, for a moment at most: no phone rings of
//! which nobody knows. Whatever else is sent does not wait.

use crate::protocol::now::{Deadline, Mono};
use crate::protocol::sip::Transmit;
use std::collections::VecDeque;
use std::time::Duration;

/// A disk that does not write holds up no call for longer.
const PATIENCE: Duration = Duration::from_millis(20);

/// In the order in which they are to be sent, which is that of the changes too.
#[derive(Debug, Default)]
pub struct Held {
    waiting: VecDeque<(u64, Mono, Transmit)>,
}

impl Held {
    /// Until the change of this number is written.
    pub fn hold(&mut self, transmit: Transmit, change: u64, now: Mono) {
        self.waiting.push_back((change, now + PATIENCE, transmit));
    }

    /// The next one that need not wait any more: changes up to this number are written.
    pub fn poll(&mut self, written: u64, now: Mono) -> Option<Transmit> {
        let due =
            |(change, until, _): &mut (u64, Mono, Transmit)| *change <= written || *until <= now;
        self.waiting.pop_front_if(due).map(|(_, _, transmit)| transmit)
    }

    pub fn is_empty(&self) -> bool {
        self.waiting.is_empty()
    }

    pub fn deadline(&self) -> Option<Deadline> {
        self.waiting.front().map(|(_, until, _)| (*until, "the keeper of the calls is slow"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::protocol::sip::{Peer, Transport};

    fn transmit(n: u8) -> Transmit {
        let to = Peer { transport: Transport::Udp, addr: ([192, 0, 2, 1], 5060).into() };
        Transmit { to, bytes: vec![n] }
    }

    #[test]
    fn sig_36_an_invite_leaves_when_it_is_written_and_in_its_turn() {
        let mut held = Held::default();
        for n in 1..=3 {
            held.hold(transmit(n), u64::from(n), Mono(0));
        }
        assert_eq!(held.poll(0, Mono(1)), None);
        assert_eq!(held.poll(2, Mono(1)), Some(transmit(1)));
        assert_eq!(held.poll(2, Mono(1)), Some(transmit(2)));
        assert_eq!(held.poll(2, Mono(1)), None);
        let (due, _) = held.deadline().unwrap();
        assert_eq!((due, held.poll(2, due)), (Mono(0) + PATIENCE, Some(transmit(3))));
        assert!(held.is_empty() && held.deadline().is_none());
    }
}
