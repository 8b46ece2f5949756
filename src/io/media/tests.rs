//! The media thread over the loopback.

use super::*;
use crate::protocol::rtp::{Event, Party, Prompt, Stream};
use std::net::UdpSocket as Phone;
use uuid::Uuid;

const CALL: Uuid = Uuid::from_u128(5);
const HERE: IpAddr = IpAddr::V4(std::net::Ipv4Addr::LOCALHOST);

/// Where the media thread panics, once it has heard this in a packet.
fn said(at: About) -> Vec<u8> {
    format!("panics next: {at:?}").into_bytes()
}

fn panics_as_it_is_told() -> impl FnMut(About, &[u8]) + Clone + Send {
    const ALL: [About; 4] = [About::Take, About::Tape, About::Turn, About::Obey];
    let mut next = None;
    move |about, packet| {
        let says = |at: &About| packet.get(12..).is_some_and(|rest| rest.starts_with(&said(*at)));
        next = ALL.into_iter().find(says).or(next);
        if next == Some(about) {
            next = None;
            panic!("as a test wants it");
        }
    }
}

/// Bound at a port of its own, whatever else is tested on this host.
pub fn start_somewhere(
    channels: u16,
    prompts: Vec<Arc<[i16]>>,
    events: &mpsc::UnboundedSender<rtp::Event>,
) -> (Media, TapeFeed, Vec<u16>) {
    start_watched_somewhere(channels, prompts, events, |_, _| {})
}

