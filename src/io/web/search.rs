//! 记录查询: a form, and a page of what was found with the words marked.

use super::Shared;
use super::auth::Staff;
use super::failure::Failure;
use super::messages::{Messages, fill};
use super::page::{Page, in_query};
use super::rows::{self, Row};
use super::view;
use crate::duty::entry::beijing;
use crate::duty::journal::{Disposition, Urgency};
use crate::duty::words::{self, Folded, fold, place};
use crate::io::clock;
use crate::io::store::{COUNTED, Hit, Hits, Query as Sought, RecordingState, StoreError};
use askama::Template;
use axum::extract::{Query, State};
use axum::response::Html;
use chrono::{DateTime, NaiveDate, NaiveTime, TimeDelta, TimeZone, Utc};
use serde::Deserialize;
use serde::de::DeserializeOwned;
use std::sync::Arc;

/// Searches that read side by side.
pub const AT_ONCE: usize = 2;
/// Entries on a page.
const MOST: u32 = 50;
/// Characters around a word that are shown with it.
const AROUND: usize = 36;
/// As a browser's field for a date has it.
const DAY: &str = "%Y-%m-%d";
const NO_RECORDING: &str = "none";

const OUTCOMES: [Disposition; 10] = [
    Disposition::Answered,
    Disposition::Missed,
    Disposition::Abandoned,
    Disposition::BusyMissed,
    Disposition::Declined,
    Disposition::Message,
    Disposition::Elsewhere,
    Disposition::Failed,
    Disposition::Interrupted,
    Disposition::SelfTest,
];
const URGENCIES: [Urgency; 3] = [Urgency::Routine, Urgency::Urgent, Urgency::Critical];
const RECORDINGS: [RecordingState; 7] = [
    RecordingState::Sealed,
    RecordingState::Partial,
    RecordingState::Missing,
    RecordingState::Recording,
    RecordingState::Finalizing,
    RecordingState::GivenUp,
    RecordingState::Destroyed,
];

/// The form as it was sent; what cannot be understood is not asked for.
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub struct Asked {
    words: String,
    from: String,
    to: String,
    outcome: String,
    urgency: String,
    recording: String,
    /// Where the page before ended.
    before: String,
}

#[derive(Template)]
#[template(path = "search.html")]
struct Shown<'a> {
    page: &'a Page,
    asked: &'a Asked,
    outcomes: Vec<Choice>,
    urgencies: Vec<Choice>,
    recordings: Vec<Choice>,
    /// None where nothing was asked for.
    found: Option<Found>,
    problem: Option<&'static str>,
    indexing: bool,
    /// The index did not take some entries.
    incomplete: bool,
}

struct Found {
    count: String,
    lines: Vec<Line>,
    newest: Option<String>,
    older: Option<String>,
}

struct Choice {
    value: String,
    text: &'static str,
    chosen: bool,
}

struct Line {
    row: Row,
    number: Vec<Part>,
    caller: Vec<Part>,
    name: Vec<Part>,
    said: Vec<(String, Vec<Part>)>,
}

/// A piece of a text; `hit`: it was looked for.
struct Part {
    text: String,
    hit: bool,
}

