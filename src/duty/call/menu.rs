//! What a leader hears and presses once the call was answered (escalation.md, "Voice call with
//! ack"). Knows no SIP and no channel.
//!
//! ```text
//!  Prompting(2) ─Played─► Prompting(1) ─Played─► Listening ──25 s──► hang up: no key
//!      ▲  ▲                                          │
//!      │  └─ `*` ── any of these ── other key ─► Explaining ─(third)─► Farewell: no key
//!      │                   │                         │
//!      └───────────────────│──────────Played─────────┘
//!                       key 1, 3
//!                          ▼            committed
//!                     Confirming ─────────────────► Farewell ─Played─► hang up
//! ```
//! Key 1 counts until we hang up, in `Farewell` too. Where he knows, so do the keys that lead to what the matter is
//! about: 2 (`Fetching`, `Hearing` of the caller's recording), 5 (he talks to the officer), 6 (he joins the call of
//! his entry), 9 (`Dictating` an instruction); after his PIN (`AskingPin`, `PinLate`) where he has one. Of several matters
//! each has its turn, and instead of hanging up the next one begins ([`Menu::next`]). Where the trunk does not
//! tell of an answer, the call begins in `Repeating`: the sentence is said over and over through the ringing, and any
//! key leads to where it leads from `Prompting`.

mod content;
mod others;
mod silence;
mod terms;

pub use terms::{Step, Terms};

use crate::duty::journal::AttemptResult;
use crate::duty::pin::Typed;
use crate::duty::prompts;
use crate::duty::switchboard::{AckOutcome, Unwanted};
use crate::protocol::now::Mono;
use crate::protocol::rtp::{Prompt, Tone};
use serde::{Deserialize, Serialize};
use std::time::Duration;

/// Keys this soon after the answer are echoes of dialling, or a machine's.
const DEAF: Duration = Duration::from_secs(1);
/// How long the leader may think after the second prompt.
const KEY_WINDOW: Duration = Duration::from_secs(25);
/// A commit that takes longer is bridged by a spoken 请稍候, again every so often.
const PATIENCE: Duration = Duration::from_secs(1);
const WAIT_AGAIN: Duration = Duration::from_secs(5);
/// No prompt is longer: the relay has failed to report its end.
const PROMPT_AT_MOST: Duration = Duration::from_secs(20);
const WRONG_KEYS: u8 = 3;
/// After a ring of 1 s in 5 s another would have been heard.
const RING_PERIOD: Duration = Duration::from_secs(6);

#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Menu {
    state: State,
    answered_at: Mono,
    terms: Terms,
    /// The whole call is over by then, but for the farewell.
    ends_at: Mono,
    /// A report about any other prompt is about one that was replaced.
    playing: Option<Prompt>,
    wrong: u8,
    wrong_pins: u8,
    proven: bool,
    acknowledged: bool,
    result: AttemptResult,
    /// When ringing was heard last.
    rings: Option<Mono>,
    /// He is to hear of other matters in this call.
    #[serde(default)]
    others: bool,
    /// And has not been told so.
    #[serde(default)]
    unsaid: bool,
    /// He has been told so, and has not heard since what he may press.
    #[serde(default)]
    said: bool,
    /// A key of his told that he is there.
    #[serde(default)]
    pressed: bool,
    /// What he presses before was meant for the matter before.
    #[serde(default)]
    deaf_until: Option<Mono>,
}

#[derive(Debug, Clone, Serialize, Deserialize)]
enum State {
    /// Nobody knows whether somebody listens. `more`: whoever picked up late has time for his key.
    Repeating {
        until: Mono,
        more: bool,
    },
    /// The urgent sentence is spoken, and `more` times after that.
    Prompting {
        more: u8,
        until: Mono,
    },
    /// He is told why something is not done, or what else there is, and then hears the sentence again, and `more` times
    /// after that.
    Explaining {
        until: Mono,
        #[serde(default)]
        more: u8,
    },
    Listening {
        until: Mono,
    },
    /// Waits for the commit.
    Confirming {
        what: Confirming,
        speak_at: Mono,
    },
    Farewell {
        until: Mono,
    },
    /// The key that he pressed needs his PIN.
    AskingPin {
        key: char,
        typed: Typed,
        until: Mono,
        /// He was silent, and has been asked again.
        #[serde(default)]
        again: bool,
    },
    /// The PIN has not come: what he may still type is no key, until he presses `*`.
    PinLate {
        until: Mono,
    },
    Fetching {
        until: Mono,
    },
    Hearing {
        since: Mono,
    },
    /// He is told to speak; `beep`: now.
    Inviting {
        beep: bool,
        until: Mono,
    },
    Dictating {
        since: Mono,
    },
    Over,
}

