//! The folders of the running tape: its own, and one on each other disk, where it goes on while its own does not take it.

use super::files;
use crate::io::durable;
use crate::protocol::now::Mono;
use std::fs;
use std::io;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

/// A segment's number is its count over all folders, and in its two highest bits its folder.
const COUNT: u32 = (1 << 30) - 1;
/// Hidden, so that nobody takes it for recordings.
const ELSEWHERE: &str = ".tape";
/// How often its own disk is asked before the tape goes elsewhere, …
const OWN_TRIES: u32 = 2;
/// … and how long it is left alone then.
const OWN_AGAIN: Duration = Duration::from_millis(if cfg!(test) { 500 } else { 60_000 });

/// A folder of the site in which the running tape may have a place.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Other {
    pub root: PathBuf,
    /// On another disk than the data: what was left there before is looked for in any case.
    pub apart: bool,
}

impl Other {
    pub fn beside(data: &Path, root: &Path) -> Self {
        Self { root: root.to_owned(), apart: disk(data) != disk(root) }
    }
}

/// Of the folder, or of where it will be made.
fn disk(folder: &Path) -> Option<u64> {
    let whole = std::path::absolute(folder).ok()?;
    whole.ancestors().find_map(|above| fs::metadata(above).ok()).map(|above| above.dev())
}

/// Cheap to clone.
#[derive(Debug, Clone, Default)]
pub struct Folders(Arc<[Folder]>);

#[derive(Debug)]
struct Folder {
    path: PathBuf,
    /// Must be there: one that is gone is a disk that is not mounted. None of the tape's own, which is made.
    root: Option<PathBuf>,
    apart: bool,
}

impl Folders {
    pub fn new(own: PathBuf, others: &[Other]) -> Self {
        let own = Folder { path: own, root: None, apart: true };
        let other = |Other { root, apart }: &Other| Folder {
            path: root.join(ELSEWHERE),
            root: Some(root.clone()),
            apart: *apart,
        };
        Self([own].into_iter().chain(others.iter().map(other)).collect())
    }

    pub fn paths(&self) -> impl Iterator<Item = &Path> {
        self.0.iter().map(|folder| &*folder.path)
    }

    /// The folder of this number.
    pub fn at(&self, place: usize) -> &Path {
        self.0.get(place).or(self.0.first()).map_or(Path::new(""), |folder| &folder.path)
    }

    /// Makes it where it is missing.
    pub fn make(&self, place: usize) -> io::Result<&Path> {
        let Some(Folder { path, root, .. }) = self.0.get(place) else {
            return Err(io::ErrorKind::NotFound.into());
        };
        match root {
            None => durable::make_folders(path)?,
            Some(root) => drop(files::make_folder(root, Path::new(ELSEWHERE))?),
        }
        Ok(path)
    }

    /// The file of a segment.
    pub fn segment(&self, number: u32) -> PathBuf {
        self.at(place(number)).join(format!("segment-{:08}.tape", count(number)))
    }

    /// The one to go to when this one does not take it: itself where there is no other.
    fn after(&self, place: usize) -> usize {
        let all = self.0.len().max(1);
        let mut others = (1..=all).map(|step| (place + step) % all);
        others.find(|other| self.0.get(*other).is_some_and(|folder| folder.apart)).unwrap_or(place)
    }
}

/// The number of the segment of this count in this folder.
pub fn numbered(count: u32, place: usize) -> u32 {
    (place as u32) << COUNT.trailing_ones() | count & COUNT
}

/// Which segment it is, in the order of time.
pub fn count(number: u32) -> u32 {
    number & COUNT
}

fn place(number: u32) -> usize {
    (number >> COUNT.trailing_ones()) as usize
}

/// The count in the name of a segment's file.
pub fn counted(name: &str) -> Option<u32> {
    let number = name.strip_prefix("segment-")?.strip_suffix(".tape")?;
    let digits = number.len() == 8 && number.bytes().all(|byte| byte.is_ascii_digit());
    digits.then(|| number.parse().ok())?
}

