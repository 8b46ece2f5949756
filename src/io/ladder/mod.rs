//! The SIP ladder of each call on its way into the log, and out of it again for a person to read.
//! Nothing here is waited for by the control task.

mod label;
pub mod print;

pub use label::{Label, label, legs, lines};

use super::status::{Board, Live};
use super::store::Store;
use crate::duty::ids::CallId;
use crate::duty::ladder::{Traced, What};
use crate::protocol::now::Now;
use std::collections::BTreeMap;
use std::time::Duration;
use tokio::sync::mpsc;
use tokio_util::sync::CancellationToken;
use tracing::{error, warn};

/// Steps that may wait for the log, each of 16 KiB at most.
const WAITING: usize = 1024;
/// Calls whose lost steps are counted apart.
const LOST_CALLS: usize = 256;
/// Steps written by one commit at most, and how long they are gathered for it.
const BATCH: usize = 256;
const GATHER: Duration = Duration::from_millis(300);
/// How long a log that cannot write is left alone.
const AGAIN: Duration = Duration::from_millis(500);

/// Where the control task puts what is to be kept, without ever waiting.
pub struct Traces {
    out: mpsc::Sender<Traced>,
    /// What found no room: how many, and since when.
    lost: BTreeMap<CallId, (Now, u32)>,
}

pub fn traces() -> (Traces, mpsc::Receiver<Traced>) {
    let (out, kept) = mpsc::channel(WAITING);
    (Traces { out, lost: BTreeMap::new() }, kept)
}

impl Traces {
    /// Takes the step if there is room, else counts it.
    pub fn put(&mut self, traced: Traced) {
        self.tell_lost();
        let refused = match self.lost.contains_key(&traced.call) {
            true => Some(traced),
            false => self.out.try_send(traced).err().map(mpsc::error::TrySendError::into_inner),
        };
        let Some(Traced { call, at, .. }) = refused else { return };
        if self.lost.len() < LOST_CALLS || self.lost.contains_key(&call) {
            self.lost.entry(call).or_insert((at, 0)).1 += 1;
        }
    }

    /// Says what was lost, as soon as there is room to say it.
    pub fn tell_lost(&mut self) {
        while let Some((call, (at, count))) = self.lost.pop_first() {
            let gap = Traced { call, at, what: What::Lost { count } };
            if self.out.try_send(gap).is_err() {
                self.lost.insert(call, (at, count));
                return;
            }
        }
    }
}

/// Writes ladders until the control task is gone and everything is written. While the log cannot
/// write, what does not fit is lost and counted.
pub async fn keep(
    mut traces: mpsc::Receiver<Traced>,
    store: Store,
    board: Board,
    give_up: CancellationToken,
) {
    let mut batch = vec![];
    while traces.recv_many(&mut batch, BATCH).await > 0 {
        if batch.len() < BATCH {
            tokio::time::sleep(GATHER).await;
            while batch.len() < BATCH
                && let Ok(traced) = traces.try_recv()
            {
                batch.push(traced);
            }
        }
        write(std::mem::take(&mut batch), &store, &board, &give_up).await;
    }
}

async fn write(batch: Vec<Traced>, store: &Store, board: &Board, give_up: &CancellationToken) {
    loop {
        match store.trace(batch.clone()).await {
            Ok(entries) => {
                entries.into_iter().for_each(|entry| board.tell(Live::Entry { entry }));
                return;
            }
            Err(error) if error.is_worth_waiting_for() && !give_up.is_cancelled() => {
                warn!(%error, steps = batch.len(), "SIP ladders wait for the log");
                tokio::time::sleep(AGAIN).await;
            }
            Err(error) => {
                error!(%error, steps = batch.len(), "SIP ladders could not be written");
                return;
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::io::clock;
    use uuid::Uuid;

    fn step(call: u128) -> Traced {
        Traced { call: CallId(Uuid::from_u128(call)), at: clock::now(), what: What::Cut }
    }

    #[test]
    fn rec_s11_what_finds_no_room_is_counted_and_told_at_its_place() {
        let (mut traces, mut kept) = traces();
        for _ in 0..WAITING {
            traces.put(step(1));
        }
        for _ in 0..3 {
            traces.put(step(2));
        }
        traces.put(step(1));
        assert_eq!(std::iter::from_fn(|| kept.try_recv().ok()).count(), WAITING);
        traces.put(step(1));
        let told: Vec<What> = std::iter::from_fn(|| kept.try_recv().ok()).map(|t| t.what).collect();
        assert_eq!(told, [What::Lost { count: 1 }, What::Lost { count: 3 }, What::Cut]);
    }

    #[test]
    fn rel_a_log_that_never_writes_costs_no_memory() {
        let (mut traces, _kept) = traces();
        for call in 0..10_000 {
            traces.put(step(call));
        }
        assert_eq!(traces.lost.len(), LOST_CALLS);
    }
}
