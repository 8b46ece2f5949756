//! A leader who is told of a call that goes on joins it by key 6: each hears the two others, the recording has all
//! three, and the call goes on for whoever stays.

use crate::room::people::{DESK, LEADER};
use crate::room::{Prompt, Room, millis, seconds, tones};
use dutyline::demo::phone::State;
use dutyline::duty::ids::{CallId, EntryId};
use dutyline::duty::journal::{AttemptResult, Disposition, Joining};
use dutyline::io::store::RecordingState;
use dutyline::protocol::now::Mono;
use dutyline::protocol::rtp::{Codec, Party, g711};
use std::time::Duration;

const WHO: [&str; 3] = ["101", DESK, LEADER];
const HERTZ: [f64; 3] = [600.0, 1300.0, 2300.0];
/// What nobody may miss of the other at a change.
const GAP: Duration = Duration::from_millis(100);

/// Caller and officer talk, and the leader is asked.
fn the_leader_is_asked(room: &mut Room) -> EntryId {
    let entry = room.caller_dials("101");
    room.officer_answers(entry);
    room.officer_flags_urgent(entry);
    room.answers_and_listens(LEADER);
    entry
}

fn he_joins(room: &mut Room) {
    room.leader_presses('6');
    room.pass(millis(400));
}

/// Each says a tone of his own for so long; nobody waits for it.
fn all_speak(room: &mut Room, numbers: &[&str], ms: usize) {
    for number in numbers {
        let who = WHO.iter().position(|one| one == number).unwrap();
        let at = room.at(number);
        room.act(at, |post, now| post.phone.say(&tones::tone(HERTZ[who], ms), now));
    }
}

/// What this telephone has heard since then, as A-law.
fn heard_since(room: &Room, number: &str, since: Mono) -> Vec<u8> {
    let packets = room.phone(number).phone.heard().iter();
    let fits = packets.filter(|packet| packet.at >= since && packet.payload_type == 8);
    fits.flat_map(|packet| packet.payload.clone()).collect()
}

/// Each of them hears each other, and nobody himself.
fn hear_each_other(room: &mut Room, numbers: &[&str]) {
    all_speak(room, numbers, 2000);
    room.pass(millis(500));
    let since = room.now().mono;
    room.pass(millis(1400));
    for listener in numbers {
        let heard = heard_since(room, listener, since);
        assert!(heard.len() > 9000, "{listener} heard {} samples", heard.len());
        for (speaker, hertz) in WHO.iter().zip(HERTZ) {
            let level = tones::level(&heard, hertz);
            let there = speaker != listener && numbers.contains(speaker);
            let right = if there { (4500.0..5500.0).contains(&level) } else { level < 450.0 };
            assert!(right, "{listener} hears {speaker}: {level}");
        }
    }
    room.pass(millis(500));
}

/// The longest time without sound at this telephone since then.
fn longest_quiet(room: &Room, number: &str, since: Mono) -> Duration {
    let loud = |byte: &u8| g711::decode(Codec::Pcma, *byte).unsigned_abs() > 300;
    let packets = room.phone(number).phone.heard().iter();
    let loud = packets.filter(|packet| packet.at >= since && packet.payload.iter().any(loud));
    let times: Vec<Mono> = loud.map(|packet| packet.at).collect();
    times.windows(2).map(|pair| pair[1].since(pair[0])).max().expect("it was heard")
}

fn legs(room: &Room, entry: EntryId) -> Vec<(String, Joining, bool)> {
    let legs = room.view(entry).legs;
    legs.into_iter().map(|leg| (leg.phone, leg.how, leg.ended.is_some())).collect()
}

#[test]
fn rec_s4_the_leader_joins_by_key_6_and_each_of_the_three_hears_the_two_others() {
    let mut room = Room::open();
    let entry = the_leader_is_asked(&mut room);
    assert!(!room.is_acknowledged(entry));
    he_joins(&mut room);
    assert!(room.is_acknowledged(entry), "whoever joins knows");
    hear_each_other(&mut room, &WHO);

    let call = CallId(entry.0);
    let daemon = room.daemon.as_ref().unwrap();
    assert!(daemon.taped(call, Party::Leader) >= 100, "he is on the tape of this call");
    let before = daemon.taped(call, Party::Prompt);
    assert_eq!(before, 0, "what is mixed is taped once, by those who said it");
    let attempt = room.attempts(entry).swap_remove(0);
    assert_eq!(attempt.result, Some(AttemptResult::Acknowledged));
    let rung = ("值班台话机".to_owned(), Joining::Rung);
    let joined = ("张局".to_owned(), Joining::Conference);
    let expected = |gone| vec![(rung.0.clone(), rung.1, false), (joined.0.clone(), joined.1, gone)];
    assert_eq!(legs(&room, entry), expected(false));

    room.hangs_up(LEADER);
    room.pass(millis(100));
    assert_eq!(legs(&room, entry), expected(true), "who was on from when to when");
    hear_each_other(&mut room, &["101", DESK]);
    room.caller_hangs_up(entry);
    room.pass(seconds(1));
    assert_eq!(room.entry(entry).disposition, Some(Disposition::Answered));
    assert_eq!(room.all_rows().len(), 1, "one entry");
    let finished = &room.daemon.as_ref().unwrap().finished;
    assert_eq!(finished.iter().filter(|tape| **tape == entry.0).count(), 1, "one recording");
}

