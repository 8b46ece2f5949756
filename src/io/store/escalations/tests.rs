//! Escalations as the log has them.

mod engine;
mod many;
mod races;
mod shared;
mod trail;

use super::*;
use crate::duty::escalation::Policy;
use crate::duty::ids::{AttemptId, CallId};
use crate::duty::journal::{AttemptResult, Fact, Noted};
use crate::duty::pin::{self, Pin};
use crate::duty::roster::Roster;
use crate::duty::switchboard::{AckOutcome, Input, LeaderCall};
use crate::io::store::entries::Flagged;
use crate::io::store::tests::{at, entry, note, officer, one, roster, stalled, store};
use crate::io::store::{RecordingState, Store, wait};
use std::time::Duration;

/// The ladders alone, without what follows on an acknowledgement.
fn ladders() -> Policy {
    Policy { after: None, ..Policy::default() }
}

fn flag(store: &Store, entry: EntryId, urgency: Urgency, seconds: f64) -> Flagged {
    wait(store.flag(&officer(), entry, urgency, at(seconds))).unwrap()
}

/// Calls that are placed, and attempts that are stopped, at a moment.
fn cycle(store: &Store, seconds: f64) -> (Vec<LeaderCall>, Vec<AttemptId>) {
    let cycle = store.escalate(at(seconds), &ladders(), &roster()).unwrap();
    let (mut calls, mut stops) = (vec![], vec![]);
    for input in cycle.inputs {
        match input {
            Input::Notify(call) => calls.push(call),
            Input::StopNotifying { attempt, .. } => stops.push(attempt),
            other => panic!("{other:?}"),
        }
    }
    (calls, stops)
}

fn acknowledge(store: &Store, call: &LeaderCall, seconds: f64) -> AckOutcome {
    let fact = Fact::Acknowledged { attempt: call.attempt, entry: call.entry };
    match note(store, seconds, fact).input {
        Some(Input::AckStored { attempt, outcome }) if attempt == call.attempt => outcome,
        other => panic!("{other:?}"),
    }
}

fn end(store: &Store, call: &LeaderCall, result: AttemptResult, seconds: f64) {
    let attempt = call.attempt;
    note(store, seconds, Fact::AttemptEnded { attempt, result, status: 487 });
}

#[test]
fn i_5_flagging_an_empty_entry_raises_in_the_same_transaction_and_calls_at_once() {
    let store = store();
    let entry = entry(&store, 1, 0.0);
    assert!(matches!(flag(&store, entry, Urgency::Critical, 5.0), Flagged::Raised(_)));
    let (calls, _) = cycle(&store, 5.0);
    assert_eq!(calls.len(), 1);
    assert_eq!((calls[0].target.as_str(), calls[0].entry), ("1001", entry));
    assert_eq!(cycle(&store, 5.1).0, [], "the claim is kept");
    let view = wait(store.entry(entry)).unwrap().unwrap();
    assert_eq!(view.row.urgency, Urgency::Critical);
    assert_eq!(view.escalations[0].attempts.len(), 1);
    assert_eq!(view.revisions.len(), 2);
}

#[test]
fn esc_85_what_is_finished_is_not_looked_at() {
    let store = store();
    for query in [looking::UNFINISHED, loading::GUESSES, handover::LED_BY_ANOTHER] {
        let plan = store.write_now(move |tx| {
            let mut rows = tx.sql.prepare(&format!("EXPLAIN QUERY PLAN {query}"))?;
            let mut rows = rows.raw_query();
            let mut lines = vec![];
            while let Some(row) = rows.next()? {
                lines.push(row.get::<_, String>(3)?);
            }
            Ok(lines)
        });
        for line in plan.unwrap().iter().filter(|line| line.starts_with("SCAN")) {
            let unfinished = ["escalation_unfinished", "attempt_in_flight"];
            assert!(unfinished.iter().any(|index| line.contains(index)), "{line}");
        }
    }
}

