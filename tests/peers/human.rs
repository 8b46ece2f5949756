//! Whether it is a human (escalation.md, B), asked of a telephone behind a real PBX: a voicemail, an assistant, and a hand
//! whose presses arrive damaged.

use crate::calls::{Room, talk};
use crate::daemon::Plan;
use crate::leader::{flagged, listens};
use crate::twin::FarEnd;
use crate::wave;
use dutyline::protocol::rtp::{Codec, g711};
use std::net::SocketAddr;
use std::thread::sleep;
use std::time::Duration;

/// The window for a key after the second prompt.
const KEY_WINDOW: u64 = 25_000;
const AGAIN: Duration = Duration::from_secs(20);

/// What the network does to a press (RFC 4733).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Damage {
    None,
    /// No marker bit, and the first packet is lost.
    Beginning,
    /// And all three end packets are.
    Both,
}

/// Telephone-events of one caller.
struct Hand<'a> {
    far_end: &'a FarEnd,
    to: SocketAddr,
    sequence: u16,
    timestamp: u32,
}

impl<'a> Hand<'a> {
    fn of(far_end: &'a FarEnd, to: SocketAddr) -> Self {
        Self { far_end, to, sequence: 700, timestamp: 90_000 }
    }

    fn presses(&mut self, key: char, damage: Damage) {
        let event = u8::try_from(key.to_digit(10).expect("a digit")).expect("small");
        self.timestamp += 16_000;
        for (nth, duration) in [160_u16, 320, 480, 640, 800, 800, 800].into_iter().enumerate() {
            self.sequence += 1;
            let (first, end) = (nth == 0, nth >= 4);
            let lost = match damage {
                Damage::None => false,
                Damage::Beginning => first,
                Damage::Both => first || end,
            };
            let marker = if first && damage == Damage::None { 0x80 } else { 0 };
            let mut packet = vec![0x80, 101 | marker];
            packet.extend(self.sequence.to_be_bytes());
            packet.extend(self.timestamp.to_be_bytes());
            packet.extend(0x0abc_u32.to_be_bytes());
            packet.extend([event, if end { 0x8a } else { 0x0a }]);
            packet.extend(duration.to_be_bytes());
            if !lost {
                self.far_end.media.send_to(&packet, self.to).expect("sent");
            }
            sleep(Duration::from_millis(20));
        }
    }
}

/// A greeting of twenty seconds, a beep, and then it asks and goes on asking.
fn machine() -> Vec<u8> {
    let greeting = wave::voice(81, 20);
    let beep = (0..wave::RATE)
        .map(|n| ((n as f64 / 8000.0 * 1000.0 * std::f64::consts::TAU).sin() * 6000.0) as i16);
    let asks = wave::voice(82, 14);
    let sound = greeting.into_iter().chain(beep).chain(asks);
    sound.map(|sample| g711::encode(Codec::Pcma, sample)).collect()
}

fn loud(sound: &[i16]) -> usize {
    sound.iter().filter(|sample| sample.unsigned_abs() > 500).count()
}

/// It answers each call at once.
#[test]
fn esc_06_07_08_09_10_12_a_machine_acknowledges_nothing_and_of_a_hand_each_key_counts_once() {
    let Some(mut room) = Room::open() else { return };
    let far_end = FarEnd::start(&room.ports);
    let daemon = room.daemon(&Plan { leaders: &[("leader", "9200")], ..Plan::default() });
    flagged(&mut room, &daemon, &wave::voice(80, 30));

    // esc_06, esc_07
    let invite = far_end.invited();
    let listening = listens(&far_end, Duration::from_secs(42));
    far_end.says(&invite, &machine());
    daemon.row_is("SELECT result FROM attempt WHERE seq = 1", "answered_no_key");
    assert_eq!(
        daemon.row("SELECT state FROM escalation"),
        "open",
        "a machine acknowledges nothing"
    );
    let heard: Vec<i16> =
        listening.join().expect("it ends").into_iter().flat_map(|(.., sound)| sound).collect();
    // As long as the caller is there, which key joins him is told too.
    let mut sentences = ["urgent", "urgent_live"].into_iter().map(wave::prompt);
    let is_heard = |said: &Vec<i16>| wave::likeness(said, &heard[..5 * wave::RATE]) > 0.9;
    let urgent = sentences.find(is_heard).expect("the sentence without content");
    let (said, wanted) = (loud(&heard), 2 * loud(&urgent));
    println!("it heard {said} loud samples, of {wanted} in the sentence said twice");
    assert!(said.abs_diff(wanted) < wanted / 20, "nothing else is said: {said}, not {wanted}");
    let lasted = daemon.number("SELECT ended_ms - answered_ms FROM attempt WHERE seq = 1");
    println!("the machine is let go after {lasted} ms");
    let twice = 2 * urgent.len() as u64 / 8;
    let (least, most) = (twice + KEY_WINDOW - 500, twice + KEY_WINDOW + 2_000);
    assert!((least..most).contains(&lasted), "{lasted} ms, not {least} to {most}");

    // esc_09, with two kinds of esc_12
    let invite = far_end.invited_within(AGAIN);
    let mut hand = Hand::of(&far_end, invite.media());
    talk(2);
    for (key, damage) in [('7', Damage::None), ('7', Damage::Beginning), ('8', Damage::Both)] {
        hand.presses(key, damage);
        talk(2);
    }
    daemon.row_is("SELECT result FROM attempt WHERE seq = 2", "answered_no_key");
    let keys = "SELECT group_concat(key, '') FROM (SELECT k.key FROM attempt_key k
        JOIN attempt a ON a.id = k.attempt WHERE a.seq = 2 ORDER BY k.at_ms)";
    assert_eq!(daemon.row(keys), "778", "three rows, each press one");
    let again = "SELECT b.started_ms - a.started_ms FROM attempt a JOIN attempt b ON b.seq = 2
        WHERE a.seq = 1";
    let again = daemon.number(again);
    assert!(again <= 170_000, "break-through needs a second call in three minutes: {again} ms");
    let pause = "SELECT b.started_ms - a.ended_ms FROM attempt a JOIN attempt b ON b.seq = 3
        WHERE a.seq = 2";

    // esc_10, esc_08, and the last of esc_12
    let invite = far_end.invited_within(AGAIN);
    let pause = daemon.number(pause);
    assert!((13_000..=17_000).contains(&pause), "esc_25: called again after {pause} ms");
    let mut hand = Hand::of(&far_end, invite.media());
    sleep(Duration::from_millis(400));
    hand.presses('1', Damage::None);
    sleep(Duration::from_millis(3500));
    assert_eq!(daemon.row("SELECT state FROM escalation"), "open", "a key in the first second");
    hand.presses('1', Damage::Both);
    daemon.row_is("SELECT state FROM escalation", "acknowledged");
    assert_eq!(daemon.row("SELECT count(*) FROM acknowledgement"), "1");
    far_end.hangs_up(&invite);
    daemon.row_is("SELECT result FROM attempt WHERE seq = 3", "acknowledged");
    assert_eq!(daemon.row("SELECT count(*) FROM attempt"), "3");
}
