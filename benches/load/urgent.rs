//! From the key that flags a call urgent to the leader's telephone, one call after the other.

use crate::crowd::spread;
use crate::daemon::{Daemon, config};
use crate::town::Town;
use std::net::{SocketAddr, UdpSocket};
use std::time::{Duration, Instant};

const CALLS: usize = 200;
/// The daemon is deaf to a leader's keys for a second after he answered.
const LEADER_LISTENS: Duration = Duration::from_millis(1_300);
/// His key is in the log by then.
const CONFIRMED: Duration = Duration::from_millis(300);
/// Of one key: 8 timestamps of 20 ms, and three ends (RFC 4733 §2.5.1.4).
const KEY_STEPS: u16 = 8;

pub fn run() {
    println!("\n*9 on the officer's phone to the leader's first INVITE, {CALLS} calls in turn");
    let folder = tempfile::tempdir().expect("a temporary folder");
    let pbx = UdpSocket::bind("127.0.0.1:0").expect("a port");
    let daemon = Daemon::start(&config(folder.path(), 2, &pbx));
    let voice = || UdpSocket::bind("127.0.0.1:0").expect("a port");
    let (caller, officer, leader) = (voice(), voice(), voice());
    let address = |socket: &UdpSocket| socket.local_addr().expect("bound");
    let mut town = Town::new(pbx, daemon.sip).with_leader(address(&leader));
    town.wait_for_registration();
    let waits: Vec<Duration> = (0..CALLS)
        .map(|_| {
            let ports = town.call(&[address(&caller), address(&officer)], 10);
            town.pass(Duration::from_millis(200));
            press(&officer, ports[1], 10, 1_000);
            let flagged = press(&officer, ports[1], 9, 9_000);
            let (rung, port) = town.until_the_leader_rings();
            town.pass(LEADER_LISTENS);
            press(&leader, port, 1, 1_000);
            town.pass(CONFIRMED);
            town.the_leader_hangs_up();
            town.hang_up();
            town.pass(Duration::from_millis(200));
            rung.duration_since(flagged)
        })
        .collect();
    println!("{}", spread(&waits));
}

/// Presses a key; the moment of its first end packet.
fn press(phone: &UdpSocket, port: u16, event: u8, timestamp: u32) -> Instant {
    let to = SocketAddr::new(phone.local_addr().expect("bound").ip(), port);
    let packet = |step: u16, end: bool| {
        let mut packet = [0; 16];
        packet[..2].copy_from_slice(&[0x80, 101]);
        packet[2..4].copy_from_slice(&(timestamp as u16 + step).to_be_bytes());
        packet[4..8].copy_from_slice(&timestamp.to_be_bytes());
        packet[8..12].copy_from_slice(&7_u32.to_be_bytes());
        packet[12..14].copy_from_slice(&[event, if end { 0x8a } else { 0x0a }]);
        packet[14..].copy_from_slice(&(step.min(KEY_STEPS) * 160).to_be_bytes());
        packet
    };
    for step in 1..KEY_STEPS {
        phone.send_to(&packet(step, false), to).expect("loopback");
        std::thread::sleep(Duration::from_millis(20));
    }
    let pressed = Instant::now();
    for step in 0..3 {
        phone.send_to(&packet(KEY_STEPS + step, true), to).expect("loopback");
    }
    pressed
}
