//! A caller on the trunk.

use super::message::{Message, inside, tail};
use super::{SOON, offer};
use crate::kamailio::TRUNK;
use crate::ports::{Ports, bound};
use std::net::{SocketAddr, UdpSocket};
use std::time::{Duration, Instant};

/// Marks the ACK of a refusal.
const REFUSED: &str = "X-Refused: 1\r\n";

/// Somebody in the town who dials the duty number.
pub struct TrunkCaller {
    sip: UdpSocket,
    pub media: UdpSocket,
    pbx: SocketAddr,
    name: String,
    /// The URI of its From.
    pub from: String,
    answer: Option<Message>,
}

impl TrunkCaller {
    pub fn new(ports: &Ports, number: &str) -> Self {
        let sip = bound((TRUNK, ports.own(0)));
        sip.set_read_timeout(Some(Duration::from_millis(200))).expect("a timeout");
        let media = UdpSocket::bind("127.0.0.1:0").expect("a port");
        let pbx = SocketAddr::from(([127, 0, 0, 1], ports.pbx()));
        let from = format!("sip:{number}@{TRUNK}");
        Self { sip, media, pbx, name: number.into(), from, answer: None }
    }

    /// Through this proxy, not straight through the PBX.
    pub fn by(self, proxy: SocketAddr) -> Self {
        Self { pbx: proxy, ..self }
    }

    /// The exchange itself, with nothing between it and the line.
    pub fn straight(ports: &Ports, number: &str) -> Self {
        let sip = bound(("127.0.0.1", ports.own(0)));
        let caller = Self::new(ports, number);
        let line = SocketAddr::from(([127, 0, 0, 1], ports.line()));
        sip.set_read_timeout(Some(Duration::from_millis(200))).expect("a timeout");
        Self { sip, pbx: line, ..caller }
    }

    /// As [`TrunkCaller::new`], one of many at once who share their voice's socket.
    pub fn beside(ports: &Ports, number: &str, media: &UdpSocket) -> Self {
        let sip = UdpSocket::bind((TRUNK, 0)).expect("a port");
        sip.set_read_timeout(Some(Duration::from_millis(200))).expect("a timeout");
        let media = media.try_clone().expect("a second handle");
        let pbx = SocketAddr::from(([127, 0, 0, 1], ports.pbx()));
        let from = format!("sip:{number}@{TRUNK}");
        Self { sip, media, pbx, name: number.into(), from, answer: None }
    }

    fn request(&self, method: &str, uri: &str, cseq: u32, extra: &str, sdp: Option<&str>) {
        let local = self.sip.local_addr().expect("an address");
        let to = self.answer.as_ref().map_or("<sip:1001@127.0.0.1>", |answer| answer.get("to"));
        // A CANCEL is of the transaction that it ends (RFC 3261 §9.1), the ACK of a refusal too (§17.1.1.3).
        let refused = method == "ACK" && extra.starts_with(REFUSED);
        let of = if method == "CANCEL" || refused { "INVITE" } else { method };
        let branch = format!("z9hG4bK-{}-{of}-{cseq}", self.name);
        let text = format!(
            "{method} {uri} SIP/2.0\r\nVia: SIP/2.0/UDP {local};branch={branch};rport\r\n\
             Max-Forwards: 70\r\n{extra}From: <{from}>;tag=t{name}\r\nTo: {to}\r\n\
             Call-ID: {name}@town\r\nCSeq: {cseq} {method}\r\n{tail}",
            name = self.name,
            from = self.from,
            tail = tail(&format!("sip:{}@{local}", self.name), sdp)
        );
        self.sip.send_to(text.as_bytes(), self.pbx).expect("sent");
    }

    /// Dials, and waits until the other end may be heard before it answers.
    pub fn hears_early(&mut self, number: &str) -> SocketAddr {
        self.dial(number, "");
        self.wait(|message| message.status() == 183 && !message.body.is_empty()).media()
    }

    /// Gives up before the answer; the status that the call gets.
    pub fn gives_up(&mut self, number: &str) -> u16 {
        self.gives_up_with(number, "")
    }

    /// Another phone of the town has taken the call (RFC 3326).
    pub fn gives_up_with(&mut self, number: &str, headers: &str) -> u16 {
        let uri = format!("sip:{number}@{}", self.pbx);
        self.request("CANCEL", &uri, 1, headers, None);
        let of_invite = |message: &Message| message.get("cseq").ends_with("INVITE");
        self.wait(|message| message.status() >= 300 && of_invite(message)).status()
    }

    /// Dials, and waits until the other end rings.
    pub fn hears_it_ring(&mut self, number: &str) {
        self.dial(number, "");
        self.wait(|message| message.status() == 180);
    }

