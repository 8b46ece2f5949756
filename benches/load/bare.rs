//! The bare UDP relay that everything is compared with: receives, sends on, and nothing else. With the priority that
//! the media thread has, since on a virtual machine how a thread is woken costs more than what it does.

use crate::cores;
use crate::phones::{FRAME, HERE, Phones, Run, cpu_of};
use dutyline::io::priority;
use mio::net::UdpSocket;
use mio::{Events, Interest, Poll, Token};
use std::io::{BufRead, BufReader, Write};
use std::net::SocketAddr;
use std::process::{Command, Stdio};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;
use std::{fs, io, thread};

/// The argument with which this program is only the relay.
pub const ALONE: &str = "bare-relay";

struct Bare {
    sockets: Vec<UdpSocket>,
    targets: Vec<SocketAddr>,
    poll: Poll,
}

impl Bare {
    fn new(targets: Vec<SocketAddr>) -> Self {
        let poll = Poll::new().unwrap();
        let socket = |index: usize| {
            let mut socket = UdpSocket::bind(SocketAddr::new(HERE, 0)).unwrap();
            poll.registry().register(&mut socket, Token(index), Interest::READABLE).unwrap();
            socket
        };
        Self { sockets: (0..targets.len()).map(socket).collect(), targets, poll }
    }

    fn ports(&self) -> Vec<u16> {
        self.sockets.iter().map(|socket| socket.local_addr().unwrap().port()).collect()
    }

    fn run(mut self, stop: &AtomicBool) {
        priority::real_time();
        let mut events = Events::with_capacity(1024);
        let mut buffer = [0; 1500];
        while !stop.load(Ordering::Relaxed) {
            self.poll.poll(&mut events, Some(FRAME)).unwrap();
            for event in &events {
                let index = event.token().0;
                while let Ok((length, _)) = self.sockets[index].recv_from(&mut buffer) {
                    let _ =
                        self.sockets[index ^ 1].send_to(&buffer[..length], self.targets[index ^ 1]);
                }
            }
        }
    }
}

/// As a thread beside the phones.
pub fn thread(calls: usize, seconds: u64) -> Run {
    let phones = Phones::new(calls);
    let relay = Bare::new(phones.addresses());
    let ports = relay.ports();
    let stop = Arc::new(AtomicBool::new(false));
    let stopped = stop.clone();
    let bare = thread::Builder::new().name("bare".into());
    let relay = cores::apart(|| bare.spawn(move || relay.run(&stopped)));
    let (sent, received, delays) = phones.talk(&ports, seconds);
    let cpu = vec![("bare", cpu_of("bare"))];
    stop.store(true, Ordering::Relaxed);
    relay.unwrap().join().unwrap();
    Run { sent, received, delays, cpu, note: String::new() }
}

/// As a process of its own, as the daemon is one.
pub fn process(calls: usize, seconds: u64) -> Run {
    let phones = Phones::new(calls);
    let mut command = Command::new(std::env::current_exe().unwrap());
    command.arg(ALONE).stdin(Stdio::piped()).stdout(Stdio::piped());
    let mut child = cores::apart(|| command.spawn()).unwrap();
    let mut asked = child.stdin.take().unwrap();
    let targets: Vec<String> = phones.addresses().iter().map(SocketAddr::to_string).collect();
    writeln!(asked, "{}", targets.join(" ")).unwrap();
    let mut answer = String::new();
    BufReader::new(child.stdout.take().unwrap()).read_line(&mut answer).unwrap();
    let ports: Vec<u16> = answer.split_whitespace().map(|port| port.parse().unwrap()).collect();
    let (sent, received, delays) = phones.talk(&ports, seconds);
    let schedstat = format!("/proc/{}/schedstat", child.id());
    let spent = fs::read_to_string(schedstat).unwrap();
    let spent = spent.split_whitespace().next().unwrap().parse().unwrap();
    drop(asked);
    child.wait().unwrap();
    let cpu = vec![("bare", Duration::from_nanos(spent))];
    Run { sent, received, delays, cpu, note: String::new() }
}

/// Asked for the targets in one line, answers with the ports; ends with its standard input.
pub fn alone() {
    let mut targets = String::new();
    io::stdin().read_line(&mut targets).unwrap();
    let targets = targets.split_whitespace().map(|target| target.parse().unwrap()).collect();
    let bare = Bare::new(targets);
    let ports: Vec<String> = bare.ports().iter().map(u16::to_string).collect();
    println!("{}", ports.join(" "));
    let stop = Arc::new(AtomicBool::new(false));
    let stopped = stop.clone();
    thread::spawn(move || {
        io::stdin().read_line(&mut String::new()).unwrap();
        stopped.store(true, Ordering::Relaxed);
    });
    bare.run(&stop);
}
