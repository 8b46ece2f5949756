//! The daemon is killed, frozen or restarted in the middle of a call, and started again as its
//! supervisor does it.

use crate::baresip::Baresip;
use crate::cage::Cage;
use crate::calls::{Room, connect, talk};
use crate::daemon::{Daemon, Plan};
use crate::officer::Officer;
use crate::ports::Ports;
use crate::process::wait_until;
use crate::twin::{FarEnd, Seen, TrunkCaller};
use crate::wave::{self, Stretch};
use dutyline::protocol::rtp::packet;
use std::net::UdpSocket;
use std::os::unix::net::UnixDatagram;
use std::os::unix::process::ExitStatusExt;
use std::time::{Duration, Instant};

/// From the kill until the two hear each other again.
const DEAF: Duration = Duration::from_secs(2);
/// Without a sign for so long systemd ends it; the unit allows more.
const WATCHDOG: Duration = Duration::from_secs(3);

const SOON: Duration = Duration::from_secs(8);
/// Of the checkpoint's file: what stands before its first record, bytes.
const HEADER: usize = 36;

/// Two who talk, and what each says.
pub struct Talk {
    pub room: Room,
    pub daemon: Daemon,
    pub caller: Baresip,
    pub officer: Baresip,
    says: [Vec<i16>; 2],
}

impl Talk {
    pub fn begin(plan: &Plan<'_>) -> Option<Self> {
        Self::begin_with(plan, "")
    }

    /// With so much more in the phones' accounts.
    pub fn begin_with(plan: &Plan<'_>, account: &str) -> Option<Self> {
        let mut room = Room::open()?;
        let daemon = room.daemon(plan);
        let says = [wave::voice(51, 40), wave::voice(52, 40)];
        let mut caller = room.phone_with("caller", &says[0], account);
        let mut officer = room.phone_with("2001", &says[1], account);
        connect(&mut caller, &mut officer);
        talk(4);
        Some(Self { room, daemon, caller, officer, says })
    }

    fn restart(&mut self, plan: &Plan<'_>) {
        let (folder, ports) = (self.room.folder.path(), &self.room.ports);
        self.daemon.restart(folder, ports, plan);
    }

    /// The call went on, is hung up, and is one entry with one recording. How long each was deaf.
    pub fn went_on(mut self, caller_hangs_up: bool, most: Duration) -> Vec<Duration> {
        talk(4);
        let daemon = &self.daemon;
        assert_eq!(daemon.row("SELECT state FROM call"), "in_call");
        if caller_hangs_up {
            self.caller.hangup()
        } else {
            self.officer.hangup()
        }
        self.caller.closed();
        self.officer.closed();
        daemon.row_is("SELECT disposition FROM call", "answered");
        daemon.row_is(
            "SELECT ended_by FROM call",
            if caller_hangs_up { "caller" } else { "officer" },
        );
        assert_eq!(daemon.row("SELECT count(*) FROM entry"), "1");
        daemon.row_is("SELECT state FROM recording", "partial");
        assert_eq!(daemon.row("SELECT count(*) FROM recording"), "1");
        let outage = "SELECT count(*) FROM outage WHERE kind = 'service' AND to_ms > from_ms";
        daemon.row_is(outage, "1");

        let recorded = daemon.recording("SELECT id FROM call");
        let [caller_says, officer_says] = &self.says;
        let mut deaf = vec![];
        for (what, said, heard, in_time) in [
            ("the officer", caller_says, &self.officer.heard(), false),
            ("the caller", officer_says, &self.caller.heard(), false),
            ("left of the WAV", caller_says, &recorded.channels[0], true),
            ("right of the WAV", officer_says, &recorded.channels[1], true),
        ] {
            let gap = longest_gap(&wave::stretches(said, heard), in_time);
            println!("{what} missed {} ms", gap.as_millis());
            assert!(gap > Duration::ZERO && gap <= most, "{what} missed {gap:?}");
            deaf.push(gap);
        }
        deaf
    }
}

