//! The keys that have signed the log: which one is in force, and the rows by which one followed the other.

use super::audit::{self, Actor};
use super::error::{Result, StoreError};
use super::text::{Whole, count, ms};
use super::{PersonId, Store};
use crate::duty::proof::head::Note;
use crate::duty::proof::{PublicKey, Renewal, RenewalNote};
use crate::io::proof::key::SigningKey;
use crate::protocol::now::Now;
use rusqlite::{Connection, OptionalExtension, params};
use std::sync::Arc;

/// What the log knows of its key.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct InForce {
    /// The id of the key that signed the newest head, or followed it since; `None`: nothing was ever signed.
    pub id: Option<[u8; 4]>,
    /// The newest renewal.
    pub renewal: Option<Renewal>,
}

/// A key after another.
pub struct Renewing {
    /// `None`: it is lost.
    pub old: Option<Arc<SigningKey>>,
    /// The old one's public half, as far as it is known.
    pub from: Option<PublicKey>,
    pub new: Arc<SigningKey>,
    pub reason: String,
}

/// Of the newest renewal: what it says, and the whole note.
fn newest(sql: &Connection) -> Result<Option<Renewal>> {
    let note: Option<String> = sql
        .prepare_cached("SELECT note FROM key_renewal ORDER BY number DESC LIMIT 1")?
        .query_row([], |row| row.get(0))
        .optional()?;
    let damaged = || StoreError::Damaged("a renewal of the key is none".to_owned());
    note.map(|note| Ok(RenewalNote::parse(&note).ok_or_else(damaged)?.renewal)).transpose()
}

/// Nothing is signed by a key that another one has followed.
pub(super) fn signs(sql: &Connection, key: &PublicKey) -> Result<()> {
    match newest(sql)? {
        Some(renewal) if renewal.to != *key => Err(StoreError::KeyRenewed),
        Some(_) | None => Ok(()),
    }
}

/// As they were written, in their order. None in a log that has no such table yet.
pub(super) fn notes(sql: &Connection) -> Result<Vec<String>> {
    let there = "SELECT 1 FROM main.sqlite_schema WHERE name = 'key_renewal'";
    if !sql.prepare(there)?.exists([])? {
        return Ok(vec![]);
    }
    let mut rows = sql.prepare("SELECT note FROM key_renewal ORDER BY number")?;
    let rows = rows.query_map([], |row| row.get(0))?;
    Ok(rows.collect::<rusqlite::Result<_>>()?)
}

fn in_force(sql: &Connection) -> Result<InForce> {
    let renewal = newest(sql)?;
    let head: Option<String> = sql
        .prepare_cached("SELECT note FROM head ORDER BY number DESC LIMIT 1")?
        .query_row([], |row| row.get(0))
        .optional()?;
    let damaged = || StoreError::Damaged("the newest head is none".to_owned());
    let signed = head.map(|note| Note::parse(&note).ok_or_else(damaged)).transpose()?;
    let signed = signed.map(|note| note.key_id);
    Ok(InForce { id: renewal.as_ref().map(|renewal| renewal.to.id()).or(signed), renewal })
}

impl Store {
    pub async fn key_in_force(&self) -> Result<InForce> {
        self.read(in_force).await
    }

    /// The notes of all renewals, in their order.
    pub async fn key_renewals(&self) -> Result<Vec<String>> {
        self.read(notes).await
    }

    /// The old key's last act. `None`: another key is in force.
    pub async fn renew_key(
        &self,
        Renewing { old, from, new, reason }: Renewing,
        now: Now,
    ) -> Result<Option<Renewal>> {
        self.write(move |tx| {
            let before = in_force(tx.sql)?;
            let follows = match (&before.renewal, &from) {
                (Some(renewal), Some(from)) => renewal.to == *from,
                (Some(_), None) => false,
                (None, Some(from)) => before.id == Some(from.id()),
                (None, None) => before.id.is_some(),
            };
            if !follows {
                return Ok(None);
            }
            let number = "SELECT coalesce(max(number), 0) + 1 FROM key_renewal";
            let Whole(number) = tx.sql.query_row(number, [], |row| row.get(0))?;
            let head = "SELECT coalesce(max(number), 0) FROM head";
            let Whole(head) = tx.sql.query_row(head, [], |row| row.get(0))?;
            let (to, lost) = (new.public.clone(), old.is_none());
            let renewal = Renewal { from, to, lost, number, head, at: now.wall };
            let text = renewal.text();
            let by: Vec<_> = old.iter().chain([&new]).collect();
            let by: Vec<_> =
                by.into_iter().map(|key| (&key.public, key.sign(text.as_bytes()))).collect();
            let actor = Actor {
                person: None::<PersonId>,
                name: "dutyline key renew".to_owned(),
                terminal: "command".to_owned(),
            };
            tx.sql.execute(
                "INSERT INTO key_renewal (number, note, lost, reason, actor, at_ms)
                 VALUES (?1, ?2, ?3, ?4, ?5, ?6)",
                params![count(number), renewal.note(&by), lost, reason, actor.name, ms(now.wall)],
            )?;
            let action = if lost { "key.lost" } else { "key.renew" };
            audit::append(tx.sql, now, &actor, action, &renewal.to.hex_id(), &reason)?;
            Ok(Some(renewal))
        })
        .await
    }
}
