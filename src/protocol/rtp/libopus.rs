//! Opus as far as a recorder needs it: how long a packet lasts, and, where the feature `opus` is built in, what it
//! says. The only door to libopus.

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
pub use built_in::Decoder;

#[cfg(feature = "opus")]
mod built_in {
    use super::LONGEST;

    /// From packets to samples at 16,000 a second, one channel.
    pub struct Decoder(Option<opus::Decoder>);

    impl Default for Decoder {
        fn default() -> Self {
            Self(opus::Decoder::new(16_000, opus::Channels::Mono).ok())
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