fn start_watched_somewhere<W: FnMut(About, &[u8]) + Clone + Send + 'static>(
    channels: u16,
    prompts: Vec<Arc<[i16]>>,
    events: &mpsc::UnboundedSender<rtp::Event>,
    watch: W,
) -> (Media, TapeFeed, Vec<u16>) {
    let bound = somewhere(|first_port| {
        let plan = MediaPlan {
            listen: HERE,
            first_port,
            channels,
            realtime: false,
            places: Places::default(),
        };
        start_watched(plan, prompts.clone(), events.clone(), watch.clone())
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

/// Two pairs talk; one of them says what the thread does not bear.
#[test]
fn rel_29_a_panic_of_the_media_thread_anywhere_costs_a_packet_at_most_and_voice_goes_on() {
    for at in [About::Take, About::Tape, About::Turn, About::Obey] {
        let (events, mut seen) = mpsc::unbounded_channel();
        let (media, feed, ports) =
            start_watched_somewhere(4, vec![Arc::from([])], &events, panics_as_it_is_told());
        let phones: Vec<Phone> = (0..4).map(|_| phone()).collect();
        for (n, phone) in phones.iter().enumerate() {
            let party = if n % 2 == 0 { Party::Caller } else { Party::Officer };
            open(&media, Channel(n as u16), party, phone);
        }
        for n in [0, 2] {
            media.send(Command::Join { a: Channel(n), b: Channel(n + 1) }).unwrap();
        }
        let obeyed = |seen: &mut mpsc::UnboundedReceiver<Event>| {
            let (channel, prompt) = (Channel(3), Prompt(0));
            // One command may be what it costs.
            for _ in 0..2 {
                media.send(Command::Play { channel, prompt, repeat: false }).unwrap();
            }
            let played = Event::Played { channel, prompt };
            while seen.blocking_recv().expect("it lives") != played {}
        };
        obeyed(&mut seen);
        let mut buffer = [0; 400];
        let mut says = |from: usize, packet: &[u8]| {
            phones[from].send_to(packet, (HERE, ports[from])).unwrap();
            let heard = phones[from + 1].recv(&mut buffer).map(|length| buffer[..length].to_vec());
            heard.is_ok_and(|heard| heard == packet)
        };
        for n in 0..5 {
            assert!(says(0, &rtp(n)) && says(2, &rtp(n)), "{at:?}");
        }
        phones[1].set_read_timeout(Some(Duration::from_millis(300))).unwrap();
        let mut fatal = rtp(5);
        fatal[12..12 + said(at).len()].copy_from_slice(&said(at));
        let went_on = says(0, &fatal);
        assert_eq!(went_on, at != About::Take, "{at:?}: what is not the relay's fault is heard");
        phones[1].set_read_timeout(Some(Duration::from_secs(5))).unwrap();
        obeyed(&mut seen);
        for n in 6..11 {
            assert!(says(0, &rtp(n)) && says(2, &rtp(n)), "{at:?}");
        }
        media.send(Command::Finish { call: CALL }).unwrap();
        media.stop();
        let taped = taped(feed);
        let packets = taped.iter().filter(|head| head.kind == Kind::Packet).count();
        let lost = usize::from(matches!(at, About::Take | About::Tape));
        assert_eq!(packets, 21 - lost, "{at:?}");
        assert_eq!(taped.last().map(|head| head.kind), Some(Kind::Finished), "{at:?}");
    }
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

/// As with a process that is stopped: what came meanwhile is read at once, and the tape's ring is small.
#[test]
fn rel_16_what_waited_while_the_thread_was_stopped_has_room_on_the_tape() {
    const WAITED: u16 = 240;
    let folder = tempfile::tempdir().unwrap();
    let (events, mut seen) = mpsc::unbounded_channel();
    let stopped = Arc::new(std::sync::Mutex::new(()));
    let stops = Arc::clone(&stopped);
    let watch = move |_: About, _: &[u8]| drop(stops.lock());
    let (media, feed, ports) = start_watched_somewhere(4, vec![Arc::from([])], &events, watch);
    let (tape_events, mut told) = mpsc::unbounded_channel();
    let tape = tape::tests::started(folder.path(), feed, tape_events);
    let phones: Vec<Phone> = (0..4).map(|_| phone()).collect();
    for (n, phone) in phones.iter().enumerate() {
        let party = if n % 2 == 0 { Party::Caller } else { Party::Officer };
        open(&media, Channel(n as u16), party, phone);
    }
    for n in [0, 2] {
        media.send(Command::Join { a: Channel(n), b: Channel(n + 1) }).unwrap();
    }
    let (channel, prompt) = (Channel(3), Prompt(0));
    media.send(Command::Play { channel, prompt, repeat: false }).unwrap();
    assert_eq!(seen.blocking_recv(), Some(Event::Played { channel, prompt }), "all is obeyed");
    let stop = stopped.lock().unwrap();
    for n in 0..WAITED {
        for (phone, port) in phones.iter().zip(&ports) {
            phone.send_to(&rtp(n), (HERE, *port)).unwrap();
        }
    }
    drop(stop);
    let mut buffer = [0; 400];
    for phone in &phones {
        for _ in 0..WAITED {
            phone.recv(&mut buffer).unwrap();
        }
    }
    media.send(Command::Finish { call: CALL }).unwrap();
    let sealed = loop {
        match told.blocking_recv().expect("it is sealed") {
            tape::Event::Sealed(sealed) => break sealed,
            tape::Event::Progress(_) => {}
            other => panic!("{other:?}"),
        }
    };
    media.stop();
    tape.stop();
    let all = 2 * u64::from(WAITED);
    assert_eq!(sealed.packets, [(Party::Caller, all), (Party::Officer, all)]);
}

/// What nobody has asked for, and never ends: for each packet another one comes.
#[test]
fn rel_05_a_socket_that_is_never_empty_has_one_turn_among_the_others() {
    const WAITED: usize = 160;
    let heard = Arc::new(std::sync::Mutex::new((vec![], None::<(Phone, u16)>)));
    let (done, all) = std::sync::mpsc::channel();
    let hears = Arc::clone(&heard);
    let watch = move |about: About, packet: &[u8]| {
        if about != About::Take {
            return;
        }
        let mut heard = hears.lock().unwrap();
        heard.0.push(packet[0]);
        match (packet[0], &heard.1) {
            (0, Some((flood, port))) => drop(flood.send_to(&[0; 20], (HERE, *port))),
            _ if heard.0.iter().filter(|one| **one == 1).count() == WAITED => {
                heard.1 = None;
                done.send(()).unwrap();
            }
            _ => {}
        }
    };
    let (events, _seen) = mpsc::unbounded_channel();
    let (media, _feed, ports) = start_watched_somewhere(2, vec![], &events, watch);
    let stranger = phone();
    let mut stopped = heard.lock().unwrap();
    for _ in 0..WAITED {
        for (n, port) in [0, 1].into_iter().zip(&ports) {
            stranger.send_to(&[n; 20], (HERE, *port)).unwrap();
        }
    }
    stopped.1 = Some((stranger, ports[0]));
    drop(stopped);
    all.recv_timeout(Duration::from_secs(20)).expect("the other is heard out");
    media.stop();
    let heard = &heard.lock().unwrap().0;
    let of_the_other = |one: &u8| *one == 1;
    let first = heard.iter().position(of_the_other).unwrap();
    let last = heard.iter().rposition(of_the_other).unwrap();
    let turns = heard[first..last].chunk_by(|one, next| one == next);
    let longest = turns.filter(|turn| turn[0] == 0).map(<[u8]>::len).max();
    assert!(longest.is_some_and(|longest| longest <= 2), "{longest:?}");
}
