//! Escalations that are none (演练, 点名, 号码核实): they go the same road, say what they are, and give way to a real one.

use super::{Escalation, Moment};
use crate::duty::roll_call::LATE;
use crate::duty::roster::Role;
use crate::duty::switchboard::Errand;
use crate::protocol::now::Now;
use serde::{Deserialize, Serialize};

#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ExerciseKind {
    /// 演练: the ladder is gone through once.
    Drill,
    /// 点名: is this person to be had?
    RollCall,
    /// 号码核实: is this number his?
    Number,
}

impl ExerciseKind {
    /// What whoever is called for it is told.
    pub fn errand(self) -> Errand {
        match self {
            Self::Drill => Errand::Drill,
            Self::RollCall => Errand::RollCall,
            Self::Number => Errand::CheckNumber,
        }
    }
}

/// What an escalation is, where it is no real one.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Exercise {
    pub kind: ExerciseKind,
    /// Who is to be had; nobody in particular in a drill.
    pub person: String,
    pub role: Role,
    /// The one number that is tried; empty for every one of his.
    pub number: String,
    /// Leaders are called for a real matter, or may be at any moment.
    pub put_off: bool,
    pub begun: Moment,
}

impl Escalation {
    /// An exercise for which nobody is to be called any more: by now he would be woken for it. A drill may take long, but
    /// no pause in it does.
    pub fn is_out_of_date(&self, now: Now) -> bool {
        let Some(exercise) = &self.exercise else { return false };
        let last = match exercise.kind {
            ExerciseKind::Drill => self.attempts.iter().map(|one| one.started.age(now)).min(),
            ExerciseKind::RollCall | ExerciseKind::Number => None,
        };
        last.unwrap_or_else(|| exercise.begun.age(now)) > LATE
    }
}
