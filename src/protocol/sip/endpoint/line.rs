//! The way to the PBX: OPTIONS to its addresses, the move from one to another, and keep-alives.

use super::Endpoint;
use super::client::{Client, ClientKey, Purpose};
use crate::protocol::now::{Deadline, Mono, Now, earlier};
use crate::protocol::sip::draft::{self, Draft};
use crate::protocol::sip::message::{Method, Response};
use crate::protocol::sip::phones::Phones;
use crate::protocol::sip::route::{Failure, Step};
use crate::protocol::sip::{AorId, Event, Peer, Transmit, Transport};
use std::time::Duration;

/// The largest request that goes by UDP, in bytes (RFC 3261 §18.1.1).
const DATAGRAM_MAX: usize = 1300;
/// A PBX that takes no TCP is not asked for it again before.
const WITHOUT_TCP: Duration = Duration::from_secs(300);
/// Ends no message and begins none: keeps a NAT's binding open (RFC 5626 §3.5).
const KEEP_ALIVE: &[u8] = b"\r\n\r\n";

/// What is known of the way besides its address.
#[derive(Debug, Default)]
pub struct Way {
    /// The line is wanted: it is taken up as soon as an address is known.
    pub wanted: bool,
    keep_alive: Option<Mono>,
    /// No address is known: to be told.
    nowhere: Option<Mono>,
    /// When the PBX was heard last, or the line was first wanted.
    heard: Option<Mono>,
    /// TCP was refused: large requests go by UDP until then.
    udp_until: Option<Mono>,
}

impl Way {
    pub fn hears(&mut self, now: Mono) {
        self.heard = Some(now);
    }

    pub fn poll_timeout(&self) -> Option<Deadline> {
        let keep_alive = self.keep_alive.map(|at| (at, "keep-alive"));
        earlier(keep_alive, self.nowhere.map(|at| (at, "no address of the PBX")))
    }
}

impl Endpoint {
    /// Keeps the way open until `stop_way`.
    pub(super) fn start_way(&mut self, now: Now) {
        self.way.wanted = true;
        self.way.heard.get_or_insert(now.mono);
        self.way.nowhere = (!self.account.pbx.is_somewhere()).then_some(now.mono);
        self.route.start(now.mono);
        let pause = self.account.habits.keep_alive;
        self.way.keep_alive = (!pause.is_zero()).then(|| now.mono + pause);
        self.run_route(now);
    }

    pub(super) fn stop_way(&mut self) {
        self.route.stop();
        (self.way.wanted, self.way.keep_alive, self.way.nowhere) = (false, None, None);
        self.clients.forget(|client| matches!(client.purpose, Purpose::Options { .. }));
        self.end_trial();
    }

    /// The PBX's addresses have changed, most preferred first; an empty list changes nothing.
    pub fn set_peers(&mut self, peers: &[Peer], now: Now) {
        if peers.is_empty() {
            return;
        }
        self.leave_for(peers, now);
        self.account.peers = peers.to_vec();
        self.route.handle_list(peers, now.mono);
        self.run_route(now);
    }

    pub(super) fn way_timeout(&mut self, now: Now) {
        self.route.handle_timeout(now.mono);
        self.run_route(now);
        if self.way.nowhere.take_if(|due| *due <= now.mono).is_some() {
            self.report_no_way(503, "no address of the PBX is known yet");
        }
        if self.way.keep_alive.is_some_and(|due| due <= now.mono) {
            self.way.keep_alive = Some(now.mono + self.account.habits.keep_alive);
            let to = self.account.pbx;
            // A connection is kept alive by whoever holds it.
            if to.transport == Transport::Udp {
                self.transmit(Transmit { to, bytes: KEEP_ALIVE.to_vec() });
            }
        }
    }

    pub(super) fn way_deadline(&self) -> Option<Deadline> {
        earlier(self.route.poll_timeout(), self.way.poll_timeout())
    }

    pub(super) fn run_route(&mut self, now: Now) {
        while let Some(step) = self.route.poll() {
            match step {
                Step::Ask { peer } => self.ask(peer, now),
                Step::Use { peer, lost, preferred, failed } => {
                    self.move_to(peer, lost, preferred, failed, now);
                }
                Step::Try { peer } => self.try_at(peer, now),
                Step::Silent => self.look_for_the_binding(now),
                Step::Up => {
                    for aor in self.account.aors() {
                        self.report(Event::Registered { aor, expires: 0 });
                    }
                }
                Step::Down { status } => {
                    let trouble = self.registrars.trouble.clone();
                    let reason = trouble.unwrap_or_else(|| silence(self.account.pbx));
                    self.report_no_way(status, &reason);
                }
            }
        }
    }

