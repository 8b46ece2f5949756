//! Who waits for somebody to answer, from his INVITE until a bridge has him: what he offered, what he
//! was told, whether we have answered him. A caller from outside, or an officer who calls out.

use super::desk::Desk;
use super::leg::Leg;
use crate::duty::ids::CallId;
use crate::protocol::now::Now;
use crate::protocol::rtp::{Channel, Codec, Command, Party, Prompt, Stream};
use crate::protocol::sdp::{self, Direction, Policy, Session};
use crate::protocol::sip::{AorId, LegId};
use serde::{Deserialize, Serialize};

#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Caller {
    pub leg: LegId,
    pub channel: Channel,
    party: Party,
    /// None: the caller leaves the offer to us (RFC 3261 §13.2.1).
    pub offer: Option<Box<Session>>,
    /// Whether his leg is encrypted; as the line where nothing else is said.
    #[serde(default)]
    srtp: Option<Policy>,
    /// What the officer's phone shows.
    pub shown: String,
    /// The number of ours that he has called.
    #[serde(default)]
    pub aor: AorId,
    /// His end of the session once we have described ours, in a 183 or a 200.
    settled: Option<Leg>,
    answered: bool,
    /// What he hears from us, over and over or once.
    playing: Option<Playing>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
struct Playing {
    prompt: Prompt,
    repeat: bool,
}

impl Caller {
    pub fn new(leg: LegId, channel: Channel, offer: Option<Session>, shown: String) -> Self {
        let (party, offer) = (Party::Caller, offer.map(Box::new));
        Self {
            leg,
            channel,
            party,
            offer,
            srtp: None,
            shown,
            aor: AorId::default(),
            settled: None,
            answered: false,
            playing: None,
        }
    }

    /// He has called this number of ours.
    pub fn of(self, aor: AorId) -> Self {
        Self { aor, ..self }
    }

    /// An officer who has dialled a number on his phone.
    pub fn dials(leg: LegId, channel: Channel, offer: Session, srtp: Option<Policy>) -> Self {
        let caller = Self::new(leg, channel, Some(offer), String::new());
        Self { party: Party::Officer, srtp, ..caller }
    }

    /// An officer who has picked up his phone to call somebody.
    pub fn picked_up(leg: Leg, session: Session) -> Self {
        Self {
            leg: leg.id,
            channel: leg.channel,
            party: Party::Officer,
            offer: Some(Box::new(session)),
            srtp: None,
            shown: String::new(),
            aor: AorId::default(),
            settled: Some(leg),
            answered: true,
            playing: None,
        }
    }

    /// A leader whom we have called, and who wants to talk to the officer: his voice is on the tape already.
    pub fn called(leg: Leg, shown: String) -> Self {
        let caller = Self::new(leg.id, leg.channel, None, shown);
        Self { party: Party::Leader, settled: Some(leg), answered: true, ..caller }
    }

    /// Whose voice his is on the tape.
    pub fn party(&self) -> Party {
        self.party
    }

    pub fn is_answered(&self) -> bool {
        self.answered
    }

    /// The codec of his end, once it is settled.
    pub fn codec(&self) -> Option<Codec> {
        self.settled.as_ref().and_then(|leg| leg.stream).map(|stream| stream.codec)
    }

    /// His end of the session, in the first codec of the phone's that he speaks too; where he
    /// speaks none of them, or there is no phone, in the first of his own. Once settled it stays.
    pub fn settle(&mut self, phone: Option<&Session>, desk: &mut Desk) -> &mut Leg {
        let leg = match self.settled.take() {
            Some(leg) => leg,
            None => self.describe(phone, desk),
        };
        self.settled.insert(leg)
    }

    /// The phone's stream that goes with his end; none where the two have nothing in common, and nothing that can be
    /// turned into each other.
    pub fn stream_for(&self, phone: &Session) -> Option<Stream> {
        match (&self.offer, self.codec()) {
            (_, Some(codec)) if codec != Codec::Unknown => phone.stream_beside(codec),
            (Some(offer), _) => phone.beside(offer).map(|(stream, _)| stream),
            (None, _) => phone.spoken(),
        }
    }

