//! A SIP message as text, and its parts.

use std::net::SocketAddr;

/// One SIP message, cut into its lines.
#[derive(Debug, Clone)]
pub struct Message {
    pub first: String,
    headers: Vec<(String, String)>,
    pub body: String,
}

impl Message {
    pub(super) fn parse(bytes: &[u8]) -> Option<Self> {
        let text = String::from_utf8_lossy(bytes);
        let (head, body) = text.split_once("\r\n\r\n")?;
        let mut lines = head.split("\r\n");
        let first = lines.next()?.to_string();
        let header = |line: &str| {
            let (name, value) = line.split_once(':')?;
            Some((name.trim().to_ascii_lowercase(), value.trim().to_string()))
        };
        Some(Self { first, headers: lines.filter_map(header).collect(), body: body.into() })
    }

    pub fn all<'a>(&'a self, name: &'a str) -> impl Iterator<Item = &'a str> {
        let of_name = self.headers.iter().filter(move |(header, _)| header == name);
        of_name.map(|(_, value)| value.as_str())
    }

    pub fn get(&self, name: &str) -> &str {
        self.headers.iter().find(|(header, _)| header == name).map_or("", |(_, value)| value)
    }

    /// What an INVITE must say to take the far end's place in this call (RFC 3891).
    pub fn replaces(&self) -> String {
        let ours = self.get("from").split(";tag=").nth(1).expect("a tag");
        let call_id = self.get("call-id");
        format!("Require: replaces\r\nReplaces: {call_id};to-tag={ours};from-tag=far\r\n")
    }

    /// The same session, as the URI of a Refer-To names it.
    pub fn names_itself(&self) -> String {
        let ours = self.get("from").split(";tag=").nth(1).expect("a tag");
        let call_id = self.get("call-id");
        format!("{call_id}%3Bto-tag%3D{ours}%3Bfrom-tag%3Dfar")
    }

    pub(super) fn status(&self) -> u16 {
        let code = self.first.strip_prefix("SIP/2.0 ").and_then(|rest| rest.get(..3));
        code.and_then(|code| code.parse().ok()).unwrap_or(0)
    }

    pub(super) fn is(&self, method: &str) -> bool {
        self.first.starts_with(method) && self.first.as_bytes().get(method.len()) == Some(&b' ')
    }

    /// Where the session description wants its audio.
    pub fn media(&self) -> SocketAddr {
        let line = |start: &str| {
            let found = self.body.lines().find_map(|line| line.strip_prefix(start));
            found.unwrap_or_else(|| panic!("no {start} in {}", self.body))
        };
        let port = line("m=audio ").split(' ').next().expect("a port");
        let host = line("c=IN IP4 ");
        format!("{}:{port}", host.trim()).parse().expect("an address")
    }

    /// A response that copies what must be copied.
    pub(super) fn response(
        &self,
        status: &str,
        tag: &str,
        contact: &str,
        sdp: Option<&str>,
    ) -> String {
        let mut out = format!("SIP/2.0 {status}\r\n");
        for name in ["via", "record-route"] {
            for value in self.all(name) {
                out += &format!("{name}: {value}\r\n");
            }
        }
        let to = self.get("to");
        let to = if to.contains("tag=") { to.to_string() } else { format!("{to};tag={tag}") };
        let (from, call, cseq) = (self.get("from"), self.get("call-id"), self.get("cseq"));
        out += &format!("From: {from}\r\nTo: {to}\r\nCall-ID: {call}\r\nCSeq: {cseq}\r\n");
        out + &tail(contact, sdp)
    }
}

pub(super) fn tail(contact: &str, sdp: Option<&str>) -> String {
    let kind = match sdp {
        Some(sdp) if sdp.starts_with("v=0") => "Content-Type: application/sdp\r\n",
        Some(_) => "Content-Type: application/dtmf-relay\r\n",
        None => "",
    };
    let body = sdp.unwrap_or("");
    format!("Contact: <{contact}>\r\n{kind}Content-Length: {}\r\n\r\n{body}", body.len())
}

/// The URI of an address.
pub(super) fn inside(address: &str) -> &str {
    let from = address.find('<').map_or(0, |at| at + 1);
    let to = address.find('>').unwrap_or(address.len());
    &address[from..to]
}
