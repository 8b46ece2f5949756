//! Callers who come so many a second, whose calls are answered at once and hung up soon after: registrar, callers and
//! the officer's phone are one user agent on one socket. No voice. A leader's telephone rings, and nobody answers it.

use crate::town::{account, granted};
use dutyline::io::clock;
use dutyline::protocol::sdp::{self, Direction, Local};
use dutyline::protocol::sip::admission::Pace;
use dutyline::protocol::sip::endpoint::Endpoint;
use dutyline::protocol::sip::{AorId, Event, Habits, LegId, Outgoing, Peer, Transport};
use std::collections::{BTreeMap, VecDeque};
use std::net::{SocketAddr, UdpSocket};
use std::time::{Duration, Instant};

/// From the answer to the caller's BYE.
pub const HOLD: Duration = Duration::from_millis(200);
const TICK: Duration = Duration::from_millis(1);
/// After the last caller.
const PATIENCE: Duration = Duration::from_secs(10);

pub struct Crowd {
    socket: UdpSocket,
    ua: Endpoint,
    registered: bool,
    callers: BTreeMap<LegId, usize>,
    dialled: Vec<Instant>,
    hangs_up: VecDeque<(Instant, LegId)>,
    /// From the INVITE to the officer's INVITE, and to the 200.
    pub rung: Vec<Duration>,
    pub answered: Vec<Duration>,
    /// When somebody was called who is no officer.
    pub others: Vec<Instant>,
    /// BYEs that were answered.
    pub over: usize,
    /// Calls that did not come about, by status.
    pub refused: BTreeMap<u16, usize>,
}

impl Crowd {
    pub fn new(socket: UdpSocket, daemon: SocketAddr) -> Self {
        socket.set_read_timeout(Some(TICK)).expect("not zero");
        let habits = Habits { pace: Pace::of(2_000), ..Habits::default() };
        let account = account(&socket, daemon, habits);
        Self {
            socket,
            ua: Endpoint::new(account, clock::random()),
            registered: false,
            callers: BTreeMap::new(),
            dialled: vec![],
            hangs_up: VecDeque::new(),
            rung: vec![],
            answered: vec![],
            others: vec![],
            over: 0,
            refused: BTreeMap::new(),
        }
    }

    pub fn wait_for_registration(&mut self) {
        let begin = Instant::now();
        while !self.registered {
            assert!(begin.elapsed() < PATIENCE, "the line does not register");
            self.serve();
        }
    }

    /// So many callers a second; ends when all of them are done with.
    pub fn comes(&mut self, per_second: u32, seconds: u64) {
        let (begin, calls) = (Instant::now(), per_second as usize * seconds as usize);
        let due = |n: usize| begin + Duration::from_secs(1) / per_second * n as u32;
        while self.dialled.len() < calls {
            while self.dialled.len() < calls && due(self.dialled.len()) <= Instant::now() {
                self.dial();
            }
            self.serve();
        }
        let last = Instant::now();
        while self.over + self.refused.values().sum::<usize>() < calls {
            if last.elapsed() > PATIENCE {
                return println!("some calls never came to their end");
            }
            self.serve();
        }
    }

    /// Serves what comes for so long.
    pub fn pass(&mut self, time: Duration) {
        let begin = Instant::now();
        while begin.elapsed() < time {
            self.serve();
        }
    }

    fn dial(&mut self) {
        let index = self.dialled.len();
        let call = Outgoing {
            target: "1001".into(),
            aor: AorId::default(),
            display: String::new(),
            from_user: Some(format!("139{index:08}")),
            sdp: sdp::offer(&voice(index), &sdp::CODECS, Some(101), Direction::SendRecv),
            headers: vec![],
        };
        self.dialled.push(Instant::now());
        let leg = self.ua.invite(call, clock::now());
        self.callers.insert(leg, index);
        self.flush();
    }

    fn serve(&mut self) {
        while self.hangs_up.front().is_some_and(|(at, _)| *at <= Instant::now()) {
            let Some((_, leg)) = self.hangs_up.pop_front() else { break };
            self.ua.bye(leg, clock::now());
            self.flush();
        }
        let mut buffer = [0; 8_192];
        if let Ok((length, from)) = self.socket.recv_from(&mut buffer) {
            let bytes = &buffer[..length];
            if bytes.starts_with(b"REGISTER ") {
                self.registered = true;
                self.socket.send_to(&granted(bytes), from).expect("loopback");
            } else {
                let from = Peer { transport: Transport::Udp, addr: from };
                self.ua.handle_message(from, bytes, clock::now());
            }
        }
        let now = clock::now();
        if self.ua.poll_timeout().is_some_and(|(at, _)| at <= now.mono) {
            self.ua.handle_timeout(now);
        }
        self.flush();
    }

    fn flush(&mut self) {
        while let Some(event) = self.ua.poll_event() {
            self.on_event(event);
        }
        while let Some(transmit) = self.ua.poll_transmit() {
            self.socket.send_to(&transmit.bytes, transmit.to.addr).expect("loopback");
        }
    }

    fn on_event(&mut self, event: Event) {
        match event {
            Event::Incoming { leg, invite } => {
                let shown = &invite.claims.from().display;
                let number = shown.strip_prefix("139").and_then(|number| number.parse().ok());
                let Some(index): Option<usize> = number else {
                    self.others.push(Instant::now());
                    return self.ua.ring(leg, None, clock::now());
                };
                self.rung.push(self.dialled[index].elapsed());
                let offer = sdp::parse(invite.sdp.as_deref().unwrap_or_default());
                let offer = offer.expect("an offer");
                let (local, stream) = (voice(index), offer.stream());
                let answer = sdp::answer(&local, &offer, &stream, Direction::SendRecv);
                self.ua.ring(leg, None, clock::now());
                self.ua.answer(leg, answer, clock::now());
            }
            Event::Answered { leg, .. } => {
                self.answered.push(self.dialled[self.callers[&leg]].elapsed());
                self.hangs_up.push_back((Instant::now() + HOLD, leg));
            }
            Event::Refused { leg, status, .. } => {
                self.callers.remove(&leg);
                *self.refused.entry(status).or_default() += 1;
            }
            // The officer's end of it: the daemon has hung up.
            Event::Ended { leg, .. } if self.callers.remove(&leg).is_none() => self.over += 1,
            _ => {}
        }
    }
}

/// Nobody is there: no packet is sent to an address that is nobody's business.
fn voice(index: usize) -> Local {
    Local::plain([127, 0, 0, 1].into(), 9, index as u64 + 1)
}

/// "p50 1.0 ms, p99 2.0 ms, worst 3.0 ms"
pub fn spread(times: &[Duration]) -> String {
    let mut times = times.to_vec();
    times.sort_unstable();
    let at = |share: f64| {
        let place = (times.len().saturating_sub(1)) as f64 * share;
        times.get(place as usize).map_or(0.0, |time| time.as_secs_f64() * 1e3)
    };
    format!("p50 {:.1} ms, p99 {:.1} ms, worst {:.1} ms", at(0.5), at(0.99), at(1.0))
}
