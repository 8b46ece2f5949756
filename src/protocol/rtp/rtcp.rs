//! RTCP reports, read and written (RFC 3550 §6). Touches bytes only and allocates nothing: the voice thread sends and
//! receives them.

use std::ops::RangeInclusive;

/// Packet types (§12.1).
const SR: u8 = 200;
const RR: u8 = 201;
const SDES: u8 = 202;
const CNAME: u8 = 1;
/// Never a packet of voice (RFC 5761 §4).
const KINDS: RangeInclusive<u8> = 192..=223;
/// Of a canonical name: 96 random bits, as RFC 7022 §4.2 has it, in hex.
pub const NAME: usize = 24;
/// The longest we write: a sender's report on one source, and our name.
pub const BYTES_MAX: usize = 28 + 24 + 8 + 4 + NAME;
/// Most that was lost, and most that came twice (§6.4.1: a signed number of 24 bits).
const LOST_MOST: i32 = 0x7f_ffff;
const LOST_LEAST: i32 = -0x80_0000;

/// What the sender of a compound packet tells of itself and of what it gets from us.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Told {
    pub ssrc: u32,
    /// The middle of its NTP timestamp, where it sends.
    pub sent: Option<u32>,
    pub block: Option<Block>,
}

/// A report on one source (§6.4.1).
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Block {
    pub ssrc: u32,
    /// Of 256, since the report before.
    pub fraction: u8,
    pub lost: i32,
    pub extended: u32,
    /// In ticks of the source.
    pub jitter: u32,
    /// The middle of the NTP timestamp of the last sender's report from the source, and the time since, in units of
    /// 1/65536 s; 0 and 0 where there was none.
    pub last: u32,
    pub delay: u32,
}

/// What we tell of what we send.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Sent {
    pub ntp: u64,
    pub timestamp: u32,
    pub packets: u32,
    pub octets: u32,
}

/// None for what is not RTCP, whole (§A.2, RFC 5761 §4); one without a report in it (RFC 5506) tells nothing more than
/// that it is there. `about`: the source that a report is looked for.
pub fn read(bytes: &[u8], about: u32) -> Option<Told> {
    let mut told: Option<Told> = None;
    let mut rest = bytes;
    while !rest.is_empty() {
        let (packet, after) = cut(rest)?;
        let (count, kind) = (usize::from(packet[0] & 0x1f), packet[1]);
        let padded = packet[0] & 0x20 != 0;
        if padded && !after.is_empty() || !KINDS.contains(&kind) {
            return None;
        }
        let told = told.get_or_insert(Told { ssrc: word(packet, 4), ..Told::default() });
        if kind == SR || kind == RR {
            let fixed = if kind == SR { 28 } else { 8 };
            if packet.len() < fixed + 24 * count {
                return None;
            }
            if kind == SR {
                told.sent = Some(word(packet, 8) << 16 | word(packet, 12) >> 16);
            }
            let blocks = packet[fixed..fixed + 24 * count].chunks_exact(24).map(Block::read);
            told.block = told.block.or(blocks.into_iter().find(|block| block.ssrc == about));
        }
        rest = after;
    }
    told
}

/// The first packet, and what follows it.
fn cut(bytes: &[u8]) -> Option<(&[u8], &[u8])> {
    let &[first, _, high, low, ..] = bytes else { return None };
    let length = 4 * (usize::from(u16::from_be_bytes([high, low])) + 1);
    (first >> 6 == 2 && length >= 8 && length <= bytes.len()).then(|| bytes.split_at(length))
}

fn word(bytes: &[u8], at: usize) -> u32 {
    let mut word = [0; 4];
    word.copy_from_slice(&bytes[at..at + 4]);
    u32::from_be_bytes(word)
}

impl Block {
    fn read(bytes: &[u8]) -> Self {
        let lost = word(bytes, 4);
        Self {
            ssrc: word(bytes, 0),
            fraction: (lost >> 24) as u8,
            lost: (lost << 8) as i32 >> 8,
            extended: word(bytes, 8),
            jitter: word(bytes, 12),
            last: word(bytes, 16),
            delay: word(bytes, 20),
        }
    }

