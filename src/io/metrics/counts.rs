//! What the facts of the log add up to.

use crate::duty::figures::{Sums, add};
use crate::duty::ids::{AttemptId, CallId};
use crate::duty::journal::{AttemptResult, Disposition, Fact, Noted};
use crate::duty::placed::Refusal;
use crate::protocol::now::Mono;
use crate::protocol::rtp::quality::Quality;
use crate::protocol::rtp::{Counts, Party};
use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

/// Calls whose first ringing is waited for; beyond, the oldest is not measured.
const CALLS: usize = 1024;
/// Upper bounds, in seconds: of what the machine takes, and of jitter.
const QUICK: [f64; 11] = [0.001, 0.002, 0.005, 0.01, 0.02, 0.05, 0.1, 0.15, 0.5, 1.0, 5.0];
const JITTER: [f64; 8] = [0.001, 0.002, 0.005, 0.01, 0.02, 0.05, 0.1, 0.5];
/// By the marks of the page, and between.
const MOS: [f64; 8] = [1.5, 2.0, 2.5, 3.1, 3.6, 4.03, 4.3, 4.5];

/// How often a value was at most so much.
#[derive(Debug, Clone, PartialEq)]
pub struct Histogram {
    pub sum: f64,
    pub count: u64,
    /// Upper bound, and how many were at most that and above the bound before.
    pub buckets: Vec<(f64, u64)>,
}

impl Histogram {
    fn new(bounds: &[f64]) -> Self {
        let bounds = bounds.iter().copied().chain([f64::INFINITY]);
        Self { sum: 0.0, count: 0, buckets: bounds.map(|bound| (bound, 0)).collect() }
    }

    fn take(&mut self, value: f64) {
        self.sum += value;
        self.count += 1;
        if let Some((_, count)) = self.buckets.iter_mut().find(|(bound, _)| value <= *bound) {
            *count += 1;
        }
    }
}

/// What parties of one kind sent.
#[derive(Debug, Clone, PartialEq)]
pub struct Voice {
    pub packets: Sums,
    pub jitter: Histogram,
    pub mos: Histogram,
}

impl Default for Voice {
    fn default() -> Self {
        let (packets, jitter, mos) = (Sums::new(), Histogram::new(&JITTER), Histogram::new(&MOS));
        Self { packets, jitter, mos }
    }
}

#[derive(Debug, Clone, PartialEq)]
pub struct Totals {
    /// Calls that are over, by direction and disposition.
    pub calls: BTreeMap<(&'static str, Disposition), u64>,
    /// Calls to leaders that are over, by result.
    pub attempts: BTreeMap<AttemptResult, u64>,
    pub entered: Histogram,
    pub rung: Histogram,
    pub voices: BTreeMap<Party, Voice>,
    /// Parties of whom voice came from another place than they named, by whether it was taken up.
    pub elsewhere: BTreeMap<(Party, bool), u64>,
    /// Calls of the room that were not made, by the reason.
    pub not_placed: BTreeMap<Refusal, u64>,
    /// Forged messages (once for each session), wrong passwords, and legs refused or unheard for their security.
    pub suspicions: Sums,
    arrived: BTreeMap<CallId, Mono>,
    /// Calls of the room under way.
    placed: BTreeSet<CallId>,
    /// Calls to leaders under way that do not count.
    exercises: BTreeSet<AttemptId>,
}

impl Default for Totals {
    fn default() -> Self {
        Self {
            calls: BTreeMap::new(),
            attempts: BTreeMap::new(),
            entered: Histogram::new(&QUICK),
            rung: Histogram::new(&QUICK),
            voices: BTreeMap::new(),
            elsewhere: BTreeMap::new(),
            not_placed: BTreeMap::new(),
            suspicions: Sums::new(),
            arrived: BTreeMap::new(),
            placed: BTreeSet::new(),
            exercises: BTreeSet::new(),
        }
    }
}

impl Totals {
    /// Something happened.
    pub fn take(&mut self, noted: &Noted) {
        match &noted.fact {
            Fact::Arrived(arrival) => {
                if self.arrived.len() >= CALLS {
                    self.arrived.pop_first();
                }
                self.arrived.insert(arrival.call, noted.at.mono);
            }
            Fact::Placed(placed) => {
                if self.placed.len() >= CALLS {
                    self.placed.pop_first();
                }
                self.placed.insert(placed.call);
            }
            Fact::NotPlaced { why, .. } => *self.not_placed.entry(*why).or_default() += 1,
            Fact::Rung { call, .. } => {
                if let Some(arrived) = self.arrived.remove(call) {
                    self.rung.take(noted.at.mono.since(arrived).as_secs_f64());
                }
            }
            Fact::Ended { call, disposition, .. } => {
                self.arrived.remove(call);
                let direction = if self.placed.remove(call) { "out" } else { "in" };
                *self.calls.entry((direction, *disposition)).or_default() += 1;
            }
            Fact::Elsewhere { party, taken, .. } => {
                *self.elsewhere.entry((*party, *taken)).or_default() += 1;
            }
            Fact::Forged { .. } => add(&mut self.suspicions, "forged", 1),
            Fact::Intruded { attempts, .. } => add(&mut self.suspicions, "password", *attempts),
            Fact::NotSecret { .. } => add(&mut self.suspicions, "not_secret", 1),
            Fact::Misplaced { .. } => add(&mut self.suspicions, "media_place", 1),
            Fact::Undecryptable { .. } => add(&mut self.suspicions, "undecryptable", 1),
            Fact::Exercise { attempt } => {
                if self.exercises.len() >= CALLS {
                    self.exercises.pop_first();
                }
                self.exercises.insert(*attempt);
            }
            Fact::AttemptEnded { attempt, .. } if self.exercises.remove(attempt) => {}
            Fact::AttemptEnded { result, .. } => *self.attempts.entry(*result).or_default() += 1,
            Fact::Carried { party, counts, quality, .. } => {
                self.voices.entry(*party).or_default().take(counts, quality.as_ref());
            }
            _ => {}
        }
    }

    /// A call's entry is in the log, so long after its INVITE.
    pub fn entered(&mut self, after: Duration) {
        self.entered.take(after.as_secs_f64());
    }
}

impl Voice {
    fn take(&mut self, counts: &Counts, quality: Option<&Quality>) {
        let packets = &mut self.packets;
        add(packets, "received", counts.received);
        add(packets, "sent", counts.sent);
        add(packets, "strangers", counts.strangers);
        add(packets, "untaped", counts.untaped);
        add(packets, "lost", counts.lost);
        let Some(quality) = quality else { return };
        add(packets, "late", quality.tally.late);
        add(packets, "reordered", quality.tally.reordered);
        add(packets, "doubled", quality.tally.doubled);
        self.jitter.take(f64::from(quality.tally.jitter_us) / 1e6);
        if let Some(mos) = &quality.mos {
            self.mos.take(f64::from(mos.mean.0) / 100.0);
        }
    }
}
