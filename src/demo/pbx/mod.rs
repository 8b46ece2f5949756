//! A small PBX without sockets: a registrar with digest, and a proxy that is stateless but for
//! the paths it chose (RFC 3261 §16.11). Shares no code with `protocol::sip`, so that the two judge
//! each other.

mod registrar;
mod text;

pub use registrar::Algorithm;

use crate::protocol::now::{Mono, Now};
use crate::protocol::random::Random;
use crate::protocol::sip::{Peer, Transmit, Transport};
use registrar::{Registrar, Registration, Verdict};
use sha2::{Digest, Sha256};
use std::collections::{BTreeMap, VecDeque};
use std::net::SocketAddr;
use std::time::Duration;
use text::{Message, Start, address, host_address, param, uri, user_and_host};

const MOST_PATHS: usize = 10_000;
/// Longer than any INVITE stays open: a CANCEL goes where its INVITE went (§16.10).
const PATH_LIFE: Duration = Duration::from_secs(300);

#[derive(Debug, Clone)]
pub struct Plan {
    pub address: SocketAddr,
    pub domain: String,
    pub algorithm: Algorithm,
    /// The longest binding granted, in seconds.
    pub longest: u32,
    pub users: BTreeMap<String, User>,
    /// The way to the outside: requests from here need no password.
    pub trusted: Vec<SocketAddr>,
}

#[derive(Debug, Clone)]
pub struct User {
    pub password: String,
    /// Who is rung while this user is not registered: fail open.
    pub stand_in: Option<String>,
}

/// What the PBX reports to whoever watches it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Event {
    Registered {
        user: String,
    },
    Unregistered {
        user: String,
    },
    /// A password was wrong or missing where one was sent.
    Refused {
        user: String,
    },
    /// A call went to the stand-in of a user who is not registered.
    FailedOpen {
        user: String,
        to: String,
    },
}

/// Where a request was sent, kept for its retransmissions, its CANCEL and the ACK of a refusal.
struct Path {
    to: Peer,
    uri: String,
    until: Mono,
}

/// **Handle one message, drain `poll_transmit` and `poll_event`.** It waits for nothing.
pub struct Pbx {
    plan: Plan,
    registrar: Registrar,
    paths: BTreeMap<String, Path>,
    transmits: VecDeque<Transmit>,
    events: VecDeque<Event>,
}

impl Pbx {
    pub fn new(plan: Plan, random: Random) -> Self {
        let registrar = Registrar::new(plan.domain.clone(), plan.algorithm, plan.longest, random);
        let (paths, transmits, events) = (BTreeMap::new(), VecDeque::new(), VecDeque::new());
        Self { plan, registrar, paths, transmits, events }
    }

    pub fn handle_message(&mut self, from: Peer, bytes: &[u8], now: Now) {
        let Some(message) = Message::parse(bytes) else { return };
        match message.start {
            Start::Request { .. } => self.on_request(from, message, now),
            Start::Response { .. } => self.on_response(message),
        }
    }

    pub fn poll_transmit(&mut self) -> Option<Transmit> {
        self.transmits.pop_front()
    }

    pub fn poll_event(&mut self) -> Option<Event> {
        self.events.pop_front()
    }

    pub fn is_registered(&self, user: &str, now: Now) -> bool {
        self.registrar.binding(user, now).is_some()
    }

    /// The administrator writes down where a user is who does not register.
    pub fn place(&mut self, user: &str, at: Peer) {
        self.registrar.place(user, at);
    }

    /// The administrator sets the PBX up anew under another name.
    pub fn set_realm(&mut self, realm: &str) {
        self.registrar.set_realm(realm);
    }

    /// The administrator removes a binding.
    pub fn forget(&mut self, user: &str) {
        self.registrar.forget(user);
    }

    /// The administrator changes a password; the binding stays until it expires.
    pub fn set_password(&mut self, user: &str, password: &str) {
        if let Some(user) = self.plan.users.get_mut(user) {
            user.password = password.to_owned();
        }
    }

    fn on_request(&mut self, from: Peer, mut request: Message, now: Now) {
        let Some(via) = request.pop("Via") else { return };
        request.push("Via", &received(&via, from));
        let to_us = self.takes_our_route(&mut request);
        let target = request_uri(&request).to_owned();
        let ours = self.is_ours(&target);
        if ours && user_and_host(&target).is_some_and(|(user, _)| user.is_empty()) {
            return self.serve(from, &request, now);
        }
        self.forward(from, request, to_us, now);
    }

    /// A request to the PBX itself.
    fn serve(&mut self, from: Peer, request: &Message, now: Now) {
        match request.method() {
            "REGISTER" => self.on_register(from, request, now),
            "OPTIONS" => self.reply(request, 200, "OK", &[]),
            "ACK" => {}
            _ => self.reply(request, 404, "Not Found", &[]),
        }
    }

