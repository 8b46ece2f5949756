//! The ladder, step by step, at each moment that it may be asked.

mod after;
mod times;

use super::*;
use crate::duty::escalation::{Acked, Exercise, ExerciseKind};
use crate::duty::ids::{EntryId, EscalationId};
use crate::duty::journal::Urgency;
use crate::protocol::now::Mono;
use crate::protocol::random::Random;
use AttemptResult::*;
use chrono::{TimeDelta, TimeZone, Utc};
use proptest::prelude::*;

/// What becomes of a call: how long it takes in seconds, and its result.
type Fate = (f64, AttemptResult);
type People = Box<dyn FnMut(&str, f64) -> Fate>;

/// A room in virtual time: `people` says what becomes of a call to a number at a time.
struct Room {
    escalation: Escalation,
    policy: Policy,
    roster: Roster,
    people: People,
    random: Random,
    seconds: f64,
    /// Set the wall clock against the monotonic one.
    wall_shift: i64,
    ends: Vec<(f64, AttemptId, AttemptResult)>,
    calls: Vec<(f64, String)>,
    sirens: Vec<f64>,
    rounds: Vec<f64>,
    raised_again: Option<f64>,
}

fn person(name: &str, role: Role, mobile: &'static str, office: &'static str) -> Person {
    let number = |text: &'static str| (!text.is_empty()).then_some(text);
    Person::new(name, role, number(mobile), number(office))
}

fn everybody() -> Roster {
    Roster {
        people: vec![
            person("L", Role::Leader, "Lm", "Lo"),
            person("S", Role::Substitute, "Sm", "So"),
            person("D", Role::OfficeDirector, "Dm", ""),
            person("H", Role::Head, "Hm", ""),
        ],
    }
}

impl Room {
    fn new(urgency: Urgency, people: impl FnMut(&str, f64) -> Fate + 'static) -> Self {
        let mut random = Random::from_seed([1; 32]);
        let now = moment(0.0, 0);
        let escalation = Escalation {
            id: EscalationId::new(now, &mut random),
            entry: EntryId::new(now, &mut random),
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
        };
        Self {
            escalation,
            policy: Policy { after: None, ..Policy::default() },
            roster: everybody(),
            people: Box::new(people),
            random,
            seconds: 0.0,
            wall_shift: 0,
            ends: vec![],
            calls: vec![],
            sirens: vec![],
            rounds: vec![0.0],
            raised_again: None,
        }
    }

    fn now(&self) -> Now {
        moment(self.seconds, self.wall_shift)
    }

    /// Runs until `end`; fails when the escalation could stand still or somebody is called
    /// twice at once.
    fn run(&mut self, end: f64) {
        while self.seconds < end {
            match decide(&self.escalation, &self.policy, &self.roster, self.now()) {
                Decision::Notify(targets) => {
                    assert!(!targets.is_empty());
                    targets.into_iter().for_each(|target| self.call(target));
                }
                Decision::Siren => {
                    assert!(!self.escalation.siren, "it sounds already");
                    self.escalation.siren = true;
                    self.sirens.push(self.seconds);
                }
                Decision::Repeat { began } => {
                    self.escalation.round += 1;
                    self.escalation.round_began = began;
                    self.rounds.push(self.seconds);
                }
                Decision::Wait { until, .. } => {
                    assert!(until > self.now().mono, "waits for the past");
                    let until = until.since(moment(0.0, 0).mono).as_secs_f64();
                    assert!(until < self.seconds + 3600.0, "waits for ever");
                    self.pass(until.min(end));
                }
                Decision::RaiseAgain(_) => {
                    self.raised_again = Some(self.seconds);
                    self.escalation.closed = true;
                }
                Decision::Missed | Decision::Done => return,
            }
        }
    }

