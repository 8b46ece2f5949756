//! A telephone without sockets: the SIP endpoint of this program, a hand that answers or not, and
//! a voice.

mod session;
mod texts;
mod voice;

pub use session::{Able, PCMA, PCMU, Remote};
pub use voice::{Heard, SILENCE, sound};

use crate::protocol::now::{Deadline, Mono, Now, earlier};
use crate::protocol::random::Random;
use crate::protocol::sip::endpoint::Endpoint;
use crate::protocol::sip::{self, Account, Ending, Identity, LegId, Outgoing, Peer, Transmit};
use std::collections::VecDeque;
use std::net::SocketAddr;
use std::time::Duration;
use voice::Voice;

#[derive(Debug, Clone)]
pub struct Plan {
    pub account: Account,
    /// Where the phone speaks and listens.
    pub rtp: SocketAddr,
    pub manner: Manner,
    pub able: Able,
    /// Sends the sound of a quiet room when there is nothing to say, as most phones do.
    pub keeps_talking: bool,
}

/// What the phone does when it is called while it is on the hook. Off the hook it is busy.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Manner {
    /// Rings until somebody picks up.
    Rings,
    Answers {
        after: Duration,
    },
    /// Rings, then refuses; at once and without ringing when `after` is zero.
    Refuses {
        after: Duration,
        status: u16,
    },
    /// Reads every message and says nothing to an INVITE but 100.
    Stunned,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum State {
    OnHook,
    Dialling,
    Ringing,
    Talking,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Event {
    Registered,
    RegistrationFailed {
        status: u16,
    },
    /// Somebody calls.
    Rings {
        from: Identity,
    },
    /// Our call rings at the other end.
    RingsThere,
    Talks,
    /// Our call was refused.
    Refused {
        status: u16,
    },
    /// The caller gave up, or our refusal went out.
    Stopped,
    /// The conversation is over.
    Ended {
        ending: Ending,
    },
}

struct Call {
    leg: LegId,
    state: State,
    /// What the hand does next by itself.
    next: Option<(Mono, Move)>,
    offer: Option<Remote>,
    /// The receiver is down already; the other side does not know yet.
    given_up: bool,
}

#[derive(Debug, Clone, Copy)]
enum Move {
    PickUp,
    Refuse(u16),
}

/// **Handle one thing, drain `poll_transmit`, `poll_rtp` and `poll_event`, then wait for the next
/// message, packet or `poll_timeout`.**
pub struct Phone {
    plan: Plan,
    endpoint: Endpoint,
    call: Option<Call>,
    /// Of our session description.
    version: u32,
    voice: Option<Voice>,
    packets: VecDeque<(SocketAddr, Vec<u8>)>,
    events: VecDeque<Event>,
    texts: texts::Texts,
    random: Random,
}

impl Phone {
    pub fn new(plan: Plan, mut random: Random) -> Self {
        let endpoint = Endpoint::new(plan.account.clone(), random.fork());
        let (packets, events) = (VecDeque::new(), VecDeque::new());
        let texts = texts::Texts::default();
        Self { plan, endpoint, call: None, version: 1, voice: None, packets, events, texts, random }
    }

    pub fn handle_message(&mut self, from: Peer, bytes: &[u8], now: Now) {
        if self.texts.take(from, bytes) {
            return;
        }
        self.endpoint.handle_message(from, bytes, now);
        self.follow(now);
    }

    pub fn handle_packet(&mut self, from: SocketAddr, bytes: &[u8], now: Now) {
        if let Some(voice) = self.voice.as_mut().filter(|voice| voice.remote.addr == from) {
            voice.handle_packet(bytes, now);
        }
    }

    /// Everything that is due at `now`. A spurious call is harmless.
    pub fn handle_timeout(&mut self, now: Now) {
        self.endpoint.handle_timeout(now);
        self.follow(now);
        let due = self.call.as_mut().filter(|call| call.next.is_some_and(|(at, _)| at <= now.mono));
        match due.and_then(|call| call.next.take()) {
            Some((_, Move::PickUp)) => self.pick_up(now),
            Some((_, Move::Refuse(status))) => self.refuse(status, now),
            None => {}
        }
        if self.is_off_the_hook()
            && let Some(voice) = &mut self.voice
        {
            while let Some(packet) = voice.poll_packet(now) {
                self.packets.push_back((voice.remote.addr, packet));
            }
        }
    }

    pub fn poll_transmit(&mut self) -> Option<Transmit> {
        self.texts.poll().or_else(|| self.endpoint.poll_transmit())
    }

    pub fn poll_rtp(&mut self) -> Option<(SocketAddr, Vec<u8>)> {
        self.packets.pop_front()
    }

    pub fn poll_event(&mut self) -> Option<Event> {
        self.events.pop_front()
    }

    pub fn poll_timeout(&self) -> Option<Deadline> {
        let hand = self.call.as_ref().and_then(|call| call.next);
        let hand = hand.map(|(at, _)| (at, "the hand moves"));
        let voice = self.voice.as_ref().filter(|_| self.is_off_the_hook());
        let voice = voice.and_then(Voice::deadline);
        earlier(self.endpoint.poll_timeout(), earlier(hand, voice))
    }

    pub fn state(&self) -> State {
        self.call.as_ref().map_or(State::OnHook, |call| call.state)
    }

    /// Open transactions and sessions.
    pub fn load(&self) -> (usize, usize) {
        self.endpoint.load()
    }

    pub fn set_manner(&mut self, manner: Manner) {
        self.plan.manner = manner;
    }

    pub fn set_able(&mut self, able: Able) {
        self.plan.able = able;
    }

    /// From now on it takes what it is sent to be shown, with this status.
    pub fn shows_texts(&mut self, status: u16) {
        self.texts.status = Some(status);
    }

    /// What it was sent to be shown: each request's method and body.
    pub fn shown(&self) -> &[(String, String)] {
        &self.texts.shown
    }

    pub fn register(&mut self, now: Now) {
        self.endpoint.register(now);
    }

    pub fn unregister(&mut self, now: Now) {
        self.endpoint.unregister(now);
    }

    pub fn dial(&mut self, target: &str, now: Now) {
        if self.call.is_some() {
            return;
        }
        let sdp = session::describe(self.plan.able, self.plan.rtp, None, self.version);
        let call = Outgoing {
            target: target.to_owned(),
            aor: sip::AorId::default(),
            display: self.plan.account.display.clone(),
            from_user: None,
            sdp,
            headers: vec![],
        };
        let leg = self.endpoint.invite(call, now);
        self.call =
            Some(Call { leg, state: State::Dialling, next: None, offer: None, given_up: false });
        self.follow(now);
    }

    pub fn pick_up(&mut self, now: Now) {
        let Some(call) = self.call.as_mut().filter(|call| call.state == State::Ringing) else {
            return;
        };
        call.next = None;
        call.state = State::Talking;
        let answer = session::describe(self.plan.able, self.plan.rtp, call.offer, self.version);
        self.endpoint.answer(call.leg, answer, now);
        let offer = call.offer;
        self.begin_to_talk(offer, now);
        self.follow(now);
    }

    /// Refuses a call that rings.
    pub fn refuse(&mut self, status: u16, now: Now) {
        if let Some(call) = self.call.take_if(|call| call.state == State::Ringing) {
            self.endpoint.refuse(call.leg, status, None, now);
            self.events.push_back(Event::Stopped);
            self.follow(now);
        }
    }

    /// Puts the receiver down: gives up dialling, declines what rings, ends what was answered.
    pub fn hang_up(&mut self, now: Now) {
        let Some(call) = self.call.as_mut().filter(|call| !call.given_up) else { return };
        call.given_up = call.state != State::Ringing;
        match (call.leg, call.state) {
            (leg, State::Dialling) => self.endpoint.cancel(leg, now),
            (leg, State::Talking) => self.endpoint.bye(leg, now),
            (_, State::Ringing) => self.refuse(603, now),
            (_, State::OnHook) => {}
        }
        self.follow(now);
    }

    /// Takes its voice to another address in the middle of the call, as a PBX with direct media does.
    pub fn move_to(&mut self, rtp: SocketAddr, now: Now) {
        self.plan.rtp = rtp;
        self.version += 1;
        let remote = self.remote();
        if let Some(call) = self.call.as_ref().filter(|call| call.state == State::Talking) {
            self.endpoint.offer(
                call.leg,
                session::describe(self.plan.able, rtp, remote, self.version),
                now,
            );
        }
        self.follow(now);
    }

    /// Where its voice is.
    pub fn rtp(&self) -> SocketAddr {
        self.plan.rtp
    }

    /// G.711 in the codec of the call. Without a call, or before it is answered, nobody hears it.
    pub fn say(&mut self, speech: &[u8], now: Now) {
        if let Some(voice) = &mut self.voice {
            voice.say(speech, now);
        }
    }

    pub fn press(&mut self, key: char, now: Now) {
        if !self.plan.able.keys
            && let Some(call) = &self.call
        {
            self.endpoint.press(call.leg, key, now);
            return self.follow(now);
        }
        if let Some(voice) = &mut self.voice {
            voice.press(key, now);
        }
    }

    /// Whether it still speaks or presses keys.
    pub fn is_speaking(&self) -> bool {
        self.is_off_the_hook() && self.voice.as_ref().is_some_and(Voice::is_busy)
    }

    /// What was heard in this conversation, or the last one.
    pub fn heard(&self) -> &[Heard] {
        self.voice.as_ref().map_or(&[], Voice::heard)
    }

    pub fn remote(&self) -> Option<Remote> {
        self.voice.as_ref().map(|voice| voice.remote)
    }

    fn follow(&mut self, now: Now) {
        while let Some(event) = self.endpoint.poll_event() {
            self.on_event(event, now);
        }
    }

    fn on_event(&mut self, event: sip::Event, now: Now) {
        match event {
            sip::Event::Incoming { leg, invite } => self.on_incoming(leg, *invite, now),
            sip::Event::Cancelled { leg, .. } => self.gone(leg, Event::Stopped),
            sip::Event::Progress { leg, status: 180..=189, .. } if self.is_call(leg) => {
                self.events.push_back(Event::RingsThere);
            }
            sip::Event::Answered { leg, sdp } => self.on_answered(leg, sdp, now),
            sip::Event::Refused { leg, status, .. } => self.gone(leg, Event::Refused { status }),
            sip::Event::Offer { leg, sdp } => self.on_offer(leg, sdp, now),
            sip::Event::Ended { leg, ending } => self.gone(leg, Event::Ended { ending }),
            sip::Event::Registered { .. } => self.events.push_back(Event::Registered),
            sip::Event::RegistrationFailed { status, .. } => {
                self.events.push_back(Event::RegistrationFailed { status });
            }
            sip::Event::Progress { .. }
            | sip::Event::Confirmed { .. }
            | sip::Event::Answer { .. }
            | sip::Event::OfferRefused { .. }
            | sip::Event::Info { .. }
            | sip::Event::Refer { .. }
            | sip::Event::Unregistered
            | sip::Event::Moved { .. }
            | sip::Event::NotMoved { .. }
            | sip::Event::TurnedAway(_)
            | sip::Event::Intruded(_)
            | sip::Event::Forged { .. }
            | sip::Event::SlipEnded { .. }
            | sip::Event::Dropped { .. } => {}
        }
    }

    fn on_incoming(&mut self, leg: LegId, invite: sip::Incoming, now: Now) {
        if let Some(fault) = invite.fault {
            return self.endpoint.refuse(leg, fault.status, None, now);
        }
        if self.call.is_some() {
            return self.endpoint.refuse(leg, 486, None, now);
        }
        let offer = match invite.sdp.as_deref().map(|sdp| session::understand(self.plan.able, sdp))
        {
            Some(None) => return self.endpoint.refuse(leg, 488, None, now),
            Some(offer) => offer,
            None => None,
        };
        let next = match self.plan.manner {
            Manner::Refuses { after: Duration::ZERO, status } => {
                return self.endpoint.refuse(leg, status, None, now);
            }
            Manner::Refuses { after, status } => Some((now.mono + after, Move::Refuse(status))),
            Manner::Answers { after } => Some((now.mono + after, Move::PickUp)),
            Manner::Rings | Manner::Stunned => None,
        };
        self.call = Some(Call { leg, state: State::Ringing, next, offer, given_up: false });
        if self.plan.manner != Manner::Stunned {
            self.endpoint.ring(leg, None, now);
        }
        self.events.push_back(Event::Rings { from: invite.claims.from() });
    }

    fn on_answered(&mut self, leg: LegId, sdp: Option<Vec<u8>>, now: Now) {
        let remote = sdp.as_deref().and_then(|sdp| session::understand(self.plan.able, sdp));
        match self.call.as_mut().filter(|call| call.leg == leg) {
            Some(call) if remote.is_some() && !call.given_up => {
                call.state = State::Talking;
                self.begin_to_talk(remote, now);
            }
            _ => self.endpoint.bye(leg, now),
        }
    }

    fn on_offer(&mut self, leg: LegId, sdp: Option<Vec<u8>>, now: Now) {
        let offer = sdp.as_deref().map(|sdp| session::understand(self.plan.able, sdp));
        match (offer, &mut self.voice) {
            (Some(None), _) | (_, None) => self.endpoint.refuse_offer(leg, 488, now),
            (Some(Some(remote)), Some(voice)) => {
                voice.remote = remote;
                let answer =
                    session::describe(self.plan.able, self.plan.rtp, Some(remote), self.version);
                self.endpoint.accept_offer(leg, answer, now);
            }
            (None, Some(voice)) => {
                let offer = session::describe(
                    self.plan.able,
                    self.plan.rtp,
                    Some(voice.remote),
                    self.version,
                );
                self.endpoint.accept_offer(leg, offer, now);
            }
        }
    }

    fn begin_to_talk(&mut self, remote: Option<Remote>, now: Now) {
        let ssrc = self.random.u32();
        self.voice = remote.map(|remote| Voice::new(remote, ssrc, self.plan.keeps_talking, now));
        self.events.push_back(Event::Talks);
    }

    fn is_off_the_hook(&self) -> bool {
        self.call.as_ref().is_some_and(|call| call.state == State::Talking && !call.given_up)
    }

    fn is_call(&self, leg: LegId) -> bool {
        self.call.as_ref().is_some_and(|call| call.leg == leg)
    }

    fn gone(&mut self, leg: LegId, event: Event) {
        if self.call.take_if(|call| call.leg == leg).is_some() {
            self.events.push_back(event);
        }
    }
}
