//! The switchboard against real SIP bytes in virtual time: what the caller, the phones, the leader, the log and the
//! relay see of it.

mod answering;
mod calling_out;
mod conference;
mod flood;
mod handing;
mod heartbeat;
mod random_shift;
mod secrecy;
mod self_test;
mod sharing;
mod unanswered;
mod world;

use dutyline::duty::ids::AttemptId;
use dutyline::duty::journal::{AttemptResult, Disposition, Fact, Urgency};
use dutyline::duty::prompts;
use dutyline::duty::switchboard::{AckOutcome, Input, Unwanted};
use dutyline::protocol::places::Places;
use dutyline::protocol::rtp::{self, Codec, Command, Party};
use dutyline::protocol::sdp::{self, Direction};
use dutyline::protocol::sip::phones::Network;
use dutyline::protocol::sip::{Event, LegId};
use world::{World, ms, phone, seconds};

/// No codec that goes with G.711.
const G729: &[u8] = b"v=0\r\no=- 1 1 IN IP4 192.0.2.1\r\ns=-\r\nc=IN IP4 192.0.2.1\r\nt=0 0\r\n\
    m=audio 4000 RTP/AVP 18\r\n";

fn one_phone() -> World {
    World::new(&[phone("201", 20)], 6, 2, 1)
}

fn two_phones() -> World {
    World::new(&[phone("201", 20), phone("202", 20)], 6, 2, 1)
}

/// A caller who speaks with the officer at 201.
fn talking(world: &mut World) -> (LegId, LegId) {
    let caller = world.dial("13800138000");
    let (officer, _) = world.rung("201").expect("the phone rings");
    world.pick_up(officer);
    assert!(world.is_answered(caller));
    (caller, officer)
}

fn rings(events: &[Event]) -> bool {
    events.iter().any(|event| matches!(event, Event::Progress { status: 180, .. }))
}

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
        ([404, 503], Disposition::Failed, 503),
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
    assert_eq!(world.ending(world.calls()[0]), Some((Disposition::Failed, None, 503)));
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

#[test]
fn an_invite_without_a_codec_of_ours_is_a_row_and_488() {
    let mut world = one_phone();
    let caller = world.dial_with("101", described("4000 RTP/AVP 13\r\n"));
    assert_eq!(world.refused_with(caller), Some(488));
    assert_eq!(world.ending(world.calls()[0]), Some((Disposition::Failed, None, 488)));
    assert_eq!(world.rung("201"), None);
    world.assert_clean();
}

#[test]
fn an_officer_who_answers_without_a_description_does_not_get_the_call() {
    let mut world = two_phones();
    let caller = world.dial("101");
    let (first, _) = world.rung("201").unwrap();
    world.pbx.answer(first, b"v=what".to_vec(), world.now);
    world.settle();
    assert!(world.ended(first));
    assert!(!world.is_answered(caller), "nothing answers the caller before an officer did");
    let (second, _) = world.rung("202").unwrap();
    world.pick_up(second);
    assert!(world.is_answered(caller));
}

#[test]
fn an_officer_who_picks_up_in_a_codec_of_his_own_is_heard_all_the_same() {
    let mut world = one_phone();
    let offer = world.sdp(&[(Codec::Pcmu, 0)], Direction::SendRecv);
    let caller = world.dial_with("101", offer);
    let (officer, _) = world.rung("201").unwrap();
    world.pick_up(officer);
    assert!(world.is_answered(caller));
    let codec = |command: &Command| match command {
        Command::Open { stream, .. } => Some(stream.codec),
        _ => None,
    };
    let codecs: Vec<Codec> = world.media.iter().filter_map(codec).collect();
    assert_eq!(codecs, [Codec::Pcma, Codec::Pcmu], "the relay transcodes");
}

/// A session description of a peer with this audio line and what belongs to it.
fn described(audio: &str) -> Vec<u8> {
    let text = format!(
        "v=0\r\no=- 5 1 IN IP4 192.0.2.1\r\ns=-\r\nc=IN IP4 192.0.2.1\r\nt=0 0\r\nm=audio {audio}"
    );
    text.into_bytes()
}

