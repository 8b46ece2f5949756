//! Client transactions of an endpoint: matching (RFC 3261 §17.1.3), and who learns the outcome.

use super::Endpoint;
use super::table::Transaction;
use crate::protocol::name::Name;
use crate::protocol::now::{Deadline, Mono, Now, earlier};
use crate::protocol::sip::draft::Draft;
use crate::protocol::sip::message::{Method, Response, name, reason};
use crate::protocol::sip::slip::{Reply, SlipId};
use crate::protocol::sip::transaction::{
    ClientStep, Finish, InviteClient, PATIENCE, RequestClient,
};
use crate::protocol::sip::{LegId, Peer, Transmit};
use serde::{Deserialize, Serialize};
use std::sync::Arc;

/// RFC 3326: a phone that was not picked up has missed nothing.
const ELSEWHERE: &str = "SIP;cause=200;text=\"Call completed elsewhere\"";

/// The branch of our Via; a CANCEL shares its INVITE's.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct ClientKey {
    branch: Name,
    cancel: bool,
}

impl ClientKey {
    fn of(branch: &[u8], cancel: bool) -> Self {
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
    sent: Arc<Transmit>,
    /// It went by TCP for its size alone.
    grown: bool,
    /// The ACK to its refusal.
    ack: Option<Transmit>,
    /// The ACK to each 2xx, by remote tag.
    pub acks: Vec<(Vec<u8>, Transmit)>,
    /// Nobody waits for its answer any more, and it is not kept for ever.
    left: Option<Mono>,
}

/// A client transaction about to begin.
struct Opening {
    draft: Draft,
    branch: String,
    purpose: Purpose,
    proof: Proof,
    sent: Transmit,
    grown: bool,
}

impl Client {
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
    fn retire(&mut self, now: Now) {
        let reliable = self.draft.peer.transport.is_reliable();
        self.machine = Machine::Invite(InviteClient::adopt(reliable, now.mono));
        self.purpose = Purpose::Orphan;
        self.left = Some(now.mono + 2 * PATIENCE);
    }

