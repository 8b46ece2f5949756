//! One number that we call, until it answers or does not: what it has said so far, and until when it
//! may take.

use super::desk::Desk;
use crate::duty::ids::CallId;
use crate::protocol::now::{Deadline, Mono, Now};
use crate::protocol::rtp::{Channel, Codec, Stream};
use crate::protocol::sdp::{self, Direction, Local, Policy, Session};
use crate::protocol::sip::{AorId, LegId, Outgoing};
use serde::{Deserialize, Serialize};
use std::time::Duration;

/// A number of which the PBX says nothing at all for so long is not reached.
const NO_REPLY: Duration = Duration::from_secs(6);

/// What is to be called, and how.
#[derive(Debug, Clone)]
pub struct Number<'a> {
    pub target: &'a str,
    /// What its phone shows of us; may be empty.
    pub display: &'a str,
    pub ring: Duration,
    pub srtp: Policy,
    pub speaks: Speaks<'a>,
    /// Further lines of the INVITE.
    pub headers: Vec<(String, String)>,
}

/// What the other end of the conversation speaks.
#[derive(Debug, Clone, Copy)]
pub enum Speaks<'a> {
    /// This codec, or nothing is known of it.
    Codec(Option<Codec>),
    /// What it offered, and has no answer to.
    Offer(&'a Session),
}

/// It rings there; with `early`, it may be heard already.
#[derive(Debug, Clone)]
pub struct RingsThere {
    pub early: Option<Session>,
}

#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Calling {
    pub leg: LegId,
    pub channel: Channel,
    local: Local,
    ring: Duration,
    until: Mono,
    replied: bool,
    rang: bool,
    /// The description in a 18x: the answer where the 200 has none.
    early: Option<Vec<u8>>,
}

impl Calling {
    pub fn dial(
        call: CallId,
        channel: Channel,
        number: &Number<'_>,
        desk: &mut Desk,
        now: Now,
    ) -> Self {
        let local = desk.local(channel, number.srtp);
        let sdp = match number.speaks {
            Speaks::Offer(offer) => sdp::offer_for(&local, offer, Direction::SendRecv),
            Speaks::Codec(spoken) => {
                let codecs = sdp::codecs_beside(spoken);
                sdp::offer(&local, &codecs, Some(sdp::EVENT_PT), Direction::SendRecv)
            }
        };
        let outgoing = Outgoing {
            target: number.target.to_owned(),
            aor: desk.calls_by(AorId::default()),
            display: number.display.to_owned(),
            from_user: None,
            sdp,
            headers: number.headers.clone(),
        };
        let leg = desk.dial(call, outgoing, now);
        Self {
            leg,
            channel,
            local,
            ring: number.ring,
            until: now.mono + number.ring.min(NO_REPLY),
            replied: false,
            rang: false,
            early: None,
        }
    }

    /// What it says while it is not answered.
    pub fn handle_progress(
        &mut self,
        status: u16,
        sdp: Option<Vec<u8>>,
        now: Now,
    ) -> Option<RingsThere> {
        if !self.replied || status >= 180 && !self.rang {
            self.until = now.mono + self.ring;
        }
        (self.replied, self.rang) = (true, self.rang || status >= 180);
        let early = sdp.as_deref().and_then(|sdp| self.local.read(sdp).ok());
        self.early = sdp.or(self.early.take());
        (status >= 180).then_some(RingsThere { early })
    }

    /// It wants its session otherwise while it rings; `fits` says which stream goes with the other side.
    pub fn handle_offer(
        &mut self,
        sdp: Option<&[u8]>,
        fits: impl Fn(&Session) -> Option<Stream>,
        desk: &mut Desk,
        now: Now,
    ) {
        let end = (&mut self.local, &mut self.early);
        desk.early_offer(self.leg, Some(self.channel), end, sdp, fits, now);
    }

    /// It was picked up; none where its description cannot be used.
    pub fn answered(&self, sdp: Option<&[u8]>, desk: &mut Desk, now: Now) -> Option<Session> {
        let read = self.local.read(sdp.or(self.early.as_deref())?);
        read.inspect_err(|fault| desk.note_secrecy(self.leg, fault, now)).ok()
    }

    pub fn local(&self) -> Local {
        self.local
    }

    /// Whether it said that it rings.
    pub fn rang(&self) -> bool {
        self.rang
    }

    pub fn is_due(&self, now: Mono) -> bool {
        self.until <= now
    }

    pub fn deadline(&self) -> Deadline {
        (self.until, "the number that we call does not answer")
    }
}
