//! Where a packet goes on to, and what the other leg needs changed in it.

use crate::protocol::rtp::stream::Carried;
use crate::protocol::rtp::{Channel, Codec, Stream, g711, packet};
use std::net::SocketAddr;

/// A packet that arrived on `from` and goes out by `channel`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Forward {
    pub channel: Channel,
    pub to: SocketAddr,
    payload_type: u8,
    pub(super) change: Change,
}

/// What becomes of the payload.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Change {
    None,
    Table(&'static [u8; 256]),
    /// By way of what was heard.
    Said(Codec),
    /// The duration of a key, in ticks of another clock (RFC 4733 §2.3.5).
    Duration {
        from: u32,
        to: u32,
    },
}

impl Forward {
    /// None where the other party takes nothing of the kind.
    pub(super) fn of(
        channel: Channel,
        event_clock: u32,
        carried: Carried,
        receiver: &Stream,
    ) -> Option<Self> {
        let (payload_type, change) = match carried {
            Carried::Audio(codec) => audio(codec, receiver)?,
            Carried::Keys if event_clock == receiver.event_clock => {
                (receiver.event_pt?, Change::None)
            }
            Carried::Keys => {
                let (from, to) = (event_clock, receiver.event_clock);
                (receiver.event_pt?, Change::Duration { from, to })
            }
            Carried::Noise => return None,
        };
        Some(Self { channel, to: receiver.remote, payload_type, change })
    }

    /// Whether the packet must be heard here before it can go on.
    pub(super) fn is_said(&self) -> bool {
        matches!(self.change, Change::Said(_))
    }

    pub(super) fn label(&self, packet: &mut [u8]) {
        packet::set_payload_type(packet, self.payload_type);
    }
}

fn audio(codec: Codec, receiver: &Stream) -> Option<(u8, Change)> {
    if codec == receiver.codec {
        return Some((receiver.audio_pt, Change::None));
    }
    if let Some(table) = g711::transcoding(codec, receiver.codec) {
        return Some((receiver.audio_pt, Change::Table(table)));
    }
    if codec.is_convertible() && receiver.codec.is_convertible() {
        return Some((receiver.audio_pt, Change::Said(receiver.codec)));
    }
    receiver.type_of(codec).map(|payload_type| (payload_type, Change::None))
}

pub(super) fn through(table: &[u8; 256], payload: &mut [u8]) {
    for byte in payload {
        *byte = table[usize::from(*byte)];
    }
}

pub(super) fn rescaled(payload: &mut [u8], from: u32, to: u32) {
    let Some(&[high, low]) = payload.get(2..4) else { return };
    let ticks = u32::from(u16::from_be_bytes([high, low])) * (to / 1000) / (from / 1000).max(1);
    payload[2..4].copy_from_slice(&u16::try_from(ticks).unwrap_or(u16::MAX).to_be_bytes());
}
