//! The last resort: what is said to a caller whom nobody took, and the message he leaves.
//!
//! ```text
//!  Greeting ──played──► Beep ──played──► Speaking ──#, time──► Over
//! ```

use crate::duty::prompts::{BEEP, GREETING};
use crate::protocol::now::{Deadline, Mono};
use crate::protocol::rtp::Prompt;
use serde::{Deserialize, Serialize};
use std::time::Duration;

/// Longer than any greeting that the configuration takes: the relay has reported nothing.
const GREETING_MAX: Duration = Duration::from_secs(70);
const BEEP_MAX: Duration = Duration::from_secs(2);
/// Who hangs up sooner has said nothing.
const SHORTEST: Duration = Duration::from_secs(1);

/// What the call is to do.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Step {
    Play(Prompt),
    HangUp,
}

/// **Handle one thing, carry out the step, then wait for the next or `deadline`.**
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Message {
    longest: Duration,
    state: State,
}

#[derive(Debug, Clone, Copy, Serialize, Deserialize)]
enum State {
    Greeting { until: Mono },
    Beep { until: Mono },
    Speaking { since: Mono },
}

impl Message {
    pub fn start(longest: Duration, now: Mono) -> (Self, Step) {
        let state = State::Greeting { until: now + GREETING_MAX };
        (Self { longest, state }, Step::Play(GREETING))
    }

    pub fn handle_played(&mut self, prompt: Prompt, now: Mono) -> Option<Step> {
        match self.state {
            State::Greeting { .. } if prompt == GREETING => Some(self.beep(now)),
            State::Beep { .. } if prompt == BEEP => {
                self.state = State::Speaking { since: now };
                None
            }
            State::Greeting { .. } | State::Beep { .. } | State::Speaking { .. } => None,
        }
    }

    /// `#` ends the message; before the beep it skips what is said.
    pub fn handle_key(&mut self, key: char, now: Mono) -> Option<Step> {
        match self.state {
            State::Greeting { .. } if key == '#' => Some(self.beep(now)),
            State::Speaking { .. } if key == '#' => Some(Step::HangUp),
            State::Greeting { .. } | State::Beep { .. } | State::Speaking { .. } => None,
        }
    }

    /// Nobody listens: the message begins at once.
    pub fn fall_silent(&mut self, now: Mono) {
        if !matches!(self.state, State::Speaking { .. }) {
            self.state = State::Speaking { since: now };
        }
    }

    pub fn handle_timeout(&mut self, now: Mono) -> Option<Step> {
        if self.deadline().is_none_or(|(at, _)| now < at) {
            return None;
        }
        match self.state {
            State::Greeting { .. } => Some(self.beep(now)),
            State::Beep { .. } => {
                self.state = State::Speaking { since: now };
                None
            }
            State::Speaking { .. } => Some(Step::HangUp),
        }
    }

    pub fn deadline(&self) -> Option<Deadline> {
        Some(match self.state {
            State::Greeting { until } => (until, "greeting never ended"),
            State::Beep { until } => (until, "beep never ended"),
            State::Speaking { since } => (since + self.longest, "message is long enough"),
        })
    }

    /// Whether the caller had time to say something.
    pub fn is_left(&self, now: Mono) -> bool {
        match self.state {
            State::Greeting { .. } | State::Beep { .. } => false,
            State::Speaking { since } => now.since(since) >= SHORTEST,
        }
    }

    fn beep(&mut self, now: Mono) -> Step {
        self.state = State::Beep { until: now + BEEP_MAX };
        Step::Play(BEEP)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(seconds: u64) -> Mono {
        Mono(seconds * 1_000_000_000)
    }

    fn speaking() -> Message {
        let (mut message, step) = Message::start(Duration::from_secs(120), at(0));
        assert_eq!(step, Step::Play(GREETING));
        assert_eq!(message.handle_played(GREETING, at(8)), Some(Step::Play(BEEP)));
        assert_eq!(message.handle_played(BEEP, at(9)), None);
        message
    }

    #[test]
    fn sig_12_a_message_ends_with_the_hash_key_or_after_its_time() {
        let mut message = speaking();
        assert!(!message.is_left(at(9)));
        assert_eq!(message.handle_key('5', at(12)), None);
        assert_eq!(message.handle_key('#', at(12)), Some(Step::HangUp));
        assert!(message.is_left(at(12)));
        let mut message = speaking();
        assert_eq!(message.handle_timeout(at(128)), None);
        assert_eq!(message.handle_timeout(at(129)), Some(Step::HangUp));
    }

    #[test]
    fn sig_12_the_hash_key_skips_the_greeting() {
        let (mut message, _) = Message::start(Duration::from_secs(120), at(0));
        assert_eq!(message.handle_key('#', at(2)), Some(Step::Play(BEEP)));
        assert_eq!(message.handle_key('#', at(2)), None);
        assert_eq!(message.handle_played(GREETING, at(2)), None, "it was replaced");
        assert!(!message.is_left(at(30)), "he never heard the beep");
    }

    #[test]
    fn a_relay_that_reports_nothing_does_not_hold_the_line() {
        let (mut message, _) = Message::start(Duration::from_secs(60), at(0));
        assert_eq!(message.handle_timeout(at(70)), Some(Step::Play(BEEP)));
        assert_eq!(message.handle_timeout(at(72)), None);
        assert_eq!(message.handle_timeout(at(132)), Some(Step::HangUp));
    }
}
