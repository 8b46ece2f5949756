//! Phones registered with us: their REGISTERs (RFC 3261 §10.3), and which of their other requests
//! are served. Whoever has not registered stays a stranger.

use super::servers::ServerKey;
use super::{Endpoint, STRANGER};
use crate::protocol::now::Now;
use crate::protocol::sip::message::{Method, Request, identity};
use crate::protocol::sip::phones::{Phones, Plan, Unbound, Verdict};
use crate::protocol::sip::{Event, LegId, Peer};
use std::net::IpAddr;

impl Endpoint {
    /// From now on these phones may register.
    pub fn serve_phones(&mut self, plan: Plan) {
        self.phones = Some(Phones::new(plan, &mut self.random));
    }

    /// Whether messages from there may be served: the PBX, or where phones may be.
    pub fn serves(&self, ip: IpAddr) -> bool {
        self.account.trusts(ip) || self.phones.as_ref().is_some_and(|phones| phones.serves(ip))
    }

    /// Whether this message is to be looked at as a phone's. A phone may share the PBX's host; what comes from the
    /// PBX's own port is the PBX's, whoever has it forwarded.
    pub(super) fn is_phones(&self, from: Peer, bytes: &[u8], now: Now) -> bool {
        let Some(phones) = self.phones.as_ref().filter(|phones| phones.serves(from.addr.ip()))
        else {
            return false;
        };
        let pbx = &self.account;
        if pbx.peers.iter().chain([&pbx.pbx]).any(|peer| peer.addr == from.addr) {
            return false;
        }
        !self.account.trusts(from.addr.ip())
            || bytes.starts_with(b"REGISTER ")
            || phones.at(from.addr, now.mono).is_some()
    }

    /// Whether the far end of this session is a phone that has registered with us.
    pub(super) fn is_with_phone(&self, leg: LegId) -> bool {
        self.legs.get(leg).is_some_and(|leg| leg.phone.is_some())
    }

    pub(super) fn on_phone(
        &mut self,
        request: Request,
        from: Peer,
        now: Now,
    ) -> Result<(), &'static str> {
        let key = ServerKey::of(&request);
        let is_ours = |server: &super::Server| server.peer.addr == from.addr;
        let known = self.servers.get(&key).is_some_and(is_ours);
        let registered =
            self.phones.as_ref().is_some_and(|phones| phones.at(from.addr, now.mono).is_some());
        match request.method {
            Some(Method::Ack) if known || self.is_in_phones_session(&request, from) => {
                self.on_ack(&key, &request, from, now);
            }
            Some(Method::Ack) => return Err(STRANGER),
            _ if known => self.on_request(request, from, now),
            Some(Method::Cancel) if self.servers.get(&key.cancelled()).is_some_and(is_ours) => {
                self.on_request(request, from, now);
            }
            _ if request.to_tag.is_some() => {
                if !self.is_in_phones_session(&request, from) {
                    return Err(STRANGER);
                }
                self.on_request(request, from, now);
            }
            Some(Method::Register) => return self.on_register(&request, from, now),
            Some(Method::Invite) if registered => return self.on_phones_call(request, from, now),
            Some(Method::Options) if registered => self.on_options(&request, from, now),
            _ => return Err(STRANGER),
        }
        Ok(())
    }

    /// T6: a phone ends or changes no session but its own.
    fn is_in_phones_session(&mut self, request: &Request, from: Peer) -> bool {
        let leg = self.legs.find(request).and_then(|id| self.legs.get(id));
        leg.is_some_and(|leg| leg.phone.is_some_and(|phone| phone.addr == from.addr))
    }

    fn on_register(&mut self, request: &Request, from: Peer, now: Now) -> Result<(), &'static str> {
        let Some(user) = self.proved(request, from, now)? else { return Ok(()) };
        let whose = identity(request.wire.header("to").unwrap_or_default()).user;
        if whose != user {
            self.respond(request, from, 403, now);
            return Ok(());
        }
        let Some(phones) = &mut self.phones else { return Ok(()) };
        match phones.register(&user, request, from, now.mono) {
            Ok(contacts) => {
                let contacts = contacts.into_iter().map(|contact| ("Contact", contact)).collect();
                self.respond_with(request, from, 200, contacts, now);
            }
            Err(Unbound::TooBrief(least)) => {
                let least = vec![("Min-Expires", least.to_string().into_bytes())];
                self.respond_with(request, from, 423, least, now);
            }
            Err(Unbound::Malformed) => self.respond(request, from, 400, now),
            Err(Unbound::OutOfOrder) => self.respond(request, from, 500, now),
        }
        Ok(())
    }

    fn on_phones_call(
        &mut self,
        invite: Request,
        from: Peer,
        now: Now,
    ) -> Result<(), &'static str> {
        let Some(user) = self.proved(&invite, from, now)? else { return Ok(()) };
        let phone = self.phones.as_ref().and_then(|phones| phones.phone(&user));
        let Some(phone) = phone.map(|phone| phone.name.clone()) else { return Ok(()) };
        // Only the PBX's phones take over what others have.
        if invite.wire.header("replaces").is_some() {
            self.respond(&invite, from, 403, now);
            return Ok(());
        }
        self.on_invite(invite, from, Some(phone), now);
        Ok(())
    }

    /// The user whose request it is; `None` where it was answered already.
    fn proved(
        &mut self,
        request: &Request,
        from: Peer,
        now: Now,
    ) -> Result<Option<String>, &'static str> {
        let Some(phones) = &mut self.phones else { return Err(STRANGER) };
        let verdict = phones.judge(request, from, now.mono);
        let ask = match &verdict {
            Verdict::Ask { stale } => {
                phones.challenges(from.addr.ip(), *stale, &mut self.random, now.mono)
            }
            Verdict::Wrong | Verdict::TooMany | Verdict::Proved { .. } => vec![],
        };
        self.tell_of_attempts();
        if verdict == Verdict::TooMany {
            return Err("too many attempts");
        }
        let (status, headers) = match (&request.fault, verdict) {
            (Some(fault), _) => (fault.status, vec![]),
            (None, Verdict::Ask { .. }) => {
                (401, ask.into_iter().map(|ask| ("WWW-Authenticate", ask)).collect())
            }
            (None, Verdict::Wrong | Verdict::TooMany) => (403, vec![]),
            (None, Verdict::Proved { user }) => return Ok(Some(user)),
        };
        match request.method {
            // Whoever has proved nothing takes no room from the line.
            Some(Method::Register) => self.respond_once(request, from, status, &headers),
            _ => self.respond_with(request, from, status, headers, now),
        }
        Ok(None)
    }

    pub(super) fn tell_of_attempts(&mut self) {
        while let Some(summary) = self.phones.as_mut().and_then(Phones::poll) {
            self.report(Event::Intruded(summary));
        }
    }
}
