//! Counted by hand, by the formulas of RFC 3550, and against a list of the numbers.

use super::*;
use proptest::prelude::*;
use std::time::Duration;

const START: Mono = Mono(7_000_000_000);

fn packet(ssrc: u32, sequence: u16, timestamp: u32) -> Packet<'static> {
    Packet { payload_type: 8, marker: false, sequence, timestamp, ssrc, payload: &[] }
}

/// Packets of 20 ms: each with its place in the stream and the moment it comes, in milliseconds.
fn arriving(packets: impl IntoIterator<Item = (u64, f64)>) -> Tally {
    let mut reception = Reception::default();
    for (place, ms) in packets {
        let now = START + Duration::from_secs_f64(ms / 1000.0);
        let timestamp = (place as u32).wrapping_mul(160).wrapping_add(u32::MAX - 4000);
        reception.handle_packet(&packet(1, (place + 65_500) as u16, timestamp), Some(8000), now);
    }
    reception.tally()
}

fn counted(sequences: impl IntoIterator<Item = (u32, u16)>) -> Tally {
    let mut reception = Reception::default();
    for (ssrc, sequence) in sequences {
        reception.handle_packet(&packet(ssrc, sequence, 0), None, START);
    }
    reception.tally()
}

fn lost(sequences: impl IntoIterator<Item = (u32, u16)>) -> u64 {
    counted(sequences).lost
}

#[test]
fn gaps_are_lost_and_late_packets_are_not() {
    assert_eq!(lost([]), 0);
    assert_eq!(lost([(1, 9)]), 0);
    assert_eq!(lost([(1, 9), (1, 10), (1, 13)]), 2);
    assert_eq!(lost([(1, 9), (1, 11), (1, 10)]), 0);
}

#[test]
fn a_wrap_is_not_a_loss() {
    assert_eq!(lost((65_000..=65_535u16).chain(0..500).map(|n| (1, n))), 0);
    assert_eq!(lost([(1, 65_534), (1, 1)]), 2);
    assert_eq!(lost([(1, 0), (1, 65_535), (1, 1)]), 0, "the first was overtaken");
}

#[test]
fn duplicates_do_not_make_it_negative_and_do_not_hide_a_loss() {
    assert_eq!(lost([(1, 9), (1, 9), (1, 9)]), 0);
    let tally = counted([(1, 9), (1, 9), (1, 11), (1, 9), (1, 12)]);
    assert_eq!((tally.lost, tally.doubled, tally.received, tally.expected), (1, 2, 5, 4));
}

#[test]
fn a_new_source_or_a_restart_keeps_what_was_lost_before() {
    assert_eq!(lost([(1, 9), (1, 12), (2, 40_000), (2, 40_002)]), 3);
    assert_eq!(lost([(1, 9), (1, 12), (1, 30_000), (1, 30_001)]), 2);
}

#[test]
fn rec_q_runs_of_lost_packets_are_counted_and_closed_by_what_comes_after_all() {
    let gaps = |sequences: &[u16]| counted(sequences.iter().map(|n| (1, *n))).gaps;
    assert_eq!(gaps(&[1, 2, 3]), 0);
    assert_eq!(gaps(&[1, 3, 6]), 2);
    assert_eq!(gaps(&[1, 3, 2]), 0, "only overtaken");
    assert_eq!(gaps(&[1, 6, 3]), 2, "one run cut in two");
    assert_eq!(gaps(&[1, 6, 5, 2]), 1, "a run made shorter");
    assert_eq!(gaps(&[1, 6, 5, 2, 3, 4]), 0);
    assert_eq!(gaps(&[9, 6, 7]), 1, "before the first");
    assert_eq!(gaps(&[9, 6, 7, 8]), 0);
}

/// What the numbers say, counted by hand.
#[test]
fn rec_q_every_packet_is_lost_doubled_or_out_of_order_as_it_is() {
    let tally = counted([9, 10, 12, 11, 11, 15, 14, 9].map(|n| (1, n)));
    let wanted =
        Tally { expected: 7, received: 8, lost: 1, gaps: 1, reordered: 2, doubled: 2, ..tally };
    assert_eq!(tally, wanted);
}

/// RFC 3550 §A.8, by its own line in whole numbers: `J += d - ((J + 8) >> 4)`.
#[test]
fn rec_q_jitter_is_that_of_rfc_3550() {
    let offsets = [0.0, 5.0, 0.0, 12.0, 3.0, 0.0, 0.0, 40.0, 1.0];
    let times = offsets.iter().enumerate().map(|(n, ms)| (n as u64, 20.0 * n as f64 + ms));
    let tally = arriving(times);
    let mut jitter: i64 = 0;
    for pair in offsets.windows(2) {
        jitter += ((pair[1] - pair[0]) * 8.0_f64).abs() as i64 - ((jitter + 8) >> 4);
    }
    assert_eq!(i64::from(tally.jitter_us), jitter * 1_000_000 / (16 * 8000));
    assert!(tally.jitter_us > 5_000 && tally.jitter_most_us >= tally.jitter_us, "{tally:?}");
}

#[test]
fn rec_q_even_packets_have_no_jitter_over_every_wrap() {
    let even = arriving((0..200_000).map(|n| (n, 20.0 * n as f64)));
    let wanted = Tally { expected: 200_000, received: 200_000, ..Tally::default() };
    assert_eq!(even, wanted);
}

#[test]
fn rec_q_hours_of_clocks_that_differ_by_200_ppm_make_nothing_late() {
    let drifting = arriving((0..1_000_000).map(|n| (n, 20.004 * n as f64)));
    assert_eq!((drifting.late, drifting.lost), (0, 0));
    assert!(drifting.jitter_us < 200, "{drifting:?}");
}

