//! `a=crypto` (RFC 4568): which keys a peer offers, and whether they are wanted.

use super::SdpFault;
use crate::protocol::rtp::srtp::{MASTER, MasterKey};
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use sdp_types::Media;
use serde::{Deserialize, Serialize};

pub const AVP: &str = "RTP/AVP";
pub const SAVP: &str = "RTP/SAVP";
/// The one suite that every telephone has (§6.2.1).
const SUITE: &str = "AES_CM_128_HMAC_SHA1_80";

/// Whether a leg is encrypted.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub enum Policy {
    /// Never: a peer that demands it is refused.
    #[default]
    Off,
    /// Where the peer takes it (RFC 8643), else not.
    Offer,
    /// Always: a peer that does not is refused.
    Require,
}

/// What a peer's audio line says of encryption.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Crypto {
    /// `RTP/SAVP`: it does not speak in clear.
    demanded: bool,
    /// The first line that we can use.
    usable: Option<(u32, MasterKey)>,
    /// Why there is none, where lines were offered.
    unusable: Option<Unusable>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
enum Unusable {
    Malformed,
    Suite,
    /// A master key identifier in every packet, or several keys at once (§6.1).
    Identifier,
    /// Session parameters that change what is protected, or how (§6.3).
    Parameter,
}

impl Unusable {
    fn why(self) -> &'static str {
        match self {
            Unusable::Malformed => "it is malformed",
            Unusable::Suite => "only AES_CM_128_HMAC_SHA1_80 is taken",
            Unusable::Identifier => "no master key identifier (MKI) and no second key are taken",
            Unusable::Parameter => "a session parameter is not taken",
        }
    }
}

impl Crypto {
    pub fn of(media: &Media) -> Self {
        let demanded = media.proto.eq_ignore_ascii_case(SAVP);
        let mut crypto = Self { demanded, usable: None, unusable: None };
        let lines = media.attributes.iter().filter(|attribute| attribute.attribute == "crypto");
        for line in lines {
            match read(line.value.as_deref().unwrap_or_default()) {
                Ok(key) => {
                    crypto.usable = Some(key);
                    break;
                }
                Err(fault) => crypto.unusable = crypto.unusable.or(Some(fault)),
            }
        }
        crypto
    }

    /// The tag of the line that is used.
    pub fn tag(&self) -> Option<u32> {
        self.usable.map(|(tag, _)| tag)
    }

    /// The peer's key, where both sides encrypt; none where both do not. Nothing falls back by itself: what is
    /// demanded by either side is kept or refused.
    pub fn agreed(&self, policy: Policy) -> Result<Option<MasterKey>, SdpFault> {
        match (policy, self.demanded, self.usable) {
            (Policy::Off, true, _) => Err(SdpFault::Encrypted),
            (Policy::Off, false, _) => Ok(None),
            (Policy::Require, false, _) => Err(SdpFault::Unencrypted),
            (Policy::Offer | Policy::Require, true, None) => {
                Err(SdpFault::NoCrypto(self.unusable.map_or("there is none", Unusable::why)))
            }
            (Policy::Offer | Policy::Require, true, Some((_, key))) => Ok(Some(key)),
            (Policy::Offer, false, usable) => Ok(usable.map(|(_, key)| key)),
        }
    }
}

/// `tag suite inline:key||salt|lifetime|MKI:length parameters` (§9.1). The lifetime is not counted: at fifty packets a
/// second the longest one lasts for years, and a peer that gives a shorter one changes its key by itself.
fn read(value: &str) -> Result<(u32, MasterKey), Unusable> {
    let mut words = value.split_ascii_whitespace();
    let (Some(tag), Some(suite), Some(keys)) = (words.next(), words.next(), words.next()) else {
        return Err(Unusable::Malformed);
    };
    let tag = tag.parse().ok().filter(|tag| *tag <= 999_999_999).ok_or(Unusable::Malformed)?;
    if !suite.eq_ignore_ascii_case(SUITE) {
        return Err(Unusable::Suite);
    }
    let harmless = |word: &str| word.starts_with("WSH=") || word.starts_with('-');
    if !words.all(harmless) {
        return Err(Unusable::Parameter);
    }
    let (method, rest) = keys.split_once(':').ok_or(Unusable::Malformed)?;
    if !method.eq_ignore_ascii_case("inline") {
        return Err(Unusable::Malformed);
    }
    let mut parts = rest.split('|');
    let key = parts.next().unwrap_or_default();
    if rest.contains(';') || parts.any(|part| part.contains(':')) {
        return Err(Unusable::Identifier);
    }
    let key = STANDARD.decode(key).map_err(|_| Unusable::Malformed)?;
    let key: [u8; MASTER] = key.try_into().map_err(|_| Unusable::Malformed)?;
    Ok((tag, MasterKey(key)))
}

pub fn written(tag: u32, key: &MasterKey) -> String {
    format!("{tag} {SUITE} inline:{}", STANDARD.encode(key.0))
}

/// A message or a description as it may be shown and kept: without what a key could be read from.
pub fn without_keys(bytes: &[u8]) -> Vec<u8> {
    const MARK: &[u8] = b"inline:";
    let mut shown = Vec::with_capacity(bytes.len());
    let mut rest = bytes;
    while let Some(at) = rest.windows(MARK.len()).position(|word| word.eq_ignore_ascii_case(MARK)) {
        let (before, key) = rest.split_at(at + MARK.len());
        shown.extend_from_slice(before);
        shown.extend_from_slice(b"***");
        let end = key.iter().position(|byte| byte.is_ascii_whitespace()).unwrap_or(key.len());
        rest = &key[end..];
    }
    shown.extend_from_slice(rest);
    shown
}
