//! A fault of the program in any thread of the recorder, with several calls up.

use super::super::faults::Faults;
use super::disk::{Evening, call, is_whole, sealed};
use super::*;
use crate::io::durable::{self, Asked};
use std::cell::Cell;
use std::rc::Rc;

const CALLS: usize = 4;

#[test]
fn rel_29_a_thread_that_is_gone_is_told() {
    let mut room = Room::new();
    let faults = Faults::new(room.told.clone());
    named("recorder", faults, || panic!("as a test wants it")).join().unwrap();
    let Event::Failed { call: None, why } = room.event() else { panic!("not told") };
    assert!(why.contains("recorder thread") && why.contains("restart"), "{why}");
}

/// Whoever says this makes the spill panic, once.
const FATAL: &[u8] = b"the spill is to panic";

/// What it had in hand is of all calls.
#[test]
fn rel_29_a_panic_of_the_spill_thread_costs_no_recording_and_is_told_and_mended() {
    let mut room = Room::new();
    let (mut head, feed) = ring(4);
    let faults = Faults::new(room.told.clone());
    let (mut spill, writer, recorder) = parts(room.plan(), feed, faults.clone());
    let mut has_panicked = false;
    spill.watch = Box::new(move |frames| {
        let fatal = frames.windows(FATAL.len()).any(|window| window == FATAL);
        assert!(!fatal || std::mem::replace(&mut has_panicked, true), "as a test wants it");
    });
    let tape = running((spill, writer, recorder), &faults);
    let calls = [call(0), call(1)];
    let mut voices = calls.map(|_| Voice::new(Party::Caller, clock::mono()));
    for n in 0..100 {
        for (voice, call) in voices.iter_mut().zip(calls) {
            let (frame, mut bytes) = voice.frame(1000);
            if n == 50 && call == calls[0] {
                bytes[12..12 + FATAL.len()].copy_from_slice(FATAL);
            }
            push(&mut head, &Head { call, ..frame }, &bytes);
        }
        if n == 50 {
            let Event::Failed { call: None, why } = room.event() else { panic!("not told") };
            assert!(why.contains("spill") && why.contains("report it"), "{why}");
        }
    }
    assert_eq!(room.event(), Event::Recovered);
    for call in calls {
        push(&mut head, &Head::finished(call, clock::mono()), &[]);
    }
    drop(head);
    tape.stop();
    for _ in calls {
        assert_eq!(room.sealed().packets, [(Party::Caller, 100)]);
    }
}

/// An evening on which whatever is asked of the disk and answers to this panics.
fn evening(
    room: &mut Room,
    calls: usize,
    panics: impl Fn(&Asked<'_>) -> bool + 'static,
) -> Vec<Event> {
    let mut evening = Evening::begin(room, CALLS);
    durable::watch(Some(Box::new(move |asked| {
        assert!(!panics(&asked), "as a test wants it");
        Ok(false)
    })));
    while evening.turn() {}
    let mut events = vec![];
    evening.settle(room, calls, &mut events);
    durable::watch(None);
    evening.settle(room, CALLS, &mut events);
    events
}

fn contains(bytes: &[u8], call: Uuid) -> bool {
    bytes.windows(16).any(|window| window == call.as_bytes())
}

#[test]
fn rel_29_a_panic_of_tape_or_recorder_at_any_operation_costs_no_recording_and_is_told() {
    let mut tried = 0;
    for at in (1..).step_by(7) {
        let mut room = Room::new();
        let count = Rc::new(Cell::new(0));
        let counting = Rc::clone(&count);
        let panics = move |_: &Asked<'_>| counting.replace(counting.get() + 1) == at;
        let events = evening(&mut room, CALLS, panics);
        if count.get() <= at {
            break;
        }
        tried += 1;
        let what = format!("a panic at operation {at}");
        let refused = events.iter().rposition(|event| matches!(event, Event::Failed { .. }));
        let mended = events.iter().rposition(|event| *event == Event::Recovered);
        assert!(refused.is_some() && refused < mended, "{what}: {events:?}");
        let sealed = sealed(&events);
        assert_eq!(sealed.len(), CALLS, "{what}: {events:?}");
        sealed.values().for_each(|sealed| is_whole(&room, sealed, &what));
    }
    assert!(tried > 10, "{tried}");
}

#[test]
fn rel_29_a_call_that_cannot_be_written_without_a_panic_costs_no_other_its_recording() {
    let mut room = Room::new();
    let bad =
        |asked: &Asked<'_>| matches!(asked, Asked::Write(_, bytes) if contains(bytes, call(1)));
    let events = evening(&mut room, CALLS - 1, bad);
    let why = |event: &&Event| matches!(event, Event::Failed { call: None, why } if why.contains("panicked"));
    assert!(events.iter().any(|event| why(&event)), "{events:?}");
    let sealed = sealed(&events);
    for n in [0, 2, 3] {
        is_whole(&room, &sealed[&call(n)], &format!("call {n}"));
    }
}

#[test]
fn rel_29_a_call_that_cannot_be_rendered_without_a_panic_is_told_and_tried_again() {
    let mut room = Room::new();
    let named = |path: &Path| path.to_string_lossy().contains(&format!("{}.wav", call(1)));
    let events = evening(&mut room, CALLS - 1, move |asked| named(asked.path()));
    let about = |event: &Event| matches!(event, Event::Failed { call: Some(about), .. } if *about == call(1));
    let failed = events.iter().position(about).expect("told");
    let (before, after) = (sealed(&events[..failed]), sealed(&events));
    assert!(!before.contains_key(&call(1)));
    assert_eq!(after.len(), CALLS, "{events:?}");
    after.values().for_each(|sealed| is_whole(&room, sealed, "afterwards"));
}
