//! A call to the duty line: it is bridged, given up, refused by a phone, and one of several.

use crate::world::{ms, seconds};
use crate::{one_phone, rings, talking, two_phones};
use dutyline::duty::journal::{Disposition, Fact};
use dutyline::protocol::rtp::{Codec, Command, Party};
use dutyline::protocol::sdp;
use dutyline::protocol::sdp::Direction;
use dutyline::protocol::sip::Event;

#[test]
fn sig_07_a_call_is_bridged_and_the_caller_hangs_up() {
    let mut world = one_phone();
    let (caller, officer) = talking(&mut world);
    let call = world.calls()[0];
    assert!(matches!(&world.facts[..], [
        Fact::Arrived(arrival),
        Fact::Rung { .. },
        Fact::Answered { phone, .. },
    ] if arrival.caller == "13800138000" && phone == "phone 201"));
    let (ours, theirs) = (world.channel(Party::Caller), world.channel(Party::Officer));
    assert!(world.media.contains(&Command::Join { a: ours, b: theirs }));
    world.hang_up(caller);
    assert!(world.ended(officer));
    assert_eq!(world.ending(call), Some((Disposition::Answered, Some(Party::Caller), 200)));
    assert_eq!(
        world.count(|fact| matches!(fact, Fact::Carried { counts, .. } if counts.received == 7)),
        2
    );
    assert_eq!(world.media.last(), Some(&Command::Finish { call: call.0 }));
    world.assert_clean();
}

#[test]
fn sig_07_the_officer_hangs_up() {
    let mut world = one_phone();
    let (caller, officer) = talking(&mut world);
    world.hang_up(officer);
    assert!(world.ended(caller));
    let ending = world.ending(world.calls()[0]);
    assert_eq!(ending, Some((Disposition::Answered, Some(Party::Officer), 200)));
    world.assert_clean();
}

#[test]
fn the_caller_gets_the_codec_that_the_officer_chose() {
    let mut world = one_phone();
    let offer = world.sdp(&[(Codec::Pcmu, 0), (Codec::Pcma, 8)], Direction::SendRecv);
    let caller = world.dial_with("101", offer);
    let (officer, offered) = world.rung("201").unwrap();
    let offered = sdp::parse(&offered).unwrap().codecs();
    assert_eq!(offered[..2], [(Codec::Pcmu, 0), (Codec::Pcma, 8)], "the caller's come first");
    world.pick_up(officer);
    let answer = world.heard_of(caller).into_iter().find_map(|event| match event {
        Event::Answered { sdp, .. } => sdp,
        _ => None,
    });
    assert_eq!(sdp::parse(&answer.unwrap()).unwrap().codecs(), [(Codec::Pcma, 8)]);
}

#[test]
fn i_1_no_phone_rings_before_the_entry_is_committed_but_never_later_than_150_ms() {
    let mut world = one_phone();
    world.log_works = false;
    world.dial("101");
    assert_eq!(world.rung("201"), None);
    world.pass(ms(149));
    assert_eq!(world.rung("201"), None);
    world.pass(ms(1));
    assert!(world.rung("201").is_some());

    world.log_works = true;
    world.dial("102");
    assert!(world.rung("201").is_some());
}

#[test]
fn sig_08_the_caller_gives_up_while_the_entry_is_written() {
    let mut world = one_phone();
    world.log_works = false;
    let caller = world.dial("101");
    world.cancel(caller);
    assert_eq!(world.refused_with(caller), Some(487));
    let ending = world.ending(world.calls()[0]);
    assert_eq!(ending, Some((Disposition::Abandoned, Some(Party::Caller), 487)));
    world.pass(seconds(1));
    assert_eq!(world.rung("201"), None);
    world.assert_clean();
}

#[test]
fn sig_08_the_caller_gives_up_while_it_rings() {
    let mut world = one_phone();
    let caller = world.dial("101");
    let (officer, _) = world.rung("201").unwrap();
    assert!(rings(&world.heard_of(caller)));
    world.cancel(caller);
    assert_eq!(world.heard_of(officer), [Event::Cancelled { leg: officer, elsewhere: false }]);
    assert_eq!(world.ending(world.calls()[0]).unwrap().0, Disposition::Abandoned);
    world.assert_clean();
}

#[test]
fn sig_08_the_officer_answers_as_the_caller_gives_up() {
    let mut world = one_phone();
    let caller = world.dial("101");
    let (officer, _) = world.rung("201").unwrap();
    let sdp = world.sdp(&[(Codec::Pcma, 8)], Direction::SendRecv);
    world.pbx.cancel(caller, world.now);
    world.pbx.answer(officer, sdp, world.now);
    world.settle();
    assert!(world.ended(officer), "a phone without a caller is hung up");
    assert_eq!(world.ending(world.calls()[0]).unwrap().0, Disposition::Abandoned);
    world.assert_clean();
}

#[test]
fn sig_09_every_refusal_leads_to_the_next_phone() {
    for status in [486, 480, 404, 603, 503] {
        let mut world = two_phones();
        let caller = world.dial("101");
        let (first, _) = world.rung("201").unwrap();
        world.refuse(first, status);
        let (second, _) = world.rung("202").unwrap_or_else(|| panic!("{status}"));
        world.pick_up(second);
        assert!(world.is_answered(caller));
        assert_eq!(
            world.count(|fact| matches!(fact, Fact::NotTaken { status: s, .. } if *s == status)),
            1
        );
        world.hang_up(second);
        world.assert_clean();
    }
}

