//! The log is of a newer program, gone, or on a disk that takes nothing, when a run begins: the telephone works, the page
//! says what to do, nothing is done to the file, and what happened is written once it can be.

use crate::calls::Room;
use crate::daemon::{Daemon, Plan};
use crate::officer::Officer;
use crate::process::wait_until;
use crate::recorder::SmallDisk;
use crate::twin::{FarEnd, TrunkCaller};
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

const SOON: Duration = Duration::from_secs(15);
const USED: &str = "the log can be used from now on";

/// A duty line whose first run has made its log, and is over.
struct Line {
    room: Room,
    far_end: FarEnd,
    daemon: Daemon,
    officer: Officer,
}

fn plan() -> Plan<'static> {
    Plan { phones: &[("9200", 20)], ..Plan::default() }
}

impl Line {
    fn stopped(before: impl FnOnce(&Path)) -> Option<Self> {
        let room = Room::open()?;
        before(room.folder.path());
        let far_end = FarEnd::start(&room.ports);
        let mut daemon = room.daemon(&plan());
        let officer = Officer::first(&mut daemon);
        assert_eq!(daemon.process.stop(SOON), 0);
        Some(Self { room, far_end, daemon, officer })
    }

    fn log(&self) -> PathBuf {
        self.data().join("dutyline.db")
    }

    fn data(&self) -> PathBuf {
        self.daemon.folder().join("data")
    }

    fn starts(&mut self) {
        let before = self.room.pbx.count("REGISTER 1001");
        self.daemon.restart(self.room.folder.path(), &self.room.ports, &plan());
        wait_until("the registration", SOON, || {
            assert_eq!(self.daemon.process.ended(), None, "the daemon ended");
            (self.room.pbx.count("REGISTER 1001") > before).then_some(())
        });
    }

    /// The officer's phone answers, and the caller hangs up.
    fn is_called(&mut self) {
        let mut caller = TrunkCaller::new(&self.room.ports, "13800130007");
        assert_eq!(caller.call("1001"), 200);
        self.far_end.invited();
        caller.hang_up();
    }

    fn page_says(&self, words: &str) {
        wait_until(words, SOON, || {
            self.officer.looks_up_if_up().filter(|strip| strip.contains(words))
        });
    }

    fn has_the_call_once(&self) {
        self.daemon.row_is("SELECT group_concat(disposition) FROM call", "answered");
        assert_eq!(self.daemon.row("SELECT count(*) FROM entry"), "1");
        let (code, said) = self.daemon.command(&["verify", "--config", "dutyline.toml"]);
        assert_eq!(code, Some(0), "{said}");
    }
}

#[test]
fn rel_18_with_a_log_of_a_newer_program_the_telephone_works_and_that_program_has_the_call() {
    let Some(mut line) = Line::stopped(|_| {}) else { return };
    let own = line.daemon.row("SELECT user_version FROM pragma_user_version");
    line.daemon.edit("PRAGMA user_version = 99");
    let before = fs::read(line.log()).expect("it is there");
    line.starts();
    line.is_called();
    line.page_says("请装回该版本");
    line.daemon.process.kill();
    assert!(fs::read(line.log()).expect("it is there") == before, "it is left as it is");
    line.daemon.edit(&format!("PRAGMA user_version = {own}"));
    line.starts();
    line.has_the_call_once();
}

#[test]
fn rel_18_a_log_that_is_gone_is_not_made_anew_and_has_the_call_once_it_is_put_back() {
    let Some(mut line) = Line::stopped(|_| {}) else { return };
    let away = line.room.folder.path().join("away.db");
    fs::rename(line.log(), &away).expect("moved away");
    line.starts();
    line.is_called();
    line.page_says("数据库文件不在了");
    assert!(!line.log().exists(), "it is not made anew");
    fs::rename(&away, line.log()).expect("put back");
    line.daemon.process.wait_for(USED, SOON);
    line.has_the_call_once();

    // Whoever wants a new one says so.
    assert_eq!(line.daemon.process.stop(SOON), 0);
    for name in ["dutyline.db", "heads", "signing.key"] {
        fs::rename(line.data().join(name), line.data().join(format!("{name}.old"))).expect("moved");
    }
    line.starts();
    line.daemon.row_is("SELECT count(*) FROM entry", "0");
}

#[test]
fn rel_18_on_a_disk_that_takes_nothing_the_telephone_works_and_the_log_has_the_call_once_it_does() {
    let mut disk = None;
    let before = |folder: &Path| disk = SmallDisk::mount(&folder.join("dutyline/data"), "64m");
    let Some(mut line) = Line::stopped(before) else { return };
    if disk.is_none() {
        return;
    }
    let data = line.data();
    let remount = |how: &str| {
        let done = Command::new("mount").args(["-o", how]).arg(&data).status();
        assert!(done.is_ok_and(|status| status.success()), "{how}");
    };
    remount("remount,ro");
    line.starts();
    line.is_called();
    line.page_says("请检查数据目录的权限和磁盘");
    remount("remount,rw");
    line.daemon.process.wait_for(USED, SOON);
    line.has_the_call_once();
    line.daemon.process.kill();
}
