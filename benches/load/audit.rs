//! The audit of the heartbeat and the escalator's look in a log with many open matters and many more closed ones (esc_85).

use crate::crowd::spread;
use dutyline::duty::escalation::Policy;
use dutyline::duty::roster::{Person, Role, Roster};
use dutyline::io::clock;
use dutyline::io::store::{Store, wait};
use rusqlite::{Connection, params};
use std::path::Path;
use std::time::{Duration, Instant};
use uuid::Uuid;

const TIMES: usize = 20;
/// The escalator's, in which everything open is decided on.
const CYCLES: usize = 3;

/// # Panics
/// Where the disk has no room for two gigabytes.
pub fn run(open: u64, closed: u64) {
    let folder = tempfile::tempdir().expect("a folder");
    let path = folder.path().join("dutyline.db");
    let store = Store::open(&path, clock::random()).expect("a log");
    let began = Instant::now();
    fill(&path, open, closed);
    println!("audit: {open} open, {closed} closed, written in {:.0?}", began.elapsed());
    let leader = Person::new("leader", Role::Leader, Some("3001"), Some("3002"));
    let (roster, policy) = (Roster { people: vec![leader] }, Policy::default());
    let mut due = 0;
    let looked = taken(TIMES, || {
        due = wait(store.overdue(clock::now(), &policy, &roster)).expect("looked").len();
    });
    println!("audit: {} ({due} due)", spread(&looked));
    let sight = taken(TIMES, || drop(wait(store.open_escalations()).expect("read")));
    println!("audit: what is open, for the page: {}", spread(&sight));
    let mut calls = 0;
    let cycles = taken(CYCLES, || {
        let cycle = store.escalate(clock::now(), &policy, &roster).expect("decided");
        calls += cycle.inputs.len();
    });
    println!("audit: one look of the escalator: {} ({calls} orders)", spread(&cycles));
}

fn taken(times: usize, mut work: impl FnMut()) -> Vec<Duration> {
    let mut once = || {
        let began = Instant::now();
        work();
        began.elapsed()
    };
    (0..times).map(|_| once()).collect()
}

/// Each with its call to the leader, which nobody answered, or in which he pressed the key.
fn fill(path: &Path, open: u64, closed: u64) {
    let mut log = Connection::open(path).expect("opened");
    let change = log.transaction().expect("begun");
    {
        let prepare = |text: &str| change.prepare(text).expect("prepared");
        let mut entry = prepare(
            "INSERT INTO entry (id, number, source, occurred_ms, recorded_ms, urgency)
             VALUES (?1, ?2, 'call_in', ?3, ?3, 'urgent')",
        );
        let mut escalation = prepare(
            "INSERT INTO escalation (id, entry, urgency, state, raised_by, raised_ms, round_ms,
               leader_reached_ms, read_ms, closed_ms, acked_ms, acked_by, led_by)
             VALUES (?1, ?1, 'urgent', ?2, 'bench', ?3, ?3, ?4, ?4, ?4, ?4, ?5, 'leader')",
        );
        let mut call = prepare(
            "INSERT INTO call (id, number, entry, direction, state, caller, caller_plain, arrived_ms,
               arrived_mono, disposition) VALUES (?1, ?2, ?1, 'to_leader', 'ended', '', '', ?3, 0, 'answered')",
        );
        let mut attempt = prepare(
            "INSERT INTO attempt (id, escalation, seq, round, tier, call_of_tier, role, person, target, why,
               started_ms, ended_ms, status, result)
             VALUES (?1, ?1, 1, 0, 0, 0, 'leader', 'leader', '3001', '', ?2, ?2 + 2000, 487, ?3)",
        );
        let begun = clock::now().wall.timestamp_millis();
        for n in 0..open + closed {
            let id = Uuid::from_u128((u128::from(n) << 64) | 0x7bad).to_string();
            // What is open was flagged three seconds ago: whom it calls is not due again yet.
            let is_open = n >= closed;
            let at = match is_open {
                true => clock::now().wall.timestamp_millis() - 3_000,
                false => begun - (closed - n) as i64 * 30_000 - 60_000,
            };
            let (number, state) =
                (format!("{n:09}"), if is_open { "open" } else { "acknowledged" });
            let acked = (!is_open).then_some(at + 2_000);
            entry.execute(params![id, format!("记-{number}"), at]).expect("written");
            escalation
                .execute(params![id, state, at, acked, acked.map(|_| "leader")])
                .expect("written");
            call.execute(params![id, format!("电-{number}"), at]).expect("written");
            let result = if is_open { "no_answer" } else { "acknowledged" };
            attempt.execute(params![id, at, result]).expect("written");
        }
    }
    change.commit().expect("kept");
}
