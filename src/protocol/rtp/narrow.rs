//! Every codec that is turned into others here, heard and said as samples at 8000 a second: for the tones, the mixer, the
//! other leg's codec and our prompts. What one packet leaves to the next is kept, and nothing is allocated for a packet.

use super::packet::{self, Packet};
use super::{Codec, g711, g722, libopus};

/// Samples that a packet may hold: an Ethernet frame's worth of G.711.
pub const SAMPLES_MAX: usize = packet::BYTES_MAX;
/// Ticks a second of what is heard here.
const CLOCK: u32 = 8000;

/// What a packet said.
#[derive(Debug, Clone, Copy)]
pub struct Heard<'a> {
    pub ssrc: u32,
    /// In samples, whatever the codec's clock.
    pub timestamp: u32,
    pub samples: &'a [i16],
}

/// What became of samples that were said.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Said {
    pub bytes: usize,
    /// Samples of packets before that stand first in it.
    pub held: u32,
}

/// What one party says. **Each of its packets once, as they come.**
#[derive(Default)]
pub struct Ear {
    wide: g722::Decoder,
    full: Option<Box<libopus::Ear>>,
    clock: Clock,
}

/// What is said to one party.
#[derive(Default)]
pub struct Mouth {
    wide: g722::Encoder,
    full: Option<Box<libopus::Mouth>>,
}

/// Timestamps of another clock, in samples: one that turns over at 2³² has no multiple that does.
#[derive(Debug, Clone, Copy, Default)]
struct Clock {
    theirs: u32,
    ours: u32,
}

impl Ear {
    /// Allocates what this codec needs, where it needs something.
    pub fn prepare(&mut self, codec: Codec) {
        if codec == Codec::Opus && self.full.is_none() {
            self.full = libopus::Ear::new();
        }
    }

    /// None for what is not understood here.
    pub fn hear<'a>(
        &mut self,
        codec: Codec,
        packet: &Packet<'_>,
        out: &'a mut [i16; SAMPLES_MAX],
    ) -> Option<Heard<'a>> {
        let payload = packet.payload;
        let count = match codec {
            Codec::Pcmu | Codec::Pcma => {
                let decoded = g711::decoding(codec);
                out.iter_mut()
                    .zip(payload)
                    .for_each(|(to, from)| *to = decoded[usize::from(*from)]);
                payload.len()
            }
            Codec::G722 => {
                out.iter_mut().zip(payload).for_each(|(to, from)| *to = self.wide.narrow(*from));
                payload.len()
            }
            Codec::Opus => self.full.as_mut()?.hear(payload, out)?,
            Codec::G729 | Codec::Unknown => return None,
        };
        let timestamp = self.clock.narrowed(packet.timestamp, codec.clock());
        Some(Heard { ssrc: packet.ssrc, timestamp, samples: out.get(..count)? })
    }
}

impl Mouth {
    /// Allocates what this codec needs, where it needs something.
    pub fn prepare(&mut self, codec: Codec) {
        if codec == Codec::Opus && self.full.is_none() {
            self.full = libopus::Mouth::new();
        }
    }

    /// Writes what follows on the samples before to the start of `out`; none where it says nothing yet, or nothing here
    /// can say it.
    pub fn say(&mut self, codec: Codec, samples: &[i16], out: &mut [u8]) -> Option<Said> {
        let all = out.get_mut(..samples.len());
        match codec {
            Codec::Pcmu | Codec::Pcma => {
                all?.iter_mut()
                    .zip(samples)
                    .for_each(|(to, from)| *to = g711::encode(codec, *from));
            }
            Codec::G722 => {
                all?.iter_mut().zip(samples).for_each(|(to, from)| *to = self.wide.narrow(*from));
            }
            Codec::Opus => return self.full.as_mut()?.say(samples, out),
            Codec::G729 | Codec::Unknown => return None,
        }
        Some(Said { bytes: samples.len(), held: 0 })
    }
}

impl Clock {
    fn narrowed(&mut self, timestamp: u32, clock: u32) -> u32 {
        let times = clock / CLOCK;
        if times <= 1 {
            return timestamp;
        }
        let passed = timestamp.wrapping_sub(self.theirs).cast_signed().div_euclid(times as i32);
        self.ours = self.ours.wrapping_add_signed(passed);
        self.theirs = self.theirs.wrapping_add_signed(passed * times as i32);
        self.ours
    }
}

