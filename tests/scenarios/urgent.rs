//! What is flagged urgent goes to the duty leader until a human acknowledges, by telephone first.

mod crashes;
mod two_matters;

use crate::room::people::{DESK, DIRECTOR, HEAD, LEADER, LEADER_OFFICE, PBX_HOST, SUBSTITUTE};
use crate::room::{Prompt, Room, millis, minutes, seconds};
use chrono::TimeDelta;
use dutyline::demo::phone::{Manner, State};
use dutyline::duty::ids::EntryId;
use dutyline::duty::journal::{AttemptResult, Fact, Urgency};
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

/// He is on the telephone while the next ones are rung.
#[test]
fn esc_37_the_substitute_acknowledges_and_whoever_is_rung_beside_him_is_let_go_in_half_a_second() {
    let mut room = Room::open();
    room.rules(|policy, _| {
        policy.critical.tiers[1..3].iter_mut().for_each(|tier| tier.lasts = seconds(5));
    });
    let entry = a_call_in_progress(&mut room);
    room.caller_hangs_up(entry);
    room.officer_flags(entry, Urgency::Critical);
    room.rings(SUBSTITUTE, seconds(112));
    room.picks_up(SUBSTITUTE);
    room.rings(HEAD, seconds(12));
    assert_eq!(room.state(DIRECTOR), State::Ringing);
    room.presses(SUBSTITUTE, "1");
    room.pass(millis(500));
    assert!(room.is_acknowledged(entry));
    assert_eq!([HEAD, DIRECTOR].map(|number| room.state(number)), [State::OnHook; 2]);
    let rung = [HEAD, DIRECTOR].map(|number| room.phone(number).rings());
    let before = room.phone(LEADER).rings() + room.phone(LEADER_OFFICE).rings();
    room.pass(minutes(5));
    assert_eq!([HEAD, DIRECTOR].map(|number| room.phone(number).rings()), rung);
    let after = room.phone(LEADER).rings() + room.phone(LEADER_OFFICE).rings();
    assert!(after >= before + 4, "I-7: {before} → {after}");
    room.officer_spoke_to_the_leader(entry);
    room.pass(seconds(10));
    room.expect_rings(&[LEADER, LEADER_OFFICE, SUBSTITUTE, DIRECTOR, HEAD]);
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
    let registered =
        |room: &Room| room.facts().filter(|noted| matches!(noted.fact, Fact::LineUp)).count();
    let before = registered(&room);
    room.network.plug_in(PBX_HOST);
    room.until("the line is registered", seconds(95), |room| registered(room) > before);
    room.until("the leader's phone rings", seconds(5), |room| {
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
