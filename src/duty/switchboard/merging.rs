//! An officer who speaks with two over the line, who called or were called, joins them and leaves: his REFER names
//! with Replaces a session of ours (RFC 5589 §7).

use super::Switchboard;
use crate::duty::call::merging::fit;
use crate::duty::ids::CallId;
use crate::protocol::now::Now;
use crate::protocol::sip::{LegId, Referred};

impl Switchboard {
    /// Whether the REFER is about two conversations of one officer; then it is answered. The second
    /// one's party goes on in the first one's call, in the officer's place.
    pub(super) fn joins(&mut self, leg: LegId, refer: &Referred, now: Now) -> bool {
        let Some(consulted) = refer.consultation else { return false };
        let from_pbx = refer.ours || self.desk.sip.is_pbx(refer.source.addr.ip());
        let calls = self.officers_call(leg).zip(self.officers_call(consulted));
        let Some((first, second)) = calls.filter(|(one, other)| from_pbx && one != other) else {
            return false;
        };
        if !self.understand(first, leg, second, consulted) {
            self.desk.sip.refuse_refer(leg, 488, now);
            return true;
        }
        self.desk.sip.accept_refer(leg, now);
        let mut other = None;
        self.turn(second, |call, desk| other = call.give_away(first, desk, now));
        if let Some(other) = other {
            self.turn(first, |call, desk| call.take_in(first, other, desk, now));
        }
        true
    }

    /// The call in which this leg is the officer who speaks with somebody.
    fn officers_call(&mut self, leg: LegId) -> Option<CallId> {
        let id = *self.desk.legs.get(&leg)?;
        self.calls.get_mut(&id)?.spoken_with(leg).map(|_| id)
    }

    /// Whether the two with whom the officer speaks can speak with each other.
    fn understand(&mut self, first: CallId, leg: LegId, second: CallId, other: LegId) -> bool {
        let mut end = |call, leg| self.calls.get_mut(&call)?.spoken_with(leg).cloned();
        end(first, leg).zip(end(second, other)).is_some_and(|(one, other)| fit(&one, &other))
    }
}
