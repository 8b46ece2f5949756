//! Who calls, as an INVITE claims it: every identity header, raw and read (RFC 3323, 3325, 5806,
//! 7044; RFC 3261 §20.26; RFC 4412). Chooses nothing.

use super::Identity;
use super::address::{NameAddr, Uri};
use super::message::identity;
use super::text::{decode, percent_decode};
use super::wire::{Message, decimal};
use serde::{Deserialize, Serialize};

/// Header values kept of one message.
const CLAIMS_MAX: usize = 48;

/// A header that says something about the caller.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ClaimHeader {
    From,
    /// RFC 3325 §9.1
    PAssertedIdentity,
    /// RFC 3325 §9.2: a wish of the caller's phone, never believed.
    PPreferredIdentity,
    /// draft-ietf-sip-privacy-04, as many PBXs still send it
    RemotePartyId,
    /// RFC 5806
    Diversion,
    /// RFC 7044
    HistoryInfo,
    /// RFC 3323
    Privacy,
    /// RFC 3261 §20.26
    Priority,
    /// RFC 4412
    ResourcePriority,
}

impl ClaimHeader {
    /// In the order in which they are kept.
    pub const ALL: [Self; 9] = [
        Self::From,
        Self::PAssertedIdentity,
        Self::PPreferredIdentity,
        Self::RemotePartyId,
        Self::Diversion,
        Self::HistoryInfo,
        Self::Privacy,
        Self::Priority,
        Self::ResourcePriority,
    ];

    /// As it is written on the wire.
    pub fn name(self) -> &'static str {
        match self {
            Self::From => "From",
            Self::PAssertedIdentity => "P-Asserted-Identity",
            Self::PPreferredIdentity => "P-Preferred-Identity",
            Self::RemotePartyId => "Remote-Party-ID",
            Self::Diversion => "Diversion",
            Self::HistoryInfo => "History-Info",
            Self::Privacy => "Privacy",
            Self::Priority => "Priority",
            Self::ResourcePriority => "Resource-Priority",
        }
    }

    fn is_address(self) -> bool {
        match self {
            Self::From
            | Self::PAssertedIdentity
            | Self::PPreferredIdentity
            | Self::RemotePartyId
            | Self::Diversion
            | Self::HistoryInfo => true,
            Self::Privacy | Self::Priority | Self::ResourcePriority => false,
        }
    }
}

/// One value of such a header.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Claim {
    pub header: ClaimHeader,
    /// Of a header without an address only `raw` is filled.
    pub identity: Identity,
}

/// Why a call was diverted (RFC 5806 §4; the causes of RFC 4458 §2 and RFC 7544 §4.1).
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum DivertedWhy {
    Unconditional,
    Busy,
    NoAnswer,
    Unreachable,
    TimeOfDay,
    DoNotDisturb,
    Deflection,
    Unknown,
}

/// One diversion: who had the call before it came here, and why it went on.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Diverted {
    pub by: Identity,
    pub header: ClaimHeader,
    pub why: DivertedWhy,
}

/// Every claim of a message, header by header, each in the order of the message.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Claims(pub Vec<Claim>);

impl Claims {
    pub fn read(message: &Message) -> Self {
        let mut claims = vec![];
        for header in ClaimHeader::ALL {
            let name = header.name().to_ascii_lowercase();
            let read = |value: &[u8]| Claim {
                header,
                identity: if header.is_address() {
                    identity(value)
                } else {
                    Identity { raw: value.to_vec(), ..Identity::default() }
                },
            };
            // From is one address, commas and all; Privacy's separator is the semicolon.
            match header {
                ClaimHeader::From | ClaimHeader::Privacy | ClaimHeader::Priority => {
                    claims.extend(message.all(&name).map(read));
                }
                _ => claims.extend(message.list(&name).map(read)),
            }
        }
        claims.truncate(CLAIMS_MAX);
        Self(claims)
    }

