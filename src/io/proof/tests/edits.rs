//! What somebody who knows SQL does to a log behind its back, and whether it is named.

use super::*;

/// Recalculates what an item says of its row, and every leaf from there on, as somebody could who
/// has read this program.
fn forge(sql: &Connection, kind: &str, key: &str) {
    let (seq, columns): (i64, String) = sql
        .query_row(
            "SELECT seq, columns FROM item JOIN shape ON shape.id = shape WHERE kind = ?1
             AND key = ?2 ORDER BY seq DESC LIMIT 1",
            [kind, key],
            |row| Ok((row.get(0)?, row.get(1)?)),
        )
        .unwrap();
    let columns: Vec<String> = serde_json::from_str(&columns).unwrap();
    let ids: Vec<serde_json::Value> = serde_json::from_str(key).unwrap();
    let query = format!("SELECT {} FROM {kind} WHERE rowid = ?1 OR id = ?1", columns.join(", "));
    let id = ids[0].as_i64().map_or(ids[0].as_str().unwrap_or("").to_owned(), |id| id.to_string());
    let digest = sql
        .query_row(&query.replace("rowid = ?1 OR ", ""), [id], |row| {
            let value = |at| match row.get_ref(at).unwrap() {
                ValueRef::Null => Value::None,
                ValueRef::Integer(number) => Value::Integer(number),
                ValueRef::Real(number) => Value::Real(number),
                ValueRef::Text(text) => Value::Text(text),
                ValueRef::Blob(blob) => Value::Blob(blob),
            };
            let names = columns.iter().map(String::as_str);
            Ok(item::row(
                names
                    .enumerate()
                    .map(|(at, name)| (name, value(at)))
                    .collect::<Vec<_>>()
                    .into_iter(),
            ))
        })
        .unwrap();
    sql.execute("UPDATE item SET row = ?2 WHERE seq = ?1", params![seq, digest.to_bytes()])
        .unwrap();
    chain_anew(sql, seq);
}

/// Adds an item of a row, as the log does for one that changed.
fn append(sql: &Connection, kind: &str, key: &str) -> i64 {
    let added = sql.execute(
        "INSERT INTO item (seq, shape, key, row, leaf)
         SELECT (SELECT max(seq) + 1 FROM item), shape, key, zeroblob(64), zeroblob(64)
         FROM item JOIN shape ON shape.id = shape WHERE kind = ?1 AND key = ?2 LIMIT 1",
        [kind, key],
    );
    assert_eq!(added, Ok(1), "{kind} {key}");
    sql.last_insert_rowid()
}

fn chain_anew(sql: &Connection, from: i64) {
    let before =
        sql.query_row("SELECT leaf FROM item WHERE seq = ?1 - 1", [from], |row| row.get(0));
    let mut before = Digests::from_bytes(&before.unwrap_or(vec![0; 64])).unwrap();
    let mut items = sql
        .prepare("SELECT seq, kind, key, row FROM item JOIN shape ON shape.id = shape WHERE seq >= ?1 ORDER BY seq")
        .unwrap();
    let items: Vec<(i64, String, String, Vec<u8>)> = items
        .query_map([from], |row| Ok((row.get(0)?, row.get(1)?, row.get(2)?, row.get(3)?)))
        .unwrap()
        .collect::<Result<_, _>>()
        .unwrap();
    for (seq, kind, key, row) in items {
        let row = Digests::from_bytes(&row).unwrap();
        let item = Item { seq: u64::try_from(seq).unwrap(), kind, key, row, before };
        before = item.leaf();
        sql.execute("UPDATE item SET leaf = ?2 WHERE seq = ?1", params![seq, before.to_bytes()])
            .unwrap();
    }
}

fn restored(log: &Log) {
    // As it was at the first head, by the one who has kept a copy of the database.
    fs::copy(log.path("old.db"), log.path("data/dutyline.db")).unwrap();
    for left in ["data/dutyline.db-wal", "data/dutyline.db-shm"] {
        let _ = fs::remove_file(log.path(left));
    }
}

