//! Two endpoints on an in-memory wire in virtual time, one of them playing the PBX's part.

mod answers;
mod calls;
mod crossing;
mod digest;
mod faults;
mod forking;
mod former;
mod hostile;
mod line;
mod numbers;
mod offers;
mod orphans;
mod phones;
mod provisional;
mod referring;
mod refreshes;
mod sections;
mod slips;
mod targets;
mod torture;
mod trials;

use super::legs::State;
use super::*;
use crate::protocol::now::Mono;
use crate::protocol::sip::{AorId, Habits, Transport};
use chrono::DateTime;
use std::net::SocketAddr;
use std::time::Duration;

pub const LINE: &str = "192.0.2.10:5060";
pub const PBX: &str = "192.0.2.1:5060";
pub const SDP: &[u8] = b"v=0\r\no=- 1 1 IN IP4 192.0.2.1\r\ns=-\r\nt=0 0\r\n";

pub fn addr(text: &str) -> SocketAddr {
    text.parse().unwrap()
}

pub fn udp(text: &str) -> Peer {
    Peer { transport: Transport::Udp, addr: addr(text) }
}

pub fn tcp(text: &str) -> Peer {
    Peer { transport: Transport::Tcp, addr: addr(text) }
}

pub fn account(local: &str, pbx: Peer) -> Account {
    Account {
        local: addr(local),
        pbx,
        peers: vec![],
        habits: Habits::default(),
        domain: "duty.example".into(),
        user: "101".into(),
        display: String::new(),
        auth_user: "101".into(),
        password: "secret".into(),
        realm: None,
        expires: 60,
        others: vec![],
        session_expires: 1800,
        also_trusted: vec![],
        agent: "dutyline".into(),
    }
}

pub fn start() -> Now {
    Now { mono: Mono(1), wall: DateTime::from_timestamp(1_700_000_000, 0).unwrap() }
}

pub fn endpoint(account: Account) -> Endpoint {
    Endpoint::new(account, Random::from_seed([7; 32]))
}

pub fn call() -> Outgoing {
    Outgoing {
        target: "200".into(),
        aor: AorId::default(),
        display: "值班室".into(),
        from_user: None,
        sdp: SDP.into(),
        headers: vec![("Priority".into(), "emergency".into())],
    }
}

/// What the wire does to a datagram.
#[derive(Debug, Clone, Copy, Default)]
pub struct Weather {
    /// Per thousand.
    pub lost: u64,
    pub doubled: u64,
    /// Longest delay; more than the shortest distance between two messages reorders them.
    pub delay: Duration,
}

/// The line under test and the other end.
pub struct World {
    pub line: Endpoint,
    pub pbx: Endpoint,
    pub now: Now,
    pub weather: Weather,
    dice: Random,
    transport: Transport,
    flying: BTreeMap<(Mono, u64), (bool, Vec<u8>)>,
    sent: u64,
    /// Every message, for tests that look at bytes: whether it came from the line.
    pub seen: Vec<(bool, String)>,
}

impl World {
    pub fn new(seed: u8, weather: Weather) -> Self {
        Self::over(Transport::Udp, seed, weather)
    }

    pub fn over(transport: Transport, seed: u8, weather: Weather) -> Self {
        let at = |text| Peer { transport, addr: addr(text) };
        let mut random = Random::from_seed([seed; 32]);
        Self {
            line: Endpoint::new(account(LINE, at(PBX)), random.fork()),
            pbx: Endpoint::new(account(PBX, at(LINE)), random.fork()),
            now: start(),
            weather,
            dice: random,
            transport,
            flying: BTreeMap::new(),
            sent: 0,
            seen: vec![],
        }
    }

    pub fn calm() -> Self {
        Self::new(1, Weather::default())
    }

    /// Carries messages and lets time pass until `wait` is over; all events on the way.
    pub fn pass(&mut self, wait: Duration) -> (Vec<Event>, Vec<Event>) {
        let end = self.now + wait;
        let mut events = (vec![], vec![]);
        loop {
            self.drain(&mut events);
            let arrival = self.flying.keys().next().map(|key| key.0);
            let due = earlier(self.line.poll_timeout(), self.pbx.poll_timeout());
            let next = [arrival, due.map(|(at, _)| at)].into_iter().flatten().min();
            let Some(next) = next.filter(|next| *next <= end.mono) else { break };
            self.now = self.now + next.since(self.now.mono);
            if arrival == Some(next) {
                let (_, (from_line, bytes)) = self.flying.pop_first().unwrap();
                let from = if from_line { LINE } else { PBX };
                let from = Peer { transport: self.transport, addr: addr(from) };
                let to = if from_line { &mut self.pbx } else { &mut self.line };
                to.handle_message(from, &bytes, self.now);
            } else {
                self.line.handle_timeout(self.now);
                self.pbx.handle_timeout(self.now);
            }
        }
        self.now = end;
        events
    }

