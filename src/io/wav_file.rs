//! WAV files; the only door to hound.

use hound::{SampleFormat, WavReader, WavSpec, WavWriter};
use std::fs::File;
use std::io::{self, BufWriter, Read, Write};
use std::path::Path;

pub const RATE: u32 = 8000;

const STEREO: WavSpec = WavSpec {
    channels: 2,
    sample_rate: RATE,
    bits_per_sample: 16,
    sample_format: SampleFormat::Int,
};

/// A stereo recording being written: 8 kHz, 16 bit. What was not finished is no WAV.
pub struct StereoWriter {
    writer: WavWriter<BufWriter<File>>,
    file: File,
}

impl StereoWriter {
    /// Writes from the start of `file`.
    ///
    /// # Errors
    /// What the disk says.
    pub fn new(file: File) -> io::Result<Self> {
        let handle = file.try_clone()?;
        let writer =
            WavWriter::new(BufWriter::with_capacity(64 * 1024, file), STEREO).map_err(plain)?;
        Ok(Self { writer, file: handle })
    }

    /// Appends samples of both sides; the shorter side ends the block.
    ///
    /// # Errors
    /// What the disk says, and when the file would reach 2 GiB (18 h).
    pub fn write(&mut self, left: &[i16], right: &[i16]) -> io::Result<()> {
        let frames = left.len().min(right.len());
        let samples = u32::try_from(frames * 2).map_err(|_| too_long())?;
        if self.writer.len().checked_add(samples).is_none_or(|total| total > u32::MAX / 4) {
            return Err(too_long());
        }
        let mut block = self.writer.get_i16_writer(samples);
        for (left, right) in left.iter().zip(right) {
            block.write_sample(*left);
            block.write_sample(*right);
        }
        block.flush().map_err(plain)
    }

    /// Writes the true length into the head and everything to disk.
    ///
    /// # Errors
    /// What the disk says.
    pub fn finish(self) -> io::Result<()> {
        self.writer.finalize().map_err(plain)?;
        (&self.file).flush()?;
        self.file.sync_all()
    }
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
    for (index, sample) in reader.samples::<i16>().enumerate() {
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

fn too_long() -> io::Error {
    io::Error::other("a WAV holds 2 GiB at most")
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

    #[test]
    fn both_sides_are_read_back_as_written() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("a.wav");
        let mut writer = StereoWriter::new(File::create_new(&path).unwrap()).unwrap();
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
        StereoWriter::new(File::create_new(&path).unwrap()).unwrap().finish().unwrap();
        assert_eq!(read_file(&path).unwrap(), [Vec::<i16>::new(), vec![]]);
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
