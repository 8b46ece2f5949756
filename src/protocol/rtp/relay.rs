//! Passes packets between parties, speaks prompts, hears keys, counts. Touches no socket: its owner receives, sends
//! and tapes what it is told. Allocates nothing per packet.

use super::loss::Loss;
use super::packet::{self, Packet};
use super::source::{FRAME_BYTES, Source, Turn};
use super::telephone_event::Keys;
use super::{Channel, Command, Counts, Event, Party, Prompt, Stream, g711};
use crate::protocol::now::{Deadline, Mono, earlier};
use crate::protocol::random::Random;
use std::collections::VecDeque;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;
use uuid::Uuid;

/// A party of whom nothing came for so long is reported as quiet.
const QUIET: Duration = Duration::from_secs(5);
const LOOK: &str = "somebody may have become quiet";

/// **Handle one thing, drain `poll_packet` and `poll_event`, then wait for the next input or `deadline`.**
pub struct Relay {
    slots: Vec<Slot>,
    prompts: Vec<Arc<[i16]>>,
    /// Channels that wait for a moment: a prompt plays, or a key's end may be lost.
    waiting: Vec<Channel>,
    /// When somebody may have become quiet; none while nobody is on who was heard of late.
    look: Option<Mono>,
    events: VecDeque<Event>,
    random: Random,
}

struct Slot {
    lent: Option<Lent>,
}

/// What a channel is while it is lent to a party.
struct Lent {
    call: Uuid,
    party: Party,
    stream: Stream,
    other: Option<Channel>,
    keys: Keys,
    loss: Loss,
    source: Source,
    counts: Counts,
    /// When the last packet came.
    heard: Mono,
    quiet: bool,
}

/// Whose a packet is, and how it is to be read: what the tape needs to know of it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Tag {
    pub call: Uuid,
    pub party: Party,
    pub stream: Stream,
}

/// What is to be done with a packet.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Verdict {
    /// Not of this call; counted.
    Drop,
    /// Tape it as it came, then send it on where somebody listens.
    Take { tag: Tag, forward: Option<Forward> },
}

/// Where a packet goes on to, and what the other leg needs changed in it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Forward {
    pub channel: Channel,
    pub to: SocketAddr,
    payload_type: u8,
    transcoding: Option<&'static [u8; 256]>,
}

impl Forward {
    /// Changes the packet in place.
    pub fn apply(&self, packet: &mut [u8]) {
        packet::set_payload_type(packet, self.payload_type);
        if let Some(table) = self.transcoding {
            for byte in packet::payload_mut(packet) {
                *byte = table[usize::from(*byte)];
            }
        }
    }
}

/// A packet of a prompt: to be sent from `channel` to `to`, and taped; neither where the party holds us.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Spoken {
    pub channel: Channel,
    pub to: Option<SocketAddr>,
    pub tag: Tag,
}

impl Relay {
    pub fn new(channels: u16, prompts: Vec<Arc<[i16]>>, random: Random) -> Self {
        let slots = (0..channels).map(|_| Slot { lent: None }).collect();
        Self {
            slots,
            prompts,
            waiting: Vec::with_capacity(usize::from(channels)),
            look: None,
            events: VecDeque::with_capacity(usize::from(channels) * 4),
            random,
        }
    }

    /// Carries out a command; one that names a channel that is not open has no effect. Gives the call whose tape is
    /// finished, where the command says so.
    pub fn handle_command(&mut self, command: Command, now: Mono) -> Option<Uuid> {
        match command {
            Command::Open { channel, call, party, stream } => {
                self.open(channel, call, party, stream, now)
            }
            Command::Change { channel, stream } => self.change(channel, stream),
            Command::Join { a, b } => self.join(a, b),
            Command::Play { channel, prompt, repeat } => self.play(channel, prompt, repeat, now),
            Command::Stop { channel } => {
                if let Some(lent) = self.lent(channel) {
                    lent.source.stop();
                }
            }
            Command::Close { channel } => self.close(channel),
            Command::Finish { call } => return Some(call),
        }
        None
    }

