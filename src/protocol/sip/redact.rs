//! A message as it may be kept: whole, but for credentials, keys and digits that somebody pressed.

use super::lines::lines;

/// Bytes kept of one message.
pub const KEPT_MAX: usize = 16 * 1024;

const GONE: &[u8] = b"[redacted]";
const CUT: &[u8] = b"\r\n[cut]\r\n";
const SECRET_HEADERS: [&[u8]; 2] = [b"authorization", b"proxy-authorization"];
/// RFC 4568 §4, RFC 4567 §4, RFC 8866 §5.12.
const SECRET_LINES: [&[u8]; 3] = [b"a=crypto:", b"a=key-mgmt:", b"k="];

/// The value of Call-ID (`i`), as it stands; the first where there are several.
pub fn call_id(message: &[u8]) -> Option<&[u8]> {
    let head = lines(message).skip_while(|line| line.trim_ascii().is_empty());
    head.skip(1).take_while(|line| !line.trim_ascii().is_empty()).find_map(|line| {
        if !matches!(line[0], b'c' | b'C' | b'i' | b'I') {
            return None;
        }
        let colon = line.iter().position(|&b| b == b':')?;
        let name = line[..colon].trim_ascii_end();
        let known = name.eq_ignore_ascii_case(b"call-id") || name.eq_ignore_ascii_case(b"i");
        known.then(|| line[colon + 1..].trim_ascii())
    })
}

/// The message without what must not be kept. Linear in its length; never longer than
/// [`KEPT_MAX`] and a mark.
pub fn keepable(message: &[u8]) -> Vec<u8> {
    let mut kept = Vec::with_capacity(message.len().min(KEPT_MAX) + CUT.len());
    let (mut in_head, mut begun, mut secret, mut digits) = (true, false, false, false);
    for line in lines(message) {
        if kept.len() + line.len() > KEPT_MAX {
            kept.extend_from_slice(CUT);
            break;
        }
        let blank = line.trim_ascii().is_empty();
        if in_head {
            in_head = !(blank && begun);
            begun |= !blank;
            let folded = matches!(line[0], b' ' | b'\t') && !blank;
            secret = if folded { secret } else { is_secret_header(line) };
            digits |= is_digits_type(line);
            match (secret, folded) {
                (false, _) => kept.extend_from_slice(line),
                (true, false) => {
                    let name = line.iter().position(|&b| b == b':').unwrap_or(0);
                    kept.extend_from_slice(&line[..name]);
                    kept.extend_from_slice(b": ");
                    kept.extend_from_slice(GONE);
                    kept.extend_from_slice(b"\r\n");
                }
                (true, true) => {}
            }
        } else {
            keep_body_line(line, digits, &mut kept);
        }
    }
    kept
}

fn keep_body_line(line: &[u8], digits: bool, kept: &mut Vec<u8>) {
    let start = line.len() - line.trim_ascii_start().len();
    let text = &line[start..];
    let secret = SECRET_LINES.iter().find(|secret| starts_with(text, secret)).map(|s| s.len());
    let pressed = if !digits || text.is_empty() {
        None
    } else if starts_with(text, b"signal") {
        Some(text.iter().position(|&b| b == b'=').map_or(0, |at| at + 1))
    } else {
        (!text.contains(&b'=')).then_some(0)
    };
    match secret.or(pressed) {
        Some(until) => {
            kept.extend_from_slice(&text[..until]);
            kept.extend_from_slice(GONE);
            kept.extend_from_slice(b"\r\n");
        }
        None => kept.extend_from_slice(line),
    }
}

fn is_secret_header(line: &[u8]) -> bool {
    let line = line.trim_ascii_start();
    SECRET_HEADERS.iter().any(|name| starts_with(line, name))
}

/// INFO with the key that was pressed (application/dtmf, application/dtmf-relay).
fn is_digits_type(line: &[u8]) -> bool {
    let types = starts_with(line, b"content-type") || starts_with(line, b"c:");
    types && line.windows(4).any(|part| part.eq_ignore_ascii_case(b"dtmf"))
}

