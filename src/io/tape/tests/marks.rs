//! What the tape says beside the voices: who was on from when to when, which keys were pressed, and when; and what of
//! it is in the recording.

use super::super::header::Header;
use super::super::render::{Lasts, render};
use super::*;
use crate::protocol::now::Now;
use crate::protocol::random::Random;
use crate::protocol::rtp::sound::Fault;

fn mark(tape: &mut TapeHead, kind: Kind, party: Party, channel: u16, at: Mono) {
    push(tape, &Head::of(kind, &tag(party), at, 2), &channel.to_be_bytes());
}

fn ms(ms: u64) -> Duration {
    Duration::from_millis(ms)
}

#[test]
fn rec_t10_an_officer_who_goes_and_one_who_comes_leave_no_gap_of_their_own() {
    let mut room = Room::new();
    let (mut head, tape) = room.start();
    let start = clock::mono();
    mark(&mut head, Kind::Opened, Party::Caller, 0, start);
    mark(&mut head, Kind::Opened, Party::Officer, 1, start);
    Voice::new(Party::Caller, start).speak(&mut head, [1000; 350]);
    Voice::new(Party::Officer, start).speak(&mut head, [500; 100]);
    mark(&mut head, Kind::Closed, Party::Officer, 1, start + ms(2000));
    mark(&mut head, Kind::Opened, Party::Officer, 2, start + ms(5000));
    Voice::new(Party::Officer, start + ms(5000)).speak(&mut head, [700; 25]);
    mark(&mut head, Kind::Closed, Party::Officer, 2, start + ms(7000));
    mark(&mut head, Kind::Closed, Party::Caller, 0, start + ms(7000));
    push(&mut head, &Head::finished(CALL, start + ms(7000)), &[]);
    let sealed = room.sealed();
    let [left, right] = room.wav(&sealed);
    let at = |ms: usize| (left[8 * ms], right[8 * ms]);
    let (caller, first, second) = (heard(1000), heard(500), heard(700));
    assert_eq!([at(1000), at(4000), at(5400)], [(caller, first), (caller, 0), (caller, second)]);
    let silent = Gap { party: Party::Officer, from_ms: 5500, length_ms: 1520, untaped: 0 };
    assert_eq!(sealed.gaps, [silent], "while he was on, and not while nobody was");
    drop(head);
    tape.stop();
}

#[test]
fn rec_q2_whoever_was_never_heard_is_one_gap_and_named_and_the_recording_has_its_length() {
    let mut room = Room::new();
    let (mut head, tape) = room.start();
    let start = clock::mono();
    mark(&mut head, Kind::Opened, Party::Caller, 0, start);
    mark(&mut head, Kind::Opened, Party::Officer, 1, start);
    let mut random = Random::from_seed([3; 32]);
    let voice = (0..600).map(|n| (random.below(200 + 9000 * (n / 10 % 2)) as i16) - 100);
    Voice::new(Party::Caller, start + ms(300)).speak(&mut head, voice);
    push(&mut head, &Head::finished(CALL, start + ms(12_500)), &[]);
    let sealed = room.sealed();
    assert_eq!(sealed.duration_ms, 12_500, "rec_t14: from the answer to the end");
    assert_eq!(room.wav(&sealed)[1], vec![0; 100_000]);
    let gap = Gap { party: Party::Officer, from_ms: 0, length_ms: 12_500, untaped: 0 };
    assert_eq!(sealed.gaps, [gap]);
    let of_officer = |one: &&Finding| one.party == Party::Officer;
    let found: Vec<_> = sealed.findings.iter().filter(of_officer).collect();
    let [Finding { fault: Fault::Absent, from_ms: 0, length_ms: 12_000, .. }] = found[..] else {
        panic!("{:?}", sealed.findings)
    };
    drop(head);
    tape.stop();
}

#[test]
fn rec_q1_static_is_kept_with_the_recording_with_its_side_and_time() {
    let mut room = Room::new();
    let (mut head, tape) = room.start();
    let start = clock::mono();
    mark(&mut head, Kind::Opened, Party::Caller, 0, start);
    let mut random = Random::from_seed([4; 32]);
    let mut voice = Voice::new(Party::Caller, start);
    for _ in 0..500 {
        let (head_of, mut bytes) = voice.frame(0);
        bytes[12..].copy_from_slice(&random.bytes::<160>());
        push(&mut head, &head_of, &bytes);
    }
    push(&mut head, &Head::finished(CALL, start + ms(10_000)), &[]);
    let sealed = room.sealed();
    let [Finding { party: Party::Caller, fault: Fault::Static, from_ms: 0, length_ms }] =
        sealed.findings[..]
    else {
        panic!("{:?}", sealed.findings)
    };
    assert!(length_ms >= 9000);
    drop(head);
    tape.stop();
}

