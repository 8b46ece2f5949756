//! Requests inside dialogs, and INVITEs that name one: what the switchboard is sent as bytes, and what it answers.

use super::{BOARD, PBX, World};
use dutyline::protocol::rtp::Codec;
use dutyline::protocol::sdp::Direction;
use dutyline::protocol::sip::{AorId, LegId, Outgoing};

impl World {
    /// As [`World::in_dialog`], inside the dialog of the first phone that the switchboard dialled.
    pub fn in_officers_dialog(&mut self, method: &str, step: u32, kind: &str, body: &[u8]) {
        let ack = self.from_board.iter().find(|message| message.starts_with("ACK "));
        let ack = ack.cloned().expect("an ACK");
        self.inside(&ack, true, (method, step), kind, body);
    }

    /// The first phone that the switchboard dialled asks for this; `lines` are more headers.
    pub fn officer_refers(&mut self, number: u32, to: &str, lines: &str) {
        let lines = format!("Refer-To: {to}\r\n{lines}");
        let ack = self.from_board.iter().find(|message| message.starts_with("ACK "));
        let ack = ack.cloned().expect("an ACK");
        self.inside_with(&ack, true, ("REFER", number), &lines);
    }

    /// What the second phone that was dialled calls its session with us, as a Refer-To has it.
    pub fn names_second_officer(&self) -> String {
        self.names_phone(0)
    }

    /// As above, of the phone after which so many others were dialled.
    pub fn names_phone(&self, from_last: usize) -> String {
        let mut acks = self.from_board.iter().rev().filter(|sent| sent.starts_with("ACK "));
        let ack = acks.nth(from_last).expect("an ACK");
        let (ours, theirs) = (header(ack, "From"), header(ack, "To"));
        let (call_id, ours, theirs) = (header(ack, "Call-ID"), tag(&ours), tag(&theirs));
        format!("Replaces={call_id}%3Bto-tag%3D{ours}%3Bfrom-tag%3D{theirs}")
    }

    /// The caller does.
    pub fn caller_refers(&mut self, to: &str) {
        let ack = self.from_pbx.iter().find(|message| message.starts_with("ACK "));
        let ack = ack.cloned().expect("an ACK");
        let number: u32 = header(&ack, "CSeq").split(' ').next().unwrap().parse().unwrap();
        let lines = format!("Refer-To: {to}\r\n");
        self.inside_with(&ack, false, ("REFER", number + 1), &lines);
    }

    fn inside_with(&mut self, ack: &str, turned: bool, (method, number): (&str, u32), lines: &str) {
        let (from, to) = (header(ack, "From"), header(ack, "To"));
        let (from, to) = if turned { (to, from) } else { (from, to) };
        let (branch, call_id) = (self.from_pbx.len(), header(ack, "Call-ID"));
        let request = format!(
            "{method} sip:8000@{board} SIP/2.0\r\nVia: SIP/2.0/UDP {pbx};branch=z9hG4bKin{branch}\r\n\
             Max-Forwards: 70\r\nFrom: {from}\r\nTo: {to}\r\nCall-ID: {call_id}\r\n\
             CSeq: {number} {method}\r\nContact: <sip:pbx@{pbx}>\r\n{lines}Content-Length: 0\r\n\r\n",
            board = BOARD.addr,
            pbx = PBX.addr,
        );
        self.deliver(request.into_bytes());
        self.settle();
    }

    /// What an INVITE must say to take the place of the first phone that was dialled.
    pub fn replaces_officer(&self) -> String {
        let sent = |what: &str| self.from_board.iter().find(|sent| sent.starts_with(what));
        let invite = sent("INVITE ").expect("a phone was dialled");
        let call_id = header(invite, "Call-ID");
        let rung = self
            .from_pbx
            .iter()
            .find(|sent| sent.starts_with("SIP/2.0 180") && header(sent, "Call-ID") == call_id);
        let to = header(rung.expect("it rang"), "To");
        let theirs = tag(&to);
        format!("{call_id};to-tag={};from-tag={theirs}", tag(&header(invite, "From")))
    }

