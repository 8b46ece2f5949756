//! A SIP user agent without sockets: routes messages to transactions and dialogs, keeps the
//! registration, and turns them into the few events of [`super::Event`].

mod answers;
pub mod checkpoint;
mod client;
mod clients;
mod elsewhere;
mod ends;
mod exchange;
mod forks;
mod former;
mod inside;
mod legs;
mod line;
mod orphans;
mod phones;
mod refer;
mod registrar;
mod reliable;
mod servers;
mod slips;
mod table;
mod trial;
mod uac;
mod uas;
mod wallet;

use self::client::{Client, ClientKey};
use self::former::Former;
use self::legs::Legs;
use self::line::Way;
use self::registrar::Registrars;
use self::servers::{Server, ServerKey};
use self::slips::Slips;
use self::table::Table;
use self::trial::Trial;
use super::admission::Admission;
use super::dialog::Dialog;
use super::mark::Marks;
use super::message::{Method, Request, Response};
use super::phones::Phones;
use super::route::{Failure, Route, Undone};
use super::traffic;
use super::wire::{self, Start};
use super::{Account, Event, LegId, Outgoing, Peer, Transmit};
use crate::protocol::now::{Deadline, Mono, Now, earlier};
use crate::protocol::random::Random;
use std::collections::{BTreeMap, VecDeque};

/// Open transactions, above which nothing new is kept or started, at the pace of a duty room.
const TRANSACTIONS_MAX: usize = 4096;
/// What a call a second keeps open, at most: two INVITEs and a BYE over UDP for 64·T1 each, the
/// other BYE for T4, and two phones that did not take it.
const TRANSACTIONS_PER_PACE: usize = 192;

/// Why a message is not looked at: it is not from the PBX, nor a registered phone's own.
const STRANGER: &str = "stranger";

/// **Handle one thing, drain `poll_transmit` and `poll_event`, then wait for the next message or
/// `poll_timeout`.**
pub struct Endpoint {
    account: Account,
    random: Random,
    transmits: VecDeque<Transmit>,
    events: VecDeque<Event>,
    clients: Table<ClientKey, Client>,
    servers: Table<ServerKey, Server>,
    /// Calls being opened, for §8.2.2.2.
    opening: BTreeMap<servers::MergeKey, ServerKey>,
    admission: Admission,
    transactions_max: usize,
    legs: Legs,
    registrars: Registrars,
    route: Route,
    way: Way,
    trial: Option<Trial>,
    former: Vec<Former>,
    slips: Slips,
    marks: Marks,
    /// Phones that may register with us.
    phones: Option<Phones>,
}

impl Endpoint {
    pub fn new(mut account: Account, mut random: Random) -> Self {
        if account.peers.is_empty() && account.pbx.is_somewhere() {
            account.peers = vec![account.pbx];
        }
        Self {
            route: Route::new(&account.peers, account.habits.trunk),
            way: Way::default(),
            trial: None,
            former: vec![],
            registrars: Registrars::new(&account, &mut random),
            slips: Slips::default(),
            marks: Marks::new(&mut random),
            admission: Admission::new(account.habits.pace),
            transactions_max: transactions_max(&account),
            account,
            random,
            transmits: VecDeque::new(),
            events: VecDeque::new(),
            clients: Table::default(),
            servers: Table::default(),
            opening: BTreeMap::new(),
            legs: Legs::default(),
            phones: None,
        }
    }

    pub fn handle_message(&mut self, from: Peer, bytes: &[u8], now: Now) {
        self.settle();
        let phone = self.is_phones(from, bytes, now);
        if !phone && !self.hears(from.addr.ip(), bytes, now) {
            self.tell_of_forgery(from, bytes);
            return self.drop_message(from, STRANGER);
        }
        if from.addr.ip() == self.account.pbx.addr.ip() {
            self.way.hears(now.mono);
        }
        if bytes.iter().all(|b| matches!(b, b'\r' | b'\n' | 0)) {
            // A keep-alive (RFC 5626 §3.5, and Kamailio's four NULs).
            return;
        }
        let outcome = wire::parse(bytes).and_then(|message| match message.start {
            Start::Request { .. } if phone => self.on_phone(Request::read(message)?, from, now),
            Start::Request { .. } => {
                self.on_request(Request::read(message)?, from, now);
                Ok(())
            }
            Start::Response { .. } => self.on_response(Response::read(message)?, from, now),
        });
        if let Err(why) = outcome {
            if phone && why == STRANGER {
                self.tell_of_forgery(from, bytes);
            }
            self.drop_message(from, why);
        }
    }

    /// Everything that is due at `now`. A spurious call is harmless.
    pub fn handle_timeout(&mut self, now: Now) {
        self.clients_timeout(now);
        self.servers_timeout(now);
        self.legs_timeout(now);
        self.slips_timeout(now);
        self.registrars.handle_timeout(now.mono);
        self.run_registrar(now);
        self.way_timeout(now);
        self.admission.handle_timeout(now.mono);
        self.tell_of_floods();
        if let Some(phones) = &mut self.phones {
            phones.handle_timeout(now.mono);
            self.tell_of_attempts();
        }
    }

