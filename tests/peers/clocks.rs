//! The wall clock is set while two talk, and while nobody is there: only the daemon's, by a library
//! that is loaded before it.

use crate::calls::{Room, connect, talk};
use crate::daemon::{Daemon, Plan};
use crate::preload::Preload;
use crate::wave;
use std::path::Path;

const HOUR_MS: i64 = 3_600_000;
pub const DAY_MS: i64 = 24 * HOUR_MS;

/// Of the daemon alone.
pub struct Clock(Preload);

impl Clock {
    pub fn new(folder: &Path) -> Self {
        Self(Preload::new(folder, "DUTYLINE_TEST_CLOCK"))
    }

    pub fn environment(&self) -> [(&str, &str); 2] {
        self.0.environment()
    }

    /// So much ahead of the real one.
    pub fn set(&self, ahead_ms: i64) {
        self.0.say(ahead_ms * 1_000_000);
    }
}

fn steps(daemon: &Daemon, wanted: &[i64]) {
    for (at, wanted) in wanted.iter().enumerate() {
        let query = format!(
            "SELECT CASE WHEN abs(step_ms - ({wanted})) < 500 THEN 'as set' ELSE 'by ' || step_ms END
             FROM outage WHERE step_ms IS NOT NULL ORDER BY id LIMIT 1 OFFSET {at}"
        );
        daemon.row_is(&query, "as set");
    }
    let count = daemon.row("SELECT count(*) FROM outage WHERE step_ms IS NOT NULL");
    assert_eq!(count, wanted.len().to_string());
}

#[test]
fn rel_19_rec_k1_the_clock_is_set_in_a_call_and_its_durations_are_true() {
    let Some(mut room) = Room::open() else { return };
    let clock = Clock::new(room.folder.path());
    let environment = clock.environment();
    let plan = Plan { environment: &environment, ..Plan::default() };
    let mut daemon = room.daemon(&plan);
    let says = [wave::voice(71, 30), wave::voice(72, 30)];
    let mut caller = room.phone_with("caller", &says[0], "");
    let mut officer = room.phone_with("2001", &says[1], "");
    connect(&mut caller, &mut officer);
    talk(3);
    clock.set(HOUR_MS);
    steps(&daemon, &[HOUR_MS]);
    talk(1);
    clock.set(HOUR_MS - DAY_MS);
    steps(&daemon, &[HOUR_MS, -DAY_MS]);
    talk(2);
    caller.hangup();
    officer.closed();
    daemon.row_is("SELECT disposition FROM call", "answered");
    daemon.row_is("SELECT state FROM recording", "sealed");
    let number = |query: &str| daemon.row(query).parse::<i64>().expect("a number");
    let talked = number("SELECT (ended_mono - answered_mono) / 1000000 FROM call");
    let recorded = number("SELECT duration_ms FROM recording");
    assert!((6_000..25_000).contains(&talked), "{talked} ms");
    assert!((recorded - talked).abs() < 500, "{recorded} ms recorded of {talked} ms");
    let by_wall = number("SELECT ended_ms - answered_ms FROM call");
    assert!(by_wall < 0, "the wall clock says nonsense, and is kept as it was: {by_wall} ms");
    let (code, said) = daemon.command(&["verify", "--config", "dutyline.toml"]);
    assert_eq!(code, Some(0), "{said}");

    // Killed, and the clock is set forward before it is started again.
    daemon.process.kill();
    clock.set(2 * HOUR_MS - DAY_MS);
    daemon.restart(room.folder.path(), &room.ports, &plan);
    steps(&daemon, &[HOUR_MS, -DAY_MS, HOUR_MS]);
    let away = number_of_last_outage(&daemon);
    assert!((0..10_000).contains(&away), "away for {away} ms by the new clock, not for an hour");
}

fn number_of_last_outage(daemon: &Daemon) -> i64 {
    let away = "SELECT to_ms - from_ms FROM outage WHERE kind = 'service' ORDER BY id DESC LIMIT 1";
    daemon.row(away).parse().expect("a number")
}
