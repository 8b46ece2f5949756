//! WAV files; the only door to hound.

use hound::{SampleFormat, WavReader, WavSpec, WavWriter};
use std::fs::File;
use std::io::{self, BufWriter, IntoInnerError, Read, Write};
use std::ops::Range;
use std::path::Path;

pub const RATE: u32 = 8000;

const STEREO: WavSpec = WavSpec {
    channels: 2,
    sample_rate: RATE,
    bits_per_sample: 16,
    sample_format: SampleFormat::Int,
};

/// Bytes of a sample of both sides.
pub(in crate::io) const FRAME: u64 = 4;
/// Of the head, where the lengths fit into it.
const HEAD: u64 = 44;

/// A stereo recording being written: 8 kHz, 16 bit. Its length is known beforehand, so its head is right from the first
/// byte on; what was not finished is no WAV.
pub struct StereoWriter<W: Write> {
    file: BufWriter<W>,
    block: Vec<u8>,
    /// Samples of each side that are still to come.
    left: u64,
}

impl<W: Write> StereoWriter<W> {
    /// Writes from the start of `file`, which will have so many samples of each side.
    ///
    /// # Errors
    /// What the disk says.
    pub fn new(file: W, samples: u64) -> io::Result<Self> {
        let mut file = BufWriter::with_capacity(64 * 1024, file);
        file.write_all(&head(samples))?;
        Ok(Self { file, block: Vec::new(), left: samples })
    }

    /// Appends samples of both sides; the shorter side ends the block.
    ///
    /// # Errors
    /// What the disk says, and when there are more than was said.
    pub fn write(&mut self, left: &[i16], right: &[i16]) -> io::Result<()> {
        let samples = left.len().min(right.len()) as u64;
        self.left = self.left.checked_sub(samples).ok_or_else(other_length)?;
        self.block.resize(left.len().min(right.len()) * FRAME as usize, 0);
        let places = self.block.chunks_exact_mut(FRAME as usize);
        for ((left, right), place) in left.iter().zip(right).zip(places) {
            let ([l0, l1], [r0, r1]) = (left.to_le_bytes(), right.to_le_bytes());
            place.copy_from_slice(&[l0, l1, r0, r1]);
        }
        self.file.write_all(&self.block)
    }

    /// Gives the whole file back.
    ///
    /// # Errors
    /// What the disk says, and when there are fewer samples than was said.
    pub fn finish(self) -> io::Result<W> {
        let file = self.file.into_inner().map_err(IntoInnerError::into_error)?;
        if self.left == 0 { Ok(file) } else { Err(other_length()) }
    }
}

/// What stands before so many samples of both sides. Beyond 4 GiB, which is 37 hours, that is RF64 (EBU Tech 3306).
pub(in crate::io) fn head(samples: u64) -> Vec<u8> {
    let data = samples.saturating_mul(FRAME);
    let mut head = Vec::with_capacity(80);
    match u32::try_from(data + HEAD - 8) {
        Ok(riff) => {
            head.extend(b"RIFF");
            head.extend(riff.to_le_bytes());
            head.extend(b"WAVE");
        }
        Err(_) => {
            head.extend(b"RF64\xff\xff\xff\xffWAVEds64");
            head.extend(28u32.to_le_bytes());
            head.extend((data + HEAD - 8 + 36).to_le_bytes());
            head.extend(data.to_le_bytes());
            head.extend(samples.to_le_bytes());
            head.extend(0u32.to_le_bytes());
        }
    }
    head.extend(b"fmt ");
    head.extend(16u32.to_le_bytes());
    head.extend(1u16.to_le_bytes());
    head.extend(STEREO.channels.to_le_bytes());
    head.extend(RATE.to_le_bytes());
    head.extend((RATE * FRAME as u32).to_le_bytes());
    head.extend((FRAME as u16).to_le_bytes());
    head.extend(STEREO.bits_per_sample.to_le_bytes());
    head.extend(b"data");
    let fits = head.starts_with(b"RIFF");
    head.extend(u32::try_from(data).ok().filter(|_| fits).unwrap_or(u32::MAX).to_le_bytes());
    head
}

/// Writes a mono file of 8 kHz, 16 bit.
///
/// # Errors
/// What the disk says.
pub fn write_mono(path: &Path, samples: &[i16]) -> io::Result<()> {
    let mut writer = WavWriter::create(path, WavSpec { channels: 1, ..STEREO }).map_err(plain)?;
    for sample in samples {
        writer.write_sample(*sample).map_err(plain)?;
    }
    writer.finalize().map_err(plain)
}

