//! What an administrator does beside the daemon: without its password, from any folder, as root.

use super::{RIGHT, dutyline, folder_with, text};
use dutyline::io::clock;
use dutyline::io::store::Store;
use std::fs;
use std::os::unix::fs::{MetadataExt, chown};
use std::path::Path;

/// The daemon's user, in these tests.
const SOMEBODY: u32 = 64_999;
const COMMANDS: [&[&str]; 9] = [
    &["user", "list"],
    &["verify"],
    &["trace", "记-20261003-0001"],
    &["backup", "kept"],
    &["export", "记-20261003-0001"],
    &["reconcile", "list.csv"],
    &["reindex"],
    &["key", "renew"],
    &["user", "link", "zhang"],
];

/// As the README's unit has it: the password is systemd's.
fn without_a_password() -> String {
    RIGHT.replace("password = \"the-secret\"\n", "")
}

fn run(folder: &Path, command: &[&str], input: &str) -> (Option<i32>, String, String) {
    let done = dutyline(folder, &[command, &["--config", "d.toml"]].concat(), input);
    (done.status.code(), text(&done.stdout), text(&done.stderr))
}

fn names(folder: &Path) -> Vec<String> {
    let entries = fs::read_dir(folder).expect("a folder");
    entries.map(|entry| entry.expect("read").file_name().to_string_lossy().into_owned()).collect()
}

#[test]
fn no_command_but_run_needs_the_lines_password() {
    let folder = folder_with(&without_a_password());
    fs::create_dir(folder.path().join("data")).expect("made");
    let log = folder.path().join("data/dutyline.db");
    drop(Store::open(&log, clock::random()).expect("opened"));
    for command in
        COMMANDS.iter().copied().chain([&["policy", "check"][..], &["policy", "simulate"]])
    {
        let (code, _, told) = run(folder.path(), command, "");
        assert!(!told.contains("no password"), "{command:?}: {told}");
        assert_ne!(code, Some(2), "{command:?}: {told}");
    }
    let added = run(folder.path(), &["user", "add", "张三"], "correct horse\n");
    assert_eq!(added.0, Some(0), "{added:?}");
    let (code, shown, told) = run(folder.path(), &["check-config"], "");
    assert_eq!(code, Some(0), "{told}");
    assert!(shown.contains("正确"), "{shown}");
    assert!(told.contains("line.password_file") && told.contains("systemd"), "warned: {told}");
    let (code, _, told) = run(folder.path(), &["run"], "");
    assert_eq!(code, Some(2));
    assert!(told.contains("no password is given"), "{told}");
}

#[test]
fn a_folder_that_is_not_there_is_named_with_where_it_was_looked_for() {
    let folder = folder_with(&without_a_password());
    let (code, _, told) = run(folder.path(), &["user", "list"], "");
    assert_eq!(code, Some(1));
    let place = folder.path().canonicalize().expect("there").join("data");
    assert!(told.contains(&place.display().to_string()), "{told}");
    assert!(told.contains("WorkingDirectory"), "{told}");
    fs::remove_file(folder.path().join("d.toml")).expect("removed");
    fs::write(
        folder.path().join("d.toml"),
        RIGHT.replace("password = \"the-secret\"", "password_file = \"pw\""),
    )
    .expect("written");
    let (code, _, told) = run(folder.path(), &["check-config"], "");
    assert_eq!(code, Some(2));
    let place = folder.path().canonicalize().expect("there").join("pw");
    assert!(told.contains(&place.display().to_string()), "{told}");
}

#[test]
fn without_a_log_a_command_says_so_and_makes_nothing() {
    let folder = folder_with(RIGHT);
    fs::create_dir(folder.path().join("data")).expect("made");
    fs::write(folder.path().join("list.csv"), "").expect("written");
    for command in COMMANDS {
        let (code, _, told) = run(folder.path(), command, "");
        assert_eq!(code, Some(1), "{command:?}: {told}");
        assert!(
            told.contains("没有值班记录") && told.contains("data/dutyline.db"),
            "{command:?}: {told}"
        );
        assert_eq!(names(&folder.path().join("data")), Vec::<String>::new(), "{command:?}");
    }
    assert!(!folder.path().join("kept").exists(), "no backup of nothing");
}

