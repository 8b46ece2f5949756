//! A policy tried before it is needed: what of it cannot work, and who would be called when.

mod lint;
mod reach;
mod simulate;

pub use lint::{Finding, findings, findings_but_gaps};
pub use reach::{FRESH, Proved, reach};
pub use simulate::{Event, Happens, Phone, Plan, simulate};
