//! Voices to say, WAV files to read, and whether what was heard is what was said.

use std::fs;
use std::path::Path;

pub const RATE: usize = 8000;
const FRAME: usize = 160;

/// A voice of its own for each seed: syllables of harmonics with pauses and a little noise, every
/// sample one that A-law can say.
pub fn voice(seed: u32, seconds: usize) -> Vec<i16> {
    let mut noise = seed.wrapping_mul(2_654_435_761).wrapping_add(12345);
    let levels = alaw_levels();
    let mut phase = 0.0_f64;
    let pitch = 95.0 + f64::from(seed % 7) * 17.0;
    let sample = |at: usize| {
        noise = noise.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
        let hiss = f64::from(noise >> 16) / 65536.0 - 0.5;
        let time = at as f64 / RATE as f64;
        let glide = pitch * (1.0 + 0.2 * (time * 1.7 + f64::from(seed)).sin());
        phase += glide / RATE as f64;
        let tone: f64 = (1..=9)
            .map(|n| (std::f64::consts::TAU * phase * f64::from(n)).sin() / f64::from(n))
            .sum();
        let syllable = (time * 4.1 + f64::from(seed) * 0.3).sin().max(0.02).powf(0.6);
        quantised(&levels, (tone * syllable * 7000.0 + hiss * 600.0) as i32)
    };
    (0..seconds * RATE).map(sample).collect()
}

/// The 256 values of ITU-T G.711 A-law on a 16-bit scale, ascending.
fn alaw_levels() -> Vec<i32> {
    let positive = (0..128_i32).map(|code| {
        let (segment, step) = (code >> 4, code & 15);
        let value = if segment == 0 { step * 2 + 1 } else { (step * 2 + 33) << (segment - 1) };
        value * 8
    });
    let mut levels: Vec<i32> = positive.flat_map(|value| [value, -value]).collect();
    levels.sort_unstable();
    levels
}

fn quantised(levels: &[i32], value: i32) -> i16 {
    let above = levels.partition_point(|level| *level < value).min(levels.len() - 1);
    let below = above.saturating_sub(1);
    let nearer = if levels[above] - value < value - levels[below] { above } else { below };
    i16::try_from(levels[nearer]).expect("A-law ends at 32256")
}

/// What A-law says for silence: its smallest value, either sign.
pub fn is_silent(sample: i16) -> bool {
    sample.unsigned_abs() <= 8
}

pub struct Wave {
    pub rate: u32,
    pub channels: Vec<Vec<i16>>,
}

pub fn write_mono(path: &Path, samples: &[i16]) {
    let data: Vec<u8> = samples.iter().flat_map(|sample| sample.to_le_bytes()).collect();
    let length = u32::try_from(data.len()).expect("a short file");
    let mut bytes = b"RIFF".to_vec();
    bytes.extend((36 + length).to_le_bytes());
    bytes.extend(b"WAVEfmt \x10\0\0\0\x01\0\x01\0");
    bytes.extend(8000_u32.to_le_bytes());
    bytes.extend(16000_u32.to_le_bytes());
    bytes.extend(b"\x02\0\x10\0data");
    bytes.extend(length.to_le_bytes());
    bytes.extend(data);
    fs::write(path, bytes).expect("a WAV file");
}

/// 16-bit PCM; `None` while the file is not there or its header is not finished.
pub fn read(path: &Path) -> Option<Wave> {
    let bytes = fs::read(path).ok()?;
    if bytes.get(..4)? != b"RIFF" || bytes.get(8..12)? != b"WAVE" {
        return None;
    }
    let word = |at: usize| Some(u32::from_le_bytes(bytes.get(at..at + 4)?.try_into().ok()?));
    let (mut at, mut rate, mut count) = (12, 0, 0);
    loop {
        let length = usize::try_from(word(at + 4)?).ok()?;
        match bytes.get(at..at + 4)? {
            b"fmt " => {
                count =
                    usize::from(u16::from_le_bytes(bytes.get(at + 10..at + 12)?.try_into().ok()?));
                rate = word(at + 12)?;
                assert_eq!(bytes.get(at + 22..at + 24)?, [16, 0], "16 bits a sample");
            }
            b"data" if length > 0 => {
                let data = bytes.get(at + 8..at + 8 + length)?;
                let samples = data.chunks_exact(2).map(|two| i16::from_le_bytes([two[0], two[1]]));
                let mut channels = vec![vec![]; count];
                samples.enumerate().for_each(|(n, sample)| channels[n % count].push(sample));
                return Some(Wave { rate, channels });
            }
            b"data" => return None,
            _ => {}
        }
        at += 8 + length + length % 2;
    }
}

