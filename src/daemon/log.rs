//! The log: opened with what the last run left, and kept; where it cannot be, tried again and again.

use super::OPEN_MATTERS;
use crate::config::Config;
use crate::duty::gaps::{self, Life};
use crate::duty::ids::CallId;
use crate::duty::journal::Fact;
use crate::duty::ladder::Traced;
use crate::duty::switchboard::Input;
use crate::io::store::{Store, StoreError};
use crate::io::{clock, ladder, life, logbook, open_matters, tape};
use crate::protocol::now::Now;
use anyhow::Context;
use chrono::{DateTime, Utc};
use std::collections::BTreeSet;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, SystemTime};
use tokio::sync::{Notify, mpsc};
use tokio::task::{JoinHandle, spawn_blocking};
use tokio_util::sync::CancellationToken;
use tracing::{error, info, warn};

/// How often a log that is of no use is tried again.
const AGAIN: Duration = Duration::from_secs(2);

/// What the first rows of a run say. **Written before anything else of the run, once.**
pub struct Beginning {
    config: Config,
    /// Calls of the last run that go on in this one.
    go_on: BTreeSet<CallId>,
    /// Since when nobody served the line, and why.
    down: Option<(DateTime<Utc>, &'static str)>,
    life: Option<Life>,
    now: Now,
    there_was_none: bool,
    /// Its first rows are written, one after the other.
    written: AtomicUsize,
}

impl Beginning {
    pub fn new(
        config: &Config,
        go_on: BTreeSet<CallId>,
        down: Option<(DateTime<Utc>, &'static str)>,
        life: Option<Life>,
    ) -> Self {
        let (config, now) = (config.clone(), clock::now());
        let mut new = Self {
            config,
            go_on,
            down,
            life,
            now,
            there_was_none: false,
            written: AtomicUsize::new(0),
        };
        new.there_was_none = new.file().is_none();
        new
    }

    /// Length and age of the database; `None`: there is none.
    fn file(&self) -> Option<(u64, SystemTime)> {
        let file = std::fs::metadata(self.database()).ok()?;
        Some((file.len(), file.modified().ok()?))
    }

    fn database(&self) -> PathBuf {
        self.config.storage.data.join("dutyline.db")
    }

    /// Where it is damaged or cannot be read or written, the telephone goes on without it: facts wait, and leaders are
    /// called from what is known beside it. False for one that is of no use yet.
    ///
    /// # Errors
    /// When it is another daemon's, or of a newer program.
    pub async fn open_log(&self) -> anyhow::Result<(Store, bool)> {
        let database = self.database();
        let told = |error: &StoreError| {
            let (zh, en) = error.remedy();
            format!("{}: {error}: {en}（{zh}）", database.display())
        };
        let store = match Store::open(&database, clock::random()) {
            Ok(store) => store,
            Err(
                fault @ (StoreError::Held { .. }
                | StoreError::Newer { .. }
                | StoreError::OldSqlite(_)),
            ) => return Err(anyhow::anyhow!(told(&fault))),
            Err(fault) => {
                error!("there is no log in this run: {}", told(&fault));
                let store = Store::of_no_use(&database, fault.to_string());
                let store = store.map_err(|fault| anyhow::anyhow!(told(&fault)))?;
                store.holds_back();
                return Ok((store, false));
            }
        };
        store.holds_back();
        match self.write(&store).await {
            Ok(()) => {
                store.begins();
                Ok((store, true))
            }
            Err(fault) => {
                error!("the log refuses its first rows, the telephone goes on: {fault:#}");
                Ok((store, false))
            }
        }
    }

    /// Until the log takes them, or the daemon stops.
    pub async fn keep_trying(self, store: Store, wake: Arc<Notify>, stopping: CancellationToken) {
        let (mut said, mut seen) = (String::new(), None);
        loop {
            tokio::select! {
                () = tokio::time::sleep(AGAIN) => {}
                () = stopping.cancelled() => return,
            }
            // Whoever puts another in its place may not have finished.
            let now_is = self.file();
            if seen.replace(now_is) != Some(now_is) || (now_is.is_none() && !self.there_was_none) {
                continue;
            }
            let (opened, database) = (store.clone(), self.database());
            let opening = spawn_blocking(move || opened.reopen(&database, clock::random()));
            let begun = match opening.await {
                Ok(Ok(())) => self.write(&store).await,
                Ok(Err(fault)) => Err(fault.into()),
                Err(fault) => Err(fault.into()),
            };
            match begun {
                Ok(()) => {
                    store.begins();
                    info!("the log can be used from now on");
                    return wake.notify_one();
                }
                Err(fault) if fault.to_string() != said => {
                    said = fault.to_string();
                    warn!("the log is still of no use: {fault:#}");
                }
                Err(_) => {}
            }
        }
    }

    /// What this run cannot know of, told as facts: the next run tells them again where this one never has a log.
    pub async fn say_since_when(&self, orders: &mpsc::Sender<Input>) {
        let told = self.down.map(|(since, _)| since);
        let boot = life::here(self.now).boot;
        let Some(away) = gaps::away(told, self.life, boot, self.now) else { return };
        let why = self.down.map_or("服务中断 · no daemon was running", |(_, why)| why);
        let mut facts = vec![Fact::Away { since: away.since, why: why.to_owned() }];
        if let Some((from, to)) = away.stepped {
            warn!(%from, %to, "the clock was set while no daemon was running");
            facts.push(Fact::ClockStepped { from, to });
        }
        for fact in facts {
            // The control task is gone: the daemon is about to end.
            let _ = orders.send(Input::Note(fact)).await;
        }
    }

    /// What the last run left open is closed, but for the calls that go on; the configured contacts are in the log.
    async fn write(&self, store: &Store) -> anyhow::Result<()> {
        let Self { go_on, now, .. } = self;
        if self.written.load(Ordering::Relaxed) == 0 {
            let interrupted = store.interrupted_calls(go_on.clone(), *now).await;
            let interrupted = interrupted.context("the last run's calls")?;
            self.written.store(1, Ordering::Relaxed);
            if !interrupted.is_empty() {
                warn!(calls = interrupted.len(), "the last run ended in the middle of calls");
            }
        }
        if let Err(fault) = self.say_the_rest(store).await {
            error!("the log goes on without something: {fault:#}");
        }
        Ok(())
    }

    /// What this run can do without.
    async fn say_the_rest(&self, store: &Store) -> anyhow::Result<()> {
        let Self { config, now, .. } = self;
        self.raise_what_it_lacks(store).await.context("what is open beside the log")?;
        if store.settings_are(format!("{config:?}"), *now).await.context("the settings")? {
            info!("these settings are new to the log");
        }
        let numbering = config.callers.numbering.clone();
        let renumbered = store.set_numbering(numbering.clone()).await.context("the numbering")?;
        if renumbered > 0 {
            info!(calls = renumbered, "calls of the past are compared by the new numbering");
        }
        store.set_contacts(config.contacts.clone(), numbering).await.context("the contacts")
    }

    /// A log that is older than what lies beside it was put back from a backup: what was open is open.
    async fn raise_what_it_lacks(&self, store: &Store) -> anyhow::Result<()> {
        let matters = open_matters::recall(&self.config.storage.data.join(OPEN_MATTERS));
        if matters.is_empty() {
            return Ok(());
        }
        let matters = matters.into_iter().map(|one| (one.entry, one.urgency)).collect();
        let raised = store.raise_what_is_lacking(matters, self.now).await?;
        for entry in raised {
            warn!(%entry, "the log lacks an urgent matter that was open: it is raised again");
        }
        Ok(())
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
