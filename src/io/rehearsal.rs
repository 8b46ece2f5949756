//! A rehearsal on the terminal: the time line, and what is wrong with the policy.

use crate::duty::entry::beijing;
use crate::duty::escalation::{Timetable, Version};
use crate::duty::journal::{AttemptResult, Urgency};
use crate::duty::rehearsal::{Event, Finding, Happens, Phone};
use crate::duty::roster::{Person, Role, Roster};
use chrono::{DateTime, NaiveTime, TimeDelta, Utc};
use std::collections::BTreeMap;
use std::io::{Result, Write};

/// What is wrong with a version, each with its remedy.
///
/// # Errors
/// Of the terminal.
pub fn findings(out: &mut impl Write, version: &Version) -> Result<()> {
    if let (Some(from), false) = (version.from, version.found.is_empty()) {
        writeln!(out, "{} {}：", at(from), version.name)?;
    }
    version.found.iter().try_for_each(|one| finding(out, one))
}

/// One of them.
///
/// # Errors
/// Of the terminal.
pub fn finding(out: &mut impl Write, one: &Finding) -> Result<()> {
    let mark = if one.refused { "✗" } else { "▲" };
    writeln!(out, "{mark} {}\n  {}", one.zh, one.en)
}

fn at(moment: DateTime<Utc>) -> impl std::fmt::Display {
    moment.with_timezone(&beijing()).format("%Y-%m-%d %H:%M:%S")
}

/// Which is in force now, and which is to come, where the file has more than one.
///
/// # Errors
/// Of the terminal.
pub fn versions(out: &mut impl Write, all: &Timetable, now: DateTime<Utc>) -> Result<()> {
    let current = all.in_force(now);
    for version in all.all().filter(|_| !all.later.is_empty()) {
        let state = match (version == current, version.from) {
            (true, _) => "现行 · in force",
            (false, Some(from)) if from > now => "待生效 · to come",
            (false, _) => "已被取代 · over",
        };
        let from =
            version.from.map_or_else(|| "[escalation]".to_owned(), |from| at(from).to_string());
        writeln!(out, "{from} {} {state}", version.name)?;
    }
    Ok(())
}

/// The next moment with this time of the day in Beijing.
pub fn next_at(time: NaiveTime, now: DateTime<Utc>) -> DateTime<Utc> {
    let zone = beijing();
    let today = now.with_timezone(&zone).date_naive();
    let days = [Some(today), today.succ_opt()].into_iter().flatten();
    let mut moments = days.filter_map(|day| day.and_time(time).and_local_timezone(zone).single());
    moments.find(|at| *at > now).map_or(now, |at| at.to_utc())
}

/// `leader=off`, `3001=busy`: by role, every number of whoever holds it, or by number.
///
/// # Errors
/// Why that says nothing, in both languages.
pub fn phones(
    given: &[String],
    roster: &Roster,
) -> std::result::Result<BTreeMap<String, Phone>, String> {
    let mut phones = BTreeMap::new();
    for text in given {
        let (who, how) = text
            .split_once('=')
            .ok_or_else(|| format!("{text}：写成 leader=off 或 3001=busy · such as leader=off"))?;
        let how = manner(how).ok_or_else(|| {
            format!("{text}：off busy declines dead machine answers silent 之一 · one of these")
        })?;
        let role = [Role::Leader, Role::Substitute, Role::OfficeDirector, Role::Head]
            .into_iter()
            .find(|role| serde_json::to_value(role).is_ok_and(|name| name == who));
        let held = match role {
            Some(role) => {
                let Some(person) = roster.holder(role) else {
                    return Err(format!("{who}：没有这个人 · nobody holds this role"));
                };
                [&person.mobile, &person.office].into_iter().flatten().cloned().collect()
            }
            None => numbers(who, roster)?,
        };
        phones.extend(held.into_iter().map(|number: String| (number, how)));
    }
    Ok(phones)
}

/// A number that somebody has, or those of whoever is called so.
fn numbers(who: &str, roster: &Roster) -> std::result::Result<Vec<String>, String> {
    let of =
        |person: &Person| [&person.mobile, &person.office].into_iter().flatten().cloned().collect();
    let all = || roster.people.iter().map(|person| (&person.name, of(person)));
    let meant = |(name, numbers): (&String, Vec<String>)| match numbers.iter().any(|own| own == who)
    {
        true => Some(vec![who.to_owned()]),
        false => (name == who).then_some(numbers),
    };
    all().find_map(meant).ok_or_else(|| {
        let known = all().map(|(name, numbers)| format!("{name} {}", numbers.join(" ")));
        let known = known.collect::<Vec<_>>().join("、");
        format!("{who}：没有这部电话；有 leader substitute office_director head、{known} · no such telephone, there are these")
    })
}

/// How a telephone behaves, and what it is called wherever somebody chooses.
pub const MANNERS: [(&str, Phone); 7] = [
    ("answers", Phone::Answers),
    ("off", Phone::Off),
    ("busy", Phone::Busy),
    ("declines", Phone::Declines),
    ("silent", Phone::Silent),
    ("machine", Phone::Machine),
    ("dead", Phone::Dead),
];

