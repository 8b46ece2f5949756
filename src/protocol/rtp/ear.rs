//! The decoders of one track whose codecs are wider than the telephone: packets in their order become samples at
//! 16,000 a second.

use super::Codec;
use super::g722;
#[cfg(feature = "opus")]
use super::libopus;

#[derive(Default)]
pub struct Ear {
    g722: g722::Decoder,
    #[cfg(feature = "opus")]
    wide_band: libopus::Decoder,
}

impl Ear {
    /// Whether this codec is heard here.
    pub fn hears(codec: Codec) -> bool {
        match codec {
            Codec::G722 => true,
            Codec::Opus => cfg!(feature = "opus"),
            Codec::Pcmu | Codec::Pcma | Codec::G729 | Codec::Unknown => false,
        }
    }

    /// What a packet says, added to `out`.
    pub fn hear(&mut self, codec: Codec, payload: &[u8], out: &mut Vec<i16>) {
        match codec {
            Codec::G722 => out.extend(payload.iter().flat_map(|byte| self.g722.wide(*byte))),
            Codec::Opus => {
                #[cfg(feature = "opus")]
                self.wide_band.hear(payload, out);
            }
            Codec::Pcmu | Codec::Pcma | Codec::G729 | Codec::Unknown => {}
        }
    }
}
