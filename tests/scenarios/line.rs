//! The duty line stays registered, and says so when it is not.

use crate::room::people::{self, DESK, LINE, PASSWORD, PBX_HOST, SPARE, STANDBY_HOST};
use crate::room::{Room, Weather, hours, millis, minutes, seconds};
use chrono::{DateTime, TimeDelta, Utc};
use dutyline::demo::pbx::{Algorithm, Event};
use dutyline::duty::gaps::Verdict;
use dutyline::duty::journal::{Disposition, Fact};
use dutyline::io::store::{OutageKind, OutageRow};
use dutyline::protocol::now::Mono;
use dutyline::protocol::sip::{Habits, Numbers, Peer, Transport};

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
    let gone = room.now().wall;
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
    rec_s2_the_row_has_both_times_and_the_reason(&room, gone);
    room.until("the desk's phone has found it, too", seconds(60), |room| {
        room.pbx.is_registered(DESK, room.now())
    });
    let entry = room.caller_dials("101");
    room.officer_answers(entry);
    room.caller_hangs_up(entry);
}

fn rec_s2_the_row_has_both_times_and_the_reason(room: &Room, gone: DateTime<Utc>) {
    let rows = room.outage_rows();
    let [row] = &rows[..] else { panic!("one row, not {rows:?}") };
    assert_eq!((row.kind, row.status), (OutageKind::Line, Some(408)));
    is_dated_by_the_last_answer(row, gone);
    let back = row.to.expect("its end");
    assert!((300..=345).contains(&(back - row.from).num_seconds()), "{row:?}");
    assert!(room.now().wall >= back && !row.why.is_empty());
}

/// Not by when its silence was noticed.
fn is_dated_by_the_last_answer(row: &OutageRow, gone: DateTime<Utc>) {
    assert!(row.from <= gone && gone - row.from <= TimeDelta::seconds(11), "{gone}: {row:?}");
}

/// It falls silent between two registrations that are half an hour apart.
#[test]
fn rec_s2_what_comes_after_the_last_answer_is_doubtful_before_anybody_notices() {
    let mut room = Room::before_the_start(9, Algorithm::Sha256);
    room.plan.account.expires = 3600;
    room.start_daemon();
    room.pass(minutes(10));
    room.network.unplug(PBX_HOST);
    let gone = room.now().wall;
    let before = gone - TimeDelta::minutes(5);
    room.pass(seconds(3));
    assert_eq!(room.outage_rows(), [], "nobody has noticed");
    assert_eq!(room.verdict(before, gone - TimeDelta::seconds(11)), Verdict::Quiet);
    let verdict = room.verdict(before, room.now().wall);
    assert!(matches!(verdict, Verdict::Doubt { calls: 0, seconds: 3..=14 }), "{verdict:?}");
    room.pass(seconds(17));
    assert_eq!(room.alarms().len(), 1, "within 20 s");
    let rows = room.outage_rows();
    let [row] = &rows[..] else { panic!("one row, not {rows:?}") };
    is_dated_by_the_last_answer(row, gone);

    room.network.plug_in(PBX_HOST);
    let back = room.now().wall;
    room.until("the line is registered", seconds(30), |room| room.outage_rows()[0].to.is_some());
    room.pass(minutes(2));
    let rows = room.outage_rows();
    let [row] = &rows[..] else { panic!("one row, not {rows:?}") };
    assert!(row.to >= Some(back));
    let doubt = row.to.expect("its end") - row.from;
    let doubt = Verdict::Doubt { calls: 0, seconds: doubt.num_seconds() };
    assert_eq!(room.verdict(before, back + TimeDelta::minutes(1)), doubt);
}

/// It is gone and back between two registrations.
#[test]
fn rec_s2_a_pbx_that_was_away_for_twenty_seconds_leaves_a_row() {
    for late in 0..12 {
        let mut room = Room::before_the_start(9, Algorithm::Sha256);
        room.plan.account.expires = 3600;
        room.start_daemon();
        room.pass(minutes(10) + seconds(late));
        room.network.unplug(PBX_HOST);
        let gone = room.now().wall;
        room.pass(seconds(20));
        room.network.plug_in(PBX_HOST);
        room.pass(minutes(1));
        assert_eq!(room.alarms().len(), 1, "{late}");
        let rows = room.outage_rows();
        let [row] = &rows[..] else { panic!("{late}: {rows:?}") };
        is_dated_by_the_last_answer(row, gone);
        assert!(row.to >= Some(gone + TimeDelta::seconds(20)), "{late}: {row:?}");
    }
}

