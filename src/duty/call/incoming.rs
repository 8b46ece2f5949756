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
use super::desk::Desk;
use super::keys::{Keys, StarNine, Via};
use super::leg::Leg;
use super::ring_plan::{NotTaken, RETRY_AFTER, verdict};
use crate::duty::ids::{CallId, EntryId};
use crate::duty::journal::{Disposition, Fact, Urgency};
use crate::protocol::now::{Deadline, Mono, Now};
use crate::protocol::rtp::{Channel, Command, Party};
use crate::protocol::sdp::{self, Direction, Local, Session};
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
    /// Whether the caller hears ringing.
    ringing_heard: bool,
}

/// The caller while nobody has answered.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Caller {
    pub leg: LegId,
    pub channel: Channel,
    /// None: the caller leaves the offer to us (RFC 3261 §13.2.1).
    pub offer: Option<Session>,
    /// What the officer's phone shows.
    pub shown: String,
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
    Talking(Box<Talk>),
    Over,
}

/// One phone that is being rung.
#[derive(Debug, Clone, Serialize, Deserialize)]
struct Ring {
    leg: LegId,
    /// Its place in the ring plan.
    phone: usize,
    local: Local,
    started: Mono,
    replied: bool,
    rang: bool,
}

#[derive(Debug, Clone, Serialize, Deserialize)]
struct Talk {
    caller: Leg,
    officer: Leg,
    phone: usize,
    keys: Keys,
    star_nine: StarNine,
    flagged: bool,
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
            ringing_heard: false,
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
            LegEvent::Confirmed { sdp } => self.confirmed(leg, sdp, desk),
            LegEvent::Progress { status } => self.progress(leg, status, desk, now),
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

    /// The officer's keys; the caller's are nothing to us.
    pub fn handle_key(&mut self, party: Party, key: char, via: Via, desk: &mut Desk, now: Now) {
        let State::Talking(talk) = &mut self.state else { return };
        if party != Party::Officer || !talk.keys.is_new(key, via, now.mono) {
            return;
        }
        if talk.star_nine.completed_by(key, now.mono) && !talk.flagged {
            talk.flagged = true;
            let phone = phone_name(desk, talk.phone);
            let entry = EntryId::from(self.id);
            desk.note(Fact::Flagged { entry, urgency: Urgency::Urgent, phone }, now);
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
            State::Talking(talk) => {
                desk.sip.bye(talk.caller.id, now);
                desk.sip.bye(talk.officer.id, now);
                self.end(Disposition::Interrupted, None, 200, WHY, desk, now);
            }
            State::Over => {}
        }
    }

