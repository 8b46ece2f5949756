//! Says something to telephones outside of calls: ordered of the control task, which nobody keeps waiting; whoever
//! ordered it waits here for what becomes of it.

use crate::duty::switchboard::Input;
use crate::protocol::sip::slip::{Reply, Says, Slip, SlipId};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;
use tokio::sync::broadcast::{self, error::RecvError};
use tokio::sync::mpsc;

/// Longer than any transaction lasts (RFC 3261 §17.1.2.2).
const WITHIN: Duration = Duration::from_secs(36);
/// Outcomes that whoever waits may not have looked at yet.
const OUTCOMES: usize = 256;

/// What the control task reports.
pub type Ended = (SlipId, Reply);

pub fn outcomes() -> broadcast::Sender<Ended> {
    broadcast::Sender::new(OUTCOMES)
}

#[derive(Clone)]
pub struct Slips {
    orders: mpsc::Sender<Input>,
    ended: broadcast::Sender<Ended>,
    next: Arc<AtomicU64>,
}

impl Slips {
    pub fn new(orders: mpsc::Sender<Input>, ended: broadcast::Sender<Ended>) -> Self {
        Self { orders, ended, next: Arc::default() }
    }

    pub async fn send(&self, target: &str, says: Says) -> Reply {
        let id = SlipId(self.next.fetch_add(1, Ordering::Relaxed));
        let mut ended = self.ended.subscribe();
        let slip = Slip { id, target: target.to_owned(), says };
        let done = async {
            if self.orders.send(Input::Slip(slip)).await.is_err() {
                return Reply::NotSent("the line is closed");
            }
            loop {
                match ended.recv().await {
                    Ok((other, reply)) if other == id => return reply,
                    Ok(_) | Err(RecvError::Lagged(_)) => {}
                    Err(RecvError::Closed) => return Reply::Silence,
                }
            }
        };
        tokio::time::timeout(WITHIN, done).await.unwrap_or(Reply::Silence)
    }
}
