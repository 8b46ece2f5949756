//! Session timers in both roles (RFC 4028), and what time does to a session that lasts.

use super::digest::{events, granted, header, one, reply, reply_from};
use super::hostile::{CONTACT, described, inside, sent, statuses};
use super::*;
use crate::protocol::sip::Ending;

const UPDATES: &str = "Allow: INVITE, ACK, UPDATE\r\n";

fn asking(seconds: u32) -> World {
    let mut world = World::calm();
    for end in [&mut world.line, &mut world.pbx] {
        end.account.session_expires = seconds;
    }
    world
}

#[test]
fn sig_17_ninety_seconds_over_ten_minutes_in_both_roles() {
    for we_call in [false, true] {
        let mut world = asking(90);
        let (ours, theirs) = if we_call {
            let ours = world.line.invite(call(), world.now);
            let theirs = incoming(&world.settle().1);
            world.pbx.answer(theirs, SDP.into(), world.now);
            (ours, theirs)
        } else {
            let theirs = world.pbx.invite(call(), world.now);
            let ours = incoming(&world.settle().0);
            world.line.answer(ours, SDP.into(), world.now);
            (ours, theirs)
        };
        world.settle();
        world.talk();
        assert_eq!(world.pass(Duration::from_secs(600)), (vec![], vec![]));
        // Who answered refreshes, every 45 s, and nobody else.
        let (refresh, ok) = if we_call { ("< UPDATE", "> 200") } else { ("> UPDATE", "< 200") };
        assert_eq!(world.talk(), [refresh, ok].repeat(13), "we call: {we_call}");
        world.line.bye(ours, world.now);
        let (_, pbx) = world.pass(Duration::from_secs(60));
        assert_eq!(pbx, [Event::Ended { leg: theirs, ending: Ending::Bye }]);
        assert!(world.is_clean());
    }
}

/// A call of ours, answered with these lines.
fn answered(lines: &str) -> (Endpoint, LegId) {
    let mut line = endpoint(account(LINE, udp(PBX)));
    let leg = line.invite(call(), start());
    let invite = one(&mut line);
    assert!(invite.contains("\r\nSession-Expires: 1800\r\n"), "{invite}");
    let ok = described(&format!("Contact: <sip:200@{PBX}>\r\n{lines}"), "v=0 theirs");
    reply(&mut line, &invite, 200, &ok);
    sent(&mut line);
    events(&mut line);
    (line, leg)
}

fn at(line: &mut Endpoint, seconds: u64) -> Vec<String> {
    line.handle_timeout(start() + Duration::from_secs(seconds));
    sent(line)
}

#[test]
fn sig_17_a_peer_that_never_refreshes_is_ended_with_reason() {
    let lines = "Require: timer\r\nSession-Expires: 90;refresher=uas\r\n";
    let (mut line, leg) = answered(lines);
    assert_eq!(at(&mut line, 59), [""; 0]);
    let bye = at(&mut line, 60).pop().unwrap();
    assert!(bye.starts_with("BYE "), "{bye}");
    let reason = "\r\nReason: SIP;cause=408;text=\"session timer expired\", Q.850;cause=102\r\n";
    assert!(bye.contains(reason), "{bye}");
    assert_eq!(events(&mut line), [Event::Ended { leg, ending: Ending::Expired }]);
}

