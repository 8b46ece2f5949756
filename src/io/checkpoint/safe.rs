//! Facts that the log has not confirmed outlive a cut of the power: a thread of its own syncs what the writer has
//! written a second after, and puts a new file in the old one's place when that lasts. Nobody waits for it, and a log that
//! confirms within the second costs no sync.

use crate::io::durable::{self, Durable};
use std::io;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Condvar, Mutex, MutexGuard};
use std::thread::JoinHandle;
use std::time::Duration;
use tracing::error;

/// Facts are gathered for so long.
const PACE: Duration = Duration::from_secs(1);

/// What the writer has for the one who syncs, and what became of it.
#[derive(Debug, Default)]
struct Desk {
    /// Written to since the last sync.
    file: Option<Durable>,
    /// A whole file that waits to take the place of the one before.
    next: Option<Next>,
    /// It has.
    placed: bool,
    /// It could not.
    failed: bool,
    /// How often the writer has begun anew: what was taken before is nobody's.
    begun_anew: u64,
    ended: bool,
}

#[derive(Debug)]
struct Next {
    file: Durable,
    part: PathBuf,
    path: PathBuf,
}

#[derive(Debug, Default)]
pub struct Safe {
    desk: Mutex<Desk>,
    news: Condvar,
}

/// What became of the file that was to take the old one's place.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Placed {
    NotYet,
    Yes,
    Failed,
}

impl Safe {
    /// Something that must last was written to it.
    ///
    /// # Errors
    /// Where there are too many open files.
    pub fn wrote(&self, file: &Durable) -> io::Result<()> {
        let file = file.again()?;
        self.desk().file = Some(file);
        self.news.notify_one();
        Ok(())
    }

    /// This one is to take the place of the file at `path` as soon as it lasts.
    ///
    /// # Errors
    /// Where there are too many open files.
    pub fn place(&self, file: &Durable, part: &Path, path: &Path) -> io::Result<()> {
        let next = Next { file: file.again()?, part: part.to_owned(), path: path.to_owned() };
        let mut desk = self.desk();
        (desk.next, desk.file) = (Some(next), None);
        self.news.notify_one();
        Ok(())
    }

    /// The log has every fact that was written.
    pub fn is_settled(&self) {
        self.desk().file = None;
    }

    /// The writer has met a fault and begins anew.
    pub fn forget(&self) {
        let mut desk = self.desk();
        (desk.file, desk.next) = (None, None);
        (desk.placed, desk.failed) = (false, false);
        desk.begun_anew += 1;
    }

    /// Asked until it is settled, once.
    pub fn placed(&self) -> Placed {
        let mut desk = self.desk();
        match (std::mem::take(&mut desk.placed), std::mem::take(&mut desk.failed)) {
            (true, _) => Placed::Yes,
            (false, true) => Placed::Failed,
            (false, false) => Placed::NotYet,
        }
    }

    fn desk(&self) -> MutexGuard<'_, Desk> {
        self.desk.lock().unwrap_or_else(|poisoned| poisoned.into_inner())
    }

    /// Syncs what there is.
    pub fn turn(&self) {
        let (next, file, begun) = {
            let mut desk = self.desk();
            (desk.next.take(), desk.file.take(), desk.begun_anew)
        };
        let placing = next.is_some();
        let synced = match (next, file) {
            (Some(next), _) => next.place(|| self.unless_begun_anew(begun)),
            // Its name need not last yet.
            (None, Some(file)) => {
                file.sync_data().and_then(|()| file.folder().map_or(Ok(()), durable::sync_folder))
            }
            (None, None) => Ok(()),
        };
        if let Err(fault) = &synced {
            error!(%fault, "what the log lacks would not outlive a power cut now: check the data disk");
        }
        if placing && let Some(mut desk) = self.unless_begun_anew(begun) {
            (desk.placed, desk.failed) = (synced.is_ok(), synced.is_err());
        }
    }

    /// While it is held, the writer cannot begin anew.
    fn unless_begun_anew(&self, begun: u64) -> Option<MutexGuard<'_, Desk>> {
        Some(self.desk()).filter(|desk| desk.begun_anew == begun)
    }

    fn run(&self) {
        loop {
            {
                let idle =
                    |desk: &mut Desk| desk.file.is_none() && desk.next.is_none() && !desk.ended;
                let waiting = self.news.wait_while(self.desk(), idle);
                let desk = waiting.unwrap_or_else(|poisoned| poisoned.into_inner());
                if desk.ended && desk.file.is_none() && desk.next.is_none() {
                    return;
                }
            }
            let runs_on = |desk: &mut Desk| !desk.ended;
            drop(self.news.wait_timeout_while(self.desk(), PACE, runs_on));
            self.turn();
        }
    }

    pub fn start(self: &Arc<Self>) -> JoinHandle<()> {
        let own = Arc::clone(self);
        let thread = std::thread::Builder::new().name("calls-sync".into());
        thread.spawn(move || own.run()).expect("a thread can be started while the daemon starts")
    }

    /// What waits is synced, and the thread ends.
    pub fn end(&self) {
        self.desk().ended = true;
        self.news.notify_one();
    }
}

impl Next {
    /// What was written to it meanwhile stands in the old one too.
    fn place<'a>(self, held: impl FnOnce() -> Option<MutexGuard<'a, Desk>>) -> io::Result<()> {
        self.file.sync_data()?;
        // Its name may be that of another by now, half written.
        let Some(held) = held() else { return Ok(()) };
        durable::rename(&self.part, &self.path)?;
        drop(held);
        self.path.parent().map_or(Ok(()), durable::sync_folder)
    }
}
