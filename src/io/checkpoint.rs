//! The file from which calls are taken up after `kill -9`: what the switchboard tells of itself,
//! appended as it changes by a thread of its own, and read once at the start. Only door to
//! rmp-serde.
//!
//! ```text
//!  header  magic 8 "DUTYCALL" · format 4 · lives 4 · boot id 16 · crc 4
//!  record  length 4 · crc 4 · MessagePack        as often as there are changes, each piece as bytes
//! ```
//! Numbers are little-endian, CRCs are CRC-32C. A record that is not whole ends the file. Calls
//! are not synced: a killed process leaves what it wrote to the kernel, and after a restart the host has another boot id,
//! with which no call can go on; facts that the log has not confirmed are told it all the same, and are synced a second
//! after (see `safe`).

mod kept;
mod safe;

pub use kept::Kept;

use crate::duty::checkpoint::{Changes, Checkpoint, FORMAT, Key, Piece};
use crate::io::durable::{self, Durable};
use crate::io::priority;
use crate::io::tape::boot_id;
use crate::protocol::now::{Mono, Now};
use chrono::{DateTime, Utc};
use rmp_serde::config::BytesMode;
use safe::{Placed, Safe};
use serde::{Deserialize, Serialize};
use serde_bytes::ByteBuf;
use std::collections::BTreeMap;
use std::fs;
use std::io::{self, Write};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::thread::JoinHandle;
use std::time::Duration;
use tokio::sync::mpsc;
use tracing::{error, info, warn};
use uuid::Uuid;

const MAGIC: &[u8; 8] = b"DUTYCALL";
const HEADER: usize = 36;
/// The file is written anew when it has grown by this and by four times what it must hold.
const GROWTH: usize = 1024 * 1024;
/// Of a new file, written at once.
const CHUNK: usize = 64 * 1024;
/// Records written at once in a window; what changes after these waits for the next one.
const BURST: u32 = 8;
const WINDOW: Duration = Duration::from_millis(100);
/// A daemon that dies this often in a row, each time younger than `CALM`, dies of its calls.
const LIVES: u32 = 3;
const CALM: Duration = Duration::from_secs(10);

/// How a run ended that could say so.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum End {
    /// Its calls were ended.
    Stopped,
    /// Its calls wait for the next run.
    HandedOver,
}

#[derive(Debug, Serialize, Deserialize)]
enum Record {
    Changes { at: Now, pieces: Vec<Written> },
    Ended { how: End, at: Now },
}

/// A piece, encoded once for the file and for what is kept of it; none for one that is no more.
type Written = (Key, Option<ByteBuf>);

/// What an earlier run left.
#[derive(Debug, Default)]
pub struct Left {
    /// Empty where nothing can be taken up.
    pub checkpoint: Checkpoint,
    /// Since when nobody served the line, and why; in Chinese and English.
    pub down: Option<(DateTime<Utc>, &'static str)>,
    lives: u32,
}

/// Reads the file. One that is missing or of another format leaves nothing, one of another boot no calls.
pub fn load(path: &Path) -> Left {
    let bytes = match fs::read(path) {
        Ok(bytes) => bytes,
        Err(fault) if fault.kind() == io::ErrorKind::NotFound => return Left::default(),
        Err(fault) => {
            error!(path = %path.display(), %fault, "calls of the last run cannot be taken up");
            return Left::default();
        }
    };
    let left = read(&bytes, boot_id()).unwrap_or_else(|why| {
        warn!(path = %path.display(), why, "calls of the last run are not taken up");
        Left::default()
    });
    let calls = left.checkpoint.calls().len();
    if calls > 0 {
        info!(calls, "the last run left calls");
    }
    left
}

fn read(bytes: &[u8], boot: Uuid) -> Result<Left, &'static str> {
    let header = bytes.first_chunk::<HEADER>().ok_or("it is not whole")?;
    if header[..8] != *MAGIC || crc32c::crc32c(&header[..32]) != number(header, 32) {
        return Err("it is not what this daemon writes");
    }
    if number(header, 8) != FORMAT {
        return Err("it is of another version of the daemon");
    }
    let mut left = Left { lives: number(header, 12), ..Left::default() };
    let mut rest = &bytes[HEADER..];
    let mut end = None;
    while let Some((payload, next)) = frame(rest) {
        rest = next;
        match rmp_serde::from_slice(payload)
            .map_err(|_| "it is of another version of the daemon")?
        {
            Record::Changes { at, pieces } => {
                let pieces = pieces.into_iter().map(decoded).collect::<Result<_, _>>();
                let pieces = pieces.map_err(|_| "it is of another version of the daemon")?;
                left.checkpoint.apply(Changes { at, pieces });
            }
            Record::Ended { how, at } => {
                left.checkpoint.at = Some(at);
                end = Some(how);
            }
        }
    }
    left.down = left.checkpoint.at.map(|at| (at.wall, why_down(end)));
    if boot.is_nil() || header[16..32] != *boot.as_bytes() {
        left.checkpoint = left.checkpoint.facts_alone(false);
        left.down = left.down.map(|(since, _)| (since, "主机重启 · the host was restarted"));
    } else if left.lives >= 2 * LIVES {
        error!(
            lives = left.lives,
            "the daemon still dies: its calls are given up, and what its log lacks too"
        );
        left.checkpoint = Checkpoint::default();
    } else if left.lives >= LIVES {
        error!(lives = left.lives, "the daemon dies again and again: its calls are given up");
        left.checkpoint = left.checkpoint.facts_alone(true);
    }
    Ok(left)
}

