//! What the switchboard must know again after `kill -9`: its calls, their sessions, where the
//! phones are that registered with it, and the facts that the log has not confirmed. Plain values, told piece by piece as they change; knows no file.

mod facts;

use super::call::Call;
use super::ids::{AttemptId, CallId};
use super::journal::{Fact, Noted};
use super::roster::Roster;
use super::switchboard::LeaderCall;
use crate::protocol::now::Now;
use crate::protocol::rtp::seam::Mark;
use crate::protocol::rtp::{Channel, Party};
use crate::protocol::sip::LegId;
use crate::protocol::sip::endpoint::checkpoint::{SavedLeg, SavedRegistration};
use crate::protocol::sip::phones::Binding;
use serde::{Deserialize, Serialize};
use std::collections::{BTreeMap, BTreeSet};
use std::net::IpAddr;
use std::time::Duration;

/// To be raised with every change that an older or newer program would misread.
pub const FORMAT: u32 = 11;
/// A call goes on after an outage of at most this: so long a peer repeats its BYE (RFC 3261
/// Timer F), so that we still hear of an end that we have missed.
pub const GOES_ON: Duration = Duration::from_secs(32);
/// Unconfirmed facts that are kept; as many as the log itself lets wait.
const FACTS_MAX: usize = 200_000;

/// The name of a piece.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub enum Key {
    Line,
    /// Where our own phones are.
    Phones,
    Leg(LegId),
    Call(CallId),
    Voice(Channel),
    /// By its place in the order of facts.
    Fact(u64),
}

#[derive(Debug, Clone, Serialize, Deserialize)]
pub enum Piece {
    Line {
        registration: SavedRegistration,
        media_address: IpAddr,
    },
    Phones(Vec<Binding>),
    /// `call`: whose it is.
    Leg {
        leg: Box<SavedLeg>,
        call: Option<CallId>,
    },
    Call {
        call: Box<Call>,
        lent: Vec<Lent>,
    },
    Voice(Mark),
    Fact(Box<Noted>),
}

/// A channel that a call has, and its RTP port.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Lent {
    pub channel: Channel,
    pub party: Party,
    pub port: u16,
}

/// What has changed up to a moment; `None` for a piece that is no more. The order counts.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Changes {
    pub at: Now,
    pub pieces: Vec<(Key, Option<Piece>)>,
}

/// What a log that takes the place of another may not end: calls in progress, and those whose end no log has confirmed.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct GoesOn {
    pub calls: BTreeSet<CallId>,
    /// Those to leaders, with every matter that is told of in them, but for what the log is told of as a fact.
    pub to_leaders: Vec<LeaderCall>,
}

/// Everything as it was at a moment.
#[derive(Debug, Clone, Default)]
pub struct Checkpoint {
    /// None: nothing was ever written down.
    pub at: Option<Now>,
    pub pieces: BTreeMap<Key, Piece>,
}

impl Checkpoint {
    pub fn apply(&mut self, changes: Changes) {
        self.at = Some(changes.at);
        for (key, piece) in changes.pieces {
            match piece {
                Some(piece) => self.pieces.insert(key, piece),
                None => self.pieces.remove(&key),
            };
        }
    }

    /// PINs are never written down: they are these people's.
    pub fn give_pins(&mut self, roster: &Roster) {
        for piece in self.pieces.values_mut() {
            if let Piece::Call { call, .. } = piece
                && let Call::Leader(leader) = call.as_mut()
            {
                leader.give_pin(roster);
            }
        }
    }

    /// The whole as one change, from nothing.
    pub fn as_changes(&self, at: Now) -> Changes {
        let pieces = self.pieces.iter().map(|(key, piece)| (*key, Some(piece.clone())));
        Changes { at, pieces: pieces.collect() }
    }

    /// Calls of which the switchboard itself tells how they went on or ended, each attempt that is made in another's
    /// call among them.
    pub fn calls(&self) -> BTreeSet<CallId> {
        let known = |(key, piece): (&Key, &Piece)| match (key, piece) {
            (Key::Call(call), _) => Some(*call),
            (_, Piece::Fact(noted)) => ended(&noted.fact),
            (Key::Line | Key::Phones | Key::Leg(_) | Key::Voice(_) | Key::Fact(_), _) => None,
        };
        let told_of = self.to_leaders().into_iter().map(|order| order.attempt.into());
        self.pieces.iter().filter_map(known).chain(told_of).collect()
    }

    /// Calls to leaders that go on, with every matter that is told of in them.
    pub fn to_leaders(&self) -> Vec<LeaderCall> {
        let told = |piece: &Piece| match piece {
            Piece::Call { call, .. } => call.told(),
            Piece::Line { .. }
            | Piece::Phones(_)
            | Piece::Leg { .. }
            | Piece::Voice(_)
            | Piece::Fact(_) => vec![],
        };
        self.pieces.values().flat_map(told).collect()
    }

