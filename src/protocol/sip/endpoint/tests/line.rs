//! The way to the PBX: its addresses, the size of what is sent, keep-alives, how numbers are told.

use super::*;
use crate::protocol::sip::{Ending, Numbers};

const STANDBY: &str = "192.0.2.2:5060";

fn seconds(n: u64) -> Duration {
    Duration::from_secs(n)
}

fn sent(line: &mut Endpoint) -> Vec<(Peer, String)> {
    let out = std::iter::from_fn(|| line.poll_transmit());
    out.map(|sent| (sent.to, String::from_utf8_lossy(&sent.bytes).into_owned())).collect()
}

fn events(line: &mut Endpoint) -> Vec<Event> {
    std::iter::from_fn(|| line.poll_event()).collect()
}

/// Lets time pass; what was sent meanwhile.
fn pass(line: &mut Endpoint, now: &mut Now, time: Duration) -> Vec<(Peer, String)> {
    let end = *now + time;
    let mut all = vec![];
    while let Some((at, _)) = line.poll_timeout().filter(|(at, _)| *at <= end.mono) {
        *now = *now + at.since(now.mono);
        line.handle_timeout(*now);
        all.extend(sent(line));
    }
    *now = end;
    all
}

/// The PBX at `from` answers a request of ours.
pub fn answer(line: &mut Endpoint, from: Peer, request: &str, status: u16, more: &str, now: Now) {
    let line_of = |name: &str| {
        let found = request.lines().find(|line| line.starts_with(name));
        found.unwrap_or_else(|| panic!("no {name} in {request}")).to_owned()
    };
    let head = ["Via:", "From:", "Call-ID:", "CSeq:"].map(line_of).join("\r\n");
    let text = format!("SIP/2.0 {status} x\r\n{head}\r\n{};tag=pbx\r\n{more}\r\n", line_of("To:"));
    line.handle_message(from, text.as_bytes(), now);
}

/// As `pass`, while the PBX answers REGISTER and OPTIONS at these of its addresses.
fn live(line: &mut Endpoint, now: &mut Now, time: Duration, at: &[Peer]) -> Vec<(Peer, String)> {
    let end = now.mono + time;
    let mut all = sent(line);
    let mut answered = 0;
    while now.mono < end {
        for (peer, text) in &all[answered..] {
            if at.contains(peer) && !text.starts_with("INVITE") {
                answer(line, *peer, text, 200, "Expires: 60\r\n", *now);
            }
        }
        answered = all.len();
        all.extend(sent(line));
        all.extend(pass(line, now, Duration::from_millis(50)));
    }
    all
}

fn two_addresses() -> Account {
    Account { peers: vec![udp(PBX), udp(STANDBY)], ..account(LINE, udp(PBX)) }
}

fn of_method<'a>(all: &'a [(Peer, String)], method: &str) -> Vec<&'a (Peer, String)> {
    all.iter().filter(|(_, text)| text.starts_with(&format!("{method} "))).collect()
}

