//! One unbroken stream to a party, whoever it hears: a prompt, then another telephone, then three at a table. Where the
//! source changes, its numbers are made to go on from those before; telephones take numbers that fall back for
//! packets that come too late, and are deaf. Until a source changes, packets pass as they came.

use super::packet::{self, Numbers};
use crate::protocol::now::Mono;
use serde::{Deserialize, Serialize};

/// Numbers after a change of the source within which one from before it may still come: as the gate lets in, and that
/// of the packet at the change itself.
const OVERTAKEN: i16 = packet::MAX_MISORDER.cast_signed() + 1;
/// In a second: what was sent last lasts as long as one, at least.
const FRAMES: u32 = 50;
/// The shortest packet that telephones send, in milliseconds.
const SHORTEST: u128 = 10;
/// Numbers that may pass until it is news again where they stand: 20 s of voice.
const NEWS: i16 = 1000;
/// Numbers that an earlier run may have sent beyond what it told, and while that was written down.
const UNSEEN_MAX: u128 = 2 * NEWS.cast_unsigned() as u128;

/// What was sent to one party so far. A machine: packets are renumbered in place.
#[derive(Debug, Clone, Copy, Default)]
pub struct Seam {
    mark: Option<Mark>,
    /// The source has changed, though not its name.
    anew: bool,
    /// Who was heard, by what shift, and the number, when that was news.
    told: Option<(u32, u32, u16)>,
}

/// Where the numbers stand: by it another run of the program goes on with the stream.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Mark {
    /// Who is heard now, under the name of whoever was first.
    source: u32,
    shown: u32,
    sequence_shift: u16,
    timestamp_shift: u32,
    /// The first number that this source got; none once what was overtaken there cannot come any more.
    first: Option<u16>,
    /// Of what was sent, and when its timestamp was first.
    highest: Numbers,
    at: Mono,
    /// An earlier run sent more than it told.
    taken_up: bool,
}

impl Seam {
    /// Goes on where an earlier run stood.
    pub fn resume(mark: Mark) -> Self {
        let mark = Mark { first: None, taken_up: true, ..mark };
        Self { mark: Some(mark), ..Self::default() }
    }

    /// Where the numbers stand, where that is news: at the first packet, at a change of the source, and so often that a
    /// mark is never old.
    pub fn news(&mut self) -> Option<Mark> {
        let mark = self.mark?;
        let known = self.told.is_some_and(|(source, shift, sequence)| {
            let same = source == mark.source && shift == mark.timestamp_shift;
            same && after(mark.highest.sequence, sequence) < NEWS
        });
        if known {
            return None;
        }
        self.told = Some((mark.source, mark.timestamp_shift, mark.highest.sequence));
        Some(mark)
    }

    /// The packet is about to be sent; `clock`: ticks a second of its timestamp. None for one that must not be: it was
    /// overtaken where the source changed, its number was another's, and no number may be encrypted twice
    /// (RFC 3711 §9.1).
    pub fn number(&mut self, bytes: &mut [u8], clock: u32, now: Mono) -> Option<()> {
        let came = packet::numbers(bytes)?;
        let mark = self.mark.get_or_insert(Mark {
            source: came.ssrc,
            shown: came.ssrc,
            sequence_shift: 0,
            timestamp_shift: 0,
            first: None,
            highest: came,
            at: now,
            taken_up: false,
        });
        let changed = mark.source != came.ssrc || std::mem::take(&mut self.anew);
        if changed {
            mark.turn_to(came, clock, now);
        }
        mark.taken_up = false;
        let numbers = Numbers {
            sequence: came.sequence.wrapping_add(mark.sequence_shift),
            timestamp: came.timestamp.wrapping_add(mark.timestamp_shift),
            ssrc: mark.shown,
        };
        if let Some(first) = mark.first {
            if (-OVERTAKEN..0).contains(&after(numbers.sequence, first)) {
                return None;
            }
            mark.first = (after(mark.highest.sequence, first) < OVERTAKEN).then_some(first);
        }
        if after(numbers.sequence, mark.highest.sequence) > 0 {
            // All packets of one key bear the moment of its beginning (RFC 4733 §2.2.1).
            if numbers.timestamp != mark.highest.timestamp {
                mark.at = now;
            }
            mark.highest = numbers;
        }
        if numbers != came {
            packet::set_numbers(bytes, numbers);
        }
        if changed {
            packet::set_marker(bytes);
        }
        Some(())
    }
}

impl Seam {
    /// Whoever is heard has started anew: its numbers are others from here on.
    pub fn starts_anew(&mut self) {
        self.anew = self.mark.is_some();
    }

    /// A packet that this party would have got is not sent to it: what follows takes its number, or the party would count
    /// it as lost on the way.
    pub fn withhold(&mut self, bytes: &[u8]) {
        let (Some(mark), Some(came)) = (&mut self.mark, packet::numbers(bytes)) else { return };
        let number = came.sequence.wrapping_add(mark.sequence_shift);
        let is_next = after(number, mark.highest.sequence) > 0;
        if mark.source == came.ssrc && is_next && !self.anew {
            mark.sequence_shift = mark.sequence_shift.wrapping_sub(1);
            // What it has overtaken would get a number that was sent.
            mark.first = Some(mark.highest.sequence.wrapping_add(1));
        }
    }

