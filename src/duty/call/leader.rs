//! A call to a leader: rings, tells that there is something urgent, takes the key, confirms.
//!
//! ```text
//!  Calling ──any reply──► Ringing ──200──► Talking (menu) ──► Over
//!     │ 6 s, refused         │ ring time      ▲
//!     │                      ▼                │ 200 crossing our CANCEL
//!     │                  GivingUp ────────────┘
//!     └───────────────────┴── refused, not wanted any more ─► Over
//! ```
//! 183 is never an answer, whatever is heard in it, and no ring. Other matters for him join the call ([`Waiting`]).

mod matters;
mod talking;

use super::LegEvent;
use super::desk::Desk;
use super::keys::{Keys, Via};
use super::leg::Leg;
use super::menu::Menu;
use crate::duty::ids::{AttemptId, CallId};
use crate::duty::journal::{AttemptResult, Fact, Urgency};
use crate::duty::pin::Pin;
use crate::duty::roster::Roster;
use crate::duty::switchboard::LeaderCall;
use crate::protocol::now::{Deadline, Mono, Now, earlier};
use crate::protocol::rtp::{Channel, Command, Party, Prompt, Sound};
use crate::protocol::sdp::{self, Direction, Local, Session};
use crate::protocol::sip::{AorId, LegId, Outgoing};
use matters::Waiting;
use serde::{Deserialize, Serialize};
use std::collections::VecDeque;
use std::time::Duration;

/// The PBX has said nothing at all: it or the trunk is dead.
const NO_REPLY: Duration = Duration::from_secs(6);
/// How long a CANCEL may take until the attempt counts as over.
const GIVING_UP: Duration = Duration::from_secs(2);
/// Whoever answered and sends no voice for so long is not heard.
const MUTE: Duration = Duration::from_secs(10);
/// Beyond the ring time: a call that rings 35 s is over 90 s after it began.
const SPEAKING: Duration = Duration::from_secs(55);

#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Leader {
    /// What he is told of now.
    order: LeaderCall,
    /// The attempt that the call began for, and has its name from, where that is another.
    #[serde(default)]
    host: Option<AttemptId>,
    /// What he is told of afterwards.
    #[serde(default)]
    waiting: VecDeque<Waiting>,
    leg: LegId,
    channel: Channel,
    local: Local,
    began: Mono,
    /// The description in a 18x: the answer where the 200 has none.
    early: Option<Vec<u8>>,
    state: State,
    keys: Keys,
    /// His phone rings: 180 has said so.
    #[serde(default)]
    rings: bool,
    /// The attempt counts as answered.
    picked_up: bool,
    /// When it is said that nothing is heard of him, unless something is.
    mute_at: Option<Mono>,
    /// What is said when it has been said that this is a drill.
    #[serde(default)]
    marked: Option<Prompt>,
    /// The caller's recording, about to be played.
    #[serde(skip)]
    sound: Option<Sound>,
}

#[derive(Debug, Clone, Serialize, Deserialize)]
enum State {
    /// No reply of any kind yet.
    Calling {
        until: Mono,
    },
    Ringing {
        rang: bool,
        until: Mono,
    },
    /// Rung for long enough and cancelled.
    GivingUp {
        until: Mono,
    },
    Talking {
        leg: Box<Leg>,
        menu: Menu,
    },
    Over,
}

