//! What an earlier run left on the running tape, after a crash or because it could not be sealed.

use super::record::Place;
use super::scan::{Ending, Scan};
use super::seal::Spot;
use super::segments;
use crate::io::durable;
use std::collections::{BTreeMap, BTreeSet};
use std::ffi::OsStr;
use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use uuid::Uuid;

/// The segments that were there before this run.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct Left {
    pub segments: Vec<u32>,
    /// Files in the tape's folder that are none of ours; they are left alone.
    pub foreign: Vec<PathBuf>,
}

impl Left {
    /// Looks into the tape's folder; one that is not there yet holds nothing.
    ///
    /// # Errors
    /// What the disk says.
    pub fn find(folder: &Path) -> io::Result<Self> {
        let mut left = Self::default();
        let entries = match fs::read_dir(folder) {
            Err(fault) if fault.kind() == io::ErrorKind::NotFound => return Ok(left),
            other => other?,
        };
        for entry in entries {
            let path = entry?.path();
            let damaged = path.extension() == Some(OsStr::new("damaged"));
            match path.file_name().and_then(OsStr::to_str).and_then(segments::number) {
                Some(number) => left.segments.push(number),
                None if damaged => {}
                None => left.foreign.push(path),
            }
        }
        left.segments.sort_unstable();
        left.foreign.sort_unstable();
        Ok(left)
    }

    /// The number for the first segment of this run.
    pub fn next(&self) -> u32 {
        self.segments.last().map_or(1, |last| last.saturating_add(1))
    }
}

/// The calls on the segments, and which segments are not as they were written.
#[derive(Debug, Default)]
pub struct Found {
    pub calls: BTreeMap<Uuid, Vec<Spot>>,
    pub damaged: Vec<u32>,
}

/// Reads the segments.
///
/// # Errors
/// What the disk says.
pub fn read(folder: &Path, numbers: &[u32]) -> io::Result<Found> {
    let mut found = Found::default();
    // What a failing disk may have lost was written again from memory, and is there twice where it had not.
    let mut seen = BTreeSet::new();
    for &segment in numbers {
        let path = segments::path(folder, segment);
        let Some(mut scan) = Scan::open(&path)? else {
            // A header that is not whole: the crash came before the first record.
            let begun = path.metadata()?.len() < super::header::BYTES as u64;
            if !begun {
                found.damaged.push(segment);
            }
            continue;
        };
        while let Some((at, head, packet)) = scan.next()? {
            if !seen.insert((head.call, head.arrival, head.kind, crc32c::crc32c(packet))) {
                continue;
            }
            let place = Place { segment, offset: at as u32 };
            found.calls.entry(head.call).or_default().push(Spot { place, length: head.length });
        }
        if scan.ending() == Ending::Damaged {
            found.damaged.push(segment);
        }
    }
    Ok(found)
}

/// Removes a segment whose calls are sealed; one that is damaged is kept under another name.
///
/// # Errors
/// What the disk says.
pub fn put_away(folder: &Path, segment: u32, damaged: bool) -> io::Result<()> {
    let path = segments::path(folder, segment);
    if damaged {
        durable::rename(&path, &path.with_extension("tape.damaged"))
    } else {
        durable::remove(&path)
    }
}
