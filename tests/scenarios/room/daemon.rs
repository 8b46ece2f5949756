//! The whole daemon minus sockets, threads and disk: switchboard, relay, log and escalator, turned
//! in virtual time as `io` turns them in real time.

mod plan;
mod tape;

pub use plan::line_plan;

use super::seen::prompt_level;
use dutyline::duty::checkpoint::{Checkpoint, Piece};
use dutyline::duty::escalation::Timetable;
use dutyline::duty::ids::{CallId, EntryId};
use dutyline::duty::journal::{Fact, Noted};
use dutyline::duty::line_plan::LinePlan;
use dutyline::duty::roster::Roster;
use dutyline::duty::switchboard::{Input, Output, Switchboard};
use dutyline::io::checkpoint;
use dutyline::io::status::Live;
use dutyline::io::store::{Bounds, Store, wait};
use dutyline::protocol::now::{Deadline, Mono, Now, earlier};
use dutyline::protocol::random::Random;
use dutyline::protocol::rtp::quality::Quality;
use dutyline::protocol::rtp::relay::{Relay, Verdict};
use dutyline::protocol::rtp::source::FRAME_BYTES;
use dutyline::protocol::rtp::srtp::TAG;
use dutyline::protocol::rtp::{Channel, Party, Sound};
use dutyline::protocol::sip::slip::{Reply, SlipId};
use dutyline::protocol::sip::{Peer, Transmit};
use std::collections::{BTreeSet, VecDeque};
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;
use tape::Taped;
use uuid::Uuid;

pub const CHANNELS: u16 = 12;
pub const RESERVED: usize = 4;
pub const ENTRY_BUDGET: Duration = Duration::from_millis(150);
const FIRST_PORT: u16 = 20_000;
/// How often the daemon notes that it is alive while there are calls.
const ALIVE: Duration = Duration::from_secs(1);
const PROMPT_SAMPLES: usize = 4000;
/// What a leader hears of a recording is all this, so many seconds.
const RECORDING_SECONDS: usize = 20;

/// What an earlier run left.
#[derive(Debug, Default)]
pub struct Left {
    pub tape: Vec<Taped>,
    pub checkpoint: Checkpoint,
}

/// As the daemon does it: what the file spoils goes on as the log has it.
fn settled(
    (mut versions, roster): (Timetable, Roster),
    store: &Store,
    now: Now,
) -> (Timetable, Roster) {
    let last = || wait(store.policy_last_in_force()).expect("the log is read");
    versions.settle(last, (&roster, &[]), now.wall);
    (versions, roster)
}

/// What the log is asked to write.
#[derive(Debug, Clone)]
enum Write {
    Fact(Box<Noted>),
    /// The tape of this call is whole: its recording is bound to it.
    Seal(Uuid),
}

pub struct Daemon {
    pub switchboard: Switchboard,
    relay: Relay,
    store: Store,
    /// The figures of an escalation, and whom it may call.
    pub rules: (Timetable, Roster),
    /// What is on its way to the log, and when the log has time for it.
    waiting: VecDeque<(Mono, Write)>,
    pub store_speed: Duration,
    pub stalled_until: Mono,
    escalate_at: Option<Mono>,
    /// Every fact since the start, in the order of the switchboard.
    pub facts: Vec<Noted>,
    /// Calls whose entry is committed, and when.
    pub entered: Vec<(Mono, CallId)>,
    pub tape: Vec<Taped>,
    pub finished: Vec<Uuid>,
    pub live: Vec<(Mono, Live)>,
    /// How parties were heard, as it was told.
    pub heard: Vec<(Mono, CallId, Party, Quality)>,
    /// What became of what was said to telephones.
    pub slips: Vec<(SlipId, Reply)>,
    pub sip: VecDeque<Transmit>,
    pub rtp: VecDeque<(u16, SocketAddr, Vec<u8>)>,
    pub drained: bool,
    /// It was told to stop.
    finishing: bool,
    /// What a next run would find.
    checkpoint: Checkpoint,
    /// The keeper of the checkpoint does not get to write.
    pub keeper_stalls: bool,
    /// Facts that the log has.
    written: u64,
    /// Calls that this run took up, and facts of the earlier run that the log did not confirm.
    open: BTreeSet<CallId>,
    told_again: Vec<Noted>,
    /// What nobody asked about yet and somebody should.
    pub alarms: Vec<String>,
}

