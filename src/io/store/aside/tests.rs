//! Logs that go bad, are deleted, or are replaced by a backup, while a store has them open or has left them.

mod in_use;

use super::*;
use crate::io::durable::Asked;
use crate::io::store::tests::{entry, locked, one, random};
use crate::io::store::{Store, StoreError, wait};
use std::os::unix::fs::MetadataExt;
use std::os::unix::fs::PermissionsExt;
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Arc, mpsc};
use std::thread;
use std::time::SystemTime;

fn why() -> StoreError {
    StoreError::Unreadable("as a test wants it".to_owned())
}

fn pragma(log: &Path, text: &str) {
    let other = Connection::open(log).unwrap();
    other.busy_timeout(Duration::from_secs(5)).unwrap();
    other.query_row(text, [], |_| Ok(())).unwrap();
}

fn files(log: &Path) -> Vec<Vec<u8>> {
    ["", "-wal"].iter().map(|end| fs::read(format!("{}{end}", log.display())).unwrap()).collect()
}

#[test]
fn esc_71_a_log_that_is_put_aside_is_left_as_it_is_and_goes_on_when_it_is_opened_again() {
    let folder = tempfile::tempdir().unwrap();
    let log = folder.path().join("dutyline.db");
    let store = Store::open(&log, random()).unwrap();
    let unproved = store.unproved();
    entry(&store, 1, 0.0);
    let before = files(&log);
    store.put_aside(why());
    assert!(files(&log) == before);
    assert_eq!(wait(store.writable()), Err(why()));
    store.reopen(&log, random(), || false).unwrap();
    store.begins();
    entry(&store, 2, 1.0);
    assert_eq!(one::<i64>(&store, "SELECT count(*) FROM entry"), 2);
    assert!(unproved.has_changed().is_ok(), "whoever listens hears of the next one too");
}

#[test]
fn esc_71_a_deleted_log_is_put_back_with_all_that_was_committed_but_over_no_other_file() {
    let folder = tempfile::tempdir().unwrap();
    let log = folder.path().join("dutyline.db");
    let store = Store::open(&log, random()).unwrap();
    entry(&store, 1, 0.0);
    fs::remove_file(&log).unwrap();
    entry(&store, 2, 1.0);
    store.put_aside(why());
    store.reopen(&log, random(), || false).unwrap();
    store.begins();
    assert_eq!(one::<i64>(&store, "SELECT count(*) FROM entry"), 2);
    fs::remove_file(&log).unwrap();
    fs::write(&log, "another").unwrap();
    store.put_aside(why());
    assert_eq!(fs::read(&log).unwrap(), b"another");
    assert!(store.reopen(&log, random(), || false).is_err());
    assert_eq!(wait(store.writable()), Err(why()));
}

/// A backup of a log when it had one entry, which has 39 by now; and what is written beside it.
struct Older {
    folder: tempfile::TempDir,
    log: PathBuf,
    store: Store,
    backup: PathBuf,
    wal: Vec<u8>,
    entries: u8,
}

impl Older {
    fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let log = folder.path().join("dutyline.db");
        let store = Store::open(&log, random()).unwrap();
        entry(&store, 1, 0.0);
        let backup = folder.path().join("backup.db");
        let from = Connection::open(&log).unwrap();
        from.backup("main", &backup, None::<fn(Progress)>).unwrap();
        drop(from);
        for n in 2..40 {
            entry(&store, n, f64::from(n));
        }
        let wal = fs::read(named(&log, "-wal")).unwrap();
        Self { folder, log, store, backup, wal, entries: 40 }
    }

    /// What was written beside it is brought into it, and more is written.
    fn goes_on(&mut self) {
        pragma(&self.log, "PRAGMA wal_checkpoint(RESTART)");
        let next = self.entries..self.entries + 20;
        self.entries = next.end;
        for n in next {
            entry(&self.store, n, f64::from(n));
        }
        // Nothing of it waits to be indexed.
        wait(self.store.write_indexed(|_| Ok(()))).unwrap();
        self.wal = fs::read(named(&self.log, "-wal")).unwrap();
    }

    /// What SQLite checks when it is opened is a mixture of both else.
    fn is_used_alone(&self) {
        self.store.reopen(&self.log, random(), || false).unwrap();
        self.store.begins();
        let entries = || one::<i64>(&self.store, "SELECT count(*) FROM entry");
        assert_eq!(entries(), 1);
        entry(&self.store, 2, 1.0);
        assert_eq!(entries(), 2);
        assert!(fs::read(named(&self.log, "-wal.aside-1")).unwrap() == self.wal, "it is kept");
    }
}

