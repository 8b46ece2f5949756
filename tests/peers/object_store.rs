//! The second copies in a bucket, with the real daemon and a store that checks signatures: it is pulled, refuses the key,
//! disagrees about the time and hangs, and in the end has every recording; two people's word holds there too.

use crate::calls::Room;
use crate::clocks::{Clock, DAY_MS};
use crate::daemon::{Daemon, Plan};
use crate::keeping::talks;
use crate::officer::Officer;
use crate::process::wait_until;
use crate::store_of_objects::{ACCESS_KEY, BUCKET, SECRET_KEY, Server, Trouble};
use crate::twin::FarEnd;
use axum::http::Method;
use dutyline::duty::entry::day;
use std::fs;
use std::path::Path;
use std::time::Duration;

/// After what went wrong the daemon tries again in ten seconds, and looks at a bucket once a minute.
const AGAIN: Duration = Duration::from_secs(30);
const COPIES: &str = "SELECT count(*) FROM copy";

fn section(folder: &Path, server: &Server) -> String {
    for (name, key) in [("access", ACCESS_KEY), ("secret", SECRET_KEY)] {
        fs::write(folder.join(name), format!("{key}\n")).expect("written");
    }
    let (folder, address) = (folder.display(), server.address);
    format!(
        "[storage.s3]\nendpoint = \"http://{address}\"\nbucket = \"{BUCKET}\"\nprefix = \"room-1\"\n\
         access_key_file = \"{folder}/access\"\nsecret_key_file = \"{folder}/secret\"\n\
         allow = [\"127.0.0.1\"]\n"
    )
}

fn copies_are(daemon: &Daemon, wanted: &str) {
    wait_until("copies", AGAIN, || (daemon.try_row(COPIES)? == wanted).then_some(()));
}

fn told(officer: &Officer, what: &str) {
    wait_until(what, AGAIN, || {
        let strip = officer.looks_up();
        (strip.contains("本机的一份仍在") && strip.contains(what)).then_some(())
    });
}

fn well_again(officer: &Officer) {
    wait_until("no alarm", AGAIN, || {
        (!officer.looks_up().contains("本机的一份仍在")).then_some(())
    });
}

/// Names of recordings and tapes below, and their content.
fn all(folder: &Path) -> Vec<(String, Vec<u8>)> {
    let mut found = vec![];
    let mut folders = vec![folder.to_owned()];
    while let Some(folder) = folders.pop() {
        let Ok(entries) = fs::read_dir(&folder) else { continue };
        for path in entries.map(|entry| entry.expect("listed").path()) {
            let last = path.extension().unwrap_or_default().to_string_lossy().into_owned();
            if path.is_dir() {
                folders.push(path);
            } else if ["wav", "tape", "flac"].contains(&last.as_str()) {
                let name = path.file_name().expect("a name").to_string_lossy().into_owned();
                found.push((name, fs::read(&path).expect("read")));
            }
        }
    }
    found.sort();
    found
}

#[test]
fn rec_d15_rec_d9_a_store_that_is_pulled_refuses_hangs_and_comes_back_has_every_recording() {
    let Some(room) = Room::open() else { return };
    let far_end = FarEnd::start(&room.ports);
    let mut server = Server::start(&room.folder.path().join("store"), room.ports.own(0));
    let section = section(room.folder.path(), &server);
    let plan = Plan { phones: &[("9200", 20)], more: &section, ..Plan::default() };
    let mut daemon = room.daemon(&plan);
    let officer = Officer::first(&mut daemon);
    talks(&room, &far_end, &daemon, "13800130071");
    copies_are(&daemon, "2");

    server.stop();
    talks(&room, &far_end, &daemon, "13800130072");
    told(&officer, "连不上");
    assert_eq!(daemon.row(COPIES), "2");
    server.again();
    copies_are(&daemon, "4");
    well_again(&officer);

    server.has(Trouble::Says(Method::PUT, 403, "InvalidAccessKeyId"));
    talks(&room, &far_end, &daemon, "13800130073");
    told(&officer, "access_key_file");
    server.has(Trouble::Spoils);
    told(&officer, "读回来与写入的不同");
    server.has(None);
    server.allows_skew(0);
    told(&officer, "校时");
    assert_eq!(daemon.row(COPIES), "4", "none of it counts");
    server.allows_skew(900);
    copies_are(&daemon, "6");
    well_again(&officer);

    // Killed in the middle of a PUT.
    let puts = server.seen(&Method::PUT);
    server.has(Trouble::Hangs(Method::PUT));
    talks(&room, &far_end, &daemon, "13800130074");
    wait_until("a PUT", AGAIN, || (server.seen(&Method::PUT) > puts).then_some(()));
    talks(&room, &far_end, &daemon, "13800130075");
    daemon.process.kill();
    server.has(None);
    daemon.restart(room.folder.path(), &room.ports, &plan);
    copies_are(&daemon, "10");
    let (own, there) = (all(&daemon.recordings()), all(&server.file("room-1")));
    assert_eq!((own.len(), own == there), (10, true), "each as it is here");
    is_heard_from_the_store(&daemon, &officer.beside("wang"));
}

