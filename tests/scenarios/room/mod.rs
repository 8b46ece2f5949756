//! The duty room in virtual time: the whole daemon minus its sockets, a PBX, telephones, and wires
//! that carry real SIP and RTP bytes between them. Time jumps to the next event.
//!
//! A room that is dropped looks around: whatever is still pending then and was not expected fails
//! the scenario.

mod clock;
mod daemon;
mod dialling;
mod language;
mod network;
mod pbx;
pub mod people;
mod phones;
mod seen;
pub mod tones;

pub use clock::{hours, millis, minutes, seconds};
pub use daemon::{Daemon, Left};
pub use network::Weather;
pub use phones::Post;
pub use seen::Prompt;

use chrono::TimeDelta;
use clock::Clock;
use dutyline::demo::pbx::{Algorithm, Event as PbxEvent, Pbx};
use dutyline::demo::phone::{Event as PhoneEvent, State};
use dutyline::duty::escalation::{Policy, Timetable, Version};
use dutyline::duty::ids::EntryId;
use dutyline::duty::journal::Noted;
use dutyline::duty::line_plan::LinePlan;
use dutyline::duty::roster::Roster;
use dutyline::io::store::{Store, Who};
use dutyline::protocol::now::{Deadline, Mono, Now};
use dutyline::protocol::random::Random;
use dutyline::protocol::sip::{Peer, Transport};
use network::{Datagram, Kind, Network};
use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::time::Duration;

/// Events at one moment before time is said to stand still.
const MOST_AT_ONCE: usize = 20_000;
/// The longest that any transaction outlives its session: Timers B, F, H, J, and the room's own
/// delays.
const AFTERGLOW: Duration = Duration::from_secs(40);
/// Telephones that register anew meanwhile, each by its own clock, have this long in addition.
const REGISTERS: Duration = Duration::from_secs(35);

pub struct Room {
    clock: Clock,
    pub network: Network,
    pub pbx: Pbx,
    /// The PBX's second address: a machine of its own, which knows the same users.
    pub standby: Pbx,
    pub standby_story: Vec<PbxEvent>,
    /// What the daemon is started with.
    pub plan: LinePlan,
    /// The ladders end with the acknowledgement unless a scenario says what follows.
    pub policy: Timetable,
    pub roster: Roster,
    pub pbx_story: Vec<(Mono, PbxEvent)>,
    pub posts: Vec<Post>,
    pub daemon: Option<Daemon>,
    pub store: Store,
    random: Random,
    /// Every entry that a scenario's caller was told of, in order.
    pub entries: Vec<EntryId>,
    /// Who called, by entry.
    who: BTreeMap<EntryId, String>,
    callers: u8,
    /// How long the log takes to commit.
    pub store_speed: Duration,
    left_open: bool,
    officer: Option<Who>,
    /// Of earlier runs of the daemon.
    past_facts: Vec<Noted>,
    left: Left,
    /// What reached the running daemon from outside, seen by neither of the two.
    pub tap: Tap,
}

/// A tap on the daemon's cable.
#[derive(Debug, Default)]
pub struct Tap {
    /// First arrivals of INVITEs that open a session, by Call-ID.
    pub invites: Vec<(Mono, String)>,
    pub voice: Vec<(Mono, SocketAddr, Vec<u8>)>,
    /// When the daemon was started and when it went.
    pub started: Vec<Mono>,
    pub gone: Vec<Mono>,
}

impl Tap {
    fn listen(&mut self, datagram: &Datagram, now: Mono) {
        match datagram.kind {
            Kind::Rtp => self.voice.push((now, datagram.from, datagram.bytes.clone())),
            Kind::Sip if datagram.bytes.starts_with(b"INVITE ") => {
                let text = String::from_utf8_lossy(&datagram.bytes);
                let header = |name: &str| text.lines().find_map(|line| line.strip_prefix(name));
                let Some(call) = header("Call-ID: ") else { return };
                let since = self.started.last().copied().unwrap_or(Mono(0));
                let known = |(at, known): &(Mono, String)| known == call && *at >= since;
                let inside = header("To: ").is_some_and(|to| to.contains(";tag="));
                if !inside && !self.invites.iter().any(known) {
                    self.invites.push((now, call.to_owned()));
                }
            }
            Kind::Sip => {}
        }
    }
}

