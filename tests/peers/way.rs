//! The way to the PBX at real ones: two addresses, a restart, a trunk that is not registered.

use crate::calls::Room;
use crate::daemon::{Daemon, Plan};
use crate::kamailio::{Kamailio, Setup};
use crate::process::wait_until;
use crate::rude::is_heard;
use crate::twin::{FarEnd, TrunkCaller, Voice};
use socket2::{Domain, Socket, Type};
use std::net::{SocketAddr, TcpListener, TcpStream, UdpSocket};
use std::time::{Duration, Instant};

const SOON: Duration = Duration::from_secs(8);

/// Two Kamailios; the one in use is killed between two registrations.
#[test]
fn sig_04_the_second_address_is_in_use_within_five_seconds() {
    let Some(mut room) = Room::open() else { return };
    let other = room.ports.own(1);
    let setup = Setup { port: Some(other), ..Setup::default() };
    let standby = Kamailio::set_up(room.folder.path(), &room.ports, &setup);
    let pbx = format!("[\"127.0.0.1:{}\", \"127.0.0.1:{other}\"]", room.ports.pbx());
    let mut daemon = room.daemon(&Plan { pbx: Some(&pbx), ..Plan::default() });
    // Both are asked, and the first has answered.
    daemon.process.wait_for("the duty line is registered", SOON);
    room.pbx.stop();
    let silent = Instant::now();
    wait_until("the registration at the second address", Duration::from_secs(5), || {
        (standby.count("REGISTER 1001") > 0).then_some(())
    });
    println!("the second address is in use after {} ms", silent.elapsed().as_millis());
    daemon.row_is("SELECT count(*) FROM outage WHERE kind = 'line' AND to_ms IS NOT NULL", "1");
    let row = daemon.row("SELECT why FROM outage WHERE kind = 'line'");
    assert!(row.contains(&room.ports.pbx().to_string()), "{row}");

    // The first comes back; its minute of answers is virtual time's, in the scenarios.
    room.pbx = Kamailio::start(room.folder.path(), &room.ports);
    assert_eq!(standby.count("REFUSED"), 0);
}

/// A caller who wants our voice sent to a third, in his INVITE and in the middle of a call.
#[test]
fn rel_t6_voice_goes_to_no_place_that_the_site_has_not_named() {
    let Some(room) = Room::open() else { return };
    let _far_end = FarEnd::start(&room.ports);
    let media = "places = [\"127.0.0.0/8\"]\n";
    let daemon = room.daemon(&Plan { phones: &[("9200", 20)], media, ..Plan::default() });
    let mut caller = TrunkCaller::new(&room.ports, "13800130007");
    let away = caller.offer().replace("c=IN IP4 127.0.0.1", "c=IN IP4 192.0.2.66");
    assert_eq!(caller.call_offering("1001", &away), 488);
    let told = "SELECT group_concat(detail, ' ') FROM audit WHERE action = 'call.misplaced'";
    daemon.row_is(told, "192.0.2.66");
    assert_eq!(daemon.row("SELECT disposition FROM call"), "failed", "and it is a row");
    drop(caller);
    let mut caller = TrunkCaller::new(&room.ports, "13800130008");
    assert_eq!(caller.call("1001"), 200);
    daemon.row_is("SELECT count(*) FROM call WHERE state = 'in_call'", "1");
    let away = away.replace("192.0.2.66", "192.0.2.67");
    assert_eq!(caller.reinvite(&away), 488);
    daemon.row_is(told, "192.0.2.66 192.0.2.67");
    assert_eq!(daemon.row("SELECT count(*) FROM call WHERE state = 'in_call'"), "1", "it goes on");
    caller.hang_up_after(2);
    daemon.row_is("SELECT count(*) FROM call WHERE disposition = 'answered'", "1");
}

/// So many packets of voice, 20 ms apart.
fn says(from: &UdpSocket, to: SocketAddr, seed: u32, packets: u32) {
    let mut voice = Voice::new(seed);
    for _ in 0..packets {
        from.send_to(&voice.packet(&[seed as u8; 160]), to).expect("sent");
        std::thread::sleep(Duration::from_millis(20));
    }
}

