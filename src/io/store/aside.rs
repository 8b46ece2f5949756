//! A database that is of no use any more is left as it is; one that somebody has deleted, and that only this program still
//! has, is put back. **Nothing is ever written over another file.**

use crate::io::durable;
use rusqlite::Connection;
use rusqlite::backup::Progress;
use rusqlite::config::DbConfig;
use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use tracing::{error, warn};

/// Closes it without a last checkpoint: its name may be another file's by now.
pub(super) fn leave(connection: Connection) {
    if let Err(error) = connection.set_db_config(DbConfig::SQLITE_DBCONFIG_NO_CKPT_ON_CLOSE, true) {
        error!(%error, "the log is not closed, so that nothing is done to its file");
        return std::mem::forget(connection);
    }
    let Some(path) = connection.path().map(PathBuf::from).filter(|path| is_deleted(path)) else {
        return;
    };
    match put_back(&connection, &path) {
        Ok(()) => warn!(path = %path.display(), "the log was deleted and is put back as it was"),
        Err(error) => {
            error!(%error, "the log was deleted and cannot be put back yet: this program keeps it open");
            // Whatever is free later, by hand from /proc as long as this program runs.
            std::mem::forget(connection);
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

fn put_back(connection: &Connection, path: &Path) -> anyhow::Result<()> {
    let with = |ending: &str| {
        let mut name = path.as_os_str().to_owned();
        name.push(ending);
        PathBuf::from(name)
    };
    let part = with(".part");
    removed(&part)?;
    connection.backup("main", &part, None::<fn(Progress)>)?;
    durable::sync_file(&part)?;
    // Its own, whose content is in the copy.
    removed(&with("-wal"))?;
    removed(&with("-shm"))?;
    durable::rename_noreplace(&part, path)?;
    Ok(path.parent().map_or(Ok(()), durable::sync_folder)?)
}

fn removed(path: &Path) -> io::Result<()> {
    match fs::remove_file(path) {
        Err(fault) if fault.kind() != io::ErrorKind::NotFound => Err(fault),
        Ok(()) | Err(_) => Ok(()),
    }
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
        store.reopen(&log, random()).unwrap();
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
        store.reopen(&log, random()).unwrap();
        store.begins();
        assert_eq!(one::<i64>(&store, "SELECT count(*) FROM entry"), 2);
        fs::remove_file(&log).unwrap();
        fs::write(&log, "another").unwrap();
        store.put_aside(why());
        assert_eq!(fs::read(&log).unwrap(), b"another");
        assert!(store.reopen(&log, random()).is_err());
        assert_eq!(wait(store.writable()), Err(why()));
    }
}
