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
mod tests {
    use super::*;
    use crate::protocol::random::Random;
    use proptest::prelude::*;

    /// Nanoseconds in one sample.
    const SAMPLE: u64 = 125_000;
    /// When the first packet of a track arrives, in samples.
    const START: i64 = 800_000;

    /// A sender of 20 ms packets, numbered from just below both wraps.
    struct Sender {
        track: Vec<Taped>,
        now: i64,
        ssrc: u32,
        sequence: u16,
        timestamp: u32,
    }

    impl Sender {
        fn new() -> Self {
            Self {
                track: Vec::new(),
                now: START,
                ssrc: 1,
                sequence: 65_530,
                timestamp: u32::MAX - 700,
            }
        }

        /// The next packet, delivered so many samples after it was sent.
        fn late(&mut self, delay: i64) {
            self.packet(delay, 160, 160);
        }

        fn packet(&mut self, delay: i64, samples: u16, stamped: u32) {
            let arrival = Mono(u64::try_from(self.now + delay).unwrap() * SAMPLE);
            let (ssrc, sequence, timestamp) = (self.ssrc, self.sequence, self.timestamp);
            self.track.push(Taped { arrival, ssrc, sequence, timestamp, clock: 8000, samples });
            self.lose(samples, stamped);
        }

        fn lose(&mut self, samples: u16, stamped: u32) {
            self.sequence = self.sequence.wrapping_add(1);
            self.timestamp = self.timestamp.wrapping_add(stamped);
            self.now += i64::from(samples);
        }

        fn talk(&mut self, packets: u32) {
            for _ in 0..packets {
                self.late(0);
            }
        }

        /// Places and their ends, relative to the first packet's first sample.
        fn placed(mut self) -> Vec<(i64, i64)> {
            self.track.sort_by_key(|packet| packet.arrival);
            let placed = place(&self.track);
            assert!(placed.windows(2).all(|pair| pair[0].end() <= pair[1].at), "overlap");
            placed.iter().map(|piece| (piece.at - START + 160, piece.end() - START + 160)).collect()
        }
    }

    fn steady(packets: i64) -> Vec<(i64, i64)> {
        (0..packets).map(|n| (n * 160, n * 160 + 160)).collect()
    }

    #[test]
    fn rec_t3_a_steady_sender_is_one_unbroken_line_over_both_wraps() {
        let mut sender = Sender::new();
        sender.talk(3000);
        assert_eq!(sender.placed(), steady(3000));
    }

    #[test]
    fn rec_t7_jitter_and_reordering_leave_no_trace() {
        let mut sender = Sender::new();
        for n in 0..500 {
            sender.late([0, 300, 40, 4000, 0, 150, 90][n % 7]);
        }
        assert_eq!(sender.placed(), steady(500));
    }

    /// So many minutes through a queue: each is held up at random, yet nobody overtakes.
    fn queued(minutes: i64, most: u64, seed: u8) -> Sender {
        let mut sender = Sender::new();
        let mut random = Random::from_seed([seed; 32]);
        let mut last = 0;
        for _ in 0..minutes * 3000 {
            last = last.max(sender.now + random.below(most) as i64);
            sender.late(last - sender.now);
        }
        sender
    }

    #[test]
    fn rel_24_jitter_that_keeps_order_stretches_nothing() {
        for most in [400, 800, 1600] {
            for seed in 0..4 {
                let placed = place(&queued(10, most, seed).track);
                assert_eq!(placed.len(), 30_000);
                let off = |piece: &Placed| piece.at - placed[0].at - piece.index as i64 * 160;
                // In no minute by more than a frame where the queue is of 100 ms, and in ten not by two in any.
                let (frames, worst) = (if most <= 800 { 0 } else { 320 }, placed.iter().map(off));
                let worst = worst.map(i64::abs).max().unwrap();
                assert!(worst <= frames, "{most}, {seed}: off by {worst} samples");
            }
        }
    }

