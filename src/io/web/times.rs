//! Moments and spans as a person reads them; times of day are Beijing's.

use crate::duty::entry::{beijing, day};
use chrono::{DateTime, NaiveDateTime, Utc};

/// Of a browser's field for date and time, `2026-10-03T21:07`.
const FIELD: &str = "%Y-%m-%dT%H:%M";

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

pub fn field(at: DateTime<Utc>) -> String {
    at.with_timezone(&beijing()).format(FIELD).to_string()
}

/// What stands in a browser's field.
pub fn of_field(text: &str) -> Option<DateTime<Utc>> {
    let civil = NaiveDateTime::parse_from_str(text, FIELD).ok()?;
    Some(civil.and_local_timezone(beijing()).single()?.to_utc())
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
    fn esc_67_a_moment_of_the_form_is_beijings_whatever_the_servers_zone() {
        let at = of_field("2026-10-04T08:30").unwrap();
        assert_eq!(at.to_rfc3339(), "2026-10-04T00:30:00+00:00");
        assert_eq!(field(at), "2026-10-04T08:30");
        for wrong in ["", "2026-10-04", "2026-13-04T08:30", "08:30", "2026-10-04T08:30Z"] {
            assert_eq!(of_field(wrong), None, "{wrong}");
        }
    }

    #[test]
    fn a_span_is_never_negative() {
        let at = Utc.with_ymd_and_hms(2026, 10, 3, 13, 7, 18).unwrap();
        assert_eq!(span(at, at + chrono::Duration::seconds(188)), "3:08");
        assert_eq!(span(at, at - chrono::Duration::seconds(9)), "0:00");
        assert_eq!(clock(3723), "1:02:03");
    }
}
