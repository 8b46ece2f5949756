//! A leader sits with caller and officer while the call is handed on, held, changed, and ended from either side.

use crate::world::{World, ms, seconds};
use crate::{G729, one_phone, talking};
use dutyline::duty::journal::{AttemptResult, Disposition, Fact, Joining, Urgency};
use dutyline::duty::prompts;
use dutyline::duty::switchboard::{AckOutcome, Input};
use dutyline::protocol::rtp::{Codec, Command, Party};
use dutyline::protocol::sdp::{self, Direction};
use dutyline::protocol::sip::LegId;

struct Table {
    world: World,
    caller: LegId,
    officer: LegId,
    leader: LegId,
}

/// Caller and officer talk, and the leader has pressed 6.
fn seated() -> Table {
    let mut world = one_phone();
    let (caller, officer) = talking(&mut world);
    let call = world.calls()[0];
    let attempt = world.notify_of(call, 7, Urgency::Urgent);
    let (leader, _) = world.rung("97").expect("the leader's phone rings");
    world.pick_up(leader);
    assert_eq!(world.spoken(), Some(prompts::URGENT_LIVE), "he hears that he may join");
    world.pass(seconds(2));
    world.press(Party::Leader, '6');
    assert_eq!(world.outcome(attempt), Some((AttemptResult::Acknowledged, 200)));
    assert!(confers(&world));
    let finished = |one: &Command| *one == Command::Finish { call: attempt.0 };
    let (seat, end) = (last(&world, is_confer), last(&world, finished));
    assert!(seat < end, "his own tape ends when he is on the other");
    Table { world, caller, officer, leader }
}

fn last(world: &World, wanted: impl Fn(&Command) -> bool) -> Option<usize> {
    world.media.iter().rposition(wanted)
}

fn is_confer(command: &Command) -> bool {
    matches!(command, Command::Confer { .. })
}

/// The latest word on who hears whom: these three.
fn confers(world: &World) -> bool {
    let seats = [Party::Caller, Party::Officer, Party::Leader].map(|party| world.channel(party));
    let call = world.calls()[0].0;
    hearing(world) == Some(Command::Confer { call, seats })
}

fn hearing(world: &World) -> Option<Command> {
    let of = |one: &&Command| matches!(one, Command::Confer { .. } | Command::Join { .. });
    world.media.iter().rev().find(of).cloned()
}

fn joins(world: &World, other: Party) -> bool {
    let (a, b) = (world.channel(Party::Caller), world.channel(other));
    hearing(world) == Some(Command::Join { a, b })
}

fn names(world: &World) -> Vec<String> {
    let of = |fact: &Fact| match fact {
        Fact::Joined { phone, .. } => Some(format!("+{phone}")),
        Fact::Left { phone, .. } => Some(format!("-{phone}")),
        Fact::Joining { phone, how: Joining::Conference, .. } => Some(format!("?{phone}")),
        _ => None,
    };
    world.facts.iter().filter_map(of).collect()
}

#[test]
fn rec_s4_who_comes_and_goes_is_told_in_order_and_nothing_is_left() {
    let Table { mut world, caller, officer, leader } = seated();
    assert_eq!(names(&world), ["?张局", "+张局"]);
    world.hang_up(leader);
    assert!(joins(&world, Party::Officer));
    let (join, close) = (
        last(&world, |one| matches!(one, Command::Join { .. })),
        last(&world, |one| matches!(one, Command::Close { .. })),
    );
    assert!(join < close, "the two hear each other before his voice is gone");
    assert_eq!(names(&world), ["?张局", "+张局", "-张局"]);
    assert!(!world.ended(caller) && !world.ended(officer));
    world.hang_up(officer);
    let ending = world.ending(world.calls()[0]);
    assert_eq!(ending, Some((Disposition::Answered, Some(Party::Officer), 200)));
    world.assert_clean();
}