    /// Judges a datagram that arrived on a channel.
    pub fn handle_packet(
        &mut self,
        channel: Channel,
        from: SocketAddr,
        bytes: &[u8],
        now: Mono,
    ) -> Verdict {
        let Some(lent) = self.lent(channel) else { return Verdict::Drop };
        let packet = packet::parse(bytes).filter(|packet| lent.expects(from, packet));
        let Some(packet) = packet else {
            lent.counts.strangers += 1;
            return Verdict::Drop;
        };
        let first = lent.counts.received == 0;
        let again = std::mem::take(&mut lent.quiet);
        lent.heard = now;
        lent.counts.received += 1;
        lent.loss.handle_packet(packet.ssrc, packet.sequence);
        let is_key = lent.stream.event_pt == Some(packet.payload_type);
        let (tag, other, from_stream) = (lent.tag(), lent.other, lent.stream);
        if again {
            self.look.get_or_insert(now + QUIET);
        }
        if first || again {
            self.events.push_back(Event::Heard { channel });
        }
        if is_key {
            self.hear_key(channel, &packet, now);
        }
        let forward = other.and_then(|other| self.forward(other, &from_stream, is_key));
        Verdict::Take { tag, forward }
    }

    /// Counts a packet that was sent to the channel's party.
    pub fn sent(&mut self, channel: Channel) {
        if let Some(lent) = self.lent(channel) {
            lent.counts.sent += 1;
        }
    }

    /// Counts a packet that the tape's ring had no room for.
    pub fn untaped(&mut self, channel: Channel) {
        if let Some(lent) = self.lent(channel) {
            lent.counts.untaped += 1;
        }
    }

    /// Ends keys whose end packets are lost, and looks who has become quiet.
    pub fn handle_timeout(&mut self, now: Mono) {
        if self.look.is_some_and(|at| at <= now) {
            self.look = self.look_for_quiet(now);
        }
        for index in 0..self.waiting.len() {
            let channel = self.waiting[index];
            if let Some(lent) = self.lent(channel) {
                lent.keys.handle_timeout(now);
            }
            self.report_keys(channel);
        }
    }

    /// The next packet of a prompt that is due; call until there is none.
    pub fn poll_packet(&mut self, now: Mono, out: &mut [u8; FRAME_BYTES]) -> Option<Spoken> {
        let mut index = 0;
        while let Some(&channel) = self.waiting.get(index) {
            let Some(lent) =
                self.slots.get_mut(usize::from(channel.0)).and_then(|slot| slot.lent.as_mut())
            else {
                self.waiting.swap_remove(index);
                continue;
            };
            match lent.source.turn(&lent.stream, now, out) {
                Turn::Packet => {
                    let to = lent.reachable().then_some(lent.stream.remote);
                    return Some(Spoken {
                        channel,
                        to,
                        tag: Tag { party: Party::Prompt, ..lent.tag() },
                    });
                }
                Turn::Played(prompt) => self.events.push_back(Event::Played { channel, prompt }),
                Turn::Nothing if lent.due().is_none() => {
                    self.waiting.swap_remove(index);
                }
                Turn::Nothing => index += 1,
            }
        }
        None
    }

    pub fn poll_event(&mut self) -> Option<Event> {
        self.events.pop_front()
    }

    pub fn deadline(&self) -> Option<Deadline> {
        let slots =
            self.waiting.iter().filter_map(|channel| self.slots.get(usize::from(channel.0)));
        let look = self.look.map(|at| (at, LOOK));
        slots
            .filter_map(|slot| slot.lent.as_ref()?.due())
            .fold(look, |first, due| earlier(first, Some(due)))
    }

