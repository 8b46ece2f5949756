//! Calls in fair weather: both roles, both ways of ending, and everything removed in the end.

use super::*;
use crate::protocol::sip::Ending;

const LONG: Duration = Duration::from_secs(60);

#[test]
fn sig_07_a_call_to_us_rings_is_answered_and_ended_by_them() {
    let mut world = World::calm();
    let theirs = world.pbx.invite(call(), world.now);
    let (line, _) = world.settle();
    let ours = incoming(&line);
    let [Event::Incoming { invite, .. }] = &line[..] else { panic!() };
    assert_eq!(
        (invite.claims.from().user.as_str(), invite.claims.from().display.as_str()),
        ("101", "值班室")
    );
    assert_eq!((invite.request_user.as_str(), invite.sdp.as_deref()), ("200", Some(SDP)));
    assert_eq!(invite.fault, None);
    world.line.ring(ours, None, world.now);
    let (_, pbx) = world.settle();
    assert_eq!(pbx, [Event::Progress { leg: theirs, status: 180, sdp: None }]);
    world.line.answer(ours, SDP.into(), world.now);
    let (line, pbx) = world.settle();
    assert_eq!(line, [Event::Confirmed { leg: ours }]);
    assert_eq!(pbx, [Event::Answered { leg: theirs, sdp: Some(SDP.into()) }]);
    world.pbx.bye(theirs, world.now);
    let (line, pbx) = world.settle();
    assert_eq!(line, [Event::Ended { leg: ours, ending: Ending::Bye }]);
    assert_eq!(pbx, [Event::Ended { leg: theirs, ending: Ending::OurBye }]);
    let talk = world.talk();
    assert_eq!(talk, ["< INVITE", "> 100", "> 180", "> 200", "< ACK", "< BYE", "> 200"]);
    assert_eq!(world.pass(LONG), (vec![], vec![]));
    assert!(world.is_clean(), "{:?} {:?}", world.line.load(), world.pbx.load());
}

#[test]
fn sig_07_we_end_a_call_and_place_one() {
    let (mut world, ours, theirs) = established();
    world.line.bye(ours, world.now);
    let (line, pbx) = world.settle();
    assert_eq!(line, [Event::Ended { leg: ours, ending: Ending::OurBye }]);
    assert_eq!(pbx, [Event::Ended { leg: theirs, ending: Ending::Bye }]);
    let ours = world.line.invite(call(), world.now);
    let (_, pbx) = world.settle();
    let theirs = incoming(&pbx);
    world.pbx.ring(theirs, Some(SDP.into()), world.now);
    let (line, _) = world.settle();
    assert_eq!(line, [Event::Progress { leg: ours, status: 183, sdp: Some(SDP.into()) }]);
    world.pbx.answer(theirs, SDP.into(), world.now);
    let (line, pbx) = world.settle();
    assert_eq!(line, [Event::Answered { leg: ours, sdp: Some(SDP.into()) }]);
    assert_eq!(pbx, [Event::Confirmed { leg: theirs }]);
    world.line.bye(ours, world.now);
    world.pass(LONG);
    assert!(world.is_clean());
}

/// Others come and go beside it; a run that takes one up begins with it.
#[test]
fn rel_09_since_when_there_are_sessions_is_since_the_oldest_that_is_open() {
    let (mut world, first, _) = established();
    let oldest = world.line.in_session_since();
    world.pass(LONG);
    let began = world.now.mono;
    let second = world.line.invite(call(), world.now);
    let _third = world.line.invite(call(), world.now + LONG);
    assert!(oldest.is_some_and(|oldest| oldest < began));
    assert_eq!(world.line.in_session_since(), oldest);
    world.line.bye(first, world.now);
    world.pass(LONG);
    assert_eq!(world.line.in_session_since(), Some(began));

    let mut saved = world.line.take_changes().into_iter();
    let (_, saved) = saved.find(|(leg, _)| *leg == second).expect("it may have changed");
    let mut next = endpoint(account(LINE, udp(PBX)));
    assert_eq!(next.in_session_since(), None);
    next.restore(second, saved.expect("it is open"), world.now);
    assert_eq!(next.in_session_since(), Some(world.now.mono));
}

