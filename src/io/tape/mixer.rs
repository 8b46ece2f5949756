//! Decodes and adds up the tracks of a tape, block by block, at 8000 samples a second. What is wider than the
//! telephone is decoded at 16,000 and band-limited before every other sample is taken.

use crate::io::durable::Readable;
use crate::protocol::rtp::decimate::{Decimator, REACH};
use crate::protocol::rtp::ear::Ear;
use crate::protocol::rtp::sound::Measure;
use crate::protocol::rtp::timeline::{Placed, RATE};
use crate::protocol::rtp::{Codec, g711};
use std::io;
use std::path::Path;

/// Samples a block has at most.
pub const BLOCK: usize = RATE as usize;
/// Wide samples on either side of a block that its narrow ones depend on.
const MARGIN: i64 = REACH as i64;

/// Where the payload of a packet stands in the file.
#[derive(Debug, Clone, Copy)]
pub struct Spot {
    pub offset: u64,
    pub length: u16,
    pub codec: Codec,
}

pub struct Mixer<'a> {
    lanes: Vec<Lane<'a>>,
    window: Window,
    sums: [Vec<i32>; 2],
    sides: [Vec<i16>; 2],
}

/// One track: what of it is still to come.
pub struct Lane<'a> {
    side: usize,
    spots: &'a [Spot],
    narrow: &'a [Placed],
    wide: Option<Wide<'a>>,
    /// What the packet in hand says.
    said: Vec<i16>,
    /// What was heard since it was last asked for.
    measure: Box<Measure>,
}

impl<'a> Mixer<'a> {
    pub fn new(lanes: Vec<Lane<'a>>, tape: &Path) -> io::Result<Self> {
        Ok(Self {
            lanes,
            window: Window { file: Readable::open(tape)?, start: 0, bytes: Vec::new() },
            sums: [vec![0; BLOCK], vec![0; BLOCK]],
            sides: [vec![0; BLOCK], vec![0; BLOCK]],
        })
    }

    /// Left and right of the samples `at..at + length`; blocks are asked for in order.
    pub fn block(&mut self, at: i64, length: usize) -> io::Result<(&[i16], &[i16])> {
        for sum in &mut self.sums {
            sum.fill(0);
        }
        for lane in &mut self.lanes {
            let sums = &mut self.sums[lane.side][..length];
            lane.add_narrow(at, sums, &mut self.window)?;
            if let Some(wide) = &mut lane.wide {
                wide.add(at, lane.spots, sums, &mut self.window, &mut lane.measure)?;
            }
        }
        for (side, sums) in self.sides.iter_mut().zip(&self.sums) {
            for (sample, sum) in side.iter_mut().zip(sums) {
                *sample = (*sum).clamp(i32::from(i16::MIN), i32::from(i16::MAX)) as i16;
            }
        }
        Ok((&self.sides[0][..length], &self.sides[1][..length]))
    }

    /// What was heard of each lane in the last block.
    pub fn measures(&mut self) -> impl Iterator<Item = Box<Measure>> {
        self.lanes.iter_mut().map(|lane| std::mem::take(&mut lane.measure))
    }
}

impl<'a> Lane<'a> {
    /// Mixed to the left where `side` is 0, else to the right.
    pub fn new(side: usize, spots: &'a [Spot], placed: &'a [Placed]) -> Self {
        let wide = spots.iter().any(|spot| Ear::hears(spot.codec)).then(|| Wide::new(placed));
        Self { side, spots, narrow: placed, wide, said: Vec::new(), measure: Box::default() }
    }

    fn add_narrow(&mut self, at: i64, sums: &mut [i32], window: &mut Window) -> io::Result<()> {
        let end = at + sums.len() as i64;
        while let Some((piece, rest)) =
            self.narrow.split_first().filter(|(piece, _)| piece.at < end)
        {
            let spot = self.spots[piece.index];
            if !Ear::hears(spot.codec) {
                let (from, to) = (piece.at.max(at), piece.end().min(end));
                let skipped = i64::from(piece.skip) + (from - piece.at);
                let length = (to - from).max(0) as usize;
                let bytes = window.read(spot.offset + skipped.unsigned_abs(), length)?;
                let table = g711::decoding(spot.codec);
                self.said.clear();
                self.said.extend(bytes.iter().map(|byte| table[usize::from(*byte)]));
                for (sum, sample) in sums[(from - at) as usize..].iter_mut().zip(&self.said) {
                    *sum += i32::from(*sample);
                }
                self.measure.add(&self.said);
            }
            if piece.end() > end {
                break;
            }
            self.narrow = rest;
        }
        Ok(())
    }
}

