//! SIP requests and responses; the only door to rsip, whose methods and status codes are the vocabulary.

mod identities;
mod words;

pub use identities::{identity, user_of};
pub use words::{name, reason};

use super::address::{NameAddr, Uri, Via};
use super::body::Body;
use super::text::decode;
use super::wire::{Message, Start, Writer, decimal, split_outside};
use super::{Fault, Peer};
use serde::{Deserialize, Serialize};
use std::borrow::Cow;
use std::net::SocketAddr;

pub use rsip::Method;

/// Methods served, in the order of the Allow header.
pub const ALLOW: &str = "INVITE, ACK, CANCEL, BYE, PRACK, OPTIONS, INFO, UPDATE, NOTIFY, REFER";
/// Option tags a peer may require of us.
pub const SUPPORTED: &str = "100rel, replaces, timer";
/// The only body we understand in an offer or an answer, alone or in a multipart.
pub const SDP: &str = "application/sdp";
pub const ACCEPTED: &str = "application/sdp, multipart/mixed";

/// A method by its exact name (§7.1: names are case-sensitive); `None` for one nobody defined.
pub fn method(named: &str) -> Option<Method> {
    Method::all().into_iter().find(|method| name(*method) == named)
}

/// How a method is written down and read again.
pub mod method_name {
    use super::{Method, method, name};
    use serde::{Deserialize, Deserializer, Serializer, de};

    /// # Errors
    /// What the format says.
    pub fn serialize<S: Serializer>(method: &Method, to: S) -> Result<S::Ok, S::Error> {
        to.serialize_str(name(*method))
    }

    /// # Errors
    /// What the format says, and for a name that is no method.
    pub fn deserialize<'de, D: Deserializer<'de>>(from: D) -> Result<Method, D::Error> {
        let named = String::deserialize(from)?;
        method(&named).ok_or_else(|| de::Error::custom("no method of SIP"))
    }
}

/// CSeq (§20.16).
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct CSeq {
    pub number: u32,
    pub method: String,
}

impl CSeq {
    pub fn parse(value: &[u8]) -> Option<Self> {
        let text = std::str::from_utf8(value).ok()?;
        let (number, method) = text.trim().split_once([' ', '\t'])?;
        let number = decimal(number.as_bytes(), (1 << 31) - 1)? as u32;
        Some(Self { number, method: method.trim().to_owned() })
    }
}

/// A request that can at least be answered: it has a readable top Via.
#[derive(Debug, Clone)]
pub struct Request {
    /// `None` for a method nobody defined.
    pub method: Option<Method>,
    pub method_name: String,
    pub uri: Vec<u8>,
    pub via: Via,
    pub call_id: Vec<u8>,
    pub from_tag: Option<Vec<u8>>,
    pub to_tag: Option<Vec<u8>>,
    /// 0 when unreadable.
    pub cseq: u32,
    pub fault: Option<Fault>,
    pub wire: Message,
}

