//! Bytes to start line and headers and back (RFC 3261 §7, §25). Knows the shape of a message, not
//! the meaning of any header but Content-Length.

mod names;
mod values;

pub use names::is_token;
pub use values::{decimal, has_any, split_commas, split_outside};

use super::lines::end_of_line;
use names::header_name;
use std::borrow::Cow;

/// Longest message taken or cut from a stream, bytes.
pub const MESSAGE_MAX: usize = 64 * 1024;
/// Longest line of the head, folds excluded, bytes.
pub const LINE_MAX: usize = 8 * 1024;
/// Header lines read of one message. Of Via every line is: a response must repeat it (§8.2.6.2).
pub const HEADERS_MAX: usize = 200;
/// Values of a list that get a line each; a path may have so many hops (§8.1.1.6).
const LINES_MAX: usize = 70;
/// Continuation lines of one header.
pub const FOLDS_MAX: usize = 32;

#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Start {
    Request { method: String, uri: Vec<u8>, version: Vec<u8> },
    Response { status: u16, reason: Vec<u8> },
}

/// One header line, unfolded and trimmed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Header {
    /// Long form, lower case.
    pub name: Cow<'static, str>,
    pub value: Vec<u8>,
}

/// A message whose skeleton could be read.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Message {
    pub start: Start,
    pub headers: Vec<Header>,
    pub body: Vec<u8>,
    /// The first breach of the grammar that did not hide the skeleton.
    pub defect: Option<&'static str>,
}

impl Message {
    /// The first value of a header, by its long name in lower case.
    pub fn header(&self, name: &str) -> Option<&[u8]> {
        self.headers.iter().find(|h| h.name == name).map(|h| h.value.as_slice())
    }

    pub fn all<'a>(&'a self, name: &'a str) -> impl Iterator<Item = &'a [u8]> {
        self.headers.iter().filter(move |h| h.name == name).map(|h| h.value.as_slice())
    }

    /// Bytes of its values and body.
    pub fn size(&self) -> usize {
        self.headers.iter().map(|header| header.value.len()).sum::<usize>() + self.body.len()
    }

    /// Every element of a comma-separated header, over all its lines.
    pub fn list<'a>(&'a self, name: &'a str) -> impl Iterator<Item = &'a [u8]> {
        self.all(name).flat_map(split_commas)
    }

    /// Whether a comma-separated header has this token.
    pub fn has(&self, name: &str, token: &str) -> bool {
        self.list(name).any(|element| element.eq_ignore_ascii_case(token.as_bytes()))
    }
}

/// Reads one datagram, or one message cut from a stream. An error says why not even the skeleton
/// could be read.
pub fn parse(bytes: &[u8]) -> Result<Message, &'static str> {
    if bytes.len() > MESSAGE_MAX {
        return Err("message too long");
    }
    let mut lines = Lines { rest: skip_blank_lines(bytes), defect: None };
    let start = parse_start(lines.next_line().ok_or("empty message")?, &mut lines.defect)?;
    let headers = parse_headers(&mut lines);
    let (rest, mut defect) = (lines.rest, lines.defect);
    let length = content_length(&headers).unwrap_or_else(|why| {
        defect.get_or_insert(why);
        None
    });
    let body = match length {
        Some(length) if length <= rest.len() => &rest[..length],
        Some(_) => {
            defect.get_or_insert("Content-Length beyond the message");
            rest
        }
        None => rest,
    };
    Ok(Message { start, headers, body: body.to_vec(), defect })
}

/// The one Content-Length of a head; `None` when there is none (§20.14).
pub fn content_length(headers: &[Header]) -> Result<Option<usize>, &'static str> {
    let mut found = None;
    for header in headers.iter().filter(|h| h.name == "content-length") {
        let length = decimal(&header.value, MESSAGE_MAX as u64).ok_or("bad Content-Length")?;
        if found.replace(length as usize).is_some() {
            return Err("more than one Content-Length");
        }
    }
    Ok(found)
}

/// The body's length, from a head cut from a stream (blank line included). A stream has no other
/// end of a message, so doubt is an error (§18.3, §20.14).
pub fn stream_body_length(head: &[u8]) -> Result<usize, &'static str> {
    let bare = |at: usize| head[at] == b'\n' && (at == 0 || head[at - 1] != b'\r');
    if (0..head.len()).any(bare) {
        return Err("line without CR");
    }
    let mut lines = Lines { rest: head, defect: None };
    lines.next_line();
    content_length(&parse_headers(&mut lines))?.ok_or("no Content-Length on a stream")
}

