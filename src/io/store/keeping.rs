//! 封存保全 and 销毁清单: what is held, what is past its keeping, and what two people have agreed to destroy.

mod holds;
mod lists;

pub use holds::{Held, HoldRow};
pub use lists::{ItemRow, ItemState, ListRow};

use super::Store;
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

const CLASS: &str = "
  CASE WHEN c.disposition = 'self_test' THEN 2
    WHEN c.id IN (SELECT call FROM urgent_call) THEN 1 ELSE 0 END";

/// Sealed by then, not destroyed, and on no list that waits for its second person.
fn candidates(and: &str) -> String {
    format!(
        "SELECT r.call, e.number, {CLASS}, r.sealed_ms, coalesce(r.bytes, 0),
           c.id IN (SELECT call FROM held_call),
           (SELECT count(*) FROM copy k WHERE k.call = r.call) >= 1 + (r.tape_digest IS NOT NULL)
         FROM kept_recording r JOIN call c ON c.id = r.call JOIN entry e ON e.id = c.entry
         WHERE r.digest IS NOT NULL AND r.sealed_ms <= ?1 AND NOT EXISTS (
           SELECT 1 FROM destruction_item i LEFT JOIN destruction_agreement a ON a.list = i.list
             LEFT JOIN destruction_refusal n ON n.list = i.list
           WHERE i.call = r.call AND a.list IS NULL AND n.list IS NULL) {and}"
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

const DOOMED: &str = "
  SELECT r.call, r.wav, r.tape FROM given_up d JOIN recording r ON r.call = d.call
    LEFT JOIN gone g ON g.call = d.call
  WHERE g.call IS NULL AND d.call NOT IN (SELECT call FROM held_call)";

fn doomed(row: &Row<'_>) -> rusqlite::Result<KeptFiles> {
    let path = |column| {
        let path = row.get::<_, Option<String>>(column)?;
        Ok::<_, rusqlite::Error>(path.filter(|path| !path.is_empty()).map(PathBuf::from))
    };
    Ok(KeptFiles { call: row.get::<_, Id<CallId>>(0)?.0, wav: path(1)?, tape: path(2)? })
}

impl Store {
    /// What a list would hold if it were made now.
    pub async fn due(&self, rules: Rules, now: Now) -> Result<Due> {
        self.read(move |sql| due(sql, &rules, now.wall)).await
    }

    /// Files that are given up, held by nobody, and not gone yet.
    pub async fn doomed(&self, most: u32) -> Result<Vec<KeptFiles>> {
        self.read(move |sql| {
            let mut rows = sql.prepare_cached(&format!("{DOOMED} ORDER BY r.call LIMIT ?1"))?;
            let rows = rows.query_map([most], doomed)?;
            Ok(rows.collect::<rusqlite::Result<_>>()?)
        })
        .await
    }

    /// Whether it is so now: asked before each is removed. It waits for all that was written before.
    pub async fn is_doomed(&self, call: CallId) -> Result<Option<KeptFiles>> {
        self.write(move |tx| {
            let mut row = tx.sql.prepare_cached(&format!("{DOOMED} AND d.call = ?1"))?;
            Ok(row.query_row([Id(call)], doomed).optional()?)
        })
        .await
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
        const MUCH: &[&str] = &["r", "c", "i", "k", "d", "s", "g", "a", "n"];
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
            Ok([chosen, format!("{DOOMED} AND d.call = ?1")].map(|query| scans(tx.sql, &query)))
        });
        assert_eq!(plans.unwrap(), [vec![], Vec::<String>::new()]);
        let listed = "SELECT 1 FROM destruction_item i WHERE i.call = ?1";
        assert!(store.write_now(move |tx| Ok(scans(tx.sql, listed))).unwrap().is_empty());
    }
}
