//! A telephone that does not speak from the port it named, and others that would like to be it.

use super::super::*;
use super::{A, B, Command, START, bridge, bytes, closed, events, passed_on, stream};
use crate::protocol::rtp::packet;
use crate::protocol::rtp::source::FRAME;
use crate::protocol::rtp::srtp::{Guard, Keys, MasterKey, TAG};

const KEYS: Keys = Keys { ours: MasterKey([3; 30]), theirs: MasterKey([4; 30]) };

fn from(port: u16) -> SocketAddr {
    stream(port).remote
}

/// Packets of 20 ms each of the officer's side, from `port`; how many were the officer's.
fn speaks(relay: &mut Relay, port: u16, numbers: std::ops::Range<u16>) -> usize {
    let heard = numbers.filter(|n| {
        let now = START + FRAME * u32::from(*n);
        let packet = &mut bytes(8, *n, &[1; 160]);
        relay.handle_packet(B, from(port), packet, now) != Verdict::Drop
    });
    heard.count()
}

/// Where what the caller says goes to.
fn addressed(relay: &mut Relay) -> SocketAddr {
    let packet = &mut bytes(8, 7, &[1; 160]);
    let verdict = relay.handle_packet(A, from(4000), packet, START);
    let Verdict::Take { forward: Some(forward), .. } = verdict else { panic!("{verdict:?}") };
    forward.to
}

fn elsewhere(relay: &mut Relay) -> Vec<(u16, bool)> {
    let told = events(relay).into_iter().filter_map(|event| match event {
        Event::Elsewhere { channel: B, from, taken } => Some((from.port(), taken)),
        _ => None,
    });
    told.collect()
}

#[test]
fn rel_t11_a_telephone_that_speaks_from_another_port_hears_and_is_heard() {
    let mut relay = bridge(stream(4000), stream(5000));
    assert_eq!(addressed(&mut relay), from(5000));
    assert_eq!(speaks(&mut relay, 5555, 0..100), 90, "all but the trial of 200 ms");
    assert_eq!(addressed(&mut relay), from(5555));
    assert_eq!(elsewhere(&mut relay), [(5555, true)]);
    relay.handle_command(Command::Refresh { channel: B }, START + FRAME * 100);
    assert_eq!(speaks(&mut relay, 5555, 100..200), 100, "a refresh is no pause");
    assert_eq!(closed(&mut relay, B).strangers, 10);
}

#[test]
fn rel_t11_a_port_that_moves_in_a_call_is_taken_up_after_the_next_offer() {
    let mut relay = bridge(stream(4000), stream(5000));
    assert_eq!(speaks(&mut relay, 5555, 0..100), 90);
    assert_eq!(speaks(&mut relay, 6666, 100..200), 0, "nobody has said so");
    relay.handle_command(Command::Refresh { channel: B }, START + FRAME * 200);
    assert_eq!(speaks(&mut relay, 6666, 200..300), 90);
    assert_eq!(elsewhere(&mut relay), [(5555, true), (6666, false), (6666, true)]);
}

#[test]
fn rel_t11_a_telephone_that_is_heard_is_robbed_by_nobody() {
    let mut relay = bridge(stream(4000), stream(5000));
    assert_eq!(speaks(&mut relay, 5000, 0..1), 1);
    assert_eq!(speaks(&mut relay, 5555, 1..10_000), 0, "once it is silent, either");
    assert_eq!(addressed(&mut relay), from(5000));
    assert_eq!(elsewhere(&mut relay), [(5555, false)]);
    assert_eq!(speaks(&mut relay, 5000, 10_000..10_010), 10);
}

#[test]
fn rel_t11_whoever_is_taken_for_it_gives_way_at_once_and_for_good() {
    let mut relay = bridge(stream(4000), stream(5000));
    assert_eq!(speaks(&mut relay, 5555, 0..20), 10);
    assert_eq!(addressed(&mut relay), from(5555));
    assert_eq!(speaks(&mut relay, 5000, 20..21), 1);
    assert_eq!(addressed(&mut relay), from(5000));
    assert_eq!(speaks(&mut relay, 5555, 21..200), 0);
    assert_eq!(elsewhere(&mut relay), [(5555, true), (5555, false)]);
}

#[test]
fn rel_t11_what_is_no_voice_of_its_kind_takes_nothing_and_is_no_alarm() {
    let mut relay = bridge(stream(4000), stream(5000));
    for n in 0..1000 {
        let now = START + FRAME * u32::from(n);
        let elsewhere = SocketAddr::from(([192, 0, 2, 66], 5000));
        for (from, packet) in [
            (from(5555), bytes(97, n, &[1; 160])),
            (from(5555), vec![0x40; 40]),
            (elsewhere, bytes(97, n, &[1; 160])),
        ] {
            let verdict = relay.handle_packet(B, from, &mut packet.clone(), now);
            assert_eq!(verdict, Verdict::Drop);
        }
    }
    assert_eq!(elsewhere(&mut relay), []);
    assert_eq!(addressed(&mut relay), from(5000));
    assert_eq!(closed(&mut relay, B).strangers, 3000);
}

#[test]
fn rel_t11_under_a_key_only_the_key_is_believed() {
    let officer = Stream { srtp: Some(KEYS), ..stream(5000) };
    let mut relay = bridge(stream(4000), officer);
    assert_eq!(speaks(&mut relay, 5555, 0..1000), 0, "in the clear, or with another key");
    assert_eq!(addressed(&mut relay), from(5000));
    let mut phone = Guard::new(Keys { ours: KEYS.theirs, theirs: KEYS.ours });
    let mut packet = bytes(8, 1, &[1; 160]);
    let length = packet.len();
    packet.resize(length + TAG, 0);
    phone.close(&mut packet, length).unwrap();
    let heard = passed_on(&mut relay, B, from(5555), &packet).unwrap();
    assert_eq!(packet::parse(&heard).unwrap().payload, [1; 160], "its first packet");
    assert_eq!(addressed(&mut relay), from(5555));
}
