//! Ring plans, the queue, the last resort, early media, hold, and calls without a BYE.

use crate::world::{World, ms, phone, seconds};
use crate::{one_phone, rings, talking, two_phones};
use dutyline::duty::journal::{Disposition, Fact, Stretch};
use dutyline::duty::line_plan::{Answering, Begins, MessagePlan, Phone, QueuePlan, SilencePlan};
use dutyline::duty::prompts::{BEEP, GREETING, QUEUE, RINGBACK};
use dutyline::protocol::rtp::{Codec, Command, Party};
use dutyline::protocol::sdp::{self, Direction};
use dutyline::protocol::sip::{Event, LegId};
use std::collections::BTreeSet;
use std::time::Duration;

fn after(wait: u64, phone: Phone) -> Phone {
    Phone { begins: Begins::After(seconds(wait)), ..phone }
}

fn together(numbers: &[&str]) -> World {
    let phones: Vec<_> = numbers.iter().map(|number| after(0, phone(number, 20))).collect();
    World::new(&phones, 10, 2, 1)
}

fn queue(places: usize) -> Answering {
    let queue = Some(QueuePlan { places, longest: seconds(60) });
    Answering { queue, ..Answering::default() }
}

fn last_resort() -> Answering {
    let message = Some(MessagePlan { after: seconds(30), longest: seconds(120) });
    Answering { message, ..Answering::default() }
}

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

#[test]
fn sig_12_unreachable_phones_are_left_to_the_pbx_and_not_to_the_last_resort() {
    let mut world = World::answering(&[phone("201", 20)], 8, 2, 1, last_resort());
    let caller = world.dial("101");
    let (officer, _) = world.rung("201").unwrap();
    world.refuse(officer, 404);
    assert_eq!(world.refused_with(caller), Some(503), "so that the PBX fails over");
    world.assert_clean();
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

/// The three manners of RFC 3264 §8.4: sendonly, inactive, and the old `c=0.0.0.0`.
fn holds(world: &mut World) -> [Vec<u8>; 3] {
    let old = String::from_utf8(world.sdp(&sdp::CODECS, Direction::SendRecv)).unwrap();
    let old = old
        .lines()
        .map(|line| if line.starts_with("c=") { "c=IN IP4 0.0.0.0" } else { line })
        .map(|line| format!("{line}\r\n"))
        .collect::<String>();
    [
        world.sdp(&sdp::CODECS, Direction::SendOnly),
        world.sdp(&sdp::CODECS, Direction::Inactive),
        old.into_bytes(),
    ]
}

#[test]
fn sig_15_hold_and_resume_from_both_sides_are_marks_and_the_watchdogs_pause() {
    for party in [Party::Caller, Party::Officer] {
        for lasts in [seconds(1), seconds(16), seconds(600)] {
            for manner in 0..3 {
                held(party, lasts, manner);
            }
        }
    }
}

fn held(party: Party, lasts: Duration, manner: usize) {
    let mut world = one_phone();
    let (caller, officer) = talking(&mut world);
    let request = match party {
        Party::Caller => World::in_dialog,
        _ => World::in_officers_dialog,
    };
    let hold = holds(&mut world).into_iter().nth(manner).unwrap();
    let resume = world.sdp(&sdp::CODECS, Direction::SendRecv);
    for (step, body, lasts) in [(1, hold, lasts), (2, resume, seconds(1))] {
        request(&mut world, "INVITE", step, "application/sdp", &body);
        let answer = world.from_board.last().unwrap();
        assert!(answer.starts_with("SIP/2.0 200"), "{party:?} {manner}: {answer}");
        request(&mut world, "ACK", step, "", b"");
        world.falls_silent(Party::Caller);
        world.falls_silent(Party::Officer);
        world.pass(lasts);
    }
    let stretch = Stretch::Hold(party);
    assert_eq!(world.stretches(), [(true, stretch), (false, stretch)], "{lasts:?} {manner}");
    assert_eq!(world.ending(world.calls()[0]), None, "a hold of {lasts:?} ends nothing");
    world.hang_up(if party == Party::Caller { officer } else { caller });
    world.assert_clean();
}

#[test]
fn rel_26_after_a_hold_silence_counts_from_its_end_and_a_new_port_ends_nothing() {
    let mut world = one_phone();
    let (_, _) = talking(&mut world);
    let [hold, ..] = holds(&mut world);
    world.in_dialog("INVITE", 1, "application/sdp", &hold);
    world.in_dialog("ACK", 1, "", b"");
    world.falls_silent(Party::Caller);
    world.falls_silent(Party::Officer);
    world.pass(seconds(300));
    let resume = world.sdp(&sdp::CODECS, Direction::SendRecv);
    world.in_dialog("INVITE", 2, "application/sdp", &resume);
    world.in_dialog("ACK", 2, "", b"");
    let port = sdp::parse(&resume).unwrap().remote();
    assert!(
        matches!(world.media.last(), Some(Command::Change { stream, .. }) if stream.remote == port)
    );
    world.pass(ms(59_999));
    assert_eq!(world.ending(world.calls()[0]), None);
    world.pass(ms(1));
    let ending = world.ending(world.calls()[0]);
    assert_eq!(ending, Some((Disposition::Interrupted, None, 200)));
    world.assert_clean();
}

#[test]
fn sig_23_without_a_bye_silence_ends_the_call_with_its_reason() {
    let one = SilencePlan { both: Some(seconds(60)), one: Some(seconds(90)) };
    let cases: [(&[Party], u64, &str); 3] = [
        (&[Party::Caller, Party::Officer], 60, "no voice from either side for 60 s"),
        (&[Party::Caller], 90, "no voice from the caller for 90 s"),
        (&[Party::Officer], 90, "no voice from the officer's phone for 90 s"),
    ];
    for (silent, limit, reason) in cases {
        let answering = Answering { silence: one, ..Answering::default() };
        let mut world = World::answering(&[phone("201", 20)], 6, 2, 1, answering);
        let (caller, officer) = talking(&mut world);
        world.pass(seconds(3));
        for party in silent {
            world.falls_silent(*party);
        }
        world.pass(seconds(limit) - ms(1));
        assert_eq!(world.ending(world.calls()[0]), None);
        world.pass(ms(1));
        assert!(world.ended(caller) && world.ended(officer), "both get BYE");
        let told = |fact: &Fact| matches!(fact, Fact::Ended { why, .. } if why == reason);
        assert_eq!(world.count(told), 1, "{reason}");
        world.assert_clean();
    }
}

#[test]
fn rec_s1_a_voice_that_comes_back_in_time_goes_on_and_eight_hours_are_an_alarm() {
    let mut world = one_phone();
    let (caller, _) = talking(&mut world);
    world.falls_silent(Party::Caller);
    world.falls_silent(Party::Officer);
    world.pass(seconds(59));
    world.is_heard_again(Party::Officer);
    world.pass(seconds(60));
    world.is_heard_again(Party::Caller);
    world.pass(seconds(8 * 3600));
    assert_eq!(world.count(|fact| matches!(fact, Fact::LongCall { .. })), 1);
    assert_eq!(world.ending(world.calls()[0]), None, "an alarm ends no call");
    world.hang_up(caller);
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
