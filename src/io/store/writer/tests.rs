//! Writes that share a commit, wait for the index, or fail.

use super::*;
use crate::io::store::tests::random;
use crate::io::store::{schema, wait};
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};

fn connection(folder: &Path) -> Connection {
    let open = || schema::open(&folder.join("log.db")).unwrap();
    drop(Desk::new(open(), random()).unwrap());
    let connection = open();
    connection.execute_batch("CREATE TABLE t (n INTEGER UNIQUE, text TEXT) STRICT").unwrap();
    connection
}

fn insert(n: i64) -> impl FnOnce(&mut Tx<'_>) -> Result<i64> + Send {
    move |tx| {
        tx.sql.execute("INSERT INTO t (n) VALUES (?1)", [n])?;
        Ok(n)
    }
}

fn answer<T>(answer: oneshot::Receiver<Result<T>>) -> Result<T> {
    wait(answer).unwrap()
}

fn rows(folder: &Path) -> i64 {
    let connection = Connection::open(folder.join("log.db")).unwrap();
    connection.query_row("SELECT count(*) FROM t", [], |row| row.get(0)).unwrap()
}

#[test]
fn writes_that_wait_together_share_one_commit_and_fail_alone() {
    let folder = tempfile::tempdir().unwrap();
    let mut connection = connection(folder.path());
    let commits = Arc::new(AtomicU32::new(0));
    let counter = Arc::clone(&commits);
    let count = move || {
        counter.fetch_add(1, Ordering::SeqCst);
        false
    };
    connection.commit_hook(Some(count)).unwrap();
    let writer = Writer::thread(connection, random(), None).unwrap();
    commits.store(0, Ordering::SeqCst);
    let (open, gate) = std::sync::mpsc::channel::<()>();
    let first = writer.submit(move |tx| {
        gate.recv().unwrap();
        insert(0)(tx)
    });
    let mut rest: Vec<_> = (1..=50).map(|n| writer.submit(insert(n))).collect();
    let doubled = writer.submit(insert(7));
    let panicked = writer.submit(|_| -> Result<i64> { panic!("a bug") });
    rest.push(writer.submit(insert(51)));
    open.send(()).unwrap();
    assert_eq!(answer(first), Ok(0));
    for (n, reply) in rest.into_iter().enumerate() {
        assert_eq!(answer(reply), Ok(i64::try_from(n).unwrap() + 1));
    }
    assert!(matches!(answer(doubled), Err(StoreError::Bug(_))));
    assert!(matches!(answer(panicked), Err(StoreError::Bug(_))));
    assert_eq!(rows(folder.path()), 52);
    let commits = commits.load(Ordering::SeqCst);
    assert!(commits <= 2, "{commits} commits for 54 writes");
}

#[test]
fn a_full_disk_is_said_and_survived() {
    let folder = tempfile::tempdir().unwrap();
    let connection = connection(folder.path());
    let pages: i64 = connection.pragma_query_value(None, "page_count", |row| row.get(0)).unwrap();
    connection.pragma_update(None, "max_page_count", pages + 2).unwrap();
    let writer = Writer::thread(connection, random(), None).unwrap();
    let big = |tx: &mut Tx<'_>| {
        tx.sql.execute("INSERT INTO t (text) VALUES (?1)", ["x".repeat(100_000)])?;
        Ok(())
    };
    assert_eq!(answer(writer.submit(big)), Err(StoreError::Full));
    assert_eq!(answer(writer.submit(insert(1))), Ok(1), "what is small still fits");
    let more = writer.submit(|tx| {
        tx.sql.pragma_update(None, "max_page_count", 1_000_000)?;
        Ok(())
    });
    answer(more).unwrap();
    assert_eq!(answer(writer.submit(big)), Ok(()));
    assert_eq!(rows(folder.path()), 2);
}

