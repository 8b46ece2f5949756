//! Is it a voice? What is no voice is found while the call goes on, and kept with it; what was said around the end is
//! kept too, and every reader tells the true length of every recording.

use crate::calls::Room;
use crate::daemon::{Daemon, Plan};
use crate::have;
use crate::officer::Officer;
use crate::twin::{FarEnd, TrunkCaller, Voice};
use crate::wave;
use std::net::{SocketAddr, UdpSocket};
use std::process::Command;
use std::thread::sleep;
use std::time::{Duration, Instant};

const TICK: Duration = Duration::from_millis(20);
/// A-law of silence, of a voice's and of a loud sample.
const QUIET: u8 = 0xd5;
const VOICE: u8 = 0xba;
const LOUD: u8 = 0xaa;
const CALL: &str = "SELECT id FROM call";

/// A call of hand-written parties that is up, and where each sends its voice.
struct Talk {
    room: Room,
    daemon: Daemon,
    caller: TrunkCaller,
    far_end: FarEnd,
    to: [SocketAddr; 2],
    voices: [Voice; 2],
}

impl Talk {
    fn begin() -> Option<Self> {
        let room = Room::open()?;
        let far_end = FarEnd::start(&room.ports);
        let daemon = room.daemon(&Plan { phones: &[("9200", 20)], ..Plan::default() });
        let mut caller = TrunkCaller::new(&room.ports, "13800130007");
        assert_eq!(caller.call("1001"), 200);
        let to = [caller.remote_media(), far_end.invited().media()];
        let voices = [Voice::new(7), Voice::new(40_009)];
        Some(Self { room, daemon, caller, far_end, to, voices })
    }

    /// For so many ticks each says what is made for the tick, or nothing.
    fn say(&mut self, ticks: usize, mut what: impl FnMut(usize, usize) -> Option<[u8; 160]>) {
        let start = Instant::now();
        for tick in 0..ticks {
            let sockets: [&UdpSocket; 2] = [&self.caller.media, &self.far_end.media];
            for (side, socket) in sockets.into_iter().enumerate() {
                match what(side, tick) {
                    Some(sound) => {
                        let packet = self.voices[side].packet(&sound);
                        socket.send_to(&packet, self.to[side]).expect("sent");
                    }
                    None => self.voices[side].skip(),
                }
            }
            let next = start + TICK * u32::try_from(tick + 1).expect("few");
            sleep(next.saturating_duration_since(Instant::now()));
        }
    }
}

/// Something that rises and falls as speech does.
fn speaks(tick: usize) -> [u8; 160] {
    std::array::from_fn(|n| {
        let loud = tick % 12 < 6;
        let phase = (tick * 160 + n) * (7 + tick % 5);
        if loud && phase % 40 < 20 { VOICE ^ (n % 4) as u8 } else { QUIET }
    })
}

fn noise(tick: usize) -> [u8; 160] {
    let mut state = (tick as u32).wrapping_mul(2_654_435_761).wrapping_add(1);
    std::array::from_fn(|_| {
        state ^= state << 13;
        state ^= state >> 17;
        state ^= state << 5;
        state as u8
    })
}

#[test]
fn rec_q1_rec_q2_static_and_a_side_that_is_gone_are_found_within_ten_seconds_and_kept() {
    let Some(mut talk) = Talk::begin() else { return };
    let officer = Officer::first(&mut talk.daemon);
    talk.say(150, |_, tick| Some(speaks(tick)));
    assert!(!talk.daemon.process.log().contains("no voice is recorded"), "both speak");
    talk.say(500, |side, tick| (side == 0).then(|| noise(tick)));
    let log = talk.daemon.process.log();
    for (party, fault) in [("Caller", "Static"), ("Officer", "Absent")] {
        let said = format!("party={party} fault={fault}");
        let found =
            log.lines().any(|line| line.contains("no voice is recorded") && line.contains(&said));
        assert!(found, "{said} in\n{log}");
    }
    let shown = officer.reads(&talk.daemon.row(CALL));
    for said in ["来电方 持续噪声，不是人声", "值班员 没有语音传来", "已安全写盘"]
    {
        assert!(shown.contains(said), "{said} in {shown}");
    }
    talk.say(100, |_, tick| Some(speaks(tick)));
    talk.caller.hang_up();
    let kept = |party: &str, fault: &str| {
        format!(
            "SELECT count(*) FROM recording, json_each(findings) \
             WHERE json_extract(value, '$.party') = '{party}' \
             AND json_extract(value, '$.fault') = '{fault}'"
        )
    };
    talk.daemon.row_is(&kept("caller", "static"), "1");
    talk.daemon.row_is(&kept("officer", "absent"), "1");
    let gap = "SELECT json_extract(value, '$.lasts_ms') FROM recording, json_each(gaps) \
               WHERE json_extract(value, '$.lasts_ms') > 2000";
    let gap: u64 = talk.daemon.row(gap).parse().expect("a number");
    assert!(gap.abs_diff(10_000) < 300, "{gap} ms without a packet of the officer's");
    let recorded = talk.daemon.recording(CALL);
    let lengths = recorded.channels.iter().map(Vec::len).collect::<Vec<_>>();
    assert_eq!(lengths[0], lengths[1], "both sides at full length");
}

