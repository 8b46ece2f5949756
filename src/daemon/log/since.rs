//! Since when nobody was there, by what lies beside the log; and since when the log itself says nothing.

use super::Beginning;
use crate::duty::gaps::{self, Away};
use crate::duty::journal::Fact;
use crate::duty::switchboard::Input;
use crate::io::life;
use crate::io::store::{Store, StoreError};
use crate::protocol::now::Now;
use chrono::{DateTime, Utc};
use tokio::sync::mpsc;
use tracing::warn;

impl Beginning {
    fn away(&self) -> Option<Away> {
        let told = self.down.map(|(since, _)| since);
        gaps::away(told, self.life, life::here(self.now).boot, self.now)
    }

    /// What the clock should have said at the start, and what it said, where that is hardly right.
    pub fn clock_jumped(&self) -> Option<(DateTime<Utc>, DateTime<Utc>)> {
        self.away()?.jumped(self.now)
    }

    /// What this run cannot know of, told as facts: the next run tells them again where this one never has a log.
    pub async fn say_since_when(&self, orders: &mpsc::Sender<Input>) {
        let Some(away) = self.away() else { return };
        let why = self.down.map_or("服务中断 · no daemon was running", |(_, why)| why);
        let mut facts = vec![];
        if let Some((from, to)) = away.stepped {
            warn!(%from, %to, "the clock was set while no daemon was running");
            facts.push(Fact::ClockStepped { from, to });
        }
        facts.push(Fact::Away { since: away.since, why: why.to_owned() });
        for fact in facts {
            // The control task is gone: the daemon is about to end.
            let _ = orders.send(Input::Note(fact)).await;
        }
    }

    /// A log that is older than the one that was written into last was put back from a backup: what it lacks, nobody can say.
    pub(super) async fn take_up(&self, store: &Store, now: Now) -> Result<(), StoreError> {
        let alone = self.life.is_none() && self.down.is_none();
        if let Some(since) = store.is_taken_up(alone, now).await? {
            warn!(%since, "a backup of the log was put back: what happened since then is not in it");
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::super::tests::beginning;
    use crate::io::clock;
    use crate::io::store::{OutageKind, Store};
    use chrono::TimeDelta;

    /// As the README says it: the daemon is stopped, the log moved away, a backup put in its place.
    #[tokio::test]
    async fn rel_12_a_run_that_begins_with_a_backup_says_since_when_the_log_says_nothing() {
        let folder = tempfile::tempdir().unwrap();
        let opened = async || -> Store { beginning(folder.path()).open_log(None).await.unwrap().0 };
        let lacks = async |store: &Store| {
            let day = clock::now().wall - TimeDelta::days(1);
            store.restored_since(day).await.unwrap()
        };
        let store = opened().await;
        let backup = folder.path().join("backup.db");
        store.back_up_to(backup.clone()).await.unwrap();
        store.settings_are("of another day".to_owned(), clock::now()).await.unwrap();
        drop(store);
        let store = opened().await;
        assert_eq!(lacks(&store).await, None, "the same log");
        drop(store);
        let log = folder.path().join("dutyline.db");
        for ending in ["db", "db-wal", "db-shm"] {
            let _ = std::fs::remove_file(log.with_extension(ending));
        }
        std::fs::copy(&backup, &log).unwrap();
        let store = opened().await;
        let row = lacks(&store).await.unwrap();
        assert!(
            row.kind == OutageKind::Log && row.stretch().unlogged && row.from < clock::now().wall
        );
        let put_back = row.to;
        drop(store);
        let store = opened().await;
        assert_eq!(lacks(&store).await.map(|row| row.to), Some(put_back), "once");
    }
}