    /// Reports who has become quiet; when the next one may.
    fn look_for_quiet(&mut self, now: Mono) -> Option<Mono> {
        let mut next: Option<Mono> = None;
        for (index, slot) in self.slots.iter_mut().enumerate() {
            let Some(lent) = slot.lent.as_mut().filter(|lent| !lent.quiet) else { continue };
            let at = lent.heard + QUIET;
            if at <= now {
                lent.quiet = true;
                let channel = Channel(index as u16);
                self.events.push_back(Event::Quiet { channel, since: lent.heard });
            } else {
                next = Some(next.map_or(at, |next| next.min(at)));
            }
        }
        next
    }

    fn open(&mut self, channel: Channel, call: Uuid, party: Party, stream: Stream, now: Mono) {
        self.close(channel);
        self.look.get_or_insert(now + QUIET);
        let source = Source::new(&mut self.random);
        let Some(slot) = self.slots.get_mut(usize::from(channel.0)) else { return };
        slot.lent = Some(Lent {
            call,
            party,
            stream,
            other: None,
            keys: Keys::default(),
            loss: Loss::default(),
            source,
            counts: Counts::default(),
            heard: now,
            quiet: false,
        });
    }

    /// A remote of `0.0.0.0` is a hold in the old manner (RFC 3264 §8.4): what the party still sends comes from where
    /// it was.
    fn change(&mut self, channel: Channel, stream: Stream) {
        let Some(lent) = self.lent(channel) else { return };
        let remote =
            if stream.remote.ip().is_unspecified() { lent.stream.remote } else { stream.remote };
        lent.stream = Stream { remote, ..stream };
    }

    fn join(&mut self, a: Channel, b: Channel) {
        if a == b || self.lent(a).is_none() || self.lent(b).is_none() {
            return;
        }
        self.part(a);
        self.part(b);
        for (one, other) in [(a, b), (b, a)] {
            if let Some(lent) = self.lent(one) {
                lent.other = Some(other);
            }
        }
    }

    fn part(&mut self, channel: Channel) {
        let other = self.lent(channel).and_then(|lent| lent.other.take());
        if let Some(lent) = other.and_then(|other| self.lent(other)) {
            lent.other = None;
        }
    }

    fn play(&mut self, channel: Channel, prompt: Prompt, repeat: bool, now: Mono) {
        let Some(samples) = self.prompts.get(usize::from(prompt.0)).cloned() else { return };
        let Some(lent) = self.lent(channel) else { return };
        lent.source.play(prompt, samples, repeat, now);
        self.wait(channel);
    }

    fn close(&mut self, channel: Channel) {
        self.part(channel);
        let Some(mut lent) =
            self.slots.get_mut(usize::from(channel.0)).and_then(|slot| slot.lent.take())
        else {
            return;
        };
        lent.keys.handle_timeout(Mono(u64::MAX));
        while let Some(digit) = lent.keys.poll() {
            self.events.push_back(Event::Digit { channel, digit });
        }
        let counts = Counts { lost: lent.loss.lost(), ..lent.counts };
        self.waiting.retain(|waiting| *waiting != channel);
        self.events.push_back(Event::Closed { channel, counts });
    }

    fn hear_key(&mut self, channel: Channel, packet: &Packet<'_>, now: Mono) {
        if let Some(lent) = self.lent(channel) {
            lent.keys.handle_packet(packet, now);
            if lent.keys.deadline().is_some() {
                self.wait(channel);
            }
        }
        self.report_keys(channel);
    }

    fn report_keys(&mut self, channel: Channel) {
        while let Some(digit) = self.lent(channel).and_then(|lent| lent.keys.poll()) {
            self.events.push_back(Event::Digit { channel, digit });
        }
    }

