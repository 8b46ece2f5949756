//! Signs the tree's head every few minutes and sends it off: what has left the host cannot be taken
//! back by whoever holds the host.

use super::key::SigningKey;
use crate::duty::proof::head::{self, Note};
use crate::io::clock;
use crate::io::status::{Alarm, Board};
use crate::io::store::{HeadRow, Result, Store};
use std::fs::OpenOptions;
use std::io::{self, Read, Seek, SeekFrom, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::{mpsc, oneshot};
use tokio_util::sync::CancellationToken;
use tracing::{info, warn};

/// A folder that hangs (a lost mount) is given up for this time.
const PATIENCE: Duration = Duration::from_secs(20);

/// Whoever signs, and where heads go.
#[derive(Clone)]
pub struct Witness {
    pub store: Store,
    pub key: Arc<SigningKey>,
    /// The first is on this host, in the data folder; it is made.
    pub folders: Vec<Folder>,
    pub board: Board,
}

impl Witness {
    /// Signs at once and every `every`, until `stopping`.
    pub async fn keep(self, every: Duration, stopping: CancellationToken) {
        let mut tick = tokio::time::interval(every);
        tick.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
        let mut unproved = self.store.unproved();
        loop {
            tokio::select! {
                _ = tick.tick() => {}
                Ok(()) = unproved.changed() => {
                    let why = unproved.borrow_and_update().clone();
                    self.proving(why);
                    continue;
                }
                () = stopping.cancelled() => return,
            }
            if let Err(error) = self.sign().await {
                warn!(%error, "the log's head could not be signed");
                self.alarm(&format!("{error}"));
            }
        }
    }

    /// Signs what the log holds now and sends it off.
    ///
    /// # Errors
    /// The log's. A folder that takes nothing is an alarm.
    pub async fn sign(&self) -> Result<HeadRow> {
        let head = self.store.sign_head(Arc::clone(&self.key), clock::now).await?;
        let mut failed = vec![];
        for folder in &self.folders {
            if let Err(fault) = folder.take(head.clone(), PATIENCE).await {
                failed.push(format!("{}: {fault}", folder.path.display()));
            }
        }
        match failed.is_empty() {
            true => self.board.update(|status| drop(status.alarms.remove("witness"))),
            false => self.alarm(&failed.join("; ")),
        }
        info!(number = head.number, items = head.size, "head signed");
        Ok(head)
    }

    fn proving(&self, unproved: Option<String>) {
        let alarm = unproved.map(|why| Alarm {
            since: clock::now().wall,
            zh: format!("新写入的记录未能加入防篡改链，请检查磁盘与数据库（{why}）"),
            en: format!("What is written cannot be added to the chain of proofs: {why}"),
        });
        self.board.update(|status| match alarm {
            Some(alarm) => drop(status.alarms.entry("proof").or_insert(alarm)),
            None => drop(status.alarms.remove("proof")),
        });
    }

    fn alarm(&self, why: &str) {
        warn!(why, "a head was not sent off");
        let alarm = Alarm {
            since: clock::now().wall,
            zh: format!("防篡改签名未能存出，请检查见证文件夹（{why}）"),
            en: format!("The signed head of the log could not be sent off: {why}"),
        };
        self.board.update(|status| {
            status.alarms.entry("witness").or_insert(alarm);
        });
    }
}

type Order = (HeadRow, oneshot::Sender<io::Result<()>>);

/// A folder for heads and the one thread that writes there: where it hangs, nothing else does.
#[derive(Clone)]
pub struct Folder {
    path: PathBuf,
    orders: mpsc::Sender<Order>,
}

impl Folder {
    /// # Errors
    /// When there can be no more threads.
    pub fn new(path: PathBuf) -> io::Result<Self> {
        Self::written_by(path, append)
    }

    fn written_by(
        path: PathBuf,
        write: impl Fn(&Path, &HeadRow) -> io::Result<()> + Send + 'static,
    ) -> io::Result<Self> {
        let (orders, mut waiting) = mpsc::channel::<Order>(1);
        let to = path.clone();
        // Nobody waits for it at the end: it may hang for good.
        std::thread::Builder::new().name("witness".to_owned()).spawn(move || {
            while let Some((head, reply)) = waiting.blocking_recv() {
                // Whoever lost patience has gone.
                let _ = reply.send(write(&to, &head));
            }
        })?;
        Ok(Self { path, orders })
    }

    async fn take(&self, head: HeadRow, patience: Duration) -> std::result::Result<(), String> {
        let (reply, written) = oneshot::channel();
        let hangs = || "无应答 · no answer".to_owned();
        self.orders.try_send((head, reply)).map_err(|_| hangs())?;
        match tokio::time::timeout(patience, written).await {
            Ok(Ok(written)) => written.map_err(|fault| fault.to_string()),
            Ok(Err(_)) | Err(_) => Err(hangs()),
        }
    }
}

/// Adds a head to the day's file.
fn append(folder: &Path, head: &HeadRow) -> io::Result<()> {
    let name = format!("{}.heads", head.at.format("%Y-%m-%d"));
    let mut file = OpenOptions::new()
        .read(true)
        .append(true)
        .create(true)
        .mode(0o640)
        .open(folder.join(name))?;
    // A note that a power cut left half is closed, so that this one begins a line.
    let mut text = String::new();
    if file.seek(SeekFrom::End(0))? > 0 {
        let mut last = [0];
        file.seek(SeekFrom::End(-1))?;
        file.read_exact(&mut last)?;
        if last != *b"\n" {
            text.push('\n');
        }
    }
    text += &head.note;
    file.write_all(text.as_bytes())?;
    file.sync_all()
}

/// What is in such a folder.
#[derive(Debug, Default)]
pub struct Copies {
    pub notes: Vec<Note>,
    /// Pieces that are no whole note: a power cut, or somebody's hand.
    pub torn: Vec<String>,
}

/// Reads every head that was sent to a folder.
///
/// # Errors
/// When it cannot be read.
pub fn copies(folder: &Path) -> io::Result<Copies> {
    let mut names = vec![];
    for entry in std::fs::read_dir(folder)? {
        let path = entry?.path();
        if path.extension().is_some_and(|extension| extension == "heads") {
            names.push(path);
        }
    }
    names.sort();
    let mut found = Copies::default();
    for path in names {
        let bytes = std::fs::read(&path)?;
        let text = String::from_utf8_lossy(&bytes);
        let shown = path.file_name().unwrap_or_default().to_string_lossy().into_owned();
        split(&text, |part| match Note::parse(part) {
            Some(note) => found.notes.push(note),
            None => found.torn.push(shown.clone()),
        });
    }
    Ok(found)
}

/// A note begins with its log's name and ends with its signature.
fn split(text: &str, mut take: impl FnMut(&str)) {
    let mut part = String::new();
    for line in text.split_inclusive('\n') {
        if line.starts_with(head::ORIGIN) && !part.is_empty() {
            take(&std::mem::take(&mut part));
        }
        part += line;
        if line.starts_with(head::SIGNED) {
            take(&std::mem::take(&mut part));
        }
        // No note is as long: whatever it is, it does not gather.
        if part.len() > 2 * head::LONGEST {
            take(&std::mem::take(&mut part));
        }
    }
    if !part.trim().is_empty() {
        take(&part);
    }
}

/// Makes the folder on this host.
///
/// # Errors
/// When it cannot be made.
pub fn own_folder(data: &Path) -> io::Result<PathBuf> {
    let folder = data.join("heads");
    std::fs::create_dir_all(&folder)?;
    Ok(folder)
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::mpsc::channel;

    #[tokio::test]
    async fn a_folder_that_hangs_holds_one_thread_and_takes_heads_again_afterwards() {
        let (open, gate) = channel::<()>();
        let (began, begun) = channel::<u64>();
        let folder = Folder::written_by(PathBuf::from("lost mount"), move |_, head| {
            began.send(head.number).map_err(io::Error::other)?;
            gate.recv().map_err(io::Error::other)
        });
        let folder = folder.unwrap();
        let head = |number| {
            let (at, note) = (clock::now().wall, String::new());
            HeadRow { number, size: 1, at, note }
        };
        for number in 1..=5 {
            let fault = folder.take(head(number), Duration::from_millis(20)).await.unwrap_err();
            assert!(fault.contains("no answer"), "{fault}");
            if number == 1 {
                assert_eq!(begun.recv(), Ok(1), "it has begun before another comes");
            }
        }
        assert!(begun.try_recv().is_err(), "no other write is begun beside the one that hangs");
        open.send(()).unwrap();
        assert_eq!(begun.recv(), Ok(2), "what waited goes on");
        open.send(()).unwrap();
        open.send(()).unwrap();
        while folder.orders.capacity() == 0 {
            tokio::task::yield_now().await;
        }
        assert_eq!(folder.take(head(6), Duration::from_secs(60)).await, Ok(()));
        assert_eq!(begun.recv(), Ok(6));
    }
}
