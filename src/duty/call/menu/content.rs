//! The keys that lead to what the matter is about, after the PIN where there is one: the caller's recording (2), the
//! officer (5), the call itself (6), an instruction (9).

use super::{Confirming, Menu, PROMPT_AT_MOST, State, Step};
use crate::duty::journal::AttemptResult;
use crate::duty::pin::{self, Pin, Typed};
use crate::duty::prompts;
use crate::protocol::now::Mono;
use crate::protocol::rtp::Prompt;
use std::time::Duration;

/// Between two keys of a PIN, and before the first, which the prompt precedes.
const NEXT_DIGIT: Duration = Duration::from_secs(15);
const WRONG_PINS: u8 = 3;
/// The disk may take so long to bring a recording.
const FETCH: Duration = Duration::from_secs(5);
/// More of a recording is not played at once.
pub const HEARING_MAX: Duration = Duration::from_secs(600);
pub const DICTATION_MAX: Duration = Duration::from_secs(180);
/// Who says nothing for so long has dictated nothing.
const SHORTEST: Duration = Duration::from_secs(1);
/// From the answer on, with everything: less than the escalator waits for a call that is on.
pub const CALL_MAX: Duration = Duration::from_secs(780);

impl Menu {
    pub(super) fn is_content(&self, key: char) -> bool {
        let locked = self.terms.pin.as_ref().is_some_and(Pin::is_locked);
        matches!(key, '2' | '5' | '6' | '9') && !self.terms.plain && (self.proven || !locked)
    }

    /// Content that needs no PIN any more.
    pub(super) fn is_open(&self, key: char) -> bool {
        self.is_content(key) && self.is_proven()
    }

    pub(super) fn is_proven(&self) -> bool {
        self.proven || self.terms.pin.is_none()
    }

    /// Whoever it is has guessed at the PIN too often: nothing more is told him in this call.
    pub fn is_refused(&self) -> bool {
        self.wrong_pins >= WRONG_PINS
    }

    /// The number that a checkpoint leaves out.
    pub fn give_pin(&mut self, pin: Pin) {
        self.terms.pin = Some(pin);
    }

    /// One of those keys was pressed where it counts.
    pub(super) fn content(&mut self, key: char, now: Mono) -> Vec<Step> {
        if let Some(first) = self.say_first(now) {
            self.answered();
            return vec![first];
        }
        if !self.is_proven() {
            self.answered();
            return vec![self.ask_pin(key, false, prompts::ENTER_PIN, now)];
        }
        match key {
            '2' => {
                self.answered();
                let mut steps = vec![Step::Key(key), Step::Silence];
                steps.extend(self.fetch(now));
                steps
            }
            '9' => {
                self.answered();
                self.stays_on(DICTATION_MAX + PROMPT_AT_MOST * 2, now);
                self.state = State::Inviting { beep: false, until: now + PROMPT_AT_MOST };
                vec![Step::Key(key), self.say(prompts::DICTATE)]
            }
            _ => vec![Step::Leave(key)],
        }
    }

    /// He is there and busy with the matter: the call may take longer, not for ever.
    fn stays_on(&mut self, time: Duration, now: Mono) {
        self.ends_at = self.ends_at.max((now + time).min(self.answered_at + CALL_MAX));
    }

    /// From its first digit.
    pub(super) fn ask_pin(&mut self, key: char, again: bool, how: Prompt, now: Mono) -> Step {
        let until = now + NEXT_DIGIT * 2;
        self.state = State::AskingPin { key, typed: Typed::default(), until, again };
        self.say(how)
    }

    /// He has typed nothing, or not to the end: he is asked once more. In the menu his next digits would be keys.
    pub(super) fn no_pin(&mut self, now: Mono) -> Vec<Step> {
        match self.state {
            State::AskingPin { key, again: false, .. } => {
                vec![self.ask_pin(key, true, prompts::ENTER_PIN, now)]
            }
            _ => {
                self.state = State::PinLate { until: now + PROMPT_AT_MOST + super::KEY_WINDOW };
                vec![self.say(prompts::PIN_LATE)]
            }
        }
    }

