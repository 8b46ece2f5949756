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
