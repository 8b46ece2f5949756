//! The decision itself. Moments are counted relative to now: negative is past, zero is due.

use super::{Channel, Delivery, Ending, Progress, Queue, Step, Try, What, off_the_half_hour};
use crate::duty::escalation::{Moment, State};
use crate::duty::ids::{DeliveryId, EscalationId};
use crate::protocol::now::Now;
use chrono::TimeDelta;
use std::cmp::Reverse;
use std::collections::BTreeMap;
use std::time::Duration;

/// Milliseconds from now.
type At = i64;

/// A provider that asks for more patience than this has failed this time, unless it is a first notice.
const STEP: At = 180_000;
/// A first notice is tried again by then, whatever the provider asks for.
const PATIENCE: At = 3_600_000;
/// After a try that took longer than the pause before the next one.
const BREATH: At = 1_000;
/// A try is lost when so much more than it may take has passed.
const GRACE: Duration = Duration::from_secs(15);
/// Matters in one message.
const BUNDLE: usize = 20;
/// How soon what is only said again looks for room anew.
const SPARE: At = 5_000;

/// What the channel needs now.
pub fn decide(queue: &Queue, channel: &Channel, now: Now) -> Step {
    let look = Look { queue, channel, now };
    let lost = look.lost();
    if !lost.is_empty() {
        return Step::Lost(lost);
    }
    let over: Vec<_> = look.waiting().filter_map(|one| look.is_over(one)).collect();
    if !over.is_empty() {
        return Step::Settle(over);
    }
    let (again, next_repeat) = look.repeats();
    if !again.is_empty() {
        return Step::Repeat(again);
    }
    look.send_or_wait(next_repeat)
}

fn millis(duration: Duration) -> At {
    At::try_from(duration.as_millis()).unwrap_or(At::MAX / 4)
}

struct Look<'a> {
    queue: &'a Queue,
    channel: &'a Channel,
    now: Now,
}

impl<'a> Look<'a> {
    fn waiting(&self) -> impl Iterator<Item = &'a Delivery> + use<'a> {
        self.queue.deliveries.iter().filter(|one| one.progress == Progress::Waiting)
    }

    fn lease(&self, one: &Try) -> Duration {
        let nth = usize::try_from(one.no.saturating_sub(1)).unwrap_or(usize::MAX);
        self.channel.kind.limit(nth) + GRACE
    }

