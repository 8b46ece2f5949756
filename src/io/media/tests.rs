//! The media thread over the loopback.

use super::*;
use crate::protocol::rtp::{Event, Party, Prompt, Stream};
use std::net::UdpSocket as Phone;
use uuid::Uuid;

const CALL: Uuid = Uuid::from_u128(5);
const HERE: IpAddr = IpAddr::V4(std::net::Ipv4Addr::LOCALHOST);

/// Bound at a port of its own, whatever else is tested on this host.
pub fn start_somewhere(
    channels: u16,
    prompts: Vec<Arc<[i16]>>,
    events: &mpsc::UnboundedSender<rtp::Event>,
) -> (Media, TapeFeed, Vec<u16>) {
    let bound = somewhere(|first_port| {
        let plan = MediaPlan {
            listen: HERE,
            first_port,
            channels,
            realtime: false,
            places: Places::default(),
        };
        start(plan, prompts.clone(), events.clone())
    });
    bound.unwrap()
}

pub fn phone() -> Phone {
    let phone = somewhere(|port| Phone::bind((HERE, port + 1))).unwrap();
    phone.set_read_timeout(Some(Duration::from_secs(5))).unwrap();
    phone
}

fn somewhere<T>(bind: impl Fn(u16) -> io::Result<T>) -> io::Result<T> {
    let mut random = clock::random();
    let mut tries = (0..100).map(|_| bind(20_000 + 2 * random.below(5000) as u16));
    tries
        .find(|tried| !matches!(tried, Err(fault) if fault.kind() == io::ErrorKind::AddrInUse))
        .unwrap()
}

fn open(media: &Media, channel: Channel, party: Party, phone: &Phone) {
    let remote = phone.local_addr().unwrap();
    let stream = Stream::a_law(remote);
    media.send(Command::Open { channel, call: CALL, party, stream }).unwrap();
}

fn rtp(sequence: u16) -> Vec<u8> {
    let packet = packet::Packet {
        payload_type: 8,
        marker: false,
        sequence,
        timestamp: u32::from(sequence) * 160,
        ssrc: 1,
        payload: &[sequence as u8; 160],
    };
    let mut out = [0; FRAME_BYTES];
    packet::build(&packet, &mut out).unwrap();
    out.to_vec()
}

/// What the media thread left on the tape.
fn taped(feed: TapeFeed) -> Vec<Head> {
    let (mut spill, mut frames) = tape::tests::spilled(feed);
    assert!(!spill.turn(), "the media thread is gone");
    let chunks = std::iter::from_fn(|| frames.pop());
    chunks.flat_map(|chunk| chunk.frames().map(|(head, _)| head).collect::<Vec<_>>()).collect()
}

#[test]
fn a_taken_port_is_named_with_its_remedy() {
    let taken = phone();
    let port = taken.local_addr().unwrap().port();
    let (events, _seen) = mpsc::unbounded_channel();
    let plan = MediaPlan {
        listen: HERE,
        first_port: port - 4,
        channels: 3,
        realtime: false,
        places: Places::default(),
    };
    let Err(fault) = start(plan, Vec::new(), events) else { panic!("bound twice") };
    let text = fault.to_string();
    assert!(text.contains("127.0.0.1") && text.contains("media.first_port"), "{text}");
    drop(taken);
}

#[test]
fn two_phones_hear_each_other_and_every_packet_is_framed() {
    let (events, mut seen) = mpsc::unbounded_channel();
    let (media, feed, ports) = start_somewhere(2, vec![Arc::from([])], &events);
    assert_eq!(ports[1], ports[0] + 2);
    let (caller, officer) = (phone(), phone());
    open(&media, Channel(0), Party::Caller, &caller);
    open(&media, Channel(1), Party::Officer, &officer);
    media.send(Command::Join { a: Channel(0), b: Channel(1) }).unwrap();
    media.send(Command::Play { channel: Channel(0), prompt: Prompt(0), repeat: false }).unwrap();
    assert_eq!(
        seen.blocking_recv(),
        Some(Event::Played { channel: Channel(0), prompt: Prompt(0) }),
        "all is obeyed"
    );
    let mut buffer = [0; 400];
    for n in 0..50u16 {
        for (from, to, port) in [(&caller, &officer, ports[0]), (&officer, &caller, ports[1])] {
            from.send_to(&rtp(n), (HERE, port)).unwrap();
            let length = to.recv(&mut buffer).unwrap();
            assert_eq!(buffer[..length], rtp(n));
        }
    }
    media.send(Command::Close { channel: Channel(0) }).unwrap();
    media.send(Command::Finish { call: CALL }).unwrap();
    media.stop();
    let mut counts = None;
    while let Ok(event) = seen.try_recv() {
        if let Event::Closed { counts: closed, .. } = event {
            counts = Some(closed);
        }
    }
    let counts = counts.expect("the channel was closed");
    assert_eq!((counts.received, counts.lost, counts.strangers, counts.untaped), (50, 0, 0, 0));
    let kinds: Vec<_> = taped(feed).iter().map(|head| head.kind).collect();
    assert_eq!(kinds.iter().filter(|kind| **kind == Kind::Packet).count(), 100);
    assert_eq!(kinds.first(), Some(&Kind::Opened));
    assert_eq!(kinds.last(), Some(&Kind::Finished));
}

#[test]
fn a_prompt_is_spoken_at_its_pace_and_reported() {
    let (events, mut seen) = mpsc::unbounded_channel();
    let prompt: Arc<[i16]> = vec![1000; 1600].into();
    let (media, feed, _) = start_somewhere(1, vec![prompt], &events);
    let leader = phone();
    open(&media, Channel(0), Party::Leader, &leader);
    media.send(Command::Play { channel: Channel(0), prompt: Prompt(0), repeat: false }).unwrap();
    let mut buffer = [0; 400];
    let mut arrivals = Vec::new();
    for _ in 0..10 {
        assert_eq!(leader.recv(&mut buffer).unwrap(), FRAME_BYTES);
        arrivals.push(clock::mono());
    }
    assert!(arrivals[9].since(arrivals[0]) >= Duration::from_millis(150), "paced, not burst");
    let mut told = std::iter::from_fn(|| seen.blocking_recv());
    let played = told.find(|event| !matches!(event, Event::Marked { .. }));
    assert_eq!(played, Some(Event::Played { channel: Channel(0), prompt: Prompt(0) }));
    media.stop();
    let taped = taped(feed);
    assert_eq!(taped.iter().filter(|head| head.party == Party::Prompt).count(), 10);
}
