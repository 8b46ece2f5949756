//! What tones of a caller mean for his call.

use super::{Incoming, State};
use crate::duty::call::desk::Desk;
use crate::duty::journal::{Disposition, Fact};
use crate::protocol::now::Now;
use crate::protocol::rtp::{Party, Tone};

impl Incoming {
    pub fn handle_tone(&mut self, party: Party, tone: Tone, since: Now, desk: &mut Desk, now: Now) {
        match tone {
            Tone::Busy | Tone::Congestion if party == Party::Leader => {
                self.leader_is_gone(since, desk, now);
            }
            Tone::Busy | Tone::Congestion if party == Party::Officer => {
                self.stranger_is_gone(since, desk, now);
            }
            _ if party != Party::Caller => {}
            Tone::Busy | Tone::Congestion => self.caller_is_gone(since, desk, now),
            Tone::FaxCalls | Tone::FaxAnswers => self.fax_calls(since, desk, now),
            Tone::Ringing => {}
        }
    }

    /// Where the trunk tells nothing of it, the busy tone says that the caller has hung up: at its beginning.
    fn caller_is_gone(&mut self, since: Now, desk: &mut Desk, now: Now) {
        let (by, why) = (Some(Party::Caller), "the caller hung up, as the busy tone says");
        match &mut self.state {
            State::Talking(bridge) => {
                bridge.hang_up(desk, now);
                desk.freed = true;
                self.end(Disposition::Answered, by, 200, why, desk, since);
            }
            State::Queued(_) | State::Ringing { .. } if self.caller.is_answered() => {
                desk.sip.bye(self.caller.leg, now);
                self.phones.close(desk, now);
                self.end(Disposition::Abandoned, by, 200, why, desk, since);
            }
            State::Message { .. } => {
                desk.sip.bye(self.caller.leg, now);
                self.message_ended(by, why, desk, since);
            }
            State::Entering { .. } | State::Queued(_) | State::Ringing { .. } | State::Over => {}
        }
    }

    fn leader_is_gone(&mut self, since: Now, desk: &mut Desk, now: Now) {
        let State::Talking(bridge) = &mut self.state else { return };
        if bridge.leader_is_gone(since, desk, now) {
            bridge.hang_up(desk, now);
            desk.freed = true;
            let (by, why) = (Some(Party::Leader), "the leader hung up, as the busy tone says");
            self.end(Disposition::Answered, by, 200, why, desk, since);
        }
    }

    fn stranger_is_gone(&mut self, since: Now, desk: &mut Desk, now: Now) {
        let State::Talking(bridge) = &mut self.state else { return };
        if bridge.stranger_is_gone(since, desk, now) {
            bridge.hang_up(desk, now);
            desk.freed = true;
            let (by, why) = (Some(Party::Officer), "who was joined hung up, as the busy tone says");
            self.end(Disposition::Answered, by, 200, why, desk, since);
        }
    }

    /// It is told once, and nothing is said any more: a machine does not listen.
    fn fax_calls(&mut self, since: Now, desk: &mut Desk, now: Now) {
        if std::mem::replace(&mut self.fax, true) {
            return;
        }
        desk.note(Fact::FaxHeard { call: self.id }, since);
        if let State::Message { message, .. } = &mut self.state {
            message.fall_silent(now.mono);
        }
        self.caller.silence(desk);
    }
}
