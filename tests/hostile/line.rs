//! The line under test: an endpoint without sockets, and what it says to one message.

use chrono::DateTime;
use dutyline::protocol::now::{Mono, Now};
use dutyline::protocol::random::Random;
use dutyline::protocol::sip::endpoint::Endpoint;
use dutyline::protocol::sip::{Account, Event, Habits, LegId, Peer, Transport};
use std::net::SocketAddr;
use std::time::Duration;

pub const PBX: &str = "192.0.2.1:5060";

pub fn peer(transport: Transport, addr: &str) -> Peer {
    Peer { transport, addr: addr.parse().expect("an address") }
}

pub fn start() -> Now {
    let wall = DateTime::from_timestamp(1_800_000_000, 0).expect("a moment");
    Now { mono: Mono(1_000_000_000), wall }
}

/// The line, and the moment it is.
pub struct Line {
    pub sip: Endpoint,
    pub now: Now,
    pub pbx: Peer,
}

impl Line {
    pub fn over(transport: Transport) -> Self {
        Self::at(transport, "192.0.2.10:5060", PBX)
    }

    pub fn at(transport: Transport, local: &str, pbx: &str) -> Self {
        let local: SocketAddr = local.parse().expect("an address");
        let pbx = peer(transport, pbx);
        let account = Account {
            local,
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
        };
        Self { sip: Endpoint::new(account, Random::from_seed([7; 32])), now: start(), pbx }
    }

    /// What a message of the PBX brings about.
    pub fn hear(&mut self, bytes: &[u8]) -> (Vec<String>, Vec<Event>) {
        self.sip.handle_message(self.pbx, bytes, self.now);
        self.said()
    }

    pub fn said(&mut self) -> (Vec<String>, Vec<Event>) {
        let out = std::iter::from_fn(|| self.sip.poll_transmit());
        let out = out.map(|transmit| String::from_utf8_lossy(&transmit.bytes).into_owned());
        (out.collect(), std::iter::from_fn(|| self.sip.poll_event()).collect())
    }

    /// As the owner of the line does with a call that it has no room for.
    pub fn refuse(&mut self, leg: LegId, status: u16) -> Vec<String> {
        self.sip.refuse(leg, status, None, self.now);
        self.said().0
    }

    pub fn pass(&mut self, wait: Duration) {
        self.now = self.now + wait;
        self.sip.handle_timeout(self.now);
        self.said();
    }

    /// Until nothing is open any more, or two days have passed.
    pub fn settle(&mut self) {
        let end = self.now.mono + Duration::from_secs(172_800);
        while let Some((at, _)) = self.sip.poll_timeout().filter(|(at, _)| *at < end) {
            let wait = at.since(self.now.mono).max(Duration::from_millis(1));
            self.pass(wait);
        }
    }
}

/// How long this thread has worked: what the host does meanwhile does not count.
pub fn worked() -> Duration {
    let mut time = libc::timespec { tv_sec: 0, tv_nsec: 0 };
    // SAFETY: `time` is a valid timespec for the call to fill.
    let done = unsafe { libc::clock_gettime(libc::CLOCK_THREAD_CPUTIME_ID, &raw mut time) };
    assert_eq!(done, 0, "every Linux has this clock");
    Duration::new(time.tv_sec.unsigned_abs(), u32::try_from(time.tv_nsec).expect("below a second"))
}

pub fn status(text: &str) -> u16 {
    let code = text.strip_prefix("SIP/2.0 ").and_then(|rest| rest.get(..3));
    code.and_then(|code| code.parse().ok()).unwrap_or(0)
}
