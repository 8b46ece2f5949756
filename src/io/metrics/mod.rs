//! What is measured of the daemon, for Prometheus: gathered when it is asked for, from what each part counts anyway.

mod counts;
mod process;
mod serve;
mod sheet;

pub use serve::keep_serving;

use super::disk;
use super::status::{Board, Status, Voices};
use super::store::{Store, Waiting};
use crate::duty::figures::Figures;
use crate::duty::journal::Noted;
use crate::io::clock;
use crate::io::tape::Backlog;
use chrono::{DateTime, Utc};
use counts::Totals;
use std::path::PathBuf;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

/// Cheap to clone: the log tells it what happens.
#[derive(Debug, Clone, Default)]
pub struct Metrics {
    totals: Arc<Mutex<Totals>>,
}

/// Where the rest is read when it is asked for.
#[derive(Clone)]
pub struct Sources {
    pub board: Board,
    pub store: Store,
    pub recordings: PathBuf,
    pub backlog: Backlog,
}

/// Everything that is shown, at one moment.
#[derive(Debug)]
struct Readings {
    now: DateTime<Utc>,
    totals: Totals,
    figures: Figures,
    status: Status,
    voices: Voices,
    /// None while the log cannot be read.
    waiting: Option<Waiting>,
    /// None while the folder cannot be reached.
    free: Option<u64>,
    backlog: usize,
    process: process::Usage,
}

impl Metrics {
    pub fn take(&self, noted: &Noted) {
        self.totals().take(noted);
    }

    /// Calls to leaders that are over and count, whatever became of them.
    pub fn attempts(&self) -> u64 {
        self.totals().attempts.values().sum()
    }

    /// A call's entry is in the log, so long after its INVITE.
    pub fn entered(&self, after: Duration) {
        self.totals().entered(after);
    }

    fn totals(&self) -> MutexGuard<'_, Totals> {
        self.totals.lock().unwrap_or_else(PoisonError::into_inner)
    }

    async fn read(&self, sources: &Sources) -> Readings {
        let waiting = match sources.store.escalations_waiting().await {
            Ok(waiting) => Some(waiting),
            Err(error) => {
                tracing::warn!(%error, "the escalations could not be measured");
                None
            }
        };
        Readings {
            now: clock::now().wall,
            totals: self.totals().clone(),
            figures: sources.board.figures(),
            status: sources.board.status(),
            voices: sources.board.all_voices(),
            waiting,
            free: disk::free_space(&sources.recordings).ok(),
            backlog: sources.backlog.bytes(),
            process: process::usage(),
        }
    }
}

#[cfg(test)]
mod tests;