#[test]
fn sig_09_a_refusal_carries_its_status_both_ways() {
    for status in [302, 404, 480, 486, 503, 603] {
        let mut world = World::calm();
        let theirs = world.pbx.invite(call(), world.now);
        let ours = incoming(&world.settle().0);
        world.line.refuse(ours, status, Some(7), world.now);
        let (line, pbx) = world.settle();
        let [Event::Refused { leg, status: got, .. }] = &pbx[..] else { panic!("{pbx:?}") };
        assert_eq!((line, *leg, *got), (vec![], theirs, status));
        assert!(world.seen.iter().any(|(_, text)| text.contains("\r\nRetry-After: 7\r\n")));
        assert_eq!(world.talk()[2..], [format!("> {status}"), "< ACK".to_owned()]);
        world.pass(LONG);
        assert!(world.is_clean());
    }
}

#[test]
fn sig_09_nobody_answers_and_a_dead_transport() {
    let mut world = World::new(1, Weather { lost: 1000, ..Weather::default() });
    let leg = world.line.invite(call(), world.now);
    let (line, _) = world.pass(LONG);
    let [Event::Refused { leg: refused, status: 408, .. }] = &line[..] else { panic!("{line:?}") };
    assert_eq!((*refused, world.talk().len()), (leg, 7));
    let leg = world.line.invite(call(), world.now);
    world.line.handle_unreachable(udp(PBX), "gone", world.now);
    let (line, _) = world.settle();
    let [Event::Refused { leg: refused, status: 503, .. }] = &line[..] else { panic!("{line:?}") };
    assert_eq!(*refused, leg);
    assert!(world.is_clean());
}

#[test]
fn sig_14_a_delayed_offer_is_answered_by_the_ack() {
    let mut line = endpoint(account(LINE, udp(PBX)));
    let (_, events) = ask(&mut line, &request("INVITE", "Contact: <sip:c@192.0.2.1>\r\n"));
    let leg = incoming(&events);
    line.answer(leg, SDP.into(), start());
    let ok = String::from_utf8(line.poll_transmit().unwrap().bytes).unwrap();
    let (_, tag) = ok.split_once("101@duty.example>;tag=").unwrap();
    let tag = &tag[..16];
    let ack = request("ACK", "Content-Type: application/sdp\r\nContent-Length: 3\r\n") + "v=0";
    let ack = ack.replace("101@duty.example>", &format!("101@duty.example>;tag={tag}"));
    let (_, events) = ask(&mut line, &ack);
    assert_eq!(events, [Event::Confirmed { leg }, Event::Answer { leg, sdp: b"v=0".into() }]);
}

#[test]
fn section_11_options_tell_what_we_can() {
    let mut line = endpoint(account(LINE, udp(PBX)));
    let (out, events) = ask(&mut line, &request("OPTIONS", ""));
    assert_eq!((status(&out[0]), events.len()), (200, 0));
    assert!(out[0].contains("\r\nAllow: INVITE, ACK, CANCEL, BYE"));
    assert!(out[0].contains("\r\nAccept: application/sdp\r\n"));
    assert!(out[0].contains("\r\nContent-Length: 0\r\n"));
}

#[test]
fn sig_21_the_same_calls_over_tcp_without_any_repetition() {
    let mut world = World::over(Transport::Tcp, 3, Weather::default());
    world.line.invite(call(), world.now);
    let theirs = incoming(&world.settle().1);
    let text = world.seen[0].1.clone();
    assert!(text.contains("\r\nVia: SIP/2.0/TCP 192.0.2.10:5060;branch=z9hG4bK"), "{text}");
    assert!(text.contains("\r\nContact: <sip:101@192.0.2.10:5060;transport=tcp>\r\n"), "{text}");
    world.pass(Duration::from_secs(20));
    world.pbx.refuse(theirs, 486, None, world.now);
    world.settle();
    assert_eq!(world.talk(), ["> INVITE", "< 100", "< 486", "> ACK"]);
    assert!(world.is_clean());
}
