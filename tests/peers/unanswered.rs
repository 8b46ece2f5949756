//! Before anybody answers, through the PBX and by hand: a phone that changes its session while it
//! rings, a call that another phone of the PBX has, phones that lose the race.

use crate::calls::{Room, talk};
use crate::daemon::Plan;
use crate::twin::{FarEnd, Seen, TrunkCaller, Voice};
use crate::wave;
use std::net::UdpSocket;
use std::time::Duration;

const SOON: Duration = Duration::from_secs(8);
const ELSEWHERE: &str = "SIP;cause=200;text=\"Call completed elsewhere\"";

/// What is left of what the far end saw, from the first that is wanted on.
fn wait_for<T>(far_end: &FarEnd, what: &str, wanted: impl Fn(Seen) -> Option<T>) -> T {
    let seen = std::iter::from_fn(|| far_end.seen.recv_timeout(SOON).ok());
    seen.filter_map(wanted).next().unwrap_or_else(|| panic!("no {what} at the far end"))
}

#[test]
fn sig_14_an_update_from_a_phone_that_rings_is_answered_and_its_voice_moves() {
    let Some(room) = Room::open() else { return };
    let far_end = FarEnd::start(&room.ports);
    let daemon = room.daemon(&Plan { phones: &[("9184", 30)], ..Plan::default() });
    let mut caller = TrunkCaller::new(&room.ports, "13800138000");
    let early = caller.hears_early("1001");
    let invite = far_end.invited();
    wait_for(&far_end, "PRACK", |seen| matches!(seen, Seen::Acknowledged).then_some(()));
    let moved = UdpSocket::bind("127.0.0.1:0").expect("a port");
    moved.set_read_timeout(Some(SOON)).expect("a timeout");
    far_end.updates(&invite, &moved);
    let (status, body) = wait_for(&far_end, "answer to UPDATE", |seen| match seen {
        Seen::Answered(status, body) => Some((status, body)),
        _ => None,
    });
    assert!(status == 200 && body.contains("m=audio "), "{status} {body}");
    let mut voice = Voice::new(7);
    for _ in 0..20 {
        caller.media.send_to(&voice.packet(&[0x55; 160]), early).expect("sent");
        std::thread::sleep(Duration::from_millis(20));
    }
    let mut packet = [0; 1500];
    let length = moved.recv(&mut packet).expect("the caller's voice at the new port");
    assert_eq!(packet[12..length], [0x55; 160]);
    assert_eq!(caller.gives_up("1001"), 487);
    far_end.is_let_go();
    daemon.row_is("SELECT disposition FROM call", "abandoned");
}

#[test]
fn sig_08_a_call_that_another_phone_of_the_pbx_has_is_no_missed_call() {
    for (reason, disposition, callbacks) in [(ELSEWHERE, "elsewhere", "0"), ("", "abandoned", "1")]
    {
        let Some(room) = Room::open() else { return };
        let far_end = FarEnd::start(&room.ports);
        let daemon = room.daemon(&Plan { phones: &[("9180", 30)], ..Plan::default() });
        let mut caller = TrunkCaller::new(&room.ports, "13800138000");
        caller.hears_it_ring("1001");
        far_end.invited();
        let headers = match reason {
            "" => String::new(),
            reason => format!("Reason: {reason}\r\n"),
        };
        assert_eq!(caller.gives_up_with("1001", &headers), 487);
        far_end.is_let_go();
        daemon.row_is("SELECT disposition FROM call", disposition);
        assert_eq!(daemon.row("SELECT count(*) FROM callback"), callbacks);
    }
}

#[test]
fn sig_10_a_phone_that_lost_the_race_is_told_that_another_has_the_call() {
    let Some(room) = Room::open() else { return };
    let far_end = FarEnd::start(&room.ports);
    let plan = Plan {
        phones: &[("9180", 30), ("9200", 30)],
        answering: "ring_plan = \"together\"",
        ..Plan::default()
    };
    let daemon = room.daemon(&plan);
    let mut caller = TrunkCaller::new(&room.ports, "13800138000");
    assert_eq!(caller.call("1001"), 200);
    let reason = wait_for(&far_end, "CANCEL", |seen| match seen {
        Seen::Cancelled(reason) => Some(reason),
        _ => None,
    });
    assert_eq!(reason, ELSEWHERE);
    caller.hang_up();
    daemon.row_is("SELECT answered_by FROM call", "话机9200");
}

#[test]
fn sig_12_with_every_phone_off_the_caller_leaves_a_message_and_the_page_says_so() {
    let Some(mut room) = Room::open() else { return };
    let daemon = room.daemon(&Plan::default());
    let mut caller = room.phone("caller", &wave::voice(61, 40));
    caller.dial("1001");
    caller.established();
    daemon.row_is("SELECT kind FROM stretch", "message");
    talk(12);
    caller.hangup();
    daemon.row_is("SELECT disposition FROM call", "message");
    daemon.row_is("SELECT count(*) FROM callback", "1");
    let legs = "SELECT group_concat(status, ' ') FROM (SELECT status FROM leg ORDER BY rung_mono)";
    assert_eq!(daemon.row(legs), "404 404");
}
