//! Strangers and a mad PBX while a call is on: nobody in the call notices, nothing of it is written
//! down, and the next caller is heard.
//!
//! `DUTYLINE_FLOOD_SECONDS` makes the flood as long as `tests/all --long flood` wants it.

mod talk;

use crate::daemon::Plan;
use crate::process::wait_until;
use crate::wave;
use std::net::{SocketAddr, UdpSocket};
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::{scope, sleep};
use std::time::{Duration, Instant};
use talk::Talk;

/// An address that the PBX does not have.
const STRANGER: &str = "127.0.0.77";

fn seconds() -> u32 {
    let wanted = std::env::var("DUTYLINE_FLOOD_SECONDS").ok();
    wanted.and_then(|text| text.parse().ok()).unwrap_or(3)
}

fn bind(host: &str) -> UdpSocket {
    let socket = UdpSocket::bind((host, 0)).expect("a port");
    socket.set_nonblocking(true).expect("a socket of ours");
    socket
}

/// Sends `make(n)` so often a second until `stop`; how many, and what came back.
fn flood(
    from: &UdpSocket,
    to: &[SocketAddr],
    per_second: u32,
    stop: &AtomicBool,
    make: impl Fn(u32) -> Vec<u8>,
) -> (u32, Vec<String>) {
    let (start, mut sent, mut back) = (Instant::now(), 0, vec![]);
    let mut bytes = [0; 4096];
    while !stop.load(Ordering::Relaxed) {
        let due = start.elapsed().as_secs_f64() * f64::from(per_second);
        while f64::from(sent) < due {
            let target = to[sent as usize % to.len()];
            // A full socket buffer is a packet less, as on a network.
            let _ = from.send_to(&make(sent), target);
            sent += 1;
        }
        while let Ok(length) = from.recv(&mut bytes) {
            back.push(String::from_utf8_lossy(&bytes[..length]).into_owned());
        }
        sleep(Duration::from_millis(1));
    }
    sleep(Duration::from_millis(300));
    while let Ok(length) = from.recv(&mut bytes) {
        back.push(String::from_utf8_lossy(&bytes[..length]).into_owned());
    }
    (sent, back)
}

/// A stranger sprays the live ports with what would be right but for its address: as RTP, keys, RTCP
/// BYE and noise. The recording is what was said, and the stranger hears nothing (rel_08, T10–T13).
#[test]
fn rel_08_a_spray_on_the_live_ports_changes_nothing_and_gets_nothing() {
    let plan = Plan { phones: &[("9200", 20)], ..Plan::default() };
    let Some(talk) = Talk::begin(&plan, 5) else { return };
    let stranger = bind(STRANGER);
    let neighbour = bind("127.0.0.1");
    let targets: Vec<_> = talk
        .ports
        .iter()
        .flat_map(|port| {
            let control = SocketAddr::new(port.ip(), port.port() + 1);
            [*port, *port, *port, control]
        })
        .collect();
    let spray = |n: u32| -> Vec<u8> {
        let sequence = (n % 65_536) as u16;
        let head = |kind: u8| {
            let mut packet = vec![0x80, kind];
            packet.extend(sequence.to_be_bytes());
            packet.extend((n * 160).to_be_bytes());
            packet.extend((7_u32 ^ 0x5eed).to_be_bytes());
            packet
        };
        match n % 8 {
            0 => [head(101), vec![1, 0x8a, 0, 160]].concat(),
            1 => vec![0x81, 203, 0, 1, 0, 0, 0x5e, 0xea],
            2 => vec![0x80; 40],
            _ => [head(8), vec![0x2a; 160]].concat(),
        }
    };
    let stop = AtomicBool::new(false);
    let (heard, sprayed) = scope(|threads| {
        let far = threads.spawn(|| flood(&stranger, &targets, 4_000, &stop, spray));
        let near = threads.spawn(|| flood(&neighbour, &targets, 1_000, &stop, spray));
        let heard = talk.speak();
        stop.store(true, Ordering::Relaxed);
        (heard, [far.join().expect("sprayed"), near.join().expect("sprayed")])
    });
    for (heard, said) in heard {
        assert_eq!(heard, said, "the two hear each other and nobody else");
    }
    for (sent, back) in sprayed {
        println!("{sent} packets sprayed");
        assert!(sent > 4_000 && back.is_empty(), "{sent} {}", back.len());
    }
    talk.is_recorded();
    talk.daemon.row_is("SELECT count(*) FROM carried WHERE lost = 0 AND untaped = 0", "2");
    let dropped: u64 =
        talk.daemon.row("SELECT sum(strangers) FROM carried").parse().expect("a sum");
    assert!(dropped > 10_000, "{dropped} counted");
    let told = "SELECT count(*) FROM audit WHERE action IN ('call.latched', 'call.stray_voice')";
    assert_eq!(talk.daemon.row(told), "2", "each leg's stranger is told once, and none taken up");
    assert_eq!(talk.daemon.row("SELECT count(*) FROM escalation"), "0", "no key was heard");
}

