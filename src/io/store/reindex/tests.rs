//! An index that is damaged, gone, half made or left in the middle is made again, and the log is as it was.

use super::*;
use crate::duty::entry::Field;
use crate::duty::ids::EntryId;
use crate::duty::journal::Urgency;
use crate::duty::words;
use crate::io::store::tests::{add_officer, at, entry, officer, random};
use crate::io::store::{Query, wait};
use std::path::PathBuf;
use tokio_util::sync::CancellationToken;

const ENTRIES: u8 = 120;

struct Log {
    folder: tempfile::TempDir,
    all: Vec<EntryId>,
}

impl Log {
    /// Of so many entries, the latest first.
    fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let store = Store::open(&folder.path().join("log.db"), random()).unwrap();
        add_officer(&store);
        // Three of them at each moment.
        let mut all: Vec<_> = (0..ENTRIES).map(|n| entry(&store, n, f64::from(n / 3))).collect();
        all.sort();
        all.reverse();
        Self { folder, all }
    }

    fn path(&self) -> PathBuf {
        self.folder.path().join("log.db")
    }

    fn spoil(&self, sql: &str) {
        Connection::open(self.path()).unwrap().execute_batch(sql).unwrap();
    }

    fn reindex(&self, goes_on: bool) -> Reindexed {
        reindex(&self.path(), goes_on, &mut |_, _| true).unwrap()
    }
}

fn found(store: &Store, text: &str) -> Vec<EntryId> {
    let query = Query { phrases: words::phrases(text), ..Query::default() };
    let hits = wait(store.search(&officer(), query, None, 500, at(900.0))).unwrap();
    let mut found: Vec<_> = hits.found.into_iter().map(|hit| hit.row.id).collect();
    found.sort();
    found.reverse();
    found
}

const DAMAGE: &[&str] = &[
    "UPDATE search_data SET block = zeroblob(length(block))",
    "UPDATE search_data SET block = zeroblob(length(block)) WHERE id > 10",
    "DELETE FROM search_data",
    "DROP TABLE search",
    "DROP TABLE searchable",
    "DROP TABLE to_index",
    "DELETE FROM search_docsize WHERE id % 2",
    "DELETE FROM searchable WHERE id % 2",
    "UPDATE to_index SET failed = 2; INSERT INTO to_index VALUES ('x', 2)",
];

#[test]
fn esc_71_an_index_at_fault_keeps_no_log_from_being_opened_again_and_is_mended() {
    for damage in DAMAGE {
        let log = Log::new();
        let store = Store::open(&log.path(), random()).unwrap();
        store.put_aside(StoreError::Unreadable("as a test wants it".to_owned()));
        log.spoil(damage);
        let opened = store.reopen(&log.path(), random(), || false);
        assert_eq!(opened, Ok(()), "{damage}");
        store.begins();
        let new = entry(&store, 200, 300.0);
        assert_eq!(found(&store, "1381").first(), Some(&new), "{damage}");
    }
}

#[test]
fn an_index_that_is_damaged_or_gone_is_noticed_at_the_start_and_made_again_behind_it() {
    for damage in DAMAGE {
        let log = Log::new();
        log.spoil(damage);
        let begin = std::time::Instant::now();
        let store = Store::open(&log.path(), random()).unwrap();
        // A call that comes at once waits for nothing.
        let new = entry(&store, 200, 300.0);
        let took = begin.elapsed();
        assert!(took < Duration::from_secs(5), "{damage}: {took:?}");
        assert_eq!(found(&store, "1381").first(), Some(&new), "{damage}");
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        runtime.block_on(store.clone().index_all(CancellationToken::new()));
        let mut all = log.all.clone();
        all.insert(0, new);
        all.sort();
        all.reverse();
        assert_eq!(found(&store, "1381"), all, "{damage}");
        assert!(!wait(store.index_is_incomplete()).unwrap(), "{damage}");
        drop(store);
        assert!(!mend(&log.path()).unwrap(), "{damage}: and then it is sound");
    }
}

#[test]
fn asked_for_it_is_made_again_whatever_it_was_with_or_without_a_daemon_beside_it() {
    let damage = DAMAGE.iter().copied();
    for (damage, beside) in damage.chain([""]).zip([false, true].into_iter().cycle()) {
        let log = Log::new();
        log.spoil(damage);
        let store = beside.then(|| Store::open_beside(&log.path(), random()).unwrap());
        let done = log.reindex(false);
        assert_eq!(done.fault.is_none(), damage.is_empty(), "{damage}: {done:?}");
        assert_eq!(
            (done.entries, done.failed, done.stopped),
            (ENTRIES.into(), 0, false),
            "{damage}"
        );
        let store = store.unwrap_or_else(|| Store::open(&log.path(), random()).unwrap());
        assert_eq!(found(&store, "1381"), log.all, "{damage}");
    }
}

