//! The log is locked, its disk is full, or it cannot be used at all: the leader is called through the PBX all the same,
//! and what was done is in the log as soon as it takes it.

use crate::baresip::Baresip;
use crate::calls::{Room, talk};
use crate::daemon::{Daemon, Plan};
use crate::process::wait_until;
use crate::recorder::SmallDisk;
use crate::wave;
use std::fs;
use std::path::PathBuf;
use std::time::{Duration, Instant};

const SOON: Duration = Duration::from_secs(8);
/// From `*9` until the leader's phone rings without a log.
const RINGS_WITHIN: Duration = Duration::from_secs(6);
/// Of the file of the calls: where it says in which boot of the host it was written, and the checksum of that.
const BOOT: std::ops::Range<usize> = 16..32;
const LEADERS: [(&str, &str); 2] = [("leader", "3001"), ("substitute", "2002")];

/// Two who talk; and a leader, who says nothing.
struct Matter {
    daemon: Daemon,
    caller: Baresip,
    officer: Baresip,
    leader: Baresip,
}

impl Matter {
    fn begin(room: &mut Room) -> Self {
        let daemon = room.daemon(&Plan { leaders: &LEADERS, ..Plan::default() });
        let quiet = vec![0; 60 * wave::RATE];
        let mut caller = room.phone("caller", &wave::voice(71, 60));
        let mut officer = room.phone("2001", &quiet);
        let leader = room.phone("3001", &quiet);
        caller.dial("1001");
        officer.incoming(SOON);
        officer.accept();
        caller.established();
        officer.established();
        talk(1);
        Self { daemon, caller, officer, leader }
    }

    fn flag(&mut self) {
        self.officer.press('*');
        talk(1);
        self.officer.press('9');
        let pressed = Instant::now();
        self.leader.incoming(SOON);
        println!("without a log the leader's phone rings after {:?}", pressed.elapsed());
        assert!(pressed.elapsed() <= RINGS_WITHIN, "{:?}", pressed.elapsed());
        self.leader.accept();
        self.leader.established();
        talk(2);
    }

    fn acknowledge(&mut self) {
        self.leader.press('1');
        talk(3);
    }

    /// Once each, and in one piece.
    fn is_in_the_log(&mut self) {
        self.daemon.row_is("SELECT state FROM escalation", "acknowledged");
        self.leader.wait("CALL_CLOSED", Duration::from_secs(20));
        self.daemon.row_is("SELECT result FROM attempt", "acknowledged");
        let rows = |table: &str| self.daemon.row(&format!("SELECT count(*) FROM {table}"));
        assert_eq!([rows("escalation"), rows("attempt"), rows("acknowledgement")], ["1", "1", "1"]);
        let own = "SELECT r.state FROM recording r JOIN attempt a ON a.id = r.call";
        self.daemon.row_is(own, "sealed");
        self.daemon.row_is("SELECT count(*) FROM outage WHERE kind = 'log'", "1");
    }

    /// The call and its matter, and nothing twice, in a log that is as it was written.
    fn has_all_once(&mut self) {
        self.daemon.row_is("SELECT state FROM escalation", "acknowledged");
        self.leader.wait("CALL_CLOSED", Duration::from_secs(20));
        self.daemon.row_is("SELECT group_concat(result) FROM attempt", "acknowledged");
        let rows = |table: &str| self.daemon.row(&format!("SELECT count(*) FROM {table}"));
        assert_eq!(["entry", "escalation", "attempt", "acknowledgement"].map(rows), ["1"; 4]);
        let (code, said) = self.daemon.command(&["verify", "--config", "dutyline.toml"]);
        assert_eq!(code, Some(0), "{said}");
    }

    fn backup(&self, room: &Room) -> PathBuf {
        let backup = room.folder.path().join("backup");
        let into = backup.display().to_string();
        let (code, said) = self.daemon.command(&["backup", &into, "--config", "dutyline.toml"]);
        assert_eq!(code, Some(0), "{said}");
        backup
    }
}

