//! The officers' phones of one call while it has no officer: each begins when the plan says so, one
//! takes the call. Each rings on a channel of its own, so that what one sends early is not the other's.
//!
//! ```text
//!  waiting ──its turn, its time──► ringing ──200──► has the call
//!                                   │  │                ▲
//!                       refused ◄───┘  └─ring time─► given up (a 200 that crosses our CANCEL counts)
//! ```

use super::caller::Caller;
use super::desk::Desk;
use super::ring_plan::{NotTaken, Ring, Verdict, verdict};
use crate::duty::ids::CallId;
use crate::duty::journal::Fact;
use crate::duty::line_plan::Begins;
use crate::protocol::now::{Deadline, Mono, Now, earlier};
use crate::protocol::rtp::{Channel, Party};
use crate::protocol::sdp::{self, Direction, Session};
use crate::protocol::sip::{LegId, Outgoing};
use serde::{Deserialize, Serialize};
use std::collections::VecDeque;
use std::time::Duration;

/// A phone of which the PBX says nothing at all for so long is passed over.
const NO_REPLY: Duration = Duration::from_secs(6);
/// How long the last phones have to say how their CANCEL went.
const LAST_CHANCE: Duration = Duration::from_secs(2);

#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Ringing {
    call: CallId,
    /// When the round began, or will.
    began: Mono,
    /// Lent when the call came: one phone can always ring.
    spare: Option<Channel>,
    /// Places in the plan of the phones that have not begun, in order.
    waiting: VecDeque<usize>,
    rings: Vec<Ring>,
    /// Phones whose ringing was given up and whose final response is still to come.
    given_up: Vec<Ring>,
    not_taken: Vec<NotTaken>,
    last_chance: Option<Mono>,
}

/// The phone that takes the call, and its end of the session.
#[derive(Debug, Clone)]
pub struct Taken {
    pub ring: Ring,
    pub channel: Channel,
    pub session: Session,
}

/// A phone has said that it rings; with `early`, that it may be heard already, on that channel.
#[derive(Debug, Clone)]
pub struct Rings {
    pub leg: LegId,
    pub early: Option<(Channel, Session)>,
}

impl Ringing {
    /// Rings nobody yet.
    pub fn new(call: CallId, spare: Channel, now: Mono) -> Self {
        Self {
            call,
            began: now,
            spare: Some(spare),
            waiting: VecDeque::new(),
            rings: vec![],
            given_up: vec![],
            not_taken: vec![],
            last_chance: None,
        }
    }

    /// A new round in so long: the whole plan from its beginning.
    pub fn begin(&mut self, wait: Duration, caller: &Caller, desk: &mut Desk, now: Now) {
        self.began = now.mono + wait;
        self.waiting = desk.plan.rings_of(caller.aor).into();
        self.not_taken.clear();
        self.last_chance = None;
        self.advance(caller, desk, now);
    }

    pub fn is_ringing(&self) -> bool {
        !self.rings.is_empty()
    }

    pub fn rings(&self, leg: LegId) -> bool {
        self.rings.iter().any(|ring| ring.leg == leg)
    }

    /// Rings every phone whose turn or time has come.
    pub fn advance(&mut self, caller: &Caller, desk: &mut Desk, now: Now) {
        while let Some(place) = self.next(caller, desk, now.mono) {
            self.ring(place, caller, desk, now);
        }
        let replied = self.given_up.iter().any(|ring| ring.replied);
        if self.all_tried() && replied && self.last_chance.is_none() {
            self.last_chance = Some(now.mono + LAST_CHANCE);
        }
    }

    /// How the round ended, once no phone is left that could take the call.
    pub fn verdict(&self) -> Option<Verdict> {
        let settled = self.last_chance.is_none() || self.given_up.is_empty();
        (self.all_tried() && settled).then(|| verdict(&self.not_taken))
    }

    pub fn handle_progress(
        &mut self,
        leg: LegId,
        status: u16,
        sdp: Option<Vec<u8>>,
    ) -> Option<Rings> {
        let ring = self.rings.iter_mut().find(|ring| ring.leg == leg)?;
        if !ring.replied {
            ring.replied = true;
            ring.until = ring.started + ring.time;
        }
        ring.rang |= status >= 180;
        let session = sdp.as_deref().and_then(|sdp| ring.local.read(sdp).ok());
        ring.early = sdp.or(ring.early.take());
        (status >= 180).then_some(Rings { leg, early: ring.channel.zip(session) })
    }

