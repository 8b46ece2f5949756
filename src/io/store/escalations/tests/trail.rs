//! What is on record of a matter, from its flag to its end (esc_86, I-14).

use super::*;

/// By whom, where it was the program by which rule, and what.
fn trail(store: &Store) -> Vec<String> {
    let rows = "SELECT group_concat(actor || iif(actor = '系统', '·' || terminal, '') || ' '
          || replace(action, 'escalation.', ''), ',')
        FROM (SELECT * FROM audit WHERE object IN (SELECT id FROM escalation) ORDER BY id)";
    one::<String>(store, rows).split(',').map(str::to_owned).collect()
}

fn look(store: &Store, seconds: f64, people: &Roster) -> Option<LeaderCall> {
    let cycle = store.escalate(at(seconds), &Policy::default(), people).unwrap();
    cycle.inputs.into_iter().find_map(|input| match input {
        Input::Notify(call) => Some(call),
        _ => None,
    })
}

#[test]
fn esc_86_every_change_of_state_has_its_row_and_what_the_program_does_itself_its_rule() {
    let store = store();
    let entry = entry(&store, 1, 0.0);
    flag(&store, entry, Urgency::Urgent, 0.0);
    assert_eq!(look(&store, 1.0, &Roster::default()), None, "nobody can be called: the siren");
    flag(&store, entry, Urgency::Critical, 2.0);
    look(&store, 2.0, &Roster::default());
    look(&store, 70.0, &Roster::default());
    let call = look(&store, 71.0, &roster()).expect("the leader");
    acknowledge(&store, &call, 80.0);
    let (attempt, lasts) = (call.attempt, Duration::from_secs(9));
    note(&store, 90.0, Fact::AttemptHeard { attempt, lasts });
    note(&store, 100.0, Fact::Dictated { attempt, entry, since: at(95.0) });
    end(&store, &call, AttemptResult::Acknowledged, 101.0);
    assert_eq!(look(&store, 102.0, &roster()), None);
    wait(store.confirm_instructions(&officer(), entry, at(110.0))).unwrap();
    look(&store, 111.0, &roster());
    let wanted = [
        "王值班 raise",
        "系统·I-6 exhausted",
        "王值班 upgrade",
        "系统·I-6 exhausted",
        "系统·I-6 repeat",
        "L acknowledge",
        "L read",
        "L instruct",
        "王值班 confirm",
        "系统·escalation.settled close",
    ];
    assert_eq!(trail(&store), wanted);
    look(&store, 200.0, &roster());
    assert_eq!(trail(&store).len(), wanted.len(), "once");
    wait(store.verify_audit()).unwrap();
}

#[test]
fn esc_86_a_withdrawal_is_on_record_with_its_reason() {
    let store = store();
    let entry = entry(&store, 1, 0.0);
    flag(&store, entry, Urgency::Urgent, 0.0);
    wait(store.withdraw(&officer(), entry, "误报", at(3.0))).unwrap();
    assert_eq!(trail(&store), ["王值班 raise", "王值班 withdraw"]);
    let why = "SELECT detail FROM audit WHERE action = 'escalation.withdraw'";
    assert_eq!(one::<String>(&store, why), "误报");
}
