//! A call to the duty number reaches the officer, and is in the log whatever happens.

use crate::room::people::{DESK, LINE, PBX_HOST, RING, SPARE};
use crate::room::{Room, millis, minutes, seconds};
use dutyline::demo::pbx;
use dutyline::demo::phone::{Event, Manner, State};
use dutyline::duty::journal::Disposition;
use dutyline::io::store::RecordingState;
use dutyline::protocol::rtp::Party;
use dutyline::protocol::sip::Ending;
use std::time::Duration;

/// How long after the caller's INVITE the officer's phone rings on fair wires and a quick log.
const QUICK: Duration = Duration::from_millis(50);

#[test]
fn the_entry_exists_before_any_phone_rings() {
    let mut room = Room::open();
    room.log_takes(millis(140));
    let entry = room.caller_dials("010-00000001");
    assert_eq!(room.phone(DESK).rings(), 0);
    assert_eq!(room.entry(entry).caller, "010-00000001");
    assert_eq!(room.entry(entry).answered_at, None);
    room.rings(DESK, seconds(1));
    room.caller_hangs_up(entry);
}

#[test]
fn an_answered_call_is_written_down_from_end_to_end() {
    let mut room = Room::open();
    let dialled = room.now().wall;
    let entry = room.caller_dials("101");
    room.pass(seconds(4));
    room.officer_answers(entry);
    let answered = room.now().wall;
    room.pass(minutes(3));
    room.caller_hangs_up(entry);
    room.pass(seconds(1));
    let seen = room.entry(entry);
    assert_eq!(seen.disposition, Some(Disposition::Answered));
    assert_eq!(seen.answered_by.as_deref(), Some("值班台话机"));
    assert_eq!(room.ending(entry), Some((Some(Party::Caller), 200)));
    assert!(room.near(seen.arrived_at, dialled, millis(10)));
    assert!(room.near(seen.answered_at.unwrap(), answered, millis(10)));
    assert!(room.near(seen.ended_at.unwrap(), answered + minutes(3), millis(50)));
    assert_eq!(room.calls_in_progress(), 0);
}

#[test]
fn sig_07_either_side_may_hang_up() {
    let mut room = Room::open();
    let entry = room.caller_dials("101");
    room.officer_answers(entry);
    room.pass(seconds(10));
    room.hangs_up(DESK);
    assert_eq!(room.caller_hears_the_end(entry), Event::Ended { ending: Ending::Bye });
    room.pass(seconds(1));
    assert_eq!(room.ending(entry), Some((Some(Party::Officer), 200)));
}

#[test]
fn sig_09_nobody_answers_the_desk_so_the_spare_phone_rings() {
    let mut room = Room::open();
    let entry = room.caller_dials("101");
    room.rings(DESK, QUICK);
    room.pass(RING + millis(500));
    assert_eq!(room.state(DESK), State::OnHook);
    room.picks_up(SPARE);
    room.are_connected(entry);
    room.pass(seconds(5));
    room.caller_hangs_up(entry);
    room.pass(seconds(1));
    let seen = room.entry(entry);
    assert_eq!(seen.answered_by.as_deref(), Some("备用话机"));
    assert_eq!(
        seen.legs,
        [("值班台话机".to_owned(), Some(487)), ("备用话机".to_owned(), Some(200))]
    );
}

#[test]
fn sig_09_the_caller_hears_ringing_while_phones_change() {
    let mut room = Room::open();
    let entry = room.caller_dials("101");
    room.pass(RING + seconds(1));
    let rings_there = |room: &Room| {
        let story = &room.phone("101").story;
        story.iter().filter(|(_, event)| *event == Event::RingsThere).count()
    };
    assert!(rings_there(&room) >= 1);
    assert_eq!(room.state("101"), State::Dialling);
    room.caller_hangs_up(entry);
}

#[test]
fn a_call_nobody_answers_is_missed() {
    let mut room = Room::open();
    let entry = room.caller_dials("101");
    room.pass(RING + RING + seconds(3));
    assert!(matches!(room.caller_hears_the_end(entry), Event::Refused { status: 480 }));
    let seen = room.entry(entry);
    assert_eq!(seen.disposition, Some(Disposition::Missed));
    assert_eq!(seen.answered_at, None);
    assert!(seen.ended_at.is_some());
}

