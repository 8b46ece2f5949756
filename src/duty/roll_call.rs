//! 点名 at the beginning of a shift: which moment of the schedule is due.

use super::entry::beijing;
use super::roster::Role;
use chrono::{DateTime, NaiveTime, Utc};
use std::time::Duration;

/// One that is later than this, because no daemon ran or something real came first, is left out.
pub const LATE: Duration = Duration::from_secs(30 * 60);

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RollCallPlan {
    /// Beijing's times of the day; none: at somebody's wish alone.
    pub at: Vec<NaiveTime>,
    /// Who is called.
    pub roles: Vec<Role>,
}

impl Default for RollCallPlan {
    fn default() -> Self {
        Self { at: vec![], roles: vec![Role::Leader, Role::Substitute] }
    }
}

impl RollCallPlan {
    /// The moment that was due last, by its name: the same whenever it is asked.
    pub fn due(&self, now: DateTime<Utc>) -> Option<String> {
        let today = now.with_timezone(&beijing()).date_naive();
        let days = [today.pred_opt(), Some(today)];
        let moments = days.into_iter().flatten().flat_map(|day| {
            let of_day =
                |time: &NaiveTime| day.and_time(*time).and_local_timezone(beijing()).single();
            self.at.iter().filter_map(of_day).collect::<Vec<_>>()
        });
        let due = moments.filter(|at| *at <= now && now <= at.to_utc() + LATE).max()?;
        Some(due.format("%Y-%m-%dT%H:%M").to_string())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use chrono::TimeZone;

    #[test]
    fn a_roll_call_is_due_at_its_time_in_beijing_and_not_half_an_hour_later() {
        let at = |h, m| NaiveTime::from_hms_opt(h, m, 0).unwrap();
        let plan = RollCallPlan { at: vec![at(8, 30), at(23, 50)], ..RollCallPlan::default() };
        let utc = |d, h, m| Utc.with_ymd_and_hms(2026, 10, d, h, m, 0).unwrap();
        assert_eq!(plan.due(utc(4, 0, 29)), None);
        assert_eq!(plan.due(utc(4, 0, 30)).as_deref(), Some("2026-10-04T08:30"));
        assert_eq!(plan.due(utc(4, 1, 0)).as_deref(), Some("2026-10-04T08:30"));
        assert_eq!(plan.due(utc(4, 1, 1)), None);
        // After midnight it is still yesterday's.
        assert_eq!(plan.due(utc(4, 16, 5)).as_deref(), Some("2026-10-04T23:50"));
        assert_eq!(RollCallPlan::default().due(utc(4, 0, 30)), None);
    }
}