/// The officer's own side goes mad and sends 5,000 packets a second: the caller is sent no more than
/// a telephone makes, and what the caller says is heard and recorded whole (T12).
#[test]
fn rel_t12_a_party_that_floods_is_held_to_what_a_telephone_sends() {
    let plan = Plan { phones: &[("9200", 20)], ..Plan::default() };
    let Some(talk) = Talk::begin(&plan, 5) else { return };
    let mad = talk.far_end.media.try_clone().expect("the officer's own socket");
    let stop = AtomicBool::new(false);
    let own = |n: u32| {
        let mut packet = vec![0x80, 8];
        packet.extend(((7 + n) as u16).to_be_bytes());
        packet.extend((n * 160).to_be_bytes());
        packet.extend((7_u32 ^ 0x5eed).to_be_bytes());
        packet.extend([0xd5; 160]);
        packet
    };
    let begin = Instant::now();
    let (heard, sent) = scope(|threads| {
        let to = [talk.ports[0]];
        let flood = threads.spawn({
            let stop = &stop;
            move || {
                let (start, mut sent) = (Instant::now(), 0);
                while !stop.load(Ordering::Relaxed) {
                    while f64::from(sent) < start.elapsed().as_secs_f64() * 5_000.0 {
                        let _ = mad.send_to(&own(sent), to[0]);
                        sent += 1;
                    }
                    sleep(Duration::from_millis(1));
                }
                sent
            }
        });
        let heard = talk.speak();
        stop.store(true, Ordering::Relaxed);
        (heard, flood.join().expect("flooded"))
    });
    let [(at_officer, said), (at_caller, _)] = heard;
    let most = 400 + 200 * usize::try_from(begin.elapsed().as_secs() + 1).expect("few");
    println!("{sent} sent by the officer's side, {at_caller} reached the caller");
    assert!(sent > 20_000 && at_caller <= most, "{at_caller} of at most {most}");
    assert_eq!(at_officer, said, "the caller is heard");
    talk.caller.hang_up();
    talk.daemon.row_is("SELECT disposition FROM call", "answered");
    let recorded = talk.daemon.recording("SELECT id FROM call");
    // A mad clock stretches its own side's line, so the voice may begin late in the file.
    let pieces = wave::stretches(&talk.says[1], &recorded.channels[0]);
    let length: usize = pieces.iter().map(|piece| piece.length).sum();
    assert!(pieces.len() == 1 && length + 1_600 >= talk.says[1].len(), "{pieces:?}");
}

fn invite(n: u32, from: SocketAddr, to: SocketAddr, caller: &str) -> Vec<u8> {
    let sdp = "v=0\r\no=- 1 1 IN IP4 127.0.0.1\r\ns=-\r\nc=IN IP4 127.0.0.1\r\nt=0 0\r\n\
               m=audio 9 RTP/AVP 8\r\n";
    format!(
        "INVITE sip:1001@{to} SIP/2.0\r\nVia: SIP/2.0/UDP {from};branch=z9hG4bKf{caller}{n}\r\n\
         Max-Forwards: 70\r\nFrom: <sip:{caller}@{from}>;tag=f{n}\r\nTo: <sip:1001@{to}>\r\n\
         Call-ID: flood-{caller}-{n}\r\nCSeq: 1 INVITE\r\nContact: <sip:{caller}@{from}>\r\n\
         Content-Type: application/sdp\r\nContent-Length: {}\r\n\r\n{sdp}",
        sdp.len()
    )
    .into_bytes()
}

