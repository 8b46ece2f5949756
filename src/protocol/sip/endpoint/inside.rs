//! Requests within sessions (RFC 3261 §12.2.2, §14.2, §15.1.2; RFC 3311; RFC 4028 §9), and the
//! ACK.

use super::Endpoint;
use super::client::Purpose;
use super::legs::{Leg, Offer, State, Unacked};
use crate::protocol::now::Now;
use crate::protocol::sip::message::{Method, Request};
use crate::protocol::sip::text::decode;
use crate::protocol::sip::{Ending, Event, LegId, Peer};

/// 2xx of one session that may wait for their ACK at the same time.
const UNACKED_MAX: usize = 4;

impl Endpoint {
    pub(super) fn on_inside(&mut self, request: Request, from: Peer, now: Now) {
        let Some(id) = self.legs.find(&request) else {
            return self.on_stray(&request, from, now);
        };
        let Some(leg) = self.legs.get_mut(id) else { return };
        let Some(method) = request.method else {
            return self.respond(&request, from, 501, now);
        };
        let dialog = leg.dialog_with(request.from_tag.as_deref());
        if dialog.is_some_and(|dialog| !dialog.accept_cseq(request.cseq)) {
            return self.respond(&request, from, 500, now);
        }
        match method {
            Method::PRack => self.on_prack(id, &request, from, now),
            Method::Bye => self.on_bye(id, &request, from, now),
            Method::Invite => self.on_reinvite(id, &request, from, now),
            Method::Update => self.on_update(id, &request, from, now),
            Method::Info => self.on_info(id, &request, from, now),
            Method::Refer => self.on_refer(id, &request, from, now),
            // What it tells of within its session is harmless.
            Method::Notify => self.respond(&request, from, 200, now),
            Method::Ack
            | Method::Cancel
            | Method::Message
            | Method::Options
            | Method::Publish
            | Method::Register
            | Method::Subscribe => self.on_outside(&request, from, now),
        }
    }

    /// A request for no session. One that overtook the response which makes its dialog may come
    /// again: 481 would end the peer's call.
    fn on_stray(&mut self, request: &Request, from: Peer, now: Now) {
        let ours = self.legs.find_ours(request).and_then(|id| self.legs.state(id));
        match ours {
            Some(State::Calling { .. }) if request.method == Some(Method::Update) => {
                self.respond_later(request, from, now);
            }
            Some(
                State::Calling { .. }
                | State::Ringing { .. }
                | State::Established { .. }
                | State::Closing { .. },
            )
            | None => self.respond(request, from, 481, now),
        }
    }

    /// §15.1.2.
    fn on_bye(&mut self, id: LegId, request: &Request, from: Peer, now: Now) {
        let Some(state) = self.legs.state(id) else { return };
        match state {
            // An early dialog is not the callee's to end.
            State::Calling { .. } => self.respond(request, from, 481, now),
            State::Ringing { server, .. } => {
                let server = server.clone();
                self.respond(request, from, 200, now);
                self.reply(&server, 487, vec![], None, now);
                self.on_invite_cancelled(id, &server, false, now);
            }
            State::Established { .. } => {
                self.respond(request, from, 200, now);
                self.drop_offer(id, now);
                self.leave_exchange(id, now);
                self.legs.remove(id);
                self.report(Event::Ended { leg: id, ending: Ending::Bye });
            }
            State::Closing { owed } => {
                let settled = *owed;
                self.respond(request, from, 200, now);
                if settled {
                    self.legs.remove(id);
                }
            }
        }
    }

    /// §14.2, RFC 6337 §4.3.
    fn on_reinvite(&mut self, id: LegId, request: &Request, from: Peer, now: Now) {
        if self.is_full() {
            return self.respond_overloaded(request, from);
        }
        let Some(leg) = self.legs.get_mut(id) else { return };
        let status = match &leg.state {
            State::Closing { .. } => Some(481),
            State::Calling { .. } => Some(491),
            State::Ringing { .. } => Some(500),
            State::Established { .. } => glare(leg, true),
        };
        match status {
            Some(500) => return self.respond_later(request, from, now),
            Some(status) => return self.respond(request, from, status, now),
            None => {}
        }
        if let Some(server) = self.open_refresh(id, request, from, now) {
            self.reply(&server, 100, vec![], None, now);
            self.take_offer(id, server, request, Method::Invite);
        }
    }

