//! Several matters for one leader in one call: it rings once, each has its turn, and none is lost with the call.

use crate::one_phone;
use crate::world::{World, ms, seconds};
use dutyline::duty::ids::{AttemptId, CallId};
use dutyline::duty::journal::{AttemptResult, Fact, Urgency};
use dutyline::duty::pin::Pin;
use dutyline::duty::prompts;
use dutyline::duty::switchboard::{AckOutcome, Errand, Input, LeaderCall, Unwanted};
use dutyline::protocol::rtp::{Command, Party};
use dutyline::protocol::sip::LegId;
use uuid::Uuid;

const ACKNOWLEDGED: Option<(AttemptResult, u16)> = Some((AttemptResult::Acknowledged, 200));

/// The entry of the second matter.
const OTHER: CallId = CallId(Uuid::from_u128(2));

/// His phone rings for one matter.
fn rings() -> (World, AttemptId, LegId) {
    let mut world = one_phone();
    let attempt = world.notify(7, Urgency::Urgent);
    let (leader, _) = world.rung("97").expect("his phone rings");
    (world, attempt, leader)
}

fn joins(world: &mut World, host: AttemptId) -> AttemptId {
    world.joins_of(OTHER, 8, host)
}

fn moved(world: &World, attempt: AttemptId) -> bool {
    world.count(|fact| *fact == Fact::AttemptMoved { attempt, into: None }) == 1
}

fn presses_1(world: &mut World) {
    world.pass(seconds(2));
    world.press(Party::Leader, '1');
    assert_eq!(world.spoken(), Some(prompts::CONFIRMED));
}

#[test]
fn esc_27_both_are_told_of_in_the_call_that_rings() {
    let (mut world, first, leader) = rings();
    let second = joins(&mut world, first);
    assert!(world.rung("98").is_none() && world.rung("97").is_none(), "it rings once");
    let ringing =
        |world: &World, of| world.count(|fact| *fact == Fact::AttemptRinging { attempt: of });
    assert_eq!((ringing(&world, first), ringing(&world, second)), (1, 1));
    world.pick_up(leader);
    assert_eq!(world.spoken(), Some(prompts::SEVERAL));
    world.prompt_ends();
    assert_eq!(world.spoken(), Some(prompts::URGENT));
    presses_1(&mut world);
    let known = |attempt| Fact::Acknowledged { attempt, entry: CallId(Uuid::from_u128(1)).into() };
    assert_eq!(world.count(|fact| *fact == known(first)), 1);
    world.prompt_ends();
    assert_eq!(world.outcome(first), ACKNOWLEDGED);
    assert_eq!((world.outcome(second), world.ended(leader)), (None, false), "it still fires");
    assert_eq!(world.spoken(), Some(prompts::NEXT));
    world.prompt_ends();
    assert_eq!(world.spoken(), Some(prompts::URGENT));
    presses_1(&mut world);
    let known = Fact::Acknowledged { attempt: second, entry: OTHER.into() };
    assert_eq!(world.count(|fact| *fact == known), 1);
    world.prompt_ends();
    assert!(world.ended(leader));
    assert_eq!(world.outcome(second), ACKNOWLEDGED);
    assert_eq!(world.media.last(), Some(&Command::Finish { call: first.0 }), "one recording");
    world.assert_clean();
}

#[test]
fn esc_27_what_becomes_of_the_call_becomes_of_both() {
    for (status, result) in [(486, AttemptResult::Busy), (404, AttemptResult::Unreachable)] {
        let (mut world, first, leader) = rings();
        let second = joins(&mut world, first);
        world.refuse(leader, status);
        for attempt in [first, second] {
            assert_eq!(world.outcome(attempt), Some((result, status)));
        }
        world.assert_clean();
    }
    let (mut world, first, _) = rings();
    world.pass(seconds(10));
    let second = joins(&mut world, first);
    world.pass(seconds(25));
    for attempt in [first, second] {
        assert_eq!(world.outcome(attempt), Some((AttemptResult::NoAnswer, 487)));
    }
    world.assert_clean();
}

