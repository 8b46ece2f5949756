//! A log with calls, recordings and heads; then somebody's hand in it, and whether it is named.

mod damaged;
mod edits;
mod handing_out;
mod renewing;

use super::key::{self, SigningKey};
use super::signer::Signer;
use super::verify::{Report, Wanted};
use super::witness::{self, Folder, Witness};
use crate::duty::entry::Field;
use crate::duty::journal::{Fact, Urgency};
use crate::duty::proof::{Digests, Item, Value, item};
use crate::duty::roster::Role;
use crate::io::clock;
use crate::io::status::Board;
use crate::io::store::tests::{add_officer, at, call, entry, note, officer, random};
use crate::io::store::{OnDuty, OutageKind, Sealed, Store};
use rusqlite::types::ValueRef;
use rusqlite::{Connection, params};
use sha2::{Digest, Sha256};
use std::fs;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;
use tokio::time::timeout;
use tokio_util::sync::CancellationToken;

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
            hook: None,
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

/// What is done, and what must be named.
type Edit = (&'static str, fn(&Log), &'static str);

fn first_file(folder: &Path, extension: &str) -> PathBuf {
    let files = fs::read_dir(folder).unwrap().map(|file| file.unwrap().path());
    files.filter(|path| path.extension().is_some_and(|found| found == extension)).min().unwrap()
}

fn recording(log: &Log, extension: &str) -> PathBuf {
    first_file(&log.path("recordings"), extension)
}

impl Log {
    fn edit_schema(&self) {
        let sql = Connection::open(self.path("data/dutyline.db")).unwrap();
        sql.execute_batch("DROP TRIGGER revision_is_kept").unwrap();
    }
}

fn flip(path: &Path, at: usize) {
    let mut bytes = fs::read(path).unwrap();
    bytes[at] ^= 1;
    fs::write(path, bytes).unwrap();
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
async fn a_change_of_shift_is_under_a_head_within_a_second() {
    let log = log().await;
    let store = log.open();
    let origin = store.origin().await.unwrap();
    let (every, stopping) = (Duration::from_secs(600), CancellationToken::new());
    let signing = tokio::spawn(log.witness(&store, &origin).keep(every, stopping.clone()));
    let head = async |number: u64| loop {
        match store.newest_head().await.unwrap() {
            Some(head) if head.number >= number => return head,
            _ => tokio::task::yield_now().await,
        }
    };
    timeout(Duration::from_secs(20), head(3)).await.expect("that of the beginning");
    let read = Connection::open(log.path("data/dutyline.db")).unwrap();
    let items = "SELECT count(*) FROM item";
    let before: i64 = read.query_row(items, [], |row| row.get(0)).unwrap();
    let on_duty = OnDuty {
        role: Role::Leader,
        person: "李带班".to_owned(),
        from: clock::now().wall,
        to: None,
    };
    store.put_on_duty(&officer(), on_duty, clock::now()).await.unwrap();
    let signed = timeout(Duration::from_secs(1), head(4)).await.expect("one of its own");
    assert!(signed.size as i64 > before, "{} of {before}", signed.size);
    stopping.cancel();
    signing.await.unwrap();
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
