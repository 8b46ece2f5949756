//! What the log was told of calls and attempts.

use super::World;
use dutyline::duty::ids::{AttemptId, CallId};
use dutyline::duty::journal::{AttemptResult, Disposition, Fact, Stretch};
use dutyline::protocol::rtp::Party;

impl World {
    pub fn calls(&self) -> Vec<CallId> {
        let arrived = self.facts.iter().filter_map(|fact| match fact {
            Fact::Arrived(arrival) => Some(arrival.call),
            Fact::Placed(placed) => Some(placed.call),
            _ => None,
        });
        arrived.collect()
    }

    /// How the call ended, by whom, and what the caller got.
    pub fn ending(&self, wanted: CallId) -> Option<(Disposition, Option<Party>, u16)> {
        self.facts.iter().find_map(|fact| match fact {
            Fact::Ended { call, disposition, by, status, .. } if *call == wanted => {
                Some((*disposition, *by, *status))
            }
            _ => None,
        })
    }

    pub fn outcome(&self, wanted: AttemptId) -> Option<(AttemptResult, u16)> {
        self.facts.iter().find_map(|fact| match fact {
            Fact::AttemptEnded { attempt, result, status } if *attempt == wanted => {
                Some((*result, *status))
            }
            _ => None,
        })
    }

    pub fn count(&self, wanted: impl Fn(&Fact) -> bool) -> usize {
        self.facts.iter().filter(|fact| wanted(fact)).count()
    }

    /// The stretches of calls that began and ended, in order, as the log is told.
    pub fn stretches(&self) -> Vec<(bool, Stretch)> {
        let of = |fact: &Fact| match fact {
            Fact::Began { stretch, .. } => Some((true, *stretch)),
            Fact::Over { stretch, .. } => Some((false, *stretch)),
            _ => None,
        };
        self.facts.iter().filter_map(of).collect()
    }
}