/// The first status over 100 that a new caller from the PBX's address gets, and after how long.
fn dial(line: SocketAddr, caller: &str) -> (u16, Duration) {
    let socket = bind("127.0.0.1");
    let from = socket.local_addr().expect("bound");
    let start = Instant::now();
    socket.send_to(&invite(1, from, line, caller), line).expect("sent");
    wait_until("an answer to the duty call", Duration::from_secs(5), || {
        let mut bytes = [0; 4096];
        let length = socket.recv(&mut bytes).ok()?;
        let text = String::from_utf8_lossy(&bytes[..length]).into_owned();
        let status = text.get(8..11)?.parse().ok()?;
        (status > 100).then(|| (status, start.elapsed()))
    })
}

/// 1,000 INVITE/s of a stranger, then 200/s from the PBX's own address, during a call (rel_04,
/// rel_07): loss below 0.1 %, the duty call rings within 500 ms, no row and one line of a stranger's,
/// the surplus of the PBX gets 503 and is counted, memory within 50 MB, sockets as before.
#[test]
fn sig_31_a_flood_of_calls_beside_a_call() {
    let plan = Plan { phones: &[("9200", 20)], ..Plan::default() };
    let length = seconds();
    let Some(talk) = Talk::begin(&plan, length) else { return };
    let line = SocketAddr::from(([127, 0, 0, 1], talk.room.ports.line()));
    let before = talk.holds();
    let (heard, sent, back, answer) = during(&talk, line, STRANGER, 1_000, "stranger");
    println!("{sent} INVITEs of a stranger; the duty call: {answer:?}; heard {heard:?}");
    assert!(
        sent >= 900 * length && back.is_empty(),
        "a stranger hears nothing: {:?}",
        back.first()
    );
    // A phone of this far end takes every call at once.
    assert_eq!(answer.0, 200, "it is heard");
    assert!(answer.1 < Duration::from_millis(500), "{answer:?}");
    is_whole(heard);
    talk.daemon.row_is("SELECT count(*) FROM call", "2");
    let lines = talk.daemon.process.log().matches("SIP messages were dropped").count();
    assert!(lines <= 1 + length as usize / 60, "{lines} lines");

    let (heard, sent, back, answer) = during(&talk, line, "127.0.0.1", 200, "13700000000");
    println!("{sent} INVITEs of the PBX; the duty call: {answer:?}; heard {heard:?}");
    let calls = |text: &&String| text.contains(" INVITE\r\n");
    let surplus: std::collections::BTreeSet<_> = back
        .iter()
        .filter(calls)
        .filter(|text| text.starts_with("SIP/2.0 503 "))
        .filter(|text| text.contains("Retry-After: "))
        .filter_map(|text| text.lines().find(|line| line.starts_with("Call-ID: ")))
        .collect();
    assert!(answer.1 < Duration::from_millis(500), "{answer:?}");
    is_whole(heard);
    let duty = format!("SELECT count(*) FROM call WHERE caller = '{}'", duty_number("13700000000"));
    talk.daemon.row_is(&duty, "1");
    let most = 60 * (length + 2) + 120;
    assert!(surplus.len() as u32 + most >= sent, "{} of {sent} got 503", surplus.len());
    let summaries = "FROM audit WHERE action = 'turn_away'";
    let rows: u32 = talk.daemon.row(&format!("SELECT count(*) {summaries}")).parse().expect("rows");
    assert!((1..=2 + length / 60).contains(&rows), "{rows} rows for the whole flood");
    if length >= 30 {
        // What was not served is counted: each INVITE is a row of its own or in a summary.
        sleep(Duration::from_secs(12));
        let number = |query: &str| -> u32 { talk.daemon.row(query).parse().expect("a number") };
        let counted = number("SELECT count(*) FROM call") - 2
            + number(&format!("SELECT sum(CAST(detail AS INTEGER)) {summaries}"));
        println!("{sent} INVITEs and the duty call: {counted} counted");
        assert!(counted <= sent + 1 && counted * 1000 >= sent * 999, "{counted} of {sent}");
    }
    let (memory, open) = talk.holds();
    println!("resident {} -> {memory}, open {} -> {open}", before.0, before.1);
    assert!(memory < before.0 + 50_000_000 && open <= before.1 + 4);
    talk.caller.hang_up();
    let first = "SELECT disposition FROM call WHERE caller = '13800130007'";
    talk.daemon.row_is(first, "answered");
}

