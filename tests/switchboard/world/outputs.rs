//! What the switchboard wants done: the log answers, and the relay sees that the rules are kept.

use super::own_phone::PLACE;
use super::{BOARD, World, closed};
use dutyline::duty::journal::Fact;
use dutyline::duty::switchboard::{Input, Output};
use dutyline::protocol::rtp::{Command, Counts};
use dutyline::protocol::sip::Peer;

impl World {
    pub(super) fn carry_out(&mut self, output: Output) {
        match output {
            Output::Send(transmit) if transmit.to.addr == PLACE.addr => {
                let phone = self.own.as_mut().expect("a phone of our own");
                phone.sip.handle_message(BOARD, &transmit.bytes, self.now);
            }
            // It is there, and keeps nothing of the question.
            Output::Send(transmit) if transmit.bytes.starts_with(b"OPTIONS ") => {
                if self.wire_works {
                    let question = String::from_utf8_lossy(&transmit.bytes).into_owned();
                    self.answers(transmit.to, &question, 200);
                }
            }
            Output::Send(transmit) => {
                let text = String::from_utf8_lossy(&transmit.bytes).into_owned();
                let closed = self.closed.iter().find(|(peer, _)| *peer == transmit.to);
                let closed = closed.filter(|_| text.starts_with("INVITE ")).copied();
                self.from_board.push(text);
                if let Some((from, status)) = closed {
                    self.turned_away(from, status);
                } else if self.wire_works {
                    self.pbx.handle_message(BOARD, &transmit.bytes, self.now);
                }
            }
            Output::Media(command) => self.relay(command),
            Output::Traced(traced) => self.traced.push(traced),
            // What there is to hear is the scenarios' matter.
            Output::Fetch { attempt, .. } => {
                self.board.handle(Input::Fetched { attempt, sound: None }, self.now);
            }
            // The scenarios' matter, too.
            Output::SlipEnded { .. } => {}
            Output::Heard { call, party, quality } => self.heard.push((call, party, quality)),
            Output::Journal(noted) => {
                let reply = match &noted.fact {
                    Fact::Arrived(arrival) if self.log_works => {
                        Some(Input::Stored { call: arrival.call })
                    }
                    Fact::Placed(placed) if self.log_works => {
                        Some(Input::Stored { call: placed.call })
                    }
                    Fact::Acknowledged { attempt, .. } => {
                        self.ack.map(|outcome| Input::AckStored { attempt: *attempt, outcome })
                    }
                    _ => None,
                };
                self.facts.push(noted.fact);
                if let Some(reply) = reply {
                    self.board.handle(reply, self.now);
                }
            }
            Output::Drained => self.drained = true,
        }
    }

    /// The call that was sent last meets an address that takes none.
    fn turned_away(&mut self, from: Peer, status: Option<u16>) {
        let (Some(status), Some(invite)) = (status, self.from_board.last().cloned()) else {
            return;
        };
        self.answers(from, &invite, status);
    }

    fn answers(&mut self, from: Peer, request: &str, status: u16) {
        let kept = |line: &&str| {
            ["Via:", "From:", "To:", "Call-ID:", "CSeq:"].iter().any(|name| line.starts_with(name))
        };
        let lines = request.lines().filter(kept).map(|line| format!("{line}\r\n"));
        let head = lines.collect::<String>();
        let reply = format!("SIP/2.0 {status} x\r\n{head}Content-Length: 0\r\n\r\n");
        self.board.handle(Input::Message { from, bytes: reply.into_bytes() }, self.now);
    }

    /// A relay that keeps the rules: a channel has one user at a time.
    fn relay(&mut self, command: Command) {
        match &command {
            Command::Open { channel, call, .. } => {
                let before = self.open.insert(*channel, *call);
                assert_eq!(before, None, "opened twice: {command:?}");
            }
            Command::Close { channel } => {
                assert!(self.open.remove(channel).is_some(), "not open: {command:?}");
                if self.relay_works {
                    let counts = Counts { received: 7, ..Counts::default() };
                    let closed = closed(*channel, counts);
                    self.board.handle(Input::Media(closed), self.now);
                }
            }
            Command::Finish { call } => {
                assert!(!self.open.values().any(|open| open == call), "finished while open");
            }
            Command::PassOn { channel, call, .. } => {
                assert!(self.open.insert(*channel, *call).is_some(), "not open: {command:?}");
            }
            Command::Change { channel, .. }
            | Command::Resume { channel, .. }
            | Command::Refresh { channel }
            | Command::Listen { channel, .. }
            | Command::Play { channel, .. }
            | Command::Press { channel, .. }
            | Command::Speak { channel, .. }
            | Command::Stop { channel } => {
                assert!(self.open.contains_key(channel), "not open: {command:?}");
            }
            Command::Join { a, b } => {
                assert!(self.open.contains_key(a) && self.open.contains_key(b));
            }
            Command::Confer { call, seats } => {
                for seat in seats {
                    assert!(self.open.insert(*seat, *call).is_some(), "not open: {command:?}");
                }
            }
        }
        self.media.push(command);
    }

    pub fn open_channels(&self) -> usize {
        self.open.len()
    }
}
