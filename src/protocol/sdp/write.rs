//! Our own descriptions: offers, and answers to what a peer offered.

use super::crypto::{self, Policy};
use super::formats::{Events, Format};
use super::{Codec, Direction, EVENT_PT, Local, MediaLine, PTIME_MS, Session};
use crate::protocol::rtp::Stream;
use sdp_types::{Connection, Media, MediaType, Origin, Time, TransportProto};

/// An offer of `codecs` in this order, with telephone-event where `event_pt` is given.
pub fn offer(
    local: &Local,
    codecs: &[(Codec, u8)],
    event_pt: Option<u8>,
    direction: Direction,
) -> Vec<u8> {
    let formats: Vec<Format> =
        codecs.iter().map(|(codec, pt)| Format::plain(*codec, *pt)).collect();
    let events = Events(event_pt.map(|pt| (pt, 8000)).into_iter().collect());
    let audio = Audio { formats: &formats, events: &events, ptime: PTIME_MS, direction };
    written(local, vec![audio.offered(local)])
}

/// The offer to the other leg: what the first leg's peer offered, with its payload types, what can be recorded first;
/// and what can be turned into that, for a peer that shares none of it. telephone-event is always offered, so that keys
/// work where only the phone knows it.
pub fn offer_for(local: &Local, first: &Session, direction: Direction) -> Vec<u8> {
    let mut formats = first.formats.clone();
    let mut events = first.events.clone();
    let free_of = |formats: &[Format], events: &Events, pt: u8| {
        formats.iter().all(|format| format.pt != pt)
            && events.0.iter().all(|(event, _)| *event != pt)
    };
    if first.spoken().is_some() {
        for (codec, pt) in super::TURNED.into_iter().filter(|(codec, _)| codec.is_convertible()) {
            let known = formats.iter().any(|format| format.codec == codec);
            if !known && free_of(&formats, &events, pt) {
                formats.push(Format::plain(codec, pt));
            }
        }
        formats.sort_by_key(|format| !format.codec.is_decodable());
    }
    if events.0.iter().all(|(_, clock)| *clock != 8000) {
        let mut types = (EVENT_PT..=127).chain(96..EVENT_PT);
        let free = types.find(|pt| free_of(&formats, &events, *pt));
        events.0.extend(free.map(|pt| (pt, 8000)));
    }
    let ptime = first.ptime_ms.unwrap_or(PTIME_MS);
    let audio = Audio { formats: &formats, events: &events, ptime, direction };
    written(local, vec![audio.offered(local)])
}

/// The answer to an offer with the one codec that `stream` has; every other `m=` line is refused with port 0.
pub fn answer(local: &Local, to: &Session, stream: &Stream, direction: Direction) -> Vec<u8> {
    let chosen = to.formats.iter().find(|format| format.pt == stream.audio_pt).cloned();
    let formats = [chosen.unwrap_or_else(|| Format::plain(stream.codec, stream.audio_pt))];
    let events =
        Events(stream.event_pt.map(|pt| (pt, to.events.clock_of(pt))).into_iter().collect());
    let ptime = to.ptime_ms.unwrap_or(PTIME_MS);
    let audio = Audio { formats: &formats, events: &events, ptime, direction };
    let lines = to.lines.iter().enumerate().map(|(index, line)| {
        if index == to.audio { audio.answered(local, to) } else { line.refused() }
    });
    written(local, lines.collect())
}

/// What was said last by `local`, said anew by one who is willing to speak and to hear, whatever he had to answer before
/// (RFC 6337 §5.3); none where he has said so.
pub fn willing(local: &Local, said: &[u8]) -> Option<Vec<u8>> {
    let mut sdp = sdp_types::Session::parse(said).ok()?;
    let mut changed = false;
    let live = sdp.medias.iter_mut().filter(|media| media.port != 0);
    for attribute in live.flat_map(|media| &mut media.attributes) {
        let limits = |direction: Direction| direction != Direction::SendRecv;
        if Direction::named(&attribute.attribute).is_some_and(limits) {
            Direction::SendRecv.name().clone_into(&mut attribute.attribute);
            changed = true;
        }
    }
    sdp.origin.sess_version = local.version;
    changed.then(|| bytes_of(&sdp))
}

impl MediaLine {
    fn refused(&self) -> Media {
        let mut media =
            Media::new(MediaType::Audio, 0, TransportProto::Other(self.proto.clone()), &self.fmt);
        media.media.clone_from(&self.media);
        media
    }
}

/// One audio line of ours.
struct Audio<'a> {
    formats: &'a [Format],
    events: &'a Events,
    ptime: u32,
    direction: Direction,
}

impl Audio<'_> {
    /// RFC 4568 where encryption is demanded, RFC 8643 where it is only wished for.
    fn offered(&self, local: &Local) -> Media {
        match local.srtp {
            Policy::Off => self.line(local, crypto::AVP),
            Policy::Offer => self.encrypted(local, crypto::AVP, 1),
            Policy::Require => self.encrypted(local, crypto::SAVP, 1),
        }
    }

    fn answered(&self, local: &Local, to: &Session) -> Media {
        let proto = &to.lines[to.audio].proto;
        match to.crypto.tag().filter(|_| to.is_encrypted()) {
            Some(tag) => self.encrypted(local, proto, tag),
            None => self.line(local, proto),
        }
    }

    fn encrypted(&self, local: &Local, proto: &str, tag: u32) -> Media {
        let mut media = self.line(local, proto);
        media.add_attribute_with_value("crypto", crypto::written(tag, &local.key));
        media
    }

    fn line(&self, local: &Local, proto: &str) -> Media {
        let types = self.formats.iter().map(|format| format.pt);
        let types: Vec<String> =
            types.chain(self.events.0.iter().map(|(pt, _)| *pt)).map(|pt| pt.to_string()).collect();
        let proto = TransportProto::Other(proto.to_owned());
        let mut media = Media::new(MediaType::Audio, local.port, proto, types.join(" "));
        for Format { pt, encoding, parameters, .. } in self.formats {
            media.add_attribute_with_value("rtpmap", format!("{pt} {encoding}"));
            if let Some(parameters) = parameters {
                media.add_attribute_with_value("fmtp", format!("{pt} {parameters}"));
            }
        }
        for (pt, clock) in &self.events.0 {
            media.add_attribute_with_value("rtpmap", format!("{pt} telephone-event/{clock}"));
            media.add_attribute_with_value("fmtp", format!("{pt} 0-15"));
        }
        media.add_attribute_with_value("ptime", self.ptime);
        media.add_attribute_from_str(self.direction.name());
        media
    }
}

fn written(local: &Local, medias: Vec<Media>) -> Vec<u8> {
    let origin = Origin::with_ip_addr(local.session_id, local.version, local.address);
    let mut sdp = sdp_types::Session::new(origin, "-");
    sdp.set_connection(Connection::from_ip_addr(local.address));
    sdp.add_time(Time::new(0, 0));
    sdp.add_medias(medias);
    bytes_of(&sdp)
}

fn bytes_of(sdp: &sdp_types::Session) -> Vec<u8> {
    let mut bytes = Vec::with_capacity(512);
    sdp.write(&mut bytes).expect("writing to memory does not fail");
    bytes
}