#[test]
fn esc_48_esc_49_while_the_log_is_locked_the_leader_is_called_and_acknowledges() {
    let Some(mut room) = Room::open() else { return };
    let mut matter = Matter::begin(&mut room);
    let lock = matter.daemon.lock();
    matter.flag();
    matter.acknowledge();
    let log = matter.daemon.process.log();
    assert!(log.contains("the escalation cannot read or write its rows"), "the officer is told");
    assert_eq!(matter.daemon.row("SELECT count(*) FROM attempt"), "0");
    talk(12);
    let released = Instant::now();
    drop(lock);
    matter.daemon.row_is("SELECT state FROM escalation", "acknowledged");
    println!("in the log {:?} after the lock", released.elapsed());
    assert!(released.elapsed() <= Duration::from_secs(1), "{:?}", released.elapsed());
    matter.is_in_the_log();
}

#[test]
fn esc_50_on_a_full_disk_the_leader_is_called_and_the_log_has_it_once_there_is_room() {
    let mut disk = None;
    let before = |folder: &std::path::Path| {
        disk = SmallDisk::mount(&folder.join("dutyline/data"), "24m");
    };
    let Some(mut room) = Room::set_up_with(&crate::kamailio::Setup::default(), before) else {
        return;
    };
    if disk.is_none() {
        return;
    }
    let mut matter = Matter::begin(&mut room);
    let filler = room.folder.path().join("dutyline/data/filler");
    let mut file = fs::File::create(&filler).expect("a file");
    while std::io::Write::write_all(&mut file, &[7; 4096]).is_ok() {}
    wait_until("the log says so", Duration::from_secs(10), || {
        matter.daemon.process.log().contains("cannot").then_some(())
    });
    matter.flag();
    matter.acknowledge();
    drop(file);
    fs::remove_file(&filler).expect("removed");
    matter.is_in_the_log();
    matter.daemon.process.kill();
}

/// Nothing that the log is asked for can be had of it, and nothing is taken.
#[test]
fn esc_71_with_a_log_that_is_of_no_use_the_leader_is_called_until_he_knows() {
    let Some(mut room) = Room::open() else { return };
    let mut matter = Matter::begin(&mut room);
    matter.daemon.edit("ALTER TABLE escalation RENAME TO lost");
    matter.flag();
    matter.leader.hangup();
    matter.leader.incoming(Duration::from_secs(25));
    matter.leader.accept();
    matter.leader.established();
    talk(2);
    matter.acknowledge();
    matter.leader.hangup();
    matter.leader.stays_idle(Duration::from_secs(25));
}

/// The file is damaged when the next run starts: it goes on without, and what was open is called for.
#[test]
fn esc_71_with_a_log_that_cannot_be_opened_the_leader_and_the_desk_are_called_and_it_has_all_when_mended()
 {
    let Some(mut room) = Room::open() else { return };
    let plan = Plan { leaders: &LEADERS, ..Plan::default() };
    let mut matter = Matter::begin(&mut room);
    matter.officer.press('*');
    talk(1);
    matter.officer.press('9');
    matter.leader.incoming(SOON);
    matter.daemon.row_is("SELECT state FROM escalation", "open");
    matter.officer.hangup();
    matter.caller.closed();
    matter.daemon.process.kill();
    let log = room.folder.path().join("dutyline/data/dutyline.db");
    let whole = room.folder.path().join("whole");
    for ending in ["", "-wal", "-shm"] {
        let name = |path: &std::path::Path| format!("{}{ending}", path.display());
        if fs::copy(name(&log), name(&whole)).is_ok() {
            fs::remove_file(name(&log)).expect("removed");
        }
    }
    fs::write(&log, vec![7; 64 * 1024]).expect("written");
    matter.daemon.restart(room.folder.path(), &room.ports, &plan);
    // It rings on, and when he does not take it, he is called again.
    matter.leader.hangup();
    matter.leader.closed();
    let declined = Instant::now();
    matter.leader.incoming(Duration::from_secs(35));
    println!("without a log he is called {:?} after he was busy", declined.elapsed());
    matter.leader.accept();
    matter.leader.established();
    talk(2);
    matter.leader.press('1');
    talk(2);
    matter.caller.dial("1001");
    matter.officer.incoming(SOON);
    matter.officer.accept();
    matter.caller.established();
    matter.caller.hangup();
    matter.officer.closed();
    matter.leader.hangup();
    assert!(matter.daemon.process.log().contains("there is no log in this run"));
    matter.daemon.process.kill();
    for ending in ["", "-wal", "-shm"] {
        let name = |path: &std::path::Path| format!("{}{ending}", path.display());
        let _ = fs::remove_file(name(&log));
        let _ = fs::copy(name(&whole), name(&log));
    }
    matter.daemon.restart(room.folder.path(), &room.ports, &plan);
    matter.daemon.row_is("SELECT state FROM escalation", "acknowledged");
    matter.daemon.row_is("SELECT count(*) FROM entry", "2");
    // Before the run that had no log, and after it; and the log that it had not.
    matter.daemon.row_is("SELECT count(*) FROM outage WHERE kind = 'service'", "2");
    matter.daemon.row_is("SELECT count(*) FROM outage WHERE kind = 'log' AND to_ms > from_ms", "1");
}