fn why_down(end: Option<End>) -> &'static str {
    match end {
        None => "服务重启（程序中断）· the daemon died and was started again",
        Some(End::HandedOver) => "服务重启（通话交接）· the daemon was restarted, calls went on",
        Some(End::Stopped) => "服务停止 · the daemon was stopped",
    }
}

fn number(bytes: &[u8], at: usize) -> u32 {
    bytes[at..].first_chunk().map_or(0, |four| u32::from_le_bytes(*four))
}

/// The next record that is whole, and what follows it.
fn frame(bytes: &[u8]) -> Option<(&[u8], &[u8])> {
    let (head, rest) = bytes.split_at_checked(8)?;
    let (payload, rest) = rest.split_at_checked(number(head, 0) as usize)?;
    (crc32c::crc32c(payload) == number(head, 4)).then_some((payload, rest))
}

fn write_record(record: &Record, to: &mut Vec<u8>) -> io::Result<()> {
    let payload = rmp_serde::to_vec_named(record).map_err(io::Error::other)?;
    let length = u32::try_from(payload.len()).map_err(io::Error::other)?;
    to.extend_from_slice(&length.to_le_bytes());
    to.extend_from_slice(&crc32c::crc32c(&payload).to_le_bytes());
    to.extend_from_slice(&payload);
    Ok(())
}

fn encoded((key, piece): (Key, Option<Piece>)) -> io::Result<Written> {
    let Some(piece) = piece else { return Ok((key, None)) };
    let mut bytes = vec![];
    // What a message brought is kept as bytes, not as a list of numbers.
    let named = rmp_serde::Serializer::new(&mut bytes).with_struct_map();
    let written = piece.serialize(&mut named.with_bytes(BytesMode::ForceIterables));
    written.map_err(io::Error::other)?;
    Ok((key, Some(ByteBuf::from(bytes))))
}

fn decoded((key, bytes): Written) -> Result<(Key, Option<Piece>), rmp_serde::decode::Error> {
    let piece = bytes.map(|bytes| rmp_serde::from_slice(&bytes)).transpose()?;
    Ok((key, piece))
}

/// The thread that writes. It ends when the sender of changes is dropped.
pub struct Keeper {
    thread: JoinHandle<Log>,
    syncing: JoinHandle<()>,
}

/// Begins a new file with what was left. What is sent meanwhile waits in the sender's own hands:
/// there is room for one change, and a later one holds what the earlier would have.
pub fn start(path: PathBuf, left: &Left) -> (Pen, Keeper) {
    let (sender, changes) = mpsc::channel(1);
    let kept = Arc::new(Kept::default());
    let log = Log {
        path,
        at: left.checkpoint.at,
        pieces: BTreeMap::new(),
        lives: left.lives.saturating_add(1),
        started: crate::io::clock::mono(),
        file: None,
        next: None,
        safe: Arc::default(),
        written: 0,
        base: 0,
        failing: false,
    };
    let syncing = log.safe.start();
    let pieces = left.checkpoint.pieces.clone();
    let thread = std::thread::Builder::new()
        .name("checkpoint".into())
        .spawn({
            let kept = Arc::clone(&kept);
            move || log.run(pieces, changes, &kept)
        })
        .expect("a thread can be started while the daemon starts");
    (Pen { changes: sender, kept, told: 0 }, Keeper { thread, syncing })
}

