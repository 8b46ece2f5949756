//! The log: opened with what the last run left, and kept; where it cannot be, tried again and again.

mod restored;
mod since;

use crate::config::Config;
use crate::duty::checkpoint::GoesOn;
use crate::duty::gaps::Life;
use crate::duty::ids::CallId;
use crate::duty::ladder::Traced;
use crate::duty::switchboard::LeaderCall;
use crate::io::durable::Identity;
use crate::io::proof::witness::HEADS;
use crate::io::status::Alarm;
use crate::io::store::{Hold, SMALLEST, Store, StoreError};
use crate::io::{clock, ladder, logbook, orphans, tape};
use crate::protocol::now::Now;
use anyhow::Context;
use chrono::{DateTime, Utc};
use std::collections::BTreeSet;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, SystemTime};
use tokio::sync::{mpsc, oneshot};
use tokio::task::{JoinHandle, spawn_blocking};
use tokio_util::sync::CancellationToken;
use tracing::{error, info, warn};

/// How often a log that is of no use is tried again.
const AGAIN: Duration = Duration::from_millis(if cfg!(test) { 20 } else { 2000 });

const ALARM: &str = "log_file";

/// A file, as far as can be seen from outside.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Seen {
    is: Identity,
    length: u64,
    changed: SystemTime,
}

impl Seen {
    /// `None`: there is none.
    fn at(path: &Path) -> Option<Self> {
        let file = std::fs::metadata(path).ok()?;
        Some(Self { is: Identity::from(&file), length: file.len(), changed: file.modified().ok()? })
    }
}

/// A database that SQLite calls damaged, and what is written beside it.
type Damaged = (Seen, Option<Seen>);

/// The database that a run begins with.
pub struct Opened {
    /// As it was before it was opened.
    file: Option<Identity>,
    /// Why it is of no use yet.
    pub fault: Option<StoreError>,
}

