//! The sign of life that the daemon sends to a witness on another host, and what either makes of the other's silence
//! (escalation.md, "Heartbeat"). Knows no socket and no key.
//!
//! Each message carries a number that was never used before, and repeats the last one that came from the other side.
//! Only what answers a number that is open counts, and a number is open once: what was recorded and sent again
//! later says nothing, and no clocks are compared.

mod audit;
mod heart;
mod vigil;

pub use audit::{Audit, Failing, Signs};
pub use heart::{Heart, Witness};
pub use vigil::{Order, Vigil, VigilPlan};

use crate::protocol::random::Random;
use std::collections::VecDeque;

/// Numbers that may still be answered.
const OPEN: usize = 8;

/// What the two tell each other.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Message {
    pub side: Side,
    /// Never used before, but for a witness's that was not answered yet.
    pub number: u64,
    /// The last number of the other side; 0 for none.
    pub answers: u64,
    /// Of a witness: it could call the desk.
    pub ready: bool,
}

/// Who speaks: a message sent back to its sender is not taken for the other's.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Side {
    Daemon,
    Witness,
}

/// Our numbers that are open, and the last of the other side in a message that answered one.
#[derive(Debug, Clone, Default)]
struct Numbers {
    open: VecDeque<u64>,
    theirs: u64,
}

impl Numbers {
    fn next(&mut self, random: &mut Random) -> u64 {
        let number = random.u64().max(1);
        if self.open.len() == OPEN {
            self.open.pop_front();
        }
        self.open.push_back(number);
        number
    }

    /// Whether the message was made after ours that it answers, which is open no more, nor is any before it.
    fn take(&mut self, message: Message) -> bool {
        let at = self.open.iter().position(|number| *number == message.answers);
        let Some(at) = at else { return false };
        self.open.drain(..=at);
        self.theirs = message.number;
        true
    }

    /// The last one that is open, or a new one: what is recorded and sent again pushes none out.
    fn current(&mut self, random: &mut Random) -> u64 {
        self.open.back().copied().unwrap_or_else(|| self.next(random))
    }
}