/// What is being committed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
enum Confirming {
    Ack,
    Handing,
    Instruction { since: Mono },
}

impl Menu {
    /// Starts at the moment of the answer.
    pub fn start(terms: impl Into<Terms>, now: Mono, ends_at: Mono) -> (Self, Vec<Step>) {
        let terms = terms.into();
        let sentence = terms.sentence;
        let menu = Self {
            state: State::Prompting { more: 1, until: now + PROMPT_AT_MOST },
            answered_at: now,
            ends_at,
            terms,
            playing: Some(sentence),
            wrong: 0,
            wrong_pins: 0,
            proven: false,
            acknowledged: false,
            result: AttemptResult::AnsweredNoKey,
            rings: None,
            others: false,
            unsaid: false,
            said: false,
            pressed: false,
            deaf_until: None,
        };
        (menu, vec![Step::Play(sentence)])
    }

    /// Starts when the trunk has dialled; only a key tells that somebody answered.
    pub fn start_unanswered(
        terms: impl Into<Terms>,
        now: Mono,
        ring: Duration,
        ends_at: Mono,
    ) -> (Self, Vec<Step>) {
        let (menu, _) = Self::start(terms, now, ends_at);
        let sentence = menu.terms.sentence;
        let state = State::Repeating { until: now + ring, more: true };
        let menu = Self { state, playing: None, result: AttemptResult::NoAnswer, ..menu };
        (menu, vec![Step::Repeat(sentence)])
    }

    /// What became of the attempt if it ended now.
    pub fn result(&self) -> AttemptResult {
        self.result
    }

    pub fn handle_key(&mut self, key: char, now: Mono) -> Vec<Step> {
        let deaf = self.deaf_until.is_some_and(|until| now < until);
        if deaf || now.since(self.answered_at) < DEAF {
            return vec![];
        }
        match self.state {
            State::AskingPin { .. } => self.pin_key(key, now),
            State::PinLate { .. } if key == '*' => match self.say_first(now) {
                Some(step) => vec![step],
                None => vec![self.menu_again(now)],
            },
            State::Inviting { .. } | State::Dictating { .. } => self.dictation_key(key, now),
            State::Fetching { .. } | State::Hearing { .. } => self.key_while_hearing(key, now),
            State::Repeating { .. } | State::Prompting { .. } | State::Listening { .. } => {
                self.choose(key, now)
            }
            State::Explaining { .. } if !self.acknowledged => self.choose(key, now),
            // Else the question for the PIN would drown the confirmation.
            State::Confirming { .. } if matches!(key, '5' | '6') && self.is_open(key) => {
                self.content(key, now)
            }
            State::Explaining { .. } | State::Farewell { .. } => self.key_after_all(key, now),
            State::Confirming { .. } | State::PinLate { .. } | State::Over => vec![],
        }
    }

    /// He knows, or has had his chances: nothing undoes that.
    fn key_after_all(&mut self, key: char, now: Mono) -> Vec<Step> {
        match key {
            _ if self.acknowledged && self.is_content(key) => self.content(key, now),
            '1' if !self.acknowledged => self.acknowledge(now),
            '#' if self.others && self.acknowledged => self.hang_up(),
            _ => vec![],
        }
    }

    fn choose(&mut self, key: char, now: Mono) -> Vec<Step> {
        if self.is_content(key) {
            return self.content(key, now);
        }
        self.answered();
        match key {
            '1' => self.acknowledge(now),
            '3' if !self.terms.plain => self.hand_on(now),
            '*' => {
                self.prompt_again(now);
                vec![Step::Key(key), self.say(self.terms.sentence)]
            }
            _ => self.wrong_key(key, prompts::WRONG_KEY, now),
        }
    }

    /// A key tells that somebody is there.
    fn answered(&mut self) {
        self.pressed = true;
        if !self.acknowledged {
            self.result = AttemptResult::AnsweredNoKey;
        }
    }

