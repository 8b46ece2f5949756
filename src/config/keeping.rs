//! `[keeping]`: how long recordings are kept before two people may destroy them; for ever unless told otherwise. And
//! after how long their sound is kept as FLAC.

use super::faults::{Say, say};
use super::reader::{Section, number};
use crate::duty::keeping::Rules;
use chrono::TimeDelta;
use toml::de::DeValue;

/// A month: nobody destroys by a slip of the pen what was recorded last week.
const LEAST_DAYS: u64 = 30;
const MOST_DAYS: u64 = 36_500;

/// How long each class is kept, and after how long its sound is kept as FLAC.
pub fn rules(mut s: Section<'_>) -> (Rules, Option<TimeDelta>) {
    let rules = Rules {
        ordinary: s.or("ordinary_days", None, days),
        urgent: s.or("urgent_days", None, days),
        self_test: s.or("self_test_days", None, test_days),
    };
    let flac = s.or("flac_days", None, test_days);
    s.close();
    (rules, flac)
}

/// 0: for ever.
fn days(value: &DeValue<'_>) -> Result<Option<TimeDelta>, Say> {
    let days = number(0..=MOST_DAYS)(value)?;
    if (1..LEAST_DAYS).contains(&days) {
        return Err(say("至少 30 天；0 表示永久保存", "30 days at least; 0 keeps them for ever"));
    }
    Ok((days > 0).then(|| TimeDelta::days(days.cast_signed())))
}

/// What nobody said may go sooner, and what is re-encoded is still there. 0: never.
fn test_days(value: &DeValue<'_>) -> Result<Option<TimeDelta>, Say> {
    let days = number(0..=MOST_DAYS)(value)?;
    Ok((days > 0).then(|| TimeDelta::days(days.cast_signed())))
}
