//! The daemon as it is installed, in a process of its own, with what the kernel says of it.

use std::collections::BTreeMap;
use std::fs;
use std::net::UdpSocket;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::Duration;

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
    pub fn threads(&self) -> BTreeMap<String, u64> {
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
    pub fn spent_since(&self, before: &BTreeMap<String, u64>, packets: u64) -> String {
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