    /// It rings at the other end. True for the first time.
    pub fn handle_ringing(&mut self, now: Mono) -> bool {
        self.rings.replace(now).is_none()
    }

    /// The far end is gone, or was never reached, as a tone says. What became of the attempt, and the status that a
    /// trunk with supervision would have told.
    pub fn cut_off(&mut self, tone: Tone) -> (AttemptResult, u16) {
        self.state = State::Over;
        match (self.result, self.rings, tone) {
            (AttemptResult::NoAnswer, Some(_), _) => (AttemptResult::NoAnswer, 480),
            (AttemptResult::NoAnswer, None, Tone::Busy) => (AttemptResult::Busy, 486),
            (AttemptResult::NoAnswer, None, _) => (AttemptResult::ChannelFailed, 503),
            (result, _, _) => (result, 200),
        }
    }

    fn acknowledge(&mut self, now: Mono) -> Vec<Step> {
        self.acknowledged = true;
        self.result = AttemptResult::Acknowledged;
        self.confirm(Confirming::Ack, now);
        vec![Step::Silence, Step::Acknowledge]
    }

    fn hand_on(&mut self, now: Mono) -> Vec<Step> {
        self.result = AttemptResult::HandedOn;
        self.confirm(Confirming::Handing, now);
        vec![Step::Key('3'), Step::Silence, Step::HandOn]
    }

    fn confirm(&mut self, what: Confirming, now: Mono) {
        self.state = State::Confirming { what, speak_at: now + PATIENCE };
        self.playing = None;
    }

    /// There is no conversation to join, or nobody to ring.
    pub fn handle_stays(&mut self, key: char, now: Mono) -> Vec<Step> {
        match self.state {
            State::Repeating { .. }
            | State::Prompting { .. }
            | State::Explaining { .. }
            | State::Listening { .. } => {
                self.answered();
                self.wrong_key(key, prompts::CANNOT_JOIN, now)
            }
            State::Confirming { .. }
            | State::Farewell { .. }
            | State::AskingPin { .. }
            | State::PinLate { .. }
            | State::Fetching { .. }
            | State::Hearing { .. }
            | State::Inviting { .. }
            | State::Dictating { .. }
            | State::Over => vec![],
        }
    }

    fn wrong_key(&mut self, key: char, answer: Prompt, now: Mono) -> Vec<Step> {
        self.wrong += 1;
        let until = now + PROMPT_AT_MOST;
        self.state = if self.wrong < WRONG_KEYS {
            State::Explaining { until, more: 0 }
        } else {
            State::Farewell { until }
        };
        let said = self.say(answer);
        // A digit of the PIN, it may be, pressed too late.
        match self.is_proven() {
            true => vec![Step::Key(key), said],
            false => vec![said],
        }
    }

    fn prompt_again(&mut self, now: Mono) {
        let more = match self.state {
            State::Explaining { more, .. } => more,
            _ => 0,
        };
        self.state = State::Prompting { more, until: now + PROMPT_AT_MOST };
    }

    /// Back to where the keys are told: the sentence, or for whoever knows, the keys alone.
    fn menu_again(&mut self, now: Mono) -> Step {
        if self.acknowledged {
            return self.farewell(prompts::MORE, now);
        }
        self.prompt_again(now);
        self.say(self.terms.sentence)
    }

    fn farewell(&mut self, prompt: Prompt, now: Mono) -> Step {
        self.state = State::Farewell { until: now + PROMPT_AT_MOST };
        self.say(prompt)
    }

    /// A prompt of ours was spoken to its end.
    pub fn handle_played(&mut self, prompt: Prompt, now: Mono) -> Vec<Step> {
        if self.playing != Some(prompt) {
            return vec![];
        }
        self.playing = None;
        self.spoken(now)
    }

    fn spoken(&mut self, now: Mono) -> Vec<Step> {
        match self.state {
            State::Prompting { more: 0, .. } => {
                self.said = false;
                self.state = State::Listening { until: now + KEY_WINDOW };
                vec![]
            }
            State::Prompting { more, .. } => {
                self.said = false;
                self.state = State::Prompting { more: more - 1, until: now + PROMPT_AT_MOST };
                vec![self.say(self.terms.sentence)]
            }
            State::Explaining { more, .. } if self.unsaid => vec![self.say_also(more, now)],
            State::Explaining { .. } => vec![self.menu_again(now)],
            State::Farewell { .. } => self.hang_up(),
            State::Hearing { since } => vec![self.heard(since, now), self.menu_again(now)],
            State::Inviting { .. } => self.invited(now),
            State::Repeating { .. }
            | State::Listening { .. }
            | State::Confirming { .. }
            | State::AskingPin { .. }
            | State::PinLate { .. }
            | State::Fetching { .. }
            | State::Dictating { .. }
            | State::Over => vec![],
        }
    }

