//! A call on the duty line, from the INVITE to its end.
//!
//! ```text
//!  Entering ──stored, or 150 ms──► Ringing ──an officer's 200──► Talking ──BYE, lost, silent──► Over
//!                │                  │   │                          ▲ ▲
//!                │   every phone busy   │ nobody for so long       │ │
//!                ▼                  ▼   ▼                          │ │
//!         Queued (others wait) ◄────┘  Message ──a 200 that crosses our CANCEL
//!                │  └────────────time───►│                         │
//!                └──────an officer's 200─┼─────────────────────────┘
//!   caller gives up, refused, shutdown: from anywhere ───────────────────────────────────────► Over
//! ```
//! The caller is answered by an officer, by the queue, or by the last resort; never before.

mod handing;
mod offers;
mod tones;

use super::LegEvent;
use super::bridge::{Bridge, HungUp};
use super::caller::Caller;
use super::desk::Desk;
use super::early::Early;
use super::keys::{Keys, Via};
use super::message::{Message, Step};
use super::queued::{self, Due, Queued};
use super::ring_plan::{BUSY, RETRY_AFTER, Verdict};
use super::ringing::{Ringing, Rings, Taken};
use crate::duty::ids::CallId;
use crate::duty::journal::{Disposition, Fact, Stretch};
use crate::duty::line_plan::Answering;
use crate::duty::prompts::QUEUE;
use crate::protocol::now::{Deadline, Mono, Now, earlier};
use crate::protocol::rtp::{Channel, Command, Party, Prompt};
use crate::protocol::sip::{Ending, LegId};
use serde::{Deserialize, Serialize};
use std::time::Duration;

#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Incoming {
    id: CallId,
    caller: Caller,
    phones: Ringing,
    early: Early,
    state: State,
    /// A fax machine calls.
    fax: bool,
}

#[derive(Debug, Clone, Serialize, Deserialize)]
enum State {
    /// Until the entry is committed.
    Entering {
        until: Mono,
    },
    /// Nobody has answered the caller.
    Ringing {
        /// When the last resort answers him.
        until: Option<Mono>,
    },
    Queued(Queued),
    Message {
        message: Message,
        keys: Keys,
    },
    Talking(Box<Bridge>),
    Over,
}

impl Incoming {
    /// A call whose `Arrived` has been noted.
    pub fn new(id: CallId, caller: Caller, officer: Channel, until: Mono, now: Mono) -> Self {
        Self {
            id,
            caller,
            phones: Ringing::new(id, officer, now),
            early: Early::default(),
            state: State::Entering { until },
            fax: false,
        }
    }

    pub fn caller_leg(&self) -> LegId {
        self.caller.leg
    }

    pub fn is_over(&self) -> bool {
        matches!(self.state, State::Over)
    }

    pub fn handle_stored(&mut self, desk: &mut Desk, now: Now) {
        if matches!(self.state, State::Entering { .. }) {
            self.begin(desk, now);
        }
    }

    pub fn handle_leg(&mut self, leg: LegId, event: LegEvent, desk: &mut Desk, now: Now) {
        let Some(event) = self.hand_on(leg, event, desk, now) else { return };
        match event {
            LegEvent::Cancelled { elsewhere } => self.gave_up(elsewhere, desk, now),
            LegEvent::Answer { sdp } => self.our_offer_answered(leg, &sdp, desk, now),
            // The session stays as it was.
            LegEvent::OfferRefused { status: _ } | LegEvent::Refer { .. } => {}
            LegEvent::Progress { status, sdp } => {
                if let Some(rings) = self.phones.handle_progress(leg, status, sdp) {
                    self.phone_rings(&rings, desk, now);
                }
            }
            LegEvent::Answered { sdp } => {
                if let Some(taken) =
                    self.phones.handle_answered(leg, sdp.as_deref(), &self.caller, desk, now)
                {
                    self.talk(taken, desk, now);
                }
                self.follow(desk, now);
            }
            LegEvent::Refused { status } => {
                self.phones.handle_refused(leg, status, desk, now);
                self.follow(desk, now);
            }
            LegEvent::Offer { sdp } => self.offered(leg, sdp.as_deref(), desk, now),
            LegEvent::Key(key) => {
                if let Some(party) = self.party(leg) {
                    self.handle_key(party, key, Via::Info, desk, now);
                }
            }
            LegEvent::Ended(ending) => self.leg_ended(leg, ending, desk, now),
        }
    }