/// The first letter tells most lines apart.
fn starts_with(line: &[u8], start: &[u8]) -> bool {
    let same = |a: Option<&u8>, b: Option<&u8>| a.map(u8::to_ascii_lowercase) == b.copied();
    same(line.first(), start.first())
        && line.get(..start.len()).is_some_and(|it| it.eq_ignore_ascii_case(start))
}

#[cfg(test)]
mod tests {
    use super::*;

    const INVITE: &str = "INVITE sip:1@a SIP/2.0\r\nVia: x\r\ni: abc@d\r\n\
        Proxy-Authorization: Digest username=\"u\", response=\"0123\",\r\n  cnonce=\"secret\"\r\n\
        AUTHORIZATION : Basic c2VjcmV0\r\nTo: <sip:1@a>\r\n\r\n\
        v=0\r\nk=base64:secret\r\nm=audio 1 RTP/SAVP 8\r\n\
        a=crypto:1 AES_CM_128_HMAC_SHA1_80 inline:secretsecret\r\na=ptime:20\r\n";

    fn kept(message: &str) -> String {
        String::from_utf8(keepable(message.as_bytes())).unwrap()
    }

    #[test]
    fn rec_s11_credentials_and_keys_are_never_kept() {
        let text = kept(INVITE);
        for secret in ["0123", "secret", "c2VjcmV0", "username"] {
            assert!(!text.contains(secret), "{secret} in {text}");
        }
        for plain in ["Via: x", "i: abc@d", "To: <sip:1@a>\r\n\r\nv=0", "a=ptime:20", "SAVP 8"] {
            assert!(text.contains(plain), "{plain} not in {text}");
        }
        assert!(text.contains("Proxy-Authorization: [redacted]\r\n"), "{text}");
        assert!(text.contains("a=crypto:[redacted]\r\n"), "{text}");
    }

    #[test]
    fn rec_s11_keys_that_were_pressed_are_never_kept() {
        let relay = "INFO sip:1@a SIP/2.0\r\nContent-Type: application/dtmf-relay\r\n\r\n\
            Signal= 7\r\nDuration=160\r\n";
        assert!(kept(relay).ends_with("\r\n\r\nSignal=[redacted]\r\nDuration=160\r\n"));
        let bare = "INFO sip:1@a SIP/2.0\r\nc: application/dtmf\r\n\r\n7";
        assert!(kept(bare).ends_with("\r\n\r\n[redacted]\r\n"));
    }

    #[test]
    fn rec_s11_everything_else_is_kept_byte_for_byte() {
        let plain: &[u8] =
            b"\r\nSIP/2.0 200 OK\r\nFrom: \"\xd5\xc5\0\x1b[2J\" <sip:1@a>\r\n\r\n\xff\xfe";
        assert_eq!(keepable(plain), plain);
        assert_eq!(keepable(b""), b"");
    }

    #[test]
    fn rel_a_long_message_is_cut_with_a_mark() {
        let long = format!("INVITE sip:1@a SIP/2.0\r\n{}\r\n", "X-Y: 0123456789\r\n".repeat(3000));
        let text = kept(&long);
        assert!(text.len() <= KEPT_MAX + CUT.len() && text.ends_with("[cut]\r\n"));
        let endless = [b'a'; 70_000];
        assert_eq!(keepable(&endless), CUT);
    }

    #[test]
    fn the_call_id_is_found_in_either_form() {
        assert_eq!(call_id(INVITE.as_bytes()), Some(&b"abc@d"[..]));
        let long = b"\r\nSIP/2.0 200 OK\r\nCALL-ID :  x y \r\ni: other\r\n\r\n";
        assert_eq!(call_id(long), Some(&b"x y"[..]));
        assert_eq!(call_id(b"BYE sip:1@a SIP/2.0\r\nVia: x\r\n\r\nCall-ID: body\r\n"), None);
    }
}
