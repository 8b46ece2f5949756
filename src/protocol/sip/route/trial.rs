//! Whether the line would be registered at an address that it does not use: one that answers OPTIONS may refuse REGISTER
//! all the same, and whoever went there would have no line.

use super::{Mono, Route, STEADY, Step, Undone};
use crate::protocol::sip::Peer;
use std::time::Duration;

/// Between two trials at an address that refuses: the first pause doubles to this.
const LONGEST: Duration = Duration::from_secs(16 * 60);

#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum Trial {
    #[default]
    None,
    /// A REGISTER is on its way there.
    Open {
        refused: u32,
    },
    Refused {
        until: Mono,
        times: u32,
    },
}

impl Trial {
    fn begin(&mut self, now: Mono) -> bool {
        let refused = match *self {
            Self::None => 0,
            Self::Refused { until, times } if until <= now => times,
            Self::Refused { .. } | Self::Open { .. } => return false,
        };
        *self = Self::Open { refused };
        true
    }

    fn refuse(&mut self, now: Mono) {
        if let Self::Open { refused } = *self {
            *self = Self::refused(refused, now);
        }
    }

    fn refused(before: u32, now: Mono) -> Self {
        let pause = STEADY.saturating_mul(1 << before.min(8)).min(LONGEST);
        Self::Refused { until: now + pause, times: before.saturating_add(1) }
    }

    /// Its answer is waited for no more.
    pub fn give_up(&mut self) {
        if let Self::Open { .. } = self {
            *self = Self::None;
        }
    }
}

impl Route {
    /// The used address answers a REGISTER with a refusal that speaks of itself: another may grant it.
    pub fn handle_refused(&mut self, now: Mono) {
        self.refused = !self.trunk;
        self.try_another(now);
    }

    /// Whether another that answers is asked now.
    pub fn try_another(&mut self, now: Mono) -> bool {
        let good = |at: &usize| {
            let address = &self.addresses[*at];
            *at != self.used && address.good.is_some() && !address.is_held(now)
        };
        let others: Vec<usize> = (0..self.addresses.len()).filter(good).collect();
        !self.trunk && others.into_iter().any(|at| self.try_at(at, now))
    }

    /// How the REGISTER of `Step::Try` was answered there.
    pub fn handle_tried(&mut self, peer: Peer, granted: bool, now: Mono) {
        let Some(at) = self.find(peer).filter(|at| *at != self.used) else { return };
        let address = &mut self.addresses[at];
        match (address.trial, granted) {
            (Trial::Open { .. }, true) => {
                address.done(Undone::Register);
                if at > self.used {
                    // The one that is left for it has refused a moment ago.
                    self.addresses[self.used].trial = Trial::refused(0, now);
                }
                self.move_to(at, false);
            }
            (Trial::Open { .. }, false) => address.trial.refuse(now),
            (Trial::None | Trial::Refused { .. }, _) => {}
        }
    }

    /// One at a time; false where it is not its turn.
    pub(super) fn try_at(&mut self, at: usize, now: Mono) -> bool {
        let open = |trial: Trial| matches!(trial, Trial::Open { .. });
        if self.addresses.iter().any(|address| open(address.trial)) {
            return false;
        }
        let address = &mut self.addresses[at];
        let begins = address.trial.begin(now);
        if begins {
            self.steps.push_back(Step::Try { peer: address.peer });
        }
        begins
    }
}
