//! Who leads when, as the log has it.

use super::*;
use crate::duty::escalation::Policy;
use crate::duty::journal::{AttemptResult, Fact, Urgency};
use crate::duty::switchboard::{Input, LeaderCall};
use crate::io::store::tests::{at, entry, note, officer, one, roster, store};
use crate::io::store::{Cycle, Who, wait};

fn cycle(store: &Store, seconds: f64) -> Cycle {
    let policy = Policy { after: None, ..Policy::default() };
    store.escalate(at(seconds), &policy, &roster()).unwrap()
}

fn calls(store: &Store, seconds: f64) -> Vec<LeaderCall> {
    let inputs = cycle(store, seconds).inputs.into_iter();
    inputs
        .filter_map(|input| match input {
            Input::Notify(call) => Some(call),
            _ => None,
        })
        .collect()
}

fn flagged(store: &Store) -> EntryId {
    let entry = entry(store, 1, 0.0);
    wait(store.flag(&officer(), entry, Urgency::Urgent, at(0.0))).unwrap();
    entry
}

fn presses_3(store: &Store, call: &LeaderCall, seconds: f64) -> AckOutcome {
    let fact = Fact::HandedOn { attempt: call.attempt, entry: call.entry };
    match note(store, seconds, fact).input {
        Some(Input::AckStored { outcome, .. }) => outcome,
        other => panic!("{other:?}"),
    }
}

fn wall(seconds: f64) -> DateTime<Utc> {
    at(0.0).wall + TimeDelta::milliseconds((seconds * 1000.0) as i64)
}

fn on_duty(person: &str, from: f64, to: Option<f64>) -> OnDuty {
    OnDuty { role: Role::Leader, person: person.to_owned(), from: wall(from), to: to.map(wall) }
}

#[test]
fn esc_75_key_3_is_a_record_of_who_stands_in_for_whom_and_why() {
    let store = store();
    let entry = flagged(&store);
    let call = calls(&store, 0.0).remove(0);
    assert_eq!(presses_3(&store, &call, 12.0), AckOutcome::HandedOn);
    assert_eq!(presses_3(&store, &call, 12.5), AckOutcome::HandedOn, "said twice it is one");
    let next = calls(&store, 12.6);
    assert_eq!(next.iter().map(|call| call.target.as_str()).collect::<Vec<_>>(), ["1002"]);
    let record = "SELECT s.absent || ' ' || s.stands_in || ' ' || s.reason || ' ' || a.role
        FROM substitution s JOIN attempt a ON a.substitution = s.id";
    assert_eq!(one::<String>(&store, record), "L S 不便（电话按键 3） leader", "esc_72");
    assert_eq!(one::<i64>(&store, "SELECT count(*) FROM substitution"), 1);
    let view = wait(store.entry(entry)).unwrap().unwrap();
    let attempt = view.escalations[0].attempts.last().unwrap();
    assert_eq!(attempt.instead_of.as_deref(), Some("L"));
    wait(store.verify_audit()).unwrap();
    // Half a day later the list counts again.
    let later = wait(store.roster_now(&roster(), at(12.0 * 3600.0 + 13.0))).unwrap();
    assert_eq!(later.holder(Role::Leader).unwrap().name, "L");
}

#[test]
fn esc_75_it_lasts_as_long_as_his_duty_where_that_is_known() {
    let store = store();
    wait(store.put_on_duty(&officer(), on_duty("L", -100.0, Some(500.0)), at(0.0))).unwrap();
    flagged(&store);
    let call = calls(&store, 0.0).remove(0);
    presses_3(&store, &call, 12.0);
    let lasts = "SELECT to_ms FROM substitution";
    assert_eq!(one::<i64>(&store, lasts), ms(wall(500.0)));
}

#[test]
fn esc_75_who_does_not_lead_hands_on_to_the_next_of_the_ladder() {
    let store = store();
    flagged(&store);
    let leader = calls(&store, 0.0).remove(0);
    note(
        &store,
        5.0,
        Fact::AttemptEnded {
            attempt: leader.attempt,
            result: AttemptResult::Declined,
            status: 603,
        },
    );
    let substitute = calls(&store, 5.0).into_iter().find(|call| call.target == "1002").unwrap();
    assert_eq!(presses_3(&store, &substitute, 20.0), AckOutcome::PassedOn);
    assert_eq!(one::<i64>(&store, "SELECT count(*) FROM substitution"), 0);
    let head = calls(&store, 20.1);
    assert!(head.iter().any(|call| call.target == "1004"), "{head:?}");
}

#[test]
fn esc_68_at_the_hand_over_the_next_attempt_goes_to_the_new_leader() {
    let store = store();
    wait(store.put_on_duty(&officer(), on_duty("L", -9000.0, Some(60.0)), at(0.0))).unwrap();
    wait(store.put_on_duty(&officer(), on_duty("H", 60.0, None), at(0.0))).unwrap();
    flagged(&store);
    let first = calls(&store, 0.0).remove(0);
    assert_eq!(first.target, "1001");
    let (attempt, result) = (first.attempt, AttemptResult::NoAnswer);
    note(&store, 35.0, Fact::AttemptEnded { attempt, result, status: 487 });
    let before = cycle(&store, 54.9);
    let until = before.until.unwrap().0;
    assert!(until <= at(60.0).mono, "it looks again when the duty changes hands");
    let after = calls(&store, 60.0);
    assert_eq!(after.iter().map(|call| call.target.as_str()).collect::<Vec<_>>(), ["1004"]);
    let role = "SELECT role FROM attempt ORDER BY seq DESC LIMIT 1";
    assert_eq!(one::<String>(&store, role), "leader");
}

