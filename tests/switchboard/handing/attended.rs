//! Attended transfer: the officer joins two conversations of his, and leaves both.

use super::{caller_hears_it_ring, course};
use crate::calling_out::order;
use crate::world::{World, phone};
use crate::{one_phone, talking};
use dutyline::duty::journal::Disposition;
use dutyline::protocol::rtp::{Command, Party};
use dutyline::protocol::sip::LegId;

#[test]
fn sig_16_an_attended_transfer_names_the_conversation_whose_place_it_takes() {
    let mut world = one_phone();
    let (caller, officer) = talking(&mut world);
    let to = "<sip:301@pbx.example?Replaces=abc%40192.0.2.1%3Bto-tag%3Dx1%3Bfrom-tag%3Dy2>";
    world.officer_refers(1, to, "Referred-By: <sip:201@pbx.example>\r\n");
    let invite = world.from_board.iter().rev().find(|sent| sent.starts_with("INVITE ")).unwrap();
    for line in [
        "Replaces: abc@192.0.2.1;to-tag=x1;from-tag=y2",
        "Require: replaces",
        "Referred-By: <sip:201@pbx.example>",
    ] {
        assert!(invite.contains(&format!("\r\n{line}\r\n")), "{line}: {invite}");
    }
    // The peer of this test has no such session; a PBX that had would answer.
    assert_eq!(world.notified(), [100, 481]);
    assert!(!caller_hears_it_ring(&world) && !world.ended(caller));
    assert!(!world.ended(officer), "a failed attended transfer comes back to the officer");
    world.hang_up(caller);
    world.assert_clean();
}

/// The officer has two callers on his phone, and joins them.
pub(super) fn two_callers(world: &mut World) -> [LegId; 4] {
    let (first, officer) = talking(world);
    let second = world.dial("13900000000");
    let (again, _) = world.rung("201").expect("his second line rings");
    world.pick_up(again);
    assert!(world.is_answered(second));
    [first, officer, second, again]
}

#[test]
fn sig_16_two_callers_of_one_officer_are_joined_and_he_leaves() {
    let mut world = World::new(&[phone("201", 20)], 9, 2, 1);
    let [first, officer, second, again] = two_callers(&mut world);
    let [one, other] = world.calls()[..] else { panic!("two calls") };
    let names = world.names_second_officer();
    world.officer_refers(1, &format!("<sip:8000@192.0.2.9:5060?{names}>"), "");
    assert_eq!(world.answered("REFER"), 202);
    assert_eq!(world.notified().last(), Some(&200));
    assert!(world.ended(officer) && world.ended(again), "he has left both");
    assert!(!world.ended(first));
    assert_eq!(world.heard_of(second), [], "he keeps his session: nothing that he could refuse");
    assert_eq!(world.ending(other), Some((Disposition::Answered, Some(Party::Officer), 200)));
    assert_eq!(world.ending(one), None, "the first one's entry goes on");
    assert_eq!(
        course(&world),
        ["+phone 201", "+phone 201", "?13900000000", "+13900000000", "-phone 201"]
    );
    let (ours, theirs) = (world.channel(Party::Caller), world.channel(Party::Officer));
    let callers = world.media.iter().find_map(|one| match one {
        Command::Open { channel, party: Party::Caller, .. } => Some(*channel),
        _ => None,
    });
    let callers = callers.expect("the first caller's");
    assert_ne!(callers, ours, "the last one opened was the second caller's");
    assert_eq!(theirs, ours, "which he keeps");
    let passed = Command::PassOn { channel: theirs, call: one.0, party: Party::Officer };
    let joined = Command::Join { a: callers, b: theirs };
    let at = |wanted: &Command| world.media.iter().position(|one| one == wanted);
    assert!(at(&passed).is_some() && at(&passed) < at(&joined), "taped with the first call");
    assert_eq!(world.board.channels_in_use(), 2, "everything else is free again");
    world.dies_and_comes_back();
    assert!(world.media.contains(&joined));
    world.hang_up(second);
    assert!(world.ended(first));
    assert_eq!(world.ending(one), Some((Disposition::Answered, Some(Party::Officer), 200)));
    world.assert_clean();
}

