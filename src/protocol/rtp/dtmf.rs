//! Keys as tones in the voice (ITU-T Q.23), for a telephone that has no other way to say them. A machine: voice goes in,
//! each press comes out once. So strict that speech is none (Q.24 leaves that to whoever listens). Allocates nothing.

use std::f32::consts::TAU;

/// 12.75 ms: as selective as the distance of two tones of a group demands, wide enough for the tolerance of each.
const BLOCK: usize = 102;
const RATE: f32 = 8000.0;
const LOW: [f32; 4] = [697.0, 770.0, 852.0, 941.0];
const HIGH: [f32; 4] = [1209.0, 1336.0, 1477.0, 1633.0];
const KEYS: [[char; 4]; 4] =
    [['1', '2', '3', 'A'], ['4', '5', '6', 'B'], ['7', '8', '9', 'C'], ['*', '0', '#', 'D']];
/// Mean square below which a block is silence: 40 dB under full scale.
const FLOOR: f32 = 100_000.0;
/// What share of a block's power its two tones have at the limits of their tolerance, 1.5 % ± 2 Hz.
const PURE: f32 = 0.74;
/// How much more power one of the two may have: 6 dB where it is the lower one, 9 dB where it is the higher one.
const TWIST: (f32, f32) = (4.0, 8.0);
/// By how much each of the two is above the others of its group: 8 dB.
const ALONE: f32 = 6.3;
/// Greatest over least power of a block within a press: a tone is even, a voice is not.
const EVEN: f32 = 1.6;
/// Blocks in a row that make a press: every one of 65 ms is known, a hand takes longer.
const ENOUGH: u8 = 4;
/// Blocks without it that end one.
const OVER: u8 = 4;
/// What is lost says nothing of a press that has begun, up to two packets of 60 ms.
const LOST: u32 = 960;

/// The keys in one party's voice. **All of its samples in their order; what is missing is told by `skip`.**
#[derive(Debug, Clone)]
pub struct Listener {
    block: [f32; BLOCK],
    filled: usize,
    /// Twice the cosine of each tone, the low group first.
    turns: [f32; 8],
    run: Option<Run>,
}

/// Blocks of one key in a row.
#[derive(Debug, Clone, Copy)]
struct Run {
    key: char,
    blocks: u8,
    least: f32,
    most: f32,
    missed: u8,
    /// Samples, since it was heard last.
    lost: u32,
    told: bool,
}

impl Default for Listener {
    fn default() -> Self {
        let tones: [f32; 8] = std::array::from_fn(|n| if n < 4 { LOW[n] } else { HIGH[n - 4] });
        let turns = tones.map(|hertz| 2.0 * (TAU * hertz / RATE).cos());
        Self { block: [0.0; BLOCK], filled: 0, turns, run: None }
    }
}

impl Listener {
    /// What the party said next: the key that is known by it. No packet has room for two.
    pub fn hear(&mut self, samples: &[i16]) -> Option<char> {
        let mut found = None;
        for sample in samples {
            self.block[self.filled] = f32::from(*sample);
            self.filled += 1;
            if self.filled == BLOCK {
                self.filled = 0;
                let heard = self.key();
                found = found.or(self.take(heard));
            }
        }
        found
    }

    /// So many samples are missing.
    pub fn skip(&mut self, samples: u32) {
        self.filled = 0;
        let Some(run) = &mut self.run else { return };
        run.lost = run.lost.saturating_add(samples);
        let over = run.lost > LOST || !run.told;
        self.run.take_if(|_| over);
    }

    fn take(&mut self, heard: Option<(char, f32)>) -> Option<char> {
        let same = |run: &&mut Run| heard.is_none_or(|(key, _)| key == run.key);
        match (self.run.as_mut().filter(same), heard) {
            (Some(run), Some((_, power))) => {
                run.grow(power);
                run.tell()
            }
            (Some(run), None) => {
                run.missed += 1;
                let over = run.missed >= OVER || !run.told;
                self.run.take_if(|_| over);
                None
            }
            (None, heard) => {
                self.run = heard.map(|(key, _)| Run::new(key));
                None
            }
        }
    }