#[test]
fn esc_71_one_bad_page_is_told_even_where_what_comes_after_is_written() {
    let folder = tempfile::tempdir().unwrap();
    let writer = Writer::thread(connection(folder.path()), random(), None).unwrap();
    let fails = |why: StoreError| answer(writer.submit(move |_| Err::<(), _>(why))).unwrap_err();
    fails(StoreError::Unreadable("for a moment".to_owned()));
    assert_eq!(answer(writer.submit(insert(1))), Ok(1));
    assert_eq!(writer.ails(), None, "it passed");
    let corrupt = fails(StoreError::Corrupt("page 7".to_owned()));
    fails(StoreError::Unreadable("for a moment".to_owned()));
    assert_eq!(answer(writer.submit(insert(2))), Ok(2));
    assert_eq!(writer.ails(), Some(corrupt));
}

#[test]
fn a_log_locked_by_another_process_is_said_and_survived() {
    let folder = tempfile::tempdir().unwrap();
    let connection = connection(folder.path());
    connection.busy_timeout(std::time::Duration::ZERO).unwrap();
    let writer = Writer::thread(connection, random(), None).unwrap();
    let other = Connection::open(folder.path().join("log.db")).unwrap();
    other.execute_batch("BEGIN IMMEDIATE").unwrap();
    assert_eq!(answer(writer.submit(insert(1))), Err(StoreError::Locked));
    other.execute_batch("ROLLBACK").unwrap();
    assert_eq!(answer(writer.submit(insert(1))), Ok(1));
}

#[test]
fn a_write_that_ends_the_transaction_takes_its_companions_with_it() {
    let folder = tempfile::tempdir().unwrap();
    let connection = connection(folder.path());
    let (mut replies, mut batch) = (vec![], VecDeque::<Box<dyn Work>>::new());
    for n in 0..3 {
        let (reply, answer) = oneshot::channel();
        replies.push(answer);
        let work = move |tx: &mut Tx<'_>| {
            tx.sql.execute("INSERT INTO t (n) VALUES (?1)", [n])?;
            if n == 1 {
                tx.sql.execute_batch("ROLLBACK")?;
            }
            Ok(())
        };
        let (work, reply) = (Some(work), Some(reply));
        batch.push_back(Box::new(Task { wants_index: false, work, done: None, reply }));
    }
    let mut desk = Desk::new(connection, random()).unwrap();
    desk.write(batch);
    let answers: Vec<bool> = replies.into_iter().map(|reply| answer(reply).is_ok()).collect();
    assert_eq!(answers, [false, false, true], "nobody is told of a commit that was not");
    assert_eq!(rows(folder.path()), 1);
}

#[test]
fn what_cannot_be_proved_is_said_until_it_is() {
    let folder = tempfile::tempdir().unwrap();
    let store = crate::io::store::Store::open(&folder.path().join("log.db"), random()).unwrap();
    let unproved = store.unproved();
    let run = |sql: &'static str| {
        let done = store.write_now(move |tx| Ok(tx.sql.execute_batch(sql)?));
        assert_eq!(done, Ok(()), "it is written all the same");
        unproved.borrow().clone()
    };
    let outage = "INSERT INTO outage (kind, from_ms, to_ms, why) VALUES ('log', 1, 2, 'x')";
    assert_eq!(run(outage), None);
    run("CREATE TEMP TRIGGER full BEFORE INSERT ON main.item
         BEGIN SELECT RAISE(ABORT, 'no room'); END");
    assert!(run(outage).unwrap().contains("no room"));
    assert_eq!(run("DROP TRIGGER temp.full"), None, "both are proved now");
    let items = "SELECT count(*) FROM item JOIN shape ON shape.id = shape WHERE kind = 'outage'";
    let count = move |tx: &mut Tx<'_>| Ok(tx.sql.query_row(items, [], |row| row.get(0))?);
    assert_eq!(store.write_now(count), Ok(2_i64));
}

#[test]
fn an_answer_that_nobody_waits_for_is_written_all_the_same() {
    let folder = tempfile::tempdir().unwrap();
    let writer = Writer::thread(connection(folder.path()), random(), None).unwrap();
    drop(writer.submit(insert(1)));
    assert_eq!(answer(writer.submit(insert(2))), Ok(2));
    assert_eq!(rows(folder.path()), 2);
}
