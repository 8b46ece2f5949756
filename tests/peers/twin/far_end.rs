//! The far end behind the PBX.

use super::message::{Message, inside, tail};
use super::{SOON, Voice, offer};
use crate::ports::{Ports, bound};
use std::cell::Cell;
use std::net::{SocketAddr, UdpSocket};
use std::sync::mpsc::{Receiver, Sender, channel};
use std::thread;
use std::time::{Duration, Instant};

/// What the far end did.
#[derive(Debug)]
pub enum Seen {
    Invited(Box<Message>),
    Acknowledged,
    /// Its Reason.
    Cancelled(String),
    /// A request of its own was answered so, with this body.
    Answered(u16, String),
    Ended,
    /// The fragment in a NOTIFY.
    Notified(String),
}

/// Where the far end wants what is within the calls to 9201, which is not the PBX's address.
const SUSPICIOUS: &str = "127.0.0.5";

/// Answers what is dialled as 9xxx: 9200 is taken at once, 9201 too, whose BYE is challenged, 9180 rings for ever, 9182 is
/// taken the moment it is given up, 9183 plays a tone of its own meanwhile, 9184 does so reliably, 9483 says that it is off
/// and refuses with 480, any other is refused with its last three digits. Speaks with whoever called last.
pub struct FarEnd {
    sip: UdpSocket,
    pub media: UdpSocket,
    pub seen: Receiver<Seen>,
    /// It was cancelled or hung up while a NOTIFY was waited for: the two may overtake each other on the way.
    let_go: Cell<bool>,
}

/// Both of its threads end with it, and their ports are others' again.
impl Drop for FarEnd {
    fn drop(&mut self) {
        let port = self.sip.local_addr().expect("bound").port();
        for ip in ["127.0.0.1", SUSPICIOUS] {
            self.sip.send_to(&[], (ip, port)).expect("sent");
        }
    }
}

/// None once the far end is to end: nothing in a datagram says so.
fn received(sip: &UdpSocket, bytes: &mut [u8]) -> Option<(usize, SocketAddr)> {
    sip.recv_from(bytes).ok().filter(|(length, _)| *length > 0)
}

impl FarEnd {
    pub fn start(ports: &Ports) -> Self {
        Self::offering(ports, offer)
    }

    /// A telephone that knows no telephone-events.
    pub fn without_keys(ports: &Ports) -> Self {
        Self::offering(ports, |media| {
            let keys = "a=rtpmap:101 telephone-event/8000\r\n";
            offer(media).replace("RTP/AVP 8 101", "RTP/AVP 8").replace(keys, "")
        })
    }

    fn offering(ports: &Ports, offer: impl Fn(&UdpSocket) -> String) -> Self {
        let sip = bound(("127.0.0.1", ports.sink()));
        let media = UdpSocket::bind("127.0.0.1:0").expect("a port");
        let sdp = offer(&media);
        let (sender, seen) = channel();
        let served = sip.try_clone().expect("a second handle");
        let suspicious = bound((SUSPICIOUS, ports.sink()));
        let told = sender.clone();
        thread::spawn(move || serve(&served, &sdp, &sender));
        thread::spawn(move || challenge(&suspicious, &told));
        Self { sip, media, seen, let_go: Cell::new(false) }
    }

    /// Hands the call of this INVITE on; `to` is a whole Refer-To.
    pub fn refers(&self, invite: &Message, to: &str) {
        self.asks(invite, "REFER", &format!("Refer-To: {to}\r\n"), None);
    }

    /// Wants the session of this INVITE otherwise (RFC 3311): its voice is at another port.
    pub fn updates(&self, invite: &Message, media: &UdpSocket) {
        self.asks(invite, "UPDATE", "", Some(&offer(media)));
    }

    pub fn hangs_up(&self, invite: &Message) {
        self.asks(invite, "BYE", "", None);
    }

    /// A key, told beside the voice.
    pub fn presses(&self, invite: &Message, key: char) {
        let body = format!("Signal={key}\r\nDuration=160\r\n");
        let tail = format!(
            "Content-Type: application/dtmf-relay\r\nContent-Length: {}\r\n\r\n{body}",
            body.len()
        );
        self.sends(invite, "INFO", "", &tail);
    }

