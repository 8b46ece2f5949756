//! What a message carries: a session description, alone or as one part of several (RFC 3261 §7.4, §20.11; RFC 2046 §5.1;
//! RFC 5621). Trunks put ISUP or a location beside it; whatever else there is, a call is not refused for it.

use super::text::unquote;
use super::wire::{Message, split_outside};

/// RFC 2046 §5.1.1.
const BOUNDARY_MAX: usize = 70;
/// Parts that are looked at, and multiparts within a multipart.
const PARTS_MAX: usize = 16;
const DEPTH_MAX: u8 = 2;
const SDP: &[u8] = super::message::SDP.as_bytes();

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Body<'a> {
    /// Nothing, or nothing that has to be understood.
    Nothing,
    Description(&'a [u8]),
    /// Something that cannot be understood, and is to be (415).
    Foreign,
}

/// What is said of a body, or of a part of it.
#[derive(Debug, Clone, Copy, Default)]
struct About<'a> {
    kind: &'a [u8],
    disposition: Option<&'a [u8]>,
    /// Content-Encoding or Content-Transfer-Encoding, where it changes what is there.
    encoded: bool,
}

impl<'a> Body<'a> {
    pub fn of(wire: &'a Message) -> Self {
        let coding = wire.header("content-encoding");
        let about = About {
            kind: wire.header("content-type").unwrap_or_default(),
            disposition: wire.header("content-disposition"),
            encoded: coding.is_some_and(|coding| !coding.eq_ignore_ascii_case(b"identity")),
        };
        if wire.body.is_empty() { Self::Nothing } else { Self::read(&about, &wire.body, 0) }
    }

    pub fn description(self) -> Option<Vec<u8>> {
        match self {
            Self::Description(bytes) => Some(bytes.to_vec()),
            Self::Nothing | Self::Foreign => None,
        }
    }

    fn read(about: &About<'_>, bytes: &'a [u8], depth: u8) -> Self {
        let kind = first(about.kind).to_ascii_lowercase();
        if kind == SDP && !about.encoded && about.is_for_the_session() {
            return Self::Description(bytes);
        }
        let boundary = kind
            .starts_with(b"multipart/")
            .then(|| parameter(about.kind, b"boundary"))
            .flatten()
            .filter(|boundary| (1..=BOUNDARY_MAX).contains(&boundary.len()));
        match boundary {
            Some(boundary) if depth < DEPTH_MAX => Self::among(&boundary, bytes, depth + 1),
            Some(_) | None if about.is_optional() => Self::Nothing,
            Some(_) | None => Self::Foreign,
        }
    }

    /// The first session description of the parts. The others are ISUP, a location, a picture: for those who read them.
    fn among(boundary: &[u8], bytes: &'a [u8], depth: u8) -> Self {
        let mut found = Self::Nothing;
        for part in parts(boundary, bytes).take(PARTS_MAX) {
            let (about, content) = opened(part);
            match Self::read(&about, content, depth) {
                Self::Description(bytes) => return Self::Description(bytes),
                Self::Foreign => found = Self::Foreign,
                Self::Nothing => {}
            }
        }
        found
    }
}

impl About<'_> {
    /// RFC 3261 §20.11; RFC 3959 has descriptions of another session.
    fn is_for_the_session(&self) -> bool {
        self.disposition.is_none_or(|value| first(value).eq_ignore_ascii_case(b"session"))
    }

    fn is_optional(&self) -> bool {
        let handling = self.disposition.and_then(|value| parameter(value, b"handling"));
        handling.is_some_and(|handling| handling.eq_ignore_ascii_case(b"optional"))
    }
}

/// Before the parameters.
fn first(value: &[u8]) -> &[u8] {
    value.split(|&byte| byte == b';').next().unwrap_or_default().trim_ascii()
}

fn parameter(value: &[u8], wanted: &[u8]) -> Option<Vec<u8>> {
    split_outside(value, b';').skip(1).find_map(|part| {
        let equals = part.iter().position(|&byte| byte == b'=')?;
        let name = part[..equals].trim_ascii();
        name.eq_ignore_ascii_case(wanted).then(|| unquote(&part[equals + 1..]))
    })
}

/// Each line with its beginning and, its end of line included, its end.
fn lines(bytes: &[u8]) -> impl Iterator<Item = (usize, usize, &[u8])> {
    let mut begin = 0;
    bytes.split_inclusive(|&byte| byte == b'\n').map(move |line| {
        let from = begin;
        begin += line.len();
        (from, begin, line)
    })
}

/// What is between the delimiters; what is before the first and after the last is for nobody.
fn parts<'a>(boundary: &[u8], bytes: &'a [u8]) -> impl Iterator<Item = &'a [u8]> {
    let mut open: Option<usize> = None;
    let mut over = false;
    lines(bytes).filter_map(move |(from, to, line)| {
        let rest = line.strip_prefix(b"--").and_then(|line| line.strip_prefix(boundary))?;
        let last = match rest.trim_ascii() {
            b"" => false,
            b"--" => true,
            _ => return None,
        };
        if over {
            return None;
        }
        over = last;
        let begun = open.replace(to)?;
        // The end of line before a delimiter is the delimiter's.
        let part = &bytes[begun..from];
        let part = part.strip_suffix(b"\n").unwrap_or(part);
        Some(part.strip_suffix(b"\r").unwrap_or(part))
    })
}

