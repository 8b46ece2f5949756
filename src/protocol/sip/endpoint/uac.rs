//! Calls of ours, until they are sessions (RFC 3261 §9.1, §13.2).

use super::Endpoint;
use super::clients::{ClientKey, Purpose};
use super::legs::{Cancel, Leg, State};
use crate::protocol::now::Now;
use crate::protocol::sip::address::Uri;
use crate::protocol::sip::dialog::Dialog;
use crate::protocol::sip::draft::{self, Draft};
use crate::protocol::sip::message::{ALLOW, Method, Response, SDP, reason};
use crate::protocol::sip::transaction::PATIENCE;
use crate::protocol::sip::{Event, LegId, Outgoing};

/// Forks of one call that may answer with a 2xx of their own.
const FORKS_MAX: usize = 16;

impl Endpoint {
    pub(super) fn place_call(&mut self, call: Outgoing, now: Now) -> LegId {
        let leg = self.legs.new_id();
        let tag = self.random.token();
        let invite = self.draft_invite(&call, &tag);
        if Uri::parse(&invite.uri).is_none() {
            let reason = "the target cannot be dialled".to_owned();
            self.report(Event::Refused { leg, status: 404, reason });
            return leg;
        }
        if self.is_full() || !self.account.pbx.is_somewhere() {
            self.report(Event::Refused { leg, status: 503, reason: reason(503).to_owned() });
            return leg;
        }
        let call_id = invite.call_id.clone();
        let client = self.start_client(invite, Purpose::Invite { leg }, now);
        let state = State::Calling { client, cancel: Cancel::No };
        self.legs.insert(leg, Leg::new(state, call_id, tag.into_bytes(), None));
        leg
    }

    fn draft_invite(&mut self, call: &Outgoing, tag: &str) -> Draft {
        let account = &self.account;
        let is_uri = ["sip:", "sips:", "tel:"].iter().any(|scheme| call.target.starts_with(scheme));
        let target = match is_uri {
            true => call.target.clone(),
            false => draft::number_uri(account, &call.target),
        };
        let user = call.from_user.as_ref().unwrap_or(&account.user);
        let from = draft::name_addr(&call.display, &draft::number_uri(account, user));
        let mut headers = vec![
            ("Contact".to_owned(), draft::contact(account).into_bytes()),
            ("Allow".to_owned(), ALLOW.into()),
        ];
        headers
            .extend(call.headers.iter().map(|(name, value)| (name.clone(), value.clone().into())));
        Draft {
            method: Method::Invite,
            peer: account.pbx,
            from: format!("{from};tag={tag}").into_bytes(),
            to: draft::name_addr("", &target).into_bytes(),
            uri: target.into_bytes(),
            call_id: self.random.token().into_bytes(),
            cseq: 1,
            routes: vec![],
            headers,
            body: Some((SDP.to_owned(), call.sdp.clone())),
        }
    }

    pub(super) fn on_invite_response(
        &mut self,
        key: &ClientKey,
        leg: LegId,
        response: &Response,
        now: Now,
    ) {
        match response.status {
            ..200 => self.on_progress(leg, response, now),
            200..300 => self.on_answered(key, leg, response, now),
            // A challenge to a call nobody wants any more.
            401 | 407 if self.is_call_cancelled(leg) => {
                self.on_call_refused(leg, 487, reason(487).to_owned());
            }
            300.. => self.on_call_refused(leg, response.status, response.reason()),
        }
    }

    fn on_progress(&mut self, id: LegId, response: &Response, now: Now) {
        let Some(leg) = self.legs.get_mut(id) else { return };
        if let Some(tag) = &response.to_tag {
            leg.note_early(tag);
        }
        let first = !std::mem::replace(&mut leg.heard, true);
        let State::Calling { client, cancel } = &mut leg.state else { return };
        match cancel {
            Cancel::Sent { .. } => {}
            Cancel::Wanted => {
                *cancel = Cancel::Sent { give_up: now.mono + PATIENCE };
                let client = client.clone();
                self.start_cancel(&client, now);
            }
            Cancel::No if response.status > 100 || first => {
                let (status, sdp) = (response.status, response.sdp());
                self.report(Event::Progress { leg: id, status, sdp });
            }
            Cancel::No => {}
        }
    }

