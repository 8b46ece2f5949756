//! 录音保管 with the real daemon and a month that passes at once: two people, at the page, let one recording go and cannot
//! let go of the one that is held.

use crate::browser::Browser;
use crate::calls::Room;
use crate::clocks::{Clock, DAY_MS};
use crate::daemon::{Daemon, Plan};
use crate::officer::Officer;
use crate::process::wait_until;
use crate::twin::{FarEnd, TrunkCaller, Voice};
use dutyline::duty::entry::day;
use fantoccini::key::Key;
use std::fs;
use std::path::Path;
use std::process::Command;
use std::time::Duration;

/// Files of recordings below, with their tapes.
fn files(folder: &Path) -> usize {
    let Ok(entries) = fs::read_dir(folder) else { return 0 };
    let all = entries.map(|entry| entry.expect("listed").path());
    all.map(|path| if path.is_dir() { files(&path) } else { usize::from(is_kept(&path)) }).sum()
}

fn is_kept(path: &Path) -> bool {
    path.extension().is_some_and(|last| last == "wav" || last == "tape" || last == "flac")
}

/// A call of a second, from its ring to its end.
pub fn talks(room: &Room, far_end: &FarEnd, daemon: &Daemon, number: &str) {
    let mut caller = TrunkCaller::new(&room.ports, number);
    assert_eq!(caller.call("1001"), 200);
    far_end.invited();
    let mut voice = Voice::new(61);
    for _ in 0..50 {
        caller.media.send_to(&voice.packet(&[0xaa; 160]), caller.remote_media()).expect("sent");
        std::thread::sleep(Duration::from_millis(20));
    }
    caller.hang_up();
    far_end.is_let_go();
    let of = format!("SELECT disposition FROM call WHERE caller LIKE '%{}'", &number[1..]);
    daemon.row_is(&of, "answered");
}

/// 张主任 in a browser: no list has what only the clock calls old; he hears it and says when it was made, and 李副主任 agrees.
fn dates(officer: &Officer, daemon: &Daemon, li: &Officer) {
    let number = daemon.row(
        "SELECT e.number FROM entry e JOIN call c ON c.entry = e.id WHERE c.caller LIKE '%3800130062'",
    );
    let runtime = tokio::runtime::Runtime::new().expect("a runtime");
    runtime.block_on(async {
        let browser = Browser::start().await;
        browser.goto(&officer.at("/login")).await;
        browser.type_into("account", "zhang").await;
        browser.type_into("password", "correct-horse").await;
        browser.press(Key::Enter).await;
        browser.see("a[href=\"/keeping\"]").await;
        browser.goto(&officer.at("/keeping")).await;
        browser.see_text("main", "日期存疑 1 份").await;
        browser.see_text("main", "到期 0 份").await;
        browser.shot("63-keeping-with-a-doubtful-date").await;
        browser.click("a[href=\"/keeping/dates\"]").await;
        browser.see_text("table", &number).await;
        browser.see_text("table", "32 天，值守程序运行可证 0 天").await;
        let plays =
            "const audio = document.querySelector('audio'); audio.muted = true; audio.play()";
        browser.script(plays).await;
        let heard = async || {
            let at = browser.script("return document.querySelector('audio').currentTime").await;
            at.as_f64().is_some_and(|at| at > 0.2)
        };
        browser.until("it is heard", heard).await;
        let made = day(dutyline::io::clock::now().wall);
        let fill = format!("document.querySelector('[name=made]').value = '{made}'");
        browser.script(&fill).await;
        browser.type_into("reason", "来电人说了当天日期").await;
        browser.click("input[type=checkbox]").await;
        browser.shot("64-a-doubtful-date-is-looked-at").await;
        browser.click("form button").await;
        browser.see_text("main", "1 份，最迟录于").await;
        browser.shot("65-a-date-waits-for-a-second-leader").await;
        browser.end().await;
    });
    let why = daemon.row("SELECT detail FROM audit WHERE action = 'recording.play'");
    assert_eq!(why, "核对录音日期");
    assert_eq!(daemon.row("SELECT count(*) FROM dating_agreement"), "0");
    let agreed = li.posts("/keeping/dates/agree", &[("id", "1")]);
    assert!(agreed.starts_with("HTTP/1.1 303"), "{agreed}");
}

