//! Ring plans: in order, all at once, with delay; no two calls share a phone.

mod early_media;
mod hold;
mod last_resort;
mod queue;

use crate::world::{World, ms, phone, seconds};
use crate::{rings, talking, two_phones};
use dutyline::duty::journal::{Disposition, Fact};
use dutyline::duty::line_plan::{Begins, Phone};
use dutyline::protocol::rtp::Command;
use dutyline::protocol::sdp::{self, Direction};
use dutyline::protocol::sip::Event;
use std::collections::BTreeSet;

fn after(wait: u64, phone: Phone) -> Phone {
    Phone { begins: Begins::After(seconds(wait)), ..phone }
}

fn together(numbers: &[&str]) -> World {
    let phones: Vec<_> = numbers.iter().map(|number| after(0, phone(number, 20))).collect();
    World::new(&phones, 10, 2, 1)
}

#[test]
fn sig_10_all_phones_ring_at_once_on_ports_of_their_own_and_the_losers_are_cancelled() {
    let mut world = together(&["201", "202", "203"]);
    let caller = world.dial("101");
    let phones: Vec<_> = ["201", "202", "203"].map(|n| world.rung(n).expect("it rings")).into();
    let ports: BTreeSet<_> =
        phones.iter().map(|(_, sdp)| sdp::parse(sdp).unwrap().remote().port()).collect();
    assert_eq!(ports.len(), 3);
    assert!(rings(&world.heard_of(caller)));
    world.pick_up(phones[1].0);
    assert!(world.is_answered(caller));
    for loser in [phones[0].0, phones[2].0] {
        assert_eq!(world.heard_of(loser), [Event::Cancelled { leg: loser, elsewhere: true }]);
    }
    assert_eq!(world.board.channels_in_use(), 2, "the losers' ports are free");
    world.hang_up(caller);
    assert!(world.ended(phones[1].0));
    world.assert_clean();
}

#[test]
fn sig_10_a_late_200_of_a_loser_is_hung_up_and_the_call_goes_on() {
    let mut world = together(&["201", "202"]);
    let caller = world.dial("101");
    let (first, _) = world.rung("201").unwrap();
    let (second, _) = world.rung("202").unwrap();
    let sdp = world.sdp(&sdp::CODECS, Direction::SendRecv);
    world.pbx.answer(first, sdp.clone(), world.now);
    world.pbx.answer(second, sdp, world.now);
    world.settle();
    assert!(world.is_answered(caller));
    assert!(world.ended(second));
    assert!(!world.ended(first));
    assert_eq!(world.ending(world.calls()[0]), None);
    world.hang_up(first);
    world.assert_clean();
}

#[test]
fn sig_10_with_delay_the_second_begins_while_the_first_goes_on() {
    let phones = [phone("201", 30), after(10, phone("202", 30))];
    let mut world = World::new(&phones, 8, 2, 1);
    let caller = world.dial("101");
    let (first, _) = world.rung("201").unwrap();
    world.pass(ms(9_999));
    assert_eq!(world.rung("202"), None);
    world.pass(ms(1));
    let (second, _) = world.rung("202").expect("its time has come");
    assert_eq!(world.heard_of(first), [], "it rings on");
    world.pick_up(first);
    assert!(world.is_answered(caller));
    assert_eq!(world.heard_of(second), [Event::Cancelled { leg: second, elsewhere: true }]);
    world.hang_up(caller);
    world.assert_clean();
}

#[test]
fn sig_10_a_delayed_phone_begins_at_once_when_nothing_rings() {
    let phones = [phone("201", 30), after(10, phone("202", 30))];
    let mut world = World::new(&phones, 8, 2, 1);
    world.dial("101");
    let (first, _) = world.rung("201").unwrap();
    world.refuse(first, 486);
    assert!(world.rung("202").is_some());
}

#[test]
fn sig_10_a_phone_in_turn_waits_for_those_that_ring_at_once() {
    let phones = [after(0, phone("201", 20)), after(0, phone("202", 25)), phone("203", 20)];
    let mut world = World::new(&phones, 8, 2, 1);
    world.dial("101");
    world.rung("201").unwrap();
    world.rung("202").unwrap();
    world.pass(ms(24_999));
    assert_eq!(world.rung("203"), None);
    world.pass(ms(1));
    assert!(world.rung("203").is_some());
}