/// What was said and not heard, between the first and the last that was; `in_time`: with silence of
/// the true length in its place.
fn longest_gap(found: &[Stretch], in_time: bool) -> Duration {
    let heard: usize = found.iter().map(|one| one.length).sum();
    assert!(heard > 6 * wave::RATE, "most of it was heard: {found:?}");
    let gaps = found.windows(2).map(|pair| {
        let missed = pair[1].said.saturating_sub(pair[0].said + pair[0].length);
        let filled = pair[1].heard - (pair[0].heard + pair[0].length);
        assert!(!in_time || missed.abs_diff(filled) <= wave::RATE / 1000, "{pair:?}");
        missed
    });
    Duration::from_millis((gaps.max().unwrap_or(0) / 8) as u64)
}

fn killed_in_talk(caller_hangs_up: bool, transport: &str) {
    let plan = Plan { transport, ..Plan::default() };
    let Some(mut talk) = Talk::begin(&plan) else { return };
    talk.daemon.process.kill();
    talk.restart(&plan);
    talk.went_on(caller_hangs_up, DEAF);
}

#[test]
fn sig_34_killed_the_two_hear_each_other_again_and_the_caller_hangs_up() {
    killed_in_talk(true, "udp");
}

#[test]
fn sig_34_killed_the_two_hear_each_other_again_and_the_officer_hangs_up() {
    killed_in_talk(false, "udp");
}

/// The chain goes on over a kill; what is handed out of a call that was killed is whole.
#[test]
fn rec_e1_rec_e2_a_killed_call_is_proved_and_handed_out() {
    let plan = Plan::default();
    let Some(mut talk) = Talk::begin(&plan) else { return };
    talk.daemon.process.kill();
    talk.restart(&plan);
    crate::calls::talk(2);
    talk.caller.hangup();
    talk.officer.closed();
    let daemon = &talk.daemon;
    daemon.row_is("SELECT state FROM recording", "partial");
    let verify = || daemon.command(&["verify", "--config", "dutyline.toml"]);
    let (code, said) = verify();
    assert_eq!(code, Some(0), "{said}");
    assert!(said.contains("2 files"), "WAV and tape: {said}");
    let number = daemon.row("SELECT number FROM entry");
    let (code, said) = daemon.command(&["export", &number, "--config", "dutyline.toml"]);
    assert_eq!(code, Some(0), "{said}");
    let (code, said) = daemon.command(&["verify", &number]);
    assert_eq!(code, Some(0), "{said}");
    daemon.edit("UPDATE call SET caller = '110'");
    let (code, said) = verify();
    assert_eq!(code, Some(1), "{said}");
    assert!(said.contains("call [") && said.contains(&number), "{said}");
}

#[test]
fn sig_34_killed_over_tcp() {
    killed_in_talk(true, "tcp");
}

/// Synchronisation source, number and timestamp of what this phone hears, until it has heard nothing for a moment.
fn hears(media: &UdpSocket) -> Vec<(u32, u16, u32)> {
    media.set_read_timeout(Some(Duration::from_millis(200))).expect("a timeout");
    let mut packet = [0; 2048];
    let mut heard = vec![];
    while let Ok(length) = media.recv(&mut packet) {
        if let Some(numbers) = packet::numbers(&packet[..length]) {
            heard.push((numbers.ssrc, numbers.sequence, numbers.timestamp));
        }
    }
    heard
}

/// The officer hears that it rings, then whom he called, then him again after the kill: telephones are deaf to numbers
/// that fall back, so it is one stream.
#[test]
fn sig_34_who_heard_it_ring_before_the_kill_hears_on_after_it() {
    let Some(mut room) = Room::open() else { return };
    let far_end = FarEnd::start(&room.ports);
    let more = "[dial]\nallow = [\"20xx\"]\n";
    let plan = Plan { phones: &[("9200", 20)], more, ..Plan::default() };
    let mut daemon = room.daemon(&plan);
    let at_page = Officer::first(&mut daemon);
    let mut far = room.phone("2002", &wave::voice(53, 60));
    at_page.dials("number=2002").expect("it is called");
    far_end.invited();
    far.incoming(SOON);
    talk(2);
    far.accept();
    far.established();
    talk(2);
    let listening = far_end.media.try_clone().expect("a second handle");
    let listener = std::thread::spawn(move || hears(&listening));
    daemon.process.kill();
    let before = listener.join().expect("heard");
    daemon.restart(room.folder.path(), &room.ports, &plan);
    talk(3);
    far.hangup();
    far_end.is_let_go();
    let after = hears(&far_end.media);
    println!("{} packets before, {} after", before.len(), after.len());
    assert!(before.len() > 150 && after.len() > 40, "{} {}", before.len(), after.len());
    for pair in before.iter().chain(&after).collect::<Vec<_>>().windows(2) {
        let [(source, sequence, timestamp), (next, then, later)] = [*pair[0], *pair[1]];
        assert_eq!(source, next, "one stream");
        assert!((1..4000).contains(&then.wrapping_sub(sequence)), "{sequence} {then}");
        assert!(later.wrapping_sub(timestamp) < 8000 * 60, "{timestamp} {later}");
    }
    daemon.row_is("SELECT disposition FROM call", "answered");
}

