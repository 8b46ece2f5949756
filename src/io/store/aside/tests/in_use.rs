//! What is put over a log that a store has open, or into the place of one that was stopped.

use super::*;
use crate::duty::journal::Noted;
use crate::io::store::tests::{arrival, at};
use std::time::Instant;

/// A backup of an earlier program, which does not say that nothing lies beside it, or one of this; over a young log, or one
/// that has gone on for long, and what lies beside it was begun anew.
#[test]
fn esc_71_a_backup_copied_over_a_log_in_use_is_noticed_before_anything_more_is_written() {
    for (marked, goes_on) in [(false, false), (false, true), (true, false), (true, true)] {
        let mut older = Older::new();
        if marked {
            pragma(&older.backup, "PRAGMA journal_mode = delete");
        }
        if goes_on {
            older.goes_on();
        }
        let backup = fs::read(&older.backup).unwrap();
        copy_over(&older.log, &older.backup);
        let written = wait(older.store.writable());
        assert!(matches!(written, Err(StoreError::Replaced(_))), "{written:?}");
        let note = Noted { at: at(250.0), fact: arrival(250, "110") };
        assert!(matches!(wait(older.store.note(note)), Err(StoreError::Replaced(_))));
        assert!(fs::read(&older.log).unwrap() == backup, "nothing is written there");
        older.store.put_aside(written.unwrap_err());
        older.is_used_alone();
    }
}

#[test]
fn esc_71_what_is_copied_over_a_log_in_use_is_noticed_while_nobody_writes() {
    let older = Older::new();
    copy_over(&older.log, &older.backup);
    let start = Instant::now();
    while older.store.ails().is_none() {
        assert!(start.elapsed() < Duration::from_secs(10));
        thread::sleep(Duration::from_millis(20));
    }
    assert!(matches!(older.store.ails(), Some(StoreError::Replaced(_))));
}

/// Its file as it was a while ago, by `cp`, too.
#[test]
fn esc_71_an_old_copy_of_the_file_itself_over_the_log_in_use_is_noticed() {
    let mut older = Older::new();
    older.goes_on();
    let copy = older.folder.path().join("copy.db");
    fs::copy(&older.log, &copy).unwrap();
    older.goes_on();
    copy_over(&older.log, &copy);
    let written = wait(older.store.writable());
    assert!(matches!(written, Err(StoreError::Replaced(_))), "{written:?}");
    older.store.put_aside(why());
    older.store.reopen(&older.log, random(), || false).unwrap();
    assert!(fs::read(named(&older.log, "-wal.aside-1")).unwrap() == older.wal, "it is kept");
}

/// By SQLite's own hand: by another program that somebody runs beside, by this one, and by its index.
#[test]
fn esc_71_what_is_brought_into_a_log_in_use_from_beside_it_is_its_own() {
    let mut older = Older::new();
    for n in 0..6_u8 {
        older.goes_on();
        let other = Connection::open(&older.log).unwrap();
        other.pragma_update(None, "wal_autocheckpoint", 0).unwrap();
        let big = format!(
            "CREATE TABLE other_{n} (text); INSERT INTO other_{n} VALUES (randomblob(5000000))"
        );
        other.execute_batch(&big).unwrap();
        if n.is_multiple_of(2) {
            let _: i64 = other.query_row("PRAGMA wal_checkpoint", [], |row| row.get(0)).unwrap();
        }
        drop(other);
        let before = fs::metadata(&older.log).unwrap().len();
        entry(&older.store, 200 + n, 200.0);
        wait(older.store.write_indexed(|_| Ok(()))).unwrap();
        let grows = fs::metadata(&older.log).unwrap().len() > before;
        assert_eq!(grows, !n.is_multiple_of(2), "by this program, where not by another");
        assert_eq!(wait(older.store.writable()), Ok(()), "after {n}");
    }
}

/// It was stopped, or killed, with something beside it that is not in the log yet.
#[test]
fn esc_71_a_backup_without_a_mark_in_the_place_of_a_stopped_log_is_used_without_what_lies_there() {
    for copied in [true, false] {
        let mut older = Older::new();
        older.goes_on();
        older.store.put_aside(why());
        let Older { folder: _folder, log, store, backup, wal, .. } = older;
        drop(store);
        match copied {
            true => copy_over(&log, &backup),
            false => fs::rename(&backup, &log).unwrap(),
        }
        let store = Store::open(&log, random()).unwrap();
        assert_eq!(one::<i64>(&store, "SELECT count(*) FROM entry"), 1);
        assert!(fs::read(named(&log, "-wal.aside-1")).unwrap() == wal, "it is kept");
        wait(store.verify_audit()).unwrap();
    }
}
