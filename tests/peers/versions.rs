//! The policy changes between two urgent calls: at its second, without a restart, across one, and never by a version
//! that cannot work.

use crate::calls::{Room, calls_for_the_leader, talk, urgent_call};
use crate::daemon::Plan;
use crate::officer::Officer;
use crate::process::wait_until;
use crate::wave;
use chrono::{TimeDelta, Utc};
use dutyline::duty::entry::beijing;
use std::time::Duration;

const SOON: Duration = Duration::from_secs(8);
const LEADERS: [(&str, &str); 2] = [("leader", "3001"), ("substitute", "2002")];
const FIRST_CALLED: &str = "SELECT group_concat(role) FROM (SELECT (SELECT role FROM attempt a
    WHERE a.escalation = e.id ORDER BY seq LIMIT 1) AS role FROM escalation e ORDER BY raised_ms)";
const VERSIONS: &str = "SELECT group_concat(d.name, '|') FROM (SELECT policy FROM escalation
    ORDER BY raised_ms) e JOIN policy p ON p.id = e.policy
    JOIN policy_document d ON d.id = p.document";

/// Calls `role` first and the leader after; in force so many seconds from now.
fn later(name: &str, role: &str, seconds: i64) -> String {
    let from = Utc::now().with_timezone(&beijing()) + TimeDelta::seconds(seconds);
    let tier = |role: &str| {
        format!(
            "[[escalation.later.urgent]]\nrole = \"{role}\"\nlasts_seconds = 60\n\
             repeat_seconds = 10\ncalls = [{{ line = \"mobile\" }}]\n"
        )
    };
    let from = from.format("%Y-%m-%d %H:%M:%S");
    format!(
        "[[escalation.later]]\nfrom = \"{from}\"\nname = \"{name}\"\n{}{}",
        tier(role),
        tier("leader")
    )
}

#[test]
fn esc_82_the_policy_changes_between_two_urgent_calls_and_the_first_is_run_to_its_end_by_its_own() {
    let Some(mut room) = Room::open() else { return };
    let first = "[escalation]\nname = \"秋季\"\n";
    let plan = Plan { leaders: &LEADERS, more: first, ..Plan::default() };
    let mut daemon = room.daemon(&plan);
    let [mut caller, mut officer, mut leader] = urgent_call(&mut room);
    let mut substitute = room.phone("2002", &vec![0; 60 * wave::RATE]);
    leader.incoming(SOON);
    daemon.row_is("SELECT count(*) FROM attempt", "1");

    // A new file, and its second.
    let winter = later("冬季", "substitute", 6);
    let both = format!("{first}{winter}");
    let plan = Plan { more: &both, ..plan };
    daemon.reload(&room.ports, &plan);
    daemon.row_is("SELECT count(*) FROM policy_document WHERE name = '冬季'", "1");
    assert_eq!(daemon.row("SELECT count(*) FROM policy WHERE document = 2"), "0", "to come");
    daemon.row_is(
        "SELECT p.from_ms - d.from_ms FROM policy p JOIN policy_document d ON d.id = p.document
         WHERE d.name = '冬季'",
        "0",
    );
    caller.hangup();
    officer.closed();
    caller.dial("1001");
    officer.incoming(SOON);
    officer.accept();
    officer.established();
    talk(1);
    calls_for_the_leader(&mut officer);
    substitute.incoming(SOON);
    daemon.row_is(FIRST_CALLED, "leader,substitute");
    daemon.row_is(VERSIONS, "秋季|冬季");

    // One that nobody could be called by is refused, and one with faults is not read at all.
    let bad = format!("{both}{}", later("坏的", "head", 1));
    daemon.reload(&room.ports, &Plan { more: &bad, ..plan });
    daemon.row_is("SELECT refused FROM policy_verdict ORDER BY id DESC LIMIT 1", "1");
    let wrong = format!("{both}[nothing]\n");
    daemon.reload(&room.ports, &Plan { more: &wrong, ..plan });
    daemon.process.wait_for("not read again", SOON);
    talk(2);
    let in_force = "SELECT d.name FROM policy p JOIN policy_document d ON d.id = p.document
        ORDER BY p.id DESC LIMIT 1";
    assert_eq!(daemon.row(in_force), "冬季");

    // Across a restart, and to the end.
    daemon.process.kill();
    daemon.restart(room.folder.path(), &room.ports, &plan);
    substitute.accept();
    substitute.established();
    talk(2);
    substitute.press('1');
    daemon.row_is("SELECT count(*) FROM escalation WHERE state = 'acknowledged'", "1");
    talk(3);
    let others = "SELECT count(*) FROM attempt a JOIN escalation e ON e.id = a.escalation
        WHERE e.raised_ms = (SELECT min(raised_ms) FROM escalation) AND a.role <> 'leader'";
    assert_eq!(daemon.row(others), "0", "the first one goes on by its own");
    daemon.row_is(VERSIONS, "秋季|冬季");
    assert_eq!(daemon.row(in_force), "冬季");
    let (code, said) = daemon.command(&["verify", "--config", "dutyline.toml"]);
    assert_eq!(code, Some(0), "{said}");
    let (code, said) = daemon.command(&["policy", "check", "--config", "dutyline.toml"]);
    assert_eq!(code, Some(0), "{said}");
    assert!(said.contains("冬季 现行"), "{said}");
}

