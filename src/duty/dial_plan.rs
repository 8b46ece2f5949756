//! Whom the daemon calls for somebody else: by REFER it could be made to dial abroad (toll fraud).

use crate::protocol::now::Now;

/// Seconds by which Beijing is ahead of UTC: a day's cap begins anew at its midnight.
const BEIJING: i64 = 8 * 3600;
/// Longest number that is dialled for somebody.
pub const NUMBER_MAX: usize = 32;

/// Who may be called on behalf of an officer's phone.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct DialPlan {
    /// Officers' phones and leaders.
    pub known: Vec<String>,
    /// Other numbers: each `x` stands for one digit.
    pub allow: Vec<String>,
    /// Calls to others than the known ones, a day.
    pub per_day: u32,
}

/// Calls of a day, counted since the daemon started.
#[derive(Debug, Clone, Copy, Default)]
pub struct Dialled {
    day: i64,
    calls: u32,
}

impl DialPlan {
    /// Whether the number may be called; one that counts is counted.
    pub fn permits(&self, number: &str, dialled: &mut Dialled, now: Now) -> bool {
        self.knows(number) || self.names(number) && dialled.has_room(self.per_day, now)
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

impl Dialled {
    fn has_room(&mut self, most: u32, now: Now) -> bool {
        let day = (now.wall.timestamp() + BEIJING).div_euclid(86_400);
        if day != self.day {
            *self = Self { day, calls: 0 };
        }
        self.calls += u32::from(self.calls <= most);
        self.calls <= most
    }
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
    use chrono::DateTime;
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
        let mut permits = |number: &str| plan().permits(number, &mut dialled, at(0));
        assert!(permits("2001") && permits("3001"));
        for never in ["", "20", "20011", "2a01", "00441234567890", "3002", "2xxx", "1001"] {
            assert!(!permits(never), "{never}");
        }
    }

    #[test]
    fn sig_30_a_day_has_its_cap_and_begins_at_midnight() {
        let mut dialled = Dialled::default();
        let mut permits = |number: &str, at| plan().permits(number, &mut dialled, at);
        assert!(permits("2002", at(0)) && permits("2003", at(60)));
        assert!(!permits("2004", at(120)));
        assert!(permits("2001", at(120)), "the room's own phones are never capped");
        assert!(!permits("2004", at(3599)));
        assert!(permits("2004", at(3600)));
    }
}
