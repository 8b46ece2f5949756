//! Calls of the daemon to its own line (录音自检), and whether their recordings are what was said.

use super::audit::{self, Actor};
use super::entries::{FieldEdit, complete, save_field};
use super::error::Result;
use super::text::{Id, Ms, Named, ms, name};
use super::{Store, Who};
use crate::duty::entry::{Category, Field};
use crate::duty::ids::CallId;
use crate::duty::self_test::{Failing, Measured};
use crate::protocol::now::Now;
use chrono::{DateTime, Utc};
use rusqlite::{Connection, OptionalExtension, params};

/// The rule by which the entry of a test needs nobody (I-14).
const RULE: &str = "self_test";

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SelfTestRow {
    pub call: CallId,
    /// The duty number that was called; empty for the line's own.
    pub number: String,
    pub at: DateTime<Utc>,
    /// Empty for the schedule.
    pub asked_by: String,
    /// None: it is good.
    pub failing: Option<Failing>,
    pub measured: Measured,
    pub detail: String,
}

/// The entry of a test is 试线, and nobody has to complete it.
pub(super) fn over(sql: &Connection, call: CallId, now: Now) -> Result<()> {
    let (actor, entry) = (Actor::system(RULE), call.into());
    let (field, new) = (Field::Category, Category::LineTest.name().to_owned());
    let edit = FieldEdit { field, old: String::new(), new, reason: String::new() };
    save_field(sql, &actor, entry, &edit, now)?;
    complete(sql, &actor, entry, now)?;
    Ok(())
}

impl Store {
    /// Writes the result of a test, once.
    pub async fn self_tested(&self, row: SelfTestRow, now: Now) -> Result<()> {
        self.write(move |tx| {
            let [left, right, heard] = row.measured.likeness;
            let written = tx.sql.execute(
                "INSERT OR IGNORE INTO self_test (call, at_ms, asked_by, failing, like_left,
                   like_right, like_heard, off_ms, detail, number)
                 VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10)",
                params![
                    Id(row.call),
                    ms(row.at),
                    row.asked_by,
                    row.failing.map(name),
                    left,
                    right,
                    heard,
                    row.measured.off_ms,
                    row.detail,
                    row.number,
                ],
            )?;
            if written == 0 {
                return Ok(());
            }
            let result = row.failing.map_or("good".to_owned(), name);
            let result = format!("{} {result}", row.number).trim_start().to_owned();
            let actor = Actor::system(RULE);
            audit::append(tx.sql, now, &actor, "self_test", &row.call.to_string(), &result)
        })
        .await
    }

    /// Somebody asks for a test.
    pub async fn self_test_wanted(&self, who: &Who, now: Now) -> Result<()> {
        let actor = Actor::from(who);
        self.write(move |tx| audit::append(tx.sql, now, &actor, "self_test.ask", "line", "")).await
    }

    /// Of this number.
    pub async fn last_self_test(&self, number: &str) -> Result<Option<SelfTestRow>> {
        let number = number.to_owned();
        self.read(move |sql| {
            let mut row = sql.prepare_cached(
                "SELECT call, at_ms, asked_by, failing, like_left, like_right, like_heard, off_ms,
                   detail FROM self_test WHERE number = ?1 ORDER BY at_ms DESC LIMIT 1",
            )?;
            let one = |row: &rusqlite::Row<'_>| {
                let likeness = [row.get(4)?, row.get(5)?, row.get(6)?];
                Ok(SelfTestRow {
                    call: row.get::<_, Id<CallId>>(0)?.0,
                    number: number.clone(),
                    at: row.get::<_, Ms>(1)?.0,
                    asked_by: row.get(2)?,
                    failing: row.get::<_, Option<Named<Failing>>>(3)?.map(|failing| failing.0),
                    measured: Measured { likeness, off_ms: row.get(7)? },
                    detail: row.get(8)?,
                })
            };
            Ok(row.query_row([&number], one).optional()?)
        })
        .await
    }
}
