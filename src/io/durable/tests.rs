//! A disk that refuses, and one of which everything that was asked is known.

use super::*;
use crate::protocol::random::Random;
use std::cell::RefCell;
use std::collections::BTreeMap;

thread_local! {
    static DISK: RefCell<Disk> = const { RefCell::new(Disk::Sound) };
}

/// The disk of this thread.
enum Disk {
    Sound,
    /// Refuses from the operation of this number on, for so many operations.
    Refusing {
        count: u64,
        from: u64,
        until: u64,
        errno: i32,
    },
    /// Does nothing of this kind below this folder.
    Dead {
        folder: PathBuf,
        how: Death,
        errno: i32,
    },
    Noting(Vec<Did>),
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Death {
    /// It can still be read.
    Writing,
    Whole,
}

/// What was asked for, and was done.
#[derive(Debug, Clone)]
pub enum Did {
    Create(PathBuf),
    Write(PathBuf, Vec<u8>),
    Cut(PathBuf, u64),
    Sync(PathBuf),
    SyncFolder(PathBuf),
    Rename(PathBuf, PathBuf),
    Remove(PathBuf),
    /// The test's own mark.
    Mark(u64),
}

fn answer(asked: Asked<'_>) -> io::Result<bool> {
    DISK.with_borrow_mut(|disk| match disk {
        Disk::Sound => Ok(true),
        Disk::Refusing { count, from, until, errno } => {
            *count += 1;
            let refuses = (*from..*until).contains(count);
            // Such a disk need not be waited for.
            if refuses { Err(io::Error::from_raw_os_error(*errno)) } else { Ok(false) }
        }
        Disk::Dead { folder, how, errno } => {
            let reads = matches!(asked, Asked::Read(_)) && *how == Death::Writing;
            let refuses = asked.path().starts_with(folder) && !reads;
            if refuses { Err(io::Error::from_raw_os_error(*errno)) } else { Ok(false) }
        }
        Disk::Noting(done) => {
            done.extend(Did::of(asked));
            Ok(true)
        }
    })
}

/// What is below the folder is on a disk that is dead.
pub fn die(folder: &Path, how: Death, errno: i32) {
    set(Disk::Dead { folder: folder.to_owned(), how, errno });
}

/// Refuses the operations `from..until`, counted from 1.
pub fn refuse(from: u64, until: u64, errno: i32) {
    set(Disk::Refusing { count: 0, from, until, errno });
}

/// Is sound again; how many operations there were since it refused.
pub fn mend() -> u64 {
    match DISK.replace(Disk::Sound) {
        Disk::Refusing { count, .. } => count,
        Disk::Sound | Disk::Dead { .. } | Disk::Noting(_) => 0,
    }
}

fn set(disk: Disk) {
    DISK.set(disk);
    watch(Some(Box::new(answer)));
}

pub fn note() {
    set(Disk::Noting(vec![]));
}

pub fn mark(mark: u64) {
    DISK.with_borrow_mut(|disk| {
        if let Disk::Noting(done) = disk {
            done.push(Did::Mark(mark));
        }
    });
}

pub fn noted() -> Vec<Did> {
    match DISK.replace(Disk::Sound) {
        Disk::Noting(done) => done,
        Disk::Sound | Disk::Refusing { .. } | Disk::Dead { .. } => vec![],
    }
}

impl Did {
    fn of(asked: Asked<'_>) -> Option<Self> {
        Some(match asked {
            Asked::Create(path) => Self::Create(path.to_owned()),
            Asked::Write(path, bytes) => Self::Write(path.to_owned(), bytes.to_vec()),
            Asked::Cut(path, length) => Self::Cut(path.to_owned(), length),
            Asked::Sync(path) => Self::Sync(path.to_owned()),
            Asked::SyncFolder(path) => Self::SyncFolder(path.to_owned()),
            Asked::Rename(from, to) => Self::Rename(from.to_owned(), to.to_owned()),
            Asked::Remove(path) => Self::Remove(path.to_owned()),
            Asked::MakeFolder(_) | Asked::Read(_) => return None,
        })
    }
}

#[derive(Debug, Clone, Default)]
struct Inode {
    written: Vec<u8>,
    synced: Vec<u8>,
}

/// What stands on the disk when the power is cut after these operations: what was synced, and of the rest nothing,
/// or by chance some. Folders last as soon as they are made; they are synced when they are.
pub fn after_the_cut(done: &[Did], mut chance: Option<&mut Random>) -> BTreeMap<PathBuf, Vec<u8>> {
    let mut inodes: Vec<Inode> = vec![];
    let mut names: BTreeMap<PathBuf, usize> = BTreeMap::new();
    let mut lasting: BTreeMap<PathBuf, usize> = BTreeMap::new();
    for did in done {
        match did {
            Did::Create(path) => {
                inodes.push(Inode::default());
                names.insert(path.clone(), inodes.len() - 1);
            }
            Did::Write(path, bytes) => inodes[names[path]].written.extend(bytes),
            Did::Cut(path, length) => inodes[names[path]].written.truncate(*length as usize),
            Did::Sync(path) => {
                let inode = &mut inodes[names[path]];
                inode.synced.clone_from(&inode.written);
            }
            Did::SyncFolder(folder) => {
                let inside = |path: &Path| path.parent() == Some(folder);
                lasting.retain(|path, _| !inside(path));
                let now = names.iter().filter(|(path, _)| inside(path));
                lasting.extend(now.map(|(path, inode)| (path.clone(), *inode)));
            }
            Did::Rename(from, to) => {
                let inode = names.remove(from).expect("it is there");
                names.insert(to.clone(), inode);
            }
            Did::Remove(path) => drop(names.remove(path)),
            Did::Mark(_) => {}
        }
    }
    let mut luck = |most: usize| chance.as_mut().map_or(0, |by| by.below(most as u64 + 1) as usize);
    if luck(1) == 1 {
        lasting = names;
    }
    let content = |inode: usize, luck: &mut dyn FnMut(usize) -> usize| {
        let Inode { written, synced } = &inodes[inode];
        let grown = written.len().saturating_sub(synced.len());
        let more = luck(grown);
        if more == 0 { synced.clone() } else { written[..synced.len() + more].to_vec() }
    };
    lasting.into_iter().map(|(path, inode)| (path, content(inode, &mut luck))).collect()
}
