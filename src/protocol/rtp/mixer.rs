//! Three parties who hear each other: each hears the sum of the two others, in a frame of 20 ms at every tick. A
//! machine: what was said goes in as it arrives, and waits [`DELAY`] for what arrives late. Allocates nothing.

use super::Channel;
use super::narrow::Heard;
use super::source::{FRAME, FRAME_SAMPLES};
use crate::protocol::now::{Deadline, Mono};
use std::time::Duration;

pub const SEATS: usize = 3;
/// Of a voice, in samples: what a packet may come too late by and still be heard.
pub const DELAY: u32 = 480;
/// Of a voice at most, in samples: 256 ms.
const ROOM: usize = 2048;
/// What is so many samples behind the newest is late, what is further behind of a clock that was set back.
const OLD_MAX: i32 = 2 * 8000;
/// A mixer that is late by more goes on from now instead of catching up in a burst.
const LATE_MAX: Duration = Duration::from_millis(200);

pub type Frame = [i16; FRAME_SAMPLES];

/// **Put in what arrives, then `turn` until nothing is due, then wait for the next packet or `deadline`.**
pub struct Mixer {
    seats: [Seat; SEATS],
    /// When the next frames are due.
    due: Mono,
    /// What each said in the frame that is being handed out, and who gets his next; [`SEATS`] while none is.
    frames: [Frame; SEATS],
    next: usize,
}

struct Seat {
    channel: Channel,
    voice: Voice,
}

/// What one party says, on the way to its tick.
struct Voice {
    samples: [i16; ROOM],
    source: Option<u32>,
    /// Timestamp of the next sample to be taken, and of what would follow the newest one.
    next: u32,
    newest: u32,
}

impl Mixer {
    pub fn new(channels: [Channel; SEATS], now: Mono) -> Self {
        let seat = |channel| Seat { channel, voice: Voice::new() };
        Self {
            seats: channels.map(seat),
            due: now,
            frames: [[0; FRAME_SAMPLES]; SEATS],
            next: SEATS,
        }
    }

    pub fn seats(&self, channel: Channel) -> bool {
        self.seats.iter().any(|seat| seat.channel == channel)
    }

    /// Who else sits here.
    pub fn others(&self, channel: Channel) -> [Channel; SEATS - 1] {
        let at = self.seats.iter().position(|seat| seat.channel == channel).unwrap_or(0);
        [1, 2].map(|step| self.seats[(at + step) % SEATS].channel)
    }

    /// What whoever sits on this channel said.
    pub fn handle_voice(&mut self, channel: Channel, heard: &Heard<'_>) {
        let seat = self.seats.iter_mut().find(|seat| seat.channel == channel);
        let Some(seat) = seat else { return };
        let Some(skip) = seat.voice.make_room(heard) else { return };
        for (place, sample) in heard.samples.iter().enumerate().skip(skip as usize) {
            seat.voice.samples[self::place(heard.timestamp.wrapping_add(place as u32))] = *sample;
        }
    }

    /// Who gets his next frame, and what he hears in it; none while nothing is due.
    pub fn turn(&mut self, now: Mono) -> Option<(Channel, Frame)> {
        if self.next == SEATS {
            if now < self.due {
                return None;
            }
            if now.since(self.due) > LATE_MAX {
                self.due = now;
            }
            self.due = self.due + FRAME;
            for (frame, seat) in self.frames.iter_mut().zip(&mut self.seats) {
                seat.voice.take(frame);
            }
            self.next = 0;
        }
        let who = self.next;
        self.next += 1;
        let (one, other) = (&self.frames[(who + 1) % SEATS], &self.frames[(who + 2) % SEATS]);
        let heard = std::array::from_fn(|at| one[at].saturating_add(other[at]));
        Some((self.seats[who].channel, heard))
    }

    pub fn deadline(&self) -> Deadline {
        (self.due, "three parties are mixed")
    }
}

impl Voice {
    fn new() -> Self {
        Self { samples: [0; ROOM], source: None, next: 0, newest: 0 }
    }

