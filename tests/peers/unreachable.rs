//! Ports that are closed for a while, so that the kernel answers what we send with ICMP "port unreachable": no call ends
//! by it. And what a peer without keys in the voice presses.

use crate::baresip::Baresip;
use crate::calls::{Room, talk};
use crate::daemon::Plan;
use crate::kamailio::{Kamailio, Setup};
use crate::ports::bound;
use crate::twin::TrunkCaller;
use crate::wave;
use std::net::UdpSocket;
use std::time::{Duration, Instant};

const SOON: Duration = Duration::from_secs(8);
const ICMP: &str = "/proc/net/snmp";

/// How often this host's kernel has said that a port is closed.
fn unreachable() -> u64 {
    let text = std::fs::read_to_string(ICMP).expect("the kernel counts");
    let mut lines = text.lines().filter(|line| line.starts_with("Icmp: "));
    let (names, values) = (lines.next().expect("names"), lines.next().expect("values"));
    let place = names.split(' ').position(|name| name == "OutDestUnreachs").expect("counted");
    values.split(' ').nth(place).and_then(|value| value.parse().ok()).expect("a number")
}

/// Without keys in the voice.
fn offer(media: &UdpSocket) -> String {
    let port = media.local_addr().expect("an address").port();
    format!(
        "v=0\r\no=- 1 1 IN IP4 127.0.0.1\r\ns=-\r\nc=IN IP4 127.0.0.1\r\nt=0 0\r\n\
         m=audio {port} RTP/AVP 8\r\na=rtpmap:8 PCMA/8000\r\na=ptime:20\r\n"
    )
}

/// The caller dials, without keys in the voice, and the officer picks up.
fn is_answered(caller: &mut TrunkCaller, officer: &mut Baresip) {
    let offer = offer(&caller.media);
    let status = std::thread::scope(|scope| {
        let call = scope.spawn(|| caller.call_offering("1001", &offer));
        officer.incoming(SOON);
        officer.accept();
        call.join().expect("it was answered")
    });
    assert_eq!(status, 200);
    officer.established();
}

fn hears_within(media: &UdpSocket, limit: Duration) -> bool {
    media.set_read_timeout(Some(limit)).expect("a timeout");
    media.recv(&mut [0; 1500]).is_ok()
}

#[test]
fn rel_23_closed_ports_of_voice_and_signalling_end_no_call() {
    let Some(mut room) = Room::open() else { return };
    let daemon = room.daemon(&Plan::default());
    let mut officer = room.phone("2001", &wave::voice(71, 90));
    let mut caller = TrunkCaller::new(&room.ports, "13800130023");
    let place = caller.media.local_addr().expect("an address");
    is_answered(&mut caller, &mut officer);
    assert!(hears_within(&caller.media, SOON));

    let before = unreachable();
    caller.media = UdpSocket::bind("127.0.0.1:0").expect("another port");
    talk(4);
    let refused = unreachable() - before;
    assert!(refused > 100, "the voice met a closed port {refused} times");
    caller.media = bound(place);
    assert!(hears_within(&caller.media, SOON), "and is heard again");
    assert_eq!(daemon.row("SELECT state FROM call"), "in_call");

    // A key that we must hand on by INFO meets the PBX's closed port, until it is given up.
    room.pbx.stop();
    officer.press('5');
    let since = Instant::now();
    while since.elapsed() < Duration::from_secs(36) {
        assert!(hears_within(&caller.media, SOON), "the voice goes on meanwhile");
    }
    assert_eq!(daemon.row("SELECT state FROM call"), "in_call");
    room.pbx = Kamailio::set_up(room.folder.path(), &room.ports, &Setup::default());
    caller.hang_up();
    officer.closed();
    daemon.row_is("SELECT disposition || ' ' || ended_by FROM call", "answered caller");
}

#[test]
fn sig_22_a_key_by_info_is_heard_by_a_phone_as_rfc_4733() {
    let Some(mut room) = Room::open() else { return };
    let daemon = room.daemon(&Plan::default());
    let mut officer = room.phone("2001", &wave::voice(72, 60));
    let mut caller = TrunkCaller::new(&room.ports, "13800130022");
    is_answered(&mut caller, &mut officer);
    talk(1);
    for (n, key) in (1..).zip(['7', '7', '#']) {
        caller.presses(key, n);
        let heard = officer.wait("CALL_DTMF_START", SOON);
        assert_eq!(heard["param"], key.to_string(), "{heard}");
        officer.wait("CALL_DTMF_END", SOON);
    }
    caller.hang_up_after(4);
    officer.closed();
    daemon.row_is("SELECT disposition FROM call", "answered");
}
