//! Which packets of the right address and payload type are of the party's own stream: one source
//! at a time, numbers that go on, and no more than a telephone sends. What a forger puts between
//! is neither heard nor recorded.

use super::packet::Packet;
use crate::protocol::now::Mono;
use std::time::Duration;

/// Packets a second for good: twice what the shortest frames of a telephone (10 ms) make.
const PER_SECOND: u32 = 200;
/// Packets at one moment: what the kernel keeps for us while we sleep.
const AT_ONCE: u32 = 400;
/// Another source is heard when the one before has been silent for so long, or by a new offer.
const HANDOVER: Duration = Duration::from_millis(200);
/// RFC 3550 §A.1: a number further ahead, or further behind, is of another stream...
const MAX_DROPOUT: u16 = 3000;
const MAX_MISORDER: u16 = 100;

#[derive(Debug, Clone, Copy, Default)]
pub struct Gate {
    source: Option<Source>,
    /// When all that was let in would have come at the lasting pace.
    busy_until: Option<Mono>,
}

#[derive(Debug, Clone, Copy)]
struct Source {
    ssrc: u32,
    highest: u16,
    heard: Mono,
    /// ...unless the next one goes on from it: the sender has started anew.
    restart: Option<u16>,
}

impl Gate {
    pub fn admits(&mut self, packet: &Packet<'_>, now: Mono) -> bool {
        self.is_own(packet, now) && self.paces(now)
    }

    /// Whether one more may come now, whosever it is.
    pub fn paces(&mut self, now: Mono) -> bool {
        let every = Duration::from_secs(1) / PER_SECOND;
        let busy_until = self.busy_until.map_or(now, |until| until.max(now)) + every;
        let paced = busy_until.since(now) <= every * AT_ONCE;
        if paced {
            self.busy_until = Some(busy_until);
        }
        paced
    }

    /// The party may speak from another source from now on.
    pub fn reopen(&mut self) {
        self.source = None;
    }

    fn is_own(&mut self, packet: &Packet<'_>, now: Mono) -> bool {
        match &mut self.source {
            Some(source) if source.ssrc == packet.ssrc => source.goes_on(packet.sequence, now),
            Some(source) if now.since(source.heard) < HANDOVER => false,
            Some(_) | None => {
                let (ssrc, highest) = (packet.ssrc, packet.sequence);
                self.source = Some(Source { ssrc, highest, heard: now, restart: None });
                true
            }
        }
    }
}

impl Source {
    fn goes_on(&mut self, sequence: u16, now: Mono) -> bool {
        let ahead = sequence.wrapping_sub(self.highest);
        let late = ahead > u16::MAX - MAX_MISORDER;
        let pause = now.since(self.heard) >= HANDOVER;
        if ahead >= MAX_DROPOUT && !late && !pause && self.restart != Some(sequence) {
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
