//! An INVITE that wants the place of a leg (RFC 3891): it goes to the call that leg belongs to.

use super::Switchboard;
use crate::protocol::now::Now;
use crate::protocol::sip::{self, LegId};

impl Switchboard {
    /// No call of its own: whoever it is wants the place of a phone in one that there is already.
    pub(super) fn on_replaces(
        &mut self,
        leg: LegId,
        replaced: LegId,
        invite: &sip::Incoming,
        now: Now,
    ) {
        match self.desk.legs.get(&replaced).copied() {
            Some(id) if invite.fault.is_none() && self.calls.contains_key(&id) => {
                self.turn(id, |call, desk| {
                    call.handle_replaced(replaced, (leg, invite), desk, now);
                });
            }
            Some(_) | None => {
                let status = invite.fault.as_ref().map_or(481, |fault| fault.status);
                self.desk.refuse(leg, status, None, now);
            }
        }
    }
}
