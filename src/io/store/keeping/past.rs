//! What is past its keeping, a page at a time: what a list would hold, what is left out of it, and what is old by its clock
//! alone.

use super::{class, class_of, held};
use crate::duty::ids::CallId;
use crate::duty::keeping::{Class, Doubt, Kept, Rules, Verdict};
use crate::io::store::error::Result;
use crate::io::store::text::{Id, Ms, json, ms};
use crate::io::store::{Store, hour_meter};
use crate::protocol::now::Now;
use chrono::{DateTime, TimeDelta, Utc};
use rusqlite::{Connection, Row, params};
use std::fmt;
use std::str::FromStr;

/// Recordings on one list: more make another one. A second person reads them one by one, and the write that gives them
/// up keeps no call waiting.
pub const LIST_MOST: usize = 500;
/// Doubtful ones on one page, each to be heard and ticked.
const DOUBTFUL_MOST: usize = 50;
/// Recordings that are judged for one page.
const JUDGED_MOST: u32 = 2_000;

/// A recording that may be put on a list.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DueRow {
    pub call: CallId,
    pub number: String,
    pub class: Class,
    pub sealed: DateTime<Utc>,
    pub bytes: u64,
}

/// 日期存疑
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DoubtfulRow {
    pub row: DueRow,
    pub doubt: Doubt,
    pub seen: TimeDelta,
    /// Somebody has said when it was made, and nobody has agreed yet.
    pub asked: bool,
}

/// The last recording of a page.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct After {
    sealed_ms: i64,
    call: CallId,
}

impl fmt::Display for After {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(out, "{}_{}", self.sealed_ms, self.call)
    }
}

impl FromStr for After {
    type Err = ();

    fn from_str(text: &str) -> std::result::Result<Self, ()> {
        let (sealed, call) = text.split_once('_').ok_or(())?;
        let (sealed_ms, call) = (sealed.parse().map_err(drop)?, call.parse().map_err(drop)?);
        Ok(Self { sealed_ms, call })
    }
}

/// What a list would hold, and how many recordings are left out of it for which reason: nothing is changed by looking.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Due {
    pub list: Vec<DueRow>,
    pub doubtful: Vec<DoubtfulRow>,
    pub held: u64,
    pub no_copy: u64,
    pub kept: u64,
    /// There is more to look at after it.
    pub next: Option<After>,
}

/// Neither given up nor gone, unless its removal was halted; on no list that waits for its second person. When it was made
/// and what the hour meter said then are what two people have agreed on last, or as when it was sealed.
pub(super) fn candidates(and: &str) -> String {
    format!(
        "SELECT r.call, e.number, {class}, r.sealed_ms, coalesce(r.bytes, 0), {held} IS NOT NULL,
           (SELECT count(*) FROM counted_copy k WHERE k.call = r.call)
             >= 1 + (r.tape_digest IS NOT NULL),
           coalesce(d.made_ms, r.sealed_ms),
           coalesce(a.count_ms - (a.at_ms - d.made_ms), g.count_ms, 0),
           EXISTS (SELECT 1 FROM dating_item i LEFT JOIN dating_agreement b ON b.dating = i.dating
             LEFT JOIN dating_refusal n ON n.dating = i.dating
             WHERE i.call = r.call AND b.dating IS NULL AND n.dating IS NULL)
         FROM recording r CROSS JOIN call c ON c.id = r.call CROSS JOIN entry e ON e.id = c.entry
           LEFT JOIN recording_age g ON g.call = r.call
           LEFT JOIN dating_agreement a ON a.dating =
             (SELECT max(i.dating) FROM dating_item i
                JOIN dating_agreement b ON b.dating = i.dating WHERE i.call = r.call)
           LEFT JOIN dating d ON d.id = a.dating
         WHERE r.digest IS NOT NULL AND NOT EXISTS (SELECT 1 FROM gone x WHERE x.call = r.call)
           AND NOT EXISTS (SELECT 1 FROM under_removal x WHERE x.call = r.call)
           AND NOT EXISTS (
             SELECT 1 FROM destruction_item i LEFT JOIN destruction_agreement b ON b.list = i.list
               LEFT JOIN destruction_refusal n ON n.list = i.list
             WHERE i.call = r.call AND b.list IS NULL AND n.list IS NULL) {and}",
        class = class_of("r.call"),
        held = held("r.call"),
    )
}

/// A recording, what decides about it, and whether somebody has said when it was made.
type Candidate = (DueRow, Kept, bool);

fn candidate(row: &Row<'_>, counted: i64) -> rusqlite::Result<Candidate> {
    let class = class(row, 2)?;
    let due = DueRow {
        call: row.get::<_, Id<CallId>>(0)?.0,
        number: row.get(1)?,
        class,
        sealed: row.get::<_, Ms>(3)?.0,
        bytes: row.get::<_, i64>(4)?.unsigned_abs(),
    };
    let kept = Kept {
        class,
        made: row.get::<_, Ms>(7)?.0,
        seen: TimeDelta::milliseconds(counted.saturating_sub(row.get(8)?)),
        held: row.get(5)?,
        copied: row.get(6)?,
    };
    Ok((due, kept, row.get(9)?))
}

