//! Random shifts: whatever callers, phones, leaders, log and relay do, nothing panics, no channel leaks, every call
//! ends once. `SEED=7` replays one.

use crate::world::{World, ms, phone, seconds};
use dutyline::duty::ids::{AttemptId, CallId};
use dutyline::duty::journal::{Disposition, Fact, Stretch, Urgency};
use dutyline::duty::line_plan::{Answering, Begins, MessagePlan, Phone, QueuePlan, SilencePlan};
use dutyline::duty::prompts;
use dutyline::duty::switchboard::{AckOutcome, Input, Unwanted};
use dutyline::protocol::random::Random;
use dutyline::protocol::rtp::{Channel, Event as Media};
use dutyline::protocol::sdp::{self, Direction};
use dutyline::protocol::sip::{Event, LegId};
use std::collections::BTreeSet;
use uuid::Uuid;

const STEPS: usize = 150;
/// The entry of a matter that joins the call for another.
const OTHER: CallId = CallId(Uuid::from_u128(9_999));

struct Shift {
    world: World,
    random: Random,
    /// Legs of the peer's endpoint, by what may be done with them.
    dialled: Vec<LegId>,
    ringing: Vec<LegId>,
    confirmed: Vec<LegId>,
    attempts: Vec<AttemptId>,
}

#[test]
fn whatever_happens_nothing_leaks() {
    let seeds = match std::env::var("SEED") {
        Ok(seed) => seed.parse().unwrap()..=seed.parse().unwrap(),
        Err(_) => 1..=80_u8,
    };
    let whole = seeds.len() > 1;
    let mut seen = [0; 10];
    for seed in seeds {
        println!("SEED={seed}");
        for (sum, count) in seen.iter_mut().zip(Shift::new(seed).run()) {
            *sum += count;
        }
    }
    println!(
        "arrived, answered, kept after CANCEL, flagged, leaders heard, acknowledged, heard early, \
         queued, message, silent: {seen:?}"
    );
    assert!(
        !whole || seen.iter().all(|count| *count > 0),
        "a shift where nothing happens: {seen:?}"
    );
}

/// Queue, last resort and watch.
fn everything() -> Answering {
    let queue = Some(QueuePlan { places: 2, longest: seconds(40) });
    let message = Some(MessagePlan { after: seconds(20), longest: seconds(30) });
    let silence = SilencePlan { both: Some(seconds(20)), one: Some(seconds(30)) };
    Answering { queue, message, silence, ..Answering::default() }
}

impl Shift {
    fn new(seed: u8) -> Self {
        let (phones, answering) = match seed % 3 {
            0 => (vec![phone("201", 15), phone("202", 10)], Answering::default()),
            1 => (vec![phone("201", 15), phone("202", 10)], everything()),
            _ => {
                let begins = |after| Begins::After(seconds(after));
                let first = Phone { begins: begins(0), ..phone("201", 15) };
                let second = Phone { begins: begins(4), ..phone("202", 10) };
                (vec![first, second, phone("203", 9)], everything())
            }
        };
        Self {
            world: World::answering(&phones, 8, 2, seed, answering),
            random: Random::from_seed([seed; 32]),
            dialled: vec![],
            ringing: vec![],
            confirmed: vec![],
            attempts: vec![],
        }
    }

    fn run(mut self) -> [usize; 10] {
        for _ in 0..STEPS {
            self.step();
            self.observe();
            let world = &self.world;
            assert!(world.open_channels() <= world.board.channels_in_use());
            assert!(world.board.channels_in_use() <= 8);
        }
        self.end()
    }

