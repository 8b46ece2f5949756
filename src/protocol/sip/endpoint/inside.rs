//! Sessions: requests within them (RFC 3261 §12.2.2, §14.2, §15; RFC 3311), their ends, and the
//! 2xx that waits for its ACK.

use super::Endpoint;
use super::clients::Purpose;
use super::legs::{Cancel, Leg, Offer, State, Unacked};
use crate::protocol::now::Now;
use crate::protocol::sip::message::{Method, Request};
use crate::protocol::sip::text::decode;
use crate::protocol::sip::{Ending, Event, LegId, Peer};

/// 2xx of one session that may wait for their ACK at the same time.
const UNACKED_MAX: usize = 4;

impl Endpoint {
    pub(super) fn on_inside(&mut self, request: Request, from: Peer, now: Now) {
        let Some(id) = self.legs.find(&request) else {
            return self.respond(&request, from, 481, now);
        };
        let Some(leg) = self.legs.get_mut(id) else { return };
        let Some(method) = request.method else {
            return self.respond(&request, from, 501, now);
        };
        if leg.dialog.as_mut().is_some_and(|dialog| !dialog.accept_cseq(request.cseq)) {
            return self.respond(&request, from, 500, now);
        }
        match method {
            Method::Bye => self.on_bye(id, &request, from, now),
            Method::Invite => self.on_reinvite(id, &request, from, now),
            Method::Update => self.on_update(id, &request, from, now),
            Method::Info => self.on_info(id, &request, from, now),
            Method::Ack
            | Method::Cancel
            | Method::Message
            | Method::Notify
            | Method::Options
            | Method::PRack
            | Method::Publish
            | Method::Refer
            | Method::Register
            | Method::Subscribe => self.on_outside(&request, from, now),
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
                self.on_invite_cancelled(id, &server);
            }
            State::Established { .. } => {
                self.respond(request, from, 200, now);
                self.drop_offer(id, now);
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

    /// §14.2.
    fn on_reinvite(&mut self, id: LegId, request: &Request, from: Peer, now: Now) {
        if self.is_full() {
            return self.respond_overloaded(request, from);
        }
        let Some(leg) = self.legs.get_mut(id) else { return };
        let status = match &leg.state {
            State::Closing { .. } => Some(481),
            State::Calling { .. } => Some(491),
            State::Ringing { .. } => Some(500),
            State::Established { .. } if leg.offer.is_some() => Some(500),
            State::Established { .. } if leg.unacked.iter().any(|unacked| unacked.offers) => {
                Some(491)
            }
            State::Established { .. } if leg.unacked.len() >= UNACKED_MAX => Some(500),
            State::Established { .. } => None,
        };
        if let Some(status) = status {
            return self.respond(request, from, status, now);
        }
        if let Some(dialog) = &mut leg.dialog {
            dialog.refresh_target(&request.wire);
        }
        let tag = leg.local_tag.clone();
        let server = self.open_server(request, from, Some(id), tag);
        self.reply(&server, 100, vec![], None, now);
        self.take_offer(id, server, request, true);
    }

    /// RFC 3311 §5.2.
    fn on_update(&mut self, id: LegId, request: &Request, from: Peer, now: Now) {
        let Some(leg) = self.legs.get_mut(id) else { return };
        let offers = !request.wire.body.is_empty();
        let status = match &leg.state {
            State::Closing { .. } => Some(481),
            State::Calling { .. } if offers => Some(491),
            State::Ringing { .. } if offers => Some(500),
            State::Established { .. } if offers && leg.offer.is_some() => Some(500),
            State::Established { .. } if offers && leg.unacked.iter().any(|u| u.offers) => {
                Some(491)
            }
            State::Calling { .. } | State::Ringing { .. } | State::Established { .. } => None,
        };
        if status.is_none()
            && let Some(dialog) = &mut leg.dialog
        {
            dialog.refresh_target(&request.wire);
        }
        if status.is_some() || self.is_full() {
            return self.respond(request, from, status.unwrap_or(503), now);
        }
        let Some(leg) = self.legs.get_mut(id) else { return };
        let tag = leg.local_tag.clone();
        let server = self.open_server(request, from, Some(id), tag);
        if offers {
            self.take_offer(id, server, request, false);
        } else {
            self.reply(&server, 200, vec![], None, now);
        }
    }

    fn take_offer(&mut self, id: LegId, server: super::ServerKey, request: &Request, invite: bool) {
        let sdp = request.sdp();
        let Some(leg) = self.legs.get_mut(id) else { return };
        leg.offer = Some(Offer { server, cseq: request.cseq, invite, offerless: sdp.is_none() });
        self.report(Event::Offer { leg: id, sdp });
    }

    pub(super) fn answer_offer(&mut self, id: LegId, sdp: Vec<u8>, now: Now) {
        let Some(offer) = self.legs.get_mut(id).and_then(|leg| leg.offer.take()) else { return };
        let sent = self.reply(&offer.server, 200, vec![], Some(sdp), now);
        let (Some(sent), true) = (sent, offer.invite) else { return };
        if let Some(leg) = self.legs.get_mut(id) {
            leg.unacked.push(Unacked::new(offer.cseq, sent, offer.offerless, now.mono));
        }
    }

    fn on_info(&mut self, id: LegId, request: &Request, from: Peer, now: Now) {
        self.respond(request, from, 200, now);
        if matches!(self.legs.state(id), Some(State::Closing { .. })) {
            return;
        }
        let content_type = decode(request.wire.header("content-type").unwrap_or_default());
        let body = request.wire.body.clone();
        self.report(Event::Info { leg: id, content_type, body });
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
                if !confirmed {
                    self.report(Event::Confirmed { leg: id });
                }
                if let (true, Some(sdp)) = (unacked.offers, ack.sdp()) {
                    self.report(Event::Answer { leg: id, sdp });
                }
            }
            State::Closing { owed: true } => self.send_bye(id, now),
            State::Closing { owed: false } | State::Calling { .. } | State::Ringing { .. } => {}
        }
    }

