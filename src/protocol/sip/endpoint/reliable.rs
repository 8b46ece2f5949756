//! Provisional responses of ours, reliable where the caller can (RFC 3262 §3, §5): repeated until
//! their PRACK, and what has to wait for it.

use super::Endpoint;
use super::legs::State;
use crate::protocol::now::{Deadline, Mono, Now};
use crate::protocol::sip::message::{Method, Request};
use crate::protocol::sip::transaction::{PATIENCE, T1};
use crate::protocol::sip::{Ending, Event, LegId, Peer, Transmit};
use serde::{Deserialize, Serialize};
use std::time::Duration;

#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub enum Wish {
    #[default]
    None,
    /// Reliable where it carries a description.
    Supported,
    /// Reliable always.
    Required,
}

impl Wish {
    pub fn of(invite: &Request) -> Self {
        match () {
            () if invite.wire.has("require", "100rel") => Wish::Required,
            () if invite.wire.has("supported", "100rel") => Wish::Supported,
            () => Wish::None,
        }
    }
}

/// A response that waits for its PRACK.
#[derive(Debug, Clone, Serialize, Deserialize)]
struct Waiting {
    rseq: u32,
    sent: Transmit,
    describes: bool,
    interval: Duration,
    again: Mono,
    give_up: Mono,
}

#[derive(Debug, Clone, Default, Serialize, Deserialize)]
pub struct Reliable {
    wish: Wish,
    /// Of the last one sent.
    rseq: u32,
    waiting: Option<Waiting>,
    /// One for after the PRACK: status and description.
    next: Option<(u16, Option<Vec<u8>>)>,
    /// Our description that was sent reliably.
    said: Option<Vec<u8>>,
    /// The owner's answer to the INVITE: a 2xx must not overtake a description (§3).
    answer: Option<Vec<u8>>,
}

impl Reliable {
    /// `first` is below 2³¹ (§3).
    pub fn new(wish: Wish, first: u32) -> Self {
        Self { wish, rseq: first, ..Self::default() }
    }

    /// The 2xx need not describe anything (RFC 6337 §3.1.1).
    pub fn has_described(&self) -> bool {
        self.said.is_some()
    }

    /// The first offer is answered: UPDATE may bring others (RFC 3311 §5.1).
    pub fn is_agreed(&self) -> bool {
        let described = self.waiting.as_ref().is_some_and(|waiting| waiting.describes);
        self.said.is_some() && !described && self.answer.is_none()
    }

    /// The owner has answered, though the caller does not know yet.
    pub fn is_answered(&self) -> bool {
        self.answer.is_some()
    }

    /// Keeps the answer back where it must not be sent yet.
    pub fn hold(&mut self, answer: &[u8]) -> bool {
        let held = self.waiting.as_ref().is_some_and(|waiting| waiting.describes);
        if held {
            self.answer = Some(answer.to_vec());
        }
        held
    }

    pub fn poll_timeout(&self) -> Option<Deadline> {
        let waiting = self.waiting.as_ref()?;
        Some((waiting.again.min(waiting.give_up), "provisional response without PRACK"))
    }

    fn poll(&mut self, now: Mono) -> Option<Transmit> {
        let waiting = self.waiting.as_mut().filter(|waiting| waiting.again <= now)?;
        // Unlike a 2xx's, the interval has no cap.
        waiting.interval *= 2;
        waiting.again = now + waiting.interval;
        Some(waiting.sent.clone())
    }

    /// What is repeated goes there from now on.
    pub fn goes_to(&mut self, there: Peer) {
        if let Some(waiting) = &mut self.waiting {
            waiting.sent.to = there;
        }
    }

    /// Whether the response acknowledged had a description; `None` where there is no such one.
    fn acknowledge(&mut self, rack: Option<(u32, u32)>, cseq: u32) -> Option<bool> {
        let fits = |waiting: &mut Waiting| rack == Some((waiting.rseq, cseq));
        self.waiting.take_if(fits).map(|waiting| waiting.describes)
    }
}

impl Endpoint {
    pub(super) fn ring_call(&mut self, id: LegId, sdp: Option<Vec<u8>>, now: Now) {
        let status = if sdp.is_some() { 183 } else { 180 };
        self.send_provisional(id, status, sdp, now);
    }

