//! What a leader does in his call beside key 1, with a real phone behind a real PBX: he hears the caller, dictates,
//! proves who he is; and telephones that are nobody.

use crate::baresip::Baresip;
use crate::calls::{Room, talk};
use crate::daemon::{Daemon, Plan};
use crate::officer::Officer;
use crate::process::wait_until;
use crate::twin::FarEnd;
use crate::wave;
use dutyline::protocol::rtp::{Codec, g711};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

const SOON: Duration = Duration::from_secs(8);
const ATTEMPT: &str = "SELECT id FROM call WHERE direction = 'to_leader'";

/// A call that was flagged and is over, its recording sealed.
pub fn flagged(room: &mut Room, daemon: &Daemon, caller_says: &[i16]) {
    let officer_says = vec![0; 30 * wave::RATE];
    let mut caller = room.phone("caller", caller_says);
    let mut officer = room.phone("2001", &officer_says);
    caller.dial("1001");
    officer.incoming(SOON);
    officer.accept();
    caller.established();
    officer.established();
    talk(4);
    officer.press('*');
    talk(1);
    officer.press('9');
    daemon.row_is("SELECT urgency FROM entry", "urgent");
    caller.hangup();
    officer.closed();
    let sealed =
        "SELECT r.state FROM recording r JOIN call c ON c.id = r.call WHERE direction = 'in'";
    daemon.row_is(sealed, "sealed");
}

#[test]
fn esc_03_esc_04_the_leader_hears_the_caller_and_what_he_dictates_can_be_heard() {
    let Some(mut room) = Room::open() else { return };
    let daemon = room.daemon(&Plan::default());
    let (caller_says, leader_says) = (wave::voice(41, 30), wave::voice(43, 60));
    let mut leader = room.phone("3001", &leader_says);
    flagged(&mut room, &daemon, &caller_says);
    leader.incoming(SOON);
    leader.accept();
    leader.established();
    talk(2);
    leader.press('1');
    daemon.row_is("SELECT state FROM escalation", "acknowledged");
    talk(1);
    leader.press('2');
    talk(4);
    leader.press('2');
    daemon.row_is("SELECT lasts_ms BETWEEN 3000 AND 6000 FROM heard", "1");
    daemon.row_is("SELECT read_how FROM escalation", "recording");
    talk(1);
    leader.press('9');
    talk(1);
    leader.press('#');
    talk(5);
    leader.press('#');
    daemon.row_is("SELECT lasts_ms BETWEEN 3500 AND 6500 FROM instruction", "1");
    let said = std::time::Instant::now();
    leader.wait("CALL_CLOSED", Duration::from_secs(15));
    let recorded = daemon.recording(ATTEMPT);
    println!("the instruction can be played {:?} after it was said", said.elapsed());
    assert!(said.elapsed() < Duration::from_secs(10));

    let heard = leader.heard();
    let loudest = (0..heard.len().saturating_sub(3 * wave::RATE))
        .step_by(wave::RATE / 2)
        .map(|at| wave::likeness(&caller_says, &heard[at..at + 3 * wave::RATE]))
        .fold(0.0, f64::max);
    println!("three seconds that the leader heard are like the caller's: {loudest:.3}");
    assert!(loudest > 0.9, "the leader heard the caller: {loudest}");

    let offset =
        "SELECT i.from_ms - r.started_ms FROM instruction i JOIN recording r ON r.call = i.attempt";
    let from: usize = daemon.row(offset).parse().expect("a number");
    let lasts: usize = daemon.row("SELECT lasts_ms FROM instruction").parse().expect("a number");
    let part = from * 8..((from + lasts) * 8).min(recorded.channels[0].len());
    let dictated = wave::frames_said(&leader_says, &recorded.channels[0][part]);
    println!("of what was dictated {dictated:.3} is there");
    assert!(dictated > 0.95, "{dictated}");
    let audited = "SELECT group_concat(action) FROM (SELECT action FROM audit WHERE action LIKE
        'escalation.%' ORDER BY id)";
    let trail = "escalation.raise,escalation.acknowledge,escalation.read,escalation.close,\
                 escalation.instruct";
    daemon.row_is(audited, trail);
}

