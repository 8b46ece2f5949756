//! What is flagged urgent goes to the duty leader until a human acknowledges, by telephone first.

use crate::room::people::{DESK, DIRECTOR, HEAD, LEADER, LEADER_OFFICE, PBX_HOST, SUBSTITUTE};
use crate::room::{Prompt, Room, millis, minutes, seconds};
use chrono::TimeDelta;
use dutyline::demo::phone::{Manner, State};
use dutyline::duty::ids::EntryId;
use dutyline::duty::journal::{AttemptResult, Urgency};
use dutyline::io::store::AttemptRow;
use std::time::Duration;

/// Flag to the first ring on the leader's phone (I-5 allows five seconds).
const AT_ONCE: Duration = Duration::from_secs(1);

fn a_call_in_progress(room: &mut Room) -> EntryId {
    let entry = room.caller_dials("101");
    room.officer_answers(entry);
    room.pass(seconds(5));
    entry
}

/// The leader acknowledges, and everything comes to its end.
fn the_leader_acknowledges(room: &mut Room) {
    room.leader_answers();
    room.leader_presses('1');
    room.pass(seconds(3));
}

#[test]
fn the_page_flags_an_empty_entry_in_the_middle_of_the_call_and_the_leader_acknowledges() {
    let mut room = Room::open();
    let entry = a_call_in_progress(&mut room);
    room.officer_flags_urgent(entry);
    room.rings(LEADER, AT_ONCE);
    room.pass(seconds(3));
    room.leader_answers();
    room.pass(seconds(1));
    assert!(room.heard(LEADER).contains(&Prompt::Urgent));
    assert!(!room.is_acknowledged(entry));
    room.leader_presses('1');
    room.pass(seconds(3));
    assert!(room.is_acknowledged(entry));
    assert_eq!(room.heard(LEADER).last(), Some(&Prompt::Confirmed));
    assert_eq!(room.state(LEADER), State::OnHook);
    assert_eq!(room.state("101"), State::Talking, "the conversation went on");
    let attempts = room.attempts(entry);
    assert_eq!(attempts.len(), 1);
    assert_eq!(attempts[0].result, Some(AttemptResult::Acknowledged));
    room.caller_hangs_up(entry);
}

#[test]
fn star_nine_on_the_officers_phone_does_the_same() {
    let mut room = Room::open();
    let entry = a_call_in_progress(&mut room);
    room.presses(DESK, "*9");
    room.rings(LEADER, AT_ONCE);
    assert_eq!(room.entry(entry).urgency, Urgency::Urgent);
    the_leader_acknowledges(&mut room);
    assert!(room.is_acknowledged(entry));
    room.caller_hangs_up(entry);
}

#[test]
fn the_caller_cannot_flag_his_own_call() {
    let mut room = Room::open();
    let entry = a_call_in_progress(&mut room);
    room.presses("101", "*9");
    room.pass(seconds(10));
    assert_eq!(room.entry(entry).urgency, Urgency::Routine);
    room.caller_hangs_up(entry);
}

#[test]
fn an_entry_is_flagged_after_the_call_as_well() {
    let mut room = Room::open();
    let entry = a_call_in_progress(&mut room);
    room.caller_hangs_up(entry);
    room.pass(minutes(20));
    room.officer_flags_urgent(entry);
    room.rings(LEADER, AT_ONCE);
    the_leader_acknowledges(&mut room);
    assert!(room.is_acknowledged(entry));
}

#[test]
fn esc_29_flagged_twice_is_one_escalation() {
    let mut room = Room::open();
    let entry = a_call_in_progress(&mut room);
    room.officer_flags_urgent(entry);
    room.presses(DESK, "*9");
    room.officer_flags_urgent(entry);
    room.rings(LEADER, AT_ONCE);
    the_leader_acknowledges(&mut room);
    room.pass(minutes(30));
    assert_eq!(room.attempts(entry).len(), 1);
    room.caller_hangs_up(entry);
}

#[test]
fn the_confirmation_is_spoken_after_the_commit_only() {
    let mut room = Room::open();
    let entry = a_call_in_progress(&mut room);
    room.officer_flags_urgent(entry);
    room.leader_answers();
    room.pass(seconds(1));
    room.log_stalls(seconds(4));
    room.leader_presses('1');
    room.pass(seconds(3));
    assert!(!room.heard(LEADER).contains(&Prompt::Confirmed));
    room.pass(seconds(4));
    assert!(room.is_acknowledged(entry));
    assert!(room.heard(LEADER).contains(&Prompt::Confirmed));
    room.pass(seconds(5));
    room.caller_hangs_up(entry);
}

