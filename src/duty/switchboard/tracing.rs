//! What is kept of each message that comes and goes: those of calls, on the call's ladder.

use super::{Output, Switchboard};
use crate::duty::call::Call;
use crate::duty::ids::CallId;
use crate::duty::ladder::Way;
use crate::protocol::now::Now;
use crate::protocol::sip::{LegId, Peer};

impl Switchboard {
    /// The call that a message opens is known before the message is kept.
    pub(super) fn on_message(&mut self, from: Peer, bytes: &[u8], now: Now) {
        self.desk.sip.handle_message(from, bytes, now);
        self.report(now);
        if self.desk.sip.serves(from.addr.ip()) {
            self.figures.traffic.count(false, bytes);
            self.desk.trace(Way::In, from, bytes);
        }
    }

    pub(super) fn send_next(&mut self) -> Option<Output> {
        let transmit = self.desk.sip.poll_transmit()?;
        self.figures.traffic.count(true, &transmit.bytes);
        self.desk.trace(Way::Out, transmit.to, &transmit.bytes);
        Some(Output::Send(transmit))
    }

    /// The ladders of calls that are taken up go on.
    pub(super) fn follow_again(&mut self) {
        let legs: Vec<(LegId, CallId)> =
            self.desk.legs.iter().map(|(leg, call)| (*leg, *call)).collect();
        for (leg, call) in legs {
            let callers = self.calls.get(&call).and_then(Call::caller_leg) == Some(leg);
            let name = if callers { String::new() } else { self.desk.sip.remote_user(leg) };
            self.desk.follow(leg, call, &name);
        }
    }
}
