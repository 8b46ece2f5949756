//! The leader at the telephone: what is a key press and what is not.

use crate::world::{PBX, STANDBY, World, ms, phone, seconds};
use crate::{one_phone, talking};
use dutyline::duty::ids::AttemptId;
use dutyline::duty::journal::{AttemptResult, Fact, Urgency};
use dutyline::duty::prompts;
use dutyline::duty::roster::Roster;
use dutyline::duty::switchboard::{AckOutcome, Input, Unwanted};
use dutyline::protocol::rtp::{Codec, Command, Party};
use dutyline::protocol::sdp;
use dutyline::protocol::sdp::Direction;
use dutyline::protocol::sip::{Event, LegId};

#[test]
fn star_nine_flags_the_entry_once_by_either_way() {
    let mut world = one_phone();
    let (caller, _) = talking(&mut world);
    world.press(Party::Caller, '*');
    world.press(Party::Caller, '9');
    let flagged = |world: &World| world.count(|fact| matches!(fact, Fact::Flagged { .. }));
    assert_eq!(flagged(&world), 0, "the caller flags nothing");
    world.press(Party::Officer, '*');
    world.pass(seconds(2));
    world.press(Party::Officer, '9');
    assert_eq!(flagged(&world), 1);
    world.press(Party::Officer, '*');
    world.press(Party::Officer, '9');
    assert_eq!(flagged(&world), 1);
    world.hang_up(caller);
    world.assert_clean();
}

/// A leader who has picked up.
fn leader_listens(world: &mut World) -> (AttemptId, LegId) {
    let attempt = world.notify(7, Urgency::Urgent);
    let (leader, _) = world.rung("97").expect("the leader's phone rings");
    world.pick_up(leader);
    assert_eq!(world.spoken(), Some(prompts::URGENT));
    (attempt, leader)
}

#[test]
fn esc_02_key_1_is_confirmed_after_the_commit() {
    let mut world = one_phone();
    world.ack = None;
    let (attempt, leader) = leader_listens(&mut world);
    world.pass(seconds(12));
    world.press(Party::Leader, '1');
    assert_eq!(world.count(|fact| matches!(fact, Fact::Acknowledged { .. })), 1);
    assert_eq!(world.spoken(), Some(prompts::URGENT));
    world.tell(Input::AckStored { attempt, outcome: AckOutcome::First });
    assert_eq!(world.spoken(), Some(prompts::CONFIRMED));
    assert_eq!(world.outcome(attempt), None, "the confirmation is spoken to its end");
    world.prompt_ends();
    assert!(world.ended(leader));
    assert_eq!(world.outcome(attempt), Some((AttemptResult::Acknowledged, 200)));
    assert_eq!(world.media.last(), Some(&Command::Finish { call: attempt.0 }));
    world.assert_clean();
}

#[test]
fn esc_06_a_machine_is_hung_up_on() {
    let mut world = one_phone();
    let (attempt, leader) = leader_listens(&mut world);
    for _ in 0..2 {
        world.pass(seconds(5));
        world.prompt_ends();
    }
    world.pass(seconds(25));
    assert!(world.ended(leader));
    assert_eq!(world.outcome(attempt), Some((AttemptResult::AnsweredNoKey, 200)));
    world.assert_clean();
}

#[test]
fn esc_17_to_21_every_refusal_is_told_apart() {
    let cases = [
        (486, AttemptResult::Busy),
        (600, AttemptResult::Busy),
        (603, AttemptResult::Declined),
        (480, AttemptResult::NoAnswer),
        (404, AttemptResult::Unreachable),
        (488, AttemptResult::Unreachable),
        (302, AttemptResult::Unreachable),
        (503, AttemptResult::ChannelFailed),
        (403, AttemptResult::ChannelFailed),
    ];
    for (status, result) in cases {
        let mut world = one_phone();
        let attempt = world.notify(7, Urgency::Critical);
        let (leader, _) = world.rung("97").unwrap();
        world.refuse(leader, status);
        assert_eq!(world.outcome(attempt), Some((result, status)));
        world.assert_clean();
    }
}

#[test]
fn esc_18_ring_time_over_and_a_200_that_crosses_the_cancel() {
    let mut world = one_phone();
    let attempt = world.notify(7, Urgency::Urgent);
    let (leader, _) = world.rung("97").unwrap();
    world.wire_works = false;
    world.pass(seconds(35));
    world.wire_works = true;
    world.pass(ms(300));
    world.pick_up(leader);
    assert_eq!(world.spoken(), Some(prompts::URGENT), "a human has just picked up");
    assert_eq!(world.outcome(attempt), None);
    world.hang_up(leader);
    assert_eq!(world.outcome(attempt), Some((AttemptResult::AnsweredNoKey, 200)));
    world.assert_clean();
}

