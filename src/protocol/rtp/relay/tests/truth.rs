//! What a far end counts of what we send it: nothing is lost that was not lost on its way to us, whatever it is spared.

use super::super::*;
use crate::protocol::rtp::packet::{self, Packet};
use crate::protocol::rtp::quality::Reception;
use crate::protocol::rtp::source::FRAME;
use crate::protocol::rtp::srtp::{Guard, Keys, MasterKey, TAG};
use crate::protocol::rtp::{Command, Prompt, rtcp};

const START: Mono = Mono(50_000_000_000);
const A: Channel = Channel(0);
const B: Channel = Channel(1);
const CALL: Uuid = Uuid::from_u128(3);
const KEYS: Keys = Keys { ours: MasterKey([3; 30]), theirs: MasterKey([4; 30]) };

/// The caller speaks, and the officer's telephone counts what it gets.
struct Call {
    relay: Relay,
    phone: Reception,
    guard: Option<Guard>,
    now: Mono,
    /// Of its packet; the sequence number turns over, the timestamp does not.
    number: u32,
}

fn caller() -> Stream {
    Stream::a_law("192.0.2.1:4000".parse().unwrap())
}

fn officer() -> Stream {
    Stream { event_pt: None, ..Stream::a_law("192.0.2.2:5000".parse().unwrap()) }
}

impl Call {
    fn new(officer: Stream) -> Self {
        let prompts = vec![Arc::from(vec![1000; 1600])];
        let mut relay = Relay::new(2, prompts, Random::from_seed([6; 32]));
        for (channel, party, stream) in [(A, Party::Caller, caller()), (B, Party::Officer, officer)]
        {
            relay.handle_command(Command::Open { channel, call: CALL, party, stream }, START);
        }
        relay.handle_command(Command::Join { a: A, b: B }, START);
        let theirs = |keys: Keys| Keys { ours: keys.theirs, theirs: keys.ours };
        let guard = officer.srtp.map(|keys| Guard::new(theirs(keys)));
        Self { relay, phone: Reception::default(), guard, now: START, number: 65_500 }
    }

    fn order(&mut self, command: Command) {
        self.relay.handle_command(command, self.now);
    }

    /// One packet of 20 ms of the caller's, and what else is due.
    fn says(&mut self, payload_type: u8) {
        self.number += 1;
        self.says_number(payload_type, self.number);
        self.now = self.now + FRAME;
        let mut frame = [0; FRAME_BYTES];
        while let Some(spoken) = self.relay.poll_packet(self.now, &mut frame) {
            let mut out = [0; FRAME_BYTES + TAG];
            out[..spoken.length].copy_from_slice(&frame[..spoken.length]);
            let closed = self.relay.close_packet(B, &mut out, spoken.length, self.now);
            if spoken.to.is_some() {
                self.arrives(&mut out[..closed.unwrap()]);
            }
        }
    }

    fn says_number(&mut self, payload_type: u8, number: u32) {
        let key: &[u8] = &[1, 0x8a, 0, 160];
        let payload = if payload_type == 8 { &[0x55; 160][..] } else { key };
        let (sequence, timestamp) = (number as u16, number * 160);
        let packet = Packet { payload_type, marker: false, sequence, timestamp, ssrc: 9, payload };
        let mut bytes = [0; FRAME_BYTES + TAG];
        let length = packet::build(&packet, &mut bytes).unwrap();
        let verdict = self.relay.handle_packet(A, caller().remote, &mut bytes[..length], self.now);
        let Verdict::Take { length, forward, .. } = verdict else { panic!("dropped") };
        if let Some(forward) = forward
            && let Some(length) = self.relay.carry(&forward, &mut bytes, length, self.now)
        {
            self.arrives(&mut bytes[..length]);
        }
    }

    /// The gate lets it in when the next one follows it.
    fn says_number_as_one_of_two(&mut self) {
        let mut bytes = [0; FRAME_BYTES];
        let (sequence, timestamp) = (self.number as u16, self.number * 160);
        let payload = &[0x55; 160];
        let packet =
            Packet { payload_type: 8, marker: false, sequence, timestamp, ssrc: 9, payload };
        packet::build(&packet, &mut bytes).unwrap();
        let verdict = self.relay.handle_packet(A, caller().remote, &mut bytes, self.now);
        assert_eq!(verdict, Verdict::Drop);
    }

    fn arrives(&mut self, bytes: &mut [u8]) {
        let length = match &mut self.guard {
            None => bytes.len(),
            Some(guard) => guard.open(bytes).expect("authentic, and none twice"),
        };
        let packet = packet::parse(&bytes[..length]).unwrap();
        self.phone.handle_packet(&packet, Some(8000), self.now);
    }

