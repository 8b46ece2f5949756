//! 录音自检: the daemon calls its own line through a real PBX and listens to the recording of it.

use crate::calls::Room;
use crate::daemon::{Daemon, Plan};
use crate::metrics;
use crate::officer::Officer;
use crate::process::wait_until;
use crate::twin::FarEnd;
use std::fs;
use std::time::Duration;

/// Registration, half a minute of call at most, the tail of the recording, and sealing.
const DONE: Duration = Duration::from_secs(40);

struct Site {
    daemon: Daemon,
    officer: Officer,
    phone: FarEnd,
    metrics: u16,
    _room: Room,
}

impl Site {
    fn open(more: &str, password: &str) -> Option<Self> {
        let room = Room::open()?;
        let phone = FarEnd::start(&room.ports);
        let own = room.folder.path().join("dutyline");
        fs::create_dir_all(&own).expect("a folder");
        fs::write(own.join("test-password"), password).expect("written");
        let more =
            format!("[self_test]\nuser = \"caller\"\npassword_file = \"test-password\"\n{more}");
        fs::write(own.join("number-2-password"), "secret1002").expect("written");
        let metrics = room.ports.own(1);
        let media = format!("\n[metrics]\nlisten = \"127.0.0.1:{metrics}\"\n");
        let plan = Plan { phones: &[("9200", 20)], media: &media, more: &more, ..Plan::default() };
        let mut daemon = room.daemon(&plan);
        let officer = Officer::first(&mut daemon);
        Some(Self { daemon, officer, phone, metrics, _room: room })
    }

    fn tests(&self) -> String {
        assert!(self.officer.looks_up().contains("未做过"));
        self.officer.wants_a_test();
        let result = "SELECT coalesce(failing, 'good') FROM self_test";
        wait_until("the result", DONE, || self.daemon.try_row(result))
    }
}

#[test]
fn rec_q4_a_test_call_through_the_pbx_is_recorded_on_both_sides_and_no_phone_rings() {
    let Some(site) = Site::open("", "secretcaller") else { return };
    assert_eq!(site.tests(), "good");
    let like = "SELECT like_left || ' ' || like_right || ' ' || like_heard || ' ' || off_ms
                FROM self_test";
    let measured = site.daemon.row(like);
    println!("left, right, heard in thousandths, and ms off: {measured}");
    let measured: Vec<i64> = measured.split(' ').map(|one| one.parse().expect("one")).collect();
    assert!(measured[..3].iter().all(|like| *like > 950), "{measured:?}");
    assert!(measured[3].abs() < 60, "{measured:?}");
    site.daemon.row_is("SELECT disposition FROM call", "self_test");
    site.daemon.row_is("SELECT state || category FROM entry", "closedline_test");
    assert_eq!(site.daemon.row("SELECT count(*) FROM callback"), "0");
    assert_eq!(site.daemon.row("SELECT asked_by FROM self_test"), "王值班");
    assert!(site.phone.seen.try_recv().is_err(), "no telephone rings");
    let top = site.officer.looks_up();
    assert!(top.contains("录音自检 <b>通过</b>"), "{top}");
    assert_eq!(site.daemon.command(&["verify", "--config", "dutyline.toml"]).0, Some(0));
}

#[test]
fn rec_q4_a_line_that_is_forwarded_is_an_alarm_with_its_remedy() {
    let Some(site) = Site::open("dial = \"9200\"", "secretcaller") else { return };
    assert_eq!(site.tests(), "elsewhere");
    wait_until("the alarm", Duration::from_secs(5), || {
        site.officer.looks_up().contains("可能被呼叫转移").then_some(())
    });
    assert_eq!(site.daemon.row("SELECT count(*) FROM call"), "0");
}

#[test]
fn rec_q4_an_extension_that_the_pbx_refuses_is_an_alarm_with_its_remedy() {
    let Some(site) = Site::open("", "wrong") else { return };
    assert_eq!(site.tests(), "refused");
    wait_until("the alarm", Duration::from_secs(5), || {
        site.officer.looks_up().contains("请检查自检分机").then_some(())
    });
}

/// Two numbers, tested one after the other; the second as it should be, then led to the first.
#[test]
fn rec_q4_each_of_two_numbers_is_tested_and_the_one_that_is_led_astray_is_named() {
    for (dial, second) in [("1002", "good"), ("1001", "other_number")] {
        let number = format!(
            "[[numbers]]\nnumber = \"63005678\"\nname = \"举报专线\"\nuser = \"1002\"\n\
             password_file = \"number-2-password\"\nself_test_dial = \"{dial}\"\n"
        );
        let Some(site) = Site::open(&number, "secretcaller") else { return };
        site.officer.wants_a_test();
        let result = "SELECT group_concat(number || ' ' || coalesce(failing, 'good'), ', ')
                      FROM (SELECT * FROM self_test ORDER BY at_ms) HAVING count(*) = 2";
        let found = wait_until("both results", 2 * DONE, || site.daemon.try_row(result));
        assert_eq!(found, format!(" good, 63005678 {second}"));
        let good = f64::from(second == "good");
        let metric = ("dutyline_self_test_good".to_owned(), "number=\"63005678\"".to_owned());
        wait_until("the metric", Duration::from_secs(5), || {
            (metrics::scrape(site.metrics).get(&metric) == Some(&good)).then_some(())
        });
        let top = site.officer.looks_up();
        match second {
            "good" => assert!(top.contains("录音自检 <b>通过</b>"), "{top}"),
            _ => assert!(top.contains("录音自检未通过：63005678 "), "{top}"),
        }
        if second == "good" {
            let called = "SELECT group_concat(called, '|') FROM (SELECT called FROM call ORDER BY arrived_ms)";
            site.daemon.row_is(called, "|举报专线");
            assert!(site.phone.seen.try_recv().is_err(), "no telephone rings");
        }
    }
}