    /// The timestamp of this moment; none before anything was sent. `clock`: its ticks a second.
    pub fn moment(&self, clock: u32, now: Mono) -> Option<u32> {
        let mark = self.mark.as_ref()?;
        Some(mark.highest.timestamp.wrapping_add(ticks(mark.at, clock, now)))
    }
}

fn ticks(since: Mono, clock: u32, now: Mono) -> u32 {
    (now.since(since).as_micros() * u128::from(clock) / 1_000_000) as u32
}

fn after(one: u16, other: u16) -> i16 {
    one.wrapping_sub(other).cast_signed()
}

impl Mark {
    /// From this packet of another source on; the pause between is one for the listener too.
    fn turn_to(&mut self, came: Numbers, clock: u32, now: Mono) {
        let passed = ticks(self.at, clock, now);
        let timestamp = self.highest.timestamp.wrapping_add(passed.max(clock / FRAMES));
        let passed = now.since(self.at).as_millis() / SHORTEST;
        let unseen = if self.taken_up { passed.min(UNSEEN_MAX) } else { 0 };
        let sequence = self.highest.sequence.wrapping_add(1).wrapping_add(unseen as u16);
        self.source = came.ssrc;
        self.first = Some(sequence);
        self.sequence_shift = sequence.wrapping_sub(came.sequence);
        self.timestamp_shift = timestamp.wrapping_sub(came.timestamp);
    }
}

#[cfg(test)]
mod tests {
    use super::super::packet::Packet;
    use super::*;
    use std::time::Duration;

    const START: Mono = Mono(5_000_000_000);

