//! 记录查询: entries by what they say, when, how their call ended, how urgent they are and what became of the recording.
//! Read beside the writer, and noted in the audit before it is answered.

use super::audit::{self, Actor};
use super::error::Result;
use super::index::{NO_RECORDING, PLACES, before};
use super::text::{Id, ms, name};
use super::views::{EntryRow, row};
use super::writer::Tx;
use super::{RecordingState, Store, Who, entries};
use crate::duty::entry::{Field, Form};
use crate::duty::ids::EntryId;
use crate::duty::journal::{Disposition, Urgency};
use crate::duty::words::{self, Folded, fold, place};
use crate::protocol::now::Now;
use chrono::{DateTime, Utc};
use rusqlite::{Connection, OptionalExtension, params};
use serde::Serialize;
use std::time::Duration;

/// An answer that takes longer is given up: a question as wide as that has another that is narrower.
const PATIENCE: Duration = Duration::from_secs(5);
/// What is found is counted as far as this.
pub const COUNTED: u32 = 1000;

/// What is looked for; all of it must hold.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
pub struct Query {
    /// Each stands in a text as it is, as `duty::words` compares.
    pub phrases: Vec<String>,
    /// Entries that occurred from then on, and before then.
    pub from: Option<DateTime<Utc>>,
    pub to: Option<DateTime<Utc>>,
    pub disposition: Option<Disposition>,
    pub urgency: Option<Urgency>,
    /// What became of the recording; `Some(None)`: there is none.
    pub recording: Option<Option<RecordingState>>,
}

/// A page of what was found, the latest first.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Hits {
    pub found: Vec<Hit>,
    /// At most [`COUNTED`]: there may be more.
    pub count: u32,
    /// From where older ones go on; none where there are no more.
    pub older: Option<i64>,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Hit {
    pub row: EntryRow,
    /// Texts of the entry, not shown in its row, in which something of what was looked for stands.
    pub said: Vec<Said>,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Said {
    /// None for a text that stood in the entry before it was corrected.
    pub field: Option<Field>,
    pub text: String,
}

impl Query {
    /// Nothing is looked for.
    pub fn is_empty(&self) -> bool {
        *self == Self::default()
    }

    /// What asks the index; none where the time alone decides.
    fn asked(&self) -> Option<String> {
        let mut all: Vec<String> =
            self.phrases.iter().filter_map(|text| words::asked(text)).collect();
        let marks = [
            self.urgency.map(|urgency| words::mark("u", &name(urgency))),
            self.disposition.map(|how| words::mark("d", &name(how))),
            self.recording.map(|state| {
                words::mark("r", &state.map_or_else(|| NO_RECORDING.to_owned(), name))
            }),
        ];
        all.extend(marks.into_iter().flatten().map(|mark| format!("\"{mark}\"")));
        (!all.is_empty()).then(|| all.join(" AND "))
    }

    /// Places in the index between which it is looked.
    fn places(&self) -> (i64, i64) {
        let place = |at: DateTime<Utc>| ms(at).saturating_mul(PLACES);
        (self.from.map_or(i64::MIN, place), self.to.map_or(i64::MAX, place))
    }
}

impl Store {
    /// Looks for entries, at most so many, from that place on backwards.
    ///
    /// # Errors
    /// [`super::StoreError::TooLong`] where it takes more than a few seconds.
    pub async fn search(
        &self,
        who: &Who,
        query: Query,
        before: Option<i64>,
        most: u32,
        now: Now,
    ) -> Result<Hits> {
        let (actor, detail) = (Actor::from(who), super::text::json(&query)?);
        let note =
            move |tx: &mut Tx<'_>| audit::append(tx.sql, now, &actor, "search", "entries", &detail);
        self.write_indexed(note).await?;
        self.read_within(PATIENCE, move |sql| hits(sql, &query, before, most)).await
    }
}

pub(super) fn hits(
    sql: &Connection,
    query: &Query,
    before: Option<i64>,
    most: u32,
) -> Result<Hits> {
    let (from, to) = query.places();
    let until = before.map_or(to, |before| to.min(before));
    let asked = query.asked();
    let mut places = places(sql, asked.as_deref(), (from, until), most.saturating_add(1))?;
    let count = match before {
        None if places.len() <= most as usize => u32::try_from(places.len()).unwrap_or(COUNTED),
        _ => count(sql, asked.as_deref(), (from, to))?,
    };
    let more = places.len() > most as usize;
    places.truncate(most as usize);
    let older = places.last().copied().filter(|_| more);
    let phrases: Vec<Vec<Folded>> = query.phrases.iter().map(|phrase| fold(phrase)).collect();
    let found = places.into_iter().map(|place| hit(sql, place, &phrases));
    let found = found.filter_map(Result::transpose).collect::<Result<_>>()?;
    Ok(Hits { found, count, older })
}

/// Places of what is found, from the last on backwards.
fn places(
    sql: &Connection,
    asked: Option<&str>,
    (from, to): (i64, i64),
    most: u32,
) -> Result<Vec<i64>> {
    let Some(asked) = asked else {
        let mut rows = sql.prepare_cached(
            "SELECT id FROM searchable WHERE id >= ?1 AND id < ?2 ORDER BY id DESC LIMIT ?3",
        )?;
        let rows = rows.query_map(params![from, to, most], |row| row.get(0))?;
        return Ok(rows.collect::<rusqlite::Result<_>>()?);
    };
    let mut rows = sql.prepare_cached(
        "SELECT rowid FROM search WHERE search MATCH ?1 AND rowid >= ?2 AND rowid < ?3
         ORDER BY rowid DESC LIMIT ?4",
    )?;
    let rows = rows.query_map(params![asked, from, to, most], |row| row.get(0))?;
    Ok(rows.collect::<rusqlite::Result<_>>()?)
}

fn count(sql: &Connection, asked: Option<&str>, (from, to): (i64, i64)) -> Result<u32> {
    let query = match asked {
        None => {
            "SELECT count(*) FROM (SELECT 1 FROM searchable
             WHERE ?1 IS NULL AND id >= ?2 AND id < ?3 LIMIT ?4)"
        }
        Some(_) => {
            "SELECT count(*) FROM (SELECT 1 FROM search
             WHERE search MATCH ?1 AND rowid >= ?2 AND rowid < ?3 LIMIT ?4)"
        }
    };
    let mut count = sql.prepare_cached(query)?;
    Ok(count.query_row(params![asked, from, to, COUNTED], |row| row.get(0))?)
}

