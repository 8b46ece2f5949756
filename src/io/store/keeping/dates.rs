//! 日期存疑: when recordings were made whose clock nobody trusts. One says so, of those he has before him and may hear;
//! another one agrees, and from then on their age counts from that date.

use super::past::{LIST_MOST, still_doubtful};
use super::twofold::{SAYINGS, Sayings, Twofold, sayings};
use super::{Agreed, Word};
use crate::duty::ids::{CallId, EntryId};
use crate::duty::keeping::Rules;
use crate::io::store::audit::{self, Actor};
use crate::io::store::error::Result;
use crate::io::store::text::{Id, Ms, ms};
use crate::io::store::{Store, Who, hour_meter};
use crate::protocol::now::Now;
use chrono::{DateTime, Utc};
use rusqlite::{Connection, OptionalExtension, Row, params};

/// When some recordings were made at the latest, as somebody says.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DateRow {
    pub said: Word,
    pub made: DateTime<Utc>,
    pub recordings: u64,
    pub agreed: Option<Word>,
    pub refused: Option<Word>,
}

/// One of them.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DatedRow {
    pub call: CallId,
    pub entry: EntryId,
    pub number: String,
    pub sealed: DateTime<Utc>,
    pub duration_ms: i64,
}

const DATE: Twofold = Twofold { said: "dating", link: "dating", refused: "keeping.refuse_date" };
const MADE: &str = "d.made_ms, (SELECT count(*) FROM dating_item i WHERE i.dating = d.id)";

fn date(row: &Row<'_>) -> rusqlite::Result<DateRow> {
    let Sayings { said, agreed, refused } = sayings(row)?;
    let (made, recordings) = (row.get::<_, Ms>(SAYINGS)?.0, row.get::<_, i64>(SAYINGS + 1)?);
    Ok(DateRow { said, made, recordings: recordings.unsigned_abs(), agreed, refused })
}

fn items(sql: &Connection, dating: i64) -> Result<Vec<DatedRow>> {
    let mut rows = sql.prepare_cached(
        "SELECT r.call, e.id, e.number, r.sealed_ms, coalesce(r.duration_ms, 0)
         FROM dating_item i JOIN recording r ON r.call = i.call JOIN call c ON c.id = i.call
           JOIN entry e ON e.id = c.entry WHERE i.dating = ?1 ORDER BY r.sealed_ms, r.call",
    )?;
    let rows = rows.query_map([dating], |row| {
        Ok(DatedRow {
            call: row.get::<_, Id<CallId>>(0)?.0,
            entry: row.get::<_, Id<EntryId>>(1)?.0,
            number: row.get(2)?,
            sealed: row.get::<_, Ms>(3)?.0,
            duration_ms: row.get(4)?,
        })
    })?;
    Ok(rows.collect::<rusqlite::Result<_>>()?)
}

impl Store {
    /// The first of the two says that these, as many as a list has at most, were made by `made` at the latest. `None`: none of them is doubtful any more,
    /// that moment is to come, or there is no reason.
    pub async fn date(
        &self,
        who: &Who,
        mut calls: Vec<CallId>,
        made: DateTime<Utc>,
        rules: Rules,
        reason: &str,
        now: Now,
    ) -> Result<Option<i64>> {
        let (person, actor, reason) = (who.id, Actor::from(who), reason.trim().to_owned());
        if reason.is_empty() || made > now.wall {
            return Ok(None);
        }
        calls.truncate(LIST_MOST);
        self.write(move |tx| {
            let calls = still_doubtful(tx.sql, &rules, &calls, now)?;
            if calls.is_empty() {
                return Ok(None);
            }
            tx.sql.execute(
                "INSERT INTO dating (made_ms, reason, person, at_ms) VALUES (?1, ?2, ?3, ?4)",
                params![ms(made), reason, person.0, ms(now.wall)],
            )?;
            let dating = tx.sql.last_insert_rowid();
            let mut item =
                tx.sql.prepare_cached("INSERT INTO dating_item (dating, call) VALUES (?1, ?2)")?;
            for call in &calls {
                item.execute(params![dating, Id(*call)])?;
            }
            let detail = format!("{} · {made} · {reason}", calls.len());
            audit::append(tx.sql, now, &actor, "keeping.date", &dating.to_string(), &detail)?;
            Ok(Some(dating))
        })
        .await
    }

    /// The second, who must be another one.
    pub async fn agree_to_date(&self, who: &Who, dating: i64, now: Now) -> Result<Agreed> {
        let (person, actor) = (who.id, Actor::from(who));
        self.write(move |tx| {
            let may = DATE.second(tx.sql, dating, person)?;
            if may != Agreed::Agreed {
                return Ok(may);
            }
            tx.sql.execute(
                "INSERT INTO dating_agreement (dating, person, at_ms, count_ms)
                 VALUES (?1, ?2, ?3, ?4)",
                params![dating, person.0, ms(now.wall), hour_meter::note(tx.sql, now)?],
            )?;
            audit::append(tx.sql, now, &actor, "keeping.agree_date", &dating.to_string(), "")?;
            Ok(Agreed::Agreed)
        })
        .await
    }

    /// Says no, or takes it back. False: it does not wait, or there is no reason.
    pub async fn refuse_date(
        &self,
        who: &Who,
        dating: i64,
        reason: &str,
        now: Now,
    ) -> Result<bool> {
        DATE.refuse(self, who, (dating, reason), now).await
    }

    /// The newest, and each that waits for its second person; the newest first.
    pub async fn dates(&self, most: u32) -> Result<Vec<DateRow>> {
        self.read(move |sql| {
            let mut rows = sql.prepare_cached(&DATE.newest(MADE))?;
            let rows = rows.query_map([most], date)?;
            Ok(rows.collect::<rusqlite::Result<_>>()?)
        })
        .await
    }

    /// One, and which recordings it is about.
    pub async fn dated(&self, dating: i64) -> Result<Option<(DateRow, Vec<DatedRow>)>> {
        self.read(move |sql| {
            let mut row = sql.prepare_cached(&format!("{} WHERE d.id = ?1", DATE.select(MADE)))?;
            let Some(row) = row.query_row([dating], date).optional()? else { return Ok(None) };
            Ok(Some((row, items(sql, dating)?)))
        })
        .await
    }
}
