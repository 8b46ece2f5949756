//! Numbers such as 电-20261003-0007: counted per day in Beijing, never given twice.

use super::error::Result;
use crate::duty::entry::day;
use chrono::{DateTime, Utc};
use rusqlite::{Connection, params};

#[derive(Debug, Clone, Copy)]
pub(super) enum Kind {
    Call,
    Entry,
}

/// Up to which number one kind has been given on a day, 20261003.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Given {
    pub kind: u32,
    pub day: u32,
    pub last: u32,
}

impl Kind {
    const ALL: [Self; 2] = [Self::Call, Self::Entry];

    fn prefix(self) -> &'static str {
        match self {
            Self::Call => "电",
            Self::Entry => "记",
        }
    }
}

pub(super) fn next(sql: &Connection, kind: Kind, at: DateTime<Utc>) -> Result<String> {
    let day = day(at).format("%Y%m%d").to_string();
    let number: i64 = sql
        .prepare_cached(
            "INSERT INTO number_given (kind, day, last) VALUES (?1, ?2, 1)
             ON CONFLICT (kind, day) DO UPDATE SET last = last + 1 RETURNING last",
        )?
        .query_row(params![kind.prefix(), day], |row| row.get(0))?;
    Ok(format!("{}-{day}-{number:04}", kind.prefix()))
}

/// Notes which are given: `given_now`, until `forget_now`.
pub(super) fn watch(sql: &Connection) -> Result<()> {
    let note = "BEGIN INSERT INTO number_now (kind, day, last)
       VALUES (new.kind, new.day, new.last); END";
    sql.execute_batch(&format!(
        "CREATE TEMP TABLE IF NOT EXISTS number_now (kind TEXT, day TEXT, last INTEGER);
         CREATE TEMP TRIGGER IF NOT EXISTS number_came AFTER INSERT ON main.number_given {note};
         CREATE TEMP TRIGGER IF NOT EXISTS number_rose AFTER UPDATE ON main.number_given {note};"
    ))?;
    Ok(())
}

pub(super) fn given_now(sql: &Connection) -> Result<Vec<Given>> {
    let mut rows = sql.prepare_cached(
        "SELECT kind, CAST(day AS INTEGER), max(last) FROM number_now GROUP BY kind, day",
    )?;
    let rows = rows.query_map([], |row| {
        let prefix: String = row.get(0)?;
        let kind = Kind::ALL.iter().zip(0..).find(|(kind, _)| kind.prefix() == prefix);
        let Some((_, kind)) = kind else { return Ok(None) };
        Ok(Some(Given { kind, day: row.get(1)?, last: row.get(2)? }))
    })?;
    let rows = rows.collect::<Result<Vec<_>, _>>()?;
    Ok(rows.into_iter().flatten().collect())
}

pub(super) fn forget_now(sql: &Connection) -> Result<()> {
    sql.prepare_cached("DELETE FROM number_now")?.execute([])?;
    Ok(())
}

/// These are not given again.
pub(super) fn are_given(sql: &Connection, given: Given) -> Result<()> {
    let Some(kind) = Kind::ALL.get(given.kind as usize) else { return Ok(()) };
    sql.prepare_cached(
        "INSERT INTO number_given (kind, day, last) VALUES (?1, ?2, ?3)
         ON CONFLICT (kind, day) DO UPDATE SET last = max(last, excluded.last)",
    )?
    .execute(params![kind.prefix(), given.day.to_string(), given.last])?;
    Ok(())
}
