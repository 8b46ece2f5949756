//! Session descriptions (RFC 8866) and their offers and answers (RFC 3264); the only door to sdp-types.
//!
//! Usual order for a bridged call: [`parse`] the caller's offer, [`offer_for`] it to the officer, read the officer's
//! answer, take [`Session::stream_for`] that codec on the caller's leg, and [`answer`] the caller. Where a leg may be
//! encrypted, [`Local::read`] is what reads its peer: it knows what is wanted.

mod clean;
mod crypto;
mod formats;
mod write;

pub use crypto::{Policy, without_keys};
pub use write::{answer, offer, offer_for, willing};

use super::places::Places;
use super::rtp::srtp::{Keys, MASTER, MasterKey};
use super::rtp::stream::{Also, Carried};
use super::rtp::{Codec, Stream};
use crypto::Crypto;
use formats::{Events, Format};
use sdp_types::{Attribute, Media};
use serde::{Deserialize, Serialize};
use std::net::{IpAddr, SocketAddr};
use thiserror::Error;

/// What we offer where nobody has asked for anything: A-law first, as the networks of this country have it.
pub const CODECS: [(Codec, u8); 2] = [(Codec::Pcma, 8), (Codec::Pcmu, 0)];

/// The same to a peer that will hear one who speaks `codec`, which comes first: nothing needs to be turned then.
pub fn codecs_beside(codec: Option<Codec>) -> Vec<(Codec, u8)> {
    let first = codec.and_then(|codec| TURNED.into_iter().find(|(known, _)| *known == codec));
    let first = first.filter(|(codec, _)| codec.is_convertible());
    let others = CODECS.into_iter().filter(|(codec, _)| first.is_none_or(|(one, _)| one != *codec));
    first.into_iter().chain(others).collect()
}
/// What can be turned into each other, where built in: offered last, to a peer that may share nothing with the other leg.
const TURNED: [(Codec, u8); 4] =
    [(Codec::Pcma, 8), (Codec::Pcmu, 0), (Codec::G722, 9), (Codec::Opus, 111)];
/// The payload type we give telephone-event (RFC 4733) where the peer has not given one.
pub const EVENT_PT: u8 = 101;
/// Packet time of everything we send ourselves, and the one we ask for, in milliseconds.
pub const PTIME_MS: u32 = 20;
/// Packet times that we carry, in milliseconds.
pub const PTIMES_MS: std::ops::RangeInclusive<u32> = 10..=60;

