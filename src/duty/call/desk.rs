//! What a call works with: the SIP endpoint, the channels, and the tray of what goes out to the
//! world. Decides nothing.

use super::leg::Leg;
use super::queued::Queue;
use crate::duty::channels::Channels;
use crate::duty::checkpoint::{Marks, Unwritten};
use crate::duty::dial_plan::{Denial, Dialled, Permit};
use crate::duty::ids::{AttemptId, CallId, EntryId};
use crate::duty::journal::{Fact, Noted};
use crate::duty::ladder::{Ladder, Way};
use crate::duty::line_plan::LinePlan;
use crate::duty::switchboard::{LeaderCall, Output};
use crate::protocol::now::Now;
use crate::protocol::random::Random;
use crate::protocol::rtp::srtp::MasterKey;
use crate::protocol::rtp::{Channel, Codec, Command, Party, Stream, Wanted};
use crate::protocol::sdp::{self, Local, Policy, SdpFault, Session};
use crate::protocol::sip::endpoint::Endpoint;
use crate::protocol::sip::{AorId, LegId, Outgoing, Peer};
use std::collections::{BTreeMap, VecDeque};

pub struct Desk {
    pub plan: LinePlan,
    pub sip: Endpoint,
    pub channels: Channels,
    /// Whose each leg is, until the endpoint has reported its end.
    pub legs: BTreeMap<LegId, CallId>,
    pub queue: Queue,
    /// Whether each of our numbers is registered; none until the registrar has said anything of it.
    pub lines_up: BTreeMap<AorId, bool>,
    /// Leaders who have pressed 5 or 6: to talk to the officer, to join the call of their entry.
    pub leaving: Vec<(AttemptId, EntryId, char)>,
    /// What leaders were to be told of in a call that has ended before: each is called for it now.
    pub afresh: Vec<LeaderCall>,
    /// A phone may have become free since the queue was last looked at.
    pub freed: bool,
    /// Calls made for others today.
    pub dialled: Dialled,
    pub random: Random,
    pub out: VecDeque<Output>,
    pub unwritten: Unwritten,
    pub marks: Marks,
    pub ladder: Ladder,
}

impl Desk {
    pub fn note(&mut self, fact: Fact, now: Now) {
        self.tell(Noted { at: now, fact });
    }

    pub fn tell(&mut self, noted: Noted) {
        let lost = match &noted.fact {
            Fact::Ended { call, .. } => self.ladder.over(*call),
            Fact::AttemptEnded { attempt, .. } => self.ladder.over((*attempt).into()),
            _ => None,
        };
        self.out.extend(lost.map(Output::Traced));
        self.unwritten.keep(noted.clone());
        self.out.push_back(Output::Journal(noted));
    }

    pub fn media(&mut self, command: Command) {
        self.out.push_back(Output::Media(command));
    }

    /// Whether a number, written in these ways, may be called for somebody. What counts is noted, so
    /// that the next run knows of it too.
    ///
    /// # Errors
    /// Why it may not.
    pub fn permits(&mut self, call: CallId, number: &[&str], now: Now) -> Result<Permit, Denial> {
        let permit = self.plan.dial.permits(number, &mut self.dialled, now)?;
        if permit == Permit::Counted {
            let number = number.first().copied().unwrap_or_default().to_owned();
            self.note(Fact::Dialled { call, number }, now);
        }
        Ok(permit)
    }

    /// By which of our numbers a call goes out: this one, or while that is down the first that is up.
    pub fn calls_by(&self, wanted: AorId) -> AorId {
        let is = |up: bool| move |aor: &AorId| self.lines_up.get(aor) == Some(&up);
        let other =
            Some(wanted).filter(is(false)).and_then(|_| self.plan.account.aors().find(is(true)));
        other.unwrap_or(wanted)
    }

    /// Places a call of ours.
    pub fn dial(&mut self, call: CallId, outgoing: Outgoing, now: Now) -> LegId {
        let dialled = outgoing.target.clone();
        let leg = self.sip.invite(outgoing, now);
        self.follow(leg, call, &dialled);
        self.legs.insert(leg, call);
        leg
    }

    /// From now on the leg's messages are kept with the call; `name` is empty for the caller's leg.
    pub fn follow(&mut self, leg: LegId, call: CallId, name: &str) {
        if let Some(call_id) = self.sip.call_id(leg) {
            self.ladder.follow(call_id, call, name);
        }
    }

    /// A message came or goes: it is kept if it belongs to a call.
    pub fn trace(&mut self, way: Way, peer: Peer, message: &[u8]) {
        let kept = self.ladder.take(way, peer, message);
        self.out.extend(kept.map(Output::Traced));
    }

    /// Refuses a caller, who is done with.
    pub fn refuse(&mut self, leg: LegId, status: u16, retry_after: Option<u32>, now: Now) {
        self.legs.remove(&leg);
        self.sip.refuse(leg, status, retry_after, now);
    }

    /// The RTP port of a channel; 0 for one that is not there.
    pub fn port(&self, channel: Channel) -> u16 {
        self.plan.rtp_ports.get(usize::from(channel.0)).copied().unwrap_or(0)
    }

