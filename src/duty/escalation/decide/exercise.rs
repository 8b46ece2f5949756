//! What an exercise needs: one round of the ladder, or one person at his numbers.

use super::{ASK_AGAIN, At, Look, in_flight, millis};
use crate::duty::escalation::{
    Attempt, Decision, Elsewhere, Exercise, ExerciseKind, State, Target,
};
use crate::duty::journal::AttemptResult::{self, ChannelFailed};
use crate::duty::switchboard::Errand;

/// Calls to each number before somebody counts as not reached.
const TRIES: usize = 2;
/// As many calls to a number may fail by the line before it is given up: a few minutes.
const FAILURES: usize = 10;

impl Look<'_> {
    pub(super) fn exercise(&self, exercise: &Exercise) -> Decision {
        if self.escalation.state != State::Open {
            return Decision::Done;
        }
        let flying = in_flight(self.escalation).next().is_some();
        let late = self.escalation.is_out_of_date(self.now) && !flying;
        if late || (exercise.put_off && exercise.kind == ExerciseKind::Drill) {
            return Decision::Missed;
        }
        if exercise.put_off {
            return self.wait(Some((ASK_AGAIN, "a real matter comes first")));
        }
        match exercise.kind {
            ExerciseKind::Drill => match self.ladder() {
                Decision::Siren | Decision::Repeat { .. } if flying => {
                    self.wait(Some((ASK_AGAIN, "somebody is being called")))
                }
                Decision::Siren | Decision::Repeat { .. } | Decision::RaiseAgain(_) => {
                    Decision::Missed
                }
                other => other,
            },
            ExerciseKind::RollCall | ExerciseKind::Number if flying => {
                self.wait(Some((ASK_AGAIN, "somebody is being called")))
            }
            ExerciseKind::RollCall | ExerciseKind::Number => self.one(exercise),
        }
    }

    /// One after the other, each number twice, with a pause between two calls to the same one.
    fn one(&self, exercise: &Exercise) -> Decision {
        let person = self.roster.named(&exercise.person);
        let living = person.map(|person| self.living(person)).unwrap_or_default();
        let wanted =
            |number: &&str| exercise.number.is_empty() || exercise.number.as_str() == *number;
        let numbers: Vec<&str> = living.into_iter().filter(wanted).collect();
        let counts = |one: &&Attempt| {
            let cut = [AttemptResult::Cancelled, AttemptResult::Interrupted, ChannelFailed];
            one.ended.is_none_or(|(_, result)| !cut.contains(&result))
        };
        let made = |number: &str| {
            let number = number.to_owned();
            self.escalation.attempts.iter().filter(move |one| one.number == number)
        };
        let tried = |number: &str| made(number).filter(counts).count();
        let failed = |number: &str| {
            let by_line = |one: &&Attempt| matches!(one.ended, Some((_, ChannelFailed)));
            made(number).filter(by_line).count()
        };
        let due = |number: &str| -> At {
            let ended = made(number).next_back().and_then(|last| last.ended);
            ended.map_or(At::MIN / 4, |(at, _)| self.rel(at) + millis(self.policy.busy_retry))
        };
        let left = |number: &&str| tried(number) < TRIES && failed(number) < FAILURES;
        let next = numbers.iter().copied().filter(left);
        let Some(number) = next.min_by_key(|number| (tried(number), failed(number))) else {
            return Decision::Missed;
        };
        let at = due(number);
        if at > 0 {
            return self.wait(Some((at, "the same number again")));
        }
        let busy = |other: &Elsewhere| other.person == exercise.person || other.number == number;
        if self.escalation.occupied.iter().any(busy) {
            return self.wait(Some((ASK_AGAIN, "he is on the phone for another matter")));
        }
        Decision::Notify(vec![Target {
            place: None,
            role: self.roster.role_of(&exercise.person).unwrap_or(exercise.role),
            person: exercise.person.clone(),
            number: number.to_owned(),
            ring: self.policy.ring,
            errand: Errand::Tell,
            after_cut: false,
            joins: None,
            why: "whether he is to be had",
        }])
    }
}
