//! An officer's place in a call is handed on: by his phone (REFER), or by another one that takes the
//! call, ringing or talking, for itself (INVITE with Replaces, RFC 3891). Or a leader joins.

use super::{Incoming, State};
use crate::duty::call::LegEvent;
use crate::duty::call::bridge::{Bridge, Guest};
use crate::duty::call::desk::Desk;
use crate::duty::call::ring_plan::Ring;
use crate::duty::call::ringing::Taken;
use crate::duty::call::transfer;
use crate::duty::journal::{Disposition, Fact, Joining};
use crate::duty::prompts::RINGBACK;
use crate::protocol::now::Now;
use crate::protocol::rtp::Party;
use crate::protocol::sdp::Policy;
use crate::protocol::sip::claims::ClaimHeader;
use crate::protocol::sip::{Incoming as Invite, LegId};
use std::time::Duration;

impl Incoming {
    /// A REFER, or something about whom the call is handed to; anything else is given back.
    pub(super) fn hand_on(
        &mut self,
        leg: LegId,
        event: LegEvent,
        desk: &mut Desk,
        now: Now,
    ) -> Option<LegEvent> {
        match (&mut self.state, event) {
            (State::Talking(bridge), LegEvent::Refer { refer }) if !bridge.is_target(leg) => {
                bridge.handle_refer(leg, &refer, desk, now);
                None
            }
            (State::Talking(bridge), event) if bridge.is_target(leg) => {
                if bridge.handle_target(event, desk, now) {
                    self.recall(desk, now);
                }
                None
            }
            (_, LegEvent::Refer { .. }) => {
                desk.sip.refuse_refer(leg, 603, now);
                None
            }
            (_, event) => Some(event),
        }
    }

    pub fn bridge(&mut self) -> Option<&mut Bridge> {
        match &mut self.state {
            State::Talking(bridge) => Some(bridge),
            State::Entering { .. }
            | State::Ringing { .. }
            | State::Queued(_)
            | State::Message { .. }
            | State::Over => None,
        }
    }

    /// Its caller is in another call.
    pub fn gave_away(&mut self, desk: &mut Desk, now: Now) {
        let (by, why) = (Some(Party::Officer), "its caller was joined to another call");
        self.end(Disposition::Answered, by, 200, why, desk, now);
    }

    /// Whether a leader may join.
    pub fn has_room(&self) -> bool {
        matches!(&self.state, State::Talking(bridge) if bridge.has_room())
    }

    pub fn seat(&mut self, guest: Guest, desk: &mut Desk, now: Now) {
        if let State::Talking(bridge) = &mut self.state {
            bridge.seat(guest, desk, now);
        }
    }

    /// Nobody took the call that its officer had handed on and left: every phone rings again.
    pub(super) fn recall(&mut self, desk: &mut Desk, now: Now) {
        if let State::Talking(bridge) = &self.state {
            self.caller.take_back(bridge.caller().clone());
        }
        self.rings_at_every_phone(Duration::ZERO, desk, now);
    }

    /// For a caller who is answered and has no officer: he hears it.
    pub(super) fn rings_at_every_phone(&mut self, wait: Duration, desk: &mut Desk, now: Now) {
        self.caller.play(RINGBACK, true, desk);
        self.ring(wait, desk, now);
    }

    pub fn handle_replaced(
        &mut self,
        replaced: LegId,
        (leg, invite): (LegId, &Invite),
        desk: &mut Desk,
        now: Now,
    ) {
        let claims = &invite.claims;
        let asserted = claims.of(ClaimHeader::PAssertedIdentity).next();
        let user = asserted.map_or_else(|| claims.from().user, |one| one.identity.user.clone());
        let phone = transfer::name_of(&user, desk);
        let joining = Fact::Joining { call: self.id, phone: phone.clone(), how: Joining::Pickup };
        desk.note(joining, now);
        let may = desk.plan.account.is_pbx(invite.source.addr.ip()) && desk.plan.dial.names(&user);
        let refused = match may && self.has_phone(replaced) {
            true => {
                let srtp = transfer::policy_of(&user, desk);
                self.taken_by(leg, (&phone, srtp), invite.sdp.as_deref(), desk, now).err()
            }
            false => Some(603),
        };
        if let Some(status) = refused {
            desk.note(Fact::NotTaken { call: self.id, phone, status }, now);
            desk.refuse(leg, status, None, now);
        }
    }

    /// Whether this leg is a phone that rings for the call or has it. The caller's is not.
    fn has_phone(&self, leg: LegId) -> bool {
        match &self.state {
            State::Talking(bridge) => bridge.is_officer(leg) || bridge.is_target(leg),
            State::Ringing { .. } | State::Queued(_) => self.phones.rings(leg),
            State::Entering { .. } | State::Message { .. } | State::Over => false,
        }
    }

    fn taken_by(
        &mut self,
        leg: LegId,
        (phone, srtp): (&str, Policy),
        sdp: Option<&[u8]>,
        desk: &mut Desk,
        now: Now,
    ) -> Result<(), u16> {
        let offer = desk.first_offer(self.id, srtp, sdp.ok_or(488_u16)?, now);
        let offer = offer.map_err(|fault| fault.status())?;
        let keep = desk.plan.reserved_channels;
        let channel = desk.channels.lend(self.id, Party::Officer, keep).ok_or(503_u16)?;
        let local = desk.local(channel, srtp);
        // Its keys are taken up.
        let session = local.secured(offer).map_err(|fault| {
            desk.close(channel, now);
            fault.status()
        })?;
        if let State::Talking(bridge) = &mut self.state {
            let Some(officer) = transfer::leg(leg, channel, local, &session, bridge.caller())
            else {
                desk.close(channel, now);
                return Err(488);
            };
            desk.legs.insert(leg, self.id);
            desk.follow(leg, self.id, phone);
            desk.sip.answer(leg, officer.said.clone(), now);
            bridge.pick_up(officer, phone.to_owned(), desk, now);
            return Ok(());
        }
        if self.caller.stream_for(&session).is_none() {
            desk.close(channel, now);
            return Err(488);
        }
        desk.legs.insert(leg, self.id);
        desk.follow(leg, self.id, phone);
        let ring = Ring {
            leg,
            phone: 0,
            name: phone.to_owned(),
            time: Duration::ZERO,
            channel: Some(channel),
            local,
            started: now.mono,
            until: now.mono,
            replied: true,
            rang: true,
            early: None,
        };
        self.talk(Taken { ring, channel, session }, desk, now);
        if let State::Talking(bridge) = &self.state {
            desk.sip.answer(leg, bridge.said_to_officer().to_vec(), now);
        }
        Ok(())
    }
}
