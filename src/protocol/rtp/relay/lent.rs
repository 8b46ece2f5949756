//! What a channel is while it is lent to a party: its stream, its keys, its prompts, its counts.

use super::latch::Latch;
use super::reports::Reporter;
use super::{Secrecy, Spoken, Tag};
use crate::protocol::now::{Deadline, Mono, earlier};
use crate::protocol::rtp::gate::{Gate, Pace};
use crate::protocol::rtp::narrow::{Ear, Mouth};
use crate::protocol::rtp::packet::{self, Packet};
use crate::protocol::rtp::quality::{Measured, Reception};
use crate::protocol::rtp::seam::Seam;
use crate::protocol::rtp::source::{Made, Source};
use crate::protocol::rtp::srtp::{Closed, Guard, Keys as SrtpKeys};
use crate::protocol::rtp::stream::Carried;
use crate::protocol::rtp::telephone_event::Keys;
use crate::protocol::rtp::tones::Listener;
use crate::protocol::rtp::{Channel, Codec, Counts, Party, Stream};
use std::net::SocketAddr;
use uuid::Uuid;

/// From one mask to the next: odd, so that none comes twice.
const STEP: u32 = 0x9e37_79b9;

pub struct Lent {
    pub call: Uuid,
    pub party: Party,
    pub stream: Stream,
    pub other: Option<Channel>,
    pub keys: Keys,
    pub latch: Latch,
    /// Whose packet came last.
    pub ssrc: Option<u32>,
    gate: Gate,
    /// Room of its own for what cannot be decrypted: none of it is taken from what can.
    unproved: Pace,
    pub reception: Reception,
    /// Packets received when that was last reported.
    pub reported: u64,
    /// Of and to the party, beside its voice.
    pub reports: Reporter,
    pub source: Source,
    pub seam: Seam,
    pub counts: Counts,
    /// When the last packet came.
    pub heard: Mono,
    pub quiet: bool,
    pub guard: Option<Box<Guard>>,
    /// While the party speaks in the clear: how far it had come.
    rested: Option<Box<Guard>>,
    /// Of the guard, and for one that is needed later.
    mask: u32,
    /// That its packets cannot be decrypted was reported.
    pub told: bool,
    /// While tones are to be reported of it.
    pub listener: Option<Box<Listener>>,
    /// Of what it says, and of what is said to it.
    pub ear: Ear,
    pub mouth: Mouth,
}

/// A packet of the party.
#[derive(Debug, Clone, Copy)]
pub struct Judged<'a> {
    pub packet: Packet<'a>,
    pub carried: Carried,
    /// Of the packet without what encryption adds.
    pub length: usize,
    pub secrecy: Secrecy,
}

impl Lent {
    pub fn new(
        (call, party): (Uuid, Party),
        stream: Stream,
        (source, mask): (Source, u32),
        reports: Reporter,
        now: Mono,
    ) -> Self {
        Self {
            call,
            party,
            stream,
            other: None,
            keys: Keys::default(),
            latch: Latch::new(stream.remote),
            ssrc: None,
            gate: Gate::default(),
            unproved: Pace::default(),
            reception: Reception::default(),
            reported: 0,
            reports,
            source,
            seam: Seam::default(),
            counts: Counts::default(),
            heard: now,
            quiet: false,
            guard: stream.srtp.map(|keys| guard(keys, mask)),
            rested: None,
            mask,
            told: false,
            listener: None,
            ear: Ear::default(),
            mouth: Mouth::default(),
        }
    }

    /// Its voice may be heard by others than one that speaks its codec, or it may be spoken to: not on a packet's way.
    pub fn prepare(&mut self) {
        self.ear.prepare(self.stream.codec);
        self.mouth.prepare(self.stream.codec);
        if self.may_say(Codec::Opus) {
            self.ear.prepare(Codec::Opus);
        }
    }

    /// Whether the party has named this codec: it speaks any of those whenever it likes (RFC 3264 §6.1).
    pub fn may_say(&self, codec: Codec) -> bool {
        self.stream.type_of(codec).is_some()
    }

    /// A remote of `0.0.0.0` is a hold in the old manner (RFC 3264 §8.4): what the party still sends comes from where
    /// it was.
    pub fn change(&mut self, stream: Stream, now: Mono) {
        let stream = stream.after(&self.stream);
        let remote = match stream.remote.ip().is_unspecified() {
            true => self.stream.remote,
            false => self.latch.describe(stream.remote, self.stream.remote, now),
        };
        match (&mut self.guard, stream.srtp) {
            (Some(guard), Some(keys)) => guard.rekey(keys),
            (guard @ Some(_), None) => self.rested = guard.take(),
            (None, None) => {}
            (guard @ None, Some(keys)) => {
                self.mask = self.mask.wrapping_add(STEP);
                *guard = match self.rested.take() {
                    None => Some(self::guard(keys, self.mask)),
                    Some(mut rested) => {
                        rested.resume(keys, self.mask);
                        Some(rested)
                    }
                };
            }
        }
        self.told &= stream.srtp == self.stream.srtp;
        self.stream = Stream { remote, ..stream };
        self.gate.reopen();
    }

