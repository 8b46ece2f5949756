//! Characters of seven bits (3GPP TS 23.038 §6.2.1), and how they are packed (§6.1.2.1).

/// What comes next is one of the extension (§6.2.1.1).
const ESCAPE: u8 = 0x1b;

/// By code; the escape itself is shown as a space.
const BASIC: &str = "@£$¥èéùìòÇ\nØø\rÅåΔ_ΦΓΛΩΠΨΣΘΞ ÆæßÉ !\"#¤%&'()*+,-./0123456789:;<=>?¡ABCDEFGHIJKLMNOPQRSTUVWXYZÄÖÑÜ§¿abcdefghijklmnopqrstuvwxyzäöñüà";

/// The septets from `skip` to `count`, as text; of the octets that there are.
pub fn unpack(octets: &[u8], skip: usize, count: usize) -> String {
    let basic: Vec<char> = BASIC.chars().collect();
    let mut text = String::new();
    let mut escaped = false;
    for septet in (skip..count).map_while(|nth| septet(octets, nth)) {
        if escaped {
            escaped = false;
            text.push(extended(septet).unwrap_or(basic[usize::from(septet)]));
        } else if septet == ESCAPE {
            escaped = true;
        } else {
            text.push(basic[usize::from(septet)]);
        }
    }
    text
}

fn septet(octets: &[u8], nth: usize) -> Option<u8> {
    let (at, shift) = (nth * 7 / 8, nth * 7 % 8);
    let low = u16::from(*octets.get(at)?);
    let high = octets.get(at + 1).map_or(0, |octet| u16::from(*octet));
    if shift > 1 && at + 1 >= octets.len() {
        return None;
    }
    let septet = (high << 8 | low) >> shift & 0x7f;
    u8::try_from(septet).ok()
}

fn extended(septet: u8) -> Option<char> {
    Some(match septet {
        0x0a => '\u{c}',
        0x14 => '^',
        0x28 => '{',
        0x29 => '}',
        0x2f => '\\',
        0x3c => '[',
        0x3d => '~',
        0x3e => ']',
        0x40 => '|',
        0x65 => '€',
        _ => return None,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_code_has_its_character() {
        assert_eq!(BASIC.chars().count(), 128);
        for plain in ('a'..='z').chain('A'..='Z').chain('0'..='9').chain(" !\"#%&'()*+,-./".chars())
        {
            let at = BASIC.chars().rposition_of(plain);
            assert_eq!(u32::try_from(at).unwrap(), u32::from(plain), "{plain}");
        }
    }

    trait Position {
        fn rposition_of(self, wanted: char) -> usize;
    }

    impl Position for std::str::Chars<'_> {
        /// The space is there twice: the escape is shown as one.
        fn rposition_of(self, wanted: char) -> usize {
            let all: Vec<char> = self.collect();
            all.iter().rposition(|one| *one == wanted).unwrap()
        }
    }

    #[test]
    fn septets_are_packed_from_the_lowest_bit() {
        // "hellohello", the example that every description of it has.
        let packed = [0xe8, 0x32, 0x9b, 0xfd, 0x46, 0x97, 0xd9, 0xec, 0x37];
        assert_eq!(unpack(&packed, 0, 10), "hellohello");
        assert_eq!(unpack(&packed, 5, 10), "hello");
        assert_eq!(unpack(&packed, 0, 200), "hellohello", "no more than there is");
        assert_eq!(unpack(&[], 0, 10), "");
        // ESC and 'e': the euro.
        assert_eq!(unpack(&[0x9b, 0x32], 0, 2), "€");
    }
}