    /// He hears the phone before it is answered (183, RFC 3960), and is heard. False where he left
    /// the offer to us: he cannot be told where to send.
    pub fn hears_early(
        &mut self,
        call: CallId,
        phone: &Session,
        desk: &mut Desk,
        now: Now,
    ) -> bool {
        if self.offer.is_none() {
            return false;
        }
        let said = self.settle(Some(phone), desk).said.clone();
        self.open(call, desk);
        if !self.answered {
            desk.sip.ring(self.leg, Some(said), now);
        }
        true
    }

    /// 200, once.
    pub fn answer(&mut self, desk: &mut Desk, now: Now) {
        if !self.answered {
            self.answered = true;
            let said = self.settle(None, desk).said.clone();
            desk.sip.answer(self.leg, said, now);
        }
    }

    /// His packets are taken from now on, where he has said from where they come.
    pub fn open(&mut self, call: CallId, desk: &mut Desk) {
        if let Some(stream) = self.settled.as_ref().and_then(|leg| leg.stream)
            && !desk.channels.is_open(self.channel)
        {
            desk.open(call, self.party, self.channel, stream);
            self.play_on(desk);
        }
    }

    /// Another run of the daemon answered him: he hears again what he heard.
    pub fn take_up(&mut self, call: CallId, desk: &mut Desk, now: Now) {
        self.open(call, desk);
        desk.sip.probe(self.leg, now);
    }

    /// The officer is gone; his end is as the bridge left it.
    pub fn take_back(&mut self, leg: Leg) {
        self.settled = Some(leg);
    }

    /// The answer to our offer, where we made it.
    pub fn take_answer(&mut self, call: CallId, sdp: &[u8], desk: &mut Desk, now: Now) {
        let Some(leg) = &mut self.settled else { return };
        match leg.take_answer(sdp, None) {
            Ok(_) => self.open(call, desk),
            Err(fault) => desk.note_secrecy(self.leg, &fault, now),
        }
    }

    /// He wants the session changed before an officer has him.
    pub fn renegotiate(&mut self, sdp: Option<&[u8]>, desk: &mut Desk, now: Now) {
        match &mut self.settled {
            Some(leg) => desk.renegotiate(leg, sdp, None, now),
            // The first offer is not answered yet (RFC 3311 §5.2).
            None => desk.sip.refuse_offer(self.leg, 500, now),
        }
    }

    /// Plays to him, as soon as he can hear.
    pub fn play(&mut self, prompt: Prompt, repeat: bool, desk: &mut Desk) {
        self.playing = Some(Playing { prompt, repeat });
        if desk.channels.is_open(self.channel) {
            self.play_on(desk);
        }
    }

    pub fn silence(&mut self, desk: &mut Desk) {
        if self.playing.take().is_some() && desk.channels.is_open(self.channel) {
            desk.media(Command::Stop { channel: self.channel });
        }
    }

    /// The prompt was played to its end.
    pub fn handle_played(&mut self, prompt: Prompt) {
        self.playing.take_if(|playing| playing.prompt == prompt && !playing.repeat);
    }

    fn play_on(&self, desk: &mut Desk) {
        if let Some(Playing { prompt, repeat }) = self.playing {
            desk.media(Command::Play { channel: self.channel, prompt, repeat });
        }
    }

    fn describe(&self, phone: Option<&Session>, desk: &mut Desk) -> Leg {
        let srtp = self.srtp.unwrap_or(desk.plan.srtp.line);
        let local = desk.local(self.channel, srtp);
        let secured =
            self.offer.as_ref().and_then(|offer| local.secured(Session::clone(offer)).ok());
        let Some(offer) = &secured else {
            let spoken = phone.and_then(Session::spoken).map(|stream| stream.codec);
            let codecs = sdp::codecs_beside(spoken);
            let said = sdp::offer(&local, &codecs, Some(sdp::EVENT_PT), Direction::SendRecv);
            return Leg::new(self.leg, self.channel, local, None, said);
        };
        let beside = phone.and_then(|phone| phone.beside(offer)).map(|(_, stream)| stream);
        let stream = beside.or_else(|| offer.spoken()).unwrap_or_else(|| offer.stream());
        let said = sdp::answer(&local, offer, &stream, offer.direction.reversed());
        let leg = Leg::new(self.leg, self.channel, local, Some(stream), said);
        Leg { theirs: offer.direction, ..leg }
    }
}
