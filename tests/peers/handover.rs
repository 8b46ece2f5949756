//! Handed over to the next run, as an upgrade does it, with legs of every kind: encrypted and over TCP, held, waiting, in
//! a transfer. (Three at one table: `conference.rs`.) And told to stop, once and twice.

use crate::calls::{Room, connect, talk};
use crate::daemon::{Daemon, Plan};
use crate::frozen::Frozen;
use crate::process::wait_until;
use crate::rude::is_heard;
use crate::streams::options;
use crate::survival::Talk;
use crate::twin::{FarEnd, TrunkCaller};
use crate::wave;
use std::collections::BTreeSet;
use std::io::{Read, Write};
use std::net::TcpStream;
use std::os::unix::net::UnixDatagram;
use std::sync::mpsc::{Sender, channel};
use std::time::Duration;

const SOON: Duration = Duration::from_secs(8);

/// SIGUSR2, as the unit has it for a restart, until the next run is registered.
pub fn hands_over(daemon: &mut Daemon, room: &Room, plan: &Plan<'_>) {
    let before = room.pbx.count("REGISTER 1001");
    daemon.process.signal(libc::SIGUSR2);
    assert_eq!(daemon.process.wait_end(Duration::from_secs(5)).code(), Some(0));
    daemon.restart(room.folder.path(), &room.ports, plan);
    wait_until("the next run", SOON, || (room.pbx.count("REGISTER 1001") > before).then_some(()));
}

#[test]
fn sig_35_handed_over_encrypted_and_over_tcp_the_two_talk_on() {
    let plan = Plan { transport: "tcp", media: "srtp = \"require\"", ..Plan::default() };
    let Some(mut talk) = Talk::begin_with(&plan, ";mediaenc=srtp-mand") else { return };
    hands_over(&mut talk.daemon, &talk.room, &plan);
    talk.went_on(false, Duration::from_secs(2));
}

/// One is on hold, and longer than any watchdog waits; another waits for the officer: neither is lost, and each gets
/// what he would have had.
#[test]
fn sig_35_handed_over_held_and_waiting_both_go_on() {
    let Some(mut room) = Room::open() else { return };
    let answering = "when_busy = \"queue\"\nsilence_seconds = 4\none_sided_silence_seconds = 4";
    let plan = Plan { phones: &[("2001", 60)], answering, ..Plan::default() };
    let mut daemon = room.daemon(&plan);
    let voices = [56, 57, 58].map(|seed| wave::voice(seed, 60));
    let mut first = room.phone("caller", &voices[0]);
    let mut officer = room.single_phone("2001", &voices[1]);
    let mut second = room.phone("caller2", &voices[2]);
    connect(&mut first, &mut officer);
    second.dial("1001");
    second.established();
    let open = |kind: &str| {
        format!("SELECT count(*) FROM stretch WHERE kind = '{kind}' AND to_ms IS NULL")
    };
    daemon.row_is(&open("queued"), "1");
    officer.hold();
    daemon.row_is(&open("hold"), "1");
    hands_over(&mut daemon, &room, &plan);
    talk(5);
    assert_eq!(daemon.row("SELECT count(*) FROM call WHERE state <> 'ended'"), "2");
    assert_eq!([daemon.row(&open("hold")), daemon.row(&open("queued"))], ["1", "1"]);
    officer.resume();
    let held = "SELECT count(*) FROM stretch WHERE kind = 'hold' AND to_ms - from_ms > 5000";
    daemon.row_is(held, "1");
    first.hangup();
    officer.closed();
    officer.incoming(SOON);
    officer.accept();
    officer.established();
    talk(2);
    second.hangup();
    officer.closed();
    daemon.row_is("SELECT count(*) FROM call WHERE disposition = 'answered'", "2");
    assert_eq!(daemon.row("SELECT count(*) FROM entry"), "2");
    let found = wave::compare(&voices[2], &officer.heard()).expect("who waited is heard");
    assert!(found.is_whole() && found.same > wave::RATE, "{found:?}");
}

