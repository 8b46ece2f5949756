//! How long a tone sounds and pauses: what tells one tone of a pitch from another, and a tone from a voice.

use super::{Pitch, Tone};
use crate::protocol::now::Mono;
use std::ops::RangeInclusive;

/// A sound that lasts no longer, in blocks of 10 ms, belongs to the one around it: a lost packet, a click.
const GLITCH: u16 = 5;
/// Lengths in blocks; generous to a worn exchange, never so much that one tone is taken for another.
const SHORT: RangeInclusive<u16> = 27..=45;
const LONG: RangeInclusive<u16> = 58..=82;
const RING: RangeInclusive<u16> = 85..=115;
const CALLING: RangeInclusive<u16> = 42..=59;
/// Of the 2.6 s of T.30, as much as nothing else sounds like.
const ANSWERING: u16 = 150;
/// A ring is over when nothing followed it for so long.
const AFTER_RING: u16 = 20;
/// A tone is even, a voice is not: greatest over least power of a block within a burst.
const EVEN: f32 = 2.5;

/// One sound after the other.
#[derive(Debug, Default)]
pub struct Cadence {
    run: Option<Run>,
    /// Follows it, or is a glitch in it.
    next: Option<Run>,
    before: Option<Run>,
    beat: Option<Beat>,
}

/// A row of blocks of one pitch, or of none.
#[derive(Debug, Clone, Copy)]
struct Run {
    pitch: Pitch,
    began: Mono,
    blocks: u16,
    silent: u16,
    least: f32,
    most: f32,
    /// Power of the newest block: it may be the last, and cut short.
    newest: Option<f32>,
    told: bool,
}

/// Bursts of 450 Hz that fit each other.
#[derive(Debug, Clone, Copy)]
struct Beat {
    tone: Tone,
    bursts: u8,
    began: Mono,
    /// The pause after the last one fits too.
    paused: bool,
}

impl Cadence {
    /// The next block, which arrived at `at`: the tone that is known by it, and when that began.
    pub fn hear(&mut self, pitch: Pitch, power: f32, at: Mono) -> Option<(Tone, Mono)> {
        let Some(run) = &mut self.run else {
            self.run = Some(Run::new(pitch, at));
            return None;
        };
        if run.is(pitch) {
            let glitch = self.next.take().map_or(0, |glitch| glitch.blocks);
            run.blocks = run.blocks.saturating_add(glitch);
            run.grow(pitch, power);
            return self.lasts();
        }
        let next = match self.next.take() {
            Some(mut next) if next.is(pitch) => {
                next.grow(pitch, power);
                next
            }
            glitch => {
                run.blocks = run.blocks.saturating_add(glitch.map_or(0, |glitch| glitch.blocks));
                Run::new(pitch, at)
            }
        };
        if next.blocks <= GLITCH {
            self.next = Some(next);
            return None;
        }
        let over = std::mem::replace(run, next);
        let found = self.ended(&over, next.pitch);
        self.before = Some(over);
        found
    }

    /// What is known before a sound is over.
    fn lasts(&mut self) -> Option<(Tone, Mono)> {
        let run = self.run.as_mut().filter(|run| !run.told)?;
        let found = match run.pitch {
            Pitch::Answering if run.blocks >= ANSWERING => (Tone::FaxAnswers, run.began),
            Pitch::Silence | Pitch::Other if run.blocks >= AFTER_RING => {
                let before = self.before.filter(|before| before.pitch == Pitch::Network)?;
                let rang = RING.contains(&before.blocks) && before.is_even();
                rang.then_some((Tone::Ringing, before.began))?
            }
            Pitch::Network | Pitch::Calling | Pitch::Answering | Pitch::Silence | Pitch::Other => {
                return None;
            }
        };
        run.told = true;
        Some(found)
    }

    fn ended(&mut self, over: &Run, next: Pitch) -> Option<(Tone, Mono)> {
        match over.pitch {
            Pitch::Silence | Pitch::Other => {
                let fits = |beat: &Beat| beat.length().contains(&over.blocks);
                self.beat = self.beat.filter(fits).map(|beat| Beat { paused: true, ..beat });
                None
            }
            Pitch::Network => {
                let tone = if SHORT.contains(&over.blocks) {
                    Some(Tone::Busy)
                } else {
                    LONG.contains(&over.blocks).then_some(Tone::Congestion)
                };
                let tone = tone.filter(|_| over.is_even());
                self.beat = tone.map(|tone| self.burst(tone, over.began));
                let beat = self.beat.filter(|beat| beat.bursts == beat.enough())?;
                Some((beat.tone, beat.began))
            }
            Pitch::Calling => {
                self.beat = None;
                let alone = self.before.is_none_or(|before| before.is_quiet());
                let is_it = CALLING.contains(&over.blocks) && over.is_even() && alone;
                (is_it && next == Pitch::Silence).then_some((Tone::FaxCalls, over.began))
            }
            Pitch::Answering => {
                self.beat = None;
                None
            }
        }
    }

    fn burst(&self, tone: Tone, began: Mono) -> Beat {
        match self.beat.filter(|beat| beat.tone == tone && beat.paused) {
            Some(beat) => Beat { bursts: beat.bursts.saturating_add(1), paused: false, ..beat },
            None => Beat { tone, bursts: 1, began, paused: false },
        }
    }
}

impl Beat {
    /// Of its pauses, which are as long as its bursts.
    fn length(&self) -> RangeInclusive<u16> {
        if self.tone == Tone::Busy { SHORT } else { LONG }
    }

    /// So many are no chance.
    fn enough(&self) -> u8 {
        if self.tone == Tone::Busy { 3 } else { 2 }
    }
}

impl Run {
    fn new(pitch: Pitch, began: Mono) -> Self {
        Self {
            pitch,
            began,
            blocks: 1,
            silent: u16::from(pitch == Pitch::Silence),
            least: f32::MAX,
            most: 0.0,
            newest: None,
            told: false,
        }
    }

    /// Whether a block of this pitch belongs to it; of silence and other sounds each to the other.
    fn is(&self, pitch: Pitch) -> bool {
        let is_tone = |pitch| !matches!(pitch, Pitch::Silence | Pitch::Other);
        self.pitch == pitch || !is_tone(self.pitch) && !is_tone(pitch)
    }

    fn grow(&mut self, pitch: Pitch, power: f32) {
        self.blocks = self.blocks.saturating_add(1);
        self.silent = self.silent.saturating_add(u16::from(pitch == Pitch::Silence));
        if let Some(power) = self.newest.replace(power) {
            self.least = self.least.min(power);
            self.most = self.most.max(power);
        }
    }

    fn is_even(&self) -> bool {
        self.most <= EVEN * self.least
    }

    /// Hardly anything else was heard in it.
    fn is_quiet(&self) -> bool {
        u32::from(self.silent) * 4 >= u32::from(self.blocks) * 3
    }
}
