//! Phones that register with us: digest both ways, and what is served of whom.

use super::hostile::statuses;
use super::line::answer;
use super::*;
use crate::protocol::sip::admission::Summary;
use crate::protocol::sip::digest::Algorithm;
use crate::protocol::sip::phones::{Network, Phone, Plan};
use crate::protocol::sip::{Ending, Incoming};

const PHONE: &str = "192.0.2.77:5060";
const OTHER: &str = "192.0.2.78:5060";

fn plan(algorithms: &[Algorithm]) -> Plan {
    let phone = |user: &str| Phone {
        name: format!("phone {user}"),
        user: user.to_owned(),
        password: "五个 words: käse".to_owned(),
    };
    Plan {
        realm: "dutyline".to_owned(),
        networks: vec![Network { ip: [192, 0, 2, 64].into(), bits: 26 }],
        algorithms: algorithms.to_vec(),
        phones: vec![phone("801"), phone("802")],
    }
}

fn line() -> Endpoint {
    let mut line = endpoint(account(LINE, udp(PBX)));
    line.serve_phones(plan(&[Algorithm::Sha256, Algorithm::Md5]));
    line
}

/// A phone of ours and the line, and nothing between them.
struct Room {
    line: Endpoint,
    phone: Endpoint,
    now: Now,
    at_line: Vec<Event>,
    at_phone: Vec<Event>,
    /// Everything that the phone sent, and what it was sent.
    sent: Vec<Vec<u8>>,
    from_line: Vec<String>,
}

impl Room {
    fn open(line: Endpoint, user: &str, password: &str) -> Self {
        let theirs = Account {
            user: user.to_owned(),
            auth_user: user.to_owned(),
            password: password.to_owned(),
            domain: "192.0.2.10".to_owned(),
            ..account(PHONE, udp(LINE))
        };
        let (at_line, at_phone, sent) = (vec![], vec![], vec![]);
        let phone = Endpoint::new(theirs, Random::from_seed([9; 32]));
        let from_line = vec![];
        Self { line, phone, now: start(), at_line, at_phone, sent, from_line }
    }

    fn registered() -> Self {
        let mut room = Self::open(line(), "801", "五个 words: käse");
        room.phone.register(room.now);
        room.settle();
        assert_eq!(room.at_phone, [Event::Registered { aor: AorId(0), expires: 60 }]);
        room.at_phone.clear();
        room
    }

    fn settle(&mut self) {
        loop {
            let mut idle = true;
            while let Some(transmit) = self.phone.poll_transmit() {
                idle = false;
                self.sent.push(transmit.bytes.clone());
                self.line.handle_message(udp(PHONE), &transmit.bytes, self.now);
            }
            while let Some(transmit) = self.line.poll_transmit() {
                idle = false;
                if transmit.to == udp(PHONE) {
                    self.from_line.push(String::from_utf8_lossy(&transmit.bytes).into_owned());
                    self.phone.handle_message(udp(LINE), &transmit.bytes, self.now);
                }
            }
            self.at_line.extend(std::iter::from_fn(|| self.line.poll_event()));
            self.at_phone.extend(std::iter::from_fn(|| self.phone.poll_event()));
            if idle {
                return;
            }
        }
    }

    fn pass(&mut self, time: Duration) {
        let end = self.now + time;
        loop {
            let due = earlier(self.line.poll_timeout(), self.phone.poll_timeout());
            let Some((at, _)) = due.filter(|(at, _)| *at <= end.mono) else { break };
            self.now = self.now + at.since(self.now.mono);
            self.line.handle_timeout(self.now);
            self.phone.handle_timeout(self.now);
            self.settle();
        }
        self.now = end;
    }

    /// It dials; the call as the line sees it.
    fn dials(&mut self) -> (LegId, LegId, Incoming) {
        let theirs = self.phone.invite(call(), self.now);
        self.settle();
        let at = self.at_line.iter().position(|event| matches!(event, Event::Incoming { .. }));
        let Event::Incoming { leg, invite } = self.at_line.remove(at.expect("a call")) else {
            unreachable!()
        };
        (theirs, leg, *invite)
    }

    fn talking() -> (Self, LegId, LegId) {
        let mut room = Self::registered();
        let (theirs, ours, _) = room.dials();
        room.line.answer(ours, SDP.into(), room.now);
        room.settle();
        room.at_line.clear();
        room.at_phone.clear();
        (room, theirs, ours)
    }
}

