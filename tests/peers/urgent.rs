//! An urgent matter: the leader's phone rings through the PBX until a key is pressed.

use crate::calls::{Room, calls_for_the_leader, connect, talk};
use crate::daemon::Plan;
use crate::wave;
use std::time::Duration;

const SOON: Duration = Duration::from_secs(8);

#[test]
fn sig_25_esc_23_star_nine_rings_the_leader_and_key_one_acknowledges_while_the_caller_is_recorded() {
    let Some(mut room) = Room::open() else { return };
    let daemon = room.daemon(&Plan::default());
    let (caller_says, officer_says) = (wave::voice(31, 40), wave::voice(32, 40));
    let quiet = vec![0; 40 * wave::RATE];
    let mut caller = room.phone("caller", &caller_says);
    let mut officer = room.phone("2001", &officer_says);
    let mut leader = room.phone("3001", &quiet);
    connect(&mut caller, &mut officer);
    talk(1);
    calls_for_the_leader(&mut officer);
    leader.incoming(SOON);
    daemon.row_is("SELECT urgency FROM entry", "urgent");
    leader.accept();
    leader.established();
    talk(3);
    leader.press('7');
    talk(1);
    daemon.row_is("SELECT key FROM attempt_key", "7");
    assert_eq!(daemon.row("SELECT state FROM escalation"), "open", "only key 1 acknowledges");
    leader.press('1');
    daemon.row_is("SELECT state FROM escalation", "acknowledged");
    daemon.row_is("SELECT outcome || ' ' || person FROM acknowledgement", "first leader");
    // He is told which keys there are, and has time to press one.
    leader.wait("CALL_CLOSED", Duration::from_secs(20));
    daemon.row_is("SELECT result FROM attempt", "acknowledged");
    let heard = leader.heard();
    let loud = heard.iter().filter(|sample| sample.unsigned_abs() > 500).count();
    assert!(loud > wave::RATE / 2, "the leader heard a prompt: {loud} loud samples");

    // The conversation went on meanwhile, and its recording lost nothing.
    caller.hangup();
    officer.closed();
    daemon.row_is("SELECT disposition FROM call WHERE direction = 'in'", "answered");
    let whole = "SELECT sum(lost) + sum(untaped) FROM carried";
    daemon.row_is(whole, "0");
    let recorded = daemon.recording("SELECT id FROM call WHERE direction = 'in'");
    let found = wave::compare(&caller_says, &recorded.channels[0]).expect("the caller");
    assert!(found.is_whole(), "{found:?}");
}
