//! What `check-config` finds that only this host, or the whole of a configuration, tells.

use super::{RIGHT, dutyline, folder_with, text};
use std::fs;
use std::os::unix::fs::{PermissionsExt, chown};
use std::path::Path;

fn check(folder: &Path) -> (Option<i32>, String) {
    let done = dutyline(folder, &["check-config", "--config", "d.toml"], "");
    (done.status.code(), text(&done.stderr))
}

#[test]
fn fewer_channels_than_are_reserved_are_a_fault_with_its_remedy() {
    let folder = folder_with(&RIGHT.replace("[[phones]]", "[media]\nchannels = 2\n[[phones]]"));
    for command in ["check-config", "run"] {
        let done = dutyline(folder.path(), &[command, "--config", "d.toml"], "");
        let told = text(&done.stderr);
        assert_eq!(done.status.code(), Some(2), "{told}");
        assert!(told.contains("media.reserved") && !told.contains("panicked"), "{told}");
    }
}

#[test]
fn a_file_that_is_not_utf_8_is_told_how_to_be_saved() {
    let folder = tempfile::tempdir().expect("a folder");
    // 值班室, in GBK.
    let gbk = [b"[line]\nroom = \"".as_slice(), &[0xd6, 0xb5, 0xb0, 0xe0, 0xca, 0xd2], b"\"\n"];
    fs::write(folder.path().join("d.toml"), gbk.concat()).expect("written");
    let (code, told) = check(folder.path());
    assert_eq!(code, Some(2));
    assert!(told.contains("另存为 UTF-8") && told.contains("save it as UTF-8"), "{told}");
}

#[test]
fn a_password_that_everybody_can_read_is_told() {
    let folder = folder_with(&RIGHT.replace("password = \"the-secret\"", "password_file = \"pw\""));
    let file = folder.path().join("pw");
    fs::write(&file, "the-secret\n").expect("written");
    let is = |mode| {
        fs::set_permissions(&file, fs::Permissions::from_mode(mode)).expect("changed");
        let (code, told) = check(folder.path());
        assert_eq!(code, Some(0), "{told}");
        told.contains("chmod 600 pw")
    };
    assert!(is(0o644) && !is(0o640) && !is(0o600));
}

#[test]
fn folders_that_cannot_serve_are_told_and_refused_to_the_daemons_own_user() {
    let storage = "[storage]\ncopies = \"second\"\n[[phones]]";
    let folder = folder_with(&RIGHT.replace("[[phones]]", storage));
    let (code, told) = check(folder.path());
    assert_eq!(code, Some(0), "folders of its own are made by the first run: {told}");
    assert!(told.contains("storage.copies") && !told.contains("storage.recordings"), "{told}");
    let [data, recordings] = ["data", "recordings"].map(|name| folder.path().join(name));
    fs::create_dir(&data).expect("made");
    fs::create_dir(folder.path().join("second")).expect("made");
    fs::write(&recordings, "no folder").expect("written");
    let (code, told) = check(folder.path());
    assert_eq!(code, Some(2), "by whoever owns the data folder: {told}");
    assert!(told.contains("storage.recordings") && !told.contains("storage.copies"), "{told}");
    if chown(&data, Some(64_999), Some(64_999)).is_ok() {
        let (code, told) = check(folder.path());
        assert_eq!(code, Some(0), "{told}");
        assert!(told.contains("storage.recordings"), "warned by root: {told}");
        fs::remove_file(&recordings).expect("removed");
        fs::create_dir(&recordings).expect("made");
        assert!(check(folder.path()).1.contains("storage.recordings"), "it is root's");
        chown(&recordings, Some(64_999), Some(64_999)).expect("given away");
        assert!(!check(folder.path()).1.contains("storage.recordings"));
    }
}
