//! Calls of exercises, which go by the log alone: without it they are only got out of the way of what is real.

use super::{Attempt, Elsewhere, Escalation, Input, Now, State, Unwanted};
use crate::duty::ids::AttemptId;
use crate::protocol::now::Mono;
use std::time::Duration;

/// Whoever has not left a call so long after he was told to is called all the same.
const LEAVES_WITHIN: Duration = Duration::from_secs(10);

#[derive(Debug, Clone, Default)]
pub struct Practice {
    flying: Vec<(AttemptId, Elsewhere)>,
    /// Since when they are told to give way.
    told: Option<Mono>,
}

impl Practice {
    pub fn of(exercises: Vec<Escalation>) -> Self {
        let attempts = exercises.into_iter().flat_map(|one| one.attempts);
        let flying = attempts.filter(|attempt| attempt.ended.is_none());
        let occupied = |one: &Attempt| Elsewhere { joinable: false, ..one.elsewhere() };
        Self { flying: flying.map(|one| (one.id, occupied(&one))).collect(), told: None }
    }

    pub fn ended(&mut self, attempt: AttemptId) {
        self.flying.retain(|(id, _)| *id != attempt);
    }

    /// As long as leaders are called for something real, or may be at any moment; until they have gone.
    pub fn give_way(&mut self, real: &[Escalation], now: Now) -> Vec<Input> {
        if !real.iter().any(calls) {
            return vec![];
        }
        self.told.get_or_insert(now.mono);
        let stop = |attempt: AttemptId| Input::StopNotifying { attempt, why: Unwanted::Lost };
        self.flying.iter().map(|(attempt, _)| stop(*attempt)).collect()
    }

    pub fn occupied(&self, now: Now) -> impl Iterator<Item = Elsewhere> {
        let gone = self.told.is_some_and(|told| now.mono.since(told) >= LEAVES_WITHIN);
        self.flying.iter().filter(move |_| !gone).map(|(_, one)| one.clone())
    }
}

fn calls(one: &Escalation) -> bool {
    match one.state {
        State::Open => true,
        State::Acknowledged => !one.closed && (!one.leader_reached || !one.read),
        State::Withdrawn => false,
    }
}
