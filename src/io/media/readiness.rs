//! Which sockets have a packet. Level-triggered: whoever reads one packet need not ask whether there is another, which
//! would be a system call in vain for nearly every packet.

use rustix::event::epoll::{self, CreateFlags, Event, EventData, EventFlags};
use rustix::event::{EventfdFlags, Timespec, eventfd};
use rustix::io::Errno;
use std::io;
use std::os::fd::{AsFd, OwnedFd};
use std::sync::Arc;
use std::time::Duration;

const WOKEN: u64 = u64::MAX;
/// Told of at once; the others are told of next.
const ROOM: usize = 1024;

pub enum Ready {
    /// Somebody has woken the thread.
    Woken,
    /// The one that is watched under this name.
    Socket(usize),
}

pub struct Readiness(OwnedFd);

/// What was found ready at once; stays with the thread that waits.
pub struct Found {
    events: Vec<Event>,
    /// Those that were given out.
    given: usize,
}

/// Wakes the thread that waits, or the next time it does.
#[derive(Clone)]
pub struct Waker(Arc<OwnedFd>);

impl Readiness {
    /// # Errors
    /// No file descriptors are left.
    pub fn new() -> io::Result<(Self, Waker)> {
        let epoll = epoll::create(CreateFlags::CLOEXEC)?;
        let woken = eventfd(0, EventfdFlags::CLOEXEC | EventfdFlags::NONBLOCK)?;
        // At each edge: it is never read.
        let edges = EventFlags::IN | EventFlags::ET;
        epoll::add(&epoll, &woken, EventData::new_u64(WOKEN), edges)?;
        Ok((Self(epoll), Waker(Arc::new(woken))))
    }

    /// # Errors
    /// The kernel has no room for it.
    pub fn watch(&self, socket: impl AsFd, name: usize) -> io::Result<()> {
        Ok(epoll::add(&self.0, socket, EventData::new_u64(name as u64), EventFlags::IN)?)
    }

    /// Until something is ready, somebody wakes it, or the time is over, to the millisecond above.
    ///
    /// # Errors
    /// The kernel refuses: there is nothing to wait for any more.
    pub fn wait(&self, found: &mut Found, patience: Option<Duration>) -> io::Result<()> {
        let timeout = patience.map(|patience| {
            let millis = patience.as_nanos().div_ceil(1_000_000);
            let millis = i64::try_from(millis).unwrap_or(i64::from(i32::MAX));
            Timespec { tv_sec: millis / 1000, tv_nsec: millis % 1000 * 1_000_000 }
        });
        found.events.clear();
        found.given = 0;
        let room = rustix::buffer::spare_capacity(&mut found.events);
        match epoll::wait(&self.0, room, timeout.as_ref()) {
            Ok(_) | Err(Errno::INTR) => Ok(()),
            Err(fault) => Err(fault.into()),
        }
    }
}

impl Found {
    pub fn new() -> Self {
        Self { events: Vec::with_capacity(ROOM), given: 0 }
    }

    /// One after the other.
    pub fn next(&mut self) -> Option<Ready> {
        let event = self.events.get(self.given)?;
        self.given += 1;
        Some(match event.data.u64() {
            WOKEN => Ready::Woken,
            name => Ready::Socket(usize::try_from(name).unwrap_or(usize::MAX)),
        })
    }
}

impl Waker {
    pub fn wake(&self) {
        // Full only after as many wakings as there is no time for.
        let _ = rustix::io::write(&self.0, &1_u64.to_ne_bytes());
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::net::UdpSocket;

    fn ready(readiness: &Readiness, patience: Duration) -> Vec<Option<usize>> {
        let mut found = Found::new();
        readiness.wait(&mut found, Some(patience)).unwrap();
        let name = |ready| match ready {
            Ready::Woken => None,
            Ready::Socket(name) => Some(name),
        };
        std::iter::from_fn(|| found.next()).map(name).collect()
    }

    #[test]
    fn a_socket_is_ready_as_often_as_it_has_packets_and_a_waking_counts_once() {
        let (readiness, waker) = Readiness::new().unwrap();
        let socket = UdpSocket::bind("127.0.0.1:0").unwrap();
        socket.set_nonblocking(true).unwrap();
        readiness.watch(&socket, 7).unwrap();
        assert_eq!(ready(&readiness, Duration::ZERO), [], "nothing yet");
        let there = socket.local_addr().unwrap();
        for packet in [b"a", b"b"] {
            socket.send_to(packet, there).unwrap();
        }
        let mut buffer = [0; 8];
        for packet in [b"a", b"b"] {
            assert_eq!(ready(&readiness, Duration::from_secs(5)), [Some(7)]);
            assert_eq!(socket.recv(&mut buffer).unwrap(), 1);
            assert_eq!(&buffer[..1], packet);
        }
        assert_eq!(ready(&readiness, Duration::ZERO), [], "both are read");
        waker.wake();
        waker.clone().wake();
        assert_eq!(ready(&readiness, Duration::from_secs(5)), [None]);
        assert_eq!(ready(&readiness, Duration::ZERO), [], "woken once");
        waker.wake();
        assert_eq!(ready(&readiness, Duration::from_secs(5)), [None], "and again");
    }
}
