//! Hostile bytes to text that is safe to show: decoded late, controls removed.

use std::borrow::Cow;

/// UTF-8, else GB18030, else Latin-1; without control and bidi characters.
pub fn decode(bytes: &[u8]) -> String {
    read(bytes).chars().filter(|&c| !is_unwanted(c)).collect()
}

/// As [`decode`], of a file with lines and tabs.
pub fn lines(bytes: &[u8]) -> String {
    let kept = |c: &char| matches!(c, '\n' | '\r' | '\t') || !is_unwanted(*c);
    read(bytes).chars().filter(kept).collect()
}

/// As [`decode`], with a sign in the place of everything that is left out there: for a person who
/// wants to know what was sent.
pub fn visible(bytes: &[u8]) -> String {
    let mut shown = String::with_capacity(bytes.len());
    for c in read(bytes).chars() {
        match c {
            '\0'..='\x1f' => shown.extend(char::from_u32(0x2400 + u32::from(c))),
            '\x7f' => shown.push('\u{2421}'),
            c if is_unwanted(c) => shown.push_str(&format!("‹{:04X}›", u32::from(c))),
            c => shown.push(c),
        }
    }
    shown
}

fn read(bytes: &[u8]) -> Cow<'_, str> {
    match std::str::from_utf8(bytes) {
        Ok(text) => text.into(),
        Err(_) => encoding_rs::GB18030
            .decode_without_bom_handling_and_without_replacement(bytes)
            .unwrap_or_else(|| bytes.iter().map(|&b| char::from(b)).collect()),
    }
}

/// C0, C1, and what changes the direction or the lines of the text around it.
fn is_unwanted(c: char) -> bool {
    c.is_control()
        || matches!(c, '\u{61c}' | '\u{200b}'..='\u{200f}' | '\u{2028}'..='\u{202e}')
        || matches!(c, '\u{2060}'..='\u{206f}' | '\u{feff}')
}

/// `%41` to `A`; a `%` that begins no escape stays.
pub fn percent_decode(bytes: &[u8]) -> Vec<u8> {
    let mut decoded = Vec::with_capacity(bytes.len());
    let mut rest = bytes;
    while let Some((&byte, tail)) = rest.split_first() {
        let escape = (byte == b'%').then(|| tail.get(..2)).flatten().and_then(hex_byte);
        decoded.push(escape.unwrap_or(byte));
        rest = if escape.is_some() { &tail[2..] } else { tail };
    }
    decoded
}

/// A user part as §25.1 writes it.
pub fn percent_encode_user(user: &str) -> String {
    let mut encoded = String::with_capacity(user.len());
    for byte in user.bytes() {
        if byte.is_ascii_alphanumeric() || b"-_.!~*'()&=+$,;?/".contains(&byte) {
            encoded.push(char::from(byte));
        } else {
            encoded.push_str(&format!("%{byte:02X}"));
        }
    }
    encoded
}

/// The content of a quoted string as §25.1 writes it, quotes included.
pub fn quote(text: &str) -> String {
    let mut quoted = String::from("\"");
    for c in text.chars().filter(|&c| !is_unwanted(c)) {
        if matches!(c, '"' | '\\') {
            quoted.push('\\');
        }
        quoted.push(c);
    }
    quoted.push('"');
    quoted
}

/// A quoted string's content without its escapes; anything else as it stands.
pub fn unquote(value: &[u8]) -> Vec<u8> {
    let value = value.trim_ascii();
    let Some(inner) = value.strip_prefix(b"\"") else { return value.to_vec() };
    let inner = inner.strip_suffix(b"\"").unwrap_or(inner);
    let mut plain = Vec::with_capacity(inner.len());
    let mut escaped = false;
    for &byte in inner {
        if byte == b'\\' && !escaped {
            escaped = true;
        } else {
            escaped = false;
            plain.push(byte);
        }
    }
    plain
}

fn hex_byte(digits: &[u8]) -> Option<u8> {
    let digit = |byte: u8| char::from(byte).to_digit(16);
    let [high, low] = digits else { return None };
    u8::try_from(digit(*high)? * 16 + digit(*low)?).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_read_as_utf8_then_gb18030_then_latin1() {
        assert_eq!(decode("张伟".as_bytes()), "张伟");
        assert_eq!(decode(b"\xd5\xc5\xce\xb0"), "张伟");
        assert_eq!(decode(b"caf\xe9"), "café");
    }

    #[test]
    fn rel_controls_and_direction_marks_never_reach_a_reader() {
        assert_eq!(decode("a\u{202e}b\u{7}c\u{85}d\u{2066}e\r\nf\0".as_bytes()), "abcdef");
        assert_eq!(decode(b"\x1b[2J\xd5\xc5"), "[2J张");
    }

    #[test]
    fn rel_what_was_sent_can_be_seen_and_does_nothing() {
        assert_eq!(visible(b"a\r\n\x1b[31m\0\x7f"), "a␍␊␛[31m␀␡");
        assert_eq!(visible("x\u{202e}y\u{85}".as_bytes()), "x‹202E›y‹0085›");
        assert_eq!(visible(b"\xd5\xc5\xce\xb0"), "张伟");
    }

    #[test]
    fn percent_escapes_go_and_come() {
        assert_eq!(percent_decode(b"%41%zz%4"), b"A%zz%4");
        assert_eq!(percent_decode(b"null-%00-null"), b"null-\0-null");
        assert_eq!(percent_encode_user("*9#@ 1"), "*9%23%40%201");
    }

    #[test]
    fn quoting_survives_its_way_back() {
        assert_eq!(unquote(quote("a\"b\\c").as_bytes()), b"a\"b\\c");
        assert_eq!(unquote(b"token"), b"token");
        assert_eq!(unquote(b"\""), b"");
    }
}
