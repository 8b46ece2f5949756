//! One channel's worker: looks what is owed, sends it, writes down how it fared.

use super::Sender;
use super::troubles::Troubles;
use crate::duty::ids::DeliveryId;
use crate::duty::notices::{Kind, Verdict};
use crate::io::clock;
use crate::io::status::{Board, Live};
use crate::io::store::{Look, Outgoing, Store};
use crate::protocol::now::Deadline;
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::broadcast::{
    self,
    error::{RecvError, TryRecvError},
};
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;
use tracing::{info, trace, warn};

/// Messages under way at once: one that hangs holds up no other matter.
const IN_FLIGHT: usize = 4;
/// The clock of the host is looked at this often: a suspended host does not run timers.
const GLANCE: Duration = Duration::from_secs(1);
/// How long a log that refused is left alone.
const AGAIN: Duration = Duration::from_millis(500);
/// A try that failed so often is shown.
const SHOWN_AFTER: usize = 2;
/// So is a provider that asks for more patience than this.
const PATIENCE: Duration = Duration::from_secs(180);

pub struct Worker {
    pub sender: Arc<Sender>,
    pub store: Store,
    pub board: Board,
    pub troubles: Troubles,
}

type Sent = (Vec<(DeliveryId, u32)>, usize, Verdict);

impl Worker {
    pub async fn serve(self, stopping: CancellationToken) {
        let mut live = self.board.listen();
        let sender = self.sender;
        let (plan, store) = (sender.plan().clone(), self.store);
        let mut under_way: JoinSet<Sent> = JoinSet::new();
        // Two messages on one serial line are none; to one telephone there is one at a time (RFC 3428 §8).
        let one = matches!(plan.kind, Kind::Modem | Kind::SipMessage);
        let at_once = if one { 1 } else { IN_FLIGHT };
        while !stopping.is_cancelled() {
            // What has happened until now is seen by the look that follows.
            while !matches!(live.try_recv(), Err(TryRecvError::Empty | TryRecvError::Closed)) {}
            let until = if under_way.len() < at_once {
                match store.next_notice(&plan, clock::now()).await {
                    Ok(look) => {
                        let sent = look.send.is_some();
                        if let Some(why) = look.failed {
                            self.troubles.add_unless_known(&plan.name, why);
                        }
                        let until = take(look, &sender, &mut under_way, &self.board);
                        if sent {
                            continue;
                        }
                        until
                    }
                    Err(error) => {
                        warn!(channel = plan.name, %error, "the outbox cannot be read");
                        Some((clock::mono() + AGAIN, "the log refused"))
                    }
                }
            } else {
                None
            };
            tokio::select! {
                () = due(until) => {}
                () = news(&mut live) => {}
                Some(done) = under_way.join_next() => match done {
                    Ok((tries, nth, verdict)) => {
                        shown(&plan.name, nth, &verdict, &self.troubles);
                        note(&store, &plan, tries, verdict, &stopping).await;
                    }
                    // Its lease tells when it is tried again.
                    Err(error) => warn!(channel = plan.name, %error, "a message was not sent"),
                },
                () = stopping.cancelled() => return,
            }
        }
    }
}

fn take(
    look: Look,
    sender: &Arc<Sender>,
    under_way: &mut JoinSet<Sent>,
    board: &Board,
) -> Option<Deadline> {
    for live in look.live {
        board.tell(live);
    }
    if let Some(outgoing) = look.send {
        let channel = &sender.plan().name;
        info!(channel, delivery = %outgoing.name, nth = outgoing.nth, "telling a channel");
        let sender = Arc::clone(sender);
        under_way.spawn(async move {
            let verdict = sender.send(&outgoing).await;
            let Outgoing { tries, nth, .. } = outgoing;
            (tries, nth, verdict)
        });
    }
    look.until
}

/// The result is written, however long the log refuses it: until then the lease holds.
async fn note(
    store: &Store,
    plan: &crate::duty::notices::Channel,
    tries: Vec<(DeliveryId, u32)>,
    verdict: Verdict,
    stopping: &CancellationToken,
) {
    loop {
        match store.notice_ended(plan, tries.clone(), verdict.clone(), clock::now()).await {
            Ok(()) => return,
            Err(error) if error.is_worth_waiting_for() && !stopping.is_cancelled() => {
                warn!(channel = plan.name, %error, "how a message fared cannot be written yet");
                tokio::time::sleep(AGAIN).await;
            }
            Err(error) => {
                warn!(channel = plan.name, %error, "how a message fared is not written");
                return;
            }
        }
    }
}

fn shown(channel: &str, nth: usize, verdict: &Verdict, troubles: &Troubles) {
    match verdict {
        Verdict::Accepted { .. } => troubles.clear(channel),
        Verdict::Permanent { why } | Verdict::Gone { why } => {
            warn!(channel, why, "a channel refuses its message");
            troubles.add(channel, why);
        }
        Verdict::Retry { why, .. } | Verdict::Unknown { why } => {
            info!(channel, why, nth, "a channel did not take its message");
            let patience = match verdict {
                Verdict::Retry { after: Some(after), .. } => *after,
                _ => Duration::ZERO,
            };
            if nth >= SHOWN_AFTER || patience > PATIENCE {
                troubles.add(channel, why);
            }
        }
    }
}

/// Ends when an escalation has changed, or may have.
async fn news(live: &mut broadcast::Receiver<Live>) {
    loop {
        match live.recv().await {
            Ok(Live::Escalation { .. }) | Err(RecvError::Lagged(_)) => return,
            Ok(
                Live::Ringing { .. }
                | Live::Entry { .. }
                | Live::NotPlaced { .. }
                | Live::Status
                | Live::Levels { .. },
            ) => {}
            Err(RecvError::Closed) => return std::future::pending().await,
        }
    }
}

/// Ends when the deadline has come on the host's clock; never without one.
async fn due(until: Option<Deadline>) {
    let Some((until, why)) = until else { return std::future::pending().await };
    trace!(why, "waiting");
    loop {
        let left = until.since(clock::mono());
        if left.is_zero() {
            return;
        }
        tokio::time::sleep(left.min(GLANCE)).await;
    }
}
