//! What the relay reports goes to the call it belongs to; how each party is heard, from its first packet to its last.

use super::{Output, Switchboard};
use crate::duty::journal::Fact;
use crate::protocol::now::{Mono, Now};
use crate::protocol::rtp::quality::{Course, Measured, Quality};
use crate::protocol::rtp::seam::Mark;
use crate::protocol::rtp::{self, Channel};

impl Switchboard {
    pub(super) fn on_media(&mut self, event: rtp::Event, now: Now) {
        match event {
            rtp::Event::Digit { channel, digit } => {
                if let Some((id, party)) = self.desk.channels.holder(channel) {
                    self.turn(id, |call, desk| call.handle_key(party, digit, desk, now));
                }
            }
            rtp::Event::Played { channel, prompt } => {
                if let Some((id, _)) = self.desk.channels.holder(channel) {
                    self.turn(id, |call, desk| call.handle_played(prompt, desk, now));
                }
            }
            rtp::Event::Tone { channel, tone, since } => {
                if let Some((id, party)) = self.desk.channels.holder(channel) {
                    self.turn(id, |call, desk| {
                        call.handle_tone(party, tone, now.back_to(since), desk, now);
                    });
                }
            }
            rtp::Event::Heard { channel } => {
                self.begin_voice(channel, now);
                self.on_voice(channel, None);
            }
            rtp::Event::Measured { channel, measured } => self.on_measured(channel, &measured, now),
            rtp::Event::Quiet { channel, since } => self.on_voice(channel, Some(since)),
            rtp::Event::Undecryptable { channel } => {
                if let Some((call, party)) = self.desk.channels.holder(channel) {
                    self.desk.note(Fact::Undecryptable { call, party }, now);
                }
            }
            rtp::Event::Elsewhere { channel, from, taken } => {
                if let Some((call, party)) = self.desk.channels.holder(channel) {
                    let from = from.to_string();
                    self.desk.note(Fact::Elsewhere { call, party, from, taken }, now);
                }
            }
            rtp::Event::Marked { channel, mark } => self.on_marked(channel, mark),
            rtp::Event::Closed { channel, counts, measured } => {
                let quality = self.finish_voice(channel, &measured, now);
                if let Some((call, party)) = self.desk.channels.closed(channel) {
                    self.desk.note(Fact::Carried { call, party, counts, quality }, now);
                }
            }
        }
    }

    fn on_voice(&mut self, channel: Channel, quiet_since: Option<Mono>) {
        if let Some((id, party)) = self.desk.channels.holder(channel) {
            self.turn(id, |call, _| call.handle_voice(party, quiet_since));
        }
    }

    pub(super) fn begin_voice(&mut self, channel: Channel, now: Now) {
        if self.desk.channels.is_open(channel) {
            self.voices.entry(channel).or_insert_with(|| Course::begin(now));
        }
    }

    pub(super) fn on_marked(&mut self, channel: Channel, mark: Mark) {
        if self.desk.channels.is_open(channel) {
            self.desk.marks.note(channel, mark);
        }
    }

    pub(super) fn on_measured(&mut self, channel: Channel, measured: &Measured, now: Now) {
        let Some((call, party)) = self.desk.channels.holder(channel) else { return };
        let Some(course) = self.voices.get_mut(&channel) else { return };
        course.take(measured, now);
        let quality = course.quality();
        self.desk.out.push_back(Output::Heard { call, party, quality });
    }

    /// None for a party of whom nothing came.
    pub(super) fn finish_voice(
        &mut self,
        channel: Channel,
        measured: &Measured,
        now: Now,
    ) -> Option<Quality> {
        let mut course = self.voices.remove(&channel)?;
        course.finish(measured, now);
        Some(course.quality())
    }
}
