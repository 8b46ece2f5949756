//! Two addresses of a PBX of which one answers and refuses the registration.

use super::digest::{header, one, reply_from};
use super::faults::{Fate, Night, STANDBY, answered};
use super::*;
use crate::protocol::sip::Aor;

const MINUTE: Duration = Duration::from_secs(60);

fn is_first(peer: Peer) -> bool {
    peer.addr == addr(PBX)
}

fn registers(text: &str) -> bool {
    text.starts_with("REGISTER ")
}

/// The first address is silent for a minute, and the line is at the second.
fn at_the_second(transport: Transport) -> Night {
    let mut night = Night::of_two(transport, Habits::default());
    let fate = |text: &str| if registers(text) { Fate::Granted } else { answered(200) };
    night.pass(MINUTE / 2, |text, _, _| fate(text));
    night.pass(MINUTE, |text, peer, _| match is_first(peer) {
        true => Fate::Silence,
        false => fate(text),
    });
    assert_eq!(night.moves.len(), 1);
    (night.moves, night.told) = (vec![], vec![]);
    night
}

#[test]
fn sig_04_the_line_goes_back_only_where_its_register_is_granted() {
    for refusal in [answered(403), answered(404), answered(503), answered(500), Fate::Silence] {
        for transport in [Transport::Udp, Transport::Tcp] {
            let mut night = at_the_second(transport);
            let (mut tries, mut bound) = (vec![], 0);
            night.pass(120 * MINUTE, |text, peer, now| match (registers(text), is_first(peer)) {
                (true, true) => {
                    tries.push((now, header(text, "CSeq")));
                    refusal.clone()
                }
                (true, false) => {
                    bound += 1;
                    Fate::Granted
                }
                (false, _) => answered(200),
            });
            assert!(night.moves.is_empty(), "{refusal:?}: it stays where it is registered");
            assert!(bound >= 230, "{refusal:?}: {bound} refreshes in two hours");
            // What is repeated over UDP is one try.
            tries.dedup_by(|one, other| one.1 == other.1);
            assert!((8..=14).contains(&tries.len()), "{refusal:?}: {} tries", tries.len());
            let down = |event: &&Event| matches!(event, Event::RegistrationFailed { .. });
            assert_eq!(night.told.iter().find(down), None, "no outage");
            let refused =
                |event: &&Event| matches!(event, Event::NotMoved { to, .. } if is_first(*to));
            assert_eq!(night.told.iter().filter(refused).count(), tries.len(), "{refusal:?}");

            night.pass(17 * MINUTE, |text, _, _| match registers(text) {
                true => Fate::Granted,
                false => answered(200),
            });
            assert_eq!(night.moves.len(), 1, "{refusal:?}: and goes back when it is granted");
            assert!(night.line.load().0 < 8, "{:?}", night.line.load());
        }
    }
}

#[test]
fn sig_04_where_the_used_address_refuses_the_other_is_registered_with_at_once() {
    let mut night = Night::of_two(Transport::Udp, Habits::default());
    let fate = |text: &str| if registers(text) { Fate::Granted } else { answered(200) };
    night.pass(MINUTE, |text, _, _| fate(text));
    let from = night.now.mono;
    let mut there = None;
    night.pass(2 * MINUTE, |text, peer, now| match (registers(text), is_first(peer)) {
        (true, true) => answered(404),
        (true, false) => {
            there.get_or_insert(now.since(from));
            Fate::Granted
        }
        (false, _) => answered(200),
    });
    let there = there.expect("a REGISTER at the second");
    assert!(there <= Duration::from_secs(31), "with the refresh that was refused: {there:?}");
    assert_eq!(night.moves.len(), 1);
    let last =
        night.told.iter().rev().find(|event| {
            matches!(event, Event::Registered { .. } | Event::RegistrationFailed { .. })
        });
    assert!(matches!(last, Some(Event::Registered { .. })), "{last:?}");
}

/// A password that was never good is wrong at both, and each try may count for a lock-out.
#[test]
fn sig_01_a_password_that_was_never_good_is_not_tried_at_the_other_address() {
    let mut night = Night::of_two(Transport::Udp, Habits::default());
    let mut there = 0;
    night.pass(60 * MINUTE, |text, peer, _| match (registers(text), is_first(peer)) {
        (true, true) => answered(403),
        (true, false) => {
            there += 1;
            answered(403)
        }
        (false, _) => answered(200),
    });
    assert_eq!((there, night.moves.len()), (0, 0));
}

/// What was good for a minute, and is refused by the first from then on; the tries that were refused.
fn doubted(second: &Fate, time: Duration) -> (Night, Vec<(Mono, bool)>) {
    let mut night = Night::of_two(Transport::Udp, Habits::default());
    night.pass(MINUTE, |text, _, _| match registers(text) {
        true => Fate::Granted,
        false => answered(200),
    });
    let mut refused = vec![];
    night.pass(time, |text, peer, now| {
        let fate = match (registers(text), is_first(peer)) {
            (true, true) => answered(403),
            (true, false) => second.clone(),
            (false, _) => answered(200),
        };
        if registers(text) && fate == answered(403) {
            refused.push((now, is_first(peer)));
        }
        fate
    });
    (night, refused)
}