/// 张主任 in a browser: the list is before him item by item, and then he agrees.
fn reads_and_agrees(officer: &Officer, daemon: &Daemon) {
    let number = daemon.row(
        "SELECT e.number FROM destruction_item i JOIN call c ON c.id = i.call
           JOIN entry e ON e.id = c.entry WHERE i.list = 2",
    );
    let runtime = tokio::runtime::Runtime::new().expect("a runtime");
    runtime.block_on(async {
        let browser = Browser::start().await;
        browser.goto(&officer.at("/login")).await;
        browser.type_into("account", "zhang").await;
        browser.type_into("password", "correct-horse").await;
        browser.press(Key::Enter).await;
        browser.see("a[href=\"/keeping\"]").await;
        browser.goto(&officer.at("/keeping")).await;
        browser.see_text("main", "待另一人同意").await;
        browser.shot("60-keeping").await;
        browser.click("a[href=\"/keeping/lists/2\"]").await;
        browser.see_text("table", &number).await;
        browser.see_text("main", "李副主任 已核对").await;
        browser.shot("61-a-list-item-by-item").await;
        browser.click("button.danger").await;
        assert_eq!(daemon.row("SELECT count(*) FROM destroyed"), "0", "not without having read it");
        browser.click("input[type=checkbox]").await;
        browser.click("button.danger").await;
        browser.see_text("main", "同意： ").await;
        let gone = async || {
            browser.goto(&officer.at("/keeping/lists/2")).await;
            browser.text("table").await.contains("已从磁盘清除")
        };
        browser.until_within(Duration::from_secs(40), "the files to go", gone).await;
        browser.shot("62-a-list-that-was-carried-out").await;
        browser.end().await;
    });
}

/// The recording of an entry: a stretch of the caller is silent in a copy, which is handed out as one.
fn redacts(officer: &Officer, daemon: &Daemon, held: &str) {
    let call = daemon.row("SELECT h.entry FROM hold h");
    let to = format!("/recordings/{call}/derived");
    let wanted =
        [("from", "0:00.2"), ("to", "0:00.6"), ("side", "left"), ("reason", "隐去报料人姓名")];
    let made = officer.posts(&to, &wanted);
    assert!(made.starts_with("HTTP/1.1 200") && made.contains("隐去报料人姓名"), "{made}");
    let original = daemon.recording_path(&format!("'{call}'"));
    let copy = daemon.recordings().join(daemon.row("SELECT wav FROM derived"));
    let [whole, cut] = [&original, &copy].map(|path| fs::read(path).expect("a file"));
    let silent = 44 + 4 * 1_600..44 + 4 * 4_800;
    assert_eq!((whole.len(), &whole[..silent.start]), (cut.len(), &cut[..silent.start]));
    assert_eq!(whole[silent.end..], cut[silent.end..]);
    let left = cut[silent].chunks_exact(4).all(|frame| frame[..2] == [0, 0]);
    assert!(left, "he is not heard there");
    let (code, said) = daemon.command(&["verify", "--config", "dutyline.toml"]);
    assert_eq!(code, Some(0), "{said}");
    let (code, said) = daemon.command(&["export", held, "--config", "dutyline.toml"]);
    assert_eq!(code, Some(0), "{said}");
    let (code, said) = daemon.command(&["verify", held]);
    assert_eq!(code, Some(0), "{said}");
    assert!(said.contains("脱敏件 1 份"), "{said}");
    let into = ["--into", "only"];
    let only = ["export", held, "--redacted", into[0], into[1], "--config", "dutyline.toml"];
    fs::create_dir(daemon.folder().join("only")).expect("a folder");
    let (code, said) = daemon.command(&only);
    assert_eq!(code, Some(0), "{said}");
    let (code, said) = daemon.command(&["verify", &format!("only/{held}")]);
    assert_eq!(code, Some(0), "{said}");
    assert!(said.contains("原始录音 1 份未附"), "{said}");
    let folder = daemon.folder().join("only").join(held);
    assert!(!folder.join("recordings").exists() && folder.join("derived").is_dir());
    asks_why(officer, &call);
}