    fn lost(&self) -> Vec<(DeliveryId, u32)> {
        let late = |one: &'a Delivery| {
            let last = one.in_flight()?;
            (last.started.age(self.now) >= self.lease(last)).then_some((one.id, last.no))
        };
        self.waiting().filter_map(late).collect()
    }

    /// What a delivery came to, if it came to anything.
    fn is_over(&self, one: &Delivery) -> Option<(DeliveryId, Progress, &'static str)> {
        if one.in_flight().is_some() {
            return None;
        }
        let over = |progress, why| Some((one.id, progress, why));
        match one.tries.last().and_then(|last| last.ended) {
            Some((_, Ending::Accepted)) => return over(Progress::Accepted, ""),
            Some((_, Ending::Permanent)) => return over(Progress::Failed, "refused for good"),
            Some((_, Ending::Gone)) => return over(Progress::Failed, "the channel is closed"),
            Some((_, Ending::Retry { .. } | Ending::Unknown | Ending::Lost)) | None => {}
        }
        if let Some(why) = self.unwanted(one) {
            return over(Progress::Dropped, why);
        }
        match self.due(one) {
            Some(_) => None,
            None => over(Progress::Failed, "every try failed"),
        }
    }

    fn unwanted(&self, one: &Delivery) -> Option<&'static str> {
        let of_it = |other: &&Delivery| other.escalation == one.escalation && other.id != one.id;
        let mut others = self.queue.deliveries.iter().filter(of_it);
        match (one.what, one.matter) {
            (What::Alert | What::Repeat, State::Acknowledged) => Some("acknowledged meanwhile"),
            (What::Alert | What::Repeat, State::Withdrawn) => Some("withdrawn meanwhile"),
            (What::Alert | What::Repeat, State::Open) => {
                let later =
                    self.queue.deliveries.iter().rev().take_while(|other| other.id != one.id);
                let covers = |other: &&Delivery| {
                    other.what == What::Alert
                        && (other.person.is_none() || other.person == one.person)
                };
                later.filter(of_it).any(|other| covers(&other)).then_some("more urgent meanwhile")
            }
            (What::HandedOver, _) => None,
            (What::Withdrawn, _) => {
                let told = others
                    .any(|other| other.progress == Progress::Accepted || other.may_have_arrived());
                (!told).then_some("nobody had been told")
            }
        }
    }

    /// When it is to be tried; `None` when it has been tried often enough.
    fn due(&self, one: &Delivery) -> Option<At> {
        let counted = |one: &&Try| !matches!(one.ended, Some((_, Ending::Lost)));
        let (Some(first), Some(last)) = (one.tries.first(), one.tries.last()) else {
            return Some(self.rel(one.made));
        };
        let (ended, ending) = last.ended?;
        let ended = self.rel(ended);
        let after = match ending {
            Ending::Lost => return Some(ended),
            Ending::Retry { after } => after.map(millis),
            Ending::Accepted | Ending::Unknown | Ending::Permanent | Ending::Gone => None,
        };
        let tried = one.tries.iter().filter(counted).count();
        let pause = self.channel.kind.retries().get(tried.saturating_sub(1))?;
        let planned = self.rel(first.started) + millis(Duration::from_secs(*pause));
        let at = planned.max(ended + BREATH);
        match after {
            Some(after) if one.what == What::Alert => Some(at.max(ended + after.min(PATIENCE))),
            Some(after) if ended + after - self.rel(one.made) > STEP => None,
            Some(after) => Some(at.max(ended + after)),
            None => Some(at),
        }
    }

    /// Open matters whose last word lies back long enough, and when the next one does.
    fn repeats(&self) -> (Vec<EscalationId>, Option<At>) {
        let mut last: BTreeMap<EscalationId, &Delivery> = BTreeMap::new();
        for one in self.queue.deliveries.iter().filter(|one| one.person.is_none()) {
            last.insert(one.escalation, one);
        }
        let Some(repeat) = self.channel.repeat else { return (vec![], None) };
        let (mut again, mut next) = (vec![], None);
        for (matter, one) in last {
            if one.matter != State::Open || one.progress == Progress::Waiting {
                continue;
            }
            let said = one.tries.last().map_or(one.made, |last| last.started);
            let at = self.off_the_half_hour(self.rel(said) + millis(repeat));
            if at <= 0 {
                again.push(matter);
            } else {
                next = Some(next.map_or(at, |next: At| next.min(at)));
            }
        }
        (again, next)
    }

    fn send_or_wait(&self, next_repeat: Option<At>) -> Step {
        let mut ready = vec![];
        let mut wait = Wait(next_repeat.map(|at| (at, "to be said again")));
        for one in self.waiting() {
            if let Some(last) = one.in_flight() {
                let lease = self.rel(last.started) + millis(self.lease(last));
                wait.no_later(lease, "a message is in flight");
                continue;
            }
            if self.waits_for_another(one) {
                continue;
            }
            let Some(at) = self.due(one) else { continue };
            let at = if one.what == What::Repeat { self.off_the_half_hour(at) } else { at };
            if at <= 0 {
                ready.push(one);
            } else {
                wait.no_later(at, "to be tried again");
            }
        }
        let sent: Vec<At> = self.queue.sent.iter().map(|at| self.rel(*at)).collect();
        let quota = self.channel.kind.quota();
        if ready.iter().all(|one| one.what == What::Repeat) && !quota.spares(&sent) {
            if !ready.is_empty() {
                wait.no_later(SPARE, "room for what is said again");
            }
            return self.wait(wait);
        }
        let free = quota.free_at(&sent);
        if free > 0 && !ready.is_empty() {
            wait.no_later(free, "the channel's quota");
            return self.wait(wait);
        }
        let patient = |one: &Delivery| matches!(one.what, What::Repeat | What::HandedOver);
        ready.sort_by_key(|one| (patient(one), Reverse(one.urgency), one.id));
        let Some(first) = ready.first() else { return self.wait(wait) };
        if ready.len() <= quota.room(&sent) {
            return Step::Send(vec![first.id]);
        }
        let says = |one: &Delivery| (one.what == What::Withdrawn, one.what == What::HandedOver);
        let alike = |one: &&&Delivery| says(one) == says(first) && one.person == first.person;
        Step::Send(ready.iter().filter(alike).take(BUNDLE).map(|one| one.id).collect())
    }

    /// A withdrawal never overtakes what it withdraws.
    fn waits_for_another(&self, one: &Delivery) -> bool {
        one.what == What::Withdrawn
            && self
                .waiting()
                .any(|other| other.escalation == one.escalation && other.what != What::Withdrawn)
    }

    fn off_the_half_hour(&self, at: At) -> At {
        let wall = self.now.wall + TimeDelta::milliseconds(at.max(0));
        at.max(0) + (off_the_half_hour(wall) - wall).num_milliseconds()
    }

    fn rel(&self, moment: Moment) -> At {
        -millis(moment.age(self.now))
    }

    fn wait(&self, wait: Wait) -> Step {
        let until = wait.0.map(|(at, why)| {
            (self.now.mono + Duration::from_millis(at.max(1).unsigned_abs()), why)
        });
        Step::Wait(until)
    }
}

/// The earliest moment that something is to be looked at.
struct Wait(Option<(At, &'static str)>);

impl Wait {
    fn no_later(&mut self, at: At, why: &'static str) {
        if self.0.is_none_or(|(before, _)| at < before) {
            self.0 = Some((at, why));
        }
    }
}

#[cfg(test)]
mod tests;
