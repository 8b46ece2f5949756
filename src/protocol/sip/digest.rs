//! Digest access authentication (RFC 7616, RFC 8760): as a client here, as a server in
//! [`credentials`].

pub mod credentials;

use super::text::unquote;
use super::wire::{is_token, split_outside};
use md5::Md5;
use sha2::{Digest, Sha256, Sha512_256};

/// Weakest first.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Algorithm {
    Md5,
    Sha256,
    Sha512_256,
}

impl Algorithm {
    fn name(self) -> &'static str {
        match self {
            Self::Md5 => "MD5",
            Self::Sha256 => "SHA-256",
            Self::Sha512_256 => "SHA-512-256",
        }
    }

    fn named(name: &[u8]) -> Option<Self> {
        [Self::Md5, Self::Sha256, Self::Sha512_256]
            .into_iter()
            .find(|algorithm| name.eq_ignore_ascii_case(algorithm.name().as_bytes()))
    }

    fn hash(self, parts: &[&[u8]]) -> String {
        let text = parts.join(&b':');
        match self {
            Self::Md5 => hex::encode(Md5::digest(&text)),
            Self::Sha256 => hex::encode(Sha256::digest(&text)),
            Self::Sha512_256 => hex::encode(Sha512_256::digest(&text)),
        }
    }
}

/// A challenge we know how to answer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Challenge {
    pub realm: Vec<u8>,
    pub nonce: Vec<u8>,
    pub opaque: Option<Vec<u8>>,
    pub algorithm: Algorithm,
    /// `qop=auth` is offered; without it the old form of RFC 2069 is used.
    pub qop: bool,
    pub stale: bool,
}

impl Challenge {
    /// `None` for another scheme, an unknown algorithm or only unknown qops.
    pub fn parse(value: &[u8]) -> Option<Self> {
        let (scheme, params) = value.trim_ascii().split_at_checked(7)?;
        if !scheme.eq_ignore_ascii_case(b"Digest ") {
            return None;
        }
        let mut realm = None;
        let mut nonce = None;
        let mut opaque = None;
        let mut algorithm = Some(Algorithm::Md5);
        let mut qops = None;
        let mut stale = false;
        for part in split_outside(params, b',') {
            let Some(equals) = part.iter().position(|&b| b == b'=') else { continue };
            let (name, value) = (part[..equals].trim_ascii(), unquote(&part[equals + 1..]));
            match name.to_ascii_lowercase().as_slice() {
                b"realm" => realm = Some(value),
                b"nonce" => nonce = Some(value),
                b"opaque" => opaque = Some(value),
                b"algorithm" => algorithm = Algorithm::named(&value),
                b"qop" => qops = Some(value),
                b"stale" => stale = value.eq_ignore_ascii_case(b"true"),
                _ => {}
            }
        }
        let offers_auth = |qops: &Vec<u8>| {
            qops.split(|&b| b == b',').any(|qop| qop.trim_ascii().eq_ignore_ascii_case(b"auth"))
        };
        let qop = match &qops {
            None => false,
            Some(qops) if offers_auth(qops) => true,
            Some(_) => return None,
        };
        Some(Self { realm: realm?, nonce: nonce?, opaque, algorithm: algorithm?, qop, stale })
    }

    /// The strongest of all challenges of `realm`; of any realm when `None`.
    pub fn strongest<'a>(
        values: impl Iterator<Item = &'a [u8]>,
        realm: Option<&[u8]>,
    ) -> Option<Self> {
        values
            .flat_map(split_challenges)
            .filter_map(|value| Self::parse(&value))
            .filter(|challenge| realm.is_none_or(|realm| realm == challenge.realm))
            .max_by_key(|challenge| challenge.algorithm)
    }

    /// The credentials for one request (RFC 7616 §3.4); `count` is how often the nonce has been
    /// used, this time included.
    pub fn answer(&self, asked: &Asked, count: u32, cnonce: &str) -> Vec<u8> {
        let hash = |parts: &[&[u8]]| self.algorithm.hash(parts);
        let secret = hash(&[asked.user.as_bytes(), &self.realm, asked.password.as_bytes()]);
        let request = hash(&[asked.method.as_bytes(), asked.uri]);
        let (secret, request) = (secret.as_bytes(), request.as_bytes());
        let nc = format!("{count:08x}");
        let response = if self.qop {
            hash(&[secret, &self.nonce, nc.as_bytes(), cnonce.as_bytes(), b"auth", request])
        } else {
            hash(&[secret, &self.nonce, request])
        };
        let mut out = b"Digest username=".to_vec();
        let mut quoted = |name: &str, value: &[u8]| {
            out.extend_from_slice(name.as_bytes());
            out.push(b'"');
            for &byte in value {
                if matches!(byte, b'"' | b'\\') {
                    out.push(b'\\');
                }
                out.push(byte);
            }
            out.push(b'"');
        };
        quoted("", asked.user.as_bytes());
        quoted(", realm=", &self.realm);
        quoted(", nonce=", &self.nonce);
        quoted(", uri=", asked.uri);
        quoted(", response=", response.as_bytes());
        if let Some(opaque) = &self.opaque {
            quoted(", opaque=", opaque);
        }
        out.extend_from_slice(format!(", algorithm={}", self.algorithm.name()).as_bytes());
        if self.qop {
            out.extend_from_slice(format!(", qop=auth, nc={nc}, cnonce=\"{cnonce}\"").as_bytes());
        }
        out
    }
}

