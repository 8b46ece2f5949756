//! What is taken for silence, static, a tone or a side that is not heard.

use super::*;
use crate::protocol::random::Random;
use crate::protocol::rtp::{Codec, g711};

const SPEECH_WAV: &[u8] = include_bytes!("../../../demo/speech/caller.wav");

/// Somebody who speaks, at 8000 samples a second, over and over.
fn speech(seconds: usize) -> Vec<i16> {
    let read = |pair: &[u8]| i16::from_le_bytes([pair[0], pair[1]]);
    let samples: Vec<i16> = SPEECH_WAV[44..].chunks_exact(2).map(read).collect();
    samples.iter().copied().cycle().take(8000 * seconds).collect()
}

fn noise(seconds: usize, level: i16) -> Vec<i16> {
    let mut random = Random::from_seed([5; 32]);
    let mut one = || random.below(u64::from(level.unsigned_abs()) * 2) as i64 - i64::from(level);
    (0..8000 * seconds).map(|_| one() as i16).collect()
}

fn tones(seconds: usize, hertz: &[f64], level: f64) -> Vec<i16> {
    let at = |n: usize, hertz: f64| (n as f64 / 8000.0 * hertz * std::f64::consts::TAU).sin();
    let sum = |n: usize| hertz.iter().map(|one| at(n, *one)).sum::<f64>();
    (0..8000 * seconds).map(|n| (sum(n) * level / hertz.len() as f64) as i16).collect()
}

fn coded(codec: Codec, samples: &[i16]) -> Vec<u8> {
    samples.iter().map(|sample| g711::encode(codec, *sample)).collect()
}

fn decoded(codec: Codec, bytes: &[u8]) -> Vec<i16> {
    bytes.iter().map(|byte| g711::decode(codec, *byte)).collect()
}

fn second(samples: &[i16], packet: usize) -> Second {
    let mut measure = Measure::default();
    samples.chunks(packet).for_each(|said| measure.add(said));
    Second::Heard(Box::new(measure))
}

/// The fault after each second of what A-law makes of the samples.
fn faults(samples: &[i16]) -> Vec<Option<Fault>> {
    let mut judge = Judge::default();
    let heard = decoded(Codec::Pcma, &coded(Codec::Pcma, samples));
    heard
        .chunks(8000)
        .map(|one| {
            judge.hear(second(one, 160));
            judge.now().map(|(fault, _)| fault)
        })
        .collect()
}

/// A voice, then what is wrong: said within ten seconds, with its beginning.
fn is_found(wrong: &[i16], fault: Fault) {
    is_found_after(0, wrong, fault);
    is_found_after(12, wrong, fault);
}

fn is_found_after(before: usize, wrong: &[i16], fault: Fault) {
    let all = [speech(before), wrong.to_vec()].concat();
    let faults = faults(&all);
    assert!(faults[..before].iter().all(Option::is_none), "{fault:?}: {faults:?}");
    let found = faults.iter().position(|one| *one == Some(fault));
    assert!(found.is_some_and(|at| at < before + 9), "{fault:?}: {faults:?}");
}

#[test]
fn rec_q1_a_voice_is_no_fault_whatever_its_packets() {
    assert!(faults(&speech(60)).iter().all(Option::is_none));
    for packet in [80, 240, 320, 480] {
        let mut judge = Judge::default();
        for one in speech(20).chunks(8000) {
            judge.hear(second(one, packet));
        }
        assert_eq!(judge.finish(), [], "{packet}");
    }
    let loud: Vec<i16> = speech(30).iter().map(|sample| sample.saturating_mul(2)).collect();
    assert!(faults(&loud).iter().all(Option::is_none), "a little too loud is a voice");
}

#[test]
fn rec_q1_static_at_any_level_that_is_heard() {
    for level in [700, 4000, 32_000] {
        is_found(&noise(10, level), Fault::Static);
    }
    assert!(faults(&noise(20, 30)).iter().all(Option::is_none), "a quiet room");
}

#[test]
fn rec_q1_payload_that_is_not_what_its_type_says() {
    let mut random = Random::from_seed([9; 32]);
    let bytes: Vec<u8> = (0..80_000).map(|_| random.below(256) as u8).collect();
    for codec in [Codec::Pcma, Codec::Pcmu] {
        is_found(&decoded(codec, &bytes), Fault::Static);
    }
}

