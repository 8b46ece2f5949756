//! Reliable provisional responses (RFC 3262), ours and theirs.

use super::digest::{events, header, one, reply};
use super::hostile::{CONTACT, described, inside, line, sent, statuses, with_sdp};
use super::*;
use crate::protocol::sip::Ending;
use crate::protocol::sip::transaction::T1;

const EARLY: &[u8] = b"v=0 early";

/// A call to us whose INVITE has these lines and a body, and our tag, known from a 180 or 183.
fn ringing(lines: &str, body: &str, early: Option<&[u8]>) -> (Endpoint, LegId, String, String) {
    let mut line = line();
    let invite = request("INVITE", &format!("{lines}{CONTACT}")) + body;
    let leg = incoming(&ask(&mut line, &invite).1);
    line.ring(leg, early.map(<[u8]>::to_vec), start());
    let response = one(&mut line);
    let tag = response.split_once("101@duty.example>;tag=").unwrap().1[..16].to_owned();
    (line, leg, tag, response)
}

fn prack(cseq: u32, tag: &str, response: &str, more: &str) -> String {
    let rseq = header(response, "RSeq").replace("RSeq: ", "");
    inside("PRACK", cseq, tag, &format!("RAck: {rseq} 1 INVITE\r\n{more}"))
}

fn with_offer(option: &str) -> String {
    with_sdp(&format!("{option}: 100rel\r\n"))
}

#[test]
fn sig_18_a_caller_that_requires_it_gets_every_response_reliably() {
    let (mut line, leg, tag, ringing) = ringing(&with_offer("Require"), "v=0", None);
    assert!(ringing.starts_with("SIP/2.0 180 "), "{ringing}");
    assert!(ringing.contains("\r\nRequire: 100rel\r\n") && ringing.contains("\r\nContact: "));
    let mut sent_at = vec![];
    while let Some((at, _)) = line.poll_timeout().filter(|(at, _)| *at < start().mono + 10 * T1) {
        line.handle_timeout(Now { mono: at, ..start() });
        assert_eq!(one(&mut line), ringing);
        sent_at.push(at.since(start().mono).as_millis());
    }
    assert_eq!(sent_at, [500, 1500, 3500]);
    // Wrong numbers and wrong methods acknowledge nothing.
    let wrong = ["1 1 INVITE", "1 1", "x 1 INVITE", "4294967296 1 INVITE"];
    for (cseq, wrong) in (2..).zip(wrong) {
        let lines = format!("RAck: {wrong}\r\n");
        assert_eq!(statuses(&ask(&mut line, &inside("PRACK", cseq, &tag, &lines)).0), [481]);
    }
    let of_another = prack(20, &tag, &ringing, "").replace(" 1 INVITE", " 2 INVITE");
    assert_eq!(statuses(&ask(&mut line, &of_another).0), [481]);
    let (out, told) = ask(&mut line, &prack(21, &tag, &ringing, ""));
    assert_eq!((statuses(&out), told), (vec![200], vec![]));
    assert_eq!(statuses(&ask(&mut line, &prack(22, &tag, &ringing, "")).0), [481], "once");
    line.ring(leg, None, start());
    let again = one(&mut line);
    let number = |text: &str| header(text, "RSeq")[6..].parse::<u32>().unwrap();
    assert_eq!(number(&again), number(&ringing) + 1);
    line.answer(leg, SDP.into(), start());
    let ok = one(&mut line);
    assert!(ok.starts_with("SIP/2.0 200 ") && ok.ends_with(std::str::from_utf8(SDP).unwrap()));
    // A final response may overtake the PRACK, which is answered all the same.
    assert_eq!(statuses(&ask(&mut line, &prack(23, &tag, &again, "")).0), [200]);
}

#[test]
fn sig_18_a_description_in_183_holds_the_answer_until_its_prack() {
    let (mut line, leg, tag, early) = ringing(&with_offer("Supported"), "v=0", Some(SDP));
    assert!(early.starts_with("SIP/2.0 183 ") && early.contains("\r\nRequire: 100rel\r\n"));
    line.answer(leg, SDP.into(), start());
    assert_eq!(sent(&mut line), [""; 0]);
    let (out, told) = ask(&mut line, &prack(2, &tag, &early, ""));
    assert_eq!((statuses(&out), told), (vec![200, 200], vec![]));
    assert!(out[1].contains("CSeq: 1 INVITE") && out[1].ends_with("Content-Length: 0\r\n\r\n"));
    let (_, told) = ask(&mut line, &inside("ACK", 1, &tag, ""));
    assert_eq!(told, [Event::Confirmed { leg }]);
}

