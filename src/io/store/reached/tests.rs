//! Backups that are put back, and what is known beside them.

use super::*;
use crate::io::store::tests::{arrival, at, note, one, random};
use crate::io::store::wait;
use std::fs;

struct Host {
    folder: tempfile::TempDir,
}

impl Host {
    fn log(&self) -> PathBuf {
        self.folder.path().join("dutyline.db")
    }

    /// A run begins: what it finds.
    fn starts(&self, seconds: f64) -> (Store, Option<DateTime<Utc>>) {
        let store = Store::open(&self.log(), random()).unwrap();
        let since = wait(store.is_taken_up(true, at(seconds))).unwrap();
        (store, since)
    }

    fn backup(&self) -> PathBuf {
        self.folder.path().join("backup.db")
    }

    fn is_put_back(&self) {
        for ending in ["db-wal", "db-shm"] {
            durable::remove_if_there(&self.log().with_extension(ending)).unwrap();
        }
        fs::copy(self.backup(), self.log()).unwrap();
    }
}

const UNLOGGED: &str =
    "SELECT group_concat(kind || ' ' || from_ms || ' ' || to_ms, ', ') FROM outage
    WHERE unlogged";

/// One call before the backup, one after it.
fn with_a_backup() -> Host {
    let host = Host { folder: tempfile::tempdir().unwrap() };
    let (store, since) = host.starts(0.0);
    assert_eq!(since, None, "a log that is new");
    note(&store, 10.0, arrival(1, "101"));
    wait(store.back_up_to(host.backup())).unwrap();
    note(&store, 70.0, arrival(2, "102"));
    wait(store.writable()).unwrap();
    host
}

#[test]
fn rel_12_a_log_that_was_put_back_says_since_when_it_says_nothing_and_gives_no_number_again() {
    let host = with_a_backup();
    host.is_put_back();
    let (store, since) = host.starts(120.0);
    assert_eq!(since, Some(at(10.0).wall));
    let (from, to) = (at(10.0).wall.timestamp_millis(), at(120.0).wall.timestamp_millis());
    assert_eq!(one::<String>(&store, UNLOGGED), format!("log {from} {to}"));
    note(&store, 130.0, arrival(3, "103"));
    let given = "SELECT group_concat(number, ', ') FROM (SELECT number FROM entry UNION ALL
        SELECT number FROM call)";
    let given = one::<String>(&store, given);
    assert!(given.contains("记-20261003-0003") && !given.contains("0002"), "{given}");
    assert!(given.contains("电-20261003-0003"), "{given}");
    let row = wait(store.restored_since(at(100.0).wall)).unwrap().unwrap();
    assert_eq!((row.from, row.to), (at(10.0).wall, Some(at(120.0).wall)));
    assert!(row.stretch().unlogged);
    assert_eq!(wait(store.restored_since(at(121.0).wall)), Ok(None), "somebody has looked");
    drop(store);
    let (store, since) = host.starts(200.0);
    assert_eq!(since, None, "told once");
    wait(store.verify_audit()).unwrap();
}

#[test]
fn rel_12_a_log_that_is_put_back_while_it_is_in_use_says_so_too() {
    let host = with_a_backup();
    let (store, since) = host.starts(80.0);
    assert_eq!(since, None, "it is as it was left");
    store.put_aside(crate::io::store::StoreError::Replaced(String::new()));
    for ending in ["db", "db-wal", "db-shm"] {
        durable::remove_if_there(&host.log().with_extension(ending)).unwrap();
    }
    fs::copy(host.backup(), host.log()).unwrap();
    store.reopen(&host.log(), random(), || false).unwrap();
    assert_eq!(wait(store.is_taken_up(false, at(90.0))), Ok(Some(at(10.0).wall)));
    note(&store, 95.0, arrival(3, "103"));
    let last = "SELECT max(number) FROM entry";
    assert_eq!(one::<String>(&store, last), "记-20261003-0003");
}

#[test]
fn rel_12_of_another_log_as_long_as_this_one_its_last_item_tells() {
    let host = with_a_backup();
    host.is_put_back();
    let beside = Store::open_beside(&host.log(), random()).unwrap();
    for seconds in 0..20 {
        wait(beside.settings_are(format!("{seconds}"), at(100.0))).unwrap();
    }
    drop(beside);
    assert!(host.starts(120.0).1.is_some());
}

#[test]
fn rel_12_a_mark_that_somebody_deleted_is_made_again_whole() {
    let host = with_a_backup();
    let (store, _) = host.starts(80.0);
    note(&store, 81.0, arrival(3, "103"));
    wait(store.writable()).unwrap();
    let mark = host.log().with_extension("db.reached");
    let before = fs::read(&mark).unwrap();
    fs::remove_file(&mark).unwrap();
    note(&store, 82.0, arrival(4, "104"));
    wait(store.writable()).unwrap();
    let after = fs::read(&mark).unwrap();
    assert_eq!(read(&after).1.len(), read(&before).1.len(), "no number is given twice");
    assert!(read(&after).0 > read(&before).0);
    drop(store);
    host.is_put_back();
    assert!(host.starts(120.0).1.is_some());
}

#[test]
fn what_is_damaged_beside_the_log_is_not_there() {
    let given = [Given { kind: 1, day: 20_261_003, last: 870 }, Given { kind: 0, day: 1, last: 2 }];
    let tip = Some((7, Digests::NONE));
    let mut bytes = head(tip);
    given.iter().for_each(|given| bytes.extend(slot_of(given)));
    assert_eq!(read(&bytes), (tip, given.to_vec()));
    assert_eq!(read(&bytes[..bytes.len() - 1]), (tip, given[..1].to_vec()));
    bytes[HEAD] ^= 1;
    assert_eq!(read(&bytes), (tip, given[1..].to_vec()));
    bytes[9] ^= 1;
    assert_eq!(read(&bytes).0, None);
    assert_eq!(read(b""), (None, vec![]));
}
