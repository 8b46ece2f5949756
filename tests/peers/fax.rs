//! A fax machine behind the PBX, written out by hand: its tone classes the entry, T.38 is refused, the voice goes on.

use crate::calls::Room;
use crate::daemon::Plan;
use crate::twin::{FarEnd, TrunkCaller, Voice};
use std::net::UdpSocket;
use std::thread::sleep;
use std::time::{Duration, Instant};

const FRAME: Duration = Duration::from_millis(20);

/// A-law, positive or negative, of a sample.
fn alaw(sample: f64) -> u8 {
    let magnitude = (sample.abs() as u16) >> 4;
    let code = match magnitude {
        0..32 => magnitude,
        _ => {
            let segment = magnitude.ilog2() - 3;
            ((segment as u16) << 4) | ((magnitude >> (segment - 1)) & 15)
        }
    };
    let sign = if sample < 0.0 { 0 } else { 0x80 };
    (code as u8 | sign) ^ 0x55
}

/// CNG: 1100 Hz for half a second, then 3 s of nothing; the frame of this number.
fn cng(frame: usize) -> [u8; 160] {
    let sounds = frame % 175 < 25;
    std::array::from_fn(|n| {
        let phase = (frame * 160 + n) as f64 * 1100.0 * std::f64::consts::TAU / 8000.0;
        if sounds { alaw(phase.sin() * 6000.0) } else { 0xd5 }
    })
}

fn heard_at(far_end: &UdpSocket) -> usize {
    far_end.set_nonblocking(true).expect("a socket");
    let mut packet = [0; 2048];
    std::iter::from_fn(|| far_end.recv(&mut packet).ok()).count()
}

#[test]
fn sig_39_a_fax_that_calls_is_classed_within_five_seconds_and_t38_is_refused() {
    let Some(room) = Room::open() else { return };
    let far_end = FarEnd::start(&room.ports);
    let daemon = room.daemon(&Plan { phones: &[("9200", 20)], ..Plan::default() });
    let mut machine = TrunkCaller::new(&room.ports, "02188886666");
    assert_eq!(machine.call("1001"), 200);
    let to = machine.remote_media();
    let mut voice = Voice::new(3);
    let mut frame = 0;
    let mut speak = |seconds: f64, until: &dyn Fn() -> bool| {
        let start = Instant::now();
        let before = frame;
        while start.elapsed().as_secs_f64() < seconds && !until() {
            // Half a second of silence first.
            let payload = if frame < 25 { [0xd5; 160] } else { cng(frame - 25) };
            machine.media.send_to(&voice.packet(&payload), to).expect("sent");
            frame += 1;
            let next = start + FRAME * (frame - before) as u32;
            sleep(next.saturating_duration_since(Instant::now()));
        }
        start.elapsed()
    };
    let classed = || daemon.try_row("SELECT category FROM entry").as_deref() == Some("fax");
    let took = speak(5.0, &classed);
    println!("classed {took:?} after the answer");
    assert!(classed(), "within 5 s");
    assert_eq!(daemon.row("SELECT fax_ms > answered_ms FROM call"), "1");

    let t38 = "v=0\r\no=- 1 2 IN IP4 127.0.0.1\r\ns=-\r\nc=IN IP4 127.0.0.1\r\nt=0 0\r\n\
               m=image 4000 udptl t38\r\na=T38FaxVersion:0\r\n";
    assert_eq!(machine.reinvite(t38), 488);
    heard_at(&far_end.media);
    speak(1.0, &|| false);
    let heard = heard_at(&far_end.media);
    assert!(heard > 40, "audio goes on: {heard} packets of a second");
    machine.hang_up_after(2);
    far_end.is_let_go();
    daemon.row_is("SELECT disposition FROM call", "answered");
}
