//! A database that is of no use any more is left as it is; one that somebody has deleted, and that only this program still
//! has, is put back. **Nothing is ever written over another file.**

mod content;

use super::error::{Result, StoreError};
use crate::io::durable::{self, Identity};
use content::Content;
use rusqlite::Connection;
use rusqlite::backup::Progress;
use rusqlite::config::DbConfig;
use std::path::{Path, PathBuf};
use std::time::Duration;
use std::{fs, io};
use tracing::{error, warn};

/// How often it is tried to put a deleted one back.
const AGAIN: Duration = Duration::from_secs(2);

/// Which file it was that had each name: of the database, and of what is beside it.
#[derive(Debug, Clone, Default)]
pub(super) struct Opened {
    files: [Option<Identity>; 3],
    /// `None`: this program has it open, which changes it.
    left: Option<Content>,
    /// As this program has made it last. `None`: it is not looked after.
    used: Option<Content>,
}

const ENDINGS: [&str; 3] = ["", "-wal", "-shm"];

impl Opened {
    pub fn by(connection: &Connection) -> Self {
        Self::at(Path::new(connection.path().unwrap_or_default()))
    }

    fn at(path: &Path) -> Self {
        let files = ENDINGS.map(|ending| identity(&named(path, ending)));
        Self { files, ..Self::default() }
    }

    /// From now on it is looked after, as one that is this program's alone.
    pub fn looked_after(self, path: &Path) -> Self {
        Self { used: Content::at(path, &named(path, "-wal")), ..self }
    }

    /// Before anything is read of it or written to it. One that was deleted is written on, and put back.
    ///
    /// # Errors
    /// Another has its name, or was copied over it.
    pub fn is_in_use(&mut self, path: &Path) -> Result<()> {
        let (Some(used), Ok(file)) = (&self.used, fs::metadata(path)) else { return Ok(()) };
        let is_same = Some(Identity::from(&file)) == self.files[0];
        if is_same && used.is_still(&file) {
            return Ok(());
        }
        let wal = named(path, "-wal");
        let Some(now) = Content::at(path, &wal) else { return Ok(()) };
        if !is_same || now.was_copied_over(used, &wal) {
            let how = if is_same { "was copied over" } else { "is another file" };
            return Err(StoreError::Replaced(format!("{} {how}", path.display())));
        }
        self.used = Some(now);
        Ok(())
    }

    /// After something was written.
    pub fn was_written(&mut self, path: &Path) {
        if self.is_in_use(path).is_ok() {
            let used = self.used.take();
            self.used = used.map(|used| used.beside(&named(path, "-wal")));
        }
    }

    /// Before a run opens what has the name for the first time: SQLite deletes what lies beside none.
    ///
    /// # Errors
    /// As [`Opened::gives_way`].
    pub fn begins(path: &Path) -> Result<()> {
        if path.exists() { Self::default().gives_way(path) } else { Self::at(path).moves(path) }
    }

    /// Before what has the name is opened: where that is another, or has another's content by now, it is found without what
    /// was written beside this one, and is the one from now on.
    ///
    /// # Errors
    /// What was written beside this one is still there.
    pub fn gives_way(&mut self, path: &Path) -> Result<()> {
        let wal = named(path, "-wal");
        let Some(now) = Content::at(path, &wal) else { return Ok(()) };
        let is_same_file = identity(path) == self.files[0];
        // Where that cannot be read, it is not opened either.
        if is_same_file && self.left.is_some() && !now.is_known() {
            return Ok(());
        }
        let is_another = |left| now.is_another_than(left, &wal);
        // Else it was copied over, too.
        let is_as_left = |left: &Content| left.has_beside(&wal);
        let was_copied_over = |used: &Content| is_as_left(used) && now.was_copied_over(used, &wal);
        if now.has_anothers_beside(&wal)
            || (is_same_file && self.used.as_ref().is_some_and(was_copied_over))
        {
            Self::at(path).moves(path)?;
        } else if (!is_same_file || self.left.as_ref().is_some_and(is_another))
            && self.left.as_ref().is_none_or(is_as_left)
        {
            self.moves(path)?;
        }
        *self = Self { left: Some(now.beside(&wal)), ..Self::at(path) };
        Ok(())
    }

    /// After a while in which it was not to change.
    ///
    /// # Errors
    /// It did.
    pub fn is_untouched(&self, path: &Path) -> Result<()> {
        match (&self.left, Content::at(path, &named(path, "-wal"))) {
            (Some(left), Some(now)) if !now.is_untouched(left) => {
                Err(StoreError::Replaced(format!("{} has changed meanwhile", path.display())))
            }
            _ => Ok(()),
        }
    }

    fn moves(&self, path: &Path) -> Result<()> {
        self.move_what_is_beside(path).map_err(|error| {
            let why = "what lies beside it is another's and cannot be set aside";
            StoreError::Unreadable(format!("{why}: {error}"))
        })
    }