/// What the one who tells of changes has in hand.
pub struct Pen {
    changes: mpsc::Sender<Changes>,
    pub kept: Arc<Kept>,
    told: u64,
}

impl Pen {
    /// Waits until a change would be written at once.
    ///
    /// # Errors
    /// When the thread is gone.
    pub async fn room(&self) -> Result<(), mpsc::error::SendError<()>> {
        self.kept.rested().await;
        self.changes.reserve().await.map(drop)
    }

    /// Tells of the change where it would be written at once; never waits. While the thread rests, what changes
    /// gathers with whoever tells of it, and is written together.
    pub fn tell(&mut self, change: impl FnOnce() -> Changes) {
        if !self.kept.rests()
            && let Ok(room) = self.changes.try_reserve()
        {
            room.send(change());
            self.told += 1;
        }
    }

    /// Changes told so far: the number of the last.
    pub fn told(&self) -> u64 {
        self.told
    }
}

impl Keeper {
    /// Waits for the last change and notes how the run ended; call it when the line has ended.
    pub fn stop(self, how: End) {
        let Ok(log) = self.thread.join() else {
            error!("the thread that keeps the calls panicked");
            return;
        };
        log.safe.end();
        if self.syncing.join().is_err() {
            error!("the thread that syncs the calls panicked");
        }
        log.end(how, crate::io::clock::now());
    }
}

/// In a busy hour changes gather, so that writing them costs little.
#[derive(Default)]
struct Pace {
    began: Option<Mono>,
    records: u32,
}

impl Pace {
    fn rest(&mut self, kept: &Kept, now: Mono) {
        let began = *self.began.get_or_insert(now);
        if now.since(began) >= WINDOW {
            (self.began, self.records) = (Some(now), 0);
        }
        self.records += 1;
        if self.records > BURST {
            kept.rest(WINDOW.saturating_sub(now.since(began)));
        }
    }
}

struct Log {
    path: PathBuf,
    /// Of the last change; none before there was any.
    at: Option<Now>,
    /// Everything as it was then.
    pieces: BTreeMap<Key, ByteBuf>,
    lives: u32,
    started: Mono,
    file: Option<Durable>,
    /// Is to take that one's place once it lasts; until then both are written to.
    next: Option<Durable>,
    safe: Arc<Safe>,
    /// Bytes in the file, and how many of them it had when it was begun.
    written: usize,
    base: usize,
    failing: bool,
}

impl Log {
    fn run(
        mut self,
        left: BTreeMap<Key, Piece>,
        mut changes: mpsc::Receiver<Changes>,
        kept: &Kept,
    ) -> Self {
        priority::first();
        kept.begin();
        if let Some(at) = self.at {
            let pieces = left.into_iter().map(|(key, piece)| (key, Some(piece))).collect();
            self.take(Changes { at, pieces });
        }
        let mut pace = Pace::default();
        while let Some(changes) = changes.blocking_recv() {
            self.take(changes);
            kept.wrote();
            pace.rest(kept, crate::io::clock::mono());
        }
        self
    }

    fn take(&mut self, Changes { at, pieces }: Changes) {
        self.at = Some(at);
        let calm = self.lives > 0 && at.mono.since(self.started) >= CALM;
        if calm {
            self.lives = 0;
        }
        let grown = self.written > self.base * 5 + GROWTH;
        self.try_to(|log| {
            let pieces: Vec<_> = pieces.into_iter().map(encoded).collect::<Result<_, _>>()?;
            for (key, piece) in &pieces {
                match piece {
                    Some(piece) => log.pieces.insert(*key, piece.clone()),
                    None => log.pieces.remove(key),
                };
            }
            log.settle();
            let anew = log.file.is_none() || (calm || grown) && log.next.is_none();
            if anew {
                return log.begin(at);
            }
            let told = |(key, piece): &Written| matches!(key, Key::Fact(_)) && piece.is_some();
            let told = pieces.iter().any(told);
            log.append(&Record::Changes { at, pieces })?;
            if told && let Some(file) = log.next.as_ref().or(log.file.as_ref()) {
                log.safe.wrote(file)?;
            }
            if !log.lacks() {
                log.safe.is_settled();
            }
            Ok(())
        });
    }

