//! Server transactions of an endpoint: matching (RFC 3261 §17.2.3) and replying.

use super::Endpoint;
use super::table::Transaction;
use crate::protocol::name::Name;
use crate::protocol::now::{Deadline, Now};
use crate::protocol::sip::draft;
use crate::protocol::sip::message::{ACCEPTED, ALLOW, Method, ReplySeed, Request, SDP, SUPPORTED};
use crate::protocol::sip::transaction::{InviteServer, RequestServer, ServerStep};
use crate::protocol::sip::wire::Writer;
use crate::protocol::sip::{AorId, LegId, Peer, Transmit};
use serde::{Deserialize, Serialize};
use std::sync::Arc;

/// Seconds after which an overloaded or busy endpoint may be asked again.
const RETRY_AFTER: u32 = 5;
const INVITE: &[u8] = b"INVITE";
/// Bytes of a request that a transaction is kept for where none need be: of larger ones a flood would fill the memory.
const KEPT_MAX: usize = 4096;
/// Losses after which an answer is not said again to the same place.
const LOST_MAX: u8 = 2;

/// §17.2.3: branch, sent-by and method; for a peer of RFC 2543 all that it identifies a
/// transaction by.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct ServerKey {
    sender: Name,
    method: Name,
}

impl ServerKey {
    pub fn of(request: &Request) -> Self {
        let via = &request.via;
        let branch = match via.branch() {
            Some(branch) if branch.starts_with(b"z9hG4bK") && branch.len() > 7 => branch.to_vec(),
            Some(_) | None => {
                let from = request.from_tag.as_deref().unwrap_or_default();
                let number = request.cseq.to_string();
                [&via.raw, &request.uri, &request.call_id, from, number.as_bytes()].join(&b' ')
            }
        };
        let port = via.port.map_or(-1, i32::from);
        let ends = [port.to_le_bytes(), (branch.len() as u32).to_le_bytes()].concat();
        let method = match request.method {
            Some(Method::Ack) => INVITE,
            Some(_) | None => request.method_name.as_bytes(),
        };
        let sender = Name::of([branch.as_slice(), via.host.as_bytes(), &ends].concat());
        Self { sender, method: Name::of(method) }
    }

    /// The INVITE that a CANCEL means.
    pub fn cancelled(mut self) -> Self {
        self.method = Name::of(INVITE);
        self
    }
}

/// §8.2.2.2: Call-ID, From tag and CSeq of a request that came by more than one path.
pub type MergeKey = (Name, Vec<u8>, u32);

pub fn merge_key(request: &Request) -> MergeKey {
    let tag = request.from_tag.clone().unwrap_or_default();
    (Name::of(request.call_id.as_slice()), tag, request.cseq)
}

#[derive(Debug, Clone, Serialize, Deserialize)]
pub enum Machine {
    Invite(InviteServer),
    Request(RequestServer),
}

#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Server {
    machine: Machine,
    seed: Arc<ReplySeed>,
    pub peer: Peer,
    pub leg: Option<LegId>,
    /// Ours, for To.
    tag: Vec<u8>,
    last: Vec<u8>,
    pub opening: Option<MergeKey>,
    /// Where its answers go, where that is not where it came from.
    #[serde(default)]
    back: Option<Peer>,
    /// How often the connection that its answers go over was lost.
    #[serde(default)]
    lost: u8,
}

impl Server {
    pub fn handle_request(&mut self) {
        match &mut self.machine {
            Machine::Invite(machine) => machine.handle_request(),
            Machine::Request(machine) => machine.handle_request(),
        }
    }

    /// Where its answers go.
    pub fn back(&self) -> Peer {
        self.back.unwrap_or(self.peer)
    }

    /// From now on they go to the port that its sender named; false where that has been in vain.
    pub fn goes_by_its_name(&mut self) -> bool {
        let gone = self.back();
        let mut there = gone;
        there.addr.set_port(self.seed.sent_by_port().unwrap_or(gone.transport.default_port()));
        self.back = Some(there);
        self.lost = self.lost.saturating_add(1);
        there != gone || self.lost <= LOST_MAX
    }

    /// What its sender may not have got with the connection that it came over.
    pub fn unheard(&self) -> Option<Transmit> {
        let waits = match &self.machine {
            Machine::Invite(machine) => machine.is_waited_for(),
            Machine::Request(_) => false,
        };
        let last = || Transmit { to: self.back(), bytes: self.last.clone() };
        (waits && !self.last.is_empty()).then(last)
    }

