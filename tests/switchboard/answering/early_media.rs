//! What a phone sends before it answers is heard, taped and marked as early.

use super::together;
use crate::world::World;
use crate::{one_phone, two_phones};
use dutyline::duty::journal::{Disposition, Fact, Stretch};
use dutyline::duty::prompts::RINGBACK;
use dutyline::protocol::rtp::{Codec, Command, Party};
use dutyline::protocol::sdp::{self, Direction};
use dutyline::protocol::sip::{Event, LegId};

/// Rings a phone with an early description of its own.
fn rings_early(world: &mut World, leg: LegId) {
    let sdp = world.sdp(&[(Codec::Pcma, 8)], Direction::SendRecv);
    world.pbx.ring(leg, Some(sdp), world.now);
    world.settle();
}

fn joined(world: &World) -> Option<&Command> {
    world.media.iter().rev().find(|command| matches!(command, Command::Join { .. }))
}

#[test]
fn sig_13_early_media_is_relayed_both_ways_taped_marked_and_no_answer() {
    let mut world = one_phone();
    let caller = world.dial("101");
    let (officer, _) = world.rung("201").unwrap();
    world.heard_of(caller);
    rings_early(&mut world, officer);
    let early = world.heard_of(caller).into_iter().find_map(|event| match event {
        Event::Progress { status: 183, sdp, .. } => sdp,
        _ => None,
    });
    let early = sdp::parse(&early.expect("183 with our description")).unwrap();
    assert_eq!(world.open_channels(), 2);
    let pair = Command::Join { a: world.channel(Party::Caller), b: world.channel(Party::Officer) };
    assert_eq!(joined(&world), Some(&pair));
    assert_eq!(world.stretches(), [(true, Stretch::Early)]);
    assert_eq!(world.count(|fact| matches!(fact, Fact::Answered { .. })), 0);
    // A second 183 by the same phone changes nothing.
    rings_early(&mut world, officer);
    assert_eq!(world.stretches().len(), 1);
    world.pick_up(officer);
    let said = world.heard_of(caller).into_iter().find_map(|event| match event {
        Event::Answered { sdp, .. } => sdp,
        _ => None,
    });
    let said = sdp::parse(&said.unwrap()).unwrap();
    assert_eq!((said.id, said.version), (early.id, early.version), "RFC 3261 §13.3.1: the same");
    world.hang_up(caller);
    world.assert_clean();
}

#[test]
fn sig_13_early_media_that_is_never_answered_is_sealed_all_the_same() {
    let mut world = one_phone();
    world.dial("101");
    let (officer, _) = world.rung("201").unwrap();
    rings_early(&mut world, officer);
    world.refuse(officer, 486);
    let call = world.calls()[0];
    assert_eq!(world.ending(call).unwrap().0, Disposition::BusyMissed);
    assert!(world.media.contains(&Command::Finish { call: call.0 }));
    world.assert_clean();
}

#[test]
fn sig_13_when_the_phone_he_hears_is_gone_the_caller_hears_us_ring() {
    let mut world = two_phones();
    let caller = world.dial("101");
    let (first, _) = world.rung("201").unwrap();
    rings_early(&mut world, first);
    world.refuse(first, 603);
    let (second, _) = world.rung("202").unwrap();
    assert_eq!(world.spoken(), Some(RINGBACK));
    assert_eq!(world.stretches(), [(true, Stretch::Early), (false, Stretch::Early)]);
    world.pick_up(second);
    assert!(world.is_answered(caller));
    world.hang_up(caller);
    world.assert_clean();
}

#[test]
fn sig_13_of_two_phones_with_early_media_one_is_heard_and_the_other_may_answer() {
    let mut world = together(&["201", "202"]);
    let caller = world.dial("101");
    let (first, _) = world.rung("201").unwrap();
    let (second, _) = world.rung("202").unwrap();
    rings_early(&mut world, first);
    rings_early(&mut world, second);
    assert_eq!(world.open_channels(), 2, "one phone at a time");
    world.pick_up(second);
    assert!(world.is_answered(caller));
    assert_eq!(world.open_channels(), 2);
    let pair = Command::Join { a: world.channel(Party::Caller), b: world.channel(Party::Officer) };
    assert_eq!(joined(&world), Some(&pair));
    world.hang_up(second);
    world.assert_clean();
}
