//! Cuts a call's records out of the running tape into a sealed tape of its own, and renders its WAV.

use super::folders::Folders;
use super::header::{self, Header};
use super::record::{self, HEAD, Head, Place, TAIL};
use super::render::{Lasts, render};
use super::scan::{Ending, Scan};
use super::{Sealed, files};
use crate::duty::entry::day;
use crate::io::durable::{self, Readable};
use std::io::{self, BufWriter, Write};
use std::path::Path;
use std::time::Duration;
use uuid::Uuid;

/// A record on the running tape.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Spot {
    pub place: Place,
    /// Of the packet in it.
    pub length: u16,
}

/// The records of a call in their order, found from the last one back.
///
/// # Errors
/// What the disk says, and when the chain is broken.
pub fn trace(folders: &Folders, last: Place) -> io::Result<Vec<Spot>> {
    let mut running = Running::new(folders);
    let mut spots = Vec::new();
    let mut place = last;
    while place.segment != 0 {
        let bytes = running.read(place, HEAD, Way::Back)?;
        let head = Head::from_bytes(bytes)
            .filter(|head| head.previous.is_before(place))
            .ok_or_else(broken)?;
        spots.push(Spot { place, length: head.length });
        place = head.previous;
    }
    spots.reverse();
    Ok(spots)
}

/// Seals the call. Doing it again, also with a crash in between, gives the same files.
///
/// # Errors
/// What the disk says.
pub fn seal(
    folders: &Folders,
    recordings: &Path,
    call: Uuid,
    spots: &[Spot],
) -> io::Result<Sealed> {
    let mut running = Running::new(folders);
    let first = spots.first().ok_or_else(broken)?;
    let source = running.header(first.place.segment)?;
    let (head, _) = running.record(first)?.ok_or_else(broken)?;
    let day = day(source.wall_at(head.arrival)).format("%Y/%m/%d").to_string();
    let inside = files::make_folder(recordings, Path::new(&day))?;
    let part = |extension: &str| inside.join(format!(".{call}.{extension}.part"));
    let tape_sha256 = copy(&mut running, spots, source, &part("tape"), Lasts::Yes)?;
    let tape = files::publish(&part("tape"), &call.to_string(), "tape")?;
    as_sealed(recordings, call, (&tape, tape_sha256), &part("wav"))
}

/// A sealed tape that nobody vouches for, as it speaks for itself, and whether it is damaged; its WAV is made again where
/// there is none. `None`: it is not the tape of the call that it is named after.
///
/// # Errors
/// What the disk says.
pub fn found(recordings: &Path, tape: &Path) -> io::Result<Option<(Sealed, bool)>> {
    let Some(mut scan) = Scan::open(tape)? else { return Ok(None) };
    let call = scan.next()?.map(|(_, head, _)| head.call);
    let stem = tape.file_stem().and_then(|stem| stem.to_str()).unwrap_or_default();
    let Some(call) = call.filter(|call| stem == call.to_string()) else { return Ok(None) };
    while scan.next()?.is_some() {}
    let damaged = scan.ending() == Ending::Damaged;
    let part = tape.with_file_name(format!(".{call}.found.part"));
    let sha256 = files::sha256(tape)?;
    Ok(Some((as_sealed(recordings, call, (tape, sha256), &part)?, damaged)))
}

/// Renders the WAV of a sealed tape.
fn as_sealed(
    recordings: &Path,
    call: Uuid,
    (tape, tape_sha256): (&Path, String),
    part: &Path,
) -> io::Result<Sealed> {
    let rendered = render(tape, part, Lasts::Yes)?;
    let wav = match rendered.samples {
        0 => None,
        _ => Some(files::publish(part, &call.to_string(), "wav")?),
    };
    durable::sync_folder(tape.parent().unwrap_or(recordings))?;
    let relative =
        |path: &Path| path.strip_prefix(recordings).unwrap_or(path).to_string_lossy().into_owned();
    Ok(Sealed {
        call,
        wav_sha256: rendered.sha256,
        bytes: wav
            .as_deref()
            .map(|wav| wav.metadata().map(|file| file.len()))
            .transpose()?
            .unwrap_or(0),
        wav: wav.as_deref().map(relative),
        tape: relative(tape),
        tape_sha256,
        samples: rendered.samples,
        duration_ms: rendered.samples / 8,
        started: rendered.started,
        interrupted: rendered.interrupted,
        resumed: false,
        packets: rendered.packets,
        gaps: rendered.gaps,
        undecoded: rendered.undecoded,
        keys: rendered.keys,
        findings: rendered.findings,
    })
}

