//! The stereo WAV as a view of a sealed tape: the far end left, everybody on our side right, gaps as silence.

use super::record::{HEAD, Head, Kind};
use super::scan::Scan;
use super::{Gap, files};
use crate::io::wav_file::StereoWriter;
use crate::protocol::rtp::timeline::{self, Placed, RATE, Taped};
use crate::protocol::rtp::{Codec, Party, g711, packet};
use chrono::{DateTime, Utc};
use std::collections::BTreeMap;
use std::fs::File;
use std::io;
use std::os::unix::fs::FileExt;
use std::path::Path;

/// Silence of at least one packet is listed.
const GAP_MIN: i64 = 160;
/// Between the last packet and the end of the call lies a moment anyway.
const LAST_GAP_MIN: i64 = RATE as i64;
const GAPS_MAX: usize = 1000;
/// A recording that would be longer is cut: what a WAV holds.
const SAMPLES_MAX: i64 = 18 * 3600 * RATE as i64;
const BLOCK: usize = RATE as usize;

/// What is on a tape, and how long its WAV is.
#[derive(Debug, Clone, PartialEq)]
pub struct Rendered {
    /// Of the WAV; 0 when no audio is on the tape, and there is no WAV then.
    pub samples: u64,
    /// The moment of its first sample; of the first record where there is no audio.
    pub started: DateTime<Utc>,
    /// The tape does not say that the call was finished.
    pub interrupted: bool,
    pub packets: Vec<(Party, u64)>,
    pub gaps: Vec<Gap>,
}

/// Renders the tape into a new file at `wav`; makes none where the tape has no audio.
///
/// # Errors
/// What the disk says, and when the file is no tape.
pub fn render(tape: &Path, wav: &Path) -> io::Result<Rendered> {
    let mut scan = Scan::open(tape)?
        .ok_or_else(|| io::Error::new(io::ErrorKind::InvalidData, "not a tape"))?;
    let content = Content::read(&mut scan)?;
    let tracks = content.placed();
    let packets: Vec<(Party, u64)> = content.packets.clone().into_iter().collect();
    let interrupted = content.finished.is_none();
    let Some(start) = tracks.iter().filter_map(|track| Some(track.placed.first()?.at)).min() else {
        let started =
            content.first.map_or(scan.header.anchor.wall, |first| scan.header.wall_at(first));
        return Ok(Rendered { samples: 0, started, interrupted, packets, gaps: Vec::new() });
    };
    let last =
        tracks.iter().filter_map(|track| Some(track.placed.last()?.end())).max().unwrap_or(start);
    let finished = content.finished.map_or(last, timeline::sample_at);
    let end = last.max(finished).min(start + SAMPLES_MAX);
    let mut writer = StereoWriter::new(files::create(wav)?)?;
    let mut mixer = Mixer::new(&content, &tracks, tape)?;
    let mut at = start;
    while at < end {
        let block = BLOCK.min((end - at) as usize);
        let (left, right) = mixer.block(at, block)?;
        writer.write(left, right)?;
        at += block as i64;
    }
    writer.finish()?;
    let moment = crate::protocol::now::Mono(start.unsigned_abs() * (1_000_000_000 / RATE));
    Ok(Rendered {
        samples: (end - start).unsigned_abs(),
        started: scan.header.wall_at(moment),
        interrupted,
        packets,
        gaps: gaps(&tracks, start, end),
    })
}

/// Everything on a tape but the samples themselves.
#[derive(Default)]
struct Content {
    audio: BTreeMap<Party, Audio>,
    packets: BTreeMap<Party, u64>,
    first: Option<crate::protocol::now::Mono>,
    finished: Option<crate::protocol::now::Mono>,
    caller: bool,
}

#[derive(Default)]
struct Audio {
    packets: Vec<Taped>,
    /// Where the samples of each stand in the file.
    spots: Vec<(u64, Codec)>,
}

struct Track {
    party: Party,
    placed: Vec<Placed>,
}

impl Content {
    fn read(scan: &mut Scan) -> io::Result<Self> {
        let mut content = Self::default();
        while let Some((at, head, bytes)) = scan.next()? {
            content.first.get_or_insert(head.arrival);
            match head.kind {
                Kind::Opened => content.caller |= head.party == Party::Caller,
                Kind::Packet => content.take(at, &head, bytes),
                Kind::Finished => content.finished = Some(head.arrival),
            }
        }
        Ok(content)
    }