#[test]
fn section_7_4_a_peer_without_update_is_refreshed_by_the_offer_that_is_in_force() {
    let (mut line, leg) = answered("Session-Expires: 90;refresher=uac\r\n");
    let invite = at(&mut line, 45).pop().unwrap();
    assert!(invite.starts_with("INVITE "), "{invite}");
    assert!(invite.contains("\r\nSession-Expires: 90;refresher=uac\r\n"), "{invite}");
    assert!(invite.contains("\r\nSupported: timer\r\n"), "{invite}");
    assert!(invite.ends_with(std::str::from_utf8(SDP).unwrap()), "{invite}");
    let lines = format!("{CONTACT}{UPDATES}Session-Expires: 90;refresher=uac\r\n");
    let ok = |sdp: &str| described(&lines, sdp);
    let when = start() + Duration::from_secs(46);
    reply_from(&mut line, udp(PBX), &invite, 200, &ok("v=0 theirs"), when);
    assert!(one(&mut line).starts_with("ACK "));
    assert_eq!(events(&mut line), [], "nothing has changed");
    // It takes UPDATE now, which carries no offer; a peer that refuses it gets a re-INVITE.
    let update = at(&mut line, 91).pop().unwrap();
    assert!(update.starts_with("UPDATE ") && update.ends_with("Content-Length: 0\r\n\r\n"));
    reply_from(&mut line, udp(PBX), &update, 405, "", start() + Duration::from_secs(91));
    let again = one(&mut line);
    assert!(again.starts_with("INVITE "), "{again}");
    let when = start() + Duration::from_secs(92);
    reply_from(&mut line, udp(PBX), &again, 200, &ok("v=0 moved"), when);
    assert_eq!(events(&mut line), [Event::Answer { leg, sdp: b"v=0 moved".into() }]);
}

/// RFC 6337 §5.3: whoever held us is offered what the owner wants, and goes on holding where he does.
#[test]
fn sig_15_a_refresh_does_not_repeat_what_a_hold_was_answered() {
    let limited: &[u8] = b"v=0\r\na=recvonly\r\n";
    for willing in [Some(&b"v=0\r\na=sendrecv\r\n"[..]), None] {
        let (mut line, leg) = answered("Session-Expires: 90;refresher=uac\r\n");
        line.make_offer(leg, limited.into(), start());
        let invite = one(&mut line);
        let lines = format!("{CONTACT}Session-Expires: 90;refresher=uac\r\n");
        reply(&mut line, &invite, 200, &described(&lines, "v=0 holds"));
        assert!(one(&mut line).starts_with("ACK "));
        events(&mut line);
        assert_eq!(at(&mut line, 45), [""; 0], "the owner is asked first");
        assert_eq!(events(&mut line), [Event::Offer { leg, sdp: None }]);
        assert_eq!(at(&mut line, 46), [""; 0]);
        let when = start() + Duration::from_secs(46);
        match willing {
            Some(willing) => line.accept_offer(leg, willing.into(), when),
            None => line.refuse_offer(leg, 488, when),
        }
        let invite = one(&mut line);
        assert!(invite.contains("\r\nSession-Expires: 90;refresher=uac\r\n"), "{invite}");
        let said = std::str::from_utf8(willing.unwrap_or(limited)).unwrap();
        assert!(invite.starts_with("INVITE ") && invite.ends_with(said), "{invite}");
        reply_from(&mut line, udp(PBX), &invite, 200, &described(&lines, "v=0 holds"), when);
        assert!(one(&mut line).starts_with("ACK "));
        assert_eq!(events(&mut line), [Event::Answer { leg, sdp: b"v=0 holds".into() }]);
        let next = at(&mut line, 91);
        assert_eq!(next.len(), usize::from(willing.is_some()), "{next:?}");
    }
}

#[test]
fn section_10_refused_refreshes_are_tried_again_until_the_end() {
    let (mut line, leg) = answered(&format!("{UPDATES}Session-Expires: 90;refresher=uac\r\n"));
    let mut tried = vec![];
    for second in 1..=90 {
        for request in at(&mut line, second) {
            let word = request.split(' ').next().unwrap().to_owned();
            if word == "UPDATE" {
                let now = start() + Duration::from_secs(second);
                reply_from(&mut line, udp(PBX), &request, 403, "", now);
            }
            tried.push((second, word));
        }
    }
    assert_eq!(tried.first().unwrap(), &(45, "UPDATE".to_owned()));
    assert_eq!(tried.last().unwrap(), &(90, "BYE".to_owned()));
    assert!((3..10).contains(&tried.len()), "{tried:?}");
    assert_eq!(events(&mut line), [Event::Ended { leg, ending: Ending::Expired }]);
}

