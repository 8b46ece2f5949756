//! Strangers, forgeries, nonsense and floods.

use super::*;
use crate::protocol::sip::Ending;
use crate::protocol::sip::message::SDP as SDP_TYPE;
use crate::protocol::sip::stream::Framer;
use crate::protocol::sip::{address, digest};
use proptest::prelude::*;

pub const CONTACT: &str = "Contact: <sip:c@192.0.2.1:5060>\r\n";

pub fn line() -> Endpoint {
    endpoint(account(LINE, udp(PBX)))
}

/// A session opened by hand-written messages, and our tag.
pub fn talking() -> (Endpoint, LegId, String) {
    talking_by(account(LINE, udp(PBX)))
}

pub fn talking_by(account: Account) -> (Endpoint, LegId, String) {
    let mut line = endpoint(account);
    let (_, events) = ask(&mut line, &request("INVITE", CONTACT));
    let leg = incoming(&events);
    line.answer(leg, SDP.into(), start());
    let ok = String::from_utf8(line.poll_transmit().unwrap().bytes).unwrap();
    let tag = ok.split_once("101@duty.example>;tag=").unwrap().1[..16].to_owned();
    let (_, events) = ask(&mut line, &inside("ACK", 1, &tag, ""));
    assert_eq!(events, [Event::Confirmed { leg }]);
    (line, leg, tag)
}

/// A request of the PBX within that session.
pub fn inside(method: &str, cseq: u32, tag: &str, more: &str) -> String {
    request(method, more)
        .replace("To: <sip:101@duty.example>", &format!("To: <sip:101@duty.example>;tag={tag}"))
        .replace(&format!("CSeq: 1 {method}"), &format!("CSeq: {cseq} {method}"))
        .replace(&format!("{method}1"), &format!("{method}{cseq}"))
}

pub fn with_sdp(more: &str) -> String {
    format!("{more}Content-Type: {SDP_TYPE}\r\n")
}

/// These header lines, and a description as the body.
pub fn described(lines: &str, sdp: &str) -> String {
    format!("{}Content-Length: {}\r\n\r\n{sdp}", with_sdp(lines), sdp.len())
}

pub fn offer(method: &str, cseq: u32, tag: &str) -> String {
    inside(method, cseq, tag, &with_sdp(CONTACT)) + "v=0"
}

pub fn statuses(out: &[String]) -> Vec<u16> {
    out.iter().map(|text| status(text)).collect()
}

pub fn sent(line: &mut Endpoint) -> Vec<String> {
    let out = std::iter::from_fn(|| line.poll_transmit());
    out.map(|transmit| String::from_utf8_lossy(&transmit.bytes).into_owned()).collect()
}

#[test]
fn sig_27_every_method_from_a_stranger_is_dropped_and_counted() {
    let mut line = line();
    let known = Method::all().into_iter().map(|method| method.to_string());
    for method in known.chain(["NEWMETHOD".into()]) {
        for stranger in [udp("198.51.100.1:5060"), tcp("198.51.100.1:5060")] {
            let text = request(&method, CONTACT);
            let (out, events) = ask_from(&mut line, stranger, text.as_bytes());
            assert_eq!((out.len(), line.load()), (0, (0, 0)));
            assert_eq!(events, [Event::Dropped { from: stranger, why: "stranger" }]);
        }
    }
}

