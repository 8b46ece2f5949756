//! Revisions of an entry: immutable, each carrying the digest of the one before (I-4).

use super::Store;
use super::audit::Actor;
use super::error::{Result, StoreError};
use super::text::{Id, from_json, json, ms, name, sha256};
use crate::duty::ids::EntryId;
use crate::protocol::now::Now;
use rusqlite::{Connection, OptionalExtension, params};
use serde::{Deserialize, Serialize};

/// Why a revision was made (domain §4.3.2).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum RevisionKind {
    /// 系统生成
    System,
    /// 填写
    Filled,
    /// 更正
    Corrected,
    /// 状态
    State,
}

/// One text that became another. `field` is a form field's name, `state` or `urgency`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Change {
    pub field: String,
    pub old: String,
    pub new: String,
}

impl Change {
    pub(super) fn new(field: &str, old: impl Into<String>, new: impl Into<String>) -> Self {
        Self { field: field.to_owned(), old: old.into(), new: new.into() }
    }
}

/// Everything the digest covers, in this order.
type Sealed<'a> = (&'a str, i64, &'a str, Option<i64>, &'a str, i64, &'a str, &'a str, &'a str);

fn digest(fields: &Sealed<'_>) -> Result<String> {
    Ok(sha256(&json(fields)?))
}

pub(super) fn append(
    sql: &Connection,
    entry: EntryId,
    kind: RevisionKind,
    actor: &Actor,
    now: Now,
    changes: &[Change],
    reason: &str,
) -> Result<()> {
    let last: Option<(i64, String)> = sql
        .prepare_cached(
            "SELECT no, digest FROM revision WHERE entry = ?1 ORDER BY no DESC LIMIT 1",
        )?
        .query_row([Id(entry)], |row| Ok((row.get(0)?, row.get(1)?)))
        .optional()?;
    let (no, prev) = last.map_or((0, String::new()), |(no, digest)| (no + 1, digest));
    let (id, kind, changes) = (entry.to_string(), name(kind), json(&changes)?);
    let (person, at) = (actor.person.map(|person| person.0), ms(now.wall));
    let digest = digest(&(&id, no, &kind, person, &actor.name, at, &changes, reason, &prev))?;
    sql.prepare_cached(
        "INSERT INTO revision (entry, no, kind, person, actor, at_ms, changes, reason, prev_digest,
           digest) VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10)",
    )?
    .execute(params![id, no, kind, person, actor.name, at, changes, reason, prev, digest])?;
    sql.prepare_cached("UPDATE entry SET revision = ?2 WHERE id = ?1")?.execute(params![id, no])?;
    Ok(())
}

/// Checks the chain of one entry, and that its texts are what the revisions say.
pub(super) fn verify(sql: &Connection, entry: EntryId) -> Result<u64> {
    let id = entry.to_string();
    let mut rows = sql.prepare(
        "SELECT no, kind, person, actor, at_ms, changes, reason, prev_digest, digest
         FROM revision WHERE entry = ?1 ORDER BY no",
    )?;
    let mut rows = rows.query([&id])?;
    let (mut prev, mut next) = (String::new(), 0_i64);
    let mut texts = std::collections::BTreeMap::new();
    while let Some(row) = rows.next()? {
        let text = |column| row.get::<_, String>(column);
        let (kind, actor, changes, reason) = (text(1)?, text(3)?, text(5)?, text(6)?);
        let fields =
            (&*id, next, &*kind, row.get(2)?, &*actor, row.get(4)?, &*changes, &*reason, &*prev);
        if row.get::<_, i64>(0)? != next || text(7)? != prev || text(8)? != digest(&fields)? {
            return Err(StoreError::Damaged(format!("revision {next} does not fit its chain")));
        }
        for change in from_json::<Vec<Change>>(&changes)? {
            texts.insert(change.field, change.new);
        }
        prev = text(8)?;
        next += 1;
    }
    let form = super::entries::form(sql, entry)?
        .ok_or_else(|| StoreError::Damaged("the entry is gone".to_owned()))?;
    for field in crate::duty::entry::Field::ALL {
        if form.get(field) != texts.get(field.name()).map_or("", String::as_str) {
            let why = format!("{} differs from its last revision", field.name());
            return Err(StoreError::Damaged(why));
        }
    }
    Ok(u64::try_from(next).unwrap_or(0))
}

impl Store {
    /// Checks an entry against its revisions; how many there are.
    ///
    /// # Errors
    /// [`StoreError::Damaged`] names what was changed behind our back.
    pub async fn verify_entry(&self, entry: EntryId) -> Result<u64> {
        self.read(move |sql| verify(sql, entry)).await
    }
}
