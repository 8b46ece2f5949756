//! URIs, name-addrs and Via values (RFC 3261 §19.1, §20.10, §20.42), read strictly enough to say
//! whether a message may be trusted with a 200.

use super::text::unquote;
use super::wire::{decimal, has_any, is_token, split_commas, split_outside};
use std::borrow::Cow;
use std::net::IpAddr;

pub type Params = Vec<(String, Option<Vec<u8>>)>;

/// A `sip:`, `sips:` or `tel:` URI; of other schemes only the name is read.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Uri<'a> {
    /// Lower case.
    pub scheme: Cow<'a, str>,
    /// Still percent-encoded; empty when there is none.
    pub user: &'a [u8],
    /// Lower case; IPv6 without its brackets.
    pub host: Cow<'a, str>,
    pub port: Option<u16>,
    pub params: Params,
}

impl<'a> Uri<'a> {
    pub fn parse(bytes: &'a [u8]) -> Option<Self> {
        if has_any(bytes, |byte| byte == 0x7f || is_odd(byte)) {
            return None;
        }
        let colon = bytes.iter().position(|&b| b == b':')?;
        let (scheme, rest) = (&bytes[..colon], &bytes[colon + 1..]);
        let first = scheme.first()?;
        let known = |&b: &u8| b.is_ascii_alphanumeric() || b"+-.".contains(&b);
        if !first.is_ascii_alphabetic() || !scheme.iter().all(known) || rest.is_empty() {
            return None;
        }
        let scheme = lower(std::str::from_utf8(scheme).ok()?);
        let mut uri = Self { scheme, user: b"", host: "".into(), port: None, params: vec![] };
        match &*uri.scheme {
            "sip" | "sips" => uri.read_sip(rest)?,
            "tel" => {
                let mut parts = rest.split(|&b| b == b';');
                uri.user = parts.next()?;
                uri.params = parts.map(param).collect::<Option<_>>()?;
            }
            _ => {}
        }
        Some(uri)
    }

    fn read_sip(&mut self, rest: &'a [u8]) -> Option<()> {
        let (user, rest) = match rest.iter().position(|&b| b == b'@') {
            Some(at) => (&rest[..at], &rest[at + 1..]),
            None => (&b""[..], rest),
        };
        self.user = user.split(|&b| b == b':').next()?;
        let head = rest.split(|&b| b == b'?').next()?;
        let mut parts = head.split(|&b| b == b';');
        (self.host, self.port) = host_port(parts.next()?)?;
        self.params = parts.map(param).collect::<Option<_>>()?;
        Some(())
    }

    pub fn param(&self, name: &str) -> Option<&[u8]> {
        find(&self.params, name)
    }

    pub fn has_param(&self, name: &str) -> bool {
        self.params.iter().any(|(n, _)| n == name)
    }

    pub fn ip(&self) -> Option<IpAddr> {
        self.host.parse().ok()
    }
}

/// A From, To, Contact, Route or Record-Route value.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NameAddr {
    /// Unquoted bytes; may be empty.
    pub display: Vec<u8>,
    pub uri: Vec<u8>,
    pub params: Params,
}

impl NameAddr {
    pub fn parse(value: &[u8]) -> Option<Self> {
        let value = value.trim_ascii();
        let (display, rest) = split_display(value)?;
        let Some(bracketed) = rest.strip_prefix(b"<") else {
            // addr-spec: its parameters are the header's; §20.10 forbids comma and question mark.
            let mut parts = split_outside(value, b';');
            let uri = parts.next()?.trim_ascii();
            if uri.iter().any(|b| b",?".contains(b)) {
                return None;
            }
            let params = parts.map(param).collect::<Option<_>>()?;
            return Some(Self { display: vec![], uri: uri.to_vec(), params });
        };
        let end = bracketed.iter().position(|&b| b == b'>')?;
        let rest = bracketed[end + 1..].trim_ascii();
        let params = match rest.split_first() {
            None => vec![],
            Some((b';', params)) => {
                split_outside(params, b';').map(param).collect::<Option<_>>()?
            }
            Some(_) => return None,
        };
        Some(Self { display, uri: bracketed[..end].to_vec(), params })
    }

    pub fn param(&self, name: &str) -> Option<&[u8]> {
        find(&self.params, name)
    }

    /// `None` also for an empty tag.
    pub fn tag(&self) -> Option<&[u8]> {
        self.param("tag").filter(|tag| !tag.is_empty())
    }
}

/// The top Via of a message.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Via {
    /// As written, without the values behind it.
    pub raw: Vec<u8>,
    /// Upper case.
    pub transport: String,
    pub host: String,
    pub port: Option<u16>,
    pub params: Params,
}