    /// RFC 3311 §5.2.
    fn on_update(&mut self, id: LegId, request: &Request, from: Peer, now: Now) {
        let Some(leg) = self.legs.get_mut(id) else { return };
        let offers = !request.wire.body.is_empty();
        let tag = request.from_tag.as_deref().unwrap_or_default();
        let status = match &leg.state {
            State::Closing { .. } => Some(481),
            _ if !offers => None,
            // Our first offer is not answered, or theirs: only what is agreed on can be changed.
            State::Calling { .. } if !leg.forks.find(tag).is_some_and(|fork| fork.is_agreed()) => {
                Some(491)
            }
            State::Ringing { .. } if !leg.reliable.is_agreed() => Some(500),
            State::Calling { .. } | State::Ringing { .. } | State::Established { .. } => {
                glare(leg, false)
            }
        };
        match status {
            Some(500) => return self.respond_later(request, from, now),
            Some(status) => return self.respond(request, from, status, now),
            None if self.is_full() => return self.respond(request, from, 503, now),
            None => {}
        }
        let Some(server) = self.open_refresh(id, request, from, now) else { return };
        if offers {
            self.take_offer(id, server, request, Method::Update);
        } else {
            let headers = self.refreshed(id, now);
            self.reply(&server, 200, headers, None, now);
        }
    }

    /// A session refresh request that may be granted: the peer's target and wishes are taken over.
    fn open_refresh(
        &mut self,
        id: LegId,
        request: &Request,
        from: Peer,
        now: Now,
    ) -> Option<super::ServerKey> {
        let leg = self.legs.get_mut(id)?;
        if let Err(least) = leg.timer.handle_request(&request.wire) {
            self.respond_too_brief(request, from, least, now);
            return None;
        }
        if let Some(dialog) = leg.dialog_with(request.from_tag.as_deref()) {
            dialog.refresh_target(&request.wire);
        }
        let tag = leg.local_tag.clone();
        Some(self.open_server(request, from, Some(id), tag))
    }

    /// The session timer's headers for a 2xx to such a request.
    fn refreshed(&mut self, id: LegId, now: Now) -> Vec<(&'static str, Vec<u8>)> {
        match self.legs.get_mut(id) {
            Some(leg) if matches!(leg.state, State::Established { .. }) => {
                leg.timer.accept(now.mono)
            }
            Some(_) | None => vec![],
        }
    }

    pub(super) fn take_offer(
        &mut self,
        id: LegId,
        server: super::ServerKey,
        request: &Request,
        method: Method,
    ) {
        let Some(leg) = self.legs.get_mut(id) else { return };
        let (sdp, cseq) = (request.sdp(), request.cseq);
        let remote_tag = request.from_tag.clone().unwrap_or_default();
        leg.offer = Some(Offer { server, cseq, method, sdp: sdp.clone(), remote_tag });
        self.report(Event::Offer { leg: id, sdp });
    }

    pub(super) fn answer_offer(&mut self, id: LegId, sdp: Vec<u8>, now: Now) {
        let Some(leg) = self.legs.get_mut(id) else { return };
        let Some(offer) = leg.offer.take() else {
            if leg.exchange.was_asking() {
                self.make_offer(id, sdp, now);
            }
            return;
        };
        leg.exchange.say(Some(&sdp));
        leg.exchange.heard(offer.sdp.as_deref());
        if let Some(fork) = leg.forks.find(&offer.remote_tag) {
            fork.sdp.clone_from(&offer.sdp);
        }
        let headers = match offer.method {
            Method::PRack => vec![],
            _ => self.refreshed(id, now),
        };
        let sent = self.reply(&offer.server, 200, headers, Some(sdp), now);
        if let (Some(sent), Method::Invite, Some(leg)) = (sent, offer.method, self.legs.get_mut(id))
        {
            leg.unacked.push(Unacked::new(offer.cseq, sent, offer.sdp.is_none(), now.mono));
        }
        self.after_offer(id, now);
    }

