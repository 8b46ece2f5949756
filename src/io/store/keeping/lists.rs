//! 销毁清单: made by one, read item by item and agreed to by another, or refused.

use super::past::{due, still_due};
use super::twofold::{SAYINGS, Sayings, Twofold, sayings};
use super::{Agreed, Word, class, class_of};
use crate::duty::ids::{CallId, EntryId};
use crate::duty::keeping::{Class, Rules};
use crate::io::store::audit::{self, Actor};
use crate::io::store::error::Result;
use crate::io::store::text::{Id, Ms, instant, ms};
use crate::io::store::{Store, Who};
use crate::protocol::now::Now;
use chrono::{DateTime, Utc};
use rusqlite::{Connection, OptionalExtension, Row, params};

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ListRow {
    pub made: Word,
    pub recordings: u64,
    pub bytes: u64,
    pub agreed: Option<Word>,
    pub refused: Option<Word>,
    /// Given up, and gone from the disks.
    pub destroyed: u64,
    pub gone: u64,
}

/// What has become of a recording on a list.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ItemState {
    /// For the second person.
    Waits,
    Refused,
    /// It was agreed to, and this was not due any more: held, for one.
    LeftOut,
    /// Its files are still there.
    GivenUp,
    /// Held when its removal had begun: what is left of it stays, until another list.
    Halted,
    /// Held before its files were gone.
    Spared,
    Gone,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ItemRow {
    pub call: CallId,
    pub entry: EntryId,
    pub number: String,
    pub class: Class,
    pub arrived: DateTime<Utc>,
    pub sealed: DateTime<Utc>,
    /// What two people have said of when it was made, at the latest.
    pub dated: Option<DateTime<Utc>>,
    pub duration_ms: i64,
    pub bytes: u64,
    pub state: ItemState,
}

const LIST: Twofold = Twofold { said: "destruction", link: "list", refused: "keeping.refuse" };

/// How many are on it, how large they are, how many of them are given up, and gone.
const COUNTS: &str = "
    (SELECT count(*) FROM destruction_item i WHERE i.list = d.id),
    (SELECT coalesce(sum(r.bytes), 0) FROM destruction_item i
     JOIN recording r ON r.call = i.call WHERE i.list = d.id),
    (SELECT count(*) FROM given_up x WHERE x.list = d.id),
    (SELECT count(*) FROM destroyed x JOIN gone g ON g.call = x.call AND g.list = x.list
     WHERE x.list = d.id)";

fn list(row: &Row<'_>) -> rusqlite::Result<ListRow> {
    let number = |column| row.get::<_, i64>(column).map(i64::unsigned_abs);
    let Sayings { said: made, agreed, refused } = sayings(row)?;
    Ok(ListRow {
        made,
        agreed,
        refused,
        recordings: number(SAYINGS)?,
        bytes: number(SAYINGS + 1)?,
        destroyed: number(SAYINGS + 2)?,
        gone: number(SAYINGS + 3)?,
    })
}

fn items(sql: &Connection, list: &ListRow) -> Result<Vec<ItemRow>> {
    let query = format!(
        "SELECT r.call, e.id, e.number, {class}, c.arrived_ms, r.sealed_ms,
           coalesce(r.duration_ms, 0), coalesce(r.bytes, 0),
           d.call IS NOT NULL, s.call IS NOT NULL, g.call IS NOT NULL, h.call IS NOT NULL,
           (SELECT t.made_ms FROM dating t JOIN dating_agreement b ON b.dating = t.id
            WHERE t.id IN (SELECT x.dating FROM dating_item x WHERE x.call = i.call)
            ORDER BY t.id DESC LIMIT 1)
         FROM destruction_item i JOIN recording r ON r.call = i.call
           JOIN call c ON c.id = i.call JOIN entry e ON e.id = c.entry
           LEFT JOIN destroyed d ON d.call = i.call AND d.list = i.list
           LEFT JOIN spared s ON s.call = i.call AND s.list = i.list
           LEFT JOIN gone g ON g.call = i.call AND g.list = i.list
           LEFT JOIN halted h ON h.call = i.call AND h.list = i.list
         WHERE i.list = ?1 ORDER BY r.sealed_ms, r.call",
        class = class_of("i.call"),
    );
    let mut rows = sql.prepare_cached(&query)?;
    let rows = rows.query_map([list.made.id], |row| {
        let state = match (row.get(8)?, row.get(9)?, row.get(10)?, row.get(11)?) {
            (_, _, true, _) => ItemState::Gone,
            (_, true, ..) => ItemState::Spared,
            (_, _, _, true) => ItemState::Halted,
            (true, ..) => ItemState::GivenUp,
            _ if list.refused.is_some() => ItemState::Refused,
            _ if list.agreed.is_some() => ItemState::LeftOut,
            _ => ItemState::Waits,
        };
        Ok(ItemRow {
            call: row.get::<_, Id<CallId>>(0)?.0,
            entry: row.get::<_, Id<EntryId>>(1)?.0,
            number: row.get(2)?,
            class: class(row, 3)?,
            arrived: row.get::<_, Ms>(4)?.0,
            sealed: row.get::<_, Ms>(5)?.0,
            dated: instant(row, 12)?,
            duration_ms: row.get(6)?,
            bytes: row.get::<_, i64>(7)?.unsigned_abs(),
            state,
        })
    })?;
    Ok(rows.collect::<rusqlite::Result<_>>()?)
}