    /// Time for everything that is on its way to arrive and be answered.
    pub fn settle(&mut self) -> (Vec<Event>, Vec<Event>) {
        self.pass(Duration::from_millis(100))
    }

    fn drain(&mut self, events: &mut (Vec<Event>, Vec<Event>)) {
        for from_line in [true, false] {
            let end = if from_line { &mut self.line } else { &mut self.pbx };
            let list = if from_line { &mut events.0 } else { &mut events.1 };
            list.extend(std::iter::from_fn(|| end.poll_event()));
            let out: Vec<_> = std::iter::from_fn(|| end.poll_transmit()).collect();
            for transmit in out {
                let text = String::from_utf8_lossy(&transmit.bytes).into_owned();
                self.seen.push((from_line, text));
                let copies = u64::from(self.dice.below(1000) >= self.weather.lost)
                    + u64::from(self.dice.below(1000) < self.weather.doubled);
                for _ in 0..copies {
                    let delay = self.dice.between(
                        Duration::from_millis(1),
                        self.weather.delay.max(Duration::from_millis(1)),
                    );
                    self.sent += 1;
                    let key = (self.now.mono + delay, self.sent);
                    self.flying.insert(key, (from_line, transmit.bytes.clone()));
                }
            }
        }
    }

    pub fn is_clean(&self) -> bool {
        self.line.load() == (0, 0) && self.pbx.load() == (0, 0)
    }

    /// First lines of what was sent since the last look, the line's marked with `>`.
    pub fn talk(&mut self) -> Vec<String> {
        let first = |(from_line, text): (bool, String)| {
            let line = text.lines().next().unwrap_or_default();
            let word = line.strip_prefix("SIP/2.0 ").unwrap_or(line);
            let word = word.split(' ').next().unwrap_or_default();
            format!("{}{word}", if from_line { "> " } else { "< " })
        };
        self.seen.drain(..).map(first).collect()
    }
}

/// The leg an event is about.
pub fn incoming(events: &[Event]) -> LegId {
    match events {
        [Event::Incoming { leg, .. }] => *leg,
        other => panic!("not one call: {other:?}"),
    }
}

/// A call from the PBX to the line, talking.
pub fn established() -> (World, LegId, LegId) {
    let mut world = World::calm();
    let theirs = world.pbx.invite(call(), world.now);
    let ours = incoming(&world.settle().0);
    world.line.answer(ours, SDP.into(), world.now);
    let (line, _) = world.settle();
    assert_eq!(line, [Event::Confirmed { leg: ours }]);
    world.talk();
    (world, ours, theirs)
}

/// A hand-written message from the PBX with the line's answers' first words and events.
pub fn ask(line: &mut Endpoint, text: &str) -> (Vec<String>, Vec<Event>) {
    ask_from(line, udp(PBX), text.as_bytes())
}

pub fn ask_from(line: &mut Endpoint, from: Peer, bytes: &[u8]) -> (Vec<String>, Vec<Event>) {
    line.handle_message(from, bytes, start());
    let out = std::iter::from_fn(|| line.poll_transmit());
    let out = out.map(|transmit| String::from_utf8_lossy(&transmit.bytes).into_owned()).collect();
    (out, std::iter::from_fn(|| line.poll_event()).collect())
}

/// A request from the PBX; `more` are header lines.
pub fn request(method: &str, more: &str) -> String {
    format!(
        "{method} sip:101@192.0.2.10 SIP/2.0\r\nVia: SIP/2.0/UDP {PBX};branch=z9hG4bK{method}1\r\n\
         Max-Forwards: 70\r\nFrom: <sip:13800000000@duty.example>;tag=theirs\r\n\
         To: <sip:101@duty.example>\r\nCall-ID: call-1\r\nCSeq: 1 {method}\r\n{more}\r\n"
    )
}

pub fn status(text: &str) -> u16 {
    text.strip_prefix("SIP/2.0 ").and_then(|rest| rest[..3].parse().ok()).unwrap_or(0)
}
