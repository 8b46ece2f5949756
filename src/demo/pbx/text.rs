//! A SIP message as a proxy sees it: a start line, header lines kept byte for byte, a body.

use std::net::SocketAddr;

/// Larger messages and longer lists of headers are dropped.
const LARGEST: usize = 64 * 1024;
const MOST_HEADERS: usize = 200;

#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Start {
    Request { method: String, uri: String },
    Response { status: u16, reason: String },
}

#[derive(Debug, Clone)]
pub struct Message {
    pub start: Start,
    headers: Vec<(String, Vec<u8>)>,
    pub body: Vec<u8>,
}

impl Message {
    pub fn response(status: u16, reason: &str) -> Self {
        let start = Start::Response { status, reason: reason.to_owned() };
        Self { start, headers: vec![], body: vec![] }
    }

    /// `None` for anything that is not a SIP message.
    pub fn parse(bytes: &[u8]) -> Option<Self> {
        if bytes.len() > LARGEST {
            return None;
        }
        let end = bytes.windows(4).position(|window| window == b"\r\n\r\n")?;
        let mut lines: Vec<Vec<u8>> = vec![];
        for line in bytes[..end].split(|byte| *byte == b'\n') {
            let line = line.strip_suffix(b"\r").unwrap_or(line);
            match lines.last_mut() {
                Some(last) if matches!(line.first(), Some(b' ' | b'\t')) => {
                    last.push(b' ');
                    last.extend_from_slice(line.trim_ascii());
                }
                _ => lines.push(line.to_vec()),
            }
        }
        if lines.len() > MOST_HEADERS {
            return None;
        }
        let start = parse_start(std::str::from_utf8(lines.first()?).ok()?)?;
        let headers = lines[1..].iter().map(|line| parse_header(line)).collect::<Option<_>>()?;
        Some(Self { start, headers, body: bytes[end + 4..].to_vec() })
    }

    pub fn to_bytes(&self) -> Vec<u8> {
        let mut bytes = match &self.start {
            Start::Request { method, uri } => format!("{method} {uri} SIP/2.0\r\n"),
            Start::Response { status, reason } => format!("SIP/2.0 {status} {reason}\r\n"),
        }
        .into_bytes();
        for (name, value) in &self.headers {
            bytes.extend_from_slice(name.as_bytes());
            bytes.extend_from_slice(b": ");
            bytes.extend_from_slice(value);
            bytes.extend_from_slice(b"\r\n");
        }
        bytes.extend_from_slice(b"\r\n");
        bytes.extend_from_slice(&self.body);
        bytes
    }

    pub fn method(&self) -> &str {
        match &self.start {
            Start::Request { method, .. } => method,
            Start::Response { .. } => "",
        }
    }

    /// The value of the first header line of this name; bytes that are no UTF-8 are replaced.
    pub fn first(&self, name: &str) -> Option<String> {
        self.all(name).next()
    }

    pub fn all<'a>(&'a self, name: &'a str) -> impl Iterator<Item = String> + 'a {
        let same = move |header: &&(String, Vec<u8>)| header.0.eq_ignore_ascii_case(name);
        self.headers.iter().filter(same).map(|(_, value)| String::from_utf8_lossy(value).into())
    }

    /// Copies every header line of this name, as it stands.
    pub fn copy(&mut self, name: &str, from: &Self) {
        for (_, value) in from.headers.iter().filter(|header| header.0.eq_ignore_ascii_case(name)) {
            self.headers.push((name.to_owned(), value.clone()));
        }
    }

    /// A new header line below the others.
    pub fn add(&mut self, name: &str, value: &str) {
        self.headers.push((name.to_owned(), value.as_bytes().to_vec()));
    }

    /// A new header line above the others of its name.
    pub fn push(&mut self, name: &str, value: &str) {
        let at = self.place(name).unwrap_or(0);
        self.headers.insert(at, (name.to_owned(), value.as_bytes().to_vec()));
    }

    /// Takes away the first value of this name, which may share its line with others.
    pub fn pop(&mut self, name: &str) -> Option<String> {
        let at = self.place(name)?;
        let value = String::from_utf8_lossy(&self.headers[at].1).into_owned();
        match value.split_once(',') {
            Some((first, rest)) => {
                self.headers[at].1 = rest.trim().as_bytes().to_vec();
                Some(first.trim().to_owned())
            }
            None => {
                self.headers.remove(at);
                Some(value)
            }
        }
    }

    pub fn remove(&mut self, name: &str) {
        self.headers.retain(|header| !header.0.eq_ignore_ascii_case(name));
    }

    fn place(&self, name: &str) -> Option<usize> {
        self.headers.iter().position(|header| header.0.eq_ignore_ascii_case(name))
    }
}

