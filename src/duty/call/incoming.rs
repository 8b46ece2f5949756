//! A call on the duty line: a caller, the officers' phones in turn, and the bridge between the two.
//!
//! ```text
//!  Entering ──stored, or 150 ms──► Ringing(phone) ──200──► Talking ──BYE, lost──► Over
//!     │                            │  ▲    │                  ▲
//!     │                            └──┘    └─none left─► LastChance (a cancelled phone may have
//!     │                       next phone                       │     been picked up meanwhile)
//!     └── caller gives up, refused, shutdown: from anywhere ───┴──────────────► Over
//! ```
//! Nothing answers the caller before an officer did.

use super::LegEvent;
use super::bridge::{Bridge, Caller};
use super::desk::Desk;
use super::keys::Via;
use super::ring_plan::{NotTaken, RETRY_AFTER, Ring, verdict};
use crate::duty::ids::CallId;
use crate::duty::journal::{Disposition, Fact};
use crate::protocol::now::{Deadline, Mono, Now};
use crate::protocol::rtp::{Channel, Command, Party};
use crate::protocol::sdp::{self, Direction};
use crate::protocol::sip::{Ending, LegId, Outgoing};
use serde::{Deserialize, Serialize};
use std::time::Duration;

/// A phone of which the PBX says nothing at all for so long is passed over.
const NO_REPLY: Duration = Duration::from_secs(6);
/// How long the last phone has to say how its CANCEL went.
const LAST_CHANCE: Duration = Duration::from_secs(2);

#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Incoming {
    id: CallId,
    caller: Caller,
    /// Lent to whichever phone is rung.
    officer_channel: Channel,
    state: State,
    not_taken: Vec<NotTaken>,
    /// Phones whose ringing was given up and whose final response is still to come.
    given_up: Vec<Ring>,
}

#[derive(Debug, Clone, Serialize, Deserialize)]
enum State {
    /// Until the entry is committed.
    Entering {
        until: Mono,
    },
    Ringing {
        ring: Ring,
        until: Mono,
    },
    LastChance {
        until: Mono,
    },
    Talking(Box<Bridge>),
    Over,
}

impl Incoming {
    /// A call whose `Arrived` has been noted.
    pub fn new(id: CallId, caller: Caller, officer_channel: Channel, until: Mono) -> Self {
        Self {
            id,
            caller,
            officer_channel,
            state: State::Entering { until },
            not_taken: vec![],
            given_up: vec![],
        }
    }

    pub fn is_over(&self) -> bool {
        matches!(self.state, State::Over)
    }

    pub fn handle_stored(&mut self, desk: &mut Desk, now: Now) {
        match self.state {
            State::Entering { .. } => self.ring(0, desk, now),
            State::Ringing { .. } | State::LastChance { .. } | State::Talking(_) | State::Over => {}
        }
    }

