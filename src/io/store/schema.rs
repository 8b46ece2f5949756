//! Opens the database file and brings its schema up to date; refuses what it does not understand.

use super::chain::Chain;
use super::error::{Result, StoreError};
use crate::io::owner;
use rusqlite::backup::Progress;
use rusqlite::config::DbConfig;
use rusqlite::{Connection, TransactionBehavior, ffi};
use std::path::{Path, PathBuf};
use std::time::Duration;

/// Appended to, never changed: `user_version` counts how many of them a file has had.
const MIGRATIONS: &[&str] = &[
    include_str!("migrations/0001_spine.sql"),
    include_str!("migrations/0002_callers.sql"),
    include_str!("migrations/0003_answering.sql"),
    include_str!("migrations/0004_ladder.sql"),
    include_str!("migrations/0005_handing.sql"),
    include_str!("migrations/0006_quality.sql"),
    include_str!("migrations/0007_fax.sql"),
    include_str!("migrations/0008_conference.sql"),
    include_str!("migrations/0009_calling_out.sql"),
    include_str!("migrations/0010_carried.sql"),
    include_str!("migrations/0011_chain.sql"),
    include_str!("migrations/0012_gaps.sql"),
    include_str!("migrations/0013_notices.sql"),
    include_str!("migrations/0014_sound.sql"),
    include_str!("migrations/0015_leaders.sql"),
    include_str!("migrations/0016_self_test.sql"),
    include_str!("migrations/0017_copies.sql"),
    include_str!("migrations/0018_call_lists.sql"),
    include_str!("migrations/0019_joined.sql"),
    include_str!("migrations/0020_moved.sql"),
    include_str!("migrations/0021_search.sql"),
    include_str!("migrations/0022_bookmarks.sql"),
    include_str!("migrations/0023_exercises.sql"),
    include_str!("migrations/0024_keeping.sql"),
    include_str!("migrations/0025_replies.sql"),
    include_str!("migrations/0026_removing.sql"),
    include_str!("migrations/0027_derived.sql"),
    include_str!("migrations/0028_flac.sql"),
    include_str!("migrations/0029_keys.sql"),
    include_str!("migrations/0030_policies.sql"),
    include_str!("migrations/0031_keeping_doubts.sql"),
    include_str!("migrations/0032_handover.sql"),
    include_str!("migrations/0033_numbers.sql"),
    include_str!("migrations/0034_unlogged.sql"),
    include_str!("migrations/0035_tested_numbers.sql"),
];

/// The first SQLite that does not lose commits when two connections reset the WAL.
const OLDEST_SQLITE: i32 = 3_051_003;

/// Instructions of SQLite between two looks at whether a check is given up.
const STEPS: i32 = 1000;

pub(super) fn open(path: &Path) -> Result<Connection> {
    assert_sqlite()?;
    let connection = Connection::open(path)?;
    // One that is refused is closed as it is.
    connection.set_db_config(DbConfig::SQLITE_DBCONFIG_NO_CKPT_ON_CLOSE, true)?;
    prepare(&connection)?;
    assert_known(&connection, MIGRATIONS)?;
    let connection = ready(connection, path)?;
    connection.set_db_config(DbConfig::SQLITE_DBCONFIG_NO_CKPT_ON_CLOSE, false)?;
    Ok(connection)
}

fn ready(mut connection: Connection, path: &Path) -> Result<Connection> {
    let mode: String =
        connection.pragma_update_and_check(None, "journal_mode", "wal", |row| row.get(0))?;
    if mode != "wal" {
        return Err(StoreError::Unreadable(format!("journal mode is {mode}, not wal")));
    }
    migrate(&mut connection, Some(path), MIGRATIONS)?;
    Ok(connection)
}

/// As [`open`], of one that may have been damaged, or have another one's log of writes beside it: nothing is written to it
/// before it is found sound. A big one takes its time, which `given_up` ends, and in which it may not change: `is_unchanged`.
pub(super) fn open_sound(
    path: &Path,
    given_up: impl FnMut() -> bool + Send + 'static,
    is_unchanged: impl FnOnce() -> Result<()>,
) -> Result<Connection> {
    assert_sqlite()?;
    let connection = Connection::open(path)?;
    connection.set_db_config(DbConfig::SQLITE_DBCONFIG_NO_CKPT_ON_CLOSE, true)?;
    prepare(&connection)?;
    assert_known(&connection, MIGRATIONS)?;
    // Whether it can be written at all is known at once.
    connection.execute_batch("BEGIN IMMEDIATE; ROLLBACK")?;
    assert_sound(path, given_up)?;
    is_unchanged()?;
    let connection = ready(connection, path)?;
    connection.set_db_config(DbConfig::SQLITE_DBCONFIG_NO_CKPT_ON_CLOSE, false)?;
    Ok(connection)
}

