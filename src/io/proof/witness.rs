//! Signs the tree's head every few minutes and sends it off: what has left the host cannot be taken
//! back by whoever holds the host.

use super::signer::{NoKey, Signer};
use crate::duty::proof::PublicKey;
use crate::duty::proof::RenewalNote;
use crate::duty::proof::head::{self, Note};
use crate::io::clock;
use crate::io::status::{Alarm, Board};
use crate::io::stopped;
use crate::io::store::{HeadRow, Store, StoreError};
use std::fs::OpenOptions;
use std::io::{self, Read, Seek, SeekFrom, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::{mpsc, oneshot};
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;
use tracing::{info, warn};

/// A folder that hangs (a lost mount) is given up for this time.
const PATIENCE: Duration = Duration::from_secs(20);
/// A key that was renewed signs at once; one that was lost is looked for.
const LOOK: Duration = Duration::from_secs(10);
/// In the data folder: those of its log.
pub const HEADS: &str = "heads";
/// In each folder: every renewal of the key.
const RENEWALS: &str = "renewals.heads";

/// Whoever signs, and where heads go.
#[derive(Clone)]
pub struct Witness {
    pub store: Store,
    pub signer: Arc<Signer>,
    /// The first is on this host, in the data folder; it is made.
    pub folders: Vec<Folder>,
    /// To whom each is sent, too.
    pub hook: Option<mpsc::Sender<Sending>>,
    pub board: Board,
}

/// Why nothing was signed.
#[derive(Debug, thiserror::Error)]
pub enum Unsigned {
    #[error("{0}")]
    Log(#[from] StoreError),
    #[error("{0}")]
    Key(NoKey),
}

impl Witness {
    /// Signs at once, every `every` and at each change of shift, until `stopping`.
    pub async fn keep(self, every: Duration, stopping: CancellationToken) {
        let mut tick = tokio::time::interval(every);
        tick.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
        let mut look = tokio::time::interval_at(Instant::now() + LOOK, LOOK);
        look.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
        let mut unproved = self.store.unproved();
        // By which key the last was signed, unless it was of no use.
        let mut by = None;
        loop {
            tokio::select! {
                _ = tick.tick() => {}
                () = self.store.shift_changes() => {}
                _ = look.tick() => {
                    if !self.is_renewed(by.as_ref()).await {
                        continue;
                    }
                }
                Ok(()) = unproved.changed() => {
                    let why = unproved.borrow_and_update().clone();
                    self.proving(why);
                    continue;
                }
                () = stopping.cancelled() => return,
            }
            match self.sign_by().await {
                Ok((_, key)) => {
                    if by.as_ref() != Some(&key) {
                        info!(public = %key, "the log is signed by this key");
                    }
                    by = Some(key);
                }
                Err(Unsigned::Key(NoKey::Unfit { .. })) => by = None,
                Err(error) => {
                    warn!(%error, "the log's head could not be signed");
                    self.alarm(&format!("{error}"));
                }
            }
        }
    }

    /// Another key is in force than the one that signed last; or that one was of no use.
    async fn is_renewed(&self, by: Option<&PublicKey>) -> bool {
        match self.store.key_in_force().await {
            Ok(log) => by.is_none_or(|by| log.id.is_some_and(|id| id != by.id())),
            Err(_) => false,
        }
    }

    /// Signs what the log holds now and sends it off.
    ///
    /// # Errors
    /// The log's. A folder that takes nothing is an alarm.
    pub async fn sign(&self) -> Result<HeadRow, Unsigned> {
        Ok(self.sign_by().await?.0)
    }

    async fn sign_by(&self) -> Result<(HeadRow, PublicKey), Unsigned> {
        let (head, key) = match self.sign_once().await {
            // Beside this daemon, since the key was read.
            Err(Unsigned::Log(StoreError::KeyRenewed)) => self.sign_once().await?,
            signed => signed?,
        };
        let renewals = self.store.key_renewals().await?;
        let sending = Sending { head: head.clone(), renewals };
        if let Some(Err(fault)) = self.hook.as_ref().map(|hook| hook.try_send(sending.clone())) {
            warn!(%fault, "a head is not sent to the webhook");
        }
        let failed = send(&self.folders, sending).await;
        match failed.is_empty() {
            true => self.board.update(|status| drop(status.alarms.remove("witness"))),
            false => self.alarm(&failed.join("; ")),
        }
        info!(number = head.number, items = head.size, "head signed");
        Ok((head, key))
    }

    async fn sign_once(&self) -> Result<(HeadRow, PublicKey), Unsigned> {
        let ready = Arc::clone(&self.signer).key(true).await;
        match &ready {
            Ok(ready) => self.told(ready.fault.clone()),
            Err(NoKey::Log(_) | NoKey::Busy) => {}
            Err(fault) => self.told(fault.told()),
        }
        let key = ready.map_err(|fault| match fault {
            NoKey::Log(error) => Unsigned::Log(error),
            other => Unsigned::Key(other),
        })?;
        let public = key.key.public.clone();
        Ok((self.store.sign_head(key.key, clock::now).await?, public))
    }

    /// What is wrong with the key is told as long as it is so, whether it can still be done without or not.
    fn told(&self, fault: Option<(String, String)>) {
        self.board.update(|status| {
            let Some((zh, en)) = &fault else { return drop(status.alarms.remove("signing_key")) };
            let since = status.alarms.get("signing_key").map_or(clock::now().wall, |it| it.since);
            let zh = format!("防篡改签名的密钥有误：{zh}");
            let en = format!("The key that signs the log: {en}");
            status.alarms.insert("signing_key", Alarm { since, zh, en });
        });
        if let Some((_, why)) = fault {
            warn!(why, "the signing key is not as it should be");
        }
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

/// What goes to each folder.
#[derive(Debug, Clone)]
pub struct Sending {
    pub head: HeadRow,
    /// The notes of all, in their order.
    pub renewals: Vec<String>,
}

/// Which folders did not take it, and why.
pub async fn send(folders: &[Folder], sending: Sending) -> Vec<String> {
    let mut failed = vec![];
    for folder in folders {
        if let Err(fault) = folder.take(sending.clone(), PATIENCE).await {
            failed.push(format!("{}: {fault}", folder.path.display()));
        }
    }
    failed
}

type Order = (Sending, oneshot::Sender<io::Result<()>>);

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
        write: impl Fn(&Path, &Sending) -> io::Result<()> + Send + 'static,
    ) -> io::Result<Self> {
        let (orders, mut waiting) = mpsc::channel::<Order>(1);
        let to = path.clone();
        // Nobody waits for it at the end: it may hang for good.
        std::thread::Builder::new().name("witness".to_owned()).spawn(move || {
            while let Some((sending, reply)) = waiting.blocking_recv() {
                // Whoever lost patience has gone.
                let _ = reply.send(write(&to, &sending));
            }
        })?;
        Ok(Self { path, orders })
    }

    async fn take(&self, sending: Sending, patience: Duration) -> Result<(), String> {
        let (reply, written) = oneshot::channel();
        let hangs = || "无应答 · no answer".to_owned();
        self.orders.try_send((sending, reply)).map_err(|_| hangs())?;
        match stopped::within(patience, written).await {
            Some(Ok(written)) => written.map_err(|fault| fault.to_string()),
            Some(Err(_)) | None => Err(hangs()),
        }
    }
}

/// Adds a head to the day's file, and each renewal of the key that is not there.
fn append(folder: &Path, Sending { head, renewals }: &Sending) -> io::Result<()> {
    let renewed = add_renewals(&folder.join(RENEWALS), renewals);
    let name = format!("{}.heads", head.at.format("%Y-%m-%d"));
    add(&folder.join(name), &head.note)?;
    renewed
}

/// Those that are not there.
fn add_renewals(path: &Path, renewals: &[String]) -> io::Result<()> {
    if renewals.is_empty() {
        return Ok(());
    }
    let there = match std::fs::read(path) {
        Err(fault) if fault.kind() == io::ErrorKind::NotFound => vec![],
        there => there?,
    };
    let there = String::from_utf8_lossy(&there);
    renewals.iter().filter(|renewal| !there.contains(*renewal)).try_for_each(|note| add(path, note))
}

fn add(path: &Path, note: &str) -> io::Result<()> {
    let mut file =
        OpenOptions::new().read(true).append(true).create(true).mode(0o640).open(path)?;
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
    text += note;
    file.write_all(text.as_bytes())?;
    file.sync_all()
}

/// What is in such a folder.
#[derive(Debug, Default)]
pub struct Copies {
    pub notes: Vec<Note>,
    pub renewals: Vec<RenewalNote>,
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
        let torn = found.read(&text);
        found.torn.extend(std::iter::repeat_n(shown, torn));
    }
    Ok(found)
}

impl Copies {
    /// Adds what is in a text; how many pieces of it are no whole note.
    pub fn read(&mut self, text: &str) -> usize {
        let mut torn = 0;
        split(text, |part| match (Note::parse(part), RenewalNote::parse(part)) {
            (Some(note), _) => self.notes.push(note),
            (None, Some(renewal)) => self.renewals.push(renewal),
            (None, None) => torn += 1,
        });
        torn
    }
}

/// A note begins with its log's name and ends with its signatures.
fn split(text: &str, mut take: impl FnMut(&str)) {
    let (mut part, mut signed) = (String::new(), false);
    for line in text.split_inclusive('\n') {
        let signs = line.starts_with(head::SIGNED);
        if (signed && !signs || line.starts_with(head::ORIGIN)) && !part.is_empty() {
            take(&std::mem::take(&mut part));
        }
        part += line;
        signed = signs;
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
    let folder = data.join(HEADS);
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
        let folder = Folder::written_by(PathBuf::from("lost mount"), move |_, sent| {
            began.send(sent.head.number).map_err(io::Error::other)?;
            gate.recv().map_err(io::Error::other)
        });
        let folder = folder.unwrap();
        let head = |number| {
            let (at, note) = (clock::now().wall, String::new());
            Sending { head: HeadRow { number, size: 1, at, note }, renewals: vec![] }
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
