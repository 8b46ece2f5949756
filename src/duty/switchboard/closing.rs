//! The way out: calls may finish, or are ended properly, or wait for the next run.

use super::{Output, Switchboard};
use crate::duty::ids::CallId;
use crate::protocol::now::{Deadline, Mono, Now};
use std::time::Duration;

/// What may take part in a clean stop, no longer.
const DRAIN: Duration = Duration::from_secs(3);

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Closing {
    No,
    /// New callers are refused, so that the PBX serves them; whoever talks may come to an end.
    Finishing {
        until: Mono,
    },
    /// `unbound`: the registrar has let us go.
    Draining {
        until: Mono,
        unbound: bool,
    },
    Drained,
}

impl Closing {
    pub fn deadline(self) -> Option<Deadline> {
        match self {
            Closing::Finishing { until } => Some((until, "calls had their time to finish")),
            Closing::Draining { until, .. } => Some((until, "stopping takes too long")),
            Closing::No | Closing::Drained => None,
        }
    }
}

impl Switchboard {
    /// Asked a second time it waits for nobody.
    pub(super) fn on_shutdown(&mut self, now: Now) {
        match self.closing {
            Closing::No => {
                self.closing = Closing::Finishing { until: now.mono + self.desk.plan.finish };
            }
            Closing::Finishing { .. } => self.interrupt_all(now),
            Closing::Draining { .. } | Closing::Drained => {}
        }
    }

    /// Nothing is ended and nobody is told: the next run takes everything up.
    pub(super) fn on_hand_over(&mut self) {
        self.closing = Closing::Drained;
        self.desk.out.push_back(Output::Drained);
    }

    pub(super) fn on_unregistered(&mut self) {
        if let Closing::Draining { unbound, .. } = &mut self.closing {
            *unbound = true;
        }
    }

    /// Whoever is called goes on being called; whoever is due is called by the next run, at once.
    pub(super) fn places_no_calls(&self) -> bool {
        self.closing != Closing::No
    }

    pub(super) fn finish_closing(&mut self, now: Now) {
        if let Closing::Finishing { until } = self.closing
            && (until <= now.mono || self.calls.is_empty())
        {
            self.interrupt_all(now);
            self.report(now);
        }
        let Closing::Draining { until, unbound } = self.closing else { return };
        let (_, sessions) = self.desk.sip.load();
        let quiet = unbound && sessions == 0 && self.desk.channels.in_use() == 0;
        if quiet || until <= now.mono {
            self.closing = Closing::Drained;
            self.desk.out.push_back(Output::Drained);
        }
    }

    fn interrupt_all(&mut self, now: Now) {
        self.closing = Closing::Draining { until: now.mono + DRAIN, unbound: false };
        let calls: Vec<CallId> = self.calls.iter().map(|(id, _)| *id).collect();
        for id in calls {
            self.turn(id, |call, desk| call.interrupt(desk, now));
        }
        self.desk.sip.unregister(now);
    }
}