#[test]
fn a_leader_who_does_not_answer_is_called_again_and_then_the_next_person_for_ever() {
    let mut room = Room::open();
    let entry = a_call_in_progress(&mut room);
    room.caller_hangs_up(entry);
    room.officer_flags_urgent(entry);
    let flagged = room.now().mono;
    room.pass(minutes(30));
    room.expect_rings(&[LEADER, LEADER_OFFICE, SUBSTITUTE, DIRECTOR, HEAD]);
    let attempts = room.attempts(entry);
    let of = |name: &str| attempts.iter().filter(|attempt| attempt.person == name).count();
    assert!(of("张局") >= 15, "the duty leader about once a minute: {}", of("张局"));
    assert!(of("李副局") >= 2 && of("周主任") >= 2);
    let first = |number: &str| room.phone(number).first_ring().expect("it rang").since(flagged);
    assert!(first(LEADER) < AT_ONCE);
    assert!((seconds(178)..seconds(185)).contains(&first(SUBSTITUTE)), "{:?}", first(SUBSTITUTE));
    assert!((seconds(358)..seconds(365)).contains(&first(HEAD)), "{:?}", first(HEAD));
    assert!(!room.is_acknowledged(entry));
    // And it still goes on an hour later, until somebody presses the key.
    room.pass(minutes(60));
    room.expect_rings(&[LEADER, LEADER_OFFICE, SUBSTITUTE, DIRECTOR, HEAD]);
    room.set_manner(LEADER, Manner::Answers { after: seconds(2) });
    room.set_manner(LEADER_OFFICE, Manner::Answers { after: seconds(2) });
    let reached = [LEADER, LEADER_OFFICE];
    room.until("the leader is through", minutes(2), |room| {
        reached.iter().any(|number| room.state(number) == State::Talking)
    });
    room.pass(millis(1500));
    let number = *reached.iter().find(|number| room.state(number) == State::Talking).unwrap();
    room.presses(number, "1");
    room.pass(seconds(5));
    assert!(room.is_acknowledged(entry));
    room.expect_rings(&[LEADER, LEADER_OFFICE, SUBSTITUTE, DIRECTOR, HEAD]);
    room.pass(minutes(30));
}

#[test]
fn a_wrong_key_says_so_and_acknowledges_nothing() {
    let mut room = Room::open();
    let entry = a_call_in_progress(&mut room);
    room.officer_flags_urgent(entry);
    room.leader_answers();
    room.leader_presses('7');
    room.pass(millis(300));
    assert!(!room.is_acknowledged(entry));
    assert!(room.heard(LEADER).contains(&Prompt::WrongKey));
    room.leader_presses('1');
    room.pass(seconds(3));
    assert!(room.is_acknowledged(entry));
    room.caller_hangs_up(entry);
}

#[test]
fn esc_25_hanging_up_without_a_key_is_no_acknowledgement() {
    let mut room = Room::open();
    let entry = a_call_in_progress(&mut room);
    room.officer_flags_urgent(entry);
    room.leader_answers();
    room.pass(seconds(4));
    room.hangs_up(LEADER);
    let down = room.now().mono;
    room.rings(LEADER, seconds(20));
    let again = room.now().mono.since(down);
    assert!((seconds(13)..seconds(17)).contains(&again), "{again:?}");
    assert_eq!(room.attempts(entry)[0].result, Some(AttemptResult::AnsweredNoKey));
    the_leader_acknowledges(&mut room);
    room.caller_hangs_up(entry);
}

#[test]
fn esc_25_hanging_up_right_after_the_key_still_acknowledges() {
    let mut room = Room::open();
    let entry = a_call_in_progress(&mut room);
    room.officer_flags_urgent(entry);
    room.leader_answers();
    room.leader_presses('1');
    room.hangs_up(LEADER);
    room.pass(minutes(10));
    assert!(room.is_acknowledged(entry));
    assert_eq!(room.attempts(entry).len(), 1);
    room.caller_hangs_up(entry);
}

