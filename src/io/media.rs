//! RTP sockets; turns the relay; feeds the tape's ring.

use crate::protocol::rtp::{self, Command};
use std::io;
use std::net::IpAddr;
use std::sync::Arc;
use tokio::sync::mpsc;

/// The RTP ports to bind, as configured.
#[derive(Debug, Clone)]
pub struct MediaPlan {
    pub listen: IpAddr,
    /// Even; channel `i` is bound to `first_port + 2 * i`.
    pub first_port: u16,
    pub channels: u16,
    /// Ask for `SCHED_FIFO`; goes on without where it is not permitted.
    pub realtime: bool,
}

/// Gives commands to the media thread. Dropping it stops the thread.
pub struct Media {}

/// The tape's end of the ring; goes to `tape::start`.
pub struct TapeFeed {}

/// Binds the ports and starts the thread. The ports come back in the order of [`rtp::Channel`].
///
/// # Errors
/// A port that cannot be bound, named with the remedy.
pub fn start(
    _plan: MediaPlan,
    _prompts: Vec<Arc<[i16]>>,
    _events: mpsc::UnboundedSender<rtp::Event>,
) -> io::Result<(Media, TapeFeed, Vec<u16>)> {
    todo!()
}

impl Media {
    /// Never waits.
    ///
    /// # Errors
    /// Gives the command back when the queue is full or the thread is gone.
    pub fn send(&self, _command: Command) -> Result<(), Command> {
        todo!()
    }

    /// Ends the thread and closes the ports; the tape then drains what is left and ends too.
    pub fn stop(self) {
        todo!()
    }
}
