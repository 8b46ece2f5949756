//! REFER and the NOTIFYs that follow (RFC 3515, RFC 4488), and INVITE with Replaces (RFC 3891).

use super::digest::{events, header, one, reply, reply_from};
use super::hostile::{CONTACT, inside, sent, statuses, talking};
use super::*;
use crate::protocol::sip::Referred;

const TO: &str = "Refer-To: <sip:2002@duty.example>\r\n";

fn refer(cseq: u32, tag: &str, lines: &str) -> String {
    inside("REFER", cseq, tag, &format!("{CONTACT}{lines}"))
}

/// A session whose peer has asked for a call to 2002, which we are about to make; the first NOTIFY.
fn referred() -> (Endpoint, LegId, String, String) {
    let (mut line, leg, tag) = talking();
    let (out, reported) = ask(&mut line, &refer(2, &tag, TO));
    assert_eq!(out, [""; 0], "the owner decides");
    let refer = Referred {
        user: "2002".to_owned(),
        replaces: None,
        consultation: None,
        by: None,
        ours: false,
        source: udp(PBX),
    };
    assert_eq!(reported, [Event::Refer { leg, refer: Box::new(refer) }]);
    line.accept_refer(leg, start());
    let mut out = sent(&mut line);
    let notify = out.pop().unwrap();
    assert_eq!(statuses(&out), [202]);
    assert!(out[0].contains("\r\nContact: <sip:101@192.0.2.10:5060>\r\n"), "{}", out[0]);
    (line, leg, tag, notify)
}

#[test]
fn section_2_4_the_referrer_is_told_by_notify_until_the_end() {
    let (mut line, leg, _, first) = referred();
    for part in [
        "\r\nEvent: refer\r\n",
        "\r\nSubscription-State: active;expires=60\r\n",
        "\r\nContent-Type: message/sipfrag;version=2.0\r\n",
        "\r\n\r\nSIP/2.0 100 Trying\r\n",
    ] {
        assert!(first.contains(part), "{part}: {first}");
    }
    line.tell_refer(leg, 183, start());
    line.tell_refer(leg, 180, start());
    assert_eq!(sent(&mut line), [""; 0], "one at a time");
    reply(&mut line, &first, 200, "");
    let second = one(&mut line);
    assert!(second.contains("\r\n\r\nSIP/2.0 180 Ringing\r\n"), "the newest: {second}");
    line.tell_refer(leg, 200, start());
    let last = one(&mut line);
    assert!(last.contains("\r\nSubscription-State: terminated;reason=noresource\r\n"), "{last}");
    line.tell_refer(leg, 200, start());
    assert_eq!(sent(&mut line), [""; 0], "a final one is the last");
}

#[test]
fn section_2_4_6_a_second_refer_waits_its_turn_and_is_named() {
    let (mut line, leg, tag, _) = referred();
    let (out, reported) = ask(&mut line, &refer(3, &tag, TO));
    assert_eq!((statuses(&out), reported.len()), (vec![491], 0));
    line.tell_refer(leg, 486, start());
    sent(&mut line);
    ask(&mut line, &refer(4, &tag, TO));
    line.accept_refer(leg, start());
    let notify = sent(&mut line).pop().unwrap();
    assert_eq!(header(&notify, "Event"), "Event: refer;id=4");
}

#[test]
fn a_referrer_that_knows_nothing_of_it_or_waits_too_long_is_told_no_more() {
    let (mut line, leg, _, first) = referred();
    reply(&mut line, &first, 481, "");
    line.tell_refer(leg, 200, start());
    assert_eq!(sent(&mut line), [""; 0]);

    let (mut line, leg, _, first) = referred();
    reply(&mut line, &first, 200, "");
    let later = start() + Duration::from_secs(60);
    line.handle_timeout(later);
    let last = one(&mut line);
    assert!(last.contains("\r\nSubscription-State: terminated;reason=timeout\r\n"), "{last}");
    reply_from(&mut line, udp(PBX), &last, 200, "", later);
    line.tell_refer(leg, 200, later);
    assert_eq!(sent(&mut line), [""; 0]);
    assert_eq!(events(&mut line), [], "the session goes on");
}

#[test]
fn what_is_no_refer_is_refused_where_it_stands() {
    let (mut line, leg, tag) = talking();
    let two = format!("{TO}{TO}");
    for (cseq, lines, status) in
        [(2, "", 400), (3, two.as_str(), 400), (4, "Refer-To: <mailto:a@b>\r\n", 416)]
    {
        let (out, reported) = ask(&mut line, &refer(cseq, &tag, lines));
        assert_eq!((statuses(&out), reported), (vec![status], vec![]), "{lines}");
    }
    ask(&mut line, &refer(5, &tag, TO));
    line.refuse_refer(leg, 603, start());
    assert_eq!(statuses(&sent(&mut line)), [603]);
    line.tell_refer(leg, 200, start());
    assert_eq!(sent(&mut line), [""; 0], "nothing was promised");
    let (out, _) = ask(&mut line, &request("REFER", TO));
    assert_eq!(statuses(&out), [603], "outside of any session");
}

#[test]
fn section_3_replaces_names_a_session_by_both_tags() {
    let (mut line, leg, tag) = talking();
    let invite = |number: u32, replaces: &str| {
        request("INVITE", &format!("{CONTACT}{replaces}"))
            .replace("Call-ID: call-1", &format!("Call-ID: new-{number}"))
            .replace("INVITE1", &format!("INVITEr{number}"))
    };
    let named = format!("Replaces: call-1;to-tag={tag};from-tag=theirs");
    for (number, replaces, status) in [
        (1, format!("{named};early-only\r\n"), 486),
        (2, named.replace("from-tag=theirs", "from-tag=other") + "\r\n", 481),
        (3, named.replace("call-1", "call-2") + "\r\n", 481),
        (4, format!("{named}\r\n{named}\r\n"), 400),
        (5, "Replaces: call-1;to-tag=1\r\n".to_owned(), 400),
    ] {
        let (out, reported) = ask(&mut line, &invite(number, &replaces));
        assert_eq!((statuses(&out), reported.len()), (vec![status], 0), "{replaces}");
    }
    let (_, reported) = ask(&mut line, &invite(6, &format!("Require: replaces\r\n{named}\r\n")));
    let replaced = reported.iter().find_map(|event| match event {
        Event::Incoming { invite, .. } => invite.replaces,
        _ => None,
    });
    assert_eq!(replaced, Some(leg));
    line.bye(leg, start());
    sent(&mut line);
    let (out, _) = ask(&mut line, &invite(7, &format!("{named}\r\n")));
    assert_eq!(statuses(&out), [603], "it is over");
}
