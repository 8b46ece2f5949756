//! From 16,000 samples a second to 8000: what the narrow band cannot hold is taken away before every other sample is.

use std::f64::consts::PI;

/// Wide samples on either side that a narrow one depends on. Passes up to 3400 Hz, stops from 4000 Hz by 60 dB.
pub const REACH: usize = 48;
const TAPS: usize = 2 * REACH + 1;
/// Middle of the slope, in cycles a wide sample.
const CUT: f64 = 3700.0 / 16_000.0;
/// Of the Kaiser window, for 60 dB.
const BETA: f64 = 5.65;

/// A symmetric filter: nothing comes later or earlier than it was said.
#[derive(Debug, Clone)]
pub struct Decimator {
    taps: [f32; TAPS],
}

impl Default for Decimator {
    fn default() -> Self {
        let tap = |index: usize| {
            let at = index as f64 - REACH as f64;
            let sinc =
                if index == REACH { 2.0 * CUT } else { (2.0 * PI * CUT * at).sin() / (PI * at) };
            let edge = at / REACH as f64;
            sinc * bessel(BETA * (1.0 - edge * edge).max(0.0).sqrt()) / bessel(BETA)
        };
        let taps: [f64; TAPS] = std::array::from_fn(tap);
        let sum: f64 = taps.iter().sum();
        Self { taps: taps.map(|tap| (tap / sum) as f32) }
    }
}

impl Decimator {
    /// The narrow sample in the middle of a window of wide ones, which reaches [`REACH`] to either side.
    pub fn sample(&self, window: &[i16]) -> i32 {
        let sum: f32 =
            self.taps.iter().zip(window).map(|(tap, sample)| tap * f32::from(*sample)).sum();
        sum.round() as i32
    }
}

/// The modified Bessel function of the first kind and order 0, by its series.
fn bessel(x: f64) -> f64 {
    let mut term = 1.0;
    let mut sum = 1.0;
    for n in 1..30 {
        term *= (x / 2.0 / f64::from(n)).powi(2);
        sum += term;
    }
    sum
}

#[cfg(test)]
mod tests {
    use super::*;

    /// What is left of a tone, in decibels.
    fn response(hertz: f64) -> f64 {
        let decimator = Decimator::default();
        let wide: Vec<i16> = (0..16_000)
            .map(|n| ((2.0 * PI * hertz * f64::from(n) / 16_000.0).sin() * 20_000.0) as i16)
            .collect();
        let narrow: Vec<i32> = (0..(wide.len() - TAPS) / 2)
            .map(|n| decimator.sample(&wide[2 * n..2 * n + TAPS]))
            .collect();
        let power: f64 = narrow.iter().map(|sample| f64::from(*sample).powi(2)).sum();
        20.0 * ((2.0 * power / narrow.len() as f64).sqrt() / 20_000.0).max(1e-9).log10()
    }

    #[test]
    fn the_voice_band_passes_flat_and_nothing_folds_into_it() {
        for hertz in [100.0, 300.0, 1000.0, 2000.0, 3000.0, 3300.0] {
            let db = response(hertz);
            assert!(db.abs() < 0.1, "{hertz} Hz: {db} dB");
        }
        assert!(response(3400.0) > -0.5);
        for hertz in [4050.0, 4500.0, 5000.0, 6000.0, 7000.0, 7900.0] {
            let db = response(hertz);
            assert!(db < -58.0, "{hertz} Hz: {db} dB");
        }
    }

    #[test]
    fn a_click_stays_where_it_was() {
        let decimator = Decimator::default();
        let mut wide = vec![0i16; 400];
        wide[200] = 10_000;
        let narrow: Vec<i32> = (0..(wide.len() - TAPS) / 2)
            .map(|n| decimator.sample(&wide[2 * n..2 * n + TAPS]))
            .collect();
        let loudest = narrow.iter().enumerate().max_by_key(|(_, sample)| sample.abs()).unwrap().0;
        assert_eq!(2 * loudest + REACH, 200);
    }
}