fn agreed(world: &World) -> Vec<(Codec, u8)> {
    let stream = |command: &Command| match command {
        Command::Open { stream, .. } | Command::Change { stream, .. } => {
            Some((stream.codec, stream.audio_pt))
        }
        _ => None,
    };
    world.media.iter().filter_map(stream).collect()
}

fn picks_up_with(world: &mut World, leg: LegId, audio: &str) {
    world.pbx.answer(leg, described(audio), world.now);
    world.settle();
}

#[test]
fn sig_19_what_both_have_is_spoken_and_else_what_can_be_turned() {
    const OPUS: &str = "4000 RTP/AVP 111\r\na=rtpmap:111 opus/48000/2\r\n";
    for (caller, officer, spoken) in [
        ("4000 RTP/AVP 9 8\r\n", "5000 RTP/AVP 9\r\n", Some([(Codec::G722, 9), (Codec::G722, 9)])),
        (
            "4000 RTP/AVP 18 8\r\n",
            "5000 RTP/AVP 18 8\r\n",
            Some([(Codec::Pcma, 8), (Codec::Pcma, 8)]),
        ),
        (
            "4000 RTP/AVP 18\r\n",
            "5000 RTP/AVP 18\r\n",
            Some([(Codec::G729, 18), (Codec::G729, 18)]),
        ),
        ("4000 RTP/AVP 9\r\n", "5000 RTP/AVP 8\r\n", Some([(Codec::Pcma, 8), (Codec::G722, 9)])),
        (
            OPUS,
            "5000 RTP/AVP 98\r\na=rtpmap:98 opus/48000/2\r\n",
            Some([(Codec::Opus, 98), (Codec::Opus, 111)]),
        ),
        (OPUS, "5000 RTP/AVP 8\r\n", None),
    ] {
        let mut world = one_phone();
        let calling = world.dial_with("101", described(caller));
        let (ringing, _) = world.rung("201").unwrap();
        picks_up_with(&mut world, ringing, officer);
        assert_eq!(world.is_answered(calling), spoken.is_some(), "{caller} {officer}");
        assert_eq!(agreed(&world), spoken.map(Vec::from).unwrap_or_default(), "{caller} {officer}");
        if spoken.is_none() {
            let ending = world.ending(world.calls()[0]);
            assert_eq!(ending, Some((Disposition::Failed, None, 488)), "said honestly");
        }
    }
}

#[test]
fn sig_39_t38_in_the_middle_of_a_call_is_refused_and_the_call_goes_on() {
    let mut world = one_phone();
    let (_, officer) = talking(&mut world);
    let before = agreed(&world);
    for (step, offer) in [(1, "0 RTP/AVP 8\r\nm=image 4000 udptl t38\r\n"), (2, "0 udptl t38\r\n")]
    {
        world.in_dialog("INVITE", step, "application/sdp", &described(offer));
        let refused = world.from_board.iter().rev().find(|message| message.contains(" INVITE\r\n"));
        assert!(refused.unwrap().starts_with("SIP/2.0 488"), "{refused:?}");
    }
    assert_eq!(agreed(&world), before);
    world.press(Party::Officer, '*');
    world.press(Party::Officer, '9');
    assert_eq!(world.count(|fact| matches!(fact, Fact::Flagged { .. })), 1, "it goes on");
    world.hang_up(officer);
    world.assert_clean();
}

