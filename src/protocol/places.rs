//! Where voice may be, by the word of the site (reliability.md T6, T11).

use super::sip::phones::Network;
use serde::{Deserialize, Serialize};
use std::net::IpAddr;

/// Networks that are kept.
pub const PLACES_MAX: usize = 8;

/// Empty: wherever a party says that it is, and nowhere else.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Places([Option<Network>; PLACES_MAX]);

impl Places {
    pub const NONE: Self = Self([None; PLACES_MAX]);

    /// The first [`PLACES_MAX`] of these.
    pub fn new(networks: &[Network]) -> Self {
        let mut places = Self::default();
        places.0.iter_mut().zip(networks).for_each(|(place, network)| *place = Some(*network));
        places
    }

    pub fn has(&self, ip: IpAddr) -> bool {
        self.0.iter().flatten().any(|network| network.has(ip))
    }

    /// Whether a party may name this address. An unspecified one is a hold in the old manner
    /// (RFC 3264 §8.4).
    pub fn permits(&self, ip: IpAddr) -> bool {
        ip.is_unspecified() || self.0.iter().all(Option::is_none) || self.has(ip)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ip(text: &str) -> IpAddr {
        text.parse().unwrap()
    }

    #[test]
    fn rel_t6_where_nothing_is_said_everything_is_permitted_and_nothing_is_a_gateway() {
        let none = Places::default();
        assert!(none.permits(ip("203.0.113.9")) && !none.has(ip("203.0.113.9")));
        let of = |text: &str, bits| Network { ip: ip(text), bits };
        let places = Places::new(&[of("192.0.2.0", 28), of("2001:db8::", 64)]);
        for inside in
            ["192.0.2.1", "192.0.2.15", "::ffff:192.0.2.7", "2001:db8::7", "0.0.0.0", "::"]
        {
            assert!(places.permits(ip(inside)), "{inside}");
        }
        for outside in ["192.0.2.16", "203.0.113.9", "2001:db8:0:1::7", "127.0.0.1"] {
            assert!(!places.permits(ip(outside)), "{outside}");
        }
        assert!(!places.has(ip("0.0.0.0")), "nobody speaks from there");
    }
}
