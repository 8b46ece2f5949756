//! Tones as exchanges and machines send them, and what is not one.

use super::*;
use crate::protocol::random::Random;
use crate::protocol::rtp::Codec;
use crate::protocol::rtp::narrow::{Ear, Mouth, SAMPLES_MAX};
use crate::protocol::rtp::packet::Packet;

const START: Mono = Mono(1_000_000_000);
const ALL: Wanted = Wanted { network: true, fax: true, keys: true };

/// Sound at 8000 samples a second, piece by piece.
#[derive(Default)]
struct Sound(Vec<i16>);

impl Sound {
    fn tone(mut self, hertz: f64, ms: usize, level: f64) -> Self {
        let samples = 0..ms * 8;
        let at = |n: usize| (n as f64 * hertz * std::f64::consts::TAU / 8000.0).sin() * level;
        self.0.extend(samples.map(|n| at(n) as i16));
        self
    }

    fn pause(mut self, ms: usize) -> Self {
        self.0.extend(std::iter::repeat_n(0, ms * 8));
        self
    }

    fn times(self, n: usize, more: impl Fn(Self) -> Self) -> Self {
        (0..n).fold(self, |sound, _| more(sound))
    }

    fn noise(mut self, level: f64) -> Self {
        let mut random = Random::from_seed([7; 32]);
        for sample in &mut self.0 {
            let noise = (random.below(2001) as f64 - 1000.0) / 1000.0 * level;
            *sample = sample.saturating_add(noise as i16);
        }
        self
    }
}

fn busy(sound: Sound) -> Sound {
    sound.tone(450.0, 350, 5000.0).pause(350)
}

/// Where each tone was known, and when it began; milliseconds.
type Found = Vec<(Tone, u64, u64)>;

fn listen(sound: &Sound, codec: Codec) -> Found {
    listen_with(sound, codec, |_| true)
}

/// `arrives`: whether the packet of this number does.
fn listen_with(sound: &Sound, codec: Codec, arrives: impl Fn(usize) -> bool) -> Found {
    let mut listener = Listener::new(ALL);
    let (mut mouth, mut ear, mut out) = (Mouth::default(), Ear::default(), [0; SAMPLES_MAX]);
    let ms = |at: Mono| at.since(START).as_millis() as u64;
    let mut found = vec![];
    for (n, samples) in sound.0.chunks(160).enumerate() {
        let mut payload = [0; 160];
        let said = mouth.say(codec, samples, &mut payload).unwrap();
        let packet = Packet {
            payload_type: codec as u8,
            marker: false,
            sequence: n as u16,
            timestamp: (n as u32).wrapping_mul(160).wrapping_sub(500),
            ssrc: 1,
            payload: &payload[..said.bytes],
        };
        let now = START + Duration::from_millis(20) * n as u32;
        if arrives(n) {
            let voice = ear.hear(codec, &packet, &mut out).unwrap();
            let heard = listener.handle_voice(&voice, now);
            found.extend(heard.map(|(tone, since)| (tone, ms(now), ms(since))));
        }
    }
    found
}

fn tones(found: &Found) -> Vec<Tone> {
    found.iter().map(|(tone, ..)| *tone).collect()
}

#[test]
fn sig_37_busy_tone_is_known_within_three_seconds_and_when_it_began() {
    for codec in [Codec::Pcma, Codec::Pcmu, Codec::G722] {
        for lead in [0, 100, 237, 1000] {
            let sound = busy(busy(Sound::default().pause(lead))).times(6, busy).pause(200);
            let found = listen(&sound, codec);
            assert_eq!(tones(&found), [Tone::Busy], "{codec:?} after {lead} ms");
            let (_, known, began) = found[0];
            assert!(known <= lead as u64 + 2000, "{found:?}");
            assert!(began.abs_diff(lead as u64) <= 30, "{found:?} after {lead} ms");
        }
    }
}

#[test]
fn sig_37_of_a_tone_heard_from_its_middle_the_next_burst_is_the_first() {
    let sound = Sound::default().tone(450.0, 120, 5000.0).pause(350).times(5, busy);
    let found = listen(&sound, Codec::Pcma);
    assert_eq!(tones(&found), [Tone::Busy]);
    assert!(found[0].1 < 3000 && found[0].2.abs_diff(470) <= 30, "{found:?}");
}

#[test]
fn sig_37_ringing_and_congestion_are_told_from_busy_and_from_each_other() {
    let ring = |sound: Sound| sound.tone(450.0, 1000, 4000.0).pause(4000);
    let found = listen(&Sound::default().times(3, ring), Codec::Pcma);
    assert_eq!(tones(&found), [Tone::Ringing; 3]);
    assert!(found[1].1 < 6300 && found[1].2.abs_diff(5000) <= 30, "{found:?}");
    let jam = |sound: Sound| sound.tone(450.0, 700, 4000.0).pause(700);
    let found = listen(&Sound::default().times(4, jam).pause(100), Codec::Pcma);
    assert_eq!(tones(&found), [Tone::Congestion]);
    assert!(found[0].1 < 3000, "{found:?}");
}