#[test]
fn esc_28_a_matter_that_comes_while_he_listens_is_told_of_at_once() {
    let (mut world, first, leader) = rings();
    world.pick_up(leader);
    world.pass(seconds(3));
    let second = joins(&mut world, first);
    assert_eq!(world.spoken(), Some(prompts::ALSO));
    world.prompt_ends();
    assert_eq!(world.spoken(), Some(prompts::URGENT));
    world.pass(seconds(5));
    world.hang_up(leader);
    for attempt in [first, second] {
        assert_eq!(world.outcome(attempt), Some((AttemptResult::AnsweredNoKey, 200)));
    }
    assert!(world.rung("98").is_none(), "he knows that there is something");
    world.assert_clean();
}

#[test]
fn esc_28_what_he_was_not_told_of_has_a_call_of_its_own_at_once() {
    let (mut world, first, leader) = rings();
    world.ack = None;
    world.pick_up(leader);
    world.pass(seconds(3));
    world.press(Party::Leader, '1');
    let second = joins(&mut world, first);
    let third = world.joins_of(CallId(Uuid::from_u128(3)), 9, first);
    world.hang_up(leader);
    assert_eq!(world.outcome(first), ACKNOWLEDGED);
    assert!(moved(&world, second) && !moved(&world, third));
    let into = Fact::AttemptMoved { attempt: third, into: Some(second) };
    assert_eq!(world.count(|fact| *fact == into), 1, "one call for the rest");
    let (leader, _) = world.rung("98").expect("he is called again");
    assert!(world.rung("99").is_none());
    world.pick_up(leader);
    assert_eq!(world.spoken(), Some(prompts::SEVERAL));
    world.hang_up(leader);
    world.assert_clean();
}

#[test]
fn esc_27_a_call_that_is_over_is_not_joined() {
    let (mut world, first, leader) = rings();
    world.refuse(leader, 486);
    let second = joins(&mut world, first);
    assert!(moved(&world, second));
    let (leader, _) = world.rung("98").expect("a call of its own");
    world.refuse(leader, 486);
    assert_eq!(world.outcome(second), Some((AttemptResult::Busy, 486)));
    world.assert_clean();
}

#[test]
fn esc_32_esc_33_one_of_two_matters_is_withdrawn() {
    for answered in [false, true] {
        let (mut world, first, leader) = rings();
        let second = joins(&mut world, first);
        let cancelled = Some(AttemptResult::Cancelled);
        if answered {
            world.pick_up(leader);
            world.pass(seconds(2));
        }
        world.tell(Input::StopNotifying { attempt: first, why: Unwanted::Withdrawn });
        if answered {
            assert_eq!(world.spoken(), Some(prompts::WITHDRAWN));
            world.prompt_ends();
            assert_eq!(world.spoken(), Some(prompts::NEXT));
        } else {
            assert!(!world.ended(leader), "it rings on for the other");
            world.pick_up(leader);
            assert_eq!(world.spoken(), Some(prompts::URGENT));
        }
        assert_eq!(world.outcome(first).map(|(result, _)| result), cancelled);
        presses_1(&mut world);
        world.prompt_ends();
        assert_eq!(world.outcome(second), ACKNOWLEDGED);
        world.assert_clean();
    }
    let (mut world, first, leader) = rings();
    let second = joins(&mut world, first);
    world.tell(Input::StopNotifying { attempt: second, why: Unwanted::Acknowledged });
    assert_eq!(world.outcome(second), Some((AttemptResult::Cancelled, 487)));
    world.pick_up(leader);
    assert_eq!(world.spoken(), Some(prompts::URGENT), "there is one only");
    world.hang_up(leader);
    world.assert_clean();
}

