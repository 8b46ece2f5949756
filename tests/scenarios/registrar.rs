//! Phones that register with the daemon itself, and call out over the duty line.

use crate::room::people::{DESK, DIRECTOR, PASSWORD};
use crate::room::{Post, Room, millis, minutes, seconds};
use dutyline::demo::pbx;
use dutyline::demo::phone::{Event, Manner, State, sound};
use dutyline::duty::ids::CallId;
use dutyline::duty::journal::{Disposition, Fact, Joining};
use dutyline::duty::line_plan::{Begins, Phone as OfficersPhone};
use dutyline::duty::placed::Refusal;
use dutyline::io::store::{EntryRow, RecordingState};
use dutyline::protocol::rtp::Party;
use dutyline::protocol::sip::digest::Algorithm;
use dutyline::protocol::sip::phones::{Network, Phone, Plan};
use std::time::Duration;

const OURS: &str = "801";
const MOBILE: &str = "13900000003";

fn speech(seed: u8) -> Vec<u8> {
    (0..8000).map(|n| (n as u8).wrapping_mul(31).wrapping_add(seed) & 0x7f).collect()
}

fn evening_with(algorithms: &[Algorithm], password: &str) -> Room {
    let mut room = Room::before_the_start(0, pbx::Algorithm::Sha256);
    room.plan.callers.numbering.outside_prefixes = vec!["9".to_owned()];
    room.plan.dial.allow = vec!["1xxxxxxxxxx".to_owned()];
    room.plan.registrar = Some(Plan {
        realm: "dutyline".to_owned(),
        networks: vec![Network { ip: [10, 1, 2, 0].into(), bits: 24 }],
        algorithms: algorithms.to_vec(),
        phones: vec![Phone {
            name: "移动值班话机".to_owned(),
            user: OURS.to_owned(),
            password: password.to_owned(),
        }],
    });
    room.start_daemon();
    let random = room.fork_random();
    room.posts.push(Post::at_the_daemon(OURS, 1, random));
    let at = room.at(OURS);
    room.act(at, |post, now| post.phone.register(now));
    room.pass(seconds(1));
    room
}

fn evening() -> Room {
    evening_with(&[Algorithm::Sha256, Algorithm::Md5], PASSWORD)
}

fn dials(room: &mut Room, number: &str) {
    let at = room.at(OURS);
    room.act(at, |post, now| post.phone.dial(number, now));
}

/// It gives its registration back, so that nothing is under way any more.
fn leaves(room: &mut Room) {
    let at = room.at(OURS);
    room.act(at, |post, now| post.phone.unregister(now));
    room.pass(seconds(1));
}

fn only_row(room: &Room) -> EntryRow {
    let rows = room.all_rows();
    assert_eq!(rows.len(), 1);
    rows[0].clone()
}

fn talking(room: &mut Room) -> CallId {
    dials(room, MOBILE);
    room.picks_up(DIRECTOR);
    room.until("the two are connected", seconds(2), |room| {
        [OURS, DIRECTOR].map(|number| room.state(number)) == [State::Talking; 2]
    });
    room.pass(millis(50));
    only_row(room).call.expect("a call").id
}

