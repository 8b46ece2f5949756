//! What a leader does on the telephone beside pressing 1: he listens, hands on, instructs, proves who he is; and what
//! answers in his place.

use crate::room::people::{DESK, HEAD, LEADER, LEADER_OFFICE, SUBSTITUTE};
use crate::room::{Prompt, Room, millis, minutes, seconds};
use dutyline::demo::phone::{Manner, State};
use dutyline::duty::escalation::After;
use dutyline::duty::ids::EntryId;
use dutyline::duty::journal::AttemptResult;
use dutyline::duty::pin::Pin;
use dutyline::duty::roster::{Role, Roster};
use dutyline::io::store::EscalationView;
use std::time::Duration;

const AT_ONCE: Duration = Duration::from_secs(1);

fn room_with_pin() -> Room {
    let mut room = Room::open();
    room.rules(|_, roster| roster.people[0].pin = Pin::new("4711"));
    room
}

/// A call that is over and was flagged; its recording is there.
fn flagged(room: &mut Room) -> EntryId {
    let entry = room.caller_dials("101");
    room.officer_answers(entry);
    room.pass(seconds(20));
    room.caller_hangs_up(entry);
    room.pass(seconds(1));
    room.officer_flags_urgent(entry);
    room.rings(LEADER, AT_ONCE);
    entry
}

fn escalation(room: &Room, entry: EntryId) -> EscalationView {
    room.view(entry).escalations.into_iter().next().expect("an escalation")
}

fn presses(room: &mut Room, keys: &str) {
    for key in keys.chars() {
        room.presses(LEADER, &key.to_string());
        room.pass(millis(400));
    }
}

#[test]
fn esc_03_the_leader_hears_the_callers_recording_and_how_long_is_on_record() {
    let mut room = Room::open();
    let entry = flagged(&mut room);
    room.leader_answers();
    room.leader_presses('1');
    let pressed = room.now().mono;
    room.presses(LEADER, "2");
    room.until("he hears it", seconds(1), |room| {
        room.heard(LEADER).last() == Some(&Prompt::Recording)
    });
    let audible = room.now().mono.since(pressed);
    assert!(audible <= seconds(1), "{audible:?}");
    room.pass(seconds(8));
    room.hangs_up(LEADER);
    room.pass(seconds(1));
    let heard = escalation(&room, entry).attempts[0].heard_ms;
    assert!((7_000..=9_200).contains(&heard), "{heard} ms");
    assert!(room.is_acknowledged(entry));
    room.pass(minutes(20));
    assert_eq!(room.attempts(entry).len(), 1);
}

#[test]
fn esc_03_listening_is_no_acknowledgement() {
    let mut room = Room::open();
    let entry = flagged(&mut room);
    room.leader_answers();
    room.leader_presses('2');
    room.pass(seconds(30));
    assert_eq!(
        room.heard(LEADER).last(),
        Some(&Prompt::Urgent),
        "it is over, and he is asked again"
    );
    assert!(!room.is_acknowledged(entry));
    room.presses(LEADER, "1");
    room.pass(seconds(3));
    assert!(room.is_acknowledged(entry));
    assert_eq!(escalation(&room, entry).attempts[0].heard_ms, 20_000);
}