    /// What was written beside this one is not another's: SQLite would take it for it.
    fn move_what_is_beside(&self, path: &Path) -> io::Result<()> {
        for (ending, own) in ENDINGS.iter().zip(&self.files).skip(1) {
            let beside = named(path, ending);
            if own.is_none() || identity(&beside) != *own {
                continue;
            }
            let aside =
                |nth| durable::rename_noreplace(&beside, &named(&beside, &format!(".aside-{nth}")));
            let is_taken = |done: &io::Result<()>| {
                done.as_ref().is_err_and(|fault| fault.kind() == io::ErrorKind::AlreadyExists)
            };
            let moved = (1..1000).map(aside).find(|done| !is_taken(done));
            moved.unwrap_or_else(|| Err(io::ErrorKind::AlreadyExists.into()))?;
            warn!(file = %beside.display(), "of the log before: set aside");
        }
        if let Some(Err(error)) = path.parent().map(durable::sync_folder) {
            error!(%error, "the folder of the log cannot be synced");
        }
        Ok(())
    }

    /// Of what has each name now, that which is none of these.
    fn others(&self, path: &Path) -> Option<PathBuf> {
        let mut names = ENDINGS.iter().map(|ending| named(path, ending)).zip(&self.files);
        let (name, _) =
            names.find(|(name, own)| identity(name).is_some_and(|it| Some(it) != **own))?;
        Some(name)
    }
}

/// Which file has the name.
fn identity(path: &Path) -> Option<Identity> {
    Some(Identity::from(&fs::metadata(path).ok()?))
}

fn named(path: &Path, ending: &str) -> PathBuf {
    let mut name = path.as_os_str().to_owned();
    name.push(ending);
    PathBuf::from(name)
}

/// Closing it makes no last checkpoint: its name may be another file's by now. None: so it stays open.
pub(super) fn without_checkpoint(connection: Connection) -> Option<Connection> {
    match connection.set_db_config(DbConfig::SQLITE_DBCONFIG_NO_CKPT_ON_CLOSE, true) {
        Ok(_) => Some(connection),
        Err(error) => {
            error!(%error, "the log is not closed, so that nothing is done to its file");
            std::mem::forget(connection);
            None
        }
    }
}

/// Closes it, put back first where it was deleted. What is left of it.
pub(super) fn leave(connection: Connection, mut opened: Opened) -> Opened {
    let Some(connection) = without_checkpoint(connection) else { return opened };
    let Some(path) = connection.path().map(PathBuf::from) else { return opened };
    if !is_deleted(&path) {
        drop(connection);
        if let Err(error) = opened.gives_way(&path) {
            error!(%error, "the log that was left");
        }
        return opened;
    }
    match put_back(&connection, &path, &opened) {
        Ok(()) => warn!(path = %path.display(), "the log was deleted and is put back as it was"),
        Err(error) => {
            error!(%error, "the log was deleted and cannot be put back yet: this program keeps it open, do not restart it");
            let (keeps, own) =
                (std::thread::Builder::new().name("log-put-back".to_owned()), opened.clone());
            let keeping = keeps.spawn(move || keep_putting_back(&connection, &path, &own));
            if let Err(error) = keeping {
                error!(%error, "the deleted log is not put back");
            }
        }
    }
    opened
}

/// Until there is room for it, or another has its name.
fn keep_putting_back(connection: &Connection, path: &Path, opened: &Opened) {
    while !path.exists() {
        std::thread::sleep(AGAIN);
        if put_back(connection, path, opened).is_ok() {
            return warn!(path = %path.display(), "the log was deleted and is put back as it was");
        }
    }
}

/// Whether the file that this program has open under this name has none any more.
fn is_deleted(path: &Path) -> bool {
    let Ok(open) = fs::read_dir("/proc/self/fd") else { return false };
    let Some(folder) = path.parent().and_then(|folder| fs::canonicalize(folder).ok()) else {
        return false;
    };
    let mut gone = folder.join(path.file_name().unwrap_or_default()).into_os_string();
    gone.push(" (deleted)");
    let links = open.filter_map(|one| fs::read_link(one.ok()?.path()).ok());
    !path.exists() && links.into_iter().any(|link| link.as_os_str() == gone)
}

fn put_back(connection: &Connection, path: &Path, opened: &Opened) -> anyhow::Result<()> {
    let part = named(path, ".part");
    durable::remove_if_there(&part)?;
    let put_back = put_back_by(connection, &part, path, opened);
    if put_back.is_err() {
        durable::remove_if_there(&part)?;
    }
    put_back
}

fn put_back_by(
    connection: &Connection,
    part: &Path,
    path: &Path,
    opened: &Opened,
) -> anyhow::Result<()> {
    connection.backup("main", part, None::<fn(Progress)>)?;
    durable::sync_file(part)?;
    // That took its time, in which a backup may have come.
    if let Some(other) = opened.others(path) {
        anyhow::bail!("{} is another's", other.display());
    }
    // Its own, whose content is in the copy.
    durable::remove_if_there(&named(path, "-wal"))?;
    durable::remove_if_there(&named(path, "-shm"))?;
    durable::rename_noreplace(part, path)?;
    Ok(path.parent().map_or(Ok(()), durable::sync_folder)?)
}

#[cfg(test)]
mod tests;