    /// Waits until the other end hangs up.
    pub fn is_hung_up(&self) {
        let bye = self.wait(|message| message.is("BYE"));
        let contact = format!("sip:{}@{TRUNK}", self.name);
        let answer = bye.response("200 OK", "", &contact, None);
        self.sip.send_to(answer.as_bytes(), self.pbx).expect("sent");
    }

    /// Leaves the offer to the other end and answers it in its ACK; where its voice goes then.
    pub fn answers_in_its_ack(&mut self, number: &str) -> SocketAddr {
        let uri = format!("sip:{number}@{}", self.pbx);
        self.request("INVITE", &uri, 1, "", None);
        let answer = self.wait(|message| message.status() >= 200);
        assert_eq!(answer.status(), 200);
        let media = answer.media();
        self.answer = Some(answer);
        let (contact, route) = self.dialog();
        self.request("ACK", &contact, 1, &route, Some(&offer(&self.media)));
        media
    }

    /// A request within the dialog that only the ringing has made; the status that it gets, and what
    /// its call gets where it is the end of that.
    pub fn asks_while_it_rings(&mut self, method: &str, body: Option<&str>) -> (u16, Option<u16>) {
        let ringing = self.wait(|message| message.status() == 180);
        self.answer = Some(ringing);
        let (contact, route) = self.dialog();
        self.request(method, &contact, 2, &route, body);
        let (mut own, mut call) = (None, None);
        while own.is_none() || (method == "BYE" && call.is_none()) {
            let answer = self.wait(|message| message.status() >= 200);
            let of_call = answer.get("cseq").ends_with("INVITE");
            *(if of_call { &mut call } else { &mut own }) = Some(answer.status());
        }
        if call.is_some() {
            let uri = format!("sip:1001@{}", self.pbx);
            self.request("ACK", &uri, 1, REFUSED, None);
        }
        self.answer = None;
        (own.expect("an answer"), call)
    }

    /// Hands its call on to this number, in its n-th request within the session; the status that it gets.
    pub fn refers(&self, number: &str, n: u32) -> u16 {
        let (contact, route) = self.dialog();
        let headers = format!("{route}Refer-To: <sip:{number}@127.0.0.1>\r\n");
        self.request("REFER", &contact, n + 1, &headers, None);
        let answer = |message: &Message| message.get("cseq") == format!("{} REFER", n + 1);
        self.wait(|message| message.status() >= 200 && answer(message)).status()
    }

    /// A header of the answer to its call.
    pub fn told(&self, header: &str) -> &str {
        self.answer.as_ref().expect("answered").get(header)
    }

    /// As one who has not heard that it was answered.
    pub fn cancels_after_the_answer(&self, number: &str) -> u16 {
        let uri = format!("sip:{number}@{}", self.pbx);
        self.request("CANCEL", &uri, 1, "", None);
        self.wait(|message| message.status() >= 200 && message.get("cseq").ends_with("CANCEL"))
            .status()
    }

    /// Waits for the answer to the call that it dialled before, and acknowledges it.
    pub fn is_answered(&mut self) -> u16 {
        self.final_answer()
    }

    pub fn dials(&self, number: &str) {
        self.dial(number, "");
    }

    /// Proxies that want to stay on the way, as the answer has them.
    pub fn proxies(&self) -> usize {
        self.answer.as_ref().map_or(0, |answer| answer.all("record-route").count())
    }

    /// So many dial at once from here, and wait for nothing.
    pub fn dials_at_once(&mut self, number: &str, calls: usize) {
        let own = self.name.clone();
        for call in 0..calls {
            self.name = format!("{own}{call:04}");
            self.from = format!("sip:{}@{TRUNK}", self.name);
            self.dial(number, "");
        }
        self.name = own;
    }

    fn dial(&self, number: &str, headers: &str) {
        let uri = format!("sip:{number}@{}", self.pbx);
        self.request("INVITE", &uri, 1, headers, Some(&offer(&self.media)));
    }

    /// Dials and waits for the final answer; its status.
    pub fn call(&mut self, number: &str) -> u16 {
        self.call_with(number, "")
    }

    /// What it offers by itself.
    pub fn offer(&self) -> String {
        offer(&self.media)
    }

    /// The session description that its call was answered with.
    pub fn answered_with(&self) -> &str {
        &self.answer.as_ref().expect("answered").body
    }

    /// As [`TrunkCaller::call`], with further header lines.
    pub fn call_with(&mut self, number: &str, headers: &str) -> u16 {
        self.dial(number, headers);
        self.final_answer()
    }

    /// As [`TrunkCaller::call`], with an offer of its own.
    pub fn call_offering(&mut self, number: &str, sdp: &str) -> u16 {
        let uri = format!("sip:{number}@{}", self.pbx);
        self.request("INVITE", &uri, 1, "", Some(sdp));
        self.final_answer()
    }