    /// §13.2.2.4: every 2xx is acknowledged each time it comes; the first makes the session, those
    /// of other forks are ended.
    fn on_answered(&mut self, key: &ClientKey, id: LegId, response: &Response, now: Now) {
        let Some(client) = self.clients.get_mut(key) else { return };
        let tag = response.to_tag.clone().unwrap_or_default();
        if let Some((_, ack)) = client.acks.iter().find(|(known, _)| *known == tag) {
            let ack = ack.clone();
            return self.transmit(ack);
        }
        if client.acks.len() >= FORKS_MAX {
            return;
        }
        let mut dialog = Dialog::of_client(&client.draft, response);
        let trusted = dialog.ends_at_pbx(&self.account);
        let mut ack = dialog.ack(client.draft.cseq, &self.account);
        if trusted {
            let proofs = client.draft.headers.iter();
            ack.headers.extend(proofs.filter(|(name, _)| name.ends_with("Authorization")).cloned());
        }
        let branch = self.new_branch();
        let ack = ack.write(&self.account, &branch);
        if let Some(client) = self.clients.get_mut(key) {
            client.acks.push((tag, ack.clone()));
        }
        self.transmit(ack);
        match self.legs.get_mut(id) {
            Some(leg) if matches!(leg.state, State::Calling { .. }) => {
                leg.state = State::Established { confirmed: true };
                leg.dialog = Some(dialog);
                self.report(Event::Answered { leg: id, sdp: response.sdp() });
            }
            Some(_) | None => {
                let bye = dialog.request(Method::Bye, &self.account);
                self.start_client(bye, Purpose::Bye { leg: None, trusted }, now);
            }
        }
    }

    pub(super) fn on_call_refused(&mut self, id: LegId, status: u16, reason: String) {
        if matches!(self.legs.state(id), Some(State::Calling { .. })) {
            self.legs.remove(id);
            self.report(Event::Refused { leg: id, status, reason });
        }
    }

    pub(super) fn cancel_call(&mut self, id: LegId, now: Now) {
        let Some(leg) = self.legs.get_mut(id) else { return };
        let State::Calling { client, cancel: cancel @ Cancel::No } = &mut leg.state else { return };
        let client = client.clone();
        if self.clients.get(&client).is_some_and(|client| client.is_heard()) {
            *cancel = Cancel::Sent { give_up: now.mono + PATIENCE };
            self.start_cancel(&client, now);
        } else {
            *cancel = Cancel::Wanted;
        }
    }

    /// §9.1: neither our CANCEL nor our INVITE is ever answered.
    pub(super) fn forget_call(&mut self, id: LegId) {
        if let Some(State::Calling { client, .. }) = self.legs.state(id) {
            self.clients.remove(client);
        }
        self.on_call_refused(id, 487, "no answer to CANCEL".to_owned());
    }

    pub(super) fn is_call_cancelled(&self, id: LegId) -> bool {
        match self.legs.state(id) {
            Some(State::Calling { cancel: Cancel::Wanted | Cancel::Sent { .. }, .. }) => true,
            Some(
                State::Calling { cancel: Cancel::No, .. }
                | State::Ringing { .. }
                | State::Established { .. }
                | State::Closing { .. },
            )
            | None => false,
        }
    }

    /// The INVITE went out again with credentials.
    pub(super) fn set_call_client(&mut self, id: LegId, again: ClientKey) {
        if let Some(leg) = self.legs.get_mut(id)
            && let State::Calling { client, .. } = &mut leg.state
        {
            *client = again;
        }
    }
}
