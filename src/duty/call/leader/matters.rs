//! Several matters for one leader: he is never called twice at once, so they share a call (escalation.md, D).

use super::{Leader, State};
use crate::duty::call::desk::Desk;
use crate::duty::call::menu::{Menu, Step};
use crate::duty::ids::{AttemptId, CallId, EntryId};
use crate::duty::journal::{AttemptResult, Fact};
use crate::duty::switchboard::{Errand, LeaderCall, MATTERS_MAX, Unwanted};
use crate::protocol::now::Now;
use serde::{Deserialize, Serialize};

/// A matter that has not had its turn.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Waiting {
    order: LeaderCall,
    /// He has been told that there is more.
    told: bool,
}

impl Leader {
    /// Whose name the call has.
    pub(super) fn call(&self) -> CallId {
        CallId::from(self.host.unwrap_or(self.order.attempt))
    }

    pub fn tells_of(&self, attempt: AttemptId) -> bool {
        let waits = |one: &Waiting| one.order.attempt == attempt;
        self.order.attempt == attempt || self.waiting.iter().any(waits)
    }

    /// Every attempt that is made in this call and not over.
    pub fn all(&self) -> impl Iterator<Item = AttemptId> + use<> {
        let all: Vec<AttemptId> = self.told().map(|order| order.attempt).collect();
        all.into_iter()
    }

    /// This person is called, and not of this entry.
    pub fn calls_beside(&self, person: &str, entry: EntryId) -> bool {
        self.order.person == person && self.told().all(|order| order.entry != entry)
    }

    /// Another matter for him. Given back where this call is about to end, or is none that tells of anything.
    pub fn join(&mut self, order: LeaderCall, desk: &mut Desk, now: Now) -> Option<LeaderCall> {
        let rings = match self.state {
            State::Calling { .. } | State::Ringing { .. } => self.rings,
            State::Talking { .. } => true,
            State::GivingUp { .. } | State::Over => return Some(order),
        };
        let tells = matches!(self.order.errand, Errand::Tell | Errand::Remind);
        let fits = tells && self.order.person == order.person;
        if !fits || self.waiting.len() >= MATTERS_MAX || self.tells_of(order.attempt) {
            return Some(order);
        }
        let attempt = order.attempt;
        if rings {
            desk.note(Fact::AttemptRinging { attempt }, now);
        }
        if !matches!(self.state, State::Talking { .. }) {
            self.waiting.push_back(Waiting { order, told: false });
            return None;
        }
        if self.picked_up {
            desk.note(Fact::AttemptAnswered { attempt }, now);
        }
        if self.result() == AttemptResult::HandedOn {
            desk.note(Fact::HandedOn { attempt, entry: order.entry }, now);
        }
        self.mark_told();
        self.waiting.push_back(Waiting { order, told: false });
        self.turn_menu(desk, now, |menu| menu.handle_another(now.mono));
        self.mark_told();
        None
    }

    fn mark_told(&mut self) {
        let told = !self.is_unsaid();
        self.waiting.iter_mut().for_each(|one| one.told |= told);
    }

    /// What he is told of in this call, and will be.
    pub fn told(&self) -> impl Iterator<Item = &LeaderCall> {
        std::iter::once(&self.order).chain(self.waiting.iter().map(|one| &one.order))
    }

    pub(super) fn orders(&mut self) -> impl Iterator<Item = &mut LeaderCall> {
        std::iter::once(&mut self.order).chain(self.waiting.iter_mut().map(|one| &mut one.order))
    }

    /// He has picked up: where there are several matters, that comes first.
    pub(super) fn begin(&mut self, menu: &mut Menu, steps: Vec<Step>, now: Now) -> Vec<Step> {
        match (self.waiting.is_empty(), self.picked_up) {
            (true, _) => steps,
            (false, true) => {
                self.waiting.iter_mut().for_each(|one| one.told = true);
                menu.announce(now.mono)
            }
            // Nobody may be listening.
            (false, false) => [steps, menu.handle_another(now.mono)].concat(),
        }
    }

