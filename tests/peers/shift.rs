//! What must hold through a shift: an entry is in sight before anybody answers, what is typed survives everything, two
//! hours of recording play at once, a log that another program locks costs no call, and a backup is whole.

use crate::browser::Browser;
use crate::calls::Room;
use crate::daemon::Plan;
use crate::have;
use crate::officer::Officer;
use crate::page;
use crate::process::wait_until;
use crate::twin::{FarEnd, TrunkCaller, Voice};
use dutyline::duty::journal::Disposition;
use rusqlite::Connection;
use std::fs;
use std::thread::sleep;
use std::time::{Duration, Instant};

const TICK: Duration = Duration::from_millis(20);

async fn first_account(browser: &Browser, link: &str) {
    browser.goto(link).await;
    for (name, text) in [
        ("name", "王值班"),
        ("account", "wang"),
        ("password", "correct-horse"),
        ("again", "correct-horse"),
    ] {
        browser.type_into(name, text).await;
    }
    browser.click("button.primary").await;
    browser.see_text("#live .word", "实时").await;
}

async fn signs_in(browser: &Browser) {
    browser.type_into("account", "wang").await;
    browser.type_into("password", "correct-horse").await;
    browser.click("button.primary").await;
    browser.see_text("#live .word", "实时").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn rec_l1_an_entry_is_in_sight_before_the_answer_and_what_is_typed_survives_crash_and_logout()
{
    if !have(&["chromedriver", "chromium"]) {
        return;
    }
    let Some(room) = Room::open() else { return };
    let far_end = FarEnd::start(&room.ports);
    let plan = Plan { phones: &[("9180", 60)], ..Plan::default() };
    let mut daemon = room.daemon(&plan);
    let browser = Browser::start().await;
    first_account(&browser, &daemon.first_link()).await;
    let mut caller = TrunkCaller::new(&room.ports, "13800130007");
    caller.hears_it_ring("1001");
    let rung = Instant::now();
    browser.see_text("#ring .ring-number", "13800130007").await;
    let seen = rung.elapsed();
    println!("in sight {seen:?} after the caller heard it ring");
    assert!(seen < Duration::from_secs(1), "{seen:?}");
    assert_eq!(daemon.row("SELECT state FROM call"), "ringing", "nobody has answered");
    far_end.invited();
    browser.click(".ring-open").await;
    browser.see("article.entry").await;
    browser.type_into("subject", "管道漏气").await;
    browser.see_text(".save-state", "已保存").await;

    browser.type_into("content", "城北燃气管道漏气，").await;
    daemon.process.kill();
    browser.see("#page-lost").await;
    browser.type_into("content", "无人受伤").await;
    daemon.restart(room.folder.path(), &room.ports, &plan);
    let content = "SELECT content FROM entry WHERE subject = '管道漏气'";
    wait_until("what was typed", Duration::from_secs(20), || {
        (daemon.try_row(content)? == "城北燃气管道漏气，无人受伤").then_some(())
    });
    browser.until("the page is live", async || browser.text("#page-lost").await.is_empty()).await;
    let typed = "return document.querySelector('[name=content]')?.value ?? ''";
    assert_eq!(browser.script(typed).await, "城北燃气管道漏气，无人受伤");

    // Whoever comes next finds it, and so does another tab.
    browser.click("form[action='/logout'] button").await;
    signs_in(&browser).await;
    let entry = daemon.row("SELECT id FROM entry WHERE subject = '管道漏气'");
    let url = format!("http://127.0.0.1:{}/?entry={entry}", room.ports.page());
    browser.goto(&url).await;
    browser.see("article.entry").await;
    assert_eq!(browser.script(typed).await, "城北燃气管道漏气，无人受伤");
    browser.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn rec_l2_two_hours_play_within_a_second_and_any_moment_of_them_is_reached_at_once() {
    let Some((room, browser, call)) = page::in_a_call().await else { return };
    room.caller_hangs_up(call, Disposition::Answered).await;
    room.is_recorded_for_long(call, 7200).await;
    browser.see("audio[data-play][src]").await;
    // On a host that compiles beside it the best of a few is the player's own time.
    let mut best = (f64::MAX, f64::MAX);
    for _ in 0..3 {
        let (playing, seeked) = plays(&browser).await;
        best = (best.0.min(playing), best.1.min(seeked));
        if best.0 < 1000.0 && best.1 < 1000.0 {
            break;
        }
    }
    let (playing, seeked) = best;
    println!("plays after {playing:.0} ms, 1:58:20 is reached after {seeked:.0} ms");
    assert!(playing < 1000.0 && seeked < 1000.0, "{playing} {seeked}");
    browser.end().await;
}

/// After how many milliseconds it plays, and a moment near its end is reached.
async fn plays(browser: &Browser) -> (f64, f64) {
    browser
        .script(
            "const shown = document.querySelector('audio[data-play]');
             const audio = new Audio(shown.src + Math.random());
             const since = performance.now();
             const took = window.took = {};
             audio.muted = true;
             audio.addEventListener('playing', () => {
               took.playing ??= performance.now() - since;
               if (took.asked) return;
               took.asked = performance.now();
               audio.currentTime = 7100;
             });
             audio.addEventListener('seeked', () => {
               took.seeked ??= performance.now() - took.asked;
               took.at = audio.currentTime;
               took.length = audio.duration;
               audio.pause();
             });
             audio.play();",
        )
        .await;
    let number = async |what: &str| {
        browser.script(&format!("return window.took?.{what} ?? null")).await.as_f64()
    };
    browser.until("the end is reached", async || number("seeked").await.is_some()).await;
    assert_eq!(number("length").await, Some(7200.0), "all of it");
    assert!(number("at").await.unwrap() >= 7100.0);
    (number("playing").await.unwrap(), number("seeked").await.unwrap())
}

/// Half a minute.
#[test]
fn rel_17_a_log_that_another_process_locks_costs_no_call_and_has_it_soon_after() {
    let held = Duration::from_secs(30);
    let Some(room) = Room::open() else { return };
    let far_end = FarEnd::start(&room.ports);
    far_end.media.set_nonblocking(true).expect("a socket");
    let mut daemon = room.daemon(&Plan { phones: &[("9200", 20)], ..Plan::default() });
    let officer = Officer::first(&mut daemon);
    let database = room.folder.path().join("dutyline/data/dutyline.db");
    let other = Connection::open(database).expect("opened");
    other.busy_timeout(Duration::from_secs(5)).expect("set");
    other.execute_batch("BEGIN IMMEDIATE").expect("locked");
    let locked = Instant::now();

    let mut caller = TrunkCaller::new(&room.ports, "13800130007");
    let dialled = Instant::now();
    assert_eq!(caller.call("1001"), 200, "the call comes about");
    println!("answered {:?} after it was dialled", dialled.elapsed());
    assert!(dialled.elapsed() < Duration::from_secs(1), "{:?}", dialled.elapsed());
    let officers = far_end.invited().media();
    let (mut voices, mut heard) = ([Voice::new(7), Voice::new(40_009)], 0);
    let mut delayed = false;
    let ticks = u32::try_from(held.as_millis() / TICK.as_millis()).expect("few") - 100;
    let begin = Instant::now();
    for tick in 1..=ticks {
        let [of_caller, of_officer] = &mut voices;
        let to = caller.remote_media();
        caller.media.send_to(&of_caller.packet(&[0xba; 160]), to).expect("sent");
        far_end.media.send_to(&of_officer.packet(&[0xba; 160]), officers).expect("sent");
        while far_end.media.recv(&mut [0; 2048]).is_ok() {
            heard += 1;
        }
        if tick == ticks / 2 {
            delayed = officer.looks_up().contains("值班记录无法写入");
        }
        let next = begin + TICK * tick;
        sleep(next.saturating_duration_since(Instant::now()));
    }
    assert!(delayed, "the page says that the log is delayed");
    assert!(heard + 3 >= ticks, "{heard} of {ticks} heard");
    assert_eq!(daemon.try_row("SELECT count(*) FROM entry").as_deref(), Some("0"));
    sleep(held.saturating_sub(locked.elapsed()));
    other.execute_batch("ROLLBACK").expect("let go");
    let released = Instant::now();
    wait_until("the entry", Duration::from_secs(10), || {
        (daemon.try_row("SELECT count(*) FROM entry")? == "1").then_some(())
    });
    println!("in the log {:?} after it was let go", released.elapsed());
    assert!(released.elapsed() < Duration::from_secs(2), "{:?}", released.elapsed());
    caller.hang_up();
    daemon.row_is("SELECT count(*) FROM recording WHERE state = 'sealed'", "1");
    daemon.row_is("SELECT count(*) FROM outage WHERE kind = 'log' AND to_ms IS NOT NULL", "1");
    wait_until("the alarm's end", Duration::from_secs(5), || {
        (!officer.looks_up().contains("值班记录无法写入")).then_some(())
    });
}

/// While calls come and go; the backup is then all that an empty host has.
#[test]
fn rel_36_a_backup_that_is_made_while_people_talk_is_whole_on_an_empty_host() {
    let Some(room) = Room::open() else { return };
    let far_end = FarEnd::start(&room.ports);
    let daemon = room.daemon(&Plan { phones: &[("9200", 20)], ..Plan::default() });
    let call = |number: &str, packets: usize| {
        let mut caller = TrunkCaller::new(&room.ports, number);
        assert_eq!(caller.call("1001"), 200);
        far_end.invited();
        let mut voice = Voice::new(7);
        for _ in 0..packets {
            let to = caller.remote_media();
            caller.media.send_to(&voice.packet(&[0xba; 160]), to).expect("sent");
            sleep(TICK);
        }
        caller
    };
    for number in ["13800130001", "13800130002", "13800130003"] {
        call(number, 30).hang_up();
    }
    daemon.row_is("SELECT count(*) FROM recording WHERE state = 'sealed'", "3");
    let talking = call("13800130004", 20);
    let (code, said) = daemon.command(&["backup", "../backup", "--config", "dutyline.toml"]);
    assert_eq!(code, Some(0), "{said}");
    assert!(said.contains("6 个录音文件"), "{said}");
    let (code, said) = daemon.command(&["backup", "../backup", "--config", "dutyline.toml"]);
    assert_eq!(code, Some(1), "never over another: {said}");
    talking.hang_up();
    let (own, other) = (room.folder.path().join("dutyline"), room.folder.path().join("other"));
    fs::create_dir(&other).expect("a host");
    for name in ["data", "recordings"] {
        fs::rename(room.folder.path().join("backup").join(name), other.join(name)).expect("moved");
    }
    for name in ["dutyline.toml", "line-password"] {
        fs::copy(own.join(name), other.join(name)).expect("copied");
    }
    let run = |arguments: &[&str]| {
        let mut command = std::process::Command::new(env!("CARGO_BIN_EXE_dutyline"));
        let done = command.args(arguments).current_dir(&other).output().expect("started");
        let said = [done.stdout, done.stderr].concat();
        (done.status.code(), String::from_utf8_lossy(&said).into_owned())
    };
    let (code, said) = run(&["verify", "--config", "dutyline.toml"]);
    assert_eq!(code, Some(0), "{said}");
    let restored = Connection::open(other.join("data/dutyline.db")).expect("opened");
    let count =
        |query: &str| -> i64 { restored.query_row(query, [], |row| row.get(0)).expect("a number") };
    assert_eq!(count("SELECT count(*) FROM entry"), 4, "the one that was talking too");
    assert_eq!(count("SELECT count(*) FROM recording WHERE state = 'sealed'"), 3);
    let secret = fs::metadata(other.join("data")).expect("there");
    use std::os::unix::fs::PermissionsExt;
    assert_eq!(secret.permissions().mode() & 0o077, 0, "for its owner alone");
}
