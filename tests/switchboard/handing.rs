//! An officer hands his conversation on, and who may be handed it.

mod attended;
mod dial_plan;
mod pickup;
mod recalled;

use crate::world::{World, ms, phone};
use crate::{one_phone, talking, two_phones};
use attended::two_callers;
use dutyline::duty::journal::{Disposition, Fact, Joining, Stretch};
use dutyline::duty::prompts::RINGBACK;
use dutyline::duty::switchboard::Input;
use dutyline::protocol::rtp::{self, Codec, Command, Party, Tone};
use dutyline::protocol::sdp::Direction;
use dutyline::protocol::sip::{Event, LegId};

/// Who came and went, in order: `+` speaks with the caller, `-` no longer, `?` is to, `!` does not.
fn course(world: &World) -> Vec<String> {
    let of = |fact: &Fact| match fact {
        Fact::Answered { phone, .. } | Fact::Joined { phone, .. } => Some(format!("+{phone}")),
        Fact::Left { phone, .. } => Some(format!("-{phone}")),
        Fact::Joining { phone, how: Joining::Transfer, .. } => Some(format!("?{phone}")),
        Fact::Joining { phone, .. } => Some(format!("^{phone}")),
        Fact::NotTaken { phone, status, .. } => Some(format!("!{phone} {status}")),
        _ => None,
    };
    world.facts.iter().filter_map(of).collect()
}

fn caller_hears_it_ring(world: &World) -> bool {
    let caller = world.channel(Party::Caller);
    let of = |command: &&Command| match command {
        Command::Play { channel, .. } | Command::Stop { channel } => *channel == caller,
        _ => false,
    };
    matches!(world.media.iter().rev().find(of), Some(Command::Play { prompt, .. }) if *prompt == RINGBACK)
}

/// Caller and officer speak, and the officer's phone has handed the call to 301, which rings.
fn handing(world: &mut World) -> (LegId, LegId, LegId) {
    let (caller, officer) = talking(world);
    world.officer_refers(1, "<sip:301@pbx.example>", "");
    assert_eq!(world.answered("REFER"), 202);
    let (target, _) = world.rung("301").expect("the target rings");
    (caller, officer, target)
}

#[test]
fn sig_16_a_blind_transfer_is_one_call_and_the_officer_goes_when_the_target_answers() {
    let mut world = one_phone();
    let (caller, officer, target) = handing(&mut world);
    assert_eq!(world.notified(), [100, 180]);
    assert!(!world.ended(officer), "the two go on talking");
    assert!(!caller_hears_it_ring(&world));
    world.pick_up(target);
    assert_eq!(world.notified(), [100, 180, 200]);
    assert!(world.ended(officer));
    let (theirs, ours) = (world.channel(Party::Officer), world.channel(Party::Caller));
    let joined = world.media.iter().rposition(|one| *one == Command::Join { a: ours, b: theirs });
    let closed = world.media.iter().rposition(|one| matches!(one, Command::Close { .. }));
    assert!(joined < closed, "the new voice is there before the old one goes");
    assert_eq!(world.calls().len(), 1, "one entry");
    assert_eq!(course(&world), ["+phone 201", "?301", "+301", "-phone 201"]);
    world.hang_up(caller);
    assert!(world.ended(target));
    let ending = world.ending(world.calls()[0]);
    assert_eq!(ending, Some((Disposition::Answered, Some(Party::Caller), 200)));
    world.assert_clean();
}

#[test]
fn sig_16_a_busy_target_changes_nothing() {
    let mut world = one_phone();
    let (caller, officer, target) = handing(&mut world);
    world.refuse(target, 486);
    assert_eq!(world.notified(), [100, 180, 486]);
    assert!(!world.ended(caller) && !world.ended(officer));
    assert_eq!(course(&world), ["+phone 201", "?301", "!301 486"]);
    // He may try again.
    world.officer_refers(2, "<tel:302>", "");
    let (second, _) = world.rung("302").unwrap();
    assert!(world.from_board.iter().any(|sent| sent.contains("\r\nEvent: refer;id=2\r\n")));
    world.pick_up(second);
    assert!(world.ended(officer));
    world.hang_up(second);
    assert!(world.ended(caller));
    world.assert_clean();
}

