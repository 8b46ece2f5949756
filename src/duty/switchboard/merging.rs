//! An officer who speaks with two callers of the line joins them and leaves: his REFER names with
//! Replaces a session of ours (RFC 5589 §7).

use super::Switchboard;
use crate::duty::call::Call;
use crate::duty::ids::CallId;
use crate::protocol::now::Now;
use crate::protocol::rtp::Party;
use crate::protocol::sip::{LegId, Referred};

impl Switchboard {
    /// Whether the REFER is about two conversations of one officer; then it is answered. The second
    /// caller goes on in the first one's call, in the officer's place.
    pub(super) fn joins(&mut self, leg: LegId, refer: &Referred, now: Now) -> bool {
        let Some(consulted) = refer.consultation else { return false };
        let from_pbx = self.desk.plan.account.is_pbx(refer.source.addr.ip());
        let calls = self.officers_call(leg).zip(self.officers_call(consulted));
        let Some((first, second)) = calls.filter(|(one, other)| from_pbx && one != other) else {
            return false;
        };
        let keep = self.desk.plan.reserved_channels;
        let Some(channel) = self.desk.channels.lend(first, Party::Officer, keep) else {
            self.desk.sip.refuse_refer(leg, 503, now);
            return true;
        };
        self.desk.sip.accept_refer(leg, now);
        let mut other = None;
        self.turn(second, |call, desk| other = call.give_caller(desk, now));
        match other {
            Some(other) => self.turn(first, |call, desk| call.merge(other, channel, desk, now)),
            None => self.desk.close(channel, now),
        }
        true
    }

    /// The call in which this leg is the officer who speaks with the caller.
    fn officers_call(&self, leg: LegId) -> Option<CallId> {
        let id = self.desk.legs.get(&leg)?;
        match self.calls.get(id)? {
            Call::Incoming(call) => call.is_spoken_by(leg).then_some(*id),
            Call::Leader(_) | Call::Outgoing(_) => None,
        }
    }
}
