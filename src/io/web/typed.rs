//! What was written while the call was recorded, line by line, with the moment of the recording at which it was.

use super::messages::Messages;
use super::page::Page;
use super::{outcome, times};
use crate::duty::entry::Field;
use crate::io::store::{BookmarkRow, EntryView as Found, RecordingRow, RevisionKind, RevisionRow};
use chrono::{DateTime, TimeDelta, Utc};

/// The page saves so long after the last key.
const PAUSE: TimeDelta = TimeDelta::milliseconds(600);

/// A place to play from.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PlayFrom {
    pub at_ms: i64,
    /// As the player counts.
    pub clock: String,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TypedView {
    pub from: PlayFrom,
    pub label: &'static str,
    pub text: String,
}

pub struct BookmarkView {
    pub id: i64,
    pub from: PlayFrom,
    pub text: String,
    pub by: String,
    pub made: String,
}

/// Lines of the form as it is now that came into it while the call was recorded, in the order in which they did.
pub fn lines(found: &Found, placed: bool, page: &Page) -> Vec<TypedView> {
    let Some(recording) = &found.recording else { return vec![] };
    let mut lines: Vec<(Field, String, DateTime<Utc>)> = vec![];
    let by_hand = |one: &&RevisionRow| one.kind != RevisionKind::System;
    for revision in found.revisions.iter().filter(by_hand) {
        for change in &revision.changes {
            if let Some(field) = Field::from_name(&change.field).filter(|f| *f != Field::Category) {
                follow(&mut lines, field, &change.old, &change.new, revision.at);
            }
        }
    }
    let stands =
        |field: Field, line: &str| found.form.get(field).lines().any(|one| one.trim() == line);
    let view = |(field, text, at): (Field, String, DateTime<Utc>)| {
        let from = within(recording, at).filter(|_| stands(field, &text))?;
        Some(TypedView { from, label: page.pick(outcome::label(field, placed)), text })
    };
    lines.into_iter().filter_map(view).collect()
}

/// A line that grew or was put right is the same line.
fn follow(
    lines: &mut Vec<(Field, String, DateTime<Utc>)>,
    field: Field,
    old: &str,
    new: &str,
    at: DateTime<Utc>,
) {
    let cut = |text: &str| text.lines().map(|line| line.trim().to_owned()).collect::<Vec<_>>();
    let (old, new) = (cut(old), cut(new));
    for (place, line) in new.iter().enumerate().filter(|(_, line)| !line.is_empty()) {
        if old.contains(line) {
            continue;
        }
        let was = old.get(place).filter(|was| !was.is_empty() && !new.contains(was));
        let known =
            was.and_then(|was| lines.iter_mut().find(|(of, text, _)| *of == field && text == was));
        match known {
            Some((_, text, _)) => line.clone_into(text),
            None => lines.push((field, line.clone(), at)),
        }
    }
}

/// Where in the recording that moment is; none where it is not.
fn within(recording: &RecordingRow, at: DateTime<Utc>) -> Option<PlayFrom> {
    let length = recording.duration_ms.filter(|_| recording.sha256.is_some())?;
    let after = (at - recording.started).num_milliseconds();
    if !(0..=length + PAUSE.num_milliseconds()).contains(&after) {
        return None;
    }
    Some(from((after - PAUSE.num_milliseconds()).clamp(0, length)))
}

fn from(at_ms: i64) -> PlayFrom {
    PlayFrom { at_ms, clock: times::clock(at_ms / 1000) }
}

/// From where a revision can be listened to.
pub fn of(found: &Found, revision: &RevisionRow) -> Option<PlayFrom> {
    within(found.recording.as_ref()?, revision.at)
}

pub fn bookmark(row: &BookmarkRow, now: DateTime<Utc>) -> BookmarkView {
    BookmarkView {
        id: row.id,
        from: from(row.at_ms),
        text: row.text.clone(),
        by: row.by.clone(),
        made: times::short(row.made, now),
    }
}

/// Why somebody listens: what is offered, the usual first.
pub fn reasons(t: &'static Messages) -> [&'static str; 6] {
    [t.why_check, t.why_follow, t.why_handover, t.why_leader, t.why_quality, t.why_other]
}

#[cfg(test)]
mod tests {
    use super::*;
    use chrono::TimeZone;

    fn at(seconds: i64) -> DateTime<Utc> {
        Utc.with_ymd_and_hms(2026, 10, 3, 13, 42, 0).unwrap() + TimeDelta::seconds(seconds)
    }

    #[test]
    fn a_line_keeps_the_moment_at_which_it_was_begun() {
        let mut lines = vec![];
        let steps = [
            ("", "城北", 10),
            ("城北", "城北燃气泄漏", 14),
            ("城北燃气泄漏", "城北燃气泄漏\n两人轻商", 30),
            ("城北燃气泄漏\n两人轻商", "城北燃气泄漏\n两人轻伤", 33),
            ("城北燃气泄漏\n两人轻伤", "城北燃气泄漏\n两人轻伤\n已疏散", 50),
            ("城北燃气泄漏\n两人轻伤\n已疏散", "报告：\n城北燃气泄漏\n两人轻伤\n已疏散", 60),
        ];
        for (old, new, seconds) in steps {
            follow(&mut lines, Field::Content, old, new, at(seconds));
        }
        let seen: Vec<_> = lines.iter().map(|(_, text, at)| (text.as_str(), *at)).collect();
        assert_eq!(
            seen,
            [
                ("城北燃气泄漏", at(10)),
                ("两人轻伤", at(30)),
                ("已疏散", at(50)),
                ("报告：", at(60))
            ]
        );
    }

    #[test]
    fn what_was_written_is_heard_from_where_it_was_and_not_beyond_the_recording() {
        let recording = RecordingRow {
            call: crate::duty::ids::CallId(uuid::Uuid::nil()),
            state: crate::io::store::RecordingState::Sealed,
            started: at(0),
            duration_ms: Some(60_000),
            bytes: None,
            sha256: Some("00".to_owned()),
            gaps: vec![],
            keys: vec![],
            findings: vec![],
            sealed: None,
            reason: String::new(),
            given_up: None,
            gone: None,
        };
        let heard = |seconds| within(&recording, at(seconds)).map(|from| (from.at_ms, from.clock));
        assert_eq!(heard(42), Some((41_400, "0:41".to_owned())));
        assert_eq!(heard(0), Some((0, "0:00".to_owned())));
        assert_eq!(heard(60), Some((59_400, "0:59".to_owned())));
        assert_eq!((heard(-1), heard(61)), (None, None));
        let unsealed = RecordingRow { sha256: None, ..recording.clone() };
        assert_eq!(within(&unsealed, at(42)), None);
    }
}