/// What the log never took is in the file of the calls, which the next boot of the host reads: it may not be lost with
/// the calls that are.
#[test]
fn esc_71_what_a_locked_log_never_took_is_there_after_a_restart_of_the_host() {
    let Some(mut room) = Room::open() else { return };
    let plan = Plan { leaders: &LEADERS, ..Plan::default() };
    let mut matter = Matter::begin(&mut room);
    let lock = matter.daemon.lock();
    matter.flag();
    matter.daemon.process.kill();
    drop(lock);
    let file = room.folder.path().join("dutyline/data/calls.checkpoint");
    let mut bytes = fs::read(&file).expect("the file of the calls");
    bytes[BOOT].fill(7);
    let crc = crc32c::crc32c(&bytes[..BOOT.end]);
    bytes[BOOT.end..BOOT.end + 4].copy_from_slice(&crc.to_le_bytes());
    fs::write(&file, bytes).expect("written");
    // Their calls are gone with the host.
    for phone in [&mut matter.leader, &mut matter.officer, &mut matter.caller] {
        phone.hangup();
    }
    matter.daemon.restart(room.folder.path(), &room.ports, &plan);
    matter.leader.incoming(Duration::from_secs(15));
    matter.leader.accept();
    matter.leader.established();
    talk(2);
    matter.acknowledge();
    matter.daemon.row_is("SELECT state FROM escalation", "acknowledged");
    matter.daemon.row_is("SELECT disposition FROM call WHERE direction = 'in'", "interrupted");
    let first = "SELECT count(*) FROM attempt WHERE result IN ('interrupted', 'acknowledged')";
    matter.daemon.row_is(first, "2");
    let (code, said) = matter.daemon.command(&["verify", "--config", "dutyline.toml"]);
    assert_eq!(code, Some(0), "{said}");
}