#[test]
fn esc_71_what_was_written_beside_the_old_log_is_never_taken_for_the_backups() {
    let older = Older::new();
    fs::rename(&older.backup, &older.log).unwrap();
    older.store.put_aside(why());
    assert!(fs::read(named(&older.log, "-wal.aside-1")).unwrap() == older.wal, "it is kept");
    older.is_used_alone();
}

#[test]
fn esc_71_nor_where_the_old_log_was_moved_away_before_the_backup_came() {
    let older = Older::new();
    fs::rename(&older.log, older.folder.path().join("old.db")).unwrap();
    older.store.put_aside(why());
    fs::rename(&older.backup, &older.log).unwrap();
    // Somebody looks at a page meanwhile.
    assert!(one::<i64>(&older.store, "SELECT count(*) FROM sqlite_schema") > 0);
    older.is_used_alone();
}

/// The file system may give the backup the number of the one that was deleted.
#[test]
fn esc_71_nor_where_the_old_log_was_given_up_as_damaged_before_it_was_deleted() {
    let older = Older::new();
    older.store.put_aside(StoreError::Corrupt("as a test wants it".to_owned()));
    let number = |file: &Path| fs::metadata(file).unwrap().ino();
    let of_the_log = number(&older.log);
    fs::remove_file(&older.log).unwrap();
    let new = |nth| {
        let file = older.folder.path().join(format!("new-{nth}"));
        fs::write(&file, "").unwrap();
        file
    };
    let same = (0..500).map(new).find(|file| number(file) == of_the_log);
    let copy = same.unwrap_or_else(|| new(500));
    fs::copy(&older.backup, &copy).unwrap();
    fs::rename(&copy, &older.log).unwrap();
    older.is_used_alone();
}

#[test]
fn esc_71_nor_where_the_old_log_could_not_be_opened_at_the_start() {
    let Older { folder, log, store, backup, wal, entries } = Older::new();
    store.put_aside(why());
    drop(store);
    fs::write(&log, vec![7; 64 * 1024]).unwrap();
    let store = Store::of_no_use(&log, why(), None).unwrap();
    fs::rename(&log, folder.path().join("old.db")).unwrap();
    fs::rename(&backup, &log).unwrap();
    Older { folder, log, store, backup, wal, entries }.is_used_alone();
}

/// In one piece, as `cp` does: the file is the same one, with another's content.
fn copy_over(log: &Path, from: &Path) {
    let before = identity(log);
    fs::copy(from, log).unwrap();
    assert_eq!(identity(log), before);
}

#[test]
fn esc_71_nor_where_the_backup_was_copied_over_the_old_log() {
    let older = Older::new();
    older.store.put_aside(StoreError::Corrupt("as a test wants it".to_owned()));
    assert_eq!(one::<i64>(&older.store, "SELECT count(*) FROM entry"), 39, "somebody looks");
    copy_over(&older.log, &older.backup);
    older.is_used_alone();
}

