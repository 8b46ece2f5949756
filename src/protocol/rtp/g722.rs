//! G.722 (ITU-T G.722, 64 kbit/s) in both directions, sample by sample and without memory of its own: two sub-bands
//! of ADPCM behind a quadrature mirror filter. Blocks and signals are named as in the recommendation, §3 and §4.
//!
//! One byte is two samples at 16,000 a second, and one at 8000: a packet of G.711 and one of G.722 that last equally
//! long are equally long, and their RTP clocks tick alike.

/// §4, table 11: the transmit and receive QMF; the other half is its mirror image.
const QMF: [i32; 12] = [3, -11, 12, 32, -210, 951, 3876, -805, 362, -156, 53, -11];
const QMF_LENGTH: usize = 24;

/// §5, table 14: decision levels of the lower sub-band's quantiser.
const Q6: [i32; 29] = [
    35, 72, 110, 150, 190, 233, 276, 323, 370, 422, 473, 530, 587, 650, 714, 786, 858, 940, 1023,
    1121, 1219, 1339, 1458, 1612, 1765, 1980, 2195, 2557, 2919,
];
/// Quantised values of the six-bit code, by code; of positive differences, which stand first, from the largest.
const QM6: [i32; 64] = [
    -136, -136, -136, -136, -24808, -21904, -19008, -16704, -14984, -13512, -12280, -11192, -10232,
    -9360, -8576, -7856, -7192, -6576, -6000, -5456, -4944, -4464, -4008, -3576, -3168, -2776,
    -2400, -2032, -1688, -1360, -1040, -728, 24808, 21904, 19008, 16704, 14984, 13512, 12280,
    11192, 10232, 9360, 8576, 7856, 7192, 6576, 6000, 5456, 4944, 4464, 4008, 3576, 3168, 2776,
    2400, 2032, 1688, 1360, 1040, 728, 432, 136, -432, -136,
];
/// The same of the four-bit code that the predictor uses.
const QM4: [i32; 16] = [
    0, -20456, -12896, -8968, -6288, -4240, -2584, -1200, 20456, 12896, 8968, 6288, 4240, 2584,
    1200, 0,
];
/// Of the upper sub-band's two-bit code.
const QM2: [i32; 4] = [-7408, -1616, 7408, 1616];
/// Steps of the lower scale factor's logarithm by four-bit code, and of the upper's by two-bit code.
const WL4: [i32; 16] =
    [-60, 3042, 1198, 538, 334, 172, 58, -30, 3042, 1198, 538, 334, 172, 58, -30, -60];
const WH2: [i32; 4] = [798, -214, 798, -214];
/// §5: the inverse logarithm.
const ILB: [i32; 32] = [
    2048, 2093, 2139, 2186, 2233, 2282, 2332, 2383, 2435, 2489, 2543, 2599, 2656, 2714, 2774, 2834,
    2896, 2960, 3025, 3091, 3158, 3228, 3298, 3371, 3444, 3520, 3597, 3676, 3756, 3838, 3922, 4008,
];
const LOW_NB_MAX: i32 = 18_432;
const HIGH_NB_MAX: i32 = 22_528;
/// A sub-band sample has 15 bits.
const BAND_MAX: i32 = 16_383;
const BAND_MIN: i32 = -16_384;

/// From bytes to samples.
#[derive(Debug, Clone)]
pub struct Decoder {
    low: Band,
    high: Band,
    /// Sums and differences of the last sub-band samples, the newest last.
    history: [i32; QMF_LENGTH],
}

/// From samples to bytes.
#[derive(Debug, Clone)]
pub struct Encoder {
    low: Band,
    high: Band,
    history: [i32; QMF_LENGTH],
}

impl Default for Decoder {
    fn default() -> Self {
        Self { low: Band::new(32), high: Band::new(8), history: [0; QMF_LENGTH] }
    }
}

impl Default for Encoder {
    fn default() -> Self {
        Self { low: Band::new(32), high: Band::new(8), history: [0; QMF_LENGTH] }
    }
}

impl Decoder {
    /// Two samples at 16,000 a second.
    pub fn wide(&mut self, byte: u8) -> [i16; 2] {
        let (low, high) = (self.low_band(byte), self.high_band(byte));
        self.history.copy_within(2.., 0);
        self.history[QMF_LENGTH - 2] = low + high;
        self.history[QMF_LENGTH - 1] = low - high;
        let (mut first, mut second) = (0, 0);
        for (pair, tap) in self.history.as_chunks::<2>().0.iter().enumerate() {
            first += tap[1] * QMF[QMF.len() - 1 - pair];
            second += tap[0] * QMF[pair];
        }
        [saturated(first >> 11) as i16, saturated(second >> 11) as i16]
    }

