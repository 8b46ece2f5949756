//! One call for several matters.

use super::*;

#[test]
fn esc_27_two_matters_share_one_call_and_a_key_is_for_one_of_them() {
    let store = store();
    let (first, second) = (entry(&store, 1, 0.0), entry(&store, 2, 1.0));
    flag(&store, first, Urgency::Urgent, 0.0);
    let (for_first, _) = cycle(&store, 0.1);
    flag(&store, second, Urgency::Urgent, 5.0);
    let (for_second, _) = cycle(&store, 5.1);
    let (host, other) = (&for_first[0], &for_second[0]);
    assert_eq!((host.joins, other.joins), (None, Some(host.attempt)), "never two calls to him");
    assert_eq!((other.entry, other.target.as_str()), (second, host.target.as_str()));
    for seconds in 6..30 {
        assert_eq!(cycle(&store, f64::from(seconds)), (vec![], vec![]));
    }
    for order in [host, other] {
        note(&store, 30.0, Fact::AttemptAnswered { attempt: order.attempt });
    }
    assert_eq!(acknowledge(&store, host, 40.0), AckOutcome::First);
    end(&store, host, AttemptResult::Acknowledged, 50.0);
    assert_eq!(wait(store.open_escalations()).unwrap().len(), 1, "the other still fires");
    let call = |column: &str| {
        let query = format!("SELECT {column} FROM call WHERE id = '{}'", host.attempt);
        one::<String>(&store, &query)
    };
    assert_eq!(call("state"), "in_call", "he is on the telephone still");
    assert_eq!(acknowledge(&store, other, 55.0), AckOutcome::First);
    end(&store, other, AttemptResult::Acknowledged, 60.0);
    assert_eq!((call("state"), call("disposition")), ("ended".into(), "answered".into()));
    assert_eq!(wait(store.open_escalations()).unwrap(), []);
    let view = wait(store.entry(second)).unwrap().unwrap();
    let attempt = &view.escalations[0].attempts[0];
    assert_eq!(
        (attempt.joined, attempt.recording),
        (Some(host.attempt), Some(RecordingState::Finalizing))
    );
    wait(store.verify_audit()).unwrap();
}

#[test]
fn esc_27_a_matter_whose_call_is_gone_has_a_call_of_its_own_and_a_crash_cuts_both() {
    let store = store();
    let (first, second) = (entry(&store, 1, 0.0), entry(&store, 2, 1.0));
    flag(&store, first, Urgency::Urgent, 2.0);
    flag(&store, second, Urgency::Urgent, 2.0);
    let (calls, _) = cycle(&store, 2.1);
    assert_eq!(calls.len(), 2);
    let joined = calls.iter().find(|call| call.joins.is_some()).unwrap();
    for _ in 0..2 {
        note(&store, 3.0, Fact::AttemptMoved { attempt: joined.attempt, into: None });
    }
    note(&store, 3.0, Fact::AttemptAnswered { attempt: joined.attempt });
    assert_eq!(one::<i64>(&store, "SELECT count(*) FROM recording"), 1, "it has its own");
    let (third, fourth) = (entry(&store, 3, 3.0), entry(&store, 4, 3.0));
    flag(&store, third, Urgency::Urgent, 3.0);
    flag(&store, fourth, Urgency::Urgent, 3.0);
    let (more, _) = cycle(&store, 3.1);
    let host = more[0].joins.unwrap();
    let told_of = more.iter().find(|call| call.entry == third).unwrap().attempt;
    let go_on = [host, told_of].map(CallId::from).into();
    wait(store.interrupted_calls(go_on, at(10.0))).unwrap();
    let results = |entry| {
        let view = wait(store.entry(entry)).unwrap().unwrap();
        view.escalations[0].attempts.iter().map(|attempt| attempt.result).collect::<Vec<_>>()
    };
    assert_eq!(results(third), [None], "it goes on");
    let cut = [Some(AttemptResult::Interrupted)];
    assert_eq!(results(fourth), cut, "the call goes on, and does not know of it");
    wait(store.interrupted_calls([].into(), at(11.0))).unwrap();
    for entry in [first, second, third, fourth] {
        assert_eq!(results(entry), [Some(AttemptResult::Interrupted)]);
    }
    let (again, _) = cycle(&store, 11.0);
    assert_eq!(again.len(), 4);
    assert_eq!(again.iter().filter(|call| call.joins.is_none()).count(), 1, "in one call");
    assert!(again.iter().all(|call| call.after_cut));
}

/// His call was over before the second matter came to it.
#[test]
fn esc_27_what_is_moved_leaves_a_call_that_is_over_and_has_its_time_anew() {
    let store = store();
    let (first, second) = (entry(&store, 1, 0.0), entry(&store, 2, 0.0));
    flag(&store, first, Urgency::Urgent, 2.0);
    flag(&store, second, Urgency::Urgent, 2.0);
    let (calls, _) = cycle(&store, 2.1);
    let joined = calls.iter().find(|call| call.joins.is_some()).unwrap();
    let host = calls.iter().find(|call| call.joins.is_none()).unwrap();
    note(&store, 3.0, Fact::AttemptDialled { attempt: joined.attempt });
    let recorded = one::<String>(&store, "SELECT call FROM recording");
    assert_eq!(recorded, host.attempt.to_string(), "the tape is that of the call");
    let call = |of: &LeaderCall, column: &str| {
        let query = format!("SELECT {column} FROM call WHERE id = '{}'", of.attempt);
        one::<String>(&store, &query)
    };
    end(&store, host, AttemptResult::AnsweredNoKey, 900.0);
    assert_ne!(call(host, "state"), "ended", "it may be told of there still");
    for _ in 0..2 {
        note(&store, 900.1, Fact::AttemptMoved { attempt: joined.attempt, into: None });
    }
    assert_eq!(
        (call(host, "state"), call(host, "why")),
        ("ended".into(), "answered_no_key".into())
    );
    assert_eq!(one::<String>(&store, "SELECT state FROM recording"), "finalizing");
    assert_ne!(call(joined, "state"), "ended");
    assert!(!cycle(&store, 1_000.0).1.contains(&joined.attempt), "it has just begun");
    assert!(cycle(&store, 1_081.0).1.contains(&joined.attempt));
    wait(store.verify_audit()).unwrap();
}
