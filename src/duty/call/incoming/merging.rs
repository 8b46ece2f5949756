//! Two callers whom their officer joins: one gives its caller away and is over, the other goes on
//! with both.

use super::{Incoming, State};
use crate::duty::call::desk::Desk;
use crate::duty::call::leg::Leg;
use crate::duty::journal::{Disposition, Fact, Joining};
use crate::protocol::now::Now;
use crate::protocol::rtp::{Channel, Party};
use crate::protocol::sdp::{self, Direction};
use crate::protocol::sip::LegId;

/// What the log calls one who withholds his number.
const UNKNOWN: &str = "anonymous";

/// A caller who goes on in another call than his own.
#[derive(Debug)]
pub struct Merged {
    leg: Leg,
    /// As the officer's phone showed him.
    name: String,
}

impl Incoming {
    /// Whether this leg is the officer's who speaks with the caller.
    pub fn is_spoken_by(&self, leg: LegId) -> bool {
        matches!(&self.state, State::Talking(bridge) if bridge.is_officer(leg))
    }

    pub fn give_caller(&mut self, desk: &mut Desk, now: Now) -> Option<Merged> {
        let State::Talking(bridge) = &mut self.state else { return None };
        let shown = Some(&self.caller.shown).filter(|shown| !shown.is_empty());
        let name = shown.map_or_else(|| UNKNOWN.to_owned(), String::clone);
        let other = Merged { leg: bridge.caller().clone(), name };
        bridge.let_officer_go(desk, now);
        let (by, why) = (Some(Party::Officer), "its caller was joined to another call");
        self.end(Disposition::Answered, by, 200, why, desk, now);
        Some(other)
    }

    /// He is asked to speak on a channel of this call; what was agreed on stays as it is.
    pub fn merge(&mut self, other: Merged, channel: Channel, desk: &mut Desk, now: Now) {
        let State::Talking(bridge) = &mut self.state else { return desk.close(channel, now) };
        let Merged { leg, name } = other;
        let joining = Fact::Joining { call: self.id, phone: name.clone(), how: Joining::Transfer };
        desk.note(joining, now);
        desk.legs.insert(leg.id, self.id);
        desk.follow(leg.id, self.id, &name);
        let local = leg.local.next().at_port(desk.port(channel));
        let codecs = sdp::codecs_beside(leg.stream.map(|stream| stream.codec));
        let said = sdp::offer(&local, &codecs, Some(sdp::EVENT_PT), Direction::SendRecv);
        desk.sip.offer(leg.id, said.clone(), now);
        bridge.pick_up(Leg { channel, local, said, ..leg }, name, desk, now);
    }
}