impl Daemon {
    pub fn start(
        (plan, rules): (LinePlan, (Timetable, Roster)),
        store: Store,
        store_speed: Duration,
        left: Left,
        mut random: Random,
        now: Now,
    ) -> Self {
        let Left { tape, checkpoint: mut left } = left;
        left.give_pins(&rules.1);
        let rules = settled(rules, &store, now);
        wait(store.interrupted_calls(left.calls(), now)).expect("the log is written");
        let away = left.at.map(|at| Fact::Away { since: at.wall, why: "it died".to_owned() });
        let relay = Relay::new(CHANNELS, prompts(), random.fork());
        let (checkpoint, open) = (left.clone(), left.taped());
        let told_again = left.pieces.values().filter_map(|piece| match piece {
            Piece::Fact(noted) => Some((**noted).clone()),
            Piece::Line { .. }
            | Piece::Phones(_)
            | Piece::Leg { .. }
            | Piece::Call { .. }
            | Piece::Voice(_) => None,
        });
        let told_again = told_again.collect();
        let switchboard = Switchboard::resume(plan, random, left, now);
        let mut daemon = Self {
            switchboard,
            relay,
            store,
            rules,
            waiting: VecDeque::new(),
            store_speed,
            stalled_until: Mono(0),
            escalate_at: Some(now.mono),
            facts: vec![],
            entered: vec![],
            tape,
            finished: vec![],
            live: vec![],
            heard: vec![],
            slips: vec![],
            sip: VecDeque::new(),
            rtp: VecDeque::new(),
            drained: false,
            finishing: false,
            checkpoint,
            keeper_stalls: false,
            written: 0,
            open,
            told_again,
            alarms: vec![],
        };
        daemon.recover(now);
        away.into_iter().for_each(|away| daemon.tell(Input::Note(away), now));
        let calls = wait(daemon.store.dialled_today(now)).expect("the log is read");
        daemon.tell(Input::DialledToday { calls }, now);
        daemon
    }

    pub fn handle_message(&mut self, from: Peer, bytes: Vec<u8>, now: Now) {
        self.tell(Input::Message { from, bytes }, now);
    }

    pub fn handle_packet(&mut self, port: u16, from: SocketAddr, bytes: &[u8], now: Now) {
        let channel = Channel((port - FIRST_PORT) / 2);
        let mut packet = bytes.to_vec();
        if let Verdict::Take { tag, length, forward } =
            self.relay.handle_packet(channel, from, &mut packet, now.mono)
        {
            packet.truncate(length);
            let taped =
                Taped { at: now.mono, call: tag.call, party: tag.party, bytes: packet.clone() };
            self.tape.push(taped);
            packet.resize(length + TAG, 0);
            if let Some(forward) = forward
                && let Some(length) = self.relay.carry(&forward, &mut packet, length, now.mono)
            {
                packet.truncate(length);
                self.relay.sent(forward.channel);
                self.rtp.push_back((port_of(forward.channel), forward.to, packet));
            }
        }
        self.drain(now);
    }