#[test]
fn sig_09_a_busy_desk_is_passed_over_at_once() {
    let mut room = Room::open();
    room.set_manner(DESK, Manner::Refuses { after: Duration::ZERO, status: 486 });
    let entry = room.caller_dials("101");
    room.rings(SPARE, QUICK);
    room.picks_up(SPARE);
    room.are_connected(entry);
    room.caller_hangs_up(entry);
    room.pass(seconds(1));
    assert_eq!(room.entry(entry).legs[0], ("值班台话机".to_owned(), Some(486)));
}

#[test]
fn when_every_phone_is_busy_the_caller_hears_busy() {
    let mut room = Room::open();
    for phone in [DESK, SPARE] {
        room.set_manner(phone, Manner::Refuses { after: Duration::ZERO, status: 486 });
    }
    let entry = room.caller_dials("101");
    assert_eq!(room.caller_hears_the_end(entry), Event::Refused { status: 486 });
    room.pass(seconds(1));
    assert_eq!(room.entry(entry).disposition, Some(Disposition::BusyMissed));
}

#[test]
fn when_every_phone_declines_the_call_is_declined() {
    let mut room = Room::open();
    let entry = room.caller_dials("101");
    room.refuses(DESK, 603);
    room.refuses(SPARE, 603);
    assert!(matches!(room.caller_hears_the_end(entry), Event::Refused { .. }));
    room.pass(seconds(1));
    assert_eq!(room.entry(entry).disposition, Some(Disposition::Declined));
}

#[test]
fn sig_08_a_caller_who_gives_up_stops_the_ringing() {
    let mut room = Room::open();
    let entry = room.caller_dials("101");
    room.rings(DESK, QUICK);
    room.pass(seconds(6));
    room.caller_hangs_up(entry);
    room.pass(millis(100));
    assert_eq!(room.state(DESK), State::OnHook);
    let seen = room.entry(entry);
    assert_eq!(seen.disposition, Some(Disposition::Abandoned));
    assert_eq!(room.ending(entry), Some((Some(Party::Caller), 487)));
}

#[test]
fn sig_08_a_caller_may_give_up_at_every_moment() {
    for after in (0..60).map(|step| millis(step * 5)) {
        let mut room = Room::open();
        room.log_takes(millis(60));
        room.set_manner(DESK, Manner::Answers { after: millis(100) });
        room.caller_tries("101");
        room.pass(after);
        room.hangs_up("101");
        room.pass(seconds(2));
        let calls = room.all_calls();
        assert_eq!(calls.len(), 1, "given up after {after:?}");
        let disposition = calls[0].disposition;
        assert!(
            matches!(disposition, Some(Disposition::Abandoned | Disposition::Answered)),
            "{disposition:?}, given up after {after:?}"
        );
    }
}

#[test]
fn two_calls_at_once_are_two_entries() {
    let mut room = Room::open();
    let first = room.caller_dials("101");
    room.officer_answers(first);
    let second = room.caller_dials("102");
    room.picks_up(SPARE);
    room.are_connected(second);
    room.pass(seconds(30));
    room.caller_hangs_up(first);
    room.pass(seconds(10));
    room.caller_hangs_up(second);
    room.pass(seconds(1));
    assert_ne!(first, second);
    for entry in [first, second] {
        assert_eq!(room.entry(entry).disposition, Some(Disposition::Answered));
    }
    let legs = room.entry(second).legs;
    assert_eq!(legs[0], ("值班台话机".to_owned(), Some(486)));
}

#[test]
fn sig_11_a_call_too_many_is_a_row_and_a_503() {
    let mut room = Room::open();
    let entries: Vec<_> = (1..=4).map(|n| room.caller_dials(&format!("10{n}"))).collect();
    // Twelve channels, four of them kept for leaders: the fifth call finds none.
    room.caller_tries("105");
    room.pass(seconds(1));
    assert!(matches!(room.phone("105").last(), Some(Event::Refused { status: 503 })));
    let calls = room.all_calls();
    assert_eq!(calls.len(), 5);
    assert_eq!(calls[4].disposition, Some(Disposition::BusyMissed));
    for entry in entries {
        room.caller_hangs_up(entry);
    }
}

