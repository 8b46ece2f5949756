//! The quiet channels of an escalation: what is said beside the telephone, when, how often, and
//! what an answer means. A stored row and one pure decision, as for the calls.
//!
//! It knows no provider's format and no secret: those are the adapters'.

mod alarms;
mod content;
mod decide;
mod pace;
mod plan;
pub mod reply;
mod verdict;

pub use alarms::{Alarms, Standing, alarm_text, told};
pub use content::{Item, Text, asking_text, short_numbers, short_text, text};
pub use decide::decide;
pub use pace::{Quota, Window};
pub use plan::{Channel, Kind, off_the_half_hour};
pub use verdict::{Ending, Verdict};

use super::escalation::{Moment, State};
use super::ids::{DeliveryId, EscalationId};
use super::journal::Urgency;
use crate::protocol::now::Deadline;
use serde::{Deserialize, Serialize};

/// What a channel is told.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum What {
    /// An urgent matter, or one that has become more urgent.
    Alert,
    /// Nobody has acknowledged yet.
    Repeat,
    /// 撤回
    Withdrawn,
    /// 交接: somebody else leads by now, and is called instead of him who reads this.
    HandedOver,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Progress {
    /// To be sent, being sent, or to be tried again.
    Waiting,
    /// The provider has it. Whether anybody reads it is another matter.
    Accepted,
    Failed,
    /// Nobody needs it any more, and it was not sent.
    Dropped,
}

/// One delivery as it was read from the log.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Delivery {
    pub id: DeliveryId,
    pub escalation: EscalationId,
    /// As it is at this moment: read in the same transaction.
    pub matter: State,
    pub urgency: Urgency,
    pub what: What,
    /// For this person alone; `None`: for all that the channel is for.
    pub person: Option<String>,
    pub made: Moment,
    pub progress: Progress,
    /// Oldest first.
    pub tries: Vec<Try>,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Try {
    pub no: u32,
    pub started: Moment,
    /// `None`: in flight.
    pub ended: Option<(Moment, Ending)>,
}

/// What is known of one channel: everything that waits, everything of open escalations, oldest
/// first, and when something was last on the wire.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Queue {
    pub deliveries: Vec<Delivery>,
    /// Messages that left, oldest first, as far back as the quotas reach.
    pub sent: Vec<Moment>,
}

/// What is to be done for a channel now. Whatever it says is written down before it is done; then
/// it is asked again, until it says `Wait`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Step {
    /// Nothing was heard of these tries for longer than they may take.
    Lost(Vec<(DeliveryId, u32)>),
    /// These are over, and why.
    Settle(Vec<(DeliveryId, Progress, &'static str)>),
    /// Nobody has acknowledged: these are to be said again.
    Repeat(Vec<EscalationId>),
    /// One message; the first gives it its name.
    Send(Vec<DeliveryId>),
    /// Nothing before then unless something happens; `None`: nothing is known to come.
    Wait(Option<Deadline>),
}

impl Delivery {
    fn in_flight(&self) -> Option<&Try> {
        self.tries.last().filter(|last| last.ended.is_none())
    }

    /// Somebody may have seen it.
    fn may_have_arrived(&self) -> bool {
        self.tries.iter().any(|one| match one.ended {
            Some((_, Ending::Accepted | Ending::Unknown | Ending::Lost)) => true,
            Some((_, Ending::Retry { .. } | Ending::Permanent | Ending::Gone)) => false,
            None => true,
        })
    }
}
