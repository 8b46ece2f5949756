//! The file of the calls: what is read of it after a kill, and what is not.

use super::*;
use crate::duty::journal::{Fact, Noted};
use crate::io::durable::tests::{self as simulated, Did};
use crate::protocol::random::Random;
use std::collections::BTreeSet;

fn at(seconds: u64) -> Now {
    let wall: DateTime<Utc> = "2026-10-12T13:00:00Z".parse().unwrap();
    Now { mono: Mono(0) + Duration::from_secs(seconds), wall: wall + Duration::from_secs(seconds) }
}

fn fact(number: u64, seconds: u64) -> Changes {
    let noted = Noted { at: at(seconds), fact: Fact::LineUp };
    Changes {
        at: at(seconds),
        pieces: vec![(Key::Fact(number), Some(Piece::Fact(Box::new(noted))))],
    }
}

fn log(path: &Path) -> Log {
    Log {
        path: path.to_owned(),
        at: None,
        pieces: BTreeMap::new(),
        lives: 1,
        started: Mono(0),
        file: None,
        next: None,
        safe: Arc::default(),
        written: 0,
        base: 0,
        failing: false,
    }
}

/// A file as a killed run leaves it, after these changes.
fn written(path: &Path, changes: Vec<Changes>) -> Log {
    let mut log = log(path);
    for changes in changes {
        log.take(changes);
        log.safe.turn();
    }
    log
}

fn numbers(left: &Left) -> Vec<u64> {
    let number = |key: &Key| match key {
        Key::Fact(number) => *number,
        Key::Line | Key::Phones | Key::Leg(_) | Key::Call(_) | Key::Voice(_) => panic!("{key:?}"),
    };
    left.checkpoint.pieces.keys().map(number).collect()
}

#[test]
fn what_a_killed_run_wrote_is_read_again() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("calls");
    let gone = Changes { at: at(3), pieces: vec![(Key::Fact(0), None)] };
    written(&path, vec![fact(0, 1), fact(1, 2), gone]);
    let left = load(&path);
    assert_eq!(numbers(&left), [1]);
    assert_eq!(left.checkpoint.at, Some(at(3)));
    assert_eq!(left.down.unwrap().0, at(3).wall);
}

#[test]
fn a_torn_tail_is_ignored_wherever_it_is_torn() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("calls");
    written(&path, vec![fact(0, 1), fact(1, 2)]);
    let whole = fs::read(&path).unwrap();
    let mut seen = vec![];
    for length in HEADER..=whole.len() {
        let left = read(&whole[..length], boot_id()).unwrap();
        seen.push(left.checkpoint.pieces.len());
    }
    assert!(seen.is_sorted());
    assert_eq!((seen[0], seen[seen.len() - 2], seen[seen.len() - 1]), (0, 1, 2));
    for length in 0..HEADER {
        assert!(read(&whole[..length], boot_id()).is_err());
    }
    for at in 0..whole.len() {
        let mut spoiled = whole.clone();
        spoiled[at] ^= 0x40;
        if let Ok(left) = read(&spoiled, boot_id()) {
            assert!(left.checkpoint.pieces.len() < 2, "byte {at} does not count");
        }
    }
}

#[test]
fn another_format_leaves_nothing_and_another_boot_what_the_log_has_not_confirmed() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("calls");
    written(&path, vec![fact(0, 1)]);
    let whole = fs::read(&path).unwrap();
    let other = read(&whole, Uuid::from_u128(1)).unwrap();
    let piece = other.checkpoint.pieces.get(&Key::Fact(0)).unwrap();
    let Piece::Fact(noted) = piece else { panic!("{piece:?}") };
    assert_eq!((noted.at.mono, noted.at.wall), (Mono(0), at(1).wall), "of another boot");
    assert_eq!(other.down.unwrap().0, at(1).wall, "the outage is known all the same");
    let mut newer = whole;
    newer[8] += 1;
    let crc = crc32c::crc32c(&newer[..32]);
    newer[32..36].copy_from_slice(&crc.to_le_bytes());
    let refused = read(&newer, boot_id()).unwrap_err();
    assert_eq!(refused, "it is of another version of the daemon");
}

