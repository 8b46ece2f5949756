//! Honest gaps: when the clock was moved or not to be trusted, and when nobody was there.

use crate::protocol::now::{Mono, Now};
use chrono::{DateTime, TimeDelta, Utc};
use serde::{Deserialize, Serialize};
use std::time::Duration;

/// A wall clock that moves against the monotonic one by more than this was set.
const STEP: TimeDelta = TimeDelta::seconds(2);
/// A clock that nobody corrected for so long is an alarm.
pub const LONG: Duration = Duration::from_secs(24 * 3600);
/// By so much a clock is not set without a reason that somebody has to look for.
const WRONG: TimeDelta = TimeDelta::minutes(1);
/// Whoever was away for so long may have slept, or have a wrong clock now.
const AGES: TimeDelta = TimeDelta::days(7);
/// How far a clock of its own may be out after some time: 100 millionths, twice what is usual.
const DRIFT: u32 = 10_000;

/// What was seen of the clock.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Noticed {
    /// Somebody set it: what it would have said, and what it said.
    Stepped {
        from: DateTime<Utc>,
        to: DateTime<Utc>,
    },
    /// No time server corrects it.
    Unsynchronised,
    Synchronised,
}

/// Compares both clocks, looked at every second or so.
#[derive(Debug, Default)]
pub struct ClockWatch {
    last: Option<Now>,
    alone_since: Option<Mono>,
    synchronised: Option<bool>,
    set: Option<Set>,
}

/// A clock that was set, and that nobody has corrected since.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Set {
    /// What it would have said, and what it said.
    pub from: DateTime<Utc>,
    pub to: DateTime<Utc>,
    /// When that was seen.
    seen: Now,
}

impl ClockWatch {
    /// It may have been set before anybody watched it.
    pub fn after(set: Option<(DateTime<Utc>, DateTime<Utc>)>, now: Now) -> Self {
        let mut watch = Self::default();
        if let Some((from, to)) = set {
            watch.is_set(from, to, now);
        }
        watch
    }

    fn is_set(&mut self, from: DateTime<Utc>, to: DateTime<Utc>, now: Now) {
        let before = self.set.map_or(TimeDelta::zero(), |set| set.to - set.from);
        let by = before + (to - from);
        self.set = (by.abs() >= WRONG).then_some(Set { from: to - by, to, seen: now });
    }

    /// By how much it was set lately, and not back, where no time server corrects it.
    pub fn set(&self, now: Now) -> Option<Set> {
        self.set.filter(|set| now.mono.since(set.seen.mono) < LONG)
    }

    /// `synchronised`: `None` where it is not known.
    pub fn look(&mut self, now: Now, synchronised: Option<bool>) -> Vec<Noticed> {
        let mut noticed = vec![];
        let base = *self.last.get_or_insert(now);
        if let Some((from, to)) = stepped(base, now) {
            noticed.push(Noticed::Stepped { from, to });
            self.last = Some(now);
            self.is_set(from, to, now);
        } else if synchronised == Some(true) {
            self.set = None;
        }
        if let Some(synchronised) = synchronised.filter(|now| self.synchronised != Some(*now)) {
            // Whatever an earlier run said is over, too.
            noticed.push(if synchronised {
                Noticed::Synchronised
            } else {
                Noticed::Unsynchronised
            });
            self.synchronised = Some(synchronised);
            self.alone_since = (!synchronised).then_some(now.mono);
        }
        noticed
    }

    /// How long nobody has corrected it, and by how much it may be out.
    pub fn alone(&self, now: Now) -> Option<(Duration, Duration)> {
        let alone = now.mono.since(self.alone_since?);
        Some((alone, error_after(alone)))
    }
}

/// By how much a clock may be out that nobody has corrected for so long.
pub fn error_after(alone: Duration) -> Duration {
    alone / DRIFT
}

/// What the wall clock should say by the monotonic one, and what it says, where that differs.
fn stepped(before: Now, now: Now) -> Option<(DateTime<Utc>, DateTime<Utc>)> {
    let expected = before.wall + TimeDelta::from_std(now.mono.since(before.mono)).ok()?;
    ((now.wall - expected).abs() > STEP).then_some((expected, now.wall))
}

/// The last sign of life of a run.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Life {
    pub at: Now,
    /// Which boot of the host its monotonic time is of.
    pub boot: [u8; 16],
}

/// When nobody was there, and whether the clock was set meanwhile.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Away {
    /// By the clock as it is now.
    pub since: DateTime<Utc>,
    pub stepped: Option<(DateTime<Utc>, DateTime<Utc>)>,
}

impl Away {
    /// What the clock should say and what it says, where that is hardly so without somebody's hand.
    pub fn jumped(&self, now: Now) -> Option<(DateTime<Utc>, DateTime<Utc>)> {
        let slept = (now.wall - self.since >= AGES).then_some((self.since, now.wall));
        self.stepped.or(slept)
    }
}

