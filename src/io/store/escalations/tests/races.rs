//! Two who act in one moment (esc_34 to esc_36), each in a thread of his own, on a log in a file: `DUTYLINE_RACES`
//! times, 40 unless given.

use super::*;
use crate::duty::ids::CallId;
use crate::duty::journal::Arrival;
use crate::io::store::tests::add_officer;
use crate::protocol::random::Random;
use std::sync::Barrier;
use std::thread;

/// Between two matters: nothing of the one before is waited for any more.
const APART: f64 = 3600.0;

fn rounds() -> u32 {
    std::env::var("DUTYLINE_RACES").ok().and_then(|many| many.parse().ok()).unwrap_or(40)
}

pub(super) fn in_a_file() -> (tempfile::TempDir, Store) {
    let folder = tempfile::tempdir().unwrap();
    let random = crate::io::store::tests::random();
    let store = Store::open(&folder.path().join("log.db"), random).unwrap();
    add_officer(&store);
    (folder, store)
}

/// Flagged at this second, and the leader is called.
fn flagged(store: &Store, random: &mut Random, seconds: f64) -> LeaderCall {
    let call = CallId::new(at(seconds), random);
    let arrival = Arrival::from_number(call, "13812345678", "");
    note(store, seconds, Fact::Arrived(Box::new(arrival)));
    flag(store, call.into(), Urgency::Urgent, seconds);
    let (calls, _) = cycle(store, seconds);
    let [call] = &calls[..] else { panic!("one call, to the leader: {calls:?}") };
    call.clone()
}

/// Both at once; in round `n` of them the one or the other so much later, `most` at the utmost.
fn race<A: Send, B: Send>(
    n: u32,
    most: Duration,
    one: impl FnOnce() -> A + Send,
    other: impl FnOnce() -> B + Send,
) -> (A, B) {
    let start = Barrier::new(2);
    let later = most * (n / 2 % 20) / 19;
    let (first, second) =
        if n.is_multiple_of(2) { (Duration::ZERO, later) } else { (later, Duration::ZERO) };
    let begin = |after: Duration| {
        start.wait();
        thread::sleep(after);
    };
    thread::scope(|scope| {
        let one = scope.spawn(|| {
            begin(first);
            one()
        });
        let other = scope.spawn(|| {
            begin(second);
            other()
        });
        (one.join().unwrap(), other.join().unwrap())
    })
}

/// Nothing is open, nobody is called any more.
fn is_settled(store: &Store, seconds: f64) {
    assert_eq!(cycle(store, seconds), (vec![], vec![]));
    assert_eq!(one::<i64>(store, "SELECT count(*) FROM escalation WHERE state = 'open'"), 0);
}

#[test]
fn esc_34_of_a_withdrawal_and_a_key_within_5_ms_exactly_one_wins_and_the_other_is_told() {
    let ((_folder, store), mut random) = (in_a_file(), Random::from_seed([34; 32]));
    let mut keys = 0;
    for n in 0..rounds() {
        let began = f64::from(n) * APART;
        let call = flagged(&store, &mut random, began);
        let (outcome, withdrawn) = race(
            n,
            Duration::from_millis(5),
            || acknowledge(&store, &call, began + 9.0),
            || wait(store.withdraw(&officer(), call.entry, "误报", at(began + 9.0))).unwrap(),
        );
        match (outcome, &withdrawn) {
            (AckOutcome::First, Withdrawn::Acknowledged(_)) => keys += 1,
            (AckOutcome::Withdrawn, Withdrawn::Withdrawn(_)) => {}
            both => panic!("round {n}: {both:?}"),
        }
        end(&store, &call, AttemptResult::Acknowledged, began + 10.0);
        is_settled(&store, began + 11.0);
    }
    let firsts = "SELECT count(*) FROM acknowledgement WHERE outcome = 'first'";
    assert_eq!(one::<i64>(&store, firsts), keys);
    let withdrawn = "SELECT count(*) FROM escalation WHERE state = 'withdrawn'";
    assert_eq!(one::<i64>(&store, withdrawn), i64::from(rounds()) - keys);
    assert!(0 < keys && keys < i64::from(rounds()), "each was first at times: {keys}");
}

