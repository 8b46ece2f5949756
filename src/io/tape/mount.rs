//! Whether the folder of recordings is on its disk: one that is not mounted leaves an empty folder on the disk above, which
//! takes files just as well, and hides them once it is mounted again.

use std::fs::{self, Metadata};
use std::io;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

pub struct Mount {
    folder: PathBuf,
    /// A file that says, over restarts, that the folder was on another disk than the host's own.
    mark: PathBuf,
    /// Where it was seen last.
    disk: Option<u64>,
}

impl Mount {
    pub fn new(folder: &Path, mark: PathBuf) -> Self {
        Self { folder: folder.to_owned(), mark, disk: None }
    }

    /// A folder that is not there is none that lacks its disk. Where the site has moved it for good the mark is to be deleted.
    ///
    /// # Errors
    /// `ENODEV` where its disk is not mounted, and what the disk says.
    pub fn look(&mut self) -> io::Result<()> {
        let own = match fs::metadata(&self.folder) {
            Err(fault) if fault.kind() == io::ErrorKind::NotFound => return Ok(()),
            found => found?.dev(),
        };
        let disk = |of: io::Result<Metadata>| of.map_or(own, |of| of.dev());
        let host = disk(fs::metadata("/"));
        let moved = self.disk.is_some_and(|before| before != own)
            && own == disk(fs::metadata(self.folder.join("..")));
        let is_marked =
            fs::read(&self.mark).is_ok_and(|mark| mark == self.folder.as_os_str().as_bytes());
        if is_marked && (moved || own == host) {
            return Err(io::Error::from_raw_os_error(libc::ENODEV));
        }
        self.disk = Some(own);
        if own != host && !is_marked {
            // Where the data cannot be written that is told; this is tried again.
            let _ = fs::write(&self.mark, self.folder.as_os_str().as_bytes());
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::unix::fs::symlink;

    #[test]
    fn rel_31_a_folder_whose_disk_is_not_mounted_takes_nothing_until_it_is_or_the_mark_is_gone() {
        let folder = tempfile::tempdir().unwrap();
        let [at, below, mark] =
            ["recordings", "below", "mark"].map(|name| folder.path().join(name));
        fs::create_dir(&below).unwrap();
        let is_now = |what: &Path| {
            let _ = fs::remove_file(&at);
            symlink(what, &at).unwrap();
        };
        let (one, other, lost) = (Path::new("/proc"), Path::new("/sys"), Some(libc::ENODEV));
        let mut mount = Mount::new(&at, mark.clone());
        mount.look().unwrap();
        let mut looks = |what: &Path, restarts: bool| {
            is_now(what);
            if restarts {
                mount = Mount::new(&at, mark.clone());
            }
            mount.look().err().and_then(|fault| fault.raw_os_error())
        };
        assert_eq!(looks(one, false), None);
        assert_eq!([looks(&below, false), looks(&below, false)], [lost, lost]);
        assert_eq!(
            [looks(other, false), looks(&below, false), looks(other, true)],
            [None, lost, None]
        );
        assert_eq!(looks(&below, false), lost);
        fs::remove_file(&mark).unwrap();
        assert_eq!([looks(&below, false), looks(&below, true)], [None, None], "it was moved");
    }
}