#[test]
fn the_file_stays_small_and_calls_that_kill_it_are_given_up() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("calls");
    let many = (0..20_000)
        .flat_map(|n| [fact(n, 1), Changes { at: at(1), pieces: vec![(Key::Fact(n), None)] }]);
    let log = written(&path, many.collect());
    assert!(log.written < 2 * GROWTH, "{}", log.written);
    for lives in 1..=2 * LIVES {
        let left = load(&path);
        assert_eq!((left.lives, left.checkpoint.at.is_some()), (lives, lives < 2 * LIVES));
        let (sender, keeper) = start(path.clone(), &Left { lives, ..load(&path) });
        drop(sender);
        drop(keeper.thread.join());
    }
}

#[test]
fn a_stop_leaves_no_calls_and_says_when() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("calls");
    let (mut sender, keeper) = start(path.clone(), &Left::default());
    sender.tell(|| fact(0, 1));
    drop(sender);
    keeper.stop(End::Stopped);
    let left = load(&path);
    assert_eq!(numbers(&left), [0], "what the log may not have");
    assert!(left.down.unwrap().1.starts_with("服务停止"));
    assert_eq!(left.lives, 0);
}

/// The log refused, and the host was restarted: what happened is told the log, and that it is over.
#[test]
fn esc_71_what_the_log_never_took_outlives_a_restart_of_the_host_and_its_calls_have_ended() {
    use crate::duty::ids::{AttemptId, CallId};
    use crate::duty::journal::{Arrival, AttemptResult, Disposition, Urgency};
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("calls");
    let mut random = crate::protocol::random::Random::from_seed([5; 32]);
    let call = CallId::new(at(1), &mut random);
    let attempt = AttemptId::new(at(1), &mut random);
    let facts = [
        Fact::Arrived(Box::new(Arrival::from_number(call, "13800000000", ""))),
        Fact::Flagged { entry: call.into(), urgency: Urgency::Urgent, phone: "2001".to_owned() },
        Fact::AttemptAnswered { attempt },
    ];
    let pieces = facts.into_iter().zip(3..).map(|(fact, number)| {
        (Key::Fact(number), Some(Piece::Fact(Box::new(Noted { at: at(2), fact }))))
    });
    written(&path, vec![Changes { at: at(4), pieces: pieces.collect() }]);
    let left = read(&fs::read(&path).unwrap(), Uuid::from_u128(1)).unwrap();
    assert_eq!(numbers(&left), [3, 4, 5, 6, 7, 8]);
    let fact = |number| match &left.checkpoint.pieces[&Key::Fact(number)] {
        Piece::Fact(noted) => (noted.at, noted.fact.clone()),
        other => panic!("{other:?}"),
    };
    assert!(matches!(fact(4).1, Fact::Flagged { .. }));
    let (when, ended) = fact(6);
    assert_eq!((when.mono, when.wall), (Mono(0), at(4).wall));
    let Fact::Ended { call: ended, disposition, .. } = ended else { panic!("{ended:?}") };
    let result = AttemptResult::Interrupted;
    let over = Fact::AttemptEnded { attempt, result, status: 0 };
    assert!([fact(7).1, fact(8).1].contains(&over), "beside that the call may be a leader's");
    assert_eq!((ended, disposition), (call, Disposition::Interrupted));
    assert!(left.checkpoint.calls().contains(&call), "the log is told of its end by this");
    assert!(left.checkpoint.to_leaders().is_empty() && left.checkpoint.taped().is_empty());
}

/// What the power leaves of the file after so much of this was done.
fn after_the_cut(done: &[Did], path: &Path, random: Option<&mut Random>) -> BTreeSet<u64> {
    let disk = simulated::after_the_cut(done, random);
    let Some(bytes) = disk.get(path) else { return BTreeSet::new() };
    let left = read(bytes, Uuid::from_u128(9)).unwrap_or_default();
    numbers(&left).into_iter().collect()
}

