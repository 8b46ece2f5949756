//! Whom the phones ring for and what becomes of callers whom nobody takes, with real phones: ring
//! plans, queue, last resort, early media, hold, and parties that vanish without a word.

use crate::calls::{Room, connect, talk};
use crate::daemon::Plan;
use crate::twin::{FarEnd, TrunkCaller, Voice};
use crate::{have, wave};
use dutyline::protocol::rtp::{Codec, g711};
use std::net::{SocketAddr, UdpSocket};
use std::time::Duration;

const SOON: Duration = Duration::from_secs(8);
const CALL: &str = "SELECT id FROM call WHERE caller = 'caller'";

/// What the daemon says, as its file has it.
fn prompt(name: &str) -> Vec<i16> {
    let folder = concat!(env!("CARGO_MANIFEST_DIR"), "/src/io/prompts");
    let wave = wave::read(&std::path::Path::new(folder).join(name)).expect("a prompt");
    wave.channels.into_iter().next().expect("a channel")
}

fn is_whole(what: &str, said: &[i16], heard: &[i16]) {
    let found = wave::compare(said, heard).unwrap_or_else(|| panic!("{what}: nothing of it"));
    assert!(found.is_whole(), "{what}: {found:?}");
}

/// At least so many seconds in a row, wherever they begin.
fn is_heard(what: &str, said: &[i16], heard: &[i16], seconds: usize) {
    let found = wave::compare(said, heard).unwrap_or_else(|| panic!("{what}: nothing of it"));
    assert!(found.same >= seconds * wave::RATE, "{what}: {found:?}");
}

#[test]
fn sig_10_all_phones_ring_and_the_loser_is_cancelled() {
    let Some(mut room) = Room::open() else { return };
    let answering = "ring_plan = \"together\"";
    let daemon = room.daemon(&Plan { answering, ..Plan::default() });
    let (caller_says, officer_says) = (wave::voice(11, 30), wave::voice(12, 30));
    let mut caller = room.phone("caller", &caller_says);
    let mut one = room.phone("2001", &officer_says);
    let mut two = room.phone("2002", &officer_says);
    caller.dial("1001");
    one.incoming(SOON);
    two.incoming(SOON);
    two.accept();
    caller.established();
    one.closed();
    talk(4);
    caller.hangup();
    two.closed();
    daemon.row_is("SELECT answered_by FROM call", "话机2002");
    daemon.row_is("SELECT status FROM leg WHERE phone = '话机2001'", "487");
    is_whole("the officer hears the caller", &caller_says, &two.heard());
    is_whole("the caller hears the officer", &officer_says, &caller.heard());
    let recorded = daemon.recording(CALL);
    is_whole("left is the caller", &caller_says, &recorded.channels[0]);
}

#[test]
fn sig_10_the_second_phone_begins_after_its_time_while_the_first_rings_on() {
    let Some(mut room) = Room::open() else { return };
    let daemon = room.daemon(&Plan {
        phones: &[],
        answering: "[[phones]]\nname = \"值班台\"\ntarget = \"2001\"\n\
                    [[phones]]\nname = \"备用\"\ntarget = \"2002\"\nafter_seconds = 3",
        ..Plan::default()
    });
    let says = wave::voice(1, 20);
    let mut caller = room.phone("caller", &says);
    let mut one = room.phone("2001", &says);
    let mut two = room.phone("2002", &says);
    caller.dial("1001");
    one.incoming(SOON);
    two.incoming(SOON);
    one.accept();
    caller.established();
    two.closed();
    caller.hangup();
    one.closed();
    let apart = "SELECT max(rung_ms) - min(rung_ms) BETWEEN 2900 AND 4500 FROM leg";
    daemon.row_is(apart, "1");
}

#[test]
fn sig_11_who_waits_hears_the_announcement_and_is_rung_through_when_the_officer_is_free() {
    let Some(mut room) = Room::open() else { return };
    let phones: &[_] = &[("2001", 20)];
    let answering = "when_busy = \"queue\"";
    let daemon = room.daemon(&Plan { phones, answering, ..Plan::default() });
    let voices: Vec<_> = (31..34).map(|seed| wave::voice(seed, 60)).collect();
    let mut first = room.phone("caller2", &voices[0]);
    let mut officer = room.single_phone("2001", &voices[1]);
    let mut caller = room.phone("caller", &voices[2]);
    connect(&mut first, &mut officer);
    caller.dial("1001");
    caller.established();
    daemon.row_is("SELECT count(*) FROM stretch WHERE kind = 'queued' AND to_ms IS NULL", "1");
    talk(6);
    first.hangup();
    officer.closed();
    officer.incoming(SOON);
    officer.accept();
    officer.established();
    talk(4);
    caller.hangup();
    officer.closed();
    daemon.row_is("SELECT count(*) FROM call WHERE disposition = 'answered'", "2");
    daemon.row_is("SELECT count(*) FROM stretch WHERE to_ms - from_ms > 5000", "1");
    is_heard("the announcement", &prompt("queue.wav"), &caller.heard(), 5);
    is_whole("the officer hears who waited", &voices[2], &officer.heard());
    let recorded = daemon.recording(CALL);
    is_heard("the announcement is on the right", &prompt("queue.wav"), &recorded.channels[1], 5);
    is_heard("the caller is on the left", &voices[2], &recorded.channels[0], 8);
}

