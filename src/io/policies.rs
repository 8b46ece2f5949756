//! The versions of the policy that this run goes by, and how they are read again while it runs.

use crate::config::faults::Faults;
use crate::config::{Config, Environment, Loaded};
use crate::duty::escalation::{Timetable, Version};
use crate::duty::roster::Roster;
use crate::io::clock;
use crate::io::status::{Alarm, Board};
use crate::io::store::Store;
use chrono::{DateTime, Utc};
use std::fs;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::{Notify, watch};
use tracing::{error, info, warn};

/// The wall clock may be set at any time: it is looked at this often.
const GLANCE: Duration = Duration::from_millis(500);

/// What every part goes by.
#[derive(Debug, Clone)]
pub struct Policies(watch::Receiver<Arc<Timetable>>);

impl From<Timetable> for Policies {
    fn from(versions: Timetable) -> Self {
        Self(watch::channel(Arc::new(versions)).1)
    }
}

impl Default for Policies {
    fn default() -> Self {
        Timetable::default().into()
    }
}

impl Policies {
    pub fn now(&self) -> Arc<Timetable> {
        Arc::clone(&self.0.borrow())
    }

    /// From when on the version holds that is in force now.
    pub fn since(&self) -> Option<DateTime<Utc>> {
        self.0.borrow().in_force(clock::now().wall).from
    }

    /// Ends when another is in force than the one that holds since then.
    pub async fn turned(&self, since: Option<DateTime<Utc>>) {
        if self.0.borrow().later.is_empty() {
            return std::future::pending().await;
        }
        while self.since() == since {
            tokio::time::sleep(GLANCE).await;
        }
    }
}

/// The file that they are read from.
#[derive(Debug, Clone)]
pub struct Source {
    pub path: PathBuf,
    pub environment: Environment,
}

/// Reads the file again whenever it is told to. Nothing but the policy is taken from it.
pub struct Desk {
    source: Option<Source>,
    /// By which everything else goes.
    running: Config,
    roster: Roster,
    store: Store,
    board: Board,
    wake: Arc<Notify>,
    versions: watch::Sender<Arc<Timetable>>,
}

impl Desk {
    pub fn new(
        source: Option<Source>,
        running: Config,
        roster: Roster,
        (store, board, wake): (Store, Board, Arc<Notify>),
    ) -> (Self, Policies) {
        let (versions, seen) = watch::channel(Arc::new(running.policy.clone()));
        (Self { source, running, roster, store, board, wake, versions }, Policies(seen))
    }

    /// What was read when the daemon started.
    pub async fn begin(&self) {
        let loaded = self.running.policy.clone();
        self.show(&loaded);
        self.note(loaded.clone(), loaded).await;
    }

    /// What the file says by now. One with faults, and a version that cannot work, change nothing.
    pub async fn reload(&self) {
        let Some(source) = self.source.clone() else { return };
        let read =
            tokio::task::spawn_blocking(move || Config::load(&source.path, &source.environment));
        match read.await {
            Ok(Ok(Loaded { config, .. })) => self.take(config).await,
            Ok(Err(faults)) => self.faulty(&faults),
            Err(error) => error!(%error, "the configuration cannot be read again"),
        }
    }

    async fn take(&self, mut config: Config) {
        let channels: Vec<_> = self.running.channels.iter().map(|one| one.plan.clone()).collect();
        config.policy.judge(&self.running.roster, &channels);
        let loaded = config.policy.clone();
        let mut versions = loaded.clone();
        let before = Arc::clone(&self.versions.borrow());
        if versions.first.is_refused() && versions.first.figures != before.first.figures {
            versions.first = before.first.clone();
        }
        config.policy = self.running.policy.clone();
        if format!("{config:?}") != format!("{:?}", self.running) {
            warn!("the file has changed beyond the policy: that takes a restart");
        }
        self.show(&loaded);
        self.versions.send_replace(Arc::new(versions.clone()));
        self.wake.notify_one();
        info!(later = versions.later.len(), "the policy was read again");
        self.note(loaded, versions).await;
    }

    async fn note(&self, loaded: Timetable, versions: Timetable) {
        let by = self.source.as_ref().map_or_else(String::new, |source| owner(&source.path));
        let noted =
            self.store.policies_are(loaded, versions, self.roster.clone(), &by, clock::now());
        if let Err(error) = noted.await {
            warn!(%error, "the versions of the policy are not in the log yet");
        }
    }

    fn faulty(&self, faults: &Faults) {
        for fault in &faults.list {
            error!(field = fault.field, en = fault.say.en, zh = fault.say.zh, "not read again");
        }
        let first = faults.list.first();
        let (zh, en) = first.map_or_else(Default::default, |fault| {
            let said = |text: &str| format!("{}：{text}", fault.field);
            (said(&fault.say.zh), said(&fault.say.en))
        });
        self.alarm(
            format!("配置文件有错，没有重新载入，呈报预案不变。{zh}"),
            format!("the file has faults and was not read again, the policy stays as it was. {en}"),
        );
    }

    /// Versions that will never come into force are an alarm, with what is wrong.
    fn show(&self, loaded: &Timetable) {
        let coming = loaded.later.iter();
        let changed =
            (loaded.first.figures != self.running.policy.first.figures).then_some(&loaded.first);
        let mut refused = coming.chain(changed).filter(|version| version.is_refused());
        let Some(version) = refused.next() else {
            self.board.update(|status| drop(status.alarms.remove("policy")));
            return;
        };
        let (zh, en) = why(version);
        error!(name = version.name, %en, "a version of the policy cannot work: it is refused");
        let name = &version.name;
        self.alarm(
            format!("呈报预案{name}不能用，不会生效：{zh}"),
            format!("the policy {name} cannot work and will not come into force: {en}"),
        );
    }

    fn alarm(&self, zh: String, en: String) {
        let alarm = Alarm { since: clock::now().wall, zh, en };
        self.board.update(|status| drop(status.alarms.insert("policy", alarm)));
    }
}

fn why(version: &Version) -> (&str, &str) {
    let refused = version.found.iter().find(|one| one.refused);
    refused.map_or(("", ""), |one| (&one.zh, &one.en))
}

/// Whose file it is, by name where the host has one.
fn owner(path: &Path) -> String {
    let Ok(uid) = fs::metadata(path).map(|of| of.uid()) else { return String::new() };
    let users = fs::read_to_string("/etc/passwd").unwrap_or_default();
    let own = |line: &str| {
        let mut fields = line.split(':');
        let name = fields.next()?.to_owned();
        (fields.nth(1)?.parse() == Ok(uid)).then_some(name)
    };
    users.lines().find_map(own).unwrap_or_else(|| format!("uid {uid}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_is_somebodys() {
        let folder = tempfile::tempdir().unwrap();
        assert!(!owner(folder.path()).is_empty());
        assert_eq!(owner(&folder.path().join("none")), "");
    }
}
