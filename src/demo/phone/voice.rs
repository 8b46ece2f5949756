//! Mouth and ear of a phone: speech and keys as RTP packets (RFC 3550, RFC 4733), and what was
//! heard. Shares no code with `protocol::rtp`, so that the two judge each other.

use super::session::Remote;
use crate::protocol::now::{Deadline, Mono, Now};
use std::collections::VecDeque;
use std::time::Duration;

const TICK: Duration = Duration::from_millis(20);
const SAMPLES: u32 = 160;
/// A key is held for 100 ms, and its last packet sent three times (RFC 4733 §2.5.1.4).
const KEY_UPDATES: u16 = 5;
const KEY_ENDS: u16 = 3;
/// Ten minutes of packets are kept; more are dropped.
const MOST_HEARD: usize = 30_000;
const MOST_KEYS: usize = 32;
/// A-law for no sound at all.
pub const SILENCE: u8 = 0xd5;
/// The four values of A-law next to none: 8 and 24 to either side.
const ROOM: [u8; 4] = [0xd5, 0x55, 0xd4, 0x54];

/// One packet as it was heard.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Heard {
    pub at: Mono,
    pub ssrc: u32,
    pub sequence: u16,
    pub timestamp: u32,
    pub payload_type: u8,
    pub payload: Vec<u8>,
}

pub struct Voice {
    pub remote: Remote,
    ssrc: u32,
    sequence: u16,
    first_timestamp: u32,
    begun: Mono,
    ticks: u32,
    speech: VecDeque<u8>,
    keys: VecDeque<char>,
    pressing: Option<Pressing>,
    keeps_talking: bool,
    was_silent: bool,
    heard: Vec<Heard>,
}

struct Pressing {
    event: u8,
    timestamp: u32,
    sent: u16,
}

impl Voice {
    /// `keeps_talking`: sends the sound of a quiet room when there is nothing to say, as most phones do.
    pub fn new(remote: Remote, ssrc: u32, keeps_talking: bool, now: Now) -> Self {
        Self {
            remote,
            ssrc,
            sequence: (ssrc >> 8) as u16,
            first_timestamp: ssrc.rotate_left(7),
            begun: now.mono,
            ticks: 0,
            speech: VecDeque::new(),
            keys: VecDeque::new(),
            pressing: None,
            keeps_talking,
            was_silent: true,
            heard: vec![],
        }
    }

    /// Says this next, after what is still being said; G.711 in the codec of the call.
    pub fn say(&mut self, speech: &[u8], now: Now) {
        self.catch_up(now);
        self.speech.extend(speech);
    }

    pub fn press(&mut self, key: char, now: Now) {
        self.catch_up(now);
        if self.keys.len() < MOST_KEYS {
            self.keys.push_back(key);
        }
    }

    pub fn is_busy(&self) -> bool {
        !self.speech.is_empty() || !self.keys.is_empty() || self.pressing.is_some()
    }

    pub fn handle_packet(&mut self, bytes: &[u8], now: Now) {
        if let Some(heard) = parse(bytes, now.mono)
            && self.heard.len() < MOST_HEARD
        {
            self.heard.push(heard);
        }
    }

    pub fn heard(&self) -> &[Heard] {
        &self.heard
    }

    pub fn deadline(&self) -> Option<Deadline> {
        (self.is_busy() || self.keeps_talking).then(|| (self.next_tick(), "phone speaks"))
    }

    /// The packet that is due at `now`, if one is.
    pub fn poll_packet(&mut self, now: Now) -> Option<Vec<u8>> {
        while (self.is_busy() || self.keeps_talking) && self.next_tick() <= now.mono {
            let packet = self.tick();
            self.ticks += 1;
            if packet.is_some() {
                return packet;
            }
        }
        None
    }

