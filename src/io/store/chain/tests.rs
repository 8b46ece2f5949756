//! What becomes an item and what does not.

use super::*;
use crate::duty::entry::Field;
use crate::io::store::tests::{at, entry, officer, one, random, store};
use crate::io::store::{OutageKind, Store, schema, wait};
use crate::io::store::{error, writer};

fn kinds(store: &Store) -> Vec<String> {
    let all: String = one(
        store,
        "SELECT coalesce(group_concat(kind), '') FROM
           (SELECT kind FROM item JOIN shape ON shape.id = shape ORDER BY seq)",
    );
    all.split(',').filter(|kind| !kind.is_empty()).map(str::to_owned).collect()
}

fn count(store: &Store) -> i64 {
    one(store, "SELECT count(*) FROM item")
}

#[test]
fn every_table_is_in_the_chain_or_named_as_not_being_in_it() {
    let sql = schema::open_in_memory().unwrap();
    let proved = structure(&sql).unwrap();
    for (kind, columns, key) in &proved {
        assert!(!key.is_empty() && key.iter().all(|k| columns.contains(k)), "{kind}: {key:?}");
    }
    for kind in ["entry", "revision", "call", "recording", "audit", "outage", "escalation"] {
        assert!(proved.iter().any(|(proved, ..)| proved == kind), "{kind}");
    }
}

#[test]
fn a_call_is_an_item_for_each_row_that_it_writes_and_one_more_for_each_change() {
    let store = store();
    let before = kinds(&store).len();
    let entry = entry(&store, 1, 0.0);
    let mut born = kinds(&store)[before..].to_vec();
    born.sort();
    assert_eq!(born, ["call", "claim", "entry", "revision"]);
    let before = count(&store);
    wait(store.save_field(&officer(), entry, Field::Subject, "", "停水", at(9.0))).unwrap();
    let mut changed = kinds(&store)[usize::try_from(before).unwrap()..].to_vec();
    changed.sort();
    assert_eq!(changed, ["audit", "entry", "revision"], "an entry that was changed twice is one");
}

#[test]
fn what_changes_nothing_and_what_fails_leaves_no_item() {
    let store = store();
    let entry = entry(&store, 1, 0.0);
    let before = count(&store);
    let id = entry.to_string();
    let same = store.write_now(move |tx| {
        tx.sql.execute("UPDATE entry SET subject = subject WHERE id = ?1", [id])?;
        Ok(())
    });
    same.unwrap();
    let failed: Result<()> = store.write_now(|tx| {
        tx.sql.execute("UPDATE entry SET subject = 'x'", [])?;
        Err(error::StoreError::Full)
    });
    assert_eq!(failed, Err(error::StoreError::Full));
    assert_eq!(count(&store), before);
    wait(store.outage_began(OutageKind::Line, "408", at(5.0))).unwrap();
    assert_eq!(kinds(&store)[usize::try_from(before).unwrap()..], ["outage"], "and nothing else");
}

#[test]
fn a_row_that_goes_or_gets_another_key_is_an_item_too() {
    let store = store();
    let before = usize::try_from(count(&store)).unwrap();
    let write = |query: &'static str| {
        store.write_now(move |tx| Ok(tx.sql.execute_batch(query)?)).unwrap();
    };
    write("UPDATE person SET id = 7");
    write("DELETE FROM person");
    let (keys, gone): (String, i64) = (
        one(
            &store,
            &format!(
                "SELECT group_concat(key, ' ') FROM (SELECT key FROM item WHERE seq >= {before} ORDER BY key)"
            ),
        ),
        one(
            &store,
            &format!(
                "SELECT count(*) FROM item WHERE seq >= {before} AND row = x'{}'",
                hex::encode(item::gone().to_bytes())
            ),
        ),
    );
    assert_eq!((keys.as_str(), gone), ("[1] [7] [7]", 2));
}

#[test]
fn a_log_from_before_the_chain_begins_it_with_what_is_there() {
    let sql = schema::open_in_memory().unwrap();
    sql.execute_batch("INSERT INTO outage (kind, from_ms, why) VALUES ('line', 1, 'x')").unwrap();
    let chain = Chain::open(&sql, &mut random()).unwrap();
    let items = || -> i64 { sql.query_row("SELECT count(*) FROM item", [], |r| r.get(0)).unwrap() };
    assert_eq!(items(), 1);
    chain.append(&sql).unwrap();
    Chain::open(&sql, &mut random()).unwrap();
    assert_eq!(items(), 1, "and not again");
}

#[test]
fn what_a_migration_writes_and_a_table_that_loses_a_column_are_proved_anew() {
    let sql = schema::open_in_memory().unwrap();
    let rows = "INSERT INTO outage (kind, from_ms, why) VALUES ('line', 1, 'x'), ('log', 2, 'y');
                INSERT INTO person (login, name, role, password, added_ms)
                  VALUES ('a', 'a', 'officer', '', 0)";
    sql.execute_batch(rows).unwrap();
    Chain::open(&sql, &mut random()).unwrap();
    let items = |kind: &str| -> i64 {
        let query = "SELECT count(*) FROM item JOIN shape ON shape.id = shape WHERE kind = ?1";
        sql.query_row(query, [kind], |row| row.get(0)).unwrap()
    };
    assert_eq!((items("outage"), items("person")), (2, 1));
    let migrate = |batch: &str| {
        Chain::migrating(&sql, |sql| Ok(sql.execute_batch(batch)?)).unwrap();
    };
    migrate("UPDATE outage SET why = 'z' WHERE id = 1; ALTER TABLE outage ADD COLUMN more TEXT");
    assert_eq!((items("outage"), items("person")), (3, 1), "the one that was written");
    migrate("ALTER TABLE outage DROP COLUMN more");
    assert_eq!((items("outage"), items("person")), (5, 1), "all of them");
    migrate(
        "CREATE TABLE later (id INTEGER PRIMARY KEY, x TEXT) STRICT;
         INSERT INTO later (x) SELECT why FROM outage",
    );
    assert_eq!(items("later"), 2, "what it was filled with");
    let chain = Chain::open(&sql, &mut random()).unwrap();
    sql.execute_batch("INSERT INTO later (x) VALUES ('new')").unwrap();
    chain.append(&sql).unwrap();
    assert_eq!(items("later"), 3, "a new table is in the chain by itself");
}

#[test]
fn writes_that_share_a_commit_share_no_item() {
    let folder = tempfile::tempdir().unwrap();
    let connection = schema::open(&folder.path().join("log.db")).unwrap();
    let writer = writer::Writer::thread(connection, random(), None).unwrap();
    let insert = |kind: &'static str| {
        writer.submit(move |tx| {
            tx.sql.execute("INSERT INTO outage (kind, from_ms, why) VALUES (?1, 1, '')", [kind])?;
            Ok(())
        })
    };
    let answers = ["line", "log", "recorder"].map(insert);
    answers.into_iter().for_each(|answer| wait(answer).unwrap().unwrap());
    drop(writer);
    let sql = Connection::open(folder.path().join("log.db")).unwrap();
    let items: i64 = sql.query_row("SELECT count(*) FROM item", [], |row| row.get(0)).unwrap();
    assert_eq!(items, 3);
}
