//! What each fact means for what is open.

use super::{HEARD, Memory, RECENT};
use crate::duty::escalation::{Acked, Attempt, Escalation, State};
use crate::duty::ids::{AttemptId, EntryId, EscalationId};
use crate::duty::journal::{AttemptResult, Fact, Made, Noted, Urgency};
use crate::duty::pin;
use crate::duty::roster::Role;
use crate::duty::switchboard::Errand;
use crate::protocol::now::Now;

impl Memory {
    pub(super) fn apply(&mut self, noted: &Noted) {
        let now = noted.at;
        match &noted.fact {
            Fact::AttemptMade(made) => self.made(made.entry, attempt(made, now)),
            Fact::Flagged { entry, urgency, .. } => self.flag(*entry, *urgency, now),
            Fact::Arrived(arrival) => {
                if let Some(urgency) = arrival.urgency {
                    self.flag(arrival.call.into(), urgency, now);
                }
            }
            Fact::AttemptEnded { attempt, result, .. } => {
                self.known.iter_mut().for_each(|one| end(one, *attempt, *result, now));
                self.practice.ended(*attempt);
            }
            Fact::Acknowledged { attempt, entry } => self.acknowledged(*attempt, *entry, now),
            Fact::HandedOn { attempt, .. } => {
                self.of(*attempt, |_, attempt| attempt.handed_on = Some(now.into()));
            }
            Fact::AttemptKey { attempt, key: '2' | '9' } => {
                self.of(*attempt, |_, attempt| attempt.engaged = true);
            }
            Fact::AttemptKey { attempt, key: pin::WRONG } => {
                self.of(*attempt, |_, attempt| attempt.guesses += 1);
            }
            Fact::AttemptMoved { attempt, into } => {
                self.of(*attempt, |_, attempt| {
                    (attempt.joined, attempt.moved) = (*into, Some(now.into()));
                });
            }
            Fact::AttemptHeard { attempt, lasts } if *lasts >= HEARD => {
                self.of(*attempt, |read, _| *read = true);
            }
            Fact::AttemptTalks { attempt } => self.of(*attempt, |read, _| *read = true),
            Fact::Dictated { attempt, .. } => {
                let has = |one: &&mut Escalation| one.attempts.iter().any(|a| a.id == *attempt);
                if let Some(one) = self.known.iter_mut().find(has) {
                    (one.read, one.closed) = (true, false);
                    one.unconfirmed.get_or_insert(now.into());
                }
            }
            Fact::LineUp | Fact::NumberUp { .. } => {
                let attempts = self.known.iter_mut().flat_map(|one| &mut one.attempts);
                attempts.for_each(|attempt| attempt.line_is_back |= failed(attempt));
            }
            _ => {}
        }
    }

    fn of(&mut self, id: AttemptId, change: impl FnOnce(&mut bool, &mut Attempt)) {
        for one in &mut self.known {
            if let Some(attempt) = one.attempts.iter_mut().find(|attempt| attempt.id == id) {
                return change(&mut one.read, attempt);
            }
        }
    }

    pub(super) fn flag(&mut self, entry: EntryId, urgency: Urgency, now: Now) {
        let of_entry = |one: &&mut Escalation| one.entry == entry && one.state != State::Withdrawn;
        let before = self.known.iter_mut().filter(of_entry).max_by_key(|one| one.urgency);
        match before {
            Some(one) if urgency <= one.urgency => {}
            Some(one) if one.state == State::Open => {
                (one.urgency, one.siren) = (urgency, false);
                (one.round, one.round_began) = (one.round + 1, now.into());
            }
            Some(_) | None => self.known.push(raised(entry, urgency, now)),
        }
    }

    fn acknowledged(&mut self, id: AttemptId, entry: EntryId, now: Now) {
        let made = |one: &Escalation| one.attempts.iter().any(|attempt| attempt.id == id);
        if !self.known.iter().any(made) {
            // The log made it, and cannot be asked whose it was.
            let of = |one: &&mut Escalation| one.entry == entry && one.state == State::Open;
            for one in self.known.iter_mut().filter(of) {
                one.state = State::Acknowledged;
                one.acked = Some(Acked { at: now.into(), person: String::new() });
            }
            return;
        }
        let leader = self.roster.holder(Role::Leader).map(|leader| leader.name.clone());
        for one in &mut self.known {
            let Some(attempt) = one.attempts.iter_mut().find(|attempt| attempt.id == id) else {
                continue;
            };
            if attempt.errand == Errand::Confirm {
                one.unconfirmed = None;
                return;
            }
            attempt.acknowledged = true;
            let leads = leader.as_ref().is_none_or(|leader| *leader == attempt.person);
            one.leader_reached |= attempt.role == Role::Leader && leads;
            if one.state == State::Open {
                one.state = State::Acknowledged;
                one.acked = Some(Acked { at: now.into(), person: attempt.person.clone() });
            }
        }
    }
}

/// An escalation that the log does not know yet has the name of its entry.
pub(super) fn raised(entry: EntryId, urgency: Urgency, now: Now) -> Escalation {
    Escalation {
        id: EscalationId(entry.0),
        entry,
        urgency,
        state: State::Open,
        raised: now.wall,
        round: 0,
        round_began: now.into(),
        siren: false,
        leader_reached: false,
        acked: None,
        read: false,
        unconfirmed: None,
        closed: false,
        attempts: vec![],
        occupied: vec![],
        exercise: None,
        left_out: vec![],
        figures: None,
    }
}

pub(super) fn attempt(made: &Made, now: Now) -> Attempt {
    Attempt {
        id: made.attempt,
        round: made.round,
        place: made.place,
        role: made.role,
        person: made.person.clone(),
        number: made.number.clone(),
        started: now.into(),
        ended: None,
        errand: made.errand,
        acknowledged: false,
        handed_on: None,
        engaged: false,
        line_is_back: false,
        guesses: 0,
        joined: made.joins,
        moved: None,
    }
}

pub(super) fn end(one: &mut Escalation, id: AttemptId, result: AttemptResult, now: Now) {
    let of = |attempt: &&mut Attempt| attempt.id == id && attempt.ended.is_none();
    if let Some(attempt) = one.attempts.iter_mut().find(of) {
        attempt.ended = Some((now.into(), result));
    }
}

fn failed(attempt: &Attempt) -> bool {
    matches!(attempt.ended, Some((_, AttemptResult::ChannelFailed)))
}

/// Of a long history the latest is kept, whatever is in flight, and what a number or a person turned out to be.
pub(super) fn forget_the_oldest(attempts: &mut Vec<Attempt>) {
    let mut over = attempts.len().saturating_sub(RECENT);
    attempts.retain(|attempt| {
        let dead = matches!(attempt.ended, Some((_, AttemptResult::Unreachable)));
        let kept = attempt.ended.is_none() || dead || attempt.handed_on.is_some();
        let goes = over > 0 && !kept;
        over -= usize::from(goes);
        !goes
    });
}

pub(super) fn concerns_leaders(fact: &Fact) -> bool {
    match fact {
        Fact::Arrived(arrival) => arrival.urgency.is_some(),
        Fact::Flagged { .. }
        | Fact::AttemptMade(_)
        | Fact::AttemptKey { .. }
        | Fact::AttemptMoved { .. }
        | Fact::Acknowledged { .. }
        | Fact::HandedOn { .. }
        | Fact::AttemptHeard { .. }
        | Fact::AttemptTalks { .. }
        | Fact::Dictated { .. }
        | Fact::AttemptEnded { .. }
        | Fact::NumberUp { .. }
        | Fact::LineUp => true,
        _ => false,
    }
}
