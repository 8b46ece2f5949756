//! The engine under repetition, disorder, crashes and a torn disk.

use super::*;
use crate::duty::ids::CallId;
use crate::duty::switchboard::Unwanted;
use crate::io::store::tests::add_officer;
use crate::protocol::random::Random;
use std::collections::{BTreeMap, BTreeSet};

fn state(store: &Store, attempt: AttemptId) -> (Option<String>, bool) {
    wait(store.read(move |sql| {
        Ok(sql.query_row(
            "SELECT result, ringing_ms IS NOT NULL FROM attempt WHERE id = ?1",
            [Id(attempt)],
            |row| Ok((row.get(0)?, row.get(1)?)),
        )?)
    }))
    .unwrap()
}

#[test]
fn esc_40_what_is_told_five_times_and_out_of_order_has_one_effect() {
    let mut random = Random::from_seed([40; 32]);
    for _ in 0..50 {
        let store = store();
        let entry = entry(&store, 1, 0.0);
        flag(&store, entry, Urgency::Urgent, 0.0);
        let attempt = cycle(&store, 0.0).0[0].attempt;
        let result = AttemptResult::Acknowledged;
        let facts = [
            Fact::AttemptRinging { attempt },
            Fact::AttemptAnswered { attempt },
            Fact::Acknowledged { attempt, entry },
            Fact::AttemptEnded { attempt, result, status: 200 },
        ];
        let mut told: Vec<Fact> = facts.iter().cycle().take(20).cloned().collect();
        for place in (1..told.len()).rev() {
            told.swap(place, random.below(place as u64 + 1) as usize);
        }
        let mut known = false;
        for fact in told {
            note(&store, 10.0, fact);
            let seen = wait(store.entry(entry)).unwrap().unwrap();
            let now = seen.escalations[0].row.acknowledged.is_some();
            assert!(now || !known, "it goes back");
            known = now;
        }
        assert_eq!(state(&store, attempt), (Some("acknowledged".to_owned()), true));
        assert_eq!(one::<i64>(&store, "SELECT count(*) FROM acknowledgement"), 1);
        let acks = "SELECT count(*) FROM audit WHERE action = 'escalation.acknowledge'";
        assert_eq!(one::<i64>(&store, acks), 1);
    }
}

/// Orders to the switchboard are told in the order in which they were committed.
#[test]
fn esc_41_in_random_schedules_no_call_is_stopped_before_it_was_ordered() {
    random_schedules(500);
}

/// As the specification has it; `tests/all --long soak`.
#[test]
#[ignore = "takes a minute"]
fn esc_41_of_ten_thousand_random_schedules_no_call_is_stopped_before_it_was_ordered() {
    random_schedules(10_000);
}

fn random_schedules(count: usize) {
    let mut random = Random::from_seed([41; 32]);
    let (mut schedules, mut stops) = (0, 0);
    while schedules < count {
        let store = store();
        let mut ordered = BTreeSet::new();
        let mut now = 0.0;
        for n in 0..25_u8 {
            let entry = entry(&store, n + 1, now);
            flag(&store, entry, Urgency::Critical, now);
            for _ in 0..random.below(3) {
                now += random.below(200) as f64;
                stops += look(&store, now, &mut ordered);
            }
            let _ = wait(store.withdraw(&officer(), entry, "误报", at(now)));
            stops += look(&store, now, &mut ordered);
            schedules += 1;
        }
    }
    assert!(stops > count / 10, "{stops} calls were stopped");
}

fn look(store: &Store, now: f64, ordered: &mut BTreeSet<AttemptId>) -> usize {
    let mut stops = 0;
    let cycle = store.escalate(at(now), &ladders(), &roster()).unwrap();
    for input in cycle.inputs {
        match input {
            Input::Notify(call) => assert!(ordered.insert(call.attempt), "ordered twice"),
            Input::StopNotifying { attempt, why } => {
                assert!(ordered.contains(&attempt), "stopped before it was ordered");
                stops += usize::from(why == Unwanted::Withdrawn);
                if why == Unwanted::Withdrawn {
                    let result = AttemptResult::Cancelled;
                    note(store, now, Fact::AttemptEnded { attempt, result, status: 487 });
                }
            }
            other => panic!("{other:?}"),
        }
    }
    stops
}