/// Why a session description cannot be used.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum SdpFault {
    #[error("session description is malformed: {0}")]
    Malformed(String),
    #[error("session description has too many {0}")]
    TooMany(&'static str),
    #[error("no audio stream")]
    NoAudio,
    #[error("audio is offered as SRTP only, which this line does not take")]
    Encrypted,
    #[error("audio is not encrypted (SRTP), which this line demands")]
    Unencrypted,
    #[error("no a=crypto that can be used: {0}")]
    NoCrypto(&'static str),
    #[error("no audio codec is named")]
    NoCodec,
    #[error("no codec that the other side of the call has, or that can be turned into its")]
    NoCommonCodec,
    #[error("packets of {0} ms, where 10 to 60 can be carried")]
    Ptime(u32),
    #[error("audio has no usable unicast IP address")]
    NoAddress,
    #[error("audio at {0}, where this line's voice may not be")]
    Elsewhere(IpAddr),
}

impl SdpFault {
    /// The SIP status that says so: 400 for what cannot be read, 488 for what cannot be taken (RFC 3261 §21.4.26).
    pub fn status(&self) -> u16 {
        match self {
            SdpFault::Malformed(_) | SdpFault::TooMany(_) => 400,
            SdpFault::NoAudio
            | SdpFault::Encrypted
            | SdpFault::Unencrypted
            | SdpFault::NoCrypto(_)
            | SdpFault::NoCodec
            | SdpFault::NoCommonCodec
            | SdpFault::Ptime(_)
            | SdpFault::NoAddress
            | SdpFault::Elsewhere(_) => 488,
        }
    }
}

impl SdpFault {
    /// Whether it would have been a conversation in clear, or one that nobody could decrypt.
    pub fn is_about_secrecy(&self) -> bool {
        matches!(self, SdpFault::Encrypted | SdpFault::Unencrypted | SdpFault::NoCrypto(_))
    }

    /// Where it wanted our voice, against the word of the site.
    pub fn place(&self) -> Option<IpAddr> {
        match self {
            SdpFault::Elsewhere(place) => Some(*place),
            _ => None,
        }
    }
}

/// Which way a stream flows, as seen by who wrote the description (RFC 8866 §6.7).
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub enum Direction {
    #[default]
    SendRecv,
    SendOnly,
    RecvOnly,
    Inactive,
}

impl Direction {
    /// The same flow as seen from the other end: what a willing answer says (RFC 3264 §6.1).
    pub fn reversed(self) -> Self {
        match self {
            Direction::SendRecv => Direction::SendRecv,
            Direction::SendOnly => Direction::RecvOnly,
            Direction::RecvOnly => Direction::SendOnly,
            Direction::Inactive => Direction::Inactive,
        }
    }

    /// Whether its writer wants to hear us.
    pub fn receives(self) -> bool {
        matches!(self, Direction::SendRecv | Direction::RecvOnly)
    }

    fn name(self) -> &'static str {
        match self {
            Direction::SendRecv => "sendrecv",
            Direction::SendOnly => "sendonly",
            Direction::RecvOnly => "recvonly",
            Direction::Inactive => "inactive",
        }
    }

    fn named(name: &str) -> Option<Self> {
        [Direction::SendRecv, Direction::SendOnly, Direction::RecvOnly, Direction::Inactive]
            .into_iter()
            .find(|direction| name.eq_ignore_ascii_case(direction.name()))
    }
}

/// A peer's offer or answer that can be used: it has audio in some codec at an address.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Session {
    /// `o=` session id and version: unchanged in a re-INVITE that only refreshes (RFC 3264 §8).
    pub id: String,
    pub version: u64,
    /// As the peer sees it.
    pub direction: Direction,
    /// Packet time the peer asks for, in milliseconds.
    pub ptime_ms: Option<u32>,
    remote: SocketAddr,
    formats: Vec<Format>,
    events: Events,
    crypto: Crypto,
    /// What both sides encrypt with, once our side has its say.
    keys: Option<Keys>,
    lines: Vec<MediaLine>,
    audio: usize,
}

/// An `m=` line as it stood, to be answered in kind (RFC 3264 §6).
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
struct MediaLine {
    media: String,
    proto: String,
    fmt: String,
}

impl Session {
    /// What the peer can speak, with its payload types: first what we can record, in the peer's order, then what can
    /// only be passed on. Never empty.
    pub fn codecs(&self) -> Vec<(Codec, u8)> {
        self.formats.iter().map(|format| (format.codec, format.pt)).collect()
    }

    /// Payload type of telephone-event, where the peer takes it: that at the clock of its first codec.
    pub fn event_pt(&self) -> Option<u8> {
        self.events.beside(self.formats[0].codec).map(|(pt, _)| pt)
    }

    /// Where the peer wants its audio; `0.0.0.0` for a hold in the old manner (RFC 3264 §8.4).
    pub fn remote(&self) -> SocketAddr {
        self.remote
    }

    /// Whether the peer does not want to hear us.
    pub fn held(&self) -> bool {
        !self.direction.receives() || self.remote.ip().is_unspecified()
    }

    /// Whether what is said is encrypted both ways.
    pub fn is_encrypted(&self) -> bool {
        self.keys.is_some()
    }

    /// Whether it is encrypted, or not, as `srtp` wants it.
    ///
    /// # Errors
    /// When it is not.
    pub fn meets(&self, srtp: Policy) -> Result<(), SdpFault> {
        self.crypto.agreed(srtp).map(drop)
    }

