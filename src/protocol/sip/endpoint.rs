//! A SIP user agent without sockets: routes messages to transactions and dialogs, keeps the
//! registration, and turns them into the few events of [`super::Event`].

use super::{Account, Event, LegId, Outgoing, Peer, Transmit};
use crate::protocol::now::{Deadline, Now};
use crate::protocol::random::Random;

/// **Handle one thing, drain `poll_transmit` and `poll_event`, then wait for the next message or
/// `poll_timeout`.**
pub struct Endpoint {}

impl Endpoint {
    pub fn new(_account: Account, _random: Random) -> Self {
        todo!()
    }
    pub fn handle_message(&mut self, _from: Peer, _bytes: &[u8], _now: Now) {
        todo!()
    }
    /// Everything that is due at `now`. A spurious call is harmless.
    pub fn handle_timeout(&mut self, _now: Now) {
        todo!()
    }
    /// The transport to `peer` failed (ICMP unreachable, connection refused or lost).
    pub fn handle_unreachable(&mut self, _peer: Peer, _now: Now) {
        todo!()
    }
    pub fn poll_transmit(&mut self) -> Option<Transmit> {
        todo!()
    }
    pub fn poll_event(&mut self) -> Option<Event> {
        todo!()
    }
    pub fn poll_timeout(&self) -> Option<Deadline> {
        todo!()
    }
    /// Registers, and keeps the binding until `unregister`: refresh at half the granted expiry,
    /// back-off with jitter on failure.
    pub fn register(&mut self, _now: Now) {
        todo!()
    }
    pub fn unregister(&mut self, _now: Now) {
        todo!()
    }
    pub fn invite(&mut self, _call: Outgoing, _now: Now) -> LegId {
        todo!()
    }
    /// Gives up a call of ours that is not answered yet (RFC 3261 §9.1: waits for the first
    /// provisional response). No effect once it is answered or over.
    pub fn cancel(&mut self, _leg: LegId, _now: Now) {
        todo!()
    }
    /// 180, or 183 with `sdp`, to a caller.
    pub fn ring(&mut self, _leg: LegId, _sdp: Option<Vec<u8>>, _now: Now) {
        todo!()
    }
    /// 200 to a caller.
    pub fn answer(&mut self, _leg: LegId, _sdp: Vec<u8>, _now: Now) {
        todo!()
    }
    /// A final refusal (300–699) to a caller; `retry_after` in seconds.
    pub fn refuse(&mut self, _leg: LegId, _status: u16, _retry_after: Option<u32>, _now: Now) {
        todo!()
    }
    pub fn accept_offer(&mut self, _leg: LegId, _sdp: Vec<u8>, _now: Now) {
        todo!()
    }
    /// 488: the session stays as it was.
    pub fn refuse_offer(&mut self, _leg: LegId, _status: u16, _now: Now) {
        todo!()
    }
    /// Ends a confirmed session; before that, `refuse` (theirs) or `cancel` (ours).
    pub fn bye(&mut self, _leg: LegId, _now: Now) {
        todo!()
    }
    /// Open transactions and sessions, for tests and metrics.
    pub fn load(&self) -> (usize, usize) {
        todo!()
    }
}