impl Leader {
    pub fn dial(order: LeaderCall, channel: Channel, desk: &mut Desk, now: Now) -> Self {
        let local = desk.local(channel, desk.plan.srtp.leaders);
        let sdp = sdp::offer(&local, &sdp::CODECS, Some(sdp::EVENT_PT), Direction::SendRecv);
        let priority = match order.urgency {
            Urgency::Critical => "emergency",
            Urgency::Routine | Urgency::Urgent => "urgent",
        };
        let outgoing = Outgoing {
            target: order.target.clone(),
            aor: desk.calls_by(AorId::default()),
            display: desk.plan.account.display.clone(),
            from_user: None,
            sdp,
            headers: vec![("Priority".to_owned(), priority.to_owned())],
        };
        let leg = desk.dial(CallId::from(order.attempt), outgoing, now);
        if order.errand.is_exercise() {
            desk.note(Fact::Exercise { attempt: order.attempt }, now);
        }
        let state = State::Calling { until: now.mono + NO_REPLY.min(order.ring) };
        Self {
            order,
            host: None,
            waiting: VecDeque::new(),
            leg,
            channel,
            local,
            began: now.mono,
            early: None,
            state,
            keys: Keys::default(),
            rings: false,
            picked_up: false,
            mute_at: None,
            marked: None,
            sound: None,
        }
    }

    pub fn is_over(&self) -> bool {
        matches!(self.state, State::Over)
    }

    pub fn handle_leg(&mut self, leg: LegId, event: LegEvent, desk: &mut Desk, now: Now) {
        match event {
            LegEvent::Progress { status, sdp } => self.progress(status, sdp, desk, now),
            LegEvent::Answered { sdp } => self.answered(sdp.as_deref(), desk, now),
            LegEvent::Refused { status } => self.refused(status, desk, now),
            LegEvent::Offer { sdp } => match &mut self.state {
                State::Talking { leg, .. } => desk.renegotiate(leg, sdp.as_deref(), None, now),
                State::Calling { .. } | State::Ringing { .. } | State::GivingUp { .. } => {
                    let fits =
                        |session: &Session| Some(session.spoken().unwrap_or(session.stream()));
                    let end = (&mut self.local, &mut self.early);
                    desk.early_offer(leg, Some(self.channel), end, sdp.as_deref(), fits, now);
                }
                State::Over => desk.sip.refuse_offer(leg, 488, now),
            },
            LegEvent::Key(key) => self.handle_key(key, Via::Info, desk, now),
            LegEvent::Ended(_) => {
                if matches!(self.state, State::Talking { .. }) {
                    self.finish(desk, now);
                } else {
                    self.end(AttemptResult::ChannelFailed, 503, desk, now);
                }
            }
            LegEvent::Answer { sdp } => match &mut self.state {
                State::Talking { leg, .. } => {
                    if let Ok(stream) = leg.take_answer(&sdp, None) {
                        desk.media(Command::Change { channel: leg.channel, stream });
                    }
                }
                State::Calling { .. }
                | State::Ringing { .. }
                | State::GivingUp { .. }
                | State::Over => {}
            },
            // Only a caller gives up by CANCEL; what we offered is offered no more.
            LegEvent::Refer { .. } => desk.sip.refuse_refer(leg, 603, now),
            LegEvent::Cancelled { .. } | LegEvent::OfferRefused { status: _ } => {}
        }
    }

    pub fn handle_timeout(&mut self, desk: &mut Desk, now: Now) {
        match self.state {
            State::Calling { until } if until <= now.mono => {
                desk.sip.cancel(self.leg, now);
                self.end(AttemptResult::ChannelFailed, 408, desk, now);
            }
            State::Ringing { until, .. } if until <= now.mono => {
                desk.sip.cancel(self.leg, now);
                self.state = State::GivingUp { until: now.mono + GIVING_UP };
            }
            State::GivingUp { until } if until <= now.mono => {
                self.end(AttemptResult::NoAnswer, 487, desk, now);
            }
            State::Talking { .. } => {
                if self.mute_at.is_some_and(|at| at <= now.mono) {
                    self.mute_at = None;
                    desk.note(Fact::AttemptMute { attempt: self.attempt() }, now);
                }
                self.turn_menu(desk, now, |menu| menu.handle_timeout(now.mono))
            }
            State::Calling { .. }
            | State::Ringing { .. }
            | State::GivingUp { .. }
            | State::Over => {}
        }
    }