    fn handle_response(&mut self, status: u16, now: Now) {
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

    fn handle_timeout(&mut self, now: Now) {
        match &mut self.machine {
            Machine::Invite(machine) => machine.handle_timeout(now.mono),
            Machine::Request(machine) => machine.handle_timeout(now.mono),
        }
    }

    fn handle_unreachable(&mut self) {
        match &mut self.machine {
            Machine::Invite(machine) => machine.handle_unreachable(),
            Machine::Request(machine) => machine.handle_unreachable(),
        }
    }

    fn poll(&mut self) -> Option<ClientStep> {
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

impl Endpoint {
    /// Sends a request, with credentials where a nonce of the PBX can be used again.
    pub(super) fn start_client(
        &mut self,
        mut draft: Draft,
        purpose: Purpose,
        now: Now,
    ) -> ClientKey {
        let proof = match purpose {
            Purpose::Invite { .. } if draft.peer.addr != self.account.pbx.addr => Proof::None,
            Purpose::Register { .. }
            | Purpose::Invite { .. }
            | Purpose::Offer { trusted: true, .. } => {
                self.wallet.reuse(&mut draft, &self.account, &mut self.random)
            }
            Purpose::Cancel
            | Purpose::Orphan
            | Purpose::Options { .. }
            | Purpose::Prack { .. }
            | Purpose::Notify { .. }
            | Purpose::Offer { trusted: false, .. }
            | Purpose::Info { .. }
            | Purpose::Slip { .. }
            | Purpose::Bye { .. } => Proof::None,
        };
        self.start_proved(draft, purpose, proof, now)
    }

    pub(super) fn start_proved(
        &mut self,
        mut draft: Draft,
        purpose: Purpose,
        proof: Proof,
        now: Now,
    ) -> ClientKey {
        let nonce = self.random.token();
        let branch = self.marks.branch(&nonce, &draft.call_id, draft.cseq);
        if matches!(purpose, Purpose::Slip { .. }) {
            self.fit_slip(&mut draft, &branch);
        }
        let mut sent = draft.write(&self.account, &branch);
        let grown = self.grow(&mut draft, sent.bytes.len(), now);
        if grown {
            sent = draft.write(&self.account, &branch);
        }
        let opening = Opening { draft, branch, purpose, proof, sent, grown };
        self.open_client(opening, now)
    }

    pub(super) fn start_cancel(&mut self, invite: &ClientKey, now: Now) {
        let Some(client) = self.clients.get(invite) else { return };
        let (mut draft, branch) = (Draft::clone(&client.draft), client.branch.clone());
        draft.method = Method::Cancel;
        let taken =
            client.purpose.leg().and_then(|leg| self.legs.get(leg)).is_some_and(|l| l.taken);
        let sent = draft.cancel(&self.account, &branch, taken.then_some(ELSEWHERE));
        let (purpose, proof, grown) = (Purpose::Cancel, Proof::None, false);
        self.open_client(Opening { draft, branch, purpose, proof, sent, grown }, now);
    }

    fn open_client(&mut self, opening: Opening, now: Now) -> ClientKey {
        let Opening { draft, branch, purpose, proof, sent, grown } = opening;
        let reliable = draft.peer.transport.is_reliable();
        let machine = if draft.method == Method::Invite {
            Machine::Invite(InviteClient::start(reliable, now.mono))
        } else {
            Machine::Request(RequestClient::start(reliable, now.mono))
        };
        let key = ClientKey::of(branch.as_bytes(), draft.method == Method::Cancel);
        let (ack, acks) = (None, vec![]);
        let (draft, sent) = (Arc::new(draft), Arc::new(sent));
        let client =
            Client { machine, draft, branch, purpose, proof, sent, grown, ack, acks, left: None };
        self.clients.insert(key.clone(), client);
        self.run_client(&key, None, now);
        key
    }

    pub(super) fn on_response(
        &mut self,
        response: Response,
        from: Peer,
        now: Now,
    ) -> Result<(), &'static str> {
        let local = self.account.local;
        if response.via.port.unwrap_or(5060) != local.port()
            || response.via.host.parse() != Ok(local.ip())
        {
            return Err("response to somebody else");
        }
        let branch = response.via.branch().unwrap_or_default();
        let key = ClientKey::of(branch, response.cseq.method == "CANCEL");
        let fits = |client: &&mut Client| {
            name(client.draft.method) == response.cseq.method
                && client.draft.cseq == response.cseq.number
                && client.draft.call_id == response.call_id
        };
        let known = self.clients.get(&key).is_some() || self.adopt(&key, &response, from, now);
        let client = self.clients.get_mut(&key).filter(|_| known);
        let Some(client) = client.filter(fits) else {
            return Err("response to no request of ours");
        };
        if response.status >= 300 && client.draft.method == Method::Invite {
            let to = response.wire.header("to").unwrap_or_default();
            client.ack = Some(client.draft.ack(&self.account, &client.branch, to));
        }
        client.handle_response(response.status, now);
        let asked = client.draft.peer;
        self.route.handle_heard(asked);
        self.run_client(&key, Some((&response, from)), now);
        Ok(())
    }

    fn run_client(&mut self, key: &ClientKey, response: Option<(&Response, Peer)>, now: Now) {
        if let Some(leg) = self.clients.get(key).and_then(|client| client.purpose.leg()) {
            self.legs.touch(leg);
        }
        while let Some(client) = self.clients.get_mut(key) {
            match client.poll() {
                None => return,
                Some(ClientStep::Send) => {
                    let request = Transmit::clone(&client.sent);
                    self.transmit(request);
                }
                Some(ClientStep::SendAck) => {
                    if let Some(ack) = client.ack.clone() {
                        self.transmit(ack);
                    }
                }
                Some(ClientStep::Deliver) => {
                    if let Some((response, from)) = response {
                        self.deliver(key, response, from, now);
                    }
                }
                Some(ClientStep::Finish(finish)) => {
                    if let Some(client) = self.clients.remove(key) {
                        self.on_client_gone(key, &client, finish, now);
                    }
                }
            }
        }
    }

    fn deliver(&mut self, key: &ClientKey, response: &Response, from: Peer, now: Now) {
        let Some(client) = self.clients.get(key) else { return };
        let purpose = client.purpose;
        if matches!(response.status, 401 | 407) && self.prove(key, response, from, now) {
            return;
        }
        match purpose {
            Purpose::Register { expires } if response.status >= 200 => {
                self.on_registrar_response(expires, response, now);
            }
            Purpose::Invite { leg } => self.on_invite_response(key, leg, response, now),
            Purpose::Orphan => self.on_orphan_response(key, response, now),
            Purpose::Offer { leg, .. } => self.on_offer_response(key, leg, response, now),
            Purpose::Prack { leg, .. } if response.status >= 200 => {
                let tag = response.to_tag.clone().unwrap_or_default();
                self.on_prack_over(leg, &tag, now);
            }
            Purpose::Bye { leg, .. } if response.status >= 200 => self.on_bye_over(leg),
            Purpose::Notify { leg, .. } if response.status >= 200 => {
                self.on_notify_over(leg, response.status, now);
            }
            Purpose::Options { peer } => {
                self.on_options_answer(key, peer, response.status, now);
            }
            Purpose::Slip { slip } => self.on_slip_response(slip, response.status),
            Purpose::Register { .. }
            | Purpose::Prack { .. }
            | Purpose::Notify { .. }
            | Purpose::Bye { .. }
            | Purpose::Info { .. }
            | Purpose::Cancel => {}
        }
    }

    /// A transaction ended; without a final response its user has not heard of it yet.
    fn on_client_gone(&mut self, key: &ClientKey, client: &Client, finish: Finish, now: Now) {
        let status = match finish {
            Finish::Done => return,
            Finish::TimedOut => 408,
            Finish::Unreachable if client.grown => return self.shrink(client, now),
            Finish::Unreachable => 503,
        };
        match client.purpose {
            Purpose::Register { expires } => self.on_registrar_silent(expires, status, now),
            Purpose::Invite { leg } => {
                self.on_call_refused(leg, status, reason(status).to_owned(), now);
            }
            Purpose::Offer { leg, .. } => self.on_offer_gone(key, leg, status, now),
            Purpose::Prack { leg, .. } => {
                let tag = client.draft.to_tag().unwrap_or_default();
                self.on_prack_over(leg, &tag, now);
            }
            Purpose::Bye { leg, .. } => self.on_bye_over(leg),
            Purpose::Notify { leg, .. } => self.on_notify_over(leg, status, now),
            Purpose::Slip { slip } if status == 408 => self.on_slip_over(slip, Reply::Silence),
            Purpose::Slip { slip } => self.on_slip_over(slip, Reply::NotSent("unreachable")),
            // The route has its own patience; on a key nothing depends.
            Purpose::Cancel | Purpose::Orphan | Purpose::Options { .. } | Purpose::Info { .. } => {}
        }
    }

    /// It went out again in another transaction.
    pub(super) fn set_client(&mut self, purpose: Purpose, again: ClientKey) {
        match purpose {
            Purpose::Invite { leg } => self.set_call_client(leg, again),
            Purpose::Offer { leg, .. } => self.set_offer_client(leg, again),
            Purpose::Slip { slip } => self.set_slip_client(slip, again),
            Purpose::Register { .. }
            | Purpose::Orphan
            | Purpose::Options { .. }
            | Purpose::Prack { .. }
            | Purpose::Info { .. }
            | Purpose::Notify { .. }
            | Purpose::Bye { .. }
            | Purpose::Cancel => {}
        }
    }

    pub(super) fn retire_invite(&mut self, key: &ClientKey, now: Now) {
        if let Some(mut client) = self.clients.remove(key) {
            client.retire(now);
            self.clients.insert(key.clone(), client);
        }
    }

    pub(super) fn leave_client(&mut self, key: &ClientKey, now: Now) {
        if let Some(client) = self.clients.get_mut(key) {
            client.left = Some(now.mono + PATIENCE);
        }
    }

    pub(super) fn clients_timeout(&mut self, now: Now) {
        for key in self.clients.due(now.mono) {
            let Some(client) = self.clients.get_mut(&key) else { continue };
            if client.left.is_some_and(|left| left <= now.mono) {
                self.forget_client(&key);
                continue;
            }
            client.handle_timeout(now);
            self.run_client(&key, None, now);
        }
    }

    pub(super) fn clients_unreachable(&mut self, peer: Peer, now: Now) {
        for key in self.clients.names(|client| client.draft.peer == peer) {
            let Some(client) = self.clients.get_mut(&key) else { continue };
            client.handle_unreachable();
            self.run_client(&key, None, now);
        }
    }

    /// Whatever becomes of it.
    pub(super) fn forget_client(&mut self, key: &ClientKey) {
        let leg = self.clients.remove(key).and_then(|client| client.leg());
        leg.into_iter().for_each(|leg| self.legs.touch(leg));
    }
}
