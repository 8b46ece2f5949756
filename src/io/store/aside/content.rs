//! What tells the content of a log that was left as it is from another's that was copied over it: the file is the same.

use crate::io::store::SMALLEST;
use rusqlite::{Connection, OpenFlags, ffi};
use std::fs::{self, File};
use std::os::unix::fs::FileExt;
use std::path::Path;
use std::time::SystemTime;

/// Bytes of the first page, which tells what was changed, how many pages there are, and of what schema (SQLite file format,
/// 1.3).
const FIRST: usize = 4096;
/// Of the file beside it, and of each page there (SQLite file format, 4.1).
const WAL_HEADER: usize = 32;
const FRAME_HEADER: usize = 24;

/// Where the first page says how often it was changed, of how many pages the log is, how often its schema was changed, and
/// which one it is (SQLite file format, 1.3).
const COUNTER: usize = 24;
const PAGES: usize = 28;
const SCHEMA_CHANGES: usize = 40;
const SCHEMA: usize = 60;
/// A hand may change a schema a few times that is still the same; a backup counts the changes anew, from one.
const BY_HAND: u32 = 32;

/// Of two numbers that go round, the one that is so far ahead is behind.
const AHEAD: u32 = u32::MAX / 2;

const MAGIC: &[u8] = b"SQLite format 3\0";

#[derive(Debug, Clone)]
pub(super) struct Content {
    length: u64,
    changed: Option<SystemTime>,
    /// `None`: it cannot be read.
    first: Option<Vec<u8>>,
    /// How what is written beside it begins, which is random.
    beside: Option<Vec<u8>>,
}

impl Content {
    /// `None`: no file has the name.
    pub fn at(path: &Path, wal: &Path) -> Option<Self> {
        let file = fs::metadata(path).ok()?;
        let (length, changed) = (file.len(), file.modified().ok());
        Some(Self { length, changed, first: first_page(path), beside: header(wal) })
    }

    pub fn is_known(&self) -> bool {
        self.first.is_some()
    }

    /// With what is there by now.
    pub fn beside(self, wal: &Path) -> Self {
        Self { beside: header(wal), ..self }
    }

    pub fn has_beside(&self, wal: &Path) -> bool {
        self.beside == header(wal)
    }

    /// It is one that nothing is written beside, as each backup is: it says so until it is opened for writing (SQLite file
    /// format, 1.3.3).
    fn is_alone(&self) -> bool {
        let says_so = |first: &Vec<u8>| first.starts_with(MAGIC) && first[18..20] == [1, 1];
        self.length < SMALLEST || self.first.as_ref().is_some_and(says_so)
    }

    /// Whatever lies beside it is another's: it says so itself, or what lies there was written beside one that went on for
    /// longer.
    pub fn has_anothers_beside(&self, wal: &Path) -> bool {
        self.beside.is_some() && (self.is_alone() || self.is_older_than(wal))
    }

    /// SQLite writes beside it what changes, from what it is on: the first that is written there counts on from its first
    /// page, or has no more pages than it, and is of its schema.
    fn is_older_than(&self, wal: &Path) -> bool {
        let Some(first) = self.first.as_ref().filter(|first| first.starts_with(MAGIC)) else {
            return false;
        };
        let mut grows = false;
        for frame in frames(wal) {
            if let Some(page) = &frame.first {
                let on = |of| number(page, of).wrapping_sub(number(first, of));
                let changes = on(SCHEMA) == 0 && (BY_HAND..AHEAD).contains(&on(SCHEMA_CHANGES));
                return grows || changes || (2..AHEAD).contains(&on(COUNTER));
            }
            grows |= frame.pages > number(first, PAGES);
        }
        grows
    }

    /// Of one that was in use as this: it says that nothing lies beside it, or is an older one; none but SQLite changes one
    /// in use, and its first page counts on.
    pub fn was_copied_over(&self, known: &Self, wal: &Path) -> bool {
        let counter = |of: &Self| of.first.as_ref().map(|first| number(first, COUNTER));
        let counts_on = match (counter(self), counter(known)) {
            (Some(now), Some(known)) => (1..AHEAD).contains(&now.wrapping_sub(known)),
            (None, _) | (_, None) => false,
        };
        self.is_alone()
            || self.is_older_than(wal)
            || (self.is_another_than(known, wal) && !counts_on)
    }