    /// A party that hears a prompt does not hear the other one at the same time.
    fn forward(&mut self, channel: Channel, from: &Stream, is_key: bool) -> Option<Forward> {
        let lent = self.lent(channel).filter(|lent| lent.reachable() && !lent.source.playing())?;
        let to = lent.stream;
        let payload_type = if is_key { to.event_pt? } else { to.audio_pt };
        let transcoding = if is_key { None } else { g711::transcoding(from.codec, to.codec) };
        Some(Forward { channel, to: to.remote, payload_type, transcoding })
    }

    fn wait(&mut self, channel: Channel) {
        if !self.waiting.contains(&channel) {
            self.waiting.push(channel);
        }
    }

    fn lent(&mut self, channel: Channel) -> Option<&mut Lent> {
        self.slots.get_mut(usize::from(channel.0))?.lent.as_mut()
    }
}

impl Lent {
    fn tag(&self) -> Tag {
        Tag { call: self.call, party: self.party, stream: self.stream }
    }

    fn expects(&self, from: SocketAddr, packet: &Packet<'_>) -> bool {
        let stream = &self.stream;
        from == stream.remote
            && (packet.payload_type == stream.audio_pt
                || Some(packet.payload_type) == stream.event_pt)
    }

    fn reachable(&self) -> bool {
        self.stream.send
            && !self.stream.remote.ip().is_unspecified()
            && self.stream.remote.port() != 0
    }

