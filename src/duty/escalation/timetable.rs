//! Versions of the policy, each with the moment from which on it is in force.

use super::Policy;
use crate::duty::notices::Channel;
use crate::duty::rehearsal::{Finding, findings};
use crate::duty::roster::Roster;
use chrono::{DateTime, Utc};
use std::fmt;

/// A policy as somebody wrote it down.
#[derive(Clone, Default, PartialEq, Eq)]
pub struct Version {
    pub name: String,
    /// `None`: as soon as it is loaded.
    pub from: Option<DateTime<Utc>>,
    /// Who has decided that it is to be so.
    pub approved_by: String,
    /// What is open when it comes into force goes on by it, from its beginning.
    pub open_too: bool,
    /// Every word of it.
    pub text: String,
    pub figures: Policy,
    /// What of it cannot work, or could be better.
    pub found: Vec<Finding>,
}

impl fmt::Debug for Version {
    /// What it says, not in which words.
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.debug_struct("Version")
            .field("name", &self.name)
            .field("from", &self.from)
            .field("approved_by", &self.approved_by)
            .field("open_too", &self.open_too)
            .field("figures", &self.figures)
            .finish_non_exhaustive()
    }
}

impl Version {
    pub fn of(figures: Policy) -> Self {
        Self { figures, ..Self::default() }
    }

    /// It cannot work as it stands.
    pub fn is_refused(&self) -> bool {
        self.found.iter().any(|one| one.refused)
    }
}

/// The versions of one file. **Which is in force is a matter of the wall clock alone**: a clock that is set takes the
/// version with it, forward and back.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Timetable {
    /// In force until the first of the later ones is, and whenever none of them can work.
    pub first: Version,
    /// By their time, each with one.
    pub later: Vec<Version>,
}

impl From<&Policy> for Timetable {
    fn from(figures: &Policy) -> Self {
        Self { first: Version::of(figures.clone()), later: vec![] }
    }
}

impl From<&Self> for Timetable {
    fn from(other: &Self) -> Self {
        other.clone()
    }
}

impl Timetable {
    /// Says of each version what of it cannot work.
    pub fn judge(&mut self, roster: &Roster, channels: &[Channel]) {
        for version in std::iter::once(&mut self.first).chain(&mut self.later) {
            version.found = findings(&version.figures, roster, channels);
        }
    }

    pub fn all(&self) -> impl Iterator<Item = &Version> {
        std::iter::once(&self.first).chain(&self.later)
    }

    /// A version that cannot work never comes into force; the first one does all the same, where there is no other.
    pub fn in_force(&self, at: DateTime<Utc>) -> &Version {
        let mut begun = self.coming().filter(|(from, _)| *from <= at);
        begun.by_ref().last().map_or(&self.first, |(_, version)| version)
    }

    /// Those that came into force after `since` and by `until`, in their order.
    pub fn between(
        &self,
        since: DateTime<Utc>,
        until: DateTime<Utc>,
    ) -> impl Iterator<Item = (DateTime<Utc>, &Version)> {
        self.coming().filter(move |(from, _)| since < *from && *from <= until)
    }

    /// When another version is in force next.
    pub fn next_change(&self, at: DateTime<Utc>) -> Option<DateTime<Utc>> {
        self.coming().map(|(from, _)| from).find(|from| *from > at)
    }

    fn coming(&self) -> impl Iterator<Item = (DateTime<Utc>, &Version)> {
        let works = self.later.iter().filter(|version| !version.is_refused());
        works.filter_map(|version| Some((version.from?, version)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(seconds: i64) -> DateTime<Utc> {
        DateTime::from_timestamp(1_790_000_000 + seconds, 0).unwrap()
    }

    fn named(name: &str, from: i64) -> Version {
        Version { name: name.to_owned(), from: Some(at(from)), ..Version::default() }
    }

    fn table() -> Timetable {
        Timetable { first: Version::default(), later: vec![named("B", 100), named("C", 200)] }
    }

    #[test]
    fn esc_64_a_version_is_in_force_from_its_second_on_whichever_way_the_clock_is_set() {
        let table = table();
        let in_force = |seconds| table.in_force(at(seconds)).name.as_str();
        for (seconds, name) in [(0, ""), (99, ""), (100, "B"), (199, "B"), (200, "C"), (150, "B")] {
            assert_eq!(in_force(seconds), name, "{seconds}");
        }
        assert_eq!(in_force(-1_700_000_000), "");
        let changes = [0, 99, 100, 199, 200].map(|now| table.next_change(at(now)));
        let wanted = [Some(100), Some(100), Some(200), Some(200), None];
        assert_eq!(changes, wanted.map(|seconds| seconds.map(at)));
        let names = |since, until| {
            let between = table.between(at(since), at(until));
            between.map(|(_, version)| version.name.as_str()).collect::<Vec<_>>()
        };
        assert_eq!(names(0, 300), ["B", "C"]);
        assert_eq!(names(100, 199), [""; 0]);
    }

    #[test]
    fn esc_82_a_version_that_cannot_work_never_comes_into_force() {
        let mut table = table();
        let (zh, en) = (String::new(), String::new());
        table.later[1].found = vec![Finding { refused: true, zh, en }];
        assert_eq!(table.in_force(at(500)).name, "B");
        assert_eq!(table.next_change(at(100)), None);
        table.later.clear();
        table.judge(&Roster::default(), &[]);
        assert_eq!(table.in_force(at(500)), &table.first, "the telephone goes on with the first");
    }
}