/// The caller names his telephone and is behind a gateway of the site: he hears and is heard there, and elsewhere after
/// the next offer. From where the site has named no place nobody is heard, whatever is offered, and that is told.
#[test]
fn rel_t11_a_party_behind_a_gateway_of_the_site_is_heard_and_one_that_wanders_off_is_told() {
    let Some(room) = Room::open() else { return };
    let far_end = FarEnd::start(&room.ports);
    let media = "places = [\"127.0.0.1\", \"127.0.0.8/29\"]\n";
    let daemon = room.daemon(&Plan { phones: &[("9200", 20)], media, ..Plan::default() });
    let mut caller = TrunkCaller::new(&room.ports, "13800130009");
    assert_eq!(caller.call("1001"), 200);
    let (invite, to) = (far_end.invited(), caller.remote_media());
    let at = |host: &str| UdpSocket::bind((host, 0)).expect("a port");
    let (gateway, second, away) = (at("127.0.0.9"), at("127.0.0.10"), at("127.0.0.66"));
    let silent = |socket: &UdpSocket| {
        socket.set_read_timeout(Some(Duration::from_millis(100))).expect("a timeout");
        while socket.recv(&mut [0; 1500]).is_ok() {}
        socket.recv(&mut [0; 1500]).is_err()
    };

    says(&away, to, 0x51, 20);
    assert!(silent(&far_end.media), "no gateway of the site");
    is_heard(&gateway, to, &far_end.media, 0x52);
    is_heard(&far_end.media, invite.media(), &gateway, 0x53);
    let told = |action: &str| {
        format!("SELECT group_concat(detail) FROM audit WHERE action = 'call.{action}'")
    };
    let place = |socket: &UdpSocket| format!("caller {}", socket.local_addr().expect("bound"));
    daemon.row_is(&told("latched"), &place(&gateway));
    says(&second, to, 0x54, 20);
    assert!(silent(&far_end.media), "once for each offer and answer");

    assert_eq!(caller.reinvite(&caller.offer()), 200);
    is_heard(&second, to, &far_end.media, 0x55);
    is_heard(&far_end.media, invite.media(), &second, 0x56);
    assert!(silent(&gateway), "and nobody else hears it");
    assert_eq!(caller.changes_to(&caller.offer(), 2).0, 200);
    says(&away, to, 0x57, 60);
    assert!(silent(&far_end.media) && silent(&away), "whatever is offered");
    daemon.row_is(&told("stray_voice"), &place(&away));
    is_heard(&second, to, &far_end.media, 0x58);
    caller.hang_up_after(3);
    far_end.is_let_go();
    daemon.row_is("SELECT disposition FROM call", "answered");
    daemon.row_is("SELECT strangers >= 80 FROM carried WHERE party = 'caller'", "1");
}

/// The PBX is killed in the middle of a call and comes back without memory.
#[test]
fn rel_21_a_restarted_pbx_is_registered_with_within_half_a_minute() {
    let Some(mut room) = Room::open() else { return };
    let far_end = FarEnd::start(&room.ports);
    let phones = [("9200", 20)];
    let daemon = room.daemon(&Plan { phones: &phones, expires: 30, ..Plan::default() });
    let mut caller = TrunkCaller::new(&room.ports, "13800130007");
    assert_eq!(caller.call("1001"), 200);
    far_end.invited();
    daemon.row_is("SELECT state FROM call", "in_call");
    room.pbx.stop();
    // The registration is refreshed at half of its 30 s: the silence is noticed 8 s later.
    wait_until("the outage", Duration::from_secs(45), || {
        daemon.try_row("SELECT why FROM outage WHERE kind = 'line' AND to_ms IS NULL").map(drop)
    });
    let before = room.pbx.count("REGISTER 1001");
    room.pbx = Kamailio::start(room.folder.path(), &room.ports);
    let back = Instant::now();
    wait_until("the registration", Duration::from_secs(30), || {
        (room.pbx.count("REGISTER 1001") > before).then_some(())
    });
    println!("registered {} ms after the PBX's return", back.elapsed().as_millis());
    daemon.row_is(
        "SELECT count(*) FROM outage WHERE kind = 'line' AND to_ms IS NOT NULL AND status = 408",
        "1",
    );
}

/// The connection stands and nobody is at its other end: the missing pong tells, long before the
/// next REGISTER would (RFC 5626 §4.4.1).
#[test]
fn rel_21_a_dead_connection_is_noticed_by_its_keep_alives() {
    let Some(room) = Room::open() else { return };
    let plan = Plan { transport: "tcp", line: "keepalive_seconds = 1", ..Plan::default() };
    let daemon = room.daemon(&plan);
    // Two pings that are answered: Kamailio is known to do so.
    std::thread::sleep(Duration::from_millis(2500));
    room.pbx.freeze();
    let frozen = Instant::now();
    let why = wait_until("the outage", Duration::from_secs(16), || {
        daemon.try_row("SELECT why FROM outage WHERE kind = 'line' AND to_ms IS NULL")
    });
    println!("noticed after {} ms: {why}", frozen.elapsed().as_millis());
    assert_eq!(why, "no answer to keep-alives");
}