    pub fn deadline(&self) -> Option<Deadline> {
        let mute = self.mute_at.map(|at| (at, "nothing is heard of him"));
        match &self.state {
            State::Calling { until } => Some((*until, "no reply to the call to a leader")),
            State::Ringing { until, .. } => Some((*until, "leader's phone not answered")),
            State::GivingUp { until } => Some((*until, "leader's CANCEL not answered")),
            State::Talking { menu, .. } => earlier(menu.deadline(), mute),
            State::Over => None,
        }
    }

    pub fn is_taped(&self) -> bool {
        matches!(self.state, State::Talking { .. })
    }

    /// It goes on: a leader's phone that rings is not taken from his hand to ring again, and one
    /// who listens or has pressed the key is not called a second time for it.
    pub fn take_up(&mut self, desk: &mut Desk, now: Now) {
        let State::Talking { leg, .. } = &self.state else { return };
        if let Some(stream) = leg.stream {
            desk.open(self.call(), Party::Leader, self.channel, stream);
        }
        desk.sip.probe(self.leg, now);
        self.turn_menu(desk, now, |menu| menu.take_up(now.mono));
    }

    /// A checkpoint leaves the PINs out; where the roster has none for him, the content stays locked.
    pub fn give_pin(&mut self, roster: &Roster) {
        let his = roster.people.iter().filter(|person| person.name == self.order.person);
        let Some(pin) = his.filter_map(|person| person.pin.as_ref()).next() else { return };
        let away = self.order.pin == Some(Pin::Away);
        for order in self.orders().filter(|order| order.pin == Some(Pin::Away)) {
            order.pin = Some(pin.clone());
        }
        if let State::Talking { menu, .. } = &mut self.state
            && away
        {
            menu.give_pin(pin.clone());
        }
    }

    pub fn interrupt(&mut self, desk: &mut Desk, now: Now) {
        match &self.state {
            State::Calling { .. } | State::Ringing { .. } | State::GivingUp { .. } => {
                desk.sip.cancel(self.leg, now);
                self.end(AttemptResult::Interrupted, 487, desk, now);
            }
            State::Talking { .. } => {
                self.turn_menu(desk, now, |menu| menu.handle_gone(now.mono));
                desk.sip.bye(self.leg, now);
                let result = match self.result() {
                    AttemptResult::AnsweredNoKey => AttemptResult::Interrupted,
                    said => said,
                };
                self.end(result, 200, desk, now);
            }
            State::Over => {}
        }
    }

    fn attempt(&self) -> AttemptId {
        self.order.attempt
    }

    /// The ring time counts from the first 18x; until then the call may take as long to set up.
    fn progress(&mut self, status: u16, sdp: Option<Vec<u8>>, desk: &mut Desk, now: Now) {
        self.early = sdp.or(self.early.take());
        let answers = status >= 180;
        let first = match self.state {
            State::Calling { .. } => {
                let from = if answers { now.mono } else { self.began };
                self.state = State::Ringing { rang: answers, until: from + self.order.ring };
                answers
            }
            State::Ringing { rang: false, .. } if answers => {
                self.state = State::Ringing { rang: true, until: now.mono + self.order.ring };
                true
            }
            State::Ringing { .. } => false,
            State::GivingUp { .. } | State::Talking { .. } | State::Over => return,
        };
        if status == 180 && !std::mem::replace(&mut self.rings, true) {
            self.all().for_each(|attempt| desk.note(Fact::AttemptRinging { attempt }, now));
        } else if first && status != 180 {
            desk.note(Fact::AttemptProgress { attempt: self.attempt() }, now);
        }
    }