/// The first channel at 8000 samples a second: of faster ones, the mean of those that fall together.
pub fn narrow(wave: &Wave) -> Vec<i16> {
    let together = (wave.rate as usize / RATE).max(1);
    let mean =
        |chunk: &[i16]| chunk.iter().map(|s| i32::from(*s)).sum::<i32>() / chunk.len() as i32;
    let first = wave.channels.first().map_or(&[][..], Vec::as_slice);
    first.chunks_exact(together).map(|chunk| mean(chunk) as i16).collect()
}

/// What the telephone says under this name.
pub fn prompt(name: &str) -> Vec<i16> {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join(format!("src/io/prompts/{name}.wav"));
    narrow(&read(&path).expect("a prompt"))
}

/// How what was heard compares with what was said.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Match {
    /// Where in what was heard the voice begins, in samples.
    pub heard_from: usize,
    /// Which sample of the voice that is.
    pub said_from: usize,
    /// How many samples in a row from there are the same.
    pub same: usize,
    /// How many samples were heard from there on, trailing silence left out.
    pub heard: usize,
}

impl Match {
    /// Whether nothing was lost, added or changed until the end, give or take the last frames,
    /// which a phone may cut.
    pub fn is_whole(&self) -> bool {
        self.same + 2 * FRAME >= self.heard && self.same > RATE
    }
}

/// Finds `said` in `heard`, sample for sample, from the first half second of it that is there whole.
pub fn compare(said: &[i16], heard: &[i16]) -> Option<Match> {
    let end = heard.len() - heard.iter().rev().take_while(|sample| is_silent(**sample)).count();
    let heard_all = &heard[..end];
    let probe = RATE / 2;
    let mut start = heard_all.iter().position(|sample| !is_silent(*sample))?;
    while start + probe <= end && start < 3 * RATE {
        let piece = &heard_all[start..start + probe];
        if let Some(said_from) = said.windows(probe).position(|window| window == piece) {
            let pairs = heard_all[start..].iter().zip(&said[said_from..]);
            let same = pairs.take_while(|(heard, said)| heard == said).count();
            return Some(Match { heard_from: start, said_from, same, heard: end - start });
        }
        start += FRAME / 2;
    }
    None
}

/// A piece of what was said, as it was heard; all in samples.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Stretch {
    pub heard: usize,
    pub said: usize,
    pub length: usize,
}

/// The pieces of `said` that are in `heard`, in order, each as long as every sample is the same.
pub fn stretches(said: &[i16], heard: &[i16]) -> Vec<Stretch> {
    let probe = 5 * FRAME;
    let (mut found, mut at, mut from): (Vec<Stretch>, _, _) = (vec![], 0, 0);
    while at + probe <= heard.len() {
        let piece = &heard[at..at + probe];
        let speaks = piece.iter().filter(|sample| !is_silent(**sample)).count() > probe / 2;
        let place = speaks.then(|| said[from..].windows(probe).position(|other| other == piece));
        let Some(Some(place)) = place else {
            at += FRAME / 4;
            continue;
        };
        let pairs = heard[at..].iter().zip(&said[from + place..]);
        let after = pairs.take_while(|(heard, said)| heard == said).count();
        let floor = found.last().map_or(0, |last| last.heard + last.length);
        let back = heard[floor..at].iter().rev().zip(said[from..from + place].iter().rev());
        let before = back.take_while(|(heard, said)| heard == said).count();
        let said_at = from + place - before;
        found.push(Stretch { heard: at - before, said: said_at, length: before + after });
        at += after;
        from += place + after;
    }
    found
}

/// How alike what was heard is to what was said, from 0 to 1, for codecs that do not keep samples: the correlation of
/// half a second of it, at the delay where it is highest; of five such pieces the third best, because a phone on a busy
/// host skips a frame now and then.
pub fn likeness(said: &[i16], heard: &[i16]) -> f64 {
    let length = RATE / 2;
    let from = |n: usize| heard.len() * (n + 1) / 7;
    let mut pieces: Vec<f64> = (0..5)
        .map(|n| piece_of(said, &heard[from(n)..(from(n) + length).min(heard.len())]))
        .collect();
    pieces.sort_by(f64::total_cmp);
    pieces[2]
}