    #[test]
    fn rec_t7_a_sender_that_pauses_without_its_clock_is_followed_at_once_and_at_the_end() {
        for pause in [200, 400, 3200] {
            let mut sender = Sender::new();
            let mut expected = steady(1000);
            for (n, piece) in expected.iter_mut().enumerate() {
                if n == 400 || n == 900 {
                    sender.now += pause;
                }
                let pauses = i64::from(n >= 400) + i64::from(n >= 900);
                *piece = (piece.0 + pauses * pause, piece.1 + pauses * pause);
                sender.late([0, 30, 7][n % 3]);
            }
            assert_eq!(sender.placed(), expected, "{pause}");
        }
    }

    #[test]
    fn rec_t7_a_late_packet_followed_by_prompt_ones_is_no_restart() {
        let mut sender = Sender::new();
        sender.talk(50);
        sender.late(921);
        for _ in 0..5 {
            sender.lose(160, 160);
        }
        sender.talk(50);
        let mut expected = steady(106);
        expected.drain(51..56);
        assert_eq!(sender.placed(), expected);
    }

    #[test]
    fn rec_t7_a_burst_two_seconds_late_is_put_where_it_belongs() {
        let mut sender = Sender::new();
        sender.talk(100);
        for n in 0..100 {
            sender.late(16_000 - n * 160);
        }
        sender.talk(300);
        assert_eq!(sender.placed(), steady(500));
    }

    #[test]
    fn rec_t7_losses_are_silence_of_true_length_and_listed() {
        let mut sender = Sender::new();
        sender.talk(50);
        for _ in 0..15 {
            sender.lose(160, 160);
        }
        sender.talk(50);
        let placed = place(&sender.track);
        let first = placed[0].at;
        assert_eq!(placed[50].at - first, 65 * 160);
        let end = placed[99].end();
        assert_eq!(gaps(&placed, first, end, 320), [(first + 8000, 2400)]);
        assert_eq!(
            gaps(&placed, first - 400, end + 8000, 320),
            [(first - 400, 400), (first + 8000, 2400), (end, 8000)],
            "and at both ends"
        );
        assert_eq!(gaps(&placed, first + 9000, end - 10, 320), [(first + 9000, 1400)]);
        assert_eq!(gaps(&[], first, end, 320), [(first, end - first)]);
    }

    #[test]
    fn rec_t7_duplicates_count_once() {
        let mut sender = Sender::new();
        sender.talk(100);
        let doubled: Vec<Taped> =
            sender.track.iter().flat_map(|packet| [*packet, *packet]).collect();
        assert_eq!(Sender { track: doubled, ..sender }.placed(), steady(100));
    }

    #[test]
    fn rec_t3_a_new_ssrc_goes_on_without_hole_or_overlap() {
        let mut sender = Sender::new();
        sender.talk(100);
        (sender.ssrc, sender.sequence, sender.timestamp) = (2, 7, 123_456_789);
        sender.talk(100);
        assert_eq!(sender.placed(), steady(200));
    }

    #[test]
    fn rec_t3_a_timestamp_that_restarts_without_a_new_ssrc_goes_on() {
        for restart in [0, 5_000_000, u32::MAX / 2] {
            let mut sender = Sender::new();
            sender.talk(100);
            sender.timestamp = restart;
            sender.talk(100);
            assert_eq!(sender.placed(), steady(200), "{restart}");
        }
    }

    #[test]
    fn rec_t3_frozen_timestamps_lose_no_packet_when_they_arrive_in_time() {
        let mut sender = Sender::new();
        for _ in 0..100 {
            sender.packet(0, 160, 0);
        }
        assert_eq!(sender.placed(), steady(100));
    }

    #[test]
    fn rec_t3_timestamps_in_milliseconds_keep_the_length() {
        let mut sender = Sender::new();
        for _ in 0..500 {
            sender.packet(0, 160, 20);
        }
        let placed = sender.placed();
        let end = placed.last().unwrap().1;
        assert_eq!((end, placed.len()), (500 * 160, 500));
    }

