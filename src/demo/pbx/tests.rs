//! The small PBX, asked by hand.

use super::*;

const PBX: &str = "10.0.0.2:5060";

struct Bench {
    pbx: Pbx,
    now: Now,
}

fn peer(text: &str) -> Peer {
    Peer { transport: Transport::Udp, addr: text.parse().unwrap() }
}

fn bench() -> Bench {
    let user = |stand_in: Option<&str>| User {
        password: "geheim".into(),
        stand_in: stand_in.map(str::to_owned),
    };
    let plan = Plan {
        address: PBX.parse().unwrap(),
        domain: "duty.example".into(),
        algorithm: Algorithm::Sha256,
        longest: 60,
        users: [("100".into(), user(Some("201"))), ("201".into(), user(None))].into(),
        trusted: vec!["10.0.0.9:5060".parse().unwrap()],
    };
    let now = Now { mono: Mono(0), wall: chrono::DateTime::UNIX_EPOCH };
    Bench { pbx: Pbx::new(plan, Random::from_seed([1; 32])), now }
}

impl Bench {
    fn tell(&mut self, from: &str, text: &str) -> Vec<(Peer, Message)> {
        self.pbx.handle_message(peer(from), text.as_bytes(), self.now);
        std::iter::from_fn(|| self.pbx.poll_transmit())
            .map(|transmit| (transmit.to, Message::parse(&transmit.bytes).unwrap()))
            .collect()
    }

    fn register(&mut self, user: &str, from: &str, password: &str) -> u16 {
        let text = |credentials: &str| {
            format!(
                "REGISTER sip:duty.example SIP/2.0\r\n\
                 Via: SIP/2.0/UDP {from};rport;branch=z9hG4bK1\r\n\
                 From: <sip:{user}@duty.example>;tag=a\r\nTo: <sip:{user}@duty.example>\r\n\
                 Call-ID: r{user}\r\nCSeq: 1 REGISTER\r\nContact: <sip:{user}@{from}>\r\n\
                 Expires: 600\r\n{credentials}Content-Length: 0\r\n\r\n"
            )
        };
        let (_, asked) = self.tell(from, &text("")).remove(0);
        assert!(matches!(asked.start, Start::Response { status: 401, .. }));
        let ask = asked.first("WWW-Authenticate").unwrap();
        let nonce = ask.split("nonce=\"").nth(1).unwrap().split('"').next().unwrap();
        let hash = |text: String| hex::encode(Sha256::digest(text));
        let secret = hash(format!("{user}:duty.example:{password}"));
        let request = hash("REGISTER:sip:duty.example".into());
        let response = hash(format!("{secret}:{nonce}:00000001:c:auth:{request}"));
        let credentials = format!(
            "Authorization: Digest username=\"{user}\", realm=\"duty.example\", \
             nonce=\"{nonce}\", uri=\"sip:duty.example\", response=\"{response}\", \
             algorithm=SHA-256, qop=auth, nc=00000001, cnonce=\"c\"\r\n"
        );
        let (_, answer) = self.tell(from, &text(&credentials)).remove(0);
        match answer.start {
            Start::Response { status, .. } => status,
            Start::Request { .. } => unreachable!(),
        }
    }
}

fn invite(from: &str) -> String {
    format!(
        "INVITE sip:100@duty.example SIP/2.0\r\nVia: SIP/2.0/UDP {from};branch=z9hG4bKx\r\n\
         From: <sip:13800000000@outside>;tag=a\r\nTo: <sip:100@duty.example>\r\n\
         Call-ID: c1\r\nCSeq: 1 INVITE\r\nMax-Forwards: 70\r\nContent-Length: 0\r\n\r\n"
    )
}

#[test]
fn only_the_right_password_is_registered() {
    let mut bench = bench();
    assert_eq!(bench.register("100", "10.0.0.1:5060", "falsch"), 401);
    assert!(!bench.pbx.is_registered("100", bench.now));
    assert_eq!(bench.register("100", "10.0.0.1:5060", "geheim"), 200);
    assert!(bench.pbx.is_registered("100", bench.now));
    bench.now = bench.now + Duration::from_secs(60);
    assert!(!bench.pbx.is_registered("100", bench.now));
}