/// `told`: when the last run said that it ended or wrote something down for the last time.
pub fn away(
    told: Option<DateTime<Utc>>,
    life: Option<Life>,
    boot: [u8; 16],
    now: Now,
) -> Option<Away> {
    let Some(life) = life else {
        return told.map(|since| Away { since, stepped: None });
    };
    if life.boot != boot || boot == [0; 16] || life.at.mono > now.mono {
        let since = told.map_or(life.at.wall, |told| told.max(life.at.wall));
        // Time does not go back: by how much it was set nobody knows, that it was is known.
        let back = since - now.wall > STEP;
        let stepped = back.then_some((since, now.wall));
        return Some(Away { since: since.min(now.wall), stepped });
    }
    let stepped = stepped(life.at, now);
    let by_mono = now.back_to(life.at.mono).wall;
    // What was told is of the old clock where it was set since.
    let told = told.filter(|_| stepped.is_none());
    let since = told.map_or(by_mono, |told| told.max(by_mono)).min(now.wall);
    Some(Away { since, stepped })
}

/// What did not work.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum OutageKind {
    /// 注册丢失
    Line,
    /// Voice could not be carried or understood.
    Media,
    /// The log could not be written.
    Log,
    /// The tape could not be written.
    Recorder,
    /// 存储满或不可用
    Storage,
    /// 时钟被调整或未同步
    Clock,
    /// 服务重启
    Service,
}

impl OutageKind {
    /// Whether a caller may have found nobody and left no entry.
    pub fn is_blind(self) -> bool {
        match self {
            Self::Line | Self::Service => true,
            Self::Media | Self::Log | Self::Recorder | Self::Storage | Self::Clock => false,
        }
    }
}

/// One stretch of an outage, for a judgement.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Stretch {
    pub kind: OutageKind,
    /// The clock was set: what it would have said, and what it said.
    pub stepped: bool,
    /// The log lacks what happened then.
    pub unlogged: bool,
    pub from: DateTime<Utc>,
    /// None while it lasts.
    pub to: Option<DateTime<Utc>>,
}

/// What the log can say of a period.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Verdict {
    /// Nobody called: the line was served all the time.
    Quiet,
    /// There were calls, and the line was served all the time.
    Calls(u64),
    /// For so long nobody can say: the line was not served, the PBX was not heard since, the clock was
    /// set, or the log had not begun or the period is not over.
    Doubt { calls: u64, seconds: i64 },
}

/// A clock that was wrong said that it was over: set back into it, most of it is still to come.
fn was_taken_back(end: DateTime<Utc>, outage: &Stretch, all: &[Stretch]) -> bool {
    let into = |to: DateTime<Utc>| outage.from <= to && to <= end;
    all.iter().any(|step| step.stepped && end <= step.from && step.to.is_some_and(into))
}

/// Of a clock that was set, the times that were not there once: what it was set to and back from again, was.
fn twice_or_never(
    passes: &[(DateTime<Utc>, DateTime<Utc>, i32)],
) -> Vec<(DateTime<Utc>, DateTime<Utc>)> {
    let mut edges: Vec<_> =
        passes.iter().flat_map(|(from, to, by)| [(*from, *by), (*to, -*by)]).collect();
    edges.sort_unstable();
    let mut more = 0;
    let mut found = vec![];
    for (edge, next) in edges.iter().zip(edges.iter().skip(1)) {
        more += edge.1;
        if more != 0 {
            found.push((edge.0, next.0));
        }
    }
    found
}

/// `known`: from when the log can say anything; `proved`: until when the PBX was there for certain.
pub fn judge(
    (from, to): (DateTime<Utc>, DateTime<Utc>),
    calls: u64,
    outages: &[Stretch],
    known: Option<DateTime<Utc>>,
    proved: DateTime<Utc>,
) -> Verdict {
    let known = known.unwrap_or(proved);
    let mut blind = vec![(proved, to)];
    // How often more than once a time was there.
    let mut passes = vec![(from.min(known), known, -1)];
    for outage in outages {
        let end = outage.to.unwrap_or(to);
        let (first, last) = (outage.from.min(end), outage.from.max(end));
        if outage.stepped {
            passes.push((first, last, if end < outage.from { 1 } else { -1 }));
        } else if outage.kind == OutageKind::Service && was_taken_back(end, outage, outages) {
            passes.push((first, last, -1));
        } else if outage.kind.is_blind() || outage.unlogged {
            blind.push((first, last));
        }
    }
    blind.extend(twice_or_never(&passes));
    let mut blind: Vec<_> =
        blind.into_iter().map(|(a, b)| (a.max(from), b.min(to))).filter(|(a, b)| a < b).collect();
    blind.sort_unstable();
    let (mut total, mut reached) = (TimeDelta::zero(), from);
    for (a, b) in blind {
        let a = a.max(reached);
        if b > a {
            total += b - a;
            reached = b;
        }
    }
    match (calls, total.num_seconds()) {
        (0, 0) if total.is_zero() => Verdict::Quiet,
        (calls, 0) if total.is_zero() => Verdict::Calls(calls),
        (calls, seconds) => Verdict::Doubt { calls, seconds: seconds.max(1) },
    }
}

#[cfg(test)]
mod tests;
