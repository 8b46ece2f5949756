//! Every element of a message with every class of anomaly: each has an outcome, and the line serves
//! the next message as if nothing had been.

use crate::line::{Line, PBX, status, worked};
use dutyline::protocol::sip::stream::{Frame, Framer};
use dutyline::protocol::sip::{Event, Transport, wire};
use std::time::Duration;

const METHODS: [&str; 8] =
    ["INVITE", "OPTIONS", "BYE", "ACK", "CANCEL", "UPDATE", "INFO", "NOTIFY"];
/// What an input may take at most, in a debug build.
const LONGEST: Duration = Duration::from_millis(50);

/// Where an anomaly is put, as a piece of the valid message.
const ELEMENTS: [&str; 26] = [
    "METHOD ",
    "sip:101@192.0.2.10",
    "SIP/2.0",
    "Via",
    "SIP/2.0/UDP",
    "192.0.2.1:5060",
    "branch=z9hG4bKbase",
    "70",
    "From",
    "\"Caller\"",
    "sip:13800000000@duty.example",
    "tag=theirs",
    "To",
    "sip:101@duty.example",
    "Call-ID",
    "call-1@town",
    "CSeq",
    "1 ",
    "Contact",
    "<sip:c@192.0.2.1:5060>",
    "Session-Expires",
    "1800;refresher=uac",
    "application/sdp",
    "Content-Length",
    "c=IN IP4 192.0.2.1",
    "m=audio 4000 RTP/AVP 8 101",
];

/// What is put in an element's place; `{}` is the element.
fn anomalies() -> Vec<(&'static str, String)> {
    let named = |name, text: &str| (name, text.to_owned());
    vec![
        named("empty", ""),
        named("doubled", "{}{}"),
        named("a space before", " {}"),
        named("a tab after", "{}\t"),
        named("NUL", "\0{}"),
        named("bare CR", "{}\r"),
        named("bare LF", "{}\n"),
        named("a line of its own", "{}\r\n"),
        named("an end of the head", "{}\r\n\r\n"),
        named("a fold", "{}\r\n "),
        named("many folds", &("{}".to_owned() + &"\r\n ".repeat(100))),
        named("negative", "-1"),
        named("zero", "0"),
        named("2^31", "2147483648"),
        named("2^32", "4294967296"),
        named("2^64", "18446744073709551616"),
        named("a hundred digits", &"9".repeat(100)),
        named("not a number", "1e9"),
        named("long", &"a".repeat(8_000)),
        named("too long", &"a".repeat(9_000)),
        named("a datagram of it", &"a".repeat(60_000)),
        named("format", "%s%n%x%08x"),
        named("percent", "%00%zz%"),
        named("an open quote", "\"{}"),
        named("an open bracket", "<{}"),
        named("brackets", "[[[{}]]]"),
        named("commas", &"{},".repeat(50)),
        named("semicolons", &"{};".repeat(50)),
        named("colons", ":::{}:::"),
        named("at signs", "@@{}@"),
        named("not UTF-8", "\u{fffd}"),
        named("right to left", "\u{202e}{}"),
        named("a script", "<script>alert(1)</script>"),
        named("a path", "../../../../etc/passwd"),
        named("a query", "'; DROP TABLE entry; --"),
        named("escape", "\u{1b}[2J{}"),
    ]
}

fn valid(method: &str, number: usize) -> String {
    let body = "v=0\r\no=- 1 1 IN IP4 192.0.2.1\r\ns=-\r\nc=IN IP4 192.0.2.1\r\nt=0 0\r\n\
                m=audio 4000 RTP/AVP 8 101\r\na=rtpmap:101 telephone-event/8000\r\n";
    format!(
        "{method} sip:101@192.0.2.10 SIP/2.0\r\nVia: SIP/2.0/UDP {PBX};branch=z9hG4bKbase{number}\r\n\
         Max-Forwards: 70\r\nFrom: \"Caller\" <sip:13800000000@duty.example>;tag=theirs\r\n\
         To: <sip:101@duty.example>\r\nCall-ID: call-1@town{number}\r\nCSeq: 1 {method}\r\n\
         Contact: <sip:c@192.0.2.1:5060>\r\nSession-Expires: 1800;refresher=uac\r\n\
         Content-Type: application/sdp\r\nContent-Length: {}\r\n\r\n{body}",
        body.len()
    )
}

/// The message with the anomaly in the place of the element, as bytes.
fn broken(method: &str, number: usize, element: &str, (class, text): &(&str, String)) -> Vec<u8> {
    let element = if element == "METHOD " { format!("{method} ") } else { element.to_owned() };
    let message = valid(method, number);
    let put = message.replacen(&element, &text.replace("{}", &element), 1);
    assert!(put != message || *class == "zero" || element.is_empty(), "{class} at {element}");
    let mut bytes = put.into_bytes();
    if *class == "not UTF-8" {
        // A GBK name, as old PBXs send it.
        let at = bytes.windows(3).position(|window| window == "\u{fffd}".as_bytes());
        let at = at.expect("just put there");
        bytes.splice(at..at + 3, [0xd6, 0xb5, 0xb0, 0xe0]);
    }
    bytes
}

fn options(number: usize) -> String {
    format!(
        "OPTIONS sip:101@192.0.2.10 SIP/2.0\r\nVia: SIP/2.0/UDP {PBX};branch=z9hG4bKping{number}\r\n\
         Max-Forwards: 70\r\nFrom: <sip:pbx@duty.example>;tag=p\r\nTo: <sip:101@192.0.2.10>\r\n\
         Call-ID: ping{number}\r\nCSeq: 1 OPTIONS\r\nContent-Length: 0\r\n\r\n"
    )
}