/// Killed after the claim, while it rings, after the answer, after the key: nothing is lost, nothing that was heard is
/// called failed, one call more at most.
#[test]
fn esc_43_of_six_hundred_matters_with_sixty_kills_none_is_lost() {
    let mut random = Random::from_seed([43; 32]);
    let store = store();
    let mut kills = 0;
    let mut now = 0.0;
    for n in 1..=600_u16 {
        now += 60.0;
        let call = CallId(uuid::Uuid::from_u128(u128::from(n) + 10_000));
        let arrival = crate::duty::journal::Arrival::from_number(call, "110", "");
        note(&store, now, Fact::Arrived(Box::new(arrival)));
        let entry = EntryId::from(call);
        flag(&store, entry, Urgency::Urgent, now);
        let mut known = false;
        let mut told = 0;
        for _ in 0..40 {
            let (calls, _) = cycle(&store, now);
            for call in calls.into_iter().filter(|call| call.entry == entry) {
                told += 1;
                let killed = kills < 60 && random.below(10) == 0;
                let point = random.below(4);
                if killed && point == 0 {
                    break;
                }
                note(&store, now + 1.0, Fact::AttemptRinging { attempt: call.attempt });
                if killed && point == 1 {
                    break;
                }
                if random.below(10) == 0 {
                    end(&store, &call, AttemptResult::ChannelFailed, now + 2.0);
                    continue;
                }
                note(&store, now + 2.0, Fact::AttemptAnswered { attempt: call.attempt });
                if killed && point == 2 {
                    break;
                }
                known |= acknowledge(&store, &call, now + 3.0) == AckOutcome::First;
                if killed {
                    break;
                }
                end(&store, &call, AttemptResult::Acknowledged, now + 4.0);
            }
            if one::<i64>(&store, "SELECT count(*) FROM attempt WHERE ended_ms IS NULL") > 0 {
                kills += 1;
                wait(store.interrupted_calls(BTreeSet::new(), at(now + 5.0))).unwrap();
            }
            now += 10.0;
            if known {
                break;
            }
        }
        assert!(known, "matter {n} was lost");
        assert!(told <= 12, "{told} calls");
    }
    assert!(kills >= 40, "{kills} kills");
    let wrong = "SELECT count(*) FROM acknowledgement k JOIN attempt a ON a.id = k.attempt
        WHERE a.result IN ('no_answer', 'channel_failed', 'busy')";
    assert_eq!(one::<i64>(&store, wrong), 0);
    wait(store.verify_audit()).unwrap();
}