    pub fn of(&self, header: ClaimHeader) -> impl Iterator<Item = &Claim> {
        self.0.iter().filter(move |claim| claim.header == header)
    }

    /// The value of From; empty where there is none that can be read.
    pub fn from(&self) -> Identity {
        let from = self.of(ClaimHeader::From).next();
        from.map(|claim| claim.identity.clone()).unwrap_or_default()
    }

    /// A Remote-Party-ID of the calling party that the network has screened.
    pub fn screened(&self) -> impl Iterator<Item = &Claim> {
        self.of(ClaimHeader::RemotePartyId).filter(|claim| {
            let is = |name, wanted: &[u8], otherwise| {
                param(&claim.identity.raw, name)
                    .map_or(otherwise, |value| value.eq_ignore_ascii_case(wanted))
            };
            is("party", b"calling", true) && is("screen", b"yes", false)
        })
    }

    /// The caller wants not to be named (RFC 3323 §4.2, RFC 3325 §9.3).
    pub fn wants_privacy(&self) -> bool {
        let asked = |claim: &Claim| {
            let mut tokens = claim.identity.raw.split(|b| matches!(b, b';' | b','));
            tokens.any(|token| {
                let token = token.trim_ascii();
                [&b"id"[..], b"user", b"header"].iter().any(|one| token.eq_ignore_ascii_case(one))
            })
        };
        let hidden = |claim: &Claim| {
            param(&claim.identity.raw, "privacy").is_some_and(|value| {
                [&b"full"[..], b"uri"].iter().any(|one| value.eq_ignore_ascii_case(one))
            })
        };
        self.of(ClaimHeader::Privacy).any(asked) || self.of(ClaimHeader::RemotePartyId).any(hidden)
    }

    /// RFC 3261 §20.26.
    pub fn is_emergency(&self) -> bool {
        self.of(ClaimHeader::Priority)
            .any(|claim| claim.identity.raw.eq_ignore_ascii_case(b"emergency"))
    }

    /// Who had the call before, the first first. Diversion says it plainly; where there is none it
    /// is read out of History-Info.
    pub fn diversions(&self) -> Vec<Diverted> {
        let mut found: Vec<Diverted> = self
            .of(ClaimHeader::Diversion)
            .map(|claim| Diverted {
                by: claim.identity.clone(),
                header: claim.header,
                why: param(&claim.identity.raw, "reason")
                    .map_or(DivertedWhy::Unknown, |value| why_of_word(&value)),
            })
            .collect();
        // RFC 5806 §5: the topmost is the latest.
        found.reverse();
        if found.is_empty() { self.history() } else { found }
    }

    /// RFC 7044 §5, §10.1: an entry with `mp`, or with the cause of RFC 4458, is where a call was
    /// sent on to; who sent it on is the entry that `mp` names, else the one before.
    fn history(&self) -> Vec<Diverted> {
        let steps: Vec<Step<'_>> = self.of(ClaimHeader::HistoryInfo).filter_map(Step::of).collect();
        let mut found: Vec<Diverted> = vec![];
        for (at, step) in steps.iter().enumerate().skip(1) {
            let named = step
                .mapped
                .as_ref()
                .and_then(|index| steps[..at].iter().find(|earlier| earlier.index == *index));
            let by = named.unwrap_or(&steps[at - 1]);
            let cause = step.cause.or(by.left_for);
            let sent_on = step.mapped.is_some() || step.cause.is_some() || by.left_for.is_some();
            let same = by.identity.user == step.identity.user;
            if sent_on && !same && found.last().is_none_or(|last| last.by != *by.identity) {
                found.push(Diverted {
                    by: by.identity.clone(),
                    header: ClaimHeader::HistoryInfo,
                    why: cause.map_or(DivertedWhy::Unknown, why_of_cause),
                });
            }
        }
        found
    }
}

