//! Keys pressed on a telephone, out of telephone-events (RFC 4733): each press once.
//!
//! Networks send the last packet three times, leave out the marker bit, lose the first packet or all of the last
//! ones. The RTP timestamp is the name of a press; the E bit, the next press or a pause ends it.

use super::packet::Packet;
use crate::protocol::now::{Deadline, Mono};
use std::time::Duration;

/// A press whose end packets were all lost counts when it has been silent for this long: five packets at the usual
/// 20 ms (RFC 4733 §2.5.1.2 repeats an event's update until it ends).
const END_LOST: Duration = Duration::from_millis(100);
/// Where the next segment of a press over 8.19 s begins (§2.5.1.3).
const SEGMENT: u32 = 0xffff;
/// So much of its turn may be lost.
const TURN_LOST: Duration = Duration::from_secs(1);
/// A press with the timestamp of one that was heard this long ago is a new one, from a sender whose clock stands.
const STALE: Duration = Duration::from_secs(10);

/// The keys of one stream. **Handle one thing, drain `poll`, then wait for the next packet or `deadline`.**
#[derive(Debug, Clone, Default)]
pub struct Keys {
    press: Option<Press>,
    /// A packet ends at most two presses: the one before and its own.
    ready: [Option<char>; 2],
}

#[derive(Debug, Clone, Copy)]
struct Press {
    ssrc: u32,
    timestamp: u32,
    key: char,
    duration: u16,
    heard: Mono,
    reported: bool,
    /// Its E bit was seen.
    ended: bool,
}

impl Keys {
    /// Takes a packet of the telephone-event payload type. Events other than the sixteen keys are ignored.
    pub fn handle_packet(&mut self, packet: &Packet<'_>, now: Mono) {
        let &[event, flags, high, low, ..] = packet.payload else { return };
        let Some(&key) = b"0123456789*#ABCD".get(usize::from(event)) else { return };
        let duration = u16::from_be_bytes([high, low]);
        let heard = Press {
            ssrc: packet.ssrc,
            timestamp: packet.timestamp,
            key: char::from(key),
            duration,
            heard: now,
            reported: false,
            ended: false,
        };
        match &mut self.press {
            Some(press) if press.is_behind(&heard) => return,
            Some(press) if press.goes_on_as(&heard, packet.marker) => {
                let segment = duration < press.duration && heard.timestamp != press.timestamp;
                press.duration = if segment { duration } else { press.duration.max(duration) };
                press.timestamp = heard.timestamp;
                press.heard = now;
            }
            Some(_) | None => {
                self.report();
                self.press = Some(heard);
            }
        }
        let ended = flags & 0x80 != 0;
        if let Some(press) = self.press.as_mut().filter(|_| ended) {
            press.ended = true;
            self.report();
        }
    }

    pub fn handle_timeout(&mut self, now: Mono) {
        if self.deadline().is_some_and(|(due, _)| due <= now) {
            self.report();
        }
    }

    pub fn poll(&mut self) -> Option<char> {
        let first = self.ready[0].take();
        self.ready.swap(0, 1);
        first
    }

    pub fn deadline(&self) -> Option<Deadline> {
        let press = self.press.filter(|press| !press.reported)?;
        Some((press.heard + END_LOST, "key's end packets are lost"))
    }

    fn report(&mut self) {
        let Some(press) = self.press.as_mut().filter(|press| !press.reported) else { return };
        press.reported = true;
        if let Some(place) = self.ready.iter_mut().find(|place| place.is_none()) {
            *place = Some(press.key);
        }
    }
}

impl Press {
    /// Whether `heard` belongs to a press before this one and was overtaken on its way.
    fn is_behind(&self, heard: &Press) -> bool {
        let ahead = self.timestamp.wrapping_sub(heard.timestamp);
        let overtaken = ahead > 0 && ahead < 8000;
        heard.ssrc == self.ssrc
            && overtaken
            && heard.heard.since(self.heard) < Duration::from_secs(1)
    }

