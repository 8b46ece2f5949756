//! Digest credentials as a server asks for them and reads them (RFC 7616 §3.3–§3.5, RFC 8760).

use super::Algorithm;
use crate::protocol::sip::text::{decode, quote, unquote};
use crate::protocol::sip::wire::split_outside;
use sha2::{Digest, Sha256};

/// What a request says to prove whose it is. Only `qop=auth` counts: without a count nothing tells
/// a repetition.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Credentials {
    pub user: String,
    pub realm: Vec<u8>,
    pub nonce: Vec<u8>,
    pub uri: Vec<u8>,
    /// How often the nonce was used, this time included.
    pub count: u32,
    pub algorithm: Algorithm,
    cnonce: Vec<u8>,
    response: Vec<u8>,
}

impl Credentials {
    /// `None` for another scheme, an unknown algorithm, or without `qop=auth`.
    pub fn parse(value: &[u8]) -> Option<Self> {
        let (scheme, params) = value.trim_ascii().split_at_checked(7)?;
        if !scheme.eq_ignore_ascii_case(b"Digest ") {
            return None;
        }
        let mut found: [Option<Vec<u8>>; 8] = [const { None }; 8];
        let mut algorithm = Some(Algorithm::Md5);
        for part in split_outside(params, b',') {
            let equals = part.iter().position(|&b| b == b'=')?;
            let (name, value) = (part[..equals].trim_ascii(), unquote(&part[equals + 1..]));
            let place = match name.to_ascii_lowercase().as_slice() {
                b"username" => 0,
                b"realm" => 1,
                b"nonce" => 2,
                b"uri" => 3,
                b"nc" => 4,
                b"cnonce" => 5,
                b"response" => 6,
                b"qop" => 7,
                b"algorithm" => {
                    algorithm = Algorithm::named(&value);
                    continue;
                }
                _ => continue,
            };
            // Given twice it could be read in two ways.
            if found[place].replace(value).is_some() {
                return None;
            }
        }
        let [user, realm, nonce, uri, count, cnonce, response, qop] = found;
        if !qop?.eq_ignore_ascii_case(b"auth") {
            return None;
        }
        let count = count.filter(|count| count.len() == 8)?;
        let count = u32::from_str_radix(str::from_utf8(&count).ok()?, 16).ok()?;
        let (cnonce, response) = (cnonce?, response?);
        Some(Self {
            user: decode(&user?),
            realm: realm?,
            nonce: nonce?,
            uri: uri?,
            count,
            algorithm: algorithm?,
            cnonce,
            response,
        })
    }

    /// Whether whoever wrote it knows the password. Takes the same time for each wrong one.
    pub fn prove(&self, password: &str, method: &str) -> bool {
        let hash = |parts: &[&[u8]]| self.algorithm.hash(parts);
        let secret = hash(&[self.user.as_bytes(), &self.realm, password.as_bytes()]);
        let request = hash(&[method.as_bytes(), &self.uri]);
        let count = format!("{:08x}", self.count);
        let right = hash(&[
            secret.as_bytes(),
            &self.nonce,
            count.as_bytes(),
            &self.cnonce,
            b"auth",
            request.as_bytes(),
        ]);
        is_same(right.as_bytes(), &self.response.to_ascii_lowercase())
    }
}

/// A challenge to such credentials.
pub fn challenge(realm: &str, nonce: &str, algorithm: Algorithm, stale: bool) -> Vec<u8> {
    let (realm, name) = (quote(realm), algorithm.name());
    let stale = if stale { ", stale=true" } else { "" };
    let text =
        format!("Digest realm={realm}, nonce=\"{nonce}\", algorithm={name}, qop=\"auth\"{stale}");
    text.into_bytes()
}

/// A mark that only whoever knows the secret can make (HMAC's construction over SHA-256).
pub fn mark(secret: &[u8; 32], parts: &[&[u8]]) -> String {
    let inner = Sha256::digest([&secret[..], &parts.join(&b':')].concat());
    hex::encode(&Sha256::digest([&secret[..], &[0xff], &inner[..]].concat())[..16])
}

/// Without telling by its time how much of it is the same.
pub fn is_same(one: &[u8], other: &[u8]) -> bool {
    let apart = one.iter().zip(other).fold(0, |apart, (a, b)| apart | (a ^ b));
    one.len() == other.len() && apart == 0
}

#[cfg(test)]
mod tests {
    use super::super::{Asked, Challenge};
    use super::*;

    const ASKED: Asked<'_> = Asked {
        user: "801",
        password: "五个 words: käse",
        method: "REGISTER",
        uri: b"sip:192.0.2.9",
    };

    fn answered(algorithm: Algorithm, count: u32) -> Vec<u8> {
        let asks = challenge("值班 \"室\"", "abc", algorithm, false);
        Challenge::parse(&asks).expect("our own").answer(&ASKED, count, "cnonce")
    }

    #[test]
    fn sig_01_what_our_client_answers_our_server_believes() {
        for algorithm in [Algorithm::Md5, Algorithm::Sha256, Algorithm::Sha512_256] {
            let given = Credentials::parse(&answered(algorithm, 26)).expect("credentials");
            assert_eq!((given.user.as_str(), given.count), ("801", 26));
            assert_eq!(given.realm, "值班 \"室\"".as_bytes());
            assert!(given.prove(ASKED.password, "REGISTER"));
            assert!(!given.prove("else", "REGISTER") && !given.prove(ASKED.password, "INVITE"));
            let other = Credentials { count: 27, ..given.clone() };
            assert!(!other.prove(ASKED.password, "REGISTER"), "the count is proved too");
            let other = Credentials { uri: b"sip:elsewhere".to_vec(), ..given };
            assert!(!other.prove(ASKED.password, "REGISTER"));
        }
    }

    #[test]
    fn what_tells_no_repetition_or_can_be_read_in_two_ways_is_nothing() {
        let whole = String::from_utf8(answered(Algorithm::Md5, 1)).unwrap();
        assert!(Credentials::parse(whole.as_bytes()).is_some());
        for (cut, by) in [
            ("qop=auth", "qop=auth-int"),
            ("nc=00000001", "nc=1"),
            ("nc=00000001", "nc=0000000g"),
            ("username=", "username=\"802\", username="),
            ("algorithm=MD5", "algorithm=MD5-sess"),
            (", qop=auth", ""),
            ("Digest ", "Basic "),
            ("cnonce=", "x="),
        ] {
            let broken = whole.replacen(cut, by, 1);
            assert_ne!(broken, whole, "{cut}");
            assert_eq!(Credentials::parse(broken.as_bytes()), None, "{broken}");
        }
        assert_eq!(Credentials::parse(b"Digest"), None);
        assert_eq!(Credentials::parse("Digest 值".as_bytes()), None);
    }

    #[test]
    fn a_mark_is_of_its_secret_and_of_every_part() {
        let one = mark(&[1; 32], &[b"a", b"b"]);
        assert_eq!(one, mark(&[1; 32], &[b"a", b"b"]));
        assert_ne!(one, mark(&[2; 32], &[b"a", b"b"]));
        assert_ne!(one, mark(&[1; 32], &[b"a", b"c"]));
        assert!(is_same(b"ab", b"ab") && !is_same(b"ab", b"abc") && !is_same(b"ab", b"aa"));
    }
}
