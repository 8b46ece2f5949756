//! Caller and officer speaking: two legs, each negotiated with us alone, the officer's keys, and
//! the watch over whether both are still there. In a call of ours whom we called is the caller.

mod connected;

mod guest;
mod pressed;

pub use guest::Guest;

use super::caller::Caller;
use super::desk::Desk;
use super::keys::{Keys, StarNine};
use super::leg::Leg;
use super::ringing::Taken;
use super::transfer::Transfer;
use super::watch::{Finding, Watch};
use super::{LegEvent, transfer};
use crate::duty::ids::CallId;
use crate::duty::journal::{Disposition, Fact, Joining, Stretch};
use crate::duty::prompts::RINGBACK;
use crate::protocol::now::{Deadline, Mono, Now, earlier};
use crate::protocol::rtp::{Codec, Command, Party, Wanted};
use crate::protocol::sdp::{self, Direction};
use crate::protocol::sip::{Ending, LegId, Referred};
use serde::{Deserialize, Serialize};

#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Bridge {
    call: CallId,
    caller: Leg,
    /// Whose voice his is on the tape.
    voice: Party,
    officer: Leg,
    phone: String,
    /// We called him.
    placed: bool,
    keys: Keys,
    caller_keys: Keys,
    star_nine: StarNine,
    flagged: bool,
    watch: Watch,
    /// What the phones see of the caller.
    shown: String,
    transfer: Option<Transfer>,
    /// The officer has handed the call on and hung up; his channel is given back.
    alone: bool,
    /// A leader who hears the two and is heard.
    guest: Option<Guest>,
    /// The leader has the officer's place.
    led: bool,
    /// He in the officer's place is nobody of the room: he was joined to the caller, or the call was handed to him.
    #[serde(default)]
    stranger: bool,
}

/// The call is over.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct HungUp {
    pub disposition: Disposition,
    pub by: Option<Party>,
    pub why: String,
}

impl Bridge {
    /// The two hear each other, and only then the caller is answered. The officer's session is in
    /// the caller's codec where the phone has it; where not, the relay transcodes.
    pub fn open(
        call: CallId,
        caller: &mut Caller,
        taken: &Taken,
        desk: &mut Desk,
        now: Now,
    ) -> Self {
        let Taken { ring, channel, session } = taken;
        let caller_leg = caller.settle(Some(session), desk).clone();
        let stream = caller.stream_for(session).unwrap_or_else(|| session.stream());
        let said = sdp::answer(&ring.local, session, &stream, Direction::SendRecv);
        let officer = Leg::new(ring.leg, *channel, ring.local, Some(stream), said);
        let officer = Leg { theirs: session.direction, ..officer };
        let mut bridge =
            Self::new(call, (caller_leg, officer), ring.name.clone(), caller.shown.clone(), now);
        bridge.voice = caller.party();
        desk.note(Fact::Answered { call, phone: ring.name.clone() }, now);
        caller.silence(desk);
        desk.open(call, Party::Officer, *channel, stream);
        bridge.connect(desk);
        caller.answer(desk, now);
        bridge.look_at(Party::Officer, desk, now);
        bridge.look_at(Party::Caller, desk, now);
        bridge
    }

    /// The two hear each other again, where each is still there.
    pub fn take_up(&mut self, desk: &mut Desk, now: Now) {
        if let Some(stream) = self.officer.stream.filter(|_| !self.alone) {
            let party = if self.led { Party::Leader } else { Party::Officer };
            desk.open(self.call, party, self.officer.channel, stream);
            self.listen(desk);
        }
        self.take_up_guest(desk, now);
        self.connect(desk);
        if let Some(transfer) = &mut self.transfer {
            transfer.tone = false;
        }
        self.tone(desk);
        desk.sip.probe(self.officer.id, now);
        desk.sip.probe(self.caller.id, now);
    }

    pub fn is_officer(&self, leg: LegId) -> bool {
        self.officer.id == leg
    }

    /// Whether the conversation is being handed to this leg.
    pub fn is_target(&self, leg: LegId) -> bool {
        self.transfer.as_ref().is_some_and(|transfer| transfer.target() == leg)
    }

    /// Our description for the officer's phone.
    pub fn said_to_officer(&self) -> &[u8] {
        &self.officer.said
    }

    pub fn shown(&self) -> &str {
        &self.shown
    }

    /// The caller's end as it is now.
    pub fn caller(&self) -> &Leg {
        &self.caller
    }

