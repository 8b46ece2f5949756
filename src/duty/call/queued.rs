//! A caller who waits for a free phone (排队): when it is tried again, and until when he waits.

use crate::duty::ids::CallId;
use crate::duty::line_plan::LinePlan;
use crate::protocol::now::{Deadline, Mono};
use crate::protocol::sip::AorId;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use std::time::Duration;

/// A phone that is busy with a call of its own says nothing when it is free: so often it is tried.
pub const AGAIN: Duration = Duration::from_secs(10);
/// A phone that has hung up this moment may still say that it is busy.
pub const SOON: Duration = Duration::from_secs(1);

/// Callers who wait for a free phone, and the number that each has called; a call's name is the order of its arrival.
#[derive(Debug, Default)]
pub struct Queue(BTreeMap<CallId, AorId>);

impl Queue {
    pub fn insert(&mut self, call: CallId, aor: AorId) {
        self.0.insert(call, aor);
    }

    /// Whether it waited.
    pub fn remove(&mut self, call: CallId) -> bool {
        self.0.remove(&call).is_some()
    }

    /// Callers of this number who wait.
    pub fn len_of(&self, aor: AorId) -> usize {
        self.0.values().filter(|of| **of == aor).count()
    }

    /// Whether somebody waits for a phone that a caller of this number may be given.
    pub fn is_before(&self, aor: AorId, plan: &LinePlan) -> bool {
        self.0.values().any(|of| plan.share_a_phone(*of, aor))
    }

    /// Those who wait behind nobody for any of their phones, in the order of their arrival.
    pub fn first(&self, plan: &LinePlan) -> Vec<CallId> {
        let mut seen: Vec<AorId> = vec![];
        let mut first = vec![];
        for (call, aor) in &self.0 {
            if !seen.iter().any(|before| plan.share_a_phone(*before, *aor)) {
                first.push(*call);
            }
            seen.push(*aor);
        }
        first
    }
}

#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Queued {
    until: Mono,
    again: Mono,
    /// A phone became free while the phones were being tried.
    freed: bool,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Due {
    /// The phones are to be tried again, if it is this caller's turn.
    Again,
    /// He has waited for long enough.
    Over,
}

impl Queued {
    pub fn new(longest: Duration, now: Mono) -> Self {
        Self { until: now + longest, again: now + AGAIN, freed: false }
    }

    /// The phones are being tried, and in vain perhaps: then again after so long.
    pub fn tries(&mut self, again: Duration, now: Mono) {
        self.again = now + again;
    }

    /// A phone is free that may have been asked already in this round.
    pub fn freed(&mut self) {
        self.freed = true;
    }

    /// Whether another round is to begin as soon as this one is over.
    pub fn take_freed(&mut self) -> bool {
        std::mem::take(&mut self.freed)
    }

    pub fn handle_timeout(&mut self, now: Mono) -> Option<Due> {
        if self.until <= now {
            return Some(Due::Over);
        }
        if self.again <= now {
            self.again = now + AGAIN;
            return Some(Due::Again);
        }
        None
    }

    pub fn deadline(&self) -> Option<Deadline> {
        Some(match self.again < self.until {
            true => (self.again, "busy phones are tried again"),
            false => (self.until, "the caller has waited for long enough"),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(seconds: u64) -> Mono {
        Mono(seconds * 1_000_000_000)
    }

    #[test]
    fn sig_11_phones_are_tried_every_ten_seconds_until_the_time_is_over() {
        let mut queued = Queued::new(Duration::from_secs(25), at(0));
        assert_eq!(queued.handle_timeout(at(9)), None);
        assert_eq!(queued.handle_timeout(at(10)), Some(Due::Again));
        queued.tries(AGAIN, at(12));
        assert_eq!(queued.deadline().unwrap().0, at(22));
        assert_eq!(queued.handle_timeout(at(22)), Some(Due::Again));
        assert_eq!(queued.deadline().unwrap().0, at(25));
        assert_eq!(queued.handle_timeout(at(25)), Some(Due::Over));
    }
}
