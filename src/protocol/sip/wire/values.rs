//! What a header's value is made of: numbers, and parts between commas and semicolons.

/// A number of digits only, at most `max`.
pub fn decimal(value: &[u8], max: u64) -> Option<u64> {
    let value = value.trim_ascii();
    if value.is_empty() || value.len() > 20 {
        return None;
    }
    let mut number = 0u64;
    for byte in value {
        if !byte.is_ascii_digit() {
            return None;
        }
        number = number.checked_mul(10)?.checked_add(u64::from(byte - b'0'))?;
    }
    (number <= max).then_some(number)
}

/// Cuts at commas outside quotes and angle brackets; empty elements are left out.
pub fn split_commas(value: &[u8]) -> impl Iterator<Item = &[u8]> {
    split_outside(value, b',').map(<[u8]>::trim_ascii).filter(|part| !part.is_empty())
}

/// Cuts at `separator` outside quoted strings and angle brackets.
pub fn split_outside(value: &[u8], separator: u8) -> impl Iterator<Item = &[u8]> {
    // Most values have neither, and nothing to be kept in mind.
    let plain = !has_any(value, |byte| matches!(byte, b'"' | b'<'));
    let (mut quoted, mut escaped, mut angle) = (false, false, false);
    value.split(move |&byte| {
        if plain {
            return byte == separator;
        }
        if escaped {
            escaped = false;
        } else if quoted {
            escaped = byte == b'\\';
            quoted = byte != b'"';
        } else if byte == b'"' {
            quoted = true;
        } else if byte == b'<' {
            angle = true;
        } else if byte == b'>' {
            angle = false;
        } else {
            return byte == separator && !angle;
        }
        false
    })
}

/// Looks at every byte, many at once: faster than to stop at the first where there is seldom one.
pub fn has_any(bytes: &[u8], wanted: impl Fn(u8) -> bool) -> bool {
    bytes.iter().fold(false, |found, byte| found | wanted(*byte))
}