impl Request {
    pub fn read(wire: Message) -> Result<Self, &'static str> {
        let Start::Request { method: method_name, uri, .. } = &wire.start else {
            return Err("not a request");
        };
        let via = wire.header("via").and_then(Via::parse).ok_or("no usable Via")?;
        let address = |name| wire.header(name).and_then(NameAddr::parse);
        let (from, to) = (address("from"), address("to"));
        let cseq = wire.header("cseq").and_then(CSeq::parse);
        let tag = |address: &Option<NameAddr>| address.as_ref()?.tag().map(<[u8]>::to_vec);
        let mut request = Self {
            method: method(method_name),
            method_name: method_name.clone(),
            uri: uri.clone(),
            via,
            call_id: wire.header("call-id").unwrap_or_default().to_vec(),
            from_tag: tag(&from),
            to_tag: tag(&to),
            cseq: cseq.as_ref().map_or(0, |cseq| cseq.number),
            fault: None,
            wire,
        };
        request.fault = request.find_fault([from, to], cseq);
        Ok(request)
    }

    /// Why it cannot be served, in the order of §8.2 (method, headers, body). From, To and CSeq as they were read.
    fn find_fault(&self, ends: [Option<NameAddr>; 2], cseq: Option<CSeq>) -> Option<Fault> {
        let fault = |status, why: &str| Some(Fault { status, why: why.to_owned() });
        let Start::Request { version, .. } = &self.wire.start else { return None };
        if !version.eq_ignore_ascii_case(b"SIP/2.0") {
            return fault(505, "unknown SIP version");
        }
        if let Some(why) = self.wire.defect.or_else(|| self.grammar_fault(&ends)) {
            return fault(400, why);
        }
        if self.method.is_none() {
            return fault(501, "unknown method");
        }
        match Uri::parse(&self.uri).map(|uri| uri.scheme) {
            None => return fault(400, "bad Request-URI"),
            Some(scheme) if matches!(&*scheme, "sip" | "sips" | "tel") => {}
            Some(_) => return fault(416, "unknown URI scheme"),
        }
        if let Some(why) = self.number_fault(cseq) {
            return fault(400, why);
        }
        let exempt = matches!(self.method, Some(Method::Ack | Method::Cancel));
        if !exempt && !self.unsupported().is_empty() {
            return fault(420, "unknown extension required");
        }
        self.body_fault()
    }

    /// Missing, doubled or malformed headers (§8.1.1, RFC 4475 §3.3.1, §3.3.8).
    fn grammar_fault(&self, ends: &[Option<NameAddr>; 2]) -> Option<&'static str> {
        for name in ["call-id", "cseq", "from", "to", "max-forwards"] {
            match self.wire.all(name).count() {
                0 if name != "max-forwards" => return Some("mandatory header missing"),
                0 | 1 => {}
                _ => return Some("header given twice"),
            }
        }
        if self.call_id.is_empty() {
            return Some("empty Call-ID");
        }
        for end in ends {
            let Some(address) = end else { return Some("bad From or To") };
            if !is_plausible_uri(&address.uri) {
                return Some("bad URI in From or To");
            }
        }
        for value in self.wire.list("contact").filter(|value| *value != b"*") {
            let Some(address) = NameAddr::parse(value) else { return Some("bad Contact") };
            if !is_plausible_uri(&address.uri) {
                return Some("bad URI in Contact");
            }
        }
        // The first was read.
        if self.wire.list("via").skip(1).any(|via| Via::parse(via).is_none()) {
            return Some("bad Via");
        }
        if self.wire.list("record-route").any(|route| NameAddr::parse(route).is_none()) {
            return Some("bad Record-Route");
        }
        None
    }

    fn number_fault(&self, cseq: Option<CSeq>) -> Option<&'static str> {
        match cseq {
            None => return Some("bad CSeq"),
            Some(cseq) if cseq.method != self.method_name => return Some("CSeq of another method"),
            Some(_) => {}
        }
        let outside =
            |name, max| self.wire.header(name).is_some_and(|value| decimal(value, max).is_none());
        if outside("max-forwards", 255) {
            return Some("bad Max-Forwards");
        }
        None
    }

    /// A body we cannot read where we would have to (§8.2.3).
    fn body_fault(&self) -> Option<Fault> {
        let fault = |status, why: &str| Some(Fault { status, why: why.to_owned() });
        if self.method != Some(Method::Invite) && self.method != Some(Method::Update) {
            return None;
        }
        if Body::of(&self.wire) == Body::Foreign {
            return fault(415, "body is not a session description");
        }
        let takes = |value: &[u8]| {
            let range = value.split(|&b| b == b';').next().unwrap_or_default().trim_ascii();
            [&b"*/*"[..], b"application/*", SDP.as_bytes()]
                .iter()
                .any(|known| range.eq_ignore_ascii_case(known))
        };
        if self.wire.header("accept").is_some() && !self.wire.list("accept").any(takes) {
            return fault(406, "no session description is accepted");
        }
        None
    }

    pub fn sdp(&self) -> Option<Vec<u8>> {
        Body::of(&self.wire).description()
    }

    /// RFC 3326 §3.1: a CANCEL says that another phone has the call; Q.850's 26 is the same where
    /// the call came from the telephone network.
    pub fn is_completed_elsewhere(&self) -> bool {
        self.wire.list("reason").any(|reason| {
            let mut parts = split_outside(reason, b';').map(<[u8]>::trim_ascii);
            let protocol = parts.next().unwrap_or_default().to_ascii_lowercase();
            let cause = parts.find_map(|part| part.strip_prefix(b"cause=")).map(<[u8]>::trim_ascii);
            matches!((&protocol[..], cause), (b"sip", Some(b"200")) | (b"q.850", Some(b"26")))
        })
    }

    /// Options required of us that we do not have (§8.2.2.3).
    pub fn unsupported(&self) -> Vec<u8> {
        let have = |option: &&[u8]| {
            SUPPORTED.split(", ").any(|known| option.eq_ignore_ascii_case(known.as_bytes()))
        };
        self.wire
            .list("require")
            .filter(|option| !have(option))
            .collect::<Vec<_>>()
            .join(&b", "[..])
    }

    /// RFC 3262 §7.2: RSeq and CSeq of the response to an INVITE that a PRACK acknowledges.
    pub fn rack(&self) -> Option<(u32, u32)> {
        let value = std::str::from_utf8(self.wire.header("rack")?).ok()?;
        let mut words = value.split_ascii_whitespace();
        let mut number = || decimal(words.next()?.as_bytes(), u64::from(u32::MAX));
        let (rseq, cseq) = (number()?, number()?);
        (words.next()? == "INVITE" && words.next().is_none()).then_some((rseq as u32, cseq as u32))
    }

    /// Where its responses go (§18.2.2, RFC 3581 §4): back where it came from; a sender that no NAT stands before and that
    /// did not ask for that has them at the port that it names.
    pub fn returns_to(&self, from: Peer) -> Peer {
        let itself = self.via.host.parse() == Ok(from.addr.ip().to_canonical());
        if from.transport.is_reliable() || !itself || self.via.wants_its_own_port() {
            return from;
        }
        let mut back = from;
        back.addr.set_port(self.via.port.unwrap_or(from.transport.default_port()));
        back
    }

    /// What every response to it repeats (§8.2.6).
    pub fn reply_seed(&self, source: SocketAddr) -> ReplySeed {
        let mut vias = vec![self.via.received_from(source)];
        vias.extend(self.wire.list("via").skip(1).map(<[u8]>::to_vec));
        let mut copied = vec![];
        for name in ["From", "To", "Call-ID", "CSeq"] {
            if let Some(value) = self.wire.header(&name.to_ascii_lowercase()) {
                copied.push((name.into(), value.to_vec()));
            }
        }
        let record_route = self.wire.list("record-route").map(<[u8]>::to_vec).collect();
        let timestamp = self.wire.header("timestamp").map(<[u8]>::to_vec);
        ReplySeed { vias, copied, tagged: self.to_tag.is_some(), record_route, timestamp }
    }
}

