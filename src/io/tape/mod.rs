//! Append-only capture of every packet; sealing, recovery.
//!
//! | thread | files |
//! |---|---|
//! | media | `ring` |
//! | spill | `spill`, `taps` |
//! | tape | `writer`, `segments`, `folders`, `ears` |
//! | page | `recall` |
//! | recorder | `recorder`, `mount`, `recover`, `earlier`, `seal`, `render`, `presence`, `mixer`, `sounds` |

mod alive;
mod earlier;
mod ears;
mod faults;
pub(in crate::io) mod files;
mod folders;
mod header;
mod mixer;
mod mount;
mod presence;
mod recall;
pub mod record;
mod recorder;
mod recover;
mod render;
mod ring;
mod scan;
mod seal;
mod segments;
mod sounds;
mod spill;
mod taps;
mod writer;

pub use ears::{Heard, Progress};
pub use folders::Other;
pub use header::boot_id;
pub use recall::Recall;
pub(in crate::io) use render::{Lasts, render};
pub use ring::{TapeFeed, TapeHead, ring};
pub(in crate::io) use seal::found;
pub use taps::Listening;

use crate::io::{clock, priority};
use crate::protocol::rtp::sound::Fault;
use crate::protocol::rtp::{Codec, Party};
use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};
use std::collections::{BTreeSet, VecDeque};
use std::fs;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::mpsc::channel;
use std::thread::{Builder, JoinHandle};
use tokio::sync::mpsc;
use uuid::Uuid;

use alive::Alive;
use earlier::Earlier;
use ears::Ears;
use faults::{Faults, Matter, remedy};
use folders::{Choice, Folders};
use mount::Mount;
use recorder::{Recorder, UNLISTED};
use recover::{Began, Left};
use segments::Segments;
use spill::{Spill, spill};
use writer::{Times, Writer};

#[derive(Debug, Clone)]
pub struct TapePlan {
    /// The running tape is kept in its folder `tape`.
    pub data: PathBuf,
    /// Sealed tapes and WAVs, below `YYYY/MM/DD` of the local day of the call.
    pub recordings: PathBuf,
    /// Where else the running tape may have a place; always the same in the same order, but for what the site changes.
    pub others: Vec<Other>,
    /// Calls of an earlier run that this one goes on with, and will finish.
    pub open: BTreeSet<Uuid>,
}

/// What the recorder reports.
#[derive(Debug, Clone, PartialEq)]
pub enum Event {
    /// The recording of a call is safely on disk. After a crash the same call may be reported again, with
    /// the same content.
    Sealed(Box<Sealed>),
    /// Something cannot be recorded now; `why` names the remedy. The recorder keeps trying.
    Failed { call: Option<Uuid>, why: String },
    /// What failed works again.
    Recovered,
    /// The daemon died, or was restarted, in the middle of calls that this run goes on with.
    Resumed { calls: usize },
    /// The running tape is kept on another disk now, or again on its own.
    Elsewhere(Option<Elsewhere>),
    /// The calls that are being recorded, twice a second.
    Progress(Vec<Progress>),
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Elsewhere {
    pub folder: PathBuf,
    /// What is wrong with its own disk, with the remedy.
    pub why: String,
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Sealed {
    pub call: Uuid,
    /// Both relative to the recordings folder; no WAV where no audio packet arrived.
    pub wav: Option<String>,
    pub tape: String,
    /// SHA-256 in hex.
    pub wav_sha256: Option<String>,
    pub tape_sha256: String,
    /// Length of the WAV.
    pub samples: u64,
    pub duration_ms: u64,
    /// Size of the WAV.
    pub bytes: u64,
    /// The moment of the WAV's first sample.
    pub started: DateTime<Utc>,
    /// The daemon died in the middle of the call, and that was its end.
    pub interrupted: bool,
    /// The daemon died or was restarted in the middle of the call, which went on.
    pub resumed: bool,
    /// Packets on the tape, telephone-events included.
    pub packets: Vec<(Party, u64)>,
    pub gaps: Vec<Gap>,
    pub undecoded: Vec<Undecoded>,
    pub keys: Vec<Key>,
    pub findings: Vec<Finding>,
}

/// A key that was pressed on a telephone.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Key {
    pub party: Party,
    pub at_ms: u64,
    pub key: char,
}

/// Something that is no voice, or hardly one.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Finding {
    pub party: Party,
    pub fault: Fault,
    pub from_ms: u64,
    pub length_ms: u64,
}

/// Packets of a party that are on the tape and not in the WAV.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Undecoded {
    pub party: Party,
    pub obstacle: Obstacle,
    pub packets: u64,
}

/// Why nobody can hear them here.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub enum Obstacle {
    /// SRTP that no agreed key opens.
    Encrypted,
    /// No decoder for it is built in.
    Codec(Codec),
}

