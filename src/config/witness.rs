//! Where the signed heads of the log go, and how often.

use super::Witness;
use super::reader::{Section, number, text};
use std::path::PathBuf;
use std::time::Duration;

pub fn witness(mut s: Section<'_>) -> Witness {
    let folder = s.optional("folder", text).map(PathBuf::from);
    let minutes = s.or("every_minutes", 10, number(1..=1440));
    s.close();
    Witness { folder, every: Duration::from_secs(60 * minutes) }
}
