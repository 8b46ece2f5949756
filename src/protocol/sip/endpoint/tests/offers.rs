//! Offers within a session, ours and theirs at any moment (RFC 3261 §14, RFC 3311, RFC 6337 §4).

use super::digest::{events, header, one, reply};
use super::hostile::{CONTACT, described, inside, offer, sent, statuses, talking, with_sdp};
use super::*;
use crate::protocol::sip::Ending;

const NEW: &[u8] = b"v=0 new";
const THEIRS: &[u8] = b"v=0 theirs";

fn answered(line: &mut Endpoint, request: &str, sdp: &str) {
    reply(line, request, 200, &described(CONTACT, sdp));
}

#[test]
fn section_14_1_an_offer_of_ours_is_a_reinvite_and_its_answer_is_told() {
    let (mut world, ours, theirs) = established();
    world.line.offer(ours, NEW.into(), world.now);
    let (_, pbx) = world.settle();
    assert_eq!(pbx, [Event::Offer { leg: theirs, sdp: Some(NEW.into()) }]);
    world.pbx.accept_offer(theirs, THEIRS.into(), world.now);
    let (line, pbx) = world.settle();
    assert_eq!((line, pbx), (vec![Event::Answer { leg: ours, sdp: THEIRS.into() }], vec![]));
    assert_eq!(world.talk(), ["> INVITE", "< 100", "< 200", "> ACK"]);
    world.pbx.offer(theirs, NEW.into(), world.now);
    world.settle();
    world.line.refuse_offer(ours, 488, world.now);
    let (_, pbx) = world.settle();
    assert_eq!(pbx, [Event::OfferRefused { leg: theirs, status: 488 }]);
    world.line.bye(ours, world.now);
    world.pass(Duration::from_secs(60));
    assert!(world.is_clean());
}

#[test]
fn section_14_1_a_repeated_2xx_is_acknowledged_again_and_one_without_answer_changes_nothing() {
    let (mut line, leg, _) = talking();
    line.offer(leg, NEW.into(), start());
    let invite = one(&mut line);
    assert!(invite.contains("\r\nContact: <sip:101@192.0.2.10:5060>\r\n"), "{invite}");
    assert!(invite.ends_with("v=0 new"));
    for _ in 0..3 {
        reply(&mut line, &invite, 200, "Contact: <sip:moved@192.0.2.1>\r\n");
        let ack = one(&mut line);
        assert!(ack.starts_with("ACK sip:moved@192.0.2.1 "), "the target moves: {ack}");
        assert_eq!(
            header(&ack, "CSeq")[6..],
            header(&invite, "CSeq")[6..].replace("INVITE", "ACK")
        );
    }
    assert_eq!(events(&mut line), [Event::OfferRefused { leg, status: 488 }]);
}

/// Both offer in the same moment; when each came again, in milliseconds.
fn glare(seed: u8) -> [Duration; 2] {
    let (mut world, ours, theirs) = established();
    world.line.random = Random::from_seed([seed; 32]);
    world.pbx.random = Random::from_seed([seed.wrapping_add(9); 32]);
    world.line.offer(ours, NEW.into(), world.now);
    world.pbx.offer(theirs, THEIRS.into(), world.now);
    world.settle();
    assert_eq!(world.seen.iter().filter(|(_, text)| text.starts_with("SIP/2.0 491")).count(), 2);
    let clock = world.now.mono;
    world.talk();
    let (mut told, mut again) = (vec![], [None; 2]);
    while told.len() < 2 && world.now.mono.since(clock) < Duration::from_secs(20) {
        let (line, pbx) = world.pass(Duration::from_millis(10));
        for (from_line, text) in &world.seen {
            if text.starts_with("INVITE") {
                let place = &mut again[usize::from(!from_line)];
                place.get_or_insert(world.now.mono.since(clock) + Duration::from_millis(100));
            }
        }
        for event in line.into_iter().chain(pbx) {
            match event {
                Event::Offer { leg, .. } => {
                    let end = if told.contains(&Some(leg)) { continue } else { leg };
                    let asked = world.seen.iter().rev().find(|(_, t)| t.starts_with("INVITE"));
                    if asked.unwrap().0 {
                        world.pbx.accept_offer(end, SDP.into(), world.now);
                    } else {
                        world.line.accept_offer(end, SDP.into(), world.now);
                    }
                }
                Event::Answer { .. } => told.push(None),
                other => panic!("{other:?}"),
            }
        }
    }
    assert_eq!(told.len(), 2, "both offers were answered in the end");
    again.map(|again| again.expect("offered again"))
}