impl Store {
    /// The first of the two puts what is due on a list. `None`: nothing is, or there is no reason.
    pub async fn list_for_destruction(
        &self,
        who: &Who,
        rules: Rules,
        reason: &str,
        now: Now,
    ) -> Result<Option<i64>> {
        let (person, actor, reason) = (who.id, Actor::from(who), reason.trim().to_owned());
        if reason.is_empty() {
            return Ok(None);
        }
        let calls = self.read(move |sql| due(sql, &rules, now)).await?;
        self.write(move |tx| {
            let calls = still_due(tx.sql, &rules, &calls, now)?;
            if calls.is_empty() {
                return Ok(None);
            }
            tx.sql.execute(
                "INSERT INTO destruction (reason, person, at_ms) VALUES (?1, ?2, ?3)",
                params![reason, person.0, ms(now.wall)],
            )?;
            let list = tx.sql.last_insert_rowid();
            let mut item = tx
                .sql
                .prepare_cached("INSERT INTO destruction_item (list, call) VALUES (?1, ?2)")?;
            for call in &calls {
                item.execute(params![list, Id(*call)])?;
            }
            let detail = format!("{} · {reason}", calls.len());
            audit::append(tx.sql, now, &actor, "keeping.list", &list.to_string(), &detail)?;
            Ok(Some(list))
        })
        .await
    }

    /// The newest, and each that waits for its second person; the newest first.
    pub async fn destruction_lists(&self, most: u32) -> Result<Vec<ListRow>> {
        self.read(move |sql| {
            let mut rows = sql.prepare_cached(&LIST.newest(COUNTS))?;
            let rows = rows.query_map([most], list)?;
            Ok(rows.collect::<rusqlite::Result<_>>()?)
        })
        .await
    }

    /// A list and what is on it.
    pub async fn destruction_list(&self, id: i64) -> Result<Option<(ListRow, Vec<ItemRow>)>> {
        self.read(move |sql| {
            let mut row =
                sql.prepare_cached(&format!("{} WHERE d.id = ?1", LIST.select(COUNTS)))?;
            let Some(row) = row.query_row([id], list).optional()? else { return Ok(None) };
            let items = items(sql, &row)?;
            Ok(Some((row, items)))
        })
        .await
    }

    /// The second, who must be another one. What is held by now, or for another reason not due any more, is left out.
    pub async fn agree_to_destruction(
        &self,
        who: &Who,
        list: i64,
        rules: Rules,
        now: Now,
    ) -> Result<Agreed> {
        let (person, actor) = (who.id, Actor::from(who));
        self.write(move |tx| {
            let may = LIST.second(tx.sql, list, person)?;
            if may != Agreed::Agreed {
                return Ok(may);
            }
            tx.sql.execute(
                "INSERT INTO destruction_agreement (list, person, at_ms) VALUES (?1, ?2, ?3)",
                params![list, person.0, ms(now.wall)],
            )?;
            let mut calls =
                tx.sql.prepare_cached("SELECT call FROM destruction_item WHERE list = ?1")?;
            let calls = calls.query_map([list], |row| Ok(row.get::<_, Id<CallId>>(0)?.0))?;
            let calls: Vec<CallId> = calls.collect::<rusqlite::Result<_>>()?;
            let mut give_up = tx
                .sql
                .prepare_cached("INSERT INTO destroyed (call, list, at_ms) VALUES (?1, ?2, ?3)")?;
            let due = still_due(tx.sql, &rules, &calls, now)?;
            for call in &due {
                give_up.execute(params![Id(*call), list, ms(now.wall)])?;
            }
            let detail = format!("{} / {}", due.len(), calls.len());
            audit::append(tx.sql, now, &actor, "keeping.destroy", &list.to_string(), &detail)?;
            Ok(Agreed::Agreed)
        })
        .await
        .inspect(|_| self.inner.gives_up.notify_one())
    }

    /// Says no to a list, or takes it back: what is on it is as before. False: it does not wait, or there is no reason.
    pub async fn refuse_destruction(
        &self,
        who: &Who,
        list: i64,
        reason: &str,
        now: Now,
    ) -> Result<bool> {
        LIST.refuse(self, who, (list, reason), now).await
    }

    /// It is on neither disk any more: the row says so whatever became of it meanwhile.
    pub async fn is_gone(&self, call: CallId, now: Now) -> Result<()> {
        self.write(move |tx| {
            let gone = tx.sql.execute(
                "INSERT OR IGNORE INTO gone (call, list, at_ms)
                 SELECT call, max(list), ?2 FROM destroyed WHERE call = ?1 GROUP BY call",
                params![Id(call), ms(now.wall)],
            )?;
            if gone > 0 {
                let actor = Actor::system("I-3");
                audit::append(tx.sql, now, &actor, "keeping.gone", &call.to_string(), "")?;
            }
            Ok(())
        })
        .await
    }
}