/// `GET /search`
pub async fn get(
    State(shared): State<Shared>,
    Staff(officer): Staff,
    page: Page,
    Query(asked): Query<Asked>,
) -> Result<Html<String>, Failure> {
    let query = asked.query();
    let (mut found, mut problem) = (None, None);
    if !query.is_empty() {
        let turn = Arc::clone(&shared.searches).acquire_owned().await;
        let turn = turn.map_err(|error| Failure::Broken(error.to_string()))?;
        let (now, before) = (clock::now(), asked.before.parse().ok());
        let phrases: Vec<_> = query.phrases.iter().map(|phrase| fold(phrase)).collect();
        // Whoever asked may have gone: it is read to its end all the same, and counts so long.
        let (store, who) = (shared.web.store.clone(), officer.who.clone());
        let search = async move {
            let _turn = turn;
            store.search(&who, query, before, MOST, now).await
        };
        let found_now = tokio::spawn(search).await;
        match found_now.map_err(|error| Failure::Broken(error.to_string()))? {
            Ok(hits) => found = Some(asked.found(&hits, &phrases, &page, now.wall)),
            Err(StoreError::TooLong) => problem = Some(page.t.search_too_wide),
            Err(error) => return Err(error.into()),
        }
    }
    let shown = Shown {
        outcomes: choices(&OUTCOMES, &asked.outcome, |how| outcome(*how, page.t)),
        urgencies: choices(&URGENCIES, &asked.urgency, |one| view::urgency(*one, page.t).text),
        recordings: recordings(&asked.recording, page.t),
        indexing: shared.web.store.is_indexing().await?,
        incomplete: shared.web.store.index_is_incomplete().await?,
        asked: &asked,
        found,
        problem,
        page: &page,
    };
    Ok(Html(shown.render()?))
}

impl Asked {
    fn query(&self) -> Sought {
        let recording = match self.recording.as_str() {
            NO_RECORDING => Some(None),
            name => named(name).map(Some),
        };
        Sought {
            phrases: words::phrases(&self.words),
            from: day(&self.from),
            to: day(&self.to).map(|day| day + TimeDelta::days(1)),
            disposition: named(&self.outcome),
            urgency: named(&self.urgency),
            recording,
        }
    }

    fn found(
        &self,
        hits: &Hits,
        phrases: &[Vec<Folded>],
        page: &Page,
        now: DateTime<Utc>,
    ) -> Found {
        let count = match hits.count {
            COUNTED => page.t.search_count_more,
            _ => page.t.search_count,
        };
        Found {
            count: fill(count, hits.count),
            lines: hits.found.iter().map(|hit| line(hit, phrases, page, now)).collect(),
            newest: (!self.before.is_empty()).then(|| self.link(None)),
            older: hits.older.map(|older| self.link(Some(older))),
        }
    }

    /// The same question, from another place on.
    fn link(&self, before: Option<i64>) -> String {
        let fields = [
            ("words", &self.words),
            ("from", &self.from),
            ("to", &self.to),
            ("outcome", &self.outcome),
            ("urgency", &self.urgency),
            ("recording", &self.recording),
        ];
        let mut link = String::from("/search?");
        for (name, value) in fields.into_iter().filter(|(_, value)| !value.is_empty()) {
            link.push_str(&format!("{name}={}&", in_query(value)));
        }
        match before {
            Some(before) => link.push_str(&format!("before={before}")),
            None => link.truncate(link.len() - 1),
        }
        link
    }
}

/// The day's begin in Beijing.
fn day(text: &str) -> Option<DateTime<Utc>> {
    let day = NaiveDate::parse_from_str(text, DAY).ok()?.and_time(NaiveTime::MIN);
    Some(beijing().from_local_datetime(&day).single()?.to_utc())
}

fn named<T: DeserializeOwned>(name: &str) -> Option<T> {
    serde_json::from_value(name.into()).ok()
}

fn choices<T: serde::Serialize>(
    all: &[T],
    chosen: &str,
    text: impl Fn(&T) -> &'static str,
) -> Vec<Choice> {
    let choice = |one| {
        let value = serde_json::to_value(one).ok()?.as_str()?.to_owned();
        Some(Choice { chosen: value == chosen, text: text(one), value })
    };
    all.iter().filter_map(choice).collect()
}

