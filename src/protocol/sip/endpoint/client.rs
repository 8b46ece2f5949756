//! A request of ours and its transaction: by what it is known, what it is for, and how far it has come.

use super::table::Transaction;
use crate::protocol::name::Name;
use crate::protocol::now::{Deadline, Mono, Now, earlier};
use crate::protocol::sip::draft::Draft;
use crate::protocol::sip::message::Method;
use crate::protocol::sip::slip::SlipId;
use crate::protocol::sip::transaction::{ClientStep, InviteClient, PATIENCE, RequestClient};
use crate::protocol::sip::{LegId, Peer, Transmit};
use serde::{Deserialize, Serialize};
use std::sync::Arc;

/// The branch of our Via; a CANCEL shares its INVITE's.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct ClientKey {
    branch: Name,
    cancel: bool,
}

impl ClientKey {
    pub(super) fn of(branch: &[u8], cancel: bool) -> Self {
        Self { branch: Name::of(branch), cancel }
    }

    pub fn branch(&self) -> &[u8] {
        self.branch.bytes()
    }

    /// Of the CANCEL of this INVITE.
    pub fn cancelling(&self) -> Self {
        Self { cancel: true, ..self.clone() }
    }
}

/// What a request of ours is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum Purpose {
    Register {
        expires: u32,
    },
    /// Whether the line would be registered where it is sent.
    Trial,
    Invite {
        leg: LegId,
    },
    Cancel,
    /// An INVITE of an earlier run: whoever answers it is let go.
    Orphan,
    /// Whether this address of the PBX answers.
    Options {
        peer: Peer,
    },
    /// `trusted` when the PBX itself is the far end.
    Prack {
        leg: LegId,
        trusted: bool,
    },
    /// How a REFER goes.
    Notify {
        leg: LegId,
        trusted: bool,
    },
    /// A re-INVITE or UPDATE.
    Offer {
        leg: LegId,
        trusted: bool,
    },
    /// Nothing depends on how it goes.
    Info {
        leg: LegId,
        trusted: bool,
    },
    /// `leg` unless it ends a fork nobody knows of.
    Bye {
        leg: Option<LegId>,
        trusted: bool,
    },
    Slip {
        slip: SlipId,
    },
}

impl Purpose {
    /// The session that it is for, where that must not forget it.
    pub fn leg(self) -> Option<LegId> {
        match self {
            Purpose::Invite { leg }
            | Purpose::Prack { leg, .. }
            | Purpose::Notify { leg, .. }
            | Purpose::Offer { leg, .. } => Some(leg),
            Purpose::Bye { leg, .. } => leg,
            Purpose::Register { .. }
            | Purpose::Trial
            | Purpose::Options { .. }
            | Purpose::Info { .. }
            | Purpose::Slip { .. }
            | Purpose::Orphan
            | Purpose::Cancel => None,
        }
    }
}

/// How far the dispute about our identity has come.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum Proof {
    None,
    /// Credentials for a nonce of an earlier request.
    Reused,
    /// Challenges answered.
    Given(u8),
}

#[derive(Debug, Clone, Serialize, Deserialize)]
enum Machine {
    Invite(InviteClient),
    Request(RequestClient),
}

#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Client {
    machine: Machine,
    pub draft: Arc<Draft>,
    pub branch: String,
    pub purpose: Purpose,
    pub proof: Proof,
    pub(super) sent: Arc<Transmit>,
    /// It went by TCP for its size alone.
    pub(super) grown: bool,
    /// The ACK to its refusal.
    pub(super) ack: Option<Transmit>,
    /// The ACK to each 2xx, by remote tag.
    pub acks: Vec<(Vec<u8>, Transmit)>,
    /// Nobody waits for its answer any more, and it is not kept for ever.
    pub(super) left: Option<Mono>,
}

/// A client transaction about to begin.
pub(super) struct Opening {
    pub draft: Draft,
    pub branch: String,
    pub purpose: Purpose,
    pub proof: Proof,
    pub sent: Transmit,
    pub grown: bool,
}

impl Client {
    pub(super) fn start(opening: Opening, now: Now) -> Self {
        let Opening { draft, branch, purpose, proof, sent, grown } = opening;
        let reliable = draft.peer.transport.is_reliable();
        let machine = if draft.method == Method::Invite {
            Machine::Invite(InviteClient::start(reliable, now.mono))
        } else {
            Machine::Request(RequestClient::start(reliable, now.mono))
        };
        let (ack, acks) = (None, vec![]);
        let (draft, sent) = (Arc::new(draft), Arc::new(sent));
        Self { machine, draft, branch, purpose, proof, sent, grown, ack, acks, left: None }
    }

    /// An INVITE that another run sent, about to be answered.
    pub fn adopted(draft: Draft, branch: String, now: Now) -> Self {
        let reliable = draft.peer.transport.is_reliable();
        Self {
            machine: Machine::Invite(InviteClient::adopt(reliable, now.mono)),
            sent: Arc::new(Transmit { to: draft.peer, bytes: vec![] }),
            draft: Arc::new(draft),
            branch,
            purpose: Purpose::Orphan,
            proof: Proof::None,
            grown: false,
            ack: None,
            acks: vec![],
            left: Some(now.mono + 2 * PATIENCE),
        }
    }

    /// Nobody wants it any more, and nobody has heard it: it is not repeated, and whoever answers it
    /// all the same is let go.
    pub(super) fn retire(&mut self, now: Now) {
        let reliable = self.draft.peer.transport.is_reliable();
        self.machine = Machine::Invite(InviteClient::adopt(reliable, now.mono));
        self.purpose = Purpose::Orphan;
        self.left = Some(now.mono + 2 * PATIENCE);
    }

    pub(super) fn handle_response(&mut self, status: u16, now: Now) {
        match &mut self.machine {
            Machine::Invite(machine) => machine.handle_response(status, now.mono),
            Machine::Request(machine) => machine.handle_response(status, now.mono),
        }
    }

    /// Whether a provisional response has come to this INVITE.
    pub fn is_heard(&self) -> bool {
        match &self.machine {
            Machine::Invite(machine) => machine.is_proceeding(),
            Machine::Request(_) => false,
        }
    }

    /// Whether nothing at all has come to this INVITE.
    pub fn is_unheard(&self) -> bool {
        match &self.machine {
            Machine::Invite(machine) => machine.is_calling(),
            Machine::Request(_) => false,
        }
    }

    pub(super) fn handle_timeout(&mut self, now: Now) {
        match &mut self.machine {
            Machine::Invite(machine) => machine.handle_timeout(now.mono),
            Machine::Request(machine) => machine.handle_timeout(now.mono),
        }
    }

    pub(super) fn handle_unreachable(&mut self) {
        match &mut self.machine {
            Machine::Invite(machine) => machine.handle_unreachable(),
            Machine::Request(machine) => machine.handle_unreachable(),
        }
    }

    pub(super) fn poll(&mut self) -> Option<ClientStep> {
        match &mut self.machine {
            Machine::Invite(machine) => machine.poll(),
            Machine::Request(machine) => machine.poll(),
        }
    }
}

impl Transaction for Client {
    fn leg(&self) -> Option<LegId> {
        self.purpose.leg()
    }

    fn poll_timeout(&self) -> Option<Deadline> {
        let machine = match &self.machine {
            Machine::Invite(machine) => machine.poll_timeout(),
            Machine::Request(machine) => machine.poll_timeout(),
        };
        earlier(machine, self.left.map(|left| (left, "request of a session that is over")))
    }
}
