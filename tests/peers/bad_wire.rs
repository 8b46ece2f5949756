//! Real phones through a real PBX over a bad wire: calls come about all the same, what was lost is counted as it was
//! lost, and the recording keeps its time.

use crate::baresip::{Baresip, Setup};
use crate::calls::talk;
use crate::daemon::{Daemon, Plan};
use crate::kamailio::{Kamailio, Setup as PbxSetup};
use crate::ports::Ports;
use crate::wire::{DESK, Nat, PHONES, Weather, Wire};
use crate::{have, wave};
use std::time::{Duration, Instant};

/// Samples in 20 ms.
const FRAME: usize = 160;
const CALL: &str = "SELECT id FROM call WHERE direction = 'in'";

/// The desk with PBX and daemon at one end of the wire, two phones at the other.
struct Room {
    wire: Wire,
    daemon: Daemon,
    caller: Baresip,
    officer: Baresip,
    _pbx: Kamailio,
    _folder: tempfile::TempDir,
    ports: Ports,
}

impl Room {
    fn open(seed: u8, answering: &str, says: [&[i16]; 2]) -> Option<Self> {
        if !have(&["kamailio", "baresip", "ip"]) {
            return None;
        }
        let wire = Wire::lay(seed)?;
        let folder = tempfile::tempdir().expect("a folder");
        let ports = Ports::take();
        let plan = Plan {
            listen: Some(&format!("{DESK}:{}", ports.line())),
            pbx: Some(&format!("\"{DESK}:{}\"", ports.pbx())),
            answering,
            ..Plan::default()
        };
        let (pbx, daemon) = wire.at_desk(|| {
            let pbx = Kamailio::set_up_at(DESK, folder.path(), &ports, &PbxSetup::default());
            let daemon = Daemon::start(folder.path(), &ports, &pbx, &plan);
            (pbx, daemon)
        });
        let phone = |user: &str, order: u16, says: &[i16]| {
            let setup = Setup { user, order, says, extra: "" };
            wire.at_phones(|| Baresip::start_at((PHONES, DESK), folder.path(), &ports, &setup))
        };
        let caller = phone("caller", 0, says[0]);
        let officer = phone("2001", 1, says[1]);
        Some(Self { wire, daemon, caller, officer, _pbx: pbx, _folder: folder, ports })
    }

    fn connect(&mut self) {
        self.caller.dial("1001");
        self.officer.incoming(Duration::from_secs(30));
        self.officer.accept();
        self.caller.wait("CALL_ESTABLISHED", Duration::from_secs(30));
    }
}

/// Of a voice that is in the recording: how far it is from its own time, first and last, in samples.
fn drift(said: &[i16], recorded: &[i16]) -> usize {
    let found = wave::stretches(said, recorded);
    let offsets: Vec<i64> = found.iter().map(|one| one.heard as i64 - one.said as i64).collect();
    let (first, last) = (offsets.first().expect("some of it"), offsets.last().expect("some"));
    first.abs_diff(*last) as usize
}

#[test]
fn rel_24_and_rec_q_over_a_bad_wire_calls_come_about_and_every_loss_is_counted() {
    let (caller_says, officer_says) = (wave::voice(31, 90), wave::voice(32, 90));
    let Some(mut room) = Room::open(24, "", [&caller_says, &officer_says]) else { return };
    room.wire.weather(Weather {
        loss: 50,
        twice: 50,
        reordered: 100,
        least_delay: Duration::from_millis(50),
        most_delay: Duration::from_millis(150),
        cut: false,
    });
    room.connect();
    talk(60);
    // What is under way when the call ends has passed the cable and reaches nobody: nothing is.
    room.wire.weather(Weather::fair());
    talk(1);
    room.officer.hangup();
    room.caller.wait("CALL_CLOSED", Duration::from_secs(40));
    let daemon = &room.daemon;
    daemon.row_is("SELECT disposition FROM call", "answered");
    daemon.row_is("SELECT count(*) FROM quality", "2");

    let voices = room.wire.voices();
    let sum = |of: fn(&crate::wire::Passage) -> u64| voices.values().map(of).sum::<u64>();
    let (missed, doubled) = (sum(|one| one.missed()), sum(|one| one.doubled));
    let counted = |column: &str| -> u64 {
        daemon.row(&format!("SELECT sum({column}) FROM quality")).parse().expect("a sum")
    };
    let (lost, twice) = (counted("lost"), counted("doubled"));
    println!("dropped {missed}, counted {lost}; doubled {doubled}, counted {twice}");
    println!("late {}, out of order {}", counted("late"), counted("reordered"));
    assert!(missed > 200 && missed.abs_diff(lost) <= 4, "{missed} dropped, {lost} counted");
    assert!(doubled.abs_diff(twice) <= 6, "{doubled} doubled, {twice} counted");
    assert!(counted("reordered") > 200);
    daemon.row_is("SELECT count(*) FROM quality WHERE rtt_us BETWEEN 95000 AND 450000", "2");
    for party in ["caller", "officer"] {
        let of =
            |column| daemon.row(&format!("SELECT {column} FROM quality WHERE party = '{party}'"));
        let mos: u64 = of("mos_mean").parse().expect("judged");
        println!("{party}: jitter {} us, MOS {mos}", of("jitter_us"));
        assert!((100..310).contains(&mos), "a loss of 5 % is heard: {mos}");
    }

    let recorded = daemon.recording(CALL);
    for (said, recorded) in [&caller_says, &officer_says].into_iter().zip(&recorded.channels) {
        let drift = drift(said, recorded);
        println!("drift over the minute: {drift} samples");
        assert!(drift < FRAME, "less than a frame");
    }
    let gaps =
        daemon.row("SELECT sum(json_extract(value, '$.lasts_ms')) FROM recording, json_each(gaps)");
    let gaps: u64 = gaps.parse().expect("a sum");
    assert!(gaps.abs_diff(20 * lost) <= 20 * lost / 4, "{gaps} ms of gaps for {lost} packets");
}