fn hit(sql: &Connection, place: i64, phrases: &[Vec<Folded>]) -> Result<Option<Hit>> {
    let entry = sql
        .prepare_cached("SELECT entry FROM searchable WHERE id = ?1")?
        .query_row([place], |row| row.get::<_, Id<EntryId>>(0))
        .optional()?;
    let Some(Id(entry)) = entry else { return Ok(None) };
    let (Some(row), Some(form)) = (row(sql, entry)?, entries::form(sql, entry)?) else {
        return Ok(None);
    };
    let said = said(sql, &row, &form, phrases)?;
    Ok(Some(Hit { row, said }))
}

/// In its row are who called and what about.
const IN_ROW: [Field; 5] =
    [Field::Category, Field::CallerUnit, Field::CallerName, Field::CallerPhone, Field::Subject];

fn said(
    sql: &Connection,
    row: &EntryRow,
    form: &Form,
    phrases: &[Vec<Folded>],
) -> Result<Vec<Said>> {
    let mut said: Vec<Said> = vec![];
    let mut taken_out: Option<Vec<String>> = None;
    let stands = |text: &str, phrase: &[Folded]| place(&fold(text), phrase).is_some();
    for phrase in phrases {
        if said.iter().any(|said| stands(&said.text, phrase)) {
            continue;
        }
        let (shown, others): (Vec<Field>, Vec<Field>) =
            Field::ALL.into_iter().partition(|field| IN_ROW.contains(field));
        let field = others.into_iter().find(|field| stands(form.get(*field), phrase));
        if let Some(field) = field {
            said.push(Said { field: Some(field), text: form.get(field).to_owned() });
        } else if !shown.iter().any(|field| stands(form.get(*field), phrase)) {
            let all = match taken_out.take() {
                Some(all) => all,
                None => before(sql, &row.id.to_string())?,
            };
            let gone = all.iter().find(|text| stands(text, phrase)).cloned();
            taken_out = Some(all);
            said.extend(gone.map(|text| Said { field: None, text }));
        }
    }
    Ok(said)
}

#[cfg(test)]
mod tests;