#[test]
fn sig_04_a_password_that_was_good_and_is_refused_is_shown_to_the_other_in_its_turn() {
    let (night, refused) = doubted(&Fate::Granted, 2 * MINUTE);
    assert_eq!(night.moves.len(), 1);
    let served =
        night.told.iter().rev().find(|event| {
            matches!(event, Event::Registered { .. } | Event::RegistrationFailed { .. })
        });
    assert!(matches!(served, Some(Event::Registered { .. })), "{served:?}");
    assert!(refused.iter().filter(|(_, first)| *first).count() <= 2, "{refused:?}");

    let (night, refused) = doubted(&answered(403), 60 * MINUTE);
    assert!(night.moves.is_empty());
    let apart = refused.windows(2).map(|pair| pair[1].0.since(pair[0].0)).min();
    assert!(apart >= Some(Duration::from_secs(30)), "no lock-out storm: {apart:?}");
    let there = refused.iter().filter(|(_, first)| !first).count();
    assert!((4..=12).contains(&there) && refused.len() > 90, "{there} of {}", refused.len());
}

/// Each number that has its binding is asked for; a number that is refused everywhere keeps the line from nothing.
#[test]
fn sig_04_every_number_that_is_bound_must_be_granted_there() {
    let other = Aor {
        user: "102".into(),
        number: "63005678".into(),
        auth_user: "102".into(),
        password: "another".into(),
    };
    let is_second = |text: &str| header(text, "To").contains("102@");
    for (at_home, away, goes) in [(200, 200, true), (200, 403, false), (403, 403, true)] {
        let peers = vec![udp(PBX), udp(STANDBY)];
        let others = vec![other.clone()];
        let mut night = Night::of_two(Transport::Udp, Habits::default());
        night.line = endpoint(Account { peers, others, ..account(LINE, udp(PBX)) });
        night.line.register(night.now);
        let number = |text: &str, status| match (registers(text), is_second(text)) {
            (true, true) if status == 200 => Fate::Answered(200, "Expires: 60\r\n".to_owned()),
            (true, true) => answered(status),
            (true, false) => Fate::Granted,
            (false, _) => answered(200),
        };
        night.pass(MINUTE, |text, peer, _| match is_first(peer) {
            true => Fate::Silence,
            false => number(text, at_home),
        });
        night.moves.clear();
        night.pass(5 * MINUTE, |text, peer, _| match is_first(peer) {
            true => number(text, away),
            false => number(text, at_home),
        });
        assert_eq!(night.moves.len(), usize::from(goes), "{at_home} here, {away} there");
    }
}

/// The two may be of different realms: what is learnt by asking is not taken for what the line knows.
#[test]
fn sig_29_a_trial_shows_the_password_to_that_registrar_and_leaves_the_nonces_of_the_line_alone() {
    let ask = |realm: &str| {
        format!(
            "WWW-Authenticate: Digest realm=\"{realm}\", nonce=\"of {realm}\", qop=\"auth\"\r\n"
        )
    };
    let mut night = at_the_second(Transport::Udp);
    let mut shown = vec![];
    night.pass(5 * MINUTE, |text, peer, _| {
        let realm = if is_first(peer) { "first" } else { "second" };
        if !registers(text) {
            return answered(200);
        }
        match text.contains(&format!("nonce=\"of {realm}\"")) {
            false => Fate::Answered(401, ask(realm)),
            true if is_first(peer) => {
                shown.push(header(text, "Authorization"));
                answered(404)
            }
            true => {
                assert!(!text.contains("of first"), "{text}");
                Fate::Granted
            }
        }
    });
    assert!(!shown.is_empty() && night.moves.is_empty());
    assert!(shown.iter().all(|shown| shown.contains("realm=\"first\"")), "{shown:?}");
    let refused = |event: &Event| matches!(event, Event::RegistrationFailed { .. });
    assert!(!night.told.iter().any(refused));
    // A call is proved in the realm of the address that it goes to.
    let _leg = night.line.invite(call(), night.now);
    let invite = one(&mut night.line);
    let proxy = ask("second").replace("WWW-", "Proxy-").replace("of second", "for calls");
    reply_from(&mut night.line, udp(STANDBY), &invite, 407, &proxy, night.now);
    let out = std::iter::from_fn(|| night.line.poll_transmit());
    let out: Vec<_> = out.map(|sent| String::from_utf8(sent.bytes).unwrap()).collect();
    assert!(out.iter().any(|text| text.contains("realm=\"second\"")), "{out:?}");
}

#[test]
fn sig_05_a_line_that_is_given_back_waits_for_no_trial() {
    let mut night = at_the_second(Transport::Udp);
    let mut asked = false;
    night.pass(2 * MINUTE, |text, peer, _| match (registers(text), is_first(peer)) {
        (true, true) => {
            asked = true;
            Fate::Silence
        }
        (true, false) => Fate::Granted,
        (false, _) => answered(200),
    });
    assert!(asked);
    night.line.unregister(night.now);
    night.pass(MINUTE, |_, _, _| Fate::Granted);
    assert!(night.told.contains(&Event::Unregistered));
    assert_eq!(night.line.poll_timeout(), None, "nothing is left to wait for");
}
