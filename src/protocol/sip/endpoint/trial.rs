//! REGISTER to an address of the PBX that the line does not use, beside the bindings that it has: it goes there when all of
//! them are granted (RFC 3261 §10.2).

use super::Endpoint;
use super::client::{Client, Purpose};
use super::registrar::granted;
use super::wallet::Wallet;
use crate::protocol::now::Now;
use crate::protocol::sip::message::{Response, reason};
use crate::protocol::sip::{AorId, Event, Peer};

/// What was asked there and is not granted yet.
#[derive(Debug)]
pub struct Trial {
    peer: Peer,
    /// Its nonces are its own, and its realm may be.
    asked: Vec<(AorId, Wallet)>,
}

impl Trial {
    pub fn wallet(&mut self, aor: AorId) -> Option<&mut Wallet> {
        self.asked.iter_mut().find(|(asked, _)| *asked == aor).map(|(_, wallet)| wallet)
    }
}

impl Endpoint {
    /// For every number that has its binding where we are, or had it and is refused there: one whose password was never
    /// good is refused everywhere.
    pub(super) fn try_at(&mut self, peer: Peer, now: Now) {
        self.end_trial();
        if self.account.expires == 0 {
            return self.route.handle_tried(peer, true, now.mono);
        }
        let wanted = |aor: &AorId| self.registrars.is_wanted_elsewhere(*aor);
        let mut aors: Vec<AorId> = self.account.aors().filter(wanted).collect();
        if aors.is_empty() {
            aors.push(AorId::default());
        }
        let asked = aors.iter().map(|aor| (*aor, Wallet::new(&self.account))).collect();
        self.trial = Some(Trial { peer, asked });
        for aor in aors {
            let register = self.draft_register(aor, peer, self.account.expires);
            self.start_client(register, Purpose::Trial, now);
        }
    }

    pub(super) fn on_trial_response(&mut self, aor: AorId, response: &Response, now: Now) {
        let serves = match response.status {
            200..300 => granted(&self.account, response, self.account.expires) > 0,
            // It would, for longer.
            status => status == 423,
        };
        if !serves {
            return self.on_trial_failed(response.status, response.reason(), now);
        }
        let Some(trial) = &mut self.trial else { return };
        trial.asked.retain(|(asked, _)| *asked != aor);
        if trial.asked.is_empty() {
            let peer = trial.peer;
            self.end_trial();
            self.route.handle_tried(peer, true, now.mono);
            self.run_route(now);
        }
    }

    /// Timer F or a dead transport.
    pub(super) fn on_trial_silent(&mut self, status: u16, now: Now) {
        self.on_trial_failed(status, reason(status).to_owned(), now);
    }

    fn on_trial_failed(&mut self, status: u16, reason: String, now: Now) {
        let Some(peer) = self.trial.as_ref().map(|trial| trial.peer) else { return };
        self.end_trial();
        self.route.handle_tried(peer, false, now.mono);
        self.report(Event::NotMoved { to: peer, status, reason });
    }

    /// Nobody waits for its answers any more.
    pub(super) fn end_trial(&mut self) {
        if self.trial.take().is_some() {
            self.clients.forget(|client: &Client| client.purpose == Purpose::Trial);
        }
    }

    /// The address in use refuses what another may grant.
    pub(super) fn on_register_refused(&mut self, aor: AorId, now: Now) {
        self.registrars.of_mut(aor).refused = true;
        self.route.handle_refused(now.mono);
        self.run_route(now);
    }
}