#[test]
fn rec_s4_nobody_misses_a_tenth_of_a_second_when_the_leader_comes_and_goes() {
    let mut room = Room::open();
    let entry = the_leader_is_asked(&mut room);
    let since = room.now().mono;
    all_speak(&mut room, &["101", DESK], 6000);
    room.pass(seconds(1));
    he_joins(&mut room);
    room.pass(seconds(2));
    room.hangs_up(LEADER);
    room.pass(seconds(3));
    for number in ["101", DESK] {
        let quiet = longest_quiet(&room, number, since);
        assert!(quiet < GAP, "{number} heard nothing for {quiet:?}");
    }
    room.caller_hangs_up(entry);
}

#[test]
fn rec_s4_the_caller_hangs_up_and_all_are_free() {
    let mut room = Room::open();
    let entry = the_leader_is_asked(&mut room);
    he_joins(&mut room);
    room.caller_hangs_up(entry);
    room.pass(seconds(1));
    assert_eq!((room.state(DESK), room.state(LEADER)), (State::OnHook, State::OnHook));
    assert_eq!(room.ending(entry), Some((Some(Party::Caller), 200)));
    assert!(legs(&room, entry).iter().all(|(_, _, gone)| *gone));
}

#[test]
fn rec_s4_the_officer_hangs_up_and_the_leader_goes_on_with_the_caller() {
    let mut room = Room::open();
    let entry = the_leader_is_asked(&mut room);
    he_joins(&mut room);
    all_speak(&mut room, &["101", LEADER], 3000);
    let since = room.now().mono;
    room.pass(seconds(1));
    room.hangs_up(DESK);
    room.pass(seconds(2));
    assert!(longest_quiet(&room, "101", since + seconds(1)) < GAP);
    hear_each_other(&mut room, &["101", LEADER]);
    let gone: Vec<bool> = legs(&room, entry).iter().map(|(_, _, gone)| *gone).collect();
    assert_eq!(gone, [true, false]);
    // The desk is free for the next caller.
    let next = room.caller_dials("102");
    room.officer_answers(next);
    room.hangs_up(LEADER);
    room.pass(seconds(1));
    assert_eq!(room.state("101"), State::OnHook);
    assert_eq!(room.ending(entry), Some((Some(Party::Leader), 200)));
    room.caller_hangs_up(next);
}

#[test]
fn key_6_is_no_key_where_the_call_is_over_and_key_1_still_is() {
    let mut room = Room::open();
    let entry = the_leader_is_asked(&mut room);
    room.caller_hangs_up(entry);
    room.leader_presses('6');
    room.pass(millis(200));
    assert_eq!(room.heard(LEADER).last(), Some(&Prompt::CannotJoin));
    assert!(!room.is_acknowledged(entry));
    room.pass(seconds(2));
    room.leader_presses('1');
    room.pass(seconds(3));
    assert!(room.is_acknowledged(entry));
    assert_eq!(room.attempts(entry)[0].keys, "6");
}

#[test]
fn key_6_after_key_1_joins_as_well() {
    let mut room = Room::open();
    let entry = the_leader_is_asked(&mut room);
    room.leader_presses('1');
    he_joins(&mut room);
    hear_each_other(&mut room, &WHO);
    assert_eq!(room.attempts(entry).len(), 1);
    room.caller_hangs_up(entry);
}

#[test]
fn sig_34_three_go_on_after_kill_nine() {
    let mut room = Room::open();
    let entry = the_leader_is_asked(&mut room);
    he_joins(&mut room);
    hear_each_other(&mut room, &WHO);
    room.kill_daemon();
    room.pass(seconds(1));
    room.start_daemon();
    room.pass(millis(300));
    hear_each_other(&mut room, &WHO);
    room.hangs_up(LEADER);
    room.pass(millis(100));
    hear_each_other(&mut room, &["101", DESK]);
    room.caller_hangs_up(entry);
    room.pass(seconds(1));
    assert_eq!(room.entry(entry).disposition, Some(Disposition::Answered));
}

