//! Registration and its password against a scripted PBX: who is shown credentials, and how often.

use super::*;
use crate::protocol::sip::Ending;

const CHALLENGE: &str = "WWW-Authenticate: Digest realm=\"pbx\", nonce=\"n1\", qop=\"auth\"\r\n";
const PROXY: &str = "Proxy-Authenticate: Digest realm=\"pbx\", nonce=\"n2\", qop=\"auth\"\r\n";

pub fn granted(seconds: u32) -> String {
    format!("Contact: <sip:101@{LINE}>;expires={seconds}\r\nExpires: 3600\r\n")
}

fn sent(line: &mut Endpoint) -> Vec<String> {
    let out = std::iter::from_fn(|| line.poll_transmit());
    out.map(|transmit| String::from_utf8(transmit.bytes).unwrap()).collect()
}

pub fn one(line: &mut Endpoint) -> String {
    let mut all = sent(line);
    assert_eq!(all.len(), 1, "{all:?}");
    all.remove(0)
}

pub fn events(line: &mut Endpoint) -> Vec<Event> {
    std::iter::from_fn(|| line.poll_event()).collect()
}

/// A response of the PBX to `request`.
pub fn reply(line: &mut Endpoint, request: &str, status: u16, more: &str) {
    reply_from(line, udp(PBX), request, status, more, start());
}

pub fn reply_from(
    line: &mut Endpoint,
    from: Peer,
    request: &str,
    status: u16,
    more: &str,
    now: Now,
) {
    let copied = ["Via", "From", "Call-ID", "CSeq"].map(|name| header(request, name));
    let to = header(request, "To");
    let tag = if to.contains("tag=") { "" } else { ";tag=pbx" };
    let text = format!("SIP/2.0 {status} x\r\n{}\r\n{to}{tag}\r\n{more}\r\n", copied.join("\r\n"));
    line.handle_message(from, text.as_bytes(), now);
}

pub fn header(text: &str, name: &str) -> String {
    let line = text.lines().find(|line| line.starts_with(&format!("{name}:")));
    line.unwrap_or_else(|| panic!("no {name} in {text}")).to_owned()
}

fn registering(account: Account) -> (Endpoint, String) {
    let mut line = endpoint(account);
    line.register(start());
    let register = one(&mut line);
    (line, register)
}

fn plain() -> Account {
    account(LINE, udp(PBX))
}

#[test]
fn sig_01_a_challenge_is_answered_once_and_the_nonce_used_again() {
    let (mut line, register) = registering(plain());
    assert!(register.starts_with("REGISTER sip:duty.example SIP/2.0\r\n"), "{register}");
    assert_eq!(header(&register, "To"), "To: <sip:101@duty.example>");
    assert_eq!(header(&register, "Contact"), format!("Contact: <sip:101@{LINE}>"));
    assert_eq!(header(&register, "Supported"), "Supported: path", "RFC 3327 §5.1");
    assert!(!register.contains("Authorization"));
    reply(&mut line, &register, 401, CHALLENGE);
    let again = one(&mut line);
    assert!(header(&again, "Authorization").contains("nc=00000001"), "{again}");
    assert_eq!(header(&again, "CSeq"), "CSeq: 2 REGISTER");
    assert_eq!(header(&again, "Call-ID"), header(&register, "Call-ID"));
    assert_ne!(header(&again, "Via"), header(&register, "Via"));
    reply(&mut line, &again, 200, &granted(60));
    assert_eq!(events(&mut line), [Event::Registered { aor: AorId(0), expires: 60 }]);
    line.register(start());
    let refresh = one(&mut line);
    assert!(header(&refresh, "Authorization").contains("nc=00000002"), "{refresh}");
    reply(&mut line, &refresh, 401, &CHALLENGE.replace("n1", "n9\", stale=\"true"));
    assert!(header(&one(&mut line), "Authorization").contains("nonce=\"n9\""));
}

#[test]
fn sig_01_a_wrong_password_is_shown_once() {
    let (mut line, register) = registering(plain());
    reply(&mut line, &register, 401, CHALLENGE);
    let again = one(&mut line);
    reply(&mut line, &again, 401, CHALLENGE);
    assert_eq!(sent(&mut line), [""; 0]);
    let events = events(&mut line);
    assert!(matches!(events[..], [Event::RegistrationFailed { status: 401, .. }]), "{events:?}");
    let mut now = start();
    let mut tries = 0;
    for _ in 0..300 {
        now = now + Duration::from_secs(1);
        line.handle_timeout(now);
        for request in sent(&mut line) {
            reply_from(&mut line, udp(PBX), &request, 401, CHALLENGE, now);
            for answer in sent(&mut line) {
                tries += usize::from(answer.contains("Authorization"));
                reply_from(&mut line, udp(PBX), &answer, 401, CHALLENGE, now);
            }
        }
    }
    assert!((8..=10).contains(&tries), "{tries} in 300 s");
}

