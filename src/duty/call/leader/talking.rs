//! While he is on the telephone: his keys, what he hears, where he goes.

use super::{Leader, State};
use crate::duty::call::bridge::Guest;
use crate::duty::call::desk::Desk;
use crate::duty::call::keys::{Keys, Via};
use crate::duty::call::leg::Leg;
use crate::duty::call::menu::{Menu, Step, Terms};
use crate::duty::ids::{AttemptId, CallId};
use crate::duty::journal::{AttemptResult, Fact};
use crate::duty::prompts;
use crate::duty::switchboard::{AckOutcome, Errand, Output};
use crate::protocol::now::{Mono, Now};
use crate::protocol::rtp::{Command, Prompt, Sound, Tone};

impl Leader {
    pub fn handle_key(&mut self, key: char, via: Via, desk: &mut Desk, now: Now) {
        if !self.keys.is_new(key, via, now.mono) {
            return;
        }
        let State::Talking { menu, .. } = &mut self.state else { return };
        let steps = menu.handle_key(key, now.mono);
        if !steps.is_empty() && !std::mem::replace(&mut self.picked_up, true) {
            self.all().for_each(|attempt| desk.note(Fact::AttemptAnswered { attempt }, now));
        }
        self.carry_out(steps, desk, now);
    }

    /// Listened to where the trunk tells of no answer and of no hang-up.
    pub fn handle_tone(&mut self, tone: Tone, since: Now, desk: &mut Desk, now: Now) {
        let State::Talking { menu, .. } = &mut self.state else { return };
        let first = match tone {
            Tone::Ringing => menu.handle_ringing(now.mono),
            Tone::Busy | Tone::Congestion => {
                self.turn_menu(desk, since, |menu| menu.let_go(since.mono));
                let State::Talking { menu, .. } = &mut self.state else { return };
                let (result, status) = menu.cut_off(tone);
                desk.sip.bye(self.leg, now);
                return self.end(result, status, desk, since);
            }
            Tone::FaxCalls | Tone::FaxAnswers => false,
        };
        if first {
            self.all().for_each(|attempt| desk.note(Fact::AttemptRinging { attempt }, since));
        }
    }

    pub fn handle_played(&mut self, prompt: Prompt, desk: &mut Desk, now: Now) {
        if prompt == prompts::DRILL
            && let Some(prompt) = self.marked.take()
        {
            let channel = self.channel;
            return desk.media(Command::Play { channel, prompt, repeat: false });
        }
        self.turn_menu(desk, now, |menu| menu.handle_played(prompt, now.mono));
    }

    /// Of a matter that he has done with, nothing more is said.
    pub fn handle_ack_stored(
        &mut self,
        attempt: AttemptId,
        outcome: AckOutcome,
        desk: &mut Desk,
        now: Now,
    ) {
        if attempt == self.attempt() {
            self.turn_menu(desk, now, |menu| menu.handle_committed(outcome, now.mono));
        }
    }

    pub fn handle_sound(
        &mut self,
        attempt: AttemptId,
        sound: Option<Sound>,
        desk: &mut Desk,
        now: Now,
    ) {
        if attempt != self.attempt() {
            return;
        }
        let there = sound.is_some();
        self.sound = sound;
        self.turn_menu(desk, now, |menu| menu.handle_sound(there, now.mono));
    }

    pub fn handle_voice(&mut self, quiet_since: Option<Mono>) {
        if quiet_since.is_none() {
            self.mute_at = None;
        }
    }

    /// He goes over to another call, whose leg his is from now on; and he knows.
    pub fn leave(&mut self, desk: &mut Desk, now: Now) -> Option<Guest> {
        let State::Talking { leg, .. } = &self.state else { return None };
        if !leg.is_convertible() {
            return None;
        }
        let (leg, attempt) = (Leg::clone(leg), self.attempt());
        let knows = self.result() == AttemptResult::Acknowledged;
        self.dismiss(AttemptResult::Acknowledged, 200, true, desk, now);
        self.state = State::Over;
        if !std::mem::replace(&mut self.picked_up, true) {
            desk.note(Fact::AttemptAnswered { attempt }, now);
        }
        if !knows {
            desk.note(Fact::Acknowledged { attempt, entry: self.order.entry }, now);
        }
        desk.media(Command::Stop { channel: self.channel });
        let result = AttemptResult::Acknowledged;
        desk.note(Fact::AttemptEnded { attempt, result, status: 200 }, now);
        Some(Guest { leg, name: self.order.person.clone(), keys: Keys::default() })
    }