/// One entry of History-Info.
struct Step<'a> {
    identity: &'a Identity,
    index: Vec<u8>,
    mapped: Option<Vec<u8>>,
    /// Of its own URI: why the call was sent here.
    cause: Option<u16>,
    /// Of its Reason: why the call left again.
    left_for: Option<u16>,
}

impl<'a> Step<'a> {
    fn of(claim: &'a Claim) -> Option<Self> {
        let address = NameAddr::parse(&claim.identity.raw)?;
        let uri = Uri::parse(&address.uri)?;
        let three = |value: &[u8]| decimal(value, 999).and_then(|cause| u16::try_from(cause).ok());
        let escaped = address.uri.split(|&b| b == b'?').nth(1).unwrap_or_default();
        let reason = escaped.split(|&b| b == b'&').find_map(|pair| {
            let (name, value) = pair.split_at_checked(7)?;
            name.eq_ignore_ascii_case(b"Reason=").then(|| percent_decode(value))
        });
        let cause_of = |reason: &Vec<u8>| {
            let mut parts = reason.split(|&b| b == b';');
            parts.find_map(|part| three(part.trim_ascii().strip_prefix(b"cause=")?))
        };
        Some(Self {
            identity: &claim.identity,
            index: address.param("index").unwrap_or_default().to_vec(),
            mapped: address.param("mp").map(<[u8]>::to_vec),
            cause: uri.param("cause").and_then(three),
            left_for: reason.as_ref().and_then(cause_of),
        })
    }
}

/// A header parameter of an address value.
fn param(value: &[u8], name: &str) -> Option<Vec<u8>> {
    NameAddr::parse(value)?.param(name).map(<[u8]>::to_vec)
}

fn why_of_word(word: &[u8]) -> DivertedWhy {
    match decode(word).to_ascii_lowercase().as_str() {
        "unconditional" | "follow-me" => DivertedWhy::Unconditional,
        "user-busy" => DivertedWhy::Busy,
        "no-answer" => DivertedWhy::NoAnswer,
        "unavailable" | "out-of-service" | "away" => DivertedWhy::Unreachable,
        "time-of-day" => DivertedWhy::TimeOfDay,
        "do-not-disturb" => DivertedWhy::DoNotDisturb,
        "deflection" => DivertedWhy::Deflection,
        _ => DivertedWhy::Unknown,
    }
}

