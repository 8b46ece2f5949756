//! What RFC 3261 wants of requests in and beside a session, by section.

use super::hostile::*;
use super::*;
use crate::protocol::sip::Ending;

#[test]
fn section_17_2_3_and_8_2_2_2_repeated_and_merged_requests() {
    let mut line = line();
    let invite = request("INVITE", CONTACT);
    incoming(&ask(&mut line, &invite).1);
    let (out, events) = ask(&mut line, &invite);
    assert_eq!((statuses(&out), events.len()), (vec![100], 0));
    let (out, events) = ask(&mut line, &invite.replace("INVITE1", "other"));
    assert_eq!((statuses(&out), events.len()), (vec![482], 0));
    let (out, events) = ask(&mut line, &request("CANCEL", "").replace("CANCEL1", "INVITE1"));
    assert_eq!(statuses(&out), [200, 487]);
    assert!(matches!(events[..], [Event::Cancelled { elsewhere: false, .. }]));
}

#[test]
fn section_14_2_offers_within_a_session() {
    let (mut line, leg, tag) = talking();
    let (out, events) = ask(&mut line, &offer("UPDATE", 2, &tag));
    assert_eq!(events, [Event::Offer { leg, sdp: Some(b"v=0".into()) }]);
    assert_eq!(out.len(), 0);
    let (out, events) = ask(&mut line, &offer("INVITE", 3, &tag));
    assert_eq!((statuses(&out), events.len()), (vec![500], 0));
    assert!(out[0].contains("\r\nRetry-After: "));
    line.accept_offer(leg, SDP.into(), start());
    line.accept_offer(leg, SDP.into(), start());
    let out = sent(&mut line);
    assert_eq!(statuses(&out), [200]);
    assert!(out[0].contains("CSeq: 2 UPDATE\r\n") && out[0].contains("\r\nContact: "));
    // A re-INVITE without an offer: ours comes in the 200, their answer in the ACK.
    let (out, events) = ask(&mut line, &inside("INVITE", 4, &tag, CONTACT));
    assert_eq!((statuses(&out), events), (vec![100], vec![Event::Offer { leg, sdp: None }]));
    line.accept_offer(leg, SDP.into(), start());
    assert_eq!(statuses(&sent(&mut line)), [200]);
    assert_eq!(statuses(&ask(&mut line, &offer("UPDATE", 5, &tag)).0), [491]);
    let (_, events) = ask(&mut line, &offer("ACK", 4, &tag));
    assert_eq!(events, [Event::Answer { leg, sdp: b"v=0".into() }]);
    ask(&mut line, &offer("INVITE", 6, &tag));
    line.refuse_offer(leg, 488, start());
    assert_eq!(statuses(&sent(&mut line)), [488]);
    // A refresh without a body asks for nothing; a number that was used is out of order.
    let (out, events) = ask(&mut line, &inside("UPDATE", 7, &tag, CONTACT));
    assert_eq!((statuses(&out), events.len()), (vec![200], 0));
    assert_eq!(statuses(&ask(&mut line, &inside("INFO", 7, &tag, "")).0), [500]);
    let info = inside("INFO", 8, &tag, "Content-Type: application/dtmf-relay\r\n") + "Signal=9";
    let (out, events) = ask(&mut line, &info);
    let content_type = "application/dtmf-relay".to_owned();
    assert_eq!(statuses(&out), [200]);
    assert_eq!(events, [Event::Info { leg, content_type, body: b"Signal=9".into() }]);
}

#[test]
fn section_14_2_a_cancelled_reinvite_leaves_the_session_and_a_bye_answers_it() {
    let (mut line, leg, tag) = talking();
    ask(&mut line, &offer("INVITE", 2, &tag));
    let cancel = inside("CANCEL", 2, &tag, "").replace("CANCEL2", "INVITE2");
    let (out, events) = ask(&mut line, &cancel);
    assert_eq!((statuses(&out), events.len()), (vec![200, 487], 0));
    line.accept_offer(leg, SDP.into(), start());
    assert_eq!(sent(&mut line).len(), 0);
    ask(&mut line, &offer("INVITE", 3, &tag));
    let (out, events) = ask(&mut line, &inside("BYE", 4, &tag, ""));
    assert_eq!(statuses(&out), [200, 487]);
    assert_eq!(events, [Event::Ended { leg, ending: Ending::Bye }]);
}

