//! An officer's phone hands its conversation to another phone through the PBX.

use crate::calls::{Room, connect, talk};
use crate::daemon::Plan;
use crate::officer::Officer;
use crate::rude::is_heard;
use crate::twin::{FarEnd, TrunkCaller, Voice};
use crate::wave;
use std::time::Duration;

const SOON: Duration = Duration::from_secs(8);
const CALL: &str = "SELECT id FROM call WHERE direction = 'in'";
const LEGS: &str =
    "SELECT group_concat(phone || ' ' || how || ' ' || coalesce(status, 0)) FROM leg";

/// baresip's own REFER and NOTIFYs: the caller hears one officer after the other, one recording has
/// both.
#[test]
fn sig_16_a_blind_transfer_between_real_phones_is_one_recording_without_a_gap() {
    let Some(mut room) = Room::open() else { return };
    let daemon = room.daemon(&Plan { phones: &[("2001", 20), ("2002", 20)], ..Plan::default() });
    let says = [21, 22, 23].map(|seed| wave::voice(seed, 60));
    let mut caller = room.phone("caller", &says[0]);
    let mut first = room.phone("2001", &says[1]);
    let mut second = room.phone("2002", &says[2]);
    connect(&mut caller, &mut first);
    talk(3);
    first.tell("transfer", &format!("sip:2002@127.0.0.1:{}", room.ports.pbx()));
    second.incoming(SOON);
    talk(1);
    second.accept();
    second.established();
    first.closed();
    talk(3);
    caller.hangup();
    second.closed();

    daemon.row_is("SELECT disposition FROM call", "answered");
    assert_eq!(daemon.row("SELECT count(*) FROM entry"), "1");
    assert_eq!(daemon.row(LEGS), "话机2001 rung 200,话机2002 transfer 200");
    let both = "SELECT count(*) FROM carried WHERE party = 'officer' AND received > 50";
    daemon.row_is(both, "2");
    let recorded = daemon.recording(CALL);
    let right = &recorded.channels[1];
    let pieces = |said: &[i16], heard: &[i16]| wave::stretches(said, heard);
    let (early, late) = (pieces(&says[1], right), pieces(&says[2], right));
    let ends = early.iter().map(|one| one.heard + one.length).max().expect("the first officer");
    let begins = late.iter().map(|one| one.heard).min().expect("the second officer");
    let gap = begins.saturating_sub(ends);
    println!("gap between the officers in the recording: {} ms", gap / (wave::RATE / 1000));
    assert!(gap < wave::RATE, "{gap} samples");
    let heard = caller.heard();
    for (who, said) in [("first", &says[1]), ("second", &says[2])] {
        let same: usize = pieces(said, &heard).iter().map(|one| one.length).sum();
        assert!(same > 2 * wave::RATE, "the caller heard the {who} officer: {same} samples");
    }
    let left: usize = pieces(&says[0], &recorded.channels[0]).iter().map(|one| one.length).sum();
    assert!(left > 6 * wave::RATE, "the caller is whole: {left} samples");
}

/// The target is not there (404), then one that the site does not name (603): the phone is told, and
/// ends the call by itself, as baresip does.
#[test]
fn sig_16_a_transfer_that_fails_is_told_to_the_phone() {
    for (number, leg) in [("2002", "话机2002 transfer 404"), ("0044123", "0044123 transfer 603")]
    {
        let Some(mut room) = Room::open() else { return };
        let daemon = room.daemon(&Plan::default());
        let says = wave::voice(24, 60);
        let mut caller = room.phone("caller", &says);
        let mut officer = room.phone("2001", &says);
        connect(&mut caller, &mut officer);
        officer.tell("transfer", &format!("sip:{number}@127.0.0.1:{}", room.ports.pbx()));
        if number == "2002" {
            let told = officer.wait("TRANSFER_FAILED", SOON);
            assert_eq!(told["param"], "404 Not Found");
        } else {
            daemon.row_is("SELECT count(*) FROM leg WHERE status = 603", "1");
            officer.hangup();
        }
        caller.closed();
        daemon.row_is("SELECT disposition FROM call", "answered");
        daemon.row_is("SELECT ended_by FROM call", "officer");
        assert_eq!(daemon.row(LEGS), format!("话机2001 rung 200,{leg}"));
    }
}

