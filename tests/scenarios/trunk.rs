//! An analogue line behind a gateway (FXO): 200 says that it has dialled, a key that somebody answered, and the busy
//! tone that the far end is gone.

use crate::room::people::{DESK, LEADER, LEADER_OFFICE, SUBSTITUTE};
use crate::room::{Prompt, Room, millis, seconds, tones};
use dutyline::demo::phone::{Manner, SILENCE, State};
use dutyline::duty::ids::EntryId;
use dutyline::duty::journal::{AttemptResult, Disposition};
use dutyline::duty::line_plan::MessagePlan;
use dutyline::io::store::{AttemptRow, RecordingState};
use dutyline::protocol::rtp::Party;
use std::time::Duration;

/// Of packets on their way, and of blocks of 10 ms.
const NEAR: Duration = Duration::from_millis(60);

/// A room whose trunk does not tell of an answer; the leader's mobile is beyond it.
fn a_room_with_an_analogue_line() -> Room {
    let mut room = Room::before_the_start(0, dutyline::demo::pbx::Algorithm::Sha256);
    room.plan.answer_supervision = false;
    room.start_daemon();
    room.pass(seconds(2));
    room.set_manner(LEADER, Manner::Answers { after: millis(400) });
    room
}

/// An urgent entry; the gateway has dialled the leader's number and says so by 200.
fn the_leader_is_dialled(room: &mut Room) -> EntryId {
    let entry = room.caller_dials("101");
    room.officer_answers(entry);
    room.officer_flags_urgent(entry);
    room.until("the gateway has dialled", seconds(3), |room| room.state(LEADER) == State::Talking);
    room.expect_rings(&[LEADER]);
    entry
}

/// What is heard from there from now on; nobody waits for its end.
fn sounds(room: &mut Room, number: &str, sound: &[u8]) {
    let at = room.at(number);
    room.act(at, |post, now| post.phone.say(sound, now));
}

fn first_attempt(room: &Room, entry: EntryId) -> AttemptRow {
    room.attempts(entry).swap_remove(0)
}

#[test]
fn sig_37_the_sentence_is_said_through_the_ringing_and_a_key_after_25_seconds_acknowledges() {
    let mut room = a_room_with_an_analogue_line();
    let entry = the_leader_is_dialled(&mut room);
    sounds(&mut room, LEADER, &tones::ringing(5));
    room.pass(seconds(24));
    let attempt = first_attempt(&room, entry);
    assert!(attempt.ringing.is_some(), "ringing is heard");
    assert_eq!((attempt.answered, attempt.result), (None, None), "200 means dialled");
    let said =
        room.phone(LEADER).phone.heard().iter().filter(|packet| packet.payload[0] != SILENCE);
    assert!(said.count() >= 350, "a third of 24 s: the sentence, and a pause, and again");
    room.pass(seconds(2));
    room.presses(LEADER, "1");
    let pressed = room.now().wall;
    room.pass(seconds(3));
    assert!(room.is_acknowledged(entry));
    assert_eq!(room.heard(LEADER).last(), Some(&Prompt::Confirmed));
    let attempt = first_attempt(&room, entry);
    assert_eq!(attempt.result, Some(AttemptResult::Acknowledged));
    assert!(room.near(attempt.answered.expect("by the key"), pressed, seconds(1)));
    assert_eq!(attempt.recording, Some(RecordingState::Sealed));
    room.caller_hangs_up(entry);
}

#[test]
fn sig_37_no_key_is_no_answer_however_long_it_rings() {
    let mut room = a_room_with_an_analogue_line();
    let entry = the_leader_is_dialled(&mut room);
    let dialled = room.now().mono;
    sounds(&mut room, LEADER, &tones::ringing(10));
    room.until("it is given up", seconds(60), |room| room.state(LEADER) == State::OnHook);
    assert!((34..37).contains(&room.now().mono.since(dialled).as_secs()), "the ring time");
    room.pass(millis(100));
    let attempt = first_attempt(&room, entry);
    assert_eq!((attempt.answered, attempt.result), (None, Some(AttemptResult::NoAnswer)));
    the_end(&mut room, entry);
}

#[test]
fn sig_37_whoever_picks_up_at_the_last_ring_has_time_for_his_key() {
    let mut room = a_room_with_an_analogue_line();
    let entry = the_leader_is_dialled(&mut room);
    sounds(&mut room, LEADER, &tones::ringing(6));
    room.pass(seconds(50));
    assert_eq!(room.state(LEADER), State::Talking, "it rings no more, and nobody is gone");
    room.presses(LEADER, "1");
    room.pass(seconds(3));
    assert!(room.is_acknowledged(entry));
    room.caller_hangs_up(entry);
}

