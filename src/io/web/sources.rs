//! Where the sound of a recording is had from for whoever listens: our own file, and the second copy where that is gone or
//! is not what the log says. What is in a store is fetched once and heard from there.

use super::{Shared, Web};
use crate::io::copies::patience;
use crate::io::copies::place::Place;
use crate::io::flac::sound::{Sound, flac_of};
use crate::io::kept::{Fetched, Places};
use crate::io::store::RecordingFile;
use crate::io::{clock, priority};
use crate::protocol::now::Mono;
use std::collections::{BTreeMap, VecDeque};
use std::io;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;
use tokio::sync::Semaphore;

/// A listener waits so long for a file to be looked through, a few minutes of sound; of a longer one the rest is looked
/// through while it is heard.
const LOOKED_THROUGH_WITHIN: Duration =
    Duration::from_millis(if cfg!(test) { 10_000 } else { 400 });
/// What was found holds for so long, and what was fetched is kept so long after it was heard last.
const HOLDS: Duration = Duration::from_secs(600);
const REMEMBERED: usize = 1024;
/// Fetched recordings, each of which lies on the recordings' disk.
const FETCHED: usize = 2;
/// A disk or a store that takes longer is waited for by nobody who listens.
const PATIENCE: Duration = Duration::from_secs(3600);

/// What can be opened again and again.
#[derive(Debug, Clone)]
pub enum Source {
    File(PathBuf),
    Fetched(Arc<Fetched>),
}

impl Source {
    /// # Errors
    /// What the disk says.
    pub fn open(&self) -> io::Result<Sound> {
        match self {
            Self::File(path) => Sound::open(path),
            Self::Fetched(file) => file.open(),
        }
    }
}

/// What is known of the files, and what was fetched.
pub struct Sources {
    /// By file and hash: whether it is what the log says, and since when that is known.
    whole: Mutex<BTreeMap<(PathBuf, String), (bool, Mono)>>,
    fetched: Mutex<VecDeque<(String, Arc<Fetched>, Mono)>>,
    /// One file is looked through, and one is fetched, at a time.
    looking: Arc<Semaphore>,
    fetching: Arc<Semaphore>,
}

impl Default for Sources {
    fn default() -> Self {
        Self {
            whole: Mutex::default(),
            fetched: Mutex::default(),
            looking: Arc::new(Semaphore::new(1)),
            fetching: Arc::new(Semaphore::new(1)),
        }
    }
}

/// `None`: it is nowhere.
pub async fn of(shared: &Shared, found: &RecordingFile) -> Option<Source> {
    let Web { recordings, copies, .. } = &shared.web;
    let mut damaged = None;
    let second = if let Some(Place::Folder(folder)) = copies { Some(folder) } else { None };
    for folder in [Some(recordings), second].into_iter().flatten() {
        let Some(path) = below(folder, &found.wav).await else { continue };
        if is_whole(shared, &path, &found.sha256).await {
            if folder != recordings {
                tracing::error!(path = %path.display(), "a recording is gone or damaged: its second copy is heard");
            }
            return Some(Source::File(path));
        }
        tracing::error!(path = %path.display(), "a recording is not what the log says");
        damaged.get_or_insert(path);
    }
    if let Some(Place::Bucket(_)) = copies
        && let Some(file) = fetched(shared, found).await
    {
        return Some(Source::Fetched(file));
    }
    // It is better than nothing.
    damaged.map(Source::File)
}

/// False where it is known not to be what the log says.
async fn is_whole(shared: &Shared, path: &Path, sha256: &str) -> bool {
    let key = (path.to_owned(), sha256.to_owned());
    if let Some(whole) = shared.sources.known(&key) {
        return whole;
    }
    let own = Arc::clone(shared);
    let looking = tokio::spawn(async move {
        let _turn = own.sources.looking.acquire().await.ok()?;
        // Whoever was before may have asked the same.
        if let Some(whole) = own.sources.known(&key) {
            return Some(whole);
        }
        let path = key.0.clone();
        let reading = move || {
            priority::last();
            Sound::open(&path).and_then(Sound::digest)
        };
        let read = patience::wait(PATIENCE, reading, || {}).await.flatten();
        let whole = read.is_ok_and(|(digest, _)| digest == key.1);
        own.sources.knows(key, whole);
        Some(whole)
    });
    match tokio::time::timeout(LOOKED_THROUGH_WITHIN, looking).await {
        Ok(Ok(Some(whole))) => whole,
        Ok(Ok(None) | Err(_)) | Err(_) => true,
    }
}