#[test]
fn esc_29_flagged_ten_times_it_is_one_escalation() {
    let store = store();
    let entry = entry(&store, 1, 0.0);
    let Flagged::Raised(id) = flag(&store, entry, Urgency::Urgent, 1.0) else { panic!() };
    for _ in 0..10 {
        assert_eq!(flag(&store, entry, Urgency::Urgent, 2.0), Flagged::Already(id));
        let phone = "值班台话机".to_owned();
        note(&store, 2.0, Fact::Flagged { entry, urgency: Urgency::Urgent, phone });
    }
    assert_eq!(one::<i64>(&store, "SELECT count(*) FROM escalation"), 1);
    assert_eq!(cycle(&store, 3.0).0.len(), 1);
    assert_eq!(flag(&store, entry, Urgency::Routine, 3.0), Flagged::NotUrgent);
}

#[test]
fn flagged_higher_the_higher_ladder_begins_at_once() {
    let store = store();
    let entry = entry(&store, 1, 0.0);
    let Flagged::Raised(id) = flag(&store, entry, Urgency::Urgent, 0.0) else { panic!() };
    let (calls, _) = cycle(&store, 0.0);
    end(&store, &calls[0], AttemptResult::NoAnswer, 35.0);
    assert_eq!(flag(&store, entry, Urgency::Critical, 40.0), Flagged::Upgraded(id));
    let (calls, _) = cycle(&store, 40.0);
    assert_eq!((calls.len(), calls[0].urgency), (1, Urgency::Critical));
    assert_eq!(flag(&store, entry, Urgency::Urgent, 41.0), Flagged::Already(id));
}

/// He looks at what has become more urgent: of what it was before he is not reminded, and nobody is called for it.
#[test]
fn esc_77_what_has_become_more_urgent_since_he_knew_of_it_is_followed_up_once() {
    for instructed in [false, true] {
        let store = store();
        let entry = entry(&store, 1, 0.0);
        let called = |seconds| {
            let cycle = store.escalate(at(seconds), &Policy::default(), &roster()).unwrap();
            cycle.inputs.into_iter().find_map(|input| match input {
                Input::Notify(call) => Some(call),
                _ => None,
            })
        };
        for (seconds, urgency) in [(0.0, Urgency::Urgent), (120.0, Urgency::Critical)] {
            assert!(matches!(flag(&store, entry, urgency, seconds), Flagged::Raised(_)));
            let call = called(seconds).expect("the leader");
            assert_eq!(acknowledge(&store, &call, seconds + 10.0), AckOutcome::First);
            let (attempt, since) = (call.attempt, at(seconds + 12.0));
            if instructed && urgency == Urgency::Urgent {
                note(&store, seconds + 20.0, Fact::Dictated { attempt, entry, since });
            }
            if urgency == Urgency::Critical {
                let lasts = Duration::from_secs(9);
                note(&store, seconds + 20.0, Fact::AttemptHeard { attempt, lasts });
            }
            end(&store, &call, AttemptResult::Acknowledged, seconds + 21.0);
        }
        for seconds in [200.0, 320.0, 620.0, 920.0, 5000.0] {
            assert_eq!(called(seconds), None, "{seconds} s, instructed: {instructed}");
        }
        let closed = "SELECT count(*) FROM escalation WHERE closed_ms IS NOT NULL";
        let wanted = if instructed { 1 } else { 2 };
        assert_eq!(one::<i64>(&store, closed), wanted, "its instruction is still to be confirmed");
        assert_eq!(
            one::<i64>(&store, "SELECT count(*) FROM escalation"),
            2,
            "none is raised again"
        );
        wait(store.verify_audit()).unwrap();
    }
}