/// INVITE with Replaces through the PBX, by hand: another phone takes the call while the first rings,
/// and while it talks.
#[test]
fn sig_16_another_phone_picks_the_call_up_ringing_and_talking() {
    for (first, legs) in [
        ("9180", "话机9180 rung 487,话机2002 pickup 200"),
        ("9200", "话机9200 rung 200,话机2002 pickup 200"),
    ] {
        let Some(mut room) = Room::open() else { return };
        let far_end = FarEnd::start(&room.ports);
        let plan = Plan { phones: &[(first, 60), ("2002", 20)], ..Plan::default() };
        let daemon = room.daemon(&plan);
        let mut caller = room.phone("caller", &wave::voice(26, 30));
        caller.dial("1001");
        let replaces = far_end.invited().replaces();
        match first {
            "9180" => drop(caller.wait("CALL_RINGING", SOON)),
            _ => caller.established(),
        }
        let mut second = TrunkCaller::new(&room.ports, "2002");
        assert_eq!(second.call_with("1001", &replaces), 200);
        far_end.is_let_go();
        if first == "9180" {
            caller.established();
        }
        talk(1);
        second.hang_up();
        caller.closed();
        daemon.row_is("SELECT disposition FROM call", "answered");
        assert_eq!(daemon.row("SELECT count(*) FROM entry"), "1");
        assert_eq!(daemon.row(LEGS), legs);
        assert!(!daemon.recording(CALL).channels[0].is_empty());
    }
}

/// A caller of the town who knows the names of a session and wants its place: 603, no entry, and the two talk on.
#[test]
fn sig_30_a_pickup_by_the_town_is_declined() {
    let Some(room) = Room::open() else { return };
    let far_end = FarEnd::start(&room.ports);
    let daemon = room.daemon(&Plan { phones: &[("9200", 60)], ..Plan::default() });
    let media = std::net::UdpSocket::bind("127.0.0.1:0").expect("a port");
    let mut caller = TrunkCaller::beside(&room.ports, "13800130057", &media);
    assert_eq!(caller.call("1001"), 200);
    let invite = far_end.invited();
    let mut thief = TrunkCaller::new(&room.ports, "13800130058");
    assert_eq!(thief.call_with("1001", &invite.replaces()), 603);
    is_heard(&far_end.media, invite.media(), &caller.media, 0x3d);
    is_heard(&caller.media, caller.remote_media(), &far_end.media, 0x3e);
    caller.hang_up();
    far_end.is_let_go();
    daemon.row_is("SELECT disposition FROM call", "answered");
    assert_eq!(daemon.row("SELECT count(*) FROM entry"), "1");
}

/// REFER with Replaces, by hand: the target is called with the name of the consultation whose place
/// the caller takes.
#[test]
fn sig_16_an_attended_transfer_through_the_pbx() {
    let Some(mut room) = Room::open() else { return };
    let far_end = FarEnd::start(&room.ports);
    let daemon = room.daemon(&Plan { phones: &[("9200", 60)], ..Plan::default() });
    let mut caller = room.phone("caller", &wave::voice(27, 30));
    caller.dial("1001");
    let officer = far_end.invited();
    caller.established();
    let pbx = room.ports.pbx();
    let replaces = "Replaces=talk%40desk%3Bto-tag%3Da%3Bfrom-tag%3Db";
    far_end.refers(&officer, &format!("<sip:9200@127.0.0.1:{pbx}?{replaces}>"));
    let target = far_end.invited();
    assert_eq!(target.get("replaces"), "talk@desk;to-tag=a;from-tag=b");
    assert_eq!(target.get("require"), "replaces");
    assert_ne!(target.get("call-id"), officer.get("call-id"));
    assert_eq!(far_end.is_told().last().map(String::as_str), Some("SIP/2.0 200 OK"));
    far_end.is_let_go();
    talk(1);
    caller.hangup();
    far_end.is_let_go();
    daemon.row_is("SELECT disposition FROM call", "answered");
    assert_eq!(daemon.row("SELECT count(*) FROM entry"), "1");
    assert_eq!(daemon.row(LEGS), "话机9200 rung 200,话机9200 transfer 200");
}

/// REFER with Replaces, by hand: the officer has two callers of the line, joins them and is gone.
#[test]
fn sig_16_two_callers_are_joined_through_the_pbx() {
    let Some(mut room) = Room::open() else { return };
    let far_end = FarEnd::start(&room.ports);
    let daemon = room.daemon(&Plan { phones: &[("9200", 60)], ..Plan::default() });
    let says = wave::voice(28, 30);
    let mut caller = room.phone("caller", &says);
    caller.dial("1001");
    let first = far_end.invited();
    caller.established();
    let mut second = TrunkCaller::new(&room.ports, "13900000000");
    assert_eq!(second.call("1001"), 200);
    let consulted = far_end.invited();
    let replaces = consulted.names_itself();
    let contact = consulted.get("contact").trim_matches(['<', '>']).to_owned();
    far_end.refers(&first, &format!("<{contact}?Replaces={replaces}>"));
    assert_eq!(far_end.is_told().last().map(String::as_str), Some("SIP/2.0 200 OK"));
    far_end.is_let_go();
    let moved = second.remote_media();
    let mut heard = [0; 1500];
    second.media.set_read_timeout(Some(SOON)).expect("a timeout");
    let (length, from) = second.media.recv_from(&mut heard).expect("the first caller's voice");
    assert!(length > 12, "it is voice");
    let mut voice = Voice::new(9);
    for _ in 0..50 {
        second.media.send_to(&voice.packet(&[0x2a; 160]), moved).expect("sent");
        std::thread::sleep(Duration::from_millis(20));
    }
    assert_eq!(from.ip(), moved.ip());
    caller.hangup();
    second.is_hung_up();
    daemon.row_is("SELECT count(*) FROM call WHERE disposition = 'answered'", "2");
    let last = "SELECT phone || ' ' || how FROM leg WHERE how = 'transfer'";
    assert_eq!(daemon.row(last), "13900000000 transfer");
    let recorded = daemon.recording("SELECT call FROM leg WHERE how = 'transfer'");
    let right: usize = recorded.channels[1].iter().filter(|sample| **sample != 0).count();
    assert!(right > wave::RATE / 2, "the second caller is on the officers' side: {right}");
}

