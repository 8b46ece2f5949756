//! Where answers go, what is answered otherwise than by 200, and what of it is kept.

use super::hostile::{CONTACT, inside, line, sent, statuses, talking};
use super::*;

/// A request of the PBX that comes over a connection, from a port of its own choice.
fn over_tcp(method: &str, sent_by: &str) -> String {
    request(method, CONTACT)
        .replace(&format!("SIP/2.0/UDP {PBX}"), &format!("SIP/2.0/TCP {sent_by}"))
}

fn places(line: &mut Endpoint) -> Vec<(Peer, u16)> {
    let out = std::iter::from_fn(|| line.poll_transmit());
    out.map(|one| (one.to, status(&String::from_utf8_lossy(&one.bytes)))).collect()
}

#[test]
fn section_18_2_2_an_answer_goes_where_it_came_from_or_where_its_sender_says() {
    let from = udp("192.0.2.1:33333");
    for (sent_by, more, back) in [
        // Sends from another port than it listens at, as some gateways do.
        ("192.0.2.1:5070", "", "192.0.2.1:5070"),
        ("192.0.2.1", "", PBX),
        // RFC 3581, or a NAT on the way: the port that it came from.
        ("192.0.2.1:5070", ";rport", "192.0.2.1:33333"),
        ("10.0.0.9:5070", "", "192.0.2.1:33333"),
        ("pbx.example:5070", "", "192.0.2.1:33333"),
    ] {
        for (method, codes) in [("OPTIONS", &[200][..]), ("INVITE", &[100][..])] {
            let mut line = line();
            let via = format!("SIP/2.0/UDP {sent_by}{more}");
            let text = request(method, CONTACT).replace(&format!("SIP/2.0/UDP {PBX}"), &via);
            line.handle_message(from, text.as_bytes(), start());
            let places = places(&mut line);
            let wanted: Vec<_> = codes.iter().map(|code| (udp(back), *code)).collect();
            assert_eq!(places, wanted, "{method} {sent_by}{more}");
        }
    }
}

/// The connection of a call that rings is lost: its PBX hears the rest at the port that it named.
#[test]
fn section_18_2_2_when_a_connection_is_gone_the_answer_comes_by_another() {
    let (gone, named) = (tcp("192.0.2.1:40001"), tcp("192.0.2.1:5080"));
    let ringing = || {
        let mut line = endpoint(account(LINE, tcp(PBX)));
        line.handle_message(gone, over_tcp("INVITE", "192.0.2.1:5080").as_bytes(), start());
        let leg = incoming(&std::iter::from_fn(|| line.poll_event()).collect::<Vec<_>>());
        line.ring(leg, None, start());
        assert_eq!(places(&mut line), [(gone, 100), (gone, 180)]);
        line.handle_unreachable(gone, "closed by the peer", start());
        assert_eq!(places(&mut line), [(named, 180)], "what may have been lost is said again");
        (line, leg)
    };
    let (mut line, leg) = ringing();
    line.answer(leg, SDP.into(), start());
    assert_eq!(places(&mut line), [(named, 200)]);
    line.handle_timeout(start() + Duration::from_millis(500));
    assert_eq!(places(&mut line), [(named, 200)], "until it is acknowledged");
    let (mut line, leg) = ringing();
    line.refuse(leg, 486, None, start());
    assert_eq!(places(&mut line), [(named, 486)]);
    line.handle_unreachable(named, "refused", start());
    assert_eq!(places(&mut line), [(named, 486)], "once more");
    line.handle_unreachable(named, "refused", start());
    assert!(places(&mut line).is_empty(), "and that is all");
}

#[test]
fn section_18_2_2_what_was_answered_just_before_is_answered_again() {
    let (gone, named) = (tcp("192.0.2.1:40001"), tcp(PBX));
    for answer in [200, 486] {
        let mut line = endpoint(account(LINE, tcp(PBX)));
        line.handle_message(gone, over_tcp("INVITE", "192.0.2.1").as_bytes(), start());
        let leg = incoming(&std::iter::from_fn(|| line.poll_event()).collect::<Vec<_>>());
        match answer {
            200 => line.answer(leg, SDP.into(), start()),
            status => line.refuse(leg, status, None, start()),
        }
        assert_eq!(places(&mut line), [(gone, 100), (gone, answer)]);
        line.handle_unreachable(gone, "closed by the peer", start());
        assert_eq!(places(&mut line), [(named, answer)], "at once");
        // The connection that we opened ourselves is lost too.
        line.handle_unreachable(named, "closed by the peer", start());
        assert_eq!(places(&mut line), [(named, answer)], "over another");
        line.handle_unreachable(named, "closed by the peer", start());
        line.handle_timeout(start() + Duration::from_millis(400));
        assert!(places(&mut line).is_empty(), "and that is all");
    }
}