#[test]
fn sig_12_nobody_answers_so_the_caller_leaves_a_message() {
    let Some(mut room) = Room::open() else { return };
    let phones: &[_] = &[("2001", 20)];
    let answering = "message_after_seconds = 3";
    let daemon = room.daemon(&Plan { phones, answering, ..Plan::default() });
    let says = wave::voice(41, 60);
    let mut caller = room.phone("caller", &says);
    let mut officer = room.phone("2001", &says);
    caller.dial("1001");
    officer.incoming(SOON);
    caller.established();
    officer.closed();
    daemon.row_is("SELECT count(*) FROM stretch WHERE kind = 'message'", "1");
    let greeting = prompt("greeting.wav");
    // The greeting, the beep, and a message of some seconds.
    talk(greeting.len() as u64 / 8000 + 7);
    caller.press('#');
    caller.closed();
    daemon.row_is("SELECT disposition FROM call", "message");
    daemon.row_is("SELECT state FROM callback", "open");
    is_heard("the greeting", &greeting, &caller.heard(), 9);
    let recorded = daemon.recording(CALL);
    is_heard("the message", &says, &recorded.channels[0], 12);
    is_heard("the greeting is on the right", &greeting, &recorded.channels[1], 9);
}

#[test]
fn what_the_site_says_in_its_own_voice_is_heard_and_recorded() {
    let Some(mut room) = Room::open() else { return };
    let folder = tempfile::tempdir().expect("a folder");
    let own = wave::voice(51, 6);
    wave::write_mono(&folder.path().join("greeting.wav"), &own);
    let answering = format!("message_after_seconds = 1\n[prompts]\nfolder = {:?}", folder.path());
    let phones: &[_] = &[("2001", 20)];
    let daemon = room.daemon(&Plan { phones, answering: &answering, ..Plan::default() });
    let mut caller = room.phone("caller", &wave::voice(52, 30));
    let _officer = room.phone("2001", &wave::voice(53, 30));
    caller.dial("1001");
    caller.established();
    talk(8);
    caller.hangup();
    is_heard("the greeting", &own, &caller.heard(), 5);
    is_heard("it is on the right", &own, &daemon.recording(CALL).channels[1], 5);
}

/// A second of voice each way, each packet as it was said: of a caller and a far end, each by its way into the daemon.
fn hear_each_other([caller, far_end]: [&UdpSocket; 2], [to, from]: [SocketAddr; 2]) {
    let (mut town, mut phone) = (Voice::new(5), Voice::new(6));
    let mut heard = [0; 2048];
    for socket in [caller, far_end] {
        socket.set_read_timeout(Some(SOON)).expect("a timeout");
    }
    for n in 0..50_u8 {
        let (said, answered) = ([n; 160], [n ^ 0x55; 160]);
        far_end.send_to(&phone.packet(&answered), from).expect("sent");
        let length = caller.recv(&mut heard).expect("the far end's voice");
        assert_eq!(heard[12..length], answered);
        caller.send_to(&town.packet(&said), to).expect("sent");
        let length = far_end.recv(&mut heard).expect("the caller's voice");
        assert_eq!(heard[12..length], said);
    }
}

#[test]
fn sig_13_early_media_is_heard_both_ways_kept_and_no_answer() {
    if !have(&["kamailio"]) {
        return;
    }
    let Some(room) = Room::open() else { return };
    let far_end = FarEnd::start(&room.ports);
    let daemon = room.daemon(&Plan { phones: &[("9183", 30)], ..Plan::default() });
    let mut caller = TrunkCaller::new(&room.ports, "13800130007");
    let to_daemon = caller.hears_early("1001");
    let from_daemon = far_end.invited().media();
    hear_each_other([&caller.media, &far_end.media], [to_daemon, from_daemon]);
    assert_eq!(daemon.row("SELECT state FROM call"), "ringing", "early media is no answer");
    daemon.row_is("SELECT count(*) FROM stretch WHERE kind = 'early' AND to_ms IS NULL", "1");
    assert_eq!(caller.gives_up("1001"), 487);
    daemon.row_is("SELECT disposition FROM call", "abandoned");
    daemon.row_is("SELECT state FROM recording", "sealed");
    let recorded = daemon.recording("SELECT id FROM call");
    let [left, right] = &recorded.channels[..] else { panic!("{}", recorded.channels.len()) };
    assert_eq!((kept(left, |n| n), kept(left, |n| n ^ 0x55)), (50, 0), "left is the caller");
    assert_eq!((kept(right, |n| n ^ 0x55), kept(right, |n| n)), (50, 0), "right is the far end");
}