    /// It is committed: now, and only now, it is confirmed aloud.
    pub fn handle_committed(&mut self, outcome: AckOutcome, now: Mono) -> Vec<Step> {
        let State::Confirming { what, .. } = self.state else { return vec![] };
        let prompt = match (what, outcome) {
            (Confirming::Instruction { .. }, AckOutcome::Instructed) => prompts::TAKEN,
            (Confirming::Instruction { .. }, _) | (_, AckOutcome::Instructed) => return vec![],
            (_, AckOutcome::First) if self.terms.plain => prompts::TAKEN,
            (_, AckOutcome::First) => prompts::CONFIRMED,
            (_, AckOutcome::Late) => prompts::ALREADY_CONFIRMED,
            (_, AckOutcome::Withdrawn) => prompts::WITHDRAWN,
            (_, AckOutcome::HandedOn) => prompts::HANDED_ON,
            (_, AckOutcome::PassedOn) => prompts::PASSED_ON,
        };
        vec![self.farewell(prompt, now)]
    }

    /// After a crash: what was being said is said again from its beginning, what waits for its
    /// commit is asked for again. Committing twice changes nothing.
    pub fn take_up(&mut self, now: Mono) -> Vec<Step> {
        let again = self.playing.map(Step::Play);
        let then = match self.state {
            State::Repeating { .. } => return vec![Step::Repeat(self.terms.sentence)],
            State::Confirming { what, .. } => Some(match what {
                Confirming::Ack => Step::Acknowledge,
                Confirming::Handing => Step::HandOn,
                Confirming::Instruction { since } => Step::Dictated { since },
            }),
            State::Fetching { .. } | State::Hearing { .. } => return self.fetch(now),
            State::AskingPin { key, again, .. } if self.is_content(key) => {
                return vec![self.ask_pin(key, again, prompts::ENTER_PIN, now)];
            }
            State::AskingPin { .. } => return vec![self.menu_again(now)],
            State::Prompting { .. }
            | State::Explaining { .. }
            | State::Listening { .. }
            | State::PinLate { .. }
            | State::Farewell { .. }
            | State::Inviting { .. }
            | State::Dictating { .. }
            | State::Over => None,
        };
        again.into_iter().chain(then).collect()
    }

    /// The attempt is no longer wanted. One that was acknowledged already waits for its commit.
    pub fn stop(&mut self, why: Unwanted, now: Mono) -> Vec<Step> {
        let goes_on = match self.state {
            State::Confirming { .. } | State::Farewell { .. } | State::Over => true,
            _ if why == Unwanted::Settled => true,
            // Whoever is let into the matter is not cut off because another has it too.
            State::Fetching { .. }
            | State::Hearing { .. }
            | State::Inviting { .. }
            | State::Dictating { .. } => why == Unwanted::Acknowledged,
            State::Repeating { .. }
            | State::Prompting { .. }
            | State::Explaining { .. }
            | State::Listening { .. }
            | State::AskingPin { .. }
            | State::PinLate { .. } => false,
        };
        if goes_on {
            return vec![];
        }
        let mut steps = self.let_go(now);
        if !self.acknowledged {
            self.result = AttemptResult::Cancelled;
        }
        match why {
            Unwanted::Acknowledged => steps.push(self.farewell(prompts::ALREADY_CONFIRMED, now)),
            Unwanted::Withdrawn => steps.push(self.farewell(prompts::WITHDRAWN, now)),
            Unwanted::Lost | Unwanted::Settled => steps.extend(self.hang_up()),
        }
        steps
    }

    fn say(&mut self, prompt: Prompt) -> Step {
        self.playing = Some(prompt);
        Step::Play(prompt)
    }

    fn hang_up(&mut self) -> Vec<Step> {
        self.state = State::Over;
        vec![Step::HangUp]
    }
}

#[cfg(test)]
mod tests;
