//! Whether the daemon may say that it is well: every open escalation has a future deadline or an attempt in flight.

use crate::duty::ids::EscalationId;
use crate::protocol::now::Mono;
use std::collections::BTreeMap;
use std::time::Duration;

/// What is due is done within moments; what is not done by then is not being done.
const OVERDUE: Duration = Duration::from_secs(10);
/// The control task goes round every second, the escalator whenever it is asked.
const ROUND: Duration = Duration::from_secs(15);

/// What an audit looks at.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Signs {
    /// How long the control task, which makes the calls, has not come round.
    pub control: Duration,
    /// How long the escalator, which orders them, has not.
    pub escalator: Duration,
    /// Open escalations for which something is due now; `None`: the log cannot be read.
    pub due: Option<Vec<EscalationId>>,
}

/// Why no beat is sent.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Failing {
    /// The task that makes the calls stands still.
    Control,
    /// The task that orders them does.
    Escalator,
    /// What is open cannot be read.
    Unreadable,
    /// For these something has been due for too long.
    Overdue(Vec<EscalationId>),
}

/// Since when something is due.
#[derive(Debug, Clone, Default)]
pub struct Audit {
    due: BTreeMap<EscalationId, Mono>,
    looked: Option<Mono>,
}

impl Audit {
    /// `None`: all is well.
    pub fn look(&mut self, signs: &Signs, now: Mono) -> Option<Failing> {
        let due = signs.due.as_deref().unwrap_or_default();
        // Whoever looks has stood still himself, with everything else: what is late is done now.
        let slept = self.looked.replace(now).is_some_and(|before| now.since(before) >= ROUND);
        self.due.retain(|id, _| due.contains(id) && !slept);
        for id in due {
            self.due.entry(*id).or_insert(now);
        }
        let overdue = self.due.iter().filter(|(_, since)| now.since(**since) >= OVERDUE);
        let overdue: Vec<EscalationId> = overdue.map(|(id, _)| *id).collect();
        if signs.control >= ROUND && !slept {
            return Some(Failing::Control);
        }
        if signs.escalator >= ROUND && !slept {
            return Some(Failing::Escalator);
        }
        if signs.due.is_none() {
            return Some(Failing::Unreadable);
        }
        (!overdue.is_empty()).then_some(Failing::Overdue(overdue))
    }
}