#[test]
fn esc_34_of_withdrawal_and_key_exactly_one_wins() {
    for key_first in [true, false] {
        let store = store();
        let entry = entry(&store, 1, 0.0);
        flag(&store, entry, Urgency::Urgent, 0.0);
        let (calls, _) = cycle(&store, 0.0);
        let withdraw = || wait(store.withdraw(&officer(), entry, "误报", at(9.0))).unwrap();
        if key_first {
            assert_eq!(acknowledge(&store, &calls[0], 9.0), AckOutcome::First);
            assert!(matches!(withdraw(), Withdrawn::Acknowledged(_)));
        } else {
            assert!(matches!(withdraw(), Withdrawn::Withdrawn(_)));
            assert_eq!(acknowledge(&store, &calls[0], 9.0), AckOutcome::Withdrawn);
        }
        let firsts = "SELECT count(*) FROM acknowledgement WHERE outcome = 'first'";
        assert_eq!(one::<i64>(&store, firsts), i64::from(key_first));
    }
}

#[test]
fn esc_35_of_two_keys_one_is_first_and_one_is_late() {
    let store = store();
    let entry = entry(&store, 1, 0.0);
    flag(&store, entry, Urgency::Urgent, 0.0);
    let (leader, _) = cycle(&store, 0.0);
    let (both, _) = cycle(&store, 180.0);
    let substitute = both.iter().find(|call| call.target == "1002").unwrap();
    assert_eq!(acknowledge(&store, substitute, 190.0), AckOutcome::First);
    assert_eq!(acknowledge(&store, &leader[0], 190.02), AckOutcome::Late);
    assert_eq!(acknowledge(&store, &leader[0], 190.02), AckOutcome::Late, "said twice");
    assert_eq!(acknowledge(&store, substitute, 191.0), AckOutcome::First, "said twice");
    let view = wait(store.entry(entry)).unwrap().unwrap();
    let escalation = &view.escalations[0];
    assert_eq!(escalation.row.acknowledged.as_ref().unwrap().person, "S");
    assert_eq!(escalation.acknowledgements.len(), 2);
    assert!(escalation.row.leader_reached.is_some());
}

#[test]
fn esc_36_nothing_is_sent_after_the_key() {
    let store = store();
    let entry = entry(&store, 1, 0.0);
    flag(&store, entry, Urgency::Urgent, 0.0);
    let (leader, _) = cycle(&store, 0.0);
    assert_eq!(acknowledge(&store, &leader[0], 12.0), AckOutcome::First);
    end(&store, &leader[0], AttemptResult::Acknowledged, 16.0);
    for seconds in [12.0, 60.0, 180.0, 360.0, 600.0, 90_000.0] {
        assert_eq!(cycle(&store, seconds), (vec![], vec![]));
    }
}

#[test]
fn i_7_another_ones_key_stops_the_others_but_not_the_leaders_redial() {
    let store = store();
    let entry = entry(&store, 1, 0.0);
    flag(&store, entry, Urgency::Critical, 0.0);
    let (calls, _) = cycle(&store, 0.0);
    end(&store, &calls[0], AttemptResult::NoAnswer, 35.0);
    let (calls, _) = cycle(&store, 110.0);
    let of = |target: &str| calls.iter().find(|call| call.target == target).unwrap();
    let (leader, substitute) = (calls.iter().find(|c| c.target != "1002").unwrap(), of("1002"));
    let (director, _) = cycle(&store, 145.0);
    assert_eq!(director[0].target, "1003");
    assert_eq!(acknowledge(&store, substitute, 150.0), AckOutcome::First);
    let (calls, stops) = cycle(&store, 150.1);
    assert_eq!((calls, stops), (vec![], vec![director[0].attempt]));
    assert_eq!(cycle(&store, 150.2).1, [], "stopped once");
    end(&store, leader, AttemptResult::NoAnswer, 151.0);
    end(&store, &director[0], AttemptResult::Cancelled, 151.0);
    end(&store, substitute, AttemptResult::Acknowledged, 155.0);
    let (redial, _) = cycle(&store, 170.0);
    assert_eq!(redial.len(), 1, "60 s after his last call began");
    assert!(["1001", "2001"].contains(&redial[0].target.as_str()));
    let spoken =
        |how: &str| wait(store.leader_spoken_to(&officer(), entry, how, at(174.0))).unwrap();
    assert!(!spoken(" "));
    assert_eq!(acknowledge(&store, &redial[0], 175.0), AckOutcome::Late);
    assert!(spoken("当面"), "he has pressed the key himself, and hears what it is about");
    assert!(!spoken("当面"), "once");
    end(&store, &redial[0], AttemptResult::Acknowledged, 180.0);
    cycle(&store, 8999.0);
    let last = store.escalate(at(9000.0), &ladders(), &roster()).unwrap();
    assert_eq!(last, Cycle { roster: roster(), ..Cycle::default() });
}

