//! The PBX's own list of calls (话单) against ours: what the daemon had, what it had and did not record, and what it
//! never saw.

mod rows;

use super::entry::beijing;
use super::ids::CallId;
use super::numbers::Numbering;
use chrono::{DateTime, NaiveDateTime, TimeDelta, TimeZone, Utc};
use rows::Rows;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

/// Records of one list; a PBX of a town writes fewer in a year.
const ROWS_MAX: usize = 1_000_000;
/// Fields of one record; a column's number goes as far.
const FIELDS_MAX: usize = 1_000;
/// Of so many calls in a list one at least is among ours, or the list is read wrongly.
const FEW: usize = 3;
/// Forms in which a PBX writes a local time.
const TIMES: [&str; 5] = [
    "%Y-%m-%d %H:%M:%S%.f",
    "%Y/%m/%d %H:%M:%S",
    "%Y-%m-%dT%H:%M:%S%.f",
    "%Y-%m-%d %H:%M",
    "%Y%m%d%H%M%S",
];

/// Where what stands in a list: columns counted from 1, or by the names in its first line.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Columns {
    pub start: Column,
    pub caller: Column,
    pub called: Column,
    pub outcome: Column,
    /// Where a list says when a call was over, and which rows are of one call.
    pub end: Option<Column>,
    pub id: Option<Column>,
    /// What the outcome says of a call that was answered.
    pub answered: String,
    pub separator: char,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Column {
    Number(usize),
    Named(String),
}

impl Default for Columns {
    /// As Asterisk writes `Master.csv`.
    fn default() -> Self {
        Self {
            start: Column::Number(10),
            caller: Column::Number(2),
            called: Column::Number(3),
            outcome: Column::Number(15),
            end: Some(Column::Number(12)),
            id: Some(Column::Number(17)),
            answered: "ANSWERED".to_owned(),
            separator: ',',
        }
    }
}

/// A call of the PBX's list.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Listed {
    /// Of the file, counted from 1.
    pub line: usize,
    pub at: DateTime<Utc>,
    pub end: Option<DateTime<Utc>>,
    /// The PBX's own name of the call, which all of its rows have.
    pub id: Option<String>,
    pub caller: String,
    pub answered: bool,
}

/// A call of ours.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Ours {
    pub call: CallId,
    pub at: DateTime<Utc>,
    pub caller: String,
    pub answered: bool,
    /// It has a sealed recording.
    pub recorded: bool,
}

