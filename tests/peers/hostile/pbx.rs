//! The daemon's whole world in one hand-written peer.

use super::invite::cancel;
use crate::browser::SOON;
use crate::ports::{Ports, bound};
use std::net::{SocketAddr, UdpSocket};
use std::sync::mpsc::{Receiver, Sender, channel};
use std::time::Instant;

/// The daemon's whole world: registrar, caller and the officers' phones in one hand-written peer.
pub(super) struct Pbx {
    pub(super) sip: UdpSocket,
    pub(super) daemon: SocketAddr,
    heard: Receiver<Vec<u8>>,
}

impl Pbx {
    pub(super) fn start(ports: &Ports) -> Self {
        let sip = bound(("127.0.0.1", ports.pbx()));
        let daemon = SocketAddr::from(([127, 0, 0, 1], ports.line()));
        let (tell, heard) = channel();
        let own = sip.try_clone().expect("a second handle");
        std::thread::spawn(move || answer(&own, &tell));
        Self { sip, daemon, heard }
    }

    /// The next message with this start.
    pub(super) fn hears(&self, starts: &[&str]) -> Option<Vec<u8>> {
        let end = Instant::now() + SOON;
        while let Some(left) = end.checked_duration_since(Instant::now()) {
            let message = self.heard.recv_timeout(left).ok()?;
            if starts.iter().any(|start| message.starts_with(start.as_bytes())) {
                return Some(message);
            }
        }
        None
    }

    pub(super) fn says(&self, message: &[u8]) {
        self.sip.send_to(message, self.daemon).expect("sent");
    }
}

/// Registers whoever proves himself, lets phones ring, ends what is cancelled.
fn answer(sip: &UdpSocket, tell: &Sender<Vec<u8>>) {
    let mut bytes = vec![0; 65_536];
    let mut ringing: Vec<(String, Vec<u8>)> = vec![];
    while let Ok((length, from)) = sip.recv_from(&mut bytes) {
        let message = bytes[..length].to_vec();
        let text = String::from_utf8_lossy(&message).into_owned();
        let send = |reply: String| {
            sip.send_to(reply.as_bytes(), from).expect("sent");
        };
        let proved = text.contains("uthorization: Digest");
        let challenge = "Digest realm=\"pbx\", nonce=\"n1\", algorithm=MD5, qop=\"auth\"";
        if text.starts_with("REGISTER ") && !proved {
            send(reply(&text, "401 Unauthorized", &format!("WWW-Authenticate: {challenge}\r\n")));
        } else if text.starts_with("REGISTER ") {
            let contact = header(&text, "Contact");
            send(reply(&text, "200 OK", &format!("Contact: {contact};expires=600\r\n")));
        } else if text.starts_with("OPTIONS ") || text.starts_with("BYE ") {
            send(reply(&text, "200 OK", ""));
        } else if text.starts_with("INVITE ") && !proved {
            let proxy = format!("Proxy-Authenticate: {challenge}\r\n");
            send(reply(&text, "407 Proxy Authentication Required", &proxy));
        } else if text.starts_with("INVITE ") {
            send(reply(&text, "180 Ringing", "Contact: <sip:2001@127.0.0.1>\r\n"));
            ringing.push((header(&text, "Call-ID"), message.clone()));
        } else if text.starts_with("CANCEL ") {
            send(reply(&text, "200 OK", ""));
            let call = header(&text, "Call-ID");
            if let Some(at) = ringing.iter().position(|(known, _)| *known == call) {
                let (_, invite) = ringing.remove(at);
                send(reply(&String::from_utf8_lossy(&invite), "487 Request Terminated", ""));
            }
        }
        if tell.send(message).is_err() {
            return;
        }
    }
}

pub(super) fn header(text: &str, name: &str) -> String {
    let head = text.split("\r\n\r\n").next().unwrap_or_default();
    let line = head.lines().find_map(|line| line.strip_prefix(&format!("{name}: ")));
    line.unwrap_or_default().to_owned()
}

fn reply(text: &str, status: &str, more: &str) -> String {
    let to = header(text, "To");
    let to = if to.contains(";tag=") { to } else { format!("{to};tag=phone") };
    format!(
        "SIP/2.0 {status}\r\nVia: {}\r\nFrom: {}\r\nTo: {to}\r\nCall-ID: {}\r\nCSeq: {}\r\n{more}\
         Content-Length: 0\r\n\r\n",
        header(text, "Via"),
        header(text, "From"),
        header(text, "Call-ID"),
        header(text, "CSeq")
    )
}

/// Calls, lets it ring, gives up; whether a phone rang, and what it was sent.
pub(super) fn plays(pbx: &Pbx, invite: &[u8]) -> Option<Vec<u8>> {
    pbx.says(invite);
    let first = pbx.hears(&["SIP/2.0 180", "SIP/2.0 183", "SIP/2.0 4"]).expect("an answer");
    let rang = first.starts_with(b"SIP/2.0 1");
    if !rang {
        pbx.says(&cancel(invite, "ACK"));
        return None;
    }
    pbx.says(&cancel(invite, "CANCEL"));
    pbx.hears(&["SIP/2.0 487"]).expect("the end of the call");
    pbx.says(&cancel(invite, "ACK"));
    Some(first)
}
