//! A log with calls, recordings and heads; then somebody's hand in it, and whether it is named.

mod handing_out;
mod renewing;

use super::key::{self, SigningKey};
use super::signer::Signer;
use super::verify::{Report, Wanted};
use super::witness::{self, Folder, Witness};
use crate::duty::entry::Field;
use crate::duty::journal::{Fact, Urgency};
use crate::duty::proof::{Digests, Item, Value, item};
use crate::io::clock;
use crate::io::status::Board;
use crate::io::store::tests::{add_officer, at, call, entry, note, officer, random};
use crate::io::store::{OutageKind, Sealed, Store};
use rusqlite::types::ValueRef;
use rusqlite::{Connection, params};
use sha2::{Digest, Sha256};
use std::fs;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

/// A data folder, recordings, and a folder elsewhere to which heads were sent.
struct Log {
    folder: tempfile::TempDir,
}

impl Log {
    fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    fn empty() -> Self {
        let log = Self { folder: tempfile::tempdir().unwrap() };
        for name in ["data/heads", "recordings", "witness"] {
            fs::create_dir_all(log.path(name)).unwrap();
        }
        log
    }

    fn copy(&self) -> Self {
        let copy = Self { folder: tempfile::tempdir().unwrap() };
        copy_folder(self.folder.path(), copy.folder.path());
        copy
    }

    fn open(&self) -> Store {
        Store::open(&self.path("data/dutyline.db"), random()).unwrap()
    }

    fn signer(&self, store: &Store, origin: &str) -> Arc<Signer> {
        Arc::new(Signer::new(&self.path("data"), origin.to_owned(), store.clone()))
    }

    fn witness(&self, store: &Store, origin: &str) -> Witness {
        Witness {
            store: store.clone(),
            signer: self.signer(store, origin),
            folders: ["data/heads", "witness"]
                .map(|name| Folder::new(self.path(name)).unwrap())
                .to_vec(),
            board: Board::new(),
        }
    }

    async fn sign(&self, store: &Store) -> Result<(), witness::Unsigned> {
        let origin = store.origin().await?;
        self.witness(store, &origin).sign().await.map(drop)
    }

    /// The key as it was written down elsewhere.
    fn check_by(&self, key: Option<crate::duty::proof::PublicKey>) -> Report {
        let wanted = Wanted {
            data: self.path("data"),
            recordings: self.path("recordings"),
            folders: vec![self.path("witness")],
            copies: vec![],
            keys: key.into_iter().collect(),
        };
        wanted.check().unwrap()
    }

    fn check(&self) -> Report {
        self.check_by(None)
    }

    fn raw(&self) -> Connection {
        let sql = Connection::open(self.path("data/dutyline.db")).unwrap();
        for (kind, trigger) in rows(&sql, "SELECT type, name FROM sqlite_schema") {
            if kind == "trigger" {
                sql.execute_batch(&format!("DROP TRIGGER \"{trigger}\"")).unwrap();
            }
        }
        sql
    }

    /// As somebody does who knows SQL: the triggers are put back when it is done.
    fn edit(&self, statements: &str) {
        self.with(|sql| sql.execute_batch(statements).unwrap());
    }

    fn with(&self, work: impl FnOnce(&Connection)) {
        let before = Connection::open(self.path("data/dutyline.db")).unwrap();
        let triggers = rows(&before, "SELECT name, sql FROM sqlite_schema WHERE type = 'trigger'");
        drop(before);
        let sql = self.raw();
        work(&sql);
        for (_, trigger) in triggers {
            sql.execute_batch(&trigger).unwrap();
        }
    }
}

fn rows(sql: &Connection, query: &str) -> Vec<(String, String)> {
    let mut rows = sql.prepare(query).unwrap();
    let rows = rows.query_map([], |row| Ok((row.get(0)?, row.get(1)?))).unwrap();
    rows.collect::<Result<_, _>>().unwrap()
}

