//! Caller and officer speaking: two legs, each negotiated with us alone, and the officer's keys.

use super::desk::Desk;
use super::keys::{Keys, StarNine, Via};
use super::leg::Leg;
use super::ring_plan::Ring;
use crate::duty::ids::{CallId, EntryId};
use crate::duty::journal::{Disposition, Fact, Urgency};
use crate::protocol::now::Now;
use crate::protocol::rtp::{Channel, Command, Party};
use crate::protocol::sdp::{self, Direction, Session};
use crate::protocol::sip::{Ending, LegId};
use serde::{Deserialize, Serialize};

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
pub struct Bridge {
    call: CallId,
    caller: Leg,
    officer: Leg,
    phone: String,
    keys: Keys,
    star_nine: StarNine,
    flagged: bool,
}

/// One leg is over, so the call is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct HungUp {
    pub disposition: Disposition,
    pub by: Option<Party>,
    pub why: String,
}

impl Bridge {
    /// Both sessions in the first codec of the officer's answer that the caller speaks too; where
    /// the answer has none of those, the relay transcodes.
    pub fn agree(
        call: CallId,
        caller: &Caller,
        ring: &Ring,
        officer: &Session,
        desk: &mut Desk,
    ) -> Self {
        let spoken = |codec| caller.offer.as_ref().and_then(|offer| offer.stream_for(codec));
        let mut codecs = officer.codecs().iter().map(|(codec, _)| *codec);
        let common = codecs.find(|codec| spoken(*codec).is_some());
        let stream = common.and_then(|codec| officer.stream_for(codec));
        let stream = stream.unwrap_or_else(|| officer.stream());
        let officer_leg = Leg {
            id: ring.leg,
            channel: ring.channel,
            local: ring.local,
            stream: Some(stream),
            said: sdp::answer(&ring.local, officer, &stream, Direction::SendRecv),
        };
        let local = desk.local(caller.channel);
        let (stream, said) = match &caller.offer {
            Some(offer) => {
                let stream = spoken(stream.codec).unwrap_or_else(|| offer.stream());
                let answer = sdp::answer(&local, offer, &stream, offer.direction.reversed());
                (Some(stream), answer)
            }
            None => {
                let codec = [(stream.codec, stream.codec as u8)];
                (None, sdp::offer(&local, &codec, Some(sdp::EVENT_PT), Direction::SendRecv))
            }
        };
        let caller_leg = Leg { id: caller.leg, channel: caller.channel, local, stream, said };
        Self {
            call,
            caller: caller_leg,
            officer: officer_leg,
            phone: ring.name.clone(),
            keys: Keys::default(),
            star_nine: StarNine::default(),
            flagged: false,
        }
    }

    /// The two hear each other, and only then the caller is answered.
    pub fn open(&self, desk: &mut Desk, now: Now) {
        desk.note(Fact::Answered { call: self.call, phone: self.phone.clone() }, now);
        self.open_leg(Party::Officer, &self.officer, desk);
        self.open_leg(Party::Caller, &self.caller, desk);
        desk.sip.answer(self.caller.id, self.caller.said.clone(), now);
    }

    fn open_leg(&self, party: Party, leg: &Leg, desk: &mut Desk) {
        let Some(stream) = leg.stream else { return };
        desk.open(self.call, party, leg.channel, stream);
        if party == Party::Caller {
            desk.media(Command::Join { a: leg.channel, b: self.officer.channel });
        }
    }

    /// The two hear each other again, where each is still there.
    pub fn take_up(&self, desk: &mut Desk, now: Now) {
        self.open_leg(Party::Officer, &self.officer, desk);
        self.open_leg(Party::Caller, &self.caller, desk);
        desk.sip.probe(self.officer.id, now);
        desk.sip.probe(self.caller.id, now);
    }

    pub fn is_officer(&self, leg: LegId) -> bool {
        self.officer.id == leg
    }

    /// The answer to an offer of ours.
    pub fn handle_answer(&mut self, leg: LegId, sdp: &[u8], desk: &mut Desk) {
        let first = self.caller.id == leg && self.caller.stream.is_none();
        let Some(end) = self.leg(leg) else { return };
        match end.take_answer(sdp) {
            Some(_) if first => self.open_leg(Party::Caller, &self.caller, desk),
            Some(stream) => desk.media(Command::Change { channel: end.channel, stream }),
            None => {}
        }
    }

    pub fn handle_offer(&mut self, leg: LegId, sdp: Option<&[u8]>, desk: &mut Desk, now: Now) {
        match self.leg(leg) {
            Some(end) => desk.renegotiate(end, sdp, now),
            None => desk.sip.refuse_offer(leg, 488, now),
        }
    }

    /// The officer's keys; the caller's are nothing to us.
    pub fn handle_key(&mut self, party: Party, key: char, via: Via, desk: &mut Desk, now: Now) {
        if party != Party::Officer || !self.keys.is_new(key, via, now.mono) {
            return;
        }
        if self.star_nine.completed_by(key, now.mono) && !self.flagged {
            self.flagged = true;
            let entry = EntryId::from(self.call);
            let phone = self.phone.clone();
            desk.note(Fact::Flagged { entry, urgency: Urgency::Urgent, phone }, now);
        }
    }

    /// One of the two is gone: so is the other. None for a leg of neither.
    pub fn handle_ended(
        &mut self,
        leg: LegId,
        ending: Ending,
        desk: &mut Desk,
        now: Now,
    ) -> Option<HungUp> {
        let (party, other, who) = if leg == self.caller.id {
            (Party::Caller, self.officer.id, "caller")
        } else if leg == self.officer.id {
            (Party::Officer, self.caller.id, "officer")
        } else {
            return None;
        };
        desk.sip.bye(other, now);
        let (disposition, by, why) = match ending {
            Ending::Bye => (Disposition::Answered, Some(party), format!("the {who} hung up")),
            Ending::OurBye => (Disposition::Answered, None, "we hung up".to_owned()),
            Ending::Expired => {
                let why = format!("the {who}'s side no longer refreshes the session");
                (Disposition::Interrupted, None, why)
            }
            Ending::Lost => {
                (Disposition::Interrupted, None, format!("the {who}'s side no longer answers"))
            }
        };
        Some(HungUp { disposition, by, why })
    }

    pub fn hang_up(&self, desk: &mut Desk, now: Now) {
        desk.sip.bye(self.caller.id, now);
        desk.sip.bye(self.officer.id, now);
    }

    fn leg(&mut self, leg: LegId) -> Option<&mut Leg> {
        [&mut self.caller, &mut self.officer].into_iter().find(|end| end.id == leg)
    }
}
