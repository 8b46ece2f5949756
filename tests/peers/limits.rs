//! What the host gives the daemon: few descriptors, and processors that others want too.

use crate::calls::{Room, talk};
use crate::daemon::{Daemon, Plan};
use crate::wave;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::Duration;

const SOON: Duration = Duration::from_secs(20);
const CALL: &str = "SELECT id FROM call WHERE direction = 'in'";
const FEW: [&str; 2] = ["prlimit", "--nofile=64:64"];

/// So many threads that never rest.
pub struct Busy(pub usize);

impl Busy {
    pub fn while_it_lasts<T>(&self, what: impl FnOnce() -> T) -> T {
        let enough = AtomicBool::new(false);
        thread::scope(|scope| {
            for _ in 0..self.0 {
                scope.spawn(|| {
                    while !enough.load(Ordering::Relaxed) {
                        std::hint::spin_loop();
                    }
                });
            }
            let done = what();
            enough.store(true, Ordering::Relaxed);
            done
        })
    }
}

/// A call of three seconds, of which nothing is lost to anybody, whoever is busy `meanwhile`.
fn is_whole(room: &mut Room, daemon: &Daemon, meanwhile: &Busy) {
    let (caller_says, officer_says) = (wave::voice(1, 20), wave::voice(2, 20));
    let mut caller = room.phone("caller", &caller_says);
    let mut officer = room.phone("2001", &officer_says);
    caller.dial("1001");
    officer.incoming(SOON);
    officer.accept();
    caller.established();
    officer.established();
    meanwhile.while_it_lasts(|| talk(3));
    caller.hangup();
    officer.closed();
    daemon.row_is("SELECT disposition FROM call", "answered");
    daemon.row_is("SELECT count(*) FROM carried WHERE lost = 0 AND untaped = 0", "2");
    let recorded = daemon.recording(CALL);
    let sides = [("caller", &caller_says), ("officer", &officer_says)];
    for ((who, said), heard) in sides.into_iter().zip(&recorded.channels) {
        let found = wave::compare(said, heard).unwrap_or_else(|| panic!("{who}: nothing of it"));
        assert!(found.is_whole() && found.same > 2 * wave::RATE, "{who}: {found:?}");
    }
}

#[test]
fn rel_28_with_64_descriptors_it_carries_the_calls_for_which_they_are_enough() {
    let Some(mut room) = Room::open() else { return };
    let daemon = room.daemon(&Plan { channels: 4, through: &FEW, ..Plan::default() });
    is_whole(&mut room, &daemon, &Busy(0));
}

#[test]
fn rel_28_where_they_are_not_enough_it_does_not_start_and_says_what_to_raise() {
    let Some(room) = Room::open() else { return };
    let wide = crate::ports::Ports::take();
    let first_port = Some(wide.all_for_media());
    let plan = Plan { channels: 40, first_port, through: &FEW, ..Plan::default() };
    let mut daemon = Daemon::spawn(room.folder.path(), &room.ports, &plan);
    daemon.process.wait_for("LimitNOFILE", SOON);
    let ended = crate::process::wait_until("its end", SOON, || daemon.process.ended());
    assert!(!ended.success());
}

#[test]
fn rel_28_ten_who_want_the_processors_cost_a_call_nothing() {
    let Some(mut room) = Room::open() else { return };
    let daemon = room.daemon(&Plan::default());
    is_whole(&mut room, &daemon, &Busy(10));
}
