//! Several matters in one call (escalation.md, D): that there are more is said, and then each has its turn.

use super::{DEAF, Menu, PROMPT_AT_MOST, State, Step, Terms, content};
use crate::duty::journal::AttemptResult;
use crate::duty::prompts;
use crate::protocol::now::Mono;
use crate::protocol::rtp::Prompt;
use std::time::Duration;

/// So long a matter may take that is not the first of its call.
const NEXT_MATTER: Duration = Duration::from_secs(90);

impl Menu {
    /// Instead of the first sentence: there is more than one matter, each of which will have its own.
    pub fn announce(&mut self, now: Mono) -> Vec<Step> {
        (self.others, self.said) = (true, true);
        vec![self.explain(prompts::SEVERAL, 1, now)]
    }

    /// Another matter waits for its turn. What is being confirmed is heard to its end first; what he says or types goes
    /// on.
    pub fn handle_another(&mut self, now: Mono) -> Vec<Step> {
        self.others = true;
        match self.state {
            // He knows that more follows: first he hears what he may press.
            State::Prompting { .. } | State::Explaining { .. } if self.said => vec![],
            State::Prompting { more, .. } | State::Explaining { more, .. } => {
                vec![self.say_also(more, now)]
            }
            State::Listening { .. } | State::Inviting { .. } => vec![self.say_also(0, now)],
            State::Fetching { .. } | State::Hearing { .. } => {
                let mut steps = self.let_go(now);
                steps.push(self.say_also(0, now));
                steps
            }
            State::AskingPin { .. } | State::Dictating { .. } => vec![Step::Play(prompts::ALSO)],
            // That he is to press `*` is said to its end: it is all that leads on.
            State::PinLate { .. }
            | State::Repeating { .. }
            | State::Confirming { .. }
            | State::Farewell { .. }
            | State::Over => {
                self.unsaid = true;
                vec![]
            }
        }
    }

    /// Nothing waits any more.
    pub fn nothing_waits(&mut self) {
        (self.others, self.unsaid) = (false, false);
    }

    /// He does not know yet that something waits.
    pub fn is_unsaid(&self) -> bool {
        self.unsaid
    }

    /// Before anything else that takes long.
    pub(super) fn say_first(&mut self, now: Mono) -> Option<Step> {
        self.unsaid.then(|| self.say_also(0, now))
    }

    pub(super) fn say_also(&mut self, more: u8, now: Mono) -> Step {
        (self.unsaid, self.said) = (false, true);
        self.explain(prompts::ALSO, more, now)
    }

    /// Beside what he hears of next there is more, of which he was not told.
    pub fn leave_unsaid(&mut self) {
        (self.unsaid, self.said) = (true, false);
    }

    pub fn has_pressed(&self) -> bool {
        self.pressed
    }

    /// He has done with a matter, and hears of the next one. His PIN need not be typed again.
    pub fn next(&mut self, terms: Terms, others: bool, now: Mono) -> Vec<Step> {
        self.proven &= terms.pin == self.terms.pin;
        self.terms = terms;
        self.ends_at = (now + NEXT_MATTER).min(self.answered_at + content::CALL_MAX);
        self.deaf_until = Some(now + DEAF);
        (self.others, self.said, self.unsaid) = (others, others, false);
        (self.wrong, self.acknowledged, self.pressed) = (0, false, false);
        self.result = AttemptResult::AnsweredNoKey;
        vec![self.explain(prompts::NEXT, 1, now)]
    }

    fn explain(&mut self, prompt: Prompt, more: u8, now: Mono) -> Step {
        self.state = State::Explaining { until: now + PROMPT_AT_MOST, more };
        self.say(prompt)
    }
}