#[test]
fn esc_18_a_phone_that_rings_for_ever_is_given_up() {
    let mut world = one_phone();
    let attempt = world.notify(7, Urgency::Urgent);
    let (leader, _) = world.rung("97").unwrap();
    world.pass(ms(34_999));
    assert_eq!(world.heard_of(leader), []);
    world.pass(ms(1));
    assert_eq!(world.heard_of(leader), [Event::Cancelled { leg: leader, elsewhere: false }]);
    assert_eq!(world.outcome(attempt), Some((AttemptResult::NoAnswer, 487)));
    assert_eq!(world.count(|fact| matches!(fact, Fact::AttemptRinging { .. })), 1);
    world.assert_clean();
}

#[test]
fn esc_21_no_reply_within_six_seconds_is_our_fault_not_the_leader_s() {
    let mut world = one_phone();
    world.wire_works = false;
    let attempt = world.notify(7, Urgency::Urgent);
    world.pass(ms(5_999));
    assert_eq!(world.outcome(attempt), None);
    world.pass(ms(1));
    assert_eq!(world.outcome(attempt), Some((AttemptResult::ChannelFailed, 408)));
    assert_eq!(world.board.channels_in_use(), 0);
}

#[test]
fn esc_21_a_call_that_one_address_of_the_pbx_does_not_take_goes_by_the_other() {
    // 503 at once; no word at all, which is waited for.
    for (answer, within) in [(Some(503), ms(0)), (None, seconds(6))] {
        let mut world = one_phone().with_standby();
        world.pass(seconds(20));
        world.closed = vec![(PBX, answer)];
        let attempt = world.notify(7, Urgency::Urgent);
        world.pass(within);
        let (leader, _) = world.rung("97").expect("the leader's phone rings by the other");
        world.pick_up(leader);
        world.pass(seconds(2));
        world.press(Party::Leader, '1');
        world.prompt_ends();
        assert_eq!(world.outcome(attempt), Some((AttemptResult::Acknowledged, 200)));
        // No address is asked any more whether it is there.
        world.tell(Input::Shutdown);
        world.assert_clean();
    }
}

#[test]
fn esc_21_a_call_that_neither_address_takes_is_over_at_once() {
    for (answer, status, within) in [(Some(503), 503, ms(0)), (None, 408, seconds(6))] {
        let mut world = one_phone().with_standby();
        world.pass(seconds(20));
        world.closed = vec![(PBX, answer), (STANDBY, answer)];
        let attempt = world.notify(7, Urgency::Urgent);
        world.pass(within);
        assert_eq!(world.outcome(attempt), Some((AttemptResult::ChannelFailed, status)));
        let calls = world.from_board.iter().filter(|sent| sent.starts_with("INVITE "));
        let by: std::collections::BTreeSet<_> =
            calls.map(|sent| sent.lines().nth(1).unwrap().to_owned()).collect();
        assert_eq!(by.len(), 2, "each address once: {by:?}");
    }
}

#[test]
fn esc_22_early_media_is_never_an_answer() {
    let mut world = one_phone();
    let attempt = world.notify(7, Urgency::Urgent);
    let (leader, _) = world.called("97").unwrap();
    let sdp = world.sdp(&sdp::CODECS, Direction::SendRecv);
    world.pbx.ring(leader, Some(sdp), world.now);
    world.settle();
    assert_eq!(world.open_channels(), 0);
    let rang = |world: &World| world.count(|fact| matches!(fact, Fact::AttemptRinging { .. }));
    assert_eq!(rang(&world), 0, "it may say that the phone is off");
    assert_eq!(world.count(|fact| matches!(fact, Fact::AttemptProgress { .. })), 1);
    world.pass(seconds(35));
    assert_eq!(world.outcome(attempt).unwrap().0, AttemptResult::NoAnswer);
    assert_eq!(rang(&world), 0);
    world.assert_clean();
}

#[test]
fn esc_22_that_it_rings_is_known_from_180_alone_once_for_each_matter() {
    let mut world = one_phone();
    let attempt = world.notify(7, Urgency::Urgent);
    let (leader, _) = world.called("97").unwrap();
    let sdp = world.sdp(&sdp::CODECS, Direction::SendRecv);
    world.pbx.ring(leader, Some(sdp), world.now);
    world.settle();
    world.pass(seconds(5));
    let rang = |world: &World| world.count(|fact| matches!(fact, Fact::AttemptRinging { .. }));
    for _ in 0..2 {
        world.pbx.ring(leader, None, world.now);
        world.settle();
        assert_eq!(rang(&world), 1);
    }
    world.pass(seconds(30));
    assert_eq!(world.outcome(attempt).unwrap().0, AttemptResult::NoAnswer, "35 s since the 183");
    world.assert_clean();
}

