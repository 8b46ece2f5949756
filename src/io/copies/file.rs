//! One file, copied to another disk and read back from there: only then is it a copy.

use crate::io::durable::{self, Durable, Readable};
use crate::io::tape::files;
use sha2::{Digest, Sha256};
use std::fs::{self, File};
use std::io::{self, Read, Write};
use std::os::fd::AsRawFd;
use std::os::unix::fs::MetadataExt;
use std::path::{Component, Path, PathBuf};

const PIECE: usize = 256 * 1024;

/// Which of the two disks is at fault, and how.
#[derive(Debug)]
pub enum Fault {
    /// The recording itself cannot be read, or is not what the log says.
    Own(String),
    Copy(String),
}

impl Fault {
    pub fn why(self) -> String {
        match self {
            Self::Own(why) | Self::Copy(why) => why,
        }
    }
}

/// Copies `path` of `own` to the same place of `other`, unless the same content is there already. What is there and is
/// another content is put aside under a name of its own. Nothing is touched where both places are one, whatever their
/// names.
///
/// # Errors
/// Which disk is at fault. What is not whole has no name that anybody could take for a copy.
pub fn copy(own: &Path, other: &Path, path: &Path, sha256: &str) -> Result<(), Fault> {
    copy_read(own, other, path, sha256, Readable::open)
}

/// As [`copy`], of what `open` gives for its name.
///
/// # Errors
/// As [`copy`].
pub fn copy_read<R: Read>(
    own: &Path,
    other: &Path,
    path: &Path,
    sha256: &str,
    open: impl FnOnce(&Path) -> io::Result<R>,
) -> Result<(), Fault> {
    let from = below(own, path).map_err(Fault::Own)?;
    let to = below(other, path).map_err(Fault::Copy)?;
    let copying = |fault: io::Error| Fault::Copy(format!("{}: {fault}", to.display()));
    // A folder that is gone is a disk that is not mounted.
    fs::metadata(other).map_err(copying)?;
    apart(own, other, path).map_err(Fault::Copy)?;
    let inside = path.parent().unwrap_or(Path::new(""));
    let folder = &files::make_folder(other, inside).map_err(copying)?;
    // What an earlier run left may never have reached the disk.
    match durable::sync_file(&to).and_then(|()| digest(&to)) {
        Ok(there) if there == sha256 => return durable::sync_folder(folder).map_err(copying),
        Ok(_) => put_aside(&to).map_err(copying)?,
        Err(fault) if fault.kind() == io::ErrorKind::NotFound => {}
        Err(fault) => return Err(copying(fault)),
    }
    let name = to.file_name().unwrap_or_default().to_string_lossy();
    let part = folder.join(format!(".{name}.part"));
    durable::remove_if_there(&part).map_err(copying)?;
    write(&from, &part, sha256, open)?;
    let back = digest(&part).map_err(copying)?;
    if back != sha256 {
        let _ = durable::remove(&part);
        let why = format!("{}: what was written is read back otherwise", to.display());
        return Err(Fault::Copy(why));
    }
    durable::rename_noreplace(&part, &to).map_err(copying)?;
    durable::sync_folder(folder).map_err(copying)
}

/// A recording that is found under the copies' name is no copy of itself: another spelling, a link, a mount.
///
/// # Errors
/// What is one.
pub fn apart(own: &Path, other: &Path, path: &Path) -> Result<(), String> {
    if same(own, other) {
        return Err(format!("{}: is the recordings' own folder", other.display()));
    }
    let (from, to) = (own.join(path), other.join(path));
    if same(&from, &to) {
        return Err(format!("{}: is the recording itself", to.display()));
    }
    Ok(())
}

fn same(a: &Path, b: &Path) -> bool {
    let of = |path: &Path| fs::metadata(path).ok().map(|file| (file.dev(), file.ino()));
    of(a).is_some_and(|a| of(b) == Some(a))
}

/// Whether both folders are on one disk, which is lost with both.
pub fn on_one_disk(own: &Path, other: &Path) -> bool {
    let of = |path: &Path| fs::metadata(path).ok().map(|folder| folder.dev());
    of(own).is_some_and(|own| of(other) == Some(own))
}

/// What can be seen of the copies without reading them.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Sight {
    Whole,
    /// The newest counted copy is not there.
    Lacking,
}