    pub fn handle_leg(&mut self, leg: LegId, event: LegEvent, desk: &mut Desk, now: Now) {
        match event {
            LegEvent::Cancelled => self.abandoned(desk, now),
            LegEvent::Answer { sdp } => self.our_offer_answered(leg, &sdp, desk),
            // The session stays as it was.
            LegEvent::OfferRefused { status: _ } => {}
            LegEvent::Progress { status, sdp } => self.progress(leg, status, sdp, desk, now),
            LegEvent::Answered { sdp } => self.answered(leg, sdp.as_deref(), desk, now),
            LegEvent::Refused { status } => self.refused(leg, status, desk, now),
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
        match self.state {
            State::Entering { until } if until <= now.mono => self.ring(0, desk, now),
            State::Ringing { until, .. } if until <= now.mono => self.give_up_ringing(desk, now),
            State::LastChance { until } if until <= now.mono => self.conclude(desk, now),
            State::Entering { .. }
            | State::Ringing { .. }
            | State::LastChance { .. }
            | State::Talking(_)
            | State::Over => {}
        }
    }

    pub fn deadline(&self) -> Option<Deadline> {
        match &self.state {
            State::Entering { until } => Some((*until, "entry not committed in time")),
            State::Ringing { until, .. } => Some((*until, "officer's phone not answered")),
            State::LastChance { until } => Some((*until, "last phone's CANCEL not answered")),
            State::Talking(_) | State::Over => None,
        }
    }

    pub fn handle_key(&mut self, party: Party, key: char, via: Via, desk: &mut Desk, now: Now) {
        match &mut self.state {
            State::Talking(bridge) => bridge.handle_key(party, key, via, desk, now),
            State::Entering { .. }
            | State::Ringing { .. }
            | State::LastChance { .. }
            | State::Over => {}
        }
    }

    pub fn is_taped(&self) -> bool {
        matches!(self.state, State::Talking(_))
    }

    /// Whoever talks goes on talking. One that was still ringing ends so that the PBX fails over:
    /// what the phones have said meanwhile is not known, and the caller must not wait for it.
    pub fn take_up(&mut self, desk: &mut Desk, now: Now) {
        match &self.state {
            State::Talking(bridge) => bridge.take_up(desk, now),
            State::Entering { .. } | State::Ringing { .. } | State::LastChance { .. } => {
                self.interrupt(desk, now);
            }
            State::Over => {}
        }
    }

    pub fn interrupt(&mut self, desk: &mut Desk, now: Now) {
        const WHY: &str = "the daemon stopped";
        match &self.state {
            State::Entering { .. } | State::Ringing { .. } | State::LastChance { .. } => {
                self.cancel_phones(desk, now);
                desk.refuse(self.caller.leg, 503, Some(RETRY_AFTER), now);
                self.end(Disposition::Interrupted, None, 503, WHY, desk, now);
            }
            State::Talking(bridge) => {
                bridge.hang_up(desk, now);
                self.end(Disposition::Interrupted, None, 200, WHY, desk, now);
            }
            State::Over => {}
        }
    }

    fn party(&self, leg: LegId) -> Option<Party> {
        match &self.state {
            State::Talking(bridge) if bridge.is_officer(leg) => Some(Party::Officer),
            State::Talking(_)
            | State::Entering { .. }
            | State::Ringing { .. }
            | State::LastChance { .. }
            | State::Over => (leg == self.caller.leg).then_some(Party::Caller),
        }
    }

    /// Rings the phone at this place of the plan, or comes to an end where there is none.
    fn ring(&mut self, phone: usize, desk: &mut Desk, now: Now) {
        let Some(plan) = desk.plan.phones.get(phone).cloned() else {
            self.all_tried(desk, now);
            return;
        };
        let local = desk.local(self.officer_channel);
        let sdp = match &self.caller.offer {
            Some(offer) => sdp::offer_for(&local, offer, Direction::SendRecv),
            None => sdp::offer(&local, &sdp::CODECS, Some(sdp::EVENT_PT), Direction::SendRecv),
        };
        let outgoing = Outgoing {
            target: plan.target,
            display: self.caller.shown.clone(),
            from_user: None,
            sdp,
            headers: vec![],
        };
        let leg = desk.dial(self.id, outgoing, now);
        desk.note(Fact::Rung { call: self.id, phone: plan.name.clone() }, now);
        let ring = Ring {
            leg,
            phone,
            name: plan.name,
            time: plan.ring,
            channel: self.officer_channel,
            local,
            started: now.mono,
            replied: false,
            rang: false,
            early: None,
        };
        self.state = State::Ringing { until: now.mono + ring.time.min(NO_REPLY), ring };
    }

    fn progress(
        &mut self,
        leg: LegId,
        status: u16,
        sdp: Option<Vec<u8>>,
        desk: &mut Desk,
        now: Now,
    ) {
        match &mut self.state {
            State::Ringing { ring, until } if ring.leg == leg => {
                if !ring.replied {
                    ring.replied = true;
                    *until = ring.started + ring.time;
                }
                ring.rang |= status >= 180;
                ring.early = sdp.or(ring.early.take());
                // Each one, so that a long ringing does not meet a proxy's Timer C (RFC 3261 §16.6).
                if status >= 180 {
                    desk.sip.ring(self.caller.leg, None, now);
                }
            }
            State::Entering { .. }
            | State::Ringing { .. }
            | State::LastChance { .. }
            | State::Talking(_)
            | State::Over => {}
        }
    }

    fn answered(&mut self, leg: LegId, sdp: Option<&[u8]>, desk: &mut Desk, now: Now) {
        let taken = match &self.state {
            State::Ringing { ring, .. } if ring.leg == leg => Some(ring.clone()),
            State::Ringing { .. } | State::LastChance { .. } => {
                let index = self.given_up.iter().position(|ring| ring.leg == leg);
                index.map(|index| self.given_up.remove(index))
            }
            State::Entering { .. } | State::Talking(_) | State::Over => None,
        };
        let Some(ring) = taken else {
            self.given_up.retain(|ring| ring.leg != leg);
            desk.sip.bye(leg, now);
            return;
        };
        let session = sdp.or(ring.early.as_deref()).and_then(|sdp| sdp::parse(sdp).ok());
        match session {
            Some(session) => {
                // A cancelled phone was picked up after all: the one that rings now stops.
                if let State::Ringing { ring: current, .. } = &self.state
                    && current.leg != leg
                {
                    let current = current.clone();
                    self.cancel(current, desk, now);
                }
                let bridge = Bridge::agree(self.id, &self.caller, &ring, &session, desk);
                bridge.open(desk, now);
                self.state = State::Talking(Box::new(bridge));
            }
            None => {
                desk.sip.bye(leg, now);
                self.refused_by(&ring, 488, desk, now);
            }
        }
    }

    fn our_offer_answered(&mut self, leg: LegId, sdp: &[u8], desk: &mut Desk) {
        match &mut self.state {
            State::Talking(bridge) => bridge.handle_answer(leg, sdp, desk),
            State::Entering { .. }
            | State::Ringing { .. }
            | State::LastChance { .. }
            | State::Over => {}
        }
    }

    fn refused(&mut self, leg: LegId, status: u16, desk: &mut Desk, now: Now) {
        self.given_up.retain(|ring| ring.leg != leg);
        match &self.state {
            State::Ringing { ring, .. } if ring.leg == leg => {
                let ring = ring.clone();
                self.refused_by(&ring, status, desk, now);
            }
            State::LastChance { .. } if self.given_up.is_empty() => self.conclude(desk, now),
            State::Entering { .. }
            | State::Ringing { .. }
            | State::LastChance { .. }
            | State::Talking(_)
            | State::Over => {}
        }
    }

    /// A phone does not take the call: the next one.
    fn refused_by(&mut self, ring: &Ring, status: u16, desk: &mut Desk, now: Now) {
        let phone = ring.name.clone();
        desk.note(Fact::NotTaken { call: self.id, phone, status }, now);
        self.not_taken.push(NotTaken::from_status(status, ring.rang));
        match &self.state {
            State::Ringing { ring: current, .. } if current.leg == ring.leg => {
                self.ring(ring.phone + 1, desk, now);
            }
            State::LastChance { .. } if self.given_up.is_empty() => self.conclude(desk, now),
            State::Entering { .. }
            | State::Ringing { .. }
            | State::LastChance { .. }
            | State::Talking(_)
            | State::Over => {}
        }
    }

    fn give_up_ringing(&mut self, desk: &mut Desk, now: Now) {
        let State::Ringing { ring, .. } = &self.state else { return };
        let ring = ring.clone();
        self.not_taken.push(if ring.rang { NotTaken::NoAnswer } else { NotTaken::Unreachable });
        let next = ring.phone + 1;
        self.cancel(ring, desk, now);
        self.ring(next, desk, now);
    }

    fn cancel(&mut self, ring: Ring, desk: &mut Desk, now: Now) {
        let phone = ring.name.clone();
        desk.note(Fact::NotTaken { call: self.id, phone, status: 487 }, now);
        desk.sip.cancel(ring.leg, now);
        self.given_up.push(ring);
    }

    fn cancel_phones(&mut self, desk: &mut Desk, now: Now) {
        if let State::Ringing { ring, .. } = &self.state {
            let ring = ring.clone();
            self.cancel(ring, desk, now);
        }
    }

    fn all_tried(&mut self, desk: &mut Desk, now: Now) {
        if self.given_up.iter().any(|ring| ring.replied) {
            self.state = State::LastChance { until: now.mono + LAST_CHANCE };
        } else {
            self.conclude(desk, now);
        }
    }

    /// Nobody took the call.
    fn conclude(&mut self, desk: &mut Desk, now: Now) {
        let verdict = verdict(&self.not_taken);
        desk.refuse(self.caller.leg, verdict.status, verdict.retry_after, now);
        self.end(verdict.disposition, None, verdict.status, verdict.why, desk, now);
    }

    /// The caller gave up.
    fn abandoned(&mut self, desk: &mut Desk, now: Now) {
        match &self.state {
            State::Entering { .. } | State::Ringing { .. } | State::LastChance { .. } => {
                self.cancel_phones(desk, now);
                let by = Some(Party::Caller);
                self.end(Disposition::Abandoned, by, 487, "the caller gave up", desk, now);
            }
            State::Talking(_) | State::Over => {}
        }
    }

    fn offered(&mut self, leg: LegId, sdp: Option<&[u8]>, desk: &mut Desk, now: Now) {
        match &mut self.state {
            State::Talking(bridge) => bridge.handle_offer(leg, sdp, desk, now),
            // The first offer is not answered yet (RFC 3311 §5.2).
            State::Entering { .. }
            | State::Ringing { .. }
            | State::LastChance { .. }
            | State::Over => desk.sip.refuse_offer(leg, 500, now),
        }
    }

    fn leg_ended(&mut self, leg: LegId, ending: Ending, desk: &mut Desk, now: Now) {
        self.given_up.retain(|ring| ring.leg != leg);
        let hung_up = match &mut self.state {
            State::Talking(bridge) => bridge.handle_ended(leg, ending, desk, now),
            State::Entering { .. }
            | State::Ringing { .. }
            | State::LastChance { .. }
            | State::Over => None,
        };
        if let Some(hung_up) = hung_up {
            self.end(hung_up.disposition, hung_up.by, 200, &hung_up.why, desk, now);
        }
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
        let taped = matches!(self.state, State::Talking(_));
        self.state = State::Over;
        desk.close(self.caller.channel, now);
        desk.close(self.officer_channel, now);
        if taped {
            desk.media(Command::Finish { call: self.id.0 });
        }
        let why = why.to_owned();
        desk.note(Fact::Ended { call: self.id, disposition, by, status, why }, now);
    }
}