/// The PBX comes back without memory and under another name, is busy at first, and wants a longer
/// binding than asked for: the line is registered within half a minute of its return.
#[test]
fn rel_21_and_rec_s2_a_pbx_that_was_restarted_is_registered_with_again() {
    let mut room = Room::open();
    room.pass(seconds(100));
    room.network.unplug(PBX_HOST);
    room.pass(minutes(2));
    room.restart_pbx();
    room.pbx.set_realm("another.example");
    room.network.plug_in(PBX_HOST);
    room.until("the line is registered", seconds(30), |room| {
        room.pbx.is_registered(LINE, room.now())
    });
    room.pass(minutes(1));
    let alarms = room.alarms();
    assert_eq!(alarms.len(), 1, "{alarms:?}");
    let rows = room.outage_rows();
    assert!(rows.len() == 1 && rows[0].to.is_some(), "{rows:?}");
    let entry = room.caller_dials("101");
    room.officer_answers(entry);
    room.caller_hangs_up(entry);
}

fn over(addr: std::net::SocketAddr) -> Peer {
    Peer { transport: Transport::Udp, addr }
}

/// The first address falls silent between two registrations: the second is in use within 5 s,
/// calls come in by it, and the line goes back once the first has answered for a minute.
#[test]
fn sig_04_the_second_address_is_in_use_within_five_seconds() {
    let mut room = Room::before_the_start(4, Algorithm::Sha256);
    room.plan.account.peers = vec![over(people::pbx()), over(people::standby())];
    room.start_daemon();
    room.pass(seconds(123));
    assert!(room.pbx.is_registered(LINE, room.now()));
    room.network.unplug(PBX_HOST);
    let gone = room.now().wall;
    room.until("the line is registered at the second address", seconds(5), |room| {
        room.standby.is_registered(LINE, room.now())
    });
    room.pass(minutes(10));
    assert!(room.standby.is_registered(LINE, room.now()), "and stays there");
    assert_eq!(room.alarms().len(), 1);
    let outages = room.outage_rows();
    let [row] = &outages[..] else { panic!("{outages:?}") };
    let to = row.to.expect("its end");
    assert!(row.from <= gone && to - row.from <= TimeDelta::seconds(6), "{gone}: {row:?}");
    assert!(row.why.contains("10.1.0.2:5060"), "{row:?}");
    room.calls_by(people::standby(), "101");
    room.pass(seconds(1));
    assert_eq!(room.all_calls().len(), 1, "a call that comes by the second address is taken");
    room.pass(minutes(1));

    room.network.plug_in(PBX_HOST);
    let back = room.now().mono;
    room.until("the line goes back", seconds(75), |room| {
        registrations(room).last().is_some_and(|at| *at > back)
    });
    room.pass(seconds(1));
    let moves = room.facts().filter_map(|noted| match &noted.fact {
        Fact::LineMoved { to, preferred } => Some((to.clone(), *preferred)),
        _ => None,
    });
    let moves: Vec<_> = moves.collect();
    let expected = [("10.1.0.3:5060".to_owned(), false), ("10.1.0.2:5060".to_owned(), true)];
    assert_eq!(moves, expected);
    assert_eq!(room.outage_rows().len(), 1, "going back is no outage");
    room.pass(minutes(3));
    assert!(!room.standby.is_registered(LINE, room.now()), "the old binding has run out");
}