    fn party(&self, leg: LegId) -> Option<Party> {
        match &self.state {
            State::Talking(talk) if talk.officer.id == leg => Some(Party::Officer),
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
        desk.note(Fact::Rung { call: self.id, phone: plan.name }, now);
        let until = now.mono + plan.ring.min(NO_REPLY);
        let started = now.mono;
        let ring = Ring { leg, phone, local, started, replied: false, rang: false };
        self.state = State::Ringing { ring, until };
    }

    fn progress(&mut self, leg: LegId, status: u16, desk: &mut Desk, now: Now) {
        match &mut self.state {
            State::Ringing { ring, until } if ring.leg == leg => {
                if !ring.replied {
                    ring.replied = true;
                    let time =
                        desk.plan.phones.get(ring.phone).map_or(NO_REPLY, |phone| phone.ring);
                    *until = ring.started + time;
                }
                ring.rang |= status >= 180;
                if ring.rang && !self.ringing_heard {
                    self.ringing_heard = true;
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
        match self.agree(&ring, sdp, desk) {
            Some(talk) => self.connect(talk, desk, now),
            None => {
                desk.sip.bye(leg, now);
                self.refused_by(&ring, 488, desk, now);
            }
        }
    }

    /// Both legs' sessions in the codec that the officer's phone chose; none where it chose none
    /// that the caller speaks.
    fn agree(&self, ring: &Ring, sdp: Option<&[u8]>, desk: &mut Desk) -> Option<Talk> {
        let officer = sdp::parse(sdp?).ok()?;
        let offer = self.caller.offer.as_ref();
        let spoken = |codec| offer.is_none_or(|offer| offer.stream_for(codec).is_some());
        let (codec, _) = *officer.codecs().iter().find(|(codec, _)| spoken(*codec))?;
        let officer_stream = officer.stream_for(codec)?;
        let local = desk.local(self.caller.channel);
        let (caller_stream, said) = match offer {
            Some(offer) => {
                let stream = offer.stream_for(codec)?;
                let direction = offer.direction.reversed();
                (Some(stream), sdp::answer(&local, offer, &stream, direction))
            }
            None => {
                let codecs = [(codec, codec as u8)];
                let said = sdp::offer(&local, &codecs, Some(sdp::EVENT_PT), Direction::SendRecv);
                (None, said)
            }
        };
        let ours = sdp::answer(&ring.local, &officer, &officer_stream, Direction::SendRecv);
        let officer_leg =
            Leg::new(ring.leg, self.officer_channel, ring.local, codec, Some(officer_stream), ours);
        let caller_leg =
            Leg::new(self.caller.leg, self.caller.channel, local, codec, caller_stream, said);
        Some(Talk {
            caller: caller_leg,
            officer: officer_leg,
            phone: ring.phone,
            keys: Keys::default(),
            star_nine: StarNine::default(),
            flagged: false,
        })
    }

    /// An officer has the call: every other phone stops, the two hear each other, the caller is
    /// answered.
    fn connect(&mut self, talk: Talk, desk: &mut Desk, now: Now) {
        if let State::Ringing { ring, .. } = &self.state
            && ring.leg != talk.officer.id
        {
            let ring = ring.clone();
            self.cancel(ring, desk, now);
        }
        desk.note(Fact::Answered { call: self.id, phone: phone_name(desk, talk.phone) }, now);
        if let Some(stream) = talk.officer.stream {
            desk.open(self.id, Party::Officer, talk.officer.channel, stream);
        }
        if let Some(stream) = talk.caller.stream {
            desk.open(self.id, Party::Caller, talk.caller.channel, stream);
            desk.media(Command::Join { a: talk.caller.channel, b: talk.officer.channel });
        }
        desk.sip.answer(talk.caller.id, talk.caller.said.clone(), now);
        self.state = State::Talking(Box::new(talk));
    }

    /// The ACK of a caller who left the offer to us holds the answer.
    fn confirmed(&mut self, leg: LegId, sdp: Option<Vec<u8>>, desk: &mut Desk) {
        match &mut self.state {
            State::Talking(talk) if talk.caller.id == leg && talk.caller.stream.is_none() => {
                let Some(stream) = sdp.and_then(|sdp| talk.caller.take_answer(&sdp)) else {
                    return;
                };
                desk.open(self.id, Party::Caller, talk.caller.channel, stream);
                desk.media(Command::Join { a: talk.caller.channel, b: talk.officer.channel });
            }
            State::Talking(_)
            | State::Entering { .. }
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
        let phone = phone_name(desk, ring.phone);
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
        let phone = phone_name(desk, ring.phone);
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

    /// Each leg negotiates with us alone: a change on one is nothing to the other.
    fn offered(&mut self, leg: LegId, sdp: Option<&[u8]>, desk: &mut Desk, now: Now) {
        match &mut self.state {
            State::Talking(talk) if talk.caller.id == leg => {
                desk.renegotiate(&mut talk.caller, sdp, now);
            }
            State::Talking(talk) if talk.officer.id == leg => {
                desk.renegotiate(&mut talk.officer, sdp, now);
            }
            // The first offer is not answered yet (RFC 3311 §5.2).
            State::Talking(_)
            | State::Entering { .. }
            | State::Ringing { .. }
            | State::LastChance { .. }
            | State::Over => desk.sip.refuse_offer(leg, 500, now),
        }
    }

    fn leg_ended(&mut self, leg: LegId, ending: Ending, desk: &mut Desk, now: Now) {
        self.given_up.retain(|ring| ring.leg != leg);
        let State::Talking(talk) = &self.state else { return };
        let (party, other, who) = if leg == talk.caller.id {
            (Party::Caller, talk.officer.id, "caller")
        } else if leg == talk.officer.id {
            (Party::Officer, talk.caller.id, "officer")
        } else {
            return;
        };
        desk.sip.bye(other, now);
        match ending {
            Ending::Bye => {
                let why = format!("the {who} hung up");
                self.end(Disposition::Answered, Some(party), 200, &why, desk, now);
            }
            Ending::OurBye => {
                self.end(Disposition::Answered, None, 200, "we hung up", desk, now);
            }
            Ending::Lost => {
                let why = format!("the {who}'s side no longer answers");
                self.end(Disposition::Interrupted, None, 200, &why, desk, now);
            }
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

fn phone_name(desk: &Desk, phone: usize) -> String {
    desk.plan.phones.get(phone).map(|phone| phone.name.clone()).unwrap_or_default()
}