#[test]
fn esc_14_a_real_phone_types_a_pin_wrong_three_times_and_right_the_next_time() {
    let Some(mut room) = Room::open() else { return };
    let folder = room.folder.path().join("dutyline");
    std::fs::create_dir_all(&folder).expect("a folder");
    std::fs::write(folder.join("pin"), "4711\n").expect("written");
    let more = "[[leaders]]\nname = \"leader\"\nrole = \"leader\"\nmobile = \"3001\"\npin_file = \"pin\"\n";
    let daemon = room.daemon(&Plan { leaders: &[], more, ..Plan::default() });
    let caller_says = wave::voice(44, 30);
    let mut leader = room.phone("3001", &vec![0; 60 * wave::RATE]);
    flagged(&mut room, &daemon, &caller_says);
    leader.incoming(SOON);
    leader.accept();
    leader.established();
    talk(2);
    leader.press('2');
    for _ in 0..3 {
        talk(1);
        "1234#".chars().for_each(|key| leader.press(key));
    }
    daemon.row_is("SELECT result FROM attempt WHERE seq = 1", "wrong_pin");
    assert_eq!(daemon.row("SELECT state FROM escalation"), "open");
    assert_eq!(daemon.row("SELECT count(*) FROM heard"), "0");
    let keys = daemon.row("SELECT group_concat(key, '') FROM attempt_key");
    assert_eq!(keys, "✗✗✗", "no digit is written down");
    let _ = leader.closed();
    leader.incoming(Duration::from_secs(70));
    leader.accept();
    leader.established();
    talk(2);
    leader.press('2');
    talk(1);
    "4711#".chars().for_each(|key| leader.press(key));
    talk(3);
    leader.press('1');
    daemon.row_is("SELECT count(*) FROM heard WHERE lasts_ms > 1500", "1");
    daemon.row_is("SELECT state FROM escalation", "acknowledged");
    leader.hangup();
    let log = daemon.process.log();
    assert!(!log.contains("4711"), "the PIN is not in the log");
}

/// It takes every call at once, sends no voice, and presses nothing: nobody is there. Then a key comes beside the voice.
#[test]
fn esc_15_esc_26_a_phone_that_answers_by_itself_is_nobody_until_a_key_comes_by_info() {
    let Some(mut room) = Room::open() else { return };
    let far_end = FarEnd::start(&room.ports);
    let daemon = room.daemon(&Plan { leaders: &[("leader", "9200")], ..Plan::default() });
    flagged(&mut room, &daemon, &wave::voice(45, 30));
    let invite = far_end.invited();
    daemon.row_is("SELECT count(*) FROM attempt WHERE mute_ms > 0", "1");
    assert_eq!(daemon.row("SELECT state FROM escalation"), "open", "esc_15");
    let late = "SELECT (mute_ms - answered_ms) BETWEEN 9500 AND 11000 FROM attempt";
    assert_eq!(daemon.row(late), "1", "said after ten seconds");
    far_end.presses(&invite, '1');
    daemon.row_is("SELECT state FROM escalation", "acknowledged");
    // The keys are told, with a pause to press one.
    talk(9);
    far_end.is_let_go();
    daemon.row_is("SELECT result FROM attempt", "acknowledged");
}

/// Somebody calls, the officer wants the leader for it, and it is over.
fn comes(caller: &mut Baresip, officer: &mut Baresip, daemon: &Daemon, matter: &str) {
    caller.dial("1001");
    officer.incoming(SOON);
    officer.accept();
    caller.established();
    officer.established();
    talk(1);
    officer.press('*');
    officer.press('9');
    daemon.row_is("SELECT count(*) FROM escalation", matter);
    caller.hangup();
    officer.closed();
}

/// He has acknowledged none of two: a key for each.
fn has_a_key_for_each(leader: &mut Baresip, daemon: &Daemon) {
    leader.press('1');
    daemon.row_is("SELECT group_concat(state) FROM escalation", "acknowledged,open");
    talk(2);
    leader.press('#');
    daemon.row_is("SELECT count(*) FROM attempt WHERE ended_ms IS NOT NULL", "1");
    talk(2);
    leader.press('1');
    daemon.row_is("SELECT group_concat(state) FROM escalation", "acknowledged,acknowledged");
}

