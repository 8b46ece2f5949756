//! What we say to a party as a stream of RTP packets: prompts and keys, 20 ms each, paced by deadlines, in the codec of
//! the leg.

use super::narrow::{Mouth, stamped};
use super::packet::{self, Packet};
use super::pressing::Pressing;
use super::{Codec, Prompt, Stream};
use crate::protocol::now::Mono;
use crate::protocol::random::Random;
use std::sync::Arc;
use std::time::Duration;

/// Length of one packet.
pub const FRAME: Duration = Duration::from_millis(20);
/// The same in samples.
pub const FRAME_SAMPLES: usize = 160;
/// Length of one packet of ours in bytes, at most.
pub const FRAME_BYTES: usize = 12 + FRAME_SAMPLES;
const FRAMES_A_SECOND: u32 = 50;
/// Silence between two rounds of a prompt that repeats.
const PAUSE_SAMPLES: usize = 8000;
/// A source that is late by more goes on from now instead of catching up in a burst.
const LATE_MAX: Duration = Duration::from_millis(200);

/// Everything we say to one party. The numbers of its packets go on from one prompt to the next.
#[derive(Debug, Clone)]
pub struct Source {
    ssrc: u32,
    sequence: u16,
    timestamp: u32,
    /// When the packet that `timestamp` belongs to is due.
    due: Option<Mono>,
    playing: Option<Playing>,
    pressing: Pressing,
    /// When the key that is being pressed began, in samples.
    pressed: u32,
    /// No key begins before: others are heard between two.
    rests: Mono,
}

#[derive(Debug, Clone)]
struct Playing {
    prompt: Prompt,
    samples: Arc<[i16]>,
    position: usize,
    repeat: bool,
    fresh: bool,
}

/// A packet that was written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Made {
    pub codec: Codec,
    pub payload_type: u8,
    /// In bytes.
    pub length: usize,
}

/// What became of a turn of the source.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Turn {
    Packet(Made),
    /// A packet of a key was written; its length.
    Key(usize),
    /// The prompt was spoken to its end.
    Played(Prompt),
    /// Nothing is due.
    Nothing,
}

impl Source {
    pub fn new(random: &mut Random) -> Self {
        let numbers = random.u64();
        Self {
            ssrc: random.u32(),
            sequence: numbers as u16,
            timestamp: (numbers >> 32) as u32,
            due: None,
            playing: None,
            pressing: Pressing::default(),
            pressed: 0,
            rests: Mono(0),
        }
    }

    /// Speaks the samples from `now` on, instead of what was playing.
    pub fn play(&mut self, prompt: Prompt, samples: Arc<[i16]>, repeat: bool, now: Mono) {
        self.skip_to(now);
        self.playing = Some(Playing { prompt, samples, position: 0, repeat, fresh: true });
    }

    pub fn stop(&mut self) {
        self.playing = None;
    }

    /// Says a key, after those that wait.
    pub fn press(&mut self, key: char, now: Mono) {
        if self.due.is_none_or(|due| due < now) {
            self.skip_to(now);
        }
        if !self.pressing.is_on() && now > self.rests {
            self.pressing.rest();
        }
        self.pressing.press(key);
    }

    /// Whether a prompt or a key is being said.
    pub fn speaks(&self) -> bool {
        self.playing.is_some() || self.pressing.is_saying()
    }

    /// Whether what others say may be said at `now`: nothing else has this frame.
    pub fn is_free(&self, now: Mono) -> bool {
        let soon = now + FRAME / 2;
        let key = self.pressing.is_on() && self.rests <= soon;
        !key && !self.speaks() && self.due.is_none_or(|due| due <= soon)
    }

    pub fn due(&self) -> Option<Mono> {
        match (self.speaks(), self.pressing.is_on()) {
            (true, _) => self.due,
            (false, true) => self.due.map(|due| due.max(self.rests)),
            (false, false) => None,
        }
    }

    /// Takes one turn: at most one packet, written to the start of `out`.
    pub fn turn(
        &mut self,
        stream: &Stream,
        mouth: &mut Mouth,
        now: Mono,
        out: &mut [u8; FRAME_BYTES],
    ) -> Turn {
        let Some(due) = self.due().filter(|due| *due <= now) else { return Turn::Nothing };
        if now.since(due) > LATE_MAX {
            self.skip_to(now);
        }
        let its_turn = self.pressing.is_on() && self.rests <= now;
        if self.pressing.is_saying() || its_turn {
            if !self.speaks() && self.due.is_some_and(|due| due < now) {
                self.skip_to(now);
            }
            return self.key(stream, out).map_or(Turn::Nothing, Turn::Key);
        }
        let Some(playing) = &mut self.playing else { return Turn::Nothing };
        if playing.ended() {
            let prompt = playing.prompt;
            self.playing = None;
            return Turn::Played(prompt);
        }
        let mut frame = [0; FRAME_SAMPLES];
        let samples = playing.samples.get(playing.position..).unwrap_or_default();
        for (place, sample) in frame.iter_mut().zip(samples) {
            *place = *sample;
        }
        let fresh = playing.fresh;
        playing.advance();
        self.put((stream, mouth), &frame, fresh, out).map_or(Turn::Nothing, Turn::Packet)
    }