fn why_of_cause(cause: u16) -> DivertedWhy {
    match cause {
        302 => DivertedWhy::Unconditional,
        486 | 600 => DivertedWhy::Busy,
        408 => DivertedWhy::NoAnswer,
        480 | 487 => DivertedWhy::Deflection,
        503 => DivertedWhy::Unreachable,
        _ => DivertedWhy::Unknown,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::protocol::sip::wire;

    fn claims(headers: &str) -> Claims {
        let text = format!("INVITE sip:1001@a SIP/2.0\r\nFrom: <sip:1@b>;tag=x\r\n{headers}\r\n");
        Claims::read(&wire::parse(text.as_bytes()).unwrap())
    }

    fn chain(headers: &str) -> Vec<(String, DivertedWhy)> {
        claims(headers).diversions().into_iter().map(|one| (one.by.user, one.why)).collect()
    }

    fn step(user: &str, why: DivertedWhy) -> (String, DivertedWhy) {
        (user.to_owned(), why)
    }

    #[test]
    fn rec_s8_every_value_is_kept_in_order_as_it_came() {
        let found = claims(
            "P-Asserted-Identity: \"\u{738b}\" <sip:+8613800138000@ims.example;user=phone>, \
             <tel:+8613800138000>\r\nRemote-Party-ID: <sip:13800138000@p>;party=calling;screen=yes\r\n\
             P-Preferred-Identity: <sip:boss@a>\r\nPrivacy: id;critical\r\nPriority: Emergency\r\n\
             Resource-Priority: esnet.0, wps.1\r\n",
        );
        let headers: Vec<&str> = found.0.iter().map(|claim| claim.header.name()).collect();
        assert_eq!(
            headers,
            [
                "From",
                "P-Asserted-Identity",
                "P-Asserted-Identity",
                "P-Preferred-Identity",
                "Remote-Party-ID",
                "Privacy",
                "Priority",
                "Resource-Priority",
                "Resource-Priority"
            ]
        );
        assert_eq!(found.0[2].identity.raw, b"<tel:+8613800138000>");
        assert_eq!(found.0[8].identity.raw, b"wps.1");
        assert_eq!(found.screened().count(), 1);
        assert!(found.wants_privacy() && found.is_emergency());
    }

    #[test]
    fn rec_s8_a_remote_party_that_is_called_or_not_screened_is_not_believed() {
        for params in ["screen=no", "party=called;screen=yes", "party=calling"] {
            let found = claims(&format!("Remote-Party-ID: <sip:110@p>;{params}\r\n"));
            assert_eq!(found.screened().count(), 0, "{params}");
        }
        let hidden = claims("Remote-Party-ID: <sip:110@p>;screen=yes;privacy=full\r\n");
        assert!(hidden.wants_privacy());
        assert!(!claims("Privacy: none\r\n").wants_privacy());
        assert!(!claims("Priority: non-urgent\r\n").is_emergency());
    }

    #[test]
    fn rfc_5806_section_5_the_topmost_diversion_is_the_latest() {
        let found = chain(
            "Diversion: <sip:63005678@p>;reason=no-answer;counter=1\r\n\
             Diversion: \"\u{603b}\u{673a}\" <sip:63001000@p>;reason=unconditional, <tel:+861012345>\r\n",
        );
        assert_eq!(
            found,
            [
                step("+861012345", DivertedWhy::Unknown),
                step("63001000", DivertedWhy::Unconditional),
                step("63005678", DivertedWhy::NoAnswer),
            ]
        );
    }

    #[test]
    fn rfc_7044_section_10_1_history_names_who_sent_the_call_on() {
        let mapped = "History-Info: <sip:63001000@p>;index=1\r\n\
             History-Info: <sip:63005678@p;cause=302>;index=1.1;mp=1\r\n\
             History-Info: <sip:1001@192.0.2.4;cause=408>;index=1.1.1;mp=1.1\r\n";
        assert_eq!(
            chain(mapped),
            [step("63001000", DivertedWhy::Unconditional), step("63005678", DivertedWhy::NoAnswer)]
        );
        let by_reason = "History-Info: <sip:8000@p?Reason=SIP%3Bcause%3D486%3Btext%3D%22x%22>;index=1, \
             <sip:1001@p>;index=1.1\r\n";
        assert_eq!(chain(by_reason), [step("8000", DivertedWhy::Busy)]);
        let registered =
            "History-Info: <sip:1001@p>;index=1, <sip:1001@192.0.2.4>;index=1.1;rc=1\r\n";
        assert_eq!(chain(registered), [], "a contact of the same user is no diversion");
        let both = format!("{mapped}Diversion: <sip:9@p>;reason=deflection\r\n");
        assert_eq!(chain(&both), [step("9", DivertedWhy::Deflection)], "said once");
    }

    #[test]
    fn rel_claims_are_bounded_and_nonsense_is_kept_raw() {
        let many = "Diversion: <sip:1@p>\r\n".repeat(150);
        assert_eq!(claims(&many).0.len(), CLAIMS_MAX);
        let odd =
            claims("Diversion: \"open <sip:1@p>\r\nHistory-Info: ;;;\r\nPrivacy: \u{1b}[2J\r\n");
        assert_eq!(odd.0[1].identity.raw, b"\"open <sip:1@p>");
        assert_eq!(odd.diversions().len(), 1);
        assert_eq!(odd.diversions()[0].by.user, "");
    }
}