    fn on_register(&mut self, from: Peer, request: &Message, now: Now) {
        let verdict = self.registrar.judge(&self.plan.users, request, "Authorization", now);
        let whose = request.first("To").unwrap_or_default();
        let whose = user_and_host(uri(&whose)).map_or("", |(user, _)| user).to_owned();
        match verdict {
            Verdict::Challenge(ask) => {
                if request.first("Authorization").is_some() {
                    self.events.push_back(Event::Refused { user: whose });
                }
                self.reply(request, 401, "Unauthorized", &[("WWW-Authenticate", ask)]);
            }
            Verdict::Welcome { user } if user != whose => {
                self.reply(request, 403, "Forbidden", &[]);
            }
            Verdict::Welcome { user } => self.bind(user, from, request, now),
        }
    }

    fn bind(&mut self, user: String, from: Peer, request: &Message, now: Now) {
        match self.registrar.register(&user, request, from, now) {
            Registration::Bound { expires } => {
                let binding = self.registrar.binding(&user, now);
                let contact = binding.map_or(String::new(), |binding| binding.contact.clone());
                let contact = format!("<{contact}>;expires={expires}");
                self.reply(request, 200, "OK", &[("Contact", contact)]);
                self.events.push_back(Event::Registered { user });
            }
            Registration::Removed => {
                self.reply(request, 200, "OK", &[]);
                self.events.push_back(Event::Unregistered { user });
            }
            Registration::TooBrief { least } => {
                let least = least.to_string();
                self.reply(request, 423, "Interval Too Brief", &[("Min-Expires", least)]);
            }
            Registration::NoContact => self.reply(request, 400, "Bad Request", &[]),
        }
    }

    fn forward(&mut self, from: Peer, mut request: Message, routed: bool, now: Now) {
        let branch = self.branch_of(&request);
        let hops = request.first("Max-Forwards").map_or(Some(70), |text| text.parse::<u8>().ok());
        let Some(hops) = hops.and_then(|hops| hops.checked_sub(1)) else {
            return self.refuse(&request, 483, "Too Many Hops");
        };
        let known = self.paths.get(&branch).map(|path| (path.to, path.uri.clone()));
        let (to, target) = match known {
            Some(path) => path,
            None if !routed && !self.may_call(from, &request, now) => return,
            None => match self.choose(&request, now) {
                Ok(path) => path,
                Err((status, reason)) => return self.refuse(&request, status, reason),
            },
        };
        self.remember(branch.clone(), to, target.clone(), now);
        let method = request.method().to_owned();
        if method == "INVITE" && tag_of(&request, "To").is_none() {
            request.push("Record-Route", &format!("<sip:{};lr{}>", self.plan.address, tcp(to)));
        }
        request.start = Start::Request { method, uri: target };
        request.remove("Max-Forwards");
        request.add("Max-Forwards", &hops.to_string());
        request.remove("Proxy-Authorization");
        let transport = to.transport.name();
        let address = self.plan.address;
        request.push("Via", &format!("SIP/2.0/{transport} {address};branch={branch}"));
        self.send(to, &request);
    }

    /// Whether a request that opens something may pass; asks for a password where it lacks one.
    fn may_call(&mut self, from: Peer, request: &Message, now: Now) -> bool {
        if self.plan.trusted.contains(&from.addr) || matches!(request.method(), "ACK" | "CANCEL") {
            return true;
        }
        match self.registrar.judge(&self.plan.users, request, "Proxy-Authorization", now) {
            Verdict::Welcome { .. } => true,
            Verdict::Challenge(ask) => {
                let ask = [("Proxy-Authenticate", ask)];
                self.reply(request, 407, "Proxy Authentication Required", &ask);
                false
            }
        }
    }

    /// The next hop of a request and the request URI it gets (§16.5, §16.6).
    fn choose(
        &mut self,
        request: &Message,
        now: Now,
    ) -> Result<(Peer, String), (u16, &'static str)> {
        let target = request_uri(request).to_owned();
        if let Some(route) = request.first("Route") {
            let next = address(uri(&route)).ok_or((400, "Bad Request"))?;
            return Ok((self.peer(uri(&route), next, now), target));
        }
        if !self.is_ours(&target) {
            let next = address(&target).ok_or((404, "Not Found"))?;
            return Ok((self.peer(&target, next, now), target));
        }
        let (user, _) = user_and_host(&target).ok_or((400, "Bad Request"))?;
        let stand_in = self.plan.users.get(user).ok_or((404, "Not Found"))?.stand_in.clone();
        if let Some(binding) = self.registrar.binding(user, now) {
            return Ok((binding.peer, binding.contact.clone()));
        }
        let stand_in = stand_in.ok_or((480, "Temporarily Unavailable"))?;
        let binding = self.registrar.binding(&stand_in, now);
        let binding = binding.ok_or((480, "Temporarily Unavailable"))?.clone();
        self.events.push_back(Event::FailedOpen { user: user.to_owned(), to: stand_in });
        Ok((binding.peer, binding.contact))
    }

    fn peer(&self, uri: &str, addr: SocketAddr, now: Now) -> Peer {
        let transport = match param(uri, "transport") {
            Some(name) if name.eq_ignore_ascii_case("tcp") => Transport::Tcp,
            _ => Transport::Udp,
        };
        self.registrar.peer_of(addr, now).unwrap_or(Peer { transport, addr })
    }