    /// None for a packet the party has no business to send, and for one that was there before.
    pub fn judge<'a>(
        &mut self,
        from: SocketAddr,
        bytes: &'a mut [u8],
        now: Mono,
    ) -> Option<Judged<'a>> {
        let elsewhere = from != self.stream.remote;
        if elsewhere && !self.latch.may_be(from, now) {
            self.refuse(from, bytes, now);
            return None;
        }
        let (length, secrecy) = match &mut self.guard {
            None => (bytes.len(), Secrecy::Clear),
            Some(guard) => match guard.open(bytes) {
                Ok(length) => (length, Secrecy::Decrypted),
                Err(Closed::Unauthentic) => (bytes.len(), Secrecy::Undecryptable),
                Err(Closed::Replayed) => return None,
            },
        };
        let packet = packet::parse(&bytes[..length])?;
        let carried = self.stream.carried(packet.payload_type)?;
        let judged = Judged { packet, carried, length, secrecy };
        if secrecy == Secrecy::Undecryptable {
            if elsewhere {
                self.latch.refuse(from, now);
                return None;
            }
            return Some(judged);
        }
        if elsewhere {
            if !self.latch.takes(from, packet.ssrc, secrecy, now) {
                return None;
            }
            self.stream.remote = from;
            self.gate.reopen();
        }
        self.latch.settle();
        Some(judged)
    }

    /// What might be the party's but for where it comes from is worth a word.
    fn refuse(&mut self, from: SocketAddr, bytes: &[u8], now: Mono) {
        let packet = packet::parse(bytes);
        if packet.is_some_and(|packet| self.stream.carried(packet.payload_type).is_some()) {
            self.latch.refuse(from, now);
        }
    }

    /// What nobody can prove to be the party's may not become its stream.
    pub fn lets_in(&mut self, judged: &Judged<'_>, now: Mono) -> bool {
        match judged.secrecy {
            Secrecy::Undecryptable => self.unproved.admits(now),
            Secrecy::Clear | Secrecy::Decrypted => self.gate.admits(&judged.packet, now),
        }
    }

    /// Whether the packet that was let in last begins its stream anew.
    pub fn starts_anew(&self) -> bool {
        self.gate.starts_anew()
    }

    /// Only audio says by its timestamp when it was spoken.
    pub fn count(&mut self, judged: &Judged<'_>, now: Mono) {
        let clock = match judged.carried {
            Carried::Audio(codec) => Some(codec.clock()),
            Carried::Keys | Carried::Noise => None,
        };
        self.counts.received += 1;
        self.ssrc = Some(judged.packet.ssrc);
        self.reception.handle_packet(&judged.packet, clock, now);
    }

    pub fn measured(&self) -> Measured {
        Measured { codec: self.stream.codec, tally: self.reception.tally(), far: self.reports.far }
    }

    /// Of a packet that carries audio in its codec, or keys.
    pub fn tag(&self, judged: &Judged<'_>) -> Tag {
        let (codec, audio_pt, event_pt) = match judged.carried {
            Carried::Audio(codec) => (codec, judged.packet.payload_type, self.stream.event_pt),
            Carried::Keys => {
                (self.stream.codec, self.stream.audio_pt, Some(judged.packet.payload_type))
            }
            Carried::Noise => (self.stream.codec, self.stream.audio_pt, self.stream.event_pt),
        };
        let (call, party, secrecy) = (self.call, self.party, judged.secrecy);
        Tag { call, party, codec, audio_pt, event_pt, secrecy }
    }

    /// A packet of ours that was made for it.
    pub fn spoken(&self, channel: Channel, made: &Made, taped: bool) -> Spoken {
        let to = self.reachable().then_some(self.stream.remote);
        let tag = Tag::of(self.call, Party::Prompt, &self.stream);
        let tag = Tag { codec: made.codec, audio_pt: made.payload_type, ..tag };
        Spoken { channel, to, tag, length: made.length, taped }
    }

    pub fn reachable(&self) -> bool {
        self.stream.send
            && !self.stream.remote.ip().is_unspecified()
            && self.stream.remote.port() != 0
    }

    pub fn due(&self) -> Option<Deadline> {
        let prompt = self.source.due().map(|due| (due, "next packet of a prompt or a key"));
        earlier(prompt, self.keys.deadline())
    }
}

fn guard(keys: SrtpKeys, mask: u32) -> Box<Guard> {
    Box::new(Guard::new(keys).masked(mask))
}
