//! A leader who is told of a call joins it: from his own call into that one.

use super::Switchboard;
use crate::duty::call::Call;
use crate::duty::ids::CallId;
use crate::protocol::now::Now;
use crate::protocol::rtp::Command;

impl Switchboard {
    /// Whoever has pressed the key.
    pub(super) fn on_joining(&mut self, now: Now) {
        while let Some((attempt, entry)) = self.desk.joining.pop() {
            self.join(attempt.into(), CallId(entry.0), now);
        }
    }

    fn join(&mut self, leader: CallId, call: CallId, now: Now) {
        let mut guest = None;
        if self.calls.get(&call).is_some_and(Call::has_room) {
            self.turn(leader, |leader, desk| guest = leader.leave(desk, now));
        }
        let Some(guest) = guest else {
            return self.turn(leader, |leader, desk| leader.handle_not_joined(desk, now));
        };
        self.desk.legs.insert(guest.leg.id, call);
        self.desk.follow(guest.leg.id, call, &guest.name);
        self.desk.channels.pass_on(guest.leg.channel, call);
        self.turn(call, |call, desk| call.seat(guest, desk, now));
        self.desk.media(Command::Finish { call: leader.0 });
    }
}
