//! The decision itself. Moments are counted relative to now: negative is past, zero is due.

mod after;
mod exercise;

use super::{
    Attempt, Decision, Elsewhere, Escalation, Line, Moment, Place, Policy, State, Target, Tier,
};
use crate::duty::ids::AttemptId;
use crate::duty::journal::AttemptResult;
use crate::duty::roster::{Person, Role, Roster};
use crate::duty::switchboard::Errand;
use crate::protocol::now::Now;
use std::collections::BTreeMap;
use std::time::Duration;

/// Milliseconds from now.
type At = i64;

/// Whoever listens to the recording or dictates takes at most so much longer.
const ENGAGED: Duration = Duration::from_secs(900);
/// A new round that is later than this begins now instead of when it should have.
const LATE: At = 30_000;
/// Somebody who is being called for another matter is asked for again after this at the latest;
/// the end of that call is heard of sooner.
const ASK_AGAIN: At = 3_000;

/// What is to be done now. Whatever it says is written down before it is done; then it is asked
/// again, until it says `Wait` or `Done`.
pub fn decide(escalation: &Escalation, policy: &Policy, roster: &Roster, now: Now) -> Decision {
    let look = Look { escalation, policy, roster, now };
    if let Some(exercise) = &escalation.exercise {
        return look.exercise(exercise);
    }
    match escalation.state {
        State::Withdrawn => Decision::Done,
        State::Acknowledged if escalation.closed => Decision::Done,
        State::Acknowledged => look.acknowledged(),
        State::Open => look.ladder(),
    }
}

/// Attempts in flight that are no longer wanted: everybody's after a withdrawal; after an
/// acknowledgement all but the redial of the leader himself (I-7) and the call in which the key
/// was pressed.
pub fn unwanted(escalation: &Escalation, roster: &Roster) -> Vec<AttemptId> {
    if let Some(exercise) = &escalation.exercise {
        let over = escalation.state != State::Open;
        let unwanted = |attempt: &&Attempt| exercise.put_off || (over && !attempt.acknowledged);
        return in_flight(escalation).filter(unwanted).map(|attempt| attempt.id).collect();
    }
    let leader = roster.holder(Role::Leader).map(|person| person.name.as_str());
    let leader = leader.filter(|leader| !escalation.knows(leader));
    let wanted = |attempt: &Attempt| match escalation.state {
        State::Open => true,
        State::Withdrawn => false,
        State::Acknowledged => match attempt.errand {
            Errand::Tell => {
                attempt.acknowledged
                    || (!escalation.leader_reached && Some(attempt.person.as_str()) == leader)
            }
            Errand::Remind => !escalation.read && !escalation.closed,
            Errand::Confirm => escalation.unconfirmed.is_some(),
            Errand::Silent | Errand::Drill | Errand::RollCall | Errand::CheckNumber => false,
        },
    };
    in_flight(escalation).filter(|attempt| !wanted(attempt)).map(|attempt| attempt.id).collect()
}

/// Attempts in flight that nothing was heard of for too long.
pub fn expired(escalation: &Escalation, policy: &Policy, now: Now) -> Vec<AttemptId> {
    in_flight(escalation)
        .filter(|attempt| attempt.began().age(now) >= lease(attempt, policy))
        .map(|attempt| attempt.id)
        .collect()
}

/// Whoever shares a call waits for his turn in it.
fn lease(attempt: &Attempt, policy: &Policy) -> Duration {
    let longer = attempt.engaged || attempt.joined.is_some();
    policy.lease + if longer { ENGAGED } else { Duration::ZERO }
}

fn in_flight(escalation: &Escalation) -> impl Iterator<Item = &Attempt> {
    escalation.attempts.iter().filter(|attempt| attempt.ended.is_none())
}

fn millis(duration: Duration) -> At {
    At::try_from(duration.as_millis()).unwrap_or(At::MAX / 4)
}

struct Look<'a> {
    escalation: &'a Escalation,
    policy: &'a Policy,
    roster: &'a Roster,
    now: Now,
}

/// A call somebody is due for.
#[derive(Debug, Clone)]
struct Want {
    at: At,
    target: Target,
}

/// A tier whose beginning is known, soon or past.
struct Begun<'a> {
    index: usize,
    tier: &'a Tier,
    at: At,
    person: Option<&'a Person>,
}

