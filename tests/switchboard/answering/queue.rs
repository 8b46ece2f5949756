//! Callers who find every phone busy wait in the queue, and are rung in order.

use super::last_resort::last_resort;
use crate::talking;
use crate::world::{World, ms, phone, seconds};
use dutyline::duty::journal::{Disposition, Fact, Stretch};
use dutyline::duty::line_plan::{Answering, QueuePlan};
use dutyline::duty::prompts::{GREETING, QUEUE};
use dutyline::protocol::rtp::Party;
use dutyline::protocol::sip::LegId;

fn queue(places: usize) -> Answering {
    let queue = Some(QueuePlan { places, longest: seconds(60) });
    Answering { queue, ..Answering::default() }
}

/// The officer talks with one caller; the next ones find every phone busy.
fn callers_wait(world: &mut World, numbers: &[&str]) -> (LegId, Vec<LegId>) {
    let (first, _) = talking(world);
    let mut waiting = vec![];
    for number in numbers {
        world.pass(ms(5));
        waiting.push(world.dial(number));
        if let Some((busy, _)) = world.rung("201") {
            world.refuse(busy, 486);
        }
    }
    (first, waiting)
}

#[test]
fn sig_11_whoever_waits_hears_the_announcement_and_is_rung_in_order_when_a_phone_is_free() {
    let mut world = World::answering(&[phone("201", 20)], 20, 2, 1, queue(5));
    let (first, waiting) = callers_wait(&mut world, &["102", "103", "104"]);
    for caller in &waiting {
        assert!(world.is_answered(*caller));
    }
    assert_eq!(world.spoken(), Some(QUEUE));
    assert_eq!(world.stretches(), [(true, Stretch::Queued); 3]);
    world.hang_up(first);
    for (place, caller) in waiting.iter().enumerate() {
        let (officer, _) = world.rung("201").expect("the phone is free");
        assert_eq!(world.rung("201"), None, "one after the other");
        world.pick_up(officer);
        let call = world.calls()[1 + place];
        let answered = |fact: &Fact| matches!(fact, Fact::Answered { call: c, .. } if *c == call);
        assert_eq!(world.count(answered), 1, "in the order of arrival");
        assert!(!world.ended(*caller));
        // Those who still wait find the phone busy.
        if let Some((busy, _)) = world.rung("201") {
            world.refuse(busy, 486);
        }
        world.hang_up(*caller);
        assert_eq!(world.ending(call).unwrap().0, Disposition::Answered);
    }
    world.assert_clean();
}

#[test]
fn sig_11_a_busy_phone_is_tried_again_and_newcomers_stand_behind() {
    let mut world = World::answering(&[phone("201", 20)], 20, 2, 1, queue(5));
    let (_, waiting) = callers_wait(&mut world, &["102"]);
    world.pass(seconds(10));
    let (busy, _) = world.rung("201").expect("every ten seconds");
    let second = world.dial("103");
    assert_eq!(world.rung("201"), None, "somebody waits already");
    assert!(world.is_answered(second));
    world.refuse(busy, 486);
    world.pass(seconds(10));
    let (officer, _) = world.rung("201").unwrap();
    world.pick_up(officer);
    let call = world.calls()[1];
    assert_eq!(world.count(|fact| matches!(fact, Fact::Answered { call: c, .. } if *c == call)), 1);
    world.hang_up(waiting[0]);
}

#[test]
fn sig_11_hanging_up_while_waiting_is_abandoned() {
    let mut world = World::answering(&[phone("201", 20)], 20, 2, 1, queue(5));
    let (first, waiting) = callers_wait(&mut world, &["102"]);
    world.pass(seconds(5));
    world.hang_up(waiting[0]);
    let ending = world.ending(world.calls()[1]);
    assert_eq!(ending, Some((Disposition::Abandoned, Some(Party::Caller), 200)));
    world.hang_up(first);
    assert_eq!(world.rung("201"), None);
    world.assert_clean();
}

#[test]
fn sig_11_places_and_time_are_bounded() {
    let mut world = World::answering(&[phone("201", 20)], 20, 2, 1, queue(2));
    let (first, waiting) = callers_wait(&mut world, &["102", "103", "104"]);
    assert_eq!(world.refused_with(waiting[2]), Some(486), "two may wait");
    for _ in 0..6 {
        world.pass(seconds(10));
        if let Some((busy, _)) = world.rung("201") {
            world.refuse(busy, 486);
        }
    }
    assert!(world.ended(waiting[0]) && world.ended(waiting[1]));
    for call in &world.calls()[1..=2] {
        assert_eq!(world.ending(*call), Some((Disposition::BusyMissed, None, 200)));
    }
    world.hang_up(first);
    world.assert_clean();
}

#[test]
fn sig_11_who_has_waited_in_vain_may_leave_a_message() {
    let answering = Answering { message: last_resort().message, ..queue(2) };
    let mut world = World::answering(&[phone("201", 20)], 20, 2, 1, answering);
    let (first, waiting) = callers_wait(&mut world, &["102"]);
    for _ in 0..6 {
        world.pass(seconds(10));
        if let Some((busy, _)) = world.rung("201") {
            world.refuse(busy, 486);
        }
    }
    assert_eq!(world.spoken(), Some(GREETING));
    world.caller_hears_it_out();
    world.caller_hears_it_out();
    world.pass(seconds(9));
    world.hang_up(waiting[0]);
    assert_eq!(world.ending(world.calls()[1]).unwrap().0, Disposition::Message);
    world.hang_up(first);
    world.assert_clean();
}
