//! Calls of ours, until they are sessions (RFC 3261 §9.1, §13.2).

use super::Endpoint;
use super::client::{ClientKey, Purpose};
use super::elsewhere::send_to;
use super::legs::{Cancel, Leg, State};
use crate::protocol::now::Now;
use crate::protocol::sip::address::Uri;
use crate::protocol::sip::dialog::Dialog;
use crate::protocol::sip::draft::{self, Draft};
use crate::protocol::sip::message::{ALLOW, Method, Response, SDP, SUPPORTED, reason};
use crate::protocol::sip::session_timer::SessionTimer;
use crate::protocol::sip::transaction::PATIENCE;
use crate::protocol::sip::{Account, Event, LegId, Outgoing, Peer};

/// Forks of one call that may answer with a 2xx of their own.
const FORKS_MAX: usize = 16;
const CSEQ_MARGIN: u32 = 100;

impl Endpoint {
    pub(super) fn place_call(&mut self, call: Outgoing, now: Now) -> LegId {
        let leg = self.legs.new_id();
        let call_id = self.random.token().into_bytes();
        let tag = self.marks.tag(&call_id);
        let mut timer = SessionTimer::new(self.account.session_expires);
        let mut invite = self.draft_invite(&call, (&call_id, &tag), &mut timer);
        let phone = self.phones.as_ref().and_then(|phones| phones.place(&call.target, now.mono));
        let hop = phone.map(|(uri, peer)| direct(&mut invite, uri, peer, &self.account));
        if Uri::parse(&invite.uri).is_none() {
            let reason = "the target cannot be dialled".to_owned();
            self.report(Event::Refused { leg, status: 404, reason });
            return leg;
        }
        if self.is_full() || !invite.peer.is_somewhere() {
            self.report(Event::Refused { leg, status: 503, reason: reason(503).to_owned() });
            return leg;
        }
        let client = self.start_client(invite, Purpose::Invite { leg }, now);
        let state = State::Calling { client, cancel: Cancel::No };
        let mut calling = Leg::new(state, (call_id, tag.into_bytes()), None, timer);
        calling.exchange.say(Some(&call.sdp));
        calling.phone = hop;
        calling.silent = self.silent_from(hop, now);
        self.legs.insert(leg, calling, now.mono);
        leg
    }

    fn draft_invite(
        &self,
        call: &Outgoing,
        (call_id, tag): (&[u8], &str),
        timer: &mut SessionTimer,
    ) -> Draft {
        let account = &self.account;
        let target = draft::target_uri(account, &call.target);
        let user = call.from_user.as_deref().unwrap_or(account.user_of(call.aor));
        let from = draft::name_addr(&call.display, &draft::number_uri(account, user));
        let mut headers = vec![
            ("Contact".to_owned(), draft::contact(account, call.aor).into_bytes()),
            ("Allow".to_owned(), ALLOW.into()),
            ("Supported".to_owned(), SUPPORTED.into()),
        ];
        headers.extend(timer.request(true));
        headers
            .extend(call.headers.iter().map(|(name, value)| (name.clone(), value.clone().into())));
        Draft {
            method: Method::Invite,
            aor: call.aor,
            peer: account.pbx,
            from: format!("{from};tag={tag}").into_bytes(),
            to: draft::name_addr("", &target).into_bytes(),
            uri: target.into_bytes(),
            call_id: call_id.to_vec(),
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
            ..200 => self.on_progress(key, leg, response, now),
            200..300 => self.on_answered(key, Some(leg), response, now),
            // A challenge to a call nobody wants any more.
            401 | 407 if self.is_call_cancelled(leg) => {
                self.on_call_refused(leg, 487, reason(487).to_owned(), now);
            }
            422 if self.ask_longer(key, leg, response, now) => {}
            503 if self.goes_elsewhere(key, leg, now) => {}
            300.. => self.on_call_refused(leg, response.status, response.reason(), now),
        }
    }

