//! Whom the daemon calls for somebody else, by REFER or by a wish of the page: it could be made to
//! dial abroad (toll fraud).

use crate::protocol::now::Now;
use chrono::{DateTime, Utc};

/// Seconds by which Beijing is ahead of UTC: a day's cap begins anew at its midnight.
const BEIJING: i64 = 8 * 3600;
const DAY: i64 = 86_400;
/// Longest number that is dialled for somebody.
pub const NUMBER_MAX: usize = 32;

/// 110, 119, 120, 122: whoever is on duty may always call them, and never too often.
const EMERGENCY: [&str; 4] = ["110", "119", "120", "122"];

/// Who may be called on behalf of an officer.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct DialPlan {
    /// Officers' phones and leaders.
    pub known: Vec<String>,
    /// Other numbers: each `x` stands for one digit.
    pub allow: Vec<String>,
    /// Calls to others than the known ones, a day.
    pub per_day: u32,
}

/// Calls of a day that count: those the log has, and those since the daemon started.
#[derive(Debug, Clone, Copy, Default)]
pub struct Dialled {
    day: i64,
    calls: u32,
}

/// A number may be called.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Permit {
    /// However often.
    Free,
    /// So many times a day; this one was counted.
    Counted,
}

/// A number may not be called.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Denial {
    /// The site does not name it.
    NotNamed,
    /// The day's calls are used up.
    TooMany,
}

impl DialPlan {
    /// Whether a number may be called that is written in these ways; one that counts is counted.
    ///
    /// # Errors
    /// Why it may not.
    pub fn permits(
        &self,
        number: &[&str],
        dialled: &mut Dialled,
        now: Now,
    ) -> Result<Permit, Denial> {
        let any = |is: &dyn Fn(&str) -> bool| number.iter().any(|number| is(number));
        if is_emergency(number) || any(&|number| self.knows(number)) {
            return Ok(Permit::Free);
        }
        if !any(&|number| self.names(number)) {
            return Err(Denial::NotNamed);
        }
        dialled.has_room(self.per_day, now).then_some(Permit::Counted).ok_or(Denial::TooMany)
    }

    /// Whether the number is one of those that the site names.
    pub fn names(&self, number: &str) -> bool {
        let fits = |one: &String| fits(one, number);
        self.knows(number) || number.len() <= NUMBER_MAX && self.allow.iter().any(fits)
    }

    fn knows(&self, number: &str) -> bool {
        self.known.iter().any(|known| user(known) == number)
    }
}

/// Whether somebody is called for help, by a number that is written in these ways.
pub fn is_emergency(number: &[&str]) -> bool {
    number.iter().any(|number| EMERGENCY.contains(number))
}

impl Dialled {
    /// What the log knew of today when this run began.
    pub fn add(&mut self, calls: u32, now: Now) {
        self.turn(now);
        self.calls = self.calls.saturating_add(calls);
    }

    fn has_room(&mut self, most: u32, now: Now) -> bool {
        self.turn(now);
        let room = self.calls < most;
        self.calls += u32::from(room);
        room
    }

    fn turn(&mut self, now: Now) {
        let day = day(now.wall);
        if day != self.day {
            *self = Self { day, calls: 0 };
        }
    }
}

/// The day in Beijing, counted from 1970.
fn day(at: DateTime<Utc>) -> i64 {
    (at.timestamp() + BEIJING).div_euclid(DAY)
}

/// When the day of `at` began, by which calls are counted.
pub fn day_began(at: DateTime<Utc>) -> DateTime<Utc> {
    DateTime::from_timestamp(day(at) * DAY - BEIJING, 0).unwrap_or(at)
}

fn fits(pattern: &str, number: &str) -> bool {
    let same = |(p, n): (u8, u8)| if p == b'x' { n.is_ascii_digit() } else { p == n };
    pattern.len() == number.len() && pattern.bytes().zip(number.bytes()).all(same)
}