/// The officer has handed the caller on, and the target rings when the run changes.
#[test]
fn sig_35_handed_over_in_a_transfer_the_target_has_the_caller() {
    let Some(room) = Room::open() else { return };
    let far_end = FarEnd::start(&room.ports);
    let plan = Plan { phones: &[("9200", 60), ("9180", 60)], ..Plan::default() };
    let mut daemon = room.daemon(&plan);
    let mut caller = TrunkCaller::new(&room.ports, "13800130055");
    assert_eq!(caller.call("1001"), 200);
    let officer = far_end.invited();
    far_end.refers(&officer, &format!("<sip:9180@127.0.0.1:{}>", room.ports.pbx()));
    let target = far_end.invited();
    daemon.row_is("SELECT count(*) FROM leg WHERE how = 'transfer'", "1");
    hands_over(&mut daemon, &room, &plan);
    far_end.answers(&target, "200 OK");
    assert_eq!(far_end.is_told().last().map(String::as_str), Some("SIP/2.0 200 OK"));
    far_end.is_let_go();
    is_heard(&caller.media, caller.remote_media(), &far_end.media, 0x41);
    is_heard(&far_end.media, target.media(), &caller.media, 0x42);
    caller.hang_up();
    far_end.is_let_go();
    daemon.row_is("SELECT disposition || ' ' || ended_by FROM call", "answered caller");
    let legs = "SELECT group_concat(phone || ' ' || how || ' ' || coalesce(status, 0)) FROM leg";
    assert_eq!(daemon.row(legs), "话机9200 rung 200,话机9180 transfer 200");
}

/// The disk holds the keeper of the calls still as they are handed over: who hangs up over TCP meanwhile has hung up, and
/// a new caller gets his 503 and his row.
#[test]
fn sig_35_what_comes_over_tcp_while_the_last_change_waits_is_served() {
    let plan = Plan { transport: "tcp", ..Plan::default() };
    let Some(talk) = Talk::begin(&plan) else { return };
    let Talk { room, mut daemon, mut caller, mut officer, .. } = talk;
    let keeper = Frozen::thread(&daemon.process, "checkpoint");
    officer.hold();
    let held = "SELECT count(*) FROM stretch WHERE kind = 'hold' AND to_ms IS NULL";
    daemon.row_is(held, "1");
    daemon.process.signal(libc::SIGUSR2);
    daemon.process.wait_for("line drained", SOON);
    caller.hangup();
    officer.closed();
    TrunkCaller::new(&room.ports, "13800130057").dials("1001");
    officer.incoming(SOON);
    drop(keeper);
    assert_eq!(daemon.process.wait_end(SOON).code(), Some(0));
    daemon.restart(room.folder.path(), &room.ports, &plan);
    let told =
        "SELECT group_concat(disposition || ' ' || status || ' ' || coalesce(ended_by, 'nobody'))
        FROM (SELECT * FROM call ORDER BY arrived_ms)";
    daemon.row_is(told, "answered 200 caller,interrupted 503 nobody");
    daemon.row_is("SELECT group_concat(state) FROM recording", "sealed");
}

/// Asks over a connection of its own, so many things at once, until the other end closes it: all that it heard.
fn asks_on(at: (&str, u16), peer: &str, answered: &Sender<()>) -> String {
    const AT_ONCE: usize = 20;
    let mut stream = TcpStream::connect(at).expect("it listens");
    let (mut heard, mut bytes) = (String::new(), [0; 65_536]);
    for turn in 0.. {
        let begun = heard.len();
        let name = |n| format!("asked-{peer}-{turn}-{n}");
        let questions: String = (0..AT_ONCE).map(|n| options(&name(n))).collect();
        // Whether or not that is listened to, what was said before is read.
        let _ = stream.write_all(questions.as_bytes());
        while heard[begun..].matches("\r\n\r\n").count() < AT_ONCE {
            match stream.read(&mut bytes) {
                Ok(0) | Err(_) => return heard,
                Ok(length) => heard += &String::from_utf8_lossy(&bytes[..length]),
            }
        }
        // Nobody waits any more once the run is told to go.
        let _ = answered.send(());
    }
    unreachable!("it is closed before")
}

