//! Two calls whom their officer joins: one gives its party away and is over, the other goes on with both. Whoever goes
//! over keeps his session and his channel, so that nobody is asked whether he agrees.

use super::Call;
use super::bridge::Bridge;
use super::desk::Desk;
use super::leg::Leg;
use crate::duty::ids::CallId;
use crate::duty::journal::{Fact, Joining};
use crate::protocol::now::Now;
use crate::protocol::rtp::{Codec, Command, Party};
use crate::protocol::sip::LegId;

/// What the log calls one who withholds his number.
const UNKNOWN: &str = "anonymous";

/// Somebody who goes on in another call than his own.
#[derive(Debug)]
pub struct Merged {
    leg: Leg,
    /// As the officer's phone showed him.
    name: String,
}

impl Call {
    fn bridge(&mut self) -> Option<&mut Bridge> {
        match self {
            Call::Incoming(call) => call.bridge(),
            Call::Outgoing(call) => call.bridge(),
            Call::Leader(_) | Call::Testing(_) => None,
        }
    }

    /// With whom the officer speaks whose leg this is.
    pub fn spoken_with(&mut self, officer: LegId) -> Option<&Leg> {
        let bridge = self.bridge()?;
        bridge.is_officer(officer).then(|| bridge.caller())
    }

    /// Its party goes over to call `to`, and it is over.
    pub fn give_away(&mut self, to: CallId, desk: &mut Desk, now: Now) -> Option<Merged> {
        let bridge = self.bridge()?;
        let leg = bridge.caller().clone();
        let name = Some(bridge.shown()).filter(|shown| !shown.is_empty());
        let name = name.unwrap_or(UNKNOWN).to_owned();
        bridge.let_officer_go(desk, now);
        let (channel, party) = (leg.channel, Party::Officer);
        desk.channels.pass_on(channel, to, party);
        // Before the tape of this one is finished.
        desk.media(Command::PassOn { channel, call: to.0, party });
        match self {
            Call::Incoming(call) => call.gave_away(desk, now),
            Call::Outgoing(call) => call.gave_away(desk, now),
            Call::Leader(_) | Call::Testing(_) => {}
        }
        Some(Merged { leg, name })
    }

    /// He takes the officer's place.
    pub fn take_in(&mut self, call: CallId, other: Merged, desk: &mut Desk, now: Now) {
        let Merged { leg, name } = other;
        let Some(bridge) = self.bridge() else {
            desk.sip.bye(leg.id, now);
            return desk.close(leg.channel, now);
        };
        let joining = Fact::Joining { call, phone: name.clone(), how: Joining::Transfer };
        desk.note(joining, now);
        desk.legs.insert(leg.id, call);
        desk.follow(leg.id, call, &name);
        bridge.join(leg, name, desk, now);
    }
}

/// Whether two who are to speak with each other can be understood.
pub fn fit(one: &Leg, other: &Leg) -> bool {
    let codec = |leg: &Leg| leg.stream.map(|stream| stream.codec);
    let known = codec(one).is_some_and(|codec| codec != Codec::Unknown);
    let same = known && codec(one) == codec(other);
    same || one.is_convertible() && other.is_convertible()
}
