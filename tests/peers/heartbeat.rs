//! The dead-man's switch: a witness with an extension of its own at the PBX calls the desk when the daemon is silent, and
//! the daemon misses its witness.

use crate::calls::{Room, calls_for_the_leader, connect, talk};
use crate::daemon::{Daemon, Plan};
use crate::ports::Ports;
use crate::process::Process;
use crate::wave;
use std::fs;
use std::path::Path;
use std::process::Command;
use std::time::{Duration, Instant};

const SECRET: &str = "0123456789abcdef0123456789abcdef";
const MINUTE: Duration = Duration::from_secs(60);

/// On a block of ports of its own.
struct Witness {
    process: Process,
    ports: Ports,
}

impl Witness {
    fn start(folder: &Path, room: &Room) -> Self {
        let ports = Ports::take();
        let own = folder.join("witness");
        fs::create_dir_all(&own).expect("a folder");
        fs::write(own.join("secret"), format!("{SECRET}\n")).expect("written");
        fs::write(own.join("password"), "secret2002\n").expect("written");
        let config = format!(
            r#"
[line]
number = "2002"
room = "看守"
pbx = "127.0.0.1:{pbx}"
user = "2002"
password_file = "password"
listen = "127.0.0.1:{line}"
expires = 60

[media]
first_port = {media}
channels = 2
reserved = 0

[heartbeat]
listen = "127.0.0.1:{beats}"
secret_file = "secret"
desk = ["2001"]
"#,
            pbx = room.ports.pbx(),
            line = ports.line(),
            media = ports.media(),
            beats = ports.own(0),
        );
        fs::write(own.join("witness.toml"), config).expect("written");
        let mut witness = Self { process: spawn(folder), ports };
        witness.process.wait_for("the witness's line is registered", Duration::from_secs(10));
        witness
    }

    fn watched(&self, folder: &Path) -> String {
        let own = folder.join("dutyline");
        fs::create_dir_all(&own).expect("a folder");
        fs::write(own.join("heartbeat-secret"), format!("{SECRET}\n")).expect("written");
        let beats = self.ports.own(0);
        format!(
            "[heartbeat]\nwitness = \"127.0.0.1:{beats}\"\nsecret_file = \"heartbeat-secret\"\n"
        )
    }
}

fn spawn(folder: &Path) -> Process {
    let mut command = Command::new(env!("CARGO_BIN_EXE_dutyline"));
    command.args(["witness", "--config", "witness.toml"]).current_dir(folder.join("witness"));
    command.env_remove("DUTYLINE_LINE_PASSWORD");
    Process::start("witness", folder, &mut command)
}

#[test]
fn esc_84_esc_70_a_frozen_daemon_has_the_desk_rung_by_its_witness_until_a_key_or_the_beats() {
    let Some(mut room) = Room::open() else { return };
    let folder = room.folder.path().to_owned();
    let mut witness = Witness::start(&folder, &room);
    let more = witness.watched(&folder);
    let daemon: Daemon =
        room.daemon(&Plan { phones: &[("2001", 20)], more: &more, ..Plan::default() });
    let quiet = vec![0; 60 * wave::RATE];
    let mut caller = room.phone("caller", &wave::voice(61, 30));
    let mut desk = room.phone("2001", &quiet);
    let mut leader = room.phone("3001", &quiet);
    // An escalation is open: the audit has something to look at.
    connect(&mut caller, &mut desk);
    talk(1);
    calls_for_the_leader(&mut desk);
    leader.incoming(Duration::from_secs(8));
    caller.hangup();
    desk.closed();
    leader.accept();
    leader.established();
    talk(2);
    leader.press('1');
    daemon.row_is("SELECT state FROM escalation", "acknowledged");
    talk(8);
    assert!(!witness.process.log().contains("no heartbeat"), "it beats");

    daemon.process.signal(libc::SIGSTOP);
    let frozen = Instant::now();
    desk.incoming(MINUTE);
    let after = frozen.elapsed();
    println!("frozen: the desk rings after {after:?}");
    assert!(after <= MINUTE, "{after:?}");
    desk.accept();
    desk.established();
    talk(10);
    desk.press('1');
    witness.process.wait_for("the desk knows", Duration::from_secs(5));
    desk.wait("CALL_CLOSED", Duration::from_secs(15));
    let heard = desk.heard();
    let loud = heard.iter().filter(|sample| sample.unsigned_abs() > 500).count();
    assert!(loud > 2 * wave::RATE, "a sentence is said: {loud} loud samples");
    daemon.process.signal(libc::SIGCONT);
    witness.process.wait_for("heartbeats are back", Duration::from_secs(15));
    assert_eq!(witness.process.log().matches("calling the duty desk").count(), 1);
    let audit = "SELECT count(*) FROM audit WHERE action LIKE 'heartbeat.%'";
    assert_eq!(daemon.row(audit), "0", "nothing is wrong with daemon or witness");

    // Frozen again, it comes back while the desk rings: the ringing ends.
    daemon.process.signal(libc::SIGSTOP);
    desk.incoming(MINUTE);
    daemon.process.signal(libc::SIGCONT);
    desk.wait("CALL_CLOSED", Duration::from_secs(8));
    assert_eq!(witness.process.stop(Duration::from_secs(8)), 0);
}

#[test]
fn esc_84_a_killed_witness_is_an_alarm_within_two_minutes_and_over_when_it_is_back() {
    let Some(room) = Room::open() else { return };
    let folder = room.folder.path().to_owned();
    let mut witness = Witness::start(&folder, &room);
    let more = witness.watched(&folder);
    let mut daemon = room.daemon(&Plan { more: &more, ..Plan::default() });
    daemon.process.wait_for("the witness listens", Duration::from_secs(15));
    witness.process.kill();
    let killed = Instant::now();
    daemon.process.wait_for("the witness does not answer", 2 * MINUTE);
    println!("killed: the daemon says so after {:?}", killed.elapsed());
    let noted = "SELECT detail FROM audit WHERE action = 'heartbeat.witness' ORDER BY id DESC";
    daemon.row_is(noted, "gone");
    witness.process = spawn(&folder);
    daemon.row_is(noted, "listens");
}
