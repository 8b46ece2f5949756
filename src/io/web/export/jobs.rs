//! What is being put together for somebody, and what is ready for him to take.

use crate::io::clock;
use crate::io::proof::bundle::Bundle;
use crate::io::store::{PersonId, Scope, Sounds};
use crate::protocol::now::Now;
use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;
use tokio::sync::{OwnedSemaphorePermit, Semaphore, watch};

/// Put together side by side: each reads a disk from end to end.
const AT_ONCE: usize = 1;
/// Taken side by side.
const TAKEN_AT_ONCE: usize = 2;
/// What is ready is kept for so long, so many, and with so many bytes in memory.
pub const LASTS: Duration = Duration::from_secs(3600);
const KEPT: usize = 16;
const HELD: usize = 64 << 20;

/// How far it is.
#[derive(Debug, Clone)]
pub enum Stage {
    /// The rows are collected.
    Begun,
    /// The files are read: bytes of how many.
    Reading {
        done: u64,
        all: u64,
    },
    Ready(Arc<Ready>),
    /// In words for whoever asked.
    Failed(String),
    /// Whoever asked wants it no more.
    Stopped,
}

impl Stage {
    pub fn is_over(&self) -> bool {
        matches!(self, Self::Ready(_) | Self::Failed(_) | Self::Stopped)
    }
}

pub struct Ready {
    pub bundle: Bundle,
    /// Of the ZIP file.
    pub length: u64,
}

impl std::fmt::Debug for Ready {
    fn fmt(&self, out: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        out.debug_struct("Ready").field("length", &self.length).finish_non_exhaustive()
    }
}

pub struct Job {
    /// By which it is found; it may be put together anew under another.
    pub name: String,
    pub of: PersonId,
    pub what: (Scope, Sounds),
    pub began: Now,
    stage: watch::Sender<Stage>,
}

impl Job {
    pub fn stage(&self) -> Stage {
        self.stage.borrow().clone()
    }

    /// Unless it was stopped: nothing comes of it any more.
    pub fn is(&self, stage: Stage) {
        self.stage.send_if_modified(|now| {
            let goes_on = !matches!(now, Stage::Stopped);
            if goes_on {
                *now = stage;
            }
            goes_on
        });
    }

    /// False: it was over.
    pub fn stop(&self) -> bool {
        self.stage.send_if_modified(|now| {
            let goes_on = !now.is_over();
            if goes_on {
                *now = Stage::Stopped;
            }
            goes_on
        })
    }

    pub fn is_stopped(&self) -> bool {
        matches!(*self.stage.borrow(), Stage::Stopped)
    }

    pub async fn stops(&self) {
        let mut stage = self.stage.subscribe();
        // Its other end is in this job.
        let _ = stage.wait_for(|now| matches!(now, Stage::Stopped)).await;
    }

    /// Its end, or how far it is after so long.
    pub async fn ends_within(&self, limit: Duration) -> Stage {
        let mut stage = self.stage.subscribe();
        let _ = tokio::time::timeout(limit, stage.wait_for(Stage::is_over)).await;
        self.stage()
    }
}

pub struct Exports {
    turn: Arc<Semaphore>,
    taken: Arc<Semaphore>,
    jobs: Mutex<BTreeMap<String, Arc<Job>>>,
}

impl Default for Exports {
    fn default() -> Self {
        Self {
            turn: Arc::new(Semaphore::new(AT_ONCE)),
            taken: Arc::new(Semaphore::new(TAKEN_AT_ONCE)),
            jobs: Mutex::default(),
        }
    }
}

impl Exports {
    /// None while another is put together.
    pub fn turn(&self) -> Option<OwnedSemaphorePermit> {
        Arc::clone(&self.turn).try_acquire_owned().ok()
    }

    /// None while others are taken.
    pub fn taking(&self) -> Option<OwnedSemaphorePermit> {
        Arc::clone(&self.taken).try_acquire_owned().ok()
    }

    pub fn begin(&self, of: PersonId, what: (Scope, Sounds), began: Now) -> Arc<Job> {
        let name = clock::random().token();
        let stage = watch::Sender::new(Stage::Begun);
        let job = Arc::new(Job { name: name.clone(), of, what, began, stage });
        self.jobs().insert(name, Arc::clone(&job));
        job
    }

    /// What is over makes room, the oldest first; the newest stays however much it is.
    pub fn make_room(&self) {
        let mut jobs = self.jobs();
        let mut over: Vec<_> = jobs.values().filter(|job| job.stage().is_over()).cloned().collect();
        over.sort_by_key(|job| std::cmp::Reverse(job.began.mono));
        let (mut count, mut held) = (0, 0);
        for (nth, job) in over.iter().enumerate() {
            count += 1;
            if let Stage::Ready(ready) = job.stage() {
                held += ready.bundle.held();
            }
            if nth > 0 && (count > KEPT || held > HELD) {
                jobs.remove(&job.name);
            }
        }
    }

    pub fn forget(&self, job: &Job) {
        self.jobs().remove(&job.name);
    }

    /// For whoever asked, and nobody else.
    pub fn find(&self, name: &str, of: PersonId) -> Option<Arc<Job>> {
        self.jobs().get(name).filter(|job| job.of == of).cloned()
    }

    /// His own, the newest first.
    pub fn all_of(&self, of: PersonId) -> Vec<Arc<Job>> {
        let mut found: Vec<_> = self.jobs().values().filter(|job| job.of == of).cloned().collect();
        found.sort_by_key(|job| std::cmp::Reverse(job.began.mono));
        found
    }

    fn jobs(&self) -> MutexGuard<'_, BTreeMap<String, Arc<Job>>> {
        self.jobs.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::io::proof::bundle::{Content, Part};

    #[test]
    fn rec_e5_what_is_ready_is_kept_in_number_and_in_bytes_and_for_who_asked_only() {
        let exports = Exports::default();
        let what = (
            Scope::Period(chrono::DateTime::UNIX_EPOCH, chrono::DateTime::UNIX_EPOCH),
            Sounds::All,
        );
        let ready = |seconds: u64, bytes: usize| {
            let began = Now { mono: crate::protocol::now::Mono(seconds), ..clock::now() };
            let job = exports.begin(PersonId(1), what, began);
            let content = Content::Bytes(vec![0; bytes]);
            let part = Part { path: "x".into(), content, bytes: bytes as u64, crc32: 0 };
            let bundle = Bundle { name: "x".into(), parts: vec![part], damaged: vec![] };
            job.is(Stage::Ready(Arc::new(Ready { bundle, length: 1 })));
            exports.make_room();
            job
        };
        let going = exports.begin(PersonId(2), what, clock::now());
        let first = ready(1, 9);
        assert!(exports.find(&first.name, PersonId(1)).is_some());
        assert!(exports.find(&first.name, PersonId(2)).is_none(), "nobody else's");
        for second in 2..40 {
            ready(second, 9);
        }
        assert_eq!(exports.all_of(PersonId(1)).len(), KEPT);
        assert!(exports.find(&first.name, PersonId(1)).is_none(), "the oldest goes");
        let large = ready(50, HELD + 1);
        assert_eq!(exports.all_of(PersonId(1)).len(), 1);
        assert!(exports.find(&large.name, PersonId(1)).is_some(), "the newest stays");
        assert!(exports.find(&going.name, PersonId(2)).is_some(), "what is not over stays");
        let turn = exports.turn();
        assert!(turn.is_some() && exports.turn().is_none());
        drop(turn);
        assert!(exports.turn().is_some());
    }
}
