//! What is said to telephones outside of calls, against a scripted PBX (RFC 3428, RFC 3842).

use super::digest::{events, header, one, reply, reply_from};
use super::*;
use crate::protocol::sip::slip::{Reply, Says, Slip, SlipId};

const CHALLENGE: &str = "Proxy-Authenticate: Digest realm=\"duty.example\", nonce=\"n1\", qop=\"auth\", algorithm=SHA-256\r\n";

fn line() -> Endpoint {
    endpoint(Account { realm: Some("duty.example".to_owned()), ..account(LINE, udp(PBX)) })
}

fn text(id: u64, target: &str, text: &str) -> Slip {
    let says = Says::Text { text: text.to_owned(), lasts: Duration::from_secs(3600) };
    Slip { id: SlipId(id), target: target.to_owned(), says }
}

fn ended(id: u64, reply: Reply) -> Vec<Event> {
    vec![Event::SlipEnded { slip: SlipId(id), reply }]
}

fn body(message: &str) -> &str {
    message.split_once("\r\n\r\n").unwrap().1
}

#[test]
fn sig_message_section_4_a_text_goes_out_with_its_date_and_without_a_contact() {
    let mut line = line();
    line.send_slip(
        text(1, "3002", "【特急】值班室有紧急事项：记-20261003-0007"),
        AorId::default(),
        start(),
    );
    let sent = one(&mut line);
    assert!(sent.starts_with("MESSAGE sip:3002@duty.example SIP/2.0\r\n"), "{sent}");
    assert_eq!(header(&sent, "Date"), "Date: Tue, 14 Nov 2023 22:13:20 GMT");
    assert_eq!(header(&sent, "Expires"), "Expires: 3600");
    assert_eq!(header(&sent, "Content-Type"), "Content-Type: text/plain;charset=UTF-8");
    assert!(!sent.contains("Contact:"), "section 4: {sent}");
    assert_eq!(body(&sent), "【特急】值班室有紧急事项：记-20261003-0007");
    reply(&mut line, &sent, 100, "");
    assert!(events(&mut line).is_empty());
    reply(&mut line, &sent, 202, "");
    reply(&mut line, &sent, 202, "");
    assert_eq!(events(&mut line), ended(1, Reply::Status(202)), "once");
    line.handle_timeout(start() + Duration::from_secs(5));
    assert_eq!((line.load(), line.poll_timeout()), ((0, 0), None), "nothing is left of it");
}

#[test]
fn sig_message_the_pbxs_challenge_is_answered_and_a_strangers_is_not() {
    let mut line = line();
    line.send_slip(text(1, "3002", "急"), AorId::default(), start());
    let first = one(&mut line);
    reply(&mut line, &first, 407, CHALLENGE);
    let again = one(&mut line);
    assert!(again.contains("Proxy-Authorization: Digest ") && again.contains("SHA-256"), "{again}");
    assert_eq!(header(&again, "CSeq"), "CSeq: 2 MESSAGE");
    assert_eq!(header(&again, "Call-ID"), header(&first, "Call-ID"));
    reply(&mut line, &again, 200, "");
    assert_eq!(events(&mut line), ended(1, Reply::Status(200)));

    line.send_slip(text(2, "3002", "急"), AorId::default(), start());
    let first = one(&mut line);
    reply(&mut line, &first, 407, &CHALLENGE.replace("duty.example", "evil"));
    assert_eq!(events(&mut line), ended(2, Reply::Status(407)), "sig_29");
    line.send_slip(text(3, "3002", "急"), AorId::default(), start());
    let first = one(&mut line);
    let other = udp("192.0.2.66:5060");
    reply_from(&mut line, other, &first, 407, CHALLENGE, start());
    assert!(std::iter::from_fn(|| line.poll_transmit()).next().is_none(), "no password for others");
}

#[test]
fn sig_message_a_silent_pbx_is_given_up_after_thirty_two_seconds_as_is_a_slow_one() {
    for (heard, given_up) in [(false, 32), (true, 32)] {
        let mut line = line();
        line.send_slip(text(1, "3002", "急"), AorId::default(), start());
        let sent = one(&mut line);
        if heard {
            reply(&mut line, &sent, 100, "");
        }
        let after = loop {
            let (due, _) = line.poll_timeout().expect("it waits for something");
            line.handle_timeout(start() + due.since(start().mono));
            std::iter::from_fn(|| line.poll_transmit()).for_each(drop);
            if let [event] = &events(&mut line)[..] {
                assert_eq!(*event, ended(1, Reply::Silence)[0]);
                break due.since(start().mono).as_secs();
            }
        };
        assert_eq!((after, line.load()), (given_up, (0, 0)), "heard: {heard}");
        reply(&mut line, &sent, 200, "");
        assert!(matches!(events(&mut line)[..], [Event::Dropped { .. }]), "too late");
    }
}

