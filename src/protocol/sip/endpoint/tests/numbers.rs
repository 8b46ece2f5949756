//! A line of several addresses-of-record: each registers, is called and calls by its own name and password.

use super::digest::{events, granted, header, one, reply};
use super::*;
use crate::protocol::sip::Aor;

const FIRST: AorId = AorId(0);
const SECOND: AorId = AorId(1);
const CHALLENGE: &str = "WWW-Authenticate: Digest realm=\"pbx\", nonce=\"n1\", qop=\"auth\"\r\n";

fn two() -> Account {
    let other = Aor {
        user: "102".into(),
        number: "63005678".into(),
        auth_user: "other".into(),
        password: "another secret".into(),
    };
    Account { others: vec![other], ..account(LINE, udp(PBX)) }
}

fn sent(line: &mut Endpoint) -> Vec<String> {
    let out = std::iter::from_fn(|| line.poll_transmit());
    out.map(|transmit| String::from_utf8(transmit.bytes).unwrap()).collect()
}

/// Both REGISTERs, the first one's first.
fn registering(line: &mut Endpoint) -> [String; 2] {
    line.register(start());
    sent(line).try_into().expect("one for each")
}

/// Both have shown their password; the PBX takes that of the first.
fn challenged(line: &mut Endpoint) -> [String; 2] {
    registering(line).map(|register| {
        reply(line, &register, 401, CHALLENGE);
        one(line)
    })
}

#[test]
fn sig_01_each_number_registers_as_itself_with_its_own_password() {
    let mut line = endpoint(two());
    let [first, second] = registering(&mut line);
    assert_eq!(header(&first, "Contact"), format!("Contact: <sip:101@{LINE}>"));
    assert_eq!(header(&second, "To"), "To: <sip:102@duty.example>");
    assert_eq!(header(&second, "Contact"), format!("Contact: <sip:102@{LINE}>"));
    assert_ne!(header(&first, "Call-ID"), header(&second, "Call-ID"), "§10.2");
    reply(&mut line, &first, 401, CHALLENGE);
    let first = one(&mut line);
    reply(&mut line, &second, 401, CHALLENGE);
    let second = one(&mut line);
    for (request, user) in [(&first, "101"), (&second, "other")] {
        let shown = header(request, "Authorization");
        assert!(shown.contains(&format!("username=\"{user}\"")), "{shown}");
        assert!(shown.contains("nc=00000001"), "of a nonce of its own: {shown}");
    }
    let response = |text: &str| {
        let shown = header(text, "Authorization");
        shown.split("response=\"").nth(1).unwrap()[..32].to_owned()
    };
    assert_ne!(response(&first), response(&second));
    reply(&mut line, &second, 200, &granted(60).replace("101", "102"));
    assert_eq!(events(&mut line), [Event::Registered { aor: SECOND, expires: 60 }]);
    reply(&mut line, &first, 200, &granted(60));
    assert_eq!(events(&mut line), [Event::Registered { aor: FIRST, expires: 60 }]);
}

#[test]
fn sig_01_a_number_whose_password_is_refused_leaves_the_other_alone() {
    let mut line = endpoint(two());
    let [first, second] = challenged(&mut line);
    reply(&mut line, &second, 403, "");
    let refused = events(&mut line);
    assert!(
        matches!(refused[..], [Event::RegistrationFailed { aor: SECOND, status: 403, .. }]),
        "{refused:?}"
    );
    reply(&mut line, &first, 200, &granted(60));
    assert_eq!(events(&mut line), [Event::Registered { aor: FIRST, expires: 60 }]);
    line.handle_timeout(start() + Duration::from_secs(30));
    let refreshed = sent(&mut line);
    assert!(refreshed.iter().any(|text| header(text, "To").contains("101")), "{refreshed:?}");
}

#[test]
fn sig_01_it_is_gone_when_every_number_is() {
    let mut line = endpoint(two());
    for (register, user) in challenged(&mut line).into_iter().zip(["101", "102"]) {
        reply(&mut line, &register, 200, &granted(60).replace("101", user));
    }
    events(&mut line);
    line.unregister(start());
    let [first, second] = sent(&mut line).try_into().expect("one for each");
    assert!(first.contains("Expires: 0") && second.contains("Expires: 0"));
    reply(&mut line, &first, 200, "");
    assert_eq!(events(&mut line), [], "the other is still bound");
    reply(&mut line, &second, 200, "");
    assert_eq!(events(&mut line), [Event::Unregistered]);
}