impl<'a> Look<'a> {
    fn ladder(&self) -> Decision {
        let (begun, over) = self.tiers();
        let current = begun.iter().rev().find(|tier| tier.at <= 0);
        let window = current.filter(|tier| tier.tier.repeat.is_some());
        let mut wants = vec![];
        for (nth, tier) in begun.iter().enumerate() {
            let Some(person) = tier.person else { continue };
            let earlier = begun.iter().take(nth).filter_map(|tier| tier.person);
            let mut named_before = earlier.filter(|before| before.name == person.name);
            if named_before.next().is_some() || self.has_declined(tier, person) {
                continue;
            }
            wants.extend(self.calls_of(tier, person));
            if tier.at <= 0 {
                let repeats = window
                    .filter(|current| current.person.is_some_and(|held| held.name == person.name));
                let repeat = repeats.and_then(|current| current.tier.repeat);
                wants.extend(self.follow_up(tier.tier.role, person, repeat, true));
            }
        }
        wants.extend(self.redial_leader());
        let (calls, next) = self.sort_out(wants);
        if !calls.is_empty() {
            return Decision::Notify(calls);
        }
        if over <= 0 && !self.escalation.siren {
            return Decision::Siren;
        }
        let round = millis(self.policy.ladder(self.escalation.urgency).round);
        let again = over.max(self.rel(self.escalation.round_began) + round);
        if again <= 0 {
            let began = if again < -LATE { 0 } else { again };
            return Decision::Repeat { began: self.moment(began) };
        }
        let over = (over > 0).then_some((over, "everybody has been tried"));
        let ends = [Some((again, "the ladder begins again")), over, next];
        self.wait(ends.into_iter().flatten().min())
    }

    /// When each tier begins, and when all have been tried. A tier ends early when its person
    /// cannot be reached at all or declines.
    fn tiers(&self) -> (Vec<Begun<'a>>, At) {
        let mut at = self.rel(self.escalation.round_began);
        let mut begun = vec![];
        for (index, tier) in self.policy.ladder(self.escalation.urgency).tiers.iter().enumerate() {
            let person = self.roster.holder(tier.role);
            begun.push(Begun { index, tier, at, person });
            let over = at + millis(tier.lasts);
            let gave_up = match person {
                None => Some(at),
                Some(person) => self.gave_up(person).map(|given| given.max(at)),
            };
            at = gave_up.map_or(over, |given| given.min(over));
        }
        (begun, at)
    }

    /// When it was clear that this person is not to be had in this round.
    fn gave_up(&self, person: &Person) -> Option<At> {
        if self.living(person).is_empty() {
            let last = self.attempts_of(person).filter_map(|attempt| {
                let (at, result) = attempt.ended?;
                (result == AttemptResult::Unreachable).then(|| self.rel(at))
            });
            return Some(last.max().unwrap_or(At::MIN / 4));
        }
        self.declined(person)
    }

    /// He has said that it is not for him (key 3), in this escalation.
    fn handed_on(&self, person: &Person) -> Option<At> {
        if self.escalation.left_out.contains(&person.name) {
            return Some(At::MIN / 4);
        }
        let handed = self.attempts_of(person).filter_map(|attempt| attempt.handed_on);
        handed.map(|at| self.rel(at)).min()
    }

    fn declined(&self, person: &Person) -> Option<At> {
        if let Some(at) = self.handed_on(person) {
            return Some(at);
        }
        let this_round =
            self.attempts_of(person).filter(|attempt| attempt.round == self.escalation.round);
        this_round
            .filter_map(|attempt| {
                let (at, result) = attempt.ended?;
                let gives_up = matches!(result, AttemptResult::Declined | AttemptResult::WrongPin);
                gives_up.then(|| self.rel(at))
            })
            .min()
    }

    /// Whoever declined is left alone for this round; not so the duty leader, whose other calls
    /// go on (esc_19).
    fn has_declined(&self, tier: &Begun<'_>, person: &Person) -> bool {
        match tier.tier.role {
            Role::Leader => self.handed_on(person).is_some(),
            _ => self.declined(person).is_some(),
        }
    }

    /// The tier's calls that have not been made in this round.
    fn calls_of(&self, tier: &Begun<'_>, person: &Person) -> Vec<Want> {
        let mut wants = vec![];
        for (nth, call) in tier.tier.calls.iter().enumerate() {
            let place = Place { tier: tier.index, call: nth };
            let at = tier.at + millis(call.after);
            let Some(number) = self.number_for(person, call.line, nth == 0) else { continue };
            if self.was_made(place, person, number, at) {
                continue;
            }
            let target = Target {
                place: Some(place),
                role: tier.tier.role,
                person: person.name.clone(),
                number: number.to_owned(),
                ring: call.ring,
                errand: Errand::Tell,
                after_cut: false,
                joins: None,
                why: "the ladder says so",
            };
            wants.push(Want { at, target });
        }
        wants
    }

