//! G.711 (ITU-T G.711, 11/88): A-law and µ-law to and from 16-bit linear samples, by tables.

use super::Codec;

/// The byte that is silence; 0 for what is not G.711.
pub const fn silence(codec: Codec) -> u8 {
    match codec {
        Codec::Pcma => 0xd5,
        Codec::Pcmu => 0xff,
        Codec::G722 | Codec::G729 | Codec::Opus | Codec::Unknown => 0,
    }
}

/// One sample as 16-bit linear; 0 for what is not G.711.
pub fn decode(codec: Codec, byte: u8) -> i16 {
    decoding(codec)[usize::from(byte)]
}

/// The table that turns each byte into 16-bit linear; zeros for what is not G.711.
pub fn decoding(codec: Codec) -> &'static [i16; 256] {
    match codec {
        Codec::Pcma => &A_DECODED,
        Codec::Pcmu => &MU_DECODED,
        Codec::G722 | Codec::G729 | Codec::Opus | Codec::Unknown => &[0; 256],
    }
}

/// One linear sample in the codec; 0 for what is not G.711.
pub fn encode(codec: Codec, sample: i16) -> u8 {
    match codec {
        Codec::Pcma => encode_a(sample),
        Codec::Pcmu => encode_mu(sample),
        Codec::G722 | Codec::G729 | Codec::Opus | Codec::Unknown => 0,
    }
}

/// The table that turns a byte of one codec into a byte of the other; none where they are the same, or not G.711.
pub fn transcoding(from: Codec, to: Codec) -> Option<&'static [u8; 256]> {
    match (from, to) {
        (Codec::Pcma, Codec::Pcmu) => Some(&A_TO_MU),
        (Codec::Pcmu, Codec::Pcma) => Some(&MU_TO_A),
        (Codec::Pcma | Codec::Pcmu, _) => None,
        (Codec::G722 | Codec::G729 | Codec::Opus | Codec::Unknown, _) => None,
    }
}

macro_rules! table {
    ($item:ty, |$byte:ident| $value:expr) => {{
        let mut table: [$item; 256] = [0; 256];
        let mut index = 0;
        while index < 256 {
            let $byte = index as u8;
            table[index] = $value;
            index += 1;
        }
        table
    }};
}

static A_DECODED: [i16; 256] = table!(i16, |byte| decode_a(byte));
static MU_DECODED: [i16; 256] = table!(i16, |byte| decode_mu(byte));
static A_TO_MU: [u8; 256] = table!(u8, |byte| encode_mu(decode_a(byte)));
static MU_TO_A: [u8; 256] = table!(u8, |byte| encode_a(decode_mu(byte)));

const POSITIVE: u8 = 0x80;
/// Every other bit of an A-law byte is sent inverted.
const A_INVERTED: u8 = 0x55;
/// What moves the first µ-law segment's start to a power of two, at 16 bits.
const MU_BIAS: i16 = 0x84;

const fn decode_a(byte: u8) -> i16 {
    let code = byte ^ A_INVERTED;
    let segment = (code >> 4) & 7;
    let step = ((code & 15) as i16) << 4;
    let magnitude = if segment == 0 { step + 8 } else { (step + 0x108) << (segment - 1) };
    if code & POSITIVE != 0 { magnitude } else { -magnitude }
}

const fn encode_a(sample: i16) -> u8 {
    let magnitude = (if sample < 0 { !sample } else { sample } >> 4) as u16;
    let code = if magnitude < 32 {
        magnitude as u8
    } else {
        let segment = magnitude.ilog2() - 3;
        ((segment as u8) << 4) | ((magnitude >> (segment - 1)) & 15) as u8
    };
    (if sample < 0 { code } else { code | POSITIVE }) ^ A_INVERTED
}

const fn decode_mu(byte: u8) -> i16 {
    let code = !byte;
    let segment = (code >> 4) & 7;
    let magnitude = (((((code & 15) as i16) << 3) + MU_BIAS) << segment) - MU_BIAS;
    if byte & POSITIVE != 0 { magnitude } else { -magnitude }
}

