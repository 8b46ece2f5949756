//! FLAC (RFC 9639): a recording's WAV in less room, of which every byte can be had again, from anywhere in it; the only
//! door to flac-codec.

use crate::io::wav_file::{self, FRAME, RATE};
use flac_codec::decode::FlacSampleReader;
use flac_codec::encode::{FlacSampleWriter, Options};
use flac_codec::metadata::Metadata;
use std::io::{self, Read, Seek, SeekFrom, Write};
use std::panic::{AssertUnwindSafe, catch_unwind};

/// Between two places in it from which it can be decoded.
const SEEK_SECONDS: u8 = 2;
/// Samples of both sides at once.
const BLOCK: u64 = 32 * 1024;
const BITS: u32 = 16;
const SIDES: u8 = 2;

/// Writes a recording of ours as FLAC, from the start of `out`; asked before each few seconds of it, `goes_on` may put an
/// end to it.
///
/// # Errors
/// [`io::ErrorKind::Interrupted`] where it does not go on; when it is no recording of ours, is empty or ends early; what
/// the disk says.
pub fn encode(
    wav: &mut impl Read,
    out: impl Write + Seek,
    goes_on: &dyn Fn() -> bool,
) -> io::Result<()> {
    let mut left = wav_file::frames(wav)?;
    let options = Options::default().no_padding().seektable_seconds(SEEK_SECONDS);
    let all = Some(left * u64::from(SIDES));
    let mut writer = FlacSampleWriter::new(out, options, RATE, BITS, SIDES, all).map_err(plain)?;
    let (mut bytes, mut samples) = (vec![0; (BLOCK * FRAME) as usize], vec![]);
    while left > 0 {
        if !goes_on() {
            return Err(io::ErrorKind::Interrupted.into());
        }
        let taken = left.min(BLOCK);
        let piece = &mut bytes[..(taken * FRAME) as usize];
        wav.read_exact(piece)?;
        samples.clear();
        samples.extend(
            piece.chunks_exact(2).map(|pair| i32::from(i16::from_le_bytes([pair[0], pair[1]]))),
        );
        writer.write(&samples).map_err(plain)?;
        left -= taken;
    }
    writer.finalize().map_err(plain)
}

/// The WAV that a FLAC was made of, byte for byte.
pub struct Wav<R> {
    flac: FlacSampleReader<R>,
    head: Vec<u8>,
    samples: u64,
    /// The byte that is read next.
    at: u64,
    /// Whether the decoder stands elsewhere.
    moved: bool,
    /// What was decoded and not read yet.
    block: Vec<u8>,
    taken: usize,
}

impl<R: Read + Seek> Wav<R> {
    /// # Errors
    /// What the disk says, and where it is no FLAC of a recording of ours.
    pub fn open(source: R) -> io::Result<Self> {
        let flac = guarded(|| FlacSampleReader::new_seekable(source))?;
        let ours = (flac.sample_rate(), flac.bits_per_sample(), flac.channel_count());
        let samples = flac.total_samples().filter(|_| ours == (RATE, BITS, SIDES));
        let samples =
            samples.ok_or_else(|| damaged("no recording of two sides of 8 kHz, 16 bit"))?;
        let head = wav_file::head(samples);
        Ok(Self { flac, head, samples, at: 0, moved: false, block: vec![], taken: 0 })
    }

    /// Bytes of the WAV.
    pub fn length(&self) -> u64 {
        self.head.len() as u64 + self.samples * FRAME
    }

    /// Decodes what comes next.
    fn fill(&mut self) -> io::Result<()> {
        let place = self.at - self.head.len() as u64;
        let flac = &mut self.flac;
        if std::mem::take(&mut self.moved) {
            guarded(|| flac.seek(place / FRAME))?;
        }
        let decoded = guarded(|| {
            let samples = flac.fill_buf()?.to_vec();
            flac.consume(samples.len());
            Ok(samples)
        })?;
        self.block.clear();
        self.block.extend(decoded.iter().flat_map(|sample| (*sample as i16).to_le_bytes()));
        self.taken = (place % FRAME) as usize;
        if self.block.len() <= self.taken { Err(damaged("it ends too soon")) } else { Ok(()) }
    }
}

impl<R: Read + Seek> Read for Wav<R> {
    fn read(&mut self, bytes: &mut [u8]) -> io::Result<usize> {
        let Some(left) = self.length().checked_sub(self.at).filter(|left| *left > 0) else {
            return Ok(0);
        };
        let head = usize::try_from(self.at).ok().and_then(|at| self.head.get(at..));
        let from = match head.filter(|rest| !rest.is_empty()) {
            Some(rest) => rest,
            None => {
                if self.moved || self.taken == self.block.len() {
                    self.fill()?;
                }
                &self.block[self.taken..]
            }
        };
        // A damaged one may hold more than it says.
        let count = from.len().min(bytes.len()).min(usize::try_from(left).unwrap_or(usize::MAX));
        bytes[..count].copy_from_slice(&from[..count]);
        if self.at >= self.head.len() as u64 {
            self.taken += count;
        }
        self.at += count as u64;
        Ok(count)
    }
}

impl<R: Read + Seek> Seek for Wav<R> {
    fn seek(&mut self, to: SeekFrom) -> io::Result<u64> {
        let (from, by) = match to {
            SeekFrom::Start(at) => (at, 0),
            SeekFrom::Current(by) => (self.at, by),
            SeekFrom::End(by) => (self.length(), by),
        };
        let at = from.checked_add_signed(by).ok_or(io::ErrorKind::InvalidInput)?;
        (self.at, self.moved, self.taken) = (at, true, self.block.len());
        Ok(at)
    }
}

