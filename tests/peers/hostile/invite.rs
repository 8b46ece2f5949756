//! An INVITE whose every header carries such a text, and the requests that end it.

use super::CANARY;
use std::net::SocketAddr;

fn quoted(payload: &[u8]) -> Vec<u8> {
    let mut out = vec![b'"'];
    for &byte in payload {
        if matches!(byte, b'"' | b'\\') {
            out.push(b'\\');
        }
        out.push(byte);
    }
    out.push(b'"');
    out
}

/// An INVITE with the payload in every header that takes text: its From value, and the whole.
pub(super) fn invite(
    number: usize,
    payload: &[u8],
    pbx: SocketAddr,
    daemon: SocketAddr,
) -> (Vec<u8>, Vec<u8>) {
    let name = quoted(payload);
    let user = format!("138{number:08}");
    let from = [&name[..], format!(" <sip:{user}@trunk>;tag=t{number}").as_bytes()].concat();
    let escaped: String = payload.iter().take(400).map(|byte| format!("%{byte:02X}")).collect();
    let token: Vec<u8> =
        payload.iter().copied().filter(|byte| byte.is_ascii_graphic()).take(200).collect();
    let mut out = format!(
        "INVITE sip:1001@{daemon} SIP/2.0\r\nVia: SIP/2.0/UDP {pbx};branch=z9hG4bKh{number}\r\n\
         Max-Forwards: 70\r\nCSeq: 1 INVITE\r\n"
    )
    .into_bytes();
    let mut line = |name: &str, parts: &[&[u8]]| {
        out.extend_from_slice(name.as_bytes());
        out.extend_from_slice(b": ");
        parts.iter().for_each(|part| out.extend_from_slice(part));
        out.extend_from_slice(b"\r\n");
    };
    line("From", &[&from]);
    line("To", &[&name, b" <sip:1001@daemon>"]);
    line("Call-ID", &[format!("h{number}-").as_bytes(), &token]);
    line("Contact", &[&name, format!(" <sip:c@{pbx}>").as_bytes()]);
    if number.is_multiple_of(2) {
        line("P-Asserted-Identity", &[&name, format!(" <sip:{user}@pbx>").as_bytes()]);
    }
    line("P-Preferred-Identity", &[&name, b" <sip:boss@pbx>"]);
    line("Remote-Party-ID", &[&name, b" <sip:", escaped.as_bytes(), b"@pbx>;party=calling"]);
    line("Diversion", &[&name, b" <sip:", escaped.as_bytes(), b"@pbx>;reason=", &token]);
    line("Diversion", &[&name, b" <sip:63001000@pbx>;reason=user-busy"]);
    line("History-Info", &[&name, b" <sip:63001000@pbx>;index=1"]);
    for name in [
        "Privacy",
        "Priority",
        "Resource-Priority",
        "Subject",
        "User-Agent",
        "Organization",
        "Reason",
        "Alert-Info",
        "Call-Info",
        "Referred-By",
        "In-Reply-To",
        "X-Custom",
    ] {
        line(name, &[payload]);
    }
    let secret = format!("Digest username=\"{CANARY}\", response=\"{CANARY}\", ");
    line("Authorization", &[secret.as_bytes(), payload]);
    let mut sdp = b"v=0\r\no=".to_vec();
    sdp.extend_from_slice(if token.is_empty() { b"-" } else { &token });
    sdp.extend_from_slice(b" 1 1 IN IP4 127.0.0.1\r\ns=");
    sdp.extend(payload.iter().filter(|byte| !matches!(byte, 0)));
    sdp.extend_from_slice(b"\r\nc=IN IP4 127.0.0.1\r\nt=0 0\r\nm=audio 32000 RTP/AVP 8\r\n");
    line("Content-Type", &[b"application/sdp"]);
    line("Content-Length", &[sdp.len().to_string().as_bytes(), b"\r\n"]);
    // The blank line is there already.
    out.extend_from_slice(&sdp);
    (from, out)
}

pub(super) fn cancel(invite: &[u8], method: &str) -> Vec<u8> {
    let head = invite.split(|&b| b == b'\n').map(|line| line.strip_suffix(b"\r").unwrap_or(line));
    let mut out = vec![];
    for (at, line) in head.take_while(|line| !line.is_empty()).enumerate() {
        let names: [&[u8]; 5] = [b"Via:", b"From:", b"To:", b"Call-ID:", b"Max-Forwards:"];
        if at == 0 {
            let rest = line.strip_prefix(b"INVITE").expect("an INVITE");
            out.extend_from_slice(&[method.as_bytes(), rest, b"\r\n"].concat());
        } else if names.iter().any(|name| line.starts_with(name)) {
            out.extend_from_slice(&[line, b"\r\n"].concat());
        }
    }
    out.extend_from_slice(format!("CSeq: 1 {method}\r\nContent-Length: 0\r\n\r\n").as_bytes());
    out
}