    #[test]
    fn rec_t2_a_hold_is_silence_of_true_length_whether_or_not_timestamps_go_on() {
        for held in [8000i64, 128_000, 4_800_000] {
            for goes_on in [true, false] {
                let mut sender = Sender::new();
                sender.talk(100);
                sender.now += held;
                if goes_on {
                    sender.timestamp = sender.timestamp.wrapping_add(u32::try_from(held).unwrap());
                }
                sender.talk(100);
                let mut expected = steady(200);
                for piece in &mut expected[100..] {
                    *piece = (piece.0 + held, piece.1 + held);
                }
                assert_eq!(sender.placed(), expected, "{held} {goes_on}");
            }
        }
    }

    #[test]
    fn rec_t5_packet_time_may_change_at_any_moment() {
        let mut sender = Sender::new();
        for samples in
            [160u16, 80, 480, 240, 320, 160].into_iter().flat_map(|samples| [samples; 50])
        {
            // Sent when its last sample is spoken: later by what it is longer than the first.
            sender.packet(i64::from(samples) - 160, samples, u32::from(samples));
        }
        let placed = sender.placed();
        assert_eq!(placed[0].0, 0);
        assert!(placed.windows(2).all(|pair| pair[0].1 == pair[1].0), "no hole");
    }

    #[test]
    fn rec_t1_a_drifting_clock_stays_within_40_ms_over_two_hours() {
        for per_million in [-200i64, 200] {
            let mut sender = Sender::new();
            for n in 0..360_000i64 {
                sender.now = START + n * 160 + n * 160 * per_million / 1_000_000;
                let (sequence, timestamp) = (sender.sequence, sender.timestamp);
                sender.late(n * 7 % 80);
                (sender.sequence, sender.timestamp) =
                    (sequence.wrapping_add(1), timestamp.wrapping_add(160));
            }
            let last = sender.now - START - 160 - 160;
            let placed = sender.placed();
            let wrong = (placed.last().unwrap().0 - last - 160).abs();
            assert!(wrong <= 320, "{per_million}: {wrong} samples");
            assert!(placed.len() > 359_800, "{}", placed.len());
        }
    }

    #[test]
    fn the_end_of_a_call_is_not_torn_off_by_one_late_packet() {
        let mut sender = Sender::new();
        sender.talk(100);
        sender.late(700);
        assert_eq!(sender.placed(), steady(101));
    }

    #[test]
    fn two_tracks_share_one_line() {
        let (mut one, mut other) = (Sender::new(), Sender::new());
        other.timestamp = 99;
        for n in 0..200 {
            one.late(n % 3 * 50);
            other.late((n + 1) % 4 * 60);
        }
        assert_eq!(place(&one.track)[0].at, place(&other.track)[0].at);
    }

    proptest! {
        #[test]
        fn rec_t7_whatever_the_network_does_each_packet_is_in_its_place_once(
            fates in prop::collection::vec((0i64..4000, 0u8..10), 60..400),
        ) {
            let mut sender = Sender::new();
            sender.talk(30);
            let mut arrived = 30;
            for (delay, fate) in fates {
                match fate {
                    0..3 => sender.lose(160, 160),
                    3 => {
                        sender.late(delay);
                        sender.track.extend_from_within(sender.track.len() - 1..);
                        arrived += 1;
                    }
                    _ => {
                        sender.late(if fate < 8 { 0 } else { delay });
                        arrived += 1;
                    }
                }
            }
            sender.talk(30);
            let placed = sender.placed();
            prop_assert_eq!(placed.len(), arrived + 30);
            for (at, end) in placed {
                prop_assert_eq!((at % 160, end - at), (0, 160));
            }
        }

        #[test]
        fn nothing_makes_it_panic_or_overlap(
            packets in prop::collection::vec((0u64..100_000_000_000, 0u32..3, any::<u16>(), any::<u32>(), 0u16..1500), 0..200),
        ) {
            let mut track: Vec<Taped> = packets
                .into_iter()
                .map(|(arrival, ssrc, sequence, timestamp, samples)| Taped { arrival: Mono(arrival), ssrc, sequence, timestamp, clock: 8000, samples })
                .collect();
            track.sort_by_key(|packet| packet.arrival);
            let placed = place(&track);
            prop_assert!(placed.windows(2).all(|pair| pair[0].end() <= pair[1].at));
            prop_assert!(placed.iter().all(|piece| piece.skip + piece.samples <= track[piece.index].samples));
        }
    }
}
