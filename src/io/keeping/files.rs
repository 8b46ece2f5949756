//! The files of one recording in both places: whether they are seen, what is left of them, and their removal.

use super::Plan;
use crate::duty::ids::CallId;
use crate::io::copies::bucket::Bucket;
use crate::io::copies::file::below;
use crate::io::copies::place::Place;
use crate::io::durable;
use crate::io::store::{Doomed, KeptFiles};
use std::borrow::Cow;
use std::collections::{BTreeMap, BTreeSet};
use std::ffi::{OsStr, OsString};
use std::fmt::Display;
use std::fs;
use std::io;
use std::path::{Component, Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering};
use tracing::warn;

/// Where the files of one recording are, in both places.
pub struct Places {
    own: Files,
    copy: Files,
    /// Its copies count; where they do not, their place may be away for good.
    copied: bool,
}

/// What there is of a recording whose removal had begun.
pub enum Left {
    /// On the recordings' own disk; what is gone of its copy is made anew.
    Whole,
    Part(Vec<PathBuf>),
    None,
}

impl Places {
    pub fn of(plan: &Plan, Doomed { files, copied, .. }: &Doomed) -> io::Result<Self> {
        let own = Files::of(&Place::Folder(plan.recordings.clone()), files)?;
        let copy = match &plan.copies {
            Some(copies) => Files::of(copies, files)?,
            None if *copied => return Err(io::ErrorKind::NotFound.into()),
            None => Files::OnDisk(Names::new()),
        };
        Ok(Self { own, copy, copied: *copied })
    }

    /// What of it must be there.
    fn counted(&self) -> impl Iterator<Item = &Files> {
        std::iter::once(&self.own).chain(self.copied.then_some(&self.copy))
    }

    /// The second place, as far as it is there.
    fn copy(&self, call: CallId) -> io::Result<Cow<'_, Files>> {
        if self.copied {
            Ok(Cow::Borrowed(&self.copy))
        } else {
            self.copy.reached(call).map(Cow::Owned)
        }
    }

    /// Each place shows some of it.
    pub fn are_seen(&self) -> io::Result<()> {
        self.counted().try_for_each(Files::are_seen)
    }

    pub fn left(&self, call: CallId) -> io::Result<Left> {
        self.are_reached()?;
        if self.own.are_whole()? {
            return Ok(Left::Whole);
        }
        let mut left = self.own.found(call)?;
        left.extend(self.copy(call)?.found(call)?);
        Ok(if left.is_empty() { Left::None } else { Left::Part(left) })
    }

    /// From the second place first: what is held in between can be played still.
    pub fn remove(&self, call: CallId, late: &AtomicBool) -> io::Result<()> {
        self.are_reached()?;
        self.copy(call)?.remove(call, late)?;
        self.own.remove(call, late)
    }

    /// A disk that is away has them still. Both are looked at before either is touched.
    fn are_reached(&self) -> io::Result<()> {
        self.counted().try_for_each(Files::are_reached)
    }
}

/// Folders, and the names in each.
type Names = BTreeMap<PathBuf, BTreeSet<OsString>>;

#[derive(Clone)]
pub enum Files {
    OnDisk(Names),
    /// Folders as they stand in the rows.
    InBucket(Bucket, Names),
}

impl Files {
    pub fn of(place: &Place, files: &KeptFiles) -> io::Result<Self> {
        let mut names = Names::new();
        for path in [&files.wav, &files.tape].into_iter().flatten() {
            let (folder, name) = match place {
                Place::Folder(root) => inside(root, path)?,
                Place::Bucket(_) => apart(path)?,
            };
            names.entry(folder).or_default().insert(name);
        }
        Ok(match place {
            Place::Folder(_) => Self::OnDisk(names),
            Place::Bucket(bucket) => Self::InBucket(bucket.clone(), names),
        })
    }

    fn names(&self) -> &Names {
        match self {
            Self::OnDisk(names) | Self::InBucket(_, names) => names,
        }
    }

    fn named(&self) -> impl Iterator<Item = PathBuf> {
        self.names().iter().flat_map(|(folder, names)| names.iter().map(|name| folder.join(name)))
    }

    fn is_there(&self, path: &Path) -> io::Result<bool> {
        match self {
            Self::OnDisk(_) => is_there(path),
            Self::InBucket(bucket, _) => bucket.is_there(path).map_err(io::Error::other),
        }
    }

    fn are_seen(&self) -> io::Result<()> {
        for path in self.named() {
            if self.is_there(&path)? {
                return Ok(());
            }
        }
        Err(lacks(self.shown(&self.named().next().unwrap_or_default()).display()))
    }

    fn are_whole(&self) -> io::Result<bool> {
        for path in self.named() {
            if !self.is_there(&path)? {
                return Ok(false);
            }
        }
        Ok(true)
    }

    /// A folder that is gone is a disk that is not mounted; in a bucket there are none.
    fn are_reached(&self) -> io::Result<()> {
        match self {
            Self::OnDisk(names) => names.keys().try_for_each(|folder| is_reached(folder)),
            Self::InBucket(bucket, _) => bucket.look(None).map(drop).map_err(io::Error::other),
        }
    }

