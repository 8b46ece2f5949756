//! The stereo WAV as a view of a sealed tape: the far end left, everybody on our side right, gaps as silence. What
//! cannot be decoded is silence too, and said.

use super::files::{self, Hashing};
use super::mixer::{BLOCK, Lane, Mixer, Spot};
use super::presence::Presence;
use super::record::{HEAD, Head, Kind, Lost};
use super::scan::Scan;
use super::sounds::Sounds;
use super::{Finding, Gap, Key, Obstacle, Undecoded};
use crate::io::wav_file::StereoWriter;
use crate::protocol::now::Mono;
use crate::protocol::rtp::relay::Secrecy;
use crate::protocol::rtp::telephone_event::Keys;
use crate::protocol::rtp::timeline::{self, Placed, RATE, Taped};
use crate::protocol::rtp::{Party, packet};
use chrono::{DateTime, Utc};
use std::collections::BTreeMap;
use std::io;
use std::path::Path;

/// What is placed by its timestamp may stand so far from where it arrived.
const SLACK: i64 = RATE as i64 / 5;
/// Silence of at least one packet is listed.
const GAP_MIN: i64 = 160;
/// Between the answer and the first packet, the last packet and the end, lies a moment anyway.
const EDGE_MIN: i64 = RATE as i64;
const GAPS_MAX: usize = 1000;
const KEYS_MAX: usize = 1000;
/// A recording that would be longer is cut, and said to be: four days.
const SAMPLES_MAX: i64 = 96 * 3600 * RATE as i64;
/// What SRTP adds to a packet: the authentication tag of either suite that telephones have.
const SRTP_TAGS: [u32; 2] = [10, 4];

/// Whether what is written must outlive a power cut.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Lasts {
    Yes,
    No,
}

/// What is on a tape, and how long its WAV is.
#[derive(Debug, Clone, PartialEq)]
pub struct Rendered {
    /// Of the WAV; 0 when no audio is on the tape, and there is no WAV then.
    pub samples: u64,
    /// Of the WAV, in hex.
    pub sha256: Option<String>,
    /// The moment of its first sample; of the first record where there is no audio.
    pub started: DateTime<Utc>,
    /// The tape does not say that the call was finished.
    pub interrupted: bool,
    pub packets: Vec<(Party, u64)>,
    pub gaps: Vec<Gap>,
    pub undecoded: Vec<Undecoded>,
    pub keys: Vec<Key>,
    pub findings: Vec<Finding>,
}

/// Renders the tape into a new file at `wav`; makes none where the tape has no audio. The same tape gives the same
/// file, byte for byte.
///
/// # Errors
/// What the disk says, and when the file is no tape.
pub fn render(tape: &Path, wav: &Path, lasts: Lasts) -> io::Result<Rendered> {
    let mut scan = Scan::open(tape)?
        .ok_or_else(|| io::Error::new(io::ErrorKind::InvalidData, "not a tape"))?;
    let mut content = Content::read(&mut scan)?;
    content.set_encrypted_apart();
    let tracks = content.placed();
    let audio = tracks.iter().filter_map(|track| Some(track.placed.first()?.at)).min();
    let first = audio.map(|audio| content.presence.first().map_or(audio, |first| first.min(audio)));
    let last = tracks.iter().filter_map(|track| Some(track.placed.last()?.end())).max();
    let start = first.or_else(|| content.first.map(timeline::sample_at)).unwrap_or(0);
    let finished = content.finished.map_or(start, timeline::sample_at);
    let end = last.map_or(start, |last| last.max(finished)).min(start + SAMPLES_MAX);
    let mut rendered = Rendered {
        samples: (end - start).unsigned_abs(),
        sha256: None,
        started: content.first.map_or(scan.header.anchor.wall, |at| scan.header.wall_at(at)),
        interrupted: content.finished.is_none() && !content.presence.is_over(),
        packets: content.packets.clone().into_iter().collect(),
        gaps: vec![],
        undecoded: content.undecoded(),
        keys: content.keys(start, end),
        findings: vec![],
    };
    if first.is_none() {
        content.say_why(&mut rendered.gaps, start, end);
        return Ok(rendered);
    }
    let (sha256, findings) = content.write(&tracks, (start, end), tape, (wav, lasts))?;
    (rendered.sha256, rendered.findings) = (Some(sha256), findings);
    rendered.started = scan.header.wall_at(Mono(start.unsigned_abs() * (1_000_000_000 / RATE)));
    rendered.gaps = content.gaps(&tracks, start, end);
    Ok(rendered)
}

