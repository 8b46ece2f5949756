//! The file of the calls: what is read of it after a kill, and what is not.

use super::*;
use crate::duty::journal::{Fact, Noted};

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
        written: 0,
        base: 0,
        failing: false,
    }
}

/// A file as a killed run leaves it, after these changes.
fn written(path: &Path, changes: Vec<Changes>) -> Log {
    let mut log = log(path);
    changes.into_iter().for_each(|changes| log.take(changes));
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
