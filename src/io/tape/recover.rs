//! What an earlier run left on the running tape, after a crash or because it could not be sealed.

use super::folders::{self, Folders};
use super::record::{Kind, Place};
use super::scan::{Ending, Scan};
use super::seal::Spot;
use crate::io::durable;
use crate::protocol::now::Mono;
use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::ffi::OsStr;
use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use uuid::Uuid;

/// The segments that were there before this run.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct Left {
    /// Whose calls are not all sealed yet.
    pub segments: Vec<u32>,
    /// Whose calls are, and whether each is damaged.
    pub over: VecDeque<(u32, bool)>,
    /// Calls that are.
    pub sealed: BTreeSet<Uuid>,
    /// A folder could not be looked into: what the others have may not be all.
    pub unlisted: bool,
    /// Everything was read.
    pub read: bool,
    /// Files in the tape's folder that are none of ours; they are left alone.
    pub foreign: Vec<PathBuf>,
}

impl Left {
    /// Looks into the tape's folders; one that is not there yet holds nothing. Gives those that cannot be looked into.
    pub fn find(folders: &Folders) -> (Self, Vec<(PathBuf, io::Error)>) {
        let (mut left, mut unread) = (Self::default(), vec![]);
        for (place, folder) in folders.paths().enumerate() {
            if let Err(fault) = left.look_into(place, folder) {
                unread.push((folder.to_owned(), fault));
            }
        }
        left.segments.sort_unstable_by_key(|number| (folders::count(*number), *number));
        left.foreign.sort_unstable();
        left.unlisted = !unread.is_empty();
        (left, unread)
    }

    fn look_into(&mut self, place: usize, folder: &Path) -> io::Result<()> {
        let entries = match fs::read_dir(folder) {
            Err(fault) if fault.kind() == io::ErrorKind::NotFound => return Ok(()),
            other => other?,
        };
        for entry in entries {
            let path = entry?.path();
            let damaged = path.extension() == Some(OsStr::new("damaged"));
            match path.file_name().and_then(OsStr::to_str).and_then(folders::counted) {
                Some(count) => self.segments.push(folders::numbered(count, place)),
                None if damaged => {}
                None => self.foreign.push(path),
            }
        }
        Ok(())
    }

    /// The count of the first segment of this run.
    pub fn next(&self) -> u32 {
        self.segments.last().map_or(1, |last| folders::count(*last).saturating_add(1))
    }
}

/// The calls on the segments, and which segments are not as they were written.
#[derive(Debug, Default)]
pub struct Found {
    pub calls: BTreeMap<Uuid, Vec<Spot>>,
    pub damaged: Vec<u32>,
    /// Segments that the disk does not give, and what it says.
    pub unread: BTreeMap<u32, io::Error>,
    /// Calls whose records go on from one that is not there.
    pub torn: BTreeSet<Uuid>,
    ended: BTreeSet<Uuid>,
}

/// What a record is known by wherever it stands.
type Known = (Uuid, Mono, Kind, u32);

/// Reads the segments, which are in the order of time.
pub fn read(folders: &Folders, segments: &[u32]) -> Found {
    let mut found = Found::default();
    // What a failing disk may have lost was written again from memory, and is there twice where it had not.
    let mut seen = BTreeSet::new();
    for &segment in segments {
        if let Err(fault) = found.read_one(folders, segment, &mut seen, segments) {
            found.unread.insert(segment, fault);
        }
    }
    found
}

impl Found {
    fn read_one(
        &mut self,
        folders: &Folders,
        segment: u32,
        seen: &mut BTreeSet<Known>,
        segments: &[u32],
    ) -> io::Result<()> {
        let path = folders.segment(segment);
        let Some(mut scan) = Scan::open(&path)? else {
            // A header that is not whole: the crash came before the first record.
            let begun = path.metadata()?.len() < super::header::BYTES as u64;
            if !begun {
                self.damaged.push(segment);
            }
            return Ok(());
        };
        while let Some((at, head, packet)) = scan.next()? {
            if !seen.insert((head.call, head.arrival, head.kind, crc32c::crc32c(packet))) {
                continue;
            }
            let before = head.previous.segment;
            let is_there = || segments.contains(&before) && !self.unread.contains_key(&before);
            if before != 0 && before != segment && !is_there() {
                self.torn.insert(head.call);
            }
            if head.kind == Kind::Finished {
                self.ended.insert(head.call);
            }
            let place = Place { segment, offset: at as u32 };
            self.calls.entry(head.call).or_default().push(Spot { place, length: head.length });
        }
        if scan.ending() == Ending::Damaged {
            self.damaged.push(segment);
        }
        Ok(())
    }

    /// Something of the call may be on what the disk does not give now.
    pub fn may_lack(&self, call: Uuid, spots: &[Spot]) -> bool {
        let last = spots.last().map_or(0, |spot| folders::count(spot.place.segment));
        let unread = |spot: &Spot| self.unread.contains_key(&spot.place.segment);
        let goes_on = |segment: &u32| folders::count(*segment) >= last;
        !self.unread.is_empty()
            && (self.torn.contains(&call)
                || spots.iter().any(unread)
                || !self.ended.contains(&call) && self.unread.keys().any(goes_on))
    }
}

/// Removes a segment whose calls are sealed; one that is damaged is kept under another name.
///
/// # Errors
/// What the disk says.
pub fn put_away(folders: &Folders, segment: u32, damaged: bool) -> io::Result<()> {
    let path = folders.segment(segment);
    if damaged {
        durable::rename(&path, &path.with_extension("tape.damaged"))
    } else {
        durable::remove(&path)
    }
}