fn parse_start(line: &str) -> Option<Start> {
    if let Some(rest) = line.strip_prefix("SIP/2.0 ") {
        let (status, reason) = rest.split_once(' ').unwrap_or((rest, ""));
        return Some(Start::Response { status: status.parse().ok()?, reason: reason.to_owned() });
    }
    let rest = line.strip_suffix(" SIP/2.0")?;
    let (method, uri) = rest.split_once(' ')?;
    Some(Start::Request { method: method.to_owned(), uri: uri.trim().to_owned() })
}

fn parse_header(line: &[u8]) -> Option<(String, Vec<u8>)> {
    let colon = line.iter().position(|byte| *byte == b':')?;
    let name = std::str::from_utf8(&line[..colon]).ok()?.trim();
    let long = match name.to_ascii_lowercase().as_str() {
        "v" => "Via",
        "f" => "From",
        "t" => "To",
        "i" => "Call-ID",
        "m" => "Contact",
        "l" => "Content-Length",
        _ => name,
    };
    Some((long.to_owned(), line[colon + 1..].trim_ascii().to_vec()))
}

/// A parameter such as `branch` of a Via or `tag` of a From; `Some("")` for one without a value.
pub fn param<'a>(value: &'a str, name: &str) -> Option<&'a str> {
    let outside = value.rsplit_once('>').map_or(value, |(_, after)| after);
    outside.split(';').skip(1).find_map(|part| {
        let (key, text) = part.trim().split_once('=').unwrap_or((part.trim(), ""));
        key.trim().eq_ignore_ascii_case(name).then_some(text.trim())
    })
}

/// The URI of a name-addr or of a bare one.
pub fn uri(value: &str) -> &str {
    match value.split_once('<') {
        Some((_, rest)) => rest.split('>').next().unwrap_or(rest),
        None => value.split(';').next().unwrap_or(value).trim(),
    }
}

/// User part and host with port of a `sip:` URI.
pub fn user_and_host(uri: &str) -> Option<(&str, &str)> {
    let rest = uri.strip_prefix("sip:").or_else(|| uri.strip_prefix("sips:"))?;
    let rest = rest.split([';', '?']).next().unwrap_or(rest);
    Some(rest.rsplit_once('@').unwrap_or(("", rest)))
}

/// The address a `sip:` URI names by number; port 5060 where it names none.
pub fn address(uri: &str) -> Option<SocketAddr> {
    let (_, host) = user_and_host(uri)?;
    host_address(host)
}

pub fn host_address(host: &str) -> Option<SocketAddr> {
    let bare = host.trim_start_matches('[').trim_end_matches(']');
    host.parse().ok().or_else(|| Some(SocketAddr::new(bare.parse().ok()?, 5060)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_message_comes_out_as_it_went_in() {
        let bytes = b"INVITE sip:100@duty SIP/2.0\r\nVia: SIP/2.0/UDP 10.0.0.9;branch=z9hG4bKa\r\n\
            From: \"\xd6\xb5\xb0\xe0\" <sip:1@x>;tag=1\r\nContent-Length: 2\r\n\r\nhi";
        let message = Message::parse(bytes).unwrap();
        assert_eq!(message.to_bytes(), bytes);
        assert_eq!(message.method(), "INVITE");
    }

    #[test]
    fn values_that_share_a_line_are_taken_one_by_one() {
        let bytes = b"BYE sip:a@b SIP/2.0\r\nv: SIP/2.0/UDP a;branch=1, SIP/2.0/UDP b;branch=2\r\n\
            Route: <sip:x;lr>\r\n\r\n";
        let mut message = Message::parse(bytes).unwrap();
        assert_eq!(message.pop("Via").unwrap(), "SIP/2.0/UDP a;branch=1");
        assert_eq!(message.pop("Via").unwrap(), "SIP/2.0/UDP b;branch=2");
        assert_eq!(message.pop("Via"), None);
        assert_eq!(message.pop("Route").unwrap(), "<sip:x;lr>");
    }

    #[test]
    fn parts_of_values_are_found() {
        assert_eq!(param("<sip:a@b;tag=no>;tag=yes;lr", "tag"), Some("yes"));
        assert_eq!(param("SIP/2.0/UDP a:5;rport;branch=q", "rport"), Some(""));
        assert_eq!(uri("\"x\" <sip:a@b>;tag=1"), "sip:a@b");
        assert_eq!(user_and_host("sip:101@10.0.0.1:5070;ob"), Some(("101", "10.0.0.1:5070")));
        assert_eq!(address("sip:a@10.0.0.1"), "10.0.0.1:5060".parse().ok());
        assert_eq!(address("sip:a@[::1]:5061"), "[::1]:5061".parse().ok());
        assert_eq!(address("sip:a@duty.example"), None);
    }

    #[test]
    fn what_is_no_message_is_refused() {
        for bytes in
            [&b""[..], b"\r\n\r\n", b"hello\r\n\r\n", b"INVITE x SIP/2.0\r\nno colon\r\n\r\n"]
        {
            assert!(Message::parse(bytes).is_none(), "{bytes:?}");
        }
    }
}