/// The last so much of a call that goes on, up to this record, as a tape of its own for now.
///
/// # Errors
/// What the disk says, and when the chain is broken.
pub fn excerpt(folders: &Folders, last: Place, length: Duration, to: &Path) -> io::Result<()> {
    let mut running = Running::new(folders);
    let (mut spots, mut place, mut since) = (Vec::new(), last, None);
    while place.segment != 0 {
        let bytes = running.read(place, HEAD, Way::Back)?;
        let head = Head::from_bytes(bytes)
            .filter(|head| head.previous.is_before(place))
            .ok_or_else(broken)?;
        if head.arrival < *since.get_or_insert(head.arrival - length) {
            break;
        }
        spots.push(Spot { place, length: head.length });
        place = head.previous;
    }
    spots.reverse();
    let source = running.header(spots.first().ok_or_else(broken)?.place.segment)?;
    copy(&mut running, &spots, source, to, Lasts::No).map(drop)
}

/// Writes the sealed tape and gives its hash. A record that the disk spoiled meanwhile is left out.
fn copy(
    running: &mut Running,
    spots: &[Spot],
    source: Header,
    to: &Path,
    lasts: Lasts,
) -> io::Result<String> {
    let file = files::create(to)?;
    let mut out = files::Hashing::new(BufWriter::with_capacity(256 * 1024, file));
    out.write_all(&Header { segment: 0, ..source }.to_bytes())?;
    let (mut offset, mut previous) = (header::BYTES as u32, Place::default());
    let mut encoded = Vec::new();
    for spot in spots {
        let Some((head, packet)) = running.record(spot)? else { continue };
        encoded.clear();
        record::write(&Head { previous, ..head }, packet, &mut encoded);
        out.write_all(&encoded)?;
        previous = Place { segment: 0, offset };
        offset = offset.saturating_add(encoded.len() as u32);
    }
    out.flush()?;
    if lasts == Lasts::Yes {
        out.inner.get_ref().sync_all()?;
    }
    Ok(out.hex())
}

/// The running tape, one segment of it open at a time.
struct Running {
    folders: Folders,
    open: Option<(u32, Readable)>,
    /// The stretch of the open segment that was read last, and where it starts.
    stretch: Vec<u8>,
    start: u64,
    reach: u64,
}

/// Where the records that are wanted next stand.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Way {
    Back,
    On,
}

impl Running {
    /// What is read at once where other calls stand between the records …
    const REACH_MIN: u64 = 4 * 1024;
    /// … and where they do not.
    const REACH_MAX: u64 = 256 * 1024;

    fn new(folders: &Folders) -> Self {
        Self {
            folders: folders.clone(),
            open: None,
            stretch: Vec::new(),
            start: 0,
            reach: Self::REACH_MIN,
        }
    }

    fn header(&mut self, segment: u32) -> io::Result<Header> {
        let bytes = self.read(Place { segment, offset: 0 }, header::BYTES, Way::On)?;
        Header::from_bytes(bytes.first_chunk().ok_or_else(broken)?).ok_or_else(broken)
    }

    /// None where it is not what was written.
    fn record(&mut self, spot: &Spot) -> io::Result<Option<(Head, &[u8])>> {
        let length = HEAD + usize::from(spot.length) + TAIL;
        Ok(record::read(self.read(spot.place, length, Way::On)?))
    }

    fn read(&mut self, place: Place, length: usize, way: Way) -> io::Result<&[u8]> {
        let (from, to) = (u64::from(place.offset), u64::from(place.offset) + length as u64);
        let known = self.open.as_ref().is_some_and(|(segment, _)| *segment == place.segment);
        if !known || from < self.start || to > self.end() {
            if !known {
                self.open = None;
                let file = Readable::open(&self.folders.segment(place.segment))?;
                self.open = Some((place.segment, file));
                self.stretch.clear();
            }
            self.load(from, to, way)?;
        }
        let from = (from - self.start) as usize;
        self.stretch.get(from..from + length).ok_or_else(|| io::ErrorKind::UnexpectedEof.into())
    }

    /// Reads further ahead as long as what is wanted lies close together.
    fn load(&mut self, from: u64, to: u64, way: Way) -> io::Result<()> {
        let close = !self.stretch.is_empty()
            && to + self.reach >= self.start
            && from <= self.end() + self.reach;
        self.reach = if close { (self.reach * 2).min(Self::REACH_MAX) } else { Self::REACH_MIN };
        let reach = self.reach.max(to - from);
        let (start, end) = match way {
            Way::Back => (to.saturating_sub(reach), to),
            Way::On => (from, from + reach),
        };
        let Some((_, file)) = &self.open else { return Err(broken()) };
        self.stretch.resize((end - start) as usize, 0);
        self.start = start;
        let read = file.read_at(&mut self.stretch, start);
        self.stretch.truncate(*read.as_ref().unwrap_or(&0));
        read.map(drop)
    }

    fn end(&self) -> u64 {
        self.start + self.stretch.len() as u64
    }
}

fn broken() -> io::Error {
    io::Error::new(io::ErrorKind::InvalidData, "the call's records on the tape are not whole")
}
