//! How one thing that happened stands on the tape, in the ring and in files: a fixed head, the packet as it came,
//! CRC-32C. Numbers are little-endian.
//!
//! ```text
//!  0  sync    4   "DLr1"            8  codec     1   `Codec`'s number, of this packet
//!  4  length  2   of the packet     9  audio pt  1   that carries this codec
//!  6  kind    1                    10  event pt  1   255: none
//!  7  party   1                    11  secrecy   1   0: came as RTP, 1: as SRTP, 2: as SRTP, still encrypted
//! 12  arrival 8   monotonic ns     20  call     16
//! 36  segment 4   and 40 offset 4: the record of this call before; 0, 0: none
//! 44  packet  …   then crc 4 over all before; of a channel lent or taken back its number, 2, big-endian; of packets
//!                 that are lost the moment of the first, 8, and how many, 8
//! ```

use super::folders;
use crate::protocol::now::Mono;
use crate::protocol::rtp::relay::{Secrecy, Tag};
use crate::protocol::rtp::{Codec, Party, packet};
use uuid::Uuid;

pub const SYNC: [u8; 4] = *b"DLr1";
pub const HEAD: usize = 44;
pub const TAIL: usize = 4;
/// The longest record.
pub const RECORD_MAX: usize = HEAD + packet::BYTES_MAX + TAIL;

#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Kind {
    /// A channel was lent to a party of the call.
    Opened,
    /// An RTP packet, as it arrived or as we sent it.
    Packet,
    /// Nothing more of this call will come.
    Finished,
    /// A channel was taken back from a party of the call.
    Closed,
    /// Packets of a party came, and found no room on their way to the tape.
    Lost,
}

/// Where a record stands; segment 0 is none. What is before what in time: [`Place::is_before`].
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord)]
pub struct Place {
    pub segment: u32,
    pub offset: u32,
}

impl Place {
    pub fn is_before(self, other: Self) -> bool {
        (folders::count(self.segment), self.offset) < (folders::count(other.segment), other.offset)
    }
}

/// Packets that are not on the tape, from the first of them to the moment of the record.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Lost {
    pub since: Mono,
    pub packets: u64,
}

impl Lost {
    pub const BYTES: usize = 16;

    pub fn to_bytes(self) -> [u8; Self::BYTES] {
        let mut bytes = [0; Self::BYTES];
        bytes[..8].copy_from_slice(&self.since.0.to_le_bytes());
        bytes[8..].copy_from_slice(&self.packets.to_le_bytes());
        bytes
    }

