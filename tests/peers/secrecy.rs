//! SRTP by SDES with real phones, whose libsrtp is the judge of ours.

use crate::calls::{Room, connect, talk};
use crate::daemon::Plan;
use crate::wave;

const CALL: &str = "SELECT id FROM call WHERE direction = 'in'";
const SECRET: &str = ";mediaenc=srtp-mand";

fn spoken(plan: &Plan<'_>, caller: &str, officer: &str) {
    let Some(mut room) = Room::open() else { return };
    let daemon = room.daemon(plan);
    let (caller_says, officer_says) = (wave::voice(41, 30), wave::voice(42, 30));
    let mut calling = room.phone_with("caller", &caller_says, caller);
    let mut answering = room.phone_with("2001", &officer_says, officer);
    connect(&mut calling, &mut answering);
    talk(5);
    calling.hangup();
    calling.closed();
    answering.closed();
    daemon.row_is("SELECT disposition FROM call", "answered");
    let recorded = daemon.recording(CALL);
    let pairs = [
        ("left is the caller", &caller_says, &recorded.channels[0]),
        ("right is the officer", &officer_says, &recorded.channels[1]),
        ("the officer heard the caller", &caller_says, &answering.heard()),
        ("the caller heard the officer", &officer_says, &calling.heard()),
    ];
    for (what, said, heard) in pairs {
        let found = wave::compare(said, heard).unwrap_or_else(|| panic!("{what}: nothing of it"));
        assert!(found.is_whole() && found.same > 4 * wave::RATE, "{what}: {found:?}");
    }
}

#[test]
fn sig_20_sdes_on_both_legs_every_sample_was_heard() {
    spoken(&Plan { media: "srtp = \"require\"", ..Plan::default() }, SECRET, SECRET);
}

#[test]
fn sig_20_sdes_on_the_officers_leg_alone() {
    let plan = Plan { of_phones: "srtp = \"require\"", ..Plan::default() };
    spoken(&plan, "", SECRET);
}

#[test]
fn sig_20_sdes_where_the_caller_wishes_it() {
    let plan = Plan { media: "srtp = \"offer\"", ..Plan::default() };
    spoken(&plan, ";mediaenc=srtp", "");
}

#[test]
fn sig_20_sdes_reports_go_both_ways_encrypted_and_say_what_came() {
    let Some(mut room) = Room::open() else { return };
    let daemon = room.daemon(&Plan { media: "srtp = \"require\"", ..Plan::default() });
    let mut calling = room.phone_with("caller", &wave::voice(43, 30), SECRET);
    let mut answering = room.phone_with("2001", &wave::voice(44, 30), SECRET);
    connect(&mut calling, &mut answering);
    talk(14);
    calling.hangup();
    calling.closed();
    answering.closed();
    daemon.row_is("SELECT disposition FROM call", "answered");
    // The way there and back is known only where both have read the other's reports.
    let way =
        "SELECT group_concat(party || ' ' || (rtt_us < 100000) || ' ' || far_lost) FROM quality";
    daemon.row_is(way, "caller 1 0,officer 1 0");
    // baresip takes its leave by an RTCP BYE, which it may send when its keys are gone.
    let strangers = daemon.row("SELECT max(strangers) FROM carried");
    assert!(strangers == "0" || strangers == "1", "{strangers} reports could not be read");
}

#[test]
fn sig_20_sdes_demanded_of_a_caller_in_clear_is_refused_and_logged() {
    let Some(mut room) = Room::open() else { return };
    let daemon = room.daemon(&Plan { media: "srtp = \"require\"", ..Plan::default() });
    let mut calling = room.phone("caller", &wave::voice(1, 5));
    calling.dial("1001");
    calling.closed();
    daemon.row_is("SELECT disposition FROM call", "failed");
    daemon.row_is("SELECT count(*) FROM audit WHERE action = 'call.not_secret'", "1");
}