#[test]
fn what_root_makes_belongs_to_whoever_owns_the_folder() {
    let folder = folder_with(RIGHT);
    let data = folder.path().join("data");
    fs::create_dir(&data).expect("made");
    if chown(&data, Some(SOMEBODY), Some(SOMEBODY)).is_err() {
        // Nobody but root gives a folder away, and nobody but root makes files for others.
        return;
    }
    let added = run(folder.path(), &["user", "add", "张三", "--login", "zhang"], "correct horse\n");
    assert_eq!(added.0, Some(0), "{added:?}");
    // While another has it open its -wal and -shm are there.
    let open = rusqlite::Connection::open(data.join("dutyline.db")).expect("opened");
    let _: i64 = open.query_row("SELECT count(*) FROM person", [], |row| row.get(0)).expect("read");
    for command in [
        &["user", "list"][..],
        &["user", "role", "zhang", "--role", "admin"],
        &["verify"],
        &["backup", "kept"],
    ] {
        run(folder.path(), command, "");
        for name in names(&data) {
            let file = fs::metadata(data.join(&name)).expect("there");
            assert_eq!((file.uid(), file.gid()), (SOMEBODY, SOMEBODY), "{name} after {command:?}");
        }
    }
    for command in [&["reindex"][..], &["key", "renew"]] {
        let (code, _, told) = run(folder.path(), command, "");
        assert_eq!(code, Some(1));
        assert!(
            told.contains(&format!("sudo -u dutyline dutyline {}", command.join(" "))),
            "{told}"
        );
    }
}

#[test]
fn two_accounts_with_one_name_are_refused() {
    let folder = folder_with(RIGHT);
    fs::create_dir(folder.path().join("data")).expect("made");
    let add = |name: &str, login: &str| {
        run(folder.path(), &["user", "add", name, "--login", login], "correct horse\n")
    };
    assert_eq!(add("赵主任", "zhao").0, Some(0));
    let (code, _, told) = add(" 赵主任 ", "zhao2");
    assert_eq!(code, Some(1));
    assert!(told.contains("赵主任（二）"), "{told}");
    assert_eq!(add("赵主任（二）", "zhao2").0, Some(0));
    let (code, _, told) = add("赵主任", "zhao");
    assert_eq!(code, Some(1));
    assert!(told.contains("已有人用"), "the login is taken: {told}");
}

#[test]
fn a_rehearsal_with_a_telephone_that_nobody_has_names_those_there_are() {
    let folder = folder_with(RIGHT);
    let simulate = |phone: &str| run(folder.path(), &["policy", "simulate", "--phone", phone], "");
    for phone in ["3001=off", "李四=off", "leader=off"] {
        assert_eq!(simulate(phone).0, Some(0), "{phone}");
    }
    for phone in ["李五=off", "3009=off", "Leader=off"] {
        let (code, _, told) = simulate(phone);
        assert_eq!(code, Some(1), "{phone}");
        assert!(told.contains("李四 3001 3002") && told.contains("office_director"), "{told}");
    }
}

#[test]
fn what_is_handed_out_goes_into_a_new_folder_and_what_is_there_is_named() {
    use dutyline::io::proof::key::SigningKey;
    let folder = folder_with(RIGHT);
    fs::create_dir(folder.path().join("data")).expect("made");
    let data = folder.path().join("data");
    let store = Store::open(&data.join("dutyline.db"), clock::random()).expect("opened");
    let origin = dutyline::io::store::wait(store.origin()).expect("named");
    SigningKey::load_or_make(&data, &origin).expect("made");
    let period = |from: &str, into: &str| {
        run(
            folder.path(),
            &["export", "--from", from, "--to", "2026-11-29T08:00", "--into", into],
            "",
        )
    };
    let (code, made, told) = period("2026-11-28T08:00", "new/handed out");
    assert_eq!(code, Some(0), "{told}");
    assert!(folder.path().join(made.trim()).is_dir(), "{made}");
    let (code, _, told) = period("2026-11-28T08:00", "new/handed out");
    assert_eq!(code, Some(1), "nothing is written over");
    assert!(told.contains("已存在") && told.contains("another folder with --into"), "{told}");
    let (code, _, told) = period("2026-11-28", "again");
    assert_eq!(code, Some(2));
    assert!(told.contains("写成 2026-10-03T21:00") && told.contains("Beijing time"), "{told}");
    let (code, _, told) = period("2026-11-28T08:00", "d.toml");
    assert_eq!(code, Some(1));
    assert!(told.contains("--into d.toml"), "{told}");
    drop(store);
}
