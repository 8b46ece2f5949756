//! Calls to leaders as the escalator orders them, and what becomes of what they press.

use super::Switchboard;
use crate::duty::call::Call;
use crate::duty::call::desk::Desk;
use crate::duty::call::leader::Leader;
use crate::duty::ids::{AttemptId, CallId, EntryId};
use crate::duty::journal::{AttemptResult, Fact, Made, Urgency};
use crate::duty::pin::Pin;
use crate::duty::roster::{Role, Roster};
use crate::protocol::now::Now;
use crate::protocol::rtp::Party;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use std::time::Duration;

/// Beside the one that a call to a leader began for: for more he is busy, and called again.
pub const MATTERS_MAX: usize = 256;

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
    /// He is on the telephone, or being called, in this attempt, and is told of both.
    #[serde(default)]
    pub joins: Option<AttemptId>,
}

impl LeaderCall {
    /// As the row of an attempt that an earlier run made says it.
    pub fn made(&self, roster: &Roster) -> Made {
        Made {
            attempt: self.attempt,
            entry: self.entry,
            round: 0,
            place: None,
            role: roster.role_of(&self.person).unwrap_or(Role::Leader),
            person: self.person.clone(),
            number: self.target.clone(),
            errand: self.errand,
            why: "an earlier run made it".to_owned(),
            joins: self.joins,
        }
    }
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
    /// The desk: the daemon gives no sign of life. Said by its witness.
    Silent,
    /// 演练: as in a matter, and every word says that it is none.
    Drill,
    /// 点名: whether he is to be had.
    RollCall,
    /// 号码核实: whether the number is his.
    CheckNumber,
}

impl Errand {
    /// Nothing has happened: what comes of it is not counted.
    pub fn is_exercise(self) -> bool {
        matches!(self, Self::Drill | Self::RollCall | Self::CheckNumber)
    }
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

impl Switchboard {
    /// The call in which a leader is told of this, which may have begun for another matter.
    pub(super) fn call_of(&self, attempt: AttemptId) -> CallId {
        let own = CallId::from(attempt);
        if self.calls.get(&own).is_some_and(|call| call.tells_of(attempt)) {
            return own;
        }
        let mut calls = self.calls.iter();
        calls.find(|(_, call)| call.tells_of(attempt)).map_or(own, |(id, _)| *id)
    }

    pub(super) fn on_leader(
        &mut self,
        attempt: AttemptId,
        turn: impl FnOnce(&mut Leader, &mut Desk),
    ) {
        self.turn(self.call_of(attempt), |call, desk| {
            if let Some(leader) = call.to_leader() {
                turn(leader, desk);
            }
        });
    }

    pub(super) fn on_notify(&mut self, order: LeaderCall, now: Now) {
        let attempt = order.attempt;
        let id = CallId::from(attempt);
        if self.calls.contains_key(&self.call_of(attempt)) {
            return;
        }
        let failed = |result, status| Fact::AttemptEnded { attempt, result, status };
        if self.places_no_calls() {
            return self.desk.note(failed(AttemptResult::Interrupted, 503), now);
        }
        let Some(order) = self.joins_another(order, now) else { return };
        let Some(channel) = self.desk.channels.lend(id, Party::Leader, 0) else {
            return self.desk.note(failed(AttemptResult::ChannelFailed, 503), now);
        };
        let call = Leader::dial(order, channel, &mut self.desk, now);
        self.checkpoint.calls.insert(id);
        self.calls.insert(id, Call::Leader(Box::new(call)));
    }

    /// Given back where no call to him goes on: then it is a call of its own. One that ends or is full makes him busy:
    /// never two calls to one person, whatever the log knew of; but for one matter he is called at two numbers.
    fn joins_another(&mut self, order: LeaderCall, now: Now) -> Option<LeaderCall> {
        let (attempt, joins) = (order.attempt, order.joins);
        let order = match joins {
            Some(other) => self.joins_call(self.call_of(other), order, now)?,
            None if matches!(order.errand, Errand::Confirm | Errand::Silent) => return Some(order),
            None => order,
        };
        let to_him = |call: &Call| {
            call.as_leader().is_some_and(|one| one.calls_beside(&order.person, order.entry))
        };
        let call = self.calls.iter().find(|(_, call)| to_him(call)).map(|(id, _)| *id);
        let into = call.map(|call| AttemptId(call.0));
        if into != joins {
            self.desk.note(Fact::AttemptMoved { attempt, into }, now);
        }
        let Some(call) = call else { return Some(LeaderCall { joins: None, ..order }) };
        if self.joins_call(call, order, now).is_some() {
            let result = AttemptResult::Busy;
            self.desk.note(Fact::AttemptEnded { attempt, result, status: 486 }, now);
        }
        None
    }

    fn joins_call(&mut self, call: CallId, order: LeaderCall, now: Now) -> Option<LeaderCall> {
        let mut order = Some(order);
        self.turn(call, |call, desk| {
            if let Some(leader) = call.to_leader() {
                order = order.take().and_then(|order| leader.join(order, desk, now));
            }
        });
        order
    }

    /// Whom a call has ended for before he was told of everything: one call for the rest.
    pub(super) fn call_afresh(&mut self, now: Now) {
        let mut first = BTreeMap::new();
        for order in std::mem::take(&mut self.desk.afresh) {
            let attempt = order.attempt;
            let into = *first.entry(order.person.clone()).or_insert(attempt);
            let joins = Some(into).filter(|into| *into != attempt);
            self.desk.note(Fact::AttemptMoved { attempt, into: joins }, now);
            self.on_notify(LeaderCall { joins, ..order }, now);
        }
    }
}