#[test]
fn sig_22_a_key_goes_by_info_where_the_other_leg_has_no_other_way_and_once() {
    // Of one in the voice the INFOs; of one by INFO the INFOs, and the events in the voice.
    for (caller_keys, officer_keys, by_rtp, by_info, in_voice) in [
        (true, false, 1, 1, 0),
        (false, true, 0, 0, 1),
        (true, true, 0, 0, 1),
        (false, false, 0, 1, 0),
    ] {
        let audio = |keys: bool| match keys {
            true => "4000 RTP/AVP 8 101\r\na=rtpmap:101 telephone-event/8000\r\n",
            false => "4000 RTP/AVP 8\r\n",
        };
        let mut world = one_phone();
        let calling = world.dial_with("101", described(audio(caller_keys)));
        let (officer, _) = world.rung("201").unwrap();
        picks_up_with(&mut world, officer, audio(officer_keys));
        let seen = |world: &World| {
            let info = |event: &&Event| {
                matches!(event, Event::Info { leg, content_type, body }
                    if *leg == officer && content_type == "application/dtmf-relay" && body.starts_with(b"Signal=5\r\n"))
            };
            world.events.iter().filter(info).count()
        };
        if caller_keys {
            world.press(Party::Caller, '5');
            assert_eq!(seen(&world), by_rtp, "{caller_keys} {officer_keys}: in the voice stream");
        }
        let before = seen(&world);
        world.pass(seconds(1));
        world.pbx.press(calling, '5', world.now);
        world.settle();
        let said = |world: &World| {
            let is = |one: &&Command| matches!(one, Command::Press { key: '5', .. });
            world.media.iter().filter(is).count()
        };
        let twin_may_come = caller_keys && officer_keys;
        assert_eq!(said(&world), if twin_may_come { 0 } else { in_voice });
        world.pass(ms(300));
        assert_eq!(seen(&world) - before, by_info, "{caller_keys} {officer_keys}: as INFO");
        assert_eq!(said(&world), in_voice, "{caller_keys} {officer_keys}: in the voice");
        if twin_may_come {
            world.pbx.press(calling, '5', world.now);
            world.settle();
            world.press(Party::Caller, '5');
            world.pass(ms(400));
            assert_eq!(said(&world), 1, "the voice has carried its twin");
        }
        world.hang_up(calling);
    }
}

#[test]
fn sig_14_a_caller_who_leaves_the_offer_to_us() {
    let mut world = one_phone();
    let caller = world.dial_with("101", vec![]);
    let (officer, _) = world.rung("201").unwrap();
    world.pick_up(officer);
    let events = world.heard_of(caller);
    let offered = events.iter().any(
        |event| matches!(event, Event::Answered { sdp: Some(sdp), .. } if sdp::parse(sdp).is_ok()),
    );
    assert!(offered, "our 200 holds the offer: {events:?}");
    world.hang_up(officer);
    world.assert_clean();
}

#[test]
fn sig_15_the_caller_holds_and_resumes() {
    let mut world = one_phone();
    let (_, officer) = talking(&mut world);
    let channel = world.channel(Party::Caller);
    for (step, direction, send) in [(1, Direction::SendOnly, false), (2, Direction::SendRecv, true)]
    {
        let offer = world.sdp(&sdp::CODECS, direction);
        world.in_dialog("INVITE", step, "application/sdp", &offer);
        let Some(Command::Change { channel: changed, stream }) = world.media.last() else {
            panic!("{:?}", world.media.last())
        };
        assert_eq!((*changed, stream.send), (channel, send));
        let answer = world.from_board.last().unwrap();
        assert!(answer.starts_with("SIP/2.0 200"), "{answer}");
        assert!(answer.contains(if send { "a=sendrecv" } else { "a=recvonly" }));
        world.in_dialog("ACK", step, "", b"");
    }
    assert_eq!(world.ending(world.calls()[0]), None);
    world.hang_up(officer);
    assert!(world.ending(world.calls()[0]).is_some());
}

/// The whole description, with its audio at this address.
fn at_place(place: &str) -> Vec<u8> {
    let text = String::from_utf8(described("4000 RTP/AVP 8\r\n")).unwrap();
    let line = text.lines().find(|line| line.starts_with("c=")).unwrap().to_owned();
    text.replace(&line, &format!("c=IN IP4 {place}")).into_bytes()
}

fn misplaced(world: &World) -> Vec<&str> {
    let facts = world.facts.iter().filter_map(|fact| match fact {
        Fact::Misplaced { place, .. } => Some(place.as_str()),
        _ => None,
    });
    facts.collect()
}

