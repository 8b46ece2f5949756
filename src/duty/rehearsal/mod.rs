//! A policy tried before it is needed: what of it cannot work, and who would be called when.

mod lint;
mod simulate;

pub use lint::{Finding, findings};
pub use simulate::{Event, Happens, Phone, Plan, simulate};
