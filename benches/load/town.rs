//! The other side of the benchmark: registrar, callers and the officer's phone, one user agent on one socket.

use dutyline::io::clock;
use dutyline::protocol::sdp::{self, Direction, Local};
use dutyline::protocol::sip::endpoint::Endpoint;
use dutyline::protocol::sip::{Account, AorId, Event, Habits, LegId, Outgoing, Peer, Transport};
use std::collections::BTreeMap;
use std::net::{SocketAddr, UdpSocket};
use std::time::{Duration, Instant};

const PATIENCE: Duration = Duration::from_secs(60);
/// Signalling, tape and log have forgotten a call after so long (64 T1, and a commit).
pub const SETTLED: Duration = Duration::from_secs(40);

pub struct Town {
    socket: UdpSocket,
    ua: Endpoint,
    registered: bool,
    /// Addresses of the callers' and officers' voices, in turn.
    voices: Vec<SocketAddr>,
    /// The daemon's port for each voice.
    ports: Vec<u16>,
    callers: BTreeMap<LegId, usize>,
    dialled: Vec<Instant>,
    rung: Vec<Option<Duration>>,
    talking: usize,
    leader: Leader,
}

/// The leader's telephone.
#[derive(Default)]
struct Leader {
    voice: Option<SocketAddr>,
    rung: Option<Instant>,
    leg: Option<LegId>,
    /// The daemon's RTP port of this call.
    port: u16,
}

/// One user agent that is registrar, callers and the officer's phone.
pub fn account(socket: &UdpSocket, daemon: SocketAddr, habits: Habits) -> Account {
    Account {
        local: socket.local_addr().expect("bound"),
        pbx: Peer { transport: Transport::Udp, addr: daemon },
        peers: vec![],
        habits,
        domain: "bench".into(),
        user: "town".into(),
        display: String::new(),
        auth_user: "town".into(),
        password: String::new(),
        realm: None,
        expires: 0,
        others: vec![],
        session_expires: 1800,
        also_trusted: vec![],
        agent: "bench".into(),
    }
}

impl Town {
    pub fn new(socket: UdpSocket, daemon: SocketAddr) -> Self {
        let account = account(&socket, daemon, Habits::default());
        Self {
            socket,
            ua: Endpoint::new(account, clock::random()),
            registered: false,
            voices: vec![],
            ports: vec![],
            callers: BTreeMap::new(),
            dialled: vec![],
            rung: vec![],
            talking: 0,
            leader: Leader::default(),
        }
    }

    /// The leader's telephone is answered at once; its voice is here.
    pub fn with_leader(mut self, voice: SocketAddr) -> Self {
        self.leader.voice = Some(voice);
        self
    }

    /// When the leader's telephone rang, and the daemon's RTP port of that call.
    pub fn until_the_leader_rings(&mut self) -> (Instant, u16) {
        self.until("the leader's telephone to ring", |town| town.leader.rung.is_some());
        let rung = self.leader.rung.take().expect("just seen");
        (rung, self.leader.port)
    }

    /// He has confirmed, and puts the receiver down.
    pub fn the_leader_hangs_up(&mut self) {
        if let Some(leg) = self.leader.leg {
            self.ua.bye(leg, clock::now());
            self.flush();
        }
        self.until("the leader's call to be over", |town| town.leader.leg.is_none());
    }

    /// Serves SIP for so long.
    pub fn pass(&mut self, time: Duration) {
        let begin = Instant::now();
        while begin.elapsed() < time {
            self.serve(Duration::from_millis(5));
        }
    }

    pub fn wait_for_registration(&mut self) {
        self.until("the line to register", |town| town.registered);
    }

    /// One call for each pair of voices; the daemon's RTP port for each voice.
    pub fn call(&mut self, voices: &[SocketAddr], per_second: u32) -> Vec<u16> {
        let calls = voices.len() / 2;
        self.voices = voices.to_vec();
        self.ports = vec![0; voices.len()];
        self.rung = vec![None; calls];
        self.callers.clear();
        self.dialled.clear();
        self.talking = 0;
        let begin = Instant::now();
        for index in 0..calls {
            let due = Duration::from_secs(1) / per_second * index as u32;
            while begin.elapsed() < due {
                self.serve(due.saturating_sub(begin.elapsed()).min(Duration::from_millis(5)));
            }
            let call = Outgoing {
                target: "1001".into(),
                aor: AorId::default(),
                display: String::new(),
                from_user: Some(format!("139{index:08}")),
                sdp: sdp::offer(
                    &self.local(2 * index),
                    &sdp::CODECS,
                    Some(101),
                    Direction::SendRecv,
                ),
                headers: vec![],
            };
            let leg = self.ua.invite(call, clock::now());
            self.dialled.push(Instant::now());
            self.callers.insert(leg, index);
            self.flush();
        }
        self.until("every call to be answered", |town| town.talking == calls);
        self.ports.clone()
    }

