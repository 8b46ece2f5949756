//! One daemon per data folder (esc_69), and which boot of the host this is.

use super::error::{Result, StoreError};
use crate::io::clock;
use std::fs::{File, TryLockError};
use std::io::{Read, Write};
use std::path::{Path, PathBuf};
use std::sync::LazyLock;

/// Keeps other daemons out until it is dropped. A file of its own: closing any handle to the
/// database file would drop SQLite's locks on it.
#[derive(Debug)]
pub struct Hold {
    _lock: File,
}

impl Hold {
    /// # Errors
    /// When another daemon has the folder, or no lock can be taken in it.
    pub fn take(database: &Path) -> Result<Self> {
        let mut path = database.as_os_str().to_owned();
        path.push(".lock");
        let path = PathBuf::from(path);
        let unreadable =
            |error: std::io::Error| StoreError::Unreadable(format!("{}: {error}", path.display()));
        let mut lock = File::options()
            .read(true)
            .write(true)
            .create(true)
            .truncate(false)
            .open(&path)
            .map_err(unreadable)?;
        match lock.try_lock() {
            Ok(()) => {}
            Err(TryLockError::WouldBlock) => {
                let mut holder = String::new();
                let _ = lock.read_to_string(&mut holder);
                let folder = database.parent().unwrap_or(database).to_owned();
                return Err(StoreError::Held { folder, holder: holder.trim().to_owned() });
            }
            Err(TryLockError::Error(error)) => return Err(unreadable(error)),
        }
        let name = format!("dutyline, process {}\n", std::process::id());
        // On a full disk it is held without a name.
        let _ = lock.set_len(0).and_then(|()| lock.write_all(name.as_bytes()));
        Ok(Self { _lock: lock })
    }
}

/// The kernel's name of this boot; where it cannot be read, one for as long as this process runs.
pub(super) fn boot_id() -> String {
    named(&std::fs::read_to_string("/proc/sys/kernel/random/boot_id").unwrap_or_default())
}

fn named(boot: &str) -> String {
    static OF_THIS_PROCESS: LazyLock<String> = LazyLock::new(|| clock::random().token());
    match boot.trim() {
        "" => OF_THIS_PROCESS.clone(),
        boot => boot.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::io::store::tests::random;
    use crate::io::store::{Store, wait};

    #[test]
    fn esc_69_a_second_daemon_on_the_same_folder_is_told_who_holds_it() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("log.db");
        let first = Store::open(&path, random()).unwrap();
        match Store::open(&path, random()).map(drop) {
            Err(StoreError::Held { holder, .. }) => {
                assert!(holder.contains(&std::process::id().to_string()), "{holder}");
            }
            other => panic!("{other:?}"),
        }
        let beside = Store::open_beside(&path, random()).unwrap();
        assert!(!wait(beside.has_people()).unwrap());
        drop(first);
        Store::open(&path, random()).unwrap();
    }

    #[test]
    fn rec_d14_a_boot_without_a_name_is_one_for_as_long_as_the_process_runs() {
        assert_eq!(named(" first\n"), "first");
        assert!(!named("").is_empty());
        assert_eq!(named(""), named("\n"));
    }

    #[test]
    fn a_folder_that_is_not_there_is_named() {
        let missing = Path::new("/nonexistent/dutyline/log.db");
        match Store::open(missing, random()).map(drop) {
            Err(StoreError::Unreadable(why)) => assert!(why.contains("/nonexistent"), "{why}"),
            other => panic!("{other:?}"),
        }
    }
}
