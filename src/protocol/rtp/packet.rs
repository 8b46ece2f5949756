//! RTP packets, read and written (RFC 3550 §5.1); the only door to rtp-rs.

use rtp_rs::{RtpPacketBuilder, RtpReader, Seq};
use serde::{Deserialize, Serialize};
use std::ops::Range;

/// Longest packet we take: an Ethernet frame's worth.
pub const BYTES_MAX: usize = 1500;

/// RFC 3550 §A.1: a number further ahead is of a sender that has started anew, or of another one...
pub const MAX_DROPOUT: u16 = 3000;
/// ...and so is one further behind.
pub const MAX_MISORDER: u16 = 100;

/// Of the first byte: the last ones are no payload.
const PADDED: u8 = 0x20;

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Packet<'a> {
    pub payload_type: u8,
    pub marker: bool,
    pub sequence: u16,
    pub timestamp: u32,
    pub ssrc: u32,
    /// Without header, extension and padding.
    pub payload: &'a [u8],
}

/// None for what is not RTP version 2, whole.
pub fn parse(bytes: &[u8]) -> Option<Packet<'_>> {
    let reader = RtpReader::new(bytes).ok()?;
    Some(Packet {
        payload_type: reader.payload_type(),
        marker: reader.mark(),
        sequence: reader.sequence_number().into(),
        timestamp: reader.timestamp(),
        ssrc: reader.ssrc(),
        payload: reader.payload(),
    })
}

/// Writes the packet to the start of `out` and gives its length; none where it does not fit or the payload type is
/// over 127.
pub fn build(packet: &Packet<'_>, out: &mut [u8]) -> Option<usize> {
    RtpPacketBuilder::new()
        .payload_type(packet.payload_type)
        .marked(packet.marker)
        .sequence(Seq::from(packet.sequence))
        .timestamp(packet.timestamp)
        .ssrc(packet.ssrc)
        .payload(packet.payload)
        .build_into(out)
        .ok()
}

/// Gives a packet that was parsed another payload type; everything else stays as it is.
pub fn set_payload_type(bytes: &mut [u8], payload_type: u8) {
    if let Some(byte) = bytes.get_mut(1) {
        *byte = (*byte & 0x80) | (payload_type & 0x7f);
    }
}

/// What tells a receiver where a packet belongs (RFC 3550 §5.1).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Numbers {
    pub sequence: u16,
    pub timestamp: u32,
    pub ssrc: u32,
}

/// None where there is no whole header.
pub fn numbers(bytes: &[u8]) -> Option<Numbers> {
    let &[_, _, s0, s1, t0, t1, t2, t3, a, b, c, d] = bytes.first_chunk()?;
    Some(Numbers {
        sequence: u16::from_be_bytes([s0, s1]),
        timestamp: u32::from_be_bytes([t0, t1, t2, t3]),
        ssrc: u32::from_be_bytes([a, b, c, d]),
    })
}

/// Gives a packet other numbers; everything else stays as it is.
pub fn set_numbers(bytes: &mut [u8], numbers: Numbers) {
    if let Some(head) = bytes.first_chunk_mut::<12>() {
        head[2..4].copy_from_slice(&numbers.sequence.to_be_bytes());
        head[4..8].copy_from_slice(&numbers.timestamp.to_be_bytes());
        head[8..12].copy_from_slice(&numbers.ssrc.to_be_bytes());
    }
}

/// A stretch of speech begins with it (RFC 3551 §4.1).
pub fn set_marker(bytes: &mut [u8]) {
    if let Some(byte) = bytes.get_mut(1) {
        *byte |= 0x80;
    }
}

/// Length of header, sources and extension, whatever the padding bit says; none for what is not RTP version 2.
pub fn header_length(bytes: &[u8]) -> Option<usize> {
    let &[first, ..] = bytes else { return None };
    let fixed = 12 + 4 * usize::from(first & 0x0f);
    let extension = match first & 0x10 {
        0 => 0,
        _ => {
            4 + 4 * usize::from(u16::from_be_bytes([
                *bytes.get(fixed + 2)?,
                *bytes.get(fixed + 3)?,
            ]))
        }
    };
    let length = fixed + extension;
    (first >> 6 == 2 && length <= bytes.len()).then_some(length)
}

