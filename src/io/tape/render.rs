//! The stereo WAV as a view of a sealed tape: the far end left, everybody on our side right, gaps as silence. What
//! cannot be decoded is silence too, and said.

use super::mixer::{BLOCK, Lane, Mixer, Spot};
use super::record::{HEAD, Head, Kind};
use super::scan::Scan;
use super::{Gap, Obstacle, Undecoded, files};
use crate::io::wav_file::StereoWriter;
use crate::protocol::rtp::relay::Secrecy;
use crate::protocol::rtp::timeline::{self, Placed, RATE, Taped};
use crate::protocol::rtp::{Party, packet};
use chrono::{DateTime, Utc};
use std::collections::BTreeMap;
use std::io;
use std::path::Path;

/// Silence of at least one packet is listed.
const GAP_MIN: i64 = 160;
/// Between the last packet and the end of the call lies a moment anyway.
const LAST_GAP_MIN: i64 = RATE as i64;
const GAPS_MAX: usize = 1000;
/// A recording that would be longer is cut: what a WAV holds.
const SAMPLES_MAX: i64 = 18 * 3600 * RATE as i64;
/// What SRTP adds to a packet: the authentication tag of either suite that telephones have.
const SRTP_TAGS: [u32; 2] = [10, 4];

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
    pub undecoded: Vec<Undecoded>,
}

/// Renders the tape into a new file at `wav`; makes none where the tape has no audio.
///
/// # Errors
/// What the disk says, and when the file is no tape.
pub fn render(tape: &Path, wav: &Path) -> io::Result<Rendered> {
    let mut scan = Scan::open(tape)?
        .ok_or_else(|| io::Error::new(io::ErrorKind::InvalidData, "not a tape"))?;
    let mut content = Content::read(&mut scan)?;
    content.set_encrypted_apart();
    let undecoded = content.undecoded();
    let tracks = content.placed();
    let packets: Vec<(Party, u64)> = content.packets.clone().into_iter().collect();
    let interrupted = content.finished.is_none();
    let Some(start) = tracks.iter().filter_map(|track| Some(track.placed.first()?.at)).min() else {
        let started =
            content.first.map_or(scan.header.anchor.wall, |first| scan.header.wall_at(first));
        let gaps = Vec::new();
        return Ok(Rendered { samples: 0, started, interrupted, packets, gaps, undecoded });
    };
    let last =
        tracks.iter().filter_map(|track| Some(track.placed.last()?.end())).max().unwrap_or(start);
    let finished = content.finished.map_or(last, timeline::sample_at);
    let end = last.max(finished).min(start + SAMPLES_MAX);
    let mut writer = StereoWriter::new(files::create(wav)?)?;
    let mut mixer = Mixer::new(content.lanes(&tracks), tape)?;
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
        gaps: gaps(&tracks, start, end, content.caller),
        undecoded,
    })
}

/// Everything on a tape but the samples themselves.
#[derive(Default)]
struct Content {
    audio: BTreeMap<Party, Audio>,
    undecoded: BTreeMap<(Party, Obstacle), u64>,
    packets: BTreeMap<Party, u64>,
    first: Option<crate::protocol::now::Mono>,
    finished: Option<crate::protocol::now::Mono>,
    caller: bool,
}

#[derive(Default)]
struct Audio {
    packets: Vec<Taped>,
    /// Where the samples of each stand in the file.
    spots: Vec<Spot>,
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
        if head.secrecy == Secrecy::Undecryptable {
            *self.undecoded.entry((head.party, Obstacle::Encrypted)).or_default() += 1;
            return;
        }
        let Some(packet) =
            packet::parse(bytes).filter(|packet| packet.payload_type == head.audio_pt)
        else {
            return;
        };
        let samples = head.codec.samples(packet.payload).filter(|_| head.codec.is_decodable());
        let Some(samples) = samples else {
            *self.undecoded.entry((head.party, Obstacle::Codec(head.codec))).or_default() += 1;
            return;
        };
        let audio = self.audio.entry(head.party).or_default();
        audio.packets.push(Taped {
            arrival: head.arrival,
            ssrc: packet.ssrc,
            sequence: packet.sequence,
            timestamp: packet.timestamp,
            clock: head.codec.clock(),
            samples,
        });
        let offset = at + (HEAD + packet::payload_range(bytes).start) as u64;
        let length = packet.payload.len() as u16;
        audio.spots.push(Spot { offset, length, codec: head.codec });
    }

    /// Packets that are each longer than their own timestamps say, by just what SRTP adds, are encrypted with a key
    /// that nobody told us: noise, not speech.
    fn set_encrypted_apart(&mut self) {
        for (party, audio) in &mut self.audio {
            let pairs = audio.packets.windows(2).filter(|pair| {
                pair[0].ssrc == pair[1].ssrc && pair[1].sequence == pair[0].sequence.wrapping_add(1)
            });
            let (mut all, mut longer) = (0, 0);
            for pair in pairs {
                let step = pair[1].timestamp.wrapping_sub(pair[0].timestamp);
                let excess = u32::from(pair[0].samples).wrapping_sub(step);
                all += 1;
                longer += usize::from(pair[0].clock == RATE as u32 && SRTP_TAGS.contains(&excess));
            }
            if longer * 2 > all {
                let packets = audio.packets.len() as u64;
                *self.undecoded.entry((*party, Obstacle::Encrypted)).or_default() += packets;
                *audio = Audio::default();
            }
        }
    }

    fn undecoded(&self) -> Vec<Undecoded> {
        let undecoded = |(&(party, obstacle), &packets): (&(Party, Obstacle), &u64)| Undecoded {
            party,
            obstacle,
            packets,
        };
        self.undecoded.iter().map(undecoded).collect()
    }

    fn placed(&self) -> Vec<Track> {
        let track = |(party, audio): (&Party, &Audio)| Track {
            party: *party,
            placed: timeline::place(&audio.packets),
        };
        self.audio.iter().filter(|(_, audio)| !audio.packets.is_empty()).map(track).collect()
    }

    fn lanes<'a>(&'a self, tracks: &'a [Track]) -> Vec<Lane<'a>> {
        let lane = |track: &'a Track| {
            let side = usize::from(!self.is_left(track.party));
            Some(Lane::new(side, &self.audio.get(&track.party)?.spots, &track.placed))
        };
        tracks.iter().filter_map(lane).collect()
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

/// `joins`: a leader came into the call of others, and is gone when he is heard no more.
fn gaps(tracks: &[Track], start: i64, end: i64, joins: bool) -> Vec<Gap> {
    let mut gaps = Vec::new();
    for track in tracks.iter().filter(|track| track.party != Party::Prompt) {
        let left = track.placed.last().filter(|_| joins && track.party == Party::Leader);
        let end = left.map_or(end, Placed::end);
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
