//! The binding of our line at the registrar (RFC 3261 §10).
//!
//! ```text
//!  Idle ──register──► Asking ──granted──► Bound ──half the expiry──► Asking
//!                       └──refused──► Waiting ──back-off──► Asking
//!  (any) ──unregister──► Leaving ──answered, or 5 s──► Idle
//! ```

use super::{Peer, Transport};
use crate::protocol::now::{Deadline, Mono};
use crate::protocol::random::Random;
use std::collections::VecDeque;
use std::time::Duration;

/// Bounds of the granted expiry that the refresh is reckoned from, seconds.
const EXPIRES_BOUNDS: (u32, u32) = (30, 3600);
/// Between two attempts with a password that was refused: no lock-out storm.
const AFTER_REFUSAL: Duration = Duration::from_secs(30);
const BACKOFF_FIRST: Duration = Duration::from_secs(4);
/// A PBX that comes back is used again within this time.
const BACKOFF_LONGEST: Duration = Duration::from_secs(30);
/// The longest wait for the answer to a removal.
const LEAVING: Duration = Duration::from_secs(5);

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum State {
    Idle,
    /// A REGISTER is on its way; `bumped` after a 423, `leaving` when it is no longer wanted.
    Asking {
        bumped: bool,
        leaving: Option<Mono>,
    },
    Bound {
        refresh: Mono,
    },
    Waiting {
        until: Mono,
    },
    Leaving {
        give_up: Mono,
    },
}

/// What the machine asks of its owner.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Step {
    /// Send REGISTER with this expiry; 0 removes the binding.
    Send {
        expires: u32,
    },
    Granted {
        expires: u32,
    },
    Failed {
        status: u16,
        reason: String,
    },
    Removed,
}

/// The final response to a REGISTER, or what stands for it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Reply {
    Granted {
        expires: u32,
    },
    /// 423 with its Min-Expires.
    TooBrief {
        least: u32,
    },
    Refused {
        status: u16,
        reason: String,
        retry_after: Option<u32>,
    },
}

/// **Handle one thing, drain `poll`, then wait for the reply or `poll_timeout`.**
#[derive(Debug)]
pub struct Registration {
    state: State,
    /// Seconds asked for.
    wanted: u32,
    failures: u32,
    random: Random,
    steps: VecDeque<Step>,
}

impl Registration {
    pub fn new(wanted: u32, random: Random) -> Self {
        Self { state: State::Idle, wanted, failures: 0, random, steps: VecDeque::new() }
    }

    pub fn register(&mut self) {
        match self.state {
            State::Idle | State::Bound { .. } | State::Waiting { .. } if self.wanted > 0 => {
                self.ask(false);
            }
            State::Asking { bumped, leaving: Some(_) } => {
                self.state = State::Asking { bumped, leaving: None };
            }
            State::Leaving { .. } if self.wanted > 0 => self.ask(false),
            State::Idle
            | State::Asking { .. }
            | State::Bound { .. }
            | State::Waiting { .. }
            | State::Leaving { .. } => {}
        }
    }

    pub fn unregister(&mut self, now: Mono) {
        match self.state {
            State::Idle => self.steps.push_back(Step::Removed),
            // §10.2: one REGISTER at a time.
            State::Asking { bumped, leaving: None } => {
                self.state = State::Asking { bumped, leaving: Some(now + LEAVING) };
            }
            // Nothing is bound, or the old binding may still be.
            State::Bound { .. } | State::Waiting { .. } => self.leave(now),
            State::Asking { leaving: Some(_), .. } | State::Leaving { .. } => {}
        }
    }

    pub fn handle_reply(&mut self, reply: Reply, now: Mono) {
        match self.state {
            State::Asking { leaving: Some(_), .. } => self.leave(now),
            State::Asking { bumped, leaving: None } => self.handle_answer(reply, bumped, now),
            State::Leaving { .. } => self.removed(),
            State::Idle | State::Bound { .. } | State::Waiting { .. } => {}
        }
    }