#[test]
fn the_leaders_redial_ends_when_the_officer_has_spoken_to_him() {
    let store = store();
    let entry = entry(&store, 1, 0.0);
    flag(&store, entry, Urgency::Urgent, 0.0);
    let spoken = || wait(store.leader_spoken_to(&officer(), entry, "当面", at(200.0))).unwrap();
    let (leader, _) = cycle(&store, 0.0);
    end(&store, &leader[0], AttemptResult::NoAnswer, 35.0);
    let (calls, _) = cycle(&store, 180.0);
    let substitute = calls.iter().find(|call| call.target == "1002").unwrap();
    let redial = calls.iter().find(|call| call.target != "1002").unwrap();
    assert_eq!(acknowledge(&store, substitute, 190.0), AckOutcome::First);
    assert_eq!(cycle(&store, 191.0).1, []);
    assert!(spoken());
    assert_eq!(cycle(&store, 200.0).1, [redial.attempt]);
    end(&store, redial, AttemptResult::Cancelled, 200.0);
    end(&store, substitute, AttemptResult::Acknowledged, 200.0);
    assert_eq!(cycle(&store, 9000.0), (vec![], vec![]));
}

#[test]
fn esc_14_after_two_calls_of_wrong_pins_his_next_calls_offer_no_content() {
    let store = store();
    let entry = entry(&store, 1, 0.0);
    flag(&store, entry, Urgency::Urgent, 0.0);
    let mut people = roster();
    people.people[0].pin = Pin::new("4711");
    let pins = [0.0, 60.0, 120.0].map(|seconds| {
        let cycle = store.escalate(at(seconds), &ladders(), &people).unwrap();
        let to_him = |input| match input {
            Input::Notify(call) if call.person == "L" => Some(call),
            _ => None,
        };
        let call = cycle.inputs.into_iter().find_map(to_him).expect("he is called");
        end(&store, &call, AttemptResult::WrongPin, seconds + 20.0);
        call.pin
    });
    assert_eq!(pins, [Pin::new("4711"), Pin::new("4711"), Some(Pin::Refused)]);
}

/// He hangs up before the third: what he has guessed counts all the same.
#[test]
fn esc_14_guesses_count_however_their_call_ends() {
    let store = store();
    let entry = entry(&store, 1, 0.0);
    flag(&store, entry, Urgency::Urgent, 0.0);
    let mut people = roster();
    people.people[0].pin = Pin::new("4711");
    let pins = [0.0, 60.0, 120.0, 180.0].map(|seconds| {
        let cycle = store.escalate(at(seconds), &ladders(), &people).unwrap();
        let to_him = |input| match input {
            Input::Notify(call) if call.person == "L" => Some(call),
            _ => None,
        };
        let call = cycle.inputs.into_iter().find_map(to_him).expect("he is called");
        let attempt = call.attempt;
        for guess in 0..2 {
            let key = pin::WRONG;
            note(&store, seconds + 5.0 + f64::from(guess), Fact::AttemptKey { attempt, key });
        }
        end(&store, &call, AttemptResult::AnsweredNoKey, seconds + 20.0);
        call.pin
    });
    let asked = || Pin::new("4711");
    assert_eq!(pins, [asked(), asked(), asked(), Some(Pin::Refused)], "six in all");
}

