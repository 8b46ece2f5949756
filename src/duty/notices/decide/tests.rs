//! One channel in virtual time: what is on its wire, and when.

mod quotas;

use super::*;
use crate::duty::escalation::State::{Acknowledged, Open, Withdrawn};
use crate::duty::journal::Urgency;
use crate::duty::notices::Kind;
use crate::protocol::now::Mono;
use crate::protocol::random::Random;
use chrono::{TimeZone, Utc};
use std::collections::BTreeSet;

/// One channel, a provider that answers as it is told, and the wire between them.
struct Room {
    channel: Channel,
    queue: Queue,
    random: Random,
    now: Now,
    began: Mono,
    /// How the provider answers, and after how long.
    answers: Box<dyn FnMut(usize) -> (Duration, Ending)>,
    coming: Vec<Coming>,
    /// Seconds after the start, and what was said of which matters.
    wire: Vec<Sent>,
}

/// An answer on its way: when, to which tries, which.
type Coming = (Mono, Vec<(DeliveryId, u32)>, Ending);

#[derive(Debug, Clone, PartialEq)]
struct Sent {
    at: f64,
    what: What,
    name: DeliveryId,
    matters: Vec<EscalationId>,
}

fn seconds(seconds: f64) -> Duration {
    Duration::from_secs_f64(seconds)
}

impl Room {
    fn of(kind: Kind) -> Self {
        let wall = Utc.with_ymd_and_hms(2026, 10, 3, 13, 42, 0).unwrap();
        let now = Now { mono: Mono(1_000_000_000_000_000), wall };
        Self {
            channel: Channel {
                name: "群".into(),
                kind,
                least: Urgency::Urgent,
                repeat: Some(seconds(600.0)),
                to_leader: false,
            },
            queue: Queue::default(),
            random: Random::from_seed([5; 32]),
            now,
            began: now.mono,
            answers: Box::new(|_| (seconds(0.1), Ending::Accepted)),
            coming: vec![],
            wire: vec![],
        }
    }

    fn answering(kind: Kind, answers: impl FnMut(usize) -> (Duration, Ending) + 'static) -> Self {
        Self { answers: Box::new(answers), ..Self::of(kind) }
    }

    fn flagged(&mut self, urgency: Urgency) -> EscalationId {
        let matter = EscalationId::new(self.now, &mut self.random);
        self.owes(matter, What::Alert, urgency);
        matter
    }

    fn owes(&mut self, escalation: EscalationId, what: What, urgency: Urgency) {
        let matter = if what == What::Withdrawn { Withdrawn } else { Open };
        self.queue.deliveries.push(Delivery {
            id: DeliveryId::new(self.now, &mut self.random),
            escalation,
            matter,
            urgency,
            what,
            person: None,
            made: self.now.into(),
            progress: Progress::Waiting,
            tries: vec![],
        });
    }

    fn becomes(&mut self, matter: EscalationId, state: State) {
        let of = |one: &&mut Delivery| one.escalation == matter;
        let mut told = false;
        for one in self.queue.deliveries.iter_mut().filter(of) {
            one.matter = state;
            told |= !one.tries.is_empty();
        }
        if state == Withdrawn && told {
            self.owes(matter, What::Withdrawn, Urgency::Urgent);
        }
    }

    fn delivery(&mut self, id: DeliveryId) -> &mut Delivery {
        self.queue.deliveries.iter_mut().find(|one| one.id == id).expect("a delivery")
    }

    fn progress(&self, matter: EscalationId) -> Vec<(What, Progress)> {
        let of = self.queue.deliveries.iter().filter(|one| one.escalation == matter);
        of.map(|one| (one.what, one.progress)).collect()
    }

    fn since(&self, at: Mono) -> f64 {
        at.since(self.began).as_secs_f64()
    }

    fn pass(&mut self, time: f64) {
        let end = self.now.mono + seconds(time);
        loop {
            let until = self.step();
            let next = self.coming.iter().map(|one| one.0).chain(until).min();
            let next = next.filter(|next| *next <= end).unwrap_or(end);
            self.now = self.now + next.since(self.now.mono);
            let (due, later) = self.coming.drain(..).partition(|one| one.0 <= next);
            self.coming = later;
            let due: Vec<Coming> = due;
            for (_, tries, ending) in &due {
                self.ended(tries, *ending);
            }
            if due.is_empty() && next == end && until.is_none_or(|until| until > end) {
                return;
            }
        }
    }