/// The write-ahead log is cut at every page boundary of its end: the log opens, and what it has is whole.
#[test]
fn esc_47_a_power_cut_leaves_a_log_that_opens_and_is_of_one_piece() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("log.db");
    let store = Store::open(&path, Random::from_seed([47; 32])).unwrap();
    add_officer(&store);
    let entry = entry(&store, 1, 0.0);
    let copy = |name: &str| {
        for end in ["", "-wal"] {
            let from = folder.path().join(format!("log.db{end}"));
            std::fs::copy(from, folder.path().join(format!("{name}.db{end}"))).unwrap();
        }
    };
    flag(&store, entry, Urgency::Urgent, 1.0);
    let (calls, _) = cycle(&store, 1.0);
    acknowledge(&store, &calls[0], 5.0);
    copy("spoken");
    for n in 0..40_u8 {
        note(
            &store,
            6.0,
            Fact::AttemptKey { attempt: calls[0].attempt, key: char::from(b'0' + n % 10) },
        );
    }
    copy("cut");
    let spoken = std::fs::metadata(folder.path().join("spoken.db-wal")).unwrap().len();
    let wal = std::fs::read(folder.path().join("cut.db-wal")).unwrap();
    assert!(wal.len() as u64 > spoken, "more was written since");
    let mut acknowledged = BTreeMap::new();
    for pages in 0..=64_usize {
        let Some(length) = wal.len().checked_sub(pages * 4096) else { break };
        let place = folder.path().join(format!("torn{pages}.db"));
        std::fs::copy(folder.path().join("cut.db"), &place).unwrap();
        let torn = folder.path().join(format!("torn{pages}.db-wal"));
        std::fs::write(torn, &wal[..length]).unwrap();
        let store = Store::open(&place, Random::from_seed([1; 32])).unwrap();
        wait(store.verify_audit()).unwrap();
        let whole = "SELECT count(*) FROM escalation e WHERE (e.state = 'acknowledged') <>
            EXISTS (SELECT 1 FROM acknowledgement k WHERE k.escalation = e.id)";
        assert_eq!(one::<i64>(&store, whole), 0, "half an acknowledgement, cut by {pages} pages");
        let known: i64 = one(&store, "SELECT count(*) FROM acknowledgement");
        if length as u64 >= spoken {
            assert_eq!(known, 1, "spoken aloud and gone, cut by {pages} pages");
        }
        acknowledged.insert(pages, known);
    }
    assert!(acknowledged.len() > 20, "{acknowledged:?}");
}

/// Three days, a hundred matters, and every fate a call may have.
#[test]
fn esc_88_a_soak_of_three_days_keeps_every_promise() {
    soak(100);
}

/// As the specification has it; `tests/all --long soak`.
#[test]
#[ignore = "takes minutes"]
fn esc_88_a_soak_of_ten_thousand_escalations() {
    soak(10_000);
}

/// What goes on in the soak.
#[derive(Default)]
struct Soak {
    in_flight: BTreeMap<AttemptId, InFlight>,
    open: BTreeSet<EntryId>,
    ended: BTreeSet<EntryId>,
}

struct InFlight {
    told: LeaderCall,
    /// The call that it is told in: its own, or one that began before.
    call: AttemptId,
    ends: f64,
}

impl Soak {
    fn order(&mut self, input: Input, takes: f64, now: f64) {
        match input {
            Input::Notify(call) => {
                assert!(!self.ended.contains(&call.entry), "a send after the end");
                let with_him =
                    || self.in_flight.values().filter(|one| one.told.person == call.person);
                let ends = with_him().map(|one| one.ends).fold(f64::NEG_INFINITY, f64::max);
                let (begins, attempt) = (call.joins.is_none(), call.attempt);
                let in_call = call.joins.unwrap_or(attempt);
                assert!(
                    with_him().all(|one| one.call == in_call),
                    "{} is called twice",
                    call.person
                );
                assert_eq!(begins, with_him().count() == 0, "{} is in no such call", call.person);
                let ends = if begins { now + takes } else { ends };
                self.in_flight.insert(attempt, InFlight { told: call, call: in_call, ends });
            }
            Input::StopNotifying { attempt, .. } => {
                if let Some(one) = self.in_flight.get_mut(&attempt) {
                    one.ends = now;
                }
            }
            other => panic!("{other:?}"),
        }
    }

