//! A room with two duty numbers: its own and 举报专线, each with its extension, its phones and its queue.

use crate::room::people::{DESK, LEADER, LEADER_OFFICE, PASSWORD, SPARE, TIPS};
use crate::room::{Room, minutes, seconds};
use crate::slips::send;
use chrono::TimeDelta;
use dutyline::demo::pbx::{Algorithm, Event};
use dutyline::demo::phone::Event::Rings;
use dutyline::demo::phone::State;
use dutyline::duty::gaps::Verdict;
use dutyline::duty::ids::EntryId;
use dutyline::duty::journal::{Disposition, Fact};
use dutyline::duty::line_plan::{Answering, Begins, DutyNumber, QueuePlan, Ring};
use dutyline::duty::roster::Role;
use dutyline::io::store::{OutageKind, RecordingState};
use dutyline::protocol::sip::Aor;
use dutyline::protocol::sip::slip::{Reply, Says};

const NUMBER: &str = "63005678";

/// The desk's phone rings for the room's own number, the spare one for 举报专线. Callers wait for either.
fn a_room_with_two_numbers(password: &str) -> Room {
    let mut room = Room::before_the_start(0, Algorithm::Sha256);
    let queue = Some(QueuePlan { places: 5, longest: minutes(5) });
    room.plan.answering.queue = queue;
    let answering = Answering { queue, ..room.plan.answering.clone() };
    room.plan.rings = Some(vec![0]);
    room.plan.account.others = vec![Aor {
        user: TIPS.to_owned(),
        number: NUMBER.to_owned(),
        auth_user: TIPS.to_owned(),
        password: password.to_owned(),
    }];
    let rings = vec![Ring { place: 1, begins: Begins::InTurn }];
    let (number, name) = (NUMBER.to_owned(), "举报专线".to_owned());
    room.plan.numbers = vec![DutyNumber { number, name, rings, answering }];
    room.start_daemon();
    room.pass(seconds(2));
    room
}

fn called(room: &Room, entry: EntryId) -> String {
    room.view(entry).row.call.expect("its call").called
}

fn answered_by(room: &Room, entry: EntryId) -> Option<String> {
    room.entry(entry).answered_by
}

#[test]
fn sig_01_each_number_is_registered_and_rings_its_own_phones() {
    let mut room = a_room_with_two_numbers(PASSWORD);
    assert!(room.pbx.is_registered(TIPS, room.now()));
    let tip = room.caller_dials_number("101", TIPS);
    room.picks_up(SPARE);
    room.are_connected(tip);
    assert_eq!(room.phone(DESK).rings(), 0, "the desk's phone is another number's");
    assert_eq!(called(&room, tip), "举报专线");
    let displays = room.phone(SPARE).story.iter().filter_map(|(_, event)| match event {
        Rings { from } => Some(from.display.as_str()),
        _ => None,
    });
    assert_eq!(displays.collect::<Vec<_>>(), ["举报专线 101"], "which number was called");

    let ordinary = room.caller_dials("102");
    room.officer_answers(ordinary);
    for (caller, said) in [("101", 1), ("102", 2)] {
        room.says(caller, &[said; 8_000]);
    }
    room.pass(seconds(2));
    assert_eq!(called(&room, ordinary), "", "the room's own");
    assert_eq!(answered_by(&room, ordinary).as_deref(), Some("值班台话机"));
    assert_eq!(answered_by(&room, tip).as_deref(), Some("备用话机"));
    room.caller_hangs_up(tip);
    room.caller_hangs_up(ordinary);
    room.pass(seconds(5));
    for entry in [tip, ordinary] {
        assert_eq!(room.entry(entry).disposition, Some(Disposition::Answered));
        assert_eq!(room.entry(entry).recording, Some(RecordingState::Sealed));
    }
}

#[test]
fn sig_11_who_waits_for_one_number_keeps_nobody_of_the_other_waiting() {
    let mut room = a_room_with_two_numbers(PASSWORD);
    let first = room.caller_dials("101");
    room.officer_answers(first);
    let waits = room.caller_dials("102");
    room.pass(seconds(2));
    assert_eq!(room.state("102"), State::Talking, "he hears that he has to wait");
    let tip = room.caller_dials_number("103", TIPS);
    room.picks_up(SPARE);
    room.are_connected(tip);
    room.caller_hangs_up(first);
    room.officer_answers(waits);
    room.pass(seconds(1));
    assert_eq!(answered_by(&room, waits).as_deref(), Some("值班台话机"));
    room.caller_hangs_up(waits);
    room.caller_hangs_up(tip);
}