/// The channels of a file of 8 kHz, 16 bit PCM, each of the same length.
///
/// # Errors
/// When it is anything else, or ends early.
pub fn read(source: impl Read) -> io::Result<Vec<Vec<i16>>> {
    take(source, usize::MAX)
}

fn take(source: impl Read, most: usize) -> io::Result<Vec<Vec<i16>>> {
    let mut reader = WavReader::new(source).map_err(plain)?;
    let spec = reader.spec();
    if spec.sample_rate != RATE
        || spec.bits_per_sample != 16
        || spec.sample_format != SampleFormat::Int
    {
        return Err(io::Error::new(
            io::ErrorKind::InvalidData,
            format!("not 8 kHz 16 bit PCM: {spec:?}"),
        ));
    }
    let count = usize::from(spec.channels);
    let mut channels = vec![Vec::new(); count];
    for (index, sample) in reader.samples::<i16>().take(most.saturating_mul(count)).enumerate() {
        channels[index % count].push(sample.map_err(plain)?);
    }
    Ok(channels)
}

/// Reads a file.
///
/// # Errors
/// As [`read`], and when there is no such file.
pub fn read_file(path: &Path) -> io::Result<Vec<Vec<i16>>> {
    read(io::BufReader::new(File::open(path)?))
}

/// Reads at most so many samples of each channel.
///
/// # Errors
/// As [`read`].
pub fn read_start(source: impl Read, most: usize) -> io::Result<Vec<Vec<i16>>> {
    take(io::BufReader::new(source), most)
}

/// The loudest sample of both sides in each stretch of so many, the last of which may be shorter; however long the
/// recording is.
///
/// # Errors
/// When it is no recording of ours, or ends early.
pub fn loudest(mut source: impl Read, stretch: usize) -> io::Result<Vec<[u16; 2]>> {
    let mut left = frames(&mut source)?;
    let mut block = vec![0; stretch * FRAME as usize];
    let mut loudest = vec![];
    while left > 0 {
        let taken = left.min(stretch as u64);
        let bytes = &mut block[..taken as usize * FRAME as usize];
        source.read_exact(bytes)?;
        let most = bytes.chunks_exact(FRAME as usize).fold([0; 2], |[left, right], frame| {
            let sample = |low, high| i16::from_le_bytes([low, high]).unsigned_abs();
            [left.max(sample(frame[0], frame[1])), right.max(sample(frame[2], frame[3]))]
        });
        loudest.push(most);
        left -= taken;
    }
    Ok(loudest)
}

/// Copies a recording of ours, in which so many samples of these sides are silent; how many bytes were written.
///
/// # Errors
/// When it is no recording of ours, or ends early, and what the disk says.
pub fn silenced(
    source: &mut impl Read,
    mut out: impl Write,
    silent: Range<u64>,
    sides: [bool; 2],
) -> io::Result<u64> {
    let samples = frames(source)?;
    let head = head(samples);
    out.write_all(&head)?;
    let mut block = vec![0; 16 * 1024 * FRAME as usize];
    let mut at = 0;
    while at < samples {
        let taken = (samples - at).min(block.len() as u64 / FRAME);
        let bytes = &mut block[..(taken * FRAME) as usize];
        source.read_exact(bytes)?;
        for (sample, frame) in (at..).zip(bytes.chunks_exact_mut(FRAME as usize)) {
            let (left, right) = frame.split_at_mut(2);
            for (side, is_silent) in [left, right].into_iter().zip(sides) {
                if is_silent && silent.contains(&sample) {
                    side.fill(0);
                }
            }
        }
        out.write_all(bytes)?;
        at += taken;
    }
    Ok(head.len() as u64 + samples * FRAME)
}

