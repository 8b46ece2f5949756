//! What this run told the log of its calls last: one that is put back from a backup lacks it, and is told it again (see `retelling`).

use crate::duty::ids::CallId;
use crate::duty::journal::{Arrival, Fact, Noted};
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

impl Recent {
    pub(super) fn keep(&self, facts: Packed) {
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

    pub(super) fn by_call(&self) -> BTreeMap<CallId, Vec<Noted>> {
        let kept = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let mut calls: BTreeMap<CallId, Vec<Noted>> = BTreeMap::new();
        for (call, fact) in &kept.facts {
            if let Ok(noted) = serde_json::from_slice(fact) {
                calls.entry(*call).or_default().push(noted);
            }
        }
        calls
    }
}

pub(super) fn pack(noted: &[Noted]) -> Packed {
    let one = |noted: &Noted| {
        let (call, fact) = of_a_call(&noted.fact)?;
        let packed = serde_json::to_vec(&Noted { at: noted.at, fact }).ok()?;
        Some((call, packed.into()))
    };
    noted.iter().filter_map(one).collect()
}

/// What makes the rows of a call. What is urgent is raised by what lies beside the log, which knows what has become of it.
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
        _ => return None,
    };
    Some((call, fact.clone()))
}