    /// Says so much A-law into the session of this INVITE.
    pub fn says(&self, invite: &Message, speech: &[u8]) {
        let mut voice = Voice::new(31);
        for part in speech.as_chunks::<160>().0 {
            self.media.send_to(&voice.packet(part), invite.media()).expect("sent");
            thread::sleep(Duration::from_millis(20));
        }
    }

    /// The first request of its own in the dialog of this INVITE.
    fn asks(&self, invite: &Message, method: &str, headers: &str, sdp: Option<&str>) {
        let local = self.sip.local_addr().expect("an address");
        self.sends(invite, method, headers, &tail(&format!("sip:far@{local}"), sdp));
    }

    fn sends(&self, invite: &Message, method: &str, headers: &str, tail: &str) {
        let local = self.sip.local_addr().expect("an address");
        let routes: String =
            invite.all("record-route").map(|route| format!("Route: {route}\r\n")).collect();
        let text = format!(
            "{method} {uri} SIP/2.0\r\nVia: SIP/2.0/UDP {local};branch=z9hG4bK-{method};rport\r\n\
             Max-Forwards: 70\r\n{routes}From: {from};tag=far\r\nTo: {to}\r\n\
             Call-ID: {call}\r\nCSeq: 1 {method}\r\n{headers}{tail}",
            uri = inside(invite.get("contact")),
            from = invite.get("to"),
            to = invite.get("from"),
            call = invite.get("call-id"),
        );
        let route = inside(invite.all("record-route").next().unwrap_or(invite.get("contact")));
        let host = route.trim_start_matches("sip:").split(';').next().expect("a host");
        self.sip.send_to(text.as_bytes(), host).expect("sent");
    }

    /// Answers this INVITE once more.
    pub fn answers(&self, invite: &Message, status: &str) {
        let contact = format!("sip:far@{}", self.sip.local_addr().expect("an address"));
        let sdp = status.starts_with('2').then(|| offer(&self.media));
        let via = invite.all("via").next().and_then(|via| via.split([' ', ';']).nth(1));
        let text = invite.response(status, "far", &contact, sdp.as_deref());
        self.sip.send_to(text.as_bytes(), via.expect("a Via")).expect("sent");
    }

    /// The fragments of the NOTIFYs, until the final one.
    pub fn is_told(&self) -> Vec<String> {
        let mut told = vec![];
        while told.last().is_none_or(|line: &String| line.starts_with("SIP/2.0 1")) {
            match self.seen.recv_timeout(SOON).expect("a NOTIFY at the far end") {
                Seen::Notified(line) => told.push(line),
                Seen::Cancelled(_) | Seen::Ended => self.let_go.set(true),
                Seen::Invited(_) | Seen::Acknowledged | Seen::Answered(..) => {}
            }
        }
        told
    }

    /// Waits until it was cancelled or hung up.
    pub fn is_let_go(&self) {
        self.is_let_go_within(SOON);
    }

    pub fn is_let_go_within(&self, limit: Duration) {
        if !self.let_go.take() {
            self.sees("a CANCEL or BYE", limit, |seen| {
                matches!(seen, Seen::Cancelled(_) | Seen::Ended).then_some(())
            });
        }
    }

    pub fn invited(&self) -> Message {
        self.invited_within(SOON)
    }

    pub fn invited_within(&self, limit: Duration) -> Message {
        self.sees("an INVITE", limit, |seen| match seen {
            Seen::Invited(message) => Some(*message),
            Seen::Acknowledged
            | Seen::Cancelled(_)
            | Seen::Answered(..)
            | Seen::Ended
            | Seen::Notified(_) => None,
        })
    }

    fn sees<T>(&self, what: &str, limit: Duration, is_it: impl Fn(Seen) -> Option<T>) -> T {
        let start = Instant::now();
        loop {
            let left = limit.saturating_sub(start.elapsed());
            let seen = self.seen.recv_timeout(left);
            let seen = seen.unwrap_or_else(|_| panic!("no {what} at the far end in {limit:?}"));
            if let Some(found) = is_it(seen) {
                return found;
            }
        }
    }
}

