//! A bad wire: the daemon and its PBX on one host, the phones on another, and between them a cable that loses, delays,
//! doubles and turns around what passes, as a seed says. Two network namespaces need root.

use dutyline::protocol::random::Random;
use std::collections::BTreeMap;
use std::fs::{File, OpenOptions};
use std::io::{ErrorKind, Read, Write};
use std::os::fd::AsRawFd;
use std::os::unix::fs::OpenOptionsExt;
use std::process::Command;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

/// The daemon and the PBX.
pub const DESK: &str = "10.98.7.1";
/// The phones.
pub const PHONES: &str = "10.98.7.2";
/// As far as RTP may be confused with something else: what the tests' phones speak.
const VOICE_TYPES: [u8; 2] = [0, 8];
const MTU: usize = 1500;
/// How long the cable waits for a packet before it looks whether one is due.
const LOOK_MS: i32 = 2;

/// What the cable does; chances in a thousand.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Weather {
    pub loss: u64,
    pub twice: u64,
    /// Overtaken by the packets of the next 50 ms.
    pub reordered: u64,
    /// Each packet's own, as netem has it: they overtake one another.
    pub least_delay: Duration,
    pub most_delay: Duration,
    /// Nothing passes.
    pub cut: bool,
}

impl Weather {
    pub fn fair() -> Self {
        let (least_delay, most_delay) = (Duration::ZERO, Duration::ZERO);
        Self { loss: 0, twice: 0, reordered: 0, least_delay, most_delay, cut: false }
    }
}

/// What became of the voice packets that the phones sent to one port.
#[derive(Debug, Clone, Default)]
pub struct Passage {
    /// Sequence numbers, counted on over their wraps, in the order they were sent.
    pub delivered: Vec<u32>,
    pub dropped: Vec<u32>,
    pub doubled: u64,
}

impl Passage {
    /// Dropped between the first and the last that came: what a receiver can know of.
    pub fn missed(&self) -> u64 {
        let (first, last) = (self.delivered.iter().min(), self.delivered.iter().max());
        let (Some(first), Some(last)) = (first, last) else { return 0 };
        self.dropped.iter().filter(|n| (first..last).contains(n)).count() as u64
    }
}

/// The phones' host as a NAT shows it: what goes out from these ports of theirs comes from others, so far above; what
/// comes in at the ports that they name meets nobody.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Nat {
    pub first: u16,
    pub last: u16,
    pub above: u16,
}

impl Nat {
    fn hides(self, port: u16) -> bool {
        (self.first..=self.last).contains(&port)
    }

    /// False for a packet that goes nowhere.
    fn translate(self, to: usize, packet: &mut [u8]) -> bool {
        let header = 4 * usize::from(packet[0] & 0x0f);
        if packet.get(9) != Some(&17) || packet.len() < header + 8 {
            return true;
        }
        let place = header + if to == 0 { 0 } else { 2 };
        let port = u16::from_be_bytes([packet[place], packet[place + 1]]);
        let shown = match to {
            0 if self.hides(port) => port + self.above,
            1 if self.hides(port) => return false,
            1 if port.checked_sub(self.above).is_some_and(|port| self.hides(port)) => {
                port - self.above
            }
            _ => return true,
        };
        packet[place..place + 2].copy_from_slice(&shown.to_be_bytes());
        // RFC 768: no checksum was made.
        packet[header + 6..header + 8].fill(0);
        true
    }
}

pub struct Wire {
    desk: String,
    phones: String,
    weather: Arc<Mutex<Weather>>,
    nat: Arc<Mutex<Option<Nat>>>,
    voices: Arc<Mutex<BTreeMap<u16, Passage>>>,
    stopping: Arc<AtomicBool>,
    pump: Option<JoinHandle<()>>,
}

fn ip(arguments: &str) -> bool {
    let done = Command::new("ip").args(arguments.split(' ')).output();
    done.is_ok_and(|done| done.status.success())
}

/// Does something on a host: on this thread, which whatever is started lives as long as.
fn on<R>(host: &str, deed: impl FnOnce() -> R) -> R {
    let home = File::open("/proc/thread-self/ns/net").expect("our own namespace");
    enter(&File::open(format!("/run/netns/{host}")).expect("the namespace"));
    let done = deed();
    enter(&home);
    done
}