    /// The key that the block is all of, and its power.
    fn key(&self) -> Option<(char, f32)> {
        let power = self.block.iter().map(|sample| sample * sample).sum::<f32>() / BLOCK as f32;
        if power < FLOOR {
            return None;
        }
        let powers = self.powers();
        let (low, high) = (loudest(&powers[..4])?, loudest(&powers[4..])?);
        let (of_low, of_high) = (powers[low], powers[4 + high]);
        let twisted = of_low > TWIST.0 * of_high || of_high > TWIST.1 * of_low;
        if twisted || of_low + of_high < PURE * power {
            return None;
        }
        Some((KEYS[low][high], power))
    }

    /// The power of each tone in the block (Goertzel).
    fn powers(&self) -> [f32; 8] {
        let (mut last, mut before) = ([0.0f32; 8], [0.0f32; 8]);
        for sample in &self.block {
            for tone in 0..8 {
                let this = sample - before[tone] + self.turns[tone] * last[tone];
                before[tone] = last[tone];
                last[tone] = this;
            }
        }
        std::array::from_fn(|tone| {
            let (last, before) = (last[tone], before[tone]);
            let energy = last * last + before * before - self.turns[tone] * last * before;
            2.0 * energy / (BLOCK * BLOCK) as f32
        })
    }
}

/// Which one stands out.
fn loudest(powers: &[f32]) -> Option<usize> {
    let (index, most) = powers.iter().enumerate().max_by(|a, b| a.1.total_cmp(b.1))?;
    let mut others = powers.iter().enumerate().filter(|(other, _)| *other != index);
    others.all(|(_, power)| power * ALONE < *most).then_some(index)
}

impl Run {
    /// The first block may be cut short: its power says nothing.
    fn new(key: char) -> Self {
        Self { key, blocks: 1, least: f32::MAX, most: 0.0, missed: 0, lost: 0, told: false }
    }

    fn grow(&mut self, power: f32) {
        self.blocks = self.blocks.saturating_add(1);
        (self.missed, self.lost) = (0, 0);
        (self.least, self.most) = (self.least.min(power), self.most.max(power));
    }