    /// Makes room for these samples; of them, how many come too late. None where all do.
    fn make_room(&mut self, heard: &Heard<'_>) -> Option<u32> {
        let length = heard.samples.len().min(ROOM) as u32;
        let end = heard.timestamp.wrapping_add(length);
        let is_old =
            self.source == Some(heard.ssrc) && (0..OLD_MAX).contains(&after(self.newest, end));
        let ahead = after(heard.timestamp, self.next);
        if is_old {
            let late = (-i64::from(ahead)).max(0);
            return u32::try_from(late).ok().filter(|late| *late < length);
        }
        let fits = ahead >= 0 && i64::from(ahead) + i64::from(length) <= ROOM as i64;
        if self.source != Some(heard.ssrc) || !fits {
            *self = Self::new();
            self.source = Some(heard.ssrc);
            self.next = heard.timestamp.wrapping_sub(DELAY);
        }
        self.newest = end;
        Some(0)
    }

    fn take(&mut self, frame: &mut Frame) {
        for sample in frame {
            *sample = std::mem::take(&mut self.samples[place(self.next)]);
            self.next = self.next.wrapping_add(1);
        }
    }
}

/// By how much one timestamp comes after another.
fn after(one: u32, other: u32) -> i32 {
    one.wrapping_sub(other) as i32
}

fn place(timestamp: u32) -> usize {
    timestamp as usize % ROOM
}

#[cfg(test)]
mod tests {
    use super::super::narrow::{Ear, Mouth, SAMPLES_MAX};
    use super::super::packet::Packet;
    use super::super::{Codec, g711};
    use super::*;
    use crate::protocol::random::Random;

    const START: Mono = Mono(7_000_000_000);
    const WHO: [Channel; SEATS] = [Channel(3), Channel(5), Channel(9)];
    const CODECS: [Codec; SEATS] = [Codec::Pcma, Codec::Pcmu, Codec::G722];
    const HERTZ: [f64; SEATS] = [400.0, 1000.0, 1900.0];

    fn tone(who: usize, at: usize) -> i16 {
        ((at as f64 * HERTZ[who] * std::f64::consts::TAU / 8000.0).sin() * 6000.0) as i16
    }

    /// How loud a tone is in what was heard.
    fn level(heard: &[i16], hertz: f64) -> f64 {
        let (mut re, mut im) = (0.0, 0.0);
        for (at, sample) in heard.iter().enumerate() {
            let phase = at as f64 * hertz * std::f64::consts::TAU / 8000.0;
            re += f64::from(*sample) * phase.cos();
            im += f64::from(*sample) * phase.sin();
        }
        2.0 * re.hypot(im) / heard.len() as f64
    }

    struct Table {
        mixer: Mixer,
        mouth: Mouth,
        ears: [Ear; SEATS],
        heard: [Vec<i16>; SEATS],
        now: Mono,
    }

    impl Table {
        fn new() -> Self {
            let mixer = Mixer::new(WHO, START);
            let heard = std::array::from_fn(|_| vec![]);
            let (mouth, ears) = (Mouth::default(), std::array::from_fn(|_| Ear::default()));
            Self { mixer, mouth, ears, heard, now: START }
        }

        fn say(&mut self, who: usize, timestamp: u32, samples: &[i16]) {
            let mut payload = [0; 1000];
            let said = self.mouth.say(CODECS[who], samples, &mut payload).unwrap();
            let packet = Packet {
                payload_type: 0,
                marker: false,
                sequence: 0,
                timestamp,
                ssrc: who as u32,
                payload: &payload[..said.bytes],
            };
            let mut out = [0; SAMPLES_MAX];
            let heard = self.ears[who].hear(CODECS[who], &packet, &mut out).unwrap();
            self.mixer.handle_voice(WHO[who], &heard);
        }

        fn tick(&mut self) {
            self.now = self.now + FRAME;
            while let Some((channel, frame)) = self.mixer.turn(self.now) {
                let who = WHO.iter().position(|one| *one == channel).unwrap();
                self.heard[who].extend(frame);
            }
        }
    }

    fn frame_of(who: usize, n: usize) -> Vec<i16> {
        (n * 160..(n + 1) * 160).map(|at| tone(who, at)).collect()
    }