#[test]
fn sig_37_a_leader_beyond_an_analogue_line_is_gone_by_busy_tone_and_the_two_go_on() {
    let mut room = Room::before_the_start(0, dutyline::demo::pbx::Algorithm::Sha256);
    room.plan.answer_supervision = false;
    room.start_daemon();
    room.pass(seconds(2));
    let entry = the_leader_is_asked(&mut room);
    he_joins(&mut room);
    assert!(room.attempts(entry)[0].answered.is_some());
    let at = room.at(LEADER);
    room.act(at, |post, now| post.phone.say(&tones::busy(6), now));
    room.until("his line is free", seconds(3), |room| room.state(LEADER) == State::OnHook);
    hear_each_other(&mut room, &["101", DESK]);
    room.caller_hangs_up(entry);
}

/// The caller has gone, and the leader wants to speak to the officer.
fn the_desk_rings_for_the_leader(room: &mut Room) -> EntryId {
    let entry = the_leader_is_asked(room);
    room.caller_hangs_up(entry);
    room.pass(seconds(1));
    room.leader_presses('5');
    room.rings(DESK, seconds(1));
    entry
}

#[test]
fn key_5_rings_the_desk_and_what_the_two_say_is_recorded_in_the_same_entry() {
    let mut room = Room::open();
    let entry = the_desk_rings_for_the_leader(&mut room);
    assert!(room.is_acknowledged(entry), "whoever asks for the officer knows");
    room.pass(seconds(3));
    let at = room.at(DESK);
    room.act(at, |post, now| post.phone.pick_up(now));
    room.pass(millis(300));
    hear_each_other(&mut room, &[DESK, LEADER]);
    let attempt = room.attempts(entry).swap_remove(0);
    let daemon = room.daemon.as_ref().unwrap();
    let tape = CallId(attempt.id.0);
    assert!(daemon.taped(tape, Party::Leader) > 90 && daemon.taped(tape, Party::Officer) > 90);
    room.hangs_up(LEADER);
    room.pass(seconds(1));
    assert_eq!(room.state(DESK), State::OnHook);
    assert_eq!(room.attempts(entry)[0].recording, Some(RecordingState::Sealed));
    assert_eq!(room.all_rows().len(), 1, "one entry");
    assert!(room.view(entry).callback.is_none());
}

#[test]
fn key_5_in_the_middle_of_the_call_joins_it() {
    let mut room = Room::open();
    let entry = the_leader_is_asked(&mut room);
    room.leader_presses('5');
    room.pass(millis(400));
    hear_each_other(&mut room, &WHO);
    room.caller_hangs_up(entry);
}

#[test]
fn key_5_while_nobody_is_at_the_desk_ends_with_the_leader_hanging_up() {
    let mut room = Room::open();
    let entry = the_desk_rings_for_the_leader(&mut room);
    room.hangs_up(LEADER);
    room.pass(seconds(1));
    assert_eq!(room.state(DESK), State::OnHook);
    assert!(room.is_acknowledged(entry));
}

#[test]
fn key_5_survives_kill_nine() {
    let mut room = Room::open();
    let entry = the_leader_is_asked(&mut room);
    room.caller_hangs_up(entry);
    room.pass(seconds(1));
    room.leader_presses('5');
    room.picks_up(DESK);
    room.pass(millis(300));
    hear_each_other(&mut room, &[DESK, LEADER]);
    room.kill_daemon();
    room.pass(seconds(1));
    room.start_daemon();
    room.pass(millis(300));
    hear_each_other(&mut room, &[DESK, LEADER]);
    let tape = CallId(room.attempts(entry).swap_remove(0).id.0);
    let daemon = room.daemon.as_ref().unwrap();
    assert_eq!(daemon.taped(tape, Party::Caller), 0, "his side of the tape is one");
    assert!(daemon.taped(tape, Party::Leader) > 180 && daemon.taped(tape, Party::Officer) > 180);
    room.hangs_up(DESK);
    room.pass(seconds(1));
    assert_eq!(room.state(LEADER), State::OnHook);
    assert!(room.is_acknowledged(entry));
}

#[test]
fn sig_34_killed_while_the_desk_rings_for_a_leader_who_waits() {
    let mut room = Room::open();
    let entry = the_desk_rings_for_the_leader(&mut room);
    room.kill_daemon();
    room.pass(millis(300));
    room.start_daemon();
    room.pass(millis(500));
    assert_eq!(room.state(LEADER), State::Talking, "an answered call cannot fail over");
    assert_eq!(room.state(DESK), State::OnHook, "it is rung anew");
    room.picks_up(DESK);
    room.pass(millis(300));
    hear_each_other(&mut room, &[DESK, LEADER]);
    room.hangs_up(LEADER);
    room.pass(seconds(1));
    assert_eq!(room.state(DESK), State::OnHook);
    assert_eq!(room.all_rows().len(), 1, "one entry");
    let attempt = room.attempts(entry).swap_remove(0);
    let daemon = room.daemon.as_ref().unwrap();
    assert_eq!(daemon.finished, [attempt.id.0], "one recording");
    assert!(daemon.taped(CallId(attempt.id.0), Party::Leader) > 90);
}
