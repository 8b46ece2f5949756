//! How loud a recording is along its length: a view of its WAV, the same bytes each time that it is made.

use super::flac::sound::Sound;
use super::wav_file;
use std::collections::VecDeque;
use std::io::{self, BufReader};
use std::sync::{Arc, Mutex, PoisonError};

/// Samples of a side of which the loudest is told: 50 ms.
const STRETCH: usize = 400;
/// Bytes of peaks that are kept for who opens the same entry again: a hundred hours.
const KEPT: usize = 16 << 20;

/// For each 50 ms a byte of the left side and one of the right.
///
/// # Errors
/// What the disk says, and where it is no recording of ours or ends too soon.
pub fn of(sound: Sound) -> io::Result<Vec<u8>> {
    let wav = BufReader::with_capacity(256 * 1024, sound);
    Ok(wav_file::loudest(wav, STRETCH)?.into_iter().flatten().map(level).collect())
}

/// As sixteenths of a doubling: each 16 are 6 dB, 192 is full scale, and what is below 32 is the sample itself.
fn level(sample: u16) -> u8 {
    let bits = u16::BITS - sample.leading_zeros();
    match bits {
        0..=5 => sample as u8,
        _ => ((bits - 4) * 16 + u32::from(sample >> (bits - 5) & 15)) as u8,
    }
}

/// Peaks that were made, by the digest of their recording.
#[derive(Debug, Default)]
pub struct Made(Mutex<VecDeque<(String, Arc<Vec<u8>>)>>);

impl Made {
    pub fn get(&self, sha256: &str) -> Option<Arc<Vec<u8>>> {
        let mut made = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let at = made.iter().position(|(of, _)| of == sha256)?;
        let found = made.remove(at)?;
        made.push_back(found.clone());
        Some(found.1)
    }

    /// What nobody asked for the longest is given up for it.
    pub fn put(&self, sha256: String, peaks: Arc<Vec<u8>>) {
        let mut made = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        made.retain(|(of, _)| *of != sha256);
        made.push_back((sha256, peaks));
        while made.len() > 1 && made.iter().map(|(_, peaks)| peaks.len()).sum::<usize>() > KEPT {
            made.pop_front();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::io::durable::Durable;
    use crate::io::wav_file::StereoWriter;
    use std::path::Path;

    fn of_file(path: &Path) -> io::Result<Vec<u8>> {
        of(Sound::open(path)?)
    }

    fn wav(path: &Path, left: &[i16], right: &[i16]) {
        let file = Durable::create(path).unwrap();
        let mut writer = StereoWriter::new(file, left.len() as u64).unwrap();
        writer.write(left, right).unwrap();
        writer.finish().unwrap();
    }

    #[test]
    fn a_level_is_a_doubling_for_each_sixteen_and_never_falls() {
        assert_eq!([0, 1, 31, 32, 48, 64].map(level), [0, 1, 31, 32, 40, 48]);
        assert_eq!([16_384, 32_767, 32_768].map(level), [176, 191, 192]);
        assert!((1..=32_768).all(|sample| level(sample) >= level(sample - 1)));
    }

    #[test]
    fn each_side_has_its_loudest_of_each_fifty_milliseconds_and_the_same_bytes_again() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("a.wav");
        let (mut left, mut right) = (vec![0; 1000], vec![0; 1000]);
        (left[399], left[400], right[999]) = (i16::MIN, 64, -32);
        wav(&path, &left, &right);
        assert_eq!(of_file(&path).unwrap(), [192, 0, 48, 0, 0, 32]);
        assert_eq!(of_file(&path).unwrap(), of_file(&path).unwrap());
        wav(&folder.path().join("b.wav"), &[], &[]);
        assert!(of_file(&folder.path().join("b.wav")).unwrap().is_empty());
    }

    #[test]
    fn what_ends_too_soon_or_is_no_recording_is_said() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("a.wav");
        wav(&path, &[1; 1000], &[1; 1000]);
        let whole = std::fs::read(&path).unwrap();
        for length in [0, 11, 30, 43, 44, 3000] {
            std::fs::write(&path, &whole[..length]).unwrap();
            assert!(of_file(&path).is_err(), "{length}");
        }
        let mut other = whole.clone();
        other[22] = 1;
        std::fs::write(&path, &other).unwrap();
        assert!(of_file(&path).is_err(), "one channel");
        let mut odd = whole;
        odd[16..20].copy_from_slice(&u32::MAX.to_le_bytes());
        std::fs::write(&path, &odd).unwrap();
        assert!(of_file(&path).is_err(), "a format of four gigabytes");
    }

    #[test]
    fn what_is_asked_for_again_is_kept_and_the_rest_within_bounds() {
        let made = Made::default();
        let peaks = || Arc::new(vec![0; KEPT / 4]);
        for name in ["a", "b", "c", "d"] {
            made.put(name.to_owned(), peaks());
        }
        assert!(made.get("a").is_some());
        made.put("e".to_owned(), peaks());
        assert!(made.get("b").is_none() && made.get("a").is_some());
        made.put("f".to_owned(), Arc::new(vec![0; KEPT * 2]));
        assert!(made.get("f").is_some() && made.get("a").is_none());
    }
}