/// One is gone here, of another a word is not what was said.
fn is_heard_from_the_store(daemon: &Daemon, officer: &Officer) {
    let row = |nth: u8, what: &str| {
        daemon.row(&format!("SELECT {what} FROM recording ORDER BY call LIMIT 1 OFFSET {nth}"))
    };
    for nth in [0, 1] {
        let (call, wav) = (row(nth, "call"), daemon.recordings().join(row(nth, "wav")));
        let said = fs::read(&wav).expect("it is there");
        match nth {
            0 => fs::remove_file(&wav).expect("removed"),
            _ => fs::write(&wav, [&said[..2000], &[!said[2000]], &said[2001..]].concat())
                .expect("altered"),
        }
        let path = format!("/recordings/{call}?play=p{nth}");
        wait_until("all of it", AGAIN, || (officer.fetches(&path) == said).then_some(()));
        let played = format!(
            "SELECT count(*) FROM audit WHERE action = 'recording.play' AND object = '{call}'"
        );
        assert_eq!(daemon.row(&played), "1");
    }
}

/// Two people date what only the clock calls old, list what is past its month, and agree.
fn give_up(officer: &Officer, daemon: &Daemon, list: &str) {
    let [zhang, li] = ["zhang", "li"].map(|login| officer.beside(login));
    let call = daemon.row("SELECT call FROM wav_removed");
    let made = day(dutyline::io::clock::now().wall).to_string();
    let fields = [("call", call.as_str()), ("made", &made), ("reason", "来电人说了当天日期")];
    let said = zhang.posts("/keeping/dates", &fields);
    assert!(said.starts_with("HTTP/1.1 303"), "{said}");
    let agreed = li.posts("/keeping/dates/agree", &[("id", "1")]);
    assert!(agreed.starts_with("HTTP/1.1 303"), "{agreed}");
    let made = zhang.posts("/keeping/list", &[("reason", "保管期满")]);
    assert!(made.starts_with("HTTP/1.1 303"), "{made}");
    let agreed = li.posts("/keeping/list/agree", &[("id", list)]);
    assert!(agreed.starts_with("HTTP/1.1 303"), "{agreed}");
}

#[test]
fn rec_d14_rec_e6_two_peoples_word_and_flac_hold_in_the_bucket_too() {
    let Some(room) = Room::open() else { return };
    let far_end = FarEnd::start(&room.ports);
    let clock = Clock::new(room.folder.path());
    let environment = clock.environment();
    let server = Server::start(&room.folder.path().join("store"), room.ports.own(0));
    let more = format!(
        "[keeping]\nordinary_days = 30\nflac_days = 1\n{}",
        section(room.folder.path(), &server)
    );
    let plan =
        Plan { phones: &[("9200", 20)], more: &more, environment: &environment, ..Plan::default() };
    // The daemon's clock alone is set.
    server.allows_skew(u32::MAX);
    let mut daemon = room.daemon(&plan);
    let officer = Officer::first(&mut daemon);
    for (name, login) in [("张主任", "zhang"), ("李副主任", "li")] {
        daemon.adds_leader(name, login);
    }
    for number in ["13800130081", "13800130082"] {
        talks(&room, &far_end, &daemon, number);
    }
    copies_are(&daemon, "4");
    let held = daemon.row("SELECT number FROM entry ORDER BY id LIMIT 1");
    officer.posts("/keeping/hold", &[("number", &held), ("reason", "纪委调查")]);

    clock.set(32 * DAY_MS);
    daemon.process.kill();
    daemon.restart(room.folder.path(), &room.ports, &plan);
    let flac = "SELECT count(*) FROM wav_removed";
    wait_until("a FLAC", Duration::from_secs(90), || (daemon.try_row(flac)? == "1").then_some(()));
    let (own, there) = (all(&daemon.recordings()), all(&server.file("room-1")));
    assert_eq!((own.len(), own == there), (4, true), "the WAV went there too");
    assert_eq!(own.iter().filter(|(name, _)| name.ends_with(".flac")).count(), 1);

    let officer = officer.beside("wang");
    server.has(Trouble::Says(Method::DELETE, 403, "AccessDenied"));
    give_up(&officer, &daemon, "1");
    wait_until("what is told", AGAIN, || officer.looks_up().contains("对象锁定").then_some(()));
    assert_eq!(all(&server.file("room-1")).len(), 4, "a lock is no removal");
    let begun_anew = |daemon: &mut Daemon, trouble: Option<Trouble>| {
        server.has(trouble);
        daemon.process.kill();
        daemon.restart(room.folder.path(), &room.ports, &plan);
    };
    begun_anew(&mut daemon, Some(Trouble::Hides(false)));
    wait_until("what is told", AGAIN, || {
        officer.looks_up_if_up()?.contains("旧版本仍在").then_some(())
    });
    assert_eq!(daemon.row("SELECT count(*) FROM gone"), "0", "nor is what is only hidden");
    begun_anew(&mut daemon, None);
    wait_until("the files to go", AGAIN, || {
        (daemon.try_row("SELECT count(*) FROM gone")? == "1").then_some(())
    });
    let (own, there) = (all(&daemon.recordings()), all(&server.file("room-1")));
    assert_eq!((own.len(), own == there), (2, true), "what is held is in both places");
    let (code, said) = daemon.command(&["verify", "--config", "dutyline.toml"]);
    assert_eq!(code, Some(0), "{said}");
}
