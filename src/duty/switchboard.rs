//! All calls on the duty line: routes what the SIP endpoint and the relay report to the call it
//! belongs to, and gathers what the calls ask of the world.

use super::ids::{AttemptId, CallId, EntryId};
use super::journal::{Noted, Urgency};
use crate::protocol::now::{Deadline, Now};
use crate::protocol::random::Random;
use crate::protocol::rtp;
use crate::protocol::sip::{Account, Peer, Transmit};
use serde::{Deserialize, Serialize};
use std::net::IpAddr;
use std::time::Duration;

/// The duty line, as configured.
#[derive(Debug, Clone)]
pub struct LinePlan {
    pub account: Account,
    /// Address in our session descriptions.
    pub media_address: IpAddr,
    /// RTP port of each channel, in the order of [`rtp::Channel`].
    pub rtp_ports: Vec<u16>,
    /// Officers' phones in the order they are rung.
    pub phones: Vec<Phone>,
    /// Channels kept free for calls to leaders: incoming calls never take them.
    pub reserved_channels: usize,
    /// How long a call may wait for its entry to be committed before it rings all the same.
    pub entry_budget: Duration,
}

/// An officer's phone in the ring plan.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Phone {
    /// Shown in the log, such as 值班台话机.
    pub name: String,
    /// User part or `sip:` URI.
    pub target: String,
    pub ring: Duration,
}

/// A call to a leader, ordered by the escalator.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct LeaderCall {
    pub attempt: AttemptId,
    pub entry: EntryId,
    pub target: String,
    pub urgency: Urgency,
    pub ring: Duration,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum AckOutcome {
    /// This key press acknowledged the escalation.
    First,
    /// Somebody else had already; this person knows now too.
    Late,
    /// The escalation was withdrawn meanwhile.
    Withdrawn,
}

/// Everything the switchboard may be told.
#[derive(Debug, Clone, PartialEq)]
pub enum Input {
    Message {
        from: Peer,
        bytes: Vec<u8>,
    },
    Unreachable {
        peer: Peer,
    },
    /// The entry of this call is committed.
    Stored {
        call: CallId,
    },
    /// The acknowledgement by this attempt is committed.
    AckStored {
        attempt: AttemptId,
        outcome: AckOutcome,
    },
    Media(rtp::Event),
    Notify(LeaderCall),
    /// The attempt is no longer wanted (acknowledged elsewhere, withdrawn).
    StopNotifying {
        attempt: AttemptId,
    },
    /// Something the switchboard asked to be woken for is due.
    Timeout,
    /// Ends every call properly and gives the registration back; `Output::Drained` follows.
    Shutdown,
}

/// Everything the switchboard may ask of the world.
#[derive(Debug, Clone, PartialEq)]
pub enum Output {
    Send(Transmit),
    Media(rtp::Command),
    /// To the log; `Arrived` is answered by `Input::Stored`, `Acknowledged` by `Input::AckStored`.
    Journal(Noted),
    /// After `Shutdown`: no call is left and the binding is gone.
    Drained,
}

/// **Handle one thing, drain `poll`, then wait for the next input or `deadline`.**
pub struct Switchboard {}

impl Switchboard {
    pub fn new(_plan: LinePlan, _random: Random, _now: Now) -> Self {
        todo!()
    }
    pub fn handle(&mut self, _input: Input, _now: Now) {
        todo!()
    }
    pub fn poll(&mut self) -> Option<Output> {
        todo!()
    }
    pub fn deadline(&self) -> Option<Deadline> {
        todo!()
    }
    /// Calls in progress, incoming and to leaders.
    pub fn calls(&self) -> usize {
        todo!()
    }
}
