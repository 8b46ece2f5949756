//! Calls of ours over the duty line: what crosses, what is heard before the answer, keys, a phone
//! that hands the call on.

use crate::unanswered::{changes_its_mind, speaks_to};
use crate::world::{World, ms, phone, seconds};
use dutyline::duty::ids::CallId;
use dutyline::duty::journal::{Disposition, Fact, Joining, Stretch};
use dutyline::duty::placed::{Asker, DialOrder, Refusal};
use dutyline::duty::prompts::RINGBACK;
use dutyline::duty::switchboard::Input;
use dutyline::protocol::rtp::{Codec, Command, Party};
use dutyline::protocol::sdp::Direction;
use dutyline::protocol::sip::{Event, LegId};
use uuid::Uuid;

const RELAY: &str = "application/dtmf-relay";

pub fn world() -> World {
    World::new(&[phone("201", 20)], 6, 2, 1)
}

fn officer_wang() -> Asker {
    let (name, terminal) = ("王值班".to_owned(), "192.0.2.77".to_owned());
    Asker { name, person: Some(1), terminal }
}

pub fn order(world: &mut World, n: u128, number: &str) -> CallId {
    let call = CallId(Uuid::from_u128(n));
    world.tell(Input::Dial(DialOrder {
        call,
        asker: officer_wang(),
        number: number.to_owned(),
        name: String::new(),
        phone: "phone 201".to_owned(),
        about: None,
    }));
    call
}

/// The officer has picked up, and 301 rings.
pub fn dialling(world: &mut World) -> (CallId, LegId, LegId) {
    let call = order(world, 1, "301");
    let (officer, _) = world.rung("201").expect("the officer's phone rings");
    world.pick_up(officer);
    let (far, _) = world.rung("301").expect("the number rings");
    (call, officer, far)
}

pub fn talking(world: &mut World) -> (CallId, LegId, LegId) {
    let (call, officer, far) = dialling(world);
    world.pick_up(far);
    (call, officer, far)
}

/// What the officer hears from us: the last word about it.
fn last_play(world: &World) -> Option<&Command> {
    let is = |one: &&Command| matches!(one, Command::Play { .. } | Command::Stop { .. });
    world.media.iter().rev().find(is)
}

#[test]
fn sig_24_the_officer_hears_us_ring_and_then_the_called_party() {
    let mut world = world();
    let (call, officer, far) = dialling(&mut world);
    let channel = world.channel(Party::Officer);
    let ringback = Command::Play { channel, prompt: RINGBACK, repeat: true };
    assert_eq!(last_play(&world), Some(&ringback));
    // A long ringing is one tone.
    world.pbx.ring(far, None, world.now);
    world.settle();
    assert_eq!(world.media.iter().filter(|one| **one == ringback).count(), 1);
    world.pick_up(far);
    assert_eq!(last_play(&world), Some(&Command::Stop { channel }));
    let far_channel = world.channel(Party::Caller);
    assert!(world.media.contains(&Command::Join { a: far_channel, b: channel }));
    assert_eq!(world.stretches(), [(true, Stretch::Early)]);
    world.hang_up(officer);
    assert!(world.ended(far));
    let ending = Some((Disposition::Answered, Some(Party::Officer), 200));
    assert_eq!(world.ending(call), ending);
    world.assert_clean();
}

#[test]
fn sig_24_and_sig_13_what_the_network_lets_hear_reaches_the_officer_and_is_no_answer() {
    let mut world = world();
    let (call, officer, far) = dialling(&mut world);
    let early = world.sdp(&[(Codec::Pcma, 8)], Direction::SendRecv);
    world.pbx.ring(far, Some(early), world.now);
    world.settle();
    let (ours, theirs) = (world.channel(Party::Officer), world.channel(Party::Caller));
    assert!(world.media.contains(&Command::Join { a: theirs, b: ours }));
    assert_eq!(last_play(&world), Some(&Command::Stop { channel: ours }), "instead of our tone");
    assert_eq!(world.count(|fact| matches!(fact, Fact::Answered { .. })), 0);
    world.refuse(far, 486);
    assert!(world.ended(officer));
    assert_eq!(world.ending(call), Some((Disposition::BusyMissed, None, 486)));
    let finished = world.media.iter().filter(|one| matches!(one, Command::Finish { .. })).count();
    assert_eq!(finished, 1, "what was heard is kept");
    world.assert_clean();
}