#[test]
fn sig_24_a_phone_of_ours_dials_and_the_call_is_an_entry_with_its_recording() {
    for (algorithms, hangs_up) in
        [(&[Algorithm::Sha256, Algorithm::Md5][..], OURS), (&[Algorithm::Md5], DIRECTOR)]
    {
        let mut room = evening_with(algorithms, PASSWORD);
        assert_eq!(room.phone(OURS).last(), Some(&Event::Registered));
        dials(&mut room, MOBILE);
        room.rings(DIRECTOR, seconds(2));
        let row = only_row(&room);
        assert_eq!(row.call.as_ref().map(|call| call.placed), Some(true));
        room.pass(millis(100));
        assert_eq!(room.phone(OURS).last(), Some(&Event::RingsThere));
        room.picks_up(DIRECTOR);
        room.pass(millis(500));
        room.says(OURS, &speech(1));
        room.says(DIRECTOR, &speech(2));
        room.pass(millis(50));
        assert!(sound(room.phone(DIRECTOR).phone.heard(), 8) == speech(1), "every sample");
        assert!(sound(room.phone(OURS).phone.heard(), 8) == speech(2), "every sample");
        room.hangs_up(hangs_up);
        room.pass(seconds(1));
        assert_eq!([OURS, DIRECTOR].map(|number| room.state(number)), [State::OnHook; 2]);
        let by = if hangs_up == OURS { Party::Officer } else { Party::Caller };
        assert_eq!(room.ending(row.id), Some((Some(by), 200)));
        let view = room.view(row.id);
        let call = view.row.call.expect("a call");
        assert_eq!((call.caller.as_str(), call.asked_by.as_str()), (MOBILE, "移动值班话机"));
        assert_eq!(call.disposition, Some(Disposition::Answered));
        assert_eq!(view.recording.map(|one| one.state), Some(RecordingState::Sealed));
        let legs: Vec<_> =
            view.legs.iter().map(|leg| (leg.phone.as_str(), leg.how, leg.status)).collect();
        let both = [("移动值班话机", Joining::Rung, Some(200)), (MOBILE, Joining::Out, Some(200))];
        assert_eq!(legs, both);
        let daemon = room.daemon.as_ref().unwrap();
        for party in [Party::Officer, Party::Caller] {
            assert!(daemon.taped(call.id, party) >= 50, "{party:?} is on the tape");
        }
        leaves(&mut room);
    }
}

#[test]
fn sig_24_what_the_number_answers_is_what_the_phone_is_told() {
    for (status, how) in
        [(486, Disposition::BusyMissed), (603, Disposition::Declined), (503, Disposition::Failed)]
    {
        let mut room = evening();
        room.set_manner(DIRECTOR, Manner::Refuses { after: Duration::ZERO, status });
        dials(&mut room, MOBILE);
        room.pass(seconds(1));
        assert_eq!(room.phone(OURS).last(), Some(&Event::Refused { status }));
        let call = only_row(&room).call.expect("a call");
        assert_eq!((call.disposition, call.status), (Some(how), Some(status)));
        leaves(&mut room);
    }
}

#[test]
fn sig_24_the_phone_gives_up_and_the_number_stops_ringing() {
    let mut room = evening();
    dials(&mut room, MOBILE);
    room.rings(DIRECTOR, seconds(2));
    room.hangs_up(OURS);
    room.pass(seconds(1));
    assert_eq!(room.phone(DIRECTOR).last(), Some(&Event::Stopped));
    let call = only_row(&room).call.expect("a call");
    assert_eq!(call.disposition, Some(Disposition::Abandoned));
    leaves(&mut room);
}

#[test]
fn sig_24_a_phone_of_ours_calls_nobody_whom_the_site_does_not_name() {
    let mut room = evening();
    for (number, status, why) in [
        ("0044123456789", 403, Refusal::NotNamed),
        ("801", 482, Refusal::Ourselves),
        ("100", 482, Refusal::Ourselves),
    ] {
        dials(&mut room, number);
        room.pass(seconds(1));
        assert_eq!(room.phone(OURS).last(), Some(&Event::Refused { status }), "{number}");
        let told = |noted: &dutyline::duty::journal::Noted| {
            matches!(&noted.fact, Fact::NotPlaced { number: of, why: told, .. }
                if of == number && *told == why)
        };
        assert!(room.facts().any(told), "{number}");
    }
    assert!(room.all_rows().is_empty());
    leaves(&mut room);
}

