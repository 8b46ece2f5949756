//! An officer's place in a call is handed on: by his phone (REFER), or by another one that takes the
//! call, ringing or talking, for itself (INVITE with Replaces, RFC 3891). Or a leader joins.

use super::{Incoming, State};
use crate::duty::call::LegEvent;
use crate::duty::call::bridge::{Bridge, Guest};
use crate::duty::call::desk::Desk;
use crate::duty::call::pickup::Picker;
use crate::duty::call::ring_plan::Ring;
use crate::duty::call::ringing::Taken;
use crate::duty::journal::Disposition;
use crate::duty::prompts::RINGBACK;
use crate::protocol::now::Now;
use crate::protocol::rtp::Party;
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
        who: (LegId, &Invite),
        desk: &mut Desk,
        now: Now,
    ) {
        let picker = Picker::new(self.id, who, desk, now);
        let may = picker.may && self.has_phone(replaced);
        let taken = match &mut self.state {
            _ if !may => Err(603),
            State::Talking(bridge) => picker.takes(bridge, desk, now),
            _ => self.taken_by(&picker, desk, now),
        };
        if let Err(status) = taken {
            picker.refuse(status, desk, now);
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

    /// One that rings.
    fn taken_by(&mut self, picker: &Picker<'_>, desk: &mut Desk, now: Now) -> Result<(), u16> {
        let (channel, local, session) = picker.end(desk, now)?;
        if self.caller.stream_for(&session).is_none() {
            desk.close(channel, now);
            return Err(488);
        }
        picker.has_it(desk);
        let ring = Ring {
            leg: picker.leg,
            phone: 0,
            name: picker.phone.clone(),
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
            desk.sip.answer(picker.leg, bridge.said_to_officer().to_vec(), now);
        }
        Ok(())
    }
}