#[test]
fn sig_28_a_forged_bye_cancel_or_invite_changes_nothing() {
    let (mut line, leg, tag) = talking();
    let stranger = udp("198.51.100.1:5060");
    let mut told = vec![];
    for text in [inside("BYE", 2, &tag, ""), request("CANCEL", ""), offer("INVITE", 2, &tag)] {
        let (out, mut events) = ask_from(&mut line, stranger, text.as_bytes());
        assert_eq!(events.pop(), Some(Event::Dropped { from: stranger, why: "stranger" }));
        assert_eq!(out.len(), 0);
        told.extend(events);
    }
    assert_eq!(told, [Event::Forged { leg, from: stranger, method: "BYE" }], "and told, once");
    // With everything right but the address; what a call can be changed, muted or ended by.
    let rack = format!("{CONTACT}RAck: 1 1 INVITE\r\n");
    let again = inside("CANCEL", 1, &tag, "").replace("CANCEL1", "INVITE1");
    let keys = inside("INFO", 3, &tag, "Content-Type: application/dtmf-relay\r\n") + "Signal=9";
    let forged = [
        offer("UPDATE", 2, &tag),
        inside("PRACK", 2, &tag, &rack),
        inside("ACK", 1, &tag, ""),
        inside("UPDATE", 4, &tag, &format!("{CONTACT}Session-Expires: 90;refresher=uac\r\n")),
        inside("INVITE", 4, &tag, CONTACT),
        inside("REFER", 5, &tag, "Refer-To: <sip:0086138@far>\r\n"),
        again,
        keys,
    ];
    let before = line.load();
    for text in forged {
        for stranger in [udp("198.51.100.1:5060"), udp("192.0.2.2:5060"), tcp("198.51.100.1:5060")]
        {
            let (out, events) = ask_from(&mut line, stranger, text.as_bytes());
            assert_eq!((out.len(), line.load()), (0, before), "{text}");
            assert_eq!(events, [Event::Dropped { from: stranger, why: "stranger" }]);
        }
    }
    // Their numbers were not taken either: the PBX goes on where it was.
    assert_eq!(statuses(&ask(&mut line, &inside("INFO", 2, &tag, "")).0), [200]);
    for forged in [inside("BYE", 2, "0123456789abcdef", ""), inside("BYE", 2, &tag, "")] {
        let forged = forged.replace("tag=theirs", "tag=other");
        assert_eq!(statuses(&ask(&mut line, &forged).0), [481]);
        line = talking().0;
    }
    let (mut line, _, tag) = talking();
    let (out, events) = ask(&mut line, &inside("BYE", 2, &tag, ""));
    assert_eq!(statuses(&out), [200]);
    assert_eq!(events, [Event::Ended { leg, ending: Ending::Bye }]);
}

/// Nobody makes us dial: neither by an answer to a call of ours, nor by asking.
#[test]
fn sig_30_redirections_and_strangers_transfers_are_refused() {
    let mut line = line();
    let leg = line.invite(call(), start());
    let invite = sent(&mut line).remove(0);
    let copied = invite.lines().filter(|line| {
        ["Via:", "From:", "Call-ID:", "CSeq:"].iter().any(|name| line.starts_with(name))
    });
    let copied = copied.collect::<Vec<_>>().join("\r\n");
    for status in [300, 301, 302, 305, 380] {
        let mut line = endpoint(account(LINE, udp(PBX)));
        let leg = line.invite(call(), start());
        assert_eq!(sent(&mut line).remove(0), invite, "the same numbers");
        let moved = format!(
            "SIP/2.0 {status} Moved\r\n{copied}\r\nTo: <sip:200@duty.example>;tag=x\r\n\
             Contact: <sip:0012025550100@198.51.100.1>, <sip:900@{PBX}>\r\n\r\n"
        );
        let (out, events) = ask(&mut line, &moved);
        assert!(out.len() == 1 && out[0].starts_with("ACK "), "{out:?}");
        assert!(
            matches!(&events[..], [Event::Refused { leg: l, status: s, .. }] if (*l, *s) == (leg, status))
        );
        assert_eq!(line.load().1, 0, "nothing else is dialled");
    }
    line.cancel(leg, start());
    let (mut line, leg, tag) = talking();
    let replaces = format!("{CONTACT}Replaces: call-1;to-tag={tag};from-tag=theirs\r\n");
    let refer = format!("{CONTACT}Refer-To: <sip:0012025550100@far?Replaces=call-1>\r\n");
    let before = line.load();
    let stranger = udp("198.51.100.1:5060");
    let mut told = vec![];
    for text in [
        request("INVITE", &replaces).replace("Call-ID: call-1", "Call-ID: call-2"),
        request("REFER", &refer),
    ] {
        let (out, mut events) = ask_from(&mut line, stranger, text.as_bytes());
        assert_eq!((out.len(), line.load()), (0, before));
        assert_eq!(events.pop(), Some(Event::Dropped { from: stranger, why: "stranger" }));
        told.extend(events);
    }
    assert_eq!(told, [Event::Forged { leg, from: stranger, method: "REFER" }]);
    let (out, events) = ask(&mut line, &request("REFER", &refer));
    assert_eq!((statuses(&out), events.len()), (vec![603], 0), "nor outside a call of ours");
}