/// The first address comes back with another password for us: the line stays where it is served, and that is told.
#[test]
fn sig_04_a_first_address_that_is_back_and_refuses_us_is_left_alone_and_told() {
    let mut room = Room::before_the_start(41, Algorithm::Sha256);
    room.plan.account.peers = vec![over(people::pbx()), over(people::standby())];
    room.start_daemon();
    room.pass(seconds(100));
    room.network.unplug(PBX_HOST);
    room.pass(minutes(2));
    room.pbx.set_password(LINE, "ein anderes");
    room.network.plug_in(PBX_HOST);
    let story = room.pbx_story.len();
    for _ in 0..60 {
        room.pass(minutes(1));
        assert!(room.standby.is_registered(LINE, room.now()));
    }
    assert_eq!((room.alarms().len(), room.outage_rows().len()), (1, 1), "the silence alone");
    let moves = |room: &Room| {
        room.facts().filter(|noted| matches!(noted.fact, Fact::LineMoved { .. })).count()
    };
    assert_eq!(moves(&room), 1);
    let told = |fact: &Fact| matches!(fact, Fact::LineNotMoved { to, .. } if to == "10.1.0.2:5060");
    assert!(room.facts().any(|noted| told(&noted.fact)));
    let refused = Event::Refused { user: LINE.to_owned() };
    let tries = room.pbx_story[story..].iter().filter(|(_, event)| *event == refused).count();
    assert!((4..=9).contains(&tries), "{tries} tries in an hour");
    room.calls_by(people::standby(), "101");
    room.pass(seconds(1));
    assert_eq!(room.all_calls().len(), 1);
    room.pbx.set_password(LINE, PASSWORD);
    room.pass(minutes(17));
    assert!(room.pbx.is_registered(LINE, room.now()), "it goes back as soon as it is granted");
    assert_eq!((moves(&room), room.outage_rows().len()), (2, 1));
}

/// Both addresses gone for an hour: one alarm, no storm, and the one that returns first is used.
#[test]
fn sig_04_whichever_address_returns_first_is_used() {
    let mut room = Room::before_the_start(5, Algorithm::Sha256);
    room.plan.account.peers = vec![over(people::pbx()), over(people::standby())];
    room.start_daemon();
    room.pass(minutes(1));
    room.network.unplug(PBX_HOST);
    room.network.unplug(STANDBY_HOST);
    room.pass(hours(1));
    assert_eq!(room.alarms().len(), 1);
    room.network.plug_in(STANDBY_HOST);
    room.until("registered", seconds(30), |room| room.standby.is_registered(LINE, room.now()));
    room.pass(seconds(1));
    assert!(room.outage_rows()[0].to.is_some());
    room.leave_as_it_is();
}

/// A line that the PBX knows by its address: nothing is registered, OPTIONS tell whether it is up.
#[test]
fn sig_38_a_static_trunk_is_kept_by_options() {
    let mut room = Room::before_the_start(38, Algorithm::Sha256);
    room.plan.account.expires = 0;
    room.plan.account.realm = Some(people::DOMAIN.to_owned());
    room.plan.account.habits = Habits { trunk: true, numbers: Numbers::Phone, ..Habits::default() };
    room.pbx.place(LINE, over(people::daemon()));
    room.start_daemon();
    room.pass(seconds(5));
    assert!(registrations(&room).is_empty());
    let ups = |room: &Room| room.facts().filter(|n| matches!(n.fact, Fact::LineUp)).count();
    assert_eq!(ups(&room), 1);

    let entry = room.caller_dials("101");
    room.officer_answers(entry);
    room.pass(seconds(20));
    room.caller_hangs_up(entry);
    room.pass(seconds(1));
    assert_eq!(room.entry(entry).disposition, Some(Disposition::Answered));
    assert_eq!(room.phone(SPARE).rings(), 0);
    assert_eq!(room.phone(DESK).rings(), 1, "its number was dialled with user=phone");

    room.network.unplug(PBX_HOST);
    let gone = room.now().wall;
    room.pass(minutes(3));
    room.network.plug_in(PBX_HOST);
    room.pass(seconds(16));
    assert_eq!(room.alarms().len(), 1);
    assert_eq!(ups(&room), 2);
    let rows = room.outage_rows();
    let [row] = &rows[..] else { panic!("{rows:?}") };
    is_dated_by_the_last_answer(row, gone);
    let lasted = row.to.expect("its end") - row.from;
    assert!((180..=207).contains(&lasted.num_seconds()), "{row:?}");
}

#[test]
fn sig_01_a_wrong_password_is_an_alarm_and_no_storm() {
    let mut room = Room::before_the_start(3, Algorithm::Sha256);
    room.pbx.set_password(LINE, "ein anderes");
    room.start_daemon();
    room.pass(hours(1));
    let refused = Event::Refused { user: LINE.to_owned() };
    let tries: Vec<_> = room.pbx_story.iter().filter(|(_, event)| *event == refused).collect();
    assert!((2..=121).contains(&tries.len()), "{} tries in an hour", tries.len());
    for pair in tries.windows(2) {
        let apart = pair[1].0.since(pair[0].0);
        assert!(apart >= seconds(30), "one try in half a minute at most: {apart:?}");
    }
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
