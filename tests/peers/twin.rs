//! A caller on the trunk and a far end behind the PBX, written out by hand: no SIP library of
//! ours or of others stands between the test and the wire, and every packet's moment is known.

use crate::kamailio::TRUNK;
use crate::ports::{Ports, bound};
use std::cell::Cell;
use std::net::{SocketAddr, UdpSocket};
use std::sync::mpsc::{Receiver, Sender, channel};
use std::thread;
use std::time::{Duration, Instant};

const SOON: Duration = Duration::from_secs(8);
/// Marks the ACK of a refusal.
const REFUSED: &str = "X-Refused: 1\r\n";

/// One SIP message, cut into its lines.
#[derive(Debug, Clone)]
pub struct Message {
    pub first: String,
    headers: Vec<(String, String)>,
    pub body: String,
}

impl Message {
    fn parse(bytes: &[u8]) -> Option<Self> {
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

    fn status(&self) -> u16 {
        let code = self.first.strip_prefix("SIP/2.0 ").and_then(|rest| rest.get(..3));
        code.and_then(|code| code.parse().ok()).unwrap_or(0)
    }

    fn is(&self, method: &str) -> bool {
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
    fn response(&self, status: &str, tag: &str, contact: &str, sdp: Option<&str>) -> String {
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

fn tail(contact: &str, sdp: Option<&str>) -> String {
    let kind = match sdp {
        Some(sdp) if sdp.starts_with("v=0") => "Content-Type: application/sdp\r\n",
        Some(_) => "Content-Type: application/dtmf-relay\r\n",
        None => "",
    };
    let body = sdp.unwrap_or("");
    format!("Contact: <{contact}>\r\n{kind}Content-Length: {}\r\n\r\n{body}", body.len())
}

fn offer(media: &UdpSocket) -> String {
    let port = media.local_addr().expect("an address").port();
    format!(
        "v=0\r\no=- 1 1 IN IP4 127.0.0.1\r\ns=-\r\nc=IN IP4 127.0.0.1\r\nt=0 0\r\n\
         m=audio {port} RTP/AVP 8 101\r\na=rtpmap:8 PCMA/8000\r\n\
         a=rtpmap:101 telephone-event/8000\r\na=ptime:20\r\n"
    )
}

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

fn inside(address: &str) -> &str {
    let from = address.find('<').map_or(0, |at| at + 1);
    let to = address.find('>').unwrap_or(address.len());
    &address[from..to]
}

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

/// Answers what is dialled as 9xxx: 9200 is taken at once, 9201 too, whose BYE is challenged, 9180 rings for ever, 9183 plays a tone of
/// its own meanwhile, 9184 does so reliably, any other is refused with its last three digits. Speaks with whoever called
/// last.
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
        while !self.let_go.take() {
            match self.seen.recv_timeout(SOON).expect("a CANCEL or BYE at the far end") {
                Seen::Cancelled(_) | Seen::Ended => return,
                Seen::Invited(_) | Seen::Acknowledged | Seen::Answered(..) | Seen::Notified(_) => {}
            }
        }
    }

    pub fn invited(&self) -> Message {
        loop {
            match self.seen.recv_timeout(SOON).expect("an INVITE at the far end") {
                Seen::Invited(message) => return *message,
                Seen::Acknowledged
                | Seen::Cancelled(_)
                | Seen::Answered(..)
                | Seen::Ended
                | Seen::Notified(_) => {}
            }
        }
    }
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
            let code = message.first.split(['@', ':', ';']).nth(1).unwrap_or("9500").to_string();
            match code.trim_start_matches('9') {
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
                "180" => send(message.response("180 Ringing", "far", &contact, None)),
                status => send(message.response(&format!("{status} No"), "far", &contact, None)),
            }
            ringing = Some(message.clone());
            Seen::Invited(Box::new(message))
        } else if message.is("CANCEL") {
            send(message.response("200 OK", "far", &contact, None));
            if let Some(invite) = ringing.take() {
                send(invite.response("487 Request Terminated", "far", &contact, None));
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

/// One direction of A-law voice, 20 ms a packet.
pub struct Voice {
    sequence: u16,
    timestamp: u32,
    source: u32,
}

impl Voice {
    pub fn new(seed: u32) -> Self {
        let sequence = u16::try_from(seed % 65_000).expect("below");
        Self { sequence, timestamp: seed.wrapping_mul(2_654_435_761), source: seed ^ 0x5eed }
    }

    /// The next packet with these 160 bytes of A-law.
    pub fn packet(&mut self, payload: &[u8; 160]) -> Vec<u8> {
        let mut packet = vec![0x80, 8];
        packet.extend(self.sequence.to_be_bytes());
        packet.extend(self.timestamp.to_be_bytes());
        packet.extend(self.source.to_be_bytes());
        packet.extend(payload);
        self.skip();
        packet
    }

    /// Lets a packet's time pass without one.
    pub fn skip(&mut self) {
        self.sequence = self.sequence.wrapping_add(1);
        self.timestamp = self.timestamp.wrapping_add(160);
    }
}
