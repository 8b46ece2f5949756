//! Two duty numbers at a real PBX, each an extension of its own with its own phones.

use crate::calls::{Room, calls_for_the_leader, connect, talk};
use crate::daemon::{Daemon, Plan};
use crate::process::wait_until;
use crate::{metrics, wave};
use std::time::Duration;

const SOON: Duration = Duration::from_secs(8);
const OWN_PHONE: &str = "phones = [\"话机2001\"]";

/// The second number, for which the second phone rings; its password in a file beside the PBX's.
fn second(room: &Room, password: &str) -> String {
    let file = room.folder.path().join("number-2-password");
    std::fs::write(&file, password).expect("written");
    format!(
        "[[numbers]]\nnumber = \"63005678\"\nname = \"举报专线\"\nuser = \"1002\"\n\
         password_file = \"{}\"\nphones = [\"话机2002\"]\n",
        file.display()
    )
}

fn with_second(room: &Room, password: &str) -> Daemon {
    let more = second(room, password);
    room.daemon(&Plan { answering: OWN_PHONE, more: &more, ..Plan::default() })
}

fn registers(room: &Room, expires: &str) {
    let line = format!("REGISTER 1002 expires {expires}");
    wait_until("the second number at the PBX", SOON, || (room.pbx.count(&line) > 0).then_some(()));
}

#[test]
fn sig_01_two_numbers_register_ring_their_own_phones_and_are_recorded() {
    let Some(mut room) = Room::open() else { return };
    let mut daemon = with_second(&room, "secret1002");
    registers(&room, "60");
    let (caller_says, officer_says) = (wave::voice(51, 30), wave::voice(52, 30));
    let mut caller = room.phone("caller", &caller_says);
    let mut desk = room.phone("2001", &officer_says);
    let mut tips = room.phone("2002", &officer_says);
    caller.dial("1002");
    tips.incoming(SOON);
    tips.accept();
    caller.established();
    tips.established();
    talk(4);
    caller.hangup();
    tips.closed();
    // The desk's phone is another number's.
    desk.stays_idle(Duration::from_millis(300));
    daemon.row_is("SELECT called || ' ' || callee FROM call", "举报专线 63005678");
    daemon.row_is("SELECT answered_by FROM call", "话机2002");
    let recorded = daemon.recording("SELECT id FROM call");
    for (said, heard) in
        [(&caller_says, &recorded.channels[0]), (&officer_says, &recorded.channels[1])]
    {
        let found = wave::compare(said, heard).expect("it is there");
        assert!(found.is_whole() && found.same > 3 * wave::RATE, "{found:?}");
    }
    connect(&mut caller, &mut desk);
    daemon.row_is("SELECT called FROM call ORDER BY arrived_ms DESC LIMIT 1", "");
    caller.hangup();
    desk.closed();
    daemon.process.stop(SOON);
    registers(&room, "0");
}

#[test]
fn sig_03_a_second_number_with_a_wrong_password_is_told_while_the_first_serves() {
    let Some(mut room) = Room::open() else { return };
    let daemon = with_second(&room, "wrong");
    daemon.row_is("SELECT number || ' ' || status FROM outage WHERE kind = 'line'", "63005678 401");
    let (_, ready) = metrics::get(room.ports.page(), "/readyz").expect("an answer");
    assert!(ready.contains("\"line\":true") && ready.contains("\"numbers\":false"), "{ready}");
    let quiet = wave::voice(53, 30);
    let mut caller = room.phone("caller", &quiet);
    let mut desk = room.phone("2001", &quiet);
    connect(&mut caller, &mut desk);
    caller.hangup();
    desk.closed();
    daemon.row_is("SELECT disposition FROM call", "answered");
}

#[test]
fn esc_21_with_the_own_number_refused_the_leader_is_called_by_the_second() {
    let Some(mut room) = Room::open() else { return };
    let more = second(&room, "secret1002");
    let plan = Plan { password: "wrong", answering: OWN_PHONE, more: &more, ..Plan::default() };
    let daemon = Daemon::spawn(room.folder.path(), &room.ports, &plan);
    registers(&room, "60");
    daemon.row_is("SELECT status FROM outage WHERE kind = 'line' AND number IS NULL", "401");
    let quiet = vec![0; 60 * wave::RATE];
    let mut caller = room.phone("caller", &quiet);
    let mut tips = room.phone("2002", &quiet);
    let mut leader = room.phone("3001", &quiet);
    caller.dial("1002");
    tips.incoming(SOON);
    tips.accept();
    tips.established();
    talk(1);
    calls_for_the_leader(&mut tips);
    leader.incoming(SOON);
    leader.accept();
    leader.established();
    talk(1);
    leader.press('1');
    daemon.row_is("SELECT state FROM escalation", "acknowledged");
    caller.hangup();
    tips.closed();
}
