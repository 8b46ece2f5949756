//! What is fuzzed: one function over bytes for each target, used by `fuzz/` and by the replay alike.
//! Any input may come; a panic is a fault.

use chrono::DateTime;
use dutyline::config::Config;
use dutyline::duty::notices::reply;
use dutyline::duty::proof::Value;
use dutyline::duty::proof::item::row;
use dutyline::io::flac::codec;
use dutyline::io::tape::record;
use dutyline::io::wav_file;
use dutyline::io::web::ranges::{Asked, asked};
use dutyline::protocol::gsm::{Delivered, Report, whole};
use dutyline::protocol::now::{Mono, Now};
use dutyline::protocol::random::Random;
use dutyline::protocol::rtp::gate::Gate;
use dutyline::protocol::rtp::mixer::Mixer;
use dutyline::protocol::rtp::narrow::{Ear, SAMPLES_MAX};
use dutyline::protocol::rtp::packet::{self, Packet};
use dutyline::protocol::rtp::quality::Reception;
use dutyline::protocol::rtp::relay::{REPORT_ROOM, Relay};
use dutyline::protocol::rtp::rtcp;
use dutyline::protocol::rtp::telephone_event::Keys;
use dutyline::protocol::rtp::tones::Listener;
use dutyline::protocol::rtp::{Channel, Codec, Command, Party, Stream, Wanted};
use dutyline::protocol::sdp;
use dutyline::protocol::sip::address::{NameAddr, Uri, Via};
use dutyline::protocol::sip::claims::Claims;
use dutyline::protocol::sip::digest::Challenge;
use dutyline::protocol::sip::endpoint::Endpoint;
use dutyline::protocol::sip::message::{Request, Response, identity, user_of};
use dutyline::protocol::sip::stream::Framer;
use dutyline::protocol::sip::wire;
use dutyline::protocol::sip::{Account, AorId, Event, Habits, LegId, Outgoing, Peer, Transport};
use std::io::{Cursor, Read, Seek, SeekFrom};
use std::sync::Once;
use std::time::Duration;

pub type Target = fn(&[u8]);

pub const ALL: [(&str, Target); 16] = [
    ("message", message),
    ("framer", framer),
    ("uri", uri),
    ("digest_challenge", digest_challenge),
    ("sdp", session_description),
    ("rtp", rtp),
    ("rtcp", rtcp),
    ("telephone_event", telephone_event),
    ("dialog_events", dialog_events),
    ("tape", tape),
    ("wav", wav),
    ("flac", flac),
    ("http_range", http_range),
    ("configuration", configuration),
    ("canonical_record", canonical_record),
    ("short_message", short_message),
];

/// Read as a request and as a response, and heard by the line; what it answers can be read.
pub fn message(bytes: &[u8]) {
    if let Ok(message) = wire::parse(bytes) {
        Claims::read(&message);
        let _ = Request::read(message.clone());
        let _ = Response::read(message);
    }
    let mut end = endpoint("192.0.2.10:5060", "192.0.2.1:5060");
    end.handle_message(peer("192.0.2.1:5060"), bytes, now());
    while let Some(event) = end.poll_event() {
        if let Event::Incoming { leg, .. } = event {
            end.ring(leg, None, now());
            end.answer(leg, SDP.into(), now());
            end.bye(leg, now());
        }
    }
    while let Some(transmit) = end.poll_transmit() {
        let said = wire::parse(&transmit.bytes).expect("what we say can be read");
        // All Vias are copied, and our own lines come on top.
        let fair = said.defect.is_none_or(|defect| defect == "too many headers");
        assert!(fair, "{:?}: {}", said.defect, String::from_utf8_lossy(&transmit.bytes));
    }
}

/// Cut at once and byte by byte: the same messages.
pub fn framer(bytes: &[u8]) {
    let frames = |pieces: &mut dyn Iterator<Item = &[u8]>| {
        let mut framer = Framer::default();
        let mut frames = vec![];
        for piece in pieces {
            framer.push(piece);
            while let Ok(Some(frame)) = framer.poll() {
                frames.push(frame);
            }
        }
        frames
    };
    let whole = frames(&mut std::iter::once(bytes));
    assert_eq!(whole, frames(&mut bytes.chunks(1)));
    assert_eq!(whole, frames(&mut bytes.chunks(7)));
}

