//! The last moments of a run: what the next one must know is written. Whatever comes over connections until then is
//! served, for nobody says it again; a datagram is said again, and is left to the next run.

use super::Control;
use crate::duty::switchboard::Input;
use crate::io::{clock, streams};
use crate::protocol::rtp;
use std::time::Duration;
use tokio::sync::mpsc;

/// How long the last change may wait for a disk that does not write.
const KEEP_WITHIN: Duration = Duration::from_secs(1);

impl Control {
    /// Whatever has been read of connections before is in it.
    pub(super) async fn keep_last(
        &mut self,
        streams: &mut mpsc::Receiver<streams::Event>,
        media: &mut mpsc::UnboundedReceiver<rtp::Event>,
    ) {
        self.keeper.kept.hurry(true);
        // Where there is no room in time, nothing is told.
        let until = Some((clock::mono() + KEEP_WITHIN, "the keeper of the calls has no room"));
        loop {
            tokio::select! {
                biased;
                () = clock::until(until) => break,
                Some(event) = streams.recv() => self.on_stream(event),
                Some(event) = media.recv() => self.handle(Input::Media(event)),
                _ = self.keeper.room() => break,
            }
            self.wake_media();
        }
        while let Ok(event) = streams.try_recv() {
            self.on_stream(event);
        }
        self.wake_media();
        self.keep();
        self.flush();
    }

    /// Whoever waits for a keeper that is gone waits no longer.
    fn flush(&mut self) {
        while let Some(transmit) = self.held.poll(u64::MAX, clock::mono()) {
            self.send(transmit);
        }
    }
}
