//! Is it a voice? What a party sends, judged second by second: nothing at all, what no key or decoder opens, dead
//! silence, static, a tone that never ends, clipping, a voice too faint. Says so within ten seconds.

use serde::{Deserialize, Serialize};
use std::collections::VecDeque;

/// Seconds that are judged together.
const WINDOW: usize = 7;
/// What nobody can decode needs no second look.
const SECRET: usize = 2;
/// Samples whose level is taken together: 20 ms.
const FRAME: usize = 160;
/// Levels in dB below full scale that are told apart.
const LEVELS: usize = 97;
/// Samples that differ by no more are one and the same: the least step of A-law to either side.
const CONSTANT: i32 = 16;
/// The two highest values of G.711.
const CLIP: u16 = 31_000;
/// A second with more than half a percent of such samples is clipped; so many of a window make a fault.
const CLIPPED_PER_MILLE: u32 = 5;
const CLIPPED_SECONDS: usize = 5;
/// Speech rises and falls by more than this, in dB; static does not, …
const STEADY: usize = 8;
/// … and below this level nobody hears it.
const AUDIBLE: usize = 45;
/// What can be foretold up to this part of its energy is a tone, or a few.
const FORETOLD: f32 = 0.15;
/// Speech that rises and falls by so much and is nowhere louder than this is faint, in dB below full scale.
const SPEECH: usize = 12;
const FAINT: usize = 42;
/// Coefficients with which a sample is foretold: enough for two tones at a time.
const ORDER: usize = 4;
/// Samples that are multiplied at once.
const LANES: usize = 8;
/// Findings kept of a party.
const FOUND_MAX: usize = 50;

#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Fault {
    /// No packet came.
    Absent,
    /// Packets came that no key or no decoder of ours opens.
    Undecodable,
    /// One and the same value from the first second on: a dead microphone, or muted.
    Silent,
    /// The same after something was heard: muted, most likely on purpose.
    Muted,
    /// Noise that does not rise and fall as speech does: static, or not what its payload type says.
    Static,
    /// A tone that does not end.
    Tone,
    /// Too loud for its codec.
    Clipped,
    /// A voice that can hardly be heard.
    Faint,
}

/// A fault and the seconds in which it was there, `to` not included.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Found {
    pub fault: Fault,
    pub from: u64,
    pub to: u64,
}

/// What came of a party in one second.
#[derive(Debug, Clone, PartialEq)]
pub enum Second {
    Nothing,
    /// It is there and has nothing to say, or was not there all the time.
    Alive,
    Secret,
    Heard(Box<Measure>),
}

/// Of the samples of a second, whatever packets they came in.
#[derive(Debug, Clone, PartialEq)]
pub struct Measure {
    /// How many frames had which level, in dB below full scale.
    levels: [u16; LEVELS],
    samples: u32,
    clipped: u32,
    least: i16,
    most: i16,
    /// Products of each sample with itself and with the ones before it, summed up.
    products: [f32; ORDER + 1],
}

impl Default for Measure {
    fn default() -> Self {
        Self {
            levels: [0; LEVELS],
            samples: 0,
            clipped: 0,
            least: i16::MAX,
            most: i16::MIN,
            products: [0.0; ORDER + 1],
        }
    }
}

impl Measure {
    /// What a packet said, at 8000 samples a second.
    pub fn add(&mut self, samples: &[i16]) {
        for frame in samples.chunks(FRAME) {
            self.add_frame(frame);
        }
    }

    pub fn is_empty(&self) -> bool {
        self.samples == 0
    }

    /// The loudest sample, in dB below full scale.
    pub fn peak(&self) -> u8 {
        if self.is_empty() {
            return LEVELS as u8 - 1;
        }
        let peak = self.least.unsigned_abs().max(self.most.unsigned_abs());
        below_full_scale(f32::from(peak).powi(2)) as u8
    }

    fn add_frame(&mut self, frame: &[i16]) {
        // What a frame is too short for, and what stands after it, is zero and adds nothing.
        let mut values = [0.0; FRAME + LANES];
        for (value, sample) in values.iter_mut().zip(frame) {
            *value = f32::from(*sample);
        }
        self.least = frame.iter().fold(self.least, |least, sample| least.min(*sample));
        self.most = frame.iter().fold(self.most, |most, sample| most.max(*sample));
        let clipped = frame.iter().map(|sample| u16::from(sample.unsigned_abs() >= CLIP));
        self.clipped += u32::from(clipped.sum::<u16>());
        let before = self.products[0];
        for (lag, product) in self.products.iter_mut().enumerate() {
            *product += product_of(&values, lag);
        }
        self.samples += frame.len() as u32;
        if 2 * frame.len() >= FRAME {
            let energy = (self.products[0] - before) / frame.len() as f32;
            let level = &mut self.levels[below_full_scale(energy)];
            *level = level.saturating_add(1);
        }
    }

    fn is_constant(&self) -> bool {
        i32::from(self.most) - i32::from(self.least) <= CONSTANT
    }

    fn is_clipped(&self) -> bool {
        self.clipped * 1000 > self.samples * CLIPPED_PER_MILLE
    }