/// 40,000 OPTIONS in half a minute, as no PBX sends them: each is answered, and calls have their place.
#[test]
fn rel_06_options_leave_calls_their_room() {
    let (mut line, leg, tag) = talking();
    let mut now = start();
    let mut answered = 0;
    for n in 0..40_000 {
        now = now + Duration::from_micros(800);
        let text = request("OPTIONS", "").replace("OPTIONS1", &format!("flood{n}"));
        line.handle_timeout(now);
        line.handle_message(udp(PBX), text.as_bytes(), now);
        answered += statuses(&sent(&mut line)).iter().filter(|code| **code == 200).count();
    }
    assert_eq!(answered, 40_000);
    assert!(line.load().0 <= line.transactions_max / 4 + 1, "{:?}", line.load());
    let call = request("INVITE", CONTACT).replace("call-1", "call-2").replace("INVITE1", "call2");
    line.handle_message(udp(PBX), call.as_bytes(), now);
    assert!(matches!(line.poll_event(), Some(Event::Incoming { .. })), "and not 503");
    line.handle_message(udp(PBX), inside("BYE", 2, &tag, "").as_bytes(), now);
    assert!(matches!(line.poll_event(), Some(Event::Ended { leg: l, .. }) if l == leg));
}

/// So are calls that are refused without being any: of a session that nobody knows.
#[test]
fn rel_06_refused_reinvites_leave_calls_their_room() {
    let mut line = line();
    let mut now = start();
    for n in 0..12_000 {
        now = now + Duration::from_micros(800);
        let text = inside("INVITE", 1, "nobodys", CONTACT).replace("INVITE1", &format!("re{n}"));
        line.handle_timeout(now);
        line.handle_message(udp(PBX), text.as_bytes(), now);
        assert_eq!(statuses(&sent(&mut line)).last(), Some(&481));
    }
    assert!(line.load().0 <= line.transactions_max / 4 + 1, "{:?}", line.load());
    let call = request("INVITE", CONTACT).replace("call-1", "call-2").replace("INVITE1", "call2");
    line.handle_message(udp(PBX), call.as_bytes(), now);
    assert!(matches!(line.poll_event(), Some(Event::Incoming { .. })), "and not 503");
}

/// Large ones are answered alike each time they come, and nothing is kept of them.
#[test]
fn rel_06_large_requests_fill_no_memory() {
    let mut line = line();
    let more = "X-Much: ".to_owned() + &"y".repeat(8_000) + "\r\n";
    let big = request("OPTIONS", &more.repeat(7));
    let (first, _) = ask(&mut line, &big);
    let (again, _) = ask(&mut line, &big);
    assert_eq!((statuses(&first), first == again), (vec![200], true));
    assert_eq!(line.load(), (0, 0));
    ask(&mut line, &request("OPTIONS", ""));
    assert_eq!(line.load(), (1, 0), "others are");
}

#[test]
fn rfc_6665_section_4_1_3_of_other_events_than_a_mailboxs_we_know_nothing() {
    for (event, expected) in [
        ("Event: message-summary\r\n", 200),
        ("o: Message-Summary;id=7\r\n", 200),
        ("", 200),
        ("Event: reg\r\n", 489),
        ("Event: presence;id=1\r\n", 489),
        ("Event: message-summary.winfo\r\n", 489),
        ("Event: \r\n", 489),
    ] {
        let (out, events) = ask(&mut line(), &request("NOTIFY", event));
        assert_eq!((statuses(&out), events.len()), (vec![expected], 0), "{event}");
        let tells = out[0].contains("\r\nAllow-Events: message-summary\r\n");
        assert_eq!(tells, expected == 489, "{event}");
    }
}

#[test]
fn rfc_6086_section_4_2_2_an_info_package_is_refused_and_the_session_goes_on() {
    let (mut line, _, tag) = talking();
    let key = "Info-Package: dtmf\r\nContent-Type: application/dtmf-relay\r\n";
    let (out, events) = ask(&mut line, &(inside("INFO", 4, &tag, key) + "Signal=1"));
    assert!(
        matches!(events[..], [Event::Info { .. }]) && statuses(&out) == [200],
        "a key is a key"
    );
    let (mut line, _, tag) = talking();
    let info = "Info-Package: nortel\r\nContent-Type: text/plain\r\n";
    let (out, events) = ask(&mut line, &(inside("INFO", 2, &tag, info) + "x"));
    assert_eq!((statuses(&out), events.len()), (vec![469], 0));
    assert!(out[0].contains("SIP/2.0 469 Bad Info Package\r\n"), "{}", out[0]);
    assert!(out[0].contains("\r\nRecv-Info: \r\n"), "{}", out[0]);
    assert_eq!(statuses(&ask(&mut line, &inside("INFO", 3, &tag, "")).0), [200]);
}