    /// The next matter, where he has done with this one and is still there.
    pub(super) fn next(&mut self, desk: &mut Desk, now: Now) -> Option<Vec<Step>> {
        let result = self.result();
        if !self.is_done(result) || self.is_refused() {
            return None;
        }
        self.turn_to_next(result, 200, desk, now)?;
        let terms = self.terms(desk);
        let others = !self.waiting.is_empty();
        let untold = self.waiting.iter().any(|one| !one.told);
        match &mut self.state {
            State::Talking { menu, .. } => {
                let steps = menu.next(terms, others, now.mono);
                if untold {
                    menu.leave_unsaid();
                }
                Some(steps)
            }
            State::Calling { .. }
            | State::Ringing { .. }
            | State::GivingUp { .. }
            | State::Over => None,
        }
    }

    /// Whoever is reminded knows already: any key says that he is there.
    fn is_done(&self, result: AttemptResult) -> bool {
        let pressed = matches!(&self.state, State::Talking { menu, .. } if menu.has_pressed());
        let reminded = self.order.errand == Errand::Remind && pressed;
        matches!(result, AttemptResult::Acknowledged | AttemptResult::Cancelled)
            || result == AttemptResult::AnsweredNoKey && reminded
    }

    fn turn_to_next(
        &mut self,
        result: AttemptResult,
        status: u16,
        desk: &mut Desk,
        now: Now,
    ) -> Option<()> {
        let next = self.waiting.pop_front()?;
        self.host.get_or_insert(self.order.attempt);
        desk.note(Fact::AttemptEnded { attempt: self.attempt(), result, status }, now);
        self.order = next.order;
        Some(())
    }

    pub fn stop_notifying(&mut self, attempt: AttemptId, why: Unwanted, desk: &mut Desk, now: Now) {
        if attempt != self.attempt() {
            return self.forget(attempt, desk, now);
        }
        let result = AttemptResult::Cancelled;
        match self.state {
            State::Calling { .. } | State::Ringing { .. } => {
                // The phone rings on for the other.
                if self.turn_to_next(result, 487, desk, now).is_none() {
                    desk.sip.cancel(self.leg, now);
                    self.end(result, 487, desk, now);
                }
            }
            State::GivingUp { .. } => self.end(result, 487, desk, now),
            State::Talking { .. } => self.turn_menu(desk, now, |menu| menu.stop(why, now.mono)),
            State::Over => {}
        }
    }

    fn forget(&mut self, attempt: AttemptId, desk: &mut Desk, now: Now) {
        let before = self.waiting.len();
        self.waiting.retain(|one| one.order.attempt != attempt);
        if self.waiting.len() == before {
            return;
        }
        let result = AttemptResult::Cancelled;
        desk.note(Fact::AttemptEnded { attempt, result, status: 487 }, now);
        if self.waiting.is_empty()
            && let State::Talking { menu, .. } = &mut self.state
        {
            menu.nothing_waits();
        }
    }

    /// Whoever has handed on one matter is not to be had for the others either.
    pub(super) fn hand_on(&mut self, desk: &mut Desk, now: Now) {
        for order in self.orders() {
            desk.note(Fact::HandedOn { attempt: order.attempt, entry: order.entry }, now);
        }
    }

    fn is_refused(&self) -> bool {
        matches!(&self.state, State::Talking { menu, .. } if menu.is_refused())
    }

    fn is_unsaid(&self) -> bool {
        matches!(&self.state, State::Talking { menu, .. } if menu.is_unsaid())
    }

    /// The call is over for whatever waited, too; what he was not told of has a call of its own at once.
    pub(super) fn dismiss(
        &mut self,
        result: AttemptResult,
        status: u16,
        answered: bool,
        desk: &mut Desk,
        now: Now,
    ) {
        let (said, refused) = (!self.is_unsaid(), self.is_refused());
        for Waiting { order, told } in std::mem::take(&mut self.waiting) {
            let attempt = order.attempt;
            let result = match result {
                _ if refused => AttemptResult::WrongPin,
                AttemptResult::Acknowledged
                | AttemptResult::AnsweredNoKey
                | AttemptResult::WrongPin
                | AttemptResult::Cancelled
                    if answered =>
                {
                    if !told && !said {
                        desk.afresh.push(order);
                        continue;
                    }
                    AttemptResult::AnsweredNoKey
                }
                of_all => of_all,
            };
            desk.note(Fact::AttemptEnded { attempt, result, status }, now);
        }
    }
}