pub fn manner(text: &str) -> Option<Phone> {
    MANNERS.iter().find(|(name, _)| *name == text).map(|(_, phone)| *phone)
}

/// One line for each thing that happens, at the time of the day.
///
/// # Errors
/// Of the terminal.
pub fn time_line(
    out: &mut impl Write,
    urgency: Urgency,
    events: &[Event],
    start: DateTime<Utc>,
) -> Result<()> {
    let zone = beijing();
    let clock = |event: &Event| {
        let at = start + TimeDelta::from_std(event.at).unwrap_or_default();
        let since = event.at.as_secs();
        format!(
            "{}  +{:02}:{:02}",
            at.with_timezone(&zone).format("%H:%M:%S"),
            since / 60,
            since % 60
        )
    };
    let word = if urgency == Urgency::Critical { "特急" } else { "急" };
    let begins = start.with_timezone(&zone).format("%H:%M:%S");
    writeln!(out, "{begins}  +00:00  ⚑ {word} 标记 · flagged")?;
    for event in events {
        let line = match &event.what {
            Happens::Calls { role, person, number, why } => {
                format!("☎ {} {person} {number} 呼叫 · called: {why}", name(*role))
            }
            Happens::Ended { person, number, result } => {
                format!("· {person} {number} {}", ended(*result))
            }
            Happens::Acknowledged { role, person } => {
                format!("● {} {person} 按 1 知悉 · acknowledged", name(*role))
            }
            Happens::Siren => "▲ 值班台警报 · siren at the desk".to_owned(),
            Happens::Round(nth) => format!("↻ 第 {} 轮 · round {}", nth + 1, nth + 1),
        };
        writeln!(out, "{}  {line}", clock(event))?;
    }
    Ok(())
}

fn name(role: Role) -> &'static str {
    match role {
        Role::Leader => "带班领导",
        Role::Substitute => "替班领导",
        Role::OfficeDirector => "办公室主任",
        Role::Head => "中心主要领导",
        Role::Officer => "值班员",
    }
}

fn ended(result: AttemptResult) -> &'static str {
    match result {
        AttemptResult::Acknowledged => "已知悉 · acknowledged",
        AttemptResult::AnsweredNoKey => "接听未按键 · answered, no key",
        AttemptResult::Busy => "占线 · busy",
        AttemptResult::Declined => "拒接 · declined",
        AttemptResult::NoAnswer => "无人接听 · no answer",
        AttemptResult::Unreachable => "空号或无法接通 · dead number",
        AttemptResult::ChannelFailed => "线路故障 · line failed",
        AttemptResult::Cancelled => "不再需要，挂断 · no longer wanted",
        AttemptResult::Interrupted => "中断 · cut",
        AttemptResult::HandedOn => "不便，转替班 · handed on",
        AttemptResult::WrongPin => "口令错误 · wrong PIN",
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::duty::roster::Person;
    use std::time::Duration;

    #[test]
    fn a_phone_is_named_by_role_or_by_number() {
        let leader = Person::new("李四", Role::Leader, Some("1001"), Some("2001"));
        let roster = Roster { people: vec![leader] };
        let given = |text: &str| phones(&[text.to_owned()], &roster);
        let off = given("leader=off").unwrap();
        assert_eq!(
            off.into_iter().collect::<Vec<_>>(),
            [("1001".to_owned(), Phone::Off), ("2001".to_owned(), Phone::Off)]
        );
        assert_eq!(given("2001=busy").unwrap(), BTreeMap::from([("2001".to_owned(), Phone::Busy)]));
        assert_eq!(given("李四=busy").unwrap().len(), 2);
        for wrong in ["leader", "leader=asleep", "head=off"] {
            assert!(given(wrong).is_err(), "{wrong}");
        }
        for nobodys in ["9=busy", "200=busy", "李五=off"] {
            let told = given(nobodys).unwrap_err();
            assert!(told.contains("李四 1001 2001"), "{told}");
        }
    }

    #[test]
    fn the_time_line_shows_the_time_of_the_day_in_beijing() {
        let three = NaiveTime::from_hms_opt(3, 0, 0).unwrap();
        let eight = NaiveTime::from_hms_opt(8, 0, 0).unwrap();
        let tomorrow = next_at(eight, DateTime::UNIX_EPOCH);
        assert_eq!(tomorrow.timestamp(), 86_400, "it is eight in Beijing: the next one");
        assert_eq!(next_at(eight, tomorrow - TimeDelta::seconds(1)), tomorrow);
        let start = next_at(three, DateTime::UNIX_EPOCH);
        let event = Event { at: Duration::from_secs(110), what: Happens::Siren };
        let mut out = vec![];
        time_line(&mut out, Urgency::Critical, &[event], start).unwrap();
        let shown = String::from_utf8(out).unwrap();
        assert!(shown.starts_with("03:00:00  +00:00  ⚑ 特急"), "{shown}");
        assert!(shown.contains("03:01:50  +01:50  ▲ 值班台警报"), "{shown}");
    }
}
