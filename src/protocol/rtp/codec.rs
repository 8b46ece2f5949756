//! What voice is coded in, and what can be made of it here: decoded for the recording, turned into another codec on
//! its way, or only passed on.

use super::libopus;
use serde::{Deserialize, Serialize};

/// Number on the tape; where there is one, the static payload type (RFC 3551 §6).
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[repr(u8)]
pub enum Codec {
    /// G.711 µ-law (RFC 3551).
    Pcmu = 0,
    /// G.711 A-law (RFC 3551).
    Pcma = 8,
    /// G.722 at 64 kbit/s: 16,000 samples a second on an RTP clock of 8000 (RFC 3551 §4.5.2).
    G722 = 9,
    /// G.729 and its annexes: passed on, never decoded.
    G729 = 18,
    /// Opus (RFC 7587); decoded where the feature `opus` is built in.
    Opus = 111,
    /// One that has no name here: passed on, never decoded.
    Unknown = 127,
}

impl Codec {
    pub const ALL: [Codec; 6] =
        [Codec::Pcmu, Codec::Pcma, Codec::G722, Codec::G729, Codec::Opus, Codec::Unknown];

    pub fn numbered(number: u8) -> Option<Self> {
        Self::ALL.into_iter().find(|codec| *codec as u8 == number)
    }

    /// What a payload type means where nobody says otherwise.
    pub fn of_static_type(payload_type: u8) -> Option<Self> {
        match payload_type {
            0 => Some(Codec::Pcmu),
            8 => Some(Codec::Pcma),
            9 => Some(Codec::G722),
            18 => Some(Codec::G729),
            _ => None,
        }
    }

    /// As `rtpmap` writes it; empty for one without a name.
    pub fn encoding(self) -> &'static str {
        match self {
            Codec::Pcmu => "PCMU/8000",
            Codec::Pcma => "PCMA/8000",
            Codec::G722 => "G722/8000",
            Codec::G729 => "G729/8000",
            Codec::Opus => "opus/48000/2",
            Codec::Unknown => "",
        }
    }

    pub fn of_encoding(encoding: &str) -> Self {
        let named = |codec: &Codec| encoding.eq_ignore_ascii_case(codec.encoding());
        Self::ALL.into_iter().find(named).unwrap_or(Codec::Unknown)
    }

    /// Ticks a second of its RTP timestamps. Of an unknown one that of telephony.
    pub fn clock(self) -> u32 {
        match self {
            Codec::Opus => 48_000,
            Codec::Pcmu | Codec::Pcma | Codec::G722 | Codec::G729 | Codec::Unknown => 8000,
        }
    }

    /// Whether the recording can hold what is said in it.
    pub fn is_decodable(self) -> bool {
        match self {
            Codec::Pcmu | Codec::Pcma | Codec::G722 => true,
            Codec::Opus => cfg!(feature = "opus"),
            Codec::G729 | Codec::Unknown => false,
        }
    }

    /// Whether prompts can be spoken in it, and others turned into it and back, on the voice thread.
    pub fn is_convertible(self) -> bool {
        match self {
            Codec::Pcmu | Codec::Pcma | Codec::G722 => true,
            Codec::Opus => cfg!(feature = "opus"),
            Codec::G729 | Codec::Unknown => false,
        }
    }

    /// Whether turning it into another costs much of that thread: only where nothing else is left.
    pub fn is_costly(self) -> bool {
        self == Codec::Opus
    }

    /// Length of a payload on a time line of 8000 samples a second; none where that cannot be told.
    pub fn samples(self, payload: &[u8]) -> Option<u16> {
        match self {
            Codec::Pcmu | Codec::Pcma | Codec::G722 => u16::try_from(payload.len()).ok(),
            Codec::Opus => libopus::samples(payload),
            Codec::G729 | Codec::Unknown => None,
        }
    }

    /// For people.
    pub fn name(self) -> &'static str {
        match self {
            Codec::Pcmu => "PCMU",
            Codec::Pcma => "PCMA",
            Codec::G722 => "G.722",
            Codec::G729 => "G.729",
            Codec::Opus => "Opus",
            Codec::Unknown => "an unknown codec",
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_and_numbers_are_read_back() {
        for codec in Codec::ALL {
            assert_eq!(Codec::numbered(codec as u8), Some(codec));
            assert_eq!(Codec::of_encoding(&codec.encoding().to_lowercase()), codec);
        }
        assert_eq!(Codec::numbered(1), None);
        assert_eq!(Codec::of_encoding("AMR-WB/16000"), Codec::Unknown);
    }

    #[test]
    fn what_can_be_turned_into_another_can_be_recorded() {
        assert!(Codec::ALL.iter().all(|codec| codec.is_decodable() || !codec.is_convertible()));
    }
}
