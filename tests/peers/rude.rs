//! Peers that do what the RFC allows and few do, or what it forbids and some do: through the PBX and past it. No call
//! is lost by it, and none ends but the one that they mean.

use crate::calls::Room;
use crate::daemon::{Daemon, Plan};
use crate::kamailio::{Kamailio, Setup, TRUNK};
use crate::twin::{FarEnd, Seen, TrunkCaller, Voice};
use dutyline::protocol::rtp::{Codec, g711};
use std::io::{Read, Write};
use std::net::{SocketAddr, TcpStream, UdpSocket};
use std::time::{Duration, Instant};

const SOON: Duration = Duration::from_secs(8);
const HOW: &str = "SELECT disposition || ' ' || coalesce(ended_by, '') FROM call";

fn room(phone: &str) -> Option<(Room, FarEnd, Daemon)> {
    let room = Room::open()?;
    let far_end = FarEnd::start(&room.ports);
    let daemon = room.daemon(&Plan { phones: &[(phone, 60)], ..Plan::default() });
    Some((room, far_end, daemon))
}

/// What one says the other hears.
pub fn is_heard(from: &UdpSocket, at: SocketAddr, by: &UdpSocket, seed: u32) {
    by.set_read_timeout(Some(Duration::from_millis(20))).expect("a timeout");
    let (mut voice, mut packet) = (Voice::new(seed), [0; 1500]);
    for _ in 0..200 {
        from.send_to(&voice.packet(&[seed as u8; 160]), at).expect("sent");
        if by.recv(&mut packet).is_ok() && packet[12..172] == [seed as u8; 160] {
            return;
        }
    }
    panic!("nothing was heard");
}

#[test]
fn sig_14_a_caller_who_leaves_the_offer_to_us_answers_it_in_his_ack() {
    let Some((room, far_end, daemon)) = room("9200") else { return };
    let mut caller = TrunkCaller::new(&room.ports, "13800130041");
    let at_line = caller.answers_in_its_ack("1001");
    let invite = far_end.invited();
    is_heard(&caller.media, at_line, &far_end.media, 0x31);
    is_heard(&far_end.media, invite.media(), &caller.media, 0x32);
    caller.hang_up();
    far_end.is_let_go();
    daemon.row_is(HOW, "answered caller");
    daemon.row_is("SELECT state FROM recording", "sealed");
}

/// The first three copies of the 180 are lost on the way back, as the PBX believes: it is said on until the PRACK, and
/// then no more (RFC 3262 §3).
#[test]
fn sig_18_ringing_is_said_until_it_is_acknowledged() {
    let Some((room, far_end, daemon)) = room("9180") else { return };
    let mut caller = TrunkCaller::straight(&room.ports, "13800130054");
    let since = Instant::now();
    caller.acknowledges_the_ringing("1001", 3);
    // T1, and twice that.
    assert!(since.elapsed() >= Duration::from_millis(1_450), "{:?}", since.elapsed());
    let invite = far_end.invited();
    far_end.answers(&invite, "200 OK");
    assert_eq!(caller.is_answered(), 200);
    is_heard(&far_end.media, invite.media(), &caller.media, 0x3c);
    caller.hang_up_after(2);
    far_end.is_let_go();
    daemon.row_is(HOW, "answered caller");
}

/// Some end a call that rings by BYE in the place of CANCEL (RFC 3261 §15 lets them).
#[test]
fn sig_08_a_caller_who_gives_up_by_bye_stops_the_ringing() {
    let Some((room, far_end, daemon)) = room("9180") else { return };
    let mut caller = TrunkCaller::new(&room.ports, "13800130042");
    caller.dials("1001");
    far_end.invited();
    assert_eq!(caller.asks_while_it_rings("BYE", None), (200, Some(487)));
    far_end.is_let_go();
    daemon.row_is(HOW, "abandoned caller");
    daemon.row_is("SELECT count(*) FROM callback", "1");
}

/// A key while it rings is answered, and it rings on.
#[test]
fn sig_22_an_info_in_an_early_dialog_disturbs_nothing() {
    let Some((room, far_end, daemon)) = room("9180") else { return };
    let mut caller = TrunkCaller::new(&room.ports, "13800130043");
    caller.dials("1001");
    let invite = far_end.invited();
    let (status, call) = caller.asks_while_it_rings("INFO", Some("Signal=1\r\nDuration=160\r\n"));
    assert!(call.is_none() && status >= 200, "{status} {call:?}");
    far_end.answers(&invite, "200 OK");
    assert_eq!(caller.is_answered(), 200);
    is_heard(&far_end.media, invite.media(), &caller.media, 0x33);
    caller.hang_up_after(2);
    far_end.is_let_go();
    daemon.row_is(HOW, "answered caller");
}