#[test]
fn sig_24_a_phone_registers_stays_and_calls_and_the_call_is_its() {
    let mut room = Room::registered();
    room.pass(Duration::from_secs(600));
    assert!(room.at_phone.len() >= 15, "refreshed");
    assert!(
        room.at_phone
            .iter()
            .all(|event| *event == Event::Registered { aor: AorId(0), expires: 60 })
    );
    let (theirs, ours, invite) = room.dials();
    assert_eq!(invite.phone.as_deref(), Some("phone 801"));
    assert_eq!((invite.request_user.as_str(), &invite.fault), ("200", &None));
    room.at_phone.clear();
    room.line.ring(ours, None, room.now);
    room.line.answer(ours, SDP.into(), room.now);
    room.settle();
    assert!(room.at_phone.iter().any(|event| matches!(event, Event::Answered { .. })));
    room.line.bye(ours, room.now);
    room.settle();
    let ended = Event::Ended { leg: theirs, ending: Ending::Bye };
    assert_eq!(room.at_phone.last(), Some(&ended), "our BYE reaches the phone itself");
    room.phone.unregister(room.now);
    room.settle();
    room.pass(Duration::from_secs(40));
    assert_eq!((room.line.load(), room.phone.load()), ((0, 0), (0, 0)));
}

/// The PBX is spoken to over TCP, the phone over UDP: each is told the address at which we hear it.
#[test]
fn sig_24_a_phone_is_rung_where_it_is_and_told_where_we_are() {
    let over_tcp = Peer { transport: Transport::Tcp, addr: addr(PBX) };
    let mut line = endpoint(account(LINE, over_tcp));
    line.serve_phones(plan(&[Algorithm::Sha256]));
    let mut room = Room::open(line, "801", "五个 words: käse");
    room.phone.register(room.now);
    room.settle();
    room.at_line.clear();
    let ours = room.line.invite(Outgoing { target: "801".to_owned(), ..call() }, room.now);
    room.settle();
    let theirs = room.at_phone.iter().find_map(|event| match event {
        Event::Incoming { leg, .. } => Some(*leg),
        _ => None,
    });
    let theirs = theirs.expect("it rings");
    room.phone.answer(theirs, SDP.into(), room.now);
    room.settle();
    room.line.offer(ours, [SDP, b"a=x\r\n"].concat(), room.now);
    room.settle();
    room.phone.accept_offer(theirs, SDP.into(), room.now);
    room.settle();
    room.phone.offer(theirs, [SDP, b"a=y\r\n"].concat(), room.now);
    room.settle();
    room.line.accept_offer(ours, SDP.into(), room.now);
    room.settle();
    let told = |what: &str| {
        let sent = room.from_line.iter().filter(|sent| sent.starts_with(what));
        let sent = sent.filter(|sent| sent.contains("CSeq: ") && sent.contains(" INVITE\r\n"));
        let contact = |sent: &String| {
            let line = sent.lines().find(|line| line.starts_with("Contact: "));
            line.map(str::to_owned)
        };
        sent.filter_map(contact).collect::<Vec<_>>()
    };
    let here = format!("Contact: <sip:101@{LINE}>");
    assert_eq!(told("INVITE "), [here.clone(), here.clone()]);
    assert_eq!(told("SIP/2.0 200"), [here]);
    assert!(room.from_line.iter().all(|sent| !sent.contains("Authorization")), "no password");
    room.phone.bye(theirs, room.now);
    room.settle();
    assert!(room.at_line.contains(&Event::Ended { leg: ours, ending: Ending::Bye }));
}