/// Reads a head as we write it; how many samples of each side follow.
///
/// # Errors
/// When it is no recording of ours.
pub(in crate::io) fn frames(source: &mut impl Read) -> io::Result<u64> {
    let no = |why: &str| io::Error::new(io::ErrorKind::InvalidData, format!("no recording: {why}"));
    let mut riff = [0; 12];
    source.read_exact(&mut riff)?;
    if !(riff.starts_with(b"RIFF") || riff.starts_with(b"RF64")) || &riff[8..] != b"WAVE" {
        return Err(no("not WAVE"));
    }
    let mut wide = None;
    loop {
        let mut chunk = [0; 8];
        source.read_exact(&mut chunk)?;
        let length = u32::from_le_bytes([chunk[4], chunk[5], chunk[6], chunk[7]]);
        if chunk.starts_with(b"data") {
            let bytes = wide.filter(|_| length == u32::MAX).unwrap_or(u64::from(length));
            return Ok(bytes / FRAME);
        }
        if length > 64 {
            return Err(no("its head is longer than ours"));
        }
        let mut content = vec![0; length as usize];
        source.read_exact(&mut content)?;
        if chunk.starts_with(b"ds64") {
            let bytes = content.get(8..16).and_then(|bytes| bytes.try_into().ok());
            wide = Some(u64::from_le_bytes(bytes.ok_or_else(|| no("a short ds64"))?));
        }
        if chunk.starts_with(b"fmt ") && head(0)[20..36] != content[..] {
            return Err(no("not two sides of 8 kHz, 16 bit"));
        }
    }
}

fn other_length() -> io::Error {
    io::Error::new(io::ErrorKind::InvalidData, "not as many samples as the head of the WAV says")
}

fn plain(fault: hound::Error) -> io::Error {
    match fault {
        hound::Error::IoError(fault) => fault,
        other => io::Error::new(io::ErrorKind::InvalidData, other.to_string()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::io::durable::Durable;

    #[test]
    fn both_sides_are_read_back_as_written() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("a.wav");
        let mut writer = StereoWriter::new(Durable::create(&path).unwrap(), 10_000).unwrap();
        let (left, right): (Vec<i16>, Vec<i16>) = (0..10_000i16).map(|n| (n, -n)).unzip();
        writer.write(&left[..4000], &right[..4000]).unwrap();
        writer.write(&left[4000..], &right[4000..]).unwrap();
        writer.finish().unwrap();
        assert_eq!(read_file(&path).unwrap(), [left, right]);
        assert_eq!(path.metadata().unwrap().len(), 44 + 4 * 10_000, "plain head, true length");
    }

    #[test]
    fn an_empty_recording_is_a_valid_file() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("a.wav");
        StereoWriter::new(Durable::create(&path).unwrap(), 0).unwrap().finish().unwrap();
        assert_eq!(read_file(&path).unwrap(), [Vec::<i16>::new(), vec![]]);
    }

    #[test]
    fn a_length_that_was_not_kept_is_no_wav() {
        let folder = tempfile::tempdir().unwrap();
        let file = |name| Durable::create(&folder.path().join(name)).unwrap();
        let mut writer = StereoWriter::new(file("a.wav"), 3).unwrap();
        assert!(writer.write(&[1; 4], &[1; 4]).is_err());
        let mut writer = StereoWriter::new(file("b.wav"), 3).unwrap();
        writer.write(&[1; 2], &[1; 2]).unwrap();
        assert!(writer.finish().is_err());
    }

    #[test]
    fn rec_d11_the_head_is_right_on_both_sides_of_four_gib() {
        let most = (u64::from(u32::MAX) - 36) / 4;
        let (plain, wide) = (head(most), head(most + 1));
        assert_eq!(
            (plain.len(), &plain[..4], wide.len(), &wide[..4]),
            (44, &b"RIFF"[..], 80, &b"RF64"[..])
        );
        assert_eq!(plain[40..], ((most * 4) as u32).to_le_bytes());
        assert_eq!(wide[76..], [0xff; 4]);
        let at = |from: usize| u64::from_le_bytes(wide[from..from + 8].try_into().unwrap());
        assert_eq!([at(20), at(28), at(36)], [80 - 8 + 4 * (most + 1), 4 * (most + 1), most + 1]);
    }

    #[test]
    fn other_files_are_refused() {
        assert!(read(&b"RIFFxxxx"[..]).is_err());
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("a.wav");
        write_mono(&path, &[1, 2, 3]).unwrap();
        let mut bytes = std::fs::read(&path).unwrap();
        assert_eq!(read(&bytes[..]).unwrap(), [vec![1, 2, 3]]);
        bytes[24..28].copy_from_slice(&16_000u32.to_le_bytes());
        assert!(read(&bytes[..]).is_err(), "16 kHz");
    }
}
