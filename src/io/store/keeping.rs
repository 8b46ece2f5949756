//! 封存保全 and 销毁清单: what is held, what is past its keeping, and what two people have agreed to destroy.

mod holds;
mod lists;

pub use holds::{Held, HoldRow};
pub use lists::{ItemRow, ItemState, ListRow};

use super::Store;
use super::audit::{self, Actor};
use super::error::Result;
use super::recordings::KeptFiles;
use super::text::{Id, Ms, json, ms};
use crate::duty::ids::CallId;
use crate::duty::keeping::{Class, Kept, Rules, Verdict};
use crate::protocol::now::Now;
use chrono::{DateTime, Utc};
use rusqlite::{Connection, OptionalExtension, Row, params};
use std::path::PathBuf;

/// Recordings on one list: more make another one. A second person reads them one by one, and the write that gives them
/// up keeps no call waiting.
pub const LIST_MOST: usize = 500;

/// What came of a second person's word.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Agreed {
    Agreed,
    /// It takes another one than the first.
    SamePerson,
    /// There is nothing to agree to, any more or at all.
    Nothing,
}

/// Who, when, and why or what of.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Word {
    pub id: i64,
    pub name: String,
    pub at: DateTime<Utc>,
    pub reason: String,
}

/// A recording that may be put on a list.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DueRow {
    pub call: CallId,
    pub number: String,
    pub class: Class,
    pub sealed: DateTime<Utc>,
    pub bytes: u64,
}

/// What a list would hold, and how many recordings are left out of it for which reason: nothing is changed by looking.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Due {
    pub list: Vec<DueRow>,
    /// More than one list holds.
    pub more: u64,
    pub held: u64,
    pub no_copy: u64,
    pub kept: u64,
}

/// The entries whose matter a call is of: its own, of those in whose stead a leader was told in it, and what is about
/// them or what they are about, however often.
fn matter(call: &str) -> String {
    format!(
        "WITH RECURSIVE matter (entry) AS (
           SELECT o.entry FROM call o WHERE o.id = {call}
           UNION SELECT e.entry FROM attempt a CROSS JOIN escalation e ON e.id = a.escalation
             WHERE a.joined = {call}
           UNION SELECT o.about FROM matter m CROSS JOIN call o ON o.entry = m.entry
             WHERE o.about IS NOT NULL
           UNION SELECT o.entry FROM matter m CROSS JOIN call o ON o.about = m.entry)"
    )
}

/// A hold that covers it: the newest.
pub(super) fn held(call: &str) -> String {
    let matter = matter(call);
    format!(
        "({matter} SELECT max(h.id) FROM matter m CROSS JOIN hold h ON h.entry = m.entry
           LEFT JOIN hold_release f ON f.hold = h.id WHERE f.hold IS NULL)"
    )
}

fn class_of(call: &str) -> String {
    let matter = matter(call);
    format!(
        "CASE WHEN (SELECT o.disposition FROM call o WHERE o.id = {call}) = 'self_test' THEN 2
           WHEN EXISTS (SELECT 1 FROM attempt a WHERE a.joined = {call}) THEN 1
           WHEN EXISTS ({matter} SELECT 1 FROM matter m CROSS JOIN entry u ON u.id = m.entry
             WHERE u.urgency <> 'routine'
               OR EXISTS (SELECT 1 FROM escalation x WHERE x.entry = m.entry)) THEN 1
           ELSE 0 END"
    )
}

/// Sealed by then, not destroyed, and on no list that waits for its second person.
fn candidates(and: &str) -> String {
    format!(
        "SELECT r.call, e.number, {class}, r.sealed_ms, coalesce(r.bytes, 0), {held} IS NOT NULL,
           (SELECT count(*) FROM copy k WHERE k.call = r.call) >= 1 + (r.tape_digest IS NOT NULL)
         FROM kept_recording r JOIN call c ON c.id = r.call JOIN entry e ON e.id = c.entry
         WHERE r.digest IS NOT NULL AND r.sealed_ms <= ?1 AND NOT EXISTS (
           SELECT 1 FROM destruction_item i LEFT JOIN destruction_agreement a ON a.list = i.list
             LEFT JOIN destruction_refusal n ON n.list = i.list
           WHERE i.call = r.call AND a.list IS NULL AND n.list IS NULL) {and}",
        class = class_of("r.call"),
        held = held("r.call"),
    )
}

fn class(row: &Row<'_>, column: usize) -> rusqlite::Result<Class> {
    Ok(match row.get(column)? {
        0 => Class::Ordinary,
        1 => Class::Urgent,
        _ => Class::SelfTest,
    })
}

