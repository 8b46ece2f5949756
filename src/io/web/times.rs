//! Moments and spans as a person reads them; times of day are Beijing's.

use crate::duty::entry::{beijing, day};
use chrono::{DateTime, Utc};

/// `21:07:18`, with the day before it where it is not today.
pub fn short(at: DateTime<Utc>, now: DateTime<Utc>) -> String {
    let format = if day(at) == day(now) { "%H:%M:%S" } else { "%m-%d %H:%M" };
    at.with_timezone(&beijing()).format(format).to_string()
}

/// `2026-10-03 21:07:18`
pub fn full(at: DateTime<Utc>) -> String {
    at.with_timezone(&beijing()).format("%Y-%m-%d %H:%M:%S").to_string()
}

/// `21:07:18.042`
pub fn with_ms(at: DateTime<Utc>) -> String {
    at.with_timezone(&beijing()).format("%H:%M:%S%.3f").to_string()
}

/// `0:07`, `3:08`, `1:02:03`
pub fn span(from: DateTime<Utc>, to: DateTime<Utc>) -> String {
    clock((to - from).num_seconds())
}

pub fn clock(seconds: i64) -> String {
    let seconds = seconds.max(0);
    let (hours, minutes, seconds) = (seconds / 3600, seconds / 60 % 60, seconds % 60);
    if hours == 0 {
        format!("{minutes}:{seconds:02}")
    } else {
        format!("{hours}:{minutes:02}:{seconds:02}")
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use chrono::TimeZone;

    #[test]
    fn a_moment_is_shown_in_beijing_with_its_day_only_when_it_is_another() {
        let at = Utc.with_ymd_and_hms(2026, 10, 3, 13, 7, 18).unwrap();
        assert_eq!(short(at, at), "21:07:18");
        assert_eq!(short(at, at + chrono::Duration::hours(3)), "10-03 21:07");
        assert_eq!(full(at), "2026-10-03 21:07:18");
    }

    #[test]
    fn a_span_is_never_negative() {
        let at = Utc.with_ymd_and_hms(2026, 10, 3, 13, 7, 18).unwrap();
        assert_eq!(span(at, at + chrono::Duration::seconds(188)), "3:08");
        assert_eq!(span(at, at - chrono::Duration::seconds(9)), "0:00");
        assert_eq!(clock(3723), "1:02:03");
    }
}