/// It opens, and refuses what a run writes first: the telephone works, leaders are called, and it has everything as soon
/// as it takes that, without another start.
#[test]
fn esc_71_a_log_that_refuses_the_first_rows_of_a_run_stops_nothing_and_is_used_once_it_takes_them()
{
    let Some(mut room) = Room::open() else { return };
    let plan = Plan { leaders: &LEADERS, ..Plan::default() };
    let mut matter = Matter::begin(&mut room);
    matter.daemon.row_is("SELECT state FROM call", "in_call");
    matter.daemon.process.kill();
    // Nobody knows that the call was one that could go on.
    let calls = room.folder.path().join("dutyline/data/calls.checkpoint");
    fs::remove_file(calls).expect("removed");
    matter.caller.hangup();
    matter.officer.hangup();
    matter
        .daemon
        .edit("CREATE TRIGGER refuses BEFORE UPDATE ON call BEGIN SELECT RAISE(ABORT, 'no'); END");
    matter.daemon.restart(room.folder.path(), &room.ports, &plan);
    matter.daemon.process.wait_for("the log refuses its first rows", SOON);
    wait_until("the registration of this run", SOON, || {
        let log = matter.daemon.process.log();
        (log.matches("the duty line is registered").count() > 1).then_some(())
    });
    matter.caller.dial("1001");
    matter.officer.incoming(Duration::from_secs(20));
    matter.officer.accept();
    matter.officer.established();
    talk(1);
    matter.flag();
    matter.acknowledge();
    assert_eq!(matter.daemon.row("SELECT count(*) FROM entry"), "1", "nothing is written yet");
    matter.daemon.edit("DROP TRIGGER refuses");
    matter.daemon.process.wait_for("the log can be used from now on", SOON);
    matter.daemon.row_is("SELECT count(*) FROM entry", "2");
    matter.daemon.row_is("SELECT state FROM escalation", "acknowledged");
    matter.daemon.row_is("SELECT count(*) FROM call WHERE disposition = 'interrupted'", "1");
    matter.daemon.row_is("SELECT count(*) FROM outage WHERE kind = 'service'", "1");
    matter.leader.wait("CALL_CLOSED", Duration::from_secs(20));
    matter.daemon.row_is("SELECT result FROM attempt", "acknowledged");
}

/// A backup is put in the place of a damaged log while the daemon runs; it is older than what is urgent.
#[test]
fn esc_71_a_backup_that_is_put_back_is_used_at_once_and_what_was_open_is_raised_in_it() {
    let Some(mut room) = Room::open() else { return };
    let plan = Plan { leaders: &LEADERS, ..Plan::default() };
    let mut matter = Matter::begin(&mut room);
    let backup = matter.backup(&room);
    matter.officer.press('*');
    talk(1);
    matter.officer.press('9');
    matter.leader.incoming(SOON);
    matter.daemon.row_is("SELECT state FROM escalation", "open");
    matter.officer.hangup();
    matter.caller.closed();
    talk(1);
    matter.daemon.process.kill();
    let log = room.folder.path().join("dutyline/data/dutyline.db");
    for ending in ["-wal", "-shm"] {
        let _ = fs::remove_file(format!("{}{ending}", log.display()));
    }
    fs::write(&log, vec![7; 64 * 1024]).expect("written");
    matter.daemon.restart(room.folder.path(), &room.ports, &plan);
    matter.daemon.process.wait_for("there is no log in this run", SOON);
    fs::rename(backup.join("data/dutyline.db"), &log).expect("put back");
    matter.daemon.process.wait_for("the log can be used from now on", Duration::from_secs(15));
    matter.daemon.row_is("SELECT state FROM escalation", "open");
    matter.leader.hangup();
    let _ = matter.leader.closed();
    matter.leader.incoming(Duration::from_secs(40));
    matter.leader.accept();
    matter.leader.established();
    talk(2);
    matter.acknowledge();
    matter.daemon.row_is("SELECT state FROM escalation", "acknowledged");
}

/// The leader is on the telephone meanwhile, and presses his key when the log that knew of it is gone.
#[test]
fn esc_71_a_key_in_a_call_that_was_carried_over_a_restored_backup_is_kept_with_its_matter() {
    let Some(mut room) = Room::open() else { return };
    let plan = Plan { leaders: &LEADERS, ..Plan::default() };
    let mut matter = Matter::begin(&mut room);
    let backup = matter.backup(&room);
    matter.flag();
    matter.daemon.row_is("SELECT state FROM escalation", "open");
    let called = matter.daemon.row("SELECT person FROM attempt");
    matter.daemon.process.kill();
    let log = room.folder.path().join("dutyline/data/dutyline.db");
    for ending in ["-wal", "-shm"] {
        let _ = fs::remove_file(format!("{}{ending}", log.display()));
    }
    fs::rename(backup.join("data/dutyline.db"), &log).expect("put back");
    matter.daemon.restart(room.folder.path(), &room.ports, &plan);
    matter.daemon.row_is("SELECT state FROM escalation", "open");
    talk(2);
    matter.acknowledge();
    matter.daemon.row_is("SELECT state FROM escalation", "acknowledged");
    assert_eq!(matter.daemon.row("SELECT acked_by FROM escalation"), called);
    matter.leader.wait("CALL_CLOSED", Duration::from_secs(20));
    matter.daemon.row_is("SELECT group_concat(result) FROM attempt", "acknowledged");
    matter.leader.stays_idle(Duration::from_secs(15));
}