#[test]
fn esc_38_who_led_a_minute_ago_acknowledges_in_his_capacity_and_the_new_leader_is_told() {
    let store = store();
    wait(store.put_on_duty(&officer(), on_duty("L", -9000.0, Some(20.0)), at(0.0))).unwrap();
    wait(store.put_on_duty(&officer(), on_duty("H", 20.0, None), at(0.0))).unwrap();
    let entry = flagged(&store);
    let old = calls(&store, 0.0).remove(0);
    let fact = Fact::Acknowledged { attempt: old.attempt, entry };
    assert_eq!(
        note(&store, 80.0, fact).input,
        Some(Input::AckStored { attempt: old.attempt, outcome: AckOutcome::First })
    );
    let view = wait(store.entry(entry)).unwrap().unwrap();
    let row = &view.escalations[0].row;
    assert_eq!(row.acknowledged.as_ref().map(|ack| ack.role), Some(Some(Role::Leader)));
    assert_eq!(row.leader_reached, None, "he does not lead any more");
    let told = calls(&store, 80.1);
    assert_eq!(told.iter().map(|call| call.target.as_str()).collect::<Vec<_>>(), ["1004"]);
    let fact = Fact::Acknowledged { attempt: told[0].attempt, entry };
    note(&store, 90.0, fact);
    let view = wait(store.entry(entry)).unwrap().unwrap();
    assert!(view.escalations[0].row.leader_reached.is_some());
}

/// On his page he is what the list says, as on the telephone.
#[test]
fn esc_38_who_led_a_minute_ago_acknowledges_on_his_page_in_his_capacity() {
    let (store, who) = (store(), Who { name: "L".to_owned(), ..officer() });
    wait(store.put_on_duty(&officer(), on_duty("H", 20.0, None), at(0.0))).unwrap();
    let entry = flagged(&store);
    calls(&store, 0.0);
    let known = wait(store.acknowledge_on_page(&who, entry, at(80.0))).unwrap();
    assert_eq!(known, Some(AckOutcome::First));
    let row = wait(store.entry(entry)).unwrap().unwrap().escalations.remove(0).row;
    assert_eq!(row.acknowledged.and_then(|ack| ack.role), Some(Role::Leader));
    assert_eq!(row.leader_reached, None, "he does not lead any more");
    assert_eq!(calls(&store, 80.1).remove(0).target, "1004", "the one who does is called");
}

#[test]
fn esc_68_whoever_leads_beside_another_role_acknowledges_as_the_leader() {
    for (seconds, role) in [(0.5, Role::Head), (2.0, Role::Leader)] {
        let (store, who) = (store(), Who { name: "H".to_owned(), ..officer() });
        let entry = flagged(&store);
        calls(&store, 0.0);
        wait(store.put_on_duty(&officer(), on_duty("H", 1.0, None), at(0.0))).unwrap();
        let known = wait(store.acknowledge_on_page(&who, entry, at(seconds))).unwrap();
        assert_eq!(known, Some(AckOutcome::First));
        let row = wait(store.entry(entry)).unwrap().unwrap().escalations.remove(0).row;
        assert_eq!(row.acknowledged.and_then(|ack| ack.role), Some(role));
        assert_eq!(row.leader_reached.is_some(), role == Role::Leader);
    }
}

#[test]
fn what_was_entered_is_withdrawn_and_never_deleted() {
    let store = store();
    wait(store.put_on_duty(&officer(), on_duty("H", -9.0, None), at(0.0))).unwrap();
    let leads = || {
        let now = wait(store.roster_now(&roster(), at(1.0))).unwrap();
        now.holder(Role::Leader).unwrap().name.clone()
    };
    assert_eq!(leads(), "H");
    let (duties, _) = wait(store.duties(at(1.0))).unwrap();
    let withdraw =
        || wait(store.withdraw_duty(&officer(), DutyKind::Duty, duties[0].id, at(1.0))).unwrap();
    assert!(withdraw());
    assert!(!withdraw(), "once");
    assert_eq!(leads(), "L");
    let deleted = wait(store.write(|tx| Ok(tx.sql.execute("DELETE FROM duty", [])?)));
    assert!(deleted.is_err());
}

#[test]
fn an_escalation_ends_with_the_figures_that_it_began_with() {
    let store = store();
    flagged(&store);
    let first = calls(&store, 0.0).remove(0);
    let (attempt, result) = (first.attempt, AttemptResult::AnsweredNoKey);
    note(&store, 10.0, Fact::AttemptEnded { attempt, result, status: 200 });
    let slow = Policy {
        after: None,
        no_key_redial: std::time::Duration::from_secs(100),
        redial_leader: std::time::Duration::from_secs(100),
        ..Policy::default()
    };
    let cycle = store.escalate(at(25.0), &slow, &roster()).unwrap();
    assert_eq!(cycle.inputs.len(), 1, "15 s, as when it began");
    assert_eq!(one::<i64>(&store, "SELECT count(*) FROM policy"), 2);
    assert_eq!(one::<i64>(&store, "SELECT policy FROM escalation"), 1);
    let pins = "SELECT count(*) FROM policy WHERE people LIKE '%pin%'";
    assert_eq!(one::<i64>(&store, pins), 0, "no PIN is written down");
}