fn skip_blank_lines(bytes: &[u8]) -> &[u8] {
    let blank = bytes.iter().take_while(|b| matches!(b, b'\r' | b'\n')).count();
    &bytes[blank..]
}

struct Lines<'a> {
    rest: &'a [u8],
    defect: Option<&'static str>,
}

impl<'a> Lines<'a> {
    /// The next line without its end; `None` when nothing is left.
    fn next_line(&mut self) -> Option<&'a [u8]> {
        if self.rest.is_empty() {
            return None;
        }
        let Some(end) = end_of_line(self.rest) else {
            self.defect.get_or_insert("line without end");
            return Some(std::mem::take(&mut self.rest));
        };
        let line = &self.rest[..end];
        self.rest = &self.rest[end + 1..];
        let Some(line) = line.strip_suffix(b"\r") else {
            self.defect.get_or_insert("line without CR");
            return Some(line);
        };
        Some(line)
    }
}

fn parse_start(line: &[u8], defect: &mut Option<&'static str>) -> Result<Start, &'static str> {
    if line.len() > LINE_MAX {
        return Err("start line too long");
    }
    if let Some(rest) = strip_version(line) {
        let (code, reason) = rest.split_at_checked(3).ok_or("bad status line")?;
        let status = decimal(code, 699).filter(|&s| s >= 100).ok_or("bad status code")?;
        let reason = match reason {
            [] => reason,
            [b' ', reason @ ..] => reason,
            _ => return Err("bad status code"),
        };
        return Ok(Start::Response { status: status as u16, reason: reason.to_vec() });
    }
    let mut parts = line.split(|b| matches!(b, b' ' | b'\t')).filter(|part| !part.is_empty());
    let (Some(method), Some(version)) = (parts.next(), parts.next_back()) else {
        return Err("not a SIP message");
    };
    if !method.iter().copied().all(is_token) || !version.to_ascii_uppercase().starts_with(b"SIP/") {
        return Err("not a SIP message");
    }
    let uri = parts.collect::<Vec<_>>().join(&b' ');
    let exact = [method, &uri, version].join(&b' ');
    if exact != line || uri.is_empty() || uri.contains(&b' ') {
        defect.get_or_insert("bad request line");
    }
    let method = String::from_utf8_lossy(method).into_owned();
    Ok(Start::Request { method, uri, version: version.to_vec() })
}

fn strip_version(line: &[u8]) -> Option<&[u8]> {
    let (version, rest) = line.split_at_checked(8)?;
    version.eq_ignore_ascii_case(b"SIP/2.0 ").then_some(rest)
}

fn parse_headers(lines: &mut Lines) -> Vec<Header> {
    let mut headers: Vec<Header> = Vec::with_capacity(16);
    let mut folds = 0;
    let mut skipping = false;
    loop {
        let Some(line) = lines.next_line() else {
            lines.defect.get_or_insert("no end of headers");
            return headers;
        };
        if line.is_empty() {
            return headers;
        }
        if line.len() > LINE_MAX {
            lines.defect.get_or_insert("header line too long");
            skipping = true;
            continue;
        }
        if has_stray_control(line) {
            lines.defect.get_or_insert("control character in a header");
        }
        if matches!(line[0], b' ' | b'\t') {
            folds += 1;
            match headers.last_mut() {
                _ if skipping => {}
                Some(header) if folds <= FOLDS_MAX => {
                    header.value.push(b' ');
                    header.value.extend_from_slice(line.trim_ascii());
                }
                _ => {
                    lines.defect.get_or_insert("bad folding");
                }
            }
            continue;
        }
        folds = 0;
        skipping = false;
        let full = headers.len() >= HEADERS_MAX;
        if full {
            lines.defect.get_or_insert("too many headers");
        }
        match parse_header(line).filter(|header| !full || header.name == "via") {
            Some(header) => headers.push(header),
            None if full => skipping = true,
            None => {
                lines.defect.get_or_insert("bad header line");
                skipping = true;
            }
        }
    }
}

/// NUL and bare CR outside a quoted pair: two parsers may disagree on what follows them.
fn has_stray_control(line: &[u8]) -> bool {
    has_any(line, |byte| matches!(byte, 0 | b'\r'))
        && line.iter().enumerate().any(|(at, byte)| {
            matches!(byte, 0 | b'\r') && (*byte == b'\r' || at == 0 || line[at - 1] != b'\\')
        })
}

fn parse_header(line: &[u8]) -> Option<Header> {
    let colon = line.iter().position(|&b| b == b':')?;
    let name = line[..colon].trim_ascii_end();
    if name.is_empty() || !name.iter().copied().all(is_token) {
        return None;
    }
    Some(Header { name: header_name(name), value: line[colon + 1..].trim_ascii().to_vec() })
}

/// Writes a message. A value cannot end its line: CR, LF and stray NUL in it become spaces.
pub struct Writer(Vec<u8>);

impl Writer {
    pub fn request(method: &str, uri: &[u8]) -> Self {
        let mut writer = Self(Vec::with_capacity(1024));
        writer.0.extend_from_slice(method.as_bytes());
        writer.0.push(b' ');
        writer.push_line(uri);
        writer.0.truncate(writer.0.len() - 2);
        writer.0.extend_from_slice(b" SIP/2.0\r\n");
        writer
    }

    pub fn response(status: u16, reason: &str) -> Self {
        let mut writer = Self(Vec::with_capacity(1024));
        writer.push_line(format!("SIP/2.0 {status} {reason}").as_bytes());
        writer
    }

    pub fn header(&mut self, name: &str, value: impl AsRef<[u8]>) -> &mut Self {
        if name.bytes().all(is_token) {
            self.0.extend_from_slice(name.as_bytes());
        } else {
            self.0.extend(name.bytes().filter(|&b| is_token(b)));
        }
        self.0.extend_from_slice(b": ");
        self.push_line(value.as_ref());
        self
    }

    /// The values of a list: a line each, and more than a path can have together on as few as there
    /// can be (§7.3.1), so that we never write what we would not read.
    pub fn list<'a>(
        &mut self,
        name: &str,
        values: impl IntoIterator<Item = &'a [u8]>,
    ) -> &mut Self {
        let mut values = values.into_iter();
        for value in values.by_ref().take(LINES_MAX) {
            self.header(name, value);
        }
        let mut line: Vec<u8> = vec![];
        for value in values {
            if !line.is_empty() && name.len() + line.len() + value.len() + 4 > LINE_MAX {
                self.header(name, std::mem::take(&mut line));
            }
            if !line.is_empty() {
                line.extend_from_slice(b", ");
            }
            line.extend_from_slice(value);
        }
        if !line.is_empty() {
            self.header(name, line);
        }
        self
    }

    /// Ends the head with Content-Length and adds the body: content type and bytes.
    pub fn finish(mut self, body: Option<(&str, &[u8])>) -> Vec<u8> {
        let (kind, body) = body.unwrap_or_default();
        if !body.is_empty() {
            self.header("Content-Type", kind);
        }
        self.header("Content-Length", body.len().to_string());
        self.0.extend_from_slice(b"\r\n");
        self.0.extend_from_slice(body);
        self.0
    }

    fn push_line(&mut self, line: &[u8]) {
        if has_any(line, |byte| matches!(byte, b'\r' | b'\n' | 0)) {
            let mut before = 0;
            for &byte in line {
                let breaks = matches!(byte, b'\r' | b'\n') || byte == 0 && before != b'\\';
                self.0.push(if breaks { b' ' } else { byte });
                before = byte;
            }
        } else {
            self.0.extend_from_slice(line);
        }
        self.0.extend_from_slice(b"\r\n");
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn headers(text: &str) -> Message {
        parse(format!("OPTIONS sip:a@b SIP/2.0\r\n{text}\r\n").as_bytes()).unwrap()
    }

    #[test]
    fn section_7_3_1_folds_become_one_space_and_names_know_no_case() {
        let message = headers("sUBject : I know you're there,\r\n    pick up\r\n\t the phone\r\n");
        assert_eq!(message.header("subject"), Some(&b"I know you're there, pick up the phone"[..]));
        assert_eq!(message.defect, None);
    }

    #[test]
    fn section_7_3_3_compact_names_are_the_long_ones() {
        let message = headers("v: x\r\nf: a\r\nt: b\r\ni: c\r\nm: d\r\nl: 0\r\nk: e\r\n");
        let names: Vec<_> = message.headers.iter().map(|h| &*h.name).collect();
        assert_eq!(
            names,
            ["via", "from", "to", "call-id", "contact", "content-length", "supported"]
        );
    }

    #[test]
    fn section_7_3_1_commas_separate_values_except_in_quotes_and_brackets() {
        let message = headers("Route: <sip:a,b@c>, \"x, \\\"y\" <sip:d>\r\nRoute: <sip:e>\r\n");
        let routes: Vec<_> = message.list("route").collect();
        assert_eq!(routes, [&b"<sip:a,b@c>"[..], b"\"x, \\\"y\" <sip:d>", b"<sip:e>"]);
    }

    #[test]
    fn section_7_2_reason_may_be_missing_and_codes_have_three_digits() {
        let reason = |text: &[u8]| parse(text).map(|m| m.start);
        let empty = Start::Response { status: 100, reason: vec![] };
        assert_eq!(reason(b"SIP/2.0 100 \r\n\r\n"), Ok(empty.clone()));
        assert_eq!(reason(b"SIP/2.0 100\r\n\r\n"), Ok(empty));
        assert!(reason(b"SIP/2.0 4294967301 better not break\r\n\r\n").is_err());
        assert!(reason(b"SIP/2.0 700 no\r\n\r\n").is_err());
    }

    #[test]
    fn section_18_3_a_datagram_ends_the_body_where_no_length_does() {
        let datagram = |head: &str| parse(format!("{head}\r\nbody").as_bytes()).unwrap();
        let start = "OPTIONS sip:a SIP/2.0\r\n";
        assert_eq!(datagram(start).body, b"body");
        assert_eq!(datagram(&format!("{start}l: 2\r\n")).body, b"bo");
        for bad in ["5", "-1", "4294967300", "1, 1", "2\r\nl: 2", ""] {
            assert!(datagram(&format!("{start}Content-Length: {bad}\r\n")).defect.is_some());
        }
    }

    #[test]
    fn every_cap_is_a_defect_and_not_the_end() {
        let long = format!("X: {}\r\n", "x".repeat(LINE_MAX));
        assert_eq!(headers(&format!("{long}To: a\r\n")).header("to"), Some(&b"a"[..]));
        let folded = format!("X: a{}\r\n", "\r\n b".repeat(FOLDS_MAX + 1));
        assert_eq!(headers(&folded).defect, Some("bad folding"));
        let many = "X: a\r\n".repeat(HEADERS_MAX + 1);
        assert_eq!(headers(&many).headers.len(), HEADERS_MAX);
        assert_eq!(headers(&many).defect, Some("too many headers"));
        assert!(parse(&vec![b'x'; MESSAGE_MAX + 1]).is_err());
    }

    #[test]
    fn what_lets_two_parsers_disagree_is_a_defect() {
        for bad in ["X: a\rb\r\n", "X: a\0b\r\n", "X\0: a\r\n", "X: a\n", "no colon\r\n"] {
            assert!(headers(bad).defect.is_some(), "{bad:?}");
        }
        assert_eq!(headers("X: \"\\\0\"\r\n").defect, None);
    }

    #[test]
    fn a_written_value_cannot_start_a_line_of_its_own() {
        let mut writer = Writer::request("INVITE", b"sip:a\r\nEvil: b");
        writer.header("Sub\r\nject", "a\r\nEvil: b");
        let message = parse(&writer.finish(Some(("text/plain", b"hi")))).unwrap();
        assert_eq!(message.header("evil"), None);
        assert_eq!(message.header("subject"), Some(&b"a  Evil: b"[..]));
        assert_eq!(message.body, b"hi");
    }

    #[test]
    fn section_8_2_6_2_every_via_is_read_and_written_whatever_else_is_too_much() {
        let vias: Vec<String> =
            (0..1500).map(|n| format!("SIP/2.0/UDP p{n};branch=z9hG4bK{n}")).collect();
        let lines: String = vias.iter().map(|via| format!("Via: {via}\r\n")).collect();
        let many = headers(&format!("{}{lines}", "X: a\r\n".repeat(HEADERS_MAX)));
        assert_eq!((many.list("via").count(), many.defect), (1500, Some("too many headers")));
        let mut writer = Writer::response(400, "Bad Request");
        writer.list("Via", many.list("via"));
        let reply = parse(&writer.finish(None)).unwrap();
        assert_eq!(reply.defect, None, "as we read ourselves");
        assert!(reply.list("via").eq(vias.iter().map(String::as_bytes)), "all, in their order");
        let mut few = Writer::response(200, "OK");
        few.list("Via", [&b"a"[..], b"b"]);
        assert!(few.finish(None).ends_with(b"Via: a\r\nVia: b\r\nContent-Length: 0\r\n\r\n"));
    }

    #[test]
    fn rel_a_flood_of_headers_is_read_in_linear_time() {
        let flood = "X: a\r\n".repeat(8_000);
        let folds = format!("X: a{}\r\n", "\r\n b".repeat(15_000));
        assert!(headers(&flood).defect.is_some() && headers(&folds).defect.is_some());
    }
}
