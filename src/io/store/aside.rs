//! A database that is of no use any more is left as it is; one that somebody has deleted, and that only this program still
//! has, is put back. **Nothing is ever written over another file.**

use crate::io::durable;
use rusqlite::Connection;
use rusqlite::backup::Progress;
use rusqlite::config::DbConfig;
use std::fs;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::time::Duration;
use tracing::{error, warn};

/// How often it is tried to put a deleted one back.
const AGAIN: Duration = Duration::from_secs(2);

/// Which file it was that had each name: of the database, and of what is beside it.
pub(super) struct Opened([Option<(u64, u64)>; 3]);

const ENDINGS: [&str; 3] = ["", "-wal", "-shm"];

impl Opened {
    pub fn by(connection: &Connection) -> Self {
        let path = connection.path().unwrap_or_default();
        Self(ENDINGS.map(|ending| identity(&named(Path::new(path), ending))))
    }
}

/// Which file has the name.
fn identity(path: &Path) -> Option<(u64, u64)> {
    let file = fs::metadata(path).ok()?;
    Some((file.dev(), file.ino()))
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

/// Closes it, put back first where it was deleted.
pub(super) fn leave(connection: Connection, opened: &Opened) {
    let Some(connection) = without_checkpoint(connection) else { return };
    let Some(path) = connection.path().map(PathBuf::from) else { return };
    if !is_deleted(&path) {
        drop(connection);
        return move_what_is_beside(&path, opened);
    }
    match put_back(&connection, &path) {
        Ok(()) => warn!(path = %path.display(), "the log was deleted and is put back as it was"),
        Err(error) => {
            error!(%error, "the log was deleted and cannot be put back yet: this program keeps it open, do not restart it");
            let keeps = std::thread::Builder::new().name("log-put-back".to_owned());
            if let Err(error) = keeps.spawn(move || keep_putting_back(&connection, &path)) {
                error!(%error, "the deleted log is not put back");
            }
        }
    }
}

/// Until there is room for it, or another has its name.
fn keep_putting_back(connection: &Connection, path: &Path) {
    while !path.exists() {
        std::thread::sleep(AGAIN);
        if put_back(connection, path).is_ok() {
            return warn!(path = %path.display(), "the log was deleted and is put back as it was");
        }
    }
}

/// Where another file has its name, what was written beside the old one is not that one's: SQLite would take it for it.
fn move_what_is_beside(path: &Path, Opened(opened): &Opened) {
    let now = identity(path);
    if now.is_none() || now == opened[0] {
        return;
    }
    for (ending, own) in ENDINGS.iter().zip(opened).skip(1) {
        let beside = named(path, ending);
        if own.is_none() || identity(&beside) != *own {
            continue;
        }
        let free = |nth: &u32| {
            durable::rename_noreplace(&beside, &named(&beside, &format!(".aside-{nth}"))).is_ok()
        };
        match (1..1000).find(free) {
            Some(nth) => warn!(file = %beside.display(), nth, "of the log before: set aside"),
            None => error!(file = %beside.display(), "of the log before, and cannot be set aside"),
        }
    }
    if let Some(Err(error)) = path.parent().map(durable::sync_folder) {
        error!(%error, "the folder of the log cannot be synced");
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

fn put_back(connection: &Connection, path: &Path) -> anyhow::Result<()> {
    let part = named(path, ".part");
    durable::remove_if_there(&part)?;
    let copied = connection
        .backup("main", &part, None::<fn(Progress)>)
        .map_err(anyhow::Error::from)
        .and_then(|()| Ok(durable::sync_file(&part)?));
    if let Err(fault) = copied {
        durable::remove_if_there(&part)?;
        return Err(fault);
    }
    // Its own, whose content is in the copy.
    durable::remove_if_there(&named(path, "-wal"))?;
    durable::remove_if_there(&named(path, "-shm"))?;
    durable::rename_noreplace(&part, path)?;
    Ok(path.parent().map_or(Ok(()), durable::sync_folder)?)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::io::store::tests::{entry, one, random};
    use crate::io::store::{Store, StoreError, wait};

    fn why() -> StoreError {
        StoreError::Unreadable("as a test wants it".to_owned())
    }

    fn files(log: &Path) -> Vec<Vec<u8>> {
        ["", "-wal"]
            .iter()
            .map(|end| fs::read(format!("{}{end}", log.display())).unwrap())
            .collect()
    }

    #[test]
    fn esc_71_a_log_that_is_put_aside_is_left_as_it_is_and_goes_on_when_it_is_opened_again() {
        let folder = tempfile::tempdir().unwrap();
        let log = folder.path().join("dutyline.db");
        let store = Store::open(&log, random()).unwrap();
        let unproved = store.unproved();
        entry(&store, 1, 0.0);
        let before = files(&log);
        store.put_aside(why());
        assert!(files(&log) == before);
        assert_eq!(wait(store.writable()), Err(why()));
        store.reopen(&log, random(), || false).unwrap();
        store.begins();
        entry(&store, 2, 1.0);
        assert_eq!(one::<i64>(&store, "SELECT count(*) FROM entry"), 2);
        assert!(unproved.has_changed().is_ok(), "whoever listens hears of the next one too");
    }

    #[test]
    fn esc_71_a_deleted_log_is_put_back_with_all_that_was_committed_but_over_no_other_file() {
        let folder = tempfile::tempdir().unwrap();
        let log = folder.path().join("dutyline.db");
        let store = Store::open(&log, random()).unwrap();
        entry(&store, 1, 0.0);
        fs::remove_file(&log).unwrap();
        entry(&store, 2, 1.0);
        store.put_aside(why());
        store.reopen(&log, random(), || false).unwrap();
        store.begins();
        assert_eq!(one::<i64>(&store, "SELECT count(*) FROM entry"), 2);
        fs::remove_file(&log).unwrap();
        fs::write(&log, "another").unwrap();
        store.put_aside(why());
        assert_eq!(fs::read(&log).unwrap(), b"another");
        assert!(store.reopen(&log, random(), || false).is_err());
        assert_eq!(wait(store.writable()), Err(why()));
    }

    /// What SQLite checked when it was opened was a mixture of both.
    #[test]
    fn esc_71_what_was_written_beside_the_old_log_is_never_taken_for_the_backups() {
        let folder = tempfile::tempdir().unwrap();
        let log = folder.path().join("dutyline.db");
        let store = Store::open(&log, random()).unwrap();
        entry(&store, 1, 0.0);
        let backup = folder.path().join("backup.db");
        let from = Connection::open(&log).unwrap();
        from.backup("main", &backup, None::<fn(Progress)>).unwrap();
        drop(from);
        for n in 2..40 {
            entry(&store, n, f64::from(n));
        }
        let wal = fs::read(named(&log, "-wal")).unwrap();
        fs::rename(&backup, &log).unwrap();
        store.put_aside(why());
        assert!(fs::read(named(&log, "-wal.aside-1")).unwrap() == wal, "it is kept");
        store.reopen(&log, random(), || false).unwrap();
        store.begins();
        assert_eq!(one::<i64>(&store, "SELECT count(*) FROM entry"), 1);
        entry(&store, 2, 1.0);
        assert_eq!(one::<i64>(&store, "SELECT count(*) FROM entry"), 2);
    }

    #[test]
    fn esc_71_a_log_that_is_not_sound_is_left_as_it_is_with_what_lies_beside_it() {
        let folder = tempfile::tempdir().unwrap();
        let log = folder.path().join("dutyline.db");
        let store = Store::open(&log, random()).unwrap();
        for n in 1..40 {
            entry(&store, n, f64::from(n));
        }
        store.put_aside(why());
        Connection::open(&log).unwrap().execute_batch("PRAGMA wal_checkpoint(TRUNCATE)").unwrap();
        store.reopen(&log, random(), || false).unwrap();
        store.begins();
        entry(&store, 40, 40.0);
        store.put_aside(why());
        let mut pages = fs::read(&log).unwrap();
        let half = pages.len() / 2;
        pages[half..].fill(0x5a);
        fs::write(&log, &pages).unwrap();
        let before = files(&log);
        assert!(matches!(store.reopen(&log, random(), || false), Err(StoreError::Corrupt(_))));
        assert!(files(&log) == before);
    }

    #[test]
    fn esc_71_looking_whether_a_log_is_sound_is_given_up_when_the_daemon_stops() {
        let folder = tempfile::tempdir().unwrap();
        let log = folder.path().join("dutyline.db");
        let store = Store::open(&log, random()).unwrap();
        store.put_aside(why());
        assert_eq!(store.reopen(&log, random(), || true), Err(StoreError::TooLong));
        store.reopen(&log, random(), || false).unwrap();
    }
}