#[test]
fn rel_t6_a_description_that_names_a_place_where_no_voice_may_be_is_refused_and_told() {
    let site = Places::new(&[Network { ip: [192, 0, 2, 0].into(), bits: 24 }]);
    let mut world = one_phone().with_voice_within(site);
    let caller = world.dial_with("101", at_place("203.0.113.9"));
    assert_eq!(world.refused_with(caller), Some(488));
    assert_eq!(world.ending(world.calls()[0]), Some((Disposition::Failed, None, 488)));
    assert_eq!(misplaced(&world), ["203.0.113.9"]);
    assert_eq!(world.rung("201"), None);
    world.assert_clean();

    let mut world = one_phone().with_voice_within(site);
    let (_, officer) = talking(&mut world);
    let before = agreed(&world);
    world.in_dialog("INVITE", 1, "application/sdp", &at_place("203.0.113.10"));
    let refused = world.from_board.iter().rev().find(|message| message.contains(" INVITE\r\n"));
    assert!(refused.unwrap().starts_with("SIP/2.0 488"), "{refused:?}");
    assert_eq!((agreed(&world), misplaced(&world)), (before, vec!["203.0.113.10"]));
    // A hold in the old manner names no place.
    world.in_dialog("INVITE", 2, "application/sdp", &at_place("0.0.0.0"));
    assert!(world.from_board.last().unwrap().starts_with("SIP/2.0 200"));
    world.in_dialog("ACK", 2, "", b"");
    world.hang_up(officer);
    assert_eq!(world.ending(world.calls()[0]).unwrap().0, Disposition::Answered);

    let mut world = one_phone().with_voice_within(site);
    let calling = world.dial_with("101", at_place("192.0.2.77"));
    let (ringing, _) = world.rung("201").unwrap();
    let answer = at_place("203.0.113.11");
    world.pbx.answer(ringing, answer, world.now);
    world.settle();
    assert!(!world.is_answered(calling), "nobody's voice goes there");
    assert_eq!(misplaced(&world), ["203.0.113.11"]);
}

#[test]
fn rel_t6_where_the_site_names_no_places_voice_goes_wherever_a_party_says() {
    let mut world = one_phone();
    let caller = world.dial_with("101", at_place("203.0.113.9"));
    assert_eq!(world.refused_with(caller), None);
    assert!(world.rung("201").is_some() && misplaced(&world).is_empty());
}

#[test]
fn an_offer_that_cannot_be_used_leaves_the_call_as_it_is() {
    let mut world = one_phone();
    let (_, officer) = talking(&mut world);
    let before = world.media.len();
    for (step, offer) in [(1, G729), (2, b"v=what"), (3, b"\0\xff")] {
        world.in_dialog("INVITE", step, "application/sdp", offer);
        let refused = world.from_board.iter().rev().find(|message| message.contains(" INVITE\r\n"));
        assert!(refused.unwrap().starts_with("SIP/2.0 488"), "{refused:?}");
    }
    assert_eq!(world.media.len(), before);
    world.hang_up(officer);
    assert_eq!(world.ending(world.calls()[0]).unwrap().0, Disposition::Answered);
}

#[test]
fn star_nine_flags_the_entry_once_by_either_way() {
    let mut world = one_phone();
    let (caller, _) = talking(&mut world);
    world.press(Party::Caller, '*');
    world.press(Party::Caller, '9');
    let flagged = |world: &World| world.count(|fact| matches!(fact, Fact::Flagged { .. }));
    assert_eq!(flagged(&world), 0, "the caller flags nothing");
    world.press(Party::Officer, '*');
    world.pass(seconds(2));
    world.press(Party::Officer, '9');
    assert_eq!(flagged(&world), 1);
    world.press(Party::Officer, '*');
    world.press(Party::Officer, '9');
    assert_eq!(flagged(&world), 1);
    world.hang_up(caller);
    world.assert_clean();
}

