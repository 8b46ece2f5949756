//! Who is registered where, and who may: bindings (RFC 3261 §10.3) and digest (RFC 7616).

use super::User;
use super::text::{Message, param, uri};
use crate::protocol::now::{Mono, Now};
use crate::protocol::random::Random;
use crate::protocol::sip::Peer;
use md5::{Digest, Md5};
use sha2::Sha256;
use std::collections::BTreeMap;
use std::time::Duration;

const MOST_NONCES: usize = 1000;
const NONCE_LIFE: Duration = Duration::from_secs(300);
const SHORTEST: u32 = 10;

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Algorithm {
    Md5,
    Sha256,
}

/// Where a registered user is reached.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Binding {
    pub contact: String,
    pub peer: Peer,
    until: Mono,
}

#[derive(Debug, PartialEq, Eq)]
pub enum Verdict {
    Welcome {
        user: String,
    },
    /// The value of the WWW-Authenticate or Proxy-Authenticate header to ask with.
    Challenge(String),
}

/// What became of a REGISTER that was let in.
#[derive(Debug, PartialEq, Eq)]
pub enum Registration {
    Bound { expires: u32 },
    Removed,
    TooBrief { least: u32 },
    NoContact,
}

pub struct Registrar {
    realm: String,
    algorithm: Algorithm,
    longest: u32,
    bindings: BTreeMap<String, Binding>,
    nonces: BTreeMap<String, (Mono, u32)>,
    random: Random,
}

impl Registrar {
    pub fn new(realm: String, algorithm: Algorithm, longest: u32, random: Random) -> Self {
        let (bindings, nonces) = (BTreeMap::new(), BTreeMap::new());
        Self { realm, algorithm, longest, bindings, nonces, random }
    }

    pub fn binding(&self, user: &str, now: Now) -> Option<&Binding> {
        self.bindings.get(user).filter(|binding| now.mono < binding.until)
    }

    /// The transport address of whoever registered this contact.
    pub fn peer_of(&self, address: std::net::SocketAddr, now: Now) -> Option<Peer> {
        let live = self.bindings.values().filter(|binding| now.mono < binding.until);
        live.map(|binding| binding.peer).find(|peer| peer.addr == address)
    }

    /// A binding that never ends.
    pub fn place(&mut self, user: &str, at: Peer) {
        let contact = format!("sip:{user}@{}", at.addr);
        self.bindings.insert(user.to_owned(), Binding { contact, peer: at, until: Mono(u64::MAX) });
    }

    pub fn set_realm(&mut self, realm: &str) {
        realm.clone_into(&mut self.realm);
    }

    pub fn forget(&mut self, user: &str) {
        self.bindings.remove(user);
    }

    /// Binds or unbinds `user` as its REGISTER asks.
    pub fn register(
        &mut self,
        user: &str,
        request: &Message,
        from: Peer,
        now: Now,
    ) -> Registration {
        let Some(contact) = request.first("Contact") else { return Registration::NoContact };
        let header = request.first("Expires").and_then(|text| text.trim().parse().ok());
        let wanted = param(&contact, "expires").and_then(|text| text.parse().ok()).or(header);
        let expires: u32 = wanted.unwrap_or(self.longest).min(self.longest);
        if expires == 0 {
            self.bindings.remove(user);
            return Registration::Removed;
        }
        if expires < SHORTEST {
            return Registration::TooBrief { least: SHORTEST };
        }
        let until = now.mono + Duration::from_secs(expires.into());
        let binding = Binding { contact: uri(&contact).to_owned(), peer: from, until };
        self.bindings.insert(user.to_owned(), binding);
        Registration::Bound { expires }
    }

    /// Judges the credentials in the header `name` of a request.
    pub fn judge(
        &mut self,
        users: &BTreeMap<String, User>,
        request: &Message,
        name: &str,
        now: Now,
    ) -> Verdict {
        let header = request.all(name).find_map(|text| fields(&text));
        let Some(given) = header else { return self.challenge(false, now) };
        let field = |key: &str| given.get(key).map_or("", String::as_str);
        let Some(user) = users.get(field("username")) else { return self.challenge(false, now) };
        if !self.is_right(&user.password, request.method(), &given) {
            return self.challenge(false, now);
        }
        let count = u32::from_str_radix(field("nc"), 16).unwrap_or(0);
        match self.nonces.get_mut(field("nonce")) {
            // A retransmission repeats its count.
            Some((until, seen)) if now.mono < *until && count >= *seen => {
                *seen = count;
                Verdict::Welcome { user: field("username").to_owned() }
            }
            _ => self.challenge(true, now),
        }
    }

