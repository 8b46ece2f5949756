//! A leader joins caller and officer. Whoever of the two hangs up, he goes on with the caller, or the officer does.

use super::Bridge;
use crate::duty::call::desk::Desk;
use crate::duty::call::keys::{Keys, StarNine};
use crate::duty::call::leg::Leg;
use crate::duty::journal::{Fact, Joining};
use crate::protocol::now::Now;
use crate::protocol::rtp::{Command, Party};
use crate::protocol::sip::LegId;
use serde::{Deserialize, Serialize};

#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Guest {
    pub leg: Leg,
    pub name: String,
    #[serde(default)]
    pub keys: Keys,
}

impl Bridge {
    /// Whether a leader may join: three can be mixed only if each can be understood here.
    pub fn has_room(&self) -> bool {
        let taken = self.guest.is_some() || self.led || self.alone;
        !taken && self.caller.is_convertible() && self.officer.is_convertible()
    }

    pub fn seat(&mut self, guest: Guest, desk: &mut Desk, now: Now) {
        let (call, phone) = (self.call, guest.name.clone());
        let how = Joining::Conference;
        desk.note(Fact::Joining { call, phone: phone.clone(), how }, now);
        desk.note(Fact::Joined { call, phone }, now);
        self.guest = Some(guest);
        self.connect(desk);
    }

    pub fn is_guest(&self, leg: LegId) -> bool {
        self.guest.as_ref().is_some_and(|guest| guest.leg.id == leg)
    }

    /// Who is there hears each other.
    pub(super) fn connect(&self, desk: &mut Desk) {
        let Some(stream) = self.caller.stream else { return };
        let caller = self.caller.channel;
        if !desk.channels.is_open(caller) {
            desk.open(self.call, self.voice, caller, stream);
        }
        let officer = (!self.alone).then_some(self.officer.channel);
        let guest = self.guest.as_ref().map(|guest| guest.leg.channel);
        match (officer, guest) {
            (Some(officer), Some(guest)) => {
                let seats = [caller, officer, guest];
                desk.media(Command::Confer { call: self.call.0, seats });
            }
            (Some(other), None) | (None, Some(other)) => {
                desk.media(Command::Join { a: caller, b: other });
            }
            (None, None) => {}
        }
    }

    /// Another run of the daemon seated him.
    pub(super) fn take_up_guest(&self, desk: &mut Desk, now: Now) {
        let Some(guest) = &self.guest else { return };
        if let Some(stream) = guest.leg.stream {
            desk.open(self.call, Party::Leader, guest.leg.channel, stream);
        }
        desk.legs.insert(guest.leg.id, self.call);
        desk.sip.probe(guest.leg.id, now);
    }

    /// The leader hangs up: caller and officer go on.
    pub(super) fn guest_left(&mut self, desk: &mut Desk, now: Now) {
        let Some(guest) = self.guest.take() else { return };
        desk.note(Fact::Left { call: self.call, phone: guest.name }, now);
        self.connect(desk);
        desk.close(guest.leg.channel, now);
    }

    /// The officer is gone, and the leader has the caller. False where there is no leader.
    pub(super) fn led_on(&mut self, desk: &mut Desk, now: Now) -> bool {
        let Some(guest) = self.guest.take() else { return false };
        self.give_up_target(desk, now);
        let before = std::mem::replace(&mut self.officer, guest.leg);
        let phone = std::mem::replace(&mut self.phone, guest.name);
        (self.led, self.stranger) = (true, false);
        let alone = std::mem::take(&mut self.alone);
        self.connect(desk);
        if !alone {
            desk.note(Fact::Left { call: self.call, phone }, now);
            desk.close(before.channel, now);
        }
        desk.freed = true;
        (self.keys, self.star_nine) = (Keys::default(), StarNine::default());
        self.watch.handle_voice(Party::Officer, None);
        self.look_at(Party::Officer, desk, now);
        true
    }

    /// As a tone of his line says. True: the call is over with it.
    pub fn leader_is_gone(&mut self, since: Now, desk: &mut Desk, now: Now) -> bool {
        if let Some(guest) = &self.guest {
            desk.sip.bye(guest.leg.id, now);
            self.guest_left(desk, since);
            return false;
        }
        self.led
    }
}