/// Under the keys of the run that died; a new sender's packets, as libsrtp sees them.
#[test]
fn sig_34_killed_in_an_encrypted_call() {
    let plan = Plan { media: "srtp = \"require\"", ..Plan::default() };
    let Some(mut talk) = Talk::begin_with(&plan, ";mediaenc=srtp-mand") else { return };
    talk.daemon.process.kill();
    talk.restart(&plan);
    talk.went_on(true, DEAF);
}

/// SIGUSR2, as the unit has it for a restart: the old one goes at once, the new one goes on.
#[test]
fn rel_30_rec_d10_restarted_for_an_upgrade_less_than_a_second_is_missing() {
    let plan = Plan::default();
    let Some(mut talk) = Talk::begin(&plan) else { return };
    talk.daemon.process.signal(libc::SIGUSR2);
    let code = talk.daemon.process.wait_end(Duration::from_secs(5)).code();
    assert_eq!(code, Some(0), "systemd starts it again whatever it is");
    talk.restart(&plan);
    talk.went_on(false, Duration::from_secs(1));
}

#[test]
fn rel_30_told_to_stop_it_lets_the_call_finish() {
    let plan = Plan { line: "finish_seconds = 30", ..Plan::default() };
    let Some(mut talk) = Talk::begin(&plan) else { return };
    talk.daemon.process.signal(libc::SIGTERM);
    crate::calls::talk(2);
    assert_eq!(talk.daemon.process.ended(), None, "the call goes on");
    assert_eq!(talk.daemon.row("SELECT state FROM call"), "in_call");
    talk.caller.hangup();
    talk.officer.closed();
    assert_eq!(talk.daemon.process.wait_end(Duration::from_secs(8)).code(), Some(0));
    assert_eq!(talk.daemon.row("SELECT disposition FROM call"), "answered");
}

/// A daemon that no longer serves is ended by its watchdog, and the call goes on.
#[test]
fn rel_35_frozen_in_a_call_the_watchdog_restarts_it_and_the_call_goes_on() {
    let folder = tempfile::tempdir().expect("a folder");
    let path = folder.path().join("notify");
    let supervisor = UnixDatagram::bind(&path).expect("a socket");
    let notify = path.display().to_string();
    let environment = [("NOTIFY_SOCKET", notify.as_str())];
    let plan = Plan { environment: &environment, ..Plan::default() };
    let Some(mut talk) = Talk::begin(&plan) else { return };
    supervisor.set_nonblocking(true).expect("set");
    while supervisor.recv(&mut [0; 512]).is_ok() {}
    supervisor.set_nonblocking(false).expect("set");
    supervisor.set_read_timeout(Some(WATCHDOG)).expect("a timeout");
    talk.daemon.process.signal(libc::SIGSTOP);
    let frozen = Instant::now();
    while supervisor.recv(&mut [0; 512]).is_ok() {
        assert!(frozen.elapsed() < 3 * WATCHDOG, "a frozen daemon says that it is alive");
    }
    talk.daemon.process.kill();
    talk.restart(&plan);
    talk.went_on(true, WATCHDOG + DEAF + Duration::from_secs(1));
}

