//! What tests of the store begin with: a log in memory, an officer, a call, moments.

use super::*;
use crate::duty::ids::{CallId, EntryId};
use crate::duty::journal::{Arrival, Fact, Noted};
use crate::duty::roster::{Person, Role, Roster};
use crate::protocol::now::{Mono, Now};
use crate::protocol::random::Random;
use chrono::{TimeZone, Utc};
use std::time::Duration;

pub fn random() -> Random {
    Random::from_seed([7; 32])
}

/// `seconds` after 2026-10-03 21:42 in Beijing.
pub fn at(seconds: f64) -> Now {
    let start = Now {
        mono: Mono(1_000_000_000_000),
        wall: Utc.with_ymd_and_hms(2026, 10, 3, 13, 42, 0).unwrap(),
    };
    start + Duration::from_secs_f64(seconds)
}

pub fn store() -> Store {
    let store = Store::open_in_memory(random()).unwrap();
    add_officer(&store);
    store
}

/// Person 1, without waiting for argon2.
pub fn add_officer(store: &Store) {
    store
        .write_now(|tx| {
            tx.sql.execute(
                "INSERT INTO person (id, login, name, role, password, added_ms)
                 VALUES (1, 'wang', '王值班', 'officer', '', 0)",
                [],
            )?;
            Ok(())
        })
        .unwrap();
}

/// Somebody else.
pub fn add_second(store: &Store, id: i64, login: &str, name: &str) {
    let (login, name) = (login.to_owned(), name.to_owned());
    let insert = "INSERT INTO person (id, login, name, role, password, added_ms)
        VALUES (?1, ?2, ?3, 'leader', '', 0)";
    store.write_now(move |tx| Ok(tx.sql.execute(insert, (id, login, name))?)).unwrap();
}

/// What becomes of a hand that gives up a recording in the database itself.
pub fn give_up_by_hand(path: &Path, call: &str, list: i64) -> String {
    let other = Connection::open(path).unwrap();
    other.busy_timeout(Duration::from_secs(5)).unwrap();
    let insert = "INSERT INTO destroyed (call, list, at_ms) VALUES (?1, ?2, 0)";
    other.execute(insert, (call, list)).map_or_else(|error| error.to_string(), |_| String::new())
}

pub fn officer() -> Who {
    Who {
        id: PersonId(1),
        login: "wang".to_owned(),
        name: "王值班".to_owned(),
        account: Account::Officer,
        terminal: "127.0.0.1".to_owned(),
    }
}

/// Another process keeps the log locked until this is dropped.
pub fn locked(path: &Path) -> Connection {
    let other = Connection::open(path).unwrap();
    other.busy_timeout(Duration::from_secs(5)).unwrap();
    other.execute_batch("BEGIN IMMEDIATE").unwrap();
    other
}

/// The log does not answer until this is dropped.
pub fn stalled(store: &Store) -> std::sync::mpsc::Sender<()> {
    let (held, hangs) = std::sync::mpsc::channel();
    drop(store.write(move |_| {
        let _ = hangs.recv();
        Ok(())
    }));
    held
}

pub fn call(n: u8) -> CallId {
    let mut random = Random::from_seed([n; 32]);
    CallId::new(at(0.0), &mut random)
}

pub fn arrival(n: u8, caller: &str) -> Fact {
    Fact::Arrived(Box::new(Arrival {
        sip_call_id: format!("call-{n}"),
        ..Arrival::from_number(call(n), caller, "<script>")
    }))
}

pub fn note(store: &Store, seconds: f64, fact: Fact) -> super::Applied {
    store.apply(&Noted { at: at(seconds), fact }).unwrap()
}

/// A call that arrived at `seconds`; its entry.
pub fn entry(store: &Store, n: u8, seconds: f64) -> EntryId {
    note(store, seconds, arrival(n, "13812345678"));
    call(n).into()
}

pub fn roster() -> Roster {
    let person = |name: &str, role, mobile: &str, office: Option<&str>| {
        Person::new(name, role, Some(mobile), office)
    };
    Roster {
        people: vec![
            person("L", Role::Leader, "1001", Some("2001")),
            person("S", Role::Substitute, "1002", None),
            person("D", Role::OfficeDirector, "1003", None),
            person("H", Role::Head, "1004", None),
        ],
    }
}

/// Reads one number or text of the log.
pub fn one<T: rusqlite::types::FromSql + Send + 'static>(store: &Store, query: &str) -> T {
    let query = query.to_owned();
    wait(store.read(move |sql| Ok(sql.query_row(&query, [], |row| row.get(0))?))).unwrap()
}
