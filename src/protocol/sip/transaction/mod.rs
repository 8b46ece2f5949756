//! The four transactions of RFC 3261 §17 with RFC 6026's Accepted states: retransmission and
//! absorption of retransmissions. They know states and timers, not messages.

pub mod invite_client;
pub mod invite_server;
pub mod request_client;
pub mod request_server;

pub use invite_client::InviteClient;
pub use invite_server::InviteServer;
pub use request_client::RequestClient;
pub use request_server::RequestServer;

use std::time::Duration;

/// Round-trip estimate (§17.1.1.1).
pub const T1: Duration = Duration::from_millis(500);
/// Longest retransmission interval of non-INVITE requests and of responses to INVITE.
pub const T2: Duration = Duration::from_secs(4);
/// Longest time a message remains in the network.
pub const T4: Duration = Duration::from_secs(5);
/// 64·T1: when a peer is given up.
pub const PATIENCE: Duration = Duration::from_secs(32);

/// What a client transaction asks of its owner.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ClientStep {
    /// Put the request on the wire, for the first time or again.
    Send,
    /// Put the ACK to a refusal on the wire (§17.1.1.3).
    SendAck,
    /// Give the response at hand to the user.
    Deliver,
    Finish(Finish),
}

/// What a server transaction asks of its owner.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ServerStep {
    /// Put the last response on the wire, for the first time or again.
    Send,
    Finish(Finish),
}

/// The transaction is over; its owner forgets it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Finish {
    Done,
    /// Nobody answered (Timer B, F) or acknowledged (Timer H).
    TimedOut,
    Unreachable,
}