    /// Until when the PBX was there for certain; before it was ever heard, since when it is looked for.
    pub fn heard(&self) -> Option<Mono> {
        self.way.heard
    }

    /// The PBX's address in use.
    pub fn pbx(&self) -> Peer {
        self.account.pbx
    }

    fn look_for_the_binding(&mut self, now: Now) {
        if self.account.expires > 0 {
            self.report_no_way(408, &silence(self.account.pbx));
            self.registrars.register(now.mono);
            self.run_registrar(now);
        }
    }

    /// §11.
    fn ask(&mut self, peer: Peer, now: Now) {
        let asked = Purpose::Options { peer };
        self.clients.forget(|client| client.purpose == asked);
        let account = &self.account;
        let aor = AorId::default();
        let ours = draft::name_addr("", &draft::own_uri(account, &account.user));
        let uri = draft::host_uri(account, &account.domain);
        let options = Draft {
            method: Method::Options,
            aor,
            peer,
            from: format!("{ours};tag={}", self.random.token()).into_bytes(),
            to: draft::name_addr("", &uri).into_bytes(),
            uri: uri.into_bytes(),
            call_id: self.random.token().into_bytes(),
            cseq: 1,
            routes: vec![],
            headers: vec![("Contact".to_owned(), draft::contact(account, aor).into_bytes())],
            body: None,
        };
        self.start_client(options, asked, now);
    }

    pub(super) fn on_options_answer(
        &mut self,
        key: &ClientKey,
        peer: Peer,
        response: &Response,
        now: Now,
    ) {
        // Nobody waits for more of it.
        self.clients.remove(key);
        self.route.handle_answer(peer, response.status, response.retry_after(), now.mono);
        self.run_route(now);
    }

    /// The address in use left something unanswered or cannot be reached.
    pub(super) fn on_address_failed(&mut self, peer: Peer, failure: Failure, now: Now) {
        self.route.handle_failure(peer, failure, now.mono);
        self.run_route(now);
    }

    /// RFC 3263 §4.3: what has not been heard by the old address is sent to the new one. Sessions
    /// stay where they are.
    fn move_to(&mut self, peer: Peer, lost: bool, preferred: bool, failed: bool, now: Now) {
        let old = std::mem::replace(&mut self.account.pbx, peer);
        self.way.nowhere = None;
        self.way.udp_until = None;
        if lost && !self.account.habits.trunk && self.account.expires > 0 {
            let trouble = self.registrars.trouble.clone();
            let status = if trouble.is_some() { 503 } else { 408 };
            let reason = trouble.unwrap_or_else(|| silence(old));
            self.report_no_way(status, &reason);
        }
        self.report(Event::Moved { to: peer, preferred });
        let registers = |client: &Client| matches!(client.purpose, Purpose::Register { .. });
        self.clients.forget(registers);
        self.end_trial();
        self.registrars.handle_moved(failed, now.mono);
        if self.way.wanted {
            self.registrars.register(now.mono);
        }
        self.run_registrar(now);
        if lost {
            self.repeat_invites(old, now);
        }
    }

    /// §18.1.1: a request that may not fit into one packet goes by TCP, where the PBX takes that.
    pub(super) fn grow(&self, draft: &mut Draft, length: usize, now: Now) -> bool {
        let at = |phones: &Phones| phones.at(draft.peer.addr, now.mono).is_some();
        let to_phone = self.phones.as_ref().is_some_and(at);
        let by_udp = draft.peer.transport == Transport::Udp && !self.account.habits.large_by_udp;
        let refused = self.way.udp_until.is_some_and(|until| now.mono < until);
        let grows = by_udp && length > DATAGRAM_MAX && !refused && !to_phone;
        if grows {
            draft.peer.transport = Transport::Tcp;
        }
        grows
    }

    /// The PBX takes no TCP: the request goes by UDP all the same.
    pub(super) fn shrink(&mut self, client: &Client, now: Now) {
        self.way.udp_until = Some(now.mono + WITHOUT_TCP);
        let mut draft = Draft::clone(&client.draft);
        draft.peer.transport = Transport::Udp;
        let again = self.start_proved(draft, client.purpose, client.proof, now);
        self.set_client(client.purpose, again);
    }
}

fn silence(peer: Peer) -> String {
    format!("no answer from {}", peer.addr)
}
