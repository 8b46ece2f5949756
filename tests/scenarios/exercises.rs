//! Calls in which nothing has happened: drills, roll-calls, numbers that are proved; and a matter that is real goes first.

use crate::room::people::{DIRECTOR, HEAD, LEADER, LEADER_OFFICE, SUBSTITUTE};
use crate::room::{Prompt, Room, millis, minutes, seconds};
use dutyline::demo::phone::State;
use dutyline::duty::escalation::{After, ExerciseKind};
use dutyline::duty::ids::EntryId;
use dutyline::duty::journal::{AttemptResult, Fact, Urgency};
use dutyline::duty::roster::Role;
use dutyline::io::metrics::Metrics;
use dutyline::io::store::{Called, EscalationState, ExerciseRow, GAVE_WAY, Try, wait};
use std::time::Duration;

const AT_ONCE: Duration = Duration::from_secs(1);

fn drill(room: &mut Room, urgency: Urgency) -> EntryId {
    let (officer, now) = (room.officer(), room.now());
    let entry = wait(room.store.drill(&officer, urgency, now)).expect("the log is written");
    let entry = entry.expect("none is going on");
    room.order(|daemon, now| daemon.wake_escalator(now));
    entry
}

fn calls_the_roll(room: &mut Room, people: &[(&str, Role)]) {
    let (officer, now) = (room.officer(), room.now());
    let wanted = |(person, role): &(&str, Role)| Try {
        person: (*person).to_owned(),
        role: *role,
        number: String::new(),
    };
    let people = people.iter().map(wanted).collect();
    let begun = wait(room.store.roll_call(Some(&officer), "now", people, now));
    assert_eq!(begun.expect("the log is written"), Called::Begun);
    room.order(|daemon, now| daemon.wake_escalator(now));
}

/// What `dutyline verify` asks of it.
fn is_as_its_revisions_say(room: &Room, entry: EntryId) {
    wait(room.store.verify_entry(entry)).expect("nothing was changed behind our back");
}

fn roll(room: &Room) -> Vec<ExerciseRow> {
    let mut rows = wait(room.store.roll_calls(1)).expect("the log is read");
    rows.sort_by_key(|row| row.role);
    rows
}

/// A call that is over and is flagged.
pub fn flagged(room: &mut Room) -> EntryId {
    let entry = room.caller_dials("101");
    room.officer_answers(entry);
    room.pass(seconds(5));
    room.caller_hangs_up(entry);
    room.pass(seconds(1));
    room.officer_flags_urgent(entry);
    entry
}

/// Calls to leaders that count, by Prometheus.
fn counted(room: &Room) -> u64 {
    let metrics = Metrics::default();
    room.facts().for_each(|noted| metrics.take(noted));
    metrics.attempts()
}

#[test]
fn esc_83_a_drill_goes_the_whole_road_says_so_with_every_sentence_and_needs_a_key() {
    let mut room = Room::open();
    room.rules(|policy, _| policy.after = Some(After::default()));
    let entry = drill(&mut room, Urgency::Critical);
    room.rings(LEADER, AT_ONCE);
    let waiting = wait(room.store.escalations_waiting()).expect("the log is read");
    assert_eq!(waiting.open, 0, "nobody waits for it");
    assert_eq!(wait(room.store.open_escalations()).unwrap().len(), 1, "it is in sight");
    room.leader_answers();
    assert_eq!(room.heard(LEADER), [Prompt::DrillUrgent]);
    room.pass(seconds(10));
    room.leader_presses('7');
    room.pass(millis(1200));
    let heard = room.heard(LEADER);
    assert_eq!(heard[1..3], [Prompt::Drill, Prompt::WrongKey], "{heard:?}");
    assert!(!room.is_acknowledged(entry), "a wrong key is none");
    room.leader_presses('1');
    room.pass(millis(1200));
    let heard = room.heard(LEADER);
    assert!(heard.ends_with(&[Prompt::Drill, Prompt::Confirmed]), "{heard:?}");
    assert!(room.is_acknowledged(entry));
    room.pass(minutes(40));
    assert_eq!(room.attempts(entry).len(), 1, "nothing follows on it");
    let view = room.view(entry);
    assert_eq!(view.row.exercise, Some(ExerciseKind::Drill));
    assert_eq!(view.escalations[0].row.exercise, Some(ExerciseKind::Drill));
    let result = view.form.get(dutyline::duty::entry::Field::Result);
    assert!(result.contains("张局 按键确认"), "{result}");
    assert_eq!(counted(&room), 0, "it is in no statistics");
    assert_eq!(room.facts().filter(|n| matches!(n.fact, Fact::Exercise { .. })).count(), 1);
    is_as_its_revisions_say(&room, entry);
}

