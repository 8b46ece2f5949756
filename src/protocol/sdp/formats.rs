//! What a media line says it can be spoken in (RFC 8866 §6.6, §6.15), and in which clocks its keys may come.

use super::Codec;
use sdp_types::Media;
use serde::{Deserialize, Serialize};

/// Formats of a line that are kept.
const FORMATS_MAX: usize = 24;
/// The longest `fmtp` that is handed on to the other leg.
const PARAMETERS_MAX: usize = 250;

/// A codec under its payload type.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Format {
    pub codec: Codec,
    pub pt: u8,
    /// `name/rate/channels`, as the peer writes it.
    pub encoding: String,
    /// Of a codec that is only passed on: the two ends settle it between them.
    pub parameters: Option<String>,
}

impl Format {
    pub fn plain(codec: Codec, pt: u8) -> Self {
        Self { codec, pt, encoding: codec.encoding().to_owned(), parameters: None }
    }

    /// Whether the two ends mean the same by it.
    pub fn is_same(&self, other: &Format) -> bool {
        self.codec == other.codec
            && (self.codec != Codec::Unknown || self.encoding.eq_ignore_ascii_case(&other.encoding))
    }
}

/// telephone-event (RFC 4733), by payload type and clock.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Events(pub Vec<(u8, u32)>);

impl Events {
    /// The one that goes with a codec: of its clock, else of telephony's, else any (RFC 4733 §2.5.1.1, RFC 7587 §6).
    pub fn beside(&self, codec: Codec) -> Option<(u8, u32)> {
        let of = |wanted: u32| self.0.iter().find(|(_, clock)| *clock == wanted);
        of(codec.clock()).or_else(|| of(8000)).or(self.0.first()).copied()
    }

    pub fn clock_of(&self, pt: u8) -> u32 {
        self.0.iter().find(|(known, _)| *known == pt).map_or(8000, |(_, clock)| *clock)
    }
}

/// What can be recorded before what cannot, each in the order of the `m=` line.
pub fn of(media: &Media) -> (Vec<Format>, Events) {
    let mut formats: Vec<Format> = Vec::new();
    let mut events = Events::default();
    let types = media.fmt.split_ascii_whitespace().filter_map(|fmt| fmt.parse::<u8>().ok());
    for pt in types.filter(|&pt| pt < 128) {
        let Some(encoding) = encoding(media, pt) else { continue };
        let (name, rest) = encoding.split_once('/').unwrap_or((encoding, ""));
        if name.eq_ignore_ascii_case("telephone-event") {
            let clock = rest.split('/').next().and_then(|clock| clock.parse().ok()).unwrap_or(8000);
            if (8000..=48_000).contains(&clock) && events.0.len() < FORMATS_MAX {
                events.0.push((pt, clock));
            }
            continue;
        }
        // Comfort noise, redundancy and repair are no codecs of their own.
        if ["CN", "red", "ulpfec", "flexfec", "rtx"]
            .iter()
            .any(|other| name.eq_ignore_ascii_case(other))
        {
            continue;
        }
        let codec = Codec::of_encoding(encoding);
        let parameters = match codec {
            Codec::Pcmu | Codec::Pcma | Codec::G722 => None,
            Codec::G729 | Codec::Opus | Codec::Unknown => parameters(media, pt),
        };
        let format = Format { codec, pt, encoding: encoding.to_owned(), parameters };
        if formats.len() < FORMATS_MAX && formats.iter().all(|known| !known.is_same(&format)) {
            formats.push(format);
        }
    }
    formats.sort_by_key(|format| !format.codec.is_decodable());
    (formats, events)
}

/// `name/rate` that an `rtpmap` gives this payload type, else what it is by RFC 3551; a channel count of 1 is left
/// off.
fn encoding(media: &Media, wanted: u8) -> Option<&str> {
    let mapped =
        parameter(media, "rtpmap", wanted).map(|name| name.strip_suffix("/1").unwrap_or(name));
    mapped.filter(|name| is_token(name)).or_else(|| {
        let fixed = match wanted {
            3 => "GSM/8000",
            4 => "G723/8000",
            7 => "LPC/8000",
            13 => "CN/8000",
            15 => "G728/8000",
            _ => Codec::of_static_type(wanted)?.encoding(),
        };
        mapped.is_none().then_some(fixed)
    })
}

fn parameters(media: &Media, wanted: u8) -> Option<String> {
    let text = parameter(media, "fmtp", wanted)?;
    let fits =
        text.len() <= PARAMETERS_MAX && text.bytes().all(|byte| (b' '..=b'~').contains(&byte));
    fits.then(|| text.to_owned())
}

fn parameter<'a>(media: &'a Media, name: &str, wanted: u8) -> Option<&'a str> {
    let attributes = media.attributes.iter().filter(|attribute| attribute.attribute == name);
    attributes
        .filter_map(|attribute| attribute.value.as_deref()?.trim().split_once(' '))
        .find(|(pt, _)| pt.parse() == Ok(wanted))
        .map(|(_, value)| value.trim())
}

fn is_token(name: &str) -> bool {
    name.len() <= 64
        && name.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"-./_+".contains(&byte))
}
