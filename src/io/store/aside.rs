//! A database that is of no use any more is left as it is; one that somebody has deleted, and that only this program still
//! has, is put back. **Nothing is ever written over another file.**

use crate::io::durable;
use rusqlite::Connection;
use rusqlite::backup::Progress;
use rusqlite::config::DbConfig;
use std::fs;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime};
use tracing::{error, warn};

/// How often it is tried to put a deleted one back.
const AGAIN: Duration = Duration::from_secs(2);

/// Device, inode, and when it was made: the inode of one that is gone may be the next one's.
type Identity = (u64, u64, Option<SystemTime>);

/// Which file it was that had each name: of the database, and of what is beside it.
#[derive(Debug, Clone, Default)]
pub(super) struct Opened([Option<Identity>; 3]);

const ENDINGS: [&str; 3] = ["", "-wal", "-shm"];

impl Opened {
    pub fn by(connection: &Connection) -> Self {
        Self::at(Path::new(connection.path().unwrap_or_default()))
    }

    fn at(path: &Path) -> Self {
        Self(ENDINGS.map(|ending| identity(&named(path, ending))))
    }

    /// Before what has the name is opened: where that is another, it is found without what was written beside this one, and
    /// is the one from now on.
    pub fn gives_way(&mut self, path: &Path) {
        move_what_is_beside(path, self);
        if path.exists() {
            *self = Self::at(path);
        }
    }

    /// Of what has each name now, that which is none of these.
    fn others(&self, path: &Path) -> Option<PathBuf> {
        let mut names = ENDINGS.iter().map(|ending| named(path, ending)).zip(&self.0);
        let (name, _) =
            names.find(|(name, own)| identity(name).is_some_and(|it| Some(it) != **own))?;
        Some(name)
    }
}

