//! A call that the daemon makes to itself, known by its number and by when it comes.

use super::{Expected, Switchboard};
use crate::duty::call::Call;
use crate::duty::call::caller::Caller;
use crate::duty::call::testing::Testing;
use crate::duty::ids::CallId;
use crate::duty::journal::{Arrival, Disposition, Fact};
use crate::protocol::now::Now;
use crate::protocol::rtp::Party;
use crate::protocol::sip::{self, LegId};
use std::time::Duration;

/// A test call that has not come by then is one like others.
const COMES_WITHIN: Duration = Duration::from_secs(30);

impl Switchboard {
    pub(super) fn expect_test(&mut self, call: CallId, now: Now) {
        self.expected = Some(Expected { call, until: now.mono + COMES_WITHIN });
    }

    /// The name of the test that this call is; each is one call at most.
    pub(super) fn test_of(&mut self, arrival: &Arrival, now: Now) -> Option<CallId> {
        let user = self.desk.plan.self_test.as_deref()?;
        let is_its = arrival.caller == user || arrival.claims.from().user == user;
        let due = self.expected.take_if(|expected| is_its && now.mono < expected.until)?;
        Some(due.call)
    }

    pub(super) fn on_test(
        &mut self,
        leg: LegId,
        invite: &sip::Incoming,
        arrival: Arrival,
        now: Now,
    ) {
        let id = arrival.call;
        let shown = arrival.shown();
        self.desk.follow(leg, id, "");
        self.desk.note(Fact::Arrived(Box::new(Arrival { test: true, ..arrival })), now);
        let srtp = self.desk.plan.srtp.line;
        let offer =
            invite.sdp.as_deref().map(|sdp| self.desk.first_offer(id, srtp, sdp, now)).transpose();
        let keep = self.desk.plan.reserved_channels;
        let channel = self.desk.channels.lend(id, Party::Caller, keep);
        let (Ok(offer), Some(channel)) = (offer, channel) else {
            self.desk.refuse(leg, 503, None, now);
            let (why, by) = ("the test call cannot be served".to_owned(), None);
            let disposition = Disposition::SelfTest;
            return self
                .desk
                .note(Fact::Ended { call: id, disposition, by, status: 503, why }, now);
        };
        let caller = Caller::new(leg, channel, offer, shown);
        self.desk.legs.insert(leg, id);
        self.checkpoint.calls.insert(id);
        let until = now.mono + self.desk.plan.entry_budget;
        self.calls.insert(id, Call::Testing(Box::new(Testing::new(id, caller, until))));
    }
}