    fn handle_reply(&mut self, status: u16, now: Now) -> bool {
        match &mut self.machine {
            Machine::Invite(machine) => machine.handle_reply(status, now.mono),
            Machine::Request(machine) => machine.handle_reply(status, now.mono),
        }
    }

    /// Whether the INVITE still waits for its final response.
    pub fn is_proceeding(&self) -> bool {
        match &self.machine {
            Machine::Invite(machine) => machine.is_proceeding(),
            Machine::Request(_) => false,
        }
    }

    fn poll(&mut self) -> Option<ServerStep> {
        match &mut self.machine {
            Machine::Invite(machine) => machine.poll(),
            Machine::Request(machine) => machine.poll(),
        }
    }
}

impl Transaction for Server {
    fn leg(&self) -> Option<LegId> {
        self.leg
    }

    fn poll_timeout(&self) -> Option<Deadline> {
        match &self.machine {
            Machine::Invite(machine) => machine.poll_timeout(),
            Machine::Request(machine) => machine.poll_timeout(),
        }
    }
}

impl Endpoint {
    pub(super) fn open_server(
        &mut self,
        request: &Request,
        from: Peer,
        leg: Option<LegId>,
        tag: Vec<u8>,
    ) -> ServerKey {
        let key = ServerKey::of(request);
        let reliable = from.transport.is_reliable();
        let invite = request.method == Some(Method::Invite);
        let machine = if invite {
            Machine::Invite(InviteServer::start(reliable))
        } else {
            Machine::Request(RequestServer::start(reliable))
        };
        let opens = invite && request.to_tag.is_none() && request.fault.is_none();
        let opening = opens.then(|| merge_key(request));
        if let Some(merge) = &opening {
            self.opening.insert(merge.clone(), key.clone());
        }
        let seed = Arc::new(request.reply_seed(from.addr));
        let back = Some(request.returns_to(from)).filter(|back| *back != from);
        let server =
            Server { machine, seed, peer: from, leg, tag, last: vec![], opening, back, lost: 0 };
        self.servers.insert(key.clone(), server);
        key
    }