#[test]
fn rec_s4_the_officer_goes_and_the_leader_has_his_place() {
    let Table { mut world, caller, officer, leader } = seated();
    world.hang_up(officer);
    assert!(joins(&world, Party::Leader));
    assert!(!world.ended(caller) && !world.ended(leader));
    assert_eq!(names(&world), ["?张局", "+张局", "-phone 201"]);
    // Nobody else may be seated, and his keys flag nothing.
    let another = world.notify_of(world.calls()[0], 8, Urgency::Urgent);
    let (second, _) = world.rung("98").expect("it rings");
    world.pick_up(second);
    world.pass(seconds(2));
    world.press(Party::Leader, '6');
    assert_eq!(world.spoken(), Some(prompts::CANNOT_JOIN));
    world.hang_up(second);
    assert_eq!(world.outcome(another), Some((AttemptResult::AnsweredNoKey, 200)));
    world.hang_up(caller);
    assert!(world.ended(leader));
    world.assert_clean();
}

#[test]
fn rec_s4_a_call_is_handed_on_beside_the_leader() {
    let Table { mut world, caller, officer, leader } = seated();
    world.officer_refers(1, "<sip:301@pbx.example>", "");
    let (target, _) = world.rung("301").expect("the target rings");
    world.pick_up(target);
    assert!(world.ended(officer) && !world.ended(leader));
    assert!(confers(&world), "the new officer sits with them");
    world.hang_up(caller);
    assert!(world.ended(target) && world.ended(leader));
    world.assert_clean();
}

#[test]
fn rec_s4_nobody_takes_what_the_officer_handed_on_and_the_leader_goes_on_with_the_caller() {
    let Table { mut world, caller, officer, leader } = seated();
    world.officer_refers(1, "<sip:301@pbx.example>", "");
    let (target, _) = world.rung("301").expect("the target rings");
    world.hang_up(officer);
    assert!(joins(&world, Party::Leader), "they hear each other, not the ringing");
    assert_ne!(world.spoken(), Some(prompts::RINGBACK));
    world.refuse(target, 486);
    assert!(!world.ended(caller) && !world.ended(leader));
    assert!(world.rung("201").is_none(), "no phone rings again");
    world.hang_up(leader);
    assert!(world.ended(caller));
    let ending = world.ending(world.calls()[0]);
    assert_eq!(ending, Some((Disposition::Answered, Some(Party::Leader), 200)));
    world.assert_clean();
}

#[test]
fn a_voice_that_cannot_be_mixed_is_not_joined() {
    let mut world = one_phone();
    let caller = world.dial_with("101", G729.to_vec());
    let (officer, _) = world.rung("201").expect("the phone rings");
    world.pbx.answer(officer, G729.to_vec(), world.now);
    world.settle();
    assert!(world.is_answered(caller));
    world.notify_of(world.calls()[0], 7, Urgency::Urgent);
    let (leader, _) = world.rung("97").expect("the leader's phone rings");
    world.pick_up(leader);
    world.pass(seconds(2));
    world.press(Party::Leader, '6');
    assert_eq!(world.spoken(), Some(prompts::CANNOT_JOIN));
    assert_eq!(last(&world, is_confer), None);
    world.press(Party::Leader, '1');
    world.hang_up(caller);
    world.pass(ms(500));
    world.hang_up(leader);
    world.assert_clean();
}

#[test]
fn the_leaders_phone_changes_its_codec_at_the_table() {
    let Table { mut world, caller, leader, .. } = seated();
    let local = sdp::Local::plain([192, 0, 2, 77].into(), 4_000, 9);
    let offer = sdp::offer(&local, &[(Codec::Pcmu, 0)], Some(101), Direction::SendRecv);
    world.pbx.offer(leader, offer, world.now);
    world.settle();
    let channel = world.channel(Party::Leader);
    let Some(Command::Change { channel: changed, stream }) = world.media.last() else {
        panic!("{:?}", world.media.last());
    };
    assert_eq!((*changed, stream.codec), (channel, Codec::Pcmu));
    world.hang_up(caller);
    world.assert_clean();
}

#[test]
fn a_late_word_of_the_commit_is_for_nobody_any_more() {
    let Table { mut world, caller, .. } = seated();
    let attempt = dutyline::duty::ids::AttemptId(uuid::Uuid::from_u128(7));
    world.tell(Input::AckStored { attempt, outcome: AckOutcome::Late });
    assert!(confers(&world));
    world.hang_up(caller);
    world.assert_clean();
}
