//! What is said in a call, a moment after it is said: the packets of each party become samples of two sides, at the pace of
//! the clock. What has not come by then is silence; the recording has it all the same.
//!
//! *Handle one packet, or poll*: what is due by a moment is given in blocks.

use super::narrow::{Ear, Heard, SAMPLES_MAX};
use super::packet::Packet;
use super::timeline::{RATE, sample_at};
use super::{Codec, Party};
use crate::protocol::now::Mono;
use std::collections::{BTreeMap, VecDeque};
use std::time::Duration;

/// Samples of each side that are given at once: a tenth of a second.
pub const BLOCK: usize = RATE as usize / 10;
/// What a network may hold up, and a recorder's turn: a fifth of a second.
const DELAY: i64 = RATE as i64 / 5;
/// A packet that its timestamp puts further from its arrival is the first of a new beginning.
const ASTRAY: i64 = RATE as i64 / 5;
/// Nobody has taken anything for so long: what is older is given up.
const MOST: usize = 2 * RATE as usize;

/// Of one call, for one listener.
pub struct Live {
    /// The sample that is given next.
    at: i64,
    tracks: BTreeMap<Party, Track>,
    /// There is a caller: the leader is on our side.
    caller: bool,
}

#[derive(Default)]
struct Track {
    right: bool,
    /// What it says from the next sample on; where it says nothing, silence.
    said: VecDeque<i16>,
    anchor: Option<Anchor>,
    ear: Ear,
}

/// Where a timestamp of a sender stands on the time line.
struct Anchor {
    ssrc: u32,
    timestamp: u32,
    at: i64,
}

impl Live {
    pub fn new(now: Mono) -> Self {
        Self { at: sample_at(now) - DELAY, tracks: BTreeMap::new(), caller: false }
    }

    /// A packet of audio, as it arrived; what is not decoded here is silence.
    pub fn handle_packet(
        &mut self,
        party: Party,
        codec: Codec,
        packet: &Packet<'_>,
        arrival: Mono,
    ) {
        self.caller |= party == Party::Caller;
        let track = self.tracks.entry(party).or_default();
        track.right = !party.is_left(self.caller);
        track.ear.prepare(codec);
        let mut out = [0; SAMPLES_MAX];
        let Some(heard) = track.ear.hear(codec, packet, &mut out) else { return };
        let samples = heard.samples;
        // It is sent when its last sample has been spoken.
        let spoken = sample_at(arrival) - samples.len() as i64;
        let at = place(&mut track.anchor, heard, spoken);
        let from = at.max(self.at);
        let said = usize::try_from(from - at).ok().and_then(|skip| samples.get(skip..));
        let place = (from - self.at).unsigned_abs() as usize;
        if let Some(said) = said
            && place + said.len() <= MOST
        {
            track.said.resize(track.said.len().max(place + said.len()), 0);
            track.said.range_mut(place..).zip(said).for_each(|(there, sample)| *there = *sample);
        }
    }

    /// The next block, left and right by turns, once all of it is due.
    pub fn poll(&mut self, now: Mono) -> Option<Vec<i16>> {
        let due = sample_at(now) - DELAY - BLOCK as i64;
        // Whoever comes late hears what is said now.
        while due - self.at > MOST as i64 {
            self.take();
        }
        (self.at <= due).then(|| self.take())
    }

    /// When there is something to poll.
    pub fn deadline(&self) -> (Mono, &'static str) {
        let samples = (self.at + DELAY + BLOCK as i64).max(0).unsigned_abs();
        let at = Duration::from_micros(samples * 125);
        (Mono(u64::try_from(at.as_nanos()).unwrap_or(u64::MAX)), "the next block is due")
    }

    fn take(&mut self) -> Vec<i16> {
        self.at += BLOCK as i64;
        let mut sums = [0_i32; 2 * BLOCK];
        for track in self.tracks.values_mut() {
            let count = track.said.len().min(BLOCK);
            for (sum, sample) in sums
                .iter_mut()
                .skip(usize::from(track.right))
                .step_by(2)
                .zip(track.said.drain(..count))
            {
                *sum += i32::from(sample);
            }
        }
        sums.map(|sum| sum.clamp(i32::from(i16::MIN), i32::from(i16::MAX)) as i16).to_vec()
    }
}