/// Everything on a tape but the samples themselves.
#[derive(Default)]
struct Content {
    audio: BTreeMap<Party, Audio>,
    undecoded: BTreeMap<(Party, Obstacle), u64>,
    packets: BTreeMap<Party, u64>,
    presence: Presence,
    pressing: BTreeMap<Party, Keys>,
    pressed: Vec<(Party, Mono, char)>,
    first: Option<Mono>,
    finished: Option<Mono>,
    caller: bool,
    /// From when to when packets of a party came that the tape had no room for.
    untaped: Vec<(Party, i64, i64, u64)>,
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
            let moment = timeline::sample_at(head.arrival);
            match head.kind {
                Kind::Opened => {
                    content.caller |= head.party == Party::Caller;
                    content.presence.opened(head.party, bytes, moment);
                }
                Kind::Packet => content.take(at, &head, bytes),
                Kind::Closed => content.presence.closed(head.party, bytes, moment),
                Kind::Finished => content.finished = Some(head.arrival),
                Kind::Lost => content.miss(&head, bytes),
            }
        }
        content.end_keys(Mono(u64::MAX));
        Ok(content)
    }

    fn miss(&mut self, head: &Head, bytes: &[u8]) {
        if let Some(Lost { since, packets }) = Lost::from_bytes(bytes)
            && self.untaped.len() < GAPS_MAX
        {
            let (from, to) = (timeline::sample_at(since), timeline::sample_at(head.arrival));
            self.untaped.push((head.party, from.min(to), to, packets));
        }
    }

    fn take(&mut self, at: u64, head: &Head, bytes: &[u8]) {
        self.caller |= head.party == Party::Caller;
        *self.packets.entry(head.party).or_default() += 1;
        if head.secrecy == Secrecy::Undecryptable {
            *self.undecoded.entry((head.party, Obstacle::Encrypted)).or_default() += 1;
            return;
        }
        let Some(packet) = packet::parse(bytes) else { return };
        if head.event_pt == Some(packet.payload_type) {
            self.end_keys(head.arrival);
            self.pressing.entry(head.party).or_default().handle_packet(&packet, head.arrival);
            return self.end_keys(head.arrival);
        }
        if packet.payload_type != head.audio_pt {
            return;
        }
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

    /// Keys that are pressed no more by now. What a leader presses may be secret, and is kept with his call to the
    /// leader; what we press for others is none.
    fn end_keys(&mut self, now: Mono) {
        for (party, keys) in &mut self.pressing {
            let lost = keys.deadline().map(|(due, _)| due).filter(|due| *due <= now);
            keys.handle_timeout(now);
            while let Some(key) = keys.poll() {
                let shown = matches!(party, Party::Caller | Party::Officer);
                if shown && self.pressed.len() < KEYS_MAX {
                    self.pressed.push((*party, lost.unwrap_or(now), key));
                }
            }
        }
    }

    fn keys(&self, start: i64, end: i64) -> Vec<Key> {
        let key = |&(party, at, key): &(Party, Mono, char)| Key {
            party,
            at_ms: ms(timeline::sample_at(at).clamp(start, end) - start),
            key,
        };
        self.pressed.iter().map(key).collect()
    }

    /// Writes the samples; gives the file's hash, and what was wrong with them.
    fn write(
        &self,
        tracks: &[Track],
        (start, end): (i64, i64),
        tape: &Path,
        (wav, lasts): (&Path, Lasts),
    ) -> io::Result<(String, Vec<Finding>)> {
        let file = Hashing::new(files::create(wav)?);
        let mut writer = StereoWriter::new(file, (end - start).unsigned_abs())?;
        let mut mixer = Mixer::new(self.lanes(tracks), tape)?;
        let parties = tracks.iter().map(|track| track.party);
        let mut sounds = Sounds::new(parties, &self.presence);
        let mut at = start;
        while at < end {
            let block = BLOCK.min((end - at) as usize);
            let (left, right) = mixer.block(at, block)?;
            writer.write(left, right)?;
            if block == BLOCK {
                sounds.hear(at, mixer.measures());
            }
            at += block as i64;
        }
        let file = writer.finish()?;
        if lasts == Lasts::Yes {
            file.inner.sync_all()?;
        }
        Ok((file.hex(), sounds.finish()))
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
            let side = usize::from(!track.party.is_left(self.caller));
            Some(Lane::new(side, &self.audio.get(&track.party)?.spots, &track.placed))
        };
        tracks.iter().filter_map(lane).collect()
    }
}

