//! The witness's side: listens for beats, and calls the duty desk when there are none, until a key is pressed or the
//! beats are back; an hour after the key again, for whoever has the desk by then.
//!
//! ```text
//!  Listening ──silence──► Calling ──key 1──► Known
//!      ▲                   │   ▲  ▲            │
//!      │                   ▼   │  └─── 1 h ────┤
//!      │                 ended ┘ 15 s          │
//!      └─────────────── a beat ────────────────┘
//! ```

use super::{Message, Numbers, Side};
use crate::duty::ids::{AttemptId, CallId, EntryId};
use crate::duty::journal::{AttemptResult, Fact, Urgency};
use crate::duty::switchboard::{AckOutcome, Errand, Input, LeaderCall, Unwanted};
use crate::protocol::now::{Deadline, Mono, Now};
use crate::protocol::random::Random;
use std::collections::VecDeque;
use std::time::Duration;

/// Between two calls to the desk.
const AGAIN: Duration = Duration::from_secs(15);
/// After somebody has pressed the key.
const REMINDED: Duration = Duration::from_secs(3600);
/// Beside two times of ringing, which begins anew when the PBX says so late: a call that is never reported to be over is.
const LEASE: Duration = Duration::from_secs(90);

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct VigilPlan {
    /// Numbers of the duty desk, called in turn; one at least.
    pub desk: Vec<String>,
    /// No beat for so long.
    pub silence: Duration,
    pub ring: Duration,
}

/// What it asks of the world.
#[derive(Debug, Clone, PartialEq)]
pub enum Order {
    /// To the daemon that is watched.
    Answer(Message),
    /// To the switchboard.
    Line(Input),
    /// Nothing has been heard for so long.
    Silent(Duration),
    /// It is heard again after so long; whether the desk was called for it.
    Back { after: Duration, called: bool },
}

/// **Handle one thing, drain `poll`, then wait for the next or `deadline`.**
#[derive(Debug)]
pub struct Vigil {
    plan: VigilPlan,
    random: Random,
    numbers: Numbers,
    heard: Mono,
    state: State,
    /// Calls made in this silence.
    calls: usize,
    line_up: bool,
    out: VecDeque<Order>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum State {
    Listening,
    Calling {
        attempt: AttemptId,
        since: Mono,
    },
    Pausing {
        until: Mono,
    },
    /// Somebody at the desk has pressed the key.
    Known {
        until: Mono,
    },
}

impl Vigil {
    /// A daemon that has never been heard is silent from now on.
    pub fn new(plan: VigilPlan, random: Random, now: Mono) -> Self {
        Self {
            plan,
            random,
            numbers: Numbers::default(),
            heard: now,
            state: State::Listening,
            calls: 0,
            // A line that is not registered says nothing of itself.
            line_up: true,
            out: VecDeque::new(),
        }
    }

    /// A message whose key was right.
    pub fn handle_message(&mut self, message: Message, now: Now) {
        if message.side != Side::Daemon {
            return;
        }
        if self.numbers.take(message) {
            self.beats(now.mono);
        }
        let number = self.numbers.current(&mut self.random);
        let answers = message.number;
        let answer = Message { side: Side::Witness, number, answers, ready: self.line_up };
        self.out.push_back(Order::Answer(answer));
    }

    fn beats(&mut self, now: Mono) {
        let after = now.since(std::mem::replace(&mut self.heard, now));
        if let State::Calling { attempt, .. } = self.state {
            self.stop(attempt, Unwanted::Settled);
        }
        if self.state != State::Listening {
            let called = self.calls > 0;
            self.out.push_back(Order::Back { after, called });
        }
        self.state = State::Listening;
        self.calls = 0;
    }

    fn stop(&mut self, attempt: AttemptId, why: Unwanted) {
        self.out.push_back(Order::Line(Input::StopNotifying { attempt, why }));
    }

    /// What became of the line, and of the call to the desk.
    pub fn handle_fact(&mut self, fact: &Fact, now: Now) {
        match fact {
            Fact::LineUp => self.line_up = true,
            Fact::LineDown { .. } => self.line_up = false,
            // Nothing of it is written down: it is known as soon as it is said.
            Fact::Acknowledged { attempt, .. } => {
                let (attempt, outcome) = (*attempt, AckOutcome::First);
                if self.is_calling(attempt) {
                    self.state = State::Known { until: now.mono + REMINDED };
                }
                self.out.push_back(Order::Line(Input::AckStored { attempt, outcome }));
            }
            Fact::AttemptEnded { attempt, result, .. } if self.is_calling(*attempt) => {
                self.state = match result {
                    AttemptResult::Acknowledged => State::Known { until: now.mono + REMINDED },
                    _ => State::Pausing { until: now.mono + AGAIN },
                };
            }
            _ => {}
        }
    }

    fn is_calling(&self, attempt: AttemptId) -> bool {
        matches!(self.state, State::Calling { attempt: called, .. } if called == attempt)
    }

    pub fn handle_timeout(&mut self, now: Now) {
        if self.deadline().is_none_or(|(due, _)| now.mono < due) {
            return;
        }
        match self.state {
            State::Listening => {
                self.out.push_back(Order::Silent(now.mono.since(self.heard)));
                self.call(now);
            }
            State::Pausing { .. } | State::Known { .. } => self.call(now),
            State::Calling { attempt, .. } => {
                self.stop(attempt, Unwanted::Lost);
                self.call(now);
            }
        }
    }

    fn call(&mut self, now: Now) {
        let attempt = AttemptId::new(now, &mut self.random);
        let target = self.plan.desk[self.calls % self.plan.desk.len()].clone();
        self.calls += 1;
        self.state = State::Calling { attempt, since: now.mono };
        self.out.push_back(Order::Line(Input::Notify(LeaderCall {
            attempt,
            entry: EntryId::from(CallId::from(attempt)),
            person: target.clone(),
            target,
            urgency: Urgency::Critical,
            ring: self.plan.ring,
            errand: Errand::Silent,
            after_cut: false,
            pin: None,
            joins: None,
        })));
    }

    pub fn poll(&mut self) -> Option<Order> {
        self.out.pop_front()
    }

    pub fn deadline(&self) -> Option<Deadline> {
        match self.state {
            State::Listening => Some((self.heard + self.plan.silence, "no beat")),
            State::Pausing { until } => Some((until, "the desk is called again")),
            State::Calling { since, .. } => {
                Some((since + self.plan.ring * 2 + LEASE, "nothing is heard of the call"))
            }
            State::Known { until } => Some((until, "it is silent still")),
        }
    }
}