/// His consultation is a call of his own: the caller and whom he called are joined, and he is gone.
#[test]
fn sig_16_and_sig_24_a_caller_and_whom_the_officer_called_are_joined_through_the_pbx() {
    let Some(mut room) = Room::open() else { return };
    let far_end = FarEnd::start(&room.ports);
    let more = "[dial]\nallow = [\"20xx\"]\n";
    let plan = Plan { phones: &[("9200", 60)], more, ..Plan::default() };
    let mut daemon = room.daemon(&plan);
    let at_page = Officer::first(&mut daemon);
    let says = [29, 30].map(|seed| wave::voice(seed, 40));
    let mut caller = room.phone("caller", &says[0]);
    let mut called = room.phone("2002", &says[1]);
    caller.dial("1001");
    let first = far_end.invited();
    caller.established();
    at_page.dials("number=2002").expect("it is called");
    let consulted = far_end.invited();
    called.incoming(SOON);
    called.accept();
    called.established();
    talk(1);
    let replaces = consulted.names_itself();
    let contact = consulted.get("contact").trim_matches(['<', '>']).to_owned();
    far_end.refers(&first, &format!("<{contact}?Replaces={replaces}>"));
    assert_eq!(far_end.is_told().last().map(String::as_str), Some("SIP/2.0 200 OK"));
    far_end.is_let_go();
    talk(4);
    caller.hangup();
    called.closed();
    daemon.row_is("SELECT count(*) FROM call WHERE disposition = 'answered'", "2");
    let recorded = daemon.recording("SELECT call FROM leg WHERE how = 'transfer'");
    for (what, said, heard) in [
        ("the caller heard him", &says[1], caller.heard()),
        ("he heard the caller", &says[0], called.heard()),
        ("right of the first call's WAV", &says[1], recorded.channels[1].clone()),
        ("left of the first call's WAV", &says[0], recorded.channels[0].clone()),
    ] {
        let same: usize = wave::stretches(said, &heard).iter().map(|one| one.length).sum();
        assert!(same > 3 * wave::RATE, "{what}: {same} samples");
    }
}

/// The officer hands the caller on and leaves, nobody takes him, and the daemon is killed while the officer's phone rings
/// again: the caller waits on, and has the officer back.
#[test]
fn sig_34_killed_while_every_phone_rings_again_for_a_caller_who_was_answered() {
    let Some(mut room) = Room::open() else { return };
    let plan = Plan { phones: &[("2001", 60), ("2002", 60)], ..Plan::default() };
    let mut daemon = room.daemon(&plan);
    let says = [27, 28, 29].map(|seed| wave::voice(seed, 60));
    let mut caller = room.phone("caller", &says[0]);
    let mut officer = room.single_phone("2001", &says[1]);
    let mut target = room.phone("2002", &says[2]);
    connect(&mut caller, &mut officer);
    talk(2);
    officer.tell("transfer", &format!("sip:2002@127.0.0.1:{}", room.ports.pbx()));
    target.incoming(SOON);
    officer.hangup();
    officer.closed();
    target.hangup();
    officer.incoming(SOON);
    daemon.process.kill();
    daemon.restart(room.folder.path(), &room.ports, &plan);
    officer.closed();
    officer.incoming(SOON);
    assert_eq!(daemon.row("SELECT state FROM call"), "in_call");
    assert!(!daemon.process.log().contains("datagram not sent"), "nothing waits for a second try");
    officer.accept();
    officer.established();
    talk(3);
    caller.hangup();
    officer.closed();
    daemon.row_is("SELECT disposition || ' ' || ended_by FROM call", "answered caller");
    for one in ["entry", "recording"] {
        assert_eq!(daemon.row(&format!("SELECT count(*) FROM {one}")), "1", "{one}");
    }
    let recorded = daemon.recording(CALL);
    for ((said, heard), least) in says.iter().zip(&recorded.channels).zip([4, 2]) {
        let same: usize = wave::stretches(said, heard).iter().map(|one| one.length).sum();
        println!("{same} samples are recorded");
        assert!(same > least * wave::RATE, "{same} samples");
    }
}