    fn due(&self) -> Option<Deadline> {
        let prompt = self.source.due().map(|due| (due, "next packet of a prompt"));
        earlier(prompt, self.keys.deadline())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::protocol::rtp::Codec;
    use crate::protocol::rtp::source::FRAME;

    const START: Mono = Mono(9_000_000_000);
    const A: Channel = Channel(0);
    const B: Channel = Channel(1);
    const CALL: Uuid = Uuid::from_u128(42);

    fn stream(port: u16) -> Stream {
        let remote = SocketAddr::from(([192, 0, 2, 1], port));
        Stream { remote, codec: Codec::Pcma, audio_pt: 8, event_pt: Some(101), send: true }
    }

    fn relay() -> Relay {
        let prompts = vec![Arc::from(vec![1000; 320]), Arc::from(vec![-1000; 160])];
        Relay::new(4, prompts, Random::from_seed([1; 32]))
    }

    fn open(relay: &mut Relay, channel: Channel, party: Party, stream: Stream) {
        relay.handle_command(Command::Open { channel, call: CALL, party, stream }, START);
    }

    fn bridge(caller: Stream, officer: Stream) -> Relay {
        let mut relay = relay();
        open(&mut relay, A, Party::Caller, caller);
        open(&mut relay, B, Party::Officer, officer);
        relay.handle_command(Command::Join { a: A, b: B }, START);
        relay
    }

    fn bytes(payload_type: u8, sequence: u16, payload: &[u8]) -> Vec<u8> {
        let packet =
            Packet { payload_type, marker: true, sequence, timestamp: 160, ssrc: 9, payload };
        let mut out = [0; 400];
        let length = packet::build(&packet, &mut out).unwrap();
        out[..length].to_vec()
    }

    fn events(relay: &mut Relay) -> Vec<Event> {
        std::iter::from_fn(|| relay.poll_event()).collect()
    }

    /// When a prompt or a key is due, whoever may have become quiet.
    fn busy(relay: &Relay) -> Option<Deadline> {
        relay.deadline().filter(|(_, why)| *why != LOOK)
    }

    fn closed(relay: &mut Relay, channel: Channel) -> Counts {
        events(relay);
        relay.handle_command(Command::Close { channel }, START);
        let [Event::Closed { counts, .. }] = events(relay)[..] else { panic!("not closed") };
        counts
    }

    fn forwarded(verdict: Verdict) -> Option<Forward> {
        match verdict {
            Verdict::Drop => panic!("dropped"),
            Verdict::Take { forward, .. } => forward,
        }
    }

    #[test]
    fn a_packet_goes_to_the_other_party_as_it_came() {
        let mut relay = bridge(stream(4000), stream(5000));
        let packet = bytes(8, 7, &[1; 160]);
        let verdict = relay.handle_packet(A, stream(4000).remote, &packet, START);
        let Verdict::Take { tag, forward: Some(forward) } = verdict else { panic!("{verdict:?}") };
        assert_eq!((tag.call, tag.party), (CALL, Party::Caller));
        assert_eq!((forward.channel, forward.to), (B, stream(5000).remote));
        let mut sent = packet.clone();
        forward.apply(&mut sent);
        assert_eq!(sent, packet);
        relay.sent(B);
        assert_eq!(events(&mut relay), [Event::Heard { channel: A }]);
        assert_eq!(closed(&mut relay, B).sent, 1);
    }

    #[test]
    fn payload_types_and_codecs_are_those_of_the_other_leg() {
        let officer =
            Stream { codec: Codec::Pcmu, audio_pt: 0, event_pt: Some(96), ..stream(5000) };
        let mut relay = bridge(stream(4000), officer);
        let mut audio = bytes(8, 7, &[0xd5, 0xaa]);
        forwarded(relay.handle_packet(A, stream(4000).remote, &audio, START))
            .unwrap()
            .apply(&mut audio);
        let read = packet::parse(&audio).unwrap();
        assert_eq!((read.payload_type, read.marker, read.sequence, read.ssrc), (0, true, 7, 9));
        assert_eq!(
            g711::decode(Codec::Pcmu, read.payload[1]),
            32124,
            "the loudest stays the loudest"
        );
        let mut key = bytes(101, 8, &[1, 0x8a, 0, 160]);
        forwarded(relay.handle_packet(A, stream(4000).remote, &key, START))
            .unwrap()
            .apply(&mut key);
        let read = packet::parse(&key).unwrap();
        assert_eq!((read.payload_type, read.payload), (96, &[1, 0x8a, 0, 160][..]));
    }

    #[test]
    fn strangers_are_dropped_and_counted() {
        let mut relay = bridge(stream(4000), stream(5000));
        let good = bytes(8, 1, &[0; 160]);
        let (caller, elsewhere) = (stream(4000).remote, stream(4001).remote);
        for (from, packet) in [
            (elsewhere, &good[..]),
            (caller, &bytes(18, 1, &[0; 20])),
            (caller, b"GET /"),
            (caller, b""),
        ] {
            assert_eq!(relay.handle_packet(A, from, packet, START), Verdict::Drop);
        }
        assert_eq!(
            relay.handle_packet(Channel(3), caller, &good, START),
            Verdict::Drop,
            "not open"
        );
        assert_eq!(
            relay.handle_packet(Channel(900), caller, &good, START),
            Verdict::Drop,
            "no such channel"
        );
        assert_eq!(events(&mut relay), []);
        let counts = closed(&mut relay, A);
        assert_eq!((counts.strangers, counts.received), (4, 0));
    }

    #[test]
    fn a_party_that_does_not_want_to_hear_is_not_sent_to() {
        let mut relay = bridge(stream(4000), Stream { send: false, ..stream(5000) });
        assert_eq!(
            forwarded(relay.handle_packet(A, stream(4000).remote, &bytes(8, 1, &[0; 160]), START)),
            None
        );
        relay.handle_command(Command::Change { channel: B, stream: stream(6000) }, START);
        let forward =
            forwarded(relay.handle_packet(A, stream(4000).remote, &bytes(8, 2, &[0; 160]), START));
        assert_eq!(forward.unwrap().to, stream(6000).remote);
        assert_eq!(
            relay.handle_packet(B, stream(5000).remote, &bytes(8, 1, &[0; 160]), START),
            Verdict::Drop
        );
    }

    #[test]
    fn a_hold_in_the_old_manner_still_hears_what_comes() {
        let mut relay = bridge(stream(4000), stream(5000));
        let hold = Stream { remote: "0.0.0.0:5000".parse().unwrap(), send: false, ..stream(5000) };
        relay.handle_command(Command::Change { channel: B, stream: hold }, START);
        let music = relay.handle_packet(B, stream(5000).remote, &bytes(8, 1, &[0; 160]), START);
        assert!(forwarded(music).is_some());
    }

    #[test]
    fn keys_are_heard_once_and_passed_on() {
        let mut relay = bridge(stream(4000), stream(5000));
        for (n, flags) in [0x0a, 0x8a, 0x8a, 0x8a].into_iter().enumerate() {
            let key = bytes(101, u16::try_from(n).unwrap(), &[9, flags, 0, 160]);
            assert!(forwarded(relay.handle_packet(B, stream(5000).remote, &key, START)).is_some());
        }
        assert_eq!(
            events(&mut relay),
            [Event::Heard { channel: B }, Event::Digit { channel: B, digit: '9' }]
        );
        let mut deaf = bridge(Stream { event_pt: None, ..stream(4000) }, stream(5000));
        let key = bytes(101, 1, &[9, 0x8a, 0, 160]);
        assert_eq!(forwarded(deaf.handle_packet(B, stream(5000).remote, &key, START)), None);
    }

    #[test]
    fn a_key_without_its_end_is_heard_by_the_deadline() {
        let mut relay = bridge(stream(4000), stream(5000));
        relay.handle_packet(B, stream(5000).remote, &bytes(101, 1, &[11, 0x0a, 0, 160]), START);
        let (due, _) = relay.deadline().unwrap();
        relay.handle_timeout(due);
        assert_eq!(events(&mut relay)[1..], [Event::Digit { channel: B, digit: '#' }]);
        assert_eq!(relay.poll_packet(due, &mut [0; FRAME_BYTES]), None);
        assert_eq!(busy(&relay), None);
    }

    #[test]
    fn a_key_pressed_at_the_very_end_is_not_lost() {
        let mut relay = bridge(stream(4000), stream(5000));
        relay.handle_packet(B, stream(5000).remote, &bytes(101, 1, &[11, 0x0a, 0, 160]), START);
        events(&mut relay);
        relay.handle_command(Command::Close { channel: B }, START);
        assert_eq!(events(&mut relay)[0], Event::Digit { channel: B, digit: '#' });
    }

    #[test]
    fn a_prompt_is_spoken_taped_and_reported() {
        let mut relay = relay();
        open(&mut relay, A, Party::Leader, stream(4000));
        relay.handle_command(Command::Play { channel: A, prompt: Prompt(0), repeat: false }, START);
        let mut out = [0; FRAME_BYTES];
        let mut sent = 0;
        while let Some((due, _)) = busy(&relay) {
            while let Some(spoken) = relay.poll_packet(due, &mut out) {
                assert_eq!(spoken.to, Some(stream(4000).remote));
                assert_eq!((spoken.tag.party, spoken.tag.call), (Party::Prompt, CALL));
                relay.sent(A);
                sent += 1;
            }
        }
        assert_eq!(sent, 2);
        assert_eq!(events(&mut relay), [Event::Played { channel: A, prompt: Prompt(0) }]);
        assert_eq!(closed(&mut relay, A).sent, 2);
    }

    #[test]
    fn who_hears_a_prompt_does_not_hear_the_other_party() {
        let mut relay = bridge(stream(4000), stream(5000));
        relay.handle_command(Command::Play { channel: B, prompt: Prompt(0), repeat: true }, START);
        let packet = bytes(8, 1, &[0; 160]);
        assert_eq!(forwarded(relay.handle_packet(A, stream(4000).remote, &packet, START)), None);
        relay.handle_command(Command::Stop { channel: B }, START);
        assert!(forwarded(relay.handle_packet(A, stream(4000).remote, &packet, START)).is_some());
        assert_eq!(relay.poll_packet(START + FRAME, &mut [0; FRAME_BYTES]), None);
        assert_eq!(busy(&relay), None);
    }

    #[test]
    fn two_prompts_at_once_are_both_paced() {
        let mut relay = bridge(stream(4000), stream(5000));
        relay.handle_command(Command::Play { channel: A, prompt: Prompt(0), repeat: false }, START);
        relay.handle_command(
            Command::Play { channel: B, prompt: Prompt(1), repeat: false },
            START + FRAME / 2,
        );
        let (mut out, mut now, mut order) = ([0; FRAME_BYTES], START, Vec::new());
        while now <= START + Duration::from_millis(200) {
            while let Some(spoken) = relay.poll_packet(now, &mut out) {
                order.push((now.since(START).as_millis(), spoken.channel));
            }
            now = now + Duration::from_millis(1);
        }
        assert_eq!(order, [(0, A), (10, B), (20, A)]);
    }

    #[test]
    fn closing_one_party_leaves_the_other_alone() {
        let mut relay = bridge(stream(4000), stream(5000));
        closed(&mut relay, A);
        assert_eq!(
            forwarded(relay.handle_packet(B, stream(5000).remote, &bytes(8, 1, &[0; 160]), START)),
            None
        );
        open(&mut relay, A, Party::Caller, stream(7000));
        assert_eq!(
            forwarded(relay.handle_packet(B, stream(5000).remote, &bytes(8, 2, &[0; 160]), START)),
            None
        );
    }

    #[test]
    fn loss_is_counted_over_all_a_party_sends() {
        let mut relay = bridge(stream(4000), stream(5000));
        for sequence in [65_534, 65_535, 2, 3] {
            relay.handle_packet(A, stream(4000).remote, &bytes(8, sequence, &[0; 160]), START);
        }
        relay.untaped(A);
        let counts = closed(&mut relay, A);
        assert_eq!((counts.received, counts.lost, counts.untaped), (4, 2, 1));
    }

    #[test]
    fn commands_for_channels_that_are_not_open_have_no_effect() {
        let mut relay = relay();
        for channel in [A, Channel(77)] {
            relay.handle_command(Command::Change { channel, stream: stream(1) }, START);
            relay.handle_command(Command::Join { a: channel, b: B }, START);
            relay.handle_command(Command::Play { channel, prompt: Prompt(0), repeat: true }, START);
            relay.handle_command(Command::Stop { channel }, START);
            relay.handle_command(Command::Close { channel }, START);
        }
        open(&mut relay, A, Party::Leader, stream(4000));
        relay.handle_command(Command::Play { channel: A, prompt: Prompt(99), repeat: true }, START);
        assert_eq!(busy(&relay), None);
        assert_eq!(events(&mut relay), []);
        assert_eq!(relay.handle_command(Command::Finish { call: CALL }, START), Some(CALL));
    }

    #[test]
    fn sig_23_silence_is_reported_once_and_so_is_its_end() {
        let mut relay = bridge(stream(4000), stream(5000));
        let after = |seconds| START + Duration::from_secs(seconds);
        let speak = |relay: &mut Relay, at| {
            relay.handle_packet(A, stream(4000).remote, &bytes(8, 7, &[1; 160]), at);
        };
        speak(&mut relay, after(3));
        events(&mut relay);
        assert_eq!(relay.deadline().unwrap().0, after(5));
        relay.handle_timeout(after(5));
        assert_eq!(events(&mut relay), [Event::Quiet { channel: B, since: START }]);
        assert_eq!(relay.deadline().unwrap().0, after(8));
        relay.handle_timeout(after(8));
        assert_eq!(events(&mut relay), [Event::Quiet { channel: A, since: after(3) }]);
        assert_eq!(relay.deadline(), None, "nobody is there to become quiet");
        speak(&mut relay, after(20));
        assert_eq!(events(&mut relay), [Event::Heard { channel: A }]);
        assert_eq!(relay.deadline().unwrap().0, after(25));
    }
}