const IN_FORCE: &str = "SELECT d.name FROM policy p JOIN policy_document d ON d.id = p.document
    ORDER BY p.id DESC LIMIT 1";

/// What `text` says of how long a tier lasts is nonsense.
fn spoilt(text: &str) -> String {
    text.replacen("lasts_seconds = 60", "lasts_seconds = 1", 1)
}

#[test]
fn esc_82_a_daemon_that_starts_with_spoilt_versions_goes_on_by_the_last_that_can_and_says_so() {
    let Some(mut room) = Room::open() else { return };
    let first = "[escalation]\nname = \"秋季\"\n";
    let winter = later("冬季", "substitute", 1);
    let spring = spoilt(&later("春季", "leader", 86_400));
    let both = format!("{first}{winter}");
    let plan = Plan { leaders: &LEADERS, more: &both, ..Plan::default() };
    let mut daemon = room.daemon(&plan);
    daemon.row_is(IN_FORCE, "冬季");
    let officer = Officer::first(&mut daemon);
    let told = |what: &str| {
        wait_until(what, SOON, || {
            officer.looks_up_if_up().is_some_and(|strip| strip.contains(what)).then_some(())
        });
    };

    // Read again: one to come is spoilt, then the one in force too.
    let more = format!("{both}{spring}");
    daemon.reload(&room.ports, &Plan { more: &more, ..plan });
    told("春季不能用，不会生效，现行呼叫顺序冬季不变：escalation.later[1].urgent[0].lasts_seconds");
    let more = format!("{first}{}", spoilt(&winter));
    daemon.reload(&room.ports, &Plan { more: &more, ..plan });
    told("冬季不能用，不会生效，现行呼叫顺序冬季不变：escalation.later[0].urgent[0].lasts_seconds");
    assert_eq!(daemon.row(IN_FORCE), "冬季");

    // Whatever it brings of the line takes a restart: what would then be refused is told now.
    let echoed = "answer_supervision = false\nkeys_in_voice = true";
    daemon.reload(&room.ports, &Plan { more: &both, line: echoed, ..plan });
    told("重启会启动不了。line.keys_in_voice");
    let keys = both.replacen("from = ", "keys_in_voice = true\nfrom = ", 1);
    daemon.reload(&room.ports, &Plan { more: &keys, ..plan });
    told("冬季不能用，不会生效，现行呼叫顺序冬季不变：escalation.later[0].keys_in_voice");

    // The power goes, and comes back at three in the morning.
    daemon.process.kill();
    daemon.restart(room.folder.path(), &room.ports, &Plan { more: &more, ..plan });
    told("冬季不能用，不会生效，现行呼叫顺序冬季不变：escalation.later[0].urgent[0].lasts_seconds");
    let [mut caller, mut officer_phone, _leader] = urgent_call(&mut room);
    let mut substitute = room.phone("2002", &vec![0; 20 * wave::RATE]);
    substitute.incoming(SOON);
    daemon.row_is(FIRST_CALLED, "substitute");
    caller.hangup();
    officer_phone.closed();
    substitute.accept();
    substitute.established();
    talk(2);
    substitute.press('1');
    daemon.row_is("SELECT count(*) FROM escalation WHERE state = 'acknowledged'", "1");
    let (code, said) = daemon.command(&["policy", "check", "--config", "dutyline.toml"]);
    assert_eq!(code, Some(2), "{said}");
    assert!(said.contains("escalation.later[0].urgent[0].lasts_seconds"), "{said}");

    // With none left in the file that can be read, the log's; and without that, none.
    daemon.process.kill();
    let more = "[escalation]\nring_seconds = 1\n";
    daemon.restart(room.folder.path(), &room.ports, &Plan { more, ..plan });
    told("现行呼叫顺序冬季不变：escalation.ring_seconds");
    assert_eq!(daemon.row(IN_FORCE), "冬季");
    daemon.process.kill();
    let data = room.folder.path().join("dutyline/data");
    std::fs::rename(&data, data.with_extension("gone")).expect("moved");
    let (code, said) = daemon.command(&["run", "--config", "dutyline.toml"]);
    assert_eq!(code, Some(2), "{said}");
    assert!(said.contains("escalation.ring_seconds") && said.contains("没有可用的呼叫顺序"));
}