#[test]
fn section_7_3_422_asks_the_same_call_again_and_a_mad_one_is_a_refusal() {
    let mut line = endpoint(account(LINE, udp(PBX)));
    let leg = line.invite(call(), start());
    let invite = one(&mut line);
    reply(&mut line, &invite, 422, "Min-SE: 3600\r\n");
    let [ack, again] = &sent(&mut line)[..] else { panic!() };
    assert!(ack.starts_with("ACK "));
    assert_eq!(header(again, "Call-ID"), header(&invite, "Call-ID"));
    assert_eq!(header(again, "From"), header(&invite, "From"));
    assert_eq!(header(again, "CSeq"), "CSeq: 2 INVITE");
    assert_eq!(header(again, "Session-Expires"), "Session-Expires: 3600");
    assert_eq!(header(again, "Min-SE"), "Min-SE: 3600");
    assert_eq!(again.matches("Session-Expires").count(), 1);
    reply(&mut line, again, 422, "Min-SE: 3600\r\n");
    assert!(
        matches!(events(&mut line)[..], [Event::Refused { leg: l, status: 422, .. }] if l == leg)
    );
    assert_eq!(line.load().1, 0);
}

#[test]
fn section_9_we_ask_for_ninety_seconds_at_least_and_that_is_no_call_yet() {
    let mut line = super::hostile::line();
    let invite =
        request("INVITE", &format!("{CONTACT}Supported: timer\r\nSession-Expires: 60\r\n"));
    let (out, told) = ask(&mut line, &invite);
    assert_eq!((statuses(&out), told), (vec![422], vec![]));
    assert!(out[0].contains("\r\nMin-SE: 90\r\n"), "{}", out[0]);
    let again = invite.replace("INVITE1", "INVITE2").replace("Expires: 60", "Expires: 90");
    let leg = incoming(&ask(&mut line, &again.replace("CSeq: 1", "CSeq: 2")).1);
    line.answer(leg, SDP.into(), start());
    let ok = one(&mut line);
    assert!(ok.contains("\r\nSession-Expires: 90;refresher=uas\r\nRequire: timer\r\n"), "{ok}");
    let tag = ok.split_once("101@duty.example>;tag=").unwrap().1[..16].to_owned();
    ask(&mut line, &inside("ACK", 2, &tag, ""));
    // Inside the session too; and a refresh of theirs is one, whoever's turn it was.
    let small = "Supported: timer\r\nSession-Expires: 30\r\n";
    assert_eq!(statuses(&ask(&mut line, &inside("UPDATE", 3, &tag, small)).0), [422]);
    let fine = "Supported: timer\r\nSession-Expires: 120;refresher=uac\r\n";
    let (out, _) = ask(&mut line, &inside("UPDATE", 4, &tag, fine));
    assert!(out[0].contains("\r\nSession-Expires: 120;refresher=uac\r\n"), "{out:?}");
    assert_eq!(at(&mut line, 60), [""; 0], "it is the peer's turn now");
    assert!(at(&mut line, 88).pop().unwrap().starts_with("BYE "));
}

#[test]
fn rel_25_a_peer_that_vanishes_without_bye_is_noticed() {
    for (lines, seconds) in [
        (UPDATES.to_owned(), 900 + 32),
        (String::new(), 900 + 32),
        (format!("{UPDATES}Session-Expires: 90;refresher=uac\r\n"), 45 + 32),
        ("Session-Expires: 90;refresher=uas\r\n".to_owned(), 60),
    ] {
        let (mut line, leg) = answered(&lines);
        while line.load().1 > 0 {
            let (when, _) = line.poll_timeout().unwrap();
            line.handle_timeout(Now { mono: when, ..start() });
            sent(&mut line);
            if let Some(event) = line.poll_event() {
                assert!(matches!(event, Event::Ended { leg: l, .. } if l == leg), "{event:?}");
                assert_eq!(when.since(start().mono).as_secs(), seconds, "{lines}");
            }
        }
    }
}

