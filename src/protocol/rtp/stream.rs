//! How one party is reached and understood, as its session description has it.

use super::Codec;
use super::srtp::Keys;
use serde::{Deserialize, Serialize};
use std::net::SocketAddr;

/// Comfort noise has this type whether or not it was agreed on (RFC 3551 §6).
const COMFORT_NOISE: u8 = 13;
/// Further payload types that are kept in mind for a party.
const KNOWN_MAX: usize = 6;

/// How to reach and understand one party.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Stream {
    /// Where its packets go to, and come from but for what `relay/latch.rs` allows; others are dropped and counted.
    pub remote: SocketAddr,
    pub codec: Codec,
    /// Payload type the codec has on this leg.
    pub audio_pt: u8,
    /// Payload type of telephone-event (RFC 4733) on this leg, where negotiated.
    pub event_pt: Option<u8>,
    /// Ticks a second of its telephone-events.
    pub event_clock: u32,
    /// Whether we send to this party (false while it holds us: sendonly, inactive).
    pub send: bool,
    /// What else the party may send: it named it, or it has sent it until now.
    pub also: Also,
    /// Encrypted (RFC 3711) with these keys.
    pub srtp: Option<Keys>,
}

/// What a payload type carries.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum Carried {
    Audio(Codec),
    Keys,
    /// The party is silent and says so (RFC 3389): a sign of life, and nothing to hear.
    Noise,
}

/// A few payload types and what they carry.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Also([Option<(u8, Carried)>; KNOWN_MAX]);

impl Stream {
    /// A-law with keys, under the payload types that nearly everybody gives them.
    pub fn a_law(remote: SocketAddr) -> Self {
        Self {
            remote,
            codec: Codec::Pcma,
            audio_pt: Codec::Pcma as u8,
            event_pt: Some(101),
            event_clock: 8000,
            send: true,
            also: Also::default(),
            srtp: None,
        }
    }

    /// What a packet of this type carries; none for one the party has no business to send. The static types of G.711
    /// and G.722 are understood without being agreed on (RFC 3551): telephones change to them without a word.
    pub fn carried(&self, payload_type: u8) -> Option<Carried> {
        if payload_type == self.audio_pt {
            return Some(Carried::Audio(self.codec));
        }
        if self.event_pt == Some(payload_type) {
            return Some(Carried::Keys);
        }
        self.also.get(payload_type).or_else(|| {
            if payload_type == COMFORT_NOISE {
                return Some(Carried::Noise);
            }
            let codec =
                Codec::of_static_type(payload_type).filter(|codec| codec.is_convertible())?;
            Some(Carried::Audio(codec))
        })
    }

    /// The payload type of a codec that the party itself has named.
    pub fn type_of(&self, codec: Codec) -> Option<u8> {
        if codec == self.codec {
            return Some(self.audio_pt);
        }
        self.also.find(Carried::Audio(codec))
    }

    /// A codec that prompts can be spoken in to this party, with its payload type.
    pub fn spoken(&self) -> Option<(Codec, u8)> {
        let candidates = [self.codec, Codec::Pcma, Codec::Pcmu, Codec::G722];
        let mut able = candidates.into_iter().filter(|codec| codec.is_convertible());
        able.find_map(|codec| Some((codec, self.type_of(codec)?)))
    }

    /// What was agreed on before is still understood: packets of it may be on their way (RFC 3264 §8.3.2).
    pub fn after(self, before: &Stream) -> Self {
        let mut stream = self;
        let events = before.event_pt.map(|pt| (pt, Carried::Keys));
        let audio = (before.audio_pt, Carried::Audio(before.codec));
        for (payload_type, carried) in [Some(audio), events].into_iter().flatten() {
            if stream.carried(payload_type).is_none() {
                stream.also.add(payload_type, carried);
            }
        }
        stream
    }
}

impl Also {
    pub fn get(&self, payload_type: u8) -> Option<Carried> {
        self.0
            .iter()
            .flatten()
            .find(|(known, _)| *known == payload_type)
            .map(|(_, carried)| *carried)
    }

    fn find(&self, wanted: Carried) -> Option<u8> {
        self.0.iter().flatten().find(|(_, carried)| *carried == wanted).map(|(pt, _)| *pt)
    }

    /// Where there is no room for more, the first is forgotten.
    pub fn add(&mut self, payload_type: u8, carried: Carried) {
        let place = self.0.iter().position(Option::is_none).unwrap_or_else(|| {
            self.0.rotate_left(1);
            KNOWN_MAX - 1
        });
        self.0[place] = Some((payload_type, carried));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn stream() -> Stream {
        Stream::a_law("192.0.2.1:4000".parse().unwrap())
    }

    #[test]
    fn what_was_agreed_on_before_is_understood_for_a_while() {
        let opus = Stream { codec: Codec::Opus, audio_pt: 111, event_pt: Some(110), ..stream() };
        let back = stream().after(&opus);
        assert_eq!(back.carried(111), Some(Carried::Audio(Codec::Opus)));
        assert_eq!(back.carried(110), Some(Carried::Keys));
        assert_eq!(back.carried(8), Some(Carried::Audio(Codec::Pcma)));
        assert_eq!(stream().carried(111), None);
    }

    #[test]
    fn a_payload_type_that_means_something_new_means_that() {
        let before = Stream { codec: Codec::Opus, audio_pt: 101, event_pt: None, ..stream() };
        assert_eq!(stream().after(&before).carried(101), Some(Carried::Keys));
    }

    #[test]
    fn only_the_last_few_are_kept_in_mind() {
        let mut also = Also::default();
        for payload_type in 96..96 + 8 {
            also.add(payload_type, Carried::Keys);
        }
        assert_eq!((also.get(97), also.get(98)), (None, Some(Carried::Keys)));
    }

    #[test]
    fn prompts_are_spoken_in_what_the_party_has_named() {
        assert_eq!(stream().spoken(), Some((Codec::Pcma, 8)));
        let mut g729 = Stream { codec: Codec::G729, audio_pt: 18, ..stream() };
        assert_eq!(g729.spoken(), None);
        g729.also.add(0, Carried::Audio(Codec::Pcmu));
        assert_eq!(g729.spoken(), Some((Codec::Pcmu, 0)));
        let opus = Stream { codec: Codec::Opus, audio_pt: 111, ..stream() };
        let built_in = cfg!(feature = "opus").then_some((Codec::Opus, 111));
        assert_eq!(opus.spoken(), built_in);
    }
}