fn enter(namespace: &File) {
    // SAFETY: the descriptor is open; this thread alone changes its network.
    let moved = unsafe { libc::setns(namespace.as_raw_fd(), libc::CLONE_NEWNET) };
    assert_eq!(moved, 0, "{}", std::io::Error::last_os_error());
}

impl Wire {
    /// `None` where it may not be laid, with a printed reason.
    pub fn lay(seed: u8) -> Option<Self> {
        static ORDER: std::sync::atomic::AtomicU32 = std::sync::atomic::AtomicU32::new(0);
        let id = format!("{}-{}", std::process::id(), ORDER.fetch_add(1, Ordering::Relaxed));
        let mut wire = Self {
            desk: format!("dutyline-d{id}"),
            phones: format!("dutyline-p{id}"),
            weather: Arc::new(Mutex::new(Weather::fair())),
            nat: Arc::default(),
            voices: Arc::default(),
            stopping: Arc::default(),
            pump: None,
        };
        let hosts = [(wire.desk.clone(), DESK), (wire.phones.clone(), PHONES)];
        let added = hosts.iter().all(|(host, _)| ip(&format!("netns add {host}")));
        if !added || !std::path::Path::new("/dev/net/tun").exists() {
            println!("skipped: a bad wire needs root, iproute2 and /dev/net/tun");
            return None;
        }
        let ends = hosts.map(|(host, address)| {
            let end = on(&host, plug);
            let up = ip(&format!("-n {host} addr add {address}/24 dev wire"))
                && ip(&format!("-n {host} link set wire mtu {MTU} up"))
                && ip(&format!("-n {host} link set lo up"));
            assert!(up, "the end of the wire at {address}");
            end
        });
        let pump = Pump {
            ends,
            weather: Arc::clone(&wire.weather),
            nat: Arc::clone(&wire.nat),
            voices: Arc::clone(&wire.voices),
            random: Random::from_seed([seed; 32]),
            under_way: BTreeMap::new(),
            count: 0,
        };
        let stopping = Arc::clone(&wire.stopping);
        wire.pump = Some(std::thread::spawn(move || pump.run(&stopping)));
        Some(wire)
    }

    pub fn at_desk<R>(&self, deed: impl FnOnce() -> R) -> R {
        on(&self.desk, deed)
    }

    pub fn at_phones<R>(&self, deed: impl FnOnce() -> R) -> R {
        on(&self.phones, deed)
    }

    pub fn weather(&self, weather: Weather) {
        *self.weather.lock().expect("the weather") = weather;
    }

    pub fn hide_phones(&self, nat: Nat) {
        *self.nat.lock().expect("the NAT") = Some(nat);
    }

    /// What became of the phones' voice so far, by the port it was sent to.
    pub fn voices(&self) -> BTreeMap<u16, Passage> {
        self.voices.lock().expect("the voices").clone()
    }
}

impl Drop for Wire {
    fn drop(&mut self) {
        self.stopping.store(true, Ordering::Relaxed);
        if let Some(pump) = self.pump.take() {
            let _ = pump.join();
        }
        ip(&format!("netns del {}", self.desk));
        ip(&format!("netns del {}", self.phones));
    }
}

/// One end of the cable, as `linux/if_tun.h` makes it: whole IP packets are read and written.
fn plug() -> File {
    const TUNSETIFF: libc::c_ulong = 0x4004_54ca;
    const IFF_TUN: i16 = 1;
    const IFF_NO_PI: i16 = 0x1000;
    let mut options = OpenOptions::new();
    let end = options.read(true).write(true).custom_flags(libc::O_NONBLOCK).open("/dev/net/tun");
    let end = end.expect("the tunnel device");
    let mut request = [0_u8; 40];
    request[..4].copy_from_slice(b"wire");
    request[16..18].copy_from_slice(&(IFF_TUN | IFF_NO_PI).to_ne_bytes());
    // SAFETY: the descriptor is open and `request` as large as a `struct ifreq`.
    let done = unsafe { libc::ioctl(end.as_raw_fd(), TUNSETIFF, request.as_mut_ptr()) };
    assert_eq!(done, 0, "{}", std::io::Error::last_os_error());
    end
}

