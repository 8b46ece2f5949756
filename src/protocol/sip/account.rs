//! Who we are at the PBX, by how many addresses-of-record, and how it wants to be spoken to.

use super::Peer;
use super::admission::Pace;
use serde::{Deserialize, Serialize};
use std::net::{IpAddr, SocketAddr};
use std::time::Duration;

/// Who we are and whom we speak to.
#[derive(Debug, Clone)]
pub struct Account {
    /// Our signalling address as peers see it (Via, Contact). UDP and TCP share the port.
    pub local: SocketAddr,
    /// Where requests go: one of `peers`.
    pub pbx: Peer,
    /// Every address of the PBX, most preferred first; empty for `pbx` alone.
    pub peers: Vec<Peer>,
    pub habits: Habits,
    /// Host part of our address-of-record and of dialled URIs.
    pub domain: String,
    pub user: String,
    pub display: String,
    pub auth_user: String,
    pub password: String,
    /// Only challenges of this realm are answered; `None` takes the realm of the first challenge
    /// to our REGISTER.
    pub realm: Option<String>,
    /// Wanted binding in seconds; 0 does not register.
    pub expires: u32,
    /// Addresses-of-record beside the first one.
    pub others: Vec<Aor>,
    /// Session interval we ask for, in seconds (RFC 4028); 0 leaves it to the peer.
    pub session_expires: u32,
    /// Beside the PBX, whose requests are served (source addresses). Empty: the PBX alone.
    pub also_trusted: Vec<IpAddr>,
    /// User-Agent and Server header.
    pub agent: String,
}

impl Account {
    /// Whether messages from this address are served, and may be sent there.
    pub fn trusts(&self, ip: IpAddr) -> bool {
        let ip = ip.to_canonical();
        self.is_pbx(ip) || self.also_trusted.iter().any(|trusted| trusted.to_canonical() == ip)
    }

    /// The first is our own.
    pub fn aors(&self) -> impl Iterator<Item = AorId> + use<> {
        (0..=self.others.len()).map(|place| AorId(u8::try_from(place).unwrap_or(u8::MAX)))
    }

    /// Its user part; the first one's where there is no such.
    pub fn user_of(&self, aor: AorId) -> &str {
        self.other(aor).map_or(&self.user, |other| &other.user)
    }

    /// User name and password for a challenge.
    pub fn credentials(&self, aor: AorId) -> (&str, &str) {
        let own = (self.auth_user.as_str(), self.password.as_str());
        self.other(aor).map_or(own, |other| (&other.auth_user, &other.password))
    }

    /// The address-of-record that a request to `request_user` (To: `to_user`) is for. A registrar puts our Contact into the
    /// Request-URI (RFC 3261 §16.5), a trunk the number that was dialled, short or whole.
    pub fn called(&self, request_user: &str, to_user: &str) -> AorId {
        let users = [request_user, to_user];
        let fits = |aor: &AorId, user: &str| match self.other(*aor) {
            Some(other) => user == other.user || is_number(user, &other.number),
            None => user == self.user,
        };
        let of = |user: &&str| self.aors().find(|aor| fits(aor, user));
        users.iter().find_map(of).unwrap_or_default()
    }

    fn other(&self, aor: AorId) -> Option<&Aor> {
        self.others.get(usize::from(aor.0).checked_sub(1)?)
    }

    /// Whether this is one of the PBX's own addresses.
    pub fn is_pbx(&self, ip: IpAddr) -> bool {
        let ip = ip.to_canonical();
        let mut all = self.peers.iter().chain([&self.pbx]);
        all.any(|peer| peer.addr.ip().to_canonical() == ip)
    }
}

/// How a PBX wants to be spoken to, where that differs from place to place.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Habits {
    /// A line that the PBX knows by its address: OPTIONS keep it, nothing is registered.
    pub trunk: bool,
    pub numbers: Numbers,
    /// `sips:` URIs throughout (RFC 5630), for a PBX that asks for them.
    pub sips: bool,
    /// Requests over 1,300 bytes stay on UDP, in fragments.
    pub large_by_udp: bool,
    /// Between two keep-alives over UDP; zero for none.
    pub keep_alive: Duration,
    /// How fast calls may come from one of its addresses.
    pub pace: Pace,
}

/// How numbers are written in URIs.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum Numbers {
    /// `sip:63001234@domain`
    #[default]
    Sip,
    /// `sip:63001234@domain;user=phone` (RFC 3261 §19.1.6)
    Phone,
    /// `tel:63001234;phone-context=domain` (RFC 3966)
    Tel,
}

/// An address-of-record (RFC 3261 §10) beside the account's first, at the same PBX.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Aor {
    pub user: String,
    /// The number that people dial to reach it.
    pub number: String,
    pub auth_user: String,
    pub password: String,
}

/// An address-of-record of ours by its place; the account's own is the first.
#[derive(
    Debug, Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize,
)]
pub struct AorId(pub u8);

/// Digits of a number below which an ending alone says nothing.
const ENDING_MIN: usize = 5;

/// Whether `dialled` is this number, perhaps with country or area code before it.
fn is_number(dialled: &str, number: &str) -> bool {
    let digits = |text: &str| text.chars().filter(char::is_ascii_digit).collect::<String>();
    let number = digits(number);
    dialled == number || number.len() >= ENDING_MIN && digits(dialled).ends_with(&number)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::protocol::sip::Transport;

    fn account() -> Account {
        let pbx = Peer::nowhere(Transport::Udp);
        let other = |user: &str, number: &str| Aor {
            user: user.to_owned(),
            number: number.to_owned(),
            auth_user: user.to_owned(),
            password: format!("of {user}"),
        };
        Account {
            local: SocketAddr::from(([192, 0, 2, 2], 5060)),
            pbx,
            peers: vec![],
            habits: Habits::default(),
            domain: "pbx.example".to_owned(),
            user: "1001".to_owned(),
            display: String::new(),
            auth_user: "1001".to_owned(),
            password: "of 1001".to_owned(),
            realm: None,
            expires: 90,
            others: vec![other("1002", "6300 5678"), other("1003", "110")],
            session_expires: 0,
            also_trusted: vec![],
            agent: String::new(),
        }
    }

    #[test]
    fn section_16_5_the_called_address_is_known_by_contact_number_or_to() {
        let account = account();
        for (request, to, aor) in [
            ("1001", "63005678", 0),
            ("1002", "63001234", 1),
            ("63005678", "x", 1),
            ("+861063005678", "", 1),
            ("", "1003", 2),
            ("110", "", 2),
            // Three digits at the end of a number are not the short number.
            ("63001110", "", 0),
            ("63001234", "63001234", 0),
        ] {
            assert_eq!(account.called(request, to), AorId(aor), "{request} {to}");
        }
        assert_eq!(account.credentials(AorId(1)), ("1002", "of 1002"));
        assert_eq!(account.credentials(AorId(9)), ("1001", "of 1001"), "one that is gone");
        assert_eq!(account.aors().count(), 3);
    }
}
