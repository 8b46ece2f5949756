//! What caller and phone hear of each other before an officer answers (early media, RFC 3960): one
//! phone at a time, kept on the tape, never an answer.

use super::caller::Caller;
use super::desk::Desk;
use super::ringing::Rings;
use crate::duty::ids::CallId;
use crate::duty::journal::{Fact, Stretch};
use crate::duty::prompts::RINGBACK;
use crate::protocol::now::Now;
use crate::protocol::rtp::{Command, Party};
use crate::protocol::sip::LegId;
use serde::{Deserialize, Serialize};

#[derive(Debug, Clone, Default, Serialize, Deserialize)]
pub struct Early {
    /// The phone that the caller hears.
    phone: Option<LegId>,
    /// Something was on the tape.
    taped: bool,
}

impl Early {
    pub fn was_taped(&self) -> bool {
        self.taped
    }

    /// The phone that the caller hears, if any.
    pub fn phone(&self) -> Option<LegId> {
        self.phone
    }

    /// A phone rings, and may be heard already. False where the caller hears nothing of it.
    pub fn handle_rings(
        &mut self,
        call: CallId,
        caller: &mut Caller,
        rings: &Rings,
        desk: &mut Desk,
        now: Now,
    ) -> bool {
        let Rings { leg, early: Some((channel, session)) } = rings else { return false };
        let free = self.phone.is_none_or(|phone| phone == *leg);
        if !free || !caller.hears_early(call, session, desk, now) {
            return false;
        }
        let Some(stream) = caller.stream_for(session) else { return false };
        caller.silence(desk);
        desk.open(call, Party::Officer, *channel, stream);
        desk.media(Command::Join { a: caller.channel, b: *channel });
        self.taped = true;
        if self.phone.replace(*leg).is_none() {
            desk.note(Fact::Began { call, stretch: Stretch::Early }, now);
        }
        true
    }

    /// The phone that the caller heard is gone. While others ring he hears us ring instead.
    pub fn forget(
        &mut self,
        call: CallId,
        caller: &mut Caller,
        others: bool,
        desk: &mut Desk,
        now: Now,
    ) {
        if self.phone.take().is_some() {
            desk.note(Fact::Over { call, stretch: Stretch::Early }, now);
            if others {
                caller.play(RINGBACK, true, desk);
            }
        }
    }
}
