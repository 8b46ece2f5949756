//! Session descriptions (RFC 8866) and their offers and answers (RFC 3264); the only door to sdp-types.
//!
//! Usual order for a bridged call: [`parse`] the caller's offer, [`offer_for`] it to the officer, [`parse`]
//! the officer's answer, take [`Session::stream_for`] that codec on the caller's leg, and [`answer`] the caller.

use super::rtp::{Codec, Stream};
use sdp_types::{Attribute, Connection, Media, MediaType, Origin, Time, TransportProto};
use serde::{Deserialize, Serialize};
use std::net::{IpAddr, SocketAddr};
use thiserror::Error;

/// What we offer where nobody has asked for anything: A-law first, as the networks of this country have it.
pub const CODECS: [(Codec, u8); 2] = [(Codec::Pcma, 8), (Codec::Pcmu, 0)];
/// The payload type we give telephone-event (RFC 4733) where the peer has not given one.
pub const EVENT_PT: u8 = 101;
/// Packet time of everything we send ourselves, and the one we ask for, in milliseconds.
pub const PTIME_MS: u32 = 20;

const MEDIA_MAX: usize = 8;
const ATTRIBUTES_MAX: usize = 64;
const BYTES_MAX: usize = 64 * 1024;

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
    #[error("neither PCMA nor PCMU is offered")]
    NoCodec,
    #[error("audio has no usable unicast IP address")]
    NoAddress,
}

