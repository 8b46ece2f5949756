//! The PBX's list of calls against the log of the real daemon: one call that it had, one that came while it was dead,
//! and one that somebody else took.

use crate::calls::Room;
use crate::daemon::Plan;
use crate::officer::Officer;
use crate::process::wait_until;
use crate::twin::{FarEnd, TrunkCaller, Voice};
use chrono::{FixedOffset, Utc};
use std::fs;
use std::thread::sleep;
use std::time::Duration;

/// A line of Asterisk's `Master.csv`, of a call that begins now.
fn listed(caller: &str, called: &str, outcome: &str) -> String {
    let beijing = FixedOffset::east_opt(8 * 3600).expect("an offset");
    let now = Utc::now().with_timezone(&beijing).format("%Y-%m-%d %H:%M:%S");
    format!(
        "\"\",\"{caller}\",\"{called}\",\"from-trunk\",\"\"\"x\"\" <{caller}>\",\"SIP/t-1\",\"SIP/{called}-2\",\"Dial\",\
         \"SIP/{called},120\",\"{now}\",\"\",\"{now}\",9,0,\"{outcome}\",\"DOCUMENTATION\",\"1.1\",\"\"\n"
    )
}

#[test]
fn a_list_of_calls_names_what_was_not_recorded_and_what_is_to_be_called_back() {
    let Some(room) = Room::open() else { return };
    let far_end = FarEnd::start(&room.ports);
    let plan = Plan { phones: &[("9200", 20)], ..Plan::default() };
    let mut daemon = room.daemon(&plan);
    let officer = Officer::first(&mut daemon);
    let mut list = listed("13800130007", "1001", "ANSWERED");
    let mut caller = TrunkCaller::new(&room.ports, "13800130007");
    assert_eq!(caller.call("1001"), 200);
    let mut voice = Voice::new(7);
    far_end.invited();
    for _ in 0..25 {
        caller.media.send_to(&voice.packet(&[0xba; 160]), caller.remote_media()).expect("sent");
        sleep(Duration::from_millis(20));
    }
    caller.hang_up();
    daemon.row_is("SELECT count(*) FROM recording WHERE state = 'sealed'", "1");
    drop(caller);

    daemon.process.kill();
    list += &listed("13900000002", "1001", "NO ANSWER");
    let mut caller = TrunkCaller::new(&room.ports, "13900000002");
    assert_ne!(caller.call("1001"), 200, "nobody is there");
    list += &listed("13900000003", "1001", "ANSWERED");
    list += &listed("2001", "9110", "ANSWERED");
    let before = room.pbx.count("REGISTER 1001");
    daemon.restart(room.folder.path(), &room.ports, &plan);
    wait_until("the registration", Duration::from_secs(10), || {
        (room.pbx.count("REGISTER 1001") > before).then_some(())
    });
    fs::write(room.folder.path().join("dutyline/Master.csv"), list).expect("written");
    let reconcile = |trial: &[&str]| {
        let arguments = [&["reconcile", "Master.csv", "--config", "dutyline.toml"], trial].concat();
        daemon.command(&arguments)
    };
    let (code, said) = reconcile(&["--trial"]);
    assert_eq!(code, Some(1), "{said}");
    assert_eq!(daemon.row("SELECT count(*) FROM call_list"), "0", "a trial writes nothing");
    let (code, said) = reconcile(&[]);
    println!("{said}");
    assert_eq!(code, Some(1), "{said}");
    for words in ["相符 1 · 未录音 1 · 漏接（已列入待回拨）1", "13900000002", "13900000003"]
    {
        assert!(said.contains(words), "{words} in {said}");
    }
    daemon.row_is("SELECT count(*) FROM callback WHERE state = 'open'", "1");
    assert_eq!(daemon.row("SELECT count(*) FROM entry"), "2");
    let rows = "SELECT group_concat(found) FROM listed_call";
    assert_eq!(daemon.row(rows), "matched,missed,unrecorded");
    let entry = daemon.row("SELECT id FROM entry WHERE caller_phone = '13900000002'");
    assert!(officer.reads(&entry).contains("待回拨"));
    let (_, said) = reconcile(&[]);
    assert!(said.contains("已导入过"), "{said}");
    assert_eq!(daemon.row("SELECT count(*) FROM entry"), "2", "once");
    assert_eq!(daemon.command(&["verify", "--config", "dutyline.toml"]).0, Some(0));
}
