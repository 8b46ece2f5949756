//! A log that is away: who is called, what is told afterwards.

use super::facts::raised;
use super::*;
use crate::duty::escalation::{Exercise, ExerciseKind};
use crate::duty::ids::CallId;
use crate::duty::journal::Urgency;
use crate::duty::roster::{Person, Role};
use crate::duty::switchboard::MATTERS_MAX;
use chrono::DateTime;

fn at(seconds: f64) -> Now {
    let (mono, wall) = (Mono(1 << 50), DateTime::from_timestamp(1_790_000_000, 0).unwrap());
    Now { mono, wall } + Duration::from_secs_f64(seconds)
}

fn people() -> Roster {
    let person = |name: &str, role| Person::new(name, role, Some(name), None);
    let people =
        vec![person("L", Role::Leader), person("S", Role::Substitute), person("H", Role::Head)];
    Roster { people }
}

fn entry() -> EntryId {
    EntryId(CallId::new(at(0.0), &mut Random::from_seed([1; 32])).0)
}

struct Room {
    memory: Memory,
    random: Random,
    versions: Timetable,
}

impl Room {
    fn new() -> Self {
        let memory = Memory::new(people());
        Self { memory, random: Random::from_seed([2; 32]), versions: Timetable::default() }
    }

    fn take(&mut self, seconds: f64, fact: Fact) -> Noted {
        let noted = Noted { at: at(seconds), fact };
        self.memory.take(&noted);
        noted
    }

    fn flag(&mut self, seconds: f64) -> Noted {
        let phone = "值班台话机".to_owned();
        self.take(seconds, Fact::Flagged { entry: entry(), urgency: Urgency::Urgent, phone })
    }

    fn ended(&mut self, seconds: f64, attempt: AttemptId, result: AttemptResult) -> Noted {
        self.take(seconds, Fact::AttemptEnded { attempt, result, status: 480 })
    }

    fn look(&mut self, seconds: f64) -> Look {
        self.memory.look(&self.versions, at(seconds), &mut self.random)
    }

    /// Whoever is called, each preceded by the fact that he is.
    fn calls(&mut self, seconds: f64) -> Vec<(String, AttemptId)> {
        let look = self.look(seconds);
        let mut calls = vec![];
        for pair in look.inputs.windows(2) {
            if let [Input::Note(Fact::AttemptMade(made)), Input::Notify(call)] = pair {
                assert_eq!((made.attempt, made.entry), (call.attempt, call.entry));
                calls.push((call.target.clone(), call.attempt));
            }
        }
        let ordered = look.inputs.iter().filter(|input| matches!(input, Input::Notify(_))).count();
        assert_eq!(ordered, calls.len(), "no call without its fact");
        calls
    }
}

#[test]
fn esc_50_without_a_log_the_ladder_is_climbed_and_key_1_ends_it() {
    let mut room = Room::new();
    assert!(!room.memory.is_needed());
    room.flag(0.0);
    room.flag(1.0);
    assert!(room.memory.is_needed());
    let first = room.calls(2.0);
    assert_eq!(first.len(), 1, "flagged twice it is one matter: {first:?}");
    assert_eq!(first[0].0, "L");
    assert_eq!(room.calls(3.0), [], "once");
    room.ended(35.0, first[0].1, AttemptResult::NoAnswer);
    let again = room.calls(61.0);
    assert_eq!(again[0].0, "L");
    room.ended(96.0, again[0].1, AttemptResult::Declined);
    let substitute = room.calls(96.5);
    assert_eq!(substitute[0].0, "S", "esc_19: at once");
    let redial = room.calls(130.0);
    assert_eq!(redial[0].0, "L");
    room.take(140.0, Fact::Acknowledged { attempt: redial[0].1, entry: entry() });
    let stops = room.look(140.1).inputs;
    let why = Unwanted::Acknowledged;
    assert_eq!(stops, [Input::StopNotifying { attempt: substitute[0].1, why }]);
    assert_eq!(room.look(140.2).inputs, [], "stopped once");
    room.ended(141.0, substitute[0].1, AttemptResult::Cancelled);
    room.ended(150.0, redial[0].1, AttemptResult::Acknowledged);
    for minute in 3..14 {
        let calls = room.calls(f64::from(minute) * 60.0);
        assert!(calls.iter().all(|(target, _)| target == "L"), "reminders alone: {calls:?}");
        calls.iter().for_each(|(_, call)| {
            room.ended(f64::from(minute) * 60.0 + 30.0, *call, AttemptResult::NoAnswer);
        });
    }
}

