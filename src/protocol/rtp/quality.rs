//! How a party's packets arrive: lost, late, out of order, twice, and with what jitter (RFC 3550 §A.1, §A.3, §A.8),
//! without §A.1's probation: the first packet counts (recording.md T9). A few integers a packet; what they mean for
//! the ear is said by [`emodel`], once in a while, by whoever asks.

pub mod course;
pub mod emodel;

pub use course::{Course, Far, Judgement, Measured, Quality};
pub use emodel::{Grade, Mos};

use super::packet::{MAX_DROPOUT, MAX_MISORDER, Packet};
use crate::protocol::now::Mono;
use serde::{Deserialize, Serialize};
use std::ops::{Add, Sub};

/// Packets behind the highest of which it is known whether they came.
const WINDOW: u16 = u64::BITS as u16;
/// So long after the quickest, in milliseconds, a telephone's buffer has gone on without a packet.
const LATE_MS: u32 = 100;
/// So many late ones in a row, none of them nearer than the first, are no delay: the sender's clock has jumped.
const SHIFTED: u16 = 50;
/// Below the first number of a source there is room for one that comes out of order before it.
const CYCLE: u32 = 1 << 16;

/// Sums since the channel was opened.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Tally {
    /// By the sequence numbers (§A.3).
    pub expected: u64,
    /// Duplicates included.
    pub received: u64,
    pub lost: u64,
    /// Runs of lost packets.
    pub gaps: u64,
    pub late: u64,
    pub reordered: u64,
    pub doubled: u64,
    /// Interarrival jitter (§A.8) now, and the highest there was.
    pub jitter_us: u32,
    pub jitter_most_us: u32,
}

/// What a receiver tells of one source (§6.4.1).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Received {
    pub ssrc: u32,
    /// Number of cycles and highest sequence number.
    pub extended: u32,
    pub expected: u32,
    /// Duplicates included: what was lost of `expected` may be less than nothing.
    pub received: u32,
    /// In the source's ticks.
    pub jitter: u32,
}

#[derive(Debug, Clone, Copy, Default)]
pub struct Reception {
    source: Option<Source>,
    /// Of sources before.
    earlier: Tally,
}

#[derive(Debug, Clone, Copy)]
struct Source {
    ssrc: u32,
    base: u32,
    /// Extended highest sequence number.
    highest: u32,
    /// Bit n: the packet n before the highest has come.
    seen: u64,
    received: u64,
    gaps: u64,
    reordered: u64,
    doubled: u64,
    timing: Timing,
}

/// Where a packet stands in its stream.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Place {
    New,
    Again,
    /// The sender has started anew.
    Restart,
}

/// Moments in ticks of the source's clock, which wrap.
#[derive(Debug, Clone, Copy, Default)]
struct Timing {
    clock: u32,
    /// Arrival less timestamp: of the last packet, and of the quickest.
    transit: u32,
    quickest: u32,
    /// Sixteen times the jitter, as §A.8 keeps it.
    jitter: u32,
    jitter_most: u32,
    late: u64,
    /// Late ones in a row, and the first one's transit.
    row: u16,
    row_began: u32,
    /// Packets until the quickest is let go by a tick: clocks drift apart.
    drift: u8,
}

impl Reception {
    /// `clock`: ticks a second of the timestamp; none for a packet whose timestamp is not its moment (RFC 4733).
    pub fn handle_packet(&mut self, packet: &Packet<'_>, clock: Option<u32>, now: Mono) {
        let known = self.source.as_mut().filter(|source| source.ssrc == packet.ssrc);
        let place = known.map_or(Place::Restart, |source| source.take(packet.sequence));
        if place == Place::Restart {
            self.earlier = self.tally();
            self.source = Some(Source::new(packet));
        }
        if let Some(source) = self.source.as_mut().filter(|_| place != Place::Again)
            && let Some(clock) = clock
        {
            if source.timing.clock != clock {
                let most = source.timing.jitter_most_us();
                self.earlier.jitter_most_us = self.earlier.jitter_most_us.max(most);
                self.earlier.late += source.timing.late;
                source.timing = Timing::new(clock, packet.timestamp, now);
            }
            source.timing.take(packet.timestamp, now);
        }
    }

    pub fn tally(&self) -> Tally {
        self.source.map_or(self.earlier, |source| self.earlier + source.tally())
    }

    pub fn received(&self) -> Option<Received> {
        let source = self.source?;
        Some(Received {
            ssrc: source.ssrc,
            extended: source.highest.wrapping_sub(CYCLE),
            expected: source.expected(),
            received: source.received as u32,
            jitter: source.timing.jitter >> 4,
        })
    }
}

impl Source {
    fn new(packet: &Packet<'_>) -> Self {
        let first = CYCLE + u32::from(packet.sequence);
        Self {
            ssrc: packet.ssrc,
            base: first,
            highest: first,
            seen: 1,
            received: 1,
            gaps: 0,
            reordered: 0,
            doubled: 0,
            timing: Timing::default(),
        }
    }

    fn take(&mut self, sequence: u16) -> Place {
        let ahead = sequence.wrapping_sub(self.highest as u16);
        if ahead == 0 {
            return self.again();
        }
        if ahead < MAX_DROPOUT {
            let Some(highest) = self.highest.checked_add(u32::from(ahead)) else {
                return Place::Restart;
            };
            self.highest = highest;
            self.seen = if ahead < WINDOW { self.seen << ahead } else { 0 } | 1;
            self.gaps += u64::from(ahead > 1);
            self.received += 1;
            return Place::New;
        }
        let behind = sequence.wrapping_neg().wrapping_add(self.highest as u16);
        if behind > MAX_MISORDER { Place::Restart } else { self.fill(behind) }
    }

