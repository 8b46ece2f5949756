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
    /// What cannot be read is the last twelve hours.
    pub fn period(&self, now: DateTime<Utc>) -> (DateTime<Utc>, DateTime<Utc>) {
        let read = |text: &Option<String>| times::of_field(text.as_deref()?);
        match (read(&self.from), read(&self.to)) {
            (Some(from), Some(to)) if from < to => (from, to),
            _ => (now - USUAL, now),
        }
    }
}
