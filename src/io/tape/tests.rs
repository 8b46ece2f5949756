//! The recorder as a whole: from the ring, or from real sockets, to sealed files.

mod codecs;
mod disk;
mod elsewhere;
mod marks;
mod overflow;
mod panics;
mod recovery;

use super::record::{Head, Kind};
use super::*;
use crate::io::media::tests::{phone, start_somewhere};
use crate::io::{clock, wav_file};
use crate::protocol::now::Mono;
use crate::protocol::rtp::relay::Tag;
use crate::protocol::rtp::{self, Channel, Codec, Command, Prompt, Stream, g711, packet};
use std::collections::BTreeSet;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;
use tempfile::TempDir;

const CALL: Uuid = Uuid::from_u128(0x0199_0000_0000_7000_8000_0000_0000_0001);
const FRAME: u64 = 20_000_000;

struct Room {
    folder: TempDir,
    others: Vec<Other>,
    heard: mpsc::UnboundedReceiver<Event>,
    told: mpsc::UnboundedSender<Event>,
}

/// A party that speaks 20 ms packets onto a ring.
struct Voice {
    party: Party,
    sequence: u16,
    start: Mono,
}

impl Room {
    fn new() -> Self {
        let (told, heard) = mpsc::unbounded_channel();
        Self { folder: tempfile::tempdir().unwrap(), others: vec![], heard, told }
    }

    fn plan(&self) -> TapePlan {
        let (data, recordings) = (self.folder.path().join("data"), self.recordings());
        TapePlan { data, recordings, others: self.others.clone(), open: BTreeSet::new() }
    }

    fn recordings(&self) -> PathBuf {
        self.folder.path().join("recordings")
    }

    fn running(&self) -> PathBuf {
        self.folder.path().join("data/tape")
    }

    fn start(&self) -> (TapeHead, Tape) {
        let (head, feed) = ring(4);
        (head, start(self.plan(), feed, self.told.clone()))
    }

    /// The next event; the recorder works in threads of its own, so this waits.
    fn event(&mut self) -> Event {
        let until = clock::mono() + Duration::from_secs(20);
        while clock::mono() < until {
            match self.heard.try_recv() {
                Ok(Event::Progress(_)) => {}
                Ok(event) => return event,
                Err(_) => std::thread::sleep(Duration::from_millis(2)),
            }
        }
        panic!("the recorder says nothing");
    }

    fn sealed(&mut self) -> Sealed {
        match self.event() {
            Event::Sealed(sealed) => *sealed,
            other => panic!("{other:?}"),
        }
    }

    fn wav(&self, sealed: &Sealed) -> [Vec<i16>; 2] {
        let path = self.recordings().join(sealed.wav.as_ref().expect("a WAV"));
        assert_eq!(files::sha256(&path).unwrap(), *sealed.wav_sha256.as_ref().unwrap());
        assert_eq!(path.metadata().unwrap().len(), sealed.bytes);
        let channels: [Vec<i16>; 2] = wav_file::read_file(&path).unwrap().try_into().unwrap();
        assert_eq!(channels[0].len() as u64, sealed.samples);
        channels
    }

    fn files(&self, folder: &Path) -> Vec<String> {
        fn walk(folder: &Path, names: &mut Vec<String>) {
            for entry in fs::read_dir(folder).unwrap() {
                let path = entry.unwrap().path();
                if path.is_dir() {
                    walk(&path, names);
                } else {
                    names.push(path.file_name().unwrap().to_str().unwrap().to_owned());
                }
            }
        }
        let mut names = Vec::new();
        walk(folder, &mut names);
        names.sort();
        names
    }
}

fn tag(party: Party) -> Tag {
    Tag::of(CALL, party, &Stream::a_law("192.0.2.1:4000".parse().unwrap()))
}

impl Voice {
    fn new(party: Party, start: Mono) -> Self {
        Self { party, sequence: 65_500, start }
    }

    fn frame(&mut self, level: i16) -> (Head, Vec<u8>) {
        let n = self.sequence.wrapping_sub(65_500);
        let rtp = packet::Packet {
            payload_type: 8,
            marker: n == 0,
            sequence: self.sequence,
            timestamp: u32::from(n) * 160,
            ssrc: self.party as u32,
            payload: &[g711::encode(Codec::Pcma, level); 160],
        };
        let mut bytes = vec![0; 172];
        packet::build(&rtp, &mut bytes).unwrap();
        self.sequence = self.sequence.wrapping_add(1);
        let arrival = Mono(self.start.0 + u64::from(n) * FRAME);
        (Head::of(Kind::Packet, &tag(self.party), arrival, 172), bytes)
    }