fn is_plausible_uri(uri: &[u8]) -> bool {
    Uri::parse(uri).is_some()
}

/// The part of a response that comes from its request.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct ReplySeed {
    vias: Vec<Vec<u8>>,
    copied: Vec<(Cow<'static, str>, Vec<u8>)>,
    tagged: bool,
    record_route: Vec<Vec<u8>>,
    timestamp: Option<Vec<u8>>,
}

impl ReplySeed {
    /// A response up to its own headers; `tag` goes to To where the request had none and the
    /// status is not 100 (§8.2.6.2).
    pub fn reply(&self, status: u16, tag: &[u8]) -> Writer {
        let mut writer = Writer::response(status, reason(status));
        writer.list("Via", self.vias.iter().map(Vec::as_slice));
        for (name, value) in &self.copied {
            if name == "To" && !self.tagged && status != 100 {
                writer.header("To", [value, &b";tag="[..], tag].concat());
            } else {
                writer.header(name, value);
            }
        }
        if let (100, Some(timestamp)) = (status, &self.timestamp) {
            writer.header("Timestamp", timestamp);
        }
        writer
    }

    /// The port that the sender of the request names as its own.
    pub fn sent_by_port(&self) -> Option<u16> {
        Via::parse(self.vias.first()?)?.port
    }