#[test]
fn rfc_4320_section_4_1_a_telephone_that_answers_through_a_silent_proxy_after_seven_seconds_has_it()
{
    let mut line = line();
    line.send_slip(text(1, "3002", "急"), AorId::default(), start());
    let sent = one(&mut line);
    while let Some((due, _)) = line.poll_timeout() {
        let after = due.since(start().mono);
        if after > Duration::from_secs(7) {
            break;
        }
        line.handle_timeout(start() + after);
        std::iter::from_fn(|| line.poll_transmit()).for_each(drop);
    }
    line.send_slip(text(2, "3002", "急"), AorId::default(), start() + Duration::from_secs(7));
    let second = ended(2, Reply::NotSent("another one is under way"));
    assert_eq!(events(&mut line), second, "RFC 3428 §8, and nothing else has ended");
    reply(&mut line, &sent, 200, "");
    assert_eq!(events(&mut line), ended(1, Reply::Status(200)));
}

#[test]
fn sig_message_section_8_no_more_than_a_packet_and_cut_between_characters() {
    for filling in 0..7 {
        let mut line = line();
        let long = "x".repeat(filling) + &"记-20261003-0007、".repeat(200);
        line.send_slip(text(1, "3002", &long), AorId::default(), start());
        let first = one(&mut line);
        reply(&mut line, &first, 407, CHALLENGE);
        let again = one(&mut line);
        for sent in [&first, &again] {
            assert!((1290..=1300).contains(&sent.len()), "{} bytes", sent.len());
            let kept = body(sent).strip_suffix('…').expect("a mark where it was cut");
            assert!(long.starts_with(kept) && kept.len() > 300, "{kept}");
            let length = format!("Content-Length: {}", body(sent).len());
            assert_eq!(header(sent, "Content-Length"), length);
        }
    }
    let mut line = endpoint(Account { realm: None, ..account(LINE, tcp(PBX)) });
    line.send_slip(text(1, "3002", &"急".repeat(2000)), AorId::default(), start());
    assert!(one(&mut line).len() <= 1300, "what follows the first hop is not known");
}

#[test]
fn sig_message_section_8_one_at_a_time_to_one_telephone() {
    let mut line = line();
    line.send_slip(text(1, "3002", "一"), AorId::default(), start());
    let first = one(&mut line);
    line.send_slip(text(2, "3002", "二"), AorId::default(), start());
    assert_eq!(events(&mut line), ended(2, Reply::NotSent("another one is under way")));
    line.send_slip(text(3, "3003", "三"), AorId::default(), start());
    let other = one(&mut line);
    assert!(other.starts_with("MESSAGE sip:3003@"), "{other}");
    reply(&mut line, &first, 486, "");
    line.send_slip(text(4, "3002", "四"), AorId::default(), start());
    assert!(one(&mut line).ends_with("四"));
    for n in 0..100 {
        line.send_slip(text(100 + n, &format!("{n}"), "五"), AorId::default(), start());
    }
    let too_many = ended(0, Reply::NotSent("too busy"))[0].clone();
    let Event::SlipEnded { reply: wanted, .. } = too_many else { panic!() };
    let refused = events(&mut line);
    let busy = |event: &&Event| matches!(event, Event::SlipEnded { reply, .. } if *reply == wanted);
    assert_eq!(refused.iter().filter(busy).count(), 38, "of 102 no more than 64 at once");
    let mut nowhere = endpoint(account(LINE, Peer::nowhere(Transport::Udp)));
    nowhere.send_slip(text(1, "3002", "六"), AorId::default(), start());
    assert_eq!(events(&mut nowhere), ended(1, Reply::NotSent("no address of the PBX")));
    nowhere.send_slip(text(2, "sip:", "六"), AorId::default(), start());
    assert!(matches!(
        events(&mut nowhere)[..],
        [Event::SlipEnded { reply: Reply::NotSent(_), .. }]
    ));
}

#[test]
fn sig_mwi_the_lamp_of_a_telephone_is_told_as_a_mailbox_would() {
    for (waiting, word) in [(true, "yes"), (false, "no")] {
        let mut line = line();
        let slip = Slip { id: SlipId(1), target: "3002".into(), says: Says::Waiting(waiting) };
        line.send_slip(slip, AorId::default(), start());
        let sent = one(&mut line);
        assert!(sent.starts_with("NOTIFY sip:3002@duty.example SIP/2.0\r\n"), "{sent}");
        assert_eq!(header(&sent, "Event"), "Event: message-summary");
        assert!(sent.contains("Subscription-State: ") && sent.contains("Contact: <sip:101@"));
        let kind = "Content-Type: application/simple-message-summary";
        assert_eq!(header(&sent, "Content-Type"), kind);
        assert!(body(&sent).starts_with(&format!("Messages-Waiting: {word}\r\n")), "{sent}");
        reply(&mut line, &sent, 200, "");
        assert_eq!(events(&mut line), ended(1, Reply::Status(200)));
    }
}