#[test]
fn esc_35_of_a_key_and_an_acknowledgement_on_the_page_within_50_ms_one_is_first_and_one_late() {
    let ((_folder, store), mut random) = (in_a_file(), Random::from_seed([35; 32]));
    for n in 0..rounds() {
        let began = f64::from(n) * APART;
        let call = flagged(&store, &mut random, began);
        let who = officer();
        let page = || store.acknowledge_on_page(&who, call.entry, at(began + 9.0));
        let (key, page) = race(
            n,
            Duration::from_millis(50),
            || acknowledge(&store, &call, began + 9.0),
            || wait(page()).unwrap(),
        );
        let both = (key, page);
        let one_each = [
            (AckOutcome::First, Some(AckOutcome::Late)),
            (AckOutcome::Late, Some(AckOutcome::First)),
        ];
        assert!(one_each.contains(&both), "round {n}: {both:?}");
        end(&store, &call, AttemptResult::Acknowledged, began + 10.0);
        is_settled(&store, began + 11.0);
    }
    let all = i64::from(rounds());
    let kept = "SELECT (SELECT count(*) FROM acknowledgement) + (SELECT count(*) FROM told)";
    assert_eq!(one::<i64>(&store, kept), 2 * all, "both are in the log");
    let firsts = "SELECT (SELECT count(*) FROM acknowledgement WHERE outcome = 'first')
        + (SELECT count(*) FROM told WHERE outcome = 'first')";
    assert_eq!(one::<i64>(&store, firsts), all);
}

/// Attempts that were written after the key that stops them, by the order of the chain.
const AFTER_THE_KEY: &str = "
  WITH written AS (
    SELECT s.kind, i.key, min(i.seq) AS seq FROM item i JOIN shape s ON s.id = i.shape
    WHERE s.kind IN ('attempt', 'acknowledgement') GROUP BY s.kind, i.key)
  SELECT count(*) FILTER (WHERE made.seq > acked.seq) || ' of ' || count(*)
  FROM acknowledgement k
    JOIN attempt a ON a.escalation = k.escalation
    JOIN written acked ON acked.kind = 'acknowledgement' AND acked.key = json_array(k.attempt)
    JOIN written made ON made.kind = 'attempt' AND made.key = json_array(a.id)";

#[test]
fn esc_36_of_a_key_and_the_timer_of_the_next_step_at_one_instant_nobody_is_called_after_the_key() {
    let ((_folder, store), mut random) = (in_a_file(), Random::from_seed([36; 32]));
    let (mut called, mut attempts) = (0, 0);
    for n in 0..rounds() {
        let began = f64::from(n) * APART;
        let first = flagged(&store, &mut random, began);
        end(&store, &first, AttemptResult::NoAnswer, began + 35.0);
        let (again, _) = cycle(&store, began + 150.0);
        let [leader] = &again[..] else { panic!("the leader again: {again:?}") };
        let (outcome, (next, _)) = race(
            n,
            Duration::from_millis(2),
            || acknowledge(&store, leader, began + 180.0),
            || cycle(&store, began + 180.0),
        );
        assert_eq!(outcome, AckOutcome::First, "round {n}");
        let (_, stopped) = cycle(&store, began + 180.1);
        assert_eq!(stopped, next.iter().map(|call| call.attempt).collect::<Vec<_>>(), "round {n}");
        for call in &next {
            assert_eq!(call.target, "1002", "the substitute, due at this instant");
            end(&store, call, AttemptResult::Cancelled, began + 180.2);
        }
        end(&store, leader, AttemptResult::Acknowledged, began + 184.0);
        is_settled(&store, began + 185.0);
        called += next.len();
        attempts += 2 + next.len();
    }
    assert_eq!(one::<String>(&store, AFTER_THE_KEY), format!("0 of {attempts}"));
    assert!(0 < called && called < rounds() as usize, "each was first at times: {called}");
}
