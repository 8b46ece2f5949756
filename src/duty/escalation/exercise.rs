//! Escalations that are none (演练, 点名, 号码核实): they go the same road, say what they are, and give way to a real one.

use crate::duty::roster::Role;
use crate::duty::switchboard::Errand;
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
}