#[test]
fn sig_16_a_target_that_nobody_answers_is_given_up_and_a_late_200_is_hung_up() {
    let mut world = one_phone();
    let (caller, officer, target) = handing(&mut world);
    world.pass(ms(39_999));
    assert_eq!(world.notified(), [100, 180]);
    world.pass(ms(1));
    assert_eq!(world.notified(), [100, 180, 408]);
    assert_eq!(world.heard_of(target), [Event::Cancelled { leg: target, elsewhere: false }]);
    assert!(!world.ended(caller) && !world.ended(officer));
    world.hang_up(officer);
    assert!(world.ended(caller));
    world.assert_clean();
}

#[test]
fn sig_16_the_caller_hangs_up_while_the_target_rings() {
    let mut world = one_phone();
    let (caller, officer, target) = handing(&mut world);
    world.hang_up(caller);
    assert!(world.ended(officer));
    assert_eq!(world.heard_of(target), [Event::Cancelled { leg: target, elsewhere: false }]);
    let ending = world.ending(world.calls()[0]);
    assert_eq!(ending, Some((Disposition::Answered, Some(Party::Caller), 200)));
    world.assert_clean();
}

#[test]
fn sig_16_a_phone_that_hangs_up_behind_its_refer_leaves_the_caller_to_the_target() {
    let mut world = one_phone();
    let (caller, officer, target) = handing(&mut world);
    world.hang_up(officer);
    assert!(!world.ended(caller));
    assert!(caller_hears_it_ring(&world));
    world.pick_up(target);
    assert!(!caller_hears_it_ring(&world));
    assert_eq!(course(&world), ["+phone 201", "?301", "-phone 201", "+301"]);
    world.hang_up(target);
    assert!(world.ended(caller));
    let ending = world.ending(world.calls()[0]);
    assert_eq!(ending, Some((Disposition::Answered, Some(Party::Officer), 200)));
    world.assert_clean();
}

#[test]
fn sig_16_a_caller_whom_nobody_takes_and_whose_officer_is_gone_rings_at_every_phone_again() {
    let mut world = two_phones();
    let (caller, officer, target) = handing(&mut world);
    world.hang_up(officer);
    world.refuse(target, 486);
    assert!(caller_hears_it_ring(&world));
    let (again, _) = world.rung("201").expect("the plan from its beginning");
    world.refuse(again, 486);
    let (second, _) = world.rung("202").expect("the next phone");
    world.pick_up(second);
    assert!(!caller_hears_it_ring(&world));
    assert!(!world.ended(caller));
    world.hang_up(caller);
    assert!(world.ended(second));
    world.assert_clean();
    assert_eq!(world.calls().len(), 1);
}

#[test]
fn sig_16_a_caller_who_gives_up_after_a_failed_transfer_is_to_be_called_back() {
    let mut world = one_phone();
    let (caller, officer, target) = handing(&mut world);
    world.hang_up(officer);
    world.refuse(target, 404);
    let (again, _) = world.rung("201").unwrap();
    world.hang_up(caller);
    assert_eq!(world.heard_of(again), [Event::Cancelled { leg: again, elsewhere: false }]);
    let (how, by, _) = world.ending(world.calls()[0]).unwrap();
    assert_eq!((how, by), (Disposition::Abandoned, Some(Party::Caller)));
    assert!(how.needs_callback());
    world.assert_clean();
}

#[test]
fn sig_16_nobody_at_all_after_a_failed_transfer_ends_the_call() {
    let mut world = one_phone();
    let (caller, officer, target) = handing(&mut world);
    world.hang_up(officer);
    world.refuse(target, 486);
    let (again, _) = world.rung("201").unwrap();
    world.refuse(again, 603);
    assert!(world.ended(caller));
    world.assert_clean();
}

#[test]
fn sig_16_a_caller_on_hold_hears_the_target_ring_and_the_hold_ends_with_the_transfer() {
    let mut world = one_phone();
    let (caller, officer, target) = handing(&mut world);
    let hold = world.sdp(&[(Codec::Pcma, 8)], Direction::SendOnly);
    world.pbx.offer(officer, hold, world.now);
    world.settle();
    assert!(caller_hears_it_ring(&world));
    let resume = world.sdp(&[(Codec::Pcma, 8)], Direction::SendRecv);
    world.pbx.offer(officer, resume, world.now);
    world.settle();
    assert!(!caller_hears_it_ring(&world), "the officer is back");
    let hold = world.sdp(&[(Codec::Pcma, 8)], Direction::SendOnly);
    world.pbx.offer(officer, hold, world.now);
    world.settle();
    assert!(caller_hears_it_ring(&world));
    world.pick_up(target);
    assert!(!caller_hears_it_ring(&world));
    let held = Stretch::Hold(Party::Officer);
    assert_eq!(world.stretches(), [(true, held), (false, held), (true, held), (false, held)]);
    world.hang_up(caller);
    assert!(world.ended(target));
    world.assert_clean();
}