    fn on_response(&mut self, mut response: Message) {
        let ours = response.pop("Via").is_some_and(|via| sent_by(&via) == Some(self.plan.address));
        let Some(next) = response.first("Via").filter(|_| ours) else { return };
        if let Some(to) = way_back(&next) {
            self.send(to, &response);
        }
    }

    fn refuse(&mut self, request: &Message, status: u16, reason: &str) {
        if request.method() != "ACK" {
            self.reply(request, status, reason, &[]);
        }
    }

    fn reply(&mut self, request: &Message, status: u16, reason: &str, more: &[(&str, String)]) {
        let mut response = Message::response(status, reason);
        for name in ["Via", "From", "To", "Call-ID", "CSeq"] {
            response.copy(name, request);
        }
        if tag_of(request, "To").is_none()
            && let Some(to) = response.pop("To")
        {
            // The same for a retransmission (§8.2.7).
            let tag = &self.branch_of(request)[7..];
            response.add("To", &format!("{to};tag={tag}"));
        }
        for (name, value) in more {
            response.add(name, value);
        }
        response.add("Content-Length", "0");
        if let Some(to) = response.first("Via").and_then(|via| way_back(&via)) {
            self.send(to, &response);
        }
    }

    fn send(&mut self, to: Peer, message: &Message) {
        self.transmits.push_back(Transmit { to, bytes: message.to_bytes() });
    }

    /// Takes our own Record-Route entry off the route set; whether there was one.
    fn takes_our_route(&self, request: &mut Message) -> bool {
        let top = request.first("Route").unwrap_or_default();
        let first = top.split(',').next().unwrap_or_default();
        let ours = address(uri(first)) == Some(self.plan.address);
        if ours {
            request.pop("Route");
        }
        ours
    }

    fn is_ours(&self, target: &str) -> bool {
        user_and_host(target).is_some_and(|(_, host)| {
            host == self.plan.domain || host_address(host) == Some(self.plan.address)
        })
    }

    /// The branch that this request, its retransmissions, its CANCEL and the ACK of its refusal
    /// share (§16.11).
    fn branch_of(&self, request: &Message) -> String {
        let via = request.first("Via").unwrap_or_default();
        let call = request.first("Call-ID").unwrap_or_default();
        let number = request.first("CSeq").unwrap_or_default();
        let number = number.split_whitespace().next().unwrap_or_default();
        let branch = param(&via, "branch").unwrap_or_default();
        let sender = way_back(&via).map(|peer| peer.addr);
        let hash = Sha256::digest(format!("{branch} {sender:?} {call} {number}"));
        format!("z9hG4bK{}", hex::encode(&hash[..10]))
    }

    fn remember(&mut self, branch: String, to: Peer, uri: String, now: Now) {
        if self.paths.len() >= MOST_PATHS {
            self.paths.retain(|_, path| now.mono < path.until);
        }
        if self.paths.len() < MOST_PATHS {
            self.paths.insert(branch, Path { to, uri, until: now.mono + PATH_LIFE });
        }
    }
}

fn request_uri(request: &Message) -> &str {
    match &request.start {
        Start::Request { uri, .. } => uri,
        Start::Response { .. } => "",
    }
}

fn tag_of(message: &Message, name: &str) -> Option<String> {
    message.first(name).and_then(|value| param(&value, "tag").map(str::to_owned))
}

fn tcp(to: Peer) -> &'static str {
    match to.transport {
        Transport::Udp => "",
        Transport::Tcp => ";transport=tcp",
        Transport::Tls => ";transport=tls",
    }
}

/// The Via of a request with where it really came from (§18.2.1, RFC 3581 §4).
fn received(via: &str, from: Peer) -> String {
    let mut parts: Vec<String> = via.split(';').map(|part| part.trim().to_owned()).collect();
    let is = |part: &str, name: &str| {
        part.split('=').next().is_some_and(|key| key.trim().eq_ignore_ascii_case(name))
    };
    parts.retain(|part| !is(part, "received"));
    if let Some(rport) = parts.iter_mut().find(|part| is(part, "rport")) {
        *rport = format!("rport={}", from.addr.port());
    }
    parts.push(format!("received={}", from.addr.ip()));
    parts.join(";")
}

fn sent_by(via: &str) -> Option<SocketAddr> {
    let before = via.split(';').next()?;
    host_address(before.split_whitespace().nth(1)?)
}

/// Where a response with this topmost Via goes (§18.2.2, RFC 3581 §4).
fn way_back(via: &str) -> Option<Peer> {
    let is_tcp = via.trim_start().to_ascii_uppercase().starts_with("SIP/2.0/TCP");
    let transport = if is_tcp { Transport::Tcp } else { Transport::Udp };
    let mut addr = sent_by(via)?;
    if let Some(ip) = param(via, "received") {
        addr.set_ip(ip.parse().ok()?);
    }
    if let Some(port) = param(via, "rport").and_then(|port| port.parse().ok()) {
        addr.set_port(port);
    }
    Some(Peer { transport, addr })
}

#[cfg(test)]
mod tests;
