//! From packets to a row of samples.

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
        Self { track: Vec::new(), now: START, ssrc: 1, sequence: 65_530, timestamp: u32::MAX - 700 }
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
    let doubled: Vec<Taped> = sender.track.iter().flat_map(|packet| [*packet, *packet]).collect();
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
    for samples in [160u16, 80, 480, 240, 320, 160].into_iter().flat_map(|samples| [samples; 50]) {
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