/// Whoever has a phone of ours does not get the line's password by asking for it.
#[test]
fn rel_42_a_phone_that_challenges_our_call_is_shown_no_password() {
    let everywhere = Network { ip: [192, 0, 2, 0].into(), bits: 24 };
    let mut line = endpoint(account(LINE, udp(PBX)));
    line.serve_phones(Plan { networks: vec![everywhere], ..plan(&[Algorithm::Sha256]) });
    // It shares the PBX's host.
    let mut room = Room::open(line, "801", "五个 words: käse");
    room.phone.register(room.now);
    room.settle();
    let leg = room.line.invite(Outgoing { target: "801".to_owned(), ..call() }, room.now);
    let invite = room.line.poll_transmit().expect("an INVITE");
    assert_eq!(invite.to, udp(PHONE));
    let text = String::from_utf8(invite.bytes).unwrap();
    for status in ["401 Unauthorized", "407 Proxy Authentication Required"] {
        let name = if status.starts_with("401") { "WWW" } else { "Proxy" };
        let lines: String = text
            .lines()
            .filter(|line| {
                ["Via", "From", "Call-ID", "CSeq"].iter().any(|one| line.starts_with(one))
            })
            .map(|line| format!("{line}\r\n"))
            .collect();
        let answer = format!(
            "SIP/2.0 {status}\r\n{lines}To: <sip:801@a>;tag=x\r\n{name}-Authenticate: Digest \
             realm=\"pbx\", nonce=\"n\", qop=\"auth\"\r\nContent-Length: 0\r\n\r\n"
        );
        room.line.handle_message(udp(PHONE), answer.as_bytes(), room.now);
    }
    let out: Vec<_> = std::iter::from_fn(|| room.line.poll_transmit()).collect();
    let shown = |sent: &Transmit| String::from_utf8_lossy(&sent.bytes).contains("Authorization");
    assert!(!out.is_empty() && !out.iter().any(shown), "an ACK and nothing else");
    let refused = |event: &Event| matches!(event, Event::Refused { leg: of, .. } if *of == leg);
    assert!(std::iter::from_fn(|| room.line.poll_event()).any(|event| refused(&event)));
}

#[test]
fn sig_24_every_request_is_proved_with_a_nonce_and_a_count_that_are_good_once() {
    let mut room = Room::registered();
    let replayed = room.sent.last().cloned().expect("a REGISTER with credentials");
    let text = String::from_utf8(replayed).unwrap();
    assert!(text.contains("algorithm=SHA-256") && text.contains("nc=00000001"), "{text}");
    // The same credentials in a request of their own.
    let again = text.replace("branch=z9hG4bK", "branch=z9hG4bKx").replace("CSeq: 2", "CSeq: 3");
    let (out, _) = ask_from(&mut room.line, udp(PHONE), again.as_bytes());
    assert_eq!(statuses(&out), [401], "{out:?}");
    assert!(out[0].contains("stale=true"), "{}", out[0]);
    let elsewhere = again.replace("z9hG4bKx", "z9hG4bKy");
    let (out, _) = ask_from(&mut room.line, udp(OTHER), elsewhere.as_bytes());
    assert_eq!(statuses(&out), [401], "a nonce is good where it was given: {out:?}");
}

#[test]
fn sig_24_md5_alone_and_the_strongest_first() {
    let mut only = endpoint(account(LINE, udp(PBX)));
    only.serve_phones(plan(&[Algorithm::Md5]));
    let mut room = Room::open(only, "802", "五个 words: käse");
    room.phone.register(room.now);
    room.settle();
    assert_eq!(room.at_phone, [Event::Registered { aor: AorId(0), expires: 60 }]);
    let mut line = line();
    let (out, _) = ask_from(&mut line, udp(PHONE), request("REGISTER", "").as_bytes());
    let asks: Vec<_> = out[0].lines().filter(|one| one.starts_with("WWW-Authenticate")).collect();
    assert!(asks.len() == 2 && asks[0].contains("SHA-256") && asks[1].contains("MD5"), "{asks:?}");
}

#[test]
fn sig_27_and_sig_24_whoever_has_not_registered_is_a_stranger_as_before() {
    let mut line = line();
    for method in
        ["INVITE", "BYE", "OPTIONS", "CANCEL", "INFO", "UPDATE", "REFER", "ACK", "MESSAGE"]
    {
        for from in [PHONE, "203.0.113.9:5060"] {
            let (out, events) = ask_from(&mut line, udp(from), request(method, "").as_bytes());
            assert_eq!(out, [""; 0], "{method} from {from}");
            assert_eq!(events, [Event::Dropped { from: udp(from), why: "stranger" }]);
        }
    }
    let far = "203.0.113.9:5060";
    let (out, events) = ask_from(&mut line, udp(far), request("REGISTER", "").as_bytes());
    assert_eq!(out, [""; 0], "outside of the phones' network nothing is answered");
    assert_eq!(events, [Event::Dropped { from: udp(far), why: "stranger" }]);
    assert_eq!(line.load(), (0, 0));
    let mut off = endpoint(account(LINE, udp(PBX)));
    let (out, _) = ask_from(&mut off, udp(PHONE), request("REGISTER", "").as_bytes());
    assert_eq!(out, [""; 0], "and nowhere where no phones are served");
}