/// A request or response that opens no call.
fn other(n: u32, from: SocketAddr, to: SocketAddr) -> Vec<u8> {
    const METHODS: [&str; 8] =
        ["OPTIONS", "REGISTER", "SUBSCRIBE", "MESSAGE", "ACK", "BYE", "200 OK", "INVITE"];
    let method = METHODS[n as usize % METHODS.len()];
    let (first, cseq) = match method {
        "200 OK" => ("SIP/2.0 200 OK".to_owned(), "INVITE"),
        method => (format!("{method} sip:1001@{to} SIP/2.0"), method),
    };
    let tag = if matches!(method, "ACK" | "BYE" | "200 OK" | "INVITE") { ";tag=x" } else { "" };
    format!(
        "{first}\r\nVia: SIP/2.0/UDP {from};branch=z9hG4bKo{n}\r\nMax-Forwards: 70\r\n\
         From: <sip:x@{from}>;tag=o{n}\r\nTo: <sip:1001@{to}>{tag}\r\nCall-ID: other-{n}\r\n\
         CSeq: 1 {cseq}\r\nContact: <sip:x@{from}>\r\nContent-Length: 0\r\n\r\n"
    )
    .into_bytes()
}

/// OPTIONS, REGISTER, SUBSCRIBE, MESSAGE, ACK, BYE and responses, 1,000 of each a second: of a stranger, who hears
/// nothing, then of the PBX. The two who talk hear each other, the duty call is taken, no row and no memory for it.
#[test]
fn rel_06_a_thousand_a_second_of_each_other_message_beside_a_recorded_call() {
    let plan = Plan { phones: &[("9200", 20)], ..Plan::default() };
    let Some(talk) = Talk::begin(&plan, seconds()) else { return };
    let line = SocketAddr::from(([127, 0, 0, 1], talk.room.ports.line()));
    let before = talk.holds();
    for (host, duty) in [(STRANGER, "13900000001"), ("127.0.0.1", "13900000002")] {
        let socket = bind(host);
        let from = socket.local_addr().expect("bound");
        let make = |n| other(n, from, line);
        let (heard, sent, back, answer) =
            beside(&talk, duty, |stop| flood(&socket, &[line], 7_000, stop, make));
        println!(
            "{sent} from {host}, {} answered; the duty call: {answer:?}; {heard:?}",
            back.len()
        );
        assert!(sent >= 6_000 * seconds(), "{sent}");
        assert!(
            host != STRANGER || back.is_empty(),
            "a stranger hears nothing: {:?}",
            back.first()
        );
        assert_eq!(answer.0, 200, "it is heard");
        assert!(answer.1 < Duration::from_millis(500), "{answer:?}");
        is_whole(heard);
    }
    assert_eq!(
        talk.daemon.row("SELECT count(*) FROM call"),
        "3",
        "the call and the two duty calls"
    );
    let lines = talk.daemon.process.log().matches("SIP messages were dropped").count();
    assert!(lines <= 2 + seconds() as usize / 60, "{lines} lines");
    let (memory, open) = talk.holds();
    println!("resident {} -> {memory}, open {} -> {open}", before.0, before.1);
    assert!(memory < before.0 + 50_000_000 && open <= before.1 + 4);
    talk.caller.hang_up();
    talk.daemon.row_is("SELECT disposition FROM call WHERE caller = '13800130007'", "answered");
    let call = "SELECT id FROM call WHERE caller = '13800130007'";
    let recorded = talk.daemon.recording(call);
    let pieces = wave::stretches(&talk.says[1], &recorded.channels[0]);
    let length: usize = pieces.iter().map(|piece| piece.length).sum();
    assert!(length * 1000 >= talk.says[1].len() * 990, "{length} samples are on the tape");
}

