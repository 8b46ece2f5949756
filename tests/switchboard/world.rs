//! A switchboard and everybody around it in virtual time: one SIP endpoint plays PBX, caller, phones and leader;
//! log and relay answer at once. Messages cross as bytes.

use chrono::DateTime;
use dutyline::duty::call::arrival::CallerRules;
use dutyline::duty::checkpoint::Checkpoint;
use dutyline::duty::dial_plan::DialPlan;
use dutyline::duty::ids::{AttemptId, CallId};
use dutyline::duty::journal::{AttemptResult, Disposition, Fact, Stretch, Urgency};
use dutyline::duty::ladder::Traced;
use dutyline::duty::line_plan::{Answering, Begins, LinePlan, Phone, SrtpPlan};
use dutyline::duty::switchboard::{AckOutcome, Errand, Input, LeaderCall, Output, Switchboard};
use dutyline::protocol::now::{Mono, Now};
use dutyline::protocol::places::Places;
use dutyline::protocol::random::Random;
use dutyline::protocol::rtp::quality::{Measured, Quality, Tally};
use dutyline::protocol::rtp::{self, Channel, Codec, Command, Counts, Party, Prompt};
use dutyline::protocol::sdp::{self, Direction, Local};
use dutyline::protocol::sip::endpoint::Endpoint;
use dutyline::protocol::sip::{Account, Event, Habits, LegId, Outgoing, Peer, Transport};
use std::collections::{BTreeMap, VecDeque};
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::time::Duration;
use uuid::Uuid;

const BOARD: Peer = peer(9);
const PBX: Peer = peer(1);

const fn peer(host: u8) -> Peer {
    let ip = IpAddr::V4(Ipv4Addr::new(192, 0, 2, host));
    Peer { transport: Transport::Udp, addr: SocketAddr::new(ip, 5060) }
}

fn account(local: Peer, pbx: Peer) -> Account {
    Account {
        local: local.addr,
        pbx,
        peers: vec![],
        habits: Habits::default(),
        domain: "pbx.example".to_owned(),
        user: "8000".to_owned(),
        display: "值班室".to_owned(),
        auth_user: "8000".to_owned(),
        password: String::new(),
        realm: None,
        expires: 0,
        session_expires: 1800,
        also_trusted: vec![],
        agent: "test".to_owned(),
    }
}

pub fn seconds(count: u64) -> Duration {
    Duration::from_secs(count)
}

pub fn ms(count: u64) -> Duration {
    Duration::from_millis(count)
}

pub fn phone(target: &str, ring: u64) -> Phone {
    Phone {
        name: format!("phone {target}"),
        target: target.to_owned(),
        ring: seconds(ring),
        begins: Begins::InTurn,
        srtp: None,
    }
}

pub struct World {
    pub board: Switchboard,
    pub pbx: Endpoint,
    pub now: Now,
    /// Every fact since the start.
    pub facts: Vec<Fact>,
    pub media: Vec<Command>,
    pub traced: Vec<Traced>,
    /// How parties were heard, as it was told.
    pub heard: Vec<(CallId, rtp::Party, Quality)>,
    /// What the peer's endpoint reported, unread.
    pub events: VecDeque<Event>,
    pub drained: bool,
    /// Whether the log commits at once.
    pub log_works: bool,
    pub relay_works: bool,
    /// Whether what the switchboard sends arrives.
    pub wire_works: bool,
    pub ack: Option<AckOutcome>,
    /// Every message, by who sent it.
    pub from_board: Vec<String>,
    pub from_pbx: Vec<String>,
    plan: LinePlan,
    open: BTreeMap<Channel, Uuid>,
    next_port: u16,
}

/// A channel that was closed, on which nothing of note was counted.
pub fn closed(channel: rtp::Channel, counts: Counts) -> rtp::Event {
    rtp::Event::Closed { channel, counts, measured: measured(0, 0) }
}

/// Packets expected and lost of them.
pub fn measured(expected: u64, lost: u64) -> Measured {
    let (received, gaps) = (expected - lost, lost);
    let tally = Tally { expected, received, lost, gaps, ..Tally::default() };
    Measured { codec: rtp::Codec::Pcma, tally, far: None }
}

impl World {
    pub fn new(phones: &[Phone], channels: u16, reserved: usize, seed: u8) -> Self {
        Self::answering(phones, channels, reserved, seed, Answering::default())
    }

