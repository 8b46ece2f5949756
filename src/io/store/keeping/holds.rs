//! 封存保全: placed by one, released by two. What was given up and is still on the disks when it is held stays there.

use super::{Agreed, Word, required, word};
use crate::duty::ids::EntryId;
use crate::io::store::audit::{self, Actor};
use crate::io::store::error::Result;
use crate::io::store::text::{Id, ms};
use crate::io::store::{Store, Who};
use crate::protocol::now::Now;
use rusqlite::{Connection, OptionalExtension, params};

/// What a hold found.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Held {
    pub id: i64,
    /// Recordings that two people had given up, and that stay.
    pub spared: u64,
    /// Recordings that are being removed: they may be gone.
    pub going: u64,
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
    /// Recordings of it whose removal had begun, and that may be gone.
    pub going: u64,
    /// Recordings of it that are gone.
    pub gone: u64,
}

/// The recordings of an entry's matter that two people have given up: of its calls, of calls of ours about it and of what
/// it is about, and of those in which a leader was told of it; those that may go still, those whose removal has begun,
/// those that are gone.
pub(super) const COVERED: &str = "
  WITH RECURSIVE matter (entry) AS (
    SELECT ?1
    UNION SELECT o.about FROM matter m CROSS JOIN call o ON o.entry = m.entry
      WHERE o.about IS NOT NULL
    UNION SELECT o.entry FROM matter m CROSS JOIN call o ON o.about = m.entry),
  covered (call) AS (
    SELECT o.id FROM matter m CROSS JOIN call o ON o.entry = m.entry
    UNION SELECT a.joined FROM matter m CROSS JOIN escalation e ON e.entry = m.entry
      CROSS JOIN attempt a ON a.escalation = e.id WHERE a.joined IS NOT NULL)
  SELECT d.call, d.list, b.call IS NOT NULL, g.call IS NOT NULL
  FROM covered v CROSS JOIN given_up d ON d.call = v.call
    AND d.list = (SELECT max(x.list) FROM given_up x WHERE x.call = d.call)
    LEFT JOIN going b ON b.call = d.call AND b.list = d.list LEFT JOIN gone g ON g.call = d.call";

#[derive(Default)]
struct Covered {
    /// With their lists, as what is going.
    stay: Vec<(String, i64)>,
    going: Vec<(String, i64)>,
    gone: u64,
}

fn covered(sql: &Connection, entry: EntryId) -> Result<Covered> {
    let mut found = Covered::default();
    let mut rows = sql.prepare_cached(COVERED)?;
    let mut rows = rows.query([Id(entry)])?;
    while let Some(row) = rows.next()? {
        let of = (row.get(0)?, row.get(1)?);
        match (row.get(2)?, row.get(3)?) {
            (_, true) => found.gone += 1,
            (true, false) => found.going.push(of),
            (false, false) => found.stay.push(of),
        }
    }
    Ok(found)
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
            let Covered { stay, going, gone } = covered(tx.sql, entry)?;
            let mut spare = tx.sql.prepare_cached(
                "INSERT INTO spared (call, list, hold, at_ms) VALUES (?1, ?2, ?3, ?4)",
            )?;
            let mut halt = tx.sql.prepare_cached(
                "INSERT OR IGNORE INTO halted (call, list, hold, at_ms) VALUES (?1, ?2, ?3, ?4)",
            )?;
            for (what, into) in [(&stay, &mut spare), (&going, &mut halt)] {
                for (call, list) in what {
                    into.execute(params![call, list, id, ms(now.wall)])?;
                }
            }
            let held = Held { id, spared: stay.len() as u64, going: going.len() as u64, gone };
            let counts = [("spared", held.spared), ("going", held.going), ("gone", gone)];
            let counts = counts.into_iter().filter(|(_, count)| *count > 0);
            let counts = counts.map(|(what, count)| format!(" · {what} {count}"));
            let detail = std::iter::once(reason).chain(counts).collect::<String>();
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
                    going: 0,
                    gone: 0,
                })
            })?;
            let mut rows: Vec<HoldRow> = rows.collect::<rusqlite::Result<_>>()?;
            for row in &mut rows {
                let found = covered(sql, row.entry)?;
                (row.going, row.gone) = (found.going.len() as u64, found.gone);
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