    /// Where the trunk tells nothing of it, his busy tone says that one who is nobody of the room has hung up.
    fn listen(&self, desk: &mut Desk) {
        if self.stranger && !self.led {
            desk.listen(self.officer.channel, Wanted { network: true, fax: false, keys: true });
        }
    }

    /// As a tone of his line says, he in the officer's place is gone. True: the call is over with it.
    pub fn stranger_is_gone(&mut self, since: Now, desk: &mut Desk, now: Now) -> bool {
        if !self.stranger || self.led {
            return false;
        }
        let leg = self.officer.id;
        if self.led_on(desk, since) {
            desk.sip.bye(leg, now);
            return false;
        }
        true
    }

    /// A phone asks us to call somebody in its stead. Only the officer's may (T9).
    pub fn handle_refer(&mut self, leg: LegId, refer: &Referred, desk: &mut Desk, now: Now) {
        if !self.is_officer(leg) || self.stranger || self.transfer.is_some() {
            let phone = transfer::name_of(&refer.user, desk);
            let call = self.call;
            desk.note(Fact::Joining { call, phone: phone.clone(), how: Joining::Transfer }, now);
            desk.note(Fact::NotTaken { call, phone, status: 603 }, now);
            return desk.sip.refuse_refer(leg, 603, now);
        }
        match Transfer::dial(self.call, &self.caller, &self.shown, refer, desk, now) {
            Ok(transfer) => {
                self.transfer = Some(transfer);
                desk.sip.accept_refer(leg, now);
                self.tone(desk);
            }
            Err(status) => desk.sip.refuse_refer(leg, status, now),
        }
    }

    /// What the target says. True: it does not take the call, and no officer is left.
    pub fn handle_target(&mut self, event: LegEvent, desk: &mut Desk, now: Now) -> bool {
        let Some(transfer) = &mut self.transfer else { return false };
        match event {
            LegEvent::Progress { status, sdp } => {
                if let Some(status) = transfer.handle_progress(status, sdp, now) {
                    desk.sip.tell_refer(self.officer.id, status, now);
                }
                false
            }
            LegEvent::Answered { sdp } => {
                match transfer.leg(sdp.as_deref(), &self.caller, desk, now) {
                    Some(officer) => {
                        let (name, stranger) = (transfer.name.clone(), transfer.is_stranger);
                        self.hand_over(officer, (name, stranger), desk, now);
                        false
                    }
                    None => {
                        desk.sip.bye(transfer.target(), now);
                        self.transfer_failed(488, desk, now)
                    }
                }
            }
            LegEvent::Refused { status } => self.transfer_failed(status, desk, now),
            LegEvent::Ended(_) => self.transfer_failed(503, desk, now),
            LegEvent::Offer { sdp } => {
                transfer.handle_offer(sdp.as_deref(), &self.caller, desk, now);
                false
            }
            LegEvent::Refer { .. } => {
                desk.sip.refuse_refer(transfer.target(), 603, now);
                false
            }
            LegEvent::Cancelled { .. }
            | LegEvent::Answer { .. }
            | LegEvent::OfferRefused { .. }
            | LegEvent::Key(_) => false,
        }
    }

    /// Another phone takes the conversation for itself.
    pub fn pick_up(&mut self, officer: Leg, phone: String, desk: &mut Desk, now: Now) {
        self.give_up_target(desk, now);
        self.hand_over(officer, (phone, false), desk, now);
    }

    /// The party of another call is joined to this one, in the officer's place.
    pub fn join(&mut self, party: Leg, name: String, desk: &mut Desk, now: Now) {
        self.give_up_target(desk, now);
        self.hand_over(party, (name, true), desk, now);
    }

    /// Another phone has the officer's place, or a stranger; the caller hears it from this moment on.
    fn hand_over(
        &mut self,
        officer: Leg,
        (phone, stranger): (String, bool),
        desk: &mut Desk,
        now: Now,
    ) {
        let call = self.call;
        desk.note(Fact::Joined { call, phone: phone.clone() }, now);
        self.silence(desk);
        let alone = std::mem::take(&mut self.alone);
        if let Some(stream) = officer.stream {
            desk.open(call, Party::Officer, officer.channel, stream);
        }
        let before = std::mem::replace(&mut self.officer, officer);
        (self.led, self.stranger) = (false, stranger);
        self.listen(desk);
        self.connect(desk);
        let left = std::mem::replace(&mut self.phone, phone);
        if !alone {
            desk.close(before.channel, now);
            desk.note(Fact::Left { call, phone: left }, now);
            desk.sip.tell_refer(before.id, 200, now);
            desk.sip.bye(before.id, now);
        }
        desk.freed = true;
        (self.keys, self.star_nine) = (Keys::default(), StarNine::default());
        self.watch.handle_voice(Party::Officer, None);
        self.look_at(Party::Officer, desk, now);
    }

