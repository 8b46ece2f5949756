//! All calls on the duty line: routes what the SIP endpoint and the relay report to the call it
//! belongs to, and gathers what the calls ask of the world.

mod arriving;
mod closing;
mod dialling;
mod joining;
mod leaders;
mod lines;
mod merging;
mod replacing;
mod self_testing;
mod survival;
mod tracing;
mod voices;

pub use leaders::{AckOutcome, Errand, LeaderCall, MATTERS_MAX, Unwanted};

use self::closing::Closing;
use super::call::desk::Desk;
use super::call::queued::Queue;
use super::call::{Call, LegEvent, keys};
use super::channels::Channels;
use super::checkpoint::{Checkpoint, Key, Marks, Unwritten};
use super::dial_plan::Dialled;
use super::figures::{self, Figures};
use super::ids::{AttemptId, CallId, EntryId};
use super::journal::{Fact, Noted};
use super::ladder::{Ladder, Traced};
use super::line_plan::LinePlan;
use super::placed::{Asker, DialOrder};
use crate::protocol::now::{Deadline, Mono, Now, earlier};
use crate::protocol::random::Random;
use crate::protocol::rtp::quality::{Course, Quality};
use crate::protocol::rtp::{self, Channel, Party, Sound};
use crate::protocol::sip::admission::Summary;
use crate::protocol::sip::endpoint::Endpoint;
use crate::protocol::sip::endpoint::checkpoint::SavedRegistration;
use crate::protocol::sip::slip::{Reply, Slip, SlipId};
use crate::protocol::sip::{self, AorId, LegId, Peer, Transmit};
use crate::protocol::timed::Timed;
use std::collections::{BTreeMap, BTreeSet, VecDeque};

/// Everything the switchboard may be told.
#[derive(Debug, Clone, PartialEq)]
pub enum Input {
    Message {
        from: Peer,
        bytes: Vec<u8>,
    },
    /// The transport to `peer` failed, and why.
    Unreachable {
        peer: Peer,
        why: String,
    },
    /// The PBX's addresses, most preferred first, have changed.
    Peers(Vec<Peer>),
    /// The entry of this call is committed.
    Stored {
        call: CallId,
    },
    /// What was pressed or said in this attempt is committed.
    AckStored {
        attempt: AttemptId,
        outcome: AckOutcome,
    },
    /// What `Output::Fetch` asked for; `None`: it cannot be heard yet.
    Fetched {
        attempt: AttemptId,
        sound: Option<Sound>,
    },
    Media(rtp::Event),
    Notify(LeaderCall),
    /// What the log did not take from whoever had to tell it: it is told with everything else.
    Note(Fact),
    /// An officer wants to call somebody.
    Dial(DialOrder),
    /// He does not want this call any more.
    GiveUp {
        call: CallId,
        asker: Asker,
    },
    /// The daemon is about to call its own line; the call has this name.
    ExpectTest {
        call: CallId,
    },
    /// Something is to be said to a telephone outside of any call; answered by
    /// `Output::SlipEnded`.
    Slip(Slip),
    /// So many calls that count have been made for others today, says the log of earlier runs.
    DialledToday {
        calls: u32,
    },
    /// The attempt is no longer wanted.
    StopNotifying {
        attempt: AttemptId,
        why: Unwanted,
    },
    /// The log has the facts up to this one, counted from 0 since the start.
    Written {
        through: u64,
    },
    /// Something the switchboard asked to be woken for is due.
    Timeout,
    /// Lets calls finish within `LinePlan::finish`, ends the others properly, and gives the
    /// registration back; `Output::Drained` follows.
    Shutdown,
    /// Leaves everything as it is for the next run of the daemon; `Output::Drained` follows.
    HandOver,
}

/// Everything the switchboard may ask of the world.
#[derive(Debug, Clone, PartialEq)]
pub enum Output {
    Send(Transmit),
    Media(rtp::Command),
    /// To the log; `Arrived` is answered by `Input::Stored`; `Acknowledged`, `HandedOn` and
    /// `Dictated` by `Input::AckStored`.
    Journal(Noted),
    /// Whoever is called in this attempt wants to hear the recording of the entry's call: answered
    /// by `Input::Fetched`.
    Fetch {
        attempt: AttemptId,
        entry: EntryId,
    },
    /// A message of a call, to be kept with it if there is room.
    Traced(Traced),
    /// What became of a slip.
    SlipEnded {
        slip: SlipId,
        reply: Reply,
    },
    /// How a party is heard, while the call goes on.
    Heard {
        call: CallId,
        party: Party,
        quality: Quality,
    },
    /// After `Shutdown`: no call is left and the binding is gone. After `HandOver`: nothing
    /// changes any more.
    Drained,
}

