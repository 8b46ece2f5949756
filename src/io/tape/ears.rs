//! What is heard of each call that is on, second by second, and how much of it is safe on disk: what the page shows
//! while people talk.

use super::record::{Head, Kind};
use crate::protocol::now::Mono;
use crate::protocol::rtp::ear::Ear;
use crate::protocol::rtp::relay::Secrecy;
use crate::protocol::rtp::sound::{Fault, Judge, Measure, Second};
use crate::protocol::rtp::{Party, g711, packet};
use std::collections::{BTreeMap, BTreeSet};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::time::Duration;
use uuid::Uuid;

const SECOND: Duration = Duration::from_secs(1);
/// What comes within a second is here so long after it: the spill's turn and the tape's.
const LATE: Duration = Duration::from_millis(250);
/// How often it is told.
const TELL: Duration = Duration::from_millis(500);
/// A disk that does not answer makes no more seconds at once than this.
const SECONDS_MAX: u32 = 10;

/// A recording under way.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Progress {
    pub call: Uuid,
    /// How much of it, from its first packet on, no power cut can take any more.
    pub safe: Duration,
    pub parties: Vec<Heard>,
}

/// A party of it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Heard {
    pub party: Party,
    /// The loudest sample since it was told last, in dB below full scale.
    pub peak: u8,
    /// What is wrong with it, and for how long.
    pub fault: Option<(Fault, Duration)>,
}

#[derive(Default)]
pub struct Ears {
    calls: BTreeMap<Uuid, Call>,
    told: Option<Mono>,
}

struct Call {
    began: Mono,
    written: Mono,
    safe: Mono,
    /// Boxed: the map has room for eleven.
    parties: BTreeMap<Party, Box<Track>>,
    /// A fault of the program keeps us from listening to it.
    deaf: bool,
}

struct Track {
    channels: BTreeSet<Vec<u8>>,
    ear: Ear,
    /// What the packet in hand says, at 16,000 samples a second and at 8000.
    wide: Vec<i16>,
    said: Vec<i16>,
    /// Of the second that began then.
    since: Mono,
    measure: Box<Measure>,
    alive: bool,
    secret: bool,
    judge: Judge,
    peak: Option<u8>,
}

impl Ears {
    /// What is about to be written.
    pub fn hear(&mut self, frames: &[(Head, impl AsRef<[u8]>)]) {
        for (head, bytes) in frames {
            if head.kind == Kind::Finished {
                self.calls.remove(&head.call);
                continue;
            }
            let (began, written, safe) = (head.arrival, head.arrival, head.arrival);
            let (parties, deaf) = (BTreeMap::new(), false);
            let new = || Call { began, written, safe, parties, deaf };
            let call = self.calls.entry(head.call).or_insert_with(new);
            call.written = call.written.max(head.arrival);
            if head.party != Party::Prompt && !call.deaf {
                let track =
                    call.parties.entry(head.party).or_insert_with(|| Box::new(Track::new(began)));
                let hear = AssertUnwindSafe(|| track.hear(head, bytes.as_ref()));
                if catch_unwind(hear).is_err() {
                    tracing::error!(call = %head.call, "cannot be listened to; it is recorded");
                    call.parties.clear();
                    call.deaf = true;
                }
            }
        }
    }

    /// Everything that was written is on disk.
    pub fn synced(&mut self) {
        self.calls.values_mut().for_each(|call| call.safe = call.written);
    }

    /// Once in a while what there is to tell of the calls that are on.
    pub fn turn(&mut self, now: Mono) -> Option<Vec<Progress>> {
        let due = self.told.is_none_or(|told| now.since(told) >= TELL);
        if !due || self.calls.is_empty() && self.told.is_none() {
            return None;
        }
        // That no call is on any more is told once.
        self.told = (!self.calls.is_empty()).then_some(now);
        let one = |(call, found): (&Uuid, &mut Call)| Progress {
            call: *call,
            safe: found.safe.since(found.began),
            parties: found
                .parties
                .iter_mut()
                .map(|(party, track)| track.tell(*party, now))
                .collect(),
        };
        Some(self.calls.iter_mut().map(one).collect())
    }
}

impl Track {
    fn new(since: Mono) -> Self {
        Self {
            channels: BTreeSet::new(),
            ear: Ear::default(),
            wide: Vec::new(),
            said: Vec::new(),
            since,
            measure: Box::default(),
            alive: false,
            secret: false,
            judge: Judge::default(),
            peak: None,
        }
    }

    fn hear(&mut self, head: &Head, bytes: &[u8]) {
        match head.kind {
            Kind::Opened => drop(self.channels.insert(bytes.to_vec())),
            Kind::Closed => drop(self.channels.remove(bytes)),
            Kind::Packet => self.hear_packet(head, bytes),
            Kind::Finished | Kind::Lost => {}
        }
    }

    fn hear_packet(&mut self, head: &Head, bytes: &[u8]) {
        if head.secrecy == Secrecy::Undecryptable {
            self.secret = true;
            return;
        }
        let Some(packet) = packet::parse(bytes) else { return };
        if packet.payload_type != head.audio_pt {
            self.alive = true;
        } else if Ear::hears(head.codec) {
            self.wide.clear();
            self.ear.hear(head.codec, packet.payload, &mut self.wide);
            self.said.clear();
            self.said.extend(self.wide.iter().step_by(2));
            self.measure.add(&self.said);
        } else if head.codec.is_decodable() {
            let table = g711::decoding(head.codec);
            self.said.clear();
            self.said.extend(packet.payload.iter().map(|byte| table[usize::from(*byte)]));
            self.measure.add(&self.said);
        } else {
            self.secret = true;
        }
    }

