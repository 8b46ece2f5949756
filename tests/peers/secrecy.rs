//! SRTP by SDES with real phones, whose libsrtp is the judge of ours.

use crate::calls::{Room, connect, talk};
use crate::daemon::Plan;
use crate::twin::{FarEnd, TrunkCaller, Voice};
use crate::wave;
use base64::prelude::{BASE64_STANDARD, Engine};
use dutyline::protocol::rtp::srtp::{Guard, Keys, MasterKey, TAG};
use std::time::Duration;

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
    // In the clear come baresip's first RTCP packet, an APP "PING" before it has keys, and its RTCP BYE, which it may
    // send when they are gone.
    let strangers = daemon.row("SELECT max(strangers) FROM carried");
    assert!(["0", "1", "2"].contains(&strangers.as_str()), "{strangers} reports could not be read");
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

/// By hand: SRTP, RTP and SRTP under the same key within one call. What somebody kept of the first is not let in again.
#[test]
fn sig_20_encrypted_in_the_clear_and_encrypted_again_by_hand() {
    let Some(room) = Room::open() else { return };
    let far_end = FarEnd::start(&room.ports);
    let plan = Plan { phones: &[("9200", 60)], media: "srtp = \"offer\"", ..Plan::default() };
    let daemon = room.daemon(&plan);
    let mut caller = TrunkCaller::new(&room.ports, "13800130053");
    let key = MasterKey(std::array::from_fn(|n| n as u8 * 7));
    let inline = BASE64_STANDARD.encode(key.0);
    let version = |n: u32, sdp: String| sdp.replace("- 1 1 IN", &format!("- 1 {n} IN"));
    let crypto = format!("a=crypto:1 AES_CM_128_HMAC_SHA1_80 inline:{inline}\r\n");
    let secret = caller.offer().replace("RTP/AVP", "RTP/SAVP") + &crypto;
    assert_eq!(caller.call_offering("1001", &secret), 200);
    far_end.invited();
    let answer = caller.answered_with();
    let theirs = answer.split("inline:").nth(1).and_then(|rest| rest.split(['|', '\r']).next());
    let theirs = BASE64_STANDARD.decode(theirs.expect("its key")).expect("base64");
    let theirs = MasterKey(theirs.try_into().expect("30 bytes"));
    let mut guard = Guard::new(Keys { ours: key, theirs });
    let (mut voice, to) = (Voice::new(61), caller.remote_media());
    far_end.media.set_read_timeout(Some(Duration::from_millis(500))).expect("a timeout");
    let heard = |packet: &[u8]| {
        let mut bytes = [0; 1500];
        caller.media.send_to(packet, to).expect("sent");
        far_end.media.recv(&mut bytes).map(|length| bytes[12..length].to_vec()).ok()
    };
    let closed = |guard: &mut Guard, mut packet: Vec<u8>| {
        packet.resize(172 + TAG, 0);
        assert_eq!(guard.close(&mut packet, 172), Some(172 + TAG));
        packet
    };
    let kept: Vec<_> = (0..20u8).map(|n| closed(&mut guard, voice.packet(&[n; 160]))).collect();
    for (n, packet) in (0..).zip(&kept) {
        assert_eq!(heard(packet), Some(vec![n; 160]), "encrypted");
    }
    assert_eq!(caller.reinvite(&version(2, caller.offer())), 200);
    assert_eq!(heard(&voice.packet(&[0x41; 160])), Some(vec![0x41; 160]), "in the clear");
    let (status, answer) = caller.changes_to(&version(3, secret), 2);
    assert!(status == 200 && answer.contains("RTP/SAVP"), "{answer}");
    for packet in &kept {
        assert_eq!(heard(packet), None, "what was kept is let in again");
    }
    let new = closed(&mut guard, voice.packet(&[0x42; 160]));
    assert_eq!(heard(&new), Some(vec![0x42; 160]), "encrypted again");
    caller.hang_up_after(3);
    far_end.is_let_go();
    daemon.row_is("SELECT disposition FROM call", "answered");
}

/// By hand: it agrees on one key and encrypts with another. Nobody hears it, it is told, and under the right key it is
/// heard in the same call.
#[test]
fn sig_20_sdes_under_another_key_than_agreed_is_heard_by_nobody_and_told() {
    let Some(room) = Room::open() else { return };
    let far_end = FarEnd::start(&room.ports);
    let plan = Plan { phones: &[("9200", 60)], media: "srtp = \"offer\"", ..Plan::default() };
    let daemon = room.daemon(&plan);
    let mut caller = TrunkCaller::new(&room.ports, "13800130059");
    let key = MasterKey(std::array::from_fn(|n| n as u8 * 5));
    let inline = BASE64_STANDARD.encode(key.0);
    let crypto = format!("a=crypto:1 AES_CM_128_HMAC_SHA1_80 inline:{inline}\r\n");
    let secret = caller.offer().replace("RTP/AVP", "RTP/SAVP") + &crypto;
    assert_eq!(caller.call_offering("1001", &secret), 200);
    far_end.invited();
    far_end.media.set_read_timeout(Some(Duration::from_millis(500))).expect("a timeout");
    let (mut voice, to) = (Voice::new(62), caller.remote_media());
    let mut heard = |ours: MasterKey, packets: u8| -> usize {
        let mut guard = Guard::new(Keys { ours, theirs: MasterKey([1; 30]) });
        for n in 0..packets {
            let mut packet = voice.packet(&[n; 160]);
            packet.resize(172 + TAG, 0);
            guard.close(&mut packet, 172).expect("encrypted");
            caller.media.send_to(&packet, to).expect("sent");
            std::thread::sleep(Duration::from_millis(20));
        }
        let mut bytes = [0; 1500];
        let all = std::iter::from_fn(|| far_end.media.recv(&mut bytes).ok().map(|n| n > 12));
        all.filter(|voice| *voice).count()
    };
    assert_eq!(heard(MasterKey([0x5a; 30]), 60), 0, "under a key of its own");
    daemon.row_is("SELECT count(*) FROM audit WHERE action = 'call.undecryptable'", "1");
    assert!(heard(key, 60) > 50, "under the one that was agreed");
    caller.hang_up();
    far_end.is_let_go();
    daemon.row_is("SELECT disposition FROM call", "answered");
    // What nobody could hear is kept as it came, and is not in the WAV.
    daemon.row_is("SELECT state FROM recording", "partial");
}
