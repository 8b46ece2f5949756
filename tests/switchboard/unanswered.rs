//! Before anybody answers: descriptions that change, calls that another phone has, and phones that
//! become free for whoever waits.

use crate::world::{World, ms, phone, seconds};
use crate::{one_phone, talking};
use dutyline::duty::journal::{Disposition, Fact, Urgency};
use dutyline::duty::line_plan::{Answering, Begins, MessagePlan, Phone, QueuePlan};
use dutyline::protocol::rtp::{Channel, Codec, Command, Party};
use dutyline::protocol::sdp::{self, Direction};
use dutyline::protocol::sip::{Event, LegId};

fn together(numbers: &[&str]) -> World {
    let begins = |number: &&str| Phone { begins: Begins::After(ms(0)), ..phone(number, 20) };
    let phones: Vec<_> = numbers.iter().map(begins).collect();
    World::new(&phones, 10, 2, 1)
}

/// A phone that rings reliably with a description of its own, and offers another meanwhile; what it
/// was answered, and where its voice is now.
pub fn changes_its_mind(world: &mut World, leg: LegId) -> (Vec<Event>, std::net::SocketAddr) {
    let early = world.sdp(&[(Codec::Pcma, 8)], Direction::SendRecv);
    world.pbx.ring(leg, Some(early), world.now);
    world.settle();
    world.heard_of(leg);
    let moved = world.sdp(&[(Codec::Pcma, 8)], Direction::SendRecv);
    let remote = sdp::parse(&moved).unwrap().remote();
    world.pbx.offer(leg, moved, world.now);
    world.settle();
    (world.heard_of(leg), remote)
}

pub fn speaks_to(world: &World, wanted: Channel) -> Option<std::net::SocketAddr> {
    world.media.iter().rev().find_map(|command| match command {
        Command::Open { channel, stream, .. } | Command::Change { channel, stream }
            if *channel == wanted =>
        {
            Some(stream.remote)
        }
        _ => None,
    })
}

#[test]
fn sig_14_a_phone_that_rings_may_change_its_session_and_is_answered() {
    let mut world = one_phone();
    let caller = world.dial("101");
    let (officer, _) = world.rung("201").unwrap();
    let (events, remote) = changes_its_mind(&mut world, officer);
    let [Event::Answer { sdp, .. }] = &events[..] else { panic!("{events:?}") };
    assert_eq!(sdp::parse(sdp).unwrap().version, 2, "our own answer, the next version");
    let channel = world.channel(Party::Officer);
    assert_eq!(speaks_to(&world, channel), Some(remote), "it is heard where it is now");
    world.pbx.answer(officer, vec![], world.now);
    world.settle();
    assert!(world.is_answered(caller));
    assert_eq!(speaks_to(&world, channel), Some(remote), "and stays there when it is picked up");
    world.hang_up(caller);
    world.assert_clean();
}

#[test]
fn sig_14_an_early_session_that_goes_with_nothing_is_refused_and_it_rings_on() {
    let mut world = one_phone();
    let caller = world.dial("101");
    let (officer, _) = world.rung("201").unwrap();
    let early = world.sdp(&[(Codec::Pcma, 8)], Direction::SendRecv);
    world.pbx.ring(officer, Some(early), world.now);
    world.settle();
    world.heard_of(officer);
    world.pbx.offer(officer, crate::G729.to_vec(), world.now);
    world.settle();
    let events = world.heard_of(officer);
    assert_eq!(events, [Event::OfferRefused { leg: officer, status: 488 }]);
    world.pbx.answer(officer, vec![], world.now);
    world.settle();
    assert!(world.is_answered(caller));
    world.hang_up(caller);
    world.assert_clean();
}

#[test]
fn sig_14_so_may_whom_a_call_is_handed_to_and_a_leader() {
    let mut world = one_phone();
    let (caller, _) = talking(&mut world);
    world.officer_refers(1, "<sip:301@pbx.example>", "");
    let (target, _) = world.rung("301").unwrap();
    let (events, remote) = changes_its_mind(&mut world, target);
    assert!(matches!(events[..], [Event::Answer { .. }]), "{events:?}");
    world.pbx.answer(target, vec![], world.now);
    world.settle();
    assert_eq!(speaks_to(&world, world.channel(Party::Officer)), Some(remote));
    world.notify(7, Urgency::Urgent);
    let (leader, _) = world.rung("97").unwrap();
    let (events, remote) = changes_its_mind(&mut world, leader);
    assert!(matches!(events[..], [Event::Answer { .. }]), "{events:?}");
    world.pbx.answer(leader, vec![], world.now);
    world.settle();
    assert_eq!(speaks_to(&world, world.channel(Party::Leader)), Some(remote));
    world.hang_up(leader);
    world.hang_up(caller);
    world.assert_clean();
}