    fn speak(&mut self, tape: &mut TapeHead, levels: impl IntoIterator<Item = i16>) {
        for level in levels {
            let (head, bytes) = self.frame(level);
            push(tape, &head, &bytes);
        }
    }
}

/// With its folders in this one.
pub fn started(folder: &Path, feed: TapeFeed, events: mpsc::UnboundedSender<Event>) -> Tape {
    let (data, recordings) = (folder.join("data"), folder.join("recordings"));
    start(TapePlan { data, recordings, others: vec![], open: BTreeSet::new() }, feed, events)
}

/// What the recorder leaves of calls in which one speaks for a moment.
pub fn recorded(folder: &Path, calls: &[(Uuid, Party)]) -> Vec<Sealed> {
    let (told, mut heard) = mpsc::unbounded_channel();
    let (mut head, feed) = ring(4);
    let tape = started(folder, feed, told);
    for (call, party) in calls {
        let mut voice = Voice::new(*party, clock::mono());
        for _ in 0..5 {
            let (frame, bytes) = voice.frame(1000);
            push(&mut head, &Head { call: *call, ..frame }, &bytes);
        }
        push(&mut head, &Head::finished(*call, clock::mono()), &[]);
    }
    drop(head);
    tape.stop();
    let events = std::iter::from_fn(|| heard.try_recv().ok());
    let sealed =
        |event: Event| if let Event::Sealed(sealed) = event { Some(*sealed) } else { None };
    events.filter_map(sealed).collect()
}

/// What comes out of the ring.
pub fn spilled(feed: TapeFeed) -> (Spill, spill::Frames) {
    spill::spill(
        feed,
        Faults::new(mpsc::unbounded_channel().0),
        Alive::default(),
        Default::default(),
    )
}

/// As soon as there is room.
fn push(tape: &mut TapeHead, head: &Head, bytes: &[u8]) {
    while !tape.push(head, bytes) {
        std::thread::sleep(Duration::from_millis(2));
    }
}

/// What A-law makes of a level.
fn heard(level: i16) -> i16 {
    g711::decode(Codec::Pcma, g711::encode(Codec::Pcma, level))
}

/// The running tape as a killed daemon leaves it.
fn killed(room: &Room, frames: &[(Head, Vec<u8>)]) -> PathBuf {
    let folders = Folders::new(room.running(), &[]);
    let path = folders.segment(3);
    Segments::new(folders, 3).append(frames).unwrap();
    path
}

fn recovered(room: &mut Room) -> Vec<Event> {
    let (head, tape) = room.start();
    drop(head);
    tape.stop();
    let all = std::iter::from_fn(|| room.heard.try_recv().ok());
    all.filter(|event| !matches!(event, Event::Progress(_))).collect()
}

#[test]
fn rec_t10_the_caller_is_left_and_our_side_right_summed_without_clipping_over() {
    let mut room = Room::new();
    let (mut head, tape) = room.start();
    let start = clock::mono();
    Voice::new(Party::Caller, start).speak(&mut head, [1000, 2000, 3000]);
    Voice::new(Party::Officer, start).speak(&mut head, [-500, 30_000, 100]);
    Voice::new(Party::Prompt, start).speak(&mut head, [-500, 30_000]);
    head.push(&Head::finished(CALL, start), &[]);
    drop(head);
    let sealed = room.sealed();
    let [left, right] = room.wav(&sealed);
    assert_eq!([left[10], left[170], left[330]], [heard(1000), heard(2000), heard(3000)]);
    assert_eq!([right[10], right[170], right[330]], [2 * heard(-500), i16::MAX, heard(100)]);
    assert_eq!((sealed.samples, sealed.duration_ms, sealed.interrupted), (480, 60, false));
    assert_eq!(sealed.packets, [(Party::Caller, 3), (Party::Officer, 3), (Party::Prompt, 2)]);
    assert_eq!(sealed.gaps, []);
    let tape_path = room.recordings().join(&sealed.tape);
    assert_eq!(files::sha256(&tape_path).unwrap(), sealed.tape_sha256);
    let spoken_at = Duration::from_millis(20);
    let began = clock::now().wall - clock::now().mono.since(start - spoken_at);
    assert!(
        (sealed.started - began).abs() < chrono::TimeDelta::milliseconds(20),
        "{} {began}",
        sealed.started
    );
    tape.stop();
    assert_eq!(room.files(&room.running()), Vec::<String>::new(), "nothing is left unsealed");
}

