//! Encrypted legs (RFC 4568): agreed on or refused, for each leg by its own policy, and never silently in clear.

use crate::world::{World, phone};
use dutyline::duty::journal::{Disposition, Fact, Urgency};
use dutyline::duty::line_plan::SrtpPlan;
use dutyline::protocol::rtp::srtp::Keys;
use dutyline::protocol::rtp::{Command, Party};
use dutyline::protocol::sdp::Policy;
use dutyline::protocol::sip::LegId;

const KEY: &str = "AQIDBAUGBwgJCgsMDQ4PEBESExQVFhcYGRobHB0e";
const OTHER_KEY: &str = "BQIDBAUGBwgJCgsMDQ4PEBESExQVFhcYGRobHB0e";

fn room(line: Policy, officer: Option<Policy>, leaders: Policy) -> World {
    let mut officers = phone("201", 20);
    officers.srtp = officer;
    World::with_srtp(&[officers], 6, 2, 1, SrtpPlan { line, leaders })
}

fn described(audio: &str) -> Vec<u8> {
    let text = format!(
        "v=0\r\no=- 5 1 IN IP4 192.0.2.1\r\ns=-\r\nc=IN IP4 192.0.2.1\r\nt=0 0\r\nm=audio {audio}"
    );
    text.into_bytes()
}

fn plain(port: u16) -> Vec<u8> {
    described(&format!("{port} RTP/AVP 8\r\n"))
}

fn secret(port: u16, key: &str) -> Vec<u8> {
    described(&format!(
        "{port} RTP/SAVP 8\r\na=crypto:2 AES_CM_128_HMAC_SHA1_80 inline:{key}|2^31\r\n"
    ))
}

fn keys(world: &World, wanted: Party) -> Option<Keys> {
    let opened = world.media.iter().rev().find_map(|command| match command {
        Command::Open { party, stream, .. } if *party == wanted => Some(stream.srtp),
        _ => None,
    });
    opened.expect("the party is on")
}

fn alarms(world: &World) -> usize {
    world.count(|fact| matches!(fact, Fact::NotSecret { .. }))
}

fn picks_up(world: &mut World, leg: LegId, sdp: Vec<u8>) {
    world.pbx.answer(leg, sdp, world.now);
    world.settle();
}

fn offered_to_the_phone(world: &mut World) -> (LegId, String) {
    let (leg, sdp) = world.rung("201").expect("the phone rings");
    (leg, String::from_utf8(sdp).unwrap())
}

#[test]
fn sig_20_sdes_on_both_legs() {
    let mut world = room(Policy::Require, None, Policy::Require);
    let caller = world.dial_with("101", secret(4000, KEY));
    let (officer, offer) = offered_to_the_phone(&mut world);
    assert!(
        offer.contains("RTP/SAVP") && offer.contains("a=crypto:1 AES_CM_128_HMAC_SHA1_80 inline:")
    );
    picks_up(&mut world, officer, secret(5000, OTHER_KEY));
    assert!(world.is_answered(caller));
    let answer = world.from_board.iter().find(|message| message.contains("a=crypto:2 ")).unwrap();
    assert!(answer.contains("RTP/SAVP") && !answer.contains(KEY), "a key of our own");
    let (one, other) =
        (keys(&world, Party::Caller).unwrap(), keys(&world, Party::Officer).unwrap());
    assert_eq!(one.theirs.0[0], 1);
    assert_eq!(other.theirs.0[0], 5);
    assert!(one.ours != other.ours, "each leg has its own");
    assert_eq!(alarms(&world), 0);
    world.hang_up(officer);
    world.assert_clean();
}

#[test]
fn sig_20_sdes_on_one_leg() {
    let mut world = room(Policy::Offer, Some(Policy::Require), Policy::Off);
    let caller = world.dial_with("101", plain(4000));
    let (officer, offer) = offered_to_the_phone(&mut world);
    assert!(offer.contains("RTP/SAVP"));
    picks_up(&mut world, officer, secret(5000, KEY));
    assert!(world.is_answered(caller));
    assert!(keys(&world, Party::Caller).is_none() && keys(&world, Party::Officer).is_some());
    world.hang_up(officer);
    world.assert_clean();
}

#[test]
fn sig_20_sdes_demanded_of_a_caller_who_has_none_is_a_row_488_and_an_alarm() {
    let mut world = room(Policy::Require, None, Policy::Off);
    let caller = world.dial_with("101", plain(4000));
    assert_eq!(world.refused_with(caller), Some(488));
    assert_eq!(world.ending(world.calls()[0]), Some((Disposition::Failed, None, 488)));
    assert_eq!((world.rung("201"), alarms(&world)), (None, 1));
    world.assert_clean();
}

#[test]
fn sig_20_sdes_demanded_of_a_phone_that_answers_in_clear_is_not_talked_to() {
    let mut world = room(Policy::Off, Some(Policy::Require), Policy::Off);
    let caller = world.dial_with("101", plain(4000));
    let (officer, _) = offered_to_the_phone(&mut world);
    picks_up(&mut world, officer, plain(5000));
    assert!(world.ended(officer), "never in clear");
    assert_eq!((world.refused_with(caller), alarms(&world)), (Some(488), 1));
    let opened = world.media.iter().any(|command| matches!(command, Command::Open { .. }));
    assert!(!opened, "no packet was let through");
    world.assert_clean();
}

