//! Sealed files: made under a temporary name, safe on disk before they have their own, never in place of another.

use crate::io::durable::{self, Durable, Readable};
use sha2::{Digest, Sha256};
use std::fs;
use std::io::{self, BufReader, Read, Write};
use std::path::{Path, PathBuf};

/// Files of different content that may want one name.
const NAMES_MAX: u32 = 9;

/// Makes the folder `inside` of `root`, which must be there: a root that is gone is a disk that is not mounted.
///
/// # Errors
/// What the disk says.
pub fn make_folder(root: &Path, inside: &Path) -> io::Result<PathBuf> {
    fs::metadata(root)?;
    let folder = root.join(inside);
    if !folder.is_dir() {
        durable::make_folders(&folder)?;
        for parent in folder.ancestors().skip(1).take_while(|parent| parent.starts_with(root)) {
            durable::sync_folder(parent).inspect_err(|_| {
                // So that the next try makes it anew, and makes it last.
                let _ = fs::remove_dir(&folder);
            })?;
        }
    }
    Ok(folder)
}

/// A new file; what an earlier try left under the same name is gone.
///
/// # Errors
/// What the disk says.
pub fn create(path: &Path) -> io::Result<Durable> {
    if path.symlink_metadata().is_ok() {
        durable::remove(path)?;
    }
    Durable::create(path)
}

/// Gives a finished, synced file its name `stem.extension` in its folder; `stem-2` and so on where that is taken by
/// another content. The same content that is there already is left as it is. The name lasts once the folder is synced.
///
/// # Errors
/// What the disk says.
pub fn publish(part: &Path, stem: &str, extension: &str) -> io::Result<PathBuf> {
    let folder = part.parent().unwrap_or(Path::new("."));
    for count in 1..=NAMES_MAX {
        let name = if count == 1 {
            format!("{stem}.{extension}")
        } else {
            format!("{stem}-{count}.{extension}")
        };
        let path = folder.join(name);
        match durable::rename_noreplace(part, &path) {
            Ok(()) => return Ok(path),
            Err(fault) if fault.kind() == io::ErrorKind::AlreadyExists => {
                if sha256(part)? == sha256(&path)? {
                    durable::remove(part)?;
                    return Ok(path);
                }
            }
            Err(fault) => return Err(fault),
        }
    }
    Err(io::Error::new(io::ErrorKind::AlreadyExists, "too many different files of one call"))
}

/// In hex.
///
/// # Errors
/// What the disk says.
pub fn sha256(path: &Path) -> io::Result<String> {
    let mut file = BufReader::with_capacity(256 * 1024, Readable::open(path)?);
    let mut hash = Hashing::new(io::sink());
    io::copy(&mut file.by_ref(), &mut hash)?;
    Ok(hash.hex())
}

/// Hashes what passes through on its way to `inner`.
pub struct Hashing<W> {
    pub inner: W,
    hash: Sha256,
}

impl<W: Write> Hashing<W> {
    pub fn new(inner: W) -> Self {
        Self { inner, hash: Sha256::new() }
    }

    pub fn hex(self) -> String {
        hex::encode(self.hash.finalize())
    }
}

impl<W: Write> Write for Hashing<W> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let written = self.inner.write(bytes)?;
        self.hash.update(&bytes[..written]);
        Ok(written)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.inner.flush()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn part(folder: &Path, content: &str) -> PathBuf {
        let path = folder.join(".x.part");
        create(&path).unwrap().write_all(content.as_bytes()).unwrap();
        path
    }

    #[test]
    fn rec_d12_a_name_that_is_taken_is_never_overwritten() {
        let folder = tempfile::tempdir().unwrap();
        let folder = folder.path();
        assert_eq!(publish(&part(folder, "one"), "x", "tape").unwrap(), folder.join("x.tape"));
        assert_eq!(publish(&part(folder, "two"), "x", "tape").unwrap(), folder.join("x-2.tape"));
        assert_eq!(
            publish(&part(folder, "one"), "x", "tape").unwrap(),
            folder.join("x.tape"),
            "the same"
        );
        assert_eq!(fs::read_to_string(folder.join("x.tape")).unwrap(), "one");
        assert_eq!(fs::read_dir(folder).unwrap().count(), 2);
    }

    #[test]
    fn hashes_are_sha_256() {
        let folder = tempfile::tempdir().unwrap();
        let known = "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad";
        assert_eq!(sha256(&part(folder.path(), "abc")).unwrap(), known);
        let mut hash = Hashing::new(Vec::new());
        hash.write_all(b"abc").unwrap();
        assert_eq!(hash.inner, b"abc");
        assert_eq!(hash.hex(), known);
    }

    #[test]
    fn a_missing_root_is_not_made() {
        let folder = tempfile::tempdir().unwrap();
        let root = folder.path().join("gone");
        assert_eq!(
            make_folder(&root, Path::new("2026/11/24")).unwrap_err().kind(),
            io::ErrorKind::NotFound
        );
        fs::create_dir(&root).unwrap();
        assert!(make_folder(&root, Path::new("2026/11/24")).unwrap().is_dir());
    }
}