    /// What the officer's telephone is told next, decrypted.
    fn reported(&mut self) -> Vec<u8> {
        self.now = self.now + FRAME * 400;
        self.relay.handle_timeout(self.now);
        let mut out = [0; REPORT_ROOM];
        let mut reports = std::iter::from_fn(|| {
            let report = self.relay.poll_report(self.now, &mut out)?;
            Some((report.channel, out[..report.length].to_vec()))
        });
        let (_, mut bytes) = reports.find(|(channel, _)| *channel == B).expect("a report");
        let length = match &mut self.guard {
            None => bytes.len(),
            Some(guard) => guard.open_report(&mut bytes).expect("authentic"),
        };
        bytes.truncate(length);
        bytes
    }

    fn lost(&self) -> (u64, u64) {
        let tally = self.phone.tally();
        (tally.lost, tally.doubled)
    }
}

#[test]
fn rec_q_a_call_with_prompts_hold_noise_and_keys_shows_no_loss_at_the_far_end() {
    for srtp in [None, Some(KEYS)] {
        let mut call = Call::new(Stream { srtp, ..officer() });
        let voice = |call: &mut Call, packets: usize| (0..packets).for_each(|_| call.says(8));
        voice(&mut call, 50);
        let prompt = Prompt(0);
        call.order(Command::Play { channel: B, prompt, repeat: false });
        voice(&mut call, 50);
        for send in [false, true, false, true] {
            call.order(Command::Change { channel: B, stream: Stream { send, srtp, ..officer() } });
            voice(&mut call, 400);
        }
        (0..200).for_each(|n| call.says(if n % 10 < 7 { 13 } else { 8 }));
        (0..20).for_each(|n| call.says(if n < 9 { 101 } else { 8 }));
        call.order(Command::Press { channel: B, key: '5' });
        voice(&mut call, 50);
        assert_eq!(call.lost(), (0, 0), "encrypted: {}", srtp.is_some());
        let received = call.phone.received().unwrap();
        let told = call.reported();
        let sent = u32::from_be_bytes(*told[20..].first_chunk().unwrap());
        assert_eq!(received.received, sent, "what we say we sent is what came");
        assert_eq!(received.expected, received.received);
    }
}

#[test]
fn rec_q_what_is_lost_on_its_way_to_us_is_lost_for_the_far_end_too_and_no_more() {
    let mut call = Call::new(Stream { srtp: Some(KEYS), ..officer() });
    let mut lost = 0;
    for n in 0..2000u32 {
        match n % 100 {
            17 | 18 if n % 200 < 100 => {
                call.number += 1;
                lost += 1;
            }
            50..60 => call.says(13),
            _ => call.says(8),
        }
    }
    assert_eq!(call.lost(), (lost, 0));
}

#[test]
fn rec_q_what_is_overtaken_by_something_withheld_is_never_sent_under_a_used_number() {
    let mut call = Call::new(Stream { srtp: Some(KEYS), ..officer() });
    (0..150).for_each(|_| call.says(8));
    // One is late by as much as the gate takes; between, others are withheld.
    let late = call.number + 1;
    call.number = late;
    (0..60).for_each(|n| call.says(if n % 3 == 0 { 13 } else { 8 }));
    for behind in [0, 1, 30] {
        call.says_number(8, late - behind);
    }
    (0..10).for_each(|_| call.says(8));
    let (lost, _) = call.lost();
    assert_eq!(lost, 1, "the late one");
}

#[test]
fn rec_q_the_moment_of_a_senders_report_goes_on_through_a_pause() {
    let mut call = Call::new(officer());
    (0..50).for_each(|_| call.says(8));
    let spoken = call.number * 160;
    for pause in [13, 13, 13] {
        (0..100).for_each(|_| call.says(pause));
    }
    let passed = 300 * 160 + 160;
    let before = call.now;
    let moment = call.relay.lent(B).unwrap().seam.moment(8000, call.now).unwrap();
    assert_eq!(moment.wrapping_sub(spoken), passed, "six seconds without a word");
    let bytes = call.reported();
    let timestamp = u32::from_be_bytes(*bytes[16..].first_chunk().unwrap());
    let later = call.now.since(before).as_millis() as u32 * 8;
    assert_eq!(timestamp.wrapping_sub(moment), later);
    assert!(rtcp::read(&bytes, 0).unwrap().sent.is_some());
}

#[test]
fn rec_q_a_caller_whose_numbers_start_anew_is_heard_on_and_none_is_used_twice() {
    let mut call = Call::new(Stream { srtp: Some(KEYS), ..officer() });
    (0..200).for_each(|_| call.says(8));
    let before = call.phone.tally();
    // Back by more than any packet is late, under the same name.
    call.number -= 5000;
    call.says_number_as_one_of_two();
    (0..200).for_each(|_| call.says(8));
    let after = call.phone.tally();
    assert_eq!(
        (after.lost, after.received - before.received),
        (0, 200),
        "all but the first of two"
    );
}