/// How many of the packets of [`hear_each_other`] are here, each whole and in their order.
fn kept(side: &[i16], said: impl Fn(u8) -> u8) -> usize {
    let mut begin = 0;
    let mut is_here = |n: &u8| {
        let packet = [g711::decode(Codec::Pcma, said(*n)); 160];
        let found = side[begin..].windows(160).position(|heard| heard == packet);
        begin += found.map_or(0, |found| found + 160);
        found.is_some()
    };
    (0..50).filter(|n| is_here(n)).count()
}

/// Nothing is heard of the one who holds; a watchdog of four seconds would end the call.
fn hold_and_resume(by_officer: bool) {
    let Some(mut room) = Room::open() else { return };
    let answering = "silence_seconds = 4\none_sided_silence_seconds = 4";
    let daemon = room.daemon(&Plan { answering, ..Plan::default() });
    let says = wave::voice(51, 60);
    let mut caller = room.phone("caller", &says);
    let mut officer = room.phone("2001", &says);
    connect(&mut caller, &mut officer);
    talk(1);
    let party = if by_officer { "officer" } else { "caller" };
    let count = |state: &str| {
        format!(
            "SELECT count(*) FROM stretch WHERE kind = 'hold' AND party = '{party}' AND {state}"
        )
    };
    let holder = if by_officer { &mut officer } else { &mut caller };
    holder.hold();
    daemon.row_is(&count("to_ms IS NULL"), "1");
    talk(16);
    let holder = if by_officer { &mut officer } else { &mut caller };
    holder.resume();
    daemon.row_is(&count("to_ms - from_ms BETWEEN 15000 AND 19000"), "1");
    // The telephones report what they get every five seconds.
    talk(8);
    assert_eq!(daemon.row("SELECT state FROM call"), "in_call");
    caller.hangup();
    officer.closed();
    daemon.row_is("SELECT disposition FROM call", "answered");
    let told = daemon.row("SELECT group_concat(party || ' ' || far_lost) FROM quality");
    assert_eq!(told, "caller 0,officer 0", "what was not sent meanwhile is not lost");
}

#[test]
fn sig_15_the_officer_s_phone_holds_for_16_s_and_resumes() {
    hold_and_resume(true);
}

#[test]
fn sig_15_the_caller_s_phone_holds_for_16_s_and_resumes() {
    hold_and_resume(false);
}

/// A PBX that resumes by an offerless re-INVITE, as in third-party call control (RFC 6337 §5.3).
#[test]
fn sig_15_whoever_holds_and_then_leaves_the_offer_to_us_is_heard_again() {
    let Some(room) = Room::open() else { return };
    let far_end = FarEnd::start(&room.ports);
    let daemon = room.daemon(&Plan { phones: &[("9200", 20)], ..Plan::default() });
    let mut caller = TrunkCaller::new(&room.ports, "13800130062");
    assert_eq!(caller.call("1001"), 200);
    let from_daemon = far_end.invited().media();
    let to_daemon = caller.remote_media();
    let (status, answer) = caller.changes_to(&format!("{}a=sendonly\r\n", caller.offer()), 1);
    assert!(status == 200 && answer.contains("a=recvonly"), "{status} {answer}");
    let held =
        |state: &str| format!("SELECT count(*) FROM stretch WHERE kind = 'hold' AND {state}");
    daemon.row_is(&held("to_ms IS NULL"), "1");
    assert_eq!(caller.leaves_the_offer(2), 200);
    daemon.row_is(&held("to_ms IS NOT NULL"), "1");
    hear_each_other([&caller.media, &far_end.media], [to_daemon, from_daemon]);
}

#[test]
fn sig_23_a_caller_who_vanishes_without_a_bye_ends_the_call_with_its_reason() {
    let Some(mut room) = Room::open() else { return };
    let daemon =
        room.daemon(&Plan { answering: "one_sided_silence_seconds = 6", ..Plan::default() });
    let says = wave::voice(61, 60);
    let mut caller = room.phone("caller", &says);
    let mut officer = room.phone("2001", &says);
    connect(&mut caller, &mut officer);
    talk(3);
    caller.vanishes();
    officer.wait("CALL_CLOSED", Duration::from_secs(20));
    daemon.row_is("SELECT why FROM call", "no voice from the caller for 6 s");
    daemon.row_is("SELECT disposition FROM call", "interrupted");
    is_whole("what was said is kept", &says, &daemon.recording(CALL).channels[0]);
}

#[test]
fn sig_23_nobody_says_anything_any_more() {
    let Some(room) = Room::open() else { return };
    let _far_end = FarEnd::start(&room.ports);
    let daemon = room.daemon(&Plan {
        phones: &[("9200", 20)],
        answering: "silence_seconds = 6",
        ..Plan::default()
    });
    let mut caller = TrunkCaller::new(&room.ports, "13800130007");
    assert_eq!(caller.call("1001"), 200);
    caller.is_hung_up();
    daemon.row_is("SELECT why FROM call", "no voice from either side for 6 s");
}