#[test]
fn esc_50_it_never_stops_and_its_memory_is_bounded() {
    let mut room = Room::new();
    room.flag(0.0);
    let (mut seconds, mut count, mut siren) = (0.0, 0, false);
    while seconds < 24.0 * 3600.0 {
        for (_, call) in room.calls(seconds) {
            count += 1;
            room.ended(seconds + 30.0, call, AttemptResult::NoAnswer);
        }
        let look = room.look(seconds + 30.0);
        siren |= look.sirens > 0;
        for input in look.inputs {
            if let Input::Notify(call) = input {
                count += 1;
                room.ended(seconds + 60.0, call.attempt, AttemptResult::NoAnswer);
            }
        }
        seconds += 60.0;
    }
    assert!(siren, "the desk is told that nobody has it");
    assert!(count > 1400, "the leader is redialled each minute: {count}");
    assert!(room.memory.known[0].attempts.len() <= RECENT + 3);
}

#[test]
fn esc_49_the_log_is_looked_at_again_when_it_has_everything() {
    let mut room = Room::new();
    let flagged = room.flag(0.0);
    assert!(!room.memory.is_settled());
    assert_eq!(room.memory.waits_since(), Some(at(0.0).mono));
    room.memory.written([&flagged]);
    assert!(room.memory.is_settled() && room.memory.waits_since().is_none());
    let call = room.calls(1.0).remove(0).1;
    assert!(!room.memory.is_settled(), "the log has not heard of this call");
    let made = Made {
        attempt: call,
        entry: entry(),
        round: 0,
        place: None,
        role: Role::Leader,
        person: "L".to_owned(),
        number: "L".to_owned(),
        errand: Errand::Tell,
        why: String::new(),
        joins: None,
    };
    let made = room.take(1.1, Fact::AttemptMade(Box::new(made)));
    let other = Noted { at: at(1.2), fact: Fact::AttemptRinging { attempt: call } };
    room.memory.take(&other);
    let ended = room.ended(36.0, call, AttemptResult::NoAnswer);
    room.memory.written([&made, &other]);
    assert!(!room.memory.is_settled());
    room.memory.written([&ended]);
    assert!(room.memory.is_settled());
    let mark = room.memory.mark();
    let key = room.take(40.0, Fact::Acknowledged { attempt: call, entry: entry() });
    let known = room.memory.known.clone();
    room.memory.looked(known, people(), mark);
    assert!(!room.memory.is_settled(), "what came after the look is still to be written");
    assert_eq!(room.memory.known[0].state, State::Acknowledged, "and counts");
    room.memory.written([&key]);
    assert!(room.memory.is_settled());
    assert_eq!(room.memory.facts.len(), 1, "kept until the log is looked at");
    let mark = room.memory.mark();
    room.memory.looked(vec![], people(), mark);
    assert!(room.memory.facts.is_empty() && !room.memory.is_needed());
}

#[test]
fn esc_71_one_leader_is_never_called_for_two_matters_at_once() {
    let mut room = Room::new();
    room.flag(0.0);
    let other = EntryId(CallId::new(at(0.0), &mut Random::from_seed([9; 32])).0);
    let phone = "值班台话机".to_owned();
    room.take(0.5, Fact::Flagged { entry: other, urgency: Urgency::Critical, phone });
    let orders = room.look(1.0).inputs.into_iter().filter_map(|input| match input {
        Input::Notify(order) => Some(order),
        _ => None,
    });
    let orders: Vec<LeaderCall> = orders.collect();
    let joins: Vec<_> = orders.iter().map(|order| order.joins).collect();
    assert_eq!(joins, [None, Some(orders[0].attempt)], "one call for both: esc_27");
    assert!(room.memory.calls("L", "L") && !room.memory.calls("S", "S"));
    assert!(room.memory.tells("L", other) && !room.memory.tells("S", other));
    for order in &orders {
        room.ended(20.0, order.attempt, AttemptResult::NoAnswer);
    }
    assert!(!room.memory.tells("L", other));
    let again = room.look(61.5).inputs.into_iter().filter_map(|input| match input {
        Input::Notify(order) => Some((order.person, order.joins.is_some())),
        _ => None,
    });
    let leader = |joins| ("L".to_owned(), joins);
    assert_eq!(again.collect::<Vec<_>>(), [leader(false), leader(true)]);
}

