//! 标记: places in a recording that somebody wants to find again, with his name. Taken back, never deleted.

use super::audit::{self, Actor};
use super::error::Result;
use super::text::{Id, Ms, ms};
use super::{Store, Who};
use crate::duty::ids::CallId;
use crate::protocol::now::Now;
use chrono::{DateTime, Utc};
use rusqlite::{Connection, OptionalExtension, params};
use serde::Serialize;

/// Of one recording.
const MOST: i64 = 200;

#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct BookmarkRow {
    pub id: i64,
    /// From the recording's begin, in milliseconds.
    pub at_ms: i64,
    /// May be empty.
    pub text: String,
    pub by: String,
    pub made: DateTime<Utc>,
}

/// What became of a bookmark.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Bookmarked {
    Done,
    /// There is no such recording, it is shorter, or has too many already.
    Refused,
}

impl Store {
    /// Marks a place of a sealed recording.
    pub async fn bookmark(
        &self,
        who: &Who,
        call: CallId,
        at_ms: u32,
        text: &str,
        now: Now,
    ) -> Result<Bookmarked> {
        let (actor, text) = (Actor::from(who), text.trim().to_owned());
        self.write(move |tx| add(tx.sql, &actor, call, at_ms, &text, now)).await
    }

    /// Takes a mark back: it is shown no more, and stays in the log.
    pub async fn take_bookmark_back(
        &self,
        who: &Who,
        call: CallId,
        id: i64,
        now: Now,
    ) -> Result<Bookmarked> {
        let actor = Actor::from(who);
        self.write(move |tx| {
            let taken = tx
                .sql
                .prepare_cached(
                    "UPDATE bookmark SET taken_back_ms = ?3, taken_back_by = ?4
                     WHERE id = ?1 AND call = ?2 AND taken_back_ms IS NULL",
                )?
                .execute(params![id, Id(call), ms(now.wall), actor.name])?;
            if taken == 0 {
                return Ok(Bookmarked::Refused);
            }
            let (object, detail) = (call.to_string(), id.to_string());
            audit::append(tx.sql, now, &actor, "bookmark.take_back", &object, &detail)?;
            Ok(Bookmarked::Done)
        })
        .await
    }
}

fn add(
    sql: &Connection,
    actor: &Actor,
    call: CallId,
    at_ms: u32,
    text: &str,
    now: Now,
) -> Result<Bookmarked> {
    let length: Option<i64> = sql
        .prepare_cached(
            "SELECT duration_ms FROM recording WHERE call = ?1 AND digest IS NOT NULL
               AND (SELECT count(*) FROM bookmark WHERE call = ?1) < ?2",
        )?
        .query_row(params![Id(call), MOST], |row| row.get(0))
        .optional()?;
    if length.is_none_or(|length| i64::from(at_ms) > length) {
        return Ok(Bookmarked::Refused);
    }
    sql.prepare_cached(
        "INSERT INTO bookmark (call, at_ms, text, person, actor, made_ms)
         VALUES (?1, ?2, ?3, ?4, ?5, ?6)",
    )?
    .execute(params![
        Id(call),
        at_ms,
        text,
        actor.person.map(|person| person.0),
        actor.name,
        ms(now.wall)
    ])?;
    let detail = format!("{at_ms} ms {text}");
    audit::append(sql, now, actor, "bookmark.make", &call.to_string(), detail.trim_end())?;
    Ok(Bookmarked::Done)
}

/// Of a recording, in their order.
pub(super) fn rows(sql: &Connection, call: CallId) -> Result<Vec<BookmarkRow>> {
    let mut rows = sql.prepare_cached(
        "SELECT id, at_ms, text, actor, made_ms FROM bookmark
         WHERE call = ?1 AND taken_back_ms IS NULL ORDER BY at_ms, id",
    )?;
    let rows = rows.query_map([Id(call)], |row| {
        Ok(BookmarkRow {
            id: row.get(0)?,
            at_ms: row.get(1)?,
            text: row.get(2)?,
            by: row.get(3)?,
            made: row.get::<_, Ms>(4)?.0,
        })
    })?;
    Ok(rows.collect::<rusqlite::Result<_>>()?)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::io::store::tests::{at, call, entry, officer, one, store};
    use crate::io::store::{Query, Sealed, wait};
    use std::time::Duration;

    #[test]
    fn a_place_is_marked_with_who_and_found_until_it_is_taken_back() {
        let store = store();
        let entry = entry(&store, 1, 0.0);
        let mark = |at_ms, text: &str| {
            wait(store.bookmark(&officer(), call(1), at_ms, text, at(90.0))).unwrap()
        };
        assert_eq!(mark(0, "x"), Bookmarked::Refused, "nothing is recorded");
        let sealed = Sealed {
            wav: "a.wav".into(),
            sha256: "00".into(),
            duration: Duration::from_secs(60),
            ..Sealed::default()
        };
        assert!(wait(store.recording_sealed(call(1), sealed, at(61.0))).unwrap());
        assert_eq!(mark(60_001, "x"), Bookmarked::Refused, "beyond its end");
        assert_eq!(
            (mark(42_000, " 说出地点 "), mark(1_500, "")),
            (Bookmarked::Done, Bookmarked::Done)
        );
        let found = || wait(store.entry(entry)).unwrap().unwrap().bookmarks;
        let shown: Vec<_> = found().into_iter().map(|one| (one.at_ms, one.text, one.by)).collect();
        let by = || "王值班".to_owned();
        assert_eq!(shown, [(1_500, String::new(), by()), (42_000, "说出地点".to_owned(), by())]);
        let hits = || {
            let query = Query { phrases: vec!["出地".to_owned()], ..Query::default() };
            wait(store.search(&officer(), query, None, 9, at(95.0))).unwrap().count
        };
        assert_eq!(hits(), 1);
        let id = found()[1].id;
        let back = |call| wait(store.take_bookmark_back(&officer(), call, id, at(99.0))).unwrap();
        assert_eq!(back(call(2)), Bookmarked::Refused, "of another call");
        assert_eq!((back(call(1)), back(call(1))), (Bookmarked::Done, Bookmarked::Refused));
        assert_eq!((found().len(), hits()), (1, 0));
        assert_eq!(one::<i64>(&store, "SELECT count(*) FROM bookmark"), 2, "it stays in the log");
        let refused = store.write_now(|tx| Ok(tx.sql.execute_batch("DELETE FROM bookmark")?));
        assert!(refused.is_err());
        wait(store.verify_audit()).unwrap();
    }
}