/// sig_23 too.
#[test]
fn rel_23_a_cut_of_five_seconds_is_survived_and_a_long_one_ends_the_call_with_its_reason() {
    let (caller_says, officer_says) = (wave::voice(33, 60), wave::voice(34, 60));
    let answering = "silence_seconds = 10";
    let Some(mut room) = Room::open(23, answering, [&caller_says, &officer_says]) else { return };
    room.connect();
    talk(3);
    let cut = |room: &Room, cut| room.wire.weather(Weather { cut, ..Weather::fair() });
    cut(&room, true);
    talk(5);
    cut(&room, false);
    talk(3);
    assert_eq!(room.daemon.row("SELECT state FROM call"), "in_call", "five seconds are survived");
    let since = Instant::now();
    cut(&room, true);
    room.daemon.row_is("SELECT state FROM call", "ended");
    let took = since.elapsed();
    assert!(took > Duration::from_secs(8), "ended after {took:?}");
    println!("ended {took:?} after the cut: {}", room.daemon.row("SELECT why FROM call"));
    room.daemon.row_is("SELECT count(*) FROM quality WHERE lost BETWEEN 200 AND 300", "2");
    let recorded = room.daemon.recording(CALL);
    let seconds = recorded.channels[0].len() / wave::RATE;
    assert!((19..24).contains(&seconds), "{seconds} s, its silence included");
    cut(&room, false);
    // The phones find out as soon as they hear again.
    room.caller.wait("CALL_CLOSED", Duration::from_secs(40));
}

/// A real phone behind a NAT that gives its voice another port than its session description names: each hears the other,
/// and the recording has both. When the NAT forgets it and takes yet another port, nobody tells us: it is not heard any
/// more, and the page says why.
#[test]
fn rel_t11_a_phone_behind_a_nat_hears_and_is_heard_and_one_that_wanders_is_told() {
    let (caller_says, officer_says) = (wave::voice(35, 60), wave::voice(36, 60));
    let Some(mut room) = Room::open(11, "", [&caller_says, &officer_says]) else { return };
    let first = room.ports.phone_media(1);
    let nat = |above| Nat { first, last: first + 7, above };
    room.wire.hide_phones(nat(10_000));
    room.connect();
    talk(6);
    let daemon = &room.daemon;
    let seen = |action| {
        format!(
            "SELECT substr(detail, 1, instr(detail, ':') - 1) FROM audit WHERE action = '{action}'"
        )
    };
    daemon.row_is(&seen("call.latched"), &format!("officer {PHONES}"));
    assert_eq!(daemon.try_row(&seen("call.stray_voice")), None);
    room.wire.hide_phones(nat(20_000));
    talk(3);
    daemon.row_is(&seen("call.stray_voice"), &format!("officer {PHONES}"));
    room.caller.hangup();
    room.officer.wait("CALL_CLOSED", Duration::from_secs(10));
    daemon.row_is("SELECT disposition FROM call", "answered");
    let strangers = daemon.row("SELECT sum(strangers) FROM carried WHERE party = 'officer'");
    let strangers: u64 = strangers.parse().expect("a sum");
    println!("{strangers} packets of the officer's were nobody's");
    assert!((140..260).contains(&strangers), "0.2 s at the beginning, 3 s at the end");
    let recorded = daemon.recording(CALL);
    let pairs = [
        ("the recording of the caller", &caller_says, &recorded.channels[0], 8),
        ("the recording of the officer", &officer_says, &recorded.channels[1], 5),
        ("the officer heard the caller", &caller_says, &room.officer.heard(), 5),
        ("the caller heard the officer", &officer_says, &room.caller.heard(), 5),
    ];
    for (what, said, heard, seconds) in pairs {
        let found = wave::compare(said, heard).unwrap_or_else(|| panic!("{what}: nothing of it"));
        println!("{what}: {found:?}");
        assert!(found.same > seconds * wave::RATE, "{what}: {found:?}");
    }
}