    /// §13.2.2.4: every 2xx is acknowledged each time it comes; the first makes the session, those
    /// of other forks are ended.
    pub(super) fn on_answered(
        &mut self,
        key: &ClientKey,
        id: Option<LegId>,
        response: &Response,
        now: Now,
    ) {
        let Some(client) = self.clients.get_mut(key) else { return };
        let tag = response.to_tag.clone().unwrap_or_default();
        if let Some((_, ack)) = client.acks.iter().find(|(known, _)| *known == tag) {
            let ack = ack.clone();
            return self.transmit(ack);
        }
        if client.acks.len() >= FORKS_MAX {
            return;
        }
        let leg = id.and_then(|id| self.legs.get_mut(id));
        let (hop, fork) = leg.map_or((None, None), |leg| (leg.phone, leg.forks.take(&tag)));
        let (mut dialog, early) = match fork {
            Some(mut fork) => {
                fork.dialog.confirm(response);
                (fork.dialog, (fork.sdp, fork.answered))
            }
            None => (Dialog::of_client(&client.draft, response, hop), (None, false)),
        };
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
        match id.and_then(|id| Some((id, self.legs.get_mut(id)?))) {
            Some((id, leg)) if matches!(leg.state, State::Calling { .. }) => {
                leg.state = State::Established { confirmed: true };
                leg.dialog = Some(dialog);
                leg.timer.handle_2xx(&response.wire, now.mono);
                // RFC 6337 §3.1.1: the answer is the first reliable description of this very fork.
                let sdp = match early {
                    (Some(answer), true) => Some(answer),
                    (preview, _) => response.sdp().or(preview),
                };
                leg.exchange.heard(sdp.as_deref());
                self.report(Event::Answered { leg: id, sdp });
                self.pursue(id, now);
            }
            Some(_) | None => {
                // Above whatever was sent in its early dialog.
                dialog.local_cseq += CSEQ_MARGIN;
                let bye = dialog.request(Method::Bye, &self.account);
                self.start_client(bye, Purpose::Bye { leg: None, trusted }, now);
            }
        }
    }

    pub(super) fn on_call_refused(&mut self, id: LegId, status: u16, reason: String, now: Now) {
        if matches!(self.legs.state(id), Some(State::Calling { .. })) {
            self.drop_offer(id, now);
            self.legs.remove(id);
            self.report(Event::Refused { leg: id, status, reason });
        }
    }

    /// RFC 4028 §7.3: the same call again with the interval that the other side wants.
    fn ask_longer(&mut self, key: &ClientKey, id: LegId, response: &Response, now: Now) -> bool {
        if self.is_call_cancelled(id) {
            return false;
        }
        let (Some(client), Some(leg)) = (self.clients.get(key), self.legs.get_mut(id)) else {
            return false;
        };
        if !leg.timer.handle_422(&response.wire) {
            return false;
        }
        let mut invite = Draft::clone(&client.draft);
        invite.cseq += 1;
        invite.headers.retain(|(name, _)| {
            !matches!(name.as_str(), "Session-Expires" | "Min-SE")
                && !name.ends_with("Authorization")
        });
        invite.headers.extend(leg.timer.request(true));
        let again = self.start_client(invite, Purpose::Invite { leg: id }, now);
        self.set_call_client(id, again);
        true
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
    pub(super) fn forget_call(&mut self, id: LegId, now: Now) {
        if let Some(State::Calling { client, .. }) = self.legs.state(id) {
            let client = client.clone();
            self.forget_client(&client);
        }
        self.on_call_refused(id, 487, "no answer to CANCEL".to_owned(), now);
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

/// It goes to a phone that has registered with us, not by the PBX.
fn direct(invite: &mut Draft, uri: &[u8], peer: Peer, account: &Account) -> Peer {
    let contact = draft::contact_by(account, invite.aor, peer.transport).into_bytes();
    send_to(invite, uri.to_vec(), peer, &contact);
    peer
}