    pub fn answering(
        phones: &[Phone],
        channels: u16,
        reserved: usize,
        seed: u8,
        answering: Answering,
    ) -> Self {
        Self::built(phones, channels, reserved, seed, answering, SrtpPlan::default())
    }

    pub fn with_srtp(
        phones: &[Phone],
        channels: u16,
        reserved: usize,
        seed: u8,
        srtp: SrtpPlan,
    ) -> Self {
        Self::built(phones, channels, reserved, seed, Answering::default(), srtp)
    }

    fn built(
        phones: &[Phone],
        channels: u16,
        reserved: usize,
        seed: u8,
        answering: Answering,
        srtp: SrtpPlan,
    ) -> Self {
        let now = Now {
            mono: Mono(1_000_000_000),
            wall: DateTime::from_timestamp(1_800_000_000, 0).unwrap(),
        };
        let mut random = Random::from_seed([seed; 32]);
        let plan = LinePlan {
            account: account(BOARD, PBX),
            answer_supervision: true,
            keys_in_voice: false,
            media_address: BOARD.addr.ip(),
            places: Places::default(),
            rtp_ports: (0..channels).map(|index| 20_000 + 2 * index).collect(),
            phones: phones.to_vec(),
            reserved_channels: reserved,
            entry_budget: ms(150),
            callers: CallerRules::default(),
            finish: ms(0),
            answering,
            srtp,
            dial: DialPlan {
                known: phones.iter().map(|phone| phone.target.clone()).collect(),
                allow: vec!["3xx".to_owned()],
                per_day: 3,
            },
            registrar: None,
            self_test: None,
        };
        let mut world = Self {
            board: Switchboard::new(plan.clone(), random.fork(), now),
            pbx: Endpoint::new(account(PBX, BOARD), random.fork()),
            now,
            facts: vec![],
            media: vec![],
            traced: vec![],
            heard: vec![],
            events: VecDeque::new(),
            drained: false,
            log_works: true,
            relay_works: true,
            wire_works: true,
            ack: Some(AckOutcome::First),
            from_board: vec![],
            from_pbx: vec![],
            plan,
            open: BTreeMap::new(),
            next_port: 30_000,
        };
        world.settle();
        world
    }

    /// The daemon may call itself from this number.
    pub fn may_test_itself(mut self, user: &str) -> Self {
        self.plan.self_test = Some(user.to_owned());
        let random = Random::from_seed([98; 32]);
        self.board = Switchboard::new(self.plan.clone(), random, self.now);
        self.settle();
        self
    }

    /// Voice may only be there.
    pub fn with_voice_within(mut self, places: Places) -> Self {
        self.plan.places = places;
        let random = Random::from_seed([97; 32]);
        self.board = Switchboard::new(self.plan.clone(), random, self.now);
        self.settle();
        self
    }

    /// `kill -9`, and the next run takes up what the last one had written down.
    pub fn dies_and_comes_back(&mut self) {
        let through = u64::try_from(self.facts.len()).unwrap() - 1;
        self.tell(Input::Written { through });
        let mut checkpoint = Checkpoint::default();
        checkpoint.apply(self.board.take_changes(self.now));
        self.open.clear();
        let random = Random::from_seed([99; 32]);
        self.board = Switchboard::resume(self.plan.clone(), random, checkpoint, self.now);
        self.settle();
    }

    pub fn tell(&mut self, input: Input) {
        self.board.handle(input, self.now);
        self.settle();
    }

    /// Lets everything happen that happens at this moment.
    pub fn settle(&mut self) {
        for _ in 0..10_000 {
            if let Some(output) = self.board.poll() {
                self.carry_out(output);
            } else if let Some(transmit) = self.pbx.poll_transmit() {
                self.deliver(transmit.bytes);
            } else if let Some(event) = self.pbx.poll_event() {
                self.events.push_back(event);
            } else {
                return;
            }
        }
        panic!("the world does not come to rest");
    }