/// What the first rows of a run say. **Written before anything else of the run, once.**
pub struct Beginning {
    config: Config,
    /// Calls of the last run that go on in this one.
    go_on: BTreeSet<CallId>,
    /// Those to leaders among them.
    to_leaders: Vec<LeaderCall>,
    /// Since when nobody served the line, and why.
    down: Option<(DateTime<Utc>, &'static str)>,
    life: Option<Life>,
    /// Who knows which calls go on.
    line: mpsc::Sender<oneshot::Sender<GoesOn>>,
    now: Now,
    /// It is there, or what it was signed into.
    there_was_one: bool,
    /// Its first rows are written, one after the other.
    written: AtomicUsize,
}

impl Beginning {
    pub fn new(
        config: &Config,
        (go_on, to_leaders): (BTreeSet<CallId>, Vec<LeaderCall>),
        (down, life): (Option<(DateTime<Utc>, &'static str)>, Option<Life>),
        line: mpsc::Sender<oneshot::Sender<GoesOn>>,
    ) -> Self {
        let (config, now) = (config.clone(), clock::now());
        let mut new = Self {
            config,
            go_on,
            to_leaders,
            down,
            life,
            line,
            now,
            there_was_one: false,
            written: AtomicUsize::new(0),
        };
        let signed = new.config.storage.data.join(HEADS);
        new.there_was_one = !new.is_gone() || signed.exists();
        new
    }

    /// `None`: there is none.
    fn file(&self) -> Option<Seen> {
        Seen::at(&self.database())
    }

    /// It is not there, or empty.
    fn is_gone(&self) -> bool {
        self.file().is_none_or(|file| file.length < SMALLEST)
    }

    fn with_what_is_beside(&self, file: Seen) -> Damaged {
        (file, Seen::at(&self.database().with_extension("db-wal")))
    }

    /// Which file has the name.
    fn identity(&self) -> Option<Identity> {
        Some(self.file()?.is)
    }

    /// Calls of the last run to leaders, which go on.
    pub fn to_leaders(&self) -> Vec<LeaderCall> {
        self.to_leaders.clone()
    }

    fn database(&self) -> PathBuf {
        self.config.storage.data.join("dutyline.db")
    }

    /// Where it is damaged or cannot be read or written, the telephone goes on without it: facts wait, and leaders are
    /// called from what is known beside it.
    ///
    /// # Errors
    /// When it is another daemon's.
    pub async fn open_log(&self, mut held: Option<Hold>) -> anyhow::Result<(Store, Opened)> {
        let (database, file) = (self.database(), self.identity());
        let told = |error: &StoreError| told(&database, error);
        let store = match self.open_file(&database, &mut held) {
            Ok(store) => store,
            Err(fault @ StoreError::Held { .. }) => return Err(anyhow::anyhow!(told(&fault))),
            Err(fault) => {
                error!("there is no log in this run: {}", told(&fault));
                let store = Store::of_no_use(&database, fault.clone(), held);
                let store = store.map_err(|fault| anyhow::anyhow!(told(&fault)))?;
                store.holds_back();
                return Ok((store, Opened { file, fault: Some(fault) }));
            }
        };
        let file = file.or_else(|| self.identity());
        store.holds_back();
        let fault = self.write(&store, self.now).await.err();
        match &fault {
            None => store.begins(),
            Some(fault) => {
                error!(%fault, "the log refuses its first rows, the telephone goes on");
            }
        }
        Ok((store, Opened { file, fault }))
    }

    /// One that is not there is not made anew, unless there never was one.
    fn open_file(&self, database: &Path, held: &mut Option<Hold>) -> Result<Store, StoreError> {
        if self.there_was_one && self.is_gone() {
            return Err(StoreError::Missing(database.display().to_string()));
        }
        Store::open_held(database, clock::random(), held)
    }

    /// Until the daemon stops: a log that is of no use is tried again and again; one that goes bad while it is in use is
    /// left as it is, and told, until it can be used again or another is in its place.
    pub async fn keep(
        self,
        Opened { mut file, mut fault }: Opened,
        readers: logbook::Readers,
        stopping: CancellationToken,
    ) {
        let logbook::Readers { store, board, wake, .. } = readers;
        if !self.there_was_one {
            let storage = &self.config.storage;
            let (data, recordings) = (storage.data.clone(), storage.recordings.clone());
            tokio::spawn(orphans::tell_of_a_new_log(data, recordings, board.clone()));
        }
        let mut may_make = !self.there_was_one;
        // The one that was found sound after SQLite had called it damaged.
        let mut sound = None;
        loop {
            if let Some(fault) = fault.take() {
                board.update(|status| drop(status.alarms.insert(ALARM, gone(&fault))));
                let is_damaged = matches!(fault, StoreError::Corrupt(_));
                let opened = tokio::select! {
                    opened = self.try_again(may_make, (file, fault), sound, &store, &stopping) => opened,
                    () = stopping.cancelled() => return,
                };
                if is_damaged && opened == file {
                    sound = file;
                }
                file = opened;
                board.update(|status| drop(status.alarms.remove(ALARM)));
                wake.notify_one();
            }
            let bad = tokio::select! {
                bad = self.goes_bad(file, &store) => bad,
                () = stopping.cancelled() => return,
            };
            error!(fault = %bad, "the log is of no use any more: facts are kept until it is");
            (fault, may_make) = (Some(bad), false);
        }
    }

    /// Why it cannot be used any more.
    async fn goes_bad(&self, opened: Option<Identity>, store: &Store) -> StoreError {
        loop {
            tokio::time::sleep(AGAIN).await;
            if self.identity() != opened {
                return self.replaced();
            }
            if let Some(fault) = store.ails() {
                return fault;
            }
        }
    }

    fn replaced(&self) -> StoreError {
        StoreError::Replaced(format!("{} is gone or is another file", self.database().display()))
    }

    /// Puts it aside where its file is at fault. Until this one, or another, takes what a run writes first; one that is
    /// damaged is left until it has changed, but is looked at once where SQLite alone called it that, unless it was found
    /// `sound` before; one that is not there, or is empty, is not made, unless there never was one. Which it is.
    async fn try_again(
        &self,
        may_make: bool,
        (mut opened, fault): (Option<Identity>, StoreError),
        sound: Option<Identity>,
        store: &Store,
        stopping: &CancellationToken,
    ) -> Option<Identity> {
        let (mut said, mut seen) = (String::new(), None);
        let as_it_is = self.put_aside(store, fault).await;
        // Another may have been put in its place by now.
        let mut corrupt = as_it_is.filter(|(file, _)| sound == opened && Some(file.is) == opened);
        loop {
            tokio::time::sleep(AGAIN).await;
            // Whoever puts another in its place may not have finished; a damaged one is looked at again once it has
            // changed.
            let now_is = self.file();
            let before = now_is.map(|file| self.with_what_is_beside(file));
            if seen.replace(now_is) != Some(now_is)
                || (now_is.is_none_or(|file| file.length < SMALLEST) && !may_make)
                || (corrupt.is_some() && corrupt == before)
            {
                continue;
            }
            let there = now_is.map(|file| file.is);
            if std::mem::replace(&mut opened, there) != there {
                self.put_aside(store, self.replaced()).await;
            }
            let (again, database, stops) = (store.clone(), self.database(), stopping.clone());
            let given_up = move || stops.is_cancelled();
            let opening =
                spawn_blocking(move || again.reopen(&database, clock::random(), given_up));
            let opening =
                opening.await.unwrap_or_else(|fault| Err(StoreError::Bug(fault.to_string())));
            let is_open = opening.is_ok();
            let begun = match opening {
                Ok(()) => self.write(store, clock::now()).await,
                Err(fault) => Err(fault),
            };
            let Err(fault) = begun else {
                store.begins();
                info!("the log can be used from now on");
                // Its index may be another one, or was made anew.
                tokio::spawn(store.clone().index_all(stopping.clone()));
                return opened.or_else(|| self.identity());
            };
            if fault.to_string() != said {
                said = fault.to_string();
                warn!(%fault, "the log is still of no use");
            }
            if matches!(fault, StoreError::Corrupt(_)) {
                let as_it_is = self.put_aside(store, fault).await;
                let as_it_is = as_it_is.filter(|(file, _)| Some(file.is) == there);
                // It may have changed while it was looked through.
                corrupt = if is_open { as_it_is } else { before };
            }
        }
    }

    /// Nothing is done to its file, which is not opened again as it is: that is returned.
    async fn put_aside(&self, store: &Store, fault: StoreError) -> Option<Damaged> {
        if !fault.is_of_the_log() {
            return None;
        }
        let (aside, is_corrupt) = (store.clone(), matches!(fault, StoreError::Corrupt(_)));
        if let Err(fault) = spawn_blocking(move || aside.put_aside(fault)).await {
            error!(%fault, "the log could not be put aside");
        }
        let file = self.file().filter(|_| is_corrupt)?;
        Some(self.with_what_is_beside(file))
    }

    /// What the last run left open is closed, but for the calls that go on; the configured contacts are in the log. The
    /// first rows of the run are of its beginning, since when leaders are called.
    async fn write(&self, store: &Store, now: Now) -> Result<(), StoreError> {
        self.take_up(store, now).await?;
        let (now, to_leaders) = match self.written.load(Ordering::Relaxed) {
            0 => (self.now, self.begin(store).await?),
            _ => (now, self.follow(store, now).await?),
        };
        if let Err(fault) = self.say_the_rest(store, to_leaders, now).await {
            error!("the log goes on without something: {fault:#}");
        }
        Ok(())
    }

    async fn begin(&self, store: &Store) -> Result<Vec<LeaderCall>, StoreError> {
        let interrupted = store.interrupted_calls(self.go_on.clone(), self.now).await?;
        self.written.store(1, Ordering::Relaxed);
        if !interrupted.is_empty() {
            warn!(calls = interrupted.len(), "the last run ended in the middle of calls");
        }
        Ok(self.to_leaders())
    }

    /// What this run can do without.
    async fn say_the_rest(
        &self,
        store: &Store,
        to_leaders: Vec<LeaderCall>,
        now: Now,
    ) -> anyhow::Result<()> {
        let Self { config, .. } = self;
        let lacks = self.raise_what_it_lacks(store, to_leaders, now).await;
        lacks.context("what is open beside the log")?;
        if store.settings_are(format!("{config:?}"), now).await.context("the settings")? {
            info!("these settings are new to the log");
        }
        let numbering = config.callers.numbering.clone();
        let renumbered = store.set_numbering(numbering.clone()).await.context("the numbering")?;
        if renumbered > 0 {
            info!(calls = renumbered, "calls of the past are compared by the new numbering");
        }
        store.set_contacts(config.contacts.clone(), numbering).await.context("the contacts")
    }
}

/// Keeps every other daemon out of the data folder from now on; a folder that takes no lock keeps no telephone from serving.
///
/// # Errors
/// When another daemon has it.
pub fn hold(config: &Config) -> anyhow::Result<Option<Hold>> {
    let database = config.storage.data.join("dutyline.db");
    match Hold::take(&database) {
        Err(fault @ StoreError::Held { .. }) => Err(anyhow::anyhow!(told(&database, &fault))),
        held => Ok(held.ok()),
    }
}

fn told(database: &Path, error: &StoreError) -> String {
    let (zh, en) = error.remedy();
    format!("{}: {error}: {en}（{zh}）", database.display())
}

fn gone(fault: &StoreError) -> Alarm {
    let (zh, en) = fault.remedy();
    Alarm {
        since: clock::now().wall,
        zh: format!(
            "值班记录不能用了，电话和呼叫领导不受影响，发生的事先存着，可用后补记。{zh}（{fault}）"
        ),
        en: format!(
            "the log is of no use; calls go on, what happens is kept and written once it is. {en} ({fault})"
        ),
    }
}

pub fn keep_log(
    facts: logbook::Told,
    recordings: mpsc::UnboundedReceiver<tape::Event>,
    traced: mpsc::Receiver<Traced>,
    readers: logbook::Readers,
    stopping: &CancellationToken,
) -> Vec<JoinHandle<()>> {
    let (store, board) = (readers.store.clone(), readers.board.clone());
    let ladders = ladder::keep(traced, store, board.clone(), stopping.clone());
    let outages = readers.outages();
    let recordings = logbook::keep_recordings(recordings, outages, board, stopping.clone());
    let indexed = readers.store.clone().index_all(stopping.clone());
    let facts = logbook::keep_facts(facts, readers, stopping.clone());
    let (facts, recordings) = (tokio::spawn(facts), tokio::spawn(recordings));
    vec![facts, recordings, tokio::spawn(ladders), tokio::spawn(indexed)]
}

/// The one-time link of the first account, while there is no account.
pub async fn first_link(store: &Store, address: SocketAddr) -> Option<String> {
    match store.make_login_link(None, clock::now()).await {
        Ok(token) => token.map(|token| format!("http://{address}/first/{token}")),
        Err(error) => {
            error!(%error, "no link for a first account");
            None
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::Environment;
    use std::io::Write;
    use std::pin::pin;
    use tokio::time::timeout;

    /// For what is not done at all; many times `AGAIN`.
    const LONG: Duration = Duration::from_millis(500);
    const SOON: Duration = Duration::from_secs(20);

    pub(super) fn beginning(data: &Path) -> Beginning {
        let example = Path::new(env!("CARGO_MANIFEST_DIR")).join("config/dutyline.toml");
        let loaded = Config::load(&example, &Environment::new());
        let mut config = loaded.unwrap_or_else(|faults| panic!("{faults}")).config;
        config.storage.data = data.to_owned();
        Beginning::new(&config, Default::default(), Default::default(), mpsc::channel(1).0)
    }

    fn damaged() -> StoreError {
        StoreError::Corrupt("database disk image is malformed".to_owned())
    }

    /// A page may be read wrongly once.
    #[tokio::test]
    async fn esc_71_a_log_that_was_damaged_once_is_used_again_when_it_is_found_sound() {
        let folder = tempfile::tempdir().unwrap();
        let log = beginning(folder.path());
        let (store, opened) = log.open_log(None).await.unwrap();
        assert_eq!(opened.fault, None);
        let stopping = CancellationToken::new();
        let again = log.try_again(false, (opened.file, damaged()), None, &store, &stopping);
        assert_eq!(timeout(SOON, again).await, Ok(opened.file));
        store.writable().await.unwrap();
    }

    #[tokio::test]
    async fn esc_71_one_that_is_damaged_again_is_left_until_it_or_what_is_beside_it_has_changed() {
        let folder = tempfile::tempdir().unwrap();
        let log = beginning(folder.path());
        let (store, Opened { file, .. }) = log.open_log(None).await.unwrap();
        let stopping = CancellationToken::new();
        let mut again = pin!(log.try_again(false, (file, damaged()), file, &store, &stopping));
        assert!(timeout(LONG, &mut again).await.is_err());
        let wal = folder.path().join("dutyline.db-wal");
        let mut wal = std::fs::File::options().append(true).open(wal).unwrap();
        wal.write_all(b"no frame").unwrap();
        assert_eq!(timeout(SOON, &mut again).await, Ok(file));
    }

    /// `cp` is not done at once: SQLite would begin a new log in an empty file.
    #[tokio::test]
    async fn esc_71_a_backup_that_is_being_copied_over_is_waited_for_until_it_is_whole() {
        let folder = tempfile::tempdir().unwrap();
        let log = beginning(folder.path());
        let (store, Opened { file, .. }) = log.open_log(None).await.unwrap();
        let backup = folder.path().join("backup.db");
        store.back_up_to(backup.clone()).await.unwrap();
        let backup = std::fs::read(backup).unwrap();
        let is_there = || std::fs::read(log.database()).unwrap();
        let stopping = CancellationToken::new();
        let mut again = pin!(log.try_again(false, (file, damaged()), file, &store, &stopping));
        assert!(timeout(LONG, &mut again).await.is_err());
        for copied in [0, 1, 4096, backup.len() / 2, backup.len() - 4096] {
            std::fs::write(log.database(), &backup[..copied]).unwrap();
            assert!(timeout(LONG, &mut again).await.is_err(), "{copied}");
            assert!(is_there() == backup[..copied]);
        }
        std::fs::write(log.database(), &backup).unwrap();
        assert_eq!(timeout(SOON, &mut again).await, Ok(file));
        store.writable().await.unwrap();
        assert!(folder.path().join("dutyline.db-wal.aside-1").exists());
    }
}
