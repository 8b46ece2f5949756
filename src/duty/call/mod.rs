//! One call: a caller bridged to an officer ([`incoming`]), an officer to whom he calls ([`outgoing`]),
//! a leader who is told ([`leader`]), or one that the daemon makes to itself ([`testing`]).
//! Knows no socket and no clock; asks everything of the [`desk`].

pub mod arrival;
pub mod bridge;
pub mod caller;
pub mod calling;
pub mod desk;
pub mod early;
pub mod incoming;
pub mod keys;
pub mod leader;
pub mod leg;
pub mod menu;
pub mod merging;
pub mod message;
pub mod outgoing;
pub mod pickup;
pub mod queued;
pub mod ring_plan;
pub mod ringing;
pub mod testing;
pub mod transfer;
pub mod watch;

use super::ids::AttemptId;
use super::placed::Asker;
use super::switchboard::LeaderCall;
use crate::protocol::now::{Deadline, Mono, Now};
use crate::protocol::rtp::{Party, Prompt, Tone};
use crate::protocol::sip::{Ending, Incoming as Invite, LegId, Referred};
use bridge::Guest;
use desk::Desk;
use incoming::Incoming;
use keys::Via;
use leader::Leader;
use outgoing::Outgoing;
use serde::{Deserialize, Serialize};
use testing::Testing;

/// What may happen to a leg of a call; [`crate::protocol::sip::Event`] says what each means.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum LegEvent {
    Cancelled { elsewhere: bool },
    Progress { status: u16, sdp: Option<Vec<u8>> },
    Answered { sdp: Option<Vec<u8>> },
    Refused { status: u16 },
    Offer { sdp: Option<Vec<u8>> },
    Answer { sdp: Vec<u8> },
    OfferRefused { status: u16 },
    Key(char),
    Refer { refer: Box<Referred> },
    Ended(Ending),
}

#[derive(Debug, Clone, Serialize, Deserialize)]
pub enum Call {
    Incoming(Box<Incoming>),
    Leader(Box<Leader>),
    Outgoing(Box<Outgoing>),
    Testing(Box<Testing>),
}

impl Call {
    pub fn handle_leg(&mut self, leg: LegId, event: LegEvent, desk: &mut Desk, now: Now) {
        match self {
            Call::Incoming(call) => call.handle_leg(leg, event, desk, now),
            Call::Leader(call) => call.handle_leg(leg, event, desk, now),
            Call::Outgoing(call) => call.handle_leg(leg, event, desk, now),
            Call::Testing(call) => call.handle_leg(leg, event, desk, now),
        }
    }

    /// A new session wants the place of a leg of this call (RFC 3891).
    pub fn handle_replaced(
        &mut self,
        replaced: LegId,
        (leg, invite): (LegId, &Invite),
        desk: &mut Desk,
        now: Now,
    ) {
        match self {
            Call::Incoming(call) => call.handle_replaced(replaced, (leg, invite), desk, now),
            Call::Outgoing(call) => call.handle_replaced(replaced, (leg, invite), desk, now),
            Call::Leader(_) | Call::Testing(_) => desk.refuse(leg, 603, None, now),
        }
    }

    /// A key in the voice stream of a party.
    pub fn handle_key(&mut self, party: Party, key: char, desk: &mut Desk, now: Now) {
        match self {
            Call::Incoming(call) => call.handle_key(party, key, Via::Rtp, desk, now),
            Call::Leader(call) => call.handle_key(key, Via::Rtp, desk, now),
            Call::Outgoing(call) => call.handle_key(party, key, desk, now),
            Call::Testing(_) => {}
        }
    }

    /// A tone was heard of a party; it began at `since`.
    pub fn handle_tone(&mut self, party: Party, tone: Tone, since: Now, desk: &mut Desk, now: Now) {
        match self {
            Call::Incoming(call) => call.handle_tone(party, tone, since, desk, now),
            Call::Leader(call) => call.handle_tone(tone, since, desk, now),
            Call::Outgoing(call) => call.handle_tone(party, tone, since, desk, now),
            Call::Testing(_) => {}
        }
    }

    pub fn handle_played(&mut self, prompt: Prompt, desk: &mut Desk, now: Now) {
        match self {
            Call::Incoming(call) => call.handle_played(prompt, desk, now),
            Call::Leader(call) => call.handle_played(prompt, desk, now),
            Call::Outgoing(call) => call.handle_played(prompt),
            Call::Testing(call) => call.handle_played(prompt),
        }
    }

    /// Nothing was heard of a party since then, or it is heard again.
    pub fn handle_voice(&mut self, party: Party, quiet_since: Option<Mono>) {
        match self {
            Call::Incoming(call) => call.handle_voice(party, quiet_since),
            Call::Outgoing(call) => call.handle_voice(party, quiet_since),
            Call::Leader(call) => call.handle_voice(quiet_since),
            Call::Testing(_) => {}
        }
    }

    /// A phone may be free for the call that waits longest.
    pub fn its_turn(&mut self, desk: &mut Desk, now: Now) {
        match self {
            Call::Incoming(call) => call.its_turn(desk, now),
            Call::Leader(_) | Call::Outgoing(_) | Call::Testing(_) => {}
        }
    }

