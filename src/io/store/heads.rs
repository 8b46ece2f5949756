//! Signed heads of the tree over the items: each says how much there was, and when.

use super::chain::digests;
use super::error::{Result, StoreError};
use super::text::{Ms, Whole, count, ms};
use super::{Store, chain, keys};
use crate::duty::proof::{Frontier, Head};
use crate::io::proof::key::SigningKey;
use crate::protocol::now::Now;
use chrono::{DateTime, Utc};
use rusqlite::{Connection, OptionalExtension, params};
use std::sync::Arc;

/// Leaves that are added to the tree in one reading; as many at most while the writer waits.
const PAGE: u64 = 20_000;
/// Whoever waited behind another's head signs at that one's time; a clock set back by more is one
/// that was set back.
const WAITED_MS: i64 = 60_000;

/// A head as it was signed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct HeadRow {
    pub number: u64,
    pub size: u64,
    pub at: DateTime<Utc>,
    pub note: String,
}

/// Adds the leaves that are not in the tree yet, a page of them at most; whether more are left.
fn grow(sql: &Connection, tree: &mut Frontier) -> Result<bool> {
    let (from, to) = (tree.size(), tree.size().saturating_add(PAGE));
    let mut rows =
        sql.prepare_cached("SELECT seq, leaf FROM item WHERE seq >= ?1 AND seq < ?2 ORDER BY seq")?;
    let mut rows = rows.query([count(from), count(to)])?;
    while let Some(row) = rows.next()? {
        if row.get::<_, Whole>(0)?.0 != tree.size() {
            return Err(StoreError::Damaged(format!("item {} is not there", tree.size())));
        }
        tree.push(digests(&row.get::<_, Vec<u8>>(1)?)?);
    }
    Ok(tree.size() == to)
}

fn kept(sql: &Connection) -> Result<Frontier> {
    let bytes: Vec<u8> = sql.query_row("SELECT frontier FROM chain", [], |row| row.get(0))?;
    let tree = Frontier::from_bytes(&bytes)
        .ok_or_else(|| StoreError::Damaged("the tree that was kept is none".to_owned()))?;
    match chain::last(sql)? {
        Some((last, _)) if tree.size() <= last + 1 => Ok(tree),
        None if tree.size() == 0 => Ok(tree),
        _ => Err(StoreError::Damaged("items that a head covers are gone".to_owned())),
    }
}

fn sign(sql: &Connection, key: &SigningKey, mut tree: Frontier, now: Now) -> Result<HeadRow> {
    keys::signs(sql, &key.public)?;
    while grow(sql, &mut tree)? {}
    let Whole(number) =
        sql.query_row("SELECT coalesce(max(number), 0) + 1 FROM head", [], |row| row.get(0))?;
    let last: Option<i64> = sql.query_row("SELECT max(at_ms) FROM head", [], |row| row.get(0))?;
    let at = match last {
        Some(last) if last > ms(now.wall) && last - ms(now.wall) < WAITED_MS => last,
        _ => ms(now.wall),
    };
    let head = Head {
        origin: key.public.origin.clone(),
        size: tree.size(),
        root: tree.root(),
        number,
        at: DateTime::from_timestamp_millis(at).unwrap_or(now.wall),
    };
    let note = head.note(&key.public, &key.sign(head.text().as_bytes()));
    sql.execute(
        "INSERT INTO head (number, size, at_ms, note) VALUES (?1, ?2, ?3, ?4)",
        params![count(number), count(head.size), at, note],
    )?;
    sql.execute("UPDATE chain SET frontier = ?1", [tree.to_bytes()])?;
    Ok(HeadRow { number, size: head.size, at: head.at, note })
}

pub(super) fn rows(sql: &Connection) -> Result<Vec<HeadRow>> {
    let mut rows = sql.prepare("SELECT number, size, at_ms, note FROM head ORDER BY number")?;
    let rows = rows.query_map([], one)?;
    Ok(rows.collect::<Result<_, _>>()?)
}

fn one(row: &rusqlite::Row<'_>) -> rusqlite::Result<HeadRow> {
    Ok(HeadRow {
        number: row.get::<_, Whole>(0)?.0,
        size: row.get::<_, Whole>(1)?.0,
        at: row.get::<_, Ms>(2)?.0,
        note: row.get(3)?,
    })
}

pub(super) fn origin(sql: &Connection) -> Result<String> {
    Ok(sql.query_row("SELECT origin FROM chain", [], |row| row.get(0))?)
}

/// Whether an entry of the period was written between this head and the next.
fn came_after(
    sql: &Connection,
    head: &HeadRow,
    (from, to): (DateTime<Utc>, DateTime<Utc>),
) -> Result<bool> {
    let came = "SELECT 1 FROM item WHERE seq >= ?1
         AND seq < coalesce((SELECT size FROM head WHERE number > ?2 ORDER BY number LIMIT 1),
           9223372036854775807)
         AND key IN (SELECT json_array(id) FROM entry WHERE occurred_ms >= ?3 AND occurred_ms < ?4)";
    let range = params![count(head.size), count(head.number), ms(from), ms(to)];
    Ok(sql.prepare_cached(came)?.exists(range)?)
}