/// But for the index of the search, which is not looked into: it is made anew where it is at fault.
fn assert_sound(path: &Path, given_up: impl FnMut() -> bool + Send + 'static) -> Result<()> {
    let mut connection = Connection::open(path)?;
    connection.set_db_config(DbConfig::SQLITE_DBCONFIG_NO_CKPT_ON_CLOSE, true)?;
    prepare(&connection)?;
    // SAFETY: the connection is open, and no array of names is given: it knows no virtual table any more.
    unsafe { ffi::sqlite3_drop_modules(connection.handle(), std::ptr::null_mut()) };
    connection.progress_handler(STEPS, Some(given_up))?;
    let said: String = connection.query_row("PRAGMA quick_check(1)", [], |row| row.get(0))?;
    if said == "ok" { Ok(()) } else { Err(StoreError::Corrupt(said)) }
}

pub(super) fn open_in_memory() -> Result<Connection> {
    assert_sqlite()?;
    let mut connection = Connection::open_in_memory()?;
    prepare(&connection)?;
    migrate(&mut connection, None, MIGRATIONS)?;
    Ok(connection)
}

fn assert_sqlite() -> Result<()> {
    if rusqlite::version_number() < OLDEST_SQLITE {
        return Err(StoreError::OldSqlite(rusqlite::version().to_owned()));
    }
    Ok(())
}

pub(super) fn prepare(connection: &Connection) -> Result<()> {
    connection.busy_timeout(Duration::from_secs(1))?;
    connection.pragma_update(None, "synchronous", "full")?;
    connection.pragma_update(None, "foreign_keys", true)?;
    connection.pragma_update(None, "trusted_schema", false)?;
    connection.pragma_update(None, "temp_store", "memory")?;
    connection.pragma_update(None, "journal_size_limit", 64 * 1024 * 1024)?;
    // Plans that depend on no value: else each use of a cached statement prepares it anew.
    connection.set_db_config(DbConfig::SQLITE_DBCONFIG_ENABLE_QPSG, true)?;
    connection.set_prepared_statement_cache_capacity(256);
    Ok(())
}

fn version(connection: &Connection) -> Result<i64> {
    Ok(connection.pragma_query_value(None, "user_version", |row| row.get(0))?)
}

/// Which schema it has, and which this program has.
fn assert_known(connection: &Connection, migrations: &[&str]) -> Result<(i64, i64)> {
    let known = i64::try_from(migrations.len()).expect("few migrations");
    match version(connection)? {
        found if found > known => Err(StoreError::Newer { found, known }),
        found => Ok((found, known)),
    }
}

fn migrate(connection: &mut Connection, path: Option<&Path>, migrations: &[&str]) -> Result<()> {
    let (found, known) = assert_known(connection, migrations)?;
    if found == known {
        return Ok(());
    }
    if let Some(path) = path
        && found > 0
    {
        back_up(connection, &backup_path(path, found))?;
    }
    let change = connection.transaction_with_behavior(TransactionBehavior::Immediate)?;
    // Another process may have migrated while this one waited for the lock.
    let done = usize::try_from(version(&change)?).unwrap_or(0);
    Chain::migrating(&change, |change| {
        migrations.iter().skip(done).try_for_each(|migration| Ok(change.execute_batch(migration)?))
    })?;
    change.pragma_update(None, "user_version", known)?;
    change.commit()?;
    Ok(())
}

/// `dutyline.db` of schema 3 is kept as `dutyline.db.schema-3.bak`.
fn backup_path(path: &Path, version: i64) -> PathBuf {
    let mut name = path.as_os_str().to_owned();
    name.push(format!(".schema-{version}.bak"));
    PathBuf::from(name)
}