#[test]
fn sig_24_passwords_are_tried_once_a_second_at_most_and_that_is_told() {
    let mut room = Room::open(line(), "801", "guess");
    room.phone.register(room.now);
    room.settle();
    assert!(matches!(room.at_phone[..], [Event::RegistrationFailed { status: 403, .. }]));
    let source = addr(PHONE).ip();
    let first = Event::Intruded(Summary { source, calls: 1, over: false });
    assert_eq!(room.at_line, [first]);
    let (mut answered, mut told) = (0, 0);
    let mut now = room.now;
    for n in 0..3000 {
        now = now + Duration::from_millis(20);
        let guess = request("REGISTER", "").replace("z9hG4bKREGISTER1", &format!("z9hG4bKr{n}"));
        room.line.handle_message(udp(PHONE), guess.as_bytes(), now);
        room.line.handle_timeout(now);
        answered += std::iter::from_fn(|| room.line.poll_transmit()).count();
        let events = std::iter::from_fn(|| room.line.poll_event());
        told += events.filter(|event| matches!(event, Event::Intruded(_))).count();
    }
    // 20 at once and one a second, each 401 repeated by nobody.
    assert!((60..=85).contains(&answered), "{answered} answers in a minute");
    assert!(told <= 2, "{told}");
    let (mine, _) = ask_from(&mut room.line, udp(OTHER), request("REGISTER", "").as_bytes());
    assert_eq!(statuses(&mine), [401], "another phone is not held up");
}

#[test]
fn sig_31_and_sig_24_whoever_proves_nothing_takes_no_room_from_the_line() {
    let mut line = line();
    let made_up = "Authorization: Digest username=\"801\", realm=\"dutyline\", nonce=\"x\", \
                   uri=\"sip:101@192.0.2.10\", response=\"0\", cnonce=\"y\", nc=00000001, qop=auth\r\n";
    for n in 0..60 * 100 {
        let from = format!("192.0.2.{}:{}", 64 + n % 60, 1024 + n);
        let more = if n % 2 == 0 { "" } else { made_up };
        let guess = request("REGISTER", more).replace("z9hG4bKREGISTER1", &format!("z9hG4bKr{n}"));
        line.handle_message(udp(&from), guess.as_bytes(), start());
    }
    let answers: Vec<_> = std::iter::from_fn(|| line.poll_transmit()).collect();
    assert!(answers.len() >= 60, "{} are asked for their password", answers.len());
    assert_eq!(line.load().0, 0, "transactions");
    let intruded = |event: &Event| matches!(event, Event::Intruded(_));
    let told = std::iter::from_fn(|| line.poll_event()).filter(intruded).count();
    assert_eq!(told, 60, "each address once, for its pace");
}

/// What the PBX forwards to us comes from its own port; nobody becomes a phone there.
#[test]
fn sig_28_and_sig_24_the_pbx_itself_is_no_phone() {
    let everywhere = Network { ip: [192, 0, 2, 0].into(), bits: 24 };
    let mut line = endpoint(account(LINE, udp(PBX)));
    line.serve_phones(Plan { networks: vec![everywhere], ..plan(&[Algorithm::Md5]) });
    let (out, _) = ask_from(&mut line, udp(PBX), request("REGISTER", "").as_bytes());
    assert!(!statuses(&out).contains(&401), "{:?}", statuses(&out));
    let (out, _) = ask_from(&mut line, udp(OTHER), request("REGISTER", "").as_bytes());
    assert_eq!(statuses(&out), [401]);
}

