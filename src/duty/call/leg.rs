//! One party's end of a call: its SIP session, its channel, and what was agreed on (RFC 3264).

use crate::protocol::rtp::{Channel, Codec, Stream};
use crate::protocol::sdp::{self, Direction, Local, SdpFault, Session};
use crate::protocol::sip::LegId;
use serde::{Deserialize, Serialize};

#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Leg {
    pub id: LegId,
    pub channel: Channel,
    pub local: Local,
    /// None while the peer has not described its end.
    pub stream: Option<Stream>,
    /// Our description that is in force.
    pub said: Vec<u8>,
    /// Which way the peer wants the stream to flow.
    pub theirs: Direction,
}

impl Leg {
    pub fn new(
        id: LegId,
        channel: Channel,
        local: Local,
        stream: Option<Stream>,
        said: Vec<u8>,
    ) -> Self {
        Self { id, channel, local, stream, said, theirs: Direction::SendRecv }
    }

    /// Whether the peer holds us (RFC 3264 §8.4, in either manner).
    pub fn holds(&self) -> bool {
        self.stream.is_some_and(|stream| !stream.send)
    }

    /// Whether its voice can be turned into another's codec, and back.
    pub fn is_convertible(&self) -> bool {
        self.stream.is_some_and(|stream| stream.codec.is_convertible())
    }

    /// Whether the peer has agreed on keys in the voice (RFC 4733).
    pub fn hears_keys(&self) -> bool {
        self.stream.is_some_and(|stream| stream.event_pt.is_some())
    }

    /// Whether the peer has announced that it sends nothing.
    pub fn is_mute(&self) -> bool {
        matches!(self.theirs, Direction::RecvOnly | Direction::Inactive)
    }

    /// The answer to our own offer, where it can be used: the peer's end from now on. `beside`: the codec of the leg
    /// it is bridged to.
    ///
    /// # Errors
    /// Why it cannot be used.
    pub fn take_answer(&mut self, sdp: &[u8], beside: Option<Codec>) -> Result<Stream, SdpFault> {
        let session = self.local.read(sdp)?;
        let stream = self.stream_in(&session, beside)?;
        self.theirs = session.direction;
        self.stream = Some(stream);
        Ok(stream)
    }

    /// The other leg's codec, so that nothing needs transcoding; else the codec stays where it can; else one that can
    /// be transcoded.
    fn stream_in(&self, session: &Session, beside: Option<Codec>) -> Result<Stream, SdpFault> {
        let kept = || {
            let before = self.stream?;
            let stream = session.stream_for(before.codec)?;
            // Of an unknown codec only the payload type tells that it is the same.
            let known = before.codec != Codec::Unknown || before.audio_pt == stream.audio_pt;
            known.then_some(stream)
        };
        let Some(codec) = beside else {
            return Ok(kept().or_else(|| session.spoken()).unwrap_or_else(|| session.stream()));
        };
        let same = session.stream_for(codec).filter(|_| codec != Codec::Unknown);
        let fits = |stream: &Stream| {
            stream.codec == codec || (stream.codec.is_convertible() && codec.is_convertible())
        };
        let other = || kept().filter(fits).or_else(|| session.stream_beside(codec));
        same.or_else(other).ok_or(SdpFault::NoCommonCodec)
    }

    /// Takes up a new offer, or makes one where the peer or the session's refresh wants ours: our description to send,
    /// or why it is refused, in which case the session stays as it was (RFC 3261 §14.2).
    pub fn renegotiate(
        &mut self,
        sdp: Option<&[u8]>,
        beside: Option<Codec>,
    ) -> Result<Vec<u8>, SdpFault> {
        let Some(bytes) = sdp else { return Ok(self.our_offer()) };
        let offer = self.local.read(bytes)?;
        let mut stream = self.stream_in(&offer, beside)?;
        let direction = offer.direction.reversed();
        if sdp::answer(&self.local, &offer, &stream, direction) != self.said {
            self.local = self.local.next();
            self.said = sdp::answer(&self.local, &offer, &stream, direction);
        }
        if stream.remote.ip().is_unspecified()
            && let Some(before) = self.stream
        {
            stream.remote = before.remote;
        }
        self.theirs = offer.direction;
        self.stream = Some(stream);
        Ok(self.said.clone())
    }