/// **Handle one thing, drain `poll`, then wait for the next input or `deadline`.**
pub struct Switchboard {
    desk: Desk,
    calls: Timed<CallId, Call>,
    /// How whoever is on each channel is heard.
    voices: BTreeMap<Channel, Course>,
    closing: Closing,
    dropped: (u64, Option<(Peer, &'static str)>),
    figures: Figures,
    checkpoint: ToTell,
    expected: Option<Expected>,
}

/// A call that the daemon is making to its own line.
#[derive(Debug, Clone, Copy)]
struct Expected {
    call: CallId,
    until: Mono,
}

/// What the next checkpoint has to say beside what endpoint and facts have.
#[derive(Debug, Default)]
struct ToTell {
    calls: BTreeSet<CallId>,
    /// What an earlier run left; whatever is still true is told again.
    stale: Vec<Key>,
    /// The registration as it was told.
    told: Option<SavedRegistration>,
}

impl Switchboard {
    pub fn new(plan: LinePlan, random: Random, now: Now) -> Self {
        Self::resume(plan, random, Checkpoint::default(), now)
    }

    /// Takes up what an earlier run of the daemon left, before anything else happens.
    pub fn resume(plan: LinePlan, random: Random, checkpoint: Checkpoint, now: Now) -> Self {
        let mut switchboard = Self::idle(plan, random);
        switchboard.desk.ladder.turn(now);
        switchboard.take_up(checkpoint, now);
        switchboard.desk.sip.register(now);
        switchboard.report(now);
        switchboard
    }

    fn idle(plan: LinePlan, mut random: Random) -> Self {
        let count = u16::try_from(plan.rtp_ports.len()).unwrap_or(u16::MAX);
        let mut sip = Endpoint::new(plan.account.clone(), random.fork());
        if let Some(phones) = plan.registrar.clone() {
            sip.serve_phones(phones);
        }
        let desk = Desk {
            plan,
            sip,
            channels: Channels::new(count, random.fork()),
            legs: BTreeMap::new(),
            queue: Queue::default(),
            lines_up: BTreeMap::new(),
            leaving: vec![],
            afresh: vec![],
            freed: false,
            dialled: Dialled::default(),
            random,
            out: VecDeque::new(),
            unwritten: Unwritten::default(),
            marks: Marks::default(),
            ladder: Ladder::default(),
        };
        Self {
            desk,
            calls: Timed::default(),
            voices: BTreeMap::new(),
            closing: Closing::No,
            dropped: (0, None),
            figures: Figures::default(),
            checkpoint: ToTell::default(),
            expected: None,
        }
    }

    pub fn handle(&mut self, input: Input, now: Now) {
        self.desk.ladder.turn(now);
        match input {
            Input::Message { from, bytes } => self.on_message(from, &bytes, now),
            Input::Unreachable { peer, why } => {
                self.desk.sip.handle_unreachable(peer, &why, now);
            }
            Input::Peers(peers) => self.desk.sip.set_peers(&peers, now),
            Input::Stored { call } => self.turn(call, |call, desk| call.handle_stored(desk, now)),
            Input::AckStored { attempt, outcome } => self.on_leader(attempt, |leader, desk| {
                leader.handle_ack_stored(attempt, outcome, desk, now);
            }),
            Input::Fetched { attempt, sound } => self.on_leader(attempt, |leader, desk| {
                leader.handle_sound(attempt, sound, desk, now);
            }),
            Input::Media(event) => self.on_media(event, now),
            Input::Notify(order) => self.on_notify(order, now),
            Input::Note(fact) => self.desk.note(fact, now),
            Input::Dial(order) => self.on_dial(order, now),
            Input::GiveUp { call, asker } => {
                self.turn(call, |call, desk| call.give_up(asker, desk, now));
            }
            Input::ExpectTest { call } => self.expect_test(call, now),
            Input::Slip(slip) => {
                let by = self.desk.calls_by(AorId::default());
                self.desk.sip.send_slip(slip, by, now);
            }
            Input::DialledToday { calls } => self.desk.dialled.add(calls, now),
            Input::StopNotifying { attempt, why } => self.on_leader(attempt, |leader, desk| {
                leader.stop_notifying(attempt, why, desk, now);
            }),
            Input::Written { through } => self.desk.unwritten.written(through),
            Input::Timeout => self.on_timeout(now),
            Input::Shutdown => self.on_shutdown(now),
            Input::HandOver => self.on_hand_over(),
        }
        self.report(now);
        self.finish_closing(now);
        self.desk.sip.settle();
        self.calls.settle(|call| call.deadline(&self.desk));
    }

    /// What the endpoint reports; then whoever waits longest is rung, where a phone may be free.
    fn report(&mut self, now: Now) {
        loop {
            while let Some(event) = self.desk.sip.poll_event() {
                self.on_sip(event, now);
            }
            self.on_leaving(now);
            self.call_afresh(now);
            if !std::mem::take(&mut self.desk.freed) {
                return;
            }
            for first in self.desk.queue.first(&self.desk.plan) {
                self.turn(first, |call, desk| call.its_turn(desk, now));
            }
        }
    }

    pub fn poll(&mut self) -> Option<Output> {
        let Some(output) = self.desk.out.pop_front() else {
            return self.send_next();
        };
        // Everything is on the wire before the owner may stop.
        if output == Output::Drained
            && let Some(send) = self.send_next()
        {
            self.desk.out.push_front(output);
            return Some(send);
        }
        Some(output)
    }

    pub fn deadline(&self) -> Option<Deadline> {
        let desk = &self.desk;
        let own = [desk.sip.poll_timeout(), desk.channels.deadline(), self.closing.deadline()];
        let calls = self.calls.first(|call| call.deadline(desk));
        own.into_iter().fold(calls, earlier)
    }

    /// Calls in progress, incoming and to leaders.
    pub fn calls(&self) -> usize {
        self.calls.len()
    }

    /// Channels that are lent or not yet reported closed.
    pub fn channels_in_use(&self) -> usize {
        self.desk.channels.in_use()
    }

    /// Legs whose end the endpoint has not reported yet.
    pub fn legs(&self) -> usize {
        self.desk.legs.len()
    }

    /// Messages that were dropped, of strangers and others; whose was the last one, and why.
    pub fn dropped(&self) -> (u64, Option<(Peer, &'static str)>) {
        self.dropped
    }

    /// Open SIP transactions and sessions.
    pub fn load(&self) -> (usize, usize) {
        self.desk.sip.load()
    }

    /// When the oldest session began that is not over on the wire; one of an earlier run, when this one took it up.
    pub fn in_session_since(&self) -> Option<Mono> {
        self.desk.sip.in_session_since()
    }

    /// What was counted since the start.
    pub fn figures(&self) -> Figures {
        let (transactions, sessions) = self.load();
        let (calls, channels) = (self.calls(), self.channels_in_use());
        let (expected, heard) =
            (self.expected.map(|expected| expected.call), self.desk.sip.heard());
        let (pbx, figures) = (Some(self.desk.sip.pbx()), self.figures.clone());
        Figures { calls, channels, transactions, sessions, expected, heard, pbx, ..figures }
    }

    fn turn(&mut self, id: CallId, turn: impl FnOnce(&mut Call, &mut Desk)) {
        if let Some(call) = self.calls.get_mut(&id) {
            self.checkpoint.calls.insert(id);
            turn(call, &mut self.desk);
            if call.is_over() {
                self.calls.remove(&id);
            }
        }
    }

    fn on_sip(&mut self, event: sip::Event, now: Now) {
        match event {
            sip::Event::Incoming { leg, invite } => self.on_incoming(leg, *invite, now),
            sip::Event::Cancelled { leg, elsewhere } => {
                self.on_leg(leg, LegEvent::Cancelled { elsewhere }, now);
            }
            // The answer was good without it; a missing one is reported as `Ended`.
            sip::Event::Confirmed { leg: _ } => {}
            sip::Event::Progress { leg, status, sdp } => {
                self.on_leg(leg, LegEvent::Progress { status, sdp }, now);
            }
            sip::Event::Answered { leg, sdp } => {
                self.on_leg(leg, LegEvent::Answered { sdp }, now);
            }
            sip::Event::Refused { leg, status, reason: _ } => {
                self.on_leg(leg, LegEvent::Refused { status }, now);
            }
            sip::Event::Offer { leg, sdp } => self.on_leg(leg, LegEvent::Offer { sdp }, now),
            sip::Event::Answer { leg, sdp } => self.on_leg(leg, LegEvent::Answer { sdp }, now),
            sip::Event::OfferRefused { leg, status } => {
                self.on_leg(leg, LegEvent::OfferRefused { status }, now);
            }
            sip::Event::Info { leg, content_type, body } => {
                if let Some(key) = keys::in_info(&content_type, &body) {
                    self.on_leg(leg, LegEvent::Key(key), now);
                }
            }
            sip::Event::Refer { leg, refer } => {
                if !self.joins(leg, &refer, now) {
                    self.on_leg(leg, LegEvent::Refer { refer }, now);
                }
            }
            sip::Event::Ended { leg, ending } => self.on_leg(leg, LegEvent::Ended(ending), now),
            sip::Event::Registered { aor, expires: _ } => self.on_registered(aor, now),
            sip::Event::RegistrationFailed { aor, status, reason } => {
                self.on_registration_failed(aor, status, reason, now);
            }
            sip::Event::Moved { to, preferred } => {
                self.desk.note(Fact::LineMoved { to: to.addr.to_string(), preferred }, now);
            }
            sip::Event::NotMoved { to, status, reason: why } => {
                self.desk.note(Fact::LineNotMoved { to: to.addr.to_string(), status, why }, now);
            }
            sip::Event::Unregistered => self.on_unregistered(),
            sip::Event::TurnedAway(Summary { source, calls, over }) => {
                figures::add(&mut self.figures.refused, "pace", calls);
                let source = source.to_string();
                self.desk.note(Fact::TurnedAway { source, calls, over }, now);
            }
            sip::Event::Intruded(Summary { source, calls, over }) => {
                let source = source.to_string();
                self.desk.note(Fact::Intruded { source, attempts: calls, over }, now);
            }
            sip::Event::Forged { leg, from, method } => {
                if let Some(call) = self.desk.legs.get(&leg).copied() {
                    let (from, method) = (from.addr.to_string(), method.to_owned());
                    self.desk.note(Fact::Forged { call, from, method }, now);
                }
            }
            sip::Event::SlipEnded { slip, reply } => {
                self.desk.out.push_back(Output::SlipEnded { slip, reply });
            }
            sip::Event::Dropped { from, why } => {
                figures::add(&mut self.figures.dropped, why, 1);
                self.dropped.0 += 1;
                self.dropped.1 = Some((from, why));
            }
        }
    }

    fn on_leg(&mut self, leg: LegId, event: LegEvent, now: Now) {
        let Some(id) = self.desk.legs.get(&leg).copied() else { return };
        match &event {
            LegEvent::Cancelled { .. } | LegEvent::Refused { .. } | LegEvent::Ended(_) => {
                self.desk.legs.remove(&leg);
            }
            LegEvent::Answer { .. }
            | LegEvent::OfferRefused { .. }
            | LegEvent::Progress { .. }
            | LegEvent::Answered { .. }
            | LegEvent::Offer { .. }
            | LegEvent::Refer { .. }
            | LegEvent::Key(_) => {}
        }
        if self.calls.contains_key(&id) {
            self.turn(id, |call, desk| call.handle_leg(leg, event, desk, now));
        } else {
            self.on_orphan(leg, &event, now);
        }
    }

    /// A leg whose call is over: a phone that was picked up as it was cancelled.
    fn on_orphan(&mut self, leg: LegId, event: &LegEvent, now: Now) {
        match event {
            LegEvent::Answered { .. } => self.desk.sip.bye(leg, now),
            LegEvent::Offer { .. } => self.desk.sip.refuse_offer(leg, 488, now),
            LegEvent::Refer { .. } => self.desk.sip.refuse_refer(leg, 603, now),
            LegEvent::Cancelled { .. }
            | LegEvent::Answer { .. }
            | LegEvent::OfferRefused { .. }
            | LegEvent::Progress { .. }
            | LegEvent::Refused { .. }
            | LegEvent::Key(_)
            | LegEvent::Ended(_) => {}
        }
    }

    fn on_timeout(&mut self, now: Now) {
        self.desk.sip.handle_timeout(now);
        self.desk.channels.handle_timeout(now.mono);
        for id in self.calls.due(now.mono, |call| call.deadline(&self.desk)) {
            self.turn(id, |call, desk| call.handle_timeout(desk, now));
        }
    }
}