#[test]
fn sig_24_the_numbers_codec_may_be_another_than_the_phones() {
    let mut world = world();
    let (_, officer, far) = dialling(&mut world);
    let offer = world.from_board.iter().rev().find(|sent| sent.starts_with("INVITE ")).unwrap();
    let media = offer.lines().find(|line| line.starts_with("m=audio")).unwrap();
    assert!(media.contains("RTP/AVP 8 "), "the phone's codec first: {media}");
    let answer = world.sdp(&[(Codec::Pcmu, 0)], Direction::SendRecv);
    world.pbx.answer(far, answer, world.now);
    world.settle();
    let spoken: Vec<_> = world
        .media
        .iter()
        .filter_map(|one| match one {
            Command::Open { party, stream, .. } => Some((*party, stream.codec)),
            _ => None,
        })
        .collect();
    assert_eq!(spoken, [(Party::Officer, Codec::Pcma), (Party::Caller, Codec::Pcmu)]);
    world.hang_up(far);
    assert!(world.ended(officer));
    world.assert_clean();
}

#[test]
fn sig_24_an_answer_that_crosses_the_officers_hanging_up_is_hung_up() {
    let mut world = world();
    let (call, officer, far) = dialling(&mut world);
    world.wire_works = false;
    world.pbx.bye(officer, world.now);
    world.settle();
    // Our CANCEL is lost, and its 200 is on the way.
    world.wire_works = true;
    world.pick_up(far);
    world.pass(seconds(2));
    assert!(world.ended(far), "BYE");
    assert_eq!(world.ending(call), Some((Disposition::Abandoned, Some(Party::Officer), 487)));
    world.assert_clean();
}

#[test]
fn sig_24_an_officer_who_picks_up_as_his_page_gives_up_is_hung_up() {
    let mut world = world();
    let call = order(&mut world, 1, "301");
    let (officer, _) = world.rung("201").unwrap();
    world.wire_works = false;
    world.tell(Input::GiveUp { call, asker: officer_wang() });
    world.wire_works = true;
    world.pick_up(officer);
    world.pass(seconds(2));
    assert!(world.ended(officer));
    assert!(world.rung("301").is_none(), "nobody is called");
    world.assert_clean();
}

#[test]
fn sig_22_and_sig_24_keys_reach_the_called_party_once() {
    let mut world = world();
    let (_, officer, far) = dialling(&mut world);
    // A far end that takes no keys in the voice.
    let answer = b"v=0\r\no=- 1 1 IN IP4 192.0.2.1\r\ns=-\r\nc=IN IP4 192.0.2.1\r\nt=0 0\r\n\
        m=audio 4000 RTP/AVP 8\r\n";
    world.pbx.answer(far, answer.to_vec(), world.now);
    world.settle();
    world.press(Party::Officer, '6');
    world.in_officers_dialog("INFO", 1, RELAY, b"Signal=6\r\nDuration=160\r\n");
    world.pass(ms(400));
    world.in_officers_dialog("INFO", 2, RELAY, b"Signal=5\r\nDuration=160\r\n");
    let pressed: Vec<_> = world
        .heard_of(far)
        .into_iter()
        .filter_map(|event| match event {
            Event::Info { body, .. } => Some(body),
            _ => None,
        })
        .collect();
    let info = |key: char| format!("Signal={key}\r\nDuration=160\r\n").into_bytes();
    assert_eq!(pressed, [info('6'), info('5')]);
    world.press(Party::Officer, '*');
    world.press(Party::Officer, '9');
    assert_eq!(world.count(|fact| matches!(fact, Fact::Flagged { .. })), 1, "*9 is 急 here too");
    world.hang_up(officer);
    world.assert_clean();
}

