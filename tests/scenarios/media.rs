//! What one says reaches the others whatever their telephones have in common: codecs, and ways to press a key.

use crate::room::people::{DESK, LEADER};
use crate::room::{Room, millis, seconds, tones};
use dutyline::demo::phone::{Able, Heard, PCMA, PCMU};
use dutyline::duty::journal::Disposition;
use dutyline::protocol::rtp::{Codec, g711};

const A_LAW: Able = Able { audio: &[PCMA], keys: true };
const MU_LAW: Able = Able { audio: &[PCMU], keys: true };
const BY_INFO: Able = Able { audio: &[PCMA, PCMU], keys: false };

/// Of these payload types, in the order in which they came.
fn heard<'a>(room: &'a Room, number: &str, payload_type: u8) -> Vec<&'a Heard> {
    let all = room.phone(number).phone.heard().iter();
    all.filter(|packet| packet.payload_type == payload_type).collect()
}

/// The keys that came in the voice: each press once, by its timestamp.
fn keys(room: &Room, number: &str) -> Vec<u8> {
    let mut seen = vec![];
    for packet in heard(room, number, 101) {
        let press = (packet.timestamp, packet.payload[0]);
        if !seen.contains(&press) {
            seen.push(press);
        }
    }
    seen.into_iter().map(|(_, event)| event).collect()
}

#[test]
fn sig_19_an_a_law_caller_and_a_mu_law_phone_hear_each_other() {
    for (caller, desk) in [(A_LAW, MU_LAW), (MU_LAW, A_LAW)] {
        let mut room = Room::open();
        room.is_able("101", caller);
        room.is_able(DESK, desk);
        let entry = room.caller_dials("101");
        room.officer_answers(entry);
        let said: Vec<u8> = (0..8000u32).map(|n| (n * 7) as u8).collect();
        room.says("101", &said);
        room.says(DESK, &said);
        let codec = |able: Able| if able.audio == [PCMA] { Codec::Pcma } else { Codec::Pcmu };
        for (listener, from, to) in [(DESK, caller, desk), ("101", desk, caller)] {
            let sound: Vec<u8> = heard(&room, listener, to.audio[0])
                .iter()
                .flat_map(|packet| packet.payload.clone())
                .collect();
            let table = g711::transcoding(codec(from), codec(to)).unwrap();
            let expected: Vec<u8> = said.iter().map(|byte| table[usize::from(*byte)]).collect();
            assert_eq!(sound, expected, "{listener} heard every sample in its own codec");
        }
        room.caller_hangs_up(entry);
        room.pass(seconds(1));
        assert_eq!(room.entry(entry).disposition, Some(Disposition::Answered));
    }
}

#[test]
fn sig_22_a_key_by_info_is_an_event_in_the_voice_of_a_phone_that_takes_those() {
    let mut room = Room::open();
    room.is_able("101", BY_INFO);
    let entry = room.caller_dials("101");
    room.officer_answers(entry);
    room.presses("101", "15#");
    assert_eq!(keys(&room, DESK), [1, 5, 11]);
    let first = heard(&room, DESK, 101)[0].timestamp;
    let press: Vec<&Heard> =
        heard(&room, DESK, 101).into_iter().filter(|packet| packet.timestamp == first).collect();
    let ends = press.iter().filter(|packet| packet.payload[1] & 0x80 != 0).count();
    assert_eq!((press.len(), ends), (7, 3), "RFC 4733 §2.5.1.4");
    room.says("101", &tones::tone(600.0, 200));
    let all = room.phone(DESK).phone.heard();
    let mut numbers: Vec<u16> = all.iter().map(|packet| packet.sequence).collect();
    numbers.dedup();
    let gapless = numbers.windows(2).all(|pair| pair[1].wrapping_sub(pair[0]) == 1);
    assert!(gapless && all.iter().all(|packet| packet.ssrc == all[0].ssrc), "{numbers:?}");
    room.presses(DESK, "4");
    assert_eq!(keys(&room, "101"), [0u8; 0], "nobody agreed on them there");
    room.caller_hangs_up(entry);
}

#[test]
fn sig_22_and_rec_s4_of_three_each_gets_the_keys_of_the_others_once() {
    for leader in [Able::default(), BY_INFO] {
        let mut room = Room::open();
        room.is_able(LEADER, leader);
        let entry = room.caller_dials("101");
        room.officer_answers(entry);
        room.officer_flags_urgent(entry);
        room.answers_and_listens(LEADER);
        room.leader_presses('6');
        room.pass(millis(600));
        let before = keys(&room, LEADER).len();
        room.presses("101", "12");
        room.presses(DESK, "34");
        room.presses(LEADER, "56");
        room.pass(millis(600));
        assert_eq!(keys(&room, "101"), [3, 4, 5, 6]);
        assert_eq!(keys(&room, DESK), [1, 2, 5, 6]);
        let expected: &[u8] = if leader.keys { &[1, 2, 3, 4] } else { &[] };
        assert_eq!(keys(&room, LEADER)[before..], *expected);
        room.caller_hangs_up(entry);
        room.pass(seconds(1));
    }
}
