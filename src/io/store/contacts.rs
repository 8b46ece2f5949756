//! The directory: who calls from which number.

use super::Store;
use super::error::Result;
use super::text::Id;
use crate::config;
use crate::duty::ids::CallId;
use crate::duty::numbers::Numbering;
use rusqlite::{Connection, OptionalExtension, params};

pub(super) struct Match {
    pub id: i64,
    pub unit: String,
    pub name: String,
    pub duty: String,
}

/// The contact with exactly this number; with several, the first by name.
pub(super) fn find(sql: &Connection, plain: &str) -> Result<Option<Match>> {
    if plain.is_empty() {
        return Ok(None);
    }
    Ok(sql
        .prepare_cached(
            "SELECT c.id, c.unit, c.name, c.duty FROM contact_number n
             JOIN contact c ON c.id = n.contact
             WHERE n.number = ?1 AND c.current = 1 ORDER BY c.unit, c.name LIMIT 1",
        )?
        .query_row([plain], |row| {
            Ok(Match { id: row.get(0)?, unit: row.get(1)?, name: row.get(2)?, duty: row.get(3)? })
        })
        .optional()?)
}

/// How many calls came from this number since `since_ms`, this one not counted: as the last of them counted, so that
/// a number that calls all day costs no more than another.
pub(super) fn calls_since(
    sql: &Connection,
    plain: &str,
    since_ms: i64,
    but: CallId,
) -> Result<i64> {
    if plain.is_empty() {
        return Ok(0);
    }
    Ok(sql
        .prepare_cached(
            "SELECT nth_today FROM call
             WHERE caller_plain = ?1 AND arrived_ms >= ?2 AND id <> ?3 AND direction = 'in'
             ORDER BY arrived_ms DESC, nth_today DESC LIMIT 1",
        )?
        .query_row(params![plain, since_ms, Id(but)], |row| row.get(0))
        .optional()?
        .unwrap_or(0))
}

fn replace(sql: &Connection, contacts: &[config::Contact], numbering: &Numbering) -> Result<()> {
    sql.execute("UPDATE contact SET current = 0", [])?;
    sql.execute("DELETE FROM contact_number", [])?;
    for contact in contacts {
        let id: i64 = sql
            .prepare_cached(
                "INSERT INTO contact (unit, name, duty) VALUES (?1, ?2, ?3)
                 ON CONFLICT (unit, name) DO UPDATE SET duty = excluded.duty, current = 1
                 RETURNING id",
            )?
            .query_row([&contact.unit, &contact.name, &contact.duty], |row| row.get(0))?;
        for number in &contact.numbers {
            sql.prepare_cached(
                "INSERT OR IGNORE INTO contact_number (number, contact) VALUES (?1, ?2)",
            )?
            .execute(params![numbering.read(number).plain, id])?;
        }
    }
    Ok(())
}

/// One number of somebody in the directory.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ContactRow {
    pub unit: String,
    pub name: String,
    pub duty: String,
    pub number: String,
}

fn search(sql: &Connection, text: &str, most: u32) -> Result<Vec<ContactRow>> {
    let mut rows = sql.prepare_cached(
        "SELECT c.unit, c.name, c.duty, n.number FROM contact c
         JOIN contact_number n ON n.contact = c.id
         WHERE c.current = 1 AND (?1 = '' OR instr(c.name, ?1) OR instr(c.unit, ?1)
           OR instr(c.duty, ?1) OR instr(n.number, ?1))
         ORDER BY c.unit, c.name, n.number LIMIT ?2",
    )?;
    let rows = rows.query_map(params![text, most], |row| {
        let (unit, name) = (row.get(0)?, row.get(1)?);
        Ok(ContactRow { unit, name, duty: row.get(2)?, number: row.get(3)? })
    })?;
    Ok(rows.collect::<Result<_, _>>()?)
}

impl Store {
    /// Whoever in the directory has this text in name, unit, duty or number; all for an empty one.
    pub async fn find_contacts(&self, text: &str, most: u32) -> Result<Vec<ContactRow>> {
        let text = text.to_owned();
        self.read(move |sql| search(sql, &text, most)).await
    }

    /// The directory is now this, its numbers read by the rules of the site. Whoever is no longer in it is not shown any more; old calls keep
    /// the name they were shown with.
    pub async fn set_contacts(
        &self,
        contacts: Vec<config::Contact>,
        numbering: Numbering,
    ) -> Result<()> {
        self.write(move |tx| replace(tx.sql, &contacts, &numbering)).await
    }
}
