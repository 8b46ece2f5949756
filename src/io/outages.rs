//! What did not work, told as facts: the switchboard keeps each until the log has it, beyond the end of the run.

use crate::duty::gaps::OutageKind;
use crate::duty::journal::{Fact, Noted};
use crate::duty::switchboard::Input;
use crate::io::clock;
use crate::io::store::Store;
use chrono::{DateTime, Utc};
use tokio::sync::mpsc;
use tracing::warn;

#[derive(Clone)]
pub struct Outages {
    pub orders: mpsc::Sender<Input>,
    pub store: Store,
}

impl Outages {
    pub async fn began(&self, kind: OutageKind, since: DateTime<Utc>, why: String) {
        self.tell(Fact::OutageBegan { kind, since, why }).await;
    }

    pub async fn over(&self, kind: OutageKind) {
        self.tell(Fact::OutageOver { kind }).await;
    }

    pub async fn clock_stepped(&self, from: DateTime<Utc>, to: DateTime<Utc>) {
        self.tell(Fact::ClockStepped { from, to }).await;
    }

    async fn tell(&self, fact: Fact) {
        let told = self.orders.send(Input::Note(fact)).await;
        // Without a line any more, the log is told itself.
        if let Err(mpsc::error::SendError(Input::Note(fact))) = told
            && let Err(error) = self.store.note(Noted { at: clock::now(), fact }).await
        {
            warn!(%error, "an outage could not be noted");
        }
    }
}
