//! A PBX writes several rows of one call, one for each telephone it tried. Both have the PBX's clock: what begins after the
//! call is over is another call of the same caller.

use super::Listed;
use chrono::{DateTime, TimeDelta, Utc};
use std::collections::BTreeMap;

/// Telephones that ring at once have rows that begin at once.
const AT_ONCE: TimeDelta = TimeDelta::seconds(2);

/// The rows that are found among our calls.
pub struct Rows<'a> {
    listed: &'a [Listed],
    by_caller: BTreeMap<&'a str, OfCaller<'a>>,
}

#[derive(Default)]
struct OfCaller<'a> {
    by_id: BTreeMap<&'a str, usize>,
    /// In the order of time.
    rows: Vec<Row>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Row {
    at: DateTime<Utc>,
    index: usize,
    /// Of the rows up to this one, which ends last.
    longest: usize,
}

impl<'a> Rows<'a> {
    pub fn new(listed: &'a [Listed], is_found: impl Fn(usize) -> bool) -> Self {
        let mut found: Vec<usize> = (0..listed.len()).filter(|index| is_found(*index)).collect();
        found.sort_by_key(|index| listed[*index].at);
        let mut new = Self { listed, by_caller: BTreeMap::new() };
        for index in found {
            let one = &listed[index];
            let of_him = new.by_caller.entry(&one.caller).or_default();
            let before = of_him.rows.last().map_or(index, |row| row.longest);
            let longest = if end(&listed[before]) > end(one) { before } else { index };
            of_him.rows.push(Row { at: one.at, index, longest });
            if let Some(id) = &one.id {
                of_him.by_id.entry(id).or_insert(index);
            }
        }
        new
    }

    /// The row of the same call that is found.
    pub fn of_the_same_call(&self, one: &Listed) -> Option<usize> {
        let of_him = self.by_caller.get(one.caller.as_str())?;
        let by_id = one.id.as_ref().and_then(|id| of_him.by_id.get(id.as_str()));
        if let Some(index) = by_id {
            return Some(*index);
        }
        let after = of_him.rows.partition_point(|row| row.at <= one.at);
        let before = after.checked_sub(1).map(|last| of_him.rows[last]);
        let next = of_him.rows.get(after).copied();
        let apart = |row: &Row| (row.at - one.at).abs();
        let nearest = before.into_iter().chain(next).min_by_key(apart)?;
        if apart(&nearest) <= AT_ONCE {
            return Some(nearest.index);
        }
        // Of callers without a number two may talk at once.
        if !one.caller.contains(|c: char| c.is_ascii_digit()) {
            return None;
        }
        let goes_on = before.filter(|row| end(&self.listed[row.longest]) > one.at);
        let begins = next.filter(|row| end(one) > row.at);
        goes_on.map(|row| row.longest).or(begins.map(|row| row.index))
    }
}

fn end(one: &Listed) -> DateTime<Utc> {
    one.end.unwrap_or(one.at)
}