#[test]
fn a_phone_that_vanishes_ends_the_call_with_the_reason() {
    let mut world = one_phone();
    let caller = world.dial("101");
    let (officer, _) = world.rung("201").unwrap();
    let sdp = world.sdp(&[(Codec::Pcma, 8)], Direction::SendRecv);
    world.pbx.answer(officer, sdp, world.now);
    world.wire_works = false;
    world.settle();
    world.pass(seconds(40));
    let why = world.facts.iter().find_map(|fact| match fact {
        Fact::Ended { disposition: Disposition::Interrupted, why, .. } => Some(why.clone()),
        _ => None,
    });
    assert_eq!(why.as_deref(), Some("the caller's side no longer answers"));
    world.wire_works = true;
    let _ = caller;
}

#[test]
fn shutdown_ends_everything_properly() {
    let mut world = World::new(&[phone("201", 20)], 8, 0, 1);
    let (talker, officer) = talking(&mut world);
    let waiting = world.dial("102");
    let (ringing, _) = world.rung("201").unwrap();
    let attempt = world.notify(7, Urgency::Urgent);
    let (leader, _) = world.rung("97").unwrap();
    world.tell(Input::Shutdown);
    assert!(world.ended(talker) && world.ended(officer));
    assert_eq!(world.refused_with(waiting), Some(503));
    for leg in [ringing, leader] {
        assert!(world.heard_of(leg).contains(&Event::Cancelled { leg, elsewhere: false }));
    }
    assert_eq!(world.outcome(attempt).unwrap().0, AttemptResult::Interrupted);
    let late = world.dial("103");
    assert_eq!(world.refused_with(late), Some(503));
    for call in world.calls() {
        assert_eq!(world.ending(call).unwrap().0, Disposition::Interrupted);
    }
    world.pass(seconds(3));
    assert!(world.drained);
    world.assert_clean();
}

#[test]
fn shutdown_does_not_wait_for_a_dead_pbx() {
    let mut world = one_phone();
    talking(&mut world);
    world.wire_works = false;
    world.tell(Input::Shutdown);
    world.pass(ms(2_999));
    assert!(!world.drained);
    world.pass(ms(1));
    assert!(world.drained);
}

/// A leader who has picked up.
fn leader_listens(world: &mut World) -> (AttemptId, LegId) {
    let attempt = world.notify(7, Urgency::Urgent);
    let (leader, _) = world.rung("97").expect("the leader's phone rings");
    world.pick_up(leader);
    assert_eq!(world.spoken(), Some(prompts::URGENT));
    (attempt, leader)
}

#[test]
fn esc_02_key_1_is_confirmed_after_the_commit() {
    let mut world = one_phone();
    world.ack = None;
    let (attempt, leader) = leader_listens(&mut world);
    world.pass(seconds(12));
    world.press(Party::Leader, '1');
    assert_eq!(world.count(|fact| matches!(fact, Fact::Acknowledged { .. })), 1);
    assert_eq!(world.spoken(), Some(prompts::URGENT));
    world.tell(Input::AckStored { attempt, outcome: AckOutcome::First });
    assert_eq!(world.spoken(), Some(prompts::CONFIRMED));
    assert_eq!(world.outcome(attempt), None, "the confirmation is spoken to its end");
    world.prompt_ends();
    assert!(world.ended(leader));
    assert_eq!(world.outcome(attempt), Some((AttemptResult::Acknowledged, 200)));
    assert_eq!(world.media.last(), Some(&Command::Finish { call: attempt.0 }));
    world.assert_clean();
}

#[test]
fn esc_06_a_machine_is_hung_up_on() {
    let mut world = one_phone();
    let (attempt, leader) = leader_listens(&mut world);
    for _ in 0..2 {
        world.pass(seconds(5));
        world.prompt_ends();
    }
    world.pass(seconds(25));
    assert!(world.ended(leader));
    assert_eq!(world.outcome(attempt), Some((AttemptResult::AnsweredNoKey, 200)));
    world.assert_clean();
}