pub fn uri(bytes: &[u8]) {
    if let Some(uri) = Uri::parse(bytes) {
        uri.ip();
        uri.param("transport");
    }
    if let Some(address) = NameAddr::parse(bytes) {
        address.tag();
    }
    if let Some(via) = Via::parse(bytes) {
        via.branch();
        via.received_from("192.0.2.1:5060".parse().expect("an address"));
    }
    let shown = identity(bytes);
    assert!(!shown.display.chars().chain(shown.user.chars()).any(char::is_control));
    user_of(bytes);
}

pub fn digest_challenge(bytes: &[u8]) {
    Challenge::parse(bytes);
    Challenge::strongest([bytes, bytes].into_iter(), Some(b"pbx"));
}

pub fn session_description(bytes: &[u8]) {
    match sdp::parse(bytes) {
        Ok(session) => {
            session.remote();
            session.held();
        }
        Err(fault) => {
            assert!((400..500).contains(&fault.status()) && !fault.to_string().is_empty())
        }
    }
}

/// A packet that can be read is written again as it was, but for what we do not send.
pub fn rtp(bytes: &[u8]) {
    let Some(read) = packet::parse(bytes) else { return };
    let mut out = [0; packet::BYTES_MAX];
    if let Some(length) = packet::build(&read, &mut out) {
        assert_eq!(packet::parse(&out[..length]).as_ref(), Some(&read));
    }
    let mut copy = bytes.to_vec();
    packet::set_payload_type(&mut copy, 0);
    packet::payload_mut(&mut copy).fill(0xd5);
    // Sequence numbers as the bytes say, through everything that counts them.
    let (mut gate, mut reception, mut now) = (Gate::default(), Reception::default(), Mono(1));
    for pair in bytes.chunks_exact(2) {
        let sequence = u16::from_be_bytes([pair[0], pair[1]]);
        let packet = Packet { sequence, ..read };
        now = now + Duration::from_millis(u64::from(pair[0]));
        if gate.admits(&packet, now) {
            reception.handle_packet(&packet, Some(8000), now);
        }
    }
    reception.tally();
    heard(bytes, &read);
}

/// Clocks as the bytes say, through what listens and what mixes: a few, for each costs a whole payload.
fn heard(bytes: &[u8], read: &Packet<'_>) {
    let mut now = Mono(1);
    let mut tones = Listener::new(Wanted { network: true, fax: true, keys: true });
    let (mut ear, mut out) = (Ear::default(), [0; SAMPLES_MAX]);
    ear.prepare(Codec::Opus);
    let seats = [0, 1, 2].map(Channel);
    let mut mixer = Mixer::new(seats, now);
    let payload = &read.payload[..read.payload.len().min(packet::BYTES_MAX)];
    for step in bytes.chunks_exact(4).take(8) {
        now = now + Duration::from_millis(u64::from(step[0]));
        let timestamp = u32::from_be_bytes([step[0] & 1, step[1] & 1, step[2], step[3]]);
        let packet = Packet { timestamp, ssrc: u32::from(step[3] & 1), payload, ..*read };
        let codec = Codec::ALL[usize::from(step[1]) % Codec::ALL.len()];
        if let Some(heard) = ear.hear(codec, &packet, &mut out) {
            tones.handle_voice(&heard, now);
            mixer.handle_voice(seats[usize::from(step[0]) % 3], &heard);
        }
        assert!(std::iter::from_fn(|| mixer.turn(now)).count() <= 3 * 11, "no burst");
    }
}

