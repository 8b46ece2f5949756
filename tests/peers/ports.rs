//! Ports for one test: a block of a hundred, held against other tests, threads and processes.

use crate::process::wait_until;
use std::fs::{File, OpenOptions};
use std::io::ErrorKind;
use std::net::{TcpListener, ToSocketAddrs, UdpSocket};
use std::os::fd::AsRawFd;
use std::time::Duration;

const FIRST: u16 = 20_000;
const BLOCK: u16 = 100;
const BLOCKS: u16 = 90;

/// A hundred ports on 127.0.0.1, given back on drop.
pub struct Ports {
    base: u16,
    _lock: File,
}

impl Ports {
    pub fn take() -> Self {
        let start = u16::try_from(std::process::id() % u32::from(BLOCKS)).expect("below 90");
        (0..BLOCKS)
            .map(|turn| FIRST + (start + turn) % BLOCKS * BLOCK)
            .find_map(Self::try_take)
            .expect("a free block of ports between 20000 and 29000")
    }

    fn try_take(base: u16) -> Option<Self> {
        let path = std::env::temp_dir().join(format!("dutyline-test-ports-{base}.lock"));
        let lock = OpenOptions::new().create(true).append(true).open(path).ok()?;
        // SAFETY: the descriptor is open for as long as `lock` lives.
        let locked = unsafe { libc::flock(lock.as_raw_fd(), libc::LOCK_EX | libc::LOCK_NB) } == 0;
        let free = locked
            && (base..base + BLOCK).all(|port| {
                UdpSocket::bind(("127.0.0.1", port)).is_ok()
                    && TcpListener::bind(("127.0.0.1", port)).is_ok()
            });
        free.then_some(Self { base, _lock: lock })
    }

    pub fn pbx(&self) -> u16 {
        self.base
    }

    pub fn line(&self) -> u16 {
        self.base + 2
    }

    pub fn page(&self) -> u16 {
        self.base + 4
    }

    /// Where the PBX sends what is dialled as 9xxx.
    pub fn sink(&self) -> u16 {
        self.base + 6
    }

    /// SIP of the phone with this number of order, which takes the next port too.
    pub fn phone(&self, order: u16) -> u16 {
        assert!(order < 6);
        self.base + 10 + 2 * order
    }

    pub fn phone_control(&self, order: u16) -> u16 {
        self.base + 24 + order
    }

    /// First of eight.
    pub fn phone_media(&self, order: u16) -> u16 {
        self.base + 30 + 8 * order
    }

    /// First of twenty-two: eleven channels.
    pub fn media(&self) -> u16 {
        self.base + 78
    }

    /// First of a hundred, fifty channels: of a block that is taken for nothing else.
    pub fn all_for_media(&self) -> u16 {
        self.base
    }

    /// A port for a test of its own, two of them.
    pub fn own(&self, order: u16) -> u16 {
        assert!(order < 2);
        self.base + 8 + order
    }
}

/// A socket at a place of this test's own. One that was just closed may be held for a moment more by a child that another
/// test starts: it has a copy of every descriptor until its program runs.
pub fn bound(place: impl ToSocketAddrs + Copy) -> UdpSocket {
    wait_until("a port of ours", Duration::from_secs(2), || match UdpSocket::bind(place) {
        Err(taken) if taken.kind() == ErrorKind::AddrInUse => None,
        bound => Some(bound.expect("a port of ours")),
    })
}
