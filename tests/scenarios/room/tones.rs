//! What telephone networks and fax machines sound like, as A-law.

use dutyline::protocol::rtp::{Codec, g711};
use std::f64::consts::TAU;

/// A tone of so many milliseconds.
pub fn tone(hertz: f64, ms: usize) -> Vec<u8> {
    let sample = |n: usize| ((n as f64 * hertz * TAU / 8000.0).sin() * 5000.0) as i16;
    (0..8 * ms).map(|n| g711::encode(Codec::Pcma, sample(n))).collect()
}

pub fn hush(ms: usize) -> Vec<u8> {
    vec![g711::silence(Codec::Pcma); 8 * ms]
}

/// On and off, so many times.
fn beats(hertz: f64, on: usize, off: usize, times: usize) -> Vec<u8> {
    [tone(hertz, on), hush(off)].concat().repeat(times)
}

/// 回铃音
pub fn ringing(times: usize) -> Vec<u8> {
    beats(450.0, 1000, 4000, times)
}

/// 忙音
pub fn busy(times: usize) -> Vec<u8> {
    beats(450.0, 350, 350, times)
}

/// 拥塞音
pub fn congestion(times: usize) -> Vec<u8> {
    beats(450.0, 700, 700, times)
}

/// CNG
pub fn fax_calls(times: usize) -> Vec<u8> {
    beats(1100.0, 500, 3000, times)
}

/// How loud a tone is in A-law, of a full scale of 32,768.
pub fn level(sound: &[u8], hertz: f64) -> f64 {
    let (mut re, mut im) = (0.0, 0.0);
    for (n, byte) in sound.iter().enumerate() {
        let (sample, phase) = (g711::decode(Codec::Pcma, *byte), n as f64 * hertz * TAU / 8000.0);
        re += f64::from(sample) * phase.cos();
        im += f64::from(sample) * phase.sin();
    }
    2.0 * re.hypot(im) / sound.len().max(1) as f64
}