#[test]
fn a_leader_who_is_called_is_left() {
    let mut room = Room::new();
    let (mut head, tape) = room.start();
    let start = clock::mono();
    Voice::new(Party::Prompt, start).speak(&mut head, [700; 5]);
    Voice::new(Party::Leader, start).speak(&mut head, [900; 5]);
    head.push(&Head::finished(CALL, start), &[]);
    let [left, right] = {
        let sealed = room.sealed();
        room.wav(&sealed)
    };
    assert_eq!((left[100], right[100]), (heard(900), heard(700)));
    drop(head);
    tape.stop();
}

#[test]
fn rec_t10_a_leader_who_joins_is_on_our_side_and_his_coming_and_going_is_no_gap() {
    let mut room = Room::new();
    let (mut head, tape) = room.start();
    let start = clock::mono();
    Voice::new(Party::Caller, start).speak(&mut head, [1000; 75]);
    Voice::new(Party::Officer, start).speak(&mut head, [500; 75]);
    Voice::new(Party::Leader, start + Duration::from_millis(500)).speak(&mut head, [2000; 25]);
    head.push(&Head::finished(CALL, start + Duration::from_millis(1500)), &[]);
    let sealed = room.sealed();
    let [left, right] = room.wav(&sealed);
    let at = |ms: usize| (left[8 * ms + 100], right[8 * ms + 100]);
    let (caller, officer, both) = (heard(1000), heard(500), heard(500) + heard(2000));
    assert_eq!(
        [at(200), at(700), at(1300)],
        [(caller, officer), (caller, both), (caller, officer)]
    );
    assert_eq!(sealed.gaps, []);
    drop(head);
    tape.stop();
}

#[test]
fn rec_d8_a_call_without_a_packet_is_told_as_such() {
    let mut room = Room::new();
    let (mut head, tape) = room.start();
    head.push(&Head::of(Kind::Opened, &tag(Party::Caller), clock::mono(), 0), &[]);
    head.push(&Head::finished(CALL, clock::mono()), &[]);
    let sealed = room.sealed();
    assert_eq!(
        (sealed.wav, sealed.samples, sealed.interrupted, sealed.packets),
        (None, 0, false, vec![])
    );
    assert!(room.recordings().join(&sealed.tape).exists());
    drop(head);
    tape.stop();
}

#[test]
fn rec_d8_a_call_of_a_third_of_a_second_is_kept() {
    let mut room = Room::new();
    let (mut head, tape) = room.start();
    let start = clock::mono();
    Voice::new(Party::Caller, start).speak(&mut head, [1000; 15]);
    head.push(&Head::finished(CALL, start + Duration::from_millis(290)), &[]);
    assert_eq!(room.sealed().duration_ms, 310, "until the call ended");
    drop(head);
    tape.stop();
}

#[test]
fn rec_t2_a_hold_at_the_end_is_silence_and_a_gap() {
    let mut room = Room::new();
    let (mut head, tape) = room.start();
    let start = clock::mono();
    Voice::new(Party::Caller, start).speak(&mut head, [1000; 50]);
    Voice::new(Party::Officer, start + Duration::from_secs(3)).speak(&mut head, [1000; 50]);
    head.push(&Head::finished(CALL, start + Duration::from_secs(600)), &[]);
    let sealed = room.sealed();
    assert_eq!(sealed.duration_ms, 600_020);
    let expected = [
        Gap { party: Party::Caller, from_ms: 1000, length_ms: 599_020, untaped: 0 },
        Gap { party: Party::Officer, from_ms: 4000, length_ms: 596_020, untaped: 0 },
    ];
    assert_eq!(sealed.gaps, expected);
    drop(head);
    tape.stop();
}

#[test]
fn rec_d6_a_missing_recordings_folder_is_told_with_its_remedy_and_made_good() {
    let mut room = Room::new();
    let (mut head, tape) = room.start();
    fs::remove_dir(room.recordings()).unwrap();
    Voice::new(Party::Caller, clock::mono()).speak(&mut head, [1000; 5]);
    head.push(&Head::finished(CALL, clock::mono()), &[]);
    let Event::Failed { call, why } = room.event() else { panic!("not told") };
    assert_eq!(call, Some(CALL));
    assert!(why.contains("mount its disk"), "{why}");
    fs::create_dir(room.recordings()).unwrap();
    assert_eq!(room.sealed().call, CALL);
    assert_eq!(room.event(), Event::Recovered);
    drop(head);
    tape.stop();
}