fn piece_of(said: &[i16], piece: &[i16]) -> f64 {
    const COARSE: usize = 8;
    /// Places that look best from afar: a voice resembles itself one pitch period later.
    const LOOKED_AT: usize = 16;
    let thin = |samples: &[i16]| -> Vec<i16> {
        let mean = |chunk: &[i16]| chunk.iter().map(|s| i32::from(*s)).sum::<i32>() / COARSE as i32;
        samples.chunks_exact(COARSE).map(|chunk| mean(chunk) as i16).collect()
    };
    let (thin_said, thin_piece) = (thin(said), thin(piece));
    let mut places: Vec<(f64, usize)> = (0..thin_said.len().saturating_sub(thin_piece.len()))
        .map(|at| (correlation(&thin_said[at..], &thin_piece), at))
        .collect();
    places.sort_by(|one, other| other.0.total_cmp(&one.0));
    let around = |at: usize| (at * COARSE).saturating_sub(2 * COARSE)..at * COARSE + 2 * COARSE;
    let near = places.into_iter().take(LOOKED_AT).flat_map(|(_, at)| around(at));
    near.filter_map(|at| Some(correlation(said.get(at..)?, piece))).fold(0.0, f64::max)
}

fn correlation(one: &[i16], other: &[i16]) -> f64 {
    let (mut both, mut first, mut second) = (0.0_f64, 1.0_f64, 1.0_f64);
    for (a, b) in one.iter().zip(other) {
        let (a, b) = (f64::from(*a), f64::from(*b));
        both += a * b;
        first += a * a;
        second += b * b;
    }
    both / (first * second).sqrt()
}

/// The share of the frames heard that are, in their order, frames of what was said: for a phone
/// that fills its own gaps.
pub fn frames_said(said: &[i16], heard: &[i16]) -> f64 {
    let (mut total, mut good, mut at) = (0_u32, 0_u32, None::<usize>);
    for frame in heard.chunks_exact(FRAME) {
        if frame.iter().all(|sample| is_silent(*sample)) {
            continue;
        }
        total += 1;
        let next = at.map(|at| at + FRAME);
        if next.is_some_and(|next| said.get(next..next + FRAME) == Some(frame)) {
            at = next;
            good += 1;
            continue;
        }
        let from = at.unwrap_or(0);
        let found = said[from..].windows(FRAME).position(|window| window == frame);
        if let Some(found) = found {
            at = Some(from + found);
            good += 1;
        }
    }
    if total == 0 { 0.0 } else { f64::from(good) / f64::from(total) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_voice_is_its_own() {
        let (a, b) = (voice(1, 3), voice(2, 3));
        assert_ne!(a, b);
        assert_eq!(compare(&a, &a).expect("found").same, a.len());
        assert_eq!(compare(&a, &b), None);
        assert!(a.iter().filter(|sample| !is_silent(**sample)).count() > a.len() / 2);
    }

    #[test]
    fn likeness_knows_a_voice_from_another_and_speed_from_speed() {
        let said = voice(5, 8);
        let rough: Vec<i16> = said[4321..].iter().map(|sample| sample / 64 * 64).collect();
        assert!(likeness(&said, &rough) > 0.98, "{}", likeness(&said, &rough));
        // Two hums of nearly the same pitch, at the place where they are most alike.
        assert!(likeness(&voice(6, 8), &rough) < 0.7);
        let fast: Vec<i16> =
            rough.iter().enumerate().filter(|(n, _)| n % 50 != 0).map(|(_, s)| *s).collect();
        assert!(likeness(&said, &fast) < 0.85, "{}", likeness(&said, &fast));
    }

    #[test]
    fn one_changed_sample_is_noticed() {
        let said = voice(1, 4);
        let mut heard = vec![0; 700];
        heard.extend_from_slice(&said[900..]);
        let whole = compare(&said, &heard).expect("found");
        assert!(whole.is_whole() && whole.said_from >= 900, "{whole:?}");
        heard[20_000] ^= 16;
        let broken = compare(&said, &heard).expect("found");
        assert!(!broken.is_whole(), "{broken:?}");
        assert!(frames_said(&said, &heard) < 1.0);
    }

    #[test]
    fn a_gap_is_measured_to_the_sample() {
        let said = voice(3, 6);
        let mut heard = said.clone();
        heard[16_000..20_000].fill(0);
        let found = stretches(&said, &heard);
        let ends: Vec<_> = found.iter().map(|one| (one.said, one.said + one.length)).collect();
        assert_eq!(ends.first().map(|first| first.0), Some(0), "{found:?}");
        assert!(ends[0].1.abs_diff(16_000) < 20 && ends[1].0.abs_diff(20_000) < 20, "{found:?}");
        heard.drain(16_000..20_000);
        let found = stretches(&said, &heard);
        assert_eq!(found.len(), 2, "{found:?}");
        assert_eq!(found[1].said - found[1].heard, 4000);
    }

    #[test]
    fn a_lost_frame_is_noticed() {
        let said = voice(3, 4);
        let mut heard = said.clone();
        heard.drain(16_000..16_160);
        assert!(!compare(&said, &heard).expect("found").is_whole());
        assert!(frames_said(&said, &heard) > 0.99);
    }
}