#[test]
fn sig_14_a_glare_is_settled_by_two_ranges_of_waiting() {
    let mut spread = std::collections::BTreeSet::new();
    for seed in 0..12 {
        let [ours, theirs] = glare(seed);
        // The PBX called, so the Call-ID is its own.
        assert!(ours <= Duration::from_millis(2040), "{ours:?}");
        assert!(theirs >= Duration::from_millis(2100), "{theirs:?}");
        assert!(theirs <= Duration::from_millis(4060), "{theirs:?}");
        spread.insert((ours, theirs));
    }
    assert!(spread.len() > 6, "{spread:?}");
}

#[test]
fn sig_14_only_one_exchange_at_a_time() {
    // While ours is open theirs is refused, and the other way round ours waits.
    let (mut line, leg, tag) = talking();
    line.offer(leg, NEW.into(), start());
    let invite = one(&mut line);
    for method in ["INVITE", "UPDATE"] {
        let cseq = if method == "INVITE" { 2 } else { 3 };
        assert_eq!(statuses(&ask(&mut line, &offer(method, cseq, &tag)).0), [491]);
    }
    assert_eq!(statuses(&ask(&mut line, &inside("UPDATE", 4, &tag, CONTACT)).0), [200]);
    line.offer(leg, b"v=0 newest".into(), start());
    assert_eq!(sent(&mut line), [""; 0]);
    answered(&mut line, &invite, "v=0 a");
    let out = sent(&mut line);
    assert!(out[0].starts_with("ACK ") && out[1].ends_with("v=0 newest"), "{out:?}");
    answered(&mut line, &out[1], "v=0 b");
    let answers = [b"v=0 a", b"v=0 b"].map(|sdp| Event::Answer { leg, sdp: sdp.to_vec() });
    assert_eq!(events(&mut line), answers);
    sent(&mut line);
    let (_, told) = ask(&mut line, &offer("INVITE", 5, &tag));
    assert_eq!(told.len(), 1);
    line.offer(leg, NEW.into(), start());
    line.accept_offer(leg, SDP.into(), start());
    assert_eq!(statuses(&sent(&mut line)), [200], "not before its ACK");
    let (out, _) = ask(&mut line, &inside("ACK", 5, &tag, ""));
    assert!(out[0].starts_with("INVITE ") && out[0].ends_with("v=0 new"), "{out:?}");
}

#[test]
fn section_14_2_an_offer_made_before_the_ack_waits_for_it() {
    let mut line = super::hostile::line();
    let leg = incoming(&ask(&mut line, &(request("INVITE", &with_sdp(CONTACT)) + "v=0")).1);
    line.answer(leg, SDP.into(), start());
    let ok = one(&mut line);
    let tag = ok.split_once("101@duty.example>;tag=").unwrap().1[..16].to_owned();
    line.offer(leg, NEW.into(), start());
    assert_eq!(sent(&mut line), [""; 0]);
    let (out, _) = ask(&mut line, &inside("ACK", 1, &tag, ""));
    assert!(out[0].starts_with("INVITE "), "{out:?}");
}

