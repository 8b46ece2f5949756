//! Who called is in the log as the PBX said it: every header as it came, one number chosen, the way
//! the call took.

use crate::room::people::{LEADER, LINE};
use crate::room::{Room, seconds};
use dutyline::duty::ids::EntryId;
use dutyline::duty::journal::Urgency;
use dutyline::io::store::EntryView;
use dutyline::protocol::sip::claims::{ClaimHeader, DivertedWhy};

/// An INVITE from the PBX with these identity headers.
fn invite(number: u32, headers: &[u8]) -> Vec<u8> {
    let head = format!(
        "INVITE sip:{LINE}@10.1.0.1:5060 SIP/2.0\r\n\
         Via: SIP/2.0/UDP 10.1.0.2:5060;branch=z9hG4bKid{number}\r\nMax-Forwards: 70\r\n\
         To: <sip:{LINE}@duty.example>\r\nCall-ID: id-{number}\r\nCSeq: 1 INVITE\r\n\
         Contact: <sip:trunk@10.1.0.9:5060>\r\nContent-Type: application/sdp\r\n"
    );
    let sdp = "v=0\r\no=- 1 1 IN IP4 10.1.0.9\r\ns=-\r\nc=IN IP4 10.1.0.9\r\nt=0 0\r\n\
               m=audio 4000 RTP/AVP 8\r\n";
    let tail = format!("Content-Length: {}\r\n\r\n{sdp}", sdp.len());
    [head.as_bytes(), headers, tail.as_bytes()].concat()
}

/// It rings, the caller gives up, and the newest entry is read.
fn calls(room: &mut Room, number: u32, headers: &[u8]) -> EntryView {
    room.pbx_sends(&invite(number, headers));
    room.pass(seconds(1));
    let entry = newest(room);
    let cancel = format!(
        "CANCEL sip:{LINE}@10.1.0.1:5060 SIP/2.0\r\n\
         Via: SIP/2.0/UDP 10.1.0.2:5060;branch=z9hG4bKid{number}\r\nMax-Forwards: 70\r\n\
         From: <sip:x@y>;tag=f\r\nTo: <sip:{LINE}@duty.example>\r\nCall-ID: id-{number}\r\n\
         CSeq: 1 CANCEL\r\nContent-Length: 0\r\n\r\n"
    );
    room.pbx_sends(cancel.as_bytes());
    // The 487 is acknowledged by nobody; the transaction gives up by itself (Timer H).
    room.pass(seconds(34));
    room.view(entry)
}

fn newest(room: &Room) -> EntryId {
    room.all_rows().last().expect("an entry").id
}

#[test]
fn rec_s8_a_diverted_call_shows_who_called_and_who_sent_it_on() {
    let mut room = Room::open();
    let headers = "From: \"王主任\" <sip:+8613800130007@ims.example;user=phone>;tag=f\r\n\
        P-Asserted-Identity: \"王主任\" <sip:+8613800130007@ims.example;user=phone>\r\n\
        P-Asserted-Identity: <tel:+86-138-0013-0007>\r\n\
        Diversion: <sip:63005678@pbx>;reason=no-answer;counter=1\r\n\
        Diversion: \"总机\" <sip:63001000@pbx>;reason=unconditional\r\n\
        History-Info: <sip:63001000@pbx>;index=1, <sip:63005678@pbx;cause=302>;index=1.1;mp=1\r\n";
    let view = calls(&mut room, 1, headers.as_bytes());
    let call = view.row.call.expect("a call");
    assert_eq!((call.caller.as_str(), call.display.as_str()), ("13800130007", "王主任"));
    assert_eq!((call.chosen_from, call.vouched), (ClaimHeader::PAssertedIdentity, true));
    let way: Vec<_> = call.diverted.iter().map(|one| (one.number.as_str(), one.why)).collect();
    assert_eq!(
        way,
        [("63001000", DivertedWhy::Unconditional), ("63005678", DivertedWhy::NoAnswer)]
    );
    let raw: Vec<_> = view.claims.iter().map(|claim| (claim.header, claim.chosen)).collect();
    use ClaimHeader::{Diversion, From, HistoryInfo, PAssertedIdentity};
    assert_eq!(
        raw,
        [
            (From, false),
            (PAssertedIdentity, true),
            (PAssertedIdentity, false),
            (Diversion, false),
            (Diversion, false),
            (HistoryInfo, false),
            (HistoryInfo, false)
        ]
    );
    assert_eq!(view.claims[2].raw, b"<tel:+86-138-0013-0007>");
}

#[test]
fn rec_s8_what_is_not_asserted_is_unverified_and_every_byte_is_kept() {
    let mut room = Room::open();
    let gbk = b"From: \"\xb5\xf7\xb6\xc8\x1b[31m\" <sip:110@pbx>;tag=f\r\n\
                P-Preferred-Identity: <sip:119@pbx>\r\n";
    let view = calls(&mut room, 1, gbk);
    let call = view.row.call.expect("a call");
    assert_eq!((call.caller.as_str(), call.display.as_str()), ("110", "调度[31m"));
    assert!(!call.vouched);
    assert_eq!(view.claims[0].raw, b"\"\xb5\xf7\xb6\xc8\x1b[31m\" <sip:110@pbx>;tag=f");

    let hidden = "From: \"Anonymous\" <sip:anonymous@anonymous.invalid>;tag=f\r\nPrivacy: id\r\n";
    let call = calls(&mut room, 2, hidden.as_bytes()).row.call.expect("a call");
    assert_eq!((call.caller.as_str(), call.vouched, call.private), ("", false, true));

    let known = "From: <sip:anonymous@anonymous.invalid>;tag=f\r\nPrivacy: id\r\n\
        P-Asserted-Identity: <sip:13800130007@pbx>\r\n";
    let call = calls(&mut room, 3, known.as_bytes()).row.call.expect("a call");
    assert_eq!((call.caller.as_str(), call.vouched, call.private), ("13800130007", true, true));
}

#[test]
fn rec_s8_one_caller_in_many_dresses_is_counted_as_one() {
    let mut room = Room::open();
    let dresses = [
        "<sip:13800130007@pbx>",
        "<sip:+8613800130007@ims.example;user=phone>",
        "<sip:+8613800130007;npdi@10.1.0.2;user=phone>",
        "<tel:+86-138-0013-0007>",
        "<sip:13800130007;phone-context=+86@10.1.0.2>",
        "<sip:013800130007@pbx>",
    ];
    for (nth, dress) in (1..).zip(dresses) {
        let headers = format!("From: {dress};tag=f\r\n");
        let call = calls(&mut room, nth, headers.as_bytes()).row.call.expect("a call");
        assert_eq!((call.caller.as_str(), call.nth_today), ("13800130007", i64::from(nth)));
    }
}

#[test]
fn rel_an_emergency_by_its_own_word_is_flagged_by_the_rule_of_the_site() {
    let mut room = Room::open();
    let headers = "From: <sip:13800130007@pbx>;tag=f\r\nPriority: emergency\r\n\
        Resource-Priority: esnet.0\r\n";
    let view = calls(&mut room, 1, headers.as_bytes());
    assert_eq!(view.row.urgency, Urgency::Urgent);
    let escalation = &view.escalations[0].row;
    assert_eq!(escalation.raised_by, "系统");
    assert!(view.claims.iter().any(|claim| claim.raw == b"esnet.0"));
    assert!(room.phone(LEADER).rings() > 0, "the leader is called");
    room.leave_as_it_is();
}
