//! Which SIP messages belong to which call, so that each is kept with its entry: its ladder. Knows
//! neither log nor page; what it hands out may be dropped.

use super::ids::CallId;
use crate::protocol::name::Name;
use crate::protocol::now::{Mono, Now};
use crate::protocol::sip::Peer;
use crate::protocol::sip::redact::{call_id, keepable};
use serde::{Deserialize, Serialize};
use std::collections::{BTreeMap, VecDeque};
use std::time::Duration;

/// Messages and bytes kept of one call.
pub const MESSAGES_MAX: u32 = 200;
pub const BYTES_MAX: usize = 256 * 1024;
/// Legs followed at once: those of a town's busiest minute.
const LEGS_MAX: usize = 8192;
/// How long after its end a call's last messages may come: 64·T1 and a breath (RFC 3261 §17).
const AFTERWARDS: Duration = Duration::from_secs(40);

/// Something on the ladder of a call.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Traced {
    pub call: CallId,
    pub at: Now,
    pub what: What,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub enum What {
    Message {
        way: Way,
        peer: Peer,
        /// Whose leg: empty for the caller's, else the number that was dialled.
        leg: String,
        /// Without credentials.
        bytes: Vec<u8>,
    },
    /// The call has more messages than are kept.
    Cut,
    /// Messages that could not be handed to the log.
    Lost { count: u32 },
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Way {
    In,
    Out,
}

/// The calls whose messages are kept. **Told of each message once the call it opens is known.**
#[derive(Debug, Default)]
pub struct Ladder {
    /// By Call-ID: whose it is, and the leg's name.
    legs: BTreeMap<Name, (CallId, String)>,
    calls: BTreeMap<CallId, Kept>,
    /// Calls that are over, and when they are forgotten.
    fading: VecDeque<(Mono, CallId)>,
    now: Option<Now>,
}

#[derive(Debug, Default)]
struct Kept {
    messages: u32,
    bytes: usize,
    cut: bool,
    call_ids: Vec<Name>,
    fading: bool,
}

impl Ladder {
    /// It is this moment: what has been over for long is forgotten.
    pub fn turn(&mut self, now: Now) {
        self.now = Some(now);
        self.forget(now.mono);
    }

    /// From now on the messages with this Call-ID belong to the call.
    pub fn follow(&mut self, call_id: &[u8], call: CallId, leg: &str) {
        if self.legs.len() >= LEGS_MAX {
            return;
        }
        let call_id = Name::of(call_id);
        let kept = self.calls.entry(call).or_default();
        kept.call_ids.push(call_id.clone());
        // A call that was over and is followed again goes on.
        if std::mem::take(&mut kept.fading) {
            self.fading.retain(|(_, fading)| *fading != call);
        }
        self.legs.insert(call_id, (call, leg.to_owned()));
    }

    /// The call is over: its last messages are still kept.
    pub fn over(&mut self, call: CallId) {
        if let (Some(now), Some(kept)) = (self.now, self.calls.get_mut(&call)) {
            kept.fading = true;
            self.fading.push_back((now.mono + AFTERWARDS, call));
        }
    }

    /// What is to be kept of a message; nothing of one that belongs to no call.
    pub fn take(&mut self, way: Way, peer: Peer, message: &[u8]) -> Option<Traced> {
        let now = self.now?;
        let (call, leg) = self.legs.get(&Name::of(call_id(message)?))?;
        let call = *call;
        let kept = self.calls.get_mut(&call)?;
        if kept.cut {
            return None;
        }
        let bytes = keepable(message);
        kept.messages += 1;
        kept.bytes += bytes.len();
        if kept.messages > MESSAGES_MAX || kept.bytes > BYTES_MAX {
            kept.cut = true;
            return Some(Traced { call, at: now, what: What::Cut });
        }
        let what = What::Message { way, peer, leg: leg.clone(), bytes };
        Some(Traced { call, at: now, what })
    }

    /// Calls that are followed, those that are over a while ago included.
    pub fn len(&self) -> usize {
        self.calls.len()
    }

    pub fn is_empty(&self) -> bool {
        self.calls.is_empty()
    }

    fn forget(&mut self, now: Mono) {
        while let Some((_, call)) = self.fading.pop_front_if(|(until, _)| *until <= now) {
            let call_ids = self.calls.remove(&call).unwrap_or_default().call_ids;
            for call_id in call_ids {
                if self.legs.get(&call_id).is_some_and(|(owner, _)| *owner == call) {
                    self.legs.remove(&call_id);
                }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::protocol::sip::Transport;
    use chrono::DateTime;
    use uuid::Uuid;

    const CALL: CallId = CallId(Uuid::from_u128(7));

    fn at(seconds: u64) -> Now {
        Now { mono: Mono(seconds * 1_000_000_000), wall: DateTime::UNIX_EPOCH }
    }

    fn message(call_id: &str, filling: usize) -> Vec<u8> {
        let filling = "x".repeat(filling);
        format!("INFO sip:1@a SIP/2.0\r\nCall-ID: {call_id}\r\nX: {filling}\r\n\r\n").into_bytes()
    }

    fn take(ladder: &mut Ladder, call_id: &str, seconds: u64) -> Option<Traced> {
        let peer = Peer { transport: Transport::Udp, addr: "192.0.2.1:5060".parse().unwrap() };
        ladder.turn(at(seconds));
        ladder.take(Way::In, peer, &message(call_id, 0))
    }

    #[test]
    fn rec_s11_both_legs_of_a_call_and_nothing_else_are_kept() {
        let mut ladder = Ladder::default();
        ladder.follow(b"caller", CALL, "");
        ladder.follow(b"phone", CALL, "2001");
        assert_eq!(take(&mut ladder, "register", 0), None);
        assert_eq!(take(&mut ladder, "caller", 0).unwrap().call, CALL);
        let What::Message { leg, .. } = take(&mut ladder, "phone", 1).unwrap().what else {
            panic!("a message")
        };
        assert_eq!(leg, "2001");
    }

    #[test]
    fn rec_s11_late_messages_are_kept_and_then_the_call_is_forgotten() {
        let mut ladder = Ladder::default();
        ladder.follow(b"a", CALL, "");
        ladder.turn(at(10));
        ladder.over(CALL);
        assert!(take(&mut ladder, "a", 49).is_some());
        ladder.follow(b"a", CallId(Uuid::from_u128(8)), "");
        assert_eq!(take(&mut ladder, "a", 50).unwrap().call, CallId(Uuid::from_u128(8)));
        assert_eq!((ladder.len(), ladder.legs.len(), ladder.fading.len()), (1, 1, 0));
    }

    #[test]
    fn rec_s11_a_call_that_goes_on_with_another_phone_is_kept_on() {
        let mut ladder = Ladder::default();
        ladder.follow(b"leader", CALL, "");
        ladder.turn(at(10));
        ladder.over(CALL);
        ladder.follow(b"desk", CALL, "201");
        assert!(take(&mut ladder, "leader", 600).is_some());
        assert!(take(&mut ladder, "desk", 600).is_some());
        ladder.over(CALL);
        assert_eq!(take(&mut ladder, "desk", 640), None);
        assert!(ladder.is_empty());
    }

    #[test]
    fn rec_s11_a_call_with_endless_messages_is_cut_once_with_a_mark() {
        let mut ladder = Ladder::default();
        ladder.follow(b"a", CALL, "");
        let taken: Vec<_> =
            (0..MESSAGES_MAX + 50).filter_map(|_| take(&mut ladder, "a", 0)).collect();
        assert_eq!(taken.len(), MESSAGES_MAX as usize + 1);
        assert_eq!(taken.last().unwrap().what, What::Cut);
        let mut ladder = Ladder::default();
        ladder.follow(b"a", CALL, "");
        let peer = Peer { transport: Transport::Udp, addr: "192.0.2.1:5060".parse().unwrap() };
        let long = message("a", 8000);
        ladder.turn(at(0));
        let taken = (0..100).filter_map(|_| ladder.take(Way::Out, peer, &long)).count();
        assert_eq!(taken, BYTES_MAX / long.len() + 1);
    }

    #[test]
    fn rel_the_table_is_bounded() {
        let mut ladder = Ladder::default();
        for n in 0..LEGS_MAX as u128 + 100 {
            ladder.follow(n.to_string().as_bytes(), CallId(Uuid::from_u128(n)), "");
        }
        assert_eq!((ladder.legs.len(), ladder.len()), (LEGS_MAX, LEGS_MAX));
    }
}