#[test]
fn key_3_in_a_drill_calls_the_next_and_makes_nobody_stand_in() {
    let mut room = Room::open();
    let entry = drill(&mut room, Urgency::Critical);
    room.rings(LEADER, AT_ONCE);
    room.leader_answers();
    room.leader_presses('3');
    room.rings(SUBSTITUTE, seconds(20));
    let now = room.now();
    let (_, substitutions) = wait(room.store.duties(now)).expect("the log is read");
    assert_eq!(substitutions, [], "the real list is as it was");
    room.answers_and_listens(SUBSTITUTE);
    room.presses(SUBSTITUTE, "1");
    room.pass(seconds(30));
    assert!(room.is_acknowledged(entry));
    let real = flagged(&mut room);
    room.until("the duty leader himself is called", seconds(5), |room| {
        room.attempts(real).first().is_some_and(|one| one.target == LEADER)
    });
    room.rings(LEADER, AT_ONCE);
    room.leader_answers();
    room.leader_presses('1');
    room.pass(seconds(30));
}

#[test]
fn a_real_matter_takes_the_telephone_from_him_who_has_pressed_the_key_of_a_drill() {
    let mut room = Room::open();
    let practice = drill(&mut room, Urgency::Critical);
    room.rings(LEADER, AT_ONCE);
    room.leader_answers();
    room.leader_presses('1');
    room.presses(LEADER, "9");
    room.until("he may speak", seconds(5), |room| room.heard(LEADER).last() == Some(&Prompt::Beep));
    assert!(room.is_acknowledged(practice));
    let entry = flagged(&mut room);
    room.until("he is called for what is real", seconds(8), |room| {
        room.attempts(entry).len() == 1 && room.state(LEADER) == State::Ringing
    });
    room.rings(LEADER, AT_ONCE);
    room.leader_answers();
    assert_eq!(room.heard(LEADER), [Prompt::Urgent]);
    room.leader_presses('1');
    room.pass(seconds(30));
    assert!(room.is_acknowledged(entry));
}

#[test]
fn a_drill_is_over_when_a_real_matter_begins_and_does_not_come_back() {
    let mut room = Room::open();
    let practice = drill(&mut room, Urgency::Critical);
    room.rings(LEADER, AT_ONCE);
    let (officer, now) = (room.officer(), room.now());
    let again = wait(room.store.drill(&officer, Urgency::Urgent, now)).expect("the log is written");
    assert_eq!(again, None, "one at a time");
    let entry = flagged(&mut room);
    room.until("the leader is called for what is real", seconds(5), |room| {
        room.attempts(entry).len() == 1 && room.state(LEADER) == State::Ringing
    });
    room.rings(LEADER, AT_ONCE);
    room.leader_answers();
    assert_eq!(room.heard(LEADER), [Prompt::Urgent]);
    room.leader_presses('1');
    room.pass(minutes(12));
    let row = room.view(practice).escalations[0].row.clone();
    assert_eq!((row.state, row.reason.as_str()), (EscalationState::Withdrawn, GAVE_WAY));
    assert_eq!(room.attempts(practice).len(), 1, "nobody else is called for it");
    is_as_its_revisions_say(&room, practice);
}