#[test]
fn rel_when_the_log_stands_still_the_phone_rings_all_the_same_and_the_row_comes_later() {
    let mut room = Room::open();
    room.log_stalls(seconds(20));
    room.caller_tries("101");
    room.pass(millis(149));
    assert_eq!(room.phone(DESK).rings(), 0);
    room.rings(DESK, millis(20));
    room.picks_up(DESK);
    room.pass(seconds(5));
    assert_eq!(room.state("101"), State::Talking);
    assert_eq!(room.all_calls().len(), 0);
    room.pass(seconds(20));
    let calls = room.all_calls();
    assert_eq!(calls.len(), 1);
    assert_eq!(calls[0].answered_by.as_deref(), Some("值班台话机"));
    room.hangs_up("101");
    room.pass(seconds(1));
    assert_eq!(room.all_calls()[0].disposition, Some(Disposition::Answered));
}

#[test]
fn sig_29_an_invite_that_cannot_be_understood_is_a_row_and_an_answer() {
    let hostile: [(&str, &str); 4] = [
        ("no From", "From"),
        ("no CSeq number", "CSeq"),
        ("no To", "To"),
        ("no media we know", "sdp"),
    ];
    for (what, without) in hostile {
        let mut room = Room::open();
        let invite = raw_invite(without);
        room.pbx_sends(invite.as_bytes());
        room.pass(seconds(2));
        let calls = room.all_calls();
        assert_eq!(calls.len(), 1, "{what}");
        assert!(calls[0].disposition.is_some(), "{what}");
        assert_eq!(room.phone(DESK).rings(), 0, "{what}");
        let (_, status) = room.ending(calls[0].entry).expect("an answer");
        assert!(status >= 400, "{what}");
    }
}

fn raw_invite(without: &str) -> String {
    let sdp = if without == "sdp" {
        "v=0\r\no=- 1 1 IN IP4 10.1.0.9\r\ns=-\r\nc=IN IP4 10.1.0.9\r\nt=0 0\r\n\
         m=video 4000 RTP/AVP 96\r\na=rtpmap:96 H264/90000\r\n"
    } else {
        "v=0\r\no=- 1 1 IN IP4 10.1.0.9\r\ns=-\r\nc=IN IP4 10.1.0.9\r\nt=0 0\r\n\
         m=audio 4000 RTP/AVP 8\r\n"
    };
    let mut lines = vec![
        format!("INVITE sip:{LINE}@10.1.0.1:5060 SIP/2.0"),
        "Via: SIP/2.0/UDP 10.1.0.2:5060;branch=z9hG4bKraw1".into(),
        "Max-Forwards: 70".into(),
        "From: <sip:666@outside.example>;tag=raw".into(),
        "To: <sip:100@duty.example>".into(),
        "Call-ID: raw-1".into(),
        "CSeq: 1 INVITE".into(),
        "Contact: <sip:666@10.1.0.9:5060>".into(),
        "Content-Type: application/sdp".into(),
        format!("Content-Length: {}", sdp.len()),
    ];
    for line in &mut lines {
        if line.starts_with(&format!("{without}:")) {
            *line = if without == "CSeq" { "CSeq: INVITE".into() } else { "X-Gone: 1".into() };
        }
    }
    lines.join("\r\n") + "\r\n\r\n" + sdp
}

#[test]
fn a_hostile_name_is_text() {
    let long = "长".repeat(200);
    for name in ["<script>alert(1)</script>", "'; DROP TABLE call; --", "a\u{202e}b", &long] {
        let mut room = Room::open();
        let entry = room.caller_dials_as("101", name);
        room.officer_answers(entry);
        room.caller_hangs_up(entry);
        room.pass(seconds(1));
        let seen = room.entry(entry);
        assert_eq!(seen.caller, "101");
        assert!(!seen.display.contains('\u{202e}'));
        let shown: String = name.chars().filter(|c| *c != '\u{202e}').collect();
        assert!(shown.starts_with(&seen.display) && !seen.display.is_empty(), "{:?}", seen.display);
    }
}

