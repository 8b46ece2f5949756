//! SIPp as the town: many callers on the trunk, one after the other and at the same time.

use crate::calls::Room;
use crate::daemon::Plan;
use crate::have;
use crate::kamailio::TRUNK;
use crate::process::Process;
use crate::twin::FarEnd;
use std::fs;
use std::process::Command;
use std::time::Duration;

const CALLS: usize = 20;

/// Five calls a second with a hostile name: each is answered, has its own entry, and is over at
/// both ends; every channel is free again.
#[test]
fn sig_11_calls_from_the_town_in_quick_succession() {
    if !have(&["sipp"]) {
        return;
    }
    let Some(room) = Room::open() else { return };
    let _far_end = FarEnd::start(&room.ports);
    let daemon = room.daemon(&Plan { phones: &[("9200", 20)], ..Plan::default() });
    let scenario = room.folder.path().join("caller.xml");
    fs::write(&scenario, include_str!("sipp_caller.xml")).expect("written");
    let mut command = Command::new("sipp");
    command.arg("-sf").arg(&scenario).current_dir(room.folder.path());
    command.args(["-s", "1001", "-i", TRUNK, "-r", "5", "-nostdin", "-trace_err"]);
    command.args(["-m", &CALLS.to_string(), "-p", &room.ports.own(0).to_string()]);
    command.args(["-timeout", "30s", "-timeout_error"]);
    command.arg(format!("127.0.0.1:{}", room.ports.pbx()));
    let mut town = Process::start("sipp", room.folder.path(), &mut command);
    let status = town.wait_end(Duration::from_secs(40));
    assert_eq!(status.code(), Some(0), "every call went as the scenario says");

    let count = CALLS.to_string();
    daemon.row_is("SELECT count(*) FROM call WHERE disposition = 'answered'", &count);
    assert_eq!(daemon.row("SELECT count(DISTINCT entry) FROM call"), count);
    assert_eq!(daemon.row("SELECT count(DISTINCT number) FROM entry"), count);
    let names = "SELECT group_concat(DISTINCT display) FROM call";
    assert_eq!(daemon.row(names), "<script>alert(1)</script>", "a name is text");
}