#[test]
fn rec_d6_a_recordings_folder_that_takes_nothing_is_told_before_there_is_a_call() {
    let mut room = Room::new();
    fs::write(room.recordings(), "no folder").unwrap();
    let (head, tape) = room.start();
    let Event::Failed { call: None, why } = room.event() else { panic!("not told") };
    assert!(
        why.starts_with("录音文件夹写不进去：") && why.contains("请新建，或挂载它的磁盘"),
        "{why}"
    );
    assert!(why.contains(" · cannot write into"), "{why}");
    fs::remove_file(room.recordings()).unwrap();
    fs::create_dir(room.recordings()).unwrap();
    assert_eq!(room.event(), Event::Recovered);
    drop(head);
    tape.stop();
}

#[test]
fn rec_d6_while_the_tape_cannot_be_written_the_ring_keeps_what_comes() {
    let mut room = Room::new();
    fs::write(room.folder.path().join("data"), "in the way").unwrap();
    let (mut head, tape) = room.start();
    while let Event::Failed { why, .. } = room.event() {
        if why.contains("cannot write") {
            break;
        }
        Voice::new(Party::Caller, clock::mono()).speak(&mut head, [1000; 5]);
        head.push(&Head::finished(CALL, clock::mono()), &[]);
    }
    fs::remove_file(room.folder.path().join("data")).unwrap();
    let mut events = vec![room.event()];
    while !events.iter().any(|event| matches!(event, Event::Sealed(_))) {
        events.push(room.event());
    }
    let [.., Event::Sealed(sealed)] = &events[..] else { panic!("{events:?}") };
    assert_eq!(sealed.packets, [(Party::Caller, 5)]);
    drop(head);
    tape.stop();
}

#[test]
fn two_phones_talk_and_the_wav_is_what_they_said_sample_for_sample() {
    let mut room = Room::new();
    let (events, mut seen) = mpsc::unbounded_channel();
    let (media, feed, ports) = start_somewhere(2, vec![Arc::from([])], &events);
    let tape = start(room.plan(), feed, room.told.clone());
    let phones = [phone(), phone()];
    for (index, (party, phone)) in
        [Party::Caller, Party::Officer].into_iter().zip(&phones).enumerate()
    {
        let stream = Stream::a_law(phone.local_addr().unwrap());
        media
            .send(Command::Open { channel: Channel(index as u16), call: CALL, party, stream })
            .unwrap();
    }
    media.send(Command::Join { a: Channel(0), b: Channel(1) }).unwrap();
    media.send(Command::Play { channel: Channel(0), prompt: Prompt(0), repeat: false }).unwrap();
    assert_eq!(
        seen.blocking_recv(),
        Some(rtp::Event::Played { channel: Channel(0), prompt: Prompt(0) })
    );
    // A click at the same moment on both sides, within speech of every A-law value.
    let said = |side: usize, n: usize| -> Vec<u8> {
        (0..160).map(|at| if n == 60 { 0xaa } else { (n * 160 + at * (side + 1)) as u8 }).collect()
    };
    let (begin, mut expected) = (clock::mono(), [Vec::new(), Vec::new()]);
    for n in 0..100usize {
        let due = begin + Duration::from_millis(20) * n as u32;
        std::thread::sleep(due.since(clock::mono()));
        for side in 0..2 {
            let payload = said(side, n);
            let rtp = packet::Packet {
                payload_type: 8,
                marker: n == 0,
                sequence: n as u16,
                timestamp: (n * 160) as u32,
                ssrc: side as u32,
                payload: &payload,
            };
            let mut bytes = [0; 172];
            packet::build(&rtp, &mut bytes).unwrap();
            phones[side].send_to(&bytes, ("127.0.0.1", ports[side])).unwrap();
            expected[side].extend(payload.iter().map(|byte| g711::decode(Codec::Pcma, *byte)));
            let mut heard = [0; 400];
            let length = phones[1 - side].recv(&mut heard).unwrap();
            assert_eq!(heard[..length], bytes, "heard as it was said");
        }
    }
    for index in 0..2 {
        media.send(Command::Close { channel: Channel(index) }).unwrap();
    }
    media.send(Command::Finish { call: CALL }).unwrap();
    let sealed = room.sealed();
    media.stop();
    tape.stop();
    let wav = room.wav(&sealed);
    let starts = [0, 1].map(|side: usize| {
        let start = wav[side]
            .windows(160)
            .position(|window| window == &expected[side][..160])
            .expect("is in it");
        assert_eq!(wav[side][start..start + 16_000], expected[side], "side {side}");
        start
    });
    assert!(starts[0].abs_diff(starts[1]) <= 160, "aligned within 20 ms: {starts:?}");
    assert_eq!((sealed.gaps, sealed.interrupted), (vec![], false));
}
