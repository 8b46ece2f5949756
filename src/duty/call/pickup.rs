//! Another phone of the room takes a conversation for itself (INVITE with Replaces, RFC 3891): who may, and his end of it.

use super::bridge::Bridge;
use super::desk::Desk;
use super::transfer;
use crate::duty::ids::CallId;
use crate::duty::journal::{Fact, Joining};
use crate::protocol::now::Now;
use crate::protocol::rtp::{Channel, Party};
use crate::protocol::sdp::{Local, Policy, Session};
use crate::protocol::sip::claims::ClaimHeader;
use crate::protocol::sip::{Incoming as Invite, LegId};

/// Whoever asks for a place in a call; the log knows that he did.
pub struct Picker<'a> {
    pub leg: LegId,
    pub phone: String,
    call: CallId,
    /// T9: he calls by the PBX, and the site names him.
    pub may: bool,
    srtp: Policy,
    sdp: Option<&'a [u8]>,
}

impl<'a> Picker<'a> {
    pub fn new(
        call: CallId,
        (leg, invite): (LegId, &'a Invite),
        desk: &mut Desk,
        now: Now,
    ) -> Self {
        let claims = &invite.claims;
        let asserted = claims.of(ClaimHeader::PAssertedIdentity).next();
        let user = asserted.map_or_else(|| claims.from().user, |one| one.identity.user.clone());
        let phone = transfer::name_of(&user, desk);
        desk.note(Fact::Joining { call, phone: phone.clone(), how: Joining::Pickup }, now);
        let may = desk.sip.is_pbx(invite.source.addr.ip()) && desk.plan.dial.names(&user);
        let srtp = transfer::policy_of(&user, desk);
        Self { leg, phone, call, may, srtp, sdp: invite.sdp.as_deref() }
    }

    pub fn refuse(&self, status: u16, desk: &mut Desk, now: Now) {
        let (call, phone) = (self.call, self.phone.clone());
        desk.note(Fact::NotTaken { call, phone, status }, now);
        desk.refuse(self.leg, status, None, now);
    }

    /// What he offers, and a channel for it.
    ///
    /// # Errors
    /// The status to refuse him with.
    pub fn end(&self, desk: &mut Desk, now: Now) -> Result<(Channel, Local, Session), u16> {
        let offer = desk.first_offer(self.call, self.srtp, self.sdp.ok_or(488_u16)?, now);
        let offer = offer.map_err(|fault| fault.status())?;
        let keep = desk.plan.reserved_channels;
        let channel = desk.channels.lend(self.call, Party::Officer, keep).ok_or(503_u16)?;
        let local = desk.local(channel, self.srtp);
        // Its keys are taken up.
        let session = local.secured(offer).map_err(|fault| {
            desk.close(channel, now);
            fault.status()
        })?;
        Ok((channel, local, session))
    }

    /// He takes the place of the officer who talks.
    ///
    /// # Errors
    /// The status to refuse him with.
    pub fn takes(&self, bridge: &mut Bridge, desk: &mut Desk, now: Now) -> Result<(), u16> {
        let (channel, local, session) = self.end(desk, now)?;
        let Some(officer) = transfer::leg(self.leg, channel, local, &session, bridge.caller())
        else {
            desk.close(channel, now);
            return Err(488);
        };
        self.has_it(desk);
        desk.sip.answer(self.leg, officer.said.clone(), now);
        bridge.pick_up(officer, self.phone.clone(), desk, now);
        Ok(())
    }

    /// From now on his leg is one of the call's.
    pub fn has_it(&self, desk: &mut Desk) {
        desk.legs.insert(self.leg, self.call);
        desk.follow(self.leg, self.call, &self.phone);
    }
}