    /// A phone of the PBX wants the place of another.
    pub fn picks_up(&mut self, user: &str, replaces: &str) -> LegId {
        let sdp = self.sdp(&[(Codec::Pcma, 8)], Direction::SendRecv);
        self.picks_up_with(user, replaces, sdp)
    }

    pub fn picks_up_with(&mut self, user: &str, replaces: &str, sdp: Vec<u8>) -> LegId {
        let outgoing = Outgoing {
            target: "8000".to_owned(),
            aor: AorId::default(),
            display: String::new(),
            from_user: Some(user.to_owned()),
            sdp,
            headers: vec![
                ("Replaces".to_owned(), replaces.to_owned()),
                ("Require".to_owned(), "replaces".to_owned()),
            ],
        };
        let leg = self.pbx.invite(outgoing, self.now);
        self.settle();
        leg
    }

    /// The status lines in the NOTIFYs that the switchboard sent.
    pub fn notified(&self) -> Vec<u16> {
        let sent = self.from_board.iter().filter(|sent| sent.starts_with("NOTIFY "));
        sent.map(|sent| {
            let line = sent.lines().find_map(|line| line.strip_prefix("SIP/2.0 ")).expect("a line");
            line[..3].parse().unwrap()
        })
        .collect()
    }

    /// The switchboard's last answer to a request of this method.
    pub fn answered(&self, method: &str) -> u16 {
        let end = format!(" {method}");
        let last = self
            .from_board
            .iter()
            .rev()
            .find(|sent| sent.starts_with("SIP/2.0 ") && header(sent, "CSeq").ends_with(&end));
        last.expect("an answer")[8..11].parse().unwrap()
    }

    /// A request by the peer inside the dialog of the newest ACK, with a CSeq so much higher.
    pub fn in_dialog(&mut self, method: &str, step: u32, kind: &str, body: &[u8]) {
        let newest = |sent: &[String]| {
            sent.iter().rev().find(|message| message.starts_with("ACK ")).cloned()
        };
        // The peer dialled (its own ACK), or was dialled (the switchboard's, seen from the other side).
        let (ack, turned) = match newest(&self.from_pbx) {
            Some(ack) => (ack, false),
            None => (newest(&self.from_board).expect("an ACK"), true),
        };
        self.inside(&ack, turned, (method, step), kind, body);
    }

    fn inside(
        &mut self,
        ack: &str,
        turned: bool,
        (method, step): (&str, u32),
        kind: &str,
        body: &[u8],
    ) {
        let mut request = format!("{method} sip:8000@{} SIP/2.0\r\n", BOARD.addr);
        let branch = self.from_pbx.len();
        request.push_str(&format!("Via: SIP/2.0/UDP {};branch=z9hG4bKtest{branch}\r\n", PBX.addr));
        for line in ack.lines().skip(1) {
            let Some((name, value)) = line.split_once(':') else { break };
            match name {
                "CSeq" => {
                    let number: u32 = value.trim().split(' ').next().unwrap().parse().unwrap();
                    request.push_str(&format!("CSeq: {} {method}\r\n", number + step));
                }
                "From" if turned => request.push_str(&format!("To:{value}\r\n")),
                "To" if turned => request.push_str(&format!("From:{value}\r\n")),
                "From" | "To" | "Call-ID" | "Max-Forwards" => {
                    request.push_str(&format!("{line}\r\n"));
                }
                _ => {}
            }
        }
        request.push_str(&format!("Contact: <sip:pbx@{}>\r\n", PBX.addr));
        if !body.is_empty() {
            request.push_str(&format!("Content-Type: {kind}\r\n"));
        }
        request.push_str(&format!("Content-Length: {}\r\n\r\n", body.len()));
        self.deliver([request.as_bytes(), body].concat());
        self.settle();
    }
}

fn header(message: &str, name: &str) -> String {
    let of = |line: &str| line.strip_prefix(name)?.strip_prefix(": ").map(str::to_owned);
    message.lines().find_map(of).expect("the header")
}

fn tag(address: &str) -> &str {
    address.split(";tag=").nth(1).expect("a tag").split(';').next().unwrap()
}
