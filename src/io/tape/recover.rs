//! What an earlier run left on the running tape, after a crash or because it could not be sealed.

use super::folders::{self, Folders};
use super::header::{self, Header};
use super::record::{Kind, Place};
use super::scan::{Ending, Scan};
use super::seal::Spot;
use crate::io::durable::{self, Readable};
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
    /// Folders that could not be looked into, by their numbers: what the others have may not be all.
    pub unlisted: Vec<usize>,
    /// Everything was read.
    pub read: bool,
    /// Files in the tape's folder that are none of ours; they are left alone.
    pub foreign: Vec<PathBuf>,
}

/// Since when this run writes, and in which boot of the host.
#[derive(Debug, Clone, Copy)]
pub struct Began {
    pub at: Mono,
    pub boot: Uuid,
}

impl Began {
    /// Whether an earlier run wrote this segment; of one that is not whole nobody can say.
    fn is_after(self, segment: &Path) -> io::Result<bool> {
        let mut bytes = [0; header::BYTES];
        let file = match Readable::open(segment) {
            // This run has no more use for it.
            Err(fault) if fault.kind() == io::ErrorKind::NotFound => return Ok(false),
            opened => opened?,
        };
        let read = file.read_at(&mut bytes, 0)?;
        let header = Header::from_bytes(&bytes).filter(|_| read == header::BYTES);
        Ok(header.is_some_and(|header| header.boot != self.boot || header.anchor.mono < self.at))
    }
}

impl Left {
    /// Looks into the tape's folders; one that is not there yet holds nothing. Gives those that cannot be looked into.
    pub fn find(folders: &Folders) -> (Self, Vec<(PathBuf, io::Error)>) {
        let mut left = Self { unlisted: (0..folders.paths().count()).collect(), ..Self::default() };
        let unread = left.look(folders, None);
        (left, unread)
    }

    /// Looks again into those that could not be looked into; what this run has written there meanwhile is left alone.
    pub fn look_again(&mut self, folders: &Folders, began: Began) -> Vec<(PathBuf, io::Error)> {
        self.look(folders, Some(began))
    }

    fn look(&mut self, folders: &Folders, began: Option<Began>) -> Vec<(PathBuf, io::Error)> {
        let mut unread = vec![];
        for place in std::mem::take(&mut self.unlisted) {
            let folder = folders.at(place);
            match look_into(place, folder, began) {
                Ok((segments, foreign)) => {
                    self.segments.extend(segments);
                    self.foreign.extend(foreign);
                }
                Err(fault) => {
                    self.unlisted.push(place);
                    unread.push((folder.to_owned(), fault));
                }
            }
        }
        self.segments.sort_unstable_by_key(|number| (folders::count(*number), *number));
        self.foreign.sort_unstable();
        unread
    }

    /// The count of the first segment of this run.
    pub fn next(&self) -> u32 {
        self.segments.last().map_or(1, |last| folders::count(*last).saturating_add(1))
    }
}

/// The segments in it, and what is none of ours.
fn look_into(
    place: usize,
    folder: &Path,
    began: Option<Began>,
) -> io::Result<(Vec<u32>, Vec<PathBuf>)> {
    let (mut segments, mut foreign) = (vec![], vec![]);
    let entries = match fs::read_dir(folder) {
        Err(fault) if fault.kind() == io::ErrorKind::NotFound => return Ok((segments, foreign)),
        other => other?,
    };
    for entry in entries {
        let path = entry?.path();
        let damaged = path.extension() == Some(OsStr::new("damaged"));
        match path.file_name().and_then(OsStr::to_str).and_then(folders::counted) {
            Some(count) => {
                if began.map_or(Ok(true), |began| began.is_after(&path))? {
                    segments.push(folders::numbered(count, place));
                }
            }
            None if damaged => {}
            None => foreign.push(path),
        }
    }
    Ok((segments, foreign))
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
