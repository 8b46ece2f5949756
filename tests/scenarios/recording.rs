//! What is said is recorded, on both sides, while the two talk and at no other time; keys are
//! heard once.

use crate::room::people::{DESK, SPARE};
use crate::room::{Room, millis, seconds};
use dutyline::demo::phone::{SILENCE, sound};
use dutyline::duty::ids::CallId;
use dutyline::duty::journal::{Disposition, Fact, Urgency};
use dutyline::io::store::RecordingState;
use dutyline::protocol::rtp::Party;
use dutyline::protocol::rtp::quality::{Grade, Mos};

fn speech(seed: u8, seconds: usize) -> Vec<u8> {
    let sample = |n: usize| (n as u8).wrapping_mul(31).wrapping_add(seed) & 0x7f;
    (0..8000 * seconds).map(sample).collect()
}

#[test]
fn each_hears_the_other_sample_for_sample_and_the_tape_has_both() {
    let mut room = Room::open();
    let entry = room.caller_dials("101");
    room.officer_answers(entry);
    let (question, answer) = (speech(1, 3), speech(77, 2));
    room.says("101", &question);
    room.says(DESK, &answer);
    let heard = |room: &Room, number| sound(room.phone(number).phone.heard(), 8);
    assert_eq!(heard(&room, DESK), question);
    assert_eq!(heard(&room, "101"), answer);
    let daemon = room.daemon.as_ref().unwrap();
    let call = CallId(entry.0);
    assert_eq!(daemon.taped(call, Party::Caller), 150);
    assert_eq!(daemon.taped(call, Party::Officer), 100);
    let on_tape: Vec<u8> = daemon
        .tape
        .iter()
        .filter(|taped| taped.party == Party::Caller)
        .flat_map(|taped| taped.bytes[12..].to_vec())
        .collect();
    assert_eq!(on_tape, question);
    room.caller_hangs_up(entry);
    room.pass(seconds(1));
    assert_eq!(room.daemon.as_ref().unwrap().finished, [entry.0]);
    let carried = room.carried(entry);
    assert_eq!(room.entry(entry).recording, Some(RecordingState::Sealed));
    assert_eq!(carried, [(Party::Caller, 150, 0), (Party::Officer, 100, 0)]);
}

#[test]
fn nothing_is_recorded_while_it_rings_or_after_the_end() {
    let mut room = Room::open();
    let entry = room.caller_dials("101");
    room.rings(DESK, seconds(1));
    assert_eq!(room.recording(), []);
    room.officer_answers(entry);
    assert_eq!(room.recording(), [entry]);
    room.says("101", &speech(3, 1));
    room.caller_hangs_up(entry);
    room.pass(millis(100));
    assert_eq!(room.recording(), []);
}

#[test]
fn a_stranger_who_sends_voice_is_neither_heard_nor_taped() {
    let mut room = Room::open();
    let entry = room.caller_dials("101");
    room.officer_answers(entry);
    let port = room.phone("101").phone.remote().unwrap().addr.port();
    let mut packet = vec![0x80, 8, 0, 1, 0, 0, 0, 0, 9, 9, 9, 9];
    packet.extend([SILENCE; 160]);
    room.order(|daemon, now| {
        let stranger = "10.9.9.9:4000".parse().unwrap();
        daemon.handle_packet(port, stranger, &packet, now);
    });
    room.pass(millis(50));
    assert_eq!(room.phone(DESK).phone.heard().len(), 0);
    let daemon = room.daemon.as_ref().unwrap();
    assert_eq!(daemon.taped(CallId(entry.0), Party::Caller), 0);
    room.caller_hangs_up(entry);
    room.pass(seconds(1));
}

#[test]
fn sig_22_each_digit_is_heard_once_from_either_leg() {
    let mut room = Room::open();
    let entry = room.caller_dials("101");
    room.officer_answers(entry);
    room.presses("101", "123#");
    room.presses(DESK, "4*");
    let heard = |number| {
        let keys =
            room.phone(number).phone.heard().iter().filter(|packet| packet.payload_type != 8);
        let mut times: Vec<u32> = keys.map(|packet| packet.timestamp).collect();
        times.dedup();
        times.len()
    };
    assert_eq!(heard(DESK), 4, "the officer's phone got each key of the caller once");
    assert_eq!(heard("101"), 2);
    assert_eq!(room.entry(entry).urgency, Urgency::Routine);
    room.presses(DESK, "*9*9");
    room.pass(seconds(1));
    let daemon = room.daemon.as_ref().unwrap();
    let flags = daemon.facts.iter().filter(|noted| matches!(noted.fact, Fact::Flagged { .. }));
    assert_eq!(flags.count(), 1);
    assert_eq!(room.entry(entry).urgency, Urgency::Urgent);
    room.leader_answers();
    room.leader_presses('1');
    room.pass(seconds(3));
    room.caller_hangs_up(entry);
}

#[test]
fn keys_survive_the_loss_of_a_third_of_their_packets() {
    for seed in 0..20 {
        let mut room = Room::with_seed(seed);
        let entry = room.caller_dials("101");
        room.officer_answers(entry);
        room.network.voice.loss = 330;
        room.presses(DESK, "*");
        room.presses(DESK, "9");
        room.pass(seconds(1));
        room.network.voice.loss = 0;
        assert_eq!(room.entry(entry).urgency, Urgency::Urgent, "seed {seed}");
        room.leader_answers();
        room.leader_presses('1');
        room.pass(seconds(3));
        room.caller_hangs_up(entry);
    }
}

