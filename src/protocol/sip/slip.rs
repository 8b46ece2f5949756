//! What is said to a telephone outside of any call, so that it shows it without ringing: a text
//! (RFC 3428), or the lamp of its voice mail (RFC 3842).

use serde::{Deserialize, Serialize};
use std::time::Duration;

/// Its owner's name for it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct SlipId(pub u64);

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Slip {
    pub id: SlipId,
    /// A user part at the account's domain, or a whole URI.
    pub target: String,
    pub says: Says,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Says {
    /// Worth showing for so long. Cut where it does not fit into one packet.
    Text { text: String, lasts: Duration },
    /// Whether something waits to be looked at.
    Waiting(bool),
}

/// What became of a slip.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Reply {
    /// The final response.
    Status(u16),
    /// None in time; it may have arrived.
    Silence,
    /// Nothing was sent, or it cannot have arrived.
    NotSent(&'static str),
}
