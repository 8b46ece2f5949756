//! The versions of the policy that this run goes by, and how they are read again while it runs.

use crate::config::faults::Faults;
use crate::config::{Config, Environment, Loaded};
use crate::duty::escalation::{Policy, Timetable, Version};
use crate::duty::rehearsal::findings;
use crate::duty::roster::Roster;
use crate::io::clock;
use crate::io::status::{Alarm, Board};
use crate::io::store::{Store, StoreError};
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

/// How often a log that does not take them is asked again.
const AGAIN: Duration = Duration::from_secs(2);

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

/// Where the version whose time has come cannot work, the last that was in force goes on, as the log has it. False where
/// there is none either, and nobody would know whom to call.
pub fn settle(config: &mut Config) -> bool {
    let channels: Vec<_> = config.channels.iter().map(|one| one.plan.clone()).collect();
    let database = config.storage.data.join("dutyline.db");
    let last = || {
        Store::policy_last_in_force_at(&database).unwrap_or_else(|error| {
            warn!(%error, "the policy that was in force last is not known");
            None
        })
    };
    config.policy.settle(last, (&config.roster, &channels), clock::now().wall)
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
    /// One reading after the other.
    turn: tokio::sync::Mutex<()>,
}

impl Desk {
    pub fn new(
        source: Option<Source>,
        running: Config,
        roster: Roster,
        (store, board, wake): (Store, Board, Arc<Notify>),
    ) -> (Self, Policies) {
        let (versions, seen) = watch::channel(Arc::new(running.policy.clone()));
        let turn = tokio::sync::Mutex::default();
        (Self { source, running, roster, store, board, wake, versions, turn }, Policies(seen))
    }

    /// What was read when the daemon started.
    pub fn begin(&self) {
        let loaded = self.running.policy.clone();
        self.show(&loaded);
        self.note(loaded.clone(), loaded);
    }

    /// What the file says by now. One with faults, and a version that cannot work, change nothing.
    pub async fn reload(&self) {
        let _turn = self.turn.lock().await;
        let Some(source) = self.source.clone() else { return };
        let read =
            tokio::task::spawn_blocking(move || Config::load(&source.path, &source.environment));
        match read.await {
            Ok(Ok(Loaded { config, .. })) => self.take(config),
            Ok(Err(faults)) => self.faulty(&faults),
            Err(error) => error!(%error, "the configuration cannot be read again"),
        }
    }

    fn take(&self, mut config: Config) {
        let channels: Vec<_> = self.running.channels.iter().map(|one| one.plan.clone()).collect();
        config.policy.judge(&self.running.roster, &channels);
        let (loaded, now) = (config.policy.clone(), clock::now().wall);
        let mut versions = loaded.clone();
        let before = Arc::clone(&self.versions.borrow());
        let first = &versions.first;
        if first.is_unreadable() || first.is_refused() && first.figures != before.first.figures {
            versions.first_stays(before.first.clone());
        }
        versions.go_on_with(before.in_force(now).clone(), now);
        config.policy = self.running.policy.clone();
        if format!("{config:?}") != format!("{:?}", self.running) {
            warn!("the file has changed beyond the policy: that takes a restart");
        }
        self.show(&versions);
        self.versions.send_replace(Arc::new(versions.clone()));
        self.wake.notify_one();
        info!(later = versions.later.len(), "the policy was read again");
        self.note(loaded, versions);
    }

    fn note(&self, loaded: Timetable, versions: Timetable) {
        let by = self.source.as_ref().map_or_else(String::new, |source| owner(&source.path));
        let (store, roster) = (self.store.clone(), self.roster.clone());
        let read = clock::now();
        // Without a log it waits for one, and the next reading for nobody.
        tokio::spawn(async move {
            let mut said = false;
            loop {
                let noted =
                    store.policies_are(loaded.clone(), versions.clone(), roster.clone(), &by, read);
                match noted.await {
                    Ok(()) | Err(StoreError::Closed) => return,
                    Err(error) if !said => {
                        said = true;
                        warn!(%error, "the versions of the policy are not in the log yet");
                    }
                    Err(_) => {}
                }
                tokio::time::sleep(AGAIN).await;
            }
        });
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
            format!("配置文件有错，没有重新载入，仍按原呼叫顺序运行；改好前不要重启服务，重启会启动不了。{zh}"),
            format!(
                "the file has faults and was not read again, the policy stays as it was; do not restart before it is mended: the service would not start. {en}"
            ),
        );
    }

    /// Versions that will never come into force, and one that cannot work and is in force for want of another, are an
    /// alarm, with what is wrong.
    fn show(&self, versions: &Timetable) {
        let later = versions.later.iter().find(|version| version.is_refused());
        let unread = Some(&versions.first).filter(|first| first.is_unreadable());
        let current = versions.in_force(clock::now().wall);
        let for_want = current.is_refused() && self.is_its_own_fault(current);
        let Some(version) = for_want.then_some(current).or(later).or(unread) else {
            self.board.update(|status| drop(status.alarms.remove("policy")));
            return;
        };
        let (zh, en) = why(version);
        error!(name = version.name, %en, "a version of the policy cannot work");
        let (name, stays) = (&version.name, &current.name);
        let (becomes_zh, becomes_en) = match for_want {
            true => (
                "但没有别的可用，正按它运行".to_owned(),
                "is in force for want of another".to_owned(),
            ),
            false => (
                format!("不会生效，现行呼叫顺序{stays}不变"),
                format!("will not come into force, the one that is ({stays}) goes on"),
            ),
        };
        self.alarm(
            format!("呼叫顺序{name}不能用，{becomes_zh}：{zh}"),
            format!("the policy {name} cannot work and {becomes_en}: {en}"),
        );
    }

    /// Refused for what it says, not for whom the roster lacks.
    fn is_its_own_fault(&self, version: &Version) -> bool {
        let channels: Vec<_> = self.running.channels.iter().map(|one| one.plan.clone()).collect();
        let any = findings(&Policy::default(), &self.running.roster, &channels);
        version.found.iter().any(|one| one.refused && !any.contains(one))
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