    /// A phone that rings wants its session otherwise.
    pub fn handle_offer(
        &mut self,
        leg: LegId,
        sdp: Option<&[u8]>,
        caller: &Caller,
        desk: &mut Desk,
        now: Now,
    ) {
        let mut all = self.rings.iter_mut().chain(&mut self.given_up);
        let Some(ring) = all.find(|ring| ring.leg == leg) else {
            return desk.sip.refuse_offer(leg, 488, now);
        };
        let end = (&mut ring.local, &mut ring.early);
        desk.early_offer(leg, ring.channel, end, sdp, |session| caller.stream_for(session), now);
    }

    /// A phone was picked up; it has the call unless its description cannot be used, or its
    /// channel was needed for the next one.
    pub fn handle_answered(
        &mut self,
        leg: LegId,
        sdp: Option<&[u8]>,
        caller: &Caller,
        desk: &mut Desk,
        now: Now,
    ) -> Option<Taken> {
        let Some(ring) = self.take(leg) else {
            desk.sip.bye(leg, now);
            return None;
        };
        let session = sdp.or(ring.early.as_deref()).and_then(|sdp| {
            let read = ring.local.read(sdp);
            read.inspect_err(|fault| desk.note_secrecy(leg, fault, now)).ok()
        });
        let session = session.filter(|session| caller.stream_for(session).is_some());
        match ring.channel.zip(session) {
            Some((channel, session)) => Some(Taken { ring, channel, session }),
            None => {
                desk.sip.bye(leg, now);
                self.refused_by(ring, 488, desk, now);
                None
            }
        }
    }

    pub fn handle_refused(&mut self, leg: LegId, status: u16, desk: &mut Desk, now: Now) {
        if let Some(at) = self.given_up.iter().position(|ring| ring.leg == leg) {
            let ring = self.given_up.remove(at);
            self.take_back(&ring, desk, now);
        } else if let Some(at) = self.rings.iter().position(|ring| ring.leg == leg) {
            let ring = self.rings.remove(at);
            self.refused_by(ring, status, desk, now);
        }
    }

    /// Gives up the phones that have rung for long enough.
    pub fn handle_timeout(&mut self, desk: &mut Desk, now: Now) {
        if self.last_chance.is_some_and(|until| until <= now.mono) {
            for ring in std::mem::take(&mut self.given_up) {
                self.take_back(&ring, desk, now);
            }
        }
        while let Some(at) = self.rings.iter().position(|ring| ring.until <= now.mono) {
            let ring = self.rings.remove(at);
            self.not_taken.push(if ring.rang { NotTaken::NoAnswer } else { NotTaken::Unreachable });
            self.cancel(ring, desk, now);
        }
    }

    pub fn deadline(&self, caller: &Caller, desk: &Desk) -> Option<Deadline> {
        let over = self.rings.iter().map(|ring| Some((ring.until, "officer's phone not answered")));
        let begins =
            self.waiting.iter().map(|place| match desk.plan.begins(caller.aor, *place)? {
                Begins::InTurn => None,
                Begins::After(wait) => Some((self.began + wait, "the next phone begins to ring")),
            });
        let idle = self.rings.is_empty() && !self.waiting.is_empty();
        let round = idle.then_some((self.began, "the phones are to ring"));
        let last = self.last_chance.filter(|_| self.all_tried() && !self.given_up.is_empty());
        let last = last.map(|until| (until, "last phone's CANCEL not answered"));
        over.chain(begins).chain([round]).fold(last, earlier)
    }

    /// Nobody is to ring any more; who is picked up all the same still has the call.
    pub fn stop(&mut self, desk: &mut Desk, now: Now) {
        self.waiting.clear();
        while let Some(ring) = self.rings.pop() {
            self.cancel(ring, desk, now);
        }
    }

    /// One phone has the call: the others have missed nothing.
    pub fn taken(&mut self, desk: &mut Desk, now: Now) {
        desk.freed |= self.is_ringing();
        for ring in std::mem::take(&mut self.rings) {
            desk.sip.cancel_taken(ring.leg, now);
            self.give_up(ring, desk, now);
        }
        self.close(desk, now);
    }

