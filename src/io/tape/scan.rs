//! Reads a tape file from start to end: every whole record, also after damage; a torn end is no damage.

use super::header::{self, Header};
use super::record::{self, HEAD, Head, RECORD_MAX, SYNC};
use crate::io::durable::Readable;
use std::io::{self, Read};
use std::path::Path;

const CHUNK: usize = 256 * 1024;

/// What a file turned out to be.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Ending {
    /// Every byte was read.
    Whole,
    /// The last record is not whole: the daemon or the host died while it was written.
    Torn,
    /// Whole records follow on bytes that are none.
    Damaged,
}

/// A tape file being read.
pub struct Scan {
    file: Readable,
    pub header: Header,
    buffer: Vec<u8>,
    /// Start of what is not read yet in `buffer`, and of `buffer` in the file.
    start: usize,
    base: u64,
    ended: bool,
    /// Bytes that are no record were skipped.
    skipped: bool,
    damaged: bool,
}

impl Scan {
    /// None when the file does not begin as a tape does.
    ///
    /// # Errors
    /// What the disk says.
    pub fn open(path: &Path) -> io::Result<Option<Self>> {
        let mut file = Readable::open(path)?;
        let mut bytes = [0; header::BYTES];
        match file.read_exact(&mut bytes) {
            Ok(()) => {}
            Err(fault) if fault.kind() == io::ErrorKind::UnexpectedEof => return Ok(None),
            Err(fault) => return Err(fault),
        }
        Ok(Header::from_bytes(&bytes).map(|header| Self {
            file,
            header,
            buffer: Vec::with_capacity(CHUNK),
            start: 0,
            base: header::BYTES as u64,
            ended: false,
            skipped: false,
            damaged: false,
        }))
    }

    /// The next whole record with its offset in the file.
    ///
    /// # Errors
    /// What the disk says.
    pub fn next(&mut self) -> io::Result<Option<(u64, Head, &[u8])>> {
        loop {
            self.fill()?;
            let rest = &self.buffer[self.start..];
            if rest.is_empty() {
                return Ok(None);
            }
            if let Some((head, _)) = record::read(rest) {
                let at = self.start;
                self.damaged |= self.skipped;
                self.start += head.record_length();
                let packet = at + HEAD..at + HEAD + usize::from(head.length);
                return Ok(Some((self.base + at as u64, head, &self.buffer[packet])));
            }
            self.skipped = true;
            let next = rest[1..].windows(SYNC.len()).position(|window| window == SYNC);
            // A sync word may lie across the end of the buffer.
            let tail = rest.len().saturating_sub(SYNC.len() - 1).max(1);
            self.start += next.map_or(tail, |next| next + 1);
        }
    }

    pub fn ending(&self) -> Ending {
        match (self.damaged, self.skipped) {
            (true, _) => Ending::Damaged,
            (false, true) => Ending::Torn,
            (false, false) => Ending::Whole,
        }
    }

    /// Keeps at least one whole record in the buffer, where the file has one.
    fn fill(&mut self) -> io::Result<()> {
        if self.ended || self.buffer.len() - self.start >= RECORD_MAX {
            return Ok(());
        }
        self.buffer.drain(..self.start);
        self.base += self.start as u64;
        self.start = 0;
        let wanted = (CHUNK - self.buffer.len()) as u64;
        let read = (&mut self.file).take(wanted).read_to_end(&mut self.buffer)?;
        self.ended = (read as u64) < wanted;
        Ok(())
    }
}

#[cfg(test)]
pub mod tests {
    use super::super::record::tests::any_head;
    use super::*;
    use crate::protocol::now::{Mono, Now};
    use chrono::DateTime;
    use proptest::prelude::*;
    use std::fs;
    use uuid::Uuid;

    pub fn header(segment: u32) -> Header {
        let anchor =
            Now { mono: Mono(0), wall: DateTime::from_timestamp_nanos(1_700_000_000_000_000_000) };
        Header { segment, anchor, boot: Uuid::nil() }
    }