fn candidate(row: &Row<'_>) -> rusqlite::Result<(DueRow, Kept)> {
    let class = class(row, 2)?;
    let sealed = row.get::<_, Ms>(3)?.0;
    let due = DueRow {
        call: row.get::<_, Id<CallId>>(0)?.0,
        number: row.get(1)?,
        class,
        sealed,
        bytes: row.get::<_, i64>(4)?.unsigned_abs(),
    };
    Ok((due, Kept { class, sealed, held: row.get(5)?, copied: row.get(6)? }))
}

/// Before this, something may be due.
fn oldest(rules: &Rules, now: DateTime<Utc>) -> Option<i64> {
    Some(ms(now - rules.shortest()?))
}

/// Much to read: never on the writer.
fn due(sql: &Connection, rules: &Rules, now: DateTime<Utc>) -> Result<Due> {
    let mut found = Due::default();
    let before = oldest(rules, now);
    let young = "SELECT count(*) FROM recording WHERE digest IS NOT NULL AND sealed_ms > ?1";
    let young: i64 =
        sql.prepare_cached(young)?.query_row([before.unwrap_or(i64::MIN)], |row| row.get(0))?;
    found.kept = young.unsigned_abs();
    let Some(before) = before else { return Ok(found) };
    let mut rows = sql.prepare_cached(&candidates("ORDER BY r.sealed_ms, r.call"))?;
    for row in rows.query_map([before], candidate)? {
        let (row, kept) = row?;
        match rules.judge(&kept, now) {
            Verdict::Due if found.list.len() < LIST_MOST => found.list.push(row),
            Verdict::Due => found.more += 1,
            Verdict::Held => found.held += 1,
            Verdict::NoCopy => found.no_copy += 1,
            Verdict::ForEver | Verdict::NotYet => found.kept += 1,
        }
    }
    Ok(found)
}

/// Which of these are due.
fn still_due(
    sql: &Connection,
    rules: &Rules,
    calls: &[CallId],
    now: DateTime<Utc>,
) -> Result<Vec<CallId>> {
    let Some(before) = oldest(rules, now) else { return Ok(vec![]) };
    let calls: Vec<_> = calls.iter().map(ToString::to_string).collect();
    let query = candidates("AND r.call IN (SELECT value FROM json_each(?2)) ORDER BY r.call");
    let mut rows = sql.prepare_cached(&query)?;
    let mut due = vec![];
    for row in rows.query_map(params![before, json(&calls)?], candidate)? {
        let (row, kept) = row?;
        if rules.judge(&kept, now) == Verdict::Due {
            due.push(row.call);
        }
    }
    Ok(due)
}

/// A word at these four columns, where there is one.
fn word(row: &Row<'_>, at: usize) -> rusqlite::Result<Option<Word>> {
    let Some(id) = row.get::<_, Option<i64>>(at)? else { return Ok(None) };
    let (name, moment) = (row.get(at + 1)?, row.get::<_, Ms>(at + 2)?.0);
    Ok(Some(Word { id, name, at: moment, reason: row.get(at + 3)? }))
}

fn required(word: Option<Word>) -> rusqlite::Result<Word> {
    word.ok_or(rusqlite::Error::QueryReturnedNoRows)
}

/// What was begun is gone on with, and settled where somebody holds it meanwhile.
fn to_remove(and: &str) -> String {
    let held = held("d.call");
    format!(
        "SELECT * FROM (
           SELECT r.call AS call, coalesce(f.path, r.wav), r.tape, d.list AS list, b.call IS NOT NULL AS begun,
             {held} AS held
           FROM given_up d CROSS JOIN recording r ON r.call = d.call
             LEFT JOIN flac f ON f.call = d.call
             LEFT JOIN gone g ON g.call = d.call
             LEFT JOIN going b ON b.call = d.call AND b.list = d.list
           WHERE g.call IS NULL {and})
         WHERE begun OR held IS NULL"
    )
}

/// A recording that is given up and not gone.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Doomed {
    pub files: KeptFiles,
    list: i64,
    /// Its removal was begun: of its files some may be gone.
    pub begun: bool,
    /// Somebody holds it since then.
    pub held: bool,
}

/// What is to be done with a recording, asked anew.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Fate {
    Remove,
    /// It was held after its removal had begun.
    Settle,
    /// It is held, or gone.
    Leave,
}

fn doomed(row: &Row<'_>) -> rusqlite::Result<Doomed> {
    let path = |column| {
        let path = row.get::<_, Option<String>>(column)?;
        Ok::<_, rusqlite::Error>(path.filter(|path| !path.is_empty()).map(PathBuf::from))
    };
    Ok(Doomed {
        files: KeptFiles { call: row.get::<_, Id<CallId>>(0)?.0, wav: path(1)?, tape: path(2)? },
        list: row.get(3)?,
        begun: row.get(4)?,
        held: row.get::<_, Option<i64>>(5)?.is_some(),
    })
}