    /// Goes on from `now` to the next thing that happens, at the latest to `limit`.
    fn step(&mut self, store: &Store, random: &mut Random, now: f64, limit: f64) -> f64 {
        let cycle = store.escalate(at(now), &Policy::default(), &roster()).unwrap();
        for input in cycle.inputs {
            self.order(input, 5.0 + random.below(60) as f64, now);
        }
        let waits = one::<i64>(store, "SELECT count(*) FROM escalation WHERE state = 'open'");
        let moves = cycle.until.is_some() || !self.in_flight.is_empty();
        assert!(waits == 0 || moves, "it stands still");
        let due =
            cycle.until.map_or(limit, |(until, _)| now + until.since(at(now).mono).as_secs_f64());
        let ends = self.in_flight.values().map(|one| one.ends);
        let next = ends.fold(due.min(limit), f64::min).max(now + 0.01);
        let mut over = BTreeMap::<AttemptId, Vec<LeaderCall>>::new();
        for (_, one) in self.in_flight.extract_if(.., |_, one| one.ends <= next) {
            over.entry(one.call).or_default().push(one.told);
        }
        for told in over.values() {
            finish(store, random, told, next);
        }
        if random.below(400) == 0 {
            wait(store.interrupted_calls(BTreeSet::new(), at(next))).unwrap();
            self.in_flight.clear();
        }
        next
    }

    fn look(&mut self, store: &Store) {
        for entry in self.open.clone() {
            let seen = wait(store.entry(entry)).unwrap().unwrap();
            if seen.escalations.iter().all(|one| one.row.closed.is_some()) {
                self.open.remove(&entry);
                self.ended.insert(entry);
            }
        }
    }
}

fn soak(matters: u32) {
    let mut random = Random::from_seed([88; 32]);
    let (store, mut soak) = (store(), Soak::default());
    let step = 72.0 * 3600.0 / f64::from(matters);
    for n in 0..matters {
        let mut now = step * f64::from(n);
        let limit = now + step;
        let call = CallId(uuid::Uuid::from_u128(u128::from(n) + 100_000));
        let arrival = crate::duty::journal::Arrival::from_number(call, "110", "");
        note(&store, now, Fact::Arrived(Box::new(arrival)));
        let entry = EntryId::from(call);
        let urgency = [Urgency::Urgent, Urgency::Critical][random.below(2) as usize];
        flag(&store, entry, urgency, now);
        soak.open.insert(entry);
        while now < limit {
            now = soak.step(&store, &mut random, now, limit);
        }
        soak.look(&store);
    }
    let authors = "SELECT count(*) FROM (SELECT escalation FROM acknowledgement
        WHERE outcome = 'first' GROUP BY escalation HAVING count(*) > 1)";
    assert_eq!(one::<i64>(&store, authors), 0, "every acknowledgement has one author");
    let silent = "SELECT count(*) FROM attempt WHERE why = ''";
    assert_eq!(one::<i64>(&store, silent), 0, "nobody is called without a reason");
    wait(store.verify_audit()).unwrap();
    println!("{} of {matters} matters were brought to their end", soak.ended.len());
    assert!(soak.ended.len() as u32 > matters * 8 / 10);
}

/// What was told in one call ends with it.
fn finish(store: &Store, random: &mut Random, told: &[LeaderCall], now: f64) {
    let (rings, fate) = (random.below(3) > 0, random.below(10));
    for call in told {
        let (attempt, entry) = (call.attempt, call.entry);
        if rings {
            note(store, now, Fact::AttemptRinging { attempt });
        }
        let result = match fate {
            0 => AttemptResult::Busy,
            1 => AttemptResult::Declined,
            2 => AttemptResult::ChannelFailed,
            3 => AttemptResult::AnsweredNoKey,
            4 | 5 => AttemptResult::NoAnswer,
            6 => {
                note(store, now, Fact::HandedOn { attempt, entry });
                AttemptResult::HandedOn
            }
            _ => {
                note(store, now, Fact::AttemptAnswered { attempt });
                note(store, now, Fact::Acknowledged { attempt, entry });
                let lasts = std::time::Duration::from_secs(random.below(40));
                note(store, now, Fact::AttemptHeard { attempt, lasts });
                if random.below(4) == 0 {
                    note(store, now, Fact::Dictated { attempt, entry, since: at(now - 3.0) });
                    assert!(wait(store.confirm_instructions(&officer(), entry, at(now))).unwrap());
                }
                AttemptResult::Acknowledged
            }
        };
        end(store, call, result, now);
    }
}
