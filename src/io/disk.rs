//! Watches the free space where recordings are kept.

use crate::io::clock;
use crate::io::status::{Alarm, Board, DiskState};
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};
use std::time::Duration;

const LOOK_EVERY: Duration = Duration::from_secs(10);
/// Tape, sealed tape and WAV of one call that never ends, in bytes per day.
const BYTES_PER_DAY: u64 = 86_400 * 75_000;

/// Looks every 10 s, for ever.
pub async fn watch(recordings: PathBuf, low_space: u64, board: Board) {
    let mut tick = tokio::time::interval(LOOK_EVERY);
    loop {
        tick.tick().await;
        let folder = recordings.clone();
        let looked = tokio::task::spawn_blocking(move || free_space(&folder)).await;
        match looked {
            Ok(Ok(free)) => report(&board, free, low_space),
            Ok(Err(error)) => missing(&board, &recordings, &error),
            Err(_) => return,
        }
    }
}

fn report(board: &Board, free: u64, low_space: u64) {
    board.update(|status| {
        // A page is told when the figure that it shows changes, not at every byte.
        status.disk = DiskState { free: free >> 26 << 26, days: free / BYTES_PER_DAY };
        status.alarms.remove("recordings");
        if free >= low_space {
            status.alarms.remove("disk");
        } else {
            let (free, low) = (free >> 20, low_space >> 20);
            status.alarms.entry("disk").or_insert_with(|| Alarm {
                since: clock::now().wall,
                zh: format!("录音存储仅剩 {free} MB（下限 {low} MB），请清理磁盘或扩容"),
                en: format!("{free} MB left for recordings (limit {low} MB): free or add space"),
            });
        }
    });
}

fn missing(board: &Board, folder: &Path, error: &std::io::Error) {
    let folder = folder.display();
    board.update(|status| {
        status.alarms.entry("recordings").or_insert_with(|| Alarm {
            since: clock::now().wall,
            zh: format!("录音文件夹 {folder} 无法访问（{error}），请检查磁盘挂载和权限"),
            en: format!("recordings folder {folder}: {error}; check the mount and its owner"),
        });
    });
}

/// Bytes that an ordinary user may still write there.
///
/// # Errors
/// When the folder cannot be reached.
pub fn free_space(folder: &Path) -> std::io::Result<u64> {
    let path = std::ffi::CString::new(folder.as_os_str().as_bytes())?;
    let mut stat = std::mem::MaybeUninit::<libc::statvfs>::uninit();
    // SAFETY: `path` ends with a NUL and `stat` is written in full before a zero is returned.
    let result = unsafe { libc::statvfs(path.as_ptr(), stat.as_mut_ptr()) };
    if result != 0 {
        return Err(std::io::Error::last_os_error());
    }
    // SAFETY: statvfs succeeded.
    let stat = unsafe { stat.assume_init() };
    Ok(stat.f_bavail * stat.f_frsize)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn little_space_is_an_alarm_with_a_remedy_until_there_is_more() {
        let board = Board::new();
        report(&board, 1 << 20, 1 << 30);
        assert!(board.status().alarms["disk"].zh.contains("清理"));
        report(&board, 1 << 31, 1 << 30);
        assert!(board.status().alarms.is_empty());
    }

    #[test]
    fn a_folder_that_is_not_there_is_named() {
        let board = Board::new();
        let gone = Path::new("/nowhere/recordings");
        let error = free_space(gone).unwrap_err();
        missing(&board, gone, &error);
        assert!(board.status().alarms["recordings"].en.contains("/nowhere/recordings"));
    }
}