#[test]
fn rel_04_stale_for_ever_is_answered_twice() {
    let (mut line, register) = registering(plain());
    let mut request = register;
    let mut shown = 0;
    for round in 0..10 {
        let nonce = format!("m{round}\", stale=\"true");
        reply(&mut line, &request, 401, &CHALLENGE.replace("n1", &nonce));
        let Some(next) = sent(&mut line).pop() else { break };
        shown += usize::from(next.contains("Authorization"));
        request = next;
    }
    assert_eq!(shown, 2);
}

#[test]
fn sig_29_a_wrong_realm_or_a_wrong_source_sees_no_credentials() {
    let (mut line, register) = registering(Account { realm: Some("mine".into()), ..plain() });
    reply(&mut line, &register, 401, CHALLENGE);
    assert_eq!(sent(&mut line), [""; 0]);
    // Without a configured realm the first one of the registrar is ours, for all requests.
    let (mut line, register) = registering(plain());
    reply(&mut line, &register, 401, CHALLENGE);
    sent(&mut line);
    line.invite(call(), start());
    let invite = one(&mut line);
    reply(&mut line, &invite, 407, &PROXY.replace("pbx", "evil"));
    assert!(one(&mut line).starts_with("ACK "));
    let trusted = Account { also_trusted: vec![addr("192.0.2.3:1").ip()], ..plain() };
    let (mut line, register) = registering(trusted);
    reply_from(&mut line, udp("192.0.2.3:5060"), &register, 401, CHALLENGE, start());
    assert_eq!(sent(&mut line), [""; 0]);
    reply_from(&mut line, udp("192.0.2.4:5060"), &register, 401, CHALLENGE, start());
    assert_eq!(sent(&mut line), [""; 0]);
}

#[test]
fn rel_05_no_realm_is_learnt_from_a_call() {
    let mut line = endpoint(plain());
    let leg = line.invite(call(), start());
    let invite = one(&mut line);
    reply(&mut line, &invite, 407, PROXY);
    assert!(one(&mut line).starts_with("ACK "));
    assert!(
        matches!(events(&mut line)[..], [Event::Refused { leg: l, status: 407, .. }] if l == leg)
    );
}

fn realm_known() -> Endpoint {
    endpoint(Account { realm: Some("pbx".into()), ..plain() })
}

#[test]
fn section_22_3_a_challenged_call_goes_on_as_the_same_leg() {
    let mut line = realm_known();
    let leg = line.invite(call(), start());
    let invite = one(&mut line);
    assert!(invite.contains("\r\nPriority: emergency\r\n"));
    reply(&mut line, &invite, 407, PROXY);
    let [ack, again] = &sent(&mut line)[..] else { panic!() };
    assert_eq!(header(ack, "Via"), header(&invite, "Via"));
    assert_eq!(header(ack, "CSeq"), "CSeq: 1 ACK");
    assert!(again.contains("\r\nProxy-Authorization: Digest username=\"101\""), "{again}");
    assert_eq!(header(again, "CSeq"), "CSeq: 2 INVITE");
    assert_eq!(header(again, "From"), header(&invite, "From"));
    reply(&mut line, again, 200, &format!("Contact: <sip:200@{PBX}>\r\n"));
    let ack = one(&mut line);
    assert!(ack.contains("CSeq: 2 ACK") && ack.contains("Proxy-Authorization"), "{ack}");
    assert_eq!(events(&mut line), [Event::Answered { leg, sdp: None }]);
}

#[test]
fn sig_29_a_bye_is_proved_to_the_pbx_and_not_to_a_foreign_contact() {
    for (contact, more, proved) in [
        (PBX, "", true),
        ("203.0.113.9:5060", "", false),
        ("phone.example", "", false),
        (PBX, "Record-Route: <sip:203.0.113.9;lr>\r\n", false),
    ] {
        let mut line = realm_known();
        let leg = line.invite(call(), start());
        let invite = one(&mut line);
        reply(&mut line, &invite, 200, &format!("Contact: <sip:200@{contact}>\r\n{more}"));
        sent(&mut line);
        line.bye(leg, start());
        let transmit = line.poll_transmit().unwrap();
        assert_eq!(transmit.to, udp(PBX), "nothing is sent to {contact}");
        let bye = String::from_utf8(transmit.bytes).unwrap();
        assert!(bye.starts_with(&format!("BYE sip:200@{contact} SIP/2.0")), "{bye}");
        reply(&mut line, &bye, 407, PROXY);
        let answers = sent(&mut line);
        assert_eq!(answers.len(), usize::from(proved), "{contact} {answers:?}");
        if let [again] = &answers[..] {
            assert_eq!(header(again, "CSeq"), "CSeq: 3 BYE");
            reply(&mut line, again, 200, "");
        }
        assert_eq!(line.load().1, 0);
        let ended = Event::Ended { leg, ending: Ending::OurBye };
        assert_eq!(events(&mut line)[1..], [ended]);
    }
}