/// The newest entry leaves the index and comes back at each few steps of whoever looks.
#[test]
fn what_is_written_while_it_is_looked_at_is_no_damage() {
    let log = Log::new();
    log.reindex(false);
    let (mut sql, beside) = (open(&log.path()).unwrap(), open(&log.path()).unwrap());
    beside.pragma_update(None, "synchronous", "off").unwrap();
    let (mut there, (told, changes)) = (true, std::sync::mpsc::channel());
    let newest = log.all[0].to_string();
    let changing = move || {
        if there {
            let change = Transaction::new_unchecked(&beside, TransactionBehavior::Immediate);
            let change = change.unwrap();
            let query = "SELECT id FROM searchable WHERE entry = ?1";
            let place: i64 = change.query_row(query, [&newest], |row| row.get(0)).unwrap();
            change.execute("DELETE FROM search WHERE rowid = ?1", [place]).unwrap();
            change.execute("DELETE FROM searchable WHERE id = ?1", [place]).unwrap();
            change.commit().unwrap();
        } else {
            index::note(&beside, &newest).unwrap();
            index::turn(&beside).unwrap();
        }
        there = !there;
        told.send(()).unwrap();
        false
    };
    sql.progress_handler(100, Some(changing)).unwrap();
    for _ in 0..20 {
        assert_eq!(look_alone(&sql), Ok(None));
    }
    assert!(changes.try_iter().count() > 40, "at each of its steps");
}

#[test]
fn an_index_that_could_not_be_looked_at_is_not_given_up() {
    let log = Log::new();
    log.reindex(false);
    let other = Connection::open(log.path()).unwrap();
    other.execute_batch("PRAGMA locking_mode = exclusive; BEGIN EXCLUSIVE").unwrap();
    let sql = Connection::open(log.path()).unwrap();
    sql.busy_timeout(Duration::ZERO).unwrap();
    assert_eq!(look_alone(&sql), Err(StoreError::Locked));
    assert_eq!(forget(&sql), Err(StoreError::Locked));
    drop(other);
    assert_eq!(look_alone(&sql), Ok(None));
}

#[test]
fn whoever_writes_beside_it_has_as_long_as_each_turn_took() {
    let turn = Duration::from_millis(50);
    let mut tries = 0;
    let begin = Instant::now();
    let done = patiently(|| {
        std::thread::sleep(turn);
        tries += 1;
        if tries == 1 { Err(StoreError::Locked) } else { Ok(tries) }
    });
    assert_eq!(done, Ok(2));
    assert!(begin.elapsed() >= turn + AGAIN + 2 * turn);
}

#[test]
fn stopped_at_any_moment_it_goes_on_and_what_is_written_meanwhile_is_found() {
    let log = Log::new();
    let store = Store::open_beside(&log.path(), random()).unwrap();
    let mut turns = 0;
    let first = reindex(&log.path(), false, &mut |done, all| {
        turns += 1;
        assert!(done <= all && all >= ENTRIES.into());
        turns < 3
    });
    let first = first.unwrap();
    assert!(first.stopped && !first.went_on);
    let left = u64::from(ENTRIES) - first.entries;
    assert!(left > 0 && first.entries > 0, "{first:?}");
    let changed = log.all[70];
    wait(store.save_field(&officer(), changed, Field::Content, "", "槽罐泄漏", at(60.0))).unwrap();
    wait(store.flag(&officer(), changed, Urgency::Urgent, at(61.0))).unwrap();
    let mut begin = None;
    let second = reindex(&log.path(), true, &mut |done, _| {
        begin.get_or_insert(done);
        true
    });
    let second = second.unwrap();
    assert!(second.went_on && !second.stopped, "{second:?}");
    assert!(begin.unwrap() >= first.entries, "not from the beginning");
    assert_eq!(found(&store, "1381"), log.all);
    assert_eq!(found(&store, "槽罐"), [changed]);
    let again = log.reindex(true);
    assert_eq!((again.went_on, again.entries), (true, ENTRIES.into()), "there is nothing to do");
}

#[test]
fn an_entry_that_cannot_be_read_is_counted_and_keeps_no_other_from_being_found() {
    let log = Log::new();
    let bad = log.all[5];
    log.spoil(&format!(
        "DROP TRIGGER revision_is_not_changed;
         UPDATE revision SET changes = '{{' WHERE entry = '{bad}'"
    ));
    let done = log.reindex(false);
    assert_eq!((done.failed, done.entries), (1, u64::from(ENTRIES) - 1), "{done:?}");
    let store = Store::open_beside(&log.path(), random()).unwrap();
    let others: Vec<_> = log.all.iter().copied().filter(|entry| *entry != bad).collect();
    assert_eq!(found(&store, "1381"), others);
}

#[test]
fn it_is_audited() {
    let log = Log::new();
    let store = Store::open(&log.path(), random()).unwrap();
    wait(store.reindexed("120 entries".to_owned(), at(60.0))).unwrap();
    let row = "SELECT actor || ' ' || action || ' ' || object || ' ' || detail FROM audit ORDER BY id DESC";
    let row = crate::io::store::tests::one::<String>(&store, row);
    assert_eq!(row, "系统 reindex search 120 entries");
}