/// Whoever plays what was recorded, or a copy of it, says why first.
fn asks_why(officer: &Officer, call: &str) {
    let runtime = tokio::runtime::Runtime::new().expect("a runtime");
    runtime.block_on(async {
        let browser = Browser::start().await;
        browser.goto(&officer.at("/login")).await;
        browser.type_into("account", "wang").await;
        browser.type_into("password", "correct-horse").await;
        browser.press(Key::Enter).await;
        browser.see("a[href=\"/keeping\"]").await;
        browser.goto(&officer.at(&format!("/?entry={call}"))).await;
        browser.see_text("[data-part=recording]", "请先选择").await;
        let sound = async || {
            browser.script("return document.querySelector('[data-player] audio').src").await
        };
        assert_eq!(sound().await, "", "nothing to play without a reason");
        let wide = "const detail = document.getElementById('detail'); \
                    return detail.scrollWidth - detail.clientWidth";
        assert_eq!(browser.script(wide).await, 0, "nothing is wider than the page");
        browser.shot("66-a-reason-before-listening").await;
        browser
            .see("[data-player] [data-why]")
            .await
            .select_by_label("领导要求")
            .await
            .expect("chosen");
        let asked = async || sound().await.as_str().is_some_and(|it| it.contains("why=%E9%A2%86"));
        browser.until("a reason is given", asked).await;
        browser.see("[data-part=derived] details").await;
        browser.script("document.querySelector('[data-part=derived] details').open = true").await;
        browser.see("[data-part=derived] select[name=why]").await;
        browser.shot("67-a-reason-before-a-redacted-copy").await;
        browser.end().await;
    });
}

/// Somebody has put another disk where the second copies were: the alarm ends when two people give up the old one, and each
/// recording is copied anew.
#[test]
fn rec_d14_two_people_give_up_copies_on_a_disk_that_will_not_come_back() {
    let Some(room) = Room::open() else { return };
    let far_end = FarEnd::start(&room.ports);
    let copies = room.folder.path().join("second");
    fs::create_dir(&copies).expect("a folder");
    let storage = format!("copies = \"{}\"", copies.display());
    let plan = Plan { phones: &[("9200", 20)], storage: &storage, ..Plan::default() };
    let mut daemon = room.daemon(&plan);
    let officer = Officer::first(&mut daemon);
    for (name, login) in [("张主任", "zhang"), ("李副主任", "li")] {
        daemon.adds_leader(name, login);
    }
    talks(&room, &far_end, &daemon, "13800130064");
    daemon.row_is("SELECT count(*) FROM counted_copy", "2");
    let [zhang, li] = ["zhang", "li"].map(|login| officer.beside(login));
    fs::rename(&copies, copies.with_extension("broken")).expect("the disk is pulled");
    fs::create_dir(&copies).expect("another one");
    let alarm = "第二份录音没有存上";
    wait_until("the alarm", Duration::from_secs(30), || {
        zhang.looks_up().contains(alarm).then_some(())
    });
    let said = zhang.posts("/keeping/copies", &[("reason", "磁盘损坏报废")]);
    assert!(said.starts_with("HTTP/1.1 303"), "{said}");
    let runtime = tokio::runtime::Runtime::new().expect("a runtime");
    runtime.block_on(async {
        let browser = Browser::start().await;
        browser.goto(&officer.at("/login")).await;
        browser.type_into("account", "li").await;
        browser.type_into("password", "correct-horse").await;
        browser.press(Key::Enter).await;
        browser.see("a[href=\"/keeping\"]").await;
        browser.goto(&officer.at("/keeping")).await;
        browser.see_text("main", "磁盘损坏报废").await;
        browser.shot("68-copies-that-are-given-up").await;
        browser.click("form[action=\"/keeping/copies/agree\"] input[type=checkbox]").await;
        browser.click("form[action=\"/keeping/copies/agree\"] button").await;
        browser.see_text("main", "同意： ").await;
        browser.end().await;
    });
    wait_until("the alarm to end", Duration::from_secs(30), || {
        (!li.looks_up().contains(alarm)).then_some(())
    });
    daemon.row_is("SELECT count(*) FROM counted_copy", "2");
    assert_eq!((files(&copies), files(&copies.with_extension("broken"))), (2, 2));
    let (code, said) = daemon.command(&["verify", "--config", "dutyline.toml"]);
    assert_eq!(code, Some(0), "{said}");
}