impl Store {
    /// What a list would hold if it were made now.
    pub async fn due(&self, rules: Rules, now: Now) -> Result<Due> {
        self.read(move |sql| due(sql, &rules, now.wall)).await
    }

    /// Recordings after this one that are given up and not gone: held by nobody, or their removal was begun.
    pub async fn doomed(&self, after: Option<CallId>, most: u32) -> Result<Vec<Doomed>> {
        let after = after.map_or_else(String::new, |call| call.to_string());
        self.read(move |sql| {
            let query = format!("{} ORDER BY call LIMIT ?2", to_remove("AND d.call > ?1"));
            let mut rows = sql.prepare_cached(&query)?;
            let rows = rows.query_map(params![after, most], doomed)?;
            Ok(rows.collect::<rusqlite::Result<_>>()?)
        })
        .await
    }

    /// Asked before the files of each are removed, and noted: who holds it from then on is told that it is too late. It
    /// waits for all that was written before.
    pub async fn begin_removal(&self, call: CallId, now: Now) -> Result<Fate> {
        self.write(move |tx| {
            let query = to_remove("AND d.call = ?1");
            let found = tx.sql.prepare_cached(&query)?.query_row([Id(call)], doomed).optional()?;
            let Some(found) = found else { return Ok(Fate::Leave) };
            if found.held {
                return Ok(Fate::Settle);
            }
            tx.sql.execute(
                "INSERT OR IGNORE INTO going (call, list, at_ms) VALUES (?1, ?2, ?3)",
                params![Id(call), found.list, ms(now.wall)],
            )?;
            Ok(Fate::Remove)
        })
        .await
    }

    /// All of it is there still, though its removal had begun when it was held: it stays.
    pub async fn is_spared(&self, call: CallId, now: Now) -> Result<()> {
        self.write(move |tx| {
            let query = format!(
                "INSERT INTO spared (call, list, hold, at_ms)
                 SELECT call, list, held, ?2 FROM ({}) WHERE held IS NOT NULL",
                to_remove("AND d.call = ?1")
            );
            let spared = tx.sql.execute(&query, params![Id(call), ms(now.wall)])?;
            if spared > 0 {
                let actor = Actor::system("I-3");
                audit::append(tx.sql, now, &actor, "keeping.spared", &call.to_string(), "")?;
            }
            Ok(())
        })
        .await
    }

    /// Returns when two people have agreed to destroy something since the last time.
    pub async fn gives_up(&self) {
        self.inner.gives_up.notified().await;
    }

    /// Its files are to be there.
    pub async fn is_kept(&self, call: CallId) -> Result<bool> {
        self.read(move |sql| {
            let query = "SELECT 1 FROM kept_recording WHERE call = ?1";
            Ok(sql.prepare_cached(query)?.exists([Id(call)])?)
        })
        .await
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::io::store::tests::store;
    use rusqlite::params_from_iter;

    /// Tables that grow with every call, and that the plan reads whole.
    fn scans(sql: &Connection, query: &str) -> Vec<String> {
        const MUCH: &[&str] = &[
            "r",
            "c",
            "i",
            "k",
            "d",
            "s",
            "g",
            "a",
            "n",
            "b",
            "e",
            "h",
            "o",
            "u",
            "x",
            "call",
            "entry",
            "attempt",
            "escalation",
            "recording",
            "destroyed",
            "spared",
            "gone",
            "going",
        ];
        let mut rows = sql.prepare(&format!("EXPLAIN QUERY PLAN {query}")).unwrap();
        let values = vec![0; rows.parameter_count()];
        let steps = rows.query_map(params_from_iter(values), |row| row.get::<_, String>(3));
        let steps = steps.unwrap().map(std::result::Result::unwrap);
        let whole = |step: &String| {
            let table = step.strip_prefix("SCAN ").and_then(|rest| rest.split(' ').next());
            table.is_some_and(|table| MUCH.contains(&table))
        };
        steps.filter(whole).collect()
    }

    #[test]
    fn rec_d14_a_write_reads_what_is_on_its_list_and_no_more() {
        let store = store();
        let plans = store.write_now(|tx| {
            let chosen = candidates("AND r.call IN (SELECT value FROM json_each(?2))");
            let give_up =
                "INSERT INTO destroyed (call, list, at_ms) VALUES (?1, ?2, ?3)".to_owned();
            let all = [chosen, to_remove("AND d.call = ?1"), holds::COVERED.to_owned(), give_up];
            Ok(all.map(|query| scans(tx.sql, &query)))
        });
        assert_eq!(plans.unwrap(), [const { Vec::<String>::new() }; 4]);
        let listed = "SELECT 1 FROM destruction_item i WHERE i.call = ?1";
        assert!(store.write_now(move |tx| Ok(scans(tx.sql, listed))).unwrap().is_empty());
    }
}
