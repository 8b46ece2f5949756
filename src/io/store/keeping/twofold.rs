//! What one person says and another one has to agree to: a list, a date, a loss. Each has a table of its own with
//! `…_agreement` and `…_refusal` beside it.

use super::{Agreed, Word, required, word};
use crate::io::store::audit::{self, Actor};
use crate::io::store::error::Result;
use crate::io::store::text::ms;
use crate::io::store::{PersonId, Store, Who};
use crate::protocol::now::Now;
use rusqlite::{Connection, OptionalExtension, Row, params};

pub struct Twofold {
    pub said: &'static str,
    /// The column of the other two tables that names it.
    pub link: &'static str,
    /// How the audit calls it when somebody says no.
    pub refused: &'static str,
}

/// What was said, and what came of it.
pub struct Sayings {
    pub said: Word,
    pub agreed: Option<Word>,
    pub refused: Option<Word>,
}

/// Columns that [`sayings`] reads.
pub const SAYINGS: usize = 12;

pub fn sayings(row: &Row<'_>) -> rusqlite::Result<Sayings> {
    Ok(Sayings { said: required(word(row, 0)?)?, agreed: word(row, 4)?, refused: word(row, 8)? })
}

impl Twofold {
    /// All of them as `d`, with what was said and what came of it in the first columns, and `more` after those.
    pub fn select(&self, more: &str) -> String {
        let Self { said, link, .. } = self;
        format!(
            "SELECT d.id, p.name, d.at_ms, d.reason, a.{link}, b.name, a.at_ms, '',
               n.{link}, m.name, n.at_ms, n.reason, {more}
             FROM {said} d JOIN person p ON p.id = d.person
               LEFT JOIN {said}_agreement a ON a.{link} = d.id
               LEFT JOIN person b ON b.id = a.person
               LEFT JOIN {said}_refusal n ON n.{link} = d.id
               LEFT JOIN person m ON m.id = n.person"
        )
    }

    /// As [`Self::select`]: those that wait, and the newest `?1`; the newest first.
    pub fn newest(&self, more: &str) -> String {
        let Self { said, link, .. } = self;
        let all = self.select(more);
        format!(
            "{all} WHERE (a.{link} IS NULL AND n.{link} IS NULL)
               OR d.id IN (SELECT id FROM {said} ORDER BY id DESC LIMIT ?1)
             ORDER BY d.id DESC"
        )
    }

    /// Who said it, where it waits.
    fn waits(&self, sql: &Connection, id: i64) -> Result<Option<i64>> {
        let Self { said, link, .. } = self;
        let query = format!(
            "SELECT d.person FROM {said} d WHERE d.id = ?1
               AND NOT EXISTS (SELECT 1 FROM {said}_agreement a WHERE a.{link} = d.id)
               AND NOT EXISTS (SELECT 1 FROM {said}_refusal n WHERE n.{link} = d.id)"
        );
        Ok(sql.prepare_cached(&query)?.query_row([id], |row| row.get(0)).optional()?)
    }

    /// Whether this person may agree to it.
    pub fn second(&self, sql: &Connection, id: i64, person: PersonId) -> Result<Agreed> {
        Ok(match self.waits(sql, id)? {
            None => Agreed::Nothing,
            Some(first) if first == person.0 => Agreed::SamePerson,
            Some(_) => Agreed::Agreed,
        })
    }

    /// Says no to it, or takes it back. False: it does not wait, or there is no reason.
    pub async fn refuse(
        &'static self,
        store: &Store,
        who: &Who,
        (id, reason): (i64, &str),
        now: Now,
    ) -> Result<bool> {
        let (person, actor, reason) = (who.id, Actor::from(who), reason.trim().to_owned());
        store
            .write(move |tx| {
                if reason.is_empty() || self.waits(tx.sql, id)?.is_none() {
                    return Ok(false);
                }
                let Self { said, link, refused } = self;
                tx.sql.execute(
                    &format!(
                        "INSERT INTO {said}_refusal ({link}, reason, person, at_ms)
                         VALUES (?1, ?2, ?3, ?4)"
                    ),
                    params![id, reason, person.0, ms(now.wall)],
                )?;
                audit::append(tx.sql, now, &actor, refused, &id.to_string(), &reason)?;
                Ok(true)
            })
            .await
    }
}