/// By its timestamp, while that and its arrival agree.
fn place(anchor: &mut Option<Anchor>, heard: Heard<'_>, spoken: i64) -> i64 {
    let Heard { ssrc, timestamp, .. } = heard;
    if let Some(anchor) = anchor.as_ref()
        && anchor.ssrc == ssrc
    {
        let passed = timestamp.wrapping_sub(anchor.timestamp).cast_signed();
        let at = anchor.at + i64::from(passed);
        if (at - spoken).abs() <= ASTRAY {
            return at;
        }
    }
    *anchor = Some(Anchor { ssrc, timestamp, at: spoken });
    spoken
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::protocol::rtp::g711;

    const START: Mono = Mono(50_000_000_000);
    const TICK: Duration = Duration::from_millis(20);

    fn says(live: &mut Live, party: Party, n: u32, late: Duration, byte: u8) {
        let packet = Packet {
            payload_type: 8,
            marker: false,
            sequence: n as u16,
            timestamp: 160 * n + 7,
            ssrc: party as u32 + 1,
            payload: &[byte; 160],
        };
        live.handle_packet(party, Codec::Pcma, &packet, START + TICK * (n + 1) + late);
    }

    /// Everything that is given until then.
    fn heard(live: &mut Live, until: Mono) -> [Vec<i16>; 2] {
        let mut sides = [vec![], vec![]];
        while let Some(block) = live.poll(until) {
            for frame in block.chunks_exact(2) {
                sides[0].push(frame[0]);
                sides[1].push(frame[1]);
            }
        }
        sides
    }

    fn at(millis: u64) -> Mono {
        START + Duration::from_millis(millis)
    }

    #[test]
    fn both_sides_are_heard_less_than_half_a_second_later_each_at_its_time() {
        let mut live = Live::new(START);
        let (a, b) = (g711::decoding(Codec::Pcma)[0x11], g711::decoding(Codec::Pcma)[0x92]);
        for n in 0..50 {
            says(&mut live, Party::Caller, n, Duration::ZERO, 0x11);
            says(&mut live, Party::Officer, n, Duration::from_millis(u64::from(n % 3) * 30), 0x92);
        }
        let [left, right] = heard(&mut live, at(1300));
        assert_eq!(left.len(), 10_400, "what was said by {:?}", at(1100));
        assert!(left[1600..9600].iter().all(|sample| *sample == a), "no gap");
        assert!(right[1600..9600].iter().all(|sample| *sample == b), "jitter is none either");
        assert!(left[..1600].iter().chain(&left[9600..]).all(|sample| *sample == 0));
        assert_eq!(live.poll(at(1300)), None);
        let (due, _) = live.deadline();
        assert!(live.poll(due - Duration::from_millis(1)).is_none() && live.poll(due).is_some());
    }

    #[test]
    fn what_is_lost_or_held_is_silence_of_its_length_and_what_comes_too_late_is_not_heard_twice() {
        let mut live = Live::new(START);
        for n in (0..10).chain(20..30) {
            says(&mut live, Party::Caller, n, Duration::ZERO, 0x11);
        }
        says(&mut live, Party::Caller, 12, Duration::from_millis(150), 0x11);
        says(&mut live, Party::Caller, 25, Duration::ZERO, 0x11);
        let [left, right] = heard(&mut live, at(1000));
        let loud = left.iter().filter(|sample| **sample != 0).count();
        assert_eq!(loud, 21 * 160);
        assert!(right.iter().all(|sample| *sample == 0));
        assert!(left[1600 + 10 * 160..1600 + 12 * 160].iter().all(|sample| *sample == 0));
        says(&mut live, Party::Caller, 13, Duration::ZERO, 0x11);
        assert!(heard(&mut live, at(1100))[0].iter().all(|sample| *sample == 0), "it is over");
    }

    #[test]
    fn a_new_beginning_another_codec_and_a_listener_who_sleeps_are_followed() {
        let mut live = Live::new(START);
        for n in 0..5 {
            says(&mut live, Party::Caller, n, Duration::ZERO, 0xaa);
        }
        // After a hold the sender begins anew, and in another codec.
        let mut encoder = crate::protocol::rtp::g722::Encoder::default();
        for n in 10..40u32 {
            let tone: Vec<i16> = (0..320)
                .map(|at| (f64::from(n * 320 + at) * 0.4).sin() * 9000.0)
                .map(|sample| sample as i16)
                .collect();
            let payload: Vec<u8> =
                tone.chunks_exact(2).map(|pair| encoder.wide([pair[0], pair[1]])).collect();
            let packet = Packet {
                payload_type: 9,
                marker: false,
                sequence: n as u16,
                timestamp: 160 * n + 900_000,
                ssrc: 99,
                payload: &payload,
            };
            live.handle_packet(Party::Caller, Codec::G722, &packet, START + TICK * (n + 1));
        }
        let [left, _] = heard(&mut live, at(1000));
        let loud = |from: usize, to: usize| left[from..to].iter().any(|sample| sample.abs() > 3000);
        let at_ms = |ms: usize| 1600 + ms * 8;
        assert!(loud(at_ms(0), at_ms(100)) && !loud(at_ms(110), at_ms(195)));
        assert!(loud(at_ms(300), at_ms(400)) && loud(at_ms(600), at_ms(700)));
        let [left, _] = heard(&mut live, at(60_000));
        assert!(left.len() <= MOST + BLOCK, "what is long over is not given");
        for n in 0..50_000u32 {
            says(&mut live, Party::Officer, n, Duration::ZERO, 0x11);
        }
        assert!(live.tracks.values().all(|track| track.said.len() <= MOST), "memory is bounded");
    }
}
