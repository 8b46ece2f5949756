//! A leader joins caller and officer by key 6, each a real phone behind a real PBX: who hears whom, and what is
//! recorded.

use crate::baresip::Baresip;
use crate::calls::{Room, calls_for_the_leader, connect, talk};
use crate::daemon::{Daemon, Plan};
use crate::handover::hands_over;
use crate::wave;
use std::time::Duration;

const SOON: Duration = Duration::from_secs(8);
const CALL: &str = "SELECT id FROM call WHERE direction = 'in'";
const LEGS: &str =
    "SELECT group_concat(phone || ' ' || how || ' ' || (ended_ms - taken_ms > 1000)) FROM leg";
/// Caller, officer, leader.
const HERTZ: [f64; 3] = [620.0, 1370.0, 2290.0];
/// What a voice that ought not to be there is weaker by.
const APART: f64 = 20.0;

fn tone(hertz: f64) -> Vec<i16> {
    let at = |n: usize| (n as f64 * hertz * std::f64::consts::TAU / wave::RATE as f64).sin();
    (0..60 * wave::RATE).map(|n| (at(n) * 6000.0) as i16).collect()
}

/// How loud each tone is in half a second of this, in decibels of what was said.
fn levels(sound: &[i16]) -> [f64; 3] {
    HERTZ.map(|hertz| {
        let (mut re, mut im) = (0.0, 0.0);
        for (n, sample) in sound.iter().enumerate() {
            let phase = n as f64 * hertz * std::f64::consts::TAU / wave::RATE as f64;
            re += f64::from(*sample) * phase.cos();
            im += f64::from(*sample) * phase.sin();
        }
        let level = 2.0 * f64::hypot(re, im) / sound.len() as f64;
        20.0 * (level / 6000.0).max(1e-6).log10()
    })
}

/// Half seconds in which just these are heard: the others at least 20 dB below the weakest of them.
fn only(sound: &[i16], wanted: &[usize]) -> usize {
    let halves = sound.chunks_exact(wave::RATE / 2).map(levels);
    let fits = halves.filter(|levels| {
        let (there, absent): (Vec<usize>, Vec<usize>) = (0..3).partition(|n| wanted.contains(n));
        let weakest = there.iter().map(|n| levels[*n]).fold(f64::MAX, f64::min);
        let loudest = absent.iter().map(|n| levels[*n]).fold(f64::MIN, f64::max);
        weakest > -6.0 && loudest < weakest - APART
    });
    fits.count()
}

/// The longest stretch without any sound between the first and the last.
fn longest_quiet(sound: &[i16]) -> Duration {
    let loud: Vec<usize> = (0..sound.len()).filter(|n| sound[*n].unsigned_abs() > 600).collect();
    let most = loud.windows(2).map(|pair| pair[1] - pair[0]).max().unwrap_or(usize::MAX);
    Duration::from_micros((most * 125) as u64)
}

/// Caller and officer talk, he has called for the leader, and the leader's phone rings.
struct Three {
    room: Room,
    daemon: Daemon,
    caller: Baresip,
    officer: Baresip,
    leader: Baresip,
}

impl Three {
    /// `audio_codecs`: further parameters of their accounts.
    fn begin(audio_codecs: [&str; 3]) -> Option<Self> {
        let mut room = Room::open()?;
        let daemon = room.daemon(&Plan::default());
        let [of_caller, of_officer, of_leader] = HERTZ.map(tone);
        let mut caller = room.phone_with("caller", &of_caller, audio_codecs[0]);
        let mut officer = room.phone_with("2001", &of_officer, audio_codecs[1]);
        let mut leader = room.phone_with("3001", &of_leader, audio_codecs[2]);
        connect(&mut caller, &mut officer);
        talk(2);
        calls_for_the_leader(&mut officer);
        leader.incoming(SOON);
        Some(Self { room, daemon, caller, officer, leader })
    }

