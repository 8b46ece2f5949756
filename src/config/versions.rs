//! The versions of the policy: `[escalation]`, and each `[[escalation.later]]` with the moment from which on it holds.

use super::channels::Channel;
use super::faults::{Fault, Say, say};
use super::ladders;
use super::reader::{Reader, Section, boolean, text};
use crate::duty::entry::beijing;
use crate::duty::escalation::{Policy, Timetable, Version};
use crate::duty::rehearsal::Finding;
use crate::duty::roster::Roster;
use chrono::{DateTime, NaiveDateTime, TimeZone, Utc};
use toml::de::DeValue;

/// Versions to come that one file may have.
const LATER_MAX: usize = 50;
const TIMES: [&str; 2] = ["%Y-%m-%d %H:%M", "%Y-%m-%d %H:%M:%S"];

/// Judged by whom they call and what else is told. What is at fault in one of them is that one's alone.
pub fn versions(
    reader: &Reader,
    root: &mut Section<'_>,
    source: &str,
    (roster, channels): (&Roster, &[Channel]),
) -> Timetable {
    let (mut s, no_section) = reader.apart(|| root.section("escalation"));
    let (first, words) = written(source);
    let (sections, faults) = reader.apart(|| later_sections(reader, &mut s));
    let mut later: Vec<Version> = vec![];
    if !faults.is_empty() {
        later.push(set_aside(reader, Version::default(), faults));
    }
    for (nth, section) in sections.into_iter().enumerate() {
        let text = words.get(nth).cloned().unwrap_or_default();
        let (version, faults) = reader.apart(|| {
            let (place, field) = (section.place(), section.field("from"));
            let version = later_one(reader, section, text);
            if version.from.is_some() && later.iter().any(|other| other.from == version.from) {
                let fault = say(
                    "两版呼叫顺序同一时刻生效，只能留一版",
                    "two versions come into force at one moment: only one can",
                );
                reader.fault(Some(place), field, fault);
            }
            version
        });
        later.push(set_aside(reader, version, faults));
    }
    later.sort_by_key(|version| version.from);
    let (first, faults) = reader.apart(|| {
        let first = about(&mut s, first);
        Version { figures: ladders::policy(reader, s), ..first }
    });
    let first = set_aside(reader, first, no_section.into_iter().chain(faults).collect());
    let mut versions = Timetable { first, later };
    let plans: Vec<_> = channels.iter().map(|channel| channel.plan.clone()).collect();
    versions.judge(roster, &plans);
    versions
}

fn later_sections<'a>(reader: &Reader, s: &mut Section<'a>) -> Vec<Section<'a>> {
    let mut sections = s.each("later");
    if sections.len() > LATER_MAX {
        let fault = say(
            format!("最多 {LATER_MAX} 版，后面的没有读；已经过时的可以删去，程序里都有存档"),
            format!(
                "at most {LATER_MAX}, the rest is not read: remove those that are over, the log keeps every one"
            ),
        );
        reader.fault(Some(s.place()), s.field("later"), fault);
        sections.truncate(LATER_MAX);
    }
    sections
}

/// One with faults is not used, whatever of it could be read.
fn set_aside(reader: &Reader, version: Version, faults: Vec<Fault>) -> Version {
    if faults.is_empty() {
        return version;
    }
    let refused = |Fault { field, say, .. }: &Fault| Finding {
        refused: true,
        zh: format!("{field}：{}", say.zh),
        en: format!("{field}: {}", say.en),
    };
    let unreadable = faults.iter().map(refused).collect();
    reader.set_aside(faults);
    Version { unreadable, figures: Policy::default(), ..version }
}

fn later_one(reader: &Reader, mut s: Section<'_>, words: String) -> Version {
    let from = s.required("from", "\"2026-12-01 08:00\"", moment);
    let open_too = s.or("open_too", false, boolean);
    let version = about(&mut s, words);
    let figures = ladders::policy(reader, s);
    Version { from, open_too, figures, ..version }
}

fn about(s: &mut Section<'_>, words: String) -> Version {
    let name = s.or("name", String::new(), text);
    let approved_by = s.or("approved_by", String::new(), text);
    Version { name, approved_by, text: words, ..Version::default() }
}

fn moment(value: &DeValue<'_>) -> Result<DateTime<Utc>, Say> {
    let text = text(value)?;
    let read = TIMES.iter().find_map(|form| NaiveDateTime::parse_from_str(&text, form).ok());
    let at = read.and_then(|local| beijing().from_local_datetime(&local).single());
    at.map(|at| at.to_utc()).ok_or_else(|| {
        say(
            "要写成北京时间 \"2026-12-01 08:00\"，或带秒",
            "must be a time in Beijing such as \"2026-12-01 08:00\", with seconds or without",
        )
    })
}

/// What the file says of the first version and of each later one, word by word; what stands before the next section
/// belongs to that.
fn written(source: &str) -> (String, Vec<String>) {
    let (mut first, mut later): (String, Vec<String>) = (String::new(), vec![]);
    let mut block: Vec<&str> = vec![];
    let mut path: Vec<String> = vec![];
    let mut take = |path: &[String], block: &mut Vec<&str>| {
        let idle = |line: &&str| line.trim().is_empty() || line.trim_start().starts_with('#');
        while block.last().is_some_and(idle) {
            block.pop();
        }
        let text: String = block.drain(..).flat_map(|line| [line, "\n"]).collect();
        let names: Vec<&str> = path.iter().map(String::as_str).collect();
        match names[..] {
            ["escalation", "later"] => later.push(text),
            ["escalation", "later", ..] => later.last_mut().unwrap_or(&mut first).push_str(&text),
            ["escalation", ..] => first.push_str(&text),
            _ => {}
        }
    };
    for line in source.lines() {
        if let Some(next) = header(line) {
            take(&path, &mut block);
            path = next;
        }
        block.push(line);
    }
    take(&path, &mut block);
    (first, later)
}

/// The names of `[a.b]` or `[[a.b]]`.
fn header(line: &str) -> Option<Vec<String>> {
    let (inside, after) = line.trim().strip_prefix('[')?.split_once(']')?;
    let after = after.trim_start_matches(']').trim();
    if !after.is_empty() && !after.starts_with('#') {
        return None;
    }
    let plain = |name: &str| name.trim().trim_matches(['"', '\'']).to_owned();
    Some(inside.trim_start_matches('[').split('.').map(plain).collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_version_has_its_own_words() {
        let source = "[line]\nx = 1\n# of the policy\n[escalation]\nring_seconds = 30 # long\n\
            # of what follows\n[[escalation.later]]\nfrom = \"a\"\n[[ escalation.later.urgent ]]\n\
            calls = [\n  { after_seconds = 0 },\n]\n[[escalation.urgent]]\nrole = \"leader\"\n\n\
            [[escalation.later]] # the last\nfrom = \"b\"\n[web]\n";
        let (first, later) = written(source);
        let own =
            "[escalation]\nring_seconds = 30 # long\n[[escalation.urgent]]\nrole = \"leader\"\n";
        assert_eq!(first, own);
        let one = "[[escalation.later]]\nfrom = \"a\"\n[[ escalation.later.urgent ]]\n\
            calls = [\n  { after_seconds = 0 },\n]\n";
        assert_eq!(later, [one, "[[escalation.later]] # the last\nfrom = \"b\"\n"]);
        assert_eq!(written("[web]\n"), (String::new(), vec![]));
    }
}
