//! 封存保全: placed by one, released by two. What was given up and is still on the disks when it is held stays there.

use super::{Agreed, Word, required, word};
use crate::duty::ids::EntryId;
use crate::io::store::audit::{self, Actor};
use crate::io::store::error::Result;
use crate::io::store::text::{Id, count, ms};
use crate::io::store::{Store, Who};
use crate::protocol::now::Now;
use rusqlite::{Connection, OptionalExtension, params};

/// What a hold found.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Held {
    pub id: i64,
    /// Recordings that two people had given up, and that stay.
    pub spared: u64,
    /// Recordings that are gone already.
    pub gone: u64,
}

/// Not released.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct HoldRow {
    pub placed: Word,
    pub entry: EntryId,
    pub number: String,
    /// The last one who wants it released.
    pub asked: Option<Word>,
    /// Recordings of it that are gone.
    pub gone: u64,
}

/// Of its calls, of calls of ours about it, and of those in which a leader was told of it.
const GONE: &str = "
  WITH RECURSIVE matter (entry) AS (
    SELECT ?1 UNION SELECT c.entry FROM matter m CROSS JOIN call c ON c.about = m.entry)
  SELECT count(*) FROM gone WHERE call IN (
    SELECT c.id FROM matter m CROSS JOIN call c ON c.entry = m.entry
    UNION SELECT a.joined FROM matter m CROSS JOIN escalation e ON e.entry = m.entry
      CROSS JOIN attempt a ON a.escalation = e.id WHERE a.joined IS NOT NULL)";

fn gone(sql: &Connection, entry: EntryId) -> Result<u64> {
    let gone: i64 = sql.prepare_cached(GONE)?.query_row([Id(entry)], |row| row.get(0))?;
    Ok(gone.unsigned_abs())
}

impl Store {
    /// Nobody destroys recordings of this entry from now on. `None`: no such entry, or no reason.
    pub async fn hold(
        &self,
        who: &Who,
        number: &str,
        reason: &str,
        now: Now,
    ) -> Result<Option<Held>> {
        let (person, actor) = (who.id, Actor::from(who));
        let (number, reason) = (number.trim().to_owned(), reason.trim().to_owned());
        self.write(move |tx| {
            let entry = tx
                .sql
                .prepare_cached("SELECT id FROM entry WHERE number = ?1 AND ?2 <> ''")?
                .query_row([&number, &reason], |row| row.get::<_, Id<EntryId>>(0))
                .optional()?;
            let Some(Id(entry)) = entry else { return Ok(None) };
            tx.sql.execute(
                "INSERT INTO hold (entry, reason, person, at_ms) VALUES (?1, ?2, ?3, ?4)",
                params![Id(entry), reason, person.0, ms(now.wall)],
            )?;
            let id = tx.sql.last_insert_rowid();
            let spared = tx.sql.execute(
                "INSERT INTO spared (call, list, hold, at_ms)
                 SELECT d.call, d.list, ?1, ?2 FROM destroyed d
                 WHERE d.call IN (SELECT call FROM held_call)
                   AND NOT EXISTS (SELECT 1 FROM gone g WHERE g.call = d.call)
                   AND NOT EXISTS
                     (SELECT 1 FROM spared s WHERE s.call = d.call AND s.list = d.list)",
                params![id, ms(now.wall)],
            )?;
            let held = Held { id, spared: spared as u64, gone: gone(tx.sql, entry)? };
            let detail = match held.spared {
                0 => reason,
                spared => format!("{reason} · spared {}", count(spared)),
            };
            audit::append(tx.sql, now, &actor, "keeping.hold", &number, &detail)?;
            Ok(Some(held))
        })
        .await
    }

    /// What is held, the newest first.
    pub async fn holds(&self) -> Result<Vec<HoldRow>> {
        self.read(|sql| {
            let mut rows = sql.prepare_cached(
                "SELECT h.id, p.name, h.at_ms, h.reason, e.id, e.number,
                   q.id, a.name, q.at_ms, q.reason
                 FROM hold h JOIN person p ON p.id = h.person JOIN entry e ON e.id = h.entry
                   LEFT JOIN hold_release f ON f.hold = h.id
                   LEFT JOIN release_request q ON q.id =
                     (SELECT max(id) FROM release_request WHERE hold = h.id)
                   LEFT JOIN person a ON a.id = q.person
                 WHERE f.hold IS NULL ORDER BY h.id DESC",
            )?;
            let rows = rows.query_map([], |row| {
                Ok(HoldRow {
                    placed: required(word(row, 0)?)?,
                    entry: row.get::<_, Id<EntryId>>(4)?.0,
                    number: row.get(5)?,
                    asked: word(row, 6)?,
                    gone: 0,
                })
            })?;
            let mut rows: Vec<HoldRow> = rows.collect::<rusqlite::Result<_>>()?;
            for row in &mut rows {
                row.gone = gone(sql, row.entry)?;
            }
            Ok(rows)
        })
        .await
    }

    /// The first of the two who release a hold: nothing is released yet. False: there is no such hold, or no reason.
    pub async fn ask_for_release(
        &self,
        who: &Who,
        hold: i64,
        reason: &str,
        now: Now,
    ) -> Result<bool> {
        let (person, actor, reason) = (who.id, Actor::from(who), reason.trim().to_owned());
        self.write(move |tx| {
            let asked = tx.sql.execute(
                "INSERT INTO release_request (hold, reason, person, at_ms)
                 SELECT h.id, ?2, ?3, ?4 FROM hold h LEFT JOIN hold_release f ON f.hold = h.id
                 WHERE h.id = ?1 AND f.hold IS NULL AND ?2 <> ''",
                params![hold, reason, person.0, ms(now.wall)],
            )?;
            if asked > 0 {
                let hold = hold.to_string();
                audit::append(tx.sql, now, &actor, "keeping.ask_release", &hold, &reason)?;
            }
            Ok(asked > 0)
        })
        .await
    }

    /// The second, who must be another one, to the request that he has read: a newer one is another matter.
    pub async fn agree_to_release(&self, who: &Who, request: i64, now: Now) -> Result<Agreed> {
        let (person, actor) = (who.id, Actor::from(who));
        self.write(move |tx| {
            let found: Option<(i64, i64)> = tx
                .sql
                .prepare_cached(
                    "SELECT q.hold, q.person FROM release_request q
                       LEFT JOIN hold_release f ON f.hold = q.hold
                     WHERE q.id = ?1 AND f.hold IS NULL
                       AND q.id = (SELECT max(id) FROM release_request n WHERE n.hold = q.hold)",
                )?
                .query_row([request], |row| Ok((row.get(0)?, row.get(1)?)))
                .optional()?;
            let Some((hold, first)) = found else { return Ok(Agreed::Nothing) };
            if first == person.0 {
                return Ok(Agreed::SamePerson);
            }
            tx.sql.execute(
                "INSERT INTO hold_release (hold, request, person, at_ms) VALUES (?1, ?2, ?3, ?4)",
                params![hold, request, person.0, ms(now.wall)],
            )?;
            audit::append(tx.sql, now, &actor, "keeping.release", &hold.to_string(), "")?;
            Ok(Agreed::Agreed)
        })
        .await
    }
}
