//! Opus: how long a packet lasts, and, where the feature `opus` is built in, what it says, and how it is said. The only
//! door to libopus.

use super::narrow::{SAMPLES_MAX, Said};

/// Length of a packet (RFC 6716 §3.1) in samples at 8000 a second; none for what is no Opus packet.
pub fn samples(payload: &[u8]) -> Option<u16> {
    let toc = *payload.first()?;
    let config = toc >> 3;
    // Eighths of a millisecond.
    let frame: u16 = match (config, config & 3) {
        (0..12, step) => [80, 160, 320, 480][usize::from(step)],
        (12..16, step) => [80, 160][usize::from(step & 1)],
        (_, step) => [20, 40, 80, 160][usize::from(step)],
    };
    let frames = match toc & 3 {
        0 => 1,
        1 | 2 => 2,
        _ => u16::from(payload.get(1)? & 0x3f),
    };
    let samples = frame * frames;
    (samples > 0 && samples <= LONGEST).then_some(samples)
}

/// §3.2.5: 120 ms.
const LONGEST: u16 = 960;

#[cfg(feature = "opus")]
pub use built_in::{Decoder, Ear, Mouth};

#[cfg(feature = "opus")]
mod built_in {
    use super::{LONGEST, SAMPLES_MAX, Said};
    use opus::{Application, Bitrate, Channels};

    /// A frame in samples at 8000 a second (RFC 6716 §2.1.4): 60, 40, 20, 10 ms.
    const FRAMES: [usize; 4] = [480, 320, 160, 80];
    /// Less than G.711, and enough to keep the wave as it is: the quicker half of the codec is used.
    const BITS_A_SECOND: i32 = 48_000;
    /// Of 10: it costs the voice thread.
    const COMPLEXITY: i32 = 3;

    /// From packets to samples at 16,000 a second, one channel.
    pub struct Decoder(Option<opus::Decoder>);

    impl Default for Decoder {
        fn default() -> Self {
            Self(opus::Decoder::new(16_000, Channels::Mono).ok())
        }
    }

    impl Decoder {
        /// Adds what the packet says; nothing where it cannot be decoded.
        pub fn hear(&mut self, payload: &[u8], out: &mut Vec<i16>) {
            let Some(decoder) = &mut self.0 else { return };
            let mut heard = [0; 2 * LONGEST as usize];
            if let Ok(count) = decoder.decode(payload, &mut heard, false) {
                out.extend_from_slice(heard.get(..count).unwrap_or_default());
            }
        }
    }

    /// From packets to samples at 8000 a second.
    pub struct Ear(opus::Decoder);

    impl Ear {
        pub fn new() -> Option<Box<Self>> {
            opus::Decoder::new(8000, Channels::Mono).ok().map(|decoder| Box::new(Self(decoder)))
        }

        /// How many samples the packet says; none where it cannot be decoded.
        pub fn hear(&mut self, payload: &[u8], out: &mut [i16; SAMPLES_MAX]) -> Option<usize> {
            super::samples(payload)?;
            self.0.decode(payload, out, false).ok()
        }
    }

    /// The other way. What does not fill a frame waits for the next packet.
    pub struct Mouth {
        encoder: opus::Encoder,
        rest: [i16; FRAMES[0]],
        held: usize,
    }

    impl Mouth {
        pub fn new() -> Option<Box<Self>> {
            let mut encoder = opus::Encoder::new(8000, Channels::Mono, Application::Voip).ok()?;
            encoder.set_bitrate(Bitrate::Bits(BITS_A_SECOND)).ok()?;
            encoder.set_complexity(COMPLEXITY).ok()?;
            Some(Box::new(Self { encoder, rest: [0; FRAMES[0]], held: 0 }))
        }

        pub fn say(&mut self, samples: &[i16], out: &mut [u8]) -> Option<Said> {
            let mut all = [0; FRAMES[0] + SAMPLES_MAX];
            let (held, count) = (self.held, self.held + samples.len());
            all.get_mut(..held)?.copy_from_slice(&self.rest[..held]);
            all.get_mut(held..count)?.copy_from_slice(samples);
            let frame = FRAMES.into_iter().find(|frame| *frame <= count).unwrap_or(0);
            let rest = &all[frame..count];
            // More than a frame is nothing that a telephone sends.
            self.held = if rest.len() < FRAMES[0] { rest.len() } else { 0 };
            self.rest[..self.held].copy_from_slice(&rest[..self.held]);
            let bytes = self.encoder.encode(all.get(..frame).filter(|_| frame > 0)?, out).ok()?;
            Some(Said { bytes, held: held as u32 })
        }
    }
}

#[cfg(not(feature = "opus"))]
pub use left_out::{Ear, Mouth};

/// Nobody is heard or speaks in it.
#[cfg(not(feature = "opus"))]
mod left_out {
    use super::{SAMPLES_MAX, Said};

    pub enum Ear {}

    impl Ear {
        pub fn new() -> Option<Box<Self>> {
            None
        }

        pub fn hear(&mut self, _: &[u8], _: &mut [i16; SAMPLES_MAX]) -> Option<usize> {
            match *self {}
        }
    }

    pub enum Mouth {}

    impl Mouth {
        pub fn new() -> Option<Box<Self>> {
            None
        }

        pub fn say(&mut self, _: &[i16], _: &mut [u8]) -> Option<Said> {
            match *self {}
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_first_byte_tells_how_long_a_packet_is() {
        for (payload, length) in [
            (&[0x78, 1, 2][..], Some(160)),
            (&[0x0b, 3, 9], Some(480)),
            (&[0x18], Some(480)),
            (&[0x80], Some(20)),
            (&[0xe1], Some(40)),
            (&[0xfb, 6], Some(960)),
            (&[0xfb, 7], None),
            (&[0xfb, 0], None),
            (&[0xfb], None),
            (&[], None),
        ] {
            assert_eq!(samples(payload), length, "{payload:x?}");
        }
    }

    #[cfg(feature = "opus")]
    #[test]
    fn a_tone_is_heard_at_its_level_and_a_broken_packet_is_nothing() {
        let mut encoder =
            opus::Encoder::new(48_000, opus::Channels::Mono, opus::Application::Voip).unwrap();
        let mut decoder = Decoder::default();
        let mut heard = Vec::new();
        let tone = |n: usize| {
            ((std::f64::consts::TAU * 1000.0 * n as f64 / 48_000.0).sin() * 8000.0) as i16
        };
        for frame in 0..50 {
            let said: Vec<i16> = (frame * 960..(frame + 1) * 960).map(tone).collect();
            let packet = encoder.encode_vec(&said, 1500).unwrap();
            assert_eq!(samples(&packet), Some(160));
            decoder.hear(&packet, &mut heard);
        }
        assert_eq!(heard.len(), 50 * 320);
        let power: f64 = heard[8000..].iter().map(|sample| f64::from(*sample).powi(2)).sum();
        let loud = (2.0 * power / 8000.0).sqrt() / 8000.0;
        assert!((0.85..1.15).contains(&loud), "{loud}");
        decoder.hear(&[0xfb], &mut heard);
        assert_eq!(heard.len(), 50 * 320);
    }
}