/// He listens to it when the log goes, and the backup that comes knows of another call, which has ended, and not of his.
#[test]
fn esc_71_over_a_backup_put_back_while_he_listens_the_leader_is_not_called_again_and_his_key_counts()
 {
    let Some(mut room) = Room::open() else { return };
    let mut matter = Matter::begin(&mut room);
    matter.daemon.row_is("SELECT state FROM call", "in_call");
    let backup = matter.backup(&room);
    let before = matter.daemon.row("SELECT id FROM call");
    matter.officer.hangup();
    matter.caller.closed();
    matter.daemon.row_is("SELECT state FROM call", "ended");
    matter.caller.dial("1001");
    matter.officer.incoming(SOON);
    matter.officer.accept();
    matter.officer.established();
    talk(1);
    matter.flag();
    matter.daemon.row_is("SELECT state FROM escalation", "open");
    let called = matter.daemon.row("SELECT person FROM attempt");
    let log = room.folder.path().join("dutyline/data/dutyline.db");
    fs::rename(&log, room.folder.path().join("old.db")).expect("moved away");
    matter.daemon.process.wait_for("the log is of no use any more", SOON);
    fs::copy(backup.join("data/dutyline.db"), &log).expect("put in place");
    matter.daemon.process.wait_for("the log can be used from now on", Duration::from_secs(15));
    let of_before = |column: &str, table: &str, id: &str| {
        matter.daemon.row(&format!("SELECT {column} FROM {table} WHERE {id} = '{before}'"))
    };
    assert_eq!(of_before("disposition", "call", "id"), "answered", "this run knows how it ended");
    assert_eq!(of_before("state", "recording", "call"), "finalizing");
    // The caller's, of which the log is told again, and the leader's.
    matter.daemon.row_is("SELECT count(*) FROM call WHERE state <> 'ended'", "2");
    talk(3);
    matter.acknowledge();
    matter.daemon.row_is("SELECT acked_by FROM escalation", &called);
    matter.leader.wait("CALL_CLOSED", Duration::from_secs(20));
    matter.daemon.row_is("SELECT group_concat(result) FROM attempt", "acknowledged");
    matter.leader.stays_idle(Duration::from_secs(15));
    let calls = matter.daemon.process.log().matches("calling a leader").count();
    assert_eq!(calls, 1, "his telephone has heard of no other");
    let state = format!("SELECT state FROM recording WHERE call = '{before}'");
    wait_until("its recording is found", Duration::from_secs(90), || {
        (matter.daemon.row(&state) == "sealed").then_some(())
    });
}

/// The three files of a log.
fn files_of(log: &std::path::Path) -> impl Iterator<Item = std::path::PathBuf> {
    ["", "-wal", "-shm"].map(|ending| format!("{}{ending}", log.display()).into()).into_iter()
}

/// Somebody deletes what the daemon has open: it is put back, with what was in it and what came since.
#[test]
fn esc_71_a_log_that_is_deleted_while_it_is_in_use_is_put_back_whole() {
    let Some(mut room) = Room::open() else { return };
    let mut matter = Matter::begin(&mut room);
    matter.flag();
    matter.daemon.row_is("SELECT count(*) FROM attempt", "1");
    let log = room.folder.path().join("dutyline/data/dutyline.db");
    files_of(&log).for_each(|file| drop(fs::remove_file(file)));
    matter.daemon.process.wait_for("the log was deleted and is put back", SOON);
    matter.acknowledge();
    matter.daemon.process.wait_for("the log can be used from now on", Duration::from_secs(15));
    matter.has_all_once();
}

