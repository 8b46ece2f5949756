//! The last seconds of a call that is still being recorded, as a WAV of their own: read from the running tape, which
//! does not notice. And what is said from now on.

use super::folders::Folders;
use super::record::Place;
use super::render::{Lasts, render};
use super::seal::excerpt;
use super::taps::{Listening, Taps};
use std::collections::BTreeMap;
use std::fs;
use std::io;
use std::path::PathBuf;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;
use uuid::Uuid;

/// Two may listen to the same call at once.
static MADE: AtomicU64 = AtomicU64::new(0);

/// Where the last record of each running call is. Cheap to clone.
#[derive(Debug, Clone, Default)]
pub struct Recall {
    folders: Folders,
    /// For what is needed while it is made.
    scratch: PathBuf,
    last: Arc<Mutex<BTreeMap<Uuid, Place>>>,
    taps: Taps,
}

impl Recall {
    pub fn new(folders: Folders, scratch: PathBuf) -> Self {
        Self { folders, scratch, last: Arc::default(), taps: Taps::default() }
    }

    /// The tape stands so.
    pub fn set(&self, last: &BTreeMap<Uuid, Place>) {
        self.last.lock().unwrap_or_else(PoisonError::into_inner).clone_from(last);
    }

    /// For who feeds those who listen.
    pub fn taps(&self) -> Taps {
        self.taps.clone()
    }

    /// What is said in the call from now on, as it is said.
    pub fn listen(&self, call: Uuid) -> Listening {
        self.taps.listen(call)
    }

    /// The last so many seconds of the call as a WAV; none where it is not being recorded, or nothing was said.
    ///
    /// # Errors
    /// What the disk says.
    pub fn last(&self, call: Uuid, length: Duration) -> io::Result<Option<Vec<u8>>> {
        let last = self.last.lock().unwrap_or_else(PoisonError::into_inner).get(&call).copied();
        let Some(last) = last else { return Ok(None) };
        fs::create_dir_all(&self.scratch)?;
        let name = MADE.fetch_add(1, Ordering::Relaxed);
        let tape = self.scratch.join(format!("{name}.tape"));
        let wav = self.scratch.join(format!("{name}.wav"));
        let made = excerpt(&self.folders, last, length, &tape)
            .and_then(|()| render(&tape, &wav, Lasts::No));
        let bytes = made.and_then(|made| match made.samples {
            0 => Ok(None),
            _ => fs::read(&wav).map(Some),
        });
        for path in [tape, wav] {
            // It is not there where nothing was said.
            let _ = fs::remove_file(path);
        }
        bytes
    }
}