#[test]
fn esc_31_without_a_log_each_of_many_matters_sees_a_call_once_and_so_many_share_it() {
    let (mut room, mut random) = (Room::new(), Random::from_seed([31; 32]));
    for _ in 0..600 {
        let entry = EntryId(CallId::new(at(0.0), &mut random).0);
        let phone = "值班台话机".to_owned();
        room.take(0.0, Fact::Flagged { entry, urgency: Urgency::Urgent, phone });
    }
    let calls = room.calls(1.0);
    assert_eq!(calls.len(), 1 + MATTERS_MAX, "what he has no room for waits");
    assert_eq!(room.calls(2.0), []);
    let seen: usize = room.memory.known.iter().map(|one| one.occupied.len()).sum();
    assert_eq!(seen, 600, "one call is under way");
    room.ended(20.0, calls[0].1, AttemptResult::Acknowledged);
    assert_eq!(room.calls(20.0).len(), 1, "there is a place");
}

/// The log has ordered a call, and breaks before it has been looked at to its end.
#[test]
fn esc_50_whom_the_log_has_called_is_not_called_again_from_memory() {
    let mut room = Room::new();
    let flagged = room.flag(0.0);
    room.memory.written([&flagged]);
    let mut other = room.memory.clone();
    let order = other.look(&room.versions, at(1.0), &mut room.random).inputs.pop();
    let Some(Input::Notify(order)) = order else { panic!("{order:?}") };
    room.memory.ordered(&order, at(1.0));
    assert_eq!(room.calls(2.0), []);
    room.ended(40.0, order.attempt, AttemptResult::NoAnswer);
    assert_eq!(room.calls(61.0).len(), 1);
}

#[test]
fn esc_49_a_look_at_a_log_that_has_not_heard_of_a_call_does_not_forget_it() {
    let mut room = Room::new();
    let flagged = room.flag(0.0);
    room.memory.written([&flagged]);
    let mut log = room.memory.known.clone();
    let made = room.look(1.0).inputs.into_iter().find_map(|input| match input {
        Input::Note(Fact::AttemptMade(made)) => Some(made),
        _ => None,
    });
    let made = made.expect("the leader is called");
    let mark = room.memory.mark();
    room.memory.looked(log.clone(), people(), mark);
    assert!(room.memory.calls("L", "L"), "ordered, and not told yet");
    assert_eq!(room.calls(2.0), [], "he is not called twice");
    let attempt = made.attempt;
    let made = room.take(2.0, Fact::AttemptMade(made));
    let ended = room.ended(30.0, attempt, AttemptResult::Declined);
    let mark = room.memory.mark();
    room.memory.looked(log.clone(), people(), mark);
    assert_eq!(room.memory.known[0].attempts.len(), 1, "told, and not written yet");
    let declined = room.memory.known[0].attempts[0].ended.map(|(_, result)| result);
    assert_eq!(declined, Some(AttemptResult::Declined));
    room.memory.written([&made, &ended]);
    log[0].attempts.clone_from(&room.memory.known[0].attempts);
    let mark = room.memory.mark();
    room.memory.looked(log, people(), mark);
    assert_eq!(room.memory.known[0].attempts.len(), 1, "the log has it now");
    assert!(room.memory.is_settled());
}

