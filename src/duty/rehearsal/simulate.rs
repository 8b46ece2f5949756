//! Who would be called when: the decision of the real thing in virtual time, against telephones that
//! behave as they are told.

use crate::duty::escalation::{
    Attempt, Decision, Escalation, Policy, State, Target, decide, unwanted,
};
use crate::duty::ids::{AttemptId, EntryId, EscalationId};
use crate::duty::journal::{AttemptResult, Urgency};
use crate::duty::roster::{Role, Roster};
use crate::protocol::now::{Mono, Now};
use crate::protocol::random::Random;
use std::collections::BTreeMap;
use std::time::Duration;

/// From the first ring to the announcement that the phone is switched off.
const OFF_AFTER: Duration = Duration::from_secs(5);
/// From the first ring to an answer, and from there to the key.
const ANSWERS_AFTER: Duration = Duration::from_secs(8);
const KEY_AFTER: Duration = Duration::from_secs(10);
/// A call in which nobody presses a key.
const NO_KEY: Duration = Duration::from_secs(60);
/// Decisions of one rehearsal; more would be a fault of the machine.
const STEPS: usize = 100_000;

/// How a telephone behaves.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum Phone {
    /// Rings, and nobody comes.
    #[default]
    Silent,
    /// 关机
    Off,
    Busy,
    Declines,
    /// 空号
    Dead,
    /// A machine answers: no key.
    Machine,
    /// Somebody answers and presses the key.
    Answers,
}

impl Phone {
    /// From the beginning of a call to the answer, by whom or what ever.
    pub fn answers_after(self) -> Option<Duration> {
        matches!(self, Self::Answers | Self::Machine).then_some(ANSWERS_AFTER)
    }

    /// Whether anybody beside it would hear it.
    pub fn rings(self) -> bool {
        !matches!(self, Self::Off | Self::Busy | Self::Dead)
    }
}

pub struct Plan<'a> {
    pub policy: &'a Policy,
    pub roster: &'a Roster,
    pub urgency: Urgency,
    /// By number.
    pub phones: &'a BTreeMap<String, Phone>,
    pub start: Now,
    pub lasts: Duration,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Event {
    /// Since the flag.
    pub at: Duration,
    pub what: Happens,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Happens {
    Calls {
        role: Role,
        person: String,
        number: String,
        why: &'static str,
    },
    Ended {
        person: String,
        number: String,
        result: AttemptResult,
    },
    Acknowledged {
        role: Role,
        person: String,
    },
    /// 警报器
    Siren,
    /// The ladder begins again for the n-th time.
    Round(u32),
}

/// What happens, in order.
pub fn simulate(plan: &Plan<'_>) -> Vec<Event> {
    let mut random = Random::from_seed([0; 32]);
    let escalation = Escalation {
        id: EscalationId::new(plan.start, &mut random),
        entry: EntryId::new(plan.start, &mut random),
        urgency: plan.urgency,
        state: State::Open,
        raised: plan.start.wall,
        round: 0,
        round_began: plan.start.into(),
        siren: false,
        leader_reached: false,
        acked: None,
        // Who is told is rehearsed, not what follows.
        read: true,
        unconfirmed: None,
        closed: false,
        attempts: vec![],
        occupied: vec![],
        exercise: None,
        left_out: vec![],
        figures: None,
    };
    let mut rehearsal =
        Rehearsal { plan, random, escalation, now: plan.start, coming: vec![], events: vec![] };
    rehearsal.run();
    rehearsal.events
}

struct Rehearsal<'a> {
    plan: &'a Plan<'a>,
    random: Random,
    escalation: Escalation,
    now: Now,
    coming: Vec<(Mono, AttemptId, AttemptResult)>,
    events: Vec<Event>,
}

impl Rehearsal<'_> {
    fn run(&mut self) {
        let end = self.plan.start.mono + self.plan.lasts;
        for _ in 0..STEPS {
            for attempt in unwanted(&self.escalation, self.plan.roster) {
                self.ended(attempt, AttemptResult::Cancelled);
            }
            let until = match decide(&self.escalation, self.plan.policy, self.plan.roster, self.now)
            {
                Decision::Notify(targets) => {
                    targets.into_iter().for_each(|target| self.call(target));
                    continue;
                }
                Decision::Siren => {
                    self.escalation.siren = true;
                    self.happens(Happens::Siren);
                    continue;
                }
                Decision::Repeat { began } => {
                    self.escalation.round += 1;
                    self.escalation.round_began = began;
                    self.happens(Happens::Round(self.escalation.round));
                    continue;
                }
                Decision::Wait { until, .. } => Some(until),
                Decision::Missed | Decision::RaiseAgain(_) | Decision::Done => None,
            };
            let next = self.coming.iter().map(|one| one.0).chain(until).min();
            let Some(next) = next.filter(|next| *next <= end) else { return };
            self.now = self.now + next.since(self.now.mono);
            let (due, later) = self.coming.drain(..).partition(|one| one.0 <= next);
            self.coming = later;
            let due: Vec<(Mono, AttemptId, AttemptResult)> = due;
            due.into_iter().for_each(|(_, attempt, result)| self.ended(attempt, result));
        }
    }

    fn happens(&mut self, what: Happens) {
        self.events.push(Event { at: self.now.mono.since(self.plan.start.mono), what });
    }

    fn call(&mut self, target: Target) {
        let id = AttemptId::new(self.now, &mut self.random);
        let phone = self.plan.phones.get(&target.number).copied().unwrap_or_default();
        let (takes, result) = match phone {
            Phone::Silent => (target.ring, AttemptResult::NoAnswer),
            Phone::Off => (OFF_AFTER, AttemptResult::NoAnswer),
            Phone::Busy => (Duration::from_secs(1), AttemptResult::Busy),
            Phone::Declines => (OFF_AFTER, AttemptResult::Declined),
            Phone::Dead => (Duration::from_secs(1), AttemptResult::Unreachable),
            Phone::Machine => (NO_KEY, AttemptResult::AnsweredNoKey),
            Phone::Answers => (ANSWERS_AFTER + KEY_AFTER, AttemptResult::Acknowledged),
        };
        self.coming.push((self.now.mono + takes, id, result));
        let (role, why) = (target.role, target.why);
        let (person, number) = (target.person.clone(), target.number.clone());
        self.happens(Happens::Calls { role, person, number, why });
        self.escalation.attempts.push(Attempt {
            id,
            round: self.escalation.round,
            place: target.place,
            role,
            person: target.person,
            number: target.number,
            started: self.now.into(),
            ended: None,
            errand: target.errand,
            acknowledged: false,
            handed_on: None,
            engaged: false,
            line_is_back: false,
            guesses: 0,
            joined: target.joins,
            moved: None,
        });
    }

    fn ended(&mut self, id: AttemptId, result: AttemptResult) {
        self.coming.retain(|one| one.1 != id);
        let now = self.now;
        let attempts = &mut self.escalation.attempts;
        let Some(attempt) = attempts.iter_mut().find(|attempt| attempt.id == id) else { return };
        attempt.ended = Some((now.into(), result));
        attempt.acknowledged = result == AttemptResult::Acknowledged;
        let (role, person, number) = (attempt.role, attempt.person.clone(), attempt.number.clone());
        if result == AttemptResult::Acknowledged {
            self.escalation.state = State::Acknowledged;
            self.escalation.leader_reached |= role == Role::Leader;
            self.happens(Happens::Acknowledged { role, person });
        } else {
            self.happens(Happens::Ended { person, number, result });
        }
    }
}
