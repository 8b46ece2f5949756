//! The duty line stays registered, and says so when it is not.

use crate::room::people::{DESK, LINE, PASSWORD, PBX_HOST};
use crate::room::{Room, Weather, hours, millis, minutes, seconds};
use dutyline::demo::pbx::{Algorithm, Event};
use dutyline::duty::journal::Fact;
use dutyline::protocol::now::Mono;

fn registrations(room: &Room) -> Vec<Mono> {
    let line = Event::Registered { user: LINE.to_owned() };
    let of_the_line = room.pbx_story.iter().filter(|(_, event)| *event == line);
    of_the_line.map(|(at, _)| *at).collect()
}

#[test]
fn sig_01_both_digests_are_spoken() {
    for algorithm in [Algorithm::Md5, Algorithm::Sha256] {
        let mut room = Room::before_the_start(1, algorithm);
        room.start_daemon();
        room.pass(seconds(2));
        assert!(room.pbx.is_registered(LINE, room.now()), "{algorithm:?}");
    }
}

#[test]
fn sig_02_the_binding_is_refreshed_at_half_its_life() {
    let mut room = Room::open();
    room.pass(minutes(30));
    let times = registrations(&room);
    assert!(times.len() >= 30, "{}", times.len());
    for pair in times.windows(2) {
        let apart = pair[1].since(pair[0]);
        assert!((seconds(30)..=seconds(60)).contains(&apart), "{apart:?}");
    }
}

#[test]
fn sig_03_the_pbx_is_gone_for_five_minutes_and_the_line_is_back_within_half_a_minute() {
    let mut room = Room::open();
    room.pass(seconds(100));
    room.network.unplug(PBX_HOST);
    room.pass(minutes(5));
    let lost = room.alarms();
    assert_eq!(lost.len(), 1, "one alarm, not one for each try: {lost:?}");
    room.network.plug_in(PBX_HOST);
    let back = room.now().mono;
    room.until("the line is registered", seconds(30), |room| {
        registrations(room).last().is_some_and(|at| *at > back)
    });
    room.pass(seconds(2));
    let outages = room.outages();
    assert_eq!(outages.len(), 1);
    assert!(outages[0].1.is_some(), "the outage has an end");
    let entry = room.caller_dials("101");
    room.officer_answers(entry);
    room.caller_hangs_up(entry);
}

#[test]
fn sig_01_a_wrong_password_is_an_alarm_and_no_storm() {
    let mut room = Room::before_the_start(3, Algorithm::Sha256);
    room.pbx.set_password(LINE, "ein anderes");
    room.start_daemon();
    room.pass(hours(1));
    let refused = Event::Refused { user: LINE.to_owned() };
    let tries = room.pbx_story.iter().filter(|(_, event)| *event == refused).count();
    assert!((2..=121).contains(&tries), "{tries} tries in an hour");
    assert!(!room.alarms().is_empty());
    room.pbx.set_password(LINE, PASSWORD);
    room.pass(minutes(10));
    assert!(room.pbx.is_registered(LINE, room.now()));
}

#[test]
fn sig_05_a_clean_stop_gives_the_binding_back() {
    let mut room = Room::open();
    room.stop_daemon();
    assert!(!room.pbx.is_registered(LINE, room.now()));
    let gone = Event::Unregistered { user: LINE.to_owned() };
    assert!(room.pbx_story.iter().any(|(_, event)| *event == gone));
}

#[test]
fn sig_06_a_lossy_network_does_not_lose_the_line() {
    let mut room = Room::with_seed(6);
    room.network.weather =
        Weather { least_delay: millis(5), most_delay: millis(400), loss: 150, twice: 50 };
    for _ in 0..48 {
        room.pass(minutes(30));
        assert!(room.pbx.is_registered(LINE, room.now()));
    }
    room.network.weather = Weather::fair();
    room.pass(minutes(3));
    room.alarms();
}

#[test]
fn the_line_goes_up_once_and_not_with_every_refresh() {
    let mut room = Room::open();
    room.pass(hours(2));
    let daemon = room.daemon.as_ref().unwrap();
    let ups = daemon.facts.iter().filter(|noted| matches!(noted.fact, Fact::LineUp)).count();
    assert_eq!(ups, 1);
}

#[test]
fn a_call_that_meets_loss_and_doubles_is_still_one_call() {
    for seed in 0..20 {
        let mut room = Room::with_seed(seed);
        room.network.weather =
            Weather { least_delay: millis(1), most_delay: millis(120), loss: 200, twice: 200 };
        room.caller_tries("101");
        room.until("the desk rings", seconds(32), |room| room.phone(DESK).rings() > 0);
        let at = room.at(DESK);
        room.act(at, |post, now| post.phone.pick_up(now));
        room.pass(seconds(40));
        room.hangs_up_unheard("101");
        room.pass(seconds(40));
        let calls = room.all_calls();
        assert_eq!(calls.len(), 1, "seed {seed}");
        assert!(calls[0].disposition.is_some(), "seed {seed}");
        room.network.weather = Weather::fair();
        room.pass(minutes(4));
        room.alarms();
    }
}
