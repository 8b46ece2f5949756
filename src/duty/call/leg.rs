//! One party's end of a call: its SIP session, its channel, and what was agreed on (RFC 3264).

use crate::protocol::rtp::{Channel, Codec, Stream};
use crate::protocol::sdp::{self, Local};
use crate::protocol::sip::LegId;
use serde::{Deserialize, Serialize};

#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Leg {
    pub id: LegId,
    pub channel: Channel,
    pub local: Local,
    /// None while the peer has not described its end.
    pub stream: Option<Stream>,
    /// The codec of the whole call: nothing is transcoded.
    codec: Codec,
    /// Our description that is in force.
    pub said: Vec<u8>,
}

impl Leg {
    /// A session in which `said` is our description and `stream` the peer's.
    pub fn new(
        id: LegId,
        channel: Channel,
        local: Local,
        codec: Codec,
        stream: Option<Stream>,
        said: Vec<u8>,
    ) -> Self {
        Self { id, channel, local, stream, codec, said }
    }

    /// The answer to our own offer, where it can be used: the peer's end from now on.
    pub fn take_answer(&mut self, sdp: &[u8]) -> Option<Stream> {
        let stream = sdp::parse(sdp).ok()?.stream_for(self.codec)?;
        self.stream = Some(stream);
        self.stream
    }

    /// Takes up a new offer, or makes one where the peer wants ours: our description to send, or
    /// the status to refuse with, in which case the session stays as it was (RFC 3261 §14.2).
    pub fn renegotiate(&mut self, sdp: Option<&[u8]>) -> Result<Vec<u8>, u16> {
        let Some(bytes) = sdp else { return Ok(self.said.clone()) };
        // Malformed or not to our taste: 488 either way, so that the peer keeps what it has.
        let offer = sdp::parse(bytes).map_err(|_| 488_u16)?;
        let mut stream = offer.stream_for(self.codec).ok_or(488_u16)?;
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
        self.stream = Some(stream);
        Ok(self.said.clone())
    }
}