#[test]
fn rec_t9_the_first_packet_and_what_comes_after_bye_are_in_the_recording() {
    let Some(mut talk) = Talk::begin() else { return };
    talk.say(1, |_, _| Some([LOUD; 160]));
    talk.say(99, |_, _| Some([QUIET; 160]));
    talk.caller.hang_up();
    talk.say(60, |side, _| (side == 0).then_some([LOUD; 160]));
    let recorded = talk.daemon.recording(CALL);
    let left = &recorded.channels[0];
    let loud = |samples: &[i16]| samples.iter().filter(|one| one.unsigned_abs() > 10_000).count();
    let (first, after) = (loud(&left[..4000]), loud(&left[12_000..]));
    assert_eq!(first, 160, "the first packet is there, once");
    println!("{} ms of what was said after BYE", after / 8);
    assert!(after >= 55 * 160, "{after} samples after BYE");
    talk.daemon.row_is("SELECT state FROM recording", "sealed");
}

/// While the two go on talking, and without a gap in what is recorded.
#[test]
fn rec_l3_the_last_seconds_are_heard_again_while_the_call_goes_on() {
    let Some(mut talk) = Talk::begin() else { return };
    let officer = Officer::first(&mut talk.daemon);
    talk.say(150, |_, tick| Some(speaks(tick)));
    let path = format!("/recordings/{}/recall?seconds=30", talk.daemon.row(CALL));
    let again = officer.fetches(&path);
    let file = talk.room.folder.path().join("again.wav");
    std::fs::write(&file, again).expect("written");
    let again = wave::read(&file).expect("a WAV").channels;
    talk.say(50, |_, tick| Some(speaks(tick)));
    talk.caller.hang_up();
    let recorded = talk.daemon.recording(CALL);
    assert!(again[0].len() > 16_000, "{} samples of three seconds", again[0].len());
    for (again, recorded) in again.iter().zip(&recorded.channels) {
        let middle = &again[4000..12_000];
        assert!(recorded.windows(8000).any(|part| part == middle), "as it was said");
    }
    talk.daemon.row_is("SELECT state FROM recording", "sealed");
    talk.daemon.row_is("SELECT count(*) FROM audit WHERE action = 'recording.recall'", "1");
}

#[test]
fn rec_d2_rec_t14_every_reader_tells_the_length_of_the_call_also_after_kill_nine() {
    if !have(&["soxi", "python3", "ffprobe"]) {
        return;
    }
    let Some(mut talk) = Talk::begin() else { return };
    talk.say(200, |_, tick| Some(speaks(tick)));
    talk.caller.hang_up();
    talk.daemon.row_is("SELECT state FROM recording", "sealed");
    let length = readers_agree(&talk.daemon, CALL);
    let call = talk.daemon.row("SELECT ended_ms - answered_ms FROM call");
    let call: u64 = call.parse().expect("a number");
    println!("call {call} ms, recording {length} ms");
    assert!(call.abs_diff(length) <= 500, "call {call} ms, recording {length} ms");

    let Some(mut talk) = Talk::begin() else { return };
    talk.say(150, |_, tick| Some(speaks(tick)));
    talk.daemon.process.kill();
    let (folder, ports) = (talk.room.folder.path().to_owned(), &talk.room.ports);
    // So that the call is not taken up again: it was never there.
    std::fs::remove_file(folder.join("dutyline/data/calls.checkpoint")).expect("was kept");
    talk.daemon.restart(&folder, ports, &Plan { phones: &[("9200", 20)], ..Plan::default() });
    talk.daemon.row_is("SELECT state FROM recording", "partial");
    let length = readers_agree(&talk.daemon, CALL);
    assert!((2000..3600).contains(&length), "{length} ms of 3 s");
}

/// The length in ms of the recording of the call that the query names, as the log and every program here has it.
pub fn readers_agree(daemon: &Daemon, call: &str) -> u64 {
    let length = format!("SELECT duration_ms FROM recording WHERE call = ({call})");
    let ms: u64 = daemon.row(&length).parse().expect("a number");
    let path = daemon.recording_path(call);
    let ours = wave::read(&path).expect("a WAV").channels[0].len() as u64 / 8;
    let mut told = vec![("our own reader of tests", ours)];
    told.push(("soxi", seconds(Command::new("soxi").arg("-D").arg(&path))));
    let script =
        "import sys,wave; w=wave.open(sys.argv[1]); print(w.getnframes()/w.getframerate())";
    told.push(("Python", seconds(Command::new("python3").args(["-c", script]).arg(&path))));
    let entries = ["-v", "error", "-show_entries", "format=duration", "-of", "csv=p=0"];
    told.push(("ffprobe", seconds(Command::new("ffprobe").args(entries).arg(&path))));
    for (reader, length) in told {
        assert!(length.abs_diff(ms) <= 1, "{reader}: {length} ms, and not {ms}");
    }
    ms
}

/// What it prints as seconds, in ms.
fn seconds(command: &mut Command) -> u64 {
    let out = command.output().expect("it starts");
    let text = String::from_utf8_lossy(&out.stdout).trim().to_owned();
    let seconds: f64 = text.parse().unwrap_or_else(|_| panic!("{text:?} {out:?}"));
    (seconds * 1000.0).round() as u64
}