    /// Whether it has changed, at the cost of one look.
    pub fn is_still(&self, file: &fs::Metadata) -> bool {
        (self.length, self.changed) == (file.len(), file.modified().ok())
    }

    /// As far as can be seen from outside.
    pub fn is_untouched(&self, left: &Self) -> bool {
        (self.length, self.changed) == (left.length, left.changed)
    }

    /// Where it is neither that one's first page, nor one that somebody's checkpoint has brought from beside it.
    pub fn is_another_than(&self, left: &Self, wal: &Path) -> bool {
        !self.is_untouched(left)
            && match (&self.first, &left.first) {
                (Some(now), Some(left)) => now != left && !is_in(wal, now),
                _ => true,
            }
    }
}

/// Read by SQLite's own hand: whoever else closes a file that SQLite has open gives up its locks.
fn first_page(path: &Path) -> Option<Vec<u8>> {
    let flags = OpenFlags::SQLITE_OPEN_READ_ONLY | OpenFlags::SQLITE_OPEN_NO_MUTEX;
    let bare = Connection::open_with_flags(path, flags).ok()?;
    let mut file: *mut ffi::sqlite3_file = std::ptr::null_mut();
    let mut page = vec![0; FIRST];
    // SAFETY: the connection is open, and has the file open with it, as long as `bare` lives; the page has so many bytes.
    let read = unsafe {
        let (own, found) = (bare.handle(), std::ptr::from_mut(&mut file).cast());
        ffi::sqlite3_file_control(own, c"main".as_ptr(), ffi::SQLITE_FCNTL_FILE_POINTER, found);
        let read = file.as_ref()?.pMethods.as_ref()?.xRead?;
        read(file, page.as_mut_ptr().cast(), FIRST as i32, 0)
    };
    // What a short one lacks is zero.
    matches!(read, ffi::SQLITE_OK | ffi::SQLITE_IOERR_SHORT_READ).then_some(page)
}

fn header(wal: &Path) -> Option<Vec<u8>> {
    let mut header = vec![0; WAL_HEADER];
    File::open(wal).ok()?.read_exact_at(&mut header, 0).ok()?;
    Some(header)
}

/// Whether it is a first page that is written there.
fn is_in(wal: &Path, first: &[u8]) -> bool {
    frames(wal).any(|frame| frame.first.is_some_and(|page| first.starts_with(&page)))
}

/// A page that is written there.
struct Frame {
    /// Of the log after the commit that it ends; 0: it ends none.
    pages: u32,
    /// Where it is the first.
    first: Option<Vec<u8>>,
}

/// Those of the file as it was begun last, in their order.
fn frames(wal: &Path) -> impl Iterator<Item = Frame> + use<> {
    let header = header(wal).unwrap_or_else(|| vec![0; WAL_HEADER]);
    let wal = File::open(wal).ok();
    let size = number(&header, 8) as usize;
    let mut at = WAL_HEADER as u64;
    std::iter::from_fn(move || {
        let wal = wal.as_ref()?;
        let mut frame = [0; FRAME_HEADER];
        wal.read_exact_at(&mut frame, at).ok().filter(|()| frame[8..16] == header[16..24])?;
        at += FRAME_HEADER as u64;
        let mut page = vec![0; size.min(FIRST)];
        let is_first = number(&frame, 0) == 1 && wal.read_exact_at(&mut page, at).is_ok();
        at += size as u64;
        Some(Frame { pages: number(&frame, 4), first: is_first.then_some(page) })
    })
}

/// Big-endian, as every number there is.
fn number(bytes: &[u8], at: usize) -> u32 {
    bytes[at..].first_chunk().map_or(0, |four| u32::from_be_bytes(*four))
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::io::Write;

    #[test]
    fn esc_71_of_one_that_could_not_be_read_its_length_and_its_time_are_known() {
        let folder = tempfile::tempdir().unwrap();
        let (log, wal) = (folder.path().join("log.db"), folder.path().join("log.db-wal"));
        fs::write(&log, [7; 5000]).unwrap();
        let now = || Content::at(&log, &wal).unwrap();
        let left = Content { first: None, ..now() };
        assert!(!left.is_known() && now().is_known());
        assert!(!now().is_another_than(&left, &wal));
        File::options().append(true).open(&log).unwrap().write_all(&[7]).unwrap();
        assert!(now().is_another_than(&left, &wal));
    }
}