/// Headers and content of a part.
fn opened(part: &[u8]) -> (About<'_>, &[u8]) {
    let mut about = About { kind: b"text/plain", ..About::default() };
    for (_, end, line) in lines(part) {
        let line = line.trim_ascii();
        if line.is_empty() {
            return (about, &part[end..]);
        }
        let Some(colon) = line.iter().position(|&byte| byte == b':') else { continue };
        let value = line[colon + 1..].trim_ascii();
        match line[..colon].trim_ascii().to_ascii_lowercase().as_slice() {
            b"content-type" => about.kind = value,
            b"content-disposition" => about.disposition = Some(value),
            b"content-transfer-encoding" => {
                let plain = [&b"7bit"[..], b"8bit", b"binary"];
                about.encoded |= !plain.iter().any(|known| value.eq_ignore_ascii_case(known));
            }
            b"content-encoding" => about.encoded |= !value.eq_ignore_ascii_case(b"identity"),
            _ => {}
        }
    }
    (about, &[])
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::protocol::sip::wire;

    const OFFER: &str = "v=0\r\no=- 1 1 IN IP4 192.0.2.1\r\ns=-\r\n";

    fn body(headers: &str, body: &str) -> Result<Option<String>, u16> {
        let text = format!("INVITE sip:1@a SIP/2.0\r\n{headers}\r\n{body}");
        let wire = wire::parse(text.as_bytes()).unwrap();
        match Body::of(&wire) {
            Body::Nothing => Ok(None),
            Body::Description(bytes) => Ok(Some(String::from_utf8(bytes.to_vec()).unwrap())),
            Body::Foreign => Err(415),
        }
    }

    fn mixed(parts: &[(&str, &str)]) -> Result<Option<String>, u16> {
        let parts: String = parts
            .iter()
            .map(|(head, content)| format!("--b 1\r\n{head}\r\n{content}\r\n"))
            .collect();
        let kind = "Content-Type: multipart/mixed;x=\";\" ; Boundary=\"b 1\"\r\n";
        body(kind, &format!("nobody's\r\n{parts}--b 1--\r\n--b 1\r\nnor this\r\n--b 1\r\n"))
    }

    const ISUP: (&str, &str) =
        ("Content-Type: application/ISUP;version=itu-t92+\r\n", "\u{1}\r\n--b\r\n--b 12\r\n\0");

    #[test]
    fn rfc_5621_a_description_is_found_beside_what_trunks_add() {
        let offer = ("Content-Type: Application/SDP\r\nContent-Disposition: session\r\n", OFFER);
        let location =
            ("content-type: application/pidf+xml\r\nContent-ID: <a@b>\r\n", "<presence/>");
        for parts in
            [vec![offer], vec![ISUP, offer], vec![offer, location, ISUP], vec![location, offer]]
        {
            assert_eq!(mixed(&parts), Ok(Some(OFFER.to_owned())), "{parts:?}");
        }
        let inner = format!("--in\nContent-Type: application/sdp\n\n{OFFER}\n--in--\n");
        let nested = ("Content-Type: multipart/alternative; boundary=in\r\n", &*inner);
        assert_eq!(mixed(&[ISUP, nested]), Ok(Some(OFFER.to_owned())));
    }

    #[test]
    fn rfc_3261_section_20_11_what_may_be_left_unread_is_and_the_rest_is_415() {
        assert_eq!(body("Content-Type: application/sdp\r\n", OFFER), Ok(Some(OFFER.to_owned())));
        assert_eq!(body("Content-Type: application/sdp\r\n", ""), Ok(None));
        assert_eq!(body("Content-Type: application/x\r\n", "x"), Err(415));
        let optional =
            "Content-Type: application/x\r\nContent-Disposition: render; handling=optional\r\n";
        assert_eq!(body(optional, "x"), Ok(None));
        let other_session =
            "Content-Type: application/sdp\r\nContent-Disposition: early-session\r\n";
        assert_eq!(body(other_session, OFFER), Err(415));
        assert_eq!(mixed(&[ISUP]), Err(415));
        let coded =
            ("Content-Type: application/sdp\r\nContent-Transfer-Encoding: base64\r\n", "dj0w");
        assert_eq!(mixed(&[coded]), Err(415));
    }

    #[test]
    fn whatever_a_multipart_lies_about_is_no_description_and_no_endless_work() {
        let kind = |rest: &str| format!("Content-Type: multipart/mixed{rest}\r\n");
        let one = format!("--b\r\nContent-Type: application/sdp\r\n\r\n{OFFER}\r\n");
        for rest in ["", ";boundary", ";boundary=\"\"", &format!(";boundary={}", "b".repeat(71))] {
            assert_eq!(body(&kind(rest), &one), Err(415), "{rest}");
        }
        assert_eq!(body(&kind(";boundary=b"), &one), Ok(None), "never closed");
        assert_eq!(body(&kind(";boundary=b"), &"--b\r\n\r\n".repeat(5000)), Err(415));
        let deep = "--b\r\nContent-Type: multipart/mixed;boundary=b\r\n\r\n".repeat(500);
        assert_eq!(body(&kind(";boundary=b"), &deep), Ok(None));
        let within = |outer: &str, inner: &str, content: &str| {
            let head = format!("--{outer}\r\nContent-Type: multipart/mixed;boundary={inner}\r\n");
            format!("{head}\r\n{content}\r\n--{outer}--\r\n")
        };
        let twice = within("b", "c", &format!("{}--c--", one.replace("--b", "--c")));
        assert_eq!(body(&kind(";boundary=b"), &twice), Ok(Some(OFFER.to_owned())));
        let thrice = within("a", "b", &twice);
        assert_eq!(body(&kind(";boundary=a"), &thrice), Err(415), "nobody nests so deep");
    }
}
