//! The duty line: answers the duty number, records the call, keeps the journal, escalates.
//!
//! Three bands, one arrow: `io` → `duty` → `protocol`.
//!
//! * [`protocol`] speaks SIP, SDP and RTP. It knows no duty room and touches nothing.
//! * [`duty`] decides. It knows no socket, file, clock or thread.
//! * [`io`] touches the world. It decides nothing.
//!
//! `tests/architecture.rs` keeps the arrow pointing one way.

#![warn(clippy::too_many_lines)]

pub mod config;
pub mod daemon;
pub mod demo;
#[deny(clippy::disallowed_methods, clippy::disallowed_types)]
pub mod duty;
pub mod io;
#[deny(clippy::disallowed_methods, clippy::disallowed_types)]
pub mod protocol;