#[test]
fn sig_16_two_are_joined_where_no_channel_is_free() {
    let mut world = World::new(&[phone("201", 20)], 6, 2, 1);
    let [first, officer, second, again] = two_callers(&mut world);
    let names = world.names_second_officer();
    world.officer_refers(1, &format!("<sip:8000@192.0.2.9:5060?{names}>"), "");
    assert_eq!(world.answered("REFER"), 202);
    assert!(world.ended(officer) && world.ended(again));
    world.hang_up(first);
    assert!(world.ended(second));
    world.assert_clean();
}

#[test]
fn sig_16_two_who_cannot_understand_each_other_are_not_joined_and_both_go_on() {
    let mut world = World::new(&[phone("201", 20)], 9, 2, 1);
    let (first, officer) = talking(&mut world);
    let second = world.dial_with("13900000000", crate::G729.to_vec());
    let (again, _) = world.rung("201").expect("his second line rings");
    world.pbx.answer(again, crate::G729.to_vec(), world.now);
    world.settle();
    assert!(world.is_answered(second));
    let names = world.names_second_officer();
    world.officer_refers(1, &format!("<sip:8000@192.0.2.9:5060?{names}>"), "");
    assert_eq!(world.answered("REFER"), 488);
    assert!(![first, officer, second, again].into_iter().any(|leg| world.ended(leg)));
    world.hang_up(first);
    world.hang_up(second);
    world.assert_clean();
}

/// A consultation may be a call of the officer's own, and so may the call that he joins it to.
#[test]
fn sig_16_and_sig_24_a_caller_and_a_called_party_are_joined() {
    for called_first in [false, true] {
        let mut world = World::new(&[phone("201", 20)], 9, 2, 1);
        let places = |world: &mut World| {
            let call = order(world, 1, "301");
            let (officer, _) = world.rung("201").expect("the officer's phone");
            world.pick_up(officer);
            let (far, _) = world.rung("301").expect("the number");
            world.pick_up(far);
            (call, officer, far)
        };
        let receives = |world: &mut World| {
            let caller = world.dial("101");
            let (officer, _) = world.rung("201").expect("the officer's phone");
            world.pick_up(officer);
            assert!(world.is_answered(caller));
            (*world.calls().last().unwrap(), officer, caller)
        };
        let (first, second, names) = match called_first {
            true => {
                let first = places(&mut world);
                let second = receives(&mut world);
                (first, second, world.names_phone(0))
            }
            false => {
                let first = receives(&mut world);
                let second = places(&mut world);
                (first, second, world.names_phone(1))
            }
        };
        world.officer_refers(1, &format!("<sip:8000@192.0.2.9:5060?{names}>"), "");
        assert_eq!(world.answered("REFER"), 202, "called first: {called_first}");
        assert!(world.ended(first.1) && world.ended(second.1), "the officer has left both");
        assert!(!world.ended(first.2) && !world.ended(second.2));
        let over = Some((Disposition::Answered, Some(Party::Officer), 200));
        assert_eq!((world.ending(first.0), world.ending(second.0)), (None, over));
        assert_eq!(world.board.channels_in_use(), 2);
        world.dies_and_comes_back();
        world.hang_up(first.2);
        assert!(world.ended(second.2), "called first: {called_first}");
        world.assert_clean();
    }
}

#[test]
fn sig_30_nobody_is_joined_by_a_caller_or_to_himself() {
    let mut world = World::new(&[phone("201", 20)], 9, 2, 1);
    let [first, officer, second, again] = two_callers(&mut world);
    let names = world.names_second_officer();
    world.caller_refers(&format!("<sip:8000@192.0.2.9:5060?{names}>"));
    assert_eq!(world.answered("REFER"), 603);
    assert!(![first, officer, second, again].into_iter().any(|leg| world.ended(leg)));
    world.hang_up(officer);
    world.hang_up(again);
    world.assert_clean();
}