    fn ended(&mut self, tries: &[(DeliveryId, u32)], ending: Ending) {
        let now = self.now;
        for (id, no) in tries {
            let fenced = |one: &&mut Try| one.no == *no && one.ended.is_none();
            if let Some(one) = self.delivery(*id).tries.iter_mut().find(fenced) {
                one.ended = Some((now.into(), ending));
            }
        }
    }

    /// Drains what is to be done now; when to look again.
    fn step(&mut self) -> Option<Mono> {
        loop {
            match decide(&self.queue, &self.channel, self.now) {
                Step::Lost(tries) => self.ended(&tries, Ending::Lost),
                Step::Settle(over) => {
                    for (id, progress, _) in over {
                        self.delivery(id).progress = progress;
                    }
                }
                Step::Repeat(matters) => {
                    for matter in matters {
                        self.owes(matter, What::Repeat, Urgency::Urgent);
                    }
                }
                Step::Send(ids) => self.send(&ids),
                Step::Wait(until) => return until.map(|(at, _)| at),
            }
        }
    }

    fn send(&mut self, ids: &[DeliveryId]) {
        let now = self.now;
        let mut tries = vec![];
        for id in ids {
            let one = self.delivery(*id);
            let no = u32::try_from(one.tries.len()).unwrap() + 1;
            one.tries.push(Try { no, started: now.into(), ended: None });
            tries.push((*id, no));
        }
        let (what, name) = (self.delivery(ids[0]).what, ids[0]);
        let matters = ids.iter().map(|id| self.delivery(*id).escalation).collect();
        self.wire.push(Sent { at: self.since(now.mono), what, name, matters });
        self.queue.sent.push(now.into());
        let (takes, ending) = (self.answers)(self.wire.len());
        self.coming.push((now.mono + takes, tries, ending));
    }

    fn times(&self) -> Vec<f64> {
        self.wire.iter().map(|sent| (sent.at * 10.0).round() / 10.0).collect()
    }
}

const HTTP_500: Ending = Ending::Retry { after: None };

fn throttled(seconds: u64) -> Ending {
    Ending::Retry { after: Some(Duration::from_secs(seconds)) }
}

#[test]
fn esc_51_three_faults_and_a_success_are_four_tries_of_one_delivery() {
    let mut room = Room::answering(Kind::Webhook, |nth| {
        (seconds(0.05), if nth < 4 { HTTP_500 } else { Ending::Accepted })
    });
    let matter = room.flagged(Urgency::Urgent);
    room.pass(170.0);
    assert_eq!(room.times(), [0.0, 2.0, 6.0, 14.0]);
    let names: BTreeSet<_> = room.wire.iter().map(|sent| sent.name).collect();
    assert_eq!(names.len(), 1, "the same id each time");
    assert_eq!(room.progress(matter), [(What::Alert, Progress::Accepted)]);
}

#[test]
fn esc_52_what_hangs_is_given_up_and_tried_again_under_the_same_id() {
    let hangs = |nth| {
        let ending = if nth == 1 { Ending::Unknown } else { Ending::Accepted };
        (seconds(if nth == 1 { 5.0 } else { 0.1 }), ending)
    };
    let mut room = Room::answering(Kind::Webhook, hangs);
    room.flagged(Urgency::Urgent);
    room.pass(2.0);
    room.flagged(Urgency::Urgent);
    room.pass(60.0);
    assert_eq!(room.times(), [0.0, 2.0, 6.0], "another matter does not wait for it");
    assert_eq!(room.wire[0].name, room.wire[2].name);
}

#[test]
fn esc_53_a_provider_that_asks_for_patience_gets_it_and_a_first_notice_outlasts_any_of_it() {
    let mut room = Room::answering(Kind::Webhook, |nth| {
        (seconds(0.1), if nth == 1 { throttled(30) } else { Ending::Accepted })
    });
    room.flagged(Urgency::Urgent);
    room.pass(100.0);
    assert_eq!(room.times(), [0.0, 30.1]);

    let mut room = Room::answering(Kind::WecomBot, |nth| {
        (seconds(0.1), if nth <= 2 { throttled(600) } else { Ending::Accepted })
    });
    let matter = room.flagged(Urgency::Urgent);
    room.pass(1.0);
    assert_eq!(room.progress(matter), [(What::Alert, Progress::Waiting)]);
    let other = room.flagged(Urgency::Urgent);
    room.pass(1.0);
    assert_eq!(room.wire.len(), 2, "the first notice of another matter is tried all the same");
    assert_eq!(room.wire[1].matters, [other]);
    room.pass(595.0);
    assert_eq!(room.wire.len(), 2, "not before the provider said so");
    room.pass(10.0);
    assert_eq!((room.wire[2].at, &room.wire[2].matters), (600.1, &vec![matter]));
    assert_eq!(room.progress(matter), [(What::Alert, Progress::Accepted)]);
}

