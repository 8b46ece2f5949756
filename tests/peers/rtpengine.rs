//! rtpengine in user space between a caller in clear and our SRTP leg, as a session border controller puts it there.
//! The twin speaks its control protocol (bencode over UDP), as the PBX's module would.

use crate::calls::Room;
use crate::daemon::Plan;
use crate::have;
use crate::ports::Ports;
use crate::process::{Process, wait_until};
use crate::twin::{FarEnd, TrunkCaller, Voice};
use std::net::{SocketAddr, UdpSocket};
use std::path::Path;
use std::process::Command;
use std::thread::sleep;
use std::time::{Duration, Instant};

const TICK: Duration = Duration::from_millis(20);
const LOUD: u8 = 0xaa;
const QUIET: u8 = 0xd5;

struct Engine {
    _process: Process,
    control: UdpSocket,
    at: SocketAddr,
    turn: u32,
}

impl Engine {
    fn start(folder: &Path, ports: &Ports) -> Self {
        let at = SocketAddr::from(([127, 0, 0, 1], ports.own(1)));
        let first = ports.phone_media(4);
        let mut command = Command::new("rtpengine");
        command.args(["--interface=127.0.0.1", "--table=-1", "--foreground", "--log-stderr"]);
        command.arg(format!("--listen-ng={at}"));
        command.arg(format!("--port-min={first}")).arg(format!("--port-max={}", first + 15));
        let process = Process::start("rtpengine", folder, &mut command);
        let control = UdpSocket::bind("127.0.0.1:0").expect("a port");
        control.set_read_timeout(Some(Duration::from_millis(200))).expect("a timeout");
        let mut engine = Self { _process: process, control, at, turn: 0 };
        wait_until("rtpengine's control", Duration::from_secs(8), || {
            engine.ask(&[("command", "ping")]).filter(|answer| answer.contains("pong"))
        });
        engine
    }

    fn ask(&mut self, words: &[(&str, &str)]) -> Option<String> {
        self.turn += 1;
        let text = |word: &str| format!("{}:{word}", word.len());
        let body: String = words.iter().flat_map(|(key, value)| [text(key), text(value)]).collect();
        let cookie = format!("twin{}", self.turn);
        self.control.send_to(format!("{cookie} d{body}e").as_bytes(), self.at).ok()?;
        let mut bytes = [0; 65_536];
        let (length, _) = self.control.recv_from(&mut bytes).ok()?;
        Some(String::from_utf8_lossy(&bytes[..length]).into_owned())
    }

    /// Hands a description through, as the other side is to see it.
    fn described(&mut self, command: &str, sdp: &str, proto: &str) -> String {
        let words = [
            ("DTLS", "off"),
            ("ICE", "remove"),
            ("call-id", "town"),
            ("command", command),
            ("from-tag", "a"),
            ("sdp", sdp),
            ("to-tag", "b"),
            ("transport-protocol", proto),
        ];
        let words: Vec<_> =
            words.into_iter().filter(|(key, _)| *key != "to-tag" || command == "answer").collect();
        let answer = self.ask(&words).expect("an answer of rtpengine");
        let (_, rest) = answer.split_once("3:sdp").unwrap_or_else(|| panic!("{answer}"));
        let (length, text) = rest.split_once(':').expect("a length");
        text[..length.parse().expect("a number")].to_owned()
    }
}

#[test]
fn sig_20_sdes_with_rtpengine_between_a_caller_in_clear_and_us() {
    if !have(&["rtpengine"]) {
        return;
    }
    let Some(room) = Room::open() else { return };
    let far_end = FarEnd::start(&room.ports);
    let plan = Plan {
        phones: &[("9200", 20)],
        media: "srtp = \"require\"",
        of_phones: "srtp = \"off\"",
        ..Plan::default()
    };
    let daemon = room.daemon(&plan);
    let mut engine = Engine::start(room.folder.path(), &room.ports);
    let mut caller = TrunkCaller::new(&room.ports, "13800130007");
    let offered = engine.described("offer", &caller.offer(), "RTP/SAVP");
    assert!(offered.contains("RTP/SAVP") && offered.contains("a=crypto:"), "{offered}");
    assert_eq!(caller.call_offering("1001", &offered), 200);
    let answered = caller.answered_with().to_owned();
    assert!(
        answered.contains("RTP/SAVP") && answered.contains("AES_CM_128_HMAC_SHA1_80"),
        "{answered}"
    );
    let heard = engine.described("answer", &answered, "RTP/AVP");
    let port = heard.lines().find_map(|line| line.strip_prefix("m=audio ")).expect("audio");
    let port: u16 = port.split(' ').next().and_then(|port| port.parse().ok()).expect("a port");
    let to_caller_side = SocketAddr::from(([127, 0, 0, 1], port));
    let to_officer_side = far_end.invited().media();

    let (mut left, mut right) = (Voice::new(7), Voice::new(40_009));
    let (mut at_caller, mut at_officer, mut bytes) = (0, 0, [0; 2048]);
    let start = Instant::now();
    for tick in 0..200u32 {
        let sound = [if tick % 50 < 25 { LOUD } else { QUIET }; 160];
        caller.media.send_to(&left.packet(&sound), to_caller_side).expect("sent");
        far_end.media.send_to(&right.packet(&sound), to_officer_side).expect("sent");
        for (media, count) in [(&caller.media, &mut at_caller), (&far_end.media, &mut at_officer)] {
            media.set_nonblocking(true).expect("a mode");
            while let Ok(length) = media.recv(&mut bytes) {
                let whole = length == 172 && bytes[12..172].iter().all(|byte| *byte == bytes[12]);
                *count += u32::from(whole && [LOUD, QUIET].contains(&bytes[12]));
            }
        }
        let next = start + TICK * (tick + 1);
        sleep(next.saturating_duration_since(Instant::now()));
    }
    caller.hang_up();
    assert!(at_caller > 190 && at_officer > 190, "decrypted and whole: {at_caller} {at_officer}");
    daemon.row_is("SELECT disposition FROM call", "answered");
    let recorded = daemon.recording("SELECT id FROM call");
    for (side, samples) in recorded.channels.iter().enumerate() {
        let loud = samples.iter().filter(|sample| sample.unsigned_abs() > 30_000).count();
        assert!((14_000..=17_000).contains(&loud), "channel {side}: {loud}");
    }
    daemon.row_is("SELECT state FROM recording", "sealed");
}