#[test]
fn a_roll_call_waits_until_the_duty_leader_himself_knows_of_what_is_real() {
    let mut room = Room::open();
    let entry = flagged(&mut room);
    room.rings(LEADER, AT_ONCE);
    room.refuses(LEADER, 603);
    room.rings(SUBSTITUTE, minutes(2));
    room.answers_and_listens(SUBSTITUTE);
    room.presses(SUBSTITUTE, "1");
    room.pass(seconds(4));
    assert!(room.is_acknowledged(entry));
    calls_the_roll(&mut room, &[("李副局", Role::Substitute), ("张局", Role::Leader)]);
    room.pass(seconds(10));
    assert!(roll(&room).iter().all(|row| room.attempts(row.entry).is_empty()), "it waits");
    room.until("the leader is called again", minutes(3), |room| {
        room.state(LEADER) == State::Ringing || room.state(LEADER_OFFICE) == State::Ringing
    });
    assert!(roll(&room).iter().all(|row| room.attempts(row.entry).is_empty()), "it waits");
    room.expect_rings(&[LEADER, LEADER_OFFICE, SUBSTITUTE]);
    room.officer_spoke_to_the_leader(entry);
    room.rings(SUBSTITUTE, minutes(2));
    room.answers_and_listens(SUBSTITUTE);
    assert_eq!(room.heard(SUBSTITUTE), [Prompt::RollCall]);
    room.presses(SUBSTITUTE, "1");
    room.pass(minutes(5));
    room.expect_rings(&[LEADER, LEADER_OFFICE]);
}

#[test]
fn a_roll_call_that_a_real_matter_keeps_waiting_for_half_an_hour_wakes_nobody_afterwards() {
    let mut room = Room::open();
    let entry = flagged(&mut room);
    room.rings(LEADER, AT_ONCE);
    calls_the_roll(&mut room, &[("李副局", Role::Substitute), ("张局", Role::Leader)]);
    room.pass(minutes(29));
    assert!(roll(&room).iter().all(|row| !row.over), "it waits");
    room.pass(minutes(2));
    room.expect_rings(&[LEADER, LEADER_OFFICE, SUBSTITUTE, DIRECTOR, HEAD]);
    let rows = roll(&room);
    assert!(rows.iter().all(|row| row.over && row.reason == GAVE_WAY), "{rows:?}");
    assert!(rows.iter().all(|row| room.attempts(row.entry).is_empty()));
    assert!(!room.is_acknowledged(entry));
    let (officer, now) = (room.officer(), room.now());
    let wanted = Try { person: "不在册".into(), role: Role::Leader, number: String::new() };
    let next = wait(room.store.roll_call(Some(&officer), "next", vec![wanted], now));
    assert_eq!(next.expect("the log is written"), Called::Begun, "the next shift has its own");
    rows.iter().for_each(|row| is_as_its_revisions_say(&room, row.entry));
    room.rings(LEADER, minutes(3));
    room.leader_answers();
    room.leader_presses('1');
    room.pass(minutes(2));
    assert!(room.is_acknowledged(entry));
    room.expect_rings(&[LEADER, LEADER_OFFICE, SUBSTITUTE, DIRECTOR, HEAD]);
}

#[test]
fn a_leader_with_two_busy_numbers_is_given_time_between_two_calls_to_one() {
    let mut room = Room::open();
    calls_the_roll(&mut room, &[("张局", Role::Leader)]);
    room.refuses(LEADER, 486);
    room.refuses(LEADER_OFFICE, 486);
    room.pass(seconds(10));
    let entry = roll(&room)[0].entry;
    assert_eq!(room.attempts(entry).len(), 2, "each once");
    assert!(!roll(&room)[0].over);
    room.rings(LEADER, seconds(15));
    room.refuses(LEADER, 486);
    room.rings(LEADER_OFFICE, seconds(15));
    room.refuses(LEADER_OFFICE, 486);
    room.pass(seconds(40));
    assert_eq!(room.attempts(entry).len(), 4);
    assert_eq!(roll(&room)[0].reason, "未应答");
}