    fn tick(&mut self) -> Option<Vec<u8>> {
        let timestamp = self.first_timestamp.wrapping_add(self.ticks.wrapping_mul(SAMPLES));
        if self.pressing.is_none()
            && let Some(key) = self.keys.pop_front()
        {
            let event = event_of(key)?;
            self.pressing = Some(Pressing { event, timestamp, sent: 0 });
        }
        if let Some(mut pressing) = self.pressing.take() {
            let packet = self.key_packet(&mut pressing);
            if pressing.sent < KEY_UPDATES + KEY_ENDS {
                self.pressing = Some(pressing);
            }
            self.was_silent = true;
            return packet;
        }
        let count = self.speech.len().min(SAMPLES as usize);
        let mut payload: Vec<u8> = self.speech.drain(..count).collect();
        if payload.is_empty() && !self.keeps_talking {
            self.was_silent = true;
            return None;
        }
        let rest = payload.len()..SAMPLES as usize;
        let keeps_talking = self.keeps_talking;
        payload.extend(rest.map(|at| if keeps_talking { room(timestamp, at) } else { SILENCE }));
        let marker = std::mem::take(&mut self.was_silent);
        Some(self.packet(marker, self.remote.audio_pt, timestamp, &payload))
    }

    fn key_packet(&mut self, pressing: &mut Pressing) -> Option<Vec<u8>> {
        let updates = (pressing.sent + 1).min(KEY_UPDATES);
        let [high, low] = (updates * SAMPLES as u16).to_be_bytes();
        let end = if pressing.sent >= KEY_UPDATES { 0x80 } else { 0 };
        let payload = [pressing.event, end | 10, high, low];
        let marker = pressing.sent == 0;
        pressing.sent += 1;
        let event_pt = self.remote.event_pt?;
        Some(self.packet(marker, event_pt, pressing.timestamp, &payload))
    }

    fn packet(&mut self, marker: bool, pt: u8, timestamp: u32, payload: &[u8]) -> Vec<u8> {
        let mut packet = vec![0x80, if marker { 0x80 | pt } else { pt }];
        packet.extend_from_slice(&self.sequence.to_be_bytes());
        packet.extend_from_slice(&timestamp.to_be_bytes());
        packet.extend_from_slice(&self.ssrc.to_be_bytes());
        packet.extend_from_slice(payload);
        self.sequence = self.sequence.wrapping_add(1);
        packet
    }

    fn next_tick(&self) -> Mono {
        self.begun + TICK * self.ticks
    }

    /// A phone that was silent resumes at the present tick.
    fn catch_up(&mut self, now: Now) {
        if !self.is_busy() && !self.keeps_talking {
            let passed = now.mono.since(self.begun).as_nanos() / TICK.as_nanos();
            self.ticks = self.ticks.max(u32::try_from(passed).unwrap_or(u32::MAX) + 1);
        }
    }
}

/// The sound of these packets in one row by timestamp, source after source, silence where
/// something is missing.
pub fn sound(heard: &[Heard], audio_pt: u8) -> Vec<u8> {
    let mut sources: Vec<u32> = vec![];
    for packet in heard {
        if !sources.contains(&packet.ssrc) {
            sources.push(packet.ssrc);
        }
    }
    let mut sound = vec![];
    for ssrc in sources {
        let of = |packet: &&Heard| packet.ssrc == ssrc && packet.payload_type == audio_pt;
        let Some(origin) = heard.iter().find(of).map(|packet| packet.timestamp) else { continue };
        let mut packets: Vec<_> = heard.iter().filter(of).collect();
        packets.sort_by_key(|packet| packet.timestamp.wrapping_sub(origin) as i32);
        let start = sound.len();
        for packet in packets {
            let at = packet.timestamp.wrapping_sub(origin) as i32;
            let Ok(at) = usize::try_from(at) else { continue };
            let end = start + at + packet.payload.len();
            if end > MOST_HEARD * SAMPLES as usize {
                break;
            }
            if sound.len() < end {
                sound.resize(end, SILENCE);
            }
            sound[start + at..end].copy_from_slice(&packet.payload);
        }
    }
    sound
}

fn parse(bytes: &[u8], at: Mono) -> Option<Heard> {
    let (header, payload) = bytes.split_at_checked(12)?;
    let word = |from: usize| u32::from_be_bytes([0, 1, 2, 3].map(|n| header[from + n]));
    (header[0] == 0x80).then(|| Heard {
        at,
        ssrc: word(8),
        sequence: u16::from_be_bytes([header[2], header[3]]),
        timestamp: word(4),
        payload_type: header[1] & 0x7f,
        payload: payload.to_vec(),
    })
}