    fn transfer_failed(&mut self, status: u16, desk: &mut Desk, now: Now) -> bool {
        let Some(transfer) = self.transfer.clone() else { return false };
        transfer.over(self.call, status, desk, now);
        desk.sip.tell_refer(self.officer.id, status, now);
        self.silence(desk);
        self.alone && !self.led_on(desk, now)
    }

    /// The call is not being handed on any more.
    fn silence(&mut self, desk: &mut Desk) {
        if self.transfer.take().is_some_and(|transfer| transfer.tone) {
            desk.media(Command::Stop { channel: self.caller.channel });
        }
    }

    /// The caller hears the target ring where he hears nobody else.
    fn tone(&mut self, desk: &mut Desk) {
        let Some(transfer) = &mut self.transfer else { return };
        let wanted = self.guest.is_none() && (self.alone || self.officer.holds());
        let channel = self.caller.channel;
        if wanted != transfer.tone && desk.channels.is_open(channel) {
            transfer.tone = wanted;
            desk.media(match wanted {
                true => Command::Play { channel, prompt: RINGBACK, repeat: true },
                false => Command::Stop { channel },
            });
        }
    }

    /// The answer to an offer of ours.
    pub fn handle_answer(&mut self, leg: LegId, sdp: &[u8], desk: &mut Desk, now: Now) {
        let first = self.caller.id == leg && self.caller.stream.is_none();
        let beside = self.codec_beside(leg);
        let Some((party, end)) = self.leg(leg) else { return };
        match end.take_answer(sdp, beside) {
            Ok(_) if first => self.connect(desk),
            Ok(stream) => desk.media(Command::Change { channel: end.channel, stream }),
            Err(fault) => {
                desk.note_secrecy(leg, &fault, now);
                // An answer that may not be taken leaves nothing to speak by (RFC 4568 §5.1.2).
                if fault.is_about_secrecy() {
                    desk.sip.bye(leg, now);
                }
            }
        }
        self.look_at(party, desk, now);
    }

    pub fn handle_offer(&mut self, leg: LegId, sdp: Option<&[u8]>, desk: &mut Desk, now: Now) {
        let beside = self.codec_beside(leg);
        match self.leg(leg) {
            Some((party, end)) => {
                desk.renegotiate(end, sdp, beside, now);
                self.look_at(party, desk, now);
            }
            None => desk.sip.refuse_offer(leg, 488, now),
        }
    }

    pub fn handle_voice(&mut self, party: Party, quiet_since: Option<Mono>) {
        if self.guest.is_none() || party != Party::Leader {
            self.watch.handle_voice(party, quiet_since);
        }
    }

    pub fn handle_timeout(&mut self, desk: &mut Desk, now: Now) -> Option<HungUp> {
        self.pass_on_late(desk, now);
        if self.alone {
            return None;
        }
        let finding = self.watch.handle_timeout(&desk.plan.answering, now.mono)?;
        let (party, limit) = match finding {
            Finding::Silent(party, limit) => (party, limit.as_secs()),
            Finding::Long => {
                desk.note(Fact::LongCall { call: self.call }, now);
                return None;
            }
        };
        self.hang_up(desk, now);
        let who = match party {
            Some(Party::Caller) => self.caller_word(),
            Some(_) => "the officer's phone",
            None => "either side",
        };
        let why = format!("no voice from {who} for {limit} s");
        Some(HungUp { disposition: Disposition::Interrupted, by: None, why })
    }

    /// Gives up a target that has rung for long enough. True: no officer is left.
    pub fn target_timeout(&mut self, desk: &mut Desk, now: Now) -> bool {
        match self.transfer.as_ref().filter(|transfer| transfer.is_due(now.mono)) {
            Some(transfer) => {
                desk.sip.cancel(transfer.target(), now);
                self.transfer_failed(408, desk, now)
            }
            None => false,
        }
    }

    pub fn deadline(&self, desk: &Desk) -> Option<Deadline> {
        let watch = self.watch.deadline(&desk.plan.answering).filter(|_| !self.alone);
        let first = earlier(watch, self.transfer.as_ref().map(Transfer::deadline));
        earlier(first, self.key_deadline())
    }