#[test]
fn esc_04_a_dictated_instruction_is_there_at_once_and_the_desk_rings_until_it_is_confirmed() {
    let mut room = Room::open();
    room.rules(|policy, _| policy.after = Some(After::default()));
    let entry = flagged(&mut room);
    room.leader_answers();
    room.leader_presses('1');
    room.presses(LEADER, "9");
    room.until("he may speak", seconds(4), |room| room.heard(LEADER).last() == Some(&Prompt::Beep));
    room.pass(seconds(9));
    room.presses(LEADER, "#");
    let done = room.now().mono;
    room.until("it is in the log", seconds(5), |room| {
        !escalation(room, entry).instructions.is_empty()
    });
    room.pass(seconds(2));
    assert_eq!(room.heard(LEADER).last(), Some(&Prompt::Taken));
    let instruction = escalation(&room, entry).instructions[0].clone();
    assert_eq!(instruction.person, "张局");
    assert!((7_500..10_000).contains(&instruction.lasts_ms), "{instruction:?}");
    assert!(instruction.confirmed.is_none());
    // Nobody confirms it on the page: the desk rings.
    room.until("the desk rings", seconds(125), |room| room.state(DESK) == State::Ringing);
    let after = room.now().mono.since(done);
    assert!((seconds(118)..seconds(123)).contains(&after), "{after:?}");
    room.picks_up(DESK);
    room.pass(millis(1500));
    assert_eq!(room.heard(DESK), [Prompt::Instruction]);
    room.presses(DESK, "1");
    room.pass(seconds(3));
    assert_eq!(room.heard(DESK).last(), Some(&Prompt::Taken));
    let confirmed = escalation(&room, entry).instructions[0].confirmed.clone();
    assert_eq!(confirmed.map(|(_, by)| by).as_deref(), Some("值班台话机"));
    room.pass(minutes(60));
    assert_eq!(room.attempts(entry).len(), 2, "one call to him, one to the desk");
}

#[test]
fn esc_75_key_3_puts_the_substitute_in_his_place_in_the_same_second() {
    let mut room = Room::open();
    let entry = flagged(&mut room);
    room.leader_answers();
    room.leader_presses('3');
    room.rings(SUBSTITUTE, seconds(2));
    room.pass(millis(500));
    assert_eq!(room.heard(LEADER).last(), Some(&Prompt::HandedOn));
    room.answers_and_listens(SUBSTITUTE);
    room.presses(SUBSTITUTE, "1");
    room.pass(minutes(30));
    assert!(room.is_acknowledged(entry));
    let seen = escalation(&room, entry);
    let of = |name: &str| seen.attempts.iter().filter(|one| one.person == name).count();
    assert_eq!((of("张局"), of("李副局")), (1, 1), "he gets nothing more: {:?}", seen.attempts);
    assert_eq!(seen.attempts[0].result, Some(AttemptResult::HandedOn));
    let standing_in = &seen.attempts[1];
    assert_eq!((standing_in.role, standing_in.instead_of.as_deref()), (Role::Leader, Some("张局")));
    assert!(seen.row.leader_reached.is_some(), "he leads now");
    // The next matter goes to him first.
    let next = room.caller_dials("102");
    room.officer_answers(next);
    room.officer_flags_urgent(next);
    room.rings(SUBSTITUTE, AT_ONCE);
    room.answers_and_listens(SUBSTITUTE);
    room.presses(SUBSTITUTE, "1");
    room.pass(seconds(5));
    room.caller_hangs_up(next);
}

#[test]
fn esc_75_without_a_substitute_of_his_rank_the_next_is_called() {
    let mut room = Room::open();
    room.rules(|_, roster| roster.people[1].rank = 5);
    let entry = flagged(&mut room);
    room.leader_answers();
    room.leader_presses('3');
    room.rings(SUBSTITUTE, seconds(2));
    room.pass(millis(500));
    assert_eq!(room.heard(LEADER).last(), Some(&Prompt::PassedOn));
    room.answers_and_listens(SUBSTITUTE);
    room.presses(SUBSTITUTE, "1");
    room.pass(minutes(30));
    let attempts = room.attempts(entry);
    assert_eq!(attempts.len(), 2, "nobody stands in, he gets nothing more all the same");
    assert_eq!((attempts[1].role, attempts[1].instead_of.as_deref()), (Role::Substitute, None));
}

/// He knows, does not look at it, and presses 3 when he is reminded.
fn handed_on_when_reminded(rules: impl FnOnce(&mut Roster)) -> (Room, EntryId) {
    let mut room = Room::open();
    room.rules(|policy, roster| {
        policy.after = Some(After::default());
        rules(roster);
    });
    let entry = flagged(&mut room);
    room.leader_answers();
    room.leader_presses('1');
    room.pass(seconds(5));
    room.rings(LEADER, seconds(301));
    room.leader_answers();
    assert_eq!(room.heard(LEADER).last(), Some(&Prompt::Unread));
    room.leader_presses('3');
    room.rings(SUBSTITUTE, seconds(2));
    (room, entry)
}