impl Sources {
    fn known(&self, key: &(PathBuf, String)) -> Option<bool> {
        let (whole, since) = lock(&self.whole).get(key).copied()?;
        (clock::mono().since(since) < HOLDS).then_some(whole)
    }

    fn knows(&self, key: (PathBuf, String), whole: bool) {
        let (mut known, now) = (lock(&self.whole), clock::mono());
        if known.len() >= REMEMBERED {
            known.retain(|_, (_, since)| now.since(*since) < HOLDS);
        }
        if known.len() >= REMEMBERED {
            known.clear();
        }
        known.insert(key, (whole, now));
    }

    fn heard(&self, sha256: &str) -> Option<Arc<Fetched>> {
        let (mut all, now) = (lock(&self.fetched), clock::mono());
        let one = all.iter_mut().find(|(of, ..)| of == sha256)?;
        one.2 = now;
        Some(Arc::clone(&one.1))
    }

    /// True: it is the only one.
    fn keep(&self, sha256: String, file: Arc<Fetched>) -> bool {
        let mut all = lock(&self.fetched);
        all.push_back((sha256, file, clock::mono()));
        while all.len() > FETCHED {
            all.pop_front();
        }
        all.len() == 1
    }

    /// Until nothing is left that was not heard for so long.
    async fn let_go(&self) {
        while !lock(&self.fetched).is_empty() {
            tokio::time::sleep(HOLDS / 10).await;
            let now = clock::mono();
            lock(&self.fetched).retain(|(.., heard)| now.since(*heard) < HOLDS);
        }
    }
}

/// Whoever asked may be gone by then: it is there for him when he asks again.
async fn fetched(shared: &Shared, found: &RecordingFile) -> Option<Arc<Fetched>> {
    if let Some(file) = shared.sources.heard(&found.sha256) {
        return Some(file);
    }
    let (own, found) = (Arc::clone(shared), found.clone());
    let fetching = tokio::spawn(async move {
        let turn = Arc::clone(&own.sources.fetching).acquire_owned().await.ok()?;
        if let Some(file) = own.sources.heard(&found.sha256) {
            return Some(file);
        }
        let (places, sha256) = (places(&own.web), found.sha256.clone());
        let reading = move || {
            priority::last();
            let file = places.fetch(&found.wav)?;
            let same = file.open()?.digest()?.0 == found.sha256;
            let damaged = || io::Error::new(io::ErrorKind::InvalidData, "not what the log says");
            same.then_some(file).ok_or_else(damaged)
        };
        let fetched = patience::wait(PATIENCE, reading, || {}).await.flatten();
        drop(turn);
        match fetched {
            Ok(file) => {
                tracing::error!("a recording is gone or damaged: its copy in the store is heard");
                let file = Arc::new(file);
                if own.sources.keep(sha256, Arc::clone(&file)) {
                    let later = Arc::clone(&own);
                    tokio::spawn(async move { later.sources.let_go().await });
                }
                Some(file)
            }
            Err(fault) => {
                tracing::error!(%fault, "a recording is gone or damaged, and its copy in the store is not to be had");
                None
            }
        }
    });
    fetching.await.ok()?
}

pub fn places(web: &Web) -> Places {
    Places { recordings: web.recordings.clone(), copies: web.copies.clone(), spare: web.low_space }
}

/// The file, if it lies below `folder` after every link is followed; a WAV that is kept as FLAC has its name still.
pub async fn below(folder: &Path, file: &Path) -> Option<PathBuf> {
    let folder = tokio::fs::canonicalize(folder).await.ok()?;
    let file = match tokio::fs::canonicalize(folder.join(file)).await {
        Ok(file) => file,
        Err(_) => {
            let flac = tokio::fs::canonicalize(folder.join(flac_of(file))).await.ok()?;
            flac.with_extension("wav")
        }
    };
    file.starts_with(&folder).then_some(file)
}

fn lock<T>(one: &Mutex<T>) -> MutexGuard<'_, T> {
    one.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn nothing_outside_the_folder_is_played() {
        let root = tempfile::tempdir().unwrap();
        let folder = root.path().join("recordings");
        std::fs::create_dir(&folder).unwrap();
        std::fs::write(root.path().join("secret.wav"), "x").unwrap();
        std::fs::write(folder.join("a.wav"), "x").unwrap();
        std::os::unix::fs::symlink(root.path().join("secret.wav"), folder.join("b.wav")).unwrap();
        assert!(below(&folder, Path::new("a.wav")).await.is_some());
        assert!(below(&folder, &folder.join("a.wav")).await.is_some());
        for outside in ["../secret.wav", "b.wav", "/etc/hostname", "none.wav"] {
            assert_eq!(below(&folder, Path::new(outside)).await, None, "{outside}");
        }
    }
}
