//! Matters by the hundred, as a disaster in the whole region brings them: what a look costs, and what it keeps waiting.

use super::looking::TOGETHER;
use super::*;
use crate::duty::switchboard::MATTERS_MAX;
use crate::io::store::schema;
use crate::io::store::tests::{add_officer, random};
use crate::io::store::writer::Writer;
use std::collections::BTreeSet;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

/// More than one call has room for.
const MANY: u32 = 300;

/// So many, each flagged at once; and hundreds of instructions that SQLite carries out.
fn raised(count: u32) -> (Store, Arc<AtomicU64>) {
    let steps = Arc::new(AtomicU64::new(0));
    let counted = Arc::clone(&steps);
    let counts = move || counted.fetch_add(1, Ordering::Relaxed) == u64::MAX;
    let mut sql = schema::open_in_memory().unwrap();
    sql.progress_handler(100, Some(counts)).unwrap();
    let store = Store::of(Writer::inline(sql, random()).unwrap(), None, None);
    add_officer(&store);
    for n in 0..count {
        let call = CallId(uuid::Uuid::from_u128(u128::from(n) + 1_000_000));
        let arrival = crate::duty::journal::Arrival::from_number(call, "110", "");
        note(&store, 0.0, Fact::Arrived(Box::new(arrival)));
        flag(&store, call.into(), Urgency::Urgent, 0.0);
    }
    steps.store(0, Ordering::Relaxed);
    (store, steps)
}

/// Of the look in which they are called for, and of the next one.
fn costs(count: u32) -> [u64; 2] {
    let (store, steps) = raised(count);
    let mut people = roster();
    people.people[0].pin = Pin::new("4711");
    [1.0, 2.0].map(|seconds| {
        store.escalate(at(seconds), &ladders(), &people).unwrap();
        steps.swap(0, Ordering::Relaxed)
    })
}

#[test]
fn esc_31_a_look_at_four_times_as_many_matters_costs_four_times_as_much() {
    let (few, many) = (costs(200), costs(800));
    for (few, many) in few.into_iter().zip(many) {
        assert!(many < few * 5, "{few} and {many} hundred instructions");
    }
}

#[test]
fn esc_31_a_call_has_room_for_so_many_and_what_it_has_none_for_waits_for_a_place() {
    let (store, _) = raised(MANY);
    let (calls, _) = cycle(&store, 1.0);
    let host = calls[0].attempt;
    let joins: BTreeSet<_> = calls[1..].iter().map(|call| call.joins).collect();
    assert_eq!((calls.len(), joins), (1 + MATTERS_MAX, [Some(host)].into()));
    let waits = store.escalate(at(1.5), &ladders(), &roster()).unwrap();
    assert_eq!((waits.inputs, waits.known.len()), (vec![], MANY as usize));
    assert!(waits.until.is_some_and(|(at, _)| at <= self::at(4.5).mono), "he is asked for again");
    assert_eq!(acknowledge(&store, &calls[0], 20.0), AckOutcome::First);
    end(&store, &calls[0], AttemptResult::Acknowledged, 21.0);
    let (next, _) = cycle(&store, 21.0);
    let [next] = &next[..] else { panic!("one place, for one: {next:?}") };
    assert_eq!(next.joins, Some(host), "the call goes on");
}

#[test]
fn esc_31_the_first_are_called_before_the_last_are_looked_at_and_nothing_is_left_out() {
    let (store, _) = raised(MANY);
    let first = wait(store.next_calls(at(1.0), &ladders(), &roster())).unwrap();
    assert_eq!(first.inputs.len(), TOGETHER);
    assert!(matches!(&first.inputs[0], Input::Notify(call) if call.joins.is_none()));
    let of = |input: &Input| match input {
        Input::Notify(call) => call.entry,
        other => panic!("{other:?}"),
    };
    let mut told: BTreeSet<EntryId> = first.inputs.iter().map(of).collect();
    let rows = wait(store.open_escalations()).unwrap();
    let withdrawn = rows.iter().map(|row| row.entry).find(|entry| !told.contains(entry)).unwrap();
    wait(store.withdraw(&officer(), withdrawn, "误报", at(1.1))).unwrap();
    let (mut rest, mut looks) = (first.rest, 1);
    let mut known = first.known.len();
    while !rest.is_empty() {
        let bounds = Bounds { rest: Some(rest), ..Bounds::default() };
        let next = wait(store.next_calls_in(bounds, at(1.2), &ladders(), &roster())).unwrap();
        for entry in next.inputs.iter().map(of) {
            assert!(told.insert(entry), "called twice for one matter");
        }
        known += next.known.len();
        (rest, looks) = (next.rest, looks + 1);
    }
    assert!(!told.contains(&withdrawn), "nobody is called for what was withdrawn meanwhile");
    assert_eq!((told.len(), known), (1 + MATTERS_MAX, MANY as usize - 1));
    assert_eq!(looks, (MANY as usize).div_ceil(TOGETHER));
}
