//! Two urgent matters at once are told of in one call, and each has its key.

use super::{AT_ONCE, a_call_in_progress};
use crate::room::people::{LEADER, LEADER_OFFICE, SUBSTITUTE};
use crate::room::{Prompt, Room, millis, minutes, seconds};
use dutyline::demo::phone::{Manner, State};
use dutyline::duty::ids::EntryId;
use dutyline::duty::journal::AttemptResult;
use dutyline::io::store::AttemptRow;

/// Flags a second matter 5 s after the first; the leader's phone rings once.
fn two_matters(room: &mut Room) -> [EntryId; 2] {
    let first = a_call_in_progress(room);
    room.officer_flags_urgent(first);
    let flagged = room.now().mono;
    room.caller_hangs_up(first);
    let second = room.caller_dials("102");
    room.officer_answers(second);
    room.pass_until(flagged + seconds(5), seconds(5));
    room.officer_flags_urgent(second);
    room.caller_hangs_up(second);
    [first, second]
}

fn hears(room: &mut Room, prompt: Prompt) {
    room.until(&format!("he hears {prompt:?}"), seconds(20), |room| {
        room.heard(LEADER).last() == Some(&prompt)
    });
}

#[test]
fn esc_27_two_urgent_matters_are_told_of_in_one_call_and_each_has_its_key() {
    let mut room = Room::open();
    let entries = two_matters(&mut room);
    let flagged = room.now().mono;
    room.pass(seconds(20));
    room.leader_answers();
    let heard = room.heard(LEADER);
    assert_eq!(heard[0], Prompt::Several);
    assert!(room.now().mono.since(flagged) <= seconds(60), "both are announced");
    room.leader_presses('1');
    room.pass(millis(200));
    assert!(room.is_acknowledged(entries[0]) && !room.is_acknowledged(entries[1]));
    hears(&mut room, Prompt::Next);
    room.pass(millis(1100));
    room.leader_presses('1');
    room.pass(seconds(5));
    assert!(room.is_acknowledged(entries[1]));
    let attempts = entries.map(|entry| room.attempts(entry));
    assert_eq!(attempts.each_ref().map(Vec::len), [1, 1], "one call, never two at once");
    assert_eq!(attempts[1][0].joined, Some(attempts[0][0].id));
    assert_eq!(room.phone(LEADER).unexpected.len(), 0);
    room.pass(minutes(30));
}

/// He does not pick up: whatever is due for him is told of in the next call as well.
#[test]
fn esc_27_whatever_is_due_when_he_is_called_is_told_of_in_that_call() {
    let mut room = Room::open();
    let entries = two_matters(&mut room);
    room.rings(LEADER, seconds(1));
    room.until("it is given up", seconds(40), |room| room.state(LEADER) == State::OnHook);
    room.until("a phone of his rings", seconds(62), |room| {
        [LEADER, LEADER_OFFICE].iter().any(|number| room.state(number) == State::Ringing)
    });
    let number = match room.state(LEADER) {
        State::Ringing => LEADER,
        _ => LEADER_OFFICE,
    };
    room.answers_and_listens(number);
    assert_eq!(room.heard(number)[0], Prompt::Several);
    room.presses(number, "1");
    room.until("the next", seconds(20), |room| room.heard(number).last() == Some(&Prompt::Next));
    room.pass(millis(1100));
    room.presses(number, "1");
    room.pass(seconds(5));
    for entry in entries {
        assert!(room.is_acknowledged(entry));
        assert_eq!(room.attempts(entry).len(), 2);
    }
}

#[test]
fn esc_42_a_crash_while_he_is_told_of_two_matters_loses_neither() {
    for after in [millis(200), seconds(3), seconds(8), seconds(9)] {
        let mut room = Room::open();
        let entries = two_matters(&mut room);
        room.pass(after);
        if after >= seconds(8) {
            room.leader_answers();
        }
        room.kill_daemon();
        room.pass(millis(300));
        room.start_daemon();
        room.set_manner(LEADER, Manner::Answers { after: seconds(1) });
        let end = room.now().mono + minutes(3);
        while room.now().mono < end && !entries.iter().all(|entry| room.is_acknowledged(*entry)) {
            let leader = room.at(LEADER);
            let asked = matches!(room.heard(LEADER).last(), Some(Prompt::Urgent | Prompt::Next));
            if asked && room.state(LEADER) == State::Talking {
                room.act(leader, |post, now| post.phone.press('1', now));
            }
            room.pass(seconds(2));
        }
        for entry in entries {
            assert!(room.is_acknowledged(entry), "crash after {after:?}");
            let cut = |one: &AttemptRow| one.result == Some(AttemptResult::Interrupted);
            assert!(!room.attempts(entry).iter().any(cut), "it goes on, crash after {after:?}");
        }
        room.pass(minutes(2));
        room.expect_rings(&[LEADER, LEADER_OFFICE]);
    }
}

/// The log had it, the checkpoint did not: his telephone rings on, and the second matter is told of in that call.
#[test]
fn esc_42_what_was_claimed_for_a_call_that_goes_on_is_not_lost_with_the_order() {
    let mut room = Room::open();
    let first = a_call_in_progress(&mut room);
    room.officer_flags_urgent(first);
    room.rings(LEADER, AT_ONCE);
    room.caller_hangs_up(first);
    let second = room.caller_dials("102");
    room.officer_answers(second);
    room.pass(seconds(1));
    room.keeper_stalls();
    room.officer_flags_urgent(second);
    room.pass(seconds(1));
    assert_eq!(room.attempts(second).len(), 1);
    room.kill_daemon();
    room.pass(millis(300));
    room.start_daemon();
    room.pass(seconds(1));
    let attempts = [first, second].map(|entry| room.attempts(entry));
    assert_eq!(attempts.each_ref().map(Vec::len), [1, 2], "at once");
    assert_eq!(attempts[1][0].result, Some(AttemptResult::Interrupted));
    assert_eq!(attempts[1][1].joined, Some(attempts[0][0].id));
    room.leader_answers();
    assert_eq!(room.heard(LEADER)[0], Prompt::Several);
    room.leader_presses('1');
    hears(&mut room, Prompt::Next);
    room.pass(millis(1100));
    room.leader_presses('1');
    room.pass(seconds(5));
    assert!(room.is_acknowledged(first) && room.is_acknowledged(second));
    room.caller_hangs_up(second);
}

/// Key 3 is for all that he is called for.
#[test]
fn esc_75_of_two_matters_both_are_told_to_the_substitute_at_once() {
    let mut room = Room::open();
    let entries = two_matters(&mut room);
    room.leader_answers();
    assert_eq!(room.heard(LEADER)[0], Prompt::Several);
    room.leader_presses('3');
    room.rings(SUBSTITUTE, seconds(2));
    room.answers_and_listens(SUBSTITUTE);
    assert_eq!(room.heard(SUBSTITUTE)[0], Prompt::Several);
    room.presses(SUBSTITUTE, "1");
    let next = |room: &Room| room.heard(SUBSTITUTE).last() == Some(&Prompt::Next);
    room.until("the next", seconds(20), |room| next(room));
    room.pass(millis(1100));
    room.presses(SUBSTITUTE, "1");
    room.pass(minutes(30));
    for entry in entries {
        assert!(room.is_acknowledged(entry));
        let people: Vec<_> = room.attempts(entry).into_iter().map(|one| one.person).collect();
        assert_eq!(people, ["张局", "李副局"], "he gets nothing more");
    }
    assert_eq!(room.phone(SUBSTITUTE).rings(), 1);
}