/// The address in use falls silent: REGISTER and what nobody has heard go to the other one.
#[test]
fn sig_04_an_invite_that_nobody_heard_is_sent_to_the_second_address() {
    let mut line = endpoint(two_addresses());
    let mut now = start();
    line.register(now);
    live(&mut line, &mut now, seconds(2), &[udp(PBX), udp(STANDBY)]);
    let heard = line.invite(call(), now);
    let (_, invite) = of_method(&sent(&mut line), "INVITE")[0].clone();
    answer(&mut line, udp(PBX), &invite, 180, "", now);
    let unheard = line.invite(call(), now);
    let given_up = line.invite(call(), now);
    line.cancel(given_up, now);
    let calls: Vec<_> = of_method(&sent(&mut line), "INVITE").into_iter().cloned().collect();
    assert_eq!(calls.len(), 2);
    events(&mut line);

    let all = live(&mut line, &mut now, seconds(5), &[udp(STANDBY)]);
    let there: Vec<_> = all.iter().filter(|(peer, _)| *peer == udp(STANDBY)).cloned().collect();
    let invites = of_method(&there, "INVITE");
    assert!(!invites.is_empty(), "{there:?}");
    let id = |text: &str| text.lines().find(|line| line.starts_with("Call-ID")).unwrap().to_owned();
    assert!(invites.iter().all(|(_, text)| id(text) == id(&calls[0].1)), "that call alone");
    assert_eq!(of_method(&there, "REGISTER").len(), 1);
    let events = events(&mut line);
    let moved = Event::Moved { to: udp(STANDBY), preferred: false };
    assert!(events.contains(&moved), "{events:?}");
    let refused =
        |leg| events.iter().any(|e| matches!(e, Event::Refused { leg: l, .. } if *l == leg));
    assert!(refused(given_up) && !refused(unheard) && !refused(heard));
    // The answer of the second address makes the session.
    let (_, invite) = invites[0].clone();
    let more = format!("Contact: <sip:200@{STANDBY}>\r\n");
    answer(&mut line, udp(STANDBY), &invite, 200, &more, now);
    let answered = std::iter::from_fn(|| line.poll_event());
    assert!(
        answered.into_iter().any(|e| matches!(e, Event::Answered { leg, .. } if leg == unheard))
    );
    sent(&mut line);

    // The first was only slow: nobody may be rung by both.
    let late = &calls[0].1;
    answer(&mut line, udp(PBX), late, 180, "", now);
    assert_eq!(of_method(&sent(&mut line), "CANCEL")[0].0, udp(PBX));
    answer(&mut line, udp(PBX), late, 200, &format!("Contact: <sip:200@{PBX}>\r\n"), now);
    let last = sent(&mut line);
    assert_eq!([of_method(&last, "ACK").len(), of_method(&last, "BYE").len()], [1, 1], "{last:?}");
}

fn large() -> Outgoing {
    let more = ("Subject".to_owned(), "x".repeat(1200));
    Outgoing { headers: vec![more], ..call() }
}

/// §18.1.1.
#[test]
fn sig_21_a_request_over_1300_bytes_goes_by_tcp_and_by_udp_where_there_is_none() {
    let mut line = endpoint(account(LINE, udp(PBX)));
    let now = start();
    line.invite(call(), now);
    assert_eq!(sent(&mut line)[0].0, udp(PBX));
    let leg = line.invite(large(), now);
    let out = sent(&mut line);
    assert_eq!(out.len(), 1);
    let (to, text) = &out[0];
    assert_eq!(*to, tcp(PBX));
    assert!(text.contains("Via: SIP/2.0/TCP 192.0.2.10:5060;"), "{text}");

    line.handle_unreachable(tcp(PBX), "refused", now);
    let out = sent(&mut line);
    let (to, text) = &out[0];
    assert_eq!((out.len(), *to), (1, udp(PBX)));
    assert!(text.contains("Via: SIP/2.0/UDP 192.0.2.10:5060;"), "{text}");
    assert_eq!(events(&mut line), []);
    answer(&mut line, udp(PBX), text, 180, "", now);
    assert!(matches!(events(&mut line)[..], [Event::Progress { leg: l, .. }] if l == leg));

    line.invite(large(), now);
    assert_eq!(sent(&mut line)[0].0, udp(PBX), "TCP is known to be refused");
    let mut later = now;
    pass(&mut line, &mut later, seconds(301));
    line.invite(large(), later);
    assert_eq!(sent(&mut line)[0].0, tcp(PBX), "and is tried again after five minutes");
}

#[test]
fn sig_21_a_site_may_have_large_requests_by_udp() {
    let habits = Habits { large_by_udp: true, ..Habits::default() };
    let mut line = endpoint(Account { habits, ..account(LINE, udp(PBX)) });
    line.invite(large(), start());
    assert_eq!(sent(&mut line)[0].0, udp(PBX));
}