    /// The part of the energy that remains when each sample is foretold from those before it (Levinson, Durbin).
    fn unforetold(&self) -> f32 {
        let mut left = self.products[0];
        let mut foretelling = [0.0; ORDER];
        for order in 0..ORDER {
            if left <= 0.0 {
                return 0.0;
            }
            let known: f32 = (0..order).map(|at| foretelling[at] * self.products[order - at]).sum();
            let next = (self.products[order + 1] - known) / left;
            let before = foretelling;
            for (at, one) in foretelling.iter_mut().enumerate().take(order) {
                *one = before[at] - next * before[order - 1 - at];
            }
            foretelling[order] = next;
            left *= 1.0 - next * next;
        }
        left / self.products[0]
    }
}

/// Of each value with the one `lag` after it, summed up in lanes: as many at once as the processor multiplies.
fn product_of(values: &[f32; FRAME + LANES], lag: usize) -> f32 {
    let mut sums = [0.0; LANES];
    let (ones, others) = (values[..FRAME].chunks_exact(LANES), values[lag..].chunks_exact(LANES));
    for (one, other) in ones.zip(others) {
        for ((sum, one), other) in sums.iter_mut().zip(one).zip(other) {
            *sum += one * other;
        }
    }
    sums.iter().sum()
}

/// Of a mean square.
fn below_full_scale(energy: f32) -> usize {
    let level = -10.0 * (energy.max(1e-3) / 32_768.0f32.powi(2)).log10();
    (level.max(0.0).round() as usize).min(LEVELS - 1)
}

/// **Hand it one second after the other.**
#[derive(Debug, Clone, Default)]
pub struct Judge {
    seconds: u64,
    last: VecDeque<Second>,
    /// A second that was not one and the same value.
    heard: bool,
    open: Option<(Fault, u64)>,
    found: Vec<Found>,
}

impl Judge {
    pub fn hear(&mut self, second: Second) {
        if self.last.len() == WINDOW {
            self.last.pop_front();
        }
        self.heard |= matches!(&second, Second::Heard(measure) if !measure.is_constant());
        self.last.push_back(second);
        let (fault, at) = (self.judged(), self.seconds);
        self.seconds += 1;
        if self.open.map(|(fault, _)| fault) == fault {
            return;
        }
        self.close(at);
        if let Some(fault) = fault {
            let since = (self.last.iter().rev()).take_while(|one| belongs(one, fault)).count();
            self.open = Some((fault, self.seconds - since.max(1) as u64));
        }
    }

    /// What is wrong now, and since which second.
    pub fn now(&self) -> Option<(Fault, u64)> {
        self.open
    }

    /// Judged so far.
    pub fn seconds(&self) -> u64 {
        self.seconds
    }

    pub fn finish(mut self) -> Vec<Found> {
        self.close(self.seconds);
        self.found
    }

    fn close(&mut self, to: u64) {
        if let Some((fault, from)) = self.open.take()
            && self.found.len() < FOUND_MAX
        {
            self.found.push(Found { fault, from, to: to.max(from) });
        }
    }

    fn judged(&self) -> Option<Fault> {
        let latest = |count: usize| self.last.iter().rev().take(count);
        if self.last.len() >= SECRET && latest(SECRET).all(|one| *one == Second::Secret) {
            return Some(Fault::Undecodable);
        }
        if self.last.len() < WINDOW {
            return None;
        }
        if self.last.iter().all(|one| *one == Second::Nothing) {
            return Some(Fault::Absent);
        }
        let mut measures = Vec::with_capacity(WINDOW);
        for second in &self.last {
            match second {
                Second::Heard(measure) => measures.push(measure.as_ref()),
                Second::Nothing | Second::Alive | Second::Secret => return None,
            }
        }
        judged(&measures).map(|fault| match fault {
            Fault::Silent if self.heard => Fault::Muted,
            other => other,
        })
    }
}

fn belongs(second: &Second, fault: Fault) -> bool {
    match (second, fault) {
        (Second::Nothing, Fault::Absent) | (Second::Secret, Fault::Undecodable) => true,
        (Second::Heard(_), Fault::Absent | Fault::Undecodable) => false,
        (Second::Heard(_), _) => true,
        (Second::Nothing | Second::Alive | Second::Secret, _) => false,
    }
}

fn judged(measures: &[&Measure]) -> Option<Fault> {
    if measures.iter().all(|one| one.is_constant()) {
        return Some(Fault::Silent);
    }
    let mut levels = [0u32; LEVELS];
    for measure in measures {
        levels.iter_mut().zip(&measure.levels).for_each(|(sum, one)| *sum += u32::from(*one));
    }
    let (loud, middle, quiet) = (share(&levels, 5), share(&levels, 50), share(&levels, 90));
    let spread = quiet - loud;
    if middle < AUDIBLE && spread < STEADY {
        let mut left: Vec<f32> = measures.iter().map(|one| one.unforetold()).collect();
        left.sort_by(f32::total_cmp);
        let typical = left.get(left.len() / 2).copied().unwrap_or(1.0);
        return Some(if typical < FORETOLD { Fault::Tone } else { Fault::Static });
    }
    if measures.iter().filter(|one| one.is_clipped()).count() >= CLIPPED_SECONDS {
        return Some(Fault::Clipped);
    }
    (spread >= SPEECH && loud > FAINT && loud < LEVELS - 1).then_some(Fault::Faint)
}

/// The level that so many percent of the frames reach.
fn share(levels: &[u32; LEVELS], percent: u32) -> usize {
    let all: u32 = levels.iter().sum();
    let mut seen = 0;
    levels
        .iter()
        .position(|count| {
            seen += count;
            seen * 100 >= all * percent
        })
        .unwrap_or(LEVELS - 1)
}

#[cfg(test)]
mod tests;
