//! Which version an escalation goes by, and what the log says of every one.

use super::*;
use crate::duty::escalation::{Call, Line, Tier};
use crate::duty::journal::Urgency;
use crate::duty::roster::Role;
use crate::duty::switchboard::Input;
use crate::io::store::tests::{at, entry, officer, one, roster, store};
use crate::io::store::wait;
use std::time::Duration;

/// Whoever is first holds this role.
fn calls_first(role: Role) -> Policy {
    let ring = Duration::from_secs(35);
    let call = Call { after: Duration::ZERO, line: Line::Mobile, ring };
    let tier = |role| Tier {
        role,
        calls: vec![call.clone()],
        lasts: Duration::from_secs(180),
        repeat: None,
    };
    let mut policy = Policy { after: None, ..Policy::default() };
    policy.urgent.tiers = vec![tier(role), tier(Role::Leader)];
    policy
}

fn later(seconds: f64, role: Role) -> Version {
    Version {
        name: format!("{role:?}"),
        from: Some(at(seconds).wall),
        text: format!("[[escalation.later]] # {role:?}\n"),
        ..Version::of(calls_first(role))
    }
}

fn versions(later: Vec<Version>) -> Timetable {
    Timetable { first: Version::of(Policy { after: None, ..Policy::default() }), later }
}

fn called(store: &Store, seconds: f64, versions: &Timetable) -> Vec<String> {
    let cycle = store.escalate(at(seconds), versions, &roster()).unwrap();
    let person = |input| match input {
        Input::Notify(call) => Some(call.person),
        _ => None,
    };
    cycle.inputs.into_iter().filter_map(person).collect()
}

fn load(store: &Store, seconds: f64, table: &Timetable) {
    let (loaded, table) = (table.clone(), table.clone());
    wait(store.policies_are(loaded, table, roster(), "root", at(seconds))).unwrap();
}

fn flagged(store: &Store, n: u8, seconds: f64) {
    let entry = entry(store, n, seconds);
    wait(store.flag(&officer(), entry, Urgency::Urgent, at(seconds))).unwrap();
}

fn name_of(role: Role) -> String {
    roster().holder(role).unwrap().name.clone()
}

#[test]
fn esc_82_a_version_comes_into_force_at_its_second_and_what_was_flagged_before_goes_on_by_its_own()
{
    let store = store();
    let table = versions(vec![later(100.0, Role::Head)]);
    load(&store, 0.0, &table);
    flagged(&store, 1, 99.0);
    flagged(&store, 2, 100.0);
    // The escalator had no time before: the moment of the flag decides.
    let mut people = called(&store, 101.0, &table);
    people.sort();
    let mut wanted = vec![name_of(Role::Leader), name_of(Role::Head)];
    wanted.sort();
    assert_eq!(people, wanted);
    let by = "SELECT group_concat(coalesce(d.name, ''), ',') FROM
        (SELECT policy FROM escalation ORDER BY raised_ms) e
        JOIN policy p ON p.id = e.policy JOIN policy_document d ON d.id = p.document";
    assert_eq!(one::<String>(&store, by), ",Head");
    let from = "SELECT max(from_ms) FROM policy";
    assert_eq!(
        one::<i64>(&store, from),
        at(100.0).wall.timestamp_millis(),
        "not when it was noticed"
    );
}

#[test]
fn esc_64_a_clock_that_is_set_takes_the_version_with_it_and_every_change_is_on_record() {
    let store = store();
    let table = versions(vec![later(100.0, Role::Head)]);
    load(&store, 50.0, &table);
    for seconds in [1000.0, 60.0, 61.0, 100.0] {
        called(&store, seconds, &table);
    }
    let rows = wait(store.policies()).unwrap();
    let names: Vec<&str> = rows.iter().map(|row| row.name.as_str()).collect();
    assert_eq!(names, ["Head", ""], "each is kept once");
    let ms = |at: DateTime<Utc>| at.timestamp_millis() - self::at(0.0).wall.timestamp_millis();
    let periods = |row: &PolicyRow| {
        let of = |(from, to): &(DateTime<Utc>, Option<DateTime<Utc>>)| (ms(*from), to.map(ms));
        row.periods.iter().map(of).collect::<Vec<_>>()
    };
    assert_eq!(periods(&rows[0]), [(100_000, Some(60_000)), (100_000, None)]);
    assert_eq!(periods(&rows[1]), [(50_000, Some(100_000)), (60_000, Some(100_000))]);
    wait(store.verify_audit()).unwrap();
}

