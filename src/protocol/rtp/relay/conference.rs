//! Three parties at one table: what each says goes to the mixer, and what it makes of it to each.

use super::{Relay, Spoken};
use crate::protocol::now::Mono;
use crate::protocol::rtp::Channel;
use crate::protocol::rtp::mixer::{Mixer, SEATS};
use crate::protocol::rtp::source::FRAME_BYTES;
use uuid::Uuid;

impl Relay {
    pub(super) fn confer(&mut self, call: Uuid, seats: [Channel; SEATS], now: Mono) {
        let [a, b, c] = seats;
        let distinct = a != b && b != c && c != a;
        if !distinct || seats.iter().any(|channel| self.lent(*channel).is_none()) {
            return;
        }
        for channel in seats {
            self.part(channel);
            if let Some(lent) = self.lent(channel) {
                lent.call = call;
            }
        }
        self.tables.push(Box::new(Mixer::new(seats, now)));
        for channel in seats {
            self.tune(channel);
        }
    }

    /// Whoever sits at a table with somebody who presses a key gets it: the mixer takes voices only.
    pub(super) fn pass_on_key(&mut self, channel: Channel, key: char, now: Mono) {
        let table = self.tables.iter().find(|table| table.seats(channel));
        for other in table.map(|table| table.others(channel)).into_iter().flatten() {
            self.press(other, key, now);
        }
    }

