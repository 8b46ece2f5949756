//! Connections that carry SIP, abused: whatever comes over one is answered as the RFC's torture tests expect or ends that
//! connection alone, and is counted by its reason. And one that is lost while it is needed.

use crate::calls::Room;
use crate::daemon::{Daemon, Plan};
use crate::metrics::scrape;
use crate::process::wait_until;
use crate::rude::is_heard;
use crate::twin::FarEnd;
use dutyline::protocol::sip::stream::Framer;
use socket2::{Domain, SockAddr, Socket, Type};
use std::fs;
use std::io::{ErrorKind, Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream, UdpSocket};
use std::path::Path;
use std::time::{Duration, Instant};

const SOON: Duration = Duration::from_secs(8);
const PBX: [u8; 4] = [127, 0, 0, 1];
const STRANGER: [u8; 4] = [127, 0, 0, 77];

/// A room whose phone is always busy, and where its figures are shown.
struct Line {
    room: Room,
    far_end: FarEnd,
    daemon: Daemon,
    metrics: u16,
}

impl Line {
    fn open(phone: &str) -> Option<Self> {
        let room = Room::open()?;
        let far_end = FarEnd::start(&room.ports);
        let metrics = room.ports.own(1);
        let media = format!("\n[metrics]\nlisten = \"127.0.0.1:{metrics}\"\n");
        let plan = Plan { phones: &[(phone, 20)], media: &media, ..Plan::default() };
        let daemon = room.daemon(&plan);
        Some(Self { room, far_end, daemon, metrics })
    }

    fn address(&self) -> SocketAddr {
        SocketAddr::from((PBX, self.room.ports.line()))
    }

    /// Opens a connection from this address.
    fn connect(&self, from: [u8; 4]) -> Connection {
        let socket = Socket::new(Domain::IPV4, Type::STREAM, None).expect("a socket");
        // What it does not read piles up at the other end.
        socket.set_recv_buffer_size(4096).expect("set");
        socket.bind(&SockAddr::from(SocketAddr::from((from, 0)))).expect("an address");
        socket.connect(&SockAddr::from(self.address())).expect("it listens");
        let stream = TcpStream::from(socket);
        stream.set_nodelay(true).expect("set");
        stream.set_read_timeout(Some(Duration::from_millis(100))).expect("a timeout");
        stream.set_write_timeout(Some(Duration::from_secs(2))).expect("a timeout");
        Connection { stream, heard: String::new(), closed: false }
    }

    /// A request over a connection of its own is answered at once.
    fn serves(&self, what: &str) {
        let (mut connection, since) = (self.connect(PBX), Instant::now());
        connection.says(options("served").as_bytes());
        connection.hears(what, |heard| heard.contains("SIP/2.0 200 OK\r\n"));
        assert!(since.elapsed() < Duration::from_secs(2), "{what}: {:?}", since.elapsed());
    }

    /// Waits until so many have come to an end for this reason.
    fn has_counted(&self, reason: &str, wanted: usize) {
        let key = ("dutyline_sip_connections_ended_total".into(), format!("reason=\"{reason}\""));
        wait_until(&format!("{wanted} of {reason}"), SOON, || {
            let seen = scrape(self.metrics).get(&key).copied();
            (seen == Some(wanted as f64)).then_some(())
        });
    }
}

struct Connection {
    stream: TcpStream,
    heard: String,
    closed: bool,
}

impl Connection {
    /// It may be closed at any byte.
    fn says(&mut self, bytes: &[u8]) {
        self.closed |= self.stream.write_all(bytes).is_err();
    }

    /// Reads what has come, for a moment; the whole so far.
    fn listens(&mut self) -> &str {
        let mut bytes = [0; 65_536];
        match self.stream.read(&mut bytes) {
            Ok(0) => self.closed = true,
            Ok(length) => self.heard += &String::from_utf8_lossy(&bytes[..length]),
            Err(fault) => {
                let waits = matches!(fault.kind(), ErrorKind::WouldBlock | ErrorKind::TimedOut);
                self.closed |= !waits;
            }
        }
        &self.heard
    }

    fn hears(&mut self, what: &str, wanted: impl Fn(&str) -> bool) {
        wait_until(what, SOON, || wanted(self.listens()).then_some(()));
    }

    fn is_closed(&mut self, what: &str, within: Duration) {
        wait_until(&format!("{what} to be closed"), within, || {
            self.listens();
            self.closed.then_some(())
        });
    }
}

pub fn options(name: &str) -> String {
    request("OPTIONS", name, "TCP", &SocketAddr::from((PBX, 5060)), "Content-Length: 0\r\n\r\n")
}