    /// Our end of a new session on `channel`, encrypted as `srtp` says.
    pub fn local(&mut self, channel: Channel, srtp: Policy) -> Local {
        let port = self.port(channel);
        let session_id = u64::from(self.random.u32());
        let key = MasterKey(self.random.bytes());
        let plain = Local::plain(self.plan.media_address, port, session_id);
        plain.secret(srtp, key).within(self.plan.places)
    }

    /// A party is on, or moved: from now on its packets are taped.
    pub fn open(&mut self, call: CallId, party: Party, channel: Channel, stream: Stream) {
        if self.channels.is_open(channel) {
            return self.media(Command::Change { channel, stream });
        }
        self.channels.open(channel);
        self.media(Command::Open { channel, call: call.0, party, stream });
        if let Some(mark) = self.marks.of(channel) {
            self.media(Command::Resume { channel, mark });
        }
        let network = party != Party::Officer;
        self.listen(channel, Wanted { network, fax: party == Party::Caller, keys: true });
    }

    /// For tones: those of the network only where the trunk does not tell what they mean, keys only where the site
    /// takes them that way.
    pub fn listen(&mut self, channel: Channel, wanted: Wanted) {
        let network = wanted.network && !self.plan.answer_supervision;
        let wanted = Wanted { network, keys: wanted.keys && self.plan.keys_in_voice, ..wanted };
        if wanted.anything() {
            self.media(Command::Listen { channel, wanted });
        }
    }

    /// Takes a channel back, whatever it was used for.
    pub fn close(&mut self, channel: Channel, now: Now) {
        self.marks.forget(channel);
        if self.channels.give_back(channel, now.mono) {
            self.media(Command::Close { channel });
        }
    }

    /// As [`Desk::close`], unless whoever has the channel went over to another call with it.
    pub fn close_of(&mut self, call: CallId, channel: Channel, now: Now) {
        if self.channels.is_of(call, channel) {
            self.close(channel, now);
        }
    }

    /// What somebody offers who calls, where a leg with this policy may take it.
    pub fn first_offer(
        &mut self,
        call: CallId,
        srtp: Policy,
        sdp: &[u8],
        now: Now,
    ) -> Result<Session, SdpFault> {
        let session = sdp::parse(sdp)?;
        let right = session.is_within(&self.plan.places, self.plan.media_address);
        let right = right.and_then(|()| session.meets(srtp));
        right.inspect_err(|fault| self.note_fault(call, fault, now))?;
        Ok(session)
    }

    /// That a leg came to nothing because it was not encrypted, not as we can, or where it may not be: never silently.
    pub fn note_secrecy(&mut self, leg: LegId, fault: &SdpFault, now: Now) {
        if let Some(call) = self.legs.get(&leg).copied() {
            self.note_fault(call, fault, now);
        }
    }

    fn note_fault(&mut self, call: CallId, fault: &SdpFault, now: Now) {
        if let Some(place) = fault.place() {
            self.note(Fact::Misplaced { call, place: place.to_string() }, now);
        } else if fault.is_about_secrecy() {
            self.note(Fact::NotSecret { call, why: fault.to_string() }, now);
        }
    }

    /// A phone that is not answered yet wants its session otherwise (RFC 3311 §5.2). What it says now
    /// is its end of it, `fits` says which stream goes with the other side.
    pub fn early_offer(
        &mut self,
        leg: LegId,
        channel: Option<Channel>,
        (local, early): (&mut Local, &mut Option<Vec<u8>>),
        sdp: Option<&[u8]>,
        fits: impl Fn(&Session) -> Option<Stream>,
        now: Now,
    ) {
        let read = sdp.map(|sdp| local.read(sdp)).transpose();
        let read = read.inspect_err(|fault| self.note_secrecy(leg, fault, now)).ok().flatten();
        let session = read.and_then(|session| Some((fits(&session)?, session)));
        let Some((stream, session)) = session else {
            return self.sip.refuse_offer(leg, 488, now);
        };
        *local = local.next();
        *early = sdp.map(<[u8]>::to_vec);
        let said = sdp::answer(local, &session, &stream, session.direction.reversed());
        self.sip.accept_offer(leg, said, now);
        if let Some(channel) = channel.filter(|channel| self.channels.is_open(*channel)) {
            self.media(Command::Change { channel, stream });
        }
    }

    /// The peer of `leg` wants the session changed; it gets our own answer. `beside`: the codec of the leg it is
    /// bridged to.
    pub fn renegotiate(
        &mut self,
        leg: &mut Leg,
        sdp: Option<&[u8]>,
        beside: Option<Codec>,
        now: Now,
    ) {
        let before = leg.stream;
        match leg.renegotiate(sdp, beside) {
            Ok(description) => {
                let channel = leg.channel;
                match leg.stream {
                    Some(stream) if leg.stream != before => {
                        self.media(Command::Change { channel, stream });
                    }
                    Some(_) if sdp.is_some() => self.media(Command::Refresh { channel }),
                    Some(_) | None => {}
                }
                self.sip.accept_offer(leg.id, description, now);
            }
            // 488 whatever is wrong with it, so that the peer keeps what it has.
            Err(fault) => {
                self.note_secrecy(leg.id, &fault, now);
                self.sip.refuse_offer(leg.id, 488, now);
            }
        }
    }
}