#[test]
fn section_20_33_retry_after_is_waited_for_and_other_refusals_are_final() {
    for (status, more, again) in [
        (500, "Retry-After: 3 (busy)\r\n", true),
        (503, "Retry-After: 0;duration=9\r\n", true),
        (500, "", false),
        (503, "Retry-After: 3600\r\n", false),
        (488, "", false),
        (603, "Retry-After: 1\r\n", false),
    ] {
        let (mut line, leg, _) = talking();
        line.offer(leg, NEW.into(), start());
        let invite = one(&mut line);
        reply(&mut line, &invite, status, more);
        let later = start() + Duration::from_secs(4);
        line.handle_timeout(later);
        let out = sent(&mut line);
        assert!(out[0].starts_with("ACK "));
        let refused = Event::OfferRefused { leg, status };
        match again {
            true => assert!(out[1].starts_with("INVITE ") && events(&mut line).is_empty()),
            false => assert_eq!((out.len(), events(&mut line)), (1, vec![refused])),
        }
    }
    let (mut line, leg, _) = talking();
    line.offer(leg, NEW.into(), start());
    let mut now = start();
    for tries in 1.. {
        let invite = sent(&mut line).pop().unwrap();
        super::digest::reply_from(&mut line, udp(PBX), &invite, 491, "", now);
        sent(&mut line);
        if let Some(event) = line.poll_event() {
            assert_eq!((event, tries), (Event::OfferRefused { leg, status: 491 }, 9));
            break;
        }
        now = now + Duration::from_secs(5);
        line.handle_timeout(now);
    }
}

#[test]
fn section_12_2_1_2_a_peer_that_knows_nothing_of_the_session_ends_it() {
    for status in [408, 481] {
        let (mut line, leg, _) = talking();
        line.offer(leg, NEW.into(), start());
        let invite = one(&mut line);
        reply(&mut line, &invite, status, "");
        let [ack, bye] = &sent(&mut line)[..] else { panic!() };
        assert!(ack.starts_with("ACK ") && bye.contains("\r\nReason: SIP;cause=408"), "{bye}");
        assert_eq!(events(&mut line), [Event::Ended { leg, ending: Ending::Lost }]);
    }
}

#[test]
fn section_14_1_a_reinvite_that_rings_for_ever_is_cancelled_and_the_session_stays() {
    let (mut line, leg, tag) = talking();
    line.offer(leg, NEW.into(), start());
    let invite = one(&mut line);
    reply(&mut line, &invite, 180, "");
    let late = start() + Duration::from_secs(64);
    line.handle_timeout(late);
    let cancel = one(&mut line);
    assert!(cancel.starts_with("CANCEL "), "{cancel}");
    line.handle_timeout(late + Duration::from_secs(32));
    assert_eq!(events(&mut line), [Event::OfferRefused { leg, status: 408 }]);
    let (out, _) = ask(&mut line, &inside("BYE", 2, &tag, ""));
    assert_eq!(statuses(&out)[out.len() - 1], 200);
}

#[test]
fn sig_29_an_offer_is_proved_to_the_pbx_alone() {
    for (host, proved) in [("192.0.2.1:5060", true), ("203.0.113.9", false)] {
        let mut line = endpoint(Account { realm: Some("pbx".into()), ..account(LINE, udp(PBX)) });
        let leg = line.invite(call(), start());
        let invite = one(&mut line);
        let contact = format!("Contact: <sip:200@{host}>\r\n");
        reply(&mut line, &invite, 200, &contact);
        sent(&mut line);
        line.offer(leg, NEW.into(), start());
        let invite = one(&mut line);
        let challenge = "Proxy-Authenticate: Digest realm=\"pbx\", nonce=\"n\", qop=\"auth\"\r\n";
        reply(&mut line, &invite, 407, challenge);
        let out = sent(&mut line);
        assert_eq!(out.len(), if proved { 2 } else { 1 }, "{out:?}");
        events(&mut line);
        if let [_, again] = &out[..] {
            assert!(again.contains("\r\nProxy-Authorization: "), "{again}");
            answered(&mut line, again, "v=0 x");
            assert!(one(&mut line).contains("\r\nProxy-Authorization: "));
            assert_eq!(events(&mut line), [Event::Answer { leg, sdp: b"v=0 x".into() }]);
        }
    }
}