    /// A message from the PBX's address.
    pub fn deliver(&mut self, bytes: Vec<u8>) {
        self.from_pbx.push(String::from_utf8_lossy(&bytes).into_owned());
        self.board.handle(Input::Message { from: PBX, bytes }, self.now);
    }

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
        let outgoing = Outgoing {
            target: "8000".to_owned(),
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

    fn carry_out(&mut self, output: Output) {
        match output {
            Output::Send(transmit) => {
                self.from_board.push(String::from_utf8_lossy(&transmit.bytes).into_owned());
                if self.wire_works {
                    self.pbx.handle_message(BOARD, &transmit.bytes, self.now);
                }
            }
            Output::Media(command) => self.relay(command),
            Output::Traced(traced) => self.traced.push(traced),
            // What there is to hear is the scenarios' matter.
            Output::Fetch { attempt, .. } => {
                self.board.handle(Input::Fetched { attempt, sound: None }, self.now);
            }
            // The scenarios' matter, too.
            Output::SlipEnded { .. } => {}
            Output::Heard { call, party, quality } => self.heard.push((call, party, quality)),
            Output::Journal(noted) => {
                let reply = match &noted.fact {
                    Fact::Arrived(arrival) if self.log_works => {
                        Some(Input::Stored { call: arrival.call })
                    }
                    Fact::Placed(placed) if self.log_works => {
                        Some(Input::Stored { call: placed.call })
                    }
                    Fact::Acknowledged { attempt, .. } => {
                        self.ack.map(|outcome| Input::AckStored { attempt: *attempt, outcome })
                    }
                    _ => None,
                };
                self.facts.push(noted.fact);
                if let Some(reply) = reply {
                    self.board.handle(reply, self.now);
                }
            }
            Output::Drained => self.drained = true,
        }
    }

    /// A relay that keeps the rules: a channel has one user at a time.
    fn relay(&mut self, command: Command) {
        match &command {
            Command::Open { channel, call, .. } => {
                let before = self.open.insert(*channel, *call);
                assert_eq!(before, None, "opened twice: {command:?}");
            }
            Command::Close { channel } => {
                assert!(self.open.remove(channel).is_some(), "not open: {command:?}");
                if self.relay_works {
                    let counts = Counts { received: 7, ..Counts::default() };
                    let closed = closed(*channel, counts);
                    self.board.handle(Input::Media(closed), self.now);
                }
            }
            Command::Finish { call } => {
                assert!(!self.open.values().any(|open| open == call), "finished while open");
            }
            Command::PassOn { channel, call, .. } => {
                assert!(self.open.insert(*channel, *call).is_some(), "not open: {command:?}");
            }
            Command::Change { channel, .. }
            | Command::Resume { channel, .. }
            | Command::Refresh { channel }
            | Command::Listen { channel, .. }
            | Command::Play { channel, .. }
            | Command::Press { channel, .. }
            | Command::Speak { channel, .. }
            | Command::Stop { channel } => {
                assert!(self.open.contains_key(channel), "not open: {command:?}");
            }
            Command::Join { a, b } => {
                assert!(self.open.contains_key(a) && self.open.contains_key(b));
            }
            Command::Confer { call, seats } => {
                for seat in seats {
                    assert!(self.open.insert(*seat, *call).is_some(), "not open: {command:?}");
                }
            }
        }
        self.media.push(command);
    }

    pub fn pass(&mut self, time: Duration) {
        let end = self.now.mono + time;
        loop {
            let due = [self.board.deadline(), self.pbx.poll_timeout()].into_iter().flatten();
            let Some((at, _)) = due.min_by_key(|(at, _)| *at).filter(|(at, _)| *at <= end) else {
                break;
            };
            self.jump(at);
            self.pbx.handle_timeout(self.now);
            self.board.handle(Input::Timeout, self.now);
            self.settle();
        }
        self.jump(end);
    }

    fn jump(&mut self, at: Mono) {
        self.now = self.now + at.since(self.now.mono);
    }

    pub fn open_channels(&self) -> usize {
        self.open.len()
    }

    pub fn sdp(&mut self, codecs: &[(Codec, u8)], direction: Direction) -> Vec<u8> {
        self.next_port += 2;
        let local = Local::plain(PBX.addr.ip(), self.next_port, 5);
        sdp::offer(&local, codecs, Some(101), direction)
    }

    pub fn dial(&mut self, number: &str) -> LegId {
        let sdp = self.sdp(&sdp::CODECS, Direction::SendRecv);
        self.dial_with(number, sdp)
    }

    pub fn dial_with(&mut self, number: &str, sdp: Vec<u8>) -> LegId {
        let outgoing = Outgoing {
            target: "8000".to_owned(),
            display: String::new(),
            from_user: Some(number.to_owned()),
            sdp,
            headers: vec![],
        };
        let leg = self.pbx.invite(outgoing, self.now);
        self.settle();
        leg
    }

    /// The newest call to this number that has come in at the peer; takes its event.
    pub fn rung(&mut self, user: &str) -> Option<(LegId, Vec<u8>)> {
        let found = self.events.iter().position(
            |event| matches!(event, Event::Incoming { invite, .. } if invite.request_user == user),
        )?;
        match self.events.remove(found) {
            Some(Event::Incoming { leg, invite }) => {
                self.pbx.ring(leg, None, self.now);
                self.settle();
                Some((leg, invite.sdp.unwrap()))
            }
            other => panic!("{other:?}"),
        }
    }

    pub fn pick_up(&mut self, leg: LegId) {
        let sdp = self.sdp(&[(Codec::Pcma, 8)], Direction::SendRecv);
        self.pbx.answer(leg, sdp, self.now);
        self.settle();
    }

    pub fn refuse(&mut self, leg: LegId, status: u16) {
        self.pbx.refuse(leg, status, None, self.now);
        self.settle();
    }

    pub fn hang_up(&mut self, leg: LegId) {
        self.pbx.bye(leg, self.now);
        self.settle();
    }

    pub fn cancel(&mut self, leg: LegId) {
        self.pbx.cancel(leg, self.now);
        self.settle();
    }

    /// Takes the events about this leg.
    pub fn heard_of(&mut self, wanted: LegId) -> Vec<Event> {
        let (mine, others): (Vec<_>, Vec<_>) =
            self.events.drain(..).partition(|event| leg_of(event) == Some(wanted));
        self.events = others.into();
        mine
    }

    pub fn refused_with(&mut self, leg: LegId) -> Option<u16> {
        self.heard_of(leg).iter().find_map(|event| match event {
            Event::Refused { status, .. } => Some(*status),
            _ => None,
        })
    }

    pub fn is_answered(&mut self, leg: LegId) -> bool {
        self.heard_of(leg).iter().any(|event| matches!(event, Event::Answered { .. }))
    }

    pub fn ended(&mut self, leg: LegId) -> bool {
        self.heard_of(leg).iter().any(|event| matches!(event, Event::Ended { .. }))
    }

    pub fn calls(&self) -> Vec<CallId> {
        let arrived = self.facts.iter().filter_map(|fact| match fact {
            Fact::Arrived(arrival) => Some(arrival.call),
            Fact::Placed(placed) => Some(placed.call),
            _ => None,
        });
        arrived.collect()
    }

    /// How the call ended, by whom, and what the caller got.
    pub fn ending(&self, wanted: CallId) -> Option<(Disposition, Option<Party>, u16)> {
        self.facts.iter().find_map(|fact| match fact {
            Fact::Ended { call, disposition, by, status, .. } if *call == wanted => {
                Some((*disposition, *by, *status))
            }
            _ => None,
        })
    }

    pub fn outcome(&self, wanted: AttemptId) -> Option<(AttemptResult, u16)> {
        self.facts.iter().find_map(|fact| match fact {
            Fact::AttemptEnded { attempt, result, status } if *attempt == wanted => {
                Some((*result, *status))
            }
            _ => None,
        })
    }

    pub fn count(&self, wanted: impl Fn(&Fact) -> bool) -> usize {
        self.facts.iter().filter(|fact| wanted(fact)).count()
    }

    /// The channel that a party of a call was given last.
    pub fn channel(&self, wanted: Party) -> Channel {
        let opened = self.media.iter().rev().find_map(|command| match command {
            Command::Open { channel, party, .. } | Command::PassOn { channel, party, .. }
                if *party == wanted =>
            {
                Some(*channel)
            }
            _ => None,
        });
        opened.expect("the party is on")
    }

    pub fn press(&mut self, party: Party, key: char) {
        let channel = self.channel(party);
        self.tell(Input::Media(rtp::Event::Digit { channel, digit: key }));
    }

    /// The prompt that the leader was told last.
    pub fn spoken(&self) -> Option<Prompt> {
        self.media.iter().rev().find_map(|command| match command {
            Command::Play { prompt, .. } => Some(*prompt),
            _ => None,
        })
    }

    /// What the caller hears comes to its end.
    pub fn caller_hears_it_out(&mut self) {
        let channel = self.channel(Party::Caller);
        let prompt = self.spoken().expect("a prompt");
        self.tell(Input::Media(rtp::Event::Played { channel, prompt }));
    }

    /// Nothing more comes from this party.
    pub fn falls_silent(&mut self, party: Party) {
        let (channel, since) = (self.channel(party), self.now.mono);
        self.tell(Input::Media(rtp::Event::Quiet { channel, since }));
    }

    pub fn is_heard_again(&mut self, party: Party) {
        let channel = self.channel(party);
        self.tell(Input::Media(rtp::Event::Heard { channel }));
    }

    /// The stretches of calls that began and ended, in order, as the log is told.
    pub fn stretches(&self) -> Vec<(bool, Stretch)> {
        let of = |fact: &Fact| match fact {
            Fact::Began { stretch, .. } => Some((true, *stretch)),
            Fact::Over { stretch, .. } => Some((false, *stretch)),
            _ => None,
        };
        self.facts.iter().filter_map(of).collect()
    }

    /// The current prompt comes to its end.
    pub fn prompt_ends(&mut self) {
        let channel = self.channel(Party::Leader);
        let prompt = self.spoken().expect("a prompt");
        self.tell(Input::Media(rtp::Event::Played { channel, prompt }));
    }

    pub fn notify(&mut self, number: u128, urgency: Urgency) -> AttemptId {
        self.notify_of(CallId(Uuid::from_u128(1)), number, urgency)
    }

    /// A leader is told of the entry of this call.
    pub fn notify_of(&mut self, call: CallId, number: u128, urgency: Urgency) -> AttemptId {
        self.orders(call, number, urgency, None)
    }

    /// A leader is told of the entry of this call too, in the call that began for another.
    pub fn joins_of(&mut self, call: CallId, number: u128, host: AttemptId) -> AttemptId {
        self.orders(call, number, Urgency::Urgent, Some(host))
    }

    fn orders(
        &mut self,
        call: CallId,
        number: u128,
        urgency: Urgency,
        joins: Option<AttemptId>,
    ) -> AttemptId {
        let attempt = AttemptId(Uuid::from_u128(number));
        let order = LeaderCall {
            person: "张局".to_owned(),
            attempt,
            entry: call.into(),
            target: format!("9{number}"),
            urgency,
            ring: seconds(35),
            errand: Errand::Tell,
            after_cut: false,
            pin: None,
            joins,
        };
        self.tell(Input::Notify(order));
        attempt
    }

    /// Nothing is left behind anywhere.
    pub fn assert_clean(&mut self) {
        self.pass(seconds(120));
        assert_eq!(self.board.calls(), 0, "calls");
        assert_eq!(self.board.channels_in_use(), 0, "channels");
        assert_eq!(self.open_channels(), 0, "open at the relay");
        assert_eq!(self.board.legs(), 0, "legs");
        assert_eq!(self.board.load(), (0, 0), "transactions, sessions");
        assert_eq!(self.pbx.load(), (0, 0), "the peer's transactions, sessions");
        for call in self.calls() {
            let ends = self.count(|fact| matches!(fact, Fact::Ended { call: c, .. } if *c == call));
            assert_eq!(ends, 1, "a call ends once");
        }
    }
}

fn leg_of(event: &Event) -> Option<LegId> {
    match event {
        Event::Incoming { leg, .. }
        | Event::Cancelled { leg, .. }
        | Event::Confirmed { leg, .. }
        | Event::Progress { leg, .. }
        | Event::Answered { leg, .. }
        | Event::Refused { leg, .. }
        | Event::Offer { leg, .. }
        | Event::OfferRefused { leg, .. }
        | Event::Answer { leg, .. }
        | Event::Info { leg, .. }
        | Event::Refer { leg, .. }
        | Event::Ended { leg, .. }
        | Event::Forged { leg, .. } => Some(*leg),
        Event::Registered { .. }
        | Event::RegistrationFailed { .. }
        | Event::Unregistered
        | Event::Moved { .. }
        | Event::TurnedAway(_)
        | Event::Intruded(_)
        | Event::SlipEnded { .. }
        | Event::Dropped { .. } => None,
    }
}

fn header(message: &str, name: &str) -> String {
    let of = |line: &str| line.strip_prefix(name)?.strip_prefix(": ").map(str::to_owned);
    message.lines().find_map(of).expect("the header")
}

fn tag(address: &str) -> &str {
    address.split(";tag=").nth(1).expect("a tag").split(';').next().unwrap()
}
