//! A switchboard and everybody around it in virtual time: one SIP endpoint plays PBX, caller, phones and leader;
//! log and relay answer at once. Messages cross as bytes.

mod dialogs;
mod journal;
mod leader;
mod outputs;
mod own_phone;
mod phones;
mod voice;

use chrono::DateTime;
use dutyline::duty::call::arrival::CallerRules;
use dutyline::duty::checkpoint::Checkpoint;
use dutyline::duty::dial_plan::DialPlan;
use dutyline::duty::ids::CallId;
use dutyline::duty::journal::Fact;
use dutyline::duty::ladder::Traced;
use dutyline::duty::line_plan::{Answering, Begins, LinePlan, Phone, SrtpPlan};
use dutyline::duty::switchboard::{AckOutcome, Input, Switchboard};
use dutyline::protocol::now::{Mono, Now};
use dutyline::protocol::places::Places;
use dutyline::protocol::random::Random;
use dutyline::protocol::rtp::quality::{Measured, Quality, Tally};
use dutyline::protocol::rtp::{self, Channel, Command, Counts};
use dutyline::protocol::sip::endpoint::Endpoint;
use dutyline::protocol::sip::{Account, Event, Habits, Peer, Transport};
use own_phone::OwnPhone;
use std::collections::{BTreeMap, VecDeque};
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::time::Duration;
use uuid::Uuid;

const BOARD: Peer = peer(9);
pub const PBX: Peer = peer(1);
pub const STANDBY: Peer = peer(2);

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
        others: vec![],
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
    /// Addresses of the PBX that take no call: what they answer to an INVITE, if anything.
    pub closed: Vec<(Peer, Option<u16>)>,
    pub ack: Option<AckOutcome>,
    /// Every message, by who sent it.
    pub from_board: Vec<String>,
    pub from_pbx: Vec<String>,
    own: Option<OwnPhone>,
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
            rings: None,
            numbers: vec![],
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
            closed: vec![],
            ack: Some(AckOutcome::First),
            from_board: vec![],
            from_pbx: vec![],
            own: None,
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

    /// The PBX has a second address.
    pub fn with_standby(mut self) -> Self {
        self.plan.account.peers = vec![PBX, STANDBY];
        let random = Random::from_seed([96; 32]);
        self.board = Switchboard::new(self.plan.clone(), random, self.now);
        self.settle();
        self
    }

    /// The PBX has a name that meant another address when the daemon began.
    pub fn at_a_pbx_that_has_moved(mut self) -> Self {
        self.plan.account.pbx = STANDBY;
        let random = Random::from_seed([95; 32]);
        self.board = Switchboard::new(self.plan.clone(), random, self.now);
        self.tell(Input::Peers(vec![PBX]));
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
            } else if self.own_phone_speaks() {
                // It may have more to say.
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
