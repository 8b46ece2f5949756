//! The two sides of a recording stand beside each other as they were heard, gaps included.

use crate::calls::Room;
use crate::daemon::Plan;
use crate::twin::{FarEnd, TrunkCaller, Voice};
use std::thread::sleep;
use std::time::{Duration, Instant};

const TICK: Duration = Duration::from_millis(20);
const TICKS: usize = 400;
/// A-law of silence and of a loud sample.
const QUIET: u8 = 0xd5;
const LOUD: u8 = 0xaa;

/// Both clap in the same instant, once a second. The officer's sound begins later, and half a
/// second of it is lost on the way.
#[test]
fn rec_left_and_right_are_aligned_within_20_ms() {
    let Some(room) = Room::open() else { return };
    let far_end = FarEnd::start(&room.ports);
    let daemon = room.daemon(&Plan { phones: &[("9200", 20)], ..Plan::default() });
    let mut caller = TrunkCaller::new(&room.ports, "13800130007");
    assert_eq!(caller.call("1001"), 200);
    let to_officer_side = far_end.invited().media();
    let to_caller_side = caller.remote_media();

    let (mut left, mut right) = (Voice::new(7), Voice::new(40_009));
    let start = Instant::now();
    for tick in 0..TICKS {
        let mut sound = [QUIET; 160];
        if tick % 50 == 25 {
            sound[..40].fill(LOUD);
        }
        let packet = left.packet(&sound);
        caller.media.send_to(&packet, to_caller_side).expect("sent");
        if tick >= 33 {
            let packet = right.packet(&sound);
            if !(230..255).contains(&tick) {
                far_end.media.send_to(&packet, to_officer_side).expect("sent");
            }
        }
        let next = start + TICK * u32::try_from(tick + 1).expect("few");
        sleep(next.saturating_duration_since(Instant::now()));
    }
    caller.hang_up();
    daemon.row_is("SELECT disposition FROM call", "answered");
    assert_eq!(daemon.row("SELECT caller FROM call"), "13800130007");

    let recorded = daemon.recording("SELECT id FROM call");
    let (left, right) = (claps(&recorded.channels[0]), claps(&recorded.channels[1]));
    assert_eq!(left.len(), 8, "{left:?}");
    assert_eq!(right.len(), 7, "{right:?}");
    for (a, b) in left.iter().zip(left.iter().skip(1)) {
        assert_eq!(b - a, 8000, "a second is a second: {left:?}");
    }
    for clap in &right {
        let nearest = left.iter().map(|other| other.abs_diff(*clap)).min().expect("claps");
        println!("the two sides are {} µs apart", nearest * 125);
        assert!(nearest <= 160, "{nearest} samples apart: {left:?} {right:?}");
    }
}

/// Where each clap begins.
fn claps(samples: &[i16]) -> Vec<usize> {
    let mut found: Vec<usize> = vec![];
    for (at, sample) in samples.iter().enumerate() {
        let far = found.last().is_none_or(|last| at > last + 4000);
        if sample.unsigned_abs() > 10_000 && far {
            found.push(at);
        }
    }
    found
}
