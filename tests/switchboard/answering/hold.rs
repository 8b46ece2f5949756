//! Hold from both sides, and calls that fall silent without a BYE.

use crate::world::{World, ms, phone, seconds};
use crate::{one_phone, talking};
use dutyline::duty::journal::{Disposition, Fact, Stretch};
use dutyline::duty::line_plan::{Answering, SilencePlan};
use dutyline::protocol::rtp::{Command, Party};
use dutyline::protocol::sdp::{self, Direction};
use std::time::Duration;

/// The three manners of RFC 3264 §8.4: sendonly, inactive, and the old `c=0.0.0.0`.
fn holds(world: &mut World) -> [Vec<u8>; 3] {
    let old = String::from_utf8(world.sdp(&sdp::CODECS, Direction::SendRecv)).unwrap();
    let old = old
        .lines()
        .map(|line| if line.starts_with("c=") { "c=IN IP4 0.0.0.0" } else { line })
        .map(|line| format!("{line}\r\n"))
        .collect::<String>();
    [
        world.sdp(&sdp::CODECS, Direction::SendOnly),
        world.sdp(&sdp::CODECS, Direction::Inactive),
        old.into_bytes(),
    ]
}

#[test]
fn sig_15_hold_and_resume_from_both_sides_are_marks_and_the_watchdogs_pause() {
    for party in [Party::Caller, Party::Officer] {
        for lasts in [seconds(1), seconds(16), seconds(600)] {
            for (manner, asks) in (0..3).flat_map(|manner| [(manner, false), (manner, true)]) {
                held(party, lasts, manner, asks);
            }
        }
    }
}

/// `asks`: whoever holds resumes by a re-INVITE that leaves the offer to us (RFC 6337 §5.3).
fn held(party: Party, lasts: Duration, manner: usize, asks: bool) {
    let mut world = one_phone();
    let (caller, officer) = talking(&mut world);
    let request = match party {
        Party::Caller => World::in_dialog,
        _ => World::in_officers_dialog,
    };
    let hold = holds(&mut world).into_iter().nth(manner).unwrap();
    let resume = world.sdp(&sdp::CODECS, Direction::SendRecv);
    let port = sdp::parse(&resume).unwrap().remote();
    for (step, body, lasts) in [(1, hold, lasts), (2, resume, seconds(1))] {
        let (in_invite, in_ack) = match asks && step == 2 {
            true => (vec![], body),
            false => (body, vec![]),
        };
        request(&mut world, "INVITE", step, "application/sdp", &in_invite);
        let answer = world.from_board.last().unwrap();
        assert!(answer.starts_with("SIP/2.0 200"), "{party:?} {manner}: {answer}");
        assert!(step == 1 || answer.contains("\r\na=sendrecv\r\n"), "{party:?} {manner}: {answer}");
        request(&mut world, "ACK", step, "application/sdp", &in_ack);
        world.falls_silent(Party::Caller);
        world.falls_silent(Party::Officer);
        world.pass(lasts);
    }
    let sends = |command: &Command| match command {
        Command::Change { stream, .. } => stream.send && stream.remote == port,
        _ => false,
    };
    assert!(world.media.iter().any(sends), "{party:?} {manner} asks: {asks}, and is heard again");
    let stretch = Stretch::Hold(party);
    assert_eq!(world.stretches(), [(true, stretch), (false, stretch)], "{lasts:?} {manner}");
    assert_eq!(world.ending(world.calls()[0]), None, "a hold of {lasts:?} ends nothing");
    world.hang_up(if party == Party::Caller { officer } else { caller });
    world.assert_clean();
}

#[test]
fn rel_26_after_a_hold_silence_counts_from_its_end_and_a_new_port_ends_nothing() {
    let mut world = one_phone();
    let (_, _) = talking(&mut world);
    let [hold, ..] = holds(&mut world);
    world.in_dialog("INVITE", 1, "application/sdp", &hold);
    world.in_dialog("ACK", 1, "", b"");
    world.falls_silent(Party::Caller);
    world.falls_silent(Party::Officer);
    world.pass(seconds(300));
    let resume = world.sdp(&sdp::CODECS, Direction::SendRecv);
    world.in_dialog("INVITE", 2, "application/sdp", &resume);
    world.in_dialog("ACK", 2, "", b"");
    let port = sdp::parse(&resume).unwrap().remote();
    assert!(
        matches!(world.media.last(), Some(Command::Change { stream, .. }) if stream.remote == port)
    );
    world.pass(ms(59_999));
    assert_eq!(world.ending(world.calls()[0]), None);
    world.pass(ms(1));
    let ending = world.ending(world.calls()[0]);
    assert_eq!(ending, Some((Disposition::Interrupted, None, 200)));
    world.assert_clean();
}

#[test]
fn sig_23_without_a_bye_silence_ends_the_call_with_its_reason() {
    let one = SilencePlan { both: Some(seconds(60)), one: Some(seconds(90)) };
    let cases: [(&[Party], u64, &str); 3] = [
        (&[Party::Caller, Party::Officer], 60, "no voice from either side for 60 s"),
        (&[Party::Caller], 90, "no voice from the caller for 90 s"),
        (&[Party::Officer], 90, "no voice from the officer's phone for 90 s"),
    ];
    for (silent, limit, reason) in cases {
        let answering = Answering { silence: one, ..Answering::default() };
        let mut world = World::answering(&[phone("201", 20)], 6, 2, 1, answering);
        let (caller, officer) = talking(&mut world);
        world.pass(seconds(3));
        for party in silent {
            world.falls_silent(*party);
        }
        world.pass(seconds(limit) - ms(1));
        assert_eq!(world.ending(world.calls()[0]), None);
        world.pass(ms(1));
        assert!(world.ended(caller) && world.ended(officer), "both get BYE");
        let told = |fact: &Fact| matches!(fact, Fact::Ended { why, .. } if why == reason);
        assert_eq!(world.count(told), 1, "{reason}");
        world.assert_clean();
    }
}

#[test]
fn rec_s1_a_voice_that_comes_back_in_time_goes_on_and_eight_hours_are_an_alarm() {
    let mut world = one_phone();
    let (caller, _) = talking(&mut world);
    world.falls_silent(Party::Caller);
    world.falls_silent(Party::Officer);
    world.pass(seconds(59));
    world.is_heard_again(Party::Officer);
    world.pass(seconds(60));
    world.is_heard_again(Party::Caller);
    world.pass(seconds(8 * 3600));
    assert_eq!(world.count(|fact| matches!(fact, Fact::LongCall { .. })), 1);
    assert_eq!(world.ending(world.calls()[0]), None, "an alarm ends no call");
    world.hang_up(caller);
    world.assert_clean();
}