#[test]
fn sig_24_a_phone_registers_nobody_else() {
    // Right credentials of 801, for 802's address.
    let mut other = Room::open(line(), "801", "五个 words: käse");
    other.phone.register(other.now);
    while let Some(transmit) = other.phone.poll_transmit() {
        let text = String::from_utf8(transmit.bytes).unwrap();
        let text = text.replace("To: <sip:801@", "To: <sip:802@");
        other.line.handle_message(udp(PHONE), text.as_bytes(), other.now);
        while let Some(back) = other.line.poll_transmit() {
            let text = String::from_utf8_lossy(&back.bytes).into_owned();
            other.at_phone.extend((status(&text) == 403).then_some(Event::Unregistered));
            other.phone.handle_message(udp(LINE), &back.bytes, other.now);
        }
    }
    assert_eq!(other.at_phone, [Event::Unregistered], "403");
}

#[test]
fn sig_28_and_sig_24_nobody_ends_or_changes_a_phones_call_from_elsewhere() {
    let (mut room, _, ours) = Room::talking();
    let ack = room.sent.iter().rev().find(|sent| sent.starts_with(b"ACK ")).cloned();
    let ack = String::from_utf8(ack.expect("an ACK")).unwrap();
    let mut told = vec![];
    for (method, from) in [("BYE", OTHER), ("INVITE", OTHER), ("UPDATE", OTHER), ("INFO", OTHER)] {
        let forged = ack
            .replacen("ACK ", &format!("{method} "), 1)
            .replace("CSeq: 2 ACK", &format!("CSeq: 90 {method}"))
            .replace("branch=z9hG4bK", "branch=z9hG4bKforged");
        let (out, mut events) = ask_from(&mut room.line, udp(from), forged.as_bytes());
        assert_eq!(out, [""; 0], "{method}");
        assert_eq!(events.pop(), Some(Event::Dropped { from: udp(from), why: "stranger" }));
        told.extend(events);
    }
    assert_eq!(told, [Event::Forged { leg: ours, from: udp(OTHER), method: "BYE" }], "told, once");
    room.phone.press(LegId(1), '5', room.now);
    room.settle();
    room.at_line.clear();
    room.line.bye(ours, room.now);
    room.settle();
    assert!(room.at_phone.iter().any(|event| matches!(event, Event::Ended { .. })), "it went on");
}

#[test]
fn sig_30_and_sig_24_a_phone_of_ours_takes_over_nobodys_call() {
    let mut room = Room::registered();
    let mut wish = call();
    wish.headers = vec![("Replaces".into(), "x;to-tag=a;from-tag=b".into())];
    room.phone.invite(wish, room.now);
    room.settle();
    let refused = |event: &Event| matches!(event, Event::Refused { status: 403, .. });
    assert!(room.at_phone.iter().any(refused), "{:?}", room.at_phone);
    assert!(!room.at_line.iter().any(|event| matches!(event, Event::Incoming { .. })));
}

#[test]
fn sig_24_a_phones_session_is_known_to_the_next_run() {
    let (mut room, theirs, ours) = Room::talking();
    let (_, saved) = room.line.take_changes().into_iter().find(|(id, _)| *id == ours).unwrap();
    let mut next = line();
    next.restore(ours, saved.expect("it is there"), room.now);
    room.line = next;
    room.phone.bye(theirs, room.now);
    room.settle();
    let ended = Event::Ended { leg: ours, ending: Ending::Bye };
    assert!(room.at_line.contains(&ended), "although it is not registered: {:?}", room.at_line);
}