    type Records = Vec<(Head, Vec<u8>)>;

    fn tape(records: &[(Head, Vec<u8>)]) -> (Vec<u8>, Vec<usize>) {
        let mut bytes = header(1).to_bytes().to_vec();
        let mut ends = Vec::new();
        for (head, packet) in records {
            record::write(head, packet, &mut bytes);
            ends.push(bytes.len());
        }
        (bytes, ends)
    }

    fn read(bytes: &[u8]) -> Option<(Records, Ending)> {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("tape");
        fs::write(&path, bytes).unwrap();
        let mut scan = Scan::open(&path).unwrap()?;
        let mut records = Vec::new();
        while let Some((at, head, packet)) = scan.next().unwrap() {
            assert_eq!(&bytes[at as usize..at as usize + 4], SYNC);
            records.push((head, packet.to_vec()));
        }
        Some((records, scan.ending()))
    }

    fn some_records(count: u16) -> Records {
        let of = |n: u16| {
            let packet = vec![n as u8; usize::from(n % 200)];
            (
                Head { length: n % 200, ..Head::finished(Uuid::from_u128(3), Mono(u64::from(n))) },
                packet,
            )
        };
        (1..=count).map(of).collect()
    }

    #[test]
    fn rec_d1_a_tape_cut_at_any_byte_gives_every_complete_record() {
        let records = some_records(12);
        let (bytes, ends) = tape(&records);
        for cut in 0..=bytes.len() {
            let whole = ends.iter().filter(|end| **end <= cut).count();
            match read(&bytes[..cut]) {
                None => assert!(cut < header::BYTES),
                Some((found, ending)) => {
                    assert_eq!(found, records[..whole], "cut at {cut}");
                    let clean = cut == header::BYTES || ends.contains(&cut);
                    assert_eq!(
                        ending,
                        if clean { Ending::Whole } else { Ending::Torn },
                        "cut at {cut}"
                    );
                }
            }
        }
    }

    #[test]
    fn a_tape_longer_than_the_buffer_is_read_whole() {
        let records = some_records(5000);
        let (bytes, _) = tape(&records);
        assert!(bytes.len() > 2 * CHUNK);
        assert_eq!(read(&bytes), Some((records, Ending::Whole)));
    }

    #[test]
    fn a_torn_end_of_zeros_is_no_damage() {
        let records = some_records(3);
        let (mut bytes, _) = tape(&records);
        bytes.extend([0; 5000]);
        assert_eq!(read(&bytes), Some((records, Ending::Torn)));
    }

    #[test]
    fn what_is_no_tape_is_none() {
        assert_eq!(read(b""), None);
        assert_eq!(read(&[0; 500]), None);
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(64))]
        #[test]
        fn a_changed_byte_costs_one_record_at_most(
            heads in prop::collection::vec(any_head(), 2..8), at: prop::sample::Index, to: u8,
        ) {
            let records: Vec<_> = heads.into_iter().map(|head| (head, vec![9; usize::from(head.length)])).collect();
            let (mut bytes, ends) = tape(&records);
            let at = header::BYTES + at.index(bytes.len() - header::BYTES);
            prop_assume!(bytes[at] != to);
            bytes[at] = to;
            let hit = ends.iter().position(|end| at < *end).unwrap();
            let mut expected = records.clone();
            expected.remove(hit);
            let last = hit == records.len() - 1;
            prop_assert_eq!(read(&bytes), Some((expected, if last { Ending::Torn } else { Ending::Damaged })));
        }

        #[test]
        fn any_bytes_are_read_without_panic(noise in prop::collection::vec(any::<u8>(), 0..3000)) {
            let mut bytes = header(1).to_bytes().to_vec();
            bytes.extend(noise);
            read(&bytes);
        }
    }
}