/// With this end.
fn request(method: &str, name: &str, over: &str, via: &SocketAddr, end: &str) -> String {
    format!(
        "{method} sip:1001@127.0.0.1 SIP/2.0\r\nVia: SIP/2.0/{over} {via};branch=z9hG4bK-{name};rport\r\n\
         Max-Forwards: 70\r\nFrom: <sip:pbx@127.0.0.1>;tag=s\r\nTo: <sip:1001@127.0.0.1>\r\n\
         Call-ID: {name}\r\nCSeq: 1 {method}\r\nContact: <sip:pbx@{via};transport=tcp>\r\n{end}"
    )
}

/// Every way to lie about where a message ends, garbage between two, halves of one, and a peer that asks and never
/// reads: only its own connection ends.
#[test]
fn sig_26_a_stream_that_lies_ends_alone_and_each_is_counted() {
    let Some(line) = Line::open("9486") else { return };
    let ends = |end: &str| options("lie").replace("Content-Length: 0\r\n\r\n", end);
    let lies = [
        ends("\r\n"),
        ends("Content-Length: -1\r\n\r\n"),
        ends("Content-Length: 99999999999999999999\r\n\r\n"),
        ends("Content-Length: 65536\r\n\r\n"),
        ends("Content-Length: 0\r\nl: 0\r\n\r\n"),
        ends("Content-Length: 0\n\r\n\r\n"),
        ends(&format!("X: {}", "y".repeat(70_000))),
        "\u{0}\u{1}garbage\r\n\r\n".to_owned(),
    ];
    // Nothing at all, and half a message behind a whole one: both are waited for meanwhile.
    let mut idle = line.connect(PBX);
    let mut half = line.connect(PBX);
    half.says((options("whole") + &options("half")[..60]).as_bytes());
    half.hears("the answer to the whole one", |heard| heard.contains("Call-ID: whole\r\n"));

    for lie in &lies {
        let what: String = lie.chars().rev().take(40).collect();
        let mut liar = line.connect(PBX);
        liar.says(lie.as_bytes());
        liar.is_closed(&what, SOON);
        assert_eq!(liar.heard, "", "{what}");
    }
    line.has_counted("framing", lies.len());
    let mut mixed = line.connect(PBX);
    mixed.says(options("first").as_bytes());
    mixed.hears("the answer to the first", |heard| heard.contains("Call-ID: first\r\n"));
    mixed.says(("garbage\r\n\r\n".to_owned() + &options("second")).as_bytes());
    mixed.is_closed("garbage between two", SOON);
    assert!(!mixed.heard.contains("second"), "where it begins is not known");
    line.has_counted("framing", lies.len() + 1);
    line.serves("after the liars");

    let mut greedy = line.connect(PBX);
    // Long names, which are repeated in the answer.
    let name = |n: u32| format!("greedy{n}-{}", "x".repeat(1_500));
    let many: String = (0..50).map(|n| options(&name(n))).collect();
    let since = Instant::now();
    while !greedy.closed && since.elapsed() < SOON {
        greedy.says(many.as_bytes());
    }
    line.serves("beside one that does not read");
    line.has_counted("unread", 1);

    idle.is_closed("one that says nothing", SOON);
    line.has_counted("silent", 1);
    half.is_closed("half a message", Duration::from_secs(12));
    line.has_counted("unfinished", 1);
    line.connect(STRANGER).is_closed("a stranger's", SOON);
    line.has_counted("stranger", 1);
    line.serves("after all of them");
    assert_eq!(line.daemon.row("SELECT count(*) FROM call"), "0");
}

/// Whether this final answer is one that the manifest (RFC 4475) expects; 486 is what the room says to a good call.
fn is_expected(expected: &str, status: Option<u16>) -> bool {
    let words = |list: &[&str]| list.iter().any(|word| expected.contains(word));
    match status {
        Some(486 | 200 | 405) if words(&["accept", "liberal"]) => true,
        Some(481) if words(&["accept"]) => true,
        Some(200) if words(&["processes normally"]) || expected == "parse" => true,
        Some(405) if words(&["parse"]) => true,
        Some(400) if words(&["error"]) => true,
        Some(status) if expected.contains(&status.to_string()) => true,
        Some(_) => words(&["no break"]),
        None => words(&["discard", "drop", "no break", "parse response"]),
    }
}

/// The final status of what is no answer to our own OPTIONS.
fn final_status(heard: &str) -> Option<u16> {
    let lines = heard.split("SIP/2.0 ").skip(1).filter(|one| !one.contains("Call-ID: after"));
    let codes = lines.filter_map(|one| one.get(..3)?.parse::<u16>().ok());
    codes.into_iter().find(|code| *code >= 200)
}