#[test]
fn esc_82_one_that_is_loaded_late_is_in_force_from_then_and_one_that_was_missed_from_its_time() {
    let store = store();
    called(&store, 10.0, &versions(vec![]));
    let table = versions(vec![later(5.0, Role::Head), later(100.0, Role::Substitute)]);
    load(&store, 20.0, &table);
    // No daemon was running at 100 s.
    called(&store, 500.0, &table);
    let start = at(0.0).wall.timestamp_millis();
    let from = format!("SELECT group_concat(from_ms - {start}, ',') FROM policy");
    assert_eq!(one::<String>(&store, &from), "10000,20000,100000");
}

#[test]
fn esc_82_one_that_cannot_work_is_kept_with_its_verdict_and_never_in_force() {
    let store = store();
    let mut table = versions(vec![later(100.0, Role::Head)]);
    let (zh, en) = ("不行".to_owned(), "no".to_owned());
    table.later[0].found = vec![Finding { refused: true, zh, en }];
    load(&store, 1.0, &table);
    load(&store, 2.0, &table);
    flagged(&store, 1, 200.0);
    assert_eq!(called(&store, 200.0, &table), [name_of(Role::Leader)]);
    let row = wait(store.policies()).unwrap().into_iter().find(|row| row.name == "Head").unwrap();
    assert_eq!((row.periods.len(), row.found[0].refused), (0, true));
    assert_eq!((row.found[0].zh.as_str(), row.loaded_by.as_str()), ("不行", "root"));
    assert_eq!(one::<i64>(&store, "SELECT count(*) FROM policy_verdict"), 2, "once each");
    let refused = "SELECT count(*) FROM audit WHERE action = 'policy.refuse'";
    assert_eq!(one::<i64>(&store, refused), 1);
    for table in ["policy_document", "policy_verdict", "policy"] {
        for change in [format!("DELETE FROM {table}"), format!("UPDATE {table} SET id = id + 9")] {
            assert!(
                store.write_now(move |tx| Ok(tx.sql.execute(&change, [])?)).is_err(),
                "{table}"
            );
        }
    }
}

#[test]
fn esc_82_a_version_that_says_so_takes_what_is_open_with_it_from_the_beginning() {
    let store = store();
    let mut table = versions(vec![later(100.0, Role::Head)]);
    table.later[0].open_too = true;
    flagged(&store, 1, 10.0);
    assert_eq!(called(&store, 10.0, &table), [name_of(Role::Leader)]);
    assert_eq!(called(&store, 100.0, &table), [name_of(Role::Head)]);
    assert_eq!(called(&store, 101.0, &table), [""; 0], "once");
    let moved = "SELECT count(*) FROM audit WHERE action = 'escalation.policy'";
    assert_eq!(one::<i64>(&store, moved), 1);
    assert_eq!(one::<i64>(&store, "SELECT round FROM escalation"), 1);
}

#[test]
fn a_log_that_is_not_there_yet_had_no_policy_and_one_that_cannot_be_read_is_a_fault() {
    let folder = tempfile::tempdir().unwrap();
    let log = folder.path().join("dutyline.db");
    assert_eq!(Store::policy_last_in_force_at(&log).unwrap(), None);
    std::fs::write(&log, "no log").unwrap();
    Store::policy_last_in_force_at(&log).unwrap_err();
}
