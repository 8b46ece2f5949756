//! What tones of a caller mean for his call.

use super::{Incoming, State};
use crate::duty::call::desk::Desk;
use crate::duty::journal::Disposition;
use crate::protocol::now::Now;
use crate::protocol::rtp::{Party, Tone};

impl Incoming {
    /// Where the trunk tells nothing of it, the busy tone says that the caller has hung up: at its beginning.
    pub fn handle_tone(&mut self, party: Party, tone: Tone, since: Now, desk: &mut Desk, now: Now) {
        if party != Party::Caller || !matches!(tone, Tone::Busy | Tone::Congestion) {
            return;
        }
        let (by, why) = (Some(Party::Caller), "the caller hung up, as the busy tone says");
        match &mut self.state {
            State::Talking(bridge) => {
                bridge.hang_up(desk, now);
                desk.freed = true;
                self.end(Disposition::Answered, by, 200, why, desk, since);
            }
            State::Queued(_) => {
                desk.sip.bye(self.caller.leg, now);
                self.phones.close(desk, now);
                self.end(Disposition::Abandoned, by, 200, why, desk, since);
            }
            State::Message { .. } => {
                desk.sip.bye(self.caller.leg, now);
                self.message_ended(by, why, desk, since);
            }
            State::Entering { .. } | State::Ringing { .. } | State::Over => {}
        }
    }
}