    /// Says this frame at `now`, after the one before or after a pause.
    pub fn say(
        &mut self,
        stream: &Stream,
        mouth: &mut Mouth,
        frame: &[i16; FRAME_SAMPLES],
        now: Mono,
        out: &mut [u8; FRAME_BYTES],
    ) -> Option<Made> {
        let goes_on = self.due.is_some_and(|due| due <= now + FRAME && now.since(due) <= LATE_MAX);
        if !goes_on {
            self.skip_to(now);
        }
        self.put((stream, mouth), frame, !goes_on, out)
    }

    /// None for a party that takes nothing we can speak: it hears nothing for as long as it would have heard something.
    fn put(
        &mut self,
        (stream, mouth): (&Stream, &mut Mouth),
        frame: &[i16; FRAME_SAMPLES],
        marker: bool,
        out: &mut [u8; FRAME_BYTES],
    ) -> Option<Made> {
        let mut payload = [0; FRAME_SAMPLES];
        let timestamp = self.timestamp;
        self.pass();
        let (codec, payload_type) = stream.spoken()?;
        let said = mouth.say(codec, frame, &mut payload)?;
        let timestamp = stamped(timestamp.wrapping_sub(said.held), codec);
        let length =
            self.write((payload_type, marker, timestamp), payload.get(..said.bytes)?, out)?;
        Some(Made { codec, payload_type, length })
    }

    /// One packet of the key whose turn it is; none for a party that takes no keys.
    fn key(&mut self, stream: &Stream, out: &mut [u8; FRAME_BYTES]) -> Option<usize> {
        let ticks = stream.event_clock / FRAMES_A_SECOND;
        let part = self.pressing.turn(u16::try_from(ticks).unwrap_or(FRAME_SAMPLES as u16));
        let at = self.timestamp;
        self.pass();
        if let Some(due) = self.due.filter(|_| !self.pressing.is_saying()) {
            self.rests = due + FRAME * self.pressing.pause();
        }
        let part = part?;
        if part.first {
            self.pressed = at;
        }
        let timestamp = self.pressed.wrapping_mul(stream.event_clock / 8000);
        self.write((stream.event_pt?, part.first, timestamp), &part.payload, out)
    }

    fn write(
        &mut self,
        (payload_type, marker, timestamp): (u8, bool, u32),
        payload: &[u8],
        out: &mut [u8; FRAME_BYTES],
    ) -> Option<usize> {
        let (sequence, ssrc) = (self.sequence, self.ssrc);
        self.sequence = self.sequence.wrapping_add(1);
        packet::build(&Packet { payload_type, marker, sequence, timestamp, ssrc, payload }, out)
    }

    /// A frame is over.
    fn pass(&mut self) {
        self.timestamp = self.timestamp.wrapping_add(FRAME_SAMPLES as u32);
        self.due = self.due.map(|due| due + FRAME);
    }

    /// Moves the due time to now and the timestamp with it, so that a pause is a pause for the listener.
    fn skip_to(&mut self, now: Mono) {
        let passed = self.due.map_or(Duration::ZERO, |due| now.since(due));
        let samples = passed.as_micros() * 8 / 1000;
        self.timestamp = self.timestamp.wrapping_add(samples as u32);
        self.due = Some(now);
    }
}

impl Playing {
    fn ended(&self) -> bool {
        !self.repeat && self.position >= self.samples.len()
    }