    /// The transport to `peer` failed (ICMP unreachable, connection refused or lost).
    pub fn handle_unreachable(&mut self, peer: Peer, why: &str, now: Now) {
        self.registrars.trouble = Some(why.to_owned());
        let used = peer == self.account.pbx;
        self.clients_unreachable(peer, now);
        if used && peer == self.account.pbx {
            self.registrars.handle_unreachable(peer, why, now.mono);
            self.run_registrar(now);
        }
        if peer.transport.is_reliable() {
            self.answer_elsewhere(peer);
            let undone = Undone::Options;
            self.on_address_failed(peer, Failure { undone, status: 503, retry_after: None }, now);
        }
        self.registrars.trouble = None;
    }

    pub fn poll_transmit(&mut self) -> Option<Transmit> {
        self.transmits.pop_front()
    }

    pub fn poll_event(&mut self) -> Option<Event> {
        self.events.pop_front()
    }

    pub fn poll_timeout(&self) -> Option<Deadline> {
        let deadline = earlier(self.clients.poll_timeout(), self.servers.poll_timeout());
        let deadline = earlier(deadline, self.legs.poll_timeout());
        let deadline = earlier(deadline, self.slips.poll_timeout());
        let deadline = earlier(deadline, self.admission.poll_timeout());
        let phones = self.phones.as_ref().and_then(Phones::poll_timeout);
        let deadline = earlier(deadline, phones);
        earlier(earlier(deadline, self.registrars.poll_timeout()), self.way_deadline())
    }

    /// Registers, and keeps the binding until `unregister`: refresh at half the granted expiry,
    /// back-off with jitter on failure, another address of the PBX where one falls silent.
    pub fn register(&mut self, now: Now) {
        self.start_way(now);
        if !self.account.pbx.is_somewhere() {
            return;
        }
        self.registrars.register(now.mono);
        self.run_registrar(now);
    }

    pub fn unregister(&mut self, now: Now) {
        self.stop_way();
        self.registrars.unregister(now.mono);
        self.run_registrar(now);
    }

    pub fn invite(&mut self, call: Outgoing, now: Now) -> LegId {
        self.place_call(call, now)
    }

    /// Gives up a call of ours that is not answered yet (RFC 3261 §9.1: waits for the first
    /// provisional response). No effect once it is answered or over.
    pub fn cancel(&mut self, leg: LegId, now: Now) {
        self.cancel_call(leg, now);
    }

    /// As [`Endpoint::cancel`], because another phone has the call: the one that rings is told so
    /// (RFC 3326), and counts no missed call.
    pub fn cancel_taken(&mut self, leg: LegId, now: Now) {
        if let Some(leg) = self.legs.get_mut(leg) {
            leg.taken = true;
        }
        self.cancel_call(leg, now);
    }

    /// 180, or 183 with `sdp`, to a caller; reliably where the caller can (RFC 3262).
    pub fn ring(&mut self, leg: LegId, sdp: Option<Vec<u8>>, now: Now) {
        self.ring_call(leg, sdp, now);
    }

    /// 200 to a caller, as soon as the PRACK to a description of ours allows it. A description
    /// other than that one is offered after the ACK.
    pub fn answer(&mut self, leg: LegId, sdp: Vec<u8>, now: Now) {
        self.answer_call(leg, sdp, now);
    }

    /// A final refusal (300–699) to a caller; `retry_after` in seconds.
    pub fn refuse(&mut self, leg: LegId, status: u16, retry_after: Option<u32>, now: Now) {
        self.refuse_call(leg, status, retry_after, now);
    }

    pub fn accept_offer(&mut self, leg: LegId, sdp: Vec<u8>, now: Now) {
        self.answer_offer(leg, sdp, now);
    }

    /// 488: the session stays as it was.
    pub fn refuse_offer(&mut self, leg: LegId, status: u16, now: Now) {
        self.decline_offer(leg, status, now);
    }

    /// Offers the peer another session, by re-INVITE, or by UPDATE while nothing is answered yet.
    /// Waits while something else is open and comes again after a glare; `Answer` or
    /// `OfferRefused` follows. A newer one takes the place of one that still waits.
    pub fn offer(&mut self, leg: LegId, sdp: Vec<u8>, now: Now) {
        self.make_offer(leg, sdp, now);
    }

    /// A key pressed by whom the peer talks to, as INFO (`application/dtmf-relay`); no effect outside a session.
    pub fn press(&mut self, leg: LegId, key: char, now: Now) {
        self.send_key(leg, key, now);
    }

    /// 202, and the peer is told from now on (`tell_refer`) how it goes.
    pub fn accept_refer(&mut self, leg: LegId, now: Now) {
        self.take_refer(leg, now);
    }