#[test]
fn esc_17_to_21_every_refusal_is_told_apart() {
    let cases = [
        (486, AttemptResult::Busy),
        (600, AttemptResult::Busy),
        (603, AttemptResult::Declined),
        (480, AttemptResult::NoAnswer),
        (404, AttemptResult::Unreachable),
        (488, AttemptResult::Unreachable),
        (503, AttemptResult::ChannelFailed),
        (403, AttemptResult::ChannelFailed),
    ];
    for (status, result) in cases {
        let mut world = one_phone();
        let attempt = world.notify(7, Urgency::Critical);
        let (leader, _) = world.rung("97").unwrap();
        world.refuse(leader, status);
        assert_eq!(world.outcome(attempt), Some((result, status)));
        world.assert_clean();
    }
}

#[test]
fn esc_18_ring_time_over_and_a_200_that_crosses_the_cancel() {
    let mut world = one_phone();
    let attempt = world.notify(7, Urgency::Urgent);
    let (leader, _) = world.rung("97").unwrap();
    world.wire_works = false;
    world.pass(seconds(35));
    world.wire_works = true;
    world.pass(ms(300));
    world.pick_up(leader);
    assert_eq!(world.spoken(), Some(prompts::URGENT), "a human has just picked up");
    assert_eq!(world.outcome(attempt), None);
    world.hang_up(leader);
    assert_eq!(world.outcome(attempt), Some((AttemptResult::AnsweredNoKey, 200)));
    world.assert_clean();
}

#[test]
fn esc_18_a_phone_that_rings_for_ever_is_given_up() {
    let mut world = one_phone();
    let attempt = world.notify(7, Urgency::Urgent);
    let (leader, _) = world.rung("97").unwrap();
    world.pass(ms(34_999));
    assert_eq!(world.heard_of(leader), []);
    world.pass(ms(1));
    assert_eq!(world.heard_of(leader), [Event::Cancelled { leg: leader, elsewhere: false }]);
    assert_eq!(world.outcome(attempt), Some((AttemptResult::NoAnswer, 487)));
    assert_eq!(world.count(|fact| matches!(fact, Fact::AttemptRinging { .. })), 1);
    world.assert_clean();
}

#[test]
fn esc_21_no_reply_within_six_seconds_is_our_fault_not_the_leader_s() {
    let mut world = one_phone();
    world.wire_works = false;
    let attempt = world.notify(7, Urgency::Urgent);
    world.pass(ms(5_999));
    assert_eq!(world.outcome(attempt), None);
    world.pass(ms(1));
    assert_eq!(world.outcome(attempt), Some((AttemptResult::ChannelFailed, 408)));
    assert_eq!(world.board.channels_in_use(), 0);
}

#[test]
fn esc_22_early_media_is_never_an_answer() {
    let mut world = one_phone();
    let attempt = world.notify(7, Urgency::Urgent);
    let (leader, _) = world.rung("97").unwrap();
    let sdp = world.sdp(&sdp::CODECS, Direction::SendRecv);
    world.pbx.ring(leader, Some(sdp), world.now);
    world.settle();
    assert_eq!(world.open_channels(), 0);
    world.pass(seconds(35));
    assert_eq!(world.outcome(attempt).unwrap().0, AttemptResult::NoAnswer);
    world.assert_clean();
}

#[test]
fn esc_25_hanging_up_right_after_key_1_is_an_acknowledgement() {
    let mut world = one_phone();
    world.ack = None;
    let (attempt, leader) = leader_listens(&mut world);
    world.pass(seconds(2));
    world.press(Party::Leader, '1');
    world.hang_up(leader);
    assert_eq!(world.outcome(attempt), Some((AttemptResult::Acknowledged, 200)));
    world.tell(Input::AckStored { attempt, outcome: AckOutcome::First });
    world.assert_clean();
}