#[test]
fn sig_10_the_losers_are_told_that_another_phone_has_the_call() {
    let mut world = together(&["201", "202"]);
    let caller = world.dial("101");
    let (first, _) = world.rung("201").unwrap();
    let (second, _) = world.rung("202").unwrap();
    world.pick_up(second);
    assert!(world.is_answered(caller));
    assert_eq!(world.heard_of(first), [Event::Cancelled { leg: first, elsewhere: true }]);
    world.hang_up(caller);
    let caller = world.dial("102");
    let (first, _) = world.rung("201").unwrap();
    world.cancel(caller);
    assert_eq!(world.heard_of(first), [Event::Cancelled { leg: first, elsewhere: false }]);
    world.assert_clean();
}

#[test]
fn sig_08_a_call_that_another_phone_of_the_pbx_has_is_no_missed_call() {
    let mut world = one_phone();
    let caller = world.dial("101");
    let (officer, _) = world.rung("201").unwrap();
    world.pbx.cancel_taken(caller, world.now);
    world.settle();
    assert_eq!(world.refused_with(caller), Some(487));
    assert!(matches!(world.heard_of(officer)[..], [Event::Cancelled { .. }]));
    let (how, by, status) = world.ending(world.calls()[0]).unwrap();
    assert_eq!((how, by, status), (Disposition::Elsewhere, None, 487));
    assert!(!how.needs_callback());
    world.assert_clean();
}

fn queue() -> Answering {
    let queue = Some(QueuePlan { places: 5, longest: seconds(60) });
    Answering { queue, ..Answering::default() }
}

/// One caller rings at the only phone, which is busy with that; another waits.
fn one_rings_and_one_waits(answering: Answering) -> (World, LegId, LegId) {
    let mut world = World::answering(&[phone("201", 40)], 20, 2, 1, answering);
    let first = world.dial("101");
    let (rings, _) = world.rung("201").unwrap();
    world.pass(ms(5));
    let second = world.dial("102");
    let (busy, _) = world.rung("201").unwrap();
    world.refuse(busy, 486);
    assert!(world.is_answered(second));
    world.heard_of(rings);
    (world, first, second)
}

fn answered(world: &World, place: usize) -> bool {
    let call = world.calls()[place];
    world.count(|fact| matches!(fact, Fact::Answered { call: c, .. } if *c == call)) == 1
}

#[test]
fn sig_11_who_waits_is_rung_through_at_once_when_another_caller_gives_up() {
    let (mut world, first, second) = one_rings_and_one_waits(queue());
    world.cancel(first);
    let (officer, _) = world.rung("201").expect("not only after ten seconds");
    world.pick_up(officer);
    assert!(answered(&world, 1));
    world.hang_up(second);
    world.assert_clean();
}

#[test]
fn sig_11_who_waits_is_rung_through_at_once_when_another_leaves_a_message() {
    let message = Some(MessagePlan { after: seconds(8), longest: seconds(120) });
    let (mut world, first, second) = one_rings_and_one_waits(Answering { message, ..queue() });
    world.pass(seconds(8));
    assert!(world.is_answered(first), "he hears the greeting");
    let (officer, _) = world.rung("201").expect("the phone has stopped ringing");
    world.pick_up(officer);
    assert!(answered(&world, 1));
    world.hang_up(second);
    world.hang_up(first);
    world.assert_clean();
}

#[test]
fn sig_11_a_phone_that_has_just_become_free_and_still_says_busy_is_tried_again_after_a_second() {
    let (mut world, first, second) = one_rings_and_one_waits(queue());
    world.cancel(first);
    let (still_busy, _) = world.rung("201").expect("at once");
    world.refuse(still_busy, 486);
    world.pass(ms(900));
    assert!(world.rung("201").is_none());
    world.pass(ms(200));
    let (busy, _) = world.rung("201").expect("after a second");
    world.refuse(busy, 486);
    world.pass(seconds(9));
    assert!(world.rung("201").is_none(), "then as seldom as ever");
    world.pass(ms(1100));
    let (officer, _) = world.rung("201").expect("after ten");
    world.pick_up(officer);
    assert!(answered(&world, 1));
    world.hang_up(second);
    world.assert_clean();
}

#[test]
fn sig_11_who_waits_is_rung_through_at_once_at_a_phone_that_lost_the_race() {
    let begins = |number: &str| Phone { begins: Begins::After(ms(0)), ..phone(number, 40) };
    let phones = [begins("201"), begins("202")];
    let mut world = World::answering(&phones, 20, 2, 1, queue());
    let first = world.dial("101");
    let (winner, _) = world.rung("201").unwrap();
    world.rung("202").unwrap();
    world.pass(ms(5));
    let second = world.dial("102");
    for number in ["201", "202"] {
        let (busy, _) = world.rung(number).unwrap();
        world.refuse(busy, 486);
    }
    assert!(world.is_answered(second));
    world.pick_up(winner);
    let (busy, _) = world.rung("201").expect("both are tried");
    world.refuse(busy, 486);
    let (officer, _) = world.rung("202").expect("not only after ten seconds");
    world.pick_up(officer);
    assert!(answered(&world, 1));
    world.hang_up(first);
    world.hang_up(second);
    world.assert_clean();
}