#[test]
fn a_name_in_gbk_is_read() {
    let mut room = Room::open();
    let (before, after) = raw_invite("nothing")
        .split_once("From: ")
        .map(|(a, b)| (a.to_owned(), b.to_owned()))
        .unwrap();
    let mut invite = before.into_bytes();
    invite.extend_from_slice(b"From: \"\xd6\xb5\xb0\xe0\xca\xd2\" ");
    invite.extend_from_slice(after.as_bytes());
    room.pbx_sends(&invite);
    room.pass(seconds(1));
    assert_eq!(room.all_calls()[0].display, "值班室");
    room.pbx_sends(&cancel_of(&invite));
    room.pass(seconds(1));
    assert_eq!(room.all_calls()[0].disposition, Some(Disposition::Abandoned));
    // The 487 is acknowledged by nobody; the transaction gives up by itself (Timer H).
    room.pass(seconds(33));
}

fn cancel_of(invite: &[u8]) -> Vec<u8> {
    let text = String::from_utf8_lossy(invite);
    let head = text.split("\r\n\r\n").next().unwrap();
    let head = head.replace("INVITE", "CANCEL");
    let kept = head.lines().filter(|line| !line.starts_with("Content"));
    (kept.collect::<Vec<_>>().join("\r\n") + "\r\nContent-Length: 0\r\n\r\n").into_bytes()
}

#[test]
fn rel_the_pbx_vanishes_in_the_middle_of_a_call() {
    let mut room = Room::open();
    let entry = room.caller_dials("101");
    room.officer_answers(entry);
    room.pass(seconds(10));
    room.network.unplug(PBX_HOST);
    room.hangs_up_unheard(DESK);
    room.hangs_up_unheard("101");
    room.pass(minutes(3));
    // Nobody told the daemon that they hung up; the two phones did, to a PBX that was gone.
    room.network.plug_in(PBX_HOST);
    room.pass(minutes(5));
    assert!(room.alarms().iter().any(|alarm| alarm.contains("line lost")));
    room.leave_as_it_is();
}

/// Both hung up while the PBX was gone: the session timer finds out, and the recording is closed.
#[test]
fn rel_25_a_bye_that_nobody_heard_is_made_up_for_by_the_session_timer() {
    let mut room = Room::open();
    let entry = room.caller_dials("101");
    room.officer_answers(entry);
    room.says("101", &[7; 16_000]);
    room.pass(seconds(8));
    room.network.unplug(PBX_HOST);
    room.hangs_up_unheard(DESK);
    room.hangs_up_unheard("101");
    room.pass(minutes(3));
    room.network.plug_in(PBX_HOST);
    room.pass(minutes(11));
    assert_eq!(room.recording(), [entry], "nobody has said that it is over");
    room.pass(minutes(2));
    let seen = room.entry(entry);
    assert_eq!(seen.disposition, Some(Disposition::Interrupted));
    assert_eq!((room.recording(), seen.recording), (vec![], Some(RecordingState::Sealed)));
    assert!(room.alarms().iter().any(|alarm| alarm.contains("line lost")));
}

#[test]
fn fail_open_an_unregistered_line_rings_the_desk_itself() {
    let mut room = Room::open();
    room.stop_daemon();
    room.caller_tries("101");
    room.picks_up(DESK);
    room.pass(seconds(1));
    assert_eq!(room.state("101"), State::Talking);
    let failed_open = |event: &pbx::Event| matches!(event, pbx::Event::FailedOpen { .. });
    assert!(room.pbx_story.iter().any(|(_, event)| failed_open(event)));
    room.hangs_up("101");
}

#[test]
fn fail_open_after_a_power_cut_the_registration_lapses_by_itself() {
    let mut room = Room::open();
    room.kill_daemon();
    room.pass(seconds(120));
    room.caller_tries("101");
    room.picks_up(DESK);
    room.pass(seconds(1));
    assert_eq!(room.state("101"), State::Talking);
    room.hangs_up("101");
}

#[test]
fn sig_35_a_clean_stop_ends_every_call_properly() {
    let mut room = Room::open();
    let talking = room.caller_dials("101");
    room.officer_answers(talking);
    let ringing = room.caller_dials("102");
    room.rings(SPARE, QUICK);
    room.stop_daemon();
    room.pass(seconds(1));
    assert_eq!(room.caller_hears_the_end(talking), Event::Ended { ending: Ending::Bye });
    assert_eq!(room.caller_hears_the_end(ringing), Event::Refused { status: 503 });
    for phone in [DESK, SPARE] {
        assert_eq!(room.state(phone), State::OnHook);
    }
    for entry in [talking, ringing] {
        assert_eq!(room.entry(entry).disposition, Some(Disposition::Interrupted));
    }
}
