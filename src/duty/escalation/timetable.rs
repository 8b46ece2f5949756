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
    /// What of its text cannot be read: such a version is never in force, and its figures are nobody's.
    pub unreadable: Vec<Finding>,
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

    fn judge(&mut self, roster: &Roster, channels: &[Channel]) {
        self.found = match self.is_unreadable() {
            true => self.unreadable.clone(),
            false => findings(&self.figures, roster, channels),
        };
    }

    /// It cannot work as it stands.
    pub fn is_refused(&self) -> bool {
        self.is_unreadable() || self.found.iter().any(|one| one.refused)
    }

    pub fn is_unreadable(&self) -> bool {
        !self.unreadable.is_empty()
    }
}

/// The versions of one file. **Which is in force is a matter of the wall clock alone**: a clock that is set takes the
/// version with it, forward and back.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Timetable {
    /// In force until the first of the later ones is, and whenever none of them can work.
    pub first: Version,
    /// By their time; one without never comes into force.
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
        std::iter::once(&mut self.first)
            .chain(&mut self.later)
            .for_each(|version| version.judge(roster, channels));
    }

    /// At a start, where one cannot work: the `last` one that was in force goes on, as the log has it. False where there
    /// is none either that can be read, and nobody would know whom to call.
    pub fn settle(
        &mut self,
        last: impl FnOnce() -> Option<Version>,
        (roster, channels): (&Roster, &[Channel]),
        at: DateTime<Utc>,
    ) -> bool {
        if self.all().any(Version::is_refused) {
            if let Some(mut last) = last() {
                last.judge(roster, channels);
                self.go_on_with(last, at);
            }
            self.goes_by_none_unread(at);
        }
        !self.in_force(at).is_unreadable()
    }

    /// Where the version whose time has come, or may have come, cannot work: the `last` one that was in force goes on,
    /// unless one of these that can work is newer.
    pub fn go_on_with(&mut self, last: Version, at: DateTime<Utc>) {
        let begun = |version: &&Version| version.from.is_none_or(|from| from <= at);
        let in_force = self.in_force(at);
        let wanted = in_force.is_refused() || last.from > in_force.from;
        // For whom the roster lacks it is refused as any other would be.
        let can = !last.is_unreadable() && (in_force.is_unreadable() || !last.is_refused());
        if !(wanted && can && begun(&&last) && self.all().filter(begun).any(Version::is_refused)) {
            return;
        }
        match last.from.filter(|_| !last.is_refused()) {
            None => self.first_stays(last),
            Some(_) => {
                self.later.push(last);
                self.later.sort_by_key(|version| version.from);
            }
        }
    }

    /// Where the first cannot be read, the one in force goes on before its time too: the clock may be set back.
    fn goes_by_none_unread(&mut self, at: DateTime<Utc>) {
        let current = self.in_force(at);
        if self.first.is_unreadable() && !current.is_unreadable() {
            self.first_stays(Version { from: None, ..current.clone() });
        }
    }

    /// What stands in the file in its place is one of those that never come into force.
    pub fn first_stays(&mut self, before: Version) {
        let refused = std::mem::replace(&mut self.first, before);
        self.later.insert(0, refused);
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
    fn esc_82_a_first_one_that_cannot_be_read_is_in_force_at_no_time() {
        let (zh, en) = (String::new(), String::new());
        let unreadable = vec![Finding { refused: true, zh, en }];
        let first = Version { name: "A".to_owned(), unreadable, ..Version::default() };
        let mut table = Timetable { first, later: vec![] };
        table.goes_by_none_unread(at(50));
        assert!(table.in_force(at(50)).is_unreadable(), "there is no other");
        table.go_on_with(named("L", 10), at(50));
        table.goes_by_none_unread(at(50));
        let in_force = [-100, 0, 10, 50].map(|seconds| table.in_force(at(seconds)).name.as_str());
        assert_eq!(in_force, ["L"; 4]);
        assert_eq!(table.in_force(at(50)).from, Some(at(10)), "the log knows it so");
        assert_eq!(table.all().filter(|one| one.is_unreadable()).count(), 1, "it is shown");
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
