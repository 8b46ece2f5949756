//! What is done with recordings after a call: sealing and rendering an hour of it, and verifying what is kept.

use crate::daemon::config;
use crate::phones::cpu_of;
use dutyline::config::{Config, Environment};
use dutyline::duty::ids::CallId;
use dutyline::duty::journal::{Arrival, Fact, Noted};
use dutyline::io::proof::key::SigningKey;
use dutyline::io::proof::verify::Wanted;
use dutyline::io::store::{Sealed, Store, wait};
use dutyline::io::tape::record::{Head, Kind};
use dutyline::io::tape::{self, TapeHead, TapePlan};
use dutyline::io::{clock, logbook, reindex};
use dutyline::protocol::now::Now;
use dutyline::protocol::rtp::relay::Tag;
use dutyline::protocol::rtp::{Party, Stream, packet};
use std::fs;
use std::net::UdpSocket;
use std::path::Path;
use std::thread;
use std::time::{Duration, Instant};
use tokio::sync::mpsc;
use uuid::Uuid;

const FRAME: Duration = Duration::from_millis(20);
const HOUR: Duration = Duration::from_secs(3600);
/// Of the ring, so that the tape is written as fast as the disk takes it.
const CHANNELS: u16 = 1000;
/// Recordings that are verified.
const KEPT: u32 = 8;

/// # Panics
/// Where the disk has no room for some hundred megabytes an hour.
pub fn run(hours: u64) {
    let folder = tempfile::tempdir().expect("a folder");
    let length = HOUR * u32::try_from(hours).expect("few");
    let call = CallId::new(clock::now(), &mut clock::random());
    let sealed = seal(folder.path(), call, length);
    let pbx = UdpSocket::bind("127.0.0.1:0").expect("a port");
    let path = config(folder.path(), 1, &pbx);
    let loaded = Config::load(&path, &Environment::new());
    let config = loaded.unwrap_or_else(|faults| panic!("{faults}")).config;
    let store = Store::open(&config.storage.data.join("dutyline.db"), clock::random());
    let store = store.expect("a log");
    bind(&store, call, sealed.clone());

    let recordings = &config.storage.recordings;
    fs::remove_file(recordings.join(&sealed.wav)).expect("it was there");
    let began = Instant::now();
    let again = reindex::run(&config, &store, &mut |_| true).expect("made again");
    assert_eq!(again.made, std::slice::from_ref(&sealed.wav), "{:?}", again.left);
    let took = began.elapsed();
    println!(
        "recordings: rendered again from its tape, which is compared first: {}",
        times(length, took)
    );

    for _ in 1..KEPT {
        let call = CallId::new(clock::now(), &mut clock::random());
        let named = |path: &Path, ending: &str| {
            let other = path.with_file_name(format!("{call}.{ending}"));
            fs::hard_link(recordings.join(path), recordings.join(&other)).expect("linked");
            other
        };
        let tape = sealed.tape.as_ref().map(|tape| named(tape, "tape"));
        let wav = named(&sealed.wav, "wav");
        bind(&store, call, Sealed { wav, tape, ..sealed.clone() });
    }
    let origin = wait(store.origin()).expect("its name");
    SigningKey::load_or_make(&config.storage.data, &origin).expect("a key");
    fs::create_dir_all(config.storage.data.join("heads")).expect("a folder");
    let wanted = Wanted {
        data: config.storage.data.clone(),
        recordings: recordings.clone(),
        ..Wanted::default()
    };
    let (began, cpu) = (Instant::now(), own_cpu());
    let report = wanted.check().expect("checked");
    let (took, cpu) = (began.elapsed(), own_cpu().saturating_sub(cpu));
    let tape = sealed.tape.as_ref().expect("a tape");
    let tape = fs::metadata(recordings.join(tape)).expect("there").len();
    assert_eq!(report.bytes, u64::from(KEPT) * (sealed.bytes + tape), "{report}");
    let rate = |took: Duration| report.bytes as f64 / 1e6 / took.as_secs_f64();
    println!(
        "recordings: verified {:.0} MB in {took:.2?}: {:.0} MB/s, {:.0} MB for each second of one core",
        report.bytes as f64 / 1e6,
        rate(took),
        rate(cpu),
    );
}

