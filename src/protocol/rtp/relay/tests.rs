//! What the relay lets in, passes on, says and reports.

mod codecs;
mod elsewhere;
mod secrecy;
mod truth;

use super::*;
use crate::protocol::rtp::packet::{self, Packet};
use crate::protocol::rtp::source::FRAME;
use crate::protocol::rtp::srtp::{Guard, Keys, MasterKey, TAG};
use crate::protocol::rtp::{Command, Counts, Prompt, g711, g722};

const START: Mono = Mono(9_000_000_000);
const A: Channel = Channel(0);
const B: Channel = Channel(1);
const CALL: Uuid = Uuid::from_u128(42);

fn stream(port: u16) -> Stream {
    Stream::a_law(SocketAddr::from(([192, 0, 2, 1], port)))
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
    let packet = Packet { payload_type, marker: true, sequence, timestamp: 160, ssrc: 9, payload };
    let mut out = [0; 400];
    let length = packet::build(&packet, &mut out).unwrap();
    out[..length].to_vec()
}

/// But for what was counted meanwhile.
fn events(relay: &mut Relay) -> Vec<Event> {
    let events = std::iter::from_fn(|| relay.poll_event());
    events.filter(|event| !matches!(event, Event::Measured { .. } | Event::Marked { .. })).collect()
}

/// When a prompt or a key is due, whoever may have become quiet and whoever is to be told something.
fn busy(relay: &Relay) -> Option<Deadline> {
    let due = relay.slots.iter().filter_map(|slot| slot.lent.as_ref()?.due());
    due.fold(None, |first, due| earlier(first, Some(due)))
}

fn closed(relay: &mut Relay, channel: Channel) -> Counts {
    events(relay);
    relay.handle_command(Command::Close { channel }, START);
    let [Event::Closed { counts, .. }] = events(relay)[..] else { panic!("not closed") };
    counts
}

fn hear(relay: &mut Relay, channel: Channel, from: SocketAddr, packet: &[u8]) -> Verdict {
    relay.handle_packet(channel, from, &mut packet.to_vec(), START)
}

/// What the other party gets of a packet.
fn passed_on(
    relay: &mut Relay,
    channel: Channel,
    from: SocketAddr,
    packet: &[u8],
) -> Option<Vec<u8>> {
    let mut buffer = packet.to_vec();
    let Verdict::Take { length, forward, .. } =
        relay.handle_packet(channel, from, &mut buffer, START)
    else {
        panic!("dropped");
    };
    let forward = forward?;
    buffer.truncate(length);
    buffer.resize((length + TAG).max(400), 0);
    let length = relay.carry(&forward, &mut buffer, length, START)?;
    buffer.truncate(length);
    Some(buffer)
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
    let verdict = hear(&mut relay, A, stream(4000).remote, &packet);
    let Verdict::Take { tag, forward: Some(forward), .. } = verdict else { panic!("{verdict:?}") };
    assert_eq!((tag.call, tag.party), (CALL, Party::Caller));
    assert_eq!((forward.channel, forward.to), (B, stream(5000).remote));
    assert_eq!(passed_on(&mut relay, A, stream(4000).remote, &packet), Some(packet));
    relay.sent(B);
    assert_eq!(events(&mut relay), [Event::Heard { channel: A }]);
    assert_eq!(closed(&mut relay, B).sent, 1);
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
        assert_eq!(hear(&mut relay, A, from, packet), Verdict::Drop);
    }
    assert_eq!(hear(&mut relay, Channel(3), caller, &good), Verdict::Drop, "not open");
    assert_eq!(hear(&mut relay, Channel(900), caller, &good), Verdict::Drop, "no such channel");
    assert_eq!(events(&mut relay), []);
    let counts = closed(&mut relay, A);
    assert_eq!((counts.strangers, counts.received), (4, 0));
}

#[test]
fn rec_t4_comfort_noise_is_a_sign_of_life_and_nothing_to_hear() {
    let mut relay = bridge(stream(4000), stream(5000));
    let caller = stream(4000).remote;
    hear(&mut relay, A, caller, &bytes(8, 1, &[0; 160]));
    events(&mut relay);
    for n in 0..20 {
        let now = START + Duration::from_secs(u64::from(n));
        relay.handle_timeout(now);
        let noise = &mut bytes(13, 2 + n, &[60])[..];
        let verdict = relay.handle_packet(A, caller, noise, now);
        let Verdict::Take { tag, length: 13, forward: None } = verdict else {
            panic!("{verdict:?}")
        };
        assert_eq!((tag.codec, tag.audio_pt), (Codec::Pcma, 8), "to the tape it is no audio");
    }
    let quiet = |event: &Event| matches!(event, Event::Quiet { channel: A, .. });
    assert!(!events(&mut relay).iter().any(quiet), "it is there");
    let speech = &mut bytes(8, 22, &[0; 160])[..];
    let verdict = relay.handle_packet(A, caller, speech, START + Duration::from_secs(20));
    assert!(forwarded(verdict).is_some());
    let counts = closed(&mut relay, A);
    assert_eq!((counts.received, counts.lost, counts.strangers), (22, 0, 0));
}