/// Read by itself, and by a relay in the middle of a call, whose own report can be read.
pub fn rtcp(bytes: &[u8]) {
    rtcp::read(bytes, 0);
    let (remote, channel) = ("192.0.2.1:4000".parse().expect("an address"), Channel(0));
    let mut relay = Relay::new(1, vec![], Random::from_seed([7; 32]));
    let (call, party, stream) = (Default::default(), Party::Caller, Stream::a_law(remote));
    relay.handle_command(Command::Open { channel, call, party, stream }, Mono(1));
    let mut voice = [0x80, 8, 0, 1, 0, 0, 0, 160, 0, 0, 0, 9, 0xd5, 0xd5];
    relay.handle_packet(channel, remote, &mut voice, Mono(1));
    let beside = "192.0.2.1:4001".parse().expect("an address");
    let mut now = Mono(1);
    for cut in [bytes.len(), bytes.len() / 2] {
        relay.handle_report(channel, beside, &mut bytes[..cut].to_vec(), now);
        now = now + Duration::from_secs(8);
        relay.handle_timeout(now);
        let mut out = [0; REPORT_ROOM];
        let report = relay.poll_report(now, &mut out).expect("one is due");
        let told = rtcp::read(&out[..report.length], 9).expect("what we write can be read");
        assert_eq!(told.block.map(|block| block.extended), Some(1));
    }
}

/// Eight bytes are one packet: time, clock, source and marker, and the four of the event.
pub fn telephone_event(bytes: &[u8]) {
    let (mut keys, mut now, mut pressed) = (Keys::default(), Mono(1), 0);
    for (n, step) in bytes.chunks_exact(8).enumerate() {
        now = now + Duration::from_millis(u64::from(step[0]));
        keys.handle_timeout(now);
        let packet = Packet {
            payload_type: 101,
            marker: step[3] & 0x80 != 0,
            sequence: n as u16,
            timestamp: u32::from(step[1]) * 160 + u32::from(step[2]) * 0x0100_0000,
            ssrc: u32::from(step[3] & 1),
            payload: &step[4..],
        };
        keys.handle_packet(&packet, now);
        while let Some(key) = keys.poll() {
            assert!("0123456789*#ABCD".contains(key));
            pressed += 1;
        }
    }
    assert!(pressed <= 2 * (bytes.len() / 8), "a packet ends two presses at most");
}

const SDP: &[u8] = b"v=0\r\no=- 1 1 IN IP4 192.0.2.1\r\ns=-\r\nc=IN IP4 192.0.2.1\r\nt=0 0\r\n\
    m=audio 4000 RTP/AVP 8\r\n";

fn now() -> Now {
    let wall = DateTime::from_timestamp(1_800_000_000, 0).expect("a moment");
    Now { mono: Mono(1), wall }
}

fn peer(addr: &str) -> Peer {
    Peer { transport: Transport::Udp, addr: addr.parse().expect("an address") }
}

fn endpoint(local: &str, pbx: &str) -> Endpoint {
    let account = Account {
        local: local.parse().expect("an address"),
        pbx: peer(pbx),
        peers: vec![],
        habits: Habits::default(),
        domain: "duty.example".into(),
        user: "101".into(),
        display: String::new(),
        auth_user: "101".into(),
        password: "secret".into(),
        realm: None,
        expires: 60,
        others: vec![],
        session_expires: 1800,
        also_trusted: vec![],
        agent: "dutyline".into(),
    };
    Endpoint::new(account, Random::from_seed([7; 32]))
}

/// Record after record, as the recovery reads a tape that was cut or damaged: what is read is what was written.
pub fn tape(bytes: &[u8]) {
    let (mut rest, mut again) = (bytes, vec![]);
    while !rest.is_empty() {
        let Some((head, packet)) = record::read(rest) else {
            rest = &rest[1..];
            continue;
        };
        let length = head.record_length();
        again.clear();
        record::write(&head, packet, &mut again);
        assert_eq!(again, rest[..length]);
        rest = &rest[length..];
    }
}

/// A greeting of the site, and our own recordings.
pub fn wav(bytes: &[u8]) {
    if let Ok(channels) = wav_file::read(bytes) {
        let samples: usize = channels.iter().map(Vec::len).sum();
        assert!(2 * samples <= bytes.len(), "no more than there is");
    }
}

/// The decoder's own panics on damaged input, which `codec` makes errors of, are not told: a fuzzer would end at one.
static FLAC_FAULTS_ARE_CAUGHT: Once = Once::new();

