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

impl Kind {
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