#[test]
fn a_party_that_does_not_want_to_hear_is_not_sent_to() {
    let mut relay = bridge(stream(4000), Stream { send: false, ..stream(5000) });
    assert_eq!(forwarded(hear(&mut relay, A, stream(4000).remote, &bytes(8, 1, &[0; 160]))), None);
    relay.handle_command(Command::Change { channel: B, stream: stream(6000) }, START);
    let forward = forwarded(hear(&mut relay, A, stream(4000).remote, &bytes(8, 2, &[0; 160])));
    assert_eq!(forward.unwrap().to, stream(6000).remote);
    assert_eq!(hear(&mut relay, B, stream(5000).remote, &bytes(8, 1, &[0; 160])), Verdict::Drop);
}

#[test]
fn a_hold_in_the_old_manner_still_hears_what_comes() {
    let mut relay = bridge(stream(4000), stream(5000));
    let hold = Stream { remote: "0.0.0.0:5000".parse().unwrap(), send: false, ..stream(5000) };
    relay.handle_command(Command::Change { channel: B, stream: hold }, START);
    let music = hear(&mut relay, B, stream(5000).remote, &bytes(8, 1, &[0; 160]));
    assert!(forwarded(music).is_some());
}

#[test]
fn keys_are_heard_once_and_passed_on() {
    let mut relay = bridge(stream(4000), stream(5000));
    for (n, flags) in [0x0a, 0x8a, 0x8a, 0x8a].into_iter().enumerate() {
        let key = bytes(101, u16::try_from(n).unwrap(), &[9, flags, 0, 160]);
        assert!(forwarded(hear(&mut relay, B, stream(5000).remote, &key)).is_some());
    }
    assert_eq!(
        events(&mut relay),
        [Event::Heard { channel: B }, Event::Digit { channel: B, digit: '9' }]
    );
    let mut deaf = bridge(Stream { event_pt: None, ..stream(4000) }, stream(5000));
    let key = bytes(101, 1, &[9, 0x8a, 0, 160]);
    assert_eq!(forwarded(hear(&mut deaf, B, stream(5000).remote, &key)), None);
}

#[test]
fn a_key_without_its_end_is_heard_by_the_deadline() {
    let mut relay = bridge(stream(4000), stream(5000));
    hear(&mut relay, B, stream(5000).remote, &bytes(101, 1, &[11, 0x0a, 0, 160]));
    let (due, _) = relay.deadline().unwrap();
    relay.handle_timeout(due);
    assert_eq!(events(&mut relay)[1..], [Event::Digit { channel: B, digit: '#' }]);
    assert_eq!(relay.poll_packet(due, &mut [0; FRAME_BYTES]), None);
    assert_eq!(busy(&relay), None);
}

