//! Which sockets have something to read. It is said again for as long as it is so (level-triggered): a socket that gave a
//! packet needs no second read to be known as empty, and whoever has much to say has one turn among the others.

use rustix::buffer::spare_capacity;
use rustix::event::epoll::{self, CreateFlags, Event, EventData, EventFlags};
use rustix::event::{EventfdFlags, eventfd};
use rustix::time::Timespec;
use std::io;
use std::os::fd::{AsFd, OwnedFd};
use std::sync::Arc;
use std::time::Duration;

/// Sockets told of at once.
const TOLD: usize = 1024;

pub struct Readiness(OwnedFd);

/// Which are, as it was told last.
pub struct Ready(Vec<Event>);

impl Ready {
    pub fn none() -> Self {
        Self(Vec::with_capacity(TOLD))
    }

    pub fn len(&self) -> usize {
        self.0.len()
    }

    pub fn token(&self, nth: usize) -> u64 {
        self.0[nth].data.u64()
    }
}

impl Readiness {
    pub fn new() -> io::Result<Self> {
        Ok(Self(epoll::create(CreateFlags::CLOEXEC)?))
    }

    /// `token` names the socket when it is ready.
    pub fn add(&self, socket: impl AsFd, token: u64) -> io::Result<()> {
        Ok(epoll::add(&self.0, socket, EventData::new_u64(token), EventFlags::IN)?)
    }

    /// Says nothing of the socket until it is heeded again.
    pub fn heed(&self, socket: impl AsFd, token: u64, heeded: bool) -> io::Result<()> {
        let flags = if heeded { EventFlags::IN } else { EventFlags::empty() };
        Ok(epoll::modify(&self.0, socket, EventData::new_u64(token), flags)?)
    }

    /// Wakes whoever waits: each call is told once, as `token`, or together with the one before.
    pub fn waker(&self, token: u64) -> io::Result<Waker> {
        let event = eventfd(0, EventfdFlags::CLOEXEC | EventfdFlags::NONBLOCK)?;
        let flags = EventFlags::IN | EventFlags::ET;
        epoll::add(&self.0, &event, EventData::new_u64(token), flags)?;
        Ok(Waker(Arc::new(event)))
    }

    /// Sleeps until something is ready, or for so long, in whole milliseconds.
    pub fn wait(&self, ready: &mut Ready, patience: Option<Duration>) -> io::Result<()> {
        let whole = patience.map(|patience| patience.as_nanos().div_ceil(1_000_000) as u64);
        let whole = whole.and_then(|whole| Timespec::try_from(Duration::from_millis(whole)).ok());
        ready.0.clear();
        epoll::wait(&self.0, spare_capacity(&mut ready.0), whole.as_ref())?;
        Ok(())
    }
}

#[derive(Clone)]
pub struct Waker(Arc<OwnedFd>);

impl Waker {
    pub fn wake(&self) {
        // Full only after 2^64 calls that nobody read.
        let _ = rustix::io::write(&self.0, &1u64.to_ne_bytes());
    }
}
