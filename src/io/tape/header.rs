//! The first 64 bytes of a tape file: what it is, and how its monotonic times relate to the wall clock.
//!
//! ```text
//!  0  magic   8   "DUTYTAPE"       24  wall    8   Unix ns, at the same moment
//!  8  version 4   1                32  boot   16   boot id of the host
//! 12  segment 4   0: sealed        48  -      12
//! 16  mono    8   ns since boot    60  crc     4   CRC-32C over all before
//! ```

use crate::protocol::now::{Mono, Now};
use chrono::{DateTime, Duration, Utc};
use std::fs;
use uuid::Uuid;

pub const BYTES: usize = 64;
const MAGIC: &[u8; 8] = b"DUTYTAPE";
const VERSION: u32 = 1;

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Header {
    /// 0 for the sealed tape of one call.
    pub segment: u32,
    pub anchor: Now,
    pub boot: Uuid,
}

impl Header {
    pub fn to_bytes(self) -> [u8; BYTES] {
        let mut bytes = [0; BYTES];
        bytes[0..8].copy_from_slice(MAGIC);
        bytes[8..12].copy_from_slice(&VERSION.to_le_bytes());
        bytes[12..16].copy_from_slice(&self.segment.to_le_bytes());
        bytes[16..24].copy_from_slice(&self.anchor.mono.0.to_le_bytes());
        bytes[24..32]
            .copy_from_slice(&self.anchor.wall.timestamp_nanos_opt().unwrap_or(0).to_le_bytes());
        bytes[32..48].copy_from_slice(self.boot.as_bytes());
        let crc = crc32c::crc32c(&bytes[..60]);
        bytes[60..64].copy_from_slice(&crc.to_le_bytes());
        bytes
    }

    /// None for what is no tape of this version.
    pub fn from_bytes(bytes: &[u8; BYTES]) -> Option<Self> {
        let (body, crc) = bytes.split_last_chunk()?;
        if &bytes[0..8] != MAGIC
            || u32::from_le_bytes(part(bytes, 8)) != VERSION
            || crc32c::crc32c(body) != u32::from_le_bytes(*crc)
        {
            return None;
        }
        let wall = DateTime::from_timestamp_nanos(i64::from_le_bytes(part(bytes, 24)));
        Some(Self {
            segment: u32::from_le_bytes(part(bytes, 12)),
            anchor: Now { mono: Mono(u64::from_le_bytes(part(bytes, 16))), wall },
            boot: Uuid::from_bytes(part(bytes, 32)),
        })
    }

    /// The wall clock at a moment of the same boot.
    pub fn wall_at(&self, moment: Mono) -> DateTime<Utc> {
        let nanos = i128::from(moment.0) - i128::from(self.anchor.mono.0);
        self.anchor.wall + Duration::nanoseconds(i64::try_from(nanos).unwrap_or(0))
    }
}

fn part<const N: usize>(bytes: &[u8; BYTES], start: usize) -> [u8; N] {
    std::array::from_fn(|index| bytes[start + index])
}

/// Names the time since the host started; nil where the kernel does not tell.
pub fn boot_id() -> Uuid {
    let text = fs::read_to_string("/proc/sys/kernel/random/boot_id").unwrap_or_default();
    text.trim().parse().unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_header_is_read_back_and_a_changed_one_is_refused() {
        let anchor = Now {
            mono: Mono(5_000_000_000),
            wall: DateTime::from_timestamp_nanos(1_700_000_000_123_456_789),
        };
        let header = Header { segment: 7, anchor, boot: Uuid::from_u128(9) };
        let bytes = header.to_bytes();
        assert_eq!(Header::from_bytes(&bytes), Some(header));
        for bit in 0..BYTES * 8 {
            let mut changed = bytes;
            changed[bit / 8] ^= 1 << (bit % 8);
            assert_eq!(Header::from_bytes(&changed), None, "bit {bit}");
        }
    }

    #[test]
    fn the_wall_clock_follows_the_monotonic_one_in_both_directions() {
        let anchor = Now {
            mono: Mono(5_000_000_000),
            wall: DateTime::from_timestamp_nanos(1_700_000_000_000_000_000),
        };
        let header = Header { segment: 0, anchor, boot: boot_id() };
        assert_eq!(header.wall_at(Mono(6_500_000_000)), anchor.wall + Duration::milliseconds(1500));
        assert_eq!(header.wall_at(Mono(4_000_000_000)), anchor.wall - Duration::seconds(1));
    }
}
