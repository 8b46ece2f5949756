//! Passes packets between parties, speaks prompts, hears keys, counts. Touches no socket: its owner receives, sends
//! and tapes what it is told. Allocates nothing per packet.

mod commands;
mod conference;
mod forward;
mod hearing;
mod latch;
mod lent;
mod reports;
mod tail;

pub use forward::Forward;
pub use reports::{ROOM as REPORT_ROOM, Report};

use super::mixer::Mixer;
use super::source::{FRAME_BYTES, Made, Turn};
use super::stream::Carried;
use super::{Channel, Codec, Event, Party, Stream};
use crate::protocol::now::{Deadline, Mono, earlier};
use crate::protocol::places::Places;
use crate::protocol::random::Random;
use hearing::Voice;
use lent::Lent;
use std::collections::VecDeque;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;
use tail::{Finishing, Tail};
use uuid::Uuid;

/// A party of whom nothing came for so long is reported as quiet.
const QUIET: Duration = Duration::from_secs(5);
const LOOK: &str = "somebody may have become quiet";

/// **Handle one thing, drain `poll_packet` and `poll_event`, then wait for the next input or `deadline`.**
pub struct Relay {
    slots: Vec<Slot>,
    prompts: Vec<Arc<[i16]>>,
    /// Conversations of three.
    tables: Vec<Box<Mixer>>,
    /// Calls that wait for their tails.
    finishing: Vec<Finishing>,
    /// Channels that wait for a moment: a prompt plays, or a key's end may be lost.
    waiting: Vec<Channel>,
    /// What the packet that is being handled says, where somebody asks for it.
    voice: Box<Voice>,
    /// When somebody may have become quiet; none while nobody is on who was heard of late.
    look: Option<Mono>,
    /// When the next report to a party is due; whether one is.
    report: Option<Mono>,
    reporting: bool,
    events: VecDeque<Event>,
    /// Gateways, from where a party may be heard too.
    places: Places,
    random: Random,
}

#[derive(Default)]
struct Slot {
    lent: Option<Lent>,
    /// Of whoever had it last.
    tail: Option<Box<Tail>>,
    /// From where he spoke, and as which source.
    last: Option<(SocketAddr, u32)>,
}

/// Whose a packet is, and how it is to be read: what the tape needs to know of it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Tag {
    pub call: Uuid,
    pub party: Party,
    /// Of this packet, where it carries audio; else of the leg.
    pub codec: Codec,
    pub audio_pt: u8,
    pub event_pt: Option<u8>,
    pub secrecy: Secrecy,
}

impl Tag {
    /// Of what is agreed on with the party.
    pub fn of(call: Uuid, party: Party, stream: &Stream) -> Self {
        let Stream { codec, audio_pt, event_pt, .. } = *stream;
        Self { call, party, codec, audio_pt, event_pt, secrecy: Secrecy::Clear }
    }
}

/// How a packet came (RFC 3711).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[repr(u8)]
pub enum Secrecy {
    /// As RTP.
    Clear = 0,
    /// As SRTP; what is taped is what was inside.
    Decrypted = 1,
    /// As SRTP that the leg's key does not open; taped as it came.
    Undecryptable = 2,
}

/// What is to be done with a packet.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Verdict {
    /// Not of this call; counted.
    Drop,
    /// Tape the first `length` bytes as they are now, then send them on where somebody listens.
    Take { tag: Tag, length: usize, forward: Option<Forward> },
}

/// A packet of ours: to be taped, encrypted and sent from `channel` to `to`; none of it where the party holds us.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Spoken {
    pub channel: Channel,
    pub to: Option<SocketAddr>,
    pub tag: Tag,
    pub length: usize,
    /// False for what was mixed, and for keys: what others have said is on the tape already.
    pub taped: bool,
}