    fn send_provisional(&mut self, id: LegId, status: u16, sdp: Option<Vec<u8>>, now: Now) {
        let Some(leg) = self.legs.get_mut(id) else { return };
        let State::Ringing { server, fault: None, offerless, .. } = &leg.state else { return };
        let (server, offerless, reliable) = (server.clone(), *offerless, &mut leg.reliable);
        if reliable.is_answered() {
            return;
        }
        // What was said reliably stands; it is not said again (RFC 6337 §3.1.1).
        let sdp = sdp.filter(|_| reliable.said.is_none());
        let plain = match reliable.wish {
            Wish::None => true,
            Wish::Supported => sdp.is_none(),
            Wish::Required => false,
        };
        if plain {
            self.reply(&server, status, vec![], sdp, now);
            return;
        }
        if reliable.waiting.is_some() {
            let news = sdp.is_some() || reliable.next.is_none();
            if news {
                reliable.next = Some((status, sdp));
            }
            return;
        }
        // §5: the first reliable response has to make the offer that the INVITE did not.
        if offerless && reliable.said.is_none() && sdp.is_none() {
            return;
        }
        reliable.rseq += 1;
        let rseq = reliable.rseq;
        let headers =
            vec![("Require", b"100rel".to_vec()), ("RSeq", rseq.to_string().into_bytes())];
        let Some(sent) = self.reply(&server, status, headers, sdp.clone(), now) else { return };
        let Some(leg) = self.legs.get_mut(id) else { return };
        leg.reliable.waiting = Some(Waiting {
            rseq,
            sent,
            describes: sdp.is_some(),
            interval: T1,
            again: now.mono + T1,
            give_up: now.mono + PATIENCE,
        });
        leg.exchange.say(sdp.as_deref());
        leg.reliable.said = sdp.or(leg.reliable.said.take());
    }

    /// A PRACK of the caller; its description answers ours, or offers anew (§5).
    pub(super) fn on_prack(&mut self, id: LegId, request: &Request, from: Peer, now: Now) {
        let Some(leg) = self.legs.get_mut(id) else { return };
        let (cseq, offerless) = match &leg.state {
            State::Ringing { cseq, offerless, .. } => (*cseq, *offerless),
            // §3: a final response may overtake the PRACK.
            State::Established { .. } => (request.rack().map_or(0, |(_, cseq)| cseq), false),
            State::Calling { .. } | State::Closing { .. } => (0, false),
        };
        let Some(describes) = leg.reliable.acknowledge(request.rack(), cseq) else {
            return self.respond(request, from, 481, now);
        };
        match request.sdp() {
            Some(sdp) if offerless && describes => {
                leg.exchange.heard(Some(&sdp));
                self.respond(request, from, 200, now);
                self.report(Event::Answer { leg: id, sdp });
            }
            Some(_) if leg.reliable.said.is_some() && leg.offer.is_none() => {
                let tag = leg.local_tag.clone();
                let server = self.open_server(request, from, Some(id), tag);
                self.take_offer(id, server, request, Method::PRack);
            }
            Some(_) | None => self.respond(request, from, 200, now),
        }
        self.go_on_ringing(id, now);
    }

    /// Sends what waited for a PRACK.
    pub(super) fn go_on_ringing(&mut self, id: LegId, now: Now) {
        let Some(leg) = self.legs.get_mut(id) else { return };
        if leg.offer.is_some() || leg.reliable.waiting.is_some() {
            return;
        }
        if let Some(answer) = leg.reliable.answer.take() {
            return self.answer_call(id, answer, now);
        }
        if let Some((status, sdp)) = leg.reliable.next.take() {
            self.send_provisional(id, status, sdp, now);
        }
        self.pursue(id, now);
    }

    pub(super) fn reliable_timeout(&mut self, id: LegId, now: Now) {
        let Some(leg) = self.legs.get_mut(id) else { return };
        let State::Ringing { server, .. } = &leg.state else { return };
        let (server, reliable) = (server.clone(), &mut leg.reliable);
        if reliable.waiting.as_ref().is_none_or(|waiting| now.mono < waiting.give_up) {
            if let Some(again) = reliable.poll(now.mono) {
                self.transmit(again);
            }
            return;
        }
        reliable.waiting = None;
        match reliable.wish {
            Wish::Required => {
                self.reply(&server, 504, vec![], None, now);
                self.forget_caller(id, Ending::Lost, false, now);
            }
            // Who merely can is served as one who cannot: the call goes on.
            Wish::Supported | Wish::None => {
                (reliable.wish, reliable.said) = (Wish::None, None);
                self.go_on_ringing(id, now);
            }
        }
    }

    /// A caller is gone before our final response could reach it.
    pub(super) fn forget_caller(&mut self, id: LegId, ending: Ending, elsewhere: bool, now: Now) {
        self.drop_offer(id, now);
        let Some(leg) = self.legs.remove(id) else { return };
        self.report(match leg.reliable.is_answered() {
            true => Event::Ended { leg: id, ending },
            false => Event::Cancelled { leg: id, elsewhere },
        });
    }
}