#[test]
fn a_real_matter_takes_the_telephone_from_an_exercise_without_a_log() {
    let mut room = Room::new();
    let practice = EntryId(CallId::new(at(0.0), &mut Random::from_seed([7; 32])).0);
    let attempt = AttemptId::new(at(0.0), &mut Random::from_seed([8; 32]));
    let made = Made {
        attempt,
        entry: practice,
        round: 0,
        place: None,
        role: Role::Leader,
        person: "L".to_owned(),
        number: "L".to_owned(),
        errand: Errand::RollCall,
        why: String::new(),
        joins: None,
    };
    let exercise = Exercise {
        kind: ExerciseKind::RollCall,
        person: "L".to_owned(),
        role: Role::Leader,
        number: String::new(),
        put_off: false,
        begun: at(0.0).into(),
    };
    let mut roll_call = raised(practice, Urgency::Urgent, at(0.0));
    roll_call.attempts.push(super::attempt(&made, at(0.0)));
    roll_call.exercise = Some(exercise);
    let known = vec![roll_call];
    room.memory.looked(known.clone(), people(), 0);
    assert_eq!(room.look(0.5).inputs, [], "nothing is real: it goes on");
    assert!(!room.memory.is_needed());
    room.flag(1.0);
    let stop = Input::StopNotifying { attempt, why: Unwanted::Lost };
    for seconds in [2.0, 2.5] {
        let inputs = room.look(seconds).inputs;
        assert_eq!(inputs, std::slice::from_ref(&stop), "nobody is called into that call");
    }
    room.ended(3.0, attempt, AttemptResult::Cancelled);
    assert_eq!(room.calls(3.1)[0].0, "L", "at once");

    // Nothing is heard of its end.
    let mut room = Room::new();
    room.memory.looked(known, people(), 0);
    room.flag(1.0);
    assert_eq!(room.look(2.0).inputs, std::slice::from_ref(&stop));
    assert_eq!(room.look(11.9).inputs, std::slice::from_ref(&stop));
    let inputs = room.look(12.0).inputs;
    assert!(matches!(inputs.last(), Some(Input::Notify(call)) if call.target == "L"), "{inputs:?}");
}

/// Whoever was called from memory was called: the audit, which reads a log that knows nothing of it, must hear so.
#[test]
fn esc_71_what_is_called_from_memory_counts_as_done_and_what_is_not_does_not() {
    let mut room = Room::new();
    room.flag(0.0);
    let overdue = |room: &Room, seconds| room.memory.overdue(&room.versions, at(seconds));
    assert_eq!(overdue(&room, 1.0), None, "the log is asked");
    room.memory.works(true);
    assert_eq!(overdue(&room, 1.0).map(|due| due.len()), Some(1), "nobody was called yet");
    let (person, attempt) = room.calls(1.0).remove(0);
    assert_eq!((person.as_str(), overdue(&room, 1.0)), ("L", Some(vec![])));
    room.ended(36.0, attempt, AttemptResult::NoAnswer);
    assert_eq!(overdue(&room, 40.0), Some(vec![]), "he is called again in a moment");
    assert_eq!(overdue(&room, 300.0).map(|due| due.len()), Some(1), "nobody calls any more");
    room.memory.works(false);
    assert_eq!(overdue(&room, 300.0), None);
}

/// What somebody has acknowledged is the leader's alone.
#[test]
fn esc_71_what_another_has_taken_before_the_log_was_lost_is_told_to_the_leader_alone() {
    let mut room = Room::new();
    let known_to = Some("S".to_owned());
    let taken = Matter { known_to, ..Matter::new(entry(), Urgency::Urgent) };
    room.memory.recall([taken], vec![], at(0.0));
    let called: Vec<String> = (0..5)
        .flat_map(|round| room.calls(f64::from(round) * 60.0))
        .map(|(person, _)| person)
        .collect();
    assert!(!called.is_empty() && called.iter().all(|person| person == "L"), "{called:?}");
}

/// The log made the call and cannot be read: whoever pressed 1 in it has acknowledged.
#[test]
fn esc_71_an_acknowledgement_in_a_call_that_memory_does_not_know_of_counts() {
    let mut room = Room::new();
    room.memory.recall([Matter::new(entry(), Urgency::Urgent)], vec![], at(0.0));
    let attempt = AttemptId::new(at(0.0), &mut Random::from_seed([8; 32]));
    room.take(1.0, Fact::Acknowledged { attempt, entry: entry() });
    let called: Vec<String> = (1..8)
        .flat_map(|round| room.calls(f64::from(round) * 100.0))
        .map(|(person, _)| person)
        .collect();
    assert!(called.iter().all(|person| person == "L"), "nobody but the leader himself: {called:?}");
}