#[test]
fn esc_75_whoever_hands_on_hears_of_nothing_else() {
    let (mut world, first, leader) = rings();
    let second = joins(&mut world, first);
    world.pick_up(leader);
    world.pass(seconds(2));
    world.press(Party::Leader, '3');
    world.tell(Input::AckStored { attempt: first, outcome: AckOutcome::HandedOn });
    assert_eq!(world.spoken(), Some(prompts::HANDED_ON));
    world.prompt_ends();
    assert!(world.ended(leader));
    assert_eq!(world.outcome(first), Some((AttemptResult::HandedOn, 200)));
    assert_eq!(world.outcome(second), Some((AttemptResult::HandedOn, 200)));
    let handed = Fact::HandedOn { attempt: second, entry: OTHER.into() };
    assert_eq!(world.count(|fact| *fact == handed), 1, "his substitute is told of both at once");
    assert!(world.rung("98").is_none());
    world.assert_clean();
}

#[test]
fn esc_75_what_comes_while_he_hears_that_he_has_handed_on_is_handed_on_too() {
    let (mut world, first, leader) = rings();
    world.pick_up(leader);
    world.pass(seconds(2));
    world.press(Party::Leader, '3');
    let second = joins(&mut world, first);
    world.hang_up(leader);
    let handed = Fact::HandedOn { attempt: second, entry: OTHER.into() };
    assert_eq!(world.count(|fact| *fact == handed), 1);
    assert_eq!(world.outcome(second), Some((AttemptResult::HandedOn, 200)));
    world.assert_clean();
}

fn order(call: CallId, number: u128, joins: Option<AttemptId>) -> LeaderCall {
    LeaderCall {
        attempt: AttemptId(Uuid::from_u128(number)),
        entry: call.into(),
        person: "张局".to_owned(),
        target: format!("9{number}"),
        urgency: Urgency::Urgent,
        ring: seconds(35),
        errand: Errand::Tell,
        after_cut: false,
        pin: None,
        joins,
    }
}

#[test]
fn esc_27_what_comes_too_late_for_a_call_is_told_of_in_one_other() {
    let (mut world, first, leader) = rings();
    world.refuse(leader, 486);
    let second = joins(&mut world, first);
    let third = world.joins_of(CallId(Uuid::from_u128(3)), 9, first);
    let (leader, _) = world.rung("98").expect("a call of its own");
    assert!(world.rung("99").is_none(), "never two calls to him");
    let into = Fact::AttemptMoved { attempt: third, into: Some(second) };
    assert_eq!(world.count(|fact| *fact == into), 1);
    world.pick_up(leader);
    assert_eq!(world.spoken(), Some(prompts::SEVERAL));
    world.hang_up(leader);
    world.assert_clean();
}

#[test]
fn esc_27_while_a_call_is_given_up_he_is_busy_for_another() {
    let (mut world, first, _) = rings();
    world.wire_works = false;
    world.pass(seconds(35));
    assert_eq!(world.outcome(first), None, "his phone may be picked up yet");
    let second = joins(&mut world, first);
    world.wire_works = true;
    assert_eq!(world.outcome(second), Some((AttemptResult::Busy, 486)));
    world.pass(seconds(3));
    assert!(world.rung("98").is_none());
    assert_eq!(world.outcome(first).map(|(result, _)| result), Some(AttemptResult::NoAnswer));
}

/// What was ordered as a call of its own, for all that the log knew; he is on the telephone.
#[test]
fn esc_27_whoever_is_on_the_telephone_is_told_there_whatever_the_log_knew() {
    let (mut world, first, leader) = rings();
    let alone = LeaderCall { person: "张局".to_owned(), ..order(OTHER, 8, None) };
    let second = alone.attempt;
    world.tell(Input::Notify(alone));
    assert!(world.rung("98").is_none(), "never two calls to him");
    let into = Fact::AttemptMoved { attempt: second, into: Some(first) };
    assert_eq!(world.count(|fact| *fact == into), 1);
    let same =
        LeaderCall { person: "张局".to_owned(), ..order(CallId(Uuid::from_u128(1)), 9, None) };
    world.tell(Input::Notify(same));
    let (office, _) = world.rung("99").expect("of one matter he is told at two numbers");
    world.refuse(office, 486);
    world.pick_up(leader);
    assert_eq!(world.spoken(), Some(prompts::SEVERAL));
    world.hang_up(leader);
    world.assert_clean();
}

