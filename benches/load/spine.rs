//! The whole daemon as it is installed, in a process of its own: from the INVITE to the sealed WAV.

use crate::bare;
use crate::calls::SETTLED;
use crate::relay::{Phones, Run, percent};
use crate::town::Town;
use std::collections::BTreeMap;
use std::fs;
use std::net::UdpSocket;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

/// Calls begun per second.
const PACE: u32 = 10;
/// Calls before those that count.
const WARM: usize = 20;

pub fn run(calls: usize, seconds: u64) {
    println!("\nthe whole daemon: {calls} calls at {PACE}/s, then {seconds} s of talk each way");
    let bare = bare::process(calls, seconds);
    let folder = tempfile::tempdir().expect("a temporary folder");
    let pbx = UdpSocket::bind("127.0.0.1:0").expect("a port");
    let config = config(folder.path(), calls, &pbx);
    let daemon = Daemon::start(&config);
    let mut town = Town::new(pbx, daemon.sip);
    town.wait_for_registration();
    // What the daemon keeps from its first calls on, such as the log's cache, is no part of a call.
    town.call(&Phones::new(WARM).addresses(), PACE);
    town.hang_up();
    town.pass(SETTLED);
    let (idle, cpu_before, threads) = (daemon.resident(), daemon.cpu(), daemon.threads());

    let phones = Phones::new(calls);
    let ports = town.call(&phones.addresses(), PACE);
    let (sent, received, delays) = town.while_talking(|| phones.talk(&ports, seconds));
    let busy = daemon.resident();
    let hung_up = Instant::now();
    town.hang_up();
    let recordings = folder.path().join("recordings");
    while count(&recordings, "wav") < calls {
        assert!(hung_up.elapsed() < Duration::from_secs(120), "recordings are missing");
        town.serve(Duration::from_millis(20));
    }
    let cpu = daemon.cpu() - cpu_before;
    let sealed = hung_up.elapsed();

    let note = daemon.spent_since(&threads, sent);
    let ours = Run { sent, received, delays, cpu: vec![("daemon", cpu)], note };
    bare.print("bare relay");
    ours.print("dutyline");
    let per_packet = |run: &Run| run.cpu[0].1.as_secs_f64() / run.sent as f64;
    println!(
        "CPU, INVITE to sealed WAV: {:.2} x the bare relay",
        per_packet(&ours) / per_packet(&bare)
    );
    println!(
        "delivered {:.3} %, last WAV sealed {:.2} s after the last BYE",
        percent(received, sent),
        sealed.as_secs_f64()
    );
    println!(
        "resident: idle {:.1} MB, {:.1} KiB more per call",
        idle as f64 / 1e6,
        busy.saturating_sub(idle) as f64 / 1024.0 / calls as f64
    );
    let mut waits = town.set_up_times();
    waits.sort_unstable();
    let at = |share: f64| waits[((waits.len() - 1) as f64 * share) as usize].as_secs_f64() * 1e3;
    println!(
        "INVITE to entry committed and officer rung: p50 {:.1} ms, p99 {:.1} ms, worst {:.1} ms",
        at(0.5),
        at(0.99),
        at(1.0)
    );
}

pub fn config(folder: &Path, calls: usize, pbx: &UdpSocket) -> std::path::PathBuf {
    config_with(folder, calls, pbx, "")
}

/// Bounded by the ports that the configuration may name; `line` is more of that section.
pub fn config_with(folder: &Path, calls: usize, pbx: &UdpSocket, line: &str) -> std::path::PathBuf {
    let sip = free_port();
    let text = format!(
        "[line]\nnumber = \"1001\"\nroom = \"bench\"\npbx = \"{pbx}\"\nuser = \"1001\"\npassword = \"secret\"\n\
         listen = \"127.0.0.1:{sip}\"\n{line}\n\
         [[phones]]\nname = \"desk\"\ntarget = \"2001\"\n\
         [media]\nfirst_port = 12000\nchannels = {channels}\n\
         [storage]\ndata = \"{folder}/data\"\nrecordings = \"{folder}/recordings\"\n\
         [web]\nlisten = \"127.0.0.1:{web}\"\n\
         [[leaders]]\nname = \"leader\"\nrole = \"leader\"\nmobile = \"3001\"\n",
        pbx = pbx.local_addr().expect("bound"),
        web = free_port(),
        channels = calls * 2 + 8,
        folder = folder.display(),
    );
    let path = folder.join("dutyline.toml");
    fs::write(&path, text).expect("a temporary folder can be written");
    path
}

