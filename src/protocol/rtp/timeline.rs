//! Taped packets of one track to places on the call's common time line.
//!
//! Timestamps alone break at every restart of a sender, arrival alone turns a late burst into silence. So a packet
//! is placed by its timestamp, relative to the *anchor* of its run: the earliest arrival among the packets that
//! follow, which is the one the network held up least. A run ends where the sender starts anew: another SSRC, or
//! a timestamp that arrival contradicts. What lies between two packets stays silent for its true length; what two
//! packets claim is given to the first.

use crate::protocol::now::Mono;
use std::collections::VecDeque;

/// Samples a second of G.711 and of the time line.
pub const RATE: u64 = 8000;

/// How far ahead an anchor looks: a burst that is late by less is put where it belongs, and so is what stood in a queue.
const AHEAD: i64 = 60 * RATE as i64;
/// An anchor that is off by less stays: 20 ms. Clocks that drift are followed in such steps (recording.md T1).
const TOLERANCE: i64 = 160;
/// A sender that is ahead of the least held-up of its recent packets by more has jumped: 100 ms.
const JUMP: i64 = 800;
/// Which packets are recent: those of a minute.
const RECENT: i64 = 60 * RATE as i64;
/// An anchor moves later on this many packets of evidence of the next 5 s, the least held-up ones of which come evenly:
/// what a queue holds up comes at its least now and then only, …
const EVIDENCE: usize = 25;
const PROOF: i64 = 5 * RATE as i64;
/// How large a part of the evidence may pass without one of the least held-up: a fifth.
const EVENLY: i64 = 5;
/// … or when packets are late by more than any burst of a few packets explains: 500 ms.
const PAUSE: i64 = 4000;
/// A timestamp further away from the one before than arrival explains is a new beginning: 60 s.
const RESTART: i64 = 60 * RATE as i64;
/// A packet that arrives after its successors belongs to them within this many sequence numbers.
const REORDER: u16 = 500;

/// An audio packet as it stands on the tape.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Taped {
    pub arrival: Mono,
    pub ssrc: u32,
    pub sequence: u16,
    pub timestamp: u32,
    /// Ticks of `timestamp` in a second, a multiple of [`RATE`].
    pub clock: u32,
    pub samples: u16,
}

/// Samples `skip..skip + samples` of packet `index` begin at sample `at` of the time line.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Placed {
    /// Index of the packet in the track.
    pub index: usize,
    /// Samples since the host booted: all tracks of a host share this line.
    pub at: i64,
    pub skip: u16,
    pub samples: u16,
}

impl Placed {
    pub fn end(&self) -> i64 {
        self.at + i64::from(self.samples)
    }
}

/// The sample of the time line at a moment.
pub fn sample_at(moment: Mono) -> i64 {
    let samples = u128::from(moment.0) * u128::from(RATE) / 1_000_000_000;
    i64::try_from(samples).unwrap_or(i64::MAX)
}

/// Places the packets of one track, given in the order of their arrival. What comes back is in the order of time
/// and free of overlap; duplicates are gone.
pub fn place(track: &[Taped]) -> Vec<Placed> {
    let mut placed = Vec::with_capacity(track.len());
    for run in runs(track) {
        place_run(track, &run, &mut placed);
    }
    placed.sort_by_key(|placed| (placed.at, placed.index));
    without_overlap(placed)
}

/// The packets of one sender between two restarts, with their timestamps on one line.
struct Run {
    packets: Vec<Heard>,
    ssrc: u32,
    /// Candidates for the least held-up of the recent packets, by rising delay.
    least: VecDeque<Heard>,
    clock: u32,
    /// Of the packet with the highest sequence number so far.
    newest: Heard,
    sequence: u16,
    timestamp: u32,
    samples: u16,
}

#[derive(Debug, Clone, Copy)]
struct Heard {
    index: usize,
    arrival: i64,
    /// Timestamp, unwrapped, relative to the run's first.
    timestamp: i64,
}

impl Heard {
    /// How long it was held up, up to a constant of the run.
    fn delay(&self) -> i64 {
        self.arrival - self.timestamp
    }
}

impl Run {
    fn new(index: usize, packet: &Taped) -> Self {
        let newest = Heard { index, arrival: sample_at(packet.arrival), timestamp: 0 };
        Self {
            packets: vec![newest],
            least: VecDeque::from([newest]),
            ssrc: packet.ssrc,
            clock: packet.clock,
            newest,
            sequence: packet.sequence,
            timestamp: packet.timestamp,
            samples: packet.samples,
        }
    }

    /// Takes the packet if it is of this run.
    fn take(&mut self, index: usize, packet: &Taped) -> bool {
        if packet.ssrc != self.ssrc || packet.clock != self.clock {
            return false;
        }
        let ahead = packet.sequence.wrapping_sub(self.sequence);
        let ticks = i64::from(packet.timestamp.wrapping_sub(self.timestamp).cast_signed());
        let mut step = ticks / (i64::from(self.clock) / RATE as i64).max(1);
        // The next packet begins where this one ends at the earliest, whatever a broken clock says.
        if ahead == 1 && (0..i64::from(self.samples)).contains(&step) {
            step = i64::from(self.samples);
        }
        let timestamp = self.newest.timestamp + step;
        let heard = Heard { index, arrival: sample_at(packet.arrival), timestamp };
        let behind = ahead == 0 || ahead > u16::MAX - REORDER;
        if behind {
            let belongs = step <= 0 && step > -RESTART;
            if belongs {
                self.packets.push(heard);
            }
            return belongs;
        }
        let passed = heard.arrival - self.newest.arrival;
        while self.least.len() > 1 && self.least[0].arrival < heard.arrival - RECENT {
            self.least.pop_front();
        }
        let ahead_of_all = self.least[0].delay() - heard.delay() > JUMP;
        if step <= 0 || ahead_of_all || passed - step > RESTART {
            return false;
        }
        self.packets.push(heard);
        while self.least.pop_back_if(|last| last.delay() >= heard.delay()).is_some() {}
        self.least.push_back(heard);
        (self.newest, self.sequence) = (heard, packet.sequence);
        (self.timestamp, self.samples) = (packet.timestamp, packet.samples);
        true
    }
}

