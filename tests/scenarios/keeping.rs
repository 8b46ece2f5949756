//! 录音保管 over days: no clock makes a recording old enough to be destroyed.

use crate::room::{Room, hours, seconds};
use chrono::TimeDelta;
use dutyline::demo::phone::SILENCE;
use dutyline::duty::ids::CallId;
use dutyline::duty::keeping::{Doubt, Rules};
use dutyline::io::store::{Due, FileKind, wait};

const RULES: Rules = Rules { ordinary: Some(TimeDelta::days(30)), urgent: None, self_test: None };

/// A call that is recorded, with its second copy.
fn talks(room: &mut Room, number: &str) -> CallId {
    let entry = room.caller_dials(number);
    room.officer_answers(entry);
    room.says(number, &[SILENCE; 8_000]);
    room.caller_hangs_up(entry);
    room.pass(seconds(1));
    let (call, now) = (CallId(entry.0), room.now());
    for kind in [FileKind::Wav, FileKind::Tape] {
        wait(room.store.copied(call, kind, now)).expect("the log is written");
    }
    call
}

fn due(room: &Room) -> Due {
    wait(room.store.due(RULES, None, room.now())).expect("the log is read")
}

fn days(room: &mut Room, count: u64) {
    room.lies_idle(hours(24 * count));
}

#[test]
fn rec_d14_calls_before_and_after_a_dead_clock_battery_are_due_a_month_after_they_were_made() {
    let mut room = Room::open();
    room.leave_as_it_is();
    let before = talks(&mut room, "101");
    room.set_wall_clock(-TimeDelta::days(9_000));
    let dead = talks(&mut room, "102");
    room.set_wall_clock(TimeDelta::days(9_000));
    let after = talks(&mut room, "101");
    // The boot clock goes on without it.
    room.kill_daemon();
    let found = due(&room);
    assert_eq!((found.list.len(), found.kept), (0, 2));
    let [doubtful] = &found.doubtful[..] else { panic!("{found:?}") };
    assert_eq!((doubtful.row.call, doubtful.doubt), (dead, Doubt::Unseen));
    days(&mut room, 29);
    assert_eq!((due(&room).list.len(), due(&room).doubtful.len()), (0, 1));
    // A time server that is a year ahead.
    room.set_wall_clock(TimeDelta::days(365));
    assert_eq!((due(&room).list.len(), due(&room).doubtful.len()), (0, 3));
    room.set_wall_clock(-TimeDelta::days(365));
    days(&mut room, 2);
    let found: Vec<CallId> = due(&room).list.iter().map(|row| row.call).collect();
    assert_eq!(found, [dead, before, after]);
}