impl Via {
    /// The first value of a Via line.
    pub fn parse(line: &[u8]) -> Option<Self> {
        let raw = split_commas(line).next()?;
        let mut parts = raw.splitn(3, |&b| b == b'/');
        let protocol = parts.next()?.trim_ascii();
        let _version = parts.next()?;
        let rest = parts.next()?.trim_ascii_start();
        if !protocol.eq_ignore_ascii_case(b"SIP") {
            return None;
        }
        let end = rest.iter().position(|b| matches!(b, b' ' | b'\t'))?;
        let transport = String::from_utf8_lossy(&rest[..end]).to_ascii_uppercase();
        let mut parts = split_outside(&rest[end..], b';');
        let sent_by: Vec<u8> =
            parts.next()?.iter().copied().filter(|b| !matches!(b, b' ' | b'\t')).collect();
        let (host, port) = host_port(&sent_by)?;
        let host = host.into_owned();
        let params = parts.map(param).collect::<Option<_>>()?;
        Some(Self { raw: raw.to_vec(), transport, host, port, params })
    }

    pub fn branch(&self) -> Option<&[u8]> {
        find(&self.params, "branch")
    }

    /// RFC 3581 §3.
    pub fn wants_its_own_port(&self) -> bool {
        find(&self.params, "rport").is_some()
    }

    /// The value with `received` and, where asked for, `rport` filled in (RFC 3581 §4).
    pub fn received_from(&self, source: std::net::SocketAddr) -> Vec<u8> {
        let mut out = vec![];
        let mut wants_port = false;
        for (at, part) in split_outside(&self.raw, b';').enumerate() {
            let name = part.split(|&b| b == b'=').next().unwrap_or_default().trim_ascii();
            if at > 0 && name.eq_ignore_ascii_case(b"received") {
                continue;
            }
            if at > 0 && name.eq_ignore_ascii_case(b"rport") {
                wants_port = true;
                continue;
            }
            if at > 0 {
                out.push(b';');
            }
            out.extend_from_slice(part.trim_ascii());
        }
        let ip = source.ip().to_canonical();
        if wants_port || self.host.parse() != Ok(ip) {
            out.extend_from_slice(format!(";received={ip}").as_bytes());
        }
        if wants_port {
            out.extend_from_slice(format!(";rport={}", source.port()).as_bytes());
        }
        out
    }
}

fn find<'a>(params: &'a Params, name: &str) -> Option<&'a [u8]> {
    let (_, value) = params.iter().find(|(n, _)| n == name)?;
    Some(value.as_deref().unwrap_or_default())
}

/// `name`, `name=value` or `name="value"`; an empty one between two semicolons is let pass.
fn param(part: &[u8]) -> Option<(String, Option<Vec<u8>>)> {
    let part = part.trim_ascii();
    let (name, value) = match part.iter().position(|&b| b == b'=') {
        Some(at) => (part[..at].trim_ascii_end(), Some(part[at + 1..].trim_ascii())),
        None => (part, None),
    };
    let quoted = value.is_some_and(|v| v.len() > 1 && v.starts_with(b"\"") && v.ends_with(b"\""));
    if has_any(name, is_odd) || !quoted && value.is_some_and(|value| has_any(value, is_odd)) {
        return None;
    }
    let name = String::from_utf8_lossy(name).to_ascii_lowercase();
    Some((name, value.map(unquote)))
}

fn is_odd(byte: u8) -> bool {
    byte <= b' ' || matches!(byte, b'<' | b'>' | b'"')
}

/// The display name, unquoted, and what follows it.
fn split_display(value: &[u8]) -> Option<(Vec<u8>, &[u8])> {
    if value.starts_with(b"\"") {
        let mut escaped = false;
        let end = value.iter().enumerate().skip(1).find_map(|(at, &byte)| {
            let ends = byte == b'"' && !escaped;
            escaped = byte == b'\\' && !escaped;
            ends.then_some(at)
        })?;
        let rest = value[end + 1..].trim_ascii_start();
        return rest.starts_with(b"<").then(|| (unquote(&value[..=end]), rest));
    }
    let Some(angle) = value.iter().position(|&b| b == b'<') else { return Some((vec![], value)) };
    let display = value[..angle].trim_ascii();
    let fits = |&b: &u8| is_token(b) || b >= 0x80 || matches!(b, b' ' | b'\t');
    display.iter().all(fits).then(|| (display.to_vec(), &value[angle..]))
}