impl Relay {
    pub fn new(channels: u16, prompts: Vec<Arc<[i16]>>, random: Random) -> Self {
        let slots = (0..channels).map(|_| Slot::default()).collect();
        Self {
            slots,
            prompts,
            tables: Vec::new(),
            finishing: Vec::new(),
            waiting: Vec::with_capacity(usize::from(channels)),
            voice: Box::default(),
            look: None,
            report: None,
            reporting: false,
            events: VecDeque::with_capacity(usize::from(channels) * 4),
            places: Places::default(),
            random,
        }
    }

    /// A party may be heard from there as from another port of its own address.
    pub fn beside(self, places: Places) -> Self {
        Self { places, ..self }
    }

    /// Judges a datagram that arrived on a channel, and decrypts it in place.
    pub fn handle_packet(
        &mut self,
        channel: Channel,
        from: SocketAddr,
        bytes: &mut [u8],
        now: Mono,
    ) -> Verdict {
        let Some(lent) = self.lent(channel) else {
            return self.hear_tail(channel, from, bytes, now);
        };
        let judged = lent.judge(from, bytes, now).filter(|judged| lent.lets_in(judged, now));
        let elsewhere = lent.latch.news();
        let Some(judged) = judged else {
            lent.counts.strangers += 1;
            self.tell_of_place(channel, elsewhere);
            return Verdict::Drop;
        };
        let (packet, length) = (judged.packet, judged.length);
        let first = lent.counts.received == 0;
        let again = std::mem::take(&mut lent.quiet);
        lent.heard = now;
        lent.count(&judged, now);
        let (tag, other, event_clock) = (lent.tag(&judged), lent.other, lent.stream.event_clock);
        let anew = lent.starts_anew();
        self.tell_of_place(channel, elsewhere);
        if again {
            self.look.get_or_insert(now + QUIET);
        }
        if first || again {
            self.events.push_back(Event::Heard { channel });
        }
        if judged.secrecy == Secrecy::Undecryptable {
            self.tell_of_secret(channel);
            return Verdict::Take { tag, length, forward: None };
        }
        let forward = other.and_then(|other| self.forward(other, event_clock, judged.carried));
        match judged.carried {
            Carried::Keys => self.hear_key(channel, &packet, now),
            Carried::Audio(codec) => {
                let said_on = forward.is_some_and(|forward| forward.is_said());
                self.hear(channel, codec, &packet, said_on, now);
            }
            Carried::Noise => {}
        }
        if let Some(other) = other.and_then(|other| self.lent(other)) {
            if anew {
                other.seam.starts_anew();
            }
            if forward.is_none() {
                other.seam.withhold(bytes);
            }
        }
        Verdict::Take { tag, length, forward }
    }

    /// Numbers what is sent to the channel's party after what was sent before, and encrypts it where that is agreed on.
    /// Gives the length to send; none for what must not be sent.
    pub fn close_packet(
        &mut self,
        channel: Channel,
        buffer: &mut [u8],
        length: usize,
        now: Mono,
    ) -> Option<usize> {
        let lent = self.lent(channel)?;
        lent.seam.number(buffer.get_mut(..length)?, lent.stream.codec.clock(), now)?;
        lent.reports.sends(buffer.get(..length)?);
        let news = lent.seam.news();
        let closed = match &mut lent.guard {
            None => Some(length),
            Some(guard) => guard.close(buffer, length),
        };
        if let Some(mark) = news {
            self.events.push_back(Event::Marked { channel, mark });
        }
        closed
    }

    /// Counts a packet that was sent to the channel's party.
    pub fn sent(&mut self, channel: Channel) {
        if let Some(lent) = self.lent(channel) {
            lent.counts.sent += 1;
        }
    }

    /// Counts a packet that the tape's ring had no room for.
    pub fn untaped(&mut self, channel: Channel) {
        if let Some(lent) = self.lent(channel) {
            lent.counts.untaped += 1;
        }
    }