/// As a virtual machine is that is paused: nothing is wrong with its disk.
#[test]
fn rel_16_esc_70_stopped_in_a_call_it_has_no_alarm_when_it_goes_on() {
    let plan = Plan::default();
    let Some(mut talk) = Talk::begin(&plan) else { return };
    let officer = crate::officer::Officer::first(&mut talk.daemon);
    for seconds in [3, 4, 6] {
        talk.daemon.process.signal(libc::SIGSTOP);
        std::thread::sleep(Duration::from_secs(seconds));
        talk.daemon.process.signal(libc::SIGCONT);
        crate::calls::talk(2);
    }
    let log = talk.daemon.process.log();
    for alarm in ["the recorder fails", "does not answer", "is of no use"] {
        assert!(!log.contains(alarm), "{alarm}: {log}");
    }
    assert!(!officer.looks_up().contains("未在录音"));
    assert_eq!(
        talk.daemon.row("SELECT count(*) FROM outage WHERE kind IN ('recorder', 'log')"),
        "0"
    );
    talk.caller.hangup();
    talk.officer.closed();
    talk.daemon.row_is("SELECT state FROM recording", "sealed");
}

#[test]
fn sig_36_killed_while_it_rings_the_phone_is_cancelled_and_the_pbx_serves_the_caller() {
    let Some(mut room) = Room::open() else { return };
    let far_end = FarEnd::start(&room.ports);
    let plan = Plan { phones: &[("9180", 30)], ..Plan::default() };
    let mut daemon = room.daemon(&plan);
    let says = wave::voice(1, 20);
    let mut caller = room.phone("caller", &says);
    let mut officer = room.phone("2001", &says);
    caller.dial("1001");
    far_end.invited();
    caller.wait("CALL_RINGING", Duration::from_secs(5));
    daemon.process.kill();
    daemon.restart(room.folder.path(), &room.ports, &plan);
    let started = Instant::now();
    officer.incoming(Duration::from_secs(5));
    println!("the PBX rang the officer {} ms after", started.elapsed().as_millis());
    assert_eq!(room.pbx.count("FAIL-OPEN 503"), 1, "the PBX did it");
    let cancelled = |seen: &Seen| matches!(seen, Seen::Cancelled(_));
    let seen = std::iter::from_fn(|| far_end.seen.recv_timeout(Duration::from_secs(5)).ok());
    assert!(seen.take(4).any(|seen| cancelled(&seen)), "the phone was let go");
    officer.accept();
    caller.established();
    daemon.row_is("SELECT disposition FROM call", "interrupted");
    daemon.row_is("SELECT status FROM call", "503");
    assert_eq!(daemon.row("SELECT count(*) FROM entry"), "1");
    caller.hangup();
    officer.closed();
}

/// Whoever rings is soon written down, in a burst too. That the writing comes first is held for a moment only; the order
/// is proved where it is made.
#[test]
fn sig_36_whoever_is_invited_is_written_down_within_a_second() {
    let Some(room) = Room::open() else { return };
    let far_end = FarEnd::start(&room.ports);
    let wide = Ports::take();
    let plan = Plan {
        phones: &[("9180", 30)],
        channels: 30,
        first_port: Some(wide.all_for_media()),
        ..Plan::default()
    };
    let daemon = room.daemon(&plan);
    let kept = room.folder.path().join("dutyline/data/calls.checkpoint");
    let mut caller = TrunkCaller::new(&room.ports, "1380013");
    caller.dials_at_once("1001", 12);
    for n in 0..12 {
        let invite = far_end.invited();
        let name = invite.get("call-id").as_bytes();
        wait_until(&format!("INVITE {n} in the record"), Duration::from_secs(1), || {
            let written = std::fs::read(&kept).ok()?;
            written.windows(name.len()).any(|bytes| bytes == name).then_some(())
        });
    }
    daemon.row_is("SELECT count(*) FROM call", "12");
}