fn host_port(bytes: &[u8]) -> Option<(Cow<'_, str>, Option<u16>)> {
    let (host, port) = if let Some(rest) = bytes.strip_prefix(b"[") {
        let end = rest.iter().position(|&b| b == b']')?;
        let host = std::str::from_utf8(&rest[..end]).ok()?;
        // One colon too many before the IPv4 part is of RFC 3261's own making (RFC 5118 §4.10).
        let meant = host.replacen(":::", "::", 1);
        meant.parse::<std::net::Ipv6Addr>().ok()?;
        (meant.to_ascii_lowercase().into(), &rest[end + 1..])
    } else {
        let end = bytes.iter().position(|&b| b == b':').unwrap_or(bytes.len());
        let host = std::str::from_utf8(&bytes[..end]).ok()?;
        let fits = |b: u8| b.is_ascii_alphanumeric() || b"-._".contains(&b);
        if host.is_empty() || !host.bytes().all(fits) {
            return None;
        }
        (lower(host), &bytes[end..])
    };
    let port = match port {
        [] => None,
        [b':', digits @ ..] => Some(decimal(digits, 65_535)? as u16),
        _ => return None,
    };
    Some((host, port))
}

/// Most are written so.
fn lower(text: &str) -> Cow<'_, str> {
    if text.bytes().any(|byte| byte.is_ascii_uppercase()) {
        text.to_ascii_lowercase().into()
    } else {
        text.into()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn uri(text: &str) -> Option<Uri<'_>> {
        Uri::parse(text.as_bytes())
    }

    #[test]
    fn section_19_1_1_components() {
        let alice = uri("SIP:alice:secret@Atlanta.com:5070;transport=TCP;lr?subject=x").unwrap();
        assert_eq!((&*alice.scheme, &*alice.host), ("sip", "atlanta.com"));
        assert_eq!((alice.user, alice.port), (&b"alice"[..], Some(5070)));
        assert_eq!(alice.param("transport"), Some(&b"TCP"[..]));
        assert!(alice.has_param("lr"));
        let semicolon = uri("sip:user;par=u%40example.net@example.com").unwrap();
        assert_eq!(semicolon.user, b"user;par=u%40example.net");
        assert_eq!(uri("tel:+8610;ext=1").unwrap().user, b"+8610");
    }

    #[test]
    fn rfc_5118_ipv6_references() {
        let v6 = uri("sip:user@[2001:db8::10]:5070").unwrap();
        assert_eq!((v6.ip(), v6.port), ("2001:db8::10".parse().ok(), Some(5070)));
        assert_eq!(uri("sip:2001:db8::10"), None);
        let via = Via::parse(b"SIP/2.0/UDP [2001:db8::9:1];received=[2001:db8::9:255];branch=z9");
        assert_eq!(via.unwrap().host, "2001:db8::9:1");
    }

    #[test]
    fn what_is_no_uri() {
        for bad in ["", "sip:", "sip:a b", "<sip:a>", "sip:a@b:99999", "sip:a@", "1x:y", "sip:[::1"]
        {
            assert_eq!(uri(bad), None, "{bad}");
        }
    }

    #[test]
    fn section_20_10_name_addr_and_addr_spec() {
        let quoted = NameAddr::parse(b"\"Mr. \\\"W\\\"\"<sip:w@b;x=y>;q=0.7 ; tag=a").unwrap();
        assert_eq!((quoted.display, quoted.uri), (b"Mr. \"W\"".to_vec(), b"sip:w@b;x=y".to_vec()));
        let bare = NameAddr::parse(b"sip:w@b;tag=x").unwrap();
        assert_eq!((bare.uri.as_slice(), bare.tag()), (&b"sip:w@b"[..], Some(&b"x"[..])));
        let gbk = NameAddr::parse(b"\xd5\xc5 \xce\xb0 <sip:w@b>").unwrap();
        assert_eq!(gbk.display, b"\xd5\xc5 \xce\xb0");
        for bad in [&b"\"open <sip:a@b>"[..], b"Bell, A <sip:a@b>", b"<sip:a@b", b"sip:a@b?x=y"] {
            assert_eq!(NameAddr::parse(bad), None);
        }
    }

    #[test]
    fn rfc_3581_section_4_received_and_rport() {
        let source = "192.0.2.9:9988".parse().unwrap();
        let via = Via::parse(b"SIP/2.0/UDP 10.1.1.1:4540;rport;branch=z9hG4bKkjshdyff").unwrap();
        assert_eq!(
            via.received_from(source),
            b"SIP/2.0/UDP 10.1.1.1:4540;branch=z9hG4bKkjshdyff;received=192.0.2.9;rport=9988"
        );
        let plain = Via::parse(b"SIP / 2.0 / UDP 192.0.2.9 : 5060 ; branch=a, other").unwrap();
        assert_eq!(plain.port, Some(5060));
        assert_eq!(plain.received_from(source), b"SIP / 2.0 / UDP 192.0.2.9 : 5060;branch=a");
    }
}