#[test]
fn sig_38_numbers_are_told_as_the_trunk_wants_them() {
    let form = |numbers, target: &str| {
        let habits = Habits { numbers, ..Habits::default() };
        let mut line = endpoint(Account { habits, ..account(LINE, udp(PBX)) });
        line.invite(Outgoing { target: target.into(), ..call() }, start());
        let text = sent(&mut line).remove(0).1;
        let from = text.lines().find(|line| line.starts_with("From:")).unwrap().to_owned();
        (text.split(' ').nth(1).unwrap().to_owned(), from)
    };
    assert_eq!(form(Numbers::Sip, "200").0, "sip:200@duty.example");
    let (to, from) = form(Numbers::Phone, "913900000001");
    assert_eq!(to, "sip:913900000001@duty.example;user=phone");
    assert!(from.contains("<sip:101@duty.example;user=phone>;tag="), "{from}");
    let (to, from) = form(Numbers::Tel, "+8613900000001");
    assert_eq!(to, "tel:+8613900000001");
    assert!(from.contains("<tel:101;phone-context=duty.example>;tag="), "{from}");
    assert_eq!(form(Numbers::Tel, "*9#").0, "tel:*9%23;phone-context=duty.example");
    assert_eq!(form(Numbers::Tel, "sip:200@192.0.2.1").0, "sip:200@192.0.2.1");
}

#[test]
fn sig_38_a_tel_caller_and_a_tel_callee_are_understood() {
    let mut line = endpoint(account(LINE, udp(PBX)));
    let text = request("INVITE", "Contact: <sip:x@192.0.2.1>\r\n")
        .replace("sip:101@192.0.2.10", "tel:+861063001234")
        .replace("<sip:13800000000@duty.example>", "<tel:+8613800000000;verstat=x>");
    let (_, events) = ask(&mut line, &text);
    let [Event::Incoming { invite, .. }] = &events[..] else { panic!("{events:?}") };
    assert_eq!(invite.fault, None);
    assert_eq!(invite.request_user, "+861063001234");
    assert_eq!(invite.claims.from().user, "+8613800000000");
}

/// RFC 3261 §18.1.1, RFC 5630 §3.1.
#[test]
fn sig_20_a_line_over_tls_says_so_and_stays_on_it() {
    let tls = |text| Peer { transport: Transport::Tls, addr: addr(text) };
    let over_tls = Account { pbx: tls("192.0.2.1:5061"), ..account(LINE, udp(PBX)) };
    let mut line = endpoint(over_tls.clone());
    line.register(start());
    let (to, register) = sent(&mut line).remove(0);
    assert_eq!(to, tls("192.0.2.1:5061"));
    assert!(register.contains("Via: SIP/2.0/TLS 192.0.2.10:5060;"), "{register}");
    assert!(register.contains("Contact: <sip:101@192.0.2.10:5060;transport=tls>"), "{register}");
    // A Contact that names another port or UDP does not lead off the connection.
    let more = "Contact: <sip:200@192.0.2.1:5060;transport=udp>\r\n";
    let leg = line.invite(call(), start());
    let (_, invite) = sent(&mut line).remove(0);
    answer(&mut line, to, &invite, 200, more, start());
    line.bye(leg, start());
    assert!(sent(&mut line).iter().all(|(peer, _)| *peer == to));

    let habits = Habits { sips: true, ..Habits::default() };
    let mut line = endpoint(Account { habits, ..over_tls });
    line.register(start());
    let (_, register) = sent(&mut line).remove(0);
    assert!(register.starts_with("REGISTER sips:duty.example SIP/2.0"), "{register}");
    assert!(register.contains("Contact: <sips:101@192.0.2.10:5060>"), "{register}");
    assert!(register.contains("To: <sips:101@duty.example>"), "{register}");
}

