//! The officer calls out over the duty line: a click on the page, real phones behind a real PBX.

use crate::baresip::Baresip;
use crate::browser::Browser;
use crate::calls::{Room, talk};
use crate::daemon::{Daemon, Plan};
use crate::officer::Officer;
use crate::process::wait_until;
use crate::twin::{FarEnd, Seen, Voice};
use crate::{have, wave};
use dutyline::protocol::rtp::{Codec, g711};
use std::net::UdpSocket;
use std::time::Duration;

const SOON: Duration = Duration::from_secs(8);
const CALL: &str = "SELECT id FROM call WHERE direction = 'out'";
const DIAL: &str = "[dial]\nallow = [\"20xx\", \"9xxx\"]\nper_day = 3\n";
const ONE_PHONE: &[(&str, u32)] = &[("2001", 20)];

fn plan() -> Plan<'static> {
    Plan { phones: ONE_PHONE, more: DIAL, ..Plan::default() }
}

fn legs(daemon: &Daemon) -> String {
    daemon.row(
        "SELECT group_concat(phone || ' ' || how || ' ' || coalesce(status, 0)) FROM
         (SELECT * FROM leg ORDER BY id)",
    )
}

fn spoken(officer_hangs_up: bool) {
    let Some(mut room) = Room::open() else { return };
    let mut daemon = room.daemon(&plan());
    let at_page = Officer::first(&mut daemon);
    let (officer_says, far_says) = (wave::voice(31, 30), wave::voice(32, 30));
    let mut officer = room.phone("2001", &officer_says);
    let mut far = room.phone("2002", &far_says);

    let entry = at_page.dials("number=2002&name=test").expect("it is called");
    let rings = officer.incoming(SOON);
    assert_eq!(daemon.row("SELECT state FROM call"), "ringing", "stored before it rings");
    let shown = rings["peerdisplayname"].as_str().unwrap_or_default();
    assert_eq!(shown, "2002 test", "{rings}");
    assert_eq!(daemon.try_row("SELECT 1 FROM leg WHERE how = 'out'"), None, "his phone first");
    officer.accept();
    far.incoming(SOON);
    far.accept();
    far.established();
    officer.established();
    talk(5);
    if officer_hangs_up {
        officer.hangup();
    } else {
        far.hangup();
    }
    officer.closed();
    far.closed();

    daemon.row_is("SELECT disposition FROM call", "answered");
    daemon.row_is("SELECT ended_by FROM call", if officer_hangs_up { "officer" } else { "caller" });
    assert_eq!(daemon.row("SELECT source FROM entry"), "call_out");
    assert_eq!(legs(&daemon), "话机2001 rung 200,2002 out 200");
    let recorded = daemon.recording(CALL);
    let pairs = [
        ("left is whom we called", &far_says, &recorded.channels[0]),
        ("right is the officer", &officer_says, &recorded.channels[1]),
        ("the officer heard him", &far_says, &officer.heard()),
        ("he heard the officer", &officer_says, &far.heard()),
    ];
    for (what, said, heard) in pairs {
        let found = wave::compare(said, heard).unwrap_or_else(|| panic!("{what}: nothing of it"));
        assert!(found.is_whole() && found.same > 4 * wave::RATE, "{what}: {found:?}");
    }
    let ladder = daemon
        .row("SELECT group_concat(DISTINCT leg) FROM (SELECT leg FROM sip_message ORDER BY id)");
    assert_eq!(ladder, "2001,2002");
    let page = at_page.reads(&entry);
    assert!(page.contains("<svg") && page.contains("王值班"), "its ladder, and who called");
}

#[test]
fn sig_24_click_to_dial_between_real_phones_and_the_officer_hangs_up() {
    spoken(true);
}

#[test]
fn sig_24_click_to_dial_between_real_phones_and_the_called_party_hangs_up() {
    spoken(false);
}

