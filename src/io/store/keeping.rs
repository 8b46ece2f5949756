//! 封存保全 and 销毁清单: what is held, what is past its keeping, and what two people have agreed to destroy.

mod dates;
mod holds;
mod lists;
mod losses;
mod past;
mod removal;
mod twofold;

pub use dates::{DateRow, DatedRow};
pub use holds::{Held, HoldRow};
pub use lists::{ItemRow, ItemState, ListRow};
pub use losses::LossRow;
pub use past::{After, DoubtfulRow, Due, DueRow};
pub use removal::{Doomed, Fate};

use super::Store;
use super::error::Result;
use super::text::{Id, Ms};
use crate::duty::ids::CallId;
use crate::duty::keeping::Class;
use chrono::{DateTime, Utc};
use rusqlite::Row;

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

/// What is about entries of the matter or what they are about, however often.
const ABOUT: &str = "
  UNION SELECT o.about FROM matter m CROSS JOIN call o ON o.entry = m.entry WHERE o.about IS NOT NULL
  UNION SELECT o.entry FROM matter m CROSS JOIN call o ON o.about = m.entry";

/// The entries whose matter a call is of: its own, of those in whose stead a leader was told in it, and what belongs to
/// them.
fn matter(call: &str) -> String {
    format!(
        "WITH RECURSIVE matter (entry) AS (
           SELECT o.entry FROM call o WHERE o.id = {call}
           UNION SELECT e.entry FROM attempt a CROSS JOIN escalation e ON e.id = a.escalation
             WHERE a.joined = {call} {ABOUT})"
    )
}

/// The entries of this one's matter.
pub(super) fn matter_of(entry: &str) -> String {
    format!("WITH RECURSIVE matter (entry) AS (SELECT {entry} {ABOUT})")
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

fn class(row: &Row<'_>, column: usize) -> rusqlite::Result<Class> {
    Ok(match row.get(column)? {
        0 => Class::Ordinary,
        1 => Class::Urgent,
        _ => Class::SelfTest,
    })
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

impl Store {
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
    use rusqlite::{Connection, params_from_iter};

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
            let chosen = past::candidates("AND r.call IN (SELECT value FROM json_each(?1))");
            let give_up =
                "INSERT INTO destroyed (call, list, at_ms) VALUES (?1, ?2, ?3)".to_owned();
            let all =
                [chosen, removal::to_remove("AND d.call = ?1"), holds::COVERED.to_owned(), give_up];
            Ok(all.map(|query| scans(tx.sql, &query)))
        });
        assert_eq!(plans.unwrap(), [const { Vec::<String>::new() }; 4]);
        let listed = "SELECT 1 FROM destruction_item i WHERE i.call = ?1";
        assert!(store.write_now(move |tx| Ok(scans(tx.sql, listed))).unwrap().is_empty());
    }
}