/// A recording that was packed, as a disk gives it back: read from its start and from the middle, and never more than it
/// says.
pub fn flac(bytes: &[u8]) {
    FLAC_FAULTS_ARE_CAUGHT.call_once(|| {
        let told = std::panic::take_hook();
        std::panic::set_hook(Box::new(move |panic| {
            let caught = panic.location().is_some_and(|at| at.file().contains("/flac-codec-"));
            if !caught {
                told(panic);
            }
        }));
    });
    let Ok(mut wav) = codec::Wav::open(Cursor::new(bytes)) else { return };
    let length = wav.length();
    for from in [0, length / 2] {
        let mut read = vec![];
        let at = wav.seek(SeekFrom::Start(from)).expect("it is only said where");
        let _ = wav.by_ref().take(256 * 1024).read_to_end(&mut read);
        assert!(read.len() as u64 <= length - at);
    }
}

/// Eight bytes are how much there is, the others what a browser asks of it.
pub fn http_range(bytes: &[u8]) {
    let Some((length, range)) = bytes.split_first_chunk() else { return };
    let length = u64::from_be_bytes(*length);
    let range = String::from_utf8_lossy(range);
    match asked(Some(&range), length) {
        Asked::Part(part) => assert!(part.start < part.end && part.end <= length),
        Asked::Beyond => assert!(range.contains('=')),
        Asked::All => {}
    }
}

/// Whoever wrote it is told what is wrong, in words; files that it names are none of this.
pub fn configuration(bytes: &[u8]) {
    let text = String::from_utf8_lossy(bytes);
    if text.contains("_file") || text.contains('/') {
        return;
    }
    if let Err(faults) = Config::parse("fuzzed.toml", &text, &Default::default()) {
        assert!(!faults.to_string().is_empty());
    }
}

/// Three columns, cut where the first bytes say: another cut, another name or another kind is another row.
pub fn canonical_record(bytes: &[u8]) {
    let [a, b, rest @ ..] = bytes else { return };
    if rest.is_empty() {
        return;
    }
    let mut cuts = [usize::from(*a) % rest.len(), usize::from(*b) % rest.len()];
    cuts.sort_unstable();
    let digest = |cuts: [usize; 2], name: &str, as_text: bool| {
        let parts = [&rest[..cuts[0]], &rest[cuts[0]..cuts[1]], &rest[cuts[1]..]];
        let value = |part| if as_text { Value::Text(part) } else { Value::Blob(part) };
        row([(name, value(parts[0])), ("b", value(parts[1])), ("c", value(parts[2]))].into_iter())
    };
    let ours = digest(cuts, "a", true);
    assert_eq!(ours, digest(cuts, "a", true));
    assert_ne!(ours, digest(cuts, "ab", true));
    assert_ne!(ours, digest(cuts, "a", false));
    if cuts[1] > cuts[0] {
        assert_ne!(ours, digest([cuts[0] + 1, cuts[1]], "a", true));
    }
}

/// Two ends of a wire in virtual time. Each pair of bytes is one act of one end: what, and which of
/// its calls, or what becomes of the next message. At the end both must come to rest.
pub fn dialog_events(bytes: &[u8]) {
    let (a, b) = ("192.0.2.10:5060", "192.0.2.1:5060");
    let mut ends = [(endpoint(a, b), vec![], peer(b)), (endpoint(b, a), vec![], peer(a))];
    let mut wire: Vec<(usize, Vec<u8>)> = vec![];
    let mut now = now();
    for act in bytes.chunks_exact(2).take(400) {
        let one = usize::from(act[0] >> 7);
        let leg = ends[one].1.get(usize::from(act[1]) % 8).copied();
        perform(act[0] & 0x7f, leg, &mut ends[one], now);
        now = now + Duration::from_millis(u64::from(act[1]) * 20);
        carry(&mut ends, &mut wire, act[0], now);
        for (end, ..) in &mut ends {
            end.handle_timeout(now);
        }
    }
    for _ in 0..20_000 {
        carry(&mut ends, &mut wire, 0, now);
        for (end, legs, _) in &mut ends {
            for leg in legs.drain(..) {
                end.refuse(leg, 486, None, now);
                end.cancel(leg, now);
                end.bye(leg, now);
            }
        }
        let due = ends.iter().filter_map(|(end, ..)| end.poll_timeout()).map(|(at, _)| at).min();
        let Some(due) = due.filter(|_| ends.iter().any(|(end, ..)| end.load() != (0, 0))) else {
            break;
        };
        now = now + due.since(now.mono).max(Duration::from_millis(1));
        for (end, ..) in &mut ends {
            end.handle_timeout(now);
        }
    }
    for (end, ..) in &ends {
        assert_eq!(end.load(), (0, 0), "everything comes to rest");
    }
}

