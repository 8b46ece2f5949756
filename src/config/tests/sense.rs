//! What is right by itself and comes back to the daemon.

use super::*;

fn warned(text: &str) -> Vec<String> {
    let loaded = load(text).unwrap_or_else(|faults| panic!("{faults}"));
    loaded.warnings.list.into_iter().map(|warning| warning.field).collect()
}

#[test]
fn a_pbx_that_is_the_daemon_itself_is_a_fault() {
    assert_eq!(faulty("192.168.10.1:5060", "192.168.10.20:5060"), ["line.pbx"]);
    assert_eq!(
        warned(&RIGHT.replace("192.168.10.1:5060", "192.168.10.20:5070")),
        ["line.password"]
    );
}

#[test]
fn numbers_that_ring_the_daemon_itself_or_the_wrong_desk_are_told_where_they_stand() {
    let phone = |target: &str| warned(&RIGHT.replace("\"2001\"", &format!("\"{target}\"")));
    for own in ["1001", "63001234", "sip:1001@192.168.10.1", "tel:63001234"] {
        assert_eq!(phone(own), ["line.password", "phones[0].target"], "{own}");
    }
    assert_eq!(phone("sip:1001@192.168.10.9"), ["line.password"], "somebody else's 1001");
    let leader = |keys: &str| warned(&RIGHT.replace("mobile = \"3001\"", keys));
    assert_eq!(leader("mobile = \"2001\""), ["line.password", "leaders[0].mobile"]);
    assert_eq!(
        leader("mobile = \"3001\"\noffice = \"63001234\""),
        ["line.password", "leaders[0].office"]
    );
    let twin = format!("{RIGHT}[[phones]]\nname = \"备用\"\ntarget = \"sip:2001@192.168.10.1\"\n");
    let loaded = load(&twin).expect("it works");
    let shown = loaded.warnings.to_string();
    assert!(shown.contains("phones[1].target") && shown.contains("值班台话机"), "{shown}");
}

#[test]
fn data_and_recordings_are_two_folders() {
    let storage = "[storage]\ndata = \"/srv/a\"\nrecordings = \"/srv/a/\"\n";
    assert_eq!(warned(&format!("{RIGHT}{storage}")), ["line.password", "storage.recordings"]);
}

#[test]
fn who_administers_needs_no_password_and_who_checks_is_told() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("d.toml");
    std::fs::write(&file, RIGHT.replace("password = \"secret\"\n", "")).unwrap();
    let load = |purpose| Config::load_to(purpose, &file, &Environment::new());
    assert_eq!(load(Purpose::Serve).unwrap_err().list[0].field, "line.password_file");
    assert!(load(Purpose::Administer).unwrap().warnings.is_empty());
    assert_eq!(load(Purpose::Check).unwrap().warnings.list[0].field, "line.password_file");
}
