//! The officer's phone hands its conversation to another number (REFER): that one is called while
//! the two go on; it takes the officer's place when it answers, and nothing changes when it does not.

use super::calling::{Calling, Number, Speaks};
use super::desk::Desk;
use super::leg::Leg;
use crate::duty::dial_plan;
use crate::duty::ids::CallId;
use crate::duty::journal::{Fact, Joining};
use crate::duty::line_plan::Phone;
use crate::protocol::now::{Deadline, Mono, Now};
use crate::protocol::rtp::{Channel, Party};
use crate::protocol::sdp::{self, Local, Policy, Session};
use crate::protocol::sip::{LegId, Referred};
use serde::{Deserialize, Serialize};
use std::time::Duration;

/// How long the target rings, and how long it may take in all: the referrer is kept informed for longer (RFC 3515 §2.4.5).
const RING: Duration = Duration::from_secs(40);
const LONGEST: Duration = Duration::from_secs(55);

/// The call to whom the conversation is handed.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Transfer {
    /// As the log names it.
    pub name: String,
    calling: Calling,
    until: Mono,
    /// The caller hears it ring.
    pub tone: bool,
    /// He is at no phone of the plan.
    #[serde(default)]
    pub is_stranger: bool,
}

impl Transfer {
    /// Calls the target, or says why not: the status for the REFER. What is refused is noted too.
    pub fn dial(
        call: CallId,
        caller: &Leg,
        shown: &str,
        refer: &Referred,
        desk: &mut Desk,
        now: Now,
    ) -> Result<Self, u16> {
        let name = name_of(&refer.user, desk);
        desk.note(Fact::Joining { call, phone: name.clone(), how: Joining::Transfer }, now);
        let refused = |status: u16, desk: &mut Desk| {
            desk.note(Fact::NotTaken { call, phone: name.clone(), status }, now);
            Err(status)
        };
        let ways = ways(&refer.user, desk);
        let ways: Vec<&str> = ways.iter().map(String::as_str).collect();
        if !may_ask(call, (refer, &ways), desk, now) {
            return refused(603, desk);
        }
        let reserved = desk.plan.reserved_channels;
        let keep = if dial_plan::is_emergency(&ways) { 0 } else { reserved };
        let Some(channel) = desk.channels.lend(call, Party::Officer, keep) else {
            return refused(503, desk);
        };
        let line = |name: &str, value: &Option<String>| {
            value.as_ref().map(|value| (name.to_owned(), value.clone()))
        };
        let mut headers: Vec<_> = line("Referred-By", &refer.by).into_iter().collect();
        if let Some(replaces) = line("Replaces", &refer.replaces) {
            // RFC 5589 §7.3: a target that cannot must not ring as if it were a new call.
            headers.extend([replaces, ("Require".to_owned(), "replaces".to_owned())]);
        }
        let number = Number {
            target: &refer.user,
            display: shown,
            ring: RING,
            srtp: policy_of(&refer.user, desk),
            speaks: Speaks::Codec(caller.stream.map(|stream| stream.codec)),
            headers,
        };
        let calling = Calling::dial(call, channel, &number, desk, now);
        let is_stranger = phone_at(&refer.user, desk).is_none();
        Ok(Self { name, calling, until: now.mono + LONGEST, tone: false, is_stranger })
    }

    pub fn target(&self) -> LegId {
        self.calling.leg
    }

    /// What the target says while it rings; the status to tell the referrer, once.
    pub fn handle_progress(&mut self, status: u16, sdp: Option<Vec<u8>>, now: Now) -> Option<u16> {
        let rang = self.calling.rang();
        self.calling.handle_progress(status, sdp, now);
        (!rang && self.calling.rang()).then_some(status)
    }

    /// It wants its session otherwise while it rings.
    pub fn handle_offer(&mut self, sdp: Option<&[u8]>, caller: &Leg, desk: &mut Desk, now: Now) {
        let codec = caller.stream.map(|stream| stream.codec);
        let fits = |session: &Session| match codec {
            Some(codec) => session.stream_beside(codec),
            None => Some(session.stream()),
        };
        self.calling.handle_offer(sdp, fits, desk, now);
    }

    /// The target's end of the conversation; none where its description cannot be used.
    pub fn leg(&self, sdp: Option<&[u8]>, caller: &Leg, desk: &mut Desk, now: Now) -> Option<Leg> {
        let session = self.calling.answered(sdp, desk, now)?;
        leg(self.calling.leg, self.calling.channel, self.calling.local(), &session, caller)
    }

    /// The target does not take it: its channel is free.
    pub fn over(&self, call: CallId, status: u16, desk: &mut Desk, now: Now) {
        desk.note(Fact::NotTaken { call, phone: self.name.clone(), status }, now);
        desk.close(self.calling.channel, now);
    }

    pub fn deadline(&self) -> Deadline {
        let (until, _) = self.calling.deadline();
        (until.min(self.until), "whom the call is handed to does not answer")
    }

    pub fn is_due(&self, now: Mono) -> bool {
        self.deadline().0 <= now
    }
}

/// A phone's end of the session, in the caller's codec where it has that; none where the two have
/// nothing in common.
pub fn leg(
    id: LegId,
    channel: Channel,
    local: Local,
    session: &Session,
    caller: &Leg,
) -> Option<Leg> {
    let stream = match caller.stream.map(|stream| stream.codec) {
        Some(codec) => session.stream_for(codec).or_else(|| session.stream_beside(codec))?,
        None => session.stream(),
    };
    let said = sdp::answer(&local, session, &stream, session.direction.reversed());
    Some(Leg { theirs: session.direction, ..Leg::new(id, channel, local, Some(stream), said) })
}

/// A phone of the room by its name, anybody else by the number.
pub fn name_of(number: &str, desk: &Desk) -> String {
    let phone = phone_at(number, desk);
    let number = || number.chars().filter(|c| !c.is_control()).take(dial_plan::NUMBER_MAX);
    phone.map_or_else(|| number().collect(), |phone| phone.name.clone())
}

fn phone_at<'a>(number: &str, desk: &'a Desk) -> Option<&'a Phone> {
    desk.plan.phones.iter().find(|phone| dial_plan::user(&phone.target) == number)
}

/// Whether the leg to this number is encrypted.
pub fn policy_of(number: &str, desk: &Desk) -> Policy {
    phone_at(number, desk).and_then(|phone| phone.srtp).unwrap_or(desk.plan.srtp.line)
}

/// T9: from the PBX alone or a phone of our own, to nobody but whom the site names, never to ourselves.
fn may_ask(call: CallId, (refer, ways): (&Referred, &[&str]), desk: &mut Desk, now: Now) -> bool {
    (refer.ours || desk.sip.is_pbx(refer.source.addr.ip()))
        && !desk.plan.is_ours(&refer.user)
        && desk.permits(call, ways, now).is_ok()
}

/// How a number that is asked for may be written: with what the site dials before it, and without.
fn ways(asked: &str, desk: &Desk) -> Vec<String> {
    let numbering = &desk.plan.callers.numbering;
    let plain = numbering.read(asked).plain;
    let is_other = plain != asked && numbering.to_dial(&plain) == asked;
    [asked.to_owned()].into_iter().chain(is_other.then_some(plain)).collect()
}