    pub fn handle_timeout(&mut self, now: Now) {
        while let Some((_, write)) =
            self.waiting.pop_front_if(|(at, _)| *at <= now.mono && self.stalled_until <= now.mono)
        {
            match write {
                Write::Fact(noted) => self.commit(&noted, now),
                Write::Seal(call) => self.seal(call, None, now),
            }
        }
        if self.escalate_at.is_some_and(|at| at <= now.mono) && self.stalled_until <= now.mono {
            self.escalate(now);
        }
        self.relay.handle_timeout(now.mono);
        while let Some((call, _)) = self.relay.poll_finished(now.mono) {
            self.is_finished(call, now);
        }
        if self.switchboard.deadline().is_some_and(|(at, _)| at <= now.mono) {
            self.tell(Input::Timeout, now);
        }
        self.drain(now);
    }

    pub fn deadline(&self) -> Option<Deadline> {
        let log = self.waiting.front().map(|(at, _)| ((*at).max(self.stalled_until), "log writes"));
        let escalator = self.escalate_at.map(|at| (at.max(self.stalled_until), "escalator"));
        let own = earlier(log, escalator);
        [self.switchboard.deadline(), self.relay.deadline()].into_iter().fold(own, earlier)
    }

    pub fn tell(&mut self, input: Input, now: Now) {
        self.finishing |= input == Input::Shutdown;
        self.switchboard.handle(input, now);
        self.drain(now);
    }

    /// The log answers nobody until then.
    pub fn stall_log(&mut self, until: Mono) {
        self.stalled_until = until;
    }

    /// Somebody changed something in the log that the escalator ought to see.
    pub fn wake_escalator(&mut self, now: Now) {
        self.escalate_at = Some(now.mono);
    }

    /// Where the recorder has finished the entry's call.
    fn recording_of(&self, entry: EntryId) -> Option<Sound> {
        let level = prompt_level(dutyline::duty::prompts::RECORDING.0);
        let there = self.finished.contains(&entry.0);
        there.then(|| Sound(vec![level; RECORDING_SECONDS * 8000].into()))
    }

    pub fn has_unwritten_facts(&self) -> bool {
        !self.waiting.is_empty()
    }

    fn commit(&mut self, noted: &Noted, now: Now) {
        if let Fact::Arrived(arrival) = &noted.fact {
            self.entered.push((now.mono, arrival.call));
        }
        let applied = self.store.apply(noted).expect("the log in memory takes every fact");
        self.tell(Input::Written { through: self.written }, now);
        self.written += 1;
        self.live.extend(applied.live.into_iter().map(|live| (now.mono, live)));
        if applied.escalate {
            self.escalate_at = Some(now.mono);
        }
        if let Some(input) = applied.input {
            self.tell(input, now);
        }
    }

    fn escalate(&mut self, now: Now) {
        let (versions, roster) = (&self.rules.0, &self.rules.1);
        let cycle = match self.finishing {
            false => self.store.escalate(now, versions, roster),
            true => {
                let bounds = Bounds::default();
                bounds.finishing.cancel();
                wait(self.store.next_calls_in(bounds, now, versions, roster))
            }
        };
        let cycle = cycle.expect("the log in memory is read and written");
        self.escalate_at = cycle.until.map(|(at, _)| at);
        self.live.extend(cycle.live.into_iter().map(|live| (now.mono, live)));
        for input in cycle.inputs {
            self.tell(input, now);
        }
    }

    fn drain(&mut self, now: Now) {
        loop {
            let mut idle = true;
            while let Some(output) = self.switchboard.poll() {
                idle = false;
                self.carry_out(output, now);
            }
            let mut packet = [0; FRAME_BYTES];
            while let Some(spoken) = self.relay.poll_packet(now.mono, &mut packet) {
                let (call, party) = (spoken.tag.call, spoken.tag.party);
                let mut out = packet[..spoken.length].to_vec();
                if spoken.taped {
                    self.tape.push(Taped { at: now.mono, call, party, bytes: out.clone() });
                }
                out.resize(spoken.length + TAG, 0);
                let closed =
                    self.relay.close_packet(spoken.channel, &mut out, spoken.length, now.mono);
                if let (Some(to), Some(length)) = (spoken.to, closed) {
                    out.truncate(length);
                    self.relay.sent(spoken.channel);
                    self.rtp.push_back((port_of(spoken.channel), to, out));
                }
            }
            while let Some(event) = self.relay.poll_event() {
                idle = false;
                self.switchboard.handle(Input::Media(event), now);
            }
            if idle {
                break;
            }
        }
        let silent = self.checkpoint.at.is_none_or(|at| now.mono.since(at.mono) >= ALIVE);
        let wanted = self.switchboard.is_changed() || self.switchboard.calls() > 0 && silent;
        if wanted && !self.keeper_stalls {
            self.checkpoint.apply(self.switchboard.take_changes(now));
        }
    }

