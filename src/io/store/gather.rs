//! What an entry, a matter or a period has in the log, row by row, with the proof of each.

mod proving;
mod related;

use super::audit::{self, Actor};
use super::error::{Result, StoreError};
use super::heads::HeadRow;
use super::keeping::matter_of;
use super::text::{Id, Whole, json, ms};
use super::{FileOf, PersonId, Store, Who, keys};
use crate::duty::ids::EntryId;
use crate::duty::proof::proven::{Cell, Proven};
use crate::io::proof::key::SigningKey;
use crate::protocol::now::Now;
use chrono::{DateTime, Utc};
use related::{Row, cell, outages, related, span};
use rusqlite::{Connection, OptionalExtension};
use serde::{Deserialize, Serialize};
use std::sync::Arc;

/// How often it is begun again because the log went on meanwhile.
const AGAIN: u32 = 5;

/// What is handed out.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Scope {
    /// With what is about it, and what it is about.
    Matter(EntryId),
    /// By itself.
    Entry(EntryId),
    /// Entries of calls that came in it, and what did not work in it.
    Period(DateTime<Utc>, DateTime<Utc>),
}

/// Which sound of it is.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Sounds {
    #[default]
    All,
    /// 只含脱敏件: no original and no tape.
    #[serde(rename = "redacted")]
    RedactedOnly,
}

/// Everything about it, proved by one head.
#[derive(Debug, Clone, PartialEq)]
pub struct Gathered {
    pub entries: Vec<EntryId>,
    pub rows: Vec<Proven>,
    pub files: Vec<FileOf>,
    /// Recordings that have no file.
    pub absent: Vec<Absent>,
    pub head: HeadRow,
    /// The notes by which one key followed another, in their order.
    pub renewals: Vec<String>,
}

/// A recording whose sound is not handed out.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Absent {
    pub call: String,
    pub why: WhyAbsent,
    /// In the words of its row, or what is wrong with the file.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub reason: String,
    /// Which file of it; unless given, all of them.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub file: String,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum WhyAbsent {
    /// By two people, who are named in the rows.
    Destroyed,
    /// Two people have agreed to destroy it, and it is not gone yet.
    GivenUp,
    /// Nothing was recorded.
    Missing,
    /// It is not sealed yet.
    Unfinished,
    /// Whoever it is for may have what was made of it, and no original.
    RedactedOnly,
    /// The file is gone, or is not what its row says, and so is the second copy.
    Damaged,
}

/// How much there is of it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Extent {
    pub entries: u64,
    /// Of the recordings; as much again at most for their tapes.
    pub bytes: u64,
}

impl Store {
    /// How much would be handed out.
    pub async fn extent(&self, scope: Scope) -> Result<Extent> {
        self.read(move |sql| {
            let wanted = entries(sql, scope)?;
            let query = "WITH wanted (id) AS (SELECT value FROM json_each(?1))
               SELECT coalesce(sum(bytes), 0) FROM kept_recording
                 WHERE call IN (SELECT id FROM call WHERE entry IN (SELECT id FROM wanted)
                   UNION SELECT a.joined FROM escalation e JOIN attempt a ON a.escalation = e.id
                     WHERE e.entry IN (SELECT id FROM wanted) AND a.joined IS NOT NULL
                       AND a.answered_ms IS NOT NULL)";
            let ids: Vec<String> = wanted.iter().map(ToString::to_string).collect();
            let bytes = |row: &rusqlite::Row<'_>| row.get::<_, Whole>(0);
            let bytes = sql.prepare_cached(query)?.query_row([json(&ids)?], bytes)?.0;
            Ok(Extent { entries: wanted.len() as u64, bytes })
        })
        .await
    }

    /// The entry of this id or number.
    pub async fn entry_named(&self, named: &str) -> Result<Option<EntryId>> {
        let named = named.to_owned();
        self.read(move |sql| {
            let found = sql
                .prepare_cached("SELECT id FROM entry WHERE id = ?1 OR number = ?1")?
                .query_row([named], |row| row.get::<_, Id<EntryId>>(0))
                .optional()?;
            Ok(found.map(|entry| entry.0))
        })
        .await
    }