    /// Made already; or the same phone was ringing anyway when it fell due.
    fn was_made(&self, place: Place, person: &Person, number: &str, at: At) -> bool {
        self.attempts_of(person).any(|attempt| {
            let made = attempt.round == self.escalation.round && attempt.place == Some(place);
            let ended = attempt.ended.map_or(At::MAX, |(ended, _)| self.rel(ended));
            let rang = attempt.number == number && self.rel(attempt.started) <= at && at < ended;
            made || (at <= 0 && rang)
        })
    }

    /// What the end of somebody's last call asks for. `this_round`: a call of an earlier round
    /// asks for nothing.
    fn follow_up(
        &self,
        role: Role,
        person: &Person,
        repeat: Option<Duration>,
        this_round: bool,
    ) -> Option<Want> {
        let last = self.attempts_of(person).next_back()?;
        let (ended, result) = last.ended?;
        if this_round && last.round != self.escalation.round && role != Role::Leader {
            return None;
        }
        let same = self.living(person).contains(&last.number.as_str());
        let same = same.then_some(last.number.as_str());
        let other = self.least_tried(person);
        let (after, number, why) = match result {
            AttemptResult::Busy => (self.policy.busy_retry, same.or(other), "he was busy"),
            AttemptResult::AnsweredNoKey => {
                (self.policy.no_key_redial, same.or(other), "answered, but no key")
            }
            AttemptResult::Interrupted => {
                (Duration::ZERO, same.or(other), "the call was cut by a crash")
            }
            AttemptResult::Unreachable => (Duration::ZERO, other, "the other number"),
            AttemptResult::ChannelFailed => {
                (self.channel_retry(person), same.or(other), "the line failed")
            }
            AttemptResult::NoAnswer | AttemptResult::Cancelled => {
                (repeat?, other, "again within his time")
            }
            AttemptResult::Declined
            | AttemptResult::Acknowledged
            | AttemptResult::HandedOn
            | AttemptResult::WrongPin => return None,
        };
        // What was cut goes before anything else that has fallen due meanwhile.
        let after_cut = result == AttemptResult::Interrupted;
        let from = if after_cut { last.started } else { ended };
        let at = self.rel(from) + millis(after);
        let target = self.repetition(role, person, number?, why);
        Some(Want { at, target: Target { after_cut, ..target } })
    }

    /// Doubles with every failure in a row; over as soon as the line is back.
    fn channel_retry(&self, person: &Person) -> Duration {
        let failed =
            |attempt: &&Attempt| matches!(attempt.ended, Some((_, AttemptResult::ChannelFailed)));
        let mut last = self.attempts_of(person).rev().take_while(failed).peekable();
        if last.peek().is_some_and(|attempt| attempt.line_is_back) {
            return Duration::ZERO;
        }
        let doublings = u32::try_from(last.count().saturating_sub(1)).unwrap_or(8).min(8);
        (self.policy.channel_retry * 2_u32.pow(doublings)).min(self.policy.redial_leader)
    }

    fn redial_leader(&self) -> Option<Want> {
        let leader = self.roster.holder(Role::Leader)?;
        let knows = self.escalation.leader_reached || self.escalation.knows(&leader.name);
        if knows || self.handed_on(leader).is_some() {
            return None;
        }
        let number = self.least_tried(leader)?;
        let last = self.attempts_of(leader).next_back();
        let open = self.escalation.state == State::Open;
        let at = match last {
            Some(last) => self.rel(last.started) + millis(self.policy.redial_leader),
            // His first call is the ladder's.
            None if open => return None,
            None => 0,
        };
        let why = "the duty leader himself is to be reached";
        Some(Want { at, target: self.repetition(Role::Leader, leader, number, why) })
    }

    fn repetition(&self, role: Role, person: &Person, number: &str, why: &'static str) -> Target {
        let (person, number) = (person.name.clone(), number.to_owned());
        let (ring, errand) = (self.policy.ring, Errand::Tell);
        let (place, after_cut, joins) = (None, false, None);
        Target { place, role, person, number, ring, errand, after_cut, joins, why }
    }