#[test]
fn sig_14_an_update_of_ours_while_the_caller_rings() {
    let mut line = super::hostile::line();
    let lines = with_sdp(&format!("Supported: 100rel\r\nAllow: UPDATE, PRACK\r\n{CONTACT}"));
    let leg = incoming(&ask(&mut line, &(request("INVITE", &lines) + "v=0")).1);
    line.ring(leg, Some(SDP.into()), start());
    let early = one(&mut line);
    let tag = early.split_once("101@duty.example>;tag=").unwrap().1[..16].to_owned();
    assert_eq!(statuses(&ask(&mut line, &offer("UPDATE", 2, &tag)).0), [500], "not agreed yet");
    line.offer(leg, NEW.into(), start());
    assert_eq!(sent(&mut line), [""; 0]);
    let rseq = header(&early, "RSeq").replace("RSeq: ", "");
    let prack = inside("PRACK", 3, &tag, &format!("RAck: {rseq} 1 INVITE\r\n"));
    let (out, _) = ask(&mut line, &prack);
    assert!(out[0].starts_with("SIP/2.0 200") && out[1].starts_with("UPDATE "), "{out:?}");
    answered(&mut line, &out[1], "v=0 x");
    assert_eq!(events(&mut line), [Event::Answer { leg, sdp: b"v=0 x".into() }]);
    let (_, told) = ask(&mut line, &offer("UPDATE", 4, &tag));
    assert_eq!(told, [Event::Offer { leg, sdp: Some(b"v=0".into()) }]);
    line.answer(leg, SDP.into(), start());
    let out = statuses(&sent(&mut line));
    assert_eq!(out, [200, 487], "no offer stays open over the answer");
}

#[test]
fn rfc_6026_section_7_2_a_200_to_our_reinvite_is_acknowledged_even_after_our_bye() {
    let (mut line, leg, _) = talking();
    line.offer(leg, NEW.into(), start());
    let invite = one(&mut line);
    reply(&mut line, &invite, 100, "");
    line.bye(leg, start());
    let bye = one(&mut line);
    answered(&mut line, &invite, "v=0 late");
    assert!(one(&mut line).starts_with("ACK "));
    reply(&mut line, &bye, 200, "");
    assert_eq!(line.load().1, 0);
    answered(&mut line, &invite, "v=0 late");
    assert!(one(&mut line).starts_with("ACK "), "the session is gone, its INVITE is not");
    assert_eq!(events(&mut line), [Event::Ended { leg, ending: Ending::OurBye }]);
    line.handle_timeout(start() + Duration::from_secs(33));
    assert_eq!(line.load(), (0, 0));
    // One that is never answered does not stay for ever either.
    let (mut line, leg, tag) = talking();
    line.offer(leg, NEW.into(), start());
    let invite = one(&mut line);
    reply(&mut line, &invite, 180, "");
    ask(&mut line, &inside("BYE", 2, &tag, ""));
    line.handle_timeout(start() + Duration::from_secs(33));
    assert_eq!(line.load(), (0, 0));
}

#[test]
fn sig_14_what_an_early_update_agreed_on_is_not_offered_again_after_the_answer() {
    let mut line = super::hostile::line();
    let lines = with_sdp(&format!("Supported: 100rel\r\n{CONTACT}"));
    let leg = incoming(&ask(&mut line, &(request("INVITE", &lines) + "v=0")).1);
    line.ring(leg, Some(SDP.into()), start());
    let early = one(&mut line);
    let tag = early.split_once("101@duty.example>;tag=").unwrap().1[..16].to_owned();
    let rseq = header(&early, "RSeq").replace("RSeq: ", "");
    ask(&mut line, &inside("PRACK", 2, &tag, &format!("RAck: {rseq} 1 INVITE\r\n")));
    ask(&mut line, &offer("UPDATE", 3, &tag));
    line.accept_offer(leg, NEW.into(), start());
    assert!(one(&mut line).ends_with("v=0 new"));
    line.answer(leg, NEW.into(), start());
    assert!(one(&mut line).ends_with("Content-Length: 0\r\n\r\n"));
    assert_eq!(
        ask(&mut line, &inside("ACK", 1, &tag, "")),
        (vec![], vec![Event::Confirmed { leg }])
    );
}