    /// Whether `heard` is one more packet of this press.
    fn goes_on_as(&self, heard: &Press, marker: bool) -> bool {
        let pause = heard.heard.since(self.heard);
        if heard.ssrc != self.ssrc || heard.key != self.key || pause > STALE {
            return false;
        }
        let same = heard.timestamp == self.timestamp;
        // A press over 8.19 s goes on as a segment of its own, where the one before ended (§2.5.1.3).
        let after = heard.timestamp.wrapping_sub(self.timestamp);
        let segment = !marker
            && !self.ended
            && ((after == u32::from(self.duration) && pause <= END_LOST)
                || (after == SEGMENT && pause <= TURN_LOST));
        // Some gateways move the timestamp on with every packet of one press; its duration then still grows, and both
        // have one beginning, however much of it is lost.
        let moving = !marker && heard.duration > self.duration && pause <= END_LOST;
        let began = |press: &Press| press.timestamp.wrapping_sub(u32::from(press.duration));
        same || segment || moving || (!self.ended && began(heard) == began(self))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const START: Mono = Mono(1_000_000_000);

    struct Phone {
        keys: Keys,
        now: Mono,
        heard: String,
    }

    impl Phone {
        fn new() -> Self {
            Self { keys: Keys::default(), now: START, heard: String::new() }
        }

        fn packet(&mut self, timestamp: u32, event: u8, duration: u16, end: bool, marker: bool) {
            let [high, low] = duration.to_be_bytes();
            let payload = [event, if end { 0x8a } else { 0x0a }, high, low];
            let packet = Packet {
                payload_type: 101,
                marker,
                sequence: 0,
                timestamp,
                ssrc: 7,
                payload: &payload,
            };
            self.keys.handle_packet(&packet, self.now);
            self.drain();
        }

        fn pass(&mut self, millis: u64) {
            let until = self.now + Duration::from_millis(millis);
            while let Some((due, _)) = self.keys.deadline().filter(|(due, _)| *due <= until) {
                self.now = due;
                self.keys.handle_timeout(due);
                self.drain();
            }
            self.now = until;
        }

        fn drain(&mut self) {
            while let Some(key) = self.keys.poll() {
                self.heard.push(key);
            }
        }

        /// A press of `millis` in 20 ms packets with three end packets; `arrives(n)` tells which packets get through.
        fn press(&mut self, timestamp: u32, event: u8, millis: u16, arrives: impl Fn(u16) -> bool) {
            let packets = millis / 20;
            for n in 1..=packets {
                if arrives(n) {
                    self.packet(timestamp, event, n * 160, false, n == 1);
                }
                self.pass(20);
            }
            for end in 1..=3 {
                if arrives(packets + end) {
                    self.packet(timestamp, event, packets * 160, true, false);
                }
            }
        }
    }

    #[test]
    fn esc_11_three_end_packets_are_one_digit() {
        let mut phone = Phone::new();
        phone.press(1000, 1, 100, |_| true);
        assert_eq!(phone.heard, "1", "before any pause");
        phone.pass(5000);
        assert_eq!(phone.heard, "1");
    }

    #[test]
    fn esc_11_two_presses_150_ms_apart_are_two_digits() {
        let mut phone = Phone::new();
        phone.press(1000, 1, 80, |_| true);
        phone.pass(70);
        phone.press(1000 + 1200, 1, 80, |_| true);
        phone.pass(1000);
        assert_eq!(phone.heard, "11");
    }

    #[test]
    fn esc_11_two_presses_150_ms_apart_are_two_digits_without_any_end_or_marker() {
        let mut phone = Phone::new();
        phone.press(1000, 1, 80, |n| (2..=4).contains(&n));
        phone.pass(70);
        phone.press(1000 + 1200, 1, 80, |n| (2..=4).contains(&n));
        phone.pass(1000);
        assert_eq!(phone.heard, "11");
    }

    #[test]
    fn esc_12_no_marker_bit_is_one_digit() {
        let mut phone = Phone::new();
        for n in 1..=5 {
            phone.packet(1000, 9, n * 160, n > 3, false);
            phone.pass(20);
        }
        assert_eq!(phone.heard, "9");
    }

    #[test]
    fn esc_12_a_lost_first_packet_is_one_digit() {
        let mut phone = Phone::new();
        phone.press(1000, 10, 100, |n| n > 1);
        phone.pass(1000);
        assert_eq!(phone.heard, "*");
    }

    #[test]
    fn esc_12_only_an_end_packet_is_one_digit() {
        let mut phone = Phone::new();
        phone.press(1000, 11, 100, |n| n == 8);
        phone.pass(1000);
        assert_eq!(phone.heard, "#");
    }

    #[test]
    fn esc_12_lost_end_packets_are_one_digit_after_a_pause() {
        let mut phone = Phone::new();
        phone.press(1000, 2, 100, |n| n <= 5);
        assert_eq!(phone.heard, "");
        phone.pass(100);
        assert_eq!(phone.heard, "2");
    }

    #[test]
    fn esc_12_a_press_of_1700_ms_is_one_digit() {
        let mut phone = Phone::new();
        phone.press(1000, 1, 1700, |_| true);
        phone.pass(1000);
        assert_eq!(phone.heard, "1");
    }

    #[test]
    fn esc_12_a_press_of_1700_ms_with_a_hole_in_it_is_one_digit() {
        let mut phone = Phone::new();
        phone.press(1000, 1, 1700, |n| !(20..45).contains(&n));
        phone.pass(1000);
        assert_eq!(phone.heard, "1");
    }

    #[test]
    fn a_timestamp_that_moves_with_every_packet_is_one_press() {
        let mut phone = Phone::new();
        for n in 1..=20u16 {
            phone.packet(1000 + u32::from(n) * 160, 5, n * 160, n > 17, n == 1);
            phone.pass(20);
        }
        assert_eq!(phone.heard, "5");
    }

    #[test]
    fn a_press_over_eight_seconds_goes_on_as_a_segment() {
        let mut phone = Phone::new();
        for n in 1..=450u32 {
            let (timestamp, duration) =
                if n * 160 <= 0xffff { (1000, n * 160) } else { (1000 + 0xffff, n * 160 - 0xffff) };
            if n == 410 {
                phone.packet(1000, 1, 0xffff, false, false);
            }
            phone.packet(timestamp, 1, u16::try_from(duration).unwrap(), n > 447, n == 1);
            phone.pass(20);
        }
        assert_eq!(phone.heard, "1");
    }

    #[test]
    fn esc_12_packets_that_are_lost_where_a_segment_begins_are_no_second_press() {
        let mut phone = Phone::new();
        for n in 1..=450u32 {
            let (timestamp, duration) =
                if n * 160 <= 0xffff { (1000, n * 160) } else { (1000 + 0xffff, n * 160 - 0xffff) };
            if !(400..420).contains(&n) {
                phone.packet(timestamp, 1, u16::try_from(duration).unwrap(), n > 447, n == 1);
            }
            phone.pass(20);
        }
        assert_eq!(phone.heard, "1");
    }

    #[test]
    fn esc_12_a_timestamp_that_moves_with_every_packet_may_have_a_hole() {
        let mut phone = Phone::new();
        for n in (1..=30u16).filter(|n| !(8..20).contains(n)) {
            phone.packet(1000 + u32::from(n) * 160, 5, n * 160, n > 27, n == 1);
            phone.pass(if n == 7 { 260 } else { 20 });
        }
        assert_eq!(phone.heard, "5");
    }

    #[test]
    fn esc_12_packets_in_any_order_are_one_digit_and_late_ones_none() {
        let mut phone = Phone::new();
        for n in [3u16, 1, 2, 5, 4] {
            phone.packet(1000, 7, n * 160, false, n == 1);
            phone.pass(20);
        }
        phone.packet(1000, 7, 800, true, false);
        phone.packet(1000, 7, 640, false, false);
        phone.pass(300);
        phone.packet(1000, 7, 800, true, false);
        phone.pass(1000);
        assert_eq!(phone.heard, "7");
    }

    #[test]
    fn the_next_press_ends_one_whose_ends_are_lost() {
        let mut phone = Phone::new();
        phone.press(1000, 1, 40, |n| n <= 2);
        phone.packet(2000, 2, 320, true, false);
        assert_eq!(phone.heard, "12");
    }

    #[test]
    fn an_overtaken_end_packet_is_not_a_press() {
        let mut phone = Phone::new();
        phone.press(1000, 1, 80, |n| n <= 5);
        phone.packet(2200, 2, 160, false, true);
        phone.packet(1000, 1, 640, true, false);
        phone.packet(2200, 2, 640, true, false);
        phone.pass(1000);
        assert_eq!(phone.heard, "12");
    }

    #[test]
    fn a_restarted_timestamp_is_a_new_press() {
        let mut phone = Phone::new();
        phone.press(4_000_000_000, 1, 80, |_| true);
        phone.pass(2000);
        phone.press(70, 1, 80, |_| true);
        phone.pass(1000);
        assert_eq!(phone.heard, "11");
    }

    #[test]
    fn other_events_and_short_payloads_are_ignored() {
        let mut phone = Phone::new();
        phone.packet(1000, 16, 160, true, true);
        phone.packet(1000, 255, 160, true, true);
        let packet = Packet {
            payload_type: 101,
            marker: true,
            sequence: 0,
            timestamp: 1,
            ssrc: 7,
            payload: &[1, 0x80, 0],
        };
        phone.keys.handle_packet(&packet, phone.now);
        phone.pass(1000);
        assert_eq!(phone.heard, "");
    }

    proptest! {
        #[test]
        fn a_press_that_arrives_at_all_is_one_digit(
            event in 0u8..16,
            length in 2u16..60,
            lost in prop::collection::vec(any::<bool>(), 64),
        ) {
            let mut phone = Phone::new();
            phone.press(0xffff_ff00, event, length * 20, |n| !lost[usize::from(n)]);
            phone.pass(1000);
            let packets = (1..=length + 3).filter(|&n| !lost[usize::from(n)]).count();
            prop_assert_eq!(phone.heard.len(), usize::from(packets > 0));
        }
    }
}
