//! Kamailio as the PBX: registrar and proxy with digest, failing open to the officer's phone.

use crate::ports::Ports;
use crate::process::Process;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::{Duration, Instant};

/// Requests from this address are the trunk's: no digest.
pub const TRUNK: &str = "127.0.0.9";

pub struct Kamailio {
    pub process: Process,
    config: PathBuf,
    /// Its successor may run with the same file.
    stopped: bool,
}

/// What differs from test to test.
pub struct Setup<'a> {
    /// `MD5` or `SHA-256`.
    pub algorithm: &'a str,
    /// Its port; the usual one unless given.
    pub port: Option<u16>,
    /// Words that switch on parts of `kamailio.cfg`.
    pub with: &'a [&'a str],
}

impl Default for Setup<'_> {
    fn default() -> Self {
        Self { algorithm: "MD5", port: None, with: &[] }
    }
}

impl Kamailio {
    pub fn start(folder: &Path, ports: &Ports) -> Self {
        Self::set_up(folder, ports, &Setup::default())
    }

    pub fn set_up(folder: &Path, ports: &Ports, setup: &Setup<'_>) -> Self {
        Self::set_up_at("127.0.0.1", folder, ports, setup)
    }

    /// As `set_up`, at another address of the host that the calling thread is on.
    pub fn set_up_at(host: &str, folder: &Path, ports: &Ports, setup: &Setup<'_>) -> Self {
        let port = setup.port.unwrap_or(ports.pbx());
        let own = folder.join(format!("kamailio-{port}"));
        fs::create_dir_all(&own).expect("a folder");
        let config = include_str!("kamailio.cfg")
            .replace("127.0.0.1", host)
            .replace("@MODULES@", &modules().display().to_string())
            .replace("@PORT@", &port.to_string())
            .replace("@TLS@", &ports.own(1).to_string())
            .replace("@FOLDER@", &folder.display().to_string())
            .replace("@LINE@", &ports.line().to_string())
            .replace("@SINK@", &ports.sink().to_string())
            .replace("@PBX@", &format!("127.0.0.1:{}", ports.pbx()))
            .replace("@TRUNK@", TRUNK)
            .replace("@ALGORITHM@", setup.algorithm);
        let file = own.join("kamailio.cfg");
        fs::write(&file, config).expect("written");
        let mut command = Command::new("kamailio");
        command.args(["-DD", "-E", "-m", "64", "-M", "8", "-f"]).arg(&file);
        command.arg("-Y").arg(&own).arg("-w").arg(&own).arg("-P").arg(own.join("pid"));
        command.args(setup.with.iter().flat_map(|word| ["-A", word]));
        let process = Process::start(&format!("kamailio-{port}"), folder, &mut command);
        answers_options(host, port);
        Self { process, config: file, stopped: false }
    }

    /// Ends it with all its workers, which its TLS module does not always let it do by itself.
    pub fn stop(&mut self) {
        if std::mem::replace(&mut self.stopped, true) {
            return;
        }
        self.process.signal(libc::SIGTERM);
        let start = Instant::now();
        while start.elapsed() < Duration::from_secs(3) {
            if self.process.ended().is_some() && workers(&self.config).is_empty() {
                return;
            }
            std::thread::sleep(Duration::from_millis(20));
        }
        for worker in workers(&self.config) {
            // SAFETY: a process that was started with the file of this test, and nobody else's.
            unsafe { libc::kill(worker, libc::SIGKILL) };
        }
        // Not reaped it would still count as running.
        crate::process::wait_until("the end of the PBX", Duration::from_secs(5), || {
            self.process.ended().map(drop)
        });
    }

    /// Every one of its processes stands still: connections stay open, nobody answers.
    pub fn freeze(&self) {
        for worker in workers(&self.config) {
            // SAFETY: as in `stop`.
            unsafe { libc::kill(worker, libc::SIGSTOP) };
        }
    }

    /// How often the log says so.
    pub fn count(&self, text: &str) -> usize {
        self.process.log().matches(text).count()
    }
}

impl Drop for Kamailio {
    fn drop(&mut self) {
        self.stop();
    }
}

/// Every process that was started with this configuration file.
fn workers(config: &Path) -> Vec<i32> {
    let config = config.as_os_str().as_encoded_bytes();
    let folders = fs::read_dir("/proc").expect("the processes").flatten();
    let with_file = folders.filter(|folder| {
        let line = fs::read(folder.path().join("cmdline")).unwrap_or_default();
        line.split(|byte| *byte == 0).any(|word| word == config)
    });
    with_file.filter_map(|folder| folder.file_name().to_str()?.parse().ok()).collect()
}

/// The workers are up when one of them answers.
fn answers_options(host: &str, port: u16) {
    let socket = std::net::UdpSocket::bind((host, 0)).expect("a socket");
    let local = socket.local_addr().expect("an address");
    let request = format!(
        "OPTIONS sip:{host}:{port} SIP/2.0\r\nVia: SIP/2.0/UDP {local};branch=z9hG4bK-up;rport\r\n\
         From: <sip:up@{local}>;tag=up\r\nTo: <sip:{host}:{port}>\r\nCall-ID: up@{local}\r\n\
         CSeq: 1 OPTIONS\r\nMax-Forwards: 70\r\nContent-Length: 0\r\n\r\n"
    );
    socket.set_read_timeout(Some(Duration::from_millis(100))).expect("a timeout");
    crate::process::wait_until("the PBX to answer OPTIONS", Duration::from_secs(10), || {
        socket.send_to(request.as_bytes(), (host, port)).ok()?;
        let mut reply = [0; 2048];
        let length = socket.recv(&mut reply).ok()?;
        reply[..length].starts_with(b"SIP/2.0 200").then_some(())
    });
}

pub fn has_module(name: &str) -> bool {
    modules().join(name).exists()
}

fn modules() -> PathBuf {
    let places =
        ["/usr/lib/x86_64-linux-gnu", "/usr/lib/aarch64-linux-gnu", "/usr/lib64", "/usr/lib"];
    let folder = places.iter().map(|place| Path::new(place).join("kamailio/modules"));
    let found = folder.into_iter().find(|folder| folder.join("tm.so").exists());
    PathBuf::from(format!("{}/", found.expect("Kamailio's modules").display()))
}