    /// Ends keys whose end packets are lost, and looks who has become quiet.
    pub fn handle_timeout(&mut self, now: Mono) {
        if self.look.is_some_and(|at| at <= now) {
            self.look = self.look_for_quiet(now);
        }
        if self.report.is_some_and(|at| at <= now) {
            self.report = self.mark_reports(now);
        }
        for index in 0..self.waiting.len() {
            let channel = self.waiting[index];
            if let Some(lent) = self.lent(channel) {
                lent.keys.handle_timeout(now);
            }
            self.report_keys(channel, now);
        }
    }

    /// The next packet of a prompt that is due; call until there is none.
    pub fn poll_packet(&mut self, now: Mono, out: &mut [u8; FRAME_BYTES]) -> Option<Spoken> {
        let mut index = 0;
        while let Some(&channel) = self.waiting.get(index) {
            let Some(lent) =
                self.slots.get_mut(usize::from(channel.0)).and_then(|slot| slot.lent.as_mut())
            else {
                self.waiting.swap_remove(index);
                continue;
            };
            match lent.source.turn(&lent.stream, &mut lent.mouth, now, out) {
                Turn::Packet(made) => return Some(lent.spoken(channel, &made, true)),
                Turn::Key(length) => {
                    let Stream { codec, audio_pt: payload_type, .. } = lent.stream;
                    let made = Made { codec, payload_type, length };
                    return Some(lent.spoken(channel, &made, false));
                }
                Turn::Played(prompt) => self.events.push_back(Event::Played { channel, prompt }),
                Turn::Nothing if lent.due().is_none() => {
                    self.waiting.swap_remove(index);
                }
                Turn::Nothing => index += 1,
            }
        }
        self.poll_mixed(now, out)
    }

    /// Whose the channel is, as the tape names it.
    pub fn whose(&self, channel: Channel) -> Option<Tag> {
        let lent = self.slots.get(usize::from(channel.0))?.lent.as_ref()?;
        Some(Tag::of(lent.call, lent.party, &lent.stream))
    }

    pub fn poll_event(&mut self) -> Option<Event> {
        self.events.pop_front()
    }

    pub fn deadline(&self) -> Option<Deadline> {
        let slots =
            self.waiting.iter().filter_map(|channel| self.slots.get(usize::from(channel.0)));
        let first = earlier(self.look.map(|at| (at, LOOK)), self.report_due());
        let first = earlier(first, self.tail_due());
        let tables = self.tables.iter().map(|table| Some(table.deadline()));
        let look = tables.fold(first, earlier);
        slots
            .filter_map(|slot| slot.lent.as_ref()?.due())
            .fold(look, |first, due| earlier(first, Some(due)))
    }

    /// Reports who has become quiet, and what was counted of the others; when the next one may.
    fn look_for_quiet(&mut self, now: Mono) -> Option<Mono> {
        let mut next: Option<Mono> = None;
        for (index, slot) in self.slots.iter_mut().enumerate() {
            let Some(lent) = slot.lent.as_mut().filter(|lent| !lent.quiet) else { continue };
            let at = lent.heard + QUIET;
            let channel = Channel(index as u16);
            if lent.counts.received != std::mem::replace(&mut lent.reported, lent.counts.received) {
                self.events.push_back(Event::Measured { channel, measured: lent.measured() });
            }
            if at <= now {
                lent.quiet = true;
                self.events.push_back(Event::Quiet { channel, since: lent.heard });
            } else {
                next = Some(next.map_or(at, |next| next.min(at)));
            }
        }
        next
    }

    /// A party that hears a prompt does not hear the other one at the same time.
    fn forward(&mut self, channel: Channel, event_clock: u32, carried: Carried) -> Option<Forward> {
        let lent = self.lent(channel).filter(|lent| lent.reachable() && !lent.source.speaks())?;
        Forward::of(channel, event_clock, carried, &lent.stream)
    }

    fn lent(&mut self, channel: Channel) -> Option<&mut Lent> {
        self.slots.get_mut(usize::from(channel.0))?.lent.as_mut()
    }
}

#[cfg(test)]
mod tests;
