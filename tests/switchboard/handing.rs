//! An officer hands his conversation on, and phones that take a call for themselves.

use crate::calling_out::order;
use crate::world::{World, ms, phone};
use crate::{one_phone, talking, two_phones};
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
fn two_callers(world: &mut World) -> [LegId; 4] {
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
fn sig_30_a_refer_from_the_caller_or_to_a_number_that_the_site_does_not_name_is_declined() {
    let mut world = one_phone();
    let (caller, officer) = talking(&mut world);
    world.caller_refers("<sip:301@pbx.example>");
    assert_eq!(world.answered("REFER"), 603);
    let far = ["<sip:00441234567890@pbx.example>", "<sip:8000@192.0.2.9:5060>", "<tel:401>"];
    for (number, to) in (1..).zip(far) {
        world.officer_refers(number, to, "");
        assert_eq!(world.answered("REFER"), 603, "{to}");
    }
    for (number, to, status) in [
        (4, "<http://example.com/>", 416),
        (5, "<sip:301@a>, <sip:302@a>", 400),
        (6, "<sip:301@a;method=BYE>", 603),
        (7, "<sip:301@a?Replaces=x>", 400),
        (8, "<sip:301@a?Replaces=x%0d%0aEvil%3a1%3bto-tag%3d1%3bfrom-tag%3d2>", 400),
    ] {
        world.officer_refers(number, to, "");
        assert_eq!(world.answered("REFER"), status, "{to}");
    }
    let dialled = world.from_board.iter().filter(|sent| sent.starts_with("INVITE ")).count();
    assert_eq!(dialled, 1, "the officer's phone alone");
    assert_eq!(world.count(|fact| matches!(fact, Fact::NotTaken { status: 603, .. })), 4, "noted");
    assert!(!world.ended(caller));
    world.hang_up(officer);
    world.assert_clean();
}

#[test]
fn sig_30_the_day_has_its_cap_and_a_loop_comes_to_its_end() {
    let mut world = one_phone();
    let (caller, _) = talking(&mut world);
    for number in 1..=3 {
        world.officer_refers(number, "<sip:301@pbx.example>", "");
        let (target, _) = world.rung("301").unwrap();
        world.refuse(target, 486);
    }
    world.officer_refers(4, "<sip:302@pbx.example>", "");
    assert_eq!(world.answered("REFER"), 603);
    world.hang_up(caller);
    world.assert_clean();
}

/// Each is told to the log, which counts the day for the next run.
#[test]
fn sig_30_the_days_cap_of_transfers_outlives_a_restart() {
    let mut world = one_phone();
    let (caller, _) = talking(&mut world);
    for number in 1..=2 {
        world.officer_refers(number, "<sip:301@pbx.example>", "");
        let (target, _) = world.rung("301").unwrap();
        world.refuse(target, 486);
    }
    let dialled = |fact: &Fact| matches!(fact, Fact::Dialled { number, .. } if number == "301");
    let calls = u32::try_from(world.count(dialled)).unwrap();
    assert_eq!(calls, 2);
    world.dies_and_comes_back();
    world.tell(Input::DialledToday { calls });
    world.officer_refers(20, "<sip:301@pbx.example>", "");
    assert_eq!(world.answered("REFER"), 202, "the third of three");
    let (target, _) = world.rung("301").unwrap();
    world.refuse(target, 486);
    world.officer_refers(21, "<sip:301@pbx.example>", "");
    assert_eq!(world.answered("REFER"), 603);
    world.hang_up(caller);
    world.assert_clean();
}

#[test]
fn sig_16_another_phone_picks_up_a_call_that_rings() {
    let mut world = one_phone();
    let caller = world.dial("101");
    let (desk, _) = world.rung("201").unwrap();
    let replaces = world.replaces_officer();
    let second = world.picks_up("302", &replaces);
    assert!(world.is_answered(second));
    assert!(world.is_answered(caller));
    assert_eq!(world.heard_of(desk), [Event::Cancelled { leg: desk, elsewhere: true }]);
    assert_eq!(course(&world), ["^302", "+302", "!phone 201 487"]);
    assert_eq!(world.calls().len(), 1, "one entry");
    world.hang_up(second);
    assert!(world.ended(caller));
    world.assert_clean();
}

#[test]
fn sig_16_another_phone_takes_over_a_conversation() {
    let mut world = one_phone();
    let (caller, officer) = talking(&mut world);
    let replaces = world.replaces_officer();
    let second = world.picks_up("302", &replaces);
    assert!(world.is_answered(second));
    assert!(world.ended(officer) && !world.ended(caller));
    assert_eq!(course(&world), ["+phone 201", "^302", "+302", "-phone 201"]);
    world.hang_up(caller);
    assert!(world.ended(second));
    world.assert_clean();
}

#[test]
fn sig_30_a_pickup_that_is_not_the_rooms_is_declined() {
    let mut world = one_phone();
    let (caller, officer) = talking(&mut world);
    let replaces = world.replaces_officer();
    for (user, replaces, status) in [
        ("13800138000", replaces.clone(), 603),
        ("302", format!("{replaces};early-only"), 486),
        ("302", replaces.replace("from-tag=", "from-tag=x"), 481),
        ("302", "nonsense".to_owned(), 400),
    ] {
        let leg = world.picks_up(user, &replaces);
        assert_eq!(world.refused_with(leg), Some(status), "{user} {replaces}");
    }
    assert!(!world.ended(caller) && !world.ended(officer));
    assert_eq!(world.calls().len(), 1, "no entry for any of them");
    world.hang_up(caller);
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
