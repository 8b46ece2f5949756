//! Cuts a TCP stream into SIP messages (RFC 3261 §18.3) and answers keep-alives (RFC 5626 §3.5.1).

use super::wire::{MESSAGE_MAX, stream_body_length};

/// What came out of the stream.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Frame {
    /// One whole message.
    Message(Vec<u8>),
    /// A double CRLF between messages: send back [`super::flow::PONG`].
    Ping,
    /// A single one, where a ping of ours waits for it.
    Pong,
}

/// **Push what was read, drain `poll`, then read on.** After an error the connection is to be
/// closed: where the next message starts is no longer known.
/// Each byte is looked at a few times, however it comes.
#[derive(Debug, Default)]
pub struct Framer {
    buffer: Vec<u8>,
    /// Where in the buffer the next frame begins.
    begin: usize,
    /// How far from there the end of the head was searched for.
    searched: usize,
    /// The length of the message that has begun, once its head is there.
    whole: Option<usize>,
    broken: Option<&'static str>,
}

impl Framer {
    pub fn push(&mut self, bytes: &[u8]) {
        self.buffer.drain(..std::mem::take(&mut self.begin));
        self.buffer.extend_from_slice(bytes);
    }

    /// The next frame, once it is complete. Each push may complete several.
    pub fn poll(&mut self) -> Result<Option<Frame>, &'static str> {
        self.poll_while(false)
    }

    /// As `poll`, while a ping of ours may be waiting for its pong.
    pub fn poll_while(&mut self, pong_due: bool) -> Result<Option<Frame>, &'static str> {
        if let Some(why) = self.broken {
            return Err(why);
        }
        let frame = self.next_frame(pong_due);
        if let Err(why) = frame {
            self.broken = Some(why);
            (self.buffer, self.begin) = (vec![], 0);
        }
        frame
    }

    /// Whether a message has begun that is not complete.
    pub fn is_waiting(&self) -> bool {
        !b"\r\n\r".starts_with(self.rest())
    }

    fn rest(&self) -> &[u8] {
        &self.buffer[self.begin..]
    }

    fn next_frame(&mut self, pong_due: bool) -> Result<Option<Frame>, &'static str> {
        if self.rest().starts_with(b"\r\n\r\n") {
            self.take(4);
            return Ok(Some(Frame::Ping));
        }
        if pong_due && self.rest().starts_with(b"\r\n") && self.rest().get(2) != Some(&b'\r') {
            self.take(2);
            return Ok(Some(Frame::Pong));
        }
        if self.rest().starts_with(b"\r\n") && self.rest().len() > 3 {
            self.take(2);
        }
        if b"\r\n\r".starts_with(self.rest()) {
            return Ok(None);
        }
        if self.whole.is_none() {
            self.whole = self.find_length()?;
        }
        let there = self.whole.filter(|whole| *whole <= self.rest().len());
        Ok(there.map(|whole| Frame::Message(self.take(whole))))
    }

    /// Of the message that has begun, once its head is there.
    fn find_length(&mut self) -> Result<Option<usize>, &'static str> {
        let from = self.searched.saturating_sub(3);
        let end = self.rest()[from..].windows(4).position(|window| window == b"\r\n\r\n");
        let Some(end) = end else {
            self.searched = self.rest().len();
            return if self.searched > MESSAGE_MAX { Err("head too long") } else { Ok(None) };
        };
        let head = from + end + 4;
        let whole = head + stream_body_length(&self.rest()[..head])?;
        if whole > MESSAGE_MAX { Err("message too long") } else { Ok(Some(whole)) }
    }

    fn take(&mut self, length: usize) -> Vec<u8> {
        let taken = self.rest()[..length].to_vec();
        self.begin += length;
        (self.searched, self.whole) = (0, None);
        taken
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const FIRST: &[u8] = b"OPTIONS sip:a SIP/2.0\r\nContent-Length: 4\r\n\r\n\r\n\r\n";
    const SECOND: &[u8] = b"BYE sip:b SIP/2.0\r\nl: 0\r\n\r\n";

    fn drain(framer: &mut Framer) -> Result<Vec<Frame>, &'static str> {
        std::iter::from_fn(|| framer.poll().transpose()).collect()
    }

    fn message(bytes: &[u8]) -> Frame {
        Frame::Message(bytes.to_vec())
    }

    #[test]
    fn sig_21_one_byte_at_a_time_and_fifty_in_one_segment() {
        let mut framer = Framer::default();
        let mut frames = vec![];
        for byte in [FIRST, SECOND].concat() {
            framer.push(&[byte]);
            frames.extend(drain(&mut framer).unwrap());
        }
        assert_eq!(frames, [message(FIRST), message(SECOND)]);
        assert!(!framer.is_waiting());
        framer.push(&FIRST.repeat(50));
        assert_eq!(drain(&mut framer).unwrap(), vec![message(FIRST); 50]);
    }

    #[test]
    fn rfc_5626_section_3_5_1_a_double_crlf_asks_for_a_single_one() {
        let mut framer = Framer::default();
        for byte in b"\r\n\r\n" {
            framer.push(&[*byte]);
        }
        framer.push(b"\r\n");
        framer.push(SECOND);
        assert_eq!(drain(&mut framer).unwrap(), [Frame::Ping, message(SECOND)]);
    }

    #[test]
    fn rfc_5626_section_3_5_1_a_single_crlf_is_a_pong_only_where_one_is_due() {
        let mut framer = Framer::default();
        framer.push(b"\r\n");
        assert_eq!(framer.poll(), Ok(None));
        assert!(!framer.is_waiting(), "an empty line is no message");
        assert_eq!(framer.poll_while(true), Ok(Some(Frame::Pong)));
        framer.push(b"\r\n");
        framer.push(SECOND);
        assert_eq!(framer.poll_while(true), Ok(Some(Frame::Pong)));
        assert_eq!(framer.poll_while(true), Ok(Some(message(SECOND))));
        framer.push(b"\r\n\r\n");
        assert_eq!(framer.poll_while(true), Ok(Some(Frame::Ping)));
    }

    #[test]
    fn rel_15_a_stream_that_lies_about_its_length_is_over() {
        for bad in [
            &b"OPTIONS sip:a SIP/2.0\r\n\r\n"[..],
            b"OPTIONS sip:a SIP/2.0\r\nContent-Length: -1\r\n\r\n",
            b"OPTIONS sip:a SIP/2.0\r\nContent-Length: 1\r\nl: 1\r\n\r\n",
            b"OPTIONS sip:a SIP/2.0\r\nContent-Length: 99999\r\n\r\n",
            b"OPTIONS sip:a SIP/2.0\nContent-Length: 0\r\n\r\n",
            b"OPTIONS sip:a SIP/2.0\r\nContent-Length: 65536\r\n\r\n",
        ] {
            let mut framer = Framer::default();
            framer.push(bad);
            assert!(framer.poll().is_err(), "{:?}", String::from_utf8_lossy(bad));
            framer.push(SECOND);
            assert!(framer.poll().is_err());
        }
        let mut framer = Framer::default();
        framer.push(&vec![b'x'; MESSAGE_MAX + 1]);
        assert!(framer.poll().is_err());
    }

    #[test]
    fn rel_15_a_length_beyond_what_came_waits_for_the_rest() {
        let mut framer = Framer::default();
        framer.push(&FIRST[..FIRST.len() - 1]);
        assert_eq!(framer.poll(), Ok(None));
        assert!(framer.is_waiting());
        framer.push(b"\n");
        assert_eq!(framer.poll(), Ok(Some(message(FIRST))));
    }
}