impl Room {
    /// An ordinary evening: everything registered, good wires, nobody calls.
    pub fn open() -> Self {
        Self::with_seed(0)
    }

    pub fn with_seed(seed: u64) -> Self {
        let mut room = Self::before_the_start(seed, Algorithm::Sha256);
        room.start_daemon();
        room.until("everything is registered", seconds(5), |room| {
            let now = room.now();
            let mut users = people::EXTENSIONS.iter().map(|(number, _)| *number);
            room.pbx.is_registered(people::LINE, now)
                && users.all(|number| room.pbx.is_registered(number, now))
        });
        room
    }

    /// PBX and phones are there; the daemon is not started yet.
    pub fn before_the_start(seed: u64, algorithm: Algorithm) -> Self {
        let mut bytes = [0; 32];
        bytes[..8].copy_from_slice(&seed.to_le_bytes());
        let mut random = Random::from_seed(bytes);
        let clock = Clock::evening();
        let mut room = Self {
            network: Network::new(random.fork()),
            pbx: pbx::build(people::pbx(), algorithm, random.fork()),
            standby: pbx::build(people::standby(), algorithm, Random::from_seed([99; 32])),
            standby_story: vec![],
            plan: daemon::line_plan(),
            policy: Timetable::from(&Policy { after: None, ..Policy::default() }),
            roster: people::roster(),
            pbx_story: vec![],
            posts: vec![],
            daemon: None,
            store: Store::open_in_memory(random.fork()).expect("a log in memory"),
            clock,
            random,
            entries: vec![],
            who: BTreeMap::new(),
            callers: 0,
            store_speed: millis(3),
            left_open: false,
            officer: None,
            past_facts: vec![],
            left: Left::default(),
            tap: Tap::default(),
        };
        for (number, _) in people::EXTENSIONS {
            let post = Post::extension(number, room.random.fork());
            room.posts.push(post);
            let at = room.posts.len() - 1;
            room.act(at, |post, now| post.phone.register(now));
        }
        room
    }

    /// Other figures of an escalation, or other people, from now on.
    pub fn rules(&mut self, change: impl FnOnce(&mut Policy, &mut Roster)) {
        change(&mut self.policy.first.figures, &mut self.roster);
        self.by_these_rules();
    }

    /// Versions of the policy that are to come, from now on.
    pub fn later(&mut self, later: Vec<Version>) {
        self.policy.later = later;
        self.by_these_rules();
    }

    fn by_these_rules(&mut self) {
        let rules = (self.policy.clone(), self.roster.clone());
        self.order(|daemon, now| {
            daemon.rules = rules;
            daemon.wake_escalator(now);
        });
    }

    pub fn now(&self) -> Now {
        self.clock.now()
    }

    /// Somebody sets the wall clock of the daemon's host.
    pub fn set_wall_clock(&mut self, by: TimeDelta) {
        self.clock.set_wall(by);
    }

    pub fn fork_random(&mut self) -> Random {
        self.random.fork()
    }

    /// The PBX is replaced by one that remembers nothing.
    pub fn restart_pbx(&mut self) {
        let random = self.random.fork();
        self.pbx = pbx::build(people::pbx(), Algorithm::Sha256, random);
    }

    pub fn start_daemon(&mut self) {
        assert!(self.daemon.is_none(), "there is one daemon");
        let now = self.now();
        let random = self.random.fork();
        let left = std::mem::take(&mut self.left);
        let rules = (self.policy.clone(), self.roster.clone());
        let (plan, store) = ((self.plan.clone(), rules), self.store.clone());
        let daemon = Daemon::start(plan, store, self.store_speed, left, random, now);
        self.daemon = Some(daemon);
        self.tap.started.push(now.mono);
        self.drain_daemon();
    }

    /// `kill -9`: what was committed stays, everything else is gone.
    pub fn kill_daemon(&mut self) {
        let Some(daemon) = self.daemon.take() else { return };
        let now = self.clock.now();
        self.tap.gone.push(now.mono);
        let (facts, left) = daemon.left();
        self.past_facts.extend(facts);
        self.left = left;
    }

    /// Lets time pass, event by event.
    pub fn pass(&mut self, time: Duration) {
        let end = self.now().mono + time;
        while self.turn(end) {}
        self.clock.jump(end);
    }