    /// §12.1.1: copied into what makes a dialog.
    pub fn record_route(&self) -> &[Vec<u8>] {
        &self.record_route
    }
}

/// A response that fits a request of ours.
#[derive(Debug, Clone)]
pub struct Response {
    pub status: u16,
    pub via: Via,
    pub call_id: Vec<u8>,
    pub cseq: CSeq,
    pub to_tag: Option<Vec<u8>>,
    pub wire: Message,
}

impl Response {
    pub fn read(wire: Message) -> Result<Self, &'static str> {
        let Start::Response { status, .. } = wire.start else { return Err("not a response") };
        if wire.defect.is_some() {
            return Err("malformed response");
        }
        if wire.list("via").count() != 1 {
            return Err("response with other than one Via");
        }
        let via = wire.header("via").and_then(Via::parse).ok_or("no usable Via")?;
        let cseq = wire.header("cseq").and_then(CSeq::parse).ok_or("bad CSeq")?;
        let to = wire.header("to").and_then(NameAddr::parse).ok_or("bad To")?;
        let to_tag = to.tag().map(<[u8]>::to_vec);
        let call_id = wire.header("call-id").ok_or("no Call-ID")?.to_vec();
        Ok(Self { status, via, call_id, cseq, to_tag, wire })
    }

    /// The reason phrase as the peer wrote it, else the status' own.
    pub fn reason(&self) -> String {
        let Start::Response { reason: written, .. } = &self.wire.start else {
            return String::new();
        };
        let text = decode(written);
        if text.is_empty() { reason(self.status).to_owned() } else { text }
    }

    /// RSeq of a provisional response that wants a PRACK (RFC 3262 §4).
    pub fn rseq(&self) -> Option<u32> {
        let reliable = (101..200).contains(&self.status) && self.wire.has("require", "100rel");
        let number = decimal(self.wire.header("rseq")?, u64::from(u32::MAX))? as u32;
        (reliable && number > 0 && self.to_tag.is_some()).then_some(number)
    }

    /// Seconds of Retry-After (§20.33); a comment or parameter behind them is nothing to us.
    pub fn retry_after(&self) -> Option<u32> {
        let value = self.wire.header("retry-after")?;
        let digits = value.split(|byte| !byte.is_ascii_digit()).next()?;
        decimal(digits, u64::from(u32::MAX)).map(|seconds| seconds as u32)
    }

    pub fn sdp(&self) -> Option<Vec<u8>> {
        Body::of(&self.wire).description()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::protocol::sip::wire;

    const INVITE: &str = "INVITE sip:101@a SIP/2.0\r\nVia: SIP/2.0/UDP 192.0.2.1;branch=z9hG4bKx\r\n\
        From: <sip:c@b>;tag=f\r\nTo: <sip:101@a>\r\nCall-ID: i\r\nCSeq: 1 INVITE\r\n";

    fn fault(text: &str) -> Option<u16> {
        let wire = wire::parse(text.as_bytes()).unwrap();
        Request::read(wire).unwrap().fault.map(|fault| fault.status)
    }

    #[test]
    fn methods_are_rsips_by_their_exact_name() {
        for known in Method::all() {
            assert_eq!((name(known), method(name(known))), (&*known.to_string(), Some(known)));
        }
        assert_eq!(method("PRACK"), Some(Method::PRack));
        assert_eq!((method("invite"), method("NEWMETHOD")), (None, None));
    }

    #[test]
    fn status_words_agree_with_rsip() {
        // rsip has 202 as 201's name; RFC 6665 §8.3.1 is right.
        for status in (100..700).filter(|&status| status != 202) {
            let Some(ours) = words::phrase(status) else { continue };
            let theirs = rsip::StatusCode::from(status).to_string();
            let letters = |text: &str| {
                text.chars()
                    .filter(char::is_ascii_alphanumeric)
                    .collect::<String>()
                    .to_ascii_lowercase()
            };
            assert_eq!(letters(&theirs), letters(&format!("{status}{ours}")));
        }
    }

    #[test]
    fn section_8_1_1_mandatory_headers() {
        assert_eq!(fault(&format!("{INVITE}\r\n")), None);
        for name in ["From", "To", "Call-ID", "CSeq"] {
            let line = INVITE.lines().find(|line| line.starts_with(name)).unwrap();
            let without = INVITE.replace(&format!("{line}\r\n"), "");
            assert_eq!(fault(&format!("{without}\r\n")), Some(400), "without {name}");
            assert_eq!(fault(&format!("{INVITE}{line}\r\n\r\n")), Some(400), "{name} twice");
        }
    }

    #[test]
    fn section_8_1_1_5_cseq_is_below_2_31_and_names_the_method() {
        for (cseq, expected) in [
            ("2147483647 INVITE", None),
            ("2147483648 INVITE", Some(400)),
            ("36893488147419103232 INVITE", Some(400)),
            ("1 OPTIONS", Some(400)),
            ("-1 INVITE", Some(400)),
        ] {
            let text = INVITE.replace("1 INVITE", cseq);
            assert_eq!(fault(&format!("{text}\r\n")), expected, "{cseq}");
        }
    }

    #[test]
    fn section_8_2_3_and_21_4_bodies_we_cannot_read() {
        let with = |lines: &str| fault(&format!("{INVITE}{lines}\r\nv=0"));
        assert_eq!(with("c: application/sdp;charset=x\r\n"), None);
        assert_eq!(with("c: application/unknown\r\n"), Some(415));
        assert_eq!(with("c: application/sdp\r\nContent-Encoding: gzip\r\n"), Some(415));
        assert_eq!(with("c: application/sdp\r\nAccept: text/x\r\n"), Some(406));
        assert_eq!(with("c: application/sdp\r\nAccept: text/x, application/*\r\n"), None);
    }

    #[test]
    fn rfc_3326_section_3_1_another_phone_may_have_the_call() {
        let elsewhere = |reason: &str| {
            let text = format!("{INVITE}Reason: {reason}\r\n\r\n").replace("INVITE", "CANCEL");
            Request::read(wire::parse(text.as_bytes()).unwrap()).unwrap().is_completed_elsewhere()
        };
        assert!(elsewhere("SIP ;cause=200 ;text=\"Call completed elsewhere\""));
        assert!(elsewhere("Q.850;cause=16, sip;text=\"a;cause=5\";cause=200"));
        assert!(elsewhere("Q.850;cause=26"));
        for other in ["SIP;cause=487", "Q.850;cause=200", "preemption;cause=200", "SIP", ";", ""] {
            assert!(!elsewhere(other), "{other}");
        }
    }

    #[test]
    fn section_8_2_6_a_response_repeats_via_from_to_call_id_and_cseq() {
        let wire = wire::parse(format!("{INVITE}v: SIP/2.0/UDP p;branch=q\r\n\r\n").as_bytes());
        let request = Request::read(wire.unwrap()).unwrap();
        let seed = request.reply_seed("192.0.2.1:5060".parse().unwrap());
        let reply = wire::parse(&seed.reply(486, b"mine").finish(None)).unwrap();
        let vias: Vec<_> = reply.list("via").collect();
        assert_eq!(
            vias,
            [&b"SIP/2.0/UDP 192.0.2.1;branch=z9hG4bKx"[..], b"SIP/2.0/UDP p;branch=q"]
        );
        assert_eq!(reply.header("to"), Some(&b"<sip:101@a>;tag=mine"[..]));
        assert_eq!(reply.header("from"), Some(&b"<sip:c@b>;tag=f"[..]));
        let trying = wire::parse(&seed.reply(100, b"mine").finish(None)).unwrap();
        assert_eq!(trying.header("to"), Some(&b"<sip:101@a>"[..]));
    }
}