    /// Whether it is where voice may be: there, or at `ours`, where the daemon calls itself from.
    ///
    /// # Errors
    /// When it is not.
    pub fn is_within(&self, places: &Places, ours: IpAddr) -> Result<(), SdpFault> {
        let place = self.remote.ip();
        let permitted = place == ours || places.permits(place);
        if permitted { Ok(()) } else { Err(SdpFault::Elsewhere(place)) }
    }

    /// The stream in the peer's first codec.
    pub fn stream(&self) -> Stream {
        self.stream_of(&self.formats[0])
    }

    /// The stream in the wanted codec; none where the peer did not name it.
    pub fn stream_for(&self, wanted: Codec) -> Option<Stream> {
        let found = self.formats.iter().find(|format| format.codec == wanted);
        found.map(|format| self.stream_of(format))
    }

    /// The stream in the first codec that prompts can be spoken in and others turned into, a costly one last; none where
    /// the peer has none of those.
    pub fn spoken(&self) -> Option<Stream> {
        let able = self.formats.iter().filter(|format| format.codec.is_convertible());
        able.min_by_key(|format| format.codec.is_costly()).map(|format| self.stream_of(format))
    }

    /// The streams of two peers in a codec that both name: the first one's first choice among what can be recorded,
    /// else among the rest.
    pub fn common(&self, other: &Session) -> Option<(Stream, Stream)> {
        let pairs = self.formats.iter().filter_map(|format| {
            let twin = other.formats.iter().find(|twin| twin.is_same(format))?;
            Some((self.stream_of(format), other.stream_of(twin)))
        });
        pairs.into_iter().next()
    }

    /// The streams of the two that go together: in what both speak and we can record, else in what can be turned into
    /// each other, else in what both speak.
    pub fn beside(&self, other: &Session) -> Option<(Stream, Stream)> {
        let common = self.common(other);
        let recorded = common.filter(|(stream, _)| stream.codec.is_decodable());
        recorded.or_else(|| Some((self.spoken()?, other.spoken()?))).or(common)
    }

    /// The stream that goes with a leg in `codec` beside it: in the same, or one that can be turned into it.
    pub fn stream_beside(&self, codec: Codec) -> Option<Stream> {
        let turned = || self.spoken().filter(|_| codec.is_convertible());
        self.stream_for(codec).filter(|_| codec != Codec::Unknown).or_else(turned)
    }

    fn stream_of(&self, format: &Format) -> Stream {
        let event = self.events.beside(format.codec);
        let mut also = Also::default();
        for other in self.formats.iter().filter(|other| other.pt != format.pt).take(3) {
            also.add(other.pt, Carried::Audio(other.codec));
        }
        Stream {
            remote: self.remote,
            codec: format.codec,
            audio_pt: format.pt,
            event_pt: event.map(|(pt, _)| pt),
            event_clock: event.map_or(8000, |(_, clock)| clock),
            send: !self.held(),
            also,
            srtp: self.keys,
        }
    }
}

/// Our end of one session, for its `o=`, `c=` and `m=` lines.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Local {
    pub address: IpAddr,
    pub port: u16,
    /// Random, the same for the whole dialog.
    pub session_id: u64,
    /// One more for each description that differs from the one before (RFC 3264 §8).
    pub version: u64,
    pub srtp: Policy,
    /// What we encrypt with, where we do.
    pub key: MasterKey,
    /// Where the peer may be.
    #[serde(default)]
    pub places: Places,
}

impl Local {
    /// The end of a session that is never encrypted.
    pub fn plain(address: IpAddr, port: u16, session_id: u64) -> Self {
        let (srtp, key) = (Policy::Off, MasterKey([0; MASTER]));
        let places = Places::default();
        Self { address, port, session_id, version: 1, srtp, key, places }
    }

    /// For the next, different description in this dialog.
    pub fn next(self) -> Self {
        Self { version: self.version.wrapping_add(1), ..self }
    }

    /// The same session at another port of ours.
    pub fn at_port(self, port: u16) -> Self {
        Self { port, ..self }
    }