fn copy_folder(from: &Path, to: &Path) {
    fs::create_dir_all(to).unwrap();
    for file in fs::read_dir(from).unwrap() {
        let path = file.unwrap().path();
        let into = to.join(path.file_name().unwrap());
        if path.is_dir() {
            copy_folder(&path, &into);
        } else {
            fs::copy(&path, &into).unwrap();
        }
    }
}

async fn record(log: &Log, store: &Store, n: u8, seconds: f64) {
    note(store, seconds, Fact::Answered { call: call(n), phone: "值班台话机".to_owned() });
    let file = |extension: &str| {
        let name = format!("{}.{extension}", call(n));
        let content = format!("{extension} of call {n}").repeat(100);
        fs::write(log.path("recordings").join(&name), &content).unwrap();
        (PathBuf::from(name), hex::encode(Sha256::digest(content)))
    };
    let ((wav, sha256), (tape, tape_sha256)) = (file("wav"), file("tape"));
    let sealed = Sealed {
        wav,
        sha256,
        tape: Some(tape),
        tape_sha256: Some(tape_sha256),
        bytes: 1200,
        duration: Duration::from_secs(9),
        ..Sealed::default()
    };
    assert!(store.recording_sealed(call(n), sealed, at(seconds + 9.0)).await.unwrap());
    store
        .recording_played(&officer(), (call(n), None), "核对记录", at(seconds + 20.0))
        .await
        .unwrap();
}

/// Two calls and a head, a third one and another head.
async fn log() -> Log {
    let log = Log::empty();
    let store = log.open();
    add_officer(&store);
    for n in 1..=2 {
        let entry = entry(&store, n, f64::from(n) * 60.0);
        record(&log, &store, n, f64::from(n) * 60.0 + 5.0).await;
        for (old, new) in [("", "停水"), ("停水", "停电")] {
            store.save_field(&officer(), entry, Field::Subject, old, new, at(200.0)).await.unwrap();
        }
    }
    store.flag(&officer(), call(1).into(), Urgency::Urgent, at(210.0)).await.unwrap();
    store.outage_was(OutageKind::Log, at(220.0).wall, "disk full", at(230.0)).await.unwrap();
    log.sign(&store).await.unwrap();
    entry(&store, 3, 300.0);
    record(&log, &store, 3, 305.0).await;
    log.sign(&store).await.unwrap();
    drop(store);
    log
}

fn assert_sound(report: &Report) {
    assert!(report.is_sound(), "{report}");
}

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

/// What is done, and what must be named.
type Edit = (&'static str, fn(&Log), &'static str);

fn flip(path: &Path, at: usize) {
    let mut bytes = fs::read(path).unwrap();
    bytes[at] ^= 1;
    fs::write(path, bytes).unwrap();
}

fn first_file(folder: &Path, extension: &str) -> PathBuf {
    let files = fs::read_dir(folder).unwrap().map(|file| file.unwrap().path());
    files.filter(|path| path.extension().is_some_and(|found| found == extension)).min().unwrap()
}