/// True silence in the WAV because no packet covers it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Gap {
    pub party: Party,
    pub from_ms: u64,
    pub length_ms: u64,
    /// So many packets came then and found no room on their way to the tape; none of them: the network lost them.
    #[serde(default)]
    pub untaped: u64,
}

/// Bytes that waited for the disk when the tape thread last looked.
#[derive(Debug, Clone, Default)]
pub struct Backlog(Arc<AtomicUsize>);

impl Backlog {
    pub fn bytes(&self) -> usize {
        self.0.load(Ordering::Relaxed)
    }
}

/// The tape thread and its recorder.
pub struct Tape {
    backlog: Backlog,
    recall: Recall,
    threads: Vec<JoinHandle<()>>,
}

/// Starts the tape and the recorder. What an earlier run left unsealed is recovered behind the start.
/// Never fails: what is wrong with the disk is reported as [`Event::Failed`].
pub fn start(plan: TapePlan, feed: TapeFeed, events: mpsc::UnboundedSender<Event>) -> Tape {
    let faults = Faults::new(events);
    running(parts(plan, feed, faults.clone()), &faults)
}

fn running((spill, writer, recorder): (Spill, Writer, Recorder), faults: &Faults) -> Tape {
    let (backlog, recall) = (writer.backlog.clone(), writer.recall.clone());
    Tape {
        backlog,
        recall,
        threads: vec![
            named("spill", faults.clone(), move || {
                priority::first();
                spill.run();
            }),
            named("tape", faults.clone(), move || writer.run()),
            named("recorder", faults.clone(), move || {
                priority::last();
                recorder.run();
            }),
        ],
    }
}

/// What works on three threads.
fn parts(plan: TapePlan, feed: TapeFeed, faults: Faults) -> (Spill, Writer, Recorder) {
    let folders = Folders::new(plan.data.join("tape"), &plan.others);
    let began = Began { at: clock::mono(), boot: boot_id() };
    let (left, unread) = Left::find(&folders);
    for (folder, fault) in unread {
        faults.failed(Matter::Recovery, remedy(UNLISTED, &folder, &fault));
    }
    // Where this does not work, sealing reports it.
    let _ = fs::create_dir_all(&plan.recordings);
    let (finish, finished) = channel();
    let (seal, sealed) = channel();
    let alive = Alive::default();
    let recall = Recall::new(folders.clone(), plan.data.join("recall"));
    let (spill, frames) = spill(feed, faults.clone(), alive.clone(), recall.taps());
    let writer = Writer {
        feed: frames,
        backlog: Backlog::default(),
        segments: Segments::new(folders.clone(), left.next()),
        finished: finish,
        sealed,
        faults: faults.clone(),
        ears: Ears::default(),
        recall,
        folders: folders.clone(),
        choice: Choice::default(),
        frames: Vec::new(),
        unsynced: Vec::new(),
        ended: Vec::new(),
        kept: VecDeque::new(),
        times: Times::default(),
        alive,
        refused: String::new(),
        panics: 0,
    };
    if !plan.open.is_empty() {
        faults.tell(Event::Resumed { calls: plan.open.len() });
    }
    let earlier = Earlier::new(plan.open);
    let (recordings, mark) = (plan.recordings, plan.data.join("recordings-disk"));
    let recorder = Recorder {
        folders,
        mount: Mount::new(&recordings, mark),
        recordings,
        left,
        began,
        earlier,
        finished,
        sealed: seal,
        faults,
        failed: VecDeque::new(),
    };
    (spill, writer, recorder)
}

/// A thread that dies is told, and does not end the daemon: voice goes on.
fn named(
    name: &'static str,
    faults: Faults,
    run: impl FnOnce() + Send + 'static,
) -> JoinHandle<()> {
    let told = move || {
        if catch_unwind(AssertUnwindSafe(run)).is_err() {
            let why = format!(
                "程序出错（{name}）：没有人通话时请重启值班服务，并报告 · the {name} thread has died: restart the daemon when nobody speaks, and report it"
            );
            faults.failed(Matter::Dead(name), why);
        }
    };
    Builder::new()
        .name(name.into())
        .spawn(told)
        .expect("a thread can be started while the daemon starts")
}

impl Tape {
    pub fn backlog(&self) -> Backlog {
        self.backlog.clone()
    }

    /// The last seconds of calls that go on.
    pub fn recall(&self) -> Recall {
        self.recall.clone()
    }

    /// Waits until everything that the media thread left is on disk and the finished calls are
    /// sealed. Call after `Media::stop`.
    pub fn stop(self) {
        for thread in self.threads {
            if thread.join().is_err() {
                tracing::error!(
                    "a thread of the tape panicked; the next start recovers what it left"
                );
            }
        }
    }
}

#[cfg(test)]
pub mod tests;