/// The PIN is his, not that of a matter.
#[test]
fn esc_14_guesses_count_in_every_matter_that_is_open() {
    let store = store();
    let (first, second) = (entry(&store, 1, 0.0), entry(&store, 2, 0.0));
    flag(&store, first, Urgency::Urgent, 0.0);
    let mut people = roster();
    people.people[0].pin = Pin::new("4711");
    let call = |seconds| {
        let cycle = store.escalate(at(seconds), &ladders(), &people).unwrap();
        match cycle.inputs.into_iter().next().expect("he is called") {
            Input::Notify(call) => call,
            other => panic!("{other:?}"),
        }
    };
    let attempt = call(0.0).attempt;
    for guess in 0..6 {
        let key = pin::WRONG;
        note(&store, 5.0 + f64::from(guess), Fact::AttemptKey { attempt, key });
    }
    flag(&store, second, Urgency::Urgent, 20.0);
    let other = call(20.1);
    assert_eq!((other.entry, other.joins), (second, Some(attempt)));
    assert_eq!(other.pin, Some(Pin::Refused));
}

#[test]
fn esc_46_told_to_stop_what_is_due_is_withheld_and_known() {
    let store = store();
    let entry = entry(&store, 1, 0.0);
    let bounds = Bounds::default();
    bounds.finishing.cancel();
    let looks = |seconds| store.next_calls_in(bounds.clone(), at(seconds), &ladders(), &roster());
    let stops = |seconds| wait(looks(seconds)).unwrap();
    flag(&store, entry, Urgency::Urgent, 0.0);
    let (calls, _) = cycle(&store, 0.0);
    let rings = stops(1.0);
    assert_eq!((rings.withheld, rings.known.len()), (false, 1), "he is being called");
    end(&store, &calls[0], AttemptResult::Unreachable, 2.0);
    let due = stops(2.0);
    assert_eq!((due.withheld, due.known.len(), due.inputs), (true, 1, vec![]));
    acknowledge(&store, &calls[0], 3.0);
    assert!(!stops(3.0).withheld, "somebody knows");
}

/// The log was busy when it was asked, and the daemon is told to stop before it answers.
#[test]
fn esc_46_a_look_that_waits_for_the_log_calls_nobody_once_it_is_told_to_stop() {
    let (_folder, store) = races::in_a_file();
    let entry = entry(&store, 1, 0.0);
    flag(&store, entry, Urgency::Urgent, 0.0);
    let (busy, bounds) = (stalled(&store), Bounds::default());
    let looking = store.next_calls_in(bounds.clone(), at(1.0), &ladders(), &roster());
    bounds.finishing.cancel();
    drop(busy);
    let looked = wait(looking).unwrap();
    assert_eq!((looked.inputs, looked.withheld), (vec![], true));
    assert_eq!(one::<i64>(&store, "SELECT count(*) FROM attempt"), 0, "the next run calls him");
}

#[test]
fn a_withdrawal_needs_a_reason_stops_the_calls_and_allows_a_new_flag() {
    let store = store();
    let entry = entry(&store, 1, 0.0);
    flag(&store, entry, Urgency::Urgent, 0.0);
    let (calls, _) = cycle(&store, 0.0);
    let withdraw = |reason: &str| wait(store.withdraw(&officer(), entry, reason, at(3.0))).unwrap();
    assert_eq!(withdraw(" \n"), Withdrawn::NoReason);
    assert!(matches!(withdraw("误报"), Withdrawn::Withdrawn(_)));
    assert_eq!(cycle(&store, 3.1), (vec![], vec![calls[0].attempt]));
    assert_eq!(withdraw("再撤"), Withdrawn::NothingOpen);
    assert!(matches!(flag(&store, entry, Urgency::Urgent, 10.0), Flagged::Raised(_)));
    let raised = wait(store.open_escalations()).unwrap();
    assert_eq!(raised.len(), 1);
}

