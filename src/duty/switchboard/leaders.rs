//! Calls to leaders as the escalator orders them, and what becomes of what they press.

use crate::duty::ids::{AttemptId, EntryId};
use crate::duty::journal::Urgency;
use crate::duty::pin::Pin;
use serde::{Deserialize, Serialize};
use std::time::Duration;

/// A call to a leader, ordered by the escalator.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct LeaderCall {
    pub attempt: AttemptId,
    pub entry: EntryId,
    /// Shown in the log where he comes into a call.
    pub person: String,
    pub target: String,
    pub urgency: Urgency,
    pub ring: Duration,
    pub errand: Errand,
    /// His last call in this matter was cut by a crash: he is told so.
    pub after_cut: bool,
    /// Content follows it.
    pub pin: Option<Pin>,
}

/// What somebody is called for.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Errand {
    /// There is something urgent.
    #[default]
    Tell,
    /// He has acknowledged, and not looked at it yet.
    Remind,
    /// The desk: a leader has given an instruction, which is to be confirmed.
    Confirm,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum AckOutcome {
    /// This key press acknowledged the escalation.
    First,
    /// Somebody else had already; this person knows now too.
    Late,
    /// The escalation was withdrawn meanwhile.
    Withdrawn,
    /// Another of the same rank stands in for him from now on.
    HandedOn,
    /// Nobody may stand in for him: the next of the ladder is called.
    PassedOn,
    /// His instruction is in the log.
    Instructed,
}

/// Why an attempt is no longer wanted.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum Unwanted {
    /// Somebody else has acknowledged.
    Acknowledged,
    Withdrawn,
    /// Nothing was heard of it for too long: it is made again.
    Lost,
    /// What it was to remind of is done.
    Settled,
}