    /// Serves SIP while the voices talk on a thread of their own.
    pub fn while_talking<T: Send>(&mut self, talk: impl FnOnce() -> T + Send) -> T {
        std::thread::scope(|scope| {
            let talk = scope.spawn(talk);
            while !talk.is_finished() {
                self.serve(Duration::from_millis(50));
            }
            talk.join().expect("the voices")
        })
    }

    pub fn hang_up(&mut self) {
        for leg in self.callers.keys().copied().collect::<Vec<_>>() {
            self.ua.bye(leg, clock::now());
            self.flush();
            self.serve(Duration::from_millis(2));
        }
    }

    /// From each INVITE to the officer's.
    pub fn set_up_times(&self) -> Vec<Duration> {
        self.rung.iter().copied().flatten().collect()
    }

    /// Answers what comes within `wait`.
    pub fn serve(&mut self, wait: Duration) {
        let mut buffer = [0; 8_192];
        self.socket.set_read_timeout(Some(wait.max(Duration::from_millis(1)))).expect("not zero");
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
        self.ua.handle_timeout(clock::now());
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
            Event::Incoming { leg, invite } if invite.request_user == "3001" => {
                self.leader.rung = Some(Instant::now());
                self.leader.leg = Some(leg);
                let offer =
                    sdp::parse(invite.sdp.as_deref().unwrap_or_default()).expect("an offer");
                self.leader.port = offer.remote().port();
                let voice = self.leader.voice.expect("a leader only where one is expected");
                let local = Local::plain(voice.ip(), voice.port(), 1);
                let answer = sdp::answer(&local, &offer, &offer.stream(), Direction::SendRecv);
                self.ua.answer(leg, answer, clock::now());
            }
            Event::Ended { leg, .. } if self.leader.leg == Some(leg) => self.leader.leg = None,
            Event::Incoming { leg, invite } => {
                let shown = &invite.claims.from().display;
                let index: usize = shown
                    .strip_prefix("139")
                    .and_then(|n| n.parse().ok())
                    .expect("a caller of ours is shown");
                self.rung[index].get_or_insert(self.dialled[index].elapsed());
                let offer =
                    sdp::parse(invite.sdp.as_deref().unwrap_or_default()).expect("an offer");
                self.ports[2 * index + 1] = offer.remote().port();
                let answer = sdp::answer(
                    &self.local(2 * index + 1),
                    &offer,
                    &offer.stream(),
                    Direction::SendRecv,
                );
                self.ua.ring(leg, None, clock::now());
                self.ua.answer(leg, answer, clock::now());
            }
            Event::Answered { leg, sdp } => {
                let index = self.callers[&leg];
                let answer = sdp::parse(sdp.as_deref().unwrap_or_default()).expect("an answer");
                self.ports[2 * index] = answer.remote().port();
                self.talking += 1;
            }
            Event::Refused { status, reason, .. } => {
                panic!("a call was refused: {status} {reason}")
            }
            _ => {}
        }
    }

    fn until(&mut self, what: &str, done: impl Fn(&Self) -> bool) {
        let begin = Instant::now();
        while !done(self) {
            assert!(begin.elapsed() < PATIENCE, "waited in vain for {what}");
            self.serve(Duration::from_millis(5));
        }
    }

    fn local(&self, voice: usize) -> Local {
        let address = self.voices[voice];
        Local::plain(address.ip(), address.port(), voice as u64 + 1)
    }
}

/// 200 to a REGISTER, for a minute.
pub fn granted(request: &[u8]) -> Vec<u8> {
    let text = String::from_utf8_lossy(request);
    let mut answer = String::from("SIP/2.0 200 OK\r\n");
    for line in text.lines().skip(1).take_while(|line| !line.is_empty()) {
        let name = line.split(':').next().unwrap_or_default().to_ascii_lowercase();
        match name.as_str() {
            "via" | "from" | "call-id" | "cseq" => answer += &format!("{line}\r\n"),
            "to" => answer += &format!("{line};tag=bench\r\n"),
            "contact" => {
                let uri = line.split(['<', '>']).nth(1).unwrap_or_default();
                answer += &format!("Contact: <{uri}>;expires=60\r\n");
            }
            _ => {}
        }
    }
    answer += "Content-Length: 0\r\n\r\n";
    answer.into_bytes()
}