/// Its ACK is lost on the way, again and again, as it believes: each copy is acknowledged, and the call goes on.
#[test]
fn sig_08_a_phone_that_answers_for_ever_is_one_call() {
    let Some((room, far_end, daemon)) = room("9200") else { return };
    let mut caller = TrunkCaller::new(&room.ports, "13800130044");
    assert_eq!(caller.call("1001"), 200);
    let invite = far_end.invited();
    for _ in 0..50 {
        far_end.answers(&invite, "200 OK");
        std::thread::sleep(Duration::from_millis(20));
    }
    is_heard(&far_end.media, invite.media(), &caller.media, 0x34);
    daemon.row_is("SELECT state FROM call", "in_call");
    assert_eq!(daemon.row("SELECT count(*) FROM leg"), "1");
    far_end.hangs_up(&invite);
    caller.is_hung_up();
    daemon.row_is(HOW, "answered officer");
    far_end.answers(&invite, "200 OK");
    assert_eq!(daemon.row("SELECT count(*) FROM entry"), "1");
}

#[test]
fn sig_08_a_cancel_after_the_answer_ends_nothing() {
    let Some((room, far_end, daemon)) = room("9200") else { return };
    let mut caller = TrunkCaller::straight(&room.ports, "13800130045");
    assert_eq!(caller.call("1001"), 200);
    let invite = far_end.invited();
    let status = caller.cancels_after_the_answer("1001");
    assert!(status == 200 || status == 481, "{status}");
    is_heard(&far_end.media, invite.media(), &caller.media, 0x35);
    daemon.row_is("SELECT state FROM call", "in_call");
    caller.hang_up();
    far_end.is_let_go();
    daemon.row_is(HOW, "answered caller");
}

/// Everything within the call goes by both, in their order, from either side (RFC 3261 §12.2.1.1, §16.12).
#[test]
fn sig_14_two_proxies_stay_on_the_way_of_everything_in_the_call() {
    let Some((room, far_end, daemon)) = room("9200") else { return };
    let edge = room.ports.own(1);
    let setup = Setup { port: Some(edge), with: &["EDGE"], ..Setup::default() };
    let proxy = Kamailio::set_up_at(TRUNK, room.folder.path(), &room.ports, &setup);
    let place = format!("{TRUNK}:{edge}").parse().expect("an address");
    let mut caller = TrunkCaller::new(&room.ports, "13800130046").by(place);
    assert_eq!(caller.call("1001"), 200);
    assert_eq!(caller.proxies(), 2);
    let invite = far_end.invited();
    caller.media = UdpSocket::bind("127.0.0.1:0").expect("another port");
    assert_eq!(caller.reinvite(&caller.offer()), 200);
    is_heard(&far_end.media, invite.media(), &caller.media, 0x36);
    far_end.hangs_up(&invite);
    caller.is_hung_up();
    daemon.row_is(HOW, "answered officer");
    assert_eq!(proxy.count("EDGE BYE"), 1, "our BYE went by it: {}", proxy.process.log());
}

