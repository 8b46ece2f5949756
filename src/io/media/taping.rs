//! What the media thread gives to the tape: packets, and marks, which must not be lost. A packet that the ring has no room
//! for is counted, and the count is marked as soon as there is room.

use crate::io::tape::TapeHead;
use crate::io::tape::record::{Head, Kind, Lost};
use crate::protocol::now::Mono;
use crate::protocol::rtp::relay::Tag;
use crate::protocol::rtp::{Channel, Party};
use std::collections::VecDeque;
use uuid::Uuid;

/// A record without a packet, and what stands in its place.
type Mark = (Head, [u8; Lost::BYTES]);

pub struct Taping {
    tape: TapeHead,
    /// Beginnings and ends of channels and calls, and what was lost, that the full ring had no room for.
    marks: VecDeque<Mark>,
    /// By channel, what its party said and what we said to it: the first packet that is lost and not marked, how many.
    lost: Vec<Option<(Head, u64)>>,
}

impl Taping {
    pub fn new(tape: TapeHead, channels: u16, marks: usize) -> Self {
        let lost = vec![None; 2 * usize::from(channels)];
        Self { tape, marks: VecDeque::with_capacity(marks), lost }
    }

    /// False when there is no room for it.
    pub fn packet(&mut self, channel: Channel, head: &Head, bytes: &[u8]) -> bool {
        let Some(lost) = self.lost.get_mut(of(channel, head.party)) else { return false };
        if let Some(before) = lost.take_if(|before| before.0.call == head.call) {
            let (head, body) = mark(before, head.arrival);
            if !self.tape.push(&head, &body) {
                *lost = Some(before);
            }
        }
        if lost.is_none() && self.tape.push(head, bytes) {
            return true;
        }
        lost.get_or_insert((*head, 0)).1 += 1;
        self.tape.lose();
        false
    }

    /// Of a channel that is lent or taken back.
    pub fn channel(&mut self, kind: Kind, tag: &Tag, channel: Channel, now: Mono) {
        let (mut body, number) = ([0; Lost::BYTES], channel.0.to_be_bytes());
        body[..2].copy_from_slice(&number);
        self.say_what_is_lost(now, |at| at / 2 == usize::from(channel.0), |_| true);
        self.marks.push_back((Head::of(kind, tag, now, number.len() as u16), body));
    }

    /// Nothing of the call comes any more.
    pub fn finished(&mut self, call: Uuid, ended: Mono) {
        self.say_what_is_lost(ended, |_| true, |head| head.call == call);
        self.marks.push_back((Head::finished(call, ended), [0; Lost::BYTES]));
    }

    fn say_what_is_lost(
        &mut self,
        now: Mono,
        channel: impl Fn(usize) -> bool,
        call: impl Fn(&Head) -> bool,
    ) {
        for (at, lost) in self.lost.iter_mut().enumerate() {
            if channel(at)
                && let Some(lost) = lost.take_if(|(head, _)| call(head))
            {
                self.marks.push_back(mark(lost, now));
            }
        }
    }

    /// As far as there is room.
    pub fn write_marks(&mut self) {
        while let Some((head, body)) = self.marks.front() {
            if !self.tape.push(head, &body[..usize::from(head.length)]) {
                return;
            }
            self.marks.pop_front();
        }
    }

    /// Marks wait for room.
    pub fn waits(&self) -> bool {
        !self.marks.is_empty()
    }
}

fn of(channel: Channel, party: Party) -> usize {
    2 * usize::from(channel.0) + usize::from(party == Party::Prompt)
}

/// Of packets that are lost, from the first of them until now.
fn mark((first, packets): (Head, u64), now: Mono) -> Mark {
    let lost = Lost { since: first.arrival, packets };
    let arrival = now.max(first.arrival);
    (Head { kind: Kind::Lost, length: Lost::BYTES as u16, arrival, ..first }, lost.to_bytes())
}