#[test]
fn esc_17_a_busy_leader_is_tried_again_soon() {
    let mut room = Room::open();
    let entry = a_call_in_progress(&mut room);
    room.set_manner(LEADER, Manner::Refuses { after: Duration::ZERO, status: 486 });
    room.officer_flags_urgent(entry);
    room.pass(seconds(5));
    assert_eq!(room.attempts(entry)[0].result, Some(AttemptResult::Busy));
    room.set_manner(LEADER, Manner::Rings);
    room.rings(LEADER, seconds(20));
    the_leader_acknowledges(&mut room);
    room.caller_hangs_up(entry);
}

#[test]
fn esc_19_a_leader_who_declines_is_not_waited_for() {
    let mut room = Room::open();
    let entry = a_call_in_progress(&mut room);
    room.officer_flags_urgent(entry);
    room.refuses(LEADER, 603);
    room.rings(SUBSTITUTE, seconds(3));
    room.answers_and_listens(SUBSTITUTE);
    room.presses(SUBSTITUTE, "1");
    room.pass(seconds(3));
    assert!(room.is_acknowledged(entry));
    // The duty leader commands personally: he is called until he presses the key himself (I-7).
    room.until("the leader is called again", minutes(2), |room| {
        [LEADER, LEADER_OFFICE].iter().any(|number| room.state(number) == State::Ringing)
    });
    let number = [LEADER, LEADER_OFFICE].into_iter().find(|n| room.state(n) == State::Ringing);
    let number = number.unwrap();
    room.answers_and_listens(number);
    room.presses(number, "1");
    room.pass(minutes(10));
    room.expect_rings(&[LEADER, LEADER_OFFICE]);
    let counted = room.attempts(entry).len();
    room.pass(minutes(30));
    assert_eq!(room.attempts(entry).len(), counted, "nobody is called after that");
    room.caller_hangs_up(entry);
}

#[test]
fn the_director_acknowledges_and_the_leader_is_still_redialled() {
    let mut room = Room::open();
    let entry = a_call_in_progress(&mut room);
    room.officer_flags(entry, Urgency::Critical);
    room.set_manner(DIRECTOR, Manner::Answers { after: seconds(3) });
    room.until("the director is through", minutes(5), |room| {
        room.state(DIRECTOR) == State::Talking
    });
    room.pass(millis(1500));
    room.presses(DIRECTOR, "1");
    room.pass(seconds(4));
    assert!(room.is_acknowledged(entry));
    let before = room.phone(LEADER).rings() + room.phone(LEADER_OFFICE).rings();
    room.pass(minutes(5));
    let after = room.phone(LEADER).rings() + room.phone(LEADER_OFFICE).rings();
    assert!(after >= before + 4, "{before} → {after}");
    assert_ne!(room.state(SUBSTITUTE), State::Ringing);
    room.set_manner(LEADER, Manner::Answers { after: seconds(1) });
    room.set_manner(LEADER_OFFICE, Manner::Answers { after: seconds(1) });
    room.until("the leader is through", minutes(3), |room| {
        [LEADER, LEADER_OFFICE].iter().any(|number| room.state(number) == State::Talking)
    });
    room.pass(millis(1500));
    let talks = [LEADER, LEADER_OFFICE].into_iter().find(|n| room.state(n) == State::Talking);
    room.presses(talks.unwrap(), "1");
    room.pass(minutes(10));
    room.expect_rings(&[LEADER, LEADER_OFFICE, SUBSTITUTE, DIRECTOR, HEAD]);
    room.caller_hangs_up(entry);
}

#[test]
fn a_withdrawn_matter_stops_ringing() {
    let mut room = Room::open();
    let entry = a_call_in_progress(&mut room);
    room.officer_flags_urgent(entry);
    room.rings(LEADER, AT_ONCE);
    room.officer_withdraws(entry, "误报，已与来电方核实");
    room.pass(millis(500));
    assert_eq!(room.state(LEADER), State::OnHook);
    room.pass(minutes(30));
    assert_eq!(room.attempts(entry).len(), 1);
    assert_eq!(room.attempts(entry)[0].result, Some(AttemptResult::Cancelled));
    room.caller_hangs_up(entry);
}

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

#[test]
fn esc_42_a_crash_at_any_moment_loses_nothing() {
    crashes_lose_nothing(true);
}

/// Nobody hangs up: the leader's call goes on where it was, and he is not called twice.
#[test]
fn esc_42_a_crash_at_any_moment_is_nothing_to_the_leader() {
    crashes_lose_nothing(false);
}