/// A PBX that was set up anew has another realm; the password is shown to it for REGISTER only,
/// and only where none was configured.
#[test]
fn rel_21_another_realm_after_a_restart_is_learnt() {
    let ask = |realm: &str| {
        format!("WWW-Authenticate: Digest realm=\"{realm}\", nonce=\"n\", qop=\"auth\"\r\n")
    };
    for (configured, signs) in [(None, true), (Some("old".to_owned()), false)] {
        let mut line = endpoint(Account { realm: configured, ..account(LINE, udp(PBX)) });
        let mut now = start();
        line.register(now);
        let (_, register) = sent(&mut line).remove(0);
        answer(&mut line, udp(PBX), &register, 401, &ask("old"), now);
        let (_, register) = sent(&mut line).remove(0);
        answer(&mut line, udp(PBX), &register, 200, "Expires: 60\r\n", now);
        let again = pass(&mut line, &mut now, seconds(30));
        let (_, register) = of_method(&again, "REGISTER")[0].clone();
        answer(&mut line, udp(PBX), &register, 401, &ask("new"), now);
        let out = sent(&mut line);
        let signed = out.iter().any(|(_, text)| text.contains("realm=\"new\""));
        assert_eq!(signed, signs, "{out:?}");
    }
}

/// 481, or no answer at all: the session is over here, whatever the PBX remembers.
#[test]
fn rel_21_a_bye_to_a_pbx_that_forgot_us_closes_the_session() {
    for forgot in [true, false] {
        let (mut world, ours, _) = established();
        world.pbx = endpoint(account(PBX, udp(LINE)));
        if !forgot {
            world.weather.lost = 1000;
        }
        world.line.bye(ours, world.now);
        let (events, _) = world.pass(seconds(33));
        assert_eq!(events, [Event::Ended { leg: ours, ending: Ending::OurBye }]);
        assert_eq!(world.line.load().1, 0, "no session is left");
    }
}

/// The PBX's name has no address yet: nothing is sent anywhere until it has one.
#[test]
fn rel_22_without_an_address_the_line_waits_for_one() {
    let mut line = endpoint(account(LINE, Peer::nowhere(Transport::Udp)));
    let mut now = start();
    line.register(now);
    assert_eq!(pass(&mut line, &mut now, seconds(1)), []);
    assert!(matches!(events(&mut line)[..], [Event::RegistrationFailed { status: 503, .. }]));
    line.invite(call(), now);
    assert!(matches!(events(&mut line)[..], [Event::Refused { status: 503, .. }]));
    assert_eq!(pass(&mut line, &mut now, seconds(600)), []);
    line.set_peers(&[udp(PBX)], now);
    let (to, register) = sent(&mut line).remove(0);
    assert!(register.starts_with("REGISTER "), "{register}");
    assert_eq!(to, udp(PBX));
    answer(&mut line, to, &register, 200, "Expires: 60\r\n", now);
    assert!(events(&mut line).contains(&Event::Registered { aor: AorId(0), expires: 60 }));
    line.set_peers(&[udp(STANDBY)], now);
    let (to, register) = sent(&mut line).remove(0);
    assert!(to == udp(STANDBY) && register.starts_with("REGISTER "), "the address has changed");
}

/// RFC 5626 §3.5: a NAT on the way is kept open, and the line that is given back is silent.
#[test]
fn a_keep_alive_goes_out_while_the_line_is_wanted() {
    let habits = Habits { keep_alive: seconds(25), ..Habits::default() };
    let mut line = endpoint(Account { habits, expires: 0, ..account(LINE, udp(PBX)) });
    let mut now = start();
    line.register(now);
    let mut kept = pass(&mut line, &mut now, seconds(100));
    kept.retain(|(_, text)| !text.starts_with("OPTIONS "));
    assert_eq!(kept, vec![(udp(PBX), "\r\n\r\n".to_owned()); 4]);
    line.unregister(now);
    assert_eq!(pass(&mut line, &mut now, seconds(100)), []);
}