#[test]
fn a_call_from_outside_goes_to_the_duty_line_and_its_answer_back() {
    let mut bench = bench();
    bench.register("100", "10.0.0.1:5060", "geheim");
    let (to, sent) = bench.tell("10.0.0.9:5060", &invite("10.0.0.9:5060")).remove(0);
    assert_eq!(to, peer("10.0.0.1:5060"));
    assert_eq!(request_uri(&sent), "sip:100@10.0.0.1:5060");
    assert_eq!(sent.first("Max-Forwards").unwrap(), "69");
    assert_eq!(sent.first("Record-Route").unwrap(), "<sip:10.0.0.2:5060;lr>");
    let mut ringing = Message::response(180, "Ringing");
    ringing.copy("Via", &sent);
    ringing.add("Content-Length", "0");
    let text = String::from_utf8(ringing.to_bytes()).unwrap();
    let (to, passed) = bench.tell("10.0.0.1:5060", &text).remove(0);
    assert_eq!(to, peer("10.0.0.9:5060"));
    assert_eq!(passed.all("Via").count(), 1);
}

#[test]
fn a_cancel_follows_its_invite_even_when_the_binding_is_gone() {
    let mut bench = bench();
    bench.register("100", "10.0.0.1:5060", "geheim");
    let (_, sent) = bench.tell("10.0.0.9:5060", &invite("10.0.0.9:5060")).remove(0);
    bench.pbx.forget("100");
    let cancel = invite("10.0.0.9:5060").replace("INVITE", "CANCEL");
    let (to, cancelled) = bench.tell("10.0.0.9:5060", &cancel).remove(0);
    assert_eq!(to, peer("10.0.0.1:5060"));
    assert_eq!(cancelled.pop_via(), sent.clone().pop_via());
}

#[test]
fn an_unregistered_duty_line_fails_open_to_the_officers_phone() {
    let mut bench = bench();
    let (_, refused) = bench.tell("10.0.0.9:5060", &invite("10.0.0.9:5060")).remove(0);
    assert!(matches!(refused.start, Start::Response { status: 480, .. }));
    bench.register("201", "10.0.0.3:5060", "geheim");
    let other = invite("10.0.0.9:5060").replace("c1", "c2");
    let (to, _) = bench.tell("10.0.0.9:5060", &other).remove(0);
    assert_eq!(to, peer("10.0.0.3:5060"));
    let failed = Event::FailedOpen { user: "100".into(), to: "201".into() };
    assert!(std::iter::from_fn(|| bench.pbx.poll_event()).any(|event| event == failed));
}

#[test]
fn a_stranger_is_asked_for_a_password() {
    let mut bench = bench();
    bench.register("100", "10.0.0.1:5060", "geheim");
    let (to, asked) = bench.tell("10.0.0.8:5060", &invite("10.0.0.8:5060")).remove(0);
    assert_eq!(to, peer("10.0.0.8:5060"));
    assert!(matches!(asked.start, Start::Response { status: 407, .. }));
}

#[test]
fn inside_a_dialog_the_route_is_followed() {
    let mut bench = bench();
    let bye = "BYE sip:100@10.0.0.1:5060 SIP/2.0\r\nVia: SIP/2.0/UDP 10.0.0.9:5060;branch=z9hG4bKb\r\n\
         Route: <sip:10.0.0.2:5060;lr>\r\nFrom: <sip:1@x>;tag=a\r\nTo: <sip:100@d>;tag=b\r\n\
         Call-ID: c1\r\nCSeq: 2 BYE\r\nContent-Length: 0\r\n\r\n";
    let (to, sent) = bench.tell("10.0.0.9:5060", bye).remove(0);
    assert_eq!(to, peer("10.0.0.1:5060"));
    assert_eq!(sent.first("Route"), None);
}

impl Message {
    fn pop_via(mut self) -> Option<String> {
        self.pop("Via")
    }
}
