//! What a leader hears and presses once the call was answered (escalation.md, "Voice call with
//! ack"). Knows no SIP and no channel.
//!
//! ```text
//!  Prompting(2) ─Played─► Prompting(1) ─Played─► Listening ──25 s──► hang up: no key
//!      ▲  ▲                                          │
//!      │  └─ `*` ── any of these ── other key ─► WrongKey ─(third)─► Farewell: no key
//!      │                   │                         │
//!      └───────────────────│──────────Played─────────┘
//!                        key 1
//!                          ▼            committed
//!                     Confirming ─────────────────► Farewell ─Played─► hang up: acknowledged
//! ```
//! Key 1 counts until we hang up, in `Farewell` too; where he knows, so do 6, by which he joins the call of his entry, and
//! 5, by which he talks to the officer. Where the trunk does not tell of an answer, the call begins in
//! `Repeating`: the sentence is said over and over through the ringing, and any key leads to where it leads from
//! `Prompting`.

use crate::duty::journal::AttemptResult;
use crate::duty::prompts;
use crate::duty::switchboard::{AckOutcome, Unwanted};
use crate::protocol::now::{Deadline, Mono};
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

/// What the menu asks of its call.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Step {
    Play(Prompt),
    /// Over and over, with a pause between.
    Repeat(Prompt),
    Silence,
    /// Key 1 was pressed: to be committed, and answered by `handle_committed`.
    Acknowledge,
    /// Key 5 or 6 was pressed: `handle_stays` follows where there is nobody to talk to; where there is, nothing does.
    Leave(char),
    /// Another key was pressed.
    Key(char),
    HangUp,
}

#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Menu {
    state: State,
    answered_at: Mono,
    /// What is said until a key is pressed.
    sentence: Prompt,
    /// The whole call is over by then, but for the farewell.
    ends_at: Mono,
    /// A report about any other prompt is about one that was replaced.
    playing: Option<Prompt>,
    wrong: u8,
    acknowledged: bool,
    result: AttemptResult,
    /// When ringing was heard last.
    rings: Option<Mono>,
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
    WrongKey {
        until: Mono,
    },
    Listening {
        until: Mono,
    },
    /// Waits for the commit.
    Confirming {
        speak_at: Mono,
    },
    Farewell {
        until: Mono,
    },
    Over,
}

impl Menu {
    /// Starts at the moment of the answer.
    pub fn start(sentence: Prompt, now: Mono, ends_at: Mono) -> (Self, Vec<Step>) {
        let menu = Self {
            state: State::Prompting { more: 1, until: now + PROMPT_AT_MOST },
            answered_at: now,
            ends_at,
            sentence,
            playing: Some(sentence),
            wrong: 0,
            acknowledged: false,
            result: AttemptResult::AnsweredNoKey,
            rings: None,
        };
        (menu, vec![Step::Play(sentence)])
    }

    /// Starts when the trunk has dialled; only a key tells that somebody answered.
    pub fn start_unanswered(
        sentence: Prompt,
        now: Mono,
        ring: Duration,
        ends_at: Mono,
    ) -> (Self, Vec<Step>) {
        let (menu, _) = Self::start(sentence, now, ends_at);
        let state = State::Repeating { until: now + ring, more: true };
        let menu = Self { state, playing: None, result: AttemptResult::NoAnswer, ..menu };
        (menu, vec![Step::Repeat(sentence)])
    }

    /// What became of the attempt if it ended now.
    pub fn result(&self) -> AttemptResult {
        self.result
    }

    pub fn handle_key(&mut self, key: char, now: Mono) -> Vec<Step> {
        if now.since(self.answered_at) < DEAF {
            return vec![];
        }
        let hung_up_on = match self.state {
            State::Over => true,
            State::Farewell { .. } => !self.acknowledged,
            State::Repeating { .. }
            | State::Prompting { .. }
            | State::WrongKey { .. }
            | State::Listening { .. }
            | State::Confirming { .. } => false,
        };
        if matches!(key, '5' | '6') && !hung_up_on {
            return vec![Step::Leave(key)];
        }
        match self.state {
            State::Repeating { .. }
            | State::Prompting { .. }
            | State::WrongKey { .. }
            | State::Listening { .. } => self.choose(key, now),
            State::Farewell { .. } if key == '1' && !self.acknowledged => self.acknowledge(now),
            State::Confirming { .. } | State::Farewell { .. } | State::Over => vec![],
        }
    }