/// Busy, not there, refused by the site, used up: each is told apart, to the officer too.
#[test]
fn sig_24_what_comes_to_nothing_is_told() {
    let Some(mut room) = Room::open() else { return };
    let _far_end = FarEnd::start(&room.ports);
    let mut daemon = room.daemon(&plan());
    let at_page = Officer::first(&mut daemon);
    let mut officer = room.phone("2001", &wave::voice(1, 5));
    let refused = at_page.dials("number=0044123456").expect_err("it is not named");
    assert!(refused.contains("allow"), "{refused}");
    for (number, disposition, words) in [
        ("9486", "busy_missed", "对方忙，请稍后再拨 (486)"),
        ("2009", "failed", "空号，请核对号码 (404)"),
    ] {
        let entry = at_page.dials(&format!("number={number}")).expect("it is called");
        officer.incoming(SOON);
        officer.accept();
        officer.closed();
        let of = |what: &str| format!("SELECT {what} FROM call WHERE caller = '{number}'");
        daemon.row_is(&of("disposition"), disposition);
        let page = at_page.reads(&entry);
        assert!(page.contains(words), "{words} in {page}");
    }
    let entry = at_page.dials("number=9180").expect("it is called");
    officer.incoming(SOON);
    officer.hangup();
    officer.closed();
    daemon.row_is("SELECT disposition FROM call WHERE caller = '9180'", "failed");
    assert!(at_page.reads(&entry).contains("本席话机未接通"));
    let refused = at_page.dials("number=9180").expect_err("the day's calls are used up");
    assert!(refused.contains("per_day"), "{refused}");
    let audit =
        "SELECT group_concat(object || ' ' || detail) FROM audit WHERE action = 'call.refuse'";
    assert_eq!(daemon.row(audit), "0044123456 not_named,9180 too_many");
}

/// CANCEL by the officer's phone and by the page; what he hears meanwhile is the far end's own.
#[test]
fn sig_24_and_sig_13_the_officer_hears_the_network_and_gives_up() {
    for by_phone in [true, false] {
        let Some(mut room) = Room::open() else { return };
        let far_end = FarEnd::start(&room.ports);
        let mut daemon = room.daemon(&plan());
        let at_page = Officer::first(&mut daemon);
        let mut officer = room.phone("2001", &wave::voice(1, 30));
        let entry = at_page.dials("number=9183").expect("it is called");
        officer.incoming(SOON);
        officer.accept();
        officer.established();
        let to = far_end.invited().media();
        let tone = wave::voice(33, 3);
        let mut voice = Voice::new(9);
        for frame in tone.chunks_exact(160) {
            let payload: Vec<u8> =
                frame.iter().map(|sample| g711::encode(Codec::Pcma, *sample)).collect();
            let packet = voice.packet(payload.as_slice().try_into().expect("160 bytes"));
            far_end.media.send_to(&packet, to).expect("sent");
            std::thread::sleep(Duration::from_millis(20));
        }
        match by_phone {
            true => officer.hangup(),
            false => at_page.gives_up(&entry),
        }
        officer.closed();
        far_end.is_let_go();
        daemon.row_is("SELECT disposition FROM call", "abandoned");
        daemon.row_is("SELECT count(*) FROM stretch WHERE kind = 'early'", "1");
        // Its packets come as this test's thread wakes, which a phone's buffer may not forgive.
        let recorded = daemon.recording(CALL);
        for (who, heard) in
            [("the officer", officer.heard()), ("tape", recorded.channels[0].clone())]
        {
            let same: usize = wave::stretches(&tone, &heard).iter().map(|one| one.length).sum();
            assert!(same > wave::RATE, "{who} heard {same} samples of 3 s");
        }
    }
}