    fn words(&self) -> [u32; 6] {
        let lost = self.lost.clamp(LOST_LEAST, LOST_MOST) as u32 & 0xff_ffff;
        let lost = u32::from(self.fraction) << 24 | lost;
        [self.ssrc, lost, self.extended, self.jitter, self.last, self.delay]
    }
}

/// Writes a report of `ssrc` to the start of `out` and gives its length.
pub fn write(
    ssrc: u32,
    sent: Option<&Sent>,
    block: Option<&Block>,
    name: &[u8; NAME],
    out: &mut [u8; BYTES_MAX],
) -> usize {
    let mut pen = Pen { out, at: 0 };
    let count = u8::from(block.is_some());
    let words = 1 + if sent.is_some() { 5 } else { 0 } + 6 * u16::from(count);
    pen.head(count, if sent.is_some() { SR } else { RR }, words);
    pen.word(ssrc);
    if let Some(sent) = sent {
        pen.word((sent.ntp >> 32) as u32);
        pen.word(sent.ntp as u32);
        pen.word(sent.timestamp);
        pen.word(sent.packets);
        pen.word(sent.octets);
    }
    for word in block.map(Block::words).into_iter().flatten() {
        pen.word(word);
    }
    pen.head(1, SDES, 2 + NAME as u16 / 4);
    pen.word(ssrc);
    pen.bytes(&[CNAME, NAME as u8]);
    pen.bytes(name);
    // One at least ends the chunk, and it ends at a whole word.
    pen.bytes(&[0, 0]);
    pen.at
}

struct Pen<'a> {
    out: &'a mut [u8; BYTES_MAX],
    at: usize,
}