    fn take(&mut self, at: u64, head: &Head, bytes: &[u8]) {
        self.caller |= head.party == Party::Caller;
        *self.packets.entry(head.party).or_default() += 1;
        let Some(packet) =
            packet::parse(bytes).filter(|packet| packet.payload_type == head.audio_pt)
        else {
            return;
        };
        let audio = self.audio.entry(head.party).or_default();
        audio.packets.push(Taped {
            arrival: head.arrival,
            ssrc: packet.ssrc,
            sequence: packet.sequence,
            timestamp: packet.timestamp,
            samples: packet.payload.len() as u16,
        });
        let payload = packet::payload_range(bytes).start;
        audio.spots.push((at + (HEAD + payload) as u64, head.codec));
    }

    fn placed(&self) -> Vec<Track> {
        let track = |(party, audio): (&Party, &Audio)| Track {
            party: *party,
            placed: timeline::place(&audio.packets),
        };
        self.audio.iter().map(track).collect()
    }

    /// The caller is left; where we called somebody, that is who is left.
    fn is_left(&self, party: Party) -> bool {
        match party {
            Party::Caller => true,
            Party::Leader => !self.caller,
            Party::Officer | Party::Prompt => false,
        }
    }
}

/// Decodes and adds up the tracks, block by block.
struct Mixer<'a> {
    lanes: Vec<Lane<'a>>,
    window: Window,
    sums: [Vec<i32>; 2],
    sides: [Vec<i16>; 2],
}

struct Lane<'a> {
    side: usize,
    spots: &'a [(u64, Codec)],
    placed: &'a [Placed],
}

impl<'a> Mixer<'a> {
    fn new(content: &'a Content, tracks: &'a [Track], tape: &Path) -> io::Result<Self> {
        let lane = |track: &'a Track| {
            let side = usize::from(!content.is_left(track.party));
            Some(Lane {
                side,
                spots: &content.audio.get(&track.party)?.spots,
                placed: &track.placed,
            })
        };
        Ok(Self {
            lanes: tracks.iter().filter_map(lane).collect(),
            window: Window { file: File::open(tape)?, start: 0, bytes: Vec::new() },
            sums: [vec![0; BLOCK], vec![0; BLOCK]],
            sides: [vec![0; BLOCK], vec![0; BLOCK]],
        })
    }

    /// Left and right of the samples `at..at + length`; blocks are asked for in order.
    fn block(&mut self, at: i64, length: usize) -> io::Result<(&[i16], &[i16])> {
        for sum in &mut self.sums {
            sum.fill(0);
        }
        let end = at + length as i64;
        for lane in &mut self.lanes {
            while let Some((piece, rest)) =
                lane.placed.split_first().filter(|(piece, _)| piece.at < end)
            {
                let (from, to) = (piece.at.max(at), piece.end().min(end));
                let (offset, codec) = lane.spots[piece.index];
                let skipped = i64::from(piece.skip) + (from - piece.at);
                let bytes = self
                    .window
                    .read(offset + skipped.unsigned_abs(), (to - from).max(0) as usize)?;
                let sums = &mut self.sums[lane.side][(from - at) as usize..];
                for (sum, byte) in sums.iter_mut().zip(bytes) {
                    *sum += i32::from(g711::decode(codec, *byte));
                }
                if piece.end() > end {
                    break;
                }
                lane.placed = rest;
            }
        }
        for (side, sums) in self.sides.iter_mut().zip(&self.sums) {
            for (sample, sum) in side.iter_mut().zip(sums) {
                *sample = (*sum).clamp(i32::from(i16::MIN), i32::from(i16::MAX)) as i16;
            }
        }
        Ok((&self.sides[0][..length], &self.sides[1][..length]))
    }
}

/// A stretch of the file held in memory: what is read next stands near what was read last.
struct Window {
    file: File,
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
            let mut filled = 0;
            while filled < self.bytes.len() {
                match self.file.read_at(&mut self.bytes[filled..], self.start + filled as u64)? {
                    0 => break,
                    read => filled += read,
                }
            }
            self.bytes.truncate(filled);
        }
        let from = (at - self.start) as usize;
        self.bytes.get(from..from + length).ok_or_else(|| io::ErrorKind::UnexpectedEof.into())
    }
}

fn gaps(tracks: &[Track], start: i64, end: i64) -> Vec<Gap> {
    let mut gaps = Vec::new();
    for track in tracks.iter().filter(|track| track.party != Party::Prompt) {
        for (at, length) in timeline::gaps(&track.placed, end, GAP_MIN) {
            if at + length == end && length < LAST_GAP_MIN {
                continue;
            }
            let ms = |samples: i64| samples.unsigned_abs() * 1000 / RATE;
            gaps.push(Gap { party: track.party, from_ms: ms(at - start), length_ms: ms(length) });
        }
    }
    gaps.sort_by_key(|gap| (gap.from_ms, gap.party));
    gaps.truncate(GAPS_MAX);
    gaps
}
