//! What a telephone is sent to be shown outside of calls. Written out by hand, so that it judges what is sent.

use crate::protocol::sip::{Peer, Transmit};
use std::collections::VecDeque;

#[derive(Default)]
pub struct Texts {
    /// How it answers; none for a telephone that shows nothing.
    pub status: Option<u16>,
    pub shown: Vec<(String, String)>,
    answers: VecDeque<Transmit>,
}

impl Texts {
    /// Whether this was such a request; it is answered then.
    pub fn take(&mut self, from: Peer, bytes: &[u8]) -> bool {
        let Some(status) = self.status else { return false };
        let text = String::from_utf8_lossy(bytes);
        let Some((head, body)) = text.split_once("\r\n\r\n") else { return false };
        let method = head.split(' ').next().unwrap_or_default();
        if !["MESSAGE", "NOTIFY"].contains(&method) {
            return false;
        }
        let copied = head.lines().filter(|line| {
            let name = line.split(':').next().unwrap_or_default();
            ["Via", "From", "To", "Call-ID", "CSeq"].contains(&name)
        });
        let mut answer = format!("SIP/2.0 {status} x\r\n");
        for line in copied {
            let tag = if line.starts_with("To:") { ";tag=shown" } else { "" };
            answer += &format!("{line}{tag}\r\n");
        }
        answer += "Content-Length: 0\r\n\r\n";
        self.shown.push((method.to_owned(), body.to_owned()));
        self.answers.push_back(Transmit { to: from, bytes: answer.into_bytes() });
        true
    }

    pub fn poll(&mut self) -> Option<Transmit> {
        self.answers.pop_front()
    }
}
