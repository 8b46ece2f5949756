//! A real phone registered with the daemon itself, which calls out over the duty line.

use crate::baresip::{Baresip, Setup};
use crate::calls::{Room, connect, talk};
use crate::daemon::{Daemon, Plan};
use crate::twin::FarEnd;
use crate::wave;
use std::time::{Duration, Instant};

const SOON: Duration = Duration::from_secs(8);
const CALL: &str = "SELECT id FROM call WHERE direction = 'out'";
/// baresip 1.0 knows MD5 only, and gives up where it is asked for anything else too.
const OURS: &str = "[dial]\nallow = [\"20xx\", \"9xxx\"]\n\
    [registrar]\nnetworks = [\"127.0.0.0/8\"]\nalgorithms = [\"md5\"]\n\
    [[registrar.phones]]\nname = \"移动值班话机\"\nuser = \"801\"\npassword_file = \"phone-801\"\n";

fn daemon(room: &Room, more: &str) -> Daemon {
    let own = room.folder.path().join("dutyline");
    std::fs::create_dir_all(&own).expect("a folder");
    std::fs::write(own.join("phone-801"), "secret801\n").expect("written");
    room.daemon(&Plan { phones: &[("2001", 20)], more, ..Plan::default() })
}

fn ours(room: &Room, says: &[i16]) -> Baresip {
    let setup = Setup { user: "801", order: 4, says, extra: "" };
    Baresip::at(room.folder.path(), &room.ports, &setup, room.ports.line())
}

#[test]
fn sig_24_a_real_phone_registers_with_us_and_calls_out() {
    for phone_hangs_up in [true, false] {
        let Some(mut room) = Room::open() else { return };
        let daemon = daemon(&room, OURS);
        let (phone_says, far_says) = (wave::voice(51, 30), wave::voice(52, 30));
        let mut phone = ours(&room, &phone_says);
        let mut far = room.phone("2002", &far_says);
        phone.dial("2002");
        far.incoming(SOON);
        assert_eq!(daemon.row("SELECT state FROM call"), "ringing", "stored before it rings");
        phone.wait("CALL_RINGING", SOON);
        far.accept();
        far.established();
        phone.established();
        talk(5);
        if phone_hangs_up {
            phone.hangup();
        } else {
            far.hangup();
        }
        phone.closed();
        far.closed();
        daemon.row_is("SELECT disposition FROM call", "answered");
        let by = if phone_hangs_up { "officer" } else { "caller" };
        daemon.row_is("SELECT ended_by FROM call", by);
        assert_eq!(
            daemon.row("SELECT e.source || ' ' || c.asked_by FROM entry e JOIN call c USING (id)"),
            "call_out 移动值班话机"
        );
        let recorded = daemon.recording(CALL);
        let pairs = [
            ("left is whom we called", &far_says, &recorded.channels[0]),
            ("right is our phone", &phone_says, &recorded.channels[1]),
            ("our phone heard him", &far_says, &phone.heard()),
            ("he heard our phone", &phone_says, &far.heard()),
        ];
        for (what, said, heard) in pairs {
            let found = wave::compare(said, heard).unwrap_or_else(|| panic!("{what}: nothing"));
            assert!(found.is_whole() && found.same > 4 * wave::RATE, "{what}: {found:?}");
        }
    }
}

/// CANCEL, busy, a number that is not named: what the phone is told, and what the log has.
#[test]
fn sig_24_what_comes_of_it_is_told_to_the_phone() {
    let Some(room) = Room::open() else { return };
    let far_end = FarEnd::start(&room.ports);
    let daemon = daemon(&room, OURS);
    let mut phone = ours(&room, &wave::voice(1, 10));
    phone.dial("9180");
    far_end.invited();
    phone.wait("CALL_RINGING", SOON);
    phone.hangup();
    phone.closed();
    far_end.is_let_go();
    daemon.row_is("SELECT disposition FROM call WHERE caller = '9180'", "abandoned");
    phone.dial("9486");
    let told = phone.closed();
    assert!(told["param"].as_str().unwrap_or_default().contains("486"), "{told}");
    daemon.row_is("SELECT disposition FROM call WHERE caller = '9486'", "busy_missed");
    phone.dial("0044123456");
    let told = phone.closed();
    assert!(told["param"].as_str().unwrap_or_default().contains("403"), "{told}");
    daemon.row_is("SELECT detail FROM audit WHERE action = 'call.refuse'", "not_named");
}