/// The file itself is damaged while it is in use: what happens is kept, nobody touches it, and the backup that a person
/// copies over it, with what is written beside it left where it is, has everything, once.
#[test]
fn esc_71_a_log_that_goes_bad_while_it_is_in_use_is_left_as_it_is_and_a_backup_over_it_has_all() {
    let Some(mut room) = Room::open() else { return };
    let mut matter = Matter::begin(&mut room);
    let backup = matter.backup(&room);
    matter.daemon.edit(
        "PRAGMA writable_schema = ON;
         UPDATE sqlite_schema SET sql = 'CREATE TABLE nonsense' WHERE name = 'attempt';
         PRAGMA schema_version = 77777",
    );
    matter.flag();
    matter.daemon.process.wait_for("the log is of no use any more", SOON);
    matter.acknowledge();
    talk(5);
    assert!(!matter.daemon.process.log().contains("the log can be used from now on"));
    let log = room.folder.path().join("dutyline/data/dutyline.db");
    let damaged = fs::read(&log).expect("it is there");
    talk(5);
    assert!(fs::read(&log).expect("it is there") == damaged, "it is left as it is");
    let beside = fs::read(log.with_extension("db-wal")).expect("it is there");
    fs::copy(backup.join("data/dutyline.db"), &log).expect("copied over");
    matter.daemon.process.wait_for("the log can be used from now on", Duration::from_secs(15));
    matter.has_all_once();
    matter.daemon.row_is("SELECT count(*) FROM outage WHERE kind = 'log' AND to_ms > from_ms", "1");
    assert!(fs::read(log.with_extension("db-wal.aside-1")).expect("kept") == beside);
}

/// What was written beside the old one is forgotten there by who moves it away.
#[test]
fn esc_71_a_backup_that_comes_after_the_log_was_moved_away_is_used_without_what_lay_beside_that() {
    let Some(mut room) = Room::open() else { return };
    let mut matter = Matter::begin(&mut room);
    let backup = matter.backup(&room);
    matter.daemon.edit("CREATE TABLE of_the_old_log (id)");
    let log = room.folder.path().join("dutyline/data/dutyline.db");
    fs::rename(&log, room.folder.path().join("old.db")).expect("moved away");
    matter.daemon.process.wait_for("the log is of no use any more", SOON);
    matter.flag();
    matter.acknowledge();
    fs::copy(backup.join("data/dutyline.db"), &log).expect("put in place");
    matter.daemon.process.wait_for("the log can be used from now on", Duration::from_secs(15));
    assert!(log.with_extension("db-wal.aside-1").exists(), "it is kept");
    let of_the_old = "SELECT count(*) FROM sqlite_schema WHERE name = 'of_the_old_log'";
    assert_eq!(matter.daemon.row(of_the_old), "0");
    matter.has_all_once();
}

/// Somebody puts a backup back with plain `cp`, over a log that is in order and in use: nothing of the daemon is written
/// into it before it is looked through.
#[test]
fn esc_71_a_backup_that_is_copied_over_a_log_in_use_is_noticed_and_has_all_that_happened_since() {
    let Some(mut room) = Room::open() else { return };
    let mut matter = Matter::begin(&mut room);
    let backup = matter.backup(&room);
    let log = room.folder.path().join("dutyline/data/dutyline.db");
    matter.daemon.edit("CREATE TABLE of_the_old_log (id)");
    fs::copy(backup.join("data/dutyline.db"), &log).expect("copied over");
    matter.daemon.process.wait_for("the log is of no use any more", SOON);
    matter.flag();
    matter.acknowledge();
    matter.daemon.process.wait_for("the log can be used from now on", Duration::from_secs(15));
    assert!(log.with_extension("db-wal.aside-1").exists(), "it is kept");
    let of_the_old = "SELECT count(*) FROM sqlite_schema WHERE name = 'of_the_old_log'";
    assert_eq!(matter.daemon.row(of_the_old), "0");
    matter.has_all_once();
}