/// What the newer head covers is taken out, and all that speaks of it in the database.
fn cut(log: &Log) {
    log.with(|sql| {
        let of_third = format!("'{}'", call(3));
        let size: i64 =
            sql.query_row("SELECT size FROM head WHERE number = 1", [], |row| row.get(0)).unwrap();
        let audit: i64 = sql
            .query_row("SELECT count(*) FROM item JOIN shape ON shape.id = shape WHERE seq < ?1 AND kind = 'audit'", [size], |row| row.get(0))
            .unwrap();
        for (table, column) in [
            ("recording_age", "call"),
            ("recording", "call"),
            ("leg", "call"),
            ("claim", "call"),
            ("revision", "entry"),
            ("call", "id"),
            ("entry", "id"),
        ] {
            sql.execute_batch(&format!("DELETE FROM {table} WHERE {column} = {of_third}")).unwrap();
        }
        sql.execute("DELETE FROM audit WHERE id > ?1", [audit]).unwrap();
        sql.execute("DELETE FROM item WHERE seq >= ?1", [size]).unwrap();
        sql.execute("DELETE FROM head WHERE number > 1", []).unwrap();
    });
}

const EDITS: &[Edit] = &[
    ("a bit of a WAV", |log| flip(&recording(log, "wav"), 100), "recording "),
    ("a bit of a tape", |log| flip(&recording(log, "tape"), 100), ".tape"),
    (
        "a WAV replaced by one of the same length",
        |log| fs::write(recording(log, "wav"), "wav of call 9".repeat(100)).unwrap(),
        ".wav",
    ),
    ("a WAV taken away", |log| fs::remove_file(recording(log, "wav")).unwrap(), ".wav"),
    (
        "another WAV, and its hash in the row",
        |log| {
            let other = hex::encode(Sha256::digest(b"other"));
            fs::write(recording(log, "wav"), b"other").unwrap();
            log.edit(&format!("UPDATE recording SET digest = '{other}'"));
        },
        "recording [",
    ),
    (
        "an entry's text",
        |log| log.edit("UPDATE entry SET subject = '无事' WHERE number LIKE '%1'"),
        "-0001)",
    ),
    ("a revision", |log| log.edit("UPDATE revision SET actor = '别人' WHERE no = 1"), "revision ["),
    ("a revision taken out", |log| log.edit("DELETE FROM revision WHERE no = 2"), "revision ["),
    (
        "a play taken out",
        |log| log.edit("DELETE FROM audit WHERE action = 'recording.play'"),
        "audit [",
    ),
    ("who played", |log| log.edit("UPDATE audit SET actor = '别人' WHERE id = 2"), "audit [2]"),
    ("who called", |log| log.edit("UPDATE call SET caller = '110'"), "call ["),
    (
        "when somebody called",
        |log| log.edit("UPDATE call SET arrived_ms = arrived_ms - 3600000"),
        "call [",
    ),
    (
        "a call taken out",
        |log| {
            log.edit(&format!("PRAGMA foreign_keys = 0; DELETE FROM call WHERE id = '{}'", call(2)))
        },
        "call [",
    ),
    (
        "an outage made shorter",
        |log| log.edit("UPDATE outage SET to_ms = from_ms + 1"),
        "outage [1]",
    ),
    (
        "an escalation",
        |log| log.edit("UPDATE escalation SET raised_ms = raised_ms - 60000"),
        "escalation [",
    ),
    ("what somebody may do", |log| log.edit("UPDATE person SET role = 'admin'"), "person [1]"),
    (
        "an entry put in",
        |log| {
            log.edit("INSERT INTO entry (id, number, source, occurred_ms, recorded_ms) VALUES ('x', '记-1', 'call_in', 0, 0)")
        },
        "entry [\"x\"]",
    ),
    (
        "a row in an item",
        |log| log.edit("UPDATE item SET row = zeroblob(64) WHERE seq = 3"),
        "item 3",
    ),
    (
        "two items changed places",
        |log| {
            log.edit("UPDATE item SET seq = -1 WHERE seq = 4; UPDATE item SET seq = 4 WHERE seq = 5; UPDATE item SET seq = 5 WHERE seq = -1")
        },
        "item 4",
    ),
    ("an item taken out", |log| log.edit("DELETE FROM item WHERE seq = 6"), "item 6"),
    (
        "a row, its item and the chain behind it",
        |log| {
            let key = format!("[\"{}\"]", call(1));
            log.with(|sql| {
                sql.execute_batch("UPDATE entry SET subject = '无事'").unwrap();
                forge(sql, "entry", &key);
                forge(sql, "entry", &key.replace(&call(1).to_string(), &call(2).to_string()));
                forge(sql, "entry", &key.replace(&call(1).to_string(), &call(3).to_string()));
            });
        },
        "head 1",
    ),
    (
        "an audit row, with an item of the change as the log would make one",
        |log| {
            log.with(|sql| {
                sql.execute_batch("UPDATE audit SET actor = '别人' WHERE id = 2").unwrap();
                append(sql, "audit", "[2]");
                forge(sql, "audit", "[2]");
            });
        },
        "audit [2]",
    ),
    (
        "an audit row taken out, with an item of its going",
        |log| {
            log.with(|sql| {
                sql.execute_batch("DELETE FROM audit WHERE id = 2").unwrap();
                let seq = append(sql, "audit", "[2]");
                let gone = item::gone().to_bytes();
                sql.execute("UPDATE item SET row = ?2 WHERE seq = ?1", params![seq, gone]).unwrap();
                chain_anew(sql, seq);
            });
        },
        "audit [2]",
    ),
    (
        "an entry's text, with an item of the change as the log would make one",
        |log| {
            log.with(|sql| {
                let key = format!("[\"{}\"]", call(1));
                sql.execute_batch("UPDATE entry SET subject = '无事' WHERE number LIKE '%1'")
                    .unwrap();
                append(sql, "entry", &key);
                forge(sql, "entry", &key);
            });
        },
        "-0001)",
    ),
    (
        "a trigger put in",
        |log| {
            let sql = Connection::open(log.path("data/dutyline.db")).unwrap();
            sql.execute_batch("CREATE TRIGGER quiet AFTER INSERT ON audit BEGIN SELECT 1; END")
                .unwrap();
        },
        "trigger quiet",
    ),
    (
        "a view put in",
        |log| log.edit("CREATE VIEW quiet AS SELECT * FROM entry WHERE urgency <> 'urgent'"),
        "trigger quiet",
    ),
    ("the schema's version", |log| log.edit("PRAGMA user_version = 99"), "schema"),
    ("the end cut off", cut, "head 2"),
    ("an old database put back", restored, "head 2"),
    (
        "the time of a head",
        |log| {
            log.edit("UPDATE head SET at_ms = at_ms - 60000, note = replace(note, 'time 2', 'time 1') WHERE number = 1")
        },
        "head 1",
    ),
    ("a head taken out", |log| log.edit("DELETE FROM head WHERE number = 1"), "head 1"),
    (
        "a head where it was sent to",
        |log| {
            let path = first_file(&log.path("witness"), "heads");
            let text = fs::read_to_string(&path).unwrap();
            fs::write(&path, text.replacen("head 1\n", "head 7\n", 1)).unwrap();
        },
        "copy of head 7",
    ),
    ("what keeps rows from being changed", |log| log.edit_schema(), "trigger revision_is_kept"),
    (
        "everything begun anew",
        |log| {
            for name in ["dutyline.db", "dutyline.db-wal", "dutyline.db-shm"] {
                let _ = fs::remove_file(log.path("data").join(name));
            }
            drop(log.open());
        },
        "copy of head 1",
    ),
];

