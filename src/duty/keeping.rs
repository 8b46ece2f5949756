//! How long recordings are kept (保管期限), and which may be put on a list to be destroyed (到期待销): what is held never is,
//! nor what has no second copy, nor what is kept for ever, nor what is old by nothing but a clock (日期存疑).

use chrono::{DateTime, TimeDelta, Utc};
use serde::{Deserialize, Serialize};

/// By what a recording is about.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Class {
    /// 一般
    Ordinary,
    /// 紧急: its entry was flagged, or a leader was called.
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
    /// By the clock of then, or by what two people said since.
    pub made: DateTime<Utc>,
    /// For how long it has been there by what nobody can set: at least its true age where the log saw all of it.
    pub seen: TimeDelta,
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
    /// 日期存疑: its clock says that it is due, and nothing else does.
    Doubtful(Doubt),
    /// There is no second copy: nothing that is not archived is destroyed.
    NoCopy,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Doubt {
    /// It would have been made in the future.
    Ahead,
    /// The log has not been seen running for so long since: the clock was set, or the host was off.
    Unseen,
}

/// A clock that is set back by less makes no doubt of what was made a moment ago.
const AHEAD: TimeDelta = TimeDelta::days(1);

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
            Some(_) if kept.made - now > AHEAD => Verdict::Doubtful(Doubt::Ahead),
            Some(time) if now - kept.made < time => Verdict::NotYet,
            Some(time) if kept.seen < time => Verdict::Doubtful(Doubt::Unseen),
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
        Kept { class, made: at(0), seen: TimeDelta::days(36_500), held: false, copied: true }
    }

    #[test]
    fn rec_d14_a_class_is_kept_its_time_and_one_without_a_time_for_ever() {
        let judge = |class, day| RULES.judge(&kept(class), at(day));
        assert_eq!(
            [179, 180, -400].map(|day| judge(Class::Ordinary, day)),
            [Verdict::NotYet, Verdict::Due, Verdict::Doubtful(Doubt::Ahead)]
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
    #[test]
    fn rec_d14_what_only_a_clock_calls_old_is_doubtful_until_it_was_seen_for_its_time() {
        let seen = |days, now| {
            let kept = Kept { seen: TimeDelta::days(days), ..kept(Class::Ordinary) };
            RULES.judge(&kept, at(now))
        };
        assert_eq!(seen(0, 9_000), Verdict::Doubtful(Doubt::Unseen), "made when it was 2000");
        assert_eq!(seen(179, 180), Verdict::Doubtful(Doubt::Unseen), "the host was off for a day");
        assert_eq!([seen(180, 180), seen(180, 9_000)], [Verdict::Due; 2]);
        assert_eq!(seen(9_000, 179), Verdict::NotYet, "the later of both counts");
        assert_eq!(seen(9_000, -2), Verdict::Doubtful(Doubt::Ahead));
        assert_eq!(seen(0, 0), Verdict::NotYet);
        let held = Kept { seen: TimeDelta::zero(), held: true, ..kept(Class::Ordinary) };
        assert_eq!(RULES.judge(&held, at(9_000)), Verdict::Held);
        let for_ever = Kept { seen: TimeDelta::zero(), ..kept(Class::Urgent) };
        assert_eq!(
            RULES.judge(&for_ever, at(9_000)),
            Verdict::ForEver,
            "no doubt where no term is"
        );
    }
}