struct Pump {
    /// The desk's, the phones'.
    ends: [File; 2],
    weather: Arc<Mutex<Weather>>,
    nat: Arc<Mutex<Option<Nat>>>,
    voices: Arc<Mutex<BTreeMap<u16, Passage>>>,
    random: Random,
    under_way: BTreeMap<(Instant, u64), (usize, Vec<u8>)>,
    count: u64,
}

impl Pump {
    fn run(mut self, stopping: &AtomicBool) {
        while !stopping.load(Ordering::Relaxed) {
            let mut polled = [0, 1].map(|end: usize| libc::pollfd {
                fd: self.ends[end].as_raw_fd(),
                events: libc::POLLIN,
                revents: 0,
            });
            // SAFETY: both descriptors are open for as long as `self` lives.
            unsafe { libc::poll(polled.as_mut_ptr(), 2, LOOK_MS) };
            for from in 0..2 {
                self.take_from(from);
            }
            self.deliver();
        }
    }

    fn take_from(&mut self, from: usize) {
        let mut packet = [0; 2 * MTU];
        loop {
            match self.ends[from].read(&mut packet) {
                Ok(length) => self.send(1 - from, &mut packet[..length]),
                Err(fault) if fault.kind() == ErrorKind::WouldBlock => return,
                Err(fault) => panic!("the wire: {fault}"),
            }
        }
    }

    fn send(&mut self, to: usize, packet: &mut [u8]) {
        let nat = *self.nat.lock().expect("the NAT");
        if nat.is_some_and(|nat| !nat.translate(to, packet)) {
            return;
        }
        let weather = *self.weather.lock().expect("the weather");
        let lost = weather.cut || self.random.below(1000) < weather.loss;
        let twice = !lost && self.random.below(1000) < weather.twice;
        if to == 0 {
            self.note(packet, lost, twice);
        }
        if lost {
            return;
        }
        let now = Instant::now();
        let overtaken = self.random.below(1000) < weather.reordered;
        let delay = self.random.between(weather.least_delay, weather.most_delay);
        let due = now + delay + Duration::from_millis(if overtaken { 50 } else { 0 });
        for copy in 0..1 + u32::from(twice) {
            self.count += 1;
            let at = due + Duration::from_millis(1) * copy;
            self.under_way.insert((at, self.count), (to, packet.to_vec()));
        }
    }

    fn deliver(&mut self) {
        let now = Instant::now();
        while let Some(entry) = self.under_way.first_entry().filter(|entry| entry.key().0 <= now) {
            let (to, packet) = entry.remove();
            // An end without room loses it, as a cable's would; none does at the pace of a few phones.
            self.ends[to].write_all(&packet).expect("the wire takes it");
        }
    }

    fn note(&self, packet: &[u8], lost: bool, twice: bool) {
        let Some((port, sequence)) = voice(packet) else { return };
        let mut voices = self.voices.lock().expect("the voices");
        let passage = voices.entry(port).or_default();
        let last = passage.delivered.iter().chain(&passage.dropped).max().copied();
        // Phones number their packets one by one.
        let number = last.map_or(u32::from(sequence), |last| {
            last.wrapping_add_signed(i32::from(sequence.wrapping_sub(last as u16) as i16))
        });
        match lost {
            true => passage.dropped.push(number),
            false => passage.delivered.push(number),
        }
        passage.doubled += u64::from(twice);
    }
}

/// Port and sequence number of a packet of voice (RFC 3550 §5.1) in UDP in IPv4.
fn voice(packet: &[u8]) -> Option<(u16, u16)> {
    let header = 4 * usize::from(packet.first()? & 0x0f);
    let [.., 17] = packet.get(..10)? else { return None };
    let udp = packet.get(header..)?;
    let pair = |at: usize| Some(u16::from_be_bytes([*udp.get(at)?, *udp.get(at + 1)?]));
    let is_voice =
        udp.len() >= 8 + 12 && udp[8] >> 6 == 2 && VOICE_TYPES.contains(&(udp[9] & 0x7f));
    is_voice.then_some((pair(2)?, pair(10)?))
}