/// Days of a session and a registration at a PBX that grants everything, from this uptime on.
fn weeks(from: Duration, days: u64) -> (usize, usize, Endpoint, LegId, Now) {
    let mut line = endpoint(Account { expires: 3600, ..account(LINE, udp(PBX)) });
    let mut now = Now { mono: Mono(0), ..start() } + from;
    let end = now.mono + Duration::from_secs(days * 86_400);
    line.register(now);
    // Every ten seconds of 400 days.
    line.route.stop();
    let leg = line.invite(call(), now);
    let (mut updates, mut registers) = (0, 0);
    loop {
        for request in sent(&mut line) {
            let lines = match request.split(' ').next().unwrap() {
                "REGISTER" => granted(3600),
                "ACK" => continue,
                "UPDATE" => {
                    updates += 1;
                    format!("{UPDATES}Session-Expires: 1800;refresher=uac\r\n")
                }
                "INVITE" => {
                    format!(
                        "Contact: <sip:200@{PBX}>\r\n{UPDATES}Session-Expires: 1800;refresher=uac\r\n"
                    )
                }
                _ => panic!("{request}"),
            };
            reply_from(&mut line, udp(PBX), &request, 200, &lines, now);
        }
        for event in events(&mut line) {
            match event {
                Event::Registered { .. } => registers += 1,
                Event::Answered { .. } => {}
                other => panic!("{other:?}"),
            }
        }
        let (when, _) = line.poll_timeout().unwrap();
        if when >= end {
            return (updates, registers, line, leg, now);
        }
        now = now + when.since(now.mono);
        line.handle_timeout(now);
    }
}

#[test]
fn rel_20_a_session_and_a_registration_over_27_50_and_400_days() {
    for days in [27, 50, 400] {
        let (updates, registers, mut line, leg, now) = weeks(Duration::from_secs(1), days);
        assert!(updates as u64 >= days * 95, "{updates} in {days} days");
        assert!(registers as u64 >= days * 45, "{registers} in {days} days");
        line.bye(leg, now);
        let bye = sent(&mut line).pop().unwrap();
        let number = header(&bye, "CSeq").split(' ').nth(1).unwrap().parse::<usize>().unwrap();
        assert_eq!(number, updates + 2, "{bye}");
    }
}

#[test]
fn rel_20_uptimes_where_counters_of_others_wrapped() {
    // 2³¹ and 2³² milliseconds, 2⁵³ nanoseconds: an hour before each until a day after.
    for before in [2_147_483, 4_294_967, 9_007_199] {
        let from = Duration::from_secs(before - 3600);
        let (updates, registers, ..) = weeks(from, 1);
        assert!((95..=97).contains(&updates) && registers >= 46, "{updates} {registers}");
    }
}

#[test]
fn rel_20_numbers_near_2_to_the_31() {
    let (mut line, leg, tag) = super::hostile::talking();
    let last = (1 << 31) - 1;
    assert_eq!(statuses(&ask(&mut line, &inside("INFO", last - 1, &tag, "")).0), [200]);
    assert_eq!(
        statuses(
            &ask(
                &mut line,
                &inside("INFO", last - 1, &tag, "X: y\r\n").replace("INFO2147483646", "other")
            )
            .0
        ),
        [500]
    );
    assert_eq!(statuses(&ask(&mut line, &inside("UPDATE", last, &tag, CONTACT)).0), [200]);
    assert_eq!(statuses(&ask(&mut line, &inside("UPDATE", last + 1, &tag, CONTACT)).0), [400]);
    events(&mut line);
    line.bye(leg, start());
    assert!(one(&mut line).starts_with("BYE "));
}
