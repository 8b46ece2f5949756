//! A leader goes from his own call into the one that he is told of (key 6), or has the desk rung for himself (key 5).

use super::Switchboard;
use crate::duty::call::Call;
use crate::duty::call::bridge::Guest;
use crate::duty::call::caller::Caller;
use crate::duty::call::incoming::Incoming;
use crate::duty::ids::{AttemptId, CallId};
use crate::duty::journal::Fact;
use crate::duty::prompts::RINGBACK;
use crate::protocol::now::Now;
use crate::protocol::rtp::{Command, Party};

impl Switchboard {
    /// Whoever has pressed one of the two keys. Where the officer is in the call, he is talked to by joining it.
    pub(super) fn on_leaving(&mut self, now: Now) {
        while let Some((attempt, entry, key)) = self.desk.leaving.pop() {
            let (leader, call) = (self.call_of(attempt), CallId(entry.0));
            let joins = self.calls.get(&call).is_some_and(Call::has_room);
            let gone = match key {
                '6' if !joins => None,
                _ if joins => self.join(attempt, leader, call, now),
                _ => self.ring_desk(leader, now),
            };
            if gone.is_none() {
                self.turn(leader, |leader, desk| leader.handle_stays(key, desk, now));
            }
        }
    }

    fn join(&mut self, attempt: AttemptId, leader: CallId, call: CallId, now: Now) -> Option<()> {
        let guest = self.leaves(leader, now)?;
        self.desk.legs.insert(guest.leg.id, call);
        self.desk.follow(guest.leg.id, call, &guest.name);
        self.desk.channels.pass_on(guest.leg.channel, call, Party::Leader);
        self.turn(call, |call, desk| call.seat(guest, desk, now));
        self.desk.media(Command::Finish { call: leader.0 });
        self.desk.note(Fact::AttemptTalks { attempt }, now);
        Some(())
    }

    /// The phones ring for him as for a caller, in a call that has the name of his own: its recording goes on.
    fn ring_desk(&mut self, leader: CallId, now: Now) -> Option<()> {
        let keep = self.desk.plan.reserved_channels;
        let spare = self.desk.channels.lend(leader, Party::Officer, keep)?;
        let Some(guest) = self.leaves(leader, now) else {
            self.desk.close(spare, now);
            return None;
        };
        self.desk.channels.pass_on(guest.leg.channel, leader, Party::Caller);
        let mut caller = Caller::called(guest.leg, guest.name);
        caller.play(RINGBACK, true, &mut self.desk);
        let call = Incoming::new(leader, caller, spare, now.mono, now.mono);
        self.calls.insert(leader, Call::Incoming(Box::new(call)));
        self.turn(leader, |call, desk| call.handle_stored(desk, now));
        Some(())
    }

    fn leaves(&mut self, leader: CallId, now: Now) -> Option<Guest> {
        let mut guest = None;
        self.turn(leader, |leader, desk| guest = leader.leave(desk, now));
        guest
    }
}