    fn tell(&mut self) -> Option<char> {
        let is_press = self.blocks >= ENOUGH && self.most <= EVEN * self.least;
        let fresh = is_press && !self.told;
        self.told |= fresh;
        fresh.then_some(self.key)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::protocol::rtp::{Codec, g711};
    use proptest::prelude::*;

    /// A press as a telephone makes it, through A-law: `off` by so many parts of a thousand.
    fn press(key: char, ms: usize, off: f32, (low, high): (f32, f32)) -> Vec<i16> {
        let place = |(row, keys): (usize, &[char; 4])| {
            keys.iter().position(|other| *other == key).map(|column| (row, column))
        };
        let (row, column) = KEYS.iter().enumerate().find_map(place).unwrap();
        let tone =
            |n: usize, hertz: f32| (n as f32 / RATE * hertz * (1.0 + off / 1000.0) * TAU).sin();
        let sample = |n: usize| low * tone(n, LOW[row]) + high * tone(n, HIGH[column]);
        let law = |sample: i16| g711::decode(Codec::Pcma, g711::encode(Codec::Pcma, sample));
        (0..ms * 8).map(|n| law(sample(n) as i16)).collect()
    }

    fn keys(sound: &[i16]) -> String {
        let mut listener = Listener::default();
        sound.chunks(160).filter_map(|packet| listener.hear(packet)).collect()
    }

    fn silence(ms: usize) -> Vec<i16> {
        vec![8; ms * 8]
    }

    #[test]
    fn esc_11_each_key_is_one_press_however_long() {
        for key in KEYS.concat() {
            for ms in [65, 100, 1_700] {
                let sound =
                    [silence(33), press(key, ms, 0.0, (4000.0, 5000.0)), silence(80)].concat();
                assert_eq!(keys(&sound), key.to_string(), "{key} of {ms} ms");
            }
        }
    }

    #[test]
    fn esc_11_two_presses_are_two_and_a_packet_that_is_lost_is_no_third() {
        let one = press('5', 80, 0.0, (4000.0, 4000.0));
        let two = [one.clone(), silence(70), one.clone(), silence(70)].concat();
        assert_eq!(keys(&two), "55");
        let long = press('5', 400, 0.0, (4000.0, 4000.0));
        let hole = [&long[..1600], &silence(20), &long[1600..]].concat();
        assert_eq!(keys(&hole), "5");
        let mut listener = Listener::default();
        let mut lost = long.chunks(160).enumerate().filter_map(|(n, packet)| match n {
            7 | 8 => {
                listener.skip(160);
                None
            }
            _ => listener.hear(packet),
        });
        assert_eq!((lost.next(), lost.next()), (Some('5'), None));
        assert_eq!(keys(&press('5', 25, 0.0, (4000.0, 4000.0))), "", "a click");
    }

    /// Of whatever length: a tone goes on behind the hole, and one that was let go there does not.
    #[test]
    fn esc_11_packets_that_are_lost_inside_a_tone_are_no_second_press() {
        let long = press('1', 900, 0.0, (4000.0, 4000.0));
        for (size, gone) in [(160, 1), (160, 4), (160, 6), (240, 3), (320, 1), (480, 1), (480, 2)] {
            for first in 2..8 {
                let mut listener = Listener::default();
                let mut heard = String::new();
                for (n, packet) in long.chunks(size).enumerate() {
                    match (first..first + gone).contains(&n) {
                        true => listener.skip(size as u32),
                        false => heard.extend(listener.hear(packet)),
                    }
                }
                assert_eq!(heard, "1", "{gone} of {size} samples from {first} on");
            }
        }
        let one = press('1', 80, 0.0, (4000.0, 4000.0));
        let mut listener = Listener::default();
        let mut heard: String =
            one.chunks(160).filter_map(|packet| listener.hear(packet)).collect();
        listener.skip(1600);
        heard.extend(one.chunks(160).filter_map(|packet| listener.hear(packet)));
        assert_eq!(heard, "11", "200 ms are room for two");
    }

    #[test]
    fn the_tolerance_of_the_standard_is_kept_and_what_is_none_is_no_key() {
        for (off, levels, heard) in [
            (15.0, (3000.0, 3000.0), true),
            (-15.0, (3000.0, 3000.0), true),
            (0.0, (3000.0, 7500.0), true),
            (0.0, (5000.0, 2800.0), true),
            (60.0, (3000.0, 3000.0), false),
            (0.0, (6000.0, 0.0), false),
            (0.0, (0.0, 6000.0), false),
            (0.0, (200.0, 200.0), false),
            (0.0, (1000.0, 9000.0), false),
        ] {
            for key in KEYS.concat() {
                let sound = [silence(40), press(key, 120, off, levels), silence(60)].concat();
                let expected = if heard { key.to_string() } else { String::new() };
                assert_eq!(keys(&sound), expected, "{key} off {off} at {levels:?}");
            }
        }
    }

    proptest! {
        #[test]
        fn a_press_is_known_wherever_it_begins(at in 0usize..400, length in 65usize..200) {
            let sound = [vec![8; at], press('8', length, 0.0, (4000.0, 5000.0)), silence(60)];
            prop_assert_eq!(keys(&sound.concat()), "8");
        }

        #[test]
        fn noise_is_no_key(samples in prop::collection::vec(any::<i16>(), 0..20_000)) {
            prop_assert_eq!(keys(&samples), "");
        }
    }
}
