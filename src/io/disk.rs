//! Watches the free space where recordings and the log are kept, and holds some of it back for when there is none left.

use crate::io::clock;
use crate::io::status::{Alarm, Board, DiskState};
use std::fs::{self, OpenOptions};
use std::io;
use std::os::fd::AsRawFd;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};
use std::time::Duration;
use tracing::{info, warn};

const LOOK_EVERY: Duration = Duration::from_secs(1);
/// Tape, sealed tape and WAV of one call that never ends, in bytes per day.
const BYTES_PER_DAY: u64 = 86_400 * 75_000;
/// With less than this what was held back is let go.
const EMPTY: u64 = 8 << 20;

/// What is watched.
#[derive(Debug, Clone)]
pub struct DiskPlan {
    /// Of the log and the running tape.
    pub data: PathBuf,
    pub recordings: PathBuf,
    /// Free bytes below which the page warns.
    pub low_space: u64,
    /// Bytes held back beside the log; 0 for none.
    pub ballast: u64,
}

/// What was seen.
#[derive(Debug)]
struct Looked {
    recordings: io::Result<u64>,
    data: io::Result<u64>,
    /// It was let go, and there is no room yet for another.
    ballast_gone: bool,
}

/// Looks every second, for ever.
pub async fn watch(plan: DiskPlan, board: Board) {
    let mut tick = tokio::time::interval(LOOK_EVERY);
    let mut ballast = Ballast::default();
    loop {
        tick.tick().await;
        let plan = plan.clone();
        let looked = tokio::task::spawn_blocking(move || {
            let looked = look(&plan, &mut ballast);
            (plan, ballast, looked)
        });
        let Ok((plan, still, looked)) = looked.await else { return };
        ballast = still;
        report(&board, &plan, &looked);
    }
}

fn look(plan: &DiskPlan, ballast: &mut Ballast) -> Looked {
    let data = free_space(&plan.data);
    if let Ok(free) = data {
        ballast.keep(plan, free);
    }
    Looked { recordings: free_space(&plan.recordings), data, ballast_gone: ballast.gone }
}

/// A file that holds room back: without it a full disk takes neither the end of a sentence nor the word that it is full.
#[derive(Debug, Default, Clone, Copy)]
struct Ballast {
    gone: bool,
}

impl Ballast {
    fn keep(&mut self, plan: &DiskPlan, free: u64) {
        let path = plan.data.join("ballast");
        let there = path.metadata().is_ok_and(|file| file.len() >= plan.ballast);
        match wanted(free, plan, there) {
            Some(false) => match fs::remove_file(&path) {
                Ok(()) => {
                    warn!(free, "the disk is full: what was held back is let go");
                    self.gone = true;
                }
                Err(fault) => warn!(%fault, "what was held back cannot be let go"),
            },
            Some(true) => match hold(&path, plan.ballast) {
                Ok(()) => {
                    info!(bytes = plan.ballast, "room is held back for a full disk");
                    self.gone = false;
                }
                Err(fault) => warn!(%fault, "no room can be held back for a full disk"),
            },
            None => {}
        }
    }
}

/// Whether it is to be made or to go.
fn wanted(free: u64, plan: &DiskPlan, there: bool) -> Option<bool> {
    if there {
        return (free < EMPTY).then_some(false);
    }
    (plan.ballast > 0 && free >= plan.low_space + 2 * plan.ballast).then_some(true)
}

fn hold(path: &Path, bytes: u64) -> io::Result<()> {
    let file = OpenOptions::new().write(true).create(true).truncate(true).mode(0o600).open(path)?;
    let length = libc::off_t::try_from(bytes).unwrap_or(libc::off_t::MAX);
    // SAFETY: the descriptor is that of the open file.
    match unsafe { libc::posix_fallocate(file.as_raw_fd(), 0, length) } {
        0 => file.sync_all(),
        errno => {
            let _ = fs::remove_file(path);
            Err(io::Error::from_raw_os_error(errno))
        }
    }
}