    /// Notes that it is asked for, signs the log, and collects it. `None`: there is no such entry.
    ///
    /// # Errors
    /// Also when the log changes faster than it can be read.
    pub async fn gather(
        &self,
        who: Option<&Who>,
        what: (Scope, Sounds),
        key: Arc<SigningKey>,
        now: Now,
    ) -> Result<Option<Gathered>> {
        if !self.note_export(who, "export.ask", what, now).await? {
            return Ok(None);
        }
        let scope = what.0;
        for _ in 0..AGAIN {
            let head = self.sign_head(Arc::clone(&key), move || now).await?;
            if let Some(found) = self.read(move |sql| collect(sql, scope, head)).await? {
                return Ok(Some(found));
            }
        }
        Err(StoreError::Overloaded)
    }

    /// It goes to whoever asked for it.
    pub async fn handed_out(
        &self,
        who: Option<&Who>,
        what: (Scope, Sounds),
        now: Now,
    ) -> Result<()> {
        self.note_export(who, "export", what, now).await.map(drop)
    }

    /// Whoever asked for it wants it no more.
    pub async fn export_stopped(&self, who: &Who, what: (Scope, Sounds), now: Now) -> Result<()> {
        self.note_export(Some(who), "export.stop", what, now).await.map(drop)
    }

    /// False: there is no such entry.
    async fn note_export(
        &self,
        who: Option<&Who>,
        action: &'static str,
        what: (Scope, Sounds),
        now: Now,
    ) -> Result<bool> {
        let actor = match who {
            Some(who) => Actor::from(who),
            None => Actor {
                person: None::<PersonId>,
                name: "dutyline export".into(),
                terminal: "command".into(),
            },
        };
        self.write(move |tx| {
            let noted = noted(tx.sql, what)?;
            for (object, detail) in &noted {
                audit::append(tx.sql, now, &actor, action, object, detail)?;
            }
            Ok(!noted.is_empty())
        })
        .await
    }
}

/// A row of the audit for each entry of a matter, or one for a period: its object and detail.
fn noted(sql: &Connection, (scope, sound): (Scope, Sounds)) -> Result<Vec<(String, String)>> {
    let mut noted = match scope {
        Scope::Matter(asked) | Scope::Entry(asked) => {
            let mut numbers = sql.prepare_cached("SELECT number FROM entry WHERE id = ?1")?;
            let mut number = |entry| numbers.query_row([Id(entry)], |row| row.get::<_, String>(0));
            let mut noted = vec![];
            for entry in entries(sql, scope)? {
                let with = if entry == asked { String::new() } else { number(asked)? };
                let with = if with.is_empty() { with } else { format!(" · with {with}") };
                noted.push((entry.to_string(), format!("{}{with}", number(entry)?)));
            }
            noted
        }
        Scope::Period(from, to) => vec![("period".to_owned(), format!("{from} – {to}"))],
    };
    if sound == Sounds::RedactedOnly {
        noted.iter_mut().for_each(|(_, detail)| detail.push_str(" · redacted only"));
    }
    Ok(noted)
}

/// `None`: a row has changed since the head.
fn collect(sql: &Connection, scope: Scope, head: HeadRow) -> Result<Option<Gathered>> {
    let entries = entries(sql, scope)?;
    let mut rows = related(sql, &entries)?;
    match scope {
        Scope::Period(from, to) => outages(sql, from, to, &mut rows)?,
        Scope::Matter(_) | Scope::Entry(_) => {
            for entry in &entries {
                if let Some((from, to)) = span(sql, *entry)? {
                    outages(sql, from, to, &mut rows)?;
                }
            }
        }
    }
    let newest = proving::newest(sql, &rows)?;
    if rows.keys().any(|key| newest.get(key).is_none_or(|newest| newest.seq >= head.size)) {
        return Ok(None);
    }
    let files = rows.iter().flat_map(|((kind, _), row)| match kind.as_str() {
        "recording" => files_of(row),
        "derived" => derived_of(row).into_iter().collect(),
        _ => vec![],
    });
    let files = files.collect();
    let files = still_there(sql, files)?;
    let recordings = rows.iter().filter(|((kind, _), _)| kind == "recording");
    let absent: Vec<_> = recordings.map(|(_, row)| absent(sql, row)).collect::<Result<_>>()?;
    let absent = absent.into_iter().flatten().collect();
    let mut paths = proving::paths(sql, newest.values().map(|newest| newest.seq), head.size)?;
    let mut proven = vec![];
    for (name, row) in rows {
        let Some(newest) = newest.get(&name) else { continue };
        let path = paths.remove(&newest.seq).unwrap_or_default();
        proven.push(newest.prove(name, row, path));
    }
    proven.sort_by_key(|row| row.seq);
    let renewals = keys::notes(sql)?;
    Ok(Some(Gathered { entries, rows: proven, files, absent, head, renewals }))
}

