//! rec_e7 with the real daemon: its signing key is renewed while two people talk, while it is killed at any moment, and
//! when the key is lost.

use crate::calls::Room;
use crate::daemon::{Daemon, Plan};
use crate::officer::Officer;
use crate::process::{Process, wait_until};
use crate::twin::{FarEnd, TrunkCaller, Voice};
use std::fs;
use std::path::Path;
use std::process::Command;
use std::thread::sleep;
use std::time::{Duration, Instant};

const CONFIG: &[&str] = &["--config", "dutyline.toml"];
const HEADS: &str = "SELECT count(*) FROM head";

fn run(daemon: &Daemon, arguments: &[&str]) -> (Option<i32>, String) {
    daemon.command(&[arguments, CONFIG].concat())
}

fn public(data: &Path) -> String {
    fs::read_to_string(data.join("signing.pub")).expect("a key").trim().to_owned()
}

fn heads(daemon: &Daemon) -> u32 {
    daemon.row(HEADS).parse().expect("a number")
}

/// The daemon signs by itself, however many heads there are.
fn signs(daemon: &Daemon, before: u32) {
    wait_until("a head of the daemon", Duration::from_secs(15), || {
        (heads(daemon) > before).then_some(())
    });
}

fn is_sound(daemon: &Daemon, key: &str) -> String {
    let (code, said) = run(daemon, &["verify", "--key", key]);
    assert_eq!(code, Some(0), "{said}");
    said
}

/// Heads that a killed one signed come to the folders with the daemon's next.
fn is_sound_as_far_as_it_is_sent(daemon: &Daemon, key: &str) {
    let (_, said) = run(daemon, &["verify", "--key", key]);
    let faults = said.lines().filter(|line| line.starts_with("✗ ") && !line.contains("处不符"));
    let late = said.lines().filter(|line| line.contains("ends with head")).count();
    assert_eq!(faults.count(), late, "{said}");
}

#[test]
fn rec_e7_the_key_is_renewed_while_they_talk_and_by_whoever_is_killed_in_it() {
    let Some(room) = Room::open() else { return };
    let far_end = FarEnd::start(&room.ports);
    let witness = room.folder.path().join("witness");
    fs::create_dir(&witness).expect("a folder");
    let more = format!("[witness]\nfolder = \"{}\"", witness.display());
    let plan = Plan { phones: &[("9200", 20)], more: &more, ..Plan::default() };
    let mut daemon = room.daemon(&plan);
    let officer = Officer::first(&mut daemon);
    let data = room.folder.path().join("dutyline/data");
    let first = wait_until("a key", Duration::from_secs(5), || {
        data.join("signing.pub").exists().then(|| public(&data))
    });

    let mut caller = TrunkCaller::new(&room.ports, "13800130071");
    assert_eq!(caller.call("1001"), 200);
    far_end.invited();
    let mut voice = Voice::new(71);
    let began = Instant::now();
    let (code, said) = run(&daemon, &["key", "renew", "--reason", "例行更换"]);
    assert_eq!(code, Some(0), "{said}");
    println!("renewed in {:?}", began.elapsed());
    let second = public(&data);
    assert!(first != second && said.contains(&first) && said.contains(&second), "{said}");
    signs(&daemon, heads(&daemon));
    for _ in 0..25 {
        caller.media.send_to(&voice.packet(&[0xaa; 160]), caller.remote_media()).expect("sent");
        sleep(Duration::from_millis(20));
    }
    caller.hang_up();
    far_end.is_let_go();
    daemon.row_is("SELECT count(*) FROM recording WHERE state = 'sealed'", "1");
    let entry = daemon.row("SELECT id FROM entry");
    let handed = officer.is_handed(&entry);
    assert!(handed.starts_with(b"HTTP/1.1 200"), "the page hands out by the new one");
    assert!(handed.windows(8).any(|name| name == b"keys.txt"));
    let said = is_sound(&daemon, &first);
    assert!(said.contains(&second) && said.contains("signed for by the one before"), "{said}");

    killed_at_any_moment(&room, &mut daemon, &plan, &data, &first);
    is_lost(&room, &mut daemon, &plan, &officer, &data);
}