#[test]
fn rec_q_a_pause_of_dtx_is_neither_lost_nor_late_nor_jitter() {
    let mut reception = Reception::default();
    for n in 0..400u64 {
        // Half a minute of silence in the middle: no packets, and the timestamp goes on.
        let pause = if n < 200 { 0 } else { 30_000 };
        let now = START + Duration::from_millis(20 * n + pause);
        let timestamp = (160 * n + 8 * pause) as u32;
        reception.handle_packet(&packet(1, n as u16, timestamp), Some(8000), now);
    }
    let tally = reception.tally();
    assert_eq!((tally.lost, tally.late, tally.jitter_most_us), (0, 0, 0));
}

#[test]
fn rec_t7_a_burst_two_seconds_late_is_late_and_what_follows_is_not() {
    let stalled = arriving((0..400u64).map(|n| {
        let due = 20.0 * n as f64;
        (n, if (100..200).contains(&n) { due.max(20.0 * 200.0) } else { due })
    }));
    assert_eq!((stalled.lost, stalled.reordered), (0, 0));
    assert!((90..=100).contains(&stalled.late), "{stalled:?}");
}

#[test]
fn rec_t3_a_clock_that_jumps_makes_nothing_late_for_good() {
    for jump in [1_000_000_u32, u32::MAX - 1_000_000, 9_000] {
        let mut reception = Reception::default();
        for n in 0..600u32 {
            let timestamp = (160 * n).wrapping_sub(if n < 300 { 0 } else { jump });
            let now = START + Duration::from_millis(20) * n;
            reception.handle_packet(&packet(1, n as u16, timestamp), Some(8000), now);
        }
        let tally = reception.tally();
        assert_eq!((tally.lost, tally.late, tally.jitter_us), (0, 0, 0), "{jump}: {tally:?}");
    }
}

#[test]
fn rec_q_another_codecs_clock_begins_anew() {
    let mut reception = Reception::default();
    for n in 0..300u32 {
        let clock = if n < 150 { 8000 } else { 48_000 };
        let now = START + Duration::from_millis(20) * n;
        reception.handle_packet(&packet(1, n as u16, n * clock / 50), Some(clock), now);
    }
    let tally = reception.tally();
    assert_eq!((tally.lost, tally.late, tally.jitter_us), (0, 0, 0));
}

#[test]
fn rec_q_keys_are_packets_without_a_moment_of_their_own() {
    let mut reception = Reception::default();
    for n in 0..100u32 {
        let now = START + Duration::from_millis(20) * n;
        let key = (40..60).contains(&n);
        let (timestamp, clock) = if key { (40 * 160, None) } else { (n * 160, Some(8000)) };
        reception.handle_packet(&packet(1, n as u16, timestamp), clock, now);
    }
    let tally = reception.tally();
    assert_eq!((tally.received, tally.lost, tally.jitter_most_us), (100, 0, 0));
}

#[test]
fn rec_q_what_is_told_of_a_source_is_what_rfc_3550_asks_for() {
    let mut reception = Reception::default();
    for sequence in [65_534, 65_535, 65_535, 1] {
        reception.handle_packet(&packet(7, sequence, 0), None, START);
    }
    let told = reception.received().unwrap();
    let wanted = Received { ssrc: 7, extended: 65_537, expected: 4, received: 4, jitter: 0 };
    assert_eq!(told, wanted, "the duplicate makes up for the loss, as §A.3 has it");
}

/// Lost, doubled, runs of lost, by a list of the numbers.
fn by_hand(sequences: &[u16]) -> (u64, u64, u64) {
    let mut once: Vec<i64> = sequences.iter().map(|n| i64::from(*n)).collect();
    once.sort_unstable();
    once.dedup();
    let expected = once[once.len() - 1] - once[0] + 1;
    let gaps = once.windows(2).filter(|pair| pair[1] > pair[0] + 1).count();
    let (came, there) = (sequences.len(), once.len());
    (expected as u64 - there as u64, (came - there) as u64, gaps as u64)
}

proptest! {
    /// A stream that loses, doubles and turns around packets, never by more than is remembered.
    #[test]
    fn rec_q_any_order_is_counted_as_a_list_would(
        fates in prop::collection::vec((0u8..10, 0usize..12), 1..400),
    ) {
        let mut arriving: Vec<(usize, u16)> = vec![];
        for (n, (fate, delay)) in fates.iter().enumerate() {
            let number = 1000 + n as u16;
            match fate {
                0 => {}
                1 => arriving.extend([(n, number), (n + delay, number)]),
                2 | 3 => arriving.push((n + delay, number)),
                _ => arriving.push((n, number)),
            }
        }
        arriving.sort_by_key(|(at, _)| *at);
        let sequences: Vec<u16> = arriving.into_iter().map(|(_, number)| number).collect();
        prop_assume!(!sequences.is_empty());
        let tally = counted(sequences.iter().map(|n| (1, *n)));
        prop_assert_eq!((tally.lost, tally.doubled, tally.gaps), by_hand(&sequences));
        prop_assert_eq!(tally.received, sequences.len() as u64);
    }

    #[test]
    fn rec_q_any_numbers_and_moments_are_borne(
        packets in prop::collection::vec((any::<u16>(), any::<u32>(), any::<u64>(), 0u32..3), 0..200),
    ) {
        let mut reception = Reception::default();
        for (sequence, timestamp, now, clock) in packets {
            let clock = [None, Some(8000), Some(48_000)][clock as usize];
            reception.handle_packet(&packet(clock.unwrap_or(1), sequence, timestamp), clock, Mono(now));
        }
        let tally = reception.tally();
        prop_assert!(tally.lost <= tally.expected && tally.late <= tally.received);
    }
}