    /// One of the two is gone: so is the other. None for a leg of neither.
    pub fn handle_ended(
        &mut self,
        leg: LegId,
        ending: Ending,
        desk: &mut Desk,
        now: Now,
    ) -> Option<HungUp> {
        if self.is_guest(leg) {
            self.guest_left(desk, now);
            return None;
        }
        if leg == self.officer.id && (self.left_alone(desk, now) || self.led_on(desk, now)) {
            return None;
        }
        let (party, who) = if leg == self.caller.id {
            (Party::Caller, self.caller_word())
        } else if leg != self.officer.id {
            return None;
        } else if self.led {
            (Party::Leader, "the leader")
        } else {
            (Party::Officer, "the officer")
        };
        self.hang_up(desk, now);
        let (disposition, by, why) = match ending {
            Ending::Bye => (Disposition::Answered, Some(party), format!("{who} hung up")),
            Ending::OurBye => (Disposition::Answered, None, "we hung up".to_owned()),
            Ending::Expired => {
                let why = format!("{who}'s side no longer refreshes the session");
                (Disposition::Interrupted, None, why)
            }
            Ending::Lost => {
                (Disposition::Interrupted, None, format!("{who}'s side no longer answers"))
            }
        };
        Some(HungUp { disposition, by, why })
    }

    /// The referrer hangs up as soon as we have its REFER: the caller waits for the target.
    fn left_alone(&mut self, desk: &mut Desk, now: Now) -> bool {
        if self.alone || self.transfer.is_none() {
            return false;
        }
        self.alone = true;
        desk.note(Fact::Left { call: self.call, phone: self.phone.clone() }, now);
        self.connect(desk);
        desk.close(self.officer.channel, now);
        if self.watch.handle_description(Party::Officer, false, false, now.mono) {
            let stretch = Stretch::Hold(Party::Officer);
            desk.note(Fact::Over { call: self.call, stretch }, now);
        }
        desk.freed = true;
        self.tone(desk);
        true
    }

    fn give_up_target(&mut self, desk: &mut Desk, now: Now) {
        if let Some(transfer) = &self.transfer {
            desk.sip.cancel(transfer.target(), now);
            transfer.over(self.call, 487, desk, now);
            self.silence(desk);
        }
    }

    pub fn hang_up(&mut self, desk: &mut Desk, now: Now) {
        self.let_officer_go(desk, now);
        desk.sip.bye(self.caller.id, now);
    }

    pub fn let_officer_go(&mut self, desk: &mut Desk, now: Now) {
        self.give_up_target(desk, now);
        desk.sip.bye(self.officer.id, now);
        if let Some(guest) = &self.guest {
            desk.sip.bye(guest.leg.id, now);
        }
    }

    /// The officer's channel is free, and the leader's; the caller's is not ours.
    pub fn close(&self, desk: &mut Desk, now: Now) {
        if let Some(guest) = &self.guest {
            desk.close(guest.leg.channel, now);
        }
        if !self.alone {
            desk.close(self.officer.channel, now);
        }
    }

    /// Takes note of a hold that begins or ends with a party's latest description.
    fn look_at(&mut self, party: Party, desk: &mut Desk, now: Now) {
        if party == Party::Leader {
            return;
        }
        let leg = if party == Party::Caller { &self.caller } else { &self.officer };
        if self.watch.handle_description(party, leg.holds(), leg.is_mute(), now.mono) {
            let stretch = Stretch::Hold(party);
            let fact = match leg.holds() {
                true => Fact::Began { call: self.call, stretch },
                false => Fact::Over { call: self.call, stretch },
            };
            desk.note(fact, now);
        }
        self.tone(desk);
    }

    /// What the leg on the other side of this one speaks.
    fn codec_beside(&self, leg: LegId) -> Option<Codec> {
        if self.is_guest(leg) {
            return None;
        }
        let other = if leg == self.caller.id { &self.officer } else { &self.caller };
        other.stream.map(|stream| stream.codec)
    }

    fn leg(&mut self, leg: LegId) -> Option<(Party, &mut Leg)> {
        let legs = [(Party::Caller, &mut self.caller), (Party::Officer, &mut self.officer)];
        let guest = self.guest.as_mut().map(|guest| (Party::Leader, &mut guest.leg));
        legs.into_iter().chain(guest).find(|(_, end)| end.id == leg)
    }
}