/// What is to be authenticated, and by whom.
#[derive(Debug, Clone, Copy)]
pub struct Asked<'a> {
    pub user: &'a str,
    pub password: &'a str,
    pub method: &'a str,
    pub uri: &'a [u8],
}

/// Some peers put several challenges into one line: a part that begins with a scheme's name and a
/// space starts the next.
fn split_challenges(line: &[u8]) -> Vec<Vec<u8>> {
    let mut challenges: Vec<Vec<u8>> = vec![];
    for part in split_outside(line, b',').map(<[u8]>::trim_ascii) {
        let word = part.iter().position(|&b| !is_token(b)).unwrap_or(part.len());
        let begins = part.get(word) == Some(&b' ') && !part[word..].trim_ascii().starts_with(b"=");
        match challenges.last_mut() {
            Some(last) if !begins => {
                last.push(b',');
                last.extend_from_slice(part);
            }
            _ => challenges.push(part.to_vec()),
        }
    }
    challenges
}

#[cfg(test)]
mod tests {
    use super::*;

    const RFC_7616: &str = "Digest realm=\"http-auth@example.org\", qop=\"auth, auth-int\", \
        algorithm=SHA-256, nonce=\"7ypf/xlj9XXwfDPEoM4URrv/xwf94BcCAzFZH4GiTo0v\", \
        opaque=\"FQhe/qaU925kfnzjCev0ciny7QMkPqMAFRtzCUYo5tdS\"";

    fn response(credentials: &[u8]) -> String {
        let text = String::from_utf8_lossy(credentials).into_owned();
        let (_, rest) = text.split_once("response=\"").unwrap();
        rest.split_once('"').unwrap().0.to_owned()
    }

    #[test]
    fn rfc_7616_section_3_9_1_sha_256_and_md5() {
        let asked = Asked {
            user: "Mufasa",
            password: "Circle of Life",
            method: "GET",
            uri: b"/dir/index.html",
        };
        let cnonce = "f2/wE4q74E6zIJEtWaHKaf5wv/H5QzzpXusqGemxURZJ";
        let sha = Challenge::parse(RFC_7616.as_bytes()).unwrap();
        let credentials = sha.answer(&asked, 1, cnonce);
        assert_eq!(
            response(&credentials),
            "753927fa0e85d155564e2e272a28d1802ca10daf4496794697cf8db5856cb6c1"
        );
        let text = String::from_utf8(credentials).unwrap();
        assert!(text.contains("qop=auth, nc=00000001,"), "{text}");
        let md5 = Challenge::parse(RFC_7616.replace("SHA-256", "MD5").as_bytes()).unwrap();
        assert_eq!(response(&md5.answer(&asked, 1, cnonce)), "8ca523f5e9506fed4657c9700eebdbec");
    }

    #[test]
    fn rfc_2617_section_3_5_and_without_qop() {
        let value = b"Digest realm=\"testrealm@host.com\",qop=auth,nonce=\"dcd98b7102dd2f0e8b11d0f600bfb0c093\"";
        let asked = Asked {
            user: "Mufasa",
            password: "Circle Of Life",
            method: "GET",
            uri: b"/dir/index.html",
        };
        let challenge = Challenge::parse(value).unwrap();
        assert_eq!(
            response(&challenge.answer(&asked, 1, "0a4f113b")),
            "6629fae49393a05397450978507c4ef1"
        );
        let old = Challenge { qop: false, ..challenge };
        let credentials = old.answer(&asked, 1, "0a4f113b");
        assert_eq!(response(&credentials), "670fd8c2df070c60b045671b8b24ff02");
        assert!(!String::from_utf8(credentials).unwrap().contains("nc="));
    }

    #[test]
    fn rfc_8760_section_2_4_the_strongest_known_challenge_wins() {
        let lines: [&[u8]; 3] = [
            b"Digest realm=\"a\", nonce=\"1\", algorithm=SHA-999, qop=\"auth\"",
            b"Digest realm=\"a\", nonce=\"2\", qop=\"auth\", Digest realm=\"a\", nonce=\"3\", algorithm=SHA-256",
            b"Basic realm=\"a\", Digest realm=\"b\", nonce=\"4\", algorithm=SHA-512-256",
        ];
        let nonce = |realm: Option<&[u8]>| {
            Challenge::strongest(lines.into_iter(), realm).map(|challenge| challenge.nonce)
        };
        assert_eq!(nonce(Some(b"a")), Some(b"3".to_vec()));
        assert_eq!(nonce(None), Some(b"4".to_vec()));
        assert_eq!(nonce(Some(b"c")), None);
    }

    #[test]
    fn what_cannot_be_answered_is_no_challenge() {
        for bad in [
            "",
            "Digest",
            "Digest realm=\"a\"",
            "Digest realm=\"a\", nonce=\"b\", algorithm=MD5-sess",
            "Digest realm=\"a\", nonce=\"b\", qop=\"auth-int\"",
            "NoOneKnowsThisScheme opaque-data=here",
        ] {
            assert_eq!(Challenge::parse(bad.as_bytes()), None, "{bad}");
        }
    }

    #[test]
    fn a_nonce_cannot_break_out_of_its_quotes() {
        let challenge =
            Challenge::parse(b"Digest realm=\"a\", nonce=\"x\\\", evil=\\\"y\"").unwrap();
        let asked = Asked { user: "u\"", password: "p", method: "M", uri: b"sip:a" };
        let text = String::from_utf8(challenge.answer(&asked, 1, "c")).unwrap();
        assert!(text.contains(r#"username="u\"", realm="a", nonce="x\", evil=\"y""#), "{text}");
    }
}