#[test]
fn sig_10_phones_without_a_channel_are_passed_over_and_the_others_ring() {
    let phones: Vec<_> = ["201", "202", "203"].map(|n| after(0, phone(n, 20))).into();
    let mut world = World::new(&phones, 5, 2, 1);
    let caller = world.dial("101");
    let (first, _) = world.rung("201").unwrap();
    assert!(world.rung("202").is_some(), "the third channel");
    assert_eq!(world.rung("203"), None, "the last two are the leaders'");
    assert_eq!(world.count(|fact| matches!(fact, Fact::NotTaken { status: 503, .. })), 1);
    world.pick_up(first);
    assert!(world.is_answered(caller));
    world.hang_up(caller);
    world.assert_clean();
}

#[test]
fn sig_09_every_phone_of_a_ring_all_must_refuse_before_the_caller_is_refused() {
    let mut world = together(&["201", "202"]);
    let caller = world.dial("101");
    let (first, _) = world.rung("201").unwrap();
    let (second, _) = world.rung("202").unwrap();
    world.refuse(first, 486);
    assert_eq!(world.refused_with(caller), None);
    world.refuse(second, 603);
    assert_eq!(world.refused_with(caller), Some(486));
    world.assert_clean();
}

#[test]
fn sig_11_while_busy_the_second_third_and_tenth_call_are_entries_and_486() {
    let mut world = World::new(&[phone("201", 20)], 40, 2, 1);
    let (first, _) = talking(&mut world);
    for n in 2..=10 {
        let caller = world.dial(&format!("10{n}"));
        let (busy, _) = world.rung("201").unwrap();
        world.refuse(busy, 486);
        assert_eq!(world.refused_with(caller), Some(486));
    }
    assert_eq!(world.calls().len(), 10);
    let calls = world.calls();
    let busy_missed =
        calls[1..].iter().filter(|call| world.ending(**call).unwrap().0 == Disposition::BusyMissed);
    assert_eq!(busy_missed.count(), 9);
    world.hang_up(first);
    world.assert_clean();
}

#[test]
fn rel_32_whatever_the_desk_phone_does_the_call_goes_to_the_next_one() {
    // Unreachable, busy, not there, out of order; nobody answers; picked up as it is cancelled.
    for status in [404, 486, 480, 503] {
        let mut world = two_phones();
        let caller = world.dial("101");
        let (desk, _) = world.rung("201").unwrap();
        world.refuse(desk, status);
        let (spare, _) = world.rung("202").expect("the next one rings");
        world.pick_up(spare);
        assert!(world.is_answered(caller));
        world.hang_up(caller);
        world.assert_clean();
    }
    let mut world = two_phones();
    let caller = world.dial("101");
    let (desk, _) = world.rung("201").unwrap();
    world.pass(ms(19_999));
    let sdp = world.sdp(&sdp::CODECS, Direction::SendRecv);
    world.pbx.answer(desk, sdp, world.now);
    world.pass(ms(1));
    assert!(world.is_answered(caller));
    let (spare, _) = world.rung("202").expect("the 200 came after the CANCEL");
    assert_eq!(world.heard_of(spare), [Event::Cancelled { leg: spare, elsewhere: true }]);
    assert!(!world.ended(desk));
    world.hang_up(caller);
    world.assert_clean();
}

#[test]
fn rec_s7_five_calls_at_once_keep_apart() {
    let phones: Vec<_> = (1..=5).map(|n| phone(&format!("20{n}"), 20)).collect();
    let mut world = World::new(&phones, 14, 2, 1);
    let mut legs = vec![];
    for n in 1..=5 {
        let caller = world.dial(&format!("10{n}"));
        for busy in 1..n {
            let (leg, _) = world.rung(&format!("20{busy}")).unwrap();
            world.refuse(leg, 486);
        }
        let (officer, _) = world.rung(&format!("20{n}")).unwrap();
        world.pick_up(officer);
        legs.push((caller, officer));
    }
    let joins = world.media.iter().filter_map(|command| match command {
        Command::Join { a, b } => Some((*a, *b)),
        _ => None,
    });
    let joins: BTreeSet<_> = joins.collect();
    let channels: BTreeSet<_> = joins.iter().flat_map(|(a, b)| [*a, *b]).collect();
    assert_eq!((joins.len(), channels.len()), (5, 10), "no channel is shared");
    world.hang_up(legs[2].0);
    assert_eq!(world.ending(world.calls()[2]).unwrap().0, Disposition::Answered);
    for call in [0, 1, 3, 4] {
        assert_eq!(world.ending(world.calls()[call]), None);
    }
    for (caller, _) in legs {
        world.hang_up(caller);
    }
    world.assert_clean();
}