/// Until our OPTIONS behind it is answered, and a call that began has come to its end.
fn is_through(heard: &str) -> bool {
    heard.contains("Call-ID: after")
        && (!heard.contains("100 Trying") || final_status(heard).is_some())
}

/// Name, what a UAS is expected to do, bytes.
fn torture() -> Vec<(String, String, Vec<u8>)> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/rfc4475");
    let manifest = fs::read_to_string(folder.join("manifest.csv")).expect("the manifest");
    let read = |row: &str| {
        let name = row.split(',').next().expect("a name");
        let expected = row.split('"').nth(3).expect("what is expected");
        let bytes = fs::read(folder.join(name)).expect("the message");
        (name.to_owned(), expected.to_owned(), bytes)
    };
    manifest.lines().skip(1).map(read).collect()
}

/// Some of them have the branch and the host of another: sent within half a minute, they were its retransmissions
/// (RFC 3261 §17.2.3).
fn of_its_own_branch(bytes: &[u8], n: usize) -> Vec<u8> {
    const COOKIE: &[u8] = b"z9hG4bK";
    let found = bytes.windows(COOKIE.len()).position(|part| part == COOKIE);
    let Some(at) = found.map(|at| at + COOKIE.len()) else { return bytes.to_vec() };
    [&bytes[..at], format!("n{n}").as_bytes(), &bytes[at..]].concat()
}

fn judge(name: &str, expected: &str, heard: &str) -> Option<String> {
    let status = final_status(heard);
    (!is_expected(expected, status)).then(|| format!("{name}: {status:?}, but: {expected}"))
}

#[test]
fn sig_26_each_torture_message_over_udp_has_the_outcome_of_the_manifest() {
    let Some(line) = Line::open("9486") else { return };
    let mut wrong = vec![];
    for (n, (name, expected, bytes)) in torture().into_iter().enumerate() {
        let bytes = of_its_own_branch(&bytes, n);
        let socket = UdpSocket::bind(SocketAddr::from((PBX, 0))).expect("a port");
        socket.set_read_timeout(Some(Duration::from_millis(20))).expect("a timeout");
        socket.send_to(&bytes, line.address()).expect("sent");
        let via = socket.local_addr().expect("bound");
        let after = request("OPTIONS", &format!("after-{name}"), "UDP", &via, "\r\n");
        socket.send_to(after.as_bytes(), line.address()).expect("sent");
        let (mut heard, mut packet) = (String::new(), [0; 65_536]);
        wait_until(&name, SOON, || {
            if let Ok(length) = socket.recv(&mut packet) {
                heard += &String::from_utf8_lossy(&packet[..length]);
            }
            is_through(&heard).then_some(())
        });
        wrong.extend(judge(&name, &expected, &heard));
    }
    assert!(wrong.is_empty(), "\n{}", wrong.join("\n"));
    line.serves("after all of them");
}

#[test]
fn sig_26_each_torture_message_over_tcp_has_the_outcome_of_the_manifest() {
    let Some(line) = Line::open("9486") else { return };
    let (mut wrong, mut asked) = (vec![], 0);
    for (name, expected, bytes) in torture() {
        let mut framer = Framer::default();
        framer.push(&bytes);
        let frames = std::iter::from_fn(|| framer.poll().transpose());
        let frames: Vec<_> = frames.take(4).collect();
        let mut connection = line.connect(PBX);
        connection.says(&bytes);
        match &frames[..] {
            // It waits for what never comes; some have no end in the archive.
            [] => {
                let ended = bytes.windows(4).any(|part| part == b"\r\n\r\n");
                assert!(!ended || expected.contains("wait"), "{name}: {expected}");
            }
            [.., Err(_)] => connection.is_closed(&name, SOON),
            [..] => {
                connection.says(options(&format!("after-{name}")).as_bytes());
                connection.hears(&name, is_through);
                asked += 1;
                wrong.extend(judge(&name, &expected, &connection.heard));
            }
        }
    }
    assert!(wrong.is_empty(), "\n{}", wrong.join("\n"));
    assert!(asked > 40, "{asked}");
    line.serves("after all of them");
}