    /// The next frame that is due to somebody. Who hears a prompt does not hear the others at the same time.
    pub(super) fn poll_mixed(&mut self, now: Mono, out: &mut [u8; FRAME_BYTES]) -> Option<Spoken> {
        for table in &mut self.tables {
            while let Some((channel, frame)) = table.turn(now) {
                let slot = self.slots.get_mut(usize::from(channel.0));
                let lent = slot.and_then(|slot| slot.lent.as_mut());
                let hears = lent.filter(|lent| lent.reachable() && lent.source.is_free(now));
                let Some(lent) = hears else { continue };
                let made = lent.source.say(&lent.stream, &mut lent.mouth, &frame, now, out);
                if let Some(made) = made {
                    return Some(lent.spoken(channel, &made, false));
                }
            }
        }
        None
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::protocol::random::Random;
    use crate::protocol::rtp::packet::Packet;
    use crate::protocol::rtp::relay::Verdict;
    use crate::protocol::rtp::source::FRAME;
    use crate::protocol::rtp::srtp::{Guard, Keys, MasterKey, TAG};
    use crate::protocol::rtp::{Codec, Command, Party, Prompt, Stream, g711, packet};
    use std::net::SocketAddr;
    use std::sync::Arc;
    use std::time::Duration;

    const START: Mono = Mono(3_000_000_000);
    const CALL: Uuid = Uuid::from_u128(1);
    const ATTEMPT: Uuid = Uuid::from_u128(2);
    const SEATS: [Channel; 3] = [Channel(0), Channel(1), Channel(2)];
    const LEVELS: [i16; 3] = [1000, 2016, 4032];

    fn stream(who: usize) -> Stream {
        let codec = [Codec::Pcma, Codec::Pcmu, Codec::Pcma][who];
        let remote = SocketAddr::from(([192, 0, 2, 1], 4000 + who as u16));
        Stream { codec, audio_pt: codec as u8, ..Stream::a_law(remote) }
    }

    fn relay() -> Relay {
        let prompts = vec![Arc::from(vec![8000; 1600])];
        let mut relay = Relay::new(4, prompts, Random::from_seed([1; 32]));
        for (who, party) in [Party::Caller, Party::Officer, Party::Leader].into_iter().enumerate() {
            let call = if party == Party::Leader { ATTEMPT } else { CALL };
            let (channel, stream) = (SEATS[who], stream(who));
            relay.handle_command(Command::Open { channel, call, party, stream }, START);
        }
        relay.handle_command(Command::Join { a: SEATS[0], b: SEATS[1] }, START);
        relay
    }

    fn confer(relay: &mut Relay) {
        relay.handle_command(Command::Confer { call: CALL, seats: SEATS }, START);
    }

    fn says(relay: &mut Relay, who: usize, n: u32) -> Verdict {
        let stream = stream(who);
        let packet = Packet {
            payload_type: stream.audio_pt,
            marker: false,
            sequence: n as u16,
            timestamp: n * 160,
            ssrc: who as u32,
            payload: &[g711::encode(stream.codec, LEVELS[who]); 160],
        };
        let mut bytes = [0; FRAME_BYTES];
        packet::build(&packet, &mut bytes).unwrap();
        relay.handle_packet(SEATS[who], stream.remote, &mut bytes, START + FRAME * n)
    }

    /// What each heard last, by his own codec, after all three spoke for so many frames.
    fn heard(relay: &mut Relay, frames: u32) -> [Option<i16>; 3] {
        let mut last = [None; 3];
        for n in 0..frames {
            for who in 0..3 {
                let verdict = says(relay, who, n);
                let Verdict::Take { tag, forward, .. } = verdict else { panic!("{verdict:?}") };
                assert_eq!((tag.call, forward), (CALL, None), "taped with the call, and mixed");
            }
            let mut out = [0; FRAME_BYTES];
            while let Some(spoken) = relay.poll_packet(START + FRAME * n, &mut out) {
                let who = usize::from(spoken.channel.0);
                let packet = packet::parse(&out).unwrap();
                assert_eq!(spoken.to, Some(stream(who).remote));
                assert_eq!(packet.payload_type, stream(who).audio_pt);
                assert!(!spoken.taped);
                last[who] = Some(g711::decode(stream(who).codec, packet.payload[159]));
            }
        }
        last
    }

    fn near(heard: Option<i16>, sum: i16) -> bool {
        heard.is_some_and(|heard| heard.abs_diff(sum) < 200)
    }

    #[test]
    fn each_gets_the_sum_of_the_others_in_his_own_codec_and_it_is_not_taped() {
        let mut relay = relay();
        confer(&mut relay);
        let heard = heard(&mut relay, 20);
        for who in 0..3 {
            let sum = LEVELS.iter().sum::<i16>() - LEVELS[who];
            assert!(near(heard[who], sum), "{who} heard {heard:?}");
        }
        assert!(relay.deadline().is_some());
    }

    #[test]
    fn who_holds_us_gets_nothing_and_the_others_go_on() {
        let mut relay = relay();
        confer(&mut relay);
        let stream = Stream { send: false, ..stream(1) };
        relay.handle_command(Command::Change { channel: SEATS[1], stream }, START);
        let heard = heard(&mut relay, 20);
        assert_eq!(heard[1], None);
        assert!(near(heard[0], LEVELS[1] + LEVELS[2]) && near(heard[2], LEVELS[0] + LEVELS[1]));
    }

    #[test]
    fn joined_again_two_have_the_plain_relay_and_the_third_hears_nobody() {
        let mut relay = relay();
        confer(&mut relay);
        heard(&mut relay, 5);
        relay.handle_command(Command::Join { a: SEATS[0], b: SEATS[1] }, START);
        let Verdict::Take { forward, .. } = says(&mut relay, 0, 6) else { panic!("dropped") };
        assert_eq!(forward.unwrap().channel, SEATS[1]);
        let Verdict::Take { forward, .. } = says(&mut relay, 2, 6) else { panic!("dropped") };
        assert_eq!(forward, None);
        assert_eq!(relay.poll_packet(START + FRAME * 50, &mut [0; FRAME_BYTES]), None);
    }

    #[test]
    fn a_prompt_is_heard_instead_of_the_others_and_a_closed_channel_ends_the_table() {
        let mut relay = relay();
        confer(&mut relay);
        let prompt = Command::Play { channel: SEATS[2], prompt: Prompt(0), repeat: true };
        relay.handle_command(prompt, START);
        let mut out = [0; FRAME_BYTES];
        let all = std::iter::from_fn(|| relay.poll_packet(START + FRAME, &mut out));
        let of_leader: Vec<bool> =
            all.filter(|spoken| spoken.channel == SEATS[2]).map(|spoken| spoken.taped).collect();
        assert_eq!(of_leader, [true, true], "the prompt, which is taped");
        relay.handle_command(Command::Close { channel: SEATS[2] }, START);
        assert_eq!(relay.poll_packet(START + FRAME * 9, &mut out), None);
    }

    /// Frames of voice and keys in their order, of each, while the first of three presses a key every so many frames. The
    /// thread wakes late, now more and now less.
    fn typed(frames: u32, every: u32) -> ([usize; 3], [String; 3]) {
        let mut relay = relay();
        confer(&mut relay);
        let (mut voice, mut keys, mut first) = ([0; 3], [(); 3].map(|()| String::new()), [None; 3]);
        for n in 0..frames + 400 {
            for who in 0..3 {
                says(&mut relay, who, n);
            }
            let late = if n == 0 { 4 } else { n * 7 % 5 };
            let tick = START + FRAME * n + Duration::from_millis(late.into());
            if n % every == 0 && n < frames {
                let key = char::from(b'0' + (n / every % 10) as u8);
                relay.pass_on_key(SEATS[0], key, tick);
            }
            let mut packets = [0; 3];
            for now in [tick, tick + FRAME / 2] {
                let mut out = [0; FRAME_BYTES];
                while let Some(spoken) = relay.poll_packet(now, &mut out) {
                    let who = usize::from(spoken.channel.0);
                    let packet = packet::parse(&out).unwrap();
                    packets[who] += 1;
                    if packet.payload_type == stream(who).audio_pt {
                        voice[who] += usize::from(n < frames);
                        let (at, began) = *first[who].get_or_insert((packet.timestamp, now));
                        let (since, passed) =
                            (packet.timestamp.wrapping_sub(at), now.since(began).as_millis() * 8);
                        let ahead = i64::from(since) - passed as i64;
                        assert!(ahead.abs() <= 160, "voice keeps its time beside keys: {ahead}");
                    } else if packet.marker {
                        keys[who].push(char::from(b'0' + packet.payload[0]));
                    }
                }
            }
            assert!(packets.iter().all(|packets| *packets <= 2), "{n}: {packets:?}");
        }
        (voice, keys)
    }

    #[test]
    fn sig_22_who_presses_without_pause_does_not_silence_the_two_others() {
        let (voice, keys) = typed(500, 1);
        assert!(voice[1] > 250 && voice[2] > 250, "more than half of ten seconds: {voice:?}");
        assert!(keys[1].len() > 45 && keys[1] == keys[2], "{keys:?}");
        assert!(voice[0] == 500 && keys[0].is_empty(), "himself not at all: {voice:?}");
    }

    #[test]
    fn sig_22_quick_typing_reaches_the_two_others_whole_and_in_order() {
        for every in [4, 5, 8] {
            let (voice, keys) = typed(19 * every, every);
            assert_eq!(keys, ["", "0123456789012345678", "0123456789012345678"].map(str::to_owned));
            assert!(voice[1] > 0 && voice[2] > 0, "{voice:?}");
        }
    }

    #[test]
    fn nonsense_seats_nobody() {
        let mut relay = relay();
        for seats in [[SEATS[0], SEATS[0], SEATS[1]], [SEATS[0], SEATS[1], Channel(3)]] {
            relay.handle_command(Command::Confer { call: CALL, seats }, START);
            assert!(relay.tables.is_empty());
        }
        let Verdict::Take { forward, .. } = says(&mut relay, 0, 0) else { panic!("dropped") };
        assert!(forward.is_some(), "the two are still joined");
    }

    #[test]
    fn sig_20_what_is_mixed_is_encrypted_where_the_leg_is() {
        let keys = Keys { ours: MasterKey([7; 30]), theirs: MasterKey([9; 30]) };
        let mut relay = relay();
        let stream = Stream { srtp: Some(keys), ..stream(2) };
        relay.handle_command(Command::Change { channel: SEATS[2], stream }, START);
        confer(&mut relay);
        for who in 0..2 {
            says(&mut relay, who, 0);
        }
        let mut frame = [0; FRAME_BYTES];
        while let Some(spoken) = relay.poll_packet(START, &mut frame) {
            let mut out = [0; FRAME_BYTES + TAG];
            out[..FRAME_BYTES].copy_from_slice(&frame);
            let length = relay.close_packet(spoken.channel, &mut out, FRAME_BYTES, START).unwrap();
            let secret = spoken.channel == SEATS[2];
            assert_eq!(length, FRAME_BYTES + if secret { TAG } else { 0 });
            if secret {
                let theirs = Keys { ours: keys.theirs, theirs: keys.ours };
                assert_eq!(Guard::new(theirs).open(&mut out[..length]), Ok(FRAME_BYTES));
            }
        }
    }
}