/// A trunk that knows the line by its address: tel: URIs both ways, no REGISTER at all.
#[test]
fn sig_38_a_static_trunk_with_tel_uris_and_a_ringback_tone_that_is_no_answer() {
    let setup = Setup { with: &["TRUNK"], ..Setup::default() };
    let Some(room) = Room::set_up(&setup) else { return };
    let far_end = FarEnd::start(&room.ports);
    let phones = [("9183", 5), ("9200", 20)];
    let line = "register = false\nnumbers = \"tel\"\ndomain = \"ims.example\"";
    let plan = Plan { phones: &phones, line, ..Plan::default() };
    let mut daemon = Daemon::spawn(room.folder.path(), &room.ports, &plan);
    daemon.process.wait_for("the duty line is registered", SOON);

    let mut caller = TrunkCaller::new(&room.ports, "13800130007");
    caller.from = "tel:+8613800130007".to_owned();
    let playing = std::thread::spawn(move || {
        // 彩铃: voice from the first phone, which nobody picks up.
        let to = far_end.invited().media();
        let mut voice = Voice::new(9);
        for _ in 0..100 {
            far_end.media.send_to(&voice.packet(&[0x55; 160]), to).expect("sent");
            std::thread::sleep(Duration::from_millis(20));
        }
        far_end
    });
    assert_eq!(caller.call("1001"), 200);
    let _far_end = playing.join().expect("played");
    daemon.row_is("SELECT answered_by FROM call", "话机9200");
    assert_eq!(daemon.row("SELECT caller FROM call"), "13800130007");
    assert_eq!(daemon.row("SELECT callee FROM call"), "63001234");
    daemon.row_is("SELECT count(*) FROM leg WHERE status = 487", "1");
    let told = "TRUNK tel:9183;phone-context=ims.example FROM tel:1001;phone-context=ims.example";
    assert_eq!(room.pbx.count(told), 1, "{}", room.pbx.process.log());
    assert_eq!(room.pbx.count("REGISTER"), 0);
    caller.hang_up();
    daemon.row_is("SELECT disposition FROM call", "answered");
}

/// Takes no connection any more, as a PBX that is wedged: its queue of them is full.
fn wedged() -> (Socket, SocketAddr) {
    let socket = Socket::new(Domain::IPV4, Type::STREAM, None).expect("a socket");
    socket.bind(&SocketAddr::from(([127, 0, 0, 1], 0)).into()).expect("a port");
    socket.listen(0).expect("it listens");
    let at = socket.local_addr().expect("bound").as_socket().expect("of IP");
    while TcpStream::connect_timeout(&at, Duration::from_millis(100)).is_ok() {}
    (socket, at)
}

/// The connection to the PBX is being made, or its TLS is, and never will be: whoever stops the daemon does not wait for
/// it, nor does whoever hands its calls over.
#[test]
fn sig_05_a_connection_that_is_being_made_keeps_no_daemon_from_stopping() {
    let Some(room) = Room::open() else { return };
    let (_wedged, at) = wedged();
    let mute = TcpListener::bind("127.0.0.1:0").expect("a port");
    let tls = format!("domain = \"127.0.0.1\"\ntls_pins = [\"{}\"]", "ab".repeat(32));
    let ways = [("tcp", at, ""), ("tls", mute.local_addr().expect("bound"), tls.as_str())];
    for (transport, at, line) in ways {
        let pbx = format!("[\"{at}\"]");
        let plan = Plan { transport, pbx: Some(&pbx), line, ..Plan::default() };
        for (signal, within) in [(libc::SIGTERM, 4), (libc::SIGUSR2, 1)] {
            let folder = room.folder.path().join(format!("{transport}-{signal}"));
            let mut daemon = Daemon::spawn(&folder, &room.ports, &plan);
            daemon.process.wait_for("dutyline is up", SOON);
            let asked = Instant::now();
            daemon.process.signal(signal);
            assert!(daemon.process.wait_end(SOON).success());
            let took = asked.elapsed();
            println!("{transport}, signal {signal}: gone after {} ms", took.as_millis());
            assert!(took < Duration::from_secs(within), "{transport} {signal}: {took:?}");
            assert!(!daemon.process.log().contains("did not drain"), "{}", daemon.process.log());
        }
    }
}