#[test]
fn a_channel_that_fails_is_tried_anew_with_each_repetition() {
    let mut room = Room::answering(Kind::Ntfy, |_| (seconds(0.1), HTTP_500));
    let matter = room.flagged(Urgency::Urgent);
    room.pass(599.0);
    assert_eq!(room.times(), [0.0, 2.0, 6.0, 14.0]);
    room.pass(20.0);
    assert_eq!(room.wire.last().map(|sent| sent.what), Some(What::Repeat));
    room.becomes(matter, Acknowledged);
    let before = room.wire.len();
    room.pass(3600.0);
    assert_eq!(room.wire.len(), before);
    assert_eq!(room.progress(matter)[1], (What::Repeat, Progress::Dropped));
}

#[test]
fn what_is_refused_for_good_is_not_tried_again() {
    let mut room = Room::answering(Kind::Webhook, |_| (seconds(0.1), Ending::Permanent));
    let matter = room.flagged(Urgency::Urgent);
    room.pass(300.0);
    assert_eq!(room.wire.len(), 1);
    assert_eq!(room.progress(matter), [(What::Alert, Progress::Failed)]);
}

#[test]
fn esc_45_after_a_long_absence_what_was_not_sent_leaves_once_and_no_burst_follows() {
    let mut room = Room::of(Kind::WecomBot);
    let matter = room.flagged(Urgency::Urgent);
    room.now = room.now + seconds(1800.0);
    room.pass(60.0);
    assert_eq!(room.wire.len(), 1, "{:?}", room.wire);
    assert_eq!(room.progress(matter)[0], (What::Alert, Progress::Accepted));
}

#[test]
fn esc_42_a_try_that_nothing_was_heard_of_is_made_again_under_its_id() {
    let mut room = Room::of(Kind::Mail);
    room.flagged(Urgency::Urgent);
    let until = room.step();
    room.coming.clear();
    assert!(until.is_some(), "its lease");
    room.pass(120.0);
    assert_eq!(room.times(), [0.0, 45.0], "30 s and the grace");
    assert_eq!(room.wire[0].name, room.wire[1].name);
    // However often the daemon dies in the middle of it.
    let mut room = Room::of(Kind::Sms);
    let matter = room.flagged(Urgency::Urgent);
    for _ in 0..20 {
        room.step();
        room.coming.clear();
        room.now = room.now + seconds(40.0);
    }
    room.pass(60.0);
    assert_eq!(room.progress(matter)[0], (What::Alert, Progress::Accepted));
}

#[test]
fn esc_32_exactly_one_notice_of_the_withdrawal_goes_where_something_had_gone() {
    let mut room = Room::of(Kind::FeishuBot);
    let matter = room.flagged(Urgency::Urgent);
    room.pass(3.0);
    room.becomes(matter, Withdrawn);
    room.pass(7200.0);
    let said: Vec<_> = room.wire.iter().map(|sent| sent.what).collect();
    assert_eq!(said, [What::Alert, What::Withdrawn]);

    // Nothing had been delivered: nothing is taken back.
    let mut room = Room::answering(Kind::FeishuBot, |_| (seconds(0.1), HTTP_500));
    let matter = room.flagged(Urgency::Urgent);
    room.pass(3.0);
    room.becomes(matter, Withdrawn);
    room.pass(7200.0);
    assert!(room.wire.iter().all(|sent| sent.what == What::Alert));
    let dropped = [(What::Alert, Progress::Dropped), (What::Withdrawn, Progress::Dropped)];
    assert_eq!(room.progress(matter), dropped);

    // It may have been: the withdrawal waits for the end of the try.
    let mut room = Room::answering(Kind::FeishuBot, |nth| {
        (seconds(if nth == 1 { 5.0 } else { 0.1 }), Ending::Unknown)
    });
    let matter = room.flagged(Urgency::Urgent);
    room.pass(1.0);
    room.becomes(matter, Withdrawn);
    room.pass(5.0);
    assert_eq!(room.wire[1], Sent { at: 5.0, what: What::Withdrawn, ..room.wire[1].clone() });
}

