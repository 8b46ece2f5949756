//! An INVITE of 2.5 kB by UDP over a link of MTU 1500: two fragments, which loopback would hide. A
//! pair of network namespaces needs root.

use crate::daemon::{Daemon, Plan};
use crate::ports::Ports;
use std::fs::File;
use std::net::UdpSocket;
use std::os::fd::AsRawFd;
use std::process::Command;
use std::time::Duration;

const OURS: &str = "10.99.7.1";
const THEIRS: &str = "10.99.7.2";

/// Two hosts and a cable between them.
struct Cable {
    ours: String,
    theirs: String,
}

fn ip(arguments: &str) -> bool {
    let done = Command::new("ip").args(arguments.split(' ')).output();
    done.is_ok_and(|done| done.status.success())
}

impl Cable {
    /// `None` where it may not be laid.
    fn lay() -> Option<Self> {
        let id = std::process::id();
        let (ours, theirs) = (format!("dutyline-a{id}"), format!("dutyline-b{id}"));
        let cable = Self { ours, theirs };
        let (a, b) = (format!("da{id}"), format!("db{id}"));
        let laid = ip(&format!("netns add {}", cable.ours))
            && ip(&format!("netns add {}", cable.theirs))
            && ip(&format!(
                "link add {a} mtu 1500 netns {} type veth peer name {b} mtu 1500 netns {}",
                cable.ours, cable.theirs
            ));
        let up = |name: &str, link: &str, address: &str| {
            ip(&format!("-n {name} addr add {address}/24 dev {link}"))
                && ip(&format!("-n {name} link set {link} up"))
                && ip(&format!("-n {name} link set lo up"))
        };
        (laid && up(&cable.ours, &a, OURS) && up(&cable.theirs, &b, THEIRS)).then_some(cable)
    }
}

impl Drop for Cable {
    fn drop(&mut self) {
        ip(&format!("netns del {}", self.ours));
        ip(&format!("netns del {}", self.theirs));
    }
}

/// Does something on the other host.
fn there<R: Send + 'static>(cable: &Cable, deed: impl FnOnce() -> R + Send + 'static) -> R {
    let path = format!("/run/netns/{}", cable.theirs);
    let thread = std::thread::spawn(move || {
        let namespace = File::open(path).expect("the namespace");
        // SAFETY: the descriptor is open; this thread alone changes its network.
        let moved = unsafe { libc::setns(namespace.as_raw_fd(), libc::CLONE_NEWNET) };
        assert_eq!(moved, 0, "{}", std::io::Error::last_os_error());
        deed()
    });
    thread.join().expect("done")
}

/// Datagrams that the host had to cut.
fn cut() -> u64 {
    let text = std::fs::read_to_string("/proc/thread-self/net/snmp").expect("counters");
    let mut lines = text.lines().filter(|line| line.starts_with("Ip:"));
    let (names, values) = (lines.next().expect("names"), lines.next().expect("values"));
    let pairs = names.split(' ').zip(values.split(' '));
    let found = pairs.into_iter().find(|(name, _)| *name == "FragOKs").expect("the counter");
    found.1.parse().expect("a number")
}

#[test]
fn sig_21_and_rec_s3_and_rel_10_an_invite_in_two_fragments_is_a_call() {
    let Some(cable) = Cable::lay() else {
        println!("skipped: a pair of network namespaces needs root and iproute2");
        return;
    };
    let folder = tempfile::tempdir().expect("a folder");
    let ports = Ports::take();
    let pbx = format!("\"{THEIRS}:5060\"");
    let line = format!("register = false\nadvertise = \"{OURS}\"");
    let plan = Plan {
        listen: Some(&format!("{OURS}:5060")),
        pbx: Some(&pbx),
        line: &line,
        through: &["ip", "netns", "exec", &cable.ours],
        ..Plan::default()
    };
    let socket = there(&cable, || {
        let socket = UdpSocket::bind((THEIRS, 5060)).expect("a port");
        socket.set_read_timeout(Some(Duration::from_secs(10))).expect("a timeout");
        socket
    });
    let mut daemon = Daemon::spawn(folder.path(), &ports, &plan);
    daemon.process.wait_for("dutyline is up", Duration::from_secs(10));

    let sdp = format!(
        "v=0\r\no=- 1 1 IN IP4 {THEIRS}\r\ns=-\r\nc=IN IP4 {THEIRS}\r\nt=0 0\r\n\
         m=audio 4000 RTP/AVP 8\r\n{}",
        "a=candidate:1 1 UDP 2130706431 10.99.7.2 4000 typ host\r\n".repeat(30)
    );
    let invite = format!(
        "INVITE sip:1001@{OURS} SIP/2.0\r\nVia: SIP/2.0/UDP {THEIRS}:5060;branch=z9hG4bK-f;rport\r\n\
         Max-Forwards: 70\r\nFrom: <sip:13800130007@{THEIRS}>;tag=f\r\nTo: <sip:1001@{OURS}>\r\n\
         Call-ID: fragments\r\nCSeq: 1 INVITE\r\nContact: <sip:x@{THEIRS}>\r\n\
         X-Padding: {}\r\nContent-Type: application/sdp\r\nContent-Length: {}\r\n\r\n{sdp}",
        "x".repeat(500),
        sdp.len()
    );
    assert!((2400..2800).contains(&invite.len()), "{}", invite.len());
    let before = there(&cable, cut);
    socket.send_to(invite.as_bytes(), (OURS, 5060)).expect("sent");
    assert_eq!(there(&cable, cut), before + 1, "it was cut on its way");

    // OPTIONS of the trunk come too; the INVITE of the officer's phone is the call's own.
    let mut seen = vec![];
    let mut bytes = [0; 65_536];
    while !seen.iter().any(|first: &String| first.starts_with("INVITE ")) {
        let length = socket.recv(&mut bytes).expect("an answer");
        let text = String::from_utf8_lossy(&bytes[..length]).into_owned();
        seen.push(text.lines().next().unwrap_or_default().to_owned());
    }
    assert!(seen.iter().any(|first| first.starts_with("SIP/2.0 100")), "{seen:?}");
    assert_eq!(daemon.row("SELECT caller FROM call"), "13800130007");
    daemon.process.kill();
}