/// The number changes its session while it rings (UPDATE): it is answered, and the officer hears it where it is then.
#[test]
fn sig_14_and_sig_24_an_update_from_a_number_that_rings_is_answered() {
    let Some(mut room) = Room::open() else { return };
    let far_end = FarEnd::start(&room.ports);
    let mut daemon = room.daemon(&plan());
    let at_page = Officer::first(&mut daemon);
    let mut officer = room.phone("2001", &wave::voice(34, 30));
    let entry = at_page.dials("number=9184").expect("it is called");
    officer.incoming(SOON);
    officer.accept();
    officer.established();
    let invite = far_end.invited();
    let seen = std::iter::from_fn(|| far_end.seen.recv_timeout(SOON).ok());
    assert!(seen.take(4).any(|seen| matches!(seen, Seen::Acknowledged)), "PRACK");
    let moved = UdpSocket::bind("127.0.0.1:0").expect("a port");
    moved.set_read_timeout(Some(SOON)).expect("a timeout");
    far_end.updates(&invite, &moved);
    let answers = std::iter::from_fn(|| far_end.seen.recv_timeout(SOON).ok());
    let status = answers.take(4).find_map(|seen| match seen {
        Seen::Answered(status, _) => Some(status),
        _ => None,
    });
    assert_eq!(status, Some(200));
    let mut packet = [0; 1500];
    assert!(moved.recv(&mut packet).expect("the officer's voice at the new port") > 12);
    at_page.gives_up(&entry);
    officer.closed();
    far_end.is_let_go();
    daemon.row_is("SELECT disposition FROM call", "abandoned");
    let audit = "SELECT actor || ' ' || detail FROM audit WHERE action = 'call.hang_up'";
    daemon.row_is(audit, "王值班 9184");
}

/// A call of ours survives the daemon's death as any other does.
#[test]
fn sig_24_and_sig_34_a_call_of_ours_survives_kill_9() {
    let Some(mut room) = Room::open() else { return };
    let mut daemon = room.daemon(&plan());
    let at_page = Officer::first(&mut daemon);
    let says = [41, 42].map(|seed| wave::voice(seed, 60));
    let mut officer = room.phone("2001", &says[0]);
    let mut far = room.phone("2002", &says[1]);
    at_page.dials("number=2002").expect("it is called");
    officer.incoming(SOON);
    officer.accept();
    far.incoming(SOON);
    far.accept();
    far.established();
    talk(3);
    daemon.process.kill();
    daemon.restart(room.folder.path(), &room.ports, &plan());
    talk(3);
    officer.hangup();
    far.closed();
    daemon.row_is("SELECT disposition FROM call", "answered");
    daemon.row_is("SELECT state FROM recording", "partial");
    assert_eq!(daemon.row("SELECT count(*) FROM entry"), "1");
    for (said, heard) in [(&says[1], officer.heard()), (&says[0], far.heard())] {
        let same: usize = wave::stretches(said, &heard).iter().map(|one| one.length).sum();
        assert!(same > 4 * wave::RATE, "{same} samples of 6 s");
    }
}

async fn sign_in(browser: &Browser, daemon: &mut Daemon) {
    browser.goto(&daemon.first_link()).await;
    browser.type_into("name", "王值班").await;
    browser.type_into("account", "wang").await;
    browser.type_into("password", "correct-horse").await;
    browser.type_into("again", "correct-horse").await;
    browser.click("button.primary").await;
    browser.see_text("#live .word", "实时").await;
}