    /// One sample at 8000 a second: the lower sub-band alone, which is all that a narrow-band listener can hear.
    pub fn narrow(&mut self, byte: u8) -> i16 {
        (self.low_band(byte) * 2) as i16
    }

    fn low_band(&mut self, byte: u8) -> i32 {
        let code = usize::from(byte & 0x3f);
        let rebuilt = self.low.predicted + ((self.low.scale * QM6[code]) >> 15);
        self.low.take_low(code >> 2);
        rebuilt.clamp(BAND_MIN, BAND_MAX)
    }

    fn high_band(&mut self, byte: u8) -> i32 {
        let code = usize::from(byte >> 6);
        let rebuilt = self.high.predicted + ((self.high.scale * QM2[code]) >> 15);
        self.high.take_high(code);
        rebuilt.clamp(BAND_MIN, BAND_MAX)
    }
}

impl Encoder {
    /// Of two samples at 16,000 a second.
    pub fn wide(&mut self, samples: [i16; 2]) -> u8 {
        self.history.copy_within(2.., 0);
        self.history[QMF_LENGTH - 2] = i32::from(samples[0]);
        self.history[QMF_LENGTH - 1] = i32::from(samples[1]);
        let (mut odd, mut even) = (0, 0);
        for (pair, tap) in self.history.as_chunks::<2>().0.iter().enumerate() {
            odd += tap[0] * QMF[pair];
            even += tap[1] * QMF[QMF.len() - 1 - pair];
        }
        self.bands((even + odd) >> 14, (even - odd) >> 14)
    }

    /// Of one sample at 8000 a second; the upper sub-band is silent.
    pub fn narrow(&mut self, sample: i16) -> u8 {
        self.bands(i32::from(sample) >> 1, 0)
    }

    fn bands(&mut self, low: i32, high: i32) -> u8 {
        let (low_code, high_code) = (self.low.quantised_low(low), self.high.quantised_high(high));
        self.low.take_low(usize::from(low_code >> 2));
        self.high.take_high(usize::from(high_code));
        (high_code << 6) | low_code
    }
}

/// The adaptive quantiser and predictor of one sub-band: what both ends keep alike.
#[derive(Debug, Clone)]
struct Band {
    /// NB: logarithm of the scale factor.
    log_scale: i32,
    /// DET.
    scale: i32,
    /// S, and the part of it that the zeros give, SZ.
    predicted: i32,
    from_zeros: i32,
    /// A1, A2 and RLT1, RLT2.
    poles: [i32; 2],
    rebuilt: [i32; 2],
    /// PLT1, PLT2: whose signs the poles follow.
    partial: [i32; 2],
    /// BL1…BL6 and DLT1…DLT6.
    zeros: [i32; 6],
    differences: [i32; 6],
}

impl Band {
    fn new(scale: i32) -> Self {
        Self {
            log_scale: 0,
            scale,
            predicted: 0,
            from_zeros: 0,
            poles: [0; 2],
            rebuilt: [0; 2],
            partial: [0; 2],
            zeros: [0; 6],
            differences: [0; 6],
        }
    }

    /// SUBTRA and QUANTL.
    fn quantised_low(&self, sample: i32) -> u8 {
        let difference = saturated(sample - self.predicted);
        let magnitude = if difference < 0 { !difference } else { difference };
        let level =
            Q6.iter().take_while(|level| magnitude >= (**level * self.scale) >> 12).count() as u8;
        match (difference < 0, level) {
            (true, 0) => 63,
            (true, 1) => 62,
            (true, level) => 33 - level,
            (false, level) => 61 - level,
        }
    }

    /// SUBTRA and QUANTH.
    fn quantised_high(&self, sample: i32) -> u8 {
        let difference = saturated(sample - self.predicted);
        let magnitude = if difference < 0 { !difference } else { difference };
        let large = magnitude >= (564 * self.scale) >> 12;
        match (difference < 0, large) {
            (true, true) => 0,
            (true, false) => 1,
            (false, true) => 2,
            (false, false) => 3,
        }
    }