fn event_of(key: char) -> Option<u8> {
    match key {
        '0'..='9' => u8::try_from(key.to_digit(10)?).ok(),
        '*' => Some(10),
        '#' => Some(11),
        'A'..='D' => Some(12 + (key as u8 - b'A')),
        _ => None,
    }
}

/// A sample of what a microphone hears where nobody speaks, some 60 dB below full scale: without it a phone that
/// listens were a dead one.
fn room(timestamp: u32, at: usize) -> u8 {
    let place = timestamp.wrapping_add(at as u32).wrapping_mul(0x9e37_79b9);
    ROOM[(place.wrapping_mul(place | 1) >> 30) as usize]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_phone_that_listens_sends_the_sound_of_its_room() {
        let (mut voice, now) = voice(true);
        let speech = [3; 200];
        voice.say(&speech, now);
        let packets: Vec<_> = (0..50u32)
            .filter_map(|tick| voice.poll_packet(now + TICK * tick))
            .filter_map(|bytes| parse(&bytes, now.mono))
            .collect();
        let sound = sound(&packets, 8);
        assert_eq!((packets.len(), &sound[..200]), (50, &speech[..]));
        for sample in ROOM {
            let often = sound[200..].iter().filter(|one| **one == sample).count();
            assert!((1_500..2_400).contains(&often), "{often} of {sample:#x}");
        }
    }

    fn voice(keeps_talking: bool) -> (Voice, Now) {
        let now = Now { mono: Mono(0), wall: chrono::DateTime::UNIX_EPOCH };
        let remote =
            Remote { addr: "10.0.0.1:4000".parse().unwrap(), audio_pt: 8, event_pt: Some(101) };
        (Voice::new(remote, 0xdead_beef, keeps_talking, now), now)
    }

    fn everything(voice: &mut Voice, mut now: Now) -> Vec<Heard> {
        let mut packets = vec![];
        while let Some((at, _)) = voice.deadline() {
            now = now + at.since(now.mono);
            packets.extend(voice.poll_packet(now).and_then(|bytes| parse(&bytes, now.mono)));
        }
        packets
    }

    #[test]
    fn speech_comes_out_whole_every_20_ms_and_then_the_phone_is_quiet() {
        let (mut voice, now) = voice(false);
        let speech: Vec<u8> = (0..400u32).map(|n| n as u8).collect();
        voice.say(&speech, now);
        let packets = everything(&mut voice, now);
        assert_eq!(packets.len(), 3);
        assert_eq!(packets[1].at.since(packets[0].at), TICK);
        assert_eq!(sound(&packets, 8)[..400], speech);
        assert_eq!(voice.deadline(), None);
    }

    #[test]
    fn a_later_word_leaves_a_gap_of_true_length() {
        let (mut voice, now) = voice(false);
        voice.say(&[1; 160], now);
        let mut packets = everything(&mut voice, now);
        let later = now + Duration::from_secs(1);
        voice.say(&[2; 160], later);
        packets.extend(everything(&mut voice, later));
        let sound = sound(&packets, 8);
        let gap = sound.iter().filter(|sample| **sample == SILENCE).count();
        assert!((8000 - 320..=8000).contains(&gap), "{gap}");
    }

    #[test]
    fn a_key_is_one_event_with_three_ends() {
        let (mut voice, now) = voice(false);
        voice.press('*', now);
        voice.press('9', now);
        let packets = everything(&mut voice, now);
        assert_eq!(packets.len(), 16);
        let stars: Vec<_> = packets.iter().filter(|packet| packet.payload[0] == 10).collect();
        assert!(stars.iter().all(|packet| packet.timestamp == stars[0].timestamp));
        assert_eq!(stars.iter().filter(|packet| packet.payload[1] & 0x80 != 0).count(), 3);
        assert_eq!(stars[7].payload[2..], 800u16.to_be_bytes());
        assert_eq!(packets.iter().filter(|packet| packet.payload[0] == 9).count(), 8);
    }
}