#[test]
fn sig_27_methods_we_do_not_serve() {
    for (method, expected) in [
        ("REGISTER", 405),
        ("MESSAGE", 405),
        ("PUBLISH", 405),
        ("SUBSCRIBE", 489),
        ("REFER", 603),
        ("NOTIFY", 200),
        ("BYE", 481),
        ("UPDATE", 481),
        ("INFO", 481),
        ("CANCEL", 481),
        ("NEWMETHOD", 501),
        ("options", 501),
    ] {
        let mut line = line();
        let (out, events) = ask(&mut line, &request(method, ""));
        assert_eq!((statuses(&out), events.len()), (vec![expected], 0), "{method}");
        let allowed = matches!(expected, 405 | 501);
        assert_eq!(out[0].contains("\r\nAllow: INVITE"), allowed, "{method}");
    }
}

#[test]
fn rel_an_invite_that_cannot_be_understood_is_a_row_and_gets_its_refusal() {
    for (more, expected, says) in [
        ("Require: 100rel, y, x\r\n", 420, "\r\nUnsupported: y, x\r\n"),
        ("Content-Type: text/plain\r\nContent-Length: 1\r\n", 415, "\r\nAccept: application/sdp"),
        ("Content-Length: 70\r\n", 400, "SIP/2.0 400 Bad Request\r\n"),
        ("Call-ID: other\r\n", 400, "400"),
        ("no colon\r\n", 400, "400"),
    ] {
        let mut line = line();
        let text = request("INVITE", more) + "x";
        let (out, events) = ask(&mut line, &text);
        let leg = incoming(&events);
        let [Event::Incoming { invite, .. }] = &events[..] else { panic!() };
        let fault = invite.fault.as_ref().map(|fault| fault.status);
        assert_eq!((statuses(&out), fault), (vec![100], Some(expected)), "{more}");
        assert_eq!(invite.claims.from().user, "13800000000");
        line.ring(leg, None, start());
        line.answer(leg, SDP.into(), start());
        let out = sent(&mut line);
        assert_eq!(statuses(&out), [expected]);
        assert!(out[0].contains(says), "{}", out[0]);
        assert_eq!(line.load().1, 0);
    }
    let mut line = line();
    let bare = "INVITE sip:a SIP/2.0\r\nVia: SIP/2.0/UDP a;branch=z9hG4bK1\r\n\r\n";
    incoming(&ask(&mut line, bare).1);
    incoming(&ask(&mut line, &bare.replace("bK1", "bK2")).1);
    assert_eq!(statuses(&ask(&mut line, &request("OPTIONS", "Require: x\r\n")).0), [420]);
}

#[test]
fn rel_16_requests_follow_the_route_only_to_addresses_we_trust() {
    let hops = [
        ("192.0.2.1:5070;lr", "192.0.2.1:5070"),
        ("192.0.2.3;lr", "192.0.2.3:5060"),
        ("203.0.113.9;lr", PBX),
        ("evil.example;lr", PBX),
    ];
    for (route, hop) in hops {
        let also_trusted = vec![addr("192.0.2.3:1").ip()];
        let mut line = endpoint(Account { also_trusted, ..account(LINE, udp(PBX)) });
        let more = format!("{CONTACT}Record-Route: <sip:{route}>, <sip:far;lr>\r\n");
        let leg = incoming(&ask(&mut line, &request("INVITE", &more)).1);
        line.answer(leg, SDP.into(), start());
        let ok = sent(&mut line).remove(0);
        assert!(
            ok.contains(&format!("\r\nRecord-Route: <sip:{route}>\r\nRecord-Route: <sip:far;lr>"))
        );
        let tag = ok.split_once("101@duty.example>;tag=").unwrap().1[..16].to_owned();
        ask(&mut line, &inside("ACK", 1, &tag, ""));
        line.bye(leg, start());
        let bye = line.poll_transmit().unwrap();
        assert_eq!(bye.to, udp(hop));
        let text = String::from_utf8(bye.bytes).unwrap();
        assert!(text.starts_with("BYE sip:c@192.0.2.1:5060 SIP/2.0\r\n"), "{text}");
        assert!(text.contains(&format!("Route: <sip:{route}>\r\nRoute: <sip:far;lr>\r\n")));
    }
}

