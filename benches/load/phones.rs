//! The phones on either side of whatever relays their voices, and what a run of theirs came to.

use dutyline::io::clock;
use dutyline::protocol::now::Mono;
use mio::net::UdpSocket;
use mio::{Events, Interest, Poll, Token};
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::time::Duration;
use std::{fs, io};

pub const HERE: IpAddr = IpAddr::V4(Ipv4Addr::LOCALHOST);
const PACKET: usize = 172;
pub const FRAME: Duration = Duration::from_millis(20);

pub struct Run {
    pub sent: u64,
    pub received: u64,
    pub delays: Vec<u64>,
    /// Thread and its CPU time.
    pub cpu: Vec<(&'static str, Duration)>,
    pub note: String,
}

impl Run {
    pub fn print(&self, name: &str) {
        let mut delays = self.delays.clone();
        delays.sort_unstable();
        let at = |share: f64| {
            delays.get((delays.len() as f64 * share) as usize).map_or(0.0, |ns| *ns as f64 / 1e6)
        };
        println!(
            "{name}: {} of {} delivered = {:.3} %",
            self.received,
            self.sent,
            percent(self.received, self.sent)
        );
        println!(
            "  delay p50 {:.3} ms, p99 {:.3} ms, p99.9 {:.3} ms",
            at(0.5),
            at(0.99),
            at(0.999)
        );
        for (thread, cpu) in &self.cpu {
            println!(
                "  {thread:9} {:6.2} us CPU per packet",
                cpu.as_secs_f64() * 1e6 / self.sent as f64
            );
        }
        if !self.note.is_empty() {
            println!("  {}", self.note);
        }
    }
}

pub fn percent(part: u64, whole: u64) -> f64 {
    100.0 * part as f64 / whole.max(1) as f64
}

/// The phones of all calls: two sockets each.
pub struct Phones {
    sockets: Vec<UdpSocket>,
    poll: Poll,
}

impl Phones {
    pub fn new(calls: usize) -> Self {
        let poll = Poll::new().unwrap();
        let socket = |index: usize| {
            let mut socket = UdpSocket::bind(SocketAddr::new(HERE, 0)).unwrap();
            poll.registry().register(&mut socket, Token(index), Interest::READABLE).unwrap();
            socket
        };
        Self { sockets: (0..calls * 2).map(socket).collect(), poll }
    }

    pub fn addresses(&self) -> Vec<SocketAddr> {
        self.sockets.iter().map(|socket| socket.local_addr().unwrap()).collect()
    }

    /// Phone `i` talks to `ports[i]`; what comes back is counted.
    pub fn talk(mut self, ports: &[u16], seconds: u64) -> (u64, u64, Vec<u64>) {
        let count = self.sockets.len();
        let (frames, begin) = (seconds * 50, clock::mono());
        let (mut sent, mut received, mut delays) =
            (0u64, 0u64, Vec::with_capacity(count * frames as usize));
        let mut events = Events::with_capacity(1024);
        let total = frames * count as u64;
        let end = begin + FRAME * frames as u32 + Duration::from_secs(1);
        while clock::mono() < end {
            // Every phone has its own phase within the 20 ms.
            let due =
                |n: u64| begin + Duration::from_nanos(n * FRAME.as_nanos() as u64 / count as u64);
            while sent < total && due(sent) <= clock::mono() {
                let index = (sent % count as u64) as usize;
                let packet = packet(index, sent / count as u64);
                self.sockets[index].send_to(&packet, SocketAddr::new(HERE, ports[index])).unwrap();
                sent += 1;
            }
            let wait = if sent < total { due(sent).since(clock::mono()) } else { FRAME };
            self.poll.poll(&mut events, Some(wait.min(FRAME))).unwrap();
            let mut buffer = [0; 1500];
            for event in &events {
                while let Ok(length) = self.sockets[event.token().0].recv(&mut buffer) {
                    // A phone's port above its RTP port is the next phone's here, and gets reports (RTCP).
                    if matches!(buffer[1], 200..=207) {
                        continue;
                    }
                    assert_eq!(length, PACKET);
                    let at = u64::from_le_bytes(buffer[12..20].try_into().unwrap());
                    delays.push(clock::mono().since(Mono(at)).as_nanos() as u64);
                    received += 1;
                }
            }
        }
        (sent, received, delays)
    }
}

fn packet(index: usize, frame: u64) -> [u8; PACKET] {
    let mut packet = [0xd5; PACKET];
    packet[..2].copy_from_slice(&[0x80, 8]);
    packet[2..4].copy_from_slice(&(frame as u16).to_be_bytes());
    packet[4..8].copy_from_slice(&(frame as u32 * 160).to_be_bytes());
    packet[8..12].copy_from_slice(&(index as u32).to_be_bytes());
    packet[12..20].copy_from_slice(&clock::mono().0.to_le_bytes());
    packet
}

/// CPU time of the thread of this name (`/proc/self/task`).
pub fn cpu_of(name: &str) -> Duration {
    let tasks = fs::read_dir("/proc/self/task").unwrap().map(|task| task.unwrap().path());
    let mut named = tasks
        .filter(|task| fs::read_to_string(task.join("comm")).is_ok_and(|comm| comm.trim() == name));
    let read = |task: &std::path::Path| -> io::Result<u64> {
        let text = fs::read_to_string(task.join("schedstat"))?;
        Ok(text.split_ascii_whitespace().next().and_then(|ns| ns.parse().ok()).unwrap_or(0))
    };
    Duration::from_nanos(named.next().map_or(0, |task| read(&task).unwrap_or(0)))
}