/// The number behind the nine.
fn code(invite: &Message) -> &str {
    let number = invite.first.split(['@', ':', ';']).nth(1).unwrap_or("9500");
    number.trim_start_matches('9')
}

fn serve(sip: &UdpSocket, sdp: &str, seen: &Sender<Seen>) {
    let contact = format!("sip:far@{}", sip.local_addr().expect("an address"));
    let mut bytes = [0; 65536];
    let mut ringing: Option<Message> = None;
    let mut last = String::new();
    while let Some((length, from)) = received(sip, &mut bytes) {
        let Some(message) = Message::parse(&bytes[..length]) else { continue };
        let again = message.first.clone() + message.get("via") == last;
        last = message.first.clone() + message.get("via");
        let send = |text: String| {
            sip.send_to(text.as_bytes(), from).expect("sent");
        };
        let happened = if message.is("INVITE") {
            match code(&message) {
                "201" => {
                    let there = contact.replace("127.0.0.1", SUSPICIOUS);
                    send(message.response("200 OK", "far", &there, Some(sdp)));
                }
                "200" => send(message.response("200 OK", "far", &contact, Some(sdp))),
                "183" => send(message.response("183 Progress", "far", &contact, Some(sdp))),
                // Reliably (RFC 3262).
                "184" => send(message.response(
                    "183 Progress\r\nRequire: 100rel\r\nRSeq: 1",
                    "far",
                    &contact,
                    Some(sdp),
                )),
                "180" | "182" => send(message.response("180 Ringing", "far", &contact, None)),
                "483" => {
                    send(message.response("183 Progress", "far", &contact, Some(sdp)));
                    send(message.response("480 Off", "far", &contact, None));
                }
                status => send(message.response(&format!("{status} No"), "far", &contact, None)),
            }
            ringing = Some(message.clone());
            Seen::Invited(Box::new(message))
        } else if message.is("CANCEL") {
            send(message.response("200 OK", "far", &contact, None));
            match ringing.take() {
                Some(invite) if code(&invite) == "182" => {
                    send(invite.response("200 OK", "far", &contact, Some(sdp)));
                }
                Some(invite) => {
                    send(invite.response("487 Request Terminated", "far", &contact, None));
                }
                None => {}
            }
            Seen::Cancelled(message.get("reason").to_owned())
        } else if message.is("BYE") {
            send(message.response("200 OK", "far", &contact, None));
            Seen::Ended
        } else if message.is("NOTIFY") {
            send(message.response("200 OK", "far", &contact, None));
            Seen::Notified(message.body.trim().to_owned())
        } else if message.is("ACK") {
            Seen::Acknowledged
        } else if message.is("PRACK") {
            send(message.response("200 OK", "far", &contact, None));
            Seen::Acknowledged
        } else if message.status() >= 200 {
            Seen::Answered(message.status(), message.body)
        } else {
            continue;
        };
        if !again && seen.send(happened).is_err() {
            return;
        }
    }
}

/// Asks for a proof of every BYE, in the PBX's realm; what it is shown is told.
fn challenge(sip: &UdpSocket, seen: &Sender<Seen>) {
    const CHALLENGE: &str =
        "401 Prove it\r\nWWW-Authenticate: Digest realm=\"127.0.0.1\", nonce=\"n\", qop=\"auth\"";
    let mut bytes = [0; 65536];
    while let Some((length, from)) = received(sip, &mut bytes) {
        let message = Message::parse(&bytes[..length]).filter(|message| message.is("BYE"));
        let Some(message) = message else { continue };
        let answer = message.response(CHALLENGE, "far", "sip:far@127.0.0.5", None);
        sip.send_to(answer.as_bytes(), from).expect("sent");
        let proof = ["authorization", "proxy-authorization"].map(|name| message.get(name));
        if seen.send(Seen::Answered(401, proof.concat())).is_err() {
            return;
        }
    }
}
