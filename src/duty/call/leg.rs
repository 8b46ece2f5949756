//! One party's end of a call: its SIP session, its channel, and what was agreed on (RFC 3264).

use crate::protocol::rtp::{Channel, Stream};
use crate::protocol::sdp::{self, Direction, Local, Session};
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

    /// Whether the peer has announced that it sends nothing.
    pub fn is_mute(&self) -> bool {
        matches!(self.theirs, Direction::RecvOnly | Direction::Inactive)
    }

    /// The answer to our own offer, where it can be used: the peer's end from now on.
    pub fn take_answer(&mut self, sdp: &[u8]) -> Option<Stream> {
        let session = sdp::parse(sdp).ok()?;
        self.theirs = session.direction;
        self.stream = Some(self.stream_in(&session));
        self.stream
    }

    /// The codec stays where it can, so that nothing needs transcoding.
    fn stream_in(&self, session: &Session) -> Stream {
        let same = self.stream.and_then(|before| session.stream_for(before.codec));
        same.unwrap_or_else(|| session.stream())
    }

    /// Takes up a new offer, or makes one where the peer wants ours: our description to send, or
    /// the status to refuse with, in which case the session stays as it was (RFC 3261 §14.2).
    pub fn renegotiate(&mut self, sdp: Option<&[u8]>) -> Result<Vec<u8>, u16> {
        let Some(bytes) = sdp else { return Ok(self.said.clone()) };
        // Malformed or not to our taste: 488 either way, so that the peer keeps what it has.
        let offer = sdp::parse(bytes).map_err(|_| 488_u16)?;
        let mut stream = self.stream_in(&offer);
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
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::protocol::rtp::Codec;
    use crate::protocol::sdp::Direction;

    fn ours() -> Local {
        Local { address: [192, 0, 2, 9].into(), port: 20_000, session_id: 1, version: 1 }
    }

    fn theirs(host: [u8; 4], codec: Codec, direction: Direction) -> Vec<u8> {
        let local = Local { address: host.into(), port: 4000, session_id: 2, version: 1 };
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
        assert_eq!(leg.renegotiate(Some(&refresh)), Ok(before.clone()));
        assert_eq!(leg.renegotiate(None), Ok(before), "asked for an offer, says what is in force");
        let hold = theirs([192, 0, 2, 1], Codec::Pcma, Direction::Inactive);
        let answer = sdp::parse(&leg.renegotiate(Some(&hold)).unwrap()).unwrap();
        assert_eq!((answer.version, answer.direction), (2, Direction::Inactive));
        assert!(!leg.stream.unwrap().send);
    }

    #[test]
    fn the_peer_may_move() {
        let mut leg = leg();
        let moved = theirs([192, 0, 2, 7], Codec::Pcma, Direction::SendRecv);
        leg.renegotiate(Some(&moved)).unwrap();
        assert_eq!(leg.stream.unwrap().remote, "192.0.2.7:4000".parse().unwrap());
    }

    #[test]
    fn sig_19_the_peer_may_change_the_codec_and_keeps_it_while_it_can() {
        let mut leg = leg();
        leg.renegotiate(Some(&theirs([192, 0, 2, 1], Codec::Pcmu, Direction::SendRecv))).unwrap();
        assert_eq!(leg.stream.unwrap().codec, Codec::Pcmu);
        let both = sdp::offer(&ours(), &sdp::CODECS, None, Direction::SendRecv);
        leg.renegotiate(Some(&both)).unwrap();
        assert_eq!(leg.stream.unwrap().codec, Codec::Pcmu, "although A-law comes first");
    }

    #[test]
    fn a_hold_in_the_old_manner_does_not_move_the_peer_to_nowhere() {
        let mut leg = leg();
        let before = leg.stream.unwrap();
        let hold = theirs([0, 0, 0, 0], Codec::Pcma, Direction::SendRecv);
        leg.renegotiate(Some(&hold)).unwrap();
        assert_eq!(leg.stream, Some(Stream { send: false, ..before }));
    }

    #[test]
    fn what_cannot_be_used_changes_nothing() {
        let mut leg = leg();
        let before = (leg.stream, leg.said.clone());
        let g729 = String::from_utf8(theirs([192, 0, 2, 7], Codec::Pcma, Direction::SendRecv));
        let g729 = g729.unwrap().replace("AVP 8 101", "AVP 18").replace("PCMA", "G729");
        for offer in [g729.into_bytes(), b"nonsense".to_vec()] {
            assert_eq!(leg.renegotiate(Some(&offer)), Err(488));
            assert_eq!((leg.stream, leg.said.clone()), before);
        }
    }
}
