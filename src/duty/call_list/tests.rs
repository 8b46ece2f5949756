//! Lists of calls as PBXs write them, and what of them the log has.

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

fn begun(line: usize, time: &str, caller: &str, answered: bool) -> Listed {
    let (at, caller) = (at(time), caller.to_owned());
    Listed { line, at, end: None, id: None, caller, answered }
}

fn row(line: usize, from: &str, to: &str, answered: bool) -> Listed {
    Listed { end: Some(at(to)), ..begun(line, from, "8001", answered) }
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
    assert_eq!(listed[0].end, Some(at("2026-11-26 02:11:00")));
    assert_eq!(listed[0].id.as_deref(), Some("1.1"));
}

#[test]
fn a_list_with_a_heading_and_its_own_columns() {
    let columns = Columns {
        start: Column::Named("开始时间".to_owned()),
        caller: Column::Named("主叫".to_owned()),
        called: Column::Named("被叫".to_owned()),
        outcome: Column::Named("结果".to_owned()),
        end: Some(Column::Named("结束时间".to_owned())),
        id: None,
        answered: "接通".to_owned(),
        separator: ';',
    };
    let text = "\u{feff}主叫;被叫;开始时间;结果\r\n8001;63001234;2026/11/26 03:00:00;接通\r\n\r\n";
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
    let of_call = |id: &str, one: Listed| Listed { id: Some(id.to_owned()), ..one };
    let listed = [
        of_call("1.1", row(1, "2026-11-26 03:00:00", "2026-11-26 03:00:05", false)),
        of_call("1.1", row(2, "2026-11-26 03:00:05", "2026-11-26 03:00:40", true)),
        of_call("1.2", row(3, "2026-11-26 03:00:20", "2026-11-26 03:00:30", false)),
        of_call("1.3", row(4, "2026-11-26 03:05:00", "2026-11-26 03:05:20", false)),
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
    let listed = [
        begun(1, "2026-11-26 03:00:05", "8001", true),
        begun(2, "2026-11-26 03:00:06", "8001", true),
    ];
    let silent = [ours(7, "2026-11-26 03:00:05", "8001", false, false)];
    let matches = reconcile(&listed, &silent, TimeDelta::seconds(30));
    assert!(matches.iter().all(|one| one.found == Found::Unrecorded), "answered elsewhere");
}

/// The host died in his first call; nobody was there when he called again.
#[test]
fn who_calls_again_after_his_recorded_call_is_over_is_missed_or_unrecorded() {
    let first = row(1, "2026-11-26 02:00:00", "2026-11-26 02:00:10", true);
    let ours = [ours(7, "2026-11-26 02:00:00", "8001", true, true)];
    let second = |answered| row(2, "2026-11-26 02:00:40", "2026-11-26 02:01:00", answered);
    let found = |first: &Listed, second: Listed| {
        let matches = reconcile(&[first.clone(), second], &ours, TimeDelta::seconds(60));
        matches.iter().map(|one| (one.found, one.call)).collect::<Vec<_>>()
    };
    let recorded = (Found::Matched, Some(call(7)));
    assert_eq!(found(&first, second(false)), [recorded, (Found::Missed, None)]);
    assert_eq!(found(&first, second(true)), [recorded, (Found::Unrecorded, None)]);
    let open = Listed { end: None, ..first.clone() };
    assert_eq!(found(&open, second(false)), [recorded, (Found::Missed, None)]);
    let while_it_lasts = Listed { end: Some(at("2026-11-26 02:05:00")), ..first };
    assert_eq!(found(&while_it_lasts, second(false)), [recorded, recorded]);
}

/// Two without a number are two.
#[test]
fn who_hides_his_number_is_nobody_elses_second_row() {
    let hidden = |one: Listed| Listed { caller: "anonymous".to_owned(), ..one };
    let listed = [
        hidden(row(1, "2026-11-26 02:00:00", "2026-11-26 02:05:00", true)),
        hidden(row(2, "2026-11-26 02:01:00", "2026-11-26 02:01:20", false)),
    ];
    let ours = [ours(7, "2026-11-26 02:00:00", "anonymous", true, true)];
    let found = reconcile(&listed, &ours, TimeDelta::seconds(60));
    assert_eq!(found[1].found, Found::Missed);
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
    let listed = [
        begun(1, "2026-11-26 03:00:00", "8001", true),
        begun(2, "2026-11-26 03:00:20", "8001", true),
    ];
    let calls = [
        ours(7, "2026-11-26 03:00:21", "8001", true, true),
        ours(8, "2026-11-26 03:00:01", "8001", true, true),
    ];
    let found = reconcile(&listed, &calls, TimeDelta::seconds(30));
    let found: Vec<_> = found.iter().map(|one| one.call).collect();
    assert_eq!(found, [Some(call(8)), Some(call(7))]);
}

/// Every pair looked at: of each row, the calls that it may be of.
fn slowly(listed: &[Listed], ours: &[Ours], tolerance: TimeDelta) -> Vec<Vec<CallId>> {
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
    let end = |one: &Listed| one.end.unwrap_or(one.at);
    let is_same = |a: &Listed, b: &Listed| {
        let same_id = a.id.is_some() && a.id == b.id;
        let at_once = (a.at - b.at).abs() <= TimeDelta::seconds(2);
        let goes_on = |first: &Listed, then: &Listed| first.at <= then.at && then.at < end(first);
        a.caller == b.caller && (same_id || at_once || goes_on(a, b) || goes_on(b, a))
    };
    let calls = (0..listed.len()).map(|a| match of[a] {
        Some(b) => vec![ours[b].call],
        None => {
            let others = (0..listed.len()).filter(|b| is_same(&listed[a], &listed[*b]));
            others.filter_map(|b| of[b]).map(|b| ours[b].call).collect()
        }
    });
    calls.collect()
}

/// `n` calls, of so many callers in turn, so many milliseconds apart.
fn many(n: usize, callers: usize, apart: i64) -> (Vec<Listed>, Vec<Ours>) {
    let start = at("2026-01-01 00:00:00");
    let one = |n: usize| (start + TimeDelta::milliseconds(n as i64 * apart), n % callers);
    let listed = (0..n).map(|n| {
        let (at, caller) = one(n);
        let caller = format!("8{caller}");
        Listed { line: n + 1, at, end: None, id: None, caller, answered: true }
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
        lasts in prop::collection::vec(prop::option::of(0..60_i64), 24),
        ids in prop::collection::vec(prop::option::of(0..12_u8), 24),
    ) {
        let (mut listed, mut ours) = many(n, callers, 9_000);
        for (one, by) in listed.iter_mut().zip(&apart) {
            one.at += TimeDelta::seconds(*by);
        }
        for (one, (lasts, id)) in listed.iter_mut().zip(lasts.iter().zip(ids)) {
            one.end = lasts.map(|lasts| one.at + TimeDelta::seconds(lasts));
            one.id = id.map(|id| id.to_string());
        }
        ours.truncate(n * 2 / 3);
        for (one, by) in ours.iter_mut().zip(&apart[24..]) {
            one.at -= TimeDelta::seconds(*by);
        }
        let tolerance = TimeDelta::seconds(30);
        let found = reconcile(&listed, &ours, tolerance);
        for (one, may_be) in found.iter().zip(slowly(&listed, &ours, tolerance)) {
            prop_assert_eq!(one.call.is_some(), !may_be.is_empty());
            prop_assert!(one.call.is_none_or(|call| may_be.contains(&call)));
        }
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