/// PRACK and re-INVITE are asked for a password as a BYE is.
#[test]
fn sig_29_nothing_within_a_session_is_proved_to_a_foreign_contact() {
    for (contact, proved) in [(PBX, 1), ("203.0.113.9:5060", 0)] {
        let mut line = realm_known();
        let leg = line.invite(call(), start());
        let invite = one(&mut line);
        let reliable = format!("Contact: <sip:200@{contact}>\r\nRequire: 100rel\r\nRSeq: 7\r\n");
        reply(&mut line, &invite, 180, &reliable);
        let prack = one(&mut line);
        assert!(prack.starts_with("PRACK "), "{prack}");
        reply(&mut line, &prack, 407, PROXY);
        let answers = sent(&mut line);
        assert_eq!(answers.len(), proved, "{contact} {answers:?}");
        assert!(answers.iter().all(|again| again.contains("\r\nProxy-Authorization: ")));

        reply(&mut line, &invite, 200, &format!("Contact: <sip:200@{contact}>\r\n"));
        sent(&mut line);
        line.offer(leg, SDP.into(), start());
        let reinvite = one(&mut line);
        assert!(reinvite.starts_with("INVITE "), "{reinvite}");
        reply(&mut line, &reinvite, 407, PROXY);
        let answers = sent(&mut line);
        assert!(answers[0].starts_with("ACK "), "{answers:?}");
        assert_eq!(answers.len(), 1 + proved, "{contact} {answers:?}");
    }
}

#[test]
fn sig_02_the_grant_is_our_contacts_then_the_headers() {
    for (lines, expected) in [
        (granted(90), 90),
        (format!("Contact: <sip:x@192.0.2.77>;expires=5, <sip:101@{LINE}>;expires=70\r\n"), 70),
        ("Expires: 45\r\n".to_owned(), 45),
        (format!("Contact: <sip:101@{LINE}>\r\n"), 60),
        (format!("Contact: <sip:101@{LINE}>;expires=99999999999\r\n"), u32::MAX),
    ] {
        let (mut line, register) = registering(plain());
        reply(&mut line, &register, 200, &lines);
        assert_eq!(
            events(&mut line),
            [Event::Registered { aor: AorId(0), expires: expected }],
            "{lines}"
        );
    }
}

#[test]
fn section_10_2_8_and_sig_05_423_and_removal() {
    let (mut line, register) = registering(plain());
    reply(&mut line, &register, 423, "Min-Expires: 120\r\n");
    let longer = one(&mut line);
    assert_eq!(header(&longer, "Expires"), "Expires: 120");
    reply(&mut line, &longer, 200, &granted(120));
    line.unregister(start());
    let removal = one(&mut line);
    assert_eq!(header(&removal, "Expires"), "Expires: 0");
    reply(&mut line, &removal, 200, "");
    assert_eq!(
        events(&mut line),
        [Event::Registered { aor: AorId(0), expires: 120 }, Event::Unregistered]
    );
}

#[test]
fn sig_03_a_dead_pbx_is_found_again_within_thirty_seconds() {
    let (mut line, _) = registering(plain());
    let mut now = start();
    while now.mono < start().mono + Duration::from_secs(300) {
        let (at, _) = line.poll_timeout().unwrap();
        now = now + at.since(now.mono);
        line.handle_timeout(now);
        sent(&mut line);
    }
    let back = now.mono;
    let request = loop {
        let (at, _) = line.poll_timeout().unwrap();
        now = now + at.since(now.mono);
        line.handle_timeout(now);
        if let Some(request) = sent(&mut line).pop() {
            break request;
        }
    };
    assert!(now.mono.since(back) <= Duration::from_secs(30));
    events(&mut line);
    reply(&mut line, &request, 200, &granted(60));
    assert_eq!(events(&mut line), [Event::Registered { aor: AorId(0), expires: 60 }]);
}