/// What of a track was said in a wide codec.
struct Wide<'a> {
    placed: &'a [Placed],
    ear: Ear,
    decimator: Decimator,
    /// Decoded, and still needed: from `start` on, silence where nothing was said.
    samples: Vec<i16>,
    start: i64,
    heard: Vec<i16>,
}

impl<'a> Wide<'a> {
    fn new(placed: &'a [Placed]) -> Self {
        Self {
            placed,
            ear: Ear::default(),
            decimator: Decimator::default(),
            samples: Vec::with_capacity(2 * (BLOCK + REACH)),
            start: i64::MIN,
            heard: Vec::new(),
        }
    }

    fn add(
        &mut self,
        at: i64,
        spots: &[Spot],
        sums: &mut [i32],
        window: &mut Window,
        measure: &mut Measure,
    ) -> io::Result<()> {
        let (from, to) = (2 * at - MARGIN, 2 * (at + sums.len() as i64) + MARGIN);
        let past = usize::try_from(from.saturating_sub(self.start)).unwrap_or(usize::MAX);
        self.samples.drain(..past.min(self.samples.len()));
        self.start = from;
        let needed = (to - from) as usize;
        if self.samples.len() < needed {
            self.samples.resize(needed, 0);
        }
        while let Some((piece, rest)) =
            self.placed.split_first().filter(|(piece, _)| 2 * piece.at < to)
        {
            let spot = spots[piece.index];
            if Ear::hears(spot.codec) {
                let payload = window.read(spot.offset, usize::from(spot.length))?;
                self.heard.clear();
                self.ear.hear(spot.codec, payload, &mut self.heard);
                let narrow: Vec<i16> = self.heard.iter().step_by(2).copied().collect();
                measure.add(&narrow);
                self.put(piece);
            }
            self.placed = rest;
        }
        for (sum, middle) in sums.iter_mut().zip((0..).step_by(2)) {
            *sum += self.decimator.sample(&self.samples[middle..=middle + 2 * REACH]);
        }
        Ok(())
    }

    fn put(&mut self, piece: &Placed) {
        let said = self.heard.get(2 * usize::from(piece.skip)..).unwrap_or_default();
        let length = said.len().min(2 * usize::from(piece.samples));
        // A piece that begins before the window is over already, but for the first block of a call.
        let begin = 2 * piece.at - self.start;
        let (begin, skip) = (begin.max(0) as usize, (-begin).max(0) as usize);
        let said = said[..length].get(skip..).unwrap_or_default();
        if self.samples.len() < begin + said.len() {
            self.samples.resize(begin + said.len(), 0);
        }
        self.samples[begin..begin + said.len()].copy_from_slice(said);
    }
}

/// A stretch of the file held in memory: what is read next stands near what was read last.
struct Window {
    file: Readable,
    start: u64,
    bytes: Vec<u8>,
}

impl Window {
    const BEFORE: u64 = 16 * 1024;
    const LENGTH: usize = 128 * 1024;

    fn read(&mut self, at: u64, length: usize) -> io::Result<&[u8]> {
        if at < self.start || at + length as u64 > self.start + self.bytes.len() as u64 {
            self.start = at.saturating_sub(Self::BEFORE);
            self.bytes.resize(Self::LENGTH, 0);
            let filled = self.file.read_at(&mut self.bytes, self.start)?;
            self.bytes.truncate(filled);
        }
        let from = (at - self.start) as usize;
        self.bytes.get(from..from + length).ok_or_else(|| io::ErrorKind::UnexpectedEof.into())
    }
}