/// With a wrong password it never is one of ours. Where it calls from is the exchange's address
/// here, so what becomes of a stranger's call is for the scenarios to show.
#[test]
fn sig_24_a_phone_that_is_not_ours_gets_nowhere() {
    let Some(room) = Room::open() else { return };
    let daemon = daemon(&room, OURS);
    let own = room.folder.path().join("dutyline");
    assert!(own.join("phone-801").exists());
    let says = wave::voice(1, 5);
    let setup = Setup { user: "801", order: 4, says: &says, extra: ";auth_pass=guessed" };
    let mut phone =
        Baresip::unregistered(room.folder.path(), &room.ports, &setup, room.ports.line());
    phone.process_says("403 Forbidden", SOON);
    daemon.row_is("SELECT object FROM audit WHERE action = 'phone.refuse'", "127.0.0.1");
    assert_eq!(daemon.row("SELECT count(*) FROM call"), "0");
}

/// Killed and started again by its supervisor: the next caller rings the phone that registered with the run before.
#[test]
fn sig_24_and_sig_34_a_real_phone_is_rung_by_the_run_after_a_kill() {
    let Some(mut room) = Room::open() else { return };
    let own = room.folder.path().join("dutyline");
    std::fs::create_dir_all(&own).expect("a folder");
    std::fs::write(own.join("phone-801"), "secret801\n").expect("written");
    let plan = Plan { phones: &[("801", 20), ("2001", 20)], more: OURS, ..Plan::default() };
    let mut daemon = room.daemon(&plan);
    let says = wave::voice(55, 10);
    let mut phone = ours(&room, &says);
    let mut desk = room.phone("2001", &says);
    let mut caller = room.phone("caller", &says);
    daemon.process.kill();
    daemon.restart(room.folder.path(), &room.ports, &plan);
    connect(&mut caller, &mut phone);
    caller.hangup();
    phone.closed();
    daemon.row_is("SELECT count(*) FROM call WHERE disposition = 'answered'", "1");

    // Its plug is pulled: the next phone rings before the PBX gives us up.
    phone.vanishes();
    let dialled = Instant::now();
    caller.dial("1001");
    desk.incoming(Duration::from_secs(5));
    let waited = dialled.elapsed();
    println!("the next phone rang after {} ms", waited.as_millis());
    assert!(waited > Duration::from_millis(900) && waited < Duration::from_millis(2000));
    assert_eq!(room.pbx.count("FAIL-OPEN"), 0, "we did it");
    desk.accept();
    caller.established();
    caller.hangup();
    desk.closed();
    daemon.row_is("SELECT count(*) FROM call WHERE disposition = 'answered'", "2");
}

/// The PBX is spoken to over TCP, the phone registers with us over UDP: it is rung where it is.
#[test]
fn sig_24_a_real_phone_that_registered_with_us_is_rung_for_callers() {
    let Some(mut room) = Room::open() else { return };
    let own = room.folder.path().join("dutyline");
    std::fs::create_dir_all(&own).expect("a folder");
    std::fs::write(own.join("phone-801"), "secret801\n").expect("written");
    let plan = Plan { phones: &[("801", 20)], more: OURS, transport: "tcp", ..Plan::default() };
    let daemon = room.daemon(&plan);
    let (caller_says, phone_says) = (wave::voice(53, 30), wave::voice(54, 30));
    let mut phone = ours(&room, &phone_says);
    let mut caller = room.phone("caller", &caller_says);
    for phone_hangs_up in [true, false] {
        connect(&mut caller, &mut phone);
        talk(3);
        if phone_hangs_up {
            phone.hangup();
        } else {
            caller.hangup();
        }
        phone.closed();
        caller.closed();
    }
    daemon.row_is("SELECT count(*) FROM call WHERE disposition = 'answered'", "2");
    daemon.row_is("SELECT count(DISTINCT answered_by) FROM call", "1");
    let sent = "SELECT group_concat(DISTINCT lower(transport)) FROM sip_message
                WHERE leg = '801' AND kind = 'out' AND transport <> ''";
    daemon.row_is(sent, "udp");
    for (what, said, heard) in [
        ("our phone heard the caller", &caller_says, phone.heard()),
        ("the caller heard our phone", &phone_says, caller.heard()),
    ] {
        let same: usize = wave::stretches(said, &heard).iter().map(|one| one.length).sum();
        assert!(same > 2 * wave::RATE, "{what}: {same} samples of the second call's 3 s");
    }
}