    pub fn handle_stays(&mut self, key: char, desk: &mut Desk, now: Now) {
        self.turn_menu(desk, now, |menu| menu.handle_stays(key, now.mono));
    }

    pub(super) fn terms(&self, desk: &Desk) -> Terms {
        let sentence = match self.order.errand {
            Errand::Tell if desk.channels.talks(CallId(self.order.entry.0)) => prompts::URGENT_LIVE,
            Errand::Tell if self.order.after_cut => prompts::URGENT_CUT,
            Errand::Tell => prompts::URGENT,
            Errand::Remind => prompts::UNREAD,
            Errand::Confirm => prompts::INSTRUCTION,
            Errand::Silent => prompts::SILENT,
            Errand::Drill => prompts::DRILL_URGENT,
            Errand::RollCall => prompts::ROLL_CALL,
            Errand::CheckNumber => prompts::CHECK_NUMBER,
        };
        let plain = match self.order.errand {
            Errand::Tell | Errand::Remind | Errand::Drill => false,
            Errand::Confirm | Errand::Silent | Errand::RollCall | Errand::CheckNumber => true,
        };
        Terms { sentence, pin: self.order.pin.clone(), plain }
    }

    /// In a drill every sentence says so first; what is said first gives way to what it marks.
    fn mark(&mut self, prompt: Prompt) -> Prompt {
        let says_so = [prompts::DRILL_URGENT, prompts::BEEP].contains(&prompt);
        self.marked = (self.order.errand == Errand::Drill && !says_so).then_some(prompt);
        if self.marked.is_some() { prompts::DRILL } else { prompt }
    }

    pub(super) fn turn_menu(
        &mut self,
        desk: &mut Desk,
        now: Now,
        turn: impl FnOnce(&mut Menu) -> Vec<Step>,
    ) {
        match &mut self.state {
            State::Talking { menu, .. } => {
                let steps = turn(menu);
                self.carry_out(steps, desk, now);
            }
            State::Calling { .. }
            | State::Ringing { .. }
            | State::GivingUp { .. }
            | State::Over => {}
        }
    }

    pub(super) fn carry_out(&mut self, steps: Vec<Step>, desk: &mut Desk, now: Now) {
        let (attempt, entry) = (self.attempt(), self.order.entry);
        let channel = self.channel;
        for step in steps {
            match step {
                Step::Play(prompt) => {
                    let prompt = self.mark(prompt);
                    desk.media(Command::Play { channel, prompt, repeat: false });
                }
                Step::Repeat(prompt) => {
                    desk.media(Command::Play { channel, prompt, repeat: true });
                }
                Step::Silence => {
                    self.marked = None;
                    desk.media(Command::Stop { channel });
                }
                Step::Leave(key) => desk.leaving.push((attempt, entry, key)),
                Step::Key(key) => desk.note(Fact::AttemptKey { attempt, key }, now),
                Step::Acknowledge => desk.note(Fact::Acknowledged { attempt, entry }, now),
                Step::HandOn => self.hand_on(desk, now),
                Step::Fetch => desk.out.push_back(Output::Fetch { attempt, entry }),
                Step::Hear => {
                    let name = prompts::RECORDING;
                    let sound =
                        self.sound.take().map(|sound| Command::Speak { channel, sound, name });
                    sound.into_iter().for_each(|speak| desk.media(speak));
                }
                Step::Heard(lasts) => desk.note(Fact::AttemptHeard { attempt, lasts }, now),
                Step::Dictated { since } => {
                    let since = now.back_to(since);
                    desk.note(Fact::Dictated { attempt, entry, since }, now);
                }
                Step::HangUp => match self.next(desk, now) {
                    Some(steps) => self.carry_out(steps, desk, now),
                    None => {
                        desk.sip.bye(self.leg, now);
                        self.end(self.result(), 200, desk, now);
                    }
                },
            }
        }
    }

    /// He has hung up.
    pub(super) fn finish(&mut self, desk: &mut Desk, now: Now) {
        self.turn_menu(desk, now, |menu| menu.handle_gone(now.mono));
        self.end(self.result(), 200, desk, now);
    }

    /// What became of the attempt if the conversation ended now.
    pub(super) fn result(&self) -> AttemptResult {
        match &self.state {
            State::Talking { menu, .. } => menu.result(),
            State::Calling { .. }
            | State::Ringing { .. }
            | State::GivingUp { .. }
            | State::Over => AttemptResult::Interrupted,
        }
    }
}