#[tokio::test]
async fn rel_37_and_rec_e1_every_kind_of_edit_is_found_and_named_also_after_a_restart() {
    let log = log().await;
    assert_sound(&log.check());
    // The database as it was at the first head, kept by somebody.
    let old = Log::empty();
    copy_folder(&log.path("data"), &old.path("data"));
    cut(&old);
    fs::copy(old.path("data/dutyline.db"), log.path("old.db")).unwrap();
    assert!(EDITS.len() >= 20);
    let trusted = fs::read_to_string(key::public_path(&log.path("data"))).unwrap();
    let trusted = crate::duty::proof::PublicKey::parse(&trusted);
    let mut missed = vec![];
    for (what, edit, place) in EDITS {
        let copy = log.copy();
        edit(&copy);
        let report = copy.check_by(trusted.clone());
        let named =
            |report: &Report| report.checked.faults.iter().any(|fault| fault.place.contains(place));
        if !named(&report) {
            missed.push(format!("{what}: no {place}\n{report}"));
        }
        // The next run writes on and signs, if it can.
        if let Ok(store) = Store::open(&copy.path("data/dutyline.db"), random()) {
            let _ = store.outage_began(OutageKind::Line, "restarted", at(900.0)).await;
            let _ = copy.sign(&store).await;
        }
        let report = copy.check_by(trusted.clone());
        if !named(&report) {
            missed.push(format!("{what}, after a restart: no {place}\n{report}"));
        }
    }
    assert!(missed.is_empty(), "{}", missed.join("\n"));
}
