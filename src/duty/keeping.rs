//! How long recordings are kept (保管期限), and which may be put on a list to be destroyed (到期待销): what is held never is,
//! nor what has no second copy, nor what is kept for ever.

use chrono::{DateTime, TimeDelta, Utc};
use serde::{Deserialize, Serialize};

/// By what a recording is about.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Class {
    /// 一般
    Ordinary,
    /// 急件: its entry was flagged, or a leader was called.
    Urgent,
    /// 自检: the daemon called itself.
    SelfTest,
}

/// For how long each class is kept; none: for ever.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Rules {
    pub ordinary: Option<TimeDelta>,
    pub urgent: Option<TimeDelta>,
    pub self_test: Option<TimeDelta>,
}

/// What decides about a recording.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Kept {
    pub class: Class,
    pub sealed: DateTime<Utc>,
    pub held: bool,
    /// A second copy of all its files was read back.
    pub copied: bool,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Verdict {
    /// It may be put on a list.
    Due,
    /// 封存保全
    Held,
    ForEver,
    NotYet,
    /// There is no second copy: nothing that is not archived is destroyed.
    NoCopy,
}

impl Rules {
    pub fn of(&self, class: Class) -> Option<TimeDelta> {
        match class {
            Class::Ordinary => self.ordinary,
            Class::Urgent => self.urgent,
            Class::SelfTest => self.self_test,
        }
    }

    /// Of the classes that are not kept for ever.
    pub fn shortest(&self) -> Option<TimeDelta> {
        [self.ordinary, self.urgent, self.self_test].into_iter().flatten().min()
    }

    pub fn judge(&self, kept: &Kept, now: DateTime<Utc>) -> Verdict {
        match self.of(kept.class) {
            _ if kept.held => Verdict::Held,
            None => Verdict::ForEver,
            Some(time) if now - kept.sealed < time => Verdict::NotYet,
            Some(_) if !kept.copied => Verdict::NoCopy,
            Some(_) => Verdict::Due,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(days: i64) -> DateTime<Utc> {
        DateTime::from_timestamp(1_800_000_000, 0).unwrap() + TimeDelta::days(days)
    }

    const RULES: Rules = Rules {
        ordinary: Some(TimeDelta::days(180)),
        urgent: None,
        self_test: Some(TimeDelta::days(7)),
    };

    fn kept(class: Class) -> Kept {
        Kept { class, sealed: at(0), held: false, copied: true }
    }

    #[test]
    fn rec_d14_a_class_is_kept_its_time_and_one_without_a_time_for_ever() {
        let judge = |class, day| RULES.judge(&kept(class), at(day));
        assert_eq!(
            [179, 180, -400].map(|day| judge(Class::Ordinary, day)),
            [Verdict::NotYet, Verdict::Due, Verdict::NotYet]
        );
        assert_eq!(judge(Class::Urgent, 36_500), Verdict::ForEver);
        assert_eq!(judge(Class::SelfTest, 7), Verdict::Due);
        assert_eq!(Rules::default().judge(&kept(Class::SelfTest), at(36_500)), Verdict::ForEver);
    }

    #[test]
    fn rec_e6_a_hold_beats_every_term_and_nothing_goes_without_its_second_copy() {
        for class in [Class::Ordinary, Class::Urgent, Class::SelfTest] {
            let held = Kept { held: true, copied: false, ..kept(class) };
            assert_eq!(RULES.judge(&held, at(36_500)), Verdict::Held);
        }
        let alone = Kept { copied: false, ..kept(Class::Ordinary) };
        assert_eq!(RULES.judge(&alone, at(181)), Verdict::NoCopy);
    }
}