#[test]
fn rec_t9_what_comes_after_the_end_is_in_the_recording() {
    let mut room = Room::new();
    let (mut head, tape) = room.start();
    let start = clock::mono();
    mark(&mut head, Kind::Opened, Party::Caller, 0, start);
    let mut voice = Voice::new(Party::Caller, start);
    voice.speak(&mut head, [1000; 50]);
    mark(&mut head, Kind::Closed, Party::Caller, 0, start + ms(1000));
    voice.speak(&mut head, [3000; 40]);
    push(&mut head, &Head::finished(CALL, start + ms(1000)), &[]);
    let sealed = room.sealed();
    let [left, _] = room.wav(&sealed);
    assert_eq!((sealed.duration_ms, left[8 * 1500]), (1800, heard(3000)));
    assert_eq!((sealed.gaps, sealed.interrupted), (vec![], false));
    drop(head);
    tape.stop();
}

/// Both shout at the same moment: neither is halved or cut because of the other.
#[test]
fn rec_t11_both_at_full_scale_are_whole_on_their_own_sides() {
    let mut room = Room::new();
    let (mut head, tape) = room.start();
    let start = clock::mono();
    Voice::new(Party::Caller, start).speak(&mut head, [i16::MAX; 20]);
    Voice::new(Party::Officer, start).speak(&mut head, [i16::MIN; 20]);
    push(&mut head, &Head::finished(CALL, start + ms(400)), &[]);
    let [left, right] = {
        let sealed = room.sealed();
        room.wav(&sealed)
    };
    assert_eq!(left[..3200], vec![heard(i16::MAX); 3200]);
    assert_eq!(right[..3200], vec![heard(i16::MIN); 3200]);
    drop(head);
    tape.stop();
}

/// Six packets of key 5: three while it is held, its end three times (RFC 4733 §2.5.1.4).
fn key_5(party: Party, from: Mono, sequence: u16) -> Vec<(Head, Vec<u8>)> {
    (0..6u16)
        .map(|n| {
            let duration = (160 * (n + 1)).min(640).to_be_bytes();
            let end = if n >= 3 { 0x8a } else { 0x0a };
            let rtp = packet::Packet {
                payload_type: 101,
                marker: n == 0,
                sequence: sequence + n,
                timestamp: 77_000,
                ssrc: party as u32,
                payload: &[5, end, duration[0], duration[1]],
            };
            let mut bytes = vec![0; 16];
            packet::build(&rtp, &mut bytes).unwrap();
            let at = from + ms(20) * u32::from(n);
            (Head::of(Kind::Packet, &tag(party), at, 16), bytes)
        })
        .collect()
}

#[test]
fn rec_t12_a_key_is_logged_once_with_its_time_and_not_heard() {
    let mut room = Room::new();
    let (mut head, tape) = room.start();
    let start = clock::mono();
    mark(&mut head, Kind::Opened, Party::Caller, 0, start);
    mark(&mut head, Kind::Opened, Party::Leader, 1, start);
    Voice::new(Party::Caller, start).speak(&mut head, [1000; 150]);
    let keys = [key_5(Party::Caller, start + ms(1500), 9), key_5(Party::Leader, start, 9)];
    for (head_of, bytes) in keys.concat() {
        push(&mut head, &head_of, &bytes);
    }
    push(&mut head, &Head::finished(CALL, start + ms(3000)), &[]);
    let sealed = room.sealed();
    let [Key { party: Party::Caller, at_ms, key: '5' }] = sealed.keys[..] else {
        panic!("a leader's may be secret: {:?}", sealed.keys)
    };
    assert!(at_ms.abs_diff(1560) <= 20, "{at_ms}");
    let [left, _] = room.wav(&sealed);
    assert!(left[..23_500].iter().all(|sample| *sample == heard(1000)), "no tone in the voice");
    drop(head);
    tape.stop();
}

/// A tape of these records, sealed at no particular time.
fn tape_of(folder: &Path, anchor: Now, frames: &[(Head, Vec<u8>)]) -> PathBuf {
    let mut bytes = Header { segment: 0, anchor, boot: Uuid::nil() }.to_bytes().to_vec();
    for (head, packet) in frames {
        super::super::record::write(head, packet, &mut bytes);
    }
    let path = folder.join("a.tape");
    fs::write(&path, bytes).unwrap();
    path
}

