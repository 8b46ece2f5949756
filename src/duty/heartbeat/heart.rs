//! The daemon's side: beats while its audit succeeds, and knows whether somebody listens.

use super::{Message, Numbers, Side};
use crate::protocol::now::Mono;
use crate::protocol::random::Random;
use std::time::Duration;

/// A witness that has not answered for so long is gone.
const GONE: Duration = Duration::from_secs(60);
/// Between two beats: the host has slept, or the audit failed. No answer could be waited for.
const PAUSED: Duration = Duration::from_secs(15);

/// **Beat every [`Heart::EVERY`], and hand in what comes.**
#[derive(Debug, Clone, Default)]
pub struct Heart {
    numbers: Numbers,
    /// The first beat that was sent since the last answer.
    unanswered: Option<Mono>,
    beaten: Option<Mono>,
    heard: bool,
    deaf: bool,
}

/// What the daemon knows of its witness.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Witness {
    /// It has not answered yet, and may still.
    Unknown,
    Listens,
    /// It listens, and its own telephone line is down.
    Deaf,
    /// It has not answered since.
    Gone {
        since: Mono,
    },
}

impl Heart {
    pub const EVERY: Duration = Duration::from_secs(5);

    pub fn beat(&mut self, now: Mono, random: &mut Random) -> Message {
        let paused = self.beaten.replace(now).is_some_and(|last| now.since(last) >= PAUSED);
        if paused {
            self.unanswered = None;
        }
        self.unanswered.get_or_insert(now);
        let number = self.numbers.next(random);
        Message { side: Side::Daemon, number, answers: self.numbers.theirs, ready: false }
    }

    /// True: beat once more at once, since the witness could not count the last beat: it answered none of its numbers.
    pub fn handle(&mut self, message: Message) -> bool {
        if message.side != Side::Witness {
            return false;
        }
        let strange = self.numbers.theirs == 0;
        if !self.numbers.take(message) {
            return false;
        }
        self.unanswered = None;
        self.heard = true;
        self.deaf = !message.ready;
        strange
    }

    pub fn witness(&self, now: Mono) -> Witness {
        // What was not sent while the audit failed is not answered.
        let until = self.beaten.map_or(now, |last| now.min(last + Self::EVERY));
        match self.unanswered {
            Some(since) if until.since(since) >= GONE => Witness::Gone { since },
            _ if !self.heard => Witness::Unknown,
            _ if self.deaf => Witness::Deaf,
            _ => Witness::Listens,
        }
    }
}