/// What of a target is dialled: its user part where it is a URI.
pub fn user(target: &str) -> &str {
    let rest = ["sip:", "sips:", "tel:"].iter().find_map(|scheme| target.strip_prefix(scheme));
    let rest = rest.unwrap_or(target);
    rest.split(['@', ';']).next().unwrap_or(rest)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::protocol::now::Mono;
    use std::time::Duration;

    fn at(seconds: u64) -> Now {
        // 2026-10-12 23:00 in Beijing.
        let wall = DateTime::from_timestamp(1_791_817_200, 0).unwrap();
        Now { mono: Mono(1), wall } + Duration::from_secs(seconds)
    }

    fn plan() -> DialPlan {
        DialPlan {
            known: vec!["2001".to_owned(), "sip:3001@pbx;x=1".to_owned()],
            allow: vec!["2xxx".to_owned(), "0xxxxxxxxxx".to_owned()],
            per_day: 2,
        }
    }

    #[test]
    fn sig_30_only_what_the_site_names_is_dialled_for_others() {
        let mut dialled = Dialled::default();
        let mut permits = |number: &str| plan().permits(&[number], &mut dialled, at(0)).is_ok();
        assert!(permits("2001") && permits("3001"));
        for never in ["", "20", "20011", "2a01", "00441234567890", "3002", "2xxx", "1001"] {
            assert!(!permits(never), "{never}");
        }
    }

    #[test]
    fn sig_30_a_day_has_its_cap_and_begins_at_midnight() {
        let mut dialled = Dialled::default();
        let mut permits = |number: &str, at| plan().permits(&[number], &mut dialled, at).is_ok();
        assert!(permits("2002", at(0)) && permits("2003", at(60)));
        assert!(!permits("2004", at(120)));
        assert!(permits("2001", at(120)), "the room's own phones are never capped");
        assert!(!permits("2004", at(3599)));
        assert!(permits("2004", at(3600)));
    }

    #[test]
    fn sig_24_what_was_dialled_before_the_start_counts_for_today_alone() {
        let mut dialled = Dialled::default();
        dialled.add(2, at(0));
        let mut permits = |number: &str, at| plan().permits(&[number], &mut dialled, at);
        assert_eq!(permits("2002", at(60)), Err(Denial::TooMany));
        assert_eq!(permits("2001", at(60)), Ok(Permit::Free));
        assert_eq!(permits("2002", at(3600)), Ok(Permit::Counted));
        assert_eq!(day_began(at(0).wall), day_began(at(3599).wall));
        assert_eq!(day_began(at(3600).wall), at(3600).wall);
    }

    #[test]
    fn sig_24_the_police_and_the_ambulance_are_called_whatever_the_plan_says() {
        let mut dialled = Dialled::default();
        let empty = DialPlan::default();
        for number in ["110", "119", "120", "122"] {
            let dialled = empty.permits(&[&format!("9{number}"), number], &mut dialled, at(0));
            assert_eq!(dialled, Ok(Permit::Free));
        }
        assert_eq!(empty.permits(&["9114", "114"], &mut dialled, at(0)), Err(Denial::NotNamed));
    }

    #[test]
    fn sig_24_a_number_may_be_named_as_it_is_dialled_or_as_it_is() {
        let mut dialled = Dialled::default();
        let allow = vec!["1xxxxxxxxxx".to_owned(), "90xxxxxxxxxx".to_owned()];
        let plan = DialPlan { allow, per_day: 9, ..DialPlan::default() };
        for number in ["13800138000", "0755123456"] {
            let ways = [&*format!("9{number}"), number];
            let permit = plan.permits(&ways, &mut dialled, at(0));
            assert_eq!(permit.is_ok(), number.len() == 11, "{number}");
        }
        let ways = ["901063001234", "01063001234"];
        assert_eq!(plan.permits(&ways, &mut dialled, at(0)), Ok(Permit::Counted));
    }
}