#[test]
fn esc_83_a_drill_that_nobody_answers_tries_everybody_once_and_sounds_no_siren() {
    let mut room = Room::open();
    let entry = drill(&mut room, Urgency::Critical);
    room.pass(minutes(20));
    room.expect_rings(&[LEADER, LEADER_OFFICE, SUBSTITUTE, DIRECTOR, HEAD]);
    let called: Vec<String> = room.attempts(entry).into_iter().map(|one| one.target).collect();
    for number in [LEADER, LEADER_OFFICE, SUBSTITUTE, DIRECTOR, HEAD] {
        assert!(called.iter().any(|one| one == number), "{number}: {called:?}");
    }
    let row = room.view(entry).escalations[0].row.clone();
    assert_eq!((row.state, row.round), (EscalationState::Withdrawn, 0));
    assert_eq!((row.siren, row.reason.as_str()), (None, "未应答"));
}

#[test]
fn a_roll_call_has_a_row_for_everybody_with_who_answered_when_and_who_did_not() {
    let mut room = Room::open();
    let began = room.now().wall;
    calls_the_roll(&mut room, &[("张局", Role::Leader), ("李副局", Role::Substitute)]);
    room.rings(SUBSTITUTE, AT_ONCE);
    room.leader_answers();
    assert_eq!(room.heard(LEADER), [Prompt::RollCall]);
    room.leader_presses('3');
    room.pass(millis(700));
    assert!(room.heard(LEADER).contains(&Prompt::WrongKey), "nothing is handed on");
    room.leader_presses('1');
    room.pass(millis(700));
    assert_eq!(room.heard(LEADER).last(), Some(&Prompt::Taken));
    room.pass(minutes(10));
    room.expect_rings(&[SUBSTITUTE]);
    let rows = roll(&room);
    assert_eq!(rows.len(), 2);
    let (at, by) = rows[0].reached.clone().expect("he answered");
    assert_eq!(by, "张局");
    assert!((at - began).num_seconds() < 12, "{at}");
    assert!(rows[1].reached.is_none() && rows[1].over);
    assert_eq!(rows[1].last, Some(AttemptResult::NoAnswer));
    assert_eq!(room.attempts(rows[1].entry).len(), 2, "twice at his only number");
    assert_eq!(room.attempts(rows[0].entry).len(), 1);
    let verified = |person: &str, number: &str| {
        wait(room.store.number_verified(person, number)).expect("the log is read")
    };
    assert_eq!(verified("张局", LEADER), Some(at), "a key proves the number");
    assert_eq!(verified("张局", LEADER_OFFICE), None);
    assert_eq!(verified("李副局", SUBSTITUTE), None, "ringing proves nothing");
    let again = wait(room.store.roll_call(None, "now", vec![], room.now())).unwrap();
    assert_eq!(again, Called::Already, "each is begun once");
    rows.iter().for_each(|row| is_as_its_revisions_say(&room, row.entry));
}

