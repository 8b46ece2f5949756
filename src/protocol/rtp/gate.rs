//! Which packets of the right address and payload type are of the party's own stream: one source
//! at a time, numbers that go on, and no more than a telephone sends. What a forger puts between
//! is neither heard nor recorded.

use super::packet::{MAX_DROPOUT, MAX_MISORDER, Packet};
use crate::protocol::now::Mono;
use std::time::Duration;

/// Packets a second for good: twice what the shortest frames of a telephone (10 ms) make.
const PER_SECOND: u32 = 200;
/// Packets at one moment: what the kernel keeps for us while we sleep.
const AT_ONCE: u32 = 400;
/// Another source is heard when the one before has been silent for so long, or by a new offer.
const HANDOVER: Duration = Duration::from_millis(200);

#[derive(Debug, Clone, Copy, Default)]
pub struct Gate {
    source: Option<Source>,
    pace: Pace,
    anew: bool,
}

/// No more than a telephone sends.
#[derive(Debug, Clone, Copy, Default)]
pub struct Pace {
    /// When all that was let in would have come at the lasting pace.
    busy_until: Option<Mono>,
}

#[derive(Debug, Clone, Copy)]
struct Source {
    ssrc: u32,
    highest: u16,
    heard: Mono,
    /// Where the next number would go on from one that was far off: the sender has started anew.
    restart: Option<u16>,
}

impl Gate {
    pub fn admits(&mut self, packet: &Packet<'_>, now: Mono) -> bool {
        self.is_own(packet, now) && self.pace.admits(now)
    }

    /// Whether the last packet that was let in is of a sender that has started anew under its name.
    pub fn starts_anew(&self) -> bool {
        self.anew
    }

    /// The party may speak from another source from now on.
    pub fn reopen(&mut self) {
        self.source = None;
    }

    fn is_own(&mut self, packet: &Packet<'_>, now: Mono) -> bool {
        match &mut self.source {
            Some(source) if source.ssrc == packet.ssrc => {
                let before = source.highest;
                let goes_on = source.goes_on(packet.sequence, now);
                self.anew = goes_on && is_far(packet.sequence, before);
                goes_on
            }
            Some(source) if now.since(source.heard) < HANDOVER => false,
            Some(_) | None => {
                let (ssrc, highest) = (packet.ssrc, packet.sequence);
                self.source = Some(Source { ssrc, highest, heard: now, restart: None });
                self.anew = false;
                true
            }
        }
    }
}

impl Pace {
    /// Whether one more may come now.
    pub fn admits(&mut self, now: Mono) -> bool {
        let every = Duration::from_secs(1) / PER_SECOND;
        let busy_until = self.busy_until.map_or(now, |until| until.max(now)) + every;
        let paced = busy_until.since(now) <= every * AT_ONCE;
        if paced {
            self.busy_until = Some(busy_until);
        }
        paced
    }
}

impl Source {
    fn goes_on(&mut self, sequence: u16, now: Mono) -> bool {
        let late = is_late(sequence, self.highest);
        let pause = now.since(self.heard) >= HANDOVER;
        let far = is_far(sequence, self.highest);
        if far && !pause && self.restart != Some(sequence) {
            self.restart = Some(sequence.wrapping_add(1));
            return false;
        }
        if !late {
            self.highest = sequence;
        }
        (self.heard, self.restart) = (now, None);
        true
    }
}

fn is_late(sequence: u16, highest: u16) -> bool {
    sequence.wrapping_sub(highest) > u16::MAX - MAX_MISORDER
}

/// As no packet of a stream that goes on.
fn is_far(sequence: u16, highest: u16) -> bool {
    sequence.wrapping_sub(highest) >= MAX_DROPOUT && !is_late(sequence, highest)
}

#[cfg(test)]
mod tests {
    use super::*;

    const START: Mono = Mono(3_000_000_000);

    fn at(ms: u64) -> Mono {
        START + Duration::from_millis(ms)
    }

    fn packet(ssrc: u32, sequence: u16) -> Packet<'static> {
        Packet { payload_type: 8, marker: false, sequence, timestamp: 0, ssrc, payload: &[] }
    }

    #[test]
    fn rel_t10_one_source_at_a_time() {
        let mut gate = Gate::default();
        for n in 0..500u16 {
            assert!(gate.admits(&packet(1, n), at(u64::from(n) * 20)));
            assert!(!gate.admits(&packet(2, n), at(u64::from(n) * 20 + 5)), "a forger's");
        }
        let silent = 499 * 20;
        assert!(!gate.admits(&packet(3, 9), at(silent + 199)));
        assert!(gate.admits(&packet(3, 9), at(silent + 200)), "the PBX put another source there");
        gate.reopen();
        assert!(gate.admits(&packet(4, 60_000), at(silent + 201)), "a new offer, at once");
    }

    #[test]
    fn rel_t10_numbers_go_on_or_start_anew_by_two() {
        let mut gate = Gate::default();
        let mut admits = |sequence, ms| gate.admits(&packet(1, sequence), at(ms));
        assert!(
            admits(65_530, 0) && admits(3, 20) && admits(65_535, 40),
            "over the wrap, and late"
        );
        assert!(admits(2_000, 60), "a long loss");
        assert!(!admits(40_000, 80), "far away");
        assert!(admits(2_001, 100), "the stream goes on");
        assert!(!admits(50_000, 120) && admits(50_001, 140), "two in order: a restart");
        assert!(admits(9, 400), "after a pause any number is a beginning");
        assert!(gate.starts_anew());
        assert!(gate.admits(&packet(1, 10), at(420)) && !gate.starts_anew());
    }

    #[test]
    fn rel_t12_no_more_than_a_telephone_sends() {
        let mut gate = Gate::default();
        let passed = (0..50_000u32)
            .filter(|n| gate.admits(&packet(1, *n as u16), START + Duration::from_micros(200) * *n))
            .count();
        assert!((2398..=2400).contains(&passed), "{passed} in 10 s: 400 and 200 a second");
        let mut gate = Gate::default();
        let after_a_stall = (0..277).all(|n| gate.admits(&packet(1, n), START));
        let telephone = (277..60_000).all(|n| gate.admits(&packet(1, n), at(u64::from(n) * 10)));
        assert!(after_a_stall && telephone);
    }
}
