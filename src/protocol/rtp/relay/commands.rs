//! What a relay is told: who has a channel, who hears whom, what is played.

use super::lent::Lent;
use super::reports::Reporter;
use super::tail::Tail;
use super::{QUIET, Relay};
use crate::protocol::now::Mono;
use crate::protocol::rtp::seam::Seam;
use crate::protocol::rtp::source::Source;
use crate::protocol::rtp::tones::Listener;
use crate::protocol::rtp::{Channel, Codec, Command, Counts, Event, Party, Prompt, Stream};
use std::sync::Arc;
use uuid::Uuid;

impl Relay {
    /// Carries out a command; one that names a channel that is not open has no effect. Gives the call whose tape is
    /// finished, where the command says so and nothing of it can come any more; else `poll_finished` does.
    pub fn handle_command(&mut self, command: Command, now: Mono) -> Option<Uuid> {
        match command {
            Command::Open { channel, call, party, stream } => {
                self.open(channel, call, party, stream, now)
            }
            Command::Change { channel, stream } => self.change(channel, stream, now),
            Command::Refresh { channel } => {
                if let Some(lent) = self.lent(channel) {
                    lent.latch.reopen();
                }
            }
            Command::Listen { channel, wanted } => {
                if let Some(lent) = self.lent(channel) {
                    lent.listener = Some(Box::new(Listener::new(wanted)));
                    lent.prepare();
                }
            }
            Command::Join { a, b } => self.join(a, b),
            Command::Confer { call, seats } => self.confer(call, seats, now),
            Command::PassOn { channel, call, party } => {
                if let Some(lent) = self.lent(channel) {
                    (lent.call, lent.party) = (call, party);
                }
            }
            Command::Play { channel, prompt, repeat } => {
                let samples = self.prompts.get(usize::from(prompt.0)).cloned();
                self.play(channel, (prompt, samples), repeat, now);
            }
            Command::Speak { channel, sound, name } => {
                self.play(channel, (name, Some(sound.0)), false, now);
            }
            Command::Stop { channel } => {
                if let Some(lent) = self.lent(channel) {
                    lent.source.stop();
                }
            }
            Command::Press { channel, key } => self.press(channel, key, now),
            Command::Resume { channel, mark } => {
                if let Some(lent) = self.lent(channel) {
                    lent.seam = Seam::resume(mark);
                }
            }
            Command::Close { channel } => self.close(channel, now),
            Command::Finish { call } => return self.finish(call, now),
        }
        None
    }

    fn open(&mut self, channel: Channel, call: Uuid, party: Party, stream: Stream, now: Mono) {
        self.close(channel, now);
        self.look.get_or_insert(now + QUIET);
        let source = Source::new(&mut self.random);
        let mask = self.random.u32();
        let reports = Reporter::new(&mut self.random, now);
        self.report = Some(self.report.map_or(reports.due, |at| at.min(reports.due)));
        let Some(slot) = self.slots.get_mut(usize::from(channel.0)) else { return };
        slot.tail = None;
        let mut lent = Lent::new((call, party), stream, (source, mask), reports, now);
        lent.latch = lent.latch.after(slot.last).beside(self.places);
        slot.lent = Some(lent);
    }

    fn change(&mut self, channel: Channel, stream: Stream, now: Mono) {
        let Some(lent) = self.lent(channel) else { return };
        lent.change(stream, now);
        let other = lent.other;
        self.tune(channel);
        if let Some(other) = other {
            self.tune(other);
        }
    }

    /// Makes ready what turns the voice of this channel's party into what others take, and theirs into its codec.
    pub(super) fn tune(&mut self, channel: Channel) {
        let sits = self.tables.iter().any(|table| table.seats(channel));
        let Some(lent) = self.lent(channel) else { return };
        let (other, codec) = (lent.other, lent.stream.codec);
        let costly = lent.may_say(Codec::Opus);
        let beside = other.and_then(|other| self.lent(other)).map(|lent| lent.stream.codec);
        let turned = |codec| beside.is_some_and(|beside| beside != codec);
        if (sits || turned(codec) || costly && turned(Codec::Opus))
            && let Some(lent) = self.lent(channel)
        {
            lent.prepare();
        }
    }

    fn join(&mut self, a: Channel, b: Channel) {
        if a == b || self.lent(a).is_none() || self.lent(b).is_none() {
            return;
        }
        self.part(a);
        self.part(b);
        for (one, other) in [(a, b), (b, a)] {
            if let Some(lent) = self.lent(one) {
                lent.other = Some(other);
            }
        }
        self.tune(a);
        self.tune(b);
    }

    /// From whomever the channel is joined to.
    pub(super) fn part(&mut self, channel: Channel) {
        self.tables.retain(|table| !table.seats(channel));
        let other = self.lent(channel).and_then(|lent| lent.other.take());
        if let Some(lent) = other.and_then(|other| self.lent(other)) {
            lent.other = None;
        }
    }

    fn play(
        &mut self,
        channel: Channel,
        (prompt, samples): (Prompt, Option<Arc<[i16]>>),
        repeat: bool,
        now: Mono,
    ) {
        let Some(samples) = samples else { return };
        let Some(lent) = self.lent(channel) else { return };
        lent.source.play(prompt, samples, repeat, now);
        lent.prepare();
        self.wait(channel);
    }

    pub(super) fn press(&mut self, channel: Channel, key: char, now: Mono) {
        if let Some(lent) = self.lent(channel).filter(|lent| lent.stream.event_pt.is_some()) {
            lent.source.press(key, now);
            self.wait(channel);
        }
    }

    fn close(&mut self, channel: Channel, now: Mono) {
        self.part(channel);
        let Some(slot) = self.slots.get_mut(usize::from(channel.0)) else { return };
        let Some(mut lent) = slot.lent.take() else { return };
        slot.last = lent.ssrc.map(|ssrc| (lent.stream.remote, ssrc));
        lent.keys.handle_timeout(Mono(u64::MAX));
        while let Some(digit) = lent.keys.poll() {
            self.events.push_back(Event::Digit { channel, digit });
        }
        let measured = lent.measured();
        let counts = Counts { lost: measured.tally.lost, ..lent.counts };
        slot.tail = Some(Box::new(Tail::new(lent, now)));
        self.waiting.retain(|waiting| *waiting != channel);
        self.events.push_back(Event::Closed { channel, counts, measured });
    }

    pub(super) fn wait(&mut self, channel: Channel) {
        if !self.waiting.contains(&channel) {
            self.waiting.push(channel);
        }
    }
}
