//! Phones that register with us instead of the PBX: whose a request is, by digest (RFC 3261 §10.3,
//! §22), and where they are. Whoever tries passwords is slowed down and told of. Knows no message
//! but those it is shown, and no call.

mod bindings;
mod nonces;

pub use bindings::{Binding, Unbound};

use super::Peer;
use super::admission::{Admission, Pace, Summary};
use super::digest::Algorithm;
use super::digest::credentials::{Credentials, challenge};
use super::message::{Request, identity};
use crate::protocol::now::{Deadline, Mono};
use crate::protocol::random::Random;
use bindings::Bindings;
use nonces::Nonces;
use std::fmt;
use std::net::{IpAddr, SocketAddr};

/// What one address may try: a phone that registers each minute and calls is far below.
const PACE: Pace = Pace { per_second: 1, at_once: 20, kept: 0 };

/// The phones that may register, as configured.
#[derive(Debug, Clone)]
pub struct Plan {
    pub realm: String,
    /// From elsewhere nothing is answered.
    pub networks: Vec<Network>,
    /// What phones may prove themselves with, the strongest first.
    pub algorithms: Vec<Algorithm>,
    pub phones: Vec<Phone>,
}

impl Plan {
    fn serves(&self, ip: IpAddr) -> bool {
        self.networks.iter().any(|network| network.has(ip))
    }
}

#[derive(Clone)]
pub struct Phone {
    /// Shown in the log.
    pub name: String,
    pub user: String,
    pub password: String,
}

impl fmt::Debug for Phone {
    /// The password never reaches a log.
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(out, "Phone({} {})", self.user, self.name)
    }
}

/// Addresses that begin with the same bits.
#[derive(Debug, Clone, Copy, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
pub struct Network {
    pub ip: IpAddr,
    pub bits: u8,
}

impl Network {
    pub fn has(self, ip: IpAddr) -> bool {
        let same = |one: u128, other: u128, length: u32| {
            let apart = length - u32::from(self.bits).min(length);
            one.checked_shr(apart).unwrap_or(0) == other.checked_shr(apart).unwrap_or(0)
        };
        match (self.ip, ip.to_canonical()) {
            (IpAddr::V4(ours), IpAddr::V4(ip)) => {
                same(ours.to_bits().into(), ip.to_bits().into(), 32)
            }
            (IpAddr::V6(ours), IpAddr::V6(ip)) => same(ours.to_bits(), ip.to_bits(), 128),
            _ => false,
        }
    }
}

/// Whose a request is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Verdict {
    /// Nobody's yet: it is to be asked. `stale`: the password was right, the nonce too old.
    Ask { stale: bool },
    /// Not who it says.
    Wrong,
    /// One that this address may not try now; nothing is answered.
    TooMany,
    /// This phone's, by its user.
    Proved { user: String },
}

#[derive(Debug)]
pub struct Phones {
    plan: Plan,
    nonces: Nonces,
    bindings: Bindings,
    attempts: Admission,
}

impl Phones {
    pub fn new(plan: Plan, random: &mut Random) -> Self {
        let (bindings, attempts) = (Bindings::default(), Admission::new(PACE));
        Self { plan, nonces: Nonces::new(random), bindings, attempts }
    }

    /// Whether phones may be there.
    pub fn serves(&self, ip: IpAddr) -> bool {
        self.plan.serves(ip)
    }

    /// The phone that has registered from this very address.
    pub fn at(&self, from: SocketAddr, now: Mono) -> Option<&Phone> {
        let user = self.bindings.at(from, now)?;
        self.phone(user)
    }

    /// Where the phone of this user is, and the address that it is called by there.
    pub fn place(&self, user: &str, now: Mono) -> Option<(&[u8], Peer)> {
        self.phone(user).and_then(|_| self.bindings.of(user, now))
    }

    pub fn phone(&self, user: &str) -> Option<&Phone> {
        self.plan.phones.iter().find(|phone| phone.user == user)
    }