#[test]
fn esc_27_nobody_is_told_of_what_is_anothers() {
    let (mut world, first, leader) = rings();
    let other = LeaderCall { person: "李副局".to_owned(), ..order(OTHER, 8, Some(first)) };
    let second = other.attempt;
    world.tell(Input::Notify(other));
    assert!(moved(&world, second));
    let (substitute, _) = world.rung("98").expect("he has a call of his own");
    world.pick_up(leader);
    assert_eq!(world.spoken(), Some(prompts::URGENT));
    world.hang_up(leader);
    world.refuse(substitute, 486);
    world.assert_clean();
}

/// He listens, and has no key 1 to press: the urgent matter has its turn all the same.
#[test]
fn esc_28_after_a_reminder_comes_what_waits() {
    let mut world = one_phone();
    let remind =
        LeaderCall { errand: Errand::Remind, ..order(CallId(Uuid::from_u128(1)), 7, None) };
    let first = remind.attempt;
    world.tell(Input::Notify(remind));
    let (leader, _) = world.rung("97").expect("his phone rings");
    world.pick_up(leader);
    world.pass(seconds(2));
    let second = joins(&mut world, first);
    world.press(Party::Leader, '2');
    world.prompt_ends();
    world.prompt_ends();
    world.pass(seconds(26));
    assert_eq!(world.outcome(first), Some((AttemptResult::AnsweredNoKey, 200)));
    assert_eq!(world.spoken(), Some(prompts::NEXT));
    presses_1(&mut world);
    world.prompt_ends();
    assert_eq!(world.outcome(second), ACKNOWLEDGED);
    world.assert_clean();
}

#[test]
fn esc_14_whoever_guesses_at_the_pin_after_key_1_is_told_of_nothing_else() {
    let mut world = one_phone();
    let with_pin = |order| LeaderCall { pin: Pin::new("4711"), ..order };
    let (first, second) = (AttemptId(Uuid::from_u128(7)), AttemptId(Uuid::from_u128(8)));
    world.tell(Input::Notify(with_pin(order(CallId(Uuid::from_u128(1)), 7, None))));
    world.tell(Input::Notify(with_pin(order(OTHER, 8, Some(first)))));
    let (leader, _) = world.rung("97").expect("his phone rings");
    world.pick_up(leader);
    presses_1(&mut world);
    world.press(Party::Leader, '2');
    for _ in 0..3 {
        world.pass(ms(400));
        world.press(Party::Leader, '#');
    }
    assert_eq!(world.spoken(), Some(prompts::PIN_REFUSED));
    world.prompt_ends();
    assert!(world.ended(leader));
    assert_eq!(world.outcome(first), ACKNOWLEDGED, "key 1 needs no PIN");
    assert_eq!(world.outcome(second), Some((AttemptResult::WrongPin, 200)));
    world.assert_clean();
}

#[test]
fn esc_42_what_waits_for_its_turn_outlives_a_crash() {
    let (mut world, first, leader) = rings();
    let second = joins(&mut world, first);
    world.pick_up(leader);
    world.pass(seconds(2));
    world.dies_and_comes_back();
    assert_eq!(world.spoken(), Some(prompts::SEVERAL), "from its beginning");
    world.prompt_ends();
    presses_1(&mut world);
    world.prompt_ends();
    assert_eq!(world.spoken(), Some(prompts::NEXT));
    world.dies_and_comes_back();
    world.pass(ms(10));
    presses_1(&mut world);
    world.prompt_ends();
    assert_eq!(world.outcome(second), ACKNOWLEDGED);
    world.assert_clean();
}