#[test]
fn rel_13_a_flood_is_bounded_leaves_room_for_us_and_drains() {
    // From so many addresses that none of them goes too fast.
    let also_trusted: Vec<_> =
        (0..20).map(|n| addr(&format!("192.0.2.{}:5060", 30 + n)).ip()).collect();
    let mut line = endpoint(Account { also_trusted, ..account(LINE, udp(PBX)) });
    let mut now = start();
    let (mut refused, most) = (0, line.transactions_max);
    for n in 0..2 * most {
        let text = request("INVITE", CONTACT)
            .replace("INVITE1", &format!("flood{n}"))
            .replace("call-1", &format!("call-{n}"));
        now = now + Duration::from_millis(1);
        let from = udp(&format!("192.0.2.{}:5060", 30 + n % 20));
        line.handle_message(from, text.as_bytes(), now);
        if let Some(Event::Incoming { leg, .. }) = line.poll_event() {
            line.refuse(leg, 486, None, now);
        }
        refused += sent(&mut line).iter().filter(|text| status(text) == 503).count();
        while line.poll_event().is_some() {}
    }
    let room = most / 4 * 3;
    assert_eq!((refused, line.load()), (2 * most - room, (room, 0)));
    let leg = line.invite(call(), now);
    assert!(line.poll_transmit().is_some());
    line.handle_unreachable(udp(PBX), "gone", now);
    assert!(matches!(line.poll_event(), Some(Event::Refused { leg: l, .. }) if l == leg));
    while let Some((at, _)) = line.poll_timeout() {
        now = now + at.since(now.mono);
        line.handle_timeout(now);
        sent(&mut line);
    }
    assert_eq!(line.load(), (0, 0));
}

/// Nothing of the surplus is kept: no transaction, no session, one summary.
#[test]
fn rel_07_a_flood_from_the_pbx_leaves_calls_and_the_duty_call_alone() {
    let (mut line, leg, tag) = talking();
    let mut now = start();
    let invite = |n: u64, from: &str| {
        request("INVITE", CONTACT)
            .replace("INVITE1", &format!("flood{n}"))
            .replace("call-1", &format!("call-{n}"))
            .replace("13800000000", from)
    };
    let (mut served, mut refused, mut told) = (0, 0, vec![]);
    for n in 10..10 + 200 * 20 {
        now = now + Duration::from_millis(5);
        line.handle_timeout(now);
        sent(&mut line);
        let before = line.load();
        line.handle_message(udp(PBX), invite(n, "13700000000").as_bytes(), now);
        for event in std::iter::from_fn(|| line.poll_event()).collect::<Vec<_>>() {
            match event {
                Event::Incoming { leg, .. } => {
                    served += 1;
                    line.refuse(leg, 486, None, now);
                }
                Event::TurnedAway(summary) => told.push(summary),
                Event::Dropped { why, .. } => assert_eq!(why, "too many calls"),
                other => panic!("{other:?}"),
            }
        }
        let out = sent(&mut line);
        if let Some(text) = out.iter().find(|text| status(text) == 503) {
            assert!(text.contains("\r\nRetry-After: 5\r\n") && out.len() == 1, "{out:?}");
            assert_eq!(line.load(), before, "nothing is kept");
            refused += 1;
        }
    }
    assert_eq!(served + refused, 4000);
    assert!((1190..=1320).contains(&served), "{served} at 60 a second and 120 at once");
    assert_eq!((told.len(), told[0].calls), (1, 1), "the rest is told when a minute is over");
    // Somebody else's call is heard, and the call that is on can be changed and ended.
    line.handle_message(udp(PBX), invite(9_999_999, "13912345678").as_bytes(), now);
    assert!(matches!(line.poll_event(), Some(Event::Incoming { .. })));
    line.handle_message(udp(PBX), inside("BYE", 2, &tag, "").as_bytes(), now);
    assert_eq!(line.poll_event(), Some(Event::Ended { leg, ending: Ending::Bye }));
    let mut summed = 0;
    while let Some((at, _)) = line.poll_timeout().filter(|_| summed == 0) {
        now = now + at.since(now.mono);
        line.handle_timeout(now);
        for event in std::iter::from_fn(|| line.poll_event()) {
            if let Event::TurnedAway(summary) = event {
                summed = summary.calls + told[0].calls;
                assert!(summary.over);
            }
        }
    }
    assert_eq!(summed, refused, "every one is counted once");
}