    pub fn handle_timeout(&mut self, desk: &mut Desk, now: Now) {
        self.phones.handle_timeout(desk, now);
        match &mut self.state {
            State::Entering { until } if *until <= now.mono => self.begin(desk, now),
            State::Ringing { until: Some(until) } if *until <= now.mono => {
                self.take_message(desk, now);
            }
            State::Queued(queued) => match queued.handle_timeout(now.mono) {
                Some(Due::Over) => self.waited_in_vain(desk, now),
                Some(Due::Again) => self.try_phones(queued::AGAIN, desk, now),
                None => {}
            },
            State::Message { message, .. } => {
                let step = message.handle_timeout(now.mono);
                self.carry_out(step, desk, now);
            }
            State::Talking(bridge) => {
                if bridge.target_timeout(desk, now) {
                    self.recall(desk, now);
                } else if let Some(hung_up) = bridge.handle_timeout(desk, now) {
                    self.hung_up(&hung_up, desk, now);
                }
            }
            State::Entering { .. } | State::Ringing { .. } | State::Over => {}
        }
        self.follow(desk, now);
    }

    pub fn deadline(&self, desk: &Desk) -> Option<Deadline> {
        let own = match &self.state {
            State::Entering { until } => Some((*until, "entry not committed in time")),
            State::Ringing { until } => until.map(|until| (until, "nobody answers")),
            State::Queued(queued) => queued.deadline(),
            State::Message { message, .. } => message.deadline(),
            State::Talking(bridge) => bridge.deadline(desk),
            State::Over => None,
        };
        earlier(own, self.phones.deadline(&self.caller, desk))
    }

    pub fn handle_key(&mut self, party: Party, key: char, via: Via, desk: &mut Desk, now: Now) {
        match &mut self.state {
            State::Talking(bridge) => bridge.handle_key(party, key, via, desk, now),
            State::Message { message, keys } => {
                let is_new = party == Party::Caller && keys.is_new(key, via, now.mono);
                let step = is_new.then(|| message.handle_key(key, now.mono)).flatten();
                self.carry_out(step, desk, now);
            }
            State::Entering { .. } | State::Ringing { .. } | State::Queued(_) | State::Over => {}
        }
    }

    pub fn handle_played(&mut self, prompt: Prompt, desk: &mut Desk, now: Now) {
        self.caller.handle_played(prompt);
        if let State::Message { message, .. } = &mut self.state {
            let step = message.handle_played(prompt, now.mono);
            self.carry_out(step, desk, now);
        }
    }

    pub fn handle_voice(&mut self, party: Party, quiet_since: Option<Mono>) {
        if let State::Talking(bridge) = &mut self.state {
            bridge.handle_voice(party, quiet_since);
        }
    }

    pub fn is_taped(&self) -> bool {
        self.early.was_taped() || self.caller.is_answered()
    }

    /// Whoever talks, waits or leaves a message goes on. One that was still ringing ends so that
    /// the PBX fails over: what the phones have said meanwhile is not known, and the caller must
    /// not wait for it. One who is answered waits on, as the PBX cannot: the phones ring anew.
    pub fn take_up(&mut self, desk: &mut Desk, now: Now) {
        match &mut self.state {
            State::Talking(bridge) => bridge.take_up(desk, now),
            State::Queued(_) => {
                desk.queue.insert(self.id, self.caller.aor);
                desk.freed = true;
                self.phones.stop(desk, now);
                self.caller.take_up(self.id, desk, now);
            }
            State::Message { .. } => {
                self.phones.stop(desk, now);
                self.caller.take_up(self.id, desk, now);
            }
            State::Entering { .. } | State::Ringing { .. } if self.caller.is_answered() => {
                self.phones.stop(desk, now);
                self.early.forget(self.id, &mut self.caller, false, desk, now);
                self.caller.take_up(self.id, desk, now);
                self.rings_at_every_phone(queued::SOON, desk, now);
            }
            State::Entering { .. } | State::Ringing { .. } => self.interrupt(desk, now),
            State::Over => {}
        }
    }

    pub fn interrupt(&mut self, desk: &mut Desk, now: Now) {
        let status = match &mut self.state {
            State::Over => return,
            State::Talking(bridge) => {
                bridge.hang_up(desk, now);
                200
            }
            State::Entering { .. }
            | State::Ringing { .. }
            | State::Queued(_)
            | State::Message { .. } => self.dismiss(503, Some(RETRY_AFTER), desk, now),
        };
        self.end(Disposition::Interrupted, None, status, "the daemon stopped", desk, now);
    }

    /// First in the queue, and a phone may be free.
    pub fn its_turn(&mut self, desk: &mut Desk, now: Now) {
        self.try_phones(queued::SOON, desk, now);
    }

