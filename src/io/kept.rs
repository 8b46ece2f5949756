//! Where the bytes of a sealed file are had from: its own place, and the second copy where that one is of no use.

use super::copies::bucket::Bucket;
use super::copies::place::Place;
use super::disk;
use super::flac::sound::{Sound, flac_of};
use std::fs::{File, OpenOptions};
use std::io::{self, Write};
use std::os::fd::AsRawFd;
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Component, Path, PathBuf};

/// What is fetched from a store lies on the recordings' disk while it is read: no more than this, a recording of four hours.
const FETCHED_MOST: u64 = 512 << 20;

#[derive(Debug, Clone)]
pub struct Places {
    pub recordings: PathBuf,
    pub copies: Option<Place>,
    /// Bytes that are kept free there for calls.
    pub spare: u64,
}

/// One of the places of a sealed file. A WAV that is kept as FLAC has its name still.
#[derive(Debug, Clone)]
pub enum Kept {
    File(PathBuf),
    Object { bucket: Bucket, path: PathBuf, beside: PathBuf, spare: u64 },
}

impl Places {
    /// Without second copies.
    pub fn alone(recordings: &Path) -> Self {
        Self { recordings: recordings.to_owned(), copies: None, spare: 0 }
    }

    /// Of the file of this name: our own, then the second copy. Neither the name nor a link leads out of the folders.
    pub fn of(&self, path: &Path) -> Vec<io::Result<Kept>> {
        let mut kept = vec![inside(&self.recordings, path).map(Kept::File)];
        kept.extend(self.copies.as_ref().map(|copies| match copies {
            Place::Folder(folder) => inside(folder, path).map(Kept::File),
            Place::Bucket(bucket) => Ok(Kept::Object {
                bucket: bucket.clone(),
                path: path.to_owned(),
                beside: self.recordings.clone(),
                spare: self.spare,
            }),
        }));
        kept
    }

    /// What the store has of it.
    ///
    /// # Errors
    /// What disk and store say, and where there is no store or nothing of it.
    pub fn fetch(&self, path: &Path) -> io::Result<Fetched> {
        match &self.copies {
            Some(Place::Bucket(bucket)) => fetched(bucket, path, (&self.recordings, self.spare)),
            Some(Place::Folder(_)) | None => Err(io::ErrorKind::NotFound.into()),
        }
    }

    /// Bytes of the file, as far as they can be told without reading it.
    pub fn length(&self, path: &Path) -> u64 {
        let length = |kept: Kept| match kept {
            Kept::File(path) => match path.symlink_metadata() {
                Ok(file) => Some(file.len()),
                Err(_) => Sound::open_itself(&path).and_then(|sound| sound.length()).ok(),
            },
            Kept::Object { .. } => None,
        };
        self.of(path).into_iter().flatten().find_map(length).unwrap_or(0)
    }
}

impl Kept {
    /// # Errors
    /// What the disk or the store says.
    pub fn open(&self) -> io::Result<Sound> {
        match self {
            // A link may lead anywhere.
            Self::File(path) => Sound::open_itself(path),
            Self::Object { bucket, path, beside, spare } => {
                fetched(bucket, path, (beside, *spare))?.open()
            }
        }
    }
}

/// What was fetched from a store; it is gone when nobody has it any more.
#[derive(Debug)]
pub struct Fetched {
    file: File,
    is_flac: bool,
}

impl Fetched {
    /// From its beginning, beside whoever else reads it.
    ///
    /// # Errors
    /// What the disk says, and where it is no FLAC of ours.
    pub fn open(&self) -> io::Result<Sound> {
        // A second one of the same descriptor would have its place in the file in common with it.
        let file = File::open(format!("/proc/self/fd/{}", self.file.as_raw_fd()))?;
        if self.is_flac { Sound::of_flac(file) } else { Ok(Sound::Itself(file)) }
    }
}

/// As WAV, or as the FLAC that is there in its place.
fn fetched(bucket: &Bucket, path: &Path, (beside, spare): (&Path, u64)) -> io::Result<Fetched> {
    if disk::free_space(beside)? < spare.saturating_add(FETCHED_MOST) {
        return Err(io::ErrorKind::StorageFull.into());
    }
    if let Some(file) = fetch(bucket, path, beside)? {
        return Ok(Fetched { file, is_flac: false });
    }
    let flac = fetch(bucket, &flac_of(path), beside)?;
    Ok(Fetched { file: flac.ok_or(io::ErrorKind::NotFound)?, is_flac: true })
}