    /// The daemon is not there, and nothing that anybody else does in that time matters.
    pub fn lies_idle(&mut self, time: Duration) {
        assert!(self.daemon.is_none(), "a daemon does something every minute");
        let end = self.now().mono + time;
        self.clock.jump(end);
    }

    /// Lets time pass until something is so; fails when it is not within `limit`.
    pub fn until(&mut self, what: &str, limit: Duration, mut is_so: impl FnMut(&Self) -> bool) {
        let end = self.now().mono + limit;
        while !is_so(self) {
            if !self.turn(end) {
                let story = self.network.story(60);
                panic!("waited {limit:?} in vain: {what}\n{story}{}", self.describe());
            }
        }
    }

    /// Jumps to the next event, if it is not later than `limit`, and lets it happen.
    pub fn turn(&mut self, limit: Mono) -> bool {
        let Some((at, _)) = self.next().filter(|(at, _)| *at <= limit) else { return false };
        self.clock.jump(at);
        self.happen();
        true
    }

    /// The next thing that is due, and why.
    fn next(&self) -> Option<Deadline> {
        let network = self.network.next().map(|at| (at, "a packet arrives"));
        let daemon = self.daemon.as_ref().and_then(Daemon::deadline);
        let phones = self.posts.iter().filter_map(|post| post.phone.poll_timeout());
        phones.chain(network).chain(daemon).min_by_key(|(at, _)| *at)
    }

    /// Everything that is due at this moment.
    fn happen(&mut self) {
        let now = self.now();
        for _ in 0..MOST_AT_ONCE {
            if let Some(datagram) = self.network.deliver(now.mono) {
                self.deliver(datagram, now);
                continue;
            }
            let due = |deadline: Option<Deadline>| deadline.is_some_and(|(at, _)| at <= now.mono);
            if due(self.daemon.as_ref().and_then(Daemon::deadline)) {
                self.order(|daemon, now| daemon.handle_timeout(now));
            } else if let Some(at) =
                self.posts.iter().position(|post| due(post.phone.poll_timeout()))
            {
                self.act(at, |post, now| post.phone.handle_timeout(now));
            } else {
                return;
            }
        }
        let why = self.next().map_or("nothing", |(_, why)| why);
        panic!("time stands still: {why}\n{}", self.network.story(60));
    }

    fn deliver(&mut self, datagram: Datagram, now: Now) {
        if datagram.to.ip() == people::DAEMON_HOST && self.daemon.is_some() {
            self.tap.listen(&datagram, now.mono);
        }
        let Datagram { kind, from, to, bytes } = datagram;
        let peer = Peer { transport: Transport::Udp, addr: from };
        if to == people::pbx() {
            self.pbx.handle_message(peer, &bytes, now);
            self.drain_pbx();
        } else if to == people::standby() {
            self.standby.handle_message(peer, &bytes, now);
            self.drain_pbx();
        } else if to.ip() == people::DAEMON_HOST {
            self.order(|daemon, now| match kind {
                Kind::Sip => daemon.handle_message(peer, bytes, now),
                Kind::Rtp => daemon.handle_packet(to.port(), from, &bytes, now),
            });
        } else if let Some(at) = self.posts.iter().position(|post| post.host == to.ip()) {
            self.act(at, |post, now| match kind {
                Kind::Sip => post.phone.handle_message(peer, &bytes, now),
                Kind::Rtp => post.phone.handle_packet(from, &bytes, now),
            });
        }
    }

    /// Does something with a telephone, and carries away what it sends.
    pub fn act<R>(&mut self, at: usize, deed: impl FnOnce(&mut Post, Now) -> R) -> R {
        let now = self.now();
        let post = &mut self.posts[at];
        let result = deed(post, now);
        let from = SocketAddr::new(post.host, people::SIP_PORT);
        while let Some(transmit) = post.phone.poll_transmit() {
            let datagram =
                Datagram { kind: Kind::Sip, from, to: transmit.to.addr, bytes: transmit.bytes };
            self.network.send(datagram, now.mono);
        }
        let from = post.phone.rtp();
        while let Some((to, bytes)) = post.phone.poll_rtp() {
            self.network.send(Datagram { kind: Kind::Rtp, from, to, bytes }, now.mono);
        }
        while let Some(event) = post.phone.poll_event() {
            if matches!(event, PhoneEvent::Rings { .. }) {
                post.unexpected.push(now.mono);
                post.pressed = false;
            }
            post.story.push((now.mono, event));
        }
        result
    }