#[test]
fn sig_37_a_wrong_key_is_a_human_too_and_his_attempt_is_answered_without_the_key() {
    let mut room = a_room_with_an_analogue_line();
    let entry = the_leader_is_dialled(&mut room);
    room.pass(seconds(4));
    room.presses(LEADER, "7");
    room.until("his time is over", seconds(60), |room| room.state(LEADER) == State::OnHook);
    room.pass(millis(100));
    let attempt = first_attempt(&room, entry);
    assert!(attempt.answered.is_some());
    assert_eq!(attempt.result, Some(AttemptResult::AnsweredNoKey));
    the_end(&mut room, entry);
}

#[test]
fn sig_37_busy_tone_ends_the_call_to_a_leader_within_three_seconds() {
    for (rings, sound, result) in [
        (0, tones::busy(8), AttemptResult::Busy),
        (0, tones::congestion(4), AttemptResult::ChannelFailed),
        // He declined, or hung up without a key.
        (2, tones::busy(8), AttemptResult::NoAnswer),
    ] {
        let mut room = a_room_with_an_analogue_line();
        let entry = the_leader_is_dialled(&mut room);
        room.says(LEADER, &[tones::hush(500), tones::ringing(rings)].concat());
        let began = room.now();
        sounds(&mut room, LEADER, &sound);
        room.until("it is over", seconds(3), |room| room.state(LEADER) == State::OnHook);
        room.pass(millis(100));
        let attempt = first_attempt(&room, entry);
        assert_eq!((attempt.answered, attempt.result), (None, Some(result)));
        assert!(
            room.near(attempt.ended.unwrap(), began.wall, NEAR * 2),
            "as of the tone's beginning"
        );
        the_end(&mut room, entry);
    }
}

#[test]
fn sig_37_a_leader_who_has_pressed_the_key_and_is_gone_has_acknowledged() {
    let mut room = a_room_with_an_analogue_line();
    let entry = the_leader_is_dialled(&mut room);
    room.pass(seconds(4));
    room.log_stalls(seconds(5));
    room.presses(LEADER, "1");
    room.says(LEADER, &tones::busy(4));
    room.pass(seconds(8));
    assert!(room.is_acknowledged(entry));
    assert_eq!(first_attempt(&room, entry).result, Some(AttemptResult::Acknowledged));
    room.caller_hangs_up(entry);
}

#[test]
fn sig_37_a_caller_who_hangs_up_is_known_by_busy_tone_and_the_call_ends_when_he_did() {
    let mut room = a_room_with_an_analogue_line();
    let entry = room.caller_dials("101");
    room.officer_answers(entry);
    room.says("101", &[tones::hush(2000), tones::tone(700.0, 900), tones::hush(600)].concat());
    let gone = room.now();
    sounds(&mut room, "101", &tones::busy(10));
    room.until("the officer hears it", seconds(3), |room| room.state(DESK) == State::OnHook);
    room.pass(seconds(1));
    let seen = room.entry(entry);
    assert_eq!(seen.disposition, Some(Disposition::Answered));
    assert!(room.near(seen.ended_at.unwrap(), gone.wall, NEAR * 2), "{:?}", seen.ended_at);
    assert_eq!(room.ending(entry), Some((Some(Party::Caller), 200)));
    assert_eq!(seen.recording, Some(RecordingState::Sealed));
    assert_eq!(room.state("101"), State::OnHook, "the gateway's channel is free again");
}

#[test]
fn sig_37_busy_tone_ends_a_message_too() {
    let mut room = Room::before_the_start(0, dutyline::demo::pbx::Algorithm::Sha256);
    room.plan.answer_supervision = false;
    room.plan.answering.message = Some(MessagePlan { after: seconds(30), longest: seconds(120) });
    room.start_daemon();
    room.pass(seconds(2));
    let entry = room.caller_dials("101");
    room.until("he is asked for a message", seconds(45), |room| {
        room.state("101") == State::Talking
    });
    room.pass(seconds(5));
    room.says("101", &tones::tone(700.0, 4000));
    let gone = room.now();
    sounds(&mut room, "101", &tones::busy(10));
    room.until("the line is free", seconds(3), |room| room.state("101") == State::OnHook);
    room.pass(seconds(1));
    let seen = room.entry(entry);
    assert_eq!(seen.disposition, Some(Disposition::Message));
    assert!(room.near(seen.ended_at.unwrap(), gone.wall, NEAR * 2));
}

#[test]
fn where_the_trunk_tells_of_the_end_no_tone_ends_a_call() {
    let mut room = Room::open();
    let entry = room.caller_dials("101");
    room.officer_answers(entry);
    room.says("101", &tones::busy(10));
    room.says(DESK, &tones::busy(10));
    assert_eq!(room.state(DESK), State::Talking);
    room.caller_hangs_up(entry);
}

/// Nothing more is asked of this entry.
fn the_end(room: &mut Room, entry: EntryId) {
    room.officer_withdraws(entry, "演练");
    room.caller_hangs_up(entry);
    room.pass(seconds(5));
    room.expect_rings(&[LEADER, LEADER_OFFICE, SUBSTITUTE]);
}
