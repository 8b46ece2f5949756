//! Short-lived readers: each sees one moment of the log and writes nothing.

use super::error::{Result, StoreError};
use rusqlite::config::DbConfig;
use rusqlite::{Connection, OpenFlags};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Mutex, RwLock};
use std::time::{Duration, Instant};

/// Bytes of the smallest database; SQLite takes a file of one byte, too, for an empty one.
pub const SMALLEST: u64 = 512;
/// Connections kept for the next reader.
const KEPT: usize = 4;
/// Instructions of SQLite between two looks at the clock.
const STEPS: i32 = 1000;

pub(super) struct Readers {
    path: PathBuf,
    idle: Mutex<Vec<Connection>>,
    /// Held by whoever reads.
    open: RwLock<()>,
    /// How often another file has taken the place of the one before.
    files: AtomicU64,
}

impl Readers {
    pub fn new(path: &Path) -> Self {
        Self {
            path: path.to_owned(),
            idle: Mutex::default(),
            open: RwLock::default(),
            files: AtomicU64::new(0),
        }
    }

    /// What they have open may not be what has the name from now on.
    pub fn forget(&self) {
        let mut idle = self.idle.lock().unwrap_or_else(|poisoned| poisoned.into_inner());
        self.files.fetch_add(1, Ordering::AcqRel);
        idle.clear();
    }

    /// While nobody has it open: SQLite takes what lies beside it for what that was when the first in this program opened
    /// it. Whoever reads is waited for.
    pub fn alone<T>(&self, work: impl FnOnce() -> T) -> T {
        let _alone = self.open.write().unwrap_or_else(|poisoned| poisoned.into_inner());
        self.forget();
        work()
    }

    pub fn read<T>(&self, work: impl FnOnce(&Connection) -> Result<T>) -> Result<T> {
        self.read_until(None, work)
    }

    /// Given up after so long.
    pub fn read_within<T>(
        &self,
        limit: Duration,
        work: impl FnOnce(&Connection) -> Result<T>,
    ) -> Result<T> {
        self.read_until(Some(Instant::now() + limit), work)
    }

    fn read_until<T>(
        &self,
        until: Option<Instant>,
        work: impl FnOnce(&Connection) -> Result<T>,
    ) -> Result<T> {
        let _open = self.open.read().unwrap_or_else(|poisoned| poisoned.into_inner());
        let files = self.files.load(Ordering::Acquire);
        let idle = self.idle.lock().unwrap_or_else(|poisoned| poisoned.into_inner()).pop();
        let mut connection = match idle {
            Some(connection) => connection,
            None => self.connect()?,
        };
        if let Some(until) = until {
            connection.progress_handler(STEPS, Some(move || Instant::now() > until))?;
        }
        let moment = connection.transaction()?;
        let found = work(&moment)?;
        moment.commit()?;
        if until.is_some() {
            connection.progress_handler(0, None::<fn() -> bool>)?;
        }
        let mut idle = self.idle.lock().unwrap_or_else(|poisoned| poisoned.into_inner());
        if idle.len() < KEPT && files == self.files.load(Ordering::Acquire) {
            idle.push(connection);
        }
        Ok(found)
    }

    fn connect(&self) -> Result<Connection> {
        // Somebody is about to copy over it: SQLite would delete what lies beside it.
        if std::fs::metadata(&self.path).is_ok_and(|file| file.len() < SMALLEST) {
            return Err(StoreError::Unreadable(format!("{} is empty", self.path.display())));
        }
        let flags = OpenFlags::SQLITE_OPEN_READ_ONLY | OpenFlags::SQLITE_OPEN_NO_MUTEX;
        let connection = Connection::open_with_flags(&self.path, flags)?;
        connection.pragma_update(None, "query_only", true)?;
        connection.set_db_config(DbConfig::SQLITE_DBCONFIG_ENABLE_QPSG, true)?;
        connection.busy_timeout(Duration::from_secs(1))?;
        connection.set_db_config(DbConfig::SQLITE_DBCONFIG_NO_CKPT_ON_CLOSE, true)?;
        Ok(connection)
    }
}