/// Two parties who speak for so long, from the ring to the sealed recording.
fn seal(folder: &Path, call: CallId, length: Duration) -> Sealed {
    let (data, recordings) = (folder.join("data"), folder.join("recordings"));
    let plan = TapePlan { data, recordings, others: vec![], open: [].into() };
    let (told, mut heard) = mpsc::unbounded_channel();
    let (mut head, feed) = tape::ring(CHANNELS);
    let tape = tape::start(plan, feed, told);
    let begin = clock::now();
    speak(&mut head, call.0, begin, length);
    // What is still to be written is no part of sealing.
    while tape.backlog().bytes() > 0 {
        thread::sleep(FRAME);
    }
    thread::sleep(Duration::from_secs(2));
    let (began, cpu) = (Instant::now(), cpu_of("recorder"));
    push(&mut head, &Head::finished(call.0, begin.mono + length), &[]);
    let sealed = loop {
        match heard.blocking_recv() {
            Some(tape::Event::Sealed(sealed)) => break sealed,
            Some(tape::Event::Progress(_)) => {}
            other => println!("  {other:?}"),
        }
    };
    let (took, cpu) = (began.elapsed(), cpu_of("recorder").saturating_sub(cpu));
    let off = sealed.duration_ms.abs_diff(length.as_millis() as u64);
    assert!(off <= 40 && sealed.gaps.is_empty(), "{off} ms off, {:?}", sealed.gaps);
    drop(head);
    tape.stop();
    println!("recordings: sealed, rendered and hashed: {}", times(length, took));
    println!("recordings: the same in processor time: {}", times(length, cpu));
    logbook::recording(&sealed).expect("a WAV")
}

fn speak(to: &mut TapeHead, call: Uuid, begin: Now, length: Duration) {
    let stream = Stream::a_law("192.0.2.1:4000".parse().expect("an address"));
    let tags = [Party::Caller, Party::Officer].map(|party| Tag::of(call, party, &stream));
    let mut bytes = [0; 172];
    for n in 0..(length.as_millis() / FRAME.as_millis()) as u32 {
        for tag in &tags {
            // Values of A-law that differ from each other: nothing is spared in decoding.
            let payload: [u8; 160] = std::array::from_fn(|at| (at as u32 * 7 + n) as u8);
            let rtp = packet::Packet {
                payload_type: 8,
                marker: n == 0,
                sequence: n as u16,
                timestamp: n * 160,
                ssrc: tag.party as u32 + 1,
                payload: &payload,
            };
            packet::build(&rtp, &mut bytes).expect("room");
            push(to, &Head::of(Kind::Packet, tag, begin.mono + FRAME * n, 172), &bytes);
        }
    }
}

fn push(to: &mut TapeHead, head: &Head, packet: &[u8]) {
    while !to.push(head, packet) {
        thread::sleep(Duration::from_millis(2));
    }
}

fn bind(store: &Store, call: CallId, sealed: Sealed) {
    let arrival = Arrival::from_number(call, "13812345678", "");
    let arrived = Fact::Arrived(Box::new(arrival));
    wait(store.note(Noted { at: clock::now(), fact: arrived })).expect("noted");
    assert!(wait(store.recording_sealed(call, sealed, clock::now())).expect("bound"));
}

fn times(length: Duration, took: Duration) -> String {
    format!("{took:.2?}, {:.0} x real time", length.as_secs_f64() / took.as_secs_f64())
}

/// Of this thread.
fn own_cpu() -> Duration {
    let text = fs::read_to_string("/proc/thread-self/schedstat").unwrap_or_default();
    let ns = text.split_ascii_whitespace().next().and_then(|ns| ns.parse().ok());
    Duration::from_nanos(ns.unwrap_or(0))
}