#[test]
fn esc_71_nor_where_somebody_reads_the_old_log_while_the_backup_is_copied_over_it() {
    let older = Older::new();
    older.store.put_aside(why());
    let (reads, begun) = mpsc::channel();
    let (goes_on, waits) = mpsc::channel::<()>();
    let store = older.store.clone();
    let reader = thread::spawn(move || {
        wait(store.read(move |sql| {
            sql.query_row("SELECT count(*) FROM entry", [], |_| Ok(()))?;
            reads.send(()).unwrap();
            waits.recv().unwrap();
            Ok(())
        }))
    });
    begun.recv().unwrap();
    copy_over(&older.log, &older.backup);
    let (done, is_open) = mpsc::channel();
    let (store, log) = (older.store.clone(), older.log.clone());
    let opens = thread::spawn(move || {
        let opened = store.reopen(&log, random(), || false);
        done.send(()).unwrap();
        opened
    });
    let waited = is_open.recv_timeout(Duration::from_millis(300));
    assert_eq!(waited, Err(mpsc::RecvTimeoutError::Timeout));
    goes_on.send(()).unwrap();
    reader.join().unwrap().unwrap();
    opens.join().unwrap().unwrap();
    older.is_used_alone();
}

#[test]
fn esc_71_nor_where_the_backup_is_copied_over_the_old_log_while_that_is_looked_through() {
    let older = Older::new();
    older.store.put_aside(why());
    let looks = Arc::new(AtomicU32::new(0));
    let counts = Arc::clone(&looks);
    let give_up = move || counts.fetch_add(1, Ordering::Relaxed) == u32::MAX;
    older.store.reopen(&older.log, random(), give_up).unwrap();
    older.store.put_aside(why());
    let (backup, log) = (older.backup.clone(), older.log.clone());
    let mut left = looks.load(Ordering::Relaxed);
    let copies = move || {
        left -= 1;
        if left == 1 {
            copy_over(&log, &backup);
        }
        false
    };
    let opened = older.store.reopen(&older.log, random(), copies);
    assert!(matches!(opened, Err(StoreError::Replaced(_))), "{opened:?}");
    older.is_used_alone();
}

#[test]
fn esc_71_nor_where_it_cannot_be_set_aside_until_it_can() {
    let older = Older::new();
    older.store.put_aside(why());
    copy_over(&older.log, &older.backup);
    let wal = named(&older.log, "-wal");
    for _ in 0..2 {
        let refused = wal.clone();
        durable::watch(Some(Box::new(move |asked| match asked {
            Asked::Rename(from, _) if from == refused => {
                Err(io::ErrorKind::ReadOnlyFilesystem.into())
            }
            _ => Ok(true),
        })));
        let opened = older.store.reopen(&older.log, random(), || false);
        durable::watch(None);
        assert!(matches!(opened, Err(StoreError::Unreadable(_))), "{opened:?}");
        assert!(fs::read(&wal).unwrap() == older.wal);
    }
    older.is_used_alone();
}

#[test]
fn esc_71_what_lies_beside_a_log_whose_time_or_rights_are_changed_is_not_lost() {
    let Older { folder: _folder, log, store, wal, .. } = Older::new();
    store.put_aside(why());
    let file = fs::File::options().write(true).open(&log).unwrap();
    file.set_modified(SystemTime::now() + Duration::from_secs(60)).unwrap();
    fs::set_permissions(&log, fs::Permissions::from_mode(0o600)).unwrap();
    assert!(fs::read(named(&log, "-wal")).unwrap() == wal);
    store.reopen(&log, random(), || false).unwrap();
    assert_eq!(one::<i64>(&store, "SELECT count(*) FROM entry"), 39);
}