#[test]
fn sig_01_the_next_run_goes_on_under_each_numbers_call_id() {
    let mut line = endpoint(two());
    let before = registering(&mut line);
    let mut next = endpoint(two());
    next.restore_registration(line.saved_registration());
    let after = registering(&mut next);
    for (before, after) in before.iter().zip(&after) {
        assert_eq!(header(before, "Call-ID"), header(after, "Call-ID"));
        assert_eq!(header(after, "CSeq"), "CSeq: 18 REGISTER", "above all that may have been sent");
    }
    // Numbers come and go between two runs: what was saved goes by name.
    let mut alone = endpoint(account(LINE, udp(PBX)));
    alone.restore_registration(line.saved_registration());
    alone.register(start());
    assert_eq!(header(&one(&mut alone), "Call-ID"), header(&before[0], "Call-ID"));
}

#[test]
fn sig_01_a_call_is_for_the_number_that_its_request_uri_names() {
    for (uri, aor) in
        [("101@192.0.2.10", FIRST), ("102@192.0.2.10", SECOND), ("63005678@x", SECOND)]
    {
        let mut line = endpoint(two());
        let invite = request("INVITE", "Contact: <sip:1@192.0.2.1>\r\n");
        let (_, events) = ask(&mut line, &invite.replacen("101@192.0.2.10", uri, 1));
        let [Event::Incoming { invite, leg }] = &events[..] else { panic!("{events:?}") };
        assert_eq!(invite.aor, aor, "{uri}");
        line.ring(*leg, None, start());
        let ringing = sent(&mut line).pop().unwrap();
        let user = if aor == FIRST { "101" } else { "102" };
        assert_eq!(header(&ringing, "Contact"), format!("Contact: <sip:{user}@{LINE}>"));
    }
}

#[test]
fn sig_01_a_call_of_ours_goes_out_by_the_right_of_its_number_in_every_request() {
    let mut line = endpoint(two());
    for (register, user) in challenged(&mut line).into_iter().zip(["101", "102"]) {
        reply(&mut line, &register, 200, &granted(60).replace("101", user));
    }
    events(&mut line);
    let leg = line.invite(Outgoing { aor: SECOND, ..call() }, start());
    let invite = one(&mut line);
    assert!(header(&invite, "From").contains("<sip:102@duty.example>"), "{invite}");
    assert_eq!(header(&invite, "Contact"), format!("Contact: <sip:102@{LINE}>"));
    let proxy = "Proxy-Authenticate: Digest realm=\"pbx\", nonce=\"n2\", qop=\"auth\"\r\n";
    reply(&mut line, &invite, 407, proxy);
    let again = sent(&mut line).pop().unwrap();
    let shown = header(&again, "Proxy-Authorization");
    assert!(shown.contains("username=\"other\""), "{shown}");
    let sdp = String::from_utf8(SDP.to_vec()).unwrap();
    let contact = "Contact: <sip:200@192.0.2.1>\r\nContent-Type: application/sdp\r\n";
    reply(&mut line, &again, 200, &format!("{contact}\r\n{sdp}"));
    sent(&mut line);
    line.bye(leg, start());
    let bye = one(&mut line);
    reply(&mut line, &bye, 407, proxy);
    let shown = header(&one(&mut line), "Proxy-Authorization");
    assert!(shown.contains("username=\"other\""), "{shown}");
}

#[test]
fn sig_03_a_pbx_that_falls_silent_is_told_for_every_number() {
    let mut line = endpoint(two());
    let [_, second] = challenged(&mut line);
    reply(&mut line, &second, 200, &granted(60).replace("101", "102"));
    events(&mut line);
    let mut now = start();
    let mut lost = vec![];
    for _ in 0..90 {
        now = now + Duration::from_secs(1);
        line.handle_timeout(now);
        sent(&mut line);
        lost.extend(events(&mut line).into_iter().filter_map(|event| match event {
            Event::RegistrationFailed { aor, status, .. } => Some((aor, status)),
            _ => None,
        }));
    }
    for aor in [FIRST, SECOND] {
        assert!(lost.contains(&(aor, 408)), "{aor:?}: {lost:?}");
    }
}
