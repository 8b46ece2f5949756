//! Connections that bring nothing: from strangers and from the PBX's own address.

use crate::calls::Room;
use crate::daemon::{Daemon, Plan};
use crate::process::wait_until;
use crate::twin::{FarEnd, TrunkCaller};
use socket2::{Domain, SockAddr, Socket, Type};
use std::io::{Read, Write};
use std::net::SocketAddr;
use std::time::{Duration, Instant};

const EACH: usize = 1_000;
const STRANGER: [u8; 4] = [127, 0, 0, 5];
const PBX: [u8; 4] = [127, 0, 0, 1];
/// The first bytes of a ClientHello, which never goes on.
const HALF_HELLO: &[u8] = &[0x16, 3, 1, 2, 0, 1, 0, 1, 0xfc, 3, 3, 0x5e];

/// The descriptors that this test and its children may have.
fn raise_limit() {
    // SAFETY: the structure is filled in by the kernel and given back to it.
    unsafe {
        let mut limit = std::mem::zeroed::<libc::rlimit>();
        libc::getrlimit(libc::RLIMIT_NOFILE, &mut limit);
        limit.rlim_cur = limit.rlim_max.min(16_384);
        libc::setrlimit(libc::RLIMIT_NOFILE, &limit);
    }
}

/// Opens a connection from this address, says so much, and holds it.
fn hold(from: [u8; 4], to: SocketAddr, says: &[u8]) -> Option<Socket> {
    let socket = Socket::new(Domain::IPV4, Type::STREAM, None).expect("a socket");
    socket.bind(&SockAddr::from(SocketAddr::from((from, 0)))).expect("an address");
    socket.connect_timeout(&SockAddr::from(to), Duration::from_secs(2)).ok()?;
    // A stranger's is closed already.
    let _ = (&socket).write_all(says);
    Some(socket)
}

/// The log opens its files when it first needs them; of connections that nobody wants, none may stay.
fn sockets(daemon: &Daemon) -> usize {
    let folder = format!("/proc/{}/fd", daemon.process.id());
    let open = std::fs::read_dir(folder).expect("the daemon runs").flatten();
    let targets = open.filter_map(|one| std::fs::read_link(one.path()).ok());
    targets.filter(|target| target.as_os_str().as_encoded_bytes().starts_with(b"socket:")).count()
}

#[test]
fn rel_09_a_thousand_idle_connections_do_not_keep_the_line_from_its_work() {
    let Some(room) = Room::open() else { return };
    raise_limit();
    let _far_end = FarEnd::start(&room.ports);
    let phones = [("9200", 20)];
    let plan = Plan { phones: &phones, transport: "tcp", ..Plan::default() };
    let mut daemon = room.daemon(&plan);
    let before = sockets(&daemon);
    let line = SocketAddr::from((PBX, room.ports.line()));

    let mut held = vec![];
    for (from, says) in [
        (STRANGER, &b""[..]),
        (STRANGER, HALF_HELLO),
        (PBX, b""),
        (PBX, HALF_HELLO),
        (PBX, b"INVITE sip:1001@127.0.0.1 SIP/2.0\r\nVia: "),
    ] {
        held.extend((0..EACH).filter_map(|_| hold(from, line, says)));
    }
    println!("{} connections were opened", held.len());
    assert!(held.len() > 4 * EACH, "{}", held.len());
    wait_until("the caps to hold", Duration::from_secs(10), || {
        (sockets(&daemon) <= before + 20).then_some(())
    });

    // While they are held: a call from the PBX, and the line anew from the start.
    let mut caller = TrunkCaller::new(&room.ports, "13800130007");
    assert_eq!(caller.call("1001"), 200);
    caller.hang_up();
    daemon.row_is("SELECT disposition FROM call", "answered");
    assert_eq!(daemon.process.stop(Duration::from_secs(10)), 0);
    let count = room.pbx.count("REGISTER 1001");
    let daemon = Daemon::spawn(room.folder.path(), &room.ports, &plan);
    // From the moment it listens the crowd pushes in, faster than it can be turned away.
    wait_until("the daemon to listen", Duration::from_secs(10), || hold(PBX, line, b""));
    let start = Instant::now();
    let crowding = std::thread::spawn(move || {
        (0..2 * EACH).filter_map(|_| hold(PBX, line, HALF_HELLO)).collect::<Vec<_>>()
    });
    wait_until("the registration", Duration::from_secs(2), || {
        (room.pbx.count("REGISTER 1001") > count).then_some(())
    });
    println!("registered {} ms after it began to listen", start.elapsed().as_millis());
    let crowd = crowding.join().expect("they came");

    // What says nothing is closed by us within its five seconds.
    let mut last = crowd.into_iter().next_back().expect("one of them");
    last.set_read_timeout(Some(Duration::from_secs(8))).expect("a timeout");
    assert!(matches!(last.read(&mut [0; 8]), Ok(0) | Err(_)));
    wait_until("all of them to be gone", Duration::from_secs(10), || {
        (sockets(&daemon) <= before + 4).then_some(())
    });
}