    /// Answers within the transaction; what was sent, unless it was too late for this status.
    pub(super) fn reply(
        &mut self,
        key: &ServerKey,
        status: u16,
        headers: Vec<(&'static str, Vec<u8>)>,
        sdp: Option<Vec<u8>>,
        now: Now,
    ) -> Option<Transmit> {
        let server = self.servers.get_mut(key)?;
        let mut writer = server.seed.reply(status, &server.tag);
        if key.method.bytes() == INVITE && (101..300).contains(&status) {
            writer.list("Record-Route", server.seed.record_route().iter().map(Vec::as_slice));
        }
        if matches!(key.method.bytes(), b"INVITE" | b"UPDATE" | b"REFER")
            && (101..300).contains(&status)
        {
            let contact = match server.leg.and_then(|leg| self.legs.dialog(leg)) {
                Some(dialog) => dialog.contact(&self.account),
                None if self.account.trusts(server.peer.addr.ip()) => {
                    draft::contact(&self.account, AorId::default())
                }
                None => draft::contact_by(&self.account, AorId::default(), server.peer.transport),
            };
            writer.header("Contact", contact).header("Allow", ALLOW);
            writer.header("Supported", SUPPORTED);
        }
        let bytes = finish(writer, status, &headers, &self.account.agent, sdp.as_deref());
        if !server.handle_reply(status, now) {
            return None;
        }
        server.last = bytes.clone();
        let transmit = Transmit { to: server.back(), bytes };
        self.run_server(key);
        Some(transmit)
    }

    /// A final answer to a request that needs nothing more; without a transaction when there are
    /// too many.
    pub(super) fn respond(&mut self, request: &Request, from: Peer, status: u16, now: Now) {
        let headers = match status {
            420 => vec![("Unsupported", request.unsupported())],
            _ => vec![],
        };
        self.respond_with(request, from, status, headers, now);
    }

    /// 500 to a request that comes at the wrong moment (RFC 3261 §14.2, RFC 3311 §5.2).
    pub(super) fn respond_later(&mut self, request: &Request, from: Peer, now: Now) {
        let wait = self.random.below(11).to_string().into_bytes();
        self.respond_with(request, from, 500, vec![("Retry-After", wait)], now);
    }

    /// RFC 4028 §9.
    pub(super) fn respond_too_brief(
        &mut self,
        request: &Request,
        from: Peer,
        least: u32,
        now: Now,
    ) {
        let headers = vec![("Min-SE", least.to_string().into_bytes())];
        self.respond_with(request, from, 422, headers, now);
    }

    pub(super) fn respond_with(
        &mut self,
        request: &Request,
        from: Peer,
        status: u16,
        headers: Vec<(&'static str, Vec<u8>)>,
        now: Now,
    ) {
        if self.is_busy() || request.wire.size() > KEPT_MAX {
            return self.respond_once(request, from, status, &headers);
        }
        let tag = self.random.token().into_bytes();
        let key = self.open_server(request, from, None, tag);
        self.reply(&key, status, headers, None, now);
    }

    /// Keeps nothing of it: a request that comes again is answered again, and alike (§8.2.7).
    pub(super) fn respond_once(
        &mut self,
        request: &Request,
        from: Peer,
        status: u16,
        headers: &[(&'static str, Vec<u8>)],
    ) {
        let tag = self.marks.tag(request.via.branch().unwrap_or_default()).into_bytes();
        let writer = request.reply_seed(from.addr).reply(status, &tag);
        let bytes = finish(writer, status, headers, &self.account.agent, None);
        self.transmit(Transmit { to: request.returns_to(from), bytes });
    }

    pub(super) fn run_server(&mut self, key: &ServerKey) {
        if let Some(leg) = self.servers.get(key).and_then(|server| server.leg) {
            self.legs.touch(leg);
        }
        while let Some(server) = self.servers.get_mut(key) {
            match server.poll() {
                None => return,
                Some(ServerStep::Send) => {
                    let again = Transmit { to: server.back(), bytes: server.last.clone() };
                    self.transmit(again);
                }
                Some(ServerStep::Finish(_)) => {
                    if let Some(merge) = self.servers.remove(key).and_then(|s| s.opening) {
                        self.opening.remove(&merge);
                    }
                }
            }
        }
    }

    pub(super) fn servers_timeout(&mut self, now: Now) {
        for key in self.servers.due(now.mono) {
            match self.servers.get_mut(&key).map(|server| &mut server.machine) {
                Some(Machine::Invite(machine)) => machine.handle_timeout(now.mono),
                Some(Machine::Request(machine)) => machine.handle_timeout(now.mono),
                None => {}
            }
            self.run_server(&key);
        }
    }

    /// An ACK belongs to the refusal of its transaction (§17.1.1.3), else to a dialog's 2xx.
    pub(super) fn on_ack(&mut self, key: &ServerKey, request: &Request, from: Peer, now: Now) {
        match self.servers.get_mut(key).map(|server| &mut server.machine) {
            Some(Machine::Invite(machine)) => {
                machine.handle_ack(now.mono);
                self.run_server(key);
            }
            Some(Machine::Request(_)) | None => {}
        }
        if request.fault.is_some() {
            return self.drop_message(from, "malformed ACK");
        }
        self.on_session_ack(request, now);
    }

    /// §9.2.
    pub(super) fn on_cancel(&mut self, request: &Request, from: Peer, now: Now) {
        let key = ServerKey::of(request).cancelled();
        let same = |server: &&Server| server.peer.addr.ip() == from.addr.ip();
        let Some(server) = self.servers.get(&key).filter(same) else {
            return self.respond(request, from, 481, now);
        };
        let (proceeding, leg) = (server.is_proceeding(), server.leg);
        self.respond(request, from, 200, now);
        if proceeding {
            self.reply(&key, 487, vec![], None, now);
            if let Some(leg) = leg {
                let elsewhere = request.is_completed_elsewhere();
                self.on_invite_cancelled(leg, &key, elsewhere, now);
            }
        }
    }

    /// An INVITE that there is no room for.
    pub(super) fn respond_overloaded(&mut self, request: &Request, from: Peer) {
        self.respond_once(request, from, 503, &[]);
        self.drop_message(from, "too many calls");
    }
}

/// The headers that belong to a status (§20.5, §21.4.13, §21.4.15), and the end.
fn finish(
    mut writer: Writer,
    status: u16,
    headers: &[(&'static str, Vec<u8>)],
    agent: &str,
    sdp: Option<&[u8]>,
) -> Vec<u8> {
    match status {
        405 | 501 => {
            writer.header("Allow", ALLOW);
        }
        406 | 415 => {
            writer.header("Accept", ACCEPTED);
        }
        489 => {
            writer.header("Allow-Events", "message-summary");
        }
        500 | 503 if !headers.iter().any(|(name, _)| *name == "Retry-After") => {
            writer.header("Retry-After", RETRY_AFTER.to_string());
        }
        _ => {}
    }
    for (name, value) in headers {
        writer.header(name, value);
    }
    if status != 100 {
        writer.header("Server", agent);
    }
    writer.finish(sdp.map(|sdp| (SDP, sdp)))
}
