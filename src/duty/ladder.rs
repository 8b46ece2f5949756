//! Which SIP messages belong to which call, so that each is kept with its entry: its ladder. Knows
//! neither log nor page; what it hands out may be dropped.

use super::ids::CallId;
use crate::protocol::name::Name;
use crate::protocol::now::{Mono, Now};
use crate::protocol::sip::Peer;
use crate::protocol::sip::redact::{call_id, keepable};
use crate::protocol::sip::weight::Weight;
use serde::{Deserialize, Serialize};
use std::collections::{BTreeMap, VecDeque};
use std::time::Duration;

/// Messages and bytes kept of one call. The last of both are for what hands it on or refuses, the very last for its end.
pub const MESSAGES_MAX: u32 = 200;
pub const BYTES_MAX: usize = 256 * 1024;
const ROUTINE: Room = Room { messages: MESSAGES_MAX - 50, bytes: BYTES_MAX - 32 * 1024 };
const TURNS: Room = Room { messages: MESSAGES_MAX - 10, bytes: BYTES_MAX - 8 * 1024 };
const ENDS: Room = Room { messages: MESSAGES_MAX, bytes: BYTES_MAX };
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
    /// The call has more messages than are kept: from here on only what hands it on, refuses or ends.
    Cut,
    /// Messages that are not kept, or could not be handed to the log.
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
    /// By Call-ID.
    legs: BTreeMap<Name, Leg>,
    calls: BTreeMap<CallId, Kept>,
    /// Calls that are over, and when they are forgotten.
    fading: VecDeque<(Mono, CallId)>,
    now: Option<Now>,
}

#[derive(Debug)]
struct Leg {
    call: CallId,
    name: String,
    /// It began after the cut, and is not answered.
    opening: bool,
}

#[derive(Debug, Default)]
struct Kept {
    messages: u32,
    bytes: usize,
    cut: bool,
    /// Not kept since that was last told.
    lost: u32,
    call_ids: Vec<Name>,
    fading: bool,
}

/// How much of a call there may be before something is not kept any more.
#[derive(Debug, Clone, Copy)]
struct Room {
    messages: u32,
    bytes: usize,
}

impl Room {
    fn of(weight: Weight, opening: bool) -> Self {
        match weight {
            Weight::Accepts if opening => TURNS,
            Weight::Routine | Weight::Accepts => ROUTINE,
            Weight::Begins | Weight::Turns => TURNS,
            Weight::Ends => ENDS,
        }
    }
}

impl Kept {
    fn takes(&mut self, bytes: usize, room: Room) -> bool {
        let fits = self.messages < room.messages && self.bytes + bytes <= room.bytes;
        if fits {
            self.messages += 1;
            self.bytes += bytes;
        }
        fits
    }

