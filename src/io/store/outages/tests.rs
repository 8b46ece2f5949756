//! Outages as rows, whatever was told twice or late.

use super::*;
use crate::duty::journal::Noted;
use crate::io::store::tests::{at, one, store};
use crate::io::store::wait;

/// As a fact tells them.
impl Store {
    pub async fn outage_began(&self, kind: OutageKind, why: &str, now: Now) -> Result<()> {
        let why = why.to_owned();
        self.outage_told(Fact::OutageBegan { kind, since: now.wall, why }, now).await
    }

    pub async fn outage_ended(&self, kind: OutageKind, now: Now) -> Result<()> {
        self.outage_told(Fact::OutageOver { kind }, now).await
    }

    pub async fn clock_stepped(
        &self,
        from: DateTime<Utc>,
        to: DateTime<Utc>,
        now: Now,
    ) -> Result<()> {
        self.outage_told(Fact::ClockStepped { from, to }, now).await
    }

    /// One that is over: from `since` to `now`.
    pub async fn outage_was(
        &self,
        kind: OutageKind,
        since: DateTime<Utc>,
        why: &str,
        now: Now,
    ) -> Result<()> {
        self.outage_began(kind, why, Now { wall: since, ..now }).await?;
        self.outage_ended(kind, now).await
    }

    /// A backup was put back, which lacks what happened since then.
    pub async fn was_restored(&self, since: DateTime<Utc>, now: Now) -> Result<()> {
        self.write(move |tx| unlogged(tx.sql, since, now)).await
    }

    async fn outage_told(&self, fact: Fact, now: Now) -> Result<()> {
        self.note(Noted { at: now, fact }).await.map(drop)
    }
}

const ALL: &str = "SELECT group_concat(kind || ' ' || from_ms || '-' ||
    coalesce(to_ms, ''), ', ') FROM (SELECT * FROM outage ORDER BY from_ms, id)";

/// Two runs without a log, told to the third one, which is killed before the log's answer is kept: to the fourth again.
#[test]
fn rel_12_what_runs_without_a_log_saw_is_told_in_order_and_twice_changes_nothing() {
    let store = store();
    let wall = |seconds: f64| at(seconds).wall;
    let away = |seconds| Fact::Away { since: wall(seconds), why: "no daemon was running".into() };
    let began = |kind, seconds| Fact::OutageBegan { kind, since: wall(seconds), why: "?".into() };
    let line = || Fact::LineDown { status: 408, why: "no answer".into(), since: None };
    let facts = [
        (10.0, away(5.0)),
        (11.0, began(OutageKind::Log, 10.5)),
        (12.0, began(OutageKind::Storage, 11.5)),
        (13.0, Fact::OutageOver { kind: OutageKind::Storage }),
        (14.0, began(OutageKind::Storage, 13.5)),
        (15.0, line()),
        (16.0, Fact::LineUp),
        (17.0, line()),
        (18.0, Fact::ClockStepped { from: wall(17.0), to: wall(18.0) }),
        (30.0, away(25.0)),
        (31.0, began(OutageKind::Log, 30.5)),
    ];
    let tell = |facts: &[(f64, Fact)]| {
        for (seconds, fact) in facts {
            store.apply(&Noted { at: at(*seconds), fact: fact.clone() }).unwrap();
        }
    };
    tell(&facts);
    let told = one::<String>(&store, ALL);
    let count = |kind: &str| told.matches(kind).count();
    let counts = ["service", "log", "storage", "line", "clock"].map(count);
    assert_eq!(counts, [2, 2, 2, 2, 1], "{told}");
    assert_eq!(told.matches("-,").count() + usize::from(told.ends_with('-')), 2, "{told}");
    tell(&facts);
    assert_eq!(one::<String>(&store, ALL), told);
    tell(&facts[3..]);
    assert_eq!(one::<String>(&store, ALL), told);
    let steps = "SELECT count(*) FROM audit WHERE action = 'clock.step'";
    assert_eq!(one::<i64>(&store, steps), 1);
    let left = "SELECT (to_ms - from_ms) / 500 FROM outage WHERE kind = 'storage'
        ORDER BY from_ms DESC";
    assert_eq!(one::<i64>(&store, left), 23, "over when that run was");
    assert!(wait(store.outages(5)).is_ok());
}

const DAY: f64 = 86_400.0;

fn error(store: &Store, seconds: f64) -> Option<u64> {
    let error = wait(store.read(move |sql| clock_error(sql, at(seconds).wall))).unwrap();
    error.map(|error| error.as_secs())
}

#[test]
fn rec_k4_an_error_is_not_less_than_what_the_clock_was_set_by_and_is_over_when_it_is_set_back() {
    let store = store();
    let wall = |seconds: f64| at(seconds).wall;
    let tell = |seconds, fact| drop(store.apply(&Noted { at: at(seconds), fact }).unwrap());
    let stepped = |from, to| Fact::ClockStepped { from: wall(from), to: wall(to) };
    let why = "no time server".to_owned();
    tell(0.0, Fact::OutageBegan { kind: OutageKind::Clock, since: wall(0.0), why });
    let ahead = 40.0 * DAY;
    tell(ahead + 100.0, stepped(100.0, ahead + 100.0));
    assert_eq!(error(&store, 50.0), Some(0));
    assert_eq!(error(&store, ahead + 110.0), Some(40 * 86_400));
    tell(200.0, stepped(ahead + 200.0, 200.0));
    assert_eq!(error(&store, 210.0), Some(0), "right again");
    assert_eq!(error(&store, ahead - 10.0), Some(345), "nobody corrects it by then");
    assert_eq!(error(&store, ahead + 110.0), Some(345), "it goes on");
    // A run ends and another begins, whose clock is right.
    let behind = 400.0 * DAY;
    tell(300.0 + behind, stepped(300.0, 300.0 + behind));
    tell(320.0, stepped(310.0 + behind, 320.0));
    tell(320.0, Fact::Away { since: wall(315.0), why: String::new() });
    assert_eq!(error(&store, 330.0), Some(10));
    tell(340.0, Fact::OutageOver { kind: OutageKind::Clock });
    assert_eq!(error(&store, 350.0), None);
}

#[test]
fn rec_k4_a_time_server_that_is_lost_with_the_step_leaves_the_error_of_the_step() {
    let store = store();
    let wall = |seconds: f64| at(seconds).wall;
    let tell = |seconds, fact| drop(store.apply(&Noted { at: at(seconds), fact }).unwrap());
    let began = |seconds| {
        let (kind, why) = (OutageKind::Clock, String::new());
        tell(seconds, Fact::OutageBegan { kind, since: wall(seconds), why });
    };
    tell(700.0, Fact::ClockStepped { from: wall(100.0), to: wall(700.0) });
    began(702.0);
    assert_eq!(error(&store, 703.0), Some(600));
    tell(710.0, Fact::OutageOver { kind: OutageKind::Clock });
    began(720.0);
    assert_eq!(error(&store, 721.0), Some(0), "a time server was heard since");
}
