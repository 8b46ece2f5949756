//! What must be known of an urgent matter beside the log, so that it is called for where the log is lost.

use super::{Escalation, State};
use crate::duty::ids::EntryId;
use crate::duty::journal::Urgency;
use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Matter {
    pub entry: EntryId,
    pub urgency: Urgency,
    /// `None`: whoever wrote it down did not know.
    #[serde(default)]
    pub raised: Option<DateTime<Utc>>,
    /// Who has acknowledged it, where more is to follow all the same.
    #[serde(default)]
    pub known_to: Option<String>,
}

impl Matter {
    pub fn new(entry: EntryId, urgency: Urgency) -> Self {
        Self { entry, urgency, raised: None, known_to: None }
    }

    /// What nobody has acknowledged, and what the duty leader has not, or has instructed in vain. An exercise waits for
    /// the log.
    pub fn of(one: &Escalation) -> Option<Self> {
        let more = !one.closed && (!one.leader_reached || one.unconfirmed.is_some());
        let known_to = match one.state {
            _ if one.exercise.is_some() => return None,
            State::Open => None,
            State::Acknowledged if more => Some(one.acked.as_ref()?.person.clone()),
            State::Acknowledged | State::Withdrawn => return None,
        };
        let (entry, urgency, raised) = (one.entry, one.urgency, Some(one.raised));
        Some(Self { entry, urgency, raised, known_to })
    }
}