    /// Calls whose tape is not finished yet.
    pub fn taped(&self) -> BTreeSet<CallId> {
        let taped = |(key, piece): (&Key, &Piece)| match (key, piece) {
            (Key::Call(id), Piece::Call { call, .. }) => call.is_taped().then_some(*id),
            (
                Key::Line | Key::Phones | Key::Leg(_) | Key::Call(_) | Key::Voice(_) | Key::Fact(_),
                _,
            ) => None,
        };
        self.pieces.iter().filter_map(taped).collect()
    }
}

fn ended(fact: &Fact) -> Option<CallId> {
    match fact {
        Fact::Ended { call, .. } => Some(*call),
        Fact::AttemptEnded { attempt, .. } => Some(CallId::from(*attempt)),
        _ => None,
    }
}

/// Where the stream to each party stands. By itself no reason to tell anything: it goes with what is told otherwise.
#[derive(Debug, Default)]
pub struct Marks {
    known: BTreeMap<Channel, Mark>,
    changed: BTreeSet<Channel>,
}

impl Marks {
    pub fn note(&mut self, channel: Channel, mark: Mark) {
        self.known.insert(channel, mark);
        self.changed.insert(channel);
    }

    pub fn of(&self, channel: Channel) -> Option<Mark> {
        self.known.get(&channel).copied()
    }

    pub fn forget(&mut self, channel: Channel) {
        if self.known.remove(&channel).is_some() {
            self.changed.insert(channel);
        }
    }

    pub fn take_changes(&mut self, into: &mut Vec<(Key, Option<Piece>)>) {
        let changed = std::mem::take(&mut self.changed).into_iter();
        into.extend(
            changed.map(|channel| (Key::Voice(channel), self.of(channel).map(Piece::Voice))),
        );
    }
}

/// The facts that the log has not confirmed, numbered in their order from 0.
#[derive(Debug, Default)]
pub struct Unwritten {
    facts: BTreeMap<u64, Noted>,
    next: u64,
    /// Below this number each was told as a change; and which of those are confirmed since.
    told: u64,
    confirmed: Vec<u64>,
}

impl Unwritten {
    pub fn keep(&mut self, noted: Noted) {
        if self.facts.len() < FACTS_MAX {
            self.facts.insert(self.next, noted);
        }
        self.next += 1;
    }

    /// The log has these, and all before.
    pub fn written(&mut self, through: u64) {
        while let Some(fact) = self.facts.first_entry().filter(|fact| *fact.key() <= through) {
            let (number, _) = fact.remove_entry();
            if number < self.told {
                self.confirmed.push(number);
            }
        }
    }

    /// Calls and attempts whose end is among them.
    pub fn ended(&self) -> impl Iterator<Item = CallId> {
        self.facts.values().filter_map(|noted| ended(&noted.fact))
    }

    /// That a call was ordered is among them.
    pub fn tells_of(&self, attempt: AttemptId) -> bool {
        let made = |noted: &Noted| matches!(&noted.fact, Fact::AttemptMade(made) if made.attempt == attempt);
        self.facts.values().any(made)
    }

    pub fn is_changed(&self) -> bool {
        self.told < self.next || !self.confirmed.is_empty()
    }

    pub fn take_changes(&mut self, into: &mut Vec<(Key, Option<Piece>)>) {
        let gone = std::mem::take(&mut self.confirmed);
        into.extend(gone.into_iter().map(|number| (Key::Fact(number), None)));
        let fresh = self.facts.range(self.told..);
        let piece = |noted: &Noted| Some(Piece::Fact(Box::new(noted.clone())));
        into.extend(fresh.map(|(number, noted)| (Key::Fact(*number), piece(noted))));
        self.told = self.next;
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::protocol::now::Mono;

    fn noted() -> Noted {
        let wall = "2026-10-12T13:00:00Z".parse().unwrap();
        Noted { at: Now { mono: Mono(7), wall }, fact: Fact::LineUp }
    }

    fn told(unwritten: &mut Unwritten) -> Vec<(u64, bool)> {
        let mut pieces = vec![];
        unwritten.take_changes(&mut pieces);
        let number = |(key, piece): (Key, Option<Piece>)| match key {
            Key::Fact(number) => (number, piece.is_some()),
            Key::Line | Key::Phones | Key::Leg(_) | Key::Call(_) | Key::Voice(_) => {
                panic!("{key:?}")
            }
        };
        pieces.into_iter().map(number).collect()
    }

    #[test]
    fn a_fact_is_told_until_the_log_has_it() {
        let mut unwritten = Unwritten::default();
        (0..3).for_each(|_| unwritten.keep(noted()));
        assert_eq!(told(&mut unwritten), [(0, true), (1, true), (2, true)]);
        assert!(!unwritten.is_changed());
        unwritten.keep(noted());
        unwritten.written(1);
        assert_eq!(told(&mut unwritten), [(0, false), (1, false), (3, true)]);
    }

    #[test]
    fn a_fact_that_was_written_at_once_is_never_told() {
        let mut unwritten = Unwritten::default();
        unwritten.keep(noted());
        unwritten.written(0);
        assert_eq!(told(&mut unwritten), []);
        assert!(!unwritten.is_changed());
        unwritten.written(5);
        assert!(!unwritten.is_changed());
    }
}
