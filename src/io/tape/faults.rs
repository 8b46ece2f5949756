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
            | Matter::Recovery => None,
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

/// What failed at which place, and what to do about it.
pub fn remedy(what: &str, path: &Path, fault: &io::Error) -> String {
    let remedy = match fault.raw_os_error() {
        Some(libc::ENOSPC | libc::EDQUOT) => "the disk is full: free some space",
        Some(libc::EROFS) => "the disk is read-only: check it and mount it for writing",
        Some(libc::EACCES | libc::EPERM) => "give the daemon's user the right to write there",
        Some(libc::ENOENT | libc::ENOTDIR) => "the folder is missing: create it, or mount its disk",
        Some(libc::EIO) => "the disk does not work: replace it",
        Some(libc::EMFILE | libc::ENFILE) => "raise LimitNOFILE (ulimit -n)",
        _ => "check the disk",
    };
    format!("{what} {}: {fault}; {remedy}. The recorder tries again by itself", path.display())
}