#[test]
fn a_key_pressed_at_the_very_end_is_not_lost() {
    let mut relay = bridge(stream(4000), stream(5000));
    hear(&mut relay, B, stream(5000).remote, &bytes(101, 1, &[11, 0x0a, 0, 160]));
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
fn sig_34_where_a_stream_stands_is_told_and_another_relay_goes_on_with_it() {
    let marks = |relay: &mut Relay| -> Vec<_> {
        let events = std::iter::from_fn(|| relay.poll_event());
        events
            .filter_map(|event| match event {
                Event::Marked { channel: B, mark } => Some(mark),
                _ => None,
            })
            .collect()
    };
    let play = Command::Play { channel: B, prompt: Prompt(0), repeat: true };
    let mut relay = bridge(stream(4000), stream(5000));
    relay.handle_command(play, START);
    let mut out = [0; FRAME_BYTES];
    let spoken = relay.poll_packet(START, &mut out).expect("the prompt");
    relay.close_packet(spoken.channel, &mut out, FRAME_BYTES, START).expect("sent");
    let prompt = packet::numbers(&out).unwrap();
    relay.handle_command(Command::Stop { channel: B }, START);
    let voice = |relay: &mut Relay, n: u16| {
        let sent = passed_on(relay, A, stream(4000).remote, &bytes(8, n, &[1; 160]));
        packet::numbers(&sent.expect("it is passed on")).unwrap()
    };
    let first = voice(&mut relay, 700);
    let told = marks(&mut relay);
    assert_eq!(told.len(), 2, "the prompt's first packet, and the change to the voice");
    let mut next = bridge(stream(4000), stream(5000));
    next.handle_command(Command::Resume { channel: B, mark: told[1] }, START);
    let again = voice(&mut next, 701);
    assert_eq!((first.ssrc, again.ssrc), (prompt.ssrc, prompt.ssrc));
    assert_eq!(first.sequence, prompt.sequence.wrapping_add(1));
    assert_eq!(again.sequence, prompt.sequence.wrapping_add(2));
}

#[test]
fn sig_16_who_goes_over_to_another_call_is_taped_with_it() {
    let mut relay = bridge(stream(4000), stream(5000));
    let (call, party) = (Uuid::from_u128(77), Party::Officer);
    relay.handle_command(Command::PassOn { channel: A, call, party }, START);
    let verdict = hear(&mut relay, A, stream(4000).remote, &bytes(8, 7, &[1; 160]));
    let Verdict::Take { tag, .. } = verdict else { panic!("{verdict:?}") };
    assert_eq!((tag.call, tag.party), (call, party));
}

#[test]
fn who_hears_a_prompt_does_not_hear_the_other_party() {
    let mut relay = bridge(stream(4000), stream(5000));
    relay.handle_command(Command::Play { channel: B, prompt: Prompt(0), repeat: true }, START);
    let packet = bytes(8, 1, &[0; 160]);
    assert_eq!(forwarded(hear(&mut relay, A, stream(4000).remote, &packet)), None);
    relay.handle_command(Command::Stop { channel: B }, START);
    assert!(forwarded(hear(&mut relay, A, stream(4000).remote, &packet)).is_some());
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
    assert_eq!(forwarded(hear(&mut relay, B, stream(5000).remote, &bytes(8, 1, &[0; 160]))), None);
    open(&mut relay, A, Party::Caller, stream(7000));
    assert_eq!(forwarded(hear(&mut relay, B, stream(5000).remote, &bytes(8, 2, &[0; 160]))), None);
}

#[test]
fn loss_is_counted_over_all_a_party_sends() {
    let mut relay = bridge(stream(4000), stream(5000));
    for sequence in [65_534, 65_535, 2, 3] {
        hear(&mut relay, A, stream(4000).remote, &bytes(8, sequence, &[0; 160]));
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
fn rec_q_what_was_counted_is_reported_while_somebody_speaks_and_at_the_end() {
    let mut relay = bridge(stream(4000), stream(5000));
    let mut reports = vec![];
    for n in 0..1000u16 {
        let now = START + Duration::from_millis(20) * u32::from(n);
        relay.handle_timeout(now);
        if n < 600 && n % 100 != 50 {
            let packet = &mut bytes(8, n, &[1; 160]);
            relay.handle_packet(A, stream(4000).remote, packet, now);
        }
        while let Some(event) = relay.poll_event() {
            if let Event::Measured { channel, measured } = event {
                assert_eq!((channel, measured.codec), (A, Codec::Pcma));
                reports.push((now.since(START).as_secs(), measured.tally.lost));
            }
        }
    }
    let wanted = [(5, 2), (9, 5), (14, 6)];
    assert_eq!(reports, wanted, "each five seconds, and no more after the last");
    relay.handle_command(Command::Close { channel: A }, START);
    let Some(Event::Closed { measured, counts, .. }) = relay.poll_event() else { panic!() };
    let tally = measured.tally;
    assert_eq!((tally.expected, tally.received, tally.lost), (600, 594, 6));
    assert_eq!((counts.received, counts.lost), (594, 6));
}

#[test]
fn sig_23_silence_is_reported_once_and_so_is_its_end() {
    let mut relay = bridge(stream(4000), stream(5000));
    let after = |seconds| START + Duration::from_secs(seconds);
    let speak = |relay: &mut Relay, at| {
        relay.handle_packet(A, stream(4000).remote, &mut bytes(8, 7, &[1; 160]), at);
    };
    speak(&mut relay, after(3));
    events(&mut relay);
    let look = |relay: &Relay| relay.look;
    assert_eq!(look(&relay), Some(after(5)));
    relay.handle_timeout(after(5));
    assert_eq!(events(&mut relay), [Event::Quiet { channel: B, since: START }]);
    assert_eq!(look(&relay), Some(after(8)));
    relay.handle_timeout(after(8));
    assert_eq!(events(&mut relay), [Event::Quiet { channel: A, since: after(3) }]);
    assert_eq!(look(&relay), None, "nobody is there to become quiet");
    speak(&mut relay, after(20));
    assert_eq!(events(&mut relay), [Event::Heard { channel: A }]);
    assert_eq!(look(&relay), Some(after(25)));
    assert!(relay.deadline().unwrap().0 <= after(25));
}
