//! What this run told the log of its calls last: one that is put back from a backup lacks it, and is told it again (see `retelling`).

use super::attempts::{self, Ordered};
use super::error::Result;
use crate::duty::ids::CallId;
use crate::duty::journal::{Arrival, Fact, Noted};
use rusqlite::Connection;
use serde::{Deserialize, Serialize};
use std::collections::{BTreeMap, VecDeque};
use std::sync::{Mutex, PoisonError};

/// Some hundred calls; of older ones what is recorded is found on the disk.
const BYTES: usize = 2 << 20;

/// The facts of calls that the log has taken, the oldest first, packed.
#[derive(Default)]
pub(super) struct Recent(Mutex<Kept>);

#[derive(Default)]
struct Kept {
    facts: VecDeque<(CallId, Box<[u8]>)>,
    bytes: usize,
}

pub(super) type Packed = Vec<(CallId, Box<[u8]>)>;

#[derive(Serialize, Deserialize)]
enum Told {
    Fact(Noted),
    Ordered(Box<Ordered>),
}

/// What is kept of one call.
#[derive(Debug, Clone, Default)]
pub(super) struct OfCall {
    /// Of one to a leader, once it was answered or is over.
    pub ordered: Option<Ordered>,
    pub facts: Vec<Noted>,
}

impl Recent {
    pub(super) fn keep(&self, facts: impl IntoIterator<Item = (CallId, Box<[u8]>)>) {
        let mut kept = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        for fact in facts {
            kept.bytes += fact.1.len();
            kept.facts.push_back(fact);
        }
        while kept.bytes > BYTES
            && let Some((_, fact)) = kept.facts.pop_front()
        {
            kept.bytes -= fact.len();
        }
    }

    pub(super) fn by_call(&self) -> BTreeMap<CallId, OfCall> {
        let kept = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let mut calls: BTreeMap<CallId, OfCall> = BTreeMap::new();
        for (call, told) in &kept.facts {
            let of_call = calls.entry(*call).or_default();
            match serde_json::from_slice(told) {
                Ok(Told::Fact(noted)) => of_call.facts.push(noted),
                Ok(Told::Ordered(ordered)) => of_call.ordered = Some(*ordered),
                Err(_) => {}
            }
        }
        calls
    }
}

pub(super) fn pack(noted: &[Noted]) -> Packed {
    let one = |noted: &Noted| {
        let (call, fact) = of_a_call(&noted.fact)?;
        let packed = serde_json::to_vec(&Told::Fact(Noted { at: noted.at, fact })).ok()?;
        Some((call, packed.into()))
    };
    noted.iter().filter_map(one).collect()
}

/// The calls to leaders that are answered or over by this, with what they were about.
pub(super) fn pack_orders(sql: &Connection, noted: &[Noted]) -> Result<Packed> {
    let mut packed = vec![];
    for noted in noted {
        let (Fact::AttemptAnswered { attempt } | Fact::AttemptEnded { attempt, .. }) = noted.fact
        else {
            continue;
        };
        if let Some(ordered) = attempts::ordered(sql, attempt)?
            && let Ok(ordered) = serde_json::to_vec(&Told::Ordered(Box::new(ordered)))
        {
            packed.push((attempt.into(), ordered.into()));
        }
    }
    Ok(packed)
}

/// What makes the rows of a call. That something is urgent is raised by what lies beside the log, which knows what has become
/// of it.
fn of_a_call(fact: &Fact) -> Option<(CallId, Fact)> {
    let call = match fact {
        Fact::Arrived(arrival) => {
            let arrival = Arrival { urgency: None, ..(**arrival).clone() };
            return Some((arrival.call, Fact::Arrived(Box::new(arrival))));
        }
        Fact::Placed(placed) => placed.call,
        Fact::Dialled { call, .. }
        | Fact::Rung { call, .. }
        | Fact::NotTaken { call, .. }
        | Fact::Answered { call, .. }
        | Fact::Joining { call, .. }
        | Fact::Joined { call, .. }
        | Fact::Left { call, .. }
        | Fact::Began { call, .. }
        | Fact::Over { call, .. }
        | Fact::FaxHeard { call }
        | Fact::Ended { call, .. }
        | Fact::Carried { call, .. } => *call,
        Fact::AttemptMoved { attempt, .. }
        | Fact::AttemptRinging { attempt }
        | Fact::AttemptDialled { attempt }
        | Fact::AttemptAnswered { attempt }
        | Fact::AttemptKey { attempt, .. }
        | Fact::AttemptMute { attempt }
        | Fact::AttemptHeard { attempt, .. }
        | Fact::AttemptTalks { attempt }
        | Fact::Acknowledged { attempt, .. }
        | Fact::HandedOn { attempt, .. }
        | Fact::Dictated { attempt, .. }
        | Fact::AttemptEnded { attempt, .. } => (*attempt).into(),
        _ => return None,
    };
    Some((call, fact.clone()))
}