    fn handle_answer(&mut self, reply: Reply, bumped: bool, now: Mono) {
        match reply {
            Reply::Granted { expires: 0 } => {
                self.fail(200, "no binding was granted".to_owned(), None, now);
            }
            Reply::Granted { expires } => {
                self.failures = 0;
                let half = Duration::from_secs(u64::from(clamp(expires))) / 2;
                let refresh = now + self.random.between(half - half / 10, half);
                self.state = State::Bound { refresh };
                self.steps.push_back(Step::Granted { expires });
            }
            Reply::TooBrief { least } if !bumped && least > self.wanted => {
                self.wanted = least.min(EXPIRES_BOUNDS.1.max(self.wanted));
                self.ask(true);
            }
            Reply::TooBrief { .. } => self.fail(423, "Interval Too Brief".to_owned(), None, now),
            Reply::Refused { status, reason, retry_after } => {
                self.fail(status, reason, retry_after, now);
            }
        }
    }

    /// The connection that our binding points to was lost: the PBX cannot reach us over it.
    pub fn handle_unreachable(&mut self, peer: Peer, now: Mono) {
        match (self.state, peer.transport) {
            (State::Bound { .. }, Transport::Tcp) => {
                self.fail(503, "connection lost".to_owned(), None, now);
            }
            (State::Bound { .. }, Transport::Udp) => {}
            (
                State::Idle | State::Asking { .. } | State::Waiting { .. } | State::Leaving { .. },
                _,
            ) => {}
        }
    }

    pub fn handle_timeout(&mut self, now: Mono) {
        match self.state {
            State::Bound { refresh: due } | State::Waiting { until: due } if due <= now => {
                self.ask(false);
            }
            State::Leaving { give_up } | State::Asking { leaving: Some(give_up), .. }
                if give_up <= now =>
            {
                self.removed();
            }
            State::Idle
            | State::Asking { .. }
            | State::Bound { .. }
            | State::Waiting { .. }
            | State::Leaving { .. } => {}
        }
    }

    pub fn poll(&mut self) -> Option<Step> {
        self.steps.pop_front()
    }

    pub fn poll_timeout(&self) -> Option<Deadline> {
        match self.state {
            State::Idle | State::Asking { leaving: None, .. } => None,
            State::Asking { leaving: Some(give_up), .. } | State::Leaving { give_up } => {
                Some((give_up, "binding removed or not"))
            }
            State::Bound { refresh } => Some((refresh, "registration refresh")),
            State::Waiting { until } => Some((until, "registration retry")),
        }
    }

    fn ask(&mut self, bumped: bool) {
        self.state = State::Asking { bumped, leaving: None };
        self.steps.push_back(Step::Send { expires: self.wanted });
    }

    fn leave(&mut self, now: Mono) {
        self.state = State::Leaving { give_up: now + LEAVING };
        self.steps.push_back(Step::Send { expires: 0 });
    }

    fn removed(&mut self) {
        self.state = State::Idle;
        self.steps.push_back(Step::Removed);
    }

    fn fail(&mut self, status: u16, reason: String, retry_after: Option<u32>, now: Mono) {
        let doubled = BACKOFF_FIRST.saturating_mul(1 << self.failures.min(8));
        let longest = doubled.min(BACKOFF_LONGEST);
        self.failures = self.failures.saturating_add(1);
        let wait = match status {
            401 | 403 | 407 => AFTER_REFUSAL + self.random.between(Duration::ZERO, BACKOFF_FIRST),
            _ => self.random.between(longest - longest / 4, longest),
        };
        let told =
            Duration::from_secs(u64::from(retry_after.unwrap_or(0))).min(2 * BACKOFF_LONGEST);
        self.state = State::Waiting { until: now + wait.max(told) };
        self.steps.push_back(Step::Failed { status, reason });
    }
}

fn clamp(expires: u32) -> u32 {
    expires.clamp(EXPIRES_BOUNDS.0, EXPIRES_BOUNDS.1)
}
