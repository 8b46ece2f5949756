//! What the escalation goes by while the log cannot be read or written: what the log last had, and what happened
//! since. Knows no log.

mod facts;
mod practice;

use super::{
    Acked, Attempt, Decision, Elsewhere, Escalation, Matter, Policy, State, Target, Timetable,
    UnderWay, decide, expired, unwanted,
};
use crate::duty::ids::{AttemptId, EntryId, EscalationId};
use crate::duty::journal::{AttemptResult, Fact, Made, Noted};
use crate::duty::roster::{Person, Roster};
use crate::duty::switchboard::{Errand, Input, LeaderCall, Unwanted};
use crate::protocol::now::{Deadline, Mono, Now, earlier};
use crate::protocol::random::Random;
use facts::{attempt, concerns_leaders, end, forget_the_oldest};
use practice::Practice;
use std::collections::{BTreeSet, VecDeque};
use std::time::Duration;

/// Decisions about one escalation in one look.
const DECISIONS: usize = 8;
/// Attempts that are remembered of one escalation: more than the fullest round has.
const RECENT: usize = 400;
/// Who hears less of a recording has heard nothing of the matter.
const HEARD: Duration = Duration::from_secs(2);
/// What only the log can do is asked for again so long after.
const LATER: Duration = Duration::from_secs(5);

/// **Facts are taken in their order, each once; those that the log has are counted off in the same order.**
#[derive(Debug, Clone, Default)]
pub struct Memory {
    known: Vec<Escalation>,
    roster: Roster,
    /// What happened since the log was looked at, the first `written` of it in the log by now.
    facts: VecDeque<Noted>,
    written: usize,
    /// Calls that were ordered without the log, and of which it has not been told yet.
    untold: BTreeSet<AttemptId>,
    /// Calls that were told to stop.
    stopped: BTreeSet<AttemptId>,
    practice: Practice,
    /// As the look that is taken goes on.
    under_way: UnderWay,
    /// The log cannot be used: leaders are called by this.
    at_work: bool,
}

/// What one look came to.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Look {
    pub inputs: Vec<Input>,
    pub until: Option<Deadline>,
    /// Open escalations whose siren sounds.
    pub sirens: u32,
    /// Somebody is due for an open one, and is not called.
    pub withheld: bool,
}

impl Memory {
    /// Before the log has ever been looked at, these people are called.
    pub fn new(roster: Roster) -> Self {
        Self { roster, ..Self::default() }
    }

    /// What an earlier run left open, and calls of it that go on, where the log cannot say so.
    pub fn recall(
        &mut self,
        open: impl IntoIterator<Item = Matter>,
        calls: Vec<LeaderCall>,
        now: Now,
    ) {
        for Matter { entry, urgency, known_to, .. } in open {
            self.flag(entry, urgency, now);
            let of_entry = |one: &&mut Escalation| one.entry == entry && one.state == State::Open;
            if let Some(person) = known_to
                && let Some(one) = self.known.iter_mut().find(of_entry)
            {
                one.state = State::Acknowledged;
                one.acked = Some(Acked { at: now.into(), person });
            }
        }
        calls.iter().for_each(|call| self.ordered(call, now));
    }

    /// A call that the log ordered goes on, before the log has been looked at to its end.
    pub fn ordered(&mut self, call: &LeaderCall, now: Now) {
        let made = call.made(&self.roster);
        self.made(made.entry, attempt(&made, now));
    }

    pub fn take(&mut self, noted: &Noted) {
        if concerns_leaders(&noted.fact) {
            self.apply(noted);
            self.facts.push_back(noted.clone());
        }
    }

