//! Names of headers: compact ones in their long form, and the frequent ones without a copy.

use std::borrow::Cow;

/// What nearly every message has.
const FREQUENT: [&str; 20] = [
    "via",
    "from",
    "to",
    "call-id",
    "cseq",
    "contact",
    "max-forwards",
    "content-length",
    "content-type",
    "route",
    "record-route",
    "allow",
    "supported",
    "require",
    "user-agent",
    "server",
    "expires",
    "session-expires",
    "min-se",
    "authorization",
];

/// §25.1 `token`.
pub fn is_token(byte: u8) -> bool {
    TOKEN[usize::from(byte)]
}

const TOKEN: [bool; 256] = {
    let mut token = [false; 256];
    let mut byte = 0;
    while byte < token.len() {
        token[byte] = (byte as u8).is_ascii_alphanumeric();
        byte += 1;
    }
    let others = b"-.!%*_+`'~";
    let mut at = 0;
    while at < others.len() {
        token[others[at] as usize] = true;
        at += 1;
    }
    token
};

/// In long form and lower case.
pub fn header_name(written: &[u8]) -> Cow<'static, str> {
    if let [letter] = written {
        return match long(letter.to_ascii_lowercase()) {
            Some(name) => Cow::Borrowed(name),
            None => Cow::Owned(char::from(letter.to_ascii_lowercase()).to_string()),
        };
    }
    match FREQUENT.iter().find(|name| written.eq_ignore_ascii_case(name.as_bytes())) {
        Some(name) => Cow::Borrowed(name),
        None => Cow::Owned(String::from_utf8_lossy(written).to_ascii_lowercase()),
    }
}

/// Compact forms (§7.3.3 and the registry's later ones).
fn long(letter: u8) -> Option<&'static str> {
    Some(match letter {
        b'a' => "accept-contact",
        b'b' => "referred-by",
        b'c' => "content-type",
        b'd' => "request-disposition",
        b'e' => "content-encoding",
        b'f' => "from",
        b'i' => "call-id",
        b'j' => "reject-contact",
        b'k' => "supported",
        b'l' => "content-length",
        b'm' => "contact",
        b'o' => "event",
        b'r' => "refer-to",
        b's' => "subject",
        b't' => "to",
        b'u' => "allow-events",
        b'v' => "via",
        b'x' => "session-expires",
        _ => return None,
    })
}
