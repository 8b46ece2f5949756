//! The log: opened with what the last run left, and kept.

use crate::config::Config;
use crate::duty::gaps::{self, Life};
use crate::duty::ids::CallId;
use crate::duty::ladder::Traced;
use crate::io::store::{OutageKind, Store, StoreError};
use crate::io::{clock, ladder, life, logbook, tape};
use crate::protocol::now::Now;
use anyhow::Context;
use chrono::{DateTime, Utc};
use std::collections::BTreeSet;
use std::net::SocketAddr;
use std::path::Path;
use tokio::sync::mpsc;
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;
use tracing::{error, info, warn};

/// Where it is damaged or cannot be read, the telephone goes on without it: facts wait, and leaders are called from
/// what is known beside it.
fn open_store(database: &Path) -> anyhow::Result<(Store, bool)> {
    let told = |error: &StoreError| {
        let (zh, en) = error.remedy();
        format!("{}: {error}: {en}（{zh}）", database.display())
    };
    let opened = match Store::open(database, clock::random()) {
        Ok(store) => Ok((store, true)),
        Err(fault @ (StoreError::Damaged(_) | StoreError::Unreadable(_))) => {
            error!("there is no log in this run: {}", told(&fault));
            Store::of_no_use(database, fault.to_string()).map(|store| (store, false))
        }
        Err(fault) => Err(fault),
    };
    opened.map_err(|fault| anyhow::anyhow!(told(&fault)))
}

/// What the last run left open is closed, but for the calls that go on; the configured contacts
/// are in the log. False for one that is of no use in this run.
pub async fn open_log(
    config: &Config,
    go_on: BTreeSet<CallId>,
    down: Option<(DateTime<Utc>, &str)>,
    life: Option<Life>,
) -> anyhow::Result<(Store, bool)> {
    let (store, usable) = open_store(&config.storage.data.join("dutyline.db"))?;
    if !usable {
        return Ok((store, false));
    }
    let now = clock::now();
    let interrupted = store.interrupted_calls(go_on, now).await.context("the last run's calls")?;
    note_away(&store, down, life, now).await.context("the time without a daemon")?;
    if !interrupted.is_empty() {
        warn!(calls = interrupted.len(), "the last run ended in the middle of calls");
    }
    if store.settings_are(format!("{config:?}"), now).await.context("the settings")? {
        info!("these settings are new to the log");
    }
    let numbering = config.callers.numbering.clone();
    let renumbered = store.set_numbering(numbering.clone()).await.context("the numbering")?;
    if renumbered > 0 {
        info!(calls = renumbered, "calls of the past are compared by the new numbering");
    }
    store.set_contacts(config.contacts.clone(), numbering).await.context("the contacts")?;
    Ok((store, true))
}

/// What this run cannot know of, and what the last one left open.
async fn note_away(
    store: &Store,
    down: Option<(DateTime<Utc>, &str)>,
    life: Option<Life>,
    now: Now,
) -> Result<(), StoreError> {
    let told = down.map(|(since, _)| since);
    let Some(away) = gaps::away(told, life, life::here(now).boot, now) else { return Ok(()) };
    store.outages_left(away.since).await?;
    if let Some((from, to)) = away.stepped {
        warn!(%from, %to, "the clock was set while no daemon was running");
        store.clock_stepped(from, to, now).await?;
    }
    let why = down.map_or("服务中断 · no daemon was running", |(_, why)| why);
    store.outage_was(OutageKind::Service, away.since, why, now).await
}

pub fn keep_log(
    facts: logbook::Told,
    recordings: mpsc::UnboundedReceiver<tape::Event>,
    traced: mpsc::Receiver<Traced>,
    readers: logbook::Readers,
    stopping: &CancellationToken,
) -> Vec<JoinHandle<()>> {
    let (store, board) = (readers.store.clone(), readers.board.clone());
    let ladders = ladder::keep(traced, store.clone(), board.clone(), stopping.clone());
    let recordings = logbook::keep_recordings(recordings, store, board, stopping.clone());
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
