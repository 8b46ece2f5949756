//! One INVITE, several early dialogs (RFC 3261 §12.1, §13.2.2.4; RFC 6228).

use super::digest::{events, header, one, reply_from};
use super::hostile::{described, inside, line, sent, statuses, with_sdp};
use super::*;

/// A response of the fork with this tag.
fn from_fork(line: &mut Endpoint, invite: &str, status: u16, tag: &str, lines: &str, sdp: &str) {
    let to = header(invite, "To");
    let tagged = invite.replace(&to, &format!("{to};tag={tag}"));
    let lines = format!("{lines}Contact: <sip:{tag}@{PBX}>\r\nAllow: UPDATE\r\n");
    let lines = if sdp.is_empty() { lines } else { described(&lines, sdp) };
    reply_from(line, udp(PBX), &tagged, status, &lines, start());
}

fn reliable(rseq: u32) -> String {
    format!("Require: 100rel\r\nRSeq: {rseq}\r\n")
}

fn dialled() -> (Endpoint, LegId, String) {
    let mut line = line();
    let leg = line.invite(call(), start());
    let invite = one(&mut line);
    (line, leg, invite)
}

/// A request of that fork within our call.
fn of_fork(method: &str, cseq: u32, tag: &str, invite: &str, sdp: &str) -> String {
    let value = |name| header(invite, name).split_once(": ").unwrap().1.to_owned();
    let lines = if sdp.is_empty() { String::new() } else { with_sdp("") };
    let ours = value("From");
    inside(method, cseq, "x", &lines)
        .replace("To: <sip:101@duty.example>;tag=x", &format!("To: {ours}"))
        .replace("tag=theirs", &format!("tag={tag}"))
        .replace("Call-ID: call-1", &format!("Call-ID: {}", value("Call-ID")))
        + sdp
}

#[test]
fn section_13_2_2_4_each_fork_has_its_own_numbers_and_its_own_answer() {
    let (mut line, leg, invite) = dialled();
    from_fork(&mut line, &invite, 183, "one", &reliable(7), "v=0 one");
    from_fork(&mut line, &invite, 183, "two", &reliable(900), "v=0 two");
    let pracks = sent(&mut line);
    let rack = |at: usize| header(&pracks[at], "RAck");
    assert_eq!((rack(0), rack(1)), ("RAck: 7 1 INVITE".into(), "RAck: 900 1 INVITE".into()));
    assert!(pracks[0].starts_with("PRACK sip:one@") && pracks[1].starts_with("PRACK sip:two@"));
    let sdps = events(&mut line).into_iter().map(|event| match event {
        Event::Progress { sdp: Some(sdp), .. } => String::from_utf8(sdp).unwrap(),
        other => panic!("{other:?}"),
    });
    assert_eq!(sdps.collect::<Vec<_>>(), ["v=0 one", "v=0 two"]);
    // The 200 needs no description: the answer of this fork is known, not the last one heard.
    from_fork(&mut line, &invite, 200, "one", "", "");
    assert!(one(&mut line).starts_with("ACK sip:one@"));
    assert_eq!(events(&mut line), [Event::Answered { leg, sdp: Some(b"v=0 one".into()) }]);
    // The other one was picked up as well: it is hung up, above its PRACK's number.
    from_fork(&mut line, &invite, 200, "two", "", "v=0 two");
    let [ack, bye] = &sent(&mut line)[..] else { panic!() };
    assert!(ack.starts_with("ACK sip:two@") && bye.starts_with("BYE sip:two@"), "{ack}{bye}");
    assert_eq!(header(bye, "CSeq"), "CSeq: 103 BYE");
    assert_eq!(events(&mut line), []);
    line.bye(leg, start());
    assert_eq!(header(&one(&mut line), "CSeq"), "CSeq: 3 BYE");
}