    /// The entry is committed.
    pub fn handle_stored(&mut self, desk: &mut Desk, now: Now) {
        match self {
            Call::Incoming(call) => call.handle_stored(desk, now),
            Call::Outgoing(call) => call.handle_stored(desk, now),
            Call::Testing(call) => call.handle_stored(desk, now),
            Call::Leader(_) => {}
        }
    }

    /// A call to a leader.
    pub fn to_leader(&mut self) -> Option<&mut Leader> {
        match self {
            Call::Incoming(_) | Call::Outgoing(_) | Call::Testing(_) => None,
            Call::Leader(call) => Some(call),
        }
    }

    /// What a leader is told of in it.
    pub fn told(&self) -> Vec<LeaderCall> {
        match self {
            Call::Incoming(_) | Call::Outgoing(_) | Call::Testing(_) => vec![],
            Call::Leader(call) => call.told().cloned().collect(),
        }
    }

    pub fn as_leader(&self) -> Option<&Leader> {
        match self {
            Call::Incoming(_) | Call::Outgoing(_) | Call::Testing(_) => None,
            Call::Leader(call) => Some(call),
        }
    }

    /// He is told of it, or will be.
    pub fn tells_of(&self, attempt: AttemptId) -> bool {
        match self {
            Call::Incoming(_) | Call::Outgoing(_) | Call::Testing(_) => false,
            Call::Leader(call) => call.tells_of(attempt),
        }
    }

    pub fn handle_timeout(&mut self, desk: &mut Desk, now: Now) {
        match self {
            Call::Incoming(call) => call.handle_timeout(desk, now),
            Call::Leader(call) => call.handle_timeout(desk, now),
            Call::Outgoing(call) => call.handle_timeout(desk, now),
            Call::Testing(call) => call.handle_timeout(desk, now),
        }
    }

    /// Another run of the daemon began it: it goes on where it was, or ends properly.
    pub fn take_up(&mut self, desk: &mut Desk, now: Now) {
        match self {
            Call::Incoming(call) => call.take_up(desk, now),
            Call::Leader(call) => call.take_up(desk, now),
            Call::Outgoing(call) => call.take_up(desk, now),
            Call::Testing(call) => call.interrupt(desk, now),
        }
    }

    /// Whether it is on the tape, which its end will finish.
    pub fn is_taped(&self) -> bool {
        match self {
            Call::Incoming(call) => call.is_taped(),
            Call::Leader(call) => call.is_taped(),
            Call::Outgoing(call) => call.is_taped(),
            Call::Testing(call) => call.is_taped(),
        }
    }

    /// An officer does not want a call of ours any more.
    pub fn give_up(&mut self, asker: Asker, desk: &mut Desk, now: Now) {
        match self {
            Call::Incoming(_) | Call::Leader(_) | Call::Testing(_) => {}
            Call::Outgoing(call) => call.give_up(asker, desk, now),
        }
    }

    /// Whether a leader may join.
    pub fn has_room(&self) -> bool {
        match self {
            Call::Incoming(call) => call.has_room(),
            Call::Outgoing(call) => call.has_room(),
            Call::Leader(_) | Call::Testing(_) => false,
        }
    }

    /// A leader joins.
    pub fn seat(&mut self, guest: Guest, desk: &mut Desk, now: Now) {
        match self {
            Call::Incoming(call) => call.seat(guest, desk, now),
            Call::Outgoing(call) => call.seat(guest, desk, now),
            Call::Leader(_) | Call::Testing(_) => desk.sip.bye(guest.leg.id, now),
        }
    }

    /// He goes over to another call, and this one is over.
    pub fn leave(&mut self, desk: &mut Desk, now: Now) -> Option<Guest> {
        match self {
            Call::Incoming(_) | Call::Outgoing(_) | Call::Testing(_) => None,
            Call::Leader(call) => call.leave(desk, now),
        }
    }

    /// There is nowhere for him to go with that key.
    pub fn handle_stays(&mut self, key: char, desk: &mut Desk, now: Now) {
        match self {
            Call::Incoming(_) | Call::Outgoing(_) | Call::Testing(_) => {}
            Call::Leader(call) => call.handle_stays(key, desk, now),
        }
    }

    /// The daemon stops.
    pub fn interrupt(&mut self, desk: &mut Desk, now: Now) {
        match self {
            Call::Incoming(call) => call.interrupt(desk, now),
            Call::Leader(call) => call.interrupt(desk, now),
            Call::Outgoing(call) => call.interrupt(desk, now),
            Call::Testing(call) => call.interrupt(desk, now),
        }
    }

    pub fn deadline(&self, desk: &Desk) -> Option<Deadline> {
        match self {
            Call::Incoming(call) => call.deadline(desk),
            Call::Leader(call) => call.deadline(),
            Call::Outgoing(call) => call.deadline(desk),
            Call::Testing(call) => call.deadline(),
        }
    }

    /// Of a call that came in.
    pub fn caller_leg(&self) -> Option<LegId> {
        match self {
            Call::Incoming(call) => Some(call.caller_leg()),
            Call::Testing(call) => Some(call.caller_leg()),
            Call::Leader(_) | Call::Outgoing(_) => None,
        }
    }

    pub fn is_over(&self) -> bool {
        match self {
            Call::Incoming(call) => call.is_over(),
            Call::Leader(call) => call.is_over(),
            Call::Outgoing(call) => call.is_over(),
            Call::Testing(call) => call.is_over(),
        }
    }
}
