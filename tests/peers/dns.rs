//! A DNS server of the test's own, with every mood of a bad one; and the line that lives with it.

use crate::calls::Room;
use crate::daemon::{Daemon, Plan};
use crate::kamailio::{Kamailio, Setup};
use crate::process::wait_until;
use crate::twin::{FarEnd, TrunkCaller};
use std::net::{SocketAddr, UdpSocket};
use std::sync::{Arc, Mutex};
use std::time::Duration;

const SOON: Duration = Duration::from_secs(20);
const SRV: u16 = 33;
const A: u16 = 1;

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Mood {
    /// The SIP service is at this port of 127.0.0.1.
    Answers(u16),
    NxDomain,
    ServFail,
    Silent,
    /// Somebody else's answers, as fast as can be: the right question, a guessed id.
    Poisoned(u16),
}

/// Answers for `_sip._udp.duty.test` and `pbx.duty.test`, to live for one second.
struct DnsServer {
    mood: Arc<Mutex<Mood>>,
    address: SocketAddr,
}

impl DnsServer {
    fn start(mood: Mood) -> Self {
        let socket = UdpSocket::bind("127.0.0.1:0").expect("a port");
        let address = socket.local_addr().expect("an address");
        let mood = Arc::new(Mutex::new(mood));
        let shared = Arc::clone(&mood);
        // Ends with the process.
        std::thread::spawn(move || {
            let mut query = [0; 1500];
            while let Ok((length, from)) = socket.recv_from(&mut query) {
                let mood = *shared.lock().expect("not poisoned");
                if let Some(reply) = reply(&query[..length], mood) {
                    socket.send_to(&reply, from).expect("sent");
                }
            }
        });
        Self { mood, address }
    }

    fn turn(&self, mood: Mood) {
        *self.mood.lock().expect("not poisoned") = mood;
    }
}

/// RFC 1035 §4.1; the question is copied as it came.
fn reply(query: &[u8], mood: Mood) -> Option<Vec<u8>> {
    let name = query.get(12..)?;
    let end = 12 + name.iter().position(|byte| *byte == 0)? + 1;
    let kind = u16::from_be_bytes([*query.get(end)?, *query.get(end + 1)?]);
    let (code, port, id) = match mood {
        Mood::Silent => return None,
        Mood::NxDomain => (3, None, 0),
        Mood::ServFail => (2, None, 0),
        Mood::Answers(port) => (0, Some(port), 0),
        Mood::Poisoned(port) => (0, Some(port), 0x5555),
    };
    let record = port.and_then(|port| record(kind, port));
    let mut out = vec![query[0] ^ (id >> 8) as u8, query[1] ^ id as u8, 0x85, 0x80 | code, 0, 1];
    out.extend([0, u8::from(record.is_some()), 0, 0, 0, 0]);
    out.extend(&query[12..end + 4]);
    if let Some(data) = record {
        out.extend([0xc0, 12]);
        out.extend(kind.to_be_bytes());
        out.extend([0, 1, 0, 0, 0, 1]);
        out.extend(u16::try_from(data.len()).expect("short").to_be_bytes());
        out.extend(data);
    }
    Some(out)
}

fn record(kind: u16, port: u16) -> Option<Vec<u8>> {
    match kind {
        A => Some(vec![127, 0, 0, 1]),
        SRV => {
            let mut data = vec![0, 10, 0, 5];
            data.extend(port.to_be_bytes());
            data.extend(b"\x03pbx\x04duty\x04test\x00");
            Some(data)
        }
        _ => None,
    }
}

/// The PBX is a service name. Whatever happens to the DNS server, the line stays where it was, and
/// the page says so; a changed address is followed; a restart without DNS finds the last good one.
#[test]
fn rel_22_the_last_good_address_stays_in_use() {
    let Some(room) = Room::open() else { return };
    let _far_end = FarEnd::start(&room.ports);
    let (first, second) = (room.ports.pbx(), room.ports.own(1));
    let setup = Setup { port: Some(second), ..Setup::default() };
    let other = Kamailio::set_up(room.folder.path(), &room.ports, &setup);
    let server = DnsServer::start(Mood::Answers(first));
    let line = format!("domain = \"127.0.0.1\"\ndns = [\"{}\"]", server.address);
    let phones = [("9200", 20)];
    let plan = Plan { phones: &phones, pbx: Some("\"duty.test\""), line: &line, ..Plan::default() };
    let mut daemon = room.daemon(&plan);

    let told = |daemon: &Daemon| daemon.process.log().matches("cannot be looked up").count();
    let moods = [Mood::NxDomain, Mood::ServFail, Mood::Silent, Mood::Poisoned(second)];
    for (nth, mood) in moods.into_iter().enumerate() {
        let before = told(&daemon);
        server.turn(mood);
        if matches!(mood, Mood::Poisoned(_)) {
            // The same trouble as silence: two rounds in which forged answers change nothing.
            std::thread::sleep(Duration::from_secs(12));
        } else {
            wait_until(&format!("the alarm of {mood:?}"), SOON, || {
                (told(&daemon) > before).then_some(())
            });
        }
        let mut caller = TrunkCaller::new(&room.ports, &format!("1380013000{nth}"));
        assert_eq!(caller.call("1001"), 200, "{mood:?}");
        caller.hang_up();
    }
    let log = daemon.process.log();
    assert!(log.contains("duty.test: NXDOMAIN") && log.contains("Server Failure"), "{log}");
    assert_eq!(other.count("REGISTER 1001"), 0, "nobody was led astray");

    // The daemon starts while DNS is dead.
    server.turn(Mood::Silent);
    assert_eq!(daemon.process.stop(Duration::from_secs(10)), 0);
    let (before, told_before) = (room.pbx.count("REGISTER 1001"), told(&daemon));
    let mut daemon = Daemon::spawn(room.folder.path(), &room.ports, &plan);
    wait_until("the registration at the remembered address", SOON, || {
        (room.pbx.count("REGISTER 1001") > before).then_some(())
    });
    wait_until("the alarm of the new run", SOON, || (told(&daemon) > told_before).then_some(()));

    // The service moves.
    server.turn(Mood::Answers(second));
    daemon.process.wait_for("addresses have changed", SOON);
    wait_until("the registration at the new address", SOON, || {
        (other.count("REGISTER 1001") > 0).then_some(())
    });
    daemon.process.wait_for("can be looked up again", SOON);
}

/// Nothing is known of the name at the very first start: the line waits, and takes up when it is.
#[test]
fn rel_22_a_first_start_without_dns_waits_for_it() {
    let Some(room) = Room::open() else { return };
    let server = DnsServer::start(Mood::ServFail);
    let line = format!("domain = \"127.0.0.1\"\ndns = [\"{}\"]", server.address);
    let pbx = format!("\"pbx.duty.test:{}\"", room.ports.pbx());
    let plan = Plan { pbx: Some(&pbx), line: &line, ..Plan::default() };
    let daemon = Daemon::spawn(room.folder.path(), &room.ports, &plan);
    daemon.row_is("SELECT status FROM outage WHERE kind = 'line' AND to_ms IS NULL", "503");
    server.turn(Mood::Answers(1));
    wait_until("the registration", SOON, || (room.pbx.count("REGISTER 1001") > 0).then_some(()));
    daemon.row_is("SELECT count(*) FROM outage WHERE kind = 'line' AND to_ms IS NOT NULL", "1");
}
