//! The period that somebody asks for, to see it or to have it handed out.

use crate::io::web::times;
use chrono::{DateTime, TimeDelta, Utc};
use serde::Deserialize;

/// What is meant unless a period is asked for.
const USUAL: TimeDelta = TimeDelta::hours(12);

#[derive(Debug, Default, Deserialize)]
pub struct Asked {
    from: Option<String>,
    to: Option<String>,
}

impl Asked {
    /// What was asked for and is no period, as it was typed.
    pub fn wrong(&self) -> Option<(&str, &str)> {
        let (from, to) = (self.from.as_deref().unwrap_or(""), self.to.as_deref().unwrap_or(""));
        let right =
            times::of_field(from).zip(times::of_field(to)).is_some_and(|(from, to)| from < to);
        let asked = !from.is_empty() || !to.is_empty();
        (asked && !right).then_some((from, to))
    }

    /// What cannot be read is the last twelve hours.
    pub fn period(&self, now: DateTime<Utc>) -> (DateTime<Utc>, DateTime<Utc>) {
        let read = |text: &Option<String>| times::of_field(text.as_deref()?);
        match (read(&self.from), read(&self.to)) {
            (Some(from), Some(to)) if from < to => (from, to),
            _ => (now - USUAL, now),
        }
    }
}