/// A phone of the ring plan that has registered with us is rung where it is, not by the PBX.
#[test]
fn sig_24_a_phone_of_ours_is_rung_for_callers_and_for_its_officers_own_calls() {
    let mut room = evening();
    room.plan.phones = vec![OfficersPhone {
        name: "移动值班话机".to_owned(),
        target: OURS.to_owned(),
        ring: seconds(20),
        begins: Begins::InTurn,
        srtp: None,
    }];
    room.kill_daemon();
    room.start_daemon();
    room.pass(minutes(1));
    let entry = room.caller_dials("101");
    room.picks_up(OURS);
    room.are_connected(entry);
    room.says("101", &speech(1));
    room.says(OURS, &speech(2));
    room.pass(millis(50));
    assert!(sound(room.phone(OURS).phone.heard(), 8) == speech(1), "every sample");
    assert!(sound(room.phone("101").phone.heard(), 8) == speech(2), "every sample");
    room.kill_daemon();
    room.pass(millis(300));
    room.start_daemon();
    room.hangs_up(OURS);
    room.pass(seconds(1));
    assert_eq!(room.ending(entry), Some((Some(Party::Officer), 200)));
    assert_eq!(room.entry(entry).legs, [("移动值班话机".to_owned(), Some(200))]);
    room.pass(minutes(1));

    let entry = room.caller_dials("102");
    room.rings(OURS, seconds(2));
    room.hangs_up("102");
    room.pass(seconds(1));
    assert_eq!(room.phone(OURS).last(), Some(&Event::Stopped), "CANCEL");
    assert_eq!(room.entry(entry).disposition, Some(Disposition::Abandoned));

    // Not there any more: the PBX is asked, and knows no such phone.
    leaves(&mut room);
    let entry = room.caller_dials("103");
    room.pass(seconds(2));
    assert_eq!(room.entry(entry).disposition, Some(Disposition::Missed));
    assert_eq!(room.entry(entry).legs, [("移动值班话机".to_owned(), Some(404))]);
}

fn rung(target: &str) -> OfficersPhone {
    let (name, target) = (target.to_owned(), target.to_owned());
    OfficersPhone { name, target, ring: seconds(20), begins: Begins::InTurn, srtp: None }
}

/// A caller who comes right after a kill, or after a stop, reaches the phone that registered before.
#[test]
fn sig_24_and_sig_34_a_phone_is_rung_by_the_run_after_the_one_it_registered_with() {
    let mut room = evening();
    room.plan.phones = vec![rung(OURS)];
    for number in ["101", "102"] {
        let registered = room.phone(OURS).story.len();
        room.kill_daemon();
        room.pass(millis(200));
        room.start_daemon();
        let entry = room.caller_dials(number);
        room.picks_up(OURS);
        let since = &room.phone(OURS).story[registered..];
        assert!(since.iter().all(|(_, event)| *event != Event::Registered), "{since:?}");
        room.are_connected(entry);
        room.hangs_up(number);
        room.pass(seconds(1));
    }
    // Too long: what holds no more is not taken up.
    let host = room.phone(OURS).host;
    room.network.unplug(host);
    room.kill_daemon();
    room.pass(minutes(3));
    room.start_daemon();
    room.pass(seconds(1));
    let entry = room.caller_dials("103");
    room.pass(seconds(1));
    assert_eq!(room.entry(entry).legs, [(OURS.to_owned(), Some(404))], "the PBX was asked at once");
    room.leave_as_it_is();
}

/// It was switched off and nobody told us: the caller waits a second for it, not twenty.
#[test]
fn sig_09_and_sig_24_a_phone_of_ours_that_is_gone_costs_the_caller_a_second() {
    let mut room = evening();
    room.plan.phones = vec![rung(OURS), rung(DESK)];
    room.kill_daemon();
    room.start_daemon();
    let host = room.phone(OURS).host;
    room.network.unplug(host);
    let entry = room.caller_dials("101");
    room.pass(millis(900));
    assert_eq!(room.phone(DESK).rings(), 0);
    room.rings(DESK, millis(300));
    room.picks_up(DESK);
    room.are_connected(entry);
    assert_eq!(room.entry(entry).legs[0], (OURS.to_owned(), Some(404)), "not at the PBX either");
    room.hangs_up("101");

    // Within two minutes it is known to be gone.
    room.pass(seconds(121));
    let entry = room.caller_dials("102");
    room.picks_up(DESK);
    room.are_connected(entry);
    room.hangs_up("102");
    room.pass(seconds(1));
    room.network.plug_in(host);
    leaves(&mut room);
}

/// It is at the PBX meanwhile, as after somebody took it to another socket.
#[test]
fn sig_24_a_phone_of_ours_that_is_gone_is_rung_by_the_pbx_for_its_officers_own_calls_too() {
    let mut room = evening();
    let phones = &mut room.plan.registrar.as_mut().expect("phones").phones;
    phones.push(Phone { user: DESK.to_owned(), ..phones[0].clone() });
    room.plan.phones = vec![rung(DESK)];
    room.kill_daemon();
    room.start_daemon();
    let random = room.fork_random();
    room.posts.insert(0, Post::at_the_daemon(DESK, 2, random));
    room.act(0, |post, now| post.phone.register(now));
    room.pass(seconds(1));
    let host = room.posts[0].host;
    assert_eq!(room.posts[0].last(), Some(&Event::Registered));
    room.network.unplug(host);
    let entry = room.caller_dials("101");
    room.rings(DESK, millis(1300));
    room.picks_up(DESK);
    room.are_connected(entry);
    room.hangs_up("101");
    room.pass(seconds(1));
    assert_eq!(room.entry(entry).legs, [(DESK.to_owned(), Some(200))], "one leg, whichever way");
    room.network.plug_in(host);
    room.act(0, |post, now| post.phone.unregister(now));
    leaves(&mut room);
}