fn is_dealt_with_by_the_substitute(room: &mut Room, entry: EntryId) {
    room.answers_and_listens(SUBSTITUTE);
    assert_eq!(room.heard(SUBSTITUTE), [Prompt::Urgent]);
    room.presses(SUBSTITUTE, "1");
    room.presses(SUBSTITUTE, "2");
    room.pass(seconds(10));
    room.hangs_up(SUBSTITUTE);
    room.pass(minutes(60));
    let all = room.view(entry).escalations;
    let attempts: Vec<_> = all.iter().flat_map(|one| &one.attempts).collect();
    let of = |name: &str| attempts.iter().filter(|one| one.person == name).count();
    assert_eq!((all.len(), of("张局"), of("李副局")), (2, 2, 1), "{attempts:?}");
    let by = all.iter().find_map(|one| one.row.handed_on_by.clone());
    assert_eq!(by.as_deref(), Some("张局"), "that is the reason");
}

#[test]
fn esc_75_key_3_in_a_reminder_rings_the_substitute_and_the_leader_gets_nothing_more() {
    let (mut room, entry) = handed_on_when_reminded(|_| ());
    room.pass(millis(500));
    assert_eq!(room.heard(LEADER).last(), Some(&Prompt::HandedOn));
    is_dealt_with_by_the_substitute(&mut room, entry);
}

#[test]
fn esc_75_key_3_in_a_reminder_without_a_substitute_of_his_rank_rings_the_next() {
    let (mut room, entry) = handed_on_when_reminded(|roster| roster.people[1].rank = 5);
    room.pass(millis(500));
    assert_eq!(room.heard(LEADER).last(), Some(&Prompt::PassedOn));
    is_dealt_with_by_the_substitute(&mut room, entry);
}

/// He has listened to it first.
#[test]
fn esc_75_key_3_after_the_recording_rings_the_substitute_too() {
    let mut room = Room::open();
    room.rules(|policy, _| policy.after = Some(After::default()));
    let entry = flagged(&mut room);
    room.leader_answers();
    room.leader_presses('1');
    room.pass(seconds(5));
    room.rings(LEADER, seconds(301));
    room.leader_answers();
    room.leader_presses('2');
    room.pass(seconds(10));
    room.presses(LEADER, "2");
    room.pass(seconds(2));
    assert!(escalation(&room, entry).row.read.is_some());
    room.presses(LEADER, "3");
    room.rings(SUBSTITUTE, seconds(2));
    is_dealt_with_by_the_substitute(&mut room, entry);
}

#[test]
fn esc_14_three_wrong_pins_and_the_next_person_rings() {
    let mut room = room_with_pin();
    let entry = flagged(&mut room);
    room.leader_answers();
    room.leader_presses('2');
    room.pass(millis(700));
    assert_eq!(room.heard(LEADER).last(), Some(&Prompt::EnterPin));
    for _ in 0..3 {
        presses(&mut room, "1234#");
    }
    room.rings(SUBSTITUTE, seconds(3));
    let heard = room.heard(LEADER);
    assert!(heard.contains(&Prompt::PinRefused) && !heard.contains(&Prompt::Recording));
    assert!(!room.is_acknowledged(entry));
    assert_eq!(room.attempts(entry)[0].result, Some(AttemptResult::WrongPin));
    assert_eq!(room.attempts(entry)[0].keys, "✗✗✗", "no digit of a PIN is written down");
    room.answers_and_listens(SUBSTITUTE);
    room.presses(SUBSTITUTE, "1");
    room.pass(seconds(4));
    // The duty leader is still to be reached himself, and acknowledging needs no PIN.
    room.until("he is called again", seconds(70), |room| {
        [LEADER, LEADER_OFFICE].iter().any(|number| room.state(number) == State::Ringing)
    });
    let number = [LEADER, LEADER_OFFICE].into_iter().find(|n| room.state(n) == State::Ringing);
    room.answers_and_listens(number.unwrap());
    room.presses(number.unwrap(), "1");
    room.pass(seconds(5));
    room.expect_rings(&[LEADER, LEADER_OFFICE]);
    assert!(escalation(&room, entry).row.leader_reached.is_some());
}