#[test]
fn two_conversations_do_not_hear_each_other() {
    let mut room = Room::open();
    let first = room.caller_dials("101");
    room.officer_answers(first);
    let second = room.caller_dials("102");
    room.picks_up(SPARE);
    room.are_connected(second);
    room.says("101", &speech(1, 1));
    room.says("102", &speech(90, 1));
    assert_eq!(sound(room.phone(DESK).phone.heard(), 8), speech(1, 1));
    assert_eq!(sound(room.phone(SPARE).phone.heard(), 8), speech(90, 1));
    room.caller_hangs_up(first);
    room.caller_hangs_up(second);
}

#[test]
fn a_crash_leaves_a_recording_that_says_it_is_cut() {
    let mut room = Room::open();
    let entry = room.caller_dials("101");
    room.officer_answers(entry);
    room.says("101", &speech(1, 2));
    room.kill_daemon();
    room.hangs_up_unheard("101");
    room.hangs_up_unheard(DESK);
    // So long that neither says any more that it has hung up.
    room.pass(seconds(40));
    room.start_daemon();
    room.pass(seconds(60));
    let seen = room.entry(entry);
    assert_eq!(seen.disposition, Some(Disposition::Interrupted));
    assert_eq!(seen.recording, Some(RecordingState::Partial));
    let next = room.caller_dials("102");
    room.officer_answers(next);
    room.caller_hangs_up(next);
}

/// sig_17 too: a session of half an hour is refreshed by itself, unheard.
#[test]
fn rec_s6_a_refresh_and_a_new_address_leave_no_gap_and_one_recording() {
    let mut room = Room::open();
    let entry = room.caller_dials("101");
    room.officer_answers(entry);
    let words = [speech(5, 2), speech(6, 2), speech(7, 2), speech(8, 1)];
    room.says("101", &words[0]);
    room.moves_its_voice("101", 40_002);
    room.says("101", &words[1]);
    room.says(DESK, &words[3]);
    room.pass(seconds(1900));
    assert_eq!(room.recording(), [entry]);
    assert!(room.network.story(400).contains("  UPDATE "), "refreshed, not ended");
    room.says("101", &words[2]);
    room.moves_its_voice(DESK, 40_006);
    room.says(DESK, &words[3]);
    let heard = |number| -> Vec<u8> {
        room.phone(number).phone.heard().iter().flat_map(|packet| packet.payload.clone()).collect()
    };
    let (at_desk, at_caller) = (heard(DESK), heard("101"));
    assert!(at_desk == words[..3].concat(), "{} samples", at_desk.len());
    assert!(at_caller == [&words[3][..]; 2].concat(), "{} samples", at_caller.len());
    room.caller_hangs_up(entry);
    room.pass(seconds(1));
    assert_eq!(room.daemon.as_ref().unwrap().finished, [entry.0]);
    assert_eq!(room.carried(entry), [(Party::Caller, 300, 0), (Party::Officer, 100, 0)]);
}

/// What `rec_q` of recording.md asks for: the entry says who was heard how well, and when it was worst.
#[test]
fn rec_q_a_bad_minute_is_named_with_its_party_and_its_time() {
    let mut room = Room::open();
    let entry = room.caller_dials("101");
    room.officer_answers(entry);
    room.says("101", &speech(1, 20));
    let bad_from = room.now();
    room.network.voice.loss = 100;
    room.says("101", &speech(2, 20));
    room.network.voice.loss = 0;
    room.says("101", &speech(3, 20));
    room.says(DESK, &speech(4, 20));
    room.caller_hangs_up(entry);
    room.pass(seconds(10));
    let voices = room.view(entry).voices;
    let of = |party| voices.iter().find(|row| row.party == party).expect("was heard").quality;
    let (caller, officer) = (of(Party::Caller), of(Party::Officer));
    let carried = room.carried(entry);
    let lost: Vec<u64> = carried.iter().map(|(_, _, lost)| *lost).collect();
    assert_eq!((caller.tally.lost, officer.tally.lost), (lost[0], 0));
    assert!((60..140).contains(&caller.tally.lost), "a tenth of 1,000: {caller:?}");
    let (bad, good) = (caller.mos.unwrap(), officer.mos.unwrap());
    assert_eq!((good.worst, good.worst.grade()), (Mos(441), Grade::Good));
    assert!(bad.worst < Mos(200) && bad.latest == Mos(441), "{bad:?}");
    assert!(bad.mean > bad.worst && bad.mean < bad.latest, "{bad:?}");
    let into = (bad.worst_at - bad_from.wall).num_seconds();
    assert!((-5..20).contains(&into), "{into} s into the bad stretch");
}

/// The page's mark goes with what is heard now, and each hearing is told as it changes.
#[test]
fn rec_q_the_mark_of_a_call_under_way_follows_the_network() {
    let mut room = Room::open();
    let entry = room.caller_dials("101");
    room.officer_answers(entry);
    for loss in [0, 200, 0] {
        room.network.voice.loss = loss;
        room.says("101", &speech(1, 20));
    }
    let daemon = room.daemon.as_ref().unwrap();
    let mut grades: Vec<Grade> = daemon
        .heard
        .iter()
        .filter(|(_, call, party, _)| (call.0, *party) == (entry.0, Party::Caller))
        .filter_map(|(.., quality)| Some(quality.mos?.latest.grade()))
        .collect();
    grades.dedup();
    assert_eq!(grades, [Grade::Good, Grade::Poor, Grade::Good]);
    room.caller_hangs_up(entry);
}
