//! A log that may be an older one than what goes on: what lies beside it and what the telephone does now is told it
//! before anything else.

use super::Beginning;
use crate::daemon::OPEN_MATTERS;
use crate::duty::checkpoint::GoesOn;
use crate::duty::escalation::Matter;
use crate::duty::switchboard::{Errand, LeaderCall};
use crate::io::open_matters;
use crate::io::store::{Store, StoreError};
use crate::protocol::now::Now;
use tokio::sync::oneshot;
use tracing::warn;

impl Beginning {
    /// In a log that this run does not begin in: it is told again what it may lack of this run's calls; whatever it has
    /// in progress and the telephone does not know of has ended meanwhile. The calls to leaders that go on.
    pub(super) async fn follow(
        &self,
        store: &Store,
        now: Now,
    ) -> Result<Vec<LeaderCall>, StoreError> {
        let (answer, answered) = oneshot::channel();
        let asked = self.line.send(answer).await.is_ok();
        // The control task is gone: the daemon is about to end.
        let Some(GoesOn { calls, to_leaders }) = answered.await.ok().filter(|_| asked) else {
            return Ok(vec![]);
        };
        let lacked = store.tell_again().await?;
        if !lacked.is_empty() {
            warn!(
                calls = lacked.len(),
                "the log lacks calls of this run: it is told of them again"
            );
        }
        let ended = store.interrupted_in_a_backup(calls, now).await?;
        if !ended.is_empty() {
            warn!(calls = ended.len(), "the log has calls in progress that ended before");
        }
        Ok(to_leaders)
    }

    /// A log that is older than what lies beside it was put back from a backup: what was open is open.
    pub(super) async fn raise_what_it_lacks(
        &self,
        store: &Store,
        mut told: Vec<LeaderCall>,
        now: Now,
    ) -> anyhow::Result<()> {
        let beside = self.config.storage.data.join(OPEN_MATTERS);
        let (all_at, mut matters) = (open_matters::all_at(&beside), open_matters::recall(&beside));
        told.retain(|call| matches!(call.errand, Errand::Tell | Errand::Remind | Errand::Confirm));
        matters.extend(told.iter().map(|call| Matter::new(call.entry, call.urgency)));
        for entry in store.tell_of_leaders_again((&matters, all_at), now).await {
            warn!(%entry, "the log lacks calls to leaders in this urgent matter: it is told of them again");
        }
        if matters.is_empty() {
            return Ok(());
        }
        let calls = told.iter().map(|call| call.made(&self.config.roster)).collect();
        let raised = store.raise_what_is_lacking(matters, calls, now).await?;
        for entry in raised {
            warn!(%entry, "the log lacks an urgent matter that was open: it is raised again");
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests;