    /// Whose the request is. Whether a user exists cannot be told from the answer.
    pub fn judge(&mut self, request: &Request, from: Peer, now: Mono) -> Verdict {
        let ip = from.addr.ip().to_canonical();
        let user = identity(request.wire.header("from").unwrap_or_default()).user;
        if !self.attempts.admits(ip, &user, now) {
            return Verdict::TooMany;
        }
        let mut stale = false;
        for value in request.wire.all("authorization") {
            let Some(given) = Credentials::parse(value) else { continue };
            let ours = given.realm == self.plan.realm.as_bytes();
            if !ours || !self.plan.algorithms.contains(&given.algorithm) {
                continue;
            }
            // Whoever does not hear our answers proves nothing, and counts for nothing.
            if !self.nonces.is_good(&given.nonce, ip, now) {
                stale = true;
                continue;
            }
            let phone = self.phone(&given.user);
            let password = phone.map_or("nobody's password", |phone| &phone.password);
            let proved = given.prove(password, &request.method_name);
            if !proved || phone.is_none() || given.uri != request.uri {
                self.attempts.turn_away(ip, now);
                return Verdict::Wrong;
            }
            if self.nonces.spend(&given.nonce, given.count, now) {
                return Verdict::Proved { user: given.user };
            }
            stale = true;
        }
        Verdict::Ask { stale }
    }

    /// A challenge in each algorithm (RFC 8760 §2.3: the strongest first).
    pub fn challenges(
        &self,
        to: IpAddr,
        stale: bool,
        random: &mut Random,
        now: Mono,
    ) -> Vec<Vec<u8>> {
        let nonce = self.nonces.give(to.to_canonical(), random, now);
        let of = |algorithm: &Algorithm| challenge(&self.plan.realm, &nonce, *algorithm, stale);
        self.plan.algorithms.iter().map(of).collect()
    }

    /// What a REGISTER that was proved asks; the Contacts of the 200 to it.
    ///
    /// # Errors
    /// Why it is not done.
    pub fn register(
        &mut self,
        user: &str,
        request: &Request,
        from: Peer,
        now: Mono,
    ) -> Result<Vec<Vec<u8>>, Unbound> {
        self.bindings.register(user, request, from, now)
    }

    /// Where phones were in an earlier run; of those that are configured still.
    pub fn restore(&mut self, saved: Vec<Binding>, now: Mono) {
        let plan = &self.plan;
        let fits = |user: &str, peer: Peer| {
            plan.serves(peer.addr.ip()) && plan.phones.iter().any(|phone| phone.user == user)
        };
        self.bindings.restore(saved, fits, now);
    }

    /// Whether `take_changes` has something to tell.
    pub fn is_changed(&self) -> bool {
        self.bindings.is_changed()
    }

    /// Where phones are, if that may have changed since this was last asked.
    pub fn take_changes(&mut self) -> Option<Vec<Binding>> {
        self.bindings.take_changes()
    }

    pub fn handle_timeout(&mut self, now: Mono) {
        self.attempts.handle_timeout(now);
    }

    pub fn poll_timeout(&self) -> Option<Deadline> {
        self.attempts.poll_timeout()
    }

    /// Attempts that came to nothing.
    pub fn poll(&mut self) -> Option<Summary> {
        self.attempts.poll()
    }

    pub fn bound(&self) -> usize {
        self.bindings.len()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_network_has_the_addresses_that_begin_as_it_does() {
        let network = |text: &str, bits| Network { ip: text.parse().unwrap(), bits };
        let has = |network: Network, ip: &str| network.has(ip.parse().unwrap());
        let room = network("192.168.10.0", 24);
        assert!(has(room, "192.168.10.1") && has(room, "::ffff:192.168.10.255"));
        assert!(!has(room, "192.168.11.1") && !has(room, "fe80::1"));
        assert!(
            has(network("10.0.0.7", 32), "10.0.0.7") && !has(network("10.0.0.7", 32), "10.0.0.6")
        );
        assert!(has(network("0.0.0.0", 0), "203.0.113.9"));
        assert!(has(network("fd00::", 8), "fd12::9") && !has(network("fd00::", 8), "fe00::9"));
        assert!(has(network("::", 0), "fe00::9"));
    }
}