#[test]
fn rfc_6228_a_fork_that_ends_gives_way_to_the_one_that_is_left() {
    let (mut line, leg, invite) = dialled();
    from_fork(&mut line, &invite, 183, "one", "", "v=0 one");
    from_fork(&mut line, &invite, 183, "two", "", "v=0 two");
    events(&mut line);
    from_fork(&mut line, &invite, 199, "two", "", "");
    assert_eq!(
        events(&mut line),
        [Event::Progress { leg, status: 183, sdp: Some(b"v=0 one".into()) }]
    );
    from_fork(&mut line, &invite, 199, "one", &reliable(3), "");
    assert!(one(&mut line).starts_with("PRACK sip:one@"));
    assert_eq!(events(&mut line), []);
    let gone = of_fork("UPDATE", 1, "two", &invite, "");
    assert_eq!(statuses(&ask(&mut line, &gone).0), [500]);
}

#[test]
fn sig_14_an_update_in_an_early_dialog_of_our_call() {
    let (mut line, leg, invite) = dialled();
    from_fork(&mut line, &invite, 180, "one", "", "");
    events(&mut line);
    // Before the answer: who is connected may be said, no offer may be made.
    assert_eq!(statuses(&ask(&mut line, &of_fork("UPDATE", 1, "one", &invite, "")).0), [200]);
    assert_eq!(statuses(&ask(&mut line, &of_fork("UPDATE", 2, "one", &invite, "v=0")).0), [491]);
    // One that overtakes the first response may come again: 481 would end the peer's call.
    assert_eq!(statuses(&ask(&mut line, &of_fork("UPDATE", 9, "new", &invite, "")).0), [500]);
    from_fork(&mut line, &invite, 183, "one", &reliable(1), "v=0 one");
    let prack = one(&mut line);
    events(&mut line);
    assert_eq!(statuses(&ask(&mut line, &of_fork("UPDATE", 3, "one", &invite, "v=0")).0), [491]);
    super::digest::reply(&mut line, &prack, 200, "");
    let (out, told) = ask(&mut line, &of_fork("UPDATE", 4, "one", &invite, "v=0 moved"));
    assert_eq!((out.len(), told), (0, vec![Event::Offer { leg, sdp: Some(b"v=0 moved".into()) }]));
    line.accept_offer(leg, SDP.into(), start());
    assert_eq!(statuses(&sent(&mut line)), [200]);
    // Ours, in the same early dialog.
    line.offer(leg, b"v=0 ours".into(), start());
    let update = one(&mut line);
    assert!(update.starts_with("UPDATE sip:one@") && update.ends_with("v=0 ours"), "{update}");
    let glare = of_fork("UPDATE", 5, "one", &invite, "v=0");
    assert_eq!(statuses(&ask(&mut line, &glare).0), [491]);
    super::digest::reply(&mut line, &update, 200, &described("", "v=0 theirs"));
    assert_eq!(events(&mut line), [Event::Answer { leg, sdp: b"v=0 theirs".into() }]);
    from_fork(&mut line, &invite, 200, "one", "", "");
    assert_eq!(events(&mut line), [Event::Answered { leg, sdp: Some(b"v=0 theirs".into()) }]);
}

#[test]
fn rfc_4028_section_7_2_the_answer_to_an_early_update_says_nothing_of_the_session_timer() {
    let (mut line, leg, invite) = dialled();
    from_fork(&mut line, &invite, 183, "one", &reliable(1), "v=0 one");
    let prack = one(&mut line);
    super::digest::reply(&mut line, &prack, 200, "");
    line.offer(leg, b"v=0 ours".into(), start());
    let update = one(&mut line);
    from_fork(&mut line, &invite, 200, "one", "Session-Expires: 90;refresher=uac\r\n", "");
    super::digest::reply(&mut line, &update, 200, &described("", "v=0 theirs"));
    sent(&mut line);
    line.handle_timeout(start() + Duration::from_secs(45));
    let out = sent(&mut line);
    assert!(out.iter().any(|text| text.starts_with("UPDATE ")), "{out:?}");
}
