//! What becomes of the call while he presses nothing.

use super::{KEY_WINDOW, Menu, RING_PERIOD, State, Step, WAIT_AGAIN, content};
use crate::duty::prompts;
use crate::protocol::now::{Deadline, Mono};

impl Menu {
    pub fn handle_timeout(&mut self, now: Mono) -> Vec<Step> {
        let (due, _) = match self.deadline() {
            Some(deadline) => deadline,
            None => return vec![],
        };
        if now < due {
            return vec![];
        }
        match self.state {
            State::Repeating { more: true, .. } if now < self.ends_at && !self.is_ringing(now) => {
                self.state = State::Repeating { until: now + KEY_WINDOW, more: false };
                vec![]
            }
            State::Prompting { .. } | State::Explaining { .. } if now < self.ends_at => {
                self.spoken(now)
            }
            State::Confirming { what, .. } if now < self.ends_at => {
                self.state = State::Confirming { what, speak_at: now + WAIT_AGAIN };
                vec![self.say(prompts::PLEASE_WAIT)]
            }
            State::AskingPin { .. } if now < self.ends_at => self.no_pin(now),
            State::Fetching { .. } if now < self.ends_at => self.handle_sound(false, now),
            State::Hearing { .. } if now < self.ends_at => self.spoken(now),
            State::Inviting { .. } if now < self.ends_at => self.invited(now),
            State::Dictating { since } => self.dictated(since, now),
            State::Repeating { .. }
            | State::Prompting { .. }
            | State::Explaining { .. }
            | State::Listening { .. }
            | State::Confirming { .. }
            | State::AskingPin { .. }
            | State::PinLate { .. }
            | State::Fetching { .. }
            | State::Hearing { .. }
            | State::Inviting { .. }
            | State::Farewell { .. } => {
                let mut steps = self.let_go(now);
                steps.extend(self.hang_up());
                steps
            }
            State::Over => vec![],
        }
    }

    pub fn deadline(&self) -> Option<Deadline> {
        let (at, why) = match self.state {
            State::Repeating { until, .. } => (until, "nobody pressed a key while it rang"),
            State::Prompting { until, .. } | State::Explaining { until, .. } => {
                (until, "prompt never ended")
            }
            State::Listening { until } => (until, "key window"),
            State::Confirming { speak_at, .. } => (speak_at, "key not committed yet"),
            State::AskingPin { until, .. } => (until, "no PIN"),
            State::PinLate { until } => (until, "no PIN, and no star"),
            State::Fetching { until } => (until, "the recording is not there"),
            State::Hearing { since } => (since + content::HEARING_MAX, "he has heard enough"),
            State::Inviting { until, .. } => (until, "prompt never ended"),
            State::Dictating { since } => (since + content::DICTATION_MAX, "dictated enough"),
            State::Farewell { until } => return Some((until, "farewell never ended")),
            State::Over => return None,
        };
        Some(if self.ends_at < at {
            (self.ends_at, "call to leader takes too long")
        } else {
            (at, why)
        })
    }

    fn is_ringing(&self, now: Mono) -> bool {
        self.rings.is_some_and(|at| now.since(at) < RING_PERIOD)
    }
}
