//! What the recorder cannot do now, told once and told again when it is mended.

use super::Event;
use std::collections::BTreeMap;
use std::io;
use std::path::Path;
use std::sync::{Arc, Mutex, PoisonError};
use tokio::sync::mpsc;
use uuid::Uuid;

/// Shared by the tape and the recorder: all is well again only when both are.
#[derive(Clone)]
pub struct Faults {
    events: mpsc::UnboundedSender<Event>,
    open: Arc<Mutex<BTreeMap<Matter, String>>>,
}

/// What a fault is about; one that is told is not told again until it changes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Matter {
    Tape,
    /// The disk does not answer.
    Hung,
    /// Memory keeps no more for it.
    Full,
    /// Packets found no room on their way to the spill.
    Overflow,
    /// The tape thread has panicked, and has kept nothing since.
    Panicked,
    /// A thread of the recorder has panicked and is gone.
    Dead(&'static str),
    Sealing(Uuid),
    Recovery,
    /// The folder of recordings takes no files.
    Folder,
}

impl Faults {
    pub fn new(events: mpsc::UnboundedSender<Event>) -> Self {
        Self { events, open: Arc::default() }
    }

    pub fn tell(&self, event: Event) {
        // Nobody listens while the daemon stops.
        let _ = self.events.send(event);
    }

    pub fn failed(&self, matter: Matter, why: String) {
        let mut open = self.open.lock().unwrap_or_else(PoisonError::into_inner);
        if open.insert(matter, why.clone()).as_ref() == Some(&why) {
            return;
        }
        let call = match matter {
            Matter::Sealing(call) => Some(call),
            Matter::Tape
            | Matter::Hung
            | Matter::Full
            | Matter::Overflow
            | Matter::Panicked
            | Matter::Dead(_)
            | Matter::Recovery
            | Matter::Folder => None,
        };
        self.tell(Event::Failed { call, why });
    }

    pub fn mended(&self, matter: Matter) {
        let mut open = self.open.lock().unwrap_or_else(PoisonError::into_inner);
        if open.remove(&matter).is_some() && open.is_empty() {
            self.tell(Event::Recovered);
        }
    }
}

/// What failed at which place, and what to do about it; in Chinese and in English, as on the terminal.
pub fn remedy((zh, en): (&str, &str), path: &Path, fault: &io::Error) -> String {
    let (zh_remedy, en_remedy) = match fault.raw_os_error() {
        Some(libc::ENOSPC | libc::EDQUOT) => {
            ("磁盘已满，请清理空间", "the disk is full: free some space")
        }
        Some(libc::EROFS) => (
            "磁盘是只读的，请检查后重新挂载为可写",
            "the disk is read-only: check it and mount it for writing",
        ),
        Some(libc::EACCES | libc::EPERM) => (
            "没有写入权限，请把文件夹交给值班服务的用户（chown）",
            "give the daemon's user the right to write there",
        ),
        Some(libc::ENOENT | libc::ENOTDIR) => (
            "没有这个文件夹，请新建，或挂载它的磁盘",
            "the folder is missing: create it, or mount its disk",
        ),
        Some(libc::ENODEV) => (
            "它的磁盘没有挂载，请挂载；若确已改放到这里，请删除数据文件夹里的 recordings-disk",
            "its disk is not mounted: mount it, or delete recordings-disk in the data folder where it was moved for good",
        ),
        Some(libc::EIO) => ("磁盘坏了，请更换", "the disk does not work: replace it"),
        Some(libc::EMFILE | libc::ENFILE) => {
            ("打开的文件太多，请加大 LimitNOFILE", "raise LimitNOFILE (ulimit -n)")
        }
        _ => ("请检查磁盘", "check the disk"),
    };
    let place = path.display();
    format!(
        "{zh}：{place}，{zh_remedy}；修好后会自动继续 · {en} {place}: {fault}; {en_remedy}. The recorder tries again by itself"
    )
}