/// Which file has the name.
fn identity(path: &Path) -> Option<Identity> {
    let file = fs::metadata(path).ok()?;
    Some((file.dev(), file.ino(), file.created().ok()))
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
pub(super) fn leave(connection: Connection, opened: Opened) {
    let Some(connection) = without_checkpoint(connection) else { return };
    let Some(path) = connection.path().map(PathBuf::from) else { return };
    if !is_deleted(&path) {
        drop(connection);
        return move_what_is_beside(&path, &opened);
    }
    match put_back(&connection, &path, &opened) {
        Ok(()) => warn!(path = %path.display(), "the log was deleted and is put back as it was"),
        Err(error) => {
            error!(%error, "the log was deleted and cannot be put back yet: this program keeps it open, do not restart it");
            let keeps = std::thread::Builder::new().name("log-put-back".to_owned());
            let keeping = keeps.spawn(move || keep_putting_back(&connection, &path, &opened));
            if let Err(error) = keeping {
                error!(%error, "the deleted log is not put back");
            }
        }
    }
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
mod tests {
    use super::*;
    use crate::io::durable::Asked;
    use crate::io::store::tests::{entry, locked, one, random};
    use crate::io::store::{Store, StoreError, wait};
    use std::sync::Arc;
    use std::sync::atomic::{AtomicU32, Ordering};

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

    /// A backup of a log when it had one entry, which has 39 by now; and what is written beside it.
    struct Older {
        folder: tempfile::TempDir,
        log: PathBuf,
        store: Store,
        backup: PathBuf,
        wal: Vec<u8>,
    }

    impl Older {
        fn new() -> Self {
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
            Self { folder, log, store, backup, wal }
        }

        /// What SQLite checks when it is opened is a mixture of both else.
        fn is_used_alone(&self) {
            self.store.reopen(&self.log, random(), || false).unwrap();
            self.store.begins();
            let entries = || one::<i64>(&self.store, "SELECT count(*) FROM entry");
            assert_eq!(entries(), 1);
            entry(&self.store, 2, 1.0);
            assert_eq!(entries(), 2);
            assert!(fs::read(named(&self.log, "-wal.aside-1")).unwrap() == self.wal, "it is kept");
        }
    }

    #[test]
    fn esc_71_what_was_written_beside_the_old_log_is_never_taken_for_the_backups() {
        let older = Older::new();
        fs::rename(&older.backup, &older.log).unwrap();
        older.store.put_aside(why());
        assert!(fs::read(named(&older.log, "-wal.aside-1")).unwrap() == older.wal, "it is kept");
        older.is_used_alone();
    }

    #[test]
    fn esc_71_nor_where_the_old_log_was_moved_away_before_the_backup_came() {
        let older = Older::new();
        fs::rename(&older.log, older.folder.path().join("old.db")).unwrap();
        older.store.put_aside(why());
        fs::rename(&older.backup, &older.log).unwrap();
        // Somebody looks at a page meanwhile.
        assert!(one::<i64>(&older.store, "SELECT count(*) FROM sqlite_schema") > 0);
        older.is_used_alone();
    }

    /// The file system may give the backup the number of the one that was deleted.
    #[test]
    fn esc_71_nor_where_the_old_log_was_given_up_as_damaged_before_it_was_deleted() {
        let older = Older::new();
        older.store.put_aside(StoreError::Corrupt("as a test wants it".to_owned()));
        let number = |file: &Path| fs::metadata(file).unwrap().ino();
        let of_the_log = number(&older.log);
        fs::remove_file(&older.log).unwrap();
        let new = |nth| {
            let file = older.folder.path().join(format!("new-{nth}"));
            fs::write(&file, "").unwrap();
            file
        };
        let same = (0..500).map(new).find(|file| number(file) == of_the_log);
        let copy = same.unwrap_or_else(|| new(500));
        fs::copy(&older.backup, &copy).unwrap();
        fs::rename(&copy, &older.log).unwrap();
        older.is_used_alone();
    }

    #[test]
    fn esc_71_nor_where_the_old_log_could_not_be_opened_at_the_start() {
        let Older { folder, log, store, backup, wal } = Older::new();
        store.put_aside(why());
        drop(store);
        fs::write(&log, vec![7; 64 * 1024]).unwrap();
        let store = Store::of_no_use(&log, "as a test wants it".to_owned()).unwrap();
        fs::rename(&log, folder.path().join("old.db")).unwrap();
        fs::rename(&backup, &log).unwrap();
        Older { folder, log, store, backup, wal }.is_used_alone();
    }

    #[test]
    fn esc_71_a_deleted_log_is_put_back_over_nothing_of_a_backup_that_comes_meanwhile() {
        let folder = tempfile::tempdir().unwrap();
        let log = folder.path().join("dutyline.db");
        let connection = Connection::open(&log).unwrap();
        connection.execute_batch("PRAGMA journal_mode = wal; CREATE TABLE own (id)").unwrap();
        let opened = Opened::by(&connection);
        fs::remove_file(&log).unwrap();
        let (wal, part) = (named(&log, "-wal"), named(&log, ".part"));
        for backup in [vec![log.clone(), wal.clone()], vec![wal.clone()]] {
            let (comes, copied) = (backup.clone(), part.clone());
            durable::watch(Some(Box::new(move |asked| {
                if matches!(asked, Asked::Sync(of) if of == copied) {
                    for file in &comes {
                        let _ = fs::remove_file(file);
                        fs::write(file, "of the backup").unwrap();
                    }
                }
                Ok(true)
            })));
            let back = put_back(&connection, &log, &opened);
            durable::watch(None);
            assert!(back.is_err());
            assert!(!part.exists(), "what cannot be put back takes no room");
            for file in &backup {
                assert_eq!(fs::read_to_string(file).unwrap(), "of the backup");
                fs::remove_file(file).unwrap();
            }
        }
        put_back(&connection, &log, &opened).unwrap();
        let put_back = Connection::open(&log).unwrap();
        put_back.execute_batch("INSERT INTO own VALUES (1)").unwrap();
    }

    #[test]
    fn esc_71_a_log_that_cannot_be_written_is_not_read_through_to_see_whether_it_is_sound() {
        let folder = tempfile::tempdir().unwrap();
        let log = folder.path().join("dutyline.db");
        let store = Store::open(&log, random()).unwrap();
        store.put_aside(why());
        let looked = Arc::new(AtomicU32::new(0));
        let reopen = || {
            let looks = Arc::clone(&looked);
            store.reopen(&log, random(), move || looks.fetch_add(1, Ordering::Relaxed) == u32::MAX)
        };
        let held = locked(&log);
        assert_eq!(reopen(), Err(StoreError::Locked));
        assert_eq!(looked.load(Ordering::Relaxed), 0);
        drop(held);
        reopen().unwrap();
        assert!(looked.load(Ordering::Relaxed) > 0);
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