#[test]
fn esc_14_after_the_right_pin_he_hears_it() {
    let mut room = room_with_pin();
    let entry = flagged(&mut room);
    room.leader_answers();
    room.leader_presses('1');
    presses(&mut room, "24711#");
    room.pass(seconds(5));
    assert_eq!(room.heard(LEADER).last(), Some(&Prompt::Recording));
    room.hangs_up(LEADER);
    room.pass(minutes(5));
    assert!(escalation(&room, entry).attempts[0].heard_ms > 4_000);
    assert_eq!(escalation(&room, entry).attempts[0].keys, "2");
}

#[test]
fn esc_44_whoever_was_cut_off_is_called_again_and_told_so() {
    let mut room = Room::open();
    let entry = flagged(&mut room);
    room.leader_answers();
    assert_eq!(room.heard(LEADER), [Prompt::Urgent]);
    room.kill_daemon();
    room.hangs_up_unheard(LEADER);
    room.pass(seconds(40));
    room.start_daemon();
    room.rings(LEADER, seconds(10));
    room.leader_answers();
    assert_eq!(room.heard(LEADER).last(), Some(&Prompt::UrgentCut));
    room.presses(LEADER, "1");
    room.pass(seconds(5));
    assert!(room.is_acknowledged(entry));
    let attempts = room.attempts(entry);
    assert_eq!(attempts[0].result, Some(AttemptResult::Interrupted));
    assert_eq!(attempts.len(), 2, "{attempts:?}");
}

/// An assistant of his telephone answers, talks, asks, and presses nothing.
#[test]
fn esc_07_a_machine_that_talks_for_a_minute_acknowledges_nothing() {
    let mut room = Room::open();
    let entry = flagged(&mut room);
    room.leader_answers();
    let at = room.at(LEADER);
    let talk: Vec<u8> = (0..60 * 8000_u32).map(|n| (n % 251) as u8 | 0x80).collect();
    room.act(at, |post, now| post.phone.say(&talk, now));
    room.pass(seconds(60));
    assert!(!room.is_acknowledged(entry));
    assert_eq!(room.attempts(entry)[0].result, Some(AttemptResult::AnsweredNoKey));
    room.rings(LEADER, seconds(20));
    room.leader_answers();
    room.leader_presses('1');
    room.pass(seconds(4));
    assert!(room.is_acknowledged(entry));
}

/// A telephone that takes every call by itself, at once.
#[test]
fn esc_15_a_telephone_that_answers_by_itself_is_nobody() {
    let mut room = Room::open();
    room.set_manner(LEADER, Manner::Answers { after: millis(50) });
    let entry = room.caller_dials("101");
    room.officer_answers(entry);
    room.officer_flags_urgent(entry);
    room.pass(seconds(175));
    assert!(!room.is_acknowledged(entry));
    let attempts = room.attempts(entry);
    assert!(attempts.len() >= 2, "{attempts:?}");
    let no_key = |result: Option<AttemptResult>| {
        result == Some(AttemptResult::AnsweredNoKey) || result.is_none()
    };
    assert!(attempts.iter().all(|attempt| no_key(attempt.result)), "{attempts:?}");
    room.rings(SUBSTITUTE, seconds(10));
    room.answers_and_listens(SUBSTITUTE);
    room.presses(SUBSTITUTE, "1");
    room.pass(seconds(3));
    assert!(room.is_acknowledged(entry));
    room.officer_spoke_to_the_leader(entry);
    room.pass(seconds(60));
    room.expect_rings(&[LEADER, LEADER_OFFICE]);
    room.caller_hangs_up(entry);
}