    #[test]
    fn each_hears_the_two_others_and_not_himself() {
        let mut table = Table::new();
        // Each has a clock of his own, one of them about to turn over.
        let clocks = [77_000u32, u32::MAX - 5000, 0];
        for n in 0..250 {
            for (who, clock) in clocks.iter().enumerate() {
                let timestamp = clock.wrapping_add(n * 160);
                table.say(who, timestamp, &frame_of(who, n as usize));
            }
            table.tick();
        }
        for listener in 0..SEATS {
            let heard = &table.heard[listener][8000..];
            for (who, hertz) in HERTZ.iter().enumerate() {
                let level = level(heard, *hertz);
                if who == listener {
                    assert!(level < 60.0, "his own voice: {level}, 40 dB down");
                } else {
                    assert!((5500.0..6500.0).contains(&level), "{listener} hears {who}: {level}");
                }
            }
        }
    }

    #[test]
    fn late_and_disordered_packets_have_their_place_and_old_ones_none() {
        let mut table = Table::new();
        let mut order: Vec<u32> = (0..200).collect();
        for pair in (10..190).step_by(6) {
            order.swap(pair, pair + 1);
        }
        for (n, said) in order.into_iter().enumerate() {
            table.say(0, said * 160, &frame_of(0, said as usize));
            if n == 100 {
                table.say(0, 50 * 160, &frame_of(0, 50));
            }
            table.tick();
        }
        // What the second hears is what the first said, sample for sample, 60 ms later.
        let heard = &table.heard[1];
        for (at, sample) in heard.iter().enumerate().skip(DELAY as usize) {
            let said = g711::encode(Codec::Pcma, tone(0, at - DELAY as usize));
            assert_eq!(*sample, g711::decode(Codec::Pcma, said), "sample {at}");
        }
        assert_eq!(table.heard[0], vec![0; heard.len()], "nobody else spoke");
    }

    #[test]
    fn loud_voices_are_cut_off_and_do_not_turn_over() {
        let mut table = Table::new();
        for n in 0..20 {
            for who in 0..2 {
                table.say(who, n * 160, &[30_000; 160]);
            }
            table.tick();
        }
        assert!(table.heard[2][1600..].iter().all(|sample| *sample > 32_000));
    }

    #[test]
    fn a_new_source_a_jump_and_a_stall_are_heard_again_after_the_delay() {
        let mut table = Table::new();
        let speaks = |table: &mut Table, from: u32, frames: u32| {
            for n in 0..frames {
                table.say(0, from.wrapping_add(n * 160), &[1000; 160]);
                table.tick();
            }
        };
        let (from, other) = (1000u32, 4_000_000_000u32);
        speaks(&mut table, from, 10);
        speaks(&mut table, other, 10);
        // Two seconds of nothing on the clock of the wall, none on the speaker's.
        (0..100).for_each(|_| table.tick());
        speaks(&mut table, other.wrapping_add(1600), 10);
        let loud = table.heard[1].iter().filter(|sample| **sample > 900).count();
        let gap = DELAY as usize / 160;
        assert!(loud >= (30 - 3 * gap - 1) * 160, "{loud}");
        let quiet = table.heard[1].iter().rev().take_while(|sample| **sample > 900).count();
        assert_eq!(quiet, (10 - gap) * 160);
    }

    #[test]
    fn a_late_thread_does_not_burst() {
        let mut mixer = Mixer::new(WHO, START);
        let late = START + Duration::from_secs(3);
        let frames = std::iter::from_fn(|| mixer.turn(late)).count();
        assert_eq!(frames, SEATS);
        assert_eq!(mixer.deadline().0, late + FRAME);
    }

    #[test]
    fn hostile_packets_break_nothing() {
        let mut mixer = Mixer::new(WHO, START);
        let mut random = Random::from_seed([4; 32]);
        for n in 0..20_000u64 {
            let samples = vec![random.below(256) as i16; random.below(1500) as usize];
            let timestamp = match random.below(3) {
                0 => random.u32(),
                1 => u32::MAX - random.below(2000) as u32,
                _ => random.below(5000) as u32,
            };
            let heard = Heard { ssrc: random.below(3) as u32, timestamp, samples: &samples };
            mixer.handle_voice(WHO[random.below(3) as usize], &heard);
            mixer.turn(START + Duration::from_millis(n));
        }
    }
}