    pub fn from_bytes(bytes: &[u8]) -> Option<Self> {
        let (since, packets) = (bytes.first_chunk()?, bytes.get(8..)?.first_chunk()?);
        Some(Self {
            since: Mono(u64::from_le_bytes(*since)),
            packets: u64::from_le_bytes(*packets),
        })
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Head {
    pub length: u16,
    pub kind: Kind,
    pub party: Party,
    pub codec: Codec,
    pub audio_pt: u8,
    pub event_pt: Option<u8>,
    pub secrecy: Secrecy,
    pub arrival: Mono,
    pub call: Uuid,
    pub previous: Place,
}

impl Head {
    /// Of a packet of `tag` that is `length` bytes long.
    pub fn of(kind: Kind, tag: &Tag, arrival: Mono, length: u16) -> Self {
        Self {
            length,
            kind,
            party: tag.party,
            codec: tag.codec,
            audio_pt: tag.audio_pt,
            event_pt: tag.event_pt,
            secrecy: tag.secrecy,
            arrival,
            call: tag.call,
            previous: Place::default(),
        }
    }

    /// That a call is over.
    pub fn finished(call: Uuid, arrival: Mono) -> Self {
        Self {
            length: 0,
            kind: Kind::Finished,
            party: Party::Caller,
            codec: Codec::Pcma,
            audio_pt: 0,
            event_pt: None,
            secrecy: Secrecy::Clear,
            arrival,
            call,
            previous: Place::default(),
        }
    }

    pub fn to_bytes(self) -> [u8; HEAD] {
        let mut bytes = [0; HEAD];
        bytes[0..4].copy_from_slice(&SYNC);
        bytes[4..6].copy_from_slice(&self.length.to_le_bytes());
        bytes[6] = match self.kind {
            Kind::Opened => 0,
            Kind::Packet => 1,
            Kind::Finished => 2,
            Kind::Closed => 3,
            Kind::Lost => 4,
        };
        bytes[7] = self.party as u8;
        bytes[8] = self.codec as u8;
        bytes[9] = self.audio_pt;
        bytes[10] = self.event_pt.unwrap_or(255);
        bytes[11] = self.secrecy as u8;
        bytes[12..20].copy_from_slice(&self.arrival.0.to_le_bytes());
        bytes[20..36].copy_from_slice(self.call.as_bytes());
        bytes[36..40].copy_from_slice(&self.previous.segment.to_le_bytes());
        bytes[40..44].copy_from_slice(&self.previous.offset.to_le_bytes());
        bytes
    }

    /// None for what is no head.
    pub fn from_bytes(bytes: &[u8]) -> Option<Self> {
        let bytes: &[u8; HEAD] = bytes.first_chunk()?;
        let length = u16::from_le_bytes([bytes[4], bytes[5]]);
        if bytes[0..4] != SYNC || usize::from(length) > packet::BYTES_MAX {
            return None;
        }
        Some(Self {
            length,
            kind: match bytes[6] {
                0 => Kind::Opened,
                1 => Kind::Packet,
                2 => Kind::Finished,
                3 => Kind::Closed,
                4 => Kind::Lost,
                _ => return None,
            },
            party: match bytes[7] {
                0 => Party::Caller,
                1 => Party::Officer,
                2 => Party::Leader,
                3 => Party::Prompt,
                _ => return None,
            },
            codec: Codec::numbered(bytes[8])?,
            audio_pt: bytes[9],
            event_pt: (bytes[10] != 255).then_some(bytes[10]),
            secrecy: match bytes[11] {
                0 => Secrecy::Clear,
                1 => Secrecy::Decrypted,
                2 => Secrecy::Undecryptable,
                _ => return None,
            },
            arrival: Mono(u64::from_le_bytes(part(bytes, 12))),
            call: Uuid::from_bytes(part(bytes, 20)),
            previous: Place {
                segment: u32::from_le_bytes(part(bytes, 36)),
                offset: u32::from_le_bytes(part(bytes, 40)),
            },
        })
    }

    /// Length of the whole record.
    pub fn record_length(&self) -> usize {
        HEAD + usize::from(self.length) + TAIL
    }
}

fn part<const N: usize>(bytes: &[u8; HEAD], start: usize) -> [u8; N] {
    std::array::from_fn(|index| bytes[start + index])
}

/// Appends the record to `out`.
pub fn write(head: &Head, packet: &[u8], out: &mut Vec<u8>) {
    let start = out.len();
    out.extend_from_slice(&head.to_bytes());
    out.extend_from_slice(packet);
    let crc = crc32c::crc32c(&out[start..]);
    out.extend_from_slice(&crc.to_le_bytes());
}

/// The record at the start of `bytes`; none where it is not whole or not what was written.
pub fn read(bytes: &[u8]) -> Option<(Head, &[u8])> {
    let head = Head::from_bytes(bytes)?;
    let record = bytes.get(..head.record_length())?;
    let (body, crc) = record.split_last_chunk()?;
    (crc32c::crc32c(body) == u32::from_le_bytes(*crc)).then(|| (head, &body[HEAD..]))
}

#[cfg(test)]
pub mod tests {
    use super::*;
    use proptest::prelude::*;

    pub fn any_head() -> impl Strategy<Value = Head> {
        let kinds = [Kind::Opened, Kind::Packet, Kind::Finished, Kind::Closed, Kind::Lost];
        let kind = prop::sample::select(kinds.to_vec());
        let party =
            prop::sample::select(vec![Party::Caller, Party::Officer, Party::Leader, Party::Prompt]);
        let codec = prop::sample::select(Codec::ALL.to_vec());
        let secrecy =
            prop::sample::select(vec![Secrecy::Clear, Secrecy::Decrypted, Secrecy::Undecryptable]);
        let place =
            (any::<u32>(), any::<u32>()).prop_map(|(segment, offset)| Place { segment, offset });
        let numbers = (0u8..128, prop::option::of(0u8..128), any::<u64>(), any::<u128>());
        (kind, party, (codec, secrecy), place, numbers, 0u16..1500).prop_map(
            |(kind, party, how, previous, (audio_pt, event_pt, arrival, call), length)| Head {
                length,
                kind,
                party,
                codec: how.0,
                secrecy: how.1,
                audio_pt,
                event_pt,
                arrival: Mono(arrival),
                call: Uuid::from_u128(call),
                previous,
            },
        )
    }

    proptest! {
        #[test]
        fn what_is_written_is_read_back(head in any_head(), fill: u8) {
            let packet = vec![fill; usize::from(head.length)];
            let mut out = vec![7; 3];
            write(&head, &packet, &mut out);
            prop_assert_eq!(read(&out[3..]), Some((head, &packet[..])));
        }

        /// Tapes from before there was any but G.711 in clear.
        #[test]
        fn a_record_of_old_is_read(packet in prop::collection::vec(any::<u8>(), 0..200)) {
            let mut old = b"DLr1".to_vec();
            old.extend((packet.len() as u16).to_le_bytes());
            old.extend([1, 0, 8, 8, 101, 0]);
            old.extend([0; 32]);
            old.extend(&packet);
            let crc = crc32c::crc32c(&old);
            old.extend(crc.to_le_bytes());
            let (head, read) = super::read(&old).unwrap();
            prop_assert_eq!((head.codec, head.audio_pt, head.secrecy), (Codec::Pcma, 8, Secrecy::Clear));
            prop_assert_eq!(read, &packet[..]);
        }

        #[test]
        fn a_changed_or_cut_record_is_none(head in any_head(), at: prop::sample::Index, bit in 0u8..8) {
            let mut out = Vec::new();
            write(&head, &vec![0; usize::from(head.length)], &mut out);
            let at = at.index(out.len());
            prop_assert_eq!(read(&out[..at]), None);
            out[at] ^= 1 << bit;
            prop_assert_eq!(read(&out), None);
        }

        #[test]
        fn any_bytes_are_read_without_panic(mut bytes in prop::collection::vec(any::<u8>(), 0..100)) {
            if let Some(start) = bytes.get_mut(..4) {
                start.copy_from_slice(&SYNC);
            }
            prop_assert_eq!(read(&bytes), None);
        }
    }
}