#[test]
fn rec_q1_a_tone_or_two_that_do_not_end() {
    is_found(&tones(10, &[450.0], 20_000.0), Fault::Tone);
    is_found(&tones(10, &[350.0, 440.0], 20_000.0), Fault::Tone);
    is_found(&tones(10, &[1004.0], 2000.0), Fault::Tone);
    let ringing: Vec<i16> =
        (0..5).flat_map(|_| [tones(1, &[450.0], 20_000.0), vec![0; 32_000]].concat()).collect();
    assert!(faults(&ringing).iter().all(Option::is_none), "it rings, as it may");
}

#[test]
fn rec_q1_zeros_and_any_one_value() {
    for codec in [Codec::Pcma, Codec::Pcmu] {
        for byte in [0x00, 0xd5, 0x55, 0xff, 0x7f] {
            let silence = decoded(codec, &[byte; 80_000]);
            is_found_after(0, &silence, Fault::Silent);
            is_found_after(12, &silence, Fault::Muted);
        }
    }
}

#[test]
fn rec_q1_a_voice_far_too_loud_and_one_far_too_faint() {
    let loud: Vec<i16> = speech(12).iter().map(|sample| sample.saturating_mul(30)).collect();
    assert!(faults(&loud).contains(&Some(Fault::Clipped)));
    let faint: Vec<i16> = speech(20).iter().map(|sample| sample / 40).collect();
    let faults = faults(&faint);
    assert!(faults.contains(&Some(Fault::Faint)), "{faults:?}");
}

#[test]
fn rec_q2_a_side_of_which_nothing_comes_and_from_when_to_when() {
    let mut judge = Judge::default();
    let voice = speech(40);
    let mut voice = voice.chunks(8000).map(|one| second(one, 160));
    (0..10).for_each(|_| judge.hear(voice.next().unwrap()));
    for gone in 1..=12 {
        judge.hear(Second::Nothing);
        assert_eq!(judge.now().is_some(), gone >= 7, "{gone}");
    }
    assert_eq!(judge.now(), Some((Fault::Absent, 10)));
    (0..10).for_each(|_| judge.hear(voice.next().unwrap()));
    assert_eq!(judge.now(), None);
    // A sign of life is no voice, and no fault.
    (0..20).for_each(|n| judge.hear(if n % 5 == 0 { Second::Alive } else { Second::Nothing }));
    assert_eq!(judge.finish(), [Found { fault: Fault::Absent, from: 10, to: 22 }]);
}

#[test]
fn rec_q3_what_nobody_can_decode_is_said_at_once() {
    let mut judge = Judge::default();
    judge.hear(Second::Secret);
    assert_eq!(judge.now(), None);
    judge.hear(Second::Secret);
    assert_eq!(judge.now(), Some((Fault::Undecodable, 0)));
    judge.hear(second(&speech(1), 160));
    assert_eq!(judge.finish(), [Found { fault: Fault::Undecodable, from: 0, to: 2 }]);
}

#[test]
fn what_is_kept_is_bounded_and_odd_packets_do_no_harm() {
    let mut judge = Judge::default();
    for n in 0..1000 {
        judge.hear(if n % 4 < 2 { Second::Secret } else { Second::Alive });
    }
    assert_eq!(judge.finish().len(), FOUND_MAX);
    let mut measure = Measure::default();
    for length in [0, 1, 3, 79, 80, 161, 1500] {
        measure.add(&vec![i16::MIN; length]);
    }
    assert_eq!(measure.peak(), 0);
    assert_eq!(Measure::default().peak(), 96);
    let mut judge = Judge::default();
    (0..9).for_each(|_| judge.hear(Second::Heard(Box::default())));
    judge.finish();
}

/// As when a disk that hung takes what waited, and more.
#[test]
fn more_than_a_second_at_once_is_measured_too() {
    let mut measure = Measure::default();
    measure.add(&[0; 70_000 * FRAME]);
    assert!(!measure.is_empty() && measure.is_constant());
}