    /// The end of one that may be encrypted, with a key of its own.
    pub fn secret(self, srtp: Policy, key: MasterKey) -> Self {
        Self { srtp, key, ..self }
    }

    /// The end of one whose peer may only be there.
    pub fn within(self, places: Places) -> Self {
        Self { places, ..self }
    }

    /// Reads what the peer of this session offers or answers.
    ///
    /// # Errors
    /// As [`parse`], when it is encrypted or not against our policy, and when it is where it may not be.
    pub fn read(&self, bytes: &[u8]) -> Result<Session, SdpFault> {
        self.secured(parse(bytes)?)
    }

    /// A session that was read before it was known which end of ours it meets.
    ///
    /// # Errors
    /// When it is encrypted or not against our policy, and when it is where it may not be.
    pub fn secured(&self, mut session: Session) -> Result<Session, SdpFault> {
        session.is_within(&self.places, self.address)?;
        let theirs = session.crypto.agreed(self.srtp)?;
        session.keys = theirs.map(|theirs| Keys { ours: self.key, theirs });
        Ok(session)
    }
}

/// Reads a peer's offer or answer; of an encrypted one the keys are not taken up yet.
///
/// # Errors
/// When it cannot be read, or holds no audio we could carry; [`SdpFault::status`] is the answer to give.
pub fn parse(bytes: &[u8]) -> Result<Session, SdpFault> {
    let sdp = clean::read(bytes)?;
    let audio = usable_audio(&sdp.medias)?;
    let media = &sdp.medias[audio];
    let direction = direction_of(&media.attributes)
        .or_else(|| direction_of(&sdp.attributes))
        .unwrap_or_default();
    let (formats, events) = formats::of(media);
    if formats.is_empty() {
        return Err(SdpFault::NoCodec);
    }
    let ptime_ms = value_of(media, "ptime").and_then(|value| value.trim().parse().ok());
    if let Some(ptime) = ptime_ms.filter(|ptime| !PTIMES_MS.contains(ptime)) {
        return Err(SdpFault::Ptime(ptime));
    }
    let connection = media.connections.first().or(sdp.connection.as_ref());
    let address = connection
        .and_then(|connection| connection.try_address().ok())
        .ok_or(SdpFault::NoAddress)?;
    if address.ip.is_multicast() {
        return Err(SdpFault::NoAddress);
    }
    Ok(Session {
        id: sdp.origin.sess_id.clone(),
        version: sdp.origin.sess_version,
        direction,
        ptime_ms,
        remote: SocketAddr::new(address.ip, media.port),
        formats,
        events,
        crypto: Crypto::of(media),
        keys: None,
        lines: sdp.medias.iter().map(MediaLine::of).collect(),
        audio,
    })
}

impl MediaLine {
    fn of(media: &Media) -> Self {
        Self { media: media.media.clone(), proto: media.proto.clone(), fmt: media.fmt.clone() }
    }
}

/// The first audio that is RTP; encrypted before plain where both are offered.
fn usable_audio(medias: &[Media]) -> Result<usize, SdpFault> {
    let live_audio = |media: &Media| media.media.eq_ignore_ascii_case("audio") && media.port != 0;
    let with = |wanted: &str| {
        let fits = |media: &Media| live_audio(media) && media.proto.eq_ignore_ascii_case(wanted);
        medias.iter().position(fits)
    };
    match with(crypto::SAVP).or_else(|| with(crypto::AVP)) {
        Some(index) => Ok(index),
        None if medias.iter().any(live_audio) => Err(SdpFault::Encrypted),
        None => Err(SdpFault::NoAudio),
    }
}

fn direction_of(attributes: &[Attribute]) -> Option<Direction> {
    attributes.iter().rev().find_map(|attribute| Direction::named(attribute.attribute.trim()))
}

fn value_of<'a>(media: &'a Media, name: &str) -> Option<&'a str> {
    media.attributes.iter().find(|attribute| attribute.attribute == name)?.value.as_deref()
}

#[cfg(test)]
mod tests;