/// One byte at a time, then fifty messages in one segment: each is answered once.
#[test]
fn sig_21_and_rel_10_over_a_real_connection_one_byte_at_a_time_and_fifty_at_once() {
    let Some((room, _far_end, daemon)) = room("9200") else { return };
    let mut connection = TcpStream::connect(("127.0.0.1", room.ports.line())).expect("it listens");
    connection.set_nodelay(true).expect("set");
    connection.set_read_timeout(Some(SOON)).expect("a timeout");
    let local = connection.local_addr().expect("an address");
    let options = |n: u32| {
        format!(
            "OPTIONS sip:1001@127.0.0.1 SIP/2.0\r\nVia: SIP/2.0/TCP {local};branch=z9hG4bK-o{n};rport\r\n\
             Max-Forwards: 70\r\nFrom: <sip:pbx@127.0.0.1>;tag=o\r\nTo: <sip:1001@127.0.0.1>\r\n\
             Call-ID: o{n}\r\nCSeq: 1 OPTIONS\r\nContent-Length: 4\r\n\r\nbody"
        )
    };
    let mut answered = String::new();
    let mut answers = |connection: &mut TcpStream, wanted: usize| {
        let mut bytes = [0; 65536];
        while answered.matches("SIP/2.0 200 ").count() < wanted {
            let length = connection.read(&mut bytes).expect("an answer in time");
            assert!(length > 0, "closed after {answered}");
            answered += &String::from_utf8_lossy(&bytes[..length]);
        }
        answered.clone()
    };
    for byte in options(0).as_bytes() {
        connection.write_all(&[*byte]).expect("written");
    }
    answers(&mut connection, 1);
    let fifty: String = (1..=50).map(options).collect();
    connection.write_all(fifty.as_bytes()).expect("written");
    let all = answers(&mut connection, 51);
    for n in 0..=50 {
        assert_eq!(all.matches(&format!("Call-ID: o{n}\r\n")).count(), 1, "{n}");
    }
    assert_eq!(daemon.row("SELECT count(*) FROM call"), "0");
}

/// A version is for whoever looks for holes; the address that asks is the PBX's here.
#[test]
fn rel_t07_nothing_that_we_say_tells_our_version() {
    let Some((room, far_end, daemon)) = room("9200") else { return };
    let mut caller = TrunkCaller::straight(&room.ports, "13800130047");
    assert_eq!(caller.call("1001"), 200);
    let invite = far_end.invited();
    assert_eq!([invite.get("user-agent"), caller.told("server")], ["dutyline"; 2]);
    caller.hang_up();
    far_end.is_let_go();
    daemon.row_is(HOW, "answered caller");
}

/// Only the room's phones hand a call on: the caller's REFER is declined, and nobody's telephone rings by it.
#[test]
fn sig_30_a_refer_by_the_town_calls_nobody() {
    let Some((room, far_end, daemon)) = room("9200") else { return };
    let mut caller = TrunkCaller::new(&room.ports, "13800130048");
    assert_eq!(caller.call("1001"), 200);
    let invite = far_end.invited();
    for (n, to) in (1..).zip(["9180", "9183", "0044123456", "110"]) {
        assert_eq!(caller.refers(to, n), 603, "{to}");
    }
    is_heard(&far_end.media, invite.media(), &caller.media, 0x37);
    caller.hang_up_after(5);
    far_end.is_let_go();
    daemon.row_is(HOW, "answered caller");
    assert_eq!(daemon.row("SELECT count(*) FROM leg WHERE status = 200"), "1");
}

/// The PBX's own hold music or another phone behind it: A-law becomes mu-law within the call.
#[test]
fn sig_19_a_caller_who_changes_to_mu_law_within_the_call_is_heard_and_recorded() {
    let Some((room, far_end, daemon)) = room("9200") else { return };
    let mut caller = TrunkCaller::new(&room.ports, "13800130049");
    assert_eq!(caller.call("1001"), 200);
    let invite = far_end.invited();
    is_heard(&far_end.media, invite.media(), &caller.media, 0x38);
    let mu_law = caller.offer().replace("RTP/AVP 8", "RTP/AVP 0").replace("8 PCMA", "0 PCMU");
    let (status, answer) = caller.changes_to(&mu_law.replace("- 1 1 IN", "- 1 2 IN"), 1);
    assert!(status == 200 && answer.contains("m=audio ") && answer.contains(" 0 101"), "{answer}");
    let (mut voice, mut packet) = (Voice::new(0x39), [0; 1500]);
    let to = caller.remote_media();
    let said = g711::encode(Codec::Pcmu, 8000);
    let heard = g711::encode(Codec::Pcma, g711::decode(Codec::Pcmu, said));
    far_end.media.set_read_timeout(Some(Duration::from_millis(20))).expect("a timeout");
    let reached = (0..200).any(|_| {
        let mut bytes = voice.packet(&[said; 160]);
        bytes[1] = 0;
        caller.media.send_to(&bytes, to).expect("sent");
        far_end.media.recv(&mut packet).is_ok() && packet[1] == 8 && packet[12..172] == [heard; 160]
    });
    assert!(reached, "the officer's phone hears A-law");
    caller.hang_up_after(2);
    far_end.is_let_go();
    daemon.row_is(HOW, "answered caller");
    let recorded = daemon.recording("SELECT id FROM call");
    let level = g711::decode(Codec::Pcmu, said);
    assert!(recorded.channels[0].contains(&level), "mu-law is in the recording");
}