#[test]
fn keep_alives_are_silence() {
    let mut line = line();
    for ping in [&b"\r\n\r\n"[..], b"\0\0\0\0", b"", b"\r\n"] {
        assert_eq!(ask_from(&mut line, udp(PBX), ping), (vec![], vec![]));
    }
}

fn corpus(tag: &str) -> Vec<String> {
    vec![
        request("INVITE", &with_sdp(CONTACT)) + "v=0",
        offer("INVITE", 2, tag),
        offer("UPDATE", 3, tag),
        inside("BYE", 4, tag, ""),
        request("OPTIONS", "k: a\r\n b\r\nRoute: \"x\\\"y\" <sip:[::1]:5;lr>;a=\"b\"\r\n"),
        request("CANCEL", ""),
        inside("PRACK", 5, tag, "RAck: 1 1 INVITE\r\n"),
        inside("UPDATE", 6, tag, "k: timer\r\nx: 90;refresher=uac\r\nMin-SE: 90\r\n"),
        request("INVITE", "Require: 100rel, timer\r\nSession-Expires: 1\r\n"),
        format!(
            "SIP/2.0 401 No\r\nVia: SIP/2.0/UDP {LINE};branch=z9hG4bK1\r\nFrom: <sip:a>;tag=b\r\n\
             To: <sip:c>;tag=d\r\nCall-ID: e\r\nCSeq: 1 REGISTER\r\nWWW-Authenticate: Digest \
             realm=\"pbx\", nonce=\"n\", qop=\"auth,auth-int\", algorithm=SHA-256\r\n\r\n"
        ),
    ]
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 600, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn sig_33_random_bytes_never_panic(bytes in prop::collection::vec(any::<u8>(), 0..600)) {
        let mut line = line();
        ask_from(&mut line, udp(PBX), &bytes);
        ask_from(&mut line, udp(PBX), &[b"INVITE sip:a SIP/2.0\r\nv: SIP/2.0/UDP a;", &bytes[..]].concat());
        let mut framer = Framer::default();
        framer.push(&bytes);
        while let Ok(Some(_)) = framer.poll() {}
        address::NameAddr::parse(&bytes);
        address::Via::parse(&bytes);
        address::Uri::parse(&bytes);
        digest::Challenge::parse(&[b"Digest ", &bytes[..]].concat());
    }

    #[test]
    fn sig_33_mutated_messages_never_panic(
        which in 0usize..10,
        edits in prop::collection::vec((any::<prop::sample::Index>(), 0u8..3, any::<u8>()), 1..12),
    ) {
        let (mut line, _, tag) = talking();
        let mut bytes = corpus(&tag)[which].clone().into_bytes();
        for (at, kind, byte) in edits {
            let at = at.index(bytes.len());
            match kind {
                0 => bytes[at] = byte,
                1 => bytes.insert(at, byte),
                _ => drop(bytes.drain(at..bytes.len().min(at + usize::from(byte) % 8 + 1))),
            }
            if bytes.is_empty() {
                break;
            }
        }
        let (out, events) = ask_from(&mut line, udp(PBX), &bytes);
        for text in out {
            prop_assert_eq!(wire::parse(text.as_bytes()).map(|message| message.defect), Ok(None));
        }
        for event in events {
            if let Event::Incoming { leg, .. } = event {
                line.answer(leg, SDP.into(), start());
                line.bye(leg, start());
            }
        }
        line.handle_timeout(start() + Duration::from_secs(100));
    }
}