#[test]
fn sig_09_no_answer_leads_to_the_next_phone_and_then_to_480() {
    let mut world = two_phones();
    let caller = world.dial("101");
    let (first, _) = world.rung("201").unwrap();
    world.pass(ms(19_999));
    assert_eq!(world.rung("202"), None);
    world.pass(ms(1));
    assert_eq!(world.heard_of(first), [Event::Cancelled { leg: first, elsewhere: false }]);
    let (second, _) = world.rung("202").unwrap();
    let heard = world.heard_of(caller);
    let progress = heard.iter().all(|event| matches!(event, Event::Progress { .. }));
    assert!(rings(&heard) && progress, "the caller hears ringing throughout: {heard:?}");
    world.pass(seconds(20));
    assert_eq!(world.heard_of(second), [Event::Cancelled { leg: second, elsewhere: false }]);
    assert_eq!(world.refused_with(caller), Some(480));
    assert_eq!(world.ending(world.calls()[0]), Some((Disposition::Missed, None, 480)));
    world.assert_clean();
}

#[test]
fn sig_09_what_the_caller_is_told_when_nobody_takes_the_call() {
    let cases = [
        ([486, 486], Disposition::BusyMissed, 486),
        ([603, 603], Disposition::Declined, 603),
        ([404, 503], Disposition::Missed, 503),
        ([404, 480], Disposition::Missed, 480),
        ([488, 488], Disposition::Failed, 488),
    ];
    for (statuses, disposition, told) in cases {
        let mut world = two_phones();
        let caller = world.dial("101");
        for (phone, status) in ["201", "202"].into_iter().zip(statuses) {
            let (leg, _) = world.rung(phone).unwrap();
            world.refuse(leg, status);
        }
        assert_eq!(world.refused_with(caller), Some(told));
        assert_eq!(world.ending(world.calls()[0]), Some((disposition, None, told)));
        let retry_after = world.from_board.iter().any(|message| message.contains("Retry-After:"));
        assert_eq!(retry_after, told == 503, "so that the PBX fails over");
        world.assert_clean();
    }
}

#[test]
fn sig_09_a_dead_pbx_does_not_hold_the_caller() {
    let mut world = one_phone();
    world.log_works = false;
    world.dial("101");
    world.wire_works = false;
    world.pass(ms(150));
    assert_eq!(world.count(|fact| matches!(fact, Fact::Rung { .. })), 1);
    world.pass(seconds(6));
    assert_eq!(world.ending(world.calls()[0]), Some((Disposition::Missed, None, 503)));
}

#[test]
fn sig_10_a_phone_picked_up_as_it_is_cancelled_has_the_call() {
    let mut world = two_phones();
    let caller = world.dial("101");
    let (first, _) = world.rung("201").unwrap();
    world.wire_works = false;
    world.pass(seconds(20));
    world.wire_works = true;
    world.pick_up(first);
    assert!(world.is_answered(caller));
    assert!(
        world.count(|fact| matches!(fact, Fact::Answered { phone, .. } if phone == "phone 201"))
            == 1
    );
    world.pass(seconds(2));
    let (second, _) = world.rung("202").expect("its INVITE was repeated");
    world.pass(seconds(1));
    assert!(world.heard_of(second).contains(&Event::Cancelled { leg: second, elsewhere: true }));
    world.hang_up(caller);
    world.assert_clean();
}

#[test]
fn sig_10_the_last_phone_picked_up_as_it_is_cancelled_has_the_call() {
    let mut world = one_phone();
    let caller = world.dial("101");
    let (first, _) = world.rung("201").unwrap();
    world.wire_works = false;
    world.pass(seconds(20));
    world.wire_works = true;
    world.pass(ms(100));
    world.pick_up(first);
    assert!(world.is_answered(caller));
    world.hang_up(caller);
    world.assert_clean();
}

#[test]
fn sig_11_a_second_call_while_the_only_phone_is_busy() {
    let mut world = one_phone();
    let (first, _) = talking(&mut world);
    let second = world.dial("102");
    let (busy, _) = world.rung("201").unwrap();
    world.refuse(busy, 486);
    assert_eq!(world.refused_with(second), Some(486));
    assert_eq!(world.ending(world.calls()[1]), Some((Disposition::BusyMissed, None, 486)));
    assert_eq!(world.ending(world.calls()[0]), None);
    world.hang_up(first);
    world.assert_clean();
}

#[test]
fn sig_11_two_calls_at_once_on_channels_of_their_own_and_a_third_without() {
    let mut world = two_phones();
    let (first, _) = talking(&mut world);
    let second = world.dial("102");
    let (busy, _) = world.rung("201").unwrap();
    world.refuse(busy, 486);
    let (officer, _) = world.rung("202").unwrap();
    world.pick_up(officer);
    assert!(world.is_answered(second));
    assert_eq!(world.open_channels(), 4);

    let third = world.dial("103");
    assert_eq!(world.refused_with(third), Some(503), "the last two are the leaders'");
    assert_eq!(world.ending(world.calls()[2]), Some((Disposition::BusyMissed, None, 503)));
    world.hang_up(first);
    assert_eq!(world.ending(world.calls()[1]), None, "the other call goes on");
    world.hang_up(officer);
    world.assert_clean();
}