#[test]
fn sig_16_and_sig_24_the_officers_phone_hands_the_called_party_on() {
    let mut world = world();
    let (call, officer, far) = talking(&mut world);
    world.officer_refers(1, "<sip:302@pbx.example>", "");
    assert_eq!(world.answered("REFER"), 202);
    let (target, _) = world.rung("302").expect("it rings");
    world.pick_up(target);
    assert!(world.ended(officer));
    assert_eq!(world.count(|fact| matches!(fact, Fact::Left { .. })), 1);
    world.hang_up(target);
    assert!(world.ended(far));
    let ending = Some((Disposition::Answered, Some(Party::Officer), 200));
    assert_eq!(world.ending(call), ending);
    world.assert_clean();
}

#[test]
fn sig_16_and_sig_24_a_target_who_picks_up_as_he_is_given_up_is_hung_up() {
    let mut world = world();
    let (_, officer, far) = talking(&mut world);
    world.officer_refers(1, "<sip:302@pbx.example>", "");
    let (target, _) = world.rung("302").unwrap();
    world.wire_works = false;
    world.pass(seconds(40));
    // Our CANCEL is lost, and his 200 is on the way.
    world.wire_works = true;
    world.pick_up(target);
    world.pass(seconds(2));
    assert!(world.ended(target), "BYE");
    assert!(!world.ended(officer) && !world.ended(far), "the two talk on");
    world.hang_up(officer);
    world.assert_clean();
}

#[test]
fn sig_24_an_officer_who_hands_on_and_leaves_in_vain_leaves_nobody_behind() {
    let mut world = world();
    let (call, officer, far) = talking(&mut world);
    world.officer_refers(1, "<sip:302@pbx.example>", "");
    let (target, _) = world.rung("302").unwrap();
    world.hang_up(officer);
    assert!(!world.ended(far), "he waits for the next");
    world.refuse(target, 486);
    assert!(world.ended(far));
    assert_eq!(world.ending(call), Some((Disposition::Answered, None, 200)));
    world.assert_clean();
}

#[test]
fn sig_14_and_sig_24_the_officers_phone_and_the_number_may_change_their_session_while_they_ring() {
    let mut world = world();
    order(&mut world, 1, "301");
    let (officer, _) = world.rung("201").unwrap();
    let (events, remote) = changes_its_mind(&mut world, officer);
    assert!(matches!(events[..], [Event::Answer { .. }]), "{events:?}");
    world.pbx.answer(officer, vec![], world.now);
    world.settle();
    assert_eq!(speaks_to(&world, world.channel(Party::Officer)), Some(remote));
    let (far, _) = world.rung("301").unwrap();
    let (events, remote) = changes_its_mind(&mut world, far);
    assert!(matches!(events[..], [Event::Answer { .. }]), "{events:?}");
    let channel = world.channel(Party::Caller);
    assert_eq!(speaks_to(&world, channel), Some(remote), "it is heard where it is now");
    world.pbx.offer(far, crate::G729.to_vec(), world.now);
    world.settle();
    assert_eq!(world.heard_of(far), [Event::OfferRefused { leg: far, status: 488 }]);
    world.pbx.answer(far, vec![], world.now);
    world.settle();
    assert_eq!(speaks_to(&world, channel), Some(remote));
    assert_eq!(world.count(|fact| matches!(fact, Fact::Answered { .. })), 1);
    world.hang_up(far);
    assert!(world.ended(officer));
    world.assert_clean();
}