#[test]
fn sig_20_sdes_is_not_given_up_by_a_reinvite_and_takes_a_new_key() {
    let mut world = room(Policy::Require, None, Policy::Off);
    world.dial_with("101", secret(4000, KEY));
    let (officer, _) = offered_to_the_phone(&mut world);
    picks_up(&mut world, officer, secret(5000, KEY));
    let before = world.media.len();
    world.in_dialog("INVITE", 1, "application/sdp", &plain(4000));
    let refused = world.from_board.iter().rev().find(|message| message.contains(" INVITE\r\n"));
    assert!(refused.unwrap().starts_with("SIP/2.0 488"), "{refused:?}");
    assert_eq!((world.media.len(), alarms(&world)), (before, 1), "the call goes on as it was");
    world.in_dialog("INVITE", 2, "application/sdp", &secret(4000, OTHER_KEY));
    let Some(Command::Change { stream, .. }) = world.media.last() else {
        panic!("{:?}", world.media.last())
    };
    let (new, old) = (stream.srtp.unwrap(), keys(&world, Party::Caller).unwrap());
    assert_eq!(
        (new.theirs.0[0], new.ours == old.ours),
        (5, true),
        "only the peer has changed its key"
    );
    world.in_dialog("ACK", 2, "", b"");
    world.hang_up(officer);
}

#[test]
fn sig_20_sdes_is_demanded_of_leaders_too() {
    let mut world = room(Policy::Off, None, Policy::Require);
    world.notify(7, Urgency::Urgent);
    let (leader, offer) = world.rung("97").expect("the leader's phone rings");
    assert!(String::from_utf8(offer).unwrap().contains("RTP/SAVP"));
    picks_up(&mut world, leader, plain(5000));
    assert!(world.ended(leader));
    assert_eq!(alarms(&world), 1);
}

#[test]
fn sig_20_sdes_that_cannot_be_opened_is_told() {
    let mut world = room(Policy::Require, None, Policy::Off);
    world.dial_with("101", secret(4000, KEY));
    let (officer, _) = offered_to_the_phone(&mut world);
    picks_up(&mut world, officer, secret(5000, KEY));
    let channel = world.channel(Party::Caller);
    let event = dutyline::protocol::rtp::Event::Undecryptable { channel };
    world.tell(dutyline::duty::switchboard::Input::Media(event));
    let told = |fact: &Fact| matches!(fact, Fact::Undecryptable { party: Party::Caller, .. });
    assert_eq!(world.count(told), 1);
    world.hang_up(officer);
}

/// The line is in clear, and the phone at 202 never is.
fn one_secret_phone() -> World {
    let mut second = phone("202", 20);
    second.srtp = Some(Policy::Require);
    World::with_srtp(&[phone("201", 20), second], 6, 2, 1, SrtpPlan::default())
}

#[test]
fn sig_20_sdes_demanded_of_a_phone_is_demanded_when_it_takes_a_call_for_itself() {
    for talking in [false, true] {
        let mut world = one_secret_phone();
        let caller = world.dial_with("101", plain(4000));
        let (officer, _) = offered_to_the_phone(&mut world);
        if talking {
            picks_up(&mut world, officer, plain(5000));
        }
        let replaces = world.replaces_officer();
        let in_clear = world.picks_up_with("202", &replaces, plain(6000));
        assert_eq!((world.refused_with(in_clear), alarms(&world)), (Some(488), 1), "{talking}");
        assert!(!world.ended(officer), "nothing has changed");
        let second = world.picks_up_with("202", &replaces, secret(6000, KEY));
        assert!(world.is_answered(second));
        let (ours, theirs) = (keys(&world, Party::Caller), keys(&world, Party::Officer));
        assert!(ours.is_none() && theirs.unwrap().theirs.0[0] == 1, "each by its own policy");
        assert_eq!(alarms(&world), 1);
        world.hang_up(second);
        assert!(world.ended(caller));
        world.assert_clean();
    }
}

#[test]
fn sig_20_sdes_demanded_of_a_phone_is_demanded_when_it_dials() {
    let mut world = one_secret_phone().with_own_phone("202");
    let in_clear = world.own_phone_dials("301", plain(6000));
    assert_eq!(world.own_phone_hears(in_clear), Some((488, vec![])));
    assert_eq!((world.rung("301"), alarms(&world)), (None, 1));
    let secretly = world.own_phone_dials("301", secret(6000, KEY));
    let (far, offer) = world.rung("301").expect("the far end rings");
    assert!(String::from_utf8(offer).unwrap().contains("RTP/AVP "), "it is no phone of ours");
    picks_up(&mut world, far, plain(5000));
    let (status, answer) = world.own_phone_hears(secretly).expect("it is answered");
    let answer = String::from_utf8(answer).unwrap();
    assert!(status == 200 && answer.contains("RTP/SAVP") && !answer.contains(KEY), "{answer}");
    assert_eq!(keys(&world, Party::Officer).unwrap().theirs.0[0], 1);
    assert!(keys(&world, Party::Caller).is_none());
    assert_eq!(alarms(&world), 1);
    world.own_phone_hangs_up(secretly);
    assert!(world.ended(far));
}
