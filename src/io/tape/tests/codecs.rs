//! Codecs, packet times and keys that change in the middle of a call: each packet in its place, at its speed and pitch.

use super::*;
use crate::protocol::rtp::g722;
use crate::protocol::rtp::relay::Secrecy;
use crate::protocol::rtp::srtp::{Guard, Keys, MasterKey, TAG};

const HERTZ: f64 = 1000.0;
const LEVEL: f64 = 8000.0;

/// Somebody who whistles one tone all along, in whatever codec.
struct Whistler {
    sequence: u16,
    /// Samples at 8000 a second so far.
    said: u64,
    start: Mono,
    wide: g722::Encoder,
    hertz: f64,
}

impl Whistler {
    fn new() -> Self {
        Self {
            sequence: 1,
            said: 0,
            start: clock::mono(),
            wide: g722::Encoder::default(),
            hertz: HERTZ,
        }
    }

    fn sample(&self, at: f64) -> i16 {
        ((std::f64::consts::TAU * self.hertz * at / 8000.0).sin() * LEVEL) as i16
    }

    /// The next packet, of so many samples.
    fn packet(&mut self, codec: Codec, samples: u16) -> (Head, Vec<u8>) {
        let from = self.said;
        let payload: Vec<u8> = (from..from + u64::from(samples))
            .map(|n| match codec {
                Codec::G722 => {
                    let pair = [self.sample(n as f64), self.sample(n as f64 + 0.5)];
                    self.wide.wide(pair)
                }
                _ => g711::encode(codec, self.sample(n as f64)),
            })
            .collect();
        self.packet_of(codec, samples, &payload)
    }

    fn packet_of(&mut self, codec: Codec, samples: u16, payload: &[u8]) -> (Head, Vec<u8>) {
        let rtp = packet::Packet {
            payload_type: codec as u8,
            marker: false,
            sequence: self.sequence,
            timestamp: 5000 + self.said as u32,
            ssrc: 9,
            payload,
        };
        let mut bytes = vec![0; 12 + payload.len()];
        packet::build(&rtp, &mut bytes).unwrap();
        self.sequence += 1;
        self.said += u64::from(samples);
        let arrival = Mono(self.start.0 + self.said * 125_000);
        let tag = Tag { codec, audio_pt: codec as u8, ..tag(Party::Caller) };
        (Head::of(Kind::Packet, &tag, arrival, bytes.len() as u16), bytes)
    }
}

fn sealed_of(records: Vec<(Head, Vec<u8>)>) -> (Room, Sealed) {
    let mut room = Room::new();
    let (mut head, tape) = room.start();
    for (record, bytes) in &records {
        assert!(head.push(record, bytes));
    }
    head.push(&Head::finished(CALL, records.last().unwrap().0.arrival), &[]);
    drop(head);
    let sealed = room.sealed();
    tape.stop();
    (room, sealed)
}

/// How loud what is heard is in each tenth of a second, and how many times it crosses zero upwards.
fn heard_in(samples: &[i16]) -> Vec<(f64, usize)> {
    let tenths = samples.chunks_exact(800);
    tenths
        .map(|tenth| {
            let power: f64 = tenth.iter().map(|sample| f64::from(*sample).powi(2)).sum();
            let crossings = tenth.windows(2).filter(|pair| pair[0] < 0 && pair[1] >= 0).count();
            ((2.0 * power / tenth.len() as f64).sqrt(), crossings)
        })
        .collect()
}

fn assert_whistled(samples: &[i16]) {
    for (n, (loud, crossings)) in heard_in(samples).into_iter().enumerate() {
        assert!((0.9..1.1).contains(&(loud / LEVEL)), "tenth {n}: level {loud}");
        assert!((95..=105).contains(&crossings), "tenth {n}: {crossings} periods");
    }
}

#[test]
fn rec_t6_a_codec_that_changes_and_changes_back_keeps_speed_pitch_and_level() {
    let mut whistler = Whistler::new();
    let order = [
        (Codec::Pcma, 50),
        (Codec::Pcmu, 50),
        (Codec::G722, 50),
        (Codec::Pcma, 25),
        (Codec::G722, 25),
        (Codec::Pcmu, 1),
        (Codec::G722, 49),
    ];
    let packets = order.iter().flat_map(|(codec, count)| vec![*codec; *count]);
    let records: Vec<_> = packets.map(|codec| whistler.packet(codec, 160)).collect();
    let (room, sealed) = sealed_of(records);
    let [left, _] = room.wav(&sealed);
    assert_eq!((sealed.samples, sealed.gaps.len()), (250 * 160, 0));
    assert_whistled(&left);
    assert_eq!(sealed.undecoded, []);
}

#[test]
fn rec_t6_what_was_on_its_way_in_the_codec_before_has_its_place() {
    let mut whistler = Whistler::new();
    let codec = |n: usize| if n < 100 { Codec::Pcma } else { Codec::G722 };
    let mut records: Vec<_> = (0..200).map(|n| whistler.packet(codec(n), 160)).collect();
    // The last packets of A-law are overtaken by the first of G.722.
    for (head, _) in &mut records[97..100] {
        head.arrival = Mono(head.arrival.0 + 90_000_000);
    }
    records.sort_by_key(|(head, _)| head.arrival);
    let (room, sealed) = sealed_of(records);
    let [left, _] = room.wav(&sealed);
    assert_eq!((sealed.samples, sealed.gaps.len()), (200 * 160, 0));
    assert_whistled(&left);
}