/// Puts every one to the line, the sessions and messages afterwards; how many there were.
fn play(transport: Transport) -> usize {
    let mut line = Line::over(transport);
    let mut number = 0;
    let mut slowest = (Duration::ZERO, String::new());
    for method in METHODS {
        for element in ELEMENTS {
            for anomaly in &anomalies() {
                number += 1;
                let what = format!("{method}: {} at {element}", anomaly.0);
                let bytes = broken(method, number, element, anomaly);
                let begin = worked();
                for message in cut(transport, &bytes) {
                    judge(&mut line, &message, &what);
                }
                let took = worked() - begin;
                if took > slowest.0 {
                    slowest = (took, what.clone());
                }
                let (out, _) = line.hear(options(number).as_bytes());
                assert!(out.iter().any(|text| status(text) == 200), "{what}: no 200: {out:?}");
                line.pass(Duration::from_millis(100));
                let (transactions, sessions) = line.sip.load();
                assert!(transactions < 2_000 && sessions < 2, "{what}: {transactions} {sessions}");
            }
        }
    }
    line.settle();
    assert_eq!(line.sip.load(), (0, 0), "everything is as it was");
    println!("{number} messages, the slowest took {:?}: {}", slowest.0, slowest.1);
    assert!(slowest.0 < LONGEST, "{slowest:?}");
    number
}

/// As the transport hands them on; a stream that lies is closed.
fn cut(transport: Transport, bytes: &[u8]) -> Vec<Vec<u8>> {
    if transport == Transport::Udp {
        return vec![bytes.to_vec()];
    }
    let mut framer = Framer::default();
    framer.push(bytes);
    let mut messages = vec![];
    while let Ok(Some(frame)) = framer.poll() {
        if let Frame::Message(message) = frame {
            messages.push(message);
        }
    }
    messages
}

/// Dropped, answered once, or a call that is refused: nothing else.
fn judge(line: &mut Line, message: &[u8], what: &str) {
    let (out, events) = line.hear(message);
    for text in &out {
        let code = status(text);
        assert!((100..700).contains(&code) && text.ends_with("\r\n\r\n"), "{what}: {text}");
        assert!(!text.contains("<script>alert(1)</script>\r\nContact"), "{what}");
    }
    match &events[..] {
        [] => assert!(out.len() <= 1, "{what}: {out:?}"),
        [Event::Dropped { .. }] => assert_eq!(out.len(), 0, "{what}: {out:?}"),
        [Event::Incoming { leg, invite }] => {
            let expected = invite.fault.as_ref().map_or(486, |fault| fault.status);
            let refusal = line.refuse(*leg, expected);
            assert!((400..700).contains(&expected), "{what}");
            assert_eq!(
                refusal.iter().map(|text| status(text)).collect::<Vec<_>>(),
                [expected],
                "{what}"
            );
        }
        other => panic!("{what}: {other:?}"),
    }
}

#[test]
fn rel_39_every_anomaly_in_every_place_and_the_next_options_gets_200_over_udp() {
    assert!(play(Transport::Udp) >= 4_527);
}

#[test]
fn rel_39_every_anomaly_in_every_place_and_the_next_options_gets_200_over_tcp() {
    assert!(play(Transport::Tcp) >= 4_527);
}

/// Nothing that was read is read again at each push: sixty thousand pushes of a byte are one message.
#[test]
fn sig_33_a_streams_cost_is_linear_however_it_comes() {
    let body = 60 * 1024;
    let headers = "X: y\r\n".repeat(150);
    let head = format!("OPTIONS sip:a SIP/2.0\r\n{headers}Content-Length: {body}\r\n\r\n");
    let message = [head.into_bytes(), vec![b'b'; body]].concat();
    let before = worked();
    let (mut framer, mut frames) = (Framer::default(), vec![]);
    for byte in &message {
        framer.push(&[*byte]);
        frames.extend(framer.poll().expect("it is right"));
    }
    assert_eq!(frames, [Frame::Message(message)]);
    framer.push(&b"\r\n\r\n".repeat(16 * 1024));
    let pings = std::iter::from_fn(|| framer.poll().expect("right").filter(|f| *f == Frame::Ping));
    assert_eq!(pings.count(), 16 * 1024);
    let took = worked() - before;
    assert!(took < 20 * LONGEST, "{took:?}");
}

/// A path longer than any can be is answered all the same, and back along the whole of it.
#[test]
fn rel_39_every_via_of_a_long_path_comes_back() {
    for (hops, a_line) in [(150, 1), (1_000, 100)] {
        let mut line = Line::over(Transport::Udp);
        let vias: Vec<String> =
            (0..hops).map(|n| format!("SIP/2.0/UDP 192.0.2.1:5060;branch=z9hG4bKhop{n}")).collect();
        let vias: Vec<String> = vias.chunks(a_line).map(|vias| vias.join(", ")).collect();
        let vias = vias.join("\r\nVia: ");
        let text = format!(
            "OPTIONS sip:101@192.0.2.10 SIP/2.0\r\nVia: {vias}\r\nFrom: <sip:a@b>;tag=c\r\n\
             To: <sip:101@b>\r\nCall-ID: long\r\nCSeq: 1 OPTIONS\r\n\r\n"
        );
        let (out, _) = line.hear(text.as_bytes());
        assert_eq!(out.iter().map(|text| status(text)).collect::<Vec<_>>(), [200]);
        let read = wire::parse(out[0].as_bytes()).expect("an answer");
        assert_eq!((read.list("via").count(), read.defect), (hops, None));
    }
}
