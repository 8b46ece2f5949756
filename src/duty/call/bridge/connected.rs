//! A call of ours: whom we called has answered, and hears the officer who waited for it.

use super::Bridge;
use crate::duty::call::desk::Desk;
use crate::duty::call::keys::{Keys, StarNine};
use crate::duty::call::leg::Leg;
use crate::duty::call::watch::Watch;
use crate::duty::ids::CallId;
use crate::protocol::now::Now;
use crate::protocol::rtp::Party;

impl Bridge {
    /// The two hear each other from now on. `phone`: the officer's, as the log names it; `shown`:
    /// what another phone sees to which he hands the call.
    pub fn reached(
        call: CallId,
        (far, officer): (Leg, Leg),
        phone: String,
        shown: String,
        desk: &mut Desk,
        now: Now,
    ) -> Self {
        for (party, leg) in [(Party::Officer, &officer), (Party::Caller, &far)] {
            if let Some(stream) = leg.stream {
                desk.open(call, party, leg.channel, stream);
            }
        }
        let bridge = Self::new(call, (far, officer), phone, shown, now);
        let mut bridge = Self { placed: true, ..bridge };
        bridge.connect(desk);
        bridge.look_at(Party::Officer, desk, now);
        bridge.look_at(Party::Caller, desk, now);
        bridge
    }

    pub(super) fn new(
        call: CallId,
        (caller, officer): (Leg, Leg),
        phone: String,
        shown: String,
        now: Now,
    ) -> Self {
        Self {
            call,
            caller,
            voice: Party::Caller,
            officer,
            phone,
            placed: false,
            keys: Keys::default(),
            caller_keys: Keys::default(),
            star_nine: StarNine::default(),
            flagged: false,
            watch: Watch::new(now.mono),
            shown,
            transfer: None,
            alone: false,
            guest: None,
            led: false,
            stranger: false,
        }
    }

    /// Him at the other end, in the log's English.
    pub(super) fn caller_word(&self) -> &'static str {
        if self.placed { "the called party" } else { "the caller" }
    }
}