const fn encode_mu(sample: i16) -> u8 {
    let magnitude = (if sample < 0 { !sample } else { sample } >> 2) as u16 + (MU_BIAS >> 2) as u16;
    let magnitude = if magnitude > 0x1fff { 0x1fff } else { magnitude };
    let segment = magnitude.ilog2() - 5;
    let code = !(((segment as u8) << 4) | ((magnitude >> (segment + 1)) & 15) as u8);
    if sample < 0 { code & !POSITIVE } else { code | POSITIVE }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// G.191 `alaw_compress`, `alaw_expand`, `ulaw_compress`, `ulaw_expand` as formulas over the standard's segments.
    mod itu {
        pub fn a_compress(sample: i16) -> u8 {
            let mut ix = i32::from(if sample < 0 { !sample } else { sample }) >> 4;
            if ix > 15 {
                let mut exponent = 1;
                while ix > 16 + 15 {
                    ix >>= 1;
                    exponent += 1;
                }
                ix = ix - 16 + (exponent << 4);
            }
            if sample >= 0 {
                ix |= 0x80;
            }
            (ix ^ 0x55) as u8
        }

        pub fn a_expand(byte: u8) -> i16 {
            let ix = i32::from(byte ^ 0x55) & 0x7f;
            let exponent = ix >> 4;
            let mut mantissa = ix & 15;
            if exponent > 0 {
                mantissa += 16;
            }
            mantissa = (mantissa << 4) + 8;
            if exponent > 1 {
                mantissa <<= exponent - 1;
            }
            (if byte > 127 { mantissa } else { -mantissa }) as i16
        }

        pub fn mu_compress(sample: i16) -> u8 {
            let mut absolute = (i32::from(if sample < 0 { !sample } else { sample }) >> 2) + 33;
            absolute = absolute.min(0x1fff);
            let (mut i, mut segment) = (absolute >> 6, 1);
            while i != 0 {
                segment += 1;
                i >>= 1;
            }
            let byte = ((8 - segment) << 4) | (15 - ((absolute >> segment) & 15));
            (if sample >= 0 { byte | 0x80 } else { byte }) as u8
        }

        pub fn mu_expand(byte: u8) -> i16 {
            let sign = if byte < 0x80 { -1 } else { 1 };
            let inverted = !i32::from(byte);
            let exponent = (inverted >> 4) & 7;
            let step = 4 << (exponent + 1);
            (sign * ((0x80 << exponent) + step * (inverted & 15) + step / 2 - 4 * 33)) as i16
        }
    }

    #[test]
    fn every_byte_and_every_sample_is_as_the_itu_says() {
        for byte in 0..=255 {
            assert_eq!(decode(Codec::Pcma, byte), itu::a_expand(byte), "A {byte:#x}");
            assert_eq!(decode(Codec::Pcmu, byte), itu::mu_expand(byte), "mu {byte:#x}");
        }
        for sample in i16::MIN..=i16::MAX {
            assert_eq!(encode(Codec::Pcma, sample), itu::a_compress(sample), "A {sample}");
            assert_eq!(encode(Codec::Pcmu, sample), itu::mu_compress(sample), "mu {sample}");
        }
    }

    #[test]
    fn known_values_hold() {
        for (codec, byte, sample) in [
            (Codec::Pcma, 0xd5, 8),
            (Codec::Pcma, 0x55, -8),
            (Codec::Pcma, 0xaa, 32256),
            (Codec::Pcma, 0x2a, -32256),
            (Codec::Pcma, 0x80, 5504),
            (Codec::Pcmu, 0xff, 0),
            (Codec::Pcmu, 0x80, 32124),
            (Codec::Pcmu, 0x00, -32124),
            (Codec::Pcmu, 0xf0, 120),
        ] {
            assert_eq!(decode(codec, byte), sample, "{codec:?} {byte:#x}");
        }
        assert_eq!(encode(Codec::Pcma, 0), silence(Codec::Pcma));
        assert_eq!(encode(Codec::Pcmu, 0), silence(Codec::Pcmu));
    }

    #[test]
    fn a_decoded_byte_encodes_to_itself() {
        for byte in 0..=255 {
            assert_eq!(encode(Codec::Pcma, decode(Codec::Pcma, byte)), byte);
            let negative_zero = byte == 0x7f;
            assert_eq!(
                encode(Codec::Pcmu, decode(Codec::Pcmu, byte)),
                if negative_zero { 0xff } else { byte }
            );
        }
    }

    #[test]
    fn transcoding_is_decode_then_encode() {
        let table = transcoding(Codec::Pcma, Codec::Pcmu).unwrap();
        let back = transcoding(Codec::Pcmu, Codec::Pcma).unwrap();
        assert_eq!(table[usize::from(silence(Codec::Pcma))], encode(Codec::Pcmu, 8));
        for byte in 0..=255u8 {
            assert_eq!(table[usize::from(byte)], encode(Codec::Pcmu, decode(Codec::Pcma, byte)));
            assert_eq!(back[usize::from(byte)], encode(Codec::Pcma, decode(Codec::Pcmu, byte)));
        }
        assert_eq!(transcoding(Codec::Pcma, Codec::Pcma), None);
    }
}