    fn is_right(&self, password: &str, method: &str, given: &BTreeMap<String, String>) -> bool {
        let field = |key: &str| given.get(key).map_or("", String::as_str);
        let algorithm = field("algorithm");
        if !algorithm.is_empty() && !algorithm.eq_ignore_ascii_case(self.algorithm.name()) {
            return false;
        }
        let hash = |text: &str| self.algorithm.hash(text);
        let secret = hash(&format!("{}:{}:{password}", field("username"), self.realm));
        let request = hash(&format!("{method}:{}", field("uri")));
        let (nonce, nc, cnonce) = (field("nonce"), field("nc"), field("cnonce"));
        field("qop") == "auth"
            && nc.len() == 8
            && field("response") == hash(&format!("{secret}:{nonce}:{nc}:{cnonce}:auth:{request}"))
    }

    fn challenge(&mut self, stale: bool, now: Now) -> Verdict {
        self.nonces.retain(|_, (until, _)| now.mono < *until);
        while self.nonces.len() >= MOST_NONCES {
            self.nonces.pop_first();
        }
        let nonce = self.random.token() + &self.random.token();
        self.nonces.insert(nonce.clone(), (now.mono + NONCE_LIFE, 0));
        let (realm, algorithm) = (&self.realm, self.algorithm.name());
        let stale = if stale { ", stale=true" } else { "" };
        Verdict::Challenge(format!(
            "Digest realm=\"{realm}\", nonce=\"{nonce}\", algorithm={algorithm}, qop=\"auth\"{stale}"
        ))
    }
}

impl Algorithm {
    fn name(self) -> &'static str {
        match self {
            Self::Md5 => "MD5",
            Self::Sha256 => "SHA-256",
        }
    }

    fn hash(self, text: &str) -> String {
        match self {
            Self::Md5 => hex::encode(Md5::digest(text)),
            Self::Sha256 => hex::encode(Sha256::digest(text)),
        }
    }
}

/// The fields of `Digest key="value", key=value`; commas inside quotes belong to the value.
fn fields(text: &str) -> Option<BTreeMap<String, String>> {
    let mut rest = text.trim().strip_prefix("Digest ")?;
    let mut fields = BTreeMap::new();
    while let Some((key, after)) = rest.split_once('=') {
        let (value, remains) = match after.strip_prefix('"') {
            Some(quoted) => quoted.split_once('"')?,
            None => after.split_at(after.find(',').unwrap_or(after.len())),
        };
        fields.insert(key.trim().to_ascii_lowercase(), value.trim().to_owned());
        rest = remains.trim_start().trim_start_matches(',');
    }
    Some(fields)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn fields_may_hold_commas_and_spaces() {
        let fields =
            fields("Digest username=\"a,b\" , nc=00000001,qop=auth, uri=\"sip:x\"").unwrap();
        assert_eq!(fields["username"], "a,b");
        assert_eq!(fields["nc"], "00000001");
        assert_eq!(fields["qop"], "auth");
        assert_eq!(fields["uri"], "sip:x");
    }

    /// The example of RFC 7616 §3.9.1, for both algorithms.
    #[test]
    fn the_rfcs_own_example_is_right() {
        for (algorithm, response) in [
            (Algorithm::Md5, "8ca523f5e9506fed4657c9700eebdbec"),
            (Algorithm::Sha256, "753927fa0e85d155564e2e272a28d1802ca10daf4496794697cf8db5856cb6c1"),
        ] {
            let random = Random::from_seed([0; 32]);
            let registrar = Registrar::new("http-auth@example.org".into(), algorithm, 60, random);
            let mut given = fields(&format!(
                "Digest username=\"Mufasa\", uri=\"/dir/index.html\", algorithm={}, \
                 nonce=\"7ypf/xlj9XXwfDPEoM4URrv/xwf94BcCAzFZH4GiTo0v\", nc=00000001, \
                 cnonce=\"f2/wE4q74E6zIJEtWaHKaf5wv/H5QzzpXusqGemxURZJ\", qop=auth, \
                 response=\"{response}\"",
                algorithm.name()
            ))
            .unwrap();
            assert!(registrar.is_right("Circle of Life", "GET", &given));
            assert!(!registrar.is_right("Circle of life", "GET", &given));
            given.insert("nc".into(), "00000002".into());
            assert!(!registrar.is_right("Circle of Life", "GET", &given));
        }
    }
}