fn runs(track: &[Taped]) -> Vec<Run> {
    let mut runs: Vec<Run> = Vec::new();
    for (index, packet) in track.iter().enumerate() {
        let last = runs.last().map(|run| run.clock);
        // Where the codec has changed its clock, a packet that was overtaken is of the run before.
        let may_be = if last == Some(packet.clock) { 1 } else { 2 };
        if !runs.iter_mut().rev().take(may_be).any(|run| run.take(index, packet)) {
            runs.push(Run::new(index, packet));
        }
    }
    runs
}

/// Walks the run with a window of the packets that arrive within [`AHEAD`]; the least held-up of them is the anchor.
fn place_run(track: &[Taped], run: &Run, placed: &mut Vec<Placed>) {
    let packets = &run.packets;
    // A packet is sent when its last sample has been spoken.
    let delay =
        |heard: &Heard| heard.arrival - i64::from(track[heard.index].samples) - heard.timestamp;
    let delays: Vec<i64> = packets.iter().map(delay).collect();
    // Candidates for the least delay in the window, by rising delay; their front is the least.
    let mut least: VecDeque<usize> = VecDeque::new();
    let mut entered = 0;
    let mut anchor: Option<Anchor> = None;
    for (position, heard) in packets.iter().enumerate() {
        while packets.get(entered).is_some_and(|next| next.arrival <= heard.arrival + AHEAD) {
            while least.pop_back_if(|last| delays[*last] >= delays[entered]).is_some() {}
            least.push_back(entered);
            entered += 1;
        }
        while least.pop_front_if(|first| *first < position).is_some() {}
        let seen = least.front().map_or(delays[position], |first| delays[*first]);
        let anchor = anchor.get_or_insert(Anchor { at: seen, look: 0 });
        anchor.follow(seen, position, &packets[..entered], &delays);
        let samples = track[heard.index].samples;
        let at = anchor.at + heard.timestamp;
        placed.push(Placed { index: heard.index, at, skip: 0, samples });
    }
}

/// Where timestamp 0 of a run stands on the time line.
struct Anchor {
    at: i64,
    /// Evidence for a later one is looked at from this packet on.
    look: usize,
}

impl Anchor {
    /// The least delay of the packets from `position` on is `seen`.
    fn follow(&mut self, seen: i64, position: usize, packets: &[Heard], delays: &[i64]) {
        let later = seen - self.at;
        if -later > TOLERANCE || later > PAUSE {
            self.at = seen;
        } else if later > TOLERANCE && position >= self.look {
            let until = packets[position].arrival + PROOF;
            let count = packets[position..].iter().take_while(|next| next.arrival <= until).count();
            let proof = position..position + count;
            if is_floor(&packets[proof.clone()], &delays[proof]) {
                self.at = seen;
            } else {
                self.look = position + count / 32 + 1;
            }
        }
    }
}

/// Whether the least delay of these packets is what all of them have, but for jitter.
fn is_floor(packets: &[Heard], delays: &[i64]) -> bool {
    let (Some(first), Some(last), Some(least)) =
        (packets.first(), packets.last(), delays.iter().min())
    else {
        return false;
    };
    let longest = (last.arrival - first.arrival) / EVENLY;
    let mut touched = first.arrival;
    packets.len() >= EVIDENCE
        && packets.iter().zip(delays).all(|(packet, delay)| {
            if delay - least <= TOLERANCE {
                touched = packet.arrival;
            }
            packet.arrival - touched <= longest
        })
}

fn without_overlap(placed: Vec<Placed>) -> Vec<Placed> {
    let mut end = i64::MIN;
    let mut clean = Vec::with_capacity(placed.len());
    for piece in placed {
        let taken = end.saturating_sub(piece.at).max(0);
        if taken >= i64::from(piece.samples) {
            continue;
        }
        let skip = taken as u16;
        let piece = Placed { at: piece.at + taken, skip, samples: piece.samples - skip, ..piece };
        end = piece.end();
        clean.push(piece);
    }
    clean
}

/// The stretches between `from` and `to` of at least `least` samples that nothing of a track covers, as start and
/// length.
pub fn gaps(placed: &[Placed], from: i64, to: i64, least: i64) -> Vec<(i64, i64)> {
    let mut gaps = Vec::new();
    let mut covered = from;
    for (at, end) in placed.iter().map(|piece| (piece.at, piece.end())).chain([(to, to)]) {
        let at = at.min(to);
        if at - covered >= least {
            gaps.push((covered, at - covered));
        }
        covered = covered.max(end);
    }
    gaps
}

#[cfg(test)]
mod tests;