    /// As [`Ringing::stop`]; who is picked up now is hung up. Every channel is given back.
    pub fn close(&mut self, desk: &mut Desk, now: Now) {
        self.stop(desk, now);
        for ring in self.given_up.drain(..) {
            if let Some(channel) = ring.channel {
                desk.close(channel, now);
            }
        }
        if let Some(channel) = self.spare.take() {
            desk.close(channel, now);
        }
    }

    /// The phone whose turn or time it is.
    fn next(&self, caller: &Caller, desk: &Desk, now: Mono) -> Option<usize> {
        if now < self.began {
            return None;
        }
        self.waiting.iter().copied().enumerate().find_map(|(at, place)| {
            let first = at == 0;
            let due = match desk.plan.begins(caller.aor, place)? {
                Begins::InTurn => first && self.rings.iter().all(|ring| ring.phone > place),
                Begins::After(wait) => self.began + wait <= now || first && self.rings.is_empty(),
            };
            due.then_some(place)
        })
    }

    fn ring(&mut self, place: usize, caller: &Caller, desk: &mut Desk, now: Now) {
        self.waiting.retain(|waiting| *waiting != place);
        let Some(plan) = desk.plan.phones.get(place).cloned() else { return };
        let call = self.call;
        let Some(channel) = self.channel(desk) else {
            desk.note(Fact::Rung { call, phone: plan.name.clone() }, now);
            desk.note(Fact::NotTaken { call, phone: plan.name, status: 503 }, now);
            return self.not_taken.push(NotTaken::Unreachable);
        };
        let srtp = plan.srtp.unwrap_or(desk.plan.srtp.line);
        let local = desk.local(channel, srtp);
        let sdp = match &caller.offer {
            Some(offer) => sdp::offer_for(&local, offer, Direction::SendRecv),
            None => sdp::offer(&local, &sdp::CODECS, Some(sdp::EVENT_PT), Direction::SendRecv),
        };
        let outgoing = Outgoing {
            target: plan.target,
            aor: desk.calls_by(caller.aor),
            display: caller.shown.clone(),
            from_user: None,
            sdp,
            headers: vec![],
        };
        let leg = desk.dial(call, outgoing, now);
        desk.note(Fact::Rung { call, phone: plan.name.clone() }, now);
        self.rings.push(Ring {
            leg,
            phone: place,
            name: plan.name,
            time: plan.ring,
            channel: Some(channel),
            local,
            started: now.mono,
            until: now.mono + plan.ring.min(NO_REPLY),
            replied: false,
            rang: false,
            early: None,
        });
    }

    /// The spare one, another, or that of a phone which was given up.
    fn channel(&mut self, desk: &mut Desk) -> Option<Channel> {
        let keep = desk.plan.reserved_channels;
        self.spare
            .take()
            .or_else(|| desk.channels.lend(self.call, Party::Officer, keep))
            .or_else(|| self.given_up.iter_mut().find_map(|ring| ring.channel.take()))
    }

    fn take(&mut self, leg: LegId) -> Option<Ring> {
        let of = |ring: &Ring| ring.leg == leg;
        match self.rings.iter().position(of) {
            Some(at) => Some(self.rings.remove(at)),
            None => self.given_up.iter().position(of).map(|at| self.given_up.remove(at)),
        }
    }

    fn refused_by(&mut self, ring: Ring, status: u16, desk: &mut Desk, now: Now) {
        let phone = ring.name.clone();
        desk.note(Fact::NotTaken { call: self.call, phone, status }, now);
        self.not_taken.push(NotTaken::from_status(status, ring.rang));
        self.take_back(&ring, desk, now);
    }

    fn cancel(&mut self, ring: Ring, desk: &mut Desk, now: Now) {
        desk.sip.cancel(ring.leg, now);
        self.give_up(ring, desk, now);
    }

    fn give_up(&mut self, ring: Ring, desk: &mut Desk, now: Now) {
        let phone = ring.name.clone();
        desk.note(Fact::NotTaken { call: self.call, phone, status: 487 }, now);
        self.given_up.push(ring);
    }

    /// The phone's channel is the next one's.
    fn take_back(&mut self, ring: &Ring, desk: &mut Desk, now: Now) {
        let Some(channel) = ring.channel else { return };
        if self.spare.is_none() && !desk.channels.is_open(channel) {
            self.spare = Some(channel);
        } else {
            desk.close(channel, now);
        }
    }

    fn all_tried(&self) -> bool {
        self.waiting.is_empty() && self.rings.is_empty()
    }
}
