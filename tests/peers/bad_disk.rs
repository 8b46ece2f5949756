//! A disk on which each sync takes five seconds, none ends, or each fails: the daemon's only, by a library that is loaded
//! before it. Log, tape and recordings are on it.

use crate::calls::Room;
use crate::daemon::Plan;
use crate::officer::Officer;
use crate::preload::Preload;
use crate::process::wait_until;
use crate::recorder::{Call, Line, plan};
use std::time::{Duration, Instant};

const STEP: Duration = Duration::from_millis(200);
const SOUND: i64 = 0;
const SLOW_MS: i64 = 5000;
const HANGS: i64 = -1;
const FAILS: i64 = -2;
/// It is noticed after 1.8 s, at a sync that begins within a second.
const TOLD_WITHIN: Duration = Duration::from_secs(4);
const SET_UP_WITHIN: Duration = Duration::from_secs(1);
const IN_THE_LOG_WITHIN: Duration = Duration::from_secs(5);
const NOT_RECORDING: &str = "未在录音";

/// Two seconds more after it was told, or as long as the long run asks for.
fn hangs() -> Duration {
    let seconds = std::env::var("DUTYLINE_HANG_SECONDS").ok().and_then(|text| text.parse().ok());
    Duration::from_secs(seconds.unwrap_or(2))
}

/// Two who talk, and somebody else who calls while the disk is bad.
struct Site<'a> {
    disk: &'a Preload,
    line: Line,
    officer: Officer,
    call: Call,
}

impl<'a> Site<'a> {
    fn open(room: Room, disk: &'a Preload) -> Self {
        let environment = disk.environment();
        let mut line = Line::over(room, &Plan { environment: &environment, ..plan() });
        let officer = Officer::first(&mut line.daemon);
        let call = line.call();
        let mut site = Self { disk, line, officer, call };
        site.talk(Duration::from_secs(2));
        site
    }

    fn talk(&mut self, length: Duration) {
        let until = Instant::now() + length;
        while Instant::now() < until {
            self.line.talk(&mut self.call, STEP);
        }
    }

    /// From now on; the page says it, and a call comes about. Who called.
    fn disk(&mut self, is: i64) -> String {
        self.disk.say(is);
        let (began, mut told) = (Instant::now(), None);
        while told.is_none() {
            self.line.talk(&mut self.call, STEP);
            let says = self.officer.looks_up().contains(NOT_RECORDING);
            told = says.then(|| began.elapsed());
            assert!(began.elapsed() < 2 * TOLD_WITHIN, "nobody is told");
        }
        println!("told after {told:?}");
        assert!(told <= Some(TOLD_WITHIN), "{told:?}");
        let dialled = Instant::now();
        let other = self.line.call();
        let set_up = dialled.elapsed();
        println!("another call is set up in {set_up:?}");
        assert!(set_up < SET_UP_WITHIN, "{set_up:?}");
        other.caller.hang_up();
        other.number
    }

    /// It is sound again: nothing of either call is lost.
    fn recovers(mut self, other: &str) {
        self.disk.say(SOUND);
        let sound = Instant::now();
        let row = format!("SELECT count(*) FROM call WHERE caller = '{other}'");
        while self.line.daemon.try_row(&row).as_deref() != Some("1") {
            self.line.talk(&mut self.call, STEP);
            assert!(sound.elapsed() < IN_THE_LOG_WITHIN, "the other call is not in the log");
        }
        println!("in the log after {:?}", sound.elapsed());
        self.talk(Duration::from_secs(2));
        let Self { line, officer, call, .. } = self;
        let sent = call.sent as usize;
        assert!(call.heard + 3 >= sent, "voice goes on: {} of {sent}", call.heard);
        call.caller.hang_up();
        line.daemon.row_is(&line.row_of(&call, "r.state"), "sealed");
        let (spoken, recorded) = (STEP / 10 * call.sent, line.recorded(&call));
        assert!(recorded + STEP / 2 >= spoken, "{recorded:?} of {spoken:?} are recorded");
        wait_until("no alarm", Duration::from_secs(12), || {
            (!officer.looks_up().contains(NOT_RECORDING)).then_some(())
        });
        let outages = "SELECT count(*) > 0 AND min(to_ms IS NOT NULL) FROM outage
            WHERE kind = 'recorder'";
        line.daemon.row_is(outages, "1");
        let (code, said) = line.daemon.command(&["verify", "--config", "dutyline.toml"]);
        assert_eq!(code, Some(0), "{said}");
    }
}

#[test]
fn rel_16_rec_d6_a_disk_that_hangs_and_then_is_slow_is_told_and_costs_neither_voice_nor_recording()
{
    let Some(room) = Room::open() else { return };
    let disk = Preload::new(room.folder.path(), "DUTYLINE_TEST_DISK");
    let mut site = Site::open(room, &disk);
    let other = site.disk(HANGS);
    site.talk(hangs());
    disk.say(SLOW_MS);
    site.talk(Duration::from_millis(SLOW_MS.unsigned_abs() + 1000).max(hangs() / 2));
    site.recovers(&other);
}

#[test]
fn rel_15_rec_d6_a_disk_that_fails_every_sync_costs_no_voice_no_entry_and_no_recording() {
    let Some(room) = Room::open() else { return };
    let disk = Preload::new(room.folder.path(), "DUTYLINE_TEST_DISK");
    let mut site = Site::open(room, &disk);
    let other = site.disk(FAILS);
    site.talk(Duration::from_secs(5));
    site.recovers(&other);
}
