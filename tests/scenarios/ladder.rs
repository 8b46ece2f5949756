//! The SIP messages of a call are kept with it, both legs and nothing else.

use crate::room::people::{DESK, LEADER, LINE};
use crate::room::{Room, seconds};
use dutyline::duty::ids::CallId;
use dutyline::duty::ladder::Way;
use dutyline::io::ladder::label;
use dutyline::io::store::{Rung, RungWhat, wait};
use dutyline::protocol::sip::{Peer, Transport};

impl Room {
    fn ladder(&self, call: CallId) -> Vec<Rung> {
        wait(self.store.ladder(call)).expect("the log is read")
    }
}

/// `in 201 180 Ringing`, with `↻` for a repetition.
fn words(ladder: &[Rung]) -> Vec<String> {
    let word = |rung: &Rung| match &rung.what {
        RungWhat::Message { way, leg, bytes, again, .. } => {
            let way = if *way == Way::In { "in" } else { "out" };
            let leg = if leg.is_empty() { "caller" } else { leg };
            let again = if *again { " ↻" } else { "" };
            format!("{way} {leg} {}{again}", label(bytes).text)
        }
        RungWhat::Cut => "cut".to_owned(),
        RungWhat::Lost(count) => format!("lost {count}"),
    };
    ladder.iter().map(word).collect()
}

/// These words in this order, whatever stands between them.
fn in_order(words: &[String], wanted: &[&str]) {
    let mut rest = words.iter();
    for word in wanted {
        assert!(rest.any(|have| have == word), "{word} is not in its place in {words:#?}");
    }
}

#[test]
fn rec_s11_both_legs_of_a_call_are_on_its_ladder_in_order() {
    let mut room = Room::open();
    let entry = room.caller_dials("101");
    room.officer_answers(entry);
    room.pass(seconds(200));
    room.caller_hangs_up(entry);
    room.pass(seconds(2));
    let ladder = room.ladder(CallId(entry.0));
    let words = words(&ladder);
    in_order(
        &words,
        &[
            "in caller INVITE + SDP",
            "out caller 100 Trying",
            &format!("out {DESK} INVITE + SDP"),
            &format!("in {DESK} 180 Ringing"),
            "out caller 180 Ringing",
            &format!("in {DESK} 200 OK + SDP"),
            &format!("out {DESK} ACK"),
            "out caller 200 OK + SDP",
            "in caller ACK",
            "in caller BYE",
            "out caller 200 OK (BYE)",
            &format!("out {DESK} BYE"),
            &format!("in {DESK} 200 OK (BYE)"),
        ],
    );
    let others = words.iter().filter(|word| word.contains("REGISTER") || word.contains("OPTIONS"));
    assert_eq!(others.count(), 0, "{words:#?}");
    assert!(ladder.windows(2).all(|pair| pair[0].mono <= pair[1].mono));
    let secret = |rung: &Rung| match &rung.what {
        RungWhat::Message { bytes, .. } => String::from_utf8_lossy(bytes).contains("response="),
        RungWhat::Cut | RungWhat::Lost(_) => false,
    };
    assert!(!ladder.iter().any(secret), "credentials are kept");
}

#[test]
fn rec_s11_a_repetition_is_counted_and_a_stranger_is_not_heard() {
    let mut room = Room::open();
    let invite = format!(
        "INVITE sip:{LINE}@10.1.0.1:5060 SIP/2.0\r\nVia: SIP/2.0/UDP 10.1.0.2:5060;branch=z9hG4bKl\r\n\
         Max-Forwards: 70\r\nFrom: <sip:666@y>;tag=f\r\nTo: <sip:{LINE}@duty.example>\r\n\
         Call-ID: ladder-1\r\nCSeq: 1 INVITE\r\nContact: <sip:x@10.1.0.9:5060>\r\n\
         Content-Length: 0\r\n\r\n"
    );
    room.pbx_sends(invite.as_bytes());
    room.pbx_sends(invite.as_bytes());
    room.pass(seconds(1));
    let call = CallId(room.all_rows()[0].id.0);
    let bye = invite.replace("INVITE", "BYE");
    let stranger = Peer { transport: Transport::Udp, addr: "10.9.9.9:5060".parse().unwrap() };
    room.order(|daemon, now| daemon.handle_message(stranger, bye.into_bytes(), now));
    room.pass(seconds(1));
    room.pbx_sends(invite.replace("INVITE", "CANCEL").as_bytes());
    // The 487 is acknowledged by nobody; the transaction gives up by itself (Timer H).
    room.pass(seconds(34));
    let words = words(&room.ladder(call));
    in_order(&words, &["in caller INVITE", "in caller INVITE ↻", "in caller CANCEL"]);
    assert!(words.iter().any(|word| word == "out caller 487 Request Terminated ↻"), "{words:#?}");
    assert!(!words.iter().any(|word| word.contains("BYE")), "{words:#?}");
}

#[test]
fn rec_s11_a_call_to_a_leader_has_a_ladder_of_its_own() {
    let mut room = Room::open();
    let entry = room.caller_dials("101");
    room.officer_answers(entry);
    room.officer_flags_urgent(entry);
    room.leader_answers();
    room.leader_presses('1');
    room.pass(seconds(30));
    room.caller_hangs_up(entry);
    room.pass(seconds(2));
    let attempt = &room.attempts(entry)[0];
    let words = words(&room.ladder(attempt.id.into()));
    in_order(
        &words,
        &[&format!("out {LEADER} INVITE + SDP"), &format!("in {LEADER} 200 OK + SDP")],
    );
    assert!(!words.iter().any(|word| word.contains("caller")), "{words:#?}");
    let named = wait(room.store.calls_named(&entry.to_string())).expect("the log is read");
    assert_eq!(
        named.iter().map(|call| call.direction.as_str()).collect::<Vec<_>>(),
        ["in", "to_leader"]
    );
}

#[test]
fn rec_s11_the_ladder_of_a_call_that_is_taken_up_after_a_crash_goes_on() {
    let mut room = Room::open();
    let entry = room.caller_dials("101");
    room.officer_answers(entry);
    room.pass(seconds(5));
    room.kill_daemon();
    room.start_daemon();
    room.pass(seconds(5));
    room.caller_hangs_up(entry);
    room.pass(seconds(2));
    let words = words(&room.ladder(CallId(entry.0)));
    in_order(
        &words,
        &["in caller ACK", "in caller BYE", "out caller 200 OK (BYE)", &format!("out {DESK} BYE")],
    );
}
