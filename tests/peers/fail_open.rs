//! Whatever happens to the daemon, the officer's phone rings: the PBX does it itself.

use crate::calls::{Room, connect};
use crate::daemon::{Daemon, Plan};
use crate::kamailio::Setup;
use crate::twin::FarEnd;
use crate::wave;
use std::time::{Duration, Instant};

/// The officer's phone rings within three seconds of the call after `fault` befell the daemon.
fn rings_after(fault: impl FnOnce(&mut Daemon)) {
    let Some(mut room) = Room::open() else { return };
    let mut daemon = room.daemon(&Plan::default());
    let says = wave::voice(1, 10);
    let mut caller = room.phone("caller", &says);
    let mut officer = room.phone("2001", &says);
    fault(&mut daemon);
    let start = Instant::now();
    caller.dial("1001");
    officer.incoming(Duration::from_secs(3));
    println!("the officer's phone rang after {} ms", start.elapsed().as_millis());
    officer.accept();
    caller.established();
    assert_eq!(room.pbx.count("FAIL-OPEN"), 1, "the PBX did it");
    caller.hangup();
    officer.closed();
}

#[test]
fn sig_40_killed() {
    rings_after(|daemon| daemon.process.kill());
}

#[test]
fn sig_40_stopped() {
    rings_after(|daemon| daemon.process.signal(libc::SIGSTOP));
}

#[test]
fn sig_40_unregistered() {
    rings_after(|daemon| {
        daemon.process.stop(Duration::from_secs(10));
    });
}

/// With every channel taken the daemon answers 503, and the PBX rings the officer itself.
#[test]
fn sig_40_answering_503() {
    let Some(mut room) = Room::open() else { return };
    let phones = [("2002", 20)];
    let plan = Plan { phones: &phones, channels: 4, ..Plan::default() };
    let daemon = room.daemon(&plan);
    let says = wave::voice(1, 30);
    let mut first = room.phone("caller", &says);
    let mut second = room.phone("caller2", &says);
    let mut talking = room.phone("2002", &says);
    let mut officer = room.phone("2001", &says);
    connect(&mut first, &mut talking);
    second.dial("1001");
    officer.incoming(Duration::from_secs(3));
    assert_eq!(room.pbx.count("FAIL-OPEN 503"), 1, "the PBX did it");
    daemon.row_is("SELECT count(*) FROM entry", "2");
}

/// The daemon freezes after its 100: the PBX waits two seconds for the phone to ring.
#[test]
fn sig_40_wedged_after_100() {
    let Some(mut room) = Room::open() else { return };
    let far_end = FarEnd::start(&room.ports);
    let daemon = room.daemon(&Plan { phones: &[("9100", 20)], ..Plan::default() });
    let says = wave::voice(1, 10);
    let mut caller = room.phone("caller", &says);
    let mut officer = room.phone("2001", &says);
    caller.dial("1001");
    far_end.invited();
    daemon.process.signal(libc::SIGSTOP);
    officer.incoming(Duration::from_secs(4));
    assert_eq!(room.pbx.count("FAIL-OPEN"), 1, "the PBX did it");
    officer.accept();
    caller.established();
}

/// The daemon freezes while the phone rings: the PBX waits as long as it lets any phone ring, ten seconds here.
#[test]
fn sig_40_wedged_after_180() {
    let Some(mut room) = Room::set_up(&Setup { with: &["QUICK"], ..Setup::default() }) else {
        return;
    };
    let far_end = FarEnd::start(&room.ports);
    let daemon = room.daemon(&Plan { phones: &[("9180", 60)], ..Plan::default() });
    let says = wave::voice(1, 10);
    let mut caller = room.phone("caller", &says);
    let mut officer = room.phone("2001", &says);
    caller.dial("1001");
    caller.wait("CALL_RINGING", Duration::from_secs(8));
    far_end.invited();
    daemon.process.signal(libc::SIGSTOP);
    let frozen = Instant::now();
    officer.incoming(Duration::from_secs(12));
    println!("the officer's phone rang after {} ms", frozen.elapsed().as_millis());
    assert_eq!(room.pbx.count("FAIL-OPEN"), 1, "the PBX did it");
    officer.accept();
    caller.established();

    // It wakes up: the phone it was ringing is let go, and the two who talk are left alone.
    daemon.process.signal(libc::SIGCONT);
    far_end.is_let_go();
    daemon.row_is("SELECT state FROM call", "ended");
    caller.hangup();
    officer.closed();
}
