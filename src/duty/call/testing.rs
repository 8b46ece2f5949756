//! A call that the daemon makes to itself through the PBX (录音自检): it is answered, our sentence is said, and the
//! caller hangs up. No telephone rings.
//!
//! ```text
//!  Entering ──stored, or 150 ms──► Talking ──BYE, time──► Over
//! ```

use super::LegEvent;
use super::caller::Caller;
use super::desk::Desk;
use crate::duty::ids::CallId;
use crate::duty::journal::{Disposition, Fact};
use crate::duty::prompts::SELF_TEST;
use crate::protocol::now::{Deadline, Mono, Now};
use crate::protocol::rtp::{Command, Party, Prompt};
use crate::protocol::sip::{Ending, LegId};
use serde::{Deserialize, Serialize};
use std::time::Duration;

/// Who answers, in the log.
const NAME: &str = "录音自检";
/// A caller who does not hang up is hung up on.
const LONGEST: Duration = Duration::from_secs(30);

#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Testing {
    id: CallId,
    caller: Caller,
    state: State,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
enum State {
    Entering { until: Mono },
    Talking { until: Mono },
    Over,
}

impl Testing {
    /// A call whose `Arrived` has been noted.
    pub fn new(id: CallId, caller: Caller, until: Mono) -> Self {
        Self { id, caller, state: State::Entering { until } }
    }

    pub fn caller_leg(&self) -> LegId {
        self.caller.leg
    }

    pub fn is_over(&self) -> bool {
        self.state == State::Over
    }

    pub fn is_taped(&self) -> bool {
        self.caller.is_answered()
    }

    pub fn handle_stored(&mut self, desk: &mut Desk, now: Now) {
        if matches!(self.state, State::Entering { .. }) {
            self.answer(desk, now);
        }
    }

    pub fn handle_leg(&mut self, leg: LegId, event: LegEvent, desk: &mut Desk, now: Now) {
        match event {
            LegEvent::Cancelled { .. } => {
                self.end(487, None, "the test call was given up", desk, now)
            }
            LegEvent::Ended(Ending::Bye | Ending::OurBye) => {
                self.end(200, Some(Party::Caller), "the test is over", desk, now);
            }
            LegEvent::Ended(Ending::Lost | Ending::Expired) => {
                self.end(200, None, "the test call was lost", desk, now);
            }
            LegEvent::Answer { sdp } => self.caller.take_answer(self.id, &sdp, desk, now),
            LegEvent::Offer { sdp } => self.caller.renegotiate(sdp.as_deref(), desk, now),
            LegEvent::Refer { .. } => desk.sip.refuse_refer(leg, 603, now),
            LegEvent::Progress { .. }
            | LegEvent::Answered { .. }
            | LegEvent::Refused { .. }
            | LegEvent::OfferRefused { .. }
            | LegEvent::Key(_) => {}
        }
    }

    pub fn handle_played(&mut self, prompt: Prompt) {
        self.caller.handle_played(prompt);
    }

    pub fn handle_timeout(&mut self, desk: &mut Desk, now: Now) {
        match self.state {
            State::Entering { until } if until <= now.mono => self.answer(desk, now),
            State::Talking { until } if until <= now.mono => {
                desk.sip.bye(self.caller.leg, now);
                self.end(200, None, "the test call did not end", desk, now);
            }
            State::Entering { .. } | State::Talking { .. } | State::Over => {}
        }
    }

    pub fn deadline(&self) -> Option<Deadline> {
        match self.state {
            State::Entering { until } => Some((until, "entry not committed in time")),
            State::Talking { until } => Some((until, "test call does not end")),
            State::Over => None,
        }
    }

    /// The daemon stops, or another run began it: whoever tests tests again.
    pub fn interrupt(&mut self, desk: &mut Desk, now: Now) {
        match self.state {
            State::Over => return,
            State::Talking { .. } => desk.sip.bye(self.caller.leg, now),
            State::Entering { .. } => desk.refuse(self.caller.leg, 503, None, now),
        }
        self.end(503, None, "the daemon stopped", desk, now);
    }

    fn answer(&mut self, desk: &mut Desk, now: Now) {
        self.state = State::Talking { until: now.mono + LONGEST };
        desk.note(Fact::Answered { call: self.id, phone: NAME.to_owned() }, now);
        self.caller.settle(None, desk);
        self.caller.open(self.id, desk);
        self.caller.answer(desk, now);
        self.caller.play(SELF_TEST, false, desk);
    }

    fn end(&mut self, status: u16, by: Option<Party>, why: &str, desk: &mut Desk, now: Now) {
        if self.is_over() {
            return;
        }
        self.state = State::Over;
        desk.close_of(self.id, self.caller.channel, now);
        if self.is_taped() {
            desk.media(Command::Finish { call: self.id.0 });
        }
        let (call, why) = (self.id, why.to_owned());
        desk.note(Fact::Ended { call, disposition: Disposition::SelfTest, by, status, why }, now);
    }
}
