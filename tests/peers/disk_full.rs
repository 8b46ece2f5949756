//! The disk of log and tape is full: when a call comes, in the middle of it, when it ends, and while nothing happens. It is
//! told on the page and to whoever watches the daemon, and nothing of what is said is lost, also where there is no other
//! disk.

use crate::metrics;
use crate::officer::Officer;
use crate::process::wait_until;
use crate::recorder::{Call, Line, SmallDisk};
use std::fs::{self, File};
use std::io::Write;
use std::os::unix::fs::symlink;
use std::path::PathBuf;
use std::time::{Duration, Instant};

const TOLD_WITHIN: Duration = Duration::from_secs(2);
const SAFE_WITHIN: Duration = Duration::from_secs(5);
const TICK: Duration = Duration::from_millis(20);
const STEP: Duration = Duration::from_millis(200);

/// Log and tape are on a disk of 24 MB, and the recordings on another or on the same.
struct Site {
    line: Line,
    officer: Officer,
    /// Gone after the daemon.
    _disk: SmallDisk,
}

/// Until there is no room for another byte.
struct Full {
    path: PathBuf,
    since: Instant,
}

impl Site {
    fn open(has_another: bool) -> Option<Self> {
        let mut disk = None;
        let mut line = Line::open(|folder| {
            let own = folder.join("dutyline");
            disk = SmallDisk::mount(&own.join("data"), "24m");
            if !has_another {
                fs::create_dir(own.join("data/recordings")).expect("a folder");
                symlink("data/recordings", own.join("recordings")).expect("a link");
            }
        })?;
        let officer = Officer::first(&mut line.daemon);
        Some(Self { line, officer, _disk: disk? })
    }

    fn fill(&self) -> Full {
        let path = self.line.data().join("filler");
        let mut file = File::create(&path).expect("a file");
        for size in [1 << 16, 4096, 1] {
            while file.write_all(&vec![7; size]).is_ok() {}
        }
        Full { path, since: Instant::now() }
    }

    /// They go on speaking, where there is a call, until the page and the probe have it.
    fn is_told(&self, full: &Full, on_page: &[&str], mut call: Option<&mut Call>) {
        let (mut page, mut probe) = (None, None);
        while page.is_none() || probe.is_none() {
            match &mut call {
                Some(call) => self.line.talk(call, STEP),
                None => std::thread::sleep(STEP / 4),
            }
            let strip = self.officer.looks_up();
            if on_page.iter().any(|words| strip.contains(words)) {
                page.get_or_insert(full.since.elapsed());
            }
            let ready = metrics::get(self.line.room.ports.page(), "/readyz");
            if ready.is_some_and(|(head, _)| head.starts_with("http/1.1 503")) {
                probe.get_or_insert(full.since.elapsed());
            }
            let late = full.since.elapsed() > TOLD_WITHIN + Duration::from_secs(3);
            assert!(!late, "page {page:?}, probe {probe:?}: {strip}");
        }
        println!("on the page after {page:?}, to the probe after {probe:?}");
        assert!(page.max(probe).is_some_and(|after| after <= TOLD_WITHIN), "{page:?} {probe:?}");
    }

    fn is_in_the_log(&self, call: &Call, since: Instant) {
        let row = format!("SELECT count(*) FROM call WHERE caller = '{}'", call.number);
        wait_until("the entry", SAFE_WITHIN, || {
            (self.line.daemon.try_row(&row)? == "1").then_some(())
        });
        println!("in the log after {:?}", since.elapsed());
    }

    fn is_whole(&self, call: &Call, spoken: Duration) {
        let Self { line, .. } = self;
        line.daemon.row_is(&line.row_of(call, "c.state"), "ended");
        line.daemon.row_is(&line.row_of(call, "r.state"), "sealed");
        let recorded = line.recorded(call);
        assert!(recorded + STEP / 2 >= spoken, "{recorded:?} of {spoken:?} are recorded");
        let sent = spoken.as_millis() as usize / 20;
        assert!(call.heard + 3 >= sent, "voice goes on: {} of {sent}", call.heard);
    }
}

impl Full {
    /// Since when there is room again.
    fn over(self) -> Instant {
        fs::remove_file(&self.path).expect("removed");
        Instant::now()
    }
}

fn in_the_middle_of_a_call(has_another: bool) {
    let Some(mut site) = Site::open(has_another) else { return };
    let mut call = site.line.call();
    site.line.talk(&mut call, Duration::from_secs(2));
    let full = site.fill();
    site.is_told(&full, &["未在录音", "录音改存到"], Some(&mut call));
    // The second disk is taken within these.
    for _ in 0..15 {
        site.line.talk(&mut call, STEP);
    }
    let elsewhere = site.line.data().with_file_name("recordings").join(".tape");
    let is_there = fs::read_dir(elsewhere).is_ok_and(|mut all| all.next().is_some());
    assert_eq!(is_there, has_another, "the running tape goes on on the other disk");
    assert_eq!(site.officer.looks_up().contains("录音改存到"), has_another);
    full.over();
    site.line.talk(&mut call, Duration::from_secs(2));
    call.caller.hang_up();
    let spoken = TICK * call.sent;
    site.is_whole(&call, spoken);
    site.line.daemon.process.wait_for("the recorder works again", Duration::from_secs(5));
    let outage = "SELECT count(*) FROM outage WHERE kind = 'recorder' AND to_ms IS NOT NULL";
    site.line.daemon.row_is(outage, "1");
}

#[test]
fn rel_14_rec_d5_a_disk_that_is_full_in_the_middle_of_a_call_is_told_and_nothing_is_lost() {
    in_the_middle_of_a_call(false);
}

#[test]
fn rel_14_rec_d6_the_running_tape_goes_on_on_another_disk_while_its_own_is_full() {
    in_the_middle_of_a_call(true);
}

#[test]
fn rel_14_a_disk_that_is_full_when_a_call_comes_costs_neither_its_voice_nor_its_entry() {
    let Some(mut site) = Site::open(false) else { return };
    let full = site.fill();
    site.is_told(&full, &["数据盘"], None);
    let mut call = site.line.call();
    site.line.talk(&mut call, Duration::from_secs(3));
    let again = full.over();
    site.is_in_the_log(&call, again);
    site.line.talk(&mut call, Duration::from_secs(1));
    call.caller.hang_up();
    site.is_whole(&call, Duration::from_secs(4));
}

#[test]
fn rel_14_a_disk_that_is_full_when_a_call_ends_is_told_and_its_recording_is_made_afterwards() {
    let Some(mut site) = Site::open(false) else { return };
    let mut call = site.line.call();
    site.line.talk(&mut call, Duration::from_secs(3));
    let full = site.fill();
    call.caller.hang_up();
    site.is_told(&full, &["未在录音", "数据盘"], None);
    full.over();
    site.is_whole(&call, Duration::from_secs(3));
    wait_until("no alarm", SAFE_WITHIN, || {
        let strip = site.officer.looks_up();
        (!strip.contains("数据盘") && !strip.contains("未在录音")).then_some(())
    });
}
