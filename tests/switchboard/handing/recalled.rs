//! Whoever is answered and waits for a phone again, and a daemon that dies meanwhile: an answered call cannot fail over.

use super::{caller_hears_it_ring, handing};
use crate::two_phones;
use crate::world::{World, ms, phone, seconds};
use dutyline::duty::journal::{Disposition, Fact};
use dutyline::duty::line_plan::{Answering, MessagePlan};
use dutyline::duty::prompts::GREETING;
use dutyline::protocol::rtp::{Command, Party};
use dutyline::protocol::sip::{Event, LegId};

/// His officer has handed him on and left, nobody took him, and the first phone rings again.
fn recalled(world: &mut World) -> (LegId, LegId) {
    let (caller, officer, target) = handing(world);
    world.hang_up(officer);
    world.refuse(target, 486);
    let (again, _) = world.rung("201").expect("the plan from its beginning");
    (caller, again)
}

#[test]
fn sig_34_a_recalled_caller_waits_on_after_kill_9_and_every_phone_rings_again() {
    let mut world = two_phones();
    let (caller, before) = recalled(&mut world);
    world.dies_and_comes_back();
    assert!(!world.ended(caller));
    assert!(caller_hears_it_ring(&world));
    assert_eq!(world.heard_of(before), [Event::Cancelled { leg: before, elsewhere: false }]);
    assert_eq!(world.rung("201"), None, "it has just been told to be silent");
    world.pass(seconds(1));
    let (anew, _) = world.rung("201").expect("the plan from its beginning");
    world.refuse(anew, 486);
    let (second, _) = world.rung("202").expect("the next phone");
    world.pick_up(second);
    assert!(!caller_hears_it_ring(&world) && !world.ended(caller));
    let (ours, theirs) = (world.channel(Party::Caller), world.channel(Party::Officer));
    assert!(world.media.contains(&Command::Join { a: ours, b: theirs }));
    world.hang_up(caller);
    assert!(world.ended(second));
    world.assert_clean();
    assert_eq!(world.calls().len(), 1, "one entry");
    let finished = |one: &&Command| matches!(one, Command::Finish { .. });
    assert_eq!(world.media.iter().filter(finished).count(), 1, "one recording");
}

#[test]
fn sig_34_a_phone_that_is_picked_up_as_it_is_cancelled_has_the_recalled_caller() {
    let mut world = two_phones();
    let (caller, before) = recalled(&mut world);
    world.wire_works = false;
    world.dies_and_comes_back();
    world.wire_works = true;
    world.pick_up(before);
    assert_eq!(world.count(|fact| matches!(fact, Fact::Answered { .. })), 2);
    world.pass(seconds(5));
    assert_eq!(world.rung("201"), None, "nobody else is rung");
    assert!(!world.ended(caller) && !world.ended(before));
    world.hang_up(caller);
    assert!(world.ended(before));
    world.assert_clean();
}

#[test]
fn sig_34_a_recalled_caller_may_hang_up_before_a_phone_rings_again() {
    let mut world = two_phones();
    let (caller, _) = recalled(&mut world);
    world.dies_and_comes_back();
    world.pass(ms(500));
    world.hang_up(caller);
    let (how, by, _) = world.ending(world.calls()[0]).unwrap();
    assert_eq!((how, by), (Disposition::Abandoned, Some(Party::Caller)));
    world.assert_clean();
    assert_eq!(world.rung("201"), None);
}

#[test]
fn sig_34_the_last_resort_of_a_recalled_caller_has_its_whole_time_after_kill_9() {
    let message = Some(MessagePlan { after: seconds(30), longest: seconds(120) });
    let answering = Answering { message, ..Answering::default() };
    let mut world = World::answering(&[phone("201", 60)], 8, 2, 1, answering);
    let (caller, _) = recalled(&mut world);
    world.pass(seconds(29));
    world.dies_and_comes_back();
    world.pass(ms(29_999));
    assert!(caller_hears_it_ring(&world));
    world.pass(ms(1));
    assert_eq!(world.spoken(), Some(GREETING));
    world.hang_up(caller);
    world.assert_clean();
}