/// The second matter is flagged while his phone rings for the first: it rings once.
#[test]
fn esc_27_a_real_phone_rings_once_for_two_matters_and_each_has_its_key() {
    let Some(mut room) = Room::open() else { return };
    let daemon = room.daemon(&Plan::default());
    let quiet = vec![0; 60 * wave::RATE];
    let mut caller = room.phone("caller", &wave::voice(47, 30));
    let mut officer = room.phone("2001", &quiet);
    let mut leader = room.phone("3001", &quiet);
    for matter in ["1", "2"] {
        comes(&mut caller, &mut officer, &daemon, matter);
        if matter == "1" {
            leader.incoming(SOON);
        }
    }
    daemon.row_is("SELECT count(*) FROM attempt WHERE joined IS NOT NULL", "1");
    let rung = "SELECT count(*) FROM attempt WHERE ringing_ms IS NOT NULL";
    daemon.row_is(rung, "2");
    leader.accept();
    leader.established();
    talk(2);
    has_a_key_for_each(&mut leader, &daemon);
    let late = "SELECT max(a.answered_ms - e.raised_ms) FROM attempt a
        JOIN escalation e ON e.id = a.escalation";
    let late: u64 = daemon.row(late).parse().expect("a number");
    println!("both are announced {late} ms after their flags at most");
    assert!(late < 60_000, "{late}");
    leader.wait("CALL_CLOSED", Duration::from_secs(20));
    daemon.row_is("SELECT group_concat(result) FROM attempt", "acknowledged,acknowledged");
    let recorded = "SELECT count(*) FROM recording r JOIN call c ON c.id = r.call
        WHERE c.direction = 'to_leader' AND r.state = 'sealed'";
    daemon.row_is(recorded, "1");
}

#[test]
fn esc_28_a_matter_that_comes_while_he_listens_is_said_in_the_call_and_has_its_key() {
    let Some(mut room) = Room::open() else { return };
    let daemon = room.daemon(&Plan::default());
    let quiet = vec![0; 60 * wave::RATE];
    let mut caller = room.phone("caller", &wave::voice(50, 30));
    let mut officer = room.phone("2001", &quiet);
    let mut leader = room.phone("3001", &quiet);
    comes(&mut caller, &mut officer, &daemon, "1");
    leader.incoming(SOON);
    leader.accept();
    leader.established();
    comes(&mut caller, &mut officer, &daemon, "2");
    daemon.row_is("SELECT count(*) FROM attempt WHERE joined IS NOT NULL", "1");
    talk(5);
    has_a_key_for_each(&mut leader, &daemon);
    leader.wait("CALL_CLOSED", Duration::from_secs(20));
    daemon.row_is("SELECT group_concat(result) FROM attempt", "acknowledged,acknowledged");
    let also = wave::prompt("also");
    let heard = leader.heard();
    let said = (0..heard.len().saturating_sub(3 * wave::RATE))
        .step_by(wave::RATE / 4)
        .map(|at| wave::likeness(&also, &heard[at..at + 3 * wave::RATE]))
        .fold(0.0, f64::max);
    println!("that there is another matter is heard: {said:.3}");
    assert!(said > 0.9, "{said}");
}

/// What comes to the far end's voice for so long: when, whether something begins with it, and its sound.
pub fn listens(far_end: &FarEnd, lasts: Duration) -> JoinHandle<Vec<(Instant, bool, Vec<i16>)>> {
    let media = far_end.media.try_clone().expect("a second handle");
    media.set_read_timeout(Some(Duration::from_millis(100))).expect("set");
    thread::spawn(move || {
        let (until, mut heard, mut packet) = (Instant::now() + lasts, vec![], [0; 2048]);
        while Instant::now() < until {
            let Ok(length) = media.recv(&mut packet) else { continue };
            let sound = packet[12..length].iter().map(|byte| g711::decode(Codec::Pcma, *byte));
            heard.push((Instant::now(), packet[1] & 0x80 != 0, sound.collect()));
        }
        heard
    })
}

/// escalation.md, A 2, at real peers: the log, the telephone and the page.
#[test]
fn esc_02_key_1_is_in_the_log_within_300_ms_said_back_within_700_and_on_the_page_within_a_second() {
    let Some(mut room) = Room::open() else { return };
    let far_end = FarEnd::start(&room.ports);
    let leaders = [("leader", "9200")];
    let mut daemon = room.daemon(&Plan { leaders: &leaders, ..Plan::default() });
    let officer = Officer::first(&mut daemon);
    flagged(&mut room, &daemon, &wave::voice(49, 30));
    let invite = far_end.invited();
    let listening = listens(&far_end, Duration::from_secs(14));
    daemon.row_is("SELECT count(*) FROM attempt WHERE answered_ms > 0", "1");
    let in_sight = || officer.looks_up().contains("class=\"alarm notifying\"");
    assert!(in_sight(), "leaders are being called");
    talk(3);
    let pressed = Instant::now();
    far_end.presses(&invite, '1');
    let (mut written, mut shown) = (None, None);
    while written.is_none() || shown.is_none() {
        assert!(pressed.elapsed() < SOON, "in the log after {written:?}, shown after {shown:?}");
        let is_written = written.is_some() || daemon.row("SELECT state FROM escalation") != "open";
        written = written.or(is_written.then(|| pressed.elapsed()));
        let is_shown = shown.is_some() || !in_sight();
        shown = shown.or(is_shown.then(|| pressed.elapsed()));
    }
    let (written, shown) = written.zip(shown).expect("both");
    let confirmation = wave::prompt("confirmed");
    let heard = listening.join().expect("it ends");
    let begins = |at: usize| {
        let (when, begins, _) = &heard[at];
        let said: Vec<i16> = heard[at..].iter().flat_map(|(.., sound)| sound.clone()).collect();
        let whole = said.len() >= 3 * wave::RATE;
        let alike = || wave::likeness(&confirmation, &said[..3 * wave::RATE]) > 0.9;
        (*begins && *when > pressed && whole && alike()).then(|| when.duration_since(pressed))
    };
    let said = (0..heard.len()).find_map(begins).expect("he is told that it is confirmed");
    println!("in the log after {written:?}, said back after {said:?}, on the page after {shown:?}");
    assert!(written <= Duration::from_millis(300), "{written:?}");
    assert!(said <= Duration::from_millis(700), "{said:?}");
    assert!(shown <= Duration::from_secs(1), "{shown:?}");
    assert_eq!(daemon.row("SELECT count(*) FROM attempt"), "1", "nobody else is called");
}