/// A caller whom nobody took is called back from his entry.
async fn calls_back(
    browser: &Browser,
    daemon: &Daemon,
    (caller, officer, far): (&mut Baresip, &mut Baresip, &mut Baresip),
) {
    caller.dial("1001");
    officer.incoming(SOON);
    caller.wait("CALL_RINGING", SOON);
    caller.hangup();
    officer.closed();
    daemon.row_is("SELECT state FROM callback", "open");
    let missed = daemon.row("SELECT id FROM call WHERE direction = 'in'");
    browser.click(&format!(".row[data-entry='{missed}'] a")).await;
    browser.see_text("[data-part=callback]", "待回拨").await;
    // His number is a name here; the officer writes down where he can be reached.
    let field = "document.querySelector('input[name=caller_phone]')";
    let write = format!(
        "const f = {field}; f.focus(); f.value = '2002'; f.dispatchEvent(new InputEvent('input', {{bubbles: true}}))"
    );
    browser.script(&write).await;
    browser.shot("65-to-call-back").await;
    browser.click("form[data-dial] button[data-key=F4]").await;
    browser.see_text("article.entry .entry-way", "关于").await;
    officer.incoming(SOON);
    officer.accept();
    far.incoming(SOON);
    far.accept();
    far.established();
    daemon.row_is("SELECT state FROM callback", "called_back");
    browser.shot("66-called-back").await;
    officer.hangup();
    far.closed();
    browser.click("article.entry .entry-way a[data-open]").await;
    browser.see_text("[data-part=callback]", "已回拨").await;
    browser.see_text("[data-part=placed]", "2002").await;
    browser.shot("67-the-callers-entry").await;
}

/// The button in an entry and the number in the panel, clicked in a real browser.
#[tokio::test(flavor = "multi_thread")]
async fn sig_24_the_pages_buttons_ring_the_officers_phone() {
    if !have(&["chromedriver", "chromium"]) {
        return;
    }
    let Some(mut room) = Room::open() else { return };
    let contacts = "[[contacts]]\nname = \"王主任\"\nunit = \"燃气公司调度中心\"\n\
                    numbers = [\"2002\"]\n";
    let more = format!("{DIAL}{contacts}");
    let mut daemon = room.daemon(&Plan { more: &more, ..plan() });
    let mut caller = room.phone("caller", &wave::voice(1, 60));
    let mut officer = room.phone("2001", &wave::voice(2, 60));
    let mut far = room.phone("2002", &wave::voice(3, 60));
    let browser = Browser::start().await;
    sign_in(&browser, &mut daemon).await;

    // A contact of the directory.
    browser.click("#dial > summary").await;
    browser.see_text("#dial-found", "王主任").await;
    browser.see_text("#dial-found", "2002").await;
    browser.shot("60-directory").await;
    browser.type_into("number", "0044123456").await;
    browser.click(".dial-form button").await;
    browser.see_text("#dial-note", "allow").await;
    browser.shot("61-refused").await;
    let clear = "const f = document.getElementById('dial-number'); f.value = ''; \
                 f.dispatchEvent(new InputEvent('input', {bubbles: true}))";
    browser.script(clear).await;
    browser.click("#dial-found button[value='2002']").await;
    officer.incoming(SOON);
    browser.see_text("article.entry .entry-marks", "拨号").await;
    browser.see_text("article.entry .entry-way", "呼出").await;
    assert_eq!(browser.text("#ring").await, "", "nothing to be answered");
    browser.shot("62-his-phone-rings").await;
    officer.accept();
    far.incoming(SOON);
    far.accept();
    far.established();
    browser.see_text("article.entry .entry-marks", "通话中").await;
    browser.shot("63-talking").await;
    browser.click("button.hang-up").await;
    far.closed();
    officer.closed();
    browser.see_text("article.entry .entry-marks", "已结束").await;
    browser.see_text("[data-part=recording]", "已存妥").await;
    browser.shot("64-over").await;

    calls_back(&browser, &daemon, (&mut caller, &mut officer, &mut far)).await;
    let faults = browser.console().await;
    let serious: Vec<_> = faults.iter().filter(|fault| !fault.contains("422")).collect();
    assert!(serious.is_empty(), "{serious:?}");
    wait_until("the last call's end", SOON, || {
        let open = daemon.try_row("SELECT count(*) FROM call WHERE state <> 'ended'");
        (open.as_deref() == Some("0")).then_some(())
    });
    browser.end().await;
}