/// `sqlite3`, or a command of this program, while the daemon does without.
#[test]
fn esc_71_nor_what_lies_beside_one_into_which_somebody_has_brought_a_part_of_that() {
    let (table, row) = ("CREATE TABLE newer (id);", "INSERT INTO newer VALUES (1)");
    for (brought, kept) in [(table, row), ("", &format!("{table} {row}"))] {
        let Older { folder: _folder, log, store, .. } = Older::new();
        store.put_aside(why());
        let before = fs::read(&log).unwrap();
        let open = || without_checkpoint(Connection::open(&log).unwrap()).unwrap();
        let (reads, writes) = (open(), open());
        writes.execute_batch(brought).unwrap();
        reads.execute_batch("BEGIN; SELECT count(*) FROM entry").unwrap();
        writes.execute_batch(kept).unwrap();
        let _: i64 = writes.query_row("PRAGMA wal_checkpoint", [], |row| row.get(0)).unwrap();
        drop((reads, writes));
        let after = fs::read(&log).unwrap();
        assert!(after.len() > before.len());
        assert_eq!(after[..4096] == before[..4096], brought.is_empty());
        store.reopen(&log, random(), || false).unwrap();
        assert_eq!(one::<i64>(&store, "SELECT count(*) FROM entry"), 39);
        assert_eq!(one::<i64>(&store, "SELECT count(*) FROM newer"), 1);
    }
}

#[test]
fn esc_71_nor_what_was_copied_over_with_the_log_that_it_belongs_to() {
    let Older { folder, log, store, .. } = Older::new();
    let copy = folder.path().join("copy.db");
    for ending in ["", "-wal"] {
        fs::copy(named(&log, ending), named(&copy, ending)).unwrap();
    }
    let other = Connection::open(&log).unwrap();
    other.execute_batch("PRAGMA wal_checkpoint(RESTART)").unwrap();
    entry(&store, 40, 40.0);
    drop(other);
    store.put_aside(why());
    for ending in ["", "-wal"] {
        copy_over(&named(&log, ending), &named(&copy, ending));
    }
    store.reopen(&log, random(), || false).unwrap();
    assert_eq!(one::<i64>(&store, "SELECT count(*) FROM entry"), 39);
}

/// The daemon was killed, or the host lost its power.
#[test]
fn esc_71_nor_where_the_backup_was_copied_over_the_log_that_a_killed_run_left() {
    let Older { folder, log, store, wal, .. } = Older::new();
    let backup = folder.path().join("of-39.db");
    wait(store.back_up_to(backup.clone())).unwrap();
    assert!(!named(&backup, "-wal").exists());
    entry(&store, 40, 40.0);
    store.put_aside(why());
    drop(store);
    let entries = |store: &Store| one::<i64>(store, "SELECT count(*) FROM entry");
    let store = Store::open(&log, random()).unwrap();
    assert_eq!(entries(&store), 40, "its own");
    store.put_aside(why());
    drop(store);
    let left = fs::read(named(&log, "-wal")).unwrap();
    assert!(left.len() > wal.len());
    copy_over(&log, &backup);
    let store = Store::open(&log, random()).unwrap();
    assert_eq!(entries(&store), 39);
    assert!(fs::read(named(&log, "-wal.aside-1")).unwrap() == left, "it is kept");
    entry(&store, 41, 41.0);
    store.put_aside(why());
    drop(store);
    assert_eq!(entries(&Store::open(&log, random()).unwrap()), 40, "its own");
}

/// SQLite would delete it.
#[test]
fn esc_71_what_lies_beside_a_log_that_is_gone_or_empty_at_a_start_is_kept() {
    for is_gone in [true, false] {
        let Older { folder: _folder, log, store, wal, .. } = Older::new();
        store.put_aside(why());
        drop(store);
        match is_gone {
            true => fs::remove_file(&log).unwrap(),
            false => drop(fs::File::create(&log).unwrap()),
        }
        drop(Store::open(&log, random()).unwrap());
        assert!(fs::read(named(&log, "-wal.aside-1")).unwrap() == wal);
    }
}

/// SQLite deletes what lies beside an empty file.
#[test]
fn esc_71_what_lies_beside_a_log_over_which_a_copy_begins_is_kept_from_whoever_looks_at_a_page() {
    let older = Older::new();
    older.store.put_aside(why());
    fs::File::create(&older.log).unwrap();
    let read =
        wait(older.store.read(|sql| Ok(sql.query_row("SELECT 1 FROM entry", [], |_| Ok(()))?)));
    assert!(matches!(read, Err(StoreError::Unreadable(_))), "{read:?}");
    copy_over(&older.log, &older.backup);
    older.is_used_alone();
}