#[test]
fn esc_11_and_26_a_key_by_info_counts_and_is_one_press_with_its_rtp_twin() {
    let mut world = one_phone();
    leader_listens(&mut world);
    world.pass(seconds(2));
    let keys = |world: &World| world.count(|fact| matches!(fact, Fact::AttemptKey { .. }));
    world.press(Party::Leader, '7');
    world.pass(ms(100));
    world.in_dialog("INFO", 10, "application/dtmf-relay", b"Signal=7\r\nDuration=160\r\n");
    assert_eq!(keys(&world), 1);
    world.pass(seconds(1));
    world.in_dialog("INFO", 11, "application/dtmf", b"8");
    assert_eq!(keys(&world), 2);
    world.pass(seconds(1));
    world.in_dialog("INFO", 12, "application/dtmf-relay", b"Signal=1\r\n");
    assert_eq!(world.spoken(), Some(prompts::CONFIRMED));
}

#[test]
fn esc_32_a_ringing_call_stops_at_once_and_a_late_200_is_hung_up() {
    let mut world = one_phone();
    let attempt = world.notify(7, Urgency::Urgent);
    let (leader, _) = world.rung("97").unwrap();
    let sdp = world.sdp(&[(Codec::Pcma, 8)], Direction::SendRecv);
    world.pbx.answer(leader, sdp, world.now);
    world.board.handle(Input::StopNotifying { attempt, why: Unwanted::Acknowledged }, world.now);
    world.settle();
    assert_eq!(world.outcome(attempt).unwrap().0, AttemptResult::Cancelled);
    assert!(world.ended(leader));
    assert_eq!(world.spoken(), None);
    world.assert_clean();
}

#[test]
fn esc_33_a_listening_leader_is_told_why_before_we_hang_up() {
    for (why, said) in [
        (Unwanted::Acknowledged, Some(prompts::ALREADY_CONFIRMED)),
        (Unwanted::Withdrawn, Some(prompts::WITHDRAWN)),
        (Unwanted::Lost, None),
    ] {
        let mut world = one_phone();
        let (attempt, leader) = leader_listens(&mut world);
        world.pass(seconds(3));
        let heard = world.spoken();
        world.tell(Input::StopNotifying { attempt, why });
        match said {
            Some(prompt) => {
                assert_eq!(world.spoken(), Some(prompt));
                world.prompt_ends();
            }
            None => assert_eq!(world.spoken(), heard),
        }
        assert!(world.ended(leader));
        assert_eq!(world.outcome(attempt).unwrap().0, AttemptResult::Cancelled);
        world.assert_clean();
    }
}

#[test]
fn sig_25_a_leader_is_called_while_the_line_is_full_and_once() {
    let mut world = World::new(&[phone("201", 20)], 3, 1, 1);
    let (caller, _) = talking(&mut world);
    let attempt = world.notify(7, Urgency::Critical);
    let invite = world.from_board.iter().rev().find(|message| message.starts_with("INVITE"));
    assert!(invite.unwrap().contains("Priority: emergency\r\n"));
    let again = world.notify(7, Urgency::Critical);
    assert_eq!(attempt, again);
    assert!(world.rung("97").is_some());
    assert!(world.rung("97").is_none(), "the same attempt is made once");
    let other = world.notify(8, Urgency::Urgent);
    assert_eq!(world.outcome(other), Some((AttemptResult::ChannelFailed, 503)));
    world.tell(Input::StopNotifying { attempt, why: Unwanted::Acknowledged });
    world.hang_up(caller);
    world.assert_clean();
}

#[test]
fn a_relay_that_reports_nothing_costs_no_channel() {
    let mut world = one_phone();
    world.relay_works = false;
    let (caller, _) = talking(&mut world);
    world.hang_up(caller);
    assert_eq!(world.board.channels_in_use(), 2);
    world.pass(seconds(5));
    assert_eq!(world.board.channels_in_use(), 0);
}

#[test]
fn reports_about_strange_channels_and_calls_are_harmless() {
    let mut world = one_phone();
    for channel in [0, 5, 999].map(rtp::Channel) {
        let counts = rtp::Counts::default();
        world.tell(Input::Media(rtp::Event::Digit { channel, digit: '1' }));
        world.tell(Input::Media(rtp::Event::Played { channel, prompt: prompts::URGENT }));
        world.tell(Input::Media(world::closed(channel, counts)));
    }
    assert_eq!(world.facts, []);
}