/// 3,000 INVITEs a second, from 10,000 addresses, each of which is used once in a while.
#[test]
fn rel_05_three_thousand_calls_a_second_from_ten_thousand_forged_addresses() {
    const ADDRESSES: u32 = 10_000;
    let plan = Plan { phones: &[("9200", 20)], ..Plan::default() };
    let length = seconds() + 1;
    let Some(talk) = Talk::begin(&plan, length) else { return };
    let line = SocketAddr::from(([127, 0, 0, 1], talk.room.ports.line()));
    let before = talk.holds();
    let watched: Vec<UdpSocket> = (0..100).map(|n| bind(&forged(n * 97))).collect();
    let (heard, sent, back, answer) = beside(&talk, "13900000003", |stop| {
        let (start, mut sent) = (Instant::now(), 0);
        while !stop.load(Ordering::Relaxed) {
            while f64::from(sent) < start.elapsed().as_secs_f64() * 3_000.0 {
                let n = sent % ADDRESSES;
                let own = watched.get(n as usize / 97).filter(|_| n.is_multiple_of(97));
                let made = own.is_none().then(|| bind(&forged(n)));
                let socket = own.or(made.as_ref()).expect("one of them");
                let from = socket.local_addr().expect("bound");
                let _ = socket.send_to(&invite(sent, from, line, "forged"), line);
                sent += 1;
            }
            sleep(Duration::from_millis(1));
        }
        let mut bytes = [0; 4096];
        let back = watched.iter().filter(|socket| socket.recv(&mut bytes).is_ok());
        (sent, back.map(|socket| format!("{socket:?}")).collect())
    });
    println!("{sent} INVITEs; the duty call: {answer:?}; heard {heard:?}");
    assert!(sent >= ADDRESSES && back.is_empty(), "{sent}, heard by {back:?}");
    assert_eq!(answer.0, 200, "it is heard");
    assert!(answer.1 < Duration::from_millis(500), "{answer:?}");
    is_whole(heard);
    talk.daemon.row_is("SELECT count(*) FROM call", "2");
    let (memory, open) = talk.holds();
    println!("resident {} -> {memory}, open {} -> {open}", before.0, before.1);
    assert!(memory < before.0 + 50_000_000 && open <= before.1 + 2);
    talk.caller.hang_up();
}

fn forged(n: u32) -> String {
    format!("127.1.{}.{}", n / 200, 1 + n % 200)
}

/// Another for each flood.
fn duty_number(flooding: &str) -> String {
    format!("139{:08}", flooding.len())
}

type Flooded = ([(usize, usize); 2], u32, Vec<String>, (u16, Duration));

/// The two talk while somebody calls so often; in the middle of it the duty call comes.
fn during(talk: &Talk, line: SocketAddr, host: &str, per_second: u32, caller: &str) -> Flooded {
    let socket = bind(host);
    let from = socket.local_addr().expect("bound");
    let make = |n| invite(n, from, line, caller);
    beside(talk, &duty_number(caller), |stop| flood(&socket, &[line], per_second, stop, make))
}

/// The two talk while somebody floods until he is stopped; in the middle of it the duty call comes.
fn beside(
    talk: &Talk,
    duty: &str,
    flooding: impl FnOnce(&AtomicBool) -> (u32, Vec<String>) + Send,
) -> Flooded {
    let stop = AtomicBool::new(false);
    let line = SocketAddr::from(([127, 0, 0, 1], talk.room.ports.line()));
    scope(|threads| {
        let stop = &stop;
        let flooding = threads.spawn(move || flooding(stop));
        let duty = threads.spawn(|| {
            // Late: what piles up has piled up.
            sleep(Duration::from_secs(u64::from(seconds())) * 2 / 3);
            dial(line, duty)
        });
        let heard = talk.speak();
        stop.store(true, Ordering::Relaxed);
        let (sent, back) = flooding.join().expect("flooded");
        (heard, sent, back, duty.join().expect("dialled"))
    })
}

fn is_whole(heard: [(usize, usize); 2]) {
    for (heard, said) in heard {
        assert!(heard * 1000 >= said * 999 && heard <= said, "{heard} of {said}");
    }
}