/// `key renew` is killed after so long, and again a little later, until it comes to its end.
fn killed_at_any_moment(
    room: &Room,
    daemon: &mut Daemon,
    plan: &Plan<'_>,
    data: &Path,
    first: &str,
) {
    let folder = room.folder.path().join("dutyline");
    let (mut kills, mut after) = (0, Duration::from_millis(4));
    loop {
        let mut command = Command::new(env!("CARGO_BIN_EXE_dutyline"));
        command.args(["key", "renew", "--config", "dutyline.toml"]).current_dir(&folder);
        let mut renewing = Process::start("renew", room.folder.path(), &mut command);
        let began = Instant::now();
        while renewing.ended().is_none() && began.elapsed() < after {
            sleep(Duration::from_micros(200));
        }
        if let Some(status) = renewing.ended() {
            assert_eq!(status.code(), Some(0), "{}", renewing.log());
            break;
        }
        renewing.kill();
        kills += 1;
        after = after.mul_f64(1.25);
        let period = ["export", "--from", "2026-01-01T00:00", "--to", "2026-01-01T00:01"];
        let into = room.folder.path().join(format!("k{kills}"));
        fs::create_dir(&into).expect("a folder");
        let into = into.display().to_string();
        let (code, said) = run(daemon, &[&period[..], &["--into", &into]].concat());
        assert_eq!(code, Some(0), "it can sign: {said}");
        is_sound_as_far_as_it_is_sent(daemon, first);
        let left = ["signing.key.new", "signing.key.old-1"].map(|name| data.join(name).exists());
        assert_eq!(left, [false; 2], "after {after:?}");
    }
    println!("killed {kills} times");
    assert!(kills > 3, "it was too quick to be killed");
    daemon.process.kill();
    // Somebody is stopped in the middle of another one: the telephone starts all the same.
    let stopped = fs::File::open(data).expect("a folder");
    stopped.lock().expect("alone");
    let before = (room.pbx.count("REGISTER 1001"), heads(daemon));
    daemon.restart(room.folder.path(), &room.ports, plan);
    wait_until("the line's registration", Duration::from_secs(10), || {
        (room.pbx.count("REGISTER 1001") > before.0).then_some(())
    });
    drop(stopped);
    signs(daemon, before.1);
    is_sound(daemon, first);
}

/// The daemon tells of it, and goes on when it is told that nobody has it.
fn is_lost(room: &Room, daemon: &mut Daemon, plan: &Plan<'_>, officer: &Officer, data: &Path) {
    let last = public(data);
    daemon.process.kill();
    fs::remove_file(data.join("signing.key")).expect("lost");
    daemon.restart(room.folder.path(), &room.ports, plan);
    let told = "key renew --lost";
    wait_until("the alarm", Duration::from_secs(15), || {
        officer.looks_up_if_up().is_some_and(|strip| strip.contains(told)).then_some(())
    });
    let (code, said) = run(daemon, &["key", "renew"]);
    assert_eq!(code, Some(1), "{said}");
    let (code, said) = run(daemon, &["key", "renew", "--lost"]);
    assert_eq!(code, Some(2), "without a reason: {said}");
    let before = heads(daemon);
    let (code, said) = run(daemon, &["key", "renew", "--lost", "--reason", "硬盘损坏"]);
    assert_eq!(code, Some(0), "{said}");
    signs(daemon, before + 1);
    wait_until("the alarm's end", Duration::from_secs(15), || {
        (!officer.looks_up().contains(told)).then_some(())
    });
    let said = is_sound(daemon, &public(data));
    assert!(said.contains("nobody vouches for it but the witness"), "{said}");
    let (code, said) = run(daemon, &["verify", "--key", &last]);
    assert_eq!(code, Some(1), "whoever knows the lost one alone cannot believe it: {said}");
}