    /// INVQAL, LOGSCL, SCALEL, and the predictor.
    fn take_low(&mut self, code: usize) {
        let difference = (self.scale * QM4[code]) >> 15;
        self.log_scale = (((self.log_scale * 127) >> 7) + WL4[code]).clamp(0, LOW_NB_MAX);
        self.scale = linear(self.log_scale, 8);
        self.predict(difference);
    }

    /// INVQAH, LOGSCH, SCALEH, and the predictor.
    fn take_high(&mut self, code: usize) {
        let difference = (self.scale * QM2[code]) >> 15;
        self.log_scale = (((self.log_scale * 127) >> 7) + WH2[code]).clamp(0, HIGH_NB_MAX);
        self.scale = linear(self.log_scale, 10);
        self.predict(difference);
    }

    /// Block 4.
    fn predict(&mut self, difference: i32) {
        let rebuilt = saturated(self.predicted + difference);
        let partial = saturated(self.from_zeros + difference);
        self.poles = self.moved_poles(partial);
        let step = if difference == 0 { 0 } else { 128 };
        for (zero, past) in self.zeros.iter_mut().zip(&self.differences) {
            let towards = if alike(*past, difference) { step } else { -step };
            *zero = saturated(towards + ((*zero * 32_640) >> 15));
        }
        self.differences.copy_within(..5, 1);
        self.differences[0] = difference;
        self.rebuilt = [rebuilt, self.rebuilt[0]];
        self.partial = [partial, self.partial[0]];
        let weighed = |weight: i32, value: i32| (weight * saturated(2 * value)) >> 15;
        let from_poles: i32 =
            self.poles.iter().zip(self.rebuilt).map(|(pole, value)| weighed(*pole, value)).sum();
        let from_zeros: i32 = self
            .zeros
            .iter()
            .zip(self.differences)
            .map(|(zero, value)| weighed(*zero, value))
            .sum();
        self.from_zeros = saturated(from_zeros);
        self.predicted = saturated(saturated(from_poles) + self.from_zeros);
    }

    /// UPPOL2 and UPPOL1.
    fn moved_poles(&self, partial: i32) -> [i32; 2] {
        let [first, second] = self.poles;
        let quadrupled = saturated(first * 4);
        let against = if alike(partial, self.partial[0]) { -quadrupled } else { quadrupled };
        let towards = if alike(partial, self.partial[1]) { 128 } else { -128 };
        let second = ((against.min(32_767) >> 7) + towards + ((second * 32_512) >> 15))
            .clamp(-12_288, 12_288);
        let towards = if alike(partial, self.partial[0]) { 192 } else { -192 };
        let limit = 15_360 - second;
        let first = saturated(towards + ((first * 32_640) >> 15)).clamp(-limit, limit);
        [first, second]
    }
}

/// SCALEL and SCALEH: the scale factor of its logarithm.
fn linear(log_scale: i32, shift: i32) -> i32 {
    let mantissa = ILB[((log_scale >> 6) & 31) as usize];
    let shift = shift - (log_scale >> 11);
    (if shift < 0 { mantissa << -shift } else { mantissa >> shift }) << 2
}

fn alike(one: i32, other: i32) -> bool {
    (one < 0) == (other < 0)
}

fn saturated(value: i32) -> i32 {
    value.clamp(i32::from(i16::MIN), i32::from(i16::MAX))
}

#[cfg(test)]
mod tests {
    use super::*;
    use ezk_g722::libg722::{self, Bitrate};

    /// Bytes that look like nothing in particular.
    fn noise(count: usize) -> Vec<u8> {
        let mut state = 1u32;
        let next = |_| {
            state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
            (state >> 24) as u8
        };
        (0..count).map(next).collect()
    }

    fn tone(hertz: f64, rate: f64, level: f64, seconds: f64) -> Vec<i16> {
        let sample = |n: usize| (std::f64::consts::TAU * hertz * n as f64 / rate).sin() * level;
        (0..(rate * seconds) as usize).map(|n| sample(n) as i16).collect()
    }

    fn level(samples: &[i16]) -> f64 {
        let power: f64 = samples.iter().map(|sample| f64::from(*sample).powi(2)).sum();
        (2.0 * power / samples.len() as f64).sqrt()
    }

    fn wide_encoded(samples: &[i16]) -> Vec<u8> {
        let mut encoder = Encoder::default();
        samples.as_chunks::<2>().0.iter().map(|pair| encoder.wide(*pair)).collect()
    }