#[test]
fn sig_16_who_wants_no_news_gets_none() {
    let mut world = one_phone();
    let (_, officer) = talking(&mut world);
    world.officer_refers(1, "<sip:301@pbx.example>", "Refer-Sub: false\r\n");
    let accepted = world.from_board.iter().find(|sent| sent.starts_with("SIP/2.0 202")).unwrap();
    assert!(accepted.contains("\r\nRefer-Sub: false\r\n"), "{accepted}");
    let (target, _) = world.rung("301").unwrap();
    world.pick_up(target);
    assert!(world.ended(officer));
    assert_eq!(world.notified(), [0_u16; 0]);
    world.hang_up(target);
    world.assert_clean();
}

#[test]
fn sig_16_a_transfer_without_a_free_channel_is_refused_and_the_two_go_on() {
    let mut world = World::new(&[phone("201", 20)], 4, 2, 1);
    let (caller, officer) = talking(&mut world);
    world.officer_refers(1, "<sip:301@pbx.example>", "");
    assert_eq!(world.answered("REFER"), 503);
    assert!(!world.ended(officer));
    world.hang_up(caller);
    world.assert_clean();
}

#[test]
fn sig_16_a_call_that_is_being_handed_on_survives_kill_9() {
    for alone in [false, true] {
        let mut world = one_phone();
        let (caller, officer, target) = handing(&mut world);
        if alone {
            world.hang_up(officer);
        }
        world.dies_and_comes_back();
        assert_eq!(caller_hears_it_ring(&world), alone);
        world.pick_up(target);
        assert!(!world.ended(caller), "alone: {alone}");
        assert!(world.ended(officer), "alone: {alone}");
        assert_eq!(world.notified().last(), Some(if alone { &180 } else { &200 }));
        let (ours, theirs) = (world.channel(Party::Caller), world.channel(Party::Officer));
        assert!(world.media.contains(&Command::Join { a: ours, b: theirs }));
        world.hang_up(caller);
        assert!(world.ended(target));
        world.assert_clean();
    }
}

#[test]
fn sig_16_a_transfer_to_110_gets_the_channel_that_is_kept_for_help() {
    let mut world = World::new(&[phone("201", 20)], 4, 2, 1);
    let (caller, _) = talking(&mut world);
    world.officer_refers(1, "<sip:110@pbx.example>", "");
    assert_eq!(world.answered("REFER"), 202);
    let (target, _) = world.rung("110").expect("help is called");
    world.pick_up(target);
    world.hang_up(caller);
    assert!(world.ended(target));
    world.assert_clean();
}

#[test]
fn sig_16_who_has_an_officers_place_and_is_nobody_of_the_room_is_no_officer() {
    for joined in [false, true] {
        let mut world = World::new(&[phone("201", 20)], 9, 2, 1);
        let (caller, stranger) = if joined {
            let [first, _, second, _] = two_callers(&mut world);
            let names = world.names_second_officer();
            world.officer_refers(1, &format!("<sip:8000@192.0.2.9:5060?{names}>"), "");
            (first, second)
        } else {
            let (caller, _, target) = handing(&mut world);
            world.pick_up(target);
            (caller, target)
        };
        world.press(Party::Officer, '*');
        world.press(Party::Officer, '9');
        assert_eq!(world.count(|fact| matches!(fact, Fact::Flagged { .. })), 0, "{joined}");
        assert!(!world.ended(caller) && !world.ended(stranger));
        let (channel, since) = (world.channel(Party::Officer), world.now.mono);
        let tone = Tone::Busy;
        world.tell(Input::Media(rtp::Event::Tone { channel, tone, since }));
        assert!(world.ended(caller) && world.ended(stranger), "the busy tone: {joined}");
        world.assert_clean();
    }
}