    fn try_phones(&mut self, again: Duration, desk: &mut Desk, now: Now) {
        let State::Queued(queued) = &mut self.state else { return };
        if !desk.queue.first(&desk.plan).contains(&self.id) {
            return;
        }
        if self.phones.verdict().is_none() {
            return queued.freed();
        }
        queued.tries(again, now.mono);
        self.phones.begin(Duration::ZERO, &self.caller, desk, now);
    }

    fn answering<'a>(&self, desk: &'a Desk) -> &'a Answering {
        desk.plan.answering_of(self.caller.aor)
    }

    fn party(&self, leg: LegId) -> Option<Party> {
        match &self.state {
            State::Talking(bridge) if bridge.is_officer(leg) => Some(Party::Officer),
            State::Talking(bridge) if bridge.is_guest(leg) => Some(Party::Leader),
            State::Talking(_)
            | State::Entering { .. }
            | State::Ringing { .. }
            | State::Queued(_)
            | State::Message { .. }
            | State::Over => (leg == self.caller.leg).then_some(Party::Caller),
        }
    }

    /// Rings, or waits behind those who wait already.
    fn begin(&mut self, desk: &mut Desk, now: Now) {
        if self.answering(desk).queue.is_some() && desk.queue.is_before(self.caller.aor, &desk.plan)
        {
            return self.busy(desk, now);
        }
        self.ring(Duration::ZERO, desk, now);
    }

    /// The whole plan in so long, and the last resort in its time.
    fn ring(&mut self, wait: Duration, desk: &mut Desk, now: Now) {
        let last_resort = self.answering(desk).message.map(|message| now.mono + message.after);
        self.state = State::Ringing { until: last_resort };
        self.phones.begin(wait, &self.caller, desk, now);
        self.follow(desk, now);
    }

    /// The next phones ring, or the round is over.
    fn follow(&mut self, desk: &mut Desk, now: Now) {
        match self.state {
            State::Ringing { .. } | State::Queued(_) => {}
            State::Entering { .. } | State::Message { .. } | State::Talking(_) | State::Over => {
                return;
            }
        }
        self.phones.advance(&self.caller, desk, now);
        if self.early.phone().is_some_and(|phone| !self.phones.rings(phone)) {
            let others = self.phones.is_ringing();
            self.early.forget(self.id, &mut self.caller, others, desk, now);
        }
        let Some(verdict) = self.phones.verdict() else { return };
        if let State::Queued(queued) = &mut self.state {
            if queued.take_freed() {
                self.its_turn(desk, now);
            }
            return;
        }
        match verdict.disposition {
            Disposition::BusyMissed => self.busy(desk, now),
            Disposition::Missed
                if verdict.status != 503 && self.answering(desk).message.is_some() =>
            {
                self.take_message(desk, now);
            }
            _ => self.refuse(verdict, desk, now),
        }
    }

    fn phone_rings(&mut self, rings: &Rings, desk: &mut Desk, now: Now) {
        if !matches!(self.state, State::Ringing { .. }) {
            return;
        }
        // Each one, so that a long ringing does not meet a proxy's Timer C (RFC 3261 §16.6).
        if !self.early.handle_rings(self.id, &mut self.caller, rings, desk, now) {
            desk.sip.ring(self.caller.leg, None, now);
        }
    }

    fn talk(&mut self, taken: Taken, desk: &mut Desk, now: Now) {
        self.leave_queue(desk);
        let bridge = Bridge::open(self.id, &mut self.caller, &taken, desk, now);
        self.phones.taken(desk, now);
        self.state = State::Talking(Box::new(bridge));
    }

    /// 占线: a place in the queue, where there is one.
    fn busy(&mut self, desk: &mut Desk, now: Now) {
        let aor = self.caller.aor;
        let places = self.answering(desk).queue;
        let place = places.filter(|plan| desk.queue.len_of(aor) < plan.places);
        let Some(plan) = place else {
            return self.refuse(BUSY, desk, now);
        };
        desk.queue.insert(self.id, aor);
        self.state = State::Queued(Queued::new(plan.longest, now.mono));
        self.answer_ourselves(Stretch::Queued, desk, now);
        self.caller.play(QUEUE, true, desk);
    }

    fn waited_in_vain(&mut self, desk: &mut Desk, now: Now) {
        self.leave_queue(desk);
        if self.answering(desk).message.is_some() {
            return self.take_message(desk, now);
        }
        let why = "no phone became free while the caller waited";
        let status = self.dismiss(486, None, desk, now);
        self.end(Disposition::BusyMissed, None, status, why, desk, now);
    }

    fn leave_queue(&mut self, desk: &mut Desk) {
        desk.freed |= desk.queue.remove(self.id);
    }

    fn take_message(&mut self, desk: &mut Desk, now: Now) {
        let Some(plan) = self.answering(desk).message else { return };
        self.phones.stop(desk, now);
        desk.freed = true;
        self.early.forget(self.id, &mut self.caller, false, desk, now);
        let (message, step) = Message::start(plan.longest, now.mono);
        self.state = State::Message { message, keys: Keys::default() };
        self.answer_ourselves(Stretch::Message, desk, now);
        self.carry_out(Some(step), desk, now);
    }

    fn answer_ourselves(&mut self, stretch: Stretch, desk: &mut Desk, now: Now) {
        self.caller.silence(desk);
        desk.note(Fact::Began { call: self.id, stretch }, now);
        self.caller.settle(None, desk);
        self.caller.open(self.id, desk);
        self.caller.answer(desk, now);
    }

    fn carry_out(&mut self, step: Option<Step>, desk: &mut Desk, now: Now) {
        match step {
            Some(Step::Play(prompt)) => self.caller.play(prompt, false, desk),
            Some(Step::HangUp) => {
                desk.sip.bye(self.caller.leg, now);
                self.message_ended(None, "the message is over", desk, now);
            }
            None => {}
        }
    }

    fn message_ended(&mut self, by: Option<Party>, why: &str, desk: &mut Desk, now: Now) {
        let left = match &self.state {
            State::Message { message, .. } => message.is_left(now.mono),
            _ => false,
        };
        let disposition = if left { Disposition::Message } else { Disposition::Missed };
        self.end(disposition, by, 200, why, desk, now);
    }

    /// Nobody took the call.
    fn refuse(&mut self, verdict: Verdict, desk: &mut Desk, now: Now) {
        let status = self.dismiss(verdict.status, verdict.retry_after, desk, now);
        self.end(verdict.disposition, None, status, verdict.why, desk, now);
    }

    /// Sends a caller away who has no officer; the status that he got.
    fn dismiss(&mut self, status: u16, retry_after: Option<u32>, desk: &mut Desk, now: Now) -> u16 {
        if self.caller.is_answered() {
            desk.sip.bye(self.caller.leg, now);
            return 200;
        }
        desk.refuse(self.caller.leg, status, retry_after, now);
        status
    }

    fn gave_up(&mut self, elsewhere: bool, desk: &mut Desk, now: Now) {
        let (how, by, why) = match elsewhere {
            true => (Disposition::Elsewhere, None, "another phone has the call"),
            false => (Disposition::Abandoned, Some(Party::Caller), "the caller gave up"),
        };
        match &self.state {
            State::Entering { .. } | State::Ringing { .. } => {
                self.end(how, by, 487, why, desk, now);
            }
            State::Queued(_) | State::Message { .. } | State::Talking(_) | State::Over => {}
        }
    }

    fn leg_ended(&mut self, leg: LegId, ending: Ending, desk: &mut Desk, now: Now) {
        let by = (ending == Ending::Bye).then_some(Party::Caller);
        match &mut self.state {
            State::Talking(bridge) => {
                if let Some(hung_up) = bridge.handle_ended(leg, ending, desk, now) {
                    self.hung_up(&hung_up, desk, now);
                }
            }
            State::Queued(_) | State::Ringing { .. } if leg == self.caller.leg => {
                let why = "the caller gave up waiting";
                self.end(Disposition::Abandoned, by, 200, why, desk, now);
            }
            State::Message { .. } if leg == self.caller.leg => {
                self.message_ended(by, "the caller hung up", desk, now);
            }
            State::Queued(_)
            | State::Message { .. }
            | State::Entering { .. }
            | State::Ringing { .. }
            | State::Over => self.phones.handle_refused(leg, 503, desk, now),
        }
    }

    fn hung_up(&mut self, hung_up: &HungUp, desk: &mut Desk, now: Now) {
        self.end(hung_up.disposition, hung_up.by, 200, &hung_up.why, desk, now);
    }

    fn end(
        &mut self,
        disposition: Disposition,
        by: Option<Party>,
        status: u16,
        why: &str,
        desk: &mut Desk,
        now: Now,
    ) {
        self.leave_queue(desk);
        desk.freed |= self.phones.is_ringing() || matches!(self.state, State::Talking(_));
        let taped = self.is_taped();
        if let State::Talking(bridge) = std::mem::replace(&mut self.state, State::Over) {
            bridge.close(desk, now);
        }
        self.phones.close(desk, now);
        desk.close_of(self.id, self.caller.channel, now);
        if taped {
            desk.media(Command::Finish { call: self.id.0 });
        }
        let why = why.to_owned();
        desk.note(Fact::Ended { call: self.id, disposition, by, status, why }, now);
    }
}
