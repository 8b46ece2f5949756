//! The line's registration at a real registrar.

use crate::calls::Room;
use crate::daemon::{Daemon, Plan};
use crate::kamailio::{Kamailio, Setup};
use crate::process::wait_until;
use crate::twin::{FarEnd, TrunkCaller};
use crate::wave;
use chrono::Utc;
use std::net::{SocketAddr, UdpSocket};
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
    daemon.row_is("SELECT status FROM outage WHERE kind = 'line' AND to_ms IS NULL", "401");
    assert_eq!(daemon.process.stop(Duration::from_secs(10)), 0, "stops all the same");
}

/// Of another realm than the configured one its challenge is answered with no proof, the right password or not.
#[test]
fn sig_29_a_registrar_of_another_realm_is_shown_no_proof() {
    let Some(room) = Room::open() else { return };
    let plan = Plan { line: "realm = \"another\"", ..Plan::default() };
    let daemon = Daemon::spawn(room.folder.path(), &room.ports, &plan);
    daemon.row_is("SELECT status FROM outage WHERE kind = 'line' AND to_ms IS NULL", "401");
    assert_eq!(room.pbx.count("REFUSED"), 0, "no credentials came");
    assert_eq!(room.pbx.count("REGISTER 1001"), 0);
    let said = daemon.row("SELECT count(*) FROM outage WHERE kind = 'line'");
    assert_eq!(said, "1", "and it is told once");
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

/// Over TCP its absence is noticed at once; five minutes of it are virtual time's, in the scenarios.
#[test]
fn sig_03_the_pbx_is_gone_and_the_outage_has_both_times() {
    let Some(mut room) = Room::open() else { return };
    let _far_end = FarEnd::start(&room.ports);
    let plan = Plan { phones: &[("9200", 20)], transport: "tcp", ..Plan::default() };
    let daemon = room.daemon(&plan);
    let before = room.pbx.count("REGISTER 1001");
    let gone = Utc::now().timestamp_millis();
    room.pbx.stop();
    daemon.row("SELECT why FROM outage WHERE kind = 'line' AND to_ms IS NULL");
    wait_until("a try in vain", Duration::from_secs(8), || {
        (daemon.process.log().matches("connection closed").count() >= 2).then_some(())
    });
    room.pbx = Kamailio::start(room.folder.path(), &room.ports);
    let back = Utc::now().timestamp_millis();
    wait_until("the registration", Duration::from_secs(30), || {
        (room.pbx.count("REGISTER 1001") > before).then_some(())
    });
    println!("registered {} ms after the return", Utc::now().timestamp_millis() - back);
    daemon.row_is("SELECT count(*) FROM outage WHERE kind = 'line' AND to_ms IS NOT NULL", "1");
    let time = |column: &str| -> i64 {
        let row = daemon.row(&format!("SELECT {column} FROM outage WHERE kind = 'line'"));
        row.parse().expect("a time")
    };
    let (from, to) = (time("from_ms"), time("to_ms"));
    // It is asked every ten seconds: after its last answer nobody knows.
    assert!((gone - 11_000..=gone).contains(&from), "from {from}, gone {gone}");
    assert!((back..back + 30_000).contains(&to), "to {to}, back {back}");
    let mut caller = TrunkCaller::new(&room.ports, "13800130003");
    assert_eq!(caller.call("1001"), 200, "it is served again");
    caller.hang_up();
    daemon.row_is("SELECT disposition FROM call", "answered");
}

/// Between the line and the PBX: what is said of registrations is lost every third time, and sometimes comes twice.
fn lossy(pbx: u16) -> SocketAddr {
    let socket = UdpSocket::bind("127.0.0.1:0").expect("a port");
    let here = socket.local_addr().expect("an address");
    let pbx = SocketAddr::from(([127, 0, 0, 1], pbx));
    // Ends with the process.
    std::thread::spawn(move || {
        let (mut line, mut bytes, mut seen) = (None, vec![0; 65_536], [0_u32; 2]);
        while let Ok((length, from)) = socket.recv_from(&mut bytes) {
            let outward = from != pbx;
            let to = if outward {
                line = Some(from);
                Some(pbx)
            } else {
                line
            };
            let text = String::from_utf8_lossy(&bytes[..length]);
            let number = &mut seen[usize::from(outward)];
            *number += u32::from(text.contains(" REGISTER\r\n"));
            let copies = match (text.contains(" REGISTER\r\n"), *number % 3) {
                (true, 1) => 0,
                (true, 2) => 2,
                _ => 1,
            };
            for to in to.iter().cycle().take(copies) {
                socket.send_to(&bytes[..length], to).expect("sent");
            }
        }
    });
    here
}

/// Two refreshes over a bad network, and a caller now and then: the PBX has the line all the time. (A thousand hours of
/// it are virtual time's.)
#[test]
fn sig_06_a_lossy_network_does_not_lose_the_line() {
    let Some(room) = Room::open() else { return };
    let _far_end = FarEnd::start(&room.ports);
    let pbx = format!("\"{}\"", lossy(room.ports.pbx()));
    let plan = Plan { phones: &[("9200", 20)], pbx: Some(&pbx), expires: 30, ..Plan::default() };
    let daemon = room.daemon(&plan);
    let (begun, mut callers) = (Instant::now(), 0);
    // Its first half minute was over without a refresh.
    while begun.elapsed() < Duration::from_secs(32) {
        callers += 1;
        let mut caller = TrunkCaller::new(&room.ports, &format!("138001301{callers:02}"));
        assert_eq!(caller.call("1001"), 200);
        caller.hang_up();
        // Between two callers.
        std::thread::sleep(Duration::from_secs(2));
    }
    assert!(room.pbx.count("REGISTER 1001 expires 30") >= 3);
    let calls = "SELECT count(*) FROM call WHERE disposition = 'answered'";
    daemon.row_is(calls, &callers.to_string());
    assert!(callers >= 4, "{callers}");
    assert_eq!(room.pbx.count("FAIL-OPEN"), 0);
    assert_eq!(daemon.row("SELECT count(*) FROM outage WHERE kind = 'line'"), "0");
}

/// Nothing gives the binding back: it ends by itself, and then the officer's phone rings at once.
#[test]
fn sig_05_killed_the_registration_lapses_by_itself() {
    let Some(mut room) = Room::open() else { return };
    let mut daemon = room.daemon(&Plan { expires: 30, ..Plan::default() });
    let says = wave::voice(1, 10);
    let mut caller = room.phone("caller", &says);
    let mut officer = room.phone("2001", &says);
    daemon.process.kill();
    let killed = Instant::now();
    wait_until("the half minute that it was granted", Duration::from_secs(33), || {
        (killed.elapsed() > Duration::from_secs(31)).then_some(())
    });
    let dialled = Instant::now();
    caller.dial("1001");
    officer.incoming(Duration::from_secs(2));
    println!("it rang after {} ms", dialled.elapsed().as_millis());
    assert_eq!(room.pbx.count("FAIL-OPEN not registered"), 1, "the PBX did it at once");
}