    /// What the next run finds when this one is killed now.
    pub fn left(self) -> (Vec<Noted>, Left) {
        let mut checkpoint = Checkpoint::default();
        if let Some(at) = self.checkpoint.at {
            let written = checkpoint::there_and_back(self.checkpoint.as_changes(at));
            checkpoint.apply(written.expect("it can be read again"));
        }
        (self.facts, Left { tape: self.tape, checkpoint })
    }

    fn carry_out(&mut self, output: Output, now: Now) {
        match output {
            Output::Send(transmit) => self.sip.push_back(transmit),
            Output::Traced(traced) => {
                wait(self.store.trace(vec![traced])).expect("the log in memory takes it");
            }
            Output::Fetch { attempt, entry } => {
                let input = Input::Fetched { attempt, sound: self.recording_of(entry) };
                self.switchboard.handle(input, now);
            }
            Output::Heard { call, party, quality } => {
                self.heard.push((now.mono, call, party, quality));
            }
            Output::SlipEnded { slip, reply } => self.slips.push((slip, reply)),
            Output::Media(command) => {
                if let Some(call) = self.relay.handle_command(command, now.mono) {
                    self.is_finished(call, now);
                }
            }
            Output::Journal(noted) => {
                if let Fact::LineDown { status, why, .. } = &noted.fact {
                    self.alarms.push(format!("line lost: {status} {why}"));
                }
                if !self.told_again.contains(&noted) {
                    self.facts.push(noted.clone());
                }
                let write = Write::Fact(Box::new(noted));
                self.waiting.push_back((now.mono + self.store_speed, write));
            }
            Output::Drained => self.drained = true,
        }
    }

    pub fn leftovers(&self) -> Vec<String> {
        let mut found = vec![];
        let mut look = |count: usize, what: &str| {
            if count != 0 {
                found.push(format!("daemon: {count} {what}"));
            }
        };
        look(self.switchboard.calls(), "calls");
        look(self.switchboard.channels_in_use(), "channels");
        let (transactions, sessions) = self.switchboard.load();
        look(transactions, "transactions");
        look(sessions, "sessions");
        look(self.waiting.len(), "unwritten facts");
        found.extend(self.alarms.iter().map(|alarm| format!("alarm: {alarm}")));
        let unfinished = self.unfinished_tapes();
        found.extend(unfinished.iter().map(|call| format!("the tape of {call} is not finished")));
        found
    }

    pub fn describe(&self) -> String {
        let mut text = format!(
            "daemon: {} calls, load {:?}\n",
            self.switchboard.calls(),
            self.switchboard.load()
        );
        for noted in self.facts.iter().rev().take(12).rev() {
            let at = noted.at.mono.0 as f64 / 1e9 - 86_400.0;
            text += &format!("  {at:10.3} {:?}\n", noted.fact);
        }
        text
    }
}

fn port_of(channel: Channel) -> u16 {
    FIRST_PORT + 2 * channel.0
}

/// Half a second each; the sample says which it is.
fn prompts() -> Vec<Arc<[i16]>> {
    let prompt = |n: usize| vec![prompt_level(n as u8); PROMPT_SAMPLES].into();
    (0..dutyline::duty::prompts::COUNT).map(prompt).collect()
}