    /// One call for each person at most: those due now, and when the next falls due.
    fn sort_out(&self, wants: Vec<Want>) -> (Vec<Target>, Option<(At, &'static str)>) {
        let mut first: BTreeMap<String, Want> = BTreeMap::new();
        for want in wants {
            let at = want.at.max(self.left_alone(&want.target.person));
            let want = Want { at, ..want };
            let earliest = first.entry(want.target.person.clone()).or_insert_with(|| want.clone());
            if want.at < earliest.at {
                *earliest = want;
            }
        }
        let mut calls: Vec<Want> = vec![];
        let mut next = in_flight(self.escalation)
            .map(|attempt| {
                let lease = millis(lease(attempt, self.policy));
                (self.rel(attempt.began()) + lease, "an attempt is in flight")
            })
            .min();
        for want in first.into_values() {
            let target = &want.target;
            let called = |attempt: &Attempt| {
                attempt.person == target.person || attempt.number == target.number
            };
            if in_flight(self.escalation).any(called) {
                continue;
            }
            let twice = calls.iter().any(|other| other.target.number == target.number);
            if want.at > 0 {
                next = earlier(next, (want.at, target.why));
                continue;
            }
            match self.shared(target) {
                Some(target) if !twice => calls.push(Want { target, ..want }),
                Some(_) | None => {
                    next = earlier(next, (ASK_AGAIN, "he is on the phone for another matter"));
                }
            }
        }
        calls.sort_by_key(|want| want.at);
        (calls.into_iter().map(|want| want.target).collect(), next)
    }

    /// Where he is on the telephone for another matter, he is told of this one too; `None`: somebody else is there, or it
    /// is no call that tells of anything.
    fn shared(&self, target: &Target) -> Option<Target> {
        let there =
            |other: &&Elsewhere| other.person == target.person || other.number == target.number;
        if !self.escalation.occupied.iter().any(|other| there(&other)) {
            return Some(target.clone());
        }
        let shares = |other: &&Elsewhere| other.joinable && other.person == target.person;
        let other = self.escalation.occupied.iter().find(shares)?;
        let (number, joins) = (other.number.clone(), Some(other.call));
        // A drill is told of in no call that is real.
        let tells = target.errand == Errand::Tell && self.escalation.exercise.is_none();
        tells.then(|| Target { number, joins, ..target.clone() })
    }

    /// Whoever hung up without a key is left alone for a moment.
    fn left_alone(&self, person: &str) -> At {
        let of_him = |attempt: &&Attempt| attempt.person == person;
        match self.escalation.attempts.iter().rev().find(of_him).and_then(|last| last.ended) {
            Some((ended, AttemptResult::AnsweredNoKey)) => {
                self.rel(ended) + millis(self.policy.no_key_redial)
            }
            Some(_) | None => At::MIN / 4,
        }
    }

    /// To tell him of it, oldest first.
    fn attempts_of(
        &self,
        person: &Person,
    ) -> impl DoubleEndedIterator<Item = &'a Attempt> + use<'a> {
        let name = person.name.clone();
        let of_him =
            move |attempt: &&Attempt| attempt.person == name && attempt.errand == Errand::Tell;
        self.escalation.attempts.iter().filter(of_him)
    }

    /// His numbers that have not turned out dead in this escalation, mobile first.
    fn living<'p>(&self, person: &'p Person) -> Vec<&'p str> {
        let dead = |number: &str| {
            let unreachable =
                |attempt: &Attempt| matches!(attempt.ended, Some((_, AttemptResult::Unreachable)));
            let mut attempts = self.escalation.attempts.iter();
            attempts.any(|attempt| attempt.number == number && unreachable(attempt))
        };
        let numbers = [&person.mobile, &person.office].into_iter().flatten().map(String::as_str);
        numbers.filter(|number| !number.is_empty() && !dead(number)).collect()
    }

    fn number_for<'p>(&self, person: &'p Person, line: Line, any: bool) -> Option<&'p str> {
        let wanted = match line {
            Line::Mobile => &person.mobile,
            Line::Office => &person.office,
        };
        let living = self.living(person);
        let wanted = wanted.as_deref().filter(|number| living.contains(number));
        wanted.or_else(|| living.first().copied().filter(|_| any))
    }

    fn least_tried<'p>(&self, person: &'p Person) -> Option<&'p str> {
        let last_tried = |number: &&str| {
            self.escalation.attempts.iter().rposition(|attempt| attempt.number == *number)
        };
        self.living(person).into_iter().min_by_key(last_tried)
    }

    fn rel(&self, moment: Moment) -> At {
        -millis(moment.age(self.now))
    }

    /// A moment at or before now.
    fn moment(&self, at: At) -> Moment {
        let ago = Duration::from_millis(at.min(0).unsigned_abs());
        Moment { wall: self.now.wall - ago, mono: Some(self.now.mono - ago) }
    }

    fn wait(&self, next: Option<(At, &'static str)>) -> Decision {
        let (at, why) = next.unwrap_or((ASK_AGAIN, "nothing else is known"));
        let wait = Duration::from_millis(at.max(1).unsigned_abs());
        Decision::Wait { until: self.now.mono + wait, why }
    }
}

fn earlier(
    next: Option<(At, &'static str)>,
    other: (At, &'static str),
) -> Option<(At, &'static str)> {
    Some(next.map_or(other, |next| if other.0 < next.0 { other } else { next }))
}

#[cfg(test)]
mod tests;