#[test]
fn esc_71_a_deleted_log_is_put_back_over_nothing_of_a_backup_that_comes_meanwhile() {
    let folder = tempfile::tempdir().unwrap();
    let log = folder.path().join("dutyline.db");
    let connection = Connection::open(&log).unwrap();
    connection.execute_batch("PRAGMA journal_mode = wal; CREATE TABLE own (id)").unwrap();
    let opened = Opened::by(&connection);
    fs::remove_file(&log).unwrap();
    let (wal, part) = (named(&log, "-wal"), named(&log, ".part"));
    for backup in [vec![log.clone(), wal.clone()], vec![wal.clone()]] {
        let (comes, copied) = (backup.clone(), part.clone());
        durable::watch(Some(Box::new(move |asked| {
            if matches!(asked, Asked::Sync(of) if of == copied) {
                for file in &comes {
                    let _ = fs::remove_file(file);
                    fs::write(file, "of the backup").unwrap();
                }
            }
            Ok(true)
        })));
        let back = put_back(&connection, &log, &opened);
        durable::watch(None);
        assert!(back.is_err());
        assert!(!part.exists(), "what cannot be put back takes no room");
        for file in &backup {
            assert_eq!(fs::read_to_string(file).unwrap(), "of the backup");
            fs::remove_file(file).unwrap();
        }
    }
    put_back(&connection, &log, &opened).unwrap();
    let put_back = Connection::open(&log).unwrap();
    put_back.execute_batch("INSERT INTO own VALUES (1)").unwrap();
}

#[test]
fn esc_71_a_log_that_cannot_be_written_is_not_read_through_to_see_whether_it_is_sound() {
    let folder = tempfile::tempdir().unwrap();
    let log = folder.path().join("dutyline.db");
    let store = Store::open(&log, random()).unwrap();
    store.put_aside(why());
    let looked = Arc::new(AtomicU32::new(0));
    let reopen = || {
        let looks = Arc::clone(&looked);
        store.reopen(&log, random(), move || looks.fetch_add(1, Ordering::Relaxed) == u32::MAX)
    };
    let held = locked(&log);
    assert_eq!(reopen(), Err(StoreError::Locked));
    assert_eq!(looked.load(Ordering::Relaxed), 0);
    drop(held);
    reopen().unwrap();
    assert!(looked.load(Ordering::Relaxed) > 0);
}

#[test]
fn esc_71_a_log_that_is_not_sound_is_left_as_it_is_with_what_lies_beside_it() {
    let folder = tempfile::tempdir().unwrap();
    let log = folder.path().join("dutyline.db");
    let store = Store::open(&log, random()).unwrap();
    for n in 1..40 {
        entry(&store, n, f64::from(n));
    }
    store.put_aside(why());
    Connection::open(&log).unwrap().execute_batch("PRAGMA wal_checkpoint(TRUNCATE)").unwrap();
    store.reopen(&log, random(), || false).unwrap();
    store.begins();
    entry(&store, 40, 40.0);
    store.put_aside(why());
    let mut pages = fs::read(&log).unwrap();
    let half = pages.len() / 2;
    pages[half..].fill(0x5a);
    fs::write(&log, &pages).unwrap();
    let before = files(&log);
    assert!(matches!(store.reopen(&log, random(), || false), Err(StoreError::Corrupt(_))));
    assert!(files(&log) == before);
}

#[test]
fn esc_71_looking_whether_a_log_is_sound_is_given_up_when_the_daemon_stops() {
    let folder = tempfile::tempdir().unwrap();
    let log = folder.path().join("dutyline.db");
    let store = Store::open(&log, random()).unwrap();
    store.put_aside(why());
    assert_eq!(store.reopen(&log, random(), || true), Err(StoreError::TooLong));
    store.reopen(&log, random(), || false).unwrap();
}