fn report(board: &Board, plan: &DiskPlan, looked: &Looked) {
    match &looked.recordings {
        Ok(free) => enough(board, *free, plan.low_space),
        Err(error) => missing(board, &plan.recordings, error),
    }
    let low = looked.data.as_ref().is_ok_and(|free| *free < plan.low_space.max(EMPTY));
    board.update(|status| {
        if !low && !looked.ballast_gone {
            status.alarms.remove("data_disk");
            return;
        }
        let free = looked.data.as_ref().map_or(0, |free| free >> 20);
        let (zh, en) = if looked.ballast_gone {
            (
                format!("数据盘已满，已动用应急空间（剩余 {free} MB），请立即清理，否则记录和录音将停止"),
                format!("The disk of the log is full and its reserve is used up ({free} MB left): free space at once"),
            )
        } else {
            (
                format!("数据盘（记录、原始录音数据）仅剩 {free} MB，请清理磁盘或扩容"),
                format!("{free} MB left for log and tape: free or add space"),
            )
        };
        let since = clock::now().wall;
        let alarm = Alarm { since, zh, en };
        let before = status.alarms.get("data_disk").map(|alarm| alarm.since);
        let alarm = Alarm { since: before.unwrap_or(since), ..alarm };
        status.alarms.insert("data_disk", alarm);
    });
}

fn enough(board: &Board, free: u64, low_space: u64) {
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

fn missing(board: &Board, folder: &Path, error: &io::Error) {
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
pub fn free_space(folder: &Path) -> io::Result<u64> {
    let path = std::ffi::CString::new(folder.as_os_str().as_bytes())?;
    let mut stat = std::mem::MaybeUninit::<libc::statvfs>::uninit();
    // SAFETY: `path` ends with a NUL and `stat` is written in full before a zero is returned.
    let result = unsafe { libc::statvfs(path.as_ptr(), stat.as_mut_ptr()) };
    if result != 0 {
        return Err(io::Error::last_os_error());
    }
    // SAFETY: statvfs succeeded.
    let stat = unsafe { stat.assume_init() };
    Ok(stat.f_bavail * stat.f_frsize)
}

#[cfg(test)]
mod tests {
    use super::*;

    const MIB: u64 = 1 << 20;

    fn plan(data: &Path) -> DiskPlan {
        let (data, recordings) = (data.to_owned(), data.to_owned());
        DiskPlan { data, recordings, low_space: 100 * MIB, ballast: MIB }
    }

    fn seen(recordings: u64, data: u64) -> Looked {
        Looked { recordings: Ok(recordings), data: Ok(data), ballast_gone: false }
    }

    #[test]
    fn little_space_is_an_alarm_with_a_remedy_until_there_is_more() {
        let (board, plan) = (Board::new(), plan(Path::new("/")));
        report(&board, &plan, &seen(MIB, MIB));
        assert!(board.status().alarms["disk"].zh.contains("清理"));
        assert!(board.status().alarms["data_disk"].zh.contains("数据盘"));
        report(&board, &plan, &seen(1 << 31, 1 << 31));
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

    #[test]
    fn rec_d5_room_is_held_back_let_go_when_there_is_none_and_held_back_again() {
        let folder = tempfile::tempdir().unwrap();
        let (plan, board, mut ballast) = (plan(folder.path()), Board::new(), Ballast::default());
        let path = folder.path().join("ballast");
        let there = || path.metadata().ok().map(|file| file.len());
        ballast.keep(&plan, 101 * MIB);
        assert_eq!(there(), None, "too little room to hold some back");
        ballast.keep(&plan, 200 * MIB);
        assert_eq!(there(), Some(MIB));
        ballast.keep(&plan, 9 * MIB);
        assert_eq!(there(), Some(MIB), "low, and not empty");
        ballast.keep(&plan, 3 * MIB);
        assert_eq!((there(), ballast.gone), (None, true));
        report(&board, &plan, &Looked { ballast_gone: true, ..seen(1 << 31, 50 * MIB) });
        assert!(board.status().alarms["data_disk"].zh.contains("应急空间"));
        ballast.keep(&plan, 300 * MIB);
        assert_eq!((there(), ballast.gone), (Some(MIB), false));
        let none = DiskPlan { ballast: 0, ..plan };
        assert_eq!(wanted(1 << 40, &none, false), None, "none is wanted");
    }
}