impl Store {
    /// The name under which the log's heads are signed.
    pub async fn origin(&self) -> Result<String> {
        self.read(origin).await
    }

    /// Signs what the log holds now. `now` is asked when the head is written.
    pub async fn sign_head(
        &self,
        key: Arc<SigningKey>,
        now: impl FnOnce() -> Now + Send + 'static,
    ) -> Result<HeadRow> {
        let mut tree = self.read(kept).await?;
        loop {
            let (grown, more) = self
                .read(move |sql| {
                    let more = grow(sql, &mut tree)?;
                    Ok((tree, more))
                })
                .await?;
            tree = grown;
            if !more {
                break;
            }
        }
        self.write(move |tx| sign(tx.sql, &key, tree, now())).await
    }

    /// The first head that was signed after a period was over and covers what came in it, whatever the clock was set to.
    pub async fn head_of_period(
        &self,
        from: DateTime<Utc>,
        to: DateTime<Utc>,
    ) -> Result<Option<HeadRow>> {
        self.read(move |sql| {
            // Before a clock that was set back a later head may be of an earlier time.
            let query = "SELECT number, size, at_ms, note FROM head h
               WHERE number > max(?2, (SELECT coalesce(max(number), 0) FROM head WHERE at_ms < ?1))
                 AND NOT EXISTS (SELECT 1 FROM head later
                   WHERE later.number > h.number AND later.at_ms < h.at_ms)
               ORDER BY number LIMIT 1";
            let mut heads = sql.prepare_cached(query)?;
            let mut last = 0;
            loop {
                let head = heads.query_row(params![ms(to), count(last)], one).optional()?;
                let Some(head) = head else { return Ok(None) };
                if !came_after(sql, &head, (from, to))? {
                    return Ok(Some(head));
                }
                last = head.number;
            }
        })
        .await
    }

    /// Since when the log can say anything: its first act or its first head. Of a clock that was set back before those, the
    /// first by the log's own order.
    pub async fn known_since(&self) -> Result<Option<DateTime<Utc>>> {
        self.read(|sql| {
            let known = "WITH first AS (SELECT min(at) AS at FROM (
                 SELECT * FROM (SELECT at_ms AS at FROM audit ORDER BY id LIMIT 1)
                 UNION ALL SELECT * FROM (SELECT at_ms FROM head ORDER BY number LIMIT 1)
                 UNION ALL SELECT * FROM (SELECT occurred_ms FROM entry ORDER BY rowid LIMIT 1)))
               SELECT CASE WHEN EXISTS (SELECT 1 FROM outage WHERE step_ms < 0 AND to_ms < first.at)
                 THEN first.at ELSE (SELECT min(at) FROM (SELECT min(at_ms) AS at FROM audit
                   UNION ALL SELECT min(at_ms) FROM head
                   UNION ALL SELECT min(occurred_ms) FROM entry)) END FROM first";
            let known: Option<Ms> = sql.prepare_cached(known)?.query_row([], |row| row.get(0))?;
            Ok(known.map(|at| at.0))
        })
        .await
    }

    /// The newest head.
    pub async fn newest_head(&self) -> Result<Option<HeadRow>> {
        self.read(|sql| {
            let newest = "SELECT number, size, at_ms, note FROM head ORDER BY number DESC LIMIT 1";
            Ok(sql.prepare_cached(newest)?.query_row([], one).optional()?)
        })
        .await
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::io::store::tests::{at, entry, store};
    use crate::io::store::wait;

    #[test]
    fn rec_s3_the_head_of_a_period_covers_what_came_in_it_whatever_the_clock_was_set_to() {
        let (folder, store) = (tempfile::tempdir().unwrap(), store());
        let origin = wait(store.origin()).unwrap();
        let key = Arc::new(SigningKey::load_or_make(folder.path(), &origin).unwrap());
        let sign = |seconds: f64| {
            wait(store.sign_head(Arc::clone(&key), move || at(seconds))).unwrap().number
        };
        let head = |from: f64, to: f64| {
            let head = wait(store.head_of_period(at(from).wall, at(to).wall)).unwrap();
            head.map(|head| head.number)
        };
        assert_eq!(head(0.0, 60.0), None, "there is none");
        entry(&store, 1, 10.0);
        let first = sign(100.0);
        assert_eq!(head(0.0, 60.0), Some(first));
        assert_eq!(head(0.0, 120.0), None, "it is not over");
        let ahead = sign(9_000_000.0);
        assert_eq!(head(300.0, 600.0), Some(ahead), "nothing came");
        // It is set back.
        entry(&store, 2, 500.0);
        assert_eq!(head(300.0, 600.0), None, "what came is signed by none");
        let since = sign(700.0);
        assert_eq!(head(300.0, 600.0), Some(since));
        sign(800.0);
        assert_eq!(head(300.0, 600.0), Some(since));
        assert_eq!(head(0.0, 60.0), Some(first));
    }
}