#[test]
fn sig_24_who_does_not_know_the_password_is_told_of_and_stays_a_stranger() {
    let mut room = evening_with(&[Algorithm::Sha256], "another password");
    assert_eq!(room.phone(OURS).last(), Some(&Event::RegistrationFailed { status: 403 }));
    dials(&mut room, MOBILE);
    room.pass(minutes(2));
    assert!(room.all_rows().is_empty(), "no row, no ring");
    assert_eq!(room.phone(DIRECTOR).rings(), 0);
    let guesses = room.facts().filter_map(|noted| match &noted.fact {
        Fact::Intruded { source, attempts, .. } => Some((source.clone(), *attempts)),
        _ => None,
    });
    let guesses: Vec<_> = guesses.collect();
    assert!(guesses[0] == ("10.1.2.1".to_owned(), 1), "at once: {guesses:?}");
    assert!(guesses.iter().all(|(source, attempts)| source == "10.1.2.1" && *attempts <= 1));
    room.leave_as_it_is();
}

#[test]
fn sig_24_a_phone_stays_registered_for_hours_and_is_a_stranger_when_it_leaves() {
    let mut room = evening();
    room.pass(minutes(90));
    let events: Vec<_> = room.phone(OURS).story.iter().map(|(_, event)| event.clone()).collect();
    assert!(events.len() > 100 && events.iter().all(|one| *one == Event::Registered), "refreshed");
    talking(&mut room);
    room.hangs_up(OURS);
    let at = room.at(OURS);
    room.act(at, |post, now| post.phone.unregister(now));
    room.pass(seconds(2));
    dials(&mut room, MOBILE);
    room.pass(seconds(40));
    assert_eq!(room.phone(OURS).last(), Some(&Event::Refused { status: 408 }), "nobody answers");
    assert_eq!(room.all_rows().len(), 1);
    assert_eq!(room.phone(DIRECTOR).rings(), 1);
}

#[test]
fn sig_24_and_sig_34_the_phones_conversation_survives_kill_9() {
    let mut room = evening();
    let call = talking(&mut room);
    room.kill_daemon();
    room.pass(millis(300));
    room.start_daemon();
    room.says(OURS, &speech(3));
    room.says(DIRECTOR, &speech(4));
    room.pass(millis(50));
    assert!(sound(room.phone(DIRECTOR).phone.heard(), 8).ends_with(&speech(3)), "every sample");
    assert!(sound(room.phone(OURS).phone.heard(), 8).ends_with(&speech(4)), "every sample");
    room.hangs_up(OURS);
    room.pass(seconds(1));
    assert_eq!(room.state(DIRECTOR), State::OnHook);
    assert_eq!(room.ending(call.into()), Some((Some(Party::Officer), 200)));
    // The next run knows where it is.
    dials(&mut room, MOBILE);
    room.rings(DIRECTOR, seconds(2));
    room.hangs_up(OURS);
    room.pass(seconds(1));
    leaves(&mut room);
}

#[test]
fn sig_24_and_sig_36_killed_while_it_dials_the_phone_is_let_go() {
    let mut room = evening();
    dials(&mut room, MOBILE);
    room.rings(DIRECTOR, seconds(2));
    room.kill_daemon();
    room.pass(millis(300));
    room.start_daemon();
    room.pass(seconds(2));
    assert_eq!([OURS, DIRECTOR].map(|number| room.state(number)), [State::OnHook; 2]);
    assert_eq!(room.phone(OURS).last(), Some(&Event::Refused { status: 503 }));
    let call = only_row(&room).call.expect("a call");
    assert_eq!(call.disposition, Some(Disposition::Interrupted));
    leaves(&mut room);
}
