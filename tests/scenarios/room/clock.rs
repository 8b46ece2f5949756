//! Virtual time: a night that begins at 21:00 in Beijing and jumps from event to event.

use chrono::{DateTime, TimeDelta, Utc};
use dutyline::protocol::now::{Mono, Now};
use std::time::Duration;

pub fn millis(count: u64) -> Duration {
    Duration::from_millis(count)
}

pub fn seconds(count: u64) -> Duration {
    Duration::from_secs(count)
}

pub fn minutes(count: u64) -> Duration {
    Duration::from_secs(60 * count)
}

pub fn hours(count: u64) -> Duration {
    Duration::from_secs(3600 * count)
}

/// Both clocks of the room. The monotonic one never goes back; the wall clock may be set.
pub struct Clock {
    mono: Mono,
    offset: DateTime<Utc>,
}

impl Clock {
    pub fn evening() -> Self {
        let offset: DateTime<Utc> = "2026-10-12T13:00:00Z".parse().expect("a date");
        // The host has been up for a day.
        Self { mono: Mono(0) + hours(24), offset: offset - hours(24) }
    }

    pub fn now(&self) -> Now {
        let nanos = i64::try_from(self.mono.0).expect("nights are short");
        Now { mono: self.mono, wall: self.offset + TimeDelta::nanoseconds(nanos) }
    }

    pub fn jump(&mut self, to: Mono) {
        self.mono = self.mono.max(to);
    }

    /// Somebody sets the wall clock.
    pub fn set_wall(&mut self, by: TimeDelta) {
        self.offset += by;
    }
}