/// Two seconds of nothing, and 1 as a tone.
fn one_in_the_voice() -> Vec<u8> {
    let sine = |n: usize, hertz: f64| {
        (n as f64 / wave::RATE as f64 * hertz * std::f64::consts::TAU).sin() * 5000.0
    };
    let tone = (0..wave::RATE / 10).map(|n| (sine(n, 697.0) + sine(n, 1209.0)) as i16);
    let sound = std::iter::repeat_n(8, 2 * wave::RATE).chain(tone);
    let sound = sound.chain(std::iter::repeat_n(8, wave::RATE / 2));
    sound.map(|sample| g711::encode(Codec::Pcma, sample)).collect()
}

#[test]
fn esc_11_esc_13_a_tone_is_a_key_only_where_the_site_says_so_and_the_phone_has_no_other_way() {
    for (line, has_keys, state) in [
        ("keys_in_voice = true", false, "acknowledged"),
        ("", false, "open"),
        ("keys_in_voice = true", true, "open"),
    ] {
        let Some(mut room) = Room::open() else { return };
        let far_end = match has_keys {
            true => FarEnd::start(&room.ports),
            false => FarEnd::without_keys(&room.ports),
        };
        let leaders = [("leader", "9200")];
        let daemon = room.daemon(&Plan { line, leaders: &leaders, ..Plan::default() });
        flagged(&mut room, &daemon, &wave::voice(48, 30));
        let invite = far_end.invited();
        daemon.row_is("SELECT count(*) FROM attempt WHERE answered_ms > 0", "1");
        far_end.says(&invite, &one_in_the_voice());
        talk(1);
        assert_eq!(daemon.row("SELECT state FROM escalation"), state, "{line:?} {has_keys}");
    }
}

#[test]
fn esc_75_key_3_on_a_real_phone_rings_the_substitute_at_once() {
    let Some(mut room) = Room::open() else { return };
    let leaders = [("leader", "3001"), ("substitute", "2002")];
    let daemon = room.daemon(&Plan { leaders: &leaders, ..Plan::default() });
    let quiet = vec![0; 60 * wave::RATE];
    let mut leader = room.phone("3001", &quiet);
    let mut substitute = room.phone("2002", &quiet);
    flagged(&mut room, &daemon, &wave::voice(46, 30));
    leader.incoming(SOON);
    leader.accept();
    leader.established();
    talk(2);
    leader.press('3');
    daemon.row_is("SELECT outcome FROM handing", "handed_on");
    let pressed = std::time::Instant::now();
    substitute.incoming(SOON);
    println!("the substitute's phone rings {:?} after the record", pressed.elapsed());
    assert!(pressed.elapsed() < Duration::from_secs(2));
    substitute.accept();
    substitute.established();
    talk(2);
    substitute.press('1');
    let by = "SELECT k.person || ' for ' || s.absent FROM acknowledgement k
        JOIN attempt a ON a.id = k.attempt JOIN substitution s ON s.id = a.substitution";
    daemon.row_is(by, "substitute for leader");
    wait_until("nobody is called any more", Duration::from_secs(25), || {
        (daemon.row("SELECT count(*) FROM attempt WHERE ended_ms IS NULL") == "0").then_some(())
    });
    assert_eq!(daemon.row("SELECT count(*) FROM attempt"), "2");
}
