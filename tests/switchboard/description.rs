//! What the two sides agree on: codecs, holds, places; and what cannot be agreed on.

use crate::world::{World, ms, seconds};
use crate::{G729, one_phone, talking, two_phones};
use dutyline::duty::journal::{Disposition, Fact};
use dutyline::protocol::places::Places;
use dutyline::protocol::rtp::{Codec, Command, Party};
use dutyline::protocol::sdp;
use dutyline::protocol::sdp::Direction;
use dutyline::protocol::sip::phones::Network;
use dutyline::protocol::sip::{Event, LegId};

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