    fn call(&mut self, target: Target) {
        // As the log does: of a long history only what may still count.
        let old = self.escalation.attempts.len().saturating_sub(100);
        let mut nth = 0;
        self.escalation.attempts.retain(|attempt| {
            nth += 1;
            nth > old || !matches!(attempt.ended, Some((_, result)) if result != Unreachable)
        });
        for other in in_flight(&self.escalation) {
            assert_ne!(other.person, target.person, "twice at once at {}", self.seconds);
        }
        let id = AttemptId::new(self.now(), &mut self.random);
        let (takes, result) = (self.people)(&target.number, self.seconds);
        let takes = if result == NoAnswer { target.ring.as_secs_f64() } else { takes };
        self.ends.push((self.seconds + takes, id, result));
        self.calls.push((self.seconds, target.number.clone()));
        self.escalation.attempts.push(Attempt {
            id,
            round: self.escalation.round,
            place: target.place,
            role: target.role,
            person: target.person,
            number: target.number,
            started: self.now().into(),
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

    /// To the next end of a call, at the latest to `until`.
    fn pass(&mut self, until: f64) {
        let next = self.ends.iter().map(|(at, ..)| *at).fold(until, f64::min);
        self.seconds = next.max(self.seconds);
        let (due, later) =
            self.ends.drain(..).partition::<Vec<_>, _>(|(at, ..)| *at <= self.seconds);
        self.ends = later;
        for (_, id, result) in due {
            let (now, leader) = (self.now(), self.roster.holder(Role::Leader).cloned());
            let mut attempts = self.escalation.attempts.iter_mut();
            let attempt = attempts.find(|attempt| attempt.id == id).unwrap();
            attempt.ended = Some((now.into(), result));
            attempt.handed_on = (result == HandedOn).then(|| now.into());
            if result == Acknowledged {
                attempt.acknowledged = true;
                let (at, person) = (now.into(), attempt.person.clone());
                self.escalation.acked.get_or_insert(Acked { at, person });
                self.escalation.state = State::Acknowledged;
                self.escalation.leader_reached |=
                    leader.is_some_and(|leader| leader.name == attempt.person);
            }
        }
    }

    fn calls_to(&self, number: &str) -> Vec<f64> {
        let to = self.calls.iter().filter(|(_, to)| to == number);
        to.map(|(at, _)| (at * 10.0).round() / 10.0).collect()
    }

    fn calls_to_leader(&self) -> Vec<f64> {
        let mut calls = [self.calls_to("Lm"), self.calls_to("Lo")].concat();
        calls.sort_by(f64::total_cmp);
        calls
    }
}

fn moment(seconds: f64, wall_shift: i64) -> Now {
    let start = Utc.with_ymd_and_hms(2026, 10, 3, 13, 0, 0).unwrap();
    let start = Now { mono: Mono(5_000_000_000_000), wall: start };
    let now = start + Duration::from_secs_f64(seconds);
    Now { mono: now.mono, wall: now.wall + TimeDelta::seconds(wall_shift) }
}

fn nobody(_: &str, _: f64) -> Fate {
    (0.0, NoAnswer)
}

#[test]
fn esc_the_critical_ladder_has_its_times() {
    let mut room = Room::new(Urgency::Critical, nobody);
    room.run(215.0);
    assert_eq!(room.calls_to("Lm"), [0.0, 75.0, 195.0]);
    assert_eq!(room.calls_to("Lo"), [45.0, 135.0]);
    assert_eq!(room.calls_to("Sm"), [110.0]);
    assert_eq!(room.calls_to("Dm"), [145.0]);
    assert_eq!(room.calls_to("Hm"), [180.0]);
    room.run(216.0);
    assert_eq!(room.sirens, [215.0], "all tried");
    assert_eq!(room.rounds, [0.0, 215.0], "and at once again");
    room.run(400.0);
    assert_eq!(room.calls_to("Sm"), [110.0, 325.0]);
}

#[test]
fn esc_05_nobody_reacts_and_it_never_stops() {
    let mut room = Room::new(Urgency::Urgent, nobody);
    room.run(24.0 * 3600.0);
    assert_eq!(room.calls_to("Sm")[0], 180.0);
    assert_eq!(room.calls_to("Hm")[0], 360.0);
    assert_eq!(room.sirens, [540.0]);
    assert_eq!(room.rounds.len(), 144);
    for (nth, began) in room.rounds.iter().enumerate() {
        let planned = 600.0 * f64::from(u32::try_from(nth).unwrap());
        assert!((began - planned).abs() < 0.1, "round {nth} began at {began}");
        let substitute = |at: &f64| (at - planned - 180.0).abs() < 1.0;
        assert!(planned > 86_000.0 || room.calls_to("Sm").iter().any(substitute));
    }
    let gaps = room.calls_to_leader().windows(2).map(|two| two[1] - two[0]).fold(0.0, f64::max);
    assert!(gaps <= 60.0, "the leader was left alone for {gaps} s");
}

#[test]
fn esc_06_a_second_call_follows_within_the_window() {
    let mut room = Room::new(Urgency::Urgent, |_, _| (60.0, AnsweredNoKey));
    room.run(181.0);
    let calls = room.calls_to_leader();
    assert_eq!(calls, [0.0, 75.0, 150.0], "15 s after it was hung up");
    assert!(calls[1] <= 170.0);
    assert_eq!(room.calls_to("Sm"), [180.0]);
}

#[test]
fn esc_17_busy_is_tried_again_after_20_seconds() {
    let mut busy = 2;
    let mut room = Room::new(Urgency::Urgent, move |_, _| {
        busy -= 1;
        if busy >= 0 { (0.1, Busy) } else { (8.0, Acknowledged) }
    });
    room.run(600.0);
    assert_eq!(room.calls_to("Lm"), [0.0, 20.1, 40.2]);
    assert_eq!(room.calls.len(), 3, "nothing after the acknowledgement");
}

#[test]
fn esc_19_declined_goes_to_the_next_person_at_once() {
    let mut room = Room::new(Urgency::Critical, |number, _| match number {
        "Lm" => (3.0, Declined),
        _ => (0.0, NoAnswer),
    });
    room.run(109.0);
    assert_eq!(room.calls_to("Sm"), [3.0]);
    assert_eq!(room.calls_to("Lo")[0], 45.0, "his other phone rings all the same");
    assert_eq!(room.calls_to("Hm"), [73.0], "the later tiers move up");
}

#[test]
fn esc_20_a_dead_number_is_left_alone_and_the_next_is_tried_at_once() {
    let mut room = Room::new(Urgency::Urgent, |number, _| match number {
        "Lm" => (0.2, Unreachable),
        _ => (0.0, NoAnswer),
    });
    room.run(3.0 * 3600.0);
    assert_eq!(room.calls_to("Lm"), [0.0]);
    assert_eq!(room.calls_to("Lo")[0], 0.2);
    assert_eq!(room.calls_to("Sm")[0], 180.0);
}

#[test]
fn esc_20_nobody_with_a_working_number_means_the_siren_at_once() {
    let mut room = Room::new(Urgency::Urgent, |_, _| (0.2, Unreachable));
    room.run(2.0 * 3600.0);
    assert_eq!(room.calls.len(), 5, "every number once");
    assert!(room.sirens[0] < 2.0, "{:?}", room.sirens);
    assert_eq!(room.rounds.len(), 12);
}

#[test]
fn esc_25_hung_up_without_a_key_is_called_again_after_15_seconds() {
    let mut room = Room::new(Urgency::Critical, |_, at| match at {
        0.0 => (5.0, AnsweredNoKey),
        _ => (0.0, NoAnswer),
    });
    room.run(44.0);
    assert_eq!(room.calls_to("Lm"), [0.0, 20.0]);
}

#[test]
fn esc_37_another_ones_acknowledgement_stops_the_ladder_but_not_the_leaders_redial() {
    let mut room = Room::new(Urgency::Urgent, |number, at| match number {
        "Sm" => (10.0, Acknowledged),
        "Lm" | "Lo" if at > 900.0 => (5.0, Acknowledged),
        _ => (0.0, NoAnswer),
    });
    room.run(185.0);
    let leader = room.escalation.attempts.iter().find(|attempt| attempt.ended.is_none());
    assert!(leader.is_some(), "the leader's phone rings");
    room.run(191.0);
    assert_eq!(unwanted(&room.escalation, &room.roster), [], "his redial goes on");
    room.run(7200.0);
    let calls = room.calls_to_leader();
    let after = calls.iter().filter(|at| **at > 190.0).count();
    assert!((11..=13).contains(&after), "every 60 s until he himself is reached: {calls:?}");
    assert!(*calls.last().unwrap() < 990.0);
    assert!(room.calls_to("Hm").is_empty());
    let decision = decide(&room.escalation, &room.policy, &room.roster, room.now());
    assert_eq!(decision, Decision::Done);
}

#[test]
fn esc_37_calls_to_others_are_stopped_after_the_acknowledgement() {
    let mut room = Room::new(Urgency::Critical, |number, at| match number {
        "Lo" if at > 100.0 => (10.0, Acknowledged),
        _ => (0.0, NoAnswer),
    });
    room.policy.critical.tiers[1].calls[0].ring = Duration::from_secs(150);
    room.run(145.5);
    let ringing = in_flight(&room.escalation).map(|attempt| attempt.id).collect::<Vec<_>>();
    assert!(!ringing.is_empty());
    assert_eq!(unwanted(&room.escalation, &room.roster), ringing);
    room.escalation.attempts.iter_mut().for_each(|attempt| attempt.acknowledged = true);
    assert_eq!(unwanted(&room.escalation, &room.roster), [], "the confirmation is spoken");
}

#[test]
fn esc_74_whoever_has_no_number_is_passed_over_at_once() {
    let mut room = Room::new(Urgency::Urgent, nobody);
    room.roster.people[0] = person("L", Role::Leader, "", "");
    room.run(400.0);
    assert_eq!(room.calls_to("Sm")[0], 0.0);
    assert_eq!(room.calls_to("Hm")[0], 180.0);
    let mut empty = Room::new(Urgency::Critical, nobody);
    empty.roster.people.clear();
    empty.run(3600.0);
    assert_eq!(empty.sirens, [0.0]);
}

#[test]
fn esc_76_one_person_in_two_roles_is_called_once_and_the_chain_stays_as_long() {
    let mut room = Room::new(Urgency::Critical, nobody);
    room.roster.people[2] = person("S", Role::OfficeDirector, "Sm", "So");
    room.run(214.0);
    assert_eq!(room.calls_to("Sm"), [110.0]);
    assert_eq!(room.calls_to("So"), [0.0; 0]);
    assert_eq!(room.calls_to("Hm"), [180.0]);
    let mut room = Room::new(Urgency::Urgent, nobody);
    room.roster.people[3] = person("S", Role::Head, "Sm", "");
    room.run(600.0);
    assert_eq!(room.sirens, [540.0]);
    assert!(room.calls.iter().any(|(at, to)| to.starts_with('S') && *at > 400.0));
}

#[test]
fn esc_24_a_line_that_failed_is_tried_less_often_and_at_once_when_it_is_back() {
    let mut room = Room::new(Urgency::Urgent, |_, _| (0.0, ChannelFailed));
    room.run(100.0);
    assert_eq!(room.calls_to_leader()[..5], [0.0, 5.0, 15.0, 35.0, 75.0]);
    let last = room.escalation.attempts.iter_mut().rfind(|attempt| attempt.person == "L");
    last.unwrap().line_is_back = true;
    room.run(100.1);
    assert_eq!(*room.calls_to_leader().last().unwrap(), 100.0);
}

#[test]
fn an_attempt_that_is_never_heard_of_again_expires() {
    let mut room = Room::new(Urgency::Urgent, |_, _| (1e9, NoAnswer));
    room.policy.ring = Duration::from_secs(100_000);
    room.policy.urgent.tiers[0].calls[0].ring = Duration::from_secs(100_000);
    room.run(179.0);
    assert_eq!(expired(&room.escalation, &room.policy, room.now()), []);
    room.run(180.5);
    assert_eq!(expired(&room.escalation, &room.policy, room.now()).len(), 1);
}

fn fate() -> impl Strategy<Value = Fate> {
    let results = prop::sample::select(vec![
        NoAnswer,
        NoAnswer,
        Busy,
        Declined,
        AnsweredNoKey,
        Unreachable,
        ChannelFailed,
        Cancelled,
        Interrupted,
        HandedOn,
        WrongPin,
    ]);
    (0.0..80.0_f64, results).prop_map(|(takes, result)| match result {
        Busy | Declined | Unreachable | ChannelFailed => (takes / 20.0, result),
        AnsweredNoKey | NoAnswer | Cancelled | Interrupted | Acknowledged | HandedOn | WrongPin => {
            (takes, result)
        }
    })
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    /// `Room::run` itself fails when an open escalation has neither an attempt in flight nor
    /// a finite due time, or somebody is called twice at once.
    #[test]
    fn an_open_escalation_always_moves_and_never_floods(
        fates in prop::collection::vec(fate(), 1..40),
        critical: bool,
        missing in prop::collection::vec(any::<bool>(), 4),
        acknowledged_at in 0.0..4000.0_f64,
    ) {
        let urgency = if critical { Urgency::Critical } else { Urgency::Urgent };
        let mut nth = 0;
        let mut room = Room::new(urgency, move |_, at| {
            nth += 1;
            if at > acknowledged_at { (4.0, Acknowledged) } else { fates[nth % fates.len()] }
        });
        let mut missing = missing.into_iter();
        room.roster.people.retain(|_| missing.next() != Some(true));
        room.run(5000.0);
        prop_assert!(room.calls.len() < 5000, "{} calls", room.calls.len());
        let sent = room.calls.len();
        if decide(&room.escalation, &room.policy, &room.roster, room.now()) == Decision::Done {
            room.run(20_000.0);
            prop_assert_eq!(room.calls.len(), sent, "nothing is sent after the end");
        }
    }
}

#[test]
fn an_exercise_that_has_become_too_old_calls_nobody_any_more() {
    let mut room = Room::new(Urgency::Critical, |_, _| (30.0, NoAnswer));
    let decided = |room: &Room, seconds: f64| {
        decide(&room.escalation, &room.policy, &room.roster, moment(seconds, 0))
    };
    for kind in [ExerciseKind::Drill, ExerciseKind::RollCall, ExerciseKind::Number] {
        for put_off in [false, true] {
            room.escalation.exercise = Some(Exercise {
                kind,
                person: "L".to_owned(),
                role: Role::Leader,
                number: String::new(),
                put_off,
                begun: moment(0.0, 0).into(),
            });
            let in_time = decided(&room, 1799.0);
            match (put_off, kind) {
                (true, ExerciseKind::Drill) => assert_eq!(in_time, Decision::Missed),
                (true, _) => assert!(matches!(in_time, Decision::Wait { .. }), "{in_time:?}"),
                (false, _) => assert!(matches!(in_time, Decision::Notify(_)), "{in_time:?}"),
            }
            assert_eq!(decided(&room, 1801.0), Decision::Missed, "{kind:?} {put_off}");
        }
    }
}