/// In the order in which they came.
fn entries(sql: &Connection, scope: Scope) -> Result<Vec<EntryId>> {
    let wanted = match scope {
        Scope::Entry(_) => "SELECT ?1 AS entry".to_owned(),
        Scope::Matter(_) => format!("{} SELECT entry FROM matter", matter_of("?1")),
        Scope::Period(..) => {
            "SELECT id AS entry FROM entry WHERE occurred_ms >= ?1 AND occurred_ms < ?2".to_owned()
        }
    };
    let query = format!(
        "SELECT e.id FROM ({wanted}) w CROSS JOIN entry e ON e.id = w.entry ORDER BY e.occurred_ms, e.id"
    );
    let mut rows = sql.prepare(&query)?;
    let entry = |row: &rusqlite::Row<'_>| row.get::<_, Id<EntryId>>(0);
    let rows = match scope {
        Scope::Entry(entry_id) | Scope::Matter(entry_id) => {
            rows.query_map([Id(entry_id)], entry)?
        }
        Scope::Period(from, to) => rows.query_map([ms(from), ms(to)], entry)?,
    };
    rows.map(|row| Ok(row?.0)).collect()
}

/// Without what two people have destroyed.
fn still_there(sql: &Connection, files: Vec<FileOf>) -> Result<Vec<FileOf>> {
    let mut destroyed = sql.prepare("SELECT 1 FROM given_up WHERE call = ?1")?;
    let mut there = vec![];
    for file in files {
        if !destroyed.exists([&file.call])? {
            there.push(file);
        }
    }
    Ok(there)
}

/// Why it has no file, where it has none.
fn absent(sql: &Connection, row: &Row) -> Result<Option<Absent>> {
    let text = |name: &str| Some(cell(row, name)?.text()?.to_owned());
    let call = text("call").unwrap_or_default();
    let is_in = |table: &str| -> Result<bool> {
        let query = format!("SELECT 1 FROM {table} WHERE call = ?1");
        Ok(sql.prepare_cached(&query)?.exists([&call])?)
    };
    let why = match text("digest") {
        _ if is_in("gone")? => WhyAbsent::Destroyed,
        _ if is_in("given_up")? => WhyAbsent::GivenUp,
        Some(_) => return Ok(None),
        None if text("state").as_deref() == Some("missing") => WhyAbsent::Missing,
        None => WhyAbsent::Unfinished,
    };
    let reason = if why == WhyAbsent::Missing { text("reason") } else { None };
    Ok(Some(Absent { call, why, reason: reason.unwrap_or_default(), file: String::new() }))
}

/// WAV and tape of a recording's row.
fn files_of(row: &Row) -> Vec<FileOf> {
    let text = |name: &str| Some(cell(row, name)?.text()?.to_owned());
    let call = text("call").unwrap_or_default();
    [("wav", "digest"), ("tape", "tape_digest")]
        .into_iter()
        .filter_map(|(path, digest)| {
            let bytes = if path == "wav" { bytes_of(row) } else { None };
            let (path, sha256) = (text(path)?, text(digest)?);
            Some(FileOf { call: call.clone(), path, sha256, bytes, derived: None })
        })
        .collect()
}

fn derived_of(row: &Row) -> Option<FileOf> {
    let text = |name: &str| Some(cell(row, name)?.text()?.to_owned());
    let Cell::Integer(id) = cell(row, "id")? else { return None };
    let (call, path, sha256) = (text("call")?, text("wav")?, text("digest")?);
    Some(FileOf { call, path, sha256, bytes: bytes_of(row), derived: Some(id) })
}

fn bytes_of(row: &Row) -> Option<u64> {
    match cell(row, "bytes")? {
        Cell::Integer(bytes) => u64::try_from(bytes).ok(),
        _ => None,
    }
}
