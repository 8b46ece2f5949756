//! Calls in which nothing has happened: drills, roll-calls, numbers that are proved; and a matter that is real goes first.

use crate::room::people::{DIRECTOR, HEAD, LEADER, LEADER_OFFICE, SUBSTITUTE};
use crate::room::{Prompt, Room, millis, minutes, seconds};
use dutyline::demo::phone::State;
use dutyline::duty::escalation::{After, ExerciseKind};
use dutyline::duty::ids::EntryId;
use dutyline::duty::journal::{AttemptResult, Fact, Urgency};
use dutyline::duty::roster::Role;
use dutyline::io::metrics::Metrics;
use dutyline::io::store::{EscalationState, ExerciseRow, Try, wait};
use std::time::Duration;

const AT_ONCE: Duration = Duration::from_secs(1);

fn drill(room: &mut Room, urgency: Urgency) -> EntryId {
    let (officer, now) = (room.officer(), room.now());
    let entry = wait(room.store.drill(&officer, urgency, now)).expect("the log is written");
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
    assert!(begun.expect("the log is written"));
    room.order(|daemon, now| daemon.wake_escalator(now));
}

fn roll(room: &Room) -> Vec<ExerciseRow> {
    let mut rows = wait(room.store.roll_calls(1)).expect("the log is read");
    rows.sort_by_key(|row| row.role);
    rows
}

/// A call that is over and is flagged.
fn flagged(room: &mut Room) -> EntryId {
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
    assert!(!again, "each is begun once");
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
}