    fn choose(&mut self, key: char, now: Mono) -> Vec<Step> {
        self.result = AttemptResult::AnsweredNoKey;
        match key {
            '1' => self.acknowledge(now),
            '*' => {
                self.prompt_again(now);
                vec![Step::Key(key), self.say(self.sentence)]
            }
            _ => self.wrong_key(key, prompts::WRONG_KEY, now),
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
        self.state = State::Confirming { speak_at: now + PATIENCE };
        self.playing = None;
        vec![Step::Silence, Step::Acknowledge]
    }

    /// There is no conversation to join, or nobody to ring.
    pub fn handle_stays(&mut self, key: char, now: Mono) -> Vec<Step> {
        match self.state {
            State::Repeating { .. }
            | State::Prompting { .. }
            | State::WrongKey { .. }
            | State::Listening { .. } => {
                self.result = AttemptResult::AnsweredNoKey;
                self.wrong_key(key, prompts::CANNOT_JOIN, now)
            }
            State::Confirming { .. } | State::Farewell { .. } | State::Over => vec![],
        }
    }

    fn wrong_key(&mut self, key: char, answer: Prompt, now: Mono) -> Vec<Step> {
        self.wrong += 1;
        let until = now + PROMPT_AT_MOST;
        self.state = if self.wrong < WRONG_KEYS {
            State::WrongKey { until }
        } else {
            State::Farewell { until }
        };
        vec![Step::Key(key), self.say(answer)]
    }

    fn prompt_again(&mut self, now: Mono) {
        self.state = State::Prompting { more: 0, until: now + PROMPT_AT_MOST };
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
                self.state = State::Listening { until: now + KEY_WINDOW };
                vec![]
            }
            State::Prompting { more, .. } => {
                self.state = State::Prompting { more: more - 1, until: now + PROMPT_AT_MOST };
                vec![self.say(self.sentence)]
            }
            State::WrongKey { .. } => {
                self.prompt_again(now);
                vec![self.say(self.sentence)]
            }
            State::Farewell { .. } => self.hang_up(),
            State::Repeating { .. }
            | State::Listening { .. }
            | State::Confirming { .. }
            | State::Over => vec![],
        }
    }

    /// The acknowledgement is committed: now, and only now, it is confirmed aloud.
    pub fn handle_committed(&mut self, outcome: AckOutcome, now: Mono) -> Vec<Step> {
        match self.state {
            State::Confirming { .. } => {
                self.state = State::Farewell { until: now + PROMPT_AT_MOST };
                vec![self.say(match outcome {
                    AckOutcome::First => prompts::CONFIRMED,
                    AckOutcome::Late => prompts::ALREADY_CONFIRMED,
                    AckOutcome::Withdrawn => prompts::WITHDRAWN,
                })]
            }
            State::Repeating { .. }
            | State::Prompting { .. }
            | State::WrongKey { .. }
            | State::Listening { .. }
            | State::Farewell { .. }
            | State::Over => vec![],
        }
    }

    /// After a crash: what was being said is said again from its beginning, what waits for its
    /// commit is asked for again. Committing twice changes nothing.
    pub fn take_up(&mut self) -> Vec<Step> {
        if matches!(self.state, State::Repeating { .. }) {
            return vec![Step::Repeat(self.sentence)];
        }
        let waits = matches!(self.state, State::Confirming { .. });
        let again = self.playing.map(Step::Play);
        again.into_iter().chain(waits.then_some(Step::Acknowledge)).collect()
    }

    /// The attempt is no longer wanted. One that was acknowledged already waits for its commit.
    pub fn stop(&mut self, why: Unwanted, now: Mono) -> Vec<Step> {
        match self.state {
            State::Repeating { .. }
            | State::Prompting { .. }
            | State::WrongKey { .. }
            | State::Listening { .. } => {
                self.result = AttemptResult::Cancelled;
                let farewell = match why {
                    Unwanted::Acknowledged => prompts::ALREADY_CONFIRMED,
                    Unwanted::Withdrawn => prompts::WITHDRAWN,
                    Unwanted::Lost => return self.hang_up(),
                };
                self.state = State::Farewell { until: now + PROMPT_AT_MOST };
                vec![self.say(farewell)]
            }
            State::Confirming { .. } | State::Farewell { .. } | State::Over => vec![],
        }
    }

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
            State::Prompting { .. } | State::WrongKey { .. } if now < self.ends_at => {
                self.spoken(now)
            }
            State::Confirming { .. } if now < self.ends_at => {
                self.state = State::Confirming { speak_at: now + WAIT_AGAIN };
                vec![self.say(prompts::PLEASE_WAIT)]
            }
            State::Repeating { .. }
            | State::Prompting { .. }
            | State::WrongKey { .. }
            | State::Listening { .. }
            | State::Confirming { .. }
            | State::Farewell { .. } => self.hang_up(),
            State::Over => vec![],
        }
    }

    pub fn deadline(&self) -> Option<Deadline> {
        let (at, why) = match self.state {
            State::Repeating { until, .. } => (until, "nobody pressed a key while it rang"),
            State::Prompting { until, .. } | State::WrongKey { until } => {
                (until, "prompt never ended")
            }
            State::Listening { until } => (until, "key window"),
            State::Confirming { speak_at } => (speak_at, "acknowledgement not committed yet"),
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
mod tests {
    use super::*;
    use crate::duty::prompts::{
        ALREADY_CONFIRMED, CONFIRMED, PLEASE_WAIT, URGENT, WITHDRAWN, WRONG_KEY,
    };

    fn at(ms: u64) -> Mono {
        Mono(ms * 1_000_000)
    }

    fn answered() -> Menu {
        let (menu, steps) = Menu::start(URGENT, at(0), at(90_000));
        assert_eq!(steps, [Step::Play(URGENT)]);
        menu
    }

    fn listening() -> Menu {
        let mut menu = answered();
        assert_eq!(menu.handle_played(URGENT, at(5_000)), [Step::Play(URGENT)]);
        assert_eq!(menu.handle_played(URGENT, at(10_000)), []);
        menu
    }

    #[test]
    fn esc_06_a_machine_hears_it_twice_and_is_hung_up_on_after_the_key_window() {
        let mut menu = listening();
        assert_eq!(menu.deadline(), Some((at(35_000), "key window")));
        assert_eq!(menu.handle_timeout(at(34_999)), []);
        assert_eq!(menu.handle_timeout(at(35_000)), [Step::HangUp]);
        assert_eq!(menu.result(), AttemptResult::AnsweredNoKey);
        assert_eq!(menu.deadline(), None);
    }

    #[test]
    fn esc_08_a_key_after_four_silent_seconds_acknowledges() {
        let mut menu = answered();
        assert_eq!(menu.handle_key('1', at(4_000)), [Step::Silence, Step::Acknowledge]);
        assert_eq!(menu.handle_committed(AckOutcome::First, at(4_100)), [Step::Play(CONFIRMED)]);
        assert_eq!(menu.handle_played(CONFIRMED, at(7_000)), [Step::HangUp]);
        assert_eq!(menu.result(), AttemptResult::Acknowledged);
    }

    #[test]
    fn esc_09_the_third_wrong_key_ends_the_call() {
        let mut menu = answered();
        for second in [2, 4] {
            let steps = menu.handle_key('7', at(second * 1000));
            assert_eq!(steps, [Step::Key('7'), Step::Play(WRONG_KEY)]);
            assert_eq!(
                menu.handle_played(WRONG_KEY, at(second * 1000 + 900)),
                [Step::Play(URGENT)]
            );
        }
        let steps = menu.handle_key('8', at(6_000));
        assert_eq!(steps, [Step::Key('8'), Step::Play(WRONG_KEY)]);
        assert_eq!(menu.handle_played(WRONG_KEY, at(7_000)), [Step::HangUp]);
        assert_eq!(menu.result(), AttemptResult::AnsweredNoKey);
    }

    #[test]
    fn esc_10_a_key_in_the_first_second_is_ignored() {
        let mut menu = answered();
        assert_eq!(menu.handle_key('1', at(400)), []);
        assert_eq!(menu.handle_key('7', at(999)), []);
        assert_eq!(menu.handle_key('1', at(1_200)), [Step::Silence, Step::Acknowledge]);
    }

    #[test]
    fn esc_25_the_acknowledgement_stands_before_its_commit() {
        let mut menu = answered();
        menu.handle_key('1', at(2_000));
        assert_eq!(menu.result(), AttemptResult::Acknowledged);
    }

    #[test]
    fn esc_48_nothing_is_confirmed_before_the_commit() {
        let mut menu = answered();
        menu.handle_key('1', at(2_000));
        assert_eq!(menu.handle_played(URGENT, at(2_500)), []);
        assert_eq!(menu.handle_timeout(at(2_999)), []);
        assert_eq!(menu.handle_timeout(at(3_000)), [Step::Play(PLEASE_WAIT)]);
        assert_eq!(menu.handle_played(PLEASE_WAIT, at(4_000)), []);
        assert_eq!(menu.handle_timeout(at(8_000)), [Step::Play(PLEASE_WAIT)]);
        assert_eq!(menu.handle_committed(AckOutcome::First, at(8_100)), [Step::Play(CONFIRMED)]);
    }

    #[test]
    fn a_late_report_about_a_replaced_prompt_does_not_cut_the_next_one() {
        let mut menu = answered();
        menu.handle_key('1', at(2_000));
        menu.handle_committed(AckOutcome::First, at(2_010));
        assert_eq!(menu.handle_played(URGENT, at(2_020)), []);
        assert_eq!(menu.handle_played(CONFIRMED, at(4_000)), [Step::HangUp]);
    }

    #[test]
    fn whoever_comes_late_or_after_a_withdrawal_is_told_so() {
        for (outcome, prompt) in
            [(AckOutcome::Late, ALREADY_CONFIRMED), (AckOutcome::Withdrawn, WITHDRAWN)]
        {
            let mut menu = listening();
            menu.handle_key('1', at(12_000));
            assert_eq!(menu.handle_committed(outcome, at(12_001)), [Step::Play(prompt)]);
            assert_eq!(menu.handle_played(prompt, at(14_000)), [Step::HangUp]);
        }
    }

    #[test]
    fn a_star_repeats_the_sentence_and_gives_a_full_key_window() {
        let mut menu = listening();
        assert_eq!(menu.handle_key('*', at(30_000)), [Step::Key('*'), Step::Play(URGENT)]);
        assert_eq!(menu.handle_played(URGENT, at(35_000)), []);
        assert_eq!(menu.deadline(), Some((at(60_000), "key window")));
    }

    #[test]
    fn keys_5_and_6_lead_away_and_are_wrong_keys_where_there_is_nowhere_to_go() {
        let mut menu = answered();
        for (key, second) in [('6', 2), ('5', 4)] {
            assert_eq!(menu.handle_key(key, at(second * 1000)), [Step::Leave(key)]);
            let steps = menu.handle_stays(key, at(second * 1000));
            assert_eq!(steps, [Step::Key(key), Step::Play(prompts::CANNOT_JOIN)]);
        }
        assert_eq!(menu.handle_played(prompts::CANNOT_JOIN, at(7000)), [Step::Play(URGENT)]);
        assert_eq!(menu.result(), AttemptResult::AnsweredNoKey);
    }

    #[test]
    fn stars_without_end_do_not_hold_the_line() {
        let mut menu = listening();
        for second in (11..90).step_by(3) {
            menu.handle_key('*', at(second * 1000));
        }
        assert_eq!(menu.handle_timeout(at(90_000)), [Step::HangUp]);
    }

    #[test]
    fn a_relay_that_reports_nothing_does_not_hold_the_line() {
        let mut menu = answered();
        assert_eq!(menu.handle_timeout(at(20_000)), [Step::Play(URGENT)]);
        assert_eq!(menu.handle_timeout(at(40_000)), []);
        assert_eq!(menu.handle_timeout(at(65_000)), [Step::HangUp]);
    }

    #[test]
    fn a_stopped_attempt_says_who_has_it_and_still_takes_key_1() {
        let mut menu = listening();
        assert_eq!(menu.stop(Unwanted::Acknowledged, at(11_000)), [Step::Play(ALREADY_CONFIRMED)]);
        assert_eq!(menu.result(), AttemptResult::Cancelled);
        assert_eq!(menu.handle_key('5', at(11_200)), []);
        assert_eq!(menu.handle_key('1', at(11_500)), [Step::Silence, Step::Acknowledge]);
        assert_eq!(menu.stop(Unwanted::Acknowledged, at(11_600)), []);
        menu.handle_committed(AckOutcome::Late, at(11_700));
        assert_eq!(menu.handle_key('1', at(11_800)), [], "acknowledges once");
        assert_eq!(menu.handle_played(ALREADY_CONFIRMED, at(13_000)), [Step::HangUp]);
        assert_eq!(menu.result(), AttemptResult::Acknowledged);
    }
}