    /// A packet that others have overtaken.
    fn fill(&mut self, behind: u16) -> Place {
        if behind < WINDOW {
            if self.came(behind) {
                return self.again();
            }
            self.seen |= 1 << behind;
            let number = self.highest - u32::from(behind);
            match (self.came(behind - 1), self.came(behind + 1)) {
                _ if number < self.base => {
                    self.gaps += u64::from(number + 1 < self.base);
                    self.base = number;
                }
                // A run of lost packets is filled, cut in two, or made shorter.
                (true, true) => self.gaps = self.gaps.saturating_sub(1),
                (false, false) => self.gaps += 1,
                (true, false) | (false, true) => {}
            }
        }
        self.reordered += 1;
        self.received += 1;
        Place::New
    }

    /// What is too far behind to be known is taken to have come.
    fn came(&self, behind: u16) -> bool {
        behind >= WINDOW || self.seen >> behind & 1 == 1
    }

    fn again(&mut self) -> Place {
        self.received += 1;
        self.doubled += 1;
        Place::Again
    }

    fn expected(&self) -> u32 {
        self.highest - self.base + 1
    }

    fn tally(&self) -> Tally {
        let expected = u64::from(self.expected());
        Tally {
            expected,
            received: self.received,
            lost: expected.saturating_sub(self.received - self.doubled),
            gaps: self.gaps,
            late: self.timing.late,
            reordered: self.reordered,
            doubled: self.doubled,
            jitter_us: self.timing.jitter_us(),
            jitter_most_us: self.timing.jitter_most_us(),
        }
    }
}

impl Timing {
    fn new(clock: u32, timestamp: u32, now: Mono) -> Self {
        let transit = Self::transit(clock, timestamp, now);
        Self { clock, transit, quickest: transit, ..Self::default() }
    }

    fn transit(clock: u32, timestamp: u32, now: Mono) -> u32 {
        let arrival = (now.0 / 1000).wrapping_mul(u64::from(clock)) / 1_000_000;
        (arrival as u32).wrapping_sub(timestamp)
    }

    fn take(&mut self, timestamp: u32, now: Mono) {
        let transit = Self::transit(self.clock, timestamp, now);
        let change = (transit.wrapping_sub(self.transit) as i32).unsigned_abs();
        self.transit = transit;
        // A clock that has jumped is no jitter.
        if change <= self.clock {
            self.jitter = self.jitter + change - ((self.jitter + 8) >> 4);
            self.jitter_most = self.jitter_most.max(self.jitter);
        }
        self.drift = self.drift.wrapping_add(1) % 16;
        if self.drift == 0 {
            self.quickest = self.quickest.wrapping_add(1);
        }
        let behind = transit.wrapping_sub(self.quickest) as i32;
        if behind <= 0 {
            self.quickest = transit;
        }
        if behind > self.late_ticks() { self.take_late() } else { self.row = 0 }
    }

    fn take_late(&mut self) {
        if self.row == 0 {
            self.row_began = self.transit;
        }
        self.late += 1;
        self.row += 1;
        if self.row == SHIFTED {
            self.row = 0;
            let nearer = self.row_began.wrapping_sub(self.transit) as i32;
            if nearer < self.late_ticks() {
                self.quickest = self.transit;
                self.late -= u64::from(SHIFTED);
            }
        }
    }

    fn late_ticks(&self) -> i32 {
        (self.clock / 1000 * LATE_MS) as i32
    }

    fn jitter_us(&self) -> u32 {
        self.us(self.jitter)
    }

    fn jitter_most_us(&self) -> u32 {
        self.us(self.jitter_most)
    }

    fn us(&self, sixteenths: u32) -> u32 {
        let us = u64::from(sixteenths) * 1_000_000 / (16 * u64::from(self.clock.max(1)));
        u32::try_from(us).unwrap_or(u32::MAX)
    }
}

/// Of a later stretch: its jitter is that of now.
impl Add for Tally {
    type Output = Tally;
    fn add(self, later: Tally) -> Tally {
        Tally {
            expected: self.expected + later.expected,
            received: self.received + later.received,
            lost: self.lost + later.lost,
            gaps: self.gaps + later.gaps,
            late: self.late + later.late,
            reordered: self.reordered + later.reordered,
            doubled: self.doubled + later.doubled,
            jitter_us: later.jitter_us,
            jitter_most_us: self.jitter_most_us.max(later.jitter_most_us),
        }
    }
}

/// What was added since: a packet that came after all makes a sum smaller, never less than nothing.
impl Sub for Tally {
    type Output = Tally;
    fn sub(self, before: Tally) -> Tally {
        Tally {
            expected: self.expected.saturating_sub(before.expected),
            received: self.received.saturating_sub(before.received),
            lost: self.lost.saturating_sub(before.lost),
            gaps: self.gaps.saturating_sub(before.gaps),
            late: self.late.saturating_sub(before.late),
            reordered: self.reordered.saturating_sub(before.reordered),
            doubled: self.doubled.saturating_sub(before.doubled),
            ..self
        }
    }
}

#[cfg(test)]
mod tests;