/// Which of those questions a text names; in the log the ends of lines are written out.
fn asked(text: &str) -> impl Iterator<Item = &str> {
    let names = text.split("Call-ID: asked-").skip(1);
    names.filter_map(|rest| rest.split(['\r', '\\']).next())
}

/// Again and again, in the middle of what it is asked: every answer that it has given, as its log says, is read.
#[test]
fn sig_35_what_a_run_says_as_it_goes_is_heard() {
    let Some(room) = Room::open() else { return };
    let plan = Plan { log: "dutyline=debug,dutyline::wire=trace", ..Plan::default() };
    let mut daemon = room.daemon(&plan);
    for run in 0..4 {
        let (answered, first) = channel();
        let peers = (0..6).map(|peer| {
            let (at, answered) = (("127.0.0.1", room.ports.line()), answered.clone());
            std::thread::spawn(move || asks_on(at, &format!("{run}-{peer}"), &answered))
        });
        let peers: Vec<_> = peers.collect();
        first.iter().take(20).for_each(drop);
        hands_over(&mut daemon, &room, &plan);
        let heard: Vec<String> =
            peers.into_iter().map(|one| one.join().expect("it asked")).collect();
        assert!(heard.iter().all(|heard| heard.ends_with("\r\n\r\n")), "no answer is cut");
        let (log, of_run) = (daemon.process.log(), format!("{run}-"));
        let answers = log.lines().filter(|line| line.contains("text=SIP/2.0 200 OK"));
        let said = answers.flat_map(asked).filter(|one| one.starts_with(&of_run));
        let (said, heard) = (said.collect::<Vec<_>>(), heard.concat());
        let heard: BTreeSet<&str> = asked(&heard).collect();
        let lost: Vec<_> = said.iter().filter(|one| !heard.contains(*one)).collect();
        println!("run {run}: {} of {} answers are lost", lost.len(), said.len());
        assert!(said.len() >= 400 && lost.is_empty(), "run {run}: {lost:?} of {}", said.len());
    }
}

/// Told once it lets the two finish and leaves newcomers to the PBX; told twice it hangs up on both.
#[test]
fn sig_35_told_twice_to_stop_it_waits_for_nobody() {
    let folder = tempfile::tempdir().expect("a folder");
    let path = folder.path().join("notify");
    let supervisor = UnixDatagram::bind(&path).expect("a socket");
    supervisor.set_read_timeout(Some(Duration::from_secs(60))).expect("a timeout");
    let (stopping, told) = channel();
    std::thread::spawn(move || {
        let mut bytes = [0; 512];
        while let Ok(length) = supervisor.recv(&mut bytes) {
            if bytes[..length].starts_with(b"STOPPING=1") && stopping.send(()).is_err() {
                return;
            }
        }
    });
    let notify = path.display().to_string();
    let environment = [("NOTIFY_SOCKET", notify.as_str())];
    let line = "finish_seconds = 30";
    let plan = Plan { line, environment: &environment, ..Plan::default() };
    let Some(mut talk) = Talk::begin(&plan) else { return };
    talk.daemon.process.signal(libc::SIGTERM);
    told.recv_timeout(SOON).expect("it says that it stops");
    let mut late = TrunkCaller::straight(&talk.room.ports, "13800130056");
    assert_eq!(late.call("1001"), 503);
    assert_eq!(talk.daemon.row("SELECT count(*) FROM call WHERE state = 'in_call'"), "1");
    talk.daemon.process.signal(libc::SIGTERM);
    talk.caller.closed();
    talk.officer.closed();
    assert_eq!(talk.daemon.process.wait_end(SOON).code(), Some(0));
    let told = "SELECT group_concat(disposition || ' ' || status) FROM
        (SELECT * FROM call ORDER BY arrived_ms)";
    assert_eq!(talk.daemon.row(told), "interrupted 200,interrupted 503");
}