    fn final_answer(&mut self) -> u16 {
        let answer = self.wait(|message| message.status() >= 200);
        let status = answer.status();
        self.answer = Some(answer);
        if status == 200 {
            let (contact, route) = self.dialog();
            self.request("ACK", &contact, 1, &route, None);
        }
        status
    }

    /// Wants the session changed to this; the status that it gets.
    pub fn reinvite(&self, sdp: &str) -> u16 {
        self.changes_to(sdp, 1).0
    }

    /// As [`TrunkCaller::reinvite`], in its n-th request within the session; the answer too.
    pub fn changes_to(&self, sdp: &str, n: u32) -> (u16, String) {
        let (contact, route) = self.dialog();
        self.request("INVITE", &contact, n + 1, &route, Some(sdp));
        let of_this = format!("{} INVITE", n + 1);
        let is_final = |message: &Message| message.status() >= 200;
        let answer = self.wait(|message| is_final(message) && message.get("cseq") == of_this);
        let mark = if answer.status() < 300 { "" } else { REFUSED };
        self.request("ACK", &contact, n + 1, &format!("{mark}{route}"), None);
        (answer.status(), answer.body)
    }

    /// Leaves the offer of a change to the other end, in its n-th request within the session, and answers in its ACK.
    pub fn leaves_the_offer(&self, n: u32) -> u16 {
        let (contact, route) = self.dialog();
        self.request("INVITE", &contact, n + 1, &route, None);
        let of_this = format!("{} INVITE", n + 1);
        let is_final = |message: &Message| message.status() >= 200;
        let answer = self.wait(|message| is_final(message) && message.get("cseq") == of_this);
        let own = (answer.status() == 200).then(|| self.offer());
        let mark = if own.is_some() { "" } else { REFUSED };
        self.request("ACK", &contact, n + 1, &format!("{mark}{route}"), own.as_deref());
        answer.status()
    }

    /// A session refresh (RFC 4028) that describes nothing; its n-th request within the session.
    pub fn refreshes(&self, n: u32) -> u16 {
        let (contact, route) = self.dialog();
        self.request("UPDATE", &contact, n + 1, &route, None);
        let of_this = format!("{} UPDATE", n + 1);
        self.wait(|message| message.status() >= 200 && message.get("cseq") == of_this).status()
    }

    /// Dials, wants whatever is provisional said until it is acknowledged, and acknowledges the 180 after so many copies.
    pub fn acknowledges_the_ringing(&mut self, number: &str, copies: usize) {
        self.dial(number, "Require: 100rel\r\n");
        let rings = |message: &Message| message.status() == 180;
        let all: Vec<_> = (0..copies).map(|_| self.wait(rings)).collect();
        let numbers: Vec<_> = all.iter().map(|ringing| ringing.get("rseq")).collect();
        assert!(numbers.iter().all(|rseq| *rseq == numbers[0] && !rseq.is_empty()), "{numbers:?}");
        let acknowledged = format!("RAck: {} 1 INVITE\r\n", numbers[0]);
        self.answer = all.into_iter().next();
        let (contact, route) = self.dialog();
        self.request("PRACK", &contact, 2, &format!("{route}{acknowledged}"), None);
        self.wait(|message| message.status() == 200 && message.get("cseq") == "2 PRACK");
        self.answer = None;
    }

    /// Presses a key by INFO; the n-th request within the session.
    pub fn presses(&self, key: char, n: u32) {
        let (contact, route) = self.dialog();
        let body = format!("Signal={key}\r\nDuration=160\r\n");
        self.request("INFO", &contact, n + 1, &route, Some(&body));
        self.wait(|message| message.status() == 200 && message.get("cseq").ends_with("INFO"));
    }

    pub fn hang_up(&self) {
        self.hang_up_after(1);
    }

    /// After so many requests of its own within the session.
    pub fn hang_up_after(&self, requests: u32) {
        let (contact, route) = self.dialog();
        self.request("BYE", &contact, requests + 1, &route, None);
        self.wait(|message| message.status() == 200 && message.get("cseq").ends_with("BYE"));
    }

    pub fn remote_media(&self) -> SocketAddr {
        self.answer.as_ref().expect("answered").media()
    }

    fn dialog(&self) -> (String, String) {
        let answer = self.answer.as_ref().expect("answered");
        let contact = inside(answer.get("contact")).to_string();
        let mut routes: Vec<_> = answer.all("record-route").collect();
        routes.reverse();
        (contact, routes.iter().map(|route| format!("Route: {route}\r\n")).collect())
    }

    fn wait(&self, wanted: impl Fn(&Message) -> bool) -> Message {
        let start = Instant::now();
        let mut bytes = [0; 65536];
        loop {
            assert!(start.elapsed() < SOON, "the caller waited in vain");
            let Ok(length) = self.sip.recv(&mut bytes) else { continue };
            let Some(message) = Message::parse(&bytes[..length]) else { continue };
            if wanted(&message) {
                return message;
            }
        }
    }
}
