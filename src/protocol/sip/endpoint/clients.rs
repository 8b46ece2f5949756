//! What an endpoint does with its client transactions: matching (RFC 3261 §17.1.3), and who learns the outcome.

use super::Endpoint;
use super::client::{Client, ClientKey, Opening, Proof, Purpose};
use super::table::Transaction;
use crate::protocol::now::Now;
use crate::protocol::sip::draft::Draft;
use crate::protocol::sip::message::{Method, Response, name, reason};
use crate::protocol::sip::slip::Reply;
use crate::protocol::sip::transaction::{ClientStep, Finish, PATIENCE};
use crate::protocol::sip::{Peer, Transmit};

/// RFC 3326: a phone that was not picked up has missed nothing.
const ELSEWHERE: &str = "SIP;cause=200;text=\"Call completed elsewhere\"";

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
                let aor = draft.aor;
                let wallet = &mut self.registrars.of_mut(aor).wallet;
                wallet.reuse(&mut draft, self.account.credentials(aor), &mut self.random)
            }
            Purpose::Cancel
            | Purpose::Trial
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
        let cancel = opening.draft.method == Method::Cancel;
        let key = ClientKey::of(opening.branch.as_bytes(), cancel);
        let client = Client::start(opening, now);
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
        let (purpose, aor) = (client.purpose, client.draft.aor);
        if matches!(response.status, 401 | 407) && self.prove(key, response, from, now) {
            return;
        }
        match purpose {
            Purpose::Register { expires } if response.status >= 200 => {
                self.on_registrar_response(aor, expires, response, now);
            }
            Purpose::Trial if response.status >= 200 => self.on_trial_response(aor, response, now),
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
            Purpose::Options { peer } => self.on_options_answer(key, peer, response, now),
            Purpose::Slip { slip } => self.on_slip_response(slip, response.status),
            Purpose::Register { .. }
            | Purpose::Trial
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
        let draft = || Draft::clone(&client.draft);
        match client.purpose {
            Purpose::Register { expires } => {
                self.on_registrar_silent(client.draft.aor, expires, status, now);
            }
            Purpose::Trial => self.on_trial_silent(status, now),
            Purpose::Invite { leg } if status == 503 && self.sends_elsewhere(draft(), leg, now) => {
            }
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
            | Purpose::Trial
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
