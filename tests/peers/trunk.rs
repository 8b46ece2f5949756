//! An analogue line behind a gateway that answers as soon as it has dialled: what is beyond it is known by tones alone.

use crate::calls::{Room, calls_for_the_leader, connect, talk};
use crate::daemon::Plan;
use crate::wave;
use std::time::Duration;

const SOON: Duration = Duration::from_secs(8);

fn fxo() -> Plan<'static> {
    Plan { line: "answer_supervision = false", ..Plan::default() }
}

/// On and off, so many times.
fn beats(hertz: f64, on: usize, off: usize, times: usize) -> Vec<i16> {
    let rate = wave::RATE as f64;
    let at = |n: usize| (n as f64 * hertz * std::f64::consts::TAU / rate).sin() * 6000.0;
    let ms = wave::RATE / 1000;
    let one: Vec<i16> = (0..on * ms).map(|n| at(n) as i16).collect();
    [one, vec![0; off * ms]].concat().repeat(times)
}

fn busy() -> Vec<i16> {
    beats(450.0, 350, 350, 30)
}

#[test]
fn sig_37_through_the_ringing_the_sentence_is_said_and_the_key_acknowledges() {
    let Some(mut room) = Room::open() else { return };
    let daemon = room.daemon(&fxo());
    let quiet = wave::voice(41, 60);
    let ringing = beats(450.0, 1000, 4000, 20);
    let mut caller = room.phone("caller", &quiet);
    let mut officer = room.phone("2001", &quiet);
    let mut gateway = room.phone("3001", &ringing);
    connect(&mut caller, &mut officer);
    calls_for_the_leader(&mut officer);
    gateway.incoming(SOON);
    gateway.accept();
    gateway.established();
    talk(11);
    let answered = "SELECT coalesce(answered_ms, 'no') || ' ' || (ringing_ms > 0) FROM attempt";
    daemon.row_is(answered, "no 1");
    gateway.press('1');
    daemon.row_is("SELECT state FROM escalation", "acknowledged");
    // He is told which keys there are, and has time to press one.
    gateway.wait("CALL_CLOSED", Duration::from_secs(20));
    daemon.row_is("SELECT result FROM attempt", "acknowledged");
    daemon.row_is("SELECT answered_ms - started_ms > 10000 FROM attempt", "1");
    let heard = gateway.heard();
    let loud = |second: usize| {
        let samples = heard.iter().skip(second * wave::RATE).take(wave::RATE / 2);
        samples.filter(|sample| sample.unsigned_abs() > 500).count() > 100
    };
    assert!((1..6).any(loud) && (9..11).any(loud), "it was said once, and again");
    caller.hangup();
    officer.closed();
}

#[test]
fn sig_37_busy_tone_ends_the_call_to_a_leader_and_no_key_is_no_answer() {
    let Some(mut room) = Room::open() else { return };
    let daemon = room.daemon(&fxo());
    let quiet = wave::voice(42, 60);
    let declined = [beats(450.0, 1000, 4000, 1), busy()].concat();
    let mut caller = room.phone("caller", &quiet);
    let mut officer = room.phone("2001", &quiet);
    let mut gateway = room.phone("3001", &declined);
    connect(&mut caller, &mut officer);
    calls_for_the_leader(&mut officer);
    gateway.incoming(SOON);
    gateway.accept();
    gateway.established();
    // 5 s of ringing, and at most 3 s of the tone.
    gateway.wait("CALL_CLOSED", Duration::from_millis(8500));
    daemon.row_is("SELECT result FROM attempt WHERE seq = 1", "no_answer");
    daemon.row_is("SELECT coalesce(answered_ms, 'no') FROM attempt WHERE seq = 1", "no");
    let tone = "SELECT abs(ended_ms - started_ms - 5000) < 1000 FROM attempt WHERE seq = 1";
    daemon.row_is(tone, "1");
    caller.hangup();
    officer.closed();
}

#[test]
fn sig_37_a_caller_who_hung_up_is_known_by_busy_tone() {
    let Some(mut room) = Room::open() else { return };
    let daemon = room.daemon(&fxo());
    let speech = wave::voice(43, 4);
    let mut gateway = room.phone("caller", &[speech.clone(), busy()].concat());
    let mut officer = room.phone("2001", &wave::voice(44, 60));
    connect(&mut gateway, &mut officer);
    officer.wait("CALL_CLOSED", Duration::from_millis(7500));
    gateway.closed();
    daemon.row_is("SELECT disposition || ' ' || ended_by FROM call", "answered caller");
    let talked = "SELECT abs(ended_ms - answered_ms - 4000) < 400 FROM call";
    daemon.row_is(talked, "1");
    let recorded = daemon.recording("SELECT id FROM call");
    let said: usize =
        wave::stretches(&speech, &recorded.channels[0]).iter().map(|one| one.length).sum();
    assert!(said > 3 * wave::RATE, "{said} samples of the caller");
}