#[test]
fn sig_18_an_answer_other_than_the_183s_is_offered_after_the_ack() {
    let (mut line, leg, tag, early) = ringing(&with_offer("Supported"), "v=0", Some(EARLY));
    ask(&mut line, &prack(2, &tag, &early, ""));
    line.answer(leg, SDP.into(), start());
    let ok = one(&mut line);
    assert!(ok.ends_with("Content-Length: 0\r\n\r\n"), "{ok}");
    let (out, told) = ask(&mut line, &inside("ACK", 1, &tag, ""));
    assert_eq!(told, [Event::Confirmed { leg }]);
    assert!(out[0].starts_with("INVITE sip:c@192.0.2.1") && out[0].contains("o=- 1 1"), "{out:?}");
}

#[test]
fn sig_18_a_180_is_plain_for_a_caller_that_merely_can() {
    let (.., ringing) = ringing(&with_offer("Supported"), "v=0", None);
    assert!(ringing.starts_with("SIP/2.0 180 ") && !ringing.contains("RSeq"), "{ringing}");
    let (.., ringing) = super::provisional::ringing(CONTACT, "", Some(SDP));
    assert!(ringing.starts_with("SIP/2.0 183 ") && !ringing.contains("RSeq"), "{ringing}");
}

#[test]
fn sig_18_the_next_waits_for_the_prack_and_a_description_is_not_repeated() {
    let (mut line, leg, tag, early) = ringing(&with_offer("Require"), "v=0", Some(SDP));
    line.ring(leg, None, start());
    line.ring(leg, None, start());
    assert_eq!(sent(&mut line), [""; 0]);
    let (out, _) = ask(&mut line, &prack(2, &tag, &early, ""));
    assert_eq!(statuses(&out), [200, 180]);
    ask(&mut line, &prack(3, &tag, &out[1], ""));
    line.ring(leg, Some(SDP.into()), start());
    let again = one(&mut line);
    assert!(again.starts_with("SIP/2.0 183 ") && again.ends_with("Length: 0\r\n\r\n"), "{again}");
}

#[test]
fn sig_18_a_prack_that_never_comes() {
    let late = start() + 64 * T1;
    // Who requires it cannot be told anything: the call is over.
    let (mut line, leg, ..) = ringing(&with_offer("Require"), "v=0", Some(SDP));
    line.handle_timeout(late);
    assert_eq!(statuses(&sent(&mut line)), [504]);
    assert_eq!(events(&mut line), [Event::Cancelled { leg, elsewhere: false }]);
    let (mut line, leg, ..) = ringing(&with_offer("Require"), "v=0", Some(SDP));
    line.answer(leg, SDP.into(), start());
    line.handle_timeout(late);
    assert_eq!(events(&mut line), [Event::Ended { leg, ending: Ending::Lost }]);
    assert_eq!(line.load().1, 0);
    // Who merely can is served as one who cannot.
    let (mut line, leg, ..) = ringing(&with_offer("Supported"), "v=0", Some(SDP));
    line.answer(leg, SDP.into(), start());
    line.handle_timeout(late);
    let ok = sent(&mut line).pop().unwrap();
    assert!(ok.starts_with("SIP/2.0 200 ") && ok.contains("o=- 1 1"), "{ok}");
    assert_eq!(events(&mut line), []);
}

#[test]
fn sig_18_what_happens_while_the_answer_waits_ends_a_session() {
    let held = || {
        let (mut line, leg, ..) = ringing(&with_offer("Supported"), "v=0", Some(SDP));
        line.answer(leg, SDP.into(), start());
        (line, leg)
    };
    let (mut line, leg) = held();
    let cancel = request("CANCEL", "").replace("CANCEL1", "INVITE1");
    let (out, told) = ask(&mut line, &cancel);
    assert_eq!(statuses(&out), [200, 487]);
    assert_eq!(told, [Event::Ended { leg, ending: Ending::Bye }]);
    let (mut line, leg) = held();
    line.bye(leg, start());
    assert_eq!(statuses(&sent(&mut line)), [480]);
    assert_eq!(events(&mut line), [Event::Ended { leg, ending: Ending::OurBye }]);
    assert_eq!(line.load().1, 0);
}

#[test]
fn sig_18_an_offer_in_the_prack_is_answered_in_its_200() {
    let (mut line, leg, tag, early) = ringing(&with_offer("Supported"), "v=0", Some(SDP));
    let offer = prack(2, &tag, &early, &with_sdp("")) + "v=0 new";
    let (out, told) = ask(&mut line, &offer);
    assert_eq!((out.len(), told), (0, vec![Event::Offer { leg, sdp: Some(b"v=0 new".into()) }]));
    line.accept_offer(leg, EARLY.into(), start());
    let ok = one(&mut line);
    assert!(ok.contains("CSeq: 2 PRACK") && ok.ends_with("v=0 early"), "{ok}");
}

