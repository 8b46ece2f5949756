//! A request of ours before it is bytes: enough to write it, its ACK, its CANCEL, and itself again
//! with credentials.

use super::address::NameAddr;
use super::message::{self, Method, method_name};
use super::text::{percent_encode_user, quote};
use super::wire::Writer;
use super::{Account, AorId, Numbers, Peer, Transmit, Transport};
use serde::{Deserialize, Serialize};

#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Draft {
    #[serde(with = "method_name")]
    pub method: Method,
    /// By whose right.
    #[serde(default)]
    pub aor: AorId,
    /// Request-URI.
    pub uri: Vec<u8>,
    pub peer: Peer,
    /// From and To as they are written, tags included.
    pub from: Vec<u8>,
    pub to: Vec<u8>,
    pub call_id: Vec<u8>,
    pub cseq: u32,
    pub routes: Vec<Vec<u8>>,
    pub headers: Vec<(String, Vec<u8>)>,
    /// Content type and bytes.
    pub body: Option<(String, Vec<u8>)>,
}

impl Draft {
    pub fn write(&self, account: &Account, branch: &str) -> Transmit {
        let mut writer = self.head(message::name(self.method), account, branch, &self.to);
        for (name, value) in &self.headers {
            writer.header(name, value);
        }
        writer.header("User-Agent", &account.agent);
        let body = self.body.as_ref().map(|(kind, bytes)| (kind.as_str(), bytes.as_slice()));
        Transmit { to: self.peer, bytes: writer.finish(body) }
    }

    /// The ACK to a refusal: the branch of the INVITE, the To of the response (§17.1.1.3).
    pub fn ack(&self, account: &Account, branch: &str, to: &[u8]) -> Transmit {
        let writer = self.head("ACK", account, branch, to);
        Transmit { to: self.peer, bytes: writer.finish(None) }
    }

    /// §9.1: everything as in the INVITE but the method. `reason`: why nobody is to ring any more
    /// (RFC 3326).
    pub fn cancel(&self, account: &Account, branch: &str, reason: Option<&str>) -> Transmit {
        let mut writer = self.head("CANCEL", account, branch, &self.to);
        if let Some(reason) = reason {
            writer.header("Reason", reason);
        }
        Transmit { to: self.peer, bytes: writer.finish(None) }
    }

    /// Of the peer, where the request is within a dialog.
    pub fn to_tag(&self) -> Option<Vec<u8>> {
        NameAddr::parse(&self.to)?.tag().map(<[u8]>::to_vec)
    }

    fn head(&self, method: &str, account: &Account, branch: &str, to: &[u8]) -> Writer {
        let mut writer = Writer::request(method, &self.uri);
        let transport = self.peer.transport.name();
        let via = format!("SIP/2.0/{transport} {};branch={branch};rport", account.local);
        writer.header("Via", via).header("Max-Forwards", "70");
        writer.list("Route", self.routes.iter().map(Vec::as_slice));
        writer.header("From", &self.from).header("To", to).header("Call-ID", &self.call_id);
        writer.header("CSeq", format!("{} {method}", self.cseq));
        writer
    }
}

/// `sip:user@domain`.
pub fn user_uri(user: &str, domain: &str) -> String {
    if user.is_empty() {
        return format!("sip:{domain}");
    }
    format!("sip:{}@{domain}", percent_encode_user(user))
}

/// A number as this line's PBX wants it dialled and told.
pub fn number_uri(account: &Account, number: &str) -> String {
    let domain = &account.domain;
    match account.habits.numbers {
        Numbers::Tel if number.starts_with('+') => format!("tel:{number}"),
        // RFC 3966 §5.1.5: a number that is not global says where it is one.
        Numbers::Tel => format!("tel:{};phone-context={domain}", percent_encode_user(number)),
        Numbers::Phone => format!("{};user=phone", own_uri(account, number)),
        Numbers::Sip => own_uri(account, number),
    }
}

/// What is dialled: a number, or a whole URI as it stands.
pub fn target_uri(account: &Account, target: &str) -> String {
    let is_uri = ["sip:", "sips:", "tel:"].iter().any(|scheme| target.starts_with(scheme));
    if is_uri { target.to_owned() } else { number_uri(account, target) }
}

/// A user of the PBX.
pub fn own_uri(account: &Account, user: &str) -> String {
    secured(account, user_uri(user, &account.domain))
}

/// The PBX itself, or another host.
pub fn host_uri(account: &Account, host: &str) -> String {
    secured(account, format!("sip:{host}"))
}

/// RFC 5630 §3.1: `sips:` asks for TLS on every hop.
fn secured(account: &Account, uri: String) -> String {
    match uri.strip_prefix("sip:") {
        Some(rest) if account.habits.sips => format!("sips:{rest}"),
        Some(_) | None => uri,
    }
}

/// `"display" <uri>`.
pub fn name_addr(display: &str, uri: &str) -> String {
    if display.is_empty() { format!("<{uri}>") } else { format!("{} <{uri}>", quote(display)) }
}

/// Where peers reach us (§8.1.1.8).
pub fn contact(account: &Account, aor: AorId) -> String {
    contact_by(account, aor, account.pbx.transport)
}

/// Where a peer reaches us by this transport.
pub fn contact_by(account: &Account, aor: AorId, transport: Transport) -> String {
    let uri = secured(account, user_uri(account.user_of(aor), &account.local.to_string()));
    match transport {
        Transport::Udp => format!("<{uri}>"),
        Transport::Tcp => format!("<{uri};transport=tcp>"),
        // RFC 5630 §3.1.4: a sips URI says it all. Behind sip: registrars still want the old word.
        Transport::Tls if account.habits.sips => format!("<{uri}>"),
        Transport::Tls => format!("<{uri};transport=tls>"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn section_25_1_what_people_type_becomes_an_address() {
        assert_eq!(user_uri("*9#", "pbx.example"), "sip:*9%23@pbx.example");
        assert_eq!(user_uri("a@b c", "pbx.example"), "sip:a%40b%20c@pbx.example");
        assert_eq!(user_uri("", "pbx.example"), "sip:pbx.example");
        assert_eq!(name_addr("值班\"室\r\nEvil: x", "sip:a"), "\"值班\\\"室Evil: x\" <sip:a>");
        assert_eq!(name_addr("", "sip:a"), "<sip:a>");
    }
}