/// A second urgent matter while he is on the telephone for the first.
#[test]
fn esc_28_a_second_matter_is_told_of_in_the_call_and_its_turn_comes() {
    let mut room = Room::open();
    let first = flagged(&mut room);
    room.leader_answers();
    room.leader_presses('2');
    room.pass(seconds(2));
    let second = room.caller_dials("102");
    room.officer_answers(second);
    room.officer_flags_urgent(second);
    room.until("he is told", seconds(2), |room| room.heard(LEADER).contains(&Prompt::Also));
    room.pass(seconds(1));
    room.presses(LEADER, "1");
    room.until("its turn", seconds(5), |room| room.heard(LEADER).contains(&Prompt::Next));
    assert!(room.is_acknowledged(first) && !room.is_acknowledged(second));
    room.pass(millis(1100));
    room.presses(LEADER, "1");
    room.pass(seconds(5));
    assert!(room.is_acknowledged(second));
    assert_eq!((room.attempts(first).len(), room.attempts(second).len()), (1, 1));
    room.caller_hangs_up(second);
}

/// He has hung up before he could be told.
#[test]
fn esc_28_a_second_matter_reaches_him_as_soon_as_he_has_hung_up() {
    let mut room = Room::open();
    let first = flagged(&mut room);
    room.leader_answers();
    let second = room.caller_dials("102");
    room.officer_answers(second);
    room.log_takes(seconds(3));
    room.presses(LEADER, "1");
    room.officer_flags_urgent(second);
    room.pass(millis(100));
    room.hangs_up(LEADER);
    room.log_takes(millis(3));
    room.rings(LEADER, seconds(5));
    room.leader_answers();
    room.leader_presses('1');
    room.pass(seconds(5));
    assert!(room.is_acknowledged(first) && room.is_acknowledged(second));
    room.caller_hangs_up(second);
}

#[test]
fn esc_30_of_five_matters_in_a_minute_each_reaches_him() {
    let mut room = Room::open();
    let mut entries = vec![];
    for n in 0..5 {
        let entry = room.caller_dials(&format!("11{n}"));
        room.officer_answers(entry);
        room.officer_flags_urgent(entry);
        room.caller_hangs_up(entry);
        entries.push(entry);
        for _ in 0..20 {
            room.leader_presses_when_asked();
            room.set_manner(LEADER, Manner::Answers { after: seconds(1) });
            room.pass(millis(500));
        }
    }
    let end = room.now().mono + seconds(60);
    while room.now().mono < end {
        room.leader_presses_when_asked();
        room.pass(millis(500));
    }
    for entry in &entries {
        assert!(room.is_acknowledged(*entry));
        let first = room.attempts(*entry)[0].clone();
        let raised = escalation(&room, *entry).row.raised;
        let waited = (first.started - raised).num_seconds();
        assert!(first.person == "张局" && waited <= 60, "{waited} s");
    }
    room.expect_rings(&[LEADER, LEADER_OFFICE, SUBSTITUTE, HEAD]);
}

#[test]
fn esc_14_after_a_crash_his_pin_is_that_of_the_roster() {
    let mut room = room_with_pin();
    let entry = flagged(&mut room);
    room.leader_answers();
    room.kill_daemon();
    room.pass(seconds(2));
    room.start_daemon();
    room.pass(seconds(2));
    presses(&mut room, "24711#");
    room.pass(seconds(5));
    // The new run of this room has no recording to play.
    let heard = [Prompt::Urgent, Prompt::EnterPin, Prompt::NoRecording, Prompt::Urgent];
    assert_eq!(room.heard(LEADER), heard, "his PIN is right");
    room.presses(LEADER, "1");
    room.pass(seconds(3));
    assert!(room.is_acknowledged(entry));
    assert_eq!(room.attempts(entry).len(), 1);
}