    /// The log has these, or has refused them for good.
    pub fn written<'a>(&mut self, facts: impl IntoIterator<Item = &'a Noted>) {
        for noted in facts {
            if concerns_leaders(&noted.fact) {
                self.written = (self.written + 1).min(self.facts.len());
            }
            if let Fact::AttemptMade(made) = &noted.fact {
                self.untold.remove(&made.attempt);
            }
        }
    }

    /// Before the log is looked at: hand it to `looked`.
    pub fn mark(&self) -> usize {
        self.written
    }

    /// The log was looked at: it has these open escalations, and whatever was written before `mark`.
    pub fn looked(&mut self, known: Vec<Escalation>, roster: Roster, mark: usize) {
        self.facts.drain(..mark.min(self.facts.len()));
        self.written = self.written.saturating_sub(mark);
        let (real, exercises) = known.into_iter().partition(|one| one.exercise.is_none());
        self.practice = Practice::of(exercises);
        let before = std::mem::replace(&mut self.known, real);
        self.roster = roster;
        self.stopped.clear();
        let since: Vec<Noted> = self.facts.iter().cloned().collect();
        since.iter().for_each(|noted| self.apply(noted));
        for one in before {
            for made in one.attempts {
                if self.untold.contains(&made.id) {
                    self.made(one.entry, made);
                }
            }
        }
    }

    /// A call that the log may not know yet is under way all the same.
    fn made(&mut self, entry: EntryId, made: Attempt) {
        let mut attempts = self.known.iter().flat_map(|one| &one.attempts);
        if attempts.any(|attempt| attempt.id == made.id) {
            return;
        }
        let of_entry = |one: &&mut Escalation| one.entry == entry && one.state != State::Withdrawn;
        let of_entry = self.known.iter_mut().filter(of_entry);
        if let Some(one) = of_entry.max_by_key(|one| one.state == State::Open) {
            one.attempts.push(made);
        }
    }

    /// Nothing has happened that the log does not have.
    pub fn is_settled(&self) -> bool {
        self.written == self.facts.len() && self.untold.is_empty()
    }

    /// Since when the log lacks something.
    pub fn waits_since(&self) -> Option<Mono> {
        self.facts.get(self.written).map(|noted| noted.at.mono)
    }

    /// Whether the log cannot be used, and leaders are called by this.
    pub fn works(&mut self, at_work: bool) {
        self.at_work = at_work;
    }

    /// While leaders are called by this: for what something is due that was not done.
    pub fn overdue(&self, versions: &Timetable, now: Now) -> Option<Vec<EscalationId>> {
        let is_due = |one: &&Escalation| {
            let mut one = Escalation::clone(one);
            let policy = one.go_by(versions);
            let due = match decide(&one, &policy, &self.roster, now) {
                Decision::Notify(_) | Decision::Siren | Decision::Repeat { .. } => true,
                // The log is waited for.
                Decision::Missed | Decision::RaiseAgain(_) => false,
                Decision::Wait { .. } | Decision::Done => false,
            };
            due || !expired(&one, &policy, now).is_empty()
        };
        self.at_work.then(|| self.known.iter().filter(is_due).map(|one| one.id).collect())
    }

    /// Somebody is to be told of something.
    pub fn is_needed(&self) -> bool {
        self.known.iter().any(|one| !one.closed && one.state != State::Withdrawn)
    }

    /// Whether this person is being told of this entry.
    pub fn tells(&self, person: &str, entry: EntryId) -> bool {
        let flying = |attempt: &Attempt| attempt.ended.is_none() && attempt.person == person;
        let mut known = self.known.iter().filter(|one| one.entry == entry);
        known.any(|one| one.attempts.iter().any(flying))
    }

    /// Whether a call to this person or number is under way.
    pub fn calls(&self, person: &str, number: &str) -> bool {
        let flying = |attempt: &Attempt| attempt.ended.is_none();
        let to = |attempt: &Attempt| attempt.person == person || attempt.number == number;
        let mut attempts = self.known.iter().flat_map(|one| &one.attempts);
        attempts.any(|attempt| flying(attempt) && to(attempt))
    }

    /// What every open escalation needs now. Each call is preceded by the fact that it is made.
    pub fn look(&mut self, versions: &Timetable, now: Now, random: &mut Random) -> Look {
        let mut look = Look::default();
        look.inputs.extend(self.practice.give_way(&self.known, now));
        let last = |one: &Escalation| one.attempts.iter().map(|attempt| attempt.started.wall).max();
        self.known.sort_by_key(|one| (last(one), one.urgency));
        self.under_way = self.calls_under_way(now);
        for index in 0..self.known.len() {
            let policy = self.known[index].go_by(versions);
            self.stop_and_expire(index, &policy, now, &mut look);
            self.known[index].occupied = self.under_way.elsewhere();
            self.advance(index, &policy, now, random, &mut look);
        }
        look.sirens = self.sirens();
        look
    }

    fn sirens(&self) -> u32 {
        let sounds = |one: &&Escalation| one.state == State::Open && one.siren;
        u32::try_from(self.known.iter().filter(sounds).count()).unwrap_or(u32::MAX)
    }

    /// As `look`, but that nobody is called any more: what is not wanted is stopped.
    pub fn last_stops(&mut self, versions: &Timetable, now: Now) -> Look {
        let mut look = Look { sirens: self.sirens(), ..Look::default() };
        look.inputs.extend(self.practice.give_way(&self.known, now));
        self.under_way = self.calls_under_way(now);
        for index in 0..self.known.len() {
            let policy = self.known[index].go_by(versions);
            self.stop_and_expire(index, &policy, now, &mut look);
            self.known[index].occupied = self.under_way.elsewhere();
            let one = &self.known[index];
            match decide(one, &policy, &self.roster, now) {
                Decision::Wait { until, why } => {
                    look.until = earlier(look.until, Some((until, why)));
                }
                Decision::Missed | Decision::Done => {}
                Decision::Notify(_)
                | Decision::Siren
                | Decision::Repeat { .. }
                | Decision::RaiseAgain(_) => look.withheld |= one.state == State::Open,
            }
        }
        look
    }

    fn stop_and_expire(&mut self, index: usize, policy: &Policy, now: Now, look: &mut Look) {
        let one = &mut self.known[index];
        for attempt in expired(one, policy, now) {
            let result = AttemptResult::Interrupted;
            let of = |known: &&Attempt| known.id == attempt;
            if let Some(known) = one.attempts.iter().find(of) {
                self.under_way.ends(known.call());
            }
            end(one, attempt, result, now);
            look.inputs.push(Input::Note(Fact::AttemptEnded { attempt, result, status: 0 }));
            look.inputs.push(Input::StopNotifying { attempt, why: Unwanted::Lost });
        }
        for attempt in unwanted(one, &self.roster) {
            if self.stopped.insert(attempt) {
                let of = |known: &&Attempt| known.id == attempt;
                let errand = one.attempts.iter().find(of).map(|known| known.errand);
                let why = match (one.state, errand) {
                    (_, Some(Errand::Remind | Errand::Confirm)) => Unwanted::Settled,
                    (State::Withdrawn, _) => Unwanted::Withdrawn,
                    (State::Open | State::Acknowledged, _) => Unwanted::Acknowledged,
                };
                look.inputs.push(Input::StopNotifying { attempt, why });
            }
        }
    }

    fn calls_under_way(&self, now: Now) -> UnderWay {
        let mut under_way = UnderWay::default();
        let attempts = self.known.iter().flat_map(|one| &one.attempts);
        let flying = attempts.filter(|one| one.ended.is_none()).map(Attempt::elsewhere);
        flying.chain(self.practice.occupied(now)).for_each(|one| under_way.begins(one));
        under_way
    }

    fn advance(
        &mut self,
        index: usize,
        policy: &Policy,
        now: Now,
        random: &mut Random,
        look: &mut Look,
    ) {
        for _ in 0..DECISIONS {
            match decide(&self.known[index], policy, &self.roster, now) {
                Decision::Notify(targets) => {
                    for target in targets {
                        let attempt = AttemptId::new(now, random);
                        look.inputs.extend(self.call(index, attempt, target, now));
                    }
                }
                Decision::Siren => self.known[index].siren = true,
                Decision::Repeat { began } => {
                    let one = &mut self.known[index];
                    (one.round, one.round_began) = (one.round + 1, began);
                }
                Decision::Wait { until, why } => {
                    look.until = earlier(look.until, Some((until, why)));
                    return;
                }
                // Exercises wait for the log.
                Decision::Missed | Decision::RaiseAgain(_) => {
                    let later = (now.mono + LATER, "the log is to raise it again");
                    look.until = earlier(look.until, Some(later));
                    return;
                }
                Decision::Done => {
                    self.known[index].closed = true;
                    return;
                }
            }
        }
        look.until = earlier(look.until, Some((now.mono, "more is to be decided")));
    }

    fn call(&mut self, index: usize, attempt: AttemptId, target: Target, now: Now) -> [Input; 2] {
        let others = self.known.iter().enumerate().filter(|(nth, _)| *nth != index);
        let elsewhere = others.flat_map(|(_, one)| &one.attempts).filter_map(Attempt::guessed);
        let named = |person: &&Person| person.name == target.person && person.pin.is_some();
        let person = self.roster.people.iter().find(named);
        let pin = person.and_then(|person| self.known[index].pin_of(person, elsewhere));
        let one = &mut self.known[index];
        let made = Made {
            attempt,
            entry: one.entry,
            round: one.round,
            place: target.place,
            role: target.role,
            person: target.person.clone(),
            number: target.number.clone(),
            errand: target.errand,
            why: target.why.to_owned(),
            joins: target.joins,
        };
        let made_now = self::attempt(&made, now);
        self.under_way.begins(made_now.elsewhere());
        one.attempts.push(made_now);
        forget_the_oldest(&mut one.attempts);
        self.untold.insert(attempt);
        let order = LeaderCall {
            attempt,
            entry: one.entry,
            person: target.person,
            target: target.number,
            urgency: one.urgency,
            ring: target.ring,
            errand: target.errand,
            after_cut: target.after_cut,
            pin,
            joins: target.joins,
        };
        [Input::Note(Fact::AttemptMade(Box::new(made))), Input::Notify(order)]
    }
}

#[cfg(test)]
mod tests;
