//! Nobody answers: the last resort takes the caller's message.

use crate::world::{World, ms, phone, seconds};
use dutyline::duty::journal::{Disposition, Fact};
use dutyline::duty::line_plan::{Answering, MessagePlan};
use dutyline::duty::prompts::{BEEP, GREETING};
use dutyline::protocol::rtp::{Command, Party};
use dutyline::protocol::sdp;
use dutyline::protocol::sip::Event;

pub(super) fn last_resort() -> Answering {
    let message = Some(MessagePlan { after: seconds(30), longest: seconds(120) });
    Answering { message, ..Answering::default() }
}

#[test]
fn sig_12_nobody_answers_for_30_s_so_a_message_is_taken() {
    let phones = [phone("201", 20), phone("202", 20)];
    let mut world = World::answering(&phones, 8, 2, 1, last_resort());
    let caller = world.dial("101");
    world.rung("201").unwrap();
    world.pass(seconds(20));
    let (second, _) = world.rung("202").unwrap();
    world.pass(ms(9_999));
    assert!(!world.is_answered(caller));
    world.pass(ms(1));
    assert!(world.is_answered(caller));
    assert_eq!(world.heard_of(second), [Event::Cancelled { leg: second, elsewhere: false }]);
    assert_eq!(world.spoken(), Some(GREETING));
    world.caller_hears_it_out();
    assert_eq!(world.spoken(), Some(BEEP));
    world.caller_hears_it_out();
    world.pass(seconds(20));
    world.press(Party::Caller, '#');
    assert!(world.ended(caller));
    let call = world.calls()[0];
    assert_eq!(world.ending(call), Some((Disposition::Message, None, 200)));
    assert_eq!(world.media.last(), Some(&Command::Finish { call: call.0 }), "it is kept");
    world.assert_clean();
}

#[test]
fn sig_12_where_no_phone_is_at_the_pbx_a_message_is_taken_at_once() {
    let phones = [phone("201", 20), phone("202", 20)];
    let mut world = World::answering(&phones, 8, 2, 1, last_resort());
    let caller = world.dial("101");
    for (number, status) in [("201", 404), ("202", 480)] {
        let (absent, _) = world.rung(number).unwrap();
        world.refuse(absent, status);
    }
    assert!(world.is_answered(caller), "nobody else could be rung for him");
    assert_eq!(world.spoken(), Some(GREETING));
    world.hang_up(caller);
    let ending = world.ending(world.calls()[0]);
    assert_eq!(ending, Some((Disposition::Missed, Some(Party::Caller), 200)));
    assert!(Disposition::Missed.needs_callback());
    world.assert_clean();
}

#[test]
fn sig_12_where_the_pbx_itself_fails_it_gets_the_call_back() {
    let mut world = World::answering(&[phone("201", 20)], 8, 2, 1, last_resort());
    let caller = world.dial("101");
    let (phone, _) = world.rung("201").unwrap();
    world.refuse(phone, 503);
    assert_eq!(world.refused_with(caller), Some(503), "it may reach the phone by another way");
    assert_eq!(world.ending(world.calls()[0]), Some((Disposition::Missed, None, 503)));
    world.assert_clean();
}

#[test]
fn sig_12_who_hangs_up_before_the_beep_was_missed() {
    let mut world = World::answering(&[phone("201", 60)], 8, 2, 1, last_resort());
    let caller = world.dial("101");
    world.rung("201").unwrap();
    world.pass(seconds(33));
    world.hang_up(caller);
    let ending = world.ending(world.calls()[0]);
    assert_eq!(ending, Some((Disposition::Missed, Some(Party::Caller), 200)));
    world.assert_clean();
}

#[test]
fn sig_12_an_officer_who_picks_up_at_that_moment_has_the_call() {
    let mut world = World::answering(&[phone("201", 60)], 8, 2, 1, last_resort());
    let caller = world.dial("101");
    let (officer, _) = world.rung("201").unwrap();
    world.wire_works = false;
    world.pass(seconds(30));
    world.wire_works = true;
    world.pick_up(officer);
    world.pass(seconds(1));
    assert_eq!(world.count(|fact| matches!(fact, Fact::Answered { .. })), 1);
    let silenced = world.media.iter().rev().any(|one| matches!(one, Command::Stop { .. }));
    assert!(silenced, "the greeting stops");
    world.hang_up(caller);
    assert_eq!(world.ending(world.calls()[0]).unwrap().0, Disposition::Answered);
    world.assert_clean();
}

#[test]
fn sig_12_a_message_without_end_and_one_by_a_caller_who_left_the_offer_to_us() {
    let mut world = World::answering(&[phone("201", 60)], 8, 2, 1, last_resort());
    let caller = world.dial_with("101", vec![]);
    world.rung("201").unwrap();
    world.pass(seconds(30));
    let offered = world.heard_of(caller).into_iter().find_map(|event| match event {
        Event::Answered { sdp, .. } => sdp,
        _ => None,
    });
    assert!(sdp::parse(&offered.unwrap()).unwrap().codecs().len() > 1, "all that we speak");
    assert_eq!(world.spoken(), None, "nobody knows yet where he listens");
    // Greeting and beep are given up as unheard, then his time runs.
    world.pass(seconds(70 + 2 + 120));
    assert!(world.ended(caller));
    world.assert_clean();
}