    fn tell(&mut self, party: Party, now: Mono) -> Heard {
        if now.since(self.since) > SECOND * SECONDS_MAX {
            self.since = now;
        }
        while now.since(self.since) >= SECOND + LATE {
            let second = self.take();
            self.judge.hear(second);
            self.since = self.since + SECOND;
        }
        let peak = self.peak.take().unwrap_or(u8::MAX).min(self.measure.peak());
        let seconds = self.judge.now();
        let lasted = |from: u64| Duration::from_secs(self.judge.seconds().saturating_sub(from));
        Heard { party, peak, fault: seconds.map(|(fault, from)| (fault, lasted(from))) }
    }

    fn take(&mut self) -> Second {
        let measure = std::mem::take(&mut self.measure);
        self.peak = (!measure.is_empty()).then(|| measure.peak());
        let (alive, secret) = (std::mem::take(&mut self.alive), std::mem::take(&mut self.secret));
        match (measure.is_empty(), secret, alive) {
            (false, ..) => Second::Heard(measure),
            (true, true, _) => Second::Secret,
            (true, false, true) => Second::Alive,
            (true, false, false) if self.channels.is_empty() => Second::Alive,
            (true, false, false) => Second::Nothing,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::protocol::rtp::Codec;
    use crate::protocol::rtp::relay::Tag;
    use crate::protocol::rtp::{Stream, packet::Packet};

    const CALL: Uuid = Uuid::from_u128(5);
    const START: Mono = Mono(9_000_000_000);

    fn head(kind: Kind, party: Party, at: Mono) -> Head {
        let tag = Tag::of(CALL, party, &Stream::a_law("192.0.2.1:4000".parse().unwrap()));
        Head::of(kind, &tag, at, 172)
    }

    fn opened(party: Party) -> (Head, Vec<u8>) {
        (head(Kind::Opened, party, START), vec![0, party as u8])
    }

    fn says(party: Party, byte: u8, at: Mono) -> (Head, Vec<u8>) {
        let packet = Packet {
            payload_type: 8,
            marker: false,
            sequence: 1,
            timestamp: 160,
            ssrc: 1,
            payload: &[byte; 160],
        };
        let mut bytes = vec![0; 172];
        packet::build(&packet, &mut bytes).unwrap();
        (head(Kind::Packet, party, at), bytes)
    }

    /// What is told last after so many seconds; each party says the byte over and over, or nothing.
    fn after(ears: &mut Ears, from: u64, seconds: u64, bytes: [Option<u8>; 2]) -> Progress {
        let mut told = None;
        for tick in from * 50..(from + seconds) * 50 + 25 {
            let now = START + Duration::from_millis(20) * tick as u32;
            for (party, byte) in [Party::Caller, Party::Officer].into_iter().zip(bytes) {
                if let Some(byte) = byte {
                    ears.hear(&[says(party, byte.wrapping_add((tick % 13) as u8), now)]);
                }
            }
            told = ears.turn(now).or(told);
        }
        told.unwrap().remove(0)
    }

    #[test]
    fn rec_q2_the_side_that_is_not_heard_is_named_within_ten_seconds_while_the_call_goes_on() {
        let mut ears = Ears::default();
        ears.hear(&[opened(Party::Caller), opened(Party::Officer)]);
        let heard = after(&mut ears, 0, 9, [Some(0x10), None]);
        let [caller, officer] = heard.parties[..] else { panic!("{heard:?}") };
        assert!(matches!(officer.fault, Some((Fault::Absent, _))), "{officer:?}");
        assert!(caller.fault.is_none_or(|(fault, _)| fault != Fault::Absent), "{caller:?}");
        assert!(caller.peak < 40 && officer.peak > 90, "{heard:?}");
        ears.hear(&[(head(Kind::Closed, Party::Officer, START), vec![0, Party::Officer as u8])]);
        let heard = after(&mut ears, 10, 9, [Some(0x10), None]);
        assert_eq!(heard.parties[1].fault, None, "who has gone need not be heard");
        ears.hear(&[(Head::finished(CALL, START), vec![])]);
        assert_eq!(ears.turn(START + Duration::from_secs(99)), Some(vec![]), "told once");
        assert_eq!(ears.turn(START + Duration::from_secs(199)), None);
    }

    #[test]
    fn rec_q3_what_cannot_be_decoded_is_said_while_the_call_goes_on() {
        let mut ears = Ears::default();
        ears.hear(&[opened(Party::Caller)]);
        for (codec, secrecy) in
            [(Codec::G729, Secrecy::Clear), (Codec::Pcma, Secrecy::Undecryptable)]
        {
            for tick in 0..200u32 {
                let now = START + Duration::from_millis(20) * tick;
                let (head, bytes) = says(Party::Caller, 3, now);
                ears.hear(&[(Head { codec, secrecy, ..head }, bytes)]);
                ears.turn(now);
            }
            let told = ears.turn(START + Duration::from_millis(4600)).unwrap().remove(0);
            assert!(matches!(told.parties[0].fault, Some((Fault::Undecodable, _))), "{told:?}");
            ears = Ears::default();
            ears.hear(&[opened(Party::Caller)]);
        }
    }

    #[test]
    fn rec_q5_what_is_safe_grows_with_each_sync_and_not_without() {
        let mut ears = Ears::default();
        ears.hear(&[opened(Party::Caller)]);
        let heard = after(&mut ears, 0, 3, [Some(0x10), None]);
        assert_eq!(heard.safe, Duration::ZERO);
        ears.synced();
        let heard = after(&mut ears, 4, 1, [Some(0x10), None]);
        assert_eq!(heard.safe.as_millis(), 3480);
    }
}
