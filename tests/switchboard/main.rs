//! The switchboard against real SIP bytes in virtual time: what the caller, the phones, the leader, the log and the
//! relay see of it.

mod answering;
mod calling_out;
mod calls;
mod conference;
mod description;
mod flood;
mod handing;
mod heartbeat;
mod leader;
mod random_shift;
mod secrecy;
mod self_test;
mod sharing;
mod unanswered;
mod world;

use dutyline::duty::journal::{AttemptResult, Disposition, Fact, Urgency};
use dutyline::duty::prompts;
use dutyline::duty::switchboard::Input;
use dutyline::protocol::rtp;
use dutyline::protocol::rtp::Codec;
use dutyline::protocol::sdp::Direction;
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