#[test]
fn rec_d14_rec_e6_rec_e3_after_their_month_two_people_destroy_what_is_not_held() {
    let Some(room) = Room::open() else { return };
    let far_end = FarEnd::start(&room.ports);
    let clock = Clock::new(room.folder.path());
    let environment = clock.environment();
    let copies = room.folder.path().join("second");
    fs::create_dir(&copies).expect("a folder");
    let storage = format!("copies = \"{}\"", copies.display());
    let plan = Plan {
        phones: &[("9200", 20)],
        storage: &storage,
        environment: &environment,
        more: "[keeping]\nordinary_days = 30",
        web: "listen_reason = true",
        ..Plan::default()
    };
    let mut daemon = room.daemon(&plan);
    let officer = Officer::first(&mut daemon);
    for (name, login) in [("张主任", "zhang"), ("李副主任", "li")] {
        daemon.adds_leader(name, login);
    }
    for number in ["13800130061", "13800130062"] {
        talks(&room, &far_end, &daemon, number);
    }
    daemon.row_is("SELECT count(*) FROM copy", "4");
    let held = daemon.row("SELECT number FROM entry ORDER BY id LIMIT 1");
    officer.posts("/keeping/hold", &[("number", &held), ("reason", "纪委调查")]);
    let early = officer.beside("zhang").posts("/keeping/list", &[("reason", "保管期满")]);
    assert!(early.starts_with("HTTP/1.1 200"), "nothing is due: {early}");

    clock.set(32 * DAY_MS);
    let [zhang, li] = ["zhang", "li"].map(|login| officer.beside(login));
    let set = zhang.posts("/keeping/list", &[("reason", "保管期满")]);
    assert!(set.starts_with("HTTP/1.1 200"), "a clock that was set makes nothing due: {set}");
    dates(&officer, &daemon, &li);
    let made = zhang.posts("/keeping/list", &[("reason", "保管期满")]);
    assert!(made.starts_with("HTTP/1.1 303"), "{made}");
    let alone = zhang.posts("/keeping/list/agree", &[("id", "1")]);
    assert!(alone.contains("须由另一人同意"), "{alone}");
    assert_eq!(
        daemon.row("SELECT count(*) FROM destruction_item WHERE list = 1"),
        "1",
        "what is held is not on it"
    );
    let list = li.fetches("/keeping/lists/1");
    let list = String::from_utf8(list).expect("text");
    assert!(list.contains("待另一人同意") && !list.contains(&held), "{list}");
    let no = li.posts("/keeping/list/refuse", &[("id", "1"), ("reason", "先核对")]);
    assert!(no.starts_with("HTTP/1.1 303"), "{no}");
    let made = li.posts("/keeping/list", &[("reason", "已核对")]);
    assert!(made.starts_with("HTTP/1.1 303"), "{made}");
    reads_and_agrees(&officer, &daemon);
    daemon.row_is("SELECT count(*) FROM destroyed", "1");
    let recordings = daemon.recordings();
    wait_until("the files to go", Duration::from_secs(30), || {
        (files(&recordings) == 2 && files(&copies) == 2).then_some(())
    });
    daemon.row_is("SELECT count(*) FROM gone", "1");
    let kept = "SELECT count(*) FROM recording WHERE digest IS NOT NULL";
    assert_eq!(daemon.row(kept), "2", "rows and hashes stay");
    let (code, said) = daemon.command(&["verify", "--config", "dutyline.toml"]);
    assert_eq!(code, Some(0), "{said}");
    let number = daemon.row(
        "SELECT e.number FROM entry e JOIN call c ON c.entry = e.id JOIN gone g ON g.call = c.id",
    );
    let (code, said) = daemon.command(&["export", &number, "--config", "dutyline.toml"]);
    assert_eq!(code, Some(0), "{said}");
    let (code, said) = daemon.command(&["verify", &number]);
    assert_eq!(code, Some(0), "{said}");
    assert!(said.contains("已由两人按清单销毁"), "{said}");

    redacts(&officer.beside("wang"), &daemon, &held);
}