    pub(super) fn end_session(&mut self, id: LegId, now: Now) {
        let Some(State::Established { confirmed }) = self.legs.state(id) else { return };
        let confirmed = *confirmed;
        self.drop_offer(id, now);
        if confirmed {
            self.send_bye(id, now);
        } else if let Some(leg) = self.legs.get_mut(id) {
            // §15: not before the ACK to our 2xx, or its end.
            leg.state = State::Closing { owed: true };
        }
        self.report(Event::Ended { leg: id, ending: Ending::OurBye });
    }

    pub(super) fn send_bye(&mut self, id: LegId, now: Now) {
        let Some(leg) = self.legs.get_mut(id) else { return };
        leg.state = State::Closing { owed: false };
        leg.unacked.clear();
        let Some(dialog) = &mut leg.dialog else { return };
        let bye = dialog.request(Method::Bye, &self.account);
        let trusted = dialog.ends_at_pbx(&self.account);
        self.start_client(bye, Purpose::Bye { leg: Some(id), trusted }, now);
    }

    /// The BYE has its answer, or none will come.
    pub(super) fn on_bye_over(&mut self, leg: Option<LegId>) {
        if let Some(leg) = leg {
            self.legs.remove(leg);
        }
    }

    pub(super) fn legs_timeout(&mut self, now: Now) {
        for id in self.legs.due(now.mono) {
            let Some(leg) = self.legs.get_mut(id) else { continue };
            if let State::Calling { cancel: Cancel::Sent { give_up }, .. } = leg.state
                && give_up <= now.mono
            {
                self.forget_call(id);
                continue;
            }
            if leg.unacked.iter().any(|unacked| unacked.give_up <= now.mono) {
                self.lose_session(id, now);
                continue;
            }
            for transmit in due_again(leg, now) {
                self.transmit(transmit);
            }
        }
    }

    /// §13.3.1.4: nobody acknowledged our 2xx.
    fn lose_session(&mut self, id: LegId, now: Now) {
        let reported = matches!(self.legs.state(id), Some(State::Closing { .. }));
        self.drop_offer(id, now);
        self.send_bye(id, now);
        if !reported {
            self.report(Event::Ended { leg: id, ending: Ending::Lost });
        }
    }

    /// §15.1.2: requests still pending are answered 487.
    fn drop_offer(&mut self, id: LegId, now: Now) {
        let Some(offer) = self.legs.get_mut(id).and_then(|leg| leg.offer.take()) else { return };
        self.reply(&offer.server, 487, vec![], None, now);
    }
}

fn due_again(leg: &mut Leg, now: Now) -> Vec<crate::protocol::sip::Transmit> {
    leg.unacked.iter_mut().filter_map(|unacked| unacked.poll(now.mono)).collect()
}
