//! How each party is heard, from its first packet to its last.

use super::{Output, Switchboard};
use crate::protocol::now::Now;
use crate::protocol::rtp::Channel;
use crate::protocol::rtp::quality::{Course, Measured, Quality};
use crate::protocol::rtp::seam::Mark;

impl Switchboard {
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
