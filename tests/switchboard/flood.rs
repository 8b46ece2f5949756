//! A flood from the PBX's own address: what is served has its row, what is not is counted (I-1).

use crate::world::{World, ms, phone, seconds};
use dutyline::duty::journal::{Disposition, Fact};
use dutyline::protocol::rtp::Party;

#[test]
fn rel_07_each_call_of_a_flood_is_a_row_or_counted_and_the_call_goes_on() {
    let mut world = World::new(&[phone("201", 20)], 6, 2, 1);
    let caller = world.dial("13800138000");
    let (officer, _) = world.rung("201").expect("the phone rings");
    world.pick_up(officer);
    assert!(world.is_answered(caller));
    let calls: Vec<_> = (0..600)
        .map(|_| {
            world.pass(ms(5));
            world.dial("13700000000")
        })
        .collect();
    let duty = world.dial("13912345678");
    world.pass(seconds(15));
    let number = |world: &World, caller: &str| {
        let of = |fact: &Fact| matches!(fact, Fact::Arrived(arrival) if arrival.caller == caller);
        world.count(of)
    };
    assert_eq!(number(&world, "13912345678"), 1, "the duty call has its row");
    let served = number(&world, "13700000000");
    assert!(
        (240..320).contains(&served),
        "{served}: 120 at once and 60 a second, less what is kept"
    );
    let summaries: Vec<_> = world
        .facts
        .iter()
        .filter_map(|fact| match fact {
            Fact::TurnedAway { calls, over, .. } => Some((*calls, *over)),
            _ => None,
        })
        .collect();
    let counted: u64 = summaries.iter().map(|(calls, _)| calls).sum();
    assert_eq!(served as u64 + counted, 600, "none of them is forgotten: {summaries:?}");
    assert_eq!((summaries.len(), summaries[1].1), (2, true), "at the beginning and at the end");
    let turned_away = calls.iter().filter(|leg| world.refused_with(**leg) == Some(503)).count();
    assert!(turned_away as u64 >= counted, "each of them heard 503: {turned_away}");
    world.cancel(duty);
    assert_eq!(world.ending(world.calls()[0]), None, "the two still talk");
    world.hang_up(caller);
    assert!(world.ended(officer));
    let ending = world.ending(world.calls()[0]);
    assert_eq!(ending, Some((Disposition::Answered, Some(Party::Caller), 200)));
    world.pass(seconds(100));
    world.assert_clean();
}

/// What ended lingers for half a minute on the wire (RFC 3261 §17); the next callers do not pay for it.
#[test]
fn rel_07_fifty_calls_a_second_are_served_for_ever() {
    let mut world = World::new(&[phone("201", 20)], 16, 2, 1);
    for n in 0..50 * 45 {
        world.pass(ms(20));
        let caller = world.dial(&format!("139{n:08}"));
        let (officer, _) = world.rung("201").expect("the phone rings");
        world.pick_up(officer);
        assert!(world.is_answered(caller), "call {n}");
        world.hang_up(caller);
        assert!(world.ended(officer));
        (world.from_board, world.from_pbx, world.traced) = (vec![], vec![], vec![]);
        world.media.clear();
        world.events.clear();
    }
    assert_eq!(world.count(|fact| matches!(fact, Fact::TurnedAway { .. })), 0);
    world.assert_clean();
}