#[test]
fn rec_t5_packet_times_that_change_without_a_word_keep_speed_and_pitch() {
    for codec in [Codec::Pcma, Codec::G722] {
        let mut whistler = Whistler::new();
        let sizes = [80u16, 160, 240, 320, 480, 160, 80, 480];
        let lasting = |size: u16| usize::from(4800 / size);
        let records: Vec<_> = sizes
            .iter()
            .flat_map(|size| vec![*size; lasting(*size)])
            .map(|size| whistler.packet(codec, size))
            .collect();
        let (room, sealed) = sealed_of(records);
        let [left, _] = room.wav(&sealed);
        // A packet is sent when it is full: where packets get longer, the first of them is late by the difference.
        assert!(sealed.samples.abs_diff(8 * 4800) <= 480, "{codec:?}: {}", sealed.samples);
        let whole = heard_in(&left).iter().filter(|(_, n)| (97..=103).contains(n)).count();
        assert!(whole * 800 >= 8 * 4800 - 4 * 800, "{codec:?}: {whole} tenths");
    }
}

#[test]
fn what_the_narrow_band_cannot_hold_is_not_in_the_recording() {
    for (hertz, least, most) in
        [(300.0, 0.9, 1.1), (3000.0, 0.9, 1.1), (4600.0, 0.0, 0.02), (6000.0, 0.0, 0.02)]
    {
        let mut whistler = Whistler { hertz, ..Whistler::new() };
        let records: Vec<_> = (0..100).map(|_| whistler.packet(Codec::G722, 160)).collect();
        let (room, sealed) = sealed_of(records);
        let [left, _] = room.wav(&sealed);
        for (loud, _) in &heard_in(&left)[1..] {
            assert!((least..=most).contains(&(loud / LEVEL)), "{hertz} Hz: {loud}");
        }
    }
}

#[test]
fn g729_is_kept_and_the_recording_says_that_it_cannot_be_heard() {
    let mut whistler = Whistler::new();
    let records: Vec<_> = (0..50).map(|_| whistler.packet_of(Codec::G729, 160, &[7; 20])).collect();
    let (_room, sealed) = sealed_of(records);
    let party = Party::Caller;
    let kept = Undecoded { party, obstacle: Obstacle::Codec(Codec::G729), packets: 50 };
    assert_eq!((sealed.wav, sealed.undecoded), (None, vec![kept]));
    assert_eq!(sealed.packets, [(party, 50)]);
}

fn encrypted(records: &mut [(Head, Vec<u8>)], secrecy: Secrecy) {
    let mut guard = Guard::new(Keys { ours: MasterKey([3; 30]), theirs: MasterKey([4; 30]) });
    for (head, bytes) in records {
        let length = bytes.len();
        bytes.resize(length + TAG, 0);
        guard.close(bytes, length).unwrap();
        head.length = bytes.len() as u16;
        head.secrecy = secrecy;
    }
}

#[test]
fn rec_q3_what_a_wrong_key_does_not_open_is_kept_and_is_silence_and_said() {
    let mut whistler = Whistler::new();
    let mut records: Vec<_> = (0..150).map(|_| whistler.packet(Codec::Pcma, 160)).collect();
    encrypted(&mut records[50..100], Secrecy::Undecryptable);
    let (room, sealed) = sealed_of(records);
    let [left, _] = room.wav(&sealed);
    assert_whistled(&left[..8000]);
    assert!(left[8000..16_000].iter().all(|sample| *sample == 0), "noise is never speech");
    assert_whistled(&left[16_000..]);
    let kept = Undecoded { party: Party::Caller, obstacle: Obstacle::Encrypted, packets: 50 };
    assert_eq!(sealed.undecoded, [kept]);
    assert_eq!(sealed.packets, [(Party::Caller, 150)]);
    assert_eq!(sealed.gaps.len(), 1);
}

#[test]
fn rec_q3_srtp_that_nobody_gave_a_key_for_is_found_out() {
    let mut whistler = Whistler::new();
    let mut records: Vec<_> = (0..100).map(|_| whistler.packet(Codec::Pcma, 160)).collect();
    encrypted(&mut records, Secrecy::Clear);
    let (_room, sealed) = sealed_of(records);
    let kept = Undecoded { party: Party::Caller, obstacle: Obstacle::Encrypted, packets: 100 };
    assert_eq!((sealed.wav, sealed.undecoded), (None, vec![kept]));
}

#[test]
fn rec_t4_silence_that_is_not_sent_or_sent_as_comfort_noise_has_its_true_length() {
    for noise in [false, true] {
        let mut whistler = Whistler::new();
        let mut records: Vec<_> = (0..50).map(|_| whistler.packet(Codec::Pcma, 160)).collect();
        for _ in 0..100 {
            match noise {
                true => {
                    let (head, mut bytes) = whistler.packet_of(Codec::Pcma, 160, &[60]);
                    bytes[1] = 13;
                    records.push((head, bytes));
                }
                false => whistler.said += 160,
            }
        }
        records.extend((0..50).map(|_| whistler.packet(Codec::Pcma, 160)));
        let (room, sealed) = sealed_of(records);
        let [left, _] = room.wav(&sealed);
        assert_eq!(sealed.samples, 200 * 160, "noise {noise}");
        assert_eq!(
            sealed.gaps,
            [Gap { party: Party::Caller, from_ms: 1000, length_ms: 2000, untaped: 0 }]
        );
        assert_whistled(&left[..50 * 160]);
        assert!(left[50 * 160..150 * 160].iter().all(|sample| *sample == 0));
        assert_whistled(&left[150 * 160..]);
        assert_eq!(sealed.undecoded, []);
    }
}