    /// He picks up, listens for a moment, and presses this key.
    fn leader_presses(&mut self, key: char) {
        self.leader.accept();
        self.leader.established();
        talk(2);
        self.leader.press(key);
    }
}

fn three(audio_codecs: [&str; 3]) {
    let Some(mut three) = Three::begin(audio_codecs) else { return };
    three.leader_presses('6');
    let Three { daemon, caller, officer, leader, .. } = &mut three;
    daemon.row_is("SELECT state FROM escalation", "acknowledged");
    daemon.row_is("SELECT result FROM attempt", "acknowledged");
    talk(6);
    leader.hangup();
    leader.closed();
    talk(3);
    caller.hangup();
    officer.closed();
    caller.closed();

    daemon.row_is("SELECT disposition FROM call WHERE direction = 'in'", "answered");
    assert_eq!(daemon.row("SELECT count(*) FROM entry"), "1");
    assert_eq!(daemon.row(LEGS), "话机2001 rung 1,leader conference 1");
    let (at_caller, at_officer, at_leader) = (caller.heard(), officer.heard(), leader.heard());
    for (who, heard, before, among) in [
        ("caller", &at_caller, &[1][..], &[1, 2][..]),
        ("officer", &at_officer, &[0], &[0, 2]),
        ("leader", &at_leader, &[], &[0, 1]),
    ] {
        let (two, three) = (only(heard, before), only(heard, among));
        println!("{who}: {two} half seconds of two, {three} of three");
        assert!(three >= 8, "{who} hears the two others: {three} half seconds");
        assert!(before.is_empty() || two >= 8, "{who} hears the other before and after: {two}");
    }
    let recorded = daemon.recording(CALL);
    let (left, right) = (&recorded.channels[0], &recorded.channels[1]);
    let alone = only(left, &[0]);
    let both = only(right, &[1, 2]);
    println!("recorded: {alone} half seconds of the caller, {both} of officer and leader");
    assert!(alone >= 24 && both >= 8);
    for (who, heard) in [("caller", &at_caller), ("officer", &at_officer)] {
        println!("{who}: longest quiet {:?}", longest_quiet(heard));
    }
    let quiet = [longest_quiet(left), longest_quiet(right)];
    println!("recording: longest quiet {quiet:?}");
    assert!(quiet.iter().all(|quiet| *quiet < Duration::from_millis(100)), "{quiet:?}");
}

#[cfg(feature = "opus")]
#[test]
fn rec_s4_a_caller_who_speaks_nothing_but_opus_sits_at_the_table() {
    three([";audio_codecs=opus/48000/2", "", ""]);
}

#[test]
fn sig_22_and_rec_s4_what_one_of_three_presses_the_two_others_hear_once() {
    let Some(mut three) = Three::begin([""; 3]) else { return };
    three.leader_presses('6');
    let Three { daemon, caller, officer, leader, .. } = &mut three;
    daemon.row_is("SELECT state FROM escalation", "acknowledged");
    talk(1);
    let hears = |phone: &mut Baresip, key: char| {
        loop {
            // The officer's own keys for the daemon were heard by the caller too, before.
            let heard = phone.wait("CALL_DTMF_START", SOON);
            if heard["param"] == key.to_string() {
                return;
            }
        }
    };
    caller.press('3');
    hears(officer, '3');
    hears(leader, '3');
    leader.press('4');
    hears(caller, '4');
    hears(officer, '4');
    // As fast as it takes them: whole and in their order at both, with the leader's voice between them.
    let typed = "1357924680#1";
    typed.chars().for_each(|key| caller.press(key));
    talk(8);
    for phone in [&mut *officer, &mut *leader] {
        assert_eq!(phone.keys(), typed, "{}", phone.user);
    }
    caller.hangup();
    officer.closed();
    leader.closed();
}

#[test]
fn rec_s4_each_of_three_phones_hears_the_two_others_and_the_recording_has_all() {
    three([""; 3]);
}

#[test]
fn rec_s4_three_codecs_at_one_table() {
    three([";audio_codecs=G722", ";audio_codecs=PCMA", ";audio_codecs=PCMU"]);
}