    pub fn refuse_refer(&mut self, leg: LegId, status: u16, now: Now) {
        self.decline_refer(leg, status, now);
    }

    /// How the call that a REFER of this peer asked for stands; a final status is the last.
    pub fn tell_refer(&mut self, leg: LegId, status: u16, now: Now) {
        self.tell_referrer(leg, status, now);
    }

    /// Ends a confirmed session; before that, `refuse` (theirs) or `cancel` (ours).
    pub fn bye(&mut self, leg: LegId, now: Now) {
        self.end_session(leg, now);
    }

    /// The Call-ID of a leg that is not over.
    pub fn call_id(&self, leg: LegId) -> Option<&[u8]> {
        self.legs.call_id(leg)
    }

    /// The user part of the far end's address; empty where there is no dialog yet.
    pub fn remote_user(&self, leg: LegId) -> String {
        self.legs.dialog(leg).map(Dialog::remote_user).unwrap_or_default()
    }

    /// Open transactions and sessions, for tests and metrics.
    pub fn load(&self) -> (usize, usize) {
        (self.clients.len() + self.servers.len(), self.legs.len())
    }

    /// When the oldest of the open sessions began, or was restored.
    pub fn in_session_since(&self) -> Option<Mono> {
        self.legs.first().map(|leg| leg.since)
    }

    /// Finds the request its place: a transaction, a call that opens, or a dialog (§8.2, §12.2.2).
    fn on_request(&mut self, request: Request, from: Peer, now: Now) {
        let key = ServerKey::of(&request);
        if request.method == Some(Method::Ack) {
            return self.on_ack(&key, &request, from, now);
        }
        if let Some(server) = self.servers.get_mut(&key) {
            server.handle_request();
            return self.run_server(&key);
        }
        if request.method == Some(Method::Cancel) && request.fault.is_none() {
            return self.on_cancel(&request, from, now);
        }
        let opens = request.method == Some(Method::Invite) && request.to_tag.is_none();
        match &request.fault {
            _ if opens => self.on_invite(request, from, None, now),
            Some(fault) => self.respond(&request, from, fault.status, now),
            None if request.to_tag.is_some() => self.on_inside(request, from, now),
            None => self.on_outside(&request, from, now),
        }
    }

    fn transmit(&mut self, transmit: Transmit) {
        self.transmits.push_back(transmit);
    }

    fn report(&mut self, event: Event) {
        self.events.push_back(event);
    }

    fn drop_message(&mut self, from: Peer, why: &'static str) {
        self.report(Event::Dropped { from, why });
    }

    /// Whoever knows the Call-ID of a session, and is not of it, has listened on the way: that is told, once for each.
    fn tell_of_forgery(&mut self, from: Peer, bytes: &[u8]) {
        if self.legs.len() == 0 {
            return;
        }
        let id = traffic::call_id(bytes).and_then(|call_id| self.legs.of_call_id(call_id));
        // A telephone of ours whose port a NAT has changed is no forger.
        let itself = |phone: Option<Peer>| phone.is_some_and(|at| at.addr.ip() == from.addr.ip());
        let news = |leg: &legs::Leg| !leg.forged && !itself(leg.phone);
        let Some(leg) = id.filter(|id| self.legs.get(*id).is_some_and(news)) else {
            return;
        };
        if let Some(known) = self.legs.get_mut(leg) {
            known.forged = true;
            self.report(Event::Forged { leg, from, method: traffic::method(bytes) });
        }
    }

    fn tell_of_floods(&mut self) {
        while let Some(summary) = self.admission.poll() {
            self.report(Event::TurnedAway(summary));
        }
    }

    fn is_full(&self) -> bool {
        self.clients.len() + self.servers.len() >= self.transactions_max
    }

    /// A new INVITE gets 503: the rest is for calls of our own and for ending what is open.
    fn is_crowded(&self) -> bool {
        self.clients.len() + self.servers.len() >= self.transactions_max / 4 * 3
    }

    /// What asks for nothing to be kept is answered without a transaction: the rest is for calls.
    fn is_busy(&self) -> bool {
        self.clients.len() + self.servers.len() >= self.transactions_max / 4
    }

    /// Whatever was asked for since has its place in the order of deadlines: by itself with the next message, and so that
    /// `poll_timeout` finds the first at once.
    pub fn settle(&mut self) {
        self.clients.settle();
        self.servers.settle();
        self.legs.settle();
    }

    /// A branch that nobody has used (§8.1.1.7).
    fn new_branch(&mut self) -> String {
        format!("z9hG4bK{}", self.random.token())
    }
}

fn transactions_max(account: &Account) -> usize {
    let pace = usize::try_from(account.habits.pace.per_second).unwrap_or(usize::MAX);
    TRANSACTIONS_MAX.max(pace.saturating_mul(TRANSACTIONS_PER_PACE))
}

#[cfg(test)]
mod tests;
