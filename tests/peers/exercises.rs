//! 演练, 点名 and 号码核实 with real phones through a real PBX, asked for on the page and read there.

use crate::calls::{Room, talk};
use crate::daemon::{Daemon, Plan};
use crate::officer::Officer;
use crate::wave;
use std::time::{Duration, Instant};

const SOON: Duration = Duration::from_secs(8);

fn room() -> Option<(Room, Daemon, Officer)> {
    let room = Room::open()?;
    let leaders = [("leader", "3001"), ("substitute", "2002")];
    let more = "[metrics]\nlisten = \"127.0.0.1:@\"\n".replace('@', &room.ports.own(1).to_string());
    let plan = Plan { leaders: &leaders, more: &more, ..Plan::default() };
    let mut daemon = room.daemon(&plan);
    let officer = Officer::first(&mut daemon);
    Some((room, daemon, officer))
}

#[test]
fn esc_83_a_drill_rings_the_leaders_phone_says_so_and_is_over_with_a_key() {
    let Some((mut room, daemon, officer)) = room() else { return };
    let mut leader = room.phone("3001", &vec![0; 60 * wave::RATE]);
    let answer = officer.submits("/drill", "urgency=critical");
    assert!(answer.starts_with("HTTP/1.1 303"), "{answer}");
    let asked = Instant::now();
    leader.incoming(SOON);
    println!("the leader's phone rings {:?} after the button", asked.elapsed());
    assert!(officer.looks_up().contains("演练"), "it is in sight, and marked");
    leader.accept();
    leader.established();
    talk(12);
    leader.press('7');
    talk(4);
    assert_eq!(daemon.row("SELECT state FROM escalation"), "open", "a wrong key is none");
    leader.press('1');
    daemon.row_is("SELECT state FROM escalation", "acknowledged");
    leader.wait("CALL_CLOSED", Duration::from_secs(25));
    daemon.row_is("SELECT closed_ms > 0 FROM escalation", "1");
    daemon.row_is("SELECT instr(result, '按键确认') > 0 FROM entry", "1");
    let heard = leader.heard();
    let loud = heard.iter().filter(|sample| sample.unsigned_abs() > 500).count();
    assert!(loud > 4 * wave::RATE, "sentences were said: {loud} loud samples");
    let list = String::from_utf8(officer.fetches("/rows")).expect("text");
    assert!(list.contains("演练：紧急呈报") && list.contains("mark drill"), "{list}");
    let entry = daemon.row("SELECT entry FROM exercise");
    assert!(officer.reads(&entry).contains("mark drill"), "the entry says so");
    let figures = crate::metrics::scrape(room.ports.own(1));
    let calls = figures.iter().filter(|((name, _), _)| name == "dutyline_leader_calls_total");
    let counted: f64 = calls.map(|(_, count)| count).sum();
    assert!(counted < 0.5, "it is in no statistics: {counted}");
    assert_eq!(daemon.row("SELECT count(*) FROM attempt"), "1");
}

#[test]
fn a_roll_call_proves_who_can_be_had_and_a_number_is_verified_by_its_key() {
    let Some((mut room, daemon, officer)) = room() else { return };
    let quiet = vec![0; 60 * wave::RATE];
    let mut leader = room.phone("3001", &quiet);
    let mut substitute = room.phone("2002", &quiet);
    assert!(officer.submits("/roll-call", "").starts_with("HTTP/1.1 303"));
    leader.incoming(SOON);
    substitute.incoming(SOON);
    substitute.hangup();
    leader.accept();
    leader.established();
    talk(2);
    leader.press('1');
    let reached = "SELECT count(*) FROM escalation WHERE state = 'acknowledged'";
    daemon.row_is(reached, "1");
    leader.wait("CALL_CLOSED", Duration::from_secs(15));
    // Busy: called once more after twenty seconds, and declined again.
    substitute.closed();
    substitute.incoming(Duration::from_secs(30));
    substitute.hangup();
    daemon.row_is("SELECT count(*) FROM escalation WHERE reason = '未应答'", "1");
    let page = String::from_utf8(officer.fetches("/roll-call")).expect("text");
    assert!(page.contains("按键确认") && page.contains("未应答"), "{page}");
    let strip = officer.looks_up();
    assert!(strip.contains("点名") && strip.contains("1/2"), "{strip}");

    substitute.closed();
    let form = "person=substitute&number=2002";
    assert!(officer.submits("/roll-call/number", form).starts_with("HTTP/1.1 303"));
    substitute.incoming(SOON);
    substitute.accept();
    substitute.established();
    talk(2);
    substitute.press('1');
    daemon.row_is(reached, "2");
    let page = String::from_utf8(officer.fetches("/roll-call")).expect("text");
    let (_, page) = page.split_once("<main").expect("what is of this page");
    let (page, _) = page.split_once("</main>").expect("its end");
    assert!(!page.contains("未核实"), "both numbers were answered with a key: {page}");
    let strange = officer.submits("/roll-call/number", "person=substitute&number=110");
    assert!(strange.contains("值班表里没有这个号码"), "{strange}");
}
