//! One moment on both clocks, read once per event by `io::clock` and passed down.

use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};
use std::ops::{Add, Sub};
use std::time::Duration;

/// A moment on the host's monotonic clock: nanoseconds since boot, suspend included
/// (`CLOCK_BOOTTIME`). Survives a restart of the daemon, not of the host.
#[derive(
    Debug, Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize,
)]
pub struct Mono(pub u64);

/// When something falls due, and why.
pub type Deadline = (Mono, &'static str);

/// The same moment on the monotonic and on the wall clock.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Now {
    pub mono: Mono,
    pub wall: DateTime<Utc>,
}

impl Mono {
    /// Time passed since `earlier`; zero when `earlier` is later.
    pub fn since(self, earlier: Mono) -> Duration {
        Duration::from_nanos(self.0.saturating_sub(earlier.0))
    }
}

impl Now {
    /// A moment that has passed, on both clocks.
    pub fn back_to(self, earlier: Mono) -> Self {
        Self { mono: earlier.min(self.mono), wall: self.wall - self.mono.since(earlier) }
    }
}

impl Add<Duration> for Mono {
    type Output = Mono;
    fn add(self, wait: Duration) -> Mono {
        let nanos = u64::try_from(wait.as_nanos()).unwrap_or(u64::MAX);
        Mono(self.0.saturating_add(nanos))
    }
}

impl Sub<Duration> for Mono {
    type Output = Mono;
    fn sub(self, wait: Duration) -> Mono {
        let nanos = u64::try_from(wait.as_nanos()).unwrap_or(u64::MAX);
        Mono(self.0.saturating_sub(nanos))
    }
}

impl Add<Duration> for Now {
    type Output = Now;
    fn add(self, wait: Duration) -> Now {
        Now { mono: self.mono + wait, wall: self.wall + wait }
    }
}

/// The earlier of two deadlines.
pub fn earlier(a: Option<Deadline>, b: Option<Deadline>) -> Option<Deadline> {
    match (a, b) {
        (Some(a), Some(b)) => Some(if b.0 < a.0 { b } else { a }),
        (a, None) => a,
        (None, b) => b,
    }
}
