//! What a recording asks of a disk, all of it in one place: tests make the disk refuse, and forget what was not synced.

use std::cell::RefCell;
use std::ffi::CString;
use std::fs::{self, File, OpenOptions};
use std::io::{self, Read, Seek, SeekFrom, Write};
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::{FileExt, MetadataExt, OpenOptionsExt};
use std::path::{Path, PathBuf};
use std::time::SystemTime;

/// A file that is written from its start to its end; a head may be written anew.
#[derive(Debug)]
pub struct Durable {
    file: File,
    path: PathBuf,
}

impl Durable {
    /// A new file that nobody else may read.
    ///
    /// # Errors
    /// What the disk says, and where there is such a file.
    pub fn create(path: &Path) -> io::Result<Self> {
        asked(Asked::Create(path))?;
        let mut options = OpenOptions::new();
        let file = options.read(true).write(true).create_new(true).mode(0o600).open(path)?;
        Ok(Self { file, path: path.to_owned() })
    }

    /// # Errors
    /// What the disk says.
    pub fn sync_data(&self) -> io::Result<()> {
        if asked(Asked::Sync(&self.path))? { self.file.sync_data() } else { Ok(()) }
    }

    /// # Errors
    /// What the disk says.
    pub fn sync_all(&self) -> io::Result<()> {
        if asked(Asked::Sync(&self.path))? { self.file.sync_all() } else { Ok(()) }
    }

    /// Another hand on the same file.
    ///
    /// # Errors
    /// Where there are too many open files.
    pub fn again(&self) -> io::Result<Self> {
        Ok(Self { file: self.file.try_clone()?, path: self.path.clone() })
    }

    /// Where its name stands.
    pub fn folder(&self) -> Option<&Path> {
        self.path.parent()
    }

    /// It has another name by now.
    pub fn is_named(&mut self, path: &Path) {
        self.path = path.to_owned();
    }

    /// Whether somebody has deleted it.
    pub fn is_gone(&self) -> bool {
        self.file.metadata().is_ok_and(|file| file.nlink() == 0)
    }

    /// A new file of its name with so much of its content, for one that is gone.
    ///
    /// # Errors
    /// What the disk says.
    pub fn made_again(&self, length: u64) -> io::Result<Self> {
        let mut again = Self::create(&self.path)?;
        let mut bytes = vec![0; 1 << 20];
        let mut at = 0;
        while at < length {
            let wanted = bytes.len().min((length - at) as usize);
            let read = self.file.read_at(&mut bytes[..wanted], at)?;
            if read == 0 {
                return Err(io::ErrorKind::UnexpectedEof.into());
            }
            again.write_all(&bytes[..read])?;
            at += read as u64;
        }
        again.sync_all()?;
        Ok(again)
    }

    /// Cuts off what was written beyond.
    ///
    /// # Errors
    /// What the disk says.
    pub fn cut(&self, length: u64) -> io::Result<()> {
        asked(Asked::Cut(&self.path, length))?;
        self.file.set_len(length)
    }
}

impl Write for Durable {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        asked(Asked::Write(&self.path, bytes))?;
        self.file.write(bytes)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.file.flush()
    }
}

impl Seek for Durable {
    fn seek(&mut self, to: SeekFrom) -> io::Result<u64> {
        self.file.seek(to)
    }
}

/// A file that is only read.
#[derive(Debug)]
pub struct Readable {
    file: File,
    path: PathBuf,
}

impl Readable {
    /// # Errors
    /// What the disk says.
    pub fn open(path: &Path) -> io::Result<Self> {
        asked(Asked::Read(path))?;
        Ok(Self { file: File::open(path)?, path: path.to_owned() })
    }

    /// Reads as much of `bytes` as the file has from there on.
    ///
    /// # Errors
    /// What the disk says.
    pub fn read_at(&self, bytes: &mut [u8], start: u64) -> io::Result<usize> {
        let mut filled = 0;
        while filled < bytes.len() {
            asked(Asked::Read(&self.path))?;
            match self.file.read_at(&mut bytes[filled..], start + filled as u64) {
                Ok(0) => break,
                Ok(read) => filled += read,
                Err(fault) if fault.kind() == io::ErrorKind::Interrupted => {}
                Err(fault) => return Err(fault),
            }
        }
        Ok(filled)
    }
}

impl Read for Readable {
    fn read(&mut self, bytes: &mut [u8]) -> io::Result<usize> {
        asked(Asked::Read(&self.path))?;
        self.file.read(bytes)
    }
}

