//! Calls to us, until they are sessions, and requests outside of any (RFC 3261 §8.2, §13.3).

use super::Endpoint;
use super::legs::{Leg, State, Unacked};
use super::reliable::{Reliable, Wish};
use super::servers::{ServerKey, merge_key};
use crate::protocol::now::Now;
use crate::protocol::sip::claims::Claims;
use crate::protocol::sip::dialog::Dialog;
use crate::protocol::sip::message::{ALLOW, Method, Request, SDP, SUPPORTED, identity, user_of};
use crate::protocol::sip::session_timer::SessionTimer;
use crate::protocol::sip::{AorId, Ending, Event, Identity, Incoming, LegId, Peer};

impl Endpoint {
    /// `phone`: the name of the one that has registered with us, where it is one's.
    pub(super) fn on_invite(
        &mut self,
        invite: Request,
        from: Peer,
        phone: Option<String>,
        now: Now,
    ) {
        if invite.fault.is_none() && self.opening.contains_key(&merge_key(&invite)) {
            return self.respond(&invite, from, 482, now);
        }
        if !self.admits(&invite, from, now) {
            return self.respond_overloaded(&invite, from);
        }
        let replaces = match self.replaced_by(&invite) {
            Ok(replaces) => replaces,
            Err(status) if invite.fault.is_none() => {
                return self.respond(&invite, from, status, now);
            }
            Err(_) => None,
        };
        let mut timer = SessionTimer::new(self.account.session_expires);
        if invite.fault.is_none()
            && let Err(least) = timer.handle_request(&invite.wire)
        {
            // As a challenge would: the caller asks again, and that is the call.
            return self.respond_too_brief(&invite, from, least, now);
        }
        let id = self.legs.new_id();
        let tag = self.random.token().into_bytes();
        let server = self.open_server(&invite, from, Some(id), tag.clone());
        self.reply(&server, 100, vec![], None, now);
        let mut dialog = Dialog::of_server(&invite, &tag, self.random.u32() >> 8);
        dialog.hop = phone.is_some().then_some(from);
        let aor = self.account.called(&user_of(&invite.uri), &called_to(&invite).user);
        dialog.aor = aor;
        let state = State::Ringing {
            server,
            fault: invite.fault.as_ref().map(|fault| fault.status),
            cseq: invite.cseq,
            unsupported: invite.unsupported(),
            offerless: invite.wire.body.is_empty(),
        };
        let mut leg = Leg::new(state, (invite.call_id.clone(), tag), Some(dialog), timer);
        leg.reliable = Reliable::new(Wish::of(&invite), self.random.u32() >> 2);
        leg.exchange.heard(invite.sdp().as_deref());
        leg.phone = phone.is_some().then_some(from);
        self.legs.insert(id, leg, now.mono);
        let invite = Incoming { aor, phone, ..incoming(invite, replaces, from) };
        let invite = Box::new(invite);
        self.report(Event::Incoming { leg: id, invite });
    }

    /// Before there is a transaction. A call that is turned away has no row of its own (I-1 holds
    /// for what is served): its 503 sends the PBX to the phones themselves, and all of a flood
    /// stand counted in its summaries.
    fn admits(&mut self, invite: &Request, from: Peer, now: Now) -> bool {
        let ip = from.addr.ip().to_canonical();
        let admitted = if self.is_crowded() {
            self.admission.turn_away(ip, now.mono);
            false
        } else {
            let caller = identity(invite.wire.header("from").unwrap_or_default()).user;
            self.admission.admits(ip, &caller, now.mono)
        };
        self.tell_of_floods();
        admitted
    }