/// Facts come and are confirmed, files grow and are begun anew: what was synced and not confirmed is there, wherever the
/// power is cut.
#[test]
fn rel_13_a_power_cut_after_any_operation_loses_no_fact_that_was_safe() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("calls");
    let mut random = Random::from_seed([5; 32]);
    simulated::note();
    let mut log = log(&path);
    let (mut open, mut next) = (BTreeSet::new(), 0);
    // By mark: what is safe, and what the log has not confirmed.
    let mut marks: Vec<(BTreeSet<u64>, BTreeSet<u64>)> = vec![];
    let mut safe = BTreeSet::new();
    for second in 1..200 {
        if random.below(3) > 0 || open.is_empty() {
            log.take(fact(next, second));
            open.insert(next);
            next += 1;
        } else {
            let through: u64 = open.iter().copied().nth(open.len() / 2).expect("one");
            let gone: Vec<u64> = open.range(..=through).copied().collect();
            open = open.split_off(&(through + 1));
            let pieces = gone.into_iter().map(|number| (Key::Fact(number), None)).collect();
            log.take(Changes { at: at(second), pieces });
        }
        if random.below(9) == 0 {
            log.written = 10 * GROWTH;
        }
        if random.below(4) == 0 {
            let begun_anew = log.next.is_some();
            log.safe.turn();
            safe.clone_from(&open);
            assert!(!begun_anew || !log.path.with_extension("part").exists());
        }
        simulated::mark(marks.len() as u64);
        marks.push((safe.clone(), open.clone()));
    }
    let done = simulated::noted();
    let renamed = done.iter().filter(|did| matches!(did, Did::Rename(..))).count();
    assert!(renamed > 5, "{renamed}");
    for cut in 0..=done.len() {
        let mark = done[..cut].iter().rev().find_map(|did| match did {
            Did::Mark(mark) => Some(*mark as usize),
            _ => None,
        });
        let Some(mark) = mark else { continue };
        // What is confirmed by the next mark need not be there.
        let confirmed = marks.get(mark + 1).map_or(&marks[mark].1, |(_, open)| open);
        let wanted: BTreeSet<u64> = marks[mark].0.intersection(confirmed).copied().collect();
        for by_chance in [false, true] {
            let found = after_the_cut(&done[..cut], &path, by_chance.then_some(&mut random));
            assert!(found.is_superset(&wanted), "cut after {cut}: {found:?} of {wanted:?}");
        }
    }
    println!("{} cuts", 2 * (done.len() + 1));
}

/// While the thread that syncs waits for the disk, the writer meets a fault and begins another file of that name.
#[test]
fn rel_13_a_file_that_the_writer_has_given_up_takes_no_other_ones_place() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("calls");
    let part = path.with_extension("part");
    let before = b"what was written before";
    for gives_up in [true, false] {
        fs::write(&path, before).unwrap();
        let safe = Arc::new(Safe::default());
        let file = Durable::create(&part).unwrap();
        safe.place(&file, &part, &path).unwrap();
        let writer = Arc::clone(&safe);
        durable::watch(Some(Box::new(move |asked| {
            if gives_up && matches!(asked, durable::Asked::Sync(_)) {
                writer.forget();
            }
            Ok(true)
        })));
        safe.turn();
        durable::watch(None);
        assert_eq!(fs::read(&path).unwrap() == before, gives_up);
        let placed = if gives_up { Placed::NotYet } else { Placed::Yes };
        assert_eq!(safe.placed(), placed);
        let _ = fs::remove_file(&part);
    }
}

/// A log that confirms within the second costs no sync, one that does not costs one a second.
#[test]
fn rel_13_facts_are_synced_by_another_thread_and_only_those_that_the_log_lacks() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("calls");
    simulated::note();
    let mut log = log(&path);
    log.take(Changes { at: at(1), pieces: vec![] });
    let syncs = || simulated::noted().iter().filter(|did| matches!(did, Did::Sync(_))).count();
    for number in 0..50 {
        log.take(fact(number, 2));
        log.take(Changes { at: at(2), pieces: vec![(Key::Fact(number), None)] });
    }
    log.safe.turn();
    assert_eq!(syncs(), 0);
    simulated::note();
    (50..100).for_each(|number| log.take(fact(number, 3)));
    log.safe.turn();
    log.safe.turn();
    assert_eq!(syncs(), 1);
}

/// The disk does not come back from a sync, or refuses one: whoever writes the calls down goes on.
#[test]
fn rel_16_a_new_file_that_cannot_be_made_safe_leaves_the_old_one_in_its_place() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("calls");
    let mut log = log(&path);
    log.take(fact(0, 1));
    log.written = 10 * GROWTH;
    log.take(fact(1, 2));
    assert!(log.next.is_some());
    log.take(fact(2, 3));
    assert_eq!(numbers(&load(&path)), [0, 2], "the old file knows what came since");
    simulated::refuse(1, 2, libc::EIO);
    log.safe.turn();
    simulated::mend();
    log.take(fact(3, 4));
    assert_eq!(numbers(&load(&path)), [0, 1, 2, 3], "begun anew");
    log.take(fact(4, 5));
    assert_eq!(numbers(&load(&path)), [0, 1, 2, 3, 4]);
}