/// Makes a folder and those above it.
///
/// # Errors
/// What the disk says.
pub fn make_folders(path: &Path) -> io::Result<()> {
    asked(Asked::MakeFolder(path))?;
    fs::create_dir_all(path)
}

/// Makes the names in a folder last.
///
/// # Errors
/// What the disk says.
pub fn sync_folder(path: &Path) -> io::Result<()> {
    if asked(Asked::SyncFolder(path))? { File::open(path)?.sync_all() } else { Ok(()) }
}

/// Makes the content of a file last that is there already.
///
/// # Errors
/// What the disk says, and where there is none.
pub fn sync_file(path: &Path) -> io::Result<()> {
    if asked(Asked::Sync(path))? { File::open(path)?.sync_all() } else { Ok(()) }
}

/// # Errors
/// What the disk says.
pub fn remove(path: &Path) -> io::Result<()> {
    asked(Asked::Remove(path))?;
    fs::remove_file(path)
}

/// Which file it is. The number of one that is gone may be the next one's.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Identity {
    device: u64,
    inode: u64,
    made: Option<SystemTime>,
}

impl From<&fs::Metadata> for Identity {
    fn from(file: &fs::Metadata) -> Self {
        Self { device: file.dev(), inode: file.ino(), made: file.created().ok() }
    }
}

/// What is not there is gone already.
///
/// # Errors
/// What the disk says.
pub fn remove_if_there(path: &Path) -> io::Result<()> {
    match remove(path) {
        Err(fault) if fault.kind() == io::ErrorKind::NotFound => Ok(()),
        done => done,
    }
}

/// # Errors
/// What the disk says.
pub fn rename(from: &Path, to: &Path) -> io::Result<()> {
    asked(Asked::Rename(from, to))?;
    fs::rename(from, to)
}

/// Never in the place of another file.
///
/// # Errors
/// What the disk says.
pub fn rename_noreplace(from: &Path, to: &Path) -> io::Result<()> {
    asked(Asked::Rename(from, to))?;
    let (from_c, to_c) =
        (CString::new(from.as_os_str().as_bytes())?, CString::new(to.as_os_str().as_bytes())?);
    // SAFETY: both are NUL-terminated paths that live through the call.
    let result = unsafe {
        libc::renameat2(
            libc::AT_FDCWD,
            from_c.as_ptr(),
            libc::AT_FDCWD,
            to_c.as_ptr(),
            libc::RENAME_NOREPLACE,
        )
    };
    if result == 0 {
        return Ok(());
    }
    let fault = io::Error::last_os_error();
    match fault.raw_os_error() {
        // A file system without it, such as NFS: a link fails where the name is taken.
        Some(libc::EINVAL | libc::ENOSYS) => {
            fs::hard_link(from, to).and_then(|()| fs::remove_file(from))
        }
        _ => Err(fault),
    }
}

/// What is about to be done.
#[derive(Debug, Clone, Copy)]
pub enum Asked<'a> {
    MakeFolder(&'a Path),
    Create(&'a Path),
    Write(&'a Path, &'a [u8]),
    Cut(&'a Path, u64),
    Sync(&'a Path),
    SyncFolder(&'a Path),
    Rename(&'a Path, &'a Path),
    Remove(&'a Path),
    Read(&'a Path),
}

impl Asked<'_> {
    /// Where it is done.
    pub fn path(&self) -> &Path {
        match self {
            Self::MakeFolder(path)
            | Self::Create(path)
            | Self::Write(path, _)
            | Self::Cut(path, _)
            | Self::Sync(path)
            | Self::SyncFolder(path)
            | Self::Rename(path, _)
            | Self::Remove(path)
            | Self::Read(path) => path,
        }
    }
}

/// Refuses what is about to be done, or says whether a sync is to wait for the disk.
pub type Watcher = Box<dyn FnMut(Asked<'_>) -> io::Result<bool>>;

thread_local! {
    static WATCHER: RefCell<Option<Watcher>> = const { RefCell::new(None) };
}

/// Hears of everything that this thread asks from now on; nobody does in earnest.
pub fn watch(watcher: Option<Watcher>) {
    WATCHER.set(watcher);
}

fn asked(asked: Asked<'_>) -> io::Result<bool> {
    WATCHER.with_borrow_mut(|watcher| match watcher {
        Some(watcher) => watcher(asked),
        None => Ok(true),
    })
}

#[cfg(test)]
pub mod tests;