    pub(super) fn answer_call(&mut self, id: LegId, sdp: Vec<u8>, now: Now) {
        let Some(leg) = self.legs.get_mut(id) else { return };
        let State::Ringing { server, fault, offerless, cseq, .. } = &leg.state else { return };
        if let Some(status) = *fault {
            return self.refuse_call(id, status, None, now);
        }
        let (server, offerless, cseq) = (server.clone(), *offerless, *cseq);
        if leg.reliable.hold(&sdp) {
            return;
        }
        // What a PRACK acknowledged stands until it is offered anew.
        let (body, anew) = match leg.reliable.has_described() {
            true => (None, Some(sdp).filter(|sdp| !leg.exchange.has_said(sdp))),
            false => (Some(sdp), None),
        };
        let offers = offerless && body.is_some();
        leg.exchange.say(body.as_deref());
        let headers = leg.timer.accept(now.mono);
        let Some(sent) = self.reply(&server, 200, headers, body, now) else { return };
        self.drop_offer(id, now);
        let Some(leg) = self.legs.get_mut(id) else { return };
        leg.state = State::Established { confirmed: false };
        leg.unacked.push(Unacked::new(cseq, sent, offers, now.mono));
        if let Some(anew) = anew {
            self.make_offer(id, anew, now);
        }
    }

    pub(super) fn refuse_call(
        &mut self,
        id: LegId,
        status: u16,
        retry_after: Option<u32>,
        now: Now,
    ) {
        let Some(State::Ringing { server, unsupported, .. }) = self.legs.state(id) else { return };
        let server = server.clone();
        let mut headers = vec![];
        if let Some(seconds) = retry_after {
            headers.push(("Retry-After", seconds.to_string().into_bytes()));
        }
        if status == 420 {
            headers.push(("Unsupported", unsupported.clone()));
        }
        self.drop_offer(id, now);
        self.reply(&server, status.clamp(300, 699), headers, None, now);
        self.legs.remove(id);
    }

    /// A CANCEL (or BYE) met an INVITE that had no final response; 487 was sent.
    pub(super) fn on_invite_cancelled(
        &mut self,
        id: LegId,
        server: &ServerKey,
        elsewhere: bool,
        now: Now,
    ) {
        let Some(leg) = self.legs.get_mut(id) else { return };
        match &leg.state {
            State::Ringing { .. } => self.forget_caller(id, Ending::Bye, elsewhere, now),
            State::Calling { .. } | State::Established { .. } | State::Closing { .. } => {
                leg.offer.take_if(|offer| offer.server == *server);
            }
        }
    }

    pub(super) fn on_outside(&mut self, request: &Request, from: Peer, now: Now) {
        let Some(method) = request.method else {
            return self.respond(request, from, 501, now);
        };
        match method {
            Method::Options => self.on_options(request, from, now),
            Method::Notify if is_of_mailbox(request) => self.respond(request, from, 200, now),
            Method::Notify => self.respond(request, from, 489, now),
            Method::Bye | Method::Info | Method::Update | Method::PRack => {
                self.respond(request, from, 481, now);
            }
            Method::Subscribe => self.respond(request, from, 489, now),
            Method::Refer => self.respond(request, from, 603, now),
            Method::Message | Method::Publish | Method::Register => {
                self.respond(request, from, 405, now);
            }
            // A malformed CANCEL was refused, an ACK is never answered, an INVITE opens a call.
            Method::Cancel | Method::Ack | Method::Invite => {}
        }
    }

    /// §11.2: what we can, said by whoever turns this endpoint, so that a wedged one is seen.
    pub(super) fn on_options(&mut self, request: &Request, from: Peer, now: Now) {
        let headers =
            vec![("Allow", ALLOW.into()), ("Accept", SDP.into()), ("Supported", SUPPORTED.into())];
        self.respond_with(request, from, 200, headers, now);
    }
}

/// RFC 6665 §4.1.3: of another event we know nothing. One without any is a mailbox's of old.
fn is_of_mailbox(notify: &Request) -> bool {
    let event = notify.wire.header("event").map(|event| event.split(|&b| b == b';').next());
    event.flatten().is_none_or(|event| event.trim_ascii().eq_ignore_ascii_case(b"message-summary"))
}

fn called_to(invite: &Request) -> Identity {
    identity(invite.wire.header("to").unwrap_or_default())
}

fn incoming(invite: Request, replaces: Option<LegId>, source: Peer) -> Incoming {
    Incoming {
        call_id: String::from_utf8_lossy(&invite.call_id).into_owned(),
        aor: AorId::default(),
        request_user: user_of(&invite.uri),
        claims: Claims::read(&invite.wire),
        to: called_to(&invite),
        sdp: invite.sdp(),
        source,
        replaces,
        phone: None,
        fault: invite.fault,
    }
}