    fn take_lost(&mut self) -> Option<What> {
        let count = std::mem::take(&mut self.lost);
        (count > 0).then_some(What::Lost { count })
    }
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
        let name = leg.to_owned();
        self.legs.insert(call_id, Leg { call, name, opening: false });
    }

    /// The call is over: its last messages are still kept. What was not is told.
    pub fn over(&mut self, call: CallId) -> Option<Traced> {
        let (at, kept) = (self.now?, self.calls.get_mut(&call)?);
        kept.fading = true;
        self.fading.push_back((at.mono + AFTERWARDS, call));
        kept.take_lost().map(|what| Traced { call, at, what })
    }

    /// What is to be kept of a message, and what was not before it; nothing of one that belongs to no call.
    pub fn take(
        &mut self,
        way: Way,
        peer: Peer,
        message: &[u8],
    ) -> impl Iterator<Item = Traced> + use<> {
        self.taken(way, peer, message).unwrap_or_default().into_iter().flatten()
    }

    fn taken(&mut self, way: Way, peer: Peer, message: &[u8]) -> Option<[Option<Traced>; 2]> {
        let at = self.now?;
        let leg = self.legs.get_mut(&Name::of(call_id(message)?))?;
        let call = leg.call;
        let kept = self.calls.get_mut(&call)?;
        let bytes = keepable(message);
        let traced = |what| Traced { call, at, what };
        let mut fits = !kept.cut && kept.takes(bytes.len(), ROUTINE);
        if !fits {
            let weight = Weight::of(message);
            fits = kept.takes(bytes.len(), Room::of(weight, leg.opening));
            leg.opening = match weight {
                Weight::Begins => true,
                Weight::Accepts | Weight::Turns | Weight::Ends => false,
                Weight::Routine => leg.opening,
            };
        }
        if fits {
            let message = What::Message { way, peer, leg: leg.name.clone(), bytes };
            return Some([kept.take_lost().map(traced), Some(traced(message))]);
        }
        kept.lost += 1;
        let first = !std::mem::replace(&mut kept.cut, true);
        Some([first.then(|| traced(What::Cut)), None])
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
                if self.legs.get(&call_id).is_some_and(|leg| leg.call == call) {
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

    fn says(ladder: &mut Ladder, message: &[u8]) -> Vec<Traced> {
        let peer = Peer { transport: Transport::Udp, addr: "192.0.2.1:5060".parse().unwrap() };
        ladder.take(Way::In, peer, message).collect()
    }

    fn take(ladder: &mut Ladder, call_id: &str, seconds: u64) -> Option<Traced> {
        ladder.turn(at(seconds));
        says(ladder, &message(call_id, 0)).pop()
    }

    fn sip(start: &str, cseq: &str, call_id: &str, more: &str) -> Vec<u8> {
        let text = format!(
            "{start}\r\nVia: SIP/2.0/UDP a;branch=z9hG4bK1\r\nFrom: <sip:1@a>;tag=x\r\n\
             Call-ID: {call_id}\r\nCSeq: {cseq}\r\n{more}Content-Length: 0\r\n\r\n"
        );
        text.into_bytes()
    }

    const INSIDE: &str = "To: <sip:2@a>;tag=y\r\n";

    /// Two messages of a refresh.
    fn refresh(ladder: &mut Ladder, method: &str, call_id: &str) -> Vec<Traced> {
        let (start, cseq) = (format!("{method} sip:2@a SIP/2.0"), format!("7 {method}"));
        let request = says(ladder, &sip(&start, &cseq, call_id, INSIDE));
        let answer = says(ladder, &sip("SIP/2.0 200 OK", &cseq, call_id, INSIDE));
        [request, answer].concat()
    }

    /// The start of each message, and what is told between them.
    fn words(taken: &[Traced]) -> Vec<String> {
        let word = |one: &Traced| match &one.what {
            What::Message { bytes, .. } => {
                String::from_utf8_lossy(bytes).split("\r\n").next().unwrap().to_owned()
            }
            What::Cut => "cut".to_owned(),
            What::Lost { count } => format!("lost {count}"),
        };
        taken.iter().map(word).collect()
    }

    /// One that is refreshed all night.
    fn long_call() -> Ladder {
        let mut ladder = Ladder::default();
        ladder.follow(b"a", CALL, "");
        ladder.turn(at(0));
        let taken: Vec<_> = (0..300).flat_map(|_| refresh(&mut ladder, "UPDATE", "a")).collect();
        assert_eq!(taken.len(), ROUTINE.messages as usize + 1);
        assert_eq!(taken.last().unwrap().what, What::Cut);
        ladder
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
    fn rec_s11_the_end_of_a_call_with_endless_messages_is_kept_after_a_mark() {
        let mut ladder = long_call();
        let bye = says(&mut ladder, &sip("BYE sip:2@a SIP/2.0", "8 BYE", "a", INSIDE));
        assert_eq!(words(&bye), ["lost 450", "BYE sip:2@a SIP/2.0"]);
        assert_eq!(ladder.over(CALL), None);
        let answer = says(&mut ladder, &sip("SIP/2.0 200 OK", "8 BYE", "a", INSIDE));
        assert_eq!(words(&answer), ["SIP/2.0 200 OK"]);
    }

    #[test]
    fn rec_s11_who_is_joined_to_a_long_call_is_kept_and_his_refreshes_are_not() {
        let mut ladder = long_call();
        ladder.follow(b"b", CALL, "2002");
        let refer = says(&mut ladder, &sip("REFER sip:1@a SIP/2.0", "9 REFER", "a", INSIDE));
        let invite = sip("INVITE sip:2002@a SIP/2.0", "1 INVITE", "b", "To: <sip:2002@a>\r\n");
        let (invite, ringing) = (says(&mut ladder, &invite), "SIP/2.0 180 Ringing");
        let ringing = says(&mut ladder, &sip(ringing, "1 INVITE", "b", INSIDE));
        let answer = says(&mut ladder, &sip("SIP/2.0 200 OK", "1 INVITE", "b", INSIDE));
        let kept = [refer, invite, ringing, answer].concat();
        let begin = ["lost 450", "REFER sip:1@a SIP/2.0", "INVITE sip:2002@a SIP/2.0"];
        assert_eq!(words(&kept), [&begin[..], &["lost 1", "SIP/2.0 200 OK"]].concat());
        assert_eq!(words(&refresh(&mut ladder, "INVITE", "b")), [""; 0]);
        let lost = ladder.over(CALL).expect("it is told").what;
        assert_eq!(lost, What::Lost { count: 2 }, "and what came last");
    }

    #[test]
    fn rec_s11_nobody_takes_the_place_of_the_end_and_all_of_it_is_bounded() {
        let mut ladder = long_call();
        let refer = sip("REFER sip:1@a SIP/2.0", "9 REFER", "a", INSIDE);
        let refused = sip("SIP/2.0 603 Decline", "9 REFER", "a", INSIDE);
        let kept = |one: &Traced| matches!(one.what, What::Message { .. });
        let turns = (0..500).flat_map(|_| [says(&mut ladder, &refer), says(&mut ladder, &refused)]);
        assert_eq!(turns.flatten().filter(kept).count(), 40);
        let bye = sip("BYE sip:2@a SIP/2.0", "8 BYE", "a", INSIDE);
        let ends = (0..500).flat_map(|_| says(&mut ladder, &bye));
        assert_eq!(ends.filter(kept).count(), 10);
        let mut ladder = Ladder::default();
        ladder.follow(b"a", CALL, "");
        ladder.turn(at(0));
        let long = message("a", 8000);
        let taken: usize = (0..100).flat_map(|_| says(&mut ladder, &long)).filter(kept).count();
        assert_eq!(taken, ROUTINE.bytes / long.len());
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
