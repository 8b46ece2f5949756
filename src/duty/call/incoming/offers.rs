//! Session descriptions of a call's legs, and whose each is.

use super::{Incoming, State};
use crate::duty::call::desk::Desk;
use crate::protocol::now::Now;
use crate::protocol::sip::LegId;

impl Incoming {
    pub(super) fn our_offer_answered(&mut self, leg: LegId, sdp: &[u8], desk: &mut Desk, now: Now) {
        match &mut self.state {
            State::Talking(bridge) => bridge.handle_answer(leg, sdp, desk, now),
            State::Queued(_) | State::Message { .. } => {
                self.caller.take_answer(self.id, sdp, desk, now);
            }
            State::Entering { .. } | State::Ringing { .. } | State::Over => {}
        }
    }

    pub(super) fn offered(&mut self, leg: LegId, sdp: Option<&[u8]>, desk: &mut Desk, now: Now) {
        match &mut self.state {
            State::Talking(bridge) => bridge.handle_offer(leg, sdp, desk, now),
            State::Entering { .. }
            | State::Ringing { .. }
            | State::Queued(_)
            | State::Message { .. }
            | State::Over => {
                if leg == self.caller.leg {
                    self.caller.renegotiate(sdp, desk, now);
                } else {
                    self.phones.handle_offer(leg, sdp, &self.caller, desk, now);
                }
            }
        }
    }
}
