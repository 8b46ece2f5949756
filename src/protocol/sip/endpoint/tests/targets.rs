//! Requests of a session that come from another address than its INVITE did, and those that name another Contact
//! (RFC 3261 §12.2.2): a session is known by its names, whoever is trusted may speak for it, and nobody leads us away.

use super::digest::reply_from;
use super::faults::STANDBY;
use super::hostile::{CONTACT, described, inside, talking_by};
use super::*;
use crate::protocol::sip::Ending;

const FOREIGN: &str = "Contact: <sip:c@203.0.113.9:5070>\r\n";
const OFFER: &str = "v=0\r\no=- 1 2 IN IP4 192.0.2.1\r\ns=-\r\nt=0 0\r\n";

/// At a PBX of two addresses, whose realm is known.
fn talking() -> (Endpoint, LegId, String) {
    let peers = vec![udp(PBX), udp(STANDBY)];
    talking_by(Account { peers, realm: Some("pbx".into()), ..account(LINE, udp(PBX)) })
}

fn tell(line: &mut Endpoint, from: Peer, text: &str) -> (Vec<(Peer, String)>, Vec<Event>) {
    line.handle_message(from, text.as_bytes(), start());
    (sent(line), std::iter::from_fn(|| line.poll_event()).collect())
}

fn sent(line: &mut Endpoint) -> Vec<(Peer, String)> {
    let out = std::iter::from_fn(|| line.poll_transmit());
    out.map(|out| (out.to, String::from_utf8_lossy(&out.bytes).into_owned())).collect()
}

/// Our BYE: where it goes, its Request-URI, and whether it is proved when somebody asks.
fn hangs_up(line: &mut Endpoint, leg: LegId) -> (Peer, String, bool) {
    line.bye(leg, start());
    let (to, bye) = sent(line).pop().expect("a BYE");
    let uri = bye.split(' ').nth(1).unwrap().to_owned();
    let challenge = "Proxy-Authenticate: Digest realm=\"pbx\", nonce=\"n\", qop=\"auth\"\r\n";
    reply_from(line, to, &bye, 407, challenge, start());
    let again = sent(line);
    (to, uri, again.iter().any(|(_, text)| text.contains("Proxy-Authorization")))
}

#[test]
fn sig_28_a_session_is_ended_by_its_names_from_any_address_of_the_pbx() {
    for from in [udp(PBX), udp(STANDBY), tcp(STANDBY), udp("192.0.2.1:5099")] {
        for contact in [CONTACT, FOREIGN, ""] {
            let (mut line, leg, tag) = talking();
            let (out, events) = tell(&mut line, from, &inside("BYE", 2, &tag, contact));
            assert_eq!(events, [Event::Ended { leg, ending: Ending::Bye }], "{from:?}");
            let [(to, answer)] = &out[..] else { panic!("{out:?}") };
            assert_eq!(
                (status(answer), to.addr.ip()),
                (200, from.addr.ip()),
                "back where it came from"
            );
            assert_eq!(line.load().1, 0);
        }
    }
    // Whoever speaks from the place that a Contact names has not become the party by it.
    let (mut line, leg, tag) = talking();
    let moved = inside("UPDATE", 2, &tag, FOREIGN);
    tell(&mut line, udp(PBX), &moved);
    for stranger in [udp("203.0.113.9:5070"), tcp("203.0.113.9:5070"), udp("192.0.2.3:5060")] {
        let (out, events) = tell(&mut line, stranger, &inside("BYE", 3, &tag, FOREIGN));
        assert!(
            out.is_empty() && !events.iter().any(|e| matches!(e, Event::Ended { .. })),
            "{events:?}"
        );
    }
    let (_, events) = tell(&mut line, udp(STANDBY), &inside("BYE", 3, &tag, ""));
    assert_eq!(events, [Event::Ended { leg, ending: Ending::Bye }]);
}

#[test]
fn sig_29_only_what_refreshes_the_target_moves_it() {
    let others = [
        ("INFO", "Content-Type: text/plain\r\n"),
        ("NOTIFY", "Event: message-summary\r\nSubscription-State: active\r\n"),
        ("REFER", "Refer-To: <sip:2002@duty.example>\r\n"),
        ("PRACK", "RAck: 1 1 INVITE\r\n"),
        ("OPTIONS", ""),
        ("MESSAGE", ""),
    ];
    for (method, more) in others {
        let (mut line, leg, tag) = talking();
        let text = inside(method, 2, &tag, &format!("{FOREIGN}{more}"));
        let (_, events) = tell(&mut line, udp(STANDBY), &text);
        assert!(!events.iter().any(|event| matches!(event, Event::Ended { .. })), "{method}");
        let bye = hangs_up(&mut line, leg);
        assert_eq!(bye, (udp(PBX), "sip:c@192.0.2.1:5060".to_owned(), true), "{method}");
    }
}

#[test]
fn sig_29_a_target_that_is_moved_away_is_reached_by_the_pbx_and_shown_no_proof() {
    for method in ["INVITE", "UPDATE"] {
        for (contact, uri, proved) in [
            (CONTACT, "sip:c@192.0.2.1:5060", true),
            (FOREIGN, "sip:c@203.0.113.9:5070", false),
            ("Contact: <sip:c@far.example>\r\n", "sip:c@far.example", false),
        ] {
            let (mut line, leg, tag) = talking();
            let text = inside(method, 2, &tag, &described(contact, OFFER));
            let (_, events) = tell(&mut line, udp(STANDBY), &text);
            assert!(matches!(events[..], [Event::Offer { .. }]), "{events:?}");
            line.accept_offer(leg, SDP.into(), start());
            let (_, answer) = sent(&mut line).pop().expect("200");
            assert_eq!(status(&answer), 200);
            if method == "INVITE" {
                tell(&mut line, udp(STANDBY), &inside("ACK", 2, &tag, ""));
            }
            let (to, asked, shown) = hangs_up(&mut line, leg);
            assert_eq!((asked.as_str(), shown), (uri, proved), "{method} {contact}");
            assert_eq!(to, udp(PBX), "never to the address itself");
        }
    }
}