#[test]
fn sig_03_a_number_that_is_refused_is_told_and_dated_and_the_others_go_on() {
    let mut room = a_room_with_two_numbers(PASSWORD);
    let before = room.now().wall;
    room.pass(minutes(5));
    room.pbx.set_password(TIPS, "another");
    room.until("the number is down", minutes(2), |room| {
        room.facts().any(|noted| matches!(&noted.fact, Fact::NumberDown { number, status: 401, .. } if number == NUMBER))
    });
    room.pass(seconds(2));
    assert_eq!(room.alarms(), [""; 0], "the line's own number is up");
    let ordinary = room.caller_dials("101");
    room.officer_answers(ordinary);
    room.caller_hangs_up(ordinary);
    let rows = room.outage_rows();
    let [row] = &rows[..] else { panic!("{rows:?}") };
    assert_eq!((row.kind, row.number.as_deref(), row.to), (OutageKind::Line, Some(NUMBER), None));
    let verdict = room.verdict(row.from, room.now().wall);
    assert!(matches!(verdict, Verdict::Doubt { .. }), "{verdict:?}");
    assert_eq!(room.verdict(before, row.from - TimeDelta::seconds(1)), Verdict::Quiet);
    room.pbx.set_password(TIPS, PASSWORD);
    room.until("the number is back", minutes(2), |room| {
        room.facts().any(|noted| {
            matches!(&noted.fact, Fact::NumberUp { number } if number == NUMBER)
                && noted.at.wall > before
        }) && room.outage_rows()[0].to.is_some()
    });
    let tip = room.caller_dials_number("102", TIPS);
    room.picks_up(SPARE);
    room.caller_hangs_up(tip);
}

/// Its binding outlives its password: who still comes by it reaches the phones.
#[test]
fn sig_09_callers_of_a_number_that_is_refused_meanwhile_reach_its_phones_by_one_that_is_up() {
    let mut room = a_room_with_two_numbers(PASSWORD);
    room.pbx.set_password(TIPS, "another");
    room.until("the number is down", minutes(2), |room| {
        room.facts().any(|noted| matches!(noted.fact, Fact::NumberDown { status: 401, .. }))
    });
    assert!(room.pbx.is_registered(TIPS, room.now()), "for a moment more");
    let tip = room.caller_dials_number("101", TIPS);
    room.picks_up(SPARE);
    room.are_connected(tip);
    assert_eq!(called(&room, tip), "举报专线");
    room.caller_hangs_up(tip);
    room.leave_as_it_is();
}

#[test]
fn esc_21_while_the_own_number_is_refused_the_leader_is_called_by_another() {
    let mut room = a_room_with_two_numbers(PASSWORD);
    room.pbx.set_password(crate::room::people::LINE, "another");
    room.until("the own number is down", minutes(2), |room| {
        room.facts().any(|noted| matches!(noted.fact, Fact::LineDown { status: 401, .. }))
    });
    let tip = room.caller_dials_number("101", TIPS);
    room.picks_up(SPARE);
    room.are_connected(tip);
    room.officer_flags_urgent(tip);
    room.rings(LEADER, seconds(2));
    room.leader_answers();
    room.leader_presses('1');
    room.until("he has confirmed", seconds(2), |room| room.is_acknowledged(tip));
    let refused = Event::Refused { user: TIPS.to_owned() };
    assert!(room.pbx_story.iter().all(|(_, event)| *event != refused));
    assert_eq!(room.attempts(tip)[0].role, Role::Leader);
    room.leave_as_it_is();
}

#[test]
fn esc_21_while_the_own_number_is_refused_texts_go_out_by_another() {
    let mut room = a_room_with_two_numbers(PASSWORD);
    room.pbx.set_password(crate::room::people::LINE, "another");
    room.until("the own number is down", minutes(2), |room| {
        room.facts().any(|noted| matches!(noted.fact, Fact::LineDown { status: 401, .. }))
    });
    let office = room.at(LEADER_OFFICE);
    room.posts[office].phone.shows_texts(200);
    let (text, lasts) = ("急".to_owned(), seconds(600));
    assert_eq!(send(&mut room, LEADER_OFFICE, Says::Text { text, lasts }), Reply::Status(200));
    room.leave_as_it_is();
}