    /// The log has not confirmed every fact.
    fn lacks(&self) -> bool {
        matches!(self.pieces.keys().next_back(), Some(Key::Fact(_)))
    }

    /// What has become of the file that was to take the old one's place.
    fn settle(&mut self) {
        match self.safe.placed() {
            Placed::NotYet => {}
            Placed::Yes => {
                self.file = self.next.take();
                let path = &self.path;
                self.file.iter_mut().for_each(|file| file.is_named(path));
            }
            Placed::Failed => (self.file, self.next) = (None, None),
        }
    }

    fn end(mut self, how: End, at: Now) {
        if how == End::Stopped {
            // Every call was ended; whether the log took every fact is not known here. Phones stay where they are.
            self.pieces.retain(|key, _| matches!(key, Key::Fact(_) | Key::Phones));
        }
        self.lives = 0;
        self.settle();
        (self.file, self.next) = (None, None);
        self.try_to(|log| {
            log.begin(at)?;
            log.append(&Record::Ended { how, at })
        });
    }

    /// Writes the whole into a new file, which takes the old one's place: at once, or where the log lacks something when
    /// it lasts. A first one is waited for.
    fn begin(&mut self, at: Now) -> io::Result<()> {
        let mut bytes = MAGIC.to_vec();
        bytes.extend_from_slice(&FORMAT.to_le_bytes());
        bytes.extend_from_slice(&self.lives.to_le_bytes());
        bytes.extend_from_slice(boot_id().as_bytes());
        bytes.extend_from_slice(&crc32c::crc32c(&bytes).to_le_bytes());
        write_record(&Record::Changes { at, pieces: vec![] }, &mut bytes)?;
        let part = self.path.with_extension("part");
        durable::remove_if_there(&part)?;
        let mut file = Durable::create(&part)?;
        let mut written = 0;
        for (key, piece) in &self.pieces {
            let pieces = vec![(*key, Some(piece.clone()))];
            write_record(&Record::Changes { at, pieces }, &mut bytes)?;
            if bytes.len() >= CHUNK {
                file.write_all(&bytes)?;
                written += bytes.len();
                bytes.clear();
            }
        }
        file.write_all(&bytes)?;
        written += bytes.len();
        (self.written, self.base) = (written, written);
        if self.lacks() && self.file.is_some() {
            self.safe.place(&file, &part, &self.path)?;
            self.next = Some(file);
            return Ok(());
        }
        if self.lacks() {
            file.sync_data()?;
        }
        durable::rename(&part, &self.path)?;
        if self.lacks() {
            self.path.parent().map_or(Ok(()), durable::sync_folder)?;
        }
        file.is_named(&self.path);
        self.file = Some(file);
        Ok(())
    }

    fn append(&mut self, record: &Record) -> io::Result<()> {
        let mut bytes = vec![];
        write_record(record, &mut bytes)?;
        for file in self.file.iter_mut().chain(&mut self.next) {
            file.write_all(&bytes)?;
        }
        self.written += bytes.len();
        Ok(())
    }

    /// After a fault the next change begins a new file.
    fn try_to(&mut self, write: impl FnOnce(&mut Self) -> io::Result<()>) {
        match write(self) {
            Ok(()) => self.failing = false,
            Err(fault) => {
                (self.file, self.next) = (None, None);
                self.safe.forget();
                if !std::mem::replace(&mut self.failing, true) {
                    error!(path = %self.path.display(), %fault, "calls could not be taken up after a crash now: check the disk");
                }
            }
        }
    }
}

/// As the file has it; for what turns the switchboard without one.
///
/// # Errors
/// When the value is none that can be written and read again.
pub fn there_and_back(Changes { at, pieces }: Changes) -> anyhow::Result<Changes> {
    let there_and_back = |piece| anyhow::Ok(decoded(encoded(piece)?)?);
    Ok(Changes { at, pieces: pieces.into_iter().map(there_and_back).collect::<Result<_, _>>()? })
}

#[cfg(test)]
mod tests;
