//! Append-only capture of every packet; sealing, recovery.

pub mod record;
mod ring;

pub use ring::{TapeFeed, TapeHead, ring};

use crate::protocol::rtp::Party;
use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};
use std::path::PathBuf;
use tokio::sync::mpsc;
use uuid::Uuid;

#[derive(Debug, Clone)]
pub struct TapePlan {
    /// The running tape is kept in its folder `tape`.
    pub data: PathBuf,
    /// Sealed tapes and WAVs, below `YYYY/MM/DD` of the local day of the call.
    pub recordings: PathBuf,
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
    /// The daemon died in the middle of the call.
    pub interrupted: bool,
    /// Packets on the tape, telephone-events included.
    pub packets: Vec<(Party, u64)>,
    pub gaps: Vec<Gap>,
}

/// True silence in the WAV because no packet covers it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Gap {
    pub party: Party,
    pub from_ms: u64,
    pub length_ms: u64,
}

/// The tape thread and its recorder.
pub struct Tape {}

/// Starts the tape and the recorder. What an earlier run left unsealed is recovered behind the start.
/// Never fails: what is wrong with the disk is reported as [`Event::Failed`].
pub fn start(_plan: TapePlan, _feed: TapeFeed, _events: mpsc::UnboundedSender<Event>) -> Tape {
    todo!()
}

impl Tape {
    /// Waits until everything that the media thread left in the ring is on disk and the finished calls are
    /// sealed. Call after `Media::stop`.
    pub fn stop(self) {
        todo!()
    }
}