    /// Everybody hangs up; then nothing may be left.
    fn end(mut self) -> [usize; 10] {
        self.world.wire_works = true;
        self.world.relay_works = true;
        self.world.log_works = true;
        for leg in std::mem::take(&mut self.dialled) {
            self.world.cancel(leg);
        }
        self.world.pass(seconds(1));
        self.observe();
        for leg in std::mem::take(&mut self.confirmed) {
            self.world.hang_up(leg);
        }
        self.world.pass(seconds(60));
        self.observe();
        for leg in std::mem::take(&mut self.confirmed) {
            self.world.hang_up(leg);
        }
        self.world.pass(seconds(120));
        self.world.assert_clean();
        for attempt in self.attempts.iter().collect::<BTreeSet<_>>() {
            let ends = self.world.count(
                |fact| matches!(fact, Fact::AttemptEnded { attempt: ended, .. } if ended == attempt),
            );
            assert_eq!(ends, 1, "an attempt ends once");
        }
        [
            self.world.count(|fact| matches!(fact, Fact::Arrived(_))),
            self.world.count(|fact| matches!(fact, Fact::Answered { .. })),
            self.kept_after_cancel(),
            self.world.count(|fact| matches!(fact, Fact::Flagged { .. })),
            self.world.count(|fact| matches!(fact, Fact::AttemptAnswered { .. })),
            self.world.count(|fact| matches!(fact, Fact::Acknowledged { .. })),
            self.began(Stretch::Early),
            self.began(Stretch::Queued),
            self.world.count(|fact| {
                matches!(fact, Fact::Ended { disposition: Disposition::Message, .. })
            }),
            self.world.count(
                |fact| matches!(fact, Fact::Ended { why, .. } if why.starts_with("no voice from")),
            ),
        ]
    }

    fn began(&self, wanted: Stretch) -> usize {
        self.world.count(|fact| matches!(fact, Fact::Began { stretch, .. } if *stretch == wanted))
    }

    /// Calls taken by a phone after its ringing was given up.
    fn kept_after_cancel(&self) -> usize {
        let given_up = |at: usize, wanted: &CallId, by: &str| {
            self.world.facts[..at].iter().any(|fact| {
                matches!(fact, Fact::NotTaken { call, phone, status: 487 } if call == wanted && phone == by)
            })
        };
        let kept = self.world.facts.iter().enumerate().filter(|(at, fact)| {
            matches!(fact, Fact::Answered { call, phone } if given_up(*at, call, phone))
        });
        kept.count()
    }

    fn pick(&mut self, from: &[LegId]) -> Option<LegId> {
        let index = self.random.below(from.len() as u64);
        from.get(usize::try_from(index).unwrap()).copied()
    }

    /// In a call of its own, or in that for another matter.
    fn is_told(&mut self, number: u128) {
        match self.attempts.last().filter(|_| !number.is_multiple_of(3)) {
            Some(other) => self.world.joins_of(OTHER, number, *other),
            None => self.world.notify(number, Urgency::Urgent),
        };
    }

    fn step(&mut self) {
        let dice = self.random.below(100);
        match dice {
            0..=14 => {
                let leg = self.world.dial("101");
                self.dialled.push(leg);
            }
            15..=24 => {
                let number = u128::from(self.random.below(1000));
                let attempt = AttemptId(Uuid::from_u128(number));
                if !self.attempts.contains(&attempt) {
                    self.is_told(number);
                    self.attempts.push(attempt);
                }
            }
            25..=39 => {
                if let Some(leg) = self.pick(&self.ringing.clone()) {
                    self.ringing.retain(|ringing| *ringing != leg);
                    self.world.pick_up(leg);
                }
            }
            40..=42 => {
                // What we send is lost, so a phone is picked up that should have stopped ringing.
                self.world.wire_works = false;
                let time = seconds(self.random.below(18));
                self.world.pass(time);
                self.world.wire_works = true;
                if let Some(leg) = self.pick(&self.ringing.clone()) {
                    self.ringing.retain(|ringing| *ringing != leg);
                    self.world.pick_up(leg);
                }
            }
            43..=48 => {
                if let Some(leg) = self.pick(&self.ringing.clone()) {
                    self.ringing.retain(|ringing| *ringing != leg);
                    let status = [486, 603, 480, 404, 503, 488][usize::try_from(dice).unwrap() % 6];
                    self.world.refuse(leg, status);
                }
            }
            49..=52 => {
                if let Some(leg) = self.pick(&self.dialled.clone()) {
                    self.world.cancel(leg);
                }
            }
            53..=60 => {
                if let Some(leg) = self.pick(&self.confirmed.clone()) {
                    self.confirmed.retain(|confirmed| *confirmed != leg);
                    self.world.hang_up(leg);
                }
            }
            61..=70 => self.strange_input(),
            71..=73 => self.world.log_works = !self.world.log_works,
            74..=75 => self.world.relay_works = !self.world.relay_works,
            76..=78 => self.world.wire_works = !self.world.wire_works,
            79..=84 => {
                let number = u128::from(self.random.below(1000));
                let attempt = AttemptId(Uuid::from_u128(number));
                let why = [Unwanted::Acknowledged, Unwanted::Withdrawn, Unwanted::Lost]
                    [self.random.below(3) as usize];
                self.world.tell(Input::StopNotifying { attempt, why });
            }
            85..=89 => {
                let time = seconds(self.random.below(40));
                self.world.pass(time);
            }
            _ => {
                let time = ms(self.random.below(3000));
                self.world.pass(time);
            }
        }
    }

