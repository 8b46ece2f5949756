//! The PBX's own list of calls (话单) against ours: what the daemon had, what it had and did not record, and what it
//! never saw.

use super::entry::beijing;
use super::ids::CallId;
use super::numbers::Numbering;
use chrono::{DateTime, NaiveDateTime, TimeDelta, TimeZone, Utc};
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
            listed.push(Listed { line, at: start, caller: plain(caller), answered });
        }
    }
    listed.sort_by_key(|one| (one.at, one.line));
    Ok(listed)
}

/// Each listed call with ours: of the same caller, the nearest in time within `tolerance`, each of ours once. What is left
/// beside one that is found already is another row of the same call.
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
    let again = |listed: &Listed| near(listed).min().map(|(_, index)| &ours[index]);
    let judged = listed.iter().zip(of_listed).map(|(listed, of)| {
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
mod tests {
    use super::*;
    use proptest::prelude::*;

    const MASTER: &str = concat!(
        "\"\",\"13800130007\",\"1001\",\"from-trunk\",\"\"\"李,四\"\" <13800130007>\",\"a\",\"b\",\"Dial\",\"x\",",
        "\"2026-11-26 02:10:00\",\"2026-11-26 02:10:05\",\"2026-11-26 02:11:00\",60,55,\"ANSWERED\",\"D\",\"1.1\",\"\"\n",
        "\"\",\"+8613900000001\",\"1001\",\"from-trunk\",\"x\",\"a\",\"b\",\"Dial\",\"x\",",
        "\"2026-11-26 03:00:00\",\"\",\"2026-11-26 03:00:20\",20,0,\"NO ANSWER\",\"D\",\"1.2\",\"\"\n",
        "\"\",\"2001\",\"9110\",\"internal\",\"x\",\"a\",\"b\",\"Dial\",\"x\",",
        "\"2026-11-26 03:30:00\",\"\",\"2026-11-26 03:30:20\",20,0,\"ANSWERED\",\"D\",\"1.3\",\"\"\n",
    );

    fn at(text: &str) -> DateTime<Utc> {
        moment(text).unwrap()
    }

    fn call(n: u128) -> CallId {
        CallId(uuid::Uuid::from_u128(n))
    }

    fn ours(n: u128, start: &str, caller: &str, answered: bool, recorded: bool) -> Ours {
        Ours { call: call(n), at: at(start), caller: caller.to_owned(), answered, recorded }
    }

    fn list(text: &str) -> Vec<Listed> {
        read(text, &Columns::default(), &Numbering::default(), &["1001", "63001234"]).unwrap()
    }

    #[test]
    fn asterisks_list_is_read_as_it_is_and_only_what_was_for_the_line() {
        let listed = list(MASTER);
        let shown: Vec<_> =
            listed.iter().map(|one| (one.line, one.caller.as_str(), one.answered)).collect();
        assert_eq!(shown, [(1, "13800130007", true), (2, "13900000001", false)]);
        assert_eq!(listed[0].at.to_rfc3339(), "2026-11-25T18:10:00+00:00", "Beijing's clock");
    }

    #[test]
    fn a_list_with_a_heading_and_its_own_columns() {
        let columns = Columns {
            start: Column::Named("开始时间".to_owned()),
            caller: Column::Named("主叫".to_owned()),
            called: Column::Named("被叫".to_owned()),
            outcome: Column::Named("结果".to_owned()),
            answered: "接通".to_owned(),
            separator: ';',
        };
        let text =
            "\u{feff}主叫;被叫;开始时间;结果\r\n8001;63001234;2026/11/26 03:00:00;接通\r\n\r\n";
        let listed = read(text, &columns, &Numbering::default(), &["63001234"]).unwrap();
        assert_eq!((listed.len(), listed[0].line, listed[0].answered), (1, 2, true));
        let wrong = "主叫;被叫;时间;结果\r\n8001;63001234;2026/11/26 03:00:00;接通\r\n";
        let fault = read(wrong, &columns, &Numbering::default(), &["63001234"]).unwrap_err();
        assert_eq!(fault.line, 2);
        let open = read("\"a", &columns, &Numbering::default(), &[]).unwrap_err();
        assert_eq!(open.line, 1);
    }

    #[test]
    fn each_listed_call_is_found_once_missed_or_unrecorded() {
        let listed = list(MASTER);
        let tolerance = TimeDelta::seconds(30);
        let found = |ours: &[Ours]| -> Vec<_> {
            let matches = reconcile(&listed, ours, tolerance);
            matches.iter().map(|one| (one.found, one.call)).collect()
        };
        let first = ours(1, "2026-11-26 02:10:02", "13800130007", true, true);
        let second = ours(2, "2026-11-26 03:00:01", "13900000001", false, false);
        assert_eq!(
            found(&[first.clone(), second]),
            [(Found::Matched, Some(call(1))), (Found::Matched, Some(call(2)))]
        );
        assert_eq!(found(&[]), [(Found::Unrecorded, None), (Found::Missed, None)]);
        let silent = Ours { recorded: false, ..first.clone() };
        assert_eq!(found(&[silent])[0], (Found::Unrecorded, Some(call(1))));
        let other_day = Ours { at: first.at - TimeDelta::days(1), ..first.clone() };
        assert_eq!(found(&[other_day])[0], (Found::Unrecorded, None));
        let by_somebody_else = ours(3, "2026-11-26 03:00:00", "13900000001", true, false);
        assert_eq!(found(&[by_somebody_else])[1].0, Found::Unrecorded);
    }

    #[test]
    fn several_rows_of_one_call_are_that_call_and_nothing_is_missed() {
        let row = |line, time: &str, answered| Listed {
            line,
            at: at(time),
            caller: "8001".to_owned(),
            answered,
        };
        let listed = [
            row(1, "2026-11-26 03:00:00", false),
            row(2, "2026-11-26 03:00:05", true),
            row(3, "2026-11-26 03:00:20", false),
            row(4, "2026-11-26 03:05:00", false),
        ];
        let found = |recorded| {
            let ours = [ours(7, "2026-11-26 03:00:05", "8001", true, recorded)];
            let matches = reconcile(&listed, &ours, TimeDelta::seconds(30));
            matches.iter().map(|one| (one.found, one.call)).collect::<Vec<_>>()
        };
        let same = (Found::Matched, Some(call(7)));
        assert_eq!(found(true), [same, same, same, (Found::Missed, None)]);
        let unrecorded = (Found::Unrecorded, Some(call(7)));
        assert_eq!(found(false), [same, unrecorded, same, (Found::Missed, None)]);
        let listed = [row(1, "2026-11-26 03:00:05", true), row(2, "2026-11-26 03:00:06", true)];
        let silent = [ours(7, "2026-11-26 03:00:05", "8001", false, false)];
        let matches = reconcile(&listed, &silent, TimeDelta::seconds(30));
        assert!(matches.iter().all(|one| one.found == Found::Unrecorded), "answered elsewhere");
    }

    #[test]
    fn a_list_with_nothing_of_ours_is_read_wrongly() {
        let listed = list(MASTER);
        let mut more = listed.clone();
        more.extend(listed.iter().map(|one| Listed { line: one.line + 9, ..one.clone() }));
        let fits_not = |listed: &[Listed], ours: &[Ours]| {
            nothing_fits(&reconcile(listed, ours, TimeDelta::seconds(30)), ours)
        };
        let other = ours(1, "2026-11-26 02:40:00", "13800130007", true, true);
        let one = ours(2, "2026-11-26 02:10:00", "13800130007", true, true);
        assert!(fits_not(&more, std::slice::from_ref(&other)));
        assert!(!fits_not(&more, &[other.clone(), one]));
        assert!(!fits_not(&more, &[]), "the daemon was away");
        assert!(!fits_not(&listed, &[other]), "too few to say");
    }

    #[test]
    fn a_record_with_more_fields_than_any_is_named() {
        let row = |fields: usize| format!("\n{}", ",".repeat(fields - 1) + "x");
        assert_eq!(records(&row(FIELDS_MAX), ',').unwrap()[0].1.len(), FIELDS_MAX);
        let fault = records(&row(FIELDS_MAX + 1), ',').unwrap_err();
        assert_eq!(fault.line, 2);
        assert!(fault.zh.contains("1000 列"), "{}", fault.zh);
    }

    #[test]
    fn of_two_calls_of_one_caller_each_has_its_own() {
        let row = |line, time: &str| Listed {
            line,
            at: at(time),
            caller: "8001".to_owned(),
            answered: true,
        };
        let listed = [row(1, "2026-11-26 03:00:00"), row(2, "2026-11-26 03:00:20")];
        let calls = [
            ours(7, "2026-11-26 03:00:21", "8001", true, true),
            ours(8, "2026-11-26 03:00:01", "8001", true, true),
        ];
        let found = reconcile(&listed, &calls, TimeDelta::seconds(30));
        let found: Vec<_> = found.iter().map(|one| one.call).collect();
        assert_eq!(found, [Some(call(8)), Some(call(7))]);
    }

    /// Every pair looked at.
    fn slowly(listed: &[Listed], ours: &[Ours], tolerance: TimeDelta) -> Vec<Option<CallId>> {
        let fits = |a: usize, b: usize| {
            let apart = (listed[a].at - ours[b].at).abs();
            (listed[a].caller == ours[b].caller && apart <= tolerance).then_some((apart, a, b))
        };
        let all = (0..listed.len()).flat_map(|a| (0..ours.len()).map(move |b| (a, b)));
        let mut pairs: Vec<_> = all.filter_map(|(a, b)| fits(a, b)).collect();
        pairs.sort();
        let (mut of, mut taken) = (vec![None; listed.len()], vec![false; ours.len()]);
        for (_, a, b) in &pairs {
            if of[*a].is_none() && !taken[*b] {
                (of[*a], taken[*b]) = (Some(*b), true);
            }
        }
        let again = |a| pairs.iter().find(|pair| pair.1 == a).map(|pair| pair.2);
        let of = of.into_iter().enumerate().map(|(a, of)| of.or_else(|| again(a)));
        of.map(|of| of.map(|b| ours[b].call)).collect()
    }

    /// `n` calls, of so many callers in turn, so many milliseconds apart.
    fn many(n: usize, callers: usize, apart: i64) -> (Vec<Listed>, Vec<Ours>) {
        let start = at("2026-01-01 00:00:00");
        let one = |n: usize| (start + TimeDelta::milliseconds(n as i64 * apart), n % callers);
        let listed = (0..n).map(|n| {
            let (at, caller) = one(n);
            Listed { line: n + 1, at, caller: format!("8{caller}"), answered: true }
        });
        let ours = (0..n).rev().map(|n| {
            let (at, caller) = one(n);
            let (call, caller) = (call(n as u128), format!("8{caller}"));
            Ours { call, at: at + TimeDelta::seconds(1), caller, answered: true, recorded: true }
        });
        (listed.collect(), ours.collect())
    }

    /// Every pair would be forty thousand million.
    #[test]
    fn a_list_of_two_hundred_thousand_calls_takes_a_moment() {
        let (listed, ours) = many(200_000, 500, 3_000);
        let found = reconcile(&listed, &ours, TimeDelta::seconds(30));
        assert!(found.iter().enumerate().all(|(n, one)| one.call == Some(call(n as u128))));
    }

    proptest! {
        #[test]
        fn a_list_is_matched_as_by_looking_at_every_pair(
            n in 0..24_usize, callers in 1..3_usize, apart in prop::collection::vec(0..40_i64, 48),
        ) {
            let (mut listed, mut ours) = many(n, callers, 9_000);
            for (one, by) in listed.iter_mut().zip(&apart) {
                one.at += TimeDelta::seconds(*by);
            }
            for (one, by) in ours.iter_mut().zip(&apart[24..]) {
                one.at -= TimeDelta::seconds(*by);
            }
            let tolerance = TimeDelta::seconds(30);
            let found = reconcile(&listed, &ours, tolerance);
            let found: Vec<_> = found.into_iter().map(|one| one.call).collect();
            prop_assert_eq!(found, slowly(&listed, &ours, tolerance));
        }

        #[test]
        fn whatever_stands_in_a_list_is_read_or_named(text in ".{0,300}") {
            let _ = read(&text, &Columns::default(), &Numbering::default(), &["1001"]);
        }

        #[test]
        fn what_is_written_by_the_rules_is_read_back(fields in prop::collection::vec("[^\r]{1,12}", 1..6)) {
            let quoted = fields.iter().map(|field| format!("\"{}\"", field.replace('"', "\"\"")));
            let text = quoted.collect::<Vec<_>>().join(",");
            prop_assert_eq!(records(&text, ',').unwrap(), vec![(1, fields)]);
        }
    }
}