    /// Those whose folder is there, or whose bucket answers.
    fn reached(&self, call: CallId) -> io::Result<Self> {
        let away = |why: &dyn Display, names: Vec<PathBuf>| {
            warn!(%call, %why, ?names, "copies that do not count any more are out of reach, and may be there still");
        };
        Ok(match self {
            Self::OnDisk(names) => {
                let mut there = Names::new();
                for (folder, names) in names {
                    if is_there(folder)? {
                        there.insert(folder.clone(), names.clone());
                    } else {
                        let names = names.iter().map(|name| folder.join(name)).collect();
                        away(&"no such folder", names);
                    }
                }
                Self::OnDisk(there)
            }
            Self::InBucket(bucket, _) => match self.are_reached() {
                Ok(()) => self.clone(),
                Err(fault) => {
                    away(&fault, self.named().map(|path| self.shown(&path)).collect());
                    Self::InBucket(bucket.clone(), Names::new())
                }
            },
        })
    }

    /// As people are told of it.
    fn shown(&self, path: &Path) -> PathBuf {
        match self {
            Self::OnDisk(_) => path.to_owned(),
            Self::InBucket(bucket, _) => Path::new(&bucket.to_string()).join(path),
        }
    }

    fn found(&self, call: CallId) -> io::Result<Vec<PathBuf>> {
        let mut all = vec![];
        for (folder, names) in self.names() {
            let found = self.found_in(folder, call, names)?;
            all.extend(found.iter().map(|path| self.shown(path)));
        }
        Ok(all)
    }

    /// All that begins with the call's name, such as what was put aside as damaged or never finished.
    fn found_in(
        &self,
        folder: &Path,
        call: CallId,
        named: &BTreeSet<OsString>,
    ) -> io::Result<Vec<PathBuf>> {
        match self {
            Self::OnDisk(_) => found(folder, call, named),
            Self::InBucket(bucket, _) => {
                let mut paths = bucket.list(folder).map_err(io::Error::other)?;
                paths.retain(|path| path.file_name().is_some_and(|name| is_of(call, name, named)));
                Ok(paths)
            }
        }
    }

    pub fn remove(&self, call: CallId, late: &AtomicBool) -> io::Result<()> {
        for (folder, names) in self.names() {
            let found = self.found_in(folder, call, names)?;
            match self {
                Self::OnDisk(_) => {
                    each(found, late, |path| durable::remove(&path))?;
                    durable::sync_folder(folder)?;
                }
                Self::InBucket(bucket, _) => {
                    // Also of those that are not seen it is asked whether they are gone or hidden.
                    let all: BTreeSet<_> =
                        names.iter().map(|name| folder.join(name)).chain(found).collect();
                    each(all, late, |path| bucket.remove(&path).map_err(io::Error::other))?;
                }
            }
        }
        Ok(())
    }
}

fn each(
    paths: impl IntoIterator<Item = PathBuf>,
    late: &AtomicBool,
    remove: impl Fn(PathBuf) -> io::Result<()>,
) -> io::Result<()> {
    for path in paths {
        if late.load(Ordering::SeqCst) {
            return Err(io::ErrorKind::TimedOut.into());
        }
        remove(path)?;
    }
    Ok(())
}

/// # Errors
/// Why this folder cannot be seen.
pub fn is_reached(folder: &Path) -> io::Result<()> {
    fs::metadata(folder).map(drop).map_err(|fault| at(folder, &fault))
}

fn at(path: &Path, fault: &io::Error) -> io::Error {
    io::Error::new(fault.kind(), format!("{}: {fault}", path.display()))
}

pub fn lacks(path: impl Display) -> io::Error {
    let why = "不在：磁盘未挂载，或已更换 · is missing: the disk is not mounted, or is another one";
    io::Error::other(format!("{path}: {why}"))
}

pub fn is_there(path: &Path) -> io::Result<bool> {
    match fs::symlink_metadata(path) {
        Ok(_) => Ok(true),
        Err(fault) if fault.kind() == io::ErrorKind::NotFound => Ok(false),
        Err(fault) => Err(at(path, &fault)),
    }
}

fn is_of(call: CallId, name: &OsStr, named: &BTreeSet<OsString>) -> bool {
    let bytes = name.as_encoded_bytes();
    let bytes = bytes.strip_prefix(b".").unwrap_or(bytes);
    bytes.starts_with(call.to_string().as_bytes()) || named.contains(name)
}

fn found(folder: &Path, call: CallId, named: &BTreeSet<OsString>) -> io::Result<Vec<PathBuf>> {
    let mut found = vec![];
    for file in fs::read_dir(folder)? {
        let file = file?;
        if !is_of(call, &file.file_name(), named) {
            continue;
        }
        let path = file.path();
        if !file.file_type()?.is_file() {
            return Err(io::Error::other(format!("{}: 不是普通文件 · is no file", path.display())));
        }
        found.push(path);
    }
    Ok(found)
}

/// The folder and the name in it, where there are no links.
fn apart(path: &Path) -> io::Result<(PathBuf, OsString)> {
    let path = below(Path::new(""), path).map_err(io::Error::other)?;
    let (folder, name) = (path.parent(), path.file_name());
    Ok((folder.unwrap_or(Path::new("")).to_owned(), name.unwrap_or_default().to_owned()))
}

/// The folder and the name in it. Neither a row nor a link leads out of the root.
pub fn inside(root: &Path, path: &Path) -> io::Result<(PathBuf, OsString)> {
    let outside = || io::Error::other(format!("{}: 不在其中 · is not inside", path.display()));
    let mut folder = root.to_owned();
    let mut parts = path.components().peekable();
    while let Some(part) = parts.next() {
        let Component::Normal(name) = part else { break };
        if parts.peek().is_none() {
            return Ok((folder, name.to_owned()));
        }
        folder.push(name);
        if folder.symlink_metadata().is_ok_and(|it| it.is_symlink()) {
            break;
        }
    }
    Err(outside())
}
