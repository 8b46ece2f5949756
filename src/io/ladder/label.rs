//! What stands on a step of a ladder, for page and terminal alike. Messages are hostile text here.

use crate::io::store::{Rung, RungWhat};
use crate::protocol::sip::text::visible;
use crate::protocol::sip::wire::{self, Start};

/// Characters of the longest label.
const LABEL_CHARS: usize = 44;

/// A message in a few words.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Label {
    pub text: String,
    /// `None` for a request.
    pub status: Option<u16>,
}

pub fn label(message: &[u8]) -> Label {
    let Ok(parsed) = wire::parse(message) else {
        let first = message.split(|&b| b == b'\n').next().unwrap_or_default();
        return Label { text: short(&visible(first.trim_ascii_end())), status: None };
    };
    let sdp = if parsed.body.is_empty() {
        ""
    } else {
        let kind = parsed.header("content-type").unwrap_or_default().to_ascii_lowercase();
        if kind.starts_with(b"application/sdp") { " + SDP" } else { " + body" }
    };
    match &parsed.start {
        Start::Request { method, .. } => {
            Label { text: short(&format!("{}{sdp}", visible(method.as_bytes()))), status: None }
        }
        Start::Response { status, reason } => {
            let method = parsed.header("cseq").unwrap_or_default();
            let method = method.rsplit(|&b| b == b' ').next().unwrap_or_default();
            let of = match method {
                b"INVITE" | b"" => String::new(),
                other => format!(" ({})", visible(other)),
            };
            let text = format!("{status} {}{of}{sdp}", visible(reason));
            Label { text: short(&text), status: Some(*status) }
        }
    }
}

fn short(text: &str) -> String {
    if text.chars().count() <= LABEL_CHARS {
        return text.to_owned();
    }
    text.chars().take(LABEL_CHARS - 1).chain(['…']).collect()
}

/// The message line by line, every byte to be seen and none to act.
pub fn lines(message: &[u8]) -> Vec<String> {
    let text = message.strip_suffix(b"\n").unwrap_or(message);
    text.split(|&b| b == b'\n')
        .map(|line| visible(line.strip_suffix(b"\r").unwrap_or(line)))
        .collect()
}

/// The legs of a ladder in order of appearance, the caller's (empty) first, each with its peer.
pub fn legs(ladder: &[Rung]) -> Vec<(String, String)> {
    let mut legs: Vec<(String, String)> = vec![];
    for rung in ladder {
        if let RungWhat::Message { leg, peer, .. } = &rung.what
            && !legs.iter().any(|(known, _)| known == leg)
        {
            legs.push((leg.clone(), peer.clone()));
        }
    }
    legs.sort_by_key(|(leg, _)| !leg.is_empty());
    legs
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_message_in_a_few_words() {
        let text = |message: &str| label(message.as_bytes()).text;
        let sdp = "Content-Type: application/sdp\r\n\r\nv=0";
        assert_eq!(text(&format!("INVITE sip:1@a SIP/2.0\r\n{sdp}")), "INVITE + SDP");
        assert_eq!(text("SIP/2.0 180 Ringing\r\nCSeq: 1 INVITE\r\n\r\n"), "180 Ringing");
        assert_eq!(text("SIP/2.0 200 OK\r\nCSeq: 2 BYE\r\n\r\n"), "200 OK (BYE)");
        assert_eq!(text("SIP/2.0 486 \u{1b}[31m\u{202e}\r\n\r\n"), "486 ␛[31m‹202E›");
        assert_eq!(text("nonsense\u{7}"), "nonsense␇");
        assert!(text(&format!("SIP/2.0 500 {}\r\n\r\n", "x".repeat(99))).ends_with('…'));
    }

    #[test]
    fn a_message_can_be_read_and_does_nothing() {
        let shown = lines(b"BYE x SIP/2.0\r\nX: \x1b[2J\r\n\r\n\xd5\xc5");
        assert_eq!(shown, ["BYE x SIP/2.0", "X: ␛[2J", "", "张"]);
        assert_eq!(lines(b"a\r\n\r\n"), ["a", ""]);
    }
}
