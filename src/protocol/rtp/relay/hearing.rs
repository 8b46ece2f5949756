//! What a party's packets say, for whoever asks: its keys, its tones, its voice at a table or in another codec.

use super::forward::{self, Change};
use super::latch::Elsewhere;
use super::{Forward, Relay};
use crate::protocol::now::Mono;
use crate::protocol::rtp::narrow::{self, SAMPLES_MAX};
use crate::protocol::rtp::packet::{self, Packet};
use crate::protocol::rtp::{Channel, Codec, Event};

/// What the packet that is being handled says.
pub struct Voice {
    samples: [i16; SAMPLES_MAX],
    count: usize,
    /// In samples.
    timestamp: u32,
}

impl Default for Voice {
    fn default() -> Self {
        Self { samples: [0; SAMPLES_MAX], count: 0, timestamp: 0 }
    }
}

impl Relay {
    /// Changes the packet that was handled just now, the first `length` bytes of `buffer`, into what the other leg takes;
    /// its codec needs room for a longer one, and encrypting it for [`TAG`](super::super::srtp::TAG) more. Gives the length to send.
    pub fn carry(
        &mut self,
        forward: &Forward,
        buffer: &mut [u8],
        length: usize,
        now: Mono,
    ) -> Option<usize> {
        let packet = buffer.get_mut(..length)?;
        forward.label(packet);
        let length = match forward.change {
            Change::None => length,
            Change::Table(table) => {
                forward::through(table, packet::payload_mut(packet));
                length
            }
            Change::Duration { from, to } => {
                forward::rescaled(packet::payload_mut(packet), from, to);
                length
            }
            Change::Said(codec) => match self.say_on(forward.channel, codec, buffer) {
                Some(length) => length,
                None => {
                    self.lent(forward.channel)?.seam.withhold(buffer);
                    return None;
                }
            },
        };
        self.close_packet(forward.channel, buffer, length, now)
    }

    pub(super) fn hear_key(&mut self, channel: Channel, packet: &Packet<'_>, now: Mono) {
        if let Some(lent) = self.lent(channel) {
            lent.keys.handle_packet(packet, now);
            if lent.keys.deadline().is_some() {
                self.wait(channel);
            }
        }
        self.report_keys(channel, now);
    }

    /// Hears the packet for whoever asks for what it says: the tones, the table, and the other leg's codec (`said_on`).
    pub(super) fn hear(
        &mut self,
        channel: Channel,
        codec: Codec,
        packet: &Packet<'_>,
        said_on: bool,
        now: Mono,
    ) {
        self.voice.count = 0;
        let table = self.tables.iter_mut().find(|table| table.seats(channel));
        let slot = self.slots.get_mut(usize::from(channel.0));
        let Some(lent) = slot.and_then(|slot| slot.lent.as_mut()) else { return };
        if !said_on && table.is_none() && lent.listener.is_none() {
            return;
        }
        let Some(heard) = lent.ear.hear(codec, packet, &mut self.voice.samples) else { return };
        (self.voice.count, self.voice.timestamp) = (heard.samples.len(), heard.timestamp);
        if let Some(listener) = &mut lent.listener {
            let found = listener.handle_voice(&heard, now);
            // Where keys have a way of their own, what is left of them in the voice is no second press.
            let key = listener.poll_key().filter(|_| lent.stream.event_pt.is_none());
            let over = listener.is_over();
            lent.listener.take_if(|_| over);
            let told = found.map(|(tone, since)| Event::Tone { channel, tone, since });
            self.events.extend(told);
            self.events.extend(key.map(|digit| Event::Digit { channel, digit }));
        }
        if let Some(table) = table {
            table.handle_voice(channel, &heard);
        }
    }

    /// Puts what was heard just now into the packet at the start of `buffer`, in the codec of the channel's party.
    fn say_on(&mut self, channel: Channel, codec: Codec, buffer: &mut [u8]) -> Option<usize> {
        let slot = self.slots.get_mut(usize::from(channel.0));
        let lent = slot.and_then(|slot| slot.lent.as_mut())?;
        let Voice { samples, count, timestamp } = &*self.voice;
        let samples = samples.get(..*count).filter(|samples| !samples.is_empty())?;
        packet::replace_payload(buffer, |place| {
            let said = lent.mouth.say(codec, samples, place)?;
            Some((said.bytes, narrow::stamped(timestamp.wrapping_sub(said.held), codec)))
        })
    }

    pub(super) fn report_keys(&mut self, channel: Channel, now: Mono) {
        while let Some(digit) = self.lent(channel).and_then(|lent| lent.keys.poll()) {
            self.events.push_back(Event::Digit { channel, digit });
            self.pass_on_key(channel, digit, now);
        }
    }

    pub(super) fn tell_of_place(&mut self, channel: Channel, elsewhere: Option<Elsewhere>) {
        let told =
            elsewhere.map(|Elsewhere { from, taken }| Event::Elsewhere { channel, from, taken });
        self.events.extend(told);
    }

    pub(super) fn tell_of_secret(&mut self, channel: Channel) {
        if let Some(lent) = self.lent(channel)
            && !std::mem::replace(&mut lent.told, true)
        {
            self.events.push_back(Event::Undecryptable { channel });
        }
    }
}
