//! The versions of the policy: which is in force, which is to come, which is over or refused.

use crate::duty::escalation::{Policy, Timetable};
use crate::io::store::PolicyRow;
use crate::io::web::messages::policy::Messages;
use crate::io::web::messages::{fill, fill_two};
use crate::io::web::times;
use chrono::{DateTime, Utc};

/// Hexadecimal digits that tell one version from another.
const DIGITS: usize = 12;

pub struct VersionView {
    pub id: i64,
    pub class: &'static str,
    pub shape: &'static str,
    pub state: &'static str,
    pub name: String,
    pub from: String,
    pub periods: Vec<String>,
    pub approved_by: String,
    pub loaded: String,
    pub found: String,
    pub digest: String,
    pub chosen: bool,
}

/// The one that is looked at.
pub struct Chosen {
    pub row: PolicyRow,
    pub figures: Policy,
}

impl Chosen {
    pub fn named(&self) -> (String, Policy) {
        (self.row.name.clone(), self.figures.clone())
    }
}

pub fn views(
    rows: &[PolicyRow],
    versions: &Timetable,
    chosen: Option<&Chosen>,
    now: DateTime<Utc>,
    t: &'static Messages,
) -> Vec<VersionView> {
    let shown = chosen.map(|one| one.row.id);
    rows.iter().map(|row| view(row, versions, shown == Some(row.id), now, t)).collect()
}

fn view(
    row: &PolicyRow,
    versions: &Timetable,
    chosen: bool,
    now: DateTime<Utc>,
    t: &'static Messages,
) -> VersionView {
    let in_force = row.periods.iter().any(|(_, to)| to.is_none());
    let refused = row.found.iter().any(|one| one.refused);
    let ms = |at: DateTime<Utc>| at.timestamp_millis();
    let is_there = versions.all().any(|one| {
        let same = (&one.text, &one.name) == (&row.text, &row.name);
        same && one.from.map(ms) == row.from.map(ms) && !one.is_refused()
    });
    let to_come = is_there && row.from.is_some_and(|from| from > now);
    let (class, shape, state) = match (in_force, to_come, refused) {
        (true, ..) => ("ok", "●", t.in_force),
        (_, true, _) => ("info", "◷", t.to_come),
        (_, _, true) => ("bad", "■", t.never),
        _ if row.periods.is_empty() => ("muted", "○", t.taken_back),
        _ => ("muted", "○", t.over),
    };
    let wrong = row.found.iter().filter(|one| one.refused).count();
    let weak = row.found.len() - wrong;
    VersionView {
        id: row.id,
        class,
        shape,
        state,
        name: name(row, t),
        from: row.from.map_or_else(|| t.at_once.to_owned(), times::full),
        periods: row.periods.iter().map(|(from, to)| period(*from, *to, t)).collect(),
        approved_by: row.approved_by.clone(),
        loaded: match row.loaded_by.as_str() {
            "" => times::full(row.loaded),
            by => format!("{} {}", times::full(row.loaded), fill(t.file_of, by)),
        },
        found: match (wrong, weak) {
            (0, 0) => t.nothing_found.to_owned(),
            (0, weak) => fill(t.weak, weak),
            (wrong, _) => fill(t.wrong, wrong),
        },
        digest: row.digest.chars().take(DIGITS).collect(),
        chosen,
    }
}

/// Which one it is, and its words.
pub fn looked_at(row: PolicyRow, t: &'static Messages) -> (String, String) {
    let current = row.periods.iter().any(|(_, to)| to.is_none());
    let said = if current { t.looked_at_current } else { t.looked_at };
    (fill(said, name(&row, t)), row.text)
}

fn name(row: &PolicyRow, t: &'static Messages) -> String {
    match (row.name.as_str(), row.from) {
        ("", Some(from)) => fill(t.unnamed_from, times::full(from)),
        ("", None) => fill(t.unnamed_loaded, times::full(row.loaded)),
        (name, _) => name.to_owned(),
    }
}

fn period(from: DateTime<Utc>, to: Option<DateTime<Utc>>, t: &'static Messages) -> String {
    match to {
        Some(to) => fill_two(t.from_to, &times::full(from), &times::full(to)),
        None => fill(t.since_then, times::full(from)),
    }
}