    fn strange_input(&mut self) {
        let channel = Channel(u16::try_from(self.random.below(9)).unwrap());
        let some = |random: &mut Random, items: &[char]| {
            items[usize::try_from(random.below(items.len() as u64)).unwrap()]
        };
        let input = match self.random.below(10) {
            0 | 1 => {
                self.world.tell(Input::Media(Media::Digit { channel, digit: '*' }));
                Input::Media(Media::Digit { channel, digit: '9' })
            }
            2 | 3 => {
                let digit = some(&mut self.random, &['1', '1', '9', '7']);
                Input::Media(Media::Digit { channel, digit })
            }
            4 => {
                let prompt =
                    dutyline::protocol::rtp::Prompt(u8::try_from(self.random.below(10)).unwrap());
                Input::Media(Media::Played { channel, prompt })
            }
            8 => {
                // Nothing comes from anybody.
                let since = self.world.now.mono;
                for channel in (0..8).map(Channel) {
                    self.world.tell(Input::Media(Media::Quiet { channel, since }));
                }
                Input::Timeout
            }
            9 => {
                // The greeting and the beep come to their ends.
                for prompt in [prompts::GREETING, prompts::BEEP] {
                    self.world.tell(Input::Media(Media::Played { channel, prompt }));
                }
                Input::Media(Media::Heard { channel })
            }
            5 => Input::Timeout,
            6 => Input::Stored { call: CallId(Uuid::from_u128(3)) },
            _ => {
                let number = u128::from(self.random.below(1000));
                let attempt = AttemptId(Uuid::from_u128(number));
                Input::AckStored { attempt, outcome: AckOutcome::Late }
            }
        };
        self.world.tell(input);
    }

    /// Sorts what the peer's endpoint has seen.
    fn observe(&mut self) {
        while let Some(event) = self.world.events.pop_front() {
            match event {
                Event::Incoming { leg, .. } => {
                    if self.random.below(4) > 0 {
                        let early = self.random.below(3) == 0;
                        let sdp = early.then(|| self.world.sdp(&sdp::CODECS, Direction::SendRecv));
                        self.world.pbx.ring(leg, sdp, self.world.now);
                        self.world.settle();
                    }
                    self.ringing.push(leg);
                }
                Event::Cancelled { leg, .. } => self.ringing.retain(|ringing| *ringing != leg),
                Event::Confirmed { leg, .. } => self.confirmed.push(leg),
                Event::Answered { leg, .. } => {
                    self.dialled.retain(|dialled| *dialled != leg);
                    self.confirmed.push(leg);
                }
                Event::Refused { leg, .. } => self.dialled.retain(|dialled| *dialled != leg),
                Event::Ended { leg, .. } => {
                    self.confirmed.retain(|confirmed| *confirmed != leg);
                    self.ringing.retain(|ringing| *ringing != leg);
                }
                Event::Progress { .. }
                | Event::Offer { .. }
                | Event::OfferRefused { .. }
                | Event::Answer { .. }
                | Event::Info { .. }
                | Event::Refer { .. }
                | Event::Registered { .. }
                | Event::RegistrationFailed { .. }
                | Event::Unregistered
                | Event::Moved { .. }
                | Event::NotMoved { .. }
                | Event::TurnedAway(_)
                | Event::Intruded(_)
                | Event::Forged { .. }
                | Event::SlipEnded { .. }
                | Event::Dropped { .. } => {}
            }
        }
    }
}