/// Whoever has seen the signalling and is not the PBX: right names, right tags, another address.
#[test]
fn sig_28_what_is_forged_from_another_address_is_not_even_answered() {
    let Some((room, far_end, daemon)) = room("9200") else { return };
    let mut caller = TrunkCaller::new(&room.ports, "13800130050");
    assert_eq!(caller.call("1001"), 200);
    let invite = far_end.invited();
    let forger = UdpSocket::bind("127.0.0.77:0").expect("a port");
    forger.set_read_timeout(Some(Duration::from_millis(300))).expect("a timeout");
    let here = forger.local_addr().expect("an address");
    for (n, method) in (50..).zip(["BYE", "CANCEL", "INVITE", "UPDATE", "REFER", "INFO"]) {
        let text = format!(
            "{method} sip:1001@127.0.0.1 SIP/2.0\r\nVia: SIP/2.0/UDP {here};branch=z9hG4bKf{n}\r\n\
             Max-Forwards: 70\r\nFrom: {};tag=far\r\nTo: {}\r\nCall-ID: {}\r\nCSeq: {n} {method}\r\n\
             Contact: <sip:evil@{here}>\r\nRefer-To: <sip:9180@127.0.0.1>\r\nContent-Length: 0\r\n\r\n",
            invite.get("to"),
            invite.get("from"),
            invite.get("call-id"),
        );
        forger.send_to(text.as_bytes(), ("127.0.0.1", room.ports.line())).expect("sent");
    }
    assert!(forger.recv(&mut [0; 1500]).is_err(), "nothing is answered");
    is_heard(&far_end.media, invite.media(), &caller.media, 0x3a);
    is_heard(&caller.media, caller.remote_media(), &far_end.media, 0x3b);
    daemon.row_is("SELECT state FROM call", "in_call");
    let told = "SELECT group_concat(substr(detail, 1, 14)) FROM audit WHERE action = 'call.forged'";
    daemon.row_is(told, "BYE 127.0.0.77");
    caller.hang_up();
    far_end.is_let_go();
    daemon.row_is(HOW, "answered caller");
    assert_eq!(daemon.row("SELECT count(*) FROM leg"), "1");
}

/// The digest leak: a phone that asks for a proof of our BYE, in the PBX's realm, gets none.
#[test]
fn sig_29_a_phone_that_challenges_our_bye_is_shown_no_proof() {
    let Some((room, far_end, daemon)) = room("9201") else { return };
    let mut caller = TrunkCaller::new(&room.ports, "13800130051");
    assert_eq!(caller.call("1001"), 200);
    far_end.invited();
    caller.hang_up();
    daemon.row_is(HOW, "answered caller");
    let limit = Instant::now() + Duration::from_secs(3);
    let mut byes = 0;
    while let Ok(seen) = far_end.seen.recv_timeout(limit.saturating_duration_since(Instant::now()))
    {
        if let Seen::Answered(401, proof) = seen {
            byes += 1;
            assert_eq!(proof, "", "no Authorization");
        }
    }
    assert_eq!(byes, 1, "and it is not asked again");
}

/// A phone that is forwarded elsewhere by itself (302) is passed over: whom we dial says the site.
#[test]
fn sig_30_a_phone_that_redirects_us_is_passed_over() {
    let Some(room) = Room::open() else { return };
    let far_end = FarEnd::start(&room.ports);
    let phones = [("9302", 60), ("9200", 60)];
    let daemon = room.daemon(&Plan { phones: &phones, ..Plan::default() });
    let mut caller = TrunkCaller::new(&room.ports, "13800130052");
    assert_eq!(caller.call("1001"), 200);
    let rung = [far_end.invited(), far_end.invited()]
        .map(|invite| invite.first.split([':', '@']).nth(1).map(str::to_owned).unwrap_or_default());
    assert_eq!(rung, ["9302", "9200"], "and nobody else");
    caller.hang_up();
    far_end.is_let_go();
    daemon.row_is(HOW, "answered caller");
    let legs = "SELECT group_concat(phone || ' ' || coalesce(status, 0)) FROM leg";
    assert_eq!(daemon.row(legs), "话机9302 302,话机9200 200");
}
