//! The line's registration at a real registrar.

use crate::calls::Room;
use crate::daemon::{Daemon, Plan};
use crate::kamailio::Setup;
use crate::process::wait_until;
use crate::twin::{FarEnd, TrunkCaller};
use crate::wave;
use std::time::{Duration, Instant};

#[test]
fn sig_01_a_wrong_password_is_an_alarm_and_no_storm() {
    let Some(room) = Room::open() else { return };
    let plan = Plan { password: "wrong", ..Plan::default() };
    let mut daemon = Daemon::spawn(room.folder.path(), &room.ports, &plan);
    wait_until("the registrar's refusal", Duration::from_secs(10), || {
        (room.pbx.count("REFUSED 1001") > 0).then_some(())
    });
    let refused = Instant::now();
    // Eight seconds in which a storm would show.
    wait_until("eight seconds", Duration::from_secs(9), || {
        (refused.elapsed() > Duration::from_secs(8)).then_some(())
    });
    assert_eq!(room.pbx.count("REFUSED 1001"), 1, "at most one try in 30 s");
    assert_eq!(room.pbx.count("REGISTER 1001"), 0);
    daemon.process.wait_for("401", Duration::from_secs(1));
    assert_eq!(daemon.process.stop(Duration::from_secs(10)), 0, "stops all the same");
}

/// Registers, and is challenged again when it calls the officer's phone (407).
#[test]
fn sig_01_sha_256() {
    let Some(room) = Room::with_digest("SHA-256") else { return };
    let far_end = FarEnd::start(&room.ports);
    let daemon = room.daemon(&Plan { phones: &[("9200", 20)], ..Plan::default() });
    let mut caller = TrunkCaller::new(&room.ports, "13800130007");
    assert_eq!(caller.call("1001"), 200);
    far_end.invited();
    caller.hang_up();
    daemon.row_is("SELECT disposition FROM call", "answered");
}

/// Too brief (423), a proxy's challenge (407), and the right password refused once (403): told, waited for, and in.
#[test]
fn sig_02_and_sig_01_a_registrar_of_its_own_mind_has_us_in_the_end() {
    let setup = Setup { with: &["ODD"], ..Setup::default() };
    let Some(room) = Room::set_up(&setup) else { return };
    let daemon = Daemon::spawn(room.folder.path(), &room.ports, &Plan::default());
    wait_until("the refusal", Duration::from_secs(10), || {
        (room.pbx.count("ODD 403") > 0).then_some(())
    });
    let refused = Instant::now();
    daemon.row_is("SELECT status FROM outage WHERE kind = 'line' AND to_ms IS NULL", "403");
    wait_until("the registration", Duration::from_secs(50), || {
        (room.pbx.count("REGISTER 1001 expires 200") > 0).then_some(())
    });
    let waited = refused.elapsed();
    println!("in after {} s", waited.as_secs());
    assert!(waited > Duration::from_secs(25), "no storm: {waited:?}");
    assert_eq!((room.pbx.count("ODD 423"), room.pbx.count("ODD 403")), (1, 1));
    daemon.row_is("SELECT count(*) FROM outage WHERE kind = 'line' AND to_ms IS NOT NULL", "1");
}

#[test]
fn sig_05_the_registration_is_given_back_at_the_stop() {
    let Some(room) = Room::open() else { return };
    let mut daemon = room.daemon(&Plan::default());
    assert_eq!(daemon.process.stop(Duration::from_secs(10)), 0);
    let last = room.pbx.process.log();
    let last = last.lines().rfind(|line| line.contains("REGISTER 1001"));
    let last = last.expect("registered before").trim_end();
    assert!(last.contains("expires 0") || last.ends_with(" 0"), "{last}");
}

/// Nothing gives the binding back: it ends by itself, and then the officer's phone rings at once.
#[test]
fn sig_05_killed_the_registration_lapses_by_itself() {
    let Some(mut room) = Room::open() else { return };
    let mut daemon = room.daemon(&Plan::default());
    let says = wave::voice(1, 10);
    let mut caller = room.phone("caller", &says);
    let mut officer = room.phone("2001", &says);
    daemon.process.kill();
    let killed = Instant::now();
    wait_until("a minute", Duration::from_secs(63), || {
        (killed.elapsed() > Duration::from_secs(61)).then_some(())
    });
    let dialled = Instant::now();
    caller.dial("1001");
    officer.incoming(Duration::from_secs(2));
    println!("it rang after {} ms", dialled.elapsed().as_millis());
    assert_eq!(room.pbx.count("FAIL-OPEN not registered"), 1, "the PBX did it at once");
}