/// Half an hour of a clock that is 150 ppm slow, over a network that holds packets up by up to 60 ms: each clap is
/// where the wall clock has it.
#[test]
fn rec_t13_the_moment_of_any_sample_is_right_within_50_ms() {
    let folder = tempfile::tempdir().unwrap();
    let anchor = clock::now();
    let start = anchor.mono + ms(7000);
    let mut voice = Voice::new(Party::Caller, start);
    let mut random = Random::from_seed([8; 32]);
    let spoken = |n: u64| start.0 + n * FRAME + n * FRAME * 150 / 1_000_000;
    let mut frames: Vec<(Head, Vec<u8>)> = (0..90_000)
        .map(|n| {
            let (head, bytes) = voice.frame(if n % 3000 == 1500 { 20_000 } else { 0 });
            (Head { arrival: Mono(spoken(n) + random.below(60) * 1_000_000), ..head }, bytes)
        })
        .collect();
    frames.sort_by_key(|(head, _)| head.arrival);
    let wav = folder.path().join("a.wav");
    let rendered = render(&tape_of(folder.path(), anchor, &frames), &wav, Lasts::Yes).unwrap();
    let left = wav_file::read_file(&wav).unwrap().remove(0);
    let claps = left.windows(2).enumerate().filter(|(_, pair)| pair[0] < 9000 && pair[1] > 9000);
    let claps: Vec<i64> = claps.map(|(at, _)| at as i64 + 1).collect();
    assert_eq!(claps.len(), 30);
    for (minute, at) in claps.into_iter().enumerate() {
        let shown = rendered.started + chrono::TimeDelta::microseconds(at * 125);
        let said = spoken(minute as u64 * 3000 + 1500) - FRAME;
        let said = anchor.wall + chrono::TimeDelta::nanoseconds((said - anchor.mono.0) as i64);
        let off = (shown - said).num_milliseconds().abs();
        assert!(off <= 50, "minute {minute}: {off} ms");
    }
}

#[test]
fn rec_e1_the_same_tape_gives_the_same_wav_byte_for_byte() {
    let mut room = Room::new();
    let (mut head, tape) = room.start();
    let start = clock::mono();
    let (mut one, mut other) =
        (Voice::new(Party::Caller, start), Voice::new(Party::Officer, start));
    one.speak(&mut head, (0..200).map(|n| n * 90));
    other.speak(&mut head, (0..60).map(|n| n * -300));
    (0..40).for_each(|_| drop(other.frame(0)));
    other.speak(&mut head, (0..60).map(|n| n * 200));
    push(&mut head, &Head::finished(CALL, start + ms(5000)), &[]);
    let sealed = room.sealed();
    let again = room.folder.path().join("again.wav");
    let rendered = render(&room.recordings().join(&sealed.tape), &again, Lasts::No).unwrap();
    assert_eq!(files::sha256(&again).unwrap(), sealed.wav_sha256.unwrap());
    assert_eq!((rendered.gaps, rendered.samples), (sealed.gaps, sealed.samples));
    drop(head);
    tape.stop();
}

/// The daemon died after the call had ended and before the tape said so.
#[test]
fn a_call_that_everybody_has_left_is_not_interrupted() {
    let mut room = Room::new();
    let mut voice = Voice::new(Party::Caller, clock::mono());
    let channel = vec![0, 3];
    let of = |kind| (Head::of(kind, &tag(Party::Caller), clock::mono(), 2), channel.clone());
    let frames = [of(Kind::Opened), voice.frame(1), voice.frame(2), of(Kind::Closed)];
    killed(&room, &frames);
    let events = recovered(&mut room);
    let [Event::Sealed(sealed)] = &events[..] else { panic!("{events:?}") };
    assert!(!sealed.interrupted);
}

/// While the call goes on; the recording is what it is without.
#[test]
fn rec_l3_the_last_seconds_of_a_call_that_goes_on_are_those_of_its_recording() {
    let mut room = Room::new();
    let (mut head, tape) = room.start();
    let start = clock::mono();
    mark(&mut head, Kind::Opened, Party::Caller, 0, start);
    let mut voice = Voice::new(Party::Caller, start);
    voice.speak(&mut head, (0..2500).map(|n| (n % 97) * 100));
    let (recall, scratch) = (tape.recall(), room.folder.path().join("again.wav"));
    let read = |seconds: u64| {
        let bytes = recall.last(CALL, Duration::from_secs(seconds)).unwrap()?;
        fs::write(&scratch, bytes).unwrap();
        Some(wav_file::read_file(&scratch).unwrap().remove(0))
    };
    let until = clock::mono() + Duration::from_secs(20);
    while read(300).is_none_or(|all| all.len() < 400_000) {
        assert!(clock::mono() < until, "all of it is on the tape");
    }
    let (half, all) = (read(30).unwrap(), read(300).unwrap());
    assert_eq!(recall.last(Uuid::from_u128(9), ms(9)).unwrap(), None, "another call");
    push(&mut head, &Head::finished(CALL, start + ms(49_980)), &[]);
    let sealed = room.sealed();
    let [left, _] = room.wav(&sealed);
    assert_eq!(
        half.len().abs_diff(30 * 8000),
        160,
        "and the packet that the thirty seconds begin in"
    );
    assert!(left.ends_with(&half) && left.ends_with(&all));
    assert_eq!(sealed.packets, [(Party::Caller, 2500)]);
    assert_eq!(room.files(&room.folder.path().join("data/recall")), Vec::<String>::new());
    drop(head);
    tape.stop();
}
