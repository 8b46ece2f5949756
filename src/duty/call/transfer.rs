//! The officer's phone hands its conversation to another number (REFER): that one is called while
//! the two go on; it takes the officer's place when it answers, and nothing changes when it does not.

use super::desk::Desk;
use super::leg::Leg;
use crate::duty::dial_plan;
use crate::duty::ids::CallId;
use crate::duty::journal::{Fact, Joining};
use crate::protocol::now::{Deadline, Mono, Now};
use crate::protocol::rtp::{Channel, Party};
use crate::protocol::sdp::{self, Direction, Local, Policy, Session};
use crate::protocol::sip::{LegId, Outgoing, Referred};
use serde::{Deserialize, Serialize};
use std::time::Duration;

/// How long the target rings; shorter than the referrer is kept informed (RFC 3515 §2.4.5).
const RING: Duration = Duration::from_secs(40);

/// The call to whom the conversation is handed.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Transfer {
    pub leg: LegId,
    /// As the log names it.
    pub name: String,
    channel: Channel,
    local: Local,
    until: Mono,
    early: Option<Vec<u8>>,
    rang: bool,
    /// The caller hears it ring.
    pub tone: bool,
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
        if !may_ask(call, refer, desk, now) {
            return refused(603, desk);
        }
        let keep = desk.plan.reserved_channels;
        let Some(channel) = desk.channels.lend(call, Party::Officer, keep) else {
            return refused(503, desk);
        };
        let srtp = policy_of(&refer.user, desk);
        let local = desk.local_with(channel, srtp);
        let spoken = caller.stream.map(|stream| stream.codec);
        let codecs = sdp::codecs_beside(spoken);
        let line = |name: &str, value: &Option<String>| {
            value.as_ref().map(|value| (name.to_owned(), value.clone()))
        };
        let mut headers: Vec<_> = line("Referred-By", &refer.by).into_iter().collect();
        if let Some(replaces) = line("Replaces", &refer.replaces) {
            // RFC 5589 §7.3: a target that cannot must not ring as if it were a new call.
            headers.extend([replaces, ("Require".to_owned(), "replaces".to_owned())]);
        }
        let outgoing = Outgoing {
            target: refer.user.clone(),
            display: shown.to_owned(),
            from_user: None,
            sdp: sdp::offer(&local, &codecs, Some(sdp::EVENT_PT), Direction::SendRecv),
            headers,
        };
        let leg = desk.dial(call, outgoing, now);
        let until = now.mono + RING;
        let (early, rang, tone) = (None, false, false);
        Ok(Self { leg, name, channel, local, until, early, rang, tone })
    }

    /// What the target says while it rings; the status to tell the referrer, once.
    pub fn handle_progress(&mut self, status: u16, sdp: Option<Vec<u8>>) -> Option<u16> {
        self.early = sdp.or(self.early.take());
        let first = status >= 180 && !self.rang;
        self.rang |= first;
        first.then_some(status)
    }

    /// It wants its session otherwise while it rings.
    pub fn handle_offer(&mut self, sdp: Option<&[u8]>, caller: &Leg, desk: &mut Desk, now: Now) {
        let codec = caller.stream.map(|stream| stream.codec);
        let fits = |session: &Session| match codec {
            Some(codec) => session.stream_beside(codec),
            None => Some(session.stream()),
        };
        let end = (&mut self.local, &mut self.early);
        desk.early_offer(self.leg, Some(self.channel), end, sdp, fits, now);
    }

    /// The target's end of the conversation; none where its description cannot be used.
    pub fn leg(&self, sdp: Option<&[u8]>, caller: &Leg) -> Option<Leg> {
        let session = self.local.read(sdp.or(self.early.as_deref())?).ok()?;
        leg(self.leg, self.channel, self.local, &session, caller)
    }

    /// The target does not take it: its channel is free.
    pub fn over(&self, call: CallId, status: u16, desk: &mut Desk, now: Now) {
        desk.note(Fact::NotTaken { call, phone: self.name.clone(), status }, now);
        desk.close(self.channel, now);
    }

    pub fn deadline(&self) -> Deadline {
        (self.until, "whom the call is handed to does not answer")
    }

    pub fn is_due(&self, now: Mono) -> bool {
        self.until <= now
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
    let phone = desk.plan.phones.iter().find(|phone| dial_plan::user(&phone.target) == number);
    let number = || number.chars().filter(|c| !c.is_control()).take(dial_plan::NUMBER_MAX);
    phone.map_or_else(|| number().collect(), |phone| phone.name.clone())
}

/// Whether the leg to this number is encrypted.
pub fn policy_of(number: &str, desk: &Desk) -> Policy {
    let phone = desk.plan.phones.iter().find(|phone| dial_plan::user(&phone.target) == number);
    phone.and_then(|phone| phone.srtp).unwrap_or(desk.plan.srtp.line)
}

/// T9: from the PBX alone, to nobody but whom the site names, never to ourselves.
fn may_ask(call: CallId, refer: &Referred, desk: &mut Desk, now: Now) -> bool {
    let numbering = &desk.plan.callers.numbering;
    let plain = numbering.read(&refer.user).plain;
    let mut ways = vec![refer.user.as_str()];
    if numbering.to_dial(&plain) == refer.user {
        ways.push(&plain);
    }
    let account = &desk.plan.account;
    account.is_pbx(refer.source.addr.ip())
        && refer.user != account.user
        && desk.permits(call, &[&refer.user], now).is_ok()
}