    /// `*` begins again, `#` ends it.
    pub(super) fn pin_key(&mut self, key: char, now: Mono) -> Vec<Step> {
        let State::AskingPin { key: wanted, typed, until, again } = &mut self.state else {
            return vec![];
        };
        let (wanted, again) = (*wanted, *again);
        if key.is_ascii_digit() {
            typed.push(key);
            *until = now + NEXT_DIGIT;
            let silence = self.playing.take().map(|_| Step::Silence);
            return silence.into_iter().collect();
        }
        match key {
            '#' => {}
            '*' => return vec![self.ask_pin(wanted, again, prompts::ENTER_PIN, now)],
            _ => return vec![],
        }
        if self.terms.pin.as_ref().is_none_or(|pin| pin.is(typed.as_str())) {
            self.proven = true;
            let until = now + super::KEY_WINDOW;
            self.state = match self.acknowledged {
                true => State::Farewell { until },
                false => State::Listening { until },
            };
            return self.content(wanted, now);
        }
        self.wrong_pins += 1;
        let guess = Step::Key(pin::WRONG);
        if self.is_refused() {
            if !self.acknowledged {
                self.result = AttemptResult::WrongPin;
            }
            // Key 1 in the farewell would be the stranger's.
            self.acknowledged = true;
            self.terms.plain = true;
            return vec![guess, self.farewell(prompts::PIN_REFUSED, now)];
        }
        vec![guess, self.ask_pin(wanted, again, prompts::WRONG_PIN, now)]
    }

    pub(super) fn fetch(&mut self, now: Mono) -> Vec<Step> {
        self.stays_on(HEARING_MAX, now);
        self.state = State::Fetching { until: now + FETCH };
        self.playing = None;
        vec![Step::Fetch]
    }

    /// The recording is there to be played, or there is none to hear yet.
    pub fn handle_sound(&mut self, there: bool, now: Mono) -> Vec<Step> {
        if !matches!(self.state, State::Fetching { .. }) {
            return vec![];
        }
        if there {
            self.state = State::Hearing { since: now };
            self.playing = Some(prompts::RECORDING);
            return vec![Step::Hear];
        }
        self.state = State::Explaining { until: now + PROMPT_AT_MOST, more: 0 };
        vec![self.say(prompts::NO_RECORDING)]
    }

    pub(super) fn heard(&mut self, since: Mono, now: Mono) -> Step {
        self.playing = None;
        Step::Heard(now.since(since))
    }

    /// 2 and `#` end it, `*` begins it again, any other key leads where it leads from the menu.
    pub(super) fn key_while_hearing(&mut self, key: char, now: Mono) -> Vec<Step> {
        let mut steps = self.let_go(now);
        match key {
            '2' | '#' => steps.push(self.menu_again(now)),
            '*' => {
                steps.push(Step::Key(key));
                steps.extend(self.fetch(now));
            }
            _ if self.acknowledged && !self.is_content(key) => steps.push(self.menu_again(now)),
            _ => {
                let until = now + super::KEY_WINDOW;
                self.state = match self.acknowledged {
                    true => State::Farewell { until },
                    false => State::Listening { until },
                };
                steps.extend(self.handle_key(key, now));
            }
        }
        steps
    }

    /// `#` begins at once, and ends it; `*` while he is told how: he does not want to.
    pub(super) fn dictation_key(&mut self, key: char, now: Mono) -> Vec<Step> {
        match (&self.state, key) {
            (State::Inviting { beep: false, .. }, '#') => self.invited(now),
            (State::Inviting { .. }, '*') => vec![self.menu_again(now)],
            (State::Dictating { since }, '#') => self.dictated(*since, now),
            _ => vec![],
        }
    }

    /// The next thing before he may speak.
    pub(super) fn invited(&mut self, now: Mono) -> Vec<Step> {
        if let State::Inviting { beep: false, .. } = self.state {
            self.state = State::Inviting { beep: true, until: now + PROMPT_AT_MOST };
            return vec![self.say(prompts::BEEP)];
        }
        self.playing = None;
        self.state = State::Dictating { since: now };
        vec![]
    }

    /// Whoever instructs knows.
    pub(super) fn dictated(&mut self, since: Mono, now: Mono) -> Vec<Step> {
        if now.since(since) < SHORTEST {
            return vec![self.menu_again(now)];
        }
        let mut steps = vec![];
        if !std::mem::replace(&mut self.acknowledged, true) {
            steps.push(Step::Acknowledge);
        }
        self.result = AttemptResult::Acknowledged;
        self.confirm(Confirming::Instruction { since }, now);
        steps.push(Step::Dictated { since });
        steps
    }

    /// Something else happens to the call: what he heard is noted, what he has dictated is kept.
    pub fn let_go(&mut self, now: Mono) -> Vec<Step> {
        match self.state {
            State::Hearing { since } => vec![Step::Silence, self.heard(since, now)],
            State::Dictating { since } if now.since(since) >= SHORTEST => self.dictated(since, now),
            _ => vec![],
        }
    }

    /// He has hung up, or the call is cut.
    pub fn handle_gone(&mut self, now: Mono) -> Vec<Step> {
        let steps = self.let_go(now);
        self.state = State::Over;
        steps
    }
}