fn recording(log: &Log, extension: &str) -> PathBuf {
    first_file(&log.path("recordings"), extension)
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

impl Log {
    fn edit_schema(&self) {
        let sql = Connection::open(self.path("data/dutyline.db")).unwrap();
        sql.execute_batch("DROP TRIGGER revision_is_kept").unwrap();
    }
}

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

#[tokio::test]
async fn rec_e1_a_restart_goes_on_with_the_chain_and_so_does_a_second_process() {
    let log = log().await;
    let items = log.check().checked.items;
    for run in 0..3_u8 {
        let store = log.open();
        let beside = Store::open_beside(&log.path("data/dutyline.db"), random()).unwrap();
        entry(&store, 10 + run, 1000.0 + f64::from(run));
        beside.outage_began(OutageKind::Log, "beside", at(2000.0)).await.unwrap();
        entry(&store, 20 + run, 1001.0 + f64::from(run));
        log.sign(&store).await.unwrap();
    }
    let report = log.check();
    assert_sound(&report);
    assert!(report.checked.items >= items + 3 * 4, "{report}");
    assert_eq!((report.checked.heads, report.copies), (5, 10));
}

#[tokio::test]
async fn another_key_is_found_by_the_one_that_was_written_down() {
    let log = log().await;
    let text = fs::read_to_string(key::public_path(&log.path("data"))).unwrap();
    let known = crate::duty::proof::PublicKey::parse(&text);
    assert_sound(&log.check_by(known.clone()));
    let store = log.open();
    let elsewhere = tempfile::tempdir().unwrap();
    let forged = SigningKey::load_or_make(elsewhere.path(), &store.origin().await.unwrap());
    store.sign_head(Arc::new(forged.unwrap()), clock::now).await.unwrap();
    drop(store);
    let report = log.check_by(known);
    assert!(report.checked.faults.iter().any(|fault| fault.place == "head 3"), "{report}");
}

#[tokio::test]
async fn the_key_is_for_the_daemon_alone_and_stays() {
    use std::os::unix::fs::PermissionsExt;
    let folder = tempfile::tempdir().unwrap();
    let origin = "dutyline/0123456789abcdef";
    let made = SigningKey::load_or_make(folder.path(), origin).unwrap();
    let mode = fs::metadata(key::secret_path(folder.path())).unwrap().permissions().mode();
    assert_eq!(mode & 0o777, 0o600);
    let read = SigningKey::load_or_make(folder.path(), origin).unwrap();
    assert_eq!(read.public, made.public);
    assert!(key::signed_by(&made.public, b"text", &read.sign(b"text")));
    assert!(!key::signed_by(&made.public, b"texts", &read.sign(b"text")));
    fs::write(key::secret_path(folder.path()), "nonsense").unwrap();
    assert!(SigningKey::load_or_make(folder.path(), origin).is_err(), "never overwritten");
    assert_eq!(fs::read_to_string(key::secret_path(folder.path())).unwrap(), "nonsense");
}

#[tokio::test]
async fn a_folder_that_takes_no_head_is_an_alarm_and_hinders_nothing() {
    let log = log().await;
    let store = log.open();
    let origin = store.origin().await.unwrap();
    let mut witness = log.witness(&store, &origin);
    fs::remove_dir_all(log.path("witness")).unwrap();
    assert_eq!(witness.sign().await.unwrap().number, 3);
    let alarm = witness.board.status().alarms["witness"].clone();
    assert!(alarm.zh.contains("见证文件夹") && alarm.en.contains("witness"), "{alarm:?}");
    witness.folders.pop();
    witness.sign().await.unwrap();
    assert!(witness.board.status().alarms.is_empty());
    let copies = witness::copies(&log.path("data/heads")).unwrap();
    assert_eq!((copies.notes.len(), copies.torn.len()), (4, 0));
}

#[tokio::test]
async fn a_head_that_a_power_cut_left_half_does_not_spoil_the_next() {
    let log = log().await;
    let path = first_file(&log.path("witness"), "heads");
    let text = fs::read_to_string(&path).unwrap();
    fs::write(&path, &text[..text.len() - 40]).unwrap();
    let store = log.open();
    log.sign(&store).await.unwrap();
    drop(store);
    let copies = witness::copies(&log.path("witness")).unwrap();
    assert!(copies.notes.iter().any(|note| note.head.number == 1), "{copies:?}");
    assert_eq!(copies.torn.len(), 1);
}

#[tokio::test]
async fn a_folder_without_the_newest_heads_is_named_and_so_is_the_key_that_was_believed() {
    let log = log().await;
    let report = log.check();
    assert!(report.to_string().contains("--key") && report.to_string().contains(&report.key));
    let path = first_file(&log.path("witness"), "heads");
    let old = fs::read(&path).unwrap();
    let store = log.open();
    for _ in 0..4 {
        log.sign(&store).await.unwrap();
    }
    let trusted = crate::duty::proof::PublicKey::parse(&report.key);
    let place = log.path("witness").display().to_string();
    for left in [old, vec![]] {
        fs::write(&path, left).unwrap();
        let report = log.check_by(trusted.clone());
        assert!(!report.to_string().contains("was believed"));
        let places: Vec<_> = report.checked.faults.iter().map(|fault| &fault.place).collect();
        assert_eq!(places, [&place], "{report}");
    }
}
