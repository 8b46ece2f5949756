//! Nonces that we give (RFC 7616 §3.3, §5.5): each is good for a while and each count of it once. One
//! that nobody has proved himself with costs no memory.

use crate::protocol::now::Mono;
use crate::protocol::random::Random;
use crate::protocol::sip::digest::credentials::{is_same, mark};
use std::collections::BTreeMap;
use std::net::IpAddr;
use std::time::Duration;

const LIFE: Duration = Duration::from_secs(300);
/// Nonces in use, above which no other is taken up: phones that know their passwords ask for few.
const USED_MAX: usize = 1024;
/// Longest count of one nonce, so that one is not used for ever within its life.
const COUNT_MAX: u32 = 100_000;

#[derive(Debug)]
pub struct Nonces {
    secret: [u8; 32],
    /// When it was given, and its highest count.
    used: BTreeMap<Vec<u8>, (Mono, u32)>,
}

impl Nonces {
    pub fn new(random: &mut Random) -> Self {
        Self { secret: random.bytes(), used: BTreeMap::new() }
    }

    /// For whoever asks from there.
    pub fn give(&self, to: IpAddr, random: &mut Random, now: Mono) -> String {
        let head = format!("{:016x}{}", now.0 / 1_000_000, hex::encode(random.bytes::<8>()));
        let mark = self.mark(&head, to);
        head + &mark
    }

    /// Whether it was given there and is still good.
    pub fn is_good(&self, nonce: &[u8], from: IpAddr, now: Mono) -> bool {
        let Ok(text) = str::from_utf8(nonce) else { return false };
        let Some((head, mark)) = text.split_at_checked(32) else { return false };
        let given = u64::from_str_radix(head.get(..16).unwrap_or_default(), 16);
        let given = given.ok().and_then(|ms| ms.checked_mul(1_000_000)).map(Mono);
        is_same(mark.as_bytes(), self.mark(head, from).as_bytes())
            && given.is_some_and(|given| given <= now && now.since(given) < LIFE)
    }

    /// It was proved with: false where this count, or a higher one, was used before.
    pub fn spend(&mut self, nonce: &[u8], count: u32, now: Mono) -> bool {
        if let Some((_, highest)) = self.used.get_mut(nonce) {
            let fresh = count > *highest;
            *highest = count.max(*highest);
            return fresh && count <= COUNT_MAX;
        }
        self.used.retain(|_, (first, _)| now.since(*first) < LIFE);
        if count == 0 || count > COUNT_MAX || self.used.len() >= USED_MAX {
            return false;
        }
        self.used.insert(nonce.to_vec(), (now, count));
        true
    }

    fn mark(&self, head: &str, ip: IpAddr) -> String {
        mark(&self.secret, &[head.as_bytes(), ip.to_string().as_bytes()])
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const HERE: IpAddr = IpAddr::V4(std::net::Ipv4Addr::new(192, 0, 2, 7));
    const THERE: IpAddr = IpAddr::V4(std::net::Ipv4Addr::new(192, 0, 2, 8));

    fn at(seconds: u64) -> Mono {
        Mono(1_000_000_000_000 + seconds * 1_000_000_000)
    }

    #[test]
    fn rfc_7616_section_5_5_a_nonce_is_good_where_it_was_given_for_five_minutes() {
        let mut random = Random::from_seed([1; 32]);
        let nonces = Nonces::new(&mut random);
        let nonce = nonces.give(HERE, &mut random, at(0)).into_bytes();
        assert!(nonces.is_good(&nonce, HERE, at(0)) && nonces.is_good(&nonce, HERE, at(299)));
        assert!(!nonces.is_good(&nonce, HERE, at(300)), "too old");
        assert!(!nonces.is_good(&nonce, THERE, at(1)), "somebody else's");
        let other = Nonces::new(&mut random);
        assert!(!other.is_good(&nonce, HERE, at(1)), "of an earlier run");
        for at_byte in 0..nonce.len() {
            let mut forged = nonce.clone();
            forged[at_byte] = if forged[at_byte] == b'0' { b'1' } else { b'0' };
            assert!(!nonces.is_good(&forged, HERE, at(1)), "{at_byte}");
        }
        for nothing in [&b""[..], b"x", &[0xff; 64], "值".as_bytes()] {
            assert!(!nonces.is_good(nothing, HERE, at(1)));
        }
    }

    #[test]
    fn rfc_7616_section_3_4_each_count_is_good_once() {
        let mut nonces = Nonces::new(&mut Random::from_seed([1; 32]));
        assert!(nonces.spend(b"n", 1, at(0)));
        assert!(!nonces.spend(b"n", 1, at(1)), "replayed");
        assert!(nonces.spend(b"n", 5, at(1)), "numbers may be left out");
        assert!(!nonces.spend(b"n", 4, at(1)));
        assert!(!nonces.spend(b"m", 0, at(1)));
        assert!(!nonces.spend(b"m", u32::MAX, at(1)));
    }

    #[test]
    fn rel_what_is_remembered_of_nonces_is_bounded() {
        let mut nonces = Nonces::new(&mut Random::from_seed([1; 32]));
        let spent = |nonces: &mut Nonces, n: u32, now| nonces.spend(&n.to_be_bytes(), 1, now);
        let taken = (0..5000).filter(|n| spent(&mut nonces, *n, at(0))).count();
        assert_eq!(taken, USED_MAX);
        assert!(spent(&mut nonces, 6000, at(301)), "the old ones are forgotten");
        assert_eq!(nonces.used.len(), 1);
    }
}