    /// The session stays as it was.
    pub(super) fn decline_offer(&mut self, id: LegId, status: u16, now: Now) {
        let Some(leg) = self.legs.get_mut(id) else { return };
        let Some(offer) = leg.offer.take() else {
            return self.refresh_as_it_was(id, now);
        };
        self.reply(&offer.server, status.clamp(300, 699), vec![], None, now);
        self.after_offer(id, now);
    }

    fn after_offer(&mut self, id: LegId, now: Now) {
        match self.legs.state(id) {
            Some(State::Ringing { .. }) => self.go_on_ringing(id, now),
            Some(State::Calling { .. } | State::Established { .. } | State::Closing { .. })
            | None => self.pursue(id, now),
        }
    }

    fn on_info(&mut self, id: LegId, request: &Request, from: Peer, now: Now) {
        let kind = request.wire.header("content-type").unwrap_or_default();
        let is_key = kind.trim_ascii_start().to_ascii_lowercase().starts_with(b"application/dtmf");
        // RFC 6086 §4.2.2: of these we take none; a key is a key, whatever it is wrapped in.
        if request.wire.header("info-package").is_some() && !is_key {
            return self.respond_with(request, from, 469, vec![("Recv-Info", vec![])], now);
        }
        self.respond(request, from, 200, now);
        if matches!(self.legs.state(id), Some(State::Closing { .. })) {
            return;
        }
        let content_type = decode(request.wire.header("content-type").unwrap_or_default());
        let body = request.wire.body.clone();
        self.report(Event::Info { leg: id, content_type, body });
    }

    pub(super) fn send_key(&mut self, id: LegId, key: char, now: Now) {
        let full = self.is_full();
        let Some(leg) = self.legs.get_mut(id) else { return };
        let (State::Established { .. }, Some(dialog), false) = (&leg.state, &mut leg.dialog, full)
        else {
            return;
        };
        let mut info = dialog.request(Method::Info, &self.account);
        let body = format!("Signal={key}\r\nDuration=160\r\n").into_bytes();
        info.body = Some(("application/dtmf-relay".to_owned(), body));
        let trusted = dialog.ends_at_pbx(&self.account);
        self.start_client(info, Purpose::Info { leg: id, trusted }, now);
    }

    /// The ACK to a 2xx of ours.
    pub(super) fn on_session_ack(&mut self, ack: &Request, now: Now) {
        let Some(id) = self.legs.find(ack) else { return };
        let Some(leg) = self.legs.get_mut(id) else { return };
        let Some(at) = leg.unacked.iter().position(|unacked| unacked.cseq == ack.cseq) else {
            return;
        };
        let unacked = leg.unacked.remove(at);
        match leg.state {
            State::Established { confirmed } => {
                leg.state = State::Established { confirmed: true };
                let answer = ack.sdp().filter(|_| unacked.offers);
                leg.exchange.heard(answer.as_deref());
                if !confirmed {
                    self.report(Event::Confirmed { leg: id });
                }
                if let Some(sdp) = answer {
                    self.report(Event::Answer { leg: id, sdp });
                }
                self.pursue(id, now);
            }
            State::Closing { owed: true } => self.send_bye(id, None, now),
            State::Closing { owed: false } | State::Calling { .. } | State::Ringing { .. } => {}
        }
    }
}

/// Why an offer of the peer cannot be taken now (RFC 6337 §4.3): ours is open, or theirs is.
fn glare(leg: &Leg, invite: bool) -> Option<u16> {
    let owes_answer = leg.unacked.iter().any(|unacked| unacked.offers);
    match () {
        () if leg.exchange.is_open(!invite) || owes_answer => Some(491),
        () if leg.offer.is_some() => Some(500),
        () if invite && leg.unacked.len() >= UNACKED_MAX => Some(500),
        () => None,
    }
}
