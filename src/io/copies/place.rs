//! Where the second copies are: a folder on another disk, or a bucket of an object store. Whoever asks waits for it, on a
//! thread of its own.

use super::bucket::Bucket;
use super::file::{self, Fault, Sight, below};
use crate::config::copies::Copies;
use crate::io::durable;
use std::fmt;
use std::path::{Path, PathBuf};
use std::time::Duration;

#[derive(Debug, Clone)]
pub enum Place {
    /// Not made where it is missing, so that a lost mount is seen.
    Folder(PathBuf),
    Bucket(Bucket),
}

/// Each request to a store may be paid for.
const BUCKET_LOOK_EVERY: Duration = Duration::from_secs(60);

impl Place {
    pub fn of(copies: &Copies) -> Self {
        match copies {
            Copies::Folder(folder) => Self::Folder(folder.clone()),
            Copies::Bucket(bucket) => Self::Bucket(Bucket::new(bucket.clone())),
        }
    }

    /// Copies `path` of `own` to the same name there, unless the same content is there already, and reads it back.
    ///
    /// # Errors
    /// Which of the two places is at fault. What is not whole has no name that anybody could take for a copy.
    pub fn copy(&self, own: &Path, path: &Path, sha256: &str) -> Result<(), Fault> {
        match self {
            Self::Folder(folder) => file::copy(own, folder, path, sha256),
            Self::Bucket(bucket) => bucket.copy(own, path, sha256),
        }
    }

    /// Looks at both places, and at the newest copy that was counted.
    ///
    /// # Errors
    /// Which of the two is at fault.
    pub fn look(&self, own: &Path, newest: Option<&Path>) -> Result<Sight, Fault> {
        match self {
            Self::Folder(folder) => file::look(own, folder, newest),
            Self::Bucket(bucket) => {
                file::is_there(own).map_err(Fault::Own)?;
                bucket.look(newest).map_err(Fault::Copy)
            }
        }
    }

    /// For how long what was seen there is taken as it was.
    pub fn look_every(&self) -> Duration {
        match self {
            Self::Folder(_) => Duration::ZERO,
            Self::Bucket(_) => BUCKET_LOOK_EVERY,
        }
    }

    /// Whether it may be out of reach for a while without anything being wrong with it.
    pub fn is_far(&self) -> bool {
        matches!(self, Self::Bucket(_))
    }

    /// A recording that is found under the copies' name is no copy of itself.
    ///
    /// # Errors
    /// What is one.
    pub fn apart(&self, own: &Path, path: &Path) -> Result<(), String> {
        match self {
            Self::Folder(folder) => file::apart(own, folder, path),
            Self::Bucket(_) => Ok(()),
        }
    }

    /// Whether the disk of the recordings is lost with it.
    pub fn is_on_the_disk_of(&self, own: &Path) -> bool {
        match self {
            Self::Folder(folder) => file::on_one_disk(own, folder),
            Self::Bucket(_) => false,
        }
    }

    /// SHA-256 in hex of what is kept there.
    ///
    /// # Errors
    /// Why it cannot be read, and where.
    pub fn digest(&self, path: &Path) -> Result<String, String> {
        match self {
            Self::Folder(folder) => {
                let path = below(folder, path)?;
                file::digest(&path).map_err(|fault| format!("{}: {fault}", path.display()))
            }
            Self::Bucket(bucket) => bucket.digest(path),
        }
    }

    /// What is not there is gone already.
    ///
    /// # Errors
    /// Why it may be there still.
    pub fn remove(&self, path: &Path) -> Result<(), String> {
        match self {
            Self::Folder(folder) => {
                let path = below(folder, path)?;
                let removed = durable::remove_if_there(&path);
                let removed =
                    removed.and_then(|()| durable::sync_folder(path.parent().unwrap_or(folder)));
                removed.map_err(|fault| format!("{}: {fault}", path.display()))
            }
            Self::Bucket(bucket) => bucket.remove(path),
        }
    }

    /// Where `path` is there, for people.
    pub fn at(&self, path: &Path) -> String {
        match self {
            Self::Folder(folder) => folder.join(path).display().to_string(),
            Self::Bucket(bucket) => format!("{bucket}/{}", path.display()),
        }
    }

    /// What to look at when it does not work, in both languages.
    pub fn remedy(&self) -> (&'static str, &'static str) {
        match self {
            Self::Folder(_) => ("请检查第二份的磁盘或网络挂载", "look at the other disk or mount"),
            Self::Bucket(_) => {
                ("请检查对象存储和到它的网络", "look at the object store and the network to it")
            }
        }
    }
}

/// What to look at where either place may be at fault, in both languages.
pub fn remedy_of_both(copies: Option<&Place>) -> (String, String) {
    let own = ("请检查录音磁盘", "look at the disk of the recordings");
    match copies.map(Place::remedy) {
        Some((zh, en)) => (format!("{}；{zh}", own.0), format!("{}; {en}", own.1)),
        None => (own.0.to_owned(), own.1.to_owned()),
    }
}

impl fmt::Display for Place {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Folder(folder) => folder.display().fmt(out),
            Self::Bucket(bucket) => bucket.fmt(out),
        }
    }
}