/// The plug was pulled, or it has another address and did not say so: the PBX may know it.
#[test]
fn sig_24_a_phone_that_says_nothing_at_all_is_tried_by_the_pbx_after_a_second() {
    let mut room = Room::registered();
    let leg = room.line.invite(Outgoing { target: "801".to_owned(), ..call() }, room.now);
    let (mut to_phone, mut to_pbx) = (vec![], vec![]);
    let end = room.now + Duration::from_secs(4);
    while let Some((at, _)) = room.line.poll_timeout().filter(|(at, _)| *at <= end.mono) {
        while let Some(Transmit { to, bytes }) = room.line.poll_transmit() {
            let text = String::from_utf8(bytes).unwrap();
            let all = if to == udp(PHONE) { &mut to_phone } else { &mut to_pbx };
            all.push((room.now.mono.since(start().mono), text));
        }
        room.now = room.now + at.since(room.now.mono);
        room.line.handle_timeout(room.now);
    }
    let asked: Vec<_> = to_phone.iter().map(|(at, _)| at.as_millis()).collect();
    assert_eq!(asked, [0, 500], "and not after it was given up");
    let (at, by_pbx) = to_pbx.iter().find(|(_, text)| text.starts_with("INVITE ")).unwrap();
    assert_eq!(at.as_secs_f32(), 1.0);
    assert!(by_pbx.starts_with("INVITE sip:801@duty.example SIP/2.0"), "{by_pbx}");
    answer(&mut room.line, udp(PBX), by_pbx, 180, "", room.now);

    // It was only slow: one call does not ring twice.
    answer(&mut room.line, udp(PHONE), &to_phone[0].1, 180, "", room.now);
    let cancel =
        std::iter::from_fn(|| room.line.poll_transmit()).find(|sent| sent.to == udp(PHONE));
    assert!(cancel.expect("let go").bytes.starts_with(b"CANCEL "));
    let more = format!("Contact: <sip:801@{PBX}>\r\n");
    answer(&mut room.line, udp(PBX), by_pbx, 200, &more, room.now);
    let answered = |event: &Event| matches!(event, Event::Answered { leg: of, .. } if *of == leg);
    assert!(std::iter::from_fn(|| room.line.poll_event()).any(|event| answered(&event)));
    room.line.bye(leg, room.now);
    let bye = std::iter::from_fn(|| room.line.poll_transmit()).find(|sent| sent.to == udp(PBX));
    assert!(bye.is_some(), "the session is the PBX's");
}

#[test]
fn sig_24_a_phone_that_rings_is_not_tried_elsewhere_and_one_given_up_neither() {
    for status in [100, 180] {
        let mut room = Room::registered();
        room.line.invite(Outgoing { target: "801".to_owned(), ..call() }, room.now);
        let invite = room.line.poll_transmit().expect("an INVITE");
        let text = String::from_utf8(invite.bytes).unwrap();
        answer(&mut room.line, udp(PHONE), &text, status, "", room.now);
        room.line.handle_timeout(room.now + Duration::from_secs(3));
        let out: Vec<_> = std::iter::from_fn(|| room.line.poll_transmit()).collect();
        assert!(!out.iter().any(|sent| sent.bytes.starts_with(b"INVITE ")), "{status}");
    }
    let mut room = Room::registered();
    let leg = room.line.invite(Outgoing { target: "801".to_owned(), ..call() }, room.now);
    room.line.cancel(leg, room.now);
    room.line.handle_timeout(room.now + Duration::from_secs(3));
    let out: Vec<_> = std::iter::from_fn(|| room.line.poll_transmit()).collect();
    assert!(out.iter().all(|sent| sent.to == udp(PHONE)), "{out:?}");
}

/// `kill -9` costs no phone its place; one that the site does not name any more has none.
#[test]
fn sig_24_and_sig_34_where_phones_are_is_known_to_the_next_run() {
    let mut room = Room::registered();
    assert!(room.line.is_changed());
    let saved = room.line.take_bindings().expect("a binding");
    assert_eq!(room.line.take_bindings(), None, "told once");
    let other = Plan { phones: plan(&[Algorithm::Md5]).phones.split_off(1), ..plan(&[]) };
    let elsewhere = Network { ip: [192, 0, 2, 128].into(), bits: 26 };
    let moved = Plan { networks: vec![elsewhere], ..plan(&[Algorithm::Md5]) };
    for (plan, to) in [(plan(&[Algorithm::Md5]), PHONE), (other, PBX), (moved, PBX)] {
        let mut next = endpoint(account(LINE, udp(PBX)));
        next.serve_phones(plan);
        next.restore_bindings(saved.clone(), room.now);
        next.invite(Outgoing { target: "801".to_owned(), ..call() }, room.now);
        assert_eq!(next.poll_transmit().expect("an INVITE").to, udp(to));
    }
    let mut next = line();
    next.restore_bindings(saved.clone(), room.now + Duration::from_secs(60));
    next.invite(Outgoing { target: "801".to_owned(), ..call() }, room.now);
    assert_eq!(next.poll_transmit().expect("an INVITE").to, udp(PBX), "over meanwhile");

    // Whoever knows where a phone was is not that phone.
    let mut next = line();
    next.restore_bindings(saved, room.now);
    let (out, events) = ask_from(&mut next, udp(PHONE), request("INVITE", "").as_bytes());
    assert_eq!(statuses(&out), [401], "{events:?}");
}
