//! What becomes of a call to a leader (escalation.md, C), by what a telephone behind a real PBX answers, and what follows.

use crate::calls::{Room, talk};
use crate::daemon::{Daemon, Plan};
use crate::leader::flagged;
use crate::officer::Officer;
use crate::twin::FarEnd;
use crate::wave;
use std::time::{Duration, Instant};

/// He declines, and his office is off; his substitute's mobile is nobody's, and at his office he picks up when he has
/// been given up.
const PEOPLE: &str = "[[leaders]]
name = \"leader\"
role = \"leader\"
mobile = \"9603\"
office = \"9483\"
[[leaders]]
name = \"substitute\"
role = \"substitute\"
mobile = \"9404\"
office = \"9182\"
[escalation]
follow_up = false
ring_seconds = 10
redial_leader_seconds = 20
";
const RINGS: Duration = Duration::from_secs(10);

/// From the end of a call to the next one.
fn between(daemon: &Daemon, seq: u32) -> u64 {
    let next = seq + 1;
    let query = format!(
        "SELECT b.started_ms - a.ended_ms FROM attempt a JOIN attempt b ON b.seq = {next}
         WHERE a.seq = {seq}"
    );
    daemon.number(&query)
}

#[test]
fn esc_18_19_20_22_declined_dead_given_up_and_off_each_have_what_follows_on_them() {
    let Some(mut room) = Room::open() else { return };
    let far_end = FarEnd::start(&room.ports);
    let mut daemon = room.daemon(&Plan { leaders: &[], more: PEOPLE, ..Plan::default() });
    let officer = Officer::first(&mut daemon);
    flagged(&mut room, &daemon, &wave::voice(83, 30));
    for dialled in ["9603", "9404", "9182"] {
        let invite = far_end.invited();
        assert!(invite.first.contains(dialled), "{dialled} is next: {}", invite.first);
    }
    let ended = |seq: u32| {
        let row = format!(
            "SELECT target || ' ' || result || ' ' || status FROM attempt WHERE seq = {seq}"
        );
        daemon.row(&row)
    };
    assert_eq!([ended(1), ended(2)], ["9603 declined 603", "9404 unreachable 404"]);
    let after = [1, 2].map(|seq| between(&daemon, seq));
    println!(
        "after he declined the next rings in {} ms, after a dead number in {}",
        after[0], after[1]
    );
    assert!(after.iter().all(|after| *after <= 2_000), "esc_19, esc_20: {after:?}");
    let strip = officer.looks_up();
    assert!(strip.contains("号码无法接通") && strip.contains("substitute"), "esc_20: {strip}");

    // esc_18: picked up as it is given up.
    far_end.is_let_go_within(RINGS + Duration::from_secs(3));
    let taken = "SELECT answered_ms - ringing_ms FROM attempt WHERE seq = 3 AND result IS NULL";
    let taken = daemon.number(taken);
    println!("taken {taken} ms after it began to ring");
    assert!((9_900..10_600).contains(&taken), "the CANCEL and the 200 cross: {taken} ms");

    // esc_22: an announcement is no answer; and he is redialled beside it (I-7).
    let invite = far_end.invited_within(Duration::from_secs(15));
    assert!(invite.first.contains("9483"), "his other number: {}", invite.first);
    daemon.row_is("SELECT result || ' ' || status FROM attempt WHERE seq = 4", "no_answer 480");
    let proved = "SELECT count(answered_ms) + count(ringing_ms) FROM attempt WHERE seq = 4";
    assert_eq!(daemon.row(proved), "0", "nobody knows that it rang");
    assert_eq!(daemon.row("SELECT count(*) FROM attempt WHERE target = '9404'"), "1", "left alone");
}

#[test]
fn esc_32_a_matter_that_is_withdrawn_rings_no_longer_than_half_a_second() {
    let Some(mut room) = Room::open() else { return };
    let far_end = FarEnd::start(&room.ports);
    let mut daemon = room.daemon(&Plan { leaders: &[("leader", "9180")], ..Plan::default() });
    let officer = Officer::first(&mut daemon);
    flagged(&mut room, &daemon, &wave::voice(84, 30));
    far_end.invited();
    daemon.row_is("SELECT count(*) FROM attempt WHERE ringing_ms > 0", "1");
    let entry = daemon.row("SELECT entry FROM escalation");
    let withdrawn = Instant::now();
    officer.posts(&format!("/entries/{entry}/withdraw"), &[("reason", "误报")]);
    far_end.is_let_go();
    let after = withdrawn.elapsed();
    println!("its telephone is let go {after:?} after the withdrawal");
    assert!(after <= Duration::from_millis(500), "{after:?}");
    daemon.row_is("SELECT result FROM attempt", "cancelled");
    talk(5);
    assert_eq!(daemon.row("SELECT count(*) FROM attempt"), "1", "and nobody else is called");
}