#[test]
fn sig_14_a_delayed_offer_in_183_is_answered_by_the_prack() {
    let lines = "Supported: 100rel\r\n";
    let (mut line, leg, tag, early) = ringing(lines, "", Some(SDP));
    let (out, told) = ask(&mut line, &(prack(2, &tag, &early, &with_sdp("")) + "v=0 x"));
    assert_eq!(statuses(&out), [200]);
    assert_eq!(told, [Event::Answer { leg, sdp: b"v=0 x".into() }]);
    line.answer(leg, SDP.into(), start());
    assert!(one(&mut line).ends_with("Content-Length: 0\r\n\r\n"));
    let (_, told) = ask(&mut line, &inside("ACK", 1, &tag, ""));
    assert_eq!(told, [Event::Confirmed { leg }]);
    // Where there is nothing to offer yet, nothing reliable can be said (RFC 3262 §5).
    let mut line = super::hostile::line();
    let invite = request("INVITE", &format!("Require: 100rel\r\n{CONTACT}"));
    let leg = incoming(&ask(&mut line, &invite).1);
    line.ring(leg, None, start());
    assert_eq!(sent(&mut line), [""; 0]);
}

fn provisional(line: &mut Endpoint, invite: &str, status: u16, rseq: u32, sdp: &str) {
    let lines = format!("Require: 100rel\r\nRSeq: {rseq}\r\nContact: <sip:200@{PBX}>\r\n");
    let lines = if sdp.is_empty() { lines } else { described(&lines, sdp) };
    reply(line, invite, status, &lines);
}

#[test]
fn sig_18_we_acknowledge_theirs_once_and_in_order() {
    let mut line = line();
    let leg = line.invite(call(), start());
    let invite = one(&mut line);
    assert!(invite.contains("\r\nSupported: 100rel, replaces, timer\r\n"), "{invite}");
    reply(&mut line, &invite, 100, "Require: 100rel\r\nRSeq: 1\r\n");
    assert_eq!(sent(&mut line), [""; 0], "100 is never reliable");
    events(&mut line);
    provisional(&mut line, &invite, 183, 4_294_967_294, "v=0 a");
    let prack = one(&mut line);
    assert!(prack.starts_with(&format!("PRACK sip:200@{PBX} SIP/2.0\r\n")), "{prack}");
    assert_eq!(header(&prack, "RAck"), "RAck: 4294967294 1 INVITE");
    assert_eq!(header(&prack, "CSeq"), "CSeq: 2 PRACK");
    let heard = Event::Progress { leg, status: 183, sdp: Some(b"v=0 a".into()) };
    assert_eq!(events(&mut line), [heard]);
    reply(&mut line, &prack, 200, "");
    for rseq in [4_294_967_294, 5, 4_294_967_293, 0] {
        provisional(&mut line, &invite, 183, rseq, "v=0 b");
        let silent = rseq != 0;
        assert_eq!(sent(&mut line).len(), 0, "{rseq}");
        assert_eq!(events(&mut line).is_empty(), silent, "{rseq}");
    }
    provisional(&mut line, &invite, 180, u32::MAX, "");
    assert_eq!(header(&one(&mut line), "RAck"), "RAck: 4294967295 1 INVITE");
    provisional(&mut line, &invite, 180, 1, "");
    assert_eq!(sent(&mut line).len(), 0, "numbers do not wrap");
    // The answer came reliably: what the 200 says else is not looked at (RFC 6337 §3.1.1).
    events(&mut line);
    let ok = described(&format!("Contact: <sip:200@{PBX}>\r\n"), "v=0 c");
    reply(&mut line, &invite, 200, &ok);
    assert!(one(&mut line).starts_with("ACK "));
    assert_eq!(events(&mut line), [Event::Answered { leg, sdp: Some(b"v=0 a".into()) }]);
    line.bye(leg, start());
    assert_eq!(header(&one(&mut line), "CSeq"), "CSeq: 4 BYE");
}

#[test]
fn sig_18_between_two_of_us_whatever_is_lost() {
    for seed in 0..20 {
        let weather = Weather {
            lost: 300,
            doubled: 200,
            delay: Duration::from_millis(if seed % 2 == 0 { 300 } else { 3 }),
        };
        let mut world = World::new(seed, weather);
        let ours = world.line.invite(call(), world.now);
        let (_, pbx) = world.pass(Duration::from_secs(20));
        let theirs = incoming(&pbx);
        world.pbx.ring(theirs, Some(EARLY.into()), world.now);
        world.pbx.answer(theirs, SDP.into(), world.now);
        let (line, pbx) = world.pass(Duration::from_secs(40));
        let answered = Event::Answered { leg: ours, sdp: Some(EARLY.into()) };
        assert!(line.contains(&answered), "seed {seed}: {line:?}");
        assert!(pbx.contains(&Event::Confirmed { leg: theirs }), "seed {seed}: {pbx:?}");
        // What the other has in force now is what the answer said.
        let moved = Event::Offer { leg: ours, sdp: Some(SDP.into()) };
        assert!(line.contains(&moved), "seed {seed}: {line:?}");
        world.weather = Weather::default();
        world.line.bye(ours, world.now);
        world.pass(Duration::from_secs(100));
        assert!(world.is_clean());
    }
}