    /// As it is sent at so many milliseconds.
    fn sent(
        seam: &mut Seam,
        ms: u64,
        (ssrc, sequence, timestamp): (u32, u16, u32),
    ) -> Option<Packet<'static>> {
        let payload: &'static [u8] = &[7; 160];
        let packet = Packet { payload_type: 8, marker: false, sequence, timestamp, ssrc, payload };
        let mut bytes = [0; 172];
        packet::build(&packet, &mut bytes).unwrap();
        seam.number(&mut bytes, 8000, START + Duration::from_millis(ms))?;
        let Packet { payload_type, marker, sequence, timestamp, ssrc, payload: passed } =
            packet::parse(&bytes).unwrap();
        assert_eq!((payload_type, passed), (8, payload));
        Some(Packet { payload_type, marker, sequence, timestamp, ssrc, payload })
    }

    fn numbers(packet: &Option<Packet<'_>>) -> (u32, u16, u32, bool) {
        let packet = packet.as_ref().expect("it is sent");
        (packet.ssrc, packet.sequence, packet.timestamp, packet.marker)
    }

    #[test]
    fn one_source_passes_as_it_came_whatever_its_numbers_do() {
        let mut seam = Seam::default();
        for (n, sequence) in [65_534u16, 65_535, 1, 0, 2, 900, 3].into_iter().enumerate() {
            let came = (9, sequence, (u32::MAX - 100).wrapping_add(u32::from(sequence)));
            let packet = sent(&mut seam, n as u64 * 20, came);
            assert_eq!(numbers(&packet), (came.0, came.1, came.2, false));
        }
    }

    #[test]
    fn sig_24_who_is_heard_after_a_prompt_goes_on_where_the_prompt_ended() {
        let mut seam = Seam::default();
        for n in 0..3 {
            sent(&mut seam, u64::from(n) * 20, (1, 60_000 + n, u32::from(n) * 160));
        }
        let voice = sent(&mut seam, 140, (2, 5, 777_000));
        assert_eq!(numbers(&voice), (1, 60_003, 320 + 800, true), "100 ms after the last one");
        let late = sent(&mut seam, 160, (2, 4, 776_840));
        assert_eq!(late, None, "its number was the prompt's");
        let next = sent(&mut seam, 161, (2, 6, 777_160));
        assert_eq!(numbers(&next), (1, 60_004, 320 + 960, false));
        let prompt = sent(&mut seam, 221, (1, 60_003, 480));
        assert_eq!(numbers(&prompt), (1, 60_005, 320 + 960 + 480, true), "60 ms later");
    }

    #[test]
    fn numbers_never_fall_back_over_the_wrap() {
        let mut seam = Seam::default();
        sent(&mut seam, 0, (1, 65_535, u32::MAX));
        let voice = sent(&mut seam, 20, (2, 40_000, 50));
        assert_eq!(numbers(&voice), (1, 0, 159, true));
    }

    /// Under SRTP a number that is sent twice is a key stream that is used twice.
    #[test]
    fn no_number_is_sent_twice_whatever_is_overtaken_where_sources_change() {
        let mut seam = Seam::default();
        let mut seen = std::collections::BTreeSet::new();
        let mut ms = 0;
        for turn in 0..8u16 {
            let ssrc = u32::from(turn % 3);
            let begin = turn.wrapping_mul(20_011);
            for n in 0..300u16 {
                // The first ones come last.
                let n = if n < 5 { 4 - n } else { n };
                ms += 20;
                let packet = sent(&mut seam, ms, (ssrc, begin.wrapping_add(n), u32::from(n) * 160));
                if let Some(packet) = packet {
                    assert!(seen.insert(packet.sequence), "turn {turn}, packet {n}");
                }
            }
        }
        assert!(seen.len() >= 8 * 295, "only what was overtaken is left out: {}", seen.len());
    }

    #[test]
    fn a_source_that_starts_anew_soon_after_its_turn_is_heard_on() {
        let mut seam = Seam::default();
        sent(&mut seam, 0, (1, 100, 0));
        sent(&mut seam, 20, (2, 5_000, 0));
        assert!(sent(&mut seam, 40, (2, 60_000, 0)).is_some());
        assert!(sent(&mut seam, 60, (2, 60_001, 160)).is_some());
    }

    #[test]
    fn rec_q_a_source_that_has_started_anew_goes_on_where_it_was() {
        let mut seam = Seam::default();
        seam.starts_anew();
        for n in 0..3 {
            let first = sent(&mut seam, n * 20, (1, 40_000 + n as u16, n as u32 * 160));
            assert_eq!(numbers(&first), (1, 40_000 + n as u16, n as u32 * 160, false));
        }
        seam.starts_anew();
        let next = sent(&mut seam, 60, (1, 20_000, 7));
        assert_eq!(numbers(&next), (1, 40_003, 480, true));
        let next = sent(&mut seam, 80, (1, 20_001, 167));
        assert_eq!(numbers(&next), (1, 40_004, 640, false));
    }

    #[test]
    fn after_a_key_the_clock_has_gone_on() {
        let mut seam = Seam::default();
        for n in 0..10 {
            sent(&mut seam, u64::from(n) * 20, (1, 100 + n, 800));
        }
        let voice = sent(&mut seam, 200, (2, 7, 0));
        assert_eq!(numbers(&voice), (1, 110, 800 + 1600, true), "200 ms after the key began");
    }

    /// What was told last, of a run that sent 700 more and died.
    fn resumed(seam: &mut Seam) -> Seam {
        let told = seam.news().expect("a change of the source is news");
        Seam::resume(told)
    }

    #[test]
    fn sig_34_another_run_goes_on_with_the_stream_whoever_speaks() {
        let mut seam = Seam::default();
        sent(&mut seam, 0, (1, 60_000, 0));
        assert!(seam.news().is_some(), "the first packet");
        sent(&mut seam, 20, (2, 5, 777_000));
        let again = resumed(&mut seam);
        for n in 1..700 {
            sent(&mut seam, 20 + 20 * u64::from(n), (2, 5 + n, 777_000 + 160 * u32::from(n)));
        }
        let voice = sent(&mut again.clone(), 14_300, (2, 720, 777_000 + 160 * 715));
        assert_eq!(numbers(&voice), (1, 60_716, 160 + 160 * 715, false), "the same one goes on");
        let prompt = sent(&mut again.clone(), 14_300, (3, 9, 9));
        let (ssrc, sequence, timestamp, marker) = numbers(&prompt);
        assert_eq!((ssrc, timestamp, marker), (1, 160 + 160 * 714, true));
        assert!(after(sequence, 60_001 + 699) > 0, "beyond all that may have been sent");
    }

    /// Under SRTP a number too far ahead is one that is behind (RFC 3711 §3.3.1).
    #[test]
    fn sig_34_however_long_nobody_ran_the_numbers_are_not_further_than_a_run_may_have_sent() {
        let mut seam = Seam::default();
        sent(&mut seam, 0, (1, 60_000, 0));
        let mut again = resumed(&mut seam);
        let prompt = sent(&mut again, 600_000, (3, 9, 9));
        let (_, sequence, ..) = numbers(&prompt);
        assert_eq!(after(sequence, 60_000), 2 * NEWS + 1);
    }

    #[test]
    fn where_the_numbers_stand_is_told_seldom_and_never_late() {
        let mut seam = Seam::default();
        let mut told = vec![];
        for n in 0..2500u16 {
            sent(&mut seam, u64::from(n) * 20, (1, 64_000u16.wrapping_add(n), u32::from(n) * 160));
            told.extend(seam.news().map(|mark| mark.highest.sequence.wrapping_sub(64_000)));
        }
        assert_eq!(told, [0, 1000, 2000]);
    }

    #[test]
    fn what_is_no_rtp_is_left_alone() {
        let mut bytes = [1, 2, 3];
        assert_eq!(Seam::default().number(&mut bytes, 8000, START), None);
        assert_eq!(bytes, [1, 2, 3]);
    }
}
