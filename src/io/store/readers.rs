//! Short-lived readers: each sees one moment of the log and writes nothing.

use super::error::Result;
use rusqlite::config::DbConfig;
use rusqlite::{Connection, OpenFlags};
use std::path::{Path, PathBuf};
use std::sync::Mutex;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

/// Connections kept for the next reader.
const KEPT: usize = 4;
/// Instructions of SQLite between two looks at the clock.
const STEPS: i32 = 1000;

pub(super) struct Readers {
    path: PathBuf,
    idle: Mutex<Vec<Connection>>,
    /// How often another file has taken the place of the one before.
    files: AtomicU64,
}

impl Readers {
    pub fn new(path: &Path) -> Self {
        Self { path: path.to_owned(), idle: Mutex::default(), files: AtomicU64::new(0) }
    }

    /// What they have open may not be what has the name from now on.
    pub fn forget(&self) {
        let mut idle = self.idle.lock().unwrap_or_else(|poisoned| poisoned.into_inner());
        self.files.fetch_add(1, Ordering::AcqRel);
        idle.clear();
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
        let flags = OpenFlags::SQLITE_OPEN_READ_ONLY | OpenFlags::SQLITE_OPEN_NO_MUTEX;
        let connection = Connection::open_with_flags(&self.path, flags)?;
        connection.pragma_update(None, "query_only", true)?;
        connection.set_db_config(DbConfig::SQLITE_DBCONFIG_ENABLE_QPSG, true)?;
        connection.busy_timeout(Duration::from_secs(1))?;
        connection.set_db_config(DbConfig::SQLITE_DBCONFIG_NO_CKPT_ON_CLOSE, true)?;
        Ok(connection)
    }
}