/// Gives a packet that was parsed another payload, written by `write`, and another timestamp; header, sources and
/// extension stay. Its new length; none where there is nothing to be said.
pub fn replace_payload(
    bytes: &mut [u8],
    write: impl FnOnce(&mut [u8]) -> Option<(usize, u32)>,
) -> Option<usize> {
    let start = header_length(bytes)?;
    let (length, timestamp) = write(bytes.get_mut(start..)?)?;
    bytes.get_mut(4..8)?.copy_from_slice(&timestamp.to_be_bytes());
    bytes[0] &= !PADDED;
    Some(start + length)
}

/// Where the payload stands in the packet; empty for what is not RTP.
pub fn payload_range(bytes: &[u8]) -> Range<usize> {
    let Ok(reader) = RtpReader::new(bytes) else { return 0..0 };
    let start = reader.payload_offset();
    start..start + reader.payload().len()
}

/// The payload, to be changed in place; empty for what is not RTP.
pub fn payload_mut(bytes: &mut [u8]) -> &mut [u8] {
    let range = payload_range(bytes);
    &mut bytes[range]
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn extension_csrc_and_padding_are_not_payload() {
        let mut bytes = vec![0b1011_0001, 0x80 | 8, 0xff, 0xfe, 0, 0, 0, 160, 1, 2, 3, 4];
        bytes.extend([9, 9, 9, 9]);
        bytes.extend([0xbe, 0xde, 0, 1, 7, 7, 7, 7]);
        bytes.extend([0xd5, 0x55, 0, 2]);
        let packet = parse(&bytes).unwrap();
        let expected = Packet {
            payload_type: 8,
            marker: true,
            sequence: 0xfffe,
            timestamp: 160,
            ssrc: 0x0102_0304,
            payload: &[0xd5, 0x55],
        };
        assert_eq!(packet, expected);
        payload_mut(&mut bytes).fill(1);
        set_payload_type(&mut bytes, 97);
        let changed = parse(&bytes).unwrap();
        assert_eq!(
            (changed.payload, changed.payload_type, changed.marker),
            (&[1, 1][..], 97, true)
        );
    }

    #[test]
    fn what_is_not_rtp_is_not_a_packet() {
        for bytes in [
            &[][..],
            &[0x80; 11],
            &[0x40; 12],
            &[0x9f; 20],
            &[0xa0, 8, 0, 0, 0, 0, 0, 0, 0, 0, 0, 200],
        ] {
            assert_eq!(parse(bytes), None, "{bytes:?}");
        }
    }

    proptest! {
        #[test]
        fn any_bytes_are_read_without_panic(mut bytes in prop::collection::vec(any::<u8>(), 0..200)) {
            let length = parse(&bytes).map(|packet| packet.payload.len());
            prop_assert_eq!(payload_mut(&mut bytes).len(), length.unwrap_or(0));
            if length.is_some() {
                prop_assert_eq!(header_length(&bytes), Some(payload_range(&bytes).start));
            }
        }

        #[test]
        fn what_is_built_is_read_back(
            payload_type in 0u8..128, marker: bool, sequence: u16, timestamp: u32, ssrc: u32,
            payload in prop::collection::vec(any::<u8>(), 0..400),
        ) {
            let packet = Packet { payload_type, marker, sequence, timestamp, ssrc, payload: &payload };
            let mut out = [0; BYTES_MAX];
            let length = build(&packet, &mut out).unwrap();
            prop_assert_eq!(length, 12 + payload.len());
            prop_assert_eq!(parse(&out[..length]), Some(packet));
            prop_assert_eq!(build(&packet, &mut out[..length - 1]), None);
        }
    }
}