/// The channels kept for leaders are there for whoever calls for help, too.
#[test]
fn sig_24_help_is_called_on_the_channels_that_are_kept() {
    let mut world = world();
    for n in 1..3 {
        order(&mut world, n, "301");
    }
    order(&mut world, 3, "302");
    let full = |fact: &Fact| matches!(fact, Fact::NotPlaced { why: Refusal::NoChannel, .. });
    assert_eq!(world.count(full), 1, "four of six channels are lent, two are kept");
    let call = order(&mut world, 4, "110");
    assert_eq!(world.count(full), 1);
    assert!(world.calls().contains(&call));
    assert_eq!(world.board.channels_in_use(), 6);
    world.tell(Input::Shutdown);
    world.assert_clean();
}

/// Whoever ended a call on his page is told to the log, once, and only where there was one.
#[test]
fn sig_24_who_hung_up_on_his_page_is_noted() {
    let mut world = world();
    let (call, _, _) = talking(&mut world);
    for _ in 0..2 {
        world.tell(Input::GiveUp { call, asker: officer_wang() });
    }
    let by = |fact: &Fact| match fact {
        Fact::GivenUp { call: of, asker } => *of == call && *asker == officer_wang(),
        _ => false,
    };
    assert_eq!(world.count(by), 1);
    world.assert_clean();
}

#[test]
fn sig_24_refused_before_anything_is_sent() {
    let mut world = world();
    let sent = world.from_board.len();
    for (n, number, why) in [
        (1, "0044123456", Refusal::NotNamed),
        (2, "8000", Refusal::Ourselves),
        (3, "x", Refusal::NoNumber),
    ] {
        let call = order(&mut world, n, number);
        let refused = |fact: &Fact| match fact {
            Fact::NotPlaced { call: of, why: told, .. } => *of == call && *told == why,
            _ => false,
        };
        assert_eq!(world.count(refused), 1, "{number}");
    }
    assert_eq!(world.from_board.len(), sent);
    assert_eq!(world.board.channels_in_use(), 0);
    // The channels kept for leaders are not the officers' to talk on.
    for n in 4..7 {
        order(&mut world, n, "301");
    }
    let full = |fact: &Fact| matches!(fact, Fact::NotPlaced { why: Refusal::NoChannel, .. });
    assert_eq!(world.count(full), 1);
    let counted = |fact: &Fact| matches!(fact, Fact::Dialled { .. });
    assert_eq!(world.count(counted), 2, "what cannot begin does not count");
    world.tell(Input::Shutdown);
    order(&mut world, 9, "301");
    let stopping = |fact: &Fact| matches!(fact, Fact::NotPlaced { why: Refusal::Stopping, .. });
    assert_eq!(world.count(stopping), 1);
    world.pass(seconds(5));
    assert!(world.drained);
}

#[test]
fn sig_24_the_same_order_twice_is_one_call() {
    let mut world = world();
    let call = order(&mut world, 1, "301");
    assert_eq!(order(&mut world, 1, "301"), call);
    assert_eq!(world.calls(), [call]);
    world.tell(Input::GiveUp { call, asker: officer_wang() });
    world.pass(ms(100));
    world.assert_clean();
}

#[test]
fn sig_24_a_number_that_nobody_can_speak_with_is_let_go_on_both_sides() {
    let mut world = world();
    let (call, officer, far) = dialling(&mut world);
    let g729: Vec<u8> =
        b"v=0\r\no=- 1 1 IN IP4 192.0.2.1\r\ns=-\r\nc=IN IP4 192.0.2.1\r\nt=0 0\r\n\
        m=audio 4000 RTP/AVP 18\r\n"
            .to_vec();
    world.pbx.answer(far, g729, world.now);
    world.settle();
    assert!(world.ended(far) && world.ended(officer));
    assert_eq!(world.ending(call), Some((Disposition::Failed, None, 488)));
    let joining = |fact: &Fact| matches!(fact, Fact::Joining { how: Joining::Out, .. });
    assert_eq!(world.count(joining), 1);
    world.assert_clean();
}