impl Pen<'_> {
    fn bytes(&mut self, bytes: &[u8]) {
        self.out[self.at..self.at + bytes.len()].copy_from_slice(bytes);
        self.at += bytes.len();
    }

    fn word(&mut self, word: u32) {
        self.bytes(&word.to_be_bytes());
    }

    /// `words` follow it.
    fn head(&mut self, count: u8, kind: u8, words: u16) {
        self.bytes(&[0x80 | count, kind]);
        self.bytes(&words.to_be_bytes());
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use rtcp_types::{Compound, Packet};

    const NAMED: [u8; NAME] = *b"0123456789abcdef01234567";

    fn block() -> Block {
        Block { ssrc: 9, fraction: 25, lost: -3, extended: 65_540, jitter: 80, last: 7, delay: 8 }
    }

    fn written(sent: Option<&Sent>, block: Option<&Block>) -> Vec<u8> {
        let mut out = [0; BYTES_MAX];
        let length = write(5, sent, block, &NAMED, &mut out);
        out[..length].to_vec()
    }

    #[test]
    fn rec_q_what_is_written_is_read_by_another_and_by_us() {
        let sent = Sent { ntp: 0x0000_0102_0304_0506, timestamp: 160, packets: 3, octets: 480 };
        for (sent, block) in [
            (Some(&sent), Some(&block())),
            (Some(&sent), None),
            (None, Some(&block())),
            (None, None),
        ] {
            let bytes = written(sent, block);
            let told = read(&bytes, 9).unwrap();
            let middle = sent.map(|_| 0x0102_0304);
            assert_eq!((told.ssrc, told.sent, told.block.as_ref()), (5, middle, block));
            assert_eq!(read(&bytes, 10).unwrap().block, None, "on another source");
            let mut packets = Compound::parse(&bytes).unwrap().map(Result::unwrap);
            let blocks: Vec<_> = match packets.next().unwrap() {
                Packet::Sr(sr) => {
                    let sent = sent.unwrap();
                    assert_eq!(
                        (sr.ntp_timestamp(), sr.rtp_timestamp()),
                        (sent.ntp, sent.timestamp)
                    );
                    assert_eq!((sr.packet_count(), sr.octet_count()), (sent.packets, sent.octets));
                    sr.report_blocks().map(seen).collect()
                }
                Packet::Rr(rr) => rr.report_blocks().map(seen).collect(),
                other => panic!("{other:?}"),
            };
            assert_eq!(blocks, block.map(|block| vec![*block]).unwrap_or_default());
            let Some(Packet::Sdes(sdes)) = packets.next() else { panic!("no name") };
            let items: Vec<_> = sdes.chunks().flat_map(|chunk| chunk.items()).collect();
            assert_eq!((items[0].type_(), items[0].value()), (1, &NAMED[..]));
        }
    }

    /// By the other reader, which does not know that the number lost has a sign.
    fn seen(block: rtcp_types::ReportBlock<'_>) -> Block {
        Block {
            ssrc: block.ssrc(),
            fraction: block.fraction_lost(),
            lost: (block.cumulative_lost() << 8) as i32 >> 8,
            extended: block.extended_sequence_number(),
            jitter: block.interarrival_jitter(),
            last: block.last_sender_report_timestamp(),
            delay: block.delay_since_last_sender_report_timestamp(),
        }
    }

    /// As baresip says that it leaves.
    #[test]
    fn a_packet_without_a_report_is_none_of_a_stranger() {
        let bye = [0x81, 203, 0, 2, 0, 0, 0, 5, 4, b'B', b'y', b'e'];
        assert_eq!(read(&bye, 9), Some(Told { ssrc: 5, ..Told::default() }));
    }

    #[test]
    fn what_is_not_a_whole_compound_packet_is_none() {
        let good = written(Some(&Sent::default()), Some(&block()));
        assert!(read(&good, 9).is_some());
        for cut in 1..good.len() {
            let first = 28 + 24;
            assert_eq!(read(&good[..cut], 9).is_some(), cut == first, "{cut} bytes");
        }
        let mut wrong = vec![(good.clone(), "")];
        for (at, byte, why) in [
            (0, 0x41, "another version"),
            (0, 0xa1, "padding in the first of two"),
            (0, 0x9f, "more blocks than there are"),
            (1, 0x88, "voice"),
            (3, 0, "a packet of one word"),
            (3, 0xff, "longer than the datagram"),
        ] {
            let mut bytes = good.clone();
            bytes[at] = byte;
            wrong.push((bytes, why));
        }
        for (bytes, why) in &wrong[1..] {
            assert_eq!(read(bytes, 9), None, "{why}");
        }
        assert_eq!(read(&[], 9), None);
    }

    #[test]
    fn a_loss_of_any_size_fits_its_24_bits() {
        for (lost, read_back) in [(i32::MAX, LOST_MOST), (i32::MIN, LOST_LEAST), (-1, -1), (5, 5)] {
            let bytes = written(None, Some(&Block { lost, ..block() }));
            assert_eq!(read(&bytes, 9).unwrap().block.unwrap().lost, read_back);
        }
    }

    proptest! {
        #[test]
        fn any_bytes_are_read_without_panic(bytes in prop::collection::vec(any::<u8>(), 0..200)) {
            read(&bytes, 0);
        }

        /// Either may refuse what the other takes, but never reads anything else.
        #[test]
        fn rec_q_nearly_a_report_is_read_as_another_reads_it(
            changes in prop::collection::vec((0usize..88, any::<u8>()), 0..4), ssrc: u32,
        ) {
            let mut bytes = written(Some(&Sent::default()), Some(&Block { ssrc, ..block() }));
            for (at, byte) in changes {
                if let Some(place) = bytes.get_mut(at) {
                    *place = byte;
                }
            }
            let Ok(compound) = Compound::parse(&bytes) else { return Ok(()) };
            let packets: Result<Vec<_>, _> = compound.collect();
            if let Some(Packet::Sr(sr)) = packets.ok().as_ref().and_then(|all| all.first()) {
                prop_assert!(read(&bytes, ssrc).is_none_or(|told| told.ssrc == sr.ssrc()));
            }
        }
    }
}
