//! The PBX's name is looked up anew in the middle of a call, and the address of the call is none of its any more.

use super::digest::reply_from;
use super::hostile::{CONTACT, inside, talking};
use super::*;
use crate::protocol::sip::Ending;

const ELSEWHERE: &str = "198.51.100.7:5060";
const STRANGER: &str = "stranger";

fn later(seconds: u64) -> Now {
    start() + Duration::from_secs(seconds)
}

fn tell(line: &mut Endpoint, from: &str, text: &str, now: Now) -> (Vec<String>, Vec<Event>) {
    line.handle_message(udp(from), text.as_bytes(), now);
    let out = std::iter::from_fn(|| line.poll_transmit());
    let out = out.map(|out| String::from_utf8_lossy(&out.bytes).into_owned()).collect();
    (out, std::iter::from_fn(|| line.poll_event()).collect())
}

/// In a call whose PBX has moved.
fn left_behind() -> (Endpoint, LegId, String) {
    let (mut line, leg, tag) = talking();
    line.set_peers(&[udp(ELSEWHERE)], start());
    while line.poll_transmit().is_some() {}
    let moved = Event::Moved { to: udp(ELSEWHERE), preferred: true };
    assert_eq!(line.poll_event(), Some(moved));
    (line, leg, tag)
}

fn another_call(n: u32) -> String {
    request("INVITE", CONTACT)
        .replace("call-1", &format!("other-{n}"))
        .replace("INVITE1", &format!("other{n}"))
}

fn is_dropped(events: &[Event]) -> bool {
    matches!(events.last(), Some(Event::Dropped { why: STRANGER, .. }))
}

#[test]
fn rel_22_a_call_is_changed_and_ended_where_it_is_though_the_name_means_another_address() {
    for ours in [true, false] {
        let (mut line, leg, tag) = left_behind();
        let (out, _) = tell(&mut line, PBX, &inside("INFO", 2, &tag, ""), later(600));
        assert!(out[0].starts_with("SIP/2.0 200"), "{out:?}");
        if ours {
            line.bye(leg, later(601));
            let bye = line.poll_transmit().expect("a BYE");
            assert_eq!(bye.to, udp(PBX), "where the call is");
            let text = String::from_utf8(bye.bytes).unwrap();
            reply_from(&mut line, udp(PBX), &text, 200, "", later(601));
            assert_eq!(line.load().1, 0, "its answer is heard");
        } else {
            let (out, events) = tell(&mut line, PBX, &inside("BYE", 3, &tag, ""), later(601));
            assert!(out[0].starts_with("SIP/2.0 200"), "{out:?}");
            assert_eq!(
                events,
                [Event::Ended { leg, ending: Ending::Bye }],
                "and nobody is called a forger"
            );
        }
        let (_, events) = tell(&mut line, PBX, &inside("BYE", 4, &tag, ""), later(700));
        assert!(is_dropped(&events), "nothing is left that it belongs to: {events:?}");
    }
}

#[test]
fn rel_22_callers_come_by_the_address_before_as_long_as_we_are_bound_there() {
    let (mut line, _, _) = left_behind();
    let (_, events) = tell(&mut line, PBX, &another_call(1), later(60));
    assert!(matches!(events[..], [Event::Incoming { .. }]), "{events:?}");
    let (out, events) = tell(&mut line, PBX, &another_call(2), later(121));
    assert!(out.is_empty() && is_dropped(&events), "though a call goes on there: {events:?}");
    let named = another_call(3).replace("other-3", "other-1");
    let (_, events) = tell(&mut line, PBX, &named, later(122));
    assert!(is_dropped(&events), "a call that began since: {events:?}");
    let (_, events) = tell(&mut line, ELSEWHERE, &another_call(4), later(123));
    assert!(matches!(events[..], [Event::Incoming { .. }]), "{events:?}");
}

#[test]
fn rel_22_whoever_was_never_the_pbx_is_a_stranger_and_names_that_change_fill_no_memory() {
    let (mut line, _, _) = left_behind();
    for n in 0..100_u8 {
        line.set_peers(&[udp(&format!("198.51.100.{}:5060", n + 10))], later(u64::from(n)));
    }
    while line.poll_transmit().is_some() || line.poll_event().is_some() {}
    assert!(line.former.len() <= 8 && line.account.also_trusted.len() <= 8);
    for (n, from, heard) in [
        (5, "198.51.100.109:5060", true),
        (6, "198.51.100.108:5060", true),
        (7, "198.51.100.50:5060", false),
        (8, "203.0.113.1:5060", false),
    ] {
        let (_, events) = tell(&mut line, from, &another_call(n), later(100));
        assert_eq!(!is_dropped(&events), heard, "{from}: {events:?}");
    }
    // It is the PBX's again.
    line.set_peers(&[udp(PBX)], later(200));
    let (_, events) = tell(&mut line, PBX, &another_call(9), later(900));
    assert!(!is_dropped(&events), "{events:?}");
    assert!(!line.account.also_trusted.contains(&addr(PBX).ip()));
}
