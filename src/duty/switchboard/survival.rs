//! What of the switchboard outlives `kill -9`: telling it as it changes, and taking it up again.

use super::Switchboard;
use crate::duty::call::Call;
use crate::duty::checkpoint::{Changes, Checkpoint, GOES_ON, GoesOn, Key, Lent, Piece};
use crate::duty::ids::CallId;
use crate::protocol::now::Now;
use std::net::IpAddr;

impl Switchboard {
    /// Whether `take_changes` has something that a next run must know.
    pub fn is_changed(&self) -> bool {
        let left = &self.checkpoint;
        !left.calls.is_empty()
            || !left.stale.is_empty()
            || self.desk.sip.is_changed()
            || self.desk.unwritten.is_changed()
    }

    /// What has changed since this was last asked. Outputs that were not polled yet are no part of
    /// it.
    pub fn take_changes(&mut self, now: Now) -> Changes {
        let stale = std::mem::take(&mut self.checkpoint.stale);
        let mut pieces: Vec<_> = stale.into_iter().map(|key| (key, None)).collect();
        let registration = self.desk.sip.saved_registration();
        if self.checkpoint.told.as_ref() != Some(&registration) {
            let media_address = self.desk.plan.media_address;
            let line = Piece::Line { registration: registration.clone(), media_address };
            self.checkpoint.told = Some(registration);
            pieces.push((Key::Line, Some(line)));
        }
        let phones = self.desk.sip.take_bindings();
        pieces.extend(phones.map(|phones| (Key::Phones, Some(Piece::Phones(phones)))));
        for (id, leg) in self.desk.sip.take_changes() {
            let call = self.desk.legs.get(&id).copied();
            let leg = leg.map(|leg| Piece::Leg { leg: Box::new(leg), call });
            pieces.push((Key::Leg(id), leg));
        }
        for id in std::mem::take(&mut self.checkpoint.calls) {
            let call = self.calls.get(&id).map(|call| self.saved_call(id, call));
            pieces.push((Key::Call(id), call));
        }
        self.desk.marks.take_changes(&mut pieces);
        self.desk.unwritten.take_changes(&mut pieces);
        Changes { at: now, pieces }
    }

    pub fn goes_on(&self) -> GoesOn {
        let unwritten = &self.desk.unwritten;
        let mut to_leaders: Vec<_> = self.calls.iter().flat_map(|(_, call)| call.told()).collect();
        let told_of = to_leaders.iter().map(|order| CallId::from(order.attempt));
        let calls = self.calls.iter().map(|(id, _)| *id).chain(told_of).chain(unwritten.ended());
        let calls = calls.collect();
        to_leaders.retain(|order| !unwritten.tells_of(order.attempt));
        GoesOn { calls, to_leaders }
    }

    fn saved_call(&self, id: CallId, call: &Call) -> Piece {
        let lent = self.desk.channels.of(id).into_iter();
        let lent =
            lent.map(|(channel, party)| Lent { channel, party, port: self.desk.port(channel) });
        Piece::Call { call: Box::new(call.clone()), lent: lent.collect() }
    }

    /// Sessions first, then the calls that stand on them; facts that the log may not have are told
    /// again, before anything that follows.
    pub(super) fn take_up(&mut self, checkpoint: Checkpoint, now: Now) {
        let Some(at) = checkpoint.at else { return };
        let mut goes_on = now.mono >= at.mono && now.mono.since(at.mono) <= GOES_ON;
        self.checkpoint.stale = checkpoint.pieces.keys().copied().collect();
        let mut calls: Vec<CallId> = vec![];
        for (key, piece) in checkpoint.pieces {
            match (key, piece) {
                (Key::Leg(id), Piece::Leg { leg, call }) => {
                    self.desk.sip.restore(id, *leg, now);
                    self.desk.legs.extend(call.map(|call| (id, call)));
                }
                (Key::Call(id), Piece::Call { call, lent }) => {
                    goes_on &= self.claim(id, &lent);
                    self.calls.insert(id, *call);
                    calls.push(id);
                }
                (_, Piece::Line { registration, media_address }) => {
                    goes_on &= self.is_where_it_was(media_address);
                    goes_on &= registration.fits(&self.desk.plan.account);
                    self.desk.sip.restore_registration(registration);
                }
                (Key::Voice(channel), Piece::Voice(mark))
                    if self.desk.channels.is_lent(channel) =>
                {
                    self.desk.marks.note(channel, mark);
                }
                (_, Piece::Phones(phones)) => self.desk.sip.restore_bindings(phones, now),
                (_, Piece::Fact(noted)) => self.desk.tell(*noted),
                (_, Piece::Leg { .. } | Piece::Call { .. } | Piece::Voice(_)) => {}
            }
        }
        self.follow_again();
        for id in calls {
            self.turn(id, |call, desk| {
                if goes_on { call.take_up(desk, now) } else { call.interrupt(desk, now) }
            });
        }
    }

    /// What was set anew meanwhile may not be what the peers were told.
    fn claim(&mut self, call: CallId, lent: &[Lent]) -> bool {
        let mut same = true;
        for one in lent {
            same &= self.desk.channels.claim(one.channel, call, one.party);
            same &= self.desk.port(one.channel) == one.port;
        }
        same
    }

    fn is_where_it_was(&self, media_address: IpAddr) -> bool {
        self.desk.plan.media_address == media_address
    }
}
