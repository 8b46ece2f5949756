//! Tones of the network and of fax machines, found in a party's audio: ringing, busy and congestion (GB/T 3380), CNG
//! and CED (ITU-T T.30 §4); keys ([`dtmf`]) where they are wanted. A machine: voice goes in, at most one finding comes out of each packet. Allocates nothing.

mod cadence;

use super::dtmf;
use super::narrow::Heard;
use crate::protocol::now::Mono;
use cadence::Cadence;
use serde::{Deserialize, Serialize};
use std::f32::consts::TAU;
use std::time::Duration;

/// 10 ms: as selective as speech demands, and wide enough for the tolerance of each tone.
const BLOCK: usize = 80;
const BLOCK_TIME: Duration = Duration::from_millis(10);
const RATE: f32 = 8000.0;
/// The tones that are looked for, and what share of a block's power each must have at its limits: 450 ± 25 Hz,
/// 1100 ± 38 Hz, 2100 ± 15 Hz.
const PITCHES: [(Pitch, f32, f32); 3] =
    [(Pitch::Network, 450.0, 0.7), (Pitch::Calling, 1100.0, 0.55), (Pitch::Answering, 2100.0, 0.7)];
/// Mean square below which a block is silence: 46 dB under full scale.
const FLOOR: f32 = 30_000.0;
/// A pause without packets counts as silence up to here; a longer one is no pause of any tone.
const PAUSE_MAX: u32 = 2 * 8000;
/// How long a caller is listened to for a fax: a machine calls for about 40 s after it has dialled (T.30 T1).
const FAX_BLOCKS: u32 = 60 * 100;

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum Tone {
    /// 回铃音: 450 Hz, 1 s in 5 s. Told anew with each ring.
    Ringing,
    /// 忙音: 450 Hz, 350 ms in 700 ms.
    Busy,
    /// 拥塞音: 450 Hz, 700 ms in 1.4 s.
    Congestion,
    /// CNG: a fax machine calls. 1100 Hz, 0.5 s in 3.5 s.
    FaxCalls,
    /// CED: a fax machine answers. 2100 Hz, 2.6 s or more.
    FaxAnswers,
}

/// What a party is listened to for.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Wanted {
    pub network: bool,
    pub fax: bool,
    /// Keys in the voice, of a party that has agreed on no other way to press them.
    #[serde(default)]
    pub keys: bool,
}

impl Wanted {
    pub fn anything(self) -> bool {
        self.network || self.fax || self.keys
    }
}

/// What a block sounds like.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Pitch {
    Silence,
    Network,
    Calling,
    Answering,
    Other,
}

pub struct Listener {
    wanted: Wanted,
    block: [f32; BLOCK],
    filled: usize,
    /// Source and timestamp of the next packet, if nothing is missing.
    expected: Option<(u32, u32)>,
    /// Twice the cosine of each pitch.
    turns: [f32; PITCHES.len()],
    /// Power of the last block that was a tone: what is much weaker after it is its pause.
    loud: f32,
    blocks: u32,
    cadence: Cadence,
    keys: Option<dtmf::Listener>,
    pressed: Option<char>,
}

impl Listener {
    pub fn new(wanted: Wanted) -> Self {
        Self {
            wanted,
            block: [0.0; BLOCK],
            filled: 0,
            expected: None,
            turns: PITCHES.map(|(_, hertz, _)| 2.0 * (TAU * hertz / RATE).cos()),
            loud: 0.0,
            blocks: 0,
            cadence: Cadence::default(),
            keys: wanted.keys.then(dtmf::Listener::default),
            pressed: None,
        }
    }

    /// What arrived at `now`: the tone that is known by it, and when that tone began.
    pub fn handle_voice(&mut self, heard: &Heard<'_>, now: Mono) -> Option<(Tone, Mono)> {
        let mut found = None;
        let missing = self.missing(heard)?;
        if let Some(keys) = &mut self.keys {
            if missing > 0 {
                keys.skip(missing);
            }
            self.pressed = keys.hear(heard.samples).or(self.pressed);
        }
        if missing > 0 {
            self.filled = 0;
            let blocks = missing.min(PAUSE_MAX) / BLOCK as u32;
            for left in (1..=blocks).rev() {
                let heard = self.cadence.hear(Pitch::Silence, 0.0, now - BLOCK_TIME * left);
                found = found.or(heard);
            }
        }
        for sample in heard.samples {
            self.block[self.filled] = f32::from(*sample);
            self.filled += 1;
            if self.filled == BLOCK {
                self.filled = 0;
                let (pitch, power) = self.pitch();
                found = found.or(self.cadence.hear(pitch, power, now));
                self.blocks = self.blocks.saturating_add(1);
            }
        }
        found.filter(|(tone, _)| self.wants(*tone))
    }

    /// The key that was pressed in the voice.
    pub fn poll_key(&mut self) -> Option<char> {
        self.pressed.take()
    }

    /// Nothing more is wanted of this party.
    pub fn is_over(&self) -> bool {
        !self.wanted.network && !self.wanted.keys && self.blocks > FAX_BLOCKS
    }

    fn wants(&self, tone: Tone) -> bool {
        match tone {
            Tone::Ringing | Tone::Busy | Tone::Congestion => self.wanted.network,
            Tone::FaxCalls | Tone::FaxAnswers => self.wanted.fax && self.blocks <= FAX_BLOCKS,
        }
    }

    /// Samples between the packet before and this one; none for one that comes too late.
    fn missing(&mut self, heard: &Heard<'_>) -> Option<u32> {
        let next = heard.timestamp.wrapping_add(heard.samples.len() as u32);
        let expected = self.expected.filter(|(ssrc, _)| *ssrc == heard.ssrc);
        let missing =
            expected.map_or(0, |(_, timestamp)| heard.timestamp.wrapping_sub(timestamp) as i32);
        // A clock that jumps back by more is a new one.
        if (-(PAUSE_MAX as i32)..0).contains(&missing) {
            return None;
        }
        self.expected = Some((heard.ssrc, next));
        Some(missing.max(0).unsigned_abs())
    }

    /// What the block sounds like, and its power.
    fn pitch(&mut self) -> (Pitch, f32) {
        let power = self.block.iter().map(|sample| sample * sample).sum::<f32>() / BLOCK as f32;
        if power < FLOOR {
            return (Pitch::Silence, power);
        }
        let shares = self.shares(power);
        let loudest = PITCHES.iter().zip(shares).find(|((_, _, least), share)| share >= least);
        match loudest {
            Some(((pitch, _, _), _)) => {
                self.loud = power;
                (*pitch, power)
            }
            None if power < self.loud / 4.0 => (Pitch::Silence, power),
            None => (Pitch::Other, power),
        }
    }

    /// What share of the block's power each pitch has (Goertzel).
    fn shares(&self, power: f32) -> [f32; PITCHES.len()] {
        let (mut last, mut before) = ([0.0f32; PITCHES.len()], [0.0f32; PITCHES.len()]);
        for sample in &self.block {
            for index in 0..PITCHES.len() {
                let this = sample - before[index] + self.turns[index] * last[index];
                before[index] = last[index];
                last[index] = this;
            }
        }
        std::array::from_fn(|index| {
            let (last, before) = (last[index], before[index]);
            let energy = last * last + before * before - self.turns[index] * last * before;
            2.0 * energy / (power * (BLOCK * BLOCK) as f32)
        })
    }
}

#[cfg(test)]
mod tests;
