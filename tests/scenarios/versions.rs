//! Versions of the policy: which one a matter goes by, whatever the clock and the daemon do.

use crate::room::people::{HEAD, LEADER, LEADER_OFFICE, SUBSTITUTE};
use crate::room::{Room, minutes, seconds};
use chrono::TimeDelta;
use dutyline::duty::escalation::{Policy, Version};
use dutyline::duty::ids::EntryId;
use dutyline::duty::rehearsal::Finding;
use dutyline::duty::roster::Role;
use std::time::Duration;

const AT_ONCE: Duration = Duration::from_secs(1);

/// The substitute first, then the leader; in force from so long after now.
fn substitute_first(room: &Room, after: TimeDelta) -> Version {
    let mut figures = Policy { after: None, ..Policy::default() };
    figures.urgent.tiers.retain(|tier| tier.role != Role::Head);
    figures.urgent.tiers.reverse();
    let from = Some(room.now().wall + after);
    let text = "[[escalation.later]]\n".to_owned();
    Version { name: "替班先".to_owned(), from, text, ..Version::of(figures) }
}

fn a_matter(room: &mut Room) -> EntryId {
    let entry = room.caller_dials("101");
    room.officer_answers(entry);
    room.officer_flags_urgent(entry);
    room.caller_hangs_up(entry);
    entry
}

fn the_leader_acknowledges(room: &mut Room) {
    room.rings(LEADER, minutes(2));
    room.leader_answers();
    room.leader_presses('1');
    room.pass(seconds(5));
    room.expect_rings(&[LEADER, LEADER_OFFICE, SUBSTITUTE, HEAD]);
}

fn called(room: &Room, entry: EntryId) -> Vec<Role> {
    room.attempts(entry).into_iter().map(|attempt| attempt.role).collect()
}

#[test]
fn esc_82_a_matter_is_run_to_its_end_by_the_version_under_which_it_was_flagged() {
    let mut room = Room::open();
    let later = substitute_first(&room, TimeDelta::seconds(60));
    room.later(vec![later]);
    let before = a_matter(&mut room);
    room.rings(LEADER, AT_ONCE);
    room.pass(seconds(60));
    // The other version is in force by now, and it makes no difference that the daemon begins anew.
    room.kill_daemon();
    room.pass(seconds(5));
    room.start_daemon();
    room.pass(seconds(100));
    assert!(called(&room, before).iter().all(|role| *role == Role::Leader));
    room.pass(minutes(1));
    assert!(called(&room, before).contains(&Role::Substitute), "in his turn, after three minutes");
    the_leader_acknowledges(&mut room);
    let after = a_matter(&mut room);
    room.rings(SUBSTITUTE, AT_ONCE);
    assert_eq!(called(&room, after), [Role::Substitute]);
    room.leave_as_it_is();
}

#[test]
fn esc_64_a_clock_that_is_set_takes_the_version_with_it_and_no_matter_that_is_open() {
    let mut room = Room::open();
    let later = substitute_first(&room, TimeDelta::hours(1));
    room.later(vec![later]);
    let before = a_matter(&mut room);
    room.rings(LEADER, AT_ONCE);
    room.set_wall_clock(TimeDelta::hours(2));
    let within = a_matter(&mut room);
    room.rings(SUBSTITUTE, AT_ONCE);
    room.set_wall_clock(TimeDelta::hours(-2));
    room.pass(seconds(100));
    assert!(called(&room, before).iter().all(|role| *role == Role::Leader));
    assert_eq!(called(&room, within)[0], Role::Substitute);
    let after = a_matter(&mut room);
    room.pass(seconds(60));
    assert_eq!(called(&room, after)[0], Role::Leader, "as the clock has it again");
    room.leave_as_it_is();
}

#[test]
fn esc_82_a_version_that_says_so_takes_what_is_open_with_it_at_its_second() {
    let mut room = Room::open();
    let mut later = substitute_first(&room, TimeDelta::seconds(60));
    later.open_too = true;
    room.later(vec![later]);
    let entry = a_matter(&mut room);
    room.pass(seconds(50));
    assert!(called(&room, entry).iter().all(|role| *role == Role::Leader));
    room.rings(SUBSTITUTE, seconds(15));
    room.leave_as_it_is();
}

/// As somebody left it who did not check what he wrote.
fn spoilt(version: &Version) -> Version {
    let zh = "escalation.later[0].urgent[0].lasts_seconds：应在 10 到 3600 之间".to_owned();
    let en = "escalation.later[0].urgent[0].lasts_seconds: must be between 10 and 3600".to_owned();
    let figures = Policy { after: None, ..Policy::default() };
    let unreadable = vec![Finding { refused: true, zh, en }];
    Version { figures, unreadable, ..version.clone() }
}

#[test]
fn esc_82_after_a_power_cut_a_version_that_was_spoilt_while_in_force_goes_on_as_the_log_has_it() {
    let mut room = Room::open();
    let good = substitute_first(&room, TimeDelta::seconds(5));
    room.later(vec![good.clone()]);
    room.pass(seconds(10));
    let before = a_matter(&mut room);
    room.rings(SUBSTITUTE, AT_ONCE);
    room.kill_daemon();
    let to_come = Version { from: Some(room.now().wall + TimeDelta::days(1)), ..good.clone() };
    room.policy.later = vec![spoilt(&good), spoilt(&to_come)];
    room.start_daemon();
    let after = a_matter(&mut room);
    room.pass(seconds(30));
    for entry in [before, after] {
        assert_eq!(called(&room, entry)[0], Role::Substitute);
    }
    // Neither is the first one what it was.
    room.kill_daemon();
    room.policy.first = spoilt(&room.policy.first);
    room.policy.later.clear();
    room.start_daemon();
    let last = a_matter(&mut room);
    room.pass(seconds(60));
    assert_eq!(called(&room, last)[0], Role::Substitute);
    room.leave_as_it_is();
}

#[test]
fn esc_82_a_version_to_come_that_is_spoilt_leaves_the_others_as_they_are() {
    let mut room = Room::open();
    let mut leader_first = substitute_first(&room, TimeDelta::seconds(60));
    leader_first.figures.urgent.tiers.reverse();
    let good = substitute_first(&room, TimeDelta::seconds(5));
    room.kill_daemon();
    room.policy.later = vec![good, spoilt(&leader_first)];
    room.start_daemon();
    room.pass(seconds(70));
    let entry = a_matter(&mut room);
    room.rings(SUBSTITUTE, AT_ONCE);
    assert_eq!(called(&room, entry), [Role::Substitute]);
    room.leave_as_it_is();
}
