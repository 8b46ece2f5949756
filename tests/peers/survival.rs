//! What is left after the daemon was killed in the middle of a call.

use crate::calls::{Room, talk};
use crate::daemon::Plan;
use crate::wave;
use std::time::Duration;

#[test]
fn rec_a_call_cut_by_kill_9_is_recovered() {
    let Some(mut room) = Room::open() else { return };
    let mut daemon = room.daemon(&Plan::default());
    let (caller_says, officer_says) = (wave::voice(41, 40), wave::voice(42, 40));
    let mut caller = room.phone("caller", &caller_says);
    let mut officer = room.phone("2001", &officer_says);
    caller.dial("1001");
    officer.incoming(Duration::from_secs(8));
    officer.accept();
    caller.established();
    officer.established();
    talk(6);
    daemon.process.kill();
    drop(daemon);

    let daemon = room.daemon(&Plan::default());
    daemon.row_is("SELECT disposition FROM call", "interrupted");
    assert_eq!(daemon.row("SELECT count(*) FROM entry"), "1");
    daemon.row_is("SELECT state FROM recording", "partial");
    let recorded = daemon.recording("SELECT id FROM call");
    for (said, heard) in [&caller_says, &officer_says].into_iter().zip(&recorded.channels) {
        let found = wave::compare(said, heard).expect("the voice");
        println!("6 s were spoken, {} ms are there", found.same / 8);
        assert!(found.is_whole(), "{found:?}");
        assert!(found.same > 4 * wave::RATE, "at most a second or so is lost: {found:?}");
    }
}