fn back_up(connection: &Connection, to: &Path) -> Result<()> {
    if to.exists() {
        return Ok(());
    }
    connection.backup("main", to, None::<fn(Progress)>)?;
    owner::give_to_owner(to)
        .map_err(|fault| StoreError::Unreadable(format!("{}: {fault}", to.display())))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::duty::escalation::{Decision, Policy, decide};
    use crate::duty::ids::EscalationId;
    use crate::duty::roster::{Person, Role, Roster};
    use crate::io::proof::key::SigningKey;
    use crate::io::proof::witness::Copies;
    use crate::io::store::escalations::load;
    use crate::io::store::tests::{at, random};
    use crate::io::store::{Checked, Fault, Scope, Sounds, Store, wait};
    use crate::protocol::now::{Mono, Now};
    use chrono::{DateTime, Utc};
    use std::sync::Arc;

    #[test]
    fn a_file_is_backed_up_before_it_is_migrated() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("log.db");
        drop(open(&path).unwrap());
        let mut old = Connection::open(&path).unwrap();
        let more = [MIGRATIONS, &["CREATE TABLE more (id INTEGER PRIMARY KEY) STRICT"]].concat();
        migrate(&mut old, Some(&path), &more).unwrap();
        let before = i64::try_from(MIGRATIONS.len()).unwrap();
        let backup = Connection::open(backup_path(&path, before)).unwrap();
        let tables = |sql: &Connection| -> i64 {
            sql.query_row("SELECT count(*) FROM sqlite_schema WHERE name='more'", [], |r| r.get(0))
                .unwrap()
        };
        assert_eq!((tables(&old), tables(&backup)), (1, 0));
    }

    #[test]
    fn rel_18_a_newer_schema_is_refused_and_left_as_it_is() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("log.db");
        let connection = open(&path).unwrap();
        connection.pragma_update(None, "user_version", 99).unwrap();
        connection.pragma_update(None, "journal_mode", "delete").unwrap();
        drop(connection);
        let before = std::fs::read(&path).unwrap();
        let known = i64::try_from(MIGRATIONS.len()).unwrap();
        let newer = StoreError::Newer { found: 99, known };
        assert_eq!(open(&path).unwrap_err(), newer);
        assert_eq!(open_sound(&path, || false, || Ok(())).unwrap_err(), newer);
        assert!(std::fs::read(&path).unwrap() == before, "not a byte of it is changed");
    }

    #[test]
    fn a_migration_that_fails_leaves_the_file_as_it_was() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("log.db");
        let mut connection = open(&path).unwrap();
        let more = [MIGRATIONS, &["CREATE TABLE more (id) ", "nonsense"]].concat();
        assert!(migrate(&mut connection, Some(&path), &more).is_err());
        assert!(open(&path).is_ok());
    }

    #[test]
    fn writes_are_durable_when_they_are_answered() {
        let folder = tempfile::tempdir().unwrap();
        let connection = open(&folder.path().join("log.db")).unwrap();
        let level: i64 =
            connection.pragma_query_value(None, "synchronous", |row| row.get(0)).unwrap();
        assert_eq!(level, 2, "FULL");
    }

    #[test]
    fn esc_77_what_was_acknowledged_in_an_older_log_is_never_raised_again() {
        let mut old = Connection::open_in_memory().unwrap();
        prepare(&old).unwrap();
        migrate(&mut old, None, &MIGRATIONS[..1]).unwrap();
        let ids = [1, 2].map(|n| EscalationId(uuid::Uuid::from_u128(n)));
        for (id, reached) in ids.iter().zip(["NULL", "9000"]) {
            old.execute_batch(&format!(
                "INSERT INTO entry (id, number, source, occurred_ms, recorded_ms)
                   VALUES ('{id}', '{id}', 'call_in', 0, 0);
                 INSERT INTO call (id, number, entry, direction, state, arrived_ms, arrived_mono)
                   VALUES ('{id}', '{id}', '{id}', 'to_leader', 'ended', 0, 0);
                 INSERT INTO escalation (id, entry, urgency, state, raised_by, raised_ms,
                   round_ms, leader_reached_ms)
                   VALUES ('{id}', '{id}', 'urgent', 'acknowledged', '王值班', 0, 0, {reached});
                 INSERT INTO attempt (id, escalation, seq, round, role, person, target, why,
                   started_ms, ended_ms, result)
                   VALUES ('{id}', '{id}', 1, 0, 'substitute', 'S', '1002', '', 0, 9000,
                     'acknowledged');
                 INSERT INTO acknowledgement VALUES
                   ('{id}', '{id}', 'S', 'substitute', 'phone_key', 9000, 'first');"
            ))
            .unwrap();
        }
        migrate(&mut old, None, MIGRATIONS).unwrap();
        let read = "SELECT group_concat(read_ms || read_by || read_how) FROM escalation";
        let read: String = old.query_row(read, [], |row| row.get(0)).unwrap();
        assert_eq!(read, "9000Sbefore,9000Sbefore");
        let person = |name: &str, role| Person::new(name, role, Some(name), None);
        let mut roster =
            Roster { people: vec![person("L", Role::Leader), person("S", Role::Substitute)] };
        let wall: DateTime<Utc> = "2026-10-03T13:42:00Z".parse().unwrap();
        let next = |nth: usize, roster: &Roster| {
            let now = Now { mono: Mono(1 << 50), wall };
            decide(&load(&old, ids[nth]).unwrap(), &Policy::default(), roster, now)
        };
        assert_eq!(next(1, &roster), Decision::Done);
        let Decision::Notify(calls) = next(0, &roster) else { panic!("{:?}", next(0, &roster)) };
        assert!(calls.iter().all(|call| call.person == "L"), "as before: {calls:?}");
        roster.people.remove(0);
        roster.people[0].role = Role::Leader;
        assert_eq!(next(0, &roster), Decision::Done, "he knows");
    }

    #[test]
    fn calls_of_the_first_schema_keep_what_was_said_of_their_callers() {
        let mut old = Connection::open_in_memory().unwrap();
        prepare(&old).unwrap();
        migrate(&mut old, None, &MIGRATIONS[..1]).unwrap();
        for (id, asserted) in [("a", "NULL, NULL, NULL"), ("b", "'110', '张', x'6162'")] {
            let caller = if id == "a" { "8001" } else { "110" };
            old.execute_batch(&format!(
                "INSERT INTO entry (id, number, source, occurred_ms, recorded_ms)
                   VALUES ('{id}', '{id}', 'call_in', 0, 0);
                 INSERT INTO call (id, number, entry, direction, state, caller, caller_plain,
                   from_user, from_display, from_raw, asserted_user, asserted_display,
                   asserted_raw, arrived_ms, arrived_mono)
                 VALUES ('{id}', '{id}', '{id}', 'in', 'ended', '{caller}', '{caller}', '8001', '',
                   x'78', {asserted}, 0, 0);"
            ))
            .unwrap();
        }
        old.execute_batch("INSERT INTO carried VALUES ('a', 'officer', 7, 6, 5, 4, 3)").unwrap();
        migrate(&mut old, None, MIGRATIONS).unwrap();
        let text = |query: &str| -> String { old.query_row(query, [], |row| row.get(0)).unwrap() };
        assert_eq!(
            text("SELECT group_concat(call || place || header || chosen || hex(raw)) FROM claim"),
            "a0from178,b0from078,b1p_asserted_identity16162"
        );
        assert_eq!(
            text("SELECT group_concat(id || chosen_from || vouched || caller_plain) FROM call"),
            "afrom08001,bp_asserted_identity1110"
        );
        let counts = "received || sent || lost || strangers || untaped";
        assert_eq!(
            text(&format!("SELECT call || party || closed_ms || {counts} FROM carried")),
            "aofficer076543"
        );
    }
    /// Calls of an older log, one a day from the first on, with what was audited in between: (day, what).
    fn of_before_the_meter(audited: &[(i64, &str, &str)], sealed: &[(&str, i64)]) -> Connection {
        before_the_meter(Connection::open_in_memory().unwrap(), audited, sealed)
    }

    fn before_the_meter(
        mut old: Connection,
        audited: &[(i64, &str, &str)],
        sealed: &[(&str, i64)],
    ) -> Connection {
        prepare(&old).unwrap();
        let before = MIGRATIONS.iter().position(|sql| sql.contains("CREATE TABLE hour_meter"));
        migrate(&mut old, None, &MIGRATIONS[..before.unwrap()]).unwrap();
        for (call, day) in sealed {
            old.execute_batch(&format!(
                "INSERT INTO entry (id, number, source, occurred_ms, recorded_ms)
                   VALUES ('{call}', '{call}', 'call_in', 0, 0);
                 INSERT INTO call (id, number, entry, direction, state, caller, caller_plain,
                   arrived_ms, arrived_mono)
                   VALUES ('{call}', '{call}', '{call}', 'in', 'ended', '', '', 0, 0);
                 INSERT INTO recording (call, state, started_ms, wav, digest, sealed_ms)
                   VALUES ('{call}', 'sealed', 0, '{call}.wav', 'x', {day} * 86400000)"
            ))
            .unwrap();
        }
        for (day, action, object) in audited {
            old.execute(
                "INSERT INTO audit (at_ms, actor, terminal, action, object, detail, prev_digest, digest)
                 VALUES (?1 * 86400000, '', '', ?2, ?3, iif(?2 = 'clock.step', ?3, ''), '', '')",
                (day, action, object),
            )
            .unwrap();
        }
        old
    }

    fn ages(old: &mut Connection) -> Vec<i64> {
        migrate(old, None, MIGRATIONS).unwrap();
        let mut rows =
            old.prepare("SELECT -count_ms / 86400000 FROM recording_age ORDER BY call").unwrap();
        rows.query_map([], |row| row.get(0)).unwrap().map(Result::unwrap).collect()
    }

    #[test]
    fn rec_d14_of_an_older_log_a_recording_is_as_old_as_what_was_logged_before_it_leaves_it() {
        let day = 86_400_000_i64;
        let steps = format!("{}", 9_000 * day);
        let mut old = of_before_the_meter(
            &[
                (20_000, "recording.seal", "a"),
                (11_010, "recording.seal", "b"),
                (11_020, "clock.step", &steps),
                (20_020, "recording.seal", "c"),
                (20_100, "login", "x"),
            ],
            &[("a", 20_000), ("b", 11_010), ("c", 20_020)],
        );
        // b was made when the clock was 9,000 days behind: after a, and before the clock was set.
        let away = "INSERT INTO outage (kind, from_ms, to_ms, why)
             VALUES ('service', 20030 * 86400000, 20040 * 86400000, '')";
        old.execute_batch(away).unwrap();
        assert_eq!(ages(&mut old), [0, 0, 70], "never older than the log can show");

        let mut steady = of_before_the_meter(
            &[(20_000, "recording.seal", "a"), (20_300, "login", "x")],
            &[("a", 20_000)],
        );
        assert_eq!(ages(&mut steady), [300]);

        let back = format!("{}", -10_000 * day);
        let mut ahead = of_before_the_meter(
            &[
                (30_000, "login", "x"),
                (30_000, "clock.step", &back),
                (20_001, "recording.seal", "a"),
                (20_301, "login", "x"),
            ],
            &[("a", 20_001)],
        );
        assert_eq!(
            ages(&mut ahead),
            [300],
            "a clock that was set back since is no reason to doubt"
        );
    }

    #[test]
    fn rec_d14_an_older_log_is_sound_and_is_handed_out_after_it_is_migrated() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("log.db");
        let call = "0199a3c4-0000-7000-8000-000000000001";
        let old = before_the_meter(
            Connection::open(&path).unwrap(),
            &[(20_000, "recording.seal", call), (20_300, "login", "x")],
            &[(call, 20_000)],
        );
        Chain::open(&old, &mut random()).unwrap();
        drop(old);
        let store = Store::open(&path, random()).unwrap();
        let origin = wait(store.origin()).unwrap();
        let key = Arc::new(SigningKey::load_or_make(folder.path(), &origin).unwrap());
        let what = (Scope::Entry(call.parse().unwrap()), Sounds::All);
        let given = [key.public.clone()];
        let gathered = wait(store.gather(None, what, key, at(0.0))).unwrap().unwrap();
        assert!(gathered.rows.iter().any(|row| row.kind == "recording_age"));
        let found = Checked::of(&path, &given, &Copies::default()).unwrap();
        let about = |fault: &&Fault| fault.place.contains("recording_age");
        assert_eq!(found.faults.iter().find(about), None);
    }

    #[test]
    fn rec_d14_a_removal_of_an_older_log_may_have_begun() {
        let mut old = of_before_the_meter(&[], &[("a", 1), ("b", 1)]);
        old.execute_batch(
            "INSERT INTO person (id, login, name, role, password, added_ms)
               VALUES (1, 'a', 'a', 'leader', '', 0), (2, 'b', 'b', 'leader', '', 0);
             INSERT INTO destruction VALUES (1, 'x', 1, 0);
             INSERT INTO destruction_item VALUES (1, 'a'), (1, 'b');
             INSERT INTO destruction_agreement VALUES (1, 2, 0);
             INSERT INTO destroyed VALUES ('a', 1, 7), ('b', 1, 7);
             INSERT INTO going VALUES ('b', 1, 9)",
        )
        .unwrap();
        migrate(&mut old, None, MIGRATIONS).unwrap();
        let going = "SELECT group_concat(call || at_ms || noted) FROM going";
        let going: String = old.query_row(going, [], |row| row.get(0)).unwrap();
        assert_eq!(going, "a70,b91");
    }
}