fn outcome(how: Disposition, t: &'static Messages) -> &'static str {
    match how {
        Disposition::Answered => t.search_answered,
        other => view::disposition(other, t).text,
    }
}

fn recordings(chosen: &str, t: &'static Messages) -> Vec<Choice> {
    let mut all = choices(&RECORDINGS, chosen, |state| view::recording(*state, t).text);
    all.push(Choice {
        value: NO_RECORDING.to_owned(),
        text: t.search_no_recording,
        chosen: chosen == NO_RECORDING,
    });
    all
}

fn line(hit: &Hit, phrases: &[Vec<Folded>], page: &Page, now: DateTime<Utc>) -> Line {
    let row = rows::row(&hit.row, page, now);
    let said = hit.said.iter().map(|said| {
        let label = match said.field {
            Some(field) => page.pick(field.label()),
            None => page.t.search_gone,
        };
        (label.to_owned(), parts(&excerpt(&said.text, phrases), phrases))
    });
    Line {
        number: parts(&hit.row.number, phrases),
        caller: parts(&row.caller, phrases),
        name: parts(&row.name, phrases),
        said: said.collect(),
        row,
    }
}

/// A text in pieces, with what was looked for by itself.
fn parts(text: &str, phrases: &[Vec<Folded>]) -> Vec<Part> {
    let folded = fold(text);
    let mut places: Vec<_> = phrases.iter().filter_map(|phrase| place(&folded, phrase)).collect();
    places.sort_unstable();
    let (mut parts, mut done) = (vec![], 0);
    let mut push = |from: usize, to: usize, hit| {
        if from < to {
            parts.push(Part { text: text[from..to].to_owned(), hit });
        }
    };
    for (from, to) in places {
        push(done, from.max(done), false);
        push(from.max(done), to.max(done), true);
        done = done.max(to);
    }
    push(done, text.len(), false);
    parts
}

/// What stands around the first word that was looked for.
fn excerpt(text: &str, phrases: &[Vec<Folded>]) -> String {
    let folded = fold(text);
    let first = phrases.iter().filter_map(|phrase| place(&folded, phrase)).min();
    let (from, to) = first.unwrap_or((0, 0));
    let before: Vec<char> = text[..from].chars().rev().take(AROUND).collect();
    let begins = text[..from].chars().count() > AROUND;
    let after = &text[to..];
    let ends = after.chars().count() > AROUND;
    let dots = |there: bool| if there { "…" } else { "" };
    let before: String = before.into_iter().rev().collect();
    let after: String = after.chars().take(AROUND).collect();
    [dots(begins), &before, &text[from..to], &after, dots(ends)].concat()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn shown(text: &str, words: &[&str]) -> String {
        let phrases: Vec<_> = words.iter().map(|word| fold(word)).collect();
        let mark = |part: Part| if part.hit { format!("[{}]", part.text) } else { part.text };
        parts(text, &phrases).into_iter().map(mark).collect()
    }

    #[test]
    fn what_was_looked_for_is_marked_also_where_it_overlaps() {
        assert_eq!(shown("城北水管，破裂", &["水管破", "破裂"]), "城北[水管，破][裂]");
        assert_eq!(shown("13800130007", &["0007", "x"]), "1380013[0007]");
        assert_eq!(shown("", &["x"]), "");
    }

    #[test]
    fn an_excerpt_is_cut_at_characters_around_the_first_word() {
        let text = format!("{}氨气{}", "一".repeat(50), "二".repeat(10));
        let cut = excerpt(&text, &[fold("氨气")]);
        assert_eq!(cut, format!("…{}氨气{}", "一".repeat(36), "二".repeat(10)));
        assert_eq!(excerpt("短", &[fold("无")]), "短");
    }

    #[test]
    fn a_day_is_beijings_and_the_last_one_counts() {
        let asked =
            Asked { from: "2026-10-03".into(), to: "2026-10-03".into(), ..Asked::default() };
        let query = asked.query();
        assert_eq!(query.from.unwrap().to_rfc3339(), "2026-10-02T16:00:00+00:00");
        assert_eq!(query.to.unwrap() - query.from.unwrap(), TimeDelta::days(1));
        let nonsense =
            Asked { from: "x".into(), urgency: "y".into(), words: "，".into(), ..asked };
        assert!(Asked { to: String::new(), ..nonsense }.query().is_empty());
    }
}