    /// Does something with the daemon, if it runs, and carries away what it sends.
    pub fn order(&mut self, deed: impl FnOnce(&mut Daemon, Now)) {
        let now = self.now();
        if let Some(daemon) = &mut self.daemon {
            deed(daemon, now);
            self.drain_daemon();
        }
    }

    fn drain_daemon(&mut self) {
        let now = self.now().mono;
        let Some(daemon) = &mut self.daemon else { return };
        while let Some(transmit) = daemon.sip.pop_front() {
            let (from, to) = (people::daemon(), transmit.to.addr);
            self.network.send(Datagram { kind: Kind::Sip, from, to, bytes: transmit.bytes }, now);
        }
        while let Some((port, to, bytes)) = daemon.rtp.pop_front() {
            let from = SocketAddr::new(people::DAEMON_HOST, port);
            self.network.send(Datagram { kind: Kind::Rtp, from, to, bytes }, now);
        }
    }

    fn drain_pbx(&mut self) {
        let now = self.now().mono;
        while let Some(transmit) = self.pbx.poll_transmit() {
            let (from, to) = (people::pbx(), transmit.to.addr);
            self.network.send(Datagram { kind: Kind::Sip, from, to, bytes: transmit.bytes }, now);
        }
        while let Some(event) = self.pbx.poll_event() {
            self.pbx_story.push((now, event));
        }
        while let Some(transmit) = self.standby.poll_transmit() {
            let (from, to) = (people::standby(), transmit.to.addr);
            self.network.send(Datagram { kind: Kind::Sip, from, to, bytes: transmit.bytes }, now);
        }
        self.standby_story.extend(std::iter::from_fn(|| self.standby.poll_event()));
    }

    /// Nothing will be looked for when the room is left.
    pub fn leave_as_it_is(&mut self) {
        self.left_open = true;
    }

    /// Everything that is pending and should not be.
    pub fn leftovers(&self) -> Vec<String> {
        let mut found = vec![];
        for post in &self.posts {
            if post.phone.state() != State::OnHook {
                found.push(format!("phone {} is {:?}", post.number, post.phone.state()));
            }
            if post.number != people::DESK && post.number != people::SPARE {
                let count = post.unexpected.len();
                if count > 0 {
                    found.push(format!("phone {} rang {count} times unexpectedly", post.number));
                }
            }
            let (transactions, sessions) = post.phone.load();
            if (transactions, sessions) != (0, 0) {
                found.push(format!(
                    "phone {} has {transactions} transactions, {sessions} sessions",
                    post.number
                ));
            }
        }
        if let Some(daemon) = &self.daemon {
            found.extend(daemon.leftovers());
        }
        found
    }

    pub fn describe(&self) -> String {
        let mut text = String::new();
        for post in &self.posts {
            if post.phone.state() != State::OnHook || !post.story.is_empty() {
                let last = post.story.iter().rev().take(4).collect::<Vec<_>>();
                text += &format!("{}: {:?} {last:?}\n", post.number, post.phone.state());
            }
        }
        match &self.daemon {
            Some(daemon) => text += &daemon.describe(),
            None => text += "no daemon\n",
        }
        text
    }

    /// What `Drop` looks for, after the last transactions have died away.
    pub fn look_around(&mut self) {
        let quiet = self.now().mono + AFTERGLOW;
        let mut found = self.leftovers();
        while !found.is_empty() && self.turn(quiet) {
            found = self.leftovers();
        }
        let ours = self.daemon.as_ref().map(|daemon| daemon.leftovers()).unwrap_or_default();
        while ours.is_empty() && !found.is_empty() && self.turn(quiet + REGISTERS) {
            found = self.leftovers();
        }
        assert!(
            found.is_empty(),
            "still pending: {found:#?}\n{}{}",
            self.network.story(60),
            self.describe()
        );
    }
}

impl Drop for Room {
    fn drop(&mut self) {
        if !self.left_open && !std::thread::panicking() {
            self.look_around();
        }
    }
}