/// Nothing of the call was written down before the kill: the phone is let go as soon as it is heard of.
#[test]
fn sig_36_killed_before_it_was_written_down_the_phone_is_let_go() {
    for (answer, lets_go) in [("180 Ringing", "cancelled"), ("200 OK", "ended")] {
        let Some(mut room) = Room::open() else { return };
        let far_end = FarEnd::start(&room.ports);
        let plan = Plan { phones: &[("9180", 30)], ..Plan::default() };
        let mut daemon = room.daemon(&plan);
        let kept = room.folder.path().join("dutyline/data/calls.checkpoint");
        let before = wait_until("the first record", SOON, || {
            std::fs::read(&kept).ok().filter(|bytes| bytes.len() > HEADER)
        });
        let mut caller = room.phone("caller", &wave::voice(1, 20));
        caller.dial("1001");
        let invite = far_end.invited();
        caller.wait("CALL_RINGING", SOON);
        daemon.process.kill();
        std::fs::write(&kept, before).expect("written");
        let registered = room.pbx.count("REGISTER 1001");
        daemon.restart(room.folder.path(), &room.ports, &plan);
        wait_until("the line's registration", SOON, || {
            (room.pbx.count("REGISTER 1001") > registered).then_some(())
        });
        far_end.answers(&invite, answer);
        let seen = std::iter::from_fn(|| far_end.seen.recv_timeout(SOON).ok());
        let mut seen = seen.filter_map(|seen| match seen {
            Seen::Cancelled(_) => Some("cancelled"),
            Seen::Ended => Some("ended"),
            Seen::Invited(_) | Seen::Acknowledged | Seen::Answered(..) | Seen::Notified(_) => None,
        });
        assert_eq!(seen.next(), Some(lets_go), "after {answer}");
        assert_eq!(daemon.row("SELECT count(*) FROM entry"), "1");
    }
}

/// Where the call cannot go on, as after a power cut: what was known of it is lost.
#[test]
fn rec_a_call_cut_by_kill_9_is_recovered() {
    let Some(mut room) = Room::open() else { return };
    let mut daemon = room.daemon(&Plan::default());
    let (caller_says, officer_says) = (wave::voice(41, 40), wave::voice(42, 40));
    let mut caller = room.phone("caller", &caller_says);
    let mut officer = room.phone("2001", &officer_says);
    connect(&mut caller, &mut officer);
    talk(6);
    daemon.process.kill();
    drop(daemon);
    let known = room.folder.path().join("dutyline/data/calls.checkpoint");
    std::fs::remove_file(known).expect("it is kept there");

    let daemon = room.daemon(&Plan::default());
    daemon.row_is("SELECT disposition FROM call", "interrupted");
    assert_eq!(daemon.row("SELECT count(*) FROM entry"), "1");
    daemon.row_is("SELECT state FROM recording", "partial");
    let recorded = daemon.recording("SELECT id FROM call");
    for (said, heard) in [&caller_says, &officer_says].into_iter().zip(&recorded.channels) {
        let found = wave::compare(said, heard).expect("the voice");
        println!("6 s were spoken, {} ms are there", found.same / 8);
        assert!(found.is_whole(), "{found:?}");
        assert!(found.same > 4 * wave::RATE, "at most a second or so is lost: {found:?}");
    }
}

/// The host has not the memory for the daemon and its neighbours: the kernel ends it in the middle of a call, and the
/// supervisor starts it again. The call goes on, and nothing of the log is hurt (rel_27; I1, I3, I4, I5).
#[test]
fn rel_27_a_daemon_that_the_kernel_ends_for_want_of_memory_takes_its_call_up_again() {
    let Some(cage) = Cage::of(64 << 20) else { return };
    let enter = format!("{}; exec \"$@\"", cage.enter_first());
    let plan = Plan { through: &["sh", "-c", &enter, "sh"], ..Plan::default() };
    let Some(mut talking) = Talk::begin(&plan) else { return };
    let greedy = cage.greedy(talking.room.folder.path(), 56);
    let ended = talking.daemon.process.wait_end(Duration::from_secs(20));
    assert_eq!(ended.signal(), Some(libc::SIGKILL), "{ended}");
    let before = talking.room.pbx.count("REGISTER 1001");
    talking.restart(&Plan::default());
    drop(greedy);
    wait_until("the line's registration", Duration::from_secs(5), || {
        (talking.room.pbx.count("REGISTER 1001") > before).then_some(())
    });
    let (code, said) = talking.daemon.command(&["verify", "--config", "dutyline.toml"]);
    assert_eq!(code, Some(0), "{said}");
    talking.went_on(true, DEAF);
}
