//! What the switchboard has counted since the start, for whoever measures it. Every name is one of ours: nothing that a
//! peer writes becomes one.

use super::ids::CallId;
use crate::protocol::now::Mono;
use crate::protocol::sip::Peer;
use crate::protocol::sip::traffic::Traffic;
use std::collections::BTreeMap;

/// Sums by a name.
pub type Sums = BTreeMap<&'static str, u64>;

#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Figures {
    /// Messages of peers that are served, and ours.
    pub traffic: Traffic,
    /// Messages that were not understood or of strangers, by the reason.
    pub dropped: Sums,
    /// Calls that were turned away before a phone rang, by the reason.
    pub refused: Sums,
    /// Connections that were refused or came to their end, by the reason; filled in by whoever holds them.
    pub connections: Sums,
    /// Answers to our registration.
    pub registrations: Sums,
    /// In progress.
    pub calls: usize,
    pub channels: usize,
    pub transactions: usize,
    pub sessions: usize,
    /// A call that the daemon is about to make to itself.
    pub expected: Option<CallId>,
    /// When the PBX was heard last.
    pub heard: Option<Mono>,
    /// Its address in use.
    pub pbx: Option<Peer>,
}

pub fn add(sums: &mut Sums, name: &'static str, count: u64) {
    *sums.entry(name).or_default() += count;
}

/// What a refused registration is counted as.
pub fn of_registration(status: u16) -> &'static str {
    match status {
        401 | 403 | 407 => "forbidden",
        408 => "no_answer",
        300..=499 => "rejected",
        _ => "failed",
    }
}
