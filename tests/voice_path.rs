//! What the voice thread does for a packet allocates nothing: relayed, transcoded, listened to, mixed, encrypted.

use dutyline::protocol::now::Mono;
use dutyline::protocol::random::Random;
use dutyline::protocol::rtp::packet::{self, Packet};
use dutyline::protocol::rtp::relay::{REPORT_ROOM, Relay, Verdict};
use dutyline::protocol::rtp::source::{FRAME, FRAME_BYTES};
use dutyline::protocol::rtp::srtp::{Guard, Keys, MasterKey, TAG};
use dutyline::protocol::rtp::{Channel, Codec, Command, Event, Party, Stream, Tone, Wanted, g711};
use std::alloc::{GlobalAlloc, Layout, System};
use std::cell::Cell;
use std::net::SocketAddr;
use uuid::Uuid;

struct Counted;

thread_local! {
    /// Of this thread alone: the harness asks for memory beside it.
    static TIMES: Cell<usize> = const { Cell::new(0) };
}

/// A thread that ends counts nothing any more.
fn count() {
    let _ = TIMES.try_with(|times| times.set(times.get() + 1));
}

// SAFETY: everything is handed on to the system's allocator as it came.
unsafe impl GlobalAlloc for Counted {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        count();
        unsafe { System.alloc(layout) }
    }

    unsafe fn dealloc(&self, place: *mut u8, layout: Layout) {
        unsafe { System.dealloc(place, layout) }
    }

    unsafe fn realloc(&self, place: *mut u8, layout: Layout, size: usize) -> *mut u8 {
        count();
        unsafe { System.realloc(place, layout, size) }
    }
}

#[global_allocator]
static COUNTED: Counted = Counted;

const START: Mono = Mono(1_000_000_000);
const CALL: Uuid = Uuid::from_u128(1);
const SEATS: [Channel; 3] = [Channel(0), Channel(1), Channel(2)];
const CODECS: [Codec; 3] = [Codec::Pcma, Codec::G722, Codec::Pcmu];
const KEYS: Keys = Keys { ours: MasterKey([7; 30]), theirs: MasterKey([9; 30]) };

fn stream(who: usize) -> Stream {
    let remote = SocketAddr::from(([192, 0, 2, 1], 4000 + who as u16));
    let srtp = (who == 2).then_some(KEYS);
    Stream { codec: CODECS[who], audio_pt: CODECS[who] as u8, srtp, ..Stream::a_law(remote) }
}

/// A peer of the leader's leg, which is encrypted.
struct Far {
    guard: Guard,
    relay: Relay,
    told: Vec<Event>,
    reports: usize,
}

impl Far {
    /// One packet of each of these parties, and everything that is due; how often memory was asked for meanwhile.
    fn tick(&mut self, n: u32, parties: &[usize]) -> usize {
        let now = START + FRAME * n;
        let before = TIMES.get();
        for who in parties {
            let at = |i: usize| (f64::from(n) * 160.0 + i as f64) * 450.0 / 8000.0;
            let sounds = n % 35 < 17;
            let sample = |i: usize| (at(i) * std::f64::consts::TAU).sin() * 6000.0;
            let payload: [u8; 160] = std::array::from_fn(|i| {
                let sample = if sounds { sample(i) as i16 } else { 0 };
                g711::encode(if *who == 2 { Codec::Pcmu } else { Codec::Pcma }, sample)
            });
            let packet = Packet {
                payload_type: CODECS[*who] as u8,
                marker: false,
                sequence: n as u16,
                timestamp: n * 160,
                ssrc: *who as u32,
                payload: &payload,
            };
            let mut bytes = [0; FRAME_BYTES + TAG];
            let mut length = packet::build(&packet, &mut bytes).expect("it fits");
            if *who == 2 {
                length = self.guard.close(&mut bytes, length).expect("encrypted");
            }
            let from = stream(*who).remote;
            let verdict = self.relay.handle_packet(SEATS[*who], from, &mut bytes[..length], now);
            let Verdict::Take { length, forward, .. } = verdict else { panic!("dropped") };
            if let Some(forward) = forward {
                self.relay.carry(&forward, &mut bytes, length, now).expect("carried");
            }
        }
        self.relay.handle_timeout(now);
        let mut frame = [0; FRAME_BYTES];
        while let Some(spoken) = self.relay.poll_packet(now, &mut frame) {
            let mut out = [0; FRAME_BYTES + TAG];
            out[..FRAME_BYTES].copy_from_slice(&frame);
            let length = spoken.length;
            self.relay.close_packet(spoken.channel, &mut out, length, now).expect("sent");
            self.relay.sent(spoken.channel);
        }
        let mut report = [0; REPORT_ROOM];
        while self.relay.poll_report(now, &mut report).is_some() {
            self.reports += 1;
        }
        let asked = TIMES.get() - before;
        while let Some(event) = self.relay.poll_event() {
            self.told.push(event);
        }
        asked
    }
}

#[test]
fn a_packet_on_its_way_costs_no_memory() {
    let guard = Guard::new(Keys { ours: KEYS.theirs, theirs: KEYS.ours });
    let relay = Relay::new(4, vec![], Random::from_seed([5; 32]));
    let mut far = Far { guard, relay, told: vec![], reports: 0 };
    for (who, party) in [Party::Caller, Party::Officer, Party::Leader].into_iter().enumerate() {
        let (channel, stream) = (SEATS[who], stream(who));
        far.relay.handle_command(Command::Open { channel, call: CALL, party, stream }, START);
        let wanted = Wanted { network: true, fax: true, keys: true };
        far.relay.handle_command(Command::Listen { channel, wanted }, START);
    }
    far.relay.handle_command(Command::Join { a: SEATS[0], b: SEATS[1] }, START);
    let relayed: usize = (0..500)
        .map(|n| {
            if n % 100 == 50 {
                let press = Command::Press { channel: SEATS[1], key: '5' };
                far.relay.handle_command(press, START + FRAME * n);
            }
            far.tick(n, &[0, 1])
        })
        .sum();
    far.relay.handle_command(Command::Confer { call: CALL, seats: SEATS }, START + FRAME * 500);
    let mixed: usize = (500..1500).map(|n| far.tick(n, &[0, 1, 2])).sum();
    assert_eq!((relayed, mixed), (0, 0));
    assert!(far.reports > 6, "and each was told how it is heard: {}", far.reports);
    let busy = |event: &&Event| matches!(event, Event::Tone { tone: Tone::Busy, .. });
    assert!(far.told.iter().filter(busy).count() >= 2, "and it was heard: {:?}", far.told);
}