/// Whatever stands in the file, it is an error at worst.
fn guarded<T>(work: impl FnOnce() -> Result<T, flac_codec::Error>) -> io::Result<T> {
    catch_unwind(AssertUnwindSafe(work)).map_err(|_| damaged("it makes no sense"))?.map_err(plain)
}

fn damaged(why: &str) -> io::Error {
    io::Error::new(io::ErrorKind::InvalidData, format!("FLAC: {why}"))
}

fn plain(fault: flac_codec::Error) -> io::Error {
    match fault {
        flac_codec::Error::Io(fault) => fault,
        other => damaged(&other.to_string()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::io::wav_file::StereoWriter;
    use proptest::prelude::*;
    use std::io::Cursor;

    /// Speech as A-law has it, on the left; on the right a tone that comes and goes.
    fn wav(samples: usize) -> Vec<u8> {
        let mut state = 7u32;
        let sides = (0..samples).map(|n| {
            state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
            let swell = (n / 2000 % 5) as i32;
            let left = (state >> 20) as i32 * swell - 2048 * swell;
            let right =
                ((n as f64 * 0.3).sin() * 9000.0) as i32 * i32::from((n / 3000).is_multiple_of(2));
            ((left & !15) as i16, right as i16)
        });
        let (left, right): (Vec<i16>, Vec<i16>) = sides.unzip();
        let mut writer = StereoWriter::new(vec![], samples as u64).unwrap();
        writer.write(&left, &right).unwrap();
        writer.finish().unwrap()
    }

    fn flac(wav: &[u8]) -> Vec<u8> {
        let mut out = Cursor::new(vec![]);
        encode(&mut &*wav, &mut out, &|| true).unwrap();
        out.into_inner()
    }

    fn back(flac: &[u8]) -> io::Result<Vec<u8>> {
        let mut bytes = vec![];
        Wav::open(Cursor::new(flac))?.read_to_end(&mut bytes)?;
        Ok(bytes)
    }

    #[test]
    fn every_length_is_had_again_byte_for_byte() {
        for samples in [1, 2, 13, 14, 15, 16, 17, 160, 4095, 4096, 4097, 4110, 16_001, 100_000] {
            let wav = wav(samples);
            let flac = flac(&wav);
            assert_eq!(back(&flac).unwrap(), wav, "{samples}");
        }
        let loud: Vec<i16> =
            (0..5000).map(|n| if n % 3 == 0 { i16::MIN } else { i16::MAX }).collect();
        let quiet: Vec<i16> = loud.iter().map(|sample| !sample).collect();
        let mut writer = StereoWriter::new(vec![], 5000).unwrap();
        writer.write(&loud, &quiet).unwrap();
        let wav = writer.finish().unwrap();
        assert_eq!(back(&flac(&wav)).unwrap(), wav, "full scale, the sides against each other");
        let speech = self::wav(80_000);
        assert!(flac(&speech).len() * 10 < speech.len() * 8, "it takes less room");
    }

    #[test]
    fn what_is_empty_or_no_recording_or_is_to_end_is_not_encoded() {
        let encoded = |bytes: &[u8], goes_on| {
            encode(&mut &*bytes, Cursor::new(vec![]), &move || goes_on).map_err(|it| it.kind())
        };
        let whole = wav(100);
        assert_eq!(encoded(&whole, true), Ok(()));
        assert_eq!(encoded(&whole, false), Err(io::ErrorKind::Interrupted));
        assert_eq!(encoded(&whole[..300], true), Err(io::ErrorKind::UnexpectedEof));
        assert!(encoded(&wav(0), true).is_err());
        assert!(encoded(b"RIFFxxxxWAVE", true).is_err());
    }

    #[test]
    fn rec_e1_whatever_bit_is_flipped_or_cut_off_is_an_error_or_another_content_and_never_a_panic()
    {
        let wav = wav(9_000);
        let flac = flac(&wav);
        // The decoder's own panics are told to nobody here.
        let loud = std::panic::take_hook();
        std::panic::set_hook(Box::new(|_| {}));
        for at in (0..flac.len()).step_by(flac.len() / 150) {
            let mut bytes = flac.clone();
            bytes[at] ^= 1 << (at % 8);
            let _ = back(&bytes);
            let _ = back(&bytes[..at]);
        }
        std::panic::set_hook(loud);
        let frames = flac.len() - 900;
        let mut bytes = flac.clone();
        bytes[frames] ^= 4;
        assert!(back(&bytes).is_err(), "a bit of a frame");
        assert!(back(&flac[..frames]).is_err(), "its end is cut off");
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(64))]
        #[test]
        fn rec_l2_from_any_byte_on_it_is_what_the_wav_is(
            samples in 1usize..60_000,
            places in prop::collection::vec((0.0..1.0f64, 1usize..9000), 1..8),
        ) {
            let wav = wav(samples);
            let mut again = Wav::open(Cursor::new(flac(&wav))).unwrap();
            prop_assert_eq!(again.length(), wav.len() as u64);
            for (place, count) in places {
                let from = (wav.len() as f64 * place) as usize;
                let to = (from + count).min(wav.len());
                again.seek(SeekFrom::Start(from as u64)).unwrap();
                let mut bytes = vec![0; to - from];
                again.read_exact(&mut bytes).unwrap();
                prop_assert_eq!(&bytes[..], &wav[from..to]);
            }
            again.seek(SeekFrom::End(0)).unwrap();
            prop_assert_eq!(again.read(&mut [0; 4]).unwrap(), 0);
        }
    }
}