    fn wide_decoded(bytes: &[u8]) -> Vec<i16> {
        let mut decoder = Decoder::default();
        bytes.iter().flat_map(|byte| decoder.wide(*byte)).collect()
    }

    /// How far `one` lies above what it differs from `other` by, in decibels.
    fn likeness(one: &[i16], other: &[i16]) -> f64 {
        let pairs = one.iter().zip(other);
        let error: f64 = pairs.map(|(a, b)| (f64::from(*a) - f64::from(*b)).powi(2)).sum();
        let power: f64 = one.iter().map(|sample| f64::from(*sample).powi(2)).sum();
        10.0 * (power / error.max(1.0)).log10()
    }

    #[test]
    fn it_decodes_as_another_implementation_does() {
        for bytes in [noise(16_000), wide_encoded(&tone(700.0, 16_000.0, 9000.0, 1.0))] {
            let (ours, mut other) = (
                wide_decoded(&bytes),
                libg722::decoder::Decoder::new(Bitrate::Mode1_64000, false, false),
            );
            let theirs = other.decode(&bytes);
            // The other one begins with a scale factor of nothing, which takes some samples to be forgotten.
            let likeness = likeness(&ours[2000..], &theirs[2000..]);
            assert!(likeness > 40.0, "{likeness} dB");
        }
    }

    /// Their states differ at the start, and each of two encoders follows its own ever after: what either says is
    /// heard alike by the other's decoder.
    #[test]
    fn another_implementation_hears_what_it_encodes_and_it_what_that_one_encodes() {
        let said: Vec<i16> = tone(300.0, 16_000.0, 6000.0, 1.0)
            .iter()
            .zip(tone(2100.0, 16_000.0, 3000.0, 1.0))
            .map(|(low, high)| low + high)
            .collect();
        let mut their_mouth = libg722::encoder::Encoder::new(Bitrate::Mode1_64000, false, false);
        let mut their_ear = libg722::decoder::Decoder::new(Bitrate::Mode1_64000, false, false);
        let by_us = wide_decoded(&their_mouth.encode(&said));
        let by_them = their_ear.decode(&wide_encoded(&said));
        // The two filters hold a sample back for 22 of its own.
        let late = |heard: &[i16]| likeness(&said[2000..15_000], &heard[2022..15_022]);
        let (one, other) = (late(&by_us), late(&by_them));
        assert!(one > 20.0 && other > 20.0 && (one - other).abs() < 2.0, "{one} {other} dB");
    }

    #[test]
    fn a_tone_keeps_its_level_through_both_ends_wide_and_narrow() {
        for hertz in [300.0, 1000.0, 2500.0, 3300.0, 5000.0, 6500.0] {
            let heard = wide_decoded(&wide_encoded(&tone(hertz, 16_000.0, 8000.0, 0.5)));
            let loud = level(&heard[2000..]) / 8000.0;
            assert!((0.85..1.15).contains(&loud), "{hertz} Hz: {loud}");
        }
        for hertz in [300.0, 1000.0, 2500.0, 3300.0] {
            let (mut encoder, mut decoder) = (Encoder::default(), Decoder::default());
            let said = tone(hertz, 8000.0, 8000.0, 0.5);
            let heard: Vec<i16> =
                said.iter().map(|sample| decoder.narrow(encoder.narrow(*sample))).collect();
            let loud = level(&heard[1000..]) / 8000.0;
            assert!((0.9..1.1).contains(&loud), "{hertz} Hz: {loud}");
        }
    }

    #[test]
    fn what_a_narrow_mouth_says_a_wide_ear_hears() {
        let mut encoder = Encoder::default();
        let said = tone(1000.0, 8000.0, 8000.0, 0.5);
        let bytes: Vec<u8> = said.iter().map(|sample| encoder.narrow(*sample)).collect();
        let loud = level(&wide_decoded(&bytes)[2000..]) / 8000.0;
        assert!((0.9..1.1).contains(&loud), "{loud}");
    }

    #[test]
    fn no_bytes_and_no_samples_make_it_panic() {
        let (mut decoder, mut encoder) = (Decoder::default(), Encoder::default());
        for byte in noise(100_000) {
            decoder.wide(byte);
            encoder.wide([i16::MAX * (i16::from(byte & 1) * 2 - 1), i16::MIN]);
        }
        for byte in [0u8, 0xff, 0x3f, 0xc0] {
            for _ in 0..10_000 {
                decoder.wide(byte);
                decoder.narrow(byte);
            }
        }
    }
}