fn crashes_lose_nothing(all_hang_up: bool) {
    // From before the flag until after the acknowledgement.
    let crashes = std::env::var("DUTYLINE_CRASHES").ok().and_then(|many| many.parse().ok());
    let crashes: u32 = crashes.unwrap_or(70);
    for crash in (0..crashes).map(|step| millis(100) + seconds(14) * step / crashes) {
        let mut room = Room::open();
        let entry = room.caller_dials("101");
        room.officer_answers(entry);
        room.set_manner(LEADER, Manner::Answers { after: seconds(3) });
        room.officer_flags_urgent(entry);
        let flagged = room.now().mono;
        let end = flagged + crash;
        while room.now().mono < end {
            room.leader_presses_when_asked();
            room.pass_until(end, millis(100));
        }
        let knew = room.is_acknowledged(entry);
        let confirmed = room.heard(LEADER).contains(&Prompt::Confirmed);
        assert!(knew || !confirmed, "confirmed but not written down, crash after {crash:?}");
        room.kill_daemon();
        if all_hang_up {
            room.hangs_up_unheard("101");
            room.hangs_up_unheard(DESK);
            room.hangs_up_unheard(LEADER);
        }
        room.pass(seconds(1));
        room.start_daemon();
        // Whoever pressed in vain presses again.
        let leader = room.at(LEADER);
        room.posts[leader].pressed = false;
        // A phone that was refused while it rang is heard of now, and called by its turn again.
        let patience = if all_hang_up { minutes(10) } else { seconds(60) };
        let end = room.now().mono + patience;
        while room.now().mono < end && !room.is_acknowledged(entry) {
            room.leader_presses_when_asked();
            room.pass(millis(200));
        }
        assert!(room.is_acknowledged(entry), "never acknowledged, crash after {crash:?}");
        room.pass(seconds(10));
        if !all_hang_up {
            assert_eq!(room.state("101"), State::Talking, "the call went on");
            assert_eq!(room.attempts(entry).len(), 1, "one call to him, crash after {crash:?}");
            room.caller_hangs_up(entry);
            room.pass(seconds(1));
        }
        assert!(room.entry(entry).ended_at.is_some(), "the call never ended in the log");
        room.expect_rings(&[LEADER, LEADER_OFFICE, SUBSTITUTE, DIRECTOR, HEAD]);
    }
}

#[test]
fn esc_24_the_line_is_lost_in_the_middle_and_comes_back() {
    let mut room = Room::open();
    let entry = a_call_in_progress(&mut room);
    room.caller_hangs_up(entry);
    room.pass(seconds(40));
    room.network.unplug(PBX_HOST);
    room.officer_flags_urgent(entry);
    room.pass(minutes(4));
    assert!(!room.is_acknowledged(entry));
    room.network.plug_in(PBX_HOST);
    room.until("the leader's phone rings", seconds(95), |room| {
        [LEADER, LEADER_OFFICE].iter().any(|number| room.state(number) == State::Ringing)
    });
    room.expect_rings(&[LEADER_OFFICE, SUBSTITUTE, DIRECTOR, HEAD]);
    assert!(!room.alarms().is_empty());
    for number in [LEADER, LEADER_OFFICE] {
        room.set_manner(number, Manner::Answers { after: seconds(1) });
    }
    for _ in 0..900 {
        room.leader_presses_when_asked();
        room.pass(millis(200));
    }
    assert!(room.is_acknowledged(entry));
    room.expect_rings(&[LEADER, LEADER_OFFICE, SUBSTITUTE, DIRECTOR, HEAD]);
    room.alarms();
}

#[test]
fn esc_64_a_clock_that_is_set_changes_no_deadline() {
    for jump in [TimeDelta::hours(1), TimeDelta::hours(-1)] {
        let mut room = Room::open();
        let entry = a_call_in_progress(&mut room);
        room.caller_hangs_up(entry);
        room.officer_flags_urgent(entry);
        let flagged = room.now().mono;
        room.pass(seconds(60));
        room.set_wall_clock(jump);
        room.pass(seconds(118));
        assert_eq!(room.phone(SUBSTITUTE).rings(), 0, "{jump}");
        room.until("the substitute's phone rings", seconds(5), |room| {
            room.phone(SUBSTITUTE).rings() > 0
        });
        let after = room.now().mono.since(flagged);
        assert!((seconds(178)..=seconds(182)).contains(&after), "{jump}: {after:?}");
        room.officer_withdraws(entry, "演练结束");
        room.pass(seconds(2));
        room.expect_rings(&[LEADER, LEADER_OFFICE, SUBSTITUTE]);
    }
}