/// Below the range that the kernel gives out by itself: nobody else takes it before the daemon does.
fn free_port() -> u16 {
    let free = |port: &u16| {
        UdpSocket::bind(("127.0.0.1", *port)).is_ok()
            && std::net::TcpListener::bind(("127.0.0.1", *port)).is_ok()
    };
    let begin = 24_000 + (std::process::id() % 4_000) as u16;
    (begin..32_000).chain(20_000..begin).filter(free).nth(taken()).expect("a free port")
}

/// A different port at every call.
fn taken() -> usize {
    static TAKEN: std::sync::atomic::AtomicUsize = std::sync::atomic::AtomicUsize::new(0);
    TAKEN.fetch_add(1, std::sync::atomic::Ordering::Relaxed)
}

/// The daemon's own process; ends with the value.
pub struct Daemon {
    child: Child,
    pub sip: std::net::SocketAddr,
}

impl Daemon {
    pub fn start(config: &Path) -> Self {
        let text = fs::read_to_string(config).expect("just written");
        let listen = text.lines().find_map(|line| line.strip_prefix("listen = ")).expect("written");
        let child = Command::new(env!("CARGO_BIN_EXE_dutyline"))
            .arg("run")
            .arg("--config")
            .arg(config)
            .env("DUTYLINE_LOG", "warn")
            .stdout(Stdio::null())
            .spawn()
            .expect("the daemon was built beside the benchmark");
        Self { child, sip: listen.trim_matches('"').parse().expect("an address") }
    }

    pub fn cpu(&self) -> Duration {
        let stat = fs::read_to_string(format!("/proc/{}/stat", self.child.id())).expect("it runs");
        let after_name = stat.rsplit(')').next().unwrap_or_default();
        let ticks: u64 = after_name
            .split_ascii_whitespace()
            .skip(11)
            .take(2)
            .filter_map(|n| n.parse::<u64>().ok())
            .sum();
        // USER_HZ is 100 on every Linux that Debian runs on.
        Duration::from_millis(ticks * 10)
    }

    /// CPU time in nanoseconds of each thread that runs, by its name.
    fn threads(&self) -> BTreeMap<String, u64> {
        let folder = format!("/proc/{}/task", self.child.id());
        let mut spent = BTreeMap::new();
        for task in fs::read_dir(folder).expect("it runs").flatten() {
            let read = |file| fs::read_to_string(task.path().join(file)).unwrap_or_default();
            let time =
                read("schedstat").split_ascii_whitespace().next().and_then(|ns| ns.parse().ok());
            *spent.entry(read("comm").trim().to_owned()).or_default() += time.unwrap_or(0u64);
        }
        spent
    }

    /// What each thread spent on one of so many packets.
    fn spent_since(&self, before: &BTreeMap<String, u64>, packets: u64) -> String {
        let spent = |(name, after): (String, u64)| {
            let spent = after.saturating_sub(before.get(&name).copied().unwrap_or(0));
            format!("{name} {:.2}", spent as f64 / 1e3 / packets as f64)
        };
        let each: Vec<String> = self.threads().into_iter().map(spent).collect();
        format!("us of it by thread: {}", each.join(", "))
    }

    /// Open file descriptors.
    pub fn open_files(&self) -> usize {
        fs::read_dir(format!("/proc/{}/fd", self.child.id())).expect("it runs").count()
    }

    /// Resident memory in bytes.
    pub fn resident(&self) -> u64 {
        let statm =
            fs::read_to_string(format!("/proc/{}/statm", self.child.id())).expect("it runs");
        statm
            .split_ascii_whitespace()
            .nth(1)
            .and_then(|pages| pages.parse::<u64>().ok())
            .unwrap_or(0)
            * 4096
    }
}

impl Drop for Daemon {
    fn drop(&mut self) {
        // It may have ended by itself.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

fn count(folder: &Path, extension: &str) -> usize {
    let Ok(entries) = fs::read_dir(folder) else { return 0 };
    entries
        .flatten()
        .map(|entry| match entry.path() {
            path if path.is_dir() => count(&path, extension),
            path => usize::from(path.extension().is_some_and(|found| found == extension)),
        })
        .sum()
}