/// Which folder is written to.
#[derive(Debug, Default)]
pub struct Choice {
    at: usize,
    refused: u32,
    /// While the tape is elsewhere: when its own disk is tried, …
    own_due: Option<Mono>,
    /// … and that it is, and has kept nothing yet.
    on_trial: bool,
    told: usize,
}

impl Choice {
    pub fn at(&self) -> usize {
        self.at
    }

    /// The disk did not take something. True where another is to be asked at once.
    pub fn refused(&mut self, folders: &Folders, now: Mono) -> bool {
        self.refused += 1;
        let was = self.at;
        let tries = if was == 0 && !self.on_trial { OWN_TRIES } else { 1 };
        if self.refused < tries {
            return false;
        }
        self.at = folders.after(was);
        (self.refused, self.on_trial) = (0, false);
        self.own_due = (self.at != 0).then_some(now + OWN_AGAIN);
        was == 0 && self.at != 0
    }

    /// The disk has kept what it was given. Gives the folder where the tape is from now on.
    pub fn kept(&mut self) -> Option<usize> {
        (self.refused, self.on_trial) = (0, false);
        if self.at == 0 {
            self.own_due = None;
        }
        (std::mem::replace(&mut self.told, self.at) != self.at).then_some(self.at)
    }

    pub fn own_is_due(&self, now: Mono) -> bool {
        self.own_due.is_some_and(|due| due <= now) && self.at != 0
    }

    pub fn try_own(&mut self) {
        (self.at, self.refused, self.on_trial) = (0, 0, true);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn three() -> Folders {
        let other = |root: &str, apart| Other { root: root.into(), apart };
        Folders::new("/data/tape".into(), &[other("/data/recordings", false), other("/b", true)])
    }

    #[test]
    fn names_of_segments_are_told_from_others() {
        assert_eq!(counted("segment-00000042.tape"), Some(42));
        for other in [
            "segment-42.tape",
            "segment-00000042.tape.damaged",
            "notes.txt",
            "segment-+0000042.tape",
        ] {
            assert_eq!(counted(other), None, "{other}");
        }
    }

    #[test]
    fn a_number_says_in_which_folder_its_segment_lies() {
        let folders = three();
        assert_eq!(folders.segment(42), Path::new("/data/tape/segment-00000042.tape"));
        let there = numbered(43, 2);
        assert_eq!(folders.segment(there), Path::new("/b/.tape/segment-00000043.tape"));
        assert_eq!((count(there), place(there)), (43, 2));
    }

    #[test]
    fn the_tape_goes_to_another_disk_after_two_tries_and_comes_back_once_its_own_keeps_something() {
        let (folders, mut choice) = (three(), Choice::default());
        let now = Mono(1_000_000_000);
        assert!(!choice.refused(&folders, now));
        assert_eq!((choice.kept(), choice.at()), (None, 0), "one try is none of two in a row");
        assert!(!choice.refused(&folders, now) && choice.refused(&folders, now));
        assert_eq!((choice.kept(), choice.at()), (Some(2), 2), "not to the same disk");
        assert!(!choice.own_is_due(now) && choice.own_is_due(now + OWN_AGAIN));
        choice.try_own();
        assert!(choice.refused(&folders, now), "one try is enough");
        assert_eq!((choice.kept(), choice.at()), (None, 2), "it was told");
        choice.try_own();
        assert_eq!((choice.kept(), choice.at()), (Some(0), 0));
        assert!(!choice.own_is_due(now + OWN_AGAIN));
    }

    #[test]
    fn where_there_is_no_other_disk_the_tape_stays_and_from_a_bad_one_it_goes_on() {
        let alone = Folders::new("/data/tape".into(), &[]);
        let mut choice = Choice::default();
        assert!((0..9).all(|_| !choice.refused(&alone, Mono(1))));
        assert_eq!(choice.at(), 0);
        let (folders, mut choice) = (three(), Choice::default());
        for at in [0, 2, 0, 0, 2] {
            choice.refused(&folders, Mono(1));
            assert_eq!(choice.at(), at);
        }
    }
}