/// A moment in samples, as the clock of a codec has it.
pub fn stamped(samples: u32, codec: Codec) -> u32 {
    samples.wrapping_mul(codec.clock() / CLOCK)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn packet(timestamp: u32, payload: &[u8]) -> Packet<'_> {
        Packet { payload_type: 0, marker: false, sequence: 0, timestamp, ssrc: 7, payload }
    }

    fn tone(n: usize) -> i16 {
        ((n as f64 * 1000.0 * std::f64::consts::TAU / 8000.0).sin() * 8000.0) as i16
    }

    fn convertible() -> Vec<Codec> {
        Codec::ALL.into_iter().filter(|codec| codec.is_convertible()).collect()
    }

    #[test]
    fn sig_19_what_is_said_in_any_codec_is_heard_at_its_level_and_moment() {
        for codec in convertible() {
            let (mut mouth, mut ear, mut out) =
                (Mouth::default(), Ear::default(), [0; SAMPLES_MAX]);
            mouth.prepare(codec);
            ear.prepare(codec);
            let (mut heard, mut payload) = (Vec::<i16>::new(), [0; SAMPLES_MAX]);
            let mut began = None;
            for frame in 0..100 {
                let samples: Vec<i16> = (frame * 160..(frame + 1) * 160).map(tone).collect();
                let said = mouth.say(codec, &samples, &mut payload).unwrap();
                let timestamp = stamped(frame as u32 * 160 + 77, codec);
                let one = ear.hear(codec, &packet(timestamp, &payload[..said.bytes]), &mut out);
                let one = one.unwrap();
                let began = *began.get_or_insert(one.timestamp);
                assert_eq!(one.timestamp.wrapping_sub(began), frame as u32 * 160, "{codec:?}");
                heard.extend(one.samples);
            }
            assert_eq!(heard.len(), 16_000);
            let power: f64 = heard[8000..].iter().map(|sample| f64::from(*sample).powi(2)).sum();
            let loud = (2.0 * power / 8000.0).sqrt() / 8000.0;
            assert!((0.85..1.15).contains(&loud), "{codec:?}: {loud}");
        }
    }

    #[test]
    fn what_is_only_passed_on_is_neither_heard_nor_said() {
        let (mut mouth, mut ear) = (Mouth::default(), Ear::default());
        for codec in Codec::ALL.into_iter().filter(|codec| !codec.is_convertible()) {
            mouth.prepare(codec);
            ear.prepare(codec);
            assert!(ear.hear(codec, &packet(0, &[1; 20]), &mut [0; SAMPLES_MAX]).is_none());
            assert_eq!(mouth.say(codec, &[1; 160], &mut [0; 160]), None);
        }
    }

    #[test]
    fn a_faster_clock_is_followed_over_its_wrap_and_back() {
        let mut clock = Clock::default();
        let first = clock.narrowed(u32::MAX - 960 * 2 + 1, 48_000);
        let at =
            |clock: &mut Clock, theirs: u32| clock.narrowed(theirs, 48_000).wrapping_sub(first);
        assert_eq!(at(&mut clock, u32::MAX - 960 + 1), 160);
        assert_eq!(at(&mut clock, 960), 480);
        assert_eq!(at(&mut clock, 0), 320, "one that was overtaken");
        assert_eq!(at(&mut clock, 963), 480, "less than a sample is kept");
        assert_eq!(at(&mut clock, 966), 481);
    }

    #[test]
    fn hostile_payloads_break_nothing() {
        let (mut mouth, mut ear, mut out) = (Mouth::default(), Ear::default(), [0; SAMPLES_MAX]);
        for codec in Codec::ALL {
            mouth.prepare(codec);
            ear.prepare(codec);
            for length in [0, 1, 2, 3, 79, 161, 1400, SAMPLES_MAX, SAMPLES_MAX + 1, 4000] {
                for fill in [0, 0x7f, 0xfb, 0xff] {
                    let payload = vec![fill; length];
                    if let Some(heard) = ear.hear(codec, &packet(u32::MAX, &payload), &mut out) {
                        assert!(heard.samples.len() <= SAMPLES_MAX);
                    }
                }
                mouth.say(codec, &vec![-1; length], &mut [0; SAMPLES_MAX]);
            }
        }
    }

    #[cfg(feature = "opus")]
    #[test]
    fn sig_19_packets_of_any_length_become_frames_of_opus_and_nothing_is_lost() {
        for length in [80, 160, 240, 320, 400, 480] {
            let (mut mouth, mut payload) = (Mouth::default(), [0; SAMPLES_MAX]);
            mouth.prepare(Codec::Opus);
            let (mut said, mut next) = (0, 0);
            for n in 0..12u32 {
                let samples = vec![100; length];
                let one = mouth.say(Codec::Opus, &samples, &mut payload).unwrap();
                let begins = n * length as u32 - one.held;
                assert_eq!(begins, next, "each goes on where the one before ended: {length}");
                let lasts = libopus::samples(&payload[..one.bytes]).unwrap();
                next += u32::from(lasts);
                said += usize::from(lasts);
            }
            assert!(said + 80 >= 12 * length, "{said} of {}", 12 * length);
        }
    }
}
