//! Whoever puts another signing key in its place is alone with the data folder meanwhile. Nobody waits for it for long: a
//! command may be stopped in the middle.

use std::fs::{File, TryLockError};
use std::io;
use std::path::Path;
use std::thread::sleep;
use std::time::Duration;

/// Two seconds in all.
const AGAIN: Duration = Duration::from_millis(20);
const TRIES: u32 = 100;

/// With others who only read.
///
/// # Errors
/// `WouldBlock` where somebody else has it for longer; else the disk's.
pub fn shared(data: &Path) -> io::Result<File> {
    take(data, File::try_lock_shared)
}

/// # Errors
/// As [`shared`].
pub fn alone(data: &Path) -> io::Result<File> {
    take(data, File::try_lock)
}

fn take(data: &Path, how: fn(&File) -> Result<(), TryLockError>) -> io::Result<File> {
    let folder = File::open(data)?;
    for _ in 0..TRIES {
        match how(&folder) {
            Ok(()) => return Ok(folder),
            Err(TryLockError::Error(fault)) => return Err(fault),
            Err(TryLockError::WouldBlock) => sleep(AGAIN),
        }
    }
    Err(io::ErrorKind::WouldBlock.into())
}