/// With the tools that anybody has: `flac`, `ffprobe`, `soxi`.
fn others_read(flac: &Path, seconds: f64) {
    let run = |program: &str, arguments: &[&str]| {
        let ran = Command::new(program).args(arguments).arg(flac).output();
        let Ok(ran) = ran else {
            let wanted = std::env::var_os("DUTYLINE_REQUIRE_PEERS").is_some();
            assert!(!wanted, "{program} is not installed");
            println!("skipped: {program} is not installed");
            return None;
        };
        let said = String::from_utf8_lossy(&ran.stdout).into_owned();
        assert!(ran.status.success(), "{program}: {}", String::from_utf8_lossy(&ran.stderr));
        Some(said.trim().to_owned())
    };
    run("flac", &["-t", "-s"]);
    let format = ["-v", "error", "-of", "csv=p=0"];
    let of = "stream=codec_name,sample_rate,channels,bits_per_raw_sample:format=duration";
    if let Some(said) = run("ffprobe", &[&format[..], &["-show_entries", of]].concat()) {
        let mut lines = said.lines();
        assert_eq!(lines.next(), Some("flac,8000,2,16"), "{said}");
        let length: f64 = lines.next().and_then(|line| line.parse().ok()).expect("a length");
        assert!((length - seconds).abs() < 0.001, "{length} of {seconds}");
    }
    if let Some(said) = run("soxi", &["-D"]) {
        let length: f64 = said.parse().expect("a length");
        assert!((length - seconds).abs() < 0.001, "{length} of {seconds}");
    }
}

#[test]
fn after_its_days_a_recording_is_flac_on_both_disks_and_plays_and_is_handed_out_as_the_wav_it_was()
{
    let Some(room) = Room::open() else { return };
    let far_end = FarEnd::start(&room.ports);
    let clock = Clock::new(room.folder.path());
    let environment = clock.environment();
    let copies = room.folder.path().join("second");
    fs::create_dir(&copies).expect("a folder");
    let storage = format!("copies = \"{}\"", copies.display());
    let plan = Plan {
        phones: &[("9200", 20)],
        storage: &storage,
        environment: &environment,
        more: "[keeping]\nflac_days = 1",
        ..Plan::default()
    };
    let mut daemon = room.daemon(&plan);
    let officer = Officer::first(&mut daemon);
    talks(&room, &far_end, &daemon, "13800130063");
    daemon.row_is("SELECT count(*) FROM copy", "2");
    let call = daemon.row("SELECT call FROM recording");
    let path = daemon.recording_path(&format!("'{call}'"));
    let wav = fs::read(&path).expect("a WAV");
    let played = format!("/recordings/{call}");
    assert_eq!(officer.fetches(&played), wav);
    let wave = officer.fetches(&format!("{played}/peaks"));

    clock.set(2 * DAY_MS);
    daemon.process.kill();
    daemon.restart(room.folder.path(), &room.ports, &plan);
    let flac = path.with_extension("flac");
    wait_until("the WAV to go", Duration::from_secs(90), || {
        (daemon.try_row("SELECT 'done' FROM wav_removed").is_some() && !path.exists()).then_some(())
    });
    let officer = officer.beside("wang");
    let inside = flac.strip_prefix(daemon.recordings()).expect("below").to_owned();
    let both = [&flac, &copies.join(&inside)].map(|path| fs::read(path).expect("a FLAC"));
    assert_eq!(both[0], both[1]);
    assert!(
        !copies.join(&inside).with_extension("wav").exists()
            && flac.with_extension("tape").exists()
    );
    others_read(&flac, (wav.len() - 44) as f64 / 32_000.0);

    assert_eq!(officer.fetches(&played), wav, "byte for byte");
    assert_eq!(officer.fetches(&format!("{played}/peaks")), wave);
    for (range, part) in
        [("bytes=20001-20100", 20_001..20_101), ("bytes=-7", wav.len() - 7..wav.len())]
    {
        let (head, bytes) = officer.fetches_part(&played, range);
        assert!(head.starts_with("HTTP/1.1 206"), "{head}");
        assert_eq!(bytes, wav[part], "{range}");
    }
    let (code, said) = daemon.command(&["verify", "--config", "dutyline.toml"]);
    assert_eq!(code, Some(0), "{said}");
    let number = daemon.row("SELECT number FROM entry");
    let (code, said) = daemon.command(&["export", &number, "--config", "dutyline.toml"]);
    assert_eq!(code, Some(0), "{said}");
    let (code, said) = daemon.command(&["verify", &number]);
    assert_eq!(code, Some(0), "{said}");
    let handed =
        room.folder.path().join("dutyline").join(&number).join(format!("recordings/{call}.wav"));
    assert_eq!(fs::read(handed).expect("handed out"), wav);
    let (code, said) = daemon.command(&["backup", "backup", "--config", "dutyline.toml"]);
    assert_eq!(code, Some(0), "{said}");
    assert_eq!(daemon.row("SELECT count(*) FROM copy"), "2");
    let share = both[0].len() as f64 / wav.len() as f64;
    println!("FLAC is {share:.2} of the WAV");
}