#[test]
fn esc_25_hanging_up_right_after_key_1_is_an_acknowledgement() {
    let mut world = one_phone();
    world.ack = None;
    let (attempt, leader) = leader_listens(&mut world);
    world.pass(seconds(2));
    world.press(Party::Leader, '1');
    world.hang_up(leader);
    assert_eq!(world.outcome(attempt), Some((AttemptResult::Acknowledged, 200)));
    world.tell(Input::AckStored { attempt, outcome: AckOutcome::First });
    world.assert_clean();
}

#[test]
fn esc_11_and_26_a_key_by_info_counts_and_is_one_press_with_its_rtp_twin() {
    let mut world = one_phone();
    leader_listens(&mut world);
    world.pass(seconds(2));
    let keys = |world: &World| world.count(|fact| matches!(fact, Fact::AttemptKey { .. }));
    world.press(Party::Leader, '7');
    world.pass(ms(100));
    world.in_dialog("INFO", 10, "application/dtmf-relay", b"Signal=7\r\nDuration=160\r\n");
    assert_eq!(keys(&world), 1);
    world.pass(seconds(1));
    world.in_dialog("INFO", 11, "application/dtmf", b"8");
    assert_eq!(keys(&world), 2);
    world.pass(seconds(1));
    world.in_dialog("INFO", 12, "application/dtmf-relay", b"Signal=1\r\n");
    assert_eq!(world.spoken(), Some(prompts::CONFIRMED));
}

#[test]
fn esc_32_a_ringing_call_stops_at_once_and_a_late_200_is_hung_up() {
    let mut world = one_phone();
    let attempt = world.notify(7, Urgency::Urgent);
    let (leader, _) = world.rung("97").unwrap();
    let sdp = world.sdp(&[(Codec::Pcma, 8)], Direction::SendRecv);
    world.pbx.answer(leader, sdp, world.now);
    world.board.handle(Input::StopNotifying { attempt, why: Unwanted::Acknowledged }, world.now);
    world.settle();
    assert_eq!(world.outcome(attempt).unwrap().0, AttemptResult::Cancelled);
    assert!(world.ended(leader));
    assert_eq!(world.spoken(), None);
    world.assert_clean();
}

#[test]
fn esc_33_a_listening_leader_is_told_why_before_we_hang_up() {
    for (why, said) in [
        (Unwanted::Acknowledged, Some(prompts::ALREADY_CONFIRMED)),
        (Unwanted::Withdrawn, Some(prompts::WITHDRAWN)),
        (Unwanted::Lost, None),
    ] {
        let mut world = one_phone();
        let (attempt, leader) = leader_listens(&mut world);
        world.pass(seconds(3));
        let heard = world.spoken();
        world.tell(Input::StopNotifying { attempt, why });
        match said {
            Some(prompt) => {
                assert_eq!(world.spoken(), Some(prompt));
                world.prompt_ends();
            }
            None => assert_eq!(world.spoken(), heard),
        }
        assert!(world.ended(leader));
        assert_eq!(world.outcome(attempt).unwrap().0, AttemptResult::Cancelled);
        world.assert_clean();
    }
}

#[test]
fn sig_25_a_leader_is_called_while_the_line_is_full_and_once() {
    let mut world = World::new(&[phone("201", 20)], 3, 1, 1);
    let (caller, _) = talking(&mut world);
    let attempt = world.notify(7, Urgency::Critical);
    let invite = world.from_board.iter().rev().find(|message| message.starts_with("INVITE"));
    assert!(invite.unwrap().contains("Priority: emergency\r\n"));
    let again = world.notify(7, Urgency::Critical);
    assert_eq!(attempt, again);
    assert!(world.rung("97").is_some());
    assert!(world.rung("97").is_none(), "the same attempt is made once");
    let other = world.notify(8, Urgency::Urgent);
    assert_eq!(world.outcome(other), Some((AttemptResult::ChannelFailed, 503)));
    world.tell(Input::StopNotifying { attempt, why: Unwanted::Acknowledged });
    world.hang_up(caller);
    world.assert_clean();
}

/// What a log that takes the place of another is told of, and may not end.
#[test]
fn esc_71_a_call_to_a_leader_goes_on_until_the_log_has_its_end() {
    let mut world = one_phone();
    let attempt = world.notify(7, Urgency::Urgent);
    let goes_on = |world: &World| {
        let all = world.board.goes_on();
        (all.calls.contains(&attempt.into()), all.to_leaders.len())
    };
    assert_eq!(goes_on(&world), (true, 1));
    let made = world.board.goes_on().to_leaders[0].made(&Roster::default());
    world.tell(Input::Note(Fact::AttemptMade(Box::new(made))));
    assert_eq!(goes_on(&world), (true, 0), "it is told of as a fact");
    let (leader, _) = world.rung("97").expect("the leader's phone rings");
    world.refuse(leader, 603);
    assert_eq!(world.board.calls(), 0);
    assert_eq!(goes_on(&world), (true, 0), "its end is told, too");
    world.tell(Input::Written { through: u64::MAX });
    assert_eq!(goes_on(&world), (false, 0));
    world.assert_clean();
}