    fn answered(&mut self, sdp: Option<&[u8]>, desk: &mut Desk, now: Now) {
        match self.state {
            State::Calling { .. } | State::Ringing { .. } | State::GivingUp { .. } => {}
            State::Talking { .. } | State::Over => return,
        }
        let early = self.early.take();
        let session = sdp.or(early.as_deref()).and_then(|sdp| {
            let read = self.local.read(sdp);
            read.inspect_err(|fault| desk.note_secrecy(self.leg, fault, now)).ok()
        });
        let Some((session, stream)) =
            session.and_then(|session| session.spoken().map(|stream| (session, stream)))
        else {
            desk.sip.bye(self.leg, now);
            self.end(AttemptResult::ChannelFailed, 488, desk, now);
            return;
        };
        let said = sdp::answer(&self.local, &session, &stream, Direction::SendRecv);
        let leg = Leg::new(self.leg, self.channel, self.local, Some(stream), said);
        let attempt = self.attempt();
        self.picked_up = desk.plan.answer_supervision;
        let ends = self.began + self.order.ring + SPEAKING;
        let terms = self.terms(desk);
        self.mute_at = self.picked_up.then_some(now.mono + MUTE);
        let (mut menu, steps) = match self.picked_up {
            true => Menu::start(terms, now.mono, ends),
            false => Menu::start_unanswered(terms, now.mono, self.order.ring, ends),
        };
        if self.picked_up {
            self.all().for_each(|attempt| desk.note(Fact::AttemptAnswered { attempt }, now));
        } else {
            desk.note(Fact::AttemptDialled { attempt }, now);
        }
        desk.open(self.call(), Party::Leader, self.channel, stream);
        let steps = self.begin(&mut menu, steps, now);
        self.state = State::Talking { leg: Box::new(leg), menu };
        self.carry_out(steps, desk, now);
    }

    fn refused(&mut self, status: u16, desk: &mut Desk, now: Now) {
        let result = match self.state {
            // Timer B and a dead transport: nobody there has said a word.
            State::Calling { .. } if matches!(status, 408 | 503) => AttemptResult::ChannelFailed,
            State::Calling { .. } | State::Ringing { .. } => outcome(status),
            State::GivingUp { .. } => AttemptResult::NoAnswer,
            State::Talking { .. } | State::Over => return,
        };
        self.end(result, status, desk, now);
    }

    fn end(&mut self, result: AttemptResult, status: u16, desk: &mut Desk, now: Now) {
        let taped = match self.state {
            State::Talking { .. } => true,
            State::Calling { .. } | State::Ringing { .. } | State::GivingUp { .. } => false,
            State::Over => return,
        };
        self.dismiss(result, status, taped, desk, now);
        self.state = State::Over;
        desk.close(self.channel, now);
        if taped {
            desk.media(Command::Finish { call: self.call().0 });
        }
        desk.note(Fact::AttemptEnded { attempt: self.attempt(), result, status }, now);
    }
}

/// What a final refusal says about the person and the way to him (escalation.md, "Outcome map").
fn outcome(status: u16) -> AttemptResult {
    match status {
        486 | 600 => AttemptResult::Busy,
        603 | 607 | 608 => AttemptResult::Declined,
        408 | 480 | 487 => AttemptResult::NoAnswer,
        404 | 410 | 414 | 416 | 484 | 485 | 488 | 604 | 606 => AttemptResult::Unreachable,
        // It is forwarded to where nobody of the roster is.
        300..=399 => AttemptResult::Unreachable,
        _ => AttemptResult::ChannelFailed,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_refusal_has_its_outcome() {
        let table = [
            (&[486, 600][..], AttemptResult::Busy),
            (&[603, 607, 608], AttemptResult::Declined),
            (&[408, 480], AttemptResult::NoAnswer),
            (&[404, 410, 484, 488], AttemptResult::Unreachable),
            (&[300, 301, 302, 305, 380], AttemptResult::Unreachable),
            (&[401, 403, 500, 502, 503, 504], AttemptResult::ChannelFailed),
        ];
        for (statuses, result) in table {
            for status in statuses {
                assert_eq!(outcome(*status), result, "{status}");
            }
        }
    }
}