/// Why a list cannot be read, at which line.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Unreadable {
    pub line: usize,
    pub zh: String,
    pub en: String,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Found {
    /// 相符: we had it, and recorded it where it was answered.
    Matched,
    /// 未录音: it was answered, and there is no recording.
    Unrecorded,
    /// 漏接: it was not answered, and never reached us: to be called back.
    Missed,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Match {
    pub listed: Listed,
    pub found: Found,
    /// None where the daemon never saw it.
    pub call: Option<CallId>,
}

/// The calls of a list that were for one of these numbers, in their order. A first line without a time is a heading.
///
/// # Errors
/// The first line that cannot be read.
pub fn read(
    text: &str,
    columns: &Columns,
    numbering: &Numbering,
    ours: &[&str],
) -> Result<Vec<Listed>, Unreadable> {
    let plain = |number: &str| match numbering.of(number, "").plain {
        plain if plain.is_empty() => number.trim().to_owned(),
        plain => plain,
    };
    let ours: Vec<String> = ours.iter().map(|number| plain(number)).collect();
    let mut listed = vec![];
    let mut heading: Vec<String> = vec![];
    for (at, (line, fields)) in records(text, columns.separator)?.into_iter().enumerate() {
        let field = |column: &Column| -> Option<&str> {
            let index = match column {
                Column::Number(number) => number.checked_sub(1)?,
                Column::Named(name) => heading.iter().position(|title| title == name)?,
            };
            fields.get(index).map(String::as_str)
        };
        let start = field(&columns.start).and_then(moment);
        if at == 0 && start.is_none() {
            heading = fields.iter().map(|title| title.trim().to_owned()).collect();
            continue;
        }
        let wanted = [&columns.caller, &columns.called, &columns.outcome].map(field);
        let (Some(start), [Some(caller), Some(called), Some(outcome)]) = (start, wanted) else {
            return Err(Unreadable {
                line,
                zh: "缺少开始时间、主叫、被叫或结果列；请在 [call_list] 写明各列".to_owned(),
                en: "start, caller, called or outcome is missing: name the columns in [call_list]"
                    .to_owned(),
            });
        };
        if ours.contains(&plain(called)) {
            let answered = outcome.trim().eq_ignore_ascii_case(&columns.answered);
            let [end, id] = [&columns.end, &columns.id].map(|own| own.as_ref().and_then(field));
            let id = id.map(str::trim).filter(|id| !id.is_empty()).map(str::to_owned);
            let (end, caller) = (end.and_then(moment), plain(caller));
            listed.push(Listed { line, at: start, end, id, caller, answered });
        }
    }
    listed.sort_by_key(|one| (one.at, one.line));
    Ok(listed)
}

/// Each listed call with ours: of the same caller, the nearest in time within `tolerance`, each of ours once. What is left
/// is another row of a call that is found already, or is none of ours.
pub fn reconcile(listed: &[Listed], ours: &[Ours], tolerance: TimeDelta) -> Vec<Match> {
    let by_caller = by_caller(ours);
    let near = |one: &Listed| {
        let of_him = by_caller.get(one.caller.as_str()).map_or(&[][..], Vec::as_slice);
        let first = one.at.checked_sub_signed(tolerance).unwrap_or(DateTime::<Utc>::MIN_UTC);
        let last = one.at.checked_add_signed(tolerance).unwrap_or(DateTime::<Utc>::MAX_UTC);
        let from = of_him.partition_point(|(at, _)| *at < first);
        let to = of_him.partition_point(|(at, _)| *at <= last);
        let apart = one.at;
        of_him[from..to].iter().map(move |(at, index)| ((apart - *at).abs(), *index))
    };
    let mut pairs: Vec<(TimeDelta, usize, usize)> = vec![];
    for (a, one) in listed.iter().enumerate() {
        pairs.extend(near(one).map(|(apart, b)| (apart, a, b)));
    }
    pairs.sort_unstable();
    let (mut of_listed, mut taken) = (vec![None; listed.len()], vec![false; ours.len()]);
    for (_, a, b) in pairs {
        if of_listed[a].is_none() && !taken[b] {
            (of_listed[a], taken[b]) = (Some(b), true);
        }
    }
    let rows = Rows::new(listed, |row| of_listed[row].is_some());
    let again = |one: &Listed| {
        rows.of_the_same_call(one).and_then(|row| of_listed[row]).map(|of| &ours[of])
    };
    let judged = listed.iter().zip(&of_listed).map(|(listed, of)| {
        let own = of.map(|index| &ours[index]);
        let ours = own.or_else(|| again(listed));
        let found = match ours {
            Some(ours) if ours.recorded => Found::Matched,
            Some(ours) if !listed.answered && (own.is_none() || !ours.answered) => Found::Matched,
            Some(_) => Found::Unrecorded,
            None if listed.answered => Found::Unrecorded,
            None => Found::Missed,
        };
        Match { listed: listed.clone(), found, call: ours.map(|ours| ours.call) }
    });
    judged.collect()
}

/// Our calls of each caller, in the order of time.
fn by_caller(ours: &[Ours]) -> BTreeMap<&str, Vec<(DateTime<Utc>, usize)>> {
    let mut by_caller: BTreeMap<&str, Vec<_>> = BTreeMap::new();
    for (index, one) in ours.iter().enumerate() {
        by_caller.entry(&one.caller).or_default().push((one.at, index));
    }
    by_caller.values_mut().for_each(|calls| calls.sort_unstable());
    by_caller
}

/// Whether a list and our calls in its time have nothing in common: its clock or its columns are others than we think.
pub fn nothing_fits(matches: &[Match], ours: &[Ours]) -> bool {
    matches.len() >= FEW && !ours.is_empty() && matches.iter().all(|one| one.call.is_none())
}

fn moment(text: &str) -> Option<DateTime<Utc>> {
    let text = text.trim();
    if let Ok(at) = DateTime::parse_from_rfc3339(text) {
        return Some(at.to_utc());
    }
    let local = TIMES.iter().find_map(|form| NaiveDateTime::parse_from_str(text, form).ok())?;
    beijing().from_local_datetime(&local).single().map(|at| at.to_utc())
}

/// Lines and their fields (RFC 4180); empty lines are passed over.
fn records(text: &str, separator: char) -> Result<Vec<(usize, Vec<String>)>, Unreadable> {
    let text = text.strip_prefix('\u{feff}').unwrap_or(text);
    let mut records = vec![];
    let (mut fields, mut field, mut quoted) = (vec![], String::new(), false);
    let (mut line, mut begin) = (1, 1);
    let mut chars = text.chars().chain(['\n']).peekable();
    while let Some(c) = chars.next() {
        match c {
            '"' if quoted && chars.peek() == Some(&'"') => {
                chars.next();
                field.push('"');
            }
            '"' if quoted => quoted = false,
            '"' if field.is_empty() => quoted = true,
            '\n' if quoted && chars.peek().is_none() => {
                let (zh, en) = ("引号没有配对".to_owned(), "a quotation mark is open".to_owned());
                return Err(Unreadable { line: begin, zh, en });
            }
            '\r' if !quoted => {}
            '\n' if !quoted => {
                fields.push(std::mem::take(&mut field));
                let record: Vec<String> = std::mem::take(&mut fields);
                if record.iter().any(|field| !field.is_empty()) {
                    records.push((begin, record));
                }
                line += 1;
                begin = line;
            }
            c if c == separator && !quoted => {
                if fields.len() + 1 == FIELDS_MAX {
                    let zh = format!("一行超过 {FIELDS_MAX} 列，请核对分隔符");
                    let en = format!("more than {FIELDS_MAX} columns: look at the separator");
                    return Err(Unreadable { line: begin, zh, en });
                }
                fields.push(std::mem::take(&mut field));
            }
            c => {
                line += usize::from(c == '\n');
                field.push(c);
            }
        }
        if records.len() > ROWS_MAX {
            let zh = format!("超过 {ROWS_MAX} 行，请分段导入");
            let en = format!("more than {ROWS_MAX} lines: import it in parts");
            return Err(Unreadable { line, zh, en });
        }
    }
    Ok(records)
}

#[cfg(test)]
mod tests;