impl Content {
    fn gaps(&self, tracks: &[Track], start: i64, end: i64) -> Vec<Gap> {
        let silent = self
            .presence
            .parties()
            .filter(|party| tracks.iter().all(|track| track.party != *party));
        let silent = silent.map(|party| (party, &[][..]));
        let heard = tracks.iter().map(|track| (track.party, &track.placed[..]));
        let mut gaps = Vec::new();
        for (party, placed) in heard.chain(silent).filter(|(party, _)| *party != Party::Prompt) {
            for (from, to) in self.stays(party, placed, end) {
                let (from, to) = (from.max(start), to.min(end));
                for (at, length) in timeline::gaps(placed, from, to, GAP_MIN) {
                    let edge = at == from || at + length == to;
                    if !edge || length >= EDGE_MIN {
                        let (from_ms, length_ms) = (ms(at - start), ms(length));
                        gaps.push(Gap { party, from_ms, length_ms, untaped: 0 });
                    }
                }
            }
        }
        self.say_why(&mut gaps, start, end);
        gaps.sort_by_key(|gap| (gap.from_ms, gap.party));
        gaps.truncate(GAPS_MAX);
        gaps
    }

    /// Each packet that was not taped is counted at one gap, which it has made or made longer.
    fn say_why(&self, gaps: &mut Vec<Gap>, start: i64, end: i64) {
        for &(party, from, to, packets) in &self.untaped {
            if party == Party::Prompt {
                continue;
            }
            let (from, to) = (from.clamp(start, end) - start, to.clamp(start, end) - start);
            let (from_ms, to_ms) = (ms((from - SLACK).max(0)), ms(to + SLACK));
            let about = |gap: &&mut Gap| {
                gap.party == party && gap.from_ms < to_ms && gap.from_ms + gap.length_ms > from_ms
            };
            match gaps.iter_mut().filter(about).max_by_key(|gap| gap.length_ms) {
                Some(gap) => gap.untaped += packets,
                None => gaps.push(Gap {
                    party,
                    from_ms: ms(from),
                    length_ms: ms(to - from),
                    untaped: packets,
                }),
            }
        }
    }

    /// From when to when a party was to be heard. Where the tape does not say it was so from its first packet on; a
    /// leader who came into the call of others is gone when he is heard no more.
    fn stays(&self, party: Party, placed: &[Placed], end: i64) -> Vec<(i64, i64)> {
        if self.presence.knows(party) {
            return self.presence.of(party, end);
        }
        let (Some(first), Some(last)) = (placed.first(), placed.last()) else { return vec![] };
        let joined = self.caller && party == Party::Leader;
        vec![(first.at, if joined { last.end() } else { end })]
    }
}

fn ms(samples: i64) -> u64 {
    samples.unsigned_abs() * 1000 / RATE
}