impl SdpFault {
    /// The SIP status that says so: 400 for what cannot be read, 488 for what cannot be taken (RFC 3261 §21.4.26).
    pub fn status(&self) -> u16 {
        match self {
            SdpFault::Malformed(_) | SdpFault::TooMany(_) => 400,
            SdpFault::NoAudio | SdpFault::Encrypted | SdpFault::NoCodec | SdpFault::NoAddress => {
                488
            }
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

/// A peer's offer or answer that can be used: it has audio in a codec of ours at an address.
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
    codecs: Vec<(Codec, u8)>,
    event_pt: Option<u8>,
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
    /// PCMA and PCMU with their payload types, in the peer's order; never empty.
    pub fn codecs(&self) -> &[(Codec, u8)] {
        &self.codecs
    }

    /// Payload type of telephone-event at 8000 Hz, where the peer takes it.
    pub fn event_pt(&self) -> Option<u8> {
        self.event_pt
    }

    /// Where the peer wants its audio; `0.0.0.0` for a hold in the old manner (RFC 3264 §8.4).
    pub fn remote(&self) -> SocketAddr {
        self.remote
    }

    /// Whether the peer does not want to hear us.
    pub fn held(&self) -> bool {
        !self.direction.receives() || self.remote.ip().is_unspecified()
    }

    /// The stream in the peer's first codec.
    pub fn stream(&self) -> Stream {
        let (codec, audio_pt) = self.codecs[0];
        self.stream_of(codec, audio_pt)
    }

    /// The stream in the wanted codec; none where the peer did not name it.
    pub fn stream_for(&self, wanted: Codec) -> Option<Stream> {
        let found = self.codecs.iter().find(|(codec, _)| *codec == wanted);
        found.map(|&(codec, audio_pt)| self.stream_of(codec, audio_pt))
    }

    fn stream_of(&self, codec: Codec, audio_pt: u8) -> Stream {
        Stream { remote: self.remote, codec, audio_pt, event_pt: self.event_pt, send: !self.held() }
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
}

impl Local {
    /// For the next, different description in this dialog.
    pub fn next(self) -> Self {
        Self { version: self.version.wrapping_add(1), ..self }
    }
}

/// Reads a peer's offer or answer.
///
/// # Errors
/// When it cannot be read, or holds no audio we could carry; [`SdpFault::status`] is the answer to give.
pub fn parse(bytes: &[u8]) -> Result<Session, SdpFault> {
    if bytes.len() > BYTES_MAX {
        return Err(SdpFault::TooMany("bytes"));
    }
    let text = sanitised(bytes);
    let sdp = sdp_types::Session::parse(text.as_bytes())
        .map_err(|fault| SdpFault::Malformed(fault.to_string()))?;
    within_limits(&sdp)?;
    let audio = usable_audio(&sdp.medias)?;
    let media = &sdp.medias[audio];
    let direction = direction_of(&media.attributes)
        .or_else(|| direction_of(&sdp.attributes))
        .unwrap_or_default();
    let (codecs, event_pt) = formats(media);
    if codecs.is_empty() {
        return Err(SdpFault::NoCodec);
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
        ptime_ms: value_of(media, "ptime").and_then(|value| value.trim().parse().ok()),
        remote: SocketAddr::new(address.ip, media.port),
        codecs,
        event_pt,
        lines: sdp.medias.iter().map(MediaLine::of).collect(),
        audio,
    })
}

/// An offer of `codecs` in this order, with telephone-event where `event_pt` is given.
pub fn offer(
    local: &Local,
    codecs: &[(Codec, u8)],
    event_pt: Option<u8>,
    direction: Direction,
) -> Vec<u8> {
    written(local, vec![audio_line(local, codecs, event_pt, direction)])
}

/// The offer to the other leg: what the first leg's peer offered of our codecs, in its order and with its payload
/// types. telephone-event is always offered, so that keys work where only the phone knows it.
pub fn offer_for(local: &Local, first: &Session, direction: Direction) -> Vec<u8> {
    let taken = |pt: u8| first.codecs.iter().any(|&(_, codec_pt)| codec_pt == pt);
    let event_pt =
        first.event_pt.or_else(|| (EVENT_PT..=127).chain(96..EVENT_PT).find(|&pt| !taken(pt)));
    offer(local, &first.codecs, event_pt, direction)
}

/// The answer to an offer with the one codec that `stream` has; every other `m=` line is refused with port 0.
pub fn answer(local: &Local, to: &Session, stream: &Stream, direction: Direction) -> Vec<u8> {
    let lines = to.lines.iter().enumerate().map(|(index, line)| {
        if index == to.audio {
            audio_line(local, &[(stream.codec, stream.audio_pt)], stream.event_pt, direction)
        } else {
            line.refused()
        }
    });
    written(local, lines.collect())
}

impl MediaLine {
    fn of(media: &Media) -> Self {
        Self { media: media.media.clone(), proto: media.proto.clone(), fmt: media.fmt.clone() }
    }

    fn refused(&self) -> Media {
        let mut media =
            Media::new(MediaType::Audio, 0, TransportProto::Other(self.proto.clone()), &self.fmt);
        media.media.clone_from(&self.media);
        media
    }
}

/// Only the lines we read, as UTF-8, with what real senders get wrong put right: spaces in the user name of `o=`,
/// an `o=` that is not one, a second session-level `c=`.
fn sanitised(bytes: &[u8]) -> String {
    let text = String::from_utf8_lossy(bytes);
    let mut clean = String::with_capacity(text.len());
    let (mut origin, mut connection, mut media) = (false, false, false);
    for line in text.split(['\n', '\r']).map(|line| line.trim_end_matches('\0')) {
        let line = match line.as_bytes() {
            [b'v' | b'a', b'=', ..] => line.replace('\0', " "),
            [b'm', b'=', ..] => {
                media = true;
                line.split_ascii_whitespace().collect::<Vec<_>>().join(" ")
            }
            [b'c', b'=', ..] if media || !connection => {
                connection |= !media;
                line.split_ascii_whitespace().collect::<Vec<_>>().join(" ")
            }
            [b'o', b'=', ..] if !origin && !media => match clean_origin(&line[2..]) {
                Some(line) => {
                    origin = true;
                    line
                }
                None => continue,
            },
            _ => continue,
        };
        clean.push_str(&line);
        clean.push_str("\r\n");
    }
    clean
}

fn clean_origin(value: &str) -> Option<String> {
    let fields: Vec<&str> = value.split_ascii_whitespace().collect();
    let (user, rest) = fields.split_at_checked(fields.len().checked_sub(5)?)?;
    let [id, version, "IN", "IP4" | "IP6", address] = rest else { return None };
    version.parse::<u64>().ok()?;
    let user = if user.is_empty() { "-".to_owned() } else { user.join("_") };
    Some(format!("o={user} {id} {version} IN {} {address}", rest[3]))
}

fn within_limits(sdp: &sdp_types::Session) -> Result<(), SdpFault> {
    if sdp.medias.len() > MEDIA_MAX {
        return Err(SdpFault::TooMany("media lines"));
    }
    let sections = sdp.medias.iter().map(|media| &media.attributes).chain([&sdp.attributes]);
    if sections.map(Vec::len).any(|count| count > ATTRIBUTES_MAX) {
        return Err(SdpFault::TooMany("attributes"));
    }
    Ok(())
}

fn usable_audio(medias: &[Media]) -> Result<usize, SdpFault> {
    let live_audio = |media: &Media| media.media.eq_ignore_ascii_case("audio") && media.port != 0;
    let plain = |media: &Media| media.proto.eq_ignore_ascii_case("RTP/AVP");
    match medias.iter().position(|media| live_audio(media) && plain(media)) {
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

/// Our codecs in the order of the `m=` line, and the payload type of telephone-event at their clock rate.
fn formats(media: &Media) -> (Vec<(Codec, u8)>, Option<u8>) {
    let mut codecs: Vec<(Codec, u8)> = Vec::new();
    let mut event_pt = None;
    for pt in media
        .fmt
        .split_ascii_whitespace()
        .filter_map(|fmt| fmt.parse::<u8>().ok())
        .filter(|&pt| pt < 128)
    {
        let codec = match encoding(media, pt) {
            Some(name) if name.eq_ignore_ascii_case("PCMA/8000") => Codec::Pcma,
            Some(name) if name.eq_ignore_ascii_case("PCMU/8000") => Codec::Pcmu,
            Some(name) if name.eq_ignore_ascii_case("telephone-event/8000") => {
                event_pt = event_pt.or(Some(pt));
                continue;
            }
            None if pt == 8 => Codec::Pcma,
            None if pt == 0 => Codec::Pcmu,
            Some(_) | None => continue,
        };
        if codecs.iter().all(|&(known, _)| known != codec) {
            codecs.push((codec, pt));
        }
    }
    (codecs, event_pt)
}

/// `name/rate` that an `rtpmap` gives this payload type; a channel count of 1 is left off.
fn encoding(media: &Media, wanted: u8) -> Option<&str> {
    let maps = media.attributes.iter().filter(|attribute| attribute.attribute == "rtpmap");
    maps.filter_map(|attribute| attribute.value.as_deref()?.trim().split_once(' '))
        .find(|(pt, _)| pt.parse() == Ok(wanted))
        .map(|(_, name)| name.trim().strip_suffix("/1").unwrap_or(name.trim()))
}

fn audio_line(
    local: &Local,
    codecs: &[(Codec, u8)],
    event_pt: Option<u8>,
    direction: Direction,
) -> Media {
    let pts: Vec<String> =
        codecs.iter().map(|&(_, pt)| pt).chain(event_pt).map(|pt| pt.to_string()).collect();
    let mut media = Media::new(MediaType::Audio, local.port, TransportProto::RtpAvp, pts.join(" "));
    for &(codec, pt) in codecs {
        let name = match codec {
            Codec::Pcma => "PCMA",
            Codec::Pcmu => "PCMU",
        };
        media.add_attribute_with_value("rtpmap", format!("{pt} {name}/8000"));
    }
    if let Some(pt) = event_pt {
        media.add_attribute_with_value("rtpmap", format!("{pt} telephone-event/8000"));
        media.add_attribute_with_value("fmtp", format!("{pt} 0-15"));
    }
    media.add_attribute_with_value("ptime", PTIME_MS);
    media.add_attribute_from_str(direction.name());
    media
}

fn written(local: &Local, medias: Vec<Media>) -> Vec<u8> {
    let origin = Origin::with_ip_addr(local.session_id, local.version, local.address);
    let mut sdp = sdp_types::Session::new(origin, "-");
    sdp.set_connection(Connection::from_ip_addr(local.address));
    sdp.add_time(Time::new(0, 0));
    sdp.add_medias(medias);
    let mut bytes = Vec::with_capacity(512);
    sdp.write(&mut bytes).expect("writing to memory does not fail");
    bytes
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const LOCAL: Local = Local {
        address: IpAddr::V4(std::net::Ipv4Addr::new(192, 0, 2, 9)),
        port: 20_000,
        session_id: 77,
        version: 1,
    };

    fn sdp(audio: &str) -> Vec<u8> {
        format!("v=0\r\no=- 1 2 IN IP4 192.0.2.1\r\ns=-\r\nc=IN IP4 192.0.2.1\r\nt=0 0\r\n{audio}")
            .into_bytes()
    }

    fn text(bytes: &[u8]) -> &str {
        std::str::from_utf8(bytes).unwrap()
    }

    #[test]
    fn the_peers_order_of_codecs_holds() {
        let session = parse(&sdp("m=audio 4000 RTP/AVP 18 0 8 101\r\na=rtpmap:18 G729/8000\r\na=rtpmap:101 telephone-event/8000\r\n")).unwrap();
        assert_eq!(session.codecs(), [(Codec::Pcmu, 0), (Codec::Pcma, 8)]);
        assert_eq!(session.event_pt(), Some(101));
        assert_eq!(session.stream().codec, Codec::Pcmu);
        assert_eq!(session.stream_for(Codec::Pcma).unwrap().audio_pt, 8);
        assert_eq!(session.remote(), "192.0.2.1:4000".parse().unwrap());
        assert!(session.stream().send);
    }

    #[test]
    fn dynamic_payload_types_and_event_clock_rates_are_read() {
        let body = "m=audio 4000 RTP/AVP 97 98 110\r\na=rtpmap:97 pcma/8000/1\r\na=rtpmap:98 telephone-event/48000\r\na=rtpmap:110 telephone-event/8000\r\n";
        let session = parse(&sdp(body)).unwrap();
        assert_eq!(session.codecs(), [(Codec::Pcma, 97)]);
        assert_eq!(session.event_pt(), Some(110));
    }

    #[test]
    fn a_static_payload_type_that_is_mapped_elsewhere_is_not_g711() {
        let session = parse(&sdp("m=audio 4000 RTP/AVP 8 0\r\na=rtpmap:8 L16/8000\r\n")).unwrap();
        assert_eq!(session.codecs(), [(Codec::Pcmu, 0)]);
    }

    #[test]
    fn every_manner_of_hold_is_a_hold() {
        for (body, held) in [
            ("m=audio 4000 RTP/AVP 8\r\na=sendrecv\r\n", false),
            ("m=audio 4000 RTP/AVP 8\r\na=recvonly\r\n", false),
            ("m=audio 4000 RTP/AVP 8\r\na=sendonly\r\n", true),
            ("m=audio 4000 RTP/AVP 8\r\na=inactive\r\n", true),
            ("m=audio 4000 RTP/AVP 8\r\nc=IN IP4 0.0.0.0\r\n", true),
        ] {
            let session = parse(&sdp(body)).unwrap();
            assert_eq!(session.held(), held, "{body}");
            assert_eq!(session.stream().send, !held, "{body}");
        }
    }

    #[test]
    fn a_direction_of_the_session_counts_where_the_media_has_none() {
        let session = parse(b"v=0\no=- 1 2 IN IP4 192.0.2.1\nc=IN IP4 192.0.2.1\na=inactive\nm=audio 4000 RTP/AVP 8\n").unwrap();
        assert_eq!(session.direction, Direction::Inactive);
        assert_eq!(session.direction.reversed(), Direction::Inactive);
    }

    #[test]
    fn the_officer_is_offered_what_the_caller_offered() {
        let caller =
            parse(&sdp("m=audio 4000 RTP/AVP 9 0 8 96\r\na=rtpmap:96 telephone-event/8000\r\n"))
                .unwrap();
        let offer = offer_for(&LOCAL, &caller, Direction::SendRecv);
        assert!(text(&offer).contains("m=audio 20000 RTP/AVP 0 8 96\r\n"), "{}", text(&offer));
        let read = parse(&offer).unwrap();
        assert_eq!(read.codecs(), caller.codecs());
        assert_eq!(read.event_pt(), Some(96));
        assert_eq!((read.id.as_str(), read.version), ("77", 1));
    }

    #[test]
    fn keys_are_offered_to_the_officer_even_if_the_caller_has_none() {
        let caller = parse(&sdp("m=audio 4000 RTP/AVP 101\r\na=rtpmap:101 PCMA/8000\r\n")).unwrap();
        let read = parse(&offer_for(&LOCAL, &caller, Direction::SendRecv)).unwrap();
        assert_eq!(read.codecs(), [(Codec::Pcma, 101)]);
        assert_eq!(read.event_pt(), Some(102), "101 is taken by the codec");
    }

    #[test]
    fn the_answer_carries_the_chosen_codec_and_refuses_other_media() {
        let body = "m=video 5000 RTP/AVP 96 97\r\na=rtpmap:96 H264/90000\r\nm=audio 4000 RTP/AVP 0 8 101\r\na=rtpmap:101 telephone-event/8000\r\nm=audio 6000 RTP/AVP 8\r\n";
        let caller = parse(&sdp(body)).unwrap();
        let answer =
            answer(&LOCAL, &caller, &caller.stream_for(Codec::Pcma).unwrap(), Direction::SendRecv);
        let lines: Vec<&str> =
            text(&answer).lines().filter(|line| line.starts_with("m=")).collect();
        assert_eq!(
            lines,
            ["m=video 0 RTP/AVP 96 97", "m=audio 20000 RTP/AVP 8 101", "m=audio 0 RTP/AVP 8"]
        );
        assert_eq!(parse(&answer).unwrap().codecs(), [(Codec::Pcma, 8)]);
    }

    #[test]
    fn a_changed_description_counts_its_version_up() {
        let again = offer(&LOCAL.next(), &CODECS, Some(EVENT_PT), Direction::SendOnly);
        let session = parse(&again).unwrap();
        assert_eq!((session.id.as_str(), session.version), ("77", 2));
        assert_eq!(session.direction, Direction::SendOnly);
        assert_eq!(session.ptime_ms, Some(20));
    }

    #[test]
    fn what_cannot_be_taken_is_refused_with_488() {
        for (body, fault) in [
            ("", SdpFault::NoAudio),
            ("m=audio 0 RTP/AVP 8\r\n", SdpFault::NoAudio),
            ("m=image 4000 udptl t38\r\n", SdpFault::NoAudio),
            ("m=audio 4000 RTP/AVP 18 9\r\n", SdpFault::NoCodec),
            ("m=audio 4000 RTP/SAVP 8\r\n", SdpFault::Encrypted),
            ("m=audio 4000 RTP/AVP 8\r\nc=IN IP4 gateway.example\r\n", SdpFault::NoAddress),
            ("m=audio 4000 RTP/AVP 8\r\nc=IN IP4 224.0.1.1/127\r\n", SdpFault::NoAddress),
        ] {
            let found = parse(&sdp(body)).unwrap_err();
            assert_eq!(found, fault, "{body}");
            assert_eq!(found.status(), 488);
        }
    }

    #[test]
    fn what_cannot_be_read_is_refused_with_400() {
        assert_eq!(parse(b"").unwrap_err().status(), 400);
        assert_eq!(parse(b"v=1\r\n").unwrap_err().status(), 400);
        assert_eq!(parse(&sdp("m=audio many RTP/AVP 8\r\n")).unwrap_err().status(), 400);
        assert_eq!(
            parse(&sdp(&"m=audio 4000 RTP/AVP 8\r\n".repeat(9))).unwrap_err(),
            SdpFault::TooMany("media lines")
        );
        let attributes = "a=candidate:1\r\n".repeat(65);
        assert_eq!(
            parse(&sdp(&format!("m=audio 4000 RTP/AVP 8\r\n{attributes}"))).unwrap_err(),
            SdpFault::TooMany("attributes")
        );
        assert_eq!(parse(&vec![b'a'; BYTES_MAX + 1]).unwrap_err(), SdpFault::TooMany("bytes"));
    }

    #[test]
    fn faults_of_real_senders_are_forgiven() {
        let body = b"v=0\r\no=duty \xd6\xb5 room 5 6 IN IP4 192.0.2.1\r\ns=\xb0\xe0\r\ni=x\r\ni=y\r\nc=IN IP4 192.0.2.1\r\nc=IN IP4 192.0.2.2\r\nnonsense\r\nm=audio  4000 RTP/AVP  8\r\na=x\0y:\xff\r\n";
        let session = parse(body).unwrap();
        assert_eq!((session.id.as_str(), session.version), ("5", 6));
        assert_eq!(session.remote(), "192.0.2.1:4000".parse().unwrap());
        let no_origin =
            parse(b"v=0\no=broken\nc=IN IP6 2001:db8::1\nm=audio 4000 RTP/AVP 8\n").unwrap();
        assert_eq!(no_origin.remote(), "[2001:db8::1]:4000".parse().unwrap());
    }

    #[test]
    fn an_ipv6_line_says_so() {
        let local = Local { address: "2001:db8::9".parse().unwrap(), ..LOCAL };
        let bytes = offer(&local, &CODECS, None, Direction::SendRecv);
        assert!(text(&bytes).contains("c=IN IP6 2001:db8::9\r\n"));
        assert!(text(&bytes).contains("m=audio 20000 RTP/AVP 8 0\r\n"));
    }

    proptest! {
        #[test]
        fn no_bytes_make_the_parser_panic(bytes in prop::collection::vec(any::<u8>(), 0..400)) {
            let _ = parse(&bytes);
        }

        #[test]
        fn what_is_parsed_can_be_answered(
            port in 1u16..,
            order in prop::sample::subsequence(vec!["0", "8", "18", "9", "101"], 1..5),
            cut in 0usize..300,
            noise in any::<u8>(),
        ) {
            let mut bytes = sdp(&format!("m=audio {port} RTP/AVP {}\r\na=rtpmap:101 telephone-event/8000\r\n", order.join(" ")));
            let at = cut % bytes.len();
            bytes[at] = noise;
            if let Ok(session) = parse(&bytes) {
                let answer = answer(&LOCAL, &session, &session.stream(), session.direction.reversed());
                let read = parse(&answer).unwrap();
                prop_assert_eq!(read.stream().codec, session.stream().codec);
            }
        }
    }
}