#[test]
fn esc_42_an_attempt_cut_by_a_crash_is_made_again_at_once() {
    let store = store();
    let entry = entry(&store, 1, 0.0);
    flag(&store, entry, Urgency::Urgent, 0.0);
    let (before, _) = cycle(&store, 0.0);
    note(&store, 4.0, Fact::AttemptRinging { attempt: before[0].attempt });
    let cut = wait(store.interrupted_calls([].into(), at(10.0))).unwrap();
    assert_eq!(cut.len(), 1, "the caller's call; the leader's has its attempt");
    let (after, _) = cycle(&store, 10.0);
    assert_eq!(after.len(), 1);
    assert_eq!(after[0].target, before[0].target);
    assert_ne!(after[0].attempt, before[0].attempt);
    let view = wait(store.entry(entry)).unwrap().unwrap();
    let results: Vec<_> =
        view.escalations[0].attempts.iter().map(|attempt| attempt.result).collect();
    assert_eq!(results, [Some(AttemptResult::Interrupted), None]);
    assert_eq!(wait(store.interrupted_calls([].into(), at(11.0))).unwrap(), []);
}

#[test]
fn an_attempt_that_is_lost_is_stopped_and_made_again() {
    let store = store();
    let entry = entry(&store, 1, 0.0);
    flag(&store, entry, Urgency::Urgent, 0.0);
    let (lost, _) = cycle(&store, 0.0);
    let (calls, stops) = cycle(&store, 181.0);
    assert_eq!(stops, [lost[0].attempt]);
    assert!(calls.iter().any(|call| call.target == "1001"));
    end(&store, &lost[0], AttemptResult::Busy, 182.0);
    let interrupted = "SELECT result FROM attempt ORDER BY seq LIMIT 1";
    assert_eq!(one::<String>(&store, interrupted), "interrupted", "a late report");
}

#[test]
fn exhausted_it_sounds_until_somebody_acknowledges() {
    let store = store();
    let entry = entry(&store, 1, 0.0);
    flag(&store, entry, Urgency::Urgent, 0.0);
    let nobody = Roster { people: roster().people.into_iter().take(1).collect() };
    let cycle = store.escalate(at(0.0), &ladders(), &nobody).unwrap();
    assert_eq!(cycle.sirens, 0);
    let Input::Notify(call) = &cycle.inputs[0] else { panic!() };
    end(&store, call, AttemptResult::Unreachable, 0.5);
    let cycle = store.escalate(at(0.5), &ladders(), &nobody).unwrap();
    let Input::Notify(office) = &cycle.inputs[0] else { panic!() };
    assert_eq!((office.target.as_str(), cycle.dead.as_slice()), ("2001", &["L".to_owned()][..]));
    let cycle = store.escalate(at(181.0), &ladders(), &nobody).unwrap();
    assert_eq!(cycle.sirens, 1);
    let row = wait(store.entry_row(entry)).unwrap().unwrap().escalation.unwrap();
    assert_eq!(row.siren, Some(at(181.0).wall));
    let redial = cycle.inputs.iter().find_map(|input| match input {
        Input::Notify(call) => Some(call.clone()),
        _ => None,
    });
    assert_eq!(acknowledge(&store, &redial.unwrap(), 190.0), AckOutcome::First);
    assert_eq!(wait(store.entry_row(entry)).unwrap().unwrap().escalation.unwrap().siren, None);
}

#[test]
fn facts_of_attempts_are_kept_in_full() {
    let store = store();
    let entry = entry(&store, 1, 0.0);
    flag(&store, entry, Urgency::Urgent, 0.0);
    let (calls, _) = cycle(&store, 0.0);
    let attempt = calls[0].attempt;
    note(&store, 3.0, Fact::AttemptRinging { attempt });
    note(&store, 9.0, Fact::AttemptAnswered { attempt });
    for (seconds, key) in [(15.0, '7'), (16.0, '8')] {
        store.apply(&Noted { at: at(seconds), fact: Fact::AttemptKey { attempt, key } }).unwrap();
    }
    end(&store, &calls[0], AttemptResult::AnsweredNoKey, 60.0);
    let view = wait(store.entry(entry)).unwrap().unwrap();
    let row = &view.escalations[0].attempts[0];
    assert_eq!((row.ringing, row.answered), (Some(at(3.0).wall), Some(at(9.0).wall)));
    assert_eq!((row.keys.as_str(), row.result), ("78", Some(AttemptResult::AnsweredNoKey)));
    assert!(row.recording.is_some(), "calls to leaders are recorded too");
}