    /// We hold nobody: a peer that holds us is offered both ways all the same, else it could not resume by asking.
    fn our_offer(&mut self) -> Vec<u8> {
        let local = self.local.next();
        if let Some(said) = sdp::willing(&local, &self.said) {
            (self.local, self.said) = (local, said);
        }
        self.said.clone()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::protocol::rtp::srtp::{MASTER, MasterKey};
    use crate::protocol::sdp::Policy;

    fn ours() -> Local {
        Local::plain([192, 0, 2, 9].into(), 20_000, 1)
    }

    fn theirs(host: [u8; 4], codec: Codec, direction: Direction) -> Vec<u8> {
        let local = Local::plain(host.into(), 4000, 2);
        sdp::offer(&local, &[(codec, codec as u8)], Some(101), direction)
    }

    /// In the middle of a call in A-law.
    fn leg() -> Leg {
        let offer = sdp::parse(&theirs([192, 0, 2, 1], Codec::Pcma, Direction::SendRecv)).unwrap();
        let stream = offer.stream();
        let said = sdp::answer(&ours(), &offer, &stream, Direction::SendRecv);
        Leg::new(LegId(1), Channel(0), ours(), Some(stream), said)
    }

    #[test]
    fn a_refresh_gets_the_same_description_and_a_change_the_next_version() {
        let mut leg = leg();
        let before = leg.said.clone();
        let refresh = theirs([192, 0, 2, 1], Codec::Pcma, Direction::SendRecv);
        assert_eq!(leg.renegotiate(Some(&refresh), None), Ok(before.clone()));
        assert_eq!(
            leg.renegotiate(None, None),
            Ok(before),
            "asked for an offer, says what is in force"
        );
        let hold = theirs([192, 0, 2, 1], Codec::Pcma, Direction::Inactive);
        let answer = sdp::parse(&leg.renegotiate(Some(&hold), None).unwrap()).unwrap();
        assert_eq!((answer.version, answer.direction), (2, Direction::Inactive));
        assert!(!leg.stream.unwrap().send);
    }

    /// RFC 6337 §5.3.
    #[test]
    fn sig_15_whoever_holds_us_and_asks_for_an_offer_gets_one_of_both_ways() {
        for direction in [Direction::SendOnly, Direction::Inactive] {
            let key = MasterKey([7; MASTER]);
            let mut leg = Leg { local: ours().secret(Policy::Require, key), ..leg() };
            let crypto = format!("a=crypto:4 AES_CM_128_HMAC_SHA1_80 inline:{}", "A".repeat(40));
            let hold = format!(
                "m=audio 4000 RTP/SAVP 0 99\r\na=rtpmap:99 telephone-event/8000\r\n{crypto}\r\n\
                 a={}\r\nm=video 4002 RTP/AVP 31\r\na=sendonly\r\n",
                if direction == Direction::SendOnly { "sendonly" } else { "inactive" },
            );
            let said = leg.renegotiate(Some(&with_audio(&hold)), None).unwrap();
            let said = String::from_utf8(said).unwrap();
            let limited = if direction == Direction::SendOnly { "recvonly" } else { "inactive" };
            assert!(said.contains(&format!("\r\na={limited}\r\n")), "{said}");
            let version = leg.local.version;
            let offer = String::from_utf8(leg.renegotiate(None, None).unwrap()).unwrap();
            // All but the direction stays, and it is the next version.
            let next = said.replace(limited, "sendrecv");
            let next =
                next.replace(&format!("o=- 1 {version} "), &format!("o=- 1 {} ", version + 1));
            assert_eq!(offer, next);
            assert!(!leg.stream.unwrap().send, "the peer has not said yet that it listens");
            assert_eq!(leg.renegotiate(None, None), Ok(offer.into_bytes()), "once");
        }
    }

    #[test]
    fn the_peer_may_move() {
        let mut leg = leg();
        let moved = theirs([192, 0, 2, 7], Codec::Pcma, Direction::SendRecv);
        leg.renegotiate(Some(&moved), None).unwrap();
        assert_eq!(leg.stream.unwrap().remote, "192.0.2.7:4000".parse().unwrap());
    }

    #[test]
    fn sig_19_the_peer_may_change_the_codec_and_keeps_it_while_it_can() {
        let mut leg = leg();
        leg.renegotiate(Some(&theirs([192, 0, 2, 1], Codec::Pcmu, Direction::SendRecv)), None)
            .unwrap();
        assert_eq!(leg.stream.unwrap().codec, Codec::Pcmu);
        let both = sdp::offer(&ours(), &sdp::CODECS, None, Direction::SendRecv);
        leg.renegotiate(Some(&both), None).unwrap();
        assert_eq!(leg.stream.unwrap().codec, Codec::Pcmu, "although A-law comes first");
    }

    #[test]
    fn a_hold_in_the_old_manner_does_not_move_the_peer_to_nowhere() {
        let mut leg = leg();
        let before = leg.stream.unwrap();
        let hold = theirs([0, 0, 0, 0], Codec::Pcma, Direction::SendRecv);
        leg.renegotiate(Some(&hold), None).unwrap();
        assert_eq!(leg.stream, Some(Stream { send: false, ..before }));
    }

    /// Its session description with another `m=` line and what belongs to it.
    fn with_audio(audio: &str) -> Vec<u8> {
        format!("v=0\r\no=- 2 1 IN IP4 192.0.2.1\r\ns=-\r\nc=IN IP4 192.0.2.1\r\nt=0 0\r\n{audio}")
            .into_bytes()
    }

    #[test]
    fn what_cannot_be_used_changes_nothing() {
        let mut leg = leg();
        let before = (leg.stream, leg.said.clone());
        for offer in [
            with_audio("m=audio 4000 RTP/AVP 18\r\n"),
            with_audio("m=audio 4000 RTP/AVP 97\r\na=rtpmap:97 opus/48000/2\r\n"),
            with_audio("m=audio 4000 RTP/AVP 8\r\na=ptime:120\r\n"),
            b"nonsense".to_vec(),
        ] {
            assert!(leg.renegotiate(Some(&offer), Some(Codec::Pcma)).is_err());
            assert_eq!((leg.stream, leg.said.clone()), before);
        }
    }

    #[test]
    fn sig_39_t38_is_refused_and_the_session_stays() {
        let mut leg = leg();
        let before = (leg.stream, leg.said.clone());
        for offer in [
            "m=image 4000 udptl t38\r\na=T38FaxVersion:0\r\n",
            "m=audio 0 RTP/AVP 8\r\nm=image 4000 udptl t38\r\n",
        ] {
            let fault = leg.renegotiate(Some(&with_audio(offer)), Some(Codec::Pcma)).unwrap_err();
            assert_eq!(fault.status(), 488);
            assert_eq!((leg.stream, leg.said.clone()), before);
        }
        let beside = with_audio("m=audio 4000 RTP/AVP 8\r\nm=image 4002 udptl t38\r\n");
        let answer = leg.renegotiate(Some(&beside), Some(Codec::Pcma)).unwrap();
        assert!(
            String::from_utf8(answer).unwrap().contains("m=image 0 udptl t38\r\n"),
            "audio goes on"
        );
    }

    #[test]
    fn sig_19_g722_is_taken_up_beside_a_law_and_given_back() {
        let mut leg = leg();
        let beside = Some(Codec::Pcma);
        let codec = |leg: &Leg| leg.stream.unwrap().codec;
        leg.renegotiate(Some(&with_audio("m=audio 4000 RTP/AVP 9\r\n")), beside).unwrap();
        assert_eq!(codec(&leg), Codec::G722, "the relay turns one into the other");
        leg.renegotiate(Some(&with_audio("m=audio 4000 RTP/AVP 9 8\r\n")), beside).unwrap();
        assert_eq!(codec(&leg), Codec::Pcma, "nothing is turned that need not be");
    }
}