#[test]
fn sig_37_a_worn_exchange_is_understood() {
    for hertz in [425.0, 450.0, 475.0] {
        for (on, off, level) in [(300, 400, 600.0), (400, 310, 20_000.0), (350, 350, 2000.0)] {
            let burst = |sound: Sound| sound.tone(hertz, on, level).pause(off);
            let sound = Sound::default().times(5, burst).noise(level / 8.0);
            assert_eq!(tones(&listen(&sound, Codec::Pcma)), [Tone::Busy], "{hertz} {on}/{off}");
        }
    }
}

#[test]
fn sig_37_a_lost_packet_and_a_gateway_that_sends_no_silence_do_not_hide_it() {
    let sound = Sound::default().pause(400).times(6, busy);
    let found = listen_with(&sound, Codec::Pcma, |n| n % 9 != 0);
    assert_eq!(tones(&found), [Tone::Busy]);
    let silent = |n: usize| sound.0[n * 160..(n + 1) * 160].iter().all(|sample| *sample == 0);
    let found = listen_with(&sound, Codec::Pcma, |n| !silent(n));
    assert_eq!(tones(&found), [Tone::Busy]);
}

#[test]
fn sig_39_a_fax_that_calls_is_known_by_one_burst_and_one_that_answers_by_its_tone() {
    let calling = |sound: Sound| sound.tone(1100.0, 500, 6000.0).pause(3000);
    for hertz in [1062.0, 1100.0, 1138.0] {
        let sound = Sound::default().pause(700).tone(hertz, 500, 6000.0).pause(1000);
        assert_eq!(tones(&listen(&sound, Codec::Pcma)), [Tone::FaxCalls], "{hertz}");
    }
    for joined in [0, 100, 250, 400, 600, 2000] {
        let mut sound = Sound::default().times(4, calling);
        sound.0.drain(..joined * 8);
        let found = listen(&sound, Codec::Pcma);
        assert!(found[0].1 < 5000, "heard from {joined} ms on: {found:?}");
        assert!(found.iter().all(|(tone, ..)| *tone == Tone::FaxCalls));
    }
    let sound = Sound::default().pause(200).tone(2100.0, 3000, 6000.0).pause(300);
    let found = listen(&sound, Codec::Pcmu);
    assert_eq!(tones(&found), [Tone::FaxAnswers]);
    assert!(found[0].1 < 1800 && found[0].2.abs_diff(200) <= 30, "{found:?}");
}

#[test]
fn what_is_no_tone_is_none() {
    // A child that cries at the pitch of the busy tone, swelling and falling; a whistle; dialling; one long tone; music.
    let sob = |mut sound: Sound| {
        let cry = (0..2800).map(|n| {
            let swell = (f64::from(n) / 2800.0 * std::f64::consts::PI).sin();
            ((f64::from(n) * 450.0 * std::f64::consts::TAU / 8000.0).sin() * 9000.0 * swell) as i16
        });
        sound.0.extend(cry);
        sound.pause(350)
    };
    let whistle = |sound: Sound| sound.tone(1100.0, 300, 6000.0).tone(1250.0, 200, 6000.0);
    let dial = |sound: Sound| sound.tone(450.0, 3000, 5000.0).pause(400);
    let vacant = |sound: Sound| {
        let short = |sound: Sound| sound.tone(450.0, 100, 5000.0).pause(100);
        sound.times(3, short).tone(450.0, 400, 5000.0).pause(400)
    };
    let song = |sound: Sound| {
        [440.0, 493.9, 523.3, 440.0, 392.0]
            .into_iter()
            .fold(sound, |sound, hertz| sound.tone(hertz, 350, 7000.0))
    };
    for (sound, what) in [
        (Sound::default().times(20, sob), "a cry"),
        (Sound::default().times(20, whistle), "a whistle"),
        (Sound::default().times(5, dial), "a dial tone"),
        (Sound::default().times(10, vacant), "no such number"),
        (Sound::default().times(10, song), "a song"),
        (Sound::default().pause(60_000).noise(3000.0), "noise"),
    ] {
        assert_eq!(listen(&sound, Codec::Pcma), [], "{what}");
    }
}

#[test]
fn only_what_is_wanted_is_told_and_a_fax_is_listened_for_a_minute() {
    let mut listener = Listener::new(Wanted { network: false, fax: true, keys: false });
    let mut packets = 0u32;
    while !listener.is_over() {
        let heard = Heard { ssrc: 1, timestamp: packets.wrapping_mul(160), samples: &[8; 160] };
        assert_eq!(listener.handle_voice(&heard, START), None);
        packets += 1;
    }
    assert_eq!(packets, 3001);
    assert!(!listener.wants(Tone::FaxCalls) && !listener.wants(Tone::Busy));
}

#[test]
fn jumps_of_the_clock_cost_nothing_and_break_nothing() {
    let mut listener = Listener::new(ALL);
    let mut random = Random::from_seed([9; 32]);
    for n in 0..20_000u32 {
        let length = random.below(400) as usize;
        let samples: Vec<i16> = (0..length).map(|_| random.u32() as i16).collect();
        let (ssrc, timestamp) = (random.below(2) as u32, random.u32());
        let heard = Heard { ssrc, timestamp, samples: &samples };
        listener.handle_voice(&heard, START + Duration::from_millis(u64::from(n)));
    }
}