#[test]
fn a_real_matter_takes_the_telephone_from_a_roll_call_which_goes_on_afterwards() {
    let mut room = Room::open();
    calls_the_roll(&mut room, &[("李副局", Role::Substitute), ("张局", Role::Leader)]);
    room.rings(LEADER, AT_ONCE);
    room.rings(SUBSTITUTE, AT_ONCE);
    let entry = flagged(&mut room);
    let flagged_at = room.now().mono;
    room.until("the leader is called for what is real", seconds(5), |room| {
        room.attempts(entry).len() == 1 && room.state(LEADER) == State::Ringing
    });
    let after = room.now().mono.since(flagged_at);
    assert!(after <= seconds(4), "{after:?}");
    assert_eq!(room.state(SUBSTITUTE), State::OnHook, "the roll-call waits");
    room.rings(LEADER, AT_ONCE);
    room.leader_answers();
    assert_eq!(room.heard(LEADER), [Prompt::Urgent]);
    room.leader_presses('1');
    room.pass(seconds(3));
    room.rings(SUBSTITUTE, seconds(30));
    room.answers_and_listens(SUBSTITUTE);
    assert_eq!(room.heard(SUBSTITUTE), [Prompt::RollCall]);
    room.presses(SUBSTITUTE, "1");
    room.rings(LEADER, seconds(30));
    room.leader_answers();
    room.leader_presses('1');
    room.pass(minutes(2));
    assert!(roll(&room).iter().all(|row| row.reached.is_some()));
    assert_eq!(counted(&room), 1, "the real one");
}

#[test]
fn a_number_is_proved_by_a_key_in_a_call_to_it_and_by_nothing_else() {
    let mut room = Room::open();
    let (officer, now) = (room.officer(), room.now());
    let wanted =
        || Try {
            person: "张局".to_owned(), role: Role::Leader, number: LEADER_OFFICE.to_owned()
        };
    let entry = wait(room.store.check_number(&officer, wanted(), now)).unwrap().expect("begun");
    assert_eq!(wait(room.store.check_number(&officer, wanted(), now)).unwrap(), None, "once");
    room.order(|daemon, now| daemon.wake_escalator(now));
    room.answers_and_listens(LEADER_OFFICE);
    assert_eq!(room.heard(LEADER_OFFICE), [Prompt::CheckNumber]);
    room.hangs_up(LEADER_OFFICE);
    let verified = |room: &Room| wait(room.store.number_verified("张局", LEADER_OFFICE)).unwrap();
    assert_eq!(verified(&room), None, "answering proves nothing");
    room.rings(LEADER_OFFICE, seconds(25));
    room.answers_and_listens(LEADER_OFFICE);
    room.presses(LEADER_OFFICE, "1");
    room.pass(seconds(3));
    assert!(verified(&room).is_some());
    assert_eq!(room.attempts(entry).len(), 2);
    assert_eq!(room.state(LEADER), State::OnHook, "only that number");
    room.pass(minutes(5));
    assert_eq!(room.attempts(entry).len(), 2);
    is_as_its_revisions_say(&room, entry);
}

#[test]
fn a_line_that_fails_is_no_leader_who_does_not_answer() {
    let mut room = Room::open();
    calls_the_roll(&mut room, &[("李副局", Role::Substitute)]);
    for _ in 0..4 {
        room.rings(SUBSTITUTE, seconds(25));
        room.refuses(SUBSTITUTE, 503);
    }
    room.pass(seconds(1));
    assert!(!roll(&room)[0].over, "the line has failed him, not he us");
    room.rings(SUBSTITUTE, seconds(25));
    room.answers_and_listens(SUBSTITUTE);
    room.presses(SUBSTITUTE, "1");
    room.pass(seconds(30));
    assert!(roll(&room)[0].reached.is_some());

    let (officer, now) = (room.officer(), room.now());
    let wanted = Try { person: "张局".to_owned(), role: Role::Leader, number: LEADER.to_owned() };
    let entry = wait(room.store.check_number(&officer, wanted, now)).unwrap().expect("begun");
    room.order(|daemon, now| daemon.wake_escalator(now));
    for _ in 0..10 {
        room.rings(LEADER, seconds(25));
        room.refuses(LEADER, 503);
    }
    room.pass(minutes(2));
    assert_eq!(room.attempts(entry).len(), 10, "it is given up in the end");
    assert_eq!(room.view(entry).escalations[0].row.reason, "线路故障");
}