/// Looks at both folders, and at the newest copy that was counted.
///
/// # Errors
/// Which disk is at fault. Copies that are gone with their folders, on the recordings' own disk, are a lost mount: what
/// is written there would be on one disk twice.
pub fn look(own: &Path, other: &Path, newest: Option<&Path>) -> Result<Sight, Fault> {
    let at = |path: &Path, fault: io::Error| format!("{}: {fault}", path.display());
    is_there(own).map_err(Fault::Own)?;
    is_there(other).map_err(Fault::Copy)?;
    apart(own, other, Path::new("")).map_err(Fault::Copy)?;
    let Some(newest) = newest else { return Ok(Sight::Whole) };
    let missing = |path: &Path| match fs::metadata(path) {
        Ok(_) => Ok(false),
        Err(fault) if fault.kind() == io::ErrorKind::NotFound => Ok(true),
        Err(fault) => Err(Fault::Copy(at(path, fault))),
    };
    if !missing(&below(other, newest).map_err(Fault::Copy)?)? {
        return Ok(Sight::Whole);
    }
    let first = newest.components().next().map_or(other.to_owned(), |first| other.join(first));
    if missing(&first)? && on_one_disk(own, other) {
        return Err(Fault::Copy(format!("{}: empty, is it mounted?", other.display())));
    }
    Ok(Sight::Lacking)
}

/// # Errors
/// What keeps the folder from being looked at.
pub fn is_there(folder: &Path) -> Result<(), String> {
    fs::metadata(folder).map(drop).map_err(|fault| format!("{}: {fault}", folder.display()))
}

fn write<R: Read>(
    from: &Path,
    part: &Path,
    sha256: &str,
    open: impl FnOnce(&Path) -> io::Result<R>,
) -> Result<(), Fault> {
    let reading = |fault: io::Error| Fault::Own(format!("{}: {fault}", from.display()));
    let copying = |fault: io::Error| Fault::Copy(format!("{}: {fault}", part.display()));
    let mut source = open(from).map_err(reading)?;
    let mut out = Durable::create(part).map_err(copying)?;
    let (mut hash, mut piece) = (Sha256::new(), vec![0; PIECE]);
    loop {
        let read = source.read(&mut piece).map_err(reading)?;
        if read == 0 {
            break;
        }
        hash.update(&piece[..read]);
        out.write_all(&piece[..read]).map_err(copying)?;
    }
    out.sync_all().map_err(copying)?;
    if hex::encode(hash.finalize()) == sha256 {
        return Ok(());
    }
    let _ = durable::remove(part);
    Err(Fault::Own(format!("{}: is not what the log says", from.display())))
}

/// SHA-256 in hex of what is on the disk, not of what the system still remembers of it.
///
/// # Errors
/// What the disk says.
pub fn digest(path: &Path) -> io::Result<String> {
    forget(path)?;
    let (mut file, mut hash, mut piece) = (Readable::open(path)?, Sha256::new(), vec![0; PIECE]);
    loop {
        match file.read(&mut piece)? {
            0 => return Ok(hex::encode(hash.finalize())),
            read => hash.update(&piece[..read]),
        }
    }
}

/// What is remembered of a file that is synced is dropped, where the system does so.
///
/// # Errors
/// Where there is no such file.
pub fn forget(path: &Path) -> io::Result<()> {
    let file = File::open(path)?;
    // SAFETY: the descriptor is that of the open file; it is an advice.
    let _ = unsafe { libc::posix_fadvise(file.as_raw_fd(), 0, 0, libc::POSIX_FADV_DONTNEED) };
    Ok(())
}

/// Kept for examination, never overwritten.
fn put_aside(path: &Path) -> io::Result<()> {
    for count in 1..100 {
        let mut name = path.as_os_str().to_owned();
        name.push(format!(".damaged-{count}"));
        match durable::rename_noreplace(path, Path::new(&name)) {
            Err(fault) if fault.kind() == io::ErrorKind::AlreadyExists => {}
            done => return done,
        }
    }
    Err(io::Error::other("too many damaged files of this name"))
}

/// No row leads out of the folder.
pub fn below(folder: &Path, path: &Path) -> Result<PathBuf, String> {
    let inside = path.components().all(|part| matches!(part, Component::Normal(_)));
    if inside { Ok(folder.join(path)) } else { Err(format!("{}: leads elsewhere", path.display())) }
}