/// What no peer of ours is: dropped unanswered and counted, over UDP and over TCP; nobody's telephone rings.
#[test]
fn sig_27_each_method_of_a_stranger_is_dropped_and_counted() {
    const METHODS: [&str; 15] = [
        "ACK",
        "BYE",
        "CANCEL",
        "INFO",
        "INVITE",
        "MESSAGE",
        "NOTIFY",
        "OPTIONS",
        "PRACK",
        "PUBLISH",
        "REFER",
        "REGISTER",
        "SUBSCRIBE",
        "UPDATE",
        "NEWMETHOD",
    ];
    let Some(line) = Line::open("9200") else { return };
    let stranger = UdpSocket::bind(SocketAddr::from((STRANGER, 0))).expect("a port");
    stranger.set_read_timeout(Some(Duration::from_millis(500))).expect("a timeout");
    let via = stranger.local_addr().expect("bound");
    for method in METHODS {
        let text = request(method, method, "UDP", &via, "Content-Length: 0\r\n\r\n");
        stranger.send_to(text.as_bytes(), line.address()).expect("sent");
    }
    assert!(stranger.recv(&mut [0; 1500]).is_err(), "nothing is answered");
    let mut connection = line.connect(STRANGER);
    connection.says(options("stranger").as_bytes());
    connection.is_closed("a stranger's", SOON);
    assert_eq!(connection.heard, "");
    line.has_counted("stranger", 1);
    let samples = scrape(line.metrics);
    let dropped = samples.get(&("dutyline_sip_dropped_total".into(), "reason=\"stranger\"".into()));
    assert_eq!(dropped, Some(&(METHODS.len() as f64)));
    let asked = |(name, labels): &(String, String)| {
        name == "dutyline_sip_requests_total"
            && labels.contains("\"in\"")
            && labels.contains("INVITE")
    };
    assert!(!samples.keys().any(asked), "nor looked at");
    assert_eq!(line.daemon.row("SELECT count(*) FROM entry"), "0");
    assert!(line.far_end.seen.try_recv().is_err(), "no phone rang");
}

/// RFC 3261 §18.2.2: the PBX closes the connection of a call that rings; the answer comes to the port that it named, over
/// a new one, and the call goes on there.
#[test]
fn sig_08_a_connection_that_is_lost_while_it_rings_costs_no_call() {
    let Some(line) = Line::open("9180") else { return };
    let listener =
        TcpListener::bind(SocketAddr::from((PBX, line.room.ports.own(0)))).expect("a port of ours");
    let named = listener.local_addr().expect("bound");
    let voice = UdpSocket::bind(SocketAddr::from((PBX, 0))).expect("a port");
    let sdp = format!(
        "v=0\r\no=- 1 1 IN IP4 127.0.0.1\r\ns=-\r\nc=IN IP4 127.0.0.1\r\nt=0 0\r\n\
         m=audio {} RTP/AVP 8\r\n",
        voice.local_addr().expect("bound").port()
    );
    let end =
        format!("Content-Type: application/sdp\r\nContent-Length: {}\r\n\r\n{sdp}", sdp.len());
    let mut first = line.connect(PBX);
    first.says(request("INVITE", "lost", "TCP", &named, &end).as_bytes());
    first.hears("ringing", |heard| heard.contains("SIP/2.0 180 "));
    let invite = line.far_end.invited();
    drop(first);
    line.has_counted("by_peer", 1);

    listener.set_nonblocking(true).expect("set");
    let (stream, _) = wait_until("a connection of theirs", SOON, || listener.accept().ok());
    stream.set_nonblocking(false).expect("set");
    stream.set_read_timeout(Some(Duration::from_millis(100))).expect("a timeout");
    let mut second = Connection { stream, heard: String::new(), closed: false };
    second.hears("ringing again", |heard| heard.contains("SIP/2.0 180 "));
    line.far_end.answers(&invite, "200 OK");
    second.hears("the answer", |heard| {
        heard.contains("SIP/2.0 200 OK\r\n") && heard.contains("m=audio ")
    });
    let heard = second.heard.clone();
    let answer = heard.split("SIP/2.0 200 OK").nth(1).expect("the answer");
    let header = |name: &str| {
        answer.lines().find_map(|line| line.strip_prefix(name)).expect("in the answer").to_owned()
    };
    let (to, port) = (header("To: "), header("m=audio "));
    let inside = |method: &str, cseq: u32| {
        request(method, &format!("lost-{method}"), "TCP", &named, "Content-Length: 0\r\n\r\n")
            .replace(&format!("Call-ID: lost-{method}"), "Call-ID: lost")
            .replace("To: <sip:1001@127.0.0.1>", &format!("To: {to}"))
            .replace(&format!("CSeq: 1 {method}"), &format!("CSeq: {cseq} {method}"))
    };
    second.says(inside("ACK", 1).as_bytes());
    line.daemon.row_is("SELECT state FROM call", "in_call");
    let port: u16 = port.split(' ').next().and_then(|port| port.parse().ok()).expect("a port");
    is_heard(&voice, SocketAddr::from((PBX, port)), &line.far_end.media, 0x71);
    second.says(inside("BYE", 2).as_bytes());
    second.hears("the end", |heard| heard.contains("CSeq: 2 BYE"));
    line.far_end.is_let_go();
    line.daemon.row_is("SELECT disposition || ' ' || ended_by FROM call", "answered caller");
}
