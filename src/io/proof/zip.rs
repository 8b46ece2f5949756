//! A ZIP file (APPNOTE.TXT 6.3), not compressed, written from front to end: what any PC opens.

use super::bundle::Bundle;
use std::io::{self, Write};

/// Names are UTF-8 (general purpose bit 11).
const UTF8: u16 = 1 << 11;
const VERSION: u16 = 20;
/// 1980-01-01: the manifest says when it was made.
const DATE: u16 = 33;
/// Without the extensions for more (ZIP64), which an old PC does not read.
const MOST: u64 = u32::MAX as u64;

/// How long the file will be, of a bundle of this name and parts whose names and contents are so long; `None` for one that
/// is too large for an ordinary ZIP.
pub fn length(bundle: &str, parts: impl Iterator<Item = (usize, u64)>) -> Option<u64> {
    let folder = bundle.len() as u64 + 1;
    let (mut total, mut count) = (22_u64, 0);
    for (path, bytes) in parts {
        total = total.saturating_add(76 + 2 * (folder + path as u64)).saturating_add(bytes);
        count += 1;
    }
    (total <= MOST && count < usize::from(u16::MAX)).then_some(total)
}

/// As [`length`], of one that is whole.
pub fn length_of(bundle: &Bundle) -> Option<u64> {
    length(&bundle.name, bundle.parts.iter().map(|part| (part.path.len(), part.bytes)))
}

/// # Errors
/// The disk's, those of `to`, and where a file is not any more what it was.
pub fn write(bundle: &Bundle, to: &mut impl Write) -> io::Result<()> {
    let mut directory = vec![];
    let mut offset = 0_u64;
    for part in &bundle.parts {
        let name = format!("{}/{}", bundle.name, part.path);
        let facts = facts(part.crc32, part.bytes, &name);
        let local = [&b"PK\x03\x04"[..], &VERSION.to_le_bytes(), &facts, name.as_bytes()].concat();
        to.write_all(&local)?;
        let mut left = part.bytes;
        part.content.read(|piece| {
            left = left.checked_sub(piece.len() as u64).ok_or_else(changed)?;
            to.write_all(piece)
        })?;
        if left > 0 {
            return Err(changed());
        }
        directory.extend(b"PK\x01\x02");
        directory.extend([VERSION.to_le_bytes(), VERSION.to_le_bytes()].concat());
        directory.extend(&facts);
        // No comment, first disk, no attributes.
        directory.extend([0; 10]);
        directory.extend(small(offset).to_le_bytes());
        directory.extend(name.as_bytes());
        offset += local.len() as u64 + part.bytes;
    }
    to.write_all(&directory)?;
    let count = u16::try_from(bundle.parts.len()).unwrap_or(u16::MAX).to_le_bytes();
    to.write_all(b"PK\x05\x06\0\0\0\0")?;
    to.write_all(&[count, count].concat())?;
    to.write_all(&small(directory.len() as u64).to_le_bytes())?;
    to.write_all(&small(offset).to_le_bytes())?;
    to.write_all(&[0, 0])
}

/// What local header and directory say alike: flags to the length of the extra field.
fn facts(crc32: u32, bytes: u64, name: &str) -> Vec<u8> {
    let mut facts = vec![];
    for word in [UTF8, 0, 0, DATE] {
        facts.extend(word.to_le_bytes());
    }
    for long in [crc32, small(bytes), small(bytes)] {
        facts.extend(long.to_le_bytes());
    }
    facts.extend(u16::try_from(name.len()).unwrap_or(u16::MAX).to_le_bytes());
    facts.extend([0, 0]);
    facts
}

/// [`length_of`] was asked before.
fn small(number: u64) -> u32 {
    u32::try_from(number).unwrap_or(u32::MAX)
}

fn changed() -> io::Error {
    io::Error::other("a file changed while it was handed out")
}