#[test]
fn section_12_2_an_update_right_after_our_200_is_taken_before_the_ack() {
    let mut line = line();
    let invite = request("INVITE", &with_sdp(CONTACT)) + "v=0";
    let leg = incoming(&ask(&mut line, &invite).1);
    line.answer(leg, SDP.into(), start());
    let ok = sent(&mut line).remove(0);
    let tag = ok.split_once("101@duty.example>;tag=").unwrap().1[..16].to_owned();
    assert_eq!(ask(&mut line, &offer("UPDATE", 2, &tag)).1.len(), 1);
    line.accept_offer(leg, SDP.into(), start());
    assert_eq!(ask(&mut line, &inside("ACK", 1, &tag, "")).1, [Event::Confirmed { leg }]);
}

#[test]
fn section_12_2_1_1_a_strict_router_gets_the_request_uri() {
    let mut line = line();
    let more = format!("{CONTACT}Record-Route: <sip:192.0.2.1>\r\n");
    let leg = incoming(&ask(&mut line, &request("INVITE", &more)).1);
    line.answer(leg, SDP.into(), start());
    let ok = sent(&mut line).remove(0);
    let tag = ok.split_once("101@duty.example>;tag=").unwrap().1[..16].to_owned();
    ask(&mut line, &inside("ACK", 1, &tag, ""));
    line.bye(leg, start());
    let bye = sent(&mut line).remove(0);
    assert!(bye.starts_with("BYE sip:192.0.2.1 SIP/2.0\r\n"), "{bye}");
    assert!(bye.contains("\r\nRoute: <sip:c@192.0.2.1:5060>\r\n"), "{bye}");
}

#[test]
fn section_13_2_2_4_every_fork_is_acknowledged_and_the_second_ended() {
    let mut line = line();
    let leg = line.invite(call(), start());
    let invite = sent(&mut line).remove(0);
    let ok = |tag: &str| {
        let copied = invite.lines().filter(|line| {
            ["Via:", "From:", "Call-ID:", "CSeq:"].iter().any(|name| line.starts_with(name))
        });
        let copied = copied.collect::<Vec<_>>().join("\r\n");
        let to = format!("To: <sip:200@duty.example>;tag={tag}");
        format!("SIP/2.0 200 OK\r\n{copied}\r\n{to}\r\nContact: <sip:{tag}@{PBX}>\r\n\r\n")
    };
    let (out, events) = ask(&mut line, &ok("one"));
    assert!(out[0].starts_with("ACK sip:one@"), "{out:?}");
    assert_eq!(events, [Event::Answered { leg, sdp: None }]);
    let first = out[0].clone();
    assert_eq!(ask(&mut line, &ok("one")), (vec![first], vec![]));
    let (out, events) = ask(&mut line, &ok("two"));
    assert_eq!((out.len(), events.len()), (2, 0));
    assert!(out[0].starts_with("ACK sip:two@") && out[1].starts_with("BYE sip:two@"), "{out:?}");
    assert_eq!(ask(&mut line, &ok("two")).0.len(), 1);
    assert_eq!(line.load().1, 1);
}

#[test]
fn section_18_1_2_responses_to_somebody_else_are_dropped() {
    let mut line = line();
    line.invite(call(), start());
    let invite = sent(&mut line).remove(0);
    let branch = invite.split_once("branch=").unwrap().1.split(';').next().unwrap();
    let answer = |via: &str| {
        format!(
            "SIP/2.0 180 x\r\n{via}From: a\r\nTo: <sip:b>;tag=x\r\nCall-ID: y\r\nCSeq: 1 INVITE\r\n\r\n"
        )
    };
    let ours = format!("Via: SIP/2.0/UDP {LINE};branch={branch}\r\n");
    for (via, why) in [
        (format!("Via: SIP/2.0/UDP 192.0.2.255;branch={branch}\r\n"), "response to somebody else"),
        (ours.clone(), "response to no request of ours"),
        (format!("{ours}{ours}"), "response with other than one Via"),
    ] {
        let (out, events) = ask(&mut line, &answer(&via));
        assert_eq!((out.len(), events), (0, vec![Event::Dropped { from: udp(PBX), why }]));
    }
}
