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
    /// format, 1.3.3), and whatever lies there is another's.
    pub fn has_none_beside(&self) -> bool {
        let says_so = |first: &Vec<u8>| first.starts_with(MAGIC) && first[18..20] == [1, 1];
        self.beside.is_some()
            && (self.length < SMALLEST || self.first.as_ref().is_some_and(says_so))
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
    let (Some(header), Ok(wal)) = (header(wal), File::open(wal)) else { return false };
    let size = u32::from_be_bytes([header[8], header[9], header[10], header[11]]) as usize;
    let mut page = vec![0; size.min(FIRST)];
    let mut frame = [0; FRAME_HEADER];
    let mut at = WAL_HEADER as u64;
    while wal.read_exact_at(&mut frame, at).is_ok() && frame[8..16] == header[16..24] {
        at += FRAME_HEADER as u64;
        if frame[..4] == [0, 0, 0, 1]
            && wal.read_exact_at(&mut page, at).is_ok()
            && first.starts_with(&page)
        {
            return true;
        }
        at += size as u64;
    }
    false
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