    fn advance(&mut self) {
        self.fresh = false;
        self.position += FRAME_SAMPLES;
        if self.repeat && self.position >= self.samples.len() + PAUSE_SAMPLES {
            self.position = 0;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::{g711, g722};
    use super::*;

    const START: Mono = Mono(5_000_000_000);

    fn stream(codec: Codec) -> Stream {
        Stream { codec, audio_pt: codec as u8, ..Stream::a_law("192.0.2.1:4000".parse().unwrap()) }
    }

    fn source() -> Source {
        Source::new(&mut Random::from_seed([3; 32]))
    }

    fn ramp(samples: i16) -> Arc<[i16]> {
        (0..samples).map(|n| n.wrapping_mul(8)).collect()
    }

    /// Plays until nothing is due before `until`; packets with the time each was sent.
    fn run(source: &mut Source, codec: Codec, until: Mono) -> (Vec<(Mono, Vec<u8>)>, Vec<Prompt>) {
        let (mut packets, mut played) = (Vec::new(), Vec::new());
        let (mut mouth, mut out) = (Mouth::default(), [0; FRAME_BYTES]);
        while let Some(due) = source.due().filter(|due| *due <= until) {
            match source.turn(&stream(codec), &mut mouth, due, &mut out) {
                Turn::Packet(made) => packets.push((due, out[..made.length].to_vec())),
                Turn::Key(length) => packets.push((due, out[..length].to_vec())),
                Turn::Played(prompt) => played.push(prompt),
                Turn::Nothing => panic!("due, and nothing came"),
            }
        }
        (packets, played)
    }

    #[test]
    fn a_prompt_is_paced_numbered_and_ends() {
        let mut source = source();
        source.play(Prompt(4), ramp(400), false, START);
        let (packets, played) = run(&mut source, Codec::Pcma, START + Duration::from_secs(1));
        assert_eq!(played, [Prompt(4)]);
        assert_eq!(packets.len(), 3);
        let read: Vec<Packet<'_>> =
            packets.iter().map(|(_, bytes)| packet::parse(bytes).unwrap()).collect();
        for (n, packet) in read.iter().enumerate() {
            assert_eq!(packets[n].0, START + FRAME * u32::try_from(n).unwrap());
            assert_eq!(packet.marker, n == 0);
            assert_eq!(packet.sequence, read[0].sequence.wrapping_add(u16::try_from(n).unwrap()));
            assert_eq!(
                packet.timestamp,
                read[0].timestamp.wrapping_add(u32::try_from(n).unwrap() * 160)
            );
            assert_eq!((packet.ssrc, packet.payload_type), (read[0].ssrc, 8));
        }
        let spoken: Vec<u8> = read.iter().flat_map(|packet| packet.payload.to_vec()).collect();
        let expected: Vec<u8> = (0..400i16).map(|n| g711::encode(Codec::Pcma, n * 8)).collect();
        assert_eq!(spoken[..400], expected);
        assert!(
            spoken[400..].iter().all(|byte| *byte == g711::silence(Codec::Pcma)),
            "the last packet is filled up"
        );
    }

    #[test]
    fn the_leg_hears_its_own_codec() {
        let mut source = source();
        source.play(Prompt(0), ramp(160), false, START);
        let (packets, _) = run(&mut source, Codec::Pcmu, START + FRAME);
        let read = packet::parse(&packets[0].1).unwrap();
        assert_eq!(read.payload_type, 0);
        assert_eq!(read.payload[100], g711::encode(Codec::Pcmu, 800));
    }

    #[test]
    fn a_wide_leg_hears_a_prompt_as_loud_as_a_narrow_one() {
        let tone: Arc<[i16]> =
            (0..8000).map(|n| ((f64::from(n) * 0.785).sin() * 8000.0) as i16).collect();
        let mut source = source();
        source.play(Prompt(0), tone, false, START);
        let (packets, _) = run(&mut source, Codec::G722, START + FRAME * 49);
        let mut decoder = g722::Decoder::default();
        let heard: Vec<i16> = packets
            .iter()
            .flat_map(|(_, packet)| packet[12..].to_vec())
            .flat_map(|byte| decoder.wide(byte))
            .collect();
        let power: f64 = heard[4000..].iter().map(|sample| f64::from(*sample).powi(2)).sum();
        let loud = (2.0 * power / (heard.len() - 4000) as f64).sqrt() / 8000.0;
        assert!((0.9..1.1).contains(&loud), "{loud}");
    }

    #[test]
    fn a_leg_that_takes_nothing_we_speak_hears_nothing_and_the_prompt_ends_all_the_same() {
        let mut source = source();
        source.play(Prompt(3), ramp(160), false, START);
        let (mut mouth, mut out) = (Mouth::default(), [0; FRAME_BYTES]);
        let g729 = stream(Codec::G729);
        assert_eq!(source.turn(&g729, &mut mouth, START, &mut out), Turn::Nothing);
        let next = source.turn(&g729, &mut mouth, START + FRAME, &mut out);
        assert_eq!(next, Turn::Played(Prompt(3)));
    }

    #[test]
    fn a_repeated_prompt_comes_again_after_a_second_and_never_ends() {
        let mut source = source();
        source.play(Prompt(0), ramp(160), true, START);
        let (packets, played) = run(&mut source, Codec::Pcma, START + FRAME * 153);
        assert_eq!(played, []);
        assert_eq!(packets.len(), 154, "silence is sent too");
        assert_eq!(
            packet::parse(&packets[0].1).unwrap().payload,
            packet::parse(&packets[51].1).unwrap().payload
        );
        assert!(packet::parse(&packets[50].1).unwrap().payload.iter().all(|byte| *byte == 0xd5));
    }

    #[test]
    fn a_late_thread_does_not_burst() {
        let mut source = source();
        source.play(Prompt(0), ramp(16_000), false, START);
        let (packets, _) = run(&mut source, Codec::Pcma, START + FRAME * 4);
        let last = packet::parse(&packets[4].1).unwrap().timestamp;
        let late = START + Duration::from_secs(1);
        let (mut mouth, mut out) = (Mouth::default(), [0; FRAME_BYTES]);
        let mut turn = |out: &mut _| source.turn(&stream(Codec::Pcma), &mut mouth, late, out);
        let made = Made { codec: Codec::Pcma, payload_type: 8, length: FRAME_BYTES };
        assert_eq!(turn(&mut out), Turn::Packet(made));
        assert_eq!(turn(&mut out), Turn::Nothing);
        assert_eq!(source.due(), Some(late + FRAME));
        let packet = packet::parse(&out).unwrap();
        assert_eq!(packet.timestamp.wrapping_sub(last), 920 * 8, "the listener's clock went on");
    }

    #[test]
    fn the_next_prompt_goes_on_with_the_numbers() {
        let mut source = source();
        source.play(Prompt(0), ramp(160), true, START);
        let (before, _) = run(&mut source, Codec::Pcma, START);
        source.play(Prompt(1), ramp(160), false, START + Duration::from_millis(500));
        let (after, _) = run(&mut source, Codec::Pcma, START + Duration::from_millis(500));
        let (before, after) =
            (packet::parse(&before[0].1).unwrap(), packet::parse(&after[0].1).unwrap());
        assert_eq!(after.sequence, before.sequence.wrapping_add(1));
        assert_eq!(after.timestamp.wrapping_sub(before.timestamp), 4000);
        assert!(after.marker);
        source.stop();
        assert_eq!(source.due(), None);
    }
    #[test]
    fn sig_22_a_key_is_said_between_frames_of_voice_under_one_timestamp() {
        let mut source = source();
        source.play(Prompt(0), ramp(16_000), false, START);
        run(&mut source, Codec::Pcma, START + FRAME * 4);
        source.press('5', START + FRAME * 4);
        let (packets, _) = run(&mut source, Codec::Pcma, START + FRAME * 13);
        let read: Vec<Packet<'_>> =
            packets.iter().map(|(_, bytes)| packet::parse(bytes).unwrap()).collect();
        let types: Vec<u8> = read.iter().map(|packet| packet.payload_type).collect();
        assert_eq!(types, [101, 101, 101, 101, 101, 101, 101, 8, 8]);
        let (key, voice) = (&read[0], &read[7]);
        assert!(key.marker && read[1..].iter().all(|packet| !packet.marker));
        assert!(read[..7].iter().all(|one| one.timestamp == key.timestamp));
        assert_eq!(voice.timestamp.wrapping_sub(key.timestamp), 7 * 160);
        assert_eq!(voice.sequence.wrapping_sub(key.sequence), 7);
    }

    /// What the listener hears between two keys; `typed`: how far apart they are pressed.
    fn between_keys(keys: usize, typed: Duration) -> Vec<Duration> {
        let (mut source, mut mouth, mut out) = (source(), Mouth::default(), [0; FRAME_BYTES]);
        let (mut first, mut ended, mut pauses) = (vec![], None, vec![]);
        for n in 0..keys as u32 * 40 {
            let now = START + FRAME * n;
            let pressed = (0..keys as u32).filter(|key| {
                let at = START + typed * *key;
                at <= now && now.since(at) < FRAME
            });
            pressed.for_each(|_| source.press('7', now));
            while let Turn::Key(_) = source.turn(&stream(Codec::Pcma), &mut mouth, now, &mut out) {
                let packet = packet::parse(&out).unwrap();
                if packet.marker {
                    first.push(packet.timestamp);
                    pauses.extend(ended.take().map(|ended| now.since(ended)));
                }
                ended = Some(now + FRAME);
                let at = (START + FRAME * n).since(START).as_millis() as u32 * 8;
                let began = first[0];
                let apart = packet.timestamp.wrapping_sub(began);
                assert!(apart <= at, "no key begins before its time");
                assert!(!source.is_free(now), "one packet in a frame");
            }
        }
        assert_eq!(first.len(), keys, "none is left out");
        pauses
    }

    #[test]
    fn sig_22_quick_typing_is_said_whole_with_voice_between_the_keys() {
        for typed in [40, 100, 150] {
            let pauses = between_keys(19, Duration::from_millis(typed));
            assert!(pauses.iter().all(|pause| *pause >= FRAME * 3), "{typed}: {pauses:?}");
            assert!(pauses[8..].iter().all(|pause| *pause >= FRAME * 12), "{typed}: {pauses:?}");
        }
        let slow = between_keys(19, Duration::from_millis(400));
        assert!(slow.iter().all(|pause| *pause == Duration::from_millis(260)), "{slow:?}");
    }
}