/// As the unit restarts it for an upgrade: all three hear each other on, in one entry.
#[test]
fn sig_35_and_rec_s4_handed_over_to_the_next_run_three_go_on() {
    let Some(mut three) = Three::begin([""; 3]) else { return };
    three.leader_presses('6');
    let joined = "SELECT count(*) FROM leg WHERE how = 'conference' AND taken_ms > 0";
    three.daemon.row_is(joined, "1");
    talk(2);
    hands_over(&mut three.daemon, &three.room, &Plan::default());
    talk(4);
    let Three { daemon, caller, officer, leader, .. } = &mut three;
    caller.hangup();
    officer.closed();
    leader.closed();
    caller.closed();
    daemon.row_is("SELECT disposition FROM call WHERE direction = 'in'", "answered");
    assert_eq!(daemon.row("SELECT count(*) FROM entry"), "1");
    for (who, heard, others) in [
        ("caller", caller.heard(), [1, 2]),
        ("officer", officer.heard(), [0, 2]),
        ("leader", leader.heard(), [0, 1]),
    ] {
        let (all, late) = (only(&heard, &others), only(&heard[heard.len() / 2..], &others));
        println!("{who}: {all} half seconds of both others, {late} of them in the second half");
        assert!(all >= 9 && late >= 5, "{who}: {all} {late}");
    }
    let recorded = daemon.recording(CALL);
    assert!(only(&recorded.channels[1], &[1, 2]) >= 9, "officer and leader are on our side");
}

/// The officer hangs up and the leader has the caller; then the caller hangs up.
#[test]
fn rec_s4_the_leader_goes_on_alone_with_the_caller() {
    let Some(mut three) = Three::begin([""; 3]) else { return };
    three.leader_presses('6');
    let Three { daemon, caller, officer, leader, .. } = &mut three;
    daemon.row_is("SELECT count(*) FROM leg WHERE how = 'conference' AND taken_ms > 0", "1");
    talk(3);
    officer.hangup();
    officer.closed();
    talk(4);
    caller.hangup();
    leader.closed();
    caller.closed();
    daemon.row_is("SELECT ended_by FROM call WHERE direction = 'in'", "caller");
    let heard = caller.heard();
    assert!(only(&heard, &[1, 2]) >= 3 && only(&heard, &[2]) >= 5, "both, then the leader");
    assert!(only(&leader.heard(), &[0]) >= 5, "the caller alone");
    let recorded = daemon.recording(CALL);
    assert!(only(&recorded.channels[1], &[2]) >= 5, "the leader is on our side");
}

/// Key 5 after the call: the desk rings, and what leader and officer say is recorded in the same entry.
#[test]
fn key_5_rings_the_desk_and_the_recording_of_the_leaders_call_has_both() {
    let Some(mut three) = Three::begin([""; 3]) else { return };
    three.caller.hangup();
    three.officer.closed();
    three.leader_presses('5');
    let Three { daemon, officer, leader, .. } = &mut three;
    officer.incoming(SOON);
    daemon.row_is("SELECT state FROM escalation", "acknowledged");
    officer.accept();
    officer.established();
    talk(5);
    leader.hangup();
    officer.closed();
    leader.closed();
    let attempt = "SELECT id FROM call WHERE direction = 'to_leader'";
    let recorded = daemon.recording(attempt);
    let (left, right) = (&recorded.channels[0], &recorded.channels[1]);
    assert!(only(left, &[2]) >= 8 && only(right, &[1]) >= 8, "leader left, officer right");
    assert!(only(&officer.heard(), &[2]) >= 8 && only(&leader.heard(), &[1]) >= 8);
    assert_eq!(daemon.row("SELECT count(*) FROM entry"), "1");
    let same =
        "SELECT count(DISTINCT entry) || ' ' || count(*) FROM call JOIN recording ON call = id";
    daemon.row_is(same, "1 2");
}