#[test]
fn esc_36_nothing_is_sent_after_an_acknowledgement_whenever_it_comes() {
    let mut random = Random::from_seed([36; 32]);
    for run in 0..1_000_u64 {
        let mut dice = random.fork();
        let mut room = Room::answering(Kind::WecomApp, move |_| {
            (Duration::from_millis(dice.below(3_000)), HTTP_500)
        });
        room.random = random.fork();
        let matter = room.flagged(Urgency::Critical);
        // Every second run at the very moment that a try is due.
        let at = if run % 2 == 0 { 2.0 } else { random.below(29_000) as f64 / 1e3 };
        room.pass(at);
        room.becomes(matter, Acknowledged);
        let before = room.wire.len();
        room.pass(1_300.0);
        assert_eq!(room.wire.len(), before, "run {run}");
        assert_eq!(room.progress(matter), [(What::Alert, Progress::Dropped)]);
    }
}

#[test]
fn esc_41_a_withdrawal_never_comes_before_what_it_withdraws() {
    let mut random = Random::from_seed([41; 32]);
    for run in 0..10_000 {
        let mut dice = random.fork();
        let mut room = Room::answering(Kind::Webhook, move |_| {
            let ending = match dice.below(4) {
                0 => Ending::Accepted,
                1 => Ending::Unknown,
                2 => HTTP_500,
                _ => throttled(dice.below(40)),
            };
            (Duration::from_millis(dice.below(6_000)), ending)
        });
        let matter = room.flagged(Urgency::Urgent);
        room.pass(random.below(20_000) as f64 / 1e3);
        if random.below(3) == 0 {
            room.owes(matter, What::Alert, Urgency::Critical);
            room.pass(random.below(5_000) as f64 / 1e3);
        }
        room.becomes(matter, Withdrawn);
        room.pass(400.0);
        let withdrawn = room.wire.iter().position(|sent| sent.what == What::Withdrawn);
        let ending = |one: &Try| one.ended.map(|(_, ending)| ending);
        let told =
            room.queue.deliveries.iter().filter(|one| one.what != What::Withdrawn).any(|one| {
                one.tries
                    .iter()
                    .any(|one| matches!(ending(one), Some(Ending::Accepted | Ending::Unknown)))
            });
        assert_eq!(withdrawn.is_some(), told, "run {run}: whoever may know is told");
        if let Some(at) = withdrawn {
            assert!(at > 0, "run {run}: {:?}", room.wire);
            let later = &room.wire[at..];
            assert!(later.iter().all(|sent| sent.what == What::Withdrawn), "run {run}");
            let names: BTreeSet<_> = later.iter().map(|sent| sent.name).collect();
            assert_eq!(names.len(), 1, "run {run}: one notice");
        }
        assert!(room.queue.deliveries.iter().all(|one| one.progress != Progress::Waiting));
    }
}

#[test]
fn esc_78_what_is_over_is_never_spoken_of_again() {
    let mut random = Random::from_seed([78; 32]);
    for run in 0..100_000 {
        let mut dice = random.fork();
        let kind = [Kind::Webhook, Kind::Sms, Kind::WecomBot, Kind::Mail]
            [usize::try_from(random.below(4)).unwrap()];
        let mut room = Room::answering(kind, move |_| {
            let ending = if dice.below(2) == 0 { Ending::Accepted } else { HTTP_500 };
            (Duration::from_millis(dice.below(4_000)), ending)
        });
        let matter = room.flagged(Urgency::Urgent);
        room.pass(random.below(700) as f64);
        let over = if random.below(2) == 0 { Acknowledged } else { Withdrawn };
        room.becomes(matter, over);
        let before = room.wire.len();
        room.pass(86_000.0);
        let later = &room.wire[before..];
        assert!(
            later.iter().all(|sent| sent.what == What::Withdrawn && over == Withdrawn),
            "run {run}: {later:?}"
        );
        assert!(later.len() <= 7, "run {run}: tries of one notice");
    }
}

#[test]
fn esc_64_a_clock_that_is_set_moves_nothing() {
    for hours in [1, -1] {
        let mut room = Room::answering(Kind::Webhook, |nth| {
            (seconds(0.05), if nth < 3 { HTTP_500 } else { Ending::Accepted })
        });
        room.flagged(Urgency::Urgent);
        room.pass(1.0);
        room.now.wall += TimeDelta::hours(hours);
        room.pass(30.0);
        assert_eq!(room.times(), [0.0, 2.0, 6.0]);
    }
}