/// Into a file without a name, which is gone when it is closed.
fn fetch(bucket: &Bucket, path: &Path, beside: &Path) -> io::Result<Option<File>> {
    let mut unnamed = OpenOptions::new();
    unnamed.read(true).write(true).mode(0o600).custom_flags(libc::O_TMPFILE);
    let mut file = unnamed.open(beside)?;
    let mut left = FETCHED_MOST;
    let there = bucket.fetch(path, |piece| {
        left = left.checked_sub(piece.len() as u64).ok_or(io::ErrorKind::FileTooLarge)?;
        file.write_all(piece)
    });
    if !there.map_err(io::Error::other)? {
        return Ok(None);
    }
    Ok(Some(file))
}

/// The place of a file, which neither its name nor a link may lead out of the folder.
fn inside(folder: &Path, path: &Path) -> io::Result<PathBuf> {
    let mut full = folder.to_owned();
    for part in path.components() {
        let open = full == folder || !full.symlink_metadata()?.is_symlink();
        if !open || !matches!(part, Component::Normal(_)) {
            return Err(io::Error::other("不在录音文件夹内 · is not inside the recordings folder"));
        }
        full.push(part);
    }
    Ok(full)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::io::copies::bucket::tests::plan;
    use crate::io::copies::bucket::tests::server::Server;
    use crate::io::copies::file::digest;
    use crate::io::durable::Durable;
    use crate::io::flac;
    use crate::io::store::ToFlac;
    use crate::io::store::tests::call;
    use crate::io::wav_file::StereoWriter;
    use std::fs;

    /// Some sound in our folder, and its hash.
    fn recorded(own: &Path, name: &str) -> String {
        let mut out = StereoWriter::new(Durable::create(&own.join(name)).unwrap(), 8_000).unwrap();
        let left: Vec<i16> = (0..8_000).collect();
        out.write(&left, &left).unwrap();
        out.finish().unwrap();
        digest(&own.join(name)).unwrap()
    }

    #[test]
    fn rec_d15_what_is_gone_here_is_had_from_the_store_in_either_form_and_leaves_nothing() {
        let folder = tempfile::tempdir().unwrap();
        let own = folder.path().join("own");
        fs::create_dir(&own).unwrap();
        let server = Server::start(&folder.path().join("store"), 0);
        let bucket = Bucket::new(plan(&server));
        let places = Places { copies: Some(Place::Bucket(bucket.clone())), ..Places::alone(&own) };
        let (as_wav, as_flac) = (Path::new("a.wav"), Path::new("b.wav"));
        let sha256 = recorded(&own, "a.wav");
        bucket.copy(&own, as_wav, &sha256).unwrap();
        let wav = as_flac.to_owned();
        let sealed = ToFlac { call: call(1), wav, sha256: recorded(&own, "b.wav") };
        let made = flac::file::make(&own, &sealed, &|| true).unwrap();
        bucket.copy(&own, &made.path, &made.sha256).unwrap();
        fs::remove_dir_all(&own).unwrap();
        fs::create_dir(&own).unwrap();
        for path in [as_wav, as_flac] {
            let [here, there] = &places.of(path)[..] else { panic!("two places") };
            let here = here.as_ref().unwrap().open();
            assert_eq!(here.err().map(|fault| fault.kind()), Some(io::ErrorKind::NotFound));
            let there = there.as_ref().unwrap().open().unwrap();
            assert_eq!(there.digest().unwrap().0, sha256, "{path:?}");
        }
        assert_eq!(fs::read_dir(&own).unwrap().count(), 0);
        let none = places.of(Path::new("c.wav")).pop().unwrap().unwrap().open();
        assert_eq!(none.err().map(|fault| fault.kind()), Some(io::ErrorKind::NotFound));
        let short = Places { spare: u64::MAX / 2, ..places };
        let full = short.of(as_wav).pop().unwrap().unwrap().open();
        let kind = full.err().map(|fault| fault.kind());
        assert_eq!(kind, Some(io::ErrorKind::StorageFull), "calls have the room");
    }
}