/// Before this, something may be due.
fn oldest(rules: &Rules, now: Now) -> Option<i64> {
    Some(ms(now.wall - rules.shortest()?))
}

fn young(sql: &Connection, since: i64, now: Now) -> Result<u64> {
    let query = "SELECT count(*) FROM recording WHERE sealed_ms > ?1 AND sealed_ms <= ?2";
    let young: i64 =
        sql.prepare_cached(query)?.query_row([since, ms(now.wall)], |row| row.get(0))?;
    Ok(young.unsigned_abs())
}

/// Much to read: never on the writer.
fn page(sql: &Connection, rules: &Rules, after: Option<After>, now: Now) -> Result<Due> {
    let mut found = Due::default();
    let before = oldest(rules, now);
    if after.is_none() {
        found.kept = young(sql, before.unwrap_or(i64::MIN), now)?;
    }
    let Some(before) = before else { return Ok(found) };
    let counted = hour_meter::read(sql, now)?;
    let mut left = JUDGED_MOST;
    let after = after.map_or((i64::MIN, String::new()), |it| (it.sealed_ms, it.call.to_string()));
    // What is due by its clock, and what its clock put into the future.
    for (from, to) in
        [(after.clone(), before), (after.max((ms(now.wall), "~".to_owned())), i64::MAX)]
    {
        let mut rows = sql.prepare_cached(&candidates(
            "AND (r.sealed_ms, r.call) > (?1, ?2) AND r.sealed_ms <= ?3
             ORDER BY r.sealed_ms, r.call LIMIT ?4",
        ))?;
        let rows =
            rows.query_map(params![from.0, from.1, to, left], |row| candidate(row, counted))?;
        for row in rows {
            let (row, kept, asked) = row?;
            left -= 1;
            let last = After { sealed_ms: ms(row.sealed), call: row.call };
            match rules.judge(&kept, now.wall) {
                Verdict::Due => found.list.push(row),
                Verdict::Doubtful(doubt) => {
                    found.doubtful.push(DoubtfulRow { row, doubt, seen: kept.seen, asked });
                }
                Verdict::Held => found.held += 1,
                Verdict::NoCopy => found.no_copy += 1,
                Verdict::ForEver | Verdict::NotYet => found.kept += 1,
            }
            let full = found.list.len() == LIST_MOST || found.doubtful.len() == DOUBTFUL_MOST;
            if full || left == 0 {
                found.next = Some(last);
                return Ok(found);
            }
        }
    }
    Ok(found)
}

/// As many as one list holds, however many are judged for it.
pub(super) fn due(sql: &Connection, rules: &Rules, now: Now) -> Result<Vec<CallId>> {
    let (mut found, mut after) = (vec![], None);
    loop {
        let page = page(sql, rules, after, now)?;
        found.extend(page.list.iter().map(|row| row.call));
        found.truncate(LIST_MOST);
        after = page.next;
        if after.is_none() || found.len() == LIST_MOST {
            return Ok(found);
        }
    }
}

fn judged(
    sql: &Connection,
    rules: &Rules,
    calls: &[CallId],
    now: Now,
) -> Result<Vec<(CallId, Verdict, bool)>> {
    let calls: Vec<_> = calls.iter().map(ToString::to_string).collect();
    let counted = hour_meter::read(sql, now)?;
    let query = candidates("AND r.call IN (SELECT value FROM json_each(?1)) ORDER BY r.call");
    let mut rows = sql.prepare_cached(&query)?;
    let rows = rows.query_map([json(&calls)?], |row| candidate(row, counted))?;
    let judge = |row: rusqlite::Result<Candidate>| {
        let (row, kept, asked) = row?;
        Ok((row.call, rules.judge(&kept, now.wall), asked))
    };
    rows.map(judge).collect()
}

/// Which of these are due.
pub(super) fn still_due(
    sql: &Connection,
    rules: &Rules,
    calls: &[CallId],
    now: Now,
) -> Result<Vec<CallId>> {
    let judged = judged(sql, rules, calls, now)?.into_iter();
    Ok(judged.filter(|one| one.1 == Verdict::Due).map(|one| one.0).collect())
}

/// Which of these are doubtful, and nobody has said when they were made.
pub(super) fn still_doubtful(
    sql: &Connection,
    rules: &Rules,
    calls: &[CallId],
    now: Now,
) -> Result<Vec<CallId>> {
    let judged = judged(sql, rules, calls, now)?.into_iter();
    let open = |one: &(CallId, Verdict, bool)| matches!(one.1, Verdict::Doubtful(_)) && !one.2;
    Ok(judged.filter(open).map(|one| one.0).collect())
}

impl Store {
    /// What a list would hold if it were made now: its first page, or the one after this recording, by when they were
    /// sealed.
    pub async fn due(&self, rules: Rules, after: Option<After>, now: Now) -> Result<Due> {
        self.read(move |sql| page(sql, &rules, after, now)).await
    }
}
