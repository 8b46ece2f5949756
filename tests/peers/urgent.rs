//! An urgent matter: the leader's phone rings through the PBX until a key is pressed.

use crate::baresip::Baresip;
use crate::calls::{Room, calls_for_the_leader, connect, talk};
use crate::daemon::{Daemon, Plan};
use crate::wave;
use std::time::{Duration, Instant};

const SOON: Duration = Duration::from_secs(8);

#[test]
fn sig_25_esc_23_star_nine_rings_the_leader_and_key_one_acknowledges_while_the_caller_is_recorded()
{
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

/// A call that was flagged and is over: the leader's phone rings.
fn flagged(room: &mut Room, daemon: &Daemon) -> Baresip {
    let quiet = vec![0; 30 * wave::RATE];
    let mut caller = room.phone("caller", &wave::voice(33, 30));
    let mut officer = room.phone("2001", &quiet);
    let mut leader = room.phone("3001", &quiet);
    connect(&mut caller, &mut officer);
    talk(1);
    calls_for_the_leader(&mut officer);
    leader.incoming(SOON);
    daemon.row_is("SELECT urgency FROM entry", "urgent");
    caller.hangup();
    officer.closed();
    leader
}

/// After busy he is due again twenty seconds later.
const BUSY_RETRY: Duration = Duration::from_secs(20);

fn declines(leader: &mut Baresip) -> Instant {
    leader.hangup();
    leader.closed();
    Instant::now()
}

#[test]
fn esc_17_esc_65_esc_70_killed_or_frozen_the_next_call_is_made_once_when_it_is_due() {
    let Some(mut room) = Room::open() else { return };
    let mut daemon = room.daemon(&Plan::default());
    let mut leader = flagged(&mut room, &daemon);
    let declined = declines(&mut leader);
    daemon.row_is("SELECT result FROM attempt", "busy");
    daemon.process.kill();
    daemon.restart(room.folder.path(), &room.ports, &Plan::default());
    leader.incoming(BUSY_RETRY + Duration::from_secs(10));
    let after = declined.elapsed();
    println!("killed in between, he is called {after:?} after he was busy");
    assert!(after + Duration::from_secs(1) >= BUSY_RETRY, "{after:?}");

    let declined = declines(&mut leader);
    daemon.row_is("SELECT group_concat(result) FROM attempt", "busy,busy");
    daemon.process.signal(libc::SIGSTOP);
    std::thread::sleep((BUSY_RETRY + Duration::from_secs(10)).saturating_sub(declined.elapsed()));
    daemon.process.signal(libc::SIGCONT);
    let woken = Instant::now();
    leader.incoming(SOON);
    println!("frozen in between, he is called {:?} after it went on", woken.elapsed());
    assert!(woken.elapsed() <= Duration::from_secs(2), "{:?}", woken.elapsed());
    assert_eq!(daemon.row("SELECT count(*) FROM attempt"), "3", "once");
    leader.accept();
    leader.established();
    talk(2);
    leader.press('1');
    daemon.row_is("SELECT state FROM escalation", "acknowledged");
    leader.wait("CALL_CLOSED", Duration::from_secs(20));
    daemon.row_is("SELECT count(*) FROM attempt WHERE ended_ms IS NULL", "0");
    assert_eq!(daemon.row("SELECT count(*) FROM attempt"), "3");
}

#[test]
fn esc_46_told_to_stop_the_call_to_the_leader_finishes_and_the_next_run_goes_on() {
    let plan = Plan { line: "finish_seconds = 60", ..Plan::default() };
    let Some(mut room) = Room::open() else { return };
    let mut daemon = room.daemon(&plan);
    let mut leader = flagged(&mut room, &daemon);
    leader.accept();
    leader.established();
    talk(2);
    daemon.process.signal(libc::SIGTERM);
    talk(3);
    assert_eq!(daemon.process.ended(), None, "the call goes on");
    leader.hangup();
    let left = Instant::now();
    assert_eq!(daemon.process.wait_end(Duration::from_secs(10)).code(), Some(0));
    daemon.restart(room.folder.path(), &room.ports, &plan);
    leader.incoming(Duration::from_secs(30));
    println!("the next run calls him {:?} after he had hung up", left.elapsed());
    leader.accept();
    leader.established();
    talk(2);
    daemon.process.signal(libc::SIGTERM);
    talk(1);
    leader.press('1');
    daemon.row_is("SELECT state FROM escalation", "acknowledged");
    assert_eq!(daemon.process.wait_end(Duration::from_secs(30)).code(), Some(0));
    assert_eq!(
        daemon.row("SELECT group_concat(result) FROM attempt"),
        "answered_no_key,acknowledged"
    );
}