type End = (Endpoint, Vec<LegId>, Peer);

fn perform(act: u8, leg: Option<LegId>, (end, legs, peer): &mut End, now: Now) {
    let sdp = || SDP.to_vec();
    match (act % 13, leg) {
        (0, _) if legs.len() < 8 => {
            let call = Outgoing {
                target: "200".into(),
                aor: AorId::default(),
                display: String::new(),
                from_user: None,
                sdp: sdp(),
                headers: vec![],
            };
            legs.push(end.invite(call, now));
        }
        (1, Some(leg)) => end.ring(leg, None, now),
        (2, Some(leg)) => end.ring(leg, Some(sdp()), now),
        (3, Some(leg)) => end.answer(leg, sdp(), now),
        (4, Some(leg)) => end.refuse(leg, 486, None, now),
        (5, Some(leg)) => end.cancel(leg, now),
        (6, Some(leg)) => end.bye(leg, now),
        (7, Some(leg)) => end.offer(leg, sdp(), now),
        (8, Some(leg)) => end.accept_offer(leg, sdp(), now),
        (9, Some(leg)) => end.refuse_offer(leg, 488, now),
        (10, _) => end.handle_unreachable(*peer, "gone", now),
        _ => {}
    }
}

/// The wire loses, doubles and turns around as the act says.
fn carry(ends: &mut [End; 2], wire: &mut Vec<(usize, Vec<u8>)>, act: u8, now: Now) {
    for round in 0..8 {
        for (one, (end, legs, _)) in ends.iter_mut().enumerate() {
            while let Some(transmit) = end.poll_transmit() {
                wire.push((1 - one, transmit.bytes));
            }
            while let Some(event) = end.poll_event() {
                match event {
                    Event::Incoming { leg, .. } if legs.len() < 8 => legs.push(leg),
                    Event::Incoming { leg, .. } => end.refuse(leg, 486, None, now),
                    _ => {}
                }
            }
        }
        if wire.is_empty() {
            return;
        }
        match act % 16 {
            11 if round == 0 => drop(wire.pop()),
            12 if round == 0 => wire.reverse(),
            13 if round == 0 => wire.extend(wire.clone()),
            14 => return,
            _ => {}
        }
        for (to, bytes) in wire.drain(..) {
            let (end, _, peer) = &mut ends[to];
            end.handle_message(*peer, &bytes, now);
        }
    }
}

/// As octets and as what a modem says: read as a message that came and as a report, alone and among its parts; what it
/// says is an answer to nothing.
pub fn short_message(bytes: &[u8]) {
    // As much as a line of a modem may have.
    let bytes = &bytes[..bytes.len().min(2048)];
    let hex: String = bytes.iter().map(|octet| format!("{octet:02X}")).collect();
    let said = String::from_utf8_lossy(bytes);
    for hex in [hex.as_str(), &said] {
        let _ = Report::read(hex);
        let Some(one) = Delivered::read(hex) else { continue };
        assert!(one.text.chars().count() <= 512 && one.from.chars().count() <= 21, "{one:?}");
        let kept = [(1, one.clone()), (2, one)];
        for (places, whole) in whole(&kept) {
            assert!(!places.is_empty());
            assert_eq!(reply::meaning(&whole.text, whole.sent, &[]), reply::Meaning::Strange);
            let _ = reply::may_be_answered(&reply::at_home(&whole.from));
        }
    }
    assert_eq!(reply::meaning(&said, None, &[]), reply::Meaning::Strange);
}
